/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Heartbeat: every two seconds a number, and the guest answers with the next.
 * One beat is under way at a time, so that a guest that stands still finds one
 * when it goes on, and not a ring full of them.  protocol: utilities, 5
 */

#include <string.h>

#include "services/ic_var.h"

#define	BEAT_EVERY	(2 * IC_SECOND)
/* One that is lost somewhere must not be the last. */
#define	BEAT_LIMIT	(5 * BEAT_EVERY)
/* Without an answer for longer, contact is lost. */
#define	BEAT_LOST	(3 * BEAT_EVERY)

struct heartbeat {
	struct hvh_heartbeat_info info;	/* but for its state */
	uint64_t	 sequence;
	bool		 waiting;
	struct hvh_timer timer;
};

static const uint32_t heartbeat_versions[] = {
	HVH_IC_VERSION(3, 0), HVH_IC_VERSION(1, 0)
};

static void
heartbeat_answered(struct ic_order *o, const struct ic_answer *a)
{
	struct heartbeat *hb = o->ic->own;
	struct ic_heartbeat m;

	hb->waiting = false;
	if (a->error != 0)
		return;
	memset(&m, 0, sizeof(m));
	memcpy(&m, a->body, a->len < sizeof(m) ? a->len : sizeof(m));
	if (a->status != 0 || m.hb_sequence != hb->sequence + 1) {
		hb->info.wrong++;
		return;
	}
	hb->sequence = m.hb_sequence;
	hb->info.answered++;
	hb->info.application = m.hb_application;
	hb->info.last = hvh_now(o->ic->h);
}

static void
heartbeat_beat(void *arg)
{
	struct hvh_ic *ic = arg;
	struct heartbeat *hb = ic->own;
	struct ic_heartbeat m = { .hb_sequence = hb->sequence };
	struct ic_order *o;

	hvh_timer_set(ic->h, &hb->timer, hvh_now(ic->h) + BEAT_EVERY);
	if (hb->waiting) {
		hb->info.missed++;
		return;
	}
	o = ic_order_new(ic, sizeof(m), BEAT_LIMIT, heartbeat_answered);
	if (o == NULL)
		return;
	memcpy(o->body, &m, sizeof(m));
	if (ic_submit(o) == 0) {
		hb->waiting = true;
		hb->info.sent++;
	}
}

static void
heartbeat_init(struct hvh_ic *ic)
{
	struct heartbeat *hb = ic->own;

	hb->timer.fn = heartbeat_beat;
	hb->timer.arg = ic;
}

static void
heartbeat_up(struct hvh_ic *ic)
{
	struct heartbeat *hb = ic->own;

	hvh_timer_set(ic->h, &hb->timer, hvh_now(ic->h));
}

static void
heartbeat_down(struct hvh_ic *ic)
{
	struct heartbeat *hb = ic->own;

	hvh_timer_clear(ic->h, &hb->timer);
	hb->info.last = 0;
}

const struct ic_service ic_heartbeat = {
	.name = "heartbeat",
	.class = "57164f39-9115-4e78-ab55-382f3bd5422d",
	.instance = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0",
	.type = IC_HEARTBEAT,
	.versions = heartbeat_versions,
	.nversions = 2,
	.own_size = sizeof(struct heartbeat),
	.init = heartbeat_init,
	.up = heartbeat_up,
	.down = heartbeat_down,
};

void
hvh_heartbeat_get_info(struct hvh_ic *ic, struct hvh_heartbeat_info *hi)
{
	struct heartbeat *hb;

	memset(hi, 0, sizeof(*hi));
	if (ic_enter(ic, HVH_IC_HEARTBEAT) != 0)
		return;
	hb = ic->own;
	*hi = hb->info;
	if (hi->last == 0)
		hi->state = HVH_HEARTBEAT_NO_CONTACT;
	else if (hvh_now(ic->h) - hi->last <= BEAT_LOST)
		hi->state = HVH_HEARTBEAT_OK;
	else
		hi->state = HVH_HEARTBEAT_LOST;
	hvh_unlock_quiet(ic->h);
}
