/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * CPUID leaves, the way of an MSR access, and the partition's first MSRs
 * (protocol: hypervisor, 1 and 2).  The others are in clock.c and crash.c,
 * those of a VP in apic.c, synic.c and timer.c.
 */

#include <errno.h>
#include <string.h>

#include "hypervisor/partition.h"

/* What Hyper-V calls itself: 10.0.14393, as KVM does. */
#define	VERSION_MAJOR	10
#define	VERSION_BUILD	14393

/* As KVM: so long before a guest that spins says so. */
#define	SPINS		0xFFF

bool
hvh_cpuid(struct hvh *h, uint32_t vp, uint32_t leaf, uint32_t subleaf,
    uint32_t regs[4])
{
	bool freq = h->h_cf.tsc_hz != 0;

	if (leaf == 1) {
		regs[2] |= 1u << 31;
		return (true);
	}
	if (leaf < HV_CPUID_VENDOR || leaf > HV_CPUID_RANGE_END)
		return (false);
	memset(regs, 0, 4 * sizeof(regs[0]));
	switch (leaf) {
	case HV_CPUID_VENDOR:
		regs[1] = 0x7263694D;		/* "Micr" */
		regs[2] = 0x666F736F;		/* "osof" */
		regs[3] = 0x76482074;		/* "t Hv" */
		break;
	case HV_CPUID_INTERFACE:
		regs[0] = 0x31237648;		/* "Hv#1" */
		break;
	case HV_CPUID_VERSION:
		regs[0] = VERSION_BUILD;
		regs[1] = VERSION_MAJOR << 16;
		break;
	case HV_CPUID_FEATURES:
		regs[0] = HV_FEAT_EAX_REFCOUNT | HV_FEAT_EAX_SYNIC |
		    HV_FEAT_EAX_STIMER | HV_FEAT_EAX_HYPERCALL |
		    HV_FEAT_EAX_VPINDEX | HV_FEAT_EAX_RESET |
		    HV_FEAT_EAX_APIC | HV_FEAT_EAX_REFTSC |
		    (freq ? HV_FEAT_EAX_FREQUENCY : 0);
		regs[1] = HV_FEAT_EBX_POST | HV_FEAT_EBX_SIGNAL;
		regs[3] = HV_FEAT_EDX_CRASH | HV_FEAT_EDX_POLLING |
		    HV_FEAT_EDX_STIMER_DIRECT |
		    (freq ? HV_FEAT_EDX_FREQUENCY : 0);
		break;
	case HV_CPUID_RECOMMEND:
		regs[0] = HV_REC_RELAXED_TIMING | HV_REC_APIC_MSRS |
		    HV_REC_REMOTE_FLUSH | HV_REC_CLUSTER_IPI |
		    HV_REC_EX_MASKS |
		    (h->h_cf.no_autoeoi ? HV_REC_NO_AUTOEOI : 0);
		regs[1] = SPINS;
		break;
	case HV_CPUID_LIMITS:
		regs[0] = regs[1] = h->h_cf.vps;
		break;
	}
	hvh_cpuid_show(&h->h_cf.shown, leaf, regs);
	return (true);
}

/* The page's bytes are the host's at each enable, whatever was done to them. */
static int
msr_hypercall(struct hvh *h, uint64_t val)
{
	struct hvh_overlay *ov = &h->h_code_page;

	/* Without an OS id the register does not move (2.1). */
	if (h->h_os_id == 0)
		return (0);
	if ((val & HV_PAGE_MSR_RESERVED) != 0)
		return (EPERM);
	if ((val & HV_PAGE_MSR_ENABLE) == 0) {
		hvh_overlay_take(ov);
	} else {
		if (hvh_overlay_put(h, ov, HV_PAGE_MSR_GPA(val)) != 0)
			return (EPERM);
		memcpy(ov->ov_page, h->h_code, HV_PAGE_SIZE);
	}
	h->h_hypercall = val;
	return (0);
}

static int
msr_os_id(struct hvh *h, uint64_t val)
{

	h->h_os_id = val;
	if (val == 0) {
		hvh_overlay_take(&h->h_code_page);
		h->h_hypercall &= ~HV_PAGE_MSR_ENABLE;
	}
	return (0);
}

static int
partition_read(struct hvh *h, uint32_t vp, uint32_t msr, uint64_t *val)
{
	int error = 0;

	pthread_mutex_lock(&h->h_part_mtx);
	switch (msr) {
	case HV_MSR_OS_ID:
		*val = h->h_os_id;
		break;
	case HV_MSR_HYPERCALL:
		*val = h->h_hypercall;
		break;
	case HV_MSR_VP_INDEX:
		*val = vp;
		break;
	case HV_MSR_RESET:
		*val = 0;
		break;
	default:
		error = EPERM;
	}
	pthread_mutex_unlock(&h->h_part_mtx);
	return (error);
}

