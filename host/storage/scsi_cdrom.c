/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A CD-ROM drive with an ISO image in it: 2048-byte sectors, one data track,
 * nothing can be written.  The tray opens (START STOP with LOEJ) unless the
 * guest has locked it; the medium is the same when it closes.
 */

#include <string.h>

#include "storage/scsi.h"
#include "storage/storvsp_reg.h"

#define	EVENT_NONE	0
#define	EVENT_NEW	2	/* medium came in */
#define	EVENT_GONE	3

typedef void scsi_cdrom_fn(struct scsi_lun *, struct scsi_cmd *);

static void
scsi_cdrom_good(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	scsi_good(cmd);
}

static void
scsi_cdrom_read(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint64_t count, lba;

	if (cmd->cdb[0] != 0x08 && (cmd->cdb[1] & 0xe1) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	scsi_cdb_extent(cmd->cdb, &lba, &count);
	if (!scsi_in_range(lun, lba, count) ||
	    count * lun->block_size > cmd->data_len) {
		scsi_illegal(cmd, ASC_LBA_RANGE);
		return;
	}
	if (count == 0)
		scsi_good(cmd);
	else if (!cmd->to_guest)
		scsi_illegal(cmd, ASC_BAD_CDB);
	else
		scsi_submit(cmd, BLK_READ, lba, count, false);
}

static void
scsi_cdrom_write(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	scsi_check(cmd, SRB_ERROR, SENSE_PROTECT, ASC_WRITE_PROTECT);
}

static void
scsi_cdrom_capacity(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[8];

	scsi_put32(buf, (uint32_t)(lun->blocks - 1));
	scsi_put32(buf + 4, lun->block_size);
	scsi_reply_fixed(cmd, buf, sizeof(buf), sizeof(buf));
}

/* An address as LBA, or as minute, second and frame. */
static void
scsi_cdrom_address(uint8_t *p, uint32_t lba, bool msf)
{

	if (!msf) {
		scsi_put32(p, lba);
		return;
	}
	lba += 150;
	p[0] = 0;
	p[1] = (uint8_t)(lba / 75 / 60);
	p[2] = (uint8_t)(lba / 75 % 60);
	p[3] = (uint8_t)(lba % 75);
}

static void
scsi_cdrom_toc(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[20] = { 0 };
	uint8_t format, track;
	uint32_t len;
	bool msf;

	msf = (cmd->cdb[1] & 0x02) != 0;
	format = cmd->cdb[2] & 0x0f;
	/* Before MMC the format stood in the control byte. */
	if (format == 0)
		format = cmd->cdb[9] >> 6;
	track = cmd->cdb[6];
	if (format > 1 || (format == 0 && track > 1 && track != 0xaa)) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	buf[2] = 1;			/* first and last track or session */
	buf[3] = 1;
	len = 4;
	if (format == 1 || track != 0xaa) {
		buf[len + 1] = 0x14;	/* data track */
		buf[len + 2] = 1;
		scsi_cdrom_address(buf + len + 4, 0, msf);
		len += 8;
	}
	if (format == 0) {
		buf[len + 1] = 0x14;
		buf[len + 2] = 0xaa;	/* lead-out */
		scsi_cdrom_address(buf + len + 4, (uint32_t)lun->blocks, msf);
		len += 8;
	}
	scsi_put16(buf, (uint16_t)(len - 2));
	scsi_reply(cmd, buf, len, scsi_be16(cmd->cdb + 7));
}

/* One feature: number, version, persistent and current, data. */
static uint32_t
scsi_cdrom_feature(uint8_t *p, uint16_t number, uint8_t flags, uint8_t len)
{

	scsi_put16(p, number);
	p[2] = flags;
	p[3] = len;
	return (4u + len);
}

static void
scsi_cdrom_configuration(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[64] = { 0 };
	uint16_t first;
	uint32_t len = 8;
	uint8_t rt;
	bool one;

	rt = cmd->cdb[1] & 0x03;
	first = scsi_be16(cmd->cdb + 2);
	one = rt == 2;
	if (rt == 3) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	/* The current profile: CD-ROM, or none with an open tray. */
	scsi_put16(buf + 6, lun->ejected ? 0x0000 : 0x0008);
	if (first == 0x0000) {
		scsi_put16(buf + len + 4, 0x0008);
		buf[len + 6] = lun->ejected ? 0 : 1;
		len += scsi_cdrom_feature(buf + len, 0x0000, 0x03, 4);
	}
	if (one ? first == 0x0001 : first <= 0x0001) {
		scsi_put32(buf + len + 4, 0x00000001);	/* SCSI family */
		len += scsi_cdrom_feature(buf + len, 0x0001, 0x03, 4);
	}
	if (one ? first == 0x0003 : first <= 0x0003) {
		buf[len + 4] = 0x20 | 0x08 | 0x01; /* tray, eject, lock */
		len += scsi_cdrom_feature(buf + len, 0x0003, 0x03, 4);
	}
	if (one ? first == 0x0010 : first <= 0x0010) {
		scsi_put32(buf + len + 4, lun->block_size);
		scsi_put16(buf + len + 8, 1);
		len += scsi_cdrom_feature(buf + len, 0x0010,
		    lun->ejected ? 0x00 : 0x01, 8);
	}
	scsi_put32(buf, len - 4);
	scsi_reply(cmd, buf, len, scsi_be16(cmd->cdb + 7));
}

static void
scsi_cdrom_event(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[8] = { 0 };
	uint32_t alloc, len = 4;

	alloc = scsi_be16(cmd->cdb + 7);
	/* Only polling: nobody is kept waiting for an event. */
	if ((cmd->cdb[1] & 0x01) == 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	buf[3] = 0x10;			/* classes there are: media */
	if ((cmd->cdb[4] & 0x10) != 0) {
		buf[2] = 4;
		buf[4] = lun->media_event;
		buf[5] = lun->ejected ? 0x01 : 0x02;
		len = 8;
		if (alloc >= len && cmd->data_len >= alloc)
			lun->media_event = EVENT_NONE;
	} else {
		buf[2] = 0x80;		/* none of the classes asked for */
	}
	scsi_put16(buf, (uint16_t)(len - 2));
	scsi_reply(cmd, buf, len, alloc);
}

static void
scsi_cdrom_start_stop(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	bool load, start;

	start = (cmd->cdb[4] & 0x01) != 0;
	load = (cmd->cdb[4] & 0x02) != 0;
	if ((cmd->cdb[4] & 0xf0) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (load && !start && lun->prevented) {
		scsi_check(cmd, SRB_ERROR, SENSE_ILLEGAL, ASC_PREVENTED);
		return;
	}
	if (load && start == lun->ejected) {
		lun->ejected = !start;
		lun->media_event = start ? EVENT_NEW : EVENT_GONE;
		if (start)
			lun->attention = ASC_NEW_MEDIUM;
	}
	scsi_good(cmd);
}

static void
scsi_cdrom_prevent(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	lun->prevented = (cmd->cdb[4] & 0x01) != 0;
	scsi_good(cmd);
}

static void
scsi_cdrom_disc_info(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[34] = { 0 };

	if ((cmd->cdb[1] & 0x07) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	scsi_put16(buf, sizeof(buf) - 2);
	buf[2] = 0x0e;			/* finished, last session complete */
	buf[3] = 1;			/* first track */
	buf[4] = 1;			/* sessions */
	buf[5] = 1;			/* first and last track of the last */
	buf[6] = 1;
	buf[7] = 0x20;			/* may be used without restriction */
	memset(buf + 16, 0xff, 8);	/* lead-in and lead-out: not known */
	scsi_reply(cmd, buf, sizeof(buf), scsi_be16(cmd->cdb + 7));
}

/* The capabilities page (2A), which tells that the tray opens. */
static void
scsi_cdrom_mode_sense(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[8 + 20] = { 0 };
	uint8_t page, *p;
	uint32_t alloc, hdr;
	bool ten;

	ten = cmd->cdb[0] == 0x5a;
	page = cmd->cdb[2] & 0x3f;
	alloc = ten ? scsi_be16(cmd->cdb + 7) : cmd->cdb[4];
	if (page != 0x2a && page != 0x3f) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (cmd->cdb[2] >> 6 == 3) {
		scsi_illegal(cmd, ASC_NO_SAVED);
		return;
	}
	hdr = ten ? 8 : 4;
	p = buf + hdr;
	p[0] = 0x2a;
	p[1] = 18;
	if (cmd->cdb[2] >> 6 != 1) {
		p[2] = 0x03;		/* reads CD-R and CD-RW */
		p[6] = 0x20 | 0x08 | 0x01;	/* tray, eject, lock */
		if (lun->prevented)
			p[6] |= 0x02;
	}
	if (ten)
		scsi_put16(buf, (uint16_t)(hdr + 20 - 2));
	else
		buf[0] = (uint8_t)(hdr + 20 - 1);
	scsi_reply(cmd, buf, hdr + 20, alloc);
}

struct scsi_cdrom_op {
	scsi_cdrom_fn	*fn;
	bool		 medium;	/* needs a closed tray */
};

static const struct scsi_cdrom_op scsi_cdrom_ops[256] = {
	[0x00] = { scsi_cdrom_good, true },	/* TEST UNIT READY */
	[0x08] = { scsi_cdrom_read, true },	/* READ (6) */
	[0x0a] = { scsi_cdrom_write, true },	/* WRITE (6) */
	[0x1a] = { scsi_cdrom_mode_sense, false }, /* MODE SENSE (6) */
	[0x1b] = { scsi_cdrom_start_stop, false }, /* START STOP UNIT */
	[0x1e] = { scsi_cdrom_prevent, false },	/* PREVENT ALLOW */
	[0x25] = { scsi_cdrom_capacity, true },	/* READ CAPACITY */
	[0x28] = { scsi_cdrom_read, true },	/* READ (10) */
	[0x2a] = { scsi_cdrom_write, true },	/* WRITE (10) */
	[0x2e] = { scsi_cdrom_write, true },	/* WRITE AND VERIFY (10) */
	[0x35] = { scsi_cdrom_good, true },	/* SYNCHRONIZE CACHE */
	[0x43] = { scsi_cdrom_toc, true },	/* READ TOC */
	[0x46] = { scsi_cdrom_configuration, false }, /* GET CONFIGURATION */
	[0x4a] = { scsi_cdrom_event, false },	/* GET EVENT STATUS */
	[0x51] = { scsi_cdrom_disc_info, true }, /* READ DISC INFORMATION */
	[0x5a] = { scsi_cdrom_mode_sense, false }, /* MODE SENSE (10) */
	[0xa8] = { scsi_cdrom_read, true },	/* READ (12) */
	[0xaa] = { scsi_cdrom_write, true },	/* WRITE (12) */
};

void
scsi_cdrom_exec(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	const struct scsi_cdrom_op *op;

	op = &scsi_cdrom_ops[cmd->cdb[0]];
	if (op->fn == NULL)
		scsi_illegal(cmd, ASC_BAD_OPCODE);
	else if (op->medium && (lun->ejected || lun->blocks == 0))
		scsi_check(cmd, SRB_ERROR, SENSE_NOT_READY, ASC_NO_MEDIUM);
	else
		op->fn(lun, cmd);
}
