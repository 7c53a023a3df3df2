/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Two ATA channels at the PC's ports: registers, interrupts, resets, the way
 * to the back end, and drives.  From ATA/ATAPI-6.  Where it leaves a choice:
 *
 * - registers of a drive that is not there read as zeros, which drivers take
 *   for "nothing here" at once;
 * - while a command is under way, writes to its registers are without effect;
 * - a disk whose controller was removed stays, and fails what it is asked to
 *   do with DF: hardware does not vanish from a cable.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/storvsp_var.h"
#include "vmm/ide_var.h"

/* Between two looks at a back end that is waited for. */
#define	QUIESCE_NS	100000L
#define	QUIESCE_GRUMBLE	100000	/* looks */

static const uint16_t ide_base[2] = { 0x1F0, 0x170 };
static const uint16_t ide_control[2] = { 0x3F6, 0x376 };
static const unsigned ide_irq[2] = { VMM_IRQ_IDE0, VMM_IRQ_IDE1 };

/* --- The lock --- */

void
ide_lock(struct vmm_ide *ide)
{

	hvh_lock(ide->h);
}

/*
 * Most accesses leave the pump nothing to do, least of all the 256 that move
 * a sector.  A run of a back end does: it may have ended the requests of a
 * channel that shares it.
 */
void
ide_unlock(struct vmm_ide *ide)
{
	bool ran = ide->ran;

	ide->ran = false;
	if (ran)
		hvh_unlock(ide->h);
	else
		hvh_unlock_quiet(ide->h);
}

/* --- Interrupts and the end of a command --- */

static void
ide_line(struct ide_chan *ch)
{
	bool line;

	line = ch->intrq && (ch->control & CONTROL_NIEN) == 0;
	if (line == ch->line)
		return;
	ch->line = line;
	if (line)
		ch->bm_status |= BM_INTERRUPT;
	vmm_irq(ch->ide->m, ide_irq[ch->no], line);
}

void
ide_intr(struct ide_chan *ch, bool up)
{

	ch->intrq = up;
	ide_line(ch);
}

void
ide_end(struct ide_chan *ch, uint8_t status, uint8_t error, bool intr)
{

	ch->phase = IDE_IDLE;
	ch->dma = false;
	ch->drv->status = STATUS_DRDY | status;
	if (ch->drv->kind == IDE_DISK)
		ch->drv->status |= STATUS_DSC;
	ch->drv->error = error;
	if (error != 0)
		hvh_stats(ch->ide->h)->io_errors++;
	if (intr)
		ide_intr(ch, true);
}

void
ide_good(struct ide_chan *ch, bool intr)
{

	ide_end(ch, 0, 0, intr);
}

void
ide_abort(struct ide_chan *ch)
{

	ide_end(ch, STATUS_ERR, ERROR_ABRT, true);
}

void
ide_pio(struct ide_chan *ch, enum ide_phase phase, uint32_t pos, uint32_t len,
    void (*next)(struct ide_chan *), bool intr)
{

	ch->phase = phase;
	ch->pos = pos;
	ch->end = pos + len;
	ch->next = next;
	ch->drv->status = STATUS_DRDY | STATUS_DRQ;
	if (ch->drv->kind == IDE_DISK)
		ch->drv->status |= STATUS_DSC;
	if (intr)
		ide_intr(ch, true);
}

void
ide_busy(struct ide_chan *ch, enum ide_phase phase)
{

	ch->phase = phase;
	ch->drv->status = STATUS_BSY;
}

/* --- The back end --- */

void
ide_run(struct ide_chan *ch)
{

	ch->ide->ran = true;
	blk_run(ch->drv->lun->blk);
}

static void
ide_blk_done(struct blk_req *r, int error)
{
	struct ide_chan *ch;
	struct hvh_stats *st;

	ch = (struct ide_chan *)((char *)r - offsetof(struct ide_chan, req));
	ch->working = false;
	if (ch->dropped)
		return;
	st = hvh_stats(ch->ide->h);
	if (error == 0 && r->op == BLK_READ)
		st->io_read_bytes += r->len;
	else if (error == 0 && r->op == BLK_WRITE)
		st->io_write_bytes += r->len;
	else if (error == 0)
		st->io_flushes++;
	ch->ended(ch, error);
}

