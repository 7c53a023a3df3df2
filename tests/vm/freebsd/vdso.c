/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `vdso': the clock as libc reads it, from the page that the kernel shares with
 * programs and from the timecounter, without a system call.
 *
 *	vdso			shows whether and how it can be read
 *	vdso read N		reads it N times; how long that took, in ns, and
 *				how often it could not be read so
 *	vdso call N		asks the kernel N times instead; how long that
 *				took
 *	vdso check MS		for so long, each reading between two of the
 *				system call's, and none before the last; on
 *				whatever processors this is run on
 */

#include <sys/param.h>
#include <sys/elf.h>
#include <sys/errno.h>
#include <sys/time.h>
#include <sys/vdso.h>

#include "commands.h"
#include "lib.h"

#define	SEC		1000000000ULL

/* The hypervisor's page: /dev/hv_tsc. */
struct reftsc {
	uint32_t	seq;
	uint32_t	rsvd;
	uint64_t	scale;
	int64_t		ofs;
};

static const struct vdso_timekeep *timekeep;
static const volatile struct reftsc *reftsc;

/* The kernel tells each program, among other things at its start. */
static int
find_timekeep(void)
{
	const uintptr_t *p = start_args + 1 + start_args[0] + 1;
	const Elf64_Auxinfo *aux;

	while (*p != 0)
		p++;
	for (aux = (const void *)(p + 1); aux->a_type != AT_NULL; aux++)
		if (aux->a_type == AT_TIMEKEEP)
			timekeep = aux->a_un.a_ptr;
	return (timekeep == NULL ? ENOENT : 0);
}

static int
map_reftsc(void)
{
	long at;
	int fd;

	if (reftsc != NULL)
		return (0);
	fd = sys_open("/dev/hv_tsc", O_RDONLY, 0);
	if (fd < 0)
		return (-fd);
	at = sys(SYS_mmap, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	(void)sys_close(fd);
	if (at < 0)
		return ((int)-at);
	reftsc = (const volatile struct reftsc *)(uintptr_t)at;
	return (0);
}

static bool
read_reftsc(uint32_t *count)
{
	uint64_t scale, tsc;
	uint32_t seq;
	int64_t ofs;

	do {
		seq = __atomic_load_n(&reftsc->seq, __ATOMIC_ACQUIRE);
		if (seq == 0)
			return (false);
		scale = reftsc->scale;
		ofs = reftsc->ofs;
		__asm volatile("mfence; lfence" : : : "memory");
		tsc = __builtin_ia32_rdtsc();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (reftsc->seq != seq);
	*count = (uint32_t)((uint64_t)((unsigned __int128)tsc * scale >> 64) +
	    (uint64_t)ofs);
	return (true);
}

/* Uptime as CLOCK_MONOTONIC's; 0: it has to be asked for. */
static uint64_t
read_clock(void)
{
	const volatile struct vdso_timehands *th;
	unsigned __int128 part;
	uint32_t count, current, gen;
	uint64_t frac, sec;

	do {
		if (!timekeep->tk_enabled)
			return (0);
		current = __atomic_load_n(&timekeep->tk_current,
		    __ATOMIC_ACQUIRE);
		th = &timekeep->tk_th[current];
		gen = __atomic_load_n(&th->th_gen, __ATOMIC_ACQUIRE);
		if (th->th_algo != VDSO_TH_ALGO_X86_HVTSC ||
		    !read_reftsc(&count))
			return (0);
		sec = (uint64_t)th->th_offset.sec;
		frac = th->th_offset.frac;
		part = (unsigned __int128)th->th_scale *
		    ((count - th->th_offset_count) & th->th_counter_mask);
		part += frac;
		sec += (uint64_t)(part >> 64);
		frac = (uint64_t)part;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (gen == 0 || gen != th->th_gen ||
	    current != timekeep->tk_current);
	return (sec * SEC + ((uint64_t)SEC * (uint32_t)(frac >> 32) >> 32));
}

static int
show(void)
{

	print("enabled: %u\nalgo: %u\npage: %u\n", timekeep->tk_enabled,
	    timekeep->tk_th[timekeep->tk_current].th_algo,
	    reftsc != NULL && reftsc->seq != 0);
	return (0);
}

static int
read_many(uint64_t n)
{
	uint64_t failed = 0, i, start;

	start = uptime_ns();
	for (i = 0; i < n; i++)
		failed += read_clock() == 0;
	print("ns: %ju\nfailed: %ju\n", (uintmax_t)(uptime_ns() - start),
	    (uintmax_t)failed);
	return (0);
}

static int
call_many(uint64_t n)
{
	uint64_t i, start;

	start = uptime_ns();
	for (i = 0; i < n; i++)
		(void)uptime_ns();
	print("ns: %ju\n", (uintmax_t)(uptime_ns() - start));
	return (0);
}

static int
check(uint64_t ms)
{
	uint64_t after, before, end, last = 0, now;
	uint64_t backwards = 0, failed = 0, n = 0, outside = 0;

	end = uptime_ns() + ms * 1000000;
	do {
		before = uptime_ns();
		now = read_clock();
		after = uptime_ns();
		n++;
		if (now == 0) {
			failed++;
			continue;
		}
		/* Both are cut to nanoseconds. */
		outside += now + 1 < before || now > after + 1;
		backwards += now < last;
		last = now;
	} while (after < end);
	print("readings: %ju\nfailed: %ju\noutside: %ju\nbackwards: %ju\n",
	    (uintmax_t)n, (uintmax_t)failed, (uintmax_t)outside,
	    (uintmax_t)backwards);
	return (0);
}

int
cmd_vdso(int argc, char **argv)
{
	uint64_t n;
	int error;

	error = find_timekeep();
	if (error != 0)
		return (complain(error, "AT_TIMEKEEP"));
	error = map_reftsc();
	if (argc == 1)
		return (show());
	if (argc == 3 && strcmp(argv[1], "call") == 0 && number(argv[2], &n))
		return (call_many(n));
	if (error != 0)
		return (complain(error, "/dev/hv_tsc"));
	if (argc == 3 && number(argv[2], &n)) {
		if (strcmp(argv[1], "read") == 0)
			return (read_many(n));
		if (strcmp(argv[1], "check") == 0)
			return (check(n));
	}
	return (complain(EINVAL, "vdso %s", argv[1]));
}
