/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The pages that a guest has given up; see balloon_pages.h.  What a guest says
 * costs no more than the pages it says it of: a range ends at the first one
 * that is not there or is out already.
 */

#include <stdlib.h>

#include "services/balloon_pages.h"

#define	PAGE_SHIFT	12
#define	WORD		64u

struct balloon_pages {
	struct {
		uint64_t	 page;	/* its first */
		uint64_t	 bit;	/* of that one */
		uint64_t	 pages;
	} region[4];
	unsigned	 nregions;
	uint64_t	 total, out;
	uint64_t	 next;		/* no lower bit is set */
	uint64_t	 bits[];
};

struct balloon_pages *
balloon_pages_new(const struct hvh_mem_region *mem, unsigned nmem)
{
	struct balloon_pages *bp;
	uint64_t total = 0;

	for (unsigned i = 0; i < nmem; i++)
		total += mem[i].size >> PAGE_SHIFT;
	bp = calloc(1, sizeof(*bp) + (total / WORD + 1) * sizeof(uint64_t));
	if (bp == NULL)
		return (NULL);
	for (unsigned i = 0; i < nmem; i++) {
		bp->region[i].page = mem[i].gpa >> PAGE_SHIFT;
		bp->region[i].pages = mem[i].size >> PAGE_SHIFT;
		bp->region[i].bit = bp->total;
		bp->total += bp->region[i].pages;
	}
	bp->nregions = nmem;
	return (bp);
}

void
balloon_pages_free(struct balloon_pages *bp)
{

	free(bp);
}

uint64_t
balloon_pages_total(const struct balloon_pages *bp)
{

	return (bp->total);
}

uint64_t
balloon_pages_out(const struct balloon_pages *bp)
{

	return (bp->out);
}

static bool
is_out(const struct balloon_pages *bp, uint64_t bit)
{

	return ((bp->bits[bit / WORD] >> bit % WORD & 1) != 0);
}

void
balloon_pages_take(struct balloon_pages *bp, struct balloon_run *r)
{
	uint64_t bit = 0, left = 0, n;

	for (unsigned i = 0; i < bp->nregions; i++) {
		if (r->page < bp->region[i].page ||
		    r->page - bp->region[i].page >= bp->region[i].pages)
			continue;
		n = r->page - bp->region[i].page;
		bit = bp->region[i].bit + n;
		left = bp->region[i].pages - n;
	}
	if (left > r->pages)
		left = r->pages;
	if (left > 0 && bit < bp->next)
		bp->next = bit;
	for (n = 0; n < left && !is_out(bp, bit); n++, bit++)
		bp->bits[bit / WORD] |= 1ull << bit % WORD;
	bp->out += n;
	r->pages = n;
}

bool
balloon_pages_give(struct balloon_pages *bp, uint64_t max,
    struct balloon_run *r)
{
	uint64_t bit = bp->next, end;
	unsigned i = 0;

	if (bp->out == 0 || max == 0)
		return (false);
	while (!is_out(bp, bit)) {
		if (bp->bits[bit / WORD] == 0)
			bit = (bit / WORD + 1) * WORD;
		else
			bit++;
	}
	while (bit - bp->region[i].bit >= bp->region[i].pages)
		i++;
	end = bp->region[i].bit + bp->region[i].pages;
	r->page = bp->region[i].page + (bit - bp->region[i].bit);
	for (r->pages = 0; r->pages < max && bit < end && is_out(bp, bit);
	    r->pages++, bit++)
		bp->bits[bit / WORD] &= ~(1ull << bit % WORD);
	bp->next = bit;
	bp->out -= r->pages;
	return (true);
}
