/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The time of day as programs read and set it.
 */

#include <kern/kpi_internal.h>

#include <sys/proc.h>
#include <sys/syscallsubr.h>
#include <sys/time.h>
#include <sys/timetc.h>

/* Clocks are set to the microsecond, and not to just anything. */
int
kern_clock_settime(struct thread *td, clockid_t clock_id,
    struct timespec *ats)
{
	struct timespec ts;

	if (clock_id != CLOCK_REALTIME)
		return (EINVAL);
	if (ats->tv_nsec < 0 || ats->tv_nsec >= 1000000000 ||
	    ats->tv_sec < 0 || ats->tv_sec > 8000LL * 365 * 24 * 60 * 60)
		return (EINVAL);
	ts.tv_sec = ats->tv_sec;
	ts.tv_nsec = rounddown(ats->tv_nsec, 1000);
	tc_setclock(&ts);
	return (0);
}

kpi_u64
kpi_clock_utc(void)
{
	struct timespec ts;

	nanotime(&ts);
	return ((kpi_u64)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

int
kpi_clock_set_utc(kpi_u64 ns)
{
	struct thread *td = kpi_thread_enter();
	struct timespec ts;
	int error;

	ts.tv_sec = ns / 1000000000;
	ts.tv_nsec = ns % 1000000000;
	error = kern_clock_settime(td, CLOCK_REALTIME, &ts);
	kpi_thread_leave(td);
	return (error);
}
