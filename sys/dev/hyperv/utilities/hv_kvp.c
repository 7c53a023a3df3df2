/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Key-value pairs: the kernel's part is to hand the host's requests, one at a
 * time, to hv_kvp_daemon(8) through /dev/hv_kvp_dev, and to see to it that the
 * host gets an answer to each, whatever the daemon does (protocol: utilities,
 * section 6).
 *
 * Versions are agreed on whether or not there is a daemon.  While the system
 * boots the first request waits for one, as long as hosts are known to wait;
 * later the wait is as short as that for an answer, so that a daemon can be
 * restarted without the host noticing, but not for longer.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/conf.h>
#include <sys/event.h>
#include <sys/fcntl.h>
#include <sys/poll.h>
#include <sys/selinfo.h>
#include <sys/uio.h>

#include <dev/hyperv/utilities/hv_ic_var.h>
#include <dev/hyperv/utilities/hv_kvp_conv.h>
#include <dev/hyperv/utilities/hv_kvp_dev.h>

/*
 * Lock: ks_mtx, before ic_mtx.  Newbus is looked at without it.
 *
 * Lock key:	(m)	ks_mtx
 *		(a)	set while attaching; then constant
 */
struct hvkvp_softc {
	struct hv_ic_softc	 ks_ic;		/* first */
	struct mtx		 ks_mtx;
	bool			 ks_init;	/* (a) ks_mtx and what it has */
	struct cdev		*ks_cdev;	/* (a) */
	struct callout		 ks_callout;	/* (m) */
	struct selinfo		 ks_sel;	/* (m) */
	struct hv_ic_msgs	 ks_queue;	/* (m) behind ks_cur */
	struct hv_ic_msg	*ks_cur;	/* (m) NULL: idle */
	struct hv_kvp_dev_msg	 ks_msg;	/* (m) ks_cur for the daemon */
	uint32_t		 ks_id;		/* (m) counts requests */
	bool			 ks_sent;	/* (m) the daemon has ks_msg */
	bool			 ks_open;	/* (m) */
	bool			 ks_daemon;	/* (m) open and registered */
	bool			 ks_ever;	/* (m) there has been one */
	bool			 ks_dying;	/* (m) keep nothing any more */
	u_int			 ks_log;	/* hv_kvp_log */
	uint64_t		 ks_timeouts;	/* (m) */
	uint64_t		 ks_late;	/* (m) answers that came too late */
};

static SYSCTL_NODE(_hw, OID_AUTO, hvkvp, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "Hyper-V key-value pairs");

static u_int hvkvp_timeout_ms = 5000;
SYSCTL_UINT(_hw_hvkvp, OID_AUTO, timeout_ms, CTLFLAG_RWTUN, &hvkvp_timeout_ms,
    0, "Longest time a request waits for the daemon's answer, milliseconds");

static u_int hvkvp_boot_wait_ms = 30000;
SYSCTL_UINT(_hw_hvkvp, OID_AUTO, boot_wait_ms, CTLFLAG_RWTUN,
    &hvkvp_boot_wait_ms, 0,
    "Longest time a request waits for the first daemon, milliseconds");

#define	WAIT_MIN_MS	10
#define	WAIT_MAX_MS	60000	/* a host has given up by then */

static void	hvkvp_expire(void *arg);
static void	hvkvp_next(struct hvkvp_softc *sc);

static void
hvkvp_arm(struct hvkvp_softc *sc)
{
	u_int ms;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	ms = sc->ks_daemon || sc->ks_ever ? hvkvp_timeout_ms :
	    hvkvp_boot_wait_ms;
	ms = MIN(MAX(ms, WAIT_MIN_MS), WAIT_MAX_MS);
	callout_reset_sbt(&sc->ks_callout, ms * SBT_1MS, 0, hvkvp_expire, sc,
	    0);
}

/* Answers the current request, and goes on to the next. */
static void
hvkvp_finish(struct hvkvp_softc *sc, uint32_t status)
{
	struct hv_ic_msg *im;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	callout_stop(&sc->ks_callout);
	im = sc->ks_cur;
	sc->ks_cur = NULL;
	sc->ks_sent = false;
	if (sc->ks_log != 0)
		device_printf(sc->ks_ic.ic_dev,
		    "operation %u pool %u: status %#x\n", sc->ks_msg.km_op,
		    sc->ks_msg.km_pool, status);
	hv_ic_reply(&sc->ks_ic, im, status);
	hvkvp_next(sc);
}

