/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The bus's interrupt on amd64: a vector from the kernel's allocator, and the
 * C half of its entry (vmbus_vector.S).
 *
 * Interrupts are counted in dev.vmbus.N and not in vmstat -i: entries of that
 * table cannot be given back, and a module comes and goes.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/proc.h>

#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>

#include <machine/atomic.h>
#include <machine/cpu.h>
#include <machine/cpufunc.h>
#include <machine/intr_machdep.h>
#include <machine/md_var.h>
#include <machine/segments.h>
#include <x86/apicvar.h>
#include <x86/x86_var.h>

#include <dev/hyperv/vmbus/vmbus_var.h>

extern inthand_t IDTVEC(vmbus_isr), IDTVEC(vmbus_isr_pti);
extern inthand_t IDTVEC(vmbus_et_isr), IDTVEC(vmbus_et_isr_pti);

/*
 * With page-table isolation an interrupt enters on the user's page tables.
 * They have the kernel's own text, where the driver may be, but not that of a
 * module: without the page of its entry the first interrupt in user mode would
 * be a triple fault, as it would be if a page of the kernel were taken away.
 */
static void
vmbus_md_pti_map(bool map)
{
	vm_offset_t va = trunc_page((uintptr_t)IDTVEC(vmbus_isr_pti));

	if (!pti || (va >= KERNSTART && va < (uintptr_t)etext))
		return;
	if (map)
		pmap_pti_add_kva(va, va + PAGE_SIZE, true);
	else
		pmap_pti_remove_kva(va, va + PAGE_SIZE);
}

int
vmbus_md_intr_alloc(int *vector)
{
	int v;

	vmbus_md_pti_map(true);
	v = lapic_ipi_alloc(pti ? IDTVEC(vmbus_isr_pti) : IDTVEC(vmbus_isr));
	if (v < 0) {
		vmbus_md_pti_map(false);
		return (ENOSPC);
	}
	*vector = v;
	return (0);
}

void
vmbus_md_intr_free(int vector)
{

	lapic_ipi_free(vector);
	vmbus_md_pti_map(false);
}

/* Its entry lies in the page that the bus's has shown (vmbus_vector.S). */
int
vmbus_md_et_alloc(int *vector)
{
	int v;

	KASSERT(trunc_page((uintptr_t)IDTVEC(vmbus_et_isr_pti)) ==
	    trunc_page((uintptr_t)IDTVEC(vmbus_isr_pti)),
	    ("vmbus: interrupt entries in two pages"));
	v = lapic_ipi_alloc(pti ? IDTVEC(vmbus_et_isr_pti) :
	    IDTVEC(vmbus_et_isr));
	if (v < 0)
		return (ENOSPC);
	*vector = v;
	return (0);
}

void
vmbus_md_et_free(int vector)
{

	lapic_ipi_free(vector);
}

/*
 * Returns in a critical section, which the entry ends (vmbus_vector.S): who is
 * preempted there must not have this module's text on its stack.  So the end of
 * interrupt comes before preemption, too: a thread that ran in between would
 * run with this priority class blocked.
 */
static __always_inline void
vmbus_md_intr(struct trapframe *frame, struct vmbus_softc *sc,
    void (*handler)(struct vmbus_softc *), bool autoeoi)
{
	struct trapframe *oldframe;
	struct thread *td = curthread;

	td->td_intr_nesting_level++;
	critical_enter();
	oldframe = td->td_intr_frame;
	td->td_intr_frame = frame;
	if (sc != NULL)
		handler(sc);
	td->td_intr_frame = oldframe;
	if (!autoeoi)
		lapic_eoi();
	td->td_intr_nesting_level--;
}

HYPERV_HOT void
vmbus_handle_intr(struct trapframe *frame)
{
	struct vmbus_softc *sc = vmbus_bus;

	vmbus_md_intr(frame, sc, vmbus_synic_intr,
	    sc != NULL && sc->sc_autoeoi);
}

/* Not from a SINT, so nothing ends it for us. */
HYPERV_HOT void
vmbus_handle_et_intr(struct trapframe *frame)
{

	vmbus_md_intr(frame, vmbus_bus, vmbus_et_intr, false);
}
