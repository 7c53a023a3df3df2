/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Heartbeat: the host counts, and sees by the answers that the guest is alive
 * (protocol: utilities, section 5).  The whole of a service is here.
 */

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/utilities/hv_ic_var.h>

static const uint32_t hv_heartbeat_versions[] = {
	HV_IC_VERSION(3, 0),
	HV_IC_VERSION(1, 0),
};

static uint32_t
hv_heartbeat_request(struct hv_ic_softc *ic, struct hv_ic_msg *im)
{
	struct hv_ic_heartbeat *hb = hv_ic_body(im);

	if (hv_ic_body_len(im) < sizeof(*hb)) {
		hv_ic_bad(ic, "short message", hv_ic_body_len(im));
		return (HV_IC_S_INVALID_ARG);
	}
	hb->hb_seq++;
	return (HV_IC_S_OK);
}

static const struct hv_ic_service hv_heartbeat_service = {
	.is_guid = HYPERV_GUID(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38,
	    0x2f, 0x3b, 0xd5, 0x42, 0x2d),
	.is_descr = "Hyper-V Heartbeat",
	.is_type = HV_IC_TYPE_HEARTBEAT,
	.is_versions = hv_heartbeat_versions,
	.is_nversions = nitems(hv_heartbeat_versions),
	.is_handler = hv_heartbeat_request,
};

/* The same, as devmatch(8) finds it in vmbus's plug-and-play strings. */
static const struct hv_ic_pnp hv_heartbeat_pnp[] = {
	{ "57164f39-9115-4e78-ab55-382f3bd5422d" },
};

static int
hv_heartbeat_probe(device_t dev)
{

	return (hv_ic_probe(dev, &hv_heartbeat_service));
}

static int
hv_heartbeat_attach(device_t dev)
{

	return (hv_ic_attach(dev, &hv_heartbeat_service));
}

static device_method_t hv_heartbeat_methods[] = {
	DEVMETHOD(device_probe,		hv_heartbeat_probe),
	DEVMETHOD(device_attach,	hv_heartbeat_attach),
	DEVMETHOD(device_detach,	hv_ic_detach),
	DEVMETHOD(device_suspend,	hv_ic_suspend),
	DEVMETHOD(device_resume,	hv_ic_resume),
	DEVMETHOD_END
};

static driver_t hv_heartbeat_driver = {
	"hvheartbeat",
	hv_heartbeat_methods,
	sizeof(struct hv_ic_softc)
};

HV_IC_DRIVER(hv_ic_heartbeat, hv_heartbeat_driver, hv_heartbeat_pnp);
