/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls that processors make for each other: whether they are made at
 * all, and that none is under way when what it needs goes.
 *
 * A call says that it is busy and then looks whether it may; who forbids it
 * says so and then waits for the busy ones.  A busy one has preemption off and
 * waits for nobody, so that takes no longer than a hypercall.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <sys/smp.h>
#include <sys/sysctl.h>

#include <machine/atomic.h>
#include <machine/cpu.h>

#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_smp.h>

static MALLOC_DEFINE(M_HYPERV_SMP, "hyperv smp", "Hyper-V calls on processors");

SYSCTL_DECL(_hw_vmbus);

static int hyperv_tlb_hcall = 1;
SYSCTL_INT(_hw_vmbus, OID_AUTO, tlb_hcall, CTLFLAG_RDTUN, &hyperv_tlb_hcall, 0,
    "TLB shoot-downs by hypercall, where the hypervisor recommends it");

static int hyperv_ipi_hcall = 1;
SYSCTL_INT(_hw_vmbus, OID_AUTO, ipi_hcall, CTLFLAG_RDTUN, &hyperv_ipi_hcall, 0,
    "IPIs by hypercall, where the hypervisor recommends it");

#define	HYPERV_VP_UNKNOWN	UINT32_MAX

static struct {
	struct hyperv_smp_pcpu	*pcpu;		/* by CPU id; NULL: none */
	u_int			 use;		/* HYPERV_SMP_* */
	volatile u_int		 on;		/* calls may be made */
} hyperv_smp;

static void
hyperv_smp_number(void *arg __unused)
{

	hyperv_smp.pcpu[curcpu].sp_vp =
	    (uint32_t)hyperv_md_rdmsr(HYPERV_MSR_VP_INDEX);
}

static u_int
hyperv_smp_wanted(const struct hyperv_info *hi)
{
	u_int use = 0;

	/* Where the kernel has variables of these names, ours are not set. */
	TUNABLE_INT_FETCH("hw.vmbus.tlb_hcall", &hyperv_tlb_hcall);
	TUNABLE_INT_FETCH("hw.vmbus.ipi_hcall", &hyperv_ipi_hcall);
	/* Without numbers nobody can be named. */
	if ((hi->hi_priv & HYPERV_PRIV_VPINDEX) == 0 || mp_ncpus == 1)
		return (0);
	if (hyperv_tlb_hcall != 0 &&
	    (hi->hi_recommend & HYPERV_RECOMMEND_REMOTE_FLUSH) != 0)
		use |= HYPERV_SMP_TLB;
	if (hyperv_ipi_hcall != 0 &&
	    (hi->hi_recommend & HYPERV_RECOMMEND_CLUSTER_IPI) != 0)
		use |= HYPERV_SMP_IPI;
	use &= hyperv_md_hooks();
	if (use != 0 && (hi->hi_recommend & HYPERV_RECOMMEND_EX_MASKS) != 0)
		use |= HYPERV_SMP_EX;
	return (use);
}

/* Page-aligned, and so in one page each, which is the host's to read. */
static bool
hyperv_smp_pages(void)
{
	int cpu;

	CPU_FOREACH(cpu) {
		hyperv_smp.pcpu[cpu].sp_vp = HYPERV_VP_UNKNOWN;
		hyperv_smp.pcpu[cpu].sp_in = malloc(PAGE_SIZE, M_HYPERV_SMP,
		    M_NOWAIT | M_ZERO);
		if (hyperv_smp.pcpu[cpu].sp_in == NULL)
			return (false);
	}
	return (true);
}

void
hyperv_smp_alloc(const struct hyperv_info *hi)
{
	int cpu;

	hyperv_smp.use = hyperv_smp_wanted(hi);
	if (hyperv_smp.use == 0)
		return;
	hyperv_smp.pcpu = malloc_aligned(sizeof(*hyperv_smp.pcpu) *
	    (mp_maxid + 1), __alignof(*hyperv_smp.pcpu), M_HYPERV_SMP,
	    M_NOWAIT | M_ZERO);
	if (hyperv_smp.pcpu == NULL || !hyperv_smp_pages()) {
		hyperv_smp_free();
		return;
	}
	smp_rendezvous(NULL, hyperv_smp_number, NULL, NULL);
	CPU_FOREACH(cpu) {
		if (hyperv_smp.pcpu[cpu].sp_vp == HYPERV_VP_UNKNOWN) {
			/* It has not started: others are not told apart. */
			hyperv_smp_free();
			return;
		}
	}
}

