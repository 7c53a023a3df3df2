/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Message slots, event flags, SINT rules and synthetic timers on a clock that
 * the test moves (protocol: hypervisor, 3 and 4).
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "guest.h"
#include "hypervisor/partition.h"

static struct guest g;

static int
post(uint32_t vp, uint8_t sint, uint32_t tag)
{

	return (g.h->h_delivery.post(g.h->h_delivery.arg, vp, sint, 1, 0x99,
	    &tag, sizeof(tag)));
}

static bool
event(uint32_t vp, uint8_t sint, uint32_t flag)
{

	return (g.h->h_delivery.event(g.h->h_delivery.arg, vp, sint, flag));
}

static uint8_t *
slot(uint32_t vp, unsigned sint)
{

	return (guest_page(&g, PG_SIMP + vp) + sint * 256);
}

/* The tag in the slot, which is emptied; pending tells the flag. */
static uint32_t
take(uint32_t vp, unsigned sint, bool *pending)
{
	uint8_t *s = slot(vp, sint);
	uint32_t tag;

	if (get32(s) == 0)
		return (0);
	tag = get32(s + 16);
	put32(s, 0);
	*pending = (s[5] & 1) != 0;
	return (tag);
}

ATF_TC_WITHOUT_HEAD(queue);
ATF_TC_BODY(queue, tc)
{
	bool pending;

	guest_create(&g, NULL);
	guest_synic(&g);
	for (uint32_t i = 1; i <= 5; i++)
		ATF_REQUIRE_EQ(0, post(2, 2, i));
	/* One in the slot, its fields as the protocol says, four behind. */
	ATF_REQUIRE_EQ(1, get32(slot(2, 2)));
	ATF_REQUIRE_EQ(4, slot(2, 2)[4]);
	ATF_REQUIRE_EQ(0x99, get64(slot(2, 2) + 8));
	ATF_REQUIRE_EQ(1, g.irqs[2][0x52]);
	for (uint32_t i = 1; i <= 5; i++) {
		ATF_REQUIRE_EQ(i, take(2, 2, &pending));
		ATF_REQUIRE_EQ(i < 5, pending);
		ATF_REQUIRE_EQ(0, get32(slot(2, 2)));
		wrmsr(&g, 2, 0x40000084, 0);
	}
	ATF_REQUIRE_EQ(5, g.irqs[2][0x52]);
	/* No such VP, SINT; too long. */
	ATF_REQUIRE_EQ(EINVAL, post(GUEST_VPS, 2, 1));
	ATF_REQUIRE_EQ(EINVAL, post(0, 16, 1));
	guest_destroy(&g);
}

/* What is queued waits for page, SINT and SynIC, in any order. */
ATF_TC_WITHOUT_HEAD(late_setup);
ATF_TC_BODY(late_setup, tc)
{
	static const uint32_t msr[3] = { 0x40000080, 0x40000083, 0x40000092 };
	const uint64_t val[3] = { 1, GPA(PG_SIMP) | 1, 0x50 };
	static const uint8_t order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 },
	    { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	bool pending;

	for (unsigned i = 0; i < 6; i++) {
		guest_create(&g, NULL);
		ATF_REQUIRE_EQ(0, post(0, 2, 77));
		for (unsigned j = 0; j < 3; j++) {
			ATF_REQUIRE_EQ(0, g.irqs[0][0x50]);
			wrmsr(&g, 0, msr[order[i][j]], val[order[i][j]]);
		}
		ATF_REQUIRE_EQ(1, g.irqs[0][0x50]);
		ATF_REQUIRE_EQ(77, take(0, 2, &pending));
		guest_destroy(&g);
	}
}

