/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The four synthetic timers of each VP (protocol: hypervisor, 4).  They expire
 * in hvh_pump(), never early.
 */

#include "hypervisor/partition.h"

/*
 * A periodic timer that asks for more is coalesced, or it would keep the pump
 * busy for nobody's good.  100 ns units.
 */
#define	PERIOD_MIN	1000

/* The earliest expiry changed: the pump may have to be called sooner. */
static void
stimer_update(struct hvh *h, struct hvh_vp *vp)
{
	uint64_t due = HVH_NEVER, now, ref, at;

	for (unsigned i = 0; i < HV_STIMERS; i++) {
		if (vp->vp_timer[i].st_due < due)
			due = vp->vp_timer[i].st_due;
	}
	atomic_store(&vp->vp_due, due);
	if (due == HVH_NEVER)
		return;
	now = hvh_now(h);
	ref = hvh_ref_time(h);
	at = due <= ref ? now : now + (due - ref) * 100;
	if (at < atomic_load(&h->h_deadline))
		hvh_kick(h);
}

/* Sets the next expiry from configuration and count. */
static void
stimer_arm(struct hvh *h, struct hvh_stimer *st)
{
	uint64_t ref;

	st->st_waiting = false;
	st->st_due = HVH_NEVER;
	if ((st->st_config & HV_STIMER_ENABLE) == 0 || st->st_count == 0)
		return;
	if ((st->st_config & HV_STIMER_PERIODIC) == 0) {
		st->st_due = st->st_count;
		return;
	}
	ref = hvh_ref_time(h);
	if (st->st_count < HVH_NEVER - ref)
		st->st_due = ref + st->st_count;
}

void
hvh_stimer_reset(struct hvh_vp *vp)
{

	for (unsigned i = 0; i < HV_STIMERS; i++)
		vp->vp_timer[i] = (struct hvh_stimer){ .st_due = HVH_NEVER };
	atomic_store(&vp->vp_due, HVH_NEVER);
}

uint64_t
hvh_stimer_read(struct hvh_vp *vp, unsigned reg)
{
	struct hvh_stimer *st = &vp->vp_timer[reg / 2];

	return (reg % 2 == 0 ? st->st_config : st->st_count);
}

/* Places the message of an expired timer; false: it waits for its slot. */
static bool
stimer_message(struct hvh *h, struct hvh_vp *vp, unsigned n,
    struct hvh_irqs *irqs)
{
	struct hvh_stimer *st = &vp->vp_timer[n];
	struct hv_timer_payload p = {
		.ht_index = n,
		.ht_expiration = st->st_expired,
		.ht_delivery = hvh_ref_time(h),
	};

	return (hvh_synic_place(vp, HV_STIMER_SINT(st->st_config),
	    HV_MSGTYPE_TIMER, 0, &p, sizeof(p), false, irqs));
}

static void
stimer_expire(struct hvh *h, struct hvh_vp *vp, unsigned n,
    struct hvh_irqs *irqs)
{
	struct hvh_stimer *st = &vp->vp_timer[n];
	uint64_t period, ref;

	atomic_fetch_add_explicit(&h->h_counters.timer_expiries, 1,
	    memory_order_relaxed);
	st->st_expired = st->st_due;
	if ((st->st_config & HV_STIMER_DIRECT) != 0) {
		if (HV_STIMER_VECTOR(st->st_config) >= HV_VECTOR_MIN)
			hvh_irqs_add(irqs, HV_STIMER_VECTOR(st->st_config),
			    false);
	} else if (!stimer_message(h, vp, n, irqs)) {
		st->st_waiting = true;
	}
	if ((st->st_config & HV_STIMER_PERIODIC) == 0) {
		st->st_due = HVH_NEVER;
		/* Stays enabled until its message is delivered. */
		if (!st->st_waiting)
			st->st_config &= ~HV_STIMER_ENABLE;
		return;
	}
	/* Keeps its phase; ticks that are past already are one. */
	ref = hvh_ref_time(h);
	period = st->st_count < PERIOD_MIN ? PERIOD_MIN : st->st_count;
	if (period >= HVH_NEVER - ref - period)
		st->st_due = HVH_NEVER;
	else if (st->st_due + period > ref)
		st->st_due += period;
	else
		st->st_due += ((ref - st->st_due) / period + 1) * period;
}

void
hvh_stimer_retry(struct hvh *h, struct hvh_vp *vp, struct hvh_irqs *irqs)
{

	for (unsigned i = 0; i < HV_STIMERS; i++) {
		struct hvh_stimer *st = &vp->vp_timer[i];

		if (!st->st_waiting || !stimer_message(h, vp, i, irqs))
			continue;
		st->st_waiting = false;
		if ((st->st_config & HV_STIMER_PERIODIC) == 0)
			st->st_config &= ~HV_STIMER_ENABLE;
	}
}

void
hvh_stimer_write(struct hvh *h, struct hvh_vp *vp, unsigned reg, uint64_t val,
    struct hvh_irqs *irqs)
{
	unsigned n = reg / 2;
	struct hvh_stimer *st = &vp->vp_timer[n];

	if (reg % 2 == 0) {
		st->st_config = val & ~HV_STIMER_RESERVED;
	} else {
		atomic_fetch_add_explicit(&h->h_counters.timer_sets, 1,
		    memory_order_relaxed);
		st->st_count = val;
		if (val == 0)
			st->st_config &= ~HV_STIMER_ENABLE;
		else if ((st->st_config & HV_STIMER_AUTOENABLE) != 0)
			st->st_config |= HV_STIMER_ENABLE;
	}
	/* SINT 0 carries intercepts: a timer may not use it. */
	if ((st->st_config & HV_STIMER_DIRECT) == 0 &&
	    HV_STIMER_SINT(st->st_config) == 0)
		st->st_config &= ~HV_STIMER_ENABLE;
	stimer_arm(h, st);
	/* What is past already expires here, which spares a round trip. */
	if (st->st_due <= hvh_ref_time(h))
		stimer_expire(h, vp, n, irqs);
	stimer_update(h, vp);
}

uint64_t
hvh_stimers_run(struct hvh *h)
{
	uint64_t next = HVH_NEVER, ref;

	for (uint32_t i = 0; i < h->h_cf.vps; i++) {
		struct hvh_vp *vp = &h->h_vp[i];
		struct hvh_irqs irqs = { .n = 0 };
		uint64_t due = atomic_load(&vp->vp_due);

		if (due == HVH_NEVER)
			continue;
		ref = hvh_ref_time(h);
		if (due <= ref) {
			pthread_mutex_lock(&vp->vp_mtx);
			for (unsigned n = 0; n < HV_STIMERS; n++) {
				if (vp->vp_timer[n].st_due <= ref)
					stimer_expire(h, vp, n, &irqs);
			}
			stimer_update(h, vp);
			pthread_mutex_unlock(&vp->vp_mtx);
			hvh_irqs_fire(h, vp, &irqs);
			due = atomic_load(&vp->vp_due);
		}
		if (due < next)
			next = due;
	}
	return (next);
}
