/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The memory back end: contents live as long as it is open.  It is never
 * short of space and its flushes are trivial.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "storage/blk.h"

static int
blk_mem_exec(struct hvh_blk *blk, struct blk_req *r)
{
	uint8_t *p;
	int i;

	if (r->op == BLK_FLUSH)
		return (0);
	if (r->ofs > blk->size || r->len > blk->size - r->ofs)
		return (ENODATA);
	p = blk->mem + r->ofs;
	if (r->op == BLK_UNMAP || r->op == BLK_ZERO) {
		memset(p, 0, r->len);
		return (0);
	}
	for (i = 0; i < r->niov; i++) {
		if (r->op == BLK_READ)
			memcpy(r->iov[i].iov_base, p, r->iov[i].iov_len);
		else
			memcpy(p, r->iov[i].iov_base, r->iov[i].iov_len);
		p += r->iov[i].iov_len;
	}
	return (0);
}

static void
blk_mem_run(struct hvh_blk *blk)
{
	struct blk_req *r;

	while ((r = TAILQ_FIRST(&blk->queue)) != NULL) {
		TAILQ_REMOVE(&blk->queue, r, link);
		blk_done(blk, r, blk_mem_exec(blk, r));
	}
}

/* Nothing is ever under way outside blk_mem_run(). */
static void
blk_mem_cancel(struct hvh_blk *blk, struct blk_req *r)
{
}

static void
blk_mem_drain(struct hvh_blk *blk)
{
}

static int
blk_mem_size(struct hvh_blk *blk, uint64_t *size)
{

	*size = blk->size;
	return (0);
}

static void
blk_mem_close(struct hvh_blk *blk)
{

	munmap(blk->mem, blk->size);
}

static const struct blk_ops blk_mem_ops = {
	.run = blk_mem_run,
	.cancel = blk_mem_cancel,
	.drain = blk_mem_drain,
	.size = blk_mem_size,
	.close = blk_mem_close,
};

int
blk_mem_open(struct hvh_blk *blk, const struct hvh_blk_params *bp, char *err,
    size_t errlen)
{
	void *p;

	if (bp->size == 0 || bp->size % bp->block_size != 0) {
		snprintf(err, errlen, "memory disk: %llu bytes are not a whole "
		    "number of %u-byte blocks", (unsigned long long)bp->size,
		    bp->block_size);
		return (EINVAL);
	}
	/* Private and lazily committed: an untouched disk costs nothing. */
	p = mmap(NULL, bp->size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		snprintf(err, errlen, "memory disk: no memory for %llu bytes",
		    (unsigned long long)bp->size);
		return (ENOMEM);
	}
	blk->mem = p;
	blk->size = bp->size;
	blk->ops = &blk_mem_ops;
	return (0);
}
