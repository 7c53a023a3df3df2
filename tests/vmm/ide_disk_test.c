/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * ATA disks by PIO: what a driver's probe sees, data against the image file,
 * errors, resets, and a disk whose controller goes away.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ata.h"
#include "slow_blk.h"

#define	MB	(1u << 20)

static uint8_t buf[256 * SECTOR], back[256 * SECTOR];

static void
file_read(const char *path, void *p, uint32_t len, uint64_t ofs)
{
	int fd = open(path, O_RDONLY);

	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ((ssize_t)len, pread(fd, p, len, (off_t)ofs));
	close(fd);
}

/* A string of IDENTIFY, its bytes in order again. */
static void
text(const uint16_t *id, unsigned word, unsigned len, char *out)
{

	for (unsigned i = 0; i < len; i++)
		out[i] = (char)(id[word + i / 2] >> (i % 2 == 0 ? 8 : 0));
	out[len] = '\0';
}

ATF_TC_WITHOUT_HEAD(identify);
ATF_TC_BODY(identify, tc)
{
	uint16_t id[256];
	uint8_t sum = 0;
	char s[41];

	setup();
	disk(0, 0, NULL, 64 * MB, false);
	ata_identify(&ata0, 0xE0, 0xEC, id);
	ATF_CHECK_EQ(0, id[0] & 0x8000);
	text(id, 27, 40, s);
	ATF_CHECK_STREQ("Virtual HD                              ", s);
	text(id, 10, 20, s);
	ATF_CHECK_STREQ("SERIAL7             ", s);
	ATF_CHECK_EQ(64 * 2048, id[60] | (uint32_t)id[61] << 16);
	ATF_CHECK_EQ(64 * 2048, id[100] | (uint32_t)id[101] << 16);
	ATF_CHECK_EQ(0, id[102] | id[103]);
	ATF_CHECK_EQ(0x0300, id[49] & 0x0300);	/* LBA and DMA */
	ATF_CHECK_EQ(0x7400, id[83] & 0xF400);	/* flush, 48 bits */
	ATF_CHECK_EQ(0x20, id[85] & 0x20);	/* write cache on */
	ATF_CHECK_EQ(0x8010, id[47]);
	ATF_CHECK_EQ(0x0407, id[63]);
	/* 64 MB in the geometry that everybody assumes. */
	ATF_CHECK_EQ(64 * 2048 / 16 / 63, id[1]);
	ATF_CHECK_EQ(16, id[3]);
	ATF_CHECK_EQ(63, id[6]);
	for (unsigned i = 0; i < 512; i++)
		sum = (uint8_t)(sum + ((uint8_t *)id)[i]);
	ATF_CHECK_EQ(0, sum);
	ATF_CHECK_EQ(0xA5, id[255] & 0xFF);
	/* Transfer modes as set; those nobody has are refused. */
	outb(0x1F1, 3);
	outb(0x1F2, 0x42);
	outb(0x1F7, 0xEF);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ata_identify(&ata0, 0xE0, 0xEC, id);
	ATF_CHECK_EQ(0x0407, id[88]);
	ATF_CHECK_EQ(0x0007, id[63]);
	outb(0x1F1, 3);
	outb(0x1F2, 0x47);
	outb(0x1F7, 0xEF);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(4, inb(0x1F1));
	teardown();
}

/* Whatever is asked of them, drives that are not there say zero at once. */
ATF_TC_WITHOUT_HEAD(absent);
ATF_TC_BODY(absent, tc)
{

	setup();
	disk(0, 0, NULL, MB, false);
	outb(0x1F6, 0xF0);
	for (uint16_t p = 0x1F1; p < 0x1F8; p++)
		ATF_CHECK_EQ(0, inb(p));
	outb(0x1F2, 0x55);
	outb(0x1F3, 0xAA);
	ATF_CHECK_EQ(0, inb(0x1F2));
	outb(0x1F7, 0xEC);
	ATF_CHECK_EQ(0, inb(0x3F6));
	ATF_CHECK(!m.line[14]);
	for (uint16_t p = 0x171; p < 0x178; p++)
		ATF_CHECK_EQ(0, inb(p));
	ata_reset(&ata1);
	ATF_CHECK_EQ(0, inb(0x376));
	outb(0x1F6, 0xE0);
	ATF_CHECK_EQ(0x55, inb(0x1F2));
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	ATF_CHECK_EQ(EINVAL, vmm_ide_disk(ide, 2, 0, NULL));
	teardown();
}

