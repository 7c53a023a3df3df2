/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What enlightenments are for, done so often inside a guest that the host can
 * count what it costs:
 *
 *	enlbench clock N	reads the clock N times
 *	enlbench sleep N	sleeps N times for a millisecond
 *	enlbench shoot N	takes write access from memory N times that
 *				every other processor is just writing to
 *	enlbench wake N		passes a token N times between two processors
 *
 * Says on one line what was done and how long it took, and exits with 1 if time
 * went back, or if memory could be written that must not.
 */

#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define	PAGES		8
#define	PAGE		4096
#define	CPUS_MAX	64

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		err(2, "processor %d", cpu);
}

static void
clock_job(unsigned long n)
{
	uint64_t last = now(), at;

	for (unsigned long i = 0; i < n; i++, last = at) {
		at = now();
		if (at < last)
			errx(1, "back by %ju ns", (uintmax_t)(last - at));
	}
}

static void
sleep_job(unsigned long n)
{
	const struct timespec ts = { .tv_nsec = 1000000 };

	for (unsigned long i = 0; i < n; i++)
		nanosleep(&ts, NULL);
}

/* --- Shooting down. --- */

static uint8_t *memory;
static atomic_bool stop;
static _Atomic unsigned writing;
static _Atomic unsigned closed;		/* odd: nobody may write */

static __thread sigjmp_buf again;

static void
on_fault(int sig)
{

	siglongjmp(again, 1);
}

/* A write while it is closed, before and after of the same closing, faults. */
static void *
writer(void *arg)
{
	volatile bool counted = false;

	pin((int)(intptr_t)arg);
	(void)sigsetjmp(again, 1);
	while (!atomic_load(&stop)) {
		unsigned before = atomic_load(&closed);

		for (unsigned i = 0; i < PAGES; i++)
			memory[i * PAGE + (intptr_t)arg]++;
		if (before % 2 != 0 && atomic_load(&closed) == before)
			errx(1, "written while it was closed");
		if (!counted) {
			counted = true;
			atomic_fetch_add(&writing, 1);
		}
	}
	return (NULL);
}

static void
shoot_job(unsigned long n)
{
	struct sigaction sa = { .sa_handler = on_fault };
	pthread_t thread[CPUS_MAX];
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus > CPUS_MAX)
		cpus = CPUS_MAX;
	sigaction(SIGSEGV, &sa, NULL);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		err(2, "memory");
	pin(0);
	for (unsigned i = 1; i < cpus; i++) {
		if (pthread_create(&thread[i], NULL, writer,
		    (void *)(intptr_t)i) != 0)
			errx(2, "thread");
	}
	while (atomic_load(&writing) < cpus - 1)
		sched_yield();
	for (unsigned long i = 0; i < n; i++) {
		if (mprotect(memory, PAGES * PAGE, PROT_READ) != 0)
			err(2, "mprotect");
		atomic_fetch_add(&closed, 1);
		atomic_fetch_add(&closed, 1);
		if (mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE) !=
		    0)
			err(2, "mprotect");
	}
	atomic_store(&stop, true);
	for (unsigned i = 1; i < cpus; i++)
		pthread_join(thread[i], NULL);
}

/* --- Waking. --- */

static int ends[2][2];

static void *
echo(void *arg)
{
	char c;

	pin(1);
	while (read(ends[0][0], &c, 1) == 1) {
		if (write(ends[1][1], &c, 1) != 1)
			break;
	}
	return (NULL);
}

static void
wake_job(unsigned long n)
{
	pthread_t thread;
	char c = 'x';

	if (pipe(ends[0]) != 0 || pipe(ends[1]) != 0 ||
	    pthread_create(&thread, NULL, echo, NULL) != 0)
		err(2, "pipes");
	pin(0);
	for (unsigned long i = 0; i < n; i++) {
		if (write(ends[0][1], &c, 1) != 1 ||
		    read(ends[1][0], &c, 1) != 1)
			err(2, "pipe");
	}
	close(ends[0][1]);
	pthread_join(thread, NULL);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char	*name;
		void		(*fn)(unsigned long n);
	} jobs[] = {
		{ "clock", clock_job }, { "sleep", sleep_job },
		{ "shoot", shoot_job }, { "wake", wake_job },
	};
	unsigned long n;
	uint64_t start;

	if (argc != 3 || (n = strtoul(argv[2], NULL, 10)) == 0)
		errx(2, "usage: enlbench clock|sleep|shoot|wake N");
	for (unsigned i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (strcmp(argv[1], jobs[i].name) != 0)
			continue;
		start = now();
		jobs[i].fn(n);
		printf("%s %lu: %ju ns each\n", argv[1], n,
		    (uintmax_t)((now() - start) / n));
		return (0);
	}
	errx(2, "%s: no such job", argv[1]);
}
