/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * RNDIS control: a request of the guest's is acted upon at once and its
 * answer queued; queued messages go to the guest in receive slots kept for
 * them, each in a packet of its own, when there is a slot and room in the
 * ring.  What waits is bounded.  protocol: netvsc, 4.1 and 4.3
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "network/nvsp_var.h"

#define	RNDIS_REQUEST_MAX	4096u	/* bytes of a control message */
#define	RNDIS_STATUS_OFFSET	12u	/* in most answers */

/* --- Messages to the guest --- */

static void
reply_free(struct hvh_net *na, struct rndis_reply *r)
{

	TAILQ_REMOVE(&na->replies, r, link);
	na->reply_bytes -= r->len;
	free(r);
}

static bool
reply_add(struct hvh_net *na, const void *data, uint32_t len, uint64_t at)
{
	struct rndis_reply *r;

	if (len > NVSP_REPLIES - na->reply_bytes || len > na->slot_size)
		return (false);
	r = malloc(sizeof(*r) + len);
	if (r == NULL)
		return (false);
	r->at = at;
	r->len = len;
	memcpy(r->data, data, len);
	na->reply_bytes += len;
	TAILQ_INSERT_TAIL(&na->replies, r, link);
	if (at != 0)
		hvh_timer_set(na->h, &na->reply_timer, hvh_now(na->h));
	return (true);
}

bool
rndis_fault(struct hvh_net *na, void *data, size_t *len, bool *twice,
    uint64_t *delay)
{
	struct hvh_fault f;
	uint32_t status, type;

	memcpy(&type, data, sizeof(type));
	if (!hvh_fault_strikes(na->h, HVH_FAULT_RNDIS_OUT, type, &f))
		return (true);
	switch (f.action) {
	case HVH_FAULT_DROP:
		return (false);
	case HVH_FAULT_DUP:
		*twice = true;
		break;
	case HVH_FAULT_DELAY:
		*delay = f.arg;
		break;
	case HVH_FAULT_STATUS:
		status = (uint32_t)f.arg;
		if (*len >= RNDIS_STATUS_OFFSET + sizeof(status))
			memcpy((uint8_t *)data + RNDIS_STATUS_OFFSET, &status,
			    sizeof(status));
		break;
	default:
		hvh_fault_apply(&f, data, len);
		break;
	}
	return (true);
}

bool
rndis_send(struct hvh_net *na, const void *data, uint32_t len)
{
	uint8_t copy[sizeof(struct rndis_query_complete) + RNDIS_INFO_MAX];
	uint64_t delay = 0;
	size_t n = len;
	bool twice = false;

	if (len > sizeof(copy))
		return (false);
	memcpy(copy, data, len);
	if (!rndis_fault(na, copy, &n, &twice, &delay))
		return (true);
	if (delay != 0)
		delay += hvh_now(na->h);
	if (twice)
		reply_add(na, copy, (uint32_t)n, delay);
	return (reply_add(na, copy, (uint32_t)n, delay));
}

void
rndis_indicate(struct hvh_net *na, uint32_t status, const void *info,
    uint32_t len)
{
	struct {
		struct rndis_indicate_status is;
		uint8_t	 info[sizeof(struct ndis_offload)];
	} m = { .is = {
		.hdr = { RNDIS_INDICATE_STATUS,
		    (uint32_t)sizeof(m.is) + len },
		.status = status,
		.info_len = len,
		.info_offset = len != 0 ? sizeof(m.is) - RNDIS_BASE : 0,
	} };

	if (len > sizeof(m.info))
		return;
	if (len > 0)
		memcpy(m.info, info, len);
	rndis_send(na, &m, m.is.hdr.len);
}

/* A message in a packet of its own; there is a slot.  False: no room. */
static bool
reply_write(struct nvsp_chan *c, const struct rndis_reply *r)
{
	struct hvh_net *na = c->na;
	uint32_t slot;

	slot = nvsp_slot_take(na, true);
	nvsp_slot_write(na, slot, 0, r->data, r->len);
	nvsp_batch_add(c, slot, r->len);
	if (nvsp_batch_write(c, NVSP_CHANNEL_CONTROL))
		return (true);
	c->batch.n = 0;
	nvsp_slot_give(na, slot);
	return (false);
}

bool
rndis_write_replies(struct nvsp_chan *c)
{
	struct hvh_net *na = c->na;
	struct rndis_reply *next, *r;
	uint64_t now, first = 0;

	if (na->state != NVSP_READY || TAILQ_EMPTY(&na->replies))
		return (true);
	/* Frames that came before go before. */
	if (!nvsp_batch_write(c, NVSP_CHANNEL_DATA))
		return (false);
	now = hvh_now(na->h);
	for (r = TAILQ_FIRST(&na->replies); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->at > now) {
			if (first == 0 || r->at < first)
				first = r->at;
			continue;
		}
		/* When the guest gives one back it signals, and we are here. */
		if (na->free_control == NVSP_NO_SLOT)
			break;
		if (!reply_write(c, r))
			return (false);
		reply_free(na, r);
		if (c->shut)
			return (false);
	}
	if (first != 0)
		hvh_timer_set(na->h, &na->reply_timer, first);
	return (true);
}

