/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Channels as devices know them: offer, sub-channels, open and close,
 * revocation.  Packets are in chan_io.c.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus/bus.h"

/* Some guests lose an interrupt that precedes OPEN RESULT (8.2). */
#define	LOOK_AFTER_OPEN	100000000ull

int
hvh_chan_offer(struct hvh *h, const struct hvh_offer *of,
    const struct hvh_chan_ops *ops, void *dev, struct hvh_chan **chp)
{
	struct hvh_bus *b = h->h_bus;
	struct hvh_chan *ch;

	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return (ENOMEM);
	ch->ch_h = h;
	ch->ch_bus = b;
	ch->ch_ops = ops;
	ch->ch_dev = dev;
	ch->ch_primary = ch;
	ch->ch_refs = 1;
	ch->ch_vms.c_type = of->type;
	ch->ch_vms.c_instance = of->instance;
	ch->ch_vms.c_flags = of->flags;
	ch->ch_vms.c_order = of->order;
	ch->ch_vms.c_monitored = of->monitored;
	memcpy(ch->ch_vms.c_udata, of->udata, sizeof(ch->ch_vms.c_udata));
	vms_offer_add(&b->b_server, &ch->ch_vms);
	hvh_bus_drain(b);
	*chp = ch;
	return (0);
}

static bool
has_subs(const struct hvh_chan *primary)
{

	for (const struct vms_chan *c = primary->ch_bus->b_server.s_chans;
	    c != NULL; c = c->c_next) {
		if (c->c_primary == &primary->ch_vms && !c->c_withdrawn &&
		    c->c_state != VMS_CH_GONE)
			return (true);
	}
	return (false);
}

int
hvh_chan_offer_sub(struct hvh_chan *primary, unsigned count)
{
	struct hvh_bus *b = primary->ch_bus;
	struct hvh_chan *ch, *list = NULL;
	int error;

	error = vms_offer_sub_check(&b->b_server, count);
	if (error != 0)
		return (error);
	if (!primary->ch_open || has_subs(primary))
		return (EBUSY);
	/* All or none: a guest may wait for as many as it was told. */
	for (unsigned i = 0; i < count; i++) {
		ch = calloc(1, sizeof(*ch));
		if (ch == NULL) {
			while ((ch = list) != NULL) {
				list = ch->ch_closed_next;
				free(ch);
			}
			return (ENOSPC);
		}
		ch->ch_closed_next = list;
		list = ch;
	}
	for (unsigned i = 1; (ch = list) != NULL; i++) {
		list = ch->ch_closed_next;
		ch->ch_closed_next = NULL;
		ch->ch_h = primary->ch_h;
		ch->ch_bus = b;
		ch->ch_ops = primary->ch_ops;
		ch->ch_dev = primary->ch_dev;
		ch->ch_primary = primary;
		ch->ch_vms = primary->ch_vms;
		ch->ch_vms.c_primary = &primary->ch_vms;
		ch->ch_vms.c_subidx = (uint16_t)i;
		ch->ch_vms.c_dev_open = false;
		ch->ch_vms.c_reserved = false;
		ch->ch_vms.c_withdrawn = false;
		ch->ch_vms.c_ring = NULL;
		primary->ch_refs++;
		vms_offer_add(&b->b_server, &ch->ch_vms);
	}
	hvh_bus_drain(b);
	return (0);
}

void
hvh_chan_revoke(struct hvh_chan *primary)
{

	vms_revoke(&primary->ch_bus->b_server, &primary->ch_vms);
	hvh_bus_drain(primary->ch_bus);
}

bool
hvh_chan_revoked(const struct hvh_chan *ch)
{

	return (ch->ch_vms.c_state == VMS_CH_REVOKED);
}

void
hvh_chan_closed(struct hvh_chan *ch)
{

	/*
	 * The server hears of it when the device is off the stack, since a
	 * guest's waiting OPEN would call the device again.
	 */
	if (ch->ch_closing || ch->ch_open || !ch->ch_vms.c_dev_open)
		return;
	ch->ch_closing = true;
	ch->ch_closed_next = ch->ch_bus->b_closed;
	ch->ch_bus->b_closed = ch;
	hvh_kick(ch->ch_h);
}

void
hvh_chan_answers(struct hvh_bus *b)
{
	struct hvh_chan *ch;

	while ((ch = b->b_closed) != NULL) {
		b->b_closed = ch->ch_closed_next;
		ch->ch_closing = false;
		vms_close_done(&b->b_server, &ch->ch_vms);
		hvh_bus_drain(b);
	}
}

static void
listen_set(struct hvh_bus *b, uint32_t id, bool on)
{
	uint64_t bit = 1ull << id % 64;

	if (on)
		atomic_fetch_or(&b->b_listen[id / 64], bit);
	else
		atomic_fetch_and(&b->b_listen[id / 64], ~bit);
}

