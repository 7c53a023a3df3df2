/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory, with the host model: what it orders is done, as far as the
 * guest can live with it, and all memory is the guest's again in the end.  The
 * host marks pages that it has, and looks at the mark when it gives them back:
 * a guest that touches them is found out.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hvballoon.h"
#include "join.h"
#include "vmbus/channel.h"

#define	MIB		(1ull << 20)
#define	PAGE		4096u
#define	MEMORY		(512 * MIB)	/* what a machine has */

static struct hvh_balloon *balloon;
static struct hvh_balloon_params params;
static struct hvh *host;

/* --- The host's pages. --- */

static atomic_uint_fast64_t out, touched;

static uint64_t *
page_at(uint64_t gpa)
{
	uint64_t *p = hvh_gpa_ptr(host, (hvh_gpa_t){ gpa }, PAGE);

	ATF_REQUIRE(p != NULL);
	return (p);
}

static void
taken(void *arg, uint64_t gpa, uint64_t len)
{
	uint64_t at, *p;

	for (at = gpa; at < gpa + len; at += PAGE) {
		p = page_at(at);
		p[0] = p[PAGE / 8 - 1] = at ^ 0x5a5a;
	}
	atomic_fetch_add(&out, len);
}

static void
given(void *arg, uint64_t gpa, uint64_t len)
{
	uint64_t at, *p;

	for (at = gpa; at < gpa + len; at += PAGE) {
		p = page_at(at);
		if (p[0] != (at ^ 0x5a5a) || p[PAGE / 8 - 1] != p[0])
			atomic_fetch_add(&touched, 1);
		p[0] = 0;
	}
	atomic_fetch_sub(&out, len);
}

static void
add_balloon(struct join *j)
{

	host = j->host;
	params.taken = taken;
	params.given = given;
	ATF_REQUIRE_EQ(0, hvh_balloon_add(j->host, &params, &balloon));
}

/* The guest knows a moment after the host. */
static bool
ready(void *arg)
{
	struct hvh_balloon_info bi;
	char value[64];

	hvh_balloon_get_info(balloon, &bi);
	return (bi.state == HVH_IC_READY &&
	    kpi_sysctl_get("dev.hvballoon.0.state", value,
	    sizeof(value)) == 0 && strcmp(value, "ready") == 0);
}

static void
start(struct join *j, const struct join_config *base)
{
	struct join_config cf = *base;

	cf.prepare = add_balloon;
	join_start(j, &cf);
	ATF_REQUIRE(join_wait(ready, NULL, 20000));
}

static void
finish(struct join *j)
{

	join_finish(j);
	ATF_CHECK_EQ(0, atomic_load(&out));
	ATF_CHECK_EQ_MSG(0, atomic_load(&touched), "the guest used %ju pages "
	    "that it had given up", (uintmax_t)atomic_load(&touched));
}

/* --- Orders. --- */

static atomic_int set_error;
static atomic_bool set_over;
static atomic_uint_fast64_t set_bytes;
static atomic_uint steps;

static void
set_step(void *arg, uint64_t bytes)
{

	atomic_fetch_add(&steps, 1);
}

static void
set_done(void *arg, int error, uint64_t bytes)
{

	atomic_store(&set_error, error);
	atomic_store(&set_bytes, bytes);
	atomic_store(&set_over, true);
}

static bool
is_over(void *arg)
{

	return (atomic_load(&set_over));
}

static void
order(uint64_t bytes)
{

	atomic_store(&set_over, false);
	atomic_store(&steps, 0);
	ATF_REQUIRE_EQ(0, hvh_balloon_set(balloon, bytes, set_step, set_done,
	    NULL));
}

/* Orders, waits, and returns what the guest has then. */
static uint64_t
set(uint64_t bytes)
{

	order(bytes);
	ATF_REQUIRE(join_wait(is_over, NULL, 60000));
	ATF_REQUIRE_EQ(0, atomic_load(&set_error));
	return (atomic_load(&set_bytes));
}

