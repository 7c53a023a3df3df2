/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a guest can ask of the adapter and set, by number (OID).  Those about
 * offloads are in rndis_offload.c.  protocol: netvsc, 5
 */

#include <string.h>

#include "network/nvsp_var.h"

#define	MAC_OPTIONS	0x24du	/* copies lookahead, never pends, no
				 * loopback, 802.1p, 802.1Q */
#define	BUFFER_SPACE	(256u << 10)
#define	VENDOR_ID	0x0000155du
#define	DRIVER_VERSION	0x0100u
#define	DUPLEX_FULL	2u
#define	NDIS_6_0	(6u << 16)
#define	NDIS_6_30	(6u << 16 | 30)

static const char rndis_vendor[] = "Microsoft Corporation";
static const char rndis_friendly[] = "Virtual Ethernet adapter";

/* What there is, and the NDIS version from which on it is listed. */
static const struct {
	uint32_t	 oid;
	uint32_t	 ndis;
} rndis_oids[] = {
	{ OID_GEN_SUPPORTED_LIST, 0 },
	{ OID_GEN_HARDWARE_STATUS, 0 },
	{ OID_GEN_MEDIA_SUPPORTED, 0 },
	{ OID_GEN_MEDIA_IN_USE, 0 },
	{ OID_GEN_MAXIMUM_LOOKAHEAD, 0 },
	{ OID_GEN_MAXIMUM_FRAME_SIZE, 0 },
	{ OID_GEN_LINK_SPEED, 0 },
	{ OID_GEN_TRANSMIT_BUFFER_SPACE, 0 },
	{ OID_GEN_RECEIVE_BUFFER_SPACE, 0 },
	{ OID_GEN_TRANSMIT_BLOCK_SIZE, 0 },
	{ OID_GEN_RECEIVE_BLOCK_SIZE, 0 },
	{ OID_GEN_VENDOR_ID, 0 },
	{ OID_GEN_VENDOR_DESCRIPTION, 0 },
	{ OID_GEN_CURRENT_PACKET_FILTER, 0 },
	{ OID_GEN_CURRENT_LOOKAHEAD, 0 },
	{ OID_GEN_DRIVER_VERSION, 0 },
	{ OID_GEN_MAXIMUM_TOTAL_SIZE, 0 },
	{ OID_GEN_PROTOCOL_OPTIONS, 0 },
	{ OID_GEN_MAC_OPTIONS, 0 },
	{ OID_GEN_MEDIA_CONNECT_STATUS, 0 },
	{ OID_GEN_MAXIMUM_SEND_PACKETS, 0 },
	{ OID_GEN_VENDOR_DRIVER_VERSION, 0 },
	{ OID_GEN_NETWORK_LAYER_ADDRESSES, 0 },
	{ OID_GEN_XMIT_OK, 0 },
	{ OID_GEN_RCV_OK, 0 },
	{ OID_GEN_XMIT_ERROR, 0 },
	{ OID_GEN_RCV_ERROR, 0 },
	{ OID_GEN_RCV_NO_BUFFER, 0 },
	{ OID_GEN_FRIENDLY_NAME, 0 },
	{ OID_GEN_RNDIS_CONFIG_PARAMETER, 0 },
	{ OID_802_3_PERMANENT_ADDRESS, 0 },
	{ OID_802_3_CURRENT_ADDRESS, 0 },
	{ OID_802_3_MULTICAST_LIST, 0 },
	{ OID_802_3_MAXIMUM_LIST_SIZE, 0 },
	{ OID_802_3_RCV_ERROR_ALIGNMENT, 0 },
	{ OID_802_3_XMIT_ONE_COLLISION, 0 },
	{ OID_802_3_XMIT_MORE_COLLISIONS, 0 },
	{ OID_GEN_MAX_LINK_SPEED, NDIS_6_0 },
	{ OID_GEN_LINK_STATE, NDIS_6_0 },
	{ OID_GEN_BYTES_RCV, NDIS_6_0 },
	{ OID_GEN_BYTES_XMIT, NDIS_6_0 },
	{ OID_TCP_OFFLOAD_CURRENT_CONFIG, NDIS_6_0 },
	{ OID_TCP_OFFLOAD_PARAMETERS, NDIS_6_0 },
	{ OID_TCP_OFFLOAD_HARDWARE, NDIS_6_0 },
	{ OID_OFFLOAD_ENCAPSULATION, NDIS_6_0 },
	{ OID_GEN_RSS_CAPABILITIES, NDIS_6_30 },
	{ OID_GEN_RSS_PARAMETERS, NDIS_6_30 },
};
#define	RNDIS_NOIDS	(sizeof(rndis_oids) / sizeof(rndis_oids[0]))

