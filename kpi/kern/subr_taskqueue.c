/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * taskqueue(9).  Tasks by priority, threads that sleep on the queue.  What is
 * running is on a list with a sequence number, so that a drain waits for what
 * was there when it began and not for what comes later.
 */

#include <kern/kpi_internal.h>

#include <sys/cpuset.h>
#include <sys/kthread.h>
#include <sys/limits.h>
#include <sys/malloc.h>
#include <sys/stdarg.h>
#include <sys/taskqueue.h>

#define	DT_CALLOUT_ARMED	1
#define	DT_DRAIN_IN_PROGRESS	2

struct busy {
	struct task	*b_task;
	struct thread	*b_thread;
	u_int		 b_seq;
	LIST_ENTRY(busy) b_link;
};

struct taskqueue {
	struct kpi_lock	 tq_lock;
	STAILQ_HEAD(, task) tq_tasks;
	LIST_HEAD(, busy) tq_busy;
	u_int		 tq_seq;
	taskqueue_enqueue_fn tq_enqueue;
	void		*tq_context;
	char		 tq_name[TASKQUEUE_NAMELEN];
	volatile bool	 tq_active;
	bool		 tq_blocked;
	bool		 tq_spin;	/* a fast queue */
	u_int		 tq_threads;
	u_int		 tq_callouts;
	struct thread	**tq_tds;
	u_int		 tq_ntds;
	taskqueue_callback_fn tq_callbacks[TASKQUEUE_NUM_CALLBACKS];
	void		*tq_cb_context[TASKQUEUE_NUM_CALLBACKS];
	TAILQ_ENTRY(taskqueue) tq_link;
};

static MALLOC_DEFINE(M_TASKQUEUE, "taskqueue", "Task Queues");

/* What a kernel has there is a mutex, and a spin mutex only of a fast queue. */
static void
queue_lock(struct taskqueue *q)
{

	KASSERT(q->tq_spin || curthread->td_critnest == 0 ||
	    SCHEDULER_STOPPED(), ("taskqueue %s, which is not a fast one, in "
	    "a critical section, an interrupt or with a spin lock held",
	    q->tq_name));
	kpi_lock(&q->tq_lock);
}

struct taskqueue *
taskqueue_create(const char *name, int mflags, taskqueue_enqueue_fn enqueue,
    void *context)
{
	struct taskqueue *q;

	q = malloc(sizeof(*q), M_TASKQUEUE, mflags | M_ZERO);
	if (q == NULL)
		return (NULL);
	STAILQ_INIT(&q->tq_tasks);
	LIST_INIT(&q->tq_busy);
	strlcpy(q->tq_name, name != NULL ? name : "taskqueue",
	    sizeof(q->tq_name));
	q->tq_enqueue = enqueue;
	q->tq_context = context;
	q->tq_active = true;
	return (q);
}

struct taskqueue *
taskqueue_create_fast(const char *name, int mflags,
    taskqueue_enqueue_fn enqueue, void *context)
{
	struct taskqueue *q;

	q = taskqueue_create(name, mflags, enqueue, context);
	if (q != NULL)
		q->tq_spin = true;
	return (q);
}

void
taskqueue_set_callback(struct taskqueue *q, enum taskqueue_callback_type type,
    taskqueue_callback_fn fn, void *context)
{
	KASSERT(q->tq_callbacks[type] == NULL,
	    ("taskqueue_set_callback: set already"));
	q->tq_callbacks[type] = fn;
	q->tq_cb_context[type] = context;
}

void
taskqueue_free(struct taskqueue *q)
{
	kpi_sleep_check(NULL, "taskqueue_free()");
	queue_lock(q);
	q->tq_active = false;
	while (q->tq_threads > 0 || q->tq_callouts > 0) {
		kpi_wakeup_n(q, 0);
		kpi_sleepq_add(&q->tq_threads, SBT_MAX);
		kpi_unlock(&q->tq_lock);
		(void)kpi_sleepq_wait(&q->tq_threads);
		queue_lock(q);
	}
	KASSERT(LIST_EMPTY(&q->tq_busy), ("taskqueue_free: tasks are running"));
	kpi_unlock(&q->tq_lock);
	free(q->tq_tds, M_TASKQUEUE);
	free(q, M_TASKQUEUE);
}

