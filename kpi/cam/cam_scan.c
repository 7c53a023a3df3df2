/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The scan: a thread that looks for devices on a bus, a target or a unit when
 * asked to, one request after the other.
 */

#include "cam_var.h"

#define	KCAM_RPL_LUNS		256	/* in one REPORT LUNS */
#define	KCAM_RPL_TIMEOUT	60000	/* ms */

/*
 * What keeps a machine from looking for its root.  Disks attach as they are
 * found here, whoever holds the boot; who forgets to let go is caught.
 */
void
xpt_hold_boot(void)
{

	mtx_lock(&kcam.xpt_mtx);
	kcam.boot_holds++;
	mtx_unlock(&kcam.xpt_mtx);
}

void
xpt_release_boot(void)
{

	mtx_lock(&kcam.xpt_mtx);
	if (kcam.boot_holds == 0)
		panic("%s: not held", __func__);
	kcam.boot_holds--;
	mtx_unlock(&kcam.xpt_mtx);
}

static void
kcam_rescan_done(struct cam_periph *periph, union ccb *done_ccb)
{
	struct cam_path *path = done_ccb->ccb_h.path;
	void (*fn)(struct cam_periph *, union ccb *);

	fn = done_ccb->ccb_h.ppriv_ptr1;
	if (fn != NULL) {
		done_ccb->ccb_h.cbfcnp = fn;
		(*fn)(path->periph, done_ccb);
	} else {
		xpt_free_path(path);
		xpt_free_ccb(done_ccb);
	}
	xpt_release_boot();
}

/* Queues the request, or drops it if one like it waits already. */
static void
kcam_scan_queue(union ccb *ccb)
{
	struct ccb_hdr *ccb_h = &ccb->ccb_h, *other;

	mtx_lock(&kcam.xpt_mtx);
	STAILQ_FOREACH(other, &kcam.scans, sim_links.stqe) {
		if (other->func_code == ccb_h->func_code &&
		    xpt_path_comp(other->path, ccb_h->path) == 0)
			break;
	}
	if (ccb_h->ppriv_ptr1 == NULL && (other != NULL || kcam.stopping)) {
		mtx_unlock(&kcam.xpt_mtx);
		xpt_free_path(ccb_h->path);
		xpt_free_ccb(ccb);
		return;
	}
	STAILQ_INSERT_TAIL(&kcam.scans, ccb_h, sim_links.stqe);
	kcam.boot_holds++;
	wakeup(&kcam.scans);
	mtx_unlock(&kcam.xpt_mtx);
}

void
xpt_rescan(union ccb *ccb)
{
	struct ccb_hdr *ccb_h = &ccb->ccb_h;
	struct cam_path *path = ccb_h->path;

	/* Where the request goes when it is done, if not away. */
	ccb_h->ppriv_ptr1 = ccb_h->cbfcnp;
	ccb_h->cbfcnp = kcam_rescan_done;
	xpt_setup_ccb(ccb_h, path, CAM_PRIORITY_XPT);
	if (path->target->target_id == CAM_TARGET_WILDCARD)
		ccb_h->func_code = XPT_SCAN_BUS;
	else if (path->device->lun_id == CAM_LUN_WILDCARD)
		ccb_h->func_code = XPT_SCAN_TGT;
	else
		ccb_h->func_code = XPT_SCAN_LUN;
	kcam_scan_queue(ccb);
}

void
kcam_scan_path(struct cam_path *path)
{
	union ccb *ccb;

	ccb = xpt_alloc_ccb();
	ccb->ccb_h.path = kcam_path_clone(path, M_WAITOK);
	xpt_rescan(ccb);
}

/* Asks the unit's disk to look at its capacity again; any context. */
void
kcam_reprobe(struct cam_path *path)
{
	struct cam_path *copy;
	union ccb *ccb;

	ccb = xpt_alloc_ccb_nowait();
	if (ccb == NULL || xpt_clone_path(&copy, path) != 0) {
		xpt_print(path, "no memory to read the capacity\n");
		xpt_free_ccb(ccb);
		return;
	}
	copy->periph = NULL;
	xpt_setup_ccb(&ccb->ccb_h, copy, CAM_PRIORITY_XPT);
	ccb->ccb_h.cbfcnp = kcam_rescan_done;
	ccb->ccb_h.ppriv_ptr1 = NULL;
	ccb->ccb_h.func_code = XPT_REPROBE_LUN;
	kcam_scan_queue(ccb);
}

