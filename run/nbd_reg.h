/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The Network Block Device protocol as on the wire, as far as the server
 * speaks it; big-endian, packed.  Source: the protocol document of the NBD
 * project (doc/proto.md), sections "Newstyle negotiation", "Transmission" and
 * "Values".
 */

#ifndef RUN_NBD_REG_H
#define	RUN_NBD_REG_H

#include <stdint.h>

#define	NBD_MAGIC		0x4e42444d41474943ULL	/* "NBDMAGIC" */
#define	NBD_OPT_MAGIC		0x49484156454f5054ULL	/* "IHAVEOPT" */
#define	NBD_REP_MAGIC		0x0003e889045565a9ULL
#define	NBD_REQUEST_MAGIC	0x25609513U
#define	NBD_REPLY_MAGIC		0x67446698U

/* First bytes from the server. */
struct nbd_greeting {
	uint64_t	ng_magic;
	uint64_t	ng_optmagic;
	uint16_t	ng_flags;	/* NBD_GREET_ */
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_greeting) == 18, "nbd_greeting");

/* The client answers with the same bits as a uint32_t. */
#define	NBD_GREET_FIXED		0x0001	/* options may be refused */
#define	NBD_GREET_NO_ZEROES	0x0002	/* no padding after EXPORT_NAME */

/* An option; data follows. */
struct nbd_option {
	uint64_t	no_magic;
	uint32_t	no_option;	/* NBD_OPT_ */
	uint32_t	no_len;
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_option) == 16, "nbd_option");

#define	NBD_OPT_EXPORT_NAME	1
#define	NBD_OPT_ABORT		2
#define	NBD_OPT_LIST		3
#define	NBD_OPT_INFO		6
#define	NBD_OPT_GO		7

/* The answer to an option; data follows. */
struct nbd_option_reply {
	uint64_t	nr_magic;
	uint32_t	nr_option;	/* of the option */
	uint32_t	nr_type;	/* NBD_REP_ */
	uint32_t	nr_len;
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_option_reply) == 20, "nbd_option_reply");

#define	NBD_REP_ACK		1
#define	NBD_REP_SERVER		2	/* uint32_t length, name */
#define	NBD_REP_INFO		3
#define	NBD_REP_ERR_UNSUP	0x80000001U
#define	NBD_REP_ERR_INVALID	0x80000003U
#define	NBD_REP_ERR_UNKNOWN	0x80000006U	/* no such export */
#define	NBD_REP_ERR_SHUTDOWN	0x80000007U
#define	NBD_REP_ERR_TOO_BIG	0x80000009U

struct nbd_info_export {
	uint16_t	ne_type;	/* NBD_INFO_EXPORT */
	uint64_t	ne_size;
	uint16_t	ne_flags;	/* NBD_FLAG_ */
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_info_export) == 12, "nbd_info_export");

struct nbd_info_block_size {
	uint16_t	nb_type;	/* NBD_INFO_BLOCK_SIZE */
	uint32_t	nb_min;
	uint32_t	nb_preferred;
	uint32_t	nb_max;
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_info_block_size) == 14,
    "nbd_info_block_size");

#define	NBD_INFO_EXPORT		0
#define	NBD_INFO_BLOCK_SIZE	3

/* The answer to EXPORT_NAME, which has no header. */
struct nbd_export_reply {
	uint64_t	nx_size;
	uint16_t	nx_flags;
	uint8_t		nx_zeroes[124];	/* not with NO_ZEROES */
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_export_reply) == 134, "nbd_export_reply");

#define	NBD_FLAG_HAS_FLAGS	0x0001
#define	NBD_FLAG_READ_ONLY	0x0002
#define	NBD_FLAG_SEND_FLUSH	0x0004
#define	NBD_FLAG_SEND_FUA	0x0008
#define	NBD_FLAG_SEND_TRIM	0x0020
#define	NBD_FLAG_CAN_MULTI_CONN	0x0100

/* A request; a write's data follows. */
struct nbd_request {
	uint32_t	nq_magic;
	uint16_t	nq_flags;	/* NBD_CMD_FLAG_ */
	uint16_t	nq_type;	/* NBD_CMD_ */
	uint64_t	nq_cookie;	/* given back in the reply */
	uint64_t	nq_offset;
	uint32_t	nq_len;
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_request) == 28, "nbd_request");

#define	NBD_CMD_FLAG_FUA	0x0001
#define	NBD_CMD_READ		0
#define	NBD_CMD_WRITE		1
#define	NBD_CMD_DISC		2
#define	NBD_CMD_FLUSH		3
#define	NBD_CMD_TRIM		4

/* A reply; a successful read's data follows. */
struct nbd_reply {
	uint32_t	np_magic;
	uint32_t	np_error;	/* NBD_E or 0 */
	uint64_t	np_cookie;
} __attribute__((packed));
_Static_assert(sizeof(struct nbd_reply) == 16, "nbd_reply");

#define	NBD_EPERM	1
#define	NBD_EIO		5
#define	NBD_ENOMEM	12
#define	NBD_EINVAL	22
#define	NBD_ENOSPC	28
#define	NBD_EOVERFLOW	75
#define	NBD_ENOTSUP	95
#define	NBD_ESHUTDOWN	108

#endif	/* !RUN_NBD_REG_H */
