/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Wire layouts of backup (VSS), behind the message header.  Little-endian.
 * protocol: utilities, 7
 */

#ifndef HVH_SERVICES_VSS_REG_H
#define	HVH_SERVICES_VSS_REG_H

#include <stddef.h>
#include <stdint.h>

#define	VSS_CHECK_HOT_BACKUP	2
#define	VSS_FREEZE		5
#define	VSS_THAW		6

struct vss_header {
	uint8_t		vh_op;
	uint8_t		vh_reserved[7];
} __attribute__((packed));
_Static_assert(sizeof(struct vss_header) == 8, "header");

/* Check, where the answer has flags, and thaw. */
struct vss_flags {
	struct vss_header vf_header;
	uint32_t	vf_flags;
} __attribute__((packed));
_Static_assert(sizeof(struct vss_flags) == 12, "flags");

struct vss_freeze {
	struct vss_header vz_header;
	uint32_t	vz_type;
	uint32_t	vz_flags;
	uint32_t	vz_luns;
	uint8_t		vz_lun[260][24];
} __attribute__((packed));
_Static_assert(sizeof(struct vss_freeze) == 6260, "freeze");

#endif	/* !HVH_SERVICES_VSS_REG_H */
