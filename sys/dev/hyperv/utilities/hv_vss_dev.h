/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the kernel says to the programs that hold still for a backup, and they
 * to it: hv_vss_daemon(8), for the file systems, through /dev/hv_fsvss_dev, and
 * one for applications, a data base's for one, through /dev/hv_appvss_dev.
 * Each read and each write is one whole struct hv_vss_dev_msg; poll and kqueue
 * tell when one can be read.
 *
 * A program that opens a device writes HV_VSS_DEV_REGISTER first, with the
 * version it knows; EPROTONOSUPPORT if the kernel knows another.  Then it reads
 * a request, does it, and writes the answer: the request, vm_type being
 * HV_VSS_DEV_ANSWER, with vm_status and with vm_id as it was.  There is never
 * more than one request.  An answer that comes after vm_timeout is ESTALE: the
 * host was told of a failure, and what had been frozen is to be thawed, which
 * the next request says.
 *
 * Applications are asked to freeze before file systems, and to thaw after them.
 * What is frozen when a program closes its device it has thawed by then, since
 * nobody will ask it to any more.
 */

#ifndef _HV_VSS_DEV_H_
#define	_HV_VSS_DEV_H_

#include <sys/types.h>
#ifndef _KERNEL
#include <stdint.h>
#endif

#define	HV_VSS_DEV_FS_NAME	"hv_fsvss_dev"
#define	HV_VSS_DEV_APP_NAME	"hv_appvss_dev"
#define	HV_VSS_DEV_VERSION	1

/* vm_type */
#define	HV_VSS_DEV_REGISTER	0x56535300	/* from the program, once */
#define	HV_VSS_DEV_REQUEST	0x56535301	/* from the kernel */
#define	HV_VSS_DEV_ANSWER	0x56535302	/* from the program */

/* vm_op */
#define	HV_VSS_DEV_CHECK	1	/* could it freeze? */
#define	HV_VSS_DEV_FREEZE	2	/* all is on disk, nothing changes */
#define	HV_VSS_DEV_THAW		3

/* vm_status of an answer. */
#define	HV_VSS_DEV_OK		0
#define	HV_VSS_DEV_FAILED	1	/* and nothing is frozen */

struct hv_vss_dev_msg {
	uint32_t	vm_type;
	uint32_t	vm_version;	/* HV_VSS_DEV_VERSION, always */
	uint32_t	vm_id;
	uint32_t	vm_op;
	uint32_t	vm_status;
	uint32_t	vm_timeout;	/* ms from the request to the answer */
	uint32_t	vm_hold;	/* FREEZE: ms from the answer to a THAW,
					 * at the most */
	uint32_t	vm_rsvd;
};

_Static_assert(sizeof(struct hv_vss_dev_msg) == 32, "hv_vss_dev_msg");

#endif	/* !_HV_VSS_DEV_H_ */
