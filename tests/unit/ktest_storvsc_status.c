/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a completion of the host means to CAM: every status code, sense data,
 * residuals, contradictions; and the INQUIRY repairs (protocol: storvsc, 3.6,
 * 6.1, 6.2 and 8.4).  Codes as literals, not by the driver's names.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

#include "ktest.h"

static void
answer(struct storvsc_pkt *pkt, uint8_t srb, uint8_t scsi, uint32_t moved)
{

	memset(pkt, 0, sizeof(*pkt));
	pkt->sp_op = 1;
	pkt->sp_srb.sb_length = 52;
	pkt->sp_srb.sb_srb_status = srb;
	pkt->sp_srb.sb_scsi_status = scsi;
	pkt->sp_srb.sb_xfer_len = moved;
}

static uint32_t
status(uint8_t srb, uint8_t scsi)
{
	struct storvsc_result rs;
	struct storvsc_pkt pkt;

	answer(&pkt, srb, scsi, 512);
	storvsc_result(&pkt, 64, 512, &rs);
	return (rs.rs_status);
}

KTEST(storvsc_status_good, "SRB codes with SCSI status GOOD")
{
	static const struct {
		uint8_t		srb;
		uint32_t	cam;
	} rows[] = {
		{ 0x00, CAM_UNREC_HBA_ERROR },	{ 0x01, CAM_REQ_CMP },
		{ 0x02, CAM_CMD_TIMEOUT },	{ 0x03, CAM_UA_ABORT },
		{ 0x04, CAM_REQ_CMP_ERR },	{ 0x05, CAM_BUSY },
		{ 0x06, CAM_REQ_INVALID },	{ 0x07, CAM_DEV_NOT_THERE },
		{ 0x08, CAM_DEV_NOT_THERE },	{ 0x09, CAM_CMD_TIMEOUT },
		{ 0x0a, CAM_SEL_TIMEOUT },	{ 0x0b, CAM_CMD_TIMEOUT },
		{ 0x0d, CAM_MSG_REJECT_REC },	{ 0x0e, CAM_SCSI_BUS_RESET },
		{ 0x0f, CAM_UNCOR_PARITY },	{ 0x10, CAM_AUTOSENSE_FAIL },
		{ 0x11, CAM_NO_HBA },		{ 0x12, CAM_REQ_CMP },
		{ 0x13, CAM_UNEXP_BUSFREE },	{ 0x14, CAM_SEQUENCE_FAIL },
		{ 0x15, CAM_REQ_INVALID },	{ 0x16, CAM_REQ_CMP_ERR },
		{ 0x20, CAM_DEV_NOT_THERE },	{ 0x21, CAM_DEV_NOT_THERE },
		{ 0x22, CAM_REQ_INVALID },	{ 0x23, CAM_BUSY },
		{ 0x24, CAM_BUSY },		{ 0x25, CAM_BUSY },
		{ 0x30, CAM_REQ_CMP_ERR },
		/* Numbers without a meaning. */
		{ 0x0c, CAM_UNREC_HBA_ERROR },	{ 0x17, CAM_UNREC_HBA_ERROR },
		{ 0x26, CAM_UNREC_HBA_ERROR },	{ 0x3f, CAM_UNREC_HBA_ERROR },
	};
	u_int i;

	for (i = 0; i < nitems(rows); i++) {
		KT_EQ(status(rows[i].srb, 0x00), rows[i].cam);
		/* The flag bits are not part of the code. */
		KT_EQ(status(rows[i].srb | 0x40, 0x00), rows[i].cam);
		KT_EQ(status(rows[i].srb | 0x80, 0x00), rows[i].cam);
	}
}

KTEST(storvsc_status_bad, "a SCSI status other than GOOD goes up as such")
{
	static const uint8_t gone[] = { 0x07, 0x08, 0x20, 0x21 };
	static const uint8_t scsi[] = { 0x02, 0x08, 0x18, 0x28, 0x40 };
	u_int i, code;

	for (i = 0; i < nitems(scsi); i++) {
		for (code = 0; code < 0x40; code++) {
			if (memchr(gone, (int)code, sizeof(gone)) != NULL)
				KT_EQ(status(code, scsi[i]),
				    CAM_DEV_NOT_THERE);
			else if (code == 0x0a)
				KT_EQ(status(code, scsi[i]),
				    CAM_SEL_TIMEOUT);
			else
				KT_EQ(status(code, scsi[i]),
				    CAM_SCSI_STATUS_ERROR);
		}
	}
}

