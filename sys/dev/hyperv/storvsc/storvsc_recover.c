/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What happens when the host does not answer, or CAM asks for an abort or a
 * reset.
 *
 * The protocol cannot take back a single request, and as long as the host may
 * still work on one, its memory must not be used for anything else.  So a
 * request that ran out of time stays as it is, and its unit is reset, then the
 * bus; a late answer still completes it.  If none comes, the channels are
 * closed, which takes all memory from the host, every request ends, and the
 * controller connects anew.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/proc.h>
#include <sys/time.h>

#include <machine/atomic.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/*
 * Sees to it that time is looked at while requests are out.  Called after a
 * request was entered under its channel's lock; storvsc_tick() clears the
 * flag before it looks under those locks, so one of the two sees the other.
 */
HYPERV_HOT void
storvsc_tick_arm(struct storvsc_softc *sc)
{

	if (atomic_load_int(&sc->sc_ticking) == 0 &&
	    atomic_cmpset_int(&sc->sc_ticking, 0, 1) && !SCHEDULER_STOPPED())
		callout_reset(&sc->sc_tick, hz, storvsc_tick, sc);
}

/*
 * Marks a request as one that must end; c_mtx held.  True if that is news and
 * the host has it.
 */
static bool
storvsc_expire(struct storvsc_chan *c, struct storvsc_req *req, uint8_t how)
{
	bool news;

	news = (req->sr_flags & STORVSC_RF_EXPIRED) == 0;
	req->sr_flags |= STORVSC_RF_EXPIRED | how;
	if (news && req->sr_state == STORVSC_RS_SENT)
		c->c_expired++;
	return (news);
}

/* Past its time limit?  Whatever the rate of ticks, 64 bits are enough. */
static bool
storvsc_late(const struct storvsc_req *req, int now)
{

	return (req->sr_limit != 0 && (uint64_t)(u_int)(now - req->sr_start) *
	    1000 >= (uint64_t)req->sr_limit * hz);
}

/* Once a second while requests are out. */
void
storvsc_tick(void *arg)
{
	struct storvsc_softc *sc = arg;
	struct storvsc_chan *c;
	struct storvsc_req *req;
	uint32_t i, j, late, out;
	int now;

	atomic_store_int(&sc->sc_ticking, 0);
	atomic_thread_fence_seq_cst();
	now = ticks;
	late = 0;
	out = 0;
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		out += c->c_out;
		for (j = 0; c->c_out > 0 && j < c->c_nreqs; j++) {
			req = &c->c_reqs[j];
			if (req->sr_state == STORVSC_RS_FREE ||
			    !storvsc_late(req, now))
				continue;
			if (storvsc_expire(c, req, 0))
				late++;
		}
		mtx_unlock(&c->c_mtx);
	}
	if (late > 0) {
		mtx_lock(&sc->sc_mtx);
		sc->sc_timeouts += late;
		mtx_unlock(&sc->sc_mtx);
		storvsc_recover_start(sc, STORVSC_F_EXPIRED);
	}
	if (out > 0)
		storvsc_tick_arm(sc);
}

/*
 * Any context that may hold a mutex.  A controller that is still attaching has
 * its channels to itself, and no SIM yet: it comes back here at the end.
 */
void
storvsc_recover_start(struct storvsc_softc *sc, uint32_t why)
{

	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= why;
	if ((sc->sc_flags & (STORVSC_F_GONE | STORVSC_F_DEAD |
	    STORVSC_F_SUSPENDED | STORVSC_F_ATTACHING)) == 0)
		taskqueue_enqueue(sc->sc_tq, &sc->sc_recover);
	mtx_unlock(&sc->sc_mtx);
}

/*
 * XPT_ABORT and XPT_TERM_IO: how is the flag that says which.  The request
 * ends by way of recovery.  ENOENT if we do not have it.
 */
int
storvsc_abort(struct storvsc_softc *sc, union ccb *ccb, uint8_t how)
{
	struct storvsc_chan *c;
	struct storvsc_req *req;
	uint32_t i, j;

	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		for (j = 0; j < c->c_nreqs; j++) {
			req = &c->c_reqs[j];
			if (req->sr_ccb != ccb ||
			    req->sr_state == STORVSC_RS_FREE)
				continue;
			(void)storvsc_expire(c, req, how);
			mtx_unlock(&c->c_mtx);
			storvsc_recover_start(sc, STORVSC_F_EXPIRED);
			return (0);
		}
		mtx_unlock(&c->c_mtx);
	}
	return (ENOENT);
}