_Static_assert(RNDIS_NOIDS * 4 <= RNDIS_INFO_MAX, "the list fits");

/* --- Query --- */

static uint32_t
put_bytes(uint8_t *info, uint32_t *len, const void *data, uint32_t n)
{

	memcpy(info, data, n);
	*len = n;
	return (RNDIS_STATUS_SUCCESS);
}

static uint32_t
put_u16(uint8_t *info, uint32_t *len, uint16_t v)
{

	return (put_bytes(info, len, &v, sizeof(v)));
}

static uint32_t
put_u32(uint8_t *info, uint32_t *len, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	return (put_bytes(info, len, &w, sizeof(w)));
}

static uint32_t
put_u64(uint8_t *info, uint32_t *len, uint64_t v)
{

	return (put_bytes(info, len, &v, sizeof(v)));
}

static uint32_t
query_list(const struct hvh_net *na, uint8_t *info, uint32_t *len)
{
	unsigned i;

	if (na->ndis >> 16 != 5 && na->ndis >> 16 != 6)
		return (RNDIS_STATUS_BAD_VERSION);
	*len = 0;
	for (i = 0; i < RNDIS_NOIDS; i++) {
		if (rndis_oids[i].ndis > na->ndis)
			continue;
		memcpy(info + *len, &rndis_oids[i].oid, 4);
		*len += 4;
	}
	return (RNDIS_STATUS_SUCCESS);
}

/* What the guest hears now counts, not what it was told of before. */
static bool
answer_link(struct hvh_net *na)
{

	na->link_told = nvsp_link(na);
	return (na->link_told);
}

static uint32_t
query_link_state(struct hvh_net *na, uint8_t *info, uint32_t *len)
{
	struct ndis_link_state ls = {
		.hdr = { NDIS_OBJECT_DEFAULT, 1, sizeof(ls) },
		/* Other numbers than OID_GEN_MEDIA_CONNECT_STATUS has. */
		.connect = answer_link(na) ? 1 : 2,
		.duplex = DUPLEX_FULL,
		.tx_speed = na->speed,
		.rx_speed = na->speed,
	};

	return (put_bytes(info, len, &ls, sizeof(ls)));
}

/* 255 UTF-16 units and the terminator, whatever the name. */
static uint32_t
query_name(uint8_t *info, uint32_t *len)
{
	unsigned i;

	memset(info, 0, 512);
	for (i = 0; rndis_friendly[i] != '\0'; i++)
		info[2 * i] = (uint8_t)rndis_friendly[i];
	*len = 512;
	return (RNDIS_STATUS_SUCCESS);
}

static uint32_t
query_rss(const struct hvh_net *na, uint8_t *info, uint32_t *len)
{
	struct ndis_rss_capabilities rc = {
		.hdr = { NDIS_OBJECT_RSS_CAPABILITIES, 2,
		    NDIS_RSS_CAPABILITIES_SIZE },
		.flags = NDIS_RSS_CAP_TOEPLITZ | NDIS_RSS_CAP_TCP4 |
		    NDIS_RSS_CAP_TCP6 | NDIS_RSS_CAP_UDP4 |
		    NDIS_RSS_CAP_UDP6,
		.msis = 1,
		.queues = na->version >= NVSP_VERSION_5 ? na->max_channels :
		    1,
		.entries = NDIS_RSS_TABLE_MAX,
	};

	return (put_bytes(info, len, &rc, NDIS_RSS_CAPABILITIES_SIZE));
}