/* --- Enqueue --- */

/* tq_lock held; true: threads are to be told. */
static bool
insert(struct taskqueue *q, struct task *task)
{
	struct task *p, *prev;

	if (task->ta_pending != 0) {
		if (task->ta_pending < USHRT_MAX)
			task->ta_pending++;
		return (false);
	}
	prev = NULL;
	p = STAILQ_LAST(&q->tq_tasks, task, ta_link);
	if (p == NULL || p->ta_priority >= task->ta_priority)
		STAILQ_INSERT_TAIL(&q->tq_tasks, task, ta_link);
	else {
		STAILQ_FOREACH(p, &q->tq_tasks, ta_link) {
			if (p->ta_priority < task->ta_priority)
				break;
			prev = p;
		}
		if (prev == NULL)
			STAILQ_INSERT_HEAD(&q->tq_tasks, task, ta_link);
		else
			STAILQ_INSERT_AFTER(&q->tq_tasks, prev, task, ta_link);
	}
	task->ta_pending = 1;
	return (!q->tq_blocked);
}

int
taskqueue_enqueue_flags(struct taskqueue *q, struct task *task, int flags)
{
	bool tell;

	KASSERT(task->ta_func != NULL, ("enqueueing task with NULL func"));
	queue_lock(q);
	if ((flags & TASKQUEUE_FAIL_IF_PENDING) != 0 && task->ta_pending > 0) {
		kpi_unlock(&q->tq_lock);
		return (EEXIST);
	}
	tell = insert(q, task);
	kpi_unlock(&q->tq_lock);
	if (tell)
		q->tq_enqueue(q->tq_context);
	return (0);
}

int
taskqueue_enqueue(struct taskqueue *q, struct task *task)
{
	return (taskqueue_enqueue_flags(q, task, 0));
}

void
taskqueue_thread_enqueue(void *context)
{
	struct taskqueue **qp = context;

	wakeup_any(*qp);
}

void
taskqueue_block(struct taskqueue *q)
{
	queue_lock(q);
	q->tq_blocked = true;
	kpi_unlock(&q->tq_lock);
}

void
taskqueue_unblock(struct taskqueue *q)
{
	bool tell;

	queue_lock(q);
	q->tq_blocked = false;
	tell = !STAILQ_EMPTY(&q->tq_tasks);
	kpi_unlock(&q->tq_lock);
	if (tell)
		q->tq_enqueue(q->tq_context);
}

/* --- Run --- */

static void
run_locked(struct taskqueue *q)
{
	struct busy b;
	struct task *task;
	int pending;

	b.b_thread = curthread;
	while (!q->tq_blocked &&
	    (task = STAILQ_FIRST(&q->tq_tasks)) != NULL) {
		STAILQ_REMOVE_HEAD(&q->tq_tasks, ta_link);
		pending = task->ta_pending;
		task->ta_pending = 0;
		b.b_task = task;
		b.b_seq = ++q->tq_seq;
		LIST_INSERT_HEAD(&q->tq_busy, &b, b_link);
		kpi_unlock(&q->tq_lock);
		task->ta_func(task->ta_context, pending);
		kpi_witness_exit(curthread, "returns from a task");
		KASSERT(curthread->td_critnest == 0,
		    ("a task of %s left a critical section open",
		    q->tq_name));
		queue_lock(q);
		LIST_REMOVE(&b, b_link);
		/* The task itself may be gone, if nobody waits for it. */
		wakeup(task);
		wakeup(&q->tq_seq);
	}
}

void
taskqueue_run(struct taskqueue *q)
{
	queue_lock(q);
	run_locked(q);
	kpi_unlock(&q->tq_lock);
}

