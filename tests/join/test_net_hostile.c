/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * An adapter with frames on their way both ways, and a host that says what is
 * not so: what it spoils is lost and counted, all else arrives, and nothing of
 * the guest's or the host's stays out.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "join_net.h"

/* protocol: netvsc, 3.1 and 4.2 */
#define	NVSP_ACK	108
#define	NVSP_VF		128
#define	NVSP_TABLE	134
#define	RXBUF_ID	0xcafe
#define	RNDIS_PACKET	1

#define	SPOILED		5u	/* frames */

static struct join_net jn[1];
static struct join_frame in, out;

static void
start(unsigned channels)
{
	struct join_net_config cf = { .vm = { .cpus = 4, .quiet = true },
	    .params.max_channels = (uint16_t)channels };

	join_net_start(jn, &cf);
}

static unsigned long
counter(const char *name)
{
	char value[64], path[64];

	snprintf(path, sizeof(path), "dev.hn.0.%s", name);
	ATF_REQUIRE_EQ(0, kpi_sysctl_get(path, value, sizeof(value)));
	return (strtoul(value, NULL, 10));
}

/* Returns the host's count of strikes so far at that point. */
static uint64_t
fault(enum hvh_fault_point point, enum hvh_fault_action action, uint32_t key,
    unsigned times, uint32_t offset, uint32_t len, uint64_t arg)
{
	struct hvh_fault f = { .point = point, .action = action, .key = key,
	    .times = times, .offset = offset, .len = len, .arg = arg };

	ATF_REQUIRE_EQ(0, hvh_fault_add(vm_host(), &f));
	return (hvh_fault_count(vm_host(), point));
}

/* A flow is in the highest byte of a seed. */
static uint32_t
seed(unsigned i)
{

	return ((i % 8) << 24 | i);
}

/* Frames pass, whole, on every flow. */
static void
both_ways(void)
{
	struct kpi_frame f;
	unsigned i;

	for (i = 0; i < 32; i++) {
		join_frame(&out, 4, JOIN_UDP, i % 2 == 0 ? 50 : 1400, seed(i),
		    true, false);
		ATF_REQUIRE_EQ(0, join_net_send(jn, &out, 0, 0));
		ATF_REQUIRE_MSG(join_net_heard(jn, &in, 5000),
		    "frame %u went nowhere", i);
		ATF_REQUIRE_EQ(out.len, in.len);
		ATF_REQUIRE_EQ(0, memcmp(in.data, out.data, out.len));
		join_frame(&out, 4, JOIN_UDP, i % 2 == 0 ? 50 : 1400, seed(i),
		    true, true);
		join_net_say(jn, &out);
		ATF_REQUIRE_MSG(join_net_got(jn, &in, &f, 5000),
		    "frame %u did not come", i);
		ATF_REQUIRE_EQ(out.len, in.len);
		ATF_REQUIRE_EQ(0, memcmp(in.data, out.data, out.len));
	}
}

/* Sends so many at once; all are heard. */
static void
burst(unsigned n)
{
	const int enobufs = 55;		/* FreeBSD's */
	unsigned i, heard = 0, tries = 0;
	int error;

	for (i = 0; i < n; i++) {
		join_frame(&out, 4, JOIN_UDP, i % 8 == 0 ? 1400 : 40, seed(i),
		    true, false);
		while ((error = join_net_send(jn, &out, 0, 0)) == enobufs &&
		    tries++ < 10000)
			usleep(1000);
		ATF_REQUIRE_EQ(0, error);
		while (join_net_heard(jn, &in, 0))
			heard++;
	}
	while (heard < n && join_net_heard(jn, &in, 5000))
		heard++;
	ATF_CHECK_EQ_MSG(n, heard, "%u of %u arrived", heard, n);
}

/*
 * The host has all of its receive buffer back; what comes back late goes with
 * the next frame's.
 */
