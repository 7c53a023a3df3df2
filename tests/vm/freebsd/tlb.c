/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `tlb': one processor changes a page table that others are using.
 *
 *	tlb torture MS [IDLE_US]
 *			for so long, on all processors; those that only use
 *			pages pause for so long now and then.  Prints what was
 *			done, and fails if a processor went by a translation
 *			that was gone:
 *	  remap		a page is replaced by one that holds something else,
 *			which a reader must see;
 *	  protect	a page is made read-only, and a write must fail;
 *	  fork		a page is shared with a child, whose copy must not
 *			change when the parent writes.
 *	tlb cost TIMES	nanoseconds for a change of a page's protection, while
 *			all others run in the same address space
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/signal.h>
#include <sys/ucontext.h>
#include <sys/wait.h>

#include "commands.h"
#include "lib.h"
#include "thread.h"

#define	CPUS_MAX	16
/* A processor that shares a real one with another may not run for so long. */
#define	COME_BY_NS	20000000
#define	FORK_PAGES	8
#define	WORDS		(PAGE_SIZE / sizeof(uint32_t))

/* What a thread has counted. */
enum { C_READS, C_STALE, C_FAULTS };

/*
 * What everybody looks at.  A stamp is odd while something is promised: that
 * the page holds this number, or that it is read-only.
 */
static struct {
	volatile uint32_t *remap;
	volatile uint32_t *protect;
	volatile uint32_t *fork;
	uint32_t	 remap_stamp;
	uint32_t	 protect_stamp;
	uint32_t	 stop;
	uint64_t	 idle_us;
	struct thread	 users[CPUS_MAX];	/* the first is not one */
	int		 nusers;
} tlb;

static uint32_t
stamp_get(const uint32_t *stamp)
{

	return (__atomic_load_n(stamp, __ATOMIC_SEQ_CST));
}

static void
stamp_set(uint32_t *stamp, uint32_t value)
{

	__atomic_store_n(stamp, value, __ATOMIC_SEQ_CST);
}

/*
 * A write that may fail: false if it did.  The handler goes on behind its one
 * instruction, of two bytes, and says so in a register.
 */
static bool
try_write(volatile uint32_t *at, uint32_t value)
{
	uint32_t failed = 0;

	__asm volatile("movl %%eax, (%%rdi)"
	    : "+d" (failed) : "a" (value), "D" (at) : "memory");
	return (failed == 0);
}

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if ((volatile uint32_t *)info->si_addr != tlb.protect)
		sys_exit(128 + sig);
	uc->uc_mcontext.mc_rip += 2;
	uc->uc_mcontext.mc_rdx = 1;
}

static int
catch_faults(void)
{
	struct sigaction sa;
	long error;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_fault;
	sa.sa_flags = SA_SIGINFO;
	/* Which of them it is depends on what the program was built for. */
	error = sys(SYS_sigaction, SIGSEGV, P(&sa), 0, 0, 0, 0);
	if (error == 0)
		error = sys(SYS_sigaction, SIGBUS, P(&sa), 0, 0, 0, 0);
	return ((int)-error);
}

/* --- Who uses the pages --- */

/* Others look at this count. */
static void
count(struct thread *t)
{

	__atomic_store_n(&t->count[C_READS], t->count[C_READS] + 1,
	    __ATOMIC_RELAXED);
}

static void
use_remap(struct thread *t)
{
	uint32_t before, value;

	before = stamp_get(&tlb.remap_stamp);
	value = tlb.remap[0];
	if (before % 2 != 0 && value != before &&
	    stamp_get(&tlb.remap_stamp) == before)
		t->count[C_STALE]++;
}

static void
use_protect(struct thread *t)
{
	uint32_t before;
	bool written;

	before = stamp_get(&tlb.protect_stamp);
	written = try_write(tlb.protect, before);
	if (!written)
		t->count[C_FAULTS]++;
	else if (before % 2 != 0 && stamp_get(&tlb.protect_stamp) == before)
		t->count[C_STALE]++;
}

static void
use_fork(struct thread *t)
{
	uint64_t n = t->count[C_READS];

	tlb.fork[n % FORK_PAGES * WORDS + t->cpu] = (uint32_t)n;
}

static void
use_all(struct thread *t)
{
	uint32_t n;

	for (n = 1; stamp_get(&tlb.stop) == 0; n++) {
		use_remap(t);
		use_protect(t);
		use_fork(t);
		count(t);
		if (tlb.idle_us != 0 && n % 256 == 0)
			sleep_ms((tlb.idle_us + 999) / 1000);
	}
}

/* --- Who changes them --- */

static uint64_t
reads(const struct thread *t)
{

	return (__atomic_load_n(&t->count[C_READS], __ATOMIC_RELAXED));
}

/* Until each user has been through all that it does, if that is soon. */
static void
all_come_by(void)
{
	uint64_t before[CPUS_MAX] = { 0 }, until;
	int i;

	for (i = 1; i < tlb.nusers; i++)
		before[i] = reads(&tlb.users[i]);
	until = uptime_ns() + COME_BY_NS;
	for (i = 1; i < tlb.nusers; i++)
		while (reads(&tlb.users[i]) < before[i] + 2 &&
		    uptime_ns() < until)
			continue;
}

static void *
map_page(void *at, size_t size)
{
	long where;

	where = sys(SYS_mmap, P(at), (long)size, PROT_READ | PROT_WRITE,
	    MAP_ANON | MAP_PRIVATE | (at != NULL ? MAP_FIXED : 0), -1, 0);
	return (where < 0 ? NULL : (void *)(uintptr_t)where);
}

static int
change_remap(void)
{
	uint32_t stamp = tlb.remap_stamp;

	stamp_set(&tlb.remap_stamp, stamp + 1);
	if (map_page(__DEVOLATILE(void *, tlb.remap), PAGE_SIZE) == NULL)
		return (ENOMEM);
	tlb.remap[0] = stamp + 2;
	stamp_set(&tlb.remap_stamp, stamp + 2);
	all_come_by();
	return (0);
}

static int
protect(int how)
{

	return ((int)-sys(SYS_mprotect, P(tlb.protect), PAGE_SIZE, how, 0, 0,
	    0));
}

static int
change_protect(void)
{
	int error;

	error = protect(PROT_READ);
	if (error != 0)
		return (error);
	stamp_set(&tlb.protect_stamp, tlb.protect_stamp + 1);
	all_come_by();
	stamp_set(&tlb.protect_stamp, tlb.protect_stamp + 1);
	return (protect(PROT_READ | PROT_WRITE));
}

static uint32_t
fork_sum(void)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < FORK_PAGES * WORDS; i++)
		sum = sum * 31 + tlb.fork[i];
	return (sum);
}

/* The child: its pages are its own, whoever writes to the parent's. */
static int
copy_changes(void)
{
	uint32_t sum = fork_sum();
	int i;

	for (i = 0; i < 4; i++) {
		(void)sys(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		if (fork_sum() != sum)
			return (ESTALE);
	}
	return (0);
}

static int
change_fork(uint64_t *stale)
{
	int pid, status;

	pid = sys_fork();
	if (pid == 0)
		sys_exit(copy_changes());
	if (pid < 0)
		return (-pid);
	do
		status = 0;
	while (sys_wait4(pid, &status, 0) == -EINTR);
	if (status != 0)
		(*stale)++;
	return (0);
}

static int
cpus(void)
{
	size_t size = sizeof(int);
	int n = 1;

	(void)sysctl_get("hw.ncpu", &n, &size);
	return (MIN(n, CPUS_MAX));
}

/* This thread on the first processor, one on each of the others. */
static int
start_users(void (*run)(struct thread *))
{
	int error, n = cpus();

	stamp_set(&tlb.stop, 0);
	error = thread_pin(0);
	for (tlb.nusers = 1; tlb.nusers < n && error == 0; tlb.nusers++)
		error = thread_start(&tlb.users[tlb.nusers], tlb.nusers, run);
	for (n = 1; n < tlb.nusers && error == 0; n++)
		while (reads(&tlb.users[n]) == 0 && !thread_ended(
		    &tlb.users[n]))
			sleep_ms(1);
	return (error);
}

/* Passes on the first error there was. */
static int
end_users(int error)
{
	int i, one;

	stamp_set(&tlb.stop, 1);
	for (i = 1; i < tlb.nusers; i++) {
		one = thread_end(&tlb.users[i]);
		if (error == 0)
			error = one;
	}
	return (error);
}

static uint64_t
sum_of(int what)
{
	uint64_t sum = 0;
	int i;

	for (i = 1; i < tlb.nusers; i++)
		sum += tlb.users[i].count[what];
	return (sum);
}

static int
torture_begin(void)
{
	int error;

	tlb.remap = map_page(NULL, PAGE_SIZE);
	tlb.protect = map_page(NULL, PAGE_SIZE);
	tlb.fork = map_page(NULL, FORK_PAGES * PAGE_SIZE);
	if (tlb.remap == NULL || tlb.protect == NULL || tlb.fork == NULL)
		return (ENOMEM);
	tlb.remap_stamp = 1;
	tlb.remap[0] = 1;
	error = catch_faults();
	return (error != 0 ? error : start_users(use_all));
}

static int
tlb_torture(uint64_t ms)
{
	uint64_t forks = 0, rounds = 0, stale = 0, until;
	int error;

	error = torture_begin();
	until = uptime_ns() + ms * 1000000;
	while (error == 0 && uptime_ns() < until) {
		error = change_remap();
		if (error == 0)
			error = change_protect();
		if (error == 0 && ++rounds % 4 == 0) {
			error = change_fork(&stale);
			forks++;
		}
	}
	error = end_users(error);
	stale += sum_of(C_STALE);
	print("rounds: %ju\nforks: %ju\nreads: %ju\nfaults: %ju\nstale: %ju\n",
	    (uintmax_t)rounds, (uintmax_t)forks, (uintmax_t)sum_of(C_READS),
	    (uintmax_t)sum_of(C_FAULTS), (uintmax_t)stale);
	if (error == 0 && stale != 0)
		error = ESTALE;
	return (error != 0 ? complain(error, "tlb torture") : 0);
}

static void
use_nothing(struct thread *t)
{

	while (stamp_get(&tlb.stop) == 0)
		count(t);
}

static int
tlb_cost(uint64_t times)
{
	uint64_t i, start, took;
	int error;

	tlb.protect = map_page(NULL, PAGE_SIZE);
	if (tlb.protect == NULL)
		return (complain(ENOMEM, "tlb cost"));
	error = start_users(use_nothing);
	all_come_by();
	start = uptime_ns();
	for (i = 0; i < times && error == 0; i++) {
		/* What no translation was made of is not flushed. */
		tlb.protect[0] = (uint32_t)i;
		error = protect(PROT_READ);
		if (error == 0)
			error = protect(PROT_READ | PROT_WRITE);
	}
	took = uptime_ns() - start;
	error = end_users(error);
	if (error != 0)
		return (complain(error, "tlb cost"));
	print("ns: %ju\n", (uintmax_t)(took / MAX(times, 1)));
	return (0);
}

int
cmd_tlb(int argc, char **argv)
{

	if (argc > 1 && strcmp(argv[1], "torture") == 0) {
		tlb.idle_us = argument(argc, argv, 3, 0);
		return (tlb_torture(argument(argc, argv, 2, 1000)));
	}
	if (argc > 1 && strcmp(argv[1], "cost") == 0)
		return (tlb_cost(argument(argc, argv, 2, 1000)));
	return (complain(EINVAL, "tlb"));
}