ATF_TC_WITHOUT_HEAD(reset_and_diagnostic);
ATF_TC_BODY(reset_and_diagnostic, tc)
{

	setup();
	disk(0, 0, NULL, MB, false);
	disk(0, 1, NULL, MB, false);
	outb(0x1F6, 0xF0);
	outb(0x3F6, 4);
	ATF_CHECK_EQ(0x80, inb(0x3F6));
	outb(0x3F6, 0);
	/* The first drive is selected; both say they are disks, and well. */
	ATF_CHECK_EQ(0xA0, inb(0x1F6));
	for (unsigned i = 0; i < 2; i++) {
		outb(0x1F6, (uint8_t)(0xA0 | i << 4));
		ATF_CHECK_EQ(0x50, inb(0x1F7));
		ATF_CHECK_EQ(1, inb(0x1F1));
		ATF_CHECK_EQ(1, inb(0x1F2));
		ATF_CHECK_EQ(1, inb(0x1F3));
		ATF_CHECK_EQ(0, inb(0x1F4));
		ATF_CHECK_EQ(0, inb(0x1F5));
	}
	outb(0x1F2, 77);
	outb(0x1F7, 0x90);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(1, inb(0x1F1));
	ATF_CHECK_EQ(1, inb(0x1F2));
	ATF_CHECK_EQ(0xA0, inb(0x1F6));
	/* A reset in the middle of a transfer. */
	ata_cmd(&ata0, 0xE0, 0x20, 0, 4, false);
	ATF_CHECK_EQ(0x58, ata_intr(&ata0));
	(void)inw(0x1F0);
	ata_reset(&ata0);
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	ATF_CHECK_EQ(0xFFFF, inw(0x1F0));
	teardown();
}

ATF_TC_WITHOUT_HEAD(interrupts);
ATF_TC_BODY(interrupts, tc)
{

	setup();
	disk(0, 0, NULL, MB, false);
	outb(0x1F7, 0xE5);
	ATF_CHECK(m.line[14]);
	ATF_CHECK_EQ(4, inb(0xC002) & 4);
	ATF_CHECK_EQ(0xFF, inb(0x1F2));
	ATF_CHECK_EQ(0x50, inb(0x3F6));
	ATF_CHECK(m.line[14]);
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	ATF_CHECK(!m.line[14]);
	ATF_CHECK_EQ(1, m.edges[14]);
	/* With nIEN there is none, until it is taken back. */
	outb(0x3F6, 2);
	outb(0x1F7, 0xE5);
	ATF_CHECK(!m.line[14]);
	outb(0x3F6, 0);
	ATF_CHECK(m.line[14]);
	/* A new command takes the old interrupt back. */
	ata_cmd(&ata0, 0xE0, 0x20, 0, 1, false);
	ATF_CHECK_EQ(0x58, ata_intr(&ata0));
	ata_in(&ata0, buf, SECTOR);
	ATF_CHECK(!m.line[14]);
	ATF_CHECK_EQ(0, m.edges[15]);
	teardown();
}

