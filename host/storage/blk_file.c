/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The file back end: a raw image or a block device.  What each request asks
 * of the kernel, step by step, is decided here once; blk_uring.c does the
 * steps asynchronously, blk_file_run() one after the other.
 *
 * Without io_uring the plain calls hold up the pump for as long as the disk
 * takes: the library has no thread to hand them to.
 *
 * A flush that failed stays failed: Linux forgets dirty pages it could not
 * write, so a second fdatasync() would say success without the data.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/blk.h"

#define	BLK_ZERO_PIECE	65536
#define	BLK_ZERO_PIECES	16

static uint8_t blk_zeros[BLK_ZERO_PIECE];

/* --- One request, step by step --- */

/* Zeros by plain writes: the same piece over and over. */
static void
blk_zero_step(struct blk_req *r, struct blk_step *st)
{
	static const struct iovec whole[BLK_ZERO_PIECES] = {
#define	P	{ blk_zeros, BLK_ZERO_PIECE }
		P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P
#undef P
	};
	/* One iovec a power of two: no memory of the request's is needed. */
	static const struct iovec parts[] = {
		{ blk_zeros, 512 }, { blk_zeros, 1024 }, { blk_zeros, 2048 },
		{ blk_zeros, 4096 }, { blk_zeros, 8192 }, { blk_zeros, 16384 },
		{ blk_zeros, 32768 },
	};
	int i;

	st->niov = 1;
	if (r->left >= BLK_ZERO_PIECE) {
		st->iov = whole;
		st->niov = r->left / BLK_ZERO_PIECE < BLK_ZERO_PIECES ?
		    (int)(r->left / BLK_ZERO_PIECE) : BLK_ZERO_PIECES;
		return;
	}
	for (i = 0; i < 6 && parts[i + 1].iov_len <= r->left; i++)
		continue;
	st->iov = &parts[i];
}