/* Ends what is out of time and never reached the host. */
static void
storvsc_recover_waiting(struct storvsc_chan *c)
{
	struct storvsc_done done = { .d_n = 0 };
	struct storvsc_req *req, *next;
	bool full;

	do {
		mtx_lock(&c->c_mtx);
		STAILQ_FOREACH_SAFE(req, &c->c_wait, sr_link, next) {
			if (done.d_n == STORVSC_BATCH)
				break;
			if ((req->sr_flags & STORVSC_RF_EXPIRED) == 0)
				continue;
			STAILQ_REMOVE(&c->c_wait, req, storvsc_req, sr_link);
			req->sr_status = storvsc_expired_status(req);
			storvsc_io_end(c, req, &done);
		}
		mtx_unlock(&c->c_mtx);
		full = done.d_n == STORVSC_BATCH;
		storvsc_io_deliver(c->c_sc, &done);
	} while (full);
}

/* The LUNs of what is out of time and did reach the host. */
static uint64_t
storvsc_recover_scan(struct storvsc_softc *sc)
{
	struct storvsc_chan *c;
	struct storvsc_req *req;
	uint64_t luns;
	uint32_t i, j;

	luns = 0;
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		storvsc_recover_waiting(c);
		mtx_lock(&c->c_mtx);
		for (j = 0; j < c->c_nreqs; j++) {
			req = &c->c_reqs[j];
			if (req->sr_state == STORVSC_RS_SENT &&
			    (req->sr_flags & STORVSC_RF_EXPIRED) != 0)
				luns |= 1ULL <<
				    (req->sr_ccb->ccb_h.target_lun & 63);
		}
		mtx_unlock(&c->c_mtx);
	}
	return (luns);
}

/*
 * Gives the host time to answer what is overdue after a reset.  Returns
 * whether all came.  Wakers: storvsc_io_reply(), and detach, which closes the
 * channels only after this ended.
 */
static bool
storvsc_recover_wait(struct storvsc_softc *sc)
{
	struct storvsc_chan *c;
	bool all;
	int left, until;
	uint32_t i;

	until = ticks + STORVSC_TIMEOUT_GRACE * hz;
	all = true;
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		while (c->c_expired > 0 && c->c_gate == 0 &&
		    (left = until - ticks) > 0)
			(void)mtx_sleep(&c->c_expired, &c->c_mtx, 0, "hvsrst",
			    left);
		if (c->c_expired > 0)
			all = false;
		mtx_unlock(&c->c_mtx);
	}
	return (all);
}

/* Tells CAM of a reset: of one unit, or of all. */
static void
storvsc_recover_tell(struct storvsc_softc *sc, uint32_t event, uint32_t lun)
{
	struct cam_path *path;

	if (event == AC_BUS_RESET) {
		if (sc->sc_path != NULL)
			xpt_async(event, sc->sc_path, NULL);
		return;
	}
	if (xpt_create_path(&path, NULL, cam_sim_path(sc->sc_sim),
	    sc->sc_target, lun) != CAM_REQ_CMP)
		return;
	xpt_async(event, path, NULL);
	xpt_free_path(path);
}

static int
storvsc_recover_lun(struct storvsc_softc *sc, uint32_t lun)
{
	int error;

	error = storvsc_reset_lun(sc, lun);
	mtx_lock(&sc->sc_mtx);
	sc->sc_lun_resets++;
	mtx_unlock(&sc->sc_mtx);
	if (error == 0) {
		device_printf(sc->sc_dev, "LUN %u reset\n", lun);
		storvsc_recover_tell(sc, AC_SENT_BDR, lun);
	} else {
		device_printf(sc->sc_dev, "reset of LUN %u failed: error "
		    "%d\n", lun, error);
	}
	return (error);
}

static int
storvsc_recover_bus(struct storvsc_softc *sc)
{
	int error;

	error = storvsc_reset_bus(sc);
	mtx_lock(&sc->sc_mtx);
	sc->sc_bus_resets++;
	mtx_unlock(&sc->sc_mtx);
	if (error == 0) {
		device_printf(sc->sc_dev, "bus reset\n");
		storvsc_recover_tell(sc, AC_BUS_RESET, 0);
	} else {
		device_printf(sc->sc_dev, "bus reset failed: error %d\n",
		    error);
	}
	return (error);
}

/*
 * A transfer limit smaller than the one CAM knows of cannot be lived with, and
 * a device that is gone does not come back.
 */
static int
storvsc_recover_connect(struct storvsc_softc *sc)
{
	int error, i;

	for (i = 0;; i++) {
		error = storvsc_connect(sc);
		if (error == 0 && sc->sc_props.pr_max_xfer < sc->sc_maxio) {
			(void)storvsc_disconnect(sc);
			error = EPROTO;
		}
		if (error == 0 || error == ENXIO || error == EPROTO ||
		    i == STORVSC_RECONNECTS - 1)
			return (error);
		pause("hvscon", hz);
	}
}

