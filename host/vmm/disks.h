/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine's controllers and disks.  The main thread's.
 */

#ifndef VMM_DISKS_H
#define	VMM_DISKS_H

#include "vmm/options.h"

#define	DISKS_LUNS	64

struct disks {
	struct vmm	*ds_vmm;
	bool		 ds_no_uring;
	/* Controller 0 is always there, so that disks can be added. */
	struct hvh_scsi	*ds_scsi[OPT_CONTROLLERS_MAX];
	uint64_t	 ds_used[OPT_CONTROLLERS_MAX];	/* units, a bit each */
	bool		 ds_ide[2][2];
};

int	disks_create(struct disks *ds, struct vmm *m,
	    const struct options *op, char *err, size_t errlen);
/*
 * Adds a disk or CD-ROM.  fd: an open file that d->file only names, taken
 * over in any case; -1: none.  d->lun is set to where it went.
 */
int	disks_add(struct disks *ds, struct opt_disk *d, int fd, char *err,
	    size_t errlen);
int	disks_remove(struct disks *ds, unsigned controller, unsigned lun,
	    char *err, size_t errlen);

#endif	/* !VMM_DISKS_H */
