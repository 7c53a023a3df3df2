/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Time of day, timecounters and event timers.
 */

#include <ktest.h>

#include <sys/proc.h>
#include <sys/syscallsubr.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/timeet.h>
#include <sys/timetc.h>

#include <kpi.h>

SYSCTL_DECL(_kern_timecounter_tc);

static char	buf[256];

static void
is(const char *name, const char *want)
{
	KT_EQ(kpi_sysctl_get(name, buf, sizeof(buf)), 0);
	if (strcmp(buf, want) != 0)
		printf("%s: \"%s\"\n", name, buf);
	KT_CHECK(strcmp(buf, want) == 0);
}

KTEST(time_advances, "all clocks follow the virtual one")
{
	struct bintime bt0, bt1;
	struct timespec ts0, ts1;
	struct timeval tv0, tv1;
	sbintime_t sbt;
	int t;

	binuptime(&bt0);
	nanotime(&ts0);
	getmicrouptime(&tv0);
	sbt = sbinuptime();
	t = ticks;
	kpi_clock_advance(2500 * 1000 * 1000ULL);
	binuptime(&bt1);
	nanotime(&ts1);
	getmicrouptime(&tv1);
	KT_EQ(sbttoms(sbinuptime() - sbt), 2500);
	KT_EQ(ticks - t, 2500 * hz / 1000);
	bintime_sub(&bt1, &bt0);
	KT_EQ(bt1.sec, 2);
	timespecsub(&ts1, &ts0, &ts1);
	KT_EQ(ts1.tv_sec, 2);
	KT_CHECK(ts1.tv_nsec > 499000000 && ts1.tv_nsec < 501000000);
	timevalsub(&tv1, &tv0);
	KT_EQ(tv1.tv_sec, 2);
	/* It is later than this was written. */
	KT_CHECK(ts0.tv_sec > 1700000000);
	KT_EQ(time_second, ts0.tv_sec + (ts0.tv_nsec + 500000000 >=
	    1000000000 ? 3 : 2));
}

KTEST(time_coarse, "the cheap clocks move once a tick")
{
	sbintime_t coarse, exact;

	kpi_clock_advance(sbttons(tick_sbt - sbinuptime() % tick_sbt) + 1000);
	coarse = getsbinuptime();
	exact = sbinuptime();
	kpi_clock_advance(sbttons(tick_sbt / 2));
	KT_EQ(getsbinuptime(), coarse);
	KT_CHECK(sbinuptime() > exact);
	kpi_clock_advance(sbttons(tick_sbt / 2));
	KT_CHECK(getsbinuptime() - coarse >= tick_sbt - SBT_1US);
}

KTEST(time_setclock, "setting the time of day leaves the uptime alone")
{
	struct timespec ts = { .tv_sec = 2000000000, .tv_nsec = 5 }, now;
	sbintime_t up;

	up = sbinuptime();
	tc_setclock(&ts);
	nanotime(&now);
	KT_EQ(now.tv_sec, 2000000000);
	KT_EQ(sbinuptime(), up);
}

/* To the nanosecond, but for the rounding of struct bintime. */
static void
near(int64_t a, int64_t b)
{

	if (a - b < -2 || a - b > 2)
		KT_EQ(a, b);
}

KTEST(time_settime, "programs set the clock to the microsecond")
{
	struct timespec ts = { .tv_sec = 2000000000, .tv_nsec = 1999 };

	KT_EQ(kern_clock_settime(curthread, CLOCK_REALTIME, &ts), 0);
	near(kpi_clock_utc(), 2000000000000001000);
	KT_EQ(kpi_clock_set_utc(1900000000000000000), 0);
	near(kpi_clock_utc(), 1900000000000000000);
	KT_EQ(kern_clock_settime(curthread, CLOCK_MONOTONIC, &ts), EINVAL);
	ts.tv_nsec = 1000000000;
	KT_EQ(kern_clock_settime(curthread, CLOCK_REALTIME, &ts), EINVAL);
	ts.tv_nsec = 0;
	ts.tv_sec = 8001LL * 365 * 86400;
	KT_EQ(kern_clock_settime(curthread, CLOCK_REALTIME, &ts), EINVAL);
}

