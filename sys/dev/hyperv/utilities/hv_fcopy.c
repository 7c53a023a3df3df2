/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Guest file copy: the host writes a file of the guest's, piece by piece
 * (protocol: utilities, section 8).  The program behind the node does it; the
 * kernel sees to it that a request is as long as it says, and is answered.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/callout.h>

#include <dev/hyperv/utilities/hv_fcopy_var.h>
#include <dev/hyperv/utilities/hv_ic_var.h>
#include <dev/hyperv/utilities/hv_node.h>

#define	HV_FCOPY_TIMEOUT	30	/* seconds for a request */
#define	HV_FCOPY_TIMEOUT_MAX	3600

/* Locks: fc_mtx before the frame's; it is the node's and the callout's too. */
struct hv_fcopy_softc {
	struct hv_ic_softc fc_ic;
	struct mtx	 fc_mtx;
	bool		 fc_init;
	bool		 fc_dying;	/* (all from here on: fc_mtx) */
	bool		 fc_ready;	/* the program has registered */
	bool		 fc_asked;	/* ... and owes an answer */
	uint32_t	 fc_id;		/* of the last request */
	struct hv_node	*fc_node;
	struct hv_ic_msg *fc_im;	/* that is being done, or NULL */
	struct callout	 fc_timer;
	struct hv_fcopy_dev_msg fc_msg;
	u_int		 fc_timeout;	/* seconds */
	uint64_t	 fc_files;	/* copied as a whole */
	uint64_t	 fc_bytes;
	uint64_t	 fc_timeouts;
	uint64_t	 fc_failures;
};

static uint32_t	hv_fcopy_handler(struct hv_ic_softc *ic,
		    struct hv_ic_msg *im);
static int	hv_fcopy_node_write(void *arg, struct hv_node *hn,
		    const void *data, size_t len);
static void	hv_fcopy_node_closed(void *arg, struct hv_node *hn);

static const uint32_t hv_fcopy_versions[] = {
	HV_IC_VERSION(1, 1),
};

static const struct hv_ic_service hv_fcopy_service = {
	.is_guid = HYPERV_GUID(0x34d14be3, 0xdee4, 0x41c8, 0x9a, 0xe7, 0x6b,
	    0x17, 0x49, 0x77, 0xc1, 0x92),
	.is_descr = "Hyper-V Guest File Copy",
	.is_type = HV_IC_TYPE_FCOPY,
	.is_keep = 1,
	.is_versions = hv_fcopy_versions,
	.is_nversions = nitems(hv_fcopy_versions),
	.is_handler = hv_fcopy_handler,
};

/* The same, as devmatch(8) finds it in vmbus's plug-and-play strings. */
static const struct hv_ic_pnp hv_fcopy_pnp[] = {
	{ "34d14be3-dee4-41c8-9ae7-6b174977c192" },
};

static const struct hv_node_class hv_fcopy_node = {
	.nc_name =	HV_FCOPY_DEV_NAME,
	.nc_readmax =	sizeof(struct hv_fcopy_dev_msg),
	.nc_writemax =	sizeof(struct hv_fcopy_dev_hdr),
	.nc_write =	hv_fcopy_node_write,
	.nc_closed =	hv_fcopy_node_closed,
};

/* The host's answer; fc_im is sent with it. */
static void
hv_fcopy_done(struct hv_fcopy_softc *sc, uint32_t status)
{
	struct hv_ic_msg *im = sc->fc_im;

	mtx_assert(&sc->fc_mtx, MA_OWNED);
	if (im == NULL)
		return;
	sc->fc_im = NULL;
	callout_stop(&sc->fc_timer);
	if (status != HV_IC_S_OK)
		sc->fc_failures++;
	hv_ic_reply(&sc->fc_ic, im, status);
}

/* A request that the program has not even read is taken back. */
static void
hv_fcopy_late(void *arg)
{
	struct hv_fcopy_softc *sc = arg;

	sc->fc_timeouts++;
	if (hv_node_clear(sc->fc_node))
		sc->fc_asked = false;
	hv_fcopy_done(sc, HV_IC_S_FAIL);
}

