/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The storage back ends on real files: what cannot be opened and why, data in
 * many pieces, holes, images that shrink, disks that fill up.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_bus.h"
#include "storage/blk.h"

static struct hvh *h;
static struct hvh_blk *blk;
static char err[200];
static unsigned ndone;
static int result;

static void
done(struct blk_req *r, int error)
{

	ndone++;
	result = error;
}

static int
try_open(const char *path, uint32_t block_size, bool readonly)
{
	struct hvh_blk_params bp = { .path = path, .block_size = block_size,
	    .readonly = readonly };

	err[0] = '\0';
	return (hvh_blk_open(h, &bp, &blk, err, sizeof(err)));
}

static void
make(const char *path, off_t size)
{
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, ftruncate(fd, size));
	close(fd);
}

static void
open_image(bool uring)
{
	struct hvh_blk_params bp = { .path = "image", .block_size = 512,
	    .no_uring = !uring };

	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(h, &bp, &blk, err, sizeof(err)),
	    "%s", err);
	if (uring && blk->uring == NULL)
		atf_tc_skip("the kernel gives us no io_uring");
	ATF_REQUIRE_EQ(uring, blk->uring != NULL);
}

static int
run(enum blk_op op, uint64_t ofs, uint64_t len, struct iovec *iov, int niov)
{
	struct blk_req r = { .op = op, .ofs = ofs, .len = len, .iov = iov,
	    .niov = niov, .done = done };

	ndone = 0;
	blk_submit(blk, &r);
	ATF_REQUIRE_EQ(0, ndone);
	blk_run(blk);
	ATF_REQUIRE(fake_pump_until(h, &ndone, 1));
	ATF_REQUIRE_EQ(1, ndone);
	return (result);
}

static int
run1(enum blk_op op, uint64_t ofs, void *p, uint64_t len)
{
	struct iovec iov = { p, len };

	return (run(op, ofs, len, &iov, 1));
}

ATF_TC_WITHOUT_HEAD(open_errors);
ATF_TC_BODY(open_errors, tc)
{
	struct hvh_blk_params bp = { .size = 1000, .block_size = 512 };
	struct hvh_blk *other;

	h = fake_new(1 << 20);
	ATF_CHECK_EQ(ENOENT, try_open("none", 512, false));
	ATF_CHECK_STREQ("none: cannot open for reading and writing: "
	    "No such file or directory", err);
	ATF_REQUIRE_EQ(0, mkdir("dir", 0755));
	ATF_CHECK_EQ(EISDIR, try_open("dir", 512, true));
	ATF_CHECK_STREQ("dir: is a directory, not a regular file or a block "
	    "device", err);
	ATF_CHECK_EQ(ENOTBLK, try_open("/dev/null", 512, false));
	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0644));
	ATF_CHECK_EQ(ENOTBLK, try_open("fifo", 512, true));
	make("empty", 0);
	ATF_CHECK_EQ(EINVAL, try_open("empty", 512, false));
	ATF_CHECK_STREQ("empty: is empty", err);
	make("short", 100);
	ATF_CHECK_EQ(EINVAL, try_open("short", 512, false));
	make("odd", 4096 + 512);
	ATF_CHECK_EQ(EINVAL, try_open("odd", 4096, false));
	ATF_CHECK_STREQ("odd: its 4608 bytes are not a whole number of "
	    "4096-byte blocks", err);
	ATF_CHECK_EQ(EINVAL, try_open("odd", 1000, false));
	ATF_CHECK_STREQ("odd: block size 1000 is not 512, 2048 or 4096", err);
	ATF_CHECK_EQ(EINVAL, hvh_blk_open(h, &bp, &blk, err, sizeof(err)));
	bp.create = true;
	bp.path = "new";
	ATF_CHECK_EQ(EINVAL, hvh_blk_open(h, &bp, &blk, err, sizeof(err)));
	ATF_CHECK_EQ(-1, access("new", F_OK));

	/* Locked: one writer, or any number of readers. */
	ATF_REQUIRE_EQ(0, try_open("odd", 512, false));
	other = blk;
	ATF_CHECK_EQ(EBUSY, try_open("odd", 512, false));
	ATF_CHECK_STREQ("odd: is locked: another program or disk uses it", err);
	ATF_CHECK_EQ(EBUSY, try_open("odd", 512, true));
	hvh_blk_close(other);
	ATF_REQUIRE_EQ(0, try_open("odd", 512, true));
	other = blk;
	ATF_REQUIRE_EQ(0, try_open("odd", 512, true));
	hvh_blk_close(other);
	ATF_CHECK_EQ(EBUSY, (other = blk, try_open("odd", 512, false)));
	hvh_blk_close(other);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(create);