/* How far the time of day went beyond the uptime in so many milliseconds. */
static int64_t
gained(u_int ms)
{
	kpi_u64 before;

	before = kpi_clock_utc();
	kpi_clock_advance(ms * 1000000ULL);
	return ((int64_t)(kpi_clock_utc() - before - ms * 1000000ULL));
}

KTEST(time_adjtime, "adjtime(2): 500 us a second, 5 ms beyond a second")
{
	struct timeval tv, old;

	tv = (struct timeval){ .tv_usec = 1200 };
	KT_EQ(kern_adjtime(curthread, &tv, &old), 0);
	KT_EQ(old.tv_sec, 0);
	KT_EQ(old.tv_usec, 0);
	near(gained(500), 250000);
	near(gained(500), 250000);
	KT_EQ(kern_adjtime(curthread, NULL, &old), 0);
	KT_EQ(old.tv_usec, 700);
	near(gained(1000), 500000);
	near(gained(1000), 200000);
	near(gained(5000), 0);
	/* Back, and faster while there is much of it. */
	tv = (struct timeval){ .tv_sec = -2, .tv_usec = 996000 };
	KT_EQ(kern_adjtime(curthread, &tv, NULL), 0);
	near(gained(1000), -5000000);
	near(gained(1000), -500000);
	KT_EQ(kern_adjtime(curthread, NULL, &old), 0);
	KT_EQ(old.tv_sec, -1);
	KT_EQ(old.tv_usec, 1000 - 500 + 1000);
	/* Another one takes its place; setting the clock does not end it. */
	tv = (struct timeval){ .tv_usec = 1000 };
	KT_EQ(kern_adjtime(curthread, &tv, NULL), 0);
	KT_EQ(kpi_clock_set_utc(1900000000000000000), 0);
	near(gained(3000), 1000000);
}

KTEST(time_ratecheck, "so many a second, and once in so long")
{
	struct timeval last = { 0, 0 }, gap = { 1, 0 };
	int count = 0, i, n;

	kpi_clock_advance(1000 * 1000 * 1000ULL);
	for (n = 0, i = 0; i < 10; i++)
		n += ppsratecheck(&last, &count, 3);
	KT_EQ(n, 3);
	kpi_clock_advance(1100 * 1000 * 1000ULL);
	KT_CHECK(ppsratecheck(&last, &count, 3));
	timevalclear(&last);
	kpi_clock_advance(1000);
	KT_CHECK(ratecheck(&last, &gap));
	KT_CHECK(!ratecheck(&last, &gap));
	kpi_clock_advance(1000 * 1000 * 1000ULL);
	KT_CHECK(ratecheck(&last, &gap));
}

static u_int	reads;

static u_int
kt_count(struct timecounter *tc)
{
	return (++reads);
}

static struct timecounter kt_tc = {
	.tc_get_timecount = kt_count,
	.tc_counter_mask = 0xffff,
	.tc_frequency = 10000000,
	.tc_name = "kt-counter",
	.tc_quality = 3000,
};

static struct timecounter kt_tc_bad = {
	.tc_get_timecount = kt_count,
	.tc_counter_mask = 0xffff,
	.tc_frequency = 10000000,
	.tc_name = "kt-bad",
	.tc_quality = -5,
};

static void
tc_forget(void)
{
	struct sysctl_oid *tc;

	/* There is no way back from tc_init() but for the test's memory. */
	tc = &sysctl___kern_timecounter_tc;
	KT_EQ(sysctl_remove_name(tc, "kt-counter", 1, 1), 0);
	KT_EQ(sysctl_remove_name(tc, "kt-bad", 1, 1), 0);
}

