/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Threads without libc, each on a processor of its own, for the commands that
 * make processors work on each other.
 */

#include <sys/param.h>
#include <sys/cpuset.h>
#include <sys/errno.h>
#include <sys/thr.h>

#include "lib.h"
#include "thread.h"

#define	STACK_SIZE	(64 << 10)

/* The kernel calls it on the thread's own stack, and there is no way back. */
static void
thread_begin(void *arg)
{
	struct thread *t = arg;

	t->result = thread_pin(t->cpu);
	if (t->result == 0)
		t->run(t);
	/* What is told is the last that is done on this stack, but one call. */
	(void)sys(SYS_thr_exit, P(&t->ended), 0, 0, 0, 0, 0);
}

int
thread_pin(int cpu)
{
	cpuset_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return ((int)-sys(SYS_cpuset_setaffinity, CPU_LEVEL_WHICH,
	    CPU_WHICH_TID, -1, sizeof(set), P(&set), 0));
}

int
thread_start(struct thread *t, int cpu, void (*run)(struct thread *))
{
	struct thr_param tp;
	long error;

	memset(t, 0, sizeof(*t));
	t->run = run;
	t->cpu = cpu;
	t->stack = mem_get(STACK_SIZE);
	memset(&tp, 0, sizeof(tp));
	tp.start_func = thread_begin;
	tp.arg = t;
	tp.stack_base = t->stack;
	tp.stack_size = STACK_SIZE;
	error = sys(SYS_thr_new, P(&tp), sizeof(tp), 0, 0, 0, 0);
	if (error != 0) {
		mem_put(t->stack, STACK_SIZE);
		t->stack = NULL;
	}
	return ((int)-error);
}

bool
thread_ended(const struct thread *t)
{

	return (__atomic_load_n(&t->ended, __ATOMIC_ACQUIRE) != 0);
}

int
thread_end(struct thread *t)
{

	if (t->stack == NULL)
		return (0);
	while (!thread_ended(t))
		sleep_ms(1);
	mem_put(t->stack, STACK_SIZE);
	t->stack = NULL;
	return (t->result);
}
