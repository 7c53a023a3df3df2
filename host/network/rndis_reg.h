/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of RNDIS messages and what goes with each packet, as this side
 * sees them.  Little-endian.  Offsets of information buffers count from
 * byte 8 of a message.  protocol: netvsc, 4.3, 4.4 and 5
 */

#ifndef HVH_NETWORK_RNDIS_REG_H
#define	HVH_NETWORK_RNDIS_REG_H

#include <stddef.h>
#include <stdint.h>

/* protocol: netvsc, 4.3 */
#define	RNDIS_PACKET			0x00000001u
#define	RNDIS_INITIALIZE		0x00000002u
#define	RNDIS_HALT			0x00000003u
#define	RNDIS_QUERY			0x00000004u
#define	RNDIS_SET			0x00000005u
#define	RNDIS_RESET			0x00000006u
#define	RNDIS_INDICATE_STATUS		0x00000007u
#define	RNDIS_KEEPALIVE			0x00000008u
#define	RNDIS_SET_EX			0x00000009u
#define	RNDIS_COMPLETE			0x80000000u	/* answer to */

#define	RNDIS_STATUS_SUCCESS		0x00000000u
#define	RNDIS_STATUS_BUFFER_OVERFLOW	0x80000005u
#define	RNDIS_STATUS_FAILURE		0xc0000001u
#define	RNDIS_STATUS_NOT_SUPPORTED	0xc00000bbu
#define	RNDIS_STATUS_BAD_VERSION	0xc0010004u
#define	RNDIS_STATUS_MULTICAST_FULL	0xc0010009u
#define	RNDIS_STATUS_INVALID_LENGTH	0xc0010014u
#define	RNDIS_STATUS_INVALID_DATA	0xc0010015u
#define	RNDIS_STATUS_MEDIA_CONNECT	0x4001000bu
#define	RNDIS_STATUS_MEDIA_DISCONNECT	0x4001000cu
#define	RNDIS_STATUS_OFFLOAD_CONFIG	0x40020006u

/* What offsets count from. */
#define	RNDIS_BASE			8u

struct rndis_header {
	uint32_t	type;
	uint32_t	len;		/* of the whole message */
};
_Static_assert(sizeof(struct rndis_header) == 8, "rndis_header");

struct rndis_packet {
	struct rndis_header hdr;
	uint32_t	data_offset;
	uint32_t	data_len;
	uint32_t	oob_offset;
	uint32_t	oob_len;
	uint32_t	oob_elements;
	uint32_t	ppi_offset;
	uint32_t	ppi_len;
	uint32_t	vc_handle;
	uint32_t	reserved;
};
_Static_assert(sizeof(struct rndis_packet) == 44, "rndis_packet");
_Static_assert(offsetof(struct rndis_packet, data_offset) == 8,
    "data_offset");
_Static_assert(offsetof(struct rndis_packet, ppi_offset) == 28,
    "ppi_offset");
_Static_assert(offsetof(struct rndis_packet, vc_handle) == 36, "vc_handle");
/* The least offset of data and per-packet information. */
#define	RNDIS_PACKET_BODY		(44u - RNDIS_BASE)

struct rndis_initialize {
	struct rndis_header hdr;
	uint32_t	id;
	uint32_t	major;
	uint32_t	minor;
	uint32_t	max_transfer;
};
_Static_assert(sizeof(struct rndis_initialize) == 24, "rndis_initialize");

struct rndis_initialize_complete {
	struct rndis_header hdr;
	uint32_t	id;
	uint32_t	status;
	uint32_t	major;
	uint32_t	minor;
	uint32_t	flags;
	uint32_t	medium;
	uint32_t	max_packets;
	uint32_t	max_transfer;
	uint32_t	alignment;	/* a power of two: its exponent */
	uint32_t	af_offset;
	uint32_t	af_size;
};
_Static_assert(sizeof(struct rndis_initialize_complete) == 52,
    "rndis_initialize_complete");
_Static_assert(offsetof(struct rndis_initialize_complete, max_packets) == 32,
    "max_packets");
#define	RNDIS_CONNECTIONLESS		1u
#define	RNDIS_MAX_PACKETS		8u
#define	RNDIS_MAX_TRANSFER		0xefffffffu
#define	RNDIS_ALIGNMENT			3u

/* QUERY and SET. */
struct rndis_request {
	struct rndis_header hdr;
	uint32_t	id;
	uint32_t	oid;
	uint32_t	info_len;
	uint32_t	info_offset;
	uint32_t	vc_handle;
};
_Static_assert(sizeof(struct rndis_request) == 28, "rndis_request");
_Static_assert(offsetof(struct rndis_request, info_offset) == 20,
    "info_offset");

