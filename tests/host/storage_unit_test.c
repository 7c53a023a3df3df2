/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A unit as such, without VMBus: sense, change of size, faults and aborts;
 * and the CD-ROM drive.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "scsi_context.h"

TEST(request_sense, "REQUEST SENSE tells the last error once")
{

	setup(false);
	RUN(true, 512, 0xff);
	BAD_OP();
	RUN(true, 18, 0x03, 0, 0, 0, 18);
	GOOD(18);
	ATF_CHECK_EQ(5, buf[2]);
	ATF_CHECK_EQ(0x20, buf[12]);
	RUN(true, 18, 0x03, 0, 0, 0, 18);
	GOOD(18);
	ATF_CHECK_EQ(0, buf[2]);
	RUN(true, 18, 0x03, 0, 0, 0, 7);
	BAD_CDB();
	RUN(true, 18, 0x03, 0, 0, 0, 19);
	BAD_CDB();
	RUN(true, 18, 0x03, 1, 0, 0, 18);
	BAD_CDB();
	teardown();
}

TEST(resize, "a new size is told once, then everything is as it is")
{
	struct hvh_blk_params bp = { .path = "image", .size = 64 * 1024,
	    .block_size = 512, .create = true, .no_uring = true };

	setup_params(&bp, false, false);
	ATF_REQUIRE_EQ(0, truncate("image", 128 * 1024));
	RUN(true, 36, 0x12, 0, 0, 0, 36);
	GOOD(36);
	RUN(true, 0, 0x00);
	SENSE(SRB_ERROR, 6, 0x2a, 9);
	RUN(true, 8, 0x25);
	GOOD(8);
	ATF_CHECK_EQ(255, scsi_be32(buf));
	/* As data. */
	ATF_REQUIRE_EQ(0, truncate("image", 32 * 1024 + 100));
	h->now += 2000000000;
	RUN(true, 18, 0x03, 0, 0, 0, 18);
	GOOD(18);
	ATF_CHECK_EQ(6, buf[2]);
	ATF_CHECK_EQ(0x2a, buf[12]);
	ATF_CHECK_EQ(9, buf[13]);
	RUN(true, 8, 0x25);
	GOOD(8);
	ATF_CHECK_EQ(63, scsi_be32(buf));
	/* Not looked at yet: the read itself finds out. */
	ATF_REQUIRE_EQ(0, truncate("image", 16 * 1024));
	RUN(true, 1024, 0x28, 0, 0, 0, 0, 40, 0, 0, 2);
	SENSE(SRB_ERROR, 6, 0x2a, 9);
	RUN(true, 1024, 0x28, 0, 0, 0, 0, 40, 0, 0, 2);
	BAD_LBA();
	RUN(true, 1024, 0x28, 0, 0, 0, 0, 30, 0, 0, 2);
	GOOD(1024);
	ATF_REQUIRE_EQ(0, truncate("image", 0));
	RUN(true, 0, 0x00);
	SENSE(SRB_ERROR, 6, 0x2a, 9);
	RUN(true, 8, 0x25);
	SENSE(SRB_ERROR, 2, 0x3a, 0);
	teardown();
}

TEST(faults, "faults delay, lose, hold and fail commands; aborts end them")
{
	const uint8_t tur[] = { 0x00 }, wr[] = { 0x2a, 0, 0, 0, 0, 0, 0, 0, 1 };
	struct scsi_cmd first;

	setup(false);
	h->nfaults = 1;
	h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = HVH_FAULT_STATUS, .key = 0x28, .times = 1, .arg = EIO };
	RUN(true, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	SENSE(SRB_ERROR, 3, 0x11, 0);
	RUN(true, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	GOOD(512);
	h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = HVH_FAULT_STATUS, .key = 0x2a, .times = 1,
	    .arg = ENOSPC };
	RUN(false, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
	SENSE(SRB_ERROR, 7, 0x27, 7);
	h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = HVH_FAULT_STATUS, .key = 0x35, .times = 1, .arg = EIO };
	RUN(false, 0, 0x35);
	SENSE(SRB_ERROR, 3, 0x0c, 0);

	h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = HVH_FAULT_DELAY, .key = 0x2a, .times = 2, .arg = 500 };
	ndone = 0;
	begin(&cmd, wr, sizeof(wr), false, 512);
	fake_pump(h);
	ATF_CHECK_EQ(0, ndone);
	h->now += 500;
	fake_pump(h);
	ATF_CHECK_EQ(1, ndone);
	GOOD(512);
	begin(&cmd, wr, sizeof(wr), false, 512);
	scsi_abort(&cmd, SRB_BUS_RESET);
	ATF_CHECK_EQ(2, ndone);
	ATF_CHECK_EQ(SCSI_GOOD, cmd.status);
	ATF_CHECK_EQ(SRB_BUS_RESET, cmd.srb_status);
	h->now += 500;
	fake_pump(h);
	ATF_CHECK_EQ(2, ndone);

	h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = HVH_FAULT_HOLD, .key = 0x2a, .times = 1 };
	ndone = 0;
	begin(&first, wr, sizeof(wr), false, 512);
	ATF_CHECK_EQ(0, ndone);
	begin(&cmd, tur, 1, true, 0);
	ATF_CHECK_EQ(2, ndone);
	ATF_CHECK_EQ(SRB_SUCCESS, first.srb_status);

	h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_BLK,
	    .action = HVH_FAULT_DROP, .key = 0x2a, .times = 1 };
	ndone = 0;
	begin(&first, wr, sizeof(wr), false, 512);
	begin(&cmd, tur, 1, true, 0);
	h->now += 1000000000000;
	fake_pump(h);
	ATF_CHECK_EQ(1, ndone);
	scsi_abort(&first, SRB_ABORTED);
	ATF_CHECK_EQ(2, ndone);
	ATF_CHECK_EQ(SRB_ABORTED, first.srb_status);
	teardown();
}

