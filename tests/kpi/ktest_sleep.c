/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sleeping and waking: sleep channels, condition variables, semaphores;
 * taskqueues.
 */

#include <ktest.h>

#include <sys/condvar.h>
#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/sema.h>
#include <sys/smp.h>
#include <sys/taskqueue.h>
#include <sys/time.h>

#include <kpi.h>

#define	MS	1000000ULL		/* nanoseconds */

static int	order[8];
static u_int	norder;
static struct mtx mtx;
static struct cv cv;
static volatile u_int done;

static void
sleeper(void *arg)
{
	for (int i = 0; i < 10; i++)
		pause("test", hz);
	atomic_store_rel_int(&done, 1);
	kthread_exit();
}

KTEST(sleep_virtual, "ten sleeps of a second take ten virtual seconds")
{
	KT_EQ(kthread_add(sleeper, NULL, NULL, NULL, 0, 0, "sleeper"), 0);
	kpi_clock_advance(9900 * MS);
	KT_EQ(atomic_load_acq_int(&done), 0);
	kpi_clock_advance(200 * MS);
	KT_EQ(atomic_load_acq_int(&done), 1);
}

KTEST(real_sleep_timeout, "msleep() times out, and not early")
{
	sbintime_t start = sbinuptime();

	mtx_init(&mtx, "m", NULL, MTX_DEF);
	mtx_lock(&mtx);
	KT_EQ(msleep_sbt(&mtx, &mtx, 0, "x", 20 * SBT_1MS, 0, 0), EWOULDBLOCK);
	KT_CHECK(mtx_owned(&mtx));
	mtx_unlock(&mtx);
	KT_CHECK(sbinuptime() - start >= 20 * SBT_1MS);
	mtx_destroy(&mtx);
}

KTEST_PANICS(sleep_unlocked_report, "msleep() without its mutex",
    "mutex m not owned")
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	msleep(&mtx, &mtx, 0, "x", 1);
}

static void
pinger(void *arg)
{
	u_int me = (u_int)(uintptr_t)arg;

	mtx_lock(&mtx);
	for (int i = 0; i < 2000; i++) {
		while (norder % 2 != me)
			msleep(&norder, &mtx, 0, "ping", 0);
		norder++;
		wakeup(&norder);
	}
	if (++done == 2)
		wakeup(__DEVOLATILE(u_int *, &done));
	mtx_unlock(&mtx);
	kthread_exit();
}

KTEST(real_ping_pong, "no wake-up is lost between two threads")
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	for (uintptr_t i = 0; i < 2; i++)
		KT_EQ(kthread_add(pinger, (void *)i, NULL, NULL, 0, 0, "p"),
		    0);
	mtx_lock(&mtx);
	while (done != 2)
		msleep(__DEVOLATILE(u_int *, &done), &mtx, 0, "done", 0);
	mtx_unlock(&mtx);
	KT_EQ(norder, 4000);
	mtx_destroy(&mtx);
}

static void
cv_waiter(void *arg)
{
	mtx_lock(&mtx);
	norder++;
	cv_wait(&cv, &mtx);
	norder--;
	mtx_unlock(&mtx);
	kthread_exit();
}

static void
expect_waiters(u_int n)
{
	kpi_clock_advance(0);
	mtx_lock(&mtx);
	KT_EQ(norder, n);
	mtx_unlock(&mtx);
}

KTEST(cv_wakes, "a signal wakes one waiter, a broadcast all")
{
	mtx_init(&mtx, "m", NULL, MTX_DEF);
	cv_init(&cv, "cv");
	for (int i = 0; i < 3; i++)
		KT_EQ(kthread_add(cv_waiter, NULL, NULL, NULL, 0, 0, "w"), 0);
	expect_waiters(3);
	cv_signal(&cv);
	expect_waiters(2);
	cv_broadcast(&cv);
	expect_waiters(0);
	cv_destroy(&cv);
	mtx_destroy(&mtx);
}

static void
poster(void *arg)
{
	sema_post(arg);
	kthread_exit();
}

KTEST(sema_counts, "a semaphore counts and waits")
{
	static struct sema s;

	sema_init(&s, 1, "test");
	sema_wait(&s);
	KT_EQ(sema_trywait(&s), 0);
	KT_EQ(kthread_add(poster, &s, NULL, NULL, 0, 0, "poster"), 0);
	sema_wait(&s);
	KT_EQ(sema_value(&s), 0);
	kpi_clock_advance(0);
	sema_destroy(&s);
}

KTEST(real_sema_timeout, "a semaphore that nobody posts times out")
{
	static struct sema s;

	sema_init(&s, 0, "test");
	KT_EQ(sema_timedwait(&s, hz / 100), EWOULDBLOCK);
	sema_destroy(&s);
}

/* --- Taskqueues --- */

static struct taskqueue *tq;
static struct task tasks[3];
static struct timeout_task tt;

static void
task(void *arg, int pending)
{
	order[norder++] = (int)(intptr_t)arg * 10 + pending;
}

static void
tq_start(int threads)
{
	tq = taskqueue_create("test", M_WAITOK, taskqueue_thread_enqueue, &tq);
	KT_EQ(taskqueue_start_threads(&tq, threads, PWAIT, "test"), 0);
}

