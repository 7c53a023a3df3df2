/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory: the guest tells the host each second how much memory it
 * needs, and gives pages up or takes them back as the host orders (protocol:
 * utilities, section 9).  Not a service of hv_ic.c's frame, for it is the
 * guest that asks for a version here.
 *
 * There is no message by which a guest takes back what it has given up: when
 * it runs short it can only say so in its reports, and lives on the floor that
 * it kept until the host acts.
 *
 * Memory cannot be added to a running FreeBSD kernel, so the host is told that
 * there is no hot-add, and one that is ordered fails.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/module.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/utilities/hv_balloon_var.h>
#include <dev/hyperv/utilities/hv_ic_var.h>

/* Room for several of the longest messages a direction. */
#define	HV_BALLOON_RING_SIZE	(8 * PAGE_SIZE)

/* Seconds, of which reports are made each. */
#define	HV_BALLOON_ANSWER_WAIT	5

static const uint32_t hv_balloon_versions[] = {
	HV_BALLOON_VERSION(2, 0),
	HV_BALLOON_VERSION(1, 0),
	HV_BALLOON_VERSION(0, 3),
};

static const struct hyperv_guid hv_balloon_guid = HYPERV_GUID(0x525074dc,
    0x8985, 0x46e2, 0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02);

/* The same, as devmatch(8) finds it in vmbus's plug-and-play strings. */
static const struct hv_ic_pnp hv_balloon_pnp[] = {
	{ "525074dc-8985-46e2-8057-a307dc18a502" },
};

static const char *const hv_balloon_states[] = {
	[HV_BALLOON_CLOSED] = "closed",
	[HV_BALLOON_VERSION] = "asking for a version",
	[HV_BALLOON_CAPS] = "telling what it can",
	[HV_BALLOON_READY] = "ready",
	[HV_BALLOON_REFUSED] = "refused",
};

static void
hv_balloon_bad_locked(struct hv_balloon_softc *sc, const char *what,
    uint64_t value)
{

	mtx_assert(&sc->hb_mtx, MA_OWNED);
	sc->hb_bad++;
	if (sc->hb_bad_said)
		return;
	sc->hb_bad_said = true;
	device_printf(sc->hb_dev, "%s (%#jx) from the host, further ones are "
	    "only counted\n", what, (uintmax_t)value);
}

void
hv_balloon_bad(struct hv_balloon_softc *sc, const char *what, uint64_t value)
{

	mtx_lock(&sc->hb_mtx);
	hv_balloon_bad_locked(sc, what, value);
	mtx_unlock(&sc->hb_mtx);
}

int
hv_balloon_send(struct hv_balloon_softc *sc, u_int conn,
    struct hv_balloon_hdr *bh, uint16_t type, size_t len)
{

	mtx_assert(&sc->hb_mtx, MA_OWNED);
	if (sc->hb_conn != conn || sc->hb_state == HV_BALLOON_CLOSED)
		return (ENXIO);
	bh->bh_type = type;
	bh->bh_size = len;
	bh->bh_xid = ++sc->hb_xid;
	return (vmbus_ch_send(sc->hb_ch, VMBUS_PKT_TYPE_INBAND, 0, bh, len,
	    0));
}

/* --- From the opening on. --- */

static void
hv_balloon_refused(struct hv_balloon_softc *sc, const char *why)
{

	mtx_assert(&sc->hb_mtx, MA_OWNED);
	sc->hb_state = HV_BALLOON_REFUSED;
	device_printf(sc->hb_dev, "no dynamic memory: %s\n", why);
}

/* The ring holds all of these that there can be. */
static void
hv_balloon_ask_version(struct hv_balloon_softc *sc)
{
	struct hv_balloon_version_req vq;

	memset(&vq, 0, sizeof(vq));
	vq.vq_version = hv_balloon_versions[sc->hb_try];
	if (sc->hb_try == nitems(hv_balloon_versions) - 1)
		vq.vq_flags = HV_BALLOON_VQ_LAST;
	sc->hb_waited = 0;
	if (hv_balloon_send(sc, sc->hb_conn, &vq.vq_hdr,
	    HV_BALLOON_T_VERSION_REQ, sizeof(vq)) != 0)
		hv_balloon_refused(sc, "the host cannot be asked");
}

