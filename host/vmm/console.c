/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The console.  A guest writes bytes; each as a system call would make it
 * crawl, so they leave as lines, or after a moment.  Whoever reads slowly
 * slows the guest's printing down, as a serial line would; a reader that went
 * away costs the output, not the guest.  The main thread never waits for one:
 * it has the signals that may be the only way out.
 *
 * A terminal is taken without echo and line editing but with its signals:
 * Ctrl-C ends the machine.
 */

#include <sys/eventfd.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/console.h"

#define	OUT_MAX		512
#define	LINGER_NS	5000000ull

struct console {
	int		 in, out;		/* -1: none */
	bool		 tty;			/* and how it was: */
	struct termios	 saved;
	int		 slave;			/* of a pty: kept open */
	int		 wake;			/* eventfd */
	int		 hurry;		/* eventfd: wait for nobody */
	struct vmm_uart	*uart;
	char		 pending[256];		/* input without room */
	size_t		 npending;
	pthread_mutex_t	 mtx;			/* for these: */
	char		 buf[OUT_MAX];
	size_t		 len;
	uint64_t	 due;			/* vmm_now() */
};

/* A pty may have no reader at all. */
static bool
waits_for_reader(const struct console *c)
{

	return (c->slave < 0);
}

/* Does the reader take more?  wait: until it does, or there is a hurry. */
static bool
reader_takes(struct console *c, bool wait)
{
	struct pollfd fds[2] = {
		{ .fd = c->out, .events = POLLOUT },
		{ .fd = c->hurry, .events = POLLIN },
	};
	int n;

	do {
		n = poll(fds, 2, wait ? -1 : 0);
	} while (n < 0 && errno == EINTR);
	return (fds[0].revents != 0);
}