void
blk_file_step(struct hvh_blk *blk, struct blk_req *r, struct blk_step *st)
{
	bool durable;

	durable = blk->write_through || r->fua;
	st->ofs = r->ofs;
	st->len = r->left;
	st->flags = 0;
	st->iov = r->iov;
	st->niov = r->niov < IOV_MAX ? r->niov : IOV_MAX;
	if (r->op == BLK_FLUSH || r->syncing) {
		st->kind = BLK_STEP_FDATASYNC;
	} else if (r->op == BLK_READ) {
		st->kind = BLK_STEP_READV;
	} else if (r->op == BLK_WRITE || r->zeroing) {
		st->kind = BLK_STEP_WRITEV;
		st->flags = durable ? RWF_DSYNC : 0;
		if (r->zeroing)
			blk_zero_step(r, st);
	} else {
		st->kind = BLK_STEP_FALLOCATE;
		st->flags = FALLOC_FL_KEEP_SIZE | (r->op == BLK_UNMAP ?
		    FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
		if (r->op == BLK_UNMAP ? blk->no_punch : blk->no_zero_range) {
			r->zeroing = true;
			blk_file_step(blk, r, st);
		}
	}
}

/* A step failed. */
static bool
blk_file_failed(struct hvh_blk *blk, struct blk_req *r, int e, int *error)
{

	if (e == EINTR)
		return (false);
	if (!r->syncing && !r->zeroing &&
	    (r->op == BLK_UNMAP || r->op == BLK_ZERO) &&
	    (e == EOPNOTSUPP || e == ENOSYS || e == EINVAL)) {
		/* The promise is that it reads as zeros, so write them. */
		if (r->op == BLK_UNMAP)
			blk->no_punch = true;
		else
			blk->no_zero_range = true;
		return (false);
	}
	if ((r->op == BLK_FLUSH || r->syncing) && e != ECANCELED) {
		if (blk->flush_error == 0)
			hvh_log(blk->h, HVH_LOG_ERROR, "%s: flush failed: %s; "
			    "what was written before may be lost", blk->name,
			    strerror(e));
		blk->flush_error = e;
	}
	*error = e;
	return (true);
}

bool
blk_file_result(struct hvh_blk *blk, struct blk_req *r, int64_t res,
    int *error)
{

	if (res < 0)
		return (blk_file_failed(blk, r, (int)-res, error));
	*error = 0;
	if (r->op == BLK_FLUSH || r->syncing) {
		*error = blk->flush_error;
		return (true);
	}
	if ((r->op == BLK_UNMAP || r->op == BLK_ZERO) && !r->zeroing) {
		/* fallocate() does it all, but says nothing of durability. */
		r->syncing = blk->write_through || r->fua;
		return (!r->syncing);
	}
	if (res == 0) {
		/* End of file, or a write that cannot go on. */
		*error = r->op == BLK_READ ? ENODATA : EIO;
		return (true);
	}
	if (r->op == BLK_WRITE || r->op == BLK_READ)
		return (blk_advance(r, (uint64_t)res));
	r->ofs += (uint64_t)res;
	r->left -= (uint64_t)res < r->left ? (uint64_t)res : r->left;
	return (r->left == 0);
}

/* --- The plain way --- */

static int64_t
blk_file_plain(struct hvh_blk *blk, const struct blk_step *st)
{
	int64_t n;

	switch (st->kind) {
	case BLK_STEP_READV:
		n = preadv(blk->fd, st->iov, st->niov, (off_t)st->ofs);
		break;
	case BLK_STEP_WRITEV:
		n = pwritev2(blk->fd, st->iov, st->niov, (off_t)st->ofs,
		    st->flags);
		break;
	case BLK_STEP_FALLOCATE:
		n = fallocate(blk->fd, st->flags, (off_t)st->ofs,
		    (off_t)st->len);
		break;
	default:
		n = fdatasync(blk->fd);
		break;
	}
	return (n < 0 ? -(int64_t)errno : n);
}

static void
blk_file_run(struct hvh_blk *blk)
{
	struct blk_step st;
	struct blk_req *r;
	int error;

	while ((r = TAILQ_FIRST(&blk->queue)) != NULL) {
		TAILQ_REMOVE(&blk->queue, r, link);
		do {
			blk_file_step(blk, r, &st);
		} while (!blk_file_result(blk, r, blk_file_plain(blk, &st),
		    &error));
		blk_done(blk, r, error);
	}
}

/* Nothing is ever under way outside blk_file_run(). */
static void
blk_file_cancel(struct hvh_blk *blk, struct blk_req *r)
{
}

static void
blk_file_drain(struct hvh_blk *blk)
{
}

static int
blk_file_size(struct hvh_blk *blk, uint64_t *size)
{
	struct stat sb;

	if (fstat(blk->fd, &sb) != 0)
		return (errno);
	if (S_ISBLK(sb.st_mode))
		return (ioctl(blk->fd, BLKGETSIZE64, size) != 0 ? errno : 0);
	*size = (uint64_t)sb.st_size;
	return (0);
}

static void
blk_file_close(struct hvh_blk *blk)
{

	/* The lock goes with the descriptor. */
	close(blk->fd);
}

static const struct blk_ops blk_plain_ops = {
	.run = blk_file_run,
	.cancel = blk_file_cancel,
	.drain = blk_file_drain,
	.size = blk_file_size,
	.close = blk_file_close,
};

static void
blk_file_uring_close(struct hvh_blk *blk)
{

	blk_uring_close(blk);
	close(blk->fd);
}

static const struct blk_ops blk_uring_ops = {
	.run = blk_uring_run,
	.cancel = blk_uring_cancel,
	.drain = blk_uring_drain,
	.size = blk_file_size,
	.close = blk_file_uring_close,
};

/* --- Opening --- */

static int
blk_file_fd(const struct hvh_blk_params *bp, int *fdp, char *err,
    size_t errlen)
{
	int error, fd;

	/* Without O_NONBLOCK a FIFO would hold us up. */
	fd = open(bp->path, (bp->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC |
	    O_NONBLOCK);
	if (fd >= 0 || errno != ENOENT || !bp->create) {
		*fdp = fd;
		if (fd >= 0)
			return (0);
		error = errno;
		snprintf(err, errlen, "%s: cannot open for %s: %s", bp->path,
		    bp->readonly ? "reading" : "reading and writing",
		    strerror(error));
		return (error);
	}
	fd = open(bp->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, (off_t)bp->size) != 0) {
		error = errno;
		snprintf(err, errlen, "%s: cannot create with %llu bytes: %s",
		    bp->path, (unsigned long long)bp->size, strerror(error));
		if (fd >= 0) {
			close(fd);
			unlink(bp->path);
		}
		return (error);
	}
	*fdp = fd;
	return (0);
}

/* A descriptor that was opened by someone else, for who knows what. */
static int
blk_file_given(struct hvh_blk *blk, const struct hvh_blk_params *bp, char *err,
    size_t errlen)
{
	int error, flags, mode;

	flags = fcntl(bp->fd, F_GETFL);
	if (flags < 0) {
		error = errno;
		snprintf(err, errlen, "%s: descriptor %d: %s", blk->name,
		    bp->fd, strerror(error));
		return (error);
	}
	mode = flags & O_ACCMODE;
	if ((flags & O_PATH) != 0 || mode == O_WRONLY ||
	    (mode == O_RDONLY && !bp->readonly)) {
		snprintf(err, errlen, "%s: its descriptor is not open for %s",
		    blk->name, bp->readonly ? "reading" :
		    "reading and writing");
		return (EBADF);
	}
	/* The first would write elsewhere, the second wants its alignment. */
	if ((flags & (O_APPEND | O_DIRECT)) != 0 &&
	    fcntl(bp->fd, F_SETFL, flags & ~(O_APPEND | O_DIRECT)) != 0) {
		error = errno;
		snprintf(err, errlen, "%s: cannot set its descriptor's flags: "
		    "%s", blk->name, strerror(error));
		return (error);
	}
	blk->fd = bp->fd;
	return (0);
}

/* Is it something that can hold a disk? */
static int
blk_file_check(struct hvh_blk *blk, char *err, size_t errlen)
{
	struct stat sb;
	uint64_t size = 0;
	int error, sector;

	if (fstat(blk->fd, &sb) != 0) {
		error = errno;
		snprintf(err, errlen, "%s: %s", blk->name, strerror(error));
		return (error);
	}
	if (!S_ISREG(sb.st_mode) && !S_ISBLK(sb.st_mode)) {
		snprintf(err, errlen, "%s: is %s, not a regular file or a "
		    "block device", blk->name, S_ISDIR(sb.st_mode) ?
		    "a directory" : S_ISCHR(sb.st_mode) ? "a character device" :
		    "a pipe or a socket");
		return (S_ISDIR(sb.st_mode) ? EISDIR : ENOTBLK);
	}
	if (flock(blk->fd, LOCK_NB | (blk->readonly ? LOCK_SH : LOCK_EX)) !=
	    0) {
		error = errno == EWOULDBLOCK ? EBUSY : errno;
		snprintf(err, errlen, "%s: %s", blk->name, error == EBUSY ?
		    "is locked: another program or disk uses it" :
		    strerror(error));
		return (error);
	}
	error = blk_file_size(blk, &size);
	if (error != 0) {
		snprintf(err, errlen, "%s: cannot tell its size: %s", blk->name,
		    strerror(error));
		return (error);
	}
	if (S_ISBLK(sb.st_mode) && (ioctl(blk->fd, BLKSSZGET, &sector) != 0 ||
	    (uint32_t)sector > blk->block_size)) {
		snprintf(err, errlen,
		    "%s: its sectors are larger than %u bytes", blk->name,
		    blk->block_size);
		return (EINVAL);
	}
	if (size == 0) {
		snprintf(err, errlen, "%s: is empty", blk->name);
		return (EINVAL);
	}
	if (size % blk->block_size != 0) {
		snprintf(err, errlen, "%s: its %llu bytes are not a whole "
		    "number of %u-byte blocks", blk->name,
		    (unsigned long long)size, blk->block_size);
		return (EINVAL);
	}
	blk->size = size;
	return (0);
}

int
blk_file_open(struct hvh_blk *blk, const struct hvh_blk_params *bp, char *err,
    size_t errlen)
{
	int error;

	if (bp->create && !bp->have_fd &&
	    (bp->size == 0 || bp->size % bp->block_size != 0)) {
		snprintf(err, errlen, "%s: %llu bytes to create are not a "
		    "whole number of %u-byte blocks", bp->path,
		    (unsigned long long)bp->size, bp->block_size);
		return (EINVAL);
	}
	if (bp->have_fd)
		error = blk_file_given(blk, bp, err, errlen);
	else
		error = blk_file_fd(bp, &blk->fd, err, errlen);
	if (error != 0)
		return (error);
	error = blk_file_check(blk, err, errlen);
	if (error != 0) {
		if (bp->have_fd)
			flock(blk->fd, LOCK_UN);
		else
			close(blk->fd);
		return (error);
	}
	/* io_uring takes O_NONBLOCK as "do not wait, fail". */
	fcntl(blk->fd, F_SETFL, fcntl(blk->fd, F_GETFL) & ~O_NONBLOCK);

	blk->ops = &blk_plain_ops;
	if (!bp->no_uring) {
		error = blk_uring_open(blk);
		if (error == 0)
			blk->ops = &blk_uring_ops;
		else
			hvh_log(blk->h, HVH_LOG_WARN, "%s: no io_uring (%s); "
			    "its I/O holds up the other devices", blk->name,
			    strerror(error));
	}
	return (0);
}
