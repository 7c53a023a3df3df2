/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Several processors: their numbers, and rendezvous.  A rendezvous runs on the
 * interrupt threads, as the kernel's runs in interprocessor interrupts.
 */

#include <kern/kpi_internal.h>

#include <sys/sched.h>
#include <sys/smp.h>
#include <sys/sx.h>

u_int		 mp_maxid;
int		 mp_ncpus;
int		 mp_ncores;
int		 mp_maxcpus = MAXCPU;
int		 smp_cpus;
volatile int	 smp_started;
int		 smp_threads_per_core = 1;
cpuset_t	 all_cpus;
cpuset_t	 cpuset_domain[MAXMEMDOM];
int		 vm_ndomains = 1;

struct rendezvous {
	void		(*rv_setup)(void *);
	void		(*rv_action)(void *);
	void		(*rv_teardown)(void *);
	void		*rv_arg;
	u_int		 rv_ncpus;
	volatile u_int	 rv_in, rv_mid, rv_out;
};

static struct sx rendezvous_sx;
SX_SYSINIT_FLAGS(rendezvous, &rendezvous_sx, "smp rendezvous", SX_NOWITNESS);

void
kpi_smp_init(u_int ncpus)
{
	u_int i;

	CPU_ZERO(&all_cpus);
	for (i = 0; i < ncpus; i++)
		CPU_SET(i, &all_cpus);
	CPU_COPY(&all_cpus, &cpuset_domain[0]);
	mp_ncpus = mp_ncores = smp_cpus = ncpus;
	mp_maxid = ncpus - 1;
}

/* Not for TSan to see: drivers read it as a plain variable. */
static void __attribute__((__no_sanitize__("thread")))
smp_start(void *arg __unused)
{

	smp_started = 1;
}
SYSINIT(start_aps, SI_SUB_SMP, SI_ORDER_FIRST, smp_start, NULL);

/* Waits until all CPUs of the rendezvous are here. */
static void
barrier(struct rendezvous *rv, volatile u_int *count)
{
	u_int n;

	n = __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL);
	if (n == rv->rv_ncpus) {
		hosted_futex_wake(count, (u_int)-1);
		return;
	}
	while ((n = __atomic_load_n(count, __ATOMIC_ACQUIRE)) != rv->rv_ncpus)
		hosted_futex_wait(count, n, HOSTED_FOREVER);
}

static void
rendezvous_run(struct rendezvous *rv)
{
	struct thread *td = curthread;

	critical_enter();
	td->td_intr_nesting_level++;
	if (rv->rv_setup != smp_no_rendezvous_barrier) {
		if (rv->rv_setup != NULL)
			rv->rv_setup(rv->rv_arg);
		barrier(rv, &rv->rv_in);
	}
	if (rv->rv_action != NULL)
		rv->rv_action(rv->rv_arg);
	if (rv->rv_teardown != smp_no_rendezvous_barrier) {
		barrier(rv, &rv->rv_mid);
		if (rv->rv_teardown != NULL)
			rv->rv_teardown(rv->rv_arg);
	}
	td->td_intr_nesting_level--;
	critical_exit();
}

static void
rendezvous_done(struct rendezvous *rv)
{
	(void)__atomic_fetch_add(&rv->rv_out, 1, __ATOMIC_RELEASE);
	hosted_futex_wake(&rv->rv_out, 1);
}

void
kpi_smp_ipi(struct kpi_cpu *kc)
{
	struct rendezvous *rv;

	rv = __atomic_exchange_n(&kc->kc_ipi, NULL, __ATOMIC_ACQUIRE);
	if (rv != NULL) {
		rendezvous_run(rv);
		rendezvous_done(rv);
	}
}

/* The others do not run yet, whoever is meant. */
static void
rendezvous_alone(void (*setup)(void *), void (*action)(void *),
    void (*teardown)(void *), void *arg)
{

	spinlock_enter();
	if (setup != NULL)
		setup(arg);
	if (action != NULL)
		action(arg);
	if (teardown != NULL)
		teardown(arg);
	spinlock_exit();
}

void
smp_rendezvous_cpus(cpuset_t map, void (*setup)(void *),
    void (*action)(void *), void (*teardown)(void *), void *arg)
{
	struct rendezvous rv;
	u_int i, n, others;
	bool here;

	if (smp_started == 0) {
		rendezvous_alone(setup, action, teardown, arg);
		return;
	}
	KASSERT(curthread->td_critnest == 0,
	    ("smp_rendezvous in a critical section"));
	memset(&rv, 0, sizeof(rv));
	rv.rv_setup = setup;
	rv.rv_action = action;
	rv.rv_teardown = teardown;
	rv.rv_arg = arg;
	sched_pin();
	here = CPU_ISSET(curcpu, &map);
	CPU_AND(&map, &map, &all_cpus);
	rv.rv_ncpus = CPU_COUNT(&map);
	KASSERT(rv.rv_ncpus != 0, ("smp_rendezvous: no CPU"));
	others = rv.rv_ncpus - (here ? 1 : 0);
	sx_xlock(&rendezvous_sx);
	CPU_FOREACH(i)
		if (CPU_ISSET(i, &map) && i != curcpu) {
			__atomic_store_n(&kpi_cpus[i].kc_ipi, &rv,
			    __ATOMIC_RELEASE);
			kpi_intr_kick(i);
		}
	if (here)
		rendezvous_run(&rv);
	while ((n = __atomic_load_n(&rv.rv_out, __ATOMIC_ACQUIRE)) != others)
		hosted_futex_wait(&rv.rv_out, n, HOSTED_FOREVER);
	sx_xunlock(&rendezvous_sx);
	sched_unpin();
}

void
smp_rendezvous(void (*setup)(void *), void (*action)(void *),
    void (*teardown)(void *), void *arg)
{
	smp_rendezvous_cpus(all_cpus, setup, action, teardown, arg);
}

void
smp_no_rendezvous_barrier(void *arg)
{
}

int
quiesce_cpus(cpuset_t map, const char *wmesg, int prio)
{
	struct thread *td = curthread;
	int bound, old;
	u_int i;

	bound = sched_is_bound(td);
	old = td->td_oncpu;
	CPU_FOREACH(i) {
		if (!CPU_ISSET(i, &map))
			continue;
		sched_bind(td, i);
		/* Whoever was in a critical section there has left it. */
		critical_enter();
		critical_exit();
	}
	sched_bind(td, old);
	if (!bound)
		sched_unbind(td);
	return (0);
}

int
quiesce_all_cpus(const char *wmesg, int prio)
{
	return (quiesce_cpus(all_cpus, wmesg, prio));
}

void
quiesce_all_critical(void)
{
	(void)quiesce_all_cpus("critical", 0);
}
