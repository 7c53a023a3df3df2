/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Interrupt entry of VMBus, with and without page-table isolation: the frame
 * is the kernel's, the rest is vmbus_handle_intr() (vmbus_machdep.c).
 */

/* The macros of asmacros.h take offsets and flags from here when read. */
#include "assym.inc"

#include <machine/psl.h>
#include <machine/specialreg.h>

#include <machine/asmacros.h>

/*
 * The entry for page-table isolation comes first and is shorter than this
 * alignment: it lies in one page, which vmbus_md_intr_alloc() shows to user
 * page tables.
 */
	.text
	.p2align 8
INTR_HANDLER vmbus_isr
	KMSAN_ENTER
	movq	%rsp, %rdi
	call	vmbus_handle_intr
	KMSAN_LEAVE
	/*
	 * The end of the critical section may be preempted for long, and the
	 * module be unloaded meanwhile: it returns to the kernel, not to us.
	 */
	leaq	doreti(%rip), %rax
	pushq	%rax
	jmp	critical_exit_KBI
