/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Backup (the Volume Shadow Copy service of Windows): before the host takes a
 * snapshot of the disks it has the guest put all on them and hold still
 * (protocol: utilities, section 7).
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <machine/stdarg.h>

#include <dev/hyperv/utilities/hv_vss_reg.h>
#include <dev/hyperv/utilities/hv_vss_var.h>

/* Seconds.  Freezing writes out all that is dirty. */
#define	HV_VSS_CHECK_TIMEOUT	10
#define	HV_VSS_FREEZE_TIMEOUT	45
#define	HV_VSS_THAW_TIMEOUT	15
#define	HV_VSS_HOLD_TIMEOUT	60

/* Operations, and answers to them, are laid out so from 5.0 on. */
static const uint32_t hv_vss_versions[] = {
	HV_IC_VERSION(5, 0),
};

static uint32_t	hv_vss_handler(struct hv_ic_softc *ic, struct hv_ic_msg *im);

static const struct hv_ic_service hv_vss_service = {
	.is_guid = HYPERV_GUID(0x35fa2e29, 0xea23, 0x4236, 0x96, 0xae, 0x3a,
	    0x6e, 0xba, 0xcb, 0xa4, 0x40),
	.is_descr = "Hyper-V Backup (VSS)",
	.is_type = HV_IC_TYPE_VSS,
	.is_keep = HV_VSS_KEEP,
	.is_versions = hv_vss_versions,
	.is_nversions = nitems(hv_vss_versions),
	.is_handler = hv_vss_handler,
};

/* The same, as devmatch(8) finds it in vmbus's plug-and-play strings. */
static const struct hv_ic_pnp hv_vss_pnp[] = {
	{ "35fa2e29-ea23-4236-96ae-3a6ebacba440" },
};

