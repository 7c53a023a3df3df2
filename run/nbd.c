/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The NBD server: its socket, its thread and the loop that gives each
 * connection and each finished disk I/O its turn.  See nbd.h.
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nbd.h"
#include "nbd_var.h"

#define	NBD_EVENTS	64
#define	NBD_RETRY_MS	1000	/* until accept() is tried again */
#define	NBD_FAREWELL_MS	5000	/* for replies at nbd_stop() */
#define	NBD_STOP_TICK_MS 100

static int64_t
nbd_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Clients beyond the limit wait in the socket's backlog. */
static void
nbd_listen(struct nbd_server *srv, bool on)
{
	struct epoll_event ev = { .data.ptr = &srv->s_listen };

	if (on == srv->s_listening)
		return;
	ev.events = on ? EPOLLIN : 0;
	if (epoll_ctl(srv->s_epoll, EPOLL_CTL_MOD, srv->s_listen, &ev) == 0)
		srv->s_listening = on;
}

static void
nbd_accept(struct nbd_server *srv)
{
	int fd;

	while (srv->s_nconns < NBD_MAXCONNS) {
		fd = accept4(srv->s_listen, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			/* Out of descriptors: have a rest. */
			srv->s_resting = errno == EMFILE || errno == ENFILE ||
			    errno == ENOMEM || errno == ENOBUFS;
			return;
		}
		nbd_conn_open(srv, fd);
	}
}

static void
nbd_conn_event(struct nbd_conn *c, uint32_t events)
{

	/* A client that is gone needs no answer. */
	if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
		nbd_conn_kill(c);
		return;
	}
	if ((events & EPOLLOUT) != 0)
		c->c_wrblocked = false;
	nbd_conn_run(c);
}

static void
nbd_event(struct nbd_server *srv, const struct epoll_event *ev)
{
	uint64_t wakes;

	if (ev->data.ptr == &srv->s_listen) {
		nbd_accept(srv);
	} else if (ev->data.ptr == &srv->s_wake) {
		if (read(srv->s_wake, &wakes, sizeof(wakes)) == sizeof(wakes))
			srv->s_wakesdue -= wakes;
	} else {
		nbd_conn_event(ev->data.ptr, ev->events);
	}
}

/*
 * Sends what is ready.  A buffer that becomes free may be what another
 * connection waits for, whose refusals may free more: until nothing moves.
 */
static void
nbd_round(struct nbd_server *srv)
{
	struct nbd_conn *c;
	uint64_t before;

	do {
		before = srv->s_retired;
		TAILQ_FOREACH(c, &srv->s_conns, c_link)
			nbd_conn_send(c);
		TAILQ_FOREACH(c, &srv->s_conns, c_link) {
			if (!c->c_stalled)
				continue;
			c->c_stalled = false;
			nbd_conn_run(c);
		}
	} while (srv->s_retired != before);
}

static void
nbd_settle(struct nbd_server *srv)
{
	struct nbd_conn *c, *next;

	for (c = TAILQ_FIRST(&srv->s_conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, c_link);
		nbd_conn_settle(c);
	}
}

/* Every round of the end: no input; after the deadline no output either. */
static void
nbd_wind_up(struct nbd_server *srv, int64_t deadline)
{
	struct nbd_conn *c;

	TAILQ_FOREACH(c, &srv->s_conns, c_link) {
		nbd_conn_finish(c);
		if (nbd_now_ms() >= deadline)
			nbd_conn_kill(c);
	}
}

static void *
nbd_thread(void *arg)
{
	struct nbd_server *srv = arg;
	struct epoll_event ev[NBD_EVENTS];
	int64_t deadline = 0;
	int i, n, timeout;

	for (;;) {
		if (atomic_load(&srv->s_stop)) {
			if (deadline == 0)
				deadline = nbd_now_ms() + NBD_FAREWELL_MS;
			nbd_wind_up(srv, deadline);
		}
		nbd_settle(srv);
		if (deadline != 0 && srv->s_nconns == 0 &&
		    srv->s_wakesdue == 0)
			break;
		timeout = -1;
		if (deadline != 0)
			timeout = NBD_STOP_TICK_MS;
		else if (srv->s_resting)
			timeout = NBD_RETRY_MS;
		nbd_listen(srv, deadline == 0 && !srv->s_resting &&
		    srv->s_nconns < NBD_MAXCONNS);
		n = epoll_wait(srv->s_epoll, ev, NBD_EVENTS, timeout);
		srv->s_resting = false;
		for (i = 0; i < n; i++)
			nbd_event(srv, &ev[i]);
		nbd_req_reap(srv);
		nbd_round(srv);
	}
	return (NULL);
}

