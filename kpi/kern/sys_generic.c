/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Waiting for devices: selrecord(9) and selwakeup(9), and knotes as far as the
 * drivers of devices use them (f_attach belongs to kqueue(2), which there is
 * none of).
 *
 * Lock: sel_mtx covers who waits for what.  Drivers call in with their own
 * mutexes held, so it is taken last.
 */

#include "kpi_bus.h"

#include <sys/event.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/selinfo.h>

static struct mtx sel_mtx;
MTX_SYSINIT(sel, &sel_mtx, "select", MTX_DEF);

/* A waiter in the list of one selinfo. */
struct selfd {
	TAILQ_ENTRY(selfd) sf_threads;
	struct selinfo	*sf_si;		/* NULL: not in use */
	struct seltd	*sf_td;
};

#define	SEL_MAX		4		/* selinfos a driver may record */

/* A thread that polls: td_sel, for the time of it. */
struct seltd {
	struct selfd	st_fds[SEL_MAX];
	bool		st_woken;
};

void
selrecord(struct thread *td, struct selinfo *sip)
{
	struct seltd *st;
	int i;

	if ((st = td->td_sel) == NULL)
		return;
	mtx_lock(&sel_mtx);
	for (i = 0; i < SEL_MAX; i++) {
		KASSERT(st->st_fds[i].sf_si != sip,
		    ("selrecord: recorded twice in one poll"));
		if (st->st_fds[i].sf_si == NULL)
			break;
	}
	KASSERT(i < SEL_MAX, ("selrecord: more than %d", SEL_MAX));
	/* A selinfo starts as zeroes. */
	if (sip->si_mtx == NULL) {
		sip->si_mtx = &sel_mtx;
		TAILQ_INIT(&sip->si_tdlist);
	}
	st->st_fds[i].sf_si = sip;
	st->st_fds[i].sf_td = st;
	TAILQ_INSERT_TAIL(&sip->si_tdlist, &st->st_fds[i], sf_threads);
	mtx_unlock(&sel_mtx);
}

static void
sel_forget(struct selfd *sf)
{

	mtx_assert(&sel_mtx, MA_OWNED);
	TAILQ_REMOVE(&sf->sf_si->si_tdlist, sf, sf_threads);
	sf->sf_si = NULL;
}

void
selwakeup(struct selinfo *sip)
{
	struct selfd *sf;

	mtx_lock(&sel_mtx);
	while (sip->si_mtx != NULL &&
	    (sf = TAILQ_FIRST(&sip->si_tdlist)) != NULL) {
		sel_forget(sf);
		sf->sf_td->st_woken = true;
		wakeup(sf->sf_td);
	}
	mtx_unlock(&sel_mtx);
}

void
selwakeuppri(struct selinfo *sip, int pri __unused)
{

	selwakeup(sip);
}

/* Before the memory of a selinfo goes. */
void
seldrain(struct selinfo *sip)
{

	selwakeup(sip);
}

static sbintime_t
sel_deadline(int ms)
{

	return (ms < 0 ? SBT_MAX : kpi_now() + mstosbt(ms));
}

/* Sleeps on chan, with sel_mtx, until woken or the deadline: EWOULDBLOCK. */
static int
sel_sleep(void *chan, const char *wmesg, sbintime_t deadline)
{

	if (deadline == SBT_MAX)
		return (msleep(chan, &sel_mtx, 0, wmesg, 0));
	if (kpi_now() >= deadline)
		return (EWOULDBLOCK);
	return (msleep_sbt(chan, &sel_mtx, 0, wmesg, deadline, 0,
	    C_ABSOLUTE));
}

/* Asks poll() until it has an answer, is not woken in time, or fails. */
int
kpi_select(int (*poll)(void *arg, struct thread *td), void *arg, int ms,
    int *revents)
{
	struct seltd st;
	struct thread *td;
	sbintime_t deadline;
	int error, i;

	memset(&st, 0, sizeof(st));
	td = curthread;
	deadline = sel_deadline(ms);
	td->td_sel = &st;
	for (error = 0; error == 0; ) {
		st.st_woken = false;
		*revents = poll(arg, td);
		mtx_lock(&sel_mtx);
		while (*revents == 0 && !st.st_woken && error == 0)
			error = sel_sleep(&st, "select", deadline);
		for (i = 0; i < SEL_MAX; i++)
			if (st.st_fds[i].sf_si != NULL)
				sel_forget(&st.st_fds[i]);
		mtx_unlock(&sel_mtx);
		if (*revents != 0)
			break;
	}
	td->td_sel = NULL;
	/* Too late is an answer of its own: no events. */
	return (error == EWOULDBLOCK ? 0 : error);
}

/* --- Knotes --- */

static void
knlist_lock_mtx(void *arg)
{

	mtx_lock((struct mtx *)arg);
}

static void
knlist_unlock_mtx(void *arg)
{

	mtx_unlock((struct mtx *)arg);
}