void
hv_vss_say(struct hv_vss_softc *sc, int level, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	if (sc->vs_log < level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	device_printf(sc->vs_ic.ic_dev, "%s\n", text);
}

static uint8_t
hv_vss_op(struct hv_ic_msg *im)
{

	return (((const struct hv_vss_hdr *)hv_ic_body(im))->vh_op);
}

uint32_t
hv_vss_dev_op(struct hv_ic_msg *im)
{

	switch (hv_vss_op(im)) {
	case HV_VSS_OP_FREEZE:
		return (HV_VSS_DEV_FREEZE);
	case HV_VSS_OP_THAW:
		return (HV_VSS_DEV_THAW);
	default:
		return (HV_VSS_DEV_CHECK);
	}
}

/* The answer says so much beside its status. */
static void
hv_vss_set_flags(struct hv_ic_msg *im, uint32_t flags)
{
	struct hv_vss_flags *vf;

	if (hv_ic_body_len(im) < sizeof(*vf))
		hv_ic_set_body_len(im, sizeof(*vf));
	vf = hv_ic_body(im);
	vf->vf_flags = flags;
}

/* What the programs have to do; they are asked in the order of the requests. */
static uint32_t
hv_vss_enqueue(struct hv_vss_softc *sc, struct hv_ic_msg *im)
{

	mtx_lock(&sc->vs_mtx);
	if (sc->vs_dying || sc->vs_queued == HV_VSS_KEEP) {
		mtx_unlock(&sc->vs_mtx);
		return (HV_IC_S_FAIL);
	}
	sc->vs_queued++;
	STAILQ_INSERT_TAIL(&sc->vs_queue, im, im_link);
	hv_vss_next(sc);
	mtx_unlock(&sc->vs_mtx);
	return (HV_IC_LATER);
}

static uint32_t
hv_vss_handler(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	struct hv_vss_softc *sc = (struct hv_vss_softc *)ic;

	if (hv_ic_body_len(im) < sizeof(struct hv_vss_hdr)) {
		hv_ic_bad(ic, "length of a request", hv_ic_body_len(im));
		return (HV_IC_S_INVALID_ARG);
	}
	switch (hv_vss_op(im)) {
	case HV_VSS_OP_CHECK_HOT_BACKUP:
		hv_vss_set_flags(im, HV_VSS_F_NO_AUTO_RECOVERY);
		return (hv_vss_enqueue(sc, im));
	case HV_VSS_OP_FREEZE:
	case HV_VSS_OP_THAW:
		return (hv_vss_enqueue(sc, im));
	case HV_VSS_OP_GET_DIRECT_MAPPED:
		hv_vss_set_flags(im, 0);
		return (HV_IC_S_OK);
	case HV_VSS_OP_BACKUP_COMPLETE:
		/* Nothing was kept for it. */
		return (HV_IC_S_OK);
	default:
		mtx_lock(&sc->vs_mtx);
		hv_vss_say(sc, 2, "operation %u is none of ours",
		    hv_vss_op(im));
		mtx_unlock(&sc->vs_mtx);
		return (HV_IC_S_NOT_SUPPORTED);
	}
}

/* dev.hvvss.N, beside what the frame has there; it takes them away. */
static void
hv_vss_sysctl(struct hv_vss_softc *sc)
{
	struct sysctl_ctx_list *ctx = &sc->vs_ic.ic_sysctl;
	struct sysctl_oid_list *list;

	list = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->vs_ic.ic_dev));
	SYSCTL_ADD_INT(ctx, list, OID_AUTO, "hv_vss_log", CTLFLAG_RWTUN,
	    &sc->vs_log, 0, "What is logged: 1 failures, 2 all, 0 nothing");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "check_timeout", CTLFLAG_RWTUN,
	    &sc->vs_check_timeout, 0, "Seconds for a program to check");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "freeze_timeout", CTLFLAG_RWTUN,
	    &sc->vs_freeze_timeout, 0, "Seconds for a program to freeze");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "thaw_timeout", CTLFLAG_RWTUN,
	    &sc->vs_thaw_timeout, 0, "Seconds for a program to thaw");
	SYSCTL_ADD_UINT(ctx, list, OID_AUTO, "hold_timeout", CTLFLAG_RWTUN,
	    &sc->vs_hold_timeout, 0, "Seconds until what the host froze is "
	    "thawed without it");
	SYSCTL_ADD_BOOL(ctx, list, OID_AUTO, "app_program", CTLFLAG_RD,
	    &sc->vs_party[HV_VSS_APP].vp_ready, 0, "Whether there is a program "
	    "that freezes applications");
	SYSCTL_ADD_BOOL(ctx, list, OID_AUTO, "fs_program", CTLFLAG_RD,
	    &sc->vs_party[HV_VSS_FS].vp_ready, 0, "Whether there is a program "
	    "that freezes file systems: hv_vss_daemon(8)");
	SYSCTL_ADD_BOOL(ctx, list, OID_AUTO, "frozen", CTLFLAG_RD,
	    &sc->vs_frozen, 0, "Whether the guest holds still");
	SYSCTL_ADD_BOOL(ctx, list, OID_AUTO, "busy", CTLFLAG_RD,
	    &sc->vs_busy, 0, "Whether a program has been asked");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "freezes", CTLFLAG_RD,
	    &sc->vs_freezes, 0, "Times frozen for the host");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "thaws", CTLFLAG_RD,
	    &sc->vs_thaws, 0, "... and thawed by it");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "auto_thaws", CTLFLAG_RD,
	    &sc->vs_auto_thaws, 0, "... and thawed before it asked for it");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "timeouts", CTLFLAG_RD,
	    &sc->vs_timeouts, 0, "Requests a program did not answer in time");
	SYSCTL_ADD_U64(ctx, list, OID_AUTO, "failures", CTLFLAG_RD,
	    &sc->vs_failures, 0, "Requests of the host that failed");
}

static int
hv_vss_probe(device_t dev)
{

	return (hv_ic_probe(dev, &hv_vss_service));
}

