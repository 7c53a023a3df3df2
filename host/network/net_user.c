/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A network in user mode, which needs no privilege: libslirp's NAT with DHCP,
 * router advertisements and a way to a DNS server.  The guest is 10.0.2.15 or
 * fec0::/64, the host is 10.0.2.2 or fec0::2 to it.
 *
 * libslirp is single-threaded and asks to be polled; a set of epoll's own tells
 * the pump when that is worth it.  What libslirp sends may come from within
 * net_send(), so it is queued and delivered in the back end's own turn.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "network/net.h"

#define	NAT_QUEUE	(1u << 20)	/* bytes */
#define	NAT_MTU		1500u
#define	NAT_MTU_MAX	65521u
#define	NS_A_MS		1000000ull

/* A socket of libslirp's, as the epoll set knows it; index: descriptor. */
struct nat_watch {
	uint32_t	 events;	/* 0: not in the set */
	bool		 wanted;	/* by the fill under way */
};

struct net_nat {
	struct hvh_netbe *be;
	Slirp		*slirp;
	struct hvh_source source;
	struct hvh_timer timer;		/* libslirp wants to be polled */
	bool		 due;		/* for it, or for what came in */
	struct pollfd	*fds;		/* of the last fill */
	unsigned	 nfds, maxfds;
	struct nat_watch *watch;
	unsigned	 nwatch;
	struct net_queue q;
	uint8_t		 tx[NET_FRAME_MAX];
};

/* --- Its sockets --- */

static uint32_t
epoll_events(short events)
{

	return ((events & POLLIN ? EPOLLIN : 0) |
	    (events & POLLOUT ? EPOLLOUT : 0) |
	    (events & POLLPRI ? EPOLLPRI : 0));
}

