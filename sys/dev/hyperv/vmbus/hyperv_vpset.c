/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sets of processors in the hypervisor's terms: virtual processors, whose
 * numbers need not be the kernel's and need not be in their order.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/smp.h>

#include <dev/hyperv/vmbus/hyperv_smp.h>

HYPERV_HOT bool
hyperv_vpset_mask(const cpuset_t *cpus, uint64_t *mask)
{
	uint64_t bits = 0;
	uint32_t vp;
	int cpu;

	CPU_FOREACH_ISSET(cpu, cpus) {
		vp = hyperv_smp_vp(cpu);
		if (vp >= HYPERV_VP_MASK_BITS)
			return (false);
		bits |= 1ULL << vp;
	}
	*mask = bits;
	return (true);
}

u_int
hyperv_vpset_fill(const cpuset_t *cpus, struct hyperv_vpset *vs)
{
	uint64_t bits, valid = 0;
	uint32_t vp;
	u_int bank, n = 0;
	int cpu;

	memset(vs->vs_bank, 0, sizeof(vs->vs_bank));
	CPU_FOREACH_ISSET(cpu, cpus) {
		vp = hyperv_smp_vp(cpu);
		bank = vp / HYPERV_VP_BANK_BITS;
		if (bank >= HYPERV_VP_BANKS)
			return (0);
		vs->vs_bank[bank] |= 1ULL << (vp % HYPERV_VP_BANK_BITS);
		valid |= 1ULL << bank;
	}
	/* Moves them together; none goes behind where it was. */
	for (bits = valid; bits != 0; bits &= bits - 1)
		vs->vs_bank[n++] = vs->vs_bank[ffsll(bits) - 1];
	vs->vs_format = HYPERV_VPSET_SPARSE;
	vs->vs_valid = valid;
	return (n);
}