static void
all_returned(void)
{
	struct hvh_net_stats st;
	struct kpi_frame f;
	unsigned i;

	join_frame(&out, 4, JOIN_UDP, 10, 0, true, true);
	join_net_say(jn, &out);
	ATF_REQUIRE(join_net_got(jn, &in, &f, 5000));
	for (i = 0; i < 5000; i++) {
		hvh_net_get_stats(jn[0].host, &st);
		if (st.rx_held == 0)
			return;
		usleep(1000);
	}
	atf_tc_fail_nonfatal("the guest keeps %u buffers", st.rx_held);
}

/* --- What is said of sends --- */

ATF_TC_WITHOUT_HEAD(answered_twice);
ATF_TC_BODY(answered_twice, tc)
{

	start(2);
	(void)fault(HVH_FAULT_PKT_OUT, HVH_FAULT_DUP, NVSP_ACK, 0, 0, 0, 0);
	burst(2000);
	both_ways();
	ATF_CHECK(counter("tx_bad") > 0);
	join_net_finish(jn, 1);
}

ATF_TC_WITHOUT_HEAD(answered_badly);
ATF_TC_BODY(answered_badly, tc)
{

	start(2);
	/* Status: failed; then another type of message; then too short. */
	(void)fault(HVH_FAULT_PKT_OUT, HVH_FAULT_CORRUPT, NVSP_ACK, 50, 4, 4,
	    2);
	burst(400);
	ATF_CHECK(counter("tx_rejected") > 0);
	(void)fault(HVH_FAULT_PKT_OUT, HVH_FAULT_CORRUPT, NVSP_ACK, 20, 0, 4,
	    105);
	burst(400);
	(void)fault(HVH_FAULT_PKT_OUT, HVH_FAULT_TRUNCATE, NVSP_ACK, 20, 0, 0,
	    4);
	burst(400);
	both_ways();
	join_net_finish(jn, 1);
}

ATF_TC_WITHOUT_HEAD(answered_late);
ATF_TC_BODY(answered_late, tc)
{

	start(2);
	(void)fault(HVH_FAULT_PKT_OUT, HVH_FAULT_DELAY, NVSP_ACK, 200, 0, 0,
	    20000000);
	burst(2000);
	hvh_fault_clear(vm_host());
	(void)fault(HVH_FAULT_PKT_OUT, HVH_FAULT_HOLD, NVSP_ACK, 200, 0, 0,
	    0);
	burst(2000);
	both_ways();
	join_net_finish(jn, 1);
}

/* --- Received: where it is, and what it is --- */

struct spoil {
	const char	*what;
	uint32_t	 offset, len;
	uint64_t	 arg;
};

static bool
are_counted(void *arg)
{

	return (counter("rx_bad") >= *(unsigned long *)arg);
}

/* One by one, so that each is spoilt. */
static void
check_spoilt(enum hvh_fault_point point, uint32_t key, const struct spoil *sp)
{
	unsigned long bad = counter("rx_bad");
	struct kpi_frame f;
	unsigned i;
	uint64_t struck;

	struck = fault(point, HVH_FAULT_CORRUPT, key, SPOILED, sp->offset,
	    sp->len, sp->arg);
	for (i = 0; i < SPOILED; i++) {
		join_frame(&out, 4, JOIN_UDP, 1400, seed(i), true, true);
		join_net_say(jn, &out);
		bad++;
		ATF_CHECK_MSG(join_wait(are_counted, &bad, 10000),
		    "%s: not counted", sp->what);
		ATF_CHECK_MSG(!join_net_got(jn, &in, &f, 20),
		    "%s: came nevertheless", sp->what);
	}
	ATF_CHECK_EQ_MSG(struck + SPOILED, hvh_fault_count(vm_host(), point),
	    "%s", sp->what);
	hvh_fault_clear(vm_host());
	both_ways();
	all_returned();
}

