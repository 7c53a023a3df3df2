/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What time synchronisation makes of a sample; clocks that are set and slewed.
 * There is no hypervisor here, so the host's clock stands still.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/limits.h>
#include <sys/proc.h>
#include <sys/syscallsubr.h>
#include <sys/time.h>
#include <sys/timex.h>

#include <dev/hyperv/utilities/hv_ic_var.h>
#include <dev/hyperv/utilities/hv_timesync_var.h>

#include <kpi.h>

#include "ktest.h"

#define	MS	1000000LL	/* in ns */

/* 2026-01-01 in seconds since 1970. */
#define	THEN	1767225600ULL

static enum hv_timesync_act
decide(int64_t ofs, int thresh, int slew_max, bool backward, int64_t *slew)
{
	struct hv_timesync_limits tl = {
		.tl_thresh = thresh, .tl_slew_max = slew_max,
		.tl_backward = backward,
	};

	*slew = -1;
	return (hv_timesync_decide(ofs, &tl, slew));
}

KTEST(timesync_decide, "near: slewed; far behind: set; far ahead: slewed")
{
	int64_t us;

	KT_EQ(decide(3 * MS, 100, 1000, false, &us), HV_TIMESYNC_SLEW);
	KT_EQ(us, 3000);
	KT_EQ(decide(-3 * MS, 100, 1000, false, &us), HV_TIMESYNC_SLEW);
	KT_EQ(us, -3000);
	KT_EQ(decide(100 * MS, 100, 1000, false, &us), HV_TIMESYNC_SLEW);
	KT_EQ(decide(101 * MS, 100, 1000, false, &us), HV_TIMESYNC_STEP);
	KT_EQ(decide(5000 * MS, 100, 1000, false, &us), HV_TIMESYNC_STEP);
	/* Backwards only if asked for. */
	KT_EQ(decide(-5000 * MS, 100, 1000, false, &us), HV_TIMESYNC_SLEW);
	KT_EQ(us, -1000000);
	KT_EQ(decide(-5000 * MS, 100, 1000, true, &us), HV_TIMESYNC_STEP);
	KT_EQ(decide(INT64_MAX, 100, 1000, false, &us), HV_TIMESYNC_STEP);
	KT_EQ(decide(INT64_MIN, 100, 1000, false, &us), HV_TIMESYNC_SLEW);
	KT_EQ(us, -1000000);
}

KTEST(timesync_off, "samples can be ignored, and slewing left out or bounded")
{
	int64_t us;

	KT_EQ(decide(5000 * MS, 0, 1000, true, &us), HV_TIMESYNC_NOTHING);
	KT_EQ(decide(5000 * MS, -1, 1000, true, &us), HV_TIMESYNC_NOTHING);
	KT_EQ(decide(3 * MS, 100, 0, false, &us), HV_TIMESYNC_NOTHING);
	KT_EQ(decide(-5000 * MS, 100, 0, false, &us), HV_TIMESYNC_NOTHING);
	KT_EQ(decide(5000 * MS, 100, 0, false, &us), HV_TIMESYNC_STEP);
	KT_EQ(decide(50 * MS, 100, 7, false, &us), HV_TIMESYNC_SLEW);
	KT_EQ(us, 7000);
	KT_EQ(decide(-50 * MS, INT_MAX, INT_MAX, true, &us),
	    HV_TIMESYNC_SLEW);
	KT_EQ(us, -50000);
	/* What is not worth it. */
	KT_EQ(decide(0, 100, 1000, false, &us), HV_TIMESYNC_NOTHING);
	KT_EQ(decide(5000, 100, 1000, false, &us), HV_TIMESYNC_NOTHING);
	KT_EQ(decide(-5000, 100, 1000, false, &us), HV_TIMESYNC_NOTHING);
}

static struct hv_timesync_ref
host_shows(uint64_t sec, uint64_t ticks)
{
	struct hv_timesync_ref tr = {
		.tr_host = HV_IC_TS_EPOCH + sec * 10000000 + ticks,
	};

	return (tr);
}

