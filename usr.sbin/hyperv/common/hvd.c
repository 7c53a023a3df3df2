/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See hvd.h. */

#include <sys/types.h>
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libutil.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "hvd.h"

static struct pidfh *pidfile;
static bool released;
static volatile sig_atomic_t quit;
static sigset_t waiting;		/* signals let in while waiting */

static void
quit_handler(int sig)
{

	(void)sig;
	quit = 1;
}

/* Signals come while hvd_receive() waits, so none is missed. */
static void
signals(void)
{
	struct sigaction sa;
	sigset_t block;

	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = quit_handler;
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &block, &waiting);
	sigdelset(&waiting, SIGTERM);
	sigdelset(&waiting, SIGINT);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGHUP, &sa, NULL);
	(void)sigaction(SIGPIPE, &sa, NULL);
}

/* Nothing is read from it, and it may be a file. */
static void
stdin_close(void)
{
	int fd;

	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd > 0) {
		(void)dup2(fd, STDIN_FILENO);
		(void)close(fd);
	}
}

void
hvd_start(struct hvd *hd)
{
	pid_t other;

	hd->hd_fd = open(hd->hd_dev, O_RDWR | O_CLOEXEC);
	if (hd->hd_fd < 0) {
		if (errno == EBUSY)
			errx(1, "%s: another program has it open", hd->hd_dev);
		err(1, "%s", hd->hd_dev);
	}
	if (hd->hd_pidfile != NULL) {
		pidfile = pidfile_open(hd->hd_pidfile, 0644, &other);
		if (pidfile == NULL && errno == EEXIST)
			errx(1, "already running, as process %jd",
			    (intmax_t)other);
		if (pidfile == NULL)
			err(1, "%s", hd->hd_pidfile);
	}
	stdin_close();
	if (!hd->hd_foreground && daemon(0, 0) != 0) {
		(void)pidfile_remove(pidfile);
		err(1, "daemon");
	}
	hvd_log_open(hd->hd_name, hd->hd_foreground);
	if (pidfile != NULL && pidfile_write(pidfile) != 0)
		hvd_log(LOG_WARNING, "%s: %s", hd->hd_pidfile,
		    strerror(errno));
	signals();
}

void
hvd_pidfile_release(void)
{

	if (pidfile == NULL)
		return;
	(void)pidfile_close(pidfile);
	pidfile = NULL;
	released = true;
}

void
hvd_stop(struct hvd *hd)
{

	if (pidfile != NULL)
		(void)pidfile_remove(pidfile);
	else if (released)
		(void)unlink(hd->hd_pidfile);
}

void
hvd_fail(struct hvd *hd, const char *what, int error)
{

	hvd_log(LOG_ERR, "%s: %s", what, strerror(error));
	hvd_stop(hd);
	exit(1);
}

enum hvd_event
hvd_receive(struct hvd *hd, int ms, void *buf, size_t size, size_t *len)
{
	struct pollfd pfd = { .fd = hd->hd_fd, .events = POLLIN };
	struct timespec ts = { .tv_sec = ms / 1000,
	    .tv_nsec = ms % 1000 * 1000000L };
	ssize_t n;
	int ready;

	if (quit)
		return (HVD_QUIT);
	ready = ppoll(&pfd, 1, ms < 0 ? NULL : &ts, &waiting);
	if (quit)
		return (HVD_QUIT);
	if (ready == 0 || (ready < 0 && errno == EINTR))
		return (HVD_TIMEOUT);
	n = ready < 0 ? -1 : read(hd->hd_fd, buf, size);
	if (n > 0) {
		*len = (size_t)n;
		return (HVD_MESSAGE);
	}
	if (n == 0)
		errno = 0;
	else if (errno == EINTR || errno == EAGAIN)
		return (HVD_TIMEOUT);
	return (HVD_GONE);
}

bool
hvd_send(struct hvd *hd, const void *buf, size_t len)
{

	while (write(hd->hd_fd, buf, len) < 0) {
		if (errno == ESTALE)
			break;
		if (errno != EINTR)
			return (false);
	}
	return (true);
}