static void
hv_balloon_tell_caps(struct hv_balloon_softc *sc)
{
	struct hv_balloon_caps bc;

	memset(&bc, 0, sizeof(bc));
	bc.bc_flags = HV_BALLOON_BC_BALLOON;
	bc.bc_min_pages = sc->hb_floor;
	bc.bc_max_page = HV_BALLOON_BC_NO_LIMIT;
	sc->hb_waited = 0;
	if (hv_balloon_send(sc, sc->hb_conn, &bc.bc_hdr,
	    HV_BALLOON_T_CAPS_REPORT, sizeof(bc)) != 0)
		hv_balloon_refused(sc, "the host cannot be told");
}

static void
hv_balloon_version_rsp(struct hv_balloon_softc *sc, bool accepted)
{

	if (accepted) {
		sc->hb_state = HV_BALLOON_CAPS;
		hv_balloon_tell_caps(sc);
	} else if (++sc->hb_try == nitems(hv_balloon_versions)) {
		sc->hb_try = 0;
		hv_balloon_refused(sc, "the host takes no version");
	} else {
		hv_balloon_ask_version(sc);
	}
}

/* An answer to what has been asked last, or to nothing. */
static void
hv_balloon_answer(struct hv_balloon_softc *sc, uint16_t type,
    const struct hv_balloon_rsp *br)
{
	bool accepted = (br->br_flags & HV_BALLOON_BR_ACCEPTED) != 0;

	mtx_lock(&sc->hb_mtx);
	if (type == HV_BALLOON_T_VERSION_RSP &&
	    sc->hb_state == HV_BALLOON_VERSION) {
		hv_balloon_version_rsp(sc, accepted);
	} else if (type == HV_BALLOON_T_CAPS_RSP &&
	    sc->hb_state == HV_BALLOON_CAPS) {
		if (accepted)
			sc->hb_state = HV_BALLOON_READY;
		else
			hv_balloon_refused(sc, "the host does not take what "
			    "can be done");
	} else {
		hv_balloon_bad_locked(sc, "answer to nothing", type);
	}
	mtx_unlock(&sc->hb_mtx);
}

/* --- Each second. --- */

/*
 * The floor counts as needed, so that the host does not set out to take what
 * it will not get.  A report that finds no room is left out.
 */
static void
hv_balloon_report(struct hv_balloon_softc *sc)
{
	struct hv_balloon_pressure bp;
	struct hv_balloon_status bs;

	hv_balloon_pressure(&bp);
	memset(&bs, 0, sizeof(bs));
	bs.bs_available = bp.bp_available;
	bs.bs_committed = bp.bp_committed + sc->hb_floor;
	bs.bs_free = bp.bp_free;
	if (hv_balloon_send(sc, sc->hb_conn, &bs.bs_hdr, HV_BALLOON_T_STATUS,
	    sizeof(bs)) == 0)
		sc->hb_reports++;
}

static void
hv_balloon_tick(void *arg)
{
	struct hv_balloon_softc *sc = arg;

	mtx_assert(&sc->hb_mtx, MA_OWNED);
	if (sc->hb_state == HV_BALLOON_READY)
		hv_balloon_report(sc);
	else if ((sc->hb_state == HV_BALLOON_VERSION ||
	    sc->hb_state == HV_BALLOON_CAPS) &&
	    ++sc->hb_waited > HV_BALLOON_ANSWER_WAIT)
		hv_balloon_refused(sc, "the host does not answer");
	if (sc->hb_state != HV_BALLOON_REFUSED)
		callout_reset_sbt(&sc->hb_timer, SBT_1S, 0, hv_balloon_tick,
		    sc, 0);
}

/* --- Messages. --- */

