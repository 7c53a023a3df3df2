/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Where the kernel enters a FreeBSD program, with RDI at what it was given, and
 * how it calls the kernel: the number in RAX, arguments in RDI, RSI, RDX, R10,
 * R8 and R9; the carry flag tells an error from a result.
 */

	.text
	.globl	_start
_start:
	movq	%rdi, start_args(%rip)
	xorl	%ebp, %ebp
	andq	$-16, %rsp
	call	init_main
	ud2

/* long sys(long number, ...six arguments): the result, or -errno */
	.globl	sys
	.type	sys, @function
sys:
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	jnc	1f
	negq	%rax
1:	ret
	.size	sys, . - sys

	.bss
	.globl	start_args
	.p2align 3
start_args:
	.quad	0

	.section .note.GNU-stack, "", @progbits
