/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Storage controllers of Hyper-V as newbus devices: tunables, probe, attach,
 * detach, suspend.  Attaching is a list of steps; whatever fails, detach undoes
 * what was done, so it takes a softc in any half-built state.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/module.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

MALLOC_DEFINE(M_STORVSC, "storvsc", "Hyper-V storage controllers");

static SYSCTL_NODE(_hw, OID_AUTO, storvsc, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "Hyper-V storage");

int storvsc_use_win8ext_flags = 1;
SYSCTL_INT(_hw_storvsc, OID_AUTO, use_win8ext_flags, CTLFLAG_RDTUN,
    &storvsc_use_win8ext_flags, 0,
    "Send request flags, queue tags and time limits to the host");

int storvsc_use_pim_unmapped = 1;
SYSCTL_INT(_hw_storvsc, OID_AUTO, use_pim_unmapped, CTLFLAG_RDTUN,
    &storvsc_use_pim_unmapped, 0, "Take I/O without a kernel mapping");

u_int storvsc_ringbuffer_size = 64 * PAGE_SIZE;
SYSCTL_UINT(_hw_storvsc, OID_AUTO, ringbuffer_size, CTLFLAG_RDTUN,
    &storvsc_ringbuffer_size, 0, "Ring size of a channel, bytes a direction");

u_int storvsc_max_io = 512;
SYSCTL_UINT(_hw_storvsc, OID_AUTO, max_io, CTLFLAG_RDTUN, &storvsc_max_io, 0,
    "Requests of a controller that can be under way");

u_int storvsc_chan_cnt = 0;
SYSCTL_UINT(_hw_storvsc, OID_AUTO, chan_cnt, CTLFLAG_RDTUN,
    &storvsc_chan_cnt, 0, "Channels of a controller, 0: as many as useful");

/* Bounds of the tunables. */
#define	STORVSC_RING_MIN	(4 * PAGE_SIZE)
#define	STORVSC_RING_MAX	(2048 * PAGE_SIZE)
#define	STORVSC_MAX_IO_MIN	4
#define	STORVSC_MAX_IO_MAX	4096

static const struct storvsc_class storvsc_classes[] = {
	{
		.cl_guid = HYPERV_GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05,
		    0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f),
		.cl_descr = "Hyper-V SCSI",
		.cl_sim = "storvsc",
	}, {
		.cl_guid = HYPERV_GUID(0x32412632, 0x86cb, 0x44a2, 0x9b, 0x5c,
		    0x50, 0xd1, 0x41, 0x73, 0x54, 0xf5),
		.cl_descr = "Hyper-V IDE",
		.cl_sim = "blkvsc",
		.cl_ide = true,
	},
};

/* The same, as devmatch(8) finds them in vmbus's plug-and-play strings. */
static const struct storvsc_pnp {
	const char	*classid;
} storvsc_pnp[] = {
	{ "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f" },
	{ "32412632-86cb-44a2-9b5c-50d1417354f5" },
};

static const struct storvsc_class *
storvsc_find_class(device_t dev)
{
	const struct hyperv_guid *type;
	u_int i;

	type = vmbus_get_type(dev);
	for (i = 0; i < nitems(storvsc_classes); i++) {
		if (hyperv_guid_equal(type, &storvsc_classes[i].cl_guid))
			return (&storvsc_classes[i]);
	}
	return (NULL);
}

static int
storvsc_probe(device_t dev)
{
	const struct storvsc_class *cl;

	if (!vmbus_owns(dev))
		return (ENXIO);
	cl = storvsc_find_class(dev);
	if (cl == NULL || (cl->cl_ide && storvsc_ide_probe(dev) != 0))
		return (ENXIO);
	device_set_desc(dev, cl->cl_descr);
	return (BUS_PROBE_DEFAULT);
}

/*
 * The host takes the device away.  From the bus's message thread: all that
 * waits is woken, new I/O fails, and what is under way ends when the bus
 * detaches us.
 */
