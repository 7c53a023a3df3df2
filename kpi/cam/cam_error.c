/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What becomes of a command that did not succeed: fail, or send again now or
 * later.  And CAM statuses in words.
 */

#include "cam_var.h"

const struct cam_status_entry cam_status_table[] = {
	{ CAM_REQ_INPROG, "CCB request is in progress" },
	{ CAM_REQ_CMP, "CCB request completed without error" },
	{ CAM_REQ_ABORTED, "CCB request aborted by the host" },
	{ CAM_UA_ABORT, "Unable to abort CCB request" },
	{ CAM_REQ_CMP_ERR, "CCB request completed with an error" },
	{ CAM_BUSY, "CAM subsystem is busy" },
	{ CAM_REQ_INVALID, "CCB request was invalid" },
	{ CAM_PATH_INVALID, "Supplied Path ID is invalid" },
	{ CAM_DEV_NOT_THERE, "Device Not Present" },
	{ CAM_UA_TERMIO, "Unable to terminate I/O CCB request" },
	{ CAM_SEL_TIMEOUT, "Selection Timeout" },
	{ CAM_CMD_TIMEOUT, "Command timeout" },
	{ CAM_SCSI_STATUS_ERROR, "SCSI Status Error" },
	{ CAM_SCSI_BUS_RESET, "SCSI Bus Reset Sent/Received" },
	{ CAM_UNCOR_PARITY, "Uncorrectable parity/CRC error" },
	{ CAM_AUTOSENSE_FAIL, "Auto-Sense Retrieval Failed" },
	{ CAM_NO_HBA, "No HBA Detected" },
	{ CAM_DATA_RUN_ERR, "Data Overrun error" },
	{ CAM_UNEXP_BUSFREE, "Unexpected Bus Free" },
	{ CAM_PROVIDE_FAIL, "Unable to provide requested capability" },
	{ CAM_BDR_SENT, "SCSI BDR Message Sent" },
	{ CAM_REQ_TERMIO, "CCB request terminated by the host" },
	{ CAM_UNREC_HBA_ERROR, "Unrecoverable Host Bus Adapter Error" },
	{ CAM_REQ_TOO_BIG, "The request was too large for this host" },
	{ CAM_REQUEUE_REQ, "Unconditionally Re-queue Request" },
	{ CAM_RESRC_UNAVAIL, "Resource Unavailable" },
	{ CAM_LUN_INVALID, "LUN supplied is invalid" },
	{ CAM_TID_INVALID, "Target ID supplied is invalid" },
	{ CAM_FUNC_NOTAVAIL, "The Requested Function is Not Available" },
	{ CAM_SCSI_BUSY, "SCSI Bus Busy" },
};
const int num_cam_status_entries = nitems(cam_status_table);

/* Retries that the retry count does not pay for, and yet end. */
#define	KCAM_FREE_RETRIES	120

#define	ccb_free_retries	ppriv_field1

const struct cam_status_entry *
cam_fetch_status_entry(cam_status status)
{
	int i;

	status &= CAM_STATUS_MASK;
	for (i = 0; i < num_cam_status_entries; i++) {
		if (cam_status_table[i].status_code == status)
			return (&cam_status_table[i]);
	}
	return (NULL);
}

char *
cam_error_string(union ccb *ccb, char *str, int str_len,
    cam_error_string_flags flags, cam_error_proto_flags proto_flags)
{
	const struct cam_status_entry *entry;
	struct cam_path *path = ccb->ccb_h.path;
	struct sbuf sb;

	sbuf_new(&sb, str, str_len, 0);
	if ((flags & CAM_ESF_COMMAND) != 0 &&
	    ccb->ccb_h.func_code == XPT_SCSI_IO) {
		xpt_path_sbuf(path, &sb);
		scsi_command_string(&ccb->csio, &sb);
		sbuf_cat(&sb, "\n");
	}
	if ((flags & CAM_ESF_CAM_STATUS) != 0) {
		entry = cam_fetch_status_entry(ccb->ccb_h.status);
		xpt_path_sbuf(path, &sb);
		if (entry != NULL)
			sbuf_printf(&sb, "CAM status: %s\n",
			    entry->status_text);
		else
			sbuf_printf(&sb, "CAM status: Unknown (%#x)\n",
			    ccb->ccb_h.status);
	}
	if ((flags & CAM_ESF_PROTO_STATUS) != 0 &&
	    cam_ccb_status(ccb) == CAM_SCSI_STATUS_ERROR) {
		xpt_path_sbuf(path, &sb);
		sbuf_printf(&sb, "SCSI status: %s\n",
		    scsi_status_string(&ccb->csio));
		if ((proto_flags & CAM_EPF_LEVEL_MASK) != CAM_EPF_NONE)
			scsi_sense_sbuf(&ccb->csio, &sb, SSS_FLAG_NONE);
	}
	sbuf_finish(&sb);
	return (str);
}

