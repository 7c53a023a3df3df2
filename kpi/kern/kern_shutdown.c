/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Panic, and the state of a stopped kernel that writes its dump; and the end
 * that a driver asks init(8) for.
 */

#include "subr_bus_var.h"

#include <sys/eventhandler.h>
#include <sys/reboot.h>
#include <sys/stdarg.h>

/* How long others may take to reach a scheduling point. */
#define	STOP_NS		(50 * 1000 * 1000ULL)

const char	*panicstr;
bool		 scheduler_stopped;
u_char		 kdb_active;
int		 dumping;
int		 rebooting;
void		*poisoned_buf = (void *)(uintptr_t)0xdeadc0dedeadc0de;
struct thread	*kpi_dump_thread;

static volatile u_int	go;		/* futex: 0 while others are stopped */
static volatile u_int	dumps;		/* that are over */
static char		panic_buf[512];

/*
 * The kernel's own code reads these as plain variables, which is no race in a
 * kernel whose other processors are stopped: not for TSan to see.
 */
static void __attribute__((__no_sanitize__("thread")))
set_state(const char *why, struct thread *dumper)
{
	panicstr = why;
	dumping = dumper != NULL;
	*(struct thread *volatile *)&kpi_dump_thread = dumper;
	*(volatile bool *)&scheduler_stopped = dumper != NULL;
}

void
vpanic(const char *fmt, va_list ap)
{
	static volatile u_int once;
	struct kpi_thread *kt = hosted_self();
	char msg[sizeof(panic_buf) + 64];

	/* One panic is enough; a second thread has nothing to add. */
	if (__atomic_exchange_n(&once, 1, __ATOMIC_ACQ_REL) != 0 &&
	    panicstr == NULL)
		for (;;)
			hosted_sleep(1000 * 1000 * 1000);
	vsnprintf(panic_buf, sizeof(panic_buf), fmt, ap);
	set_state(panic_buf, kpi_dump_thread);
	snprintf(msg, sizeof(msg), "panic: %s\ncpuid = %d, thread = %s",
	    panic_buf, kt != NULL ? (int)kt->kt_pcpu->pc_cpuid : -1,
	    kt != NULL ? kt->kt_td.td_name : "none");
	hosted_panic(msg);
}

void
panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpanic(fmt, ap);
}

/* --- Dump --- */

bool
kpi_dump_others_stop(void)
{
	struct kpi_thread *kt = hosted_self();

	if (kt == NULL || &kt->kt_td ==
	    *(struct thread *volatile *)&kpi_dump_thread)
		return (false);
	__atomic_store_n(&kt->kt_parked, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&go, __ATOMIC_ACQUIRE) == 0)
		hosted_futex_wait(&go, 0, HOSTED_FOREVER);
	__atomic_store_n(&kt->kt_parked, 0, __ATOMIC_RELEASE);
	return (true);
}

void
kpi_dump_pass(void)
{
	if (SCHEDULER_STOPPED())
		(void)kpi_dump_others_stop();
	else
		/* Acquire: the dump, whose locks were no-ops, came before. */
		(void)__atomic_load_n(&dumps, __ATOMIC_ACQUIRE);
}

void
kpi_dump_enter(void)
{
	hosted_u64 end;

	critical_enter();
	__atomic_store_n(&go, 0, __ATOMIC_RELAXED);
	set_state("dump", curthread);
	end = hosted_clock() + STOP_NS;
	while (kpi_thread_running() != 0 && hosted_clock() < end)
		hosted_sleep(100 * 1000);
}

void
kpi_dump_leave(void)
{
	/* First: who finds the scheduler running again comes after this. */
	__atomic_fetch_add(&dumps, 1, __ATOMIC_RELEASE);
	set_state(NULL, NULL);
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	hosted_futex_wake(&go, (u_int)-1);
	critical_exit();
}

void
kpi_halt(int panicked)
{
	struct thread *td = kpi_thread_enter();
	int howto;

	howto = RB_HALT | (panicked ? RB_NOSYNC : 0);
	rebooting = 1;
	if (panicked)
		kpi_dump_enter();
	EVENTHANDLER_INVOKE(shutdown_pre_sync, howto);
	EVENTHANDLER_INVOKE(shutdown_post_sync, howto);
	EVENTHANDLER_INVOKE(shutdown_final, howto);
	if (panicked)
		kpi_dump_leave();
	rebooting = 0;
	kpi_thread_leave(td);
}

/* --- What init(8) is told --- */

/* How many requests are remembered. */
#define	NICE_MAX	8

static struct mtx nice_mtx;
MTX_SYSINIT(nice, &nice_mtx, "shutdown_nice", MTX_DEF);
static int	 nice_howto[NICE_MAX];
static u_int	 nice_asked, nice_taken;

void
shutdown_nice(int howto)
{

	mtx_lock(&nice_mtx);
	KASSERT(nice_asked < NICE_MAX, ("shutdown_nice() again and again"));
	nice_howto[nice_asked++] = howto;
	mtx_unlock(&nice_mtx);
}

int
kpi_shutdown_asked(unsigned ms, int *howto)
{
	struct thread *td = kpi_thread_enter();
	hosted_u64 end;
	int error;

	end = hosted_clock() + (hosted_u64)ms * 1000000;
	for (;;) {
		mtx_lock(&nice_mtx);
		error = nice_taken == nice_asked ? ETIMEDOUT : 0;
		if (error == 0)
			*howto = nice_howto[nice_taken++];
		mtx_unlock(&nice_mtx);
		if (error == 0 || hosted_clock() >= end)
			break;
		hosted_sleep(100 * 1000);
	}
	kpi_thread_leave(td);
	return (error);
}

static void
module_shutdown_event(void *arg, int howto)
{
	if ((howto & RB_NOSYNC) != 0)
		return;
	kpi_module_shutdown();
	/* The oldest module of all is the root bus. */
	bus_topo_lock();
	(void)device_shutdown(root_bus);
	bus_topo_unlock();
}
EVENTHANDLER_DEFINE(shutdown_final, module_shutdown_event, NULL,
    SHUTDOWN_PRI_DEFAULT);