static void
storvsc_rescinded(void *arg)
{
	struct storvsc_softc *sc = arg;

	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= STORVSC_F_RESCINDED;
	mtx_unlock(&sc->sc_mtx);
	storvsc_gate(sc, CAM_DEV_NOT_THERE);
	storvsc_exchange_wake(sc);
}

static int
storvsc_step_class(struct storvsc_softc *sc)
{

	sc->sc_class = storvsc_find_class(sc->sc_dev);
	return (sc->sc_class == NULL ? ENXIO : 0);
}

static int
storvsc_step_claim(struct storvsc_softc *sc)
{

	return (sc->sc_class->cl_ide ? storvsc_ide_claim(sc) : 0);
}

static int
storvsc_step_thread(struct storvsc_softc *sc)
{

	sc->sc_tq = taskqueue_create("storvsc", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->sc_tq);
	if (sc->sc_tq == NULL)
		return (ENOMEM);
	TASK_INIT(&sc->sc_recover, 0, storvsc_recover_task, sc);
	TIMEOUT_TASK_INIT(sc->sc_tq, &sc->sc_rescan, 0, storvsc_rescan_task,
	    sc);
	return (taskqueue_start_threads(&sc->sc_tq, 1, PWAIT, "%s",
	    device_get_nameunit(sc->sc_dev)));
}

static int
storvsc_step_connect(struct storvsc_softc *sc)
{

	vmbus_ch_set_rescind(vmbus_get_channel(sc->sc_dev), storvsc_rescinded,
	    sc);
	return (storvsc_connect(sc));
}

/*
 * Requests are dealt out evenly to the channels; together they are as many as
 * CAM may send.  The reserve for dumps comes on top, on the primary.
 */
static int
storvsc_step_requests(struct storvsc_softc *sc)
{
	uint32_t base, each, i;
	int error;

	sc->sc_maxio = MIN(sc->sc_props.pr_max_xfer, STORVSC_MAX_XFER);
	sc->sc_maxio = MIN(sc->sc_maxio, (uint32_t)maxphys);
	sc->sc_maxio = rounddown2(sc->sc_maxio, STORVSC_PAGE_SIZE);
	sc->sc_direct = bus_get_dma_tag(sc->sc_dev) == NULL;

	sc->sc_maxreqs = MIN(MAX(storvsc_max_io, STORVSC_MAX_IO_MIN),
	    STORVSC_MAX_IO_MAX);
	sc->sc_npool = sc->sc_nchan;
	each = howmany(sc->sc_maxreqs, sc->sc_npool);
	base = 0;
	for (i = 0; i < sc->sc_npool; i++) {
		error = storvsc_pool_alloc(sc->sc_chan[i], each, i == 0 ?
		    STORVSC_RESERVE : 0, base);
		if (error != 0)
			return (error);
		base += sc->sc_chan[i]->c_nreqs;
	}
	return (0);
}

static int
storvsc_step_sysctl(struct storvsc_softc *sc)
{

	storvsc_sysctl_attach(sc);
	return (0);
}

/* Before there are requests, whose recovery may change all this. */
static int
storvsc_step_announce(struct storvsc_softc *sc)
{

	device_printf(sc->sc_dev, "storage protocol %u.%u, %u channel%s, "
	    "%u KiB a request\n", STORVSC_VERSION_MAJOR(sc->sc_version),
	    STORVSC_VERSION_MINOR(sc->sc_version), sc->sc_nchan,
	    sc->sc_nchan == 1 ? "" : "s", sc->sc_maxio / 1024);
	return (0);
}

static const struct {
	const char	*what;
	int		(*fn)(struct storvsc_softc *);
} storvsc_steps[] = {
	{ "tell its kind", storvsc_step_class },
	{ "have the disk", storvsc_step_claim },
	{ "start a thread", storvsc_step_thread },
	{ "connect", storvsc_step_connect },
	{ "allocate requests", storvsc_step_requests },
	{ "add sysctls", storvsc_step_sysctl },
	{ "announce itself", storvsc_step_announce },
	{ "register with CAM", storvsc_cam_attach },
};

static int	storvsc_detach(device_t dev);

