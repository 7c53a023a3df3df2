/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The runner of the tests inside the kernel: an ATF program whose cases are the
 * KTESTs linked into its kernel.o.  Each case is a process of its own and boots
 * a kernel of its own.
 */

#include <atf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpi.h"
#include "waist.h"

#define	NCPUS		4
/* Model-specific registers that a test can use: they hold a value a CPU. */
#define	TEST_MSR	0x4b500000
#define	TEST_MSRS	16

void	hosted_ktest_fail(const char *file, int line, const char *text,
	    long long a, long long b);

/* A failure inside a test is the test's, a leak at exit is the kernel's. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
	return ("detect_leaks=0:abort_on_error=1");
}

const char *
__ubsan_default_options(void)
{
	return ("halt_on_error=1:print_stacktrace=1");
}

const char *
__tsan_default_options(void)
{
	return ("halt_on_error=1:second_deadlock_stack=1");
}

static const char *expected_panic;
static kpi_u64 msrs[NCPUS][TEST_MSRS];

static void
machine_cpuid(void *arg, unsigned cpu, kpi_u32 leaf, kpi_u32 sub,
    kpi_u32 regs[4])
{
	if (leaf == 1)
		regs[2] &= ~(1U << 31);
	else if (leaf == TEST_MSR) {
		regs[0] = leaf;
		regs[1] = sub;
		regs[2] = cpu;
		regs[3] = ~leaf;
	}
}

static int
machine_rdmsr(void *arg, unsigned cpu, kpi_u32 msr, kpi_u64 *val)
{
	if (msr - TEST_MSR >= TEST_MSRS)
		return (1);
	*val = msrs[cpu][msr - TEST_MSR];
	return (0);
}

static int
machine_wrmsr(void *arg, unsigned cpu, kpi_u32 msr, kpi_u64 val)
{
	if (msr - TEST_MSR >= TEST_MSRS)
		return (1);
	msrs[cpu][msr - TEST_MSR] = val;
	return (0);
}

static const struct kpi_machine machine = {
	.cpuid = machine_cpuid,
	.rdmsr = machine_rdmsr,
	.wrmsr = machine_wrmsr,
};

void
hosted_ktest_fail(const char *file, int line, const char *text, long long a,
    long long b)
{
	atf_tc_fail("%s:%d: %s (%lld, %lld)", file, line, text, a, b);
}

static void
on_panic(const char *msg)
{
	if (expected_panic == NULL)
		return;
	if (strstr(msg, expected_panic) != NULL)
		atf_tc_pass();
	atf_tc_fail("panic without \"%s\": %s", expected_panic, msg);
}

static unsigned
find_test(const char *ident)
{
	const char *descr, *name, *panic;
	unsigned i;

	for (i = 0; i < kpi_ktest_count(); i++) {
		kpi_ktest_info(i, &name, &descr, &panic);
		if (strcmp(name, ident) == 0)
			return (i);
	}
	abort();
}

static void
head(atf_tc_t *tc)
{
	const char *descr, *name, *panic;

	kpi_ktest_info(find_test(atf_tc_get_ident(tc)), &name, &descr, &panic);
	atf_tc_set_md_var(tc, "descr", "%s", descr);
}

static void
body(const atf_tc_t *tc)
{
	static const char *const modules[] = { "ktmod_user", NULL };
	struct kpi_config cf;
	const char *descr, *env[2] = { NULL, NULL }, *name;
	char chosen[64];
	unsigned i;

	memset(&cf, 0, sizeof(cf));
	i = find_test(atf_tc_get_ident(tc));
	kpi_ktest_info(i, &name, &descr, &expected_panic);
	if (expected_panic != NULL && !kpi_ktest_invariants())
		atf_tc_skip("reports of misuse need -Dinvariants=true");
	cf.ncpus = NCPUS;
	cf.memsize = 256 * 1024 * 1024;
	cf.virtual_clock = strncmp(name, "real_", 5) != 0;
	cf.scatter = strncmp(name, "scatter_", 8) == 0;
	cf.preload = strncmp(name, "preload_", 8) == 0 ? modules : NULL;
	snprintf(chosen, sizeof(chosen), "ktest=%s", name);
	env[0] = chosen;
	cf.kenv = env;
	cf.machine = &machine;
	hosted_panic_hook(on_panic);
	ATF_REQUIRE_EQ(0, kpi_init(&cf, NULL, NULL));
	ATF_REQUIRE_EQ(0, kpi_boot());
	kpi_ktest_run(i);
	kpi_shutdown();
	ATF_REQUIRE_EQ(0, kpi_leaks());
	if (expected_panic != NULL)
		atf_tc_fail("no panic with \"%s\"", expected_panic);
}

ATF_TP_ADD_TCS(tp)
{
	const char *descr, *name, *panic;
	atf_error_t error;
	atf_tc_t *tc;
	unsigned i;

	for (i = 0; i < kpi_ktest_count(); i++) {
		kpi_ktest_info(i, &name, &descr, &panic);
		tc = calloc(1, sizeof(*tc));
		if (tc == NULL)
			return (atf_no_memory_error());
		error = atf_tc_init(tc, name, head, body, NULL,
		    (const char *const *)atf_tp_get_config(tp));
		if (!atf_is_error(error))
			error = atf_tp_add_tc(tp, tc);
		if (atf_is_error(error))
			return (error);
	}
	return (atf_no_error());
}
