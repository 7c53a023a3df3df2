/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The frame of the integration services, with hosts that do as they should and
 * others: negotiation, replies, heartbeat, and a device that comes and goes.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "raw_ic.h"

#define	HEARTBEAT	"57164f39-9115-4e78-ab55-382f3bd5422d"

#define	S_FAIL		0x80004005
#define	S_INVALID	0x80070057

static struct raw_ic *raw;

static void
add_raw(struct join *j)
{

	raw = raw_ic_add(j->host, HEARTBEAT);
}

/* A machine with one service, which has a raw host. */
static void
start(struct join *j, unsigned cpus)
{
	struct join_config cf = {
		.no_disks = true, .prepare = add_raw, .vm.cpus = cpus,
	};

	join_start(j, &cf);
	raw_ic_wait_open(raw);
}

static void
beat(uint64_t seq, uint32_t len, uint32_t status)
{
	const struct raw_answer *a;
	struct raw_msg m;

	raw_msg(&m, 1, len);
	if (len >= 8)
		raw_put64(&m, 28, seq);
	if (len > 8)
		m.data[28 + len - 1] = 0x5a;
	a = raw_ic_ask(raw, &m, status);
	if (status != 0)
		return;
	ATF_CHECK_EQ(seq + 1, raw_get64(a, 28));
	if (len > 8)
		ATF_CHECK_EQ(0x5a, raw_get(a, 28 + len - 1, 1));
	ATF_CHECK_EQ(len, raw_get(a, 18, 2));
}

