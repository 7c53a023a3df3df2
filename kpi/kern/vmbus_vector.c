/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The interrupt entry of vmbus(4) is assembly in the kernel; here an interrupt
 * is a call, and this is the entry.  Like the real one, it ends the critical
 * section that the handler returns in.
 */

#include <kern/kpi_internal.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/cpu.h>
#include <machine/frame.h>
#include <machine/md_var.h>
#include <x86/x86_var.h>

/* Page-table isolation: on, as that asks more of the driver. */
int	pti = 1;

/* Where a kernel's own text ends: drivers here are modules, outside of it. */
char	etext[1];

void	vmbus_handle_intr(struct trapframe *frame) __weak_symbol;
void	vmbus_handle_et_intr(struct trapframe *frame) __weak_symbol;
/* The entries lie in one page, as the driver's own do. */
#define	ENTRY	__section(".text.vmbus_entry")

void	Xvmbus_isr(void) ENTRY __aligned(PAGE_SIZE);
void	Xvmbus_isr_pti(void) ENTRY;
void	Xvmbus_et_isr(void) ENTRY;
void	Xvmbus_et_isr_pti(void) ENTRY;

static void
vmbus_entry(void (*handler)(struct trapframe *frame))
{
	struct thread *td = curthread;
	struct trapframe frame;
	int level __diagused = td->td_intr_nesting_level;
	u_int nest __diagused = td->td_critnest;

	memset(&frame, 0, sizeof(frame));
	td->td_intr_frame = &frame;
	handler(&frame);
	td->td_intr_frame = NULL;
	KASSERT(td->td_critnest == nest + 1 &&
	    td->td_intr_nesting_level == level,
	    ("vmbus: a thread may be preempted in a module's text, which can "
	    "go meanwhile"));
	critical_exit();
}

void
Xvmbus_isr(void)
{

	vmbus_entry(vmbus_handle_intr);
}

void
Xvmbus_et_isr(void)
{

	vmbus_entry(vmbus_handle_et_intr);
}

/* The entries for page-table isolation: no page tables change here. */
void
Xvmbus_isr_pti(void)
{

	Xvmbus_isr();
}

void
Xvmbus_et_isr_pti(void)
{

	Xvmbus_et_isr();
}

/* What user page tables would have of the kernel: checked, not done. */
static vm_offset_t pti_kva;

void
pmap_pti_add_kva(vm_offset_t sva, vm_offset_t eva, bool exec)
{

	KASSERT(sva < eva && pti_kva == 0, ("%s: %#lx to %#lx", __func__, sva,
	    eva));
	pti_kva = sva;
}

void
pmap_pti_remove_kva(vm_offset_t sva, vm_offset_t eva)
{

	KASSERT(sva < eva && pti_kva == sva, ("%s: %#lx to %#lx", __func__,
	    sva, eva));
	pti_kva = 0;
}
