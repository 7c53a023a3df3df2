/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Noise for the PC's devices: ports of all kinds, the IDE controller and its
 * bus master, addresses where nothing lies, the interrupt controllers.
 *
 * What would end or reset the machine is left out of what is written: the
 * noise is to last.  So are INIT and SMI, for which this guest has nobody.
 */

#include "noise.h"

#define	APIC		0xFEE00000u
#define	APIC_EOI	0x0B0u
#define	APIC_ICR	0x300u
#define	IOAPIC		0xFEC00000u

#define	PCI_ADDRESS	0xCF8
#define	PCI_DATA	0xCFC
#define	PCI_IDE		0x80003900u	/* 0:7.1 */
#define	BM_BASE		0xC000u		/* where we put its bus master */
#define	PORT_PM_CONTROL	0x605
#define	PORT_RESET	0xCF9
#define	PORT_FAST	0x92
#define	PORT_KBC	0x64

static volatile uint32_t pci_lock;

/* A byte that goes to a port: without what ends the machine. */
static uint8_t
tame(uint16_t port, uint8_t v)
{

	switch (port) {
	case PORT_PM_CONTROL:
		return (v & ~0x20);		/* SLP_EN */
	case PORT_RESET:
		return (v & ~0x04);
	case PORT_FAST:
		return (v & ~0x01);
	case PORT_KBC:
		/* Pulses of the reset line; the output port's write. */
		if ((v & 0xF1) == 0xF0)
			return (v | 1);
		return (v == 0xD1 ? 0xD2 : v);
	default:
		return (v);
	}
}

static void
tame_all(uint16_t port, unsigned size, uint8_t *p, unsigned count)
{

	/* All of the address register is one register. */
	if (port == PCI_ADDRESS && size == 4)
		return;
	for (unsigned i = 0; i < size * count; i++)
		p[i] = tame((uint16_t)(port + i % size), p[i]);
}

static void
port_write(uint16_t port, unsigned size, uint32_t v)
{
	uint8_t b[4];

	put32(b, v);
	tame_all(port, size, b, 1);
	v = get32(b);
	if (size == 1)
		outb(port, (uint8_t)v);
	else if (size == 2)
		outw(port, (uint16_t)v);
	else
		outl(port, v);
}

static void
port_read(uint16_t port, unsigned size)
{

	if (size == 1)
		(void)inb(port);
	else if (size == 2)
		(void)inw(port);
	else
		(void)inl(port);
}

static void
string_out(uint16_t port, unsigned size, const void *p, uint64_t count)
{

	if (size == 1)
		__asm__ volatile("rep outsb" :
		    "+S"(p), "+c"(count) : "d"(port));
	else if (size == 2)
		__asm__ volatile("rep outsw" :
		    "+S"(p), "+c"(count) : "d"(port));
	else
		__asm__ volatile("rep outsl" :
		    "+S"(p), "+c"(count) : "d"(port));
}

static void
string_in(uint16_t port, unsigned size, void *p, uint64_t count)
{

	if (size == 1)
		__asm__ volatile("rep insb" :
		    "+D"(p), "+c"(count) : "d"(port) : "memory");
	else if (size == 2)
		__asm__ volatile("rep insw" :
		    "+D"(p), "+c"(count) : "d"(port) : "memory");
	else
		__asm__ volatile("rep insl" :
		    "+D"(p), "+c"(count) : "d"(port) : "memory");
}

static void
port_string(struct cpu *c, uint16_t port, unsigned size, bool out)
{
	uint64_t count = 1 + below(c, chance(c, 4) ? PAGE / size : 64);

	if (!out) {
		string_in(port, size, c->page, count);
		return;
	}
	fill(c, c->page, size * count);
	tame_all(port, size, c->page, (unsigned)count);
	string_out(port, size, c->page, count);
}

static const struct {
	uint16_t	 base, len;
} ranges[] = {
	{ 0x3F8, 8 }, { 0x3F8, 8 }, { 0x70, 2 }, { 0x70, 2 }, { 0x600, 16 },
	{ 0xCF8, 8 }, { 0x1F0, 8 }, { 0x170, 8 }, { 0x1F0, 8 }, { 0x3F6, 2 },
	{ 0x376, 2 }, { BM_BASE, 16 }, { 0x20, 2 }, { 0xA0, 2 }, { 0x4D0, 2 },
	{ 0x40, 4 }, { 0x60, 5 }, { 0x80, 16 }, { 0x92, 1 }, { 0, 16 },
};