void
rndis_reply_timer(void *arg)
{
	struct hvh_net *na = arg;

	if (na->chans[0] != NULL)
		nvsp_drain(na->chans[0]);
}

/* --- Requests of the guest --- */

static uint32_t
rndis_initialize(struct hvh_net *na, const uint8_t *msg, uint32_t len)
{
	struct rndis_initialize_complete ic = {
		.hdr = { RNDIS_INITIALIZE | RNDIS_COMPLETE, sizeof(ic) },
		.status = RNDIS_STATUS_SUCCESS,
		.major = 1,
		.flags = RNDIS_CONNECTIONLESS,
		.max_packets = RNDIS_MAX_PACKETS,
		.max_transfer = RNDIS_MAX_TRANSFER,
		.alignment = RNDIS_ALIGNMENT,
	};
	struct rndis_initialize im;

	memcpy(&im, msg, sizeof(im));
	ic.id = im.id;
	if (im.major != 1) {
		ic.status = RNDIS_STATUS_BAD_VERSION;
	} else {
		na->operational = true;
		na->filter = 0;
		na->nmulticast = 0;
		rndis_offload_defaults(na);
		/* The guest asks how the link is before it looks for news. */
		na->link_told = nvsp_link(na);
		if (na->vf && nvsp_vf_capable(na))
			na->due |= NVSP_DUE_VF;
	}
	return (rndis_send(na, &ic, sizeof(ic)) ? NVSP_STATUS_SUCCESS :
	    NVSP_STATUS_FAILURE);
}

/* The completion is all the answer there is.  Another INITIALIZE may come. */
static uint32_t
rndis_halt(struct hvh_net *na, const uint8_t *msg, uint32_t len)
{

	na->operational = false;
	na->filter = 0;
	return (NVSP_STATUS_SUCCESS);
}

/*
 * Where a request's data is: its offset counts from byte 8, and 0 is refused
 * even without data.  False: not within the message.
 */
static bool
request_info(const struct rndis_request *rq, uint32_t len, uint32_t *ofs)
{

	*ofs = RNDIS_BASE + rq->info_offset;
	return (rq->info_offset >= sizeof(*rq) - RNDIS_BASE &&
	    rq->info_offset <= len - RNDIS_BASE &&
	    rq->info_len <= len - *ofs);
}

static uint32_t
rndis_query_msg(struct hvh_net *na, const uint8_t *msg, uint32_t len)
{
	struct {
		struct rndis_query_complete qc;
		uint8_t	 info[RNDIS_INFO_MAX];
	} reply = { .qc = {
		.hdr = { RNDIS_QUERY | RNDIS_COMPLETE, sizeof(reply.qc) },
		.info_offset = sizeof(reply.qc) - RNDIS_BASE,
	} };
	struct rndis_request rq;
	uint32_t n = 0, ofs;

	memcpy(&rq, msg, sizeof(rq));
	reply.qc.id = rq.id;
	if (!request_info(&rq, len, &ofs))
		reply.qc.status = RNDIS_STATUS_INVALID_DATA;
	else
		reply.qc.status = rndis_query(na, rq.oid, reply.info, &n);
	if (reply.qc.status != RNDIS_STATUS_SUCCESS)
		n = 0;
	reply.qc.info_len = n;
	reply.qc.hdr.len += n;
	return (rndis_send(na, &reply, reply.qc.hdr.len) ?
	    NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE);
}

static uint32_t
rndis_set_msg(struct hvh_net *na, const uint8_t *msg, uint32_t len)
{
	struct rndis_complete sc = {
		.hdr = { RNDIS_SET | RNDIS_COMPLETE, sizeof(sc) },
	};
	struct rndis_request rq;
	struct ndis_offload obj;
	uint32_t ofs;

	memcpy(&rq, msg, sizeof(rq));
	sc.id = rq.id;
	if (!request_info(&rq, len, &ofs))
		sc.status = RNDIS_STATUS_INVALID_DATA;
	else
		sc.status = rndis_set(na, rq.oid, msg + ofs, rq.info_len);
	if (!rndis_send(na, &sc, sizeof(sc)))
		return (NVSP_STATUS_FAILURE);
	if (rq.oid == OID_TCP_OFFLOAD_PARAMETERS &&
	    sc.status == RNDIS_STATUS_SUCCESS) {
		rndis_offload_object(na, false, &obj);
		rndis_indicate(na, RNDIS_STATUS_OFFLOAD_CONFIG, &obj,
		    sizeof(obj));
	}
	return (NVSP_STATUS_SUCCESS);
}

