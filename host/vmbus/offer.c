/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Offers and rescinds: channel ids, monitor ids, order (protocol: vmbus, 2.2,
 * 4, 5.1, 8.4, 8.7).
 */

#include <errno.h>
#include <string.h>

#include "vmbus/server.h"

static uint32_t
ids_usable(const struct vms_server *s)
{

	return (s->s_conn.n_version < VMS_V2_4 ? VMS_CHANNELS_OLD :
	    VMS_CHANNELS);
}

/* The lowest free id; 0: none. */
static uint32_t
id_alloc(struct vms_server *s, struct vms_chan *ch)
{

	for (uint32_t id = 1; id < ids_usable(s); id++) {
		if (s->s_byid[id] == NULL) {
			s->s_byid[id] = ch;
			return (id);
		}
	}
	return (0);
}

static uint8_t
monitor_alloc(struct vms_server *s, struct vms_chan *ch)
{

	if (!ch->c_monitored || s->s_conn.n_mon_c2p == NULL)
		return (VMS_NO_MONITOR);
	for (unsigned i = 0; i < VMS_MONITOR_IDS; i++) {
		if (s->s_monitors[i] == NULL) {
			s->s_monitors[i] = ch;
			return ((uint8_t)i);
		}
	}
	return (VMS_NO_MONITOR);
}

void
vms_chan_unassign(struct vms_server *s, struct vms_chan *ch)
{

	if (ch->c_id != 0)
		s->s_byid[ch->c_id] = NULL;
	if (ch->c_monitor != VMS_NO_MONITOR)
		s->s_monitors[ch->c_monitor] = NULL;
	ch->c_id = 0;
	ch->c_monitor = VMS_NO_MONITOR;
}

/* An earlier device of this identity that the guest has not released yet. */
static bool
predecessor(const struct vms_server *s, const struct vms_chan *ch)
{

	for (const struct vms_chan *o = s->s_chans; o != NULL; o = o->c_next) {
		if (o->c_state == VMS_CH_REVOKED && o->c_primary == NULL &&
		    memcmp(&o->c_type, &ch->c_type, sizeof(o->c_type)) == 0 &&
		    memcmp(&o->c_instance, &ch->c_instance,
		    sizeof(o->c_instance)) == 0)
			return (true);
	}
	return (false);
}

/* Offers a channel if it can be; a reserved one keeps its id. */
static void
offer(struct vms_server *s, struct vms_chan *ch)
{
	struct vms_offer mo = { .mo_hdr = { .mh_type = VMS_OFFER } };

	if (ch->c_withdrawn)
		return;
	if (!ch->c_reserved) {
		/* Guests reject a twin, so it waits (8.6, "reoffered"). */
		if (ch->c_state != VMS_CH_RELEASED ||
		    (ch->c_primary == NULL && predecessor(s, ch)))
			return;
		ch->c_id = id_alloc(s, ch);
		if (ch->c_id == 0)
			return;
		ch->c_monitor = monitor_alloc(s, ch);
		ch->c_state = VMS_CH_CLOSED;
	}
	memcpy(mo.mo_type, ch->c_type.b, sizeof(mo.mo_type));
	memcpy(mo.mo_instance, ch->c_instance.b, sizeof(mo.mo_instance));
	mo.mo_flags = ch->c_flags;
	memcpy(mo.mo_udata, ch->c_udata, sizeof(mo.mo_udata));
	mo.mo_subidx = ch->c_subidx;
	mo.mo_chan = ch->c_id;
	mo.mo_monitor_id = ch->c_monitor;
	mo.mo_monitored = ch->c_monitor != VMS_NO_MONITOR;
	if (s->s_conn.n_version >= VMS_V1_1) {
		mo.mo_dedicated = 1;
		mo.mo_connection = VMS_CONN_CHANNEL + ch->c_id;
	}
	vms_send(s, &mo, sizeof(mo));
}

void
vms_in_request_offers(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	static const struct vms_header done = { .mh_type = VMS_OFFERS_DONE };

	if (s->s_offers) {
		vms_bad(s, VMS_REQUEST_OFFERS, "offers asked for twice");
		return;
	}
	s->s_offers = true;
	for (struct vms_chan *ch = s->s_chans; ch != NULL; ch = ch->c_next)
		offer(s, ch);
	vms_send(s, &done, sizeof(done));
}

