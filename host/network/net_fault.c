/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Bad weather, as a layer: frames are lost, late, doubled, passed by others,
 * or damaged, each way and each on its own, as a seed has it.
 *
 * A frame whose checksum is still to be made cannot be damaged so that anybody
 * notices, and one that is still to be cut is sixty frames: so nothing is left
 * to who is behind this layer, or in front of it, unless it only delays.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "network/net.h"

#define	FAULT_QUEUE	4096u		/* frames that are late, each way */
#define	FAULT_PASS_NS	2000000ull	/* others have so long to pass by */
#define	MILLION		1000000u

struct late {
	struct late	*next;
	uint64_t	 at;
	uint32_t	 len;
	struct net_meta	 meta;
	uint8_t		 data[];
};

struct net_fault;

struct way {
	struct net_fault *nf;
	bool		 out;		/* to the lower back end */
	bool		 full;		/* the next one has no room */
	unsigned	 n;
	struct late	*late;		/* by time */
	struct late	*last;		/* of those */
	struct hvh_timer timer;
};

struct net_fault {
	struct hvh_netbe *be;
	struct hvh_netbe_faults faults;
	uint64_t	 random;
	struct way	 tx, rx;
};

/* --- Chance --- */

static uint64_t
chance(struct net_fault *f)
{
	uint64_t x;

	/* splitmix64: any seed is a good one. */
	x = f->random += 0x9E3779B97F4A7C15ull;
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
	x = (x ^ x >> 27) * 0x94D049BB133111EBull;
	return (x ^ x >> 31);
}

static bool
happens(struct net_fault *f, uint32_t millionths)
{

	return (millionths != 0 && chance(f) % MILLION < millionths);
}

/* --- On to the next --- */

/* False: no room there. */
static bool
pass(struct way *w, struct late *l)
{
	struct hvh_netbe *be = w->nf->be;
	struct iovec iov = { l->data, l->len };

	if (!w->out)
		return (net_input(be, l->data, l->len, &l->meta));
	switch (net_send(be->lower, &iov, 1, l->len, &l->meta)) {
	case 0:
		return (true);
	case EAGAIN:
		return (false);
	default:
		be->stats.tx_dropped++;
		return (true);
	}
}

static void
way_remove(struct way *w)
{
	struct late *l = w->late;

	w->late = l->next;
	if (w->late == NULL)
		w->last = NULL;
	w->n--;
	free(l);
}

static void
way_run(void *arg)
{
	struct way *w = arg;
	struct hvh *h = w->nf->be->h;
	uint64_t now = hvh_now(h);
	struct late *l;
	unsigned n;

	if (w->full)
		return;
	for (n = 0; n < NET_BUDGET; n++) {
		l = w->late;
		if (l == NULL || l->at > now)
			break;
		if (!pass(w, l)) {
			w->full = true;
			break;
		}
		way_remove(w);
	}
	if (n > 0 && w->out)
		net_run(w->nf->be->lower);
	else if (n > 0)
		net_input_end(w->nf->be);
	if (w->late != NULL && !w->full)
		hvh_timer_set(h, &w->timer, w->late->at > now ? w->late->at :
		    now);
}

/* The next one has room again. */
static void
way_again(struct way *w)
{

	if (!w->full)
		return;
	w->full = false;
	if (w->late != NULL)
		hvh_timer_set(w->nf->be->h, &w->timer, hvh_now(w->nf->be->h));
}

/* --- What may happen to a frame --- */

static void
way_insert(struct way *w, struct late *l)
{
	struct late **p = &w->late;

	/* Most are the latest. */
	if (w->last != NULL && w->last->at <= l->at)
		p = &w->last->next;
	while (*p != NULL && (*p)->at <= l->at)
		p = &(*p)->next;
	l->next = *p;
	*p = l;
	if (l->next == NULL)
		w->last = l;
	w->n++;
	if (w->late == l && !w->full)
		hvh_timer_set(w->nf->be->h, &w->timer, l->at);
}

/* One copy of it is on its way; false: lost for want of room. */
static bool
way_add(struct way *w, const struct iovec *iov, int niov, uint32_t len,
    const struct net_meta *m)
{
	struct net_fault *f = w->nf;
	const struct hvh_netbe_faults *fp = &f->faults;
	struct late *l;
	uint64_t bit;

	if (w->n >= FAULT_QUEUE)
		return (false);
	l = malloc(sizeof(*l) + len);
	if (l == NULL)
		return (false);
	l->len = net_gather(l->data, len, iov, niov);
	l->meta = *m;
	if (happens(f, fp->corrupt)) {
		bit = chance(f) % ((uint64_t)len * 8);
		l->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		l->meta.flags &= ~NET_CSUM_VALID;
	}
	l->at = hvh_now(f->be->h) + fp->delay_ns;
	if (fp->jitter_ns != 0)
		l->at += chance(f) % fp->jitter_ns;
	if (happens(f, fp->reorder))
		l->at += FAULT_PASS_NS;
	way_insert(w, l);
	return (true);
}

