/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The connection: contact and version, unload, reset (protocol: vmbus, 3,
 * 8.1, 8.5).  Going away waits for the devices; what comes next is kept.
 */

#include <string.h>

#include "vmbus/server.h"

/* Exactly these are spoken, newest first. */
static const uint32_t vms_versions[] = {
	VMS_V5_3, VMS_V5_2, VMS_V5_1, VMS_V5_0, VMS_V4_1, VMS_V4_0, VMS_V3_0,
	VMS_V2_4, VMS_V1_1, VMS_V0_13,
};

static bool
version_spoken(const struct vms_server *s, uint32_t version)
{

	if (version > s->s_max_version || version < s->s_min_version)
		return (false);
	for (size_t i = 0; i < sizeof(vms_versions) / sizeof(vms_versions[0]);
	    i++) {
		if (vms_versions[i] == version)
			return (true);
	}
	return (false);
}

bool
vms_multiclient(const struct vms_server *s)
{

	return (s->s_max_version >= VMS_V5_0);
}

static void
refuse(struct vms_server *s, uint32_t vp, uint8_t sint)
{
	struct vms_version_response vr = {
		.mv_hdr = { .mh_type = VMS_VERSION_RESPONSE },
	};

	s->s_ops->send(s->s_arg, vp, sint, &vr, sizeof(vr));
}

/* A page the guest named by its address; 0 is none. */
static bool
conn_page(struct vms_server *s, uint64_t gpa, uint8_t **page)
{

	*page = NULL;
	if (gpa == 0)
		return (true);
	if (gpa % 4096 != 0)
		return (false);
	*page = s->s_ops->page(s->s_arg, gpa / 4096);
	return (*page != NULL);
}

/* Fills in a connection from a contact; false: it asks the impossible. */
static bool
contact_accept(struct vms_server *s, const struct vms_contact *mc,
    struct vms_conn *n)
{

	memset(n, 0, sizeof(*n));
	n->n_version = mc->mc_version;
	if (mc->mc_version >= VMS_V3_0) {
		if (mc->mc_vp >= s->s_vps)
			return (false);
		n->n_vp = mc->mc_vp;
	}
	if (mc->mc_version < VMS_V2_4 &&
	    !conn_page(s, mc->mc_intpage, &n->n_intpage))
		return (false);
	/* Both monitor pages or neither (2.9). */
	if ((mc->mc_mon_p2c == 0) != (mc->mc_mon_c2p == 0))
		return (false);
	if (!s->s_monitor)
		return (true);
	return (conn_page(s, mc->mc_mon_p2c, &n->n_mon_p2c) &&
	    conn_page(s, mc->mc_mon_c2p, &n->n_mon_c2p));
}

/* Disconnected: takes or refuses a contact. */
static void
contact(struct vms_server *s, const struct vms_contact *mc, bool multi)
{
	struct vms_version_response vr = {
		.mv_hdr = { .mh_type = VMS_VERSION_RESPONSE },
		.mv_supported = 1,
	};
	struct vms_conn conn;

	if (!version_spoken(s, mc->mc_version)) {
		refuse(s, s->s_last_vp, VMS_SINT);
		return;
	}
	/* SINT and VTL count only through connection 4 (3). */
	if (multi && mc->mc_version >= VMS_V5_0 &&
	    VMS_CONTACT_SINT(mc) != VMS_SINT) {
		refuse(s, mc->mc_vp, VMS_CONTACT_SINT(mc));
		return;
	}
	if ((multi && mc->mc_version >= VMS_V5_1 &&
	    VMS_CONTACT_VTL(mc) != 0) || !contact_accept(s, mc, &conn)) {
		/*
		 * "Not supported" rather than a failure state, which some
		 * guests do not look at (2.10).
		 */
		refuse(s, s->s_last_vp, VMS_SINT);
		return;
	}
	s->s_conn = conn;
	s->s_last_vp = conn.n_vp;
	s->s_state = VMS_CONNECTED;
	s->s_offers = false;
	s->s_ops->connected(s->s_arg, &s->s_conn);
	vr.mv_connection = mc->mc_version >= VMS_V5_0 ? VMS_CONN_MESSAGES :
	    mc->mc_version;
	vms_send(s, &vr, sizeof(vr));
}

