/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The way of a queued CCB to its SIM: device queues, openings, freezes.  A CCB
 * goes straight to the SIM if nothing is before it; else it waits in its
 * device's heap, and the device on the run list of the SIM's queue unless it is
 * frozen or has no opening.
 */

#include "cam_var.h"

static bool
kcam_may_send(const struct cam_devq *devq, const struct cam_ccbq *ccbq)
{

	return (ccbq->queue.qfrozen_cnt == 0 && ccbq->dev_openings > 0 &&
	    devq->send_queue.qfrozen_cnt == 0 && devq->send_openings > 0);
}

/* Puts the device on the run list if it has something to run; (q) held. */
static void
kcam_schedule(struct kcam_devq *kq, struct kcam_ed *ke)
{
	struct cam_ccbq *ccbq = &ke->ke_ed.ccbq;

	mtx_assert(&kq->kq_devq.send_mtx, MA_OWNED);
	if (ke->ke_running || ccbq->queue.entries == 0 ||
	    ccbq->queue.qfrozen_cnt != 0 || ccbq->dev_openings <= 0)
		return;
	TAILQ_INSERT_TAIL(&kq->kq_run, ke, ke_run);
	ke->ke_running = true;
}

/* Takes the openings; (q) held. */
static void
kcam_take(struct cam_devq *devq, struct kcam_ed *ke, union ccb *ccb)
{
	struct ccb_hdr *ccb_h = &ccb->ccb_h;

	devq->send_openings--;
	devq->send_active++;
	cam_ccbq_send_ccb(&ke->ke_ed.ccbq, ccb);
	ccb_h->pinfo.index = KCAM_SENDING_INDEX;
	TAILQ_INSERT_TAIL(&ke->ke_active, ccb_h, xpt_links.tqe);
	if ((ccb_h->flags & CAM_DEV_QFREEZE) != 0) {
		ke->ke_ed.ccbq.queue.qfrozen_cnt++;
		ccb_h->status |= CAM_DEV_QFRZN;
	}
}

static void
kcam_send(union ccb *ccb)
{
	struct cam_ed *ed = ccb->ccb_h.path->device;
	struct cam_sim *sim = ed->sim;
	struct mtx *mtx = sim->mtx;

	if (ccb->ccb_h.func_code == XPT_SCSI_IO) {
		if ((ed->inq_flags & SID_CmdQue) != 0 &&
		    ccb->csio.tag_action != CAM_TAG_ACTION_NONE)
			ccb->ccb_h.flags |= CAM_TAG_ACTION_VALID;
		else
			ccb->ccb_h.flags &= ~CAM_TAG_ACTION_VALID;
	}
	if (mtx != NULL && kcam_mtx_owned(mtx))
		mtx = NULL;
	if (mtx != NULL)
		mtx_lock(mtx);
	atomic_store_int((u_int *)&ccb->ccb_h.pinfo.index,
	    (u_int)CAM_ACTIVE_INDEX);
	/* The SIM may have left while this thread waited for its mutex. */
	if (kcam_bus_gone(ccb->ccb_h.path->bus)) {
		cam_set_ccbstatus(ccb, CAM_DEV_NOT_THERE);
		xpt_done(ccb);
	} else
		(*sim->sim_action)(sim, ccb);
	if (mtx != NULL)
		mtx_unlock(mtx);
}

