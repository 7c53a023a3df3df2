/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Who uses an event timer: one is chosen by kern.eventtimer.timer and drives a
 * tick on each processor, as hardclock would be, that is only counted.  At boot
 * it is one of no hardware, whatever is better: time here is kern_clock.c's.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/smp.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/timeet.h>

#define	TICK_SBT	(SBT_1S / 100)

SYSCTL_DECL(_kern_eventtimer);

static int	hosted_et_start(struct eventtimer *et, sbintime_t first,
		    sbintime_t period);

static struct eventtimer hosted_et = {
	.et_name = "hosted",
	.et_flags = ET_FLAGS_ONESHOT | ET_FLAGS_PERIODIC | ET_FLAGS_PERCPU,
	.et_quality = 100,
	.et_min_period = 1,
	.et_max_period = SBT_1M,
	.et_start = hosted_et_start,
};

/* Held while a timer is exchanged for another. */
static struct sx clock_sx;
SX_SYSINIT(clocksource, &clock_sx, "event timer in use");

static struct eventtimer *volatile timer = &hosted_et;
static volatile int periodic;
static uint64_t	ticks_seen[MAXCPU];

static int
hosted_et_start(struct eventtimer *et __unused, sbintime_t first __unused,
    sbintime_t period __unused)
{

	return (0);
}

static void
clock_event(struct eventtimer *et, void *arg __unused)
{

	__atomic_fetch_add(&ticks_seen[curcpu], 1, __ATOMIC_RELAXED);
	if (et == __atomic_load_n(&timer, __ATOMIC_ACQUIRE) &&
	    !__atomic_load_n(&periodic, __ATOMIC_RELAXED))
		(void)et_start(et, TICK_SBT, 0);
}

static void
clock_start_cpu(void *arg)
{

	(void)et_start(arg, TICK_SBT, periodic ? TICK_SBT : 0);
}

static void
clock_stop_cpu(void *arg)
{

	(void)et_stop(arg);
}

/* The new one is taken before the old one is let go, as in a kernel. */
static int
clock_choose(const char *name, int want_periodic)
{
	struct eventtimer *et, *old;
	int error;

	sx_assert(&clock_sx, SA_XLOCKED);
	old = timer;
	if (strcasecmp(old->et_name, name) == 0)
		return (0);
	ET_LOCK();
	et = et_find(name, 0, 0);
	error = et == NULL ? ENOENT : et_init(et, clock_event, NULL, NULL);
	ET_UNLOCK();
	if (error != 0)
		return (error);
	__atomic_store_n(&timer, NULL, __ATOMIC_RELEASE);
	smp_rendezvous(NULL, clock_stop_cpu, NULL, old);
	ET_LOCK();
	(void)et_free(old);
	ET_UNLOCK();
	__atomic_store_n(&periodic, want_periodic, __ATOMIC_RELAXED);
	__atomic_store_n(&timer, et, __ATOMIC_RELEASE);
	smp_rendezvous(NULL, clock_start_cpu, NULL, et);
	return (0);
}

static int want_periodic;
SYSCTL_INT(_kern_eventtimer, OID_AUTO, periodic, CTLFLAG_RWTUN,
    &want_periodic, 0, "Enable event timer periodic mode");

static int
clock_sysctl_timer(SYSCTL_HANDLER_ARGS)
{
	char name[32];
	int error;

	sx_xlock(&clock_sx);
	strlcpy(name, timer->et_name, sizeof(name));
	sx_xunlock(&clock_sx);
	error = sysctl_handle_string(oidp, name, sizeof(name), req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	sx_xlock(&clock_sx);
	error = clock_choose(name, want_periodic);
	sx_xunlock(&clock_sx);
	return (error);
}
SYSCTL_PROC(_kern_eventtimer, OID_AUTO, timer,
    CTLTYPE_STRING | CTLFLAG_RW | CTLFLAG_MPSAFE, 0, 0, clock_sysctl_timer,
    "A", "Chosen event timer");

kpi_u64
kpi_timer_events(unsigned cpu)
{

	return (__atomic_load_n(&ticks_seen[cpu], __ATOMIC_RELAXED));
}

static void
clock_init(void *arg __unused)
{

	(void)et_register(&hosted_et);
	(void)et_init(&hosted_et, clock_event, NULL, NULL);
}
SYSINIT(clocksource, SI_SUB_CLOCKS, SI_ORDER_SECOND, clock_init, NULL);