KTEST(storvsc_resid, "residuals, and more bytes than were asked for")
{
	struct storvsc_result rs;
	struct storvsc_pkt pkt;

	answer(&pkt, 0x01, 0, 4096);
	storvsc_result(&pkt, 64, 4096, &rs);
	KT_EQ(rs.rs_resid, 0);
	KT_CHECK(!rs.rs_bad);
	answer(&pkt, 0x12, 0, 36);
	storvsc_result(&pkt, 64, 255, &rs);
	KT_EQ(rs.rs_status, CAM_REQ_CMP);
	KT_EQ(rs.rs_resid, 219);
	KT_CHECK(!rs.rs_bad);

	/* Other codes say nothing of how many. */
	answer(&pkt, 0x04, 0, 4096);
	storvsc_result(&pkt, 64, 4096, &rs);
	KT_EQ(rs.rs_resid, 4096);

	/* SUCCESS with more than there is room for: a lie. */
	answer(&pkt, 0x01, 0, 4097);
	storvsc_result(&pkt, 64, 4096, &rs);
	KT_EQ(rs.rs_status, CAM_DATA_RUN_ERR);
	KT_EQ(rs.rs_resid, 0);
	KT_CHECK(rs.rs_bad);
	answer(&pkt, 0x01, 0, 0xffffffff);
	storvsc_result(&pkt, 64, 4096, &rs);
	KT_EQ(rs.rs_resid, 0);
	KT_CHECK(rs.rs_bad);
	/* DATA_OVERRUN with more: what the name says. */
	answer(&pkt, 0x12, 0, 8192);
	storvsc_result(&pkt, 64, 4096, &rs);
	KT_EQ(rs.rs_status, CAM_DATA_RUN_ERR);
	KT_CHECK(!rs.rs_bad);
	/* Without data the number means nothing. */
	answer(&pkt, 0x01, 0, 77);
	storvsc_result(&pkt, 64, 0, &rs);
	KT_EQ(rs.rs_status, CAM_REQ_CMP);
	KT_EQ(rs.rs_resid, 0);
}

KTEST(storvsc_sense, "sense data within what came")
{
	struct storvsc_result rs;
	struct storvsc_pkt pkt;

	answer(&pkt, 0x84, 0x02, 0);
	pkt.sp_srb.sb_sense_len = 18;
	storvsc_result(&pkt, 64, 512, &rs);
	KT_EQ(rs.rs_status, CAM_SCSI_STATUS_ERROR | CAM_AUTOSNS_VALID);
	KT_EQ(rs.rs_sense_len, 18);
	KT_EQ(rs.rs_scsi_status, 2);
	KT_CHECK(!rs.rs_bad);

	/* The area has 20 bytes, whatever the host says. */
	pkt.sp_srb.sb_sense_len = 255;
	storvsc_result(&pkt, 64, 512, &rs);
	KT_EQ(rs.rs_sense_len, 20);
	KT_CHECK(rs.rs_bad);
	/* An answer cut off in the middle of the sense data. */
	pkt.sp_srb.sb_sense_len = 18;
	storvsc_result(&pkt, 12 + 16 + 8, 512, &rs);
	KT_EQ(rs.rs_sense_len, 8);
	KT_CHECK(rs.rs_bad);
	storvsc_result(&pkt, 48, 512, &rs);
	KT_EQ(rs.rs_sense_len, 18);
	KT_CHECK(!rs.rs_bad);

	/* None announced, none given, or not with CHECK CONDITION. */
	pkt.sp_srb.sb_sense_len = 0;
	storvsc_result(&pkt, 64, 512, &rs);
	KT_EQ(rs.rs_status, CAM_SCSI_STATUS_ERROR);
	answer(&pkt, 0x04, 0x02, 0);
	pkt.sp_srb.sb_sense_len = 18;
	storvsc_result(&pkt, 64, 512, &rs);
	KT_EQ(rs.rs_status, CAM_SCSI_STATUS_ERROR);
	KT_EQ(rs.rs_sense_len, 0);
	answer(&pkt, 0x81, 0x00, 512);
	pkt.sp_srb.sb_sense_len = 18;
	storvsc_result(&pkt, 64, 512, &rs);
	KT_EQ(rs.rs_status, CAM_REQ_CMP);
}

KTEST(storvsc_short, "answers that are none")
{
	struct storvsc_result rs;
	struct storvsc_pkt pkt;
	size_t len;

	answer(&pkt, 0x01, 0, 512);
	for (len = 0; len < 28; len++) {
		storvsc_result(&pkt, len, 512, &rs);
		KT_EQ(rs.rs_status, CAM_UNREC_HBA_ERROR);
		KT_EQ(rs.rs_resid, 512);
		KT_CHECK(rs.rs_bad);
	}
	storvsc_result(&pkt, 28, 512, &rs);
	KT_EQ(rs.rs_status, CAM_REQ_CMP);
	pkt.sp_op = 11;
	storvsc_result(&pkt, 64, 512, &rs);
	KT_EQ(rs.rs_status, CAM_UNREC_HBA_ERROR);
	KT_CHECK(rs.rs_bad);
	answer(&pkt, 0x00, 0, 512);
	storvsc_result(&pkt, 64, 512, &rs);
	KT_CHECK(rs.rs_bad);
}

