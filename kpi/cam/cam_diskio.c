/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Requests of disks: split into commands no larger than the SIM and the device
 * take, sent as far as there are CCBs, put together again.
 *
 * A request stands on its disk's queue until all of it has been issued, so only
 * the first there can be half done.  DELETEs have a queue of their own: one
 * UNMAP at a time takes as many as its list holds.
 */

#include "cam_disk.h"

#include <kern/kpi_internal.h>

static void	kcam_disk_done(struct cam_periph *periph, union ccb *ccb);

STAILQ_HEAD(kcam_sendq, kcam_dccb);

static void
kcam_ioq_add(struct kcam_ioq *q, struct kpi_disk_io *io)
{

	*kio_next(io) = NULL;
	if (q->iq_first == NULL)
		q->iq_first = io;
	else
		*kio_next(q->iq_last) = io;
	q->iq_last = io;
}

static struct kpi_disk_io *
kcam_ioq_pop(struct kcam_ioq *q)
{
	struct kpi_disk_io *io = q->iq_first;

	if (io != NULL)
		q->iq_first = *kio_next(io);
	return (io);
}

struct kcam_dccb *
kcam_dccb_alloc(int how)
{

	return (malloc(sizeof(struct kcam_dccb), M_CAMDISK, how | M_ZERO));
}

void
kcam_dccb_free(struct kcam_dccb *dc)
{

	free(dc, M_CAMDISK);
}

/* A CCB from the cache, set up; NULL: wait for one to come back.  (k) */
static struct kcam_dccb *
kcam_dccb_get(struct kcam_disk *kd)
{
	struct kcam_dccb *dc;
	struct ccb_hdr *ccb_h;

	if ((dc = SLIST_FIRST(&kd->kd_free)) != NULL)
		SLIST_REMOVE_HEAD(&kd->kd_free, dc_link);
	else {
		/* There is always one, so that this may fail. */
		if (kd->kd_nccbs >= kd->kd_maxccbs ||
		    (dc = kcam_dccb_alloc(M_NOWAIT)) == NULL)
			return (NULL);
		kd->kd_nccbs++;
	}
	ccb_h = &dc->dc_csio.ccb_h;
	xpt_setup_ccb(ccb_h, kd->kd_periph.path, CAM_PRIORITY_NORMAL);
	ccb_h->ppriv_field1 = 0;
	dc->dc_csio.resid = 0;
	dc->dc_csio.sense_resid = 0;
	dc->dc_csio.scsi_status = 0;
	dc->dc_io = NULL;
	dc->dc_ended.iq_first = NULL;
	kd->kd_active++;
	if (kd->kd_active > kd->kd_stats.ks_depth_max)
		kd->kd_stats.ks_depth_max = kd->kd_active;
	return (dc);
}

/* The next part of the first request.  (k) */
static void
kcam_disk_issue(struct kcam_disk *kd, struct kcam_dccb *dc)
{
	struct kpi_disk_io *io = kd->kd_queue.iq_first;
	struct kcam_geometry *kg = &kd->kd_geo;
	uint32_t timeout = kcam_default_timeout * 1000;
	uintptr_t done = *kio_issued(io);
	uint32_t len;

	if (io->op == KPI_DISK_FLUSH) {
		kd->kd_stats.ks_flushes++;
		scsi_synchronize_cache(&dc->dc_csio, kcam_retry_count,
		    kcam_disk_done, MSG_SIMPLE_Q_TAG, 0, 0, SSD_FULL_SIZE,
		    timeout);
		len = io->len;
	} else {
		len = MIN(io->len - done, kg->kg_maxio);
		scsi_read_write(&dc->dc_csio, kcam_retry_count, kcam_disk_done,
		    MSG_SIMPLE_Q_TAG, io->op == KPI_DISK_READ ? SCSI_RW_READ :
		    SCSI_RW_WRITE, 0, kg->kg_min_cdb,
		    (io->offset + done) / kg->kg_secsize, len / kg->kg_secsize,
		    (uint8_t *)io->buf + done, len, SSD_FULL_SIZE, timeout);
	}
	dc->dc_io = io;
	(*kio_out(io))++;
	*kio_issued(io) = done + len;
	if (*kio_issued(io) == io->len)
		kcam_ioq_pop(&kd->kd_queue);
}