static void
kcam_scan_found(struct cam_path *path, bool new)
{
	struct ccb_getdev cgd;

	if (!kcam_configured(path->device))
		return;
	kcam_disk_found(path);
	if (!new)
		return;
	xpt_gdev_type(&cgd, path);
	kcam_async_post(AC_FOUND_DEVICE, path, &cgd, M_WAITOK);
}

static enum kcam_probe
kcam_scan_unit(struct cam_path *path, const struct ccb_pathinq *cpi)
{
	bool known = kcam_configured(path->device);
	enum kcam_probe probe;

	probe = kcam_probe_lun(path, cpi);
	if (probe == KCAM_FOUND)
		kcam_scan_found(path, !known);
	else if (probe == KCAM_ABSENT && known)
		kcam_async_post(AC_LOST_DEVICE, path, NULL, M_WAITOK);
	return (probe);
}

static enum kcam_probe
kcam_scan_id(struct cam_eb *bus, target_id_t target, lun_id_t lun,
    const struct ccb_pathinq *cpi)
{
	struct cam_path path;
	enum kcam_probe probe;

	if (kcam_path_compile(&path, NULL, bus->path_id, target, lun,
	    M_WAITOK) != CAM_REQ_CMP)
		return (KCAM_UNCLEAR);
	probe = kcam_scan_unit(&path, cpi);
	xpt_release_path(&path);
	return (probe);
}

/* The unit number of an entry of REPORT LUNS; false: not one of ours. */
static bool
kcam_lun(const uint8_t *data, lun_id_t *lun)
{

	switch (data[0] & RPL_LUNDATA_ATYP_MASK) {
	case RPL_LUNDATA_ATYP_PERIPH:
		*lun = data[1];
		return ((data[0] & RPL_LUNDATA_PERIPH_BUS_MASK) == 0);
	case RPL_LUNDATA_ATYP_FLAT:
		*lun = (data[0] & RPL_LUNDATA_FLAT_LUN_MASK) << 8 | data[1];
		return (true);
	default:
		return (false);
	}
}

/* Fills luns and *n; an errno if the target does not tell. */
static int
kcam_report_luns(struct cam_eb *bus, target_id_t target, lun_id_t *luns,
    u_int *n)
{
	const u_int size = sizeof(struct scsi_report_luns_data) +
	    KCAM_RPL_LUNS * sizeof(struct scsi_report_luns_lundata);
	struct scsi_report_luns_data *rpl;
	struct kcam_cmd *cmd;
	struct cam_path path;
	u_int i, count, have;
	int error;

	*n = 0;
	if (kcam_path_compile(&path, NULL, bus->path_id, target, 0,
	    M_WAITOK) != CAM_REQ_CMP)
		return (ENXIO);
	cmd = kcam_cmd_alloc(&path);
	rpl = (void *)kcam_cmd_buf(cmd, size);
	scsi_report_luns(kcam_cmd_csio(cmd), 4, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, RPL_REPORT_DEFAULT, rpl, size, SSD_FULL_SIZE,
	    KCAM_RPL_TIMEOUT);
	error = kcam_cmd_run(&cmd, SF_RETRY_UA | SF_NO_PRINT);
	if (error == 0) {
		have = size - MIN(size, kcam_cmd_csio(cmd)->resid);
		count = MIN(scsi_4btoul(rpl->length),
		    have - MIN(have, sizeof(*rpl))) / sizeof(rpl->luns[0]);
		/* Some answer without a word, which says nothing. */
		if (have < sizeof(*rpl))
			error = EIO;
		for (i = 0; i < count; i++) {
			if (kcam_lun(rpl->luns[i].lundata, &luns[*n]))
				(*n)++;
		}
	}
	kcam_cmd_free(cmd);
	xpt_release_path(&path);
	return (error);
}

