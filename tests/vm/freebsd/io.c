/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `io': many reads and writes of a raw disk at a time, from one process.
 *
 *	io DEVICE read|write|rw BYTES DEPTH AMOUNT [rand|seq] [SEED]
 *
 * DEPTH requests of BYTES each are always under way.  AMOUNT is their number,
 * or a time: 10s.  rw reads and writes in turn.  With a seed, what is written
 * is the seed's pattern, and what is read must be it; without, contents do not
 * matter.  The last line of output counts:
 *
 *	ios=4000 us=901946 iops=4434 errors=0 wrong=0
 *
 * For a profiler outside of the guest, marks enclose the requests
 * (bench/blocks.c); a processor does nothing at them.
 */

#include <sys/types.h>
#include <sys/disk.h>
#include <sys/errno.h>

#include <aio.h>

#include "commands.h"
#include "lib.h"

#define	DEPTH_MAX	256
#define	BYTES_MAX	(1u << 20)

#define	MARK_START()	__asm volatile(".ascii \"\\x0f\\x1f\\x84\\0\\001mrk\"")
#define	MARK_STOP()	__asm volatile(".ascii \"\\x0f\\x1f\\x84\\0\\002mrk\"")

enum io_op { OP_READ, OP_WRITE, OP_RW };

struct io {
	const char	*device;
	int		 fd;
	enum io_op	 op;
	bool		 random;
	bool		 check;		/* there is a seed */
	uint64_t	 seed;
	uint64_t	 bytes;
	uint64_t	 depth;
	uint64_t	 amount;	/* requests; UINT64_MAX: until then */
	uint64_t	 until;
	uint64_t	 blocks;	/* of so many bytes the device has */
	uint64_t	 place;		/* the next, or the random state */
	uint64_t	 sent;
	uint64_t	 done;
	uint64_t	 errors;
	uint64_t	 wrong;
	uint8_t		*buffers;
	struct aiocb	 cb[DEPTH_MAX];
};

/* xorshift64: the same places in each run. */
static uint64_t
next_block(struct io *io)
{

	if (!io->random)
		return (io->place++ % io->blocks);
	io->place ^= io->place << 13;
	io->place ^= io->place >> 7;
	io->place ^= io->place << 17;
	return (io->place % io->blocks);
}

/* Sends a request in a place that is free. */
static int
io_send(struct io *io, struct aiocb *cb)
{
	uint8_t *buf = io->buffers + (size_t)(cb - io->cb) * io->bytes;
	bool write;
	int error;

	write = io->op == OP_WRITE || (io->op == OP_RW && io->sent % 2 != 0);
	memset(cb, 0, sizeof(*cb));
	cb->aio_fildes = io->fd;
	cb->aio_offset = (off_t)(next_block(io) * io->bytes);
	cb->aio_buf = buf;
	cb->aio_nbytes = io->bytes;
	cb->aio_lio_opcode = write ? LIO_WRITE : LIO_READ;
	cb->aio_sigevent.sigev_notify = SIGEV_NONE;
	if (write && io->check)
		pattern_fill(buf, io->bytes, io->seed,
		    (uint64_t)cb->aio_offset);
	error = -(int)sys(write ? SYS_aio_write : SYS_aio_read, P(cb), 0, 0, 0,
	    0, 0);
	if (error != 0)
		return (complain(error, "aio at %jd",
		    (intmax_t)cb->aio_offset));
	io->sent++;
	return (0);
}

/* Waits for one to be done; its place is free then. */
static int
io_receive(struct io *io, struct aiocb **cbp)
{
	struct aiocb *cb = NULL;
	ssize_t at;
	long n;

	n = sys(SYS_aio_waitcomplete, P(&cb), 0, 0, 0, 0, 0);
	if (cb == NULL)
		return (complain(n, "aio_waitcomplete"));
	*cbp = cb;
	io->done++;
	if (n != (long)io->bytes) {
		if (io->errors++ == 0)
			(void)complain(n < 0 ? n : EIO, "%s at %jd",
			    io->device, (intmax_t)cb->aio_offset);
		return (0);
	}
	if (!io->check || cb->aio_lio_opcode == LIO_WRITE)
		return (0);
	at = pattern_check(io->buffers + (size_t)(cb - io->cb) * io->bytes,
	    io->bytes, io->seed, (uint64_t)cb->aio_offset);
	if (at >= 0 && io->wrong++ == 0)
		print("%s at %jd: not the pattern\n", io->device,
		    (intmax_t)(cb->aio_offset + at));
	return (0);
}

static bool
more(const struct io *io)
{

	return (io->sent < io->amount &&
	    (io->until == 0 || uptime_ns() < io->until));
}

static int
io_run(struct io *io)
{
	struct aiocb *cb;
	int error = 0;

	for (cb = io->cb; cb < io->cb + io->depth && error == 0 && more(io);
	    cb++)
		error = io_send(io, cb);
	/* What is under way would outlive its buffers. */
	while (io->done < io->sent) {
		if (io_receive(io, &cb) != 0)
			return (EIO);
		if (error == 0 && more(io))
			error = io_send(io, cb);
	}
	return (error);
}

static bool
parse(struct io *io, int argc, char **argv)
{
	static const char *const names[] = { "read", "write", "rw" };
	char amount[32];
	size_t n;

	if (argc < 6 || argc > 8)
		return (false);
	io->device = argv[1];
	for (n = 0; n < nitems(names); n++)
		if (strcmp(argv[2], names[n]) == 0)
			break;
	io->op = (enum io_op)n;
	if (n == nitems(names) || !number(argv[3], &io->bytes) ||
	    io->bytes == 0 || io->bytes > BYTES_MAX || io->bytes % 8 != 0 ||
	    !number(argv[4], &io->depth) || io->depth == 0 ||
	    io->depth > DEPTH_MAX ||
	    !copy_string(amount, argv[5], sizeof(amount)))
		return (false);
	n = strlen(amount);
	if (n > 1 && amount[n - 1] == 's') {
		amount[n - 1] = '\0';
		if (!number(amount, &io->until))
			return (false);
		io->until = uptime_ns() + io->until * 1000000000;
		io->amount = UINT64_MAX;
	} else if (!number(amount, &io->amount))
		return (false);
	io->random = argc > 6 && strcmp(argv[6], "rand") == 0;
	io->check = argc > 7;
	io->seed = argument(argc, argv, 7, 0);
	io->place = io->random ? 0x9e3779b97f4a7c15 ^ io->seed : 0;
	return (true);
}

static int
open_device(struct io *io)
{
	off_t size;
	int error;

	io->fd = sys_open(io->device, io->op == OP_READ ? O_RDONLY : O_RDWR,
	    0);
	if (io->fd < 0)
		return (complain(io->fd, "open %s", io->device));
	error = sys_ioctl(io->fd, DIOCGMEDIASIZE, &size);
	if (error == 0 && (uint64_t)size < io->bytes)
		error = EINVAL;
	if (error != 0) {
		(void)sys_close(io->fd);
		return (complain(error, "size of %s", io->device));
	}
	io->blocks = (uint64_t)size / io->bytes;
	return (0);
}

int
cmd_io(int argc, char **argv)
{
	static struct io io;
	uint64_t took;
	int error;

	memset(&io, 0, sizeof(io));
	if (!parse(&io, argc, argv))
		return (complain(EINVAL, "io DEVICE read|write|rw BYTES DEPTH "
		    "AMOUNT [rand|seq] [SEED]"));
	error = open_device(&io);
	if (error != 0)
		return (error);
	io.buffers = mem_get(io.bytes * io.depth);
	/* Pages that are there, so that no request pays for that. */
	memset(io.buffers, 0, io.bytes * io.depth);
	took = uptime_ns();
	MARK_START();
	error = io_run(&io);
	MARK_STOP();
	took = MAX(uptime_ns() - took, 1);
	(void)sys_close(io.fd);
	/* What could not be waited for keeps its memory. */
	if (io.done == io.sent)
		mem_put(io.buffers, io.bytes * io.depth);
	print("ios=%ju us=%ju iops=%ju errors=%ju wrong=%ju\n",
	    (uintmax_t)io.done, (uintmax_t)(took / 1000),
	    (uintmax_t)(io.done * 1000000000 / took),
	    (uintmax_t)io.errors, (uintmax_t)io.wrong);
	if (error == 0 && io.errors + io.wrong != 0)
		error = EIO;
	return (error);
}
