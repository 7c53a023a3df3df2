/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Asynchronous events: from SIMs and the scan to disks and to whoever asked.
 * A thread of its own delivers them, so that they may be sent with any lock
 * held; it also frees what the device table has dropped.
 *
 * A listener that was registered with its SIM's mutex held is called with it,
 * others with the device's: who forgets a listener under the same lock knows
 * that it is not being called.
 */

#include "cam_var.h"

struct kcam_anode {
	struct async_node	an_node;	/* first; (a) */
	u_int			an_refs;	/* (a) being called */
	bool			an_dead;	/* (a) */
};

#define	KCAM_ANODE(n)	((struct kcam_anode *)(void *)(n))

static void	 kcam_async_deliver(struct cam_eb *bus, uint32_t code,
		    struct cam_path *path, void *arg);

static size_t
kcam_async_size(uint32_t code)
{

	switch (code) {
	case AC_PATH_REGISTERED:
		return (sizeof(struct ccb_pathinq));
	case AC_FOUND_DEVICE:
		return (sizeof(struct ccb_getdev));
	case AC_TRANSFER_NEG:
		return (sizeof(struct ccb_trans_settings));
	case AC_CONTRACT:
		return (sizeof(struct ac_contract));
	case AC_UNIT_ATTENTION:
		return (sizeof(struct ccb_scsiio));
	default:
		return (0);
	}
}

static void
kcam_event_free(union ccb *ccb)
{

	if (kcam_async_size(ccb->casync.async_code) != 0)
		free(ccb->casync.async_arg_ptr, M_CAMXPT);
	if (ccb->ccb_h.path != NULL)
		xpt_free_path(ccb->ccb_h.path);
	xpt_free_ccb(ccb);
}

void
kcam_async_queue(struct ccb_hdr *ccb_h)
{

	ccb_h->status = CAM_REQ_CMP;
	ccb_h->pinfo.index = CAM_ASYNC_INDEX;
	mtx_lock(&kcam.xpt_mtx);
	STAILQ_INSERT_TAIL(&kcam.events, ccb_h, sim_links.stqe);
	wakeup(&kcam.events);
	mtx_unlock(&kcam.xpt_mtx);
}

/* What an event's CCB calls on the event thread. */
static void
kcam_async_process(struct cam_periph *periph __unused, union ccb *ccb)
{
	struct cam_path *path = ccb->ccb_h.path;

	kcam_async_deliver(path->bus, ccb->casync.async_code, path,
	    ccb->casync.async_arg_ptr);
	if (path->device->lun_id != CAM_LUN_WILDCARD)
		xpt_release_devq(path, 1, TRUE);
	else
		xpt_release_simq(path->bus->sim, TRUE);
	kcam_event_free(ccb);
}

void
kcam_async_post(uint32_t code, struct cam_path *path, void *arg, int how)
{
	struct cam_path *copy;
	union ccb *ccb;
	size_t size = kcam_async_size(code);

	ccb = how == M_WAITOK ? xpt_alloc_ccb() : xpt_alloc_ccb_nowait();
	if (ccb == NULL)
		goto fail;
	ccb->casync.async_code = code;
	/* Codes without a structure carry a number, or nothing. */
	ccb->casync.async_arg_ptr = size == 0 ? arg : NULL;
	if ((copy = kcam_path_clone(path, how)) == NULL)
		goto fail;
	copy->periph = NULL;
	xpt_setup_ccb_flags(&ccb->ccb_h, copy, CAM_PRIORITY_NORMAL,
	    CAM_UNLOCKED);
	ccb->ccb_h.func_code = XPT_ASYNC;
	ccb->ccb_h.cbfcnp = kcam_async_process;
	if (size != 0 && arg != NULL) {
		ccb->casync.async_arg_ptr = malloc(size, M_CAMXPT, how);
		if (ccb->casync.async_arg_ptr == NULL)
			goto fail;
		bcopy(arg, ccb->casync.async_arg_ptr, size);
	}
	/* No new requests while the event is on its way. */
	if (path->device->lun_id != CAM_LUN_WILDCARD)
		(void)xpt_freeze_devq(path, 1);
	else
		(void)xpt_freeze_simq(path->bus->sim, 1);
	kcam_async_queue(&ccb->ccb_h);
	return;
fail:
	xpt_print(path, "no memory for event %#x\n", code);
	if (ccb != NULL)
		kcam_event_free(ccb);
}