/* Every way to move sectors by PIO, checked against the file. */
ATF_TC_WITHOUT_HEAD(pio);
ATF_TC_BODY(pio, tc)
{
	static const struct {
		uint8_t		 rd, wr;
		bool		 ext;
		unsigned	 block;
	} way[] = {
		{ 0x20, 0x30, false, 1 }, { 0x24, 0x34, true, 1 },
		{ 0xC4, 0xC5, false, 8 }, { 0x29, 0x39, true, 8 },
		{ 0x29, 0xCE, true, 8 },
	};
	uint32_t blocks, count, n;
	uint64_t lba;
	unsigned edges;

	setup();
	disk(0, 0, "image", 64 * MB, false);
	outb(0x1F2, 8);
	outb(0x1F7, 0xC6);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	for (unsigned k = 0; k < 40; k++) {
		unsigned w = k % 5;

		count = 1 + k * 37 % 256;
		lba = k * 7919 % (64 * 2048 - 256);
		blocks = (count + way[w].block - 1) / way[w].block;
		fill(buf, count * SECTOR, k);
		edges = m.edges[14];
		ata_cmd(&ata0, 0xE0, way[w].wr, lba, count, way[w].ext);
		for (uint32_t at = 0; at < count; at += n) {
			ATF_REQUIRE_EQ(0x58, ata_wait(&ata0));
			n = count - at < way[w].block ? count - at :
			    way[w].block;
			ata_out(&ata0, buf + at * SECTOR, n * SECTOR);
			ATF_REQUIRE_EQ(at + n == count ? 0x50 : 0x58,
			    ata_intr(&ata0));
		}
		ATF_CHECK_EQ(blocks, m.edges[14] - edges);
		file_read("image", back, count * SECTOR, lba * SECTOR);
		ATF_REQUIRE(memcmp(buf, back, count * SECTOR) == 0);

		memset(back, 0, sizeof(back));
		edges = m.edges[14];
		ata_cmd(&ata0, 0xE0, way[w].rd, lba, count, way[w].ext);
		for (uint32_t at = 0; at < count; at += n) {
			ATF_REQUIRE_EQ(0x58, ata_intr(&ata0));
			n = count - at < way[w].block ? count - at :
			    way[w].block;
			ata_in(&ata0, back + at * SECTOR, n * SECTOR);
		}
		ATF_CHECK_EQ(0x50, ata_wait(&ata0));
		ATF_CHECK_EQ(blocks, m.edges[14] - edges);
		ATF_REQUIRE(memcmp(buf, back, count * SECTOR) == 0);
	}
	teardown();
}

/* A string instruction longer than the data, and one at another port. */
ATF_TC_WITHOUT_HEAD(strings);
ATF_TC_BODY(strings, tc)
{
	uint16_t w[300];
	uint8_t b[4];

	setup();
	disk(0, 0, NULL, MB, false);
	ata_cmd(&ata0, 0xE0, 0x20, 0, 1, false);
	ATF_CHECK_EQ(0x58, ata_intr(&ata0));
	vmm_pio_exit(&m, 0x1F0, 2, false, w, 300);
	for (unsigned i = 0; i < 300; i++)
		ATF_REQUIRE_EQ(i < 256 ? 0 : 0xFFFF, w[i]);
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	vmm_pio_exit(&m, 0x1F7, 1, false, b, 4);
	for (unsigned i = 0; i < 4; i++)
		ATF_CHECK_EQ(0x50, b[i]);
	/* Wrong way round: nothing moves. */
	ata_cmd(&ata0, 0xE0, 0x30, 0, 1, false);
	vmm_pio_exit(&m, 0x1F0, 2, false, w, 300);
	ATF_CHECK_EQ(0xFFFF, w[0]);
	ATF_CHECK_EQ(0x58, inb(0x1F7));
	vmm_pio_exit(&m, 0x1F0, 2, true, w, 256);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0x20, 0, 1, false);
	ATF_CHECK_EQ(0x58, ata_intr(&ata0));
	ATF_CHECK_EQ(0xFFFF, inw(0x1F0));
	teardown();
}

