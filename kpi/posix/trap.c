/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Privileged instructions of FreeBSD-side code.  The processor refuses them in
 * a Linux process with SIGSEGV (general protection); CPUID, PUSHF and POPF,
 * which it does not refuse, come as UD2 followed by the instruction itself
 * (kpi/include/kpi_trap.h) and so as SIGILL.  The handler decodes, calls the
 * kernel as a function on the same thread, and steps over the instruction.
 * What it does not know it leaves to whoever handled the signal before: the
 * sanitizer's report or a core dump.
 */

#include <cpuid.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "waist.h"

#define	X86_EFLAGS_IF	0x200
#define	X86_PF_INSTR	0x10		/* error code: instruction fetch */

/* The system call's own structure, which is not libc's. */
struct ksigaction {
	void	(*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void	(*restorer)(void);
	uint64_t mask;
};

#define	KSA_SIGINFO	0x00000004UL
#define	KSA_RESTORER	0x04000000UL
#define	KSA_NODEFER	0x40000000UL

void	hosted_sigreturn(void);

/* The kernel returns from a handler through this. */
__asm__(
    ".text\n"
    ".globl hosted_sigreturn\n"
    ".type hosted_sigreturn, @function\n"
    "hosted_sigreturn:\n"
    "\tmovl $15, %eax\n"	/* rt_sigreturn */
    "\tsyscall\n"
    ".size hosted_sigreturn, . - hosted_sigreturn\n");

static struct hosted_trap trap;
static struct ksigaction old_segv, old_ill;

/*
 * Past the sanitizers' sigaction(): TSan would take the host model's work in
 * here for that of an asynchronous handler, where nothing is allowed.
 */
static void
sigaction_raw(int sig, const struct ksigaction *new, struct ksigaction *old)
{
	syscall(SYS_rt_sigaction, sig, new, old, sizeof(uint64_t));
}

static void
pass_on(const struct ksigaction *old, int sig, siginfo_t *si, void *ctx)
{
	struct ksigaction dfl;
	ucontext_t *uc = ctx;
	char buf[128];
	int n;

	n = snprintf(buf, sizeof(buf), "fatal: signal %d%s at pc %#llx, "
	    "address %p\n", sig, sig == SIGSEGV && si->si_code != SI_KERNEL &&
	    (uc->uc_mcontext.gregs[REG_ERR] & X86_PF_INSTR) != 0 ?
	    " (instruction fetch)" : "",
	    (unsigned long long)uc->uc_mcontext.gregs[REG_RIP], si->si_addr);
	hosted_panic_tell(buf);
	if (old->handler != (void *)SIG_DFL &&
	    old->handler != (void *)SIG_IGN && (old->flags & KSA_SIGINFO)) {
		old->handler(sig, si, ctx);
		return;
	}
	if (write(STDERR_FILENO, buf, n) == n)
		hosted_backtrace();
	/* Back to the instruction, which faults again and dumps core. */
	memset(&dfl, 0, sizeof(dfl));
	sigaction_raw(sig, &dfl, NULL);
}

static void
do_cpuid(greg_t *r)
{
	hosted_u32 regs[4];

	__cpuid_count((uint32_t)r[REG_RAX], (uint32_t)r[REG_RCX], regs[0],
	    regs[1], regs[2], regs[3]);
	trap.cpuid((uint32_t)r[REG_RAX], (uint32_t)r[REG_RCX], regs);
	r[REG_RAX] = regs[0];
	r[REG_RBX] = regs[1];
	r[REG_RCX] = regs[2];
	r[REG_RDX] = regs[3];
}

static void
do_pushf(greg_t *r)
{
	uint64_t flags;

	flags = (uint64_t)r[REG_EFL] & ~(uint64_t)X86_EFLAGS_IF;
	if (trap.intr_get())
		flags |= X86_EFLAGS_IF;
	r[REG_RSP] -= sizeof(flags);
	memcpy((void *)r[REG_RSP], &flags, sizeof(flags));
}

static void
do_popf(greg_t *r)
{
	uint64_t flags;

	memcpy(&flags, (void *)r[REG_RSP], sizeof(flags));
	r[REG_RSP] += sizeof(flags);
	/* Arithmetic flags and the direction flag are the program's. */
	r[REG_EFL] = (r[REG_EFL] & ~0xcd5LL) | (flags & 0xcd5);
	trap.intr_set((flags & X86_EFLAGS_IF) != 0);
}

/* Instructions that are privileged; false: it is none of those. */
static bool
do_privileged(greg_t *r)
{
	const uint8_t *pc = (const uint8_t *)r[REG_RIP];
	hosted_u64 val;

	if (trap.rdmsr == NULL)
		return (false);
	if (pc[0] == 0x0f && pc[1] == 0x32) {
		trap.rdmsr((uint32_t)r[REG_RCX], &val);
		r[REG_RAX] = (uint32_t)val;
		r[REG_RDX] = val >> 32;
		r[REG_RIP] += 2;
	} else if (pc[0] == 0x0f && pc[1] == 0x30) {
		val = (uint32_t)r[REG_RAX] |
		    (uint64_t)(uint32_t)r[REG_RDX] << 32;
		trap.wrmsr((uint32_t)r[REG_RCX], val);
		r[REG_RIP] += 2;
	} else if (pc[0] == 0xfa || pc[0] == 0xfb) {
		trap.intr_set(pc[0] == 0xfb);
		r[REG_RIP] += 1;
	} else if (pc[0] == 0xf4) {
		trap.hlt();
		r[REG_RIP] += 1;
	} else
		return (false);
	return (true);
}

/* Instructions that come marked. */
static bool
do_marked(greg_t *r)
{
	const uint8_t *pc = (const uint8_t *)r[REG_RIP];

	if (trap.cpuid == NULL || pc[0] != 0x0f || pc[1] != 0x0b)
		return (false);
	if (pc[2] == 0x0f && pc[3] == 0xa2) {
		do_cpuid(r);
		r[REG_RIP] += 4;
	} else if (pc[2] == 0x9c) {
		r[REG_RIP] += 3;
		do_pushf(r);
	} else if (pc[2] == 0x9d) {
		r[REG_RIP] += 3;
		do_popf(r);
	} else
		return (false);
	return (true);
}

static void
segv_handler(int sig, siginfo_t *si, void *ctx)
{
	greg_t *r = ((ucontext_t *)ctx)->uc_mcontext.gregs;

	/* Only a general protection fault has no address. */
	if (si->si_code != SI_KERNEL || !do_privileged(r))
		pass_on(&old_segv, sig, si, ctx);
}

static void
ill_handler(int sig, siginfo_t *si, void *ctx)
{
	greg_t *r = ((ucontext_t *)ctx)->uc_mcontext.gregs;

	/* Valgrind refuses privileged instructions this way. */
	if (!do_marked(r) && !do_privileged(r))
		pass_on(&old_ill, sig, si, ctx);
}

void
hosted_trap_register(const struct hosted_trap *t)
{
	struct ksigaction sa;

	trap = *t;
	memset(&sa, 0, sizeof(sa));
	/* The host model may run on a thread that trapped once already. */
	sa.flags = KSA_SIGINFO | KSA_RESTORER | KSA_NODEFER;
	sa.restorer = hosted_sigreturn;
	sa.handler = segv_handler;
	sigaction_raw(SIGSEGV, &sa, &old_segv);
	sa.handler = ill_handler;
	sigaction_raw(SIGILL, &sa, &old_ill);
}
