/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The commands that take several steps at the back end: UNMAP, one step a
 * descriptor, and WRITE SAME, one step a handful of blocks.  The guest may
 * change its data under way, so each descriptor is copied once, when its turn
 * comes, and checked then.
 */

#include <string.h>

#include "storage/scsi.h"
#include "storage/storvsp_reg.h"

#define	UNMAP_HEADER	8
#define	UNMAP_DESC	16

#define	WS_UNMAP	0x08
#define	WS_NDOB		0x01	/* WRITE SAME (16): no data, zeros */
#define	WS_REFUSED	0xf6	/* protection, ANCHOR, PBDATA, LBDATA */

static void
scsi_unmap_next(struct scsi_cmd *cmd)
{
	struct scsi_lun *lun = cmd->lun;
	uint8_t desc[UNMAP_DESC];
	uint64_t lba;
	uint32_t count;

	while (cmd->list_ofs + UNMAP_DESC <= cmd->list_end) {
		if (scsi_fetch(cmd, cmd->list_ofs, desc, UNMAP_DESC) != 0) {
			scsi_illegal(cmd, ASC_BAD_CDB);
			return;
		}
		cmd->list_ofs += UNMAP_DESC;
		lba = scsi_be64(desc);
		count = scsi_be32(desc + 8);
		if (!scsi_in_range(lun, lba, count)) {
			scsi_illegal(cmd, ASC_LBA_RANGE);
			return;
		}
		if (count == 0)
			continue;
		cmd->next = scsi_unmap_next;
		scsi_submit(cmd, BLK_UNMAP, lba, count, false);
		return;
	}
	cmd->xfer = cmd->list_end;
	scsi_good(cmd);
}

/* protocol: storvsc, 8.3 */
void
scsi_disk_unmap(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t hdr[UNMAP_HEADER];
	uint32_t len, ndesc;

	len = scsi_be16(cmd->cdb + 7);
	if (!lun->unmap || (cmd->cdb[1] & 0x01) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (lun->blk->readonly) {
		scsi_check(cmd, SRB_ERROR, SENSE_PROTECT, ASC_WRITE_PROTECT);
		return;
	}
	if (len == 0) {
		scsi_good(cmd);
		return;
	}
	if (len != cmd->data_len || len < UNMAP_HEADER ||
	    scsi_fetch(cmd, 0, hdr, UNMAP_HEADER) != 0 ||
	    scsi_be16(hdr) != len - 2) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	ndesc = scsi_be16(hdr + 2);
	if (ndesc != len - UNMAP_HEADER) {
		scsi_illegal(cmd, ASC_NONE);
		return;
	}
	cmd->list_ofs = UNMAP_HEADER;
	cmd->list_end = len;
	scsi_unmap_next(cmd);
}

/* The same block of guest memory as often as the array has room. */
static void
scsi_write_same_next(struct scsi_cmd *cmd)
{
	uint64_t lba, n;
	int i, k;

	if (cmd->count == 0) {
		cmd->xfer = cmd->lun->block_size;
		scsi_good(cmd);
		return;
	}
	/* A block is not empty, so it has pieces. */
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
	n = (uint64_t)(cmd->iovmax / cmd->npat);
	if (n > cmd->count)
		n = cmd->count;
	cmd->niov = 0;
	for (i = 0; i < (int)n; i++) {
		for (k = 0; k < cmd->npat; k++)
			cmd->iov[cmd->niov++] = cmd->pat[k];
	}
	lba = cmd->lba;
	cmd->lba += n;
	cmd->count -= n;
	cmd->next = scsi_write_same_next;
	scsi_submit(cmd, BLK_WRITE, lba, n, false);
}

static void
scsi_write_same_done(struct scsi_cmd *cmd)
{

	cmd->xfer = cmd->data_len < cmd->lun->block_size ? 0 :
	    cmd->lun->block_size;
	scsi_good(cmd);
}

/* False: the data's first block is in more pieces than two pages make. */
static bool
scsi_write_same_pattern(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	size_t left = lun->block_size;
	int i;

	cmd->npat = 0;
	for (i = 0; i < cmd->niov && left > 0; i++) {
		if (cmd->npat == 2)
			return (false);
		cmd->pat[cmd->npat] = cmd->iov[i];
		if (cmd->pat[cmd->npat].iov_len > left)
			cmd->pat[cmd->npat].iov_len = left;
		left -= cmd->pat[cmd->npat].iov_len;
		cmd->npat++;
	}
	return (left == 0);
}

static bool
scsi_all_zero(const uint8_t *p, size_t len)
{

	return (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

void
scsi_disk_write_same(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t block[SCSI_MAX_BLOCK] = { 0 };
	uint64_t count, lba;
	bool nodata, unmap;

	unmap = (cmd->cdb[1] & WS_UNMAP) != 0;
	nodata = cmd->cdb[0] == 0x93 && (cmd->cdb[1] & WS_NDOB) != 0;
	scsi_cdb_extent(cmd->cdb, &lba, &count);
	if ((cmd->cdb[1] & WS_REFUSED) != 0 || (unmap && !lun->unmap) ||
	    (cmd->cdb[0] == 0x41 && (cmd->cdb[1] & WS_NDOB) != 0) ||
	    count == 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (lun->blk->readonly) {
		scsi_check(cmd, SRB_ERROR, SENSE_PROTECT, ASC_WRITE_PROTECT);
		return;
	}
	if (!scsi_in_range(lun, lba, count) ||
	    count > scsi_max_write_same(lun)) {
		scsi_illegal(cmd, ASC_LBA_RANGE);
		return;
	}
	if (!nodata && (scsi_fetch(cmd, 0, block, lun->block_size) != 0 ||
	    !scsi_write_same_pattern(lun, cmd))) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (scsi_all_zero(block, lun->block_size)) {
		cmd->next = scsi_write_same_done;
		scsi_submit(cmd, unmap ? BLK_UNMAP : BLK_ZERO, lba, count,
		    false);
		return;
	}
	cmd->lba = lba;
	cmd->count = count;
	scsi_write_same_next(cmd);
}
