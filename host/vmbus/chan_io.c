/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets: from a channel's rings to its device and back.  What a device
 * writes in a round of the pump is shown to the guest at its end, with one
 * signal for all (protocol: vmbus, 7.7, 7.8).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus/bus.h"

/* Guests that forget the room we wait for: look ourselves (7.8). */
#define	RETRY_NS	10000000ull
#define	BUF_MIN		4096u

static void
touch(struct hvh_chan *ch)
{

	if (ch->ch_touched)
		return;
	ch->ch_touched = true;
	ch->ch_touched_next = ch->ch_bus->b_touched;
	ch->ch_bus->b_touched = ch;
}

/* Shut to the device until the guest closes the channel. */
static int
corrupt(struct hvh_chan *ch, bool out, enum hvr_corrupt why)
{
	static const char *const reasons[] = {
		[HVR_OK] = "none",
		[HVR_BAD_INDEX] = "index",
		[HVR_BAD_LENGTH] = "packet length",
		[HVR_BAD_TYPE] = "packet type",
		[HVR_BAD_RANGES] = "ranges",
	};

	if (ch->ch_io) {
		ch->ch_io = false;
		ch->ch_h->h_stats.rings_corrupt++;
		if (ch->ch_h->h_ops.trace != NULL)
			hvh_trace(ch->ch_h, HVH_TRACE_CORRUPT, out,
			    ch->ch_vms.c_id, 0, reasons[why],
			    strlen(reasons[why]));
		hvh_log(ch->ch_h, HVH_LOG_ERROR,
		    "channel %u: %s ring corrupt: bad %s", ch->ch_vms.c_id,
		    out ? "outgoing" : "incoming", reasons[why]);
	}
	return (EBADMSG);
}

int
hvh_chan_io_start(struct hvh_chan *ch)
{
	struct vms_gpadl *g = ch->ch_vms.c_ring;
	uint32_t down = ch->ch_vms.c_req.oq_downstream;
	int error;

	error = hvr_init_reader(&ch->ch_in, g->g_pages, down);
	if (error == 0)
		error = hvr_init_writer(&ch->ch_out, g->g_pages + down,
		    g->g_npages - down);
	if (error == 0)
		error = hvh_chan_reserve(ch, BUF_MIN);
	if (error != 0)
		return (error);
	/* Ours to write; a former owner may have left it set. */
	__atomic_store_n(&ch->ch_in.r_ctl->rc_mask, 0, __ATOMIC_RELAXED);
	ch->ch_signal = false;
	ch->ch_waiting = 0;
	hvh_linger_init(&ch->ch_linger);
	ch->ch_moderate = (struct hvh_moderate){ 0 };
	ch->ch_ticked = false;
	return (0);
}

void
hvh_chan_io_stop(struct hvh_chan *ch)
{
	struct hvh_chan **p;

	ch->ch_io = false;
	hvh_timer_clear(ch->ch_h, &ch->ch_look);
	hvh_timer_clear(ch->ch_h, &ch->ch_retry);
	hvh_timer_clear(ch->ch_h, &ch->ch_late);
	hvh_timer_clear(ch->ch_h, &ch->ch_tick);
	hvh_fault_forget_packets(ch);
	if (!ch->ch_touched)
		return;
	for (p = &ch->ch_bus->b_touched; *p != ch; p = &(*p)->ch_touched_next)
		;
	*p = ch->ch_touched_next;
	ch->ch_touched = false;
}

int
hvh_chan_reserve(struct hvh_chan *ch, uint32_t bytes)
{
	struct hvh_range *ranges;
	uint32_t size, nranges;
	uint8_t *buf;

	if (bytes <= ch->ch_bufsize)
		return (0);
	for (size = BUF_MIN; size < bytes; size *= 2)
		;
	/* A range takes 16 bytes of the packet at least. */
	nranges = size / 16;
	buf = malloc(size);
	ranges = malloc(nranges * sizeof(*ranges));
	if (buf == NULL || ranges == NULL) {
		free(buf);
		free(ranges);
		return (ENOMEM);
	}
	free(ch->ch_buf);
	free(ch->ch_ranges);
	ch->ch_buf = buf;
	ch->ch_bufsize = size;
	ch->ch_ranges = ranges;
	ch->ch_nranges = nranges;
	return (0);
}

