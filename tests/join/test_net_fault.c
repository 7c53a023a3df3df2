/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network adapters that attach while each resource in turn is refused, and each
 * answer of the host in turn does not come: nothing is left behind, and the
 * next time they work.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"

#define	MSG_GPADL_TORNDOWN	12	/* protocol: vmbus, 2.1 */

/* Few descriptors: each is a point of failure. */
static const char *const kenv[] = { "hw.hn.tx_desc_cnt=32", NULL };

static const struct join_config config = {
	.vm = { .cpus = 2, .kenv = kenv }, .no_disks = true, .nets = 1,
	.no_load = true, .fast_clock = true,
};

static kpi_u64 baseline;

static void
start(struct join *j)
{

	join_start(j, &config);
	/*
	 * Once for what the kernel keeps for good: types, and the classes of
	 * drivers that look at the adapter while it has none.
	 */
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_vmbus"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_utils"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_keyboard"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_storvsc"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_netvsc"));
	ATF_REQUIRE_EQ(0, kpi_net_wait("hn0", 20000));
	ATF_REQUIRE_EQ(0, vm_unload());
	baseline = join_settled();
}

static void
finish(struct join *j)
{

	hvh_fault_clear(j->host);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_net_wait("hn0", 20000));
	ATF_REQUIRE_EQ(0, join_unload(baseline));
	ATF_REQUIRE_EQ(0, vm_load());
	join_finish(j);
}

/* The n-th resource of one kind is refused, for every n there is. */
static void
check_nth(enum kpi_fail kind, unsigned least)
{
	struct join j;
	unsigned n;
	bool hit;

	start(&j);
	for (n = 1;; n++) {
		kpi_fail_nth(kind, n);
		(void)vm_load();
		(void)kpi_net_wait("hn0", 300);
		hit = kpi_fail_hit(kind);
		kpi_fail_nth(kind, 0);
		ATF_REQUIRE_EQ(0, join_unload(baseline));
		if (!hit)
			break;
	}
	printf("%u points of failure\n", n - 1);
	ATF_CHECK_MSG(n - 1 >= least, "only %u points of failure", n - 1);
	finish(&j);
}

/* The n-th packet or message to the guest is lost, for every n there is. */
static void
check_lost(enum hvh_fault_point point, unsigned least)
{
	struct join j;
	uint64_t before;
	unsigned n;

	start(&j);
	for (n = 0;; n++) {
		before = hvh_fault_count(j.host, point);
		join_fault(&j, point, HVH_FAULT_DROP, HVH_FAULT_ANY, n, 1, 0);
		ATF_REQUIRE_EQ(0, vm_load());
		(void)kpi_net_wait("hn0", 600);
		ATF_REQUIRE_EQ(0, join_unload(baseline));
		hvh_fault_clear(j.host);
		if (hvh_fault_count(j.host, point) == before)
			break;
	}
	printf("%u points of failure\n", n);
	ATF_CHECK_MSG(n >= least, "only %u points of failure", n);
	finish(&j);
}

#define	FAULT_CASE(name, text, call)					\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", text);			\
		atf_tc_set_md_var(tc, "timeout", "300");		\
	}								\
	ATF_TC_BODY(name, tc)						\
	{								\
		call;							\
	}

FAULT_CASE(nth_malloc, "the n-th allocation fails, n = 1, 2, 3 ... until "
    "attach succeeds", check_nth(KPI_FAIL_MALLOC, 3))
FAULT_CASE(nth_busdma, "the n-th DMA tag or map fails",
    check_nth(KPI_FAIL_BUSDMA, 66))
FAULT_CASE(nth_thread, "the n-th thread cannot be created",
    check_nth(KPI_FAIL_THREAD, 2))
FAULT_CASE(lost_packet, "the n-th packet of the host is lost",
    check_lost(HVH_FAULT_PKT_OUT, 20))
FAULT_CASE(lost_rndis, "the n-th RNDIS message of the host is lost",
    check_lost(HVH_FAULT_RNDIS_OUT, 8))

static unsigned hn_kept, else_kept;

static void
count_kept(void *arg, const char *line)
{
	unsigned bytes;

	if (sscanf(line, "leak: malloc type hn: %u bytes", &bytes) == 1)
		hn_kept = bytes;
	else if (strncmp(line, "leak: malloc type vmbus", 23) != 0 &&
	    strncmp(line, "leak: ", 6) == 0) {
		printf("%s\n", line);
		else_kept++;
	}
}

ATF_TC(buffers_kept);
ATF_TC_HEAD(buffers_kept, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that does not give the buffers "
	    "back: they are counted and never used again");
}
ATF_TC_BODY(buffers_kept, tc)
{
	struct join_config cf = config;
	struct kpi_net *n;
	struct join j;

	cf.no_load = false;
	cf.vm.console = count_kept;
	join_start(&j, &cf);
	n = join_hn_open("hn0", NULL, NULL);
	join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, MSG_GPADL_TORNDOWN,
	    0, 4, 0);
	(void)kpi_net_mtu(n, 4000);
	ATF_CHECK(join_sysctl("dev.hn.0.lost_bytes") >= 31 << 20);
	kpi_net_close(n);
	(void)join_end(&j);
	ATF_CHECK(hn_kept >= 31 << 20);
	ATF_CHECK_EQ(0, else_kept);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, nth_malloc);
	ATF_TP_ADD_TC(tp, nth_busdma);
	ATF_TP_ADD_TC(tp, nth_thread);
	ATF_TP_ADD_TC(tp, lost_packet);
	ATF_TP_ADD_TC(tp, lost_rndis);
	ATF_TP_ADD_TC(tp, buffers_kept);
	return (atf_no_error());
}
