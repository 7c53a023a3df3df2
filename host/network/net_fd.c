/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A descriptor with frames, for the kinds of back ends that have one: the pump
 * is woken when it can be read, unless the user has no room, and when it can
 * be written after it could not.  A set of epoll's own stands between, for the
 * pump's knows only "readable".
 */

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "network/net_fd.h"

static void
net_fd_watch(struct net_fd *nf)
{
	struct epoll_event ev = { .events = (nf->in ? EPOLLIN : 0) |
	    (nf->out ? EPOLLOUT : 0) };
	int op;

	if (ev.events == nf->events)
		return;
	/* Without an event asked for, a hang-up would be told all the time. */
	op = nf->events == 0 ? EPOLL_CTL_ADD : ev.events == 0 ?
	    EPOLL_CTL_DEL : EPOLL_CTL_MOD;
	if (epoll_ctl(nf->source.fd, op, nf->fd, &ev) == 0)
		nf->events = ev.events;
}

int
net_fd_init(struct net_fd *nf, struct hvh *h, int fd, void (*poll)(void *arg),
    void *arg)
{
	int error;

	*nf = (struct net_fd){ .h = h, .fd = fd, .in = true };
	nf->source = (struct hvh_source){ .poll = poll, .arg = arg };
	nf->source.fd = epoll_create1(EPOLL_CLOEXEC);
	if (nf->source.fd < 0)
		return (errno);
	net_fd_watch(nf);
	error = nf->events == 0 ? errno : hvh_source_add(h, &nf->source);
	if (error != 0)
		close(nf->source.fd);
	return (error);
}

void
net_fd_fini(struct net_fd *nf)
{

	hvh_source_remove(nf->h, &nf->source);
	close(nf->source.fd);
}

void
net_fd_in(struct net_fd *nf, bool on)
{

	nf->in = on;
	net_fd_watch(nf);
}

void
net_fd_out(struct net_fd *nf, bool on)
{

	nf->out = on;
	net_fd_watch(nf);
}

bool
net_fd_can_write(const struct net_fd *nf)
{
	struct pollfd p = { .fd = nf->fd, .events = POLLOUT };

	return (poll(&p, 1, 0) > 0);
}