static short
poll_events(int events)
{

	return ((short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
	    (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
	    (events & SLIRP_POLL_PRI ? POLLPRI : 0)));
}

static int
slirp_events(short revents)
{

	return ((revents & POLLIN ? SLIRP_POLL_IN : 0) |
	    (revents & POLLOUT ? SLIRP_POLL_OUT : 0) |
	    (revents & POLLPRI ? SLIRP_POLL_PRI : 0) |
	    (revents & POLLERR ? SLIRP_POLL_ERR : 0) |
	    (revents & POLLHUP ? SLIRP_POLL_HUP : 0));
}

static void
nat_watch(struct net_nat *t, int fd, uint32_t events)
{
	struct nat_watch *w = &t->watch[fd];
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (w->events == events)
		return;
	if (events == 0) {
		(void)epoll_ctl(t->source.fd, EPOLL_CTL_DEL, fd, NULL);
	} else if (epoll_ctl(t->source.fd, EPOLL_CTL_MOD, fd, &ev) != 0 &&
	    epoll_ctl(t->source.fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		/* It is still polled, by time. */
		events = 0;
	}
	w->events = events;
}

static bool
nat_watch_room(struct net_nat *t, int fd)
{
	unsigned n = (unsigned)fd + 64;
	struct nat_watch *w;

	if ((unsigned)fd < t->nwatch)
		return (true);
	w = realloc(t->watch, n * sizeof(*w));
	if (w == NULL)
		return (false);
	memset(w + t->nwatch, 0, (n - t->nwatch) * sizeof(*w));
	t->watch = w;
	t->nwatch = n;
	return (true);
}

/* libslirp wants to know of fd; what it gets is the place in fds. */
static int
nat_add_poll(int fd, int events, void *arg)
{
	struct net_nat *t = arg;
	struct pollfd *p;

	if (t->nfds == t->maxfds) {
		p = realloc(t->fds, (t->maxfds + 64) * sizeof(*p));
		if (p == NULL)
			return (-1);
		t->fds = p;
		t->maxfds += 64;
	}
	if (!nat_watch_room(t, fd))
		return (-1);
	t->fds[t->nfds] = (struct pollfd){ .fd = fd,
	    .events = poll_events(events) };
	return ((int)t->nfds++);
}

static int
nat_revents(int idx, void *arg)
{
	struct net_nat *t = arg;

	if (idx < 0 || (unsigned)idx >= t->nfds)
		return (0);
	return (slirp_events(t->fds[idx].revents));
}

/* Which sockets it wants to hear of now, and how long it can wait. */
static void
nat_fill(struct net_nat *t)
{
	uint32_t ms = UINT32_MAX;
	struct nat_watch *w;

	t->nfds = 0;
	slirp_pollfds_fill(t->slirp, &ms, nat_add_poll, t);
	for (unsigned i = 0; i < t->nfds; i++) {
		t->watch[t->fds[i].fd].wanted = true;
		nat_watch(t, t->fds[i].fd, epoll_events(t->fds[i].events));
	}
	for (unsigned fd = 0; fd < t->nwatch; fd++) {
		w = &t->watch[fd];
		if (!w->wanted && w->events != 0)
			nat_watch(t, (int)fd, 0);
		w->wanted = false;
	}
	if (ms == UINT32_MAX)
		hvh_timer_clear(t->be->h, &t->timer);
	else
		hvh_timer_set(t->be->h, &t->timer, hvh_now(t->be->h) +
		    ms * NS_A_MS);
}

static void
nat_timer(void *arg)
{
	struct net_nat *t = arg;

	t->due = true;
}

static void
nat_poll(void *arg)
{
	struct net_nat *t = arg;
	struct epoll_event ev;

	if (t->due || epoll_wait(t->source.fd, &ev, 1, 0) > 0) {
		t->due = false;
		(void)poll(t->fds, t->nfds, 0);
		slirp_pollfds_poll(t->slirp, 0, nat_revents, t);
		nat_fill(t);
	}
	if (net_queue_deliver(&t->q, t->be))
		hvh_kick(t->be->h);
}

/* --- What it asks of us --- */

static ssize_t
nat_send_packet(const void *buf, size_t len, void *arg)
{
	static const struct net_meta none;
	struct net_nat *t = arg;
	struct iovec iov = { (void *)(uintptr_t)buf, len };

	/* A full queue is as a full wire: it will send again. */
	if (len > NET_FRAME_MAX || !net_queue_put(&t->q, &iov, 1,
	    (uint32_t)len, &none))
		t->be->stats.rx_dropped++;
	return ((ssize_t)len);
}

static void
nat_guest_error(const char *msg, void *arg)
{
	struct net_nat *t = arg;

	hvh_log(t->be->h, HVH_LOG_DEBUG, "%s: %s", t->be->name, msg);
}

static int64_t
nat_clock(void *arg)
{
	struct net_nat *t = arg;

	return ((int64_t)hvh_now(t->be->h));
}

struct nat_own_timer {
	struct hvh_timer timer;
	SlirpTimerCb	 cb;
	void		*cb_arg;
};

static void
nat_own_fire(void *arg)
{
	struct nat_own_timer *ot = arg;

	ot->cb(ot->cb_arg);
}

static void *
nat_timer_new(SlirpTimerCb cb, void *cb_arg, void *arg)
{
	struct nat_own_timer *ot;

	ot = calloc(1, sizeof(*ot));
	if (ot == NULL)
		return (NULL);
	ot->timer.fn = nat_own_fire;
	ot->timer.arg = ot;
	ot->cb = cb;
	ot->cb_arg = cb_arg;
	return (ot);
}

static void
nat_timer_free(void *timer, void *arg)
{
	struct net_nat *t = arg;
	struct nat_own_timer *ot = timer;

	if (ot == NULL)
		return;
	hvh_timer_clear(t->be->h, &ot->timer);
	free(ot);
}

static void
nat_timer_mod(void *timer, int64_t ms, void *arg)
{
	struct net_nat *t = arg;
	struct nat_own_timer *ot = timer;

	if (ot != NULL)
		hvh_timer_set(t->be->h, &ot->timer, (uint64_t)ms * NS_A_MS);
}

static void
nat_register(int fd, void *arg)
{
}

/* It will be closed, and its number may come again. */
static void
nat_unregister(int fd, void *arg)
{
	struct net_nat *t = arg;

	if (fd >= 0 && (unsigned)fd < t->nwatch)
		nat_watch(t, fd, 0);
}

static void
nat_notify(void *arg)
{
	struct net_nat *t = arg;

	t->due = true;
	hvh_kick(t->be->h);
}

static const SlirpCb nat_cb = {
	.send_packet = nat_send_packet,
	.guest_error = nat_guest_error,
	.clock_get_ns = nat_clock,
	.timer_new = nat_timer_new,
	.timer_free = nat_timer_free,
	.timer_mod = nat_timer_mod,
	.register_poll_fd = nat_register,
	.unregister_poll_fd = nat_unregister,
	.notify = nat_notify,
};

/* --- As a back end --- */

static int
nat_send(struct hvh_netbe *be, const struct iovec *iov, int niov, uint32_t len,
    const struct net_meta *m)
{
	struct net_nat *t = be->priv;

	(void)net_gather(t->tx, len, iov, niov);
	slirp_input(t->slirp, t->tx, (int)len);
	return (0);
}

static void
nat_run(struct hvh_netbe *be)
{

	nat_notify(be->priv);
}

static void
nat_resume(struct hvh_netbe *be)
{

	hvh_kick(be->h);
}

static void
nat_free(struct net_nat *t)
{

	if (t->source.fd >= 0)
		close(t->source.fd);
	net_queue_fini(&t->q);
	free(t->fds);
	free(t->watch);
	free(t);
}

static void
nat_close(struct hvh_netbe *be)
{
	struct net_nat *t = be->priv;

	hvh_source_remove(be->h, &t->source);
	hvh_timer_clear(be->h, &t->timer);
	slirp_cleanup(t->slirp);
	nat_free(t);
}

static const struct net_ops nat_ops = {
	.send = nat_send,
	.run = nat_run,
	.resume = nat_resume,
	.close = nat_close,
};

/* --- Opening --- */

/*
 * The host's first name server, for the guest to ask directly: libslirp would
 * look into the file each time, which a sandbox forbids.  One that only the
 * host itself can reach is left to libslirp's address for it.
 */
static void
nat_nameserver(struct in_addr *dns)
{
	char line[256], word[64];
	struct in_addr a;
	FILE *f;

	f = fopen("/etc/resolv.conf", "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "nameserver %63s", word) != 1 ||
		    inet_pton(AF_INET, word, &a) != 1)
			continue;
		if (ntohl(a.s_addr) >> 24 != 127)
			*dns = a;
		break;
	}
	fclose(f);
}

static void
nat_config(SlirpConfig *cfg, const struct hvh_netbe_params *np)
{

	*cfg = (SlirpConfig){
		.version = 1,
		.restricted = np->restricted,
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.if_mtu = np->mtu != 0 ? np->mtu : NAT_MTU,
		.if_mru = np->mtu != 0 ? np->mtu : NAT_MTU,
	};
	inet_pton(AF_INET, "10.0.2.0", &cfg->vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &cfg->vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &cfg->vhost);
	inet_pton(AF_INET, "10.0.2.15", &cfg->vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &cfg->vnameserver);
	inet_pton(AF_INET6, "fec0::", &cfg->vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &cfg->vhost6);
	inet_pton(AF_INET6, "fec0::3", &cfg->vnameserver6);
	if (!np->restricted)
		nat_nameserver(&cfg->vnameserver);
}

/* The pump lock is held. */
static int
nat_start(struct net_nat *t, struct hvh *h, const char *name,
    const struct hvh_netbe_params *np)
{
	SlirpConfig cfg;
	int error;

	error = net_new(h, &nat_ops, t, name, &t->be);
	if (error != 0)
		return (error);
	nat_config(&cfg, np);
	t->slirp = slirp_new(&cfg, &nat_cb, t);
	error = t->slirp == NULL ? ENOMEM : hvh_source_add(h, &t->source);
	if (error == 0) {
		nat_fill(t);
		return (0);
	}
	if (t->slirp != NULL)
		slirp_cleanup(t->slirp);
	net_free(t->be);
	return (error);
}

int
net_user_open(struct hvh *h, const struct hvh_netbe_params *np,
    struct hvh_netbe **bep, char *err, size_t errlen)
{
	const char *name = np->name != NULL ? np->name : "user network";
	struct net_nat *t;
	int error;

	if (np->mtu != 0 && (np->mtu < NAT_MTU || np->mtu > NAT_MTU_MAX)) {
		snprintf(err, errlen, "%s: its MTU is from %u to %u", name,
		    NAT_MTU, NAT_MTU_MAX);
		return (EINVAL);
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		snprintf(err, errlen, "%s: no memory", name);
		return (ENOMEM);
	}
	t->source = (struct hvh_source){ .poll = nat_poll, .arg = t };
	t->timer.fn = nat_timer;
	t->timer.arg = t;
	t->source.fd = epoll_create1(EPOLL_CLOEXEC);
	error = t->source.fd < 0 ? errno : net_queue_init(&t->q, NAT_QUEUE);
	if (error == 0) {
		hvh_lock(h);
		error = nat_start(t, h, name, np);
		hvh_unlock(h);
	}
	if (error != 0) {
		snprintf(err, errlen, "%s: %s", name, strerror(error));
		nat_free(t);
		return (error);
	}
	*bep = t->be;
	return (0);
}