static uint16_t
any_port(struct cpu *c)
{
	unsigned i = (unsigned)below(c, sizeof(ranges) / sizeof(ranges[0]));

	if (chance(c, 8))
		return ((uint16_t)rnd(c));
	/* At times one that begins before the range. */
	return ((uint16_t)(ranges[i].base + below(c, ranges[i].len) -
	    (chance(c, 8) ? below(c, 4) : 0)));
}

void
noise_port(struct cpu *c)
{
	uint16_t port = any_port(c);
	unsigned size = 1u << below(c, 3);

	/* The table's address is noise_ide()'s part. */
	if (port >= BM_BASE - 4 && port < BM_BASE + 16) {
		port &= ~4;
		size = 1;
	}
	/* The console's bytes cost most: fewer of them. */
	if (port >= 0x3F5 && port <= 0x3F8 && !chance(c, 8))
		port += 4;
	if (chance(c, 6))
		port_string(c, port, size, chance(c, 2));
	else if (chance(c, 2))
		port_read(port, size);
	else
		port_write(port, size, (uint32_t)(chance(c, 4) ? edge(c) :
		    rnd(c)));
}

/* --- PCI and IDE --- */

static void
pci_write(uint8_t reg, uint32_t v)
{

	while (__atomic_exchange_n(&pci_lock, 1, __ATOMIC_ACQUIRE) != 0)
		__builtin_ia32_pause();
	outl(PCI_ADDRESS, PCI_IDE | reg);
	outl(PCI_DATA, v);
	__atomic_store_n(&pci_lock, 0, __ATOMIC_RELEASE);
}

/*
 * Descriptors with wild addresses and lengths; at times they do not end before
 * memory does.  The table itself is no other processor's to change: what comes
 * of it must not be this image's address.
 */
static uint32_t
prd_table(struct cpu *c)
{
	unsigned n = 1 + (unsigned)below(c, 20);
	bool ends = !chance(c, 16);
	uint8_t *e = ends ? c->prd : (uint8_t *)(shared.ram_top - 8 * n);
	uint64_t at = (uint64_t)e;

	for (unsigned i = 0; i < n; i++, e += 8) {
		put32(e, (uint32_t)(chance(c, 2) ? spare(any_gpa(c)) & ~1ull :
		    arena(c, 65536) & ~1ull));
		put32(e + 4, (uint32_t)(chance(c, 4) ? rnd(c) & 0x7FFFFFFF :
		    below(c, 65536) & ~1ull) |
		    (i == n - 1 && ends ? 0x80000000u : 0));
	}
	/* Or where nothing is. */
	return ((uint32_t)(chance(c, 8) ? shared.ram_top +
	    below(c, 1 << 30) : at));
}

static void
ata_command(struct cpu *c, uint16_t base)
{
	static const uint8_t commands[] = {
		0x20, 0x21, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40,
		0x42, 0xA0, 0xA1, 0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xE0, 0xE7,
		0xEA, 0xEC, 0xEF, 0x08, 0x90, 0x10, 0x91, 0xC8, 0xCA, 0x25,
	};

	outb(base + 6, (uint8_t)(chance(c, 4) ? rnd(c) :
	    0xE0 | below(c, 2) << 4));
	/* Twice: the extended commands take the former values as well. */
	for (uint16_t i = 1; i < 6 && !chance(c, 16); i++) {
		outb(base + i, (uint8_t)edge(c));
		outb(base + i, (uint8_t)(chance(c, 2) ? 0 : rnd(c)));
	}
	outb(base + 7, chance(c, 8) ? (uint8_t)rnd(c) :
	    commands[below(c, sizeof(commands))]);
}

/* ATAPI's command block, or data of any other command. */
static void
ata_data(struct cpu *c, uint16_t base)
{
	static const uint8_t ops[] = { 0x00, 0x03, 0x12, 0x1A, 0x1B, 0x1E,
	    0x25, 0x28, 0x2A, 0x43, 0x46, 0x4A, 0x51, 0x5A, 0xA8, 0xAD, 0xBE };
	uint16_t *w = (uint16_t *)(void *)c->page;

	fill(c, c->page, 12);
	c->page[0] = ops[below(c, sizeof(ops))];
	if (chance(c, 2))
		put32(c->page + 2, (uint32_t)below(c, 100) << 24);
	for (unsigned i = 0; i < 6; i++)
		outw(base, w[i]);
	port_string(c, base, chance(c, 2) ? 2 : 4, chance(c, 2));
}