static uint64_t
ballooned(void)
{

	return (join_sysctl("dev.hvballoon.0.ballooned") * PAGE);
}

static bool
is_all_back(void *arg)
{

	return (ballooned() == 0);
}

/* The host says so first, the guest frees them in its own time. */
static void
all_back(void)
{

	ATF_CHECK_EQ(MEMORY, set(MEMORY));
	ATF_CHECK(join_wait(is_all_back, NULL, 10000));
	ATF_CHECK_EQ(0, atomic_load(&out));
}

ATF_TC(up_down);
ATF_TC_HEAD(up_down, tc)
{
	atf_tc_set_md_var(tc, "descr", "pages go to the host and come back, "
	    "each once, and are not touched in between");
}
ATF_TC_BODY(up_down, tc)
{
	const struct join_config cf = { .no_disks = true };
	struct hvh_balloon_info bi;
	struct join j;

	start(&j, &cf);
	join_is("dev.hvballoon.0.state", "ready");
	join_is("dev.hvballoon.0.version", "2.0");
	join_is("dev.hvballoon.0.%desc", "Hyper-V Dynamic Memory");
	ATF_CHECK_EQ(MEMORY - 200 * MIB, set(MEMORY - 200 * MIB));
	ATF_CHECK_EQ(200 * MIB, ballooned());
	ATF_CHECK_EQ(200 * MIB, atomic_load(&out));
	ATF_CHECK_MSG(atomic_load(&steps) >= 2, "200 MiB in one message");
	/* The same again is nothing to do. */
	ATF_CHECK_EQ(MEMORY - 200 * MIB, set(MEMORY - 200 * MIB));
	ATF_CHECK_EQ(MEMORY - 72 * MIB, set(MEMORY - 72 * MIB));
	ATF_CHECK_EQ(72 * MIB, atomic_load(&out));
	/* Odd numbers of pages. */
	ATF_CHECK_EQ(MEMORY - 3 * PAGE, set(MEMORY - 3 * PAGE));
	ATF_CHECK_EQ(MEMORY - 1001 * PAGE, set(MEMORY - 1001 * PAGE));
	ATF_CHECK_EQ(1001 * PAGE, atomic_load(&out));
	all_back();
	ATF_CHECK_EQ(2, join_sysctl("dev.hvballoon.0.ups"));
	ATF_CHECK_EQ(3, join_sysctl("dev.hvballoon.0.downs"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvballoon.0.refused"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvballoon.0.bad_messages"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvballoon.0.bad_ranges"));
	hvh_balloon_get_info(balloon, &bi);
	ATF_CHECK_EQ(0, bi.bad);
	ATF_CHECK_EQ(0, bi.stale);
	ATF_CHECK(!bi.can_add);
	finish(&j);
}

ATF_TC(bound);
ATF_TC_HEAD(bound, tc)
{
	atf_tc_set_md_var(tc, "descr", "a guest gives no more than it can, and "
	    "lives on with what is left");
}
ATF_TC_BODY(bound, tc)
{
	const struct join_config cf = { 0 };
	struct join_load *l;
	uint64_t errors, floor, left;
	struct join j;

	start(&j, &cf);
	floor = join_sysctl("dev.hvballoon.0.floor") * PAGE;
	ATF_CHECK_MSG(floor >= 32 * MIB && floor <= MEMORY / 4,
	    "a floor of %ju bytes", (uintmax_t)floor);
	left = set(4 * MIB);
	printf("floor %ju MiB, %ju MiB are left of 512\n",
	    (uintmax_t)(floor / MIB), (uintmax_t)(left / MIB));
	ATF_CHECK(left >= floor);
	/* But it does give what it has beyond that. */
	ATF_CHECK(left <= floor + 96 * MIB);
	ATF_CHECK_EQ(1, join_sysctl("dev.hvballoon.0.refused"));
	ATF_CHECK_EQ(left - 4 * MIB,
	    join_sysctl("dev.hvballoon.0.refused_pages") * PAGE);
	l = join_load_start("da0", 4 << 20, 32);
	/* Asked again, it gives nothing. */
	ATF_CHECK(set(4 * MIB) + MIB >= left);
	usleep(300000);
	ATF_CHECK(join_load_stop(l, &errors) > 100);
	ATF_CHECK_EQ(0, errors);
	/* A lower one is an administrator's to set. */
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvballoon.0.floor", "12000"));
	ATF_CHECK(set(4 * MIB) + 8 * MIB < left);
	/* Without any it stops where others would wait for memory. */
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hvballoon.0.floor", "0"));
	ATF_CHECK(set(4 * MIB) > 8 * MIB);
	join_verify("da0", 0, 1 << 20, 1);
	all_back();
	finish(&j);
}

ATF_TC(report);
ATF_TC_HEAD(report, tc)
{
	atf_tc_set_md_var(tc, "descr", "each second the host hears how much "
	    "memory is needed, and what it has taken counts");
}
static uint64_t reports_wanted;

static bool
reported(void *arg)
{

	hvh_balloon_get_info(balloon, arg);
	return (((struct hvh_balloon_info *)arg)->reports >= reports_wanted);
}

ATF_TC_BODY(report, tc)
{
	const struct join_config cf = { .no_disks = true, .fast_clock = true };
	struct hvh_balloon_info before, after;
	uint64_t floor, began;
	struct join j;

	start(&j, &cf);
	floor = join_sysctl("dev.hvballoon.0.floor");
	/* Three more than when it began: two seconds pass between them. */
	began = vm_now();
	(void)reported(&before);
	reports_wanted = before.reports + 3;
	ATF_REQUIRE(join_wait(reported, &before, 20000));
	ATF_CHECK(vm_now() - began >= 1500000000);
	ATF_CHECK_EQ(floor, before.min_pages);
	ATF_CHECK_MSG(before.available > MEMORY / PAGE / 2, "%ju pages",
	    (uintmax_t)before.available);
	ATF_CHECK_EQ(MEMORY / PAGE + floor, before.available +
	    before.committed);
	(void)set(MEMORY - 100 * MIB);
	reports_wanted = before.reports + 4;
	ATF_REQUIRE(join_wait(reported, &after, 20000));
	ATF_CHECK(after.committed >= before.committed + 99 * MIB / PAGE);
	ATF_CHECK(after.available + 99 * MIB / PAGE <= before.available);
	all_back();
	finish(&j);
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "every version that a host may know, "
	    "and none");
}
ATF_TC_BODY(versions, tc)
{
	static const struct {
		uint32_t	 max;
		const char	*want;
	} all[] = {
		{ HVH_IC_VERSION(2, 0), "2.0" },
		{ HVH_IC_VERSION(1, 9), "1.0" },
		{ HVH_IC_VERSION(1, 0), "1.0" },
		{ HVH_IC_VERSION(0, 3), "0.3" },
	};
	const struct join_config cf = { .no_disks = true };
	struct hvh_balloon_params bad = { .max_version = 2 };
	struct hvh_balloon *b;
	struct join j;
	unsigned i;

	params.max_version = all[0].max;
	start(&j, &cf);
	for (i = 0;; i++) {
		join_is("dev.hvballoon.0.version", all[i].want);
		ATF_CHECK_EQ(MEMORY - 40 * MIB, set(MEMORY - 40 * MIB));
		all_back();
		if (i == sizeof(all) / sizeof(all[0]) - 1)
			break;
		hvh_balloon_remove(balloon);
		params.max_version = all[i + 1].max;
		add_balloon(&j);
		ATF_REQUIRE(join_wait(ready, NULL, 10000));
	}
	ATF_CHECK_EQ(EINVAL, hvh_balloon_add(j.host, &bad, &b));
	finish(&j);
}

/* --- Comings and goings with pages out. --- */

ATF_TC(rescind);
ATF_TC_HEAD(rescind, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host takes the service away, with "
	    "pages out and with orders under way");
}
ATF_TC_BODY(rescind, tc)
{
	const struct join_config cf = { .no_disks = true };
	struct kpi_stats before;
	struct join j;
	unsigned i;

	start(&j, &cf);
	join_usage(&before);
	for (i = 0; i < 6; i++) {
		ATF_REQUIRE(join_wait(ready, NULL, 10000));
		order(MEMORY - (i + 1) * 30 * MIB);
		if (i % 2 == 0)
			ATF_REQUIRE(join_wait(is_over, NULL, 10000));
		hvh_balloon_remove(balloon);
		ATF_REQUIRE(join_wait(join_sysctl_gone,
		    "dev.hvballoon.0.state", 10000));
		ATF_REQUIRE(join_wait(is_over, NULL, 10000));
		ATF_CHECK_EQ(0, atomic_load(&out));
		add_balloon(&j);
	}
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	ATF_CHECK(join_wait(join_no_more_threads, &before, 10000));
	ATF_CHECK_EQ(MEMORY - 300 * MIB, set(MEMORY - 300 * MIB));
	all_back();
	finish(&j);
}

