/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The kernel's half of smp_kernel.h. */

#include <kern/kpi_internal.h>

#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/kthread.h>
#include <sys/malloc.h>
#include <sys/sched.h>
#include <sys/smp.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/cpu.h>
#include <machine/intr_machdep.h>
#include <machine/md_var.h>
#include <x86/apicvar.h>

#include "smp_kernel.h"

#define	IPI_WAIT_MS	10000

static volatile u_int taken, locals, storms, storming;
static volatile bool storm_stop;

/* Threads of a program have their processor as long as they are bound. */
static void
go(unsigned cpu)
{

	sched_bind(curthread, (int)cpu);
}

static void
local(pmap_t pmap __unused, vm_offset_t addr1 __unused,
    vm_offset_t addr2 __unused)
{

	atomic_add_int(&locals, 1);
}

static void
shootdown(unsigned used, vm_offset_t addr1, vm_offset_t addr2)
{
	smp_targeted_tlb_shootdown_t hook;
	struct pmap *pmap;
	u_int i;

	pmap = malloc(sizeof(*pmap), M_TEMP, M_WAITOK | M_ZERO);
	for (i = 0; i <= mp_maxid; i++) {
		if ((used & 1u << i) != 0)
			CPU_SET(i, &pmap->pm_active);
	}
	sched_pin();
	/* As pmap does, but that TSan wants it said. */
	hook = (smp_targeted_tlb_shootdown_t)atomic_load_acq_ptr(
	    (volatile uintptr_t *)&smp_targeted_tlb_shootdown);
	hook(pmap, addr1, addr2, local,
	    addr1 == 0 && addr2 == 0 ? INVL_OP_TLB : INVL_OP_PGRNG);
	free(pmap, M_TEMP);
}

void
ktest_smp_shootdown(struct ktest_smp *ks, unsigned cpu, unsigned used,
    unsigned long addr1, unsigned long addr2)
{

	go(cpu);
	locals = kpi_native_shootdowns = 0;
	shootdown(used, addr1, addr2);
	ks->locals = locals;
	ks->natives = kpi_native_shootdowns;
	sched_unbind(curthread);
}

static void
ipi_handler(void)
{

	atomic_set_int(&taken, 1u << curcpu);
}

unsigned
ktest_smp_ipi(struct ktest_smp *ks, unsigned cpu, unsigned to)
{
	int vector;
	u_int i;

	vector = lapic_ipi_alloc((inthand_t *)ipi_handler);
	go(cpu);
	taken = kpi_native_ipis = 0;
	ks->locals = 0;
	for (i = 0; i <= mp_maxid; i++) {
		if ((to & 1u << i) != 0)
			ipi_vectored(vector, (int)i);
	}
	ks->natives = kpi_native_ipis;
	sched_unbind(curthread);
	/* They may take a moment. */
	for (i = 0; i < IPI_WAIT_MS && (taken & to) != to; i++)
		pause("ipi", 1);
	lapic_ipi_free(vector);
	return (taken);
}

static void
storm(void *arg)
{
	u_int cpu = (u_int)(uintptr_t)arg;

	go(cpu);
	while (!atomic_load_bool(&storm_stop)) {
		shootdown(0xf, 0x1000, 0x3000);
		atomic_add_int(&storms, 1);
	}
	atomic_subtract_int(&storming, 1);
	kthread_exit();
}

int
ktest_smp_storm(int on)
{
	u_int cpu;
	int error = 0;

	atomic_store_bool(&storm_stop, on == 0);
	if (on == 0) {
		while (atomic_load_int(&storming) != 0)
			pause("storm", 1);
		return (0);
	}
	for (cpu = 0; cpu <= mp_maxid && error == 0; cpu++) {
		atomic_add_int(&storming, 1);
		error = kthread_add(storm, (void *)(uintptr_t)cpu, NULL, NULL,
		    0, 0, "storm%u", cpu);
	}
	return (error);
}

unsigned
ktest_smp_storms(void)
{

	return (atomic_load_int(&storms));
}
