/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The existing device table: buses, their targets, their devices.  A device
 * holds its target and a target its bus; paths and configured devices hold the
 * device.  What nobody holds leaves the tables at once and its memory when the
 * event thread gets to it, since the last holder may own the SIM's mutex.
 */

#include "cam_var.h"

MALLOC_DEFINE(M_CAMXPT, "CAM XPT", "CAM XPT buffers");

struct cam_eb *
kcam_bus_find(path_id_t id)
{
	struct cam_eb *bus;

	mtx_lock(&kcam.topo_mtx);
	TAILQ_FOREACH(bus, &kcam.buses, links) {
		if (bus->path_id == id && !kcam_bus_gone(bus)) {
			bus->refcount++;
			break;
		}
	}
	mtx_unlock(&kcam.topo_mtx);
	return (bus);
}

void
kcam_bus_ref(struct cam_eb *bus)
{

	mtx_lock(&kcam.topo_mtx);
	KASSERT(bus->refcount > 0, ("%s: bus %p not held", __func__, bus));
	bus->refcount++;
	mtx_unlock(&kcam.topo_mtx);
}

void
kcam_bus_release(struct cam_eb *bus)
{

	mtx_lock(&kcam.topo_mtx);
	KASSERT(bus->refcount > 0, ("%s: bus %p not held", __func__, bus));
	if (--bus->refcount > 0) {
		mtx_unlock(&kcam.topo_mtx);
		return;
	}
	if (!kcam_bus_gone(bus))
		panic("%s: bus scbus%u released while registered", __func__,
		    bus->path_id);
	TAILQ_REMOVE(&kcam.buses, bus, links);
	kcam.bus_generation++;
	mtx_unlock(&kcam.topo_mtx);
	KASSERT(TAILQ_EMPTY(&bus->et_entries), ("%s: targets left", __func__));
	cam_sim_release(bus->sim);
	mtx_destroy(&bus->eb_mtx);
	free(bus, M_CAMXPT);
}

/* (b) held. */
static struct cam_et *
kcam_target_find(struct cam_eb *bus, target_id_t id)
{
	struct cam_et *et;

	mtx_assert(&bus->eb_mtx, MA_OWNED);
	TAILQ_FOREACH(et, &bus->et_entries, links) {
		if (et->target_id == id)
			return (et);
	}
	return (NULL);
}

static struct cam_et *
kcam_target_alloc(struct cam_eb *bus, target_id_t id, int how)
{
	struct cam_et *et;

	et = malloc(sizeof(*et), M_CAMXPT, how | M_ZERO);
	if (et == NULL)
		return (NULL);
	TAILQ_INIT(&et->ed_entries);
	et->bus = bus;
	et->target_id = id;
	mtx_init(&et->luns_mtx, "CAM LUNs lock", NULL, MTX_DEF);
	return (et);
}

static void
kcam_target_free(struct cam_et *et)
{

	mtx_destroy(&et->luns_mtx);
	free(et->luns, M_CAMXPT);
	free(et, M_CAMXPT);
}

/* Finds or makes the target, with a reference. */
static struct cam_et *
kcam_target_get(struct cam_eb *bus, target_id_t id, int how)
{
	struct cam_et *et, *new = NULL;

	mtx_lock(&bus->eb_mtx);
	et = kcam_target_find(bus, id);
	if (et == NULL) {
		mtx_unlock(&bus->eb_mtx);
		new = kcam_target_alloc(bus, id, how);
		mtx_lock(&bus->eb_mtx);
		et = kcam_target_find(bus, id);
	}
	if (et == NULL && new != NULL) {
		et = new;
		new = NULL;
		TAILQ_INSERT_TAIL(&bus->et_entries, et, links);
		bus->generation++;
		kcam_bus_ref(bus);
	}
	if (et != NULL)
		et->refcount++;
	mtx_unlock(&bus->eb_mtx);
	if (new != NULL)
		kcam_target_free(new);
	return (et);
}

/* The event thread's half of giving up a target; (b) not held. */
static void
kcam_target_put(struct cam_et *et)
{
	struct cam_eb *bus = et->bus;

	mtx_lock(&bus->eb_mtx);
	if (--et->refcount > 0) {
		mtx_unlock(&bus->eb_mtx);
		return;
	}
	TAILQ_REMOVE(&bus->et_entries, et, links);
	bus->generation++;
	mtx_unlock(&bus->eb_mtx);
	kcam_target_free(et);
	kcam_bus_release(bus);
}

/* The queue's memory is never waited for; a caller who may wait tries on. */
#define	KCAM_ALLOC_TRIES	100

