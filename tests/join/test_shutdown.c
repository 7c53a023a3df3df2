/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Shutdown by the host: what the guest answers, and what init(8) is asked for.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "raw_ic.h"

#define	SHUTDOWN	"0e0b6031-5213-4934-818b-38d90ced39db"

#define	SOON		100000000	/* ns */

#define	S_FAIL		0x80004005
#define	S_NOT_SUPPORTED	0x80070032
#define	S_INVALID	0x80070057

/* FreeBSD's RB_*. */
#define	RB_AUTOBOOT	0
#define	RB_POWEROFF	0x4000

static struct raw_ic *raw;
static struct hvh_ic *ic;
static uint32_t max_version;

static void
add_raw(struct join *j)
{

	raw = raw_ic_add(j->host, SHUTDOWN);
}

static void
add_shutdown(struct join *j)
{
	struct hvh_ic_params ip = {
		.kind = HVH_IC_SHUTDOWN, .max_version = max_version,
	};

	ATF_REQUIRE_EQ(0, hvh_ic_add(j->host, &ip, &ic));
}

static bool
ready(void *arg)
{
	struct hvh_ic_info ii;

	hvh_ic_get_info(ic, &ii);
	return (ii.state == HVH_IC_READY);
}

static void
start(struct join *j, void (*prepare)(struct join *))
{
	struct join_config cf = { .no_disks = true, .prepare = prepare };

	join_start(j, &cf);
	if (prepare == add_shutdown)
		ATF_REQUIRE(join_wait(ready, NULL, 10000));
	else
		raw_ic_wait_open(raw);
}

/* init was asked for this, and for nothing else. */
static void
asked(int want)
{
	int howto = -1;

	ATF_REQUIRE_EQ(0, kpi_shutdown_asked(10000, &howto));
	ATF_CHECK_EQ(want, howto);
	ATF_CHECK(kpi_shutdown_asked(20, &howto) != 0);
}

static void
nothing_asked(void)
{
	int howto;

	ATF_CHECK(kpi_shutdown_asked(20, &howto) != 0);
}

/* The whole structure, as hosts send it. */
static void
order(uint32_t flags, uint32_t status)
{
	struct raw_msg m;

	raw_msg(&m, 3, 2060);
	raw_put32(&m, 28, 0x80000000);
	raw_put32(&m, 36, flags);
	(void)raw_ic_ask(raw, &m, status);
}

struct outcome {
	atomic_bool	 done;
	int		 error;
	uint32_t	 status;
};

static void
outcome(void *arg, const struct hvh_ic_result *r)
{
	struct outcome *o = arg;

	o->error = r->error;
	o->status = r->status;
	atomic_store(&o->done, true);
}

static bool
is_done(void *arg)
{

	return (atomic_load(&((struct outcome *)arg)->done));
}

/* A host's order, how it ended, and what init was asked for; ns until then. */
static uint64_t
ask(enum hvh_shutdown_kind kind, bool force, uint32_t status, int howto)
{
	struct outcome o = { .error = -1 };
	uint64_t begin, took = 0;
	int got = -1;

	begin = vm_now();
	ATF_REQUIRE_EQ(0, hvh_shutdown(ic, kind, force, outcome, &o));
	if (howto >= 0) {
		ATF_REQUIRE_EQ(0, kpi_shutdown_asked(10000, &got));
		took = vm_now() - begin;
		ATF_CHECK_EQ(howto, got);
	}
	ATF_REQUIRE(join_wait(is_done, &o, 10000));
	ATF_CHECK_EQ(0, o.error);
	ATF_CHECK_EQ_MSG(status, o.status, "%#x", o.status);
	nothing_asked();
	return (took);
}

/*
 * An order in a machine of its own, after those that are refused if wanted:
 * init hears of it soon.  A busy machine may delay that, but not every time.
 */