/* One channel leaves the connection. */
static void
chan_disconnect(struct vms_server *s, struct vms_chan *ch)
{

	if (ch->c_state == VMS_CH_GONE || ch->c_reserved)
		return;
	vms_gpadl_drop(s, ch);
	if (ch->c_primary != NULL || ch->c_withdrawn) {
		vms_chan_stop(s, ch);
		ch->c_state = VMS_CH_GONE;
		vms_chan_unassign(s, ch);
		return;
	}
	switch (ch->c_state) {
	case VMS_CH_OPENING:
		ch->c_state = VMS_CH_OPENING_RELEASE;
		break;
	case VMS_CH_OPEN:
		ch->c_state = VMS_CH_CLOSING_RELEASE;
		s->s_ops->close(s->s_arg, ch);
		break;
	case VMS_CH_CLOSING:
	case VMS_CH_REOPEN:
		ch->c_state = VMS_CH_CLOSING_RELEASE;
		break;
	case VMS_CH_CLOSED:
		ch->c_state = VMS_CH_RELEASED;
		break;
	default:
		break;
	}
	vms_chan_unassign(s, ch);
}

static void
disconnect(struct vms_server *s, enum vms_next next)
{

	s->s_next = next;
	if (s->s_state == VMS_CONNECTED) {
		s->s_state = VMS_DISCONNECTING;
		s->s_offers = false;
		/* A device may answer at once: not done before all are told. */
		s->s_busy = true;
		for (struct vms_chan *ch = s->s_chans; ch != NULL;
		    ch = ch->c_next)
			chan_disconnect(s, ch);
		s->s_busy = false;
	}
	vms_conn_progress(s);
}

/* A device still holds something of the old connection. */
static bool
conn_held(const struct vms_server *s)
{

	for (const struct vms_chan *ch = s->s_chans; ch != NULL;
	    ch = ch->c_next) {
		if (ch->c_dev_open && !ch->c_reserved)
			return (true);
	}
	return (false);
}

void
vms_conn_progress(struct vms_server *s)
{
	static const struct vms_unload_response {
		struct vms_header hdr;
	} ur = { { .mh_type = VMS_UNLOAD_RESPONSE } };
	enum vms_next next;
	uint32_t version;

	if (s->s_state != VMS_DISCONNECTING || s->s_busy || conn_held(s))
		return;
	next = s->s_next;
	version = s->s_conn.n_version;
	s->s_next = VMS_NEXT_NONE;
	s->s_state = VMS_DISCONNECTED;
	if (next == VMS_NEXT_UNLOADED && version >= VMS_V1_1)
		vms_send(s, &ur, sizeof(ur));
	memset(&s->s_conn, 0, sizeof(s->s_conn));
	s->s_ops->connected(s->s_arg, &s->s_conn);
	if (next == VMS_NEXT_CONTACT)
		contact(s, &s->s_contact, s->s_contact_multi);
}

void
vms_in_contact(struct vms_server *s, const void *msg, size_t len, bool multi)
{
	struct vms_contact mc;

	memcpy(&mc, msg, sizeof(mc));
	if (s->s_state == VMS_DISCONNECTED) {
		contact(s, &mc, multi);
		return;
	}
	/*
	 * An implicit unload; another kernel may be running by now, to which
	 * messages of the old connection would be unasked ones.
	 */
	s->s_ops->flush(s->s_arg);
	s->s_contact = mc;
	s->s_contact_multi = multi;
	disconnect(s, VMS_NEXT_CONTACT);
}

void
vms_in_unload(struct vms_server *s, const void *msg, size_t len, bool multi)
{

	disconnect(s, VMS_NEXT_UNLOADED);
}

void
vms_reset(struct vms_server *s)
{

	/* Only this closes channels that outlive a connection (2.12). */
	s->s_busy = true;
	for (struct vms_chan *ch = s->s_chans; ch != NULL; ch = ch->c_next) {
		if (!ch->c_reserved)
			continue;
		ch->c_reserved = false;
		if (s->s_state != VMS_CONNECTED)
			chan_disconnect(s, ch);
	}
	s->s_busy = false;
	s->s_last_vp = 0;
	disconnect(s, VMS_NEXT_NONE);
}
