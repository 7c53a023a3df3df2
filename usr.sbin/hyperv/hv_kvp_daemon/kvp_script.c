/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Scripts that an administrator may replace, run without a shell of our own,
 * with an environment of their own and a limit of time.  The host waits for
 * what they do: the kernel tells it of a failure after five seconds.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "hvd.h"
#include "hv_kvp_daemon.h"

/* Three scripts are asked for one answer; one makes a change. */
#define	ASK_MS		1400
#define	CHANGE_MS	4200

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* The child: never returns. */
static void
become(const char *path, const char *arg1, const char *arg2, int out)
{
	static char env_path[] = "PATH=/sbin:/bin:/usr/sbin:/usr/bin";
	char *env[] = { env_path, NULL };
	char *argv[4];
	sigset_t none;
	int null;

	/* What the daemon ignores a shell could not have back. */
	(void)signal(SIGHUP, SIG_DFL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* A group of its own: what it started ends with it. */
	(void)setpgid(0, 0);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(out >= 0 ? out : null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(126);
	if (null > STDERR_FILENO)
		(void)close(null);
	argv[0] = strdup(path);
	argv[1] = arg1 != NULL ? strdup(arg1) : NULL;
	argv[2] = arg2 != NULL ? strdup(arg2) : NULL;
	argv[3] = NULL;
	if (argv[0] != NULL)
		(void)execve(argv[0], argv, env);
	_exit(127);
}

/*
 * What it writes, until it and all it started have closed their ends or time is
 * up.  What does not fit is read and dropped, lest it wait for us.
 */
static bool
collect(int fd, char *buf, size_t size, int64_t end)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char waste[512];
	size_t got;
	ssize_t n;
	int64_t left;

	for (got = 0;;) {
		left = end - now_ms();
		if (left <= 0)
			return (false);
		if (poll(&pfd, 1, (int)left) <= 0)
			continue;
		n = got + 1 < size ? read(fd, buf + got, size - 1 - got) :
		    read(fd, waste, sizeof(waste));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (got + 1 < size)
			got += (size_t)n;
		if (size > 0)
			buf[got] = '\0';
	}
	return (true);
}

static bool
wait_for(pid_t pid, int *status, int64_t end)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	while (waitpid(pid, status, WNOHANG) != pid) {
		if (now_ms() >= end)
			return (false);
		nanosleep(&pause, NULL);
	}
	return (true);
}

int
kvp_script(const struct kvp_ip_config *kc, const char *name, const char *arg1,
    const char *arg2, char *buf, size_t size)
{
	char path[512];
	int64_t end;
	pid_t pid;
	int fds[2], status;
	bool done;

	if (size > 0)
		buf[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/%s", kc->kc_scripts, name) >=
	    (int)sizeof(path) || access(path, X_OK) != 0)
		return (-1);
	if (pipe(fds) != 0)
		return (-1);
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	end = now_ms() + (buf != NULL ? ASK_MS : CHANGE_MS);
	pid = fork();
	if (pid == 0)
		become(path, arg1, arg2, buf != NULL ? fds[1] : -1);
	(void)close(fds[1]);
	done = pid > 0 && (buf == NULL || collect(fds[0], buf, size, end)) &&
	    wait_for(pid, &status, end);
	(void)close(fds[0]);
	if (pid > 0 && !done) {
		hvd_log(LOG_ERR, "%s takes too long", path);
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
	}
	return (done && WIFEXITED(status) && WEXITSTATUS(status) == 0 ?
	    0 : -1);
}
