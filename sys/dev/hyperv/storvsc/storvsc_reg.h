/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Storage packets as on the wire: little-endian, naturally packed (protocol:
 * storvsc, section 3).  Layout and numbers only; nothing here has a state.
 */

#ifndef _STORVSC_REG_H_
#define	_STORVSC_REG_H_

#include <sys/types.h>

/* Protocol versions, major << 8 | minor (protocol: storvsc, section 4). */
#define	STORVSC_VERSION_2_0	0x0200
#define	STORVSC_VERSION_4_2	0x0402
#define	STORVSC_VERSION_5_1	0x0501
#define	STORVSC_VERSION_6_0	0x0600
#define	STORVSC_VERSION_6_2	0x0602

#define	STORVSC_VERSION_MAJOR(v)	((v) >> 8)
#define	STORVSC_VERSION_MINOR(v)	((v) & 0xff)

/* Operations (protocol: storvsc, section 3). */
#define	STORVSC_OP_COMPLETE_IO		1	/* host, every completion */
#define	STORVSC_OP_REMOVE_DEVICE	2	/* host, unasked */
#define	STORVSC_OP_EXECUTE_SRB		3
#define	STORVSC_OP_RESET_LUN		4
#define	STORVSC_OP_RESET_ADAPTER	5
#define	STORVSC_OP_RESET_BUS		6
#define	STORVSC_OP_BEGIN_INIT		7
#define	STORVSC_OP_END_INIT		8
#define	STORVSC_OP_QUERY_VERSION	9
#define	STORVSC_OP_QUERY_PROPERTIES	10
#define	STORVSC_OP_ENUMERATE_BUS	11	/* host, unasked */
#define	STORVSC_OP_CREATE_SUB_CHANNELS	13

/* sp_flags: the one bit a guest may set. */
#define	STORVSC_FLAG_COMPLETION		0x00000001

/* Payload of QUERY_VERSION. */
struct storvsc_version {
	uint16_t	sv_version;
	uint16_t	sv_revision;	/* informative; a guest sends 0 */
};
_Static_assert(sizeof(struct storvsc_version) == 4, "storvsc_version");

/*
 * Payload of QUERY_PROPERTIES, written by the host.  Reserved members need
 * not be zero; pr_max_subch and the flags mean something from 5.1 on.
 */
struct storvsc_props {
	uint32_t	pr_rsvd1;
	uint16_t	pr_max_subch;
	uint16_t	pr_rsvd2;
	uint32_t	pr_flags;
#define	STORVSC_PROP_MULTI_CHANNEL	0x00000001
	uint32_t	pr_max_xfer;	/* bytes a request */
	uint32_t	pr_rsvd3[2];
};
_Static_assert(sizeof(struct storvsc_props) == 24, "storvsc_props");
_Static_assert(__offsetof(struct storvsc_props, pr_max_subch) == 4,
    "storvsc_props.pr_max_subch");
_Static_assert(__offsetof(struct storvsc_props, pr_flags) == 8,
    "storvsc_props.pr_flags");
_Static_assert(__offsetof(struct storvsc_props, pr_max_xfer) == 12,
    "storvsc_props.pr_max_xfer");

#define	STORVSC_CDB_LEN		16
#define	STORVSC_SENSE_LEN	20	/* from 5.1 on */
#define	STORVSC_SENSE_LEN_OLD	18

/*
 * SCSI request block, in requests and in completions.  The sense data come
 * back in place of the CDB.  Up to 4.2 it ends before sb_rsvd2.
 */
struct storvsc_srb {
	uint16_t	sb_length;	/* of this structure in use */
	uint8_t		sb_srb_status;	/* host: STORVSC_SRB_ */
	uint8_t		sb_scsi_status;	/* host */
	uint8_t		sb_port;
	uint8_t		sb_path;
	uint8_t		sb_target;
	uint8_t		sb_lun;
	uint8_t		sb_cdb_len;
	uint8_t		sb_sense_len;	/* guest: room; host: valid bytes */
	uint8_t		sb_data_in;	/* STORVSC_DATA_ */
	uint8_t		sb_rsvd1;
	uint32_t	sb_xfer_len;	/* guest: wanted; host: moved */
	union {
		uint8_t	sb_cdb[STORVSC_CDB_LEN];
		uint8_t	sb_sense[STORVSC_SENSE_LEN];
	};
	uint16_t	sb_rsvd2;
	uint8_t		sb_queue_tag;
	uint8_t		sb_queue_action;
	uint32_t	sb_flags;	/* STORVSC_SRBF_ */
	uint32_t	sb_timeout;	/* seconds */
	uint32_t	sb_sort_key;
};
_Static_assert(sizeof(struct storvsc_srb) == 52, "storvsc_srb");
_Static_assert(__offsetof(struct storvsc_srb, sb_cdb_len) == 8,
    "storvsc_srb.sb_cdb_len");
_Static_assert(__offsetof(struct storvsc_srb, sb_xfer_len) == 12,
    "storvsc_srb.sb_xfer_len");
