/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network provider's channels: open and close, the packets' checks, and
 * their completions.
 *
 * A back end takes a frame's bytes at once, so a guest's message is answered
 * when its last frame is sent.  One that the back end has no room for, or an
 * answer that the ring has none for, keeps the channel from reading on: the
 * guest's ring fills, and that is the back-pressure.  What the guest gets
 * wrong in the protocol shuts the channel until it is closed.  protocol:
 * netvsc, 3 and 4.1
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "network/nvsp_var.h"

/* --- Completion --- */

uint32_t
nvsp_msg_size(const struct hvh_net *na)
{

	return (na->version >= NVSP_VERSION_6_1 ? NVSP_PACKET_SIZE :
	    NVSP_PACKET_SIZE_OLD);
}

void
nvsp_complete(struct nvsp_chan *c, uint64_t xid, const struct nvsp_msg *msg,
    uint32_t len)
{
	int error;

	if (c->shut)
		return;
	error = hvh_chan_write(c->ch, PKT_COMPLETION, 0, xid, msg, len);
	if (error == EAGAIN) {
		c->owed = true;
		c->owed_xid = xid;
		c->owed_len = len;
		c->owed_msg = *msg;
	} else if (error != 0) {
		c->shut = true;
	}
}

void
nvsp_complete_rndis(struct nvsp_chan *c, uint64_t xid, uint32_t status)
{
	struct nvsp_msg msg = {
		.type = NVSP_RNDIS_PACKET_COMPLETE,
		.rndis_complete.status = status,
	};

	if (status != NVSP_STATUS_SUCCESS)
		c->na->stats.tx_bad++;
	nvsp_complete(c, xid, &msg, nvsp_msg_size(c->na));
}

static bool
nvsp_write_owed(struct nvsp_chan *c)
{

	if (c->owed) {
		c->owed = false;
		nvsp_complete(c, c->owed_xid, &c->owed_msg, c->owed_len);
	}
	return (!c->owed);
}

/* --- Packets --- */

void
nvsp_shut(struct nvsp_chan *c, const char *why)
{

	if (c->shut)
		return;
	c->shut = true;
	hvh_stats(c->na->h)->rings_corrupt++;
	hvh_log(c->na->h, HVH_LOG_WARN, "netvsp: channel %u shut: %s",
	    hvh_chan_id(c->ch), why);
}

/* The guest gives slots back, or has had a message of ours. */
static void
nvsp_returned(struct nvsp_chan *c, const struct hvh_pkt *pkt)
{
	uint32_t type;

	/* Not every guest answers those; nothing waits for it. */
	if (pkt->xid == NVSP_XID_VF || pkt->xid == NVSP_XID_PATH)
		return;
	/* Buffers that were revoked are nobody's any more. */
	if (c->na->state == NVSP_REVOKED)
		return;
	if (pkt->len < sizeof(type)) {
		nvsp_shut(c, "a completion without a type");
		return;
	}
	memcpy(&type, pkt->data, sizeof(type));
	if (type != NVSP_RNDIS_PACKET_COMPLETE)
		nvsp_shut(c, "a completion of another type");
	else if (!nvsp_slots_returned(c, pkt->xid))
		nvsp_shut(c, "a completion of nothing outstanding");
}

static void
nvsp_packet(struct nvsp_chan *c, const struct hvh_pkt *pkt)
{
	struct nvsp_msg msg = { 0 };

	if (pkt->type == PKT_COMPLETION) {
		nvsp_returned(c, pkt);
		return;
	}
	if (pkt->type != PKT_INBAND && pkt->type != PKT_GPA_DIRECT) {
		nvsp_shut(c, "not a data packet");
		return;
	}
	if (pkt->len < NVSP_HEADER_SIZE) {
		nvsp_shut(c, "a packet without a header");
		return;
	}
	memcpy(&msg, pkt->data, pkt->len < sizeof(msg) ? pkt->len :
	    sizeof(msg));
	if (msg.type != NVSP_RNDIS_PACKET) {
		nvsp_message(c, &msg, pkt);
		return;
	}
	if (pkt->len < NVSP_HEADER_SIZE + sizeof(msg.rndis))
		nvsp_shut(c, "a packet too short for its type");
	else if (!pkt->wants_completion)
		nvsp_shut(c, "a request without completion asked for");
	else if (!nvsp_become_ready(c->na))
		nvsp_shut(c, "RNDIS before the set-up is done, or after it");
	else
		rndis_receive(c, &msg, pkt);
}

