/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest that is up at once: says so on the serial port, then sends back what
 * comes in, but for the letters that make it do something else.
 *
 *	F	print without an end
 *	O	power off
 *	R	reset
 *	T	triple fault
 */

#define	COM1		0x3F8
#define	COM1_LSR	0x3FD
#define	LSR_READY	0x01
#define	RESET		0xCF9
#define	PM1_CONTROL	0x604
#define	SLP_S5		0x3400

	/* PVH: "Xen", type 18, the 32-bit entry. */
	.section .note.xen, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	start

	.section .rodata
up:	.asciz	"up\r\n"
line:	.asciz	"A line of many.\r\n"

	.text
	.code32
	.globl	start
start:
	movl	$up, %esi
	call	print
next:
	movw	$COM1_LSR, %dx
	inb	%dx, %al
	testb	$LSR_READY, %al
	jz	next
	movw	$COM1, %dx
	inb	%dx, %al
	cmpb	$'F', %al
	je	flood
	cmpb	$'O', %al
	je	off
	cmpb	$'R', %al
	je	reset
	cmpb	$'T', %al
	je	triple
	outb	%al, %dx
	jmp	next

flood:
	movl	$line, %esi
	call	print
	jmp	flood

off:
	movw	$PM1_CONTROL, %dx
	movw	$SLP_S5, %ax
	outw	%ax, %dx
	jmp	next

reset:
	movw	$RESET, %dx
	movb	$6, %al
	outb	%al, %dx
	jmp	next

triple:
	/* There is no interrupt table. */
	ud2

print:
	movw	$COM1, %dx
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	ret

	.section .note.GNU-stack, "", @progbits
