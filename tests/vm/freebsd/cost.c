/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `cost': what a kernel takes for what it does without end.
 *
 *	cost clock TIMES	the time, by a system call
 *	cost timer TIMES	a sleep of 200 us, for which a timer is set
 *	cost wake TIMES		a byte to a thread that sleeps on another
 *				processor, and one back
 *
 * Each prints the nanoseconds for one; what it is in exits the host knows.
 */

#include <sys/param.h>
#include <sys/errno.h>

#include "commands.h"
#include "lib.h"
#include "thread.h"

#define	SLEEP_NS	200000

/* Two pipes: there and back. */
static int there[2], back[2];

static int
one_clock(void)
{

	(void)uptime_ns();
	return (0);
}

static int
one_timer(void)
{
	struct timespec ts = { 0, SLEEP_NS };

	return ((int)-sys(SYS_nanosleep, P(&ts), 0, 0, 0, 0, 0));
}

static int
one_wake(void)
{
	char c = 'x';

	return (sys_write(there[1], &c, 1) == 1 && sys_read(back[0], &c, 1) == 1
	    ? 0 : EIO);
}

/* The other end, until there is no more. */
static void
answer(struct thread *t)
{
	char c;

	while (sys_read(there[0], &c, 1) == 1 && c != '.')
		(void)sys_write(back[1], &c, 1);
	t->count[0]++;
}

static int
measure(int (*one)(void), uint64_t times)
{
	uint64_t i, start;
	int error = 0;

	start = uptime_ns();
	for (i = 0; i < times && error == 0; i++)
		error = one();
	print("ns: %ju\n", (uintmax_t)((uptime_ns() - start) / MAX(times, 1)));
	return (error);
}

static int
measure_wake(uint64_t times)
{
	struct thread t;
	long error;
	int one;

	error = sys(SYS_pipe2, P(there), 0, 0, 0, 0, 0);
	if (error == 0)
		error = sys(SYS_pipe2, P(back), 0, 0, 0, 0, 0);
	if (error == 0)
		error = -thread_pin(0);
	if (error == 0)
		error = -thread_start(&t, 1, answer);
	if (error != 0)
		return ((int)-error);
	error = measure(one_wake, times);
	(void)sys_write(there[1], ".", 1);
	one = thread_end(&t);
	sys_close(there[0]);
	sys_close(there[1]);
	sys_close(back[0]);
	sys_close(back[1]);
	return (error != 0 ? (int)error : one);
}

int
cmd_cost(int argc, char **argv)
{
	uint64_t times = argument(argc, argv, 2, 1000);
	int error = EINVAL;

	if (argc > 1 && strcmp(argv[1], "clock") == 0)
		error = measure(one_clock, times);
	else if (argc > 1 && strcmp(argv[1], "timer") == 0)
		error = measure(one_timer, times);
	else if (argc > 1 && strcmp(argv[1], "wake") == 0)
		error = measure_wake(times);
	return (error != 0 ? complain(error, "cost") : 0);
}
