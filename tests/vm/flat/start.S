/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The beginning of the image that freebsd_flat writes: Multiboot's header, and
 * code that may lie anywhere below 1 GiB, above what it copies.  It is entered
 * in 32-bit protected mode without a stack, puts the parts of the image where
 * they belong, and enters the kernel in long mode, as hvhost does.
 */

#include "flat_reg.h"

#define	MULTIBOOT_MAGIC	0x1BADB002

#define	CR0_PG		0x80000000
#define	CR0_NE		0x20
#define	CR4_PAE		0x20
#define	MSR_EFER	0xC0000080
#define	EFER_LME	0x100

	.section .rodata
	.balign	8
	.globl	flat_start, flat_start_entry, flat_start_end
	.code32
flat_start:
	.long	MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC
flat_start_entry:
	cli
	cld
	movl	$FLAT_STACK_TOP, %esp
	call	1f
1:	popl	%ebp
	addl	$(flat_start_end - 1b), %ebp

	leal	FLAT_COPIES(%ebp), %ebx
next:
	movl	FLAT_LEN(%ebx), %edx
	testl	%edx, %edx
	jz	enter
	movl	FLAT_TO(%ebx), %edi
	movl	%edx, %ecx
	shrl	$2, %ecx
	andl	$3, %edx
	movl	FLAT_FROM(%ebx), %esi
	testl	%esi, %esi
	jz	zero
	addl	%ebp, %esi
	rep movsl
	movl	%edx, %ecx
	rep movsb
	jmp	done
zero:
	xorl	%eax, %eax
	rep stosl
	movl	%edx, %ecx
	rep stosb
done:
	addl	$FLAT_COPY_SIZE, %ebx
	jmp	next

enter:
	subl	$8, %esp
	movw	$FLAT_GDT_LIMIT, (%esp)
	movl	FLAT_GDT(%ebp), %eax
	movl	%eax, 2(%esp)
	lgdt	(%esp)

	movl	FLAT_CR3(%ebp), %eax
	movl	%eax, %cr3
	/*
	 * PAE before LME: KVM below an emulated SVM loses the machine if it
	 * exits while LME is set, paging off and PAE clear.
	 */
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$(CR0_PG | CR0_NE), %eax
	movl	%eax, %cr0

	pushl	$FLAT_CODE64
	leal	(long - flat_start_end)(%ebp), %eax
	pushl	%eax
	lretl

	.code64
long:
	movw	$FLAT_DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%ebp, %ebp
	movl	FLAT_RSP(%rbp), %esp
	jmpq	*FLAT_RIP(%rbp)
	.balign	8
flat_start_end:

	.section .note.GNU-stack, "", @progbits
