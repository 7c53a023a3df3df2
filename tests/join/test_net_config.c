/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What an administrator does with a network interface and what the host does
 * with its adapter: MTU, filters, offloads, link, sleep, removal.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"

/* FreeBSD's errno values. */
#define	FBSD_EINVAL	22
#define	FBSD_EOPNOTSUPP	45
#define	FBSD_ETIMEDOUT	60

/* NDIS packet filter (protocol: netvsc, 5.1). */
#define	DIRECTED	0x01
#define	ALLMULTI	0x04
#define	BROADCAST	0x08
#define	PROMISC		0x20

#define	NVS_INIT_COMPLETE 2
#define	RNDIS_INDICATE	7

struct net {
	struct join	 j;
	struct kpi_net	*n[2];
};

static const struct join_config plain = {
	.vm = { .cpus = 2 }, .no_disks = true, .nets = 2,
};
static const struct join_config timed = {
	.vm = { .cpus = 2 }, .no_disks = true, .nets = 2, .fast_clock = true,
};

static void
start(struct net *t, const struct join_config *cf)
{

	join_start(&t->j, cf);
	t->n[0] = join_hn_open("hn0", NULL, NULL);
	t->n[1] = join_hn_open("hn1", NULL, NULL);
}

static void
finish(struct net *t)
{

	kpi_net_close(t->n[0]);
	kpi_net_close(t->n[1]);
	join_finish(&t->j);
}

static struct hvh_net_stats
stats(struct net *t)
{
	struct hvh_net_stats st;

	vm_pump();
	hvh_net_get_stats(t->j.net[0], &st);
	return (st);
}

static struct kpi_net_info
info(struct net *t)
{
	struct kpi_net_info in;

	ATF_REQUIRE_EQ(0, kpi_net_info(t->n[0], &in));
	return (in);
}

ATF_TC(mtu);
ATF_TC_HEAD(mtu, tc)
{
	atf_tc_set_md_var(tc, "descr", "another MTU, in place: the host knows "
	    "it, frames of that size pass");
}
ATF_TC_BODY(mtu, tc)
{
	struct net t;

	start(&t, &plain);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(t.n[0], 9000));
	ATF_REQUIRE_EQ(0, kpi_net_mtu(t.n[1], 9000));
	ATF_CHECK_EQ(9000, info(&t).mtu);
	ATF_CHECK_EQ(9000, stats(&t).mtu);
	ATF_CHECK_EQ(1, join_sysctl("dev.hn.0.reattaches"));
	ATF_CHECK_EQ(DIRECTED | BROADCAST, stats(&t).filter);
	join_hn_pass(t.n[0], t.n[1], 9014, 1);
	join_hn_pass(t.n[1], t.n[0], 5000, 2);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(t.n[0], 1500));
	ATF_CHECK_EQ(1500, stats(&t).mtu);
	join_hn_pass(t.n[0], t.n[1], 1514, 3);
	finish(&t);
}

ATF_TC(mtu_host);
ATF_TC_HEAD(mtu_host, tc)
{
	atf_tc_set_md_var(tc, "descr", "an MTU that the host does not have: "
	    "as much as it has");
}
ATF_TC_BODY(mtu_host, tc)
{
	struct join_config cf = plain;
	struct net t;

	cf.net.max_mtu = 2000;
	start(&t, &cf);
	(void)kpi_net_mtu(t.n[0], 9000);
	ATF_CHECK(info(&t).mtu <= 2000);
	ATF_CHECK_EQ(info(&t).mtu, stats(&t).mtu);
	join_hn_pass(t.n[0], t.n[1], 1514, 3);
	finish(&t);
}