/* Type 9: the ranges between descriptor and payload (7.5). */
static bool
parse_ranges(struct hvh_chan *ch, uint32_t hdr, uint32_t *n)
{
	const uint8_t *p = ch->ch_buf + sizeof(struct vms_pkt);
	const uint8_t *end = ch->ch_buf + hdr;
	struct vms_pkt_ranges pr;
	struct vms_range vr;
	struct hvh_range *r;
	uint64_t npfn;

	if ((size_t)(end - p) < sizeof(pr))
		return (false);
	memcpy(&pr, p, sizeof(pr));
	p += sizeof(pr);
	if (pr.vr_count == 0 || pr.vr_count > (size_t)(end - p) / 16)
		return (false);
	for (*n = 0; *n < pr.vr_count; (*n)++) {
		if ((size_t)(end - p) < sizeof(vr))
			return (false);
		memcpy(&vr, p, sizeof(vr));
		p += sizeof(vr);
		npfn = ((uint64_t)vr.vr_ofs + vr.vr_len + HV_PAGE_SIZE - 1) /
		    HV_PAGE_SIZE;
		if (vr.vr_len == 0 || vr.vr_ofs >= HV_PAGE_SIZE ||
		    npfn > (size_t)(end - p) / 8)
			return (false);
		r = &ch->ch_ranges[*n];
		r->len = vr.vr_len;
		r->ofs = vr.vr_ofs;
		r->npfn = (uint32_t)npfn;
		r->pfn = (const uint64_t *)(const void *)p;
		p += npfn * 8;
	}
	return (true);
}

/* The packet in ch_buf, all of it private by now. */
static bool
parse(struct hvh_chan *ch, uint32_t bytes, struct hvh_pkt *pkt)
{
	const struct vms_pkt *d = (const struct vms_pkt *)(void *)ch->ch_buf;
	uint32_t hdr = d->vp_offset * 8u;

	pkt->type = d->vp_type;
	pkt->wants_completion = (d->vp_flags & VMS_PKT_FLAG_COMPLETION) != 0;
	pkt->xid = d->vp_xid;
	pkt->data = ch->ch_buf + hdr;
	pkt->len = bytes - hdr;
	pkt->ranges = ch->ch_ranges;
	pkt->nranges = 0;
	return (d->vp_type != VMS_PKT_GPADIRECT ||
	    parse_ranges(ch, hdr, &pkt->nranges));
}

/* Our share of the round, which a guest that never stops must not exceed. */
static bool
budget(struct hvh_chan *ch)
{

	if (ch->ch_round != ch->ch_bus->b_round) {
		ch->ch_round = ch->ch_bus->b_round;
		ch->ch_budget = BUS_PACKETS_A_ROUND;
	}
	if (ch->ch_budget == 0) {
		hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
		hvh_kick(ch->ch_h);
		return (false);
	}
	ch->ch_budget--;
	return (true);
}

/* More requests are worth looking for, with the guest none the wiser. */
static bool
holds(struct hvh_chan *ch)
{
	uint64_t most = ch->ch_h->h_cf.linger_ns;

	return (most != 0 && ch->ch_io && hvh_linger_holds(&ch->ch_linger,
	    hvh_now(ch->ch_h), most));
}

/* The guest sends bursts in quick succession: no signals in between. */
static bool
watches(struct hvh_chan *ch)
{

	return (ch->ch_bursty && ch->ch_io && hvh_linger_watches(
	    &ch->ch_linger, hvh_now(ch->ch_h), ch->ch_h->h_cf.linger_ns));
}

/* --- Moderation. --- */

void
hvh_chan_carried(struct hvh_chan *ch, bool out)
{

	hvh_moderate_carried(&ch->ch_moderate, out);
}

/* It has waited: look for what came, show what was done. */
static void
tick(void *arg)
{
	struct hvh_chan *ch = arg;

	if (!ch->ch_io)
		return;
	ch->ch_ticked = true;
	touch(ch);
	hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
}

/* There is much to do: what is not urgent waits for the tick, which is set. */
static bool
moderated(struct hvh_chan *ch)
{
	uint64_t now, period = ch->ch_h->h_cf.moderate_ns;

	if (period == 0 || !ch->ch_io)
		return (false);
	now = hvh_now(ch->ch_h);
	if (!hvh_moderate_much(&ch->ch_moderate, now, period))
		return (false);
	if (ch->ch_tick.at == 0) {
		ch->ch_tick.fn = tick;
		ch->ch_tick.arg = ch;
		hvh_timer_set(ch->ch_h, &ch->ch_tick,
		    now + ch->ch_moderate.m_wait);
	}
	return (true);
}

