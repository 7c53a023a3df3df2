/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * callout(9).  Each virtual CPU has a list of callouts by time and a thread
 * that runs them; with the virtual clock kpi_clock_advance() tells it when.
 * One difference to the kernel: a callout that is moved to another CPU from its
 * own handler stays until it is next scheduled.
 */

#include <kern/kpi_internal.h>

#include <sys/callout.h>
#include <sys/rwlock.h>
#include <sys/time.h>

struct wheel {
	struct kpi_lock	 cw_lock;
	struct callout_tailq cw_list;	/* by time */
	struct callout	*cw_curr;	/* being served */
	bool		 cw_started;	/* too late to cancel cw_curr */
	bool		 cw_cancel;	/* do not start cw_curr */
	bool		 cw_drain;	/* somebody waits for cw_curr's end */
	struct kpi_event cw_event;
	struct thread	*cw_thread;
} __aligned(CACHE_LINE_SIZE);

static struct wheel	wheels[KPI_MAXCPU];
static volatile bool	stop;
static volatile u_int	running;

static struct wheel *
wheel_lock(struct callout *c)
{
	struct wheel *w;
	int cpu;

	for (;;) {
		cpu = __atomic_load_n(&c->c_cpu, __ATOMIC_RELAXED);
		w = &wheels[cpu];
		kpi_lock(&w->cw_lock);
		if (cpu == __atomic_load_n(&c->c_cpu, __ATOMIC_RELAXED))
			return (w);
		kpi_unlock(&w->cw_lock);
	}
}

void
callout_init(struct callout *c, int mpsafe)
{
	memset(c, 0, sizeof(*c));
	if (mpsafe)
		c->c_iflags = CALLOUT_RETURNUNLOCKED;
	else
		c->c_lock = &Giant.lock_object;
}

void
_callout_init_lock(struct callout *c, struct lock_object *lock, int flags)
{
	KASSERT((flags & ~(CALLOUT_RETURNUNLOCKED | CALLOUT_SHAREDLOCK |
	    CALLOUT_TRYLOCK)) == 0, ("callout_init_lock: flags %#x", flags));
	KASSERT(lock == NULL || (LOCK_CLASS(lock)->lc_flags &
	    (LC_SPINLOCK | LC_SLEEPABLE)) == 0,
	    ("callout_init_lock: lock of class %s",
	    LOCK_CLASS(lock)->lc_name));
	memset(c, 0, sizeof(*c));
	c->c_lock = lock;
	c->c_iflags = flags & (CALLOUT_RETURNUNLOCKED | CALLOUT_SHAREDLOCK);
}

/* Only who holds the callout's lock can cancel one that waits for it. */
static bool
lock_owned(struct lock_object *lock)
{
	if (lock == NULL)
		return (false);
	if (LOCK_CLASS(lock) == &lock_class_mtx_sleep)
		return (mtx_owned((struct mtx *)lock));
	if (LOCK_CLASS(lock) == &lock_class_rw)
		return (rw_wowned((struct rwlock *)lock));
	return (false);
}

static void
wheel_insert(struct wheel *w, struct callout *c)
{
	struct callout *p;

	TAILQ_FOREACH_REVERSE(p, &w->cw_list, callout_tailq, c_links.tqe)
		if (p->c_time <= c->c_time)
			break;
	if (p != NULL)
		TAILQ_INSERT_AFTER(&w->cw_list, p, c, c_links.tqe);
	else
		TAILQ_INSERT_HEAD(&w->cw_list, c, c_links.tqe);
}

int
callout_reset_sbt_on(struct callout *c, sbintime_t sbt, sbintime_t prec,
    void (*fn)(void *), void *arg, int cpu, int flags)
{
	struct wheel *w;
	bool first;
	int cancelled;

	KASSERT(cpu < (int)kpi_conf.ncpus, ("callout_reset: CPU %d", cpu));
	if ((flags & C_ABSOLUTE) == 0)
		sbt = kpi_now() + MAX(sbt, tick_sbt);
	cancelled = 0;
	w = wheel_lock(c);
	if (w->cw_curr == c && lock_owned(c->c_lock) && !w->cw_started &&
	    !w->cw_cancel) {
		w->cw_cancel = true;
		cancelled = 1;
	}
	if (c->c_iflags & CALLOUT_PENDING) {
		TAILQ_REMOVE(&w->cw_list, c, c_links.tqe);
		c->c_iflags &= ~CALLOUT_PENDING;
		cancelled = 1;
	}
	/* Somebody drains it: it must not start again. */
	if (w->cw_curr == c && w->cw_drain) {
		kpi_unlock(&w->cw_lock);
		return (cancelled);
	}
	if (cpu >= 0 && cpu != c->c_cpu && w->cw_curr != c) {
		__atomic_store_n(&c->c_cpu, cpu, __ATOMIC_RELAXED);
		kpi_unlock(&w->cw_lock);
		w = wheel_lock(c);
	}
	c->c_func = fn;
	c->c_arg = arg;
	c->c_time = sbt;
	c->c_iflags |= CALLOUT_PENDING;
	c->c_flags |= CALLOUT_ACTIVE;
	if (flags & C_DIRECT_EXEC)
		c->c_iflags |= CALLOUT_DIRECT;
	else
		c->c_iflags &= ~CALLOUT_DIRECT;
	wheel_insert(w, c);
	first = TAILQ_FIRST(&w->cw_list) == c && !kpi_conf.virtual_clock;
	kpi_unlock(&w->cw_lock);
	if (first)
		kpi_event_post(&w->cw_event, w->cw_thread);
	return (cancelled);
}