static void
check_soon(enum hvh_shutdown_kind kind, bool force, int howto, bool refused)
{
	uint64_t took = SOON;
	struct join j;

	for (unsigned i = 0; i < 5 && took >= SOON; i++) {
		start(&j, add_shutdown);
		if (refused) {
			ask(HVH_SHUTDOWN_HIBERNATE, false, S_NOT_SUPPORTED, -1);
			ask(HVH_SHUTDOWN_HIBERNATE, true, S_NOT_SUPPORTED, -1);
		}
		took = ask(kind, force, 0, howto);
		join_finish(&j);
	}
	ATF_CHECK_MSG(took < SOON, "%ju us", (uintmax_t)took / 1000);
}

ATF_TC(poweroff);
ATF_TC_HEAD(poweroff, tc)
{
	atf_tc_set_md_var(tc, "descr", "power-off reaches init within 100 ms");
}
ATF_TC_BODY(poweroff, tc)
{

	check_soon(HVH_SHUTDOWN_POWEROFF, false, RB_POWEROFF, false);
}

ATF_TC(poweroff_forced);
ATF_TC_HEAD(poweroff_forced, tc)
{
	atf_tc_set_md_var(tc, "descr", "a forced power-off is an orderly one");
}
ATF_TC_BODY(poweroff_forced, tc)
{

	check_soon(HVH_SHUTDOWN_POWEROFF, true, RB_POWEROFF, false);
}

ATF_TC(reboot);
ATF_TC_HEAD(reboot, tc)
{
	atf_tc_set_md_var(tc, "descr", "hibernation is refused, and a reboot "
	    "still possible");
}
ATF_TC_BODY(reboot, tc)
{

	check_soon(HVH_SHUTDOWN_REBOOT, false, RB_AUTOBOOT, true);
}

ATF_TC(reboot_forced);
ATF_TC_HEAD(reboot_forced, tc)
{
	atf_tc_set_md_var(tc, "descr", "a forced reboot is an orderly one");
}
ATF_TC_BODY(reboot_forced, tc)
{

	check_soon(HVH_SHUTDOWN_REBOOT, true, RB_AUTOBOOT, false);
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "hosts of every version can power the "
	    "guest off");
}
ATF_TC_BODY(versions, tc)
{
	static const struct {
		uint32_t	 version;
		const char	*text;
	} v[] = {
		{ HVH_IC_VERSION(1, 0), "1.0" },
		{ HVH_IC_VERSION(3, 0), "3.0" },
		{ HVH_IC_VERSION(3, 1), "3.1" },
		{ HVH_IC_VERSION(3, 2), "3.2" },
	};
	char text[16];
	struct join j;
	uint64_t took;
	unsigned i, n;

	for (i = 0; i < 4; i++) {
		max_version = v[i].version;
		if (i == 0)
			start(&j, add_shutdown);
		else {
			add_shutdown(&j);
			ATF_REQUIRE(join_wait(ready, NULL, 10000));
		}
		ATF_REQUIRE_EQ(0, kpi_sysctl_get("dev.hvshutdown.0.msg_version",
		    text, sizeof(text)));
		ATF_CHECK_STREQ(v[i].text, text);
		for (took = SOON, n = 0; n < 5 && took >= SOON; n++)
			took = ask(HVH_SHUTDOWN_POWEROFF, false, 0,
			    RB_POWEROFF);
		ATF_CHECK_MSG(took < SOON, "%ju us", (uintmax_t)took / 1000);
		hvh_ic_remove(ic);
		while (kpi_sysctl_get("dev.hvshutdown.0.msg_version", text,
		    sizeof(text)) == 0)
			usleep(1000);
	}
	join_finish(&j);
}

ATF_TC(flags);
ATF_TC_HEAD(flags, tc)
{
	atf_tc_set_md_var(tc, "descr", "flags that mean nothing are refused");
}
ATF_TC_BODY(flags, tc)
{
	struct raw_msg m;
	struct join j;
	uint32_t flags;

	start(&j, add_raw);
	raw_ic_agree(raw, 0x30002);
	for (flags = 6; flags < 40; flags++)
		order(flags, S_INVALID);
	order(0x80000000, S_INVALID);
	order(0xffffffff, S_INVALID);
	order(4, S_NOT_SUPPORTED);
	order(5, S_NOT_SUPPORTED);
	/* Too short for flags. */
	raw_msg(&m, 3, 11);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	raw_msg(&m, 3, 0);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	nothing_asked();
	/* The three numbers alone will do. */
	raw_msg(&m, 3, 12);
	raw_put32(&m, 36, 2);
	(void)raw_ic_ask(raw, &m, 0);
	asked(RB_AUTOBOOT);
	join_finish(&j);
}

