/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The transport layer's front: CCBs and what xpt_action() does with each kind.
 * Queued ones go through cam_send.c and come back through cam_done.c.
 */

#include "cam_var.h"

#include <cam/cam_debug.h>

MALLOC_DEFINE(M_CAMCCB, "CAM CCB", "CAM CCBs");

union ccb *
xpt_alloc_ccb(void)
{

	return (malloc(sizeof(union ccb), M_CAMCCB, M_ZERO | M_WAITOK));
}

union ccb *
xpt_alloc_ccb_nowait(void)
{

	return (malloc(sizeof(union ccb), M_CAMCCB, M_ZERO | M_NOWAIT));
}

void
xpt_free_ccb(union ccb *free_ccb)
{

	KASSERT(free_ccb != NULL, ("%s: no CCB", __func__));
	/* A CCB that was never set up is all zero. */
	if (free_ccb->ccb_h.pinfo.index != 0 &&
	    free_ccb->ccb_h.pinfo.index != CAM_UNQUEUED_INDEX)
		panic("%s: CCB %p (%s) is not done", __func__, free_ccb,
		    xpt_action_name(free_ccb->ccb_h.func_code));
	free(free_ccb, M_CAMCCB);
}

void
xpt_setup_ccb_flags(struct ccb_hdr *ccb_h, struct cam_path *path,
    uint32_t priority, uint32_t flags)
{

	ccb_h->pinfo.priority = priority;
	ccb_h->path = path;
	ccb_h->path_id = path->bus->path_id;
	ccb_h->target_id = path->target->target_id;
	ccb_h->target_lun = path->device->lun_id;
	ccb_h->pinfo.index = CAM_UNQUEUED_INDEX;
	ccb_h->flags = flags;
	ccb_h->xflags = 0;
}

void
xpt_setup_ccb(struct ccb_hdr *ccb_h, struct cam_path *path, uint32_t priority)
{

	xpt_setup_ccb_flags(ccb_h, path, priority, 0);
}

void
xpt_merge_ccb(union ccb *dst_ccb, union ccb *src_ccb)
{

	src_ccb->ccb_h.path = dst_ccb->ccb_h.path;
	bcopy(&src_ccb->ccb_h, &dst_ccb->ccb_h, sizeof(struct ccb_hdr));
}

/* Straight to the SIM, which has answered when this returns. */
static void
xpt_sim_action(union ccb *ccb)
{
	struct cam_sim *sim = ccb->ccb_h.path->bus->sim;
	struct mtx *mtx = sim->mtx;

	if (kcam_bus_gone(ccb->ccb_h.path->bus)) {
		ccb->ccb_h.status = CAM_DEV_NOT_THERE;
		return;
	}
	if (mtx != NULL && kcam_mtx_owned(mtx))
		mtx = NULL;
	if (mtx != NULL)
		mtx_lock(mtx);
	(*sim->sim_action)(sim, ccb);
	if (mtx != NULL)
		mtx_unlock(mtx);
}

static void
xpt_gdev(struct ccb_getdev *cgd)
{
	struct cam_ed *ed = cgd->ccb_h.path->device;

	if (!kcam_configured(ed)) {
		cgd->ccb_h.status = CAM_DEV_NOT_THERE;
		return;
	}
	cgd->protocol = ed->protocol;
	cgd->inq_data = ed->inq_data;
	cgd->inq_flags = ed->inq_flags;
	cgd->serial_num_len = ed->serial_num_len;
	if (ed->serial_num_len > 0)
		bcopy(ed->serial_num, cgd->serial_num, ed->serial_num_len);
	cgd->ccb_h.status = CAM_REQ_CMP;
}

static void
xpt_gdev_stats(struct ccb_getdevstats *cgds)
{
	struct cam_ed *ed = cgds->ccb_h.path->device;
	struct mtx *mtx = &ed->sim->devq->send_mtx;

	mtx_lock(mtx);
	cgds->dev_openings = ed->ccbq.dev_openings;
	cgds->dev_active = ed->ccbq.dev_active;
	cgds->allocated = ed->ccbq.allocated;
	cgds->queued = cam_ccbq_pending_ccb_count(&ed->ccbq);
	cgds->held = 0;
	cgds->last_reset = ed->target->last_reset;
	cgds->maxtags = ed->maxtags;
	cgds->mintags = ed->mintags;
	mtx_unlock(mtx);
	cgds->ccb_h.status = CAM_REQ_CMP;
}

static void
xpt_advinfo(struct ccb_dev_advinfo *cdai)
{
	struct cam_ed *ed = cdai->ccb_h.path->device;
	const uint8_t *src;
	size_t len;

	if ((cdai->flags & CDAI_FLAG_STORE) != 0) {
		cdai->ccb_h.status = CAM_FUNC_NOTAVAIL;
		return;
	}
	switch (cdai->buftype) {
	case CDAI_TYPE_SCSI_DEVID:
		src = ed->device_id;
		len = ed->device_id_len;
		break;
	case CDAI_TYPE_SERIAL_NUM:
		src = ed->serial_num;
		len = ed->serial_num_len;
		break;
	case CDAI_TYPE_RCAPLONG:
		src = ed->rcap_buf;
		len = ed->rcap_len;
		break;
	default:
		cdai->ccb_h.status = CAM_REQ_INVALID;
		return;
	}
	cdai->provsiz = len;
	if (len > 0 && cdai->buf != NULL)
		bcopy(src, cdai->buf, MIN(len, (size_t)cdai->bufsiz));
	cdai->ccb_h.status = CAM_REQ_CMP;
}

