/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls (protocol: hypervisor, 5).  Called on the VP's thread; nothing
 * here blocks.  Calls that would need the processor itself (TLB flush, IPI)
 * are answered "invalid code", upon which guests do it natively.
 */

#include <string.h>

#include "hypervisor/partition.h"

/* Fetches the input of a slow simple call, in the order hosts check. */
static uint16_t
slow_input(struct hvh *h, uint64_t gpa, void *buf, size_t len)
{

	if ((gpa & (HV_PAGE_SIZE - 1)) + len > HV_PAGE_SIZE)
		return (HV_STATUS_INVALID_INPUT);
	if ((gpa & 7) != 0)
		return (HV_STATUS_INVALID_ALIGNMENT);
	if (hvh_gpa_read(h, (hvh_gpa_t){ gpa }, buf, len) != 0)
		return (HV_STATUS_INVALID_INPUT);
	return (HV_STATUS_SUCCESS);
}

static uint16_t
call_signal_event(struct hvh *h, uint64_t control, uint64_t input)
{
	struct hv_signal_input si;
	uint16_t status;

	atomic_fetch_add_explicit(&h->h_counters.signals_in, 1,
	    memory_order_relaxed);
	if ((control & HV_CALL_FAST) != 0) {
		memcpy(&si, &input, sizeof(si));
	} else {
		status = slow_input(h, input, &si, sizeof(si));
		if (status != HV_STATUS_SUCCESS)
			return (status);
	}
	if (si.hs_rsvd != 0 || (si.hs_connection & ~HV_CONNECTION_MASK) != 0)
		return (HV_STATUS_INVALID_INPUT);
	return (hvh_bus_signal(h, si.hs_connection, si.hs_flag));
}

static uint16_t
call_post_message(struct hvh *h, uint32_t vp, uint64_t control, uint64_t input)
{
	struct hv_post_input pi;
	uint16_t status;

	atomic_fetch_add_explicit(&h->h_counters.posts, 1,
	    memory_order_relaxed);
	/* 256 bytes do not fit registers. */
	if ((control & HV_CALL_FAST) != 0)
		return (HV_STATUS_INVALID_INPUT);
	status = slow_input(h, input, &pi, sizeof(pi));
	if (status != HV_STATUS_SUCCESS)
		return (status);
	if (pi.hp_type == HV_MSGTYPE_NONE ||
	    (pi.hp_type & HV_MSGTYPE_HYPERVISOR) != 0 ||
	    pi.hp_size > HV_MSG_PAYLOAD)
		return (HV_STATUS_INVALID_PARAMETER);
	return (hvh_bus_post(h, vp, pi.hp_connection & HV_CONNECTION_MASK,
	    pi.hp_type, pi.hp_payload, pi.hp_size));
}

uint64_t
hvh_hypercall(struct hvh *h, uint32_t vp, uint64_t control, uint64_t input,
    uint64_t output)
{

	atomic_fetch_add_explicit(&h->h_counters.hypercalls, 1,
	    memory_order_relaxed);
	if (vp >= h->h_cf.vps || (control & HV_CALL_RESERVED) != 0)
		return (HV_STATUS_INVALID_INPUT);
	switch (HV_CALL_CODE(control)) {
	case HV_CALL_LONG_SPIN:
	case HV_CALL_POST_MESSAGE:
	case HV_CALL_SIGNAL_EVENT:
		if ((control & (HV_CALL_REPS | HV_CALL_VARHEAD)) != 0)
			return (HV_STATUS_INVALID_INPUT);
		break;
	}
	switch (HV_CALL_CODE(control)) {
	case HV_CALL_SIGNAL_EVENT:
		return (call_signal_event(h, control, input));
	case HV_CALL_POST_MESSAGE:
		return (call_post_message(h, vp, control, input));
	case HV_CALL_LONG_SPIN:
		return (HV_STATUS_SUCCESS);
	default:
		/* Flushes and IPIs too: never 0 without having done it. */
		return (HV_STATUS_INVALID_CODE);
	}
}