void
ide_submit(struct ide_chan *ch, enum blk_op op, uint64_t ofs, uint64_t len,
    bool fua, void (*ended)(struct ide_chan *, int))
{
	struct blk_req *r = &ch->req;

	memset(r, 0, sizeof(*r));
	r->op = op;
	r->fua = fua;
	r->ofs = ofs;
	r->len = len;
	r->iov = ch->iov;
	r->niov = ch->niov;
	r->done = ide_blk_done;
	ch->ended = ended;
	ch->working = true;
	ch->packet = false;
	ide_busy(ch, IDE_WORK);
	hvh_stats(ch->ide->h)->io_requests++;
	blk_submit(ch->drv->lun->blk, r);
	ide_run(ch);
}

/*
 * Waits with the pump lock held, for as long as it takes: the memory may be
 * another guest's afterwards.  A request that the kernel has not begun is
 * cancelled.
 */
void
ide_quiesce(struct ide_chan *ch)
{
	static const struct timespec nap = { .tv_nsec = QUIESCE_NS };
	unsigned looks = 0;

	if (!ch->working)
		return;
	ch->dropped = true;
	if (ch->packet)
		scsi_abort(&ch->cmd, 0);
	else
		blk_cancel(ch->drv->lun->blk, &ch->req);
	while (ch->working) {
		ide_run(ch);
		if (!ch->working)
			break;
		nanosleep(&nap, NULL);
		if (++looks == QUIESCE_GRUMBLE)
			hvh_log(ch->ide->h, HVH_LOG_ERROR,
			    "%s: its I/O does not end",
			    ch->drv->lun->blk->name);
	}
	ch->dropped = false;
}

/* --- Resets --- */

void
ide_drive_defaults(struct ide_drive *d)
{

	d->mode = MODE_MWDMA | 2;
	d->multi = d->kind == IDE_DISK ? IDE_MULTI : 0;
	d->cache = d->lun != NULL && !d->lun->blk->write_through;
	d->heads = 16;
	d->track = 63;
}

void
ide_signature(struct ide_drive *d)
{
	bool disk = d->kind == IDE_DISK;

	memset(d->reg, 0, sizeof(d->reg));
	d->reg[IDE_COUNT][0] = 1;
	d->reg[IDE_LBA0][0] = 1;
	d->reg[IDE_LBA1][0] = disk ? 0 : 0x14;
	d->reg[IDE_LBA2][0] = disk ? 0 : 0xEB;
	d->device &= DEVICE_SECOND;
	d->error = ERROR_PASSED;
	/* A packet drive is not ready before its first command. */
	d->status = disk ? STATUS_DRDY | STATUS_DSC : 0;
}

void
ide_diagnose(struct ide_chan *ch)
{

	for (unsigned i = 0; i < 2; i++) {
		ch->drive[i].device = 0;
		if (ch->drive[i].kind != IDE_ABSENT)
			ide_signature(&ch->drive[i]);
	}
	ch->sel = 0;
	ch->phase = IDE_IDLE;
}

/* Stops whatever is under way, half done as it may be. */
static void
ide_stop(struct ide_chan *ch)
{

	ide_quiesce(ch);
	ch->phase = IDE_IDLE;
	ch->dma = false;
	ide_intr(ch, false);
}

static void
ide_set_control(struct ide_chan *ch, uint8_t val)
{
	uint8_t old = ch->control;

	ch->control = val;
	if ((val & ~old & CONTROL_SRST) != 0) {
		ide_stop(ch);
		for (unsigned i = 0; i < 2; i++)
			ch->drive[i].status = STATUS_BSY;
	} else if ((old & ~val & CONTROL_SRST) != 0) {
		ide_diagnose(ch);
	}
	ide_line(ch);
}

