/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The blocks of a pcapng file that are written here.  Its numbers are in the
 * writer's byte order, which the first block tells.
 */

#ifndef HVH_NETWORK_PCAPNG_REG_H
#define	HVH_NETWORK_PCAPNG_REG_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define	PCAPNG_SECTION		0x0A0D0D0Au
#define	PCAPNG_INTERFACE	1u
#define	PCAPNG_PACKET		6u
#define	PCAPNG_ORDER		0x1A2B3C4Du
#define	PCAPNG_ETHERNET		1u	/* LINKTYPE */

/* Options of an interface, of a packet, of all. */
#define	PCAPNG_TSRESOL		9u	/* u8: negative power of ten */
#define	PCAPNG_FLAGS		2u	/* u32 */
#define	PCAPNG_COMMENT		1u	/* text without NUL */
#define	PCAPNG_END		0u

#define	PCAPNG_INBOUND		1u
#define	PCAPNG_OUTBOUND		2u

/* Each block ends with its length once more, four bytes. */
struct pcapng_section {
	uint32_t	type;
	uint32_t	len;
	uint32_t	order;
	uint16_t	major;		/* 1 */
	uint16_t	minor;		/* 0 */
	int64_t		section_len;	/* -1: not told */
} __attribute__((packed));
_Static_assert(sizeof(struct pcapng_section) == 24, "section");
_Static_assert(offsetof(struct pcapng_section, section_len) == 16, "section");

struct pcapng_interface {
	uint32_t	type;
	uint32_t	len;
	uint16_t	linktype;
	uint16_t	reserved;
	uint32_t	snap;		/* 0: all of each packet */
} __attribute__((packed));
_Static_assert(sizeof(struct pcapng_interface) == 16, "interface");
_Static_assert(offsetof(struct pcapng_interface, snap) == 12, "interface");

struct pcapng_packet {
	uint32_t	type;
	uint32_t	len;
	uint32_t	interface;
	uint32_t	time_high;
	uint32_t	time_low;
	uint32_t	captured;	/* bytes that follow, padded to four */
	uint32_t	original;
} __attribute__((packed));
_Static_assert(sizeof(struct pcapng_packet) == 28, "packet");
_Static_assert(offsetof(struct pcapng_packet, captured) == 20, "packet");

/* Its value follows, padded to four bytes. */
struct pcapng_option {
	uint16_t	code;
	uint16_t	len;
} __attribute__((packed));
_Static_assert(sizeof(struct pcapng_option) == 4, "option");

#endif	/* !HVH_NETWORK_PCAPNG_REG_H */