/* Recovery that one of these flags put off, if any was asked for. */
static void
storvsc_recover_allow(struct storvsc_softc *sc, uint32_t flag)
{
	bool recover;

	mtx_lock(&sc->sc_mtx);
	sc->sc_flags &= ~flag;
	recover = (sc->sc_flags & STORVSC_F_RECOVER) != 0;
	mtx_unlock(&sc->sc_mtx);
	if (recover)
		storvsc_recover_start(sc, 0);
}

static int
storvsc_attach(device_t dev)
{
	struct storvsc_softc *sc = device_get_softc(dev);
	u_int i;
	int error;

	sc->sc_dev = dev;
	sc->sc_flags = STORVSC_F_ATTACHING | STORVSC_F_SCANNING;
	mtx_init(&sc->sc_mtx, "storvsc", NULL, MTX_DEF);
	callout_init(&sc->sc_tick, 1);
	callout_init(&sc->sc_lost_tick, 1);
	STAILQ_INIT(&sc->sc_resets);
	STAILQ_INIT(&sc->sc_lost[0]);
	STAILQ_INIT(&sc->sc_lost[1]);
	storvsc_chan_alloc(sc);
	for (i = 0; i < nitems(storvsc_steps); i++) {
		error = storvsc_steps[i].fn(sc);
		if (error != 0) {
			device_printf(dev, "cannot %s: error %d\n",
			    storvsc_steps[i].what, error);
			(void)storvsc_detach(dev);
			return (error);
		}
	}
	storvsc_recover_allow(sc, STORVSC_F_ATTACHING);
	return (0);
}

/*
 * Requests that cannot be completed yet: busdma owes them a callback, or the
 * host did not confirm that it has let go of them.  Said once; the bus asks
 * again later.
 */
static int
storvsc_detach_busy(struct storvsc_softc *sc)
{

	if (!storvsc_flagged(sc, STORVSC_F_KEPT_SAID))
		device_printf(sc->sc_dev, "requests cannot be given up yet\n");
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= STORVSC_F_KEPT_SAID;
	sc->sc_flags &= ~STORVSC_F_IN_DETACH;
	mtx_unlock(&sc->sc_mtx);
	return (EBUSY);
}

static void
storvsc_free(struct storvsc_softc *sc)
{

	if (sc->sc_tq != NULL) {
		(void)taskqueue_cancel_timeout(sc->sc_tq, &sc->sc_rescan,
		    NULL);
		taskqueue_drain_timeout(sc->sc_tq, &sc->sc_rescan);
	}
	storvsc_sysctl_detach(sc);
	/* Its disks are in use, perhaps: storvsc_ccb_later(). */
	if (storvsc_flagged(sc, STORVSC_F_RESCINDED) && sc->sc_sim != NULL)
		pause("hvsgone", hz);
	storvsc_cam_detach(sc);
	/* Until now a CCB could have started it. */
	callout_drain(&sc->sc_tick);
	callout_drain(&sc->sc_lost_tick);
	if (sc->sc_tq != NULL)
		taskqueue_free(sc->sc_tq);
	storvsc_chan_free(sc);
	storvsc_ide_release(sc);
	mtx_destroy(&sc->sc_mtx);
}

/*
 * In this order: nothing new gets in; what waits ends; what is under way gets
 * its chance, if the host is still there; the channels close, from when on
 * all memory is ours; every CCB goes back; CAM lets go; memory goes.
 *
 * The topology lock is dropped whenever this sleeps, so a rescind and the
 * unloading of the module can both come here for one device.  The second is
 * told to try again; while it is asked it holds that lock, so the first is
 * asleep and the softc still there.
 */
