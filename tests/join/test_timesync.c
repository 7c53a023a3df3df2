/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Time synchronisation: the guest's clock against the host's.  Where the clock
 * is virtual the host's goes with it, so that slewing takes no time.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "raw_ic.h"

#define	TIMESYNC	"9527e630-d0ae-497b-adce-e80ab0175caf"

#define	S_INVALID	0x80070057

#define	US		1000LL
#define	MS		1000000LL
#define	SEC		1000000000LL
#define	HOUR		(3600 * SEC)

static struct raw_ic *raw;
static struct hvh_ic *ic;
static struct hvh_ic_params params = { .kind = HVH_IC_TIMESYNC };
static int64_t shift;			/* what the host was told to add */

static void
add_raw(struct join *j)
{

	raw = raw_ic_add(j->host, TIMESYNC);
}

static void
step(int64_t ns, bool sync)
{

	shift += ns;
	hvh_time_step(ic, ns, sync);
}

static void
add_timesync(struct join *j)
{

	ATF_REQUIRE_EQ(0, hvh_ic_add(j->host, &params, &ic));
	/* A machine whose own clock is wrong by that. */
	if (shift != 0)
		hvh_time_step(ic, shift, false);
}

/* By how much the guest is behind, of three looks the quickest. */
static int64_t
behind(void)
{
	uint64_t before, guest, after, best = UINT64_MAX;
	int64_t ofs = 0;
	unsigned i;

	for (i = 0; i < 20; i++) {
		before = vm_wall();
		guest = kpi_clock_utc();
		after = vm_wall();
		if (after - before < best) {
			best = after - before;
			ofs = (int64_t)(before + best / 2 - guest) + shift;
		}
	}
	return (ofs);
}

/* Whether the guest's clock is the host's, to arg nanoseconds. */
static bool
agrees(void *arg)
{

	return (llabs(behind()) < *(int64_t *)arg);
}

static void
close_to(int64_t ns)
{

	ATF_CHECK_MSG(join_wait(agrees, &ns, 10000), "behind by %" PRId64
	    " ns", behind());
}

static bool
synced(void *arg)
{
	struct hvh_time_info ti;

	hvh_time_get_info(ic, &ti);
	return (ti.syncs >= *(uint64_t *)arg);
}

static void
wait_syncs(uint64_t n)
{

	ATF_REQUIRE_MSG(join_wait(synced, &n, 10000), "no sync");
}

/* What a sync has failed to do, a sample shall not do in its place. */
static const char *const no_samples[] = {
	"hw.hvtimesync.sample_thresh=0", NULL
};

static void
start(struct join *j, bool virtual_clock)
{
	struct join_config cf = {
		.no_disks = true, .prepare = add_timesync,
		.vm.virtual_clock = virtual_clock,
		.vm.kenv = virtual_clock ? NULL : no_samples,
	};

	join_start(j, &cf);
	wait_syncs(1);
}

ATF_TC(sync);
ATF_TC_HEAD(sync, tc)
{
	atf_tc_set_md_var(tc, "descr", "after a step of the host's clock, "
	    "either way, a sync sets the guest's to less than 1 ms");
}
ATF_TC_BODY(sync, tc)
{
	struct join j;

	start(&j, false);
	close_to(MS);
	step(5 * SEC, true);
	wait_syncs(2);
	close_to(MS);
	step(-5 * SEC, true);
	wait_syncs(3);
	close_to(MS);
	step(24 * HOUR, true);
	wait_syncs(4);
	close_to(MS);
	/* The guest's own clock went wrong. */
	ATF_REQUIRE_EQ(0, kpi_clock_set_utc(1000 * SEC));
	ATF_REQUIRE_EQ(0, hvh_time_sync(ic, NULL, NULL));
	wait_syncs(5);
	close_to(MS);
	ATF_CHECK_EQ(5, join_sysctl("dev.hvtimesync.0.syncs"));
	join_finish(&j);
}

/*
 * Before 4.0 how long the message took is not known: to the guest it took no
 * time.  Of a few one takes little.
 */
