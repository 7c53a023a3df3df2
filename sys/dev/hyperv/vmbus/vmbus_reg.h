/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * VMBus as it lies in shared memory: SynIC pages, monitor page, ring control
 * page, channel messages (protocol: hypervisor, 3; vmbus, 2, 5 and 7).
 * Little-endian, layouts only.  Packets in a ring: vmbus_pkt_reg.h.
 */

#ifndef _DEV_HYPERV_VMBUS_VMBUS_REG_H_
#define	_DEV_HYPERV_VMBUS_VMBUS_REG_H_

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/vmbus/hyperv_reg.h>

/* --- SynIC (hypervisor, 3.3 to 3.5) --- */

#define	VMBUS_SINT		2	/* of the 16 synthetic sources */
#define	VMBUS_SINT_TIMER	4	/* free for the guest's own use */
#define	VMBUS_SINT_COUNT	16

/*
 * A slot of the message page.  The host fills it while sm_type is 0 and writes
 * the type last; the guest copies it out, writes type 0, and only then looks
 * at VMBUS_SYNIC_MSG_PENDING.
 */
struct vmbus_synic_msg {
	uint32_t	sm_type;	/* VMBUS_SYNIC_MSG_TYPE_*; 0: empty */
	uint8_t		sm_len;		/* of the payload */
	uint8_t		sm_flags;
	uint8_t		sm_rsvd[2];
	uint64_t	sm_sender;
	uint8_t		sm_payload[HYPERV_MSG_PAYLOAD_MAX];
};
_Static_assert(sizeof(struct vmbus_synic_msg) == 256, "vmbus_synic_msg");
_Static_assert(__offsetof(struct vmbus_synic_msg, sm_flags) == 5,
    "vmbus_synic_msg.sm_flags");
_Static_assert(__offsetof(struct vmbus_synic_msg, sm_payload) == 16,
    "vmbus_synic_msg.sm_payload");

#define	VMBUS_SYNIC_MSG_TYPE_NONE	0
#define	VMBUS_SYNIC_MSG_TYPE_CHANNEL	1
#define	VMBUS_SYNIC_MSG_PENDING		0x01

struct vmbus_msg_page {
	struct vmbus_synic_msg	mp_slot[VMBUS_SINT_COUNT];
};
_Static_assert(sizeof(struct vmbus_msg_page) == 4096, "vmbus_msg_page");

/* 2048 flags a source; the host sets, the guest takes by exchange. */
#define	VMBUS_EVENT_WORDS	32
#define	VMBUS_EVENT_WORD_BITS	64

struct vmbus_event_flags {
	volatile uint64_t	ef_word[VMBUS_EVENT_WORDS];
};
_Static_assert(sizeof(struct vmbus_event_flags) == 256, "vmbus_event_flags");

struct vmbus_event_page {
	struct vmbus_event_flags	ep_sint[VMBUS_SINT_COUNT];
};
_Static_assert(sizeof(struct vmbus_event_page) == 4096, "vmbus_event_page");

/* --- Interrupt page of protocol versions below 2.4 (vmbus, 5.4) --- */

struct vmbus_intr_page {
	volatile uint64_t	ip_rx[VMBUS_EVENT_WORDS]; /* host sets */
	uint8_t			ip_rsvd0[1792];
	volatile uint64_t	ip_tx[VMBUS_EVENT_WORDS]; /* guest sets */
	uint8_t			ip_rsvd1[1792];
};
_Static_assert(sizeof(struct vmbus_intr_page) == 4096, "vmbus_intr_page");
_Static_assert(__offsetof(struct vmbus_intr_page, ip_tx) == 2048,
    "vmbus_intr_page.ip_tx");

/* --- Monitor page (vmbus, 5.5); the guest sets pending bits --- */

#define	VMBUS_MONITOR_MAX	128
#define	VMBUS_MONITOR_GROUP	32

struct vmbus_mnf_trig {
	volatile uint32_t	mt_pending;
	uint32_t		mt_armed;
};
_Static_assert(sizeof(struct vmbus_mnf_trig) == 8, "vmbus_mnf_trig");

struct vmbus_mnf_page {
	uint32_t		mf_state;
	uint32_t		mf_rsvd0;
	struct vmbus_mnf_trig	mf_trig[4];
	uint8_t			mf_rsvd1[4056];
};
_Static_assert(sizeof(struct vmbus_mnf_page) == 4096, "vmbus_mnf_page");
_Static_assert(__offsetof(struct vmbus_mnf_page, mf_trig) == 8,
    "vmbus_mnf_page.mf_trig");

