/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Synthetic timers as the kernel's event timer: by vectors and by messages, one
 * shot and periodic, what they cost, and how the kernel does without.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"

#define	CPUS	4
#define	HZ	100		/* of the kernel's tick */

static void
start(struct join *j, uint32_t hidden, const char *setting)
{
	const char *kenv[] = { setting, NULL };
	struct join_config cf = {
		.no_disks = true, .vm.cpus = CPUS, .vm.kenv = kenv,
		.vm.shown.hidden = hidden,
		/* A TSC of this rate is told time by, whatever its real one. */
		.vm.tsc_hz = 2000000000,
	};

	join_start(j, &cf);
}

static void
expect_timer(const char *want)
{
	char have[64];

	ATF_REQUIRE_EQ(0, kpi_sysctl_get("kern.eventtimer.timer", have,
	    sizeof(have)));
	ATF_CHECK_STREQ(want, have);
}

static bool
offered(void)
{
	char have[128];

	ATF_REQUIRE_EQ(0, kpi_sysctl_get("kern.eventtimer.choice", have,
	    sizeof(have)));
	return (strstr(have, "Hyper-V(1000)") != NULL);
}

static void
choose(const char *name, bool periodic)
{

	ATF_REQUIRE_EQ(0, kpi_sysctl_set("kern.eventtimer.periodic",
	    periodic ? "1" : "0"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("kern.eventtimer.timer", name));
	expect_timer(name);
}

static uint64_t
events(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < CPUS; i++)
		n += kpi_timer_events(i);
	return (n);
}

/* Time passes within a look: events before, and after, all else. */
struct sums {
	uint64_t	before, after, reads, writes, sets, bus;
};

static struct sums
sums(struct join *j)
{
	struct sums s = { .before = events() };
	struct hvh_vp_stats vs;
	struct hvh_stats st;

	hvh_get_stats(j->host, &st);
	s.sets = st.timer_sets;
	for (unsigned i = 0; i < CPUS; i++) {
		hvh_get_vp_stats(j->host, i, &vs);
		s.reads += vs.msr_reads;
		s.writes += vs.msr_writes;
		s.bus += join_sysctl("dev.vmbus.0.cpu.%u.interrupts", i);
	}
	s.after = events();
	return (s);
}

static bool
every_cpu(void *arg)
{
	const uint64_t *base = arg;

	for (unsigned i = 0; i < CPUS; i++) {
		if (kpi_timer_events(i) < base[i] + 20)
			return (false);
	}
	return (true);
}

/* Of a run: at least, and at most, so many events. */
struct counts {
	uint64_t	least, most, reads, writes, sets, bus;
};

/* Ticks come to every processor; what happened meanwhile. */
static struct counts
run(struct join *j)
{
	uint64_t base[CPUS];
	struct sums a, b;

	for (unsigned i = 0; i < CPUS; i++)
		base[i] = kpi_timer_events(i);
	a = sums(j);
	ATF_REQUIRE(join_wait(every_cpu, base, 20000));
	b = sums(j);
	return ((struct counts){ b.before - a.after, b.after - a.before,
	    b.reads - a.reads, b.writes - a.writes, b.sets - a.sets,
	    b.bus - a.bus });
}

/* One write a re-arm and no read; an event may be under way at either look. */
static void
check_oneshot(const struct counts *s)
{

	ATF_CHECK_EQ(0, s->reads);
	ATF_CHECK_MSG(s->writes <= s->most + CPUS, "%" PRIu64 " writes for %"
	    PRIu64 " events", s->writes, s->most);
	ATF_CHECK(s->sets + CPUS >= s->least);
}

ATF_TC(direct);
ATF_TC_HEAD(direct, tc)
{
	atf_tc_set_md_var(tc, "descr", "one shots by a vector of their own: "
	    "one exit a re-arm");
}
ATF_TC_BODY(direct, tc)
{
	struct join j;
	struct counts s;

	start(&j, 0, NULL);
	ATF_CHECK(offered());
	choose("Hyper-V", false);
	s = run(&j);
	check_oneshot(&s);
	ATF_CHECK_EQ_MSG(0, s.bus, "%" PRIu64 " interrupts of the bus", s.bus);
	join_finish(&j);
}

ATF_TC(message);
ATF_TC_HEAD(message, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host without direct mode: one shots "
	    "by messages, one exit a re-arm");
}
ATF_TC_BODY(message, tc)
{
	struct join j;
	struct counts s;

	start(&j, HVH_FEAT_BIT(HVH_FEAT_DIRECT), NULL);
	choose("Hyper-V", false);
	s = run(&j);
	check_oneshot(&s);
	ATF_CHECK(s.bus + CPUS >= s.least);
	join_finish(&j);
}

