/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The reference TSC page: the partition's time without an exit (protocol:
 * hypervisor, 2.5).
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/atomic.h>
#include <machine/cpu.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_var.h>

/*
 * How often a reader meets a host in the middle of a change, which is rare and
 * short, before it asks the counter instead.
 */
#define	HYPERV_REFTSC_TRIES	1000

void
hyperv_reftsc_enable(struct hyperv_reftsc *rt)
{

	hyperv_md_wrmsr(HYPERV_MSR_REFERENCE_TSC,
	    (hyperv_md_rdmsr(HYPERV_MSR_REFERENCE_TSC) &
	    HYPERV_MSR_PAGE_KEEP) | vtophys(rt) | HYPERV_MSR_PAGE_ENABLE);
}

HYPERV_HOT bool
hyperv_reftsc_read(struct hyperv_reftsc *rt, uint64_t *timep)
{
	uint64_t ofs, scale, tsc;
	uint32_t seq;
	u_int n;

	for (n = 0; n < HYPERV_REFTSC_TRIES; n++) {
		seq = atomic_load_acq_32(&rt->rt_seq);
		if (seq == 0)
			return (false);
		scale = rt->rt_scale;
		ofs = rt->rt_ofs;
		tsc = hyperv_md_tsc();
		atomic_thread_fence_acq();
		if (rt->rt_seq == seq) {
			*timep = hyperv_md_mul64hi(tsc, scale) + ofs;
			return (true);
		}
		cpu_spinwait();
	}
	return (false);
}