ATF_TC_WITHOUT_HEAD(ranges);
ATF_TC_BODY(ranges, tc)
{
	static const struct spoil spoils[] = {
		{ "a set that was never given", 0, 2, 0xbeef },
		{ "no ranges", 4, 4, 0 },
		{ "more ranges than there are", 4, 4, 2 },
		{ "ranges without end", 4, 4, 0xffffffff },
		{ "a range of no bytes", 8, 4, 0 },
		{ "a range too short for a header", 8, 4, 4 },
		{ "a range longer than the buffer", 8, 4, 0xfffffff8 },
		{ "a range behind the buffer", 12, 4, 0x7ffffff0 },
		{ "a range that ends behind the buffer", 12, 4,
		    (31 << 20) - 64 },
		{ "a range that wraps around", 12, 4, 0xfffffff0 },
		{ "an odd range", 12, 4, 1 },
	};
	unsigned i;

	start(1);
	for (i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++)
		check_spoilt(HVH_FAULT_PKT_OUT, RXBUF_ID, &spoils[i]);
	join_net_finish(jn, 1);
}

/* The provider's messages: header 44, per-packet information behind it. */
ATF_TC_WITHOUT_HEAD(messages);
ATF_TC_BODY(messages, tc)
{
	static const struct spoil spoils[] = {
		{ "a message of no bytes", 4, 4, 0 },
		{ "a message longer than its range", 4, 4, 0x10000 },
		{ "data in the header", 8, 4, 4 },
		{ "data behind the message", 8, 4, 0xfffffff0 },
		{ "no data", 12, 4, 0 },
		{ "more data than there is", 12, 4, 5000 },
		{ "data without end", 12, 4, 0xffffffff },
		{ "data shorter than a header", 12, 4, 13 },
		{ "out-of-band data that overlap", 16, 8, 0x40000000fc },
		{ "out-of-band data elsewhere", 16, 8, 0x4fffffff0 },
		{ "information in the header", 28, 4, 4 },
		{ "information over the data", 28, 4, 248 },
		{ "information elsewhere", 28, 4, 0xfffffff0 },
		{ "information that is cut", 32, 4, 8 },
		{ "information without end", 32, 4, 0xfffffff0 },
		{ "a chain that stands still", 44, 4, 0 },
		{ "a chain that goes back", 44, 4, 0xfffffff0 },
		{ "a chain that leaves the packet", 44, 4, 0x1000 },
		{ "a value in the entry's header", 52, 4, 0 },
		{ "a value outside of the entry", 52, 4, 0x1000 },
	};
	unsigned i;

	start(1);
	for (i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++)
		check_spoilt(HVH_FAULT_RNDIS_OUT, RNDIS_PACKET, &spoils[i]);
	join_net_finish(jn, 1);
}

/* All ranges of a transfer are the first one. */
static void
overlap(void *arg, void *data, size_t *len)
{
	uint8_t *p = data;
	uint32_t i, n;

	memcpy(&n, p + 4, sizeof(n));
	for (i = 1; i < n; i++)
		memcpy(p + 8 + i * 8, p + 8, 8);
	if (n > 1)
		++*(unsigned *)arg;
}

ATF_TC_WITHOUT_HEAD(ranges_overlap);
ATF_TC_BODY(ranges_overlap, tc)
{
	static unsigned seen;
	struct hvh_fault f = { .point = HVH_FAULT_PKT_OUT, .key = RXBUF_ID,
	    .action = HVH_FAULT_CALL, .hook = overlap, .hook_arg = &seen };
	struct kpi_frame fr;
	unsigned i, tries;

	start(1);
	ATF_REQUIRE_EQ(0, hvh_fault_add(vm_host(), &f));
	for (tries = 0; seen < 10 && tries < 200; tries++) {
		join_frame(&out, 4, JOIN_UDP, 1400, seed(tries), true, true);
		for (i = 0; i < 20; i++)
			join_net_say(jn, &out);
		for (i = 0; i < 20; i++) {
			ATF_REQUIRE(join_net_got(jn, &in, &fr, 5000));
			ATF_REQUIRE_EQ(out.len, in.len);
			ATF_REQUIRE_EQ(0, memcmp(in.data, out.data, out.len));
		}
		vm_pump();
	}
	ATF_CHECK(seen >= 10);
	hvh_fault_clear(vm_host());
	both_ways();
	all_returned();
	join_net_finish(jn, 1);
}

