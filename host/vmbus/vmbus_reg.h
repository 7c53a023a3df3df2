/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * VMBus on the wire: channel messages, rings, packets, interrupt and monitor
 * pages (protocol: vmbus).  Little-endian, packed as the offsets say.
 */

#ifndef VMBUS_REG_H
#define	VMBUS_REG_H

#include <stddef.h>
#include <stdint.h>

#define	VMS_PACKED	__attribute__((packed))

/* Connection ids (protocol: vmbus, 1). */
#define	VMS_CONN_MESSAGES	1u
#define	VMS_CONN_EVENT		2u	/* version 0.13 */
#define	VMS_CONN_MULTICLIENT	4u	/* contact from 5.0 on */
#define	VMS_CONN_CHANNEL	0x2000u	/* + channel id */
#define	VMS_SINT		2

#define	VMS_MSG_MAX		240
#define	VMS_CHANNELS		2048	/* ids 1 to 2047 */
#define	VMS_CHANNELS_OLD	256	/* below 2.4 */
#define	VMS_MONITOR_IDS		128

/* Versions: major << 16 | minor (protocol: vmbus, 3). */
#define	VMS_V0_13		0x0000000Du
#define	VMS_V1_1		0x00010001u
#define	VMS_V2_4		0x00020004u
#define	VMS_V3_0		0x00030000u
#define	VMS_V4_0		0x00040000u
#define	VMS_V4_1		0x00040001u
#define	VMS_V5_0		0x00050000u
#define	VMS_V5_1		0x00050001u
#define	VMS_V5_2		0x00050002u
#define	VMS_V5_3		0x00050003u

/* Message types (protocol: vmbus, 2.1). */
#define	VMS_OFFER		1
#define	VMS_RESCIND		2
#define	VMS_REQUEST_OFFERS	3
#define	VMS_OFFERS_DONE		4
#define	VMS_OPEN		5
#define	VMS_OPEN_RESULT		6
#define	VMS_CLOSE		7
#define	VMS_GPADL_HEADER	8
#define	VMS_GPADL_BODY		9
#define	VMS_GPADL_CREATED	10
#define	VMS_GPADL_TEARDOWN	11
#define	VMS_GPADL_TORN_DOWN	12
#define	VMS_RELID_RELEASED	13
#define	VMS_CONTACT		14
#define	VMS_VERSION_RESPONSE	15
#define	VMS_UNLOAD		16
#define	VMS_UNLOAD_RESPONSE	17
#define	VMS_OPEN_RESERVED	18
#define	VMS_CLOSE_RESERVED	19
#define	VMS_CLOSE_RESERVED_RESP	20
#define	VMS_TL_CONNECT		21
#define	VMS_MODIFY_CHANNEL	22
#define	VMS_TL_RESULT		23
#define	VMS_MODIFY_RESPONSE	24

#define	VMS_STATUS_OK		0u
#define	VMS_STATUS_FAILED	0x8000FFFFu
#define	VMS_STATUS_REFUSED	0xC0000236u

struct vms_header {
	uint32_t	mh_type;
	uint32_t	mh_rsvd;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_header) == 8, "header");

/* Offer flags are the device's, protocol: vmbus, 2.3. */
struct vms_offer {
	struct vms_header mo_hdr;
	uint8_t		mo_type[16];
	uint8_t		mo_instance[16];
	uint8_t		mo_rsvd[16];
	uint16_t	mo_flags;
	uint16_t	mo_mmio_mb;
	uint8_t		mo_udata[120];
	uint16_t	mo_subidx;
	uint16_t	mo_mmio_opt_mb;
	uint32_t	mo_chan;
	uint8_t		mo_monitor_id;
	uint8_t		mo_monitored;	/* bit 0 */
	uint16_t	mo_dedicated;	/* bit 0, from 1.1 */
	uint32_t	mo_connection;	/* from 1.1 */
} VMS_PACKED;
_Static_assert(sizeof(struct vms_offer) == 196, "offer");
_Static_assert(offsetof(struct vms_offer, mo_udata) == 60, "offer udata");
_Static_assert(offsetof(struct vms_offer, mo_chan) == 184, "offer id");
#define	VMS_NO_MONITOR		0xFF

