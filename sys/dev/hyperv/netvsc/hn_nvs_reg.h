/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network virtual service messages as on the wire: little-endian, naturally
 * packed (protocol: netvsc, sections 2 and 3).  Layout and numbers only;
 * nothing here has a state.
 */

#ifndef _HN_NVS_REG_H_
#define	_HN_NVS_REG_H_

#include <sys/types.h>

/* Protocol versions, major << 16 | minor; 1 and 2 are older than that rule. */
#define	HN_NVS_VERSION_1	0x00000002
#define	HN_NVS_VERSION_2	0x00030002
#define	HN_NVS_VERSION_4	0x00040000
#define	HN_NVS_VERSION_5	0x00050000
#define	HN_NVS_VERSION_6	0x00060000
#define	HN_NVS_VERSION_61	0x00060001

#define	HN_NVS_TYPE_INIT		1
#define	HN_NVS_TYPE_INIT_RESP		2
#define	HN_NVS_TYPE_NDIS_INIT		100
#define	HN_NVS_TYPE_RXBUF_CONN		101
#define	HN_NVS_TYPE_RXBUF_CONNRESP	102
#define	HN_NVS_TYPE_RXBUF_DISCONN	103
#define	HN_NVS_TYPE_TXBUF_CONN		104
#define	HN_NVS_TYPE_TXBUF_CONNRESP	105
#define	HN_NVS_TYPE_TXBUF_DISCONN	106
#define	HN_NVS_TYPE_RNDIS		107
#define	HN_NVS_TYPE_RNDIS_ACK		108
#define	HN_NVS_TYPE_NDIS_CONF		125
#define	HN_NVS_TYPE_VF_ASSOC		128	/* host, unasked */
#define	HN_NVS_TYPE_SET_DATAPATH	129	/* host, unasked, as well */
#define	HN_NVS_TYPE_SUBCH		133	/* request and answer */
#define	HN_NVS_TYPE_TXTBL		134	/* host, unasked */

/* Status of an answer. */
#define	HN_NVS_STATUS_NONE	0
#define	HN_NVS_STATUS_OK	1
#define	HN_NVS_STATUS_FAILED	2

/* The highest version the guest wants and the lowest: always the same one. */
struct hn_nvs_init {
	uint32_t	ni_min;
	uint32_t	ni_max;
};
_Static_assert(sizeof(struct hn_nvs_init) == 8, "hn_nvs_init");

struct hn_nvs_init_resp {
	uint32_t	nr_version;	/* not to be relied on */
	uint32_t	nr_maxmdl;	/* pieces of memory a packet may name */
	uint32_t	nr_status;
};
_Static_assert(sizeof(struct hn_nvs_init_resp) == 12, "hn_nvs_init_resp");
_Static_assert(__offsetof(struct hn_nvs_init_resp, nr_status) == 8,
    "hn_nvs_init_resp.nr_status");

struct hn_nvs_ndis_init {
	uint32_t	nn_major;
	uint32_t	nn_minor;
};
_Static_assert(sizeof(struct hn_nvs_ndis_init) == 8, "hn_nvs_ndis_init");

/* No answer; only from version 2 on, and before the receive buffer. */
struct hn_nvs_ndis_conf {
	uint32_t	nc_mtu;		/* Ethernet header included */
	uint32_t	nc_rsvd;
	uint32_t	nc_caps;	/* HN_NVS_CAP_ */
	uint32_t	nc_caps_hi;
};
_Static_assert(sizeof(struct hn_nvs_ndis_conf) == 16, "hn_nvs_ndis_conf");
_Static_assert(__offsetof(struct hn_nvs_ndis_conf, nc_caps) == 8,
    "hn_nvs_ndis_conf.nc_caps");

#define	HN_NVS_CAP_SRIOV	0x0004
#define	HN_NVS_CAP_VLAN		0x0008
#define	HN_NVS_CAP_TEAMING	0x0020	/* tell of changes of link speed */
#define	HN_NVS_CAP_RSC		0x0080	/* receive coalescing, from 6.1 on */

/* Receive buffer and send buffer alike; both are whole pages. */
struct hn_nvs_buf_conn {
	uint32_t	nb_gpadl;
	uint16_t	nb_id;		/* HN_NVS_*_ID */
	uint16_t	nb_rsvd;
};
_Static_assert(sizeof(struct hn_nvs_buf_conn) == 8, "hn_nvs_buf_conn");
_Static_assert(__offsetof(struct hn_nvs_buf_conn, nb_id) == 4,
    "hn_nvs_buf_conn.nb_id");

#define	HN_NVS_RXBUF_ID		0xcafe
#define	HN_NVS_TXBUF_ID		0xface

/* A run of equal pieces of the receive buffer. */
struct hn_nvs_rxbuf_sect {
	uint32_t	ns_start;
	uint32_t	ns_size;	/* of a piece */
	uint32_t	ns_cnt;		/* pieces */
	uint32_t	ns_end;
};
_Static_assert(sizeof(struct hn_nvs_rxbuf_sect) == 16, "hn_nvs_rxbuf_sect");