static void
close_at_last(void)
{
	struct hvh_time_info ti;
	int64_t ns = 20 * MS;

	for (unsigned i = 0; i < 10; i++) {
		if (join_wait(agrees, &ns, 200))
			return;
		hvh_time_get_info(ic, &ti);
		ATF_REQUIRE_EQ(0, hvh_time_sync(ic, NULL, NULL));
		wait_syncs(ti.syncs + 1);
	}
	close_to(ns);
}

static void
version(uint32_t framework, uint32_t message)
{
	struct hvh_time_info ti;
	struct join j;

	params.max_framework = framework;
	params.max_version = message;
	shift = 100 * SEC;
	start(&j, false);
	close_at_last();
	hvh_time_get_info(ic, &ti);
	step(5 * SEC, true);
	wait_syncs(ti.syncs + 1);
	close_at_last();
	join_finish(&j);
}

ATF_TC(version_1);
ATF_TC_HEAD(version_1, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host with version 1.0");
}
ATF_TC_BODY(version_1, tc)
{

	version(HVH_IC_VERSION(1, 0), HVH_IC_VERSION(1, 0));
}

ATF_TC(version_3);
ATF_TC_HEAD(version_3, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host with version 3.0");
}
ATF_TC_BODY(version_3, tc)
{

	version(0, HVH_IC_VERSION(3, 0));
}

static void
add_slowly(struct join *j)
{

	add_timesync(j);
	join_slow_controller(j, 0, 500 * MS);
}

ATF_TC(boot);
ATF_TC_HEAD(boot, tc)
{
	atf_tc_set_md_var(tc, "descr", "a sync that comes before the kernel "
	    "has set its clock by the hardware's holds");
}
ATF_TC_BODY(boot, tc)
{
	struct join_config cf = {
		.no_disks = true, .prepare = add_slowly, .vm.preload = true,
		.vm.kenv = no_samples,
	};
	struct join j;

	/* While devices still attach, and no clock runs. */
	shift = HOUR;
	join_start(&j, &cf);
	wait_syncs(1);
	close_to(MS);
	join_finish(&j);
}

ATF_TC(sleep);
ATF_TC_HEAD(sleep, tc)
{
	atf_tc_set_md_var(tc, "descr", "time that went by while the machine "
	    "slept is made up for");
}
ATF_TC_BODY(sleep, tc)
{
	struct join_config cf = {
		.no_disks = true, .prepare = add_slowly, .vm.kenv = no_samples,
	};
	struct join j;

	join_start(&j, &cf);
	wait_syncs(1);
	close_to(MS);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	step(100 * SEC, false);
	/* The sync comes while others resume, the hardware's clock later. */
	join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DELAY, 6, 1, 1, 500 * MS);
	ATF_REQUIRE_EQ(0, kpi_resume());
	wait_syncs(2);
	close_to(MS);
	join_finish(&j);
}

/*
 * One second, in one step; what falls due in it is done in real time, for which
 * there is a moment.
 */
static void
second(void)
{

	kpi_clock_advance(SEC);
	vm_pump();
	usleep(500);
}

/*
 * Seconds pass; in none of them the guest's clock goes back, or faster or
 * slower than 500 ppm but for steps, of which it returns how many there were.
 */
static unsigned
pass(unsigned seconds)
{
	uint64_t before, after;
	unsigned i, steps = 0;
	int64_t gain;

	for (i = 0; i < seconds; i++) {
		before = kpi_clock_utc();
		second();
		after = kpi_clock_utc();
		ATF_REQUIRE_MSG(after > before, "time went back");
		gain = (int64_t)(after - before) - SEC;
		if (llabs(gain) > 100 * MS)
			steps++;
		else
			ATF_CHECK_MSG(llabs(gain) <= 500 * US + 10, "%" PRId64
			    " ns in a second", gain);
	}
	return (steps);
}

