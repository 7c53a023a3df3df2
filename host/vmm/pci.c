/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * PCI bus 0 by configuration mechanism #1, with what a generation-1 machine
 * has there: the 440BX's host bridge, PIIX4's ISA bridge and IDE function,
 * left as firmware leaves them.  PIIX4's power management (0:7.3) is not
 * there: ACPI says where its registers are (pm.c).
 *
 * The lock guards configuration space and is below all others; what ide.c
 * wants to know of it at each port access is one atomic word.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/pci.h"

#define	PCI_ADDRESS	0xCF8
#define	PCI_DATA	0xCFC
#define	PCI_ENABLE	0x80000000u
#define	PCI_ADDRESS_BITS 0x80FFFFFCu

#define	PCI_VENDOR	0x00
#define	PCI_DEVICE	0x02
#define	PCI_COMMAND	0x04
#define	PCI_STATUS	0x06
#define	PCI_REVISION	0x08
#define	PCI_CLASS	0x09	/* programming interface, then two bytes */
#define	PCI_HEADER	0x0E
#define	PCI_BAR4	0x20
#define	PCI_LINE	0x3C

#define	COMMAND_IO	0x01
#define	COMMAND_MEMORY	0x02
#define	COMMAND_MASTER	0x04

#define	ISA_PIRQ	0x60	/* routes of PIRQA# to PIRQD# */
#define	ISA_PIRQ_OFF	0x80

/* PIIX4, chapter 4: IDE timing, a word a channel, and what follows it. */
#define	IDE_TIMING	0x40
#define	IDE_TIMING_END	0x4C
#define	IDE_DECODE	0x80	/* of the timing's high byte */

#define	PCI_FUNCS	3
#define	PCI_IDE		2

struct pci_func {
	uint8_t		 devfn;
	uint8_t		 reg[256];
	uint8_t		 writable[256];
};

struct vmm_pci {
	pthread_mutex_t	 mtx;
	uint32_t	 address;
	struct pci_func	 func[PCI_FUNCS];
	_Atomic uint32_t ide;		/* VIEW_*, ports in the upper half */
};

#define	VIEW_CHANNEL	0x1u		/* shifted by the channel's number */
#define	VIEW_MASTER	0x4u
#define	VIEW_PORTS(v)	((uint16_t)((v) >> 16))

static void
pci_put16(struct pci_func *f, unsigned reg, uint16_t v)
{

	f->reg[reg] = (uint8_t)v;
	f->reg[reg + 1] = (uint8_t)(v >> 8);
}

static void
pci_func(struct pci_func *f, unsigned dev, unsigned fn, uint16_t device,
    uint32_t kind, uint8_t command)
{

	memset(f, 0, sizeof(*f));
	f->devfn = (uint8_t)(dev << 3 | fn);
	pci_put16(f, PCI_VENDOR, 0x8086);
	pci_put16(f, PCI_DEVICE, device);
	f->reg[PCI_COMMAND] = command;
	pci_put16(f, PCI_STATUS, 0x0280);	/* medium DEVSEL#, fast
						 * back-to-back */
	f->reg[PCI_REVISION] = 1;
	f->reg[PCI_CLASS] = (uint8_t)kind;
	pci_put16(f, PCI_CLASS + 1, (uint16_t)(kind >> 8));
	f->writable[PCI_LINE] = 0xFF;
}

/* Under the lock, or before anybody else knows of p. */
static void
pci_view(struct vmm_pci *p)
{
	const uint8_t *r = p->func[PCI_IDE].reg;
	uint32_t v = 0;

	if ((r[PCI_COMMAND] & COMMAND_IO) != 0) {
		v = (uint32_t)(r[PCI_BAR4 + 1] << 8 | (r[PCI_BAR4] & 0xF0)) <<
		    16;
		for (unsigned i = 0; i < 2; i++) {
			if ((r[IDE_TIMING + 2 * i + 1] & IDE_DECODE) != 0)
				v |= VIEW_CHANNEL << i;
		}
	}
	if ((r[PCI_COMMAND] & COMMAND_MASTER) != 0)
		v |= VIEW_MASTER;
	atomic_store(&p->ide, v);
}

