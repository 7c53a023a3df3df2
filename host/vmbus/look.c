/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What can be seen from outside: statistics, channels, and the events that a
 * user of the library asked to be shown.
 */

#include <string.h>

#include "vmbus/bus.h"

/* --- Statistics. --- */

void
hvh_get_stats(struct hvh *h, struct hvh_stats *st)
{
	struct vms_server *s = &h->h_bus->b_server;
	struct hvh_counters *c = &h->h_counters;

	pthread_mutex_lock(&h->h_pump_mtx);
	*st = h->h_stats;
	st->hypercalls = atomic_load(&c->hypercalls);
	st->posts = atomic_load(&c->posts);
	st->signals_in = atomic_load(&c->signals_in);
	st->interrupts = atomic_load(&c->interrupts);
	st->events_out = atomic_load(&c->events_out);
	st->msr_reads = atomic_load(&c->msr_reads);
	st->msr_writes = atomic_load(&c->msr_writes);
	st->flushes = atomic_load(&c->flushes);
	st->flush_vps = atomic_load(&c->flush_vps);
	st->flush_ranges = atomic_load(&c->flush_ranges);
	st->ipis = atomic_load(&c->ipis);
	st->ipi_vps = atomic_load(&c->ipi_vps);
	st->spins = atomic_load(&c->spins);
	st->time_reads = atomic_load(&c->time_reads);
	st->timer_sets = atomic_load(&c->timer_sets);
	st->timer_expiries = atomic_load(&c->timer_expiries);
	st->apic_eois = atomic_load(&c->apic_eois);
	st->apic_icrs = atomic_load(&c->apic_icrs);
	st->apic_tprs = atomic_load(&c->apic_tprs);
	st->tsc_moves = hvh_clock_moves(h);
	pthread_mutex_lock(&h->h_part_mtx);
	st->crashes = h->h_crashed.count;
	pthread_mutex_unlock(&h->h_part_mtx);
	st->connected = s->s_conn.n_version;
	st->channels_open = h->h_bus->b_open;
	st->gpadls = s->s_ngpadls;
	st->channels_offered = 0;
	for (uint32_t id = 1; id < VMS_CHANNELS; id++) {
		if (s->s_byid[id] != NULL &&
		    s->s_byid[id]->c_state != VMS_CH_REVOKED)
			st->channels_offered++;
	}
	pthread_mutex_unlock(&h->h_pump_mtx);
}

void
hvh_get_vp_stats(struct hvh *h, uint32_t vpi, struct hvh_vp_stats *vs)
{
	struct hvh_vp *vp;

	*vs = (struct hvh_vp_stats){ 0 };
	if (vpi >= h->h_cf.vps)
		return;
	vp = &h->h_vp[vpi];
	vs->hypercalls = atomic_load(&vp->vp_hypercalls);
	vs->msr_reads = atomic_load(&vp->vp_msr_reads);
	vs->msr_writes = atomic_load(&vp->vp_msr_writes);
	vs->interrupts = atomic_load(&vp->vp_interrupts);
	vs->flushes = atomic_load(&vp->vp_flushes);
	vs->ipis = atomic_load(&vp->vp_ipis);
}

static enum hvh_chan_state
chan_state(const struct hvh_chan *ch)
{

	switch (ch->ch_vms.c_state) {
	case VMS_CH_RELEASED:
		return (HVH_CHAN_HIDDEN);
	case VMS_CH_CLOSED:
		return (HVH_CHAN_OFFERED);
	case VMS_CH_OPENING:
	case VMS_CH_OPENING_RELEASE:
		return (HVH_CHAN_OPENING);
	case VMS_CH_OPEN:
		return (ch->ch_io ? HVH_CHAN_OPEN : HVH_CHAN_CORRUPT);
	case VMS_CH_CLOSING:
	case VMS_CH_REOPEN:
	case VMS_CH_CLOSING_RELEASE:
		return (HVH_CHAN_CLOSING);
	case VMS_CH_REVOKED:
	case VMS_CH_GONE:
		break;
	}
	return (HVH_CHAN_RESCINDED);
}

unsigned
hvh_get_channels(struct hvh *h, struct hvh_chan_info *ci, unsigned max)
{
	const struct hvh_chan *ch;
	struct vms_chan *c;
	unsigned n = 0;

	pthread_mutex_lock(&h->h_pump_mtx);
	for (c = h->h_bus->b_server.s_chans; c != NULL; c = c->c_next, n++) {
		if (n >= max)
			continue;
		ch = hvh_chan_of(c);
		ci[n] = (struct hvh_chan_info){
			.id = c->c_id,
			.subidx = c->c_subidx,
			.state = chan_state(ch),
			.vp = c->c_dev_open ? c->c_req.oq_vp : HVH_VP_NONE,
			.type = c->c_type,
			.instance = c->c_instance,
			.packets_in = ch->ch_packets_in,
			.packets_out = ch->ch_packets_out,
			.bytes_in = ch->ch_bytes_in,
			.bytes_out = ch->ch_bytes_out,
			.signals_in = ch->ch_signals_in,
			.signals_out = ch->ch_signals_out,
			.events_saved = ch->ch_saved,
		};
	}
	pthread_mutex_unlock(&h->h_pump_mtx);
	return (n);
}

/* --- Events; the caller has seen that somebody looks. --- */

void
hvh_trace(struct hvh *h, enum hvh_trace_kind kind, bool out, uint32_t chan,
    uint32_t vp, const void *data, size_t len)
{
	struct hvh_trace_event ev = {
		.kind = kind,
		.out = out,
		.chan = chan,
		.vp = vp,
		.time = hvh_now(h),
		.data = data,
		.len = len,
		.total = len,
	};

	h->h_ops.trace(h->h_arg, &ev);
}

void
hvh_trace_put(struct hvh_chan *ch, const struct vms_pkt *desc,
    const void *data, uint32_t len)
{
	uint8_t head[HVH_TRACE_MAX];
	uint32_t n = sizeof(head) - sizeof(*desc);
	struct hvh_trace_event ev = {
		.kind = HVH_TRACE_PACKET,
		.out = true,
		.chan = ch->ch_vms.c_id,
		.vp = ch->ch_vms.c_req.oq_vp,
		.time = hvh_now(ch->ch_h),
		.data = head,
		.total = sizeof(*desc) + len,
	};

	if (len < n)
		n = len;
	memcpy(head, desc, sizeof(*desc));
	if (n > 0)
		memcpy(head + sizeof(*desc), data, n);
	ev.len = sizeof(*desc) + n;
	ch->ch_h->h_ops.trace(ch->ch_h->h_arg, &ev);
}
