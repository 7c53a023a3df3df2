/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The frame of the integration services: a channel, its messages, and the one
 * way from a request to its answer.  What a request means is the service's
 * (hv_heartbeat.c is the smallest).
 *
 * A message whose header is whole is answered exactly once, whatever is in it,
 * unless the channel closes before, or the host floods a ring that it does not
 * read.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/utilities/hv_ic_var.h>

MALLOC_DEFINE(M_HVIC, "hvic", "Hyper-V integration services");

/* Room for two of the longest messages a direction. */
#define	HV_IC_RING_SIZE	(8 * PAGE_SIZE)

/* Messages beyond those that a service keeps: one to receive, one to send. */
#define	HV_IC_EXTRA	2

int
hv_ic_probe(device_t dev, const struct hv_ic_service *svc)
{

	if (!vmbus_owns(dev) ||
	    !hyperv_guid_equal(vmbus_get_type(dev), &svc->is_guid))
		return (ENXIO);
	device_set_desc(dev, svc->is_descr);
	return (BUS_PROBE_DEFAULT);
}

/* --- Messages --- */

static struct hv_ic_msg *
hv_ic_get(struct hv_ic_softc *ic)
{
	struct hv_ic_msg *im;

	mtx_lock(&ic->ic_mtx);
	im = STAILQ_FIRST(&ic->ic_free);
	if (im != NULL) {
		STAILQ_REMOVE_HEAD(&ic->ic_free, im_link);
		im->im_conn = ic->ic_conn;
	}
	mtx_unlock(&ic->ic_mtx);
	return (im);
}