static uint32_t
query_offload(const struct hvh_net *na, bool hardware, uint8_t *info,
    uint32_t *len)
{
	struct ndis_offload obj;

	rndis_offload_object(na, hardware, &obj);
	return (put_bytes(info, len, &obj, sizeof(obj)));
}

static uint32_t
query_encapsulation(uint8_t *info, uint32_t *len)
{
	struct ndis_encapsulation e = {
		.hdr = { NDIS_OBJECT_ENCAPSULATION, 1, sizeof(e) },
		.ip4 = { NDIS_ENCAPSULATION_ON, NDIS_ENCAPSULATION_8023,
		    FRAME_ETHER },
	};

	e.ip6 = e.ip4;
	return (put_bytes(info, len, &e, sizeof(e)));
}

/* Those that are numbers; false: it is none of them. */
static bool
query_number(struct hvh_net *na, uint32_t oid, uint64_t *v)
{
	const struct hvh_net_stats *st = &na->stats;

	switch (oid) {
	case OID_GEN_HARDWARE_STATUS:
	case OID_GEN_MEDIA_SUPPORTED:
	case OID_GEN_MEDIA_IN_USE:
	case OID_802_3_RCV_ERROR_ALIGNMENT:
	case OID_802_3_XMIT_ONE_COLLISION:
	case OID_802_3_XMIT_MORE_COLLISIONS:
		*v = 0;
		return (true);
	case OID_GEN_MAXIMUM_LOOKAHEAD:
	case OID_GEN_CURRENT_LOOKAHEAD:
	case OID_GEN_MAXIMUM_FRAME_SIZE:
		*v = na->mtu - FRAME_ETHER;
		return (true);
	case OID_GEN_TRANSMIT_BLOCK_SIZE:
	case OID_GEN_RECEIVE_BLOCK_SIZE:
	case OID_GEN_MAXIMUM_TOTAL_SIZE:
		*v = na->mtu;
		return (true);
	case OID_GEN_LINK_SPEED:
		*v = na->speed / 100 < UINT32_MAX ? na->speed / 100 :
		    UINT32_MAX;
		return (true);
	case OID_GEN_TRANSMIT_BUFFER_SPACE:
	case OID_GEN_RECEIVE_BUFFER_SPACE:
		*v = BUFFER_SPACE;
		return (true);
	case OID_GEN_VENDOR_ID:
		*v = VENDOR_ID;
		return (true);
	case OID_GEN_CURRENT_PACKET_FILTER:
		*v = na->filter;
		return (true);
	case OID_GEN_MAC_OPTIONS:
		*v = MAC_OPTIONS;
		return (true);
	case OID_GEN_MEDIA_CONNECT_STATUS:
		*v = answer_link(na) ? NDIS_MEDIA_CONNECTED :
		    NDIS_MEDIA_DISCONNECTED;
		return (true);
	case OID_GEN_MAXIMUM_SEND_PACKETS:
		*v = UINT32_MAX;
		return (true);
	case OID_802_3_MAXIMUM_LIST_SIZE:
		*v = NVSP_MULTICAST;
		return (true);
	case OID_GEN_XMIT_OK:
		*v = st->tx_packets;
		return (true);
	case OID_GEN_RCV_OK:
		*v = st->rx_packets;
		return (true);
	case OID_GEN_XMIT_ERROR:
		*v = st->tx_bad + st->tx_drops;
		return (true);
	case OID_GEN_RCV_ERROR:
		*v = st->rx_bad;
		return (true);
	case OID_GEN_RCV_NO_BUFFER:
		*v = st->rx_no_buffer;
		return (true);
	default:
		return (false);
	}
}

