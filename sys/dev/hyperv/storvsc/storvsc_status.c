/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a completion means to CAM, and repairs of INQUIRY data.  Pure: no lock,
 * no device, works on a private copy of what the host wrote.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/scsi/scsi_all.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

struct storvsc_status {
	uint8_t		st_srb;		/* code, flag bits removed */
	bool		st_any;		/* whatever the SCSI status says */
	uint32_t	st_cam;
};

/*
 * Applies if the SCSI status is GOOD; where it is not, that tells more and
 * goes up as CAM_SCSI_STATUS_ERROR, but for codes that say that there is no
 * such device: hosts send those with either status (protocol: storvsc, 6.1).
 *
 * DATA_OVERRUN also stands for fewer bytes moved than wanted: no error, the
 * residual tells.  CAM_CMD_TIMEOUT and CAM_REQ_CMP_ERR are retried as often
 * as the request allows; CAM_BUSY likewise, after a delay.
 */
static const struct storvsc_status storvsc_statuses[] = {
	{ STORVSC_SRB_SUCCESS,		false,	CAM_REQ_CMP },
	{ STORVSC_SRB_DATA_OVERRUN,	false,	CAM_REQ_CMP },
	{ STORVSC_SRB_INVALID_LUN,	true,	CAM_DEV_NOT_THERE },
	{ STORVSC_SRB_INVALID_TARGET,	true,	CAM_DEV_NOT_THERE },
	{ STORVSC_SRB_INVALID_PATH_ID,	true,	CAM_DEV_NOT_THERE },
	{ STORVSC_SRB_NO_DEVICE,	true,	CAM_DEV_NOT_THERE },
	{ STORVSC_SRB_SELECTION_TIMEOUT, true,	CAM_SEL_TIMEOUT },
	{ STORVSC_SRB_NO_HBA,		false,	CAM_NO_HBA },
	{ STORVSC_SRB_BUSY,		false,	CAM_BUSY },
	{ STORVSC_SRB_ERROR_RECOVERY,	false,	CAM_BUSY },
	{ STORVSC_SRB_LINK_DOWN,	false,	CAM_BUSY },
	{ STORVSC_SRB_NOT_POWERED,	false,	CAM_BUSY },
	{ STORVSC_SRB_ABORTED,		false,	CAM_CMD_TIMEOUT },
	{ STORVSC_SRB_TIMEOUT,		false,	CAM_CMD_TIMEOUT },
	{ STORVSC_SRB_COMMAND_TIMEOUT,	false,	CAM_CMD_TIMEOUT },
	{ STORVSC_SRB_ABORT_FAILED,	false,	CAM_UA_ABORT },
	{ STORVSC_SRB_BUS_RESET,	false,	CAM_SCSI_BUS_RESET },
	{ STORVSC_SRB_ERROR,		false,	CAM_REQ_CMP_ERR },
	{ STORVSC_SRB_FLUSHED,		false,	CAM_REQ_CMP_ERR },
	{ STORVSC_SRB_INTERNAL_ERROR,	false,	CAM_REQ_CMP_ERR },
	{ STORVSC_SRB_INVALID_REQUEST,	false,	CAM_REQ_INVALID },
	{ STORVSC_SRB_BAD_LENGTH,	false,	CAM_REQ_INVALID },
	{ STORVSC_SRB_BAD_FUNCTION,	false,	CAM_REQ_INVALID },
	{ STORVSC_SRB_MESSAGE_REJECTED,	false,	CAM_MSG_REJECT_REC },
	{ STORVSC_SRB_PARITY_ERROR,	false,	CAM_UNCOR_PARITY },
	{ STORVSC_SRB_SENSE_FAILED,	false,	CAM_AUTOSENSE_FAIL },
	{ STORVSC_SRB_BUS_FREE,		false,	CAM_UNEXP_BUSFREE },
	{ STORVSC_SRB_PHASE_FAILURE,	false,	CAM_SEQUENCE_FAIL },
};

static uint32_t
storvsc_cam_status(uint8_t code, uint8_t scsi_status)
{
	const struct storvsc_status *st;
	u_int i;

	for (i = 0; i < nitems(storvsc_statuses); i++) {
		st = &storvsc_statuses[i];
		if (st->st_srb != code)
			continue;
		if (scsi_status == SCSI_STATUS_OK || st->st_any)
			return (st->st_cam);
		return (CAM_SCSI_STATUS_ERROR);
	}
	/* PENDING in a completion, or a code nobody knows. */
	return (scsi_status == SCSI_STATUS_OK ? CAM_UNREC_HBA_ERROR :
	    CAM_SCSI_STATUS_ERROR);
}

/*
 * Reads a completion of which len bytes came, for a request of wanted bytes
 * (0 for one without data).  The number of bytes moved means something with
 * SUCCESS and DATA_OVERRUN only.
 */
