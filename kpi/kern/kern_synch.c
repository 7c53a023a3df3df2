/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sleeping and waking: sleep queues hashed by wait channel, _sleep() and its
 * family, pause.  Condition variables and all that waits for long are built on
 * kpi_sleepq_*().  With the virtual clock a timed sleeper is on a list that
 * kpi_clock_advance() looks at; else it sleeps with a deadline.
 */

#include <kern/kpi_internal.h>

#include <sys/sched.h>
#include <sys/time.h>

#define	CHAINS		256
/* How long kpi_settle() gives threads that will not sleep. */
#define	SETTLE_NS	(20 * 1000 * 1000ULL)
/* Before the clocks run, timed sleepers look this often whether they do. */
#define	EARLY_NS	(1000 * 1000ULL)

TAILQ_HEAD(kpi_threadq, kpi_thread);

struct chain {
	struct kpi_lock		 sc_lock;
	struct kpi_threadq	 sc_threads;
	volatile u_int		 sc_count;
} __aligned(CACHE_LINE_SIZE);

static struct chain chains[CHAINS];

static struct kpi_lock		timed_lock;
static struct kpi_threadq	timed = TAILQ_HEAD_INITIALIZER(timed);

static void
sleepq_init(void *arg)
{
	u_int i;

	for (i = 0; i < CHAINS; i++)
		TAILQ_INIT(&chains[i].sc_threads);
}
SYSINIT(kpi_sleepq, SI_SUB_DUMMY + 1, SI_ORDER_FIRST, sleepq_init, NULL);

static struct chain *
chain_of(const void *wchan)
{
	uintptr_t v = (uintptr_t)wchan;

	return (&chains[((v >> 4) ^ (v >> 12)) % CHAINS]);
}

void
kpi_sleep_check(struct lock_object *interlock, const char *what)
{
	struct thread *td = curthread;
	const struct kpi_held *h;

	if (SCHEDULER_STOPPED() || KERNEL_PANICKED())
		return;
	if (td->td_intr_nesting_level != 0)
		panic("%s in interrupt context", what);
	if (td->td_critnest != 0)
		panic("%s in a critical section or with a spin lock held",
		    what);
	if (KPI_THREAD(td)->kt_intr_off)
		panic("%s with interrupts disabled", what);
	if (td->td_no_sleeping != 0)
		panic("%s where sleeping is prohibited", what);
	if (KPI_THREAD(td)->kt_epochs != 0)
		panic("%s in an epoch section", what);
	h = kpi_witness_nosleep(interlock);
	if (h != NULL)
		panic("%s with the non-sleepable lock \"%s\" held, acquired at "
		    "%s:%d", what, h->kh_lock->lo_name, h->kh_file,
		    h->kh_line);
}

/* --- The queue --- */

void
kpi_sleepq_add(const void *wchan, sbintime_t deadline)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	struct chain *sc = chain_of(wchan);

	if (deadline != SBT_MAX && curthread == &thread0 && !kpi_clock_runs())
		panic("timed sleep before timers are working");
	kt->kt_sleep_rv = 0;
	kt->kt_deadline = deadline;
	/* Before it looks asleep: the clock must not pass the deadline by. */
	if (deadline != SBT_MAX && kpi_conf.virtual_clock) {
		kpi_lock(&timed_lock);
		TAILQ_INSERT_TAIL(&timed, kt, kt_tq);
		kpi_unlock(&timed_lock);
	}
	kpi_lock(&sc->sc_lock);
	__atomic_store_n(&kt->kt_wchan, wchan, __ATOMIC_RELAXED);
	/* Release: who sees it in kpi_settle() sees what we did. */
	__atomic_store_n(&kt->kt_parked, 1, __ATOMIC_RELEASE);
	TAILQ_INSERT_TAIL(&sc->sc_threads, kt, kt_sq);
	__atomic_fetch_add(&sc->sc_count, 1, __ATOMIC_SEQ_CST);
	kpi_unlock(&sc->sc_lock);
}

/* Takes a thread off its queue; the chain is locked. */
static void
chain_remove(struct chain *sc, struct kpi_thread *kt, int rv)
{
	TAILQ_REMOVE(&sc->sc_threads, kt, kt_sq);
	__atomic_fetch_sub(&sc->sc_count, 1, __ATOMIC_RELAXED);
	/* The clock looks at it without the chain's lock, then with it. */
	__atomic_store_n(&kt->kt_wchan, NULL, __ATOMIC_RELAXED);
	kt->kt_sleep_rv = rv;
}

