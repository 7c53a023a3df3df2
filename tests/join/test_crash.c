/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A panic's report to the host, and what the guest finds out about the
 * partition that it is in.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "join.h"

#define	FREEBSD_OS	0x82		/* top byte of its id */

static struct hvh_crash
crash(struct join *j)
{
	struct hvh_crash hc;

	hvh_get_crash(j->host, &hc);
	return (hc);
}

/* Panics; the bus must let go after it as ever. */
static void
panic_with(struct join *j, uint32_t hidden, const char *setting)
{
	const char *kenv[] = { setting, NULL };
	struct join_config cf = {
		.fast_clock = true, .vm.kenv = kenv, .vm.shown.hidden = hidden,
	};
	struct hvh_stats st;

	join_start(j, &cf);
	join_verify("da0", 0, 1 << 20, 1);
	ATF_CHECK_EQ(0, crash(j).count);
	kpi_halt(1);
	vm_pump();
	hvh_get_stats(j->host, &st);
	ATF_CHECK_EQ(0, st.connected);
	ATF_CHECK_EQ(0, st.gpadls);
}

ATF_TC(message);
ATF_TC_HEAD(message, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host gets the panic's text, whose "
	    "it is and once");
}
ATF_TC_BODY(message, tc)
{
	struct hvh_crash hc;
	struct join j;

	panic_with(&j, 0, NULL);
	hc = crash(&j);
	ATF_CHECK_EQ(1, hc.count);
	ATF_CHECK_EQ(FREEBSD_OS, hc.param[1] >> 56);
	ATF_CHECK_MSG(strncmp(hc.text, "panic: dump\n", 12) == 0, "%s",
	    hc.text);
	ATF_CHECK(strstr(hc.text, "cpuid = ") != NULL);
	ATF_CHECK_EQ(strlen(hc.text), hc.param[4]);
	join_finish(&j);
}

ATF_TC(numbers);
ATF_TC_HEAD(numbers, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that takes no text gets the "
	    "numbers");
}
ATF_TC_BODY(numbers, tc)
{
	struct hvh_crash hc;
	struct join j;

	panic_with(&j, HVH_FEAT_BIT(HVH_FEAT_MESSAGE), NULL);
	hc = crash(&j);
	ATF_CHECK_EQ(1, hc.count);
	ATF_CHECK_EQ(1, hc.param[0]);
	ATF_CHECK_EQ(FREEBSD_OS, hc.param[1] >> 56);
	ATF_CHECK_STREQ("", hc.text);
	join_finish(&j);
}

ATF_TC(none);
ATF_TC_HEAD(none, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host without crash MSRs is not "
	    "asked");
}
ATF_TC_BODY(none, tc)
{
	struct join j;

	panic_with(&j, HVH_FEAT_BIT(HVH_FEAT_CRASH) |
	    HVH_FEAT_BIT(HVH_FEAT_MESSAGE), NULL);
	ATF_CHECK_EQ(0, crash(&j).count);
	join_finish(&j);
}

ATF_TC(tunable);
ATF_TC_HEAD(tunable, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.vmbus.crash=0: nothing is said");
}
ATF_TC_BODY(tunable, tc)
{
	struct join j;

	panic_with(&j, 0, "hw.vmbus.crash=0");
	ATF_CHECK_EQ(0, crash(&j).count);
	join_finish(&j);
}

ATF_TC(halt);
ATF_TC_HEAD(halt, tc)
{
	atf_tc_set_md_var(tc, "descr", "an orderly halt is no crash");
}
ATF_TC_BODY(halt, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;

	join_start(&j, &cf);
	kpi_halt(0);
	ATF_CHECK_EQ(0, crash(&j).count);
	join_finish(&j);
}

/* --- Partitions --- */

static struct {
	const char	*want;
	atomic_uint	 seen;
} lines;