static void
hv_ic_put(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{

	mtx_lock(&ic->ic_mtx);
	STAILQ_INSERT_HEAD(&ic->ic_free, im, im_link);
	mtx_unlock(&ic->ic_mtx);
}

void
hv_ic_set_body_len(struct hv_ic_msg *im, uint32_t len)
{
	uint32_t have;

	KASSERT(len <= HV_IC_MSG_MAX - HV_IC_HDR_LEN,
	    ("hv_ic: a body of %u bytes", len));
	have = hv_ic_body_len(im);
	if (len > have)
		memset((uint8_t *)hv_ic_body(im) + have, 0, len - have);
	im->im_len = HV_IC_HDR_LEN + len;
	im->im_hdr.ih_pipe_len = im->im_len - HV_IC_PIPE_HDR_LEN;
	im->im_hdr.ih_size = len;
}

void
hv_ic_bad(struct hv_ic_softc *ic, const char *what, uint64_t value)
{
	bool said;

	mtx_lock(&ic->ic_mtx);
	ic->ic_bad++;
	said = ic->ic_bad_said;
	ic->ic_bad_said = true;
	mtx_unlock(&ic->ic_mtx);
	if (!said)
		device_printf(ic->ic_dev, "%s (%#jx) from the host, further "
		    "ones are only counted\n", what, (uintmax_t)value);
}

uint32_t
hv_ic_version(struct hv_ic_softc *ic)
{
	uint32_t version;

	mtx_lock(&ic->ic_mtx);
	version = ic->ic_msgver;
	mtx_unlock(&ic->ic_mtx);
	return (version);
}

/* --- Answers --- */

/* Whether the message has found its end; false: it has to wait for room. */
static bool
hv_ic_send(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{

	mtx_assert(&ic->ic_mtx, MA_OWNED);
	if (!ic->ic_open || im->im_conn != ic->ic_conn)
		return (true);
	return (vmbus_ch_send(ic->ic_ch, VMBUS_PKT_TYPE_INBAND, 0,
	    im->im_data, im->im_len, im->im_xid) != EAGAIN);
}

/* Answers that the ring had no room for, in order. */
static void
hv_ic_flush(struct hv_ic_softc *ic)
{
	struct hv_ic_msg *im;

	mtx_lock(&ic->ic_mtx);
	while ((im = STAILQ_FIRST(&ic->ic_wait)) != NULL &&
	    hv_ic_send(ic, im)) {
		STAILQ_REMOVE_HEAD(&ic->ic_wait, im_link);
		STAILQ_INSERT_HEAD(&ic->ic_free, im, im_link);
	}
	mtx_unlock(&ic->ic_mtx);
}

void
hv_ic_reply(struct hv_ic_softc *ic, struct hv_ic_msg *im, uint32_t status)
{

	im->im_hdr.ih_status = status;
	im->im_hdr.ih_flags = HV_IC_F_TRANSACTION | HV_IC_F_RESPONSE;
	mtx_lock(&ic->ic_mtx);
	if (STAILQ_EMPTY(&ic->ic_wait) && hv_ic_send(ic, im))
		STAILQ_INSERT_HEAD(&ic->ic_free, im, im_link);
	else
		STAILQ_INSERT_TAIL(&ic->ic_wait, im, im_link);
	mtx_unlock(&ic->ic_mtx);
}

/* --- Requests --- */

static uint32_t
hv_ic_nego_request(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	uint32_t fw, msg;
	bool common;

	common = hv_ic_negotiate(im, ic->ic_svc, &fw, &msg);
	mtx_lock(&ic->ic_mtx);
	ic->ic_fwver = fw;
	ic->ic_msgver = msg;
	mtx_unlock(&ic->ic_mtx);
	if (!common)
		hv_ic_bad(ic, "no version that we know", 0);
	else if (bootverbose)
		device_printf(ic->ic_dev, "framework %u.%u, messages %u.%u\n",
		    HV_IC_VERSION_MAJOR(fw), HV_IC_VERSION_MINOR(fw),
		    HV_IC_VERSION_MAJOR(msg), HV_IC_VERSION_MINOR(msg));
	return (HV_IC_S_OK);
}

/* Detaching waits for a handler that runs, and none runs from then on. */
static uint32_t
hv_ic_handle(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	uint32_t status;

	mtx_lock(&ic->ic_mtx);
	if (ic->ic_detaching) {
		mtx_unlock(&ic->ic_mtx);
		return (HV_IC_S_FAIL);
	}
	ic->ic_requests++;
	ic->ic_handling = true;
	mtx_unlock(&ic->ic_mtx);
	status = ic->ic_svc->is_handler(ic, im);
	mtx_lock(&ic->ic_mtx);
	ic->ic_handling = false;
	if (ic->ic_detaching)
		wakeup(&ic->ic_handling);
	mtx_unlock(&ic->ic_mtx);
	return (status);
}

/* The status to answer with, or HV_IC_LATER. */
static uint32_t
hv_ic_request(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	const struct hv_ic_hdr *ih = &im->im_hdr;

	if (ih->ih_type == HV_IC_TYPE_NEGOTIATE)
		return (hv_ic_nego_request(ic, im));
	if (ih->ih_type != ic->ic_svc->is_type) {
		hv_ic_bad(ic, "message type", ih->ih_type);
		return (HV_IC_S_FAIL);
	}
	if (ih->ih_size > hv_ic_body_len(im)) {
		hv_ic_bad(ic, "message size", ih->ih_size);
		hv_ic_set_body_len(im, hv_ic_body_len(im));
		return (HV_IC_S_INVALID_ARG);
	}
	if (hv_ic_version(ic) == 0) {
		hv_ic_bad(ic, "message before a version", ih->ih_type);
		return (HV_IC_S_FAIL);
	}
	return (hv_ic_handle(ic, im));
}

/*
 * Whether it is a message that can be answered at all.  It is ours alone by
 * now; where it ends is told by the pipe's header.
 */
static bool
hv_ic_check(struct hv_ic_softc *ic, struct hv_ic_msg *im,
    const struct vmbus_rxpkt *rp)
{
	const struct hv_ic_hdr *ih = &im->im_hdr;

	if (rp->rp_type != VMBUS_PKT_TYPE_INBAND)
		hv_ic_bad(ic, "packet type", rp->rp_type);
	else if (rp->rp_len < HV_IC_HDR_LEN || rp->rp_len > HV_IC_MSG_MAX)
		hv_ic_bad(ic, "packet length", rp->rp_len);
	else if (ih->ih_pipe_type != HV_IC_PIPE_DATA)
		hv_ic_bad(ic, "pipe message type", ih->ih_pipe_type);
	else if (ih->ih_pipe_len < HV_IC_HDR_LEN - HV_IC_PIPE_HDR_LEN ||
	    ih->ih_pipe_len > rp->rp_len - HV_IC_PIPE_HDR_LEN)
		hv_ic_bad(ic, "pipe message length", ih->ih_pipe_len);
	else if ((ih->ih_flags & HV_IC_F_RESPONSE) != 0)
		hv_ic_bad(ic, "answer to nothing", ih->ih_flags);
	else {
		im->im_len = HV_IC_PIPE_HDR_LEN + ih->ih_pipe_len;
		im->im_xid = rp->rp_xid;
		return (true);
	}
	return (false);
}

/*
 * Takes a packet off the ring.  Without a message to put it in, it is lost:
 * all of them wait for a host that reads no answers.
 */
static int
hv_ic_receive(struct hv_ic_softc *ic)
{
	struct hv_ic_msg *im;
	struct vmbus_rxpkt rp;
	uint32_t status;
	int error;

	im = hv_ic_get(ic);
	error = vmbus_ch_recv(ic->ic_ch, &rp, im == NULL ? NULL : im->im_data,
	    im == NULL ? 0 : sizeof(im->im_data));
	if (im == NULL) {
		if (error == 0) {
			mtx_lock(&ic->ic_mtx);
			ic->ic_dropped++;
			mtx_unlock(&ic->ic_mtx);
		}
		return (error);
	}
	if (error != 0 || !hv_ic_check(ic, im, &rp)) {
		hv_ic_put(ic, im);
		return (error);
	}
	status = hv_ic_request(ic, im);
	if (status != HV_IC_LATER)
		hv_ic_reply(ic, im, status);
	return (0);
}

static void
hv_ic_callback(struct vmbus_channel *ch __unused, void *arg)
{
	struct hv_ic_softc *ic = arg;

	hv_ic_flush(ic);
	while (hv_ic_receive(ic) == 0)
		;
}

/* --- Open and close --- */

static int
hv_ic_open(struct hv_ic_softc *ic)
{
	struct vmbus_ch_open_params op;
	int error;

	memset(&op, 0, sizeof(op));
	op.op_txsize = HV_IC_RING_SIZE;
	op.op_rxsize = HV_IC_RING_SIZE;
	op.op_callback = hv_ic_callback;
	op.op_arg = ic;
	/* The callback may run before the open returns. */
	mtx_lock(&ic->ic_mtx);
	ic->ic_conn++;
	ic->ic_fwver = ic->ic_msgver = 0;
	ic->ic_open = true;
	mtx_unlock(&ic->ic_mtx);
	error = vmbus_ch_open(ic->ic_ch, &op);
	if (error != 0) {
		device_printf(ic->ic_dev, "cannot open the channel: error "
		    "%d\n", error);
		mtx_lock(&ic->ic_mtx);
		ic->ic_open = false;
		mtx_unlock(&ic->ic_mtx);
	}
	return (error);
}

/* No request comes from when it returns, and no answer goes. */
static void
hv_ic_close(struct hv_ic_softc *ic)
{

	mtx_lock(&ic->ic_mtx);
	ic->ic_open = false;
	mtx_unlock(&ic->ic_mtx);
	(void)vmbus_ch_close(ic->ic_ch);
	hv_ic_flush(ic);
}

static int
hv_ic_sysctl_version(SYSCTL_HANDLER_ARGS)
{
	struct hv_ic_softc *ic = arg1;
	uint32_t version;
	char buf[16];

	mtx_lock(&ic->ic_mtx);
	version = arg2 == 0 ? ic->ic_fwver : ic->ic_msgver;
	mtx_unlock(&ic->ic_mtx);
	snprintf(buf, sizeof(buf), "%u.%u", HV_IC_VERSION_MAJOR(version),
	    HV_IC_VERSION_MINOR(version));
	return (sysctl_handle_string(oidp, buf, sizeof(buf), req));
}

/* dev.hvheartbeat.N and so on. */
static void
hv_ic_sysctl_attach(struct hv_ic_softc *ic)
{
	struct sysctl_ctx_list *ctx = &ic->ic_sysctl;
	struct sysctl_oid_list *list;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(ic->ic_dev));
	sysctl_ctx_init(ctx);
	ic->ic_sysctl_init = true;
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "fw_version", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, ic, 0, hv_ic_sysctl_version, "A",
	    "Framework version agreed on, 0.0: none");
	SYSCTL_ADD_PROC(ctx, list, OID_AUTO, "msg_version", CTLTYPE_STRING |
	    CTLFLAG_RD | CTLFLAG_MPSAFE, ic, 1, hv_ic_sysctl_version, "A",
	    "Message version agreed on, 0.0: none");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "requests", CTLFLAG_RD,
	    &ic->ic_requests, 0, "Requests of the host");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "bad_messages", CTLFLAG_RD,
	    &ic->ic_bad, 0, "Messages of the host that made no sense");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "dropped", CTLFLAG_RD,
	    &ic->ic_dropped, 0, "Requests of a host that takes no answers");
}

