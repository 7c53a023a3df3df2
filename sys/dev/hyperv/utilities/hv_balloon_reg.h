/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory: messages as on the wire; little-endian, no pipe's header
 * before them (protocol: utilities, section 9).
 */

#ifndef _HV_BALLOON_REG_H_
#define	_HV_BALLOON_REG_H_

#include <sys/types.h>

/* The longest message in either direction. */
#define	HV_BALLOON_MSG_MAX	4096

struct hv_balloon_hdr {
	uint16_t	bh_type;	/* HV_BALLOON_T_ */
	uint16_t	bh_size;	/* bytes, this header included */
	uint32_t	bh_xid;		/* made up by the guest */
} __packed;
_Static_assert(sizeof(struct hv_balloon_hdr) == 8, "hv_balloon_hdr");

#define	HV_BALLOON_T_VERSION_REQ	1	/* guest to host */
#define	HV_BALLOON_T_VERSION_RSP	2
#define	HV_BALLOON_T_CAPS_REPORT	3	/* guest to host */
#define	HV_BALLOON_T_CAPS_RSP		4
#define	HV_BALLOON_T_STATUS		5	/* guest to host, no answer */
#define	HV_BALLOON_T_UP			6
#define	HV_BALLOON_T_UP_RSP		7	/* guest to host, one or more */
#define	HV_BALLOON_T_DOWN		8	/* one or more */
#define	HV_BALLOON_T_DOWN_RSP		9	/* guest to host, to the last */
#define	HV_BALLOON_T_HOT_ADD		10
#define	HV_BALLOON_T_HOT_ADD_RSP	11	/* guest to host */
#define	HV_BALLOON_T_INFO		12

struct hv_balloon_version_req {
	struct hv_balloon_hdr vq_hdr;
	uint32_t	vq_version;	/* HV_BALLOON_VERSION() */
	uint32_t	vq_flags;
} __packed;
_Static_assert(sizeof(struct hv_balloon_version_req) == 16,
    "hv_balloon_version_req");

#define	HV_BALLOON_VERSION(major, minor) (((uint32_t)(major) << 16) | (minor))
#define	HV_BALLOON_VQ_LAST	0x00000001	/* we know no older one */

/* To a version, and to the capabilities. */
struct hv_balloon_rsp {
	struct hv_balloon_hdr br_hdr;
	uint64_t	br_flags;
} __packed;
_Static_assert(sizeof(struct hv_balloon_rsp) == 16, "hv_balloon_rsp");

#define	HV_BALLOON_BR_ACCEPTED	0x0000000000000001ULL

struct hv_balloon_caps {
	struct hv_balloon_hdr bc_hdr;
	uint64_t	bc_flags;
	uint64_t	bc_min_pages;	/* the guest needs to live */
	uint64_t	bc_max_page;	/* highest to be added */
} __packed;
_Static_assert(sizeof(struct hv_balloon_caps) == 32, "hv_balloon_caps");

#define	HV_BALLOON_BC_BALLOON	0x0000000000000001ULL
#define	HV_BALLOON_BC_NO_LIMIT	UINT64_MAX

/* All but the last two in pages. */
struct hv_balloon_status {
	struct hv_balloon_hdr bs_hdr;
	uint64_t	bs_available;
	uint64_t	bs_committed;
	uint64_t	bs_page_file;
	uint64_t	bs_free;
	uint32_t	bs_page_writes;
	uint32_t	bs_io_diff;
} __packed;
_Static_assert(sizeof(struct hv_balloon_status) == 48, "hv_balloon_status");

struct hv_balloon_up {
	struct hv_balloon_hdr bu_hdr;
	uint32_t	bu_pages;
	uint32_t	bu_rsvd;
} __packed;
_Static_assert(sizeof(struct hv_balloon_up) == 16, "hv_balloon_up");

/* Pages as a range: where it starts below, how many there are above. */
#define	HV_BALLOON_RANGE(start, n)	((uint64_t)(n) << 40 | (start))
#define	HV_BALLOON_RANGE_START(r)	((r) & 0xffffffffffULL)
#define	HV_BALLOON_RANGE_COUNT(r)	((r) >> 40)

struct hv_balloon_up_rsp {
	struct hv_balloon_hdr ur_hdr;
	uint32_t	ur_rsvd;
	uint32_t	ur_ranges;	/* their number, and a flag */
	uint64_t	ur_range[];
} __packed;
_Static_assert(sizeof(struct hv_balloon_up_rsp) == 16, "hv_balloon_up_rsp");

#define	HV_BALLOON_UR_MORE	0x00000001	/* another one follows */
#define	HV_BALLOON_UR_SHIFT	1

struct hv_balloon_down {
	struct hv_balloon_hdr bd_hdr;
	uint32_t	bd_flags;
	uint32_t	bd_ranges;
	uint64_t	bd_range[];
} __packed;
_Static_assert(sizeof(struct hv_balloon_down) == 16, "hv_balloon_down");

#define	HV_BALLOON_BD_MORE	0x00000001	/* another one follows */

/* What one message has room for. */
#define	HV_BALLOON_RANGES_MAX						\
	((HV_BALLOON_MSG_MAX - sizeof(struct hv_balloon_up_rsp)) /	\
	    sizeof(uint64_t))

struct hv_balloon_hot_add_rsp {
	struct hv_balloon_hdr ha_hdr;
	uint32_t	ha_pages;
	uint32_t	ha_result;	/* 1: success */
} __packed;
_Static_assert(sizeof(struct hv_balloon_hot_add_rsp) == 16,
    "hv_balloon_hot_add_rsp");

#endif	/* !_HV_BALLOON_REG_H_ */
