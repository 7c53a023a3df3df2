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
#include <sys/taskqueue.h>

#include <dev/hyperv/utilities/hv_ic_var.h>
#include <dev/hyperv/utilities/hv_kvp_conv.h>
#include <dev/hyperv/utilities/hv_kvp_dev.h>
#include <dev/hyperv/utilities/hv_node.h>

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
	struct hv_node		*ks_node;	/* (a) */
	struct callout		 ks_callout;	/* (m) of ks_cur */
	struct task		 ks_task;	/* looks for an adapter */
	struct hv_ic_msgs	 ks_queue;	/* (m) behind ks_cur */
	u_int			 ks_kept;	/* (m) in it, and ks_cur */
	struct hv_ic_msg	*ks_cur;	/* (m) NULL: idle */
	struct hv_kvp_dev_msg	 ks_msg;	/* (m) ks_cur for the daemon */
	bool			 ks_ready;	/* (m) ks_msg can go */
	bool			 ks_given;	/* (m) ks_msg is in the node,
						 * or was read from it */
	bool			 ks_daemon;	/* (m) one has registered */
	bool			 ks_ever;	/* (m) there has been one */
	bool			 ks_said;	/* (m) that none answers */
	u_int			 ks_log;
	u_int			 ks_timeout;	/* seconds */
	u_int			 ks_boot_timeout;
	uint64_t		 ks_timeouts;	/* (m) */
	uint64_t		 ks_late;	/* (m) answers after that */
};

/* Requests at once: a host waits for each, or gives one up. */
#define	HVKVP_KEEP		4

/* As long as other guests have hosts wait, in seconds. */
#define	HVKVP_TIMEOUT		5
#define	HVKVP_BOOT_TIMEOUT	30
#define	HVKVP_TIMEOUT_MAX	60

static void	hvkvp_expire(void *arg);
static void	hvkvp_next(struct hvkvp_softc *sc);

static void
hvkvp_arm(struct hvkvp_softc *sc)
{
	u_int s;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	s = sc->ks_ever ? sc->ks_timeout : sc->ks_boot_timeout;
	s = MIN(MAX(s, 1), HVKVP_TIMEOUT_MAX);
	callout_reset_sbt(&sc->ks_callout, s * SBT_1S, 0, hvkvp_expire, sc,
	    0);
}

/* Answers the current request, and goes on to the next. */
static void
hvkvp_finish(struct hvkvp_softc *sc, uint32_t status)
{
	struct hv_ic_msg *im;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	callout_stop(&sc->ks_callout);
	if (sc->ks_given)
		(void)hv_node_clear(sc->ks_node);
	im = sc->ks_cur;
	sc->ks_cur = NULL;
	sc->ks_kept--;
	sc->ks_ready = sc->ks_given = false;
	if (sc->ks_log != 0)
		device_printf(sc->ks_ic.ic_dev,
		    "operation %u, pool %u: status %#x\n", sc->ks_msg.km_op,
		    sc->ks_msg.km_pool, status);
	hv_ic_reply(&sc->ks_ic, im, status);
	hvkvp_next(sc);
}

static void
hvkvp_expire(void *arg)
{
	struct hvkvp_softc *sc = arg;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	sc->ks_timeouts++;
	if (!sc->ks_said)
		device_printf(sc->ks_ic.ic_dev, "no answer in time: %s\n",
		    sc->ks_daemon ? "hv_kvp_daemon(8) hangs" :
		    "is hv_kvp_daemon(8) running?");
	sc->ks_said = true;
	hvkvp_finish(sc, HV_IC_S_FAIL);
}

/* Gives the current request to the daemon, if there are both. */
static void
hvkvp_give(struct hvkvp_softc *sc)
{

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	if (!sc->ks_daemon || !sc->ks_ready)
		return;
	sc->ks_given = true;
	hv_node_put(sc->ks_node, &sc->ks_msg, sizeof(sc->ks_msg));
	hvkvp_arm(sc);
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
			sc->ks_kept--;
			hv_ic_reply(&sc->ks_ic, im, hvkvp_refusal(error));
			continue;
		}
		sc->ks_msg.km_id++;
		sc->ks_cur = im;
		hvkvp_arm(sc);
		if (sc->ks_msg.km_op == HV_KVP_DEV_SET_IP) {
			taskqueue_enqueue(taskqueue_thread, &sc->ks_task);
			return;
		}
		sc->ks_ready = true;
		hvkvp_give(sc);
	}
}

