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
#include <cam/cam_periph.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/*
 * On the event thread, after all events of the scan.  Called with the path's
 * lock, by which detach knows when this has returned.
 */
static void
storvsc_scan_told(struct cam_periph *periph __unused, union ccb *ccb)
{
	struct storvsc_softc *sc = ccb->ccb_h.ppriv_ptr0;

	xpt_release_boot();
	mtx_lock(&sc->sc_mtx);
	/* Detach drains the task after it has set its flag. */
	if ((sc->sc_flags & (STORVSC_F_GONE | STORVSC_F_SCAN_AGAIN)) ==
	    STORVSC_F_SCAN_AGAIN)
		storvsc_rescan(sc);
	sc->sc_flags &= ~(STORVSC_F_SCANNING | STORVSC_F_SCAN_AGAIN);
	wakeup(&sc->sc_scan);
	mtx_unlock(&sc->sc_mtx);
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
	ccb->ccb_h.cbfcnp = storvsc_scan_told;
	xpt_action(ccb);
}

/* STORVSC_F_SCANNING is set, and whoever set it has the CCB. */
static void
storvsc_scan(struct storvsc_softc *sc)
{
	union ccb *ccb = sc->sc_scan;

	ccb->ccb_h.path = sc->sc_path;
	ccb->ccb_h.ppriv_ptr0 = sc;
	ccb->ccb_h.cbfcnp = storvsc_scan_done;
	xpt_rescan(ccb);
}

void
storvsc_scan_attach(struct storvsc_softc *sc)
{

	sc->sc_scan = xpt_alloc_ccb();
	storvsc_scan(sc);
}

/* The bus is deregistered, and no scan is asked for any more. */
void
storvsc_scan_detach(struct storvsc_softc *sc)
{

	if (sc->sc_scan == NULL)
		return;
	mtx_lock(&sc->sc_mtx);
	while ((sc->sc_flags & STORVSC_F_SCANNING) != 0)
		mtx_sleep(&sc->sc_scan, &sc->sc_mtx, 0, "svscan", 0);
	mtx_unlock(&sc->sc_mtx);
	xpt_path_lock(sc->sc_path);
	xpt_path_unlock(sc->sc_path);
	xpt_free_ccb(sc->sc_scan);
	sc->sc_scan = NULL;
}

/*
 * Any context that may hold a mutex; several calls may end in one scan.  Not at
 * once, since it may find that a disk is gone: storvsc_ccb_later().
 */
void
storvsc_rescan(struct storvsc_softc *sc)
{

	taskqueue_enqueue_timeout(sc->sc_tq, &sc->sc_rescan, hz);
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
	if (!wait)
		storvsc_scan(sc);
}
