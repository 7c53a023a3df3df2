/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Condition variables, condvar(9), on sleep queues.
 */

#include <kern/kpi_internal.h>

#include <sys/condvar.h>

void
cv_init(struct cv *cvp, const char *desc)
{
	cvp->cv_description = desc;
	cvp->cv_waiters = 0;
}

void
cv_destroy(struct cv *cvp)
{
	KASSERT(__atomic_load_n(&cvp->cv_waiters, __ATOMIC_RELAXED) == 0,
	    ("cv_destroy() of \"%s\" with waiters", cvp->cv_description));
}

static int
cv_sleep(struct cv *cvp, struct lock_object *lock, sbintime_t sbt, int flags,
    bool relock)
{
	struct lock_class *class = LOCK_CLASS(lock);
	sbintime_t deadline = SBT_MAX;
	uintptr_t how;
	int rv;

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (0);
	class->lc_assert(lock, LA_LOCKED);
	kpi_sleep_check(lock, cvp->cv_description);
	if (sbt != 0)
		deadline = (flags & C_ABSOLUTE) != 0 ? sbt : kpi_now() + sbt;
	curthread->td_wmesg = cvp->cv_description;
	__atomic_fetch_add(&cvp->cv_waiters, 1, __ATOMIC_RELAXED);
	kpi_sleepq_add(cvp, deadline);
	how = class->lc_unlock(lock);
	rv = kpi_sleepq_wait(cvp);
	/* Who was woken was counted off by the waker. */
	if (rv != 0)
		__atomic_fetch_sub(&cvp->cv_waiters, 1, __ATOMIC_RELAXED);
	curthread->td_wmesg = NULL;
	if (relock)
		class->lc_lock(lock, how);
	return (rv);
}

void
_cv_wait(struct cv *cvp, struct lock_object *lock)
{
	(void)cv_sleep(cvp, lock, 0, 0, true);
}

void
_cv_wait_unlock(struct cv *cvp, struct lock_object *lock)
{
	(void)cv_sleep(cvp, lock, 0, 0, false);
}

/* There are no signals. */
int
_cv_wait_sig(struct cv *cvp, struct lock_object *lock)
{
	return (cv_sleep(cvp, lock, 0, 0, true));
}

int
_cv_timedwait_sbt(struct cv *cvp, struct lock_object *lock, sbintime_t sbt,
    sbintime_t pr, int flags)
{
	return (cv_sleep(cvp, lock, MAX(sbt, 1), flags, true));
}

int
_cv_timedwait_sig_sbt(struct cv *cvp, struct lock_object *lock, sbintime_t sbt,
    sbintime_t pr, int flags)
{
	return (cv_sleep(cvp, lock, MAX(sbt, 1), flags, true));
}

static void
cv_wake(struct cv *cvp, u_int n)
{
	n = kpi_wakeup_n(cvp, n);
	if (n != 0)
		__atomic_fetch_sub(&cvp->cv_waiters, n, __ATOMIC_RELAXED);
}

void
cv_signal(struct cv *cvp)
{
	cv_wake(cvp, 1);
}

void
cv_broadcastpri(struct cv *cvp, int pri)
{
	cv_wake(cvp, 0);
}
