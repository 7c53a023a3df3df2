/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Time synchronisation: what the host says of its clock, and what is made of it
 * (protocol: utilities, section 4).  To set a clock can take its time, for the
 * hardware's is set with it, so that is done by a thread that other devices do
 * not wait for; the host gets its answer when it is done.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/eventhandler.h>
#include <sys/taskqueue.h>

#include <dev/hyperv/utilities/hv_ic_var.h>
#include <dev/hyperv/utilities/hv_timesync_var.h>

static SYSCTL_NODE(_hw, OID_AUTO, hvtimesync, CTLFLAG_RD | CTLFLAG_MPSAFE,
    NULL, "Hyper-V time synchronisation");

static int hv_timesync_ignore_sync = 0;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, ignore_sync, CTLFLAG_RWTUN,
    &hv_timesync_ignore_sync, 0,
    "Do not set the clock when the host asks for it");

static int hv_timesync_thresh = 100;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, sample_thresh, CTLFLAG_RWTUN,
    &hv_timesync_thresh, 0,
    "Set the clock if a sample says that it is so far behind (ms); "
    "0: ignore samples");

static int hv_timesync_backward = 0;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, sample_backward, CTLFLAG_RWTUN,
    &hv_timesync_backward, 0,
    "Also set it back if a sample says that it is so far ahead");

static int hv_timesync_slew_max = 1000;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, slew_max, CTLFLAG_RWTUN,
    &hv_timesync_slew_max, 0,
    "Slew the clock after a sample by at most this (ms); 0: do not");

static int hv_timesync_verbose = 0;
SYSCTL_INT(_hw_hvtimesync, OID_AUTO, sample_verbose, CTLFLAG_RWTUN,
    &hv_timesync_verbose, 0, "Report each sample on the console");

static const uint32_t hv_timesync_versions[] = {
	HV_IC_VERSION(4, 0),
	HV_IC_VERSION(3, 0),
	HV_IC_VERSION(1, 0),
};

/*
 * Lock key: (m) ts_mtx, which comes before the frame's; (a) set while
 * attaching; (t) the task only.
 */
struct hv_timesync_softc {
	struct hv_ic_softc	 ts_ic;		/* first */
	bool			 ts_init;	/* (a) */
	struct mtx		 ts_mtx;
	struct task		 ts_task;
	struct hv_ic_msg	*ts_msg;	/* (m) to be answered */
	struct hv_timesync_ref	 ts_ref;	/* (m) the newest */
	uint8_t			 ts_flags;	/* (m) due, HV_IC_TS_ */
	bool			 ts_synced;	/* (m) ts_ref is of use */
	eventhandler_tag	 ts_mountroot;	/* (a) */
	eventhandler_tag	 ts_resume;	/* (a) */
	int64_t			 ts_offset;	/* (t) ns, of the last sample */
	uint64_t		 ts_syncs;	/* (t) */
	uint64_t		 ts_samples;	/* (t) */
	uint64_t		 ts_steps;	/* (t) by samples */
	uint64_t		 ts_slews;	/* (t) */
};

/* --- The task --- */

static uint32_t
hv_timesync_sync(struct hv_timesync_softc *sc,
    const struct hv_timesync_ref *tr)
{
	int error;

	error = hv_timesync_step(tr);
	if (error != 0) {
		device_printf(sc->ts_ic.ic_dev, "cannot set the clock: error "
		    "%d\n", error);
		return (HV_IC_S_FAIL);
	}
	sc->ts_syncs++;
	return (HV_IC_S_OK);
}

static uint32_t
hv_timesync_sample(struct hv_timesync_softc *sc,
    const struct hv_timesync_ref *tr)
{
	struct hv_timesync_limits tl;
	enum hv_timesync_act act;
	int64_t ofs, slew;

	if (!hv_timesync_offset(tr, &ofs))
		return (HV_IC_S_OK);
	sc->ts_samples++;
	sc->ts_offset = ofs;
	tl.tl_thresh = hv_timesync_thresh;
	tl.tl_slew_max = hv_timesync_slew_max;
	tl.tl_backward = hv_timesync_backward != 0;
	act = hv_timesync_disciplined() ? HV_TIMESYNC_NOTHING :
	    hv_timesync_decide(ofs, &tl, &slew);
	if (hv_timesync_verbose)
		device_printf(sc->ts_ic.ic_dev, "sample: behind by %jd ns, "
		    "%s\n", (intmax_t)ofs, act == HV_TIMESYNC_STEP ? "set" :
		    act == HV_TIMESYNC_SLEW ? "slewed" : "left alone");
	switch (act) {
	case HV_TIMESYNC_NOTHING:
		break;
	case HV_TIMESYNC_SLEW:
		sc->ts_slews++;
		hv_timesync_slew(slew);
		break;
	case HV_TIMESYNC_STEP:
		sc->ts_steps++;
		return (hv_timesync_step(tr) == 0 ? HV_IC_S_OK :
		    HV_IC_S_FAIL);
	}
	return (HV_IC_S_OK);
}