ATF_TC(mtu_small);
ATF_TC_HEAD(mtu_small, tc)
{
	atf_tc_set_md_var(tc, "descr", "the smallest MTU there is; what others "
	    "send may be larger");
}
ATF_TC_BODY(mtu_small, tc)
{
	struct net t;

	start(&t, &plain);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(t.n[0], 72));
	ATF_CHECK_EQ(72, info(&t).mtu);
	join_hn_pass(t.n[0], t.n[1], 86, 1);
	join_hn_pass(t.n[1], t.n[0], 1514, 2);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(t.n[0], 1500));
	join_hn_pass(t.n[0], t.n[1], 1514, 3);
	finish(&t);
}

ATF_TC(mtu_invalid);
ATF_TC_HEAD(mtu_invalid, tc)
{
	atf_tc_set_md_var(tc, "descr", "MTUs that make no sense, and any by "
	    "the oldest protocol, are refused");
}
ATF_TC_BODY(mtu_invalid, tc)
{
	struct join_config cf = plain;
	struct net t;

	cf.net.max_version = 2;
	start(&t, &cf);
	ATF_CHECK_EQ(FBSD_EINVAL, kpi_net_mtu(t.n[0], 60));
	ATF_CHECK_EQ(FBSD_EINVAL, kpi_net_mtu(t.n[0], 70000));
	ATF_CHECK_EQ(FBSD_EOPNOTSUPP, kpi_net_mtu(t.n[0], 4000));
	ATF_CHECK_EQ(1500, info(&t).mtu);
	ATF_CHECK_EQ(0, join_sysctl("dev.hn.0.reattaches"));
	join_hn_pass(t.n[0], t.n[1], 1514, 3);
	finish(&t);
}

ATF_TC(mtu_fails);
ATF_TC_HEAD(mtu_fails, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host does not answer while the MTU "
	    "changes: the old one is still there");
}
ATF_TC_BODY(mtu_fails, tc)
{
	struct net t;

	start(&t, &timed);
	join_fault(&t.j, HVH_FAULT_PKT_OUT, HVH_FAULT_DROP, NVS_INIT_COMPLETE,
	    0, 1, 0);
	ATF_CHECK_EQ(FBSD_ETIMEDOUT, kpi_net_mtu(t.n[0], 9000));
	ATF_CHECK_EQ(1500, info(&t).mtu);
	join_hn_pass(t.n[0], t.n[1], 1514, 4);
	join_hn_pass(t.n[1], t.n[0], 1514, 5);
	finish(&t);
}

ATF_TC(mtu_dead);
ATF_TC_HEAD(mtu_dead, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host does not answer for long: the "
	    "link is down, but another try brings it back");
}
ATF_TC_BODY(mtu_dead, tc)
{
	struct net t;

	start(&t, &timed);
	join_fault(&t.j, HVH_FAULT_PKT_OUT, HVH_FAULT_DROP, NVS_INIT_COMPLETE,
	    0, 2, 0);
	ATF_CHECK_EQ(FBSD_ETIMEDOUT, kpi_net_mtu(t.n[0], 9000));
	ATF_CHECK_EQ(1, info(&t).link);
	ATF_CHECK_EQ(0, kpi_net_mtu(t.n[0], 9000));
	ATF_CHECK_EQ(2, info(&t).link);
	join_hn_pass(t.n[0], t.n[1], 1514, 4);
	finish(&t);
}

struct wanted {
	struct net	*t;
	uint32_t	 filter;
};

static bool
has_filter(void *arg)
{
	struct wanted *w = arg;

	return (stats(w->t).filter == w->filter);
}

static void
check_filter(struct net *t, uint32_t filter)
{
	struct wanted w = { t, filter };

	ATF_CHECK_MSG(join_wait(has_filter, &w, 10000), "filter %#x, not %#x",
	    stats(t).filter, filter);
}

