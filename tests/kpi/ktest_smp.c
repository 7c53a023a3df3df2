/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hosted kernel's processors: binding, interrupts, critical sections,
 * rendezvous, epochs, trapped instructions, the state of a dump.
 */

#include <ktest.h>

#include <sys/epoch.h>
#include <sys/kthread.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/proc.h>
#include <sys/sched.h>
#include <sys/smp.h>
#include <machine/cpufunc.h>
#include <machine/md_var.h>
#include <sys/bus.h>
#include <machine/intr_machdep.h>
#include <x86/apicvar.h>

#include <kern/kpi_internal.h>
#include <ktest_threads.h>

/* What the runner's machine answers (tests/lib/ktest_main.c). */
#define	TEST_MSR	0x4b500000

static volatile u_int hits[MAXCPU], inside;
static int vector;

static void
wait_for(volatile u_int *p, u_int v)
{
	for (int i = 0; i < 20000 && atomic_load_acq_int(p) != v; i++)
		DELAY(100);
	KT_EQ(atomic_load_acq_int(p), v);
}

static void
count_intr(void)
{
	KT_CHECK(curthread->td_intr_nesting_level == 1);
	KT_CHECK(curthread->td_critnest > 0);
	atomic_add_int(&hits[curcpu], 1);
}

KTEST(interrupt_cpu, "an interrupt runs on the CPU it was sent to")
{
	vector = lapic_ipi_alloc(count_intr);
	KT_CHECK(vector > 0);
	for (u_int i = 0; i < mp_ncpus; i++) {
		kpi_interrupt(i, vector);
		wait_for(&hits[i], 1);
	}
	lapic_ipi_free(vector);
}

KTEST(interrupt_masked, "a critical section keeps its CPU's interrupts out")
{
	vector = lapic_ipi_alloc(count_intr);
	sched_bind(curthread, 1);
	critical_enter();
	kpi_interrupt(1, vector);
	kpi_interrupt(2, vector);
	wait_for(&hits[2], 1);
	DELAY(5000);
	KT_EQ(hits[1], 0);
	critical_exit();
	wait_for(&hits[1], 1);
	lapic_ipi_free(vector);
}

KTEST(interrupt_disabled, "cli, sti and nested intr_disable()")
{
	register_t outer, inner;

	vector = lapic_ipi_alloc(count_intr);
	sched_bind(curthread, 1);
	outer = intr_disable();
	inner = intr_disable();
	kpi_interrupt(1, vector);
	intr_restore(inner);
	DELAY(5000);
	KT_EQ(hits[1], 0);
	intr_restore(outer);
	wait_for(&hits[1], 1);
	lapic_ipi_free(vector);
}

static void
sleepy_intr(void)
{
	pause("x", 1);
}

KTEST_PANICS(interrupt_sleep_report, "an interrupt handler that sleeps",
    "in interrupt context")
{
	vector = lapic_ipi_alloc(sleepy_intr);
	kpi_interrupt(1, vector);
	for (;;)
		DELAY(1000);
}

static void
waiting_intr(void)
{
	void *volatile p = malloc(10, M_TEMP, M_WAITOK);

	free(p, M_TEMP);
}

KTEST_PANICS(interrupt_malloc_report, "a handler that mallocs with M_WAITOK",
    "malloc(M_WAITOK) of \"temp\" in interrupt context")
{
	vector = lapic_ipi_alloc(waiting_intr);
	kpi_interrupt(1, vector);
	for (;;)
		DELAY(1000);
}

static void
alone(void *arg)
{
	sched_bind(curthread, 3);
	for (int i = 0; i < 20000; i++) {
		critical_enter();
		KT_EQ(inside++, 0);
		KT_EQ(inside--, 1);
		critical_exit();
	}
}

KTEST(critical_excludes, "one critical section a CPU at a time")
{
	ktest_threads(4, alone, NULL);
}

static cpuset_t seen;
static volatile u_int arrived;

static void
rv_setup(void *arg)
{
	atomic_add_int(&arrived, 1);
}

static void
rv_action(void *arg)
{
	KT_EQ(atomic_load_int(&arrived), mp_ncpus);
	CPU_SET_ATOMIC(curcpu, &seen);
}

KTEST(rendezvous, "a rendezvous runs on each CPU, after all have arrived")
{
	smp_rendezvous(rv_setup, rv_action, NULL, NULL);
	KT_EQ(CPU_CMP(&seen, &all_cpus), 0);
}

static epoch_t epoch;
static volatile u_int reader_in, reader_go, waited;

static void
reader(void *arg)
{
	struct epoch_tracker et;

	epoch_enter_preempt(epoch, &et);
	atomic_store_rel_int(&reader_in, 1);
	while (atomic_load_acq_int(&reader_go) == 0)
		DELAY(100);
	KT_EQ(atomic_load_int(&waited), 0);
	epoch_exit_preempt(epoch, &et);
	kthread_exit();
}

