/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The time of day as an offset to the uptime, set at once or slewed as
 * adjtime(2) has it: the clock goes wrong by 500 microseconds a second, or by
 * 5000 while more than a second is left, until all is made up for.  Of
 * ntp_adjtime(2) there are the status and the error bounds, by which others see
 * that somebody disciplines the clock.
 */

#include <kern/kpi_internal.h>

#include <sys/proc.h>
#include <sys/syscallsubr.h>
#include <sys/time.h>
#include <sys/timex.h>

#define	USEC	1000000

/*
 * Two copies, of which a writer fills in the one that nobody reads; readers
 * take no lock, since a stopped kernel has the time as well.
 */
struct tod {
	struct bintime	 base;		/* time of day at uptime 0 */
	sbintime_t	 since;		/* uptime from when ... */
	int64_t		 left;		/* so many microseconds are to slew */
};

static struct tod tods[2];
static volatile u_int tod_gen;
static struct mtx tod_mtx;		/* writers; and the status */
MTX_SYSINIT(tod, &tod_mtx, "time of day", MTX_DEF);

static int	 ntp_status = STA_UNSYNC;
static long	 ntp_maxerror = MAXPHASE / 1000;

/* What one second does. */
static int64_t
tod_rate(int64_t left)
{
	int64_t most;

	most = left > USEC || left < -USEC ? 5000 : 500;
	return (left > most ? most : left < -most ? -most : left);
}

/* Nanoseconds slewed until now; *leftp: microseconds that are left then. */
static int64_t
tod_slewed(const struct tod *t, sbintime_t now, int64_t *leftp)
{
	int64_t done, left, rate;
	sbintime_t at;

	done = 0;
	left = t->left;
	for (at = t->since; left != 0 && at + SBT_1S <= now; at += SBT_1S) {
		rate = tod_rate(left);
		done += rate * 1000;
		left -= rate;
	}
	if (left != 0 && at < now) {
		rate = tod_rate(left);
		done += rate * 1000 * (sbttons(now - at) / 1000) / USEC;
		left -= rate * (sbttons(now - at) / 1000) / USEC;
	}
	*leftp = left;
	return (done);
}

static void
bintime_add_ns(struct bintime *bt, int64_t ns)
{
	struct bintime d;

	d = sbttobt(nstosbt(ns < 0 ? -ns : ns));
	if (ns < 0)
		bintime_sub(bt, &d);
	else
		bintime_add(bt, &d);
}

/* Not for TSan to see: a copy that changed under it is read again. */
static void __attribute__((__no_sanitize__("thread")))
tod_read(struct tod *t)
{
	u_int gen;

	do {
		gen = __atomic_load_n(&tod_gen, __ATOMIC_ACQUIRE);
		*t = tods[gen % 2];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (gen != __atomic_load_n(&tod_gen, __ATOMIC_RELAXED));
}

static void __attribute__((__no_sanitize__("thread")))
tod_write(const struct tod *t)
{

	mtx_assert(&tod_mtx, MA_OWNED);
	tods[(tod_gen + 1) % 2] = *t;
	__atomic_store_n(&tod_gen, tod_gen + 1, __ATOMIC_RELEASE);
}

void
kpi_tod_base(struct bintime *bt)
{
	struct tod t;
	int64_t left;

	tod_read(&t);
	*bt = t.base;
	bintime_add_ns(bt, tod_slewed(&t, kpi_now(), &left));
}

/* What is left to slew stays, as in a kernel. */
void
kpi_tod_set_base(const struct bintime *bt)
{
	struct tod t;
	int64_t left;

	mtx_lock(&tod_mtx);
	tod_read(&t);
	(void)tod_slewed(&t, kpi_now(), &left);
	t.base = *bt;
	t.since = kpi_now();
	t.left = left;
	tod_write(&t);
	mtx_unlock(&tod_mtx);
}

int
kern_adjtime(struct thread *td, struct timeval *delta,
    struct timeval *olddelta)
{
	sbintime_t now;
	struct tod t;
	int64_t left;

	mtx_lock(&tod_mtx);
	now = kpi_now();
	tod_read(&t);
	bintime_add_ns(&t.base, tod_slewed(&t, now, &left));
	if (delta != NULL) {
		t.since = now;
		t.left = (int64_t)delta->tv_sec * USEC + delta->tv_usec;
		tod_write(&t);
	}
	mtx_unlock(&tod_mtx);
	if (olddelta != NULL) {
		olddelta->tv_sec = left / USEC;
		olddelta->tv_usec = left % USEC;
		if (olddelta->tv_usec < 0) {
			olddelta->tv_sec--;
			olddelta->tv_usec += USEC;
		}
	}
	return (0);
}

int
kern_ntp_adjtime(struct thread *td, struct timex *ntv, int *retvalp)
{

	mtx_lock(&tod_mtx);
	if ((ntv->modes & MOD_STATUS) != 0)
		ntp_status = ntv->status;
	if ((ntv->modes & MOD_MAXERROR) != 0)
		ntp_maxerror = ntv->maxerror;
	ntv->status = ntp_status;
	ntv->maxerror = ntp_maxerror;
	*retvalp = (ntp_status & STA_UNSYNC) != 0 ? TIME_ERROR : TIME_OK;
	mtx_unlock(&tod_mtx);
	return (0);
}