static void
xpt_noop(struct ccb_hdr *ccb_h)
{

	if ((ccb_h->flags & CAM_DEV_QFREEZE) != 0)
		xpt_freeze_devq(ccb_h->path, 1);
	ccb_h->status = CAM_REQ_CMP;
}

void
xpt_action(union ccb *start_ccb)
{

	CAM_DEBUG(start_ccb->ccb_h.path, CAM_DEBUG_TRACE,
	    ("xpt_action: func %#x %s\n", start_ccb->ccb_h.func_code,
	    xpt_action_name(start_ccb->ccb_h.func_code)));
	start_ccb->ccb_h.status = CAM_REQ_INPROG;
	xpt_action_default(start_ccb);
}

void
xpt_action_default(union ccb *start_ccb)
{
	struct ccb_hdr *ccb_h = &start_ccb->ccb_h;

	if (XPT_FC_IS_DEV_QUEUED(start_ccb)) {
		kcam_queue(start_ccb);
		return;
	}
	switch ((u_int)ccb_h->func_code) {
	case XPT_NOOP:
		xpt_noop(ccb_h);
		break;
	case XPT_GDEV_TYPE:
		xpt_gdev(&start_ccb->cgd);
		break;
	case XPT_GDEV_STATS:
		xpt_gdev_stats(&start_ccb->cgds);
		break;
	case XPT_DEV_ADVINFO:
		xpt_advinfo(&start_ccb->cdai);
		break;
	case XPT_PATH_STATS:
		start_ccb->cpis.last_reset = ccb_h->path->bus->last_reset;
		ccb_h->status = CAM_REQ_CMP;
		break;
	case XPT_SASYNC_CB:
		ccb_h->status = kcam_async_register(ccb_h->path,
		    start_ccb->csa.event_enable, start_ccb->csa.callback,
		    start_ccb->csa.callback_arg);
		break;
	case XPT_REL_SIMQ:
		start_ccb->crs.qfrozen_cnt = kcam_rel_simq(ccb_h->path,
		    start_ccb->crs.release_flags, start_ccb->crs.openings,
		    start_ccb->crs.release_timeout);
		ccb_h->status = CAM_REQ_CMP;
		break;
	case XPT_ABORT:
		ccb_h->status = kcam_abort(start_ccb->cab.abort_ccb,
		    ccb_h->path);
		if (ccb_h->status == CAM_REQ_INPROG)
			xpt_sim_action(start_ccb);
		break;
	case XPT_ASYNC:
		kcam_async_queue(ccb_h);
		break;
	case XPT_SCAN_BUS:
	case XPT_SCAN_TGT:
	case XPT_SCAN_LUN:
		xpt_rescan(start_ccb);
		break;
	case XPT_PATH_INQ:
	case XPT_GET_TRAN_SETTINGS:
	case XPT_SET_TRAN_SETTINGS:
	case XPT_CALC_GEOMETRY:
	case XPT_RESET_BUS:
	case XPT_GET_SIM_KNOB:
	case XPT_SET_SIM_KNOB:
	case XPT_TERM_IO:
	case XPT_EN_LUN:
		xpt_sim_action(start_ccb);
		break;
	default:
		ccb_h->status = CAM_REQ_INVALID;
		break;
	}
}

const char *
xpt_action_name(uint32_t action)
{
	static const struct {
		uint32_t	 code;
		const char	*name;
	} names[] = {
		{ XPT_NOOP, "XPT_NOOP" },
		{ XPT_SCSI_IO, "XPT_SCSI_IO" },
		{ XPT_GDEV_TYPE, "XPT_GDEV_TYPE" },
		{ XPT_GDEVLIST, "XPT_GDEVLIST" },
		{ XPT_PATH_INQ, "XPT_PATH_INQ" },
		{ XPT_REL_SIMQ, "XPT_REL_SIMQ" },
		{ XPT_SASYNC_CB, "XPT_SASYNC_CB" },
		{ XPT_SCAN_BUS, "XPT_SCAN_BUS" },
		{ XPT_SCAN_TGT, "XPT_SCAN_TGT" },
		{ XPT_SCAN_LUN, "XPT_SCAN_LUN" },
		{ XPT_REPROBE_LUN, "XPT_REPROBE_LUN" },
		{ XPT_DEV_MATCH, "XPT_DEV_MATCH" },
		{ XPT_PATH_STATS, "XPT_PATH_STATS" },
		{ XPT_GDEV_STATS, "XPT_GDEV_STATS" },
		{ XPT_DEV_ADVINFO, "XPT_DEV_ADVINFO" },
		{ XPT_ASYNC, "XPT_ASYNC" },
		{ XPT_ABORT, "XPT_ABORT" },
		{ XPT_RESET_BUS, "XPT_RESET_BUS" },
		{ XPT_RESET_DEV, "XPT_RESET_DEV" },
		{ XPT_TERM_IO, "XPT_TERM_IO" },
		{ XPT_GET_TRAN_SETTINGS, "XPT_GET_TRAN_SETTINGS" },
		{ XPT_SET_TRAN_SETTINGS, "XPT_SET_TRAN_SETTINGS" },
		{ XPT_CALC_GEOMETRY, "XPT_CALC_GEOMETRY" },
	};
	u_int i;

	for (i = 0; i < nitems(names); i++) {
		if (names[i].code == action)
			return (names[i].name);
	}
	return ("unknown function");
}
