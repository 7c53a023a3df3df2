/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The shared/exclusive lock word: FreeBSD's encoding of owner, sharers and
 * waiters.  Who frees a word that has waiters clears their bits and wakes them
 * all; they queue again.  A waiting writer keeps new readers out.
 */

#include <kern/subr_shlock.h>

_Static_assert(SX_LOCK_UNLOCKED == SX_LOCK_SHARED, "lock word");

#define	SPINS	40

static void
sh_wait(volatile uintptr_t *w, uintptr_t v, uintptr_t waiter)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	u_int parked;

	KASSERT(v != SX_LOCK_DESTROYED, ("lock %p is destroyed", w));
	if ((v & waiter) == 0) {
		if (!__atomic_compare_exchange_n(w, &v, v | waiter, false,
		    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return;
		v |= waiter;
	}
	DROP_GIANT();
	/* The owner may sleep until the virtual clock has gone on. */
	parked = __atomic_exchange_n(&kt->kt_parked, 1, __ATOMIC_ACQ_REL);
	hosted_futex_wait((const volatile unsigned *)w, (u_int)v,
	    HOSTED_FOREVER);
	__atomic_store_n(&kt->kt_parked, parked, __ATOMIC_RELEASE);
	PICKUP_GIANT();
}

static void
sh_wake(volatile uintptr_t *w, uintptr_t v)
{
	if (v & SX_LOCK_WAITERS)
		hosted_futex_wake((const volatile unsigned *)w, (u_int)-1);
}

bool
kpi_sh_try_x(volatile uintptr_t *w)
{
	uintptr_t v = SX_LOCK_UNLOCKED;

	return (__atomic_compare_exchange_n(w, &v, (uintptr_t)curthread, false,
	    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

void
kpi_sh_x(volatile uintptr_t *w)
{
	uintptr_t v;
	int spins = 0;

	while (!kpi_sh_try_x(w)) {
		v = __atomic_load_n(w, __ATOMIC_RELAXED);
		if ((v & ~(uintptr_t)SX_LOCK_WAITERS) == SX_LOCK_UNLOCKED) {
			/* Free, but others wait: take their bits along. */
			if (__atomic_compare_exchange_n(w, &v,
			    (uintptr_t)curthread | (v & SX_LOCK_WAITERS),
			    false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return;
		} else if (spins++ < SPINS)
			cpu_spinwait();
		else
			sh_wait(w, v, SX_LOCK_EXCLUSIVE_WAITERS);
	}
}

void
kpi_sh_unx(volatile uintptr_t *w)
{
	sh_wake(w, __atomic_exchange_n(w, SX_LOCK_UNLOCKED,
	    __ATOMIC_RELEASE));
}

static bool
may_share(uintptr_t v, bool again)
{
	return ((v & SX_LOCK_SHARED) != 0 && (again ||
	    (v & SX_LOCK_EXCLUSIVE_WAITERS) == 0 || SX_SHARERS(v) == 0));
}

bool
kpi_sh_try_s(volatile uintptr_t *w, bool again)
{
	uintptr_t v = __atomic_load_n(w, __ATOMIC_RELAXED);

	while (may_share(v, again))
		if (__atomic_compare_exchange_n(w, &v, v + SX_ONE_SHARER,
		    false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return (true);
	return (false);
}

void
kpi_sh_s(volatile uintptr_t *w, bool again)
{
	uintptr_t v;
	int spins = 0;

	while (!kpi_sh_try_s(w, again)) {
		v = __atomic_load_n(w, __ATOMIC_RELAXED);
		if (may_share(v, again))
			continue;
		if (spins++ < SPINS)
			cpu_spinwait();
		else
			sh_wait(w, v, SX_LOCK_SHARED_WAITERS);
	}
}

void
kpi_sh_uns(volatile uintptr_t *w)
{
	uintptr_t new, v = __atomic_load_n(w, __ATOMIC_RELAXED);

	do {
		new = v - SX_ONE_SHARER;
		if (SX_SHARERS(new) == 0)
			new = SX_LOCK_UNLOCKED;
	} while (!__atomic_compare_exchange_n(w, &v, new, false,
	    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	if (new == SX_LOCK_UNLOCKED)
		sh_wake(w, v);
}

bool
kpi_sh_try_upgrade(volatile uintptr_t *w)
{
	uintptr_t v = __atomic_load_n(w, __ATOMIC_RELAXED);

	while (SX_SHARERS(v) == 1)
		if (__atomic_compare_exchange_n(w, &v, (uintptr_t)curthread |
		    (v & SX_LOCK_WAITERS), false, __ATOMIC_ACQUIRE,
		    __ATOMIC_RELAXED))
			return (true);
	return (false);
}

void
kpi_sh_downgrade(volatile uintptr_t *w)
{
	sh_wake(w, __atomic_exchange_n(w, SX_SHARERS_LOCK(1),
	    __ATOMIC_RELEASE));
}

void
kpi_sh_assert(const struct lock_object *lock, const volatile uintptr_t *w,
    int what, const char *file, int line)
{
#ifdef INVARIANTS
	const char *name = lock->lo_name;
	bool x = kpi_sh_xowned(w), s = !x && witness_is_owned(lock);

	if (KERNEL_PANICKED() || SCHEDULER_STOPPED())
		return;
	switch (what & ~(LA_RECURSED | LA_NOTRECURSED)) {
	case LA_UNLOCKED:
		KASSERT(!x && !s, ("lock %s locked at %s:%d", name, file,
		    line));
		break;
	case LA_XLOCKED:
		KASSERT(x, ("lock %s not exclusively locked at %s:%d", name,
		    file, line));
		break;
	case LA_SLOCKED:
		KASSERT(s, ("lock %s not share-locked at %s:%d", name, file,
		    line));
		break;
	default:
		KASSERT(x || s, ("lock %s not locked at %s:%d", name, file,
		    line));
		break;
	}
	KASSERT((what & LA_RECURSED) == 0 || lock->lo_data != 0,
	    ("lock %s not recursed at %s:%d", name, file, line));
	KASSERT((what & LA_NOTRECURSED) == 0 || lock->lo_data == 0,
	    ("lock %s recursed at %s:%d", name, file, line));
#endif
}