ATF_TC(filter);
ATF_TC_HEAD(filter, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host lets through what the "
	    "interface asks for, and nothing when it is down");
}
ATF_TC_BODY(filter, tc)
{
	static const unsigned char group[6] = { 1, 0, 0x5e, 0, 0, 5 };
	struct net t;

	start(&t, &plain);
	check_filter(&t, DIRECTED | BROADCAST);
	ATF_CHECK_EQ(0, kpi_net_promisc(t.n[0], 1));
	check_filter(&t, PROMISC);
	ATF_CHECK_EQ(0, kpi_net_promisc(t.n[0], 0));
	check_filter(&t, DIRECTED | BROADCAST);
	ATF_CHECK_EQ(0, kpi_net_multicast(t.n[0], group, 1));
	check_filter(&t, DIRECTED | BROADCAST | ALLMULTI);
	ATF_CHECK_EQ(0, kpi_net_multicast(t.n[0], group, 0));
	check_filter(&t, DIRECTED | BROADCAST);
	ATF_CHECK_EQ(0, kpi_net_allmulti(t.n[0], 1));
	check_filter(&t, DIRECTED | BROADCAST | ALLMULTI);
	/* It survives a new session. */
	ATF_CHECK_EQ(0, kpi_net_mtu(t.n[0], 4000));
	check_filter(&t, DIRECTED | BROADCAST | ALLMULTI);
	ATF_CHECK_EQ(0, kpi_net_allmulti(t.n[0], 0));
	check_filter(&t, DIRECTED | BROADCAST);
	ATF_CHECK_EQ(0, kpi_net_up(t.n[0], 0));
	check_filter(&t, 0);
	ATF_CHECK_EQ(0, kpi_net_mtu(t.n[0], 1500));
	check_filter(&t, 0);
	ATF_CHECK_EQ(0, kpi_net_up(t.n[0], 1));
	check_filter(&t, DIRECTED | BROADCAST);
	join_hn_pass(t.n[0], t.n[1], 1514, 5);
	finish(&t);
}

ATF_TC(capabilities);
ATF_TC_HEAD(capabilities, tc)
{
	atf_tc_set_md_var(tc, "descr", "offloads are what the host has, and "
	    "can be switched off");
}
ATF_TC_BODY(capabilities, tc)
{
	const unsigned all = KPI_NETCAP_RXCSUM | KPI_NETCAP_TXCSUM |
	    KPI_NETCAP_VLAN_MTU | KPI_NETCAP_VLAN_TAGGING |
	    KPI_NETCAP_JUMBO | KPI_NETCAP_TSO4 | KPI_NETCAP_TSO6 |
	    KPI_NETCAP_LRO | KPI_NETCAP_LINKSTATE | KPI_NETCAP_RXCSUM6 |
	    KPI_NETCAP_TXCSUM6;
	struct kpi_net_info in;
	struct net t;

	start(&t, &plain);
	in = info(&t);
	ATF_CHECK_EQ(all, in.caps & all);
	ATF_CHECK_EQ(all, in.capenable & all);
	ATF_CHECK(in.hwassist != 0);
	ATF_CHECK(in.tsomax > 50000 && in.tsomax <= 65535 - 18);
	ATF_CHECK_EQ(31, in.tsomaxsegcount);
	ATF_CHECK_EQ(10000000000, in.baudrate);
	/* Segmentation goes with its checksum. */
	ATF_CHECK_EQ(0, kpi_net_caps(t.n[0], in.capenable &
	    ~KPI_NETCAP_TXCSUM));
	ATF_CHECK_EQ(0, info(&t).capenable & KPI_NETCAP_TSO4);
	ATF_CHECK(info(&t).hwassist != 0);
	ATF_CHECK_EQ(0, kpi_net_caps(t.n[0], 0));
	ATF_CHECK_EQ(0, info(&t).hwassist);
	/* And stays off in a new session. */
	ATF_CHECK_EQ(0, kpi_net_mtu(t.n[0], 4000));
	ATF_CHECK_EQ(0, info(&t).hwassist);
	ATF_CHECK_EQ(0, info(&t).capenable & all);
	ATF_CHECK_EQ(0, kpi_net_caps(t.n[0], in.capenable));
	ATF_CHECK_EQ(in.hwassist, info(&t).hwassist);
	finish(&t);
}