ATF_TC(twice);
ATF_TC_HEAD(twice, tc)
{
	atf_tc_set_md_var(tc, "descr", "asked twice, the guest goes down once");
}
ATF_TC_BODY(twice, tc)
{
	struct join j;

	start(&j, add_raw);
	raw_ic_agree(raw, 0x30002);
	order(0, 0);
	asked(RB_POWEROFF);
	order(0, 0);
	order(1, 0);
	/* What was begun is not changed. */
	order(2, S_FAIL);
	order(3, S_FAIL);
	order(4, S_NOT_SUPPORTED);
	order(8, S_INVALID);
	nothing_asked();
	join_finish(&j);
}

/* The host does not even wait until it knows the guest's versions. */
static void
add_hasty(struct join *j)
{

	add_raw(j);
	raw_negotiation(&raw->greetings[0], 0x30002);
	raw_msg(&raw->greetings[1], 3, 12);
	raw->ngreetings = 2;
	join_slow_controller(j, 0, 500000000);
}

ATF_TC(early);
ATF_TC_HEAD(early, tc)
{
	atf_tc_set_md_var(tc, "descr", "a request while the kernel boots is "
	    "refused, for there is no init yet; a later one is not");
}
ATF_TC_BODY(early, tc)
{
	struct join_config cf = {
		.no_disks = true, .prepare = add_hasty, .vm.preload = true,
	};
	const struct raw_answer *a;
	struct join j;

	join_start(&j, &cf);
	a = raw_ic_answer(raw, 10000);
	ATF_REQUIRE(a != NULL && raw_get(a, 28, 2) == 1);
	a = raw_ic_answer(raw, 10000);
	ATF_REQUIRE(a != NULL);
	ATF_CHECK_EQ(S_FAIL, raw_get(a, 20, 4));
	nothing_asked();
	order(0, 0);
	asked(RB_POWEROFF);
	join_finish(&j);
}

ATF_TC(deaf);
ATF_TC_HEAD(deaf, tc)
{
	atf_tc_set_md_var(tc, "descr", "the guest goes down though the host "
	    "reads no answer");
}
ATF_TC_BODY(deaf, tc)
{
	struct raw_msg m;
	struct join j;
	unsigned i;

	start(&j, add_raw);
	raw_ic_agree(raw, 0x30002);
	hvh_lock(j.host);
	raw->deaf = true;
	hvh_unlock(j.host);
	/* Answers fill the ring, but for less than one of them. */
	raw_msg(&m, 3, 9000);
	raw_put32(&m, 36, 8);
	for (i = 0; i < 3; i++) {
		ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, i));
		while (join_sysctl("dev.hvshutdown.0.requests") <= i)
			usleep(1000);
	}
	raw_put32(&m, 36, 0);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, i));
	asked(RB_POWEROFF);
	raw->taken = 1;
	raw_ic_listen(raw);
	for (i = 0; i < 4; i++)
		ATF_REQUIRE(raw_ic_answer(raw, 10000) != NULL);
	ATF_CHECK_EQ(0, raw_get(&raw->answers[4], 20, 4));
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, poweroff);
	ATF_TP_ADD_TC(tp, poweroff_forced);
	ATF_TP_ADD_TC(tp, reboot);
	ATF_TP_ADD_TC(tp, reboot_forced);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, flags);
	ATF_TP_ADD_TC(tp, twice);
	ATF_TP_ADD_TC(tp, early);
	ATF_TP_ADD_TC(tp, deaf);
	return (atf_no_error());
}