/* The pump's user is not woken for each word of a sector. */
ATF_TC_WITHOUT_HEAD(data_port_is_quiet);
ATF_TC_BODY(data_port_is_quiet, tc)
{
	unsigned kicks;

	setup();
	disk(0, 0, NULL, MB, false);
	ata_cmd(&ata0, 0xE0, 0x20, 0, 1, false);
	ATF_CHECK_EQ(0x58, ata_intr(&ata0));
	kicks = m.kicks;
	for (unsigned i = 0; i < 256; i++) {
		(void)inw(0x1F0);
		hvh_pump(m.h);
	}
	ATF_CHECK_EQ(kicks, m.kicks);
	teardown();
}

ATF_TC_WITHOUT_HEAD(cylinders);
ATF_TC_BODY(cylinders, tc)
{

	setup();
	disk(0, 0, "image", 64 * MB, false);
	fill(buf, SECTOR, 1);
	/* Cylinder 3, head 2, sector 5: (3 * 16 + 2) * 63 + 4 = 3154. */
	outb(0x1F6, 0xA2);
	outb(0x1F2, 1);
	outb(0x1F3, 5);
	outb(0x1F4, 3);
	outb(0x1F5, 0);
	outb(0x1F7, 0x30);
	ata_out(&ata0, buf, SECTOR);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	file_read("image", back, SECTOR, 3154 * SECTOR);
	ATF_CHECK(memcmp(buf, back, SECTOR) == 0);
	/* The same registers with 4 heads of 10: (3 * 4 + 2) * 10 + 4. */
	outb(0x1F6, 0xA3);
	outb(0x1F2, 10);
	outb(0x1F7, 0x91);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	outb(0x1F6, 0xA2);
	outb(0x1F2, 1);
	outb(0x1F7, 0x30);
	ata_out(&ata0, buf, SECTOR);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	file_read("image", back, SECTOR, 144 * SECTOR);
	ATF_CHECK(memcmp(buf, back, SECTOR) == 0);
	/* The end of the disk, in those terms: cylinder 3276, head 3. */
	outb(0x1F4, 0xCC);
	outb(0x1F5, 0x0C);
	outb(0x1F6, 0xA3);
	outb(0x1F3, 2);
	outb(0x1F7, 0x40);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	outb(0x1F2, 2);
	outb(0x1F7, 0x40);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(0xA3, inb(0x1F6));
	ATF_CHECK_EQ(0x0CCC, inb(0x1F4) | inb(0x1F5) << 8);
	ATF_CHECK_EQ(3, inb(0x1F3));
	/* There is no sector 0, no sector 11 and no head 4. */
	outb(0x1F3, 0);
	outb(0x1F7, 0x20);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(0x10, inb(0x1F1));
	outb(0x1F3, 11);
	outb(0x1F7, 0x40);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	outb(0x1F3, 1);
	outb(0x1F6, 0xA4);
	outb(0x1F7, 0x70);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	outb(0x1F7, 0x10);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	teardown();
}

