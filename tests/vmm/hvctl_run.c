/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Runs hvctl: see hvctl_run.h. */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hvctl_run.h"

#define	NARGS	16
#define	WAIT_MS	30000u

pid_t
hvctl_start(const char *args)
{
	char copy[512], *argv[NARGS + 1], *p, *rest;
	unsigned n = 0;
	int err, out;
	pid_t pid;

	snprintf(copy, sizeof(copy), "%s %s", HVCTL, args);
	for (p = strtok_r(copy, " ", &rest); p != NULL && n < NARGS;
	    p = strtok_r(NULL, " ", &rest))
		argv[n++] = p;
	argv[n] = NULL;
	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		out = open("out", O_CREAT | O_WRONLY | O_TRUNC, 0600);
		err = open("err", O_CREAT | O_WRONLY | O_TRUNC, 0600);
		if (out < 0 || err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
			_exit(99);
		execv(argv[0], argv);
		_exit(99);
	}
	return (pid);
}

void
serve(struct ctl_server *s, unsigned ms)
{
	struct timespec ts;
	struct pollfd pfd = { .events = POLLIN };
	uint64_t end, now;

	pfd.fd = s != NULL ? ctl_fd(s) : -1;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	for (end = now + ms; now < end;) {
		if (poll(&pfd, 1, (int)(end - now)) > 0)
			ctl_poll(s);
		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = (uint64_t)ts.tv_sec * 1000 +
		    (uint64_t)ts.tv_nsec / 1000000;
	}
}

int
hvctl_wait(struct ctl_server *s, pid_t pid)
{
	int status;

	for (unsigned i = 0; i < WAIT_MS / 5; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			ATF_REQUIRE_MSG(WIFEXITED(status), "signal %d: %s",
			    WTERMSIG(status), slurp("err"));
			return (WEXITSTATUS(status));
		}
		serve(s, 5);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	atf_tc_fail("hvctl does not end");
}

int
hvctl_run(struct ctl_server *s, const char *args)
{

	return (hvctl_wait(s, hvctl_start(args)));
}

char *
slurp(const char *name)
{
	static char text[65536];
	ssize_t n;
	int fd;

	fd = open(name, O_RDONLY);
	ATF_REQUIRE_MSG(fd >= 0, "%s: %s", name, strerror(errno));
	n = read(fd, text, sizeof(text) - 1);
	ATF_REQUIRE(n >= 0);
	text[n] = '\0';
	close(fd);
	return (text);
}

void
has(const char *name, const char *text)
{
	char *all = slurp(name);

	ATF_CHECK_MSG(strstr(all, text) != NULL, "%s has no \"%s\":\n%s",
	    name, text, all);
}