/* --- Notices --- */

/* Channels that are no ring, that are none now, and that are. */
static void
nowhere(void *arg, void *data, size_t *len)
{
	static const uint32_t chan[] = { 3, 1000, 0xffffffff, 1, 63, 64, 2,
	    0x80000000 };
	uint8_t *p = data;

	for (unsigned i = 0; i < 16; i++)
		memcpy(p + 12 + i * 4, &chan[i % 8], 4);
	++*(unsigned *)arg;
}

ATF_TC_WITHOUT_HEAD(table_nowhere);
ATF_TC_BODY(table_nowhere, tc)
{
	static unsigned seen;
	struct hvh_fault f = { .point = HVH_FAULT_PKT_OUT, .key = NVSP_TABLE,
	    .action = HVH_FAULT_CALL, .hook = nowhere, .hook_arg = &seen };

	/* Four rings, two channels. */
	start(2);
	ATF_REQUIRE_EQ(0, hvh_fault_add(vm_host(), &f));
	/* A new session has a new table. */
	ATF_REQUIRE_EQ(0, kpi_net_mtu(jn[0].guest, 4000));
	ATF_REQUIRE_EQ(2, counter("tx_ring_inuse"));
	both_ways();
	ATF_CHECK(seen > 0);
	burst(2000);
	join_net_finish(jn, 1);
}

ATF_TC_WITHOUT_HEAD(revoked);
ATF_TC_BODY(revoked, tc)
{
	/* The guest's own words, answers to nobody, and no word at all. */
	static const uint32_t types[] = { 103, 106, 102, 105, 108, 107, 133,
	    0, 0xffffffff };
	unsigned i;
	uint64_t n;

	start(2);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		n = fault(HVH_FAULT_PKT_OUT, HVH_FAULT_CORRUPT, NVSP_VF, 1, 0,
		    4, types[i]);
		ATF_REQUIRE_EQ(0, hvh_net_vf(jn[0].host, true, i));
		burst(500);
		both_ways();
		ATF_CHECK_EQ(n + 1, hvh_fault_count(vm_host(),
		    HVH_FAULT_PKT_OUT));
	}
	all_returned();
	join_net_finish(jn, 1);
}

ATF_TC_WITHOUT_HEAD(storm);
ATF_TC_BODY(storm, tc)
{
	struct kpi_net_info info;
	unsigned i;

	start(2);
	for (i = 0; i < 500; i++) {
		ATF_REQUIRE_EQ(0, hvh_net_link(jn[0].host, i % 2 != 0));
		join_frame(&out, 4, JOIN_UDP, 40, seed(i), true, false);
		(void)join_net_send(jn, &out, 0, 0);
		join_frame(&out, 4, JOIN_UDP, 40, seed(i), true, true);
		join_net_say(jn, &out);
	}
	for (i = 0; i < 5000; i++) {
		ATF_REQUIRE_EQ(0, kpi_net_info(jn[0].guest, &info));
		if (info.link == 2)
			break;
		usleep(1000);
	}
	ATF_CHECK_EQ(2, info.link);
	/* What came through, and what is still on its way. */
	while (join_net_heard(jn, &in, 200))
		;
	for (;;) {
		struct kpi_frame f;

		if (!join_net_got(jn, &in, &f, 200))
			break;
	}
	both_ways();
	join_net_finish(jn, 1);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, answered_twice);
	ATF_TP_ADD_TC(tp, answered_badly);
	ATF_TP_ADD_TC(tp, answered_late);
	ATF_TP_ADD_TC(tp, ranges);
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, ranges_overlap);
	ATF_TP_ADD_TC(tp, table_nowhere);
	ATF_TP_ADD_TC(tp, revoked);
	ATF_TP_ADD_TC(tp, storm);
	return (atf_no_error());
}
