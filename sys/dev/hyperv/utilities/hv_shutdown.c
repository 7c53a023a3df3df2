/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Shutdown by the host: power-off or reboot, in order, through init(8)
 * (protocol: utilities, section 3).  The host waits for the answer and then for
 * the machine, so the answer goes first.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/reboot.h>

#include <dev/hyperv/utilities/hv_ic_var.h>

/* Restart came with 3.1, hibernation with 3.2; the layout is the same. */
static const uint32_t hv_shutdown_versions[] = {
	HV_IC_VERSION(3, 2),
	HV_IC_VERSION(3, 1),
	HV_IC_VERSION(3, 0),
	HV_IC_VERSION(1, 0),
};

struct hv_shutdown_softc {
	struct hv_ic_softc	 sd_ic;		/* first */
	bool			 sd_begun;	/* callback only */
	int			 sd_howto;	/* callback only, RB_ */
};

/*
 * What the flags ask for; a status if it cannot be had.  Forced or not is the
 * same here: no program can object to init's end of the system, which kills
 * what does not go by itself.
 */
static uint32_t
hv_shutdown_howto(uint32_t flags, int *howto)
{

	switch (flags & ~HV_IC_SD_FORCE) {
	case 0:
		*howto = RB_POWEROFF;
		return (HV_IC_S_OK);
	case HV_IC_SD_RESTART:
		*howto = RB_AUTOBOOT;
		return (HV_IC_S_OK);
	case HV_IC_SD_HIBERNATE:
		return (HV_IC_S_NOT_SUPPORTED);
	default:
		return (HV_IC_S_INVALID_ARG);
	}
}

/*
 * Once begun it cannot be called off: asked again for the same, the answer is
 * the same, and nothing more is done; asked for the other, it is no.  Nor is
 * there an init(8) to end what has not begun, before the root is mounted.
 */
static uint32_t
hv_shutdown_request(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	struct hv_shutdown_softc *sc = (struct hv_shutdown_softc *)ic;
	const struct hv_ic_shutdown *sd = hv_ic_body(im);
	uint32_t flags, reason, status;
	int howto;

	if (hv_ic_body_len(im) < sizeof(*sd)) {
		hv_ic_bad(ic, "short message", hv_ic_body_len(im));
		return (HV_IC_S_INVALID_ARG);
	}
	flags = sd->sd_flags;
	reason = sd->sd_reason;
	status = hv_shutdown_howto(flags, &howto);
	if (status == HV_IC_S_OK && sc->sd_begun)
		return (howto == sc->sd_howto ? HV_IC_S_OK : HV_IC_S_FAIL);
	if (status == HV_IC_S_OK && !root_mounted())
		status = HV_IC_S_FAIL;
	if (status != HV_IC_S_OK) {
		device_printf(ic->ic_dev, "the host's request is refused: "
		    "flags %#x, reason %#x\n", flags, reason);
		return (status);
	}
	sc->sd_begun = true;
	sc->sd_howto = howto;
	device_printf(ic->ic_dev, "the host asks for a %s, reason %#x\n",
	    howto == RB_POWEROFF ? "power-off" : "reboot", reason);
	hv_ic_reply(ic, im, HV_IC_S_OK);
	shutdown_nice(howto);
	return (HV_IC_LATER);
}

static const struct hv_ic_service hv_shutdown_service = {
	.is_guid = HYPERV_GUID(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38,
	    0xd9, 0x0c, 0xed, 0x39, 0xdb),
	.is_descr = "Hyper-V Shutdown",
	.is_type = HV_IC_TYPE_SHUTDOWN,
	.is_versions = hv_shutdown_versions,
	.is_nversions = nitems(hv_shutdown_versions),
	.is_handler = hv_shutdown_request,
};

/* The same, as devmatch(8) finds it in vmbus's plug-and-play strings. */
static const struct hv_ic_pnp hv_shutdown_pnp[] = {
	{ "0e0b6031-5213-4934-818b-38d90ced39db" },
};

static int
hv_shutdown_probe(device_t dev)
{

	return (hv_ic_probe(dev, &hv_shutdown_service));
}

static int
hv_shutdown_attach(device_t dev)
{

	return (hv_ic_attach(dev, &hv_shutdown_service));
}

static device_method_t hv_shutdown_methods[] = {
	DEVMETHOD(device_probe,		hv_shutdown_probe),
	DEVMETHOD(device_attach,	hv_shutdown_attach),
	DEVMETHOD(device_detach,	hv_ic_detach),
	DEVMETHOD(device_suspend,	hv_ic_suspend),
	DEVMETHOD(device_resume,	hv_ic_resume),
	DEVMETHOD_END
};

static driver_t hv_shutdown_driver = {
	"hvshutdown",
	hv_shutdown_methods,
	sizeof(struct hv_shutdown_softc)
};

HV_IC_DRIVER(hv_ic_shutdown, hv_shutdown_driver, hv_shutdown_pnp);