/*
 * In this order: the host's requests fail; nobody has a node open; the channel
 * closes.  The programs thaw when their nodes go.
 */
static int
hv_vss_detach(device_t dev)
{
	struct hv_vss_softc *sc = device_get_softc(dev);
	int error, i;

	error = hv_ic_detach_begin(dev);
	if (error != 0 || !sc->vs_init)
		return (error);
	mtx_lock(&sc->vs_mtx);
	sc->vs_dying = true;
	callout_stop(&sc->vs_timer);
	callout_stop(&sc->vs_hold);
	hv_vss_fail(sc);
	mtx_unlock(&sc->vs_mtx);
	callout_drain(&sc->vs_timer);
	callout_drain(&sc->vs_hold);
	for (i = 0; i < HV_VSS_WHOS; i++)
		hv_node_destroy(sc->vs_party[i].vp_node);
	/* Until now the last node's writer told them apart by these. */
	for (i = 0; i < HV_VSS_WHOS; i++)
		sc->vs_party[i].vp_node = NULL;
	hv_ic_detach_end(dev);
	mtx_destroy(&sc->vs_mtx);
	sc->vs_init = false;
	return (0);
}

static int
hv_vss_attach(device_t dev)
{
	struct hv_vss_softc *sc = device_get_softc(dev);
	int error, i;

	sc->vs_ic.ic_dev = dev;
	mtx_init(&sc->vs_mtx, "hvvss", NULL, MTX_DEF);
	callout_init_mtx(&sc->vs_timer, &sc->vs_mtx, 0);
	callout_init_mtx(&sc->vs_hold, &sc->vs_mtx, 0);
	STAILQ_INIT(&sc->vs_queue);
	sc->vs_init = true;
	sc->vs_log = 1;
	sc->vs_check_timeout = HV_VSS_CHECK_TIMEOUT;
	sc->vs_freeze_timeout = HV_VSS_FREEZE_TIMEOUT;
	sc->vs_thaw_timeout = HV_VSS_THAW_TIMEOUT;
	sc->vs_hold_timeout = HV_VSS_HOLD_TIMEOUT;
	for (i = 0; i < HV_VSS_WHOS; i++) {
		error = hv_node_create(&hv_vss_nodes[i], &sc->vs_mtx, sc,
		    &sc->vs_party[i].vp_node);
		if (error != 0) {
			device_printf(dev, "cannot make /dev/%s: error %d\n",
			    hv_vss_nodes[i].nc_name, error);
			(void)hv_vss_detach(dev);
			return (error);
		}
	}
	error = hv_ic_attach(dev, &hv_vss_service);
	if (error == 0)
		hv_vss_sysctl(sc);
	else
		(void)hv_vss_detach(dev);
	return (error);
}

/* The host's backup does not survive this, and nobody sleeps frozen. */
static int
hv_vss_suspend(device_t dev)
{
	struct hv_vss_softc *sc = device_get_softc(dev);

	mtx_lock(&sc->vs_mtx);
	hv_vss_fail(sc);
	hv_vss_undo(sc, "the machine is suspended");
	mtx_unlock(&sc->vs_mtx);
	return (hv_ic_suspend(dev));
}

static device_method_t hv_vss_methods[] = {
	DEVMETHOD(device_probe,		hv_vss_probe),
	DEVMETHOD(device_attach,	hv_vss_attach),
	DEVMETHOD(device_detach,	hv_vss_detach),
	DEVMETHOD(device_suspend,	hv_vss_suspend),
	DEVMETHOD(device_resume,	hv_ic_resume),
	DEVMETHOD_END
};

static driver_t hv_vss_driver = {
	"hvvss",
	hv_vss_methods,
	sizeof(struct hv_vss_softc)
};

HV_IC_DRIVER(hv_ic_vss, hv_vss_driver, hv_vss_pnp);