static void
hv_balloon_hot_add(struct hv_balloon_softc *sc)
{
	struct hv_balloon_hot_add_rsp ha;

	memset(&ha, 0, sizeof(ha));
	mtx_lock(&sc->hb_mtx);
	sc->hb_hot_adds++;
	/* A host that reads nothing waits for this one in vain. */
	(void)hv_balloon_send(sc, sc->hb_conn, &ha.ha_hdr,
	    HV_BALLOON_T_HOT_ADD_RSP, sizeof(ha));
	mtx_unlock(&sc->hb_mtx);
}

/* What each message of the host has at least. */
static size_t
hv_balloon_min_len(uint16_t type)
{

	switch (type) {
	case HV_BALLOON_T_VERSION_RSP:
	case HV_BALLOON_T_CAPS_RSP:
		return (sizeof(struct hv_balloon_rsp));
	case HV_BALLOON_T_UP:
		return (sizeof(struct hv_balloon_up));
	case HV_BALLOON_T_DOWN:
		return (sizeof(struct hv_balloon_down));
	default:
		return (sizeof(struct hv_balloon_hdr));
	}
}

static bool
hv_balloon_is_ready(struct hv_balloon_softc *sc, uint16_t type)
{
	bool ready;

	mtx_lock(&sc->hb_mtx);
	ready = sc->hb_state == HV_BALLOON_READY;
	if (!ready)
		hv_balloon_bad_locked(sc, "order before it was agreed on",
		    type);
	mtx_unlock(&sc->hb_mtx);
	return (ready);
}

static void
hv_balloon_message(struct hv_balloon_softc *sc, uint16_t type, size_t len)
{

	switch (type) {
	case HV_BALLOON_T_VERSION_RSP:
	case HV_BALLOON_T_CAPS_RSP:
		hv_balloon_answer(sc, type, (const void *)sc->hb_rx);
		break;
	case HV_BALLOON_T_UP:
		if (hv_balloon_is_ready(sc, type))
			hv_balloon_order_up(sc, (const void *)sc->hb_rx);
		break;
	case HV_BALLOON_T_DOWN:
		if (hv_balloon_is_ready(sc, type))
			hv_balloon_order_down(sc, (const void *)sc->hb_rx,
			    len);
		break;
	case HV_BALLOON_T_HOT_ADD:
		hv_balloon_hot_add(sc);
		break;
	case HV_BALLOON_T_INFO:
		/* How far memory could grow: of no use without hot-add. */
		break;
	default:
		hv_balloon_bad(sc, "message type", type);
	}
}

/* hb_rx is the driver's own by now: the host cannot change it any more. */
static void
hv_balloon_receive(struct hv_balloon_softc *sc, const struct vmbus_rxpkt *rp)
{
	const struct hv_balloon_hdr *bh = (const void *)sc->hb_rx;

	if (rp->rp_type != VMBUS_PKT_TYPE_INBAND)
		hv_balloon_bad(sc, "packet type", rp->rp_type);
	else if (rp->rp_len < sizeof(*bh) || rp->rp_len > sizeof(sc->hb_rx))
		hv_balloon_bad(sc, "packet length", rp->rp_len);
	else if (bh->bh_size < hv_balloon_min_len(bh->bh_type) ||
	    bh->bh_size > rp->rp_len)
		hv_balloon_bad(sc, "message size", bh->bh_size);
	else
		hv_balloon_message(sc, bh->bh_type, bh->bh_size);
}

static void
hv_balloon_callback(struct vmbus_channel *ch, void *arg)
{
	struct hv_balloon_softc *sc = arg;
	struct vmbus_rxpkt rp;

	hv_balloon_room(sc);
	while (vmbus_ch_recv(ch, &rp, sc->hb_rx, sizeof(sc->hb_rx)) == 0)
		hv_balloon_receive(sc, &rp);
}

/* --- Open and close. --- */