static void
console(void *arg, const char *line)
{

	fprintf(stderr, "%s\n", line);
	if (lines.want != NULL && strstr(line, lines.want) != NULL)
		atomic_fetch_add(&lines.seen, 1);
}

static bool
has_bus(void)
{
	char buf[64];

	return (kpi_sysctl_get("dev.vmbus.0.version", buf, sizeof(buf)) == 0);
}

static void
partition(struct join *j, const struct hvh_shown *hs, const char *setting,
    const char *want)
{
	const char *kenv[] = { setting, NULL };
	struct join_config cf = {
		.no_disks = true, .vm.kenv = kenv, .vm.shown = *hs,
		.vm.console = console,
	};

	lines.want = want;
	atomic_store(&lines.seen, 0);
	join_start(j, &cf);
}

static void
isolated(enum hvh_isolation how, bool paravisor, const char *want)
{
	struct hvh_shown hs = { .isolation = how, .paravisor = paravisor };
	struct join j;

	partition(&j, &hs, NULL, want);
	ATF_CHECK(!has_bus());
	ATF_CHECK_EQ_MSG(1, atomic_load(&lines.seen), "said %u times: %s",
	    atomic_load(&lines.seen), want);
	join_finish(&j);
}

ATF_TC(snp);
ATF_TC_HEAD(snp, tc)
{
	atf_tc_set_md_var(tc, "descr", "no bus in a SEV-SNP partition, said "
	    "once");
}
ATF_TC_BODY(snp, tc)
{

	isolated(HVH_ISOLATION_SNP, false, "isolated partition, SEV-SNP:");
}

ATF_TC(tdx);
ATF_TC_HEAD(tdx, tc)
{
	atf_tc_set_md_var(tc, "descr", "no bus in a TDX partition with a "
	    "paravisor, said once");
}
ATF_TC_BODY(tdx, tc)
{

	isolated(HVH_ISOLATION_TDX, true,
	    "isolated partition, TDX with paravisor:");
}

ATF_TC(vbs);
ATF_TC_HEAD(vbs, tc)
{
	atf_tc_set_md_var(tc, "descr", "no bus in a VBS partition, said once");
}
ATF_TC_BODY(vbs, tc)
{

	isolated(HVH_ISOLATION_VBS, false, "isolated partition, VBS:");
}

ATF_TC(allowed);
ATF_TC_HEAD(allowed, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.vmbus.allow_isolated=1 attaches all "
	    "the same");
}
ATF_TC_BODY(allowed, tc)
{
	struct hvh_shown hs = { .isolation = HVH_ISOLATION_SNP };
	struct join j;

	partition(&j, &hs, "hw.vmbus.allow_isolated=1", "isolated");
	ATF_CHECK(has_bus());
	ATF_CHECK_EQ(0, atomic_load(&lines.seen));
	join_finish(&j);
}

ATF_TC(nested);
ATF_TC_HEAD(nested, tc)
{
	atf_tc_set_md_var(tc, "descr", "hypervisors below are told of, and no "
	    "obstacle");
}
ATF_TC_BODY(nested, tc)
{
	struct hvh_shown hs = { .nesting = 2 };
	struct join j;

	partition(&j, &hs, NULL, "vmbus0: nested, 2 hypervisors below");
	ATF_CHECK(has_bus());
	ATF_CHECK_EQ(1, atomic_load(&lines.seen));
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, message);
	ATF_TP_ADD_TC(tp, numbers);
	ATF_TP_ADD_TC(tp, none);
	ATF_TP_ADD_TC(tp, tunable);
	ATF_TP_ADD_TC(tp, halt);
	ATF_TP_ADD_TC(tp, snp);
	ATF_TP_ADD_TC(tp, tdx);
	ATF_TP_ADD_TC(tp, vbs);
	ATF_TP_ADD_TC(tp, allowed);
	ATF_TP_ADD_TC(tp, nested);
	return (atf_no_error());
}
