/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's clients: connections, lines, buffers.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/ctl_var.h"

#define	EVENTS_A_POLL	32
#define	FDS_A_MESSAGE	4

struct ctl_client {
	struct ctl_client *next;
	int		 fd;
	int		 passed;	/* descriptor for a disk, -1: none */
	unsigned	 pending;	/* answers that come later */
	bool		 ended;		/* sends no more */
	bool		 doomed;
	size_t		 inlen;
	char		*out;
	size_t		 outpos, outlen, outcap;
	char		 in[CTL_LINE_MAX];
};

/* --- Replies. --- */

static void
client_watch(struct ctl_server *s, struct ctl_client *c)
{
	bool out = c->outpos < c->outlen;
	struct epoll_event ev = { .events = (c->ended ? 0 : EPOLLIN) |
	    (out ? EPOLLOUT : 0), .data.ptr = c };

	epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void
client_flush(struct ctl_client *c)
{
	ssize_t n;

	while (c->outpos < c->outlen) {
		n = send(c->fd, c->out + c->outpos, c->outlen - c->outpos,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				c->doomed = true;
			return;
		}
		c->outpos += (size_t)n;
	}
	c->outpos = c->outlen = 0;
}

/* Room for len more bytes of replies; false: the client does not read. */
static bool
client_room(struct ctl_client *c, size_t len)
{
	size_t cap;
	char *p;

	if (c->outpos > 0) {
		memmove(c->out, c->out + c->outpos, c->outlen - c->outpos);
		c->outlen -= c->outpos;
		c->outpos = 0;
	}
	if (len > CTL_OUT_MAX - c->outlen)
		return (false);
	if (c->outlen + len <= c->outcap)
		return (true);
	for (cap = 4096; cap < c->outlen + len; cap *= 2)
		;
	p = realloc(c->out, cap);
	if (p == NULL)
		return (false);
	c->out = p;
	c->outcap = cap;
	return (true);
}

/* Takes over reply; NULL: there was no memory for one. */
static void
client_reply(struct ctl_client *c, json_t *reply)
{
	char *text = NULL;
	size_t len;

	if (reply != NULL)
		text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	if (text == NULL) {
		c->doomed = true;
		return;
	}
	len = strlen(text);
	if (client_room(c, len + 1)) {
		memcpy(c->out + c->outlen, text, len);
		c->out[c->outlen + len] = '\n';
		c->outlen += len + 1;
		client_flush(c);
	} else {
		c->doomed = true;
	}
	free(text);
}

/* --- Requests. --- */

/* Keeps one descriptor, the last that came. */
static void
client_fds(struct ctl_client *c, struct msghdr *mh)
{
	struct cmsghdr *cm;
	size_t n;
	int fd;

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET ||
		    cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(fd),
			    sizeof(fd));
			if (c->passed >= 0)
				close(c->passed);
			c->passed = fd;
		}
	}
}

static void
client_lines(struct ctl_server *s, struct ctl_client *c)
{
	char *line = c->in, *end;
	json_t *reply;
	size_t left;
	bool later;

	while (!c->doomed) {
		left = c->inlen - (size_t)(line - c->in);
		end = memchr(line, '\n', left);
		if (end == NULL)
			break;
		if (end > line) {
			later = false;
			reply = ctl_do_line(s, c, line, (size_t)(end - line),
			    &c->passed, &later);
			if (later)
				c->pending++;
			else
				client_reply(c, reply);
		}
		line = end + 1;
	}
	left = c->inlen - (size_t)(line - c->in);
	memmove(c->in, line, left);
	c->inlen = left;
	if (left == sizeof(c->in) && !c->doomed) {
		client_reply(c, ctl_refusal(NULL, "the line is too long"));
		/* Where the next one begins is not known. */
		c->ended = true;
		c->inlen = 0;
	}
}

static void
client_read(struct ctl_server *s, struct ctl_client *c)
{
	char control[CMSG_SPACE(FDS_A_MESSAGE * sizeof(int))]
	    __attribute__((aligned(8)));
	struct iovec iov = { c->in + c->inlen, sizeof(c->in) - c->inlen };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n;

	n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			c->doomed = true;
		return;
	}
	client_fds(c, &mh);
	if (n == 0) {
		/* The last line may do without its newline. */
		if (c->inlen > 0 && c->inlen < sizeof(c->in))
			c->in[c->inlen++] = '\n';
		c->ended = true;
	}
	c->inlen += (size_t)n;
	client_lines(s, c);
}

/* --- Connections. --- */

/*
 * Whoever has the connection's descriptor as well, as a process forked since
 * then does until its exec, keeps a closed one in the set: it is taken out.
 */
static void
client_free(struct ctl_server *s, struct ctl_client *c)
{

	epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	if (c->passed >= 0)
		close(c->passed);
	close(c->fd);
	free(c->out);
	free(c);
}

static void
server_accept(struct ctl_server *s)
{
	static const char full[] = "{\"id\":null,\"ok\":false,\"error\":"
	    "\"there are too many clients\"}\n";
	struct epoll_event ev = { .events = EPOLLIN };
	struct ctl_client *c;
	int fd;

	fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	c = s->nclients < CTL_CLIENTS ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL) {
		send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return;
	}
	c->fd = fd;
	c->passed = -1;
	ev.data.ptr = c;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		client_free(s, c);
		return;
	}
	c->next = s->clients;
	s->clients = c;
	s->nclients++;
}

static void
server_reap(struct ctl_server *s)
{
	struct ctl_client *c, **p;

	for (p = &s->clients; (c = *p) != NULL;) {
		if (!c->doomed && !(c->ended && c->outpos == c->outlen &&
		    c->pending == 0)) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		s->nclients--;
		ctl_laters_forget(s, c);
		client_free(s, c);
	}
}

