/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Faults: each action at each point does what hvhost.h says, and nothing when
 * it is gone.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "echo.h"
#include "guest.h"

#define	RING	PG_FREE

static struct guest g;
static struct echo e;
static struct guest_ring r;
static uint32_t chan, conn, gpadl;

static void
start(void)
{
	uint8_t m[240];

	guest_create(&g, NULL);
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	chan = get32(m + 184);
	conn = get32(m + 192);
	gpadl = guest_gpadl(&g, chan, RING, 8, 1);
}

static void
start_open(void)
{

	start();
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 0, 4));
	guest_ring(&r, &g, RING, 8, 4);
	guest_sleep(&g, 200000000);
	guest_event(&g, 0, chan);
}

static void
fault(enum hvh_fault_point point, enum hvh_fault_action action, uint32_t key,
    uint64_t arg)
{
	struct hvh_fault f = { .point = point, .action = action, .key = key,
	    .times = 1, .arg = arg, .len = 4 };

	ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &f));
}

static void
send_one(uint64_t xid, uint32_t key)
{
	uint8_t data[32] = { 0 };

	put32(data, key);
	guest_write(&r, 6, 1, xid, NULL, 0, data, sizeof(data));
	guest_signal(&g, conn);
	guest_pump(&g);
}

/* The id of the next completion, 0: none; its payload in data. */
static uint64_t
answer(uint8_t *data, uint32_t *len)
{
	uint8_t buf[256];

	*len = guest_read(&r, buf, sizeof(buf));
	if (*len == 0)
		return (0);
	*len -= 16;
	memcpy(data, buf + 16, *len);
	return (get64(buf + 8));
}

ATF_TC_WITHOUT_HEAD(table);
ATF_TC_BODY(table, tc)
{
	struct hvh_fault f = { .point = HVH_FAULT_POST,
	    .action = HVH_FAULT_STATUS, .arg = 0x0B, .skip = 2, .times = 3 };
	uint8_t m[8] = { 0 };

	start();
	ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &f));
	for (unsigned i = 0; i < 10; i++)
		ATF_REQUIRE_EQ(i >= 2 && i < 5 ? 0x0B : 0,
		    guest_post(&g, 1, m, sizeof(m)));
	ATF_REQUIRE_EQ(3, hvh_fault_count(g.h, HVH_FAULT_POST));
	ATF_REQUIRE_EQ(0, hvh_fault_count(g.h, HVH_FAULT_MSG_IN));
	hvh_fault_clear(g.h);
	f.skip = f.times = 0;
	for (unsigned i = 0; i < 32; i++)
		ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &f));
	ATF_REQUIRE_EQ(ENOSPC, hvh_fault_add(g.h, &f));
	for (unsigned i = 0; i < 10; i++)
		ATF_REQUIRE_EQ(0x0B, guest_post(&g, 1, m, sizeof(m)));
	hvh_fault_clear(g.h);
	ATF_REQUIRE_EQ(0, guest_post(&g, 1, m, sizeof(m)));
	f.action = HVH_FAULT_CORRUPT;
	f.len = 3;
	ATF_REQUIRE_EQ(EINVAL, hvh_fault_add(g.h, &f));
	f.action = HVH_FAULT_DROP;
	f.point = HVH_FAULT_POINTS;
	ATF_REQUIRE_EQ(EINVAL, hvh_fault_add(g.h, &f));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(message_out);
ATF_TC_BODY(message_out, tc)
{
	uint8_t m[240];

	start();
	/* OPEN RESULT lost, then late, twice, changed, short. */
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, 6, 0);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect_none(&g);
	ATF_REQUIRE_EQ(1, e.opens);
	guest_close(&g, chan);
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_DELAY, 6, 5000000);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect_none(&g);
	guest_sleep(&g, 4999999);
	guest_expect_none(&g);
	guest_sleep(&g, 1);
	guest_expect(&g, 6, m);
	guest_close(&g, chan);
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_DUP, 6, 0);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 0, 4));
	guest_expect(&g, 6, m);
	guest_close(&g, chan);
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_STATUS, 6, 0xC0000001);
	ATF_REQUIRE_EQ(0xC0000001, guest_open(&g, chan, gpadl, 0, 4));
	guest_close(&g, chan);
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_CORRUPT, 6, 0x77);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect(&g, 0x77, m);
	guest_close(&g, chan);
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_TRUNCATE, 6, 12);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_pump(&g);
	ATF_REQUIRE_EQ(12, guest_page(&g, PG_SIMP)[2 * 256 + 4]);
	guest_expect(&g, 6, m);
	guest_destroy(&g);
}

