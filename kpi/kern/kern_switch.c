/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Critical sections, spin-lock sections and disabled interrupts.  All three
 * keep everybody else from running with interrupts off on the same virtual CPU:
 * its interrupt handlers, and other threads' sections there.  Ordinary code of
 * several threads of one virtual CPU runs in parallel.
 */

#include <kern/kpi_internal.h>

struct kpi_cpu kpi_cpus[KPI_MAXCPU];

static void
cpu_acquire(struct kpi_cpu *kc)
{
	struct kpi_lock *l = __DEVOLATILE(struct kpi_lock *, &kc->kc_word);

	kpi_lock(l);
	kc->kc_owner = curthread;
}

static void
cpu_release(struct kpi_cpu *kc)
{
	struct kpi_lock *l = __DEVOLATILE(struct kpi_lock *, &kc->kc_word);

	kc->kc_owner = NULL;
	kpi_unlock(l);
}

void
critical_enter_KBI(void)
{
	struct thread *td = curthread;

	if (td->td_critnest++ == 0 && !KPI_THREAD(td)->kt_intr_off)
		cpu_acquire(&kpi_cpus[PCPU_GET(cpuid)]);
}

void
critical_exit_KBI(void)
{
	struct thread *td = curthread;

	KASSERT(td->td_critnest != 0, ("critical_exit: td_critnest == 0"));
	if (--td->td_critnest == 0 && !KPI_THREAD(td)->kt_intr_off)
		cpu_release(&kpi_cpus[PCPU_GET(cpuid)]);
}

void
spinlock_enter(void)
{
	critical_enter_KBI();
}

void
spinlock_exit(void)
{
	critical_exit_KBI();
}

/* cli, sti and popf end here. */
void
kpi_intr_set(int enabled)
{
	struct thread *td = curthread;
	struct kpi_thread *kt = KPI_THREAD(td);
	struct kpi_cpu *kc = &kpi_cpus[PCPU_GET(cpuid)];

	if (kt->kt_intr_off == !enabled)
		return;
	if (!enabled) {
		if (td->td_critnest == 0)
			cpu_acquire(kc);
		kt->kt_intr_off = true;
	} else {
		kt->kt_intr_off = false;
		if (td->td_critnest == 0)
			cpu_release(kc);
	}
}

int
kpi_intr_get(void)
{
	return (!KPI_THREAD(curthread)->kt_intr_off);
}