void
kcam_queue(union ccb *ccb)
{
	struct cam_path *path = ccb->ccb_h.path;
	struct kcam_ed *ke = KCAM_ED(path->device);
	struct cam_devq *devq = path->bus->sim->devq;
	struct cam_ccbq *ccbq = &ke->ke_ed.ccbq;
	bool direct;

	if (ccb->ccb_h.pinfo.index != CAM_UNQUEUED_INDEX)
		panic("xpt_action: CCB %p (%s) is already queued (%d)", ccb,
		    xpt_action_name(ccb->ccb_h.func_code),
		    ccb->ccb_h.pinfo.index);
	mtx_lock(&devq->send_mtx);
	if (kcam_bus_gone(path->bus)) {
		mtx_unlock(&devq->send_mtx);
		kcam_finish(ccb, CAM_DEV_NOT_THERE);
		return;
	}
	cam_ccbq_take_opening(ccbq);
	direct = ccbq->queue.entries == 0 && kcam_may_send(devq, ccbq) &&
	    TAILQ_EMPTY(&KCAM_DEVQ(devq)->kq_run);
	if (direct) {
		kcam_take(devq, ke, ccb);
		mtx_unlock(&devq->send_mtx);
		kcam_send(ccb);
		return;
	}
	ccb->ccb_h.pinfo.generation = ++ccbq->queue.generation;
	cam_ccbq_insert_ccb(ccbq, ccb);
	kcam_schedule(KCAM_DEVQ(devq), ke);
	/* Once it has been sent, the CCB's own path may be gone. */
	xpt_acquire_device(&ke->ke_ed);
	mtx_unlock(&devq->send_mtx);
	kcam_run_devq(devq);
	xpt_release_device(&ke->ke_ed);
}

/* Next CCB that may go, with its openings taken; (q) held. */
static union ccb *
kcam_next(struct kcam_devq *kq)
{
	struct kcam_ed *ke;
	union ccb *ccb;

	while ((ke = TAILQ_FIRST(&kq->kq_run)) != NULL) {
		struct cam_ccbq *ccbq = &ke->ke_ed.ccbq;

		if (kq->kq_devq.send_queue.qfrozen_cnt != 0 ||
		    kq->kq_devq.send_openings <= 0)
			return (NULL);
		TAILQ_REMOVE(&kq->kq_run, ke, ke_run);
		ke->ke_running = false;
		if (ccbq->queue.entries == 0 || !kcam_may_send(&kq->kq_devq,
		    ccbq))
			continue;
		ccb = cam_ccbq_peek_ccb(ccbq, CAMQ_HEAD);
		cam_ccbq_remove_ccb(ccbq, ccb);
		kcam_take(&kq->kq_devq, ke, ccb);
		/* To the end of the list: devices take turns. */
		kcam_schedule(kq, ke);
		return (ccb);
	}
	return (NULL);
}

void
kcam_run_devq(struct cam_devq *devq)
{
	union ccb *ccb;

	for (;;) {
		mtx_lock(&devq->send_mtx);
		ccb = kcam_next(KCAM_DEVQ(devq));
		mtx_unlock(&devq->send_mtx);
		if (ccb == NULL)
			return;
		kcam_send(ccb);
	}
}

/* Takes everything queued off the device's queue; (q) held. */
static void
kcam_unqueue_all(struct cam_ed *ed, struct ccb_hdr_tailq *out)
{
	union ccb *ccb;

	while (ed->ccbq.queue.entries > 0) {
		ccb = cam_ccbq_peek_ccb(&ed->ccbq, CAMQ_HEAD);
		cam_ccbq_remove_ccb(&ed->ccbq, ccb);
		cam_ccbq_release_opening(&ed->ccbq);
		TAILQ_INSERT_TAIL(out, &ccb->ccb_h, xpt_links.tqe);
	}
}

void
kcam_flush(struct cam_ed *ed, cam_status status)
{
	struct mtx *mtx = &ed->sim->devq->send_mtx;
	struct ccb_hdr_tailq out = TAILQ_HEAD_INITIALIZER(out);
	struct ccb_hdr *ccb_h;

	mtx_lock(mtx);
	kcam_unqueue_all(ed, &out);
	mtx_unlock(mtx);
	while ((ccb_h = TAILQ_FIRST(&out)) != NULL) {
		TAILQ_REMOVE(&out, ccb_h, xpt_links.tqe);
		kcam_finish((union ccb *)ccb_h, status);
	}
}

