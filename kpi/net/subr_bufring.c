/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * buf_ring as memory; what is done with one is inline in sys/buf_ring.h.
 */

#include <kern/kpi_internal.h>

#include <sys/buf_ring.h>
#include <sys/malloc.h>

struct buf_ring *
buf_ring_alloc(int count, struct malloc_type *type, int flags,
    struct mtx *lock)
{
	struct buf_ring *br;

	KASSERT(count > 0 && powerof2(count),
	    ("buf_ring_alloc: %d is no power of two", count));
	br = malloc(sizeof(*br) + count * sizeof(br->br_ring[0]), type,
	    flags | M_ZERO);
	if (br == NULL)
		return (NULL);
	br->br_prod_size = br->br_cons_size = count;
	br->br_prod_mask = br->br_cons_mask = count - 1;
	return (br);
}

/* What is in it would be lost for good. */
void
buf_ring_free(struct buf_ring *br, struct malloc_type *type)
{

	KASSERT(buf_ring_empty(br), ("buf_ring_free: %d entries are in it",
	    buf_ring_count(br)));
	free(br, type);
}
