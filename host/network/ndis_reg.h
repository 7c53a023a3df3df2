/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of NDIS objects: what OIDs about offloads, receive scaling and
 * the link carry.  Little-endian.  protocol: netvsc, 5 and 6
 */

#ifndef HVH_NETWORK_NDIS_REG_H
#define	HVH_NETWORK_NDIS_REG_H

#include <stddef.h>
#include <stdint.h>

struct ndis_object {
	uint8_t		type;
	uint8_t		revision;
	uint16_t	size;
};
_Static_assert(sizeof(struct ndis_object) == 4, "ndis_object");
#define	NDIS_OBJECT_DEFAULT		0x80
#define	NDIS_OBJECT_RSS_CAPABILITIES	0x88
#define	NDIS_OBJECT_OFFLOAD		0xa7
#define	NDIS_OBJECT_ENCAPSULATION	0xa8

/* Ethernet, as an encapsulation. */
#define	NDIS_ENCAPSULATION_8023		0x00000002u

/* protocol: netvsc, 6.1; fields of two bits, 1 says "supported" */
#define	NDIS_CSUM4_IP_OPTIONS		0x00000001u
#define	NDIS_CSUM4_TCP_OPTIONS		0x00000004u
#define	NDIS_CSUM4_TCP			0x00000010u
#define	NDIS_CSUM4_UDP			0x00000040u
#define	NDIS_CSUM4_IP			0x00000100u
#define	NDIS_CSUM6_EXTENSIONS		0x00000001u
#define	NDIS_CSUM6_TCP_OPTIONS		0x00000004u
#define	NDIS_CSUM6_TCP			0x00000010u
#define	NDIS_CSUM6_UDP			0x00000040u
#define	NDIS_LSO6_EXTENSIONS		0x00000001u
#define	NDIS_LSO6_TCP_OPTIONS		0x00000004u

struct ndis_offload {
	struct ndis_object hdr;
	uint32_t	tx4_encap;
	uint32_t	tx4_csum;
	uint32_t	rx4_encap;
	uint32_t	rx4_csum;
	uint32_t	tx6_encap;
	uint32_t	tx6_csum;
	uint32_t	rx6_encap;
	uint32_t	rx6_csum;
	uint8_t		lso_v1[16];
	uint8_t		ipsec_v1[28];
	uint32_t	lso4_encap;
	uint32_t	lso4_max;
	uint32_t	lso4_min_segments;
	uint32_t	lso6_encap;
	uint32_t	lso6_max;
	uint32_t	lso6_min_segments;
	uint32_t	lso6_flags;
	uint32_t	flags;
	uint8_t		ipsec_v2[32];
	uint8_t		rsc4;
	uint8_t		rsc6;
	uint8_t		pad[2];
	uint32_t	nvgre_flags;
	uint32_t	nvgre_max_header;
};
_Static_assert(sizeof(struct ndis_offload) == 156, "ndis_offload");
_Static_assert(offsetof(struct ndis_offload, tx6_encap) == 20, "tx6_encap");
_Static_assert(offsetof(struct ndis_offload, lso_v1) == 36, "lso_v1");
_Static_assert(offsetof(struct ndis_offload, lso4_encap) == 80,
    "lso4_encap");
_Static_assert(offsetof(struct ndis_offload, flags) == 108, "flags");
_Static_assert(offsetof(struct ndis_offload, rsc4) == 144, "rsc4");
_Static_assert(offsetof(struct ndis_offload, nvgre_flags) == 148,
    "nvgre_flags");
#define	NDIS_OFFLOAD_REVISION		3

/* protocol: netvsc, 6.2; as long as the revision says */
struct ndis_offload_params {
	struct ndis_object hdr;
	uint8_t		ip4_csum;
	uint8_t		tcp4_csum;
	uint8_t		udp4_csum;
	uint8_t		tcp6_csum;
	uint8_t		udp6_csum;
	uint8_t		lso_v1;
	uint8_t		ipsec_v1;
	uint8_t		lso4;
	uint8_t		lso6;
	uint8_t		connection4;
	uint8_t		connection6;
	uint8_t		reserved;
	uint32_t	flags;
	uint8_t		ipsec_v2;
	uint8_t		ipsec_v2_ip4;
	uint8_t		rsc4;
	uint8_t		rsc6;
	uint8_t		encap;
	uint8_t		encap_types;
	uint8_t		pad[2];
};
_Static_assert(sizeof(struct ndis_offload_params) == 28,
    "ndis_offload_params");
