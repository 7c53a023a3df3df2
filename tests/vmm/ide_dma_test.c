/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The bus master: data between scattered guest memory and disks, what its
 * status says of tables too short, too long and nonsensical, and that nothing
 * reaches memory after a stop or a reset.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ata.h"
#include "slow_blk.h"
#include "storage/storvsp_var.h"

#define	MB	(1u << 20)
#define	DATA	0x100000u	/* guest memory that tables name */

static uint8_t image[16 * MB];

static void
random_io(const struct ata *a, uint8_t dev, uint64_t base, bool ext)
{
	static uint8_t back[1024 * SECTOR];
	struct prd prd[64];
	uint32_t at, count, len, n, seed = 7;
	uint64_t lba;
	int fd;

	memset(image, 0, sizeof(image));
	for (unsigned k = 0; k < 150; k++) {
		seed = seed * 1103515245 + 12345;
		count = 1 + (seed >> 8) % (ext ? 1024 : 256);
		lba = (seed >> 3) % (sizeof(image) / SECTOR - count);
		/* Pieces of any even length, not in the order of memory. */
		n = 0;
		for (uint32_t left = count * SECTOR; left > 0; left -= len) {
			len = n == 63 ? left : 2 + (seed >> n % 16) % 30000 / 2
			    * 2;
			if (len > 65536)
				len = 65536;
			if (len > left)
				len = left;
			prd[n].addr = DATA + (63 - n) * 65536 + (k % 7) * 2;
			prd[n++].len = len;
		}
		if (k % 3 != 2) {
			at = (uint32_t)lba * SECTOR;
			for (uint32_t i = 0; i < n; i++) {
				fill(m.mem + prd[i].addr, prd[i].len, k + i);
				memcpy(image + at, m.mem + prd[i].addr,
				    prd[i].len);
				at += prd[i].len;
			}
			ATF_REQUIRE_EQ(0x50, ata_dma(a, dev, ext ? k % 2 == 0 ?
			    0x35 : 0x3D : 0xCA, base + lba, count, ext, prd,
			    n));
		}
		for (uint32_t i = 0; i < n; i++)
			memset(m.mem + prd[i].addr, 0x55, prd[i].len);
		ATF_REQUIRE_EQ(0x50, ata_dma(a, dev, ext ? 0x25 : 0xC8,
		    base + lba, count, ext, prd, n));
		at = (uint32_t)lba * SECTOR;
		for (uint32_t i = 0; i < n; i++) {
			ATF_REQUIRE(memcmp(image + at, m.mem + prd[i].addr,
			    prd[i].len) == 0);
			at += prd[i].len;
		}
	}
	fd = open("image", O_RDONLY);
	ATF_REQUIRE(fd >= 0);
	for (at = 0; at < sizeof(image); at += sizeof(back)) {
		ATF_REQUIRE_EQ((ssize_t)sizeof(back), pread(fd, back,
		    sizeof(back), (off_t)(base * SECTOR + at)));
		ATF_REQUIRE(memcmp(image + at, back, sizeof(back)) == 0);
	}
	close(fd);
}

ATF_TC_WITHOUT_HEAD(scattered);
ATF_TC_BODY(scattered, tc)
{

	setup();
	disk(0, 0, "image", sizeof(image), false);
	random_io(&ata0, 0xE0, 0, false);
	teardown();
}

/* Beyond 128 GiB, where 28 bits end, on the other channel's second drive. */
ATF_TC_WITHOUT_HEAD(far);
ATF_TC_BODY(far, tc)
{
	uint64_t base = (200ull << 30) / SECTOR;
	uint16_t id[256];

	setup();
	disk(1, 1, "image", (200ull << 30) + sizeof(image), false);
	ata_identify(&ata1, 0xF0, 0xEC, id);
	ATF_CHECK_EQ(0x0FFFFFFF, id[60] | (uint32_t)id[61] << 16);
	ATF_CHECK_EQ(base + sizeof(image) / SECTOR,
	    id[100] | (uint64_t)id[101] << 16 | (uint64_t)id[102] << 32);
	random_io(&ata1, 0xF0, base, true);
	teardown();
}

/* The largest command there is: 32 MiB, the same memory over and over. */
ATF_TC_WITHOUT_HEAD(largest);
ATF_TC_BODY(largest, tc)
{
	struct prd prd[512];
	struct hvh_stats st;

	setup();
	disk(0, 0, NULL, 33 * MB, false);
	for (unsigned i = 0; i < 512; i++)
		prd[i] = (struct prd){ DATA + i % 2 * 0x20000, 65536 };
	ATF_CHECK_EQ(0x50, ata_dma(&ata0, 0xE0, 0x25, 0, 0, true, prd, 512));
	hvh_get_stats(m.h, &st);
	ATF_CHECK_EQ(32 * MB, st.io_read_bytes);
	ATF_CHECK_EQ(1, st.io_requests);
	teardown();
}

