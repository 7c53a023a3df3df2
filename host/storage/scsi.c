/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The SCSI target's frame: the life of a logical unit and of a command, unit
 * attention, sense, faults, and moving data between replies, the back end and
 * the guest's memory.  The commands are in scsi_disk.c, scsi_page.c,
 * scsi_block.c and scsi_cdrom.c.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/scsi.h"
#include "storage/storvsp_reg.h"

/* How long a change of the image's size may go unnoticed. */
#define	SCSI_LOOK_NS	1000000000ull

#define	OP_REQUEST_SENSE	0x03
#define	OP_INQUIRY		0x12

/* --- The unit --- */

/*
 * A serial number for a unit that was given none: all of its identity counts,
 * as controllers may differ in any byte (FNV-1a).
 */
static void
scsi_make_serial(const uint8_t id[16], char serial[21])
{
	uint64_t v = 0xcbf29ce484222325ull;
	int i;

	for (i = 0; i < 16; i++)
		v = (v ^ id[i]) * 0x100000001b3ull;
	snprintf(serial, 21, "%02X%02X%016llX", id[14], id[15],
	    (unsigned long long)v);
}

int
scsi_lun_create(struct hvh *h, const struct hvh_lun_params *lp,
    const uint8_t id[16], uint32_t max_transfer, struct scsi_lun **lunp)
{
	struct scsi_lun *lun;

	if (lp->blk == NULL || lp->blk->attached)
		return (EINVAL);
	lun = calloc(1, sizeof(*lun));
	if (lun == NULL)
		return (ENOMEM);
	lun->h = h;
	lun->blk = lp->blk;
	lun->cdrom = lp->cdrom;
	lun->block_size = lp->cdrom ? 2048 : lp->blk->block_size;
	lun->blocks = lp->blk->size / lun->block_size;
	if (lun->blocks == 0 || (!lp->cdrom && lun->block_size == 2048)) {
		free(lun);
		return (EINVAL);
	}
	lun->unmap = !lp->no_unmap && !lp->cdrom;
	lun->max_transfer = max_transfer;
	memcpy(lun->id, id, sizeof(lun->id));
	memcpy(lun->serial, lp->serial, sizeof(lun->serial) - 1);
	if (lun->serial[0] == '\0')
		scsi_make_serial(id, lun->serial);
	lun->looked = hvh_now(h);
	TAILQ_INIT(&lun->parked);
	lun->blk->attached = true;
	*lunp = lun;
	return (0);
}

void
scsi_lun_destroy(struct scsi_lun *lun)
{
	struct scsi_cmd *cmd;

	/* With the partition itself: delayed commands are still there. */
	TAILQ_FOREACH(cmd, &lun->parked, link) {
		if (cmd->park == SCSI_PARKED_TIMER)
			hvh_timer_clear(lun->h, &cmd->timer);
	}
	if (lun->gone != NULL)
		lun->gone(lun->gone_arg);
	blk_close_locked(lun->blk);
	free(lun);
}

/* Has the medium changed its size?  Looked at now, or once in a while. */
static void
scsi_look(struct scsi_lun *lun, bool now)
{
	uint64_t t;

	t = hvh_now(lun->h);
	if (!now && t - lun->looked < SCSI_LOOK_NS)
		return;
	lun->looked = t;
	if (!blk_resized(lun->blk))
		return;
	lun->blocks = lun->blk->size / lun->block_size;
	lun->attention = lun->cdrom ? ASC_NEW_MEDIUM : ASC_CAPACITY;
}

/* --- The end of a command --- */

void
scsi_finish(struct scsi_cmd *cmd)
{
	struct scsi_lun *lun = cmd->lun;

	lun->busy--;
	cmd->done(cmd);
}

void
scsi_good(struct scsi_cmd *cmd)
{

	cmd->status = SCSI_GOOD;
	cmd->srb_status = SRB_SUCCESS;
	scsi_finish(cmd);
}

void
scsi_fill_sense(uint8_t sense[SCSI_SENSE_LEN], uint8_t key, uint16_t asc)
{

	memset(sense, 0, SCSI_SENSE_LEN);
	sense[0] = 0x70;
	sense[2] = key;
	sense[7] = 10;
	sense[12] = (uint8_t)(asc >> 8);
	sense[13] = (uint8_t)asc;
}

