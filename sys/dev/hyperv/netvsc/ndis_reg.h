/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * NDIS objects and per-packet information as on the wire: little-endian,
 * naturally packed (protocol: netvsc, sections 4.4 and 6).  Layout and numbers
 * only.
 */

#ifndef _NDIS_REG_H_
#define	_NDIS_REG_H_

#include <sys/types.h>

/* Versions of NDIS, as told to the host in two words. */
#define	NDIS_VERSION(major, minor)	(((uint32_t)(major) << 16) | (minor))
#define	NDIS_VERSION_6_1	NDIS_VERSION(6, 1)
#define	NDIS_VERSION_6_20	NDIS_VERSION(6, 20)
#define	NDIS_VERSION_6_30	NDIS_VERSION(6, 30)
#define	NDIS_VERSION_MAJOR(v)	((v) >> 16)
#define	NDIS_VERSION_MINOR(v)	((v) & 0xffff)

struct ndis_object_hdr {
	uint8_t		oh_type;	/* NDIS_OBJECT_ */
	uint8_t		oh_rev;
	uint16_t	oh_size;
};
_Static_assert(sizeof(struct ndis_object_hdr) == 4, "ndis_object_hdr");
_Static_assert(__offsetof(struct ndis_object_hdr, oh_size) == 2,
    "ndis_object_hdr.oh_size");

#define	NDIS_OBJECT_DEFAULT	0x80
#define	NDIS_OBJECT_RSS_CAPS	0x88
#define	NDIS_OBJECT_RSS_PARAMS	0x89
#define	NDIS_OBJECT_OFFLOAD	0xa7

/* What the hardware could do (protocol: netvsc, section 6.1). */
struct ndis_csum_offload {
	uint32_t	co_ip4_txenc;
	uint32_t	co_ip4_tx;	/* NDIS_CSUM_IP4_, NDIS_CSUM_ */
	uint32_t	co_ip4_rxenc;
	uint32_t	co_ip4_rx;
	uint32_t	co_ip6_txenc;
	uint32_t	co_ip6_tx;	/* NDIS_CSUM_IP6_ */
	uint32_t	co_ip6_rxenc;
	uint32_t	co_ip6_rx;
};
_Static_assert(sizeof(struct ndis_csum_offload) == 32, "ndis_csum_offload");

#define	NDIS_CSUM_IP4_IPOPT	0x0001
#define	NDIS_CSUM_IP4_TCPOPT	0x0004
#define	NDIS_CSUM_IP4_TCP	0x0010
#define	NDIS_CSUM_IP4_UDP	0x0040
#define	NDIS_CSUM_IP4_IP	0x0100
#define	NDIS_CSUM_IP6_IPEXT	0x0001
#define	NDIS_CSUM_IP6_TCPOPT	0x0004
#define	NDIS_CSUM_IP6_TCP	0x0010
#define	NDIS_CSUM_IP6_UDP	0x0040

struct ndis_lsov2_offload {
	uint32_t	lo_ip4_enc;	/* NDIS_ENCAP_ */
	uint32_t	lo_ip4_maxsz;
	uint32_t	lo_ip4_minsg;	/* segments */
	uint32_t	lo_ip6_enc;
	uint32_t	lo_ip6_maxsz;
	uint32_t	lo_ip6_minsg;
	uint32_t	lo_ip6_opts;	/* NDIS_LSOV2_IP6_ */
};
_Static_assert(sizeof(struct ndis_lsov2_offload) == 28, "ndis_lsov2_offload");

#define	NDIS_ENCAP_8023		0x0002
#define	NDIS_LSOV2_IP6_EXT	0x0001
#define	NDIS_LSOV2_IP6_TCPOPT	0x0004

struct ndis_rsc_offload {
	uint8_t		ro_ip4;
	uint8_t		ro_ip6;
	uint8_t		ro_pad[2];
};
_Static_assert(sizeof(struct ndis_rsc_offload) == 4, "ndis_rsc_offload");

struct ndis_offload {
	struct ndis_object_hdr	 of_hdr;
	struct ndis_csum_offload of_csum;
	uint32_t		 of_lsov1[4];
	uint32_t		 of_ipsecv1[7];
	struct ndis_lsov2_offload of_lsov2;
	uint32_t		 of_flags;
	uint32_t		 of_ipsecv2[8];		/* revision 2 */
	struct ndis_rsc_offload	 of_rsc;		/* revision 3 */
	uint32_t		 of_nvgre[2];
};
_Static_assert(sizeof(struct ndis_offload) == 156, "ndis_offload");
_Static_assert(__offsetof(struct ndis_offload, of_csum) == 4,
    "ndis_offload.of_csum");
_Static_assert(__offsetof(struct ndis_offload, of_lsov2) == 80,
    "ndis_offload.of_lsov2");
_Static_assert(__offsetof(struct ndis_offload, of_ipsecv2) == 112,
    "ndis_offload.of_ipsecv2");
_Static_assert(__offsetof(struct ndis_offload, of_rsc) == 144,
    "ndis_offload.of_rsc");