/* As many DELETEs as one UNMAP takes.  (k) */
static void
kcam_disk_unmap(struct kcam_disk *kd, struct kcam_dccb *dc)
{
	struct kcam_geometry *kg = &kd->kd_geo;
	struct scsi_unmap_header *hdr = (void *)kd->kd_unmap;
	struct scsi_unmap_desc *desc = (void *)(hdr + 1);
	struct kpi_disk_io *io;
	uint32_t left = kg->kg_unmap_lbas, count;
	u_int n;

	bzero(kd->kd_unmap, KCAM_UNMAP_SIZE);
	for (n = 0; n < kg->kg_unmap_ranges && left > 0; n++, desc++) {
		if ((io = kd->kd_deletes.iq_first) == NULL)
			break;
		count = MIN((io->len - *kio_issued(io)) / kg->kg_secsize,
		    left);
		scsi_u64to8b((io->offset + *kio_issued(io)) / kg->kg_secsize,
		    desc->lba);
		scsi_ulto4b(count, desc->length);
		left -= count;
		(*kio_out(io))++;
		*kio_issued(io) += (uint64_t)count * kg->kg_secsize;
		if (*kio_issued(io) < io->len) {
			dc->dc_io = io;
			n++;
			break;
		}
		kcam_ioq_pop(&kd->kd_deletes);
		kcam_ioq_add(&dc->dc_ended, io);
	}
	scsi_ulto2b(n * sizeof(*desc), hdr->desc_length);
	scsi_ulto2b(n * sizeof(*desc) + sizeof(*hdr) - sizeof(hdr->length),
	    hdr->length);
	scsi_unmap(&dc->dc_csio, kcam_retry_count, kcam_disk_done,
	    MSG_SIMPLE_Q_TAG, 0, kd->kd_unmap,
	    n * sizeof(*desc) + sizeof(*hdr), SSD_FULL_SIZE,
	    kcam_default_timeout * 1000);
	kd->kd_stats.ks_deletes++;
	kd->kd_deleting = true;
}

/* Makes commands of what is queued; the caller sends them.  (k) */
static void
kcam_disk_fill(struct kcam_disk *kd, struct kcam_sendq *send)
{
	struct kcam_dccb *dc;
	bool unmap;

	for (;;) {
		unmap = kd->kd_deletes.iq_first != NULL && !kd->kd_deleting;
		if (!unmap && kd->kd_queue.iq_first == NULL)
			return;
		if ((dc = kcam_dccb_get(kd)) == NULL)
			return;
		if (unmap)
			kcam_disk_unmap(kd, dc);
		else
			kcam_disk_issue(kd, dc);
		dc->dc_csio.ccb_h.flags |= CAM_UNLOCKED;
		STAILQ_INSERT_TAIL(send, dc, dc_send);
	}
}

static void
kcam_disk_send(struct kcam_sendq *send)
{
	struct kcam_dccb *dc;

	while ((dc = STAILQ_FIRST(send)) != NULL) {
		STAILQ_REMOVE_HEAD(send, dc_send);
		xpt_action((union ccb *)&dc->dc_csio);
	}
}

/* A command of the request has ended; it may end the request.  (k) */
static void
kcam_io_step(struct kcam_disk *kd, struct kpi_disk_io *io, int error,
    struct kcam_ioq *done)
{

	(*kio_out(io))--;
	if (error != 0) {
		if (*kio_error(io) == 0)
			*kio_error(io) = error;
		if (*kio_issued(io) < io->len) {
			/* The rest need not be tried. */
			kcam_ioq_pop(io->op == KPI_DISK_DELETE ?
			    &kd->kd_deletes : &kd->kd_queue);
			*kio_issued(io) = io->len;
		}
	}
	if (*kio_out(io) == 0 && *kio_issued(io) == io->len)
		kcam_ioq_add(done, io);
}

