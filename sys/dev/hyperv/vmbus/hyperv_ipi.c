/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * An interrupt to a set of processors by one hypercall (protocol: hypervisor,
 * 5.6), fixed and edge-triggered as the local APIC's would be.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/atomic.h>

#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_smp.h>

static bool
hyperv_ipi_long(const cpuset_t *cpus, u_int vector, struct hyperv_ipi_ex_in *in)
{
	u_int banks;

	banks = hyperv_vpset_fill(cpus, &in->ix_vps);
	if (banks == 0)
		return (false);
	in->ix_vector = vector;
	in->ix_vtl = 0;
	memset(in->ix_rsvd, 0, sizeof(in->ix_rsvd));
	return ((hyperv_hypercall(HYPERV_HCALL_SEND_IPI_EX |
	    (uint64_t)banks << HYPERV_HCALL_VARHEAD_SHIFT, vtophys(in), 0) &
	    HYPERV_STATUS_MASK) == HYPERV_STATUS_SUCCESS);
}

/*
 * The short form takes registers alone, and so may come amid a shoot-down of
 * this processor; the long one needs the page that such a one may be using.
 */
HYPERV_HOT bool
hyperv_ipi_send(const cpuset_t *cpus, u_int vector)
{
	struct hyperv_smp_pcpu *sp;
	uint64_t vps;
	bool done = false;

	if (vector < HYPERV_IPI_VECTOR_MIN || vector > HYPERV_IPI_VECTOR_MAX)
		return (false);
	sp = hyperv_smp_enter(HYPERV_SMP_IPI);
	if (sp == NULL)
		return (false);
	/* What the others are told to look at is there before they are. */
	atomic_thread_fence_seq_cst();
	if (hyperv_vpset_mask(cpus, &vps))
		done = (hyperv_hypercall(HYPERV_HCALL_SEND_IPI |
		    HYPERV_HCALL_FAST, vector, vps) & HYPERV_STATUS_MASK) ==
		    HYPERV_STATUS_SUCCESS;
	else if (hyperv_smp_has_ex() && sp->sp_busy == 1)
		done = hyperv_ipi_long(cpus, vector, sp->sp_in);
	sp->sp_count[done ? HYPERV_COUNT_IPIS : HYPERV_COUNT_IPI_FALLBACKS]++;
	hyperv_smp_leave(sp);
	return (done);
}