int
callout_schedule_on(struct callout *c, int to_ticks, int cpu)
{
	return (callout_reset_on(c, to_ticks, c->c_func, c->c_arg, cpu));
}

int
callout_schedule(struct callout *c, int to_ticks)
{
	return (callout_schedule_on(c, to_ticks, -1));
}

/* Waits for the handler's end; the wheel is locked and will be unlocked. */
static void
wheel_drain(struct wheel *w, struct callout *c)
{
	KASSERT(curthread != w->cw_thread,
	    ("callout_drain() from the callout's own handler"));
	while (w->cw_curr == c) {
		w->cw_drain = true;
		kpi_sleepq_add(&w->cw_drain, SBT_MAX);
		kpi_unlock(&w->cw_lock);
		(void)kpi_sleepq_wait(&w->cw_drain);
		kpi_lock(&w->cw_lock);
	}
	kpi_unlock(&w->cw_lock);
}

int
_callout_stop_safe(struct callout *c, int flags)
{
	struct wheel *w;
	int rv;

	if (flags & CS_DRAIN)
		kpi_sleep_check(NULL, "callout_drain()");
	else if (c->c_lock != NULL && c->c_lock != &Giant.lock_object)
		LOCK_CLASS(c->c_lock)->lc_assert(c->c_lock, LA_XLOCKED);
	w = wheel_lock(c);
	rv = -1;
	if (c->c_iflags & CALLOUT_PENDING) {
		TAILQ_REMOVE(&w->cw_list, c, c_links.tqe);
		c->c_iflags &= ~CALLOUT_PENDING;
		rv = 1;
	}
	c->c_flags &= ~CALLOUT_ACTIVE;
	if (w->cw_curr != c) {
		kpi_unlock(&w->cw_lock);
		return (rv);
	}
	/* Our lock keeps a handler that waits for it from starting. */
	if ((flags & CS_DRAIN) == 0 && lock_owned(c->c_lock) &&
	    !w->cw_started && !w->cw_cancel) {
		w->cw_cancel = true;
		rv = 1;
	} else
		rv = 0;
	if (flags & CS_DRAIN)
		wheel_drain(w, c);
	else
		kpi_unlock(&w->cw_lock);
	return (rv);
}

void
callout_when(sbintime_t sbt, sbintime_t precision, int flags,
    sbintime_t *sbt_res, sbintime_t *prec_res)
{
	*sbt_res = (flags & C_ABSOLUTE) != 0 ? sbt : kpi_now() + sbt;
	*prec_res = precision;
}

/* --- The threads --- */

struct served {
	struct callout	*s_c;
	void		(*s_fn)(void *);
	void		*s_arg;
	struct lock_object *s_lock;
	int		 s_flags;
};

static bool
wheel_take(struct wheel *w, struct served *s, sbintime_t *next)
{
	struct callout *c;

	kpi_lock(&w->cw_lock);
	c = TAILQ_FIRST(&w->cw_list);
	*next = c == NULL ? SBT_MAX : c->c_time;
	if (c == NULL || c->c_time > kpi_now()) {
		kpi_unlock(&w->cw_lock);
		return (false);
	}
	TAILQ_REMOVE(&w->cw_list, c, c_links.tqe);
	c->c_iflags &= ~CALLOUT_PENDING;
	w->cw_curr = c;
	w->cw_cancel = false;
	w->cw_started = c->c_lock == NULL;
	s->s_c = c;
	s->s_fn = c->c_func;
	s->s_arg = c->c_arg;
	s->s_lock = c->c_lock;
	s->s_flags = c->c_iflags;
	kpi_unlock(&w->cw_lock);
	return (true);
}