uint32_t
rndis_query(struct hvh_net *na, uint32_t oid, uint8_t *info, uint32_t *len)
{
	uint64_t speeds[2] = { na->speed, na->speed }, v;

	if (query_number(na, oid, &v))
		return (put_u32(info, len, v));
	switch (oid) {
	case OID_GEN_SUPPORTED_LIST:
		return (query_list(na, info, len));
	case OID_GEN_VENDOR_DESCRIPTION:
		return (put_bytes(info, len, rndis_vendor,
		    sizeof(rndis_vendor)));
	case OID_GEN_DRIVER_VERSION:
	case OID_GEN_VENDOR_DRIVER_VERSION:
		return (put_u16(info, len, DRIVER_VERSION));
	case OID_GEN_MAX_LINK_SPEED:
		return (put_bytes(info, len, speeds, sizeof(speeds)));
	case OID_GEN_LINK_STATE:
		return (query_link_state(na, info, len));
	case OID_GEN_FRIENDLY_NAME:
		return (query_name(info, len));
	case OID_GEN_BYTES_RCV:
		return (put_u64(info, len, na->stats.rx_bytes));
	case OID_GEN_BYTES_XMIT:
		return (put_u64(info, len, na->stats.tx_bytes));
	case OID_802_3_PERMANENT_ADDRESS:
		return (put_bytes(info, len, na->permanent, 6));
	case OID_802_3_CURRENT_ADDRESS:
		return (put_bytes(info, len, na->mac, 6));
	case OID_GEN_RSS_CAPABILITIES:
		return (query_rss(na, info, len));
	case OID_TCP_OFFLOAD_HARDWARE:
		return (query_offload(na, true, info, len));
	case OID_TCP_OFFLOAD_CURRENT_CONFIG:
		return (query_offload(na, false, info, len));
	case OID_OFFLOAD_ENCAPSULATION:
		return (query_encapsulation(info, len));
	default:
		return (RNDIS_STATUS_NOT_SUPPORTED);
	}
}

/* --- Set --- */

static uint32_t
set_filter(struct hvh_net *na, const uint8_t *info, uint32_t len)
{

	if (len < sizeof(na->filter))
		return (RNDIS_STATUS_INVALID_LENGTH);
	memcpy(&na->filter, info, sizeof(na->filter));
	return (RNDIS_STATUS_SUCCESS);
}

static uint32_t
set_multicast(struct hvh_net *na, const uint8_t *info, uint32_t len)
{

	if (len % 6 != 0)
		return (RNDIS_STATUS_INVALID_LENGTH);
	if (len / 6 > NVSP_MULTICAST)
		return (RNDIS_STATUS_MULTICAST_FULL);
	na->nmulticast = len / 6;
	if (len > 0)
		memcpy(na->multicast, info, len);
	return (RNDIS_STATUS_SUCCESS);
}

uint32_t
rndis_set(struct hvh_net *na, uint32_t oid, const uint8_t *info, uint32_t len)
{
	uint32_t status;

	switch (oid) {
	case OID_GEN_CURRENT_PACKET_FILTER:
		return (set_filter(na, info, len));
	case OID_802_3_MULTICAST_LIST:
		return (set_multicast(na, info, len));
	case OID_GEN_CURRENT_LOOKAHEAD:
	case OID_GEN_PROTOCOL_OPTIONS:
	case OID_GEN_NETWORK_LAYER_ADDRESSES:
		/* Hints that change nothing here. */
		return (RNDIS_STATUS_SUCCESS);
	case OID_GEN_RSS_PARAMETERS:
		status = rss_set(&na->rss, info, len, na->max_channels);
		if (na->rss.enabled)
			nvsp_table_due(na);
		return (status);
	case OID_TCP_OFFLOAD_PARAMETERS:
		return (rndis_offload_set(na, info, len));
	case OID_OFFLOAD_ENCAPSULATION:
		return (rndis_encapsulation_set(info, len));
	case OID_GEN_RNDIS_CONFIG_PARAMETER:
		return (rndis_config_set(na, info, len));
	default:
		return (RNDIS_STATUS_NOT_SUPPORTED);
	}
}
