/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The waist: all that the hosted kernel asks of Linux.  Implemented in
 * kpi/posix/ as ordinary glibc code, called from kpi/kern, kpi/vm and the tests
 * inside the kernel.  It knows neither FreeBSD's nor glibc's types and so
 * includes no header; nothing else crosses the line in this direction (in the
 * other direction: kpi.h).
 *
 * Times are nanoseconds.  Errors are FreeBSD's errno values as far as a caller
 * looks at them (HOSTED_* below); 0 is success.  Functions may be called on
 * any thread unless they say otherwise.
 */

#ifndef KPI_WAIST_H
#define	KPI_WAIST_H

typedef __UINT64_TYPE__	hosted_u64;
typedef __UINT32_TYPE__	hosted_u32;
typedef __SIZE_TYPE__	hosted_size;

/* Numbers are FreeBSD's. */
#define	HOSTED_ENOMEM	12
#define	HOSTED_EINVAL	22
#define	HOSTED_EAGAIN	35
#define	HOSTED_ETIMEDOUT 60

#define	HOSTED_FOREVER	((hosted_u64)-1)

/* --- Threads --- */

/*
 * Starts fn(arg) on a new thread; *id is for hosted_thread_join(), which must
 * be called once, or hosted_thread_detach().  HOSTED_EAGAIN: no more threads.
 */
int	hosted_thread_create(hosted_u64 *id, void (*fn)(void *), void *arg,
	    const char *name);
void	hosted_thread_join(hosted_u64 id);
void	hosted_thread_detach(hosted_u64 id);
/* Ends the calling thread, which hosted_thread_create() made. */
void	hosted_thread_exit(void) __attribute__((__noreturn__));
/* One pointer a thread, NULL until set; NULL for threads not of the kernel. */
void	hosted_self_set(void *p);
void   *hosted_self(void);
/* Calls fn(p) when a thread ends whose pointer is p and not NULL. */
void	hosted_self_hook(void (*fn)(void *p));
/* The base of this thread's %gs: what PCPU_GET() and curthread read. */
void	hosted_gs_set(void *base);
void	hosted_yield(void);

/* --- Blocking: everything above is built from these and from atomics --- */

/*
 * Sleeps while *word == expect, until woken, at most until deadline on the
 * clock of hosted_clock().  May return early for no reason: callers look again.
 * 0, or HOSTED_ETIMEDOUT once the deadline has passed.
 */
int	hosted_futex_wait(const volatile unsigned *word, unsigned expect,
	    hosted_u64 deadline);
/* Wakes up to n sleepers.  The word's memory need not exist any more. */
void	hosted_futex_wake(const volatile unsigned *word, unsigned n);

/* --- Time --- */

hosted_u64 hosted_clock(void);		/* monotonic, starts anywhere */
hosted_u64 hosted_clock_utc(void);	/* since 1970 */
void	hosted_sleep(hosted_u64 ns);

/* --- Memory --- */

/*
 * Guest-physical memory: size bytes, readable, writable, zeroed.  Once a
 * process.
 */
int	hosted_mem_create(hosted_size size, void **base);
/* Whether code may run in a range of it; whole pages. */
void	hosted_mem_exec(void *va, hosted_size len, int executable);
/* Address space without memory; to be filled by hosted_mem_alias(). */
void   *hosted_va_reserve(hosted_size size);
/*
 * A second mapping of len bytes of guest memory from gpa on, at va within a
 * reservation; hosted_mem_unalias() makes it inaccessible again.  Page-aligned.
 */
int	hosted_mem_alias(void *va, hosted_u64 gpa, hosted_size len);
void	hosted_mem_unalias(void *va, hosted_size len);
/* Memory outside the guest's physical space, zeroed; NULL. */
void   *hosted_mmap(hosted_size size);
void	hosted_munmap(void *p, hosted_size size);

/* --- Sanitizers; empty where none is compiled in --- */

void	hosted_poison(const void *p, hosted_size len);
void	hosted_unpoison(const void *p, hosted_size len);

/* --- Console, death, randomness --- */

/* One line without its newline. */
void	hosted_console(const char *line);
/* The calling thread's stack on the console. */
void	hosted_backtrace(void);
/*
 * The kernel's last word.  Calls the hook with it if there is one (a test that
 * expects the panic leaves the process there), then prints and aborts.
 */
void	hosted_panic(const char *msg) __attribute__((__noreturn__));
void	hosted_panic_hook(void (*fn)(const char *msg));
/* What is fatal without being a panic here: tells the hook. */
void	hosted_panic_tell(const char *msg);
void	hosted_random(void *buf, hosted_size len);

/* --- Privileged instructions and CPUID of FreeBSD-side code --- */

/*
 * Called on the thread that executed the instruction, as if it had called a
 * function; they may block.
 */
struct hosted_trap {
	/* regs: eax, ebx, ecx, edx; in: the processor's own answer. */
	void	(*cpuid)(hosted_u32 leaf, hosted_u32 sub, hosted_u32 regs[4]);
	void	(*rdmsr)(hosted_u32 msr, hosted_u64 *val);
	void	(*wrmsr)(hosted_u32 msr, hosted_u64 val);
	/* cli, sti, popf; and what pushf shows. */
	void	(*intr_set)(int enabled);
	int	(*intr_get)(void);
	void	(*hlt)(void);
};
void	hosted_trap_register(const struct hosted_trap *trap);

#endif	/* !KPI_WAIST_H */