/* A held message comes after the next one. */
ATF_TC_WITHOUT_HEAD(reorder);
ATF_TC_BODY(reorder, tc)
{
	uint8_t m[240], t[16] = { 11 };

	start();
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_HOLD, 6, 0);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect_none(&g);
	guest_close(&g, chan);
	put32(t + 8, chan);
	put32(t + 12, gpadl);
	guest_post(&g, 1, t, sizeof(t));
	guest_expect(&g, 12, m);
	guest_expect(&g, 6, m);
	/* In: OPEN after the GPADL it needs is fine, before it is not. */
	gpadl = guest_gpadl(&g, chan, RING, 8, 1);
	fault(HVH_FAULT_MSG_IN, HVH_FAULT_HOLD, 11, 0);
	guest_post(&g, 1, "\x0b\0\0\0\0\0\0\0\xff\0\0\0\xff\0\0\0", 16);
	guest_expect_none(&g);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 0, 4));
	guest_expect_none(&g);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(message_in);
ATF_TC_BODY(message_in, tc)
{
	uint8_t m[240];

	start();
	fault(HVH_FAULT_MSG_IN, HVH_FAULT_DROP, 5, 0);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect_none(&g);
	ATF_REQUIRE_EQ(0, e.opens);
	fault(HVH_FAULT_MSG_IN, HVH_FAULT_STATUS, 5, 0x80000005);
	ATF_REQUIRE_EQ(0x80000005, guest_open(&g, chan, gpadl, 0, 4));
	ATF_REQUIRE_EQ(0, e.opens);
	fault(HVH_FAULT_MSG_IN, HVH_FAULT_DELAY, 5, 1000000);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect_none(&g);
	guest_sleep(&g, 1000000);
	guest_expect(&g, 6, m);
	ATF_REQUIRE_EQ(0, get32(m + 16));
	/* The hypercall's: done twice, the second is refused. */
	guest_close(&g, chan);
	fault(HVH_FAULT_POST, HVH_FAULT_DUP, 0, 0);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 0, 4));
	guest_expect(&g, 6, m);
	ATF_REQUIRE_EQ(0x8000FFFF, get32(m + 16));
	/* Lost though the guest was told it went. */
	fault(HVH_FAULT_POST, HVH_FAULT_DROP, 0, 0);
	guest_close(&g, chan);
	ATF_REQUIRE_EQ(0, e.closes - 1);
	fault(HVH_FAULT_POST, HVH_FAULT_DELAY, 0, 1000000);
	guest_close(&g, chan);
	ATF_REQUIRE_EQ(1, e.closes);
	guest_sleep(&g, 1000000);
	ATF_REQUIRE_EQ(2, e.closes);
	guest_destroy(&g);
}

/* RESCIND strikes first: the guest learns of it before the answer. */
ATF_TC_WITHOUT_HEAD(rescind_by_message);
ATF_TC_BODY(rescind_by_message, tc)
{
	uint8_t m[240], rel[12] = { 13 };

	start();
	fault(HVH_FAULT_MSG_OUT, HVH_FAULT_RESCIND, 6, 0);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect(&g, 2, m);
	guest_expect(&g, 6, m);
	ATF_REQUIRE_EQ(1, e.closes);
	put32(rel + 8, chan);
	guest_post(&g, 1, rel, sizeof(rel));
	guest_pump(&g);
	ATF_REQUIRE_EQ(1, e.released);
	guest_destroy(&g);

	/* Before OPEN is looked at: no answer to it. */
	start();
	fault(HVH_FAULT_MSG_IN, HVH_FAULT_RESCIND, 5, 0);
	guest_open_post(&g, chan, gpadl, 0, 4);
	guest_expect(&g, 2, m);
	guest_expect_none(&g);
	ATF_REQUIRE_EQ(0, e.opens);
	guest_destroy(&g);
	ATF_REQUIRE_EQ(1, e.released);
}

