/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The client's side of the control socket: see ctl_client.h.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/ctl_client.h"
#include "control/control.h"

struct ctl_conn {
	int		 fd;
	char		*path;
	char		*in;
	size_t		 have;
};

#define	IN_MAX	(CTL_OUT_MAX + CTL_LINE_MAX)

static void
say_connect(const char *path, int error, char *err, size_t errlen)
{
	const char *why;

	switch (error) {
	case ENOENT:
		why = "there is no such socket; is hvhost running with "
		    "--control?";
		break;
	case ECONNREFUSED:
		why = "nobody listens there; hvhost has ended";
		break;
	case EACCES:
	case EPERM:
		why = "permission denied: it is for the user who started "
		    "hvhost";
		break;
	case ENOTSOCK:
	case EPROTOTYPE:
		why = "is no control socket";
		break;
	default:
		why = strerror(error);
		break;
	}
	snprintf(err, errlen, "%s: %s", path, why);
}

int
ctl_connect(const char *path, struct ctl_conn **cp, char *err, size_t errlen)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = CTL_WAIT_SECONDS };
	struct ctl_conn *c;
	int error;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		say_connect(path, ENAMETOOLONG, err, errlen);
		return (ENAMETOOLONG);
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		say_connect(path, ENOMEM, err, errlen);
		return (ENOMEM);
	}
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	c->path = strdup(path);
	c->in = malloc(IN_MAX);
	error = c->path == NULL || c->in == NULL ? ENOMEM : 0;
	if (error == 0 && (c->fd < 0 ||
	    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0 ||
	    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) != 0 ||
	    connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) != 0))
		error = errno;
	if (error != 0) {
		say_connect(path, error, err, errlen);
		ctl_disconnect(c);
		return (error);
	}
	*cp = c;
	return (0);
}

static int
send_all(struct ctl_conn *c, const char *text, size_t len, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { (void *)(uintptr_t)text, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;
	ssize_t n;

	if (fd >= 0) {
		memset(control, 0, sizeof(control));
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	}
	while (iov.iov_len > 0) {
		n = sendmsg(c->fd, &mh, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (errno);
		/* It went with the first byte. */
		mh.msg_control = NULL;
		mh.msg_controllen = 0;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
	return (0);
}

static int
receive_line(struct ctl_conn *c, size_t *len)
{
	size_t looked = 0;
	char *end;
	ssize_t n;

	for (;;) {
		end = memchr(c->in + looked, '\n', c->have - looked);
		if (end != NULL) {
			*len = (size_t)(end - c->in);
			return (0);
		}
		looked = c->have;
		if (c->have == IN_MAX)
			return (EMSGSIZE);
		n = recv(c->fd, c->in + c->have, IN_MAX - c->have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (errno == EAGAIN ? ETIMEDOUT : errno);
		if (n == 0)
			return (ECONNRESET);
		c->have += (size_t)n;
	}
}

static int
send_request(struct ctl_conn *c, json_t *request, int fd)
{
	char *text, *line;
	size_t len;
	int error;

	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	line = text == NULL ? NULL : realloc(text, strlen(text) + 2);
	if (line == NULL) {
		free(text);
		return (ENOMEM);
	}
	len = strlen(line);
	line[len] = '\n';
	error = send_all(c, line, len + 1, fd);
	free(line);
	return (error);
}

static int
receive_object(struct ctl_conn *c, json_t **reply)
{
	size_t len;
	int error;

	error = receive_line(c, &len);
	if (error != 0)
		return (error);
	*reply = json_loadb(c->in, len, 0, NULL);
	memmove(c->in, c->in + len + 1, c->have - len - 1);
	c->have -= len + 1;
	if (json_is_object(*reply))
		return (0);
	json_decref(*reply);
	return (EPROTO);
}

static void
say_call(const struct ctl_conn *c, int error, char *err, size_t errlen)
{
	const char *why;

	switch (error) {
	case ECONNRESET:
		why = "hvhost ended before it answered";
		break;
	case ETIMEDOUT:
		why = "hvhost does not answer";
		break;
	case EPROTO:
		why = "the answer makes no sense; is it hvhost that listens "
		    "there?";
		break;
	default:
		why = strerror(error);
		break;
	}
	snprintf(err, errlen, "%s: %s", c->path, why);
}

static int
call(struct ctl_conn *c, json_t *request, int fd,
    void (*fn)(void *arg, const json_t *progress), void *arg, json_t **reply,
    char *err, size_t errlen)
{
	json_t *progress = NULL;
	int error;

	error = send_request(c, request, fd);
	/* One who is turned away is told so even if he could not send. */
	if (error == 0 || error == EPIPE || error == ECONNRESET) {
		while ((error = receive_object(c, reply)) == 0 &&
		    (progress = json_object_get(*reply, "progress")) != NULL) {
			if (fn != NULL)
				fn(arg, progress);
			json_decref(*reply);
		}
	}
	if (error != 0)
		say_call(c, error, err, errlen);
	return (error);
}

int
ctl_call(struct ctl_conn *c, json_t *request, int fd, json_t **reply,
    char *err, size_t errlen)
{

	return (call(c, request, fd, NULL, NULL, reply, err, errlen));
}

int
ctl_call_long(struct ctl_conn *c, json_t *request, int fd,
    void (*fn)(void *arg, const json_t *progress), void *arg, json_t **reply,
    char *err, size_t errlen)
{
	struct timeval tv = { .tv_sec = CTL_LONG_SECONDS };

	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return (call(c, request, fd, fn, arg, reply, err, errlen));
}

void
ctl_disconnect(struct ctl_conn *c)
{

	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	free(c->in);
	free(c);
}