/* --- Channels --- */

static bool
nvsp_may_read(const struct nvsp_chan *c)
{

	return (!c->shut && !c->owed && !c->tx.busy && c->budget > 0 &&
	    (c->idx == 0 || c->na->state == NVSP_READY));
}

/* What waits for room in the guest's ring; false: it still does. */
static bool
nvsp_write(struct nvsp_chan *c)
{

	return (!c->shut && nvsp_write_owed(c) &&
	    (c->idx != 0 || (rndis_write_replies(c) && nvsp_write_due(c))) &&
	    nvsp_batch_write(c, NVSP_CHANNEL_DATA));
}

/* Reads and does what there is; frames are started once for all of them. */
void
nvsp_drain(struct nvsp_chan *c)
{
	struct hvh_net *na = c->na;
	struct hvh_pkt pkt;
	int error = 0;

	if (c->draining)
		return;
	c->draining = true;
	c->budget = NVSP_FRAMES;
	nvsp_write(c);
	if (c->tx.busy && !c->shut)
		rndis_tx_run(c);
	while (nvsp_may_read(c)) {
		error = hvh_chan_read(c->ch, &pkt);
		if (error != 0)
			break;
		c->budget--;
		nvsp_packet(c, &pkt);
	}
	if (error == EBADMSG)
		c->shut = true;
	/* Answers to what was read just now. */
	nvsp_write(c);
	net_run(na->be);
	rndis_rx_room(c);
	if (c->budget == 0 && !c->shut)
		hvh_timer_set(na->h, &c->timer, hvh_now(na->h));
	c->draining = false;
}

static void
nvsp_timer(void *arg)
{

	nvsp_drain(arg);
}

static int
nvsp_chan_open(void *dev, struct hvh_chan *ch, const uint8_t *udata)
{
	struct hvh_net *na = dev;
	uint16_t idx = hvh_chan_subidx(ch);
	struct nvsp_chan *c;

	/* A sub-channel may be opened late, when its primary begins anew. */
	if (idx >= na->max_channels || na->chans[idx] != NULL ||
	    (idx > 0 && (na->state != NVSP_READY || idx >= na->channels)))
		return (ENXIO);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return (ENOMEM);
	c->na = na;
	c->ch = ch;
	c->idx = idx;
	c->timer.fn = nvsp_timer;
	c->timer.arg = c;
	na->chans[idx] = c;
	na->stats.channels++;
	hvh_chan_set_data(ch, c);
	if (idx > 0)
		nvsp_sub_opened(na);
	return (0);
}

/* Nothing of it is under way: the back end keeps no memory of the guest's. */
static void
nvsp_chan_close(void *dev, struct hvh_chan *ch)
{
	struct nvsp_chan *c = hvh_chan_data(ch);
	struct hvh_net *na = dev;

	hvh_timer_clear(na->h, &c->timer);
	nvsp_slots_reclaim(c);
	if (na->waiting == c)
		rndis_rx_unwait(na);
	if (c->idx == 0)
		nvsp_forget(na);
	na->chans[c->idx] = NULL;
	na->stats.channels--;
	free(c);
	hvh_chan_closed(ch);
}

static void
nvsp_chan_signal(void *dev, struct hvh_chan *ch)
{

	nvsp_drain(hvh_chan_data(ch));
}

const struct hvh_chan_ops nvsp_chan_ops = {
	.open = nvsp_chan_open,
	.close = nvsp_chan_close,
	.signal = nvsp_chan_signal,
	.released = nvsp_released,
};
