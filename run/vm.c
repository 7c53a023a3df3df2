/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The joint between the hosted kernel and the host library: privileged
 * instructions and hypercalls one way, interrupts the other, and the thread
 * that pumps.  No policy and no devices.
 */

#include <sys/eventfd.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

/* Looks at the pump before vm_pump() goes to sleep. */
#define	SPINS	200

static struct {
	struct vm_config	 cf;
	struct hvh		*host;
	int			 kick_fd;	/* eventfd */
	atomic_bool		 kicked;	/* a kick is on its way */
	atomic_bool		 stop;
	atomic_uint_fast64_t	 rounds;	/* whole rounds pumped */
	pthread_t		 pump;
	bool			 pump_runs;
	bool			 booted;
	uint64_t		 born;	/* CLOCK_REALTIME of vm_create() */
} vm;

/*
 * Where the hypercall page's code leads.  RCX, RDX and R8 carry the call, all
 * registers but RAX are left as they were, as guests may expect of a
 * hypervisor (protocol: hypervisor, 5.1).
 */
__asm(
"	.text\n"
"	.type	vm_hypercall_entry, @function\n"
"vm_hypercall_entry:\n"
"	pushq	%rbp\n"
"	movq	%rsp, %rbp\n"
"	pushq	%rcx\n	pushq	%rdx\n	pushq	%rsi\n	pushq	%rdi\n"
"	pushq	%r8\n	pushq	%r9\n	pushq	%r10\n	pushq	%r11\n"
"	subq	$256, %rsp\n"
"	andq	$-16, %rsp\n"
"	movaps	%xmm0, (%rsp)\n	movaps	%xmm1, 16(%rsp)\n"
"	movaps	%xmm2, 32(%rsp)\n	movaps	%xmm3, 48(%rsp)\n"
"	movaps	%xmm4, 64(%rsp)\n	movaps	%xmm5, 80(%rsp)\n"
"	movaps	%xmm6, 96(%rsp)\n	movaps	%xmm7, 112(%rsp)\n"
"	movaps	%xmm8, 128(%rsp)\n	movaps	%xmm9, 144(%rsp)\n"
"	movaps	%xmm10, 160(%rsp)\n	movaps	%xmm11, 176(%rsp)\n"
"	movaps	%xmm12, 192(%rsp)\n	movaps	%xmm13, 208(%rsp)\n"
"	movaps	%xmm14, 224(%rsp)\n	movaps	%xmm15, 240(%rsp)\n"
"	movq	%rcx, %rdi\n"
"	movq	%rdx, %rsi\n"
"	movq	%r8, %rdx\n"
"	call	vm_hypercall\n"
"	movaps	(%rsp), %xmm0\n	movaps	16(%rsp), %xmm1\n"
"	movaps	32(%rsp), %xmm2\n	movaps	48(%rsp), %xmm3\n"
"	movaps	64(%rsp), %xmm4\n	movaps	80(%rsp), %xmm5\n"
"	movaps	96(%rsp), %xmm6\n	movaps	112(%rsp), %xmm7\n"
"	movaps	128(%rsp), %xmm8\n	movaps	144(%rsp), %xmm9\n"
"	movaps	160(%rsp), %xmm10\n	movaps	176(%rsp), %xmm11\n"
"	movaps	192(%rsp), %xmm12\n	movaps	208(%rsp), %xmm13\n"
"	movaps	224(%rsp), %xmm14\n	movaps	240(%rsp), %xmm15\n"
"	leaq	-64(%rbp), %rsp\n"
"	popq	%r11\n	popq	%r10\n	popq	%r9\n	popq	%r8\n"
"	popq	%rdi\n	popq	%rsi\n	popq	%rdx\n	popq	%rcx\n"
"	popq	%rbp\n"
"	ret\n"
"	.size	vm_hypercall_entry, . - vm_hypercall_entry\n");
void		vm_hypercall_entry(void);
uint64_t	vm_hypercall(uint64_t control, uint64_t input, uint64_t output);

uint64_t
vm_hypercall(uint64_t control, uint64_t input, uint64_t output)
{

	return (hvh_hypercall(vm.host, kpi_curcpu(), control, input, output));
}

/* The doors of struct kpi_machine. */
static void
vm_cpuid(void *arg, unsigned cpu, kpi_u32 leaf, kpi_u32 sub, kpi_u32 regs[4])
{

	if (!hvh_cpuid(vm.host, cpu, leaf, sub, regs) &&
	    leaf >= 0x40000000 && leaf <= 0x4fffffff)
		memset(regs, 0, 4 * sizeof(regs[0]));
}

static int
vm_rdmsr(void *arg, unsigned cpu, kpi_u32 msr, kpi_u64 *val)
{
	uint64_t v;
	int error;

	error = hvh_rdmsr(vm.host, cpu, msr, &v);
	if (error == 0)
		*val = v;
	return (error);
}

