/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The ATAPI CD-ROM: how it is found, packets and their data by PIO and DMA,
 * an open tray, errors and their sense.
 */

#include <atf-c.h>
#include <string.h>

#include "ata.h"

#define	SECTORS	200u
#define	DATA	0x100000u

static uint8_t buf[SECTORS * 2048];

static void
start(void)
{

	setup();
	cdrom(1, 0, "iso", SECTORS);
}

static void
check_sectors(const uint8_t *p, uint32_t lba, uint32_t count)
{
	uint32_t v;

	for (uint32_t i = 0; i < count * 512; i++) {
		memcpy(&v, p + 4 * i, 4);
		ATF_REQUIRE_EQ(lba * 512 + i, v);
	}
}

static void
check_signature(void)
{

	ATF_CHECK_EQ(1, inb(0x172));
	ATF_CHECK_EQ(1, inb(0x173));
	ATF_CHECK_EQ(0x14, inb(0x174));
	ATF_CHECK_EQ(0xEB, inb(0x175));
}

/* REQUEST SENSE: key, ASC and ASCQ in one number. */
static uint32_t
sense(void)
{
	static const uint8_t cdb[12] = { 0x03, [4] = 18 };
	uint8_t s[18], status;

	packet(&ata1, cdb, false, 0xFFFE);
	ATF_CHECK_EQ(18, packet_in(&ata1, s, sizeof(s), &status));
	ATF_CHECK_EQ(0x40, status);
	return ((uint32_t)(s[2] & 15) << 16 | (uint32_t)s[12] << 8 | s[13]);
}

/* A packet without data. */
static uint8_t
simple(uint8_t op, uint8_t byte4)
{
	const uint8_t cdb[12] = { op, [4] = byte4 };

	packet(&ata1, cdb, false, 0);
	return (ata_intr(&ata1));
}

static void
read10(uint32_t lba, uint16_t count, bool dma, uint16_t limit)
{
	const uint8_t cdb[12] = { 0x28, 0, (uint8_t)(lba >> 24),
	    (uint8_t)(lba >> 16), (uint8_t)(lba >> 8), (uint8_t)lba, 0,
	    (uint8_t)(count >> 8), (uint8_t)count };

	packet(&ata1, cdb, dma, limit);
}

ATF_TC_WITHOUT_HEAD(identify);
ATF_TC_BODY(identify, tc)
{
	uint16_t id[256];

	start();
	ata_reset(&ata1);
	ATF_CHECK_EQ(0, inb(0x177));
	ATF_CHECK_EQ(1, inb(0x171));
	check_signature();
	/* Asked whether it is a disk, it says no and what it is. */
	outb(0x172, 0);
	outb(0x174, 0);
	outb(0x177, 0xEC);
	ATF_CHECK_EQ(0x41, ata_intr(&ata1));
	ATF_CHECK_EQ(4, inb(0x171));
	check_signature();
	ata_identify(&ata1, 0xA0, 0xA1, id);
	ATF_CHECK_EQ(0x85C0, id[0]);
	ATF_CHECK_EQ('V' << 8 | 'i', id[27]);
	ATF_CHECK_EQ(0x0100, id[49] & 0x0100);
	outb(0x174, 0);
	outb(0x177, 0x08);
	ATF_CHECK(!m.line[15]);
	check_signature();
	/* Nothing that a disk does. */
	outb(0x177, 0xC8);
	ATF_CHECK_EQ(0x41, ata_intr(&ata1));
	outb(0x177, 0xE5);
	ATF_CHECK_EQ(0x40, ata_intr(&ata1));
	teardown();
}

ATF_TC_WITHOUT_HEAD(inquiry);
ATF_TC_BODY(inquiry, tc)
{
	static const uint8_t cdb[12] = { 0x12, [4] = 36 };
	uint8_t status;

	start();
	packet(&ata1, cdb, false, 0xFFFF);
	ATF_CHECK_EQ(36, packet_in(&ata1, buf, sizeof(buf), &status));
	ATF_CHECK_EQ(0x40, status);
	ATF_CHECK_EQ(5, buf[0]);
	ATF_CHECK_EQ(0x80, buf[1]);
	ATF_CHECK(memcmp(buf + 8, "Msft    Virtual DVD-ROM ", 24) == 0);
	/* An odd length: as told, in whole words. */
	packet(&ata1, (const uint8_t[12]){ 0x12, [4] = 5 }, false, 2);
	ATF_CHECK_EQ(5, packet_in(&ata1, buf, sizeof(buf), &status));
	/* Overlapped execution is not offered. */
	outb(0x171, 2);
	outb(0x177, 0xA0);
	ATF_CHECK_EQ(0x41, ata_intr(&ata1));
	teardown();
}

