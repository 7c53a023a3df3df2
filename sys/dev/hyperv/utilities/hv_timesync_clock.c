/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The guest's clock against the host's.  Only the time of day is ever set;
 * uptime and reference time go on as they do.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/proc.h>
#include <sys/syscallsubr.h>
#include <sys/time.h>
#include <sys/timex.h>

#include <dev/hyperv/utilities/hv_ic_var.h>
#include <dev/hyperv/utilities/hv_timesync_var.h>

#define	HV_TS_TICK_NS	100	/* of both of the host's clocks */
#define	HV_TS_SEC_NS	1000000000LL
#define	HV_TS_LOOKS	5	/* at the clocks; the quickest counts */
#define	HV_TS_LOOK_MAX	5000	/* ticks that one may take at most */
#define	HV_TS_SET_GOOD	200000	/* ns off, after the clock was set */
#define	HV_TS_NOISE	20000	/* ns; less is not worth an adjustment */

/*
 * Two processors need not see quite the same reference time, nor host and
 * guest; what is further ahead of ours is none.
 */
#define	HV_TS_AHEAD	100000	/* ticks */

enum hv_timesync_act
hv_timesync_decide(int64_t ofs, const struct hv_timesync_limits *tl,
    int64_t *slew)
{
	int64_t most, us;

	if (tl->tl_thresh <= 0)
		return (HV_TIMESYNC_NOTHING);
	us = ofs / 1000;
	if ((us > tl->tl_thresh * 1000LL) ||
	    (us < -tl->tl_thresh * 1000LL && tl->tl_backward))
		return (HV_TIMESYNC_STEP);
	most = tl->tl_slew_max * 1000LL;
	if (most <= 0 || (ofs < HV_TS_NOISE && ofs > -HV_TS_NOISE))
		return (HV_TIMESYNC_NOTHING);
	*slew = us > most ? most : us < -most ? -most : us;
	return (HV_TIMESYNC_SLEW);
}

/* What the host's clock shows at this reference time; ns since 1970. */
static int64_t
hv_timesync_host(const struct hv_timesync_ref *tr, uint64_t ref)
{
	int64_t gone;

	gone = (int64_t)(ref - tr->tr_ref);
	return (((int64_t)(tr->tr_host - HV_IC_TS_EPOCH) + gone) *
	    HV_TS_TICK_NS);
}

bool
hv_timesync_valid(const struct hv_timesync_ref *tr)
{
	uint64_t now;

	now = hyperv_reftime();
	if (tr->tr_ref > now && tr->tr_ref - now > HV_TS_AHEAD)
		return (false);
	/* The sum is in the range of the clock that is to be set. */
	return (tr->tr_host >= HV_IC_TS_EPOCH && tr->tr_host -
	    HV_IC_TS_EPOCH < INT64_MAX / HV_TS_TICK_NS / 2 &&
	    now < INT64_MAX / HV_TS_TICK_NS / 2);
}

/*
 * The guest's clock is read between two looks at the reference time.  Of
 * several tries that with the least time between them is the best.
 */
bool
hv_timesync_offset(const struct hv_timesync_ref *tr, int64_t *ofs)
{
	uint64_t before, after, best;
	struct timespec ts;
	u_int i;

	best = UINT64_MAX;
	for (i = 0; i < HV_TS_LOOKS; i++) {
		before = hyperv_reftime();
		nanotime(&ts);
		after = hyperv_reftime();
		if (after < before || after - before >= best)
			continue;
		best = after - before;
		*ofs = hv_timesync_host(tr, before + best / 2) -
		    ((int64_t)ts.tv_sec * HV_TS_SEC_NS + ts.tv_nsec);
	}
	return (best <= HV_TS_LOOK_MAX);
}

/*
 * What a former slew has left over would go on behind the step.  A thread that
 * lost the processor in between sets the clock late, sees it, and does it
 * again.
 */
int
hv_timesync_step(const struct hv_timesync_ref *tr)
{
	struct timespec ts;
	int64_t ns, ofs;
	u_int i;
	int error;

	hv_timesync_slew(0);
	error = 0;
	for (i = 0; i < HV_TS_LOOKS; i++) {
		ns = hv_timesync_host(tr, hyperv_reftime());
		ts.tv_sec = ns / HV_TS_SEC_NS;
		ts.tv_nsec = ns % HV_TS_SEC_NS;
		error = kern_clock_settime(curthread, CLOCK_REALTIME, &ts);
		if (error != 0 || (hv_timesync_offset(tr, &ofs) &&
		    ofs < HV_TS_SET_GOOD && ofs > -HV_TS_SET_GOOD))
			break;
	}
	return (error);
}

void
hv_timesync_slew(int64_t usec)
{
	struct timeval tv;

	tv.tv_sec = usec / 1000000;
	tv.tv_usec = usec % 1000000;
	(void)kern_adjtime(curthread, &tv, NULL);
}

/*
 * Who disciplines the clock says so to the kernel, and of how good it is: a
 * bound that grows by itself, so that of one who has died nothing is left after
 * a quarter of an hour.
 */
bool
hv_timesync_disciplined(void)
{
	struct timex tx;
	int state;

	memset(&tx, 0, sizeof(tx));
	if (kern_ntp_adjtime(curthread, &tx, &state) != 0)
		return (false);
	return ((tx.status & STA_UNSYNC) == 0 &&
	    tx.maxerror < MAXPHASE / 1000);
}