static void
hvkvp_expire(void *arg)
{
	struct hvkvp_softc *sc = arg;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	if (sc->ks_cur == NULL)
		return;
	sc->ks_timeouts++;
	hvkvp_finish(sc, HV_IC_S_FAIL);
}

/* What the host is told of a request that makes no sense. */
static uint32_t
hvkvp_refusal(int error)
{

	return (error == EOPNOTSUPP ? HV_IC_S_NOT_SUPPORTED :
	    HV_IC_S_INVALID_ARG);
}

/* Makes the first request in the queue the current one. */
static void
hvkvp_next(struct hvkvp_softc *sc)
{
	struct hv_ic_msg *im;
	int error;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	while (sc->ks_cur == NULL &&
	    (im = STAILQ_FIRST(&sc->ks_queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&sc->ks_queue, im_link);
		error = hvkvp_request(hv_ic_body(im), hv_ic_body_len(im),
		    &sc->ks_msg);
		if (error != 0) {
			hv_ic_reply(&sc->ks_ic, im, hvkvp_refusal(error));
			continue;
		}
		sc->ks_msg.km_type = HV_KVP_DEV_REQUEST;
		sc->ks_msg.km_version = HV_KVP_DEV_VERSION;
		sc->ks_msg.km_id = ++sc->ks_id;
		sc->ks_cur = im;
		hvkvp_arm(sc);
		wakeup(sc);
		selwakeup(&sc->ks_sel);
		KNOTE_LOCKED(&sc->ks_sel.si_note, 0);
	}
}

static uint32_t
hvkvp_handler(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	struct hvkvp_softc *sc = (struct hvkvp_softc *)ic;

	mtx_lock(&sc->ks_mtx);
	if (sc->ks_dying) {
		mtx_unlock(&sc->ks_mtx);
		return (HV_IC_S_FAIL);
	}
	STAILQ_INSERT_TAIL(&sc->ks_queue, im, im_link);
	hvkvp_next(sc);
	mtx_unlock(&sc->ks_mtx);
	return (HV_IC_LATER);
}

/* --- Network adapters --- */

/*
 * The host names an adapter by the instance GUID in braces; what the daemon
 * wants is the interface.  Takes the topology lock, which a detach holds but
 * for where it sleeps: only for the daemon's own thread.
 */
static bool
hvkvp_adapter(char *name, size_t size)
{
	char guid[HYPERV_GUID_STRLEN];
	devclass_t dc;
	device_t dev;
	size_t len;
	bool found;
	int unit;

	if (name[0] != '{')
		return (true);
	len = strlen(name);
	if (len != sizeof(guid) + 1 || name[len - 1] != '}')
		return (false);
	found = false;
	bus_topo_lock();
	dc = devclass_find("hn");
	for (unit = 0; dc != NULL && !found &&
	    unit < devclass_get_maxunit(dc); unit++) {
		dev = devclass_get_device(dc, unit);
		if (dev == NULL || !device_is_attached(dev) ||
		    !vmbus_owns(dev))
			continue;
		hyperv_guid_snprintf(guid, sizeof(guid),
		    vmbus_get_instance(dev));
		if (strncasecmp(name + 1, guid, sizeof(guid) - 1) == 0) {
			strlcpy(name, device_get_nameunit(dev), size);
			found = true;
		}
	}
	bus_topo_unlock();
	return (found);
}

/* --- The device node --- */

static void
hvkvp_closed(void *arg)
{
	struct hvkvp_softc *sc = arg;

	mtx_lock(&sc->ks_mtx);
	sc->ks_open = sc->ks_daemon = false;
	/* What the daemon has made of it by now nobody knows. */
	if (sc->ks_cur != NULL && sc->ks_sent)
		hvkvp_finish(sc, HV_IC_S_FAIL);
	mtx_unlock(&sc->ks_mtx);
}

static int
hvkvp_open(struct cdev *dev, int flags, int fmt, struct thread *td)
{
	struct hvkvp_softc *sc = dev->si_drv1;
	int error;

	if ((flags & (FREAD | FWRITE)) != (FREAD | FWRITE))
		return (EINVAL);
	mtx_lock(&sc->ks_mtx);
	error = sc->ks_dying ? ENXIO : sc->ks_open ? EBUSY : 0;
	if (error == 0)
		sc->ks_open = true;
	mtx_unlock(&sc->ks_mtx);
	if (error != 0)
		return (error);
	error = devfs_set_cdevpriv(sc, hvkvp_closed);
	if (error != 0)
		hvkvp_closed(sc);
	return (error);
}

/* Waits for a request that the daemon has not got, and copies it. */
static int
hvkvp_take(struct hvkvp_softc *sc, int ioflag, struct hv_kvp_dev_msg *km)
{
	int error;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	for (;;) {
		if (sc->ks_dying)
			return (ENXIO);
		if (!sc->ks_daemon)
			return (EINVAL);
		if (sc->ks_cur != NULL && !sc->ks_sent)
			break;
		if ((ioflag & O_NONBLOCK) != 0)
			return (EAGAIN);
		/* Woken by hvkvp_next() and by detach. */
		error = mtx_sleep(sc, &sc->ks_mtx, PCATCH, "hvkvp", 0);
		if (error != 0)
			return (error);
	}
	*km = sc->ks_msg;
	sc->ks_sent = true;
	hvkvp_arm(sc);
	return (0);
}

static int
hvkvp_read(struct cdev *dev, struct uio *uio, int ioflag)
{
	struct hvkvp_softc *sc = dev->si_drv1;
	struct hv_kvp_dev_msg *km;
	int error;

	if (uio->uio_resid < (ssize_t)sizeof(*km))
		return (EINVAL);
	km = malloc(sizeof(*km), M_HVIC, M_WAITOK);
	for (;;) {
		mtx_lock(&sc->ks_mtx);
		error = hvkvp_take(sc, ioflag, km);
		mtx_unlock(&sc->ks_mtx);
		if (error != 0 || km->km_op != HV_KVP_DEV_SET_IP ||
		    hvkvp_adapter(km->km_ip.ip_adapter,
		    sizeof(km->km_ip.ip_adapter)))
			break;
		mtx_lock(&sc->ks_mtx);
		if (sc->ks_cur != NULL && sc->ks_sent &&
		    sc->ks_id == km->km_id)
			hvkvp_finish(sc, HV_IC_S_NOT_FOUND);
		mtx_unlock(&sc->ks_mtx);
	}
	/* What cannot be copied is lost to the daemon, and will expire. */
	if (error == 0)
		error = uiomove(km, sizeof(*km), uio);
	free(km, M_HVIC);
	return (error);
}

static const uint32_t hvkvp_statuses[] = {
	[HV_KVP_DEV_OK] = HV_IC_S_OK,
	[HV_KVP_DEV_NOTFOUND] = HV_IC_S_NO_MORE,
	[HV_KVP_DEV_FAILED] = HV_IC_S_FAIL,
	[HV_KVP_DEV_UNSUPPORTED] = HV_IC_S_NOT_SUPPORTED,
	[HV_KVP_DEV_INVALID] = HV_IC_S_INVALID_ARG,
	[HV_KVP_DEV_FULL] = HV_IC_S_DISK_FULL,
	[HV_KVP_DEV_NODEV] = HV_IC_S_NOT_FOUND,
};

static int
hvkvp_answered(struct hvkvp_softc *sc, const struct hv_kvp_dev_msg *km)
{
	uint32_t status;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	if (km->km_type != HV_KVP_DEV_ANSWER)
		return (EINVAL);
	if (sc->ks_cur == NULL || !sc->ks_sent || km->km_id != sc->ks_id) {
		sc->ks_late++;
		return (ESTALE);
	}
	status = km->km_status < nitems(hvkvp_statuses) ?
	    hvkvp_statuses[km->km_status] : HV_IC_S_FAIL;
	if (status == HV_IC_S_OK)
		hvkvp_answer(hv_ic_body(sc->ks_cur), km);
	hvkvp_finish(sc, status);
	return (0);
}

static int
hvkvp_register(struct hvkvp_softc *sc, const struct hv_kvp_dev_msg *km)
{

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	if (km->km_type != HV_KVP_DEV_REGISTER)
		return (EINVAL);
	if (km->km_version != HV_KVP_DEV_VERSION)
		return (EPROTONOSUPPORT);
	sc->ks_daemon = sc->ks_ever = true;
	/* A request that has waited for a daemon now waits for an answer. */
	if (sc->ks_cur != NULL)
		hvkvp_arm(sc);
	return (0);
}

static int
hvkvp_write(struct cdev *dev, struct uio *uio, int ioflag)
{
	struct hvkvp_softc *sc = dev->si_drv1;
	struct hv_kvp_dev_msg *km;
	int error;

	if (uio->uio_resid != (ssize_t)sizeof(*km))
		return (EINVAL);
	km = malloc(sizeof(*km), M_HVIC, M_WAITOK);
	error = uiomove(km, sizeof(*km), uio);
	if (error == 0) {
		mtx_lock(&sc->ks_mtx);
		if (sc->ks_dying)
			error = ENXIO;
		else if (sc->ks_daemon)
			error = hvkvp_answered(sc, km);
		else
			error = hvkvp_register(sc, km);
		mtx_unlock(&sc->ks_mtx);
	}
	free(km, M_HVIC);
	return (error);
}

static bool
hvkvp_readable(struct hvkvp_softc *sc)
{

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	return (sc->ks_dying || (sc->ks_daemon && sc->ks_cur != NULL &&
	    !sc->ks_sent));
}

static int
hvkvp_poll(struct cdev *dev, int events, struct thread *td)
{
	struct hvkvp_softc *sc = dev->si_drv1;
	int revents;

	revents = events & (POLLOUT | POLLWRNORM);
	mtx_lock(&sc->ks_mtx);
	if (sc->ks_dying)
		revents |= POLLHUP;
	if (hvkvp_readable(sc))
		revents |= events & (POLLIN | POLLRDNORM);
	else if ((events & (POLLIN | POLLRDNORM)) != 0)
		selrecord(td, &sc->ks_sel);
	mtx_unlock(&sc->ks_mtx);
	return (revents);
}

static void
hvkvp_kqdetach(struct knote *kn)
{
	struct hvkvp_softc *sc = kn->kn_hook;

	knlist_remove(&sc->ks_sel.si_note, kn, 0);
}

static int
hvkvp_kqread(struct knote *kn, long hint)
{
	struct hvkvp_softc *sc = kn->kn_hook;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	if (sc->ks_dying) {
		kn->kn_flags |= EV_EOF;
		return (1);
	}
	if (!hvkvp_readable(sc))
		return (0);
	kn->kn_data = sizeof(struct hv_kvp_dev_msg);
	return (1);
}

static const struct filterops hvkvp_kqread_ops = {
	.f_isfd = 1,
	.f_detach = hvkvp_kqdetach,
	.f_event = hvkvp_kqread,
};

static int
hvkvp_kqfilter(struct cdev *dev, struct knote *kn)
{
	struct hvkvp_softc *sc = dev->si_drv1;

	if (kn->kn_filter != EVFILT_READ)
		return (EINVAL);
	kn->kn_fop = __DECONST(struct filterops *, &hvkvp_kqread_ops);
	kn->kn_hook = sc;
	knlist_add(&sc->ks_sel.si_note, kn, 0);
	return (0);
}

static struct cdevsw hvkvp_cdevsw = {
	.d_version = D_VERSION,
	.d_name = HV_KVP_DEV_NAME,
	.d_open = hvkvp_open,
	.d_read = hvkvp_read,
	.d_write = hvkvp_write,
	.d_poll = hvkvp_poll,
	.d_kqfilter = hvkvp_kqfilter,
};

/* --- The driver --- */

static const uint32_t hvkvp_versions[] = {
	HV_IC_VERSION(4, 0), HV_IC_VERSION(3, 0), HV_IC_VERSION(1, 0),
};

static const struct hv_ic_service hvkvp_service = {
	.is_guid = HYPERV_GUID(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb8, 0x27,
	    0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6),
	.is_descr = "Hyper-V KVP",
	.is_type = HV_IC_TYPE_KVP,
	.is_keep = 4,
	.is_versions = hvkvp_versions,
	.is_nversions = nitems(hvkvp_versions),
	.is_handler = hvkvp_handler,
};

static int
hvkvp_probe(device_t dev)
{

	return (hv_ic_probe(dev, &hvkvp_service));
}

static void
hvkvp_sysctl(struct hvkvp_softc *sc)
{
	struct sysctl_ctx_list *ctx;
	struct sysctl_oid_list *list;
	device_t dev;

	dev = sc->ks_ic.ic_dev;
	ctx = device_get_sysctl_ctx(dev);
	list = SYSCTL_CHILDREN(device_get_sysctl_tree(dev));
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "hv_kvp_log", CTLFLAG_RWTUN,
	    &sc->ks_log, 0, "Log each request and what became of it");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "timeouts", CTLFLAG_RD,
	    &sc->ks_timeouts, 0, "Requests failed because no answer came");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "late", CTLFLAG_RD, &sc->ks_late,
	    0, "Answers of the daemon that came too late");
}

