/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's commands for integration services: what they are, and
 * heartbeat, shutdown and time.  Callbacks come from the thread that runs the
 * pump; they only put an answer together.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hvballoon.h"
#include "control/ctl_var.h"

static const char *const kinds[HVH_IC_KINDS] = {
	[HVH_IC_HEARTBEAT] = "heartbeat",
	[HVH_IC_SHUTDOWN] = "shutdown",
	[HVH_IC_TIMESYNC] = "time",
	[HVH_IC_KVP] = "kvp",
	[HVH_IC_VSS] = "vss",
	[HVH_IC_FCOPY] = "copy",
};

static const char *const states[] = {
	[HVH_IC_CLOSED] = "closed",
	[HVH_IC_NEGOTIATING] = "negotiating",
	[HVH_IC_READY] = "ready",
	[HVH_IC_REFUSED] = "refused",
	[HVH_IC_GONE] = "gone",
};

/* --- Sentences. --- */

static const struct {
	uint32_t	 status;
	const char	*what;
} statuses[] = {
	{ HVH_IC_FAIL, "the guest refuses it, or failed" },
	{ HVH_IC_NO_MORE, "the guest has no such item, or cannot store it" },
	{ HVH_IC_NOT_SUPPORTED, "the guest cannot do that" },
	{ HVH_IC_NOT_FOUND, "the guest has no such adapter" },
	{ HVH_IC_INVALID, "the guest takes that for wrong" },
	{ HVH_IC_EXISTS, "the file exists in the guest" },
	{ HVH_IC_DISK_FULL, "the guest's disk is full" },
	{ HVH_IC_LOCKED, "it is locked in the guest" },
	{ HVH_IC_NOT_CONNECTED, "the guest's service is not connected" },
};

static const char *
say_status(uint32_t status)
{

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (statuses[i].status == status)
			return (statuses[i].what);
	}
	return ("the guest answers with an error");
}

const char *
ctl_ic_error(int error)
{

	switch (error) {
	case ETIMEDOUT:
		return ("the guest did not answer in time");
	case ECONNRESET:
		return ("the guest went away before it answered");
	case EPROTO:
		return ("the guest's answer makes no sense");
	case ECANCELED:
		return ("it was taken back");
	default:
		return (strerror(error));
	}
}

const char *
ctl_ic_state(enum hvh_ic_state state)
{

	return (states[state]);
}

void
ctl_ic_say(enum hvh_ic_kind kind, const struct hvh_ic_result *r, char *err,
    size_t errlen)
{
	const char *step = r->step != NULL ? r->step : kinds[kind];

	err[0] = '\0';
	if (r->error != 0)
		snprintf(err, errlen, "%s: %s", step, ctl_ic_error(r->error));
	else if (r->status != 0)
		snprintf(err, errlen, "%s: %s (0x%08x)", step,
		    say_status(r->status), r->status);
}

int
ctl_ic_refused(struct ctl_call *c, struct hvh_ic *ic, int error)
{
	struct hvh_ic_info ii;
	const char *why;

	hvh_ic_get_info(ic, &ii);
	if (error == EBUSY)
		why = "the guest is busy with another one";
	else if (error == EAGAIN)
		why = "too many orders wait for the guest";
	else if (error == ENOTSUP)
		why = "the version agreed with the guest does not have it";
	else if (error == EINVAL)
		why = "empty, too long, or not UTF-8";
	else if (error == ENOMEM)
		why = "no memory";
	else if (ii.state == HVH_IC_CLOSED)
		why = "the guest has no driver for it, or has not loaded it";
	else if (ii.state == HVH_IC_NEGOTIATING)
		why = "the guest has not agreed on a version yet; its driver "
		    "may wait for its daemon";
	else if (ii.state == HVH_IC_REFUSED)
		why = "the guest takes no version that is offered";
	else
		why = "it was taken away from the guest";
	ctl_bad(c, "%s: %s", kinds[ii.kind], why);
	return (error);
}

struct hvh_ic *
ctl_ic(struct ctl_call *c, enum hvh_ic_kind kind)
{
	struct hvh_ic *ic = NULL;

	if (c->s->ops->service != NULL)
		ic = c->s->ops->service(c->s->arg, kind);
	if (ic == NULL)
		ctl_bad(c, "%s: this machine does not offer it to its guest",
		    kinds[kind]);
	return (ic);
}

bool
ctl_ic_ready(struct ctl_call *c, enum hvh_ic_kind kind)
{
	struct hvh_ic_info ii;
	struct hvh_ic *ic = NULL;

	if (c->s->ops->service != NULL)
		ic = c->s->ops->service(c->s->arg, kind);
	if (ic == NULL)
		return (false);
	hvh_ic_get_info(ic, &ii);
	return (ii.state == HVH_IC_READY);
}

/* --- What they are. --- */

static void
put(json_t *o, const char *name, uint64_t v)
{

	json_object_set_new(o, name, json_integer((json_int_t)v));
}

static void
put_version(json_t *o, const char *name, uint32_t v)
{

	json_object_set_new(o, name, v == 0 ? json_null() :
	    json_sprintf("%u.%u", v >> 16, v & 0xffff));
}

/* It has no framework and is not asked, but is one to whoever looks. */
static void
services_memory(struct ctl_call *c, json_t *all)
{
	struct hvh_balloon_info bi;
	struct hvh_balloon *b = NULL;
	json_t *o;

	if (c->s->ops->balloon != NULL)
		b = c->s->ops->balloon(c->s->arg);
	if (b == NULL)
		return;
	hvh_balloon_get_info(b, &bi);
	o = json_object();
	json_object_set_new(o, "name", json_string("memory"));
	json_object_set_new(o, "state", json_string(states[bi.state]));
	put_version(o, "version", bi.version);
	put(o, "requests", bi.takes + bi.gives);
	put(o, "timeouts", bi.timeouts);
	put(o, "stale", bi.stale);
	put(o, "bad", bi.bad);
	json_array_append_new(all, o);
}