static struct cam_ed *
kcam_ed_alloc(struct cam_et *target, lun_id_t lun_id, int how)
{
	struct cam_sim *sim = target->bus->sim;
	struct kcam_ed *ke;
	struct cam_ed *ed;
	int tries;

	ke = malloc(sizeof(*ke), M_CAMXPT, how | M_ZERO);
	if (ke == NULL)
		return (NULL);
	ed = &ke->ke_ed;
	/* Untagged until INQUIRY has told that the device queues. */
	tries = (how & M_WAITOK) != 0 ? KCAM_ALLOC_TRIES : 1;
	while (cam_ccbq_init(&ed->ccbq, sim->max_dev_openings) != 0) {
		if (--tries == 0) {
			free(ke, M_CAMXPT);
			return (NULL);
		}
	}
	cam_init_pinfo(&ed->devq_entry);
	ed->target = target;
	ed->sim = sim;
	ed->lun_id = lun_id;
	ed->maxtags = 255;
	ed->mintags = 2;
	ed->protocol = PROTO_UNKNOWN;
	ed->transport = XPORT_UNKNOWN;
	SLIST_INIT(&ed->asyncs);
	SLIST_INIT(&ed->periphs);
	ed->flags = CAM_DEV_UNCONFIGURED;
	callout_init(&ed->callout, 1);
	callout_init_mtx(&ke->ke_unfreeze, &sim->devq->send_mtx, 0);
	mtx_init(&ed->device_mtx, "CAM device lock", NULL, MTX_DEF);
	TAILQ_INIT(&ke->ke_active);
	return (ed);
}

/* Of one that no table has known. */
static void
kcam_ed_free(struct cam_ed *ed)
{

	cam_ccbq_fini(&ed->ccbq);
	mtx_destroy(&ed->device_mtx);
	free(ed->supported_vpds, M_CAMXPT);
	free(ed->device_id, M_CAMXPT);
	free(ed->serial_num, M_CAMXPT);
	free(ed->rcap_buf, M_CAMXPT);
	free(KCAM_ED(ed), M_CAMXPT);
}

/* (b) held. */
static struct cam_ed *
kcam_ed_find(struct cam_et *et, lun_id_t lun)
{
	struct cam_ed *ed;

	TAILQ_FOREACH(ed, &et->ed_entries, links) {
		if (ed->lun_id == lun)
			return (ed);
	}
	return (NULL);
}

/*
 * Finds or makes the device, with a reference.  With M_WAITOK a want of memory
 * is sat out.
 */
cam_status
kcam_device_get(struct cam_eb *bus, target_id_t target, lun_id_t lun,
    int how, struct cam_et **etp, struct cam_ed **edp)
{
	struct cam_et *et;
	struct cam_ed *ed, *new = NULL;

	et = kcam_target_get(bus, target, how);
	if (et == NULL)
		return (CAM_RESRC_UNAVAIL);
	mtx_lock(&bus->eb_mtx);
	ed = kcam_ed_find(et, lun);
	if (ed == NULL) {
		mtx_unlock(&bus->eb_mtx);
		new = kcam_ed_alloc(et, lun, how);
		mtx_lock(&bus->eb_mtx);
		ed = kcam_ed_find(et, lun);
	}
	if (ed == NULL && new != NULL) {
		ed = new;
		new = NULL;
		et->refcount++;
		TAILQ_INSERT_TAIL(&et->ed_entries, ed, links);
		et->generation++;
	}
	if (ed != NULL)
		ed->refcount++;
	mtx_unlock(&bus->eb_mtx);
	if (new != NULL)
		kcam_ed_free(new);
	kcam_target_put(et);
	if (ed == NULL)
		return (CAM_RESRC_UNAVAIL);
	*etp = ed->target;
	*edp = ed;
	return (CAM_REQ_CMP);
}

void
xpt_acquire_device(struct cam_ed *device)
{
	struct cam_eb *bus = device->target->bus;

	mtx_lock(&bus->eb_mtx);
	KASSERT(device->refcount > 0, ("%s: device %p not held", __func__,
	    device));
	device->refcount++;
	mtx_unlock(&bus->eb_mtx);
}

