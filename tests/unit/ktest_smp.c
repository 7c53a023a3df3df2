/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls on other processors, as the hypervisor gets them: who is named,
 * what is to be flushed, and what is done when it says that it did not.  The
 * driver's files are compiled in here once more, with a hypervisor of this
 * file's and with as many processors as it likes, numbered as it likes.
 */

#include "tests/lib/ktest.h"

#include <sys/bus.h>
#include <sys/kdb.h>
#include <sys/linker.h>
#include <sys/malloc.h>
#include <sys/proc.h>
#include <sys/sched.h>
#include <sys/smp.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <kern/kpi_internal.h>

#define	hyperv_hypercall	test_hypercall
#define	hyperv_ipi_send		test_ipi_send
#define	hyperv_md_hook		test_md_hook
#define	hyperv_md_hooks		test_md_hooks
#define	hyperv_md_unhook	test_md_unhook
#define	hyperv_smp_enter	test_smp_enter
#define	hyperv_smp_has_ex	test_smp_has_ex
#define	hyperv_smp_leave	test_smp_leave
#define	hyperv_smp_vp		test_smp_vp
#define	hyperv_tlb_flush	test_tlb_flush
#define	hyperv_vpset_fill	test_vpset_fill
#define	hyperv_vpset_mask	test_vpset_mask

/* NOLINTBEGIN(bugprone-suspicious-include): under the names above. */
#include <dev/hyperv/vmbus/hyperv_ipi.c>
#include <dev/hyperv/vmbus/hyperv_tlb.c>
#include <dev/hyperv/vmbus/hyperv_vpset.c>
#include <dev/hyperv/vmbus/amd64/hyperv_hook.c>
/* NOLINTEND(bugprone-suspicious-include) */

#define	CODE(control)	((u_int)((control) & 0xffff))
#define	WORDS(control)	((u_int)((control) >> 17 & 0x3ff))
#define	REPS(control)	((u_int)((control) >> 32 & 0xfff))

/* The hypervisor: what it was asked last, and what it answers. */
static struct {
	u_int		calls;
	uint64_t	control;
	uint64_t	in[2];		/* of the fast form */
	uint64_t	page[128];	/* of the slow one */
	uint64_t	answer;
	bool		no_reps;	/* it says that it did none */
} hv;

static struct hyperv_smp_pcpu cpu_part;
static uint64_t *input;		/* has a physical address while used */
static uint32_t vps[MAXCPU];
static bool forbidden, with_ex;
static u_int locals;

uint64_t
test_hypercall(uint64_t control, uint64_t in, uint64_t out)
{

	hv.calls++;
	hv.control = control;
	hv.in[0] = in;
	hv.in[1] = out;
	if ((control & HYPERV_HCALL_FAST) == 0)
		memcpy(hv.page, input, sizeof(hv.page));
	return (hv.answer | (hv.no_reps ? 0 : (uint64_t)REPS(control) << 32));
}

struct hyperv_smp_pcpu *
test_smp_enter(u_int what __unused)
{

	KT_CHECK(curthread->td_critnest > 0);
	if (forbidden)
		return (NULL);
	cpu_part.sp_busy++;
	cpu_part.sp_in = input;
	return (&cpu_part);
}

void
test_smp_leave(struct hyperv_smp_pcpu *sp)
{

	sp->sp_busy--;
}

bool
test_smp_has_ex(void)
{

	return (with_ex);
}

uint32_t
test_smp_vp(int cpu)
{

	return (vps[cpu]);
}

static void
input_get(void)
{

	input = malloc(PAGE_SIZE, M_TEMP, M_WAITOK);
	memset(input, 0xa5, PAGE_SIZE);
}

static void
input_put(void)
{

	free(input, M_TEMP);
	input = NULL;
}

