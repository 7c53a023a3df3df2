/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls that reach other VPs: TLB flushes and IPIs, with a mask of 64 VPs
 * or, as Ex, with a sparse set (protocol: hypervisor, 5.6).  VPs that do not
 * exist are left out, as KVM does.
 */

#include <string.h>

#include "hypervisor/partition.h"

static uint64_t
all_vps(const struct hvh *h)
{

	return (UINT64_MAX >> (64 - h->h_cf.vps));
}

/* The banks stand behind the header; one each for the set's bits. */
static uint16_t
sparse_vps(const struct hvh_call *c, const struct hv_vpset *set,
    const uint64_t *banks, uint64_t *vps)
{

	if (set->hv_format == HV_VPSET_ALL) {
		*vps = all_vps(c->c_h);
		return (HV_STATUS_SUCCESS);
	}
	if (set->hv_format != HV_VPSET_SPARSE ||
	    (unsigned)__builtin_popcountll(set->hv_banks) != c->c_words)
		return (HV_STATUS_INVALID_PARAMETER);
	/* Bank 0 comes first, and no VP is in another. */
	_Static_assert(HVH_VPS_MAX <= 64, "VPs in one bank");
	*vps = (set->hv_banks & 1) != 0 ? banks[0] & all_vps(c->c_h) : 0;
	return (HV_STATUS_SUCCESS);
}

/* --- Flushes. --- */

static uint16_t
flush(struct hvh_call *c, uint64_t space, uint64_t flags, uint64_t vps,
    const uint64_t *list)
{
	struct hvh_counters *ct = &c->c_h->h_counters;
	struct hvh_flush f = {
		.vps = vps,
		.space = space,
		.all_spaces = (flags & HV_FLUSH_ALL_SPACES) != 0,
		.non_global = (flags & HV_FLUSH_NON_GLOBAL) != 0,
	};

	/* The extended format and VTLs are not in CPUID. */
	if ((flags & ~(HV_FLUSH_ALL_VPS | HV_FLUSH_ALL_SPACES |
	    HV_FLUSH_NON_GLOBAL)) != 0 || (c->c_reps != 0 && f.non_global))
		return (HV_STATUS_INVALID_PARAMETER);
	if (c->c_reps != 0) {
		f.ranges = list + c->c_start;
		f.nranges = c->c_reps - c->c_start;
	}
	for (uint32_t i = 0; i < c->c_h->h_cf.vps; i++) {
		if ((vps & 1ull << i) == 0)
			continue;
		atomic_fetch_add_explicit(&ct->flush_vps, 1,
		    memory_order_relaxed);
		atomic_fetch_add_explicit(&c->c_h->h_vp[i].vp_flushes, 1,
		    memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&ct->flushes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&ct->flush_ranges, f.nranges,
	    memory_order_relaxed);
	if (c->c_h->h_ops.flush != NULL)
		c->c_h->h_ops.flush(c->c_h->h_arg, c->c_vp, &f);
	return (HV_STATUS_SUCCESS);
}

uint16_t
hvh_call_flush(struct hvh_call *c)
{
	const struct hv_flush_input *in =
	    (const struct hv_flush_input *)c->c_in;
	uint64_t vps = in->hf_vps & all_vps(c->c_h);

	/* No VP at all: an old Windows means every one. */
	if ((in->hf_flags & HV_FLUSH_ALL_VPS) != 0 || in->hf_vps == 0)
		vps = all_vps(c->c_h);
	return (flush(c, in->hf_space, in->hf_flags, vps,
	    c->c_in + sizeof(*in) / 8));
}

uint16_t
hvh_call_flush_ex(struct hvh_call *c)
{
	const struct hv_flush_ex_input *in =
	    (const struct hv_flush_ex_input *)c->c_in;
	const uint64_t *banks = c->c_in + sizeof(*in) / 8;
	uint64_t vps;
	uint16_t status;

	status = sparse_vps(c, &in->hf_set, banks, &vps);
	if (status != HV_STATUS_SUCCESS)
		return (status);
	if ((in->hf_flags & HV_FLUSH_ALL_VPS) != 0)
		vps = all_vps(c->c_h);
	return (flush(c, in->hf_space, in->hf_flags, vps,
	    banks + c->c_words));
}

/* --- IPIs. --- */

static uint16_t
ipi(struct hvh_call *c, uint32_t vector, uint64_t vps)
{
	struct hvh_counters *ct = &c->c_h->h_counters;

	if (vector < HV_VECTOR_MIN || vector > UINT8_MAX)
		return (HV_STATUS_INVALID_PARAMETER);
	for (uint32_t i = 0; i < c->c_h->h_cf.vps; i++) {
		if ((vps & 1ull << i) != 0)
			atomic_fetch_add_explicit(&c->c_h->h_vp[i].vp_ipis, 1,
			    memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&ct->ipis, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&ct->ipi_vps,
	    hvh_apic_send(c->c_h, vps, (uint8_t)vector), memory_order_relaxed);
	return (HV_STATUS_SUCCESS);
}

uint16_t
hvh_call_ipi(struct hvh_call *c)
{
	const struct hv_ipi_input *in = (const struct hv_ipi_input *)c->c_in;

	if (in->hi_vtl != 0 || in->hi_flags != 0 || in->hi_rsvd != 0)
		return (HV_STATUS_INVALID_PARAMETER);
	return (ipi(c, in->hi_vector, in->hi_vps & all_vps(c->c_h)));
}

uint16_t
hvh_call_ipi_ex(struct hvh_call *c)
{
	const struct hv_ipi_ex_input *in =
	    (const struct hv_ipi_ex_input *)c->c_in;
	uint64_t vps;
	uint16_t status;

	if (in->hi_vtl != 0 || in->hi_flags != 0 || in->hi_rsvd != 0)
		return (HV_STATUS_INVALID_PARAMETER);
	status = sparse_vps(c, &in->hi_set, c->c_in + sizeof(*in) / 8, &vps);
	if (status != HV_STATUS_SUCCESS)
		return (status);
	return (ipi(c, in->hi_vector, vps));
}
