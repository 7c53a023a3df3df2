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
nbd_pool_size(unsigned class)
{
	return ((size_t)1 << (NBD_POOL_SHIFT + class));
}

/* Gives up kept buffers, largest first, until `room` bytes fit the limit. */
static void
nbd_pool_trim(struct nbd_pool *pl, size_t room)
{
	struct nbd_buf *b;
	unsigned i;

	for (i = NBD_POOL_CLASSES; i-- > 0;) {
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
nbd_pool_alloc(struct nbd_pool *pl, unsigned class)
{
	struct nbd_buf *b;

	if ((b = malloc(sizeof(*b))) == NULL)
		return (NULL);
	b->b_class = class;
	b->b_data = kpi_mem_alloc(nbd_pool_size(class));
	if (b->b_data == NULL) {
		/* What is kept in other sizes may be what is missing. */
		nbd_pool_trim(pl, NBD_POOL_LIMIT);
		b->b_data = kpi_mem_alloc(nbd_pool_size(class));
	}
	if (b->b_data == NULL) {
		free(b);
		return (NULL);
	}
	pl->pl_bytes += nbd_pool_size(class);
	return (b);
}

struct nbd_buf *
nbd_pool_get(struct nbd_pool *pl, size_t len, bool beyond)
{
	struct nbd_buf *b;
	unsigned class;

	for (class = 0; nbd_pool_size(class) < len; class++)
		if (class == NBD_POOL_CLASSES - 1)
			return (NULL);
	b = SLIST_FIRST(&pl->pl_free[class]);
	if (b != NULL) {
		SLIST_REMOVE_HEAD(&pl->pl_free[class], b_link);
	} else {
		nbd_pool_trim(pl, nbd_pool_size(class));
		if (!beyond &&
		    pl->pl_bytes + nbd_pool_size(class) > NBD_POOL_LIMIT)
			return (NULL);
		if ((b = nbd_pool_alloc(pl, class)) == NULL)
			return (NULL);
	}
	pl->pl_used++;
	return (b);
}

void
nbd_pool_put(struct nbd_pool *pl, struct nbd_buf *b)
{

	pl->pl_used--;
	SLIST_INSERT_HEAD(&pl->pl_free[b->b_class], b, b_link);
}

void
nbd_pool_drain(struct nbd_pool *pl)
{

	nbd_pool_trim(pl, NBD_POOL_LIMIT);
}
