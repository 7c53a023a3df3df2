/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Ring benchmark: prints one JSON object a packet size.  Ring and memcpy()
 * take turns in short rounds and the best of each counts, so that neither
 * profits from a quieter moment of the machine.
 */

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "kpi.h"

#include "ring.h"

#define	ROUNDS		40

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * 1e9 + ts.tv_nsec);
}

static void
least(double *best, double begin, unsigned long n)
{
	double ns = (now_ns() - begin) / n;

	if (*best == 0 || ns < *best)
		*best = ns;
}

static void
measure(unsigned len)
{
	double ring = 0, inplace = 0, copy = 0, begin;
	unsigned long n = 20000000 / (len + 200);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		begin = now_ns();
		ktest_bench_ring_run(len, n, 1);
		least(&ring, begin, n);
		begin = now_ns();
		ktest_bench_ring_run(len, n, 0);
		least(&inplace, begin, n);
		begin = now_ns();
		ktest_bench_memcpy_run(len, n);
		least(&copy, begin, n);
	}
	printf("{\"bench\": \"ring\", \"bytes\": %u, \"ns\": %.2f, "
	    "\"inplace_ns\": %.2f, \"memcpy_ns\": %.2f}\n", len, ring,
	    inplace, copy);
	fflush(stdout);
}

static void
run(void *arg)
{
	static const unsigned size[] = { 8, 64, 256, 1500, 4096, 16384,
	    65536 };
	unsigned i;

	if (ktest_bench_ring_init() != 0)
		errx(1, "no memory for the ring");
	for (i = 0; i < sizeof(size) / sizeof(size[0]); i++)
		measure(size[i]);
	ktest_bench_ring_fini();
}

int
main(void)
{
	struct kpi_config cf = { .ncpus = 1, .quiet = 1 };
	kpi_size size;
	void *base;

	if (kpi_init(&cf, &base, &size) != 0 || kpi_boot() != 0)
		errx(1, "the hosted kernel does not boot");
	kpi_call(run, NULL, 0);
	kpi_shutdown();
	return (0);
}