static int
hv_balloon_open(struct hv_balloon_softc *sc)
{
	struct vmbus_ch_open_params op;
	int error;

	memset(&op, 0, sizeof(op));
	op.op_txsize = HV_BALLOON_RING_SIZE;
	op.op_rxsize = HV_BALLOON_RING_SIZE;
	op.op_callback = hv_balloon_callback;
	op.op_arg = sc;
	error = vmbus_ch_open(sc->hb_ch, &op);
	if (error != 0) {
		device_printf(sc->hb_dev, "cannot open the channel: error "
		    "%d\n", error);
		return (error);
	}
	mtx_lock(&sc->hb_mtx);
	sc->hb_try = 0;
	sc->hb_state = HV_BALLOON_VERSION;
	hv_balloon_ask_version(sc);
	callout_reset_sbt(&sc->hb_timer, SBT_1S, 0, hv_balloon_tick, sc, 0);
	mtx_unlock(&sc->hb_mtx);
	return (0);
}

/*
 * The host takes a closed channel for the end of the guest's balloon, and what
 * was in it for the guest's memory: a page comes back as it is touched.  But
 * not before it has said that it is closed.
 */
static void
hv_balloon_close(struct hv_balloon_softc *sc)
{
	int error;

	mtx_lock(&sc->hb_mtx);
	sc->hb_state = HV_BALLOON_CLOSED;
	sc->hb_conn++;
	callout_stop(&sc->hb_timer);
	wakeup(&sc->hb_thanks);
	wakeup(&sc->hb_order);
	mtx_unlock(&sc->hb_mtx);
	callout_drain(&sc->hb_timer);
	error = vmbus_ch_close(sc->hb_ch);
	if (sc->hb_tq != NULL)
		taskqueue_drain(sc->hb_tq, &sc->hb_task);
	hv_balloon_settle(sc, error != 0);
}

static int
hv_balloon_sysctl_state(SYSCTL_HANDLER_ARGS)
{
	struct hv_balloon_softc *sc = arg1;
	char buf[32];

	mtx_lock(&sc->hb_mtx);
	strlcpy(buf, hv_balloon_states[sc->hb_state], sizeof(buf));
	mtx_unlock(&sc->hb_mtx);
	return (sysctl_handle_string(oidp, buf, sizeof(buf), req));
}

static int
hv_balloon_sysctl_version(SYSCTL_HANDLER_ARGS)
{
	struct hv_balloon_softc *sc = arg1;
	uint32_t version = 0;
	char buf[16];

	mtx_lock(&sc->hb_mtx);
	if (sc->hb_state == HV_BALLOON_CAPS ||
	    sc->hb_state == HV_BALLOON_READY)
		version = hv_balloon_versions[sc->hb_try];
	mtx_unlock(&sc->hb_mtx);
	snprintf(buf, sizeof(buf), "%u.%u", HV_IC_VERSION_MAJOR(version),
	    HV_IC_VERSION_MINOR(version));
	return (sysctl_handle_string(oidp, buf, sizeof(buf), req));
}

/* dev.hvballoon.N. */
static void
hv_balloon_sysctl(struct hv_balloon_softc *sc)
{
	struct sysctl_ctx_list *ctx = &sc->hb_sysctl;
	struct sysctl_oid_list *list;
	const struct {
		const char	*name;
		uint64_t	*value;
		const char	*descr;
	} counts[] = {
		{ "ballooned", &sc->hb_ballooned, "Pages that the host has" },
		{ "ups", &sc->hb_ups, "Orders to give pages up" },
		{ "downs", &sc->hb_downs, "Orders to take pages back" },
		{ "refused", &sc->hb_refused, "Orders not followed in full" },
		{ "refused_pages", &sc->hb_refused_pages, "... by how many "
		    "pages" },
		{ "hot_adds", &sc->hb_hot_adds, "Orders to add memory, all "
		    "refused" },
		{ "reports", &sc->hb_reports, "Reports to the host" },
		{ "bad_messages", &sc->hb_bad, "Messages of the host that "
		    "made no sense" },
		{ "bad_ranges", &sc->hb_bad_ranges, "Ranges given back that "
		    "the host did not have" },
	};
	u_int i;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->hb_dev));
	sysctl_ctx_init(ctx);
	sc->hb_sysctl_init = true;
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "state", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0, hv_balloon_sysctl_state, "A",
	    "How far it is with the host");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "version", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0, hv_balloon_sysctl_version, "A",
	    "Version agreed on, 0.0: none");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "floor", CTLFLAG_RWTUN,
	    &sc->hb_floor, 0, "Pages that stay available, whatever the host "
	    "orders");
	for (i = 0; i < nitems(counts); i++)
		SYSCTL_ADD_U64(ctx, list, OID_AUTO, counts[i].name, CTLFLAG_RD,
		    counts[i].value, 0, counts[i].descr);
}