static void
shorten(void *arg, void *data, size_t *len)
{

	memset(data, 0x5A, 4);
	(*(unsigned *)arg)++;
	*len = 8;
}

ATF_TC_WITHOUT_HEAD(packet_out);
ATF_TC_BODY(packet_out, tc)
{
	struct hvh_fault hook = { .point = HVH_FAULT_PKT_OUT,
	    .action = HVH_FAULT_CALL, .key = 3, .times = 1, .hook = shorten };
	uint8_t d[256];
	unsigned calls = 0;
	uint32_t n;

	start_open();
	/* Only operation 3. */
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_DROP, 3, 0);
	send_one(1, 4);
	ATF_REQUIRE_EQ(1, answer(d, &n));
	send_one(2, 3);
	ATF_REQUIRE_EQ(0, answer(d, &n));
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_DUP, 3, 0);
	send_one(3, 3);
	ATF_REQUIRE_EQ(3, answer(d, &n));
	ATF_REQUIRE_EQ(3, answer(d, &n));
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_STATUS, 3, 0xC00000B5);
	send_one(4, 3);
	ATF_REQUIRE_EQ(4, answer(d, &n));
	ATF_REQUIRE_EQ(0xC00000B5, get32(d + 8));
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_CORRUPT, 3, 0xDEADBEEF);
	send_one(5, 3);
	ATF_REQUIRE_EQ(5, answer(d, &n));
	ATF_REQUIRE_EQ(0xDEADBEEF, get32(d));
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_TRUNCATE, 3, 8);
	send_one(6, 3);
	ATF_REQUIRE_EQ(6, answer(d, &n));
	ATF_REQUIRE_EQ(8, n);
	hook.hook_arg = &calls;
	ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &hook));
	send_one(7, 3);
	ATF_REQUIRE_EQ(7, answer(d, &n));
	ATF_REQUIRE_EQ(1, calls);
	ATF_REQUIRE_EQ(8, n);
	ATF_REQUIRE_EQ(0x5A5A5A5A, get32(d));
	/* Held until the next; delayed by the clock. */
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_HOLD, 3, 0);
	send_one(8, 3);
	ATF_REQUIRE_EQ(0, answer(d, &n));
	send_one(9, 3);
	ATF_REQUIRE_EQ(9, answer(d, &n));
	ATF_REQUIRE_EQ(8, answer(d, &n));
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_DELAY, 3, 7000000);
	send_one(10, 3);
	guest_sleep(&g, 6999999);
	ATF_REQUIRE_EQ(0, answer(d, &n));
	guest_event(&g, 0, chan);
	guest_sleep(&g, 1);
	ATF_REQUIRE_EQ(10, answer(d, &n));
	ATF_REQUIRE(guest_event(&g, 0, chan));
	ATF_REQUIRE_EQ(8, hvh_fault_count(g.h, HVH_FAULT_PKT_OUT));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(packet_in);
ATF_TC_BODY(packet_in, tc)
{
	uint8_t d[256];
	uint32_t n;

	start_open();
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_DROP, 3, 0);
	send_one(1, 3);
	ATF_REQUIRE_EQ(0, e.packets);
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_DUP, 3, 0);
	send_one(2, 3);
	ATF_REQUIRE_EQ(2, e.packets);
	ATF_REQUIRE_EQ(2, answer(d, &n));
	ATF_REQUIRE_EQ(2, answer(d, &n));
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_HOLD, 3, 0);
	send_one(3, 3);
	ATF_REQUIRE_EQ(0, answer(d, &n));
	send_one(4, 4);
	ATF_REQUIRE_EQ(4, answer(d, &n));
	ATF_REQUIRE_EQ(3, answer(d, &n));
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_STATUS, 3, 0xC0000010);
	send_one(5, 3);
	ATF_REQUIRE_EQ(5, answer(d, &n));
	/* A refusal that a storage driver takes for an answer. */
	ATF_REQUIRE_EQ(1, get32(d));
	ATF_REQUIRE_EQ(0xC0000010, get32(d + 8));
	ATF_REQUIRE_EQ(4, e.packets);
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_TRUNCATE, 3, 4);
	send_one(6, 3);
	ATF_REQUIRE_EQ(4, e.last_len);
	answer(d, &n);
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_DELAY, 3, 3000000);
	send_one(7, 3);
	ATF_REQUIRE_EQ(0, answer(d, &n));
	guest_sleep(&g, 3000000);
	ATF_REQUIRE_EQ(7, answer(d, &n));
	guest_destroy(&g);
}

