/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the hypervisor interface needs of an amd64 processor, one instruction
 * a function.  Knows nothing of what the values mean.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <machine/atomic.h>
#include <machine/cpufunc.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/vmbus/hyperv_var.h>

void
hyperv_md_cpuid(uint32_t leaf, uint32_t regs[4])
{

	do_cpuid(leaf, regs);
}

uint64_t
hyperv_md_rdmsr(uint32_t msr)
{

	return (rdmsr(msr));
}

void
hyperv_md_wrmsr(uint32_t msr, uint64_t val)
{

	wrmsr(msr, val);
}

/*
 * The page's content is the hypervisor's; a caller must take every register
 * of the calling convention's volatile set as changed (protocol: hypervisor,
 * 5.1), and memory, since results and overlays appear there.
 */
HYPERV_HOT uint64_t
hyperv_md_hypercall(const void *page, uint64_t control, uint64_t in,
    uint64_t out)
{
	uint64_t result;
	register uint64_t r8 __asm("r8") = out;

	__asm __volatile("call *%[page]"
	    : "=a" (result), "+c" (control), "+d" (in), "+r" (r8)
	    : [page] "r" (page)
	    : "r9", "r10", "r11", "cc", "memory");
	return (result);
}

/* Not earlier than any load before it in program order. */
uint64_t
hyperv_md_tsc(void)
{

	rmb();
	return (rdtsc());
}

/* The high half of the 128-bit product. */
uint64_t
hyperv_md_mul64hi(uint64_t a, uint64_t b)
{
	uint64_t hi, lo;

	__asm("mulq %[b]" : "=a" (lo), "=d" (hi) : "a" (a), [b] "rm" (b) :
	    "cc");
	return (hi);
}
