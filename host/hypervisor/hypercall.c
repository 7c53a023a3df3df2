/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls (protocol: hypervisor, 5): the table of them, the rules that hold
 * for all, and those that end in this process.  Called on the VP's thread;
 * nothing here blocks, and a rep call is done in one go.
 */

#include <string.h>

#include "hypervisor/partition.h"

static uint16_t
call_signal_event(struct hvh_call *c)
{
	struct hv_signal_input si;

	memcpy(&si, c->c_in, sizeof(si));
	if (si.hs_rsvd != 0 || (si.hs_connection & ~HV_CONNECTION_MASK) != 0)
		return (HV_STATUS_INVALID_INPUT);
	return (hvh_bus_signal(c->c_h, si.hs_connection, si.hs_flag));
}

static uint16_t
call_post_message(struct hvh_call *c)
{
	const struct hv_post_input *pi = (const struct hv_post_input *)c->c_in;

	if (pi->hp_type == HV_MSGTYPE_NONE ||
	    (pi->hp_type & HV_MSGTYPE_HYPERVISOR) != 0 ||
	    pi->hp_size > HV_MSG_PAYLOAD)
		return (HV_STATUS_INVALID_PARAMETER);
	return (hvh_bus_post(c->c_h, c->c_vp,
	    pi->hp_connection & HV_CONNECTION_MASK, pi->hp_type,
	    pi->hp_payload, pi->hp_size));
}

/* A hint; whoever has something better to do is not here. */
static uint16_t
call_long_spin(struct hvh_call *c)
{

	atomic_fetch_add_explicit(&c->c_h->h_counters.spins, 1,
	    memory_order_relaxed);
	return (HV_STATUS_SUCCESS);
}

/* What needs no feature is what VMBus cannot do without. */
#define	ALWAYS	HVH_FEATS

static const struct call {
	uint16_t	 code;
	bool		 rep;
	bool		 ex;		/* has a variable header */
	uint16_t	 header;	/* bytes */
	uint16_t	 element;	/* of a rep call */
	enum hvh_feature feature;
	uint16_t	(*fn)(struct hvh_call *c);
} calls[] = {
	{ HV_CALL_SIGNAL_EVENT, false, false, sizeof(struct hv_signal_input),
	    0, ALWAYS, call_signal_event },
	{ HV_CALL_POST_MESSAGE, false, false, sizeof(struct hv_post_input),
	    0, ALWAYS, call_post_message },
	{ HV_CALL_IPI, false, false, sizeof(struct hv_ipi_input),
	    0, HVH_FEAT_IPI, hvh_call_ipi },
	{ HV_CALL_IPI_EX, false, true, sizeof(struct hv_ipi_ex_input),
	    0, HVH_FEAT_IPI, hvh_call_ipi_ex },
	{ HV_CALL_FLUSH_SPACE, false, false, sizeof(struct hv_flush_input),
	    0, HVH_FEAT_TLBFLUSH, hvh_call_flush },
	{ HV_CALL_FLUSH_LIST, true, false, sizeof(struct hv_flush_input),
	    8, HVH_FEAT_TLBFLUSH, hvh_call_flush },
	{ HV_CALL_FLUSH_SPACE_EX, false, true,
	    sizeof(struct hv_flush_ex_input),
	    0, HVH_FEAT_TLBFLUSH, hvh_call_flush_ex },
	{ HV_CALL_FLUSH_LIST_EX, true, true, sizeof(struct hv_flush_ex_input),
	    8, HVH_FEAT_TLBFLUSH, hvh_call_flush_ex },
	{ HV_CALL_LONG_SPIN, false, false, sizeof(struct hv_spin_input),
	    0, HVH_FEAT_SPIN, call_long_spin },
};

static const struct call *
find_call(uint16_t code)
{

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].code == code)
			return (&calls[i]);
	}
	return (NULL);
}

/* No fields but those the call has (protocol: hypervisor, 5.4). */
static bool
control_good(const struct call *k, uint64_t control)
{

	if (!k->ex && (control & HV_CALL_VARHEAD) != 0)
		return (false);
	if (!k->rep)
		return ((control & HV_CALL_REPS) == 0);
	return (HV_CALL_REP_START(control) < HV_CALL_REP_COUNT(control));
}

/* Header, variable header and list, in the order hosts check. */
static uint16_t
fetch(struct hvh_call *c, const struct call *k, uint64_t control,
    uint64_t input, uint64_t output)
{
	size_t len;

	c->c_words = HV_CALL_VARWORDS(control);
	c->c_reps = HV_CALL_REP_COUNT(control);
	c->c_start = HV_CALL_REP_START(control);
	len = k->header + c->c_words * 8ul + c->c_reps * (size_t)k->element;
	if ((control & HV_CALL_FAST) != 0) {
		if (len > HV_CALL_FAST_BYTES)
			return (HV_STATUS_INVALID_INPUT);
		c->c_in[0] = input;
		c->c_in[1] = output;
		return (HV_STATUS_SUCCESS);
	}
	if ((input & (HV_PAGE_SIZE - 1)) + len > HV_PAGE_SIZE)
		return (HV_STATUS_INVALID_INPUT);
	if ((input & 7) != 0)
		return (HV_STATUS_INVALID_ALIGNMENT);
	if (hvh_gpa_read(c->c_h, (hvh_gpa_t){ input }, c->c_in, len) != 0)
		return (HV_STATUS_INVALID_INPUT);
	return (HV_STATUS_SUCCESS);
}

static void
count(struct hvh *h, uint32_t vp, uint16_t code)
{

	atomic_fetch_add_explicit(&h->h_counters.hypercalls, 1,
	    memory_order_relaxed);
	if (vp < h->h_cf.vps)
		atomic_fetch_add_explicit(&h->h_vp[vp].vp_hypercalls, 1,
		    memory_order_relaxed);
	if (code == HV_CALL_POST_MESSAGE)
		atomic_fetch_add_explicit(&h->h_counters.posts, 1,
		    memory_order_relaxed);
	else if (code == HV_CALL_SIGNAL_EVENT)
		atomic_fetch_add_explicit(&h->h_counters.signals_in, 1,
		    memory_order_relaxed);
}

uint64_t
hvh_hypercall(struct hvh *h, uint32_t vp, uint64_t control, uint64_t input,
    uint64_t output)
{
	struct hvh_call c;
	const struct call *k;
	struct hvh_fault f;
	uint16_t status;

	count(h, vp, HV_CALL_CODE(control));
	if (vp >= h->h_cf.vps || (control & HV_CALL_RESERVED) != 0)
		return (HV_STATUS_INVALID_INPUT);
	if (hvh_fault_strikes(h, HVH_FAULT_HYPERCALL, HV_CALL_CODE(control),
	    &f))
		return ((uint16_t)f.arg);
	k = find_call(HV_CALL_CODE(control));
	if (k == NULL)
		return (HV_STATUS_INVALID_CODE);
	if (k->feature != ALWAYS && (hvh_hides(h, k->feature) ||
	    (k->ex && hvh_hides(h, HVH_FEAT_EX))))
		return (HV_STATUS_ACCESS_DENIED);
	if (!control_good(k, control))
		return (HV_STATUS_INVALID_INPUT);
	c.c_h = h;
	c.c_vp = vp;
	status = fetch(&c, k, control, input, output);
	if (status == HV_STATUS_SUCCESS)
		status = k->fn(&c);
	/* A simple call's success is a plain 0: some look at all of it. */
	return (status | (status == HV_STATUS_SUCCESS && k->rep ?
	    HV_RESULT_REPS(c.c_reps) : 0));
}
