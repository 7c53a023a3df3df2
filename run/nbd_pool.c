/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The NBD server's data buffers: guest memory in sizes of powers of two.  Ones
 * given back are kept, and returned to the guest when another size needs the
 * room.
 */

#include <stdlib.h>

#include "nbd_var.h"

static size_t
nbd_pool_size(unsigned bin)
{
	return ((size_t)1 << (NBD_POOL_SHIFT + bin));
}

/* Gives up kept buffers, largest first, until `room` bytes fit the limit. */
static void
nbd_pool_trim(struct nbd_pool *pl, size_t room)
{
	struct nbd_buf *b;
	unsigned i;

	for (i = NBD_POOL_BINS; i-- > 0;) {
		while (pl->pl_bytes + room > NBD_POOL_LIMIT &&
		    (b = SLIST_FIRST(&pl->pl_free[i])) != NULL) {
			SLIST_REMOVE_HEAD(&pl->pl_free[i], b_link);
			pl->pl_bytes -= nbd_pool_size(i);
			kpi_mem_free(b->b_data);
			free(b);
		}
	}
}

static struct nbd_buf *
nbd_pool_alloc(struct nbd_pool *pl, unsigned bin)
{
	struct nbd_buf *b;

	if ((b = malloc(sizeof(*b))) == NULL)
		return (NULL);
	b->b_bin = bin;
	b->b_data = kpi_mem_alloc(nbd_pool_size(bin));
	if (b->b_data == NULL) {
		/* What is kept in other sizes may be what is missing. */
		nbd_pool_trim(pl, NBD_POOL_LIMIT);
		b->b_data = kpi_mem_alloc(nbd_pool_size(bin));
	}
	if (b->b_data == NULL) {
		free(b);
		return (NULL);
	}
	pl->pl_bytes += nbd_pool_size(bin);
	return (b);
}

struct nbd_buf *
nbd_pool_get(struct nbd_pool *pl, size_t len, bool beyond)
{
	struct nbd_buf *b;
	unsigned bin;

	for (bin = 0; nbd_pool_size(bin) < len; bin++)
		if (bin == NBD_POOL_BINS - 1)
			return (NULL);
	b = SLIST_FIRST(&pl->pl_free[bin]);
	if (b != NULL) {
		SLIST_REMOVE_HEAD(&pl->pl_free[bin], b_link);
	} else {
		nbd_pool_trim(pl, nbd_pool_size(bin));
		if (!beyond &&
		    pl->pl_bytes + nbd_pool_size(bin) > NBD_POOL_LIMIT)
			return (NULL);
		if ((b = nbd_pool_alloc(pl, bin)) == NULL)
			return (NULL);
	}
	pl->pl_used++;
	return (b);
}

void
nbd_pool_put(struct nbd_pool *pl, struct nbd_buf *b)
{

	pl->pl_used--;
	SLIST_INSERT_HEAD(&pl->pl_free[b->b_bin], b, b_link);
}

void
nbd_pool_drain(struct nbd_pool *pl)
{

	nbd_pool_trim(pl, NBD_POOL_LIMIT);
}
