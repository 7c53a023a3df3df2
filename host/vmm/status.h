/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine as clients of the control socket see it, and as the file of
 * --stats keeps it.
 */

#ifndef VMM_STATUS_H
#define	VMM_STATUS_H

#include "control/control.h"
#include "vmm/disks.h"
#include "vmm/nets.h"
#include "vmm/services.h"

/* The argument of status_ops. */
struct status {
	struct vmm	*st_vmm;
	struct disks	*st_disks;
	struct nets	*st_nets;
	struct services	*st_services;
	bool		 st_reset;	/* a client wants a reset */
};

extern const struct ctl_ops status_ops;

/* Writes all counters as JSON.  An errno. */
int	status_write(struct status *st, int fd);

#endif	/* !VMM_STATUS_H */