static bool
flush_of(const cpuset_t *cpus, bool global, uint64_t va, u_long npages)
{
	struct hyperv_flush hf = {
		.hf_cpus = cpus, .hf_global = global, .hf_va = va,
		.hf_npages = npages,
	};
	bool done;

	input_get();
	critical_enter();
	done = test_tlb_flush(&hf);
	critical_exit();
	input_put();
	return (done);
}

static bool
ipi_of(const cpuset_t *cpus, u_int vector)
{
	bool done;

	input_get();
	critical_enter();
	done = test_ipi_send(cpus, vector);
	critical_exit();
	input_put();
	return (done);
}

/* Processors 0 to n - 1 with the hypervisor's numbers from first on, down. */
static void
number_down(u_int n, uint32_t first)
{
	u_int i;

	for (i = 0; i < n; i++)
		vps[i] = first - i;
}

KTEST(smp_flush_page, "one page on two processors, by their VPs' numbers")
{
	cpuset_t cpus;

	number_down(4, 63);
	CPU_SETOF(0, &cpus);
	CPU_SET(3, &cpus);
	KT_CHECK(flush_of(&cpus, true, 0xffffffff80001234, 1));
	KT_EQ(CODE(hv.control), 3);
	KT_EQ(REPS(hv.control), 1);
	KT_EQ(WORDS(hv.control), 0);
	KT_EQ(hv.page[0], 0);
	/* In all address spaces, global ones too: no other flag. */
	KT_EQ(hv.page[1], 2);
	KT_EQ(hv.page[2], 1ULL << 63 | 1ULL << 60);
	KT_EQ(hv.page[3], 0xffffffff80001000);
	KT_EQ(cpu_part.sp_count[HYPERV_COUNT_FLUSHES], 1);
}

KTEST(smp_flush_range, "up to 4096 pages are one element, more are everything")
{
	cpuset_t cpus;

	number_down(2, 1);
	CPU_SETOF(1, &cpus);
	KT_CHECK(flush_of(&cpus, false, 0x7000, 4096));
	KT_EQ(CODE(hv.control), 3);
	KT_EQ(hv.page[1], 2);
	KT_EQ(hv.page[2], 1);
	KT_EQ(hv.page[3], 0x7000 | 4095);
	KT_CHECK(flush_of(&cpus, false, 0x7000, 4097));
	KT_EQ(CODE(hv.control), 2);
	KT_EQ(REPS(hv.control), 0);
	/* A user's: what is global may stay. */
	KT_EQ(hv.page[1], 2 | 4);
	KT_CHECK(flush_of(&cpus, true, 0x7000, 4097));
	KT_EQ(hv.page[1], 2);
}

KTEST(smp_flush_sparse, "numbers above 63 go in a set without empty banks")
{
	cpuset_t cpus;

	with_ex = true;
	vps[0] = 4095;
	vps[1] = 130;
	vps[2] = 0;
	vps[3] = 129;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	CPU_SET(1, &cpus);
	CPU_SET(3, &cpus);
	KT_CHECK(flush_of(&cpus, false, 0x5000, 2));
	KT_EQ(CODE(hv.control), 0x14);
	KT_EQ(WORDS(hv.control), 2);
	KT_EQ(REPS(hv.control), 1);
	KT_EQ(hv.page[1], 2);
	KT_EQ(hv.page[2], 0);
	KT_EQ(hv.page[3], 1ULL << 2 | 1ULL << 63);
	KT_EQ(hv.page[4], 1ULL << 2 | 1ULL << 1);
	KT_EQ(hv.page[5], 1ULL << 63);
	KT_EQ(hv.page[6], 0x5001);
	CPU_SET(2, &cpus);
	KT_CHECK(flush_of(&cpus, false, 0, 0));
	KT_EQ(CODE(hv.control), 0x13);
	KT_EQ(WORDS(hv.control), 3);
	KT_EQ(REPS(hv.control), 0);
	KT_EQ(hv.page[3], 1 | 1ULL << 2 | 1ULL << 63);
	KT_EQ(hv.page[4], 1);
}

