/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a unit says of itself: INQUIRY with its VPD pages, and a disk's mode
 * page.  protocol: storvsc, 8.3 and 8.4
 */

#include <string.h>

#include "storage/scsi.h"
#include "storage/storvsp_reg.h"

#define	TYPE_DISK	0x00
#define	TYPE_CDROM	0x05

#define	SCSI_MAX_WRITE_SAME	(8u << 20)

/* --- INQUIRY --- */

void
scsi_inquiry_data(uint8_t buf[SCSI_INQUIRY_LEN], bool cdrom)
{

	memset(buf, 0, SCSI_INQUIRY_LEN);
	buf[0] = cdrom ? TYPE_CDROM : TYPE_DISK;
	buf[1] = cdrom ? 0x80 : 0;	/* removable */
	buf[2] = 5;			/* SPC-3 */
	buf[3] = 2;			/* response data format */
	buf[4] = SCSI_INQUIRY_LEN - 5;
	buf[7] = 0x02;			/* command queueing */
	memcpy(buf + 8, "Msft    ", 8);
	memcpy(buf + 16, cdrom ? "Virtual DVD-ROM " : "Virtual Disk    ", 16);
	memcpy(buf + 32, "1.0 ", 4);
}

/* Pages that only a disk has are after those that all have. */
static uint32_t
scsi_vpd_list(struct scsi_lun *lun, uint8_t *p)
{
	static const uint8_t pages[] = { 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2 };
	uint32_t n;

	n = lun->cdrom ? 3 : lun->unmap ? 6 : 5;
	memcpy(p, pages, n);
	return (n);
}

static uint32_t
scsi_vpd_ids(struct scsi_lun *lun, uint8_t *p)
{

	/* T10 vendor id, binary: the vendor and the disk's 16 bytes. */
	p[0] = 0x01;
	p[1] = 0x01;
	p[3] = 24;
	memcpy(p + 4, "Msft    ", 8);
	memcpy(p + 12, lun->id, 16);
	p += 28;
	/* NAA 6, IEEE 002248: the first six and the last six of them. */
	p[0] = 0x01;
	p[1] = 0x03;
	p[3] = 16;
	p[4] = 0x60;
	p[5] = 0x02;
	p[6] = 0x24;
	p[7] = 0x80;
	memcpy(p + 8, lun->id, 6);
	memcpy(p + 14, lun->id + 10, 6);
	return (28 + 20);
}

static uint32_t
scsi_vpd_limits(struct scsi_lun *lun, uint8_t *p)
{

	p[0] = 0x01;			/* WSNZ: WRITE SAME of 0 is refused */
	scsi_put32(p + 4, lun->max_transfer / lun->block_size);
	if (lun->unmap) {
		scsi_put32(p + 16, UINT32_MAX);
		scsi_put32(p + 20, SCSI_MAX_UNMAP);
		/* Below 4 KiB no space comes free, only zeros. */
		scsi_put32(p + 24, 4096 / lun->block_size);
		scsi_put32(p + 28, 0x80000000u);	/* UGAVALID, at 0 */
	}
	scsi_put64(p + 32, scsi_max_write_same(lun));
	return (60);
}

uint64_t
scsi_max_write_same(const struct scsi_lun *lun)
{
	uint32_t bytes;

	bytes = lun->max_transfer < SCSI_MAX_WRITE_SAME ? lun->max_transfer :
	    SCSI_MAX_WRITE_SAME;
	return (bytes / lun->block_size);
}

static void
scsi_inquiry_vpd(struct scsi_lun *lun, struct scsi_cmd *cmd, uint32_t alloc)
{
	uint8_t buf[128] = { 0 };
	uint8_t *p = buf + 4;
	uint32_t len, list;
	uint8_t pages[8];

	list = scsi_vpd_list(lun, pages);
	if (memchr(pages, cmd->cdb[2], list) == NULL) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	switch (cmd->cdb[2]) {
	case 0x00:
		len = scsi_vpd_list(lun, p);
		break;
	case 0x80:
		len = (uint32_t)strlen(lun->serial);
		memcpy(p, lun->serial, len);
		break;
	case 0x83:
		len = scsi_vpd_ids(lun, p);
		break;
	case 0xb0:
		len = scsi_vpd_limits(lun, p);
		break;
	case 0xb1:
		scsi_put16(p, 1);	/* does not rotate */
		len = 60;
		break;
	default:
		p[0] = 1;		/* threshold exponent */
		p[1] = 0x80 | 0x40 | 0x20 | 0x04; /* LBPU, LBPWS(10), LBPRZ */
		p[2] = 2;		/* thin */
		len = 4;
		break;
	}
	buf[0] = lun->cdrom ? TYPE_CDROM : TYPE_DISK;
	buf[1] = cmd->cdb[2];
	scsi_put16(buf + 2, (uint16_t)len);
	scsi_reply(cmd, buf, 4 + len, alloc);
}