/*
 * Until the root is mounted the kernel has its clock set for the first time
 * still before it, by the hardware's: a sync waits for that, and its answer
 * does not.
 */
static void
hv_timesync_task(void *arg, int pending __unused)
{
	struct hv_timesync_softc *sc = arg;
	struct hv_timesync_ref tr;
	struct hv_ic_msg *im;
	uint32_t status;
	uint8_t flags;

	mtx_lock(&sc->ts_mtx);
	im = sc->ts_msg;
	sc->ts_msg = NULL;
	tr = sc->ts_ref;
	flags = sc->ts_flags;
	sc->ts_flags = 0;
	mtx_unlock(&sc->ts_mtx);
	status = HV_IC_S_OK;
	if (root_mounted()) {
		if ((flags & HV_IC_TS_SYNC) != 0 && !hv_timesync_ignore_sync)
			status = hv_timesync_sync(sc, &tr);
		else if ((flags & HV_IC_TS_SAMPLE) != 0)
			status = hv_timesync_sample(sc, &tr);
	}
	if (im != NULL)
		hv_ic_reply(&sc->ts_ic, im, status);
}

/*
 * The kernel has set the clock by the hardware's, which counts seconds: the
 * root is mounted, or the machine woke up.  The host's word still holds.
 */
static void
hv_timesync_again(void *arg)
{
	struct hv_timesync_softc *sc = arg;
	bool synced;

	mtx_lock(&sc->ts_mtx);
	synced = sc->ts_synced;
	if (synced)
		sc->ts_flags |= HV_IC_TS_SYNC;
	mtx_unlock(&sc->ts_mtx);
	if (synced)
		taskqueue_enqueue(taskqueue_thread, &sc->ts_task);
}

/* --- Messages --- */

/*
 * What the message says, by version; false: it is too short.  Where the host
 * does not tell its reference time, or there is none here to compare it with,
 * the way of the message is taken to have been no time.
 */
static bool
hv_timesync_parse(struct hv_ic_softc *ic, struct hv_ic_msg *im,
    struct hv_timesync_ref *tr, uint8_t *flags)
{
	const struct hv_ic_timesync4 *t4 = hv_ic_body(im);
	const struct hv_ic_timesync *ts = hv_ic_body(im);
	uint64_t now;

	now = hyperv_reftime();
	if (hv_ic_version(ic) >= HV_IC_VERSION(4, 0)) {
		if (hv_ic_body_len(im) < sizeof(*t4))
			return (false);
		tr->tr_host = t4->t4_host;
		tr->tr_ref = now == 0 ? 0 : t4->t4_ref;
		*flags = t4->t4_flags;
	} else {
		if (hv_ic_body_len(im) < sizeof(*ts))
			return (false);
		tr->tr_host = ts->ts_host;
		tr->tr_ref = now;
		*flags = ts->ts_flags;
	}
	return (true);
}

/*
 * A host that does not wait for the answer has the older message answered, and
 * the newer counts; that the clock is to be set is not forgotten.
 */
static uint32_t
hv_timesync_request(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	struct hv_timesync_softc *sc = (struct hv_timesync_softc *)ic;
	struct hv_timesync_ref tr;
	struct hv_ic_msg *old;
	uint8_t flags;

	if (!hv_timesync_parse(ic, im, &tr, &flags)) {
		hv_ic_bad(ic, "short message", hv_ic_body_len(im));
		return (HV_IC_S_INVALID_ARG);
	}
	if ((flags & (HV_IC_TS_SYNC | HV_IC_TS_SAMPLE)) == 0)
		return (HV_IC_S_OK);
	if (!hv_timesync_valid(&tr)) {
		hv_ic_bad(ic, "time", tr.tr_host);
		return (HV_IC_S_INVALID_ARG);
	}
	mtx_lock(&sc->ts_mtx);
	old = sc->ts_msg;
	sc->ts_msg = im;
	sc->ts_ref = tr;
	sc->ts_flags |= flags & (HV_IC_TS_SYNC | HV_IC_TS_SAMPLE);
	sc->ts_synced = sc->ts_synced || (flags & HV_IC_TS_SYNC) != 0;
	mtx_unlock(&sc->ts_mtx);
	if (old != NULL)
		hv_ic_reply(ic, old, HV_IC_S_OK);
	taskqueue_enqueue(taskqueue_thread, &sc->ts_task);
	return (HV_IC_LATER);
}

