/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the parts of the hosted kernel know of each other beyond the FreeBSD
 * KPI.  For kpi/ only: neither drivers nor programs include it.
 *
 * Lock order inside the hosted kernel, outermost first:
 *	locks of the KPI (mtx, sx, ...)
 *	virtual CPU (critical section) > sleep queue chain > callout wheel
 *	    > page and slab locks > witness graph > console
 * The inner ones are struct kpi_lock, which nothing checks.
 */

#ifndef _KPI_INTERNAL_H_
#define	_KPI_INTERNAL_H_

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/pcpu.h>
#include <sys/proc.h>

#include <kpi.h>
#include <waist.h>

#define	KPI_MAXTHREADS	1024		/* slots of struct pcpu */
#define	KPI_MAXCPU	64
#define	KPI_HELD_MAX	32		/* locks a thread may hold at once */

/* A lock below everything else: futex, no owner, no check. */
struct kpi_lock {
	volatile u_int	kl_word;	/* 0 free, 1 held, 2 contended */
};

void	kpi_lock(struct kpi_lock *l);
void	kpi_unlock(struct kpi_lock *l);

/* One thread waits for work, others post it. */
struct kpi_event {
	volatile u_int	ke_word;	/* 0, 1 posted, 2 the thread sleeps */
};

struct kpi_held {
	struct lock_object *kh_lock;
	const char	*kh_file;
	int		 kh_line;
	u_int		 kh_flags;	/* LOP_EXCLUSIVE */
};

/* An unfinished line on its way to the console. */
struct kpi_line {
	u_int		 kl_len;
	char		 kl_buf[256];
};

/* A kernel thread.  curthread points at kt_td, its first member. */
struct kpi_thread {
	struct thread	 kt_td;
	struct pcpu	*kt_pcpu;
	u_int		 kt_slot;	/* of kt_pcpu */
	bool		 kt_foreign;	/* a program's thread, for a call */
	bool		 kt_internal;	/* the hosted kernel's own */
	bool		 kt_boot;	/* started while the kernel booted */
	bool		 kt_bound;
	u_int		 kt_calls;	/* foreign: nested calls */
	bool		 kt_intr_off;	/* cli: holds its virtual CPU */
	hosted_u64	 kt_id;
	void		(*kt_fn)(void *);
	void		*kt_arg;
	TAILQ_ENTRY(kpi_thread) kt_link; /* all threads */

	/* Sleep queue; under the chain's lock. */
	TAILQ_ENTRY(kpi_thread) kt_sq;
	const void	*kt_wchan;	/* NULL: not queued */
	volatile u_int	 kt_parked;	/* futex: 1 while to sleep, or idle */
	int		 kt_sleep_rv;
	sbintime_t	 kt_deadline;	/* virtual clock */
	TAILQ_ENTRY(kpi_thread) kt_tq;	/* timed sleepers */

	/* Locks held, oldest first; own thread only. */
	u_int		 kt_nheld;
	struct kpi_held	 kt_held[KPI_HELD_MAX];

	u_int		 kt_epochs;	/* preemptible sections entered */
	u_int		 kt_plain_epochs; /* others */
	u_int		 kt_epoch_phase; /* of the others */
	struct kpi_line	 kt_line;
} __aligned(CACHE_LINE_SIZE);		/* lock words have flags below */

#define	KPI_THREAD(td)	((struct kpi_thread *)(void *)(td))

/* A virtual CPU. */
struct kpi_cpu {
	/* Who runs with interrupts off here: recursive through td_critnest. */
	volatile u_int	 kc_word;	/* as kl_word */
	struct thread	*kc_owner;

	volatile uint64_t kc_pending[4]; /* vectors */
	struct kpi_event kc_event;	/* of the interrupt thread */
	volatile uint64_t kc_count;	/* vectors taken */
	struct thread	*kc_thread;
	struct rendezvous *kc_ipi;	/* subr_smp.c */
} __aligned(CACHE_LINE_SIZE);

extern struct kpi_config kpi_conf;
extern struct kpi_cpu	 kpi_cpus[KPI_MAXCPU];
extern char		*kpi_mem_base;	/* guest-physical 0 */
extern vm_size_t	 kpi_mem_size;

/* init_main.c */
void	kpi_smp_init(u_int ncpus);

/* kern_linker.c: files are static libraries, see kpi/README.md. */
struct kpi_file {
	const char	*kf_name;
	long		 kf_module;	/* loadable; else part of the kernel */
	struct sysinit	**kf_sysinit, **kf_sysinit_end;
	struct sysinit	**kf_sysuninit, **kf_sysuninit_end;
	struct mod_metadata **kf_modmeta, **kf_modmeta_end;
	struct sysctl_oid **kf_sysctl, **kf_sysctl_end;
	char		*kf_data, *kf_data_end;	/* variables of a module */
};
void	kpi_linker_boot(void);
void	kpi_linker_shutdown(void);
/* kern_module.c */
int	kpi_module_register_file(struct linker_file *lf,
	    const struct kpi_file *kf);
int	kpi_module_quiesce_file(struct linker_file *lf);
int	kpi_module_unload_file(struct linker_file *lf);
void	kpi_module_shutdown(void);	/* MOD_SHUTDOWN to all, newest first */
u_int	kpi_module_leaks(void);

/* kern_thread.c */
void	kpi_thread_bootstrap(void);
struct thread *kpi_thread_enter(void);
void	kpi_thread_leave(struct thread *td);
/* Runs fn on the calling thread, which is thread0 until it returns. */
/* Returns when each thread that is pinned now has not been so at some time. */
void	kpi_threads_unpinned(void);
void	kpi_thread0_run(void (*fn)(void));
/* cpu -1: any, not bound; intr: the CPU's interrupt thread. */
int	kpi_thread_start(void (*fn)(void *), void *arg, int cpu, bool intr,
	    const char *name, struct thread **tdp);