/* The guest waits for this, or its ring fills. */
static bool
urgent(const struct hvh_chan *ch)
{

	return (ch->ch_ticked || ch->ch_signal || ch->ch_waiting != 0 ||
	    hvr_unshown(&ch->ch_out) > ch->ch_out.r_size / 4);
}

int
hvh_chan_read(struct hvh_chan *ch, struct hvh_pkt *pkt)
{
	struct vms_pkt desc;
	uint32_t bytes;

	if (!ch->ch_io)
		return (EBADMSG);
	touch(ch);
	for (;;) {
		if (ch->ch_inject != NULL) {
			bytes = hvh_fault_injected(ch);
			if (bytes != 0 && parse(ch, bytes, pkt))
				return (0);
			continue;
		}
		if (!budget(ch))
			return (EAGAIN);
		switch (hvr_peek(&ch->ch_in, &desc, &bytes)) {
		case HVR_CORRUPT:
			return (corrupt(ch, false, ch->ch_in.r_corrupt));
		case HVR_EMPTY:
			/*
			 * Room is shown before the mask goes: a guest that
			 * writes behind this must find the ring empty.
			 */
			ch->ch_signal |= hvr_release(&ch->ch_in);
			if (holds(ch) || watches(ch)) {
				hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
				return (EAGAIN);
			}
			/* Masked until the tick: no signals meanwhile. */
			if (moderated(ch))
				return (EAGAIN);
			if (hvr_unmask(&ch->ch_in))
				return (EAGAIN);
			continue;
		case HVR_PACKET:
			break;
		}
		if (hvh_chan_reserve(ch, bytes) != 0) {
			hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
			return (EAGAIN);
		}
		hvr_take(&ch->ch_in, &desc, ch->ch_buf, bytes);
		ch->ch_h->h_stats.packets_in++;
		ch->ch_packets_in++;
		if (ch->ch_h->h_cf.linger_ns != 0)
			hvh_linger_arrived(&ch->ch_linger, hvh_now(ch->ch_h));
		ch->ch_bytes_in += bytes;
		if (ch->ch_h->h_ops.trace != NULL)
			hvh_trace(ch->ch_h, HVH_TRACE_PACKET, false,
			    ch->ch_vms.c_id, ch->ch_vms.c_req.oq_vp,
			    ch->ch_buf, bytes);
		if (hvh_fault_active(ch->ch_h)) {
			if (!hvh_fault_packet_in(ch, &bytes))
				continue;
			hvh_fault_passed_packet(ch, false);
		}
		if (!parse(ch, bytes, pkt))
			return (corrupt(ch, false, HVR_BAD_RANGES));
		return (0);
	}
}

static void
retry(void *arg)
{
	struct hvh_chan *ch = arg;

	if (!ch->ch_io || ch->ch_waiting == 0)
		return;
	if (hvr_room(&ch->ch_out, ch->ch_waiting))
		hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
	else
		hvh_timer_set(ch->ch_h, &ch->ch_retry,
		    hvh_now(ch->ch_h) + RETRY_NS);
}

/* There is room, or the guest is asked to say when there is. */
static bool
room(struct hvh_chan *ch, uint32_t need)
{

	if (hvr_room(&ch->ch_out, need))
		return (true);
	if (ch->ch_out.r_corrupt != HVR_OK)
		return (false);
	hvh_chan_flush(ch);
	if (hvr_wait_room(&ch->ch_out, need))
		return (true);
	ch->ch_waiting = need;
	if (ch->ch_retry.at == 0) {
		ch->ch_retry.fn = retry;
		ch->ch_retry.arg = ch;
		hvh_timer_set(ch->ch_h, &ch->ch_retry,
		    hvh_now(ch->ch_h) + RETRY_NS);
	}
	return (false);
}

bool
hvh_chan_room(struct hvh_chan *ch, uint32_t len)
{

	return (ch->ch_io && room(ch, hvr_need(0, len)));
}

int
hvh_chan_put(struct hvh_chan *ch, const struct vms_pkt *desc, const void *data,
    uint32_t len)
{

	if (!ch->ch_io)
		return (EBADMSG);
	touch(ch);
	if (!room(ch, hvr_need(0, len))) {
		if (ch->ch_out.r_corrupt != HVR_OK)
			return (corrupt(ch, true, ch->ch_out.r_corrupt));
		return (EAGAIN);
	}
	hvr_put(&ch->ch_out, desc, NULL, 0, data, len);
	if (ch->ch_waiting != 0) {
		ch->ch_waiting = 0;
		hvr_wait_done(&ch->ch_out);
		hvh_timer_clear(ch->ch_h, &ch->ch_retry);
	}
	ch->ch_h->h_stats.packets_out++;
	ch->ch_packets_out++;
	ch->ch_bytes_out += sizeof(*desc) + len;
	if (ch->ch_h->h_ops.trace != NULL)
		hvh_trace_put(ch, desc, data, len);
	return (0);
}

