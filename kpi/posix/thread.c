/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Threads, blocking and time of the waist.  Nothing here knows of kernel
 * threads or processors.
 */

#include <asm/prctl.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "waist.h"

#define	NSEC	1000000000ULL
/* Sanitized host models run on these threads: frames are large. */
#define	STACK_SIZE	(1024 * 1024)

struct start {
	void	(*fn)(void *);
	void	*arg;
	char	 name[16];
};

static __thread void *self;
/* Beside the fast variable: only a key has a destructor. */
static pthread_key_t self_key;
static void (*self_hook)(void *);

static void *
thread_main(void *arg)
{
	struct start st = *(struct start *)arg;

	free(arg);
	pthread_setname_np(pthread_self(), st.name);
	st.fn(st.arg);
	return (NULL);
}

int
hosted_thread_create(hosted_u64 *id, void (*fn)(void *), void *arg,
    const char *name)
{
	pthread_attr_t attr;
	pthread_t pt;
	struct start *st;
	int error;

	st = malloc(sizeof(*st));
	if (st == NULL)
		return (HOSTED_EAGAIN);
	st->fn = fn;
	st->arg = arg;
	strncpy(st->name, name, sizeof(st->name) - 1);
	st->name[sizeof(st->name) - 1] = '\0';
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	error = pthread_create(&pt, &attr, thread_main, st);
	pthread_attr_destroy(&attr);
	if (error != 0) {
		free(st);
		return (HOSTED_EAGAIN);
	}
	*id = (hosted_u64)pt;
	return (0);
}

void
hosted_thread_join(hosted_u64 id)
{
	pthread_join((pthread_t)id, NULL);
}

void
hosted_thread_detach(hosted_u64 id)
{
	pthread_detach((pthread_t)id);
}

void
hosted_thread_exit(void)
{
	pthread_exit(NULL);
}

static void
self_destroy(void *p)
{
	if (self == p && self_hook != NULL) {
		self_hook(p);
		self = NULL;
	}
}

void
hosted_self_hook(void (*fn)(void *))
{
	self_hook = fn;
	if (pthread_key_create(&self_key, self_destroy) != 0)
		abort();
}

void
hosted_self_set(void *p)
{
	self = p;
	pthread_setspecific(self_key, p);
}

void *
hosted_self(void)
{
	return (self);
}

void
hosted_gs_set(void *base)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

void
hosted_yield(void)
{
	sched_yield();
}

int
hosted_futex_wait(const volatile unsigned *word, unsigned expect,
    hosted_u64 deadline)
{
	struct timespec ts, *tsp;
	long rc;

	tsp = NULL;
	if (deadline != HOSTED_FOREVER) {
		ts.tv_sec = deadline / NSEC;
		ts.tv_nsec = deadline % NSEC;
		tsp = &ts;
	}
	/* The BITSET variant takes an absolute time on CLOCK_MONOTONIC. */
	rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
	    expect, tsp, NULL, FUTEX_BITSET_MATCH_ANY);
	if (rc == -1 && errno == ETIMEDOUT)
		return (HOSTED_ETIMEDOUT);
	return (0);
}

void
hosted_futex_wake(const volatile unsigned *word, unsigned n)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG,
	    n > 0x7fffffff ? 0x7fffffff : n, NULL, NULL, 0);
}

static hosted_u64
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (ts.tv_sec * NSEC + ts.tv_nsec);
}

hosted_u64
hosted_clock(void)
{
	return (clock_ns(CLOCK_MONOTONIC));
}

hosted_u64
hosted_clock_utc(void)
{
	return (clock_ns(CLOCK_REALTIME));
}

void
hosted_sleep(hosted_u64 ns)
{
	struct timespec ts;

	ts.tv_sec = ns / NSEC;
	ts.tv_nsec = ns % NSEC;
	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}