static int
vm_wrmsr(void *arg, unsigned cpu, kpi_u32 msr, kpi_u64 val)
{

	return (hvh_wrmsr(vm.host, cpu, msr, val));
}

static const struct kpi_machine vm_machine = {
	.cpuid = vm_cpuid,
	.rdmsr = vm_rdmsr,
	.wrmsr = vm_wrmsr,
};

/* The library's wishes: struct hvh_ops. */
static void
vm_op_interrupt(void *arg, uint32_t vp, uint8_t vector, bool autoeoi)
{

	kpi_interrupt(vp, vector);
}

static void
vm_op_kick(void *arg)
{
	const uint64_t one = 1;

	/*
	 * A kick between the pump's clearing of the flag and the end of its
	 * round costs one idle round; one before that is seen by the round.
	 */
	if (atomic_exchange(&vm.kicked, true))
		return;
	if (write(vm.kick_fd, &one, sizeof(one)) != sizeof(one))
		warn("kick");
}

uint64_t
vm_now(void)
{
	struct timespec ts;

	if (vm.cf.virtual_clock)
		return (kpi_clock_now());
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

static uint64_t
vm_op_now(void *arg)
{

	return (vm_now());
}

/* With a virtual clock the time of day goes with it. */
uint64_t
vm_wall(void)
{
	struct timespec ts;

	if (vm.cf.virtual_clock)
		return (vm.born + kpi_clock_now());
	clock_gettime(CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

static uint64_t
vm_op_wall(void *arg)
{

	return (vm_wall());
}

static void
vm_op_event(void *arg, enum hvh_event event, const uint64_t params[5],
    const char *text)
{

	if (event == HVH_EVENT_CRASH)
		fprintf(stderr, "guest crash: %#jx %#jx %#jx %#jx %#jx\n%s",
		    (uintmax_t)params[0], (uintmax_t)params[1],
		    (uintmax_t)params[2], (uintmax_t)params[3],
		    (uintmax_t)params[4], text != NULL ? text : "");
	else
		fprintf(stderr, "guest asked for a reset\n");
}

static void
vm_op_log(void *arg, enum hvh_log_level level, const char *text)
{

	if (level <= HVH_LOG_WARN && !vm.cf.quiet)
		fprintf(stderr, "host: %s\n", text);
}

static const struct hvh_ops vm_ops = {
	.interrupt = vm_op_interrupt,
	.kick = vm_op_kick,
	.now = vm_op_now,
	.wall = vm_op_wall,
	.event = vm_op_event,
	.log = vm_op_log,
};

/* One round; returns when the next is due. */
static uint64_t
vm_round(void)
{
	uint64_t next;

	atomic_store(&vm.kicked, false);
	next = hvh_pump(vm.host);
	atomic_fetch_add(&vm.rounds, 1);
	return (next);
}

/* How long to wait for the next round; false: until somebody kicks. */
static bool
vm_timeout(uint64_t next, struct timespec *ts)
{
	uint64_t left, now;

	/* Virtual time moves by vm_advance(), which kicks. */
	if (next == UINT64_MAX || vm.cf.virtual_clock)
		return (false);
	now = vm_now();
	left = next > now ? next - now : 0;
	ts->tv_sec = (time_t)(left / 1000000000);
	ts->tv_nsec = (long)(left % 1000000000);
	return (true);
}

static void *
vm_pump_thread(void *arg)
{
	struct pollfd pfd[2] = {
		{ .fd = vm.kick_fd, .events = POLLIN },
		{ .fd = hvh_pump_fd(vm.host), .events = POLLIN }
	};
	struct timespec ts;
	uint64_t n, next;

	while (!atomic_load(&vm.stop)) {
		next = vm_round();
		if (ppoll(pfd, 2, vm_timeout(next, &ts) ? &ts : NULL,
		    NULL) > 0 && (pfd[0].revents & POLLIN) != 0 &&
		    read(vm.kick_fd, &n, sizeof(n)) != sizeof(n))
			warn("kick");
	}
	return (NULL);
}

/* In the order in which they are loaded; the first stays, and is optional. */
static const char *const vm_all_modules[] = {
	"hv_time", "hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils",
	"hv_keyboard", NULL
};
static const char *const *const vm_modules = &vm_all_modules[1];

void
vm_create(const struct vm_config *cf)
{
	/* movabs $vm_hypercall_entry, %rax; jmp *%rax */
	unsigned char code[12] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,
	    0xff, 0xe0 };
	struct hvh_config hc = { 0 };
	struct kpi_config kc = { 0 };
	uintptr_t entry;
	kpi_size size;
	void *base;
	int error;

	vm.cf = (struct vm_config){ 0 };
	vm.born = vm_wall();
	vm.cf = *cf;
	if (vm.cf.cpus == 0)
		vm.cf.cpus = 4;
	vm.kick_fd = eventfd(0, EFD_CLOEXEC);
	if (vm.kick_fd < 0)
		err(1, "eventfd");
	kc.ncpus = vm.cf.cpus;
	kc.memsize = vm.cf.memory;
	kc.virtual_clock = vm.cf.virtual_clock;
	kc.scatter = vm.cf.scatter;
	kc.quiet = vm.cf.quiet;
	kc.kenv = vm.cf.kenv;
	if (vm.cf.preload)
		kc.preload = vm.cf.time ? vm_all_modules : vm_modules;
	kc.machine = &vm_machine;
	kc.console = vm.cf.console;
	kc.console_arg = vm.cf.console_arg;
	error = kpi_init(&kc, &base, &size);
	if (error != 0)
		errx(1, "guest memory: error %d", error);
	entry = (uintptr_t)vm_hypercall_entry;
	memcpy(&code[2], &entry, sizeof(entry));
	hc.vps = vm.cf.cpus;
	hc.mem[0] = (struct hvh_mem_region){ .size = size, .host = base };
	hc.nmem = 1;
	hc.max_version = vm.cf.max_version;
	hc.no_autoeoi = vm.cf.no_autoeoi;
	hc.monitor_pages = vm.cf.monitor_pages;
	hc.moderate_ns = vm.cf.moderate_ns;
	hc.tsc_hz = vm.cf.tsc_hz;
	hc.shown = vm.cf.shown;
	hc.hypercall_code = code;
	hc.hypercall_code_len = sizeof(code);
	error = hvh_create(&hc, &vm_ops, NULL, &vm.host);
	if (error != 0)
		errx(1, "partition: %s", strerror(error));
	if (!vm.cf.no_pump) {
		error = pthread_create(&vm.pump, NULL, vm_pump_thread, NULL);
		if (error != 0)
			errx(1, "pump thread: %s", strerror(error));
		vm.pump_runs = true;
	}
}

struct hvh *
vm_host(void)
{

	return (vm.host);
}

void
vm_boot(void)
{
	int error;

	error = kpi_boot();
	if (error != 0)
		errx(1, "boot: error %d", error);
	vm.booted = true;
}

int
vm_load(void)
{
	int error = 0;
	unsigned i;

	if (vm.cf.time)
		error = kpi_kldload(vm_all_modules[0]);
	for (i = 0; vm_modules[i] != NULL && error == 0; i++)
		error = kpi_kldload(vm_modules[i]);
	return (error);
}

/*
 * A device that is just going away keeps its driver busy: an administrator
 * would try again.
 */
static int
vm_kldunload(const char *name)
{
	const int ebusy = 16;		/* FreeBSD's */
	int error, tries;

	for (tries = 0; tries < 1000; tries++) {
		error = kpi_kldunload(name);
		if (error != ebusy)
			break;
		usleep(10000);
	}
	return (error);
}

int
vm_unload(void)
{
	const int enoent = 2;
	int error, first = 0;
	unsigned i;

	for (i = 0; vm_modules[i] != NULL; i++)
		;
	while (i-- > 0) {
		error = vm_kldunload(vm_modules[i]);
		/* A class driver may not have been loaded. */
		if (first == 0 && (error != enoent || i == 0))
			first = error;
	}
	return (first);
}

void
vm_destroy(void)
{

	if (vm.booted)
		kpi_shutdown();
	vm.booted = false;
	if (vm.pump_runs) {
		atomic_store(&vm.stop, true);
		atomic_store(&vm.kicked, false);
		vm_op_kick(NULL);
		pthread_join(vm.pump, NULL);
		vm.pump_runs = false;
		atomic_store(&vm.stop, false);
	}
	hvh_destroy(vm.host);
	vm.host = NULL;
	close(vm.kick_fd);
}

void
vm_pump(void)
{
	uint64_t start;

	if (vm.cf.no_pump) {
		vm_round();
		return;
	}
	/*
	 * The round under way may be past what the caller did: wait for two.
	 * A round is short as a rule; who sleeps for it sleeps for longer.
	 */
	start = atomic_load(&vm.rounds);
	for (unsigned n = 0; atomic_load(&vm.rounds) < start + 2; n++) {
		vm_op_kick(NULL);
		if (n < SPINS)
			sched_yield();
		else
			usleep(100);
	}
}

void
vm_advance(uint64_t ns)
{
	const uint64_t slice = 10000000;
	uint64_t step;

	/*
	 * Host and guest answer one another in real time: after each slice
	 * both get to act on what fell due, so that no time-out strikes for
	 * the sole reason that time went faster than the processors.
	 */
	for (; ns > 0; ns -= step) {
		step = ns < slice ? ns : slice;
		kpi_clock_advance(step);
		vm_pump();
	}
}