/* In the middle of an I/O; what is kept then must not come later. */
ATF_TC_WITHOUT_HEAD(rescind_by_packet);
ATF_TC_BODY(rescind_by_packet, tc)
{
	uint8_t m[240], d[256];
	uint32_t n;

	start_open();
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_DELAY, 3, 1000000);
	fault(HVH_FAULT_PKT_OUT, HVH_FAULT_HOLD, 4, 0);
	fault(HVH_FAULT_PKT_IN, HVH_FAULT_RESCIND, 5, 0);
	send_one(1, 3);
	send_one(2, 4);
	send_one(3, 5);
	guest_expect(&g, 2, m);
	ATF_REQUIRE_EQ(1, e.closes);
	ATF_REQUIRE_EQ(2, e.packets);
	guest_sleep(&g, 100000000);
	ATF_REQUIRE_EQ(2, e.packets);
	/* What the device said before it went is there to be read. */
	ATF_REQUIRE_EQ(3, answer(d, &n));
	guest_destroy(&g);
	ATF_REQUIRE_EQ(1, e.released);
}

ATF_TC_WITHOUT_HEAD(signals);
ATF_TC_BODY(signals, tc)
{
	uint8_t d[256];
	uint32_t n;

	start_open();
	fault(HVH_FAULT_SIGNAL_OUT, HVH_FAULT_DROP, chan, 0);
	send_one(1, 1);
	ATF_REQUIRE(!guest_event(&g, 0, chan));
	ATF_REQUIRE_EQ(1, answer(d, &n));
	fault(HVH_FAULT_SIGNAL_OUT, HVH_FAULT_DELAY, HVH_FAULT_ANY, 2000000);
	send_one(2, 1);
	ATF_REQUIRE(!guest_event(&g, 0, chan));
	guest_sleep(&g, 2000000);
	ATF_REQUIRE(guest_event(&g, 0, chan));
	ATF_REQUIRE_EQ(2, answer(d, &n));
	fault(HVH_FAULT_SIGNAL_OUT, HVH_FAULT_DROP, chan + 1, 0);
	send_one(3, 1);
	ATF_REQUIRE(guest_event(&g, 0, chan));
	ATF_REQUIRE_EQ(2, hvh_fault_count(g.h, HVH_FAULT_SIGNAL_OUT));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(rescind_by_hand);
ATF_TC_BODY(rescind_by_hand, tc)
{
	uint8_t m[240];

	start_open();
	ATF_REQUIRE_EQ(ENOENT, hvh_rescind(g.h, chan + 1));
	ATF_REQUIRE_EQ(ENOENT, hvh_rescind(g.h, 0));
	ATF_REQUIRE_EQ(ENOENT, hvh_rescind(g.h, UINT32_MAX));
	ATF_REQUIRE_EQ(0, hvh_rescind(g.h, chan));
	ATF_REQUIRE_EQ(ENOENT, hvh_rescind(g.h, chan));
	guest_expect(&g, 2, m);
	ATF_REQUIRE_EQ(chan, get32(m + 8));
	guest_expect_none(&g);
	ATF_REQUIRE_EQ(0x12, guest_signal(&g, conn));
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, table);
	ATF_TP_ADD_TC(tp, message_out);
	ATF_TP_ADD_TC(tp, reorder);
	ATF_TP_ADD_TC(tp, message_in);
	ATF_TP_ADD_TC(tp, rescind_by_message);
	ATF_TP_ADD_TC(tp, packet_out);
	ATF_TP_ADD_TC(tp, packet_in);
	ATF_TP_ADD_TC(tp, rescind_by_packet);
	ATF_TP_ADD_TC(tp, signals);
	ATF_TP_ADD_TC(tp, rescind_by_hand);
	return (atf_no_error());
}