void
xpt_async(uint32_t async_code, struct cam_path *path, void *async_arg)
{

	kcam_async_post(async_code, path, async_arg, M_NOWAIT);
}

void
kcam_async_bus_lost(struct cam_eb *bus)
{

	mtx_lock(&kcam.xpt_mtx);
	STAILQ_INSERT_TAIL(&kcam.lost_buses, KCAM_EB(bus), kb_lost_link);
	wakeup(&kcam.events);
	mtx_unlock(&kcam.xpt_mtx);
}

void
kcam_work_enqueue(struct kcam_work *kw, void (*fn)(void *), void *arg)
{

	kw->kw_fn = fn;
	kw->kw_arg = arg;
	mtx_lock(&kcam.xpt_mtx);
	STAILQ_INSERT_TAIL(&kcam.works, kw, kw_link);
	wakeup(&kcam.events);
	mtx_unlock(&kcam.xpt_mtx);
}

static struct kcam_anode *
kcam_async_find(struct async_list *list, ac_callback_t *fn, void *arg)
{
	struct async_node *an;

	SLIST_FOREACH(an, list, links) {
		if (an->callback == fn && an->callback_arg == arg &&
		    !KCAM_ANODE(an)->an_dead)
			return (KCAM_ANODE(an));
	}
	return (NULL);
}

/* (a) held.  Unlinks and frees the node unless it is being called. */
static void
kcam_async_kill(struct async_list *list, struct kcam_anode *node)
{

	node->an_dead = true;
	if (node->an_refs == 0) {
		SLIST_REMOVE(list, &node->an_node, async_node, links);
		free(node, M_CAMXPT);
	}
}

cam_status
kcam_async_register(struct cam_path *path, uint32_t events, ac_callback_t *fn,
    void *arg)
{
	struct async_list *list;
	struct kcam_anode *node;
	struct cam_ed *put = NULL;
	struct mtx *mtx;
	bool hold = false;

	list = path != NULL ? &path->device->asyncs : &kcam.asyncs;
	mtx_lock(&kcam.async_mtx);
	node = kcam_async_find(list, fn, arg);
	if (node == NULL && events != 0) {
		node = malloc(sizeof(*node), M_CAMXPT, M_NOWAIT | M_ZERO);
		if (node == NULL) {
			mtx_unlock(&kcam.async_mtx);
			return (CAM_RESRC_UNAVAIL);
		}
		mtx = path != NULL ? path->bus->sim->mtx : NULL;
		node->an_node.callback = fn;
		node->an_node.callback_arg = arg;
		node->an_node.event_lock = mtx != NULL && kcam_mtx_owned(mtx);
		SLIST_INSERT_HEAD(list, &node->an_node, links);
		hold = path != NULL;
	}
	if (node != NULL && events == 0) {
		kcam_async_kill(list, node);
		if (path != NULL)
			put = path->device;
	} else if (node != NULL)
		node->an_node.event_enable = events;
	mtx_unlock(&kcam.async_mtx);
	/* A listener keeps its device. */
	if (hold)
		xpt_acquire_device(path->device);
	if (put != NULL)
		kcam_device_put(put);
	return (CAM_REQ_CMP);
}

cam_status
xpt_register_async(int event, ac_callback_t *cbfunc, void *cbarg,
    struct cam_path *path)
{

	return (kcam_async_register(path, event, cbfunc, cbarg));
}

void
kcam_async_forget(struct async_list *list)
{
	struct async_node *an;

	while ((an = SLIST_FIRST(list)) != NULL) {
		SLIST_REMOVE_HEAD(list, links);
		free(an, M_CAMXPT);
	}
}

