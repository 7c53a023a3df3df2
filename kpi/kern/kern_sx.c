/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * sx(9): shared/exclusive locks that may be held while sleeping.
 */

#include <kern/subr_shlock.h>

static void	assert_sx(const struct lock_object *lock, int what);
static void	lock_sx(struct lock_object *lock, uintptr_t how);
static uintptr_t unlock_sx(struct lock_object *lock);

struct lock_class lock_class_sx = {
	.lc_name = "sx",
	.lc_flags = LC_SLEEPLOCK | LC_SLEEPABLE | LC_RECURSABLE |
	    LC_UPGRADABLE,
	.lc_assert = assert_sx,
	.lc_lock = lock_sx,
	.lc_unlock = unlock_sx,
};

static void
assert_sx(const struct lock_object *lock, int what)
{
	_sx_assert((const struct sx *)lock, what, __FILE__, __LINE__);
}

static void
lock_sx(struct lock_object *lock, uintptr_t how)
{
	if (how)
		sx_slock((struct sx *)lock);
	else
		sx_xlock((struct sx *)lock);
}

static uintptr_t
unlock_sx(struct lock_object *lock)
{
	struct sx *sx = (struct sx *)lock;

	if (kpi_sh_xowned(&sx->sx_lock)) {
		sx_xunlock(sx);
		return (0);
	}
	sx_sunlock(sx);
	return (1);
}

void
sx_init_flags(struct sx *sx, const char *desc, int opts)
{
	int flags;

	flags = LO_SLEEPABLE | LO_UPGRADABLE;
	if (opts & SX_DUPOK)
		flags |= LO_DUPOK;
	if ((opts & SX_NOWITNESS) == 0)
		flags |= LO_WITNESS;
	if (opts & SX_RECURSE)
		flags |= LO_RECURSABLE;
	if (opts & SX_NEW)
		flags |= LO_NEW;
	lock_init(&sx->lock_object, &lock_class_sx, desc, NULL, flags);
	__atomic_store_n(&sx->sx_lock, SX_LOCK_UNLOCKED, __ATOMIC_RELAXED);
}

void
sx_destroy(struct sx *sx)
{
	KASSERT(sx->sx_lock == SX_LOCK_UNLOCKED,
	    ("sx_destroy() of \"%s\", which is held", sx->lock_object.lo_name));
	__atomic_store_n(&sx->sx_lock, SX_LOCK_DESTROYED, __ATOMIC_RELAXED);
	lock_destroy(&sx->lock_object);
}

void
sx_sysinit(const void *arg)
{
	const struct sx_args *a = arg;

	sx_init_flags(a->sa_sx, a->sa_desc, a->sa_flags);
}

int
_sx_xlock(struct sx *sx, int opts, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (0);
	KASSERT(sx->sx_lock != SX_LOCK_DESTROYED,
	    ("sx_xlock() of destroyed sx @ %s:%d", file, line));
	if (kpi_sh_xowned(&sx->sx_lock)) {
		KASSERT((sx->lock_object.lo_flags & LO_RECURSABLE) != 0,
		    ("sx_xlock() recursed on non-recursive sx \"%s\" @ %s:%d",
		    sx->lock_object.lo_name, file, line));
		sx->sx_recurse++;
		return (0);
	}
	witness_checkorder(&sx->lock_object, LOP_EXCLUSIVE, file, line, NULL);
	kpi_sh_x(&sx->sx_lock);
	witness_lock(&sx->lock_object, LOP_EXCLUSIVE, file, line);
	return (0);
}

int
sx_try_xlock_(struct sx *sx, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	if (kpi_sh_xowned(&sx->sx_lock)) {
		if ((sx->lock_object.lo_flags & LO_RECURSABLE) == 0)
			return (0);
		sx->sx_recurse++;
		return (1);
	}
	if (!kpi_sh_try_x(&sx->sx_lock))
		return (0);
	witness_lock(&sx->lock_object, LOP_EXCLUSIVE, file, line);
	return (1);
}

void
_sx_xunlock(struct sx *sx, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	_sx_assert(sx, LA_XLOCKED, file, line);
	if (sx->sx_recurse != 0) {
		sx->sx_recurse--;
		return;
	}
	witness_unlock(&sx->lock_object, LOP_EXCLUSIVE, file, line);
	kpi_sh_unx(&sx->sx_lock);
}

int
_sx_slock(struct sx *sx, int opts, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (0);
	KASSERT(sx->sx_lock != SX_LOCK_DESTROYED,
	    ("sx_slock() of destroyed sx @ %s:%d", file, line));
	KASSERT(!kpi_sh_xowned(&sx->sx_lock),
	    ("sx_slock() of \"%s\", which this thread has exclusively @ %s:%d",
	    sx->lock_object.lo_name, file, line));
	witness_checkorder(&sx->lock_object, 0, file, line, NULL);
	kpi_sh_s(&sx->sx_lock, curthread->td_sx_slocks != 0);
	curthread->td_sx_slocks++;
	witness_lock(&sx->lock_object, 0, file, line);
	return (0);
}

int
sx_try_slock_(struct sx *sx, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	if (!kpi_sh_try_s(&sx->sx_lock, curthread->td_sx_slocks != 0))
		return (0);
	curthread->td_sx_slocks++;
	witness_lock(&sx->lock_object, 0, file, line);
	return (1);
}

void
_sx_sunlock(struct sx *sx, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	_sx_assert(sx, LA_SLOCKED, file, line);
	witness_unlock(&sx->lock_object, 0, file, line);
	curthread->td_sx_slocks--;
	kpi_sh_uns(&sx->sx_lock);
}

int
sx_try_upgrade_(struct sx *sx, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	_sx_assert(sx, LA_SLOCKED, file, line);
	if (!kpi_sh_try_upgrade(&sx->sx_lock))
		return (0);
	curthread->td_sx_slocks--;
	witness_upgrade(&sx->lock_object, LOP_EXCLUSIVE, file, line);
	return (1);
}

void
sx_downgrade_(struct sx *sx, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	_sx_assert(sx, LA_XLOCKED | LA_NOTRECURSED, file, line);
	witness_downgrade(&sx->lock_object, 0, file, line);
	curthread->td_sx_slocks++;
	kpi_sh_downgrade(&sx->sx_lock);
}

void
_sx_assert(const struct sx *sx, int what, const char *file, int line)
{
	kpi_sh_assert(&sx->lock_object, &sx->sx_lock, what, file, line);
}
