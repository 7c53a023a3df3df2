/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layout of the storage protocol: every size, offset and number as a
 * literal from protocol: storvsc, sections 3 and 4; and the request packet
 * that the driver makes of a CCB, byte by byte.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/scsi/scsi_all.h>
#include <cam/scsi/scsi_message.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

#include "ktest.h"

KTEST(storvsc_reg_packet, "storage packet: sizes and offsets")
{

	KT_EQ(sizeof(struct storvsc_pkt), 64);
	KT_EQ(__offsetof(struct storvsc_pkt, sp_op), 0);
	KT_EQ(__offsetof(struct storvsc_pkt, sp_flags), 4);
	KT_EQ(__offsetof(struct storvsc_pkt, sp_status), 8);
	KT_EQ(__offsetof(struct storvsc_pkt, sp_srb), 12);
	KT_EQ(__offsetof(struct storvsc_pkt, sp_version), 12);
	KT_EQ(__offsetof(struct storvsc_pkt, sp_props), 12);
	KT_EQ(__offsetof(struct storvsc_pkt, sp_nsubch), 12);
	KT_EQ(STORVSC_PKT_HDR_LEN, 12);
	KT_EQ(STORVSC_PKT_LEN_OLD, 48);
	KT_EQ(STORVSC_PKT_LEN, 64);
	KT_EQ(STORVSC_FLAG_COMPLETION, 0x1);
}

KTEST(storvsc_reg_srb, "request block: sizes and offsets")
{

	KT_EQ(sizeof(struct storvsc_srb), 52);
	KT_EQ(STORVSC_SRB_LEN, 0x34);
	KT_EQ(STORVSC_SRB_LEN_OLD, 0x24);
	KT_EQ(__offsetof(struct storvsc_srb, sb_length), 0);
	KT_EQ(__offsetof(struct storvsc_srb, sb_srb_status), 2);
	KT_EQ(__offsetof(struct storvsc_srb, sb_scsi_status), 3);
	KT_EQ(__offsetof(struct storvsc_srb, sb_port), 4);
	KT_EQ(__offsetof(struct storvsc_srb, sb_path), 5);
	KT_EQ(__offsetof(struct storvsc_srb, sb_target), 6);
	KT_EQ(__offsetof(struct storvsc_srb, sb_lun), 7);
	KT_EQ(__offsetof(struct storvsc_srb, sb_cdb_len), 8);
	KT_EQ(__offsetof(struct storvsc_srb, sb_sense_len), 9);
	KT_EQ(__offsetof(struct storvsc_srb, sb_data_in), 10);
	KT_EQ(__offsetof(struct storvsc_srb, sb_xfer_len), 12);
	KT_EQ(__offsetof(struct storvsc_srb, sb_cdb), 16);
	KT_EQ(__offsetof(struct storvsc_srb, sb_sense), 16);
	KT_EQ(__offsetof(struct storvsc_srb, sb_rsvd2), 36);
	KT_EQ(__offsetof(struct storvsc_srb, sb_queue_tag), 38);
	KT_EQ(__offsetof(struct storvsc_srb, sb_queue_action), 39);
	KT_EQ(__offsetof(struct storvsc_srb, sb_flags), 40);
	KT_EQ(__offsetof(struct storvsc_srb, sb_timeout), 44);
	KT_EQ(__offsetof(struct storvsc_srb, sb_sort_key), 48);
	KT_EQ(sizeof(((struct storvsc_srb *)NULL)->sb_cdb), 16);
	KT_EQ(sizeof(((struct storvsc_srb *)NULL)->sb_sense), 20);
	KT_EQ(STORVSC_SENSE_LEN_OLD, 0x12);
	KT_EQ(STORVSC_SENSE_LEN, 0x14);
}

KTEST(storvsc_reg_control, "control payloads: sizes and offsets")
{

	KT_EQ(sizeof(struct storvsc_version), 4);
	KT_EQ(__offsetof(struct storvsc_version, sv_version), 0);
	KT_EQ(__offsetof(struct storvsc_version, sv_revision), 2);
	KT_EQ(sizeof(struct storvsc_props), 24);
	KT_EQ(__offsetof(struct storvsc_props, pr_max_subch), 4);
	KT_EQ(__offsetof(struct storvsc_props, pr_flags), 8);
	KT_EQ(__offsetof(struct storvsc_props, pr_max_xfer), 12);
	KT_EQ(STORVSC_PROP_MULTI_CHANNEL, 0x1);
	KT_EQ(STORVSC_OPEN_DATA_LEN, 24);
}

KTEST(storvsc_reg_numbers, "operations, versions, directions")
{

	KT_EQ(STORVSC_OP_COMPLETE_IO, 1);
	KT_EQ(STORVSC_OP_REMOVE_DEVICE, 2);
	KT_EQ(STORVSC_OP_EXECUTE_SRB, 3);
	KT_EQ(STORVSC_OP_RESET_LUN, 4);
	KT_EQ(STORVSC_OP_RESET_ADAPTER, 5);
	KT_EQ(STORVSC_OP_RESET_BUS, 6);
	KT_EQ(STORVSC_OP_BEGIN_INIT, 7);
	KT_EQ(STORVSC_OP_END_INIT, 8);
	KT_EQ(STORVSC_OP_QUERY_VERSION, 9);
	KT_EQ(STORVSC_OP_QUERY_PROPERTIES, 10);
	KT_EQ(STORVSC_OP_ENUMERATE_BUS, 11);
	KT_EQ(STORVSC_OP_CREATE_SUB_CHANNELS, 13);
	KT_EQ(STORVSC_VERSION_2_0, 0x0200);
	KT_EQ(STORVSC_VERSION_4_2, 0x0402);
	KT_EQ(STORVSC_VERSION_5_1, 0x0501);
	KT_EQ(STORVSC_VERSION_6_0, 0x0600);
	KT_EQ(STORVSC_VERSION_6_2, 0x0602);
	KT_EQ(STORVSC_DATA_OUT, 0);
	KT_EQ(STORVSC_DATA_IN, 1);
	KT_EQ(STORVSC_DATA_NONE, 2);
}