struct hn_nvs_rxbuf_resp {
	uint32_t	nx_status;
	uint32_t	nx_nsect;	/* always 1 */
	struct hn_nvs_rxbuf_sect nx_sect;
};
_Static_assert(sizeof(struct hn_nvs_rxbuf_resp) == 24, "hn_nvs_rxbuf_resp");
_Static_assert(__offsetof(struct hn_nvs_rxbuf_resp, nx_sect) == 8,
    "hn_nvs_rxbuf_resp.nx_sect");

struct hn_nvs_txbuf_resp {
	uint32_t	nt_status;
	uint32_t	nt_sectsz;	/* of a section, bytes */
};
_Static_assert(sizeof(struct hn_nvs_txbuf_resp) == 8, "hn_nvs_txbuf_resp");

struct hn_nvs_buf_disconn {
	uint16_t	nd_id;
	uint16_t	nd_rsvd;
};
_Static_assert(sizeof(struct hn_nvs_buf_disconn) == 4, "hn_nvs_buf_disconn");

/* Around each RNDIS message, or several, of either direction. */
struct hn_nvs_rndis {
	uint32_t	nr_mtype;	/* HN_NVS_RNDIS_ */
	uint32_t	nr_sect;	/* of the send buffer */
	uint32_t	nr_sectsz;	/* bytes in it */
};
_Static_assert(sizeof(struct hn_nvs_rndis) == 12, "hn_nvs_rndis");

#define	HN_NVS_RNDIS_DATA	0
#define	HN_NVS_RNDIS_CTRL	1
#define	HN_NVS_SECT_NONE	0xffffffff	/* memory is in the packet */

struct hn_nvs_vf_assoc {
	uint32_t	nv_allocated;	/* 0: there is none */
	uint32_t	nv_serial;
};
_Static_assert(sizeof(struct hn_nvs_vf_assoc) == 8, "hn_nvs_vf_assoc");

#define	HN_NVS_DATAPATH_SYNTH	0
#define	HN_NVS_DATAPATH_VF	1

struct hn_nvs_subch_req {
	uint32_t	nq_op;		/* HN_NVS_SUBCH_ALLOC */
	uint32_t	nq_cnt;		/* beside the primary */
};
_Static_assert(sizeof(struct hn_nvs_subch_req) == 8, "hn_nvs_subch_req");

#define	HN_NVS_SUBCH_ALLOC	1

struct hn_nvs_subch_resp {
	uint32_t	nu_status;
	uint32_t	nu_cnt;		/* granted */
};
_Static_assert(sizeof(struct hn_nvs_subch_resp) == 8, "hn_nvs_subch_resp");

/*
 * Which channel the host wants what is sent on; entries follow at an offset
 * from the start of the message, which old hosts get wrong.
 */
struct hn_nvs_txtbl {
	uint32_t	nl_cnt;
	uint32_t	nl_ofs;
};
_Static_assert(sizeof(struct hn_nvs_txtbl) == 8, "hn_nvs_txtbl");

#define	HN_NVS_TXTBL_CNT	16	/* the only number there is */
#define	HN_NVS_TXTBL_OFS_OLD	28	/* where it is up to version 6, if the
					 * message is long enough for that */

/*
 * Guests send the whole structure whatever the version: some hosts never
 * answer what is shorter than 32 bytes.
 */
struct hn_nvs_msg {
	uint32_t	nm_type;	/* HN_NVS_TYPE_ */
	union {
		struct hn_nvs_init		nm_init;
		struct hn_nvs_init_resp		nm_init_resp;
		struct hn_nvs_ndis_init		nm_ndis_init;
		struct hn_nvs_ndis_conf		nm_ndis_conf;
		struct hn_nvs_buf_conn		nm_buf_conn;
		struct hn_nvs_rxbuf_resp	nm_rxbuf_resp;
		struct hn_nvs_txbuf_resp	nm_txbuf_resp;
		struct hn_nvs_buf_disconn	nm_buf_disconn;
		struct hn_nvs_rndis		nm_rndis;
		struct hn_nvs_vf_assoc		nm_vf_assoc;
		struct hn_nvs_subch_req		nm_subch_req;
		struct hn_nvs_subch_resp	nm_subch_resp;
		struct hn_nvs_txtbl		nm_txtbl;
		uint32_t			nm_status; /* 108 */
		uint32_t			nm_path; /* HN_NVS_DATAPATH_ */
		uint8_t				nm_pad[36];
	};
};
_Static_assert(sizeof(struct hn_nvs_msg) == 40, "hn_nvs_msg");
_Static_assert(__offsetof(struct hn_nvs_msg, nm_pad) == 4,
    "hn_nvs_msg.nm_pad");

#define	HN_NVS_MSG_HDR_LEN	4
#define	HN_NVS_MSG_LEN		40
#define	HN_NVS_ACK_LEN		8	/* all that is read of an answer 108 */

#endif	/* !_HN_NVS_REG_H_ */