static void
kcam_io_call(struct kcam_ioq *done)
{
	struct kpi_disk_io *io;

	while ((io = kcam_ioq_pop(done)) != NULL)
		(*io->done)(io, *kio_error(io));
}

static void
kcam_disk_count(struct kcam_disk *kd, struct ccb_scsiio *csio, int error)
{
	struct kcam_disk_stats *ks = &kd->kd_stats;

	if (error != 0)
		ks->ks_errors++;
	else if ((csio->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_IN) {
		ks->ks_reads++;
		ks->ks_bytes_read += csio->dxfer_len;
	} else if ((csio->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_OUT &&
	    csio->cdb_io.cdb_bytes[0] != UNMAP) {
		ks->ks_writes++;
		ks->ks_bytes_written += csio->dxfer_len;
	}
}

/* The command's error, or ERESTART: it is on its way again. */
static int
kcam_disk_error(struct kcam_disk *kd, struct ccb_scsiio *csio)
{
	bool timeout = cam_ccb_status((union ccb *)csio) == CAM_CMD_TIMEOUT;
	bool flush = csio->cdb_io.cdb_bytes[0] == SYNCHRONIZE_CACHE;
	int error;

	/* Counted first: once sent again it may end before this does. */
	mtx_lock(&kd->kd_mtx);
	if (timeout)
		kd->kd_stats.ks_timeouts++;
	kd->kd_stats.ks_retries++;
	mtx_unlock(&kd->kd_mtx);
	error = kcam_error((union ccb *)csio, SF_RETRY_UA |
	    (flush ? SF_QUIET_IR : 0));
	if (error == ERESTART)
		return (error);
	if (error != 0 && kcam_periph_gone(&kd->kd_periph))
		error = ENXIO;
	mtx_lock(&kd->kd_mtx);
	kd->kd_stats.ks_retries--;
	if (flush && error == EINVAL) {
		/* No cache to speak of: what is written is written. */
		kd->kd_no_sync = true;
		error = 0;
	}
	mtx_unlock(&kd->kd_mtx);
	return (error);
}

/*
 * Commands answered while a dump polls.  Nobody runs then who could be told,
 * as FreeBSD's threads above the disk do not; only the dumping thread comes
 * here.
 */
static struct kcam_sendq kcam_late = STAILQ_HEAD_INITIALIZER(kcam_late);

static void
kcam_disk_done(struct cam_periph *periph, union ccb *ccb)
{
	struct kcam_disk *kd = periph->softc;
	struct kcam_dccb *dc = (struct kcam_dccb *)(void *)ccb;
	struct kcam_sendq send = STAILQ_HEAD_INITIALIZER(send);
	struct kcam_ioq done = { NULL, NULL };
	struct kpi_disk_io *io;
	int error = 0;

	if (SCHEDULER_STOPPED()) {
		STAILQ_INSERT_TAIL(&kcam_late, dc, dc_send);
		return;
	}
	if ((ccb->ccb_h.status & (CAM_STATUS_MASK | CAM_DEV_QFRZN)) !=
	    CAM_REQ_CMP)
		error = kcam_disk_error(kd, &ccb->csio);
	else if (ccb->csio.resid != 0)
		error = EIO;
	if (error == ERESTART)
		return;
	mtx_lock(&kd->kd_mtx);
	kcam_disk_count(kd, &dc->dc_csio, error);
	if (dc->dc_csio.cdb_io.cdb_bytes[0] == UNMAP)
		kd->kd_deleting = false;
	while ((io = kcam_ioq_pop(&dc->dc_ended)) != NULL)
		kcam_io_step(kd, io, error, &done);
	if (dc->dc_io != NULL)
		kcam_io_step(kd, dc->dc_io, error, &done);
	SLIST_INSERT_HEAD(&kd->kd_free, dc, dc_link);
	kd->kd_active--;
	kcam_disk_fill(kd, &send);
	kcam_disk_unlock(kd);
	kcam_io_call(&done);
	kcam_disk_send(&send);
}

/* After a dump: what its polling found answered. */
void
kcam_disk_late(void)
{
	struct kcam_dccb *dc;

	while ((dc = STAILQ_FIRST(&kcam_late)) != NULL) {
		STAILQ_REMOVE_HEAD(&kcam_late, dc_send);
		kcam_disk_done(dc->dc_csio.ccb_h.path->periph,
		    (union ccb *)(void *)dc);
	}
}

void
kcam_disk_drain(struct kcam_disk *kd, struct kcam_ioq *failed)
{
	struct kcam_ioq *q = &kd->kd_queue;
	struct kpi_disk_io *io;

	for (;;) {
		if ((io = kcam_ioq_pop(q)) == NULL) {
			if (q == &kd->kd_deletes)
				return;
			q = &kd->kd_deletes;
			continue;
		}
		*kio_issued(io) = io->len;
		*kio_error(io) = ENXIO;
		/* Else the command that is out ends the request. */
		if (*kio_out(io) == 0)
			kcam_ioq_add(failed, io);
	}
}

void
kcam_disk_fail(struct kcam_ioq *failed, int error)
{
	struct kpi_disk_io *io;

	for (io = failed->iq_first; io != NULL; io = *kio_next(io))
		*kio_error(io) = error;
	kcam_io_call(failed);
}

/* What a disk of FreeBSD says to such a request, before any device does. */
static int
kcam_disk_check(const struct kcam_disk *kd, const struct kpi_disk_io *io)
{
	const struct kcam_geometry *kg = &kd->kd_geo;
	uint64_t size = kg->kg_sectors * kg->kg_secsize;

	if (io->op == KPI_DISK_FLUSH)
		return (0);
	if (kg->kg_readonly && io->op != KPI_DISK_READ)
		return (EROFS);
	if (io->op == KPI_DISK_DELETE && !kg->kg_unmap)
		return (EOPNOTSUPP);
	if (kg->kg_sectors == 0)
		return (ENXIO);
	if (io->len == 0 || io->len % kg->kg_secsize != 0 ||
	    io->offset % kg->kg_secsize != 0)
		return (EINVAL);
	if (io->offset > size || io->len > size - io->offset)
		return (EIO);
	return (0);
}

static int
kcam_disk_start(const char *name, struct kpi_disk_io *io)
{
	struct kcam_disk *kd = kcam_disk_find(name);
	struct kcam_sendq send = STAILQ_HEAD_INITIALIZER(send);
	bool nothing;
	int error;

	if (kd == NULL)
		return (ENXIO);
	*kio_issued(io) = *kio_out(io) = *kio_error(io) = 0;
	mtx_lock(&kd->kd_mtx);
	error = kd->kd_state != KD_READY ? ENXIO : kcam_disk_check(kd, io);
	if (error != 0) {
		mtx_unlock(&kd->kd_mtx);
		return (error);
	}
	nothing = io->op == KPI_DISK_FLUSH &&
	    (kd->kd_no_sync || kd->kd_geo.kg_readonly);
	if (!nothing) {
		kcam_ioq_add(io->op == KPI_DISK_DELETE ? &kd->kd_deletes :
		    &kd->kd_queue, io);
		kcam_disk_fill(kd, &send);
	}
	mtx_unlock(&kd->kd_mtx);
	if (nothing)
		(*io->done)(io, 0);
	else
		kcam_disk_send(&send);
	return (0);
}

int
kpi_disk_start(const char *name, struct kpi_disk_io *io)
{
	struct thread *td = kpi_thread_enter();
	int error;

	error = kcam_disk_start(name, io);
	kpi_thread_leave(td);
	return (error);
}
