/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Timecounters: registration, choice, kern.timecounter; and the time of day.
 * Time itself is always the hosted clock's (kern_clock.c), so that callouts,
 * time-outs and a virtual clock agree; a driver's timecounter is chosen and
 * read as in a kernel, but does not drive the clock.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/limits.h>
#include <sys/malloc.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/timetc.h>
#include <sys/vdso.h>

#include <machine/clock.h>

#define	TC_HOSTED_FREQ	1000000000

static u_int
tc_dummy_get(struct timecounter *tc __unused)
{
	static volatile u_int now;

	return (atomic_fetchadd_int(&now, 1));
}

static u_int
tc_hosted_get(struct timecounter *tc __unused)
{

	return ((u_int)sbttons(kpi_now()));
}

static struct timecounter tc_dummy = {
	.tc_get_timecount = tc_dummy_get,
	.tc_counter_mask = ~0u,
	.tc_frequency = 1000000,
	.tc_name = "dummy",
	.tc_quality = -1000000,
};

static struct timecounter tc_hosted = {
	.tc_get_timecount = tc_hosted_get,
	.tc_counter_mask = ~0u,
	.tc_frequency = TC_HOSTED_FREQ,
	.tc_name = "hosted",
	.tc_quality = 100,
};

static struct mtx tc_mtx;		/* the list and the choice */
MTX_SYSINIT(tc, &tc_mtx, "timecounters", MTX_DEF);

struct timecounter *timecounter = &tc_dummy;
static struct timecounter *tc_list = &tc_dummy;

int tc_min_ticktock_freq = 1;
volatile time_t time_second = 1;
/* Set by who knows it before the clocks start; no clock here needs it. */
uint64_t tsc_freq;
volatile time_t time_uptime = 1;

SYSCTL_NODE(_kern, OID_AUTO, timecounter, CTLFLAG_RW | CTLFLAG_MPSAFE, 0, "");
SYSCTL_NODE(_kern_timecounter, OID_AUTO, tc,
    CTLFLAG_RW | CTLFLAG_MPSAFE, 0, "");

static int
tc_sysctl_counter(SYSCTL_HANDLER_ARGS)
{
	struct timecounter *tc;
	u_int count;

	tc = arg1;
	count = tc->tc_get_timecount(tc);
	return (sysctl_handle_int(oidp, &count, 0, req));
}

static int
tc_sysctl_freq(SYSCTL_HANDLER_ARGS)
{
	struct timecounter *tc;
	uint64_t freq;

	tc = arg1;
	freq = tc->tc_frequency;
	return (sysctl_handle_64(oidp, &freq, 0, req));
}

/* By quality; the faster one of two that are as good. */
static bool
tc_better(const struct timecounter *tc, const struct timecounter *than)
{

	return (tc->tc_quality > than->tc_quality ||
	    (tc->tc_quality == than->tc_quality &&
	    tc->tc_frequency > than->tc_frequency));
}

void
tc_init(struct timecounter *tc)
{
	struct sysctl_oid *node;
	struct timecounter *p;

	if (tc->tc_quality >= 0 || bootverbose)
		printf("Timecounter \"%s\" frequency %ju Hz quality %d\n",
		    tc->tc_name, (uintmax_t)tc->tc_frequency, tc->tc_quality);
	node = SYSCTL_ADD_NODE_WITH_LABEL(NULL,
	    SYSCTL_STATIC_CHILDREN(_kern_timecounter_tc), OID_AUTO,
	    tc->tc_name, CTLFLAG_RW | CTLFLAG_MPSAFE, 0,
	    "timecounter description", "timecounter");
	SYSCTL_ADD_UINT(NULL, SYSCTL_CHILDREN(node), OID_AUTO, "mask",
	    CTLFLAG_RD, &tc->tc_counter_mask, 0, "mask for implemented bits");
	SYSCTL_ADD_PROC(NULL, SYSCTL_CHILDREN(node), OID_AUTO, "counter",
	    CTLTYPE_UINT | CTLFLAG_RD | CTLFLAG_MPSAFE, tc, 0,
	    tc_sysctl_counter, "IU", "current timecounter value");
	SYSCTL_ADD_PROC(NULL, SYSCTL_CHILDREN(node), OID_AUTO, "frequency",
	    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, tc, 0, tc_sysctl_freq,
	    "QU", "timecounter frequency");
	SYSCTL_ADD_INT(NULL, SYSCTL_CHILDREN(node), OID_AUTO, "quality",
	    CTLFLAG_RD, &tc->tc_quality, 0, "goodness of time counter");
	mtx_lock(&tc_mtx);
	for (p = tc_list; p != NULL; p = p->tc_next)
		KASSERT(p != tc, ("timecounter %s is registered twice",
		    tc->tc_name));
	tc->tc_next = tc_list;
	tc_list = tc;
	/* Negative ones only on request, which kern.timecounter.hardware is. */
	if (tc->tc_quality >= 0 && tc_better(tc, timecounter)) {
		(void)tc->tc_get_timecount(tc);
		timecounter = tc;
	}
	mtx_unlock(&tc_mtx);
}