/* Changes of the link that the stack was told of, and the last. */
static atomic_uint link_changes;
static atomic_int link_last;

static void
link_told(void *arg, int state)
{

	atomic_fetch_add(&link_changes, 1);
	atomic_store(&link_last, state);
}

static const struct kpi_net_ops link_ops = { .link = link_told };

static bool
link_is(void *arg)
{

	return (atomic_load(&link_last) == *(int *)arg);
}

static void
check_link(int state)
{

	ATF_CHECK_MSG(join_wait(link_is, &state, 20000), "link is %d, not %d",
	    atomic_load(&link_last), state);
}

static void
start_link(struct net *t)
{

	join_start(&t->j, &timed);
	t->n[0] = join_hn_open("hn0", &link_ops, NULL);
	t->n[1] = join_hn_open("hn1", NULL, NULL);
}

ATF_TC(link);
ATF_TC_HEAD(link, tc)
{
	atf_tc_set_md_var(tc, "descr", "the cable is pulled out and put back");
}
ATF_TC_BODY(link, tc)
{
	struct net t;

	start_link(&t);
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], false));
	check_link(1);
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], true));
	check_link(2);
	join_hn_pass(t.n[1], t.n[0], 200, 1);
	finish(&t);
}

ATF_TC(link_storm);
ATF_TC_HEAD(link_storm, tc)
{
	atf_tc_set_md_var(tc, "descr", "a link that flaps a thousand times: "
	    "few changes, and the last one counts");
}
ATF_TC_BODY(link_storm, tc)
{
	kpi_u64 began;
	struct net t;
	unsigned i;

	start_link(&t);
	began = kpi_clock_now();
	for (i = 0; i < 1000; i++) {
		ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], i % 2));
		if (i % 50 == 0)
			vm_pump();
	}
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], false));
	check_link(1);
	/* Ten a second. */
	ATF_CHECK(atomic_load(&link_changes) <= 20 + (kpi_clock_now() -
	    began) / 100000000);
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], true));
	check_link(2);
	finish(&t);
}

ATF_TC(network_change);
ATF_TC_HEAD(network_change, tc)
{
	atf_tc_set_md_var(tc, "descr", "another network on the same cable: "
	    "the link is down for five seconds");
}
ATF_TC_BODY(network_change, tc)
{
	struct hvh_fault f = {
		.point = HVH_FAULT_RNDIS_OUT, .action = HVH_FAULT_CORRUPT,
		.key = RNDIS_INDICATE, .offset = 8, .len = 4,
		.arg = 0x40010018,
	};
	kpi_u64 begin;
	struct net t;

	start_link(&t);
	ATF_REQUIRE_EQ(0, hvh_fault_add(t.j.host, &f));
	begin = kpi_clock_now();
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], false));
	check_link(1);
	hvh_fault_clear(t.j.host);
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], true));
	check_link(2);
	ATF_CHECK(kpi_clock_now() - begin >= 4900000000);
	finish(&t);
}

static bool
has_bad(void *arg)
{

	return (join_sysctl("dev.hn.0.bad_messages") == *(unsigned *)arg);
}

static void
check_indication(enum hvh_fault_action action, uint32_t offset, uint64_t arg,
    unsigned bad)
{
	struct hvh_fault f = {
		.point = HVH_FAULT_RNDIS_OUT, .action = action,
		.key = RNDIS_INDICATE, .times = 1, .offset = offset, .len = 4,
		.arg = arg,
	};
	struct net t;

	start_link(&t);
	ATF_REQUIRE_EQ(0, hvh_fault_add(t.j.host, &f));
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], false));
	while (hvh_fault_count(t.j.host, HVH_FAULT_RNDIS_OUT) == 0)
		usleep(1000);
	ATF_REQUIRE_EQ(0, hvh_net_link(t.j.net[0], true));
	join_hn_pass(t.n[0], t.n[1], 200, 1);
	ATF_CHECK(join_wait(has_bad, &bad, 10000));
	finish(&t);
}

