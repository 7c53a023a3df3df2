/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Mutexes, mtx(9).  The lock word is FreeBSD's: owner and flags.  A contender
 * sets MTX_CONTESTED and sleeps on the word's lower half; who releases a
 * contested mutex wakes one.
 */

#include <kern/kpi_internal.h>

#define	SPINS	40

static void	assert_mtx(const struct lock_object *lock, int what);
static void	lock_mtx(struct lock_object *lock, uintptr_t how);
static uintptr_t unlock_mtx(struct lock_object *lock);
static void	lock_spin(struct lock_object *lock, uintptr_t how);
static uintptr_t unlock_spin(struct lock_object *lock);

struct lock_class lock_class_mtx_sleep = {
	.lc_name = "sleep mutex",
	.lc_flags = LC_SLEEPLOCK | LC_RECURSABLE,
	.lc_assert = assert_mtx,
	.lc_lock = lock_mtx,
	.lc_unlock = unlock_mtx,
};
struct lock_class lock_class_mtx_spin = {
	.lc_name = "spin mutex",
	.lc_flags = LC_SPINLOCK | LC_RECURSABLE,
	.lc_assert = assert_mtx,
	.lc_lock = lock_spin,
	.lc_unlock = unlock_spin,
};

struct mtx Giant;
MTX_SYSINIT(giant, &Giant, "Giant", MTX_DEF | MTX_RECURSE);

static struct mtx *
cookie(const volatile uintptr_t *c)
{
	return ((struct mtx *)((uintptr_t)c -
	    __offsetof(struct mtx, mtx_lock)));
}

static void
lock_mtx(struct lock_object *lock, uintptr_t how)
{
	mtx_lock((struct mtx *)lock);
}

static uintptr_t
unlock_mtx(struct lock_object *lock)
{
	mtx_unlock((struct mtx *)lock);
	return (0);
}

static void
lock_spin(struct lock_object *lock, uintptr_t how)
{
	mtx_lock_spin((struct mtx *)lock);
}

static uintptr_t
unlock_spin(struct lock_object *lock)
{
	mtx_unlock_spin((struct mtx *)lock);
	return (0);
}

static void
assert_mtx(const struct lock_object *lock, int what)
{
	__mtx_assert(&((const struct mtx *)lock)->mtx_lock, what, __FILE__,
	    __LINE__);
}

void
_mtx_init(volatile uintptr_t *c, const char *name, const char *type, int opts)
{
	struct mtx *m = cookie(c);
	int flags;

	flags = 0;
	if (opts & MTX_RECURSE)
		flags |= LO_RECURSABLE;
	if (opts & MTX_NEW)
		flags |= LO_NEW;
	if ((opts & MTX_NOWITNESS) == 0)
		flags |= LO_WITNESS;
	if (opts & MTX_DUPOK)
		flags |= LO_DUPOK;
	lock_init(&m->lock_object, (opts & MTX_SPIN) != 0 ?
	    &lock_class_mtx_spin : &lock_class_mtx_sleep, name, type, flags);
	__atomic_store_n(&m->mtx_lock, MTX_UNOWNED, __ATOMIC_RELAXED);
}

void
_mtx_destroy(volatile uintptr_t *c)
{
	struct mtx *m = cookie(c);

	if (SCHEDULER_STOPPED())
		return;
	if (!mtx_owned(m))
		KASSERT(m->mtx_lock == MTX_UNOWNED,
		    ("mtx_destroy() of \"%s\", held by another thread",
		    m->lock_object.lo_name));
	else {
		KASSERT(!mtx_recursed(m), ("mtx_destroy() of recursed \"%s\"",
		    m->lock_object.lo_name));
		witness_unlock(&m->lock_object, LOP_EXCLUSIVE, __FILE__,
		    __LINE__);
		if (LOCK_CLASS(&m->lock_object) == &lock_class_mtx_spin)
			spinlock_exit();
	}
	__atomic_store_n(&m->mtx_lock, MTX_DESTROYED, __ATOMIC_RELEASE);
	lock_destroy(&m->lock_object);
}

void
mtx_sysinit(const void *arg)
{
	const struct mtx_args *a = arg;

	mtx_init((struct mtx *)a->ma_mtx, a->ma_desc, NULL, a->ma_opts);
}