static void
unpark(struct kpi_thread *kt)
{
	__atomic_store_n(&kt->kt_parked, 0, __ATOMIC_RELEASE);
	hosted_futex_wake(&kt->kt_parked, 1);
}

/* The thread's time is over, if nobody woke it meanwhile. */
static void
chain_timeout(struct kpi_thread *kt, const void *wchan)
{
	struct chain *sc = chain_of(wchan);
	bool wake;

	kpi_lock(&sc->sc_lock);
	wake = kt->kt_wchan == wchan;
	if (wake)
		chain_remove(sc, kt, EWOULDBLOCK);
	kpi_unlock(&sc->sc_lock);
	if (wake)
		unpark(kt);
}

/* Sleeps until woken, or the time is over, or for no reason. */
static void
park(struct kpi_thread *kt, const void *wchan)
{
	hosted_u64 due, until;

	due = until = HOSTED_FOREVER;
	if (kt->kt_deadline != SBT_MAX && !kpi_conf.virtual_clock) {
		due = until = kpi_clock_deadline(kt->kt_deadline);
		if (due == HOSTED_FOREVER)
			until = hosted_clock() + EARLY_NS;
	}
	if (hosted_futex_wait(&kt->kt_parked, 1, until) != 0 &&
	    due != HOSTED_FOREVER)
		chain_timeout(kt, wchan);
}

int
kpi_sleepq_wait(const void *wchan)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);

	DROP_GIANT();
	while (__atomic_load_n(&kt->kt_parked, __ATOMIC_ACQUIRE) != 0)
		park(kt, wchan);
	PICKUP_GIANT();
	if (kt->kt_deadline != SBT_MAX && kpi_conf.virtual_clock) {
		kpi_lock(&timed_lock);
		TAILQ_REMOVE(&timed, kt, kt_tq);
		kpi_unlock(&timed_lock);
	}
	kpi_dump_pass();
	return (kt->kt_sleep_rv);
}

u_int
kpi_wakeup_n(const void *chan, u_int n)
{
	struct chain *sc = chain_of(chan);
	struct kpi_threadq woken;
	struct kpi_thread *kt, *next;
	u_int count;

	/* Who is not queued yet has not released the lock that we held. */
	if (__atomic_load_n(&sc->sc_count, __ATOMIC_SEQ_CST) == 0)
		return (0);
	TAILQ_INIT(&woken);
	count = 0;
	kpi_lock(&sc->sc_lock);
	TAILQ_FOREACH_SAFE(kt, &sc->sc_threads, kt_sq, next) {
		if (kt->kt_wchan != chan)
			continue;
		chain_remove(sc, kt, 0);
		TAILQ_INSERT_TAIL(&woken, kt, kt_sq);
		if (++count == n)
			break;
	}
	kpi_unlock(&sc->sc_lock);
	TAILQ_FOREACH_SAFE(kt, &woken, kt_sq, next)
		unpark(kt);
	return (count);
}

bool
kpi_sleep_earliest(sbintime_t *when)
{
	struct kpi_thread *kt;
	bool found;

	found = false;
	kpi_lock(&timed_lock);
	TAILQ_FOREACH(kt, &timed, kt_tq) {
		if (__atomic_load_n(&kt->kt_parked, __ATOMIC_ACQUIRE) != 0 &&
		    (!found || kt->kt_deadline < *when)) {
			*when = kt->kt_deadline;
			found = true;
		}
	}
	kpi_unlock(&timed_lock);
	return (found);
}

void
kpi_sleep_expire(sbintime_t now)
{
	struct kpi_thread *kt;
	const void *wchan;

	kpi_lock(&timed_lock);
	TAILQ_FOREACH(kt, &timed, kt_tq) {
		wchan = __atomic_load_n(&kt->kt_wchan, __ATOMIC_RELAXED);
		if (kt->kt_deadline <= now && wchan != NULL)
			chain_timeout(kt, wchan);
	}
	kpi_unlock(&timed_lock);
}

/* --- The KPI --- */

static sbintime_t
deadline_of(sbintime_t sbt, int flags)
{
	if (sbt == 0)
		return (SBT_MAX);
	return ((flags & C_ABSOLUTE) != 0 ? sbt : kpi_now() + sbt);
}