void
kcam_bus_dead(struct cam_eb *bus)
{
	struct mtx *mtx = &bus->sim->devq->send_mtx;
	struct cam_ed *ed = NULL;

	mtx_lock(mtx);
	atomic_store_int(&KCAM_EB(bus)->kb_dead, 1);
	mtx_unlock(mtx);
	while ((ed = kcam_device_next(bus, ed)) != NULL)
		kcam_flush(ed, CAM_DEV_NOT_THERE);
}

/*
 * How many CCBs of the SIM's devices have left their queues and are not done;
 * *atsim is one that only the SIM can finish, or left alone.
 */
u_int
kcam_sim_outstanding(struct cam_sim *sim, union ccb **atsim)
{
	struct cam_eb *bus;
	struct cam_ed *ed = NULL;
	struct ccb_hdr *ccb_h;
	u_int n = 0;

	mtx_lock(&kcam.topo_mtx);
	TAILQ_FOREACH(bus, &kcam.buses, links) {
		if (bus->sim == sim)
			break;
	}
	if (bus != NULL)
		bus->refcount++;
	mtx_unlock(&kcam.topo_mtx);
	if (bus == NULL)
		return (0);
	while ((ed = kcam_device_next(bus, ed)) != NULL) {
		mtx_lock(&sim->devq->send_mtx);
		TAILQ_FOREACH(ccb_h, &KCAM_ED(ed)->ke_active, xpt_links.tqe) {
			n++;
			if (ccb_h->pinfo.index == CAM_ACTIVE_INDEX)
				*atsim = (union ccb *)ccb_h;
		}
		mtx_unlock(&sim->devq->send_mtx);
	}
	kcam_bus_release(bus);
	return (n);
}

/*
 * What the transport layer can do of an abort itself.  CAM_REQ_INPROG: the SIM
 * has the CCB and is to be asked.
 */
cam_status
kcam_abort(union ccb *abort_ccb, struct cam_path *path)
{
	struct cam_ed *ed = abort_ccb->ccb_h.path->device;
	struct mtx *mtx = &ed->sim->devq->send_mtx;
	int index;

	if (!XPT_FC_IS_DEV_QUEUED(abort_ccb))
		return (CAM_UA_ABORT);
	mtx_lock(mtx);
	index = abort_ccb->ccb_h.pinfo.index;
	if (index >= CAMQ_HEAD) {
		cam_ccbq_remove_ccb(&ed->ccbq, abort_ccb);
		cam_ccbq_release_opening(&ed->ccbq);
		ed->ccbq.queue.qfrozen_cnt++;
		mtx_unlock(mtx);
		kcam_finish(abort_ccb, CAM_REQ_ABORTED | CAM_DEV_QFRZN);
		return (CAM_REQ_CMP);
	}
	mtx_unlock(mtx);
	if (index == CAM_ACTIVE_INDEX)
		return (CAM_REQ_INPROG);
	return (CAM_UA_ABORT);
}

uint32_t
xpt_freeze_devq(struct cam_path *path, u_int count)
{
	struct cam_ed *ed = path->device;
	struct mtx *mtx = &ed->sim->devq->send_mtx;
	uint32_t freeze;

	mtx_lock(mtx);
	freeze = (ed->ccbq.queue.qfrozen_cnt += count);
	mtx_unlock(mtx);
	return (freeze);
}

void
cam_freeze_devq(struct cam_path *path)
{

	xpt_freeze_devq(path, 1);
}

/* (q) held. */
static void
kcam_thaw(struct cam_ed *ed, u_int count)
{
	struct camq *queue = &ed->ccbq.queue;

	if (queue->qfrozen_cnt < count)
		panic("xpt_release_devq: %u releases of a device frozen %u "
		    "times (%s%u target %u lun %ju)", count,
		    queue->qfrozen_cnt, ed->sim->sim_name,
		    ed->sim->unit_number, ed->target->target_id,
		    (uintmax_t)ed->lun_id);
	queue->qfrozen_cnt -= count;
	kcam_schedule(KCAM_DEVQ(ed->sim->devq), KCAM_ED(ed));
}

