/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The kernel as a whole: start, stop, what a program can ask it, and variables
 * that belong to no facility.
 */

#include <kern/kpi_internal.h>

#include <sys/bus.h>
#include <sys/eventhandler.h>
#include <sys/malloc.h>
#include <sys/reboot.h>
#include <sys/sx.h>
#include <vm/vm.h>
#include <vm/vm_param.h>

#include <machine/cpufunc.h>
#include <machine/specialreg.h>

#define	MEMSIZE_DEFAULT	(512UL * 1024 * 1024)

#define	SHUTDOWN_NS	(500 * 1000 * 1000ULL)

struct kpi_config kpi_conf;

int		 cold = 1;
int		 bootverbose;
int		 boothowto;
int		 vm_guest = VM_GUEST_NO;
long		 physmem, realmem;
u_long		 maxphys = 1024 * 1024;
const int	 osreldate = __FreeBSD_version;
const char	 version[] = "FreeBSD 15.0 (hosted)\n";
char		 kernelname[MAXPATHLEN] = "/boot/kernel/kernel";
int		 unmapped_buf_allowed = 1;

SET_DECLARE(kpi_leaks_set, kpi_leaks_fn);

/* --- The doors to the machine --- */

static void
trap_cpuid(hosted_u32 leaf, hosted_u32 sub, hosted_u32 regs[4])
{
	if (kpi_conf.machine != NULL)
		kpi_conf.machine->cpuid(kpi_conf.machine_arg, kpi_curcpu(),
		    leaf, sub, regs);
	else if (leaf == 1)
		regs[2] &= ~(1U << 31);	/* no hypervisor, even under one */
}

static void
trap_rdmsr(hosted_u32 msr, hosted_u64 *val)
{
	if (kpi_conf.machine == NULL || kpi_conf.machine->rdmsr(
	    kpi_conf.machine_arg, kpi_curcpu(), msr, val) != 0)
		panic("general protection fault: rdmsr(%#x)", msr);
}

static void
trap_wrmsr(hosted_u32 msr, hosted_u64 val)
{
	if (kpi_conf.machine == NULL || kpi_conf.machine->wrmsr(
	    kpi_conf.machine_arg, kpi_curcpu(), msr, val) != 0)
		panic("general protection fault: wrmsr(%#x, %#jx)", msr,
		    (uintmax_t)val);
}

static void
trap_hlt(void)
{
	hosted_yield();
}

static const struct hosted_trap traps = {
	.cpuid = trap_cpuid,
	.rdmsr = trap_rdmsr,
	.wrmsr = trap_wrmsr,
	.intr_set = kpi_intr_set,
	.intr_get = kpi_intr_get,
	.hlt = trap_hlt,
};

/* Whose guest this is, by the names in CPUID that drivers care for. */
static void
identify_hypervisor(void *arg)
{
	u_int regs[4];

	do_cpuid(1, regs);
	if ((regs[2] & CPUID2_HV) == 0)
		return;
	vm_guest = VM_GUEST_VM;
	do_cpuid(0x40000000, regs);
	if (memcmp(&regs[1], "Microsoft Hv", 12) == 0)
		vm_guest = VM_GUEST_HV;
}
SYSINIT(identify_hypervisor, SI_SUB_CPU, SI_ORDER_FIRST, identify_hypervisor,
    NULL);

/* --- Start and stop --- */

int
kpi_init(const struct kpi_config *cf, void **base, kpi_size *size)
{
	void *mem;
	int error;

	kpi_conf = *cf;
	if (kpi_conf.ncpus == 0)
		kpi_conf.ncpus = 1;
	if (kpi_conf.ncpus > KPI_MAXCPU)
		return (EINVAL);
	kpi_mem_size = round_page(cf->memsize != 0 ? cf->memsize :
	    MEMSIZE_DEFAULT);
	error = hosted_mem_create(kpi_mem_size, &mem);
	if (error != 0)
		return (error);
	kpi_mem_base = mem;
	kpi_thread_bootstrap();
	(void)kpi_thread_enter();
	kpi_smp_init(kpi_conf.ncpus);
	kpi_phys_init();
	kpi_malloc_init();
	physmem = realmem = atop(kpi_mem_size);
	hosted_trap_register(&traps);
	kpi_thread_leave(curthread);
	if (base != NULL)
		*base = mem;
	if (size != NULL)
		*size = kpi_mem_size;
	return (0);
}

