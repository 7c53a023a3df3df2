/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The way back of a CCB: xpt_done() puts it on a done queue, whose thread takes
 * all there is at once, returns openings, starts what waited for them and calls
 * the owner.  xpt_done_direct() does the same on the SIM's own thread.
 *
 * A CCB's pinfo.index tells where it is; taking it from "active" to "done" in
 * one step is what makes a second completion visible.
 */

#include "cam_var.h"

#include <sys/proc.h>
#include <sys/smp.h>

#define	KCAM_DONEQS_MAX	16

struct kcam_doneq {
	struct mtx		dq_mtx;
	STAILQ_HEAD(, ccb_hdr)	dq_list;	/* sim_links */
	bool			dq_asleep;
	bool			dq_exit;
} __aligned(CACHE_LINE_SIZE);

static struct kcam_doneq kcam_doneqs[KCAM_DONEQS_MAX];
static int kcam_ndoneqs;

SYSCTL_NODE(_kern, OID_AUTO, cam, CTLFLAG_RD | CTLFLAG_MPSAFE, 0,
    "CAM Subsystem");
SYSCTL_INT(_kern_cam, OID_AUTO, num_doneqs, CTLFLAG_RD, &kcam_ndoneqs, 0,
    "Number of completion threads");

static void
kcam_doneq_add(union ccb *ccb)
{
	struct ccb_hdr *ccb_h = &ccb->ccb_h;
	struct kcam_doneq *dq;
	bool wake;

	/* One device's completions stay in order. */
	dq = &kcam_doneqs[(ccb_h->path_id + ccb_h->target_id +
	    ccb_h->target_lun) % kcam_ndoneqs];
	mtx_lock(&dq->dq_mtx);
	STAILQ_INSERT_TAIL(&dq->dq_list, ccb_h, sim_links.stqe);
	wake = dq->dq_asleep;
	dq->dq_asleep = false;
	mtx_unlock(&dq->dq_mtx);
	if (wake)
		wakeup(&dq->dq_list);
}

/* Takes the CCB from the SIM, or reports what the SIM did wrong. */
static void
kcam_claim(union ccb *ccb, const char *fn)
{
	struct ccb_hdr *ccb_h = &ccb->ccb_h;

	if (cam_ccb_status(ccb) == CAM_REQ_INPROG)
		panic("%s: CCB %p (%s) completed with CAM_REQ_INPROG", fn,
		    ccb, xpt_action_name(ccb_h->func_code));
	if (atomic_cmpset_int((u_int *)&ccb_h->pinfo.index,
	    (u_int)CAM_ACTIVE_INDEX, (u_int)CAM_DONEQ_INDEX))
		return;
	if (ccb_h->pinfo.index == CAM_DONEQ_INDEX)
		panic("%s: CCB %p (%s) completed twice", fn, ccb,
		    xpt_action_name(ccb_h->func_code));
	panic("%s: CCB %p (%s) completed, but the SIM does not have it (%d)",
	    fn, ccb, xpt_action_name(ccb_h->func_code), ccb_h->pinfo.index);
}

/* Returns the openings of a CCB that a SIM had. */
static void
kcam_return(union ccb *ccb)
{
	struct cam_ed *ed = ccb->ccb_h.path->device;
	struct kcam_ed *ke = KCAM_ED(ed);
	struct kcam_devq *kq = KCAM_DEVQ(ed->sim->devq);
	struct cam_ccbq *ccbq = &ed->ccbq;
	bool run;

	mtx_lock(&kq->kq_devq.send_mtx);
	TAILQ_REMOVE(&ke->ke_active, &ccb->ccb_h, xpt_links.tqe);
	kq->kq_devq.send_active--;
	kq->kq_devq.send_openings++;
	cam_ccbq_ccb_done(ccbq, ccb);
	cam_ccbq_release_opening(ccbq);
	if (ke->ke_rel_done) {
		ke->ke_rel_done = false;
		ccbq->queue.qfrozen_cnt--;
	}
	if (ke->ke_rel_empty && ccbq->dev_active == 0) {
		ke->ke_rel_empty = false;
		ccbq->queue.qfrozen_cnt--;
	}
	if (!ke->ke_running && ccbq->queue.entries > 0 &&
	    ccbq->queue.qfrozen_cnt == 0 && ccbq->dev_openings > 0) {
		TAILQ_INSERT_TAIL(&kq->kq_run, ke, ke_run);
		ke->ke_running = true;
	}
	run = !TAILQ_EMPTY(&kq->kq_run);
	mtx_unlock(&kq->kq_devq.send_mtx);
	ccb->ccb_h.status &= ~CAM_SIM_QUEUED;
	if (run)
		kcam_run_devq(&kq->kq_devq);
}