ATF_TC(heartbeat);
ATF_TC_HEAD(heartbeat, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host's count comes back, one "
	    "more, in every version and length");
}
ATF_TC_BODY(heartbeat, tc)
{
	struct join j;

	start(&j, 0);
	raw_ic_agree(raw, 0x30000);
	join_is("dev.hvheartbeat.0.fw_version", "3.0");
	join_is("dev.hvheartbeat.0.msg_version", "3.0");
	join_is("dev.hvheartbeat.0.%desc", "Hyper-V Heartbeat");
	beat(0, 16, 0);
	beat(41, 8, 0);
	beat(0xffffffff, 40, 0);
	beat(UINT64_MAX, 40, 0);
	/* Longer than anybody makes it. */
	beat(7, RAW_LEN - 28, 0);
	raw_ic_agree(raw, 0x10000);
	join_is("dev.hvheartbeat.0.msg_version", "1.0");
	beat(1, 40, 0);
	ATF_CHECK_EQ(6, join_sysctl("dev.hvheartbeat.0.requests"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvheartbeat.0.bad_messages"));
	join_finish(&j);
}

/* What the host gets to see if there is no version. */
static void
refused(const struct raw_msg *m)
{
	const struct raw_answer *a;

	a = raw_ic_ask(raw, m, 0);
	ATF_CHECK_EQ(0, raw_get(a, 28, 2));
	ATF_CHECK_EQ(0, raw_get(a, 30, 2));
	join_is("dev.hvheartbeat.0.fw_version", "0.0");
	join_is("dev.hvheartbeat.0.msg_version", "0.0");
}

ATF_TC(negotiation);
ATF_TC_HEAD(negotiation, tc)
{
	atf_tc_set_md_var(tc, "descr", "wrong, truncated and unknown "
	    "negotiations are answered with no version, and a good one "
	    "helps");
}
ATF_TC_BODY(negotiation, tc)
{
	struct raw_msg m;
	struct join j;

	start(&j, 0);
	/* Not agreed on anything yet. */
	beat(1, 16, S_FAIL);
	/* Versions that nobody knows. */
	raw_negotiation(&m, 0x90001);
	refused(&m);
	raw_negotiation(&m, 0x30000);
	raw_put16(&m, 36, 2);
	raw_put16(&m, 40, 9);
	refused(&m);
	beat(1, 16, S_FAIL);
	/* More versions than there are bytes. */
	raw_negotiation(&m, 0x30000);
	raw_put16(&m, 28, 0xffff);
	refused(&m);
	raw_negotiation(&m, 0x30000);
	raw_put16(&m, 30, 2);
	refused(&m);
	/* None, and less than none. */
	raw_negotiation(&m, 0x30000);
	raw_put32(&m, 28, 0);
	refused(&m);
	raw_msg(&m, 0, 8);
	refused(&m);
	raw_msg(&m, 0, 5);
	refused(&m);
	raw_msg(&m, 0, 0);
	refused(&m);
	/* Behind all that, as if nothing had been. */
	raw_ic_agree(raw, 0x30000);
	beat(5, 16, 0);
	/* And taken back. */
	raw_negotiation(&m, 0x90001);
	refused(&m);
	beat(6, 16, S_FAIL);
	ATF_CHECK_EQ(1, join_sysctl("dev.hvheartbeat.0.requests"));
	join_finish(&j);
}

ATF_TC(foreign);
ATF_TC_HEAD(foreign, tc)
{
	atf_tc_set_md_var(tc, "descr", "messages of another service, or that "
	    "are too short, are answered as failed");
}
ATF_TC_BODY(foreign, tc)
{
	struct raw_msg m;
	struct join j;
	uint16_t type;

	start(&j, 0);
	raw_ic_agree(raw, 0x30000);
	for (type = 2; type < 12; type++) {
		raw_msg(&m, type, 40);
		(void)raw_ic_ask(raw, &m, S_FAIL);
	}
	raw_msg(&m, 0xffff, 0);
	(void)raw_ic_ask(raw, &m, S_FAIL);
	beat(0, 7, S_INVALID);
	beat(0, 0, S_INVALID);
	/* A body that claims to be longer than the message. */
	raw_msg(&m, 1, 8);
	raw_put16(&m, 18, 9);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	raw_put16(&m, 18, 0xffff);
	(void)raw_ic_ask(raw, &m, S_INVALID);
	ATF_CHECK_EQ(15, join_sysctl("dev.hvheartbeat.0.bad_messages"));
	beat(1, 16, 0);
	join_finish(&j);
}

ATF_TC(broken);
ATF_TC_HEAD(broken, tc)
{
	atf_tc_set_md_var(tc, "descr", "packets that are no message are "
	    "counted, not answered, and do no harm");
}
ATF_TC_BODY(broken, tc)
{
	struct raw_msg m;
	struct join j;
	uint32_t len;

	start(&j, 0);
	raw_ic_agree(raw, 0x30000);
	/* Shorter than the header. */
	raw_msg(&m, 1, 16);
	for (len = 0; len < 28; len += 4)
		ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, len, 1));
	/* A completion, and an answer of the host's. */
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 11, m.data, m.len, 1));
	m.data[25] = 5;
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, 1));
	/* The pipe's header: type, too short, too long. */
	raw_msg(&m, 1, 16);
	raw_put32(&m, 0, 2);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, 1));
	raw_msg(&m, 1, 16);
	raw_put32(&m, 4, 19);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, 1));
	raw_put32(&m, 4, 0);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, 1));
	raw_put32(&m, 4, 41);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, 1));
	raw_put32(&m, 4, UINT32_MAX);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 6, m.data, m.len, 1));
	beat(1, 16, 0);
	ATF_CHECK_EQ(14, join_sysctl("dev.hvheartbeat.0.bad_messages"));
	join_finish(&j);
}

ATF_TC(deaf_host);
ATF_TC_HEAD(deaf_host, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that reads no answers gets them "
	    "later, as far as they fit, and takes nothing down");
}
ATF_TC_BODY(deaf_host, tc)
{
	unsigned sent = 0, i;
	struct raw_msg m;
	struct join j;

	start(&j, 0);
	raw_ic_agree(raw, 0x30000);
	hvh_lock(j.host);
	raw->deaf = true;
	hvh_unlock(j.host);
	raw_msg(&m, 1, 4096);
	for (i = 0; i < 2000 && sent < 40; i++) {
		if (raw_ic_send(raw, 6, m.data, m.len, i) == 0)
			sent++;
		else
			usleep(1000);
	}
	ATF_REQUIRE_EQ(40, sent);
	for (i = 0; join_sysctl("dev.hvheartbeat.0.requests") +
	    join_sysctl("dev.hvheartbeat.0.dropped") < 40; i++) {
		ATF_REQUIRE(i < 10000);
		usleep(1000);
	}
	raw_ic_listen(raw);
	for (i = 0; raw_ic_got(raw) - 1 <
	    join_sysctl("dev.hvheartbeat.0.requests"); i++) {
		ATF_REQUIRE_MSG(i < 10000, "answers are missing");
		usleep(1000);
	}
	ATF_CHECK(join_sysctl("dev.hvheartbeat.0.dropped") > 0);
	raw->taken = raw_ic_got(raw);
	beat(1, 16, 0);
	ATF_CHECK_EQ(0, join_sysctl("dev.hvheartbeat.0.bad_messages"));
	join_finish(&j);
}