static void
clock_start(void *arg)
{
	kpi_clock_init();
}
SYSINIT(kpi_clock, SI_SUB_TUNABLES, SI_ORDER_ANY, clock_start, NULL);

/* Not for TSan to see: drivers read it as a plain variable. */
static void __attribute__((__no_sanitize__("thread")))
boot_done(void *arg)
{
	cold = 0;
}
SYSINIT(kpi_boot, SI_SUB_CONFIGURE, SI_ORDER_ANY, boot_done, NULL);

static volatile bool root_is_mounted;

int
root_mounted(void)
{
	return (__atomic_load_n(&root_is_mounted, __ATOMIC_ACQUIRE));
}

/* The last thing before init(8): there is no root, but who waits for it. */
static void
vfs_mountroot_done(void)
{
	__atomic_store_n(&root_is_mounted, true, __ATOMIC_RELEASE);
	EVENTHANDLER_INVOKE(mountroot);
}

static void
mi_startup(void)
{

	KASSERT(cold, ("kpi_boot() twice"));
	kpi_linker_boot();
	vfs_mountroot_done();
	kpi_settle();
	kpi_malloc_baseline();
	kpi_thread_baseline();
}

int
kpi_boot(void)
{

	kpi_thread0_run(mi_startup);
	return (0);
}

void
kpi_shutdown(void)
{
	struct thread *td = kpi_thread_enter();
	hosted_u64 end;

	kpi_linker_shutdown();
	/* Threads that were told to end may need a moment for it. */
	end = hosted_clock() + SHUTDOWN_NS;
	while (kpi_thread_count() != 0 && hosted_clock() < end)
		hosted_sleep(200 * 1000);
	kpi_thread_leave(td);
}

unsigned
kpi_leaks(void)
{
	struct thread *td = kpi_thread_enter();
	kpi_leaks_fn **fn;
	unsigned n = 0;

	SET_FOREACH(fn, kpi_leaks_set)
		n += (*fn)();
	kpi_thread_leave(td);
	return (n);
}
KPI_LEAKS(kpi_thread_leaks);
KPI_LEAKS(kpi_intr_leaks);
KPI_LEAKS(kpi_malloc_leaks);

void
kpi_get_stats(struct kpi_stats *st)
{
	memset(st, 0, sizeof(*st));
	st->interrupts = kpi_intr_count();
	st->threads = kpi_thread_count();
	st->malloc_bytes = kpi_malloc_bytes();
	if (kpi_busdma_stats != NULL)
		kpi_busdma_stats(&st->bytes_bounced, &st->maps_loaded);
}

/* --- Failure injection --- */

static struct {
	volatile u_int	left;	/* 0: none; the last one fails */
	volatile u_int	hit;
} fails[KPI_FAIL_KINDS];

void
kpi_fail_nth(enum kpi_fail kind, unsigned n)
{
	__atomic_store_n(&fails[kind].hit, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&fails[kind].left, n, __ATOMIC_RELEASE);
}

int
kpi_fail_hit(enum kpi_fail kind)
{
	return (__atomic_load_n(&fails[kind].hit, __ATOMIC_ACQUIRE));
}

bool
kpi_fail(enum kpi_fail kind)
{
	u_int n;

	n = __atomic_load_n(&fails[kind].left, __ATOMIC_RELAXED);
	while (n != 0)
		if (__atomic_compare_exchange_n(&fails[kind].left, &n, n - 1,
		    false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			if (n != 1)
				return (false);
			__atomic_store_n(&fails[kind].hit, 1,
			    __ATOMIC_RELEASE);
			return (true);
		}
	return (false);
}