static void
kcam_done_process(union ccb *ccb)
{
	struct ccb_hdr *ccb_h = &ccb->ccb_h;
	struct cam_sim *sim = ccb_h->path->bus->sim;
	struct mtx *mtx;

	if (sim->mtx != NULL)
		mtx_assert(sim->mtx, MA_NOTOWNED);
	if ((ccb_h->status & CAM_RELEASE_SIMQ) != 0) {
		ccb_h->status &= ~CAM_RELEASE_SIMQ;
		xpt_release_simq(sim, 1);
	}
	if ((ccb_h->status & CAM_DEV_QFRZN) != 0 &&
	    (ccb_h->flags & CAM_DEV_QFRZDIS) != 0) {
		ccb_h->status &= ~CAM_DEV_QFRZN;
		xpt_release_devq(ccb_h->path, 1, 0);
	}
	/* Atomic: a SIM that completes it once more tries to claim it. */
	if (atomic_load_int((u_int *)&ccb_h->pinfo.index) ==
	    (u_int)CAM_DONEQ_INDEX)
		kcam_return(ccb);
	ccb_h->pinfo.index = CAM_UNQUEUED_INDEX;
	if ((ccb_h->flags & CAM_UNLOCKED) != 0) {
		(*ccb_h->cbfcnp)(ccb_h->path->periph, ccb);
		return;
	}
	mtx = xpt_path_mtx(ccb_h->path);
	mtx_lock(mtx);
	(*ccb_h->cbfcnp)(ccb_h->path->periph, ccb);
	mtx_unlock(mtx);
}

void
xpt_done(union ccb *done_ccb)
{

	/* The caller of an immediate function looks at the CCB himself. */
	if (!XPT_FC_IS_QUEUED(done_ccb)) {
		if (cam_ccb_status(done_ccb) == CAM_REQ_INPROG)
			panic("%s: CCB %p (%s) completed with CAM_REQ_INPROG",
			    __func__, done_ccb,
			    xpt_action_name(done_ccb->ccb_h.func_code));
		return;
	}
	kcam_claim(done_ccb, __func__);
	kcam_doneq_add(done_ccb);
}

void
xpt_done_direct(union ccb *done_ccb)
{

	if (!XPT_FC_IS_QUEUED(done_ccb))
		return;
	kcam_claim(done_ccb, __func__);
	kcam_done_process(done_ccb);
}

void
kcam_finish(union ccb *ccb, cam_status status)
{

	ccb->ccb_h.status = status;
	ccb->ccb_h.pinfo.index = CAM_ASYNC_INDEX;
	kcam_doneq_add(ccb);
}

static bool
kcam_doneq_run(struct kcam_doneq *dq)
{
	STAILQ_HEAD(, ccb_hdr) list = STAILQ_HEAD_INITIALIZER(list);
	struct ccb_hdr *ccb_h;

	mtx_lock(&dq->dq_mtx);
	STAILQ_CONCAT(&list, &dq->dq_list);
	mtx_unlock(&dq->dq_mtx);
	if (STAILQ_EMPTY(&list))
		return (false);
	while ((ccb_h = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, sim_links.stqe);
		kcam_done_process((union ccb *)ccb_h);
	}
	return (true);
}

