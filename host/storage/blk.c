/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Storage back ends, what they have in common: open and close, the queue,
 * cancellation.  The kinds are in blk_mem.c and blk_file.c.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/blk.h"

static const char *
blk_params_name(const struct hvh_blk_params *bp)
{

	if (bp->path != NULL)
		return (bp->path);
	return (bp->have_fd ? "disk" : "memory disk");
}

static int
blk_check_params(const struct hvh_blk_params *bp, char *err, size_t errlen)
{

	if (bp->block_size != 512 && bp->block_size != 2048 &&
	    bp->block_size != 4096) {
		snprintf(err, errlen,
		    "%s: block size %u is not 512, 2048 or 4096",
		    blk_params_name(bp), bp->block_size);
		return (EINVAL);
	}
	return (0);
}

int
hvh_blk_open(struct hvh *h, const struct hvh_blk_params *bp,
    struct hvh_blk **blkp, char *err, size_t errlen)
{
	struct hvh_blk *blk;
	int error;

	error = blk_check_params(bp, err, errlen);
	if (error != 0)
		return (error);
	blk = calloc(1, sizeof(*blk));
	if (blk == NULL) {
		snprintf(err, errlen, "no memory for a storage back end");
		return (ENOMEM);
	}
	blk->h = h;
	blk->block_size = bp->block_size;
	blk->readonly = bp->readonly;
	blk->write_through = bp->write_through;
	blk->fd = -1;
	TAILQ_INIT(&blk->queue);
	blk->name = strdup(blk_params_name(bp));
	if (blk->name == NULL) {
		free(blk);
		snprintf(err, errlen, "no memory for a storage back end");
		return (ENOMEM);
	}

	if (bp->path == NULL && !bp->have_fd)
		error = blk_mem_open(blk, bp, err, errlen);
	else
		error = blk_file_open(blk, bp, err, errlen);
	if (error != 0) {
		free(blk->name);
		free(blk);
		return (error);
	}
	*blkp = blk;
	return (0);
}

void
blk_close_locked(struct hvh_blk *blk)
{
	struct blk_req *r;

	/* No owner is left to be told of what is still queued. */
	while ((r = TAILQ_FIRST(&blk->queue)) != NULL) {
		TAILQ_REMOVE(&blk->queue, r, link);
		r->state = BLK_IDLE;
	}
	blk->ops->drain(blk);
	blk->ops->close(blk);
	free(blk->name);
	free(blk);
}

void
hvh_blk_close(struct hvh_blk *blk)
{
	struct hvh *h = blk->h;

	hvh_lock(h);
	blk_close_locked(blk);
	hvh_unlock(h);
}

void
blk_submit(struct hvh_blk *blk, struct blk_req *r)
{

	r->state = BLK_QUEUED;
	r->left = r->len;
	r->zeroing = false;
	r->syncing = false;
	TAILQ_INSERT_TAIL(&blk->queue, r, link);
}

void
blk_run(struct hvh_blk *blk)
{

	if (blk->running)
		return;
	blk->running = true;
	blk->ops->run(blk);
	blk->running = false;
}

void
blk_cancel(struct hvh_blk *blk, struct blk_req *r)
{

	switch (r->state) {
	case BLK_IDLE:
		break;
	case BLK_QUEUED:
		TAILQ_REMOVE(&blk->queue, r, link);
		r->state = BLK_IDLE;
		r->done(r, ECANCELED);
		break;
	case BLK_STARTED:
		blk->ops->cancel(blk, r);
		break;
	}
}

bool
blk_resized(struct hvh_blk *blk)
{
	uint64_t size;

	if (blk->ops->size(blk, &size) != 0)
		return (false);
	size -= size % blk->block_size;
	if (size == blk->size)
		return (false);
	hvh_log(blk->h, HVH_LOG_INFO,
	    "%s: size changed from %llu to %llu bytes", blk->name,
	    (unsigned long long)blk->size, (unsigned long long)size);
	blk->size = size;
	return (true);
}

bool
blk_advance(struct blk_req *r, uint64_t n)
{
	uint64_t part;

	if (n > r->left)
		n = r->left;
	r->ofs += n;
	r->left -= n;
	while (n > 0 && r->niov > 0) {
		part = r->iov->iov_len < n ? r->iov->iov_len : n;
		r->iov->iov_base = (uint8_t *)r->iov->iov_base + part;
		r->iov->iov_len -= part;
		n -= part;
		if (r->iov->iov_len == 0) {
			r->iov++;
			r->niov--;
		}
	}
	return (r->left == 0);
}

void
blk_done(struct hvh_blk *blk, struct blk_req *r, int error)
{

	r->state = BLK_IDLE;
	r->done(r, error);
}