static void
ide_power_on(struct ide_chan *ch)
{

	ide_stop(ch);
	ch->control = 0;
	ch->bm_command = 0;
	ch->bm_status = 0;
	ch->bm_table = 0;
	ide_diagnose(ch);
	for (unsigned i = 0; i < 2; i++) {
		struct ide_drive *d = &ch->drive[i];

		ide_drive_defaults(d);
		if (d->kind == IDE_CDROM)
			d->lun->prevented = false;
	}
}

/* --- Ports --- */

/* The data port, the one that matters for speed. */
static uint32_t
ide_data_read(struct ide_chan *ch, unsigned size)
{
	uint32_t n, val = 0;

	if (ch->phase != IDE_PIO_IN)
		return (UINT32_MAX);
	n = ch->end - ch->pos < size ? ch->end - ch->pos : size;
	memcpy(&val, ch->buf + ch->pos, n);
	ch->pos += n;
	if (ch->pos == ch->end)
		ch->next(ch);
	return (val);
}

static void
ide_data_write(struct ide_chan *ch, unsigned size, uint32_t val)
{
	uint32_t n;

	if (ch->phase != IDE_PIO_OUT)
		return;
	n = ch->end - ch->pos < size ? ch->end - ch->pos : size;
	memcpy(ch->buf + ch->pos, &val, n);
	ch->pos += n;
	if (ch->pos == ch->end)
		ch->next(ch);
}

/* REP INSW and OUTSW, which move a block with one lock and one copy. */
static uint32_t
ide_port_many(void *arg, uint16_t port, unsigned size, bool out, void *data,
    uint32_t count)
{
	struct ide_chan *ch = arg;
	enum ide_phase phase = out ? IDE_PIO_OUT : IDE_PIO_IN;
	uint8_t *p = data;
	uint32_t done = 0, len, n;

	if (port != ide_base[ch->no] ||
	    !vmm_pci_ide_decodes(ch->ide->pci, ch->no))
		return (0);
	ide_lock(ch->ide);
	while (done < count && ch->phase == phase) {
		/* The last access of a block may have less than size. */
		len = ch->end - ch->pos;
		n = (len + size - 1) / size;
		if (n > count - done) {
			n = count - done;
			len = n * size;
		}
		if (out) {
			memcpy(ch->buf + ch->pos, p, len);
		} else {
			memcpy(p, ch->buf + ch->pos, len);
			memset(p + len, 0, n * size - len);
		}
		p += n * size;
		done += n;
		ch->pos += len;
		if (ch->pos == ch->end)
			ch->next(ch);
	}
	ide_unlock(ch->ide);
	return (done);
}

static uint8_t
ide_reg_read(struct ide_chan *ch, unsigned reg)
{
	struct ide_drive *d = &ch->drive[ch->sel];

	if (reg == IDE_COMMAND)
		ide_intr(ch, false);
	if (d->kind == IDE_ABSENT)
		return (0);
	switch (reg) {
	case IDE_FEATURE:
		return (d->error);
	case IDE_DEVICE:
		return (d->device | DEVICE_OBSOLETE);
	case IDE_COMMAND:
		return (d->status);
	default:
		return (d->reg[reg][(ch->control & CONTROL_HOB) != 0]);
	}
}

static void
ide_reg_write(struct ide_chan *ch, unsigned reg, uint8_t val)
{
	struct ide_drive *d = &ch->drive[ch->sel];

	ch->control &= (uint8_t)~CONTROL_HOB;
	if (ch->phase != IDE_IDLE || (ch->control & CONTROL_SRST) != 0) {
		/* DEVICE RESET is there to end what hangs. */
		if (reg != IDE_COMMAND || val != IDE_DEVICE_RESET ||
		    ch->phase == IDE_IDLE || d->kind != IDE_CDROM)
			return;
		ide_stop(ch);
	}
	switch (reg) {
	case IDE_DEVICE:
		ch->drive[0].device = ch->drive[1].device = val;
		ch->sel = (val & DEVICE_SECOND) != 0;
		break;
	case IDE_COMMAND:
		ide_intr(ch, false);
		ide_command(ch, d, val);
		break;
	default:
		/* Both listen, whoever is selected. */
		for (unsigned i = 0; i < 2; i++) {
			d = &ch->drive[i];
			d->reg[reg][1] = d->reg[reg][0];
			d->reg[reg][0] = val;
		}
		break;
	}
}

