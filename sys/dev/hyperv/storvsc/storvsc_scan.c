/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Scans of the bus, the first one too, one at a time.
 *
 * While the machine boots CAM waits for the scans of all buses, then lets the
 * disk driver number what they found in the order of addresses.  A scan's finds
 * also go to CAM's event thread, however, and one that this thread delivers so
 * late that the disk driver is there already gets a number out of turn.  So a
 * scan here, which holds up the boot as any, ends only once the event thread
 * is through with all that came before.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/* What was asked for meanwhile is done now, unless the controller leaves. */
static void
storvsc_scan_end(struct storvsc_softc *sc)
{

	mtx_lock(&sc->sc_mtx);
	/* Detach drains the task after it set the flag. */
	if ((sc->sc_flags & STORVSC_F_GONE) == 0 &&
	    (sc->sc_flags & STORVSC_F_SCAN_AGAIN) != 0)
		storvsc_rescan(sc);
	sc->sc_flags &= ~(STORVSC_F_SCANNING | STORVSC_F_SCAN_AGAIN);
	mtx_unlock(&sc->sc_mtx);
}

/*
 * On the event thread, after all events of the scan.  The CCB's path keeps the
 * SIM and so, as detach waits for that, the softc.
 */
static void
storvsc_scan_told(struct cam_periph *periph __unused, union ccb *ccb)
{
	struct cam_path *path = ccb->ccb_h.path;

	storvsc_scan_end(cam_sim_softc(xpt_path_sim(path)));
	/* Who called storvsc_scan_done() may still be about to unlock it. */
	xpt_path_lock(path);
	xpt_path_unlock(path);
	xpt_free_path(path);
	xpt_free_ccb(ccb);
	xpt_release_boot();
}

/*
 * The scan has ended, well or not.  CAM lets go of the boot when this returns.
 * The CCB itself becomes the event: that takes no memory, so cannot fail.
 */
static void
storvsc_scan_done(struct cam_periph *periph __unused, union ccb *ccb)
{

	xpt_hold_boot();
	xpt_setup_ccb(&ccb->ccb_h, ccb->ccb_h.path, CAM_PRIORITY_XPT);
	ccb->ccb_h.func_code = XPT_ASYNC;
	ccb->ccb_h.flags |= CAM_UNLOCKED;
	ccb->ccb_h.cbfcnp = storvsc_scan_told;
	xpt_action(ccb);
}

/* STORVSC_F_SCANNING is set. */
int
storvsc_scan(struct storvsc_softc *sc)
{
	union ccb *ccb;

	ccb = xpt_alloc_ccb();
	if (xpt_create_path(&ccb->ccb_h.path, NULL, cam_sim_path(sc->sc_sim),
	    CAM_TARGET_WILDCARD, CAM_LUN_WILDCARD) != CAM_REQ_CMP) {
		xpt_free_ccb(ccb);
		return (ENOMEM);
	}
	ccb->ccb_h.cbfcnp = storvsc_scan_done;
	xpt_rescan(ccb);
	return (0);
}

/* Any context that may hold a mutex; several calls may end in one scan. */
void
storvsc_rescan(struct storvsc_softc *sc)
{

	taskqueue_enqueue_timeout(sc->sc_tq, &sc->sc_rescan, 0);
}

/* The host says that disks came or went. */
void
storvsc_rescan_task(void *arg, int pending __unused)
{
	struct storvsc_softc *sc = arg;
	bool wait;

	mtx_lock(&sc->sc_mtx);
	wait = (sc->sc_flags & (STORVSC_F_GONE | STORVSC_F_SCANNING)) != 0;
	sc->sc_flags |= wait ? STORVSC_F_SCAN_AGAIN : STORVSC_F_SCANNING;
	mtx_unlock(&sc->sc_mtx);
	if (wait || storvsc_scan(sc) == 0)
		return;
	storvsc_scan_end(sc);
	taskqueue_enqueue_timeout(sc->sc_tq, &sc->sc_rescan, hz);
}
