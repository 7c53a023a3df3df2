/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Crash dumps, and what remains to be written when the system goes down: one
 * command at a time, by a thread that the scheduler may have left alone.
 */

#include "cam_disk.h"

#include <sys/eventhandler.h>
#include <sys/reboot.h>

#include <kern/kpi_internal.h>

#define	KCAM_DUMP_TRIES	5

static void
kcam_dump_done(struct cam_periph *periph, union ccb *ccb)
{

	/* The polling thread sees the status change. */
}

static struct ccb_scsiio *
kcam_dump_ccb(struct kcam_disk *kd)
{
	struct ccb_scsiio *csio = &kd->kd_reserve->dc_csio;

	bzero(csio, sizeof(*csio));
	xpt_setup_ccb(&csio->ccb_h, kd->kd_periph.path, CAM_PRIORITY_NORMAL);
	return (csio);
}

/* Sends the command and polls for it; EIO or EBUSY: once more may help. */
static int
kcam_dump_run(struct ccb_scsiio *csio)
{
	union ccb *ccb = (union ccb *)csio;
	uint32_t left;

	csio->ccb_h.flags |= CAM_UNLOCKED | CAM_DEV_QFRZDIS;
	left = xpt_poll_setup(ccb);
	if (left <= 1)
		return (EBUSY);
	xpt_action(ccb);
	xpt_pollwait(ccb, left);
	switch (cam_ccb_status(ccb)) {
	case CAM_REQ_CMP:
		return (csio->resid == 0 ? 0 : EIO);
	case CAM_DEV_NOT_THERE:
	case CAM_SEL_TIMEOUT:
	case CAM_NO_HBA:
		return (ENXIO);
	case CAM_CMD_TIMEOUT:
		return (ETIMEDOUT);
	default:
		return (EIO);
	}
}

static int
kcam_dump_write(struct kcam_disk *kd, uint64_t offset, uint8_t *buf,
    uint32_t len)
{
	struct kcam_geometry *kg = &kd->kd_geo;
	struct ccb_scsiio *csio;
	int error = EIO, tries;

	for (tries = 0; tries < KCAM_DUMP_TRIES; tries++) {
		csio = kcam_dump_ccb(kd);
		scsi_read_write(csio, 0, kcam_dump_done, MSG_SIMPLE_Q_TAG,
		    SCSI_RW_WRITE, 0, kg->kg_min_cdb, offset / kg->kg_secsize,
		    len / kg->kg_secsize, buf, len, SSD_FULL_SIZE,
		    kcam_default_timeout * 1000);
		error = kcam_dump_run(csio);
		/* After a time-out the SIM may still own the CCB. */
		if (error == 0 || error == ENXIO || error == ETIMEDOUT)
			break;
	}
	return (error);
}

static int
kcam_dump_sync(struct kcam_disk *kd)
{
	struct ccb_scsiio *csio;
	int error, tries;

	if (kd->kd_no_sync)
		return (0);
	for (tries = 0; tries < KCAM_DUMP_TRIES; tries++) {
		csio = kcam_dump_ccb(kd);
		scsi_synchronize_cache(csio, 0, kcam_dump_done,
		    MSG_SIMPLE_Q_TAG, 0, 0, SSD_FULL_SIZE,
		    kcam_default_timeout * 1000);
		error = kcam_dump_run(csio);
		if (error == 0 || error == ENXIO || error == ETIMEDOUT)
			return (error);
	}
	return (error);
}

static int
kcam_dump(struct kcam_disk *kd, uint64_t offset, uint8_t *buf, size_t len)
{
	uint32_t part;
	int error = 0;

	while (len > 0 && error == 0) {
		part = MIN(len, kd->kd_geo.kg_maxio);
		error = kcam_dump_write(kd, offset, buf, part);
		offset += part;
		buf += part;
		len -= part;
	}
	return (error != 0 ? error : kcam_dump_sync(kd));
}

static int
kcam_disk_dump(const char *name, kpi_u64 offset, const void *buf, kpi_size len)
{
	struct kcam_disk *kd = kcam_disk_find(name);
	struct kcam_geometry kg;
	bool ready;
	int error;

	if (kd == NULL)
		return (ENXIO);
	mtx_lock(&kd->kd_mtx);
	ready = kd->kd_state == KD_READY;
	kg = kd->kd_geo;
	mtx_unlock(&kd->kd_mtx);
	if (!ready || kg.kg_sectors == 0)
		return (ENXIO);
	if (kg.kg_readonly)
		return (EROFS);
	if (offset % kg.kg_secsize != 0 || len % kg.kg_secsize != 0)
		return (EINVAL);
	if (offset > kg.kg_sectors * kg.kg_secsize ||
	    len > kg.kg_sectors * kg.kg_secsize - offset)
		return (ENOSPC);
	kpi_dump_enter();
	error = kcam_dump(kd, offset, __DECONST(uint8_t *, buf), len);
	kpi_dump_leave();
	kcam_disk_late();
	return (error);
}

int
kpi_disk_dump(const char *name, kpi_u64 offset, const void *buf, kpi_size len)
{
	struct thread *td = kpi_thread_enter();
	int error;

	error = kcam_disk_dump(name, offset, buf, len);
	kpi_thread_leave(td);
	return (error);
}

static void
kcam_shutdown_one(void *arg, const char *name)
{
	struct kcam_disk *kd = kcam_disk_find(name);
	struct kcam_cmd *cmd;
	struct cam_path *path;

	if (kd == NULL)
		return;
	/* The command holds the device once it exists. */
	mtx_lock(&kd->kd_mtx);
	if (kd->kd_state != KD_READY || kd->kd_no_sync ||
	    kd->kd_geo.kg_readonly ||
	    xpt_clone_path(&path, kd->kd_periph.path) != 0) {
		mtx_unlock(&kd->kd_mtx);
		return;
	}
	mtx_unlock(&kd->kd_mtx);
	cmd = kcam_cmd_alloc(path);
	scsi_synchronize_cache(kcam_cmd_csio(cmd), 1, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, 0, 0, SSD_FULL_SIZE, 60 * 1000);
	(void)kcam_cmd_run(&cmd, SF_RETRY_UA | SF_QUIET_IR);
	kcam_cmd_free(cmd);
	xpt_free_path(path);
}

static void
kcam_shutdown(void *arg, int howto)
{

	if ((howto & RB_NOSYNC) == 0)
		kpi_disk_list(kcam_shutdown_one, NULL);
}
/* When file systems have written what they had, before drivers leave. */
EVENTHANDLER_DEFINE(shutdown_post_sync, kcam_shutdown, NULL,
    SHUTDOWN_PRI_DEFAULT);
