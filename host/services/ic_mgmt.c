/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Integration services come and go, and what can be seen of them.
 * protocol: utilities, 1
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services/ic_var.h"

static const struct ic_service *const ic_services[HVH_IC_KINDS] = {
	[HVH_IC_HEARTBEAT] = &ic_heartbeat,
	[HVH_IC_SHUTDOWN] = &ic_shutdown,
	[HVH_IC_TIMESYNC] = &ic_timesync,
	[HVH_IC_KVP] = &ic_kvp,
	[HVH_IC_VSS] = &ic_vss,
	[HVH_IC_FCOPY] = &ic_fcopy,
};

static bool
ic_has_version(const struct ic_service *sv, uint32_t max)
{

	return (sv->versions[sv->nversions - 1] <= max);
}

static int
ic_new(struct hvh *h, const struct hvh_ic_params *ip, struct hvh_ic **icp)
{
	const struct ic_service *sv;
	struct hvh_ic *ic;

	if ((unsigned)ip->kind >= HVH_IC_KINDS)
		return (EINVAL);
	sv = ic_services[ip->kind];
	if ((ip->max_version != 0 && !ic_has_version(sv, ip->max_version)) ||
	    (ip->max_framework != 0 &&
	    ip->max_framework < HVH_IC_VERSION(1, 0)))
		return (EINVAL);
	ic = calloc(1, sizeof(*ic));
	if (ic == NULL)
		return (ENOMEM);
	if (sv->own_size > 0) {
		ic->own = calloc(1, sv->own_size);
		if (ic->own == NULL) {
			free(ic);
			return (ENOMEM);
		}
	}
	ic->h = h;
	ic->service = sv;
	ic->kind = ip->kind;
	ic->max_version = ip->max_version != 0 ? ip->max_version : UINT32_MAX;
	ic->max_framework = ip->max_framework != 0 ? ip->max_framework :
	    UINT32_MAX;
	STAILQ_INIT(&ic->orders);
	STAILQ_INIT(&ic->next);
	if (sv->init != NULL)
		sv->init(ic);
	*icp = ic;
	return (0);
}

static void
ic_free(struct hvh_ic *ic)
{

	free(ic->own);
	free(ic);
}

static void
ic_husk_free(struct hvh_husk *k)
{

	ic_free((struct hvh_ic *)((char *)k - offsetof(struct hvh_ic, husk)));
}

int
hvh_ic_add(struct hvh *h, const struct hvh_ic_params *ip, struct hvh_ic **icp)
{
	const uint32_t pipe = IC_PIPE_MESSAGES;
	struct hvh_offer of = { .flags = IC_OFFER_INTERFACE | IC_OFFER_PIPE };
	struct hvh_ic *ic;
	int error;

	error = ic_new(h, ip, &ic);
	if (error != 0)
		return (error);
	hvh_guid_parse(ic->service->class, &of.type);
	hvh_guid_parse(ic->service->instance, &of.instance);
	memcpy(of.udata, &pipe, sizeof(pipe));
	hvh_lock(h);
	error = hvh_chan_offer(h, &of, &ic_chan_ops, ic, &ic->chan);
	hvh_unlock(h);
	if (error != 0)
		ic_free(ic);
	else
		*icp = ic;
	return (error);
}

void
ic_released(void *dev)
{
	struct hvh_ic *ic = dev;

	ic->state = HVH_IC_GONE;
	/* Only when the partition goes as a whole is there anything left. */
	ic_fail_all(ic, ECANCELED);
	ic->chan = NULL;
	if (ic->removed) {
		ic_free(ic);
		return;
	}
	/* Whoever rescinded it, its owner has the pointer. */
	ic->husk.free = ic_husk_free;
	hvh_husk_add(ic->h, &ic->husk);
}

void
hvh_ic_remove(struct hvh_ic *ic)
{
	struct hvh *h = ic->h;

	hvh_lock(h);
	if (ic->chan == NULL) {
		hvh_husk_take(h, &ic->husk);
		ic_free(ic);
	} else {
		ic->removed = true;
		if (!hvh_chan_revoked(ic->chan))
			hvh_chan_revoke(ic->chan);
	}
	hvh_unlock(h);
	hvh_kick(h);
}

void
hvh_ic_get_info(struct hvh_ic *ic, struct hvh_ic_info *ii)
{

	hvh_lock(ic->h);
	*ii = ic->info;
	ii->kind = ic->kind;
	ii->state = ic->state;
	if (ic->chan != NULL && hvh_chan_revoked(ic->chan))
		ii->state = HVH_IC_GONE;
	ii->framework = ic->framework;
	ii->version = ic->version;
	hvh_unlock_quiet(ic->h);
}

int
ic_enter(struct hvh_ic *ic, enum hvh_ic_kind kind)
{

	hvh_lock(ic->h);
	if (ic->kind == kind)
		return (0);
	hvh_unlock_quiet(ic->h);
	return (EINVAL);
}

int
ic_leave(struct hvh_ic *ic, int error)
{

	hvh_unlock(ic->h);
	return (error);
}

void
ic_result(const struct ic_answer *a, struct hvh_ic_result *r)
{

	memset(r, 0, sizeof(*r));
	r->error = a->error;
	if (a->error != 0)
		return;
	r->status = a->status;
	r->body = a->body;
	r->len = a->len;
}

void
ic_result_error(struct hvh_ic_result *r, int error)
{

	memset(r, 0, sizeof(*r));
	r->error = error;
}

void
ic_plain(struct ic_order *o, const struct ic_answer *a)
{
	struct hvh_ic_result r;

	ic_result(a, &r);
	if (o->done != NULL)
		o->done(o->arg, &r);
}

int
hvh_ic_raw(struct hvh_ic *ic, uint16_t type, const void *body, size_t len,
    uint64_t limit, hvh_ic_done *done, void *arg)
{
	struct ic_order *o;
	int error;

	if (len > IC_BODY_MAX || type == IC_NEGOTIATE)
		return (EINVAL);
	hvh_lock(ic->h);
	o = ic_order_new(ic, (uint32_t)len, limit, ic_plain);
	if (o != NULL) {
		ic_order_type(o, type);
		memcpy(o->body, body, len);
		o->done = done;
		o->arg = arg;
	}
	error = ic_submit(o);
	hvh_unlock(ic->h);
	return (error);
}
