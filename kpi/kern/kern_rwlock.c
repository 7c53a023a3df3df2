/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * rwlock(9): reader/writer locks, not to be held while sleeping.
 */

#include <kern/subr_shlock.h>

#include <sys/rwlock.h>

_Static_assert(RW_UNLOCKED == SX_LOCK_UNLOCKED &&
    RW_READERS_SHIFT == SX_SHARERS_SHIFT &&
    RW_LOCK_FLAGMASK == SX_LOCK_FLAGMASK, "one engine for both");

static void	assert_rw(const struct lock_object *lock, int what);
static void	lock_rw(struct lock_object *lock, uintptr_t how);
static uintptr_t unlock_rw(struct lock_object *lock);

struct lock_class lock_class_rw = {
	.lc_name = "rw",
	.lc_flags = LC_SLEEPLOCK | LC_RECURSABLE | LC_UPGRADABLE,
	.lc_assert = assert_rw,
	.lc_lock = lock_rw,
	.lc_unlock = unlock_rw,
};

static struct rwlock *
cookie(const volatile uintptr_t *c)
{
	return ((struct rwlock *)((uintptr_t)c -
	    __offsetof(struct rwlock, rw_lock)));
}

static void
assert_rw(const struct lock_object *lock, int what)
{
	__rw_assert(&((const struct rwlock *)lock)->rw_lock, what, __FILE__,
	    __LINE__);
}

static void
lock_rw(struct lock_object *lock, uintptr_t how)
{
	if (how)
		rw_rlock((struct rwlock *)lock);
	else
		rw_wlock((struct rwlock *)lock);
}

static uintptr_t
unlock_rw(struct lock_object *lock)
{
	struct rwlock *rw = (struct rwlock *)lock;

	if (kpi_sh_xowned(&rw->rw_lock)) {
		rw_wunlock(rw);
		return (0);
	}
	rw_runlock(rw);
	return (1);
}

void
_rw_init_flags(volatile uintptr_t *c, const char *name, int opts)
{
	struct rwlock *rw = cookie(c);
	int flags;

	flags = LO_UPGRADABLE;
	if (opts & RW_DUPOK)
		flags |= LO_DUPOK;
	if ((opts & RW_NOWITNESS) == 0)
		flags |= LO_WITNESS;
	if (opts & RW_RECURSE)
		flags |= LO_RECURSABLE;
	if (opts & RW_NEW)
		flags |= LO_NEW;
	lock_init(&rw->lock_object, &lock_class_rw, name, NULL, flags);
	__atomic_store_n(&rw->rw_lock, RW_UNLOCKED, __ATOMIC_RELAXED);
}

void
_rw_destroy(volatile uintptr_t *c)
{
	struct rwlock *rw = cookie(c);

	KASSERT(rw->rw_lock == RW_UNLOCKED,
	    ("rw_destroy() of \"%s\", which is held", rw->lock_object.lo_name));
	__atomic_store_n(&rw->rw_lock, RW_DESTROYED, __ATOMIC_RELAXED);
	lock_destroy(&rw->lock_object);
}

void
rw_sysinit(const void *arg)
{
	const struct rw_args *a = arg;

	rw_init_flags((struct rwlock *)a->ra_rw, a->ra_desc, a->ra_flags);
}

int
_rw_wowned(const volatile uintptr_t *c)
{
	return (kpi_sh_xowned(c));
}

void
_rw_wlock_cookie(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	KASSERT(rw->rw_lock != RW_DESTROYED,
	    ("rw_wlock() of destroyed rwlock @ %s:%d", file, line));
	if (kpi_sh_xowned(c)) {
		KASSERT((rw->lock_object.lo_flags & LO_RECURSABLE) != 0,
		    ("rw_wlock() recursed on non-recursive rw \"%s\" @ %s:%d",
		    rw->lock_object.lo_name, file, line));
		rw->rw_recurse++;
		return;
	}
	witness_checkorder(&rw->lock_object, LOP_EXCLUSIVE, file, line, NULL);
	kpi_sh_x(c);
	witness_lock(&rw->lock_object, LOP_EXCLUSIVE, file, line);
}

int
__rw_try_wlock(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	if (kpi_sh_xowned(c)) {
		if ((rw->lock_object.lo_flags & LO_RECURSABLE) == 0)
			return (0);
		rw->rw_recurse++;
		return (1);
	}
	if (!kpi_sh_try_x(c))
		return (0);
	witness_lock(&rw->lock_object, LOP_EXCLUSIVE, file, line);
	return (1);
}

void
_rw_wunlock_cookie(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	__rw_assert(c, LA_XLOCKED, file, line);
	if (rw->rw_recurse != 0) {
		rw->rw_recurse--;
		return;
	}
	witness_unlock(&rw->lock_object, LOP_EXCLUSIVE, file, line);
	kpi_sh_unx(c);
}

void
__rw_rlock(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	KASSERT(rw->rw_lock != RW_DESTROYED,
	    ("rw_rlock() of destroyed rwlock @ %s:%d", file, line));
	KASSERT(!kpi_sh_xowned(c),
	    ("rw_rlock() of \"%s\", which this thread has for writing @ %s:%d",
	    rw->lock_object.lo_name, file, line));
	witness_checkorder(&rw->lock_object, 0, file, line, NULL);
	kpi_sh_s(c, curthread->td_rw_rlocks != 0);
	curthread->td_rw_rlocks++;
	witness_lock(&rw->lock_object, 0, file, line);
}

int
__rw_try_rlock(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	if (!kpi_sh_try_s(c, curthread->td_rw_rlocks != 0))
		return (0);
	curthread->td_rw_rlocks++;
	witness_lock(&rw->lock_object, 0, file, line);
	return (1);
}

void
_rw_runlock_cookie(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	__rw_assert(c, LA_SLOCKED, file, line);
	witness_unlock(&rw->lock_object, 0, file, line);
	curthread->td_rw_rlocks--;
	kpi_sh_uns(c);
}

int
__rw_try_upgrade(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	__rw_assert(c, LA_SLOCKED, file, line);
	if (!kpi_sh_try_upgrade(c))
		return (0);
	curthread->td_rw_rlocks--;
	witness_upgrade(&rw->lock_object, LOP_EXCLUSIVE, file, line);
	return (1);
}

void
__rw_downgrade(volatile uintptr_t *c, const char *file, int line)
{
	struct rwlock *rw = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	__rw_assert(c, LA_XLOCKED | LA_NOTRECURSED, file, line);
	witness_downgrade(&rw->lock_object, 0, file, line);
	curthread->td_rw_rlocks++;
	kpi_sh_downgrade(c);
}

void
__rw_assert(const volatile uintptr_t *c, int what, const char *file, int line)
{
	kpi_sh_assert(&cookie(c)->lock_object, c, what, file, line);
}
