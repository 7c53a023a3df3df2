/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Which command does what, and the commands of disks.  Each DRQ block of a PIO
 * transfer is a request of its own at the back end; a DMA transfer is one
 * request on the guest's memory.  Addresses are checked before any data moves.
 */

#include <errno.h>
#include <string.h>

#include "vmm/ide_var.h"

/* How a command moves data. */
#define	RW_WRITE	0x01
#define	RW_EXT		0x02	/* 48-bit */
#define	RW_DMA		0x04
#define	RW_MULTI	0x08
#define	RW_FUA		0x10

/* Which drives know it. */
#define	ON_DISK		0x1
#define	ON_CDROM	0x2
#define	ON_BOTH		0x3

struct ide_op {
	void		(*fn)(struct ide_chan *, struct ide_drive *,
			    unsigned how);
	uint8_t		 on;
	uint8_t		 how;
};

/* --- Addresses --- */

/* The address that the registers name; UINT64_MAX: none. */
static uint64_t
ide_get_lba(const struct ide_drive *d, bool ext)
{
	uint64_t cylinder, head, lba = 0, sector;

	if (ext) {
		for (int i = 1; i >= 0; i--) {
			lba = lba << 24 | (uint32_t)d->reg[IDE_LBA2][i] << 16 |
			    (uint32_t)d->reg[IDE_LBA1][i] << 8 |
			    d->reg[IDE_LBA0][i];
		}
		return (lba);
	}
	head = d->device & 0x0F;
	cylinder = (uint64_t)d->reg[IDE_LBA2][0] << 8 | d->reg[IDE_LBA1][0];
	sector = d->reg[IDE_LBA0][0];
	if ((d->device & DEVICE_LBA) != 0)
		return (head << 24 | cylinder << 8 | sector);
	if (sector == 0 || sector > d->track || head >= d->heads)
		return (UINT64_MAX);
	return ((cylinder * d->heads + head) * d->track + sector - 1);
}

/* Where a transfer failed. */
static void
ide_put_lba(struct ide_drive *d, uint64_t lba, bool ext)
{
	uint64_t head, sector;

	if (!ext && (d->device & DEVICE_LBA) == 0) {
		sector = lba % d->track + 1;
		head = lba / d->track % d->heads;
		lba = (lba / d->track / d->heads & 0xFFFF) << 8 | sector |
		    head << 24;
	}
	d->reg[IDE_LBA0][0] = (uint8_t)lba;
	d->reg[IDE_LBA1][0] = (uint8_t)(lba >> 8);
	d->reg[IDE_LBA2][0] = (uint8_t)(lba >> 16);
	if (ext) {
		d->reg[IDE_LBA0][1] = (uint8_t)(lba >> 24);
		d->reg[IDE_LBA1][1] = (uint8_t)(lba >> 32);
		d->reg[IDE_LBA2][1] = (uint8_t)(lba >> 40);
	} else {
		d->device = (uint8_t)((d->device & 0xF0) | (lba >> 24 & 0x0F));
	}
}

static uint32_t
ide_get_count(const struct ide_drive *d, bool ext)
{
	uint32_t n = d->reg[IDE_COUNT][0];

	if (!ext)
		return (n != 0 ? n : 256);
	n |= (uint32_t)d->reg[IDE_COUNT][1] << 8;
	return (n != 0 ? n : 65536);
}

/* Takes address and count; false: not all of it is there, and that is said. */
static bool
ide_extent(struct ide_chan *ch, struct ide_drive *d, bool ext)
{
	uint64_t all = ide_sectors(d);

	ch->ext = ext;
	ch->lba = ide_get_lba(d, ext);
	ch->left = ide_get_count(d, ext);
	if (ch->lba < all && ch->left <= all - ch->lba)
		return (true);
	if (ch->lba != UINT64_MAX && ch->lba < all)
		ide_put_lba(d, all, ext);
	ide_end(ch, STATUS_ERR, ERROR_IDNF, true);
	return (false);
}

/* --- Moving data --- */

static void
ide_errno(struct ide_chan *ch, int error)
{

	ide_put_lba(ch->drv, ch->lba, ch->ext);
	if (error == ENODATA)
		ide_end(ch, STATUS_ERR, ERROR_IDNF, true);
	else if (!ch->write && (error == EIO || error == EBADMSG))
		ide_end(ch, STATUS_ERR, ERROR_UNC, true);
	else
		ide_end(ch, STATUS_ERR | STATUS_DF, ERROR_ABRT, true);
}