static void
waiter(void *arg)
{
	epoch_wait_preempt(epoch);
	atomic_store_rel_int(&waited, 1);
	kthread_exit();
}

KTEST(epoch_wait, "a wait lasts as long as the section that was open")
{
	epoch = epoch_alloc("ktest", EPOCH_PREEMPT);
	KT_EQ(kthread_add(reader, NULL, NULL, NULL, 0, 0, "reader"), 0);
	wait_for(&reader_in, 1);
	KT_EQ(kthread_add(waiter, NULL, NULL, NULL, 0, 0, "waiter"), 0);
	DELAY(3000);
	atomic_store_rel_int(&reader_go, 1);
	wait_for(&waited, 1);
	epoch_free(epoch);
}

static struct epoch_context calls[3];
static volatile u_int called;

static void
reclaim(epoch_context_t ctx)
{
	KT_CHECK(ctx >= &calls[0] && ctx <= &calls[2]);
	atomic_add_int(&called, 1);
}

KTEST(epoch_call, "what is to be freed is freed after the sections that saw it")
{
	epoch = epoch_alloc("ktest", EPOCH_PREEMPT);
	KT_EQ(kthread_add(reader, NULL, NULL, NULL, 0, 0, "reader"), 0);
	wait_for(&reader_in, 1);
	epoch_call(epoch, reclaim, &calls[0]);
	epoch_call(epoch, reclaim, &calls[1]);
	DELAY(3000);
	KT_EQ(atomic_load_int(&called), 0);
	atomic_store_rel_int(&reader_go, 1);
	epoch_drain_callbacks(epoch);
	KT_EQ(atomic_load_int(&called), 2);
	epoch_call(epoch, reclaim, &calls[2]);
	/* Freeing the epoch leaves no call undone. */
	epoch_free(epoch);
	KT_EQ(atomic_load_int(&called), 3);
}

KTEST_PANICS(epoch_sleep_report, "sleeping in an epoch section",
    "in an epoch section")
{
	struct epoch_tracker et;

	epoch = epoch_alloc("ktest", EPOCH_PREEMPT);
	epoch_enter_preempt(epoch, &et);
	pause("x", 1);
}

KTEST(trap_msr, "rdmsr and wrmsr reach the machine, with the CPU's number")
{
	for (u_int i = 0; i < mp_ncpus; i++) {
		sched_bind(curthread, i);
		wrmsr(TEST_MSR + 1, 0x1122334455667700UL + i);
	}
	for (u_int i = 0; i < mp_ncpus; i++) {
		sched_bind(curthread, i);
		KT_EQ(rdmsr(TEST_MSR + 1), 0x1122334455667700UL + i);
	}
}

KTEST_PANICS(trap_msr_report, "an MSR that is not there",
    "general protection fault: rdmsr(0x1234)")
{
	(void)rdmsr(0x1234);
}

KTEST(trap_cpuid, "CPUID goes through the machine, sub-leaf and all")
{
	u_int r[4];

	sched_bind(curthread, 2);
	cpuid_count(TEST_MSR, 7, r);
	KT_EQ(r[0], TEST_MSR);
	KT_EQ(r[1], 7);
	KT_EQ(r[2], 2);
	KT_EQ(r[3], (u_int)~TEST_MSR);
	do_cpuid(0, r);
	KT_CHECK(r[0] >= 1 && r[1] != 0);
}

static struct mtx dump_mtx;
static volatile u_int turns;

static void
busy(void *arg)
{
	for (;;) {
		mtx_lock(&dump_mtx);
		atomic_add_int(&turns, 1);
		mtx_unlock(&dump_mtx);
		if (atomic_load_acq_int(&reader_go) != 0)
			break;
		DELAY(10);
	}
	atomic_store_rel_int(&waited, 1);
	kthread_exit();
}

KTEST(dump_stops, "while a dump is written nobody else runs, then all go on")
{
	u_int before;

	mtx_init(&dump_mtx, "dump", NULL, MTX_DEF);
	KT_EQ(kthread_add(busy, NULL, NULL, NULL, 0, 0, "busy"), 0);
	while (atomic_load_int(&turns) == 0)
		DELAY(100);
	kpi_dump_enter();
	KT_CHECK(KERNEL_PANICKED());
	KT_CHECK(SCHEDULER_STOPPED());
	before = atomic_load_int(&turns);
	DELAY(5000);
	KT_EQ(atomic_load_int(&turns), before);
	/* Whoever held it cannot release it now. */
	mtx_lock(&dump_mtx);
	mtx_unlock(&dump_mtx);
	kpi_dump_leave();
	atomic_store_rel_int(&reader_go, 1);
	wait_for(&waited, 1);
	KT_CHECK(!KERNEL_PANICKED());
	mtx_destroy(&dump_mtx);
}