static int
hv_balloon_probe(device_t dev)
{

	if (!vmbus_owns(dev) ||
	    !hyperv_guid_equal(vmbus_get_type(dev), &hv_balloon_guid))
		return (ENXIO);
	device_set_desc(dev, "Hyper-V Dynamic Memory");
	return (BUS_PROBE_DEFAULT);
}

/* Takes a softc in any state; EBUSY as hv_ic_detach_begin(). */
static int
hv_balloon_detach(device_t dev)
{
	struct hv_balloon_softc *sc = device_get_softc(dev);
	bool other;

	if (!sc->hb_init)
		return (0);
	mtx_lock(&sc->hb_mtx);
	other = sc->hb_detaching;
	sc->hb_detaching = true;
	mtx_unlock(&sc->hb_mtx);
	if (other)
		return (EBUSY);
	hv_balloon_close(sc);
	if (sc->hb_tq != NULL)
		taskqueue_free(sc->hb_tq);
	sc->hb_tq = NULL;
	if (sc->hb_sysctl_init)
		(void)sysctl_ctx_free(&sc->hb_sysctl);
	sc->hb_sysctl_init = false;
	hv_balloon_map_fini(&sc->hb_map);
	mtx_destroy(&sc->hb_mtx);
	sc->hb_init = false;
	return (0);
}

static int
hv_balloon_attach(device_t dev)
{
	struct hv_balloon_softc *sc = device_get_softc(dev);
	int error;

	sc->hb_dev = dev;
	sc->hb_ch = vmbus_get_channel(dev);
	mtx_init(&sc->hb_mtx, "hvballoon", NULL, MTX_DEF);
	callout_init_mtx(&sc->hb_timer, &sc->hb_mtx, 0);
	TASK_INIT(&sc->hb_task, 0, hv_balloon_task, sc);
	STAILQ_INIT(&sc->hb_backs);
	sc->hb_init = true;
	sc->hb_floor = hv_balloon_floor();
	hv_balloon_map_init(&sc->hb_map, hv_balloon_frames());
	hv_balloon_sysctl(sc);
	sc->hb_tq = taskqueue_create("hvballoon", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->hb_tq);
	error = taskqueue_start_threads(&sc->hb_tq, 1, PWAIT, "%s",
	    device_get_nameunit(dev));
	if (error == 0)
		error = hv_balloon_open(sc);
	if (error != 0)
		(void)hv_balloon_detach(dev);
	return (error);
}

/* Nobody sleeps without memory that is his. */
static int
hv_balloon_suspend(device_t dev)
{

	hv_balloon_close(device_get_softc(dev));
	return (0);
}

/* A service that cannot be had again does not keep the machine asleep. */
static int
hv_balloon_resume(device_t dev)
{

	(void)hv_balloon_open(device_get_softc(dev));
	return (0);
}

static device_method_t hv_balloon_methods[] = {
	DEVMETHOD(device_probe,		hv_balloon_probe),
	DEVMETHOD(device_attach,	hv_balloon_attach),
	DEVMETHOD(device_detach,	hv_balloon_detach),
	DEVMETHOD(device_suspend,	hv_balloon_suspend),
	DEVMETHOD(device_resume,	hv_balloon_resume),
	DEVMETHOD_END
};

static driver_t hv_balloon_driver = {
	"hvballoon",
	hv_balloon_methods,
	sizeof(struct hv_balloon_softc)
};

HV_IC_DRIVER(hv_balloon, hv_balloon_driver, hv_balloon_pnp);