ATF_TC_WITHOUT_HEAD(masked_and_polling);
ATF_TC_BODY(masked_and_polling, tc)
{
	bool pending;

	guest_create(&g, NULL);
	guest_synic(&g);
	wrmsr(&g, 0, 0x40000092, 0x10050);
	post(0, 2, 5);
	ATF_REQUIRE_EQ(0, get32(slot(0, 2)));
	/* A flag raised meanwhile is remembered by its page. */
	ATF_REQUIRE(event(0, 2, 33));
	ATF_REQUIRE_EQ(0, g.irqs[0][0x50]);
	wrmsr(&g, 0, 0x40000092, 0x50);
	ATF_REQUIRE_EQ(1, g.irqs[0][0x50]);
	ATF_REQUIRE_EQ(5, take(0, 2, &pending));
	ATF_REQUIRE(guest_event(&g, 0, 33));
	/* Polling: memory only. */
	wrmsr(&g, 0, 0x40000092, 0x40050);
	post(0, 2, 6);
	ATF_REQUIRE(event(0, 2, 34));
	ATF_REQUIRE_EQ(1, g.irqs[0][0x50]);
	ATF_REQUIRE_EQ(6, take(0, 2, &pending));
	ATF_REQUIRE(guest_event(&g, 0, 34));
	/* AutoEOI is told with each interrupt. */
	wrmsr(&g, 0, 0x40000092, 0x20050);
	ATF_REQUIRE_EQ(0, g.autoeoi);
	post(0, 2, 7);
	ATF_REQUIRE_EQ(1, g.autoeoi);
	/* A vector below 16 only while masked. */
	ATF_REQUIRE_EQ(EPERM, hvh_wrmsr(g.h, 0, 0x40000093, 15));
	ATF_REQUIRE_EQ(0x10000, rdmsr(&g, 0, 0x40000093));
	wrmsr(&g, 0, 0x40000093, 0x10003);
	wrmsr(&g, 0, 0x40000093, 0xFFFFFFFFFFE00010);
	ATF_REQUIRE_EQ(0xFFFFFFFFFFE00010, rdmsr(&g, 0, 0x40000093));
	ATF_REQUIRE_EQ(1, rdmsr(&g, 0, 0x40000081));
	guest_destroy(&g);
}

/* The vector is asserted on 0 -> 1 only. */
ATF_TC_WITHOUT_HEAD(event_flags);
ATF_TC_BODY(event_flags, tc)
{

	guest_create(&g, NULL);
	guest_synic(&g);
	ATF_REQUIRE(event(3, 2, 2047));
	ATF_REQUIRE(!event(3, 2, 2047));
	ATF_REQUIRE_EQ(1, g.irqs[3][0x53]);
	ATF_REQUIRE_EQ(0x80, guest_page(&g, PG_SIEFP + 3)[2 * 256 + 255]);
	ATF_REQUIRE(guest_event(&g, 3, 2047));
	ATF_REQUIRE(event(3, 2, 2047));
	ATF_REQUIRE_EQ(2, g.irqs[3][0x53]);
	ATF_REQUIRE(event(3, 2, 0));
	ATF_REQUIRE_EQ(3, g.irqs[3][0x53]);
	ATF_REQUIRE(!event(3, 2, 2048));
	ATF_REQUIRE(!event(GUEST_VPS, 2, 1));
	wrmsr(&g, 3, 0x40000082, 0);
	ATF_REQUIRE(!event(3, 2, 5));
	guest_destroy(&g);
}

/* --- Timers: SINT 4, vector 0x60. --- */

static void
timer_setup(void)
{

	guest_create(&g, NULL);
	guest_synic(&g);
	wrmsr(&g, 1, 0x40000094, 0x60);
}

static uint64_t
ref(void)
{

	return (rdmsr(&g, 1, 0x40000020));
}