static uint32_t
rndis_reset(struct hvh_net *na, const uint8_t *msg, uint32_t len)
{
	struct rndis_reset_complete rc = {
		.hdr = { RNDIS_RESET | RNDIS_COMPLETE, sizeof(rc) },
		.status = RNDIS_STATUS_SUCCESS,
		/* The guest has to set filter and addresses again. */
		.addressing_reset = 1,
	};

	na->filter = 0;
	na->nmulticast = 0;
	return (rndis_send(na, &rc, sizeof(rc)) ? NVSP_STATUS_SUCCESS :
	    NVSP_STATUS_FAILURE);
}

static uint32_t
rndis_keepalive(struct hvh_net *na, const uint8_t *msg, uint32_t len)
{
	struct rndis_complete kc = {
		.hdr = { RNDIS_KEEPALIVE | RNDIS_COMPLETE, sizeof(kc) },
		.status = RNDIS_STATUS_SUCCESS,
	};

	memcpy(&kc.id, msg + RNDIS_BASE, sizeof(kc.id));
	return (rndis_send(na, &kc, sizeof(kc)) ? NVSP_STATUS_SUCCESS :
	    NVSP_STATUS_FAILURE);
}

bool
rndis_ask_alive(struct hvh_net *na)
{
	struct rndis_bare ka = {
		.hdr = { RNDIS_KEEPALIVE, sizeof(ka) },
		.id = ++na->alive_id,
	};

	return (rndis_send(na, &ka, sizeof(ka)));
}

/* The guest's answer to that, to the last question only. */
static uint32_t
rndis_is_alive(struct hvh_net *na, const uint8_t *msg, uint32_t len)
{
	struct rndis_complete kc;

	if (len < sizeof(kc))
		return (NVSP_STATUS_FAILURE);
	memcpy(&kc, msg, sizeof(kc));
	if (kc.id != na->alive_id || kc.status != RNDIS_STATUS_SUCCESS)
		return (NVSP_STATUS_FAILURE);
	na->stats.alive++;
	return (NVSP_STATUS_SUCCESS);
}

/* By type: the least length, and what is done. */
static const struct {
	uint32_t	 len;
	uint32_t	(*fn)(struct hvh_net *na, const uint8_t *msg,
			    uint32_t len);
} rndis_ops[] = {
	[RNDIS_INITIALIZE] = { sizeof(struct rndis_initialize),
	    rndis_initialize },
	[RNDIS_HALT] = { sizeof(struct rndis_bare), rndis_halt },
	[RNDIS_QUERY] = { sizeof(struct rndis_request), rndis_query_msg },
	[RNDIS_SET] = { sizeof(struct rndis_request), rndis_set_msg },
	[RNDIS_RESET] = { 12, rndis_reset },
	[RNDIS_KEEPALIVE] = { sizeof(struct rndis_bare), rndis_keepalive },
};

uint32_t
rndis_control(struct hvh_net *na, const struct nvsp_tx *m)
{
	uint8_t buf[RNDIS_REQUEST_MAX] __attribute__((aligned(8)));
	struct rndis_header hdr;
	uint32_t len = m->len;

	if (len > sizeof(buf))
		return (NVSP_STATUS_FAILURE);
	frame_copy(m->iov, m->niov, 0, buf, len);
	memcpy(&hdr, buf, sizeof(hdr));
	if (hdr.type == (RNDIS_KEEPALIVE | RNDIS_COMPLETE) && hdr.len <= len)
		return (rndis_is_alive(na, buf, hdr.len));
	if (hdr.type >= sizeof(rndis_ops) / sizeof(rndis_ops[0]) ||
	    rndis_ops[hdr.type].fn == NULL || hdr.len > len ||
	    hdr.len < rndis_ops[hdr.type].len)
		return (NVSP_STATUS_FAILURE);
	return (rndis_ops[hdr.type].fn(na, buf, hdr.len));
}

void
rndis_forget(struct hvh_net *na)
{
	struct rndis_reply *next, *r;

	for (r = TAILQ_FIRST(&na->replies); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		reply_free(na, r);
	}
	hvh_timer_clear(na->h, &na->reply_timer);
	hvh_timer_clear(na->h, &na->link_timer);
	na->operational = false;
	na->filter = 0;
	na->nmulticast = 0;
	memcpy(na->mac, na->permanent, sizeof(na->mac));
	memset(&na->rss, 0, sizeof(na->rss));
	rndis_offload_defaults(na);
}