/* One try; *v is what was there. */
static bool
mtx_try(struct mtx *m, uintptr_t new, uintptr_t *v)
{
	*v = MTX_UNOWNED;
	return (__atomic_compare_exchange_n(&m->mtx_lock, v, new, false,
	    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

static void
mtx_wait(struct mtx *m)
{
	uintptr_t tid = (uintptr_t)curthread, v;
	int i;

	for (i = 0; i < SPINS; i++) {
		if (mtx_try(m, tid, &v))
			return;
		if (v & (MTX_CONTESTED | MTX_DESTROYED))
			break;
		cpu_spinwait();
	}
	/* Others may sleep as well, so that it stays contested when ours. */
	while (!mtx_try(m, tid | MTX_CONTESTED, &v)) {
		KASSERT((v & MTX_DESTROYED) == 0,
		    ("mtx_lock() of destroyed mutex %p", m));
		if ((v & MTX_CONTESTED) == 0) {
			if (!__atomic_compare_exchange_n(&m->mtx_lock, &v,
			    v | MTX_CONTESTED, false, __ATOMIC_RELAXED,
			    __ATOMIC_RELAXED))
				continue;
			v |= MTX_CONTESTED;
		}
		hosted_futex_wait((const volatile unsigned *)&m->mtx_lock,
		    (u_int)v, HOSTED_FOREVER);
	}
}

static void
mtx_release(struct mtx *m)
{
	uintptr_t v;

	v = __atomic_exchange_n(&m->mtx_lock, MTX_UNOWNED, __ATOMIC_RELEASE);
	if (v & MTX_CONTESTED)
		hosted_futex_wake((const volatile unsigned *)&m->mtx_lock, 1);
}

static void
mtx_recurse_in(struct mtx *m, int opts, const char *file, int line)
{
	KASSERT((m->lock_object.lo_flags & LO_RECURSABLE) != 0 ||
	    (opts & MTX_RECURSE) != 0,
	    ("mtx_lock() recursed on non-recursive mutex \"%s\" @ %s:%d",
	    m->lock_object.lo_name, file, line));
	m->mtx_recurse++;
}

void
__mtx_lock_flags(volatile uintptr_t *c, int opts, const char *file, int line)
{
	struct mtx *m = cookie(c);
	uintptr_t v;

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	KASSERT(m->mtx_lock != MTX_DESTROYED,
	    ("mtx_lock() of destroyed mutex @ %s:%d", file, line));
	KASSERT(LOCK_CLASS(&m->lock_object) == &lock_class_mtx_sleep,
	    ("mtx_lock() of spin mutex \"%s\" @ %s:%d",
	    m->lock_object.lo_name, file, line));
	if (mtx_owned(m)) {
		mtx_recurse_in(m, opts, file, line);
		return;
	}
	witness_checkorder(&m->lock_object, opts | LOP_EXCLUSIVE, file, line,
	    NULL);
	if (!mtx_try(m, (uintptr_t)curthread, &v))
		mtx_wait(m);
	witness_lock(&m->lock_object, opts | LOP_EXCLUSIVE, file, line);
}

void
__mtx_unlock_flags(volatile uintptr_t *c, int opts, const char *file, int line)
{
	struct mtx *m = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	__mtx_assert(c, LA_XLOCKED, file, line);
	if (mtx_recursed(m)) {
		m->mtx_recurse--;
		return;
	}
	witness_unlock(&m->lock_object, opts | LOP_EXCLUSIVE, file, line);
	mtx_release(m);
}

int
_mtx_trylock_flags_(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m = cookie(c);
	uintptr_t v;

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	KASSERT(m->mtx_lock != MTX_DESTROYED,
	    ("mtx_trylock() of destroyed mutex @ %s:%d", file, line));
	if (mtx_owned(m)) {
		if ((m->lock_object.lo_flags & LO_RECURSABLE) == 0)
			return (0);
		m->mtx_recurse++;
		return (1);
	}
	if (!mtx_try(m, (uintptr_t)curthread, &v))
		return (0);
	witness_lock(&m->lock_object, opts | LOP_EXCLUSIVE | LOP_TRYLOCK, file,
	    line);
	return (1);
}

void
__mtx_lock_spin_flags(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m = cookie(c);
	uintptr_t v;

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	KASSERT(m->mtx_lock != MTX_DESTROYED,
	    ("mtx_lock_spin() of destroyed mutex @ %s:%d", file, line));
	KASSERT(LOCK_CLASS(&m->lock_object) == &lock_class_mtx_spin,
	    ("mtx_lock_spin() of sleep mutex \"%s\" @ %s:%d",
	    m->lock_object.lo_name, file, line));
	spinlock_enter();
	if (mtx_owned(m)) {
		mtx_recurse_in(m, opts, file, line);
		return;
	}
	witness_checkorder(&m->lock_object, opts | LOP_EXCLUSIVE, file, line,
	    NULL);
	if (!mtx_try(m, (uintptr_t)curthread, &v))
		mtx_wait(m);
	witness_lock(&m->lock_object, opts | LOP_EXCLUSIVE, file, line);
}

int
__mtx_trylock_spin_flags(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m = cookie(c);
	uintptr_t v;

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (1);
	spinlock_enter();
	if (!mtx_try(m, (uintptr_t)curthread, &v)) {
		spinlock_exit();
		return (0);
	}
	witness_lock(&m->lock_object, opts | LOP_EXCLUSIVE | LOP_TRYLOCK, file,
	    line);
	return (1);
}

void
__mtx_unlock_spin_flags(volatile uintptr_t *c, int opts, const char *file,
    int line)
{
	struct mtx *m = cookie(c);

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return;
	__mtx_assert(c, LA_XLOCKED, file, line);
	if (mtx_recursed(m))
		m->mtx_recurse--;
	else {
		witness_unlock(&m->lock_object, opts | LOP_EXCLUSIVE, file,
		    line);
		mtx_release(m);
	}
	spinlock_exit();
}

void
__mtx_assert(const volatile uintptr_t *c, int what, const char *file, int line)
{
	const struct mtx *m = cookie(c);
	const char *name __diagused = m->lock_object.lo_name;

	if (KERNEL_PANICKED() || SCHEDULER_STOPPED())
		return;
	if (what == LA_UNLOCKED) {
		KASSERT(!mtx_owned(m), ("mutex %s owned at %s:%d", name, file,
		    line));
		return;
	}
	KASSERT(mtx_owned(m), ("mutex %s not owned at %s:%d", name, file,
	    line));
	KASSERT((what & LA_RECURSED) == 0 || mtx_recursed(m),
	    ("mutex %s not recursed at %s:%d", name, file, line));
	KASSERT((what & LA_NOTRECURSED) == 0 || !mtx_recursed(m),
	    ("mutex %s recursed at %s:%d", name, file, line));
}