void
scsi_check(struct scsi_cmd *cmd, uint8_t srb_status, uint8_t key, uint16_t asc)
{

	cmd->status = SCSI_CHECK_CONDITION;
	cmd->srb_status = srb_status;
	cmd->sense_valid = true;
	cmd->xfer = 0;
	scsi_fill_sense(cmd->sense, key, asc);
	cmd->lun->sense_key = key;
	cmd->lun->sense_asc = asc;
	hvh_stats(cmd->lun->h)->io_errors++;
	scsi_finish(cmd);
}

void
scsi_illegal(struct scsi_cmd *cmd, uint16_t asc)
{

	scsi_check(cmd, SRB_INVALID_REQUEST, SENSE_ILLEGAL, asc);
}

/* Told once, by whatever command comes.  protocol: storvsc, 8.3 */
static void
scsi_attention(struct scsi_cmd *cmd)
{
	uint16_t asc = cmd->lun->attention;

	cmd->lun->attention = 0;
	scsi_check(cmd, SRB_ERROR, SENSE_ATTENTION, asc);
}

void
scsi_errno(struct scsi_cmd *cmd, int error)
{
	struct scsi_lun *lun = cmd->lun;

	switch (error) {
	case ECANCELED:
		cmd->status = SCSI_GOOD;
		cmd->srb_status = cmd->abort_status != 0 ? cmd->abort_status :
		    SRB_ABORTED;
		cmd->xfer = 0;
		scsi_finish(cmd);
		return;
	case ENODATA:
		/* Shorter than when the address was checked? */
		scsi_look(lun, true);
		if (lun->attention != 0) {
			scsi_attention(cmd);
			return;
		}
		scsi_check(cmd, SRB_ERROR, SENSE_ILLEGAL, ASC_LBA_RANGE);
		return;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		scsi_check(cmd, SRB_ERROR, SENSE_PROTECT, ASC_NO_SPACE);
		return;
	case EROFS:
	case EPERM:
	case EACCES:
		scsi_check(cmd, SRB_ERROR, SENSE_PROTECT, ASC_WRITE_PROTECT);
		return;
	case EIO:
	case EBADMSG:
		scsi_check(cmd, SRB_ERROR, SENSE_MEDIUM,
		    cmd->blk.op == BLK_READ ? ASC_READ_ERROR :
		    ASC_WRITE_ERROR);
		return;
	default:
		scsi_check(cmd, SRB_ERROR, SENSE_HARDWARE, ASC_INTERNAL);
		return;
	}
}

/* --- Data --- */

void
scsi_copy_out(struct scsi_cmd *cmd, const void *buf, uint32_t len)
{
	const uint8_t *from = buf;
	size_t n;
	int i;

	for (i = 0; i < cmd->niov && len > 0; i++) {
		n = cmd->iov[i].iov_len < len ? cmd->iov[i].iov_len : len;
		memcpy(cmd->iov[i].iov_base, from, n);
		from += n;
		len -= (uint32_t)n;
	}
}

void
scsi_reply(struct scsi_cmd *cmd, const void *buf, uint32_t len, uint32_t alloc)
{

	if (alloc > cmd->data_len || (alloc > 0 && !cmd->to_guest)) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (len > alloc)
		len = alloc;
	scsi_copy_out(cmd, buf, len);
	cmd->xfer = len;
	scsi_good(cmd);
}

void
scsi_reply_fixed(struct scsi_cmd *cmd, const void *buf, uint32_t len,
    uint32_t min)
{

	if (cmd->data_len < min) {
		scsi_check(cmd, SRB_DATA_OVERRUN, SENSE_ILLEGAL, ASC_BAD_CDB);
		return;
	}
	scsi_reply(cmd, buf, len, len < cmd->data_len ? len : cmd->data_len);
}

int
scsi_fetch(const struct scsi_cmd *cmd, uint32_t ofs, void *buf, uint32_t len)
{
	uint8_t *to = buf;
	size_t n;
	int i;

	if (cmd->to_guest || len > cmd->data_len || ofs > cmd->data_len - len)
		return (EFAULT);
	for (i = 0; i < cmd->niov && len > 0; i++) {
		if (ofs >= cmd->iov[i].iov_len) {
			ofs -= (uint32_t)cmd->iov[i].iov_len;
			continue;
		}
		n = cmd->iov[i].iov_len - ofs;
		if (n > len)
			n = len;
		memcpy(to, (const uint8_t *)cmd->iov[i].iov_base + ofs, n);
		to += n;
		len -= (uint32_t)n;
		ofs = 0;
	}
	return (len == 0 ? 0 : EFAULT);
}

