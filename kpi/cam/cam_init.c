/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Registration of buses, start and end of the subsystem, its threads.
 */

#include "cam_var.h"

#include <sys/kthread.h>
#include <sys/module.h>
#include <sys/proc.h>

struct kcam kcam;

int kcam_retry_count = 4;
int kcam_default_timeout = 60;

SYSCTL_DECL(_kern_cam);
SYSCTL_NODE(_kern_cam, OID_AUTO, da, CTLFLAG_RD | CTLFLAG_MPSAFE, 0,
    "CAM Direct Access Disk driver");
SYSCTL_INT(_kern_cam_da, OID_AUTO, default_timeout, CTLFLAG_RWTUN,
    &kcam_default_timeout, 0, "Normal I/O timeout (in seconds)");
SYSCTL_INT(_kern_cam_da, OID_AUTO, retry_count, CTLFLAG_RWTUN,
    &kcam_retry_count, 0, "Normal I/O retry count");

MODULE_VERSION(cam, 1);

static path_id_t
xpt_path_id(void)
{
	struct cam_eb *bus;
	path_id_t id = 0;

	mtx_assert(&kcam.topo_mtx, MA_OWNED);
	/* The list is sorted, so the first gap ends the walk. */
	TAILQ_FOREACH(bus, &kcam.buses, links) {
		if (bus->path_id != id)
			break;
		id++;
	}
	return (id);
}

static void
xpt_bus_insert(struct cam_eb *bus)
{
	struct cam_eb *next;

	TAILQ_FOREACH(next, &kcam.buses, links) {
		if (next->path_id > bus->path_id)
			break;
	}
	if (next != NULL)
		TAILQ_INSERT_BEFORE(next, bus, links);
	else
		TAILQ_INSERT_TAIL(&kcam.buses, bus, links);
	kcam.bus_generation++;
}

/* The first scan; on the event thread, which may wait for memory. */
static void
xpt_bus_scan(void *arg)
{
	struct cam_eb *bus = arg;
	struct cam_path path;

	if (kcam_path_compile(&path, NULL, bus->path_id, CAM_TARGET_WILDCARD,
	    CAM_LUN_WILDCARD, M_WAITOK) == CAM_REQ_CMP) {
		kcam_scan_path(&path);
		xpt_release_path(&path);
	}
	kcam_bus_release(bus);
}

/* Those of which a kernel has a transport. */
static bool
xpt_transport_known(cam_xport transport)
{

	switch (transport) {
	case XPORT_SPI:
	case XPORT_FC:
	case XPORT_USB:
	case XPORT_PPB:
	case XPORT_ATA:
	case XPORT_SATA:
	case XPORT_SAS:
	case XPORT_ISCSI:
	case XPORT_SRP:
		return (true);
	default:
		return (false);
	}
}

/* Tells listeners of the bus, and scans it unless the SIM does that. */
static int
xpt_bus_announce(struct cam_path *path)
{
	struct ccb_pathinq cpi;

	xpt_path_inq(&cpi, path);
	if ((cpi.ccb_h.status & CAM_STATUS_MASK) != CAM_REQ_CMP)
		return (CAM_SUCCESS);
	if (!xpt_transport_known(cpi.transport)) {
		xpt_print(path, "No transport found for %d\n", cpi.transport);
		return (EINVAL);
	}
	xpt_async(AC_PATH_REGISTERED, path, &cpi);
	if ((cpi.hba_misc & PIM_NOSCAN) != 0)
		return (CAM_SUCCESS);
	kcam_bus_ref(path->bus);
	kcam_work_enqueue(&KCAM_EB(path->bus)->kb_scan, xpt_bus_scan,
	    path->bus);
	return (CAM_SUCCESS);
}