KTEST(smp_flush_many, "every number there can be is in one call")
{
	cpuset_t cpus;
	u_int i;

	with_ex = true;
	CPU_ZERO(&cpus);
	for (i = 0; i < MAXCPU; i++) {
		vps[i] = i * 4 + 3;
		CPU_SET(i, &cpus);
	}
	KT_CHECK(flush_of(&cpus, true, 0x1000, 1));
	KT_EQ(WORDS(hv.control), MIN(MAXCPU * 4 / 64, 64));
	KT_EQ(hv.page[4], 0x8888888888888888);
	KT_EQ(hv.page[4 + WORDS(hv.control)], 0x1000);
}

KTEST(smp_no_ex, "without the long forms such processors are the kernel's job")
{
	cpuset_t cpus;

	number_down(2, 64);
	CPU_SETOF(0, &cpus);
	KT_CHECK(!flush_of(&cpus, true, 0x1000, 1));
	KT_CHECK(!ipi_of(&cpus, 0x40));
	KT_EQ(hv.calls, 0);
	/* Nor is a number beyond what any set can hold. */
	with_ex = true;
	vps[0] = 4096;
	KT_CHECK(!flush_of(&cpus, true, 0x1000, 1));
	KT_CHECK(!ipi_of(&cpus, 0x40));
	KT_EQ(hv.calls, 0);
	KT_EQ(cpu_part.sp_count[HYPERV_COUNT_FLUSH_FALLBACKS], 2);
	KT_EQ(cpu_part.sp_count[HYPERV_COUNT_IPI_FALLBACKS], 2);
}

KTEST(smp_refused, "any status but success, or a rep not done, is a failure")
{
	static const uint64_t answers[] = {
		1, 2, 3, 5, 6, 0xb, 0x13, 0xffff, 2 | 1ULL << 32,
		0xffffffff0000ffff,
	};
	cpuset_t cpus;
	u_int i;

	number_down(2, 1);
	CPU_SETOF(1, &cpus);
	for (i = 0; i < nitems(answers); i++) {
		hv.answer = answers[i];
		KT_CHECK(!flush_of(&cpus, true, 0x1000, 1));
		KT_CHECK(!flush_of(&cpus, true, 0, 0));
		KT_CHECK(!ipi_of(&cpus, 0x40));
	}
	hv.answer = 0;
	hv.no_reps = true;
	KT_CHECK(!flush_of(&cpus, true, 0x1000, 1));
	KT_CHECK(flush_of(&cpus, true, 0, 0));
	hv.answer = 7ULL << 32;
	KT_CHECK(!flush_of(&cpus, true, 0x1000, 1));
}

KTEST(smp_nested, "an interrupt amid a call leaves its input alone")
{
	cpuset_t cpus;

	with_ex = true;
	number_down(2, 1);
	CPU_SETOF(1, &cpus);
	cpu_part.sp_busy = 1;
	KT_CHECK(!flush_of(&cpus, true, 0x1000, 1));
	KT_EQ(hv.calls, 0);
	/* Registers alone are its own. */
	KT_CHECK(ipi_of(&cpus, 0x40));
	KT_EQ(hv.calls, 1);
	vps[1] = 100;
	KT_CHECK(!ipi_of(&cpus, 0x40));
	KT_EQ(hv.calls, 1);
	KT_EQ(cpu_part.sp_busy, 1);
	cpu_part.sp_busy = 0;
}