static int
offer_compare(const struct vms_chan *a, const struct vms_chan *b)
{
	int c;

	c = memcmp(&a->c_type, &b->c_type, sizeof(a->c_type));
	if (c == 0)
		c = (int)a->c_order - (int)b->c_order;
	if (c == 0)
		c = memcmp(&a->c_instance, &b->c_instance,
		    sizeof(a->c_instance));
	if (c == 0)
		c = (int)a->c_subidx - (int)b->c_subidx;
	return (c);
}

void
vms_offer_add(struct vms_server *s, struct vms_chan *ch)
{
	struct vms_chan **p;

	ch->c_state = VMS_CH_RELEASED;
	ch->c_id = 0;
	ch->c_monitor = VMS_NO_MONITOR;
	/* Sorted, so that ids come out the same each time (4). */
	for (p = &s->s_chans; *p != NULL && offer_compare(*p, ch) <= 0;
	    p = &(*p)->c_next)
		;
	ch->c_next = *p;
	*p = ch;
	if (s->s_state == VMS_CONNECTED && s->s_offers)
		offer(s, ch);
}

int
vms_offer_sub_check(struct vms_server *s, unsigned count)
{
	unsigned n = 0;

	if (s->s_state != VMS_CONNECTED || s->s_conn.n_version < VMS_V2_4)
		return (ENOTSUP);
	for (uint32_t id = 1; id < VMS_CHANNELS; id++)
		n += s->s_byid[id] == NULL;
	return (n < count ? ENOSPC : 0);
}

static void
revoke_one(struct vms_server *s, struct vms_chan *ch)
{
	struct vms_chan_msg mc = { .mc_hdr = { .mh_type = VMS_RESCIND } };

	if (ch->c_state == VMS_CH_REVOKED || ch->c_state == VMS_CH_GONE)
		return;
	ch->c_withdrawn = true;
	ch->c_reserved = false;
	vms_chan_stop(s, ch);
	if (ch->c_id == 0 || s->s_state != VMS_CONNECTED) {
		vms_gpadl_drop(s, ch);
		vms_chan_unassign(s, ch);
		ch->c_state = VMS_CH_GONE;
		return;
	}
	ch->c_state = VMS_CH_REVOKED;
	mc.mc_chan = ch->c_id;
	vms_send(s, &mc, sizeof(mc));
}

void
vms_subs_revoke(struct vms_server *s, struct vms_chan *primary)
{

	for (struct vms_chan *ch = s->s_chans; ch != NULL; ch = ch->c_next) {
		if (ch->c_primary == primary)
			revoke_one(s, ch);
	}
}

void
vms_revoke(struct vms_server *s, struct vms_chan *ch)
{

	vms_subs_revoke(s, ch);
	revoke_one(s, ch);
	vms_conn_progress(s);
}

void
vms_in_relid_released(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	const struct vms_chan_msg *mc = msg;
	struct vms_chan *ch, *heir;

	ch = vms_chan_find(s, mc->mc_chan);
	if (ch == NULL) {
		vms_bad(s, VMS_RELID_RELEASED, "release of no channel");
		return;
	}
	switch (ch->c_reserved ? VMS_CH_OPEN : ch->c_state) {
	case VMS_CH_REVOKED:
		vms_gpadl_drop(s, ch);
		vms_chan_unassign(s, ch);
		ch->c_state = VMS_CH_GONE;
		if (!s->s_offers)
			return;
		for (heir = s->s_chans; heir != NULL; heir = heir->c_next) {
			if (heir->c_state == VMS_CH_RELEASED &&
			    memcmp(&heir->c_instance, &ch->c_instance,
			    sizeof(ch->c_instance)) == 0)
				offer(s, heir);
		}
		break;
	case VMS_CH_CLOSED:
	case VMS_CH_CLOSING:
		vms_subs_revoke(s, ch);
		vms_gpadl_drop(s, ch);
		vms_chan_unassign(s, ch);
		ch->c_state = ch->c_state == VMS_CH_CLOSED ?
		    VMS_CH_RELEASED : VMS_CH_CLOSING_RELEASE;
		break;
	default:
		vms_bad(s, VMS_RELID_RELEASED, "release of an open channel");
	}
}