ATF_TC(deaf_unload);
ATF_TC_HEAD(deaf_unload, tc)
{
	atf_tc_set_md_var(tc, "descr", "unloading with answers that nobody "
	    "reads");
}
ATF_TC_BODY(deaf_unload, tc)
{
	struct raw_msg m;
	struct join j;
	unsigned i;

	start(&j, 0);
	raw_ic_agree(raw, 0x30000);
	hvh_lock(j.host);
	raw->deaf = true;
	hvh_unlock(j.host);
	raw_msg(&m, 1, 12000);
	for (i = 0; i < 8; i++) {
		(void)raw_ic_send(raw, 6, m.data, m.len, i);
		usleep(1000);
	}
	join_finish(&j);
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x < *y ? -1 : *x > *y);
}

/* The median of some heartbeats' times, in ns. */
static uint64_t
beats(void)
{
	uint64_t took[200];

	for (unsigned i = 0; i < 200; i++) {
		took[i] = vm_now();
		beat(i, 16, 0);
		took[i] = vm_now() - took[i];
		usleep(2000);
	}
	qsort(took, 200, sizeof(took[0]), by_size);
	printf("half within %ju us, 99 %% within %ju us, all within %ju us\n",
	    (uintmax_t)took[100] / 1000, (uintmax_t)took[198] / 1000,
	    (uintmax_t)took[199] / 1000);
	return (took[100]);
}

static void
check_load(const struct join_config *cf)
{
	struct join_load *l[2];
	uint64_t errors, median;
	struct join j;
	unsigned i;

	join_start(&j, cf);
	raw_ic_wait_open(raw);
	raw_ic_agree(raw, 0x30000);
	l[0] = join_load_start("da0", 4 << 20, 32);
	l[1] = join_load_start("da1", 4 << 20, 32);
	/* Of a few times one is without others. */
	for (i = 0; (median = beats()) >= 10000000 && i < 4; i++)
		;
	for (i = 0; i < 2; i++) {
		ATF_CHECK(join_load_stop(l[i], &errors) > 100);
		ATF_CHECK_EQ(0, errors);
	}
	ATF_CHECK_MSG(median < 10000000, "%ju us", (uintmax_t)median / 1000);
	join_finish(&j);
}

ATF_TC(load);
ATF_TC_HEAD(load, tc)
{
	atf_tc_set_md_var(tc, "descr", "a heartbeat is answered within 10 ms "
	    "while all processors do I/O; half of them at least, where they "
	    "are shared with others");
}
ATF_TC_BODY(load, tc)
{
	struct join_config cf = {
		.prepare = add_raw, .luns = 2, .subchannels = 3,
	};

	check_load(&cf);
}

ATF_TC(load_one);
ATF_TC_HEAD(load_one, tc)
{
	atf_tc_set_md_var(tc, "descr", "nor does a disk that is as quick as "
	    "its only processor keep that from a heartbeat");
}
ATF_TC_BODY(load_one, tc)
{
	struct join_config cf = {
		.prepare = add_raw, .luns = 2, .vm.cpus = 1,
	};

	check_load(&cf);
}

/* --- A host as it should be --- */

static struct hvh_ic *ic;

static void
add_heartbeat(struct join *j)
{
	struct hvh_ic_params ip = { .kind = HVH_IC_HEARTBEAT };

	ATF_REQUIRE_EQ(0, hvh_ic_add(j->host, &ip, &ic));
}

static bool
ready(void *arg)
{
	struct hvh_ic_info ii;

	hvh_ic_get_info(ic, &ii);
	return (ii.state == HVH_IC_READY);
}

static bool
answered(void *arg)
{
	struct hvh_heartbeat_info hi;

	hvh_heartbeat_get_info(ic, &hi);
	return (hi.answered >= *(uint64_t *)arg);
}

