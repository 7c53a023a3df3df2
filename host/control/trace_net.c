/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network protocol in words (protocol: netvsc, 3).  What an RNDIS message
 * says is in memory that guest and host share, and not in the packet.
 */

#include <stdio.h>
#include <string.h>

#include "control/trace_read.h"
#include "network/nvsp_reg.h"

static const struct {
	uint32_t	 type;
	const char	*name;
} types[] = {
	{ NVSP_INIT, "INIT" },
	{ NVSP_INIT_COMPLETE, "INIT_COMPLETE" },
	{ NVSP_NDIS_VERSION, "NDIS_VERSION" },
	{ NVSP_RECEIVE_BUFFER, "RECEIVE_BUFFER" },
	{ NVSP_RECEIVE_BUFFER_COMPLETE, "RECEIVE_BUFFER_COMPLETE" },
	{ NVSP_REVOKE_RECEIVE_BUFFER, "REVOKE_RECEIVE_BUFFER" },
	{ NVSP_SEND_BUFFER, "SEND_BUFFER" },
	{ NVSP_SEND_BUFFER_COMPLETE, "SEND_BUFFER_COMPLETE" },
	{ NVSP_REVOKE_SEND_BUFFER, "REVOKE_SEND_BUFFER" },
	{ NVSP_RNDIS_PACKET, "RNDIS_PACKET" },
	{ NVSP_RNDIS_PACKET_COMPLETE, "RNDIS_PACKET_COMPLETE" },
	{ NVSP_NDIS_CONFIG, "NDIS_CONFIG" },
	{ NVSP_VF_ASSOCIATION, "VF_ASSOCIATION" },
	{ NVSP_SWITCH_DATA_PATH, "SWITCH_DATA_PATH" },
	{ NVSP_OID_QUERY_EX, "OID_QUERY_EX" },
	{ NVSP_OID_QUERY_EX_COMPLETE, "OID_QUERY_EX_COMPLETE" },
	{ NVSP_SUB_CHANNEL, "SUB_CHANNEL" },
	{ NVSP_INDIRECTION_TABLE, "INDIRECTION_TABLE" },
};

static void
say_status(struct trace_line *line, uint32_t status)
{

	if (status == NVSP_STATUS_SUCCESS)
		trace_say(line, ", ok");
	else
		trace_say(line, ", refused: status %u", status);
}

static void
say_rndis(struct trace_line *line, const struct nvsp_rndis *r)
{

	if (r->channel_type == NVSP_CHANNEL_CONTROL)
		trace_say(line, ", control");
	else if (r->channel_type != NVSP_CHANNEL_DATA)
		trace_say(line, ", channel type %u", r->channel_type);
	if (r->section != NVSP_NO_SECTION)
		trace_say(line, ", section %u, %u bytes", r->section,
		    r->section_len);
}

/* Requests; what they are answered with is in say_answer(). */
static void
say_message(struct trace_line *line, const struct nvsp_msg *m)
{

	switch (m->type) {
	case NVSP_INIT:
		trace_say(line, ", version %u.%u", m->init.version >> 16,
		    m->init.version & 0xFFFF);
		break;
	case NVSP_NDIS_VERSION:
		trace_say(line, ", %u.%u", m->ndis_version.major,
		    m->ndis_version.minor);
		break;
	case NVSP_RECEIVE_BUFFER:
	case NVSP_SEND_BUFFER:
		trace_say(line, ", GPADL %#x, id %#x", m->buffer.gpadl,
		    m->buffer.id);
		break;
	case NVSP_RNDIS_PACKET:
		say_rndis(line, &m->rndis);
		break;
	case NVSP_NDIS_CONFIG:
		trace_say(line, ", MTU %u, capabilities %#llx", m->config.mtu,
		    (unsigned long long)m->config.capabilities);
		break;
	case NVSP_VF_ASSOCIATION:
		trace_say(line, ", %s, serial %u",
		    m->vf.allocated != 0 ? "there" : "gone", m->vf.serial);
		break;
	case NVSP_SWITCH_DATA_PATH:
		trace_say(line, ", to %s", m->path.active == NVSP_PATH_VF ?
		    "the VF" : "synthetic");
		break;
	case NVSP_SUB_CHANNEL:
		trace_say(line, ", %u wanted", m->sub.count);
		break;
	default:
		break;
	}
}

static void
say_answer(struct trace_line *line, const struct nvsp_msg *m)
{

	switch (m->type) {
	case NVSP_INIT_COMPLETE:
		say_status(line, m->init_complete.status);
		break;
	case NVSP_RECEIVE_BUFFER_COMPLETE:
		say_status(line, m->rx_complete.status);
		trace_say(line, ", %u slots of %u bytes",
		    m->rx_complete.section.slots,
		    m->rx_complete.section.slot_size);
		break;
	case NVSP_SEND_BUFFER_COMPLETE:
		say_status(line, m->tx_complete.status);
		trace_say(line, ", sections of %u bytes",
		    m->tx_complete.section_size);
		break;
	case NVSP_RNDIS_PACKET_COMPLETE:
		say_status(line, m->rndis_complete.status);
		break;
	case NVSP_SUB_CHANNEL:
		say_status(line, m->sub.operation);
		trace_say(line, ", %u granted", m->sub.count);
		break;
	default:
		break;
	}
}

void
trace_nvsp(struct trace_line *line, const uint8_t *header, size_t hlen,
    const uint8_t *payload, size_t len, bool answer)
{
	struct nvsp_xfer_head xh;
	struct nvsp_msg m = { 0 };

	memcpy(&m, payload, len < sizeof(m) ? len : sizeof(m));
	/* Some are answered by nothing. */
	if (len < NVSP_HEADER_SIZE)
		return;
	line->number = m.type;
	snprintf(line->name, sizeof(line->name), "NVSP %u", m.type);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == m.type)
			snprintf(line->name, sizeof(line->name), "%s",
			    types[i].name);
	}
	if (answer)
		say_answer(line, &m);
	else
		say_message(line, &m);
	if (hlen < sizeof(xh))
		return;
	memcpy(&xh, header, sizeof(xh));
	trace_say(line, ", %u messages in slots", xh.count);
}