_Static_assert(offsetof(struct ndis_offload_params, lso4) == 11, "lso4");
_Static_assert(offsetof(struct ndis_offload_params, flags) == 16, "flags");
_Static_assert(offsetof(struct ndis_offload_params, rsc4) == 22, "rsc4");
#define	NDIS_OFFLOAD_PARAMS_SIZE_1	20
#define	NDIS_OFFLOAD_PARAMS_SIZE_3	28
/* Of the checksum fields; 0 leaves things as they are. */
#define	NDIS_PARAM_OFF			1
#define	NDIS_PARAM_TX			2
#define	NDIS_PARAM_RX			3
#define	NDIS_PARAM_TXRX			4
/* Of large send and coalescing. */
#define	NDIS_PARAM_DISABLED		1
#define	NDIS_PARAM_ENABLED		2

struct ndis_encapsulation_side {
	uint32_t	enabled;
	uint32_t	encap;
	uint32_t	header;
};
_Static_assert(sizeof(struct ndis_encapsulation_side) == 12,
    "ndis_encapsulation_side");

struct ndis_encapsulation {
	struct ndis_object hdr;
	struct ndis_encapsulation_side ip4;
	struct ndis_encapsulation_side ip6;
};
_Static_assert(sizeof(struct ndis_encapsulation) == 28,
    "ndis_encapsulation");
_Static_assert(offsetof(struct ndis_encapsulation, ip6) == 16, "ip6");
#define	NDIS_ENCAPSULATION_ON		1u
#define	NDIS_ENCAPSULATION_OFF		2u

/* protocol: netvsc, 6.3 */
struct ndis_rss_capabilities {
	struct ndis_object hdr;
	uint32_t	flags;
	uint32_t	msis;
	uint32_t	queues;
	uint16_t	entries;	/* revision 2 */
};
#define	NDIS_RSS_CAPABILITIES_SIZE	18
_Static_assert(sizeof(struct ndis_rss_capabilities) == 20,
    "ndis_rss_capabilities, padded");
_Static_assert(offsetof(struct ndis_rss_capabilities, entries) == 16,
    "entries");
#define	NDIS_RSS_CAP_TOEPLITZ		0x00000001u
#define	NDIS_RSS_CAP_TCP4		0x00000100u
#define	NDIS_RSS_CAP_TCP6		0x00000200u
#define	NDIS_RSS_CAP_TCP6_EX		0x00000400u
#define	NDIS_RSS_CAP_UDP4		0x00000800u
#define	NDIS_RSS_CAP_UDP6		0x00001000u

struct ndis_rss_params {
	struct ndis_object hdr;
	uint16_t	flags;
	uint16_t	base_cpu;
	uint32_t	hash;
	uint16_t	table_size;	/* bytes */
	uint16_t	pad0;
	uint32_t	table_offset;	/* from the object */
	uint16_t	key_size;
	uint16_t	pad1;
	uint32_t	key_offset;
	uint32_t	mask_offset;
	uint32_t	masks;
	uint32_t	mask_size;
};
_Static_assert(sizeof(struct ndis_rss_params) == 40, "ndis_rss_params");
_Static_assert(offsetof(struct ndis_rss_params, table_size) == 12,
    "table_size");
_Static_assert(offsetof(struct ndis_rss_params, key_size) == 20, "key_size");
_Static_assert(offsetof(struct ndis_rss_params, key_offset) == 24,
    "key_offset");
#define	NDIS_RSS_HASH_SAME		0x0002u
#define	NDIS_RSS_TABLE_SAME		0x0004u
#define	NDIS_RSS_KEY_SAME		0x0008u
#define	NDIS_RSS_DISABLE		0x0010u
#define	NDIS_RSS_KEY_SIZE		40
#define	NDIS_RSS_TABLE_MAX		128

#define	NDIS_HASH_FUNCTION		0x000000ffu
#define	NDIS_HASH_TOEPLITZ		0x00000001u
#define	NDIS_HASH_IP4			0x00000100u
#define	NDIS_HASH_TCP4			0x00000200u
#define	NDIS_HASH_IP6			0x00000400u
#define	NDIS_HASH_TCP6			0x00001000u
#define	NDIS_HASH_UDP4			0x00004000u
#define	NDIS_HASH_UDP6			0x00008000u

/* OID_GEN_LINK_STATE.  protocol: netvsc, 5 */
struct ndis_link_state {
	struct ndis_object hdr;
	uint32_t	connect;	/* 1 up, 2 down */
	uint32_t	duplex;
	uint32_t	pad;
	uint64_t	tx_speed;	/* bit/s */
	uint64_t	rx_speed;
	uint32_t	pause;
	uint32_t	autonegotiation;
};
_Static_assert(sizeof(struct ndis_link_state) == 40, "ndis_link_state");
_Static_assert(offsetof(struct ndis_link_state, tx_speed) == 16, "tx_speed");

#endif	/* !HVH_NETWORK_NDIS_REG_H */
