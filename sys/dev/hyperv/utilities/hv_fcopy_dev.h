/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the kernel and hv_fcopy_daemon(8) say to each other through
 * /dev/hv_fcopy_dev.  A request is a struct hv_fcopy_dev_msg as far as fm_len
 * bytes of its last member; what the program writes is its header alone.  Each
 * read and each write is one whole message; poll and kqueue tell when one can
 * be read.
 *
 * The program that opens the device writes HV_FCOPY_DEV_REGISTER first, with
 * the version it knows; EPROTONOSUPPORT if the kernel knows another.  Then it
 * reads a request, does it, and writes the answer: the request's header with
 * fm_type, HV_FCOPY_DEV_ANSWER, fm_status, and fm_id as it was.  There is never
 * more than one request.  An answer that comes after fm_timeout is ESTALE: the
 * host was told of a failure.
 *
 * Nothing in a request was looked at but that it has the size it says: names
 * are the host's, in UTF-16, and may be anything.
 */

#ifndef _HV_FCOPY_DEV_H_
#define	_HV_FCOPY_DEV_H_

#include <sys/types.h>
#ifndef _KERNEL
#include <stdint.h>
#endif

#define	HV_FCOPY_DEV_NAME	"hv_fcopy_dev"
#define	HV_FCOPY_DEV_VERSION	1

/* fm_type */
#define	HV_FCOPY_DEV_REGISTER	0x46435000	/* from the program, once */
#define	HV_FCOPY_DEV_REQUEST	0x46435001	/* from the kernel */
#define	HV_FCOPY_DEV_ANSWER	0x46435002	/* from the program */

/* fm_op */
#define	HV_FCOPY_DEV_START	0	/* names, fm_flags, fm_size */
#define	HV_FCOPY_DEV_WRITE	1	/* data, at fm_offset */
#define	HV_FCOPY_DEV_COMPLETE	2
#define	HV_FCOPY_DEV_CANCEL	3

/* fm_status of an answer.  All but OK end the copy; nothing of it is left. */
#define	HV_FCOPY_DEV_OK		0
#define	HV_FCOPY_DEV_FAILED	1
#define	HV_FCOPY_DEV_EXISTS	2	/* and is not to be overwritten */
#define	HV_FCOPY_DEV_FULL	3	/* no room on the disk */
#define	HV_FCOPY_DEV_INVALID	4	/* what was asked makes no sense */
#define	HV_FCOPY_DEV_DENIED	5	/* the name leads elsewhere */

/* fm_flags */
#define	HV_FCOPY_DEV_OVERWRITE	0x01
#define	HV_FCOPY_DEV_CREATE_PATH 0x02

#define	HV_FCOPY_DEV_NAME_MAX	260	/* UTF-16 units */
#define	HV_FCOPY_DEV_DATA_MAX	6144

struct hv_fcopy_dev_hdr {
	uint32_t	fm_type;
	uint32_t	fm_version;	/* HV_FCOPY_DEV_VERSION, always */
	uint32_t	fm_id;
	uint32_t	fm_op;
	uint32_t	fm_status;
	uint32_t	fm_timeout;	/* ms from the request to the answer */
	uint64_t	fm_size;
	uint64_t	fm_offset;
	uint32_t	fm_flags;
	uint32_t	fm_len;		/* bytes behind this header */
};

struct hv_fcopy_dev_names {
	uint16_t	fn_name[HV_FCOPY_DEV_NAME_MAX];
	uint16_t	fn_path[HV_FCOPY_DEV_NAME_MAX];
};

struct hv_fcopy_dev_msg {
	struct hv_fcopy_dev_hdr	fm_hdr;
	union {
		struct hv_fcopy_dev_names fm_names;
		uint8_t		fm_data[HV_FCOPY_DEV_DATA_MAX];
	};
};

_Static_assert(sizeof(struct hv_fcopy_dev_hdr) == 48, "hv_fcopy_dev_hdr");
_Static_assert(sizeof(struct hv_fcopy_dev_names) == 1040,
    "hv_fcopy_dev_names");
_Static_assert(sizeof(struct hv_fcopy_dev_msg) == 6192, "hv_fcopy_dev_msg");

#endif	/* !_HV_FCOPY_DEV_H_ */
