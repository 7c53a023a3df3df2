/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Kernel threads.  Each is a Linux thread with a struct pcpu of its own at %gs,
 * which names the virtual CPU it is on; it changes CPU by sched_bind() alone.
 * The slots below ncpus belong to the CPUs' interrupt threads, whose pcpu is
 * what pcpu_find() shows; the one behind them belongs to thread0.  A program's
 * thread that calls in becomes a kernel thread with its first call and stays
 * registered until it ends.
 */

#include <kern/kpi_internal.h>

#include <sys/kthread.h>
#include <sys/sched.h>
#include <sys/stdarg.h>
#include <sys/unistd.h>

struct pcpu	*__pcpu;
struct pcpu	*cpuid_to_pcpu[MAXCPU];
struct cpuhead	 cpuhead = STAILQ_HEAD_INITIALIZER(cpuhead);
uintptr_t	 dpcpu_off[MAXCPU];
struct proc	 proc0;

/*
 * What boots: the drivers compare their curthread with it.  It is the thread of
 * the program that calls kpi_boot(), for so long, and then never runs again.
 */
static struct kpi_thread boot_thread;
extern struct thread0_storage thread0_st
    __attribute__((__alias__("boot_thread")));
_Static_assert(offsetof(struct thread0_storage, t0st_thread) ==
    offsetof(struct kpi_thread, kt_td), "thread0");
_Static_assert(sizeof(struct thread0_storage) <= sizeof(struct kpi_thread),
    "thread0");

/* There must be a per-CPU set, even if no driver uses one. */
DPCPU_DEFINE_STATIC(u_long, kpi_dpcpu_anchor);

static struct kpi_lock	list_lock;
static TAILQ_HEAD(, kpi_thread) threads = TAILQ_HEAD_INITIALIZER(threads);
static struct kpi_thread *slots;
static struct proc	*procs;		/* one a slot, for kproc_create() */
static u_int		 slot_hint, slot_top;
static u_int		 next_cpu;
static volatile int	 next_tid = 100000;

static void	foreign_ends(void *p);
static void	boot_thread_setup(u_int slot);

static void
pcpu_setup(struct pcpu *pc, struct thread *td, u_int cpu)
{
	pc->pc_prvspace = pc;
	pc->pc_curthread = td;
	pc->pc_cpuid = cpu;
	pc->pc_acpi_id = cpu;
	pc->pc_apic_id = cpu;
	pc->pc_vcpu_id = cpu;
	pc->pc_dynamic = dpcpu_off[cpu];
}

void
kpi_thread_bootstrap(void)
{
	char *dpcpu;
	u_int i;

	_Static_assert(sizeof(struct pcpu) == PAGE_SIZE, "counter(9)");
	__pcpu = hosted_mmap(KPI_MAXTHREADS * sizeof(struct pcpu));
	slots = hosted_mmap(KPI_MAXTHREADS * sizeof(*slots));
	procs = hosted_mmap(KPI_MAXTHREADS * sizeof(*procs));
	dpcpu = hosted_mmap(kpi_conf.ncpus * DPCPU_SIZE);
	if (__pcpu == NULL || slots == NULL || procs == NULL || dpcpu == NULL)
		panic("no memory for threads");
	STAILQ_INIT(&cpuhead);
	for (i = 0; i < kpi_conf.ncpus; i++) {
		memcpy(dpcpu + i * DPCPU_SIZE, (void *)DPCPU_START,
		    DPCPU_BYTES);
		dpcpu_off[i] = (uintptr_t)dpcpu + i * DPCPU_SIZE - DPCPU_START;
		pcpu_setup(&__pcpu[i], NULL, i);
		cpuid_to_pcpu[i] = &__pcpu[i];
		STAILQ_INSERT_TAIL(&cpuhead, &__pcpu[i], pc_allcpu);
	}
	slot_hint = slot_top = kpi_conf.ncpus + 1;
	boot_thread_setup(kpi_conf.ncpus);
	strlcpy(proc0.p_comm, "kernel", sizeof(proc0.p_comm));
	hosted_self_hook(foreign_ends);
}

struct pcpu *
pcpu_find(u_int cpu)
{
	return (cpuid_to_pcpu[cpu]);
}

