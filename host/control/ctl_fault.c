/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Commands about faults, which are the partition's.
 */

#include <errno.h>

#include "control/ctl_var.h"
#include "control/names.h"

static int
get_point(struct ctl_call *c, const char *name, enum hvh_fault_point *point)
{

	if (name_to_fault_point(name, point))
		return (0);
	return (ctl_bad(c, "\"point\" is none of msg_out, msg_in, post, "
	    "signal_out, pkt_out, pkt_in, blk, rndis_out, hypercall"));
}

static int
get_action(struct ctl_call *c, const char *name,
    enum hvh_fault_action *action)
{

	/* A call would need something to call. */
	if (name_to_fault_action(name, action) && *action != HVH_FAULT_CALL)
		return (0);
	return (ctl_bad(c, "\"action\" is none of drop, delay, dup, hold, "
	    "corrupt, truncate, status, rescind"));
}

int
ctl_cmd_fault(struct ctl_call *c)
{
	const char *point = NULL, *action = NULL;
	uint64_t key = HVH_FAULT_ANY, skip = 0, times = 0, offset = 0, len = 4;
	struct hvh_fault f = { 0 };
	int error;

	error = ctl_get_string(c, "point", &point);
	if (error == 0)
		error = ctl_get_string(c, "action", &action);
	if (error == 0)
		error = ctl_get_number(c, "key", UINT32_MAX, &key);
	if (error == 0)
		error = ctl_get_number(c, "skip", UINT32_MAX, &skip);
	if (error == 0)
		error = ctl_get_number(c, "times", UINT32_MAX, &times);
	if (error == 0)
		error = ctl_get_number(c, "arg", UINT64_MAX, &f.arg);
	if (error == 0)
		error = ctl_get_number(c, "offset", UINT32_MAX, &offset);
	if (error == 0)
		error = ctl_get_number(c, "len", 8, &len);
	if (error != 0)
		return (error);
	if (point == NULL || action == NULL)
		return (ctl_bad(c, "\"%s\" is missing",
		    point == NULL ? "point" : "action"));
	error = get_point(c, point, &f.point);
	if (error == 0)
		error = get_action(c, action, &f.action);
	if (error != 0)
		return (error);
	if (len != 1 && len != 2 && len != 4 && len != 8)
		return (ctl_bad(c, "\"len\" is none of 1, 2, 4, 8"));
	f.key = (uint32_t)key;
	f.skip = (uint32_t)skip;
	f.times = (uint32_t)times;
	f.offset = (uint32_t)offset;
	f.len = (uint32_t)len;
	error = hvh_fault_add(c->s->h, &f);
	if (error == ENOSPC)
		ctl_bad(c, "there are as many faults as there may be");
	return (error);
}

int
ctl_cmd_fault_clear(struct ctl_call *c)
{

	hvh_fault_clear(c->s->h);
	return (0);
}

int
ctl_cmd_fault_count(struct ctl_call *c)
{
	enum hvh_fault_point point = HVH_FAULT_POINTS;
	const char *name = NULL;
	int error;

	error = ctl_get_string(c, "point", &name);
	if (error == 0 && name != NULL)
		error = get_point(c, name, &point);
	if (error != 0)
		return (error);
	for (unsigned i = 0; i < HVH_FAULT_POINTS; i++) {
		if (name == NULL || i == point)
			json_object_set_new(c->result, name_fault_point(i),
			    json_integer((json_int_t)hvh_fault_count(c->s->h,
			    (enum hvh_fault_point)i)));
	}
	return (0);
}