int
ctl_cmd_services(struct ctl_call *c)
{
	json_t *all = json_array(), *o;
	struct hvh_ic_info ii;
	struct hvh_ic *ic;

	for (unsigned k = 0; k < HVH_IC_KINDS; k++) {
		ic = c->s->ops->service == NULL ? NULL :
		    c->s->ops->service(c->s->arg, (enum hvh_ic_kind)k);
		if (ic == NULL)
			continue;
		hvh_ic_get_info(ic, &ii);
		o = json_object();
		json_object_set_new(o, "name", json_string(kinds[k]));
		json_object_set_new(o, "state", json_string(states[ii.state]));
		put_version(o, "framework", ii.framework);
		put_version(o, "version", ii.version);
		put(o, "requests", ii.requests);
		put(o, "answers", ii.answers);
		put(o, "timeouts", ii.timeouts);
		put(o, "stale", ii.stale);
		put(o, "bad", ii.bad);
		put(o, "rtt_last", ii.rtt_last);
		put(o, "rtt_max", ii.rtt_max);
		json_array_append_new(all, o);
	}
	services_memory(c, all);
	o = ctl_kbd_info(c->s);
	if (o != NULL)
		json_array_append_new(all, o);
	json_object_set_new(c->result, "services", all);
	return (0);
}

int
ctl_cmd_heartbeat(struct ctl_call *c)
{
	static const char *const words[] = {
		[HVH_HEARTBEAT_NO_CONTACT] = "no contact",
		[HVH_HEARTBEAT_OK] = "ok",
		[HVH_HEARTBEAT_LOST] = "lost communication",
	};
	struct hvh_heartbeat_info hi;
	struct hvh_ic_info ii;
	struct hvh_ic *ic = ctl_ic(c, HVH_IC_HEARTBEAT);

	if (ic == NULL)
		return (ENODEV);
	hvh_heartbeat_get_info(ic, &hi);
	hvh_ic_get_info(ic, &ii);
	json_object_set_new(c->result, "state", json_string(words[hi.state]));
	put(c->result, "sent", hi.sent);
	put(c->result, "answered", hi.answered);
	put(c->result, "missed", hi.missed);
	put(c->result, "wrong", hi.wrong);
	put(c->result, "application", hi.application);
	put(c->result, "rtt_last", ii.rtt_last);
	put(c->result, "rtt_max", ii.rtt_max);
	return (0);
}

/* --- Shutdown. --- */

static void
shutdown_done(void *arg, const struct hvh_ic_result *r)
{
	json_t *result = json_object();
	char err[200];

	ctl_ic_say(HVH_IC_SHUTDOWN, r, err, sizeof(err));
	json_object_set_new(result, "by", json_string("service"));
	ctl_later_done(arg, result, err[0] != '\0' ? err : NULL);
}

int
ctl_ic_shutdown(struct ctl_call *c, enum hvh_shutdown_kind kind, bool urgent)
{
	struct hvh_ic *ic = ctl_ic(c, HVH_IC_SHUTDOWN);
	struct ctl_later *l;
	int error;

	if (ic == NULL)
		return (ENODEV);
	l = ctl_later_new(c);
	if (l == NULL)
		return (EAGAIN);
	error = hvh_shutdown(ic, kind, urgent, shutdown_done, l);
	if (error == 0)
		return (0);
	ctl_later_drop(c);
	return (ctl_ic_refused(c, ic, error));
}

/* --- Time. --- */

static void
time_told(void *arg, const struct hvh_ic_result *r)
{
	json_t *result = json_object();
	char err[200];

	ctl_ic_say(HVH_IC_TIMESYNC, r, err, sizeof(err));
	json_object_set_new(result, "told", json_true());
	ctl_later_done(arg, result, err[0] != '\0' ? err : NULL);
}

static void
time_show(struct ctl_call *c, struct hvh_ic *ic)
{
	struct hvh_time_info ti;

	hvh_time_get_info(ic, &ti);
	json_object_set_new(c->result, "shift", json_integer(ti.shift));
	put(c->result, "syncs", ti.syncs);
	put(c->result, "samples", ti.samples);
	json_object_set_new(c->result, "told", json_false());
}

/* step: nanoseconds; sync: the guest shall set its clock now. */
int
ctl_cmd_time(struct ctl_call *c)
{
	struct hvh_ic *ic = ctl_ic(c, HVH_IC_TIMESYNC);
	json_t *step = json_object_get(c->req, "step");
	struct ctl_later *l;
	bool sync = false;
	int error;

	if (ic == NULL)
		return (ENODEV);
	error = ctl_get_bool(c, "sync", &sync);
	if (error != 0)
		return (error);
	if (step != NULL && !json_is_integer(step))
		return (ctl_bad(c, "\"step\" is not a number of nanoseconds"));
	if (step != NULL)
		hvh_time_step(ic, json_integer_value(step), false);
	/* A guest that is not there yet is told when it is. */
	if (!sync || (step != NULL && !ctl_ic_ready(c, HVH_IC_TIMESYNC))) {
		time_show(c, ic);
		return (0);
	}
	l = ctl_later_new(c);
	if (l == NULL)
		return (EAGAIN);
	error = hvh_time_sync(ic, time_told, l);
	if (error == 0)
		return (0);
	ctl_later_drop(c);
	return (ctl_ic_refused(c, ic, error));
}