ATF_TC(unload);
ATF_TC_HEAD(unload, tc)
{
	atf_tc_set_md_var(tc, "descr", "the module is unloaded with pages out "
	    "and with orders under way; the guest has them all again");
}
ATF_TC_BODY(unload, tc)
{
	const struct join_config cf = { .no_disks = true };
	struct join j;
	unsigned i;

	start(&j, &cf);
	for (i = 0; i < 6; i++) {
		ATF_REQUIRE(join_wait(ready, NULL, 10000));
		order(MEMORY - 300 * MIB);
		if (i % 2 == 0) {
			ATF_REQUIRE(join_wait(is_over, NULL, 10000));
			ATF_REQUIRE_EQ(0, atomic_load(&set_error));
		}
		if (i == 4)
			order(MEMORY);
		ATF_REQUIRE_EQ(0, kpi_kldunload("hv_utils"));
		ATF_REQUIRE(join_wait(is_over, NULL, 10000));
		ATF_CHECK_EQ(0, atomic_load(&out));
		ATF_CHECK_EQ(ENOTCONN, hvh_balloon_set(balloon, MEMORY, NULL,
		    NULL, NULL));
		ATF_REQUIRE_EQ(0, kpi_kldload("hv_utils"));
	}
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	ATF_CHECK_EQ(MEMORY - 300 * MIB, set(MEMORY - 300 * MIB));
	/* What is out when the machine goes down comes back as well. */
	finish(&j);
}