/* kthread_add() on a certain CPU; -1: any. */
int	kpi_kthread_add_cpu(void (*fn)(void *), void *arg, struct proc *p,
	    struct thread **tdp, int cpu, const char *name);
u_int	kpi_thread_slots(void);		/* that were ever used */
void	kpi_thread_baseline(void);	/* at the end of boot */
u_int	kpi_thread_count(void);		/* that came later */
u_int	kpi_thread_running(void);	/* not asleep, without the caller */
u_int	kpi_thread_leaks(void);

/* kern_switch.c */
void	kpi_intr_set(int enabled);
int	kpi_intr_get(void);

/* kern_synch.c */
/*
 * Sleeping on a channel in two steps, so that the caller can drop a lock
 * between them.  deadline: kernel time, SBT_MAX for ever.  0 or EWOULDBLOCK.
 */
void	kpi_sleepq_add(const void *wchan, sbintime_t deadline);
int	kpi_sleepq_wait(const void *wchan);
/* Reports a sleep that the kernel would not survive. */
void	kpi_sleep_check(struct lock_object *interlock, const char *what);
/* Wakes at most n (0: all) in order of arrival; returns how many. */
u_int	kpi_wakeup_n(const void *chan, u_int n);
/* Virtual clock: earliest timed sleeper, and its wake-up. */
bool	kpi_sleep_earliest(sbintime_t *when);
void	kpi_sleep_expire(sbintime_t now);
/* Waits, within limits, until every kernel thread but the caller sleeps. */
void	kpi_settle(void);
/* Waits until posted or the deadline (HOSTED_FOREVER); takes the post. */
void	kpi_event_wait(struct kpi_event *ke, hosted_u64 deadline);
void	kpi_event_post(struct kpi_event *ke, struct thread *waiter);

/* kern_timeout.c, kern_clock.c */
bool	kpi_callout_earliest(sbintime_t *when);
void	kpi_callout_run(sbintime_t now);
u_int	kpi_callout_leaks(void);
void	kpi_callout_kick(void);		/* the clocks run */
void	kpi_clock_init(void);
bool	kpi_clock_runs(void);		/* not yet, for most of the boot */
sbintime_t kpi_now(void);		/* since the clocks run; 0 before */
/*
 * A kernel time as a deadline for hosted_futex_wait(); HOSTED_FOREVER before
 * the clocks run.
 */
hosted_u64 kpi_clock_deadline(sbintime_t sbt);

/* kern_ntptime.c: the time of day at uptime 0, slewed as far as it is now */
void	kpi_tod_base(struct bintime *bt);
void	kpi_tod_set_base(const struct bintime *bt);

/* kern_intr.c, subr_smp.c */
void	kpi_intr_kick(u_int cpu);
uint64_t kpi_intr_count(void);
u_int	kpi_intr_leaks(void);
void	kpi_smp_ipi(struct kpi_cpu *kc);

/* subr_shootdown.c: how often the kernel itself did it. */
extern volatile u_int kpi_native_shootdowns, kpi_native_ipis;

/* subr_busdma.c, for kpi_get_stats(); a kernel without DMA has none */
void	kpi_busdma_stats(uint64_t *bounced, uint64_t *loaded) __weak_symbol;

/* kern_malloc.c, vm/ */
void	kpi_phys_init(void);
vm_paddr_t kpi_phys_alloc(vm_size_t npages, vm_paddr_t low, vm_paddr_t high,
	    u_long align, vm_paddr_t boundary);
void	kpi_phys_free(vm_paddr_t pa, vm_size_t npages);
u_long	kpi_phys_used(void);
void	kpi_malloc_init(void);
void	kpi_malloc_baseline(void);	/* at the end of boot */
uint64_t kpi_malloc_bytes(void);
u_int	kpi_malloc_leaks(void);
u_int	kpi_uma_leaks(void);
/* Whole pages, virtually contiguous, scattered if configured so. */
/* The direct-map address of what lies at va, which may be an alias or none. */
vm_offset_t kpi_direct(vm_offset_t va);
void   *kpi_pages_alloc(vm_size_t npages);
void	kpi_pages_free(void *va, vm_size_t npages);
/* Should this allocation or start fail on purpose? */
bool	kpi_fail(enum kpi_fail kind);

/* subr_witness.c */
/* A lock other than interlock that may not be held while sleeping; NULL. */
const struct kpi_held *kpi_witness_nosleep(const struct lock_object *interlock);
u_int	kpi_witness_leaks(void);
void	kpi_witness_exit(struct thread *td, const char *what);

/* kern_shutdown.c: as a panicked kernel that writes its dump. */
void	kpi_dump_enter(void);
void	kpi_dump_leave(void);
/*
 * A scheduling point while SCHEDULER_STOPPED(): false for the thread that
 * dumps, for which locks are no-ops; others stop here, then go on with true.
 */
bool	kpi_dump_others_stop(void);
/* For who slept, perhaps all through a dump; stops if it is still under way. */
void	kpi_dump_pass(void);
extern struct thread *kpi_dump_thread;

/* Registered by other parts for kpi_leaks(); each prints and counts. */
typedef u_int kpi_leaks_fn(void);
#define	KPI_LEAKS(fn)	DATA_SET(kpi_leaks_set, fn)

#endif	/* !_KPI_INTERNAL_H_ */
