/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network channel's own messages: version, NDIS configuration, the two
 * buffers, sub-channels, and what the guest is told of queues and virtual
 * functions.  Each set-up message may come once an opening; one that is
 * unknown to the version, comes at the wrong time or names memory that is not
 * shared shuts the channel, for there is no answer that says so.  protocol:
 * netvsc, 3
 */

#include <errno.h>
#include <string.h>

#include "network/nvsp_var.h"

#define	NVSP_MAX_MDL_CHAIN	34

static const uint32_t nvsp_versions[] = {
	NVSP_VERSION_1, NVSP_VERSION_2, NVSP_VERSION_4, NVSP_VERSION_5,
	NVSP_VERSION_6, NVSP_VERSION_6_1
};

/* --- Set-up --- */

static void
nvsp_init(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;
	struct nvsp_msg reply = { .type = NVSP_INIT_COMPLETE };
	uint32_t v = msg->init.version;
	unsigned i;
	bool ok = false;

	for (i = 0; i < sizeof(nvsp_versions) / sizeof(v); i++)
		ok |= v == nvsp_versions[i] && v <= na->max_version;
	/* What old guests want to see in a field that has no use. */
	reply.init_complete.deprecated = v == NVSP_VERSION_1 ? v : UINT32_MAX;
	reply.init_complete.max_mdl_chain = NVSP_MAX_MDL_CHAIN;
	reply.init_complete.status = ok ? NVSP_STATUS_SUCCESS :
	    NVSP_STATUS_NONE;
	/* The size of messages changes only after this one. */
	nvsp_complete(c, pkt->xid, &reply, NVSP_PACKET_SIZE_OLD);
	if (ok) {
		na->version = v;
		na->state = NVSP_SETUP;
		hvh_log(na->h, HVH_LOG_DEBUG, "netvsp: version %u.%u", v >> 16,
		    v & 0xffff);
	}
}

/* For those who ask although there is nothing to say. */
static void
nvsp_complete_empty(struct nvsp_chan *c, const struct hvh_pkt *pkt)
{
	const struct nvsp_msg none = { 0 };

	if (pkt->wants_completion)
		nvsp_complete(c, pkt->xid, &none, 0);
}

static bool
nvsp_once(struct nvsp_chan *c, unsigned what)
{

	if ((c->na->has & what) != 0) {
		nvsp_shut(c, "a set-up message for the second time");
		return (false);
	}
	c->na->has |= what;
	return (true);
}

static void
nvsp_config(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;
	uint32_t mtu = msg->config.mtu;

	/* The receive buffer's slots are made by the MTU. */
	if ((na->has & NVSP_HAS_RX) != 0) {
		nvsp_shut(c, "NDIS configuration behind the receive buffer");
		return;
	}
	if (!nvsp_once(c, NVSP_HAS_CONFIG))
		return;
	na->mtu = mtu < NVSP_MTU_MIN ? NVSP_MTU_MIN :
	    mtu > na->max_mtu ? na->max_mtu : mtu;
	na->capabilities = msg->config.capabilities;
	nvsp_complete_empty(c, pkt);
}

