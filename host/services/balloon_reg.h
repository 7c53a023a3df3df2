/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of dynamic memory.  Little-endian, without the header of the
 * other services.  protocol: utilities, 9
 */

#ifndef HVH_SERVICES_BALLOON_REG_H
#define	HVH_SERVICES_BALLOON_REG_H

#include <stddef.h>
#include <stdint.h>

enum {
	BALLOON_VERSION = 1,		/* guest */
	BALLOON_VERSION_ANSWER = 2,
	BALLOON_CAPABILITIES = 3,	/* guest */
	BALLOON_CAPABILITIES_ANSWER = 4,
	BALLOON_STATUS = 5,		/* guest */
	BALLOON_TAKE = 6,
	BALLOON_TAKEN = 7,		/* guest */
	BALLOON_GIVE = 8,
	BALLOON_GIVEN = 9,		/* guest */
	BALLOON_ADD = 10,
	BALLOON_ADDED = 11,		/* guest */
};

/* Guests read no longer ones. */
#define	BALLOON_MESSAGE_MAX	4096

struct balloon_header {
	uint16_t	bh_type;
	uint16_t	bh_size;	/* this header included */
	uint32_t	bh_xid;
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_header) == 8, "header");

struct balloon_version {
	struct balloon_header bv_header;
	uint32_t	bv_version;	/* major << 16 | minor */
	uint32_t	bv_flags;	/* 1: the guest's last try */
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_version) == 16, "version");

/* To a version and to capabilities. */
struct balloon_answer {
	struct balloon_header ba_header;
	uint64_t	ba_flags;
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_answer) == 16, "answer");

#define	BALLOON_ACCEPTED	1u

struct balloon_capabilities {
	struct balloon_header bc_header;
	uint64_t	bc_flags;
	uint64_t	bc_min_pages;
	uint64_t	bc_max_page;
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_capabilities) == 32, "capabilities");

#define	BALLOON_CAN_BALLOON	1u
#define	BALLOON_CAN_ADD		2u

struct balloon_status {
	struct balloon_header bs_header;
	uint64_t	bs_available;	/* pages */
	uint64_t	bs_committed;
	uint64_t	bs_page_file;
	uint64_t	bs_free;
	uint32_t	bs_page_writes;
	uint32_t	bs_io_diff;
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_status) == 48, "status");

struct balloon_take {
	struct balloon_header bt_header;
	uint32_t	bt_pages;
	uint32_t	bt_reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_take) == 16, "take");

/* Ranges follow: the first page in the low 40 bits, the count above. */
struct balloon_taken {
	struct balloon_header bn_header;
	uint32_t	bn_reserved;
	uint32_t	bn_ranges;	/* bit 0: more follow; count above */
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_taken) == 16, "taken");

struct balloon_give {
	struct balloon_header bg_header;
	uint32_t	bg_flags;	/* bit 0: more follow */
	uint32_t	bg_ranges;
} __attribute__((packed));
_Static_assert(sizeof(struct balloon_give) == 16, "give");

#define	BALLOON_MORE		1u
#define	BALLOON_RANGE_SHIFT	40
#define	BALLOON_RANGE_PAGES	0xffffffu
#define	BALLOON_RANGES_MAX						\
	((BALLOON_MESSAGE_MAX - sizeof(struct balloon_give)) / 8)

#endif	/* !HVH_SERVICES_BALLOON_REG_H */
