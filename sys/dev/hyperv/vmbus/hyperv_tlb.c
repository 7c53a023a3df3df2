/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A TLB shoot-down by one hypercall (protocol: hypervisor, 5.6).
 *
 * Translations of all address spaces are named, always.  A user's pages have
 * two of them with page-table isolation, a kernel's pages are in each, and
 * with PCIDs a processor keeps those of spaces that it is not in: who names
 * one may leave others behind.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/atomic.h>

#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_smp.h>

/* Writes the list, of one element at most; its length. */
HYPERV_HOT static u_int
hyperv_tlb_list(const struct hyperv_flush *hf, uint64_t *list)
{

	if (hf->hf_npages == 0 || hf->hf_npages > HYPERV_FLUSH_PAGES_MAX)
		return (0);
	list[0] = (hf->hf_va & ~HYPERV_FLUSH_MORE_MASK) | (hf->hf_npages - 1);
	return (1);
}

static uint64_t
hyperv_tlb_flags(const struct hyperv_flush *hf, u_int reps)
{
	uint64_t flags = HYPERV_FLUSH_ALL_SPACES;

	/* Not for a list, whose pages may be the kernel's. */
	if (reps == 0 && !hf->hf_global)
		flags |= HYPERV_FLUSH_NON_GLOBAL;
	return (flags);
}

static bool
hyperv_tlb_call(uint64_t control, const void *in, u_int reps)
{
	uint64_t result;

	control |= (uint64_t)reps << HYPERV_HCALL_REPS_SHIFT;
	/* What is flushed was changed before: others must see that first. */
	atomic_thread_fence_seq_cst();
	result = hyperv_hypercall(control, vtophys(in), 0);
	return ((result & HYPERV_STATUS_MASK) == HYPERV_STATUS_SUCCESS &&
	    (result >> HYPERV_HCALL_REPS_SHIFT & HYPERV_HCALL_REPS_MASK) ==
	    reps);
}

HYPERV_HOT static bool
hyperv_tlb_short(const struct hyperv_flush *hf, struct hyperv_flush_in *in,
    uint64_t vps)
{
	u_int reps;

	reps = hyperv_tlb_list(hf, in->fl_list);
	in->fl_space = 0;
	in->fl_flags = hyperv_tlb_flags(hf, reps);
	if (hf->hf_all)
		in->fl_flags |= HYPERV_FLUSH_ALL_CPUS;
	in->fl_vps = vps;
	return (hyperv_tlb_call(reps != 0 ? HYPERV_HCALL_FLUSH_LIST :
	    HYPERV_HCALL_FLUSH_SPACE, in, reps));
}

static bool
hyperv_tlb_long(const struct hyperv_flush *hf, struct hyperv_flush_ex_in *in)
{
	u_int banks, reps;

	banks = hyperv_vpset_fill(hf->hf_cpus, &in->fx_vps);
	if (banks == 0)
		return (false);
	/* Behind the banks that are there. */
	reps = hyperv_tlb_list(hf, (uint64_t *)&in->fx_vps +
	    (__offsetof(struct hyperv_vpset, vs_bank) / sizeof(uint64_t)) +
	    banks);
	in->fx_space = 0;
	in->fx_flags = hyperv_tlb_flags(hf, reps);
	return (hyperv_tlb_call((reps != 0 ? HYPERV_HCALL_FLUSH_LIST_EX :
	    HYPERV_HCALL_FLUSH_SPACE_EX) |
	    (uint64_t)banks << HYPERV_HCALL_VARHEAD_SHIFT, in, reps));
}

HYPERV_HOT bool
hyperv_tlb_flush(const struct hyperv_flush *hf)
{
	struct hyperv_smp_pcpu *sp;
	uint64_t vps = 0;
	bool done = false;

	sp = hyperv_smp_enter(HYPERV_SMP_TLB);
	if (sp == NULL)
		return (false);
	/* An interrupt came into one of ours, and would write its input. */
	if (sp->sp_busy != 1)
		goto out;
	if (hf->hf_all || hyperv_vpset_mask(hf->hf_cpus, &vps))
		done = hyperv_tlb_short(hf, sp->sp_in, vps);
	else if (hyperv_smp_has_ex())
		done = hyperv_tlb_long(hf, sp->sp_in);
out:
	sp->sp_count[done ? HYPERV_COUNT_FLUSHES :
	    HYPERV_COUNT_FLUSH_FALLBACKS]++;
	hyperv_smp_leave(sp);
	return (done);
}
