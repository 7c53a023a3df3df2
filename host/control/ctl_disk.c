/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A disk for a controller of a machine that runs.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"

#define	LUNS	64

static int
disk_params(const struct ctl_disk *d, struct hvh_lun_params *lp, char *err,
    size_t errlen)
{

	lp->cdrom = d->cdrom;
	if (d->serial == NULL)
		return (0);
	if (strlen(d->serial) >= sizeof(lp->serial)) {
		snprintf(err, errlen, "%s: a serial number has at most %zu "
		    "characters", d->file, sizeof(lp->serial) - 1);
		return (EINVAL);
	}
	memcpy(lp->serial, d->serial, strlen(d->serial) + 1);
	return (0);
}

int
ctl_disk_attach(struct hvh *h, struct hvh_scsi *scsi, struct ctl_disk *d,
    char *err, size_t errlen)
{
	struct hvh_blk_params bp = {
		.path = d->file,
		.block_size = d->cdrom ? 2048 : 512,
		.readonly = d->readonly || d->cdrom,
		.have_fd = d->have_fd,
		.fd = d->fd,
	};
	struct hvh_lun_params lp = { 0 };
	int error, first, last, lun;

	error = disk_params(d, &lp, err, errlen);
	if (error == 0)
		error = hvh_blk_open(h, &bp, &lp.blk, err, errlen);
	if (error != 0) {
		if (d->have_fd)
			close(d->fd);
		return (error);
	}
	first = d->lun < 0 ? 0 : d->lun;
	last = d->lun < 0 ? LUNS - 1 : d->lun;
	error = EEXIST;
	for (lun = first; lun <= last && error == EEXIST; lun++)
		error = hvh_scsi_attach(scsi, (unsigned)lun, &lp);
	if (error == 0) {
		d->lun = lun - 1;
		return (0);
	}
	if (error == EEXIST && d->lun < 0)
		snprintf(err, errlen, "%s: no LUN is free", d->file);
	else if (error == EEXIST)
		snprintf(err, errlen, "%s: LUN %d is taken", d->file, d->lun);
	else
		snprintf(err, errlen, "%s: cannot attach it: %s", d->file,
		    strerror(error));
	hvh_blk_close(lp.blk);
	return (error);
}
