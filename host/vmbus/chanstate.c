/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Open, close, modify: the states of one channel (protocol: vmbus, 8.6).
 */

#include <string.h>

#include "vmbus/server.h"

static void
open_result(struct vms_server *s, const struct vms_chan *ch, uint32_t openid,
    uint32_t status)
{
	struct vms_open_result mr = {
		.mr_hdr = { .mh_type = VMS_OPEN_RESULT },
		.mr_chan = ch->c_id,
		.mr_openid = openid,
		.mr_status = status,
	};

	if (ch->c_reserved)
		s->s_ops->send(s->s_arg, ch->c_res_vp,
		    (uint8_t)ch->c_res_sint, &mr, sizeof(mr));
	else
		vms_send(s, &mr, sizeof(mr));
}

/* Hands the rings of c_req to the device, or refuses. */
static void
open_start(struct vms_server *s, struct vms_chan *ch)
{
	struct vms_open_req *q = &ch->c_req;
	struct vms_gpadl *g;

	if (s->s_conn.n_version < VMS_V2_4)
		q->oq_vp = 0;
	g = vms_gpadl_ring(s, ch, q->oq_gpadl);
	/* Each ring has a control page and at least one more (6.3). */
	if (g == NULL || q->oq_downstream < 2 ||
	    q->oq_downstream > g->g_npages - 2 || g->g_npages < 4 ||
	    (q->oq_vp != VMS_VP_NONE && q->oq_vp >= s->s_vps)) {
		open_result(s, ch, q->oq_openid, VMS_STATUS_FAILED);
		ch->c_state = VMS_CH_CLOSED;
		ch->c_reserved = false;
		return;
	}
	ch->c_ring = g;
	ch->c_dev_open = true;
	ch->c_state = VMS_CH_OPENING;
	s->s_ops->open(s->s_arg, ch);
}

void
vms_in_open(struct vms_server *s, const void *msg, size_t len, bool multi)
{
	struct vms_open mo;
	struct vms_open_req q;
	struct vms_chan *ch;

	memcpy(&mo, msg, sizeof(mo));
	ch = vms_chan_find(s, mo.mo_chan);
	if (ch == NULL || ch->c_state == VMS_CH_REVOKED) {
		vms_bad(s, VMS_OPEN, "open of no channel");
		return;
	}
	q.oq_openid = mo.mo_openid;
	q.oq_gpadl = mo.mo_gpadl;
	q.oq_vp = mo.mo_vp;
	q.oq_downstream = mo.mo_downstream;
	memcpy(q.oq_udata, mo.mo_udata, sizeof(q.oq_udata));
	if (ch->c_state == VMS_CH_CLOSED) {
		ch->c_req = q;
		open_start(s, ch);
	} else if (ch->c_state == VMS_CH_CLOSING) {
		ch->c_req = q;
		ch->c_state = VMS_CH_REOPEN;
	} else {
		struct vms_open_result mr = {
			.mr_hdr = { .mh_type = VMS_OPEN_RESULT },
			.mr_chan = ch->c_id,
			.mr_openid = q.oq_openid,
			.mr_status = VMS_STATUS_FAILED,
		};

		/* Kinder than silence to a guest that waits (2.6). */
		vms_bad(s, VMS_OPEN, "open of an open channel");
		vms_send(s, &mr, sizeof(mr));
	}
}

void
vms_chan_stop(struct vms_server *s, struct vms_chan *ch)
{

	/* While opening the device's answer is awaited: vms_open_done(). */
	if (ch->c_state == VMS_CH_OPEN && ch->c_dev_open)
		s->s_ops->close(s->s_arg, ch);
}

void
vms_open_done(struct vms_server *s, struct vms_chan *ch, bool ok)
{

	if (!ok) {
		ch->c_dev_open = false;
		vms_gpadl_unuse(s, ch);
	}
	switch (ch->c_state) {
	case VMS_CH_OPENING:
		ch->c_state = ok ? VMS_CH_OPEN : VMS_CH_CLOSED;
		open_result(s, ch, ch->c_req.oq_openid,
		    ok ? VMS_STATUS_OK : VMS_STATUS_FAILED);
		if (!ok)
			ch->c_reserved = false;
		break;
	case VMS_CH_OPENING_RELEASE:
		ch->c_state = ok ? VMS_CH_CLOSING_RELEASE : VMS_CH_RELEASED;
		/* FALLTHROUGH */
	default:
		/* Released or revoked while it opened. */
		if (ok)
			s->s_ops->close(s->s_arg, ch);
		else
			vms_conn_progress(s);
	}
}

