/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * PACKET (ATA/ATAPI-6, 8.23 and 9.8): the way of a SCSI command to the target
 * and of its data back.  All a CD-ROM's data goes to the guest.
 *
 * Reads go in pieces of the buffer by PIO and straight into the guest's memory
 * by DMA.  The data of all other commands, 64 KiB at most, is collected in the
 * buffer first, as only then its length is known.
 */

#include <string.h>

#include "storage/storvsp_reg.h"
#include "vmm/ide_var.h"

#define	PACKET_LEN	12
#define	CD_SECTOR	2048u
#define	CD_PIECE	(IDE_BUF / CD_SECTOR)

#define	OP_READ6	0x08
#define	OP_READ10	0x28
#define	OP_READ12	0xa8

/* --- To the target --- */

static void
ide_packet_done(struct scsi_cmd *cmd)
{
	struct ide_chan *ch;

	ch = (struct ide_chan *)((char *)cmd - offsetof(struct ide_chan, cmd));
	ch->working = false;
	if (!ch->dropped)
		ch->ended(ch, 0);
}

/* The CDB on ch->iov, which holds len bytes. */
static void
ide_packet_exec(struct ide_chan *ch, const uint8_t *cdb, uint64_t len,
    void (*ended)(struct ide_chan *, int))
{
	struct scsi_cmd *cmd = &ch->cmd;

	memset(cmd, 0, sizeof(*cmd));
	memcpy(cmd->cdb, cdb, sizeof(cmd->cdb));
	cmd->to_guest = true;
	cmd->data_len = (uint32_t)len;
	cmd->iov = ch->iov;
	cmd->niov = ch->niov;
	cmd->iovmax = IDE_PRDS;
	cmd->done = ide_packet_done;
	ch->ended = ended;
	ch->working = true;
	ch->packet = true;
	ide_busy(ch, IDE_WORK);
	scsi_exec(ch->drv->lun, cmd);
	ide_run(ch);
}

static void
ide_packet_exec_buf(struct ide_chan *ch, const uint8_t *cdb,
    void (*ended)(struct ide_chan *, int))
{

	ch->iov[0] = (struct iovec){ ch->buf, IDE_BUF };
	ch->niov = 1;
	ide_packet_exec(ch, cdb, IDE_BUF, ended);
}

/* --- The end --- */

static void
ide_packet_status(struct ide_chan *ch, uint8_t status, uint8_t error)
{

	ch->drv->reg[IDE_COUNT][0] = REASON_COMMAND | REASON_TO_HOST;
	ide_end(ch, status, error, true);
}

/* True: the command has failed, and the guest knows. */
static bool
ide_packet_failed(struct ide_chan *ch)
{
	struct scsi_cmd *cmd = &ch->cmd;
	uint8_t key = SENSE_HARDWARE;

	if (cmd->status == SCSI_GOOD && cmd->srb_status == SRB_SUCCESS)
		return (false);
	if (cmd->sense_valid)
		key = cmd->sense[2] & 0x0F;
	ide_packet_status(ch, STATUS_ERR, (uint8_t)(key << 4 | ERROR_ABRT));
	return (true);
}

/* --- Data by PIO --- */

static void ide_packet_piece(struct ide_chan *ch);
static void ide_packet_next(struct ide_chan *ch);

/* The next DRQ block of what is in the buffer, from pos on. */
static void
ide_packet_block(struct ide_chan *ch, uint32_t pos)
{
	struct ide_drive *d = ch->drv;
	uint32_t n;

	n = ch->got - pos < ch->limit ? ch->got - pos : ch->limit;
	d->reg[IDE_COUNT][0] = REASON_TO_HOST;
	d->reg[IDE_LBA1][0] = (uint8_t)n;
	d->reg[IDE_LBA2][0] = (uint8_t)(n >> 8);
	ide_pio(ch, IDE_PIO_IN, pos, n, ide_packet_next, true);
}

static void
ide_packet_next(struct ide_chan *ch)
{

	if (ch->end < ch->got)
		ide_packet_block(ch, ch->end);
	else if (ch->left > 0)
		ide_packet_piece(ch);
	else
		ide_packet_status(ch, 0, 0);
}