#define	NDIS_OFFLOAD_SIZE_1	112
#define	NDIS_OFFLOAD_SIZE_2	144
#define	NDIS_OFFLOAD_SIZE_3	156

/* What it is to do (protocol: netvsc, section 6.2). */
struct ndis_offload_params {
	struct ndis_object_hdr op_hdr;	/* NDIS_OBJECT_DEFAULT */
	uint8_t		op_ip4csum;	/* NDIS_OFFLOAD_CSUM_ */
	uint8_t		op_tcp4csum;
	uint8_t		op_udp4csum;
	uint8_t		op_tcp6csum;
	uint8_t		op_udp6csum;
	uint8_t		op_lsov1;
	uint8_t		op_ipsecv1;
	uint8_t		op_lsov2_ip4;	/* NDIS_OFFLOAD_OFF, _ON */
	uint8_t		op_lsov2_ip6;
	uint8_t		op_tcp4conn;
	uint8_t		op_tcp6conn;
	uint8_t		op_rsvd;
	uint32_t	op_flags;
	uint8_t		op_ipsecv2;	/* revision 2 */
	uint8_t		op_ipsecv2_ip4;
	uint8_t		op_rsc_ip4;	/* revision 3 */
	uint8_t		op_rsc_ip6;
	uint8_t		op_encap;
	uint8_t		op_encap_types;
	uint8_t		op_pad[2];
};
_Static_assert(sizeof(struct ndis_offload_params) == 28,
    "ndis_offload_params");
_Static_assert(__offsetof(struct ndis_offload_params, op_lsov2_ip4) == 11,
    "ndis_offload_params.op_lsov2_ip4");
_Static_assert(__offsetof(struct ndis_offload_params, op_flags) == 16,
    "ndis_offload_params.op_flags");
_Static_assert(__offsetof(struct ndis_offload_params, op_rsc_ip4) == 22,
    "ndis_offload_params.op_rsc_ip4");

#define	NDIS_OFFLOAD_PARAMS_SIZE_2	22
#define	NDIS_OFFLOAD_PARAMS_SIZE_3	28

#define	NDIS_OFFLOAD_KEEP	0	/* no change, for all members */
#define	NDIS_OFFLOAD_CSUM_OFF	1
#define	NDIS_OFFLOAD_CSUM_TX	2
#define	NDIS_OFFLOAD_CSUM_RX	3
#define	NDIS_OFFLOAD_CSUM_TXRX	4
#define	NDIS_OFFLOAD_OFF	1
#define	NDIS_OFFLOAD_ON		2

/* Receive-side scaling (protocol: netvsc, section 6.3). */
struct ndis_rss_caps {
	struct ndis_object_hdr rk_hdr;
	uint32_t	rk_caps;	/* NDIS_RSS_CAP_, hash functions */
	uint32_t	rk_nmsi;
	uint32_t	rk_nrxq;
	uint16_t	rk_nind;	/* revision 2: entries of the table */
	uint16_t	rk_pad;
};
_Static_assert(sizeof(struct ndis_rss_caps) == 20, "ndis_rss_caps");
_Static_assert(__offsetof(struct ndis_rss_caps, rk_nind) == 16,
    "ndis_rss_caps.rk_nind");

#define	NDIS_RSS_CAPS_SIZE_1	16
#define	NDIS_RSS_CAPS_SIZE_2	18

#define	NDIS_RSS_CAP_IP4	0x00000100
#define	NDIS_RSS_CAP_IP6	0x00000200
#define	NDIS_RSS_CAP_IP6_EX	0x00000400
#define	NDIS_RSS_CAP_UDP4	0x00000800

#define	NDIS_RSS_KEY_SIZE	40
#define	NDIS_RSS_IND_MAX	128

struct ndis_rss_params {
	struct ndis_object_hdr rp_hdr;	/* oh_size: key and table, too */
	uint16_t	rp_flags;	/* NDIS_RSS_FLAG_ */
	uint16_t	rp_basecpu;
	uint32_t	rp_hash;	/* NDIS_HASH_ */
	uint16_t	rp_indsize;	/* bytes */
	uint16_t	rp_pad1;
	uint32_t	rp_indofs;	/* from the start of the object */
	uint16_t	rp_keysize;
	uint16_t	rp_pad2;
	uint32_t	rp_keyofs;
	uint32_t	rp_maskofs;
	uint32_t	rp_nmask;
	uint32_t	rp_masksize;
};
_Static_assert(sizeof(struct ndis_rss_params) == 40, "ndis_rss_params");
_Static_assert(__offsetof(struct ndis_rss_params, rp_hash) == 8,
    "ndis_rss_params.rp_hash");
_Static_assert(__offsetof(struct ndis_rss_params, rp_indofs) == 16,
    "ndis_rss_params.rp_indofs");
_Static_assert(__offsetof(struct ndis_rss_params, rp_keyofs) == 24,
    "ndis_rss_params.rp_keyofs");

#define	NDIS_RSS_FLAG_NONE	0x0000
#define	NDIS_RSS_FLAG_DISABLE	0x0010