static int
storvsc_detach(device_t dev)
{
	struct storvsc_softc *sc = device_get_softc(dev);
	bool second;
	int error;

	mtx_lock(&sc->sc_mtx);
	second = (sc->sc_flags & STORVSC_F_IN_DETACH) != 0;
	sc->sc_flags |= STORVSC_F_DETACHING | STORVSC_F_IN_DETACH;
	mtx_unlock(&sc->sc_mtx);
	if (second)
		return (EBUSY);
	storvsc_gate(sc, CAM_DEV_NOT_THERE);
	storvsc_exchange_wake(sc);
	if (sc->sc_tq != NULL)
		taskqueue_drain(sc->sc_tq, &sc->sc_recover);
	(void)storvsc_drain(sc, STORVSC_TIMEOUT_DRAIN, STORVSC_F_RESCINDED |
	    STORVSC_F_DEAD | STORVSC_F_KEPT_SAID);
	error = storvsc_disconnect(sc);
	vmbus_ch_set_rescind(vmbus_get_channel(dev), NULL, NULL);
	storvsc_io_fail_all(sc, CAM_DEV_NOT_THERE, error == 0);
	storvsc_fail_resets(sc);
	if (!storvsc_drain(sc, STORVSC_TIMEOUT_DRAIN, STORVSC_F_KEPT_SAID))
		return (storvsc_detach_busy(sc));
	storvsc_free(sc);
	return (0);
}

/*
 * Suspend closes the channels, once nothing is under way; CAM keeps what comes
 * in the meantime.
 */
static int
storvsc_suspend(device_t dev)
{
	struct storvsc_softc *sc = device_get_softc(dev);
	int error;

	xpt_freeze_simq(sc->sc_sim, 1);
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= STORVSC_F_SUSPENDED;
	mtx_unlock(&sc->sc_mtx);
	taskqueue_drain(sc->sc_tq, &sc->sc_recover);
	if (!storvsc_drain(sc, STORVSC_TIMEOUT_DRAIN,
	    STORVSC_F_RESCINDED)) {
		/* What ran out of time meanwhile is not looked at again. */
		storvsc_recover_allow(sc, STORVSC_F_SUSPENDED);
		xpt_release_simq(sc->sc_sim, TRUE);
		return (EBUSY);
	}
	storvsc_gate(sc, CAM_REQUEUE_REQ);
	error = storvsc_disconnect(sc);
	storvsc_io_fail_all(sc, CAM_REQUEUE_REQ, error == 0);
	return (0);
}

/* The controller connects anew on its own thread, as after a time-out. */
static int
storvsc_resume(device_t dev)
{
	struct storvsc_softc *sc = device_get_softc(dev);

	mtx_lock(&sc->sc_mtx);
	sc->sc_flags &= ~STORVSC_F_SUSPENDED;
	mtx_unlock(&sc->sc_mtx);
	storvsc_recover_start(sc, STORVSC_F_BROKEN);
	taskqueue_drain(sc->sc_tq, &sc->sc_recover);
	xpt_release_simq(sc->sc_sim, TRUE);
	return (0);
}

static device_method_t storvsc_methods[] = {
	DEVMETHOD(device_probe,		storvsc_probe),
	DEVMETHOD(device_attach,	storvsc_attach),
	DEVMETHOD(device_detach,	storvsc_detach),
	DEVMETHOD(device_suspend,	storvsc_suspend),
	DEVMETHOD(device_resume,	storvsc_resume),
	DEVMETHOD_END
};

static driver_t storvsc_driver = {
	"storvsc",
	storvsc_methods,
	sizeof(struct storvsc_softc)
};

/* Puts tunables that cannot work into their bounds. */
static int
storvsc_modevent(module_t mod __unused, int what, void *arg __unused)
{

	switch (what) {
	case MOD_LOAD:
		storvsc_ringbuffer_size = round_page(MIN(MAX(
		    storvsc_ringbuffer_size, STORVSC_RING_MIN),
		    STORVSC_RING_MAX));
		storvsc_ide_load();
		break;
	case MOD_UNLOAD:
		storvsc_ide_unload();
		break;
	}
	return (0);
}

DRIVER_MODULE(hv_storvsc, vmbus, storvsc_driver, storvsc_modevent, NULL);
MODULE_VERSION(hv_storvsc, 1);
MODULE_DEPEND(hv_storvsc, hv_vmbus, 1, 1, 1);
MODULE_DEPEND(hv_storvsc, cam, 1, 1, 1);
MODULE_PNP_INFO("Z:classid", vmbus, hv_storvsc, storvsc_pnp,
    nitems(storvsc_pnp));