#define	INDICATION_CASE(name, descr, action, offset, arg, bad)		\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", descr);			\
	}								\
	ATF_TC_BODY(name, tc)						\
	{								\
		check_indication(action, offset, arg, bad);		\
	}

INDICATION_CASE(indicate_unknown, "an indication nobody knows",
    HVH_FAULT_CORRUPT, 8, 0x40999999, 0)
INDICATION_CASE(indicate_type, "a message of no kind", HVH_FAULT_CORRUPT, 0,
    0x777, 1)
INDICATION_CASE(indicate_length, "an indication longer than its message",
    HVH_FAULT_CORRUPT, 4, 0xfffffff0, 1)
INDICATION_CASE(indicate_offset, "an indication with data far outside",
    HVH_FAULT_CORRUPT, 12, 0x00001000, 0)
INDICATION_CASE(indicate_short, "an indication of eight bytes",
    HVH_FAULT_TRUNCATE, 0, 8, 1)

ATF_TC(sleep);
ATF_TC_HEAD(sleep, tc)
{
	atf_tc_set_md_var(tc, "descr", "suspend and resume, ten times; frames "
	    "pass in between");
}
ATF_TC_BODY(sleep, tc)
{
	struct net t;
	unsigned i;

	start(&t, &plain);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(t.n[0], 4000));
	for (i = 0; i < 10; i++) {
		ATF_REQUIRE_EQ(0, kpi_suspend());
		kpi_resume();
		join_hn_pass(t.n[0], t.n[1], 1000 + i, i);
		join_hn_pass(t.n[1], t.n[0], 1000 + i, i);
	}
	ATF_CHECK_EQ(4000, info(&t).mtu);
	ATF_CHECK_EQ(4000, stats(&t).mtu);
	finish(&t);
}

ATF_TC(polling);
ATF_TC_HEAD(polling, tc)
{
	atf_tc_set_md_var(tc, "descr", "frames pass without an interrupt, also "
	    "in a new session, and with interrupts again");
}
ATF_TC_BODY(polling, tc)
{
	struct hvh_stats before, st;
	struct net t;
	unsigned i;

	start(&t, &plain);
	ATF_CHECK_EQ(FBSD_EINVAL, kpi_sysctl_set("dev.hn.0.polling", "99"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.0.polling", "2000"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.1.polling", "2000"));
	ATF_REQUIRE_EQ(0, kpi_net_mtu(t.n[0], 4000));
	usleep(100000);
	hvh_get_stats(t.j.host, &before);
	for (i = 0; i < 20; i++) {
		join_hn_pass(t.n[0], t.n[1], 100 + i, i);
		join_hn_pass(t.n[1], t.n[0], 100 + i, i);
	}
	hvh_get_stats(t.j.host, &st);
	ATF_CHECK_EQ(before.interrupts, st.interrupts);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.0.polling", "0"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.1.polling", "0"));
	join_hn_pass(t.n[0], t.n[1], 1000, 1);
	join_hn_pass(t.n[1], t.n[0], 1000, 2);
	hvh_get_stats(t.j.host, &st);
	ATF_CHECK(st.interrupts > before.interrupts);
	finish(&t);
}

static bool
hn_gone(void *name)
{

	return (kpi_net_wait(name, 1) != 0);
}

