/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * aiobench DEVICE DEPTH SECONDS : random reads of 4 KiB, so many at a time,
 * past the page cache, with Linux's native AIO.  Runs inside the guest, which
 * has no other programs: static, and the system calls as they are.
 */

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/aio_abi.h>
#include <linux/fs.h>

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define	BLOCK		4096u
#define	DEPTH_MAX	256u

struct bench {
	aio_context_t	 ctx;
	int		 fd;
	uint64_t	 blocks;
	uint64_t	 random;
	struct iocb	 iocb[DEPTH_MAX];
	char		*buf;
};

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

/* xorshift64: the same places in each run. */
static uint64_t
next_block(struct bench *b)
{

	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (b->random % b->blocks);
}

static void
submit(struct bench *b, unsigned *slot, unsigned n)
{
	struct iocb *list[DEPTH_MAX];
	unsigned done = 0;
	long r;

	for (unsigned i = 0; i < n; i++) {
		list[i] = &b->iocb[slot[i]];
		*list[i] = (struct iocb){
			.aio_data = slot[i],
			.aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)b->fd,
			.aio_buf = (uintptr_t)(b->buf + slot[i] * BLOCK),
			.aio_nbytes = BLOCK,
			.aio_offset = (int64_t)(next_block(b) * BLOCK),
		};
	}
	while (done < n) {
		r = syscall(SYS_io_submit, b->ctx, (long)(n - done),
		    list + done);
		if (r <= 0)
			err(1, "io_submit");
		done += (unsigned)r;
	}
}

static uint64_t
run(struct bench *b, unsigned depth, uint64_t until)
{
	struct io_event ev[DEPTH_MAX];
	unsigned slot[DEPTH_MAX];
	uint64_t ios = 0;
	long n;

	for (unsigned i = 0; i < depth; i++)
		slot[i] = i;
	submit(b, slot, depth);
	while (now() < until) {
		n = syscall(SYS_io_getevents, b->ctx, 1L, (long)depth, ev,
		    NULL);
		if (n < 1)
			err(1, "io_getevents");
		for (long i = 0; i < n; i++) {
			if (ev[i].res != BLOCK)
				errx(1, "read: %lld", (long long)ev[i].res);
			slot[i] = (unsigned)ev[i].data;
		}
		ios += (uint64_t)n;
		submit(b, slot, (unsigned)n);
	}
	/* What is still under way would outlive its buffers. */
	if (syscall(SYS_io_getevents, b->ctx, (long)depth, (long)depth, ev,
	    NULL) != (long)depth)
		err(1, "io_getevents");
	return (ios);
}

int
main(int argc, char **argv)
{
	static struct bench b = { .random = 0x9e3779b97f4a7c15 };
	uint64_t bytes, ios, start, took;
	unsigned depth, seconds;

	if (argc != 4)
		errx(2, "usage: aiobench DEVICE DEPTH SECONDS");
	depth = (unsigned)atoi(argv[2]);
	seconds = (unsigned)atoi(argv[3]);
	if (depth < 1 || depth > DEPTH_MAX)
		errx(2, "DEPTH must be 1 to %u", DEPTH_MAX);
	b.fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (b.fd < 0 || ioctl(b.fd, BLKGETSIZE64, &bytes) != 0)
		err(1, "%s", argv[1]);
	b.blocks = bytes / BLOCK;
	if (b.blocks == 0)
		errx(1, "%s: smaller than a block", argv[1]);
	b.buf = aligned_alloc(BLOCK, (size_t)DEPTH_MAX * BLOCK);
	if (b.buf == NULL)
		err(1, NULL);
	if (syscall(SYS_io_setup, (long)depth, &b.ctx) != 0)
		err(1, "io_setup");
	start = now();
	ios = run(&b, depth, start + (uint64_t)seconds * 1000000000);
	took = now() - start;
	printf("ios=%ju us=%ju iops=%.0f\n", (uintmax_t)ios,
	    (uintmax_t)(took / 1000), (double)ios * 1e9 / (double)took);
	return (0);
}