void
cam_error_print(union ccb *ccb, cam_error_string_flags flags,
    cam_error_proto_flags proto_flags)
{
	char str[512];

	printf("%s", cam_error_string(ccb, str, sizeof(str), flags,
	    proto_flags));
}

/* What to do with a CCB, as the functions below find out. */
struct kcam_verdict {
	int		 error;		/* 0, ERESTART or an errno */
	uint32_t	 relsim;	/* when to send again */
	uint32_t	 delay;		/* ms */
	uint32_t	 less;		/* openings to take away */
	bool		 print;
};

/* Sends again if the retry count lasts; else error. */
static void
kcam_retry(union ccb *ccb, struct kcam_verdict *v, int error, uint32_t delay)
{

	if (ccb->ccb_h.retry_count == 0) {
		v->error = error;
		return;
	}
	ccb->ccb_h.retry_count--;
	v->error = ERESTART;
	v->delay = delay;
	if (delay != 0)
		v->relsim |= RELSIM_RELEASE_AFTER_TIMEOUT;
}

/* Sends again without a price, though not for ever. */
static void
kcam_retry_free(union ccb *ccb, struct kcam_verdict *v, int error,
    uint32_t delay)
{

	if (ccb->ccb_h.ccb_free_retries >= KCAM_FREE_RETRIES) {
		v->error = error;
		return;
	}
	ccb->ccb_h.ccb_free_retries++;
	v->error = ERESTART;
	v->delay = delay;
	if (delay != 0)
		v->relsim |= RELSIM_RELEASE_AFTER_TIMEOUT;
}

/* Tells others of conditions that concern more than this command. */
static void
kcam_sense_events(union ccb *ccb, uint32_t action)
{
	struct cam_path *path = ccb->ccb_h.path;
	struct cam_path *target;
	union ccb *scan;

	if ((action & SSQ_UA) != 0)
		xpt_async(AC_UNIT_ATTENTION, path, &ccb->csio);
	if ((action & SSQ_LOST) != 0)
		xpt_async(AC_LOST_DEVICE, path, NULL);
	if ((action & SSQ_RESCAN) == 0)
		return;
	scan = xpt_alloc_ccb_nowait();
	if (scan == NULL || xpt_create_path(&target, NULL,
	    xpt_path_path_id(path), xpt_path_target_id(path),
	    CAM_LUN_WILDCARD) != CAM_REQ_CMP) {
		xpt_print(path, "no memory to scan the target\n");
		xpt_free_ccb(scan);
		return;
	}
	scan->ccb_h.path = target;
	xpt_rescan(scan);
}

static void
kcam_sense_error(union ccb *ccb, uint32_t sense_flags, struct kcam_verdict *v)
{
	uint32_t action;
	int error;

	action = scsi_error_action(&ccb->csio,
	    &ccb->ccb_h.path->device->inq_data, sense_flags);
	error = action & SS_ERRMASK;
	v->print = (action & SSQ_PRINT_SENSE) != 0;
	kcam_sense_events(ccb, action);
	switch (action & SS_MASK) {
	case SS_NOP:
		v->error = 0;
		break;
	case SS_RETRY:
		kcam_retry(ccb, v, error, 0);
		break;
	case SS_START:
	case SS_TUR:
		/* The command itself asks whether the unit is ready. */
		kcam_retry_free(ccb, v, error, 500);
		break;
	default:
		v->error = error;
		break;
	}
}

static void
kcam_status_error(union ccb *ccb, uint32_t sense_flags, struct kcam_verdict *v)
{
	struct cam_ccbq *ccbq = &ccb->ccb_h.path->device->ccbq;

	switch (ccb->csio.scsi_status) {
	case SCSI_STATUS_OK:
	case SCSI_STATUS_COND_MET:
	case SCSI_STATUS_INTERMED:
	case SCSI_STATUS_INTERMED_COND_MET:
		v->error = 0;
		break;
	case SCSI_STATUS_CHECK_COND:
	case SCSI_STATUS_CMD_TERMINATED:
		kcam_sense_error(ccb, sense_flags, v);
		break;
	case SCSI_STATUS_QUEUE_FULL:
		/* The device takes as much as it has now, without this. */
		v->less = imax(0, ccbq->total_openings - ccbq->dev_active);
		v->relsim = RELSIM_ADJUST_OPENINGS;
		v->print = false;
		if (ccbq->dev_active > 0) {
			v->relsim |= RELSIM_RELEASE_AFTER_CMDCMPLT;
			kcam_retry_free(ccb, v, EBUSY, 0);
		} else
			kcam_retry_free(ccb, v, EBUSY, 100);
		break;
	case SCSI_STATUS_BUSY:
	case SCSI_STATUS_TASK_ABORTED:
		kcam_retry(ccb, v, EIO, 1000);
		break;
	case SCSI_STATUS_RESERV_CONFLICT:
		v->error = EBUSY;
		break;
	default:
		v->error = EIO;
		break;
	}
}

