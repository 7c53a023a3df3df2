/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of the integration services: what all have in common, and the
 * bodies of heartbeat, shutdown and time synchronization.  Little-endian,
 * nothing aligned.  protocol: utilities, 2 to 5
 */

#ifndef HVH_SERVICES_IC_REG_H
#define	HVH_SERVICES_IC_REG_H

#include <stddef.h>
#include <stdint.h>

#define	IC_PACKED	__attribute__((packed))

/* Offers of pipes: flags, and the first word of user data. */
#define	IC_OFFER_INTERFACE	0x0001
#define	IC_OFFER_PIPE		0x0010
#define	IC_PIPE_MESSAGES	4

#define	IC_PIPE_DATA		1
#define	IC_MESSAGE_MAX		13312	/* header and body */

/* Message types. */
#define	IC_NEGOTIATE		0
#define	IC_HEARTBEAT		1
#define	IC_KVP			2
#define	IC_SHUTDOWN		3
#define	IC_TIMESYNC		4
#define	IC_VSS			5
#define	IC_FCOPY		7

#define	IC_FLAG_TRANSACTION	1
#define	IC_FLAG_REQUEST		2
#define	IC_FLAG_RESPONSE	4

struct ic_version {
	uint16_t	iv_major;
	uint16_t	iv_minor;
} IC_PACKED;
_Static_assert(sizeof(struct ic_version) == 4, "version");

struct ic_header {
	uint32_t	ih_pipe_type;
	uint32_t	ih_pipe_len;	/* what follows this field */
	struct ic_version ih_framework;
	uint16_t	ih_type;
	struct ic_version ih_version;
	uint16_t	ih_size;	/* of the body */
	uint32_t	ih_status;
	uint8_t		ih_id;		/* of the transaction */
	uint8_t		ih_flags;
	uint8_t		ih_reserved[2];
} IC_PACKED;
_Static_assert(sizeof(struct ic_header) == 28, "header");
_Static_assert(offsetof(struct ic_header, ih_framework) == 8, "framework");
_Static_assert(offsetof(struct ic_header, ih_type) == 12, "type");
_Static_assert(offsetof(struct ic_header, ih_version) == 14, "version");
_Static_assert(offsetof(struct ic_header, ih_size) == 18, "size");
_Static_assert(offsetof(struct ic_header, ih_status) == 20, "status");
_Static_assert(offsetof(struct ic_header, ih_id) == 24, "id");

/* The pipe's own header, which its length does not count. */
#define	IC_PIPE_HEADER		offsetof(struct ic_header, ih_framework)

/* Versions follow: of the framework, then of the messages. */
struct ic_negotiate {
	uint16_t	in_frameworks;
	uint16_t	in_versions;
	uint32_t	in_reserved;
} IC_PACKED;
_Static_assert(sizeof(struct ic_negotiate) == 8, "negotiate");

/* What is chosen. */
struct ic_negotiated {
	struct ic_negotiate id_counts;	/* 1 and 1 */
	struct ic_version id_framework;
	struct ic_version id_version;
} IC_PACKED;
_Static_assert(sizeof(struct ic_negotiated) == 16, "negotiated");

/* As long as guests' own structures. */
struct ic_heartbeat {
	uint64_t	hb_sequence;
	uint32_t	hb_application;
	uint32_t	hb_reserved[7];
} IC_PACKED;
_Static_assert(sizeof(struct ic_heartbeat) == 40, "heartbeat");

#define	IC_SHUTDOWN_FORCE	1
#define	IC_SHUTDOWN_RESTART	2
#define	IC_SHUTDOWN_HIBERNATE	4
#define	IC_SHUTDOWN_PLANNED	0x80000000u

/* Whole, or guests take it for none. */
struct ic_shutdown {
	uint32_t	sd_reason;
	uint32_t	sd_timeout;	/* s */
	uint32_t	sd_flags;
	uint8_t		sd_message[2048];
} IC_PACKED;
_Static_assert(sizeof(struct ic_shutdown) == 2060, "shutdown");

#define	IC_TIME_SYNC		1
#define	IC_TIME_SAMPLE		2

/* Below 4.0.  100 ns since 1601. */
struct ic_time_old {
	uint64_t	to_parent;
	uint64_t	to_child;
	uint64_t	to_rtt;
	uint8_t		to_flags;
	uint8_t		to_reserved[3];
} IC_PACKED;
_Static_assert(sizeof(struct ic_time_old) == 28, "time before 4.0");

struct ic_time {
	uint64_t	tm_parent;
	uint64_t	tm_reference;	/* the guest's counter, then */
	uint8_t		tm_flags;
	uint8_t		tm_leap;
	uint8_t		tm_stratum;
	uint8_t		tm_reserved[5];
} IC_PACKED;
_Static_assert(sizeof(struct ic_time) == 24, "time");

#endif	/* !HVH_SERVICES_IC_REG_H */