/* Sends what has come for those who waited. */
static void
server_laters(struct ctl_server *s)
{
	struct ctl_client *c;
	json_t *reply;
	bool last;

	ctl_laters_clear(s);
	while (ctl_laters_take(s, &c, &reply, &last)) {
		/* Progress is for those who read it. */
		if (last || c->outpos == c->outlen)
			client_reply(c, reply);
		else
			json_decref(reply);
		if (last)
			c->pending--;
		if (!c->doomed)
			client_watch(s, c);
	}
}

void
ctl_poll(struct ctl_server *s)
{
	struct epoll_event ev[EVENTS_A_POLL];
	struct ctl_client *c;
	int n;

	n = epoll_wait(s->epoll, ev, EVENTS_A_POLL, 0);
	for (int i = 0; i < n; i++) {
		c = ev[i].data.ptr;
		if (c == NULL) {
			server_accept(s);
			continue;
		}
		if (ev[i].data.ptr == s) {
			server_laters(s);
			continue;
		}
		if ((ev[i].events & EPOLLOUT) != 0)
			client_flush(c);
		if ((ev[i].events & EPOLLIN) != 0 && !c->ended)
			client_read(s, c);
		else if ((ev[i].events & (EPOLLHUP | EPOLLERR)) != 0)
			c->doomed = true;
		if (!c->doomed)
			client_watch(s, c);
	}
	server_reap(s);
}

int
ctl_fd(const struct ctl_server *s)
{

	return (s->epoll);
}

/* --- Life. --- */

/* Is somebody there? */
static bool
socket_lives(const struct sockaddr_un *sun)
{
	int error, fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return (true);
	error = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ?
	    0 : errno;
	close(fd);
	return (error != ECONNREFUSED && error != ENOENT);
}

static int
socket_bind(struct ctl_server *s, const struct sockaddr_un *sun, char *err,
    size_t errlen)
{
	const struct sockaddr *sa = (const struct sockaddr *)sun;
	struct stat sb;
	int error;

	/* The mode that the socket's file gets, at once. */
	if (fchmod(s->listener, 0600) != 0)
		return (errno);
	if (bind(s->listener, sa, sizeof(*sun)) == 0)
		return (0);
	error = errno;
	if (error != EADDRINUSE)
		return (error);
	if (lstat(s->path, &sb) == 0 && !S_ISSOCK(sb.st_mode)) {
		snprintf(err, errlen, "%s: is there and is no socket",
		    s->path);
		return (EEXIST);
	}
	if (socket_lives(sun)) {
		snprintf(err, errlen, "%s: another hvhost uses it", s->path);
		return (EBUSY);
	}
	if (unlink(s->path) != 0 && errno != ENOENT)
		return (errno);
	return (bind(s->listener, sa, sizeof(*sun)) != 0 ? errno : 0);
}

static int
server_listen(struct ctl_server *s, char *err, size_t errlen)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct epoll_event ev = { .events = EPOLLIN };
	struct stat sb;
	int error;

	if (strlen(s->path) >= sizeof(sun.sun_path)) {
		snprintf(err, errlen, "%s: is too long for a socket, at most "
		    "%zu characters", s->path, sizeof(sun.sun_path) - 1);
		return (ENAMETOOLONG);
	}
	memcpy(sun.sun_path, s->path, strlen(s->path) + 1);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (s->epoll < 0 || s->listener < 0)
		return (errno);
	error = socket_bind(s, &sun, err, errlen);
	if (error != 0)
		return (error);
	if (lstat(s->path, &sb) == 0) {
		s->dev = sb.st_dev;
		s->ino = sb.st_ino;
	}
	if (listen(s->listener, CTL_CLIENTS) != 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &ev) != 0)
		return (errno);
	error = ctl_laters_create(s);
	if (error != 0)
		return (error);
	ev.data.ptr = s;
	return (epoll_ctl(s->epoll, EPOLL_CTL_ADD, ctl_laters_fd(s), &ev) !=
	    0 ? errno : 0);
}

int
ctl_open(const char *path, struct hvh *h, const struct ctl_ops *ops, void *arg,
    struct ctl_server **sp, char *err, size_t errlen)
{
	struct ctl_server *s;
	int error;

	/* Else it would open a device for this at the first object. */
	json_object_seed(0);
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		snprintf(err, errlen, "no memory for a control socket");
		return (ENOMEM);
	}
	s->epoll = s->listener = -1;
	s->h = h;
	s->ops = ops;
	s->arg = arg;
	s->path = strdup(path);
	err[0] = '\0';
	error = s->path == NULL ? ENOMEM : server_listen(s, err, errlen);
	if (error != 0) {
		if (err[0] == '\0')
			snprintf(err, errlen, "%s: cannot listen there: %s",
			    path, strerror(error));
		ctl_close(s, true);
		return (error);
	}
	*sp = s;
	return (0);
}

/* Takes a server in any state of completion. */
void
ctl_close(struct ctl_server *s, bool remove)
{
	struct ctl_client *c;
	struct stat sb;

	while ((c = s->clients) != NULL) {
		s->clients = c->next;
		ctl_laters_forget(s, c);
		client_free(s, c);
	}
	ctl_laters_destroy(s);
	/* Somebody may have put another there. */
	if (remove && s->ino != 0 && lstat(s->path, &sb) == 0 &&
	    sb.st_dev == s->dev && sb.st_ino == s->ino)
		unlink(s->path);
	if (s->listener >= 0)
		close(s->listener);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s->path);
	free(s);
}
