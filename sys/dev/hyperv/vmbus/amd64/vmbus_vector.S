/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Interrupt entries of VMBus and of its event timer, with and without
 * page-table isolation: the frame is the kernel's, the rest is
 * vmbus_handle_intr() and vmbus_handle_et_intr() (vmbus_machdep.c).
 */

/* The macros of asmacros.h take offsets and flags from here when read. */
#include "assym.inc"

#include <machine/psl.h>
#include <machine/specialreg.h>

#include <machine/asmacros.h>

/*
 * An entry for page-table isolation comes first in its handler, and all lies in
 * one page, which vmbus_md_intr_alloc() shows to user page tables: the two
 * handlers are shorter than this alignment.
 *
 * The end of the critical section may be preempted for long, and the module be
 * unloaded meanwhile: it returns to the kernel, not to us.
 */
	.macro	VMBUS_HANDLER handler
	KMSAN_ENTER
	movq	%rsp, %rdi
	call	\handler
	KMSAN_LEAVE
	leaq	doreti(%rip), %rax
	pushq	%rax
	jmp	critical_exit_KBI
	.endm

	.text
	.p2align 11
INTR_HANDLER vmbus_isr
	VMBUS_HANDLER vmbus_handle_intr

INTR_HANDLER vmbus_et_isr
	VMBUS_HANDLER vmbus_handle_et_intr