ATF_TC_WITHOUT_HEAD(one_shot);
ATF_TC_BODY(one_shot, tc)
{
	uint64_t due;
	uint8_t *s;

	timer_setup();
	s = slot(1, 4);
	/* Auto-enable, SINT 4: as FreeBSD arms it. */
	wrmsr(&g, 1, 0x400000B0, 8 | 4 << 16);
	due = ref() + 1000;
	wrmsr(&g, 1, 0x400000B1, due);
	ATF_REQUIRE_EQ(9 | 4 << 16, rdmsr(&g, 1, 0x400000B0));
	ATF_REQUIRE_EQ(due, rdmsr(&g, 1, 0x400000B1));
	/* The pump knows when; never early. */
	ATF_REQUIRE_EQ(g.now + 100000, hvh_pump(g.h));
	guest_sleep(&g, 99999);
	ATF_REQUIRE_EQ(0, get32(s));
	guest_sleep(&g, 1);
	ATF_REQUIRE_EQ(0x80000010, get32(s));
	ATF_REQUIRE_EQ(24, s[4]);
	ATF_REQUIRE_EQ(0, get32(s + 16));
	ATF_REQUIRE_EQ(due, get64(s + 24));
	ATF_REQUIRE(get64(s + 32) >= due);
	ATF_REQUIRE_EQ(1, g.irqs[1][0x60]);
	ATF_REQUIRE_EQ(8 | 4 << 16, rdmsr(&g, 1, 0x400000B0));
	put32(s, 0);
	guest_sleep(&g, 10000000);
	ATF_REQUIRE_EQ(1, g.irqs[1][0x60]);
	/* In the past: at once. */
	wrmsr(&g, 1, 0x400000B1, 1);
	ATF_REQUIRE_EQ(2, g.irqs[1][0x60]);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(stop);
ATF_TC_BODY(stop, tc)
{

	timer_setup();
	wrmsr(&g, 1, 0x400000B0, 8 | 4 << 16);
	wrmsr(&g, 1, 0x400000B1, ref() + 1000);
	wrmsr(&g, 1, 0x400000B1, 0);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 1, 0x400000B0) & 1);
	guest_sleep(&g, 10000000);
	ATF_REQUIRE_EQ(0, g.irqs[1][0x60]);
	/* SINT 0 cannot be a timer's. */
	wrmsr(&g, 1, 0x400000B0, 9);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 1, 0x400000B0) & 1);
	/* Reserved bits read as 0. */
	wrmsr(&g, 1, 0x400000B0, UINT64_MAX & ~1ull);
	ATF_REQUIRE_EQ(0xF1FFE, rdmsr(&g, 1, 0x400000B0));
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(busy_slot);
ATF_TC_BODY(busy_slot, tc)
{
	uint8_t *s;

	timer_setup();
	s = slot(1, 4);
	put32(s, 1);
	wrmsr(&g, 1, 0x400000B0, 8 | 4 << 16);
	wrmsr(&g, 1, 0x400000B1, ref() + 10);
	guest_sleep(&g, 5000);
	/* Kept: enabled until delivered, the pending flag set. */
	ATF_REQUIRE_EQ(1, get32(s));
	ATF_REQUIRE_EQ(1, s[5] & 1);
	ATF_REQUIRE_EQ(1, rdmsr(&g, 1, 0x400000B0) & 1);
	put32(s, 0);
	wrmsr(&g, 1, 0x40000084, 0);
	ATF_REQUIRE_EQ(0x80000010, get32(s));
	ATF_REQUIRE_EQ(1, g.irqs[1][0x60]);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 1, 0x400000B0) & 1);
	guest_destroy(&g);
}

/* Timers of one SINT take turns in its slot; none is lost. */
ATF_TC_WITHOUT_HEAD(shared_slot);
ATF_TC_BODY(shared_slot, tc)
{
	struct hvh_stats st;
	unsigned seen = 0;
	uint8_t *s;

	timer_setup();
	s = slot(1, 4);
	for (uint32_t i = 0; i < 4; i++) {
		wrmsr(&g, 1, 0x400000B0 + 2 * i, 8 | 4 << 16);
		wrmsr(&g, 1, 0x400000B1 + 2 * i, ref() + 100);
	}
	guest_sleep(&g, 100000);
	for (unsigned i = 0; i < 4; i++) {
		ATF_REQUIRE_EQ(0x80000010, get32(s));
		seen |= 1u << get32(s + 16);
		ATF_REQUIRE_EQ(i < 3, s[5] & 1);
		put32(s, 0);
		wrmsr(&g, 1, 0x40000084, 0);
		ATF_REQUIRE_EQ(0, rdmsr(&g, 1, 0x400000B0 +
		    2 * (unsigned)__builtin_ctz(seen)) & 1);
	}
	ATF_REQUIRE_EQ(0xF, seen);
	ATF_REQUIRE_EQ(0, get32(s));
	hvh_get_stats(g.h, &st);
	ATF_REQUIRE_EQ(4, st.timer_sets);
	ATF_REQUIRE_EQ(4, st.timer_expiries);
	guest_destroy(&g);
}