ATF_TC(sleep);
ATF_TC_HEAD(sleep, tc)
{
	atf_tc_set_md_var(tc, "descr", "a machine sleeps with all of its "
	    "memory, and can give some up after that");
}
ATF_TC_BODY(sleep, tc)
{
	const struct join_config cf = { .no_disks = true };
	struct join j;

	start(&j, &cf);
	ATF_CHECK_EQ(MEMORY - 100 * MIB, set(MEMORY - 100 * MIB));
	ATF_REQUIRE_EQ(0, kpi_suspend());
	vm_pump();
	ATF_CHECK_EQ(0, atomic_load(&out));
	ATF_CHECK_EQ(0, ballooned());
	join_is("dev.hvballoon.0.state", "closed");
	ATF_REQUIRE_EQ(0, kpi_resume());
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	ATF_CHECK_EQ(MEMORY - 50 * MIB, set(MEMORY - 50 * MIB));
	all_back();
	finish(&j);
}

#define	MSG_GPADL_TORNDOWN	12

ATF_TC(no_close);
ATF_TC_HEAD(no_close, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that does not say that it has "
	    "closed the channel: what it has is not touched any more");
}
ATF_TC_BODY(no_close, tc)
{
	const struct join_config cf = { .no_disks = true, .fast_clock = true };
	struct join j;

	start(&j, &cf);
	ATF_CHECK_EQ(MEMORY - 100 * MIB, set(MEMORY - 100 * MIB));
	join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, MSG_GPADL_TORNDOWN,
	    0, 0, 0);
	ATF_REQUIRE_EQ(0, kpi_kldunload("hv_utils"));
	hvh_fault_clear(j.host);
	/* The pages; the rings are kept and counted by the bus. */
	ATF_CHECK_EQ(1, join_end(&j));
}

