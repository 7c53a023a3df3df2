/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Shoot-downs and IPIs of the kernel, as the host gets them: whom it is told,
 * and who does it when it is not asked.
 */

#include <stdlib.h>
#include <string.h>

#include "join.h"
#include "smp_kernel.h"

#define	CPUS	4
#define	ROUNDS	20
#define	WAIT_MS	30000

static void
start(struct join *j, const char *const *kenv, uint32_t hidden)
{
	struct join_config cf = {
		.vm = { .cpus = CPUS, .kenv = kenv,
		    .shown = { .hidden = hidden } },
	};

	join_start(j, &cf);
}

static uint64_t
flushes_at(struct join *j, uint32_t vp)
{
	struct hvh_vp_stats vs;

	hvh_get_vp_stats(j->host, vp, &vs);
	return (vs.flushes);
}

/* Of processor 0, on an address space of some: who did it. */
static struct ktest_smp
shoot(unsigned used, unsigned long addr1, unsigned long addr2)
{
	struct ktest_smp ks;

	ktest_smp_shootdown(&ks, 0, used, addr1, addr2);
	ATF_CHECK_EQ_MSG(1, ks.locals, "%u times here", ks.locals);
	return (ks);
}

ATF_TC(flush);
ATF_TC_HEAD(flush, tc)
{
	atf_tc_set_md_var(tc, "descr", "one call flushes who uses the address "
	    "space, nobody else, and the caller does so itself");
}
ATF_TC_BODY(flush, tc)
{
	uint64_t before[CPUS];
	struct hvh_stats st0, st1;
	struct join j;

	start(&j, NULL, 0);
	for (unsigned i = 0; i < CPUS; i++)
		before[i] = flushes_at(&j, i);
	hvh_get_stats(j.host, &st0);
	ATF_CHECK_EQ(0, shoot(0xb, 0x1000, 0x4000).natives);
	hvh_get_stats(j.host, &st1);
	ATF_CHECK_EQ(1, st1.flushes - st0.flushes);
	ATF_CHECK_EQ(1, st1.flush_ranges - st0.flush_ranges);
	for (unsigned i = 0; i < CPUS; i++)
		ATF_CHECK_EQ_MSG(i == 1 || i == 3 ? 1 : 0,
		    flushes_at(&j, i) - before[i], "VP %u", i);
	ATF_CHECK_EQ(0, shoot(0xf, 0, 0).natives);
	ATF_CHECK_EQ(1, flushes_at(&j, 2) - before[2]);
	ATF_CHECK_EQ(2, join_sysctl("dev.vmbus.0.tlb_flushes"));
	ATF_CHECK_EQ(0, join_sysctl("dev.vmbus.0.tlb_fallbacks"));
	join_finish(&j);
}

ATF_TC(ipi);
ATF_TC_HEAD(ipi, tc)
{
	atf_tc_set_md_var(tc, "descr", "an IPI comes to the processors it is "
	    "meant for");
}
ATF_TC_BODY(ipi, tc)
{
	struct ktest_smp ks;
	struct join j;

	start(&j, NULL, 0);
	ATF_CHECK_EQ(0x6, ktest_smp_ipi(&ks, 0, 0x6));
	ATF_CHECK_EQ(0, ks.natives);
	ATF_CHECK_EQ(2, join_sysctl("dev.vmbus.0.ipis"));
	join_finish(&j);
}

/* Nothing of it goes to the host, and all is done. */
static void
check_native(const char *const *kenv, uint32_t hidden)
{
	struct hvh_stats st;
	struct ktest_smp ks;
	struct join j;

	start(&j, kenv, hidden);
	ATF_CHECK_EQ(1, shoot(0xf, 0x1000, 0x2000).natives);
	ATF_CHECK_EQ(0x6, ktest_smp_ipi(&ks, 0, 0x6));
	ATF_CHECK_EQ(2, ks.natives);
	hvh_get_stats(j.host, &st);
	ATF_CHECK_EQ(0, st.flushes);
	ATF_CHECK_EQ(0, st.ipis);
	join_finish(&j);
}

ATF_TC(tunable);
ATF_TC_HEAD(tunable, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.vmbus.tlb_hcall and ipi_hcall leave "
	    "it to the kernel");
}
ATF_TC_BODY(tunable, tc)
{
	static const char *const kenv[] = {
		"hw.vmbus.tlb_hcall=0", "hw.vmbus.ipi_hcall=0", NULL,
	};

	check_native(kenv, 0);
}

ATF_TC(unwanted);
ATF_TC_HEAD(unwanted, tc)
{
	atf_tc_set_md_var(tc, "descr", "so does a host that does not "
	    "recommend it");
}
ATF_TC_BODY(unwanted, tc)
{

	check_native(NULL, HVH_FEAT_BIT(HVH_FEAT_TLBFLUSH) |
	    HVH_FEAT_BIT(HVH_FEAT_IPI));
}

ATF_TC(sleep);
ATF_TC_HEAD(sleep, tc)
{
	atf_tc_set_md_var(tc, "descr", "while the machine sleeps there is no "
	    "hypercall, and afterwards there is again");
}
ATF_TC_BODY(sleep, tc)
{
	struct join j;

	start(&j, NULL, 0);
	ATF_CHECK_EQ(0, shoot(0xf, 0x1000, 0x2000).natives);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	ATF_CHECK_EQ(1, shoot(0xf, 0x1000, 0x2000).natives);
	ATF_REQUIRE_EQ(0, kpi_resume());
	ATF_CHECK_EQ(0, shoot(0xf, 0x1000, 0x2000).natives);
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_CHECK_EQ(1, shoot(0xf, 0x1000, 0x2000).natives);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 30000));
	ATF_CHECK_EQ(0, shoot(0xf, 0x1000, 0x2000).natives);
	join_finish(&j);
}

/* More of them than so many have gone to the host. */
static bool
flushed(void *arg)
{
	struct hvh_stats st;

	hvh_get_stats(vm_host(), &st);
	return (st.flushes > *(uint64_t *)arg);
}

static bool
stormed(void *arg)
{

	return (ktest_smp_storms() > *(unsigned *)arg);
}

ATF_TC(storm);
ATF_TC_HEAD(storm, tc)
{
	atf_tc_set_md_var(tc, "descr", "the drivers come and go while all "
	    "processors make shoot-downs");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(storm, tc)
{
	unsigned last, rounds = getenv("TSAN_OPTIONS") != NULL ? 3 : ROUNDS;
	struct hvh_stats st;
	struct join j;

	start(&j, NULL, 0);
	ATF_REQUIRE_EQ(0, ktest_smp_storm(1));
	for (unsigned i = 0; i < rounds; i++) {
		hvh_get_stats(j.host, &st);
		ATF_CHECK(join_wait(flushed, &st.flushes, WAIT_MS));
		ATF_REQUIRE_EQ(0, vm_unload());
		last = ktest_smp_storms();
		ATF_CHECK(join_wait(stormed, &last, WAIT_MS));
		ATF_REQUIRE_EQ(0, vm_load());
		ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 30000));
	}
	ATF_REQUIRE_EQ(0, ktest_smp_storm(0));
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, flush);
	ATF_TP_ADD_TC(tp, ipi);
	ATF_TP_ADD_TC(tp, tunable);
	ATF_TP_ADD_TC(tp, unwanted);
	ATF_TP_ADD_TC(tp, sleep);
	ATF_TP_ADD_TC(tp, storm);
	return (atf_no_error());
}