/*
 * Bits 7 to 5 of byte 1 are let be: initiators that do not know the version
 * yet put the LUN there.
 */
void
scsi_inquiry(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[SCSI_INQUIRY_LEN];
	uint32_t alloc;

	alloc = scsi_be16(cmd->cdb + 3);
	if ((cmd->cdb[1] & 0x1e) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
	} else if ((cmd->cdb[1] & 0x01) != 0) {
		scsi_inquiry_vpd(lun, cmd, alloc);
	} else if (cmd->cdb[2] != 0 || alloc < 5) {
		scsi_illegal(cmd, ASC_BAD_CDB);
	} else {
		scsi_inquiry_data(buf, lun->cdrom);
		scsi_reply(cmd, buf, sizeof(buf), alloc);
	}
}

/* --- The caching page --- */

#define	PAGE_CACHING		0x08
#define	PAGE_CACHING_LEN	20	/* SBC; SCSI-2 had the first 12 */
#define	PAGE_CACHING_MIN	12
#define	PAGE_ALL		0x3f
#define	CACHING_WCE		0x04
#define	MODE_DPOFUA		0x10
#define	MODE_WP			0x80

/* Byte 2 of the page: write cache enabled, unless everything is durable. */
static uint8_t
scsi_caching_bits(const struct scsi_lun *lun)
{

	return (lun->blk->write_through ? 0 : CACHING_WCE);
}

void
scsi_disk_mode_sense(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[8 + PAGE_CACHING_LEN] = { 0 };
	uint8_t control, page, sub, *p;
	uint32_t alloc, hdr;
	bool ten;

	ten = cmd->cdb[0] == 0x5a;
	page = cmd->cdb[2] & 0x3f;
	control = cmd->cdb[2] >> 6;
	sub = cmd->cdb[3];
	alloc = ten ? scsi_be16(cmd->cdb + 7) : cmd->cdb[4];
	if ((page != PAGE_CACHING && page != PAGE_ALL) ||
	    (sub != 0x00 && sub != 0xff)) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (control == 3) {
		scsi_illegal(cmd, ASC_NO_SAVED);
		return;
	}
	hdr = ten ? 8 : 4;
	buf[ten ? 3 : 2] = MODE_DPOFUA | (lun->blk->readonly ? MODE_WP : 0);
	p = buf + hdr;
	p[0] = PAGE_CACHING;
	p[1] = PAGE_CACHING_LEN - 2;
	/* Control 1 asks what can be changed: nothing. */
	if (control != 1)
		p[2] = scsi_caching_bits(lun);
	if (ten)
		scsi_put16(buf, hdr + PAGE_CACHING_LEN - 2);
	else
		buf[0] = (uint8_t)(hdr + PAGE_CACHING_LEN - 1);
	scsi_reply(cmd, buf, hdr + PAGE_CACHING_LEN, alloc);
}

void
scsi_disk_mode_select(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[64];
	uint32_t desc, hdr, len, page;
	bool ten;

	ten = cmd->cdb[0] == 0x55;
	len = ten ? scsi_be16(cmd->cdb + 7) : cmd->cdb[4];
	if ((cmd->cdb[1] & 0x01) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (len == 0) {
		scsi_good(cmd);
		return;
	}
	hdr = ten ? 8 : 4;
	if (len != cmd->data_len || len < hdr || len > sizeof(buf) ||
	    scsi_fetch(cmd, 0, buf, len) != 0) {
		scsi_illegal(cmd, ASC_LIST_LENGTH);
		return;
	}
	desc = ten ? scsi_be16(buf + 6) : buf[3];
	page = hdr + desc;
	if (desc != 0 && desc != 8) {
		scsi_illegal(cmd, ASC_BAD_LIST);
		return;
	}
	if (page == len) {
		cmd->xfer = len;
		scsi_good(cmd);
		return;
	}
	if (len < page + PAGE_CACHING_MIN) {
		scsi_illegal(cmd, ASC_LIST_LENGTH);
		return;
	}
	if ((buf[page] & 0x7f) != PAGE_CACHING ||
	    buf[page + 1] < PAGE_CACHING_MIN - 2 ||
	    page + 2 + buf[page + 1] != len ||
	    buf[page + 2] != scsi_caching_bits(lun)) {
		scsi_illegal(cmd, ASC_BAD_LIST);
		return;
	}
	cmd->xfer = len;
	scsi_good(cmd);
}
