/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Shutdown: the guest is asked to power off, to start over or to hibernate,
 * says whether it will, and then does it by itself.  protocol: utilities, 3
 */

#include <errno.h>
#include <string.h>

#include "services/ic_var.h"

#define	SHUTDOWN_LIMIT	(30 * IC_SECOND)

static const uint32_t shutdown_versions[] = {
	HVH_IC_VERSION(3, 2), HVH_IC_VERSION(3, 1), HVH_IC_VERSION(3, 0),
	HVH_IC_VERSION(1, 0)
};

/* An older guest may take for a power-off what it does not know. */
static const struct {
	uint32_t	 flags;
	uint32_t	 version;
} shutdown_kinds[] = {
	[HVH_SHUTDOWN_POWEROFF] = { 0, 0 },
	[HVH_SHUTDOWN_REBOOT] = { IC_SHUTDOWN_RESTART, HVH_IC_VERSION(3, 1) },
	[HVH_SHUTDOWN_HIBERNATE] = { IC_SHUTDOWN_HIBERNATE,
	    HVH_IC_VERSION(3, 2) },
};
#define	SHUTDOWN_KINDS	(sizeof(shutdown_kinds) / sizeof(shutdown_kinds[0]))

const struct ic_service ic_shutdown = {
	.name = "shutdown",
	.class = "0e0b6031-5213-4934-818b-38d90ced39db",
	.instance = "b6650ff7-33bc-4840-8048-e0676786f393",
	.type = IC_SHUTDOWN,
	.versions = shutdown_versions,
	.nversions = 4,
};

static int
shutdown_order(struct hvh_ic *ic, uint32_t flags, uint32_t version,
    hvh_ic_done *done, void *arg)
{
	struct ic_shutdown m;
	struct ic_order *o;

	if (ic->state == HVH_IC_READY && ic->version < version)
		return (ENOTSUP);
	if (ic->norders > 0)
		return (EBUSY);
	memset(&m, 0, sizeof(m));
	m.sd_reason = IC_SHUTDOWN_PLANNED;
	m.sd_flags = flags;
	o = ic_order_new(ic, sizeof(m), SHUTDOWN_LIMIT, ic_plain);
	if (o != NULL) {
		memcpy(o->body, &m, sizeof(m));
		o->done = done;
		o->arg = arg;
	}
	return (ic_submit(o));
}

int
hvh_shutdown(struct hvh_ic *ic, enum hvh_shutdown_kind kind, bool force,
    hvh_ic_done *done, void *arg)
{
	int error;

	if ((unsigned)kind >= SHUTDOWN_KINDS)
		return (EINVAL);
	error = ic_enter(ic, HVH_IC_SHUTDOWN);
	if (error != 0)
		return (error);
	return (ic_leave(ic, shutdown_order(ic, shutdown_kinds[kind].flags |
	    (force ? IC_SHUTDOWN_FORCE : 0), shutdown_kinds[kind].version,
	    done, arg)));
}