/* A free slot behind thread0's; NULL: none.  list_lock held. */
static struct kpi_thread *
slot_pick(void)
{
	u_int first = kpi_conf.ncpus + 1, i, n = KPI_MAXTHREADS - first;
	struct kpi_thread *kt;

	for (i = 0; i < n; i++) {
		kt = &slots[first + (slot_hint - first + i) % n];
		if (kt->kt_pcpu == NULL) {
			slot_hint = first + (kt - slots - first + 1) % n;
			__atomic_store_n(&slot_top, MAX(slot_top,
			    (u_int)(kt - slots) + 1), __ATOMIC_RELAXED);
			return (kt);
		}
	}
	return (NULL);
}

/* cpu: the slot of that CPU's interrupt thread, -1: any other. */
static struct kpi_thread *
slot_alloc(int cpu)
{
	struct kpi_thread *kt;

	kpi_lock(&list_lock);
	kt = cpu >= 0 ? &slots[cpu] : slot_pick();
	if (kt != NULL) {
		memset(kt, 0, sizeof(*kt));
		kt->kt_slot = kt - slots;
		kt->kt_pcpu = &__pcpu[kt->kt_slot];
		TAILQ_INSERT_TAIL(&threads, kt, kt_link);
	}
	kpi_unlock(&list_lock);
	return (kt);
}

static void
slot_free(struct kpi_thread *kt)
{
	kpi_lock(&list_lock);
	TAILQ_REMOVE(&threads, kt, kt_link);
	kt->kt_pcpu = NULL;
	kpi_unlock(&list_lock);
}

static void
thread_setup(struct kpi_thread *kt, u_int cpu, const char *name)
{
	struct thread *td = &kt->kt_td;

	td->td_proc = &proc0;
	td->td_tid = __atomic_fetch_add(&next_tid, 1, __ATOMIC_RELAXED);
	td->td_oncpu = td->td_lastcpu = cpu;
	strlcpy(td->td_name, name, sizeof(td->td_name));
	pcpu_setup(kt->kt_pcpu, td, cpu);
}

static void
boot_thread_setup(u_int slot)
{
	struct kpi_thread *kt = &boot_thread;

	kt->kt_slot = slot;
	kt->kt_pcpu = &__pcpu[slot];
	kt->kt_boot = true;
	kt->kt_parked = 1;
	thread_setup(kt, 0, "swapper");
	TAILQ_INSERT_TAIL(&threads, kt, kt_link);
}

void
kpi_thread0_run(void (*fn)(void))
{
	struct kpi_thread *kt = &boot_thread, *program = hosted_self();

	hosted_gs_set(kt->kt_pcpu);
	hosted_self_set(kt);
	__atomic_store_n(&kt->kt_parked, 0, __ATOMIC_RELEASE);
	fn();
	kpi_witness_exit(&kt->kt_td, "has booted");
	__atomic_store_n(&kt->kt_parked, 1, __ATOMIC_RELEASE);
	hosted_self_set(program);
	hosted_gs_set(program != NULL ? program->kt_pcpu : NULL);
}

static u_int
pick_cpu(void)
{
	return (__atomic_fetch_add(&next_cpu, 1, __ATOMIC_RELAXED) %
	    kpi_conf.ncpus);
}

/* --- Threads of the program --- */

struct thread *
kpi_thread_enter(void)
{
	struct kpi_thread *kt = hosted_self();

	if (kt == NULL) {
		kt = slot_alloc(-1);
		if (kt == NULL)
			panic("more than %d threads", KPI_MAXTHREADS);
		kt->kt_foreign = true;
		thread_setup(kt, pick_cpu(), "program");
		hosted_gs_set(kt->kt_pcpu);
		hosted_self_set(kt);
	}
	if (kt->kt_foreign && kt->kt_calls++ == 0) {
		__atomic_store_n(&kt->kt_parked, 0, __ATOMIC_RELAXED);
		kpi_dump_pass();
	}
	return (&kt->kt_td);
}

void
kpi_thread_leave(struct thread *td)
{
	struct kpi_thread *kt = KPI_THREAD(td);

	if (!kt->kt_foreign || --kt->kt_calls != 0)
		return;
	kpi_witness_exit(td, "leaves the kernel");
	KASSERT(td->td_critnest == 0,
	    ("a call leaves the kernel in a critical section"));
	__atomic_store_n(&kt->kt_parked, 1, __ATOMIC_RELEASE);
}

static void
foreign_ends(void *p)
{
	struct kpi_thread *kt = p;

	if (kt->kt_foreign)
		slot_free(kt);
}

unsigned
kpi_curcpu(void)
{
	struct kpi_thread *kt = hosted_self();

	return (kt == NULL ? 0 : kt->kt_pcpu->pc_cpuid);
}