/* --- Load. --- */

ATF_TC(storm);
ATF_TC_HEAD(storm, tc)
{
	atf_tc_set_md_var(tc, "descr", "2400 random orders, up to the bound "
	    "and down, one after the other while disks are read and written");
	atf_tc_set_md_var(tc, "timeout", "600");
}
ATF_TC_BODY(storm, tc)
{
	const struct join_config cf = { .luns = 2, .subchannels = 3 };
	uint32_t seed = 20260101;
	struct join_load *l[2];
	uint64_t errors, got, made, want;
	struct join j;
	unsigned i, cut = 0;

	start(&j, &cf);
	l[0] = join_load_start("da0", 4 << 20, 32);
	l[1] = join_load_start("da1", 4 << 20, 32);
	for (i = 0; i < 2400; i++) {
		seed = seed * 1664525 + 1013904223;
		/* Mostly by little, now and then beyond what it can. */
		want = (seed >> 8) % 50 == 0 ? 8 * MIB :
		    MEMORY - (seed >> 8) % (16 * MIB / PAGE) * PAGE -
		    (i / 100) % 4 * 16 * MIB;
		got = set(want);
		if (got != want)
			cut++;
		ATF_REQUIRE(got >= want);
	}
	for (made = 0, i = 0; i < 2; i++) {
		made += join_load_stop(l[i], &errors);
		ATF_CHECK_EQ(0, errors);
	}
	printf("%ju disk requests, %u orders cut short\n", (uintmax_t)made,
	    cut);
	ATF_CHECK(made > 1000);
	ATF_CHECK(cut > 10);
	ATF_CHECK_EQ(cut, join_sysctl("dev.hvballoon.0.refused"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvballoon.0.bad_ranges"));
	all_back();
	finish(&j);
}

ATF_TC(attach_fails);
ATF_TC_HEAD(attach_fails, tc)
{
	atf_tc_set_md_var(tc, "descr", "each allocation fails once, while the "
	    "driver comes and while it follows orders: nothing is lost");
}
ATF_TC_BODY(attach_fails, tc)
{
	const struct join_config cf = { .no_disks = true };
	unsigned hits, n;
	struct join j;

	start(&j, &cf);
	ATF_REQUIRE_EQ(0, kpi_kldunload("hv_utils"));
	hits = join_refuse_each(ready, NULL);
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_utils"));
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	for (n = 1; n < 12; n++) {
		kpi_fail_nth(KPI_FAIL_MALLOC, n);
		(void)set(MEMORY - 300 * MIB);
		(void)set(MEMORY);
		if (kpi_fail_hit(KPI_FAIL_MALLOC) == 0)
			break;
		hits++;
	}
	kpi_fail_nth(KPI_FAIL_MALLOC, 0);
	ATF_CHECK(hits > 3);
	ATF_CHECK_EQ(MEMORY - 300 * MIB, set(MEMORY - 300 * MIB));
	all_back();
	finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, up_down);
	ATF_TP_ADD_TC(tp, bound);
	ATF_TP_ADD_TC(tp, report);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, sleep);
	ATF_TP_ADD_TC(tp, no_close);
	ATF_TP_ADD_TC(tp, storm);
	ATF_TP_ADD_TC(tp, attach_fails);
	return (atf_no_error());
}