static const struct hv_ic_service hv_timesync_service = {
	.is_guid = HYPERV_GUID(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8,
	    0x0a, 0xb0, 0x17, 0x5c, 0xaf),
	.is_descr = "Hyper-V Time Synchronisation",
	.is_type = HV_IC_TYPE_TIMESYNC,
	.is_keep = 1,
	.is_versions = hv_timesync_versions,
	.is_nversions = nitems(hv_timesync_versions),
	.is_handler = hv_timesync_request,
};

/* The same, as devmatch(8) finds it in vmbus's plug-and-play strings. */
static const struct hv_ic_pnp hv_timesync_pnp[] = {
	{ "9527e630-d0ae-497b-adce-e80ab0175caf" },
};

/* --- The device --- */

static int
hv_timesync_probe(device_t dev)
{

	return (hv_ic_probe(dev, &hv_timesync_service));
}

static void
hv_timesync_free(struct hv_timesync_softc *sc)
{

	if (!sc->ts_init)
		return;
	EVENTHANDLER_DEREGISTER(mountroot, sc->ts_mountroot);
	EVENTHANDLER_DEREGISTER(power_resume, sc->ts_resume);
	taskqueue_drain(taskqueue_thread, &sc->ts_task);
	mtx_destroy(&sc->ts_mtx);
	sc->ts_init = false;
}

/* dev.hvtimesync.N, beside what the frame has there; it takes them away. */
static void
hv_timesync_sysctl(struct hv_timesync_softc *sc)
{
	struct sysctl_ctx_list *ctx = &sc->ts_ic.ic_sysctl;
	struct sysctl_oid_list *list;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->ts_ic.ic_dev));
	SYSCTL_ADD_S64(ctx, list, OID_AUTO, "offset", CTLFLAG_RD,
	    &sc->ts_offset, 0, "How far behind the last sample found the "
	    "clock (ns)");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "syncs", CTLFLAG_RD,
	    &sc->ts_syncs, 0, "Times that the host had the clock set");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "samples", CTLFLAG_RD,
	    &sc->ts_samples, 0, "Samples of the host's clock");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "steps", CTLFLAG_RD,
	    &sc->ts_steps, 0, "Samples that had the clock set");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "slews", CTLFLAG_RD,
	    &sc->ts_slews, 0, "Samples that had the clock slewed");
}

static int
hv_timesync_attach(device_t dev)
{
	struct hv_timesync_softc *sc = device_get_softc(dev);
	int error;

	mtx_init(&sc->ts_mtx, "hvtimesync", NULL, MTX_DEF);
	TASK_INIT(&sc->ts_task, 0, hv_timesync_task, sc);
	sc->ts_mountroot = EVENTHANDLER_REGISTER(mountroot,
	    hv_timesync_again, sc, EVENTHANDLER_PRI_LAST);
	sc->ts_resume = EVENTHANDLER_REGISTER(power_resume,
	    hv_timesync_again, sc, EVENTHANDLER_PRI_LAST);
	sc->ts_init = true;
	error = hv_ic_attach(dev, &hv_timesync_service);
	if (error == 0)
		hv_timesync_sysctl(sc);
	else
		hv_timesync_free(sc);
	return (error);
}

/* The task answers what it has before it ends. */
static int
hv_timesync_detach(device_t dev)
{
	struct hv_timesync_softc *sc = device_get_softc(dev);
	int error;

	error = hv_ic_detach_begin(dev);
	if (error != 0)
		return (error);
	hv_timesync_free(sc);
	hv_ic_detach_end(dev);
	return (0);
}

static device_method_t hv_timesync_methods[] = {
	DEVMETHOD(device_probe,		hv_timesync_probe),
	DEVMETHOD(device_attach,	hv_timesync_attach),
	DEVMETHOD(device_detach,	hv_timesync_detach),
	DEVMETHOD(device_suspend,	hv_ic_suspend),
	DEVMETHOD(device_resume,	hv_ic_resume),
	DEVMETHOD_END
};

static driver_t hv_timesync_driver = {
	"hvtimesync",
	hv_timesync_methods,
	sizeof(struct hv_timesync_softc)
};

HV_IC_DRIVER(hv_ic_timesync, hv_timesync_driver, hv_timesync_pnp);