static void
pci_power_on(struct vmm_pci *p)
{
	struct pci_func *f;

	p->address = 0;
	f = &p->func[0];
	pci_func(f, 0, 0, 0x7192, 0x060000, COMMAND_MEMORY | COMMAND_MASTER);
	f->reg[PCI_REVISION] = 3;
	f = &p->func[1];
	pci_func(f, 7, 0, 0x7110, 0x060100, COMMAND_IO | COMMAND_MEMORY |
	    COMMAND_MASTER);
	f->reg[PCI_HEADER] = 0x80;	/* there are other functions */
	memset(f->reg + ISA_PIRQ, ISA_PIRQ_OFF, 4);
	memset(f->writable + ISA_PIRQ, 0x8F, 4);
	f = &p->func[PCI_IDE];
	pci_func(f, 7, 1, 0x7111, 0x010180, COMMAND_IO | COMMAND_MASTER);
	f->writable[PCI_COMMAND] = COMMAND_IO | COMMAND_MASTER;
	pci_put16(f, PCI_BAR4, VMM_PCI_BM_BASE | 1);
	f->writable[PCI_BAR4] = 0xF0;
	f->writable[PCI_BAR4 + 1] = 0xFF;
	/* Decoded, and timings for the fastest PIO mode. */
	pci_put16(f, IDE_TIMING, 0xA307);
	pci_put16(f, IDE_TIMING + 2, 0xA307);
	memset(f->writable + IDE_TIMING, 0xFF, IDE_TIMING_END - IDE_TIMING);
	pci_view(p);
}

/* --- Ports --- */

/* The function that the address names, or NULL. */
static struct pci_func *
pci_addressed(struct vmm_pci *p)
{

	if ((p->address & PCI_ENABLE) == 0 || (p->address >> 16 & 0xFF) != 0)
		return (NULL);
	for (unsigned i = 0; i < PCI_FUNCS; i++) {
		if (p->func[i].devfn == (p->address >> 8 & 0xFF))
			return (&p->func[i]);
	}
	return (NULL);
}

/* Narrower accesses than all four bytes are no configuration address; the
 * byte at 0xCF9 is pm.c's. */
static uint32_t
pci_address_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_pci *p = arg;
	uint32_t v = UINT32_MAX;

	pthread_mutex_lock(&p->mtx);
	if (port == PCI_ADDRESS && size == 4)
		v = p->address;
	pthread_mutex_unlock(&p->mtx);
	return (v);
}

static void
pci_address_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_pci *p = arg;

	if (port != PCI_ADDRESS || size != 4)
		return;
	pthread_mutex_lock(&p->mtx);
	p->address = val & PCI_ADDRESS_BITS;
	pthread_mutex_unlock(&p->mtx);
}

static uint32_t
pci_data_read(void *arg, uint16_t port, unsigned size)
{
	struct vmm_pci *p = arg;
	struct pci_func *f;
	uint32_t v = UINT32_MAX;
	unsigned reg;

	pthread_mutex_lock(&p->mtx);
	f = pci_addressed(p);
	if (f != NULL) {
		reg = (p->address & 0xFC) + (port - PCI_DATA);
		v = 0;
		for (unsigned i = 0; i < size; i++)
			v |= (uint32_t)f->reg[(reg + i) & 0xFF] << 8 * i;
	}
	pthread_mutex_unlock(&p->mtx);
	return (v);
}

static void
pci_data_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vmm_pci *p = arg;
	struct pci_func *f;
	unsigned reg;

	pthread_mutex_lock(&p->mtx);
	f = pci_addressed(p);
	for (unsigned i = 0; f != NULL && i < size; i++) {
		reg = ((p->address & 0xFC) + (port - PCI_DATA) + i) & 0xFF;
		f->reg[reg] = (uint8_t)((f->reg[reg] & ~f->writable[reg]) |
		    (val >> 8 * i & f->writable[reg]));
	}
	pci_view(p);
	pthread_mutex_unlock(&p->mtx);
}

/* --- For ide.c --- */

bool
vmm_pci_ide_decodes(const struct vmm_pci *p, unsigned channel)
{

	return ((atomic_load(&p->ide) & VIEW_CHANNEL << channel) != 0);
}

bool
vmm_pci_ide_masters(const struct vmm_pci *p)
{

	return ((atomic_load(&p->ide) & VIEW_MASTER) != 0);
}

uint16_t
vmm_pci_ide_ports(const struct vmm_pci *p)
{

	return (VIEW_PORTS(atomic_load(&p->ide)));
}

/* --- Life --- */

int
vmm_pci_create(struct vmm *m, struct vmm_pci **pp)
{
	struct vmm_pio address = { .base = PCI_ADDRESS, .len = 4,
	    .read = pci_address_read, .write = pci_address_write };
	struct vmm_pio data = { .base = PCI_DATA, .len = 4,
	    .read = pci_data_read, .write = pci_data_write };
	struct vmm_pci *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return (ENOMEM);
	pthread_mutex_init(&p->mtx, NULL);
	pci_power_on(p);
	address.arg = data.arg = p;
	error = vmm_pio_add(m, &address);
	if (error == 0)
		error = vmm_pio_add(m, &data);
	if (error != 0) {
		vmm_pci_destroy(p);
		return (error);
	}
	*pp = p;
	return (0);
}

void
vmm_pci_reset(struct vmm_pci *p)
{

	pthread_mutex_lock(&p->mtx);
	pci_power_on(p);
	pthread_mutex_unlock(&p->mtx);
}

void
vmm_pci_destroy(struct vmm_pci *p)
{

	pthread_mutex_destroy(&p->mtx);
	free(p);
}
