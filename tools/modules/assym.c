/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The offsets that machine/asmacros.h needs in interrupt entries, taken from
 * the headers that a module is built against.  A FreeBSD build has a table for
 * the whole kernel; headers that are installed do not.
 *
 * Compiled to assembler, of which tools/modules.py takes the marked lines.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/pcpu.h>
#include <sys/proc.h>

#include <machine/frame.h>
#include <machine/pcb.h>
#include <machine/psl.h>
#include <machine/segments.h>

#define	ASSYM(name, value)						\
	__asm(".ascii \"@ASSYM " #name " %c0\"" : : "i" (value))

void	assym(void);

void
assym(void)
{

	ASSYM(TF_RDI, __offsetof(struct trapframe, tf_rdi));
	ASSYM(TF_RSI, __offsetof(struct trapframe, tf_rsi));
	ASSYM(TF_RDX, __offsetof(struct trapframe, tf_rdx));
	ASSYM(TF_RCX, __offsetof(struct trapframe, tf_rcx));
	ASSYM(TF_R8, __offsetof(struct trapframe, tf_r8));
	ASSYM(TF_R9, __offsetof(struct trapframe, tf_r9));
	ASSYM(TF_RAX, __offsetof(struct trapframe, tf_rax));
	ASSYM(TF_RBX, __offsetof(struct trapframe, tf_rbx));
	ASSYM(TF_RBP, __offsetof(struct trapframe, tf_rbp));
	ASSYM(TF_R10, __offsetof(struct trapframe, tf_r10));
	ASSYM(TF_R11, __offsetof(struct trapframe, tf_r11));
	ASSYM(TF_R12, __offsetof(struct trapframe, tf_r12));
	ASSYM(TF_R13, __offsetof(struct trapframe, tf_r13));
	ASSYM(TF_R14, __offsetof(struct trapframe, tf_r14));
	ASSYM(TF_R15, __offsetof(struct trapframe, tf_r15));
	ASSYM(TF_FS, __offsetof(struct trapframe, tf_fs));
	ASSYM(TF_GS, __offsetof(struct trapframe, tf_gs));
	ASSYM(TF_ES, __offsetof(struct trapframe, tf_es));
	ASSYM(TF_DS, __offsetof(struct trapframe, tf_ds));
	ASSYM(TF_FLAGS, __offsetof(struct trapframe, tf_flags));
	ASSYM(TF_RIP, __offsetof(struct trapframe, tf_rip));
	ASSYM(TF_CS, __offsetof(struct trapframe, tf_cs));
	ASSYM(TF_HASSEGS, TF_HASSEGS);
	ASSYM(PSL_D, PSL_D);
	ASSYM(PSL_AC, PSL_AC);
	ASSYM(SEL_RPL_MASK, SEL_RPL_MASK);
	ASSYM(PCB_FLAGS, __offsetof(struct pcb, pcb_flags));
	ASSYM(PCB_FULL_IRET, PCB_FULL_IRET);
	ASSYM(PC_CURPCB, __offsetof(struct pcpu, pc_curpcb));
	ASSYM(PC_KCR3, __offsetof(struct pcpu, pc_kcr3));
	ASSYM(PC_UCR3, __offsetof(struct pcpu, pc_ucr3));
	ASSYM(PC_RSP0, __offsetof(struct pcpu, pc_rsp0));
	ASSYM(PTI_SIZE, sizeof(struct pti_frame));
	ASSYM(PTI_ERR, __offsetof(struct pti_frame, pti_err));
	ASSYM(PTI_CS, __offsetof(struct pti_frame, pti_cs));
}
