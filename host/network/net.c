/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network back ends, what they have in common: open and close, what is checked
 * and counted of each frame, who waits for whom.
 *
 * A back end may say that it has no room, and then the user's queue fills, and
 * with it the guest's: nothing is lost.  But nobody can be made to wait for
 * ever by a peer that does not read, so after NET_STALL_NS frames are dropped
 * until one is taken again.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/net.h"

static void
net_stall_over(void *arg)
{
	struct hvh_netbe *be = arg;

	be->dropping = true;
	be->told = false;
	if (be->user != NULL && be->user->writable != NULL)
		be->user->writable(be->user_arg);
}

/* --- For users --- */

void
net_attach(struct hvh_netbe *be, const struct net_user *user, void *arg)
{

	be->user = user;
	be->user_arg = arg;
	if (user == NULL) {
		hvh_timer_clear(be->h, &be->stall);
		net_accept(be, 0);
		net_resume(be);
	}
}

static int
net_check(struct hvh_netbe *be, uint32_t len, const struct net_meta *m)
{
	unsigned caps = net_caps(be), need = 0;

	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
		return (EMSGSIZE);
	if (m->gso == NET_GSO_TCP4)
		need = NET_CAN_TSO4;
	else if (m->gso == NET_GSO_TCP6)
		need = NET_CAN_TSO6;
	else if ((m->flags & NET_NEEDS_CSUM) != 0)
		need = NET_CAN_CSUM;
	if ((need & ~caps) != 0)
		return (EOPNOTSUPP);
	return (be->link ? 0 : ENETDOWN);
}

int
net_send(struct hvh_netbe *be, const struct iovec *iov, int niov, uint32_t len,
    const struct net_meta *m)
{
	int error;

	error = net_check(be, len, m);
	if (error == 0)
		error = be->ops->send(be, iov, niov, len, m);
	if (error == 0) {
		be->dropping = false;
		hvh_timer_clear(be->h, &be->stall);
		be->stats.tx_frames++;
		be->stats.tx_bytes += len;
		return (0);
	}
	if (error == EAGAIN && !be->dropping) {
		be->told = true;
		if (be->stall.at == 0)
			hvh_timer_set(be->h, &be->stall, hvh_now(be->h) +
			    NET_STALL_NS);
		return (EAGAIN);
	}
	be->stats.tx_dropped++;
	return (error == EAGAIN ? ENOBUFS : error);
}

void
net_run(struct hvh_netbe *be)
{

	be->ops->run(be);
}

void
net_resume(struct hvh_netbe *be)
{

	if (!be->stalled)
		return;
	be->stalled = false;
	be->ops->resume(be);
}

void
net_accept(struct hvh_netbe *be, unsigned can)
{

	if ((can & (NET_CAN_TSO4 | NET_CAN_TSO6)) != 0)
		can |= NET_CAN_CSUM;
	if (be->accept == can)
		return;
	be->accept = can;
	if (be->ops->accept != NULL)
		be->ops->accept(be);
}

unsigned
net_caps(struct hvh_netbe *be)
{

	return (be->ops->caps != NULL ? be->ops->caps(be) : 0);
}

bool
net_link(const struct hvh_netbe *be)
{

	return (be->link);
}

void
net_close_locked(struct hvh_netbe *be)
{
	struct hvh_netbe *lower = be->lower;

	hvh_timer_clear(be->h, &be->stall);
	be->user = NULL;
	be->ops->close(be);
	net_free(be);
	if (lower != NULL)
		net_close_locked(lower);
}

/* --- For kinds of back ends --- */

int
net_new(struct hvh *h, const struct net_ops *ops, void *priv,
    const char *name, struct hvh_netbe **bep)
{
	struct hvh_netbe *be;

	be = calloc(1, sizeof(*be));
	if (be == NULL)
		return (ENOMEM);
	be->name = strdup(name);
	if (be->name == NULL) {
		free(be);
		return (ENOMEM);
	}
	be->h = h;
	be->ops = ops;
	be->priv = priv;
	be->link = true;
	be->stall.fn = net_stall_over;
	be->stall.arg = be;
	*bep = be;
	return (0);
}

int
net_new_layer(struct hvh_netbe *lower, const struct net_ops *ops,
    const struct net_user *user, void *priv, struct hvh_netbe **bep)
{
	int error;

	error = net_new(lower->h, ops, priv, lower->name, bep);
	if (error != 0)
		return (error);
	(*bep)->lower = lower;
	(*bep)->link = lower->link;
	net_attach(lower, user, priv);
	return (0);
}

void
net_free(struct hvh_netbe *be)
{

	free(be->name);
	free(be);
}

bool
net_input(struct hvh_netbe *be, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{

	if (be->user == NULL || len < NET_FRAME_MIN || len > NET_FRAME_MAX) {
		be->stats.rx_dropped++;
		return (true);
	}
	if (!be->user->input(be->user_arg, data, len, m)) {
		be->stalled = true;
		return (false);
	}
	be->stats.rx_frames++;
	be->stats.rx_bytes += len;
	return (true);
}

void
net_input_end(struct hvh_netbe *be)
{

	if (be->user != NULL && be->user->input_end != NULL)
		be->user->input_end(be->user_arg);
}

void
net_writable(struct hvh_netbe *be)
{

	be->dropping = false;
	hvh_timer_clear(be->h, &be->stall);
	/*
	 * Who waits need not be who has sent since: the user may speak for
	 * several.
	 */
	if (!be->told)
		return;
	be->told = false;
	if (be->user != NULL && be->user->writable != NULL)
		be->user->writable(be->user_arg);
}

void
net_set_link(struct hvh_netbe *be, bool up)
{

	if (be->link == up)
		return;
	be->link = up;
	if (be->user != NULL && be->user->link != NULL)
		be->user->link(be->user_arg);
}

uint32_t
net_gather(void *buf, uint32_t size, const struct iovec *iov, int niov)
{
	uint8_t *p = buf;
	uint32_t left = size, n;
	int i;

	for (i = 0; i < niov && left > 0; i++) {
		n = iov[i].iov_len < left ? (uint32_t)iov[i].iov_len : left;
		memcpy(p, iov[i].iov_base, n);
		p += n;
		left -= n;
	}
	return (size - left);
}

/* --- Management --- */

int
hvh_netbe_open(struct hvh *h, const struct hvh_netbe_params *np,
    struct hvh_netbe **be, char *err, size_t errlen)
{

	switch (np->kind) {
	case HVH_NETBE_TAP:
		return (net_tap_open(h, np, be, err, errlen));
	case HVH_NETBE_SOCKET:
		return (net_sock_open(h, np, be, err, errlen));
	case HVH_NETBE_USER:
		return (net_user_open(h, np, be, err, errlen));
	}
	snprintf(err, errlen, "no such kind of network back end");
	return (EINVAL);
}

void
hvh_netbe_get_stats(struct hvh_netbe *be, struct hvh_netbe_stats *st)
{

	hvh_lock(be->h);
	*st = be->stats;
	hvh_unlock_quiet(be->h);
}

void
hvh_netbe_close(struct hvh_netbe *be)
{
	struct hvh *h = be->h;

	hvh_lock(h);
	net_close_locked(be);
	hvh_unlock(h);
}
