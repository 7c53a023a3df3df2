/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hosted kernel's locks: exclusion with real threads, and the reports of
 * misuse that INVARIANTS and WITNESS would give.
 */

#include <ktest.h>

#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/rmlock.h>
#include <sys/rwlock.h>
#include <sys/sx.h>

#include <ktest_threads.h>

#define	ROUNDS	20000

static struct mtx mtx_a, mtx_b;
static struct sx sx_a;
static struct rwlock rw_a;
static struct rmlock rm_a;
static u_int counter;

static void
count_mtx(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		mtx_lock(&mtx_a);
		counter++;
		mtx_unlock(&mtx_a);
	}
}

KTEST(mtx_excludes, "threads that add under a mutex lose nothing")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	ktest_threads(4, count_mtx, NULL);
	KT_EQ(counter, 4 * ROUNDS);
	mtx_destroy(&mtx_a);
}

static void
count_spin(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		mtx_lock_spin(&mtx_a);
		counter++;
		mtx_unlock_spin(&mtx_a);
	}
}

KTEST(mtx_spin_excludes, "threads that add under a spin mutex lose nothing")
{
	mtx_init(&mtx_a, "a", NULL, MTX_SPIN);
	ktest_threads(4, count_spin, NULL);
	KT_EQ(counter, 4 * ROUNDS);
	mtx_destroy(&mtx_a);
}

static void
count_sx(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 4 == 0) {
			sx_xlock(&sx_a);
			counter++;
			sx_xunlock(&sx_a);
		} else {
			sx_slock(&sx_a);
			KT_CHECK(counter <= 4 * ROUNDS);
			sx_sunlock(&sx_a);
		}
	}
}

KTEST(sx_excludes, "readers and writers of an sx")
{
	sx_init(&sx_a, "a");
	ktest_threads(4, count_sx, NULL);
	KT_EQ(counter, ROUNDS);
	sx_destroy(&sx_a);
}

static void
count_rw(void *arg)
{
	struct rm_priotracker t;

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 4 == 0) {
			rw_wlock(&rw_a);
			rm_wlock(&rm_a);
			counter++;
			rm_wunlock(&rm_a);
			rw_wunlock(&rw_a);
		} else {
			rw_rlock(&rw_a);
			rm_rlock(&rm_a, &t);
			KT_CHECK(counter <= 4 * ROUNDS);
			rm_runlock(&rm_a, &t);
			rw_runlock(&rw_a);
		}
	}
}

KTEST(rw_rm_exclude, "readers and writers of an rwlock and an rmlock")
{
	rw_init(&rw_a, "rw a");
	rm_init(&rm_a, "rm a");
	ktest_threads(4, count_rw, NULL);
	KT_EQ(counter, ROUNDS);
	rm_destroy(&rm_a);
	rw_destroy(&rw_a);
}

KTEST(sx_upgrade, "the only sharer can upgrade, a writer downgrade")
{
	sx_init(&sx_a, "a");
	sx_slock(&sx_a);
	KT_CHECK(sx_try_upgrade(&sx_a));
	KT_CHECK(sx_xlocked(&sx_a));
	sx_downgrade(&sx_a);
	sx_assert(&sx_a, SA_SLOCKED);
	sx_sunlock(&sx_a);
	sx_destroy(&sx_a);
}

KTEST(mtx_recursion, "a recursive mutex is free after as many unlocks")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF | MTX_RECURSE);
	mtx_lock(&mtx_a);
	mtx_lock(&mtx_a);
	KT_CHECK(mtx_recursed(&mtx_a));
	mtx_unlock(&mtx_a);
	KT_CHECK(mtx_owned(&mtx_a));
	mtx_unlock(&mtx_a);
	KT_CHECK(!mtx_owned(&mtx_a));
	mtx_destroy(&mtx_a);
}

KTEST_PANICS(mtx_recursion_report, "recursion on a plain mutex",
    "recursed on non-recursive mutex \"a\"")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_lock(&mtx_a);
	mtx_lock(&mtx_a);
}

KTEST_PANICS(mtx_unlock_report, "unlock of a mutex that is not held",
    "mutex a not owned")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_unlock(&mtx_a);
}

KTEST_PANICS(mtx_destroyed_report, "lock of a destroyed mutex", "destroyed")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_destroy(&mtx_a);
	mtx_lock(&mtx_a);
}

KTEST_PANICS(mtx_twice_report, "a mutex initialised twice",
    "already initialized")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
}

KTEST_PANICS(order_report, "two locks taken in both orders",
    "lock order reversal: \"b\"")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_init(&mtx_b, "b", NULL, MTX_DEF);
	mtx_lock(&mtx_a);
	mtx_lock(&mtx_b);
	mtx_unlock(&mtx_b);
	mtx_unlock(&mtx_a);
	mtx_lock(&mtx_b);
	mtx_lock(&mtx_a);
}

KTEST_PANICS(order_chain_report, "an order that only a third lock forbids",
    "lock order reversal")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_init(&mtx_b, "b", NULL, MTX_DEF);
	rw_init(&rw_a, "c");
	mtx_lock(&mtx_a);
	mtx_lock(&mtx_b);
	mtx_unlock(&mtx_a);
	rw_wlock(&rw_a);
	mtx_unlock(&mtx_b);
	mtx_lock(&mtx_a);
}

KTEST_PANICS(order_dup_report, "two locks of one type",
    "acquiring duplicate lock of same type")
{
	mtx_init(&mtx_a, "a", "type", MTX_DEF);
	mtx_init(&mtx_b, "b", "type", MTX_DEF);
	mtx_lock(&mtx_a);
	mtx_lock(&mtx_b);
}

KTEST_PANICS(sleepable_report, "an sx after a mutex", "sleepable lock")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	sx_init(&sx_a, "sx");
	mtx_lock(&mtx_a);
	sx_xlock(&sx_a);
}

KTEST_PANICS(spin_then_sleep_report, "a mutex with a spin mutex held",
    "acquiring blockable sleep lock with spinlock")
{
	mtx_init(&mtx_a, "a", NULL, MTX_SPIN);
	mtx_init(&mtx_b, "b", NULL, MTX_DEF);
	mtx_lock_spin(&mtx_a);
	mtx_lock(&mtx_b);
}

KTEST_PANICS(sleep_locked_report, "sleeping with a mutex held",
    "with the non-sleepable lock \"a\" held")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_lock(&mtx_a);
	pause("x", 1);
}

KTEST_PANICS(malloc_locked_report, "malloc(M_WAITOK) with a mutex held",
    "malloc(M_WAITOK) of \"temp\" with the non-sleepable lock \"a\" held")
{
	void *volatile p;

	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_lock(&mtx_a);
	p = malloc(16, M_TEMP, M_WAITOK);
	free(p, M_TEMP);
}

static void
exit_locked(void *arg)
{
	mtx_lock(&mtx_a);
	kthread_exit();
}

KTEST_PANICS(exit_locked_report, "a thread that ends with a mutex held",
    "exits with a locked")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	(void)kthread_add(exit_locked, NULL, NULL, NULL, 0, 0, "bad");
	for (;;)
		DELAY(1000);
}
