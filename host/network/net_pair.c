/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Two back ends joined in memory, as by a cable: what one is sent the other
 * delivers.  Offloads go as they are to a side that accepts them, so a GSO
 * frame may never be cut.  A side whose other side is closed has no link.
 */

#include <errno.h>
#include <stdlib.h>

#include "network/net.h"

#define	PAIR_QUEUE	(2u << 20)	/* bytes */
#define	PAIR_REFILL	16u		/* frames left of a full queue */

struct net_pair {
	struct hvh_netbe *be;
	struct net_pair	*peer;		/* NULL: closed */
	struct net_queue q;		/* to be delivered here */
	struct hvh_source source;
	bool		 full;		/* the peer has been told EAGAIN */
};

static int
pair_send(struct hvh_netbe *be, const struct iovec *iov, int niov,
    uint32_t len, const struct net_meta *m)
{
	struct net_pair *p = be->priv, *to = p->peer;

	if (to == NULL)
		return (ENETDOWN);
	if (net_queue_put(&to->q, iov, niov, len, m))
		return (0);
	to->full = true;
	return (EAGAIN);
}

/* The other side's turn in this round is over. */
static void
pair_run(struct hvh_netbe *be)
{
	struct net_pair *p = be->priv;

	if (p->peer != NULL && p->peer->q.n > 0 && !p->peer->be->stalled)
		hvh_kick(be->h);
}

static void
pair_poll(void *arg)
{
	struct net_pair *p = arg;

	if (p->q.n == 0)
		return;
	if (net_queue_deliver(&p->q, p->be))
		hvh_kick(p->be->h);
	/* Not at once, or a full queue would be refilled frame by frame. */
	if (p->full && p->q.n <= PAIR_REFILL) {
		p->full = false;
		if (p->peer != NULL)
			net_writable(p->peer->be);
	}
}

static void
pair_resume(struct hvh_netbe *be)
{

	hvh_kick(be->h);
}

static unsigned
pair_caps(struct hvh_netbe *be)
{
	struct net_pair *p = be->priv;

	return (p->peer != NULL ? p->peer->be->accept : 0);
}

static void
pair_close(struct hvh_netbe *be)
{
	struct net_pair *p = be->priv;

	hvh_source_remove(be->h, &p->source);
	if (p->peer != NULL) {
		p->peer->peer = NULL;
		net_set_link(p->peer->be, false);
		net_writable(p->peer->be);
	}
	net_queue_fini(&p->q);
	free(p);
}

static const struct net_ops pair_ops = {
	.send = pair_send,
	.run = pair_run,
	.resume = pair_resume,
	.caps = pair_caps,
	.close = pair_close,
};

static int
pair_open(struct hvh *h, const char *name, struct net_pair **pp)
{
	struct net_pair *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return (ENOMEM);
	error = net_queue_init(&p->q, PAIR_QUEUE);
	if (error == 0)
		error = net_new(h, &pair_ops, p, name, &p->be);
	if (error != 0) {
		net_queue_fini(&p->q);
		free(p);
		return (error);
	}
	p->source = (struct hvh_source){ .poll = pair_poll, .arg = p,
	    .fd = -1 };
	/* Cannot fail without a descriptor. */
	(void)hvh_source_add(h, &p->source);
	*pp = p;
	return (0);
}

int
hvh_netbe_pair(struct hvh *h, struct hvh_netbe *be[2])
{
	struct net_pair *a, *b;
	int error;

	hvh_lock(h);
	error = pair_open(h, "pair 0", &a);
	if (error == 0) {
		error = pair_open(h, "pair 1", &b);
		if (error != 0)
			net_close_locked(a->be);
	}
	if (error == 0) {
		a->peer = b;
		b->peer = a;
		be[0] = a->be;
		be[1] = b->be;
	}
	hvh_unlock_quiet(h);
	return (error);
}