/* --- The back end --- */

static void
scsi_count(struct scsi_cmd *cmd)
{
	struct hvh_stats *st = hvh_stats(cmd->lun->h);

	switch (cmd->blk.op) {
	case BLK_READ:
		st->io_read_bytes += cmd->blk.len;
		break;
	case BLK_WRITE:
	case BLK_ZERO:
		st->io_write_bytes += cmd->blk.len;
		break;
	case BLK_FLUSH:
		st->io_flushes++;
		break;
	case BLK_UNMAP:
		st->io_unmaps++;
		break;
	}
}

static void
scsi_blk_done(struct blk_req *r, int error)
{
	struct scsi_cmd *cmd;
	void (*next)(struct scsi_cmd *);

	cmd = (struct scsi_cmd *)((char *)r - offsetof(struct scsi_cmd, blk));
	next = cmd->next;
	cmd->next = NULL;
	if (error == 0 && next != NULL && cmd->abort_status != 0)
		error = ECANCELED;
	if (error != 0) {
		scsi_errno(cmd, error);
		return;
	}
	scsi_count(cmd);
	if (next != NULL) {
		next(cmd);
		return;
	}
	if (r->op == BLK_READ || r->op == BLK_WRITE)
		cmd->xfer = (uint32_t)r->len;
	scsi_good(cmd);
}

void
scsi_submit(struct scsi_cmd *cmd, enum blk_op op, uint64_t lba, uint64_t count,
    bool fua)
{
	struct blk_req *r = &cmd->blk;
	uint64_t left;
	int i;

	r->op = op;
	r->fua = fua;
	r->ofs = lba * cmd->lun->block_size;
	r->len = count * cmd->lun->block_size;
	r->iov = cmd->iov;
	r->niov = 0;
	if (op == BLK_READ || op == BLK_WRITE) {
		/* The guest's buffer may be longer than the transfer. */
		left = r->len;
		for (i = 0; i < cmd->niov && left > 0; i++) {
			if (cmd->iov[i].iov_len > left)
				cmd->iov[i].iov_len = left;
			left -= cmd->iov[i].iov_len;
		}
		r->niov = i;
	}
	r->done = scsi_blk_done;
	blk_submit(cmd->lun->blk, r);
}

void
scsi_run(struct scsi_lun *lun)
{

	blk_run(lun->blk);
}

/* --- Addresses --- */

void
scsi_cdb_extent(const uint8_t *cdb, uint64_t *lba, uint64_t *count)
{

	switch (cdb[0] >> 5) {
	case 0:
		*lba = scsi_be32(cdb) & 0x1fffff;
		*count = cdb[4] != 0 ? cdb[4] : 256;
		break;
	case 1:
	case 2:
		*lba = scsi_be32(cdb + 2);
		*count = scsi_be16(cdb + 7);
		break;
	case 5:
		*lba = scsi_be32(cdb + 2);
		*count = scsi_be32(cdb + 6);
		break;
	default:
		*lba = scsi_be64(cdb + 2);
		*count = scsi_be32(cdb + 10);
		break;
	}
}

bool
scsi_in_range(const struct scsi_lun *lun, uint64_t lba, uint64_t count)
{

	return (lba <= lun->blocks && count <= lun->blocks - lba);
}

/* --- The start of a command --- */

static void
scsi_request_sense(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t sense[SCSI_SENSE_LEN];
	uint8_t alloc;

	alloc = cmd->cdb[4];
	if ((cmd->cdb[1] & 0x01) != 0 || alloc < 8 || alloc > cmd->data_len ||
	    !cmd->to_guest) {
		scsi_illegal(cmd, ASC_BAD_CDB);
		return;
	}
	if (lun->attention != 0) {
		scsi_fill_sense(sense, SENSE_ATTENTION, lun->attention);
		lun->attention = 0;
	} else {
		scsi_fill_sense(sense, lun->sense_key, lun->sense_asc);
	}
	lun->sense_key = SENSE_NO_SENSE;
	lun->sense_asc = ASC_NONE;
	scsi_reply(cmd, sense, sizeof(sense), alloc);
}

