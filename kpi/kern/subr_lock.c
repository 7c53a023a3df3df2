/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The two lowest layers of locking: the hosted kernel's own futex lock, and
 * what all lock types of the KPI share (struct lock_object and its classes).
 * Order checks are in subr_witness.c.
 */

#include <kern/kpi_internal.h>

#include <sys/rmlock.h>
#include <sys/rwlock.h>
#include <sys/sx.h>

#define	SPINS	64

void
kpi_lock(struct kpi_lock *l)
{
	u_int v;
	int i;

	for (i = 0; i < SPINS; i++) {
		v = 0;
		if (__atomic_compare_exchange_n(&l->kl_word, &v, 1, false,
		    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return;
		if (v == 2)
			break;
		cpu_spinwait();
	}
	/* From here on somebody may sleep: the owner must look. */
	while (__atomic_exchange_n(&l->kl_word, 2, __ATOMIC_ACQUIRE) != 0)
		hosted_futex_wait(&l->kl_word, 2, HOSTED_FOREVER);
}

void
kpi_unlock(struct kpi_lock *l)
{
	if (__atomic_exchange_n(&l->kl_word, 0, __ATOMIC_RELEASE) == 2)
		hosted_futex_wake(&l->kl_word, 1);
}

struct lock_class *lock_classes[LOCK_CLASS_MAX + 1] = {
	&lock_class_mtx_spin,
	&lock_class_mtx_sleep,
	&lock_class_sx,
	&lock_class_rm,
	&lock_class_rm_sleepable,
	&lock_class_rw,
};

void
lock_init(struct lock_object *lock, struct lock_class *class,
    const char *name, const char *type, int flags)
{
	u_int i;

	KASSERT((lock->lo_flags & LO_INITIALIZED) == 0 || (flags & LO_NEW) != 0,
	    ("lock \"%s\" %p already initialized", name, lock));
	for (i = 0; lock_classes[i] != class; i++)
		;
	lock->lo_name = name;
	lock->lo_flags = (flags & ~LO_NEW) | LO_INITIALIZED |
	    (i << LO_CLASSSHIFT);
	lock->lo_data = 0;
	witness_init(lock, type != NULL ? type : name);
}

void
lock_destroy(struct lock_object *lock)
{
	KASSERT(lock_initialized(lock), ("lock %p is not initialized", lock));
	witness_destroy(lock);
	lock->lo_flags &= ~LO_INITIALIZED;
}