HYPERV_HOT void
storvsc_result(const struct storvsc_pkt *pkt, size_t len, uint32_t wanted,
    struct storvsc_result *rs)
{
	const struct storvsc_srb *srb = &pkt->sp_srb;
	size_t room;
	uint8_t code;

	memset(rs, 0, sizeof(*rs));
	rs->rs_resid = wanted;
	if (len < STORVSC_PKT_HDR_LEN + __offsetof(struct storvsc_srb,
	    sb_sense) || pkt->sp_op != STORVSC_OP_COMPLETE_IO) {
		rs->rs_status = CAM_UNREC_HBA_ERROR;
		rs->rs_bad = true;
		return;
	}

	code = srb->sb_srb_status & STORVSC_SRB_CODE_MASK;
	rs->rs_scsi_status = srb->sb_scsi_status;
	rs->rs_status = storvsc_cam_status(code, srb->sb_scsi_status);
	rs->rs_bad = code == STORVSC_SRB_PENDING;

	if (code == STORVSC_SRB_SUCCESS || code == STORVSC_SRB_DATA_OVERRUN) {
		if (srb->sb_xfer_len <= wanted) {
			rs->rs_resid = wanted - srb->sb_xfer_len;
		} else {
			rs->rs_resid = 0;
			/* More than there was room for; 0 room: no data. */
			if (wanted != 0 && rs->rs_status == CAM_REQ_CMP) {
				rs->rs_status = CAM_DATA_RUN_ERR;
				rs->rs_bad = code == STORVSC_SRB_SUCCESS;
			}
		}
	}

	if ((srb->sb_srb_status & STORVSC_SRB_AUTOSENSE) != 0 &&
	    srb->sb_scsi_status == SCSI_STATUS_CHECK_COND) {
		room = len - STORVSC_PKT_HDR_LEN -
		    __offsetof(struct storvsc_srb, sb_sense);
		room = MIN(room, sizeof(srb->sb_sense));
		if (srb->sb_sense_len > room)
			rs->rs_bad = true;
		rs->rs_sense_len = (uint8_t)MIN(srb->sb_sense_len, room);
		if (rs->rs_sense_len > 0)
			rs->rs_status |= CAM_AUTOSNS_VALID;
	}
}

/* Offsets in standard INQUIRY data (SPC-3, 6.4.2). */
#define	STORVSC_INQ_TYPE	0
#define	STORVSC_INQ_VERSION	2
#define	STORVSC_INQ_FORMAT	3
#define	STORVSC_INQ_VENDOR	8

/*
 * Repairs standard INQUIRY data of len bytes that the host wrote (protocol:
 * storvsc, 8.4).  Nothing beyond len is looked at.
 *
 * A unit that is not there with version or format 0 would keep CAM from
 * asking LUN 0 for the list of the others.  A DVD drive of a Gen-2 machine
 * with version 0 would be taken for SCSI-1.  Microsoft's disks that claim
 * SPC-2 do know UNMAP, which CAM tries from SPC-3 on.
 */
void
storvsc_inquiry_repair(uint32_t version, const uint8_t *cdb, uint8_t *data,
    uint32_t len)
{
	uint8_t type, qual;

	if (cdb[0] != INQUIRY || (cdb[1] & SI_EVPD) != 0 || cdb[2] != 0 ||
	    len <= STORVSC_INQ_FORMAT)
		return;
	type = data[STORVSC_INQ_TYPE] & 0x1f;
	qual = data[STORVSC_INQ_TYPE] >> 5;

	if (type == T_NODEVICE || qual == SID_QUAL_BAD_LU) {
		if (version != STORVSC_VERSION_4_2 &&
		    version != STORVSC_VERSION_5_1 &&
		    version != STORVSC_VERSION_6_0)
			return;
		if (data[STORVSC_INQ_VERSION] == 0)
			data[STORVSC_INQ_VERSION] = SCSI_REV_SPC3;
		if ((data[STORVSC_INQ_FORMAT] & 0x0f) == 0)
			data[STORVSC_INQ_FORMAT] |= 2;
		return;
	}
	if (type == T_CDROM) {
		if (version >= STORVSC_VERSION_5_1 &&
		    data[STORVSC_INQ_VERSION] == 0)
			data[STORVSC_INQ_VERSION] = SCSI_REV_SPC3;
		return;
	}
	if ((version == STORVSC_VERSION_5_1 ||
	    version == STORVSC_VERSION_6_0) &&
	    len >= STORVSC_INQ_VENDOR + 4 &&
	    memcmp(&data[STORVSC_INQ_VENDOR], "Msft", 4) == 0 &&
	    data[STORVSC_INQ_VERSION] == SCSI_REV_SPC2)
		data[STORVSC_INQ_VERSION] = SCSI_REV_SPC3;
}