static void
kcam_async_call(struct kcam_anode *node, struct cam_ed *ed, uint32_t code,
    struct cam_path *path, void *arg)
{
	struct mtx *mtx;
	bool dead;

	mtx = node->an_node.event_lock ? ed->sim->mtx : &ed->device_mtx;
	mtx_lock(mtx);
	mtx_lock(&kcam.async_mtx);
	dead = node->an_dead;
	mtx_unlock(&kcam.async_mtx);
	if (!dead)
		(*node->an_node.callback)(node->an_node.callback_arg, code,
		    path, arg);
	mtx_unlock(mtx);
}

/* Calls the listeners of one list; ed's locks protect them. */
static void
kcam_async_list(struct async_list *list, struct cam_ed *ed, uint32_t code,
    struct cam_path *path, void *arg)
{
	struct async_node *an, *next;

	mtx_lock(&kcam.async_mtx);
	for (an = SLIST_FIRST(list); an != NULL; an = next) {
		if ((an->event_enable & code) != 0 &&
		    !KCAM_ANODE(an)->an_dead) {
			KCAM_ANODE(an)->an_refs++;
			mtx_unlock(&kcam.async_mtx);
			kcam_async_call(KCAM_ANODE(an), ed, code, path, arg);
			mtx_lock(&kcam.async_mtx);
			KCAM_ANODE(an)->an_refs--;
		}
		next = SLIST_NEXT(an, links);
		if (KCAM_ANODE(an)->an_dead)
			kcam_async_kill(list, KCAM_ANODE(an));
	}
	mtx_unlock(&kcam.async_mtx);
}

static void
kcam_async_periphs(struct cam_ed *ed, uint32_t code, void *arg)
{
	struct cam_periph *periph, *next;

	mtx_lock(&ed->device_mtx);
	SLIST_FOREACH_SAFE(periph, &ed->periphs, periph_links, next)
		kcam_disk_async(periph, code, arg);
	mtx_unlock(&ed->device_mtx);
}

/* What the transport itself makes of an event for a device. */
static void
kcam_async_device(struct cam_ed *ed, uint32_t code, void *arg)
{
	struct timeval now;

	switch (code) {
	case AC_SENT_BDR:
	case AC_BUS_RESET:
		microuptime(&now);
		ed->target->last_reset = now;
		if (code == AC_BUS_RESET)
			ed->target->bus->last_reset = now;
		break;
	case AC_LOST_DEVICE:
		/* First, so that a disk just attaching sees it, or is seen. */
		kcam_device_configured(ed, false);
		kcam_async_periphs(ed, code, arg);
		kcam_flush(ed, CAM_DEV_NOT_THERE);
		return;
	default:
		break;
	}
	kcam_async_periphs(ed, code, arg);
}

static void
kcam_async_deliver(struct cam_eb *bus, uint32_t code, struct cam_path *path,
    void *arg)
{
	struct cam_ed *ed = NULL;
	int comp;

	while ((ed = kcam_device_next(bus, ed)) != NULL) {
		comp = xpt_path_comp_dev(path, ed);
		if (comp < 0)
			continue;
		kcam_async_list(&ed->asyncs, ed, code, path, arg);
		if (comp != 2)
			kcam_async_device(ed, code, arg);
	}
	kcam_async_list(&kcam.asyncs, path->device, code, path, arg);
	if (code == AC_INQ_CHANGED)
		kcam_scan_path(path);
}