static uint32_t
hv_fcopy_status(uint32_t status)
{

	switch (status) {
	case HV_FCOPY_DEV_OK:
		return (HV_IC_S_OK);
	case HV_FCOPY_DEV_EXISTS:
		return (HV_IC_S_EXISTS);
	case HV_FCOPY_DEV_FULL:
		return (HV_IC_S_DISK_FULL);
	case HV_FCOPY_DEV_INVALID:
		return (HV_IC_S_INVALID_ARG);
	default:
		return (HV_IC_S_FAIL);
	}
}

static int
hv_fcopy_answer(struct hv_fcopy_softc *sc, const struct hv_fcopy_dev_hdr *fm)
{

	if (!sc->fc_asked || fm->fm_id != sc->fc_id)
		return (ESTALE);
	(void)hv_node_clear(sc->fc_node);
	sc->fc_asked = false;
	if (sc->fc_im == NULL)
		return (ESTALE);
	if (fm->fm_status == HV_FCOPY_DEV_OK) {
		if (sc->fc_msg.fm_hdr.fm_op == HV_FCOPY_DEV_WRITE)
			sc->fc_bytes += sc->fc_msg.fm_hdr.fm_len;
		else if (sc->fc_msg.fm_hdr.fm_op == HV_FCOPY_DEV_COMPLETE)
			sc->fc_files++;
	}
	hv_fcopy_done(sc, hv_fcopy_status(fm->fm_status));
	return (0);
}

static int
hv_fcopy_node_write(void *arg, struct hv_node *hn __unused, const void *data,
    size_t len)
{
	struct hv_fcopy_softc *sc = arg;
	struct hv_fcopy_dev_hdr fm;

	if (len != sizeof(fm))
		return (EINVAL);
	memcpy(&fm, data, sizeof(fm));
	if (fm.fm_version != HV_FCOPY_DEV_VERSION)
		return (EPROTONOSUPPORT);
	if (fm.fm_type == HV_FCOPY_DEV_REGISTER && !sc->fc_ready) {
		sc->fc_ready = true;
		return (0);
	}
	if (fm.fm_type == HV_FCOPY_DEV_ANSWER && sc->fc_ready)
		return (hv_fcopy_answer(sc, &fm));
	return (EINVAL);
}

static void
hv_fcopy_node_closed(void *arg, struct hv_node *hn __unused)
{
	struct hv_fcopy_softc *sc = arg;

	sc->fc_ready = sc->fc_asked = false;
	hv_fcopy_done(sc, HV_IC_S_NOT_CONNECTED);
}

/* Hands the request to the program; fc_mtx held. */
static uint32_t
hv_fcopy_ask(struct hv_fcopy_softc *sc, struct hv_ic_msg *im)
{
	struct hv_fcopy_dev_hdr *hdr = &sc->fc_msg.fm_hdr;
	u_int timeout;

	if (!sc->fc_ready || sc->fc_dying)
		return (HV_IC_S_NOT_CONNECTED);
	/* It still has one that came to nothing. */
	if (sc->fc_asked)
		return (HV_IC_S_FAIL);
	if (!hv_fcopy_request(&sc->fc_msg, hv_ic_body(im),
	    hv_ic_body_len(im)))
		return (HV_IC_S_INVALID_ARG);
	timeout = MIN(MAX(sc->fc_timeout, 1), HV_FCOPY_TIMEOUT_MAX);
	hdr->fm_type = HV_FCOPY_DEV_REQUEST;
	hdr->fm_version = HV_FCOPY_DEV_VERSION;
	hdr->fm_id = ++sc->fc_id;
	hdr->fm_timeout = timeout * 1000;
	sc->fc_asked = true;
	sc->fc_im = im;
	hv_node_put(sc->fc_node, &sc->fc_msg, sizeof(*hdr) + hdr->fm_len);
	callout_reset_sbt(&sc->fc_timer, timeout * SBT_1S, 0, hv_fcopy_late,
	    sc, 0);
	return (HV_IC_LATER);
}

