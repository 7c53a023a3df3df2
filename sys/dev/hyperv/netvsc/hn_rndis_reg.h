/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Remote NDIS messages as on the wire: little-endian, naturally packed
 * (protocol: netvsc, sections 4.3 and 5).  Layout and numbers only; what is
 * inside of them is in ndis_reg.h.
 *
 * Every offset within a message counts from its 8th byte.
 */

#ifndef _HN_RNDIS_REG_H_
#define	_HN_RNDIS_REG_H_

#include <sys/types.h>

#define	HN_RNDIS_PACKET			0x00000001
#define	HN_RNDIS_INIT			0x00000002
#define	HN_RNDIS_HALT			0x00000003	/* no answer */
#define	HN_RNDIS_QUERY			0x00000004
#define	HN_RNDIS_SET			0x00000005
#define	HN_RNDIS_RESET			0x00000006
#define	HN_RNDIS_INDICATE		0x00000007	/* host, unasked */
#define	HN_RNDIS_KEEPALIVE		0x00000008	/* either side */
#define	HN_RNDIS_CMPLT			0x80000000	/* its answer */

struct hn_rndis_hdr {
	uint32_t	rh_type;
	uint32_t	rh_len;		/* of the whole message */
};
_Static_assert(sizeof(struct hn_rndis_hdr) == 8, "hn_rndis_hdr");

#define	HN_RNDIS_OFS_BASE	8	/* offsets count from here */

/* What every control message but INDICATE begins with. */
struct hn_rndis_ctl {
	struct hn_rndis_hdr rc_hdr;
	uint32_t	rc_rid;		/* request id, comes back */
};
_Static_assert(sizeof(struct hn_rndis_ctl) == 12, "hn_rndis_ctl");

/* And every answer but that to RESET, which has no id. */
struct hn_rndis_comp {
	struct hn_rndis_hdr rp_hdr;
	uint32_t	rp_rid;
	uint32_t	rp_status;	/* HN_RNDIS_STATUS_ */
};
_Static_assert(sizeof(struct hn_rndis_comp) == 16, "hn_rndis_comp");
_Static_assert(__offsetof(struct hn_rndis_comp, rp_rid) == 8,
    "hn_rndis_comp.rp_rid");
_Static_assert(__offsetof(struct hn_rndis_comp, rp_status) == 12,
    "hn_rndis_comp.rp_status");

struct hn_rndis_init {
	struct hn_rndis_hdr ri_hdr;
	uint32_t	ri_rid;
	uint32_t	ri_major;
	uint32_t	ri_minor;
	uint32_t	ri_maxxfer;	/* bytes; hosts do not mind */
};
_Static_assert(sizeof(struct hn_rndis_init) == 24, "hn_rndis_init");

#define	HN_RNDIS_MAJOR		1
#define	HN_RNDIS_MINOR		0
#define	HN_RNDIS_MAXXFER	16384

/* Its answer; hosts need not send the last two members. */
struct hn_rndis_init_comp {
	struct hn_rndis_hdr ro_hdr;
	uint32_t	ro_rid;
	uint32_t	ro_status;
	uint32_t	ro_major;
	uint32_t	ro_minor;
	uint32_t	ro_devflags;	/* HN_RNDIS_DF_ */
	uint32_t	ro_medium;	/* 0: 802.3 */
	uint32_t	ro_maxpkts;	/* messages in one transfer */
	uint32_t	ro_maxxfer;	/* bytes of one transfer */
	uint32_t	ro_align;	/* of each message, log2 */
	uint32_t	ro_afofs;
	uint32_t	ro_afsize;
};
_Static_assert(sizeof(struct hn_rndis_init_comp) == 52, "hn_rndis_init_comp");
_Static_assert(__offsetof(struct hn_rndis_init_comp, ro_maxpkts) == 32,
    "hn_rndis_init_comp.ro_maxpkts");
_Static_assert(__offsetof(struct hn_rndis_init_comp, ro_align) == 40,
    "hn_rndis_init_comp.ro_align");

#define	HN_RNDIS_INIT_COMP_MIN	44
#define	HN_RNDIS_DF_CONNECTIONLESS 0x00000001

/* QUERY and SET; rq_ofs is 20 even without data, or the host refuses. */
struct hn_rndis_oid {
	struct hn_rndis_hdr rq_hdr;
	uint32_t	rq_rid;
	uint32_t	rq_oid;
	uint32_t	rq_len;		/* of the data behind */
	uint32_t	rq_ofs;		/* HN_RNDIS_OID_OFS */
	uint32_t	rq_vc;
};
_Static_assert(sizeof(struct hn_rndis_oid) == 28, "hn_rndis_oid");
_Static_assert(__offsetof(struct hn_rndis_oid, rq_ofs) == 20,
    "hn_rndis_oid.rq_ofs");

