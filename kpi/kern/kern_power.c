/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Suspend and resume of the machine, as far as devices notice: what the
 * power code does around the instruction that puts a processor to sleep.
 */

#include "subr_bus_var.h"

#include <sys/eventhandler.h>
#include <sys/time.h>
#include <sys/timetc.h>

int
kpi_suspend(void)
{
	struct thread *td = kpi_thread_enter();
	int error;

	EVENTHANDLER_INVOKE(power_suspend_early);
	EVENTHANDLER_INVOKE(power_suspend);
	bus_topo_lock();
	error = DEVICE_SUSPEND(root_bus);
	bus_topo_unlock();
	/* What a device that refused has stopped goes on. */
	if (error != 0)
		EVENTHANDLER_INVOKE(power_resume);
	kpi_thread_leave(td);
	return (error);
}

int
kpi_resume(void)
{
	struct thread *td = kpi_thread_enter();
	struct timespec ts;
	int error;

	bus_topo_lock();
	error = DEVICE_RESUME(root_bus);
	bus_topo_unlock();
	/* By the hardware's clock, which counts seconds. */
	nanotime(&ts);
	ts.tv_nsec = 0;
	tc_setclock(&ts);
	EVENTHANDLER_INVOKE(power_resume);
	kpi_thread_leave(td);
	return (error);
}