static void
kcam_judge(union ccb *ccb, uint32_t sense_flags, struct kcam_verdict *v)
{
	uint32_t used;

	switch (cam_ccb_status(ccb)) {
	case CAM_REQ_CMP:
		v->error = 0;
		break;
	case CAM_SCSI_STATUS_ERROR:
		kcam_status_error(ccb, sense_flags, v);
		break;
	case CAM_REQUEUE_REQ:
		/* The SIM froze what it wants to wait for. */
		v->error = ERESTART;
		v->print = false;
		break;
	case CAM_SCSI_BUS_RESET:
	case CAM_BDR_SENT:
		kcam_retry_free(ccb, v, EIO, 100);
		break;
	case CAM_RESRC_UNAVAIL:
		v->print = false;
		kcam_retry(ccb, v, EIO, 100);
		break;
	case CAM_BUSY:
		kcam_retry(ccb, v, EIO, 1000);
		break;
	case CAM_UNREC_HBA_ERROR:
		used = kcam_retry_count - imin(kcam_retry_count,
		    ccb->ccb_h.retry_count);
		kcam_retry(ccb, v, EIO, 100 << MIN(used, 5));
		break;
	case CAM_SEL_TIMEOUT:
	case CAM_DEV_NOT_THERE:
	case CAM_NO_HBA:
	case CAM_LUN_INVALID:
	case CAM_TID_INVALID:
		v->error = ENXIO;
		v->print = false;
		if (kcam_configured(ccb->ccb_h.path->device))
			xpt_async(AC_LOST_DEVICE, ccb->ccb_h.path, NULL);
		break;
	case CAM_REQ_INVALID:
	case CAM_PATH_INVALID:
	case CAM_PROVIDE_FAIL:
	case CAM_REQ_TOO_BIG:
	case CAM_FUNC_NOTAVAIL:
		v->error = EINVAL;
		break;
	case CAM_REQ_ABORTED:
	case CAM_UA_ABORT:
	case CAM_REQ_TERMIO:
		v->error = EINTR;
		break;
	default:
		/* Time-outs, parity, overruns: the bus, not the command. */
		kcam_retry(ccb, v, EIO, 0);
		break;
	}
}

static void
kcam_error_report(union ccb *ccb, const struct kcam_verdict *v)
{

	cam_error_print(ccb, CAM_ESF_ALL, CAM_EPF_ALL);
	if (v->error == ERESTART)
		xpt_print(ccb->ccb_h.path,
		    "Retrying command, %d more tries remain\n",
		    ccb->ccb_h.retry_count);
	else
		xpt_print(ccb->ccb_h.path, "Error %d\n", v->error);
}

/*
 * Judges a CCB that is done.  ERESTART: it has been sent again and is not the
 * caller's any more.  In every case its freeze has been or will be released.
 */
int
kcam_error(union ccb *ccb, uint32_t sense_flags)
{
	struct kcam_verdict v = { .print = true };
	struct cam_path path = *ccb->ccb_h.path;
	bool frozen = (ccb->ccb_h.status & CAM_DEV_QFRZN) != 0;

	kcam_judge(ccb, sense_flags, &v);
	if (v.error == ERESTART && (sense_flags & SF_NO_RETRY) != 0)
		v.error = EIO;
	if (v.error == ERESTART && path.periph != NULL &&
	    kcam_periph_gone(path.periph))
		v.error = ENXIO;
	if (v.print && cam_ccb_status(ccb) != CAM_REQ_CMP &&
	    (sense_flags & SF_NO_PRINT) == 0)
		kcam_error_report(ccb, &v);
	if (v.error != ERESTART) {
		ccb->ccb_h.status &= ~CAM_DEV_QFRZN;
		if (frozen)
			cam_release_devq(&path, 0, 0, 0, 0);
		return (v.error);
	}
	/* Frozen first, so that it stands behind its own delay. */
	if (!frozen && v.relsim != 0) {
		xpt_freeze_devq(&path, 1);
		frozen = true;
	}
	/* Once sent, the CCB and its path may be gone at any time. */
	xpt_acquire_device(path.device);
	xpt_action(ccb);
	if (frozen)
		cam_release_devq(&path, v.relsim, v.less, v.delay, 0);
	xpt_release_device(path.device);
	return (ERESTART);
}
