/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Interrupts.  A vector for a virtual CPU is a pending bit and a wake-up of
 * that CPU's interrupt thread, which calls the handler as a C function with
 * interrupts off on its CPU.
 */

#include <kern/kpi_internal.h>

#include <sys/bus.h>
#include <machine/intr_machdep.h>
#include <x86/apicvar.h>

#define	VECTORS		256

static struct kpi_lock	vector_lock;
static inthand_t *volatile vectors[VECTORS];
static volatile bool	intr_stop;
static volatile u_int	intr_running;

int
lapic_ipi_alloc(inthand_t *fn)
{
	int i;

	kpi_lock(&vector_lock);
	for (i = IPI_DYN_FIRST; i <= IPI_DYN_LAST; i++)
		if (vectors[i] == NULL)
			break;
	if (i > IPI_DYN_LAST)
		i = -1;
	else
		__atomic_store_n(&vectors[i], fn, __ATOMIC_RELEASE);
	kpi_unlock(&vector_lock);
	return (i);
}

void
lapic_ipi_free(int vector)
{
	KASSERT(vector >= IPI_DYN_FIRST && vector <= IPI_DYN_LAST &&
	    vectors[vector] != NULL,
	    ("lapic_ipi_free: vector %d is not allocated", vector));
	__atomic_store_n(&vectors[vector], NULL, __ATOMIC_RELEASE);
}

void
lapic_eoi(void)
{
}

void
kpi_interrupt(unsigned cpu, unsigned vector)
{
	struct kpi_cpu *kc = &kpi_cpus[cpu];

	if (cpu >= kpi_conf.ncpus || vector >= VECTORS)
		return;
	__atomic_fetch_or(&kc->kc_pending[vector / 64], 1UL << (vector % 64),
	    __ATOMIC_RELEASE);
	kpi_intr_kick(cpu);
}

void
kpi_intr_kick(u_int cpu)
{
	kpi_event_post(&kpi_cpus[cpu].kc_event, kpi_cpus[cpu].kc_thread);
}

static void
intr_call(struct kpi_cpu *kc, u_int vector)
{
	struct thread *td = curthread;
	inthand_t *fn;

	fn = __atomic_load_n(&vectors[vector], __ATOMIC_ACQUIRE);
	if (fn == NULL) {
		printf("stray interrupt, vector %u on CPU %u\n", vector,
		    PCPU_GET(cpuid));
		return;
	}
	critical_enter();
	td->td_intr_nesting_level++;
	fn();
	td->td_intr_nesting_level--;
	critical_exit();
	KASSERT(td->td_critnest == 0 && td->td_intr_nesting_level == 0,
	    ("interrupt vector %u left a critical section open", vector));
	kc->kc_count++;
}

static void
intr_pending(struct kpi_cpu *kc)
{
	uint64_t bits;
	int i, word;

	if (__atomic_load_n(&kc->kc_ipi, __ATOMIC_RELAXED) != NULL)
		kpi_smp_ipi(kc);
	/* Higher vectors have higher priority. */
	for (word = 3; word >= 0; word--) {
		bits = __atomic_exchange_n(&kc->kc_pending[word], 0,
		    __ATOMIC_ACQUIRE);
		while (bits != 0) {
			i = flsll(bits) - 1;
			bits &= ~(1ULL << i);
			intr_call(kc, word * 64 + i);
		}
	}
}

static void
intr_thread(void *arg)
{
	struct kpi_cpu *kc = arg;

	while (!__atomic_load_n(&intr_stop, __ATOMIC_ACQUIRE)) {
		kpi_event_wait(&kc->kc_event, HOSTED_FOREVER);
		kpi_dump_pass();
		intr_pending(kc);
	}
	__atomic_fetch_sub(&intr_running, 1, __ATOMIC_RELEASE);
}

static void
intr_start(void *arg)
{
	char name[MAXCOMLEN + 1];
	u_int i;

	for (i = 0; i < kpi_conf.ncpus; i++) {
		snprintf(name, sizeof(name), "intr: cpu%u", i);
		__atomic_fetch_add(&intr_running, 1, __ATOMIC_RELAXED);
		if (kpi_thread_start(intr_thread, &kpi_cpus[i], i, true, name,
		    &kpi_cpus[i].kc_thread) != 0)
			panic("no thread for interrupts");
	}
}
SYSINIT(kpi_intr, SI_SUB_INTR, SI_ORDER_FIRST, intr_start, NULL);

static void
intr_end(void *arg)
{
	u_int i;

	__atomic_store_n(&intr_stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < kpi_conf.ncpus; i++)
		kpi_intr_kick(i);
	while (__atomic_load_n(&intr_running, __ATOMIC_ACQUIRE) != 0)
		hosted_sleep(100 * 1000);
}
SYSUNINIT(kpi_intr, SI_SUB_INTR, SI_ORDER_FIRST, intr_end, NULL);

uint64_t
kpi_intr_count(void)
{
	uint64_t n = 0;
	u_int i;

	for (i = 0; i < kpi_conf.ncpus; i++)
		n += kpi_cpus[i].kc_count;
	return (n);
}

u_int
kpi_intr_leaks(void)
{
	u_int i, n = 0;

	for (i = 0; i < VECTORS; i++)
		if (vectors[i] != NULL) {
			printf("leak: interrupt vector %u\n", i);
			n++;
		}
	return (n);
}