/* --- Ring control page (vmbus, 7.1) --- */

struct vmbus_ring_ctl {
	volatile uint32_t	rc_in;		/* written by the writer */
	volatile uint32_t	rc_out;		/* written by the reader */
	volatile uint32_t	rc_mask;	/* reader: 1, no data signals */
	volatile uint32_t	rc_pending;	/* writer waits for room */
	uint32_t		rc_rsvd0[12];
	volatile uint32_t	rc_feature;	/* writer: VMBUS_RING_FEAT_* */
	uint8_t			rc_rsvd1[4028];
};
_Static_assert(sizeof(struct vmbus_ring_ctl) == 4096, "vmbus_ring_ctl");
_Static_assert(__offsetof(struct vmbus_ring_ctl, rc_pending) == 12,
    "vmbus_ring_ctl.rc_pending");
_Static_assert(__offsetof(struct vmbus_ring_ctl, rc_feature) == 64,
    "vmbus_ring_ctl.rc_feature");

#define	VMBUS_RING_FEAT_PENDING	0x00000001	/* uses rc_pending */

/* --- Connections and ids (vmbus, 1 and 5.1) --- */

#define	VMBUS_CONN_MESSAGE	1	/* versions below 5.0 */
#define	VMBUS_CONN_EVENT	2	/* version 0.13 */
#define	VMBUS_CONN_MESSAGE_MULTI 4	/* first contact from 5.0 on */

#define	VMBUS_CHANID_MAX	2047
#define	VMBUS_CHANID_MAX_OLD	255	/* below 2.4 */

/* --- Channel messages (vmbus, 2) --- */

struct vmbus_msg_hdr {
	uint32_t	mh_type;
	uint32_t	mh_rsvd;
};
_Static_assert(sizeof(struct vmbus_msg_hdr) == 8, "vmbus_msg_hdr");

#define	VMBUS_UDATA_LEN		120

struct vmbus_msg_offer {
	struct vmbus_msg_hdr	of_hdr;
	struct hyperv_guid	of_type;
	struct hyperv_guid	of_instance;
	uint8_t			of_rsvd[16];
	uint16_t		of_flags;
	uint16_t		of_mmio_mb;
	uint8_t			of_udata[VMBUS_UDATA_LEN];
	uint16_t		of_subidx;
	uint16_t		of_mmio_opt_mb;
	uint32_t		of_chan;
	uint8_t			of_monitor;
	uint8_t			of_monitored;	/* bit 0 */
	uint16_t		of_dedicated;	/* bit 0; from 1.1 on */
	uint32_t		of_conn;	/* from 1.1 on */
};
_Static_assert(sizeof(struct vmbus_msg_offer) == 196, "vmbus_msg_offer");
_Static_assert(__offsetof(struct vmbus_msg_offer, of_udata) == 60,
    "vmbus_msg_offer.of_udata");
_Static_assert(__offsetof(struct vmbus_msg_offer, of_chan) == 184,
    "vmbus_msg_offer.of_chan");

#define	VMBUS_OFFER_MONITORED	0x01
#define	VMBUS_OFFER_DEDICATED	0x0001

/* Rescind (2), close (7), relid released (13). */
struct vmbus_msg_chan {
	struct vmbus_msg_hdr	mc_hdr;
	uint32_t		mc_chan;
};
_Static_assert(sizeof(struct vmbus_msg_chan) == 12, "vmbus_msg_chan");

struct vmbus_msg_open {
	struct vmbus_msg_hdr	op_hdr;
	uint32_t		op_chan;
	uint32_t		op_openid;
	uint32_t		op_gpadl;
	uint32_t		op_vp;
	uint32_t		op_txpages;	/* control page included */
	uint8_t			op_udata[VMBUS_UDATA_LEN];
};
_Static_assert(sizeof(struct vmbus_msg_open) == 148, "vmbus_msg_open");
_Static_assert(__offsetof(struct vmbus_msg_open, op_udata) == 28,
    "vmbus_msg_open.op_udata");

struct vmbus_msg_open_result {
	struct vmbus_msg_hdr	or_hdr;
	uint32_t		or_chan;
	uint32_t		or_openid;
	uint32_t		or_status;	/* 0: success */
};
_Static_assert(sizeof(struct vmbus_msg_open_result) == 20,
    "vmbus_msg_open_result");

