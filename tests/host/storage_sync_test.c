/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What reaches the medium and when: which system calls a guest's writes and
 * SYNCHRONIZE CACHE become.  The calls are this program's own, which count.
 */

#include <sys/uio.h>

#include <atf-c.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scsi_context.h"

static unsigned syncs, writes, durable;
static int sync_error;

int
fdatasync(int fd)
{

	syncs++;
	errno = sync_error;
	return (sync_error != 0 ? -1 : (int)syscall(SYS_fdatasync, fd));
}

ssize_t
pwritev2(int fd, const struct iovec *iov, int n, off_t ofs, int flags)
{

	writes++;
	if ((flags & RWF_DSYNC) != 0)
		durable++;
	return (pwritev(fd, iov, n, ofs));
}

static void
open_file(bool write_through)
{
	struct hvh_blk_params bp = { .path = "image", .size = BLOCKS * 512,
	    .block_size = 512, .create = true, .no_uring = true,
	    .write_through = write_through };

	setup_params(&bp, false, false);
}

TEST(write_back, "writes stay in the cache until they are to be on the medium")
{

	open_file(false);
	RUN(false, 4096, 0x2a, 0, 0, 0, 0, 16, 0, 0, 8, 0);
	GOOD(4096);
	ATF_CHECK_EQ(1, writes);
	ATF_CHECK_EQ(0, durable);
	ATF_CHECK_EQ(0, syncs);
	/* SYNCHRONIZE CACHE, both sizes. */
	RUN(false, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	GOOD(0);
	ATF_CHECK_EQ(1, syncs);
	RUN(false, 0, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	GOOD(0);
	ATF_CHECK_EQ(2, syncs);
	/* FUA: this write alone. */
	RUN(false, 4096, 0x2a, 0x08, 0, 0, 0, 16, 0, 0, 8, 0);
	GOOD(4096);
	ATF_CHECK_EQ(2, writes);
	ATF_CHECK_EQ(1, durable);
	/* START STOP UNIT that stops. */
	RUN(false, 0, 0x1b, 0, 0, 0, 0, 0);
	GOOD(0);
	ATF_CHECK_EQ(3, syncs);
	/* The caching page says WCE. */
	RUN(true, 255, 0x1a, 0x08, 0x08, 0, 255, 0);
	ATF_CHECK_EQ(0x04, buf[6] & 0x04);
	teardown();
}

TEST(write_through, "without a cache each write is on the medium at its end")
{

	open_file(true);
	RUN(false, 4096, 0x2a, 0, 0, 0, 0, 16, 0, 0, 8, 0);
	GOOD(4096);
	RUN(false, 512, 0x0a, 0, 0, 0, 1, 0);
	GOOD(512);
	ATF_CHECK_EQ(2, durable);
	RUN(true, 255, 0x1a, 0x08, 0x08, 0, 255, 0);
	ATF_CHECK_EQ(0, buf[6] & 0x04);
	/* What punches holes has no flag for it, so a sync follows. */
	memset(buf, 0, sizeof(buf));
	buf[1] = 22;
	buf[3] = 16;
	buf[15] = 8;
	buf[19] = 8;
	RUN(false, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	GOOD(24);
	ATF_CHECK_EQ(1, syncs);
	teardown();
}

TEST(sync_fails, "a flush that failed is told, and so is each one after it")
{

	open_file(false);
	RUN(false, 4096, 0x2a, 0, 0, 0, 0, 16, 0, 0, 8, 0);
	GOOD(4096);
	sync_error = EIO;
	RUN(false, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	SENSE(SRB_ERROR, SENSE_MEDIUM, 0x0c, 0);
	/* The kernel has forgotten; what was lost is lost all the same. */
	sync_error = 0;
	RUN(false, 0, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	SENSE(SRB_ERROR, SENSE_MEDIUM, 0x0c, 0);
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, write_back);
	ATF_TP_ADD_TC(tp, write_through);
	ATF_TP_ADD_TC(tp, sync_fails);
	return (atf_no_error());
}
