/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Controllers and disks.  A controller's instance is the same at each start,
 * and so are the disks' identities, by which guests name them.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/disks.h"

/* The last digit is the controller's number. */
#define	SCSI_INSTANCE	"7a3e5c1d-0c4b-4e2f-9d61-5f2a8b90e10%u"

static int
add_controller(struct disks *ds, const struct options *op, unsigned n)
{
	struct hvh_scsi_params sp = {
		.max_subchannels = (uint16_t)op->subchannels,
		.max_version = op->vstor_version,
		.monitored = op->vmm.monitor_pages,
	};
	char guid[40];

	snprintf(guid, sizeof(guid), SCSI_INSTANCE, n);
	hvh_guid_parse(guid, &sp.instance);
	return (hvh_scsi_add(vmm_hvh(ds->ds_vmm), &sp, &ds->ds_scsi[n]));
}

static int
open_blk(struct disks *ds, const struct opt_disk *d, int fd,
    struct hvh_blk **blk, char *err, size_t errlen)
{
	struct hvh_blk_params bp = {
		.path = d->file,
		.size = d->create,
		.block_size = d->block_size,
		.readonly = d->readonly,
		.write_through = d->write_through,
		.no_uring = ds->ds_no_uring,
		.create = d->create != 0,
		.have_fd = fd >= 0,
		.fd = fd,
	};

	return (hvh_blk_open(vmm_hvh(ds->ds_vmm), &bp, blk, err, errlen));
}

static int
add_scsi(struct disks *ds, struct opt_disk *d, const struct hvh_lun_params *lp,
    char *err, size_t errlen)
{
	uint64_t used = ds->ds_used[d->controller];
	int error;

	if (ds->ds_scsi[d->controller] == NULL) {
		snprintf(err, errlen, "there is no SCSI controller %u",
		    d->controller);
		return (ENOENT);
	}
	if (d->lun < 0 && used == UINT64_MAX) {
		snprintf(err, errlen, "controller %u: all %d units are taken",
		    d->controller, DISKS_LUNS);
		return (ENOSPC);
	}
	if (d->lun < 0)
		d->lun = __builtin_ctzll(~used);
	error = hvh_scsi_attach(ds->ds_scsi[d->controller], (unsigned)d->lun,
	    lp);
	if (error != 0)
		snprintf(err, errlen, "%s: unit %d of controller %u: %s",
		    d->file, d->lun, d->controller, error == EEXIST ?
		    "is taken" : error == ENODEV ? "the controller was "
		    "taken away" : strerror(error));
	else
		ds->ds_used[d->controller] |= 1ull << d->lun;
	return (error);
}

/* The first free position; a CD-ROM's is on the second channel if it can. */
static bool
find_ide(struct disks *ds, struct opt_disk *d)
{
	int from = d->cdrom ? 2 : 0;

	for (int i = 0; i < 4; i++) {
		int ch = (from + i) % 4 / 2, dr = i % 2;

		if ((d->channel < 0 || d->channel == ch) &&
		    (d->drive < 0 || d->drive == dr) && !ds->ds_ide[ch][dr]) {
			d->channel = ch;
			d->drive = dr;
			return (true);
		}
	}
	return (false);
}

static int
add_ide(struct disks *ds, struct opt_disk *d, const struct hvh_lun_params *lp,
    char *err, size_t errlen)
{
	struct vmm *m = ds->ds_vmm;
	struct hvh_scsi *sc;
	unsigned ch, dr;
	int error;

	if (m->m_ide == NULL) {
		snprintf(err, errlen, "the machine has no IDE: such disks are "
		    "there from the start or not at all");
		return (ENOTSUP);
	}
	if (!find_ide(ds, d)) {
		snprintf(err, errlen, "%s: that place on IDE is taken",
		    d->file);
		return (EEXIST);
	}
	ch = (unsigned)d->channel;
	dr = (unsigned)d->drive;
	if (d->cdrom) {
		error = vmm_ide_cdrom(m->m_ide, ch, dr, lp);
	} else {
		error = hvh_ide_add(vmm_hvh(m), ch, dr, lp, &sc);
		if (error == 0) {
			/* Whatever happens, the back end is its now. */
			ds->ds_ide[ch][dr] = true;
			error = vmm_ide_disk(m->m_ide, ch, dr, sc);
			if (error != 0)
				hvh_scsi_remove(sc);
		}
	}
	if (error != 0)
		snprintf(err, errlen, "%s: IDE channel %u drive %u: %s",
		    d->file, ch, dr, strerror(error));
	ds->ds_ide[ch][dr] = error == 0;
	return (error);
}

int
disks_add(struct disks *ds, struct opt_disk *d, int fd, char *err,
    size_t errlen)
{
	struct hvh_lun_params lp = { .cdrom = d->cdrom,
	    .no_unmap = d->no_unmap };
	int error;

	error = open_blk(ds, d, fd, &lp.blk, err, errlen);
	if (error != 0) {
		if (fd >= 0)
			close(fd);
		return (error);
	}
	strcpy(lp.serial, d->serial);
	error = d->ide ? add_ide(ds, d, &lp, err, errlen) :
	    add_scsi(ds, d, &lp, err, errlen);
	if (error != 0)
		hvh_blk_close(lp.blk);
	return (error);
}

int
disks_remove(struct disks *ds, unsigned controller, unsigned lun, char *err,
    size_t errlen)
{
	int error = ENOENT;

	if (controller < OPT_CONTROLLERS_MAX && lun < DISKS_LUNS &&
	    ds->ds_scsi[controller] != NULL)
		error = hvh_scsi_detach(ds->ds_scsi[controller], lun);
	if (error != 0)
		snprintf(err, errlen, "controller %u has no unit %u",
		    controller, lun);
	else
		ds->ds_used[controller] &= ~(1ull << lun);
	return (error);
}

int
disks_create(struct disks *ds, struct vmm *m, const struct options *op,
    char *err, size_t errlen)
{
	struct opt_disk d;
	bool need[OPT_CONTROLLERS_MAX] = { true };
	int error = 0;

	*ds = (struct disks){ .ds_vmm = m, .ds_no_uring = op->no_uring };
	for (unsigned i = 0; i < op->ndisks; i++) {
		if (!op->disk[i].ide)
			need[op->disk[i].controller] = true;
	}
	for (unsigned n = 0; error == 0 && n < OPT_CONTROLLERS_MAX; n++) {
		if (need[n])
			error = add_controller(ds, op, n);
	}
	if (error != 0) {
		snprintf(err, errlen, "SCSI controllers: %s", strerror(error));
		return (error);
	}
	/* Those that name their place first. */
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; error == 0 && i < op->ndisks; i++) {
			d = op->disk[i];
			if (((d.ide ? d.drive : d.lun) < 0) == (pass == 1))
				error = disks_add(ds, &d, -1, err, errlen);
		}
	}
	return (error);
}
