/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Bodies of the backup service's messages (protocol: utilities, section 7).
 * What else the operations carry (snapshot sets, lists of LUNs) is of no use to
 * a guest that only holds still.
 */

#ifndef _HV_VSS_REG_H_
#define	_HV_VSS_REG_H_

#include <sys/types.h>

struct hv_vss_hdr {
	uint8_t		vh_op;		/* HV_VSS_OP_ */
	uint8_t		vh_rsvd[7];
};
_Static_assert(sizeof(struct hv_vss_hdr) == 8, "hv_vss_hdr");

#define	HV_VSS_OP_CREATE		0
#define	HV_VSS_OP_DELETE		1
#define	HV_VSS_OP_CHECK_HOT_BACKUP	2
#define	HV_VSS_OP_GET_DIRECT_MAPPED	3
#define	HV_VSS_OP_BACKUP_COMPLETE	4
#define	HV_VSS_OP_FREEZE		5
#define	HV_VSS_OP_THAW			6
#define	HV_VSS_OP_AUTO_RECOVER		7

/* Answers to CHECK_HOT_BACKUP and GET_DIRECT_MAPPED. */
struct hv_vss_flags {
	struct hv_vss_hdr vf_hdr;
	uint32_t	vf_flags;
};
_Static_assert(sizeof(struct hv_vss_flags) == 12, "hv_vss_flags");
_Static_assert(__offsetof(struct hv_vss_flags, vf_flags) == 8,
    "hv_vss_flags.vf_flags");

/* The host need not repair the snapshot, which it could not anyway. */
#define	HV_VSS_F_NO_AUTO_RECOVERY	0x00000005

#endif	/* !_HV_VSS_REG_H_ */