KTEST(smp_ipi, "vector and set in registers, or in a page above 63")
{
	cpuset_t cpus;

	number_down(3, 40);
	CPU_SETOF(0, &cpus);
	CPU_SET(2, &cpus);
	KT_CHECK(ipi_of(&cpus, 0xf3));
	KT_EQ(hv.control, 0x1000b);
	KT_EQ(hv.in[0], 0xf3);
	KT_EQ(hv.in[1], 1ULL << 40 | 1ULL << 38);
	KT_CHECK(!ipi_of(&cpus, 0xf));
	KT_CHECK(!ipi_of(&cpus, 0x100));
	KT_EQ(hv.calls, 1);
	with_ex = true;
	vps[0] = 64;
	KT_CHECK(ipi_of(&cpus, 0xf3));
	KT_EQ(CODE(hv.control), 0x15);
	KT_EQ(WORDS(hv.control), 2);
	KT_EQ(hv.page[0], 0xf3);
	KT_EQ(hv.page[1], 0);
	KT_EQ(hv.page[2], 3);
	KT_EQ(hv.page[3], 1ULL << 38);
	KT_EQ(hv.page[4], 1);
}

/* --- Between the kernel and that --- */

static void
local(pmap_t pmap __unused, vm_offset_t addr1 __unused,
    vm_offset_t addr2 __unused)
{

	KT_CHECK(curthread->td_critnest > 0);
	locals++;
}

/* A shoot-down as pmap makes one, on processor 1 of four. */
static void
shootdown(pmap_t pmap, vm_offset_t addr1, vm_offset_t addr2, u_int op)
{

	locals = 0;
	hv.calls = 0;
	kpi_native_shootdowns = 0;
	input_get();
	sched_pin();
	smp_targeted_tlb_shootdown(pmap, addr1, addr2, local,
	    (enum invl_op_codes)op);
	input_put();
	KT_EQ(locals, 1);
	KT_EQ(curthread->td_pinned, 0);
	KT_EQ(curthread->td_critnest, 0);
}

static void
hook(void)
{

	number_down(4, 3);
	sched_bind(curthread, 1);
	KT_EQ(test_md_hooks(), HYPERV_SMP_TLB | HYPERV_SMP_IPI);
	test_md_hook(HYPERV_SMP_TLB | HYPERV_SMP_IPI);
}

static void
unhook(void)
{

	test_md_unhook();
	sched_unbind(curthread);
	KT_CHECK(smp_targeted_tlb_shootdown ==
	    smp_targeted_tlb_shootdown_native);
}

KTEST(smp_shootdown, "others by one call, this processor by itself, once each")
{
	struct pmap user;

	hook();
	memset(&user, 0, sizeof(user));
	CPU_SET(1, &user.pm_active);
	CPU_SET(2, &user.pm_active);
	shootdown(&user, 0x5123, 0, INVL_OP_PG);
	KT_EQ(hv.calls, 1);
	KT_EQ(kpi_native_shootdowns, 0);
	KT_EQ(hv.page[2], 1ULL << vps[2]);
	KT_EQ(hv.page[3], 0x5000);
	/* As a promoted mapping's: the end is its last byte. */
	shootdown(&user, 0x200000, 0x3fffff, INVL_OP_PGRNG_INVPCID);
	KT_EQ(hv.page[3], 0x200000 | 511);
	shootdown(&user, 0, 0, INVL_OP_TLB_PCID);
	KT_EQ(CODE(hv.control), 2);
	KT_EQ(hv.page[1], 2 | 4);
	/* The kernel's, on all there are: no set, and global ones too. */
	CPU_FILL(&kernel_pmap->pm_active);
	shootdown(kernel_pmap, 0, 0, INVL_OP_TLB_INVPCID);
	KT_EQ(hv.page[1], 1 | 2);
	/* One that is not there is nobody. */
	CPU_SET(4, &user.pm_active);
	shootdown(&user, 0x5000, 0, INVL_OP_PG);
	KT_EQ(hv.page[2], 1ULL << vps[2]);
	unhook();
}

KTEST(smp_shootdown_alone, "nobody else has the tables: no call is made")
{
	struct pmap user;

	hook();
	memset(&user, 0, sizeof(user));
	shootdown(&user, 0x5000, 0, INVL_OP_PG);
	CPU_SET(1, &user.pm_active);
	shootdown(&user, 0x5000, 0, INVL_OP_PG);
	KT_EQ(hv.calls, 0);
	KT_EQ(kpi_native_shootdowns, 1);
	unhook();
}