static void
call_direct(struct served *s)
{
	struct thread *td = curthread;

	critical_enter();
	td->td_intr_nesting_level++;
	s->s_fn(s->s_arg);
	td->td_intr_nesting_level--;
	critical_exit();
}

/* With the callout's lock, unless it was cancelled while we waited for it. */
static void
call_locked(struct wheel *w, struct served *s)
{
	struct lock_class *class = LOCK_CLASS(s->s_lock);
	bool cancelled;

	class->lc_lock(s->s_lock, (s->s_flags & CALLOUT_SHAREDLOCK) != 0);
	kpi_lock(&w->cw_lock);
	cancelled = w->cw_cancel;
	w->cw_started = true;
	kpi_unlock(&w->cw_lock);
	if (!cancelled)
		s->s_fn(s->s_arg);
	if (cancelled || (s->s_flags & CALLOUT_RETURNUNLOCKED) == 0)
		class->lc_unlock(s->s_lock);
}

static void
wheel_serve(struct wheel *w, struct served *s)
{
	bool drain;

	if (s->s_flags & CALLOUT_DIRECT)
		call_direct(s);
	else if (s->s_lock != NULL)
		call_locked(w, s);
	else
		s->s_fn(s->s_arg);
	kpi_witness_exit(curthread, "returns from a callout");
	KASSERT(curthread->td_critnest == 0,
	    ("callout %p left a critical section open", s->s_fn));
	kpi_lock(&w->cw_lock);
	w->cw_curr = NULL;
	drain = w->cw_drain;
	w->cw_drain = false;
	kpi_unlock(&w->cw_lock);
	if (drain)
		wakeup(&w->cw_drain);
}

static void
softclock(void *arg)
{
	struct wheel *w = arg;
	struct served s;
	sbintime_t next;

	curthread->td_no_sleeping++;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		kpi_dump_pass();
		if (wheel_take(w, &s, &next))
			wheel_serve(w, &s);
		else
			kpi_event_wait(&w->cw_event, next == SBT_MAX ||
			    kpi_conf.virtual_clock ? HOSTED_FOREVER :
			    kpi_clock_deadline(next));
	}
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
}

void
kpi_callout_kick(void)
{
	u_int i;

	for (i = 0; i < kpi_conf.ncpus; i++)
		kpi_event_post(&wheels[i].cw_event, wheels[i].cw_thread);
}

static void
callout_start(void *arg)
{
	char name[MAXCOMLEN + 1];
	u_int i;

	for (i = 0; i < kpi_conf.ncpus; i++) {
		TAILQ_INIT(&wheels[i].cw_list);
		snprintf(name, sizeof(name), "clock (%u)", i);
		__atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
		if (kpi_thread_start(softclock, &wheels[i], i, false, name,
		    &wheels[i].cw_thread) != 0)
			panic("no thread for callouts");
	}
}
SYSINIT(kpi_callout, SI_SUB_CPU, SI_ORDER_ANY, callout_start, NULL);

static void
callout_end(void *arg)
{

	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	kpi_callout_kick();
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0)
		hosted_sleep(100 * 1000);
}
SYSUNINIT(kpi_callout, SI_SUB_CPU, SI_ORDER_ANY, callout_end, NULL);

/* --- Virtual clock, leaks --- */

bool
kpi_callout_earliest(sbintime_t *when)
{
	struct callout *c;
	bool found = false;
	u_int i;

	for (i = 0; i < kpi_conf.ncpus; i++) {
		kpi_lock(&wheels[i].cw_lock);
		c = TAILQ_FIRST(&wheels[i].cw_list);
		if (c != NULL && (!found || c->c_time < *when)) {
			*when = c->c_time;
			found = true;
		}
		kpi_unlock(&wheels[i].cw_lock);
	}
	return (found);
}

void
kpi_callout_run(sbintime_t now)
{
	struct callout *c;
	bool due;
	u_int i;

	for (i = 0; i < kpi_conf.ncpus; i++) {
		kpi_lock(&wheels[i].cw_lock);
		c = TAILQ_FIRST(&wheels[i].cw_list);
		due = c != NULL && c->c_time <= now;
		kpi_unlock(&wheels[i].cw_lock);
		if (due) {
			kpi_event_post(&wheels[i].cw_event,
			    wheels[i].cw_thread);
			kpi_settle();
		}
	}
}

u_int
kpi_callout_leaks(void)
{
	struct callout *c;
	u_int i, n = 0;

	for (i = 0; i < kpi_conf.ncpus; i++)
		TAILQ_FOREACH(c, &wheels[i].cw_list, c_links.tqe) {
			printf("leak: callout %p(%p)\n", c->c_func, c->c_arg);
			n++;
		}
	return (n);
}
KPI_LEAKS(kpi_callout_leaks);
