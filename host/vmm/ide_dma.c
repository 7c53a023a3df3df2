/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * PIIX4's bus master: a table of guest memory (PRD) for the data of a drive's
 * command.  The table is read when drive and bus master are both ready, each
 * entry once, and the whole command is one request on that memory.  What the
 * status says afterwards is the data sheet's (section 4.2.3):
 *
 *	active	interrupt
 *	0	1	all moved, and the table is used up
 *	1	1	all moved, the table is longer
 *	0	0	the table is too short; nothing was moved, and the
 *			drive goes on waiting
 *	0	1 + error  it names what is no memory; the drive gave up
 */

#include <string.h>

#include "vmm/ide_var.h"

enum prd_result {
	PRD_OK,
	PRD_SHORT,
	PRD_BAD
};

/*
 * Collects memory for the command.  The number of entries is bounded, since a
 * guest may well write a table without an end.
 */
static enum prd_result
ide_dma_gather(struct ide_chan *ch)
{
	uint64_t at = ch->bm_table, left = ch->dma_len;
	uint32_t entry[2], len;
	struct iovec *v;
	uint8_t *p;

	_Static_assert(sizeof(entry) == PRD_SIZE, "an entry");
	ch->niov = 0;
	for (unsigned n = 0; n < IDE_PRDS; n++, at += PRD_SIZE) {
		p = vmm_ptr(ch->ide->m, at, PRD_SIZE);
		if (p == NULL)
			return (PRD_BAD);
		for (unsigned i = 0; i < 2; i++)
			entry[i] = __atomic_load_n((uint32_t *)(void *)p + i,
			    __ATOMIC_RELAXED);
		len = entry[1] & 0xFFFE;
		if (len == 0)
			len = 65536;
		p = vmm_ptr(ch->ide->m, entry[0] & ~1u, len);
		if (p == NULL)
			return (PRD_BAD);
		ch->bm_more = len > left || (entry[1] & PRD_END) == 0;
		if (len > left)
			len = (uint32_t)left;
		v = ch->niov > 0 ? &ch->iov[ch->niov - 1] : NULL;
		if (v != NULL && (uint8_t *)v->iov_base + v->iov_len == p)
			v->iov_len += len;
		else
			ch->iov[ch->niov++] = (struct iovec){ p, len };
		left -= len;
		if (left == 0)
			return (PRD_OK);
		if ((entry[1] & PRD_END) != 0)
			return (PRD_SHORT);
	}
	return (PRD_SHORT);
}

/* Begins if both sides are ready. */
static void
ide_dma_try(struct ide_chan *ch)
{
	enum prd_result res = PRD_BAD;

	if (ch->phase != IDE_DMA_WAIT || (ch->bm_status & BM_ACTIVE) == 0)
		return;
	if (vmm_pci_ide_masters(ch->ide->pci) &&
	    ((ch->bm_command & BM_TO_MEMORY) != 0) == ch->dma_in)
		res = ide_dma_gather(ch);
	switch (res) {
	case PRD_OK:
		ch->dma = true;
		ch->dma_go(ch);
		break;
	case PRD_SHORT:
		ch->bm_status &= (uint8_t)~BM_ACTIVE;
		break;
	case PRD_BAD:
		ch->bm_status &= (uint8_t)~BM_ACTIVE;
		ch->bm_status |= BM_ERROR;
		ide_abort(ch);
		break;
	}
}

void
ide_dma(struct ide_chan *ch, uint64_t len, bool in,
    void (*go)(struct ide_chan *))
{

	ch->dma_len = len;
	ch->dma_in = in;
	ch->dma_go = go;
	ide_busy(ch, IDE_DMA_WAIT);
	ide_dma_try(ch);
}

void
ide_dma_moved(struct ide_chan *ch)
{

	ch->dma = false;
	if (!ch->bm_more)
		ch->bm_status &= (uint8_t)~BM_ACTIVE;
}

/*
 * Once the guest has stopped the bus master, no memory is touched.  A drive
 * in the middle of a command waits for its data anew, from the start.
 */
static void
ide_bm_stop(struct ide_chan *ch)
{

	ch->bm_status &= (uint8_t)~BM_ACTIVE;
	if (ch->phase == IDE_WORK && ch->dma) {
		ide_quiesce(ch);
		ch->dma = false;
		ide_busy(ch, IDE_DMA_WAIT);
	}
}

static void
ide_bm_command(struct ide_chan *ch, uint8_t val)
{
	uint8_t old = ch->bm_command;

	ch->bm_command = val & (BM_START | BM_TO_MEMORY);
	if ((val & ~old & BM_START) != 0) {
		ch->bm_status |= BM_ACTIVE;
		ide_dma_try(ch);
	} else if ((old & ~val & BM_START) != 0) {
		ide_bm_stop(ch);
	}
}

static uint8_t
ide_bm_get(const struct ide_chan *ch, unsigned reg)
{

	switch (reg) {
	case BM_COMMAND:
		return (ch->bm_command);
	case BM_STATUS:
		return (ch->bm_status);
	case BM_TABLE:
	case BM_TABLE + 1:
	case BM_TABLE + 2:
	case BM_TABLE + 3:
		return ((uint8_t)(ch->bm_table >> 8 * (reg - BM_TABLE)));
	default:
		return (0);
	}
}

static void
ide_bm_put(struct ide_chan *ch, unsigned reg, uint8_t val)
{
	unsigned shift;

	switch (reg) {
	case BM_COMMAND:
		ide_bm_command(ch, val);
		break;
	case BM_STATUS:
		val &= BM_ERROR | BM_INTERRUPT | BM_CAPABLE;
		ch->bm_status &= ~(val | BM_CAPABLE);
		ch->bm_status |= val & BM_CAPABLE;
		break;
	case BM_TABLE:
	case BM_TABLE + 1:
	case BM_TABLE + 2:
	case BM_TABLE + 3:
		shift = 8 * (reg - BM_TABLE);
		ch->bm_table &= ~(0xFFu << shift);
		ch->bm_table |= (uint32_t)val << shift;
		ch->bm_table &= ~3u;
		break;
	default:
		break;
	}
}

/* The first of the ports accessed, as an offset; or none of them is there. */
static bool
ide_bm_decode(struct vmm_ide *ide, uint16_t port, unsigned size, unsigned *ofs)
{
	uint16_t base = vmm_pci_ide_ports(ide->pci);

	if (base == 0 || port < base || port + size > base + VMM_PCI_BM_PORTS)
		return (false);
	*ofs = port - base;
	return (true);
}

uint32_t
ide_bm_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_ide *ide = arg;
	uint32_t val = 0;
	unsigned ofs;

	if (!ide_bm_decode(ide, port, size, &ofs))
		return (UINT32_MAX);
	ide_lock(ide);
	for (unsigned i = 0; i < size; i++, ofs++)
		val |= (uint32_t)ide_bm_get(&ide->chan[ofs / BM_REGS],
		    ofs % BM_REGS) << 8 * i;
	ide_unlock(ide);
	return (val);
}

void
ide_bm_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_ide *ide = arg;
	unsigned ofs;

	if (!ide_bm_decode(ide, port, size, &ofs))
		return;
	ide_lock(ide);
	for (unsigned i = 0; i < size; i++, ofs++)
		ide_bm_put(&ide->chan[ofs / BM_REGS], ofs % BM_REGS,
		    (uint8_t)(val >> 8 * i));
	ide_unlock(ide);
}