_Static_assert(__offsetof(struct storvsc_srb, sb_cdb) == 16,
    "storvsc_srb.sb_cdb");
_Static_assert(__offsetof(struct storvsc_srb, sb_sense) == 16,
    "storvsc_srb.sb_sense");
_Static_assert(__offsetof(struct storvsc_srb, sb_rsvd2) == 36,
    "storvsc_srb.sb_rsvd2");
_Static_assert(__offsetof(struct storvsc_srb, sb_flags) == 40,
    "storvsc_srb.sb_flags");

#define	STORVSC_SRB_LEN		52	/* from 5.1 on */
#define	STORVSC_SRB_LEN_OLD	36

/* sb_data_in */
#define	STORVSC_DATA_OUT	0
#define	STORVSC_DATA_IN		1
#define	STORVSC_DATA_NONE	2

/* sb_srb_status (protocol: storvsc, section 3.6). */
#define	STORVSC_SRB_PENDING		0x00
#define	STORVSC_SRB_SUCCESS		0x01
#define	STORVSC_SRB_ABORTED		0x02
#define	STORVSC_SRB_ABORT_FAILED	0x03
#define	STORVSC_SRB_ERROR		0x04
#define	STORVSC_SRB_BUSY		0x05
#define	STORVSC_SRB_INVALID_REQUEST	0x06
#define	STORVSC_SRB_INVALID_PATH_ID	0x07
#define	STORVSC_SRB_NO_DEVICE		0x08
#define	STORVSC_SRB_TIMEOUT		0x09
#define	STORVSC_SRB_SELECTION_TIMEOUT	0x0a
#define	STORVSC_SRB_COMMAND_TIMEOUT	0x0b
#define	STORVSC_SRB_MESSAGE_REJECTED	0x0d
#define	STORVSC_SRB_BUS_RESET		0x0e
#define	STORVSC_SRB_PARITY_ERROR	0x0f
#define	STORVSC_SRB_SENSE_FAILED	0x10
#define	STORVSC_SRB_NO_HBA		0x11
#define	STORVSC_SRB_DATA_OVERRUN	0x12
#define	STORVSC_SRB_BUS_FREE		0x13
#define	STORVSC_SRB_PHASE_FAILURE	0x14
#define	STORVSC_SRB_BAD_LENGTH		0x15
#define	STORVSC_SRB_FLUSHED		0x16
#define	STORVSC_SRB_INVALID_LUN		0x20
#define	STORVSC_SRB_INVALID_TARGET	0x21
#define	STORVSC_SRB_BAD_FUNCTION	0x22
#define	STORVSC_SRB_ERROR_RECOVERY	0x23
#define	STORVSC_SRB_NOT_POWERED		0x24
#define	STORVSC_SRB_LINK_DOWN		0x25
#define	STORVSC_SRB_INTERNAL_ERROR	0x30
#define	STORVSC_SRB_CODE_MASK		0x3f
#define	STORVSC_SRB_QUEUE_FROZEN	0x40
#define	STORVSC_SRB_AUTOSENSE		0x80

/* sb_flags (protocol: storvsc, section 3.7). */
#define	STORVSC_SRBF_QUEUE_ACTION	0x00000002
#define	STORVSC_SRBF_DISABLE_SYNCH	0x00000008
#define	STORVSC_SRBF_DATA_IN		0x00000040
#define	STORVSC_SRBF_DATA_OUT		0x00000080
#define	STORVSC_SRBF_NO_QUEUE_FREEZE	0x00000100

/* sb_queue_tag of a tagged request. */
#define	STORVSC_QUEUE_TAG_ANY		0xff

struct storvsc_pkt {
	uint32_t	sp_op;		/* STORVSC_OP_ */
	uint32_t	sp_flags;	/* STORVSC_FLAG_ */
	uint32_t	sp_status;	/* NTSTATUS from the host, 0 is good */
	union {
		struct storvsc_srb	sp_srb;
		struct storvsc_version	sp_version;
		struct storvsc_props	sp_props;
		uint16_t		sp_nsubch;
	};
};
_Static_assert(sizeof(struct storvsc_pkt) == 64, "storvsc_pkt");
_Static_assert(__offsetof(struct storvsc_pkt, sp_srb) == 12,
    "storvsc_pkt.sp_srb");

#define	STORVSC_PKT_HDR_LEN	12
#define	STORVSC_PKT_LEN		64	/* from 5.1 on */
#define	STORVSC_PKT_LEN_OLD	48	/* up to 4.2, and before a version */

/*
 * Zeroed user data of an open request; hosts ignore it (protocol: storvsc,
 * section 1).
 */
#define	STORVSC_OPEN_DATA_LEN	24

/* GPA ranges count in pages of the hypervisor. */
#define	STORVSC_PAGE_SHIFT	12
#define	STORVSC_PAGE_SIZE	(1 << STORVSC_PAGE_SHIFT)
#define	STORVSC_PAGE_MASK	(STORVSC_PAGE_SIZE - 1)

#endif	/* !_STORVSC_REG_H_ */
