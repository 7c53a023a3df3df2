/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What camcontrol(8) does by hand: reset and rescan.
 */

#include "cam_var.h"

#include <kern/kpi_internal.h>
#include <kpi.h>

#define	KCAM_RESET_WAIT	60		/* s */

/* The path of a SIM's bus, target or unit; -1 for any. */
static int
kcam_admin_path(const char *sim, unsigned unit, int target, int lun,
    struct cam_path **path)
{
	struct cam_path p;
	struct cam_eb *bus;
	path_id_t id = CAM_PATH_ANY;

	mtx_lock(&kcam.topo_mtx);
	TAILQ_FOREACH(bus, &kcam.buses, links) {
		if (!kcam_bus_gone(bus) && bus->sim->unit_number == unit &&
		    strcmp(bus->sim->sim_name, sim) == 0)
			id = bus->path_id;
	}
	mtx_unlock(&kcam.topo_mtx);
	if (id == CAM_PATH_ANY)
		return (ENXIO);
	if (kcam_path_compile(&p, NULL, id,
	    target < 0 ? CAM_TARGET_WILDCARD : (target_id_t)target,
	    lun < 0 ? CAM_LUN_WILDCARD : (lun_id_t)lun, M_WAITOK) !=
	    CAM_REQ_CMP)
		return (ENXIO);
	*path = kcam_path_clone(&p, M_WAITOK);
	xpt_release_path(&p);
	return (0);
}

static int
kcam_admin_errno(union ccb *ccb)
{

	switch (cam_ccb_status(ccb)) {
	case CAM_REQ_CMP:
		return (0);
	case CAM_REQ_INPROG:
		return (ETIMEDOUT);
	case CAM_REQ_INVALID:
	case CAM_FUNC_NOTAVAIL:
	case CAM_PROVIDE_FAIL:
		return (EOPNOTSUPP);
	case CAM_DEV_NOT_THERE:
	case CAM_SEL_TIMEOUT:
	case CAM_LUN_INVALID:
	case CAM_TID_INVALID:
	case CAM_NO_HBA:
		return (ENXIO);
	default:
		return (EIO);
	}
}

struct kcam_reset {
	union ccb	 kr_ccb;	/* first */
	int		 kr_refs;	/* (x) waiter, SIM */
};

static void
kcam_reset_put(struct kcam_reset *kr)
{
	struct cam_path *path = kr->kr_ccb.ccb_h.path;
	bool last;

	mtx_lock(&kcam.xpt_mtx);
	last = --kr->kr_refs == 0;
	wakeup(kr);
	mtx_unlock(&kcam.xpt_mtx);
	if (last) {
		xpt_free_path(path);
		free(kr, M_CAMCCB);
	}
}

static void
kcam_reset_done(struct cam_periph *periph, union ccb *ccb)
{

	if ((ccb->ccb_h.status & CAM_DEV_QFRZN) != 0)
		cam_release_devq(ccb->ccb_h.path, 0, 0, 0, 0);
	kcam_reset_put((struct kcam_reset *)(void *)ccb);
}

static int
kcam_admin_reset(const char *sim, unsigned unit, int target, int lun)
{
	struct kcam_reset *kr;
	struct cam_path *path;
	int error;

	error = kcam_admin_path(sim, unit, target, lun, &path);
	if (error != 0)
		return (error);
	kr = malloc(sizeof(*kr), M_CAMCCB, M_WAITOK | M_ZERO);
	xpt_setup_ccb(&kr->kr_ccb.ccb_h, path, CAM_PRIORITY_NORMAL);
	kr->kr_ccb.ccb_h.cbfcnp = kcam_reset_done;
	kr->kr_ccb.ccb_h.flags = CAM_UNLOCKED;
	kr->kr_ccb.ccb_h.timeout = KCAM_RESET_WAIT * 1000;
	kr->kr_refs = 1;
	if (target < 0) {
		/* Immediate: over when xpt_action() returns. */
		kr->kr_ccb.ccb_h.func_code = XPT_RESET_BUS;
		xpt_action(&kr->kr_ccb);
	} else {
		kr->kr_refs = 2;
		kr->kr_ccb.ccb_h.func_code = XPT_RESET_DEV;
		xpt_action(&kr->kr_ccb);
		mtx_lock(&kcam.xpt_mtx);
		while (kr->kr_refs > 1 && error == 0)
			error = msleep(kr, &kcam.xpt_mtx, PRIBIO, "camrst",
			    KCAM_RESET_WAIT * hz);
		mtx_unlock(&kcam.xpt_mtx);
	}
	error = kcam_admin_errno(&kr->kr_ccb);
	kcam_reset_put(kr);
	return (error);
}

int
kpi_cam_reset(const char *sim, unsigned unit, int target, int lun)
{
	struct thread *td = kpi_thread_enter();
	int error;

	error = kcam_admin_reset(sim, unit, target, lun);
	kpi_thread_leave(td);
	return (error);
}

struct kcam_rescan {
	bool	 kn_done;		/* (x) */
};

static void
kcam_admin_scanned(struct cam_periph *periph, union ccb *ccb)
{
	struct kcam_rescan *kn = ccb->ccb_h.ppriv_ptr0;

	mtx_lock(&kcam.xpt_mtx);
	kn->kn_done = true;
	wakeup(kn);
	mtx_unlock(&kcam.xpt_mtx);
}

/* Returns when the bus has been scanned, and what it lost is gone. */
static int
kcam_admin_rescan(const char *sim, unsigned unit)
{
	struct kcam_rescan kn = { false };
	struct cam_path *path;
	union ccb *ccb;
	int error;

	error = kcam_admin_path(sim, unit, -1, -1, &path);
	if (error != 0)
		return (error);
	/* What events ask to be scanned is scanned before. */
	kcam_async_drain();
	ccb = xpt_alloc_ccb();
	ccb->ccb_h.path = path;
	ccb->ccb_h.cbfcnp = kcam_admin_scanned;
	ccb->ccb_h.ppriv_ptr0 = &kn;
	xpt_rescan(ccb);
	mtx_lock(&kcam.xpt_mtx);
	while (!kn.kn_done)
		msleep(&kn, &kcam.xpt_mtx, PRIBIO, "camscan", 0);
	mtx_unlock(&kcam.xpt_mtx);
	kcam_async_drain();
	error = kcam_admin_errno(ccb);
	xpt_free_path(path);
	xpt_free_ccb(ccb);
	return (error);
}

int
kpi_cam_rescan(const char *sim, unsigned unit)
{
	struct thread *td = kpi_thread_enter();
	int error;

	error = kcam_admin_rescan(sim, unit);
	kpi_thread_leave(td);
	return (error);
}

unsigned
kpi_cam_boot_holds(void)
{
	struct thread *td = kpi_thread_enter();
	u_int n;

	mtx_lock(&kcam.xpt_mtx);
	n = kcam.boot_holds;
	mtx_unlock(&kcam.xpt_mtx);
	kpi_thread_leave(td);
	return (n);
}
