/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's command for dynamic memory.  Callbacks come from the
 * thread that runs the pump.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hvballoon.h"
#include "control/ctl_var.h"

#define	PAGE	4096u

struct memory_order {
	struct ctl_later *later;
	uint64_t	 target;
};

static void
put(json_t *o, const char *name, uint64_t v)
{

	json_object_set_new(o, name, json_integer((json_int_t)v));
}

static json_t *
result_new(const struct memory_order *mo, uint64_t bytes)
{

	return (json_pack("{s:I, s:I}", "assigned", (json_int_t)bytes,
	    "target", (json_int_t)mo->target));
}

static void
order_progress(void *arg, uint64_t bytes)
{
	struct memory_order *mo = arg;

	ctl_later_progress(mo->later, result_new(mo, bytes));
}

static void
order_done(void *arg, int error, uint64_t bytes)
{
	struct memory_order *mo = arg;
	char err[200];

	if (error != 0)
		snprintf(err, sizeof(err), "memory: %s", ctl_ic_error(error));
	ctl_later_done(mo->later, result_new(mo, bytes), error != 0 ? err :
	    NULL);
	free(mo);
}

static int
refused(struct ctl_call *c, const struct hvh_balloon_info *bi, int error)
{
	const char *why;

	if (error == EBUSY)
		why = "the guest is busy with another order";
	else if (error == ENOTSUP)
		why = "the guest's driver gives up no memory";
	else if (error == EINVAL)
		why = "more than the machine has, or less than a page";
	else if (bi->state == HVH_IC_CLOSED)
		why = "the guest has no driver for it, or has not loaded it";
	else if (bi->state == HVH_IC_NEGOTIATING)
		why = "the guest has not agreed on a version yet";
	else if (bi->state == HVH_IC_REFUSED)
		why = "the guest takes no version that is offered";
	else
		why = "it was taken away from the guest";
	ctl_bad(c, "memory: %s", why);
	return (error);
}

static void
show(struct ctl_call *c, const struct hvh_balloon_info *bi)
{
	json_t *r = c->result;

	json_object_set_new(r, "state", json_string(ctl_ic_state(bi->state)));
	put(r, "total", bi->total);
	put(r, "assigned", bi->assigned);
	put(r, "ballooned", bi->total - bi->assigned);
	json_object_set_new(r, "busy", json_boolean(bi->busy));
	put(r, "orders", bi->takes + bi->gives);
	put(r, "refused", bi->refused);
	put(r, "timeouts", bi->timeouts);
	put(r, "stale", bi->stale);
	put(r, "bad", bi->bad);
	put(r, "bad_ranges", bi->bad_ranges);
	put(r, "reports", bi->reports);
	if (bi->reported == 0)
		return;
	put(r, "reported", bi->reported);
	put(r, "available", bi->available * PAGE);
	put(r, "committed", bi->committed * PAGE);
	put(r, "demand", bi->demand * PAGE);
	put(r, "minimum", bi->min_pages * PAGE);
}

int
ctl_cmd_memory(struct ctl_call *c)
{
	struct hvh_balloon_info bi;
	struct memory_order *mo;
	struct hvh_balloon *b = NULL;
	uint64_t target = 0;
	int error;

	if (c->s->ops->balloon != NULL)
		b = c->s->ops->balloon(c->s->arg);
	if (b == NULL) {
		ctl_bad(c, "memory: this machine does not offer it to its "
		    "guest");
		return (ENODEV);
	}
	error = ctl_get_number(c, "set", INT64_MAX, &target);
	if (error != 0)
		return (error);
	hvh_balloon_get_info(b, &bi);
	if (json_object_get(c->req, "set") == NULL) {
		show(c, &bi);
		return (0);
	}
	mo = calloc(1, sizeof(*mo));
	if (mo == NULL)
		return (ctl_bad(c, "no memory"));
	mo->target = target;
	mo->later = ctl_later_new(c);
	if (mo->later == NULL) {
		free(mo);
		return (EAGAIN);
	}
	error = hvh_balloon_set(b, target, order_progress, order_done, mo);
	if (error == 0)
		return (0);
	free(mo);
	ctl_later_drop(c);
	return (refused(c, &bi, error));
}