int
hv_ic_attach(device_t dev, const struct hv_ic_service *svc)
{
	struct hv_ic_softc *ic = device_get_softc(dev);
	u_int i, n;
	int error;

	ic->ic_dev = dev;
	ic->ic_svc = svc;
	ic->ic_ch = vmbus_get_channel(dev);
	mtx_init(&ic->ic_mtx, "hvic", NULL, MTX_DEF);
	ic->ic_init = true;
	STAILQ_INIT(&ic->ic_free);
	STAILQ_INIT(&ic->ic_wait);
	n = svc->is_keep + HV_IC_EXTRA;
	ic->ic_pool = mallocarray(n, sizeof(*ic->ic_pool), M_HVIC,
	    M_WAITOK | M_ZERO);
	for (i = 0; i < n; i++)
		STAILQ_INSERT_TAIL(&ic->ic_free, &ic->ic_pool[i], im_link);
	hv_ic_sysctl_attach(ic);
	error = hv_ic_open(ic);
	if (error != 0)
		(void)hv_ic_detach(dev);
	return (error);
}

/*
 * The topology lock is dropped whenever this sleeps, so a rescind and the
 * unloading of the module can both come here for one device.  The second is
 * told to try again; while it is asked it holds that lock, so the first is
 * asleep and the softc still there.
 */