ATF_TC(slew);
ATF_TC_HEAD(slew, tc)
{
	atf_tc_set_md_var(tc, "descr", "samples have the clock slewed, either "
	    "way, at the kernel's rate");
}
ATF_TC_BODY(slew, tc)
{
	struct join j;

	start(&j, true);
	close_to(MS);
	step(50 * MS, false);
	ATF_CHECK_EQ(0, pass(6));
	ATF_CHECK(llabs(behind() - 50 * MS) < 4 * MS);
	ATF_CHECK_EQ(0, pass(110));
	close_to(MS / 10);
	step(-50 * MS, false);
	ATF_CHECK_EQ(0, pass(116));
	close_to(MS / 10);
	/* And stays there. */
	ATF_CHECK_EQ(0, pass(60));
	close_to(MS / 10);
	ATF_CHECK_EQ(0, join_sysctl("dev.hvtimesync.0.steps"));
	ATF_CHECK(join_sysctl("dev.hvtimesync.0.slews") > 10);
	join_finish(&j);
}

ATF_TC(far);
ATF_TC_HEAD(far, tc)
{
	atf_tc_set_md_var(tc, "descr", "a sample sets a clock that is far "
	    "behind, and never sets it back unless told to");
}
ATF_TC_BODY(far, tc)
{
	struct join j;
	unsigned i;

	start(&j, true);
	close_to(MS);
	step(5 * SEC, false);
	ATF_CHECK_EQ(1, pass(7));
	close_to(MS / 10);
	ATF_CHECK_EQ(1, join_sysctl("dev.hvtimesync.0.steps"));
	step(-5 * SEC, false);
	ATF_CHECK_EQ(0, pass(60));
	ATF_CHECK(behind() < -4900 * MS && behind() > -4980 * MS);
	ATF_CHECK_EQ(1, join_sysctl("dev.hvtimesync.0.steps"));
	/* Faster, if allowed to. */
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hvtimesync.slew_max", "60000"));
	for (i = 0; i < 60; i++)
		second();
	ATF_CHECK(behind() > -4750 * MS && behind() < -4600 * MS);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hvtimesync.sample_backward",
	    "1"));
	for (i = 0; i < 7; i++)
		second();
	close_to(MS / 10);
	ATF_CHECK_EQ(2, join_sysctl("dev.hvtimesync.0.steps"));
	join_finish(&j);
}

ATF_TC(off);
ATF_TC_HEAD(off, tc)
{
	atf_tc_set_md_var(tc, "descr", "sync, samples and slewing can each be "
	    "turned off");
}
ATF_TC_BODY(off, tc)
{
	int64_t ofs;
	struct join j;

	start(&j, true);
	close_to(MS);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hvtimesync.ignore_sync", "1"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hvtimesync.sample_thresh", "0"));
	step(5 * SEC, true);
	wait_syncs(2);
	ofs = behind();
	ATF_CHECK(llabs(ofs - 5 * SEC) < MS);
	ATF_CHECK_EQ(0, pass(20));
	ATF_CHECK_EQ(ofs / US, behind() / US);
	/* Only far ones. */
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hvtimesync.slew_max", "0"));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hvtimesync.sample_thresh",
	    "6000"));
	ATF_CHECK_EQ(0, pass(20));
	ATF_CHECK_EQ(ofs / US, behind() / US);
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hvtimesync.sample_thresh",
	    "4000"));
	ATF_CHECK_EQ(1, pass(7));
	close_to(MS / 10);
	join_finish(&j);
}

/* --- A host without manners --- */

static void
start_raw(struct join *j, uint32_t version)
{
	struct join_config cf = { .no_disks = true, .prepare = add_raw };

	join_start(j, &cf);
	raw_ic_wait_open(raw);
	raw_ic_agree(raw, version);
}

static uint64_t
host_time(int64_t ns)
{

	return ((vm_wall() + ns) / 100 + 116444736000000000);
}

static uint64_t
ref_time(struct join *j)
{
	uint64_t ref;

	ATF_REQUIRE_EQ(0, hvh_rdmsr(j->host, 0, 0x40000020, &ref));
	return (ref);
}

static void
message4(struct raw_msg *m, uint64_t host, uint64_t ref, uint8_t flags)
{

	raw_msg(m, 4, 24);
	raw_put64(m, 28, host);
	raw_put64(m, 36, ref);
	m->data[44] = flags;
}