ATF_TC_WITHOUT_HEAD(read_pio);
ATF_TC_BODY(read_pio, tc)
{
	static const uint16_t limits[] = { 0, 0xFFFF, 2048, 2046, 30001, 512 };
	static const uint8_t six[12] = { 0x08, 0, 0, 9, 2 };
	static const uint8_t twelve[12] = { 0xA8, [5] = 150, [9] = 50 };
	unsigned edges;
	uint8_t status;

	start();
	for (unsigned i = 0; i < 6; i++) {
		memset(buf, 0, sizeof(buf));
		read10(3, 100, false, limits[i]);
		ATF_CHECK_EQ(100 * 2048, packet_in(&ata1, buf, sizeof(buf),
		    &status));
		ATF_CHECK_EQ(0x40, status);
		check_sectors(buf, 3, 100);
	}
	/* One interrupt a block of the size agreed on, one for the status. */
	edges = m.edges[15];
	read10(0, 4, false, 2048);
	packet_in(&ata1, buf, sizeof(buf), &status);
	ATF_CHECK_EQ(5, m.edges[15] - edges);
	packet(&ata1, six, false, 0xFFFE);
	ATF_CHECK_EQ(4096, packet_in(&ata1, buf, sizeof(buf), &status));
	check_sectors(buf, 9, 2);
	packet(&ata1, twelve, false, 0xFFFE);
	ATF_CHECK_EQ(50 * 2048, packet_in(&ata1, buf, sizeof(buf), &status));
	check_sectors(buf, 150, 50);
	teardown();
}

ATF_TC_WITHOUT_HEAD(read_dma);
ATF_TC_BODY(read_dma, tc)
{
	struct prd prd[3] = { { DATA + 0x10002, 6000 }, { DATA, 300 },
	    { DATA + 0x8000, 8192 - 6300 } };
	uint8_t status;

	start();
	bm_table(0x1000, prd, 3);
	bm_setup(&ata1, 0x1000);
	read10(77, 4, true, 0);
	bm_start(&ata1, true);
	ATF_CHECK_EQ(0x40, ata_intr(&ata1));
	ATF_CHECK_EQ(4, inb(0xC00A));
	ATF_CHECK_EQ(3, inb(0x172) & 7);
	bm_stop(&ata1);
	memcpy(buf, m.mem + prd[0].addr, 6000);
	memcpy(buf + 6000, m.mem + prd[1].addr, 300);
	memcpy(buf + 6300, m.mem + prd[2].addr, 8192 - 6300);
	check_sectors(buf, 77, 4);
	/* All other data goes that way, too; less of it than the table has. */
	bm_setup(&ata1, 0x1000);
	packet(&ata1, (const uint8_t[12]){ 0x25 }, true, 0);
	bm_start(&ata1, true);
	ATF_CHECK_EQ(0x40, ata_intr(&ata1));
	ATF_CHECK_EQ(5, inb(0xC00A));
	bm_stop(&ata1);
	ATF_CHECK_EQ(SECTORS - 1, m.mem[DATA + 0x10002 + 3]);
	ATF_CHECK_EQ(8, m.mem[DATA + 0x10002 + 6]);
	/* Too short a table, then a reset of the drive alone. */
	bm_table(0x1000, prd, 1);
	bm_setup(&ata1, 0x1000);
	read10(0, 4, true, 0);
	bm_start(&ata1, true);
	ATF_CHECK_EQ(0, inb(0xC00A));
	ATF_CHECK_EQ(0x80, inb(0x376));
	bm_stop(&ata1);
	outb(0x177, 0xE5);
	ATF_CHECK_EQ(0x80, inb(0x376));
	outb(0x177, 0x08);
	ATF_CHECK_EQ(0, inb(0x376));
	check_signature();
	read10(1, 1, false, 0);
	ATF_CHECK_EQ(2048, packet_in(&ata1, buf, sizeof(buf), &status));
	check_sectors(buf, 1, 1);
	teardown();
}

