/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A disk: which command does what, and the short ones.  INQUIRY and the mode
 * pages are in scsi_page.c, UNMAP and WRITE SAME in scsi_block.c.
 * protocol: storvsc, 8.3; the differences from the host named there:
 *
 * - a count of 0 is what SBC says it is: 256 blocks in the 6-byte commands,
 *   nothing at all in the others;
 * - WRITE AND VERIFY writes;
 * - the page that MODE SENSE returns is accepted by MODE SELECT;
 * - WRITE SAME minds its UNMAP bit;
 * - what was unmapped reads as zeros, and READ CAPACITY (16) says so.
 */

#include <string.h>

#include "storage/scsi.h"
#include "storage/storvsp_reg.h"

#define	CDB_RELADR	0x01
#define	CDB_FUA		0x08
#define	CDB_PROTECT	0xe0
#define	CDB_BYTCHK	0x06

typedef void scsi_disk_fn(struct scsi_lun *, struct scsi_cmd *);

static bool
scsi_is_6byte(const struct scsi_cmd *cmd)
{

	return (cmd->cdb[0] < 0x20);
}

/* The checks that all commands with an address share; false: refused. */
static bool
scsi_disk_extent(struct scsi_lun *lun, struct scsi_cmd *cmd, uint64_t *lba,
    uint64_t *count)
{

	if (!scsi_is_6byte(cmd) &&
	    (cmd->cdb[1] & (CDB_RELADR | CDB_PROTECT)) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return (false);
	}
	scsi_cdb_extent(cmd->cdb, lba, count);
	if (!scsi_in_range(lun, *lba, *count)) {
		scsi_illegal(cmd, ASC_LBA_RANGE);
		return (false);
	}
	return (true);
}

static void
scsi_disk_rw(struct scsi_lun *lun, struct scsi_cmd *cmd, enum blk_op op,
    bool fua)
{
	uint64_t count, lba;

	if (op == BLK_WRITE && lun->blk->readonly) {
		scsi_check(cmd, SRB_ERROR, SENSE_PROTECT, ASC_WRITE_PROTECT);
		return;
	}
	if (!scsi_disk_extent(lun, cmd, &lba, &count))
		return;
	if (count == 0) {
		scsi_good(cmd);
		return;
	}
	if (count * lun->block_size > cmd->data_len) {
		scsi_illegal(cmd, ASC_LBA_RANGE);
		return;
	}
	if (cmd->to_guest != (op == BLK_READ)) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	scsi_submit(cmd, op, lba, count, fua);
}

/*
 * FUA on a read asks for what the medium holds; reader and writer share one
 * cache here, so what it returns is that in any case.
 */
static void
scsi_disk_read(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	scsi_disk_rw(lun, cmd, BLK_READ, false);
}

static void
scsi_disk_write(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	scsi_disk_rw(lun, cmd, BLK_WRITE,
	    !scsi_is_6byte(cmd) && (cmd->cdb[1] & CDB_FUA) != 0);
}

/* Comparing data (BYTCHK) is not offered, so nobody is told it was done. */
static void
scsi_disk_write_verify(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	if ((cmd->cdb[1] & CDB_BYTCHK) != 0)
		scsi_illegal(cmd, ASC_BAD_CDB);
	else
		scsi_disk_rw(lun, cmd, BLK_WRITE, true);
}

static void
scsi_disk_verify(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint64_t count, lba;

	if ((cmd->cdb[1] & CDB_BYTCHK) != 0)
		scsi_illegal(cmd, ASC_BAD_CDB);
	else if (scsi_disk_extent(lun, cmd, &lba, &count))
		scsi_good(cmd);
}

static void
scsi_disk_sync(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint64_t count, lba;

	if (scsi_disk_extent(lun, cmd, &lba, &count))
		scsi_submit(cmd, BLK_FLUSH, 0, 0, false);
}

static void
scsi_disk_good(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	scsi_good(cmd);
}

static void
scsi_disk_format(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	if (lun->blk->readonly)
		scsi_check(cmd, SRB_ERROR, SENSE_PROTECT, ASC_WRITE_PROTECT);
	else
		scsi_good(cmd);
}

static void
scsi_disk_start_stop(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	/* No medium to eject, no power conditions. */
	if ((cmd->cdb[4] & 0xf2) != 0)
		scsi_illegal(cmd, ASC_BAD_CDB);
	else if ((cmd->cdb[4] & 0x01) != 0)
		scsi_good(cmd);
	else
		scsi_submit(cmd, BLK_FLUSH, 0, 0, false);
}

static void
scsi_disk_diagnostic(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	/* The default self-test, without a list of parameters. */
	if ((cmd->cdb[1] & 0xf7) != 0x04 || scsi_be16(cmd->cdb + 3) != 0)
		scsi_illegal(cmd, ASC_BAD_CDB);
	else
		scsi_good(cmd);
}

