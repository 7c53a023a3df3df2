/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What all integration services have in common on the wire, and the bodies of
 * the three simple ones; little-endian (protocol: utilities, sections 2 to 5).
 * Layout and numbers only; nothing here has a state.
 */

#ifndef _HV_IC_REG_H_
#define	_HV_IC_REG_H_

#include <sys/types.h>

struct hv_ic_version {
	uint16_t	iv_major;
	uint16_t	iv_minor;
};
_Static_assert(sizeof(struct hv_ic_version) == 4, "hv_ic_version");

/*
 * In front of every message: the channel is a pipe of messages, so a header of
 * the pipe comes first.  Packets are padded to 8 bytes; ih_pipe_len tells where
 * the message ends, ih_size where its body does.
 */
struct hv_ic_hdr {
	uint32_t	ih_pipe_type;	/* HV_IC_PIPE_DATA */
	uint32_t	ih_pipe_len;	/* bytes behind this member */
	struct hv_ic_version ih_fw;
	uint16_t	ih_type;	/* HV_IC_TYPE_ */
	struct hv_ic_version ih_msg;
	uint16_t	ih_size;	/* of the body */
	uint32_t	ih_status;	/* HV_IC_S_ */
	uint8_t		ih_id;		/* as in the request */
	uint8_t		ih_flags;	/* HV_IC_F_ */
	uint16_t	ih_rsvd;
};
_Static_assert(sizeof(struct hv_ic_hdr) == 28, "hv_ic_hdr");
_Static_assert(__offsetof(struct hv_ic_hdr, ih_fw) == 8, "hv_ic_hdr.ih_fw");
_Static_assert(__offsetof(struct hv_ic_hdr, ih_type) == 12,
    "hv_ic_hdr.ih_type");
_Static_assert(__offsetof(struct hv_ic_hdr, ih_msg) == 14,
    "hv_ic_hdr.ih_msg");
_Static_assert(__offsetof(struct hv_ic_hdr, ih_size) == 18,
    "hv_ic_hdr.ih_size");
_Static_assert(__offsetof(struct hv_ic_hdr, ih_status) == 20,
    "hv_ic_hdr.ih_status");
_Static_assert(__offsetof(struct hv_ic_hdr, ih_flags) == 25,
    "hv_ic_hdr.ih_flags");

#define	HV_IC_HDR_LEN		28
#define	HV_IC_PIPE_HDR_LEN	8	/* up to and with ih_pipe_len */
#define	HV_IC_MSG_MAX		13320	/* longest packet: 13312 in the pipe */
#define	HV_IC_PIPE_DATA		1

#define	HV_IC_TYPE_NEGOTIATE	0
#define	HV_IC_TYPE_HEARTBEAT	1
#define	HV_IC_TYPE_KVP		2
#define	HV_IC_TYPE_SHUTDOWN	3
#define	HV_IC_TYPE_TIMESYNC	4
#define	HV_IC_TYPE_VSS		5
#define	HV_IC_TYPE_FCOPY	7

#define	HV_IC_F_TRANSACTION	0x01	/* an answer is expected */
#define	HV_IC_F_REQUEST		0x02
#define	HV_IC_F_RESPONSE	0x04

/* ih_status, an HRESULT. */
#define	HV_IC_S_OK		0x00000000
#define	HV_IC_S_FAIL		0x80004005
#define	HV_IC_S_NOT_FOUND	0x80041002	/* no such GUID */
#define	HV_IC_S_NOT_SUPPORTED	0x80070032
#define	HV_IC_S_EXISTS		0x80070050
#define	HV_IC_S_INVALID_ARG	0x80070057
#define	HV_IC_S_DISK_FULL	0x80070070
#define	HV_IC_S_NO_MORE		0x80070103	/* behind the last item */
#define	HV_IC_S_NOT_CONNECTED	0x8007048f
#define	HV_IC_S_LOCKED		0x800704f7

/*
 * Body of a negotiation.  A request lists framework versions, then message
 * versions; an answer has one of each, or none.
 */
struct hv_ic_nego {
	uint16_t	in_fwcnt;
	uint16_t	in_msgcnt;
	uint32_t	in_rsvd;
	struct hv_ic_version in_versions[];
};
_Static_assert(sizeof(struct hv_ic_nego) == 8, "hv_ic_nego");
_Static_assert(__offsetof(struct hv_ic_nego, in_versions) == 8,
    "hv_ic_nego.in_versions");

#define	HV_IC_NEGO_LEN		8
#define	HV_IC_NEGO_ANSWER_LEN	16	/* with two versions */

/*
 * Bodies begin 28 bytes into a packet, so what has 64-bit members is packed.
 * A host may send more behind them.
 */
struct hv_ic_heartbeat {
	uint64_t	hb_seq;		/* the guest answers with one more */
} __packed;
_Static_assert(sizeof(struct hv_ic_heartbeat) == 8, "hv_ic_heartbeat");

/* A text for people follows; it has no use here. */
struct hv_ic_shutdown {
	uint32_t	sd_reason;
	uint32_t	sd_timeout;	/* seconds */
	uint32_t	sd_flags;	/* HV_IC_SD_ */
};
_Static_assert(sizeof(struct hv_ic_shutdown) == 12, "hv_ic_shutdown");
_Static_assert(__offsetof(struct hv_ic_shutdown, sd_flags) == 8,
    "hv_ic_shutdown.sd_flags");

#define	HV_IC_SD_FORCE		0x01
#define	HV_IC_SD_RESTART	0x02
#define	HV_IC_SD_HIBERNATE	0x04

/* Time of day, up to message version 3. */
struct hv_ic_timesync {
	uint64_t	ts_host;	/* 100 ns since 1601, UTC */
	uint64_t	ts_rsvd[2];
	uint8_t		ts_flags;	/* HV_IC_TS_ */
} __packed;
_Static_assert(sizeof(struct hv_ic_timesync) == 25, "hv_ic_timesync");
_Static_assert(__offsetof(struct hv_ic_timesync, ts_flags) == 24,
    "hv_ic_timesync.ts_flags");

/* From message version 4 on. */
struct hv_ic_timesync4 {
	uint64_t	t4_host;
	uint64_t	t4_ref;		/* the guest's reference time then */
	uint8_t		t4_flags;
	uint8_t		t4_leap;
	uint8_t		t4_stratum;
} __packed;
_Static_assert(sizeof(struct hv_ic_timesync4) == 19, "hv_ic_timesync4");
_Static_assert(__offsetof(struct hv_ic_timesync4, t4_flags) == 16,
    "hv_ic_timesync4.t4_flags");

#define	HV_IC_TS_SYNC		0x01	/* the clock is to be set now */
#define	HV_IC_TS_SAMPLE		0x02	/* for a clock discipline */

/* From 1601 to 1970, in units of 100 ns. */
#define	HV_IC_TS_EPOCH		116444736000000000ULL

#endif	/* !_HV_IC_REG_H_ */