void
kcam_device_put(struct cam_ed *ed)
{
	struct kcam_ed *ke = KCAM_ED(ed);
	struct cam_et *et = ed->target;
	struct cam_eb *bus = et->bus;

	mtx_lock(&bus->eb_mtx);
	KASSERT(ed->refcount > 0, ("%s: device %p not held", __func__, ed));
	if (--ed->refcount > 0) {
		mtx_unlock(&bus->eb_mtx);
		return;
	}
	TAILQ_REMOVE(&et->ed_entries, ed, links);
	et->generation++;
	mtx_unlock(&bus->eb_mtx);
	mtx_lock(&kcam.xpt_mtx);
	STAILQ_INSERT_TAIL(&kcam.reap, ke, ke_reap);
	wakeup(&kcam.events);
	mtx_unlock(&kcam.xpt_mtx);
}

void
xpt_release_device(struct cam_ed *device)
{

	kcam_device_put(device);
}

/* On the event thread, for a device that no table knows any more. */
void
kcam_device_free(struct kcam_ed *ke)
{
	struct cam_ed *ed = &ke->ke_ed;
	struct cam_et *et = ed->target;

	callout_drain(&ke->ke_unfreeze);
	callout_drain(&ed->callout);
	/* A done callback that let go of the last path may own it still. */
	mtx_lock(&ed->device_mtx);
	mtx_unlock(&ed->device_mtx);
	if (!TAILQ_EMPTY(&ke->ke_active) ||
	    cam_ccbq_pending_ccb_count(&ed->ccbq) != 0)
		panic("%s: device %p freed with CCBs outstanding", __func__,
		    ed);
	KASSERT(SLIST_EMPTY(&ed->periphs), ("%s: periphs left", __func__));
	kcam_async_forget(&ed->asyncs);
	mtx_lock(&ed->sim->devq->send_mtx);
	if (ke->ke_running)
		TAILQ_REMOVE(&KCAM_DEVQ(ed->sim->devq)->kq_run, ke, ke_run);
	mtx_unlock(&ed->sim->devq->send_mtx);
	kcam_ed_free(ed);
	kcam_target_put(et);
}

/*
 * A device whose INQUIRY was good is held by that, unless its bus is leaving
 * and will not let go of it again.
 */
void
kcam_device_configured(struct cam_ed *ed, bool yes)
{
	struct cam_eb *bus = ed->target->bus;
	bool was;

	mtx_lock(&bus->eb_mtx);
	was = kcam_configured(ed);
	if (yes && !was && !kcam_bus_gone(bus)) {
		atomic_clear_int(&ed->flags, CAM_DEV_UNCONFIGURED);
		ed->refcount++;
	} else if (!yes)
		atomic_set_int(&ed->flags, CAM_DEV_UNCONFIGURED);
	mtx_unlock(&bus->eb_mtx);
	if (was && !yes)
		kcam_device_put(ed);
}

static struct cam_ed *
kcam_target_first(struct cam_et *et)
{
	struct cam_ed *ed;

	for (; et != NULL; et = TAILQ_NEXT(et, links)) {
		ed = TAILQ_FIRST(&et->ed_entries);
		if (ed != NULL)
			return (ed);
	}
	return (NULL);
}

struct cam_ed *
kcam_device_next(struct cam_eb *bus, struct cam_ed *after)
{
	struct cam_ed *ed;

	mtx_lock(&bus->eb_mtx);
	if (after == NULL)
		ed = kcam_target_first(TAILQ_FIRST(&bus->et_entries));
	else if ((ed = TAILQ_NEXT(after, links)) == NULL)
		ed = kcam_target_first(TAILQ_NEXT(after->target, links));
	if (ed != NULL)
		ed->refcount++;
	mtx_unlock(&bus->eb_mtx);
	if (after != NULL)
		kcam_device_put(after);
	return (ed);
}

uint32_t
xpt_dev_ccbq_resize(struct cam_path *path, int newopenings)
{
	struct mtx *mtx = &path->device->sim->devq->send_mtx;
	uint32_t status;

	mtx_lock(mtx);
	status = cam_ccbq_resize(&path->device->ccbq, newopenings);
	mtx_unlock(mtx);
	return (status);
}

void
xpt_start_tags(struct cam_path *path)
{
	struct cam_ed *ed = path->device;

	ed->inq_flags |= SID_CmdQue;
	xpt_dev_ccbq_resize(path, imax(1, imin((int)ed->maxtags,
	    ed->sim->max_tagged_dev_openings)));
}

void
xpt_stop_tags(struct cam_path *path)
{
	struct cam_ed *ed = path->device;

	ed->inq_flags &= ~SID_CmdQue;
	xpt_dev_ccbq_resize(path, imax(1, ed->sim->max_dev_openings));
}

void
xpt_lock_buses(void)
{

	mtx_lock(&kcam.topo_mtx);
}

void
xpt_unlock_buses(void)
{

	mtx_unlock(&kcam.topo_mtx);
}
