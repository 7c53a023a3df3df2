/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A unix socket: opening one, and what packet and stream sockets have in
 * common.  How frames look in them: net_packet.c, net_stream.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "network/net_sock.h"

void
net_sock_lost(struct net_sock *s, const char *why)
{

	if (s->lost)
		return;
	hvh_log(s->be->h, HVH_LOG_WARN, "%s: %s", s->be->name, why);
	net_fd_in(&s->nf, false);
	net_fd_out(&s->nf, false);
	s->lost = true;
	net_set_link(s->be, false);
}

static void
sock_resume(struct hvh_netbe *be)
{

	hvh_kick(be->h);
}

static void
sock_run(struct hvh_netbe *be)
{
	struct net_sock *s = be->priv;

	if (!s->lost && !s->nf.out)
		s->kind->flush(s);
}

static int
sock_send(struct hvh_netbe *be, const struct iovec *iov, int niov,
    uint32_t len, const struct net_meta *m)
{
	struct net_sock *s = be->priv;

	if (s->kind->put(s, iov, niov, len))
		return (0);
	if (!s->nf.out)
		s->kind->flush(s);
	if (s->lost)
		return (ENETDOWN);
	return (s->kind->put(s, iov, niov, len) ? 0 : EAGAIN);
}

static void
sock_poll(void *arg)
{
	struct net_sock *s = arg;

	if (!s->lost && s->nf.out && net_fd_can_write(&s->nf)) {
		net_fd_out(&s->nf, false);
		s->kind->flush(s);
		if (!s->nf.out)
			net_writable(s->be);
	}
	if (s->lost || s->be->stalled)
		return;
	if (s->kind->receive(s) > 0)
		net_input_end(s->be);
	if (!s->lost)
		net_fd_in(&s->nf, !s->be->stalled);
	if (s->more && !s->be->stalled)
		hvh_kick(s->be->h);
}

static void
sock_close(struct hvh_netbe *be)
{
	struct net_sock *s = be->priv;

	net_fd_fini(&s->nf);
	close(s->fd);
	s->kind->free(s);
	free(s);
}

static const struct net_ops sock_ops = {
	.send = sock_send,
	.run = sock_run,
	.resume = sock_resume,
	.close = sock_close,
};

/* --- Opening --- */

/* What listens at a path says by its refusal if it is of another type. */
static int
sock_connect(const char *path, int *fdp, char *err, size_t errlen)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int error = 0, fd;

	if (path == NULL || path[0] == '\0' ||
	    strlen(path) >= sizeof(sun.sun_path)) {
		snprintf(err, errlen, "\"%s\" cannot be a socket's path",
		    path != NULL ? path : "");
		return (EINVAL);
	}
	strcpy(sun.sun_path, path);
	for (int i = 0; i < 2; i++) {
		fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
		    sizeof(sun)) == 0) {
			*fdp = fd;
			return (0);
		}
		error = errno;
		if (fd >= 0)
			close(fd);
		if (error != EPROTOTYPE)
			break;
	}
	snprintf(err, errlen, "%s: cannot connect: %s", path,
	    error == EPROTOTYPE ? "is neither a stream nor a seqpacket socket" :
	    strerror(error));
	return (error);
}

static int
sock_setup(struct net_sock *s)
{
	struct hvh *h = s->be->h;
	socklen_t len = sizeof(int);
	int error, flags, type;

	if (getsockopt(s->fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		return (errno);
	flags = fcntl(s->fd, F_GETFL);
	if (flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return (errno);
	s->kind = type == SOCK_STREAM ? &net_stream : &net_packet;
	s->eof = type != SOCK_DGRAM;
	error = s->kind->alloc(s);
	if (error == 0) {
		hvh_lock(h);
		error = net_fd_init(&s->nf, h, s->fd, sock_poll, s);
		hvh_unlock(h);
	}
	if (error != 0)
		s->kind->free(s);
	return (error);
}

int
net_sock_open(struct hvh *h, const struct hvh_netbe_params *np,
    struct hvh_netbe **bep, char *err, size_t errlen)
{
	const char *name = np->name != NULL ? np->name : "socket";
	struct net_sock *s;
	int error = 0;

	s = calloc(1, sizeof(*s));
	if (s == NULL || net_new(h, &sock_ops, s, name, &s->be) != 0) {
		snprintf(err, errlen, "%s: no memory", name);
		free(s);
		return (ENOMEM);
	}
	s->fd = np->fd;
	if (!np->have_fd)
		error = sock_connect(np->name, &s->fd, err, errlen);
	if (error == 0) {
		error = sock_setup(s);
		if (error != 0) {
			snprintf(err, errlen, "%s: %s", name,
			    strerror(error));
			if (!np->have_fd)
				close(s->fd);
		}
	}
	if (error != 0) {
		net_free(s->be);
		free(s);
		return (error);
	}
	*bep = s->be;
	return (0);
}