static void
run_callback(struct taskqueue *q, enum taskqueue_callback_type type)
{
	if (q->tq_callbacks[type] != NULL)
		q->tq_callbacks[type](q->tq_cb_context[type]);
}

void
taskqueue_thread_loop(void *arg)
{
	struct taskqueue **qp = arg, *q = *qp;

	run_callback(q, TASKQUEUE_CALLBACK_TYPE_INIT);
	queue_lock(q);
	for (;;) {
		run_locked(q);
		/* What is queued when the queue is freed still runs. */
		if (!q->tq_active)
			break;
		kpi_sleepq_add(q, SBT_MAX);
		kpi_unlock(&q->tq_lock);
		(void)kpi_sleepq_wait(q);
		queue_lock(q);
	}
	kpi_unlock(&q->tq_lock);
	run_callback(q, TASKQUEUE_CALLBACK_TYPE_SHUTDOWN);
	queue_lock(q);
	q->tq_threads--;
	wakeup_one(&q->tq_threads);
	kpi_unlock(&q->tq_lock);
	kthread_exit();
}

/* The i-th CPU of the set, round and round. */
static int
nth_cpu(const cpuset_t *mask, u_int i)
{
	u_int cpu, n = CPU_COUNT(mask);

	i %= n;
	for (cpu = 0;; cpu++)
		if (CPU_ISSET(cpu, mask) && i-- == 0)
			return (cpu);
}

static int
start_threads(struct taskqueue **qp, int count, const cpuset_t *mask,
    struct proc *p, const char *name)
{
	struct taskqueue *q = *qp;
	struct thread **tds;
	char buf[MAXCOMLEN + 1];
	int error, i, started;

	if (count <= 0)
		return (EINVAL);
	tds = malloc(count * sizeof(*tds), M_TASKQUEUE, M_NOWAIT | M_ZERO);
	if (tds == NULL) {
		printf("%s: no memory for %s threads\n", __func__, name);
		return (ENOMEM);
	}
	KASSERT(q->tq_tds == NULL, ("taskqueue %s has threads", q->tq_name));
	q->tq_tds = tds;
	q->tq_ntds = count;
	for (i = started = 0; i < count; i++) {
		strlcpy(buf, name, sizeof(buf));
		if (count > 1)
			snprintf(buf, sizeof(buf), "%s_%d", name, i);
		queue_lock(q);
		q->tq_threads++;
		kpi_unlock(&q->tq_lock);
		error = kpi_kthread_add_cpu(taskqueue_thread_loop, qp, p,
		    &tds[i], mask == NULL ? -1 : nth_cpu(mask, i), buf);
		if (error == 0) {
			started++;
			continue;
		}
		tds[i] = NULL;
		queue_lock(q);
		q->tq_threads--;
		kpi_unlock(&q->tq_lock);
		printf("%s: kthread_add(%s): error %d\n", __func__, buf,
		    error);
	}
	if (started == 0) {
		q->tq_tds = NULL;
		q->tq_ntds = 0;
		free(tds, M_TASKQUEUE);
		return (ENOMEM);
	}
	return (0);
}

int
taskqueue_start_threads(struct taskqueue **qp, int count, int pri,
    const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return (start_threads(qp, count, NULL, NULL, name));
}

int
taskqueue_start_threads_in_proc(struct taskqueue **qp, int count, int pri,
    struct proc *p, const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return (start_threads(qp, count, NULL, p, name));
}

int
taskqueue_start_threads_cpuset(struct taskqueue **qp, int count, int pri,
    cpuset_t *mask, const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return (start_threads(qp, count, mask, NULL, name));
}

/* --- Drain and cancel --- */

static struct busy *
find_busy(struct taskqueue *q, const struct task *task)
{
	struct busy *b;

	LIST_FOREACH(b, &q->tq_busy, b_link)
		if (b->b_task == task)
			return (b);
	return (NULL);
}