void
noise_ide(struct cpu *c)
{
	unsigned channel = (unsigned)below(c, 2);
	uint16_t base = channel == 0 ? 0x1F0 : 0x170;
	uint16_t bm = BM_BASE + 8 * (uint16_t)channel;
	bool packet = chance(c, 3);

	if (chance(c, 8)) {
		pci_write(0x20, chance(c, 8) ? (uint32_t)rnd(c) : BM_BASE | 1);
		pci_write(0x04, chance(c, 8) ? (uint32_t)rnd(c) : 5);
	}
	outl(bm + 4, prd_table(c));
	ata_command(c, base);
	if (packet) {
		outb(base + 6, 0xA0 | (uint8_t)(below(c, 2) << 4));
		outb(base + 1, (uint8_t)below(c, 4));
		outb(base + 5, (uint8_t)rnd(c));
		outb(base + 7, 0xA0);
		ata_data(c, base);
	} else if (chance(c, 3))
		port_string(c, base, chance(c, 2) ? 2 : 4, chance(c, 2));
	outb(bm, (uint8_t)(1 | (below(c, 2) << 3)));
	if (chance(c, 3))
		outb(bm, 0);
	if (chance(c, 16)) {
		outb(base + 0x206, 4);
		outb(base + 0x206, (uint8_t)below(c, 4) * 2);
	}
	(void)inb(bm + 2);
	(void)inb(base + 7);
	outb(bm + 2, 6);
}

/* --- Memory that is none --- */

void
noise_mmio(struct cpu *c)
{
	static const uint64_t places[] = { 0xC0000000, 0xF8000000, 0xFEC01000,
	    0xFED00000, 0xFFF00000, 0xFFFFF000, 0x100000000, 0x1C0000000 };
	uint64_t at = places[below(c, sizeof(places) / sizeof(places[0]))] +
	    (below(c, PAGE / 8) * 8);

	if (chance(c, 4))
		at = shared.ram_top + (below(c, 1 << 20) & ~7ull);
	if (at >= 0xFEE00000 && at < 0xFEE01000)
		return;
	if (chance(c, 4))
		at += below(c, 8);
	switch (below(c, 6)) {
	case 0:
		*(volatile uint8_t *)at = (uint8_t)rnd(c);
		break;
	case 1:
		*(volatile uint32_t *)at = (uint32_t)rnd(c);
		break;
	case 2:
		*(volatile uint64_t *)at = rnd(c);
		break;
	case 3:
		(void)*(volatile uint16_t *)at;
		break;
	case 4:
		(void)*(volatile uint32_t *)at;
		break;
	default:
		(void)*(volatile uint64_t *)at;
		break;
	}
}

/* Delivery modes that this guest survives: fixed, lowest priority, NMI. */
static uint32_t
delivery(struct cpu *c, uint32_t v)
{
	static const uint32_t modes[] = { 0, 0, 0, 1, 4 };

	return ((v & ~0x700u) | modes[below(c, 5)] << 8);
}

static void
apic_register(struct cpu *c)
{
	volatile uint32_t *apic = (void *)(uintptr_t)APIC;
	uint32_t reg = (uint32_t)below(c, 0x40) * 0x10;
	uint32_t v = (uint32_t)(chance(c, 2) ? edge(c) : rnd(c));

	if (chance(c, 3))
		reg = APIC_ICR;
	if ((reg >= APIC_ICR && reg <= 0x370) || reg == 0x2F0)
		v = delivery(c, v);
	if (chance(c, 4))
		(void)apic[reg / 4];
	else
		apic[reg / 4] = v;
}

void
noise_apic(struct cpu *c)
{
	volatile uint32_t *ioapic = (void *)(uintptr_t)IOAPIC;

	if (chance(c, 3)) {
		ioapic[0] = (uint32_t)(chance(c, 8) ? rnd(c) : below(c, 0x42));
		/* Another processor may have changed the index. */
		if (chance(c, 3))
			(void)ioapic[4];
		else
			ioapic[4] = delivery(c, (uint32_t)rnd(c));
		return;
	}
	apic_register(c);
}

void
pc_restore(void)
{

	pci_write(0x04, 0);
	outb(0x3F6, 2);
	outb(0x376, 2);
	outb(0x21, 0xFF);
	outb(0xA1, 0xFF);
	outb(0x43, 0x30);
}
