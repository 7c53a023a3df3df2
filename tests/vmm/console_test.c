/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The console's other end: a reader that stalls holds up the guest's printing
 * and nothing else; input that has ended is not asked for again.
 */

#include <sys/wait.h>

#include <atf-c.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/console.h"

static atomic_bool printed;

/* --- What the console uses of the machine --- */

uint64_t
vmm_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

void
vmm_say(const char *fmt, ...)
{
}

size_t
vmm_uart_input(struct vmm_uart *u, const void *buf, size_t len)
{

	return (len);
}

void
vmm_uart_on_room(struct vmm_uart *u, void (*room)(void *arg), void *arg)
{
}

/* --- A process whose console's ends are pipes --- */

/* fn returns true if all is well; false or 5 seconds: it is not. */
static void
with_pipes(bool (*fn)(struct console *c), int in, int out)
{
	struct console *c;
	char err[128];
	int status;
	pid_t pid;

	pid = fork();
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		alarm(5);
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		_exit(console_open(CONSOLE_STDIO, NULL, &c, err,
		    sizeof(err)) == 0 && fn(c) ? 0 : 1);
	}
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_REQUIRE_EQ(0, status);
}

/* The main thread's loop, n times; how often it had nothing to wait for. */
static unsigned
turns(struct console *c, unsigned n)
{
	struct pollfd fds[2];
	unsigned busy = 0;

	while (n-- > 0) {
		(void)console_poll_fds(c, fds);
		busy += poll(fds, 2, 20) > 0 || console_timeout(c) == 0;
		console_run(c, fds);
	}
	return (busy);
}

static void *
print_much(void *arg)
{
	char line[101];

	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	for (unsigned i = 0; i < 2000; i++)
		console_put(arg, line, sizeof(line) - 1);
	atomic_store(&printed, true);
	return (NULL);
}

static bool
main_goes_on(struct console *c)
{
	pthread_t t;

	if (pthread_create(&t, NULL, print_much, c) != 0)
		return (false);
	usleep(300000);
	(void)turns(c, 10);
	/* The guest waits for its reader, the main thread does not. */
	if (atomic_load(&printed))
		return (false);
	console_hurry(c, true);
	(void)pthread_join(t, NULL);
	console_close(c);
	return (true);
}

ATF_TC_WITHOUT_HEAD(reader_stalls);
ATF_TC_BODY(reader_stalls, tc)
{
	int fds[2];

	ATF_REQUIRE_EQ(0, pipe(fds));
	with_pipes(main_goes_on, open("/dev/null", O_RDONLY), fds[1]);
}

static bool
rests(struct console *c)
{
	struct vmm_uart *u = (struct vmm_uart *)(void *)c;

	console_attach(c, u);
	return (turns(c, 20) < 5);
}

/* Nothing to read, nothing at all, and what cannot be read. */
ATF_TC_WITHOUT_HEAD(input_ends);
ATF_TC_BODY(input_ends, tc)
{
	int null = open("/dev/null", O_RDWR), fds[2];

	ATF_REQUIRE_EQ(0, pipe(fds));
	with_pipes(rests, null, null);
	close(fds[1]);
	with_pipes(rests, fds[0], null);
	with_pipes(rests, open("/dev/null", O_WRONLY), null);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, reader_stalls);
	ATF_TP_ADD_TC(tp, input_ends);
	return (atf_no_error());
}