static void
kcam_done_loop(void *arg)
{
	struct kcam_doneq *dq = arg;

	for (;;) {
		if (kcam_doneq_run(dq))
			continue;
		mtx_lock(&dq->dq_mtx);
		if (STAILQ_EMPTY(&dq->dq_list)) {
			if (dq->dq_exit) {
				mtx_unlock(&dq->dq_mtx);
				kcam_thread_exit();
			}
			dq->dq_asleep = true;
			/* Woken by kcam_doneq_add(), kcam_done_stop(). */
			msleep(&dq->dq_list, &dq->dq_mtx, PRIBIO, "-", 0);
			dq->dq_asleep = false;
		}
		mtx_unlock(&dq->dq_mtx);
	}
}

/* Runs the done queues where their threads do not: polling, dumps. */
void
kcam_done_poll(void)
{
	int i;

	for (i = 0; i < kcam_ndoneqs; i++)
		kcam_doneq_run(&kcam_doneqs[i]);
}

void
kcam_done_start(void)
{
	struct kcam_doneq *dq;
	char name[16];
	int i;

	kcam_ndoneqs = imin(KCAM_DONEQS_MAX, 1 + mp_ncpus / 4);
	for (i = 0; i < kcam_ndoneqs; i++) {
		dq = &kcam_doneqs[i];
		mtx_init(&dq->dq_mtx, "CAM doneq", NULL, MTX_DEF);
		STAILQ_INIT(&dq->dq_list);
		dq->dq_exit = false;
		snprintf(name, sizeof(name), "cam doneq%d", i);
		kcam_thread(kcam_done_loop, dq, name);
	}
}

/* The threads end once their queues are empty. */
void
kcam_done_stop(void)
{
	struct kcam_doneq *dq;
	int i;

	for (i = 0; i < kcam_ndoneqs; i++) {
		dq = &kcam_doneqs[i];
		mtx_lock(&dq->dq_mtx);
		dq->dq_exit = true;
		mtx_unlock(&dq->dq_mtx);
		wakeup(&dq->dq_list);
	}
}

/*
 * Polling, as a dump does it: the SIM is asked for completions, and they run
 * here and now.
 */
void
xpt_sim_poll(struct cam_sim *sim)
{
	struct mtx *mtx = sim->mtx;

	if (!cam_sim_pollable(sim))
		panic("%s: %s%u cannot poll", __func__, sim->sim_name,
		    sim->unit_number);
	if (mtx != NULL)
		mtx_lock(mtx);
	(*sim->sim_poll)(sim);
	if (mtx != NULL)
		mtx_unlock(mtx);
	kcam_done_poll();
}

/* Waits until the CCB can be sent; returns what is left of its time. */
uint32_t
xpt_poll_setup(union ccb *start_ccb)
{
	struct cam_sim *sim = start_ccb->ccb_h.path->bus->sim;
	struct cam_devq *devq = sim->devq;
	struct cam_ccbq *ccbq = &start_ccb->ccb_h.path->device->ccbq;
	uint32_t left = start_ccb->ccb_h.timeout * 10;

	/* Takes one opening more than there are rather than none. */
	mtx_lock(&devq->send_mtx);
	ccbq->dev_openings--;
	while ((devq->send_openings <= 0 || ccbq->dev_openings < 0) &&
	    left > 1) {
		mtx_unlock(&devq->send_mtx);
		DELAY(100);
		left--;
		xpt_sim_poll(sim);
		mtx_lock(&devq->send_mtx);
	}
	ccbq->dev_openings++;
	mtx_unlock(&devq->send_mtx);
	return (left);
}

void
xpt_pollwait(union ccb *start_ccb, uint32_t timeout)
{
	struct cam_sim *sim = start_ccb->ccb_h.path->bus->sim;

	while (timeout > 0) {
		xpt_sim_poll(sim);
		if (cam_ccb_status(start_ccb) != CAM_REQ_INPROG)
			return;
		DELAY(100);
		timeout--;
	}
	start_ccb->ccb_h.status = CAM_CMD_TIMEOUT;
}