static int
partition_write(struct hvh *h, uint32_t msr, uint64_t val)
{
	static const uint64_t none[5];
	bool reset = false;
	int error = 0;

	pthread_mutex_lock(&h->h_part_mtx);
	switch (msr) {
	case HV_MSR_OS_ID:
		error = msr_os_id(h, val);
		break;
	case HV_MSR_HYPERCALL:
		error = msr_hypercall(h, val);
		break;
	case HV_MSR_RESET:
		reset = (val & 1) != 0;
		break;
	default:
		error = EPERM;	/* read-only or reserved */
	}
	pthread_mutex_unlock(&h->h_part_mtx);
	/* Out of the lock: the user may look at the partition. */
	if (reset && h->h_ops.event != NULL)
		h->h_ops.event(h->h_arg, HVH_EVENT_RESET, none, NULL);
	return (error);
}

static int
vp_read(struct hvh *h, struct hvh_vp *vp, uint32_t msr, uint64_t *val)
{
	int error = 0;

	pthread_mutex_lock(&vp->vp_mtx);
	if (msr >= HV_MSR_EOI && msr <= HV_MSR_VP_ASSIST)
		error = hvh_apic_read(vp, msr, val);
	else
		*val = hvh_stimer_read(vp, msr - HV_MSR_STIMER0_CONFIG);
	pthread_mutex_unlock(&vp->vp_mtx);
	return (error);
}

static int
stimer_write(struct hvh *h, struct hvh_vp *vp, uint32_t msr, uint64_t val)
{
	struct hvh_irqs irqs = { .n = 0 };
	unsigned reg = msr - HV_MSR_STIMER0_CONFIG;

	if (reg % 2 == 0 && (val & HV_STIMER_DIRECT) != 0 &&
	    hvh_hides(h, HVH_FEAT_DIRECT))
		return (EPERM);
	pthread_mutex_lock(&vp->vp_mtx);
	hvh_stimer_write(h, vp, reg, val, &irqs);
	pthread_mutex_unlock(&vp->vp_mtx);
	hvh_irqs_fire(h, vp, &irqs);
	return (0);
}

int
hvh_rdmsr(struct hvh *h, uint32_t vpi, uint32_t msr, uint64_t *val)
{
	struct hvh_vp *vp;

	if (msr < HV_MSR_FIRST || msr > HV_MSR_LAST)
		return (ENOENT);
	if (vpi >= h->h_cf.vps)
		return (EPERM);
	vp = &h->h_vp[vpi];
	atomic_fetch_add_explicit(&h->h_counters.msr_reads, 1,
	    memory_order_relaxed);
	atomic_fetch_add_explicit(&vp->vp_msr_reads, 1, memory_order_relaxed);
	if (hvh_hides_msr(h, msr))
		return (EPERM);
	if (msr >= HV_MSR_REF_COUNT && msr <= HV_MSR_APIC_FREQ)
		return (hvh_clock_msr_read(h, msr, val));
	if (msr >= HV_MSR_SCONTROL && msr <= HV_MSR_SINT15)
		return (hvh_synic_read(h, vp, msr, val));
	if ((msr >= HV_MSR_EOI && msr <= HV_MSR_VP_ASSIST) ||
	    (msr >= HV_MSR_STIMER0_CONFIG && msr <= HV_MSR_STIMER3_COUNT))
		return (vp_read(h, vp, msr, val));
	if (msr >= HV_MSR_CRASH_P0 && msr <= HV_MSR_CRASH_CTL)
		return (hvh_crash_msr_read(h, msr, val));
	return (partition_read(h, vpi, msr, val));
}

int
hvh_wrmsr(struct hvh *h, uint32_t vpi, uint32_t msr, uint64_t val)
{
	struct hvh_vp *vp;

	if (msr < HV_MSR_FIRST || msr > HV_MSR_LAST)
		return (ENOENT);
	if (vpi >= h->h_cf.vps)
		return (EPERM);
	vp = &h->h_vp[vpi];
	atomic_fetch_add_explicit(&h->h_counters.msr_writes, 1,
	    memory_order_relaxed);
	atomic_fetch_add_explicit(&vp->vp_msr_writes, 1, memory_order_relaxed);
	if (hvh_hides_msr(h, msr))
		return (EPERM);
	if (msr >= HV_MSR_REF_COUNT && msr <= HV_MSR_APIC_FREQ)
		return (hvh_clock_msr_write(h, msr, val));
	if (msr >= HV_MSR_EOI && msr <= HV_MSR_VP_ASSIST)
		return (hvh_apic_write(h, vp, msr, val));
	if (msr >= HV_MSR_SCONTROL && msr <= HV_MSR_SINT15)
		return (hvh_synic_write(h, vp, msr, val));
	if (msr >= HV_MSR_STIMER0_CONFIG && msr <= HV_MSR_STIMER3_COUNT)
		return (stimer_write(h, vp, msr, val));
	if (msr >= HV_MSR_CRASH_P0 && msr <= HV_MSR_CRASH_CTL)
		return (hvh_crash_msr_write(h, msr, val));
	return (partition_write(h, msr, val));
}

void
hvh_msr_reset(struct hvh *h)
{

	pthread_mutex_lock(&h->h_part_mtx);
	hvh_overlay_take(&h->h_code_page);
	h->h_os_id = h->h_hypercall = 0;
	memset(h->h_crash, 0, sizeof(h->h_crash));
	pthread_mutex_unlock(&h->h_part_mtx);
	hvh_clock_reset(h);
}