/* Looks again at known units that the list does not name. */
static void
kcam_scan_unlisted(struct cam_eb *bus, target_id_t target,
    const lun_id_t *luns, u_int n, const struct ccb_pathinq *cpi)
{
	struct cam_ed *ed = NULL;
	u_int i;

	while ((ed = kcam_device_next(bus, ed)) != NULL) {
		if (ed->target->target_id != target || ed->lun_id == 0 ||
		    !kcam_configured(ed))
			continue;
		for (i = 0; i < n && luns[i] != ed->lun_id; i++)
			continue;
		if (i == n)
			(void)kcam_scan_id(bus, target, ed->lun_id, cpi);
	}
}

static void
kcam_scan_target(struct cam_eb *bus, target_id_t target,
    const struct ccb_pathinq *cpi)
{
	lun_id_t *luns;
	u_int i, n;
	int error = EOPNOTSUPP;

	(void)kcam_scan_id(bus, target, 0, cpi);
	luns = malloc(KCAM_RPL_LUNS * sizeof(*luns), M_CAMXPT, M_WAITOK);
	n = 0;
	/* The list is asked for even if unit 0 is empty. */
	if (cpi->max_lun > 0)
		error = kcam_report_luns(bus, target, luns, &n);
	if (error == 0) {
		for (i = 0; i < n; i++) {
			if (luns[i] > cpi->max_lun)
				printf("%s%u: target %u: unit %ju is out of "
				    "range\n", bus->sim->sim_name,
				    bus->sim->unit_number, target,
				    (uintmax_t)luns[i]);
			else if (luns[i] != 0)
				(void)kcam_scan_id(bus, target, luns[i], cpi);
		}
		kcam_scan_unlisted(bus, target, luns, n, cpi);
	} else {
		for (i = 1; i <= cpi->max_lun; i++) {
			if (kcam_bus_gone(bus))
				break;
			(void)kcam_scan_id(bus, target, i, cpi);
		}
	}
	free(luns, M_CAMXPT);
}

static void
kcam_scan_bus(struct cam_eb *bus, const struct ccb_pathinq *cpi)
{
	target_id_t target;

	for (target = 0; target <= cpi->max_target; target++) {
		if (kcam_bus_gone(bus))
			break;
		if (target != cpi->initiator_id)
			kcam_scan_target(bus, target, cpi);
	}
}

static void
kcam_scan(union ccb *ccb)
{
	struct cam_path *path = ccb->ccb_h.path;
	struct ccb_pathinq cpi;

	ccb->ccb_h.status = CAM_REQ_CMP;
	if (ccb->ccb_h.func_code == XPT_REPROBE_LUN) {
		if (kcam_configured(path->device))
			kcam_disk_found(path);
		return;
	}
	xpt_path_inq(&cpi, path);
	if ((cpi.ccb_h.status & CAM_STATUS_MASK) != CAM_REQ_CMP) {
		ccb->ccb_h.status = cpi.ccb_h.status;
		return;
	}
	switch (ccb->ccb_h.func_code) {
	case XPT_SCAN_BUS:
		kcam_scan_bus(path->bus, &cpi);
		break;
	case XPT_SCAN_TGT:
		kcam_scan_target(path->bus, path->target->target_id, &cpi);
		break;
	default:
		(void)kcam_scan_unit(path, &cpi);
		break;
	}
}

void
kcam_scan_loop(void *arg)
{
	struct ccb_hdr *ccb_h;

	mtx_lock(&kcam.xpt_mtx);
	for (;;) {
		while ((ccb_h = STAILQ_FIRST(&kcam.scans)) != NULL) {
			STAILQ_REMOVE_HEAD(&kcam.scans, sim_links.stqe);
			mtx_unlock(&kcam.xpt_mtx);
			kcam_scan((union ccb *)ccb_h);
			(*ccb_h->cbfcnp)(ccb_h->path->periph,
			    (union ccb *)ccb_h);
			mtx_lock(&kcam.xpt_mtx);
		}
		if (kcam.stopping)
			break;
		/* Woken by kcam_scan_queue(), kcam_fini(). */
		msleep(&kcam.scans, &kcam.xpt_mtx, PRIBIO, "-", 0);
	}
	mtx_unlock(&kcam.xpt_mtx);
	kcam_thread_exit();
}
