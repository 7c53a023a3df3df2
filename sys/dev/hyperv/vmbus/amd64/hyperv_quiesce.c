/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * When is nobody in a function any more that was called through a pointer?
 *
 * A thread may have been preempted in it.  Such a thread is ready to run, and
 * stays with its processor: who calls these pointers is pinned, or holds a
 * spin lock and cannot be preempted at all.  A processor turns to its idle
 * thread only when nobody is ready to run there: once it has, since the
 * pointer is gone, each of those has run on and left.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <sys/sched.h>
#include <sys/smp.h>
#include <sys/time.h>

#include <dev/hyperv/vmbus/hyperv_smp.h>

/* A processor without an idle moment for so long is not waited for. */
#define	HYPERV_QUIESCE_LIMIT	(10 * SBT_1S)

static u_int
hyperv_idle_switches(int cpu)
{

	return (pcpu_find(cpu)->pc_idlethread->td_generation);
}

static void
hyperv_quiesce_go(int cpu)
{

	thread_lock(curthread);
	sched_bind(curthread, cpu);
	thread_unlock(curthread);
}

bool
hyperv_md_quiesce(void)
{
	sbintime_t until = sbinuptime() + HYPERV_QUIESCE_LIMIT;
	u_int before;
	int cpu;
	bool quiet = true;

	CPU_FOREACH(cpu) {
		before = hyperv_idle_switches(cpu);
		/* One that idles all the time is made to switch by us. */
		hyperv_quiesce_go(cpu);
		while (hyperv_idle_switches(cpu) == before && quiet) {
			pause("hvquit", 1);
			quiet = sbinuptime() < until;
		}
	}
	thread_lock(curthread);
	sched_unbind(curthread);
	thread_unlock(curthread);
	return (quiet);
}