int
_sleep(const void *chan, struct lock_object *lock, int pri, const char *wmesg,
    sbintime_t sbt, sbintime_t pr, int flags)
{
	struct lock_class *class;
	uintptr_t how;
	int rv;

	KASSERT(sbt != 0 || lock != NULL || (pri & PNOLOCK) != 0,
	    ("sleeping without a lock (%s)", wmesg));
	KASSERT(chan != NULL, ("msleep: no wait channel (%s)", wmesg));
	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (0);
	class = lock != NULL ? LOCK_CLASS(lock) : NULL;
	if (class != NULL)
		class->lc_assert(lock, LA_LOCKED);
	kpi_sleep_check(lock, wmesg);
	KASSERT(class == NULL || (class->lc_flags & LC_SPINLOCK) == 0,
	    ("msleep with the spin mutex \"%s\" (%s)", lock->lo_name, wmesg));
	curthread->td_wmesg = wmesg;
	kpi_sleepq_add(chan, deadline_of(sbt, flags));
	how = 0;
	if (class != NULL)
		how = class->lc_unlock(lock);
	rv = kpi_sleepq_wait(chan);
	curthread->td_wmesg = NULL;
	if (class != NULL && (pri & PDROP) == 0)
		class->lc_lock(lock, how);
	return (rv);
}

int
msleep_spin_sbt(const void *chan, struct mtx *mtx, const char *wmesg,
    sbintime_t sbt, sbintime_t pr, int flags)
{
	int rv;

	if (SCHEDULER_STOPPED() && !kpi_dump_others_stop())
		return (0);
	mtx_assert(mtx, MA_OWNED);
	KASSERT(curthread->td_critnest == 1,
	    ("msleep_spin (%s) with another spin lock held", wmesg));
	kpi_sleepq_add(chan, deadline_of(sbt, flags));
	mtx_unlock_spin(mtx);
	rv = kpi_sleepq_wait(chan);
	mtx_lock_spin(mtx);
	return (rv);
}

int
pause_sbt(const char *wmesg, sbintime_t sbt, sbintime_t pr, int flags)
{
	static int pause_wchan[KPI_MAXCPU];

	KASSERT(sbt >= 0, ("pause: timo must be >= 0"));
	if (sbt == 0)
		sbt = tick_sbt;
	if ((cold && curthread == &thread0) || SCHEDULER_STOPPED()) {
		DELAY(howmany(sbt, SBT_1US));
		return (EWOULDBLOCK);
	}
	return (_sleep(&pause_wchan[curcpu], NULL, 0, wmesg, sbt, pr, flags));
}

void
wakeup(const void *chan)
{
	(void)kpi_wakeup_n(chan, 0);
}

void
wakeup_one(const void *chan)
{
	(void)kpi_wakeup_n(chan, 1);
}

void
wakeup_any(const void *chan)
{
	(void)kpi_wakeup_n(chan, 1);
}

void
kern_yield(int prio)
{
	kpi_sleep_check(NULL, "kern_yield()");
	DROP_GIANT();
	kpi_dump_pass();
	hosted_yield();
	PICKUP_GIANT();
}

void
maybe_yield(void)
{
}

void
sched_relinquish(struct thread *td)
{
	kern_yield(PRI_UNCHANGED);
}

void
kpi_event_wait(struct kpi_event *ke, hosted_u64 deadline)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);
	u_int idle = 0;

	if (__atomic_exchange_n(&ke->ke_word, 0, __ATOMIC_ACQ_REL) == 1)
		return;
	__atomic_store_n(&kt->kt_parked, 1, __ATOMIC_RELEASE);
	if (__atomic_compare_exchange_n(&ke->ke_word, &idle, 2, false,
	    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		while (__atomic_load_n(&ke->ke_word, __ATOMIC_ACQUIRE) == 2)
			if (hosted_futex_wait(&ke->ke_word, 2, deadline) != 0)
				break;
	__atomic_exchange_n(&ke->ke_word, 0, __ATOMIC_ACQ_REL);
	__atomic_store_n(&kt->kt_parked, 0, __ATOMIC_RELEASE);
}

void
kpi_event_post(struct kpi_event *ke, struct thread *waiter)
{
	if (__atomic_exchange_n(&ke->ke_word, 1, __ATOMIC_ACQ_REL) == 2) {
		__atomic_store_n(&KPI_THREAD(waiter)->kt_parked, 0,
		    __ATOMIC_RELEASE);
		hosted_futex_wake(&ke->ke_word, 1);
	}
}

void
kpi_settle(void)
{
	hosted_u64 end;
	u_int quiet, rounds;

	/* Twice in a row: a thread may be between asleep and awake. */
	end = hosted_clock() + SETTLE_NS;
	quiet = rounds = 0;
	while (quiet < 2 && hosted_clock() < end) {
		if (kpi_thread_running() == 0)
			quiet++;
		else
			quiet = 0;
		if (rounds++ < 8)
			hosted_yield();
		else
			hosted_sleep(20 * 1000);
	}
}