#define	HN_RNDIS_OID_OFS	20

/* Answer to QUERY. */
struct hn_rndis_query_comp {
	struct hn_rndis_hdr ra_hdr;
	uint32_t	ra_rid;
	uint32_t	ra_status;
	uint32_t	ra_len;		/* 0: no data */
	uint32_t	ra_ofs;
};
_Static_assert(sizeof(struct hn_rndis_query_comp) == 24,
    "hn_rndis_query_comp");
_Static_assert(__offsetof(struct hn_rndis_query_comp, ra_len) == 16,
    "hn_rndis_query_comp.ra_len");

struct hn_rndis_indicate {
	struct hn_rndis_hdr rs_hdr;
	uint32_t	rs_status;	/* HN_RNDIS_STATUS_ */
	uint32_t	rs_len;
	uint32_t	rs_ofs;		/* 0 without data */
};
_Static_assert(sizeof(struct hn_rndis_indicate) == 20, "hn_rndis_indicate");

/* Data: an Ethernet frame with per-packet information before it. */
struct hn_rndis_packet {
	struct hn_rndis_hdr rm_hdr;
	uint32_t	rm_dataofs;
	uint32_t	rm_datalen;
	uint32_t	rm_oobofs;
	uint32_t	rm_ooblen;
	uint32_t	rm_oobcnt;
	uint32_t	rm_ppiofs;	/* per-packet information */
	uint32_t	rm_ppilen;
	uint32_t	rm_vc;		/* 0 */
	uint32_t	rm_rsvd;
};
_Static_assert(sizeof(struct hn_rndis_packet) == 44, "hn_rndis_packet");
_Static_assert(__offsetof(struct hn_rndis_packet, rm_dataofs) == 8,
    "hn_rndis_packet.rm_dataofs");
_Static_assert(__offsetof(struct hn_rndis_packet, rm_ppiofs) == 28,
    "hn_rndis_packet.rm_ppiofs");
_Static_assert(__offsetof(struct hn_rndis_packet, rm_vc) == 36,
    "hn_rndis_packet.rm_vc");

/* The lowest offset of anything in a packet message. */
#define	HN_RNDIS_PACKET_OFS_MIN	36

/* Results of requests, and indications. */
#define	HN_RNDIS_STATUS_SUCCESS		0x00000000
#define	HN_RNDIS_STATUS_MEDIA_CONNECT	0x4001000b
#define	HN_RNDIS_STATUS_MEDIA_DISCONNECT 0x4001000c
#define	HN_RNDIS_STATUS_LINK_SPEED	0x40010013
#define	HN_RNDIS_STATUS_NETWORK_CHANGE	0x40010018
#define	HN_RNDIS_STATUS_OFFLOAD_CONFIG	0x40020006
#define	HN_RNDIS_STATUS_FAILURE		0xc0000001
#define	HN_RNDIS_STATUS_NOT_SUPPORTED	0xc00000bb
#define	HN_RNDIS_STATUS_INVALID_DATA	0xc0010015

/* What can be asked and set (protocol: netvsc, section 5). */
#define	HN_OID_GEN_MAXIMUM_FRAME_SIZE	0x00010106
#define	HN_OID_GEN_LINK_SPEED		0x00010107	/* 100 bit/s */
#define	HN_OID_GEN_PACKET_FILTER	0x0001010e
#define	HN_OID_GEN_MEDIA_CONNECT	0x00010114	/* 0: connected */
#define	HN_OID_GEN_RSS_CAPS		0x00010203
#define	HN_OID_GEN_RSS_PARAMS		0x00010204
#define	HN_OID_802_3_PERMANENT_ADDRESS	0x01010101
#define	HN_OID_TCP_OFFLOAD_PARAMS	0xfc01020c
#define	HN_OID_TCP_OFFLOAD_HWCAPS	0xfc01020d

/* HN_OID_GEN_PACKET_FILTER; 0 lets nothing in. */
#define	HN_FILTER_DIRECTED	0x00000001
#define	HN_FILTER_MULTICAST	0x00000002
#define	HN_FILTER_ALL_MULTICAST	0x00000004
#define	HN_FILTER_BROADCAST	0x00000008
#define	HN_FILTER_PROMISCUOUS	0x00000020	/* alone */

#endif	/* !_HN_RNDIS_REG_H_ */
