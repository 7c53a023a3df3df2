/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of guest file copy, behind the message header.  Little-endian,
 * nothing aligned.  protocol: utilities, 8
 */

#ifndef HVH_SERVICES_FCOPY_REG_H
#define	HVH_SERVICES_FCOPY_REG_H

#include <stddef.h>
#include <stdint.h>

#define	FCOPY_PACKED	__attribute__((packed))

#define	FCOPY_START	0
#define	FCOPY_WRITE	1
#define	FCOPY_COMPLETE	2
#define	FCOPY_CANCEL	3

struct fcopy_header {
	uint32_t	fh_op;
	uint8_t		fh_service[16];
	uint8_t		fh_session[16];
} FCOPY_PACKED;
_Static_assert(sizeof(struct fcopy_header) == 36, "header");

#define	FCOPY_NAME_UNITS	260
#define	FCOPY_OVERWRITE		1
#define	FCOPY_CREATE_PATH	2

struct fcopy_start {
	struct fcopy_header fs_header;
	uint8_t		fs_name[2 * FCOPY_NAME_UNITS];
	uint8_t		fs_path[2 * FCOPY_NAME_UNITS];
	uint32_t	fs_flags;
	uint64_t	fs_size;
} FCOPY_PACKED;
_Static_assert(sizeof(struct fcopy_start) == 1088, "start");
_Static_assert(offsetof(struct fcopy_start, fs_path) == 556, "path");
_Static_assert(offsetof(struct fcopy_start, fs_flags) == 1076, "flags");

#define	FCOPY_BLOCK	6144

struct fcopy_write {
	struct fcopy_header fw_header;
	uint32_t	fw_reserved;
	uint64_t	fw_offset;
	uint32_t	fw_size;
	uint8_t		fw_data[FCOPY_BLOCK];
} FCOPY_PACKED;
_Static_assert(sizeof(struct fcopy_write) == 6196, "write");
_Static_assert(offsetof(struct fcopy_write, fw_offset) == 40, "offset");
_Static_assert(offsetof(struct fcopy_write, fw_data) == 52, "data");

#endif	/* !HVH_SERVICES_FCOPY_REG_H */
