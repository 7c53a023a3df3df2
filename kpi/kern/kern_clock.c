/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The kernel's clock: real (Linux's monotonic clock) or virtual (it stands
 * still but for kpi_clock_advance()).  There is no tick interrupt: "ticks" is
 * brought up to date whenever anybody asks for the time, sleeps or delays.
 *
 * As in a kernel, the clocks begin to run late, at SI_SUB_CLOCKS.  Before that,
 * while devices attach, kernel time stands still, no callout fires and no timed
 * sleep ends; only DELAY() takes its time.
 */

#include <kern/kpi_internal.h>

#include <sys/proc.h>
#include <sys/time.h>

#define	HZ	1000

int		 hz = HZ;
int		 tick = 1000000 / HZ;
int		 stathz = 127;
int		 profhz = 8128;
int		 psratio = 64;
sbintime_t	 tick_sbt;
volatile long	 ticksl;
/* One counter of two widths, as the kernel's own linker trick has it. */
__asm(".globl ticks\n.set ticks, ticksl\n");

static hosted_u64	 machine_ns;	/* when the machine was started */
static hosted_u64	 boot_ns;	/* when the clocks were */
static volatile bool	 clocks_run;
static volatile sbintime_t virtual_now;
static volatile sbintime_t virtual_boot; /* before the clocks ran */
static struct kpi_lock	 advance_lock;

void
kpi_clock_init(void)
{
	int n;

	if (getenv_int("kern.hz", &n) && n > 0 && n <= 1000000)
		hz = n;
	tick = 1000000 / hz;
	tick_sbt = SBT_1S / hz;
	machine_ns = hosted_clock();
}

static void
clocks_start(void *arg __unused)
{

	boot_ns = hosted_clock();
	__atomic_store_n(&clocks_run, true, __ATOMIC_RELEASE);
	kpi_callout_kick();
}
SYSINIT(clocks, SI_SUB_CLOCKS, SI_ORDER_FIRST, clocks_start, NULL);

bool
kpi_clock_runs(void)
{

	return (__atomic_load_n(&clocks_run, __ATOMIC_ACQUIRE));
}

/* Not for TSan to see: drivers read "ticks" as a plain variable. */
static void __attribute__((__no_sanitize__("thread")))
ticks_update(sbintime_t now)
{
	ticksl = now / tick_sbt;
}

sbintime_t
kpi_now(void)
{
	sbintime_t now;

	if (!kpi_clock_runs())
		return (0);
	if (kpi_conf.virtual_clock)
		return (__atomic_load_n(&virtual_now, __ATOMIC_ACQUIRE));
	now = nstosbt(hosted_clock() - boot_ns);
	ticks_update(now);
	return (now);
}

kpi_u64
kpi_clock_now(void)
{

	if (!kpi_conf.virtual_clock)
		return (hosted_clock() - machine_ns);
	return (sbttons(__atomic_load_n(&virtual_boot, __ATOMIC_ACQUIRE) +
	    __atomic_load_n(&virtual_now, __ATOMIC_ACQUIRE)));
}

hosted_u64
kpi_clock_deadline(sbintime_t sbt)
{

	return (kpi_clock_runs() ? boot_ns + sbttons(sbt) : HOSTED_FOREVER);
}

static void
virtual_boot_add(sbintime_t sbt)
{

	(void)__atomic_add_fetch(&virtual_boot, sbt, __ATOMIC_ACQ_REL);
}

void
DELAY(int usec)
{
	hosted_u64 end, now;
	sbintime_t t;

	/*
	 * Who waits in the attach methods of a kernel that boots has nothing
	 * else: as if it slept, time passes once the others do.
	 */
	if (kpi_conf.virtual_clock && curthread == &thread0 &&
	    !kpi_clock_runs()) {
		if (kpi_thread_running() != 0)
			kpi_settle();
		virtual_boot_add(ustosbt(usec));
		return;
	}
	now = hosted_clock();
	end = now + (hosted_u64)usec * 1000;
	/* A stopped kernel has nobody left who could advance the clock. */
	if (kpi_conf.virtual_clock && SCHEDULER_STOPPED()) {
		t = virtual_now + ustosbt(usec);
		__atomic_store_n(&virtual_now, t, __ATOMIC_RELEASE);
		ticks_update(t);
	}
	while (now < end) {
		if (end - now > 100 * 1000)
			hosted_sleep(end - now - 50 * 1000);
		else if (end - now > 2000)
			hosted_yield();
		else
			cpu_spinwait();
		now = hosted_clock();
	}
	(void)kpi_now();
}

/* The earliest thing to happen until "end". */
static bool
next_event(sbintime_t end, sbintime_t *when)
{
	sbintime_t t;
	bool found;

	found = kpi_callout_earliest(when);
	if (kpi_sleep_earliest(&t) && (!found || t < *when)) {
		*when = t;
		found = true;
	}
	return (found && *when <= end);
}

void
kpi_clock_advance(kpi_u64 ns)
{
	struct thread *td = kpi_thread_enter();
	sbintime_t end, t;

	KASSERT(kpi_conf.virtual_clock, ("kpi_clock_advance(): real clock"));
	kpi_lock(&advance_lock);
	kpi_settle();
	if (!kpi_clock_runs()) {
		virtual_boot_add(nstosbt(ns));
		kpi_unlock(&advance_lock);
		kpi_thread_leave(td);
		return;
	}
	end = virtual_now + nstosbt(ns);
	while (next_event(end, &t)) {
		if (t > virtual_now) {
			__atomic_store_n(&virtual_now, t, __ATOMIC_RELEASE);
			ticks_update(t);
		}
		kpi_callout_run(virtual_now);
		kpi_sleep_expire(virtual_now);
		kpi_settle();
	}
	__atomic_store_n(&virtual_now, end, __ATOMIC_RELEASE);
	ticks_update(end);
	kpi_unlock(&advance_lock);
	kpi_thread_leave(td);
}
