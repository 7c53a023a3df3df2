/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The local APIC's registers as MSRs, and the VP assist page (protocol:
 * hypervisor, 2.7).  The APIC itself is the user's: what the guest ends is
 * told to it, what the guest sends comes as interrupts.  Since the library
 * does not see which interrupts are in service, it never tells a guest that an
 * EOI may be left out: the page's bit stays 0.
 */

#include <errno.h>

#include "hypervisor/partition.h"

unsigned
hvh_apic_send(struct hvh *h, uint64_t vps, uint8_t vector)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < h->h_cf.vps; i++) {
		struct hvh_vp *vp = &h->h_vp[i];

		if ((vps & 1ull << i) == 0)
			continue;
		n++;
		atomic_fetch_add_explicit(&h->h_counters.interrupts, 1,
		    memory_order_relaxed);
		atomic_fetch_add_explicit(&vp->vp_interrupts, 1,
		    memory_order_relaxed);
		h->h_ops.interrupt(h->h_arg, i, vector, false);
	}
	return (n);
}

/*
 * APIC ids are VP indices, and flat logical ids a bit each of the first eight.
 * Other modes than fixed would need the processor: INIT, start-up and NMI go
 * the APIC's own way.
 */
static int
apic_icr(struct hvh *h, struct hvh_vp *vp, uint64_t icr)
{
	uint64_t self = 1ull << vp->vp_index, vps;
	unsigned mode = HV_ICR_MODE(icr), dest = HV_ICR_DEST(icr);

	if ((mode != HV_ICR_MODE_FIXED && mode != HV_ICR_MODE_LOWEST) ||
	    HV_ICR_VECTOR(icr) < HV_VECTOR_MIN)
		return (EPERM);
	switch (HV_ICR_SHORTHAND(icr)) {
	case HV_ICR_SELF:
		vps = self;
		break;
	case HV_ICR_ALL:
		vps = UINT64_MAX;
		break;
	case HV_ICR_OTHERS:
		vps = ~self;
		break;
	default:
		if ((icr & HV_ICR_LOGICAL) != 0)
			vps = dest;
		else if (dest == 0xFF)
			vps = UINT64_MAX;
		else
			vps = dest < HVH_VPS_MAX ? 1ull << dest : 0;
		break;
	}
	if (mode == HV_ICR_MODE_LOWEST)
		vps &= -vps;		/* any one of them */
	pthread_mutex_lock(&vp->vp_mtx);
	vp->vp_icr = icr;
	pthread_mutex_unlock(&vp->vp_mtx);
	atomic_fetch_add_explicit(&h->h_counters.apic_icrs, 1,
	    memory_order_relaxed);
	hvh_apic_send(h, vps, HV_ICR_VECTOR(icr));
	return (0);
}

static int
apic_assist(struct hvh *h, struct hvh_vp *vp, uint64_t val)
{
	int error = 0;

	if ((val & HV_PAGE_MSR_RESERVED) != 0)
		return (EPERM);
	pthread_mutex_lock(&vp->vp_mtx);
	if ((val & HV_PAGE_MSR_ENABLE) == 0)
		hvh_overlay_take(&vp->vp_assist_page);
	else
		error = hvh_overlay_put(h, &vp->vp_assist_page,
		    HV_PAGE_MSR_GPA(val));
	if (error == 0)
		vp->vp_assist = val;
	pthread_mutex_unlock(&vp->vp_mtx);
	return (error);
}

int
hvh_apic_write(struct hvh *h, struct hvh_vp *vp, uint32_t msr, uint64_t val)
{

	switch (msr) {
	case HV_MSR_EOI:
		atomic_fetch_add_explicit(&h->h_counters.apic_eois, 1,
		    memory_order_relaxed);
		if (h->h_ops.eoi != NULL)
			h->h_ops.eoi(h->h_arg, vp->vp_index);
		return (0);
	case HV_MSR_ICR:
		return (apic_icr(h, vp, val));
	case HV_MSR_TPR:
		if (val > UINT8_MAX)
			return (EPERM);
		atomic_fetch_add_explicit(&h->h_counters.apic_tprs, 1,
		    memory_order_relaxed);
		pthread_mutex_lock(&vp->vp_mtx);
		vp->vp_tpr = val;
		pthread_mutex_unlock(&vp->vp_mtx);
		return (0);
	default:
		return (apic_assist(h, vp, val));
	}
}

int
hvh_apic_read(struct hvh_vp *vp, uint32_t msr, uint64_t *val)
{

	switch (msr) {
	case HV_MSR_EOI:
		return (EPERM);		/* write-only */
	case HV_MSR_ICR:
		*val = vp->vp_icr;
		return (0);
	case HV_MSR_TPR:
		*val = vp->vp_tpr;
		return (0);
	default:
		*val = vp->vp_assist;
		return (0);
	}
}

void
hvh_apic_reset(struct hvh_vp *vp)
{

	vp->vp_icr = vp->vp_tpr = vp->vp_assist = 0;
}