static void
ide_packet_piece_ended(struct ide_chan *ch, int error)
{

	if (ide_packet_failed(ch))
		return;
	ch->got = ch->cmd.xfer;
	if (ch->got == 0)
		ide_packet_status(ch, 0, 0);
	else
		ide_packet_block(ch, 0);
}

/* The next of a read's blocks, by a command that reads those alone. */
static void
ide_packet_piece(struct ide_chan *ch)
{
	uint32_t n = ch->left < CD_PIECE ? ch->left : CD_PIECE;
	uint8_t cdb[SCSI_CDB_LEN] = { OP_READ12 };

	if (ch->cdb[0] != OP_READ6)
		cdb[1] = ch->cdb[1];
	scsi_put32(cdb + 2, (uint32_t)ch->lba);
	scsi_put32(cdb + 6, n);
	ch->lba += n;
	ch->left -= n;
	ide_packet_exec_buf(ch, cdb, ide_packet_piece_ended);
}

/* --- Data by DMA --- */

static void
ide_packet_dma_ended(struct ide_chan *ch, int error)
{

	if (ide_packet_failed(ch))
		return;
	ide_dma_moved(ch);
	ide_packet_status(ch, 0, 0);
}

static void
ide_packet_dma_read(struct ide_chan *ch)
{

	ide_packet_exec(ch, ch->cdb, ch->dma_len, ide_packet_dma_ended);
}

/* What the buffer holds goes to the guest's memory. */
static void
ide_packet_dma_copy(struct ide_chan *ch)
{
	const uint8_t *from = ch->buf;

	for (int i = 0; i < ch->niov; i++) {
		memcpy(ch->iov[i].iov_base, from, ch->iov[i].iov_len);
		from += ch->iov[i].iov_len;
	}
	ide_dma_moved(ch);
	ide_packet_status(ch, 0, 0);
}

static void
ide_packet_reply_ended(struct ide_chan *ch, int error)
{

	if (ch->packet_dma && ch->cmd.xfer > 0 &&
	    ch->cmd.status == SCSI_GOOD && ch->cmd.srb_status == SRB_SUCCESS)
		ide_dma(ch, ch->cmd.xfer, true, ide_packet_dma_copy);
	else
		ide_packet_piece_ended(ch, error);
}

/* --- The command --- */

/* A read of blocks that are there; others tell of themselves at once. */
static bool
ide_packet_reads(struct ide_chan *ch)
{
	uint64_t count, lba;

	if (ch->cdb[0] != OP_READ6 && ch->cdb[0] != OP_READ10 &&
	    ch->cdb[0] != OP_READ12)
		return (false);
	scsi_cdb_extent(ch->cdb, &lba, &count);
	if (count == 0 || !scsi_in_range(ch->drv->lun, lba, count))
		return (false);
	ch->lba = lba;
	ch->left = (uint32_t)count;
	return (true);
}

/* The guest has written the packet. */
static void
ide_packet_given(struct ide_chan *ch)
{
	bool reads;

	memset(ch->cdb, 0, sizeof(ch->cdb));
	memcpy(ch->cdb, ch->buf, PACKET_LEN);
	ch->left = 0;
	reads = ide_packet_reads(ch);
	if (reads && ch->packet_dma)
		ide_dma(ch, (uint64_t)ch->left * CD_SECTOR, true,
		    ide_packet_dma_read);
	else if (reads)
		ide_packet_piece(ch);
	else
		ide_packet_exec_buf(ch, ch->cdb, ide_packet_reply_ended);
}

void
ide_packet(struct ide_chan *ch, struct ide_drive *d)
{

	if ((d->reg[IDE_FEATURE][0] & PACKET_OVL) != 0) {
		ide_abort(ch);
		return;
	}
	ch->packet_dma = (d->reg[IDE_FEATURE][0] & PACKET_DMA) != 0;
	ch->limit = d->reg[IDE_LBA1][0] | (uint32_t)d->reg[IDE_LBA2][0] << 8;
	/* Blocks but the last have an even length; none is empty. */
	ch->limit &= ~1u;
	if (ch->limit == 0)
		ch->limit = 0xFFFE;
	d->reg[IDE_COUNT][0] = REASON_COMMAND;
	ide_pio(ch, IDE_PIO_OUT, 0, PACKET_LEN, ide_packet_given, false);
}
