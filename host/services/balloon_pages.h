/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Which pages of a guest's memory are out: a bit each, over all regions one
 * after the other.  No locks.
 */

#ifndef HVH_SERVICES_BALLOON_PAGES_H
#define	HVH_SERVICES_BALLOON_PAGES_H

#include "vmbus/channel.h"

struct balloon_pages;

/* A piece of guest memory: pages that lie side by side in one region. */
struct balloon_run {
	uint64_t	 page;		/* guest page number */
	uint64_t	 pages;
};

/* NULL: no memory. */
struct balloon_pages *balloon_pages_new(const struct hvh_mem_region *mem,
	    unsigned nmem);
void	balloon_pages_free(struct balloon_pages *bp);
/* All there are; those that are out. */
uint64_t balloon_pages_total(const struct balloon_pages *bp);
uint64_t balloon_pages_out(const struct balloon_pages *bp);
/*
 * As many pages from r->page on as are there and not out, at most r->pages,
 * in one region, are out from now on; r->pages is how many.
 */
void	balloon_pages_take(struct balloon_pages *bp, struct balloon_run *r);
/* The first run that is out, at most max pages; false: none is. */
bool	balloon_pages_give(struct balloon_pages *bp, uint64_t max,
	    struct balloon_run *r);

#endif	/* !HVH_SERVICES_BALLOON_PAGES_H */
