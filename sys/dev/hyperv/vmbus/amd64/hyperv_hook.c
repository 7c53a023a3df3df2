/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Where an amd64 kernel lets its shoot-downs and IPIs be done by somebody
 * else: pointers to functions.  All have one for an IPI to one destination;
 * the others, of which that for an IPI to a set comes with a patch alone, are
 * looked up by name.
 *
 * For one destination, or all others, an x2APIC's register takes one exit, as a
 * hypercall does, which costs more: that pointer is hooked where the APIC is in
 * memory, and takes several.
 *
 * A hooked function does its work on this processor in any case, and hands all
 * of it to the kernel's own if the hypervisor has not done its part.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/kdb.h>
#include <sys/linker.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <sys/sched.h>
#include <sys/smp.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/atomic.h>
#include <machine/intr_machdep.h>
#include <x86/apicvar.h>
#include <x86/x86_var.h>

#include <dev/hyperv/vmbus/hyperv_smp.h>

#define	HYPERV_SHOOTDOWN	"smp_targeted_tlb_shootdown"
#define	HYPERV_IPI_SET		"ipi_set_hook"

/*
 * Kernels number what they want invalidated from 1 on: translations by ten
 * ways to do that on the other processor, then caches, which no hypercall
 * does.
 */
#define	HYPERV_INVL_TLB_FIRST	1
#define	HYPERV_INVL_TLB_LAST	10

/* As the kernel's, but that not all of them have a name for the last. */
typedef void hyperv_local_t(pmap_t, vm_offset_t, vm_offset_t);
typedef void hyperv_shootdown_t(pmap_t, vm_offset_t, vm_offset_t,
    hyperv_local_t *, u_int);
typedef void hyperv_send_t(u_int, int);
typedef bool hyperv_send_set_t(const cpuset_t *, u_int);

static struct {
	hyperv_shootdown_t	**tlb_hook;
	hyperv_shootdown_t	*tlb_native;
	hyperv_send_t		*ipi_native;
	hyperv_send_set_t	**set_hook;	/* of nobody otherwise */
	u_int			 hooked;
} hyperv_hook;

/*
 * Pages [addr1, addr2), the page at addr1 for an addr2 of 0, everything for
 * two zeros.  The caller has pinned itself, and is not pinned when this
 * returns.
 */
static void
hyperv_hook_shootdown(pmap_t pmap, vm_offset_t addr1, vm_offset_t addr2,
    hyperv_local_t *local, u_int op)
{
	struct hyperv_flush hf;
	cpuset_t cpus;
	bool done = false;

	if (op < HYPERV_INVL_TLB_FIRST || op > HYPERV_INVL_TLB_LAST ||
	    kdb_active || SCHEDULER_STOPPED() || smp_started == 0) {
		hyperv_hook.tlb_native(pmap, addr1, addr2, local, op);
		return;
	}
	/*
	 * It changes under us; who comes later has seen the new table.  The
	 * kernel's may name processors that are not there.
	 */
	CPU_COPY(pmap_invalidate_cpu_mask(pmap), &cpus);
	CPU_AND(&cpus, &cpus, &all_cpus);
	hf.hf_all = CPU_CMP(&cpus, &all_cpus) == 0;
	CPU_CLR(curcpu, &cpus);
	critical_enter();
	if (!CPU_EMPTY(&cpus)) {
		hf.hf_cpus = &cpus;
		hf.hf_global = pmap == kernel_pmap;
		hf.hf_va = trunc_page(addr1);
		if (addr1 == 0 && addr2 == 0)
			hf.hf_npages = 0;
		else if (addr2 <= addr1)
			hf.hf_npages = 1;
		else
			hf.hf_npages = atop(round_page(addr2) - hf.hf_va);
		done = hyperv_tlb_flush(&hf);
	}
	if (done) {
		local(pmap, addr1, addr2);
		sched_unpin();
	}
	critical_exit();
	if (!done)
		hyperv_hook.tlb_native(pmap, addr1, addr2, local, op);
}