/* RESCIND, CLOSE, RELID RELEASED, CLOSE RESERVED RESPONSE. */
struct vms_chan_msg {
	struct vms_header mc_hdr;
	uint32_t	mc_chan;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_chan_msg) == 12, "channel message");

struct vms_open {
	struct vms_header mo_hdr;
	uint32_t	mo_chan;
	uint32_t	mo_openid;
	uint32_t	mo_gpadl;
	uint32_t	mo_vp;
	uint32_t	mo_downstream;	/* pages of the first ring */
	uint8_t		mo_udata[120];
} VMS_PACKED;
_Static_assert(sizeof(struct vms_open) == 148, "open");
#define	VMS_VP_NONE		0xFFFFFFFFu	/* interrupts off */

struct vms_open_result {
	struct vms_header mr_hdr;
	uint32_t	mr_chan;
	uint32_t	mr_openid;
	uint32_t	mr_status;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_open_result) == 20, "open result");

struct vms_gpadl_header {
	struct vms_header mg_hdr;
	uint32_t	mg_chan;
	uint32_t	mg_gpadl;
	uint16_t	mg_len;		/* bytes of all ranges */
	uint16_t	mg_ranges;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_gpadl_header) == 20, "GPADL header");

struct vms_gpadl_body {
	struct vms_header mg_hdr;
	uint32_t	mg_seq;		/* ignored */
	uint32_t	mg_gpadl;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_gpadl_body) == 16, "GPADL body");

struct vms_gpadl_created {
	struct vms_header mg_hdr;
	uint32_t	mg_chan;
	uint32_t	mg_gpadl;
	uint32_t	mg_status;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_gpadl_created) == 20, "GPADL created");

struct vms_gpadl_teardown {
	struct vms_header mg_hdr;
	uint32_t	mg_chan;
	uint32_t	mg_gpadl;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_gpadl_teardown) == 16, "GPADL teardown");

struct vms_gpadl_torn_down {
	struct vms_header mg_hdr;
	uint32_t	mg_gpadl;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_gpadl_torn_down) == 12, "GPADL torn down");

/* Head of a range in a GPADL or GPA-direct packet; u64 page numbers follow. */
struct vms_range {
	uint32_t	vr_len;
	uint32_t	vr_ofs;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_range) == 8, "range");

struct vms_contact {
	struct vms_header mc_hdr;
	uint32_t	mc_version;
	uint32_t	mc_vp;
	uint64_t	mc_intpage;	/* below 5.0; then SINT, VTL, flags */
	uint64_t	mc_mon_p2c;
	uint64_t	mc_mon_c2p;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_contact) == 40, "contact");
_Static_assert(offsetof(struct vms_contact, mc_intpage) == 16, "contact page");
#define	VMS_CONTACT_SINT(c)	((uint8_t)(c)->mc_intpage)
#define	VMS_CONTACT_VTL(c)	((uint8_t)((c)->mc_intpage >> 8))

struct vms_version_response {
	struct vms_header mv_hdr;
	uint8_t		mv_supported;
	uint8_t		mv_state;
	uint16_t	mv_rsvd;
	uint32_t	mv_connection;	/* below 5.0 the version */
} VMS_PACKED;
_Static_assert(sizeof(struct vms_version_response) == 16, "version response");

struct vms_open_reserved {
	struct vms_header mo_hdr;
	uint32_t	mo_chan;
	uint32_t	mo_vp;
	uint32_t	mo_sint;
	uint32_t	mo_gpadl;
	uint32_t	mo_downstream;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_open_reserved) == 28, "open reserved");

