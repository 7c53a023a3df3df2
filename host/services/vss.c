/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Backup: the guest is asked whether it can be, freezes its file systems, and
 * thaws them.  One job at a time, which is a single operation or a snapshot's
 * whole sequence.  Whatever becomes of a freeze that was not answered in time,
 * a thaw follows it, more than once if need be: a guest may still be busy with
 * the freeze and then drops what comes.  protocol: utilities, 7
 */

#include <errno.h>
#include <string.h>

#include "services/ic_var.h"
#include "services/vss_reg.h"

#define	VSS_LIMIT	(60 * IC_SECOND)
#define	VSS_THAW_LIMIT	(20 * IC_SECOND)
#define	VSS_THAWS_MAX	3

struct vss {
	bool		 busy;
	bool		 snapshot;	/* all of it */
	bool		 holding;
	unsigned	 thaws;
	uint64_t	 hold;		/* ns */
	struct hvh_timer timer;		/* of holding */
	void		(*step)(void *arg, const char *step);
	hvh_ic_done	*done;
	void		*arg;
	/* What has gone wrong first, or the last answer. */
	struct hvh_ic_result result;
};

static const uint32_t vss_versions[] = { HVH_IC_VERSION(5, 0) };

static void	vss_next(struct hvh_ic *ic, enum hvh_vss_op op);

static void
vss_end(struct hvh_ic *ic)
{
	struct vss *v = ic->own;

	v->busy = false;
	v->holding = false;
	if (v->done != NULL)
		v->done(v->arg, &v->result);
}

static void
vss_failed(struct vss *v, const char *step, const struct ic_answer *a)
{

	if (v->result.step != NULL)
		return;
	v->result.step = step;
	v->result.error = a->error;
	v->result.status = a->status;
}

static bool
vss_good(const struct ic_answer *a)
{

	return (a->error == 0 && a->status == 0);
}

static void
vss_checked(struct ic_order *o, const struct ic_answer *a)
{
	struct vss *v = o->ic->own;
	struct ic_answer bad = { .error = EPROTO };
	struct vss_flags m;

	if (!vss_good(a)) {
		vss_failed(v, "check", a);
	} else if (a->len < sizeof(m)) {
		vss_failed(v, "check", &bad);
	} else {
		memcpy(&m, a->body, sizeof(m));
		v->result.flags = m.vf_flags;
	}
	if (v->snapshot && v->result.step == NULL)
		vss_next(o->ic, HVH_VSS_FREEZE);
	else
		vss_end(o->ic);
}

static void
vss_frozen(struct ic_order *o, const struct ic_answer *a)
{
	struct vss *v = o->ic->own;

	if (!vss_good(a))
		vss_failed(v, "freeze", a);
	if (a->error == ETIMEDOUT) {
		vss_next(o->ic, HVH_VSS_THAW);
	} else if (v->snapshot && vss_good(a)) {
		v->holding = true;
		if (v->step != NULL)
			v->step(v->arg, "hold");
		hvh_timer_set(o->ic->h, &v->timer,
		    hvh_now(o->ic->h) + v->hold);
	} else {
		vss_end(o->ic);
	}
}

static void
vss_held(void *arg)
{
	struct hvh_ic *ic = arg;
	struct vss *v = ic->own;

	v->holding = false;
	vss_next(ic, HVH_VSS_THAW);
}

static void
vss_thawed(struct ic_order *o, const struct ic_answer *a)
{
	struct vss *v = o->ic->own;

	if (!vss_good(a) && (a->error == 0 || a->error == ETIMEDOUT) &&
	    ++v->thaws < VSS_THAWS_MAX) {
		vss_next(o->ic, HVH_VSS_THAW);
		return;
	}
	if (!vss_good(a))
		vss_failed(v, "thaw", a);
	vss_end(o->ic);
}

static const struct {
	const char	*step;
	uint8_t		 op;
	uint32_t	 len;
	uint64_t	 limit;
	void		(*answered)(struct ic_order *o,
			    const struct ic_answer *a);
} vss_ops[] = {
	[HVH_VSS_CHECK] = { "check", VSS_CHECK_HOT_BACKUP,
	    sizeof(struct vss_flags), VSS_LIMIT, vss_checked },
	[HVH_VSS_FREEZE] = { "freeze", VSS_FREEZE, sizeof(struct vss_freeze),
	    VSS_LIMIT, vss_frozen },
	[HVH_VSS_THAW] = { "thaw", VSS_THAW, sizeof(struct vss_flags),
	    VSS_THAW_LIMIT, vss_thawed },
};
#define	VSS_OPS	(sizeof(vss_ops) / sizeof(vss_ops[0]))

static int
vss_order(struct hvh_ic *ic, enum hvh_vss_op op)
{
	struct ic_order *o;

	o = ic_order_new(ic, vss_ops[op].len, vss_ops[op].limit,
	    vss_ops[op].answered);
	if (o != NULL)
		o->body[0] = vss_ops[op].op;
	return (ic_submit(o));
}

/* The job goes on, or ends here. */
static void
vss_next(struct hvh_ic *ic, enum hvh_vss_op op)
{
	struct vss *v = ic->own;
	struct ic_answer a = { 0 };

	if (v->step != NULL)
		v->step(v->arg, vss_ops[op].step);
	a.error = vss_order(ic, op);
	if (a.error == 0)
		return;
	vss_failed(v, vss_ops[op].step, &a);
	vss_end(ic);
}

static int
vss_start(struct hvh_ic *ic, enum hvh_vss_op op, const struct vss *job)
{
	struct vss *v = ic->own;
	int error;

	if (v->busy)
		return (EBUSY);
	error = vss_order(ic, op);
	if (error != 0)
		return (error);
	*v = *job;
	v->busy = true;
	v->timer.fn = vss_held;
	v->timer.arg = ic;
	if (v->step != NULL)
		v->step(v->arg, vss_ops[op].step);
	return (0);
}

int
hvh_vss(struct hvh_ic *ic, enum hvh_vss_op op, hvh_ic_done *done, void *arg)
{
	struct vss job = { .done = done, .arg = arg };
	int error;

	if ((unsigned)op >= VSS_OPS)
		return (EINVAL);
	error = ic_enter(ic, HVH_IC_VSS);
	if (error != 0)
		return (error);
	return (ic_leave(ic, vss_start(ic, op, &job)));
}

int
hvh_vss_snapshot(struct hvh_ic *ic, uint64_t hold,
    void (*step)(void *arg, const char *step), hvh_ic_done *done, void *arg)
{
	struct vss job = { .snapshot = true, .hold = hold, .step = step,
	    .done = done, .arg = arg };
	int error;

	error = ic_enter(ic, HVH_IC_VSS);
	if (error != 0)
		return (error);
	return (ic_leave(ic, vss_start(ic, HVH_VSS_CHECK, &job)));
}

static void
vss_down(struct hvh_ic *ic)
{
	struct ic_answer a = { .error = ECONNRESET };
	struct vss *v = ic->own;

	if (!v->holding)
		return;
	hvh_timer_clear(ic->h, &v->timer);
	vss_failed(v, "hold", &a);
	vss_end(ic);
}

const struct ic_service ic_vss = {
	.name = "vss",
	.class = "35fa2e29-ea23-4236-96ae-3a6ebacba440",
	.instance = "2450ee40-33bf-4fbd-892e-9fb06e9214cf",
	.type = IC_VSS,
	.versions = vss_versions,
	.nversions = 1,
	.own_size = sizeof(struct vss),
	.down = vss_down,
};