ATF_TC_WITHOUT_HEAD(table_status);
ATF_TC_BODY(table_status, tc)
{
	struct prd prd[3] = { { DATA, 512 }, { DATA + 4096, 256 },
	    { DATA + 8192, 2048 } };

	setup();
	disk(0, 0, NULL, MB, false);
	/* Longer than the data: done, and the bus master waits for more. */
	bm_table(0x1000, prd, 3);
	bm_setup(&ata0, 0x1000);
	ata_cmd(&ata0, 0xE0, 0xC8, 0, 2, false);
	ATF_CHECK_EQ(0x80, inb(0x3F6));
	bm_start(&ata0, true);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(5, inb(0xC002));
	bm_stop(&ata0);
	ATF_CHECK_EQ(4, inb(0xC002));
	outb(0xC002, 4);
	ATF_CHECK_EQ(0, inb(0xC002));
	/* Just right, and the bus master started first. */
	prd[2].len = 256;
	bm_table(0x1000, prd, 3);
	bm_start(&ata0, true);
	ATF_CHECK_EQ(1, inb(0xC002));
	ata_cmd(&ata0, 0xE0, 0xC8, 0, 2, false);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(4, inb(0xC002));
	bm_stop(&ata0);
	/* Too short: no interrupt, no activity, no error; the drive waits. */
	bm_table(0x1000, prd, 2);
	bm_setup(&ata0, 0x1000);
	ata_cmd(&ata0, 0xE0, 0xC8, 0, 2, false);
	bm_start(&ata0, true);
	ATF_CHECK_EQ(0, inb(0xC002));
	ATF_CHECK_EQ(0x80, inb(0x3F6));
	ATF_CHECK(!m.line[14]);
	/* With a table that will do, it goes on. */
	bm_stop(&ata0);
	bm_table(0x1000, prd, 3);
	bm_start(&ata0, true);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	teardown();
}

static void
refused(const struct prd *prd, unsigned n, uint32_t table)
{

	if (n > 0)
		bm_table(table, prd, n);
	bm_setup(&ata0, table);
	ata_cmd(&ata0, 0xE0, 0xC8, 0, 2, false);
	bm_start(&ata0, true);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(4, inb(0x1F1));
	ATF_CHECK_EQ(6, inb(0xC002));
	bm_stop(&ata0);
	outb(0xC002, 2);
	ATF_CHECK_EQ(4, inb(0xC002));
}