int
hv_ic_detach_begin(device_t dev)
{
	struct hv_ic_softc *ic = device_get_softc(dev);

	if (!ic->ic_init)
		return (0);
	mtx_lock(&ic->ic_mtx);
	if (ic->ic_detaching) {
		mtx_unlock(&ic->ic_mtx);
		return (EBUSY);
	}
	ic->ic_detaching = true;
	/* Woken by hv_ic_handle(); handlers do not sleep. */
	while (ic->ic_handling)
		mtx_sleep(&ic->ic_handling, &ic->ic_mtx, 0, "hvicdt", 0);
	mtx_unlock(&ic->ic_mtx);
	return (0);
}

void
hv_ic_detach_end(device_t dev)
{
	struct hv_ic_softc *ic = device_get_softc(dev);

	if (!ic->ic_init)
		return;
	hv_ic_close(ic);
	if (ic->ic_sysctl_init)
		(void)sysctl_ctx_free(&ic->ic_sysctl);
	ic->ic_sysctl_init = false;
	free(ic->ic_pool, M_HVIC);
	ic->ic_pool = NULL;
	mtx_destroy(&ic->ic_mtx);
	ic->ic_init = false;
}

int
hv_ic_detach(device_t dev)
{
	int error;

	error = hv_ic_detach_begin(dev);
	if (error == 0)
		hv_ic_detach_end(dev);
	return (error);
}

int
hv_ic_suspend(device_t dev)
{

	hv_ic_close(device_get_softc(dev));
	return (0);
}

/* A service that cannot be had again does not keep the machine asleep. */
int
hv_ic_resume(device_t dev)
{

	(void)hv_ic_open(device_get_softc(dev));
	return (0);
}

MODULE_VERSION(hv_utils, 1);
MODULE_DEPEND(hv_utils, hv_vmbus, 1, 1, 1);
