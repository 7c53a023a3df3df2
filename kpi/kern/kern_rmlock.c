/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * rmlock(9): read-mostly locks.  Readers are not cheaper than an rwlock's here;
 * the rules are the same as in the kernel.
 */

#include <kern/subr_shlock.h>

#include <sys/rmlock.h>

static void	assert_rm(const struct lock_object *lock, int what);
static void	lock_rm(struct lock_object *lock, uintptr_t how);
static uintptr_t unlock_rm(struct lock_object *lock);

struct lock_class lock_class_rm = {
	.lc_name = "rm",
	.lc_flags = LC_SLEEPLOCK | LC_RECURSABLE,
	.lc_assert = assert_rm,
	.lc_lock = lock_rm,
	.lc_unlock = unlock_rm,
};
struct lock_class lock_class_rm_sleepable = {
	.lc_name = "sleepable rm",
	.lc_flags = LC_SLEEPLOCK | LC_SLEEPABLE | LC_RECURSABLE,
	.lc_assert = assert_rm,
	.lc_lock = lock_rm,
	.lc_unlock = unlock_rm,
};

#define	WORD(rm)	(&(rm)->rm_lock_sx.sx_lock)

static void
assert_rm(const struct lock_object *lock, int what)
{
	_rm_assert((const struct rmlock *)lock, what, __FILE__, __LINE__);
}

/* Only a writer can sleep with one as the interlock: readers have trackers. */
static void
lock_rm(struct lock_object *lock, uintptr_t how)
{
	rm_wlock((struct rmlock *)lock);
}

static uintptr_t
unlock_rm(struct lock_object *lock)
{
	rm_wunlock((struct rmlock *)lock);
	return (0);
}

void
rm_init_flags(struct rmlock *rm, const char *name, int opts)
{
	int flags;

	flags = 0;
	if ((opts & RM_NOWITNESS) == 0)
		flags |= LO_WITNESS;
	if (opts & RM_RECURSE)
		flags |= LO_RECURSABLE;
	if (opts & RM_NEW)
		flags |= LO_NEW;
	if (opts & RM_DUPOK)
		flags |= LO_DUPOK;
	lock_init(&rm->lock_object, (opts & RM_SLEEPABLE) != 0 ?
	    &lock_class_rm_sleepable : &lock_class_rm, name, NULL, flags);
	__atomic_store_n(WORD(rm), SX_LOCK_UNLOCKED, __ATOMIC_RELAXED);
}

void
rm_init(struct rmlock *rm, const char *name)
{
	rm_init_flags(rm, name, 0);
}

void
rm_destroy(struct rmlock *rm)
{
	KASSERT(*WORD(rm) == SX_LOCK_UNLOCKED,
	    ("rm_destroy() of \"%s\", which is held", rm->lock_object.lo_name));
	__atomic_store_n(WORD(rm), SX_LOCK_DESTROYED, __ATOMIC_RELAXED);
	lock_destroy(&rm->lock_object);
}

int
rm_wowned(const struct rmlock *rm)
{
	return (kpi_sh_xowned(WORD(rm)));
}

void
rm_sysinit(const void *arg)
{
	const struct rm_args *a = arg;

	rm_init_flags(a->ra_rm, a->ra_desc, a->ra_flags);
}

void
_rm_wlock_debug(struct rmlock *rm, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	KASSERT(!rm_wowned(rm), ("recursed on rm lock \"%s\" @ %s:%d",
	    rm->lock_object.lo_name, file, line));
	witness_checkorder(&rm->lock_object, LOP_EXCLUSIVE, file, line, NULL);
	kpi_sh_x(WORD(rm));
	witness_lock(&rm->lock_object, LOP_EXCLUSIVE, file, line);
}

void
_rm_wunlock_debug(struct rmlock *rm, const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	_rm_assert(rm, LA_XLOCKED, file, line);
	witness_unlock(&rm->lock_object, LOP_EXCLUSIVE, file, line);
	kpi_sh_unx(WORD(rm));
}

int
_rm_rlock_debug(struct rmlock *rm, struct rm_priotracker *tracker,
    int trylock, const char *file, int line)
{
	bool again;

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	KASSERT(!rm_wowned(rm), ("rm_rlock() of \"%s\", which this thread has "
	    "for writing @ %s:%d", rm->lock_object.lo_name, file, line));
	again = curthread->td_rw_rlocks != 0;
	KASSERT(!witness_is_owned(&rm->lock_object) ||
	    (rm->lock_object.lo_flags & LO_RECURSABLE) != 0,
	    ("rm_rlock() recursed on non-recursive rm \"%s\" @ %s:%d",
	    rm->lock_object.lo_name, file, line));
	tracker->rmp_thread = curthread;
	tracker->rmp_rmlock = rm;
	if (trylock) {
		if (!kpi_sh_try_s(WORD(rm), again))
			return (0);
	} else {
		witness_checkorder(&rm->lock_object, 0, file, line, NULL);
		kpi_sh_s(WORD(rm), again);
	}
	curthread->td_rw_rlocks++;
	witness_lock(&rm->lock_object, 0, file, line);
	return (1);
}

void
_rm_runlock_debug(struct rmlock *rm, struct rm_priotracker *tracker,
    const char *file, int line)
{
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	KASSERT(tracker->rmp_rmlock == rm && tracker->rmp_thread == curthread,
	    ("rm_runlock() of \"%s\" with a foreign tracker @ %s:%d",
	    rm->lock_object.lo_name, file, line));
	witness_unlock(&rm->lock_object, 0, file, line);
	curthread->td_rw_rlocks--;
	kpi_sh_uns(WORD(rm));
}

void
_rm_assert(const struct rmlock *rm, int what, const char *file, int line)
{
	kpi_sh_assert(&rm->lock_object, WORD(rm), what, file, line);
}
