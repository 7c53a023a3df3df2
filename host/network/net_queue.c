/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A queue of frames in one piece of memory: what a back end has copied and its
 * user has not taken yet.
 */

#include <errno.h>
#include <stdlib.h>

#include "network/net.h"

#define	QUEUE_ALIGN	16u

int
net_queue_init(struct net_queue *q, uint32_t size)
{

	*q = (struct net_queue){ .size = size };
	q->mem = malloc(size);
	return (q->mem != NULL ? 0 : ENOMEM);
}

void
net_queue_fini(struct net_queue *q)
{

	free(q->mem);
	q->mem = NULL;
}

static uint32_t
record_size(uint32_t len)
{

	return ((uint32_t)(sizeof(struct net_queued) + len + QUEUE_ALIGN - 1) &
	    ~(QUEUE_ALIGN - 1));
}

/* Where need bytes are free, from there on in one piece; NULL: nowhere. */
static struct net_queued *
queue_room(struct net_queue *q, uint32_t need)
{

	if (q->n == 0)
		q->in = q->out = 0;
	if (q->n == 0 || q->in > q->out) {
		if (need <= q->size - q->in)
			return ((struct net_queued *)(q->mem + q->in));
		if (need > q->out)
			return (NULL);
		q->wrap = q->in;
		q->in = 0;
	} else if (need > q->out - q->in) {
		return (NULL);
	}
	return ((struct net_queued *)(q->mem + q->in));
}

bool
net_queue_put(struct net_queue *q, const struct iovec *iov, int niov,
    uint32_t len, const struct net_meta *m)
{
	uint32_t need = record_size(len);
	struct net_queued *r;

	r = queue_room(q, need);
	if (r == NULL)
		return (false);
	r->len = net_gather(r->data, len, iov, niov);
	r->meta = *m;
	q->in += need;
	q->n++;
	return (true);
}

const struct net_queued *
net_queue_head(const struct net_queue *q)
{

	if (q->n == 0)
		return (NULL);
	return ((const struct net_queued *)(q->mem + q->out));
}

void
net_queue_pop(struct net_queue *q)
{
	const struct net_queued *r = net_queue_head(q);

	q->out += record_size(r->len);
	q->n--;
	if (q->out > q->in && q->out == q->wrap)
		q->out = 0;
}

bool
net_queue_deliver(struct net_queue *q, struct hvh_netbe *be)
{
	const struct net_queued *r;
	unsigned n;

	if (be->stalled || q->n == 0)
		return (false);
	for (n = 0; n < NET_BUDGET; n++) {
		r = net_queue_head(q);
		if (r == NULL || !net_input(be, r->data, r->len, &r->meta))
			break;
		net_queue_pop(q);
	}
	net_input_end(be);
	return (q->n > 0 && !be->stalled);
}
