/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Callouts, on the virtual clock (where every run is the same) and on the real
 * one.
 */

#include <ktest.h>

#include <sys/callout.h>
#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/time.h>

#include <kpi.h>

#define	MS	1000000ULL		/* nanoseconds */

static int	order[8];
static u_int	norder;
static struct callout co[3];
static struct mtx mtx;
static volatile u_int done, draining, go;

static void
note(void *arg)
{
	order[norder++] = (int)(intptr_t)arg;
}

KTEST(callout_order, "callouts run in order of time, whatever their CPU")
{
	for (int i = 0; i < 3; i++)
		callout_init(&co[i], 1);
	callout_reset_sbt_on(&co[0], 30 * SBT_1MS, 0, note, (void *)3, 0, 0);
	callout_reset_sbt_on(&co[1], 10 * SBT_1MS, 0, note, (void *)1, 1, 0);
	callout_reset_sbt_on(&co[2], 20 * SBT_1MS, 0, note, (void *)2, 2, 0);
	kpi_clock_advance(9 * MS);
	KT_EQ(norder, 0);
	kpi_clock_advance(21 * MS);
	KT_EQ(norder, 3);
	for (int i = 0; i < 3; i++) {
		KT_EQ(order[i], i + 1);
		KT_CHECK(!callout_pending(&co[i]));
	}
}

KTEST(callout_returns, "what stop, reset and drain return")
{
	callout_init(&co[0], 1);
	KT_EQ(callout_stop(&co[0]), -1);
	KT_EQ(callout_reset(&co[0], hz, note, NULL), 0);
	KT_EQ(callout_reset(&co[0], hz, note, NULL), 1);
	KT_CHECK(callout_active(&co[0]));
	KT_EQ(callout_stop(&co[0]), 1);
	KT_CHECK(!callout_active(&co[0]));
	KT_EQ(callout_drain(&co[0]), -1);
	kpi_clock_advance(2000 * MS);
	KT_EQ(norder, 0);
}

static void
rearm(void *arg)
{
	if (++norder < 5)
		callout_schedule(&co[0], hz / 10);
}

KTEST(callout_rearms, "a callout that schedules itself runs at each time")
{
	callout_init(&co[0], 1);
	callout_reset(&co[0], hz / 10, rearm, NULL);
	kpi_clock_advance(450 * MS);
	KT_EQ(norder, 4);
	kpi_clock_advance(1000 * MS);
	KT_EQ(norder, 5);
}

static void
locked(void *arg)
{
	mtx_assert(&mtx, MA_OWNED);
	norder++;
}

KTEST(callout_mtx, "a callout with a mutex is not run once it was stopped")
{
	mtx_init(&mtx, "callout", NULL, MTX_DEF);
	callout_init_mtx(&co[0], &mtx, 0);
	mtx_lock(&mtx);
	callout_reset(&co[0], 1, locked, NULL);
	mtx_unlock(&mtx);
	kpi_clock_advance(5 * MS);
	KT_EQ(norder, 1);
	/* The handler waits for the mutex while we take it back. */
	mtx_lock(&mtx);
	callout_reset(&co[0], 1, locked, NULL);
	kpi_clock_advance(5 * MS);
	KT_EQ(callout_stop(&co[0]), 1);
	mtx_unlock(&mtx);
	callout_drain(&co[0]);
	KT_EQ(norder, 1);
	mtx_destroy(&mtx);
}

static void
block(void *arg)
{
	atomic_store_int(&go, 1);
	while (atomic_load_acq_int(&done) == 0)
		DELAY(100);
	norder++;
}

static void
unblock(void *arg)
{
	while (atomic_load_acq_int(&draining) == 0)
		DELAY(100);
	/* Long enough for the other to be waiting, on a busy machine too. */
	DELAY(50000);
	atomic_store_rel_int(&done, 1);
	kthread_exit();
}

KTEST(real_callout_drain, "a drain waits for the handler that runs")
{
	int drained = -1;

	callout_init(&co[0], 1);
	/* Not waited for is one that came too late to find it running. */
	for (u_int i = 0; i < 20 && drained != 0; i++) {
		done = draining = go = 0;
		KT_EQ(kthread_add(unblock, NULL, NULL, NULL, 0, 0, "unblock"),
		    0);
		callout_reset(&co[0], 1, block, NULL);
		while (atomic_load_int(&go) == 0)
			DELAY(100);
		atomic_store_rel_int(&draining, 1);
		drained = callout_drain(&co[0]);
		KT_EQ(norder, i + 1);
	}
	KT_EQ(drained, 0);
}

static sbintime_t ran_at;

static void
when(void *arg)
{
	ran_at = sbinuptime();
	atomic_store_rel_int(&done, 1);
}

KTEST(real_callout_time, "on the real clock a callout is not early")
{
	sbintime_t start = sbinuptime();

	callout_init(&co[0], 1);
	callout_reset_sbt(&co[0], 20 * SBT_1MS, 0, when, NULL, 0);
	while (atomic_load_acq_int(&done) == 0)
		DELAY(100);
	KT_CHECK(ran_at - start >= 20 * SBT_1MS);
	callout_drain(&co[0]);
}

KTEST(callout_leak, "a callout that is left pending is reported")
{
	callout_init(&co[0], 1);
	callout_reset(&co[0], hz, note, NULL);
	KT_EQ(kpi_leaks(), 1);
	callout_stop(&co[0]);
}

static void
direct(void *arg)
{
	mtx_lock(&mtx);
}

KTEST_PANICS(callout_direct_report, "a direct callout that takes a mutex",
    "acquiring blockable sleep lock")
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	callout_init(&co[0], 1);
	callout_reset_sbt(&co[0], SBT_1MS, 0, direct, NULL, C_DIRECT_EXEC);
	kpi_clock_advance(5 * MS);
	for (;;)
		DELAY(1000);
}

static void
sleepy(void *arg)
{
	pause("x", 1);
}

KTEST_PANICS(callout_sleep_report, "a callout that sleeps",
    "where sleeping is prohibited")
{
	callout_init(&co[0], 1);
	callout_reset(&co[0], 1, sleepy, NULL);
	kpi_clock_advance(5 * MS);
	for (;;)
		DELAY(1000);
}

KTEST_PANICS(callout_stop_report, "callout_stop() without the callout's mutex",
    "not owned")
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	callout_init_mtx(&co[0], &mtx, 0);
	callout_stop(&co[0]);
}