static void
scsi_start(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	uint8_t op = cmd->cdb[0];

	/* A READ CAPACITY or TEST UNIT READY is rare and wants the truth. */
	scsi_look(lun, op == 0x00 || op == 0x25 || op == 0x9e);
	if (op == OP_REQUEST_SENSE) {
		scsi_request_sense(lun, cmd);
		return;
	}
	if (op == OP_INQUIRY) {
		scsi_inquiry(lun, cmd);
		return;
	}
	lun->sense_key = SENSE_NO_SENSE;
	lun->sense_asc = ASC_NONE;
	if (lun->attention != 0 && !(lun->cdrom && op == 0x4a)) {
		scsi_attention(cmd);
		return;
	}
	if (lun->cdrom)
		scsi_cdrom_exec(lun, cmd);
	else
		scsi_disk_exec(lun, cmd);
}

static void
scsi_park(struct scsi_lun *lun, struct scsi_cmd *cmd, enum scsi_park park)
{

	cmd->park = park;
	TAILQ_INSERT_TAIL(&lun->parked, cmd, link);
}

static void
scsi_unpark(struct scsi_lun *lun, struct scsi_cmd *cmd)
{

	if (cmd->park == SCSI_PARKED_TIMER)
		hvh_timer_clear(lun->h, &cmd->timer);
	cmd->park = SCSI_NOT_PARKED;
	TAILQ_REMOVE(&lun->parked, cmd, link);
}

static void
scsi_delay_over(void *arg)
{
	struct scsi_cmd *cmd = arg;
	struct scsi_lun *lun = cmd->lun;

	scsi_unpark(lun, cmd);
	scsi_start(lun, cmd);
	scsi_run(lun);
}

/* True: the fault has the command. */
static bool
scsi_fault(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	struct hvh_fault f;
	size_t len;

	if (!hvh_fault_strikes(lun->h, HVH_FAULT_BLK, cmd->cdb[0], &f))
		return (false);
	switch (f.action) {
	case HVH_FAULT_DROP:
		scsi_park(lun, cmd, SCSI_PARKED_LOST);
		return (true);
	case HVH_FAULT_HOLD:
		scsi_park(lun, cmd, SCSI_PARKED_HELD);
		return (true);
	case HVH_FAULT_DELAY:
		scsi_park(lun, cmd, SCSI_PARKED_TIMER);
		cmd->timer.fn = scsi_delay_over;
		cmd->timer.arg = cmd;
		hvh_timer_set(lun->h, &cmd->timer, hvh_now(lun->h) + f.arg);
		return (true);
	case HVH_FAULT_STATUS:
		cmd->blk.op = cmd->to_guest ? BLK_READ : BLK_WRITE;
		scsi_errno(cmd, (int)f.arg);
		return (true);
	default:
		len = sizeof(cmd->cdb);
		hvh_fault_apply(&f, cmd->cdb, &len);
		memset(cmd->cdb + len, 0, sizeof(cmd->cdb) - len);
		return (false);
	}
}

void
scsi_exec(struct scsi_lun *lun, struct scsi_cmd *cmd)
{
	struct scsi_cmd *held, *tmp;

	cmd->lun = lun;
	cmd->status = SCSI_GOOD;
	cmd->srb_status = SRB_SUCCESS;
	cmd->sense_valid = false;
	cmd->xfer = 0;
	cmd->abort_status = 0;
	cmd->next = NULL;
	cmd->park = SCSI_NOT_PARKED;
	cmd->blk.state = BLK_IDLE;
	lun->busy++;
	hvh_stats(lun->h)->io_requests++;
	if (scsi_fault(lun, cmd))
		return;
	scsi_start(lun, cmd);
	if (TAILQ_EMPTY(&lun->parked))
		return;
	for (held = TAILQ_FIRST(&lun->parked); held != NULL; held = tmp) {
		tmp = TAILQ_NEXT(held, link);
		if (held->park == SCSI_PARKED_HELD) {
			scsi_unpark(lun, held);
			scsi_start(lun, held);
		}
	}
}

void
scsi_abort(struct scsi_cmd *cmd, uint8_t srb_status)
{
	struct scsi_lun *lun = cmd->lun;

	cmd->abort_status = srb_status;
	if (cmd->park != SCSI_NOT_PARKED) {
		scsi_unpark(lun, cmd);
		scsi_errno(cmd, ECANCELED);
		return;
	}
	blk_cancel(lun->blk, &cmd->blk);
}