/* mtx held. */
static void
flush(struct console *c)
{
	size_t at = 0;
	ssize_t n;

	while (at < c->len && c->out >= 0 &&
	    reader_takes(c, waits_for_reader(c))) {
		n = write(c->out, c->buf + at, c->len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	c->len = 0;
}

/* Of what the main thread may do: it does not wait. */
static bool
may_flush(struct console *c)
{

	return (!waits_for_reader(c) || reader_takes(c, false));
}

void
console_put(void *arg, const void *buf, size_t len)
{
	struct console *c = arg;
	const char *p = buf;
	const uint64_t one = 1;
	bool wake = false;

	pthread_mutex_lock(&c->mtx);
	for (size_t i = 0; i < len; i++) {
		if (c->len == 0) {
			c->due = vmm_now() + LINGER_NS;
			wake = true;
		}
		c->buf[c->len++] = p[i];
		if (p[i] == '\n' || c->len == OUT_MAX) {
			flush(c);
			wake = false;
		}
	}
	pthread_mutex_unlock(&c->mtx);
	if (wake)
		(void)!write(c->wake, &one, sizeof(one));
}

static void
room(void *arg)
{
	struct console *c = arg;
	const uint64_t one = 1;

	(void)!write(c->wake, &one, sizeof(one));
}

void
console_attach(struct console *c, struct vmm_uart *u)
{

	c->uart = u;
	vmm_uart_on_room(u, room, c);
}

unsigned
console_poll_fds(struct console *c, struct pollfd *fds)
{

	fds[0] = (struct pollfd){ .fd = c->wake, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = c->npending > 0 ? -1 : c->in,
	    .events = POLLIN };
	return (2);
}

int
console_timeout(struct console *c)
{
	uint64_t now;
	int ms = -1;

	/* Whoever writes now leaves something behind, or does not. */
	if (pthread_mutex_trylock(&c->mtx) != 0)
		return (LINGER_NS / 1000000);
	if (c->len > 0) {
		now = vmm_now();
		ms = now < c->due ? (int)((c->due - now) / 1000000) + 1 :
		    may_flush(c) ? 0 : (int)(LINGER_NS / 1000000);
	}
	pthread_mutex_unlock(&c->mtx);
	return (ms);
}

static void
take_input(struct console *c, bool readable)
{
	size_t n;
	ssize_t got;

	if (readable && c->npending == 0) {
		got = read(c->in, c->pending, sizeof(c->pending));
		if (got == 0 || (got < 0 && errno != EAGAIN &&
		    errno != EINTR)) {
			c->in = -1;	/* end of input */
			return;
		}
		c->npending = got > 0 ? (size_t)got : 0;
	}
	if (c->npending == 0 || c->uart == NULL)
		return;
	n = vmm_uart_input(c->uart, c->pending, c->npending);
	c->npending -= n;
	memmove(c->pending, c->pending + n, c->npending);
}

void
console_run(struct console *c, const struct pollfd *fds)
{
	uint64_t n;

	if ((fds[0].revents & POLLIN) != 0)
		(void)!read(c->wake, &n, sizeof(n));
	take_input(c, fds[1].fd >= 0 &&
	    fds[1].revents != 0);
	if (pthread_mutex_trylock(&c->mtx) != 0)
		return;
	if (c->len > 0 && vmm_now() >= c->due && may_flush(c))
		flush(c);
	pthread_mutex_unlock(&c->mtx);
}

void
console_hurry(struct console *c, bool on)
{
	uint64_t n = 1;

	if (on)
		(void)!write(c->hurry, &n, sizeof(n));
	else
		(void)!read(c->hurry, &n, sizeof(n));
}

/* --- Kinds --- */

static void
open_stdio(struct console *c)
{
	struct termios t;

	c->in = STDIN_FILENO;
	c->out = STDOUT_FILENO;
	if (!isatty(c->in) || tcgetattr(c->in, &c->saved) != 0)
		return;
	/* A job in the background would stop here. */
	if (tcgetpgrp(c->in) != getpgrp()) {
		c->in = -1;
		return;
	}
	t = c->saved;
	t.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON);
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	c->tty = tcsetattr(c->in, TCSANOW, &t) == 0;
}

static int
open_pty(struct console *c)
{
	struct termios t;
	const char *name;
	int fd;

	fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 ||
	    (name = ptsname(fd)) == NULL)
		return (errno);
	/* Ours stays open: without it the other side's end would end it. */
	c->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->slave < 0)
		return (errno);
	if (tcgetattr(c->slave, &t) == 0) {
		cfmakeraw(&t);
		(void)tcsetattr(c->slave, TCSANOW, &t);
	}
	/* Nobody may read: the guest does not wait for it. */
	(void)fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	c->in = c->out = fd;
	vmm_say("console on %s", name);
	return (0);
}

int
console_open(enum opt_console kind, const char *file, struct console **cp,
    char *err, size_t errlen)
{
	struct console *c;
	int error = 0;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		snprintf(err, errlen, "no memory");
		return (ENOMEM);
	}
	c->in = c->out = c->slave = -1;
	pthread_mutex_init(&c->mtx, NULL);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->hurry = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake < 0 || c->hurry < 0)
		error = errno;
	else if (kind == CONSOLE_STDIO)
		open_stdio(c);
	else if (kind == CONSOLE_PTY)
		error = open_pty(c);
	else if (kind == CONSOLE_FILE) {
		c->out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0666);
		if (c->out < 0)
			error = errno;
	}
	if (error != 0) {
		snprintf(err, errlen, "console%s%s: %s",
		    kind == CONSOLE_FILE ? " " : "",
		    kind == CONSOLE_FILE ? file : "", strerror(error));
		console_close(c);
		return (error);
	}
	*cp = c;
	return (0);
}

void
console_close(struct console *c)
{

	pthread_mutex_lock(&c->mtx);
	flush(c);
	pthread_mutex_unlock(&c->mtx);
	if (c->tty)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
	if (c->slave >= 0)
		close(c->slave);
	if (c->out > STDERR_FILENO)
		close(c->out);
	if (c->wake >= 0)
		close(c->wake);
	if (c->hurry >= 0)
		close(c->hurry);
	pthread_mutex_destroy(&c->mtx);
	free(c);
}
