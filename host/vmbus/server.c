/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dispatch of the guest's channel messages: the one list of them, with the
 * least size and version of each.  What does not pass is dropped without a
 * reply (protocol: vmbus, 1).
 */

#include <string.h>

#include "vmbus/server.h"

typedef void vms_handler(struct vms_server *, const void *, size_t, bool);

static void
vms_in_tl_connect(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	const struct vms_tl_connect *tc = msg;
	struct vms_tl_result tr = {
		.mt_hdr = { .mh_type = VMS_TL_RESULT },
		.mt_status = VMS_STATUS_REFUSED,
	};

	/* Nobody listens on a socket here; before 4.1 silence says so. */
	if (s->s_conn.n_version < VMS_V4_1)
		return;
	memcpy(tr.mt_endpoint, tc->mt_endpoint, sizeof(tr.mt_endpoint));
	memcpy(tr.mt_service, tc->mt_service, sizeof(tr.mt_service));
	vms_send(s, &tr, sizeof(tr));
}

/* Types that are missing here are the host's, or of 6.0. */
static const struct {
	uint32_t	 min_version;
	uint16_t	 min_size;
	bool		 unconnected;	/* taken without a connection */
	vms_handler	*handler;
} vms_messages[] = {
	[VMS_REQUEST_OFFERS] = { VMS_V0_13, sizeof(struct vms_header), false,
	    vms_in_request_offers },
	[VMS_OPEN] = { VMS_V0_13, sizeof(struct vms_open), false,
	    vms_in_open },
	[VMS_CLOSE] = { VMS_V0_13, sizeof(struct vms_chan_msg), false,
	    vms_in_close },
	[VMS_GPADL_HEADER] = { VMS_V0_13, sizeof(struct vms_gpadl_header),
	    false, vms_in_gpadl_header },
	[VMS_GPADL_BODY] = { VMS_V0_13, sizeof(struct vms_gpadl_body), false,
	    vms_in_gpadl_body },
	[VMS_GPADL_TEARDOWN] = { VMS_V0_13,
	    sizeof(struct vms_gpadl_teardown), false,
	    vms_in_gpadl_teardown },
	[VMS_RELID_RELEASED] = { VMS_V0_13, sizeof(struct vms_chan_msg),
	    false, vms_in_relid_released },
	[VMS_CONTACT] = { 0, sizeof(struct vms_contact), true,
	    vms_in_contact },
	[VMS_UNLOAD] = { VMS_V0_13, sizeof(struct vms_header), false,
	    vms_in_unload },
	[VMS_OPEN_RESERVED] = { VMS_V4_0, sizeof(struct vms_open_reserved),
	    false, vms_in_open_reserved },
	[VMS_CLOSE_RESERVED] = { 0, sizeof(struct vms_close_reserved), true,
	    vms_in_close_reserved },
	[VMS_TL_CONNECT] = { VMS_V4_0, sizeof(struct vms_tl_connect), false,
	    vms_in_tl_connect },
	[VMS_MODIFY_CHANNEL] = { VMS_V4_1, sizeof(struct vms_modify), false,
	    vms_in_modify },
};

void
vms_message(struct vms_server *s, const void *msg, size_t len, bool multi)
{
	struct vms_header hdr;
	uint32_t type;

	if (len < sizeof(hdr)) {
		vms_bad(s, 0, "message without a header");
		return;
	}
	memcpy(&hdr, msg, sizeof(hdr));
	type = hdr.mh_type;
	if (type >= sizeof(vms_messages) / sizeof(vms_messages[0]) ||
	    vms_messages[type].handler == NULL) {
		vms_bad(s, type, "message type not known");
		return;
	}
	if (len < vms_messages[type].min_size) {
		vms_bad(s, type, "message too short");
		return;
	}
	if (!vms_messages[type].unconnected && s->s_state != VMS_CONNECTED) {
		vms_bad(s, type, "message while not connected");
		return;
	}
	if (!vms_messages[type].unconnected &&
	    s->s_conn.n_version < vms_messages[type].min_version) {
		vms_bad(s, type, "message newer than the connection");
		return;
	}
	vms_messages[type].handler(s, msg, len, multi);
}

void
vms_send(struct vms_server *s, const void *msg, size_t len)
{

	s->s_ops->send(s->s_arg, s->s_conn.n_vp, VMS_SINT, msg, len);
}

void
vms_bad(struct vms_server *s, uint32_t type, const char *why)
{

	s->s_ops->bad(s->s_arg, type, why);
}

struct vms_chan *
vms_chan_find(struct vms_server *s, uint32_t id)
{

	return (id < VMS_CHANNELS ? s->s_byid[id] : NULL);
}

void
vms_init(struct vms_server *s, const struct vms_ops *ops, void *arg,
    uint32_t vps, uint32_t max_version, uint32_t min_version, bool monitor)
{

	memset(s, 0, sizeof(*s));
	s->s_ops = ops;
	s->s_arg = arg;
	s->s_vps = vps;
	s->s_max_version = max_version == 0 ? VMS_V5_3 : max_version;
	s->s_min_version = min_version;
	s->s_monitor = monitor;
}

void
vms_reap(struct vms_server *s)
{
	struct vms_chan *ch, **p;

	for (p = &s->s_chans; (ch = *p) != NULL;) {
		if (ch->c_state != VMS_CH_GONE || ch->c_dev_open) {
			p = &ch->c_next;
			continue;
		}
		*p = ch->c_next;
		s->s_ops->gone(s->s_arg, ch);
	}
}

bool
vms_idle(const struct vms_server *s)
{

	for (const struct vms_chan *ch = s->s_chans; ch != NULL;
	    ch = ch->c_next) {
		if (ch->c_dev_open)
			return (false);
	}
	return (true);
}
