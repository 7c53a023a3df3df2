/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets in a channel's ring, as on the wire; little-endian, naturally
 * packed (protocol: vmbus, sections 6.1 and 7.3 to 7.5).
 */

#ifndef _DEV_HYPERV_VMBUS_PKT_REG_H_
#define	_DEV_HYPERV_VMBUS_PKT_REG_H_

#include <sys/types.h>

/* Lengths in a packet descriptor count units of 8 bytes. */
#define	VMBUS_PKT_UNIT_SHIFT	3
#define	VMBUS_PKT_UNIT		(1 << VMBUS_PKT_UNIT_SHIFT)

struct vmbus_pkt_desc {
	uint16_t	pd_type;	/* VMBUS_PKT_TYPE_ */
	uint16_t	pd_hlen;	/* offset of the payload, units, >= 2 */
	uint16_t	pd_tlen;	/* without trailer, units, >= hlen */
	uint16_t	pd_flags;	/* VMBUS_PKT_FLAG_ */
	uint64_t	pd_xid;		/* transaction id */
};
_Static_assert(sizeof(struct vmbus_pkt_desc) == 16, "vmbus_pkt_desc");
_Static_assert(__offsetof(struct vmbus_pkt_desc, pd_xid) == 8,
    "vmbus_pkt_desc.pd_xid");

#define	VMBUS_PKT_TYPE_INBAND	0x0006	/* no extra header */
#define	VMBUS_PKT_TYPE_RXBUF	0x0007	/* transfer pages, host to guest */
#define	VMBUS_PKT_TYPE_GPA	0x0009	/* GPA direct, guest to host */
#define	VMBUS_PKT_TYPE_COMP	0x000b	/* completion */

#define	VMBUS_PKT_FLAG_RC	0x0001	/* completion requested */

/* Behind each packet; readers skip it without a look. */
struct vmbus_pkt_trailer {
	uint32_t	pt_zero;
	uint32_t	pt_start;	/* ring index of the packet's start */
};
_Static_assert(sizeof(struct vmbus_pkt_trailer) == 8, "vmbus_pkt_trailer");

/* Behind the descriptor of a GPA-direct packet; ranges follow. */
struct vmbus_pkt_gpa {
	uint32_t	pg_rsvd;
	uint32_t	pg_cnt;		/* ranges, not 0 */
};
_Static_assert(sizeof(struct vmbus_pkt_gpa) == 8, "vmbus_pkt_gpa");

/* One range: page frame numbers (uint64_t) follow. */
struct vmbus_gpa_range {
	uint32_t	gr_len;		/* bytes, not 0 */
	uint32_t	gr_ofs;		/* in the first page */
};
_Static_assert(sizeof(struct vmbus_gpa_range) == 8, "vmbus_gpa_range");

/* Behind the descriptor of a transfer-page packet; ranges follow. */
struct vmbus_pkt_rxbuf {
	uint16_t	pr_id;		/* which set of pages */
	uint8_t		pr_rsvd[2];
	uint32_t	pr_cnt;
};
_Static_assert(sizeof(struct vmbus_pkt_rxbuf) == 8, "vmbus_pkt_rxbuf");
_Static_assert(__offsetof(struct vmbus_pkt_rxbuf, pr_cnt) == 4,
    "vmbus_pkt_rxbuf.pr_cnt");

struct vmbus_rxbuf_range {
	uint32_t	rr_len;
	uint32_t	rr_ofs;		/* in the set */
};
_Static_assert(sizeof(struct vmbus_rxbuf_range) == 8, "vmbus_rxbuf_range");

#endif	/* !_DEV_HYPERV_VMBUS_PKT_REG_H_ */