static void
scsi_disk_capacity10(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[8];

	/* An address asks for the end of a zone: there is but one. */
	if ((cmd->cdb[8] & 0x01) == 0 && scsi_be32(cmd->cdb + 2) != 0) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (lun->blocks == 0) {
		scsi_check(cmd, SRB_ERROR, SENSE_NOT_READY, ASC_NO_MEDIUM);
		return;
	}
	scsi_put32(buf, lun->blocks - 1 > UINT32_MAX ? UINT32_MAX :
	    (uint32_t)(lun->blocks - 1));
	scsi_put32(buf + 4, lun->block_size);
	scsi_reply_fixed(cmd, buf, sizeof(buf), sizeof(buf));
}

static void
scsi_disk_capacity16(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t buf[32] = { 0 };
	uint32_t alloc;

	/* The other service action is GET LBA STATUS. */
	if ((cmd->cdb[1] & 0x1f) != 0x10) {
		scsi_illegal(cmd, (cmd->cdb[1] & 0x1f) == 0x12 ?
		    ASC_BAD_OPCODE : ASC_BAD_CDB);
		return;
	}
	if (lun->blocks == 0) {
		scsi_check(cmd, SRB_ERROR, SENSE_NOT_READY, ASC_NO_MEDIUM);
		return;
	}
	scsi_put64(buf, lun->blocks - 1);
	scsi_put32(buf + 8, lun->block_size);
	/* 4 KiB physical blocks, as the host's page cache has. */
	buf[13] = lun->block_size == 512 ? 3 : 0;
	if (lun->unmap)
		buf[14] = 0x80 | 0x40;	/* LBPME, LBPRZ */
	alloc = scsi_be32(cmd->cdb + 10);
	scsi_reply_fixed(cmd, buf, alloc < sizeof(buf) ? alloc : sizeof(buf),
	    12);
}

static scsi_disk_fn *const scsi_disk_ops[256] = {
	[0x00] = scsi_disk_good,		/* TEST UNIT READY */
	[0x04] = scsi_disk_format,		/* FORMAT UNIT */
	[0x08] = scsi_disk_read,		/* READ (6) */
	[0x0a] = scsi_disk_write,		/* WRITE (6) */
	[0x15] = scsi_disk_mode_select,		/* MODE SELECT (6) */
	[0x16] = scsi_disk_good,		/* RESERVE (6) */
	[0x17] = scsi_disk_good,		/* RELEASE (6) */
	[0x1a] = scsi_disk_mode_sense,		/* MODE SENSE (6) */
	[0x1b] = scsi_disk_start_stop,		/* START STOP UNIT */
	[0x1d] = scsi_disk_diagnostic,		/* SEND DIAGNOSTIC */
	[0x1e] = scsi_disk_good,		/* PREVENT ALLOW */
	[0x25] = scsi_disk_capacity10,		/* READ CAPACITY (10) */
	[0x28] = scsi_disk_read,		/* READ (10) */
	[0x2a] = scsi_disk_write,		/* WRITE (10) */
	[0x2e] = scsi_disk_write_verify,	/* WRITE AND VERIFY (10) */
	[0x2f] = scsi_disk_verify,		/* VERIFY (10) */
	[0x35] = scsi_disk_sync,		/* SYNCHRONIZE CACHE (10) */
	[0x41] = scsi_disk_write_same,		/* WRITE SAME (10) */
	[0x42] = scsi_disk_unmap,		/* UNMAP */
	[0x55] = scsi_disk_mode_select,		/* MODE SELECT (10) */
	[0x5a] = scsi_disk_mode_sense,		/* MODE SENSE (10) */
	[0x88] = scsi_disk_read,		/* READ (16) */
	[0x8a] = scsi_disk_write,		/* WRITE (16) */
	[0x8e] = scsi_disk_write_verify,	/* WRITE AND VERIFY (16) */
	[0x8f] = scsi_disk_verify,		/* VERIFY (16) */
	[0x91] = scsi_disk_sync,		/* SYNCHRONIZE CACHE (16) */
	[0x93] = scsi_disk_write_same,		/* WRITE SAME (16) */
	[0x9e] = scsi_disk_capacity16,		/* SERVICE ACTION IN (16) */
	[0xa8] = scsi_disk_read,		/* READ (12) */
	[0xaa] = scsi_disk_write,		/* WRITE (12) */
	[0xae] = scsi_disk_write_verify,	/* WRITE AND VERIFY (12) */
	[0xaf] = scsi_disk_verify,		/* VERIFY (12) */
};

void
scsi_disk_exec(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	scsi_disk_fn *fn;

	fn = scsi_disk_ops[cmd->cdb[0]];
	if (fn == NULL)
		scsi_illegal(cmd, ASC_BAD_OPCODE);
	else
		fn(lun, cmd);
}