/* The order in which the guest sends its parameters, key and table. */
struct ndis_rss_toeplitz {
	struct ndis_rss_params rt_params;
	uint8_t		rt_key[NDIS_RSS_KEY_SIZE];
	uint32_t	rt_ind[NDIS_RSS_IND_MAX];	/* channel numbers */
};
_Static_assert(sizeof(struct ndis_rss_toeplitz) == 592, "ndis_rss_toeplitz");
_Static_assert(__offsetof(struct ndis_rss_toeplitz, rt_key) == 40,
    "ndis_rss_toeplitz.rt_key");
_Static_assert(__offsetof(struct ndis_rss_toeplitz, rt_ind) == 80,
    "ndis_rss_toeplitz.rt_ind");

/* Hash function, in the low byte, and what is hashed. */
#define	NDIS_HASH_FUNCTION_MASK	0x000000ff
#define	NDIS_HASH_TOEPLITZ	0x00000001
#define	NDIS_HASH_IP4		0x00000100
#define	NDIS_HASH_TCP4		0x00000200
#define	NDIS_HASH_IP6		0x00000400
#define	NDIS_HASH_IP6_EX	0x00000800
#define	NDIS_HASH_TCP6		0x00001000
#define	NDIS_HASH_TCP6_EX	0x00002000
#define	NDIS_HASH_UDP4		0x00004000	/* told, never asked for */
#define	NDIS_HASH_TYPE_MASK	0x00ffff00

/* Their names as for "%b" of printf(9). */
#define	NDIS_HASH_BITS							\
	"\020\1TOEPLITZ\11IP4\12TCP4\13IP6\14IP6EX\15TCP6\16TCP6EX\17UDP4"

/*
 * Per-packet information (protocol: netvsc, section 4.4): a chain of these in
 * a packet message, each with its data, 4 bytes for all types here, behind.
 */
struct ndis_ppi {
	uint32_t	pi_size;	/* this header included */
	uint32_t	pi_type;	/* NDIS_PPI_ */
	uint32_t	pi_ofs;		/* of the data: NDIS_PPI_OFS */
};
_Static_assert(sizeof(struct ndis_ppi) == 12, "ndis_ppi");

#define	NDIS_PPI_OFS		12
#define	NDIS_PPI_INTERNAL	0x80000000	/* a name space of its own */
#define	NDIS_PPI_CSUM		0
#define	NDIS_PPI_LSO		2
#define	NDIS_PPI_VLAN		6
#define	NDIS_PPI_HASH_VALUE	8
#define	NDIS_PPI_HASH_INFO	9	/* host to guest */
#define	NDIS_PPI_RSC		(NDIS_PPI_INTERNAL | 1)

/* NDIS_PPI_VLAN: the tag is not in the frame. */
#define	NDIS_VLAN_PRI(i)	((i) & 0x7)
#define	NDIS_VLAN_CFI(i)	(((i) >> 3) & 0x1)
#define	NDIS_VLAN_ID(i)		(((i) >> 4) & 0xfff)
#define	NDIS_VLAN_INFO(id, pri, cfi)					\
	((uint32_t)(pri) | ((uint32_t)(cfi) << 3) | ((uint32_t)(id) << 4))

/* NDIS_PPI_CSUM, guest to host. */
#define	NDIS_TXCSUM_IP4		0x00000001
#define	NDIS_TXCSUM_IP6		0x00000002
#define	NDIS_TXCSUM_TCP		0x00000004
#define	NDIS_TXCSUM_UDP		0x00000008
#define	NDIS_TXCSUM_IPHDR	0x00000010
#define	NDIS_TXCSUM_L4OFS_SHIFT	16	/* 10 bits, from the frame's start */

/* NDIS_PPI_CSUM, host to guest. */
#define	NDIS_RXCSUM_TCP_BAD	0x00000001
#define	NDIS_RXCSUM_UDP_BAD	0x00000002
#define	NDIS_RXCSUM_IP_BAD	0x00000004
#define	NDIS_RXCSUM_TCP_OK	0x00000008
#define	NDIS_RXCSUM_UDP_OK	0x00000010
#define	NDIS_RXCSUM_IP_OK	0x00000020

/* NDIS_PPI_LSO, version 2. */
#define	NDIS_LSO_MSS_MASK	0x000fffff
#define	NDIS_LSO_L4OFS_SHIFT	20	/* 10 bits */
#define	NDIS_LSO_L4OFS_MAX	0x3ff
#define	NDIS_LSO_V2		0x40000000
#define	NDIS_LSO_IP6		0x80000000

/* NDIS_PPI_RSC: a frame in several messages of one transfer. */
struct ndis_ppi_rsc {
	uint8_t		rs_version;	/* 1 */
	uint8_t		rs_flags;	/* NDIS_RSC_ */
	uint16_t	rs_id;
};
_Static_assert(sizeof(struct ndis_ppi_rsc) == 4, "ndis_ppi_rsc");

#define	NDIS_RSC_SUBALLOC	0x01
#define	NDIS_RSC_FIRST		0x02
#define	NDIS_RSC_LAST		0x04

#endif	/* !_NDIS_REG_H_ */