/* Processors by APIC id, or one of the APIC's own sets. */
static void
hyperv_hook_ipi(u_int vector, int dest)
{
	cpuset_t cpus;
	bool done = false;
	int cpu;

	CPU_ZERO(&cpus);
	critical_enter();
	if (vector < IPI_NMI_FIRST && !SCHEDULER_STOPPED() && smp_started) {
		if (dest == APIC_IPI_DEST_OTHERS) {
			CPU_COPY(&all_cpus, &cpus);
			CPU_CLR(curcpu, &cpus);
		} else if (dest >= 0 && (u_int)dest <= max_apic_id) {
			cpu = apic_cpuids[dest];
			if (cpu >= 0 && CPU_ISSET(cpu, &all_cpus))
				CPU_SET(cpu, &cpus);
		}
	}
	if (!CPU_EMPTY(&cpus))
		done = hyperv_ipi_send(&cpus, vector);
	critical_exit();
	if (!done)
		hyperv_hook.ipi_native(vector, dest);
}

/* What is not done for all of them, the kernel does for each. */
static bool
hyperv_hook_ipi_set(const cpuset_t *to, u_int vector)
{
	cpuset_t cpus;
	bool done = false;

	CPU_AND(&cpus, to, &all_cpus);
	if (x2apic_mode != 0 && CPU_COUNT(&cpus) < 2)
		return (false);
	critical_enter();
	if (vector < IPI_NMI_FIRST && !SCHEDULER_STOPPED() && smp_started)
		done = hyperv_ipi_send(&cpus, vector);
	critical_exit();
	return (done);
}

u_int
hyperv_md_hooks(void)
{

	hyperv_hook.tlb_hook = (hyperv_shootdown_t **)
	    linker_file_lookup_symbol(linker_kernel_file, HYPERV_SHOOTDOWN, 0);
	hyperv_hook.set_hook = (hyperv_send_set_t **)
	    linker_file_lookup_symbol(linker_kernel_file, HYPERV_IPI_SET, 0);
	return ((hyperv_hook.tlb_hook != NULL ? HYPERV_SMP_TLB : 0) |
	    (x2apic_mode == 0 || hyperv_hook.set_hook != NULL ?
	    HYPERV_SMP_IPI : 0));
}

static void
hyperv_md_point(volatile void *hook, uintptr_t to)
{

	atomic_store_rel_ptr((volatile uintptr_t *)hook, to);
}

void
hyperv_md_hook(u_int what)
{

	if ((what & HYPERV_SMP_TLB) != 0) {
		hyperv_hook.tlb_native = *hyperv_hook.tlb_hook;
		hyperv_md_point(hyperv_hook.tlb_hook,
		    (uintptr_t)hyperv_hook_shootdown);
	}
	if ((what & HYPERV_SMP_IPI) != 0) {
		if (x2apic_mode == 0) {
			hyperv_hook.ipi_native = ipi_vectored;
			hyperv_md_point(&ipi_vectored,
			    (uintptr_t)hyperv_hook_ipi);
		}
		if (hyperv_hook.set_hook != NULL)
			hyperv_md_point(hyperv_hook.set_hook,
			    (uintptr_t)hyperv_hook_ipi_set);
	}
	hyperv_hook.hooked = what;
}

/* What a late caller jumps to stays. */
void
hyperv_md_unhook(void)
{

	if ((hyperv_hook.hooked & HYPERV_SMP_TLB) != 0)
		hyperv_md_point(hyperv_hook.tlb_hook,
		    (uintptr_t)hyperv_hook.tlb_native);
	if ((hyperv_hook.hooked & HYPERV_SMP_IPI) != 0) {
		if (x2apic_mode == 0)
			hyperv_md_point(&ipi_vectored,
			    (uintptr_t)hyperv_hook.ipi_native);
		if (hyperv_hook.set_hook != NULL)
			hyperv_md_point(hyperv_hook.set_hook, 0);
	}
	hyperv_hook.hooked = 0;
}