static uint32_t
ide_block(const struct ide_chan *ch)
{

	return (ch->left < ch->block ? ch->left : ch->block);
}

static void
ide_block_io(struct ide_chan *ch, void (*ended)(struct ide_chan *, int))
{
	size_t len = (size_t)ide_block(ch) * IDE_SECTOR;

	ch->iov[0] = (struct iovec){ ch->buf, len };
	ch->niov = 1;
	ide_submit(ch, ch->write ? BLK_WRITE : BLK_READ, ch->lba * IDE_SECTOR,
	    len, ch->fua, ended);
}

static void ide_read_ended(struct ide_chan *ch, int error);

/* The guest has taken a block. */
static void
ide_read_next(struct ide_chan *ch)
{
	uint32_t n = ide_block(ch);

	ch->lba += n;
	ch->left -= n;
	if (ch->left == 0)
		ide_good(ch, false);
	else
		ide_block_io(ch, ide_read_ended);
}

static void
ide_read_ended(struct ide_chan *ch, int error)
{

	if (error != 0)
		ide_errno(ch, error);
	else
		ide_pio(ch, IDE_PIO_IN, 0, ide_block(ch) * IDE_SECTOR,
		    ide_read_next, true);
}

static void ide_write_ended(struct ide_chan *ch, int error);

/* The guest has given a block. */
static void
ide_write_next(struct ide_chan *ch)
{

	ide_block_io(ch, ide_write_ended);
}

static void
ide_write_ended(struct ide_chan *ch, int error)
{
	uint32_t n = ide_block(ch);

	if (error != 0) {
		ide_errno(ch, error);
		return;
	}
	ch->lba += n;
	ch->left -= n;
	if (ch->left == 0)
		ide_good(ch, true);
	else
		ide_pio(ch, IDE_PIO_OUT, 0, ide_block(ch) * IDE_SECTOR,
		    ide_write_next, true);
}

static void
ide_dma_ended(struct ide_chan *ch, int error)
{

	if (error != 0) {
		ide_errno(ch, error);
		return;
	}
	ide_dma_moved(ch);
	ide_good(ch, true);
}

static void
ide_dma_start(struct ide_chan *ch)
{

	ide_submit(ch, ch->write ? BLK_WRITE : BLK_READ, ch->lba * IDE_SECTOR,
	    (uint64_t)ch->left * IDE_SECTOR, ch->fua, ide_dma_ended);
}

static void
ide_rw(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	ch->write = (how & RW_WRITE) != 0;
	ch->fua = ch->write && ((how & RW_FUA) != 0 || !d->cache);
	ch->block = (how & RW_MULTI) != 0 ? d->multi : 1;
	if ((ch->write && d->lun->blk->readonly) || ch->block == 0) {
		ide_abort(ch);
		return;
	}
	if (!ide_extent(ch, d, (how & RW_EXT) != 0))
		return;
	if ((how & RW_DMA) != 0)
		ide_dma(ch, (uint64_t)ch->left * IDE_SECTOR, !ch->write,
		    ide_dma_start);
	else if (ch->write)
		ide_pio(ch, IDE_PIO_OUT, 0, ide_block(ch) * IDE_SECTOR,
		    ide_write_next, false);
	else
		ide_block_io(ch, ide_read_ended);
}

/* --- The other commands of disks --- */

/* READ VERIFY, SEEK: nothing but the address can be wrong. */
static void
ide_verify(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	if (ide_extent(ch, d, (how & RW_EXT) != 0))
		ide_good(ch, true);
}

static void
ide_seek(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	if (ide_get_lba(d, false) < ide_sectors(d))
		ide_good(ch, true);
	else
		ide_end(ch, STATUS_ERR, ERROR_IDNF, true);
}

static void
ide_flush_ended(struct ide_chan *ch, int error)
{

	if (error != 0)
		ide_end(ch, STATUS_ERR | STATUS_DF, ERROR_ABRT, true);
	else
		ide_good(ch, true);
}