static void
way_take(struct way *w, const struct iovec *iov, int niov, uint32_t len,
    const struct net_meta *m)
{
	struct net_fault *f = w->nf;
	uint64_t *dropped = w->out ? &f->be->stats.tx_dropped :
	    &f->be->stats.rx_dropped;
	unsigned copies = happens(f, f->faults.duplicate) ? 2 : 1;

	if (happens(f, f->faults.loss)) {
		(*dropped)++;
		return;
	}
	while (copies-- > 0) {
		if (!way_add(w, iov, niov, len, m))
			(*dropped)++;
	}
}

static void
way_clear(struct way *w)
{

	hvh_timer_clear(w->nf->be->h, &w->timer);
	while (w->late != NULL)
		way_remove(w);
}

/* --- As a back end --- */

static bool
only_late(const struct hvh_netbe_faults *fp)
{

	return (fp->loss == 0 && fp->duplicate == 0 && fp->reorder == 0 &&
	    fp->corrupt == 0);
}

static int
fault_send(struct hvh_netbe *be, const struct iovec *iov, int niov,
    uint32_t len, const struct net_meta *m)
{
	struct net_fault *f = be->priv;

	if (f->tx.full && f->tx.n >= NET_BUDGET)
		return (EAGAIN);
	way_take(&f->tx, iov, niov, len, m);
	return (0);
}

static void
fault_run(struct hvh_netbe *be)
{
	struct net_fault *f = be->priv;

	way_run(&f->tx);
}

/* Ours is what waits first, and then the lower one's. */
static void
fault_resume(struct hvh_netbe *be)
{
	struct net_fault *f = be->priv;

	way_again(&f->rx);
	net_resume(be->lower);
}

static void
fault_accept(struct hvh_netbe *be)
{
	struct net_fault *f = be->priv;

	net_accept(be->lower, only_late(&f->faults) ? be->accept : 0);
}

static unsigned
fault_caps(struct hvh_netbe *be)
{
	struct net_fault *f = be->priv;

	return (only_late(&f->faults) ? net_caps(be->lower) : 0);
}

static void
fault_close(struct hvh_netbe *be)
{
	struct net_fault *f = be->priv;

	net_attach(be->lower, NULL, NULL);
	way_clear(&f->tx);
	way_clear(&f->rx);
	free(f);
}

static const struct net_ops fault_ops = {
	.send = fault_send,
	.run = fault_run,
	.resume = fault_resume,
	.accept = fault_accept,
	.caps = fault_caps,
	.close = fault_close,
};

/* --- As a user --- */

static bool
fault_input(void *arg, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{
	struct net_fault *f = arg;
	struct iovec iov = { (void *)(uintptr_t)data, len };

	if (f->rx.full && f->rx.n >= NET_BUDGET)
		return (false);
	way_take(&f->rx, &iov, 1, len, m);
	return (true);
}

static void
fault_input_end(void *arg)
{
	struct net_fault *f = arg;

	way_run(&f->rx);
}

static void
fault_writable(void *arg)
{
	struct net_fault *f = arg;

	way_again(&f->tx);
	net_writable(f->be);
}

static void
fault_link(void *arg)
{
	struct net_fault *f = arg;

	net_set_link(f->be, net_link(f->be->lower));
}

static const struct net_user fault_user = {
	.input = fault_input,
	.input_end = fault_input_end,
	.writable = fault_writable,
	.link = fault_link,
};

int
hvh_netbe_disturb(struct hvh_netbe **be, const struct hvh_netbe_faults *fp)
{
	struct hvh *h = (*be)->h;
	struct net_fault *f;
	int error;

	if (fp->loss > MILLION || fp->duplicate > MILLION ||
	    fp->reorder > MILLION || fp->corrupt > MILLION)
		return (EINVAL);
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return (ENOMEM);
	f->faults = *fp;
	f->random = fp->seed;
	f->tx = (struct way){ .nf = f, .out = true,
	    .timer = { .fn = way_run, .arg = &f->tx } };
	f->rx = (struct way){ .nf = f,
	    .timer = { .fn = way_run, .arg = &f->rx } };
	hvh_lock(h);
	error = net_new_layer(*be, &fault_ops, &fault_user, f, &f->be);
	if (error == 0)
		*be = f->be;
	hvh_unlock_quiet(h);
	if (error != 0)
		free(f);
	return (error);
}