static void
inquiry(uint8_t *d, uint8_t type, uint8_t version, uint8_t format)
{

	memset(d, 0, 36);
	d[0] = type;
	d[2] = version;
	d[3] = format;
	d[4] = 31;
	memcpy(&d[8], "Msft    Virtual Disk    1.0 ", 28);
}

static const uint8_t inq_cdb[6] = { 0x12, 0, 0, 0, 36, 0 };

KTEST(storvsc_inquiry_absent, "units that are not there get a version")
{
	static const uint16_t fixed[] = { 0x0402, 0x0501, 0x0600 };
	static const uint16_t asis[] = { 0x0200, 0x0602 };
	uint8_t d[36];
	u_int i;

	for (i = 0; i < nitems(fixed); i++) {
		inquiry(d, 0x7f, 0, 0);
		storvsc_inquiry_repair(fixed[i], inq_cdb, d, sizeof(d));
		KT_EQ(d[2], 5);
		KT_EQ(d[3], 2);
		inquiry(d, 0x60, 0, 2);
		storvsc_inquiry_repair(fixed[i], inq_cdb, d, sizeof(d));
		KT_EQ(d[2], 5);
		/* Only what is missing. */
		inquiry(d, 0x1f, 4, 0);
		storvsc_inquiry_repair(fixed[i], inq_cdb, d, sizeof(d));
		KT_EQ(d[2], 4);
		KT_EQ(d[3], 2);
	}
	for (i = 0; i < nitems(asis); i++) {
		inquiry(d, 0x7f, 0, 0);
		storvsc_inquiry_repair(asis[i], inq_cdb, d, sizeof(d));
		KT_EQ(d[2], 0);
		KT_EQ(d[3], 0);
	}
}

KTEST(storvsc_inquiry_disk, "Microsoft's SPC-2 disks become SPC-3")
{
	uint8_t d[36];

	inquiry(d, 0, 4, 2);
	storvsc_inquiry_repair(0x0501, inq_cdb, d, sizeof(d));
	KT_EQ(d[2], 5);
	inquiry(d, 0, 4, 2);
	storvsc_inquiry_repair(0x0600, inq_cdb, d, sizeof(d));
	KT_EQ(d[2], 5);
	inquiry(d, 0, 4, 2);
	storvsc_inquiry_repair(0x0602, inq_cdb, d, sizeof(d));
	KT_EQ(d[2], 4);
	inquiry(d, 0, 4, 2);
	storvsc_inquiry_repair(0x0402, inq_cdb, d, sizeof(d));
	KT_EQ(d[2], 4);
	/* Another's disk, passed through. */
	inquiry(d, 0, 4, 2);
	d[8] = 'X';
	storvsc_inquiry_repair(0x0600, inq_cdb, d, sizeof(d));
	KT_EQ(d[2], 4);
	/* The vendor did not come: not known. */
	inquiry(d, 0, 4, 2);
	storvsc_inquiry_repair(0x0600, inq_cdb, d, 11);
	KT_EQ(d[2], 4);
}

KTEST(storvsc_inquiry_dvd, "a DVD drive without a version")
{
	uint8_t d[36];

	inquiry(d, 5, 0, 2);
	storvsc_inquiry_repair(0x0602, inq_cdb, d, sizeof(d));
	KT_EQ(d[2], 5);
	inquiry(d, 5, 0, 2);
	storvsc_inquiry_repair(0x0402, inq_cdb, d, sizeof(d));
	KT_EQ(d[2], 0);
}

KTEST(storvsc_inquiry_limits, "nothing else, and nothing beyond the data")
{
	static const uint8_t vpd[6] = { 0x12, 1, 0, 0, 36, 0 };
	static const uint8_t page[6] = { 0x12, 0, 0x80, 0, 36, 0 };
	static const uint8_t other[6] = { 0x1a, 0, 0, 0, 36, 0 };
	uint8_t d[36];
	uint32_t len;

	for (len = 0; len < 4; len++) {
		inquiry(d, 0x7f, 0, 0);
		storvsc_inquiry_repair(0x0600, inq_cdb, d, len);
		KT_EQ(d[2], 0);
		KT_EQ(d[3], 0);
	}
	inquiry(d, 0x7f, 0, 0);
	storvsc_inquiry_repair(0x0600, vpd, d, sizeof(d));
	storvsc_inquiry_repair(0x0600, page, d, sizeof(d));
	storvsc_inquiry_repair(0x0600, other, d, sizeof(d));
	KT_EQ(d[2], 0);
	KT_EQ(d[3], 0);
}