void
vms_in_close(struct vms_server *s, const void *msg, size_t len, bool multi)
{
	const struct vms_chan_msg *mc = msg;
	struct vms_chan *ch;

	ch = vms_chan_find(s, mc->mc_chan);
	if (ch == NULL || ch->c_state != VMS_CH_OPEN || ch->c_reserved) {
		vms_bad(s, VMS_CLOSE, "close of no open channel");
		return;
	}
	if (ch->c_primary == NULL)
		vms_subs_revoke(s, ch);
	ch->c_state = VMS_CH_CLOSING;
	s->s_ops->close(s->s_arg, ch);
}

void
vms_close_done(struct vms_server *s, struct vms_chan *ch)
{

	if (!ch->c_dev_open)
		return;
	ch->c_dev_open = false;
	vms_gpadl_unuse(s, ch);
	switch (ch->c_state) {
	case VMS_CH_CLOSING:
		ch->c_state = VMS_CH_CLOSED;
		break;
	case VMS_CH_REOPEN:
		open_start(s, ch);
		break;
	case VMS_CH_CLOSING_RELEASE:
		ch->c_state = VMS_CH_RELEASED;
		break;
	default:
		break;
	}
	vms_conn_progress(s);
}

void
vms_in_open_reserved(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	struct vms_open_reserved mo;
	struct vms_chan *ch;

	memcpy(&mo, msg, sizeof(mo));
	ch = vms_chan_find(s, mo.mo_chan);
	if (ch == NULL || ch->c_state != VMS_CH_CLOSED ||
	    mo.mo_vp >= s->s_vps || mo.mo_sint >= 16) {
		vms_bad(s, VMS_OPEN_RESERVED, "reserved open of no channel");
		return;
	}
	ch->c_reserved = true;
	ch->c_res_vp = mo.mo_vp;
	ch->c_res_sint = mo.mo_sint;
	memset(&ch->c_req, 0, sizeof(ch->c_req));
	ch->c_req.oq_gpadl = mo.mo_gpadl;
	ch->c_req.oq_vp = VMS_VP_NONE;
	ch->c_req.oq_downstream = mo.mo_downstream;
	open_start(s, ch);
}

void
vms_in_close_reserved(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	struct vms_close_reserved mc;
	struct vms_chan_msg resp = {
		.mc_hdr = { .mh_type = VMS_CLOSE_RESERVED_RESP },
	};
	struct vms_chan *ch;

	memcpy(&mc, msg, sizeof(mc));
	ch = vms_chan_find(s, mc.mc_chan);
	if (ch == NULL || !ch->c_reserved || ch->c_state != VMS_CH_OPEN ||
	    mc.mc_vp >= s->s_vps || mc.mc_sint >= 16) {
		vms_bad(s, VMS_CLOSE_RESERVED, "reserved close of no channel");
		return;
	}
	ch->c_reserved = false;
	if (s->s_state == VMS_CONNECTED && s->s_offers) {
		ch->c_state = VMS_CH_CLOSING;
		s->s_ops->close(s->s_arg, ch);
	} else {
		/* It outlived the connection it was offered on. */
		vms_gpadl_drop(s, ch);
		ch->c_state = VMS_CH_CLOSING_RELEASE;
		s->s_ops->close(s->s_arg, ch);
		vms_chan_unassign(s, ch);
	}
	resp.mc_chan = mc.mc_chan;
	s->s_ops->send(s->s_arg, mc.mc_vp, (uint8_t)mc.mc_sint, &resp,
	    sizeof(resp));
}

void
vms_in_modify(struct vms_server *s, const void *msg, size_t len, bool multi)
{
	struct vms_modify_response mr = {
		.mm_hdr = { .mh_type = VMS_MODIFY_RESPONSE },
		.mm_status = VMS_STATUS_FAILED,
	};
	const struct vms_modify *mm = msg;
	struct vms_chan *ch;

	ch = vms_chan_find(s, mm->mm_chan);
	if (ch != NULL && ch->c_state == VMS_CH_OPEN && !ch->c_reserved &&
	    ch->c_req.oq_vp != VMS_VP_NONE && mm->mm_vp < s->s_vps) {
		ch->c_req.oq_vp = mm->mm_vp;
		s->s_ops->retarget(s->s_arg, ch, mm->mm_vp);
		mr.mm_status = VMS_STATUS_OK;
	} else {
		vms_bad(s, VMS_MODIFY_CHANNEL, "modify of no open channel");
	}
	if (s->s_conn.n_version < VMS_V5_3)
		return;
	mr.mm_chan = mm->mm_chan;
	vms_send(s, &mr, sizeof(mr));
}