ATF_TC_WITHOUT_HEAD(errors);
ATF_TC_BODY(errors, tc)
{
	struct slow s;

	setup();
	slow_wrap(&s, disk(0, 0, NULL, MB, false));
	/* The first sector that is not there is named. */
	ata_cmd(&ata0, 0xE0, 0x20, 2047, 2, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(0x10, inb(0x1F1));
	ATF_CHECK_EQ(2048, inb(0x1F3) | inb(0x1F4) << 8 | inb(0x1F5) << 16);
	ata_cmd(&ata0, 0xE0, 0x34, 1ull << 47, 1, true);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(0x10, inb(0x1F1));
	outb(0x3F6, 0x80);
	ATF_CHECK_EQ(0x80, inb(0x1F5));
	outb(0x3F6, 0);
	ATF_CHECK_EQ(0, inb(0x1F5));
	/* Count 0 is 256, and 65536 with 48 bits. */
	ata_cmd(&ata0, 0xE0, 0x40, 2048 - 256, 0, false);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0x40, 2048 - 255, 0, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0x42, 0, 0, true);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	/* What the disk does not know, or is not. */
	ata_cmd(&ata0, 0xE0, 0xA1, 0, 0, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(4, inb(0x1F1));
	ata_cmd(&ata0, 0xE0, 0x00, 0, 0, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0xC6, 0, 3, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0xC6, 0, 0, false);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0xC4, 0, 1, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	/* A medium that fails: the second of three sectors. */
	ata_cmd(&ata0, 0xE0, 0x20, 100, 3, false);
	ATF_CHECK_EQ(0x58, ata_intr(&ata0));
	s.error = EIO;
	ata_in(&ata0, buf, SECTOR);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(0x40, inb(0x1F1));
	ATF_CHECK_EQ(101, inb(0x1F3));
	ATF_CHECK_EQ(0xFFFF, inw(0x1F0));
	s.error = ENOSPC;
	ata_cmd(&ata0, 0xE0, 0x30, 100, 3, false);
	ata_out(&ata0, buf, SECTOR);
	ATF_CHECK_EQ(0x71, ata_intr(&ata0));
	s.error = EIO;
	ata_cmd(&ata0, 0xE0, 0xE7, 0, 0, false);
	ATF_CHECK_EQ(0x71, ata_intr(&ata0));
	teardown();
}

ATF_TC_WITHOUT_HEAD(read_only);
ATF_TC_BODY(read_only, tc)
{
	int fd = open("image", O_WRONLY | O_CREAT, 0666);

	ATF_REQUIRE(fd >= 0 && ftruncate(fd, MB) == 0);
	close(fd);
	setup();
	disk(0, 0, "image", MB, true);
	ata_cmd(&ata0, 0xE0, 0x30, 0, 1, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ATF_CHECK_EQ(4, inb(0x1F1));
	ata_cmd(&ata0, 0xE0, 0xCA, 0, 1, false);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0x20, 0, 1, false);
	ATF_CHECK_EQ(0x58, ata_intr(&ata0));
	teardown();
}

/* Which writes may stay in the cache, and what empties it. */
ATF_TC_WITHOUT_HEAD(cache);
ATF_TC_BODY(cache, tc)
{
	static const uint8_t flush[] = { 0xE7, 0xEA, 0xE0, 0xE2, 0xE6, 0x94 };
	uint16_t id[256];
	struct slow s;

	setup();
	slow_wrap(&s, disk(0, 0, "image", MB, false));
	ata_cmd(&ata0, 0xE0, 0x30, 0, 1, false);
	ata_out(&ata0, buf, SECTOR);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(1, s.writes);
	ATF_CHECK_EQ(0, s.fua);
	ata_cmd(&ata0, 0xE0, 0xCE, 0, 1, true);
	ata_out(&ata0, buf, SECTOR);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(1, s.fua);
	for (unsigned i = 0; i < sizeof(flush); i++) {
		ata_cmd(&ata0, 0xE0, flush[i], 0, 0, false);
		ATF_CHECK_EQ(0x50, ata_intr(&ata0));
		ATF_CHECK_EQ(i + 1, s.flushes);
	}
	/* Off: what is in it goes out, then every write is through. */
	outb(0x1F1, 0x82);
	outb(0x1F7, 0xEF);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(sizeof(flush) + 1, s.flushes);
	ata_identify(&ata0, 0xE0, 0xEC, id);
	ATF_CHECK_EQ(0, id[85] & 0x20);
	ata_cmd(&ata0, 0xE0, 0x30, 0, 1, false);
	ata_out(&ata0, buf, SECTOR);
	ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	ATF_CHECK_EQ(2, s.fua);
	vmm_ide_reset(ide);
	ata_identify(&ata0, 0xE0, 0xEC, id);
	ATF_CHECK_EQ(0x20, id[85] & 0x20);
	teardown();
}

static uint8_t
set_feature(uint8_t feature, uint8_t count)
{

	outb(0x1F1, feature);
	outb(0x1F2, count);
	outb(0x1F7, 0xEF);
	return (ata_intr(&ata0));
}

ATF_TC_WITHOUT_HEAD(features);
ATF_TC_BODY(features, tc)
{
	static const uint8_t modes[] = { 0x00, 0x01, 0x08, 0x0C, 0x20, 0x22,
	    0x40, 0x42 };
	static const uint8_t none[] = { 0x02, 0x0D, 0x10, 0x23, 0x30, 0x43,
	    0x80, 0xFF };
	static const uint8_t power[] = { 0xE1, 0xE3, 0x95, 0x97 };

	setup();
	disk(0, 0, NULL, MB, false);
	for (unsigned i = 0; i < 8; i++) {
		ATF_CHECK_EQ(0x50, set_feature(3, modes[i]));
		ATF_CHECK_EQ(0x51, set_feature(3, none[i]));
	}
	ATF_CHECK_EQ(0x50, set_feature(0x82, 0));
	ATF_CHECK_EQ(0x50, set_feature(0x02, 0));
	ATF_CHECK_EQ(0x50, set_feature(0x55, 0));
	ATF_CHECK_EQ(0x50, set_feature(0xAA, 0));
	ATF_CHECK_EQ(0x50, set_feature(0x66, 0));
	ATF_CHECK_EQ(0x50, set_feature(0xCC, 0));
	ATF_CHECK_EQ(0x51, set_feature(0x05, 0x80));
	for (unsigned i = 0; i < 4; i++) {
		outb(0x1F7, power[i]);
		ATF_CHECK_EQ(0x50, ata_intr(&ata0));
	}
	/* No geometry without sectors. */
	outb(0x1F2, 0);
	outb(0x1F7, 0x91);
	ATF_CHECK_EQ(0x51, ata_intr(&ata0));
	teardown();
}

/* The controller on VMBus is removed under the IDE driver. */
ATF_TC_WITHOUT_HEAD(controller_removed);
ATF_TC_BODY(controller_removed, tc)
{
	struct hvh_scsi *sc;
	struct slow s;

	setup();
	sc = disk(0, 0, NULL, MB, false);
	ATF_CHECK_EQ(EEXIST, vmm_ide_disk(ide, 0, 0, sc));
	ATF_CHECK_EQ(EEXIST, vmm_ide_disk(ide, 0, 1, sc));
	slow_wrap(&s, sc);
	s.hold = true;
	s.lag = 3;
	ata_cmd(&ata0, 0xE0, 0x20, 0, 1, false);
	ATF_CHECK_EQ(0x80, inb(0x3F6));
	hvh_scsi_remove(sc);
	for (unsigned i = 0; i < 5; i++)
		fake_pump(&m);
	ATF_CHECK_EQ(0x71, ata_intr(&ata0));
	ATF_CHECK_EQ(4, inb(0x1F1));
	/* The drive is there still, and good for nothing. */
	ata_reset(&ata0);
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	ata_cmd(&ata0, 0xE0, 0xEC, 0, 0, false);
	ATF_CHECK_EQ(0x71, ata_intr(&ata0));
	ata_cmd(&ata0, 0xE0, 0xC8, 0, 1, false);
	ATF_CHECK_EQ(0x71, ata_intr(&ata0));
	vmm_ide_reset(ide);
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, identify);
	ATF_TP_ADD_TC(tp, absent);
	ATF_TP_ADD_TC(tp, reset_and_diagnostic);
	ATF_TP_ADD_TC(tp, interrupts);
	ATF_TP_ADD_TC(tp, pio);
	ATF_TP_ADD_TC(tp, strings);
	ATF_TP_ADD_TC(tp, data_port_is_quiet);
	ATF_TP_ADD_TC(tp, cylinders);
	ATF_TP_ADD_TC(tp, errors);
	ATF_TP_ADD_TC(tp, read_only);
	ATF_TP_ADD_TC(tp, cache);
	ATF_TP_ADD_TC(tp, features);
	ATF_TP_ADD_TC(tp, controller_removed);
	return (atf_no_error());
}