void
xpt_release_devq(struct cam_path *path, u_int count, int run_queue)
{
	struct cam_devq *devq = path->device->sim->devq;

	mtx_lock(&devq->send_mtx);
	kcam_thaw(path->device, count);
	mtx_unlock(&devq->send_mtx);
	if (run_queue)
		kcam_run_devq(devq);
}

uint32_t
xpt_freeze_simq(struct cam_sim *sim, u_int count)
{
	struct cam_devq *devq = sim->devq;
	uint32_t freeze;

	mtx_lock(&devq->send_mtx);
	freeze = (devq->send_queue.qfrozen_cnt += count);
	mtx_unlock(&devq->send_mtx);
	return (freeze);
}

void
xpt_release_simq(struct cam_sim *sim, int run_queue)
{
	struct cam_devq *devq = sim->devq;

	mtx_lock(&devq->send_mtx);
	if (devq->send_queue.qfrozen_cnt == 0)
		panic("%s: %s%u is not frozen", __func__, sim->sim_name,
		    sim->unit_number);
	devq->send_queue.qfrozen_cnt--;
	mtx_unlock(&devq->send_mtx);
	if (run_queue)
		kcam_run_devq(devq);
}

/* The delay of a release is over; the callout holds (q). */
static void
kcam_unfreeze(void *arg)
{
	struct kcam_ed *ke = arg;
	struct cam_devq *devq = ke->ke_ed.sim->devq;
	union ccb *ccb;

	ke->ke_unfreeze_set = false;
	kcam_thaw(&ke->ke_ed, 1);
	while ((ccb = kcam_next(KCAM_DEVQ(devq))) != NULL) {
		mtx_unlock(&devq->send_mtx);
		kcam_send(ccb);
		mtx_lock(&devq->send_mtx);
	}
}

uint32_t
kcam_rel_simq(struct cam_path *path, uint32_t flags, uint32_t openings,
    uint32_t timeout_ms)
{
	struct cam_ed *ed = path->device;
	struct kcam_ed *ke = KCAM_ED(ed);
	struct cam_devq *devq = ed->sim->devq;
	uint32_t frozen;

	mtx_lock(&devq->send_mtx);
	if ((flags & RELSIM_ADJUST_OPENINGS) != 0 && openings > 0)
		cam_ccbq_resize(&ed->ccbq, openings);
	if ((flags & RELSIM_RELEASE_AFTER_CMDCMPLT) != 0 &&
	    ed->ccbq.dev_active > 0 && !ke->ke_rel_done)
		ke->ke_rel_done = true;
	else if ((flags & RELSIM_RELEASE_AFTER_QEMPTY) != 0 &&
	    ed->ccbq.dev_active > 0 && !ke->ke_rel_empty)
		ke->ke_rel_empty = true;
	else if ((flags & RELSIM_RELEASE_AFTER_TIMEOUT) != 0 &&
	    !ke->ke_unfreeze_set) {
		ke->ke_unfreeze_set = true;
		callout_reset_sbt(&ke->ke_unfreeze, SBT_1MS * timeout_ms,
		    SBT_1MS, kcam_unfreeze, ke, 0);
	} else {
		/* Someone else's delayed release covers this one too. */
		kcam_thaw(ed, 1);
	}
	frozen = ed->ccbq.queue.qfrozen_cnt;
	mtx_unlock(&devq->send_mtx);
	kcam_run_devq(devq);
	return (frozen);
}

uint32_t
cam_release_devq(struct cam_path *path, uint32_t relsim_flags,
    uint32_t opening_reduction, uint32_t arg, int getcount_only)
{
	struct cam_ed *ed = path->device;
	uint32_t openings = 0;

	if (getcount_only)
		return (ed->ccbq.queue.qfrozen_cnt);
	if ((relsim_flags & RELSIM_ADJUST_OPENINGS) != 0)
		openings = imax((int)ed->mintags, ed->ccbq.total_openings -
		    (int)opening_reduction);
	return (kcam_rel_simq(path, relsim_flags, openings, arg));
}