static void
nvsp_ndis(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{

	if (!nvsp_once(c, NVSP_HAS_NDIS))
		return;
	c->na->ndis = (msg->ndis_version.major & 0xffff) << 16 |
	    (msg->ndis_version.minor & 0xffff);
	nvsp_complete_empty(c, pkt);
}

static void
nvsp_rx_buffer(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;
	struct nvsp_msg reply = { .type = NVSP_RECEIVE_BUFFER_COMPLETE };

	if (na->version >= NVSP_VERSION_2 &&
	    (na->has & NVSP_HAS_CONFIG) == 0) {
		nvsp_shut(c, "a receive buffer before NDIS configuration");
		return;
	}
	if (!nvsp_once(c, NVSP_HAS_RX))
		return;
	na->rx = hvh_chan_share(c->ch, msg->buffer.gpadl);
	if (na->rx == NULL || na->rx->npages > UINT32_MAX / 4096 ||
	    nvsp_slots_make(na) != 0) {
		nvsp_shut(c, "a receive buffer that is none");
		return;
	}
	na->rx_id = msg->buffer.id;
	reply.rx_complete.status = NVSP_STATUS_SUCCESS;
	reply.rx_complete.sections = 1;
	reply.rx_complete.section.slot_size = na->slot_size;
	reply.rx_complete.section.slots = na->nslots;
	reply.rx_complete.section.end = na->slot_size * na->nslots;
	nvsp_complete(c, pkt->xid, &reply, nvsp_msg_size(na));
}

static void
nvsp_tx_buffer(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;
	struct nvsp_msg reply = { .type = NVSP_SEND_BUFFER_COMPLETE };

	if (!nvsp_once(c, NVSP_HAS_TX))
		return;
	na->tx = hvh_chan_share(c->ch, msg->buffer.gpadl);
	if (na->tx == NULL || na->tx->npages > UINT32_MAX / 4096) {
		nvsp_shut(c, "a send buffer that is none");
		return;
	}
	na->tx_size = na->tx->npages * 4096;
	na->tx_id = msg->buffer.id;
	reply.tx_complete.status = NVSP_STATUS_SUCCESS;
	reply.tx_complete.section_size = NVSP_SECTION;
	nvsp_complete(c, pkt->xid, &reply, nvsp_msg_size(na));
}

bool
nvsp_become_ready(struct hvh_net *na)
{
	unsigned need = NVSP_HAS_NDIS | NVSP_HAS_RX;

	if (na->state == NVSP_READY)
		return (true);
	if (na->version >= NVSP_VERSION_2)
		need |= NVSP_HAS_CONFIG;
	if (na->state != NVSP_SETUP || (na->has & need) != need)
		return (false);
	na->state = NVSP_READY;
	return (true);
}

/* Packets under way, both directions, are no more. */
static void
nvsp_stop(struct hvh_net *na)
{
	unsigned i;

	for (i = 0; i < NVSP_CHANNELS; i++) {
		if (na->chans[i] == NULL)
			continue;
		na->chans[i]->tx.busy = false;
		nvsp_slots_reclaim(na->chans[i]);
	}
	rndis_rx_unwait(na);
	rndis_forget(na);
}

/*
 * Both may come, in any order; nothing but the other is of interest then.
 * The memory is the guest's again, who wants to tear it down.
 */
static void
nvsp_revoke(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;
	bool rx = msg->type == NVSP_REVOKE_RECEIVE_BUFFER;

	if (msg->revoke.id != (rx ? na->rx_id : na->tx_id) ||
	    (rx ? na->rx : na->tx) == NULL) {
		nvsp_shut(c, "no such buffer to be revoked");
		return;
	}
	na->state = NVSP_REVOKED;
	nvsp_stop(na);
	if (rx) {
		nvsp_slots_free(na);
		hvh_chan_unshare(c->ch, na->rx);
		na->rx = NULL;
	} else {
		hvh_chan_unshare(c->ch, na->tx);
		na->tx = NULL;
		na->tx_size = 0;
	}
}

/* --- Sub-channels --- */

static void
nvsp_sub_channel(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;
	struct nvsp_msg reply = { .type = NVSP_SUB_CHANNEL };
	uint32_t n = msg->sub.count;
	bool ok;

	/* All or nothing; each queue needs slots of its own. */
	ok = msg->sub.operation == NVSP_SUB_CHANNEL_ALLOCATE &&
	    n < na->max_channels &&
	    (na->nslots - na->control_slots) / (n + 1) > 0;
	if (ok && n > 0)
		ok = hvh_chan_offer_sub(c->ch, n) == 0;
	if (ok && n > 0)
		na->channels = (uint16_t)(1 + n);
	reply.sub.operation = ok ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE;
	reply.sub.count = ok ? n : 0;
	nvsp_complete(c, pkt->xid, &reply, nvsp_msg_size(na));
}

/* Not before it has opened all that it asked for. */
void
nvsp_table_due(struct hvh_net *na)
{
	unsigned i;

	if (na->channels <= 1)
		return;
	for (i = 0; i < na->channels; i++) {
		if (na->chans[i] == NULL)
			return;
	}
	na->due |= NVSP_DUE_TABLE;
}

void
nvsp_sub_opened(struct hvh_net *na)
{

	nvsp_table_due(na);
	if (na->chans[0] != NULL)
		nvsp_write_due(na->chans[0]);
}

/*
 * What the guest sends comes back by the channel that it has chosen for what it
 * receives, as far as the smaller table can say that.
 */

static int
nvsp_write_table(struct nvsp_chan *c)
{
	struct nvsp_indirection in = {
		.type = NVSP_INDIRECTION_TABLE,
		.count = NVSP_INDIRECTION_COUNT,
		.offset = offsetof(struct nvsp_indirection, table),
	};
	unsigned i;

	for (i = 0; i < NVSP_INDIRECTION_COUNT; i++)
		in.table[i] = (c->na->rss.enabled ?
		    rss_queue(&c->na->rss, i) : i) % c->na->channels;
	return (hvh_chan_write(c->ch, PKT_INBAND, 0, 0, &in, sizeof(in)));
}

/* --- Virtual functions.  protocol: netvsc, 9 --- */

bool
nvsp_vf_capable(const struct hvh_net *na)
{

	return (na->version >= NVSP_VERSION_4 &&
	    (na->capabilities & NVSP_CAP_SRIOV) != 0);
}

static void
nvsp_switch_path(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;

	/* A switch to what is not there is of no effect. */
	if (msg->path.active == NVSP_PATH_SYNTHETIC)
		na->vf_active = false;
	else if (msg->path.active == NVSP_PATH_VF && na->vf &&
	    nvsp_vf_capable(na))
		na->vf_active = true;
	nvsp_complete_empty(c, pkt);
}

static int
nvsp_write_vf(struct nvsp_chan *c)
{
	struct nvsp_msg msg = {
		.type = NVSP_VF_ASSOCIATION,
		.vf = { .allocated = c->na->vf,
		    .serial = c->na->vf_serial },
	};

	return (hvh_chan_write(c->ch, PKT_INBAND, PKT_WANTS_COMPLETION,
	    NVSP_XID_VF, &msg, nvsp_msg_size(c->na)));
}

static int
nvsp_write_path(struct nvsp_chan *c)
{
	struct nvsp_msg msg = {
		.type = NVSP_SWITCH_DATA_PATH,
		.path = { .active = NVSP_PATH_SYNTHETIC },
	};

	return (hvh_chan_write(c->ch, PKT_INBAND, PKT_WANTS_COMPLETION,
	    NVSP_XID_PATH, &msg, NVSP_SWITCH_DATA_PATH_SIZE));
}

bool
nvsp_write_due(struct nvsp_chan *c)
{
	static int (*const write[])(struct nvsp_chan *c) = {
		/* By NVSP_DUE_*: the path before the VF's end is told. */
		nvsp_write_path, nvsp_write_vf, nvsp_write_table
	};
	struct hvh_net *na = c->na;
	unsigned i;
	int error;

	if (na->state != NVSP_READY || !na->operational)
		return (true);
	for (i = 0; i < sizeof(write) / sizeof(write[0]); i++) {
		if ((na->due & 1u << i) == 0 || c->shut)
			continue;
		error = write[i](c);
		if (error == EAGAIN)
			return (false);
		na->due &= ~(1u << i);
		if (error != 0)
			c->shut = true;
	}
	return (true);
}

/* --- Dispatch --- */

static void
nvsp_oid_query(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct nvsp_msg reply = {
		.type = NVSP_OID_QUERY_EX_COMPLETE,
		.oid_complete.status = RNDIS_STATUS_NOT_SUPPORTED,
	};

	nvsp_complete(c, pkt->xid, &reply, nvsp_msg_size(c->na));
}

/* What a guest may say, when, and how long such a message is at least. */
struct nvsp_op {
	uint32_t	 type;
	uint32_t	 len;		/* behind the type */
	uint32_t	 version;	/* the first that knows it */
	unsigned	 states;	/* bits by enum nvsp_state */
	bool		 answered;	/* a completion must be asked for */
	void		(*fn)(struct nvsp_chan *c, const struct nvsp_msg *msg,
			    const struct hvh_pkt *pkt);
};

#define	IN(s)	(1u << NVSP_##s)

static const struct nvsp_op nvsp_ops[] = {
	{ NVSP_INIT, sizeof(struct nvsp_init), 0, IN(WAIT_VERSION), true,
	    nvsp_init },
	{ NVSP_NDIS_VERSION, sizeof(struct nvsp_ndis_version), NVSP_VERSION_1,
	    IN(SETUP), false, nvsp_ndis },
	{ NVSP_NDIS_CONFIG, sizeof(struct nvsp_ndis_config), NVSP_VERSION_2,
	    IN(SETUP), false, nvsp_config },
	{ NVSP_RECEIVE_BUFFER, sizeof(struct nvsp_buffer), NVSP_VERSION_1,
	    IN(SETUP), true, nvsp_rx_buffer },
	{ NVSP_SEND_BUFFER, sizeof(struct nvsp_buffer), NVSP_VERSION_1,
	    IN(SETUP), true, nvsp_tx_buffer },
	{ NVSP_REVOKE_RECEIVE_BUFFER, sizeof(struct nvsp_revoke),
	    NVSP_VERSION_1, IN(SETUP) | IN(READY) | IN(REVOKED), false,
	    nvsp_revoke },
	{ NVSP_REVOKE_SEND_BUFFER, sizeof(struct nvsp_revoke), NVSP_VERSION_1,
	    IN(SETUP) | IN(READY) | IN(REVOKED), false, nvsp_revoke },
	{ NVSP_SUB_CHANNEL, sizeof(struct nvsp_sub_channel), NVSP_VERSION_5,
	    IN(READY), true, nvsp_sub_channel },
	{ NVSP_SWITCH_DATA_PATH, sizeof(struct nvsp_data_path),
	    NVSP_VERSION_4, IN(READY), false, nvsp_switch_path },
	{ NVSP_OID_QUERY_EX, 8, NVSP_VERSION_5, IN(READY), true,
	    nvsp_oid_query },
};

void
nvsp_message(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	const struct nvsp_op *op;
	struct hvh_net *na = c->na;

	for (op = nvsp_ops; op < nvsp_ops +
	    sizeof(nvsp_ops) / sizeof(nvsp_ops[0]); op++) {
		if (op->type == msg->type)
			break;
	}
	if (op == nvsp_ops + sizeof(nvsp_ops) / sizeof(nvsp_ops[0]) ||
	    op->version > na->version)
		nvsp_shut(c, "a message this version does not know");
	else if (pkt->len < NVSP_HEADER_SIZE + op->len)
		nvsp_shut(c, "a packet too short for its type");
	else if (c->idx != 0)
		nvsp_shut(c, "a message for the primary channel");
	else if ((op->states & 1u << na->state) == 0)
		nvsp_shut(c, "a message at the wrong time");
	else if (op->answered && !pkt->wants_completion)
		nvsp_shut(c, "a request without completion asked for");
	else
		op->fn(c, msg, pkt);
}

void
nvsp_forget(struct hvh_net *na)
{
	struct hvh_chan *ch = na->primary;

	nvsp_stop(na);
	na->state = NVSP_WAIT_VERSION;
	na->version = 0;
	na->has = 0;
	na->mtu = NVSP_MTU_MIN;
	na->capabilities = 0;
	na->ndis = 0;
	na->channels = 1;
	na->due = 0;
	na->vf_active = false;
	nvsp_slots_free(na);
	if (na->rx != NULL)
		hvh_chan_unshare(ch, na->rx);
	if (na->tx != NULL)
		hvh_chan_unshare(ch, na->tx);
	na->rx = na->tx = NULL;
	na->tx_size = 0;
}