void
kpi_call(void (*fn)(void *), void *arg, int cpu)
{
	struct thread *td = kpi_thread_enter();
	bool bound = sched_is_bound(td);
	u_int old = td->td_oncpu;

	if (cpu >= 0)
		sched_bind(td, cpu);
	fn(arg);
	if (cpu >= 0) {
		sched_unbind(td);
		sched_bind(td, old);
		if (!bound)
			sched_unbind(td);
	}
	kpi_thread_leave(td);
}

/* --- Threads of the kernel --- */

static void
thread_end(struct kpi_thread *kt)
{
	struct thread *td = &kt->kt_td;

	kpi_witness_exit(td, "exits");
	KASSERT(td->td_critnest == 0 && !kt->kt_intr_off,
	    ("thread %s exits in a critical section", td->td_name));
	hosted_self_set(NULL);
	slot_free(kt);
}

static void
thread_main(void *arg)
{
	struct kpi_thread *kt = arg;

	hosted_gs_set(kt->kt_pcpu);
	hosted_self_set(kt);
	kpi_dump_pass();
	kt->kt_fn(kt->kt_arg);
	/* Allowed, but what the KPI wants is kthread_exit(). */
	if (!kt->kt_internal)
		printf("Kernel thread \"%s\" (tid %d) exited prematurely.\n",
		    kt->kt_td.td_name, kt->kt_td.td_tid);
	thread_end(kt);
}

static int
thread_start(struct kpi_thread *kt, void (*fn)(void *), void *arg)
{
	int error;

	kt->kt_fn = fn;
	kt->kt_arg = arg;
	error = hosted_thread_create(&kt->kt_id, thread_main, kt,
	    kt->kt_td.td_name);
	if (error != 0) {
		slot_free(kt);
		return (error);
	}
	hosted_thread_detach(kt->kt_id);
	return (0);
}

int
kpi_thread_start(void (*fn)(void *), void *arg, int cpu, bool intr,
    const char *name, struct thread **tdp)
{
	struct kpi_thread *kt;

	kt = slot_alloc(intr ? cpu : -1);
	if (kt == NULL)
		return (EAGAIN);
	thread_setup(kt, cpu >= 0 ? cpu : pick_cpu(), name);
	kt->kt_bound = cpu >= 0;
	kt->kt_internal = true;
	if (tdp != NULL)
		*tdp = &kt->kt_td;
	return (thread_start(kt, fn, arg));
}

static int
kthread_launch(void (*fn)(void *), void *arg, struct proc *p, bool newproc,
    struct proc **pp, struct thread **tdp, int cpu, const char *name)
{
	struct kpi_thread *kt;

	kpi_sleep_check(NULL, "starting a kernel thread");
	if (kpi_fail(KPI_FAIL_THREAD))
		return (ENOMEM);
	kt = slot_alloc(-1);
	if (kt == NULL)
		return (EAGAIN);
	thread_setup(kt, cpu >= 0 ? cpu : pick_cpu(), name);
	kt->kt_bound = cpu >= 0;
	if (newproc) {
		p = &procs[kt->kt_slot];
		memset(p, 0, sizeof(*p));
		p->p_pid = kt->kt_td.td_tid;
		strlcpy(p->p_comm, name, sizeof(p->p_comm));
	}
	kt->kt_td.td_proc = p != NULL ? p : &proc0;
	if (pp != NULL)
		*pp = p;
	if (tdp != NULL)
		*tdp = &kt->kt_td;
	return (thread_start(kt, fn, arg));
}

int
kpi_kthread_add_cpu(void (*fn)(void *), void *arg, struct proc *p,
    struct thread **tdp, int cpu, const char *name)
{
	return (kthread_launch(fn, arg, p, false, NULL, tdp, cpu, name));
}

int
kthread_add(void (*fn)(void *), void *arg, struct proc *p,
    struct thread **tdp, int flags, int pages, const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	va_list ap;

	KASSERT((flags & RFSTOPPED) == 0, ("kthread_add(): RFSTOPPED"));
	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return (kthread_launch(fn, arg, p, false, NULL, tdp, -1, name));
}

int
kproc_create(void (*fn)(void *), void *arg, struct proc **newpp, int flags,
    int pages, const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	va_list ap;

	KASSERT((flags & RFSTOPPED) == 0, ("kproc_create(): RFSTOPPED"));
	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return (kthread_launch(fn, arg, NULL, true, newpp, NULL, -1, name));
}

