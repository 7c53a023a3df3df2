/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What CPUID says of the hypervisor and of the partition it has put us into.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <machine/specialreg.h>

#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_var.h>

/* Leaves that a host without isolation, or an old one, does not have. */
static void
hyperv_identify_partition(struct hyperv_info *hi, uint32_t maxleaf)
{
	uint32_t regs[4];

	if (maxleaf >= HYPERV_CPUID_HARDWARE) {
		hyperv_md_cpuid(HYPERV_CPUID_HARDWARE, regs);
		hi->hi_nesting = HYPERV_HARDWARE_NESTING(regs[0]);
	}
	if ((hi->hi_privhigh & HYPERV_PRIVHIGH_ISOLATION) != 0 &&
	    maxleaf >= HYPERV_CPUID_ISOLATION) {
		hyperv_md_cpuid(HYPERV_CPUID_ISOLATION, regs);
		hi->hi_paravisor = (regs[0] & HYPERV_ISOLATION_PARAVISOR) != 0;
		hi->hi_isolation = HYPERV_ISOLATION_TYPE(regs[1]);
	}
}

bool
hyperv_identify(struct hyperv_info *hi)
{
	uint32_t regs[4], maxleaf;

	memset(hi, 0, sizeof(*hi));
	hyperv_md_cpuid(1, regs);
	if ((regs[2] & CPUID2_HV) == 0)
		return (false);
	hyperv_md_cpuid(HYPERV_CPUID_VENDOR, regs);
	maxleaf = regs[0];
	if (regs[1] != HYPERV_VENDOR_EBX || regs[2] != HYPERV_VENDOR_ECX ||
	    regs[3] != HYPERV_VENDOR_EDX ||
	    maxleaf < HYPERV_CPUID_LIMITS || maxleaf > HYPERV_CPUID_LAST)
		return (false);
	hyperv_md_cpuid(HYPERV_CPUID_INTERFACE, regs);
	if (regs[0] != HYPERV_INTERFACE_HV1)
		return (false);
	hyperv_md_cpuid(HYPERV_CPUID_FEATURES, regs);
	hi->hi_priv = regs[0];
	hi->hi_privhigh = regs[1];
	hi->hi_features = regs[3];
	if ((hi->hi_priv & HYPERV_PRIV_HYPERCALL) == 0)
		return (false);
	hyperv_md_cpuid(HYPERV_CPUID_RECOMMEND, regs);
	hi->hi_recommend = regs[0];
	hyperv_md_cpuid(HYPERV_CPUID_VERSION, regs);
	hi->hi_build = regs[0];
	hi->hi_major = regs[1] >> 16;
	hi->hi_minor = regs[1] & 0xffff;
	hyperv_identify_partition(hi, maxleaf);
	return (true);
}

const char *
hyperv_isolation_name(const struct hyperv_info *hi)
{

	switch (hi->hi_isolation) {
	case HYPERV_ISOLATION_NONE:
		return ("none");
	case HYPERV_ISOLATION_VBS:
		return ("VBS");
	case HYPERV_ISOLATION_SNP:
		return ("SEV-SNP");
	case HYPERV_ISOLATION_TDX:
		return ("TDX");
	case HYPERV_ISOLATION_CCA:
		return ("CCA");
	default:
		return ("unknown");
	}
}
