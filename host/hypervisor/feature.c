/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What is shown of the hypervisor, and where CPUID shows it (protocol:
 * hypervisor, 1.2 to 1.7).  No state: a VMM that has its leaves from KVM takes
 * its list of what to hide through the same table.
 */

#include "hypervisor/partition.h"

enum { EAX, EBX, ECX, EDX };

static const char *const names[HVH_FEATS] = {
	[HVH_FEAT_COUNTER] = "counter",
	[HVH_FEAT_TSC] = "tsc",
	[HVH_FEAT_FREQUENCY] = "frequency",
	[HVH_FEAT_INVARIANT] = "invariant",
	[HVH_FEAT_STIMER] = "stimer",
	[HVH_FEAT_DIRECT] = "direct",
	[HVH_FEAT_APIC] = "apic",
	[HVH_FEAT_TLBFLUSH] = "tlbflush",
	[HVH_FEAT_IPI] = "ipi",
	[HVH_FEAT_EX] = "ex",
	[HVH_FEAT_SPIN] = "spin",
	[HVH_FEAT_CRASH] = "crash",
	[HVH_FEAT_MESSAGE] = "message",
};

static const char *const isolations[HVH_ISOLATIONS] = {
	[HVH_ISOLATION_NONE] = "none",
	[HVH_ISOLATION_VBS] = "vbs",
	[HVH_ISOLATION_SNP] = "snp",
	[HVH_ISOLATION_TDX] = "tdx",
	[HVH_ISOLATION_CCA] = "cca",
};

/* "spin" is a number, "message" a bit of the crash control register. */
static const struct {
	enum hvh_feature feature;
	uint32_t	 leaf;
	unsigned	 reg;
	uint32_t	 bit;
} places[] = {
	{ HVH_FEAT_COUNTER, HV_CPUID_FEATURES, EAX, HV_FEAT_EAX_REFCOUNT },
	{ HVH_FEAT_TSC, HV_CPUID_FEATURES, EAX, HV_FEAT_EAX_REFTSC },
	{ HVH_FEAT_FREQUENCY, HV_CPUID_FEATURES, EAX, HV_FEAT_EAX_FREQUENCY },
	{ HVH_FEAT_FREQUENCY, HV_CPUID_FEATURES, EDX, HV_FEAT_EDX_FREQUENCY },
	{ HVH_FEAT_INVARIANT, HV_CPUID_FEATURES, EAX, HV_FEAT_EAX_INVARIANT },
	{ HVH_FEAT_STIMER, HV_CPUID_FEATURES, EAX, HV_FEAT_EAX_STIMER },
	{ HVH_FEAT_DIRECT, HV_CPUID_FEATURES, EDX, HV_FEAT_EDX_STIMER_DIRECT },
	{ HVH_FEAT_APIC, HV_CPUID_FEATURES, EAX, HV_FEAT_EAX_APIC },
	{ HVH_FEAT_APIC, HV_CPUID_RECOMMEND, EAX, HV_REC_APIC_MSRS },
	{ HVH_FEAT_TLBFLUSH, HV_CPUID_RECOMMEND, EAX, HV_REC_REMOTE_FLUSH },
	{ HVH_FEAT_IPI, HV_CPUID_RECOMMEND, EAX, HV_REC_CLUSTER_IPI },
	{ HVH_FEAT_EX, HV_CPUID_RECOMMEND, EAX, HV_REC_EX_MASKS },
	{ HVH_FEAT_CRASH, HV_CPUID_FEATURES, EDX, HV_FEAT_EDX_CRASH },
};

static const struct {
	enum hvh_feature feature;
	uint32_t	 first, last;
} registers[] = {
	{ HVH_FEAT_COUNTER, HV_MSR_REF_COUNT, HV_MSR_REF_COUNT },
	{ HVH_FEAT_TSC, HV_MSR_REF_TSC, HV_MSR_REF_TSC },
	{ HVH_FEAT_FREQUENCY, HV_MSR_TSC_FREQ, HV_MSR_APIC_FREQ },
	{ HVH_FEAT_STIMER, HV_MSR_STIMER0_CONFIG, HV_MSR_STIMER3_COUNT },
	{ HVH_FEAT_APIC, HV_MSR_EOI, HV_MSR_VP_ASSIST },
	{ HVH_FEAT_CRASH, HV_MSR_CRASH_P0, HV_MSR_CRASH_CTL },
};

const char *
hvh_feature_name(enum hvh_feature f)
{

	return (f < HVH_FEATS ? names[f] : NULL);
}

const char *
hvh_isolation_name(enum hvh_isolation i)
{

	return (i < HVH_ISOLATIONS ? isolations[i] : NULL);
}

bool
hvh_hides(const struct hvh *h, enum hvh_feature f)
{

	return ((h->h_cf.shown.hidden & HVH_FEAT_BIT(f)) != 0);
}

bool
hvh_hides_msr(const struct hvh *h, uint32_t msr)
{

	for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]);
	    i++) {
		if (msr >= registers[i].first && msr <= registers[i].last)
			return (hvh_hides(h, registers[i].feature));
	}
	return (false);
}

uint32_t
hvh_cpuid_max(const struct hvh_shown *hs)
{

	return (hs->isolation != HVH_ISOLATION_NONE ? HV_CPUID_ISOLATION :
	    HV_CPUID_HARDWARE);
}

void
hvh_cpuid_show(const struct hvh_shown *hs, uint32_t leaf, uint32_t regs[4])
{
	bool isolated = hs->isolation != HVH_ISOLATION_NONE;

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i].leaf == leaf &&
		    (hs->hidden & HVH_FEAT_BIT(places[i].feature)) != 0)
			regs[places[i].reg] &= ~places[i].bit;
	}
	switch (leaf) {
	case HV_CPUID_VENDOR:
		regs[EAX] = hvh_cpuid_max(hs);
		break;
	case HV_CPUID_FEATURES:
		if (isolated)
			regs[EBX] |= HV_FEAT_EBX_ISOLATION;
		break;
	case HV_CPUID_RECOMMEND:
		if ((hs->hidden & HVH_FEAT_BIT(HVH_FEAT_SPIN)) != 0)
			regs[EBX] = HV_REC_SPIN_NEVER;
		break;
	case HV_CPUID_HARDWARE:
		regs[EAX] |= HV_HARDWARE_NESTING(hs->nesting);
		break;
	case HV_CPUID_ISOLATION:
		if (!isolated)
			break;
		regs[EAX] = hs->paravisor ? HV_ISOLATION_PARAVISOR : 0;
		regs[EBX] = HV_ISOLATION_TYPE(hs->isolation);
		if (hs->shared_bits != 0)
			regs[EBX] |= HV_ISOLATION_SHARED |
			    HV_ISOLATION_BITS(hs->shared_bits);
		break;
	}
}