static void
check_periodic(uint32_t hidden)
{
	struct join j;
	struct counts s;

	start(&j, hidden, NULL);
	choose("Hyper-V", true);
	s = run(&j);
	ATF_CHECK_EQ(0, s.sets);
	ATF_CHECK_EQ(0, s.reads);
	/* By messages the host may have to be told that the slot is free. */
	if (hidden == 0)
		ATF_CHECK_EQ(0, s.writes);
	/* And back to one shots. */
	choose("hosted", false);
	choose("Hyper-V", false);
	s = run(&j);
	check_oneshot(&s);
	join_finish(&j);
}

ATF_TC(periodic);
ATF_TC_HEAD(periodic, tc)
{
	atf_tc_set_md_var(tc, "descr", "periodic by vectors: no exit at all");
}
ATF_TC_BODY(periodic, tc)
{

	check_periodic(0);
}

ATF_TC(periodic_message);
ATF_TC_HEAD(periodic_message, tc)
{
	atf_tc_set_md_var(tc, "descr", "periodic by messages");
}
ATF_TC_BODY(periodic_message, tc)
{

	check_periodic(HVH_FEAT_BIT(HVH_FEAT_DIRECT));
}

ATF_TC(stops);
ATF_TC_HEAD(stops, tc)
{
	atf_tc_set_md_var(tc, "descr", "another timer is chosen: ours is "
	    "quiet");
}
ATF_TC_BODY(stops, tc)
{
	struct hvh_stats a, b;
	struct join j;

	start(&j, 0, NULL);
	choose("Hyper-V", true);
	(void)run(&j);
	choose("hosted", false);
	hvh_get_stats(j.host, &a);
	usleep(200000);
	hvh_get_stats(j.host, &b);
	ATF_CHECK_EQ(a.timer_expiries, b.timer_expiries);
	join_finish(&j);
}

ATF_TC(unload);
ATF_TC_HEAD(unload, tc)
{
	atf_tc_set_md_var(tc, "descr", "unloaded while in use, again and "
	    "again: the kernel goes on with another timer");
}
ATF_TC_BODY(unload, tc)
{
	struct join j;
	unsigned i;

	start(&j, 0, NULL);
	for (i = 0; i < 20; i++) {
		choose("Hyper-V", i % 2 != 0);
		ATF_REQUIRE_EQ(0, vm_unload());
		expect_timer("hosted");
		ATF_CHECK(!offered());
		ATF_REQUIRE_EQ(0, vm_load());
	}
	join_finish(&j);
}

ATF_TC(sleep);
ATF_TC_HEAD(sleep, tc)
{
	atf_tc_set_md_var(tc, "descr", "after sleep it is in use again");
}
ATF_TC_BODY(sleep, tc)
{
	struct join j;
	struct counts s;

	start(&j, HVH_FEAT_BIT(HVH_FEAT_DIRECT), NULL);
	choose("Hyper-V", false);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	expect_timer("hosted");
	ATF_REQUIRE_EQ(0, kpi_resume());
	expect_timer("Hyper-V");
	s = run(&j);
	check_oneshot(&s);
	join_finish(&j);
}

static void
check_none(uint32_t hidden, const char *setting)
{
	struct join j;

	start(&j, hidden, setting);
	ATF_CHECK(!offered());
	expect_timer("hosted");
	join_finish(&j);
}

ATF_TC(none);
ATF_TC_HEAD(none, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host without synthetic timers");
}
ATF_TC_BODY(none, tc)
{

	check_none(HVH_FEAT_BIT(HVH_FEAT_STIMER), NULL);
}

ATF_TC(tunable);
ATF_TC_HEAD(tunable, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.vmbus.et=0: no timer is registered");
}
ATF_TC_BODY(tunable, tc)
{

	check_none(0, "hw.vmbus.et=0");
}

ATF_TC(hint);
ATF_TC_HEAD(hint, tc)
{
	atf_tc_set_md_var(tc, "descr", "hint.hvet.0.disabled=1, its customary "
	    "name, does the same");
}
ATF_TC_BODY(hint, tc)
{

	check_none(0, "hint.hvet.0.disabled=1");
}

ATF_TC(tunable_message);
ATF_TC_HEAD(tunable_message, tc)
{
	atf_tc_set_md_var(tc, "descr", "hw.vmbus.et=2: by messages, though the "
	    "host has vectors");
}
ATF_TC_BODY(tunable_message, tc)
{
	struct join j;
	struct counts s;

	start(&j, 0, "hw.vmbus.et=2");
	choose("Hyper-V", false);
	s = run(&j);
	ATF_CHECK(s.bus + CPUS >= s.least);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, direct);
	ATF_TP_ADD_TC(tp, message);
	ATF_TP_ADD_TC(tp, periodic);
	ATF_TP_ADD_TC(tp, periodic_message);
	ATF_TP_ADD_TC(tp, stops);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, sleep);
	ATF_TP_ADD_TC(tp, none);
	ATF_TP_ADD_TC(tp, tunable);
	ATF_TP_ADD_TC(tp, hint);
	ATF_TP_ADD_TC(tp, tunable_message);
	return (atf_no_error());
}