static void
knlist_assert_mtx(void *arg, int what)
{

	mtx_assert((struct mtx *)arg, what == LA_LOCKED ? MA_OWNED :
	    MA_NOTOWNED);
}

void
knlist_init(struct knlist *knl, void *lock, void (*kl_lock)(void *),
    void (*kl_unlock)(void *), void (*kl_assert_lock)(void *, int))
{

	knl->kl_lockarg = lock != NULL ? lock : &sel_mtx;
	knl->kl_lock = kl_lock != NULL ? kl_lock : knlist_lock_mtx;
	knl->kl_unlock = kl_unlock != NULL ? kl_unlock : knlist_unlock_mtx;
	knl->kl_assert_lock = kl_assert_lock != NULL ? kl_assert_lock :
	    knlist_assert_mtx;
	knl->kl_autodestroy = 0;
	SLIST_INIT(&knl->kl_list);
}

void
knlist_init_mtx(struct knlist *knl, struct mtx *lock)
{

	knlist_init(knl, lock, NULL, NULL, NULL);
}

void
knlist_destroy(struct knlist *knl)
{

	KASSERT(KNLIST_EMPTY(knl), ("knlist_destroy: it has knotes"));
	SLIST_INIT(&knl->kl_list);
}

int
knlist_empty(struct knlist *knl)
{

	knl->kl_assert_lock(knl->kl_lockarg, LA_LOCKED);
	return (SLIST_EMPTY(&knl->kl_list));
}

void
knlist_add(struct knlist *knl, struct knote *kn, int islocked)
{

	if (!islocked)
		knl->kl_lock(knl->kl_lockarg);
	SLIST_INSERT_HEAD(&knl->kl_list, kn, kn_selnext);
	kn->kn_knlist = knl;
	kn->kn_status &= ~KN_DETACHED;
	if (!islocked)
		knl->kl_unlock(knl->kl_lockarg);
}

void
knlist_remove(struct knlist *knl, struct knote *kn, int islocked)
{

	if (!islocked)
		knl->kl_lock(knl->kl_lockarg);
	if (kn->kn_knlist == knl) {
		SLIST_REMOVE(&knl->kl_list, kn, knote, kn_selnext);
		kn->kn_knlist = NULL;
		kn->kn_status |= KN_DETACHED;
	}
	if (!islocked)
		knl->kl_unlock(knl->kl_lockarg);
}

static void
knote_activate(struct knote *kn)
{
	bool locked;

	/* A list without a lock of its own is under sel_mtx already. */
	locked = mtx_owned(&sel_mtx);
	if (!locked)
		mtx_lock(&sel_mtx);
	kn->kn_status |= KN_ACTIVE;
	wakeup(kn);
	if (!locked)
		mtx_unlock(&sel_mtx);
}

void
knote(struct knlist *knl, long hint, int lockflags)
{
	struct knote *kn;

	if (knl == NULL)
		return;
	if ((lockflags & KNF_LISTLOCKED) == 0)
		knl->kl_lock(knl->kl_lockarg);
	else
		knl->kl_assert_lock(knl->kl_lockarg, LA_LOCKED);
	SLIST_FOREACH(kn, &knl->kl_list, kn_selnext)
		if (kn->kn_fop->f_event(kn, hint))
			knote_activate(kn);
	if ((lockflags & KNF_LISTLOCKED) == 0)
		knl->kl_unlock(knl->kl_lockarg);
}

/* The device goes: whoever waits learns it as end of file. */
void
knlist_cleardel(struct knlist *knl, struct thread *td __unused, int islocked,
    int killkn __unused)
{
	struct knote *kn;

	if (!islocked)
		knl->kl_lock(knl->kl_lockarg);
	while ((kn = SLIST_FIRST(&knl->kl_list)) != NULL) {
		SLIST_REMOVE_HEAD(&knl->kl_list, kn_selnext);
		kn->kn_knlist = NULL;
		kn->kn_status |= KN_DETACHED;
		kn->kn_flags |= EV_EOF | EV_ONESHOT;
		knote_activate(kn);
	}
	if (!islocked)
		knl->kl_unlock(knl->kl_lockarg);
}

/* Until the filter says yes; EWOULDBLOCK, or ENXIO when the device goes. */
int
kpi_knote_wait(struct knote *kn, int ms)
{
	struct knlist *knl;
	sbintime_t deadline;
	int error, ready;

	deadline = sel_deadline(ms);
	for (error = 0; error == 0; ) {
		if ((knl = kn->kn_knlist) == NULL)
			return (ENXIO);
		knl->kl_lock(knl->kl_lockarg);
		ready = kn->kn_fop->f_event(kn, 0);
		knl->kl_unlock(knl->kl_lockarg);
		if (ready)
			return (0);
		mtx_lock(&sel_mtx);
		while ((kn->kn_status & KN_ACTIVE) == 0 && error == 0)
			error = sel_sleep(kn, "kqread", deadline);
		kn->kn_status &= ~KN_ACTIVE;
		mtx_unlock(&sel_mtx);
	}
	return (error);
}