struct rndis_query_complete {
	struct rndis_header hdr;
	uint32_t	id;
	uint32_t	status;
	uint32_t	info_len;
	uint32_t	info_offset;
};
_Static_assert(sizeof(struct rndis_query_complete) == 24,
    "rndis_query_complete");

/* HALT and KEEPALIVE, which the host may ask as well. */
struct rndis_bare {
	struct rndis_header hdr;
	uint32_t	id;
};
_Static_assert(sizeof(struct rndis_bare) == 12, "rndis_bare");

/* SET and KEEPALIVE. */
struct rndis_complete {
	struct rndis_header hdr;
	uint32_t	id;
	uint32_t	status;
};
_Static_assert(sizeof(struct rndis_complete) == 16, "rndis_complete");

/* It has no request id. */
struct rndis_reset_complete {
	struct rndis_header hdr;
	uint32_t	status;
	uint32_t	addressing_reset;
};
_Static_assert(sizeof(struct rndis_reset_complete) == 16,
    "rndis_reset_complete");

struct rndis_indicate_status {
	struct rndis_header hdr;
	uint32_t	status;
	uint32_t	info_len;
	uint32_t	info_offset;
};
_Static_assert(sizeof(struct rndis_indicate_status) == 20,
    "rndis_indicate_status");

/* --- Per-packet information.  protocol: netvsc, 4.4 --- */

struct rndis_ppi {
	uint32_t	size;		/* this header included */
	uint32_t	type;
	uint32_t	offset;		/* of the data, from here */
};
_Static_assert(sizeof(struct rndis_ppi) == 12, "rndis_ppi");
#define	RNDIS_PPI_INTERNAL		0x80000000u
#define	RNDIS_PPI_CHECKSUM		0u
#define	RNDIS_PPI_LSO			2u
#define	RNDIS_PPI_VLAN			6u
#define	RNDIS_PPI_HASH_VALUE		8u
#define	RNDIS_PPI_HASH_INFO		9u
#define	RNDIS_PPI_PACKET_ID		(1u | RNDIS_PPI_INTERNAL)

/* Checksum, from the guest. */
#define	RNDIS_TXCSUM_IPV4		0x00000001u
#define	RNDIS_TXCSUM_IPV6		0x00000002u
#define	RNDIS_TXCSUM_TCP		0x00000004u
#define	RNDIS_TXCSUM_UDP		0x00000008u
#define	RNDIS_TXCSUM_IP_HEADER		0x00000010u
#define	RNDIS_TXCSUM_L4(v)		((v) >> 16 & 0x3ffu)

/* Checksum, to the guest. */
#define	RNDIS_RXCSUM_TCP_BAD		0x00000001u
#define	RNDIS_RXCSUM_UDP_BAD		0x00000002u
#define	RNDIS_RXCSUM_IP_BAD		0x00000004u
#define	RNDIS_RXCSUM_TCP_GOOD		0x00000008u
#define	RNDIS_RXCSUM_UDP_GOOD		0x00000010u
#define	RNDIS_RXCSUM_IP_GOOD		0x00000020u

/* Large send; version 1 has RNDIS_LSO_V2 unset and is of IPv4. */
#define	RNDIS_LSO_MSS(v)		((v) & 0xfffffu)
#define	RNDIS_LSO_L4(v)			((v) >> 20 & 0x3ffu)
#define	RNDIS_LSO_V2			0x40000000u
#define	RNDIS_LSO_IPV6			0x80000000u

/* A tag's bits stand in another order than in a frame. */
#define	RNDIS_VLAN_TO_TCI(v)						\
	((uint16_t)(((v) & 0x7u) << 13 | ((v) & 0x8u) << 9 |		\
	((v) >> 4 & 0xfffu)))
#define	RNDIS_VLAN_FROM_TCI(t)						\
	(((uint32_t)(t) >> 13 & 0x7u) | ((uint32_t)(t) >> 9 & 0x8u) |	\
	((uint32_t)(t) & 0xfffu) << 4)

/* Packet id: the pieces of a frame that is larger than a receive slot. */
struct rndis_packet_id {
	uint8_t		version;
	uint8_t		flags;
	uint16_t	id;
};
_Static_assert(sizeof(struct rndis_packet_id) == 4, "rndis_packet_id");
#define	RNDIS_PACKET_ID_VERSION		1
#define	RNDIS_PACKET_ID_SUBALLOC	1
#define	RNDIS_PACKET_ID_FIRST		2
#define	RNDIS_PACKET_ID_LAST		4

/* --- OIDs.  protocol: netvsc, 5 --- */