static uint32_t
hv_fcopy_handler(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	struct hv_fcopy_softc *sc = (struct hv_fcopy_softc *)ic;
	uint32_t status;

	mtx_lock(&sc->fc_mtx);
	status = hv_fcopy_ask(sc, im);
	if (status != HV_IC_LATER)
		sc->fc_failures++;
	mtx_unlock(&sc->fc_mtx);
	if (status == HV_IC_S_INVALID_ARG)
		hv_ic_bad(ic, "request to copy, bytes", hv_ic_body_len(im));
	return (status);
}

/* dev.hvfcopy.N, beside what the frame has there; it takes them away. */
static void
hv_fcopy_sysctl(struct hv_fcopy_softc *sc)
{
	struct sysctl_ctx_list *ctx = &sc->fc_ic.ic_sysctl;
	struct sysctl_oid_list *list;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->fc_ic.ic_dev));
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "timeout", CTLFLAG_RWTUN,
	    &sc->fc_timeout, 0, "Seconds for a request of the host");
	SYSCTL_ADD_BOOL(ctx, list, OID_AUTO, "program", CTLFLAG_RD,
	    &sc->fc_ready, 0, "Whether hv_fcopy_daemon(8) is there");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "files", CTLFLAG_RD,
	    &sc->fc_files, 0, "Files copied");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "bytes", CTLFLAG_RD,
	    &sc->fc_bytes, 0, "Bytes copied, of whole files or not");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "timeouts", CTLFLAG_RD,
	    &sc->fc_timeouts, 0, "Requests hv_fcopy_daemon(8) did not answer");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "failures", CTLFLAG_RD,
	    &sc->fc_failures, 0, "Requests of the host that failed");
}

static int
hv_fcopy_probe(device_t dev)
{

	return (hv_ic_probe(dev, &hv_fcopy_service));
}

/* The host's request fails; the node goes; the channel closes. */
static int
hv_fcopy_detach(device_t dev)
{
	struct hv_fcopy_softc *sc = device_get_softc(dev);
	int error;

	error = hv_ic_detach_begin(dev);
	if (error != 0 || !sc->fc_init)
		return (error);
	mtx_lock(&sc->fc_mtx);
	sc->fc_dying = true;
	hv_fcopy_done(sc, HV_IC_S_NOT_CONNECTED);
	mtx_unlock(&sc->fc_mtx);
	callout_drain(&sc->fc_timer);
	hv_node_destroy(sc->fc_node);
	sc->fc_node = NULL;
	hv_ic_detach_end(dev);
	mtx_destroy(&sc->fc_mtx);
	sc->fc_init = false;
	return (0);
}

static int
hv_fcopy_attach(device_t dev)
{
	struct hv_fcopy_softc *sc = device_get_softc(dev);
	int error;

	sc->fc_ic.ic_dev = dev;
	mtx_init(&sc->fc_mtx, "hvfcopy", NULL, MTX_DEF);
	callout_init_mtx(&sc->fc_timer, &sc->fc_mtx, 0);
	sc->fc_init = true;
	sc->fc_timeout = HV_FCOPY_TIMEOUT;
	error = hv_node_create(&hv_fcopy_node, &sc->fc_mtx, sc, &sc->fc_node);
	if (error != 0)
		device_printf(dev, "cannot make /dev/%s: error %d\n",
		    hv_fcopy_node.nc_name, error);
	else
		error = hv_ic_attach(dev, &hv_fcopy_service);
	if (error == 0)
		hv_fcopy_sysctl(sc);
	else
		(void)hv_fcopy_detach(dev);
	return (error);
}

static device_method_t hv_fcopy_methods[] = {
	DEVMETHOD(device_probe,		hv_fcopy_probe),
	DEVMETHOD(device_attach,	hv_fcopy_attach),
	DEVMETHOD(device_detach,	hv_fcopy_detach),
	DEVMETHOD(device_suspend,	hv_ic_suspend),
	DEVMETHOD(device_resume,	hv_ic_resume),
	DEVMETHOD_END
};

static driver_t hv_fcopy_driver = {
	"hvfcopy",
	hv_fcopy_methods,
	sizeof(struct hv_fcopy_softc)
};

HV_IC_DRIVER(hv_ic_fcopy, hv_fcopy_driver, hv_fcopy_pnp);