TEST(serials, "units whose identity differs anywhere have other serials")
{
	uint8_t id[16] = { 0 };
	struct hvh_blk_params bp = { .size = 65536, .block_size = 512 };
	struct hvh_lun_params lp = { 0 };
	struct scsi_lun *other;
	char err[100], first[21];
	int i;

	setup(false);
	for (i = -1; i < 16; i++) {
		ATF_REQUIRE_EQ(0, hvh_blk_open(h, &bp, &lp.blk, err,
		    sizeof(err)));
		if (i >= 0)
			id[i] ^= 1;
		ATF_REQUIRE_EQ(0, scsi_lun_create(h, &lp, id, 4096, &other));
		if (i < 0)
			memcpy(first, other->serial, sizeof(first));
		else
			ATF_CHECK(strcmp(first, other->serial) != 0);
		if (i >= 0)
			id[i] ^= 1;
		ATF_CHECK_EQ(20, strlen(other->serial));
		scsi_lun_destroy(other);
	}
	teardown();
}

TEST(cdrom, "a CD-ROM drive: reads, contents, tray")
{
	struct hvh_blk_params bp = { .size = 2048 * 100, .block_size = 512,
	    .readonly = true };

	setup_params(&bp, true, false);
	RUN(true, 96, 0x12, 0, 0, 0, 96);
	GOOD(96);
	ATF_CHECK_EQ(5, buf[0]);
	ATF_CHECK_EQ(0x80, buf[1]);
	RUN(true, 64, 0x12, 1, 0, 0, 64);
	GOOD(7);
	RUN(true, 8, 0x25);
	GOOD(8);
	ATF_CHECK_EQ(99, scsi_be32(buf));
	ATF_CHECK_EQ(2048, scsi_be32(buf + 4));
	RUN(true, 4096, 0x28, 0, 0, 0, 0, 98, 0, 0, 2);
	GOOD(4096);
	RUN(true, 4096, 0x28, 0, 0, 0, 0, 99, 0, 0, 2);
	BAD_LBA();
	RUN(true, 2047, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_LBA();
	RUN(false, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
	BAD_CDB();
	RUN(false, 2048, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
	SENSE(SRB_ERROR, 7, 0x27, 0);
	RUN(false, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24);
	BAD_OP();

	RUN(true, 100, 0x43, 0, 0, 0, 0, 0, 0, 0, 100);
	GOOD(20);
	ATF_CHECK_EQ(18, scsi_be16(buf));
	ATF_CHECK_EQ(0xaa, buf[14]);
	ATF_CHECK_EQ(100, scsi_be32(buf + 16));
	RUN(true, 100, 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100);
	GOOD(12);
	ATF_CHECK(memcmp(buf + 8, "\0\0\x03\x19", 4) == 0);	/* 250 */
	RUN(true, 100, 0x43, 0, 1, 0, 0, 0, 0, 0, 100);
	GOOD(12);
	RUN(true, 100, 0x43, 0, 2, 0, 0, 0, 0, 0, 100);
	BAD_CDB();
	RUN(true, 100, 0x43, 0, 0, 0, 0, 0, 2, 0, 100);
	BAD_CDB();
	RUN(true, 100, 0x46, 0, 0, 0, 0, 0, 0, 0, 100);
	GOOD(44);
	ATF_CHECK_EQ(8, scsi_be16(buf + 6));
	RUN(true, 100, 0x46, 2, 0, 3, 0, 0, 0, 0, 100);
	GOOD(16);
	RUN(true, 100, 0x46, 3, 0, 0, 0, 0, 0, 0, 100);
	BAD_CDB();
	RUN(true, 34, 0x51, 0, 0, 0, 0, 0, 0, 0, 34);
	GOOD(34);
	RUN(true, 28, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 28);
	GOOD(28);
	RUN(true, 28, 0x5a, 0, 0x08, 0, 0, 0, 0, 0, 28);
	BAD_CDB();

	/* Locked, then open, then closed again. */
	RUN(true, 0, 0x1e, 0, 0, 0, 1);
	RUN(true, 0, 0x1b, 0, 0, 0, 2);
	SENSE(SRB_ERROR, 5, 0x53, 2);
	RUN(true, 0, 0x1e, 0, 0, 0, 0);
	RUN(true, 0, 0x1b, 0, 0, 0, 2);
	GOOD(0);
	RUN(true, 0, 0x00);
	SENSE(SRB_ERROR, 2, 0x3a, 0);
	RUN(true, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	GOOD(8);
	ATF_CHECK_EQ(3, buf[4]);
	ATF_CHECK_EQ(1, buf[5]);
	RUN(true, 8, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8);
	BAD_CDB();
	RUN(true, 0, 0x1b, 0, 0, 0, 3);
	GOOD(0);
	RUN(true, 0, 0x00);
	SENSE(SRB_ERROR, 6, 0x28, 0);
	RUN(true, 0, 0x00);
	GOOD(0);
	RUN(true, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	ATF_CHECK_EQ(2, buf[4]);
	ATF_CHECK_EQ(2, buf[5]);
	RUN(true, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	ATF_CHECK_EQ(0, buf[4]);
	RUN(true, 8, 0x4a, 1, 0, 0, 0x40, 0, 0, 0, 8);
	GOOD(4);
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, request_sense);
	ATF_TP_ADD_TC(tp, resize);
	ATF_TP_ADD_TC(tp, faults);
	ATF_TP_ADD_TC(tp, serials);
	ATF_TP_ADD_TC(tp, cdrom);
	return (atf_no_error());
}