/* The end of a bus: its devices, then what it had of itself. */
static void
kcam_async_bury(struct cam_eb *bus)
{
	struct cam_path path = { .bus = bus };
	struct cam_periph *periph;
	struct cam_ed *ed = NULL;

	while (kcam_device_get(bus, CAM_TARGET_WILDCARD, CAM_LUN_WILDCARD,
	    M_WAITOK, &path.target, &path.device) != CAM_REQ_CMP)
		pause("camlost", hz / 10);
	kcam_async_deliver(bus, AC_LOST_DEVICE, &path, NULL);
	kcam_async_deliver(bus, AC_PATH_DEREGISTERED, &path, NULL);
	while ((ed = kcam_device_next(bus, ed)) != NULL) {
		mtx_lock(&ed->device_mtx);
		SLIST_FOREACH(periph, &ed->periphs, periph_links) {
			if ((atomic_load_int(&periph->flags) &
			    (CAM_PERIPH_INVALID | CAM_PERIPH_ANNOUNCED)) ==
			    CAM_PERIPH_ANNOUNCED)
				panic("scbus%u deregistered, but %s%u lives",
				    bus->path_id, periph->periph_name,
				    periph->unit_number);
		}
		mtx_unlock(&ed->device_mtx);
	}
	kcam_device_put(path.device);
	kcam_bus_release(bus);
}

/* The callback may free the path, and then has to do without its lock. */
static void
kcam_async_call_ccb(struct ccb_hdr *ccb_h)
{
	struct mtx *mtx = NULL;

	if ((ccb_h->flags & CAM_UNLOCKED) == 0) {
		mtx = xpt_path_mtx(ccb_h->path);
		mtx_lock(mtx);
	}
	ccb_h->pinfo.index = CAM_UNQUEUED_INDEX;
	(*ccb_h->cbfcnp)(ccb_h->path->periph, (union ccb *)ccb_h);
	if (mtx != NULL)
		mtx_unlock(mtx);
}

/* One thing to do, without (x); false if there is none. */
static bool
kcam_async_step(void)
{
	struct ccb_hdr *ccb_h;
	struct kcam_eb *kb;
	struct kcam_ed *ke;
	struct kcam_work *kw;

	if ((ccb_h = STAILQ_FIRST(&kcam.events)) != NULL) {
		STAILQ_REMOVE_HEAD(&kcam.events, sim_links.stqe);
		mtx_unlock(&kcam.xpt_mtx);
		kcam_async_call_ccb(ccb_h);
	} else if ((kb = STAILQ_FIRST(&kcam.lost_buses)) != NULL) {
		STAILQ_REMOVE_HEAD(&kcam.lost_buses, kb_lost_link);
		mtx_unlock(&kcam.xpt_mtx);
		kcam_async_bury(&kb->kb_eb);
	} else if ((kw = STAILQ_FIRST(&kcam.works)) != NULL) {
		STAILQ_REMOVE_HEAD(&kcam.works, kw_link);
		mtx_unlock(&kcam.xpt_mtx);
		(*kw->kw_fn)(kw->kw_arg);
	} else if ((ke = STAILQ_FIRST(&kcam.reap)) != NULL) {
		STAILQ_REMOVE_HEAD(&kcam.reap, ke_reap);
		mtx_unlock(&kcam.xpt_mtx);
		kcam_device_free(ke);
	} else
		return (false);
	mtx_lock(&kcam.xpt_mtx);
	return (true);
}

void
kcam_async_loop(void *arg)
{

	mtx_lock(&kcam.xpt_mtx);
	for (;;) {
		kcam.events_busy = 1;
		while (kcam_async_step())
			continue;
		kcam.events_busy = 0;
		wakeup(&kcam.events_busy);
		if (kcam.stopping)
			break;
		/* Woken by xpt_async(), a dropped device, kcam_fini(). */
		msleep(&kcam.events, &kcam.xpt_mtx, PRIBIO, "-", 0);
	}
	mtx_unlock(&kcam.xpt_mtx);
	kcam_thread_exit();
}

/* Waits until the event thread has nothing to do. */
void
kcam_async_drain(void)
{

	mtx_lock(&kcam.xpt_mtx);
	while (kcam.events_busy != 0 || !STAILQ_EMPTY(&kcam.events) ||
	    !STAILQ_EMPTY(&kcam.lost_buses) || !STAILQ_EMPTY(&kcam.works) ||
	    !STAILQ_EMPTY(&kcam.reap))
		msleep(&kcam.events_busy, &kcam.xpt_mtx, 0, "camev", 0);
	mtx_unlock(&kcam.xpt_mtx);
}