/* FLUSH CACHE, and what stops the disk, which must not lose the cache. */
static void
ide_flush(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	if (d->kind == IDE_CDROM) {
		ide_good(ch, true);
		return;
	}
	ch->niov = 0;
	ide_submit(ch, BLK_FLUSH, 0, 0, false, ide_flush_ended);
}

static void
ide_set_geometry(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	if (d->reg[IDE_COUNT][0] == 0 || ide_sectors(d) == 0) {
		ide_abort(ch);
		return;
	}
	d->heads = (uint8_t)((d->device & 0x0F) + 1);
	d->track = d->reg[IDE_COUNT][0];
	ide_good(ch, true);
}

static void
ide_set_multiple(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{
	uint8_t n = d->reg[IDE_COUNT][0];

	if (n > IDE_MULTI || (n & (n - 1)) != 0) {
		ide_abort(ch);
		return;
	}
	d->multi = n;
	ide_good(ch, true);
}

/* --- Commands of both kinds --- */

static void
ide_nothing(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	ide_good(ch, true);
}

/* NOP: by definition it ends so. */
static void
ide_nop(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	ide_abort(ch);
}

static void
ide_power_mode(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	d->reg[IDE_COUNT][0] = 0xFF;	/* active or idle */
	ide_good(ch, true);
}

static bool
ide_mode_known(uint8_t mode)
{

	if ((mode & 0xF8) == MODE_MWDMA || (mode & 0xF8) == MODE_UDMA)
		return ((mode & 0x07) <= 2);
	return (mode <= 1 || (mode >= MODE_PIO && mode <= (MODE_PIO | 4)));
}

static void
ide_set_features(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{
	uint8_t mode = d->reg[IDE_COUNT][0];

	switch (d->reg[IDE_FEATURE][0]) {
	case FEATURE_MODE:
		if (!ide_mode_known(mode)) {
			ide_abort(ch);
			return;
		}
		if (mode >= MODE_MWDMA)
			d->mode = mode;
		break;
	case FEATURE_CACHE_ON:
	case FEATURE_CACHE_OFF:
		if (d->kind != IDE_DISK || (d->lun->blk->write_through &&
		    d->reg[IDE_FEATURE][0] == FEATURE_CACHE_ON)) {
			ide_abort(ch);
			return;
		}
		d->cache = d->reg[IDE_FEATURE][0] == FEATURE_CACHE_ON;
		/* What is in the cache when it goes has to get out. */
		if (!d->cache) {
			ide_flush(ch, d, 0);
			return;
		}
		break;
	case FEATURE_AHEAD_OFF:
	case FEATURE_AHEAD_ON:
	case FEATURE_KEEP:
	case FEATURE_REVERT:
		break;
	default:
		ide_abort(ch);
		return;
	}
	ide_good(ch, true);
}

static void
ide_identified(struct ide_chan *ch)
{

	ide_good(ch, false);
}

static void
ide_identify(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	ide_identify_disk(d, ch->buf);
	ide_pio(ch, IDE_PIO_IN, 0, IDE_SECTOR, ide_identified, true);
}

static void
ide_identify_packet(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	ide_identify_cdrom(d, ch->buf);
	ide_pio(ch, IDE_PIO_IN, 0, IDE_SECTOR, ide_identified, true);
}

static void
ide_packet_op(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	ide_packet(ch, d);
}

/* Without an interrupt. */
static void
ide_device_reset(struct ide_chan *ch, struct ide_drive *d, unsigned how)
{

	ide_signature(d);
	ch->phase = IDE_IDLE;
}

#define	DISK(fn, how)	{ fn, ON_DISK, how }

static const struct ide_op ide_ops[256] = {
	[0x00] = { ide_nop, ON_BOTH, 0 },
	[0x08] = { ide_device_reset, ON_CDROM, 0 },
	[0x10] = DISK(ide_nothing, 0),		/* RECALIBRATE */
	[0x20] = DISK(ide_rw, 0),		/* READ SECTORS */
	[0x21] = DISK(ide_rw, 0),
	[0x24] = DISK(ide_rw, RW_EXT),
	[0x25] = DISK(ide_rw, RW_DMA | RW_EXT),	/* READ DMA EXT */
	[0x29] = DISK(ide_rw, RW_MULTI | RW_EXT), /* READ MULTIPLE EXT */
	[0x30] = DISK(ide_rw, RW_WRITE),	/* WRITE SECTORS */
	[0x31] = DISK(ide_rw, RW_WRITE),
	[0x34] = DISK(ide_rw, RW_WRITE | RW_EXT),
	[0x35] = DISK(ide_rw, RW_WRITE | RW_DMA | RW_EXT), /* WRITE DMA EXT */
	[0x39] = DISK(ide_rw, RW_WRITE | RW_MULTI | RW_EXT),
	[0x3d] = DISK(ide_rw, RW_WRITE | RW_DMA | RW_EXT | RW_FUA),
	[0x40] = DISK(ide_verify, 0),		/* READ VERIFY */
	[0x41] = DISK(ide_verify, 0),
	[0x42] = DISK(ide_verify, RW_EXT),
	[0x70] = DISK(ide_seek, 0),
	[0x91] = DISK(ide_set_geometry, 0),
	[0x94] = { ide_flush, ON_BOTH, 0 },	/* STANDBY IMMEDIATE */
	[0x95] = { ide_nothing, ON_BOTH, 0 },	/* IDLE IMMEDIATE */
	[0x96] = { ide_flush, ON_BOTH, 0 },	/* STANDBY */
	[0x97] = { ide_nothing, ON_BOTH, 0 },	/* IDLE */
	[0x98] = { ide_power_mode, ON_BOTH, 0 },
	[0x99] = { ide_flush, ON_BOTH, 0 },	/* SLEEP */
	[0xa0] = { ide_packet_op, ON_CDROM, 0 },
	[0xa1] = { ide_identify_packet, ON_CDROM, 0 },
	[0xc4] = DISK(ide_rw, RW_MULTI),	/* READ MULTIPLE */
	[0xc5] = DISK(ide_rw, RW_WRITE | RW_MULTI), /* WRITE MULTIPLE */
	[0xc6] = DISK(ide_set_multiple, 0),
	[0xc8] = DISK(ide_rw, RW_DMA),		/* READ DMA */
	[0xc9] = DISK(ide_rw, RW_DMA),
	[0xca] = DISK(ide_rw, RW_WRITE | RW_DMA), /* WRITE DMA */
	[0xcb] = DISK(ide_rw, RW_WRITE | RW_DMA),
	[0xce] = DISK(ide_rw, RW_WRITE | RW_MULTI | RW_EXT | RW_FUA),
	[0xe0] = { ide_flush, ON_BOTH, 0 },	/* STANDBY IMMEDIATE */
	[0xe1] = { ide_nothing, ON_BOTH, 0 },	/* IDLE IMMEDIATE */
	[0xe2] = { ide_flush, ON_BOTH, 0 },	/* STANDBY */
	[0xe3] = { ide_nothing, ON_BOTH, 0 },	/* IDLE */
	[0xe5] = { ide_power_mode, ON_BOTH, 0 },
	[0xe6] = { ide_flush, ON_BOTH, 0 },	/* SLEEP */
	[0xe7] = DISK(ide_flush, 0),		/* FLUSH CACHE */
	[0xea] = DISK(ide_flush, 0),		/* FLUSH CACHE EXT */
	[0xec] = DISK(ide_identify, 0),
	[0xef] = { ide_set_features, ON_BOTH, 0 },
};

#define	OP_DIAGNOSTIC		0x90
#define	OP_READ_SECTORS		0x20
#define	OP_IDENTIFY		0xec

void
ide_command(struct ide_chan *ch, struct ide_drive *d, uint8_t op)
{
	const struct ide_op *o = &ide_ops[op];

	/* Both obey this one, whoever is selected. */
	if (op == OP_DIAGNOSTIC) {
		ide_diagnose(ch);
		ide_intr(ch, true);
		return;
	}
	if (d->kind == IDE_ABSENT)
		return;
	ch->drv = d;
	if (o->fn != NULL && d->lun == NULL) {
		ide_end(ch, STATUS_DF | STATUS_ERR, ERROR_ABRT, true);
	} else if (o->fn != NULL &&
	    (o->on & (d->kind == IDE_DISK ? ON_DISK : ON_CDROM)) != 0) {
		o->fn(ch, d, o->how);
	} else {
		/* How a driver that asks for a disk finds a packet drive. */
		if (d->kind == IDE_CDROM &&
		    (op == OP_IDENTIFY || op == OP_READ_SECTORS))
			ide_signature(d);
		ide_abort(ch);
	}
}
