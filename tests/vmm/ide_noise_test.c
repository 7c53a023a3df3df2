/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest that does anything at all to the controller's ports and tables.
 * Nothing is asserted meanwhile but that the host stays up (the sanitizers
 * watch); afterwards a reset gets working drives back.
 */

#include <atf-c.h>
#include <string.h>

#include "ata.h"

#define	MB	(1u << 20)

static uint64_t state;

static uint32_t
rnd(void)
{

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((uint32_t)(state >> 16));
}

/* A table of which a part makes sense. */
static void
table(uint32_t at)
{
	uint32_t entry[2];

	for (unsigned i = 0; i < 16; i++) {
		entry[0] = rnd() % 8 == 0 ? rnd() : 0x100000 + rnd() % (8 * MB);
		entry[1] = rnd() % 4 == 0 ? rnd() : 512u << rnd() % 7;
		if (rnd() % 6 == 0)
			entry[1] |= 0x80000000;
		memcpy(m.mem + at + 8 * i, entry, 8);
	}
}

/* A command that may well be one, with registers that may well be right. */
static void
command(const struct ata *a)
{
	static const uint8_t ops[] = { 0x20, 0x24, 0x25, 0x29, 0x30, 0x34,
	    0x35, 0x39, 0x3D, 0x40, 0x42, 0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xCE,
	    0xE7, 0xEC, 0xEF, 0xA0, 0xA0, 0xA0, 0xA1, 0x08, 0x90, 0x91 };

	outb(a->base + 6, (uint8_t)(0xE0 | (rnd() & 0x1F)));
	outb(a->base + 1, (uint8_t)(rnd() & 3));
	for (uint16_t r = 2; r < 6; r++)
		outb(a->base + r, rnd() % 3 == 0 ? (uint8_t)rnd() : r == 2);
	outb(a->base + 7, ops[rnd() % sizeof(ops)]);
}

/* CDBs that a CD-ROM knows. */
static void
cdb(const struct ata *a)
{
	static const uint8_t ops[] = { 0x00, 0x03, 0x08, 0x12, 0x1B, 0x1E,
	    0x25, 0x28, 0x43, 0x46, 0x4A, 0x51, 0x5A, 0xA8 };
	uint8_t p[12];

	for (unsigned i = 0; i < 12; i++)
		p[i] = rnd() % 4 == 0 ? (uint8_t)rnd() : 0;
	p[0] = ops[rnd() % sizeof(ops)];
	for (unsigned i = 0; i < 12; i += 4)
		outl(a->base, p[i] | (uint32_t)p[i + 1] << 8 |
		    (uint32_t)p[i + 2] << 16 | (uint32_t)p[i + 3] << 24);
}

static void
anywhere(const struct ata *a)
{
	static const unsigned sizes[] = { 1, 2, 4 };
	unsigned size = sizes[rnd() % 3];
	uint16_t port;

	switch (rnd() % 4) {
	case 0:
		port = (uint16_t)(a->bm + rnd() % 8);
		break;
	case 1:
		port = a->control;
		break;
	default:
		port = (uint16_t)(a->base + rnd() % 8);
		break;
	}
	if (rnd() % 2 == 0)
		vmm_pio_write(&m, port, size, rnd());
	else
		(void)vmm_pio_read(&m, port, size);
}

static void
step(void)
{
	const struct ata *a = rnd() % 2 == 0 ? &ata0 : &ata1;
	static uint8_t data[1024];
	unsigned n;

	switch (rnd() % 16) {
	case 0:
	case 1:
	case 2:
		command(a);
		break;
	case 3:
		cdb(a);
		break;
	case 4:
	case 5:
		table(0x1000 + rnd() % 64 * 4);
		outl(a->bm + 4, rnd() % 8 == 0 ? rnd() : 0x1000);
		outb(a->bm, (uint8_t)(rnd() & 8));
		outb(a->bm, (uint8_t)(1 | (rnd() & 8)));
		break;
	case 6:
		outb(a->bm, 0);
		break;
	case 7:
		outb(a->control, rnd() % 4 == 0 ? (uint8_t)rnd() : 0);
		break;
	case 8:
	case 9:
		n = rnd() % 600;
		while (n-- > 0)
			(void)inw(a->base);
		break;
	case 10:
	case 11:
		n = rnd() % 300;
		while (n-- > 0)
			outl(a->base, n);
		break;
	case 12:
		hvh_pump(m.h);
		(void)inb(a->base + 7);
		break;
	case 13:
		if (rnd() % 200 == 0)
			vmm_ide_reset(ide);
		break;
	case 14:
		vmm_pio_exit(&m, (uint16_t)(a->base + (rnd() % 8 == 0)),
		    1u << rnd() % 3, rnd() % 2 == 0, data, rnd() % 256);
		break;
	default:
		anywhere(a);
		break;
	}
}

static void
noise(uint64_t seed, unsigned steps)
{
	struct hvh_stats st;
	uint16_t id[256];

	state = seed;
	setup();
	disk(0, 0, "image", 4 * MB, false);
	disk(0, 1, NULL, MB, false);
	disk(1, 0, "far", 200ull << 30, false);
	cdrom(1, 1, "iso", 100);
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (rnd() % 2000 == 0)
			pci_write(7, 1, rnd() % 2 == 0 ? 4 : rnd() % 256,
			    1, rnd());
		else if (rnd() % 100 == 0)
			vmm_pci_reset(pci);
	}
	/* Enough of it has come to something. */
	hvh_get_stats(m.h, &st);
	ATF_CHECK_MSG(st.io_requests > steps / 100 && st.io_write_bytes > 0 &&
	    st.io_read_bytes > 0, "%llu requests",
	    (unsigned long long)st.io_requests);
	vmm_ide_reset(ide);
	vmm_pci_reset(pci);
	ata_identify(&ata0, 0xE0, 0xEC, id);
	ATF_CHECK_EQ(4 * 2048, id[60] | (uint32_t)id[61] << 16);
	ata_identify(&ata0, 0xF0, 0xEC, id);
	ATF_CHECK_EQ(2048, id[60] | (uint32_t)id[61] << 16);
	ata_identify(&ata1, 0xF0, 0xA1, id);
	ATF_CHECK_EQ(0x85C0, id[0]);
	teardown();
}

ATF_TC_WITHOUT_HEAD(seed_1);
ATF_TC_BODY(seed_1, tc)
{

	noise(0x9E3779B97F4A7C15, 150000);
}

ATF_TC_WITHOUT_HEAD(seed_2);
ATF_TC_BODY(seed_2, tc)
{

	noise(0xD1B54A32D192ED03, 150000);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, seed_1);
	ATF_TP_ADD_TC(tp, seed_2);
	return (atf_no_error());
}
