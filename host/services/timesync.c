/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Time synchronization: the guest is told to set its clock when versions are
 * agreed, which also is after a reset or a restore, and gets a sample every
 * five seconds.  The clocks are read when there is room for the message, both
 * together, for what passes afterwards the guest can tell from its reference
 * counter.  protocol: utilities, 4
 */

#include <string.h>

#include "services/ic_var.h"

#define	TIME_EVERY	(5 * IC_SECOND)
#define	TIME_LIMIT	(30 * IC_SECOND)
#define	TIME_READS	5
#define	TIME_CLOSE	20000		/* ns */
/* 1601 to 1970, in 100 ns. */
#define	TIME_1970	116444736000000000ull

struct timesync {
	struct hvh_time_info info;
	bool		 sync;		/* SYNC is due, not a sample */
	bool		 waiting;	/* for an answer of ours */
	struct hvh_timer timer;
};

static const uint32_t timesync_versions[] = {
	HVH_IC_VERSION(4, 0), HVH_IC_VERSION(3, 0), HVH_IC_VERSION(1, 0)
};

/*
 * Both clocks of one moment: the wall clock's before and after the other must
 * be close, for a thread may be stopped in between.
 */
static uint64_t
timesync_clocks(struct hvh *h, uint64_t *reference)
{
	uint64_t before, ref, took, wall = 0, best = UINT64_MAX;

	for (unsigned i = 0; i < TIME_READS && best > TIME_CLOSE; i++) {
		before = hvh_wall_time(h);
		ref = hvh_guest_time(h);
		took = hvh_wall_time(h) - before;
		if (i > 0 && took >= best)
			continue;
		best = took;
		wall = before + took / 2;
		*reference = ref;
	}
	return (wall);
}

static void
timesync_fill(struct ic_order *o, uint8_t flags)
{
	struct timesync *ts = o->ic->own;
	struct ic_time_old old = { .to_flags = flags };
	struct ic_time m = { .tm_flags = flags };
	uint64_t reference, wall;

	wall = timesync_clocks(o->ic->h, &reference);
	m.tm_reference = reference;
	m.tm_parent = (wall + (uint64_t)ts->info.shift) / 100 + TIME_1970;
	old.to_parent = m.tm_parent;
	if (o->len == sizeof(old))
		memcpy(o->body, &old, sizeof(old));
	else
		memcpy(o->body, &m, sizeof(m));
}

static void
timesync_fill_sync(struct ic_order *o)
{

	timesync_fill(o, IC_TIME_SYNC);
}

static void
timesync_fill_sample(struct ic_order *o)
{

	timesync_fill(o, IC_TIME_SAMPLE);
}

static void
timesync_answered(struct ic_order *o, const struct ic_answer *a)
{
	struct timesync *ts = o->ic->own;
	bool sync = o->fill == timesync_fill_sync;

	if (!sync)
		ts->waiting = false;
	if (a->error == 0 && a->status == 0) {
		if (sync)
			ts->info.syncs++;
		else
			ts->info.samples++;
	}
	ic_plain(o, a);
}

static int
timesync_order(struct hvh_ic *ic, bool sync, hvh_ic_done *done, void *arg)
{
	struct ic_order *o;

	o = ic_order_new(ic, ic->version >= HVH_IC_VERSION(4, 0) ?
	    sizeof(struct ic_time) : sizeof(struct ic_time_old), TIME_LIMIT,
	    timesync_answered);
	if (o != NULL) {
		o->fill = sync ? timesync_fill_sync : timesync_fill_sample;
		o->done = done;
		o->arg = arg;
	}
	return (ic_submit(o));
}

static void
timesync_tick(void *arg)
{
	struct hvh_ic *ic = arg;
	struct timesync *ts = ic->own;

	hvh_timer_set(ic->h, &ts->timer, hvh_now(ic->h) + TIME_EVERY);
	if (!ts->waiting && timesync_order(ic, false, NULL, NULL) == 0)
		ts->waiting = true;
}

static void
timesync_init(struct hvh_ic *ic)
{
	struct timesync *ts = ic->own;

	ts->timer.fn = timesync_tick;
	ts->timer.arg = ic;
}

static void
timesync_up(struct hvh_ic *ic)
{
	struct timesync *ts = ic->own;

	(void)timesync_order(ic, true, NULL, NULL);
	hvh_timer_set(ic->h, &ts->timer, hvh_now(ic->h) + TIME_EVERY);
}

static void
timesync_down(struct hvh_ic *ic)
{
	struct timesync *ts = ic->own;

	hvh_timer_clear(ic->h, &ts->timer);
}

const struct ic_service ic_timesync = {
	.name = "timesync",
	.class = "9527e630-d0ae-497b-adce-e80ab0175caf",
	.instance = "2dd1ce17-079e-403c-b352-a1921ee207ee",
	.type = IC_TIMESYNC,
	.versions = timesync_versions,
	.nversions = 3,
	.own_size = sizeof(struct timesync),
	.init = timesync_init,
	.up = timesync_up,
	.down = timesync_down,
};

void
hvh_time_step(struct hvh_ic *ic, int64_t ns, bool sync)
{
	struct timesync *ts;

	if (ic_enter(ic, HVH_IC_TIMESYNC) != 0)
		return;
	ts = ic->own;
	ts->info.shift += ns;
	/* A guest that is not there yet is told when it is. */
	if (sync)
		(void)timesync_order(ic, true, NULL, NULL);
	ic_leave(ic, 0);
}

int
hvh_time_sync(struct hvh_ic *ic, hvh_ic_done *done, void *arg)
{
	int error;

	error = ic_enter(ic, HVH_IC_TIMESYNC);
	if (error != 0)
		return (error);
	return (ic_leave(ic, timesync_order(ic, true, done, arg)));
}

void
hvh_time_get_info(struct hvh_ic *ic, struct hvh_time_info *ti)
{

	memset(ti, 0, sizeof(*ti));
	if (ic_enter(ic, HVH_IC_TIMESYNC) != 0)
		return;
	*ti = ((struct timesync *)ic->own)->info;
	hvh_unlock_quiet(ic->h);
}