KTEST(taskqueue_order, "priority first, repeats counted, block holds all")
{
	tq_start(1);
	for (int i = 0; i < 3; i++)
		TASK_INIT(&tasks[i], i, task, (void *)(intptr_t)(i + 1));
	taskqueue_block(tq);
	taskqueue_enqueue(tq, &tasks[0]);
	taskqueue_enqueue(tq, &tasks[2]);
	taskqueue_enqueue(tq, &tasks[1]);
	taskqueue_enqueue(tq, &tasks[1]);
	kpi_clock_advance(0);
	KT_EQ(norder, 0);
	taskqueue_unblock(tq);
	taskqueue_drain_all(tq);
	KT_EQ(norder, 3);
	KT_EQ(order[0], 31);
	KT_EQ(order[1], 22);
	KT_EQ(order[2], 11);
	taskqueue_free(tq);
}

KTEST(taskqueue_timeout, "a delayed task runs at its time, or is cancelled")
{
	u_int pending;

	tq_start(2);
	TIMEOUT_TASK_INIT(tq, &tt, 0, task, (void *)1);
	KT_EQ(taskqueue_enqueue_timeout(tq, &tt, hz), 0);
	kpi_clock_advance(999 * MS);
	KT_EQ(norder, 0);
	kpi_clock_advance(2 * MS);
	KT_EQ(norder, 1);
	KT_EQ(taskqueue_enqueue_timeout(tq, &tt, hz), 0);
	KT_EQ(taskqueue_cancel_timeout(tq, &tt, &pending), 0);
	KT_EQ(pending, 1);
	kpi_clock_advance(2000 * MS);
	KT_EQ(norder, 1);
	taskqueue_drain_timeout(tq, &tt);
	taskqueue_free(tq);
}

static void
self_drain(void *arg, int pending)
{
	taskqueue_drain(tq, &tasks[0]);
}

KTEST_PANICS(taskqueue_self_report, "a task that drains itself",
    "taskqueue_drain() of the task that calls it")
{
	tq_start(1);
	TASK_INIT(&tasks[0], 0, self_drain, NULL);
	taskqueue_enqueue(tq, &tasks[0]);
	for (;;)
		DELAY(1000);
}

static cpuset_t where;

static void
where_am_i(void *arg, int pending)
{
	CPU_SET(curcpu, &where);
}

KTEST(taskqueue_cpuset, "threads of a taskqueue stay on their CPU")
{
	cpuset_t mask;

	CPU_SETOF(2, &mask);
	tq = taskqueue_create_fast("test", M_WAITOK, taskqueue_thread_enqueue,
	    &tq);
	KT_EQ(taskqueue_start_threads_cpuset(&tq, 1, PWAIT, &mask, "test"), 0);
	TASK_INIT(&tasks[0], 0, where_am_i, NULL);
	taskqueue_enqueue(tq, &tasks[0]);
	taskqueue_drain(tq, &tasks[0]);
	KT_EQ(CPU_CMP(&where, &mask), 0);
	taskqueue_free(tq);
}

static void
count_task(void *arg, int pending)
{
	atomic_add_int(&done, pending);
}

static void
flood(void *arg)
{
	for (int i = 0; i < 5000; i++)
		taskqueue_enqueue(tq, &tasks[i % 3]);
	atomic_add_int((volatile u_int *)&norder, 1);
	kthread_exit();
}

KTEST(real_taskqueue_flood, "no request of several threads is lost")
{
	tq_start(3);
	for (int i = 0; i < 3; i++)
		TASK_INIT(&tasks[i], 0, count_task, NULL);
	for (int i = 0; i < 3; i++)
		KT_EQ(kthread_add(flood, NULL, NULL, NULL, 0, 0, "f"), 0);
	while (atomic_load_int((volatile u_int *)&norder) != 3)
		pause("flood", 1);
	taskqueue_drain_all(tq);
	KT_EQ(atomic_load_int(&done), 15000);
	taskqueue_free(tq);
}

KTEST_PANICS(taskqueue_critical_report, "a task for a queue that is not fast, "
    "in a critical section", "which is not a fast one")
{
	tq_start(1);
	TASK_INIT(&tasks[0], 0, count_task, NULL);
	critical_enter();
	taskqueue_enqueue(tq, &tasks[0]);
}

KTEST(taskqueue_fast, "a fast queue takes tasks in a critical section")
{
	tq = taskqueue_create_fast("test", M_WAITOK, taskqueue_thread_enqueue,
	    &tq);
	KT_EQ(taskqueue_start_threads(&tq, 1, PWAIT, "test"), 0);
	TASK_INIT(&tasks[0], 0, count_task, NULL);
	critical_enter();
	taskqueue_enqueue(tq, &tasks[0]);
	critical_exit();
	taskqueue_drain(tq, &tasks[0]);
	KT_EQ(atomic_load_int(&done), 1);
	taskqueue_free(tq);
}

KTEST(thread_failure, "a thread that cannot be started is an error")
{
	kpi_fail_nth(KPI_FAIL_THREAD, 1);
	KT_CHECK(kthread_add(sleeper, NULL, NULL, NULL, 0, 0, "x") != 0);
	KT_CHECK(kpi_fail_hit(KPI_FAIL_THREAD));
	tq = taskqueue_create("test", M_WAITOK, taskqueue_thread_enqueue, &tq);
	kpi_fail_nth(KPI_FAIL_THREAD, 1);
	KT_CHECK(taskqueue_start_threads(&tq, 1, PWAIT, "test") != 0);
	taskqueue_free(tq);
}