KTEST(smp_shootdown_native, "what the host does not do, the kernel does, once")
{
	struct pmap user;

	hook();
	memset(&user, 0, sizeof(user));
	CPU_SET(0, &user.pm_active);
	hv.answer = 2;
	shootdown(&user, 0x5000, 0, INVL_OP_PG);
	KT_EQ(hv.calls, 1);
	KT_EQ(kpi_native_shootdowns, 1);
	hv.answer = 0;
	hv.no_reps = true;
	shootdown(&user, 0x5000, 0x9000, INVL_OP_PGRNG);
	KT_EQ(hv.calls, 1);
	KT_EQ(kpi_native_shootdowns, 1);
	hv.no_reps = false;
	/* Caches, whatever a kernel adds, and while calls are forbidden. */
	shootdown(&user, 0, 0, INVL_OP_CACHE);
	KT_EQ(hv.calls, 0);
	KT_EQ(kpi_native_shootdowns, 1);
	shootdown(&user, 0, 0, INVL_OP_CACHE + 1);
	KT_EQ(hv.calls, 0);
	shootdown(&user, 0, 0, 0);
	KT_EQ(hv.calls, 0);
	forbidden = true;
	shootdown(&user, 0x5000, 0, INVL_OP_PG);
	KT_EQ(hv.calls, 0);
	KT_EQ(kpi_native_shootdowns, 1);
	forbidden = false;
	kdb_active = 1;
	shootdown(&user, 0x5000, 0, INVL_OP_PG);
	KT_EQ(hv.calls, 0);
	KT_EQ(kpi_native_shootdowns, 1);
	kdb_active = 0;
	unhook();
}

KTEST(smp_ipi_hook, "IPIs to one and to the others; NMIs are the APIC's")
{

	hook();
	ipi_vectored(0x80, 3);
	KT_EQ(hv.in[1], 1ULL << vps[3]);
	ipi_vectored(0x80, APIC_IPI_DEST_OTHERS);
	KT_EQ(hv.in[1], 0xf & ~(1ULL << vps[1]));
	KT_EQ(hv.calls, 2);
	KT_EQ(kpi_native_ipis, 0);
	ipi_vectored(IPI_NMI_FIRST, 3);
	ipi_vectored(0x80, MAXCPU);
	hv.calls = 0;
	ipi_vectored(0x80, APIC_IPI_DEST_SELF);
	KT_EQ(hv.calls, 0);
	hv.answer = 6;
	ipi_vectored(0x80, 0);
	KT_EQ(hv.calls, 1);
	KT_EQ(kpi_native_ipis, 4);
	unhook();
}

KTEST(smp_ipi_x2apic, "an x2APIC sends all but sets itself, by one exit too")
{
	cpuset_t to;

	x2apic_mode = 1;
	number_down(4, 3);
	sched_bind(curthread, 1);
	KT_EQ(test_md_hooks(), HYPERV_SMP_TLB);
	/* As where the kernel has a pointer for sets. */
	test_md_hook(HYPERV_SMP_TLB | HYPERV_SMP_IPI);
	ipi_vectored(0x80, 3);
	ipi_vectored(0x80, APIC_IPI_DEST_OTHERS);
	CPU_SETOF(3, &to);
	KT_CHECK(!hyperv_hook_ipi_set(&to, 0x80));
	KT_EQ(hv.calls, 0);
	KT_EQ(kpi_native_ipis, 2);
	CPU_SET(0, &to);
	KT_CHECK(hyperv_hook_ipi_set(&to, 0x80));
	KT_EQ(hv.calls, 1);
	KT_EQ(hv.in[1], 1ULL << vps[3] | 1ULL << vps[0]);
	hv.calls = 0;
	unhook();
	ipi_vectored(0x80, 3);
	KT_EQ(hv.calls, 0);
	KT_EQ(kpi_native_ipis, 3);
	x2apic_mode = 0;
}