/* Whether or not the rules demand it: wakes both sides once. */
static void
look(void *arg)
{
	struct hvh_chan *ch = arg;

	if (!ch->ch_io)
		return;
	hvh_bus_again(ch->ch_bus, ch->ch_vms.c_id);
	if (ch->ch_out.r_pos !=
	    __atomic_load_n(&ch->ch_out.r_ctl->rc_out, __ATOMIC_ACQUIRE))
		hvh_bus_event(ch);
}

void
hvh_chan_vms_open(void *arg, struct vms_chan *c)
{
	struct hvh_bus *b = arg;
	struct hvh_chan *ch = hvh_chan_of(c);
	int error;

	error = hvh_chan_io_start(ch);
	if (error == 0) {
		ch->ch_listen_id = c->c_id;
		listen_set(b, c->c_id, true);
		ch->ch_open = ch->ch_io = true;
		b->b_open++;
		error = ch->ch_ops->open(ch->ch_dev, ch, c->c_req.oq_udata);
		if (error != 0) {
			listen_set(b, c->c_id, false);
			hvh_chan_bursty(ch, false);
			hvh_chan_io_stop(ch);
			ch->ch_open = false;
			b->b_open--;
		}
	}
	if (error != 0)
		hvh_log(b->b_h, HVH_LOG_WARN, "channel %u not opened: %s",
		    c->c_id, strerror(error));
	vms_open_done(&b->b_server, c, error == 0);
	if (!ch->ch_io)
		return;
	if (c->c_monitor != VMS_NO_MONITOR)
		hvh_monitor_start(b);
	/* What came before we listened. */
	hvh_bus_again(b, c->c_id);
	ch->ch_look.fn = look;
	ch->ch_look.arg = ch;
	hvh_timer_set(b->b_h, &ch->ch_look, hvh_now(b->b_h) + LOOK_AFTER_OPEN);
}

void
hvh_chan_vms_close(void *arg, struct vms_chan *c)
{
	struct hvh_bus *b = arg;
	struct hvh_chan *ch = hvh_chan_of(c);

	listen_set(b, ch->ch_listen_id, false);
	hvh_chan_bursty(ch, false);
	hvh_chan_flush(ch);
	hvh_chan_io_stop(ch);
	ch->ch_open = false;
	b->b_open--;
	ch->ch_ops->close(ch->ch_dev, ch);
}

void
hvh_chan_vms_gone(void *arg, struct vms_chan *c)
{
	struct hvh_chan *ch = hvh_chan_of(c), *primary = ch->ch_primary;

	free(ch->ch_buf);
	free(ch->ch_ranges);
	ch->ch_buf = NULL;
	ch->ch_ranges = NULL;
	if (ch != primary)
		free(ch);
	if (--primary->ch_refs > 0)
		return;
	if (primary->ch_ops->released != NULL)
		primary->ch_ops->released(primary->ch_dev);
	free(primary);
}

/* --- Shared memory --- */

struct share {
	struct hvh_shared s;
	struct vms_gpadl *gpadl;
};

const struct hvh_shared *
hvh_chan_share(struct hvh_chan *ch, uint32_t gpadl)
{
	struct vms_gpadl *g;
	struct share *sh;
	uint32_t i;

	sh = calloc(1, sizeof(*sh));
	if (sh == NULL)
		return (NULL);
	g = vms_gpadl_hold(&ch->ch_bus->b_server, &ch->ch_vms, gpadl);
	if (g == NULL) {
		free(sh);
		return (NULL);
	}
	sh->gpadl = g;
	sh->s.pages = g->g_pages;
	sh->s.npages = g->g_npages;
	for (i = 1; i < g->g_npages; i++) {
		if (g->g_pages[i] != g->g_pages[i - 1] + HV_PAGE_SIZE)
			break;
	}
	if (i == g->g_npages)
		sh->s.flat = g->g_pages[0];
	return (&sh->s);
}

void
hvh_chan_unshare(struct hvh_chan *ch, const struct hvh_shared *s)
{
	struct share *sh = (struct share *)(uintptr_t)s;

	_Static_assert(offsetof(struct share, s) == 0, "s is first");
	if (sh == NULL)
		return;
	vms_gpadl_unhold(&ch->ch_bus->b_server, sh->gpadl);
	free(sh);
	hvh_bus_drain(ch->ch_bus);
}

uint32_t
hvh_chan_id(const struct hvh_chan *ch)
{

	return (ch->ch_vms.c_id);
}

uint16_t
hvh_chan_subidx(const struct hvh_chan *ch)
{

	return (ch->ch_vms.c_subidx);
}

bool
hvh_chan_is_open(const struct hvh_chan *ch)
{

	return (ch->ch_open);
}

struct hvh *
hvh_chan_partition(struct hvh_chan *ch)
{

	return (ch->ch_h);
}

void
hvh_chan_set_data(struct hvh_chan *ch, void *data)
{

	ch->ch_data = data;
}

void *
hvh_chan_data(struct hvh_chan *ch)
{

	return (ch->ch_data);
}