ATF_TC_WITHOUT_HEAD(not_memory);
ATF_TC_BODY(not_memory, tc)
{
	struct prd prd[2] = { { DATA, 512 }, { FAKE_MEM - 256, 512 } };

	setup();
	disk(0, 0, NULL, MB, false);
	refused(prd, 2, 0x1000);
	prd[1].addr = 0xFFFFFFFE;
	refused(prd, 2, 0x1000);
	/* The table itself, and one that runs out of memory. */
	refused(NULL, 0, 0xFFFFFFFC);
	memset(m.mem + FAKE_MEM - 64, 0, 64);
	for (unsigned i = 0; i < 8; i++)
		m.mem[FAKE_MEM - 64 + 8 * i + 4] = 2;
	refused(NULL, 0, FAKE_MEM - 64);
	/* Against the direction, or without leave to be a bus master. */
	prd[0].len = 1024;
	bm_table(0x1000, prd, 1);
	bm_setup(&ata0, 0x1000);
	ata_cmd(&ata0, 0xE0, 0xC8, 0, 2, false);
	bm_start(&ata0, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	bm_stop(&ata0);
	pci_write(7, 1, 4, 2, 1);
	refused(prd, 1, 0x1000);
	pci_write(7, 1, 4, 2, 5);
	ATF_CHECK_EQ(0x50, ata_dma(&ata0, 0xE0, 0xC8, 0, 2, false, prd, 1));
	teardown();
}

/* Two bytes an entry and no end: looked at for so long, and no longer. */
ATF_TC_WITHOUT_HEAD(endless_table);
ATF_TC_BODY(endless_table, tc)
{

	setup();
	disk(0, 0, NULL, 33 * MB, false);
	for (uint32_t at = DATA; at < DATA + 8 * MB; at += 8)
		m.mem[at + 4] = 2;
	bm_setup(&ata0, DATA);
	ata_cmd(&ata0, 0xE0, 0x25, 0, 0, true);
	bm_start(&ata0, true);
	ATF_CHECK_EQ(0, inb(0xC002));
	ATF_CHECK_EQ(0x80, inb(0x3F6));
	ata_reset(&ata0);
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	teardown();
}

/* What IDE wrote is what VMBus's back end reads, and the other way round. */
static void
back_end_done(struct blk_req *r, int error)
{

	ATF_CHECK_EQ(0, error);
}

static void
back_end_io(struct hvh_scsi *sc, enum blk_op op, void *p)
{
	struct iovec iov = { p, 4096 };
	struct blk_req r = { .op = op, .ofs = 8192, .len = 4096, .iov = &iov,
	    .niov = 1, .done = back_end_done };

	hvh_lock(m.h);
	blk_submit(sc->luns[0]->blk, &r);
	do {
		blk_run(sc->luns[0]->blk);
	} while (r.state != BLK_IDLE);
	hvh_unlock(m.h);
}

ATF_TC_WITHOUT_HEAD(both_views);
ATF_TC_BODY(both_views, tc)
{
	struct prd prd[1] = { { DATA, 4096 } };
	struct hvh_scsi *sc;
	uint8_t page[4096];

	setup();
	sc = disk(0, 1, "image", MB, false);
	fill(m.mem + DATA, 4096, 1);
	ATF_CHECK_EQ(0x50, ata_dma(&ata0, 0xF0, 0xCA, 16, 8, false, prd, 1));
	back_end_io(sc, BLK_READ, page);
	ATF_CHECK(memcmp(page, m.mem + DATA, 4096) == 0);
	fill(page, 4096, 2);
	back_end_io(sc, BLK_WRITE, page);
	ATF_CHECK_EQ(0x50, ata_dma(&ata0, 0xF0, 0xC8, 16, 8, false, prd, 1));
	ATF_CHECK(memcmp(page, m.mem + DATA, 4096) == 0);
	teardown();
}

/* A read under way, of a disk that does not stop at once. */
static void
under_way(struct slow *s)
{
	struct prd prd[1] = { { DATA, 4096 } };

	s->hold = true;
	s->lag = 5;
	memset(m.mem + DATA, 0, 4096);
	bm_table(0x1000, prd, 1);
	bm_setup(&ata0, 0x1000);
	ata_cmd(&ata0, 0xE0, 0xC8, 0, 8, false);
	bm_start(&ata0, true);
	ATF_REQUIRE(s->held != NULL);
	ATF_CHECK_EQ(1, inb(0xC002));
	ATF_CHECK_EQ(0x80, inb(0x3F6));
}

/* It has stopped by now: the memory is somebody else's. */
static void
stopped(struct slow *s)
{

	ATF_CHECK(s->held == NULL);
	ATF_CHECK_EQ(0xEE, m.mem[DATA]);
	memset(m.mem + DATA, 0, 4096);
	s->hold = false;
	for (unsigned i = 0; i < 10; i++)
		fake_pump(&m);
	ATF_CHECK_EQ(0, m.mem[DATA]);
	ATF_CHECK(!m.line[14]);
}

ATF_TC_WITHOUT_HEAD(stop_under_io);
ATF_TC_BODY(stop_under_io, tc)
{
	struct slow s;

	setup();
	slow_wrap(&s, disk(0, 0, NULL, MB, false));
	/* An orderly end first. */
	under_way(&s);
	slow_release(&s);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	bm_stop(&ata0);
	/* The machine is reset. */
	under_way(&s);
	vmm_ide_reset(ide);
	ATF_CHECK_EQ(0, inb(0xC002));
	ATF_CHECK_EQ(0x50, inb(0x3F6));
	stopped(&s);
	/* The channel is. */
	under_way(&s);
	outb(0x3F6, 4);
	ATF_CHECK(s.held == NULL);
	outb(0x3F6, 0);
	bm_stop(&ata0);
	stopped(&s);
	ATF_CHECK_EQ(0x50, inb(0x3F6));
	/* The bus master is stopped: the drive waits, and may go on. */
	under_way(&s);
	bm_stop(&ata0);
	stopped(&s);
	ATF_CHECK_EQ(0x80, inb(0x3F6));
	ATF_CHECK_EQ(0, inb(0xC002));
	memset(m.mem + DATA, 1, 4096);
	bm_start(&ata0, true);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(0, m.mem[DATA]);
	bm_stop(&ata0);
	/* The machine ends. */
	under_way(&s);
	teardown();
	ATF_CHECK(s.held == NULL);
}

ATF_TC_WITHOUT_HEAD(medium_fails);
ATF_TC_BODY(medium_fails, tc)
{
	struct prd prd[1] = { { DATA, 4096 } };
	struct slow s;

	setup();
	slow_wrap(&s, disk(0, 0, NULL, MB, false));
	s.error = EIO;
	ATF_CHECK_EQ(0x51, ata_dma(&ata0, 0xE0, 0x25, 0x1234 % 2040, 8, true,
	    prd, 1));
	ATF_CHECK_EQ(0x40, inb(0x1F1));
	ATF_CHECK_EQ(0x1234 % 2040, inb(0x1F3) | inb(0x1F4) << 8);
	ATF_CHECK_EQ(0x50, ata_dma(&ata0, 0xE0, 0x25, 0, 8, true, prd, 1));
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, scattered);
	ATF_TP_ADD_TC(tp, far);
	ATF_TP_ADD_TC(tp, largest);
	ATF_TP_ADD_TC(tp, table_status);
	ATF_TP_ADD_TC(tp, not_memory);
	ATF_TP_ADD_TC(tp, endless_table);
	ATF_TP_ADD_TC(tp, both_views);
	ATF_TP_ADD_TC(tp, stop_under_io);
	ATF_TP_ADD_TC(tp, medium_fails);
	return (atf_no_error());
}
