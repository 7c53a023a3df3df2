/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A trace on disk: a head, then records, each a multiple of 8 bytes.
 * Little-endian; the writer's machine is the reader's.
 */

#ifndef CONTROL_TRACE_REG_H
#define	CONTROL_TRACE_REG_H

#include <stddef.h>
#include <stdint.h>

#define	TRACE_MAGIC	"HVTRACE"	/* and NUL */
#define	TRACE_VERSION	1

struct trace_head {
	char		th_magic[8];
	uint32_t	th_version;
	uint32_t	th_len;		/* of this, records follow */
	uint32_t	th_snap;	/* bytes kept of a payload */
	uint32_t	th_rsvd;
	uint64_t	th_start;	/* times of records are from here, ns */
	uint64_t	th_wall;	/* the same moment since 1970, ns */
};
_Static_assert(sizeof(struct trace_head) == 40, "trace head");
_Static_assert(offsetof(struct trace_head, th_start) == 24, "start");

/* Something to look for when a file is damaged. */
#define	TRACE_MARK	0xB5A7
#define	TRACE_OUT	1u
/* A kind that is no event: the last record, if some before the end are lost. */
#define	TRACE_LOST	255u

struct trace_record {
	uint16_t	tr_mark;
	uint8_t		tr_kind;	/* enum hvh_trace_kind, or TRACE_LOST */
	uint8_t		tr_flags;
	uint32_t	tr_len;		/* data that follow, then to 8 */
	uint32_t	tr_total;	/* bytes there were */
	uint32_t	tr_chan;
	uint64_t	tr_time;
	uint32_t	tr_vp;
	uint32_t	tr_lost;	/* records before this, never written */
};
_Static_assert(sizeof(struct trace_record) == 32, "trace record");
_Static_assert(offsetof(struct trace_record, tr_time) == 16, "time");

/*
 * A message is kept whole.  Of a packet: the descriptor, as it was; of what
 * stands between that and the payload (ranges, set ids), as far as there is
 * any, TRACE_HDR bytes; then the payload up to th_snap bytes.
 */
#define	TRACE_DESC	16u
#define	TRACE_HDR	24u	/* count, first range, its first page */
#define	TRACE_SNAP_MAX	65536u
#define	TRACE_DATA_MAX	(TRACE_DESC + TRACE_HDR + TRACE_SNAP_MAX)
#define	TRACE_PAD(n)	(((n) + 7u) & ~7u)

#endif	/* !CONTROL_TRACE_REG_H */