/* A busy slot keeps one tick of a periodic timer, which goes on. */
ATF_TC_WITHOUT_HEAD(periodic_busy);
ATF_TC_BODY(periodic_busy, tc)
{
	uint64_t start;
	uint8_t *s;

	timer_setup();
	s = slot(1, 4);
	put32(s, 1);
	/* Auto-enabled by its count, lazy: may be late, is not early. */
	wrmsr(&g, 1, 0x400000B0, 8 | 4 | 2 | 4 << 16);
	start = ref();
	wrmsr(&g, 1, 0x400000B1, 10000);
	ATF_REQUIRE_EQ(1, rdmsr(&g, 1, 0x400000B0) & 1);
	guest_sleep(&g, 3500000);
	ATF_REQUIRE_EQ(0, g.irqs[1][0x60]);
	ATF_REQUIRE_EQ(1, rdmsr(&g, 1, 0x400000B0) & 1);
	put32(s, 0);
	wrmsr(&g, 1, 0x40000084, 0);
	ATF_REQUIRE_EQ(1, g.irqs[1][0x60]);
	ATF_REQUIRE_EQ(start + 30000, get64(s + 24));
	put32(s, 0);
	wrmsr(&g, 1, 0x40000084, 0);
	ATF_REQUIRE_EQ(0, get32(s));
	guest_sleep(&g, 500000);
	ATF_REQUIRE_EQ(2, g.irqs[1][0x60]);
	ATF_REQUIRE_EQ(start + 40000, get64(s + 24));
	guest_destroy(&g);
}

/* Direct and periodic: each period an interrupt, and no slot it waits for. */
ATF_TC_WITHOUT_HEAD(direct_periodic);
ATF_TC_BODY(direct_periodic, tc)
{

	timer_setup();
	put32(slot(1, 4), 1);
	wrmsr(&g, 1, 0x400000B6, 2 | 8 | 1 << 12 | 0x72 << 4);
	wrmsr(&g, 1, 0x400000B7, 10000);
	for (unsigned i = 1; i <= 5; i++) {
		guest_sleep(&g, 1000000);
		ATF_REQUIRE_EQ(i, g.irqs[1][0x72]);
	}
	wrmsr(&g, 1, 0x400000B7, 0);
	guest_sleep(&g, 5000000);
	ATF_REQUIRE_EQ(5, g.irqs[1][0x72]);
	guest_destroy(&g);
}

/* Keeps its phase; what was missed is one tick. */
ATF_TC_WITHOUT_HEAD(periodic);
ATF_TC_BODY(periodic, tc)
{
	uint64_t start;
	uint8_t *s;

	timer_setup();
	s = slot(1, 4);
	start = ref();
	wrmsr(&g, 1, 0x400000B1, 10000);
	wrmsr(&g, 1, 0x400000B0, 3 | 4 << 16);
	for (unsigned i = 1; i <= 5; i++) {
		guest_sleep(&g, 1000000);
		ATF_REQUIRE_EQ(i, g.irqs[1][0x60]);
		ATF_REQUIRE_EQ(start + i * 10000, get64(s + 24));
		put32(s, 0);
	}
	g.now += 35 * 100000 + 3 * 1000000;
	guest_pump(&g);
	ATF_REQUIRE_EQ(6, g.irqs[1][0x60]);
	put32(s, 0);
	guest_sleep(&g, 500000);
	ATF_REQUIRE_EQ(7, g.irqs[1][0x60]);
	ATF_REQUIRE_EQ(start + 12 * 10000, get64(s + 24));
	wrmsr(&g, 1, 0x400000B0, 0);
	guest_sleep(&g, 10000000);
	ATF_REQUIRE_EQ(7, g.irqs[1][0x60]);
	guest_destroy(&g);
}