/* A READ(10) of 4 KiB at LUN 5 with a simple tag and 30.5 s. */
static void
read10(union ccb *ccb)
{
	static const uint8_t cdb[10] = {
		0x28, 0, 0, 0, 0x12, 0x34, 0, 0, 8, 0
	};

	memset(ccb, 0, sizeof(*ccb));
	ccb->ccb_h.target_id = 0;
	ccb->ccb_h.target_lun = 5;
	ccb->ccb_h.flags = CAM_DIR_IN | CAM_TAG_ACTION_VALID;
	ccb->ccb_h.timeout = 30500;
	ccb->csio.cdb_len = sizeof(cdb);
	ccb->csio.dxfer_len = 4096;
	ccb->csio.tag_action = MSG_SIMPLE_Q_TAG;
	memcpy(ccb->csio.cdb_io.cdb_bytes, cdb, sizeof(cdb));
}

static int
srb_fill(struct storvsc_pkt *pkt, uint32_t version, const union ccb *ccb,
    uint32_t unit)
{
	struct storvsc_pkt tmpl;

	storvsc_srb_template(&tmpl, version, unit);
	return (storvsc_srb_fill(pkt, &tmpl, ccb));
}

KTEST(storvsc_srb_new, "a request from 5.1 on, byte by byte")
{
	static const uint8_t want[64] = {
		3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		0x34, 0, 0, 0, 7, 0, 0, 5, 10, 0x14, 1, 0,
		0x00, 0x10, 0, 0,
		0x28, 0, 0, 0, 0x12, 0x34, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0,
		0, 0, 0xff, 0x20, 0x4a, 0x01, 0, 0, 31, 0, 0, 0, 0, 0, 0, 0
	};
	struct storvsc_pkt pkt;
	union ccb *ccb;

	ccb = malloc(sizeof(*ccb), M_TEMP, M_WAITOK);
	read10(ccb);
	memset(&pkt, 0xa5, sizeof(pkt));
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_2, ccb, 7), 0);
	KT_EQ(memcmp(&pkt, want, sizeof(want)), 0);
	free(ccb, M_TEMP);
}

KTEST(storvsc_srb_old, "a request up to 4.2: shorter, nothing behind it")
{
	static const uint8_t tail[16];
	struct storvsc_pkt pkt;
	union ccb *ccb;

	ccb = malloc(sizeof(*ccb), M_TEMP, M_WAITOK);
	read10(ccb);
	memset(&pkt, 0xa5, sizeof(pkt));
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_4_2, ccb, 0), 0);
	KT_EQ(pkt.sp_srb.sb_length, 0x24);
	KT_EQ(pkt.sp_srb.sb_sense_len, 0x12);
	KT_EQ(memcmp((uint8_t *)&pkt + 48, tail, sizeof(tail)), 0);
	free(ccb, M_TEMP);
}

KTEST(storvsc_srb_variants, "directions, pointers to CDBs, what is refused")
{
	static uint8_t cdb[16] = { 0x35 };
	struct storvsc_pkt pkt;
	union ccb *ccb;

	ccb = malloc(sizeof(*ccb), M_TEMP, M_WAITOK);
	read10(ccb);
	ccb->ccb_h.flags = CAM_DIR_OUT;
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_0, ccb, 0), 0);
	KT_EQ(pkt.sp_srb.sb_data_in, 0);
	KT_EQ(pkt.sp_srb.sb_flags, 0x88);
	KT_EQ(pkt.sp_srb.sb_queue_action, 0);

	ccb->ccb_h.flags = CAM_DIR_NONE | CAM_CDB_POINTER;
	ccb->csio.dxfer_len = 0;
	ccb->csio.cdb_len = 16;
	ccb->csio.cdb_io.cdb_ptr = cdb;
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_0, ccb, 0), 0);
	KT_EQ(pkt.sp_srb.sb_data_in, 2);
	KT_EQ(pkt.sp_srb.sb_xfer_len, 0);
	KT_EQ(pkt.sp_srb.sb_flags, 0x8);
	KT_EQ(pkt.sp_srb.sb_cdb[0], 0x35);

	/* A direction without a byte to move has no data. */
	ccb->ccb_h.flags = CAM_DIR_IN | CAM_CDB_POINTER;
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_0, ccb, 0), 0);
	KT_EQ(pkt.sp_srb.sb_data_in, 2);

	ccb->csio.cdb_len = 17;
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_0, ccb, 0), EINVAL);
	ccb->csio.cdb_len = 0;
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_0, ccb, 0), EINVAL);
	ccb->csio.cdb_len = 6;
	ccb->ccb_h.flags = CAM_DIR_IN | CAM_CDB_POINTER | CAM_CDB_PHYS;
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_0, ccb, 0), EINVAL);
	ccb->ccb_h.flags = CAM_DIR_BOTH | CAM_CDB_POINTER;
	KT_EQ(srb_fill(&pkt, STORVSC_VERSION_6_0, ccb, 0), EINVAL);
	free(ccb, M_TEMP);
}

KTEST(storvsc_timeouts, "CAM's time limits")
{

	KT_EQ(storvsc_timeout_ms(CAM_TIME_DEFAULT), 60000);
	KT_EQ(storvsc_timeout_ms(CAM_TIME_INFINITY), 0);
	KT_EQ(storvsc_timeout_ms(1), 1);
}