ATF_TC_BODY(create, tc)
{
	struct hvh_blk_params bp = { .path = "image", .size = 8192,
	    .block_size = 512, .create = true };
	struct stat sb;

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, hvh_blk_open(h, &bp, &blk, err, sizeof(err)));
	ATF_CHECK_EQ(8192, blk->size);
	hvh_blk_close(blk);
	/* One that is there stays as it is. */
	bp.size = 4096;
	ATF_REQUIRE_EQ(0, hvh_blk_open(h, &bp, &blk, err, sizeof(err)));
	ATF_CHECK_EQ(8192, blk->size);
	hvh_blk_close(blk);
	ATF_REQUIRE_EQ(0, stat("image", &sb));
	ATF_CHECK_EQ(8192, sb.st_size);
	fake_free(h);
}

/* More pieces than one system call takes, of sizes that match nothing. */
static void
pieces(bool uring)
{
	enum { N = 3000, LEN = N * 512 };
	struct iovec *iov;
	uint8_t *a, *b;
	int fd, i;

	h = fake_new(1 << 20);
	make("image", 4 << 20);
	open_image(uring);
	a = malloc(LEN);
	b = malloc(LEN);
	iov = calloc(N, sizeof(*iov));
	for (i = 0; i < LEN; i++)
		a[i] = (uint8_t)(i ^ i >> 9);
	for (i = 0; i < N; i++)
		iov[i] = (struct iovec){ a + i * 512, 512 };
	ATF_CHECK_EQ(0, run(BLK_WRITE, 1024, LEN, iov, N));
	fd = open("image", O_RDONLY);
	ATF_REQUIRE_EQ(LEN, pread(fd, b, LEN, 1024));
	ATF_CHECK(memcmp(a, b, LEN) == 0);
	close(fd);
	memset(b, 0, LEN);
	for (i = 0; i < N; i++)
		iov[i] = (struct iovec){ b + i * 512, 512 };
	ATF_CHECK_EQ(0, run(BLK_READ, 1024, LEN, iov, N));
	ATF_CHECK(memcmp(a, b, LEN) == 0);
	ATF_CHECK_EQ(0, run(BLK_FLUSH, 0, 0, NULL, 0));
	free(a);
	free(b);
	free(iov);
	hvh_blk_close(blk);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(pieces_uring);
ATF_TC_BODY(pieces_uring, tc)
{

	pieces(true);
}

ATF_TC_WITHOUT_HEAD(pieces_plain);
ATF_TC_BODY(pieces_plain, tc)
{

	pieces(false);
}

/* Many at once, more than the ring has entries, in one blk_run(). */
ATF_TC_WITHOUT_HEAD(deep_queue);
ATF_TC_BODY(deep_queue, tc)
{
	enum { N = 1000 };
	struct blk_req *r;
	struct iovec *iov;
	uint8_t *mem;
	int i;

	h = fake_new(1 << 20);
	make("image", N * 512);
	open_image(true);
	r = calloc(N, sizeof(*r));
	iov = calloc(N, sizeof(*iov));
	mem = malloc(N * 512);
	for (int round = 0; round < 2; round++) {
		ndone = 0;
		for (i = 0; i < N; i++) {
			if (round == 0)
				memset(mem + i * 512, i * 3, 512);
			iov[i] = (struct iovec){ mem + i * 512, 512 };
			r[i] = (struct blk_req){ .op = round == 0 ?
			    BLK_WRITE : BLK_READ, .ofs = i * 512, .len = 512,
			    .iov = &iov[i], .niov = 1, .done = done };
			blk_submit(blk, &r[i]);
		}
		if (round == 1)
			memset(mem, 0x5a, N * 512);
		blk_run(blk);
		ATF_REQUIRE(fake_pump_until(h, &ndone, N));
		ATF_CHECK_EQ(0, blk->started);
	}
	for (i = 0; i < N * 512; i++)
		ATF_REQUIRE_EQ((uint8_t)(i / 512 * 3), mem[i]);
	free(r);
	free(iov);
	free(mem);
	hvh_blk_close(blk);
	fake_free(h);
}

static void
holes(bool uring)
{
	uint8_t *mem = malloc(1 << 20);
	struct stat before, after;
	int i;

	h = fake_new(1 << 20);
	make("image", 1 << 20);
	open_image(uring);
	memset(mem, 0xab, 1 << 20);
	ATF_CHECK_EQ(0, run1(BLK_WRITE, 0, mem, 1 << 20));
	ATF_CHECK_EQ(0, run(BLK_FLUSH, 0, 0, NULL, 0));
	stat("image", &before);
	ATF_CHECK_EQ(0, run(BLK_UNMAP, 65536 + 512, 524288, NULL, 0));
	ATF_CHECK_EQ(0, run(BLK_ZERO, 1024, 1536, NULL, 0));
	stat("image", &after);
	ATF_CHECK_EQ(1 << 20, after.st_size);
	if (!blk->no_punch)
		ATF_CHECK(after.st_blocks <= before.st_blocks - 900);
	ATF_CHECK_EQ(0, run1(BLK_READ, 0, mem, 1 << 20));
	for (i = 0; i < 1 << 20; i++)
		ATF_REQUIRE_EQ((i >= 1024 && i < 2560) || (i >= 66048 &&
		    i < 66048 + 524288) ? 0 : 0xab, mem[i]);
	/* Without fallocate() zeros are written: no difference to see. */
	blk->no_punch = blk->no_zero_range = true;
	memset(mem, 0xcd, 1 << 20);
	ATF_CHECK_EQ(0, run1(BLK_WRITE, 0, mem, 1 << 20));
	ATF_CHECK_EQ(0, run(BLK_UNMAP, 512, 300 * 512, NULL, 0));
	ATF_CHECK_EQ(0, run(BLK_ZERO, 1 << 19, 512, NULL, 0));
	ATF_CHECK_EQ(0, run1(BLK_READ, 0, mem, 1 << 20));
	for (i = 0; i < 1 << 20; i++)
		ATF_REQUIRE_EQ((i >= 512 && i < 301 * 512) || (i >= 1 << 19 &&
		    i < (1 << 19) + 512) ? 0 : 0xcd, mem[i]);
	hvh_blk_close(blk);
	fake_free(h);
	free(mem);
}

ATF_TC_WITHOUT_HEAD(holes_uring);
ATF_TC_BODY(holes_uring, tc)
{

	holes(true);
}

ATF_TC_WITHOUT_HEAD(holes_plain);
ATF_TC_BODY(holes_plain, tc)
{

	holes(false);
}

static void
shrinks(bool uring)
{
	uint8_t mem[8192];

	h = fake_new(1 << 20);
	make("image", 1 << 20);
	open_image(uring);
	ATF_CHECK(!blk_resized(blk));
	ATF_REQUIRE_EQ(0, truncate("image", 8192 + 700));
	/* Half of it is still there, then all of it is gone. */
	ATF_CHECK_EQ(ENODATA, run1(BLK_READ, 4096, mem, sizeof(mem)));
	ATF_CHECK_EQ(ENODATA, run1(BLK_READ, 65536, mem, sizeof(mem)));
	ATF_CHECK_EQ(0, run1(BLK_READ, 0, mem, sizeof(mem)));
	ATF_CHECK(blk_resized(blk));
	ATF_CHECK_EQ(8192 + 512, blk->size);
	ATF_CHECK(!blk_resized(blk));
	hvh_blk_close(blk);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(shrinks_uring);
ATF_TC_BODY(shrinks_uring, tc)
{

	shrinks(true);
}

ATF_TC_WITHOUT_HEAD(shrinks_plain);
ATF_TC_BODY(shrinks_plain, tc)
{

	shrinks(false);
}

/* Whether asynchronous or not, the first bytes may get through. */
ATF_TC_WITHOUT_HEAD(file_limit);
ATF_TC_BODY(file_limit, tc)
{
	struct rlimit rl = { 65536, 65536 };
	uint8_t *mem = calloc(1, 8192);

	h = fake_new(1 << 20);
	make("image", 1 << 20);
	open_image(false);
	signal(SIGXFSZ, SIG_IGN);
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	ATF_CHECK_EQ(EFBIG, run1(BLK_WRITE, 65536, mem, 8192));
	ATF_CHECK_EQ(EFBIG, run1(BLK_WRITE, 65536 - 4096, mem, 8192));
	ATF_CHECK_EQ(0, run1(BLK_WRITE, 0, mem, 8192));
	hvh_blk_close(blk);
	fake_free(h);
	free(mem);
}

static void
full(bool uring)
{
	uint8_t *mem = calloc(1, 1 << 20);

	if (geteuid() != 0)
		atf_tc_skip("only root may mount a small file system");
	ATF_REQUIRE_EQ(0, mkdir("small", 0755));
	if (mount("tmpfs", "small", "tmpfs", 0, "size=256k") != 0)
		atf_tc_skip("no mount: %s", strerror(errno));
	ATF_REQUIRE_EQ(0, chdir("small"));
	h = fake_new(1 << 20);
	make("image", 1 << 20);
	open_image(uring);
	ATF_REQUIRE_EQ(0, chdir(".."));
	ATF_REQUIRE_EQ(0, umount2("small", MNT_DETACH));
	memset(mem, 0x77, 1 << 20);
	ATF_CHECK_EQ(0, run1(BLK_WRITE, 0, mem, 65536));
	ATF_CHECK_EQ(ENOSPC, run1(BLK_WRITE, 0, mem, 1 << 20));
	/* What was acknowledged is still there; and room can be made. */
	memset(mem, 0, 65536);
	ATF_CHECK_EQ(0, run1(BLK_READ, 0, mem, 65536));
	ATF_CHECK_EQ(0x77, mem[0]);
	ATF_CHECK_EQ(0x77, mem[65535]);
	ATF_CHECK_EQ(0, run(BLK_UNMAP, 65536, 196608, NULL, 0));
	ATF_CHECK_EQ(0, run1(BLK_WRITE, 1 << 19, mem, 65536));
	hvh_blk_close(blk);
	fake_free(h);
	free(mem);
}

ATF_TC_WITHOUT_HEAD(full_uring);
ATF_TC_BODY(full_uring, tc)
{

	full(true);
}

ATF_TC_WITHOUT_HEAD(full_plain);
ATF_TC_BODY(full_plain, tc)
{

	full(false);
}

/* What the kernel is asked for, and what is made of its answers. */
ATF_TC_WITHOUT_HEAD(steps);
ATF_TC_BODY(steps, tc)
{
	uint8_t mem[2048];
	struct iovec iov[2] = { { mem, 512 }, { mem + 512, 1536 } };
	struct blk_req r = { .op = BLK_WRITE, .ofs = 4096, .len = 2048,
	    .left = 2048, .iov = iov, .niov = 2 };
	struct blk_step st;
	int error;

	h = fake_new(1 << 20);
	make("image", 1 << 20);
	open_image(false);
	blk_file_step(blk, &r, &st);
	ATF_CHECK_EQ(BLK_STEP_WRITEV, st.kind);
	ATF_CHECK_EQ(0, st.flags);
	/* Interrupted, then half done, then the rest. */
	ATF_CHECK(!blk_file_result(blk, &r, -EINTR, &error));
	ATF_CHECK(!blk_file_result(blk, &r, 1000, &error));
	blk_file_step(blk, &r, &st);
	ATF_CHECK_EQ(5096, st.ofs);
	ATF_CHECK_EQ(1, st.niov);
	ATF_CHECK_EQ(mem + 1000, st.iov[0].iov_base);
	ATF_CHECK_EQ(1048, st.iov[0].iov_len);
	ATF_CHECK(blk_file_result(blk, &r, 1048, &error));
	ATF_CHECK_EQ(0, error);
	/* Durable by itself. */
	r.fua = true;
	blk_file_step(blk, &r, &st);
	ATF_CHECK_EQ(RWF_DSYNC, st.flags);
	r.fua = false;
	blk->write_through = true;
	blk_file_step(blk, &r, &st);
	ATF_CHECK_EQ(RWF_DSYNC, st.flags);
	r = (struct blk_req){ .op = BLK_UNMAP, .ofs = 0, .len = 512,
	    .left = 512 };
	blk_file_step(blk, &r, &st);
	ATF_CHECK_EQ(BLK_STEP_FALLOCATE, st.kind);
	ATF_CHECK_EQ(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st.flags);
	ATF_CHECK(!blk_file_result(blk, &r, 0, &error));
	blk_file_step(blk, &r, &st);
	ATF_CHECK_EQ(BLK_STEP_FDATASYNC, st.kind);
	ATF_CHECK(blk_file_result(blk, &r, 0, &error));
	ATF_CHECK_EQ(0, error);
	/* The file system cannot: zeros are written instead. */
	r = (struct blk_req){ .op = BLK_UNMAP, .ofs = 0, .len = 512,
	    .left = 512 };
	ATF_CHECK(!blk_file_result(blk, &r, -EOPNOTSUPP, &error));
	blk_file_step(blk, &r, &st);
	ATF_CHECK_EQ(BLK_STEP_WRITEV, st.kind);
	/* Real errors end it; those of a flush stay. */
	r = (struct blk_req){ .op = BLK_FLUSH };
	ATF_CHECK(blk_file_result(blk, &r, 0, &error));
	ATF_CHECK_EQ(0, error);
	ATF_CHECK(blk_file_result(blk, &r, -EIO, &error));
	ATF_CHECK_EQ(EIO, error);
	ATF_CHECK(strstr(h->log, "image: flush failed") != NULL);
	ATF_CHECK(blk_file_result(blk, &r, 0, &error));
	ATF_CHECK_EQ(EIO, error);
	hvh_blk_close(blk);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(cancel);
ATF_TC_BODY(cancel, tc)
{
	uint8_t mem[512];
	struct iovec iov = { mem, 512 };
	struct blk_req r = { .op = BLK_READ, .len = 512, .iov = &iov,
	    .niov = 1, .done = done };

	h = fake_new(1 << 20);
	make("image", 4096);
	open_image(true);
	blk_cancel(blk, &r);
	ATF_CHECK_EQ(0, ndone);
	blk_submit(blk, &r);
	blk_cancel(blk, &r);
	ATF_CHECK_EQ(1, ndone);
	ATF_CHECK_EQ(ECANCELED, result);
	blk_run(blk);
	ATF_CHECK_EQ(1, ndone);
	hvh_blk_close(blk);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(memory);
ATF_TC_BODY(memory, tc)
{
	struct hvh_blk_params bp = { .size = 65536, .block_size = 512 };
	uint8_t mem[1024], back[1024];

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, hvh_blk_open(h, &bp, &blk, err, sizeof(err)));
	memset(mem, 0x42, sizeof(mem));
	ATF_CHECK_EQ(0, run1(BLK_WRITE, 64512, mem, 1024));
	ATF_CHECK_EQ(0, run(BLK_UNMAP, 65024, 512, NULL, 0));
	ATF_CHECK_EQ(0, run1(BLK_READ, 64512, back, 1024));
	ATF_CHECK_EQ(0x42, back[511]);
	ATF_CHECK_EQ(0, back[512]);
	ATF_CHECK_EQ(ENODATA, run1(BLK_READ, 65024, back, 1024));
	ATF_CHECK_EQ(0, run(BLK_FLUSH, 0, 0, NULL, 0));
	hvh_blk_close(blk);
	fake_free(h);
}

static int
try_fd(int fd, const char *name, bool readonly)
{
	struct hvh_blk_params bp = { .path = name, .block_size = 512,
	    .readonly = readonly, .have_fd = true, .fd = fd };

	err[0] = '\0';
	return (hvh_blk_open(h, &bp, &blk, err, sizeof(err)));
}

/* A descriptor someone else opened: taken over, or left as it was. */
ATF_TC_WITHOUT_HEAD(given);
ATF_TC_BODY(given, tc)
{
	uint8_t mem[512], back[512];
	int fd, other;

	h = fake_new(1 << 20);
	make("image", 8192);
	make("odd", 1000);
	fd = open("image", O_RDWR | O_APPEND | O_NONBLOCK);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(0, unlink("image"));
	ATF_REQUIRE_EQ(0, try_fd(fd, "image", false));
	ATF_CHECK_EQ(8192, blk->size);
	memset(mem, 0x42, sizeof(mem));
	ATF_CHECK_EQ(0, run1(BLK_WRITE, 1024, mem, 512));
	ATF_CHECK_EQ(0, run1(BLK_READ, 1024, back, 512));
	ATF_CHECK_EQ(0, memcmp(mem, back, 512));
	hvh_blk_close(blk);
	ATF_CHECK_EQ(-1, fcntl(fd, F_GETFD));

	/* What it was opened for decides, not what the file allows. */
	make("image", 8192);
	fd = open("image", O_RDONLY);
	ATF_CHECK_EQ(EBADF, try_fd(fd, "image", false));
	ATF_CHECK_STREQ("image: its descriptor is not open for reading and "
	    "writing", err);
	ATF_CHECK(fcntl(fd, F_GETFD) >= 0);
	ATF_REQUIRE_EQ(0, try_fd(fd, NULL, true));
	/* Locked like a file of our own opening. */
	other = open("image", O_RDWR);
	ATF_CHECK_EQ(EBUSY, try_fd(other, NULL, false));
	ATF_CHECK_STREQ("disk: is locked: another program or disk uses it",
	    err);
	hvh_blk_close(blk);
	close(other);
	fd = open("image", O_WRONLY);
	ATF_CHECK_EQ(EBADF, try_fd(fd, "image", true));
	close(fd);
	fd = open("image", O_PATH);
	ATF_CHECK_EQ(EBADF, try_fd(fd, "image", true));
	close(fd);
	ATF_CHECK_EQ(EBADF, try_fd(-1, "image", true));
	ATF_CHECK_EQ(EBADF, try_fd(fd, "image", true));

	/* Refused after it was locked: the lock does not stay. */
	fd = open("odd", O_RDWR);
	ATF_CHECK_EQ(EINVAL, try_fd(fd, "odd", false));
	other = open("odd", O_RDWR);
	ATF_CHECK_EQ(0, flock(other, LOCK_EX | LOCK_NB));
	close(other);
	close(fd);
	fake_free(h);
}

static atomic_bool seen;
static struct blk_req cold;

/* A vCPU's thread: starts a request, and then has other things to do. */
static void *
start_and_leave(void *arg)
{

	blk_submit(blk, &cold);
	blk_run(blk);
	while (!atomic_load(&seen))
		usleep(1000);
	return (NULL);
}

/* What a thread has started wakes the pump, whatever that thread does. */
ATF_TC_WITHOUT_HEAD(started_elsewhere);
ATF_TC_BODY(started_elsewhere, tc)
{
	static uint8_t data[1 << 20], back[65536];
	struct iovec iov = { back, sizeof(back) };
	struct pollfd pfd = { .events = POLLIN };
	pthread_t t;
	int fd, n;

	h = fake_new(1 << 20);
	make("image", 0);
	fd = open("image", O_RDWR);
	memset(data, 0x5A, sizeof(data));
	for (unsigned i = 0; i < 8; i++)
		ATF_REQUIRE_EQ(sizeof(data), write(fd, data, sizeof(data)));
	/* Out of the cache, as far as the file system lets it go. */
	ATF_REQUIRE_EQ(0, fsync(fd));
	ATF_REQUIRE_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	close(fd);
	open_image(true);
	cold = (struct blk_req){ .op = BLK_READ, .ofs = 4 << 20,
	    .len = sizeof(back), .iov = &iov, .niov = 1, .done = done };
	ndone = 0;
	atomic_store(&seen, false);
	ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, start_and_leave, NULL));
	usleep(200000);
	pfd.fd = h->sources->fd;
	n = poll(&pfd, 1, 5000);
	atomic_store(&seen, true);
	ATF_REQUIRE_EQ(0, pthread_join(t, NULL));
	/* None is needed for what has ended at once. */
	ATF_REQUIRE(n == 1 || ndone == 1);
	ATF_REQUIRE(fake_pump_until(h, &ndone, 1));
	ATF_CHECK_EQ(0, result);
	ATF_CHECK_EQ(0, memcmp(back, data, sizeof(back)));
	hvh_blk_close(blk);
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, open_errors);
	ATF_TP_ADD_TC(tp, create);
	ATF_TP_ADD_TC(tp, pieces_uring);
	ATF_TP_ADD_TC(tp, pieces_plain);
	ATF_TP_ADD_TC(tp, deep_queue);
	ATF_TP_ADD_TC(tp, holes_uring);
	ATF_TP_ADD_TC(tp, holes_plain);
	ATF_TP_ADD_TC(tp, shrinks_uring);
	ATF_TP_ADD_TC(tp, shrinks_plain);
	ATF_TP_ADD_TC(tp, file_limit);
	ATF_TP_ADD_TC(tp, full_uring);
	ATF_TP_ADD_TC(tp, full_plain);
	ATF_TP_ADD_TC(tp, steps);
	ATF_TP_ADD_TC(tp, cancel);
	ATF_TP_ADD_TC(tp, memory);
	ATF_TP_ADD_TC(tp, given);
	ATF_TP_ADD_TC(tp, started_elsewhere);
	return (atf_no_error());
}
