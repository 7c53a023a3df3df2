/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The console.  A guest writes bytes; each as a system call would make it
 * crawl, so they leave as lines, or after a moment.  Whoever reads slowly
 * slows the guest's printing down, as a serial line would: the vCPU that
 * prints waits, but neither the main thread, nor a vCPU that is to stop.  A
 * reader that went away costs the output, not the guest.
 *
 * A terminal is taken without echo and line editing but with its signals:
 * Ctrl-C ends the machine.
 */

#include <sys/eventfd.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/console.h"
#include "vmm/machine.h"

#define	OUT_MAX		512
#define	LINGER_NS	5000000ull
#define	STALL_MS	50	/* between looks for a reason not to wait */
#define	CLOSE_MS	500	/* for a reader to take the last lines */

struct console {
	int		 in, out;		/* -1: none */
	bool		 lossy;			/* nobody may be there */
	bool		 own;			/* out is ours to close */
	bool		 tty;			/* and how it was: */
	struct termios	 saved;
	int		 slave;			/* of a pty: kept open */
	int		 wake;			/* eventfd */
	struct vmm_uart	*uart;
	char		 pending[256];		/* input without room */
	size_t		 npending;
	pthread_mutex_t	 mtx;			/* for these: */
	char		 buf[OUT_MAX];
	size_t		 len;
	uint64_t	 due;			/* vmm_now() */
};

static bool
writable(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	/* An error shows in write(2). */
	return (poll(&pfd, 1, ms) > 0);
}

/* What the reader takes now; mtx held.  True: nothing is left to write. */
static bool
flush_some(struct console *c)
{
	size_t at = 0;
	ssize_t n;

	while (at < c->len && c->out >= 0 &&
	    (c->lossy || writable(c->out, 0))) {
		n = write(c->out, c->buf + at, c->len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && !c->lossy)
			break;
		/* What cannot be written is gone. */
		at = n <= 0 ? c->len : at + (size_t)n;
	}
	if (c->out < 0)
		at = c->len;
	c->len -= at;
	memmove(c->buf, c->buf + at, c->len);
	return (c->len == 0);
}

/* A vCPU's: waits for the reader, unless something else waits for it. */
static void
flush(struct console *c)
{

	while (!flush_some(c) && !vmm_vcpu_stopping())
		(void)writable(c->out, STALL_MS);
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
		if (c->len < OUT_MAX)
			c->buf[c->len++] = p[i];
		if (p[i] == '\n' || c->len == OUT_MAX) {
			flush(c);
			wake = c->len > 0;
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

	/* A vCPU that holds it for long waits for the reader. */
	if (pthread_mutex_trylock(&c->mtx) != 0)
		return (STALL_MS);
	if (c->len > 0) {
		now = vmm_now();
		ms = now >= c->due ? 0 : (int)((c->due - now) / 1000000) + 1;
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
		    errno != EINTR && errno != EIO)) {
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
	    (fds[1].revents & (POLLIN | POLLHUP)) != 0);
	if (pthread_mutex_trylock(&c->mtx) != 0)
		return;
	if (c->len > 0 && vmm_now() >= c->due && !flush_some(c))
		c->due = vmm_now() + STALL_MS * 1000000ull;
	pthread_mutex_unlock(&c->mtx);
}

/* --- Kinds --- */

/*
 * Writing must not block, but O_NONBLOCK on what others share with us would
 * surprise them: a description of our own, where that is possible.
 */
static void
open_stdout(struct console *c)
{
	struct stat st;

	c->out = STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &st) != 0 ||
	    (!S_ISFIFO(st.st_mode) && !isatty(STDOUT_FILENO)))
		return;
	c->out = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	c->own = c->out >= 0;
	if (!c->own)
		c->out = STDOUT_FILENO;
}

static void
open_stdio(struct console *c)
{
	struct termios t;

	c->in = STDIN_FILENO;
	open_stdout(c);
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
	c->lossy = c->own = true;
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
	if (c->wake < 0)
		error = errno;
	else if (kind == CONSOLE_STDIO)
		open_stdio(c);
	else if (kind == CONSOLE_PTY)
		error = open_pty(c);
	else if (kind == CONSOLE_FILE) {
		c->out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0666);
		c->own = c->out >= 0;
		if (!c->own)
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

	/* No vCPU is left. */
	if (!flush_some(c) && writable(c->out, CLOSE_MS))
		(void)flush_some(c);
	if (c->tty)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
	if (c->slave >= 0)
		close(c->slave);
	if (c->own)
		close(c->out);
	if (c->wake >= 0)
		close(c->wake);
	pthread_mutex_destroy(&c->mtx);
	free(c);
}