KTEST(tc_choice, "the best timecounter is chosen, another one on request")
{
	is("kern.timecounter.hardware", "hosted");
	tc_init(&kt_tc_bad);
	is("kern.timecounter.hardware", "hosted");
	tc_init(&kt_tc);
	is("kern.timecounter.hardware", "kt-counter");
	is("kern.timecounter.choice",
	    "kt-counter(3000) kt-bad(-5) hosted(100) dummy(-1000000)");
	is("kern.timecounter.tc.kt-counter.frequency", "10000000");
	is("kern.timecounter.tc.kt-counter.mask", "65535");
	is("kern.timecounter.tc.kt-counter.quality", "3000");
	KT_EQ(tc_getfrequency(), 10000000);
	KT_EQ(kpi_sysctl_get("kern.timecounter.tc.kt-counter.counter", buf,
	    sizeof(buf)), 0);
	KT_EQ(strtoul(buf, NULL, 10), reads);
	KT_EQ(kpi_sysctl_set("kern.timecounter.hardware", "kt-bad"), 0);
	KT_CHECK(timecounter == &kt_tc_bad);
	KT_EQ(kpi_sysctl_set("kern.timecounter.hardware", "none"), EINVAL);
	tc_forget();
}

KTEST_PANICS(tc_twice, "a timecounter is registered twice",
    "registered twice")
{
	tc_init(&kt_tc);
	tc_init(&kt_tc);
}

static sbintime_t	started_first, started_period;
static int		stops, et_refuse;

static int
kt_start(struct eventtimer *et, sbintime_t first, sbintime_t period)
{
	started_first = first;
	started_period = period;
	return (0);
}

static int
kt_stop(struct eventtimer *et)
{
	stops++;
	return (0);
}

static void
kt_event(struct eventtimer *et, void *arg)
{
	(*(int *)arg)++;
}

static int
kt_deregister(struct eventtimer *et, void *arg)
{
	return (et_refuse);
}

KTEST(et_life, "an event timer is registered, found, used, and gone")
{
	struct eventtimer et = {
		.et_name = "KT timer",
		.et_flags = ET_FLAGS_PERIODIC | ET_FLAGS_ONESHOT |
		    ET_FLAGS_PERCPU,
		.et_quality = 1000,
		.et_frequency = 10000000,
		.et_min_period = SBT_1MS,
		.et_max_period = SBT_1S,
		.et_start = kt_start,
		.et_stop = kt_stop,
	}, low = et;
	int events = 0;

	low.et_name = "KT low";
	low.et_quality = 10;
	low.et_flags = ET_FLAGS_ONESHOT;
	KT_EQ(et_register(&low), 0);
	KT_EQ(et_register(&et), 0);
	is("kern.eventtimer.choice", "KT timer(1000) hosted(100) KT low(10)");
	is("kern.eventtimer.et.KT timer.quality", "1000");
	is("kern.eventtimer.et.KT timer.flags", "7");
	KT_CHECK(et_find(NULL, 0, 0) == &et);
	KT_CHECK(et_find(NULL, ET_FLAGS_PERCPU, 0) == &low);
	KT_CHECK(et_find("KT LOW", 0, 0) == &low);
	KT_CHECK(et_find("none", 0, 0) == NULL);
	KT_EQ(et_start(&et, SBT_1MS, 0), ENXIO);
	KT_EQ(et_init(&et, kt_event, kt_deregister, &events), 0);
	KT_EQ(et_init(&et, kt_event, NULL, &events), EBUSY);
	KT_EQ(et_start(&et, SBT_1MS * 5, 0), 0);
	KT_EQ(started_first, SBT_1MS * 5);
	KT_EQ(et_start(&et, 1, 0), 0);
	KT_EQ(started_first, SBT_1MS);
	KT_EQ(et_start(&et, 0, SBT_1S * 3), 0);
	KT_EQ(started_period, SBT_1S);
	et.et_event_cb(&et, et.et_arg);
	KT_EQ(events, 1);
	KT_EQ(et_stop(&et), 0);
	KT_EQ(stops, 1);
	et_refuse = EBUSY;
	KT_EQ(et_deregister(&et), EBUSY);
	KT_EQ(et_free(&et), 0);
	KT_EQ(et_stop(&et), ENXIO);
	KT_EQ(et_deregister(&et), 0);
	KT_EQ(et_deregister(&low), 0);
	is("kern.eventtimer.choice", "hosted(100)");
}