/* A socket that nobody serves is in the way; anything else stays. */
static int
nbd_clear_path(const struct sockaddr_un *sun)
{
	struct stat st;
	int error = 0, fd;

	if (lstat(sun->sun_path, &st) != 0)
		return (errno == ENOENT ? 0 : errno);
	if (!S_ISSOCK(st.st_mode))
		return (EEXIST);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (errno);
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0)
		error = EADDRINUSE;
	else if (errno != ECONNREFUSED || unlink(sun->sun_path) != 0)
		error = errno;
	(void)close(fd);
	return (error);
}

static int
nbd_bind(struct nbd_server *srv, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof(sun.sun_path))
		return (ENAMETOOLONG);
	strcpy(sun.sun_path, path);
	if ((error = nbd_clear_path(&sun)) != 0)
		return (error);
	srv->s_listen = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (srv->s_listen < 0 || bind(srv->s_listen,
	    (const struct sockaddr *)&sun, sizeof(sun)) != 0)
		return (errno);
	if ((srv->s_path = strdup(path)) == NULL) {
		(void)unlink(path);
		return (ENOMEM);
	}
	/* The disk's contents are the user's; nobody can connect before. */
	if (chmod(path, 0600) != 0 || listen(srv->s_listen, 64) != 0)
		return (errno);
	return (0);
}

static int
nbd_init_events(struct nbd_server *srv)
{
	struct epoll_event ev = { .events = EPOLLIN };

	srv->s_epoll = epoll_create1(EPOLL_CLOEXEC);
	srv->s_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (srv->s_epoll < 0 || srv->s_wake < 0)
		return (errno);
	ev.data.ptr = &srv->s_listen;
	if (epoll_ctl(srv->s_epoll, EPOLL_CTL_ADD, srv->s_listen, &ev) != 0)
		return (errno);
	srv->s_listening = true;
	ev.data.ptr = &srv->s_wake;
	if (epoll_ctl(srv->s_epoll, EPOLL_CTL_ADD, srv->s_wake, &ev) != 0)
		return (errno);
	/* The one that nbd_stop() makes. */
	srv->s_wakesdue = 1;
	return (0);
}

static void
nbd_free(struct nbd_server *srv)
{

	nbd_pool_drain(&srv->s_pool);
	if (srv->s_path != NULL)
		(void)unlink(srv->s_path);
	if (srv->s_listen >= 0)
		(void)close(srv->s_listen);
	if (srv->s_epoll >= 0)
		(void)close(srv->s_epoll);
	if (srv->s_wake >= 0)
		(void)close(srv->s_wake);
	free(srv->s_path);
	free(srv);
}

struct nbd_server *
nbd_start(const char *socket_path, char *err, size_t errlen)
{
	struct nbd_server *srv;
	sigset_t block, old;
	int error;

	if ((srv = calloc(1, sizeof(*srv))) == NULL) {
		(void)snprintf(err, errlen, "nbd: no memory");
		return (NULL);
	}
	srv->s_listen = srv->s_epoll = srv->s_wake = -1;
	TAILQ_INIT(&srv->s_conns);
	if ((error = nbd_bind(srv, socket_path)) == 0)
		error = nbd_init_events(srv);
	if (error == 0) {
		/* The program's signals are for its main thread. */
		(void)sigemptyset(&block);
		(void)sigaddset(&block, SIGINT);
		(void)sigaddset(&block, SIGTERM);
		(void)sigaddset(&block, SIGHUP);
		(void)pthread_sigmask(SIG_BLOCK, &block, &old);
		error = pthread_create(&srv->s_thread, NULL, nbd_thread, srv);
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (error != 0) {
		(void)snprintf(err, errlen, "nbd socket %s: %s", socket_path,
		    strerror(error));
		nbd_free(srv);
		return (NULL);
	}
	return (srv);
}

void
nbd_stop(struct nbd_server *srv)
{
	uint64_t one = 1;

	atomic_store(&srv->s_stop, true);
	if (write(srv->s_wake, &one, sizeof(one)) < 0)
		abort();
	(void)pthread_join(srv->s_thread, NULL);
	nbd_free(srv);
}