void
hyperv_smp_free(void)
{
	int cpu;

	KASSERT(hyperv_smp.on == 0, ("%s: in use", __func__));
	hyperv_smp.use = 0;
	if (hyperv_smp.pcpu == NULL)
		return;
	CPU_FOREACH(cpu) {
		free(hyperv_smp.pcpu[cpu].sp_in, M_HYPERV_SMP);
	}
	free(hyperv_smp.pcpu, M_HYPERV_SMP);
	hyperv_smp.pcpu = NULL;
}

void
hyperv_smp_resume(void)
{

	if (hyperv_smp.use != 0)
		atomic_store_rel_int(&hyperv_smp.on, 1);
}

void
hyperv_smp_pause(void)
{
	int cpu;

	if (hyperv_smp.use == 0)
		return;
	atomic_store_int(&hyperv_smp.on, 0);
	atomic_thread_fence_seq_cst();
	CPU_FOREACH(cpu) {
		while (atomic_load_acq_int(&hyperv_smp.pcpu[cpu].sp_busy) != 0)
			cpu_spinwait();
	}
}

void
hyperv_smp_start(void)
{

	if (hyperv_smp.use == 0)
		return;
	hyperv_smp_resume();
	hyperv_md_hook(hyperv_smp.use);
}

int
hyperv_smp_stop(void)
{

	if (hyperv_smp.use == 0)
		return (0);
	hyperv_md_unhook();
	hyperv_smp_pause();
	if (!hyperv_md_quiesce()) {
		hyperv_smp_start();
		return (EBUSY);
	}
	return (0);
}

HYPERV_HOT struct hyperv_smp_pcpu *
hyperv_smp_enter(u_int what)
{
	struct hyperv_smp_pcpu *sp;

	CRITICAL_ASSERT(curthread);
	if ((hyperv_smp.use & what) == 0)
		return (NULL);
	sp = &hyperv_smp.pcpu[curcpu];
	atomic_add_int(&sp->sp_busy, 1);
	atomic_thread_fence_seq_cst();
	if (atomic_load_acq_int(&hyperv_smp.on) == 0) {
		hyperv_smp_leave(sp);
		return (NULL);
	}
	return (sp);
}

HYPERV_HOT void
hyperv_smp_leave(struct hyperv_smp_pcpu *sp)
{

	atomic_thread_fence_rel();
	atomic_subtract_int(&sp->sp_busy, 1);
}

bool
hyperv_smp_has_ex(void)
{

	return ((hyperv_smp.use & HYPERV_SMP_EX) != 0);
}

uint32_t
hyperv_smp_vp(int cpu)
{

	return (hyperv_smp.pcpu[cpu].sp_vp);
}

static int
hyperv_smp_sysctl_count(SYSCTL_HANDLER_ARGS)
{
	uint64_t sum = 0;
	int cpu;

	if (hyperv_smp.pcpu != NULL) {
		CPU_FOREACH(cpu) {
			sum += hyperv_smp.pcpu[cpu].sp_count[arg2];
		}
	}
	return (sysctl_handle_64(oidp, &sum, 0, req));
}

void
hyperv_smp_sysctl(struct sysctl_ctx_list *ctx, struct sysctl_oid_list *list)
{
	static const struct {
		const char	*name;
		const char	*descr;
	} counts[HYPERV_COUNTS] = {
		[HYPERV_COUNT_FLUSHES] =
		    { "tlb_flushes", "TLB shoot-downs by hypercall" },
		[HYPERV_COUNT_FLUSH_FALLBACKS] =
		    { "tlb_fallbacks", "TLB shoot-downs the host left to us" },
		[HYPERV_COUNT_IPIS] = { "ipis", "IPIs by hypercall" },
		[HYPERV_COUNT_IPI_FALLBACKS] =
		    { "ipi_fallbacks", "IPIs the host left to us" },
	};
	u_int i;

	for (i = 0; i < HYPERV_COUNTS; i++)
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, counts[i].name,
		    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, i,
		    hyperv_smp_sysctl_count, "QU", counts[i].descr);
}