int
kproc_kthread_add(void (*fn)(void *), void *arg, struct proc **procp,
    struct thread **tdp, int flags, int pages, const char *procname,
    const char *fmt, ...)
{
	char name[MAXCOMLEN + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	/* One that is joined is not stored again: its threads may look. */
	return (kthread_launch(fn, arg, *procp, *procp == NULL,
	    *procp == NULL ? procp : NULL, tdp, -1, name));
}

void
kthread_exit(void)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);

	KASSERT(!kt->kt_foreign, ("kthread_exit() in a program's thread"));
	wakeup(curthread);
	thread_end(kt);
	hosted_thread_exit();
}

void
kproc_exit(int ecode)
{
	struct kpi_thread *kt = KPI_THREAD(curthread);

	KASSERT(!kt->kt_foreign, ("kproc_exit() in a program's thread"));
	wakeup(kt->kt_td.td_proc);
	thread_end(kt);
	hosted_thread_exit();
}

/* --- Virtual CPUs of threads --- */

void
sched_bind(struct thread *td, int cpu)
{
	struct kpi_thread *kt = KPI_THREAD(td);

	KASSERT(td == curthread, ("sched_bind: can only bind curthread"));
	KASSERT(cpu >= 0 && cpu < kpi_conf.ncpus,
	    ("sched_bind: no CPU %d", cpu));
	KASSERT(td->td_critnest == 0 && !kt->kt_intr_off,
	    ("sched_bind: in a critical section"));
	KASSERT(td->td_pinned == 0 || td->td_oncpu == cpu,
	    ("sched_bind: pinned to CPU %d", td->td_oncpu));
	td->td_lastcpu = td->td_oncpu;
	td->td_oncpu = cpu;
	pcpu_setup(kt->kt_pcpu, td, cpu);
	kt->kt_bound = true;
}

void
sched_unbind(struct thread *td)
{
	KASSERT(td == curthread, ("sched_unbind: can only bind curthread"));
	KPI_THREAD(td)->kt_bound = false;
}

int
sched_is_bound(struct thread *td)
{
	return (KPI_THREAD(td)->kt_bound);
}

/*
 * A thread's own count, which it changes as a plain variable; TSan need not see
 * that we look.
 */
static bool __attribute__((__no_sanitize__("thread")))
thread_is_pinned(const struct kpi_thread *kt)
{

	return (kt != KPI_THREAD(curthread) && kt->kt_pcpu != NULL &&
	    *(const volatile int *)&kt->kt_td.td_pinned != 0);
}

void
kpi_threads_unpinned(void)
{
	u_int i;

	for (i = 0; i < __atomic_load_n(&slot_top, __ATOMIC_RELAXED); i++) {
		while (thread_is_pinned(&slots[i]))
			kern_yield(PRI_UNCHANGED);
	}
}

void
sched_prio(struct thread *td, u_char prio)
{
	td->td_priority = prio;
}

/* --- Counts --- */

u_int
kpi_thread_slots(void)
{
	return (__atomic_load_n(&slot_top, __ATOMIC_RELAXED));
}

/* Threads that the kernel itself started while it booted are no leak. */
void
kpi_thread_baseline(void)
{
	struct kpi_thread *kt;

	kpi_lock(&list_lock);
	TAILQ_FOREACH(kt, &threads, kt_link)
		kt->kt_boot = true;
	kpi_unlock(&list_lock);
}

u_int
kpi_thread_count(void)
{
	struct kpi_thread *kt;
	u_int n = 0;

	kpi_lock(&list_lock);
	TAILQ_FOREACH(kt, &threads, kt_link)
		if (!kt->kt_foreign && !kt->kt_boot)
			n++;
	kpi_unlock(&list_lock);
	return (n);
}

u_int
kpi_thread_running(void)
{
	struct kpi_thread *kt;
	u_int n = 0;

	kpi_lock(&list_lock);
	TAILQ_FOREACH(kt, &threads, kt_link)
		if (kt != hosted_self() &&
		    __atomic_load_n(&kt->kt_parked, __ATOMIC_ACQUIRE) == 0)
			n++;
	kpi_unlock(&list_lock);
	return (n);
}

u_int
kpi_thread_leaks(void)
{
	struct kpi_thread *kt;
	u_int n = 0;

	kpi_lock(&list_lock);
	TAILQ_FOREACH(kt, &threads, kt_link)
		if (!kt->kt_foreign && !kt->kt_boot) {
			printf("leak: thread %s (%s)\n", kt->kt_td.td_name,
			    kt->kt_td.td_wmesg != NULL ? kt->kt_td.td_wmesg :
			    "running");
			n++;
		}
	kpi_unlock(&list_lock);
	return (n);
}