/* A greedy period does not keep the pump busy. */
ATF_TC_WITHOUT_HEAD(greedy);
ATF_TC_BODY(greedy, tc)
{
	unsigned pumps = 0;
	uint64_t at, end;

	timer_setup();
	wrmsr(&g, 1, 0x400000B4, 3 | 1 << 12 | 0x70 << 4);
	wrmsr(&g, 1, 0x400000B5, 1);
	wrmsr(&g, 1, 0x400000B6, 3 | 1 << 12 | 0x71 << 4);
	wrmsr(&g, 1, 0x400000B7, UINT64_MAX);
	for (end = g.now + 10000000; g.now < end; pumps++) {
		at = hvh_pump(g.h);
		if (at > g.now)
			g.now = at;
	}
	ATF_REQUIRE_MSG(pumps < 250, "%u rounds in 10 ms", pumps);
	ATF_REQUIRE(g.irqs[1][0x70] > 10);
	ATF_REQUIRE_EQ(0, g.irqs[1][0x71]);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(direct);
ATF_TC_BODY(direct, tc)
{

	timer_setup();
	wrmsr(&g, 1, 0x400000B2, 8 | 1 << 12 | 0x71 << 4);
	wrmsr(&g, 1, 0x400000B3, ref() + 100);
	guest_sleep(&g, 10000);
	ATF_REQUIRE_EQ(1, g.irqs[1][0x71]);
	ATF_REQUIRE_EQ(0, g.autoeoi);
	ATF_REQUIRE_EQ(0, rdmsr(&g, 1, 0x400000B2) & 1);
	ATF_REQUIRE_EQ(0, get32(slot(1, 4)));
	/* An exception's vector is no interrupt. */
	wrmsr(&g, 1, 0x400000B2, 8 | 1 << 12 | 0x0E << 4);
	wrmsr(&g, 1, 0x400000B3, 1);
	ATF_REQUIRE_EQ(0, g.irqs[1][0x0E]);
	guest_destroy(&g);
}

/* A timer armed for sooner than the pump's sleep wakes it. */
ATF_TC_WITHOUT_HEAD(kick);
ATF_TC_BODY(kick, tc)
{

	timer_setup();
	wrmsr(&g, 1, 0x400000B0, 8 | 4 << 16);
	wrmsr(&g, 2, 0x400000B0, 8 | 4 << 16);
	wrmsr(&g, 1, 0x400000B1, ref() + 1000);
	guest_pump(&g);
	atomic_store(&g.kicks, 0);
	wrmsr(&g, 2, 0x400000B1, ref() + 2000);
	ATF_REQUIRE_EQ(0, g.kicks);
	wrmsr(&g, 2, 0x400000B1, ref() + 500);
	ATF_REQUIRE_EQ(1, g.kicks);
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, queue);
	ATF_TP_ADD_TC(tp, late_setup);
	ATF_TP_ADD_TC(tp, masked_and_polling);
	ATF_TP_ADD_TC(tp, event_flags);
	ATF_TP_ADD_TC(tp, one_shot);
	ATF_TP_ADD_TC(tp, stop);
	ATF_TP_ADD_TC(tp, busy_slot);
	ATF_TP_ADD_TC(tp, shared_slot);
	ATF_TP_ADD_TC(tp, periodic_busy);
	ATF_TP_ADD_TC(tp, direct_periodic);
	ATF_TP_ADD_TC(tp, periodic);
	ATF_TP_ADD_TC(tp, greedy);
	ATF_TP_ADD_TC(tp, direct);
	ATF_TP_ADD_TC(tp, kick);
	return (atf_no_error());
}