int
xpt_bus_register(struct cam_sim *sim, device_t parent, uint32_t bus)
{
	struct kcam_eb *kb;
	struct cam_path path;
	int error;

	KASSERT(sim->devq != NULL, ("%s: SIM without a queue", __func__));
	kb = malloc(sizeof(*kb), M_CAMXPT, M_NOWAIT | M_ZERO);
	if (kb == NULL)
		return (ENOMEM);
	sim->bus_id = bus;
	TAILQ_INIT(&kb->kb_eb.et_entries);
	kb->kb_eb.sim = sim;
	kb->kb_eb.parent_dev = parent;
	/* The registration's own, until the event thread buries the bus. */
	kb->kb_eb.refcount = 1;
	mtx_init(&kb->kb_eb.eb_mtx, "CAM bus lock", NULL, MTX_DEF);
	cam_sim_hold(sim);
	mtx_lock(&kcam.topo_mtx);
	kb->kb_eb.path_id = sim->path_id = xpt_path_id();
	xpt_bus_insert(&kb->kb_eb);
	mtx_unlock(&kcam.topo_mtx);
	if (xpt_compile_path(&path, NULL, sim->path_id, CAM_TARGET_WILDCARD,
	    CAM_LUN_WILDCARD) != CAM_REQ_CMP) {
		kb->kb_dead = 1;
		kcam_bus_release(&kb->kb_eb);
		sim->path_id = CAM_PATH_ANY;
		return (ENOMEM);
	}
	error = xpt_bus_announce(&path);
	if (error != 0) {
		kb->kb_dead = 1;
		kcam_bus_release(&kb->kb_eb);
		sim->path_id = CAM_PATH_ANY;
	}
	xpt_release_path(&path);
	return (error);
}

int
xpt_bus_deregister(path_id_t path_id)
{
	struct cam_eb *bus;

	bus = kcam_bus_find(path_id);
	if (bus == NULL)
		return (ENXIO);
	kcam_bus_dead(bus);
	kcam_async_bus_lost(bus);
	kcam_bus_release(bus);
	return (CAM_SUCCESS);
}

void
kcam_thread(void (*fn)(void *), void *arg, const char *name)
{
	int error;

	mtx_lock(&kcam.xpt_mtx);
	kcam.threads++;
	mtx_unlock(&kcam.xpt_mtx);
	error = kproc_create(fn, arg, NULL, 0, 0, "%s", name);
	if (error != 0)
		panic("%s: cannot create %s: %d", __func__, name, error);
}

void
kcam_thread_exit(void)
{

	mtx_lock(&kcam.xpt_mtx);
	kcam.threads--;
	wakeup(&kcam.threads);
	mtx_unlock(&kcam.xpt_mtx);
	kproc_exit(0);
}

static void
kcam_init(void *arg)
{

	mtx_init(&kcam.topo_mtx, "XPT topology lock", NULL, MTX_DEF);
	mtx_init(&kcam.xpt_mtx, "XPT lock", NULL, MTX_DEF);
	mtx_init(&kcam.async_mtx, "XPT async lock", NULL, MTX_DEF);
	TAILQ_INIT(&kcam.buses);
	STAILQ_INIT(&kcam.events);
	STAILQ_INIT(&kcam.lost_buses);
	STAILQ_INIT(&kcam.reap);
	STAILQ_INIT(&kcam.works);
	STAILQ_INIT(&kcam.scans);
	SLIST_INIT(&kcam.asyncs);
	kcam_done_start();
	kcam_thread(kcam_async_loop, NULL, "xpt_thrd");
}
/* Before the drivers attach, which happens at SI_SUB_CONFIGURE. */
SYSINIT(kcam, SI_SUB_DRIVERS, SI_ORDER_FIRST, kcam_init, NULL);

/*
 * Buses that were registered while devices attached are scanned once interrupts
 * and clocks work.
 */
static void
kcam_scan_start(void *arg)
{

	kcam_thread(kcam_scan_loop, NULL, "cam scan");
}
SYSINIT(kcam_scan, SI_SUB_INT_CONFIG_HOOKS, SI_ORDER_FIRST, kcam_scan_start,
    NULL);

static void
kcam_fini(void *arg)
{

	mtx_lock(&kcam.xpt_mtx);
	kcam.stopping = true;
	wakeup(&kcam.events);
	wakeup(&kcam.scans);
	mtx_unlock(&kcam.xpt_mtx);
	kcam_done_stop();
	mtx_lock(&kcam.xpt_mtx);
	while (kcam.threads > 0) {
		/* Woken by kcam_thread_exit(). */
		msleep(&kcam.threads, &kcam.xpt_mtx, 0, "camfin", 0);
	}
	mtx_unlock(&kcam.xpt_mtx);
	if (kcam.boot_holds != 0)
		panic("%s: %u still hold the boot", __func__,
		    kcam.boot_holds);
	kcam_async_forget(&kcam.asyncs);
	kcam_disk_fini();
}
SYSUNINIT(kcam, SI_SUB_DRIVERS, SI_ORDER_FIRST, kcam_fini, NULL);