/* Takes the resets that CAM asked for off the list, one at a time. */
static struct ccb_hdr *
storvsc_recover_next_reset(struct storvsc_softc *sc)
{
	struct ccb_hdr *ccbh;

	mtx_lock(&sc->sc_mtx);
	ccbh = STAILQ_FIRST(&sc->sc_resets);
	if (ccbh != NULL)
		STAILQ_REMOVE_HEAD(&sc->sc_resets, sim_links.stqe);
	mtx_unlock(&sc->sc_mtx);
	return (ccbh);
}

/* Those that recovery does not come to any more. */
void
storvsc_fail_resets(struct storvsc_softc *sc)
{
	struct ccb_hdr *ccbh;

	while ((ccbh = storvsc_recover_next_reset(sc)) != NULL) {
		ccbh->status = CAM_DEV_NOT_THERE;
		xpt_done((union ccb *)ccbh);
	}
}

/*
 * Closes the channels, ends all requests, connects anew.  What the host had
 * when it was cut off is sent again by CAM.  If the host does not even give
 * the rings back, its requests stay where they are until it does: detach asks
 * again.
 */
static void
storvsc_recover_reconnect(struct storvsc_softc *sc)
{
	int error;

	device_printf(sc->sc_dev, "channels closed, connecting anew\n");
	storvsc_gate(sc, CAM_REQUEUE_REQ);
	error = storvsc_disconnect(sc);
	storvsc_io_fail_all(sc, CAM_SCSI_BUS_RESET, error == 0);
	mtx_lock(&sc->sc_mtx);
	sc->sc_reconnects++;
	mtx_unlock(&sc->sc_mtx);
	if (error == 0)
		error = storvsc_recover_connect(sc);
	if (error == 0) {
		storvsc_sysctl_detach(sc);
		storvsc_sysctl_attach(sc);
		storvsc_gate(sc, 0);
		device_printf(sc->sc_dev, "connected anew\n");
		storvsc_recover_tell(sc, AC_BUS_RESET, 0);
		storvsc_rescan(sc);
		return;
	}
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= STORVSC_F_DEAD;
	mtx_unlock(&sc->sc_mtx);
	storvsc_gate(sc, CAM_DEV_NOT_THERE);
	storvsc_fail_resets(sc);
	device_printf(sc->sc_dev, "given up: error %d\n", error);
	xpt_async(AC_LOST_DEVICE, sc->sc_path, NULL);
}

/*
 * Lets CAM send again after recovery; also from the poll routine, as a dump
 * must not wait for a recovery that will never go on.
 */
void
storvsc_recover_release(struct storvsc_softc *sc)
{
	bool held;

	mtx_lock(&sc->sc_mtx);
	held = (sc->sc_flags & STORVSC_F_HELD) != 0;
	sc->sc_flags &= ~STORVSC_F_HELD;
	mtx_unlock(&sc->sc_mtx);
	if (held)
		xpt_release_simq(sc->sc_sim, TRUE);
}

/*
 * Recovery, on the controller's own thread, which may sleep.  Every wait is
 * bounded and ends early when the device goes away; detach then finishes what
 * is left.
 */
void
storvsc_recover_task(void *arg, int pending __unused)
{
	struct storvsc_softc *sc = arg;
	struct ccb_hdr *ccbh;
	uint64_t luns;
	uint32_t why, lun;
	int error;

	mtx_lock(&sc->sc_mtx);
	why = sc->sc_flags & STORVSC_F_RECOVER;
	sc->sc_flags &= ~STORVSC_F_RECOVER;
	if ((sc->sc_flags & (STORVSC_F_GONE | STORVSC_F_DEAD)) != 0) {
		mtx_unlock(&sc->sc_mtx);
		/* Asked for before that was known. */
		storvsc_fail_resets(sc);
		return;
	}
	sc->sc_flags |= STORVSC_F_HELD;
	mtx_unlock(&sc->sc_mtx);
	xpt_freeze_simq(sc->sc_sim, 1);

	while ((ccbh = storvsc_recover_next_reset(sc)) != NULL) {
		error = storvsc_recover_lun(sc, (uint32_t)ccbh->target_lun);
		ccbh->status = error == 0 ? CAM_REQ_CMP : CAM_REQ_CMP_ERR;
		xpt_done((union ccb *)ccbh);
	}
	luns = storvsc_recover_scan(sc);
	if ((why & STORVSC_F_BROKEN) == 0) {
		for (lun = 0; luns >> lun != 0; lun++) {
			if ((luns & (1ULL << lun)) != 0 &&
			    storvsc_recover_lun(sc, lun) != 0)
				break;
			if (lun == STORVSC_MAX_LUN)
				break;
		}
		if ((why & STORVSC_F_BUS_RESET) != 0 ||
		    !storvsc_recover_wait(sc))
			(void)storvsc_recover_bus(sc);
	}
	if (((why & STORVSC_F_BROKEN) != 0 || !storvsc_recover_wait(sc)) &&
	    !storvsc_gone(sc))
		storvsc_recover_reconnect(sc);

	storvsc_recover_release(sc);
}
