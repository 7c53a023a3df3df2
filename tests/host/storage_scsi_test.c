/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A disk command by command, without VMBus: good and bad CDBs, short buffers,
 * addresses past the end.
 */

#include <atf-c.h>
#include <ctype.h>
#include <string.h>

#include "scsi_context.h"

TEST(read_write, "what was written by any form is read by any other")
{
	uint32_t i;

	setup(false);
	for (i = 0; i < 4096; i++)
		buf[i] = (uint8_t)(i * 7 + i / 512);
	RUN(false, 4096, 0x2a, 0x08, 0, 0, 0, 16, 0, 0, 8);	/* FUA */
	GOOD(4096);
	memset(buf, 0, sizeof(buf));
	RUN(true, 4096, 0x08, 0, 0, 16, 8);
	GOOD(4096);
	for (i = 0; i < 4096; i++)
		ATF_REQUIRE_EQ((uint8_t)(i * 7 + i / 512), buf[i]);
	RUN(false, 512, 0x0a, 0, 0, 1, 1);
	GOOD(512);
	RUN(false, 512, 0xaa, 0, 0, 0, 0, 2, 0, 0, 0, 1);
	GOOD(512);
	RUN(false, 512, 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1);
	GOOD(512);
	RUN(false, 512, 0x2e, 0, 0, 0, 0, 4, 0, 0, 1);	/* AND VERIFY */
	GOOD(512);
	RUN(false, 512, 0x8e, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1);
	GOOD(512);
	RUN(false, 512, 0xae, 0, 0, 0, 0, 6, 0, 0, 0, 1);
	GOOD(512);
	memset(buf, 0xff, sizeof(buf));
	RUN(true, 6 * 512, 0xa8, 0, 0, 0, 0, 1, 0, 0, 0, 6);
	GOOD(6 * 512);
	for (i = 0; i < 6 * 512; i++)
		ATF_REQUIRE_EQ((uint8_t)((i % 512) * 7), buf[i]);
	RUN(true, 512, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	GOOD(512);
	ATF_CHECK_EQ(0, buf[0]);
	/* A buffer longer than the transfer keeps its tail. */
	buf[512] = 0x5a;
	RUN(true, 1024, 0x28, 0, 0, 0, 0, 1, 0, 0, 1);
	GOOD(512);
	ATF_CHECK_EQ(0x5a, buf[512]);
	teardown();
}

TEST(read_write_counts, "a count of 0 is 256 in the old form, else nothing")
{

	setup(false);
	RUN(true, 256 * 512, 0x08, 0, 0, 0, 0);
	GOOD(256 * 512);
	RUN(true, 255 * 512, 0x08, 0, 0, 0, 0);
	BAD_LBA();
	RUN(true, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0);
	GOOD(0);
	RUN(false, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 0);
	GOOD(0);
	RUN(true, 0, 0x28, 0, 0, 0, 8, 1, 0, 0, 0);
	BAD_LBA();
	teardown();
}

TEST(read_write_bad, "addresses past the end, wrong directions, bad bits")
{

	setup(false);
	/* 2048 blocks: the last is 0x7ff. */
	RUN(true, 512, 0x28, 0, 0, 0, 7, 0xff, 0, 0, 1);
	GOOD(512);
	RUN(true, 1024, 0x28, 0, 0, 0, 7, 0xff, 0, 0, 2);
	BAD_LBA();
	RUN(true, 512, 0x28, 0, 0, 0, 8, 0, 0, 0, 1);
	BAD_LBA();
	RUN(true, 512, 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1);
	BAD_LBA();
	RUN(true, 512, 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	    0, 0, 0, 1);
	BAD_LBA();
	RUN(true, 512, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff);
	BAD_LBA();
	RUN(true, 512, 0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff);
	BAD_LBA();
	RUN(false, 512, 0x8a, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_LBA();
	/* More blocks than the buffer has. */
	RUN(true, 1023, 0x28, 0, 0, 0, 0, 0, 0, 0, 2);
	BAD_LBA();
	RUN(true, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_LBA();
	/* Relative address, protection. */
	RUN(true, 512, 0x28, 0x01, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(true, 512, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	/* Data that flows the other way. */
	RUN(false, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(true, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	/* What is not offered is not pretended. */
	RUN(false, 512, 0x2e, 0x02, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(false, 512, 0x2f, 0x02, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(false, 0, 0x2f, 0, 0, 0, 0, 0, 0, 8, 0);
	GOOD(0);
	RUN(false, 0, 0x2f, 0, 0, 0, 0, 1, 0, 8, 0);
	BAD_LBA();
	RUN(false, 0, 0x8f, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0);
	BAD_LBA();
	teardown();
}

TEST(readonly, "a read-only disk refuses everything that would write")
{

	setup(true);
	RUN(false, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
	SENSE(SRB_ERROR, 7, 0x27, 0);
	RUN(false, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 1);
	SENSE(SRB_ERROR, 7, 0x27, 0);
	RUN(false, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24);
	SENSE(SRB_ERROR, 7, 0x27, 0);
	RUN(false, 0, 0x04);
	SENSE(SRB_ERROR, 7, 0x27, 0);
	RUN(true, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	GOOD(512);
	RUN(true, 192, 0x1a, 0, 0x3f, 0, 192);
	GOOD(24);
	ATF_CHECK_EQ(0x90, buf[2]);
	teardown();
}

TEST(inquiry, "INQUIRY and its vital product data")
{
	unsigned i;

	setup(false);
	memset(buf, 0xee, 256);
	RUN(true, 255, 0x12, 0, 0, 0, 255);
	GOOD(104);
	ATF_CHECK_EQ(0, buf[0]);
	ATF_CHECK_EQ(0, buf[1]);
	ATF_CHECK_EQ(5, buf[2]);
	ATF_CHECK_EQ(2, buf[3]);
	ATF_CHECK_EQ(99, buf[4]);
	ATF_CHECK_EQ(2, buf[7]);
	ATF_CHECK(memcmp(buf + 8, "Msft    Virtual Disk    1.0 ", 28) == 0);
	ATF_CHECK_EQ(0xee, buf[104]);
	RUN(true, 36, 0x12, 0xe0, 0, 0, 36);	/* the LUN in byte 1 */
	GOOD(36);
	RUN(true, 36, 0x12, 0, 0, 0, 37);
	BAD_CDB();
	RUN(true, 36, 0x12, 0, 0, 0, 4);
	BAD_CDB();
	RUN(true, 36, 0x12, 0, 0x80, 0, 36);
	BAD_CDB();
	RUN(true, 36, 0x12, 0x02, 0, 0, 36);
	BAD_CDB();
	RUN(false, 36, 0x12, 0, 0, 0, 36);
	BAD_CDB();

	RUN(true, 64, 0x12, 1, 0x00, 0, 64);
	GOOD(10);
	ATF_CHECK(memcmp(buf, "\0\0\0\6\0\x80\x83\xb0\xb1\xb2", 10) == 0);
	RUN(true, 64, 0x12, 1, 0x80, 0, 64);
	GOOD(24);
	ATF_CHECK(memcmp(buf, "\0\x80\0\x14" "0F10", 8) == 0);
	for (i = 8; i < 24; i++)
		ATF_CHECK(isxdigit(buf[i]));
	RUN(true, 64, 0x12, 1, 0x83, 0, 64);
	GOOD(52);
	ATF_CHECK(memcmp(buf, "\0\x83\0\x30\1\1\0\x18Msft    ", 16) == 0);
	ATF_CHECK(memcmp(buf + 32, "\1\3\0\x10\x60\2\x24\x80\1\2\3\4\5\6"
	    "\x0b\x0c\x0d\x0e\x0f\x10", 20) == 0);
	RUN(true, 64, 0x12, 1, 0xb0, 0, 64);
	GOOD(64);
	ATF_CHECK_EQ(2048, scsi_be32(buf + 8));
	ATF_CHECK_EQ(UINT32_MAX, scsi_be32(buf + 20));
	ATF_CHECK_EQ(4095, scsi_be32(buf + 24));
	ATF_CHECK_EQ(8, scsi_be32(buf + 28));
	ATF_CHECK_EQ(0x80000000u, scsi_be32(buf + 32));
	ATF_CHECK_EQ(2048, scsi_be64(buf + 36));
	RUN(true, 64, 0x12, 1, 0xb1, 0, 64);
	GOOD(64);
	ATF_CHECK_EQ(1, scsi_be16(buf + 4));
	RUN(true, 64, 0x12, 1, 0xb2, 0, 64);
	GOOD(8);
	ATF_CHECK_EQ(0x80, buf[5] & 0x80);
	ATF_CHECK_EQ(2, buf[6]);
	RUN(true, 64, 0x12, 1, 0x86, 0, 64);
	BAD_CDB();
	teardown();
}

TEST(no_unmap, "a disk without thin provisioning neither offers nor does it")
{
	struct hvh_blk_params bp = { .size = 1 << 20, .block_size = 4096 };

	setup_params(&bp, false, true);
	RUN(true, 64, 0x12, 1, 0x00, 0, 64);
	GOOD(9);
	RUN(true, 64, 0x12, 1, 0xb2, 0, 64);
	BAD_CDB();
	RUN(false, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24);
	BAD_CDB();
	RUN(false, 4096, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(true, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
	GOOD(32);
	ATF_CHECK_EQ(255, scsi_be64(buf));
	ATF_CHECK_EQ(4096, scsi_be32(buf + 8));
	ATF_CHECK_EQ(0, buf[13]);
	ATF_CHECK_EQ(0, buf[14]);
	teardown();
}

TEST(capacity, "READ CAPACITY, and buffers too small for it")
{

	setup(false);
	RUN(true, 8, 0x25);
	GOOD(8);
	ATF_CHECK_EQ(2047, scsi_be32(buf));
	ATF_CHECK_EQ(512, scsi_be32(buf + 4));
	RUN(true, 7, 0x25);
	SENSE(SRB_DATA_OVERRUN, 5, 0x24, 0);
	RUN(true, 8, 0x25, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(true, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
	GOOD(32);
	ATF_CHECK_EQ(2047, scsi_be64(buf));
	ATF_CHECK_EQ(512, scsi_be32(buf + 8));
	ATF_CHECK_EQ(3, buf[13]);
	ATF_CHECK_EQ(0xc0, buf[14]);
	RUN(true, 12, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12);
	GOOD(12);
	RUN(true, 11, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11);
	SENSE(SRB_DATA_OVERRUN, 5, 0x24, 0);
	RUN(true, 32, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
	BAD_OP();
	RUN(true, 32, 0x9e, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
	BAD_CDB();
	teardown();
}

TEST(mode, "MODE SENSE and MODE SELECT of the caching page")
{
	struct hvh_blk_params bp = { .size = 1 << 20, .block_size = 512,
	    .write_through = true };
	uint8_t page[28];

	setup(false);
	RUN(true, 64, 0x1a, 0, 0x08, 0, 64);
	/* FreeBSD's da never flushes where the page is shorter. */
	GOOD(24);
	ATF_CHECK(memcmp(buf, "\x17\0\x10\0\x08\x12\x04", 7) == 0);
	/* What cannot be changed; what was saved. */
	RUN(true, 64, 0x1a, 0, 0x48, 0, 64);
	GOOD(24);
	ATF_CHECK_EQ(0, buf[6]);
	RUN(true, 64, 0x1a, 0, 0xc8, 0, 64);
	SENSE(SRB_INVALID_REQUEST, 5, 0x39, 0);
	RUN(true, 64, 0x1a, 0, 0x0a, 0, 64);
	BAD_CDB();
	RUN(true, 64, 0x1a, 0, 0x08, 1, 64);
	BAD_CDB();
	RUN(true, 64, 0x1a, 0, 0x08, 0, 65);
	BAD_CDB();
	RUN(true, 64, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 64);
	GOOD(28);
	ATF_CHECK(memcmp(buf, "\0\x1a\0\x10\0\0\0\0\x08\x12\x04", 11) == 0);
	memcpy(page, buf, sizeof(page));

	/* The page as it came. */
	page[1] = 0;
	memcpy(buf, page, 28);
	RUN(false, 28, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 28);
	GOOD(28);
	/* The short page of old standards is taken as well. */
	buf[9] = 0x0a;
	RUN(false, 20, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 20);
	GOOD(20);
	buf[10] = 0;
	RUN(false, 20, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 20);
	SENSE(SRB_INVALID_REQUEST, 5, 0x26, 0);
	buf[10] = 4;
	buf[8] = 0x0a;
	RUN(false, 20, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 20);
	SENSE(SRB_INVALID_REQUEST, 5, 0x26, 0);
	RUN(false, 20, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 19);
	SENSE(SRB_INVALID_REQUEST, 5, 0x1a, 0);
	RUN(false, 20, 0x55, 0x11, 0, 0, 0, 0, 0, 0, 20);
	BAD_CDB();
	RUN(false, 0, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 0);
	GOOD(0);
	RUN(false, 3, 0x15, 0x10, 0, 0, 3);
	SENSE(SRB_INVALID_REQUEST, 5, 0x1a, 0);
	/* A block descriptor that reaches past the list. */
	memset(buf, 0, 16);
	buf[3] = 0xff;
	RUN(false, 16, 0x15, 0x10, 0, 0, 16);
	SENSE(SRB_INVALID_REQUEST, 5, 0x26, 0);
	teardown();

	setup_params(&bp, false, false);
	RUN(true, 64, 0x1a, 0, 0x08, 0, 64);
	GOOD(24);
	ATF_CHECK_EQ(0, buf[6]);
	teardown();
}

/* An UNMAP list of n equal descriptors in buf. */
static uint32_t
unmap_list(unsigned n, uint64_t lba, uint32_t count)
{
	unsigned i;

	memset(buf, 0, 8);
	scsi_put16(buf, (uint16_t)(6 + 16 * n));
	scsi_put16(buf + 2, (uint16_t)(16 * n));
	for (i = 0; i < n; i++) {
		scsi_put64(buf + 8 + 16 * i, lba + i * count);
		scsi_put32(buf + 16 + 16 * i, count);
		scsi_put32(buf + 20 + 16 * i, 0);
	}
	return (8 + 16 * n);
}

TEST(unmap, "UNMAP makes zeros of exactly the blocks named")
{
	uint32_t len;

	setup(false);
	memset(buf, 0xaa, 8 * 512);
	RUN(false, 8 * 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 8);
	len = unmap_list(2, 2, 1);
	scsi_put64(buf + 24, 5);
	RUN(false, len, 0x42, 0, 0, 0, 0, 0, 0, 0, len);
	GOOD(len);
	RUN(true, 8 * 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 8);
	GOOD(8 * 512);
	for (int i = 0; i < 8 * 512; i++)
		ATF_REQUIRE_EQ(i / 512 == 2 || i / 512 == 5 ? 0 : 0xaa, buf[i]);

	/* Past the end: the first is done, the second refused. */
	len = unmap_list(2, 0, 1);
	scsi_put64(buf + 24, 2047);
	scsi_put32(buf + 32, 2);
	RUN(false, len, 0x42, 0, 0, 0, 0, 0, 0, 0, len);
	BAD_LBA();
	RUN(true, 1024, 0x28, 0, 0, 0, 0, 0, 0, 0, 2);
	ATF_CHECK_EQ(0, buf[0]);
	ATF_CHECK_EQ(0xaa, buf[512]);

	len = unmap_list(1, 0, 1);
	RUN(false, len + 1, 0x42, 0, 0, 0, 0, 0, 0, 0, len);
	BAD_CDB();
	RUN(false, len, 0x42, 1, 0, 0, 0, 0, 0, 0, len);
	BAD_CDB();
	RUN(false, 7, 0x42, 0, 0, 0, 0, 0, 0, 0, 7);
	BAD_CDB();
	RUN(true, len, 0x42, 0, 0, 0, 0, 0, 0, 0, len);
	BAD_CDB();
	buf[1]++;
	RUN(false, len, 0x42, 0, 0, 0, 0, 0, 0, 0, len);
	BAD_CDB();
	len = unmap_list(1, 0, 1);
	buf[3]++;
	RUN(false, len, 0x42, 0, 0, 0, 0, 0, 0, 0, len);
	SENSE(SRB_INVALID_REQUEST, 5, 0, 0);
	RUN(false, 0, 0x42);
	GOOD(0);
	/* Nothing to do, as often as it fits. */
	len = unmap_list(4000, 0, 0);
	RUN(false, len, 0x42, 0, 0, 0, 0, 0, 0, len >> 8, len & 0xff);
	GOOD(len);
	teardown();
}

TEST(write_same, "WRITE SAME writes its block everywhere and nowhere else")
{
	int i;

	setup(false);
	for (i = 0; i < 512; i++)
		buf[i] = (uint8_t)(i ^ 0x33);
	RUN(false, 512, 0x41, 0, 0, 0, 0, 4, 0, 0, 200);
	GOOD(512);
	memset(buf, 0, sizeof(buf));
	RUN(true, 202 * 512, 0x28, 0, 0, 0, 0, 3, 0, 0, 202);
	GOOD(202 * 512);
	for (i = 0; i < 202 * 512; i++)
		ATF_REQUIRE_EQ(i < 512 || i >= 201 * 512 ? 0 :
		    (uint8_t)((i % 512) ^ 0x33), buf[i]);
	/* Zeros, by data and without. */
	memset(buf, 0, 512);
	RUN(false, 512, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 20);
	GOOD(512);
	RUN(false, 0, 0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 20);
	GOOD(0);
	RUN(true, 42 * 512, 0x28, 0, 0, 0, 0, 9, 0, 0, 42);
	for (i = 0; i < 42 * 512; i++)
		ATF_REQUIRE_EQ(i >= 512 && i < 41 * 512 ? 0 :
		    (uint8_t)((i % 512) ^ 0x33), buf[i]);

	RUN(false, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 0);
	BAD_CDB();
	RUN(false, 511, 0x41, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(true, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(false, 512, 0x41, 0x10, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(false, 512, 0x41, 0x01, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(false, 512, 0x41, 0, 0, 0, 7, 0xff, 0, 0, 2);
	BAD_LBA();
	RUN(false, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	BAD_LBA();
	teardown();
}

TEST(control, "the commands without data, and those that are refused")
{
	static const uint8_t refused[] = { 0x01, 0x0b, 0x37, 0x3b, 0x4d, 0x56,
	    0x57, 0x5e, 0x5f, 0x7f, 0x83, 0x84, 0x89, 0xa1, 0xa3, 0xa4, 0xb7,
	    0xc0, 0xff };
	unsigned i;

	setup(false);
	RUN(true, 0, 0x00);
	GOOD(0);
	RUN(true, 0, 0x1e, 0, 0, 0, 1);
	GOOD(0);
	RUN(true, 0, 0x16);
	GOOD(0);
	RUN(true, 0, 0x17);
	GOOD(0);
	RUN(true, 0, 0x1d, 0x04);
	GOOD(0);
	RUN(true, 0, 0x1d, 0x20);
	BAD_CDB();
	RUN(true, 0, 0x1b, 0, 0, 0, 1);
	GOOD(0);
	ATF_CHECK_EQ(0, h->stats.io_flushes);
	RUN(true, 0, 0x1b, 0, 0, 0, 0);
	GOOD(0);
	ATF_CHECK_EQ(1, h->stats.io_flushes);
	RUN(true, 0, 0x1b, 0, 0, 0, 2);
	BAD_CDB();
	RUN(true, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0);
	GOOD(0);
	RUN(true, 0, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0);
	GOOD(0);
	ATF_CHECK_EQ(3, h->stats.io_flushes);
	RUN(true, 0, 0x35, 0, 0, 0, 8, 1, 0, 0, 0);
	BAD_LBA();
	for (i = 0; i < sizeof(refused); i++) {
		RUN(true, 64, refused[i], 0, 0, 0, 0, 0, 0, 0, 64);
		BAD_OP();
	}
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, read_write);
	ATF_TP_ADD_TC(tp, read_write_counts);
	ATF_TP_ADD_TC(tp, read_write_bad);
	ATF_TP_ADD_TC(tp, readonly);
	ATF_TP_ADD_TC(tp, inquiry);
	ATF_TP_ADD_TC(tp, no_unmap);
	ATF_TP_ADD_TC(tp, capacity);
	ATF_TP_ADD_TC(tp, mode);
	ATF_TP_ADD_TC(tp, unmap);
	ATF_TP_ADD_TC(tp, write_same);
	ATF_TP_ADD_TC(tp, control);
	return (atf_no_error());
}