KTEST(timesync_valid, "times of day that no clock could have are refused")
{
	struct hv_timesync_ref tr;

	tr = host_shows(THEN, 0);
	KT_CHECK(hv_timesync_valid(&tr));
	tr = host_shows(0, 0);
	KT_CHECK(hv_timesync_valid(&tr));
	tr.tr_host--;
	KT_CHECK(!hv_timesync_valid(&tr));
	tr.tr_host = 0;
	KT_CHECK(!hv_timesync_valid(&tr));
	tr.tr_host = UINT64_MAX;
	KT_CHECK(!hv_timesync_valid(&tr));
	/* From the guest's future: two seconds by the reference time. */
	tr = host_shows(THEN, 0);
	tr.tr_ref = 20000000;
	KT_CHECK(!hv_timesync_valid(&tr));
	tr.tr_ref = UINT64_MAX;
	KT_CHECK(!hv_timesync_valid(&tr));
}

/* The clock shows this, but for the rounding of struct bintime. */
static void
shows(uint64_t sec, uint64_t ns)
{
	int64_t d;

	d = (int64_t)(kpi_clock_utc() - (sec * 1000000000 + ns));
	KT_CHECK(d >= -2 && d <= 2);
}

KTEST(timesync_step, "the clock is set, forward and back, and not the uptime")
{
	struct hv_timesync_ref tr;
	sbintime_t up;
	int64_t ofs;

	up = sbinuptime();
	tr = host_shows(THEN, 1234567);
	KT_EQ(hv_timesync_step(&tr), 0);
	shows(THEN, 123456000);
	KT_CHECK(hv_timesync_offset(&tr, &ofs));
	KT_CHECK(ofs >= 698 && ofs <= 702);
	tr = host_shows(THEN + 5, 0);
	KT_CHECK(hv_timesync_offset(&tr, &ofs));
	KT_EQ(ofs / 1000, 4876544);
	KT_EQ(hv_timesync_step(&tr), 0);
	shows(THEN + 5, 0);
	tr = host_shows(THEN - 3600, 0);
	KT_EQ(hv_timesync_step(&tr), 0);
	shows(THEN - 3600, 0);
	KT_EQ(sbinuptime(), up);
}

KTEST(timesync_slew, "slewing moves the clock by the kernel's rate, never back")
{
	kpi_u64 before, after;

	before = kpi_clock_utc();
	hv_timesync_slew(-2000);
	kpi_clock_advance(1000 * MS);
	after = kpi_clock_utc();
	KT_EQ((after - before + 500) / 1000, 1000000 - 500);
	kpi_clock_advance(10000 * MS);
	KT_EQ((kpi_clock_utc() - after + 500) / 1000, 10000000 - 1500);
}

KTEST(timesync_step_ends_slew, "a clock that was set is not slewed on")
{
	struct hv_timesync_ref tr;
	kpi_u64 before;

	hv_timesync_slew(300000);
	kpi_clock_advance(1000 * MS);
	tr = host_shows(THEN, 0);
	KT_EQ(hv_timesync_step(&tr), 0);
	before = kpi_clock_utc();
	kpi_clock_advance(10000 * MS);
	KT_EQ(kpi_clock_utc() - before, 10000 * MS);
}

static void
ntp_says(int status, long maxerror)
{
	struct timex tx = {
		.modes = MOD_STATUS | MOD_MAXERROR, .status = status,
		.maxerror = maxerror,
	};
	int state;

	KT_EQ(kern_ntp_adjtime(curthread, &tx, &state), 0);
}

KTEST(timesync_disciplined, "who disciplines the clock is told by its status")
{

	KT_CHECK(!hv_timesync_disciplined());
	ntp_says(STA_PLL, 1000);
	KT_CHECK(hv_timesync_disciplined());
	ntp_says(STA_PLL | STA_UNSYNC, 1000);
	KT_CHECK(!hv_timesync_disciplined());
	/* Nobody has looked after it for long. */
	ntp_says(STA_PLL, 500000);
	KT_CHECK(!hv_timesync_disciplined());
}