ATF_TC_WITHOUT_HEAD(errors);
ATF_TC_BODY(errors, tc)
{
	struct prd prd[1] = { { DATA, 4096 } };
	uint8_t status;

	start();
	ATF_CHECK_EQ(0x40, simple(0x00, 0));
	/* Not all of it is on the disc, by PIO and by DMA. */
	read10(SECTORS - 1, 2, false, 0);
	ATF_CHECK_EQ(0x41, ata_intr(&ata1));
	ATF_CHECK_EQ(0x54, inb(0x171));
	ATF_CHECK_EQ(3, inb(0x172) & 7);
	ATF_CHECK_EQ(0x052100, sense());
	bm_table(0x1000, prd, 1);
	bm_setup(&ata1, 0x1000);
	read10(0xFFFFFFFF, 2, true, 0);
	bm_start(&ata1, true);
	ATF_CHECK_EQ(0x41, ata_intr(&ata1));
	bm_stop(&ata1);
	ATF_CHECK_EQ(0x052100, sense());
	ATF_CHECK_EQ(0x000000, sense());
	/* A command nobody knows, and a write. */
	ATF_CHECK_EQ(0x41, simple(0xFF, 0));
	ATF_CHECK_EQ(0x052000, sense());
	ATF_CHECK_EQ(0x41, simple(0x2A, 0));
	ATF_CHECK_EQ(0x072700, sense());
	/* Nothing to read is no error. */
	read10(5, 0, false, 0);
	ATF_CHECK_EQ(0, packet_in(&ata1, buf, sizeof(buf), &status));
	ATF_CHECK_EQ(0x40, status);
	teardown();
}

ATF_TC_WITHOUT_HEAD(eject);
ATF_TC_BODY(eject, tc)
{
	uint8_t status;

	start();
	/* Locked, it does not open; a machine's reset unlocks it. */
	ATF_CHECK_EQ(0x40, simple(0x1E, 1));
	ATF_CHECK_EQ(0x41, simple(0x1B, 2));
	ATF_CHECK_EQ(0x055302, sense());
	vmm_ide_reset(ide);
	ATF_CHECK_EQ(0x40, simple(0x1B, 2));
	ATF_CHECK_EQ(0x41, simple(0x00, 0));
	ATF_CHECK_EQ(0x24, inb(0x171));
	ATF_CHECK_EQ(0x023A00, sense());
	read10(0, 1, false, 0);
	ATF_CHECK_EQ(0x41, ata_intr(&ata1));
	ATF_CHECK_EQ(0x023A00, sense());
	/* Closed again: the medium may have changed, then all is well. */
	ATF_CHECK_EQ(0x40, simple(0x1B, 3));
	ATF_CHECK_EQ(0x41, simple(0x00, 0));
	ATF_CHECK_EQ(0x64, inb(0x171));
	ATF_CHECK_EQ(0x40, simple(0x00, 0));
	read10(0, 1, false, 0);
	ATF_CHECK_EQ(2048, packet_in(&ata1, buf, sizeof(buf), &status));
	check_sectors(buf, 0, 1);
	teardown();
}

/* A command that the disk does not answer: resets get the drive back. */
ATF_TC_WITHOUT_HEAD(reset_under_io);
ATF_TC_BODY(reset_under_io, tc)
{
	const struct hvh_fault f = { .point = HVH_FAULT_BLK,
	    .action = HVH_FAULT_DROP, .key = 0x00, .times = 3 };

	start();
	ATF_REQUIRE_EQ(0, hvh_fault_add(m.h, &f));
	for (unsigned i = 0; i < 3; i++) {
		packet(&ata1, (const uint8_t[12]){ 0 }, false, 0);
		ATF_CHECK_EQ(0x80, inb(0x376));
		if (i == 0)
			ata_reset(&ata1);
		else if (i == 1)
			outb(0x177, 0x08);
		else
			vmm_ide_reset(ide);
		ATF_CHECK_EQ(0, inb(0x376));
		ATF_CHECK(!m.line[15]);
	}
	ATF_CHECK_EQ(0x40, simple(0x00, 0));
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, identify);
	ATF_TP_ADD_TC(tp, inquiry);
	ATF_TP_ADD_TC(tp, read_pio);
	ATF_TP_ADD_TC(tp, read_dma);
	ATF_TP_ADD_TC(tp, errors);
	ATF_TP_ADD_TC(tp, eject);
	ATF_TP_ADD_TC(tp, reset_under_io);
	return (atf_no_error());
}