/*
 * The range buffer begins at offset 20, so its 8-byte words are not aligned;
 * packed for that reason alone.
 */
#define	VMBUS_GPADL_HDR_PFNS	26
#define	VMBUS_GPADL_BODY_PFNS	28

struct vmbus_msg_gpadl_hdr {
	struct vmbus_msg_hdr	gh_hdr;
	uint32_t		gh_chan;
	uint32_t		gh_gpadl;
	uint16_t		gh_rangelen;	/* all messages together */
	uint16_t		gh_ranges;
	uint32_t		gh_len;		/* of the one range, bytes */
	uint32_t		gh_ofs;
	uint64_t		gh_pfn[VMBUS_GPADL_HDR_PFNS];
} __packed;
_Static_assert(sizeof(struct vmbus_msg_gpadl_hdr) == 236,
    "vmbus_msg_gpadl_hdr");
_Static_assert(__offsetof(struct vmbus_msg_gpadl_hdr, gh_len) == 20,
    "vmbus_msg_gpadl_hdr.gh_len");
_Static_assert(__offsetof(struct vmbus_msg_gpadl_hdr, gh_pfn) == 28,
    "vmbus_msg_gpadl_hdr.gh_pfn");

struct vmbus_msg_gpadl_body {
	struct vmbus_msg_hdr	gb_hdr;
	uint32_t		gb_seq;
	uint32_t		gb_gpadl;
	uint64_t		gb_pfn[VMBUS_GPADL_BODY_PFNS];
};
_Static_assert(sizeof(struct vmbus_msg_gpadl_body) == 240,
    "vmbus_msg_gpadl_body");
_Static_assert(__offsetof(struct vmbus_msg_gpadl_body, gb_pfn) == 16,
    "vmbus_msg_gpadl_body.gb_pfn");

struct vmbus_msg_gpadl_created {
	struct vmbus_msg_hdr	gc_hdr;
	uint32_t		gc_chan;
	uint32_t		gc_gpadl;
	uint32_t		gc_status;	/* 0: success */
};
_Static_assert(sizeof(struct vmbus_msg_gpadl_created) == 20,
    "vmbus_msg_gpadl_created");

struct vmbus_msg_gpadl_teardown {
	struct vmbus_msg_hdr	gt_hdr;
	uint32_t		gt_chan;
	uint32_t		gt_gpadl;
};
_Static_assert(sizeof(struct vmbus_msg_gpadl_teardown) == 16,
    "vmbus_msg_gpadl_teardown");

struct vmbus_msg_gpadl_torndown {
	struct vmbus_msg_hdr	gd_hdr;
	uint32_t		gd_gpadl;
};
_Static_assert(sizeof(struct vmbus_msg_gpadl_torndown) == 12,
    "vmbus_msg_gpadl_torndown");

/* The bytes at 16 are the interrupt page's address below version 5.0. */
struct vmbus_msg_contact {
	struct vmbus_msg_hdr	ct_hdr;
	uint32_t		ct_version;
	uint32_t		ct_vp;		/* from 3.0 on */
	union {
		uint64_t	u_intr_page;
		struct {
			uint8_t		v_sint;
			uint8_t		v_vtl;
			uint16_t	v_rsvd;
			uint32_t	v_features;
		} u_v5;
	} ct_u;
	uint64_t		ct_mnf_rx;	/* parent to child */
	uint64_t		ct_mnf_tx;	/* child to parent */
};
_Static_assert(sizeof(struct vmbus_msg_contact) == 40, "vmbus_msg_contact");
_Static_assert(__offsetof(struct vmbus_msg_contact, ct_u) == 16,
    "vmbus_msg_contact.ct_u");
_Static_assert(__offsetof(struct vmbus_msg_contact, ct_mnf_tx) == 32,
    "vmbus_msg_contact.ct_mnf_tx");

struct vmbus_msg_version {
	struct vmbus_msg_hdr	vr_hdr;
	uint8_t			vr_supported;	/* 0 or 1 */
	uint8_t			vr_state;	/* 0: success */
	uint8_t			vr_rsvd[2];
	uint32_t		vr_conn;	/* from 5.0 on */
};
_Static_assert(sizeof(struct vmbus_msg_version) == 16, "vmbus_msg_version");
_Static_assert(__offsetof(struct vmbus_msg_version, vr_conn) == 12,
    "vmbus_msg_version.vr_conn");

#endif	/* !_DEV_HYPERV_VMBUS_VMBUS_REG_H_ */