/* Wakes all who wait, and answers what was kept. */
static void
hvkvp_stop(struct hvkvp_softc *sc)
{
	struct hv_ic_msg *im;

	mtx_lock(&sc->ks_mtx);
	sc->ks_dying = true;
	while ((im = STAILQ_FIRST(&sc->ks_queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&sc->ks_queue, im_link);
		hv_ic_reply(&sc->ks_ic, im, HV_IC_S_FAIL);
	}
	if (sc->ks_cur != NULL)
		hvkvp_finish(sc, HV_IC_S_FAIL);
	wakeup(sc);
	selwakeup(&sc->ks_sel);
	KNOTE_LOCKED(&sc->ks_sel.si_note, 0);
	mtx_unlock(&sc->ks_mtx);
}

/* Takes what an attach that failed has got to as well. */
static int
hvkvp_detach(device_t dev)
{
	struct hvkvp_softc *sc = device_get_softc(dev);
	int error;

	if (sc->ks_init)
		hvkvp_stop(sc);
	if (sc->ks_cdev != NULL) {
		destroy_dev(sc->ks_cdev);
		sc->ks_cdev = NULL;
	}
	error = hv_ic_detach(dev);
	if (sc->ks_init) {
		callout_drain(&sc->ks_callout);
		knlist_clear(&sc->ks_sel.si_note, 0);
		knlist_destroy(&sc->ks_sel.si_note);
		seldrain(&sc->ks_sel);
		mtx_destroy(&sc->ks_mtx);
		sc->ks_init = false;
	}
	return (error);
}

static int
hvkvp_attach(device_t dev)
{
	struct hvkvp_softc *sc = device_get_softc(dev);
	struct make_dev_args args;
	int error;

	sc->ks_ic.ic_dev = dev;
	mtx_init(&sc->ks_mtx, "hvkvp", NULL, MTX_DEF);
	callout_init_mtx(&sc->ks_callout, &sc->ks_mtx, 0);
	knlist_init_mtx(&sc->ks_sel.si_note, &sc->ks_mtx);
	STAILQ_INIT(&sc->ks_queue);
	sc->ks_init = true;
	hvkvp_sysctl(sc);

	error = hv_ic_attach(dev, &hvkvp_service);
	if (error == 0) {
		make_dev_args_init(&args);
		args.mda_flags = MAKEDEV_CHECKNAME | MAKEDEV_WAITOK;
		args.mda_devsw = &hvkvp_cdevsw;
		args.mda_uid = UID_ROOT;
		args.mda_gid = GID_WHEEL;
		args.mda_mode = 0600;
		args.mda_si_drv1 = sc;
		error = make_dev_s(&args, &sc->ks_cdev, HV_KVP_DEV_NAME);
		if (error != 0)
			sc->ks_cdev = NULL;
	}
	if (error != 0)
		(void)hvkvp_detach(dev);
	return (error);
}

static device_method_t hvkvp_methods[] = {
	DEVMETHOD(device_probe,		hvkvp_probe),
	DEVMETHOD(device_attach,	hvkvp_attach),
	DEVMETHOD(device_detach,	hvkvp_detach),
	DEVMETHOD(device_suspend,	hv_ic_suspend),
	DEVMETHOD(device_resume,	hv_ic_resume),
	DEVMETHOD_END
};

static driver_t hvkvp_driver = {
	"hvkvp", hvkvp_methods, sizeof(struct hvkvp_softc)
};

static const struct hv_ic_pnp hvkvp_pnp[] = {
	{ "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6" },
};

HV_IC_DRIVER(hvkvp, hvkvp_driver, hvkvp_pnp);