static void
sleep_on(struct taskqueue *q, const void *chan)
{
	kpi_sleepq_add(chan, SBT_MAX);
	kpi_unlock(&q->tq_lock);
	(void)kpi_sleepq_wait(chan);
	queue_lock(q);
}

void
taskqueue_drain(struct taskqueue *q, struct task *task)
{
	struct busy *b;

	kpi_sleep_check(NULL, "taskqueue_drain()");
	queue_lock(q);
	while ((b = find_busy(q, task)) != NULL || task->ta_pending != 0) {
		KASSERT(b == NULL || b->b_thread != curthread,
		    ("taskqueue_drain() of the task that calls it"));
		sleep_on(q, task);
	}
	kpi_unlock(&q->tq_lock);
}

static void
barrier_task(void *arg, int pending)
{
}

/* Until all that was queued has begun; true: there was something. */
static bool
drain_queued(struct taskqueue *q)
{
	struct task barrier;

	if (STAILQ_EMPTY(&q->tq_tasks))
		return (false);
	TASK_INIT(&barrier, 0, barrier_task, NULL);
	STAILQ_INSERT_TAIL(&q->tq_tasks, &barrier, ta_link);
	barrier.ta_pending = 1;
	while (barrier.ta_pending != 0 || find_busy(q, &barrier) != NULL)
		sleep_on(q, &barrier);
	return (true);
}

/* Until all that runs now has ended. */
static bool
drain_busy(struct taskqueue *q)
{
	struct busy *b;
	u_int seq = q->tq_seq;
	bool any = false;

again:
	LIST_FOREACH(b, &q->tq_busy, b_link)
		if ((int)(b->b_seq - seq) <= 0) {
			KASSERT(b->b_thread != curthread,
			    ("taskqueue_drain_all() from a task"));
			any = true;
			sleep_on(q, &q->tq_seq);
			goto again;
		}
	return (any);
}

void
taskqueue_drain_all(struct taskqueue *q)
{
	kpi_sleep_check(NULL, "taskqueue_drain_all()");
	queue_lock(q);
	(void)drain_queued(q);
	(void)drain_busy(q);
	kpi_unlock(&q->tq_lock);
}

void
taskqueue_quiesce(struct taskqueue *q)
{
	bool any;

	kpi_sleep_check(NULL, "taskqueue_quiesce()");
	queue_lock(q);
	do {
		any = drain_queued(q);
		if (drain_busy(q))
			any = true;
	} while (any);
	kpi_unlock(&q->tq_lock);
}

static int
cancel_locked(struct taskqueue *q, struct task *task, u_int *pendp)
{
	if (task->ta_pending > 0)
		STAILQ_REMOVE(&q->tq_tasks, task, task, ta_link);
	if (pendp != NULL)
		*pendp = task->ta_pending;
	task->ta_pending = 0;
	return (find_busy(q, task) != NULL ? EBUSY : 0);
}

int
taskqueue_cancel(struct taskqueue *q, struct task *task, u_int *pendp)
{
	int error;

	queue_lock(q);
	error = cancel_locked(q, task, pendp);
	kpi_unlock(&q->tq_lock);
	return (error);
}

int
taskqueue_poll_is_busy(struct taskqueue *q, struct task *task)
{
	int busy;

	queue_lock(q);
	busy = task->ta_pending > 0 || find_busy(q, task) != NULL;
	kpi_unlock(&q->tq_lock);
	return (busy);
}

int
taskqueue_member(struct taskqueue *q, struct thread *td)
{
	u_int i;

	for (i = 0; i < q->tq_ntds; i++)
		if (q->tq_tds[i] == td)
			return (1);
	return (0);
}

/* --- With a delay --- */

static void
timeout_func(void *arg)
{
	struct timeout_task *tt = arg;
	struct taskqueue *q = tt->q;
	bool tell;

	queue_lock(q);
	if ((tt->f & DT_CALLOUT_ARMED) == 0) {
		kpi_unlock(&q->tq_lock);
		return;
	}
	tt->f &= ~DT_CALLOUT_ARMED;
	q->tq_callouts--;
	tell = insert(q, &tt->t);
	kpi_unlock(&q->tq_lock);
	if (tell)
		q->tq_enqueue(q->tq_context);
}