struct vms_close_reserved {
	struct vms_header mc_hdr;
	uint32_t	mc_chan;
	uint32_t	mc_vp;
	uint32_t	mc_sint;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_close_reserved) == 20, "close reserved");

struct vms_tl_connect {
	struct vms_header mt_hdr;
	uint8_t		mt_endpoint[16];
	uint8_t		mt_service[16];
} VMS_PACKED;
_Static_assert(sizeof(struct vms_tl_connect) == 40, "TL connect");

struct vms_tl_result {
	struct vms_header mt_hdr;
	uint8_t		mt_endpoint[16];
	uint8_t		mt_service[16];
	uint32_t	mt_status;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_tl_result) == 44, "TL result");

struct vms_modify {
	struct vms_header mm_hdr;
	uint32_t	mm_chan;
	uint32_t	mm_vp;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_modify) == 16, "modify channel");

struct vms_modify_response {
	struct vms_header mm_hdr;
	uint32_t	mm_chan;
	uint32_t	mm_status;
} VMS_PACKED;
_Static_assert(sizeof(struct vms_modify_response) == 16, "modify response");

/*
 * Ring control page (protocol: vmbus, 7.1).  "Writer" and "reader" are those
 * of the ring.
 */
struct vms_ring_ctl {
	uint32_t	rc_in;		/* writer */
	uint32_t	rc_out;		/* reader */
	uint32_t	rc_mask;	/* reader: 1 = no data signals */
	uint32_t	rc_pending;	/* writer: bytes it waits for */
	uint32_t	rc_rsvd[12];
	uint32_t	rc_features;	/* writer's owner */
};
_Static_assert(sizeof(struct vms_ring_ctl) == 68, "ring control");
_Static_assert(offsetof(struct vms_ring_ctl, rc_features) == 64, "features");
#define	VMS_RING_FEATURE_PENDING	1u

struct vms_pkt {
	uint16_t	vp_type;
	uint16_t	vp_offset;	/* of the payload, 8 bytes each */
	uint16_t	vp_len;		/* 8 bytes each, trailer not counted */
	uint16_t	vp_flags;
	uint64_t	vp_xid;
};
_Static_assert(sizeof(struct vms_pkt) == 16, "descriptor");
#define	VMS_PKT_INBAND		6
#define	VMS_PKT_XFERPAGES	7
#define	VMS_PKT_GPADIRECT	9
#define	VMS_PKT_COMPLETION	11
#define	VMS_PKT_FLAG_COMPLETION	1u
#define	VMS_PKT_TRAILER		8

/* Behind the descriptor in types 7 and 9; the ranges follow. */
struct vms_pkt_ranges {
	uint32_t	vr_rsvd;	/* type 7: set id and owner */
	uint32_t	vr_count;
};
_Static_assert(sizeof(struct vms_pkt_ranges) == 8, "packet ranges");

/*
 * Interrupt page (protocol: vmbus, 5.4): bits set and taken atomically, one a
 * channel id.
 */
struct vms_intpage {
	uint64_t	ip_to_guest[VMS_CHANNELS / 64];
	uint8_t		ip_rsvd[1792];
	uint64_t	ip_to_host[VMS_CHANNELS / 64];
	uint8_t		ip_rsvd2[1792];
};
_Static_assert(sizeof(struct vms_intpage) == 4096, "interrupt page");
_Static_assert(offsetof(struct vms_intpage, ip_to_host) == 2048, "second half");

/* Monitor page (protocol: vmbus, 5.5); the guest sets, the host takes. */
struct vms_monitor {
	uint32_t	mp_state;
	uint32_t	mp_rsvd;
	struct {
		uint32_t	pending;
		uint32_t	armed;
	} mp_group[4];
};
_Static_assert(sizeof(struct vms_monitor) == 40, "monitor page, used part");

#endif	/* !VMBUS_REG_H */