/* As libc asks the page that the kernel keeps for programs. */
int
kpi_vdso_algo(void)
{
	struct vdso_timehands th;
	struct timecounter *tc;

	tc = __atomic_load_n(&timecounter, __ATOMIC_ACQUIRE);
	memset(&th, 0xa5, sizeof(th));
	if (tc->tc_fill_vdso_timehands == NULL ||
	    tc->tc_fill_vdso_timehands(&th, tc) == 0)
		return (0);
	return ((int)th.th_algo);
}

unsigned
kpi_timecount(void)
{
	struct timecounter *tc;

	tc = __atomic_load_n(&timecounter, __ATOMIC_ACQUIRE);
	return (tc->tc_get_timecount(tc) & tc->tc_counter_mask);
}

kpi_u64
kpi_tsc_freq(void)
{

	return (tsc_freq);
}

uint64_t
tc_getfrequency(void)
{

	return (timecounter->tc_frequency);
}

static int
tc_sysctl_hardware(SYSCTL_HANDLER_ARGS)
{
	struct timecounter *tc;
	char name[32];
	int error;

	mtx_lock(&tc_mtx);
	strlcpy(name, timecounter->tc_name, sizeof(name));
	mtx_unlock(&tc_mtx);
	error = sysctl_handle_string(oidp, name, sizeof(name), req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	mtx_lock(&tc_mtx);
	for (tc = tc_list; tc != NULL; tc = tc->tc_next)
		if (strcmp(tc->tc_name, name) == 0)
			break;
	if (tc != NULL) {
		(void)tc->tc_get_timecount(tc);
		timecounter = tc;
	}
	mtx_unlock(&tc_mtx);
	return (tc != NULL ? 0 : EINVAL);
}
SYSCTL_PROC(_kern_timecounter, OID_AUTO, hardware,
    CTLTYPE_STRING | CTLFLAG_RWTUN | CTLFLAG_NOFETCH | CTLFLAG_MPSAFE, 0, 0,
    tc_sysctl_hardware, "A", "Timecounter hardware selected");

static int
tc_sysctl_choice(SYSCTL_HANDLER_ARGS)
{
	struct timecounter *tc;
	char buf[512];
	struct sbuf sb;
	int error;

	/* No allocation under the lock: what is too long is cut. */
	sbuf_new(&sb, buf, sizeof(buf), SBUF_FIXEDLEN);
	mtx_lock(&tc_mtx);
	for (tc = tc_list; tc != NULL; tc = tc->tc_next)
		sbuf_printf(&sb, "%s%s(%d)", tc != tc_list ? " " : "",
		    tc->tc_name, tc->tc_quality);
	mtx_unlock(&tc_mtx);
	sbuf_finish(&sb);
	error = SYSCTL_OUT_STR(req, sbuf_data(&sb));
	sbuf_delete(&sb);
	return (error);
}
SYSCTL_PROC(_kern_timecounter, OID_AUTO, choice,
    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, 0, 0, tc_sysctl_choice, "A",
    "Timecounter hardware detected");

static void
tc_start(void *arg __unused)
{

	struct bintime now, boot;
	hosted_u64 utc;

	utc = hosted_clock_utc();
	now.sec = utc / 1000000000;
	now.frac = nstosbt(utc % 1000000000) << 32;
	boot = sbttobt(kpi_now());
	bintime_sub(&now, &boot);
	kpi_tod_set_base(&now);
	tc_init(&tc_hosted);
}
SYSINIT(tc, SI_SUB_CLOCKS, SI_ORDER_FIRST, tc_start, NULL);

/* --- Time --- */

/* Not for TSan to see: drivers read these as plain variables. */
static void __attribute__((__no_sanitize__("thread")))
tc_update(const struct bintime *bt)
{
	struct bintime utc;

	kpi_tod_base(&utc);
	bintime_add(&utc, bt);
	time_uptime = bt->sec + 1;
	time_second = utc.sec;
}

void
binuptime(struct bintime *bt)
{

	*bt = sbttobt(kpi_now());
	tc_update(bt);
}

void
bintime(struct bintime *bt)
{
	struct bintime base;

	binuptime(bt);
	kpi_tod_base(&base);
	bintime_add(bt, &base);
}

void
nanouptime(struct timespec *ts)
{
	struct bintime bt;

	binuptime(&bt);
	bintime2timespec(&bt, ts);
}

void
microuptime(struct timeval *tv)
{
	struct bintime bt;

	binuptime(&bt);
	bintime2timeval(&bt, tv);
}

void
nanotime(struct timespec *ts)
{
	struct bintime bt;

	bintime(&bt);
	bintime2timespec(&bt, ts);
}

void
microtime(struct timeval *tv)
{
	struct bintime bt;

	bintime(&bt);
	bintime2timeval(&bt, tv);
}

/* The cheap variants are what it was at the last tick. */
void
getbinuptime(struct bintime *bt)
{
	sbintime_t now;

	now = kpi_now();
	*bt = sbttobt(now - now % tick_sbt);
	tc_update(bt);
}

void
getnanouptime(struct timespec *ts)
{
	struct bintime bt;

	getbinuptime(&bt);
	bintime2timespec(&bt, ts);
}

void
getmicrouptime(struct timeval *tv)
{
	struct bintime bt;

	getbinuptime(&bt);
	bintime2timeval(&bt, tv);
}

void
getbintime(struct bintime *bt)
{
	struct bintime base;

	getbinuptime(bt);
	kpi_tod_base(&base);
	bintime_add(bt, &base);
}

void
getnanotime(struct timespec *ts)
{
	struct bintime bt;

	getbintime(&bt);
	bintime2timespec(&bt, ts);
}

void
getmicrotime(struct timeval *tv)
{
	struct bintime bt;

	getbintime(&bt);
	bintime2timeval(&bt, tv);
}

void
getboottimebin(struct bintime *bt)
{

	kpi_tod_base(bt);
}

void
getboottime(struct timeval *tv)
{
	struct bintime bt;

	kpi_tod_base(&bt);
	bintime2timeval(&bt, tv);
}

/* Sets the time of day; the uptime goes on as before. */
void
tc_setclock(struct timespec *ts)
{
	struct bintime bt, up;

	binuptime(&up);
	timespec2bintime(ts, &bt);
	bintime_sub(&bt, &up);
	kpi_tod_set_base(&bt);
}

/* --- Rates: at most so often --- */

int
ratecheck(struct timeval *last, const struct timeval *mininterval)
{
	struct timeval delta, now;
	int ok;

	getmicrouptime(&now);
	delta = now;
	timevalsub(&delta, last);
	ok = timevalcmp(&delta, mininterval, >=) ||
	    (last->tv_sec == 0 && last->tv_usec == 0);
	if (ok)
		*last = now;
	return (ok);
}

int
eventratecheck(struct timeval *last, int *cur, int max)
{
	struct timeval now;

	getmicrouptime(&now);
	if (now.tv_sec != last->tv_sec || (last->tv_sec == 0 &&
	    last->tv_usec == 0)) {
		*last = now;
		*cur = 1;
		return (max != 0);
	}
	(*cur)++;
	return (max < 0 || *cur <= max);
}

void
timevaladd(struct timeval *t1, const struct timeval *t2)
{

	t1->tv_sec += t2->tv_sec;
	t1->tv_usec += t2->tv_usec;
	if (t1->tv_usec >= 1000000) {
		t1->tv_sec++;
		t1->tv_usec -= 1000000;
	}
}

void
timevalsub(struct timeval *t1, const struct timeval *t2)
{

	t1->tv_sec -= t2->tv_sec;
	t1->tv_usec -= t2->tv_usec;
	if (t1->tv_usec < 0) {
		t1->tv_sec--;
		t1->tv_usec += 1000000;
	}
}

int
tvtohz(struct timeval *tv)
{
	int64_t us;

	us = (int64_t)tv->tv_sec * 1000000 + tv->tv_usec;
	if (us < 0)
		return (1);
	/* One more, for the tick that has begun. */
	return ((int)MIN((us + tick - 1) / tick + 1, INT_MAX));
}
