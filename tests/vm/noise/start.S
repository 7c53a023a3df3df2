/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The noise guest's first instructions, its interrupt entries, and the
 * instructions of its that may fault.
 *
 * Each processor's stack is the upper part of an aligned 64 KiB block, whose
 * beginning is its struct cpu (noise.h).
 */

#define	STACK_SIZE	65536
#define	TRAMPOLINE	0x8000		/* the start-up IPI's vector is 8 */

#define	CR0_PG		0x80000000
#define	CR0_WP		0x00010000
#define	CR0_PE		0x00000001
#define	CR4_PAE		0x20
#define	MSR_EFER	0xC0000080
#define	EFER_LME	0x100

	/* PVH: "Xen", type 18, the 32-bit entry. */
	.section .note.xen, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	pvh_start

	.text
	.code32
	.globl	pvh_start
pvh_start:
	cli
	movl	%ebx, start_info
	call	long_mode_tables
	movl	$long_mode, %eax
	jmp	enter_long_mode

	/*
	 * The first 8 GiB, one to one, in pages of 2 MiB.
	 */
long_mode_tables:
	movl	$pdpt + 3, pml4
	movl	$pd + 3, %eax
	movl	$pdpt, %edi
	movl	$8, %ecx
1:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	loop	1b
	movl	$0x83, %eax
	xorl	%edx, %edx
	movl	$pd, %edi
	movl	$8 * 512, %ecx
1:	movl	%eax, (%edi)
	movl	%edx, 4(%edi)
	addl	$0x200000, %eax
	adcl	$0, %edx
	addl	$8, %edi
	loop	1b
	ret

	/*
	 * To %eax in 64-bit mode.  PAE comes before LME: a nested KVM has
	 * trouble with exits in between the other way round.
	 */
enter_long_mode:
	lgdt	gdt_register
	movl	%eax, %esi
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG | CR0_WP | CR0_PE, %eax
	movl	%eax, %cr0
	movl	%esi, %eax
	ljmp	$0x10, $1f
	.code64
1:	movl	$0x18, %ecx
	movl	%ecx, %ds
	movl	%ecx, %es
	movl	%ecx, %ss
	xorl	%ecx, %ecx
	movl	%ecx, %fs
	movl	%ecx, %gs
	movl	%eax, %eax
	jmp	*%rax

long_mode:
	xorl	%edi, %edi
	jmp	on_stack

	/* A processor that a start-up IPI has woken: takes the next number. */
ap_long_mode:
	movl	$1, %edi
	lock xaddl %edi, cpus_started
	cmpl	$CPUS_MAX, %edi
	jae	park
on_stack:
	movl	%edi, %eax
	incl	%eax
	imulq	$STACK_SIZE, %rax, %rax
	leaq	cpu_blocks(%rax), %rsp
	leaq	-STACK_SIZE(%rsp), %rsi
	call	cpu_main
	.globl	park
park:
	cli
	hlt
	jmp	park

	/* Copied to TRAMPOLINE; real mode. */
	.code16
	.globl	trampoline, trampoline_end
trampoline:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	TRAMPOLINE + trampoline_gdt - trampoline
	movl	%cr0, %eax
	orl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$0x20, $ap_start32
	.balign	4
trampoline_gdt:
	.word	gdt_end - gdt - 1
	.long	gdt
trampoline_end:

	.code32
ap_start32:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$ap_long_mode, %eax
	jmp	enter_long_mode

	.code64

	/*
	 * Interrupt entries, 16 bytes each.  A vector does not tell whether
	 * there is an error code: interrupts may come by any.  The processor
	 * aligns the stack to 16 before its five words, or six with a code.
	 */
	.balign	16
	.globl	entries
entries:
	.set	vector, 0
	.rept	256
	.balign	16
	pushq	$vector
	.byte	0xE9			/* jmp, 32 bits */
	.long	entry_common - . - 4
	.set	vector, vector + 1
	.endr

entry_common:
	cld
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	movl	9 * 8(%rsp), %edi	/* vector */
	leaq	10 * 8(%rsp), %rsi	/* what the processor has pushed */
	movl	%esp, %eax
	/* 5 + 10 words down from a multiple of 16, or 6 + 10. */
	testl	$8, %eax
	jz	with_code
	call	interrupt
	call	restore
	addq	$8, %rsp
	iretq
with_code:
	addq	$8, %rsi
	call	exception
	call	restore
	addq	$16, %rsp
	iretq

	/* Puts the registers back, the return address stays on top. */
restore:
	movq	1 * 8(%rsp), %r11
	movq	2 * 8(%rsp), %r10
	movq	3 * 8(%rsp), %r9
	movq	4 * 8(%rsp), %r8
	movq	5 * 8(%rsp), %rdi
	movq	6 * 8(%rsp), %rsi
	movq	7 * 8(%rsp), %rdx
	movq	8 * 8(%rsp), %rcx
	movq	9 * 8(%rsp), %rax
	ret	$9 * 8

	/* Instructions that may fault; then they return as `faulted' says. */
	.macro	may_fault
	.pushsection .extable, "a"
	.quad	9f
	.popsection
9:
	.endm

	.globl	faulted
faulted:
	movl	$1, %eax
	ret

	/* int try_rdmsr(uint32_t msr, uint64_t *val) */
	.globl	try_rdmsr
try_rdmsr:
	movl	%edi, %ecx
	may_fault
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, (%rsi)
	xorl	%eax, %eax
	ret

	/* int try_wrmsr(uint32_t msr, uint64_t val) */
	.globl	try_wrmsr
try_wrmsr:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
	may_fault
	wrmsr
	xorl	%eax, %eax
	ret

	/*
	 * uint64_t hypercall(uint64_t control, uint64_t in, uint64_t out,
	 * uint64_t rax): RAX counts where the call is not Hyper-V's.
	 */
	.globl	hypercall
hypercall:
	movq	%rdx, %r8
	movq	%rcx, %rax
	movq	%rsi, %rdx
	movq	%rdi, %rcx
	cmpb	$0, is_amd
	jne	1f
	may_fault
	vmcall
	ret
1:	may_fault
	vmmcall
	ret

	.data
	.balign	8
gdt:	.quad	0, 0
	.quad	0x00AF9B000000FFFF	/* 0x10: 64-bit code */
	.quad	0x00CF93000000FFFF	/* 0x18: data */
	.quad	0x00CF9B000000FFFF	/* 0x20: 32-bit code */
gdt_end:
gdt_register:
	.word	gdt_end - gdt - 1
	.quad	gdt
	.balign	4
	.globl	cpus_started
cpus_started:
	.long	1
	.globl	start_info
start_info:
	.long	0

	.bss
	.balign	4096
	/* A page on either side, for the host to be pointed at. */
	.globl	pml4, tables_end
	.skip	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pd:	.skip	8 * 4096
tables_end:
	.skip	4096
	.balign	STACK_SIZE
	.globl	cpu_blocks
cpu_blocks:
	.skip	CPUS_MAX * STACK_SIZE

	.section .note.GNU-stack, "", @progbits
