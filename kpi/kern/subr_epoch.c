/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * epoch(9).  An epoch counts the sections that began in its present and its
 * last phase; a wait flips the phase and sleeps until the other count is zero,
 * twice, so that a section which read the phase before the flip is seen too.
 */

#include <kern/kpi_internal.h>

#include <sys/epoch.h>
#include <sys/malloc.h>
#include <sys/sx.h>
#include <sys/taskqueue.h>

struct epoch {
	const char	*e_name;
	int		 e_flags;
	volatile u_int	 e_phase;
	volatile u_int	 e_count[2];
	struct sx	 e_sx;		/* one wait at a time */
	struct kpi_lock	 e_lock;	/* calls */
	struct epoch_call *e_calls;
	struct task	 e_task;
};

/* What epoch_call() makes of an epoch_context. */
struct epoch_call {
	struct epoch_call *ec_next;
	epoch_callback_t *ec_fn;
};
_Static_assert(sizeof(struct epoch_call) <= sizeof(struct epoch_context),
    "a call fits its context");

static MALLOC_DEFINE(M_EPOCH, "epoch", "epoch based reclamation");

epoch_t	global_epoch;
epoch_t	global_epoch_preempt;
epoch_t	net_epoch_preempt;

static void
run_calls(void *arg, int pending)
{
	struct epoch *e = arg;
	struct epoch_call *ec, *next;

	kpi_lock(&e->e_lock);
	ec = e->e_calls;
	e->e_calls = NULL;
	kpi_unlock(&e->e_lock);
	if (ec == NULL)
		return;
	epoch_wait_preempt(e);
	for (; ec != NULL; ec = next) {
		next = ec->ec_next;
		ec->ec_fn((epoch_context_t)ec);
	}
}

epoch_t
epoch_alloc(const char *name, int flags)
{
	struct epoch *e;

	e = malloc(sizeof(*e), M_EPOCH, M_WAITOK | M_ZERO);
	e->e_name = name;
	e->e_flags = flags;
	sx_init_flags(&e->e_sx, "epoch-sx", SX_NOWITNESS);
	TASK_INIT(&e->e_task, 0, run_calls, e);
	return (e);
}

void
epoch_free(epoch_t e)
{
	epoch_drain_callbacks(e);
	epoch_wait_preempt(e);
	sx_destroy(&e->e_sx);
	free(e, M_EPOCH);
}

static u_int
section_enter(epoch_t e)
{
	u_int phase;

	phase = __atomic_load_n(&e->e_phase, __ATOMIC_SEQ_CST) & 1;
	__atomic_fetch_add(&e->e_count[phase], 1, __ATOMIC_SEQ_CST);
	return (phase);
}

static void
section_exit(epoch_t e, u_int phase)
{
	if (__atomic_sub_fetch(&e->e_count[phase], 1, __ATOMIC_SEQ_CST) == 0)
		hosted_futex_wake(&e->e_count[phase], (u_int)-1);
}

void
_epoch_enter_preempt(epoch_t e, epoch_tracker_t et)
{
	KASSERT((e->e_flags & EPOCH_PREEMPT) != 0,
	    ("epoch %s is not preemptible", e->e_name));
	et->et_td = curthread;
	et->et_old_priority = section_enter(e);
	KPI_THREAD(curthread)->kt_epochs++;
}

void
_epoch_exit_preempt(epoch_t e, epoch_tracker_t et)
{
	KASSERT(et->et_td == curthread,
	    ("epoch %s left by another thread", e->e_name));
	KPI_THREAD(curthread)->kt_epochs--;
	section_exit(e, et->et_old_priority);
}

/* A section of a plain epoch is a critical one; it has no tracker. */
void
epoch_enter(epoch_t e)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);

	critical_enter();
	if (kt->kt_plain_epochs++ == 0)
		kt->kt_epoch_phase = section_enter(e);
	else
		__atomic_fetch_add(&e->e_count[kt->kt_epoch_phase], 1,
		    __ATOMIC_SEQ_CST);
}

void
epoch_exit(epoch_t e)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);

	section_exit(e, kt->kt_epoch_phase);
	kt->kt_plain_epochs--;
	critical_exit();
}

int
in_epoch_verbose(epoch_t e, int dump_onfail)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);

	return (kt->kt_epochs != 0 || kt->kt_plain_epochs != 0);
}

int
in_epoch(epoch_t e)
{
	return (in_epoch_verbose(e, 0));
}

void
epoch_wait_preempt(epoch_t e)
{
	u_int n, old;
	int i;

	KASSERT(!in_epoch(e), ("epoch_wait() in the middle of a section"));
	kpi_sleep_check(NULL, "epoch_wait()");
	sx_xlock(&e->e_sx);
	for (i = 0; i < 2; i++) {
		old = __atomic_fetch_add(&e->e_phase, 1, __ATOMIC_SEQ_CST) & 1;
		while ((n = __atomic_load_n(&e->e_count[old],
		    __ATOMIC_SEQ_CST)) != 0)
			hosted_futex_wait(&e->e_count[old], n, HOSTED_FOREVER);
	}
	sx_xunlock(&e->e_sx);
}

void
epoch_wait(epoch_t e)
{
	epoch_wait_preempt(e);
}

void
epoch_call(epoch_t e, epoch_callback_t fn, epoch_context_t ctx)
{
	struct epoch_call *ec = (struct epoch_call *)ctx;

	ec->ec_fn = fn;
	kpi_lock(&e->e_lock);
	ec->ec_next = e->e_calls;
	e->e_calls = ec;
	kpi_unlock(&e->e_lock);
	(void)taskqueue_enqueue(taskqueue_thread, &e->e_task);
}

void
epoch_drain_callbacks(epoch_t e)
{
	taskqueue_drain(taskqueue_thread, &e->e_task);
}

static void
epoch_start(void *arg)
{
	global_epoch = epoch_alloc("Global", 0);
	global_epoch_preempt = epoch_alloc("Global preemptible", EPOCH_PREEMPT);
	net_epoch_preempt = epoch_alloc("Net preemptible", EPOCH_PREEMPT);
}
SYSINIT(kpi_epoch, SI_SUB_EPOCH, SI_ORDER_FIRST, epoch_start, NULL);