static uint32_t
ide_port_read(void *arg, uint16_t port, unsigned size)
{
	struct ide_chan *ch = arg;
	unsigned reg = port - ide_base[ch->no];
	uint32_t val = 0;

	if (!vmm_pci_ide_decodes(ch->ide->pci, ch->no))
		return (UINT32_MAX);
	ide_lock(ch->ide);
	if (reg == IDE_DATA) {
		val = ide_data_read(ch, size);
	} else {
		for (unsigned i = 0; i < size && reg + i < IDE_REGS; i++)
			val |= (uint32_t)ide_reg_read(ch, reg + i) << 8 * i;
	}
	ide_unlock(ch->ide);
	return (val);
}

static void
ide_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct ide_chan *ch = arg;
	unsigned reg = port - ide_base[ch->no];

	if (!vmm_pci_ide_decodes(ch->ide->pci, ch->no))
		return;
	ide_lock(ch->ide);
	if (reg == IDE_DATA) {
		ide_data_write(ch, size, val);
	} else {
		for (unsigned i = 0; i < size && reg + i < IDE_REGS; i++)
			ide_reg_write(ch, reg + i, (uint8_t)(val >> 8 * i));
	}
	ide_unlock(ch->ide);
}

static uint32_t
ide_control_read(void *arg, uint16_t port, unsigned size)
{
	struct ide_chan *ch = arg;
	uint8_t val = 0;

	if (!vmm_pci_ide_decodes(ch->ide->pci, ch->no))
		return (UINT32_MAX);
	ide_lock(ch->ide);
	if (ch->drive[ch->sel].kind != IDE_ABSENT)
		val = ch->drive[ch->sel].status;
	ide_unlock(ch->ide);
	return (val);
}

static void
ide_control_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct ide_chan *ch = arg;

	if (!vmm_pci_ide_decodes(ch->ide->pci, ch->no))
		return;
	ide_lock(ch->ide);
	ide_set_control(ch, (uint8_t)val);
	ide_unlock(ch->ide);
}

/* --- Drives --- */

static struct ide_drive *
ide_slot(struct vmm_ide *ide, unsigned channel, unsigned drive, int *error)
{
	struct ide_drive *d;

	*error = EINVAL;
	if (channel > 1 || drive > 1)
		return (NULL);
	d = &ide->chan[channel].drive[drive];
	*error = d->kind == IDE_ABSENT ? 0 : EEXIST;
	return (d);
}

/* The controller is removed and about to close the back end. */
static void
ide_disk_gone(void *arg)
{
	struct ide_drive *d = arg;
	struct ide_chan *ch = d->ch;

	if (ch->drv == d && ch->phase != IDE_IDLE) {
		ide_quiesce(ch);
		ide_end(ch, STATUS_DF | STATUS_ERR, ERROR_ABRT, true);
	}
	d->lun = NULL;
}

int
vmm_ide_disk(struct vmm_ide *ide, unsigned channel, unsigned drive,
    struct hvh_scsi *disk)
{
	struct ide_drive *d;
	struct scsi_lun *lun;
	int error;

	ide_lock(ide);
	d = ide_slot(ide, channel, drive, &error);
	lun = error == 0 ? disk->luns[0] : NULL;
	/* Drivers of such controllers know no other sector size. */
	if (error == 0 && (lun == NULL || lun->cdrom ||
	    lun->block_size != IDE_SECTOR))
		error = EINVAL;
	if (error == 0 && lun->gone != NULL)
		error = EEXIST;
	if (error == 0) {
		d->lun = lun;
		d->kind = IDE_DISK;
		lun->gone = ide_disk_gone;
		lun->gone_arg = d;
		ide_drive_defaults(d);
		ide_signature(d);
	}
	ide_unlock(ide);
	return (error);
}