int
hvh_chan_write(struct hvh_chan *ch, uint16_t type, uint16_t flags,
    uint64_t xid, const void *data, uint32_t len)
{
	struct vms_pkt desc = { .vp_type = type, .vp_flags = flags,
	    .vp_xid = xid };
	struct vms_pkt_ranges pr;
	uint32_t hdr = 0;
	void *copy = NULL;
	bool twice = false;
	int error;

	if (!ch->ch_io)
		return (EBADMSG);
	if (type == VMS_PKT_XFERPAGES) {
		if (len < sizeof(pr))
			return (EINVAL);
		memcpy(&pr, data, sizeof(pr));
		if (pr.vr_count > (len - sizeof(pr)) / 8)
			return (EINVAL);
		hdr = sizeof(pr) + pr.vr_count * 8;
	}
	if (len > UINT16_MAX * 8u - sizeof(desc) ||
	    hvr_need(0, len) > ch->ch_out.r_size - 8)
		return (EMSGSIZE);
	if (hvh_fault_active(ch->ch_h) && !hvh_fault_packet_out(ch, &desc,
	    &data, &len, &copy, &twice)) {
		free(copy);
		return (0);
	}
	desc.vp_offset = (uint16_t)((sizeof(desc) + hdr) / 8);
	desc.vp_len = (uint16_t)((sizeof(desc) + len + 7) / 8);
	error = hvh_chan_put(ch, &desc, data, len);
	if (error == 0 && twice)
		hvh_chan_put(ch, &desc, data, len);
	free(copy);
	if (error == 0 && hvh_fault_active(ch->ch_h))
		hvh_fault_passed_packet(ch, true);
	return (error);
}

/* Which way the guest's signals had better take: see hvh_ops.listen. */
void
hvh_chan_bursty(struct hvh_chan *ch, bool on)
{

	if (ch->ch_bursty == on)
		return;
	ch->ch_bursty = on;
	hvh_bus_listen(ch->ch_bus, VMS_CONN_CHANNEL + ch->ch_listen_id, on);
	/* A signal may be under way to a listener that is no more. */
	if (!on && ch->ch_io)
		hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
}

void
hvh_chan_flush(struct hvh_chan *ch)
{
	bool news;

	ch->ch_ticked = false;
	if (!ch->ch_io)
		return;
	news = ch->ch_out.r_shown != ch->ch_out.r_pos;
	ch->ch_signal |= hvr_release(&ch->ch_in);
	if (hvr_show(&ch->ch_out)) {
		ch->ch_signal = true;
	} else if (news && !ch->ch_signal) {
		ch->ch_h->h_stats.events_saved++;
		ch->ch_saved++;
	}
	if (news) {
		hvh_linger_told(&ch->ch_linger, hvh_now(ch->ch_h));
		hvh_chan_bursty(ch, hvh_linger_bursty(&ch->ch_linger,
		    ch->ch_bursty));
	}
	if (!ch->ch_signal)
		return;
	ch->ch_signal = false;
	hvh_bus_event(ch);
}

void
hvh_chan_flush_all(struct hvh_bus *b)
{
	struct hvh_chan *ch;

	while ((ch = b->b_touched) != NULL) {
		b->b_touched = ch->ch_touched_next;
		ch->ch_touched = false;
		if (holds(ch))
			hvh_bus_again(b, ch->ch_vms.c_id);
		else if (!moderated(ch) || urgent(ch))
			hvh_chan_flush(ch);
	}
}

void
hvh_chan_dispatch(struct hvh_chan *ch, bool guest)
{

	if (!ch->ch_io)
		return;
	if (guest) {
		ch->ch_signals_in++;
		if (!hvr_pending(&ch->ch_in) && ch->ch_waiting == 0)
			ch->ch_h->h_stats.signals_spurious++;
		if (ch->ch_h->h_ops.trace != NULL)
			hvh_trace(ch->ch_h, HVH_TRACE_SIGNAL, false,
			    ch->ch_vms.c_id, HVH_VP_NONE, NULL, 0);
	}
	/* No signals while we read anyway; hvh_chan_read() lifts it. */
	hvr_mask(&ch->ch_in);
	touch(ch);
	ch->ch_ops->signal(ch->ch_dev, ch);
}