ATF_TC(alive);
ATF_TC_HEAD(alive, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host sees a guest that is well, "
	    "with newest and oldest versions");
}
ATF_TC_BODY(alive, tc)
{
	struct join_config cf = {
		.no_disks = true, .fast_clock = true,
		.prepare = add_heartbeat,
	};
	struct hvh_heartbeat_info hi;
	uint64_t want = 3;
	struct join j;

	join_start(&j, &cf);
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	ATF_REQUIRE(join_wait(answered, &want, 60000));
	hvh_heartbeat_get_info(ic, &hi);
	ATF_CHECK_EQ(HVH_HEARTBEAT_OK, hi.state);
	ATF_CHECK_EQ(0, hi.wrong);
	ATF_CHECK_EQ(0, hi.missed);
	join_is("dev.hvheartbeat.0.fw_version", "3.0");
	/* The host forgets all, as after a restore. */
	hvh_ic_renegotiate(ic);
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	want = hi.answered + 2;
	ATF_REQUIRE(join_wait(answered, &want, 60000));
	join_finish(&j);
}

ATF_TC(sleep);
ATF_TC_HEAD(sleep, tc)
{
	atf_tc_set_md_var(tc, "descr", "after sleep the service is back");
}
ATF_TC_BODY(sleep, tc)
{
	struct join_config cf = {
		.no_disks = true, .fast_clock = true,
		.prepare = add_heartbeat,
	};
	struct hvh_heartbeat_info hi;
	struct hvh_ic_info ii;
	uint64_t requests, want = 1;
	struct join j;

	join_start(&j, &cf);
	ATF_REQUIRE(join_wait(answered, &want, 60000));
	ATF_REQUIRE_EQ(0, kpi_suspend());
	vm_pump();
	hvh_ic_get_info(ic, &ii);
	ATF_CHECK_EQ(HVH_IC_CLOSED, ii.state);
	hvh_heartbeat_get_info(ic, &hi);
	/* The last answer may have been in the ring as that was closed. */
	requests = join_sysctl("dev.hvheartbeat.0.requests");
	ATF_CHECK(requests == hi.answered || requests == hi.answered + 1);
	ATF_REQUIRE_EQ(0, kpi_resume());
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	want = hi.answered + 1;
	ATF_REQUIRE(join_wait(answered, &want, 60000));
	join_finish(&j);
}

ATF_TC(rescind);
ATF_TC_HEAD(rescind, tc)
{
	atf_tc_set_md_var(tc, "descr", "a service that the host takes away, "
	    "and brings again");
}
ATF_TC_BODY(rescind, tc)
{
	struct join_config cf = {
		.no_disks = true, .prepare = add_heartbeat,
	};
	uint64_t want = 1;
	struct join j;
	unsigned i;

	join_start(&j, &cf);
	for (i = 0; i < 5; i++) {
		ATF_REQUIRE(join_wait(ready, NULL, 10000));
		hvh_ic_remove(ic);
		ATF_REQUIRE(join_wait(join_sysctl_gone,
		    "dev.hvheartbeat.0.requests", 10000));
		add_heartbeat(&j);
	}
	ATF_REQUIRE(join_wait(answered, &want, 60000));
	join_finish(&j);
}

ATF_TC(attach_fails);
ATF_TC_HEAD(attach_fails, tc)
{
	atf_tc_set_md_var(tc, "descr", "loading with each allocation failing "
	    "once leaves nothing behind");
}
ATF_TC_BODY(attach_fails, tc)
{
	struct join_config cf = {
		.no_disks = true, .no_load = true, .prepare = add_heartbeat,
	};
	struct join j;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_vmbus"));
	ATF_CHECK(join_refuse_each(ready, NULL) > 0);
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_utils"));
	ATF_REQUIRE(join_wait(ready, NULL, 10000));
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, heartbeat);
	ATF_TP_ADD_TC(tp, negotiation);
	ATF_TP_ADD_TC(tp, foreign);
	ATF_TP_ADD_TC(tp, broken);
	ATF_TP_ADD_TC(tp, deaf_host);
	ATF_TP_ADD_TC(tp, deaf_unload);
	ATF_TP_ADD_TC(tp, load);
	ATF_TP_ADD_TC(tp, load_one);
	ATF_TP_ADD_TC(tp, alive);
	ATF_TP_ADD_TC(tp, sleep);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, attach_fails);
	return (atf_no_error());
}