static uint32_t
hvkvp_handler(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	struct hvkvp_softc *sc = (struct hvkvp_softc *)ic;

	mtx_lock(&sc->ks_mtx);
	if (sc->ks_kept == HVKVP_KEEP) {
		mtx_unlock(&sc->ks_mtx);
		return (HV_IC_S_FAIL);
	}
	sc->ks_kept++;
	STAILQ_INSERT_TAIL(&sc->ks_queue, im, im_link);
	hvkvp_next(sc);
	mtx_unlock(&sc->ks_mtx);
	return (HV_IC_LATER);
}

/* --- Network adapters --- */

/*
 * The host names an adapter by the instance GUID in braces; what the daemon
 * wants is the interface.
 */
static bool
hvkvp_adapter(char *name, size_t size)
{
	char guid[HYPERV_GUID_STRLEN];
	devclass_t dc;
	device_t dev;
	bool found;
	int unit;

	if (name[0] != '{' || strlen(name) != sizeof(guid) + 1 ||
	    name[sizeof(guid)] != '}')
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

/*
 * A thread that may wait for newbus; the channel's may not, for a detach waits
 * for that.
 */
static void
hvkvp_adapter_task(void *arg, int pending __unused)
{
	char name[HV_KVP_DEV_ADAPTER_MAX];
	struct hvkvp_softc *sc = arg;
	uint32_t id;
	bool found;

	mtx_lock(&sc->ks_mtx);
	strlcpy(name, sc->ks_msg.km_ip.ip_adapter, sizeof(name));
	id = sc->ks_msg.km_id;
	mtx_unlock(&sc->ks_mtx);
	found = hvkvp_adapter(name, sizeof(name));
	mtx_lock(&sc->ks_mtx);
	/* Given up meanwhile: one that came after it has queued us anew. */
	if (sc->ks_cur != NULL && !sc->ks_ready && sc->ks_msg.km_id == id) {
		if (found) {
			strlcpy(sc->ks_msg.km_ip.ip_adapter, name,
			    sizeof(sc->ks_msg.km_ip.ip_adapter));
			sc->ks_ready = true;
			hvkvp_give(sc);
		} else
			hvkvp_finish(sc, HV_IC_S_NOT_FOUND);
	}
	mtx_unlock(&sc->ks_mtx);
}

/* --- The daemon --- */

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

	if (km->km_type != HV_KVP_DEV_ANSWER)
		return (EINVAL);
	if (sc->ks_cur == NULL || !sc->ks_given ||
	    km->km_id != sc->ks_msg.km_id) {
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

	if (km->km_type != HV_KVP_DEV_REGISTER)
		return (EINVAL);
	if (km->km_version != HV_KVP_DEV_VERSION)
		return (EPROTONOSUPPORT);
	sc->ks_daemon = sc->ks_ever = true;
	sc->ks_said = false;
	hvkvp_give(sc);
	return (0);
}

static int
hvkvp_write(void *arg, struct hv_node *hn, const void *msg, size_t len)
{
	struct hvkvp_softc *sc = arg;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	if (len != sizeof(struct hv_kvp_dev_msg))
		return (EINVAL);
	return (sc->ks_daemon ? hvkvp_answered(sc, msg) :
	    hvkvp_register(sc, msg));
}

/*
 * What the daemon has made of a request that it has read nobody knows; one that
 * it has not waits for the next.
 */
static void
hvkvp_closed(void *arg, struct hv_node *hn)
{
	struct hvkvp_softc *sc = arg;

	mtx_assert(&sc->ks_mtx, MA_OWNED);
	sc->ks_daemon = false;
	if (!sc->ks_given)
		return;
	if (hv_node_unread(hn))
		sc->ks_given = false;
	else
		hvkvp_finish(sc, HV_IC_S_FAIL);
}

static const struct hv_node_class hvkvp_node_class = {
	.nc_name = HV_KVP_DEV_NAME,
	.nc_readmax = sizeof(struct hv_kvp_dev_msg),
	.nc_writemax = sizeof(struct hv_kvp_dev_msg),
	.nc_write = hvkvp_write,
	.nc_closed = hvkvp_closed,
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
	.is_keep = HVKVP_KEEP,
	.is_versions = hvkvp_versions,
	.is_nversions = nitems(hvkvp_versions),
	.is_handler = hvkvp_handler,
};

static int
hvkvp_probe(device_t dev)
{

	return (hv_ic_probe(dev, &hvkvp_service));
}

/* What can be looked at, under the lock. */
enum hvkvp_show {
	HVKVP_SHOW_PROGRAM,
	HVKVP_SHOW_TIMEOUTS,
	HVKVP_SHOW_LATE
};

static int
hvkvp_sysctl_show(SYSCTL_HANDLER_ARGS)
{
	struct hvkvp_softc *sc = arg1;
	uint64_t v;

	mtx_lock(&sc->ks_mtx);
	v = arg2 == HVKVP_SHOW_PROGRAM ? sc->ks_daemon :
	    arg2 == HVKVP_SHOW_TIMEOUTS ? sc->ks_timeouts : sc->ks_late;
	mtx_unlock(&sc->ks_mtx);
	return (sysctl_handle_64(oidp, &v, 0, req));
}

/* dev.hvkvp.N, beside what the frame has there; it takes them away. */
static void
hvkvp_sysctl(struct hvkvp_softc *sc)
{
	static const struct {
		enum hvkvp_show	 what;
		const char	*name, *descr;
	} shown[] = {
		{ HVKVP_SHOW_PROGRAM, "program", "Whether there is a daemon" },
		{ HVKVP_SHOW_TIMEOUTS, "timeouts",
		    "Requests failed because no answer came" },
		{ HVKVP_SHOW_LATE, "late",
		    "Answers of the daemon that came too late" },
	};
	struct sysctl_ctx_list *ctx = &sc->ks_ic.ic_sysctl;
	struct sysctl_oid_list *list;
	u_int i;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->ks_ic.ic_dev));
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "hv_kvp_log", CTLFLAG_RWTUN,
	    &sc->ks_log, 0, "Log each request and what became of it");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "timeout", CTLFLAG_RWTUN,
	    &sc->ks_timeout, 0, "Seconds for the daemon to answer");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "boot_timeout", CTLFLAG_RWTUN,
	    &sc->ks_boot_timeout, 0, "Seconds for the first daemon to start");
	for (i = 0; i < nitems(shown); i++)
		SYSCTL_ADD_PROC(ctx, list, OID_AUTO, shown[i].name,
		    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    shown[i].what, hvkvp_sysctl_show, "QU", shown[i].descr);
}

