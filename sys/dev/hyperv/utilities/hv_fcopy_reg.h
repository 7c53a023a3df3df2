/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Bodies of the file copy service's messages (protocol: utilities, section 8).
 * They begin 28 bytes into a packet, so what has 64-bit members is packed.
 */

#ifndef _HV_FCOPY_REG_H_
#define	_HV_FCOPY_REG_H_

#include <sys/types.h>

/* In front of all; the ids say which copy, and there is but one at a time. */
struct hv_fcopy_hdr {
	uint32_t	fh_op;		/* HV_FCOPY_OP_ */
	uint8_t		fh_service[16];
	uint8_t		fh_session[16];
};
_Static_assert(sizeof(struct hv_fcopy_hdr) == 36, "hv_fcopy_hdr");

#define	HV_FCOPY_OP_START	0
#define	HV_FCOPY_OP_WRITE	1
#define	HV_FCOPY_OP_COMPLETE	2
#define	HV_FCOPY_OP_CANCEL	3

#define	HV_FCOPY_NAME_MAX	260	/* UTF-16, terminator included */
#define	HV_FCOPY_DATA_MAX	6144

struct hv_fcopy_start {
	struct hv_fcopy_hdr fs_hdr;
	uint16_t	fs_name[HV_FCOPY_NAME_MAX];
	uint16_t	fs_path[HV_FCOPY_NAME_MAX];	/* the folder */
	uint32_t	fs_flags;	/* HV_FCOPY_F_ */
	uint64_t	fs_size;	/* of the file, bytes */
} __packed;
_Static_assert(sizeof(struct hv_fcopy_start) == 1088, "hv_fcopy_start");
_Static_assert(__offsetof(struct hv_fcopy_start, fs_path) == 556,
    "hv_fcopy_start.fs_path");
_Static_assert(__offsetof(struct hv_fcopy_start, fs_flags) == 1076,
    "hv_fcopy_start.fs_flags");

#define	HV_FCOPY_F_OVERWRITE	0x00000001
#define	HV_FCOPY_F_CREATE_PATH	0x00000002

/* fw_size bytes of data follow. */
struct hv_fcopy_write {
	struct hv_fcopy_hdr fw_hdr;
	uint32_t	fw_rsvd;
	uint64_t	fw_offset;
	uint32_t	fw_size;
} __packed;
_Static_assert(sizeof(struct hv_fcopy_write) == 52, "hv_fcopy_write");
_Static_assert(__offsetof(struct hv_fcopy_write, fw_offset) == 40,
    "hv_fcopy_write.fw_offset");

#endif	/* !_HV_FCOPY_REG_H_ */