ATF_TC(remove);
ATF_TC_HEAD(remove, tc)
{
	atf_tc_set_md_var(tc, "descr", "an adapter is taken away and comes "
	    "back");
}
ATF_TC_BODY(remove, tc)
{
	char name[] = "hn0";
	struct net t;
	unsigned i;

	start(&t, &plain);
	for (i = 0; i < 5; i++) {
		hvh_net_remove(t.j.net[0]);
		ATF_REQUIRE(join_wait(hn_gone, name, 20000));
		kpi_net_close(t.n[0]);
		join_hn_add(&t.j, 0, &plain.net);
		ATF_REQUIRE_EQ(0, kpi_net_wait(name, 20000));
		t.n[0] = join_hn_open(name, NULL, NULL);
	}
	finish(&t);
}

/* The host takes the adapter away as it gets the n-th packet. */
static void
check_rescind(bool change)
{
	struct join_config cf = timed;
	struct kpi_net *n;
	struct join j;
	uint64_t struck, before;
	unsigned skip;

	cf.nets = 1;
	cf.no_load = true;
	join_start(&j, &cf);
	hvh_net_remove(j.net[0]);
	before = 0;
	for (skip = 0; skip < 100; skip++) {
		join_hn_add(&j, 0, &cf.net);
		if (change) {
			ATF_REQUIRE_EQ(0, vm_load());
			ATF_REQUIRE_EQ(0, kpi_net_wait("hn0", 20000));
			n = join_hn_open("hn0", NULL, NULL);
		}
		join_fault(&j, HVH_FAULT_PKT_IN, HVH_FAULT_RESCIND,
		    HVH_FAULT_ANY, skip, 1, 0);
		if (change) {
			(void)kpi_net_mtu(n, 4000);
			kpi_net_close(n);
		} else {
			ATF_REQUIRE_EQ(0, vm_load());
			(void)kpi_net_wait("hn0", 300);
		}
		ATF_REQUIRE_EQ(0, vm_unload());
		struck = hvh_fault_count(j.host, HVH_FAULT_PKT_IN);
		hvh_net_remove(j.net[0]);
		hvh_fault_clear(j.host);
		if (struck == before)
			break;
		before = struck;
	}
	ATF_CHECK(skip > 10 && skip < 100);
	ATF_REQUIRE_EQ(0, vm_load());
	join_finish(&j);
}

ATF_TC(rescind_attach);
ATF_TC_HEAD(rescind_attach, tc)
{
	atf_tc_set_md_var(tc, "descr", "taken away with each packet of "
	    "attaching");
}
ATF_TC_BODY(rescind_attach, tc)
{

	check_rescind(false);
}

ATF_TC(rescind_mtu);
ATF_TC_HEAD(rescind_mtu, tc)
{
	atf_tc_set_md_var(tc, "descr", "taken away with each packet of a "
	    "change of MTU");
}
ATF_TC_BODY(rescind_mtu, tc)
{

	check_rescind(true);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, mtu);
	ATF_TP_ADD_TC(tp, mtu_host);
	ATF_TP_ADD_TC(tp, mtu_small);
	ATF_TP_ADD_TC(tp, mtu_invalid);
	ATF_TP_ADD_TC(tp, mtu_fails);
	ATF_TP_ADD_TC(tp, mtu_dead);
	ATF_TP_ADD_TC(tp, filter);
	ATF_TP_ADD_TC(tp, capabilities);
	ATF_TP_ADD_TC(tp, link);
	ATF_TP_ADD_TC(tp, link_storm);
	ATF_TP_ADD_TC(tp, network_change);
	ATF_TP_ADD_TC(tp, indicate_unknown);
	ATF_TP_ADD_TC(tp, indicate_type);
	ATF_TP_ADD_TC(tp, indicate_length);
	ATF_TP_ADD_TC(tp, indicate_offset);
	ATF_TP_ADD_TC(tp, indicate_short);
	ATF_TP_ADD_TC(tp, sleep);
	ATF_TP_ADD_TC(tp, polling);
	ATF_TP_ADD_TC(tp, remove);
	ATF_TP_ADD_TC(tp, rescind_attach);
	ATF_TP_ADD_TC(tp, rescind_mtu);
	return (atf_no_error());
}