ATF_TC(nonsense);
ATF_TC_HEAD(nonsense, tc)
{
	atf_tc_set_md_var(tc, "descr", "times that cannot be, and messages "
	    "that are cut off, leave the clock alone");
}
ATF_TC_BODY(nonsense, tc)
{
	struct raw_msg m;
	struct join j;

	start_raw(&j, 0x40000);
	close_to(500 * MS);
	message4(&m, 0, ref_time(&j), 1);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	message4(&m, 116444736000000000 - 1, ref_time(&j), 1);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	message4(&m, UINT64_MAX, ref_time(&j), 1);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	message4(&m, INT64_MAX, ref_time(&j), 3);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	message4(&m, host_time(HOUR), ref_time(&j) + 100000000, 1);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	message4(&m, host_time(HOUR), UINT64_MAX, 1);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	raw_msg(&m, 4, 18);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	raw_msg(&m, 4, 0);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	/* Neither sync nor sample, whatever the time. */
	message4(&m, host_time(HOUR), ref_time(&j), 0);
	(void)raw_ic_ask(raw, &m, 0);
	message4(&m, 0, 0, 0xfc);
	(void)raw_ic_ask(raw, &m, 0);
	close_to(500 * MS);
	/* Sync wins over sample; a step that no sample would do. */
	message4(&m, host_time(-HOUR), ref_time(&j), 3);
	(void)raw_ic_ask(raw, &m, 0);
	shift = -HOUR;
	close_to(20 * MS);
	join_finish(&j);
}

ATF_TC(old_layout);
ATF_TC_HEAD(old_layout, tc)
{
	atf_tc_set_md_var(tc, "descr", "before 4.0 the flags stand elsewhere");
}
ATF_TC_BODY(old_layout, tc)
{
	int64_t ns = 20 * MS;
	struct raw_msg m;
	struct join j;

	start_raw(&j, 0x30000);
	raw_msg(&m, 4, 24);
	raw_put64(&m, 28, host_time(HOUR));
	m.data[44] = 1;
	(void)raw_ic_ask(raw, &m, S_INVALID);
	raw_msg(&m, 4, 28);
	raw_put64(&m, 28, host_time(HOUR));
	m.data[44] = 1;
	(void)raw_ic_ask(raw, &m, 0);
	close_to(500 * MS);
	m.data[44] = 0;
	m.data[52] = 1;
	shift = HOUR;
	/* One of a few is there without delay. */
	for (unsigned i = 0; i < 10; i++) {
		raw_put64(&m, 28, host_time(HOUR));
		(void)raw_ic_ask(raw, &m, 0);
		if (join_wait(agrees, &ns, 200))
			break;
	}
	close_to(ns);
	join_finish(&j);
}

ATF_TC(crowd);
ATF_TC_HEAD(crowd, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that does not wait for answers "
	    "gets one each; a sync among them is not lost; unload amid them");
}
ATF_TC_BODY(crowd, tc)
{
	struct raw_msg m;
	struct join j;
	unsigned i;

	start_raw(&j, 0x40000);
	for (i = 0; i < 200; i++) {
		message4(&m, host_time(HOUR), ref_time(&j), i == 100 ? 1 : 2);
		ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, i));
	}
	for (i = 0; i < 200; i++)
		ATF_REQUIRE(raw_ic_answer(raw, 10000) != NULL);
	usleep(20000);
	ATF_CHECK_EQ(201, raw_ic_got(raw));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvtimesync.0.dropped"));
	shift = HOUR;
	close_to(20 * MS);
	for (i = 0; i < 50; i++) {
		message4(&m, host_time(HOUR), ref_time(&j), 1);
		ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, i));
	}
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, sync);
	ATF_TP_ADD_TC(tp, version_1);
	ATF_TP_ADD_TC(tp, version_3);
	ATF_TP_ADD_TC(tp, boot);
	ATF_TP_ADD_TC(tp, sleep);
	ATF_TP_ADD_TC(tp, slew);
	ATF_TP_ADD_TC(tp, far);
	ATF_TP_ADD_TC(tp, off);
	ATF_TP_ADD_TC(tp, nonsense);
	ATF_TP_ADD_TC(tp, old_layout);
	ATF_TP_ADD_TC(tp, crowd);
	return (atf_no_error());
}