/*
 * In this order: no request comes any more; those that are here fail; the
 * daemon's file goes; the channel closes.
 */
static int
hvkvp_detach(device_t dev)
{
	struct hvkvp_softc *sc = device_get_softc(dev);
	struct hv_ic_msg *im;
	int error;

	error = hv_ic_detach_begin(dev);
	if (error != 0 || !sc->ks_init)
		return (error);
	mtx_lock(&sc->ks_mtx);
	while ((im = STAILQ_FIRST(&sc->ks_queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&sc->ks_queue, im_link);
		sc->ks_kept--;
		hv_ic_reply(&sc->ks_ic, im, HV_IC_S_FAIL);
	}
	if (sc->ks_cur != NULL)
		hvkvp_finish(sc, HV_IC_S_FAIL);
	mtx_unlock(&sc->ks_mtx);
	taskqueue_drain(taskqueue_thread, &sc->ks_task);
	callout_drain(&sc->ks_callout);
	hv_node_destroy(sc->ks_node);
	sc->ks_node = NULL;
	hv_ic_detach_end(dev);
	mtx_destroy(&sc->ks_mtx);
	sc->ks_init = false;
	return (0);
}

static int
hvkvp_attach(device_t dev)
{
	struct hvkvp_softc *sc = device_get_softc(dev);
	int error;

	sc->ks_ic.ic_dev = dev;
	mtx_init(&sc->ks_mtx, "hvkvp", NULL, MTX_DEF);
	callout_init_mtx(&sc->ks_callout, &sc->ks_mtx, 0);
	TASK_INIT(&sc->ks_task, 0, hvkvp_adapter_task, sc);
	STAILQ_INIT(&sc->ks_queue);
	sc->ks_msg.km_type = HV_KVP_DEV_REQUEST;
	sc->ks_msg.km_version = HV_KVP_DEV_VERSION;
	sc->ks_timeout = HVKVP_TIMEOUT;
	sc->ks_boot_timeout = HVKVP_BOOT_TIMEOUT;
	sc->ks_init = true;
	error = hv_node_create(&hvkvp_node_class, &sc->ks_mtx, sc,
	    &sc->ks_node);
	if (error != 0)
		device_printf(dev, "cannot make /dev/%s: error %d\n",
		    HV_KVP_DEV_NAME, error);
	else
		error = hv_ic_attach(dev, &hvkvp_service);
	if (error == 0)
		hvkvp_sysctl(sc);
	else
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
	"hvkvp",
	hvkvp_methods,
	sizeof(struct hvkvp_softc)
};

static const struct hv_ic_pnp hvkvp_pnp[] = {
	{ "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6" },
};

HV_IC_DRIVER(hv_ic_kvp, hvkvp_driver, hvkvp_pnp);
