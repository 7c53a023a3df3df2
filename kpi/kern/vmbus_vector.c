/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The interrupt entry of vmbus(4) is assembly in the kernel; here an interrupt
 * is a call, and this is the entry.
 */

#include <kern/kpi_internal.h>

#include <machine/frame.h>
#include <machine/md_var.h>
#include <x86/x86_var.h>

/* Page-table isolation: off. */
int	pti;

void	vmbus_handle_intr(struct trapframe *frame) __weak_symbol;
void	Xvmbus_isr(void);
void	Xvmbus_isr_pti(void);

void
Xvmbus_isr(void)
{
	struct trapframe frame;

	memset(&frame, 0, sizeof(frame));
	curthread->td_intr_frame = &frame;
	vmbus_handle_intr(&frame);
	curthread->td_intr_frame = NULL;
}

/* The entry for page-table isolation: no page tables change here. */
void
Xvmbus_isr_pti(void)
{

	Xvmbus_isr();
}
