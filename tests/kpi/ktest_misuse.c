/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Misuse that a kernel with INVARIANTS and WITNESS reports, of locks and zones
 * alike; ktest_locks.c and ktest_memory.c have what is said of mutexes and
 * malloc(9).
 */

#include <ktest.h>

#include <sys/condvar.h>
#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/rmlock.h>
#include <sys/rwlock.h>
#include <sys/sched.h>
#include <sys/sema.h>
#include <sys/sx.h>

#include <vm/uma.h>

static struct mtx mtx_a;
static struct sx sx_a;
static struct rwlock rw_a;
static struct rmlock rm_a;

KTEST_PANICS(sx_recursion_report, "recursion on a plain sx",
    "recursed on non-recursive sx \"s\"")
{
	sx_init(&sx_a, "s");
	sx_xlock(&sx_a);
	sx_xlock(&sx_a);
}

KTEST_PANICS(sx_unlock_report, "unlock of an sx that is not held",
    "lock s not exclusively locked")
{
	sx_init(&sx_a, "s");
	sx_xunlock(&sx_a);
}

KTEST_PANICS(sx_shared_report, "a shared sx unlocked as exclusive",
    "lock s not exclusively locked")
{
	sx_init(&sx_a, "s");
	sx_slock(&sx_a);
	sx_xunlock(&sx_a);
}

KTEST_PANICS(sx_destroy_report, "an sx destroyed while it is held",
    "sx_destroy() of \"s\", which is held")
{
	sx_init(&sx_a, "s");
	sx_slock(&sx_a);
	sx_destroy(&sx_a);
}

KTEST_PANICS(rw_recursion_report, "recursion on a plain rwlock",
    "recursed on non-recursive rw \"r\"")
{
	rw_init(&rw_a, "r");
	rw_wlock(&rw_a);
	rw_wlock(&rw_a);
}

KTEST_PANICS(rw_unlock_report, "unlock of an rwlock that is not held",
    "lock r not share-locked")
{
	rw_init(&rw_a, "r");
	rw_runlock(&rw_a);
}

KTEST_PANICS(rw_sleep_report, "sleeping with an rwlock held",
    "with the non-sleepable lock \"r\" held")
{
	rw_init(&rw_a, "r");
	rw_rlock(&rw_a);
	pause("x", 1);
}

KTEST_PANICS(rm_sleep_report, "sleeping while reading under an rmlock",
    "non-sleepable lock \"m\" held")
{
	struct rm_priotracker t;

	rm_init(&rm_a, "m");
	rm_rlock(&rm_a, &t);
	pause("x", 1);
}

KTEST_PANICS(rm_unlock_report, "unlock of an rmlock that is not held",
    "lock m not exclusively locked")
{
	rm_init(&rm_a, "m");
	rm_wunlock(&rm_a);
}

KTEST_PANICS(critical_report, "more critical_exit() than critical_enter()",
    "critical_exit: td_critnest == 0")
{
	critical_enter();
	critical_exit();
	critical_exit();
}

KTEST_PANICS(critical_sleep_report, "sleeping in a critical section",
    "in a critical section or with a spin lock held")
{
	critical_enter();
	pause("x", 1);
}

KTEST_PANICS(sema_locked_report, "sema_wait() with a mutex held",
    "non-sleepable lock \"a\" held")
{
	struct sema s;

	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	sema_init(&s, 0, "s");
	mtx_lock(&mtx_a);
	(void)sema_timedwait(&s, hz);
}

static volatile u_int held;

static void
wrong_owner(void *arg)
{
	while (atomic_load_acq_int(&held) == 0)
		DELAY(100);
	mtx_unlock(&mtx_a);
	kthread_exit();
}

KTEST_PANICS(mtx_owner_report, "a mutex unlocked by another thread",
    "not owned")
{
	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	(void)kthread_add(wrong_owner, NULL, NULL, NULL, 0, 0, "other");
	mtx_lock(&mtx_a);
	atomic_store_rel_int(&held, 1);
	for (;;)
		DELAY(1000);
}

static uma_zone_t
zone(const char *name)
{
	return (uma_zcreate(name, 100, NULL, NULL, NULL, NULL, UMA_ALIGN_PTR,
	    0));
}

KTEST_PANICS(uma_double_report, "an item freed twice, on two CPUs",
    "double free")
{
	uma_zone_t z = zone("first");
	void *item = uma_zalloc(z, M_WAITOK);

	sched_bind(curthread, 1);
	uma_zfree(z, item);
	sched_bind(curthread, 2);
	uma_zfree(z, item);
}

KTEST_PANICS(uma_zone_report, "an item freed to another zone",
    "is an item of first, not of other")
{
	uma_zone_t other = zone("other");

	uma_zfree(other, uma_zalloc(zone("first"), M_WAITOK));
}

KTEST_PANICS(uma_malloc_report, "memory of malloc(9) freed to a zone",
    "is not an item of first")
{
	uma_zfree(zone("first"), malloc(100, M_TEMP, M_WAITOK));
}

KTEST_PANICS(uma_locked_report, "uma_zalloc(M_WAITOK) with a mutex held",
    "non-sleepable lock \"a\" held")
{
	uma_zone_t z = zone("first");

	mtx_init(&mtx_a, "a", NULL, MTX_DEF);
	mtx_lock(&mtx_a);
	uma_zfree(z, uma_zalloc(z, M_WAITOK));
}

static volatile u_int taken;

static void
limit_waiter(void *arg)
{
	void *item = uma_zalloc(arg, M_WAITOK);

	atomic_store_rel_int(&taken, 1);
	uma_zfree(arg, item);
	atomic_store_rel_int(&taken, 2);
	kthread_exit();
}

KTEST(real_uma_limit, "who may sleep waits for an item of a full zone")
{
	uma_zone_t z = zone("limited");
	void *item;

	uma_zone_set_max(z, 1);
	item = uma_zalloc(z, M_WAITOK);
	KT_EQ(kthread_add(limit_waiter, z, NULL, NULL, 0, 0, "waiter"), 0);
	DELAY(20000);
	KT_EQ(atomic_load_acq_int(&taken), 0);
	uma_zfree(z, item);
	while (atomic_load_acq_int(&taken) != 2)
		pause("limit", 1);
	KT_EQ(uma_zone_get_cur(z), 0);
	uma_zdestroy(z);
}

static struct proc *kproc;
static volatile u_int started, ended;

static void
proc_thread(void *arg)
{
	KT_CHECK(curproc == kproc);
	atomic_add_int(&started, 1);
	while (atomic_load_acq_int(&started) != 2)
		DELAY(100);
	atomic_add_int(&ended, 1);
	if (arg != NULL)
		kproc_exit(0);
	kthread_exit();
}

KTEST(real_kproc, "a process of the kernel, and a thread that joins it")
{
	struct thread *td;

	KT_EQ(kproc_create(proc_thread, &kproc, &kproc, 0, 0, "ktproc"), 0);
	KT_CHECK(kproc != NULL && kproc != curproc);
	KT_EQ(strcmp(kproc->p_comm, "ktproc"), 0);
	KT_EQ(kproc_kthread_add(proc_thread, NULL, &kproc, &td, 0, 0, "ktproc",
	    "second"), 0);
	while (atomic_load_acq_int(&ended) != 2)
		pause("proc", 1);
}