#define	OID_GEN_SUPPORTED_LIST		0x00010101u
#define	OID_GEN_HARDWARE_STATUS		0x00010102u
#define	OID_GEN_MEDIA_SUPPORTED		0x00010103u
#define	OID_GEN_MEDIA_IN_USE		0x00010104u
#define	OID_GEN_MAXIMUM_LOOKAHEAD	0x00010105u
#define	OID_GEN_MAXIMUM_FRAME_SIZE	0x00010106u
#define	OID_GEN_LINK_SPEED		0x00010107u
#define	OID_GEN_TRANSMIT_BUFFER_SPACE	0x00010108u
#define	OID_GEN_RECEIVE_BUFFER_SPACE	0x00010109u
#define	OID_GEN_TRANSMIT_BLOCK_SIZE	0x0001010au
#define	OID_GEN_RECEIVE_BLOCK_SIZE	0x0001010bu
#define	OID_GEN_VENDOR_ID		0x0001010cu
#define	OID_GEN_VENDOR_DESCRIPTION	0x0001010du
#define	OID_GEN_CURRENT_PACKET_FILTER	0x0001010eu
#define	OID_GEN_CURRENT_LOOKAHEAD	0x0001010fu
#define	OID_GEN_DRIVER_VERSION		0x00010110u
#define	OID_GEN_MAXIMUM_TOTAL_SIZE	0x00010111u
#define	OID_GEN_PROTOCOL_OPTIONS	0x00010112u
#define	OID_GEN_MAC_OPTIONS		0x00010113u
#define	OID_GEN_MEDIA_CONNECT_STATUS	0x00010114u
#define	OID_GEN_MAXIMUM_SEND_PACKETS	0x00010115u
#define	OID_GEN_VENDOR_DRIVER_VERSION	0x00010116u
#define	OID_GEN_NETWORK_LAYER_ADDRESSES	0x00010118u
#define	OID_GEN_RSS_CAPABILITIES	0x00010203u
#define	OID_GEN_RSS_PARAMETERS		0x00010204u
#define	OID_GEN_MAX_LINK_SPEED		0x00010206u
#define	OID_GEN_LINK_STATE		0x00010207u
#define	OID_GEN_XMIT_OK			0x00020101u
#define	OID_GEN_RCV_OK			0x00020102u
#define	OID_GEN_XMIT_ERROR		0x00020103u
#define	OID_GEN_RCV_ERROR		0x00020104u
#define	OID_GEN_RCV_NO_BUFFER		0x00020105u
#define	OID_GEN_FRIENDLY_NAME		0x00020216u
#define	OID_GEN_BYTES_RCV		0x00020219u
#define	OID_GEN_BYTES_XMIT		0x0002021au
#define	OID_GEN_RNDIS_CONFIG_PARAMETER	0x0001021bu
#define	OID_802_3_PERMANENT_ADDRESS	0x01010101u
#define	OID_802_3_CURRENT_ADDRESS	0x01010102u
#define	OID_802_3_MULTICAST_LIST	0x01010103u
#define	OID_802_3_MAXIMUM_LIST_SIZE	0x01010104u
#define	OID_OFFLOAD_ENCAPSULATION	0x0101010au
#define	OID_802_3_RCV_ERROR_ALIGNMENT	0x01020101u
#define	OID_802_3_XMIT_ONE_COLLISION	0x01020102u
#define	OID_802_3_XMIT_MORE_COLLISIONS	0x01020103u
#define	OID_TCP_OFFLOAD_CURRENT_CONFIG	0xfc01020bu
#define	OID_TCP_OFFLOAD_PARAMETERS	0xfc01020cu
#define	OID_TCP_OFFLOAD_HARDWARE	0xfc01020du

/* protocol: netvsc, 5.1 */
#define	NDIS_FILTER_DIRECTED		0x01u
#define	NDIS_FILTER_MULTICAST		0x02u
#define	NDIS_FILTER_ALL_MULTICAST	0x04u
#define	NDIS_FILTER_BROADCAST		0x08u
#define	NDIS_FILTER_PROMISCUOUS		0x20u

#define	NDIS_MEDIA_CONNECTED		0u
#define	NDIS_MEDIA_DISCONNECTED		1u

/* protocol: netvsc, 5.2 */
struct rndis_config_parameter {
	uint32_t	name_offset;	/* offsets from this structure */
	uint32_t	name_len;
	uint32_t	type;
	uint32_t	value_offset;
	uint32_t	value_len;
};
_Static_assert(sizeof(struct rndis_config_parameter) == 20,
    "rndis_config_parameter");
#define	RNDIS_CONFIG_STRING		2u
#define	RNDIS_CONFIG_NAME_MAX		255u	/* bytes, of either */

#endif	/* !HVH_NETWORK_RNDIS_REG_H */
