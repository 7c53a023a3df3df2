/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What processors of a kernel ask of each other, as far as somebody else can be
 * hooked in: TLB shoot-downs, of which there is nothing to do without a TLB but
 * what the caller itself asked for, and IPIs.
 */

#include <kern/kpi_internal.h>

#include <sys/bus.h>
#include <sys/linker.h>
#include <sys/sched.h>
#include <sys/smp.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/cpu.h>
#include <machine/intr_machdep.h>
#include <x86/apicvar.h>
#include <x86/x86_var.h>

bool	hyperv_md_quiesce(void);

smp_targeted_tlb_shootdown_t smp_targeted_tlb_shootdown =
    smp_targeted_tlb_shootdown_native;
u_int	max_apic_id;
int	x2apic_mode;
static int apic_ids[MAXCPU];
int	*apic_cpuids = apic_ids;
linker_file_t linker_kernel_file;
volatile u_int kpi_native_shootdowns, kpi_native_ipis;

void
smp_targeted_tlb_shootdown_native(pmap_t pmap, vm_offset_t addr1,
    vm_offset_t addr2, smp_invl_local_cb_t curcpu_cb, enum invl_op_codes op)
{

	KASSERT(curthread->td_pinned > 0, ("curthread not pinned"));
	KASSERT(curthread->td_critnest == 0, ("shootdown amid a critical "
	    "section"));
	atomic_add_int(&kpi_native_shootdowns, 1);
	critical_enter();
	curcpu_cb(pmap, addr1, addr2);
	sched_unpin();
	critical_exit();
}

/* APIC ids are the processors' numbers. */
static void
native_ipi(u_int vector, int dest)
{
	int cpu;

	atomic_add_int(&kpi_native_ipis, 1);
	CPU_FOREACH(cpu) {
		if (dest == cpu || dest == APIC_IPI_DEST_ALL ||
		    (dest == APIC_IPI_DEST_SELF && cpu == curcpu) ||
		    (dest == APIC_IPI_DEST_OTHERS && cpu != curcpu))
			kpi_interrupt(cpu, vector);
	}
}

void	(*ipi_vectored)(u_int, int) = native_ipi;

static void
apic_ids_init(void *arg __unused)
{
	u_int i;

	for (i = 0; i < MAXCPU; i++)
		apic_ids[i] = i <= mp_maxid ? (int)i : -1;
	max_apic_id = mp_maxid;
}
SYSINIT(apic_ids, SI_SUB_CPU, SI_ORDER_FIRST, apic_ids_init, NULL);

/* Nothing else is asked for that a kernel may lack. */
caddr_t
linker_file_lookup_symbol(linker_file_t file, const char *name, int deps)
{

	KASSERT(file == linker_kernel_file, ("%s: %p", __func__, file));
	if (strcmp(name, "smp_targeted_tlb_shootdown") == 0)
		return ((caddr_t)&smp_targeted_tlb_shootdown);
	return (NULL);
}

/*
 * There is no idle thread to look at.  A module's text stays here, but its
 * variables do not: who is in a shoot-down, and so pinned, may need them yet.
 */
bool
hyperv_md_quiesce(void)
{

	kpi_threads_unpinned();
	return (true);
}