int
vmm_ide_cdrom(struct vmm_ide *ide, unsigned channel, unsigned drive,
    const struct hvh_lun_params *lp)
{
	struct hvh_lun_params p = *lp;
	struct ide_drive *d;
	uint8_t id[16] = { 'i', 'd', 'e', [14] = (uint8_t)channel,
	    [15] = (uint8_t)drive };
	int error;

	p.cdrom = true;
	ide_lock(ide);
	d = ide_slot(ide, channel, drive, &error);
	if (error == 0)
		error = scsi_lun_create(ide->h, &p, id, IDE_BUF, &d->lun);
	if (error == 0) {
		d->kind = IDE_CDROM;
		ide_drive_defaults(d);
		ide_signature(d);
	}
	ide_unlock(ide);
	return (error);
}

/* --- Life --- */

static void
ide_free(struct vmm_ide *ide)
{

	for (unsigned i = 0; i < 2; i++) {
		free(ide->chan[i].buf);
		free(ide->chan[i].iov);
	}
	free(ide);
}

static int
ide_chan_init(struct vmm_ide *ide, unsigned no)
{
	struct ide_chan *ch = &ide->chan[no];
	struct vmm_pio block = { .base = ide_base[no], .len = IDE_REGS,
	    .read = ide_port_read, .write = ide_port_write,
	    .many = ide_port_many, .arg = ch };
	struct vmm_pio control = { .base = ide_control[no], .len = 1,
	    .read = ide_control_read, .write = ide_control_write, .arg = ch };
	int error;

	ch->ide = ide;
	ch->no = no;
	ch->drive[0].ch = ch->drive[1].ch = ch;
	ch->buf = calloc(1, IDE_BUF);
	ch->iov = calloc(IDE_PRDS, sizeof(*ch->iov));
	if (ch->buf == NULL || ch->iov == NULL)
		return (ENOMEM);
	error = vmm_pio_add(ide->m, &block);
	if (error == 0)
		error = vmm_pio_add(ide->m, &control);
	return (error);
}

int
vmm_ide_create(struct vmm *m, struct vmm_pci *pci, struct vmm_ide **ip)
{
	struct vmm_pio bm = { .base = VMM_PCI_BM_BASE, .len = VMM_PCI_BM_RANGE,
	    .read = ide_bm_read, .write = ide_bm_write };
	struct vmm_ide *ide;
	int error;

	ide = calloc(1, sizeof(*ide));
	if (ide == NULL)
		return (ENOMEM);
	ide->m = m;
	ide->h = vmm_hvh(m);
	ide->pci = pci;
	bm.arg = ide;
	error = ide_chan_init(ide, 0);
	if (error == 0)
		error = ide_chan_init(ide, 1);
	if (error == 0)
		error = vmm_pio_add(m, &bm);
	if (error != 0) {
		ide_free(ide);
		return (error);
	}
	*ip = ide;
	return (0);
}

void
vmm_ide_reset(struct vmm_ide *ide)
{

	ide_lock(ide);
	ide_power_on(&ide->chan[0]);
	ide_power_on(&ide->chan[1]);
	ide_unlock(ide);
}

/* Before hvh_destroy(), which takes the lock and the disks with it. */
void
vmm_ide_destroy(struct vmm_ide *ide)
{

	ide_lock(ide);
	for (unsigned i = 0; i < 4; i++) {
		struct ide_chan *ch = &ide->chan[i / 2];
		struct ide_drive *d = &ch->drive[i % 2];

		ide_quiesce(ch);
		if (d->lun == NULL)
			continue;
		if (d->kind == IDE_CDROM)
			scsi_lun_destroy(d->lun);
		else
			d->lun->gone = NULL;
	}
	ide_unlock(ide);
	ide_free(ide);
}