void
_timeout_task_init(struct taskqueue *q, struct timeout_task *tt, int priority,
    task_fn_t func, void *context)
{
	TASK_INIT(&tt->t, priority, func, context);
	callout_init(&tt->c, 1);
	tt->q = q;
	tt->f = 0;
}

int
taskqueue_enqueue_timeout_sbt(struct taskqueue *q, struct timeout_task *tt,
    sbintime_t sbt, sbintime_t pr, int flags)
{
	int res;
	bool tell = false;

	queue_lock(q);
	KASSERT(tt->q == NULL || tt->q == q, ("Migrated queue"));
	tt->q = q;
	res = tt->t.ta_pending;
	if (tt->f & DT_DRAIN_IN_PROGRESS)
		res = -1;
	else if (sbt == 0)
		tell = insert(q, &tt->t);
	else {
		if (tt->f & DT_CALLOUT_ARMED)
			res++;
		else {
			q->tq_callouts++;
			tt->f |= DT_CALLOUT_ARMED;
		}
		/* Negative: leave an armed one as it is. */
		if (sbt > 0 || res == 0)
			callout_reset_sbt(&tt->c, sbt < 0 ? -sbt : sbt, pr,
			    timeout_func, tt, flags);
	}
	kpi_unlock(&q->tq_lock);
	if (tell)
		q->tq_enqueue(q->tq_context);
	return (res);
}

int
taskqueue_enqueue_timeout(struct taskqueue *q, struct timeout_task *tt,
    int to_ticks)
{
	return (taskqueue_enqueue_timeout_sbt(q, tt, to_ticks * tick_sbt, 0,
	    C_HARDCLOCK));
}

int
taskqueue_cancel_timeout(struct taskqueue *q, struct timeout_task *tt,
    u_int *pendp)
{
	u_int armed, pending;
	int error;

	queue_lock(q);
	armed = 0;
	if (tt->f & DT_CALLOUT_ARMED) {
		tt->f &= ~DT_CALLOUT_ARMED;
		q->tq_callouts--;
		armed = 1;
	}
	error = cancel_locked(q, &tt->t, &pending);
	kpi_unlock(&q->tq_lock);
	(void)callout_stop(&tt->c);
	if (pendp != NULL)
		*pendp = pending + armed;
	return (error);
}

void
taskqueue_drain_timeout(struct taskqueue *q, struct timeout_task *tt)
{
	queue_lock(q);
	KASSERT((tt->f & DT_DRAIN_IN_PROGRESS) == 0,
	    ("Drain already in progress"));
	tt->f |= DT_DRAIN_IN_PROGRESS;
	kpi_unlock(&q->tq_lock);
	if (callout_drain(&tt->c) > 0) {
		queue_lock(q);
		tt->f &= ~DT_CALLOUT_ARMED;
		q->tq_callouts--;
		kpi_unlock(&q->tq_lock);
	}
	taskqueue_drain(q, &tt->t);
	queue_lock(q);
	tt->f &= ~DT_DRAIN_IN_PROGRESS;
	kpi_unlock(&q->tq_lock);
}

/* --- The kernel's own --- */

TASKQUEUE_DEFINE_THREAD(thread);
TASKQUEUE_DEFINE_THREAD(swi);
TASKQUEUE_DEFINE_THREAD(bus);
TASKQUEUE_FAST_DEFINE_THREAD(fast);

static void
taskqueues_end(void *arg)
{
	taskqueue_free(taskqueue_thread);
	taskqueue_free(taskqueue_swi);
	taskqueue_free(taskqueue_bus);
	taskqueue_free(taskqueue_fast);
}
SYSUNINIT(kpi_taskqueues, SI_SUB_TASKQ, SI_ORDER_ANY, taskqueues_end, NULL);
