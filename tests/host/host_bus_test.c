/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Channels end to end: a hand-made guest and an echoing device with the whole
 * host model between them.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "echo.h"
#include "guest.h"

#define	RING	PG_FREE
#define	V5_3	0x50003u
#define	V4_0	0x40000u

/* Device 1 offered, connected, open with rings of 8 pages, 4 + 4. */
struct bench {
	struct guest	 g;
	struct echo	 e;
	struct guest_ring r;
	uint32_t	 chan, conn, gpadl;
};

static void
bench_open(struct bench *b, uint32_t version, unsigned npages, unsigned down,
    uint32_t vp)
{
	uint8_t m[240];

	guest_synic(&b->g);
	echo_add(&b->e, b->g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&b->g, version, m));
	b->chan = get32(m + 184);
	b->conn = get32(m + 192);
	b->gpadl = guest_gpadl(&b->g, b->chan, RING, npages, 1);
	ATF_REQUIRE_EQ(0, guest_open(&b->g, b->chan, b->gpadl, vp, down));
	guest_ring(&b->r, &b->g, RING, npages, down);
}

static void
bench_create(struct bench *b, const struct hvh_config *cf)
{

	guest_create(&b->g, cf);
	bench_open(b, V5_3, 8, 4, 1);
	guest_sleep(&b->g, 200000000);
	guest_event(&b->g, 1, b->chan);
	b->e.signals = 0;
}

static int
bench_send(struct bench *b, uint64_t xid, uint32_t key)
{
	uint8_t data[64] = { 0 };

	put32(data, key);
	put64(data + 16, xid * 3);
	return (guest_write(&b->r, 6, 1, xid, NULL, 0, data, sizeof(data)));
}

/* The next completion's id; 0: none. */
static uint64_t
bench_answer(struct bench *b)
{
	uint8_t buf[256];

	if (guest_read(&b->r, buf, sizeof(buf)) == 0)
		return (0);
	ATF_REQUIRE_EQ(11, buf[0]);
	ATF_REQUIRE_EQ(get64(buf + 8) * 3, get64(buf + 16 + 16));
	return (get64(buf + 8));
}

ATF_TC_WITHOUT_HEAD(echo);
ATF_TC_BODY(echo, tc)
{
	struct bench b;

	bench_create(&b, NULL);
	ATF_REQUIRE_EQ(1, b.e.opens);
	for (uint64_t i = 1; i < 2000; i++) {
		ATF_REQUIRE_EQ(1, bench_send(&b, i, 0));
		ATF_REQUIRE_EQ(0, guest_signal(&b.g, b.conn));
		guest_pump(&b.g);
		ATF_REQUIRE(guest_event(&b.g, 1, b.chan));
		ATF_REQUIRE_EQ(i, bench_answer(&b));
	}
	ATF_REQUIRE_EQ(1999, b.e.packets);
	/* VP 1's vector, once a packet. */
	ATF_REQUIRE(b.g.irqs[1][0x51] >= 1999);
	guest_close(&b.g, b.chan);
	ATF_REQUIRE_EQ(1, b.e.closes);
	guest_teardown(&b.g, b.chan, b.gpadl);
	guest_destroy(&b.g);
	ATF_REQUIRE_EQ(1, b.e.released);
}

ATF_TC_WITHOUT_HEAD(batch);
ATF_TC_BODY(batch, tc)
{
	struct hvh_stats before, after;
	struct bench b;

	bench_create(&b, NULL);
	hvh_get_stats(b.g.h, &before);
	/* 32 requests: the first wants a signal, the others do not. */
	for (uint64_t i = 1; i <= 32; i++)
		ATF_REQUIRE_EQ(i == 1, bench_send(&b, i, 0));
	ATF_REQUIRE_EQ(0, guest_signal(&b.g, b.conn));
	guest_pump(&b.g);
	for (uint64_t i = 1; i <= 32; i++)
		ATF_REQUIRE_EQ(i, bench_answer(&b));
	hvh_get_stats(b.g.h, &after);
	ATF_REQUIRE_EQ(1, after.events_out - before.events_out);
	ATF_REQUIRE_EQ(1, after.interrupts - before.interrupts);
	ATF_REQUIRE_EQ(32, after.packets_in - before.packets_in);
	ATF_REQUIRE_EQ(32, after.packets_out - before.packets_out);
	guest_destroy(&b.g);
}

ATF_TC_WITHOUT_HEAD(masked);
ATF_TC_BODY(masked, tc)
{
	struct hvh_stats before, after;
	struct bench b;

	bench_create(&b, NULL);
	/* A guest that reads anyway gets no events. */
	put32(b.r.rx + 8, 1);
	hvh_get_stats(b.g.h, &before);
	ATF_REQUIRE_EQ(1, bench_send(&b, 7, 0));
	guest_signal(&b.g, b.conn);
	guest_pump(&b.g);
	ATF_REQUIRE(!guest_event(&b.g, 1, b.chan));
	ATF_REQUIRE_EQ(7, bench_answer(&b));
	hvh_get_stats(b.g.h, &after);
	ATF_REQUIRE_EQ(1, after.events_saved - before.events_saved);
	ATF_REQUIRE_EQ(before.events_out, after.events_out);
	guest_destroy(&b.g);
}

/* Packets written before the guest signals anything are seen. */
ATF_TC_WITHOUT_HEAD(early_packet);
ATF_TC_BODY(early_packet, tc)
{
	struct bench b;
	uint8_t m[240];

	guest_create(&b.g, NULL);
	guest_synic(&b.g);
	echo_add(&b.e, b.g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&b.g, V5_3, m));
	b.chan = get32(m + 184);
	b.gpadl = guest_gpadl(&b.g, b.chan, RING, 8, 1);
	guest_ring(&b.r, &b.g, RING, 8, 4);
	bench_send(&b, 9, 0);
	ATF_REQUIRE_EQ(0, guest_open(&b.g, b.chan, b.gpadl, 0, 4));
	guest_pump(&b.g);
	ATF_REQUIRE_EQ(9, bench_answer(&b));
	guest_destroy(&b.g);
}

/* An event that the guest dropped before OPEN RESULT comes again. */
ATF_TC_WITHOUT_HEAD(look_after_open);
ATF_TC_BODY(look_after_open, tc)
{
	struct bench b;

	guest_create(&b.g, NULL);
	bench_open(&b, V5_3, 8, 4, 1);
	ATF_REQUIRE_EQ(1, bench_send(&b, 5, 0));
	guest_signal(&b.g, b.conn);
	guest_pump(&b.g);
	ATF_REQUIRE(guest_event(&b.g, 1, b.chan));
	guest_sleep(&b.g, 90000000);
	ATF_REQUIRE(!guest_event(&b.g, 1, b.chan));
	guest_sleep(&b.g, 20000000);
	ATF_REQUIRE(guest_event(&b.g, 1, b.chan));
	guest_sleep(&b.g, 1000000000);
	ATF_REQUIRE(!guest_event(&b.g, 1, b.chan));
	guest_destroy(&b.g);
}

/* The device waits for room and gets on when the guest has read. */
static void
full_ring(bool guest_tells)
{
	struct bench b;
	unsigned sent = 0, got = 0;
	uint32_t pending;

	bench_create(&b, NULL);
	while (b.e.waiting == NULL) {
		int due = bench_send(&b, ++sent, 0);

		ATF_REQUIRE(due >= 0);
		if (due == 1)
			guest_signal(&b.g, b.conn);
		guest_pump(&b.g);
		ATF_REQUIRE(sent < 1000);
	}
	/* 16 + 64 + 8 bytes, said where the writer says it. */
	pending = get32(b.r.rx + 12);
	ATF_REQUIRE_EQ(88, pending);
	ATF_REQUIRE_EQ(1, get32(b.r.rx + 64));
	while (bench_answer(&b) != 0)
		got++;
	ATF_REQUIRE_EQ(sent - 1, got);
	if (guest_tells) {
		guest_signal(&b.g, b.conn);
		guest_pump(&b.g);
	} else {
		guest_sleep(&b.g, 30000000);
	}
	ATF_REQUIRE_EQ(sent, bench_answer(&b));
	ATF_REQUIRE_EQ(0, get32(b.r.rx + 12));
	guest_destroy(&b.g);
}

ATF_TC_WITHOUT_HEAD(full_ring_signalled);
ATF_TC_BODY(full_ring_signalled, tc)
{

	full_ring(true);
}

ATF_TC_WITHOUT_HEAD(full_ring_forgotten);
ATF_TC_BODY(full_ring_forgotten, tc)
{

	full_ring(false);
}

/* The host signals a guest that waits for room, masked or not. */
ATF_TC_WITHOUT_HEAD(guest_waits_for_room);
ATF_TC_BODY(guest_waits_for_room, tc)
{
	struct bench b;
	uint64_t n = 0;

	bench_create(&b, NULL);
	b.e.mute = b.e.deaf = true;
	put32(b.r.rx + 8, 1);
	while (bench_send(&b, ++n, 0) >= 0)
		;
	put32(b.r.tx + 12, 88);
	guest_signal(&b.g, b.conn);
	guest_pump(&b.g);
	ATF_REQUIRE(!guest_event(&b.g, 1, b.chan));
	b.e.deaf = false;
	guest_signal(&b.g, b.conn);
	guest_pump(&b.g);
	ATF_REQUIRE(guest_event(&b.g, 1, b.chan));
	ATF_REQUIRE_EQ(n - 1, b.e.packets);
	put32(b.r.tx + 12, 0);
	ATF_REQUIRE_EQ(1, bench_send(&b, n, 0));
	guest_destroy(&b.g);
}

/* Scattered ring pages: every packet crosses pages that are apart. */
ATF_TC_WITHOUT_HEAD(scattered);
ATF_TC_BODY(scattered, tc)
{
	struct bench b;
	uint8_t m[240], data[3000], buf[4000];
	unsigned n = 0;

	guest_create(&b.g, NULL);
	guest_synic(&b.g);
	echo_add(&b.e, b.g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&b.g, V4_0, m));
	b.chan = get32(m + 184);
	b.conn = get32(m + 192);
	b.gpadl = guest_gpadl(&b.g, b.chan, RING, 8, 3);
	ATF_REQUIRE_EQ(0, guest_open(&b.g, b.chan, b.gpadl, 0, 4));
	/* The guest's own view of it: copied together and apart. */
	for (uint64_t xid = 1; xid < 200; xid++) {
		static uint8_t tx[4 * 4096], rx[4 * 4096];

		for (unsigned p = 0; p < 4; p++) {
			memcpy(tx + p * PAGE, guest_page(&b.g, RING + p * 3),
			    PAGE);
			memcpy(rx + p * PAGE, guest_page(&b.g, RING +
			    (4 + p) * 3), PAGE);
		}
		b.r.g = &b.g;
		b.r.tx = tx;
		b.r.rx = rx;
		b.r.txsize = b.r.rxsize = 3 * PAGE;
		b.r.txin = get32(tx);
		b.r.rxout = get32(rx + 4);
		memset(data, (int)xid, sizeof(data));
		ATF_REQUIRE_EQ(1, guest_write(&b.r, 6, 1, xid, NULL, 0, data,
		    8 * (1 + xid * 7 % 370)));
		for (unsigned p = 0; p < 4; p++)
			memcpy(guest_page(&b.g, RING + p * 3), tx + p * PAGE,
			    PAGE);
		guest_signal(&b.g, b.conn);
		guest_pump(&b.g);
		for (unsigned p = 0; p < 4; p++)
			memcpy(rx + p * PAGE, guest_page(&b.g, RING +
			    (4 + p) * 3), PAGE);
		ATF_REQUIRE(guest_read(&b.r, buf, sizeof(buf)) >= 24);
		ATF_REQUIRE_EQ(xid, get64(buf + 8));
		ATF_REQUIRE_EQ((uint8_t)xid, buf[16]);
		put32(guest_page(&b.g, RING + 4 * 3) + 4, b.r.rxout);
		n++;
	}
	ATF_REQUIRE_EQ(n, b.e.packets);
	guest_destroy(&b.g);
}

ATF_TC_WITHOUT_HEAD(gpa_direct);
ATF_TC_BODY(gpa_direct, tc)
{
	struct bench b;
	uint8_t hdr[8 + 8 + 16], data[64] = { 0 };

	bench_create(&b, NULL);
	memset(hdr, 0xEE, 4);
	put32(hdr + 4, 1);
	put32(hdr + 8, 5000);
	put32(hdr + 12, 100);
	put64(hdr + 16, 40);
	put64(hdr + 24, 50);
	ATF_REQUIRE_EQ(1, guest_write(&b.r, 9, 1, 77, hdr, sizeof(hdr), data,
	    sizeof(data)));
	guest_signal(&b.g, b.conn);
	guest_pump(&b.g);
	ATF_REQUIRE_EQ(1, b.e.packets);
	ATF_REQUIRE_EQ(1, b.e.last_ranges);
	ATF_REQUIRE_EQ(77, b.e.last_xid);
	ATF_REQUIRE_EQ(64, b.e.last_len);
	guest_destroy(&b.g);
}

/* What a hostile guest may put into a ring, one at a time. */
ATF_TC_WITHOUT_HEAD(hostile_ring);
ATF_TC_BODY(hostile_ring, tc)
{
	static const struct {
		unsigned at;	/* from the control page */
		uint32_t val;
	} lies[] = {
		{ 0, 3 * 4096 }, { 0, 0xFFFFFFF8 }, { 0, 4 }, { 0, 8 },
		{ 4096, 6 | 1 << 16 }, { 4096, 6 | 0xFFFFu << 16 },
		{ 4096 + 4, 1 | 1 << 16 }, { 4096 + 4, 0xFFFF },
		{ 4096, 5 | 2 << 16 }, { 4096, 0 | 2 << 16 },
		{ 4096 + 4, 10 | 2 << 16 }, { 4096, 9 | 2 << 16 },
		{ 4096, 9 | 3 << 16 },
	};

	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct hvh_stats st;
		struct bench b;

		bench_create(&b, NULL);
		ATF_REQUIRE_EQ(1, bench_send(&b, 1, 0));
		put32(b.r.tx + lies[i].at, lies[i].val);
		guest_signal(&b.g, b.conn);
		guest_pump(&b.g);
		hvh_get_stats(b.g.h, &st);
		ATF_CHECK_EQ_MSG(1, st.rings_corrupt, "lie %u", i);
		ATF_CHECK_EQ(1, b.e.corrupt);
		ATF_CHECK_EQ(0, b.e.packets);
		/* Shut until closed, then good again. */
		guest_signal(&b.g, b.conn);
		guest_pump(&b.g);
		ATF_CHECK_EQ(1, b.e.corrupt);
		guest_close(&b.g, b.chan);
		memset(b.r.tx, 0, PAGE);
		memset(b.r.rx, 0, PAGE);
		ATF_REQUIRE_EQ(0, guest_open(&b.g, b.chan, b.gpadl, 1, 4));
		guest_ring(&b.r, &b.g, RING, 8, 4);
		ATF_REQUIRE_EQ(1, bench_send(&b, 3, 0));
		guest_signal(&b.g, b.conn);
		guest_pump(&b.g);
		ATF_REQUIRE_EQ(3, bench_answer(&b));
		guest_destroy(&b.g);
	}
}

/* A ring that never empties takes its share of a round and no more. */
ATF_TC_WITHOUT_HEAD(bounded_round);
ATF_TC_BODY(bounded_round, tc)
{
	struct bench b;

	guest_create(&b.g, NULL);
	bench_open(&b, V5_3, 600, 598, 1);
	b.e.mute = true;
	for (uint64_t i = 1; i <= 5000; i++)
		ATF_REQUIRE(bench_send(&b, i, 0) >= 0);
	guest_signal(&b.g, b.conn);
	ATF_REQUIRE(hvh_pump(b.g.h) <= b.g.now);
	ATF_REQUIRE(b.e.packets > 0 && b.e.packets <= 512);
	guest_pump(&b.g);
	ATF_REQUIRE_EQ(5000, b.e.packets);
	guest_destroy(&b.g);
}

/* Below 2.4 the host raises flag 0 and a bit in the interrupt page. */
static void
old_version(uint32_t version)
{
	struct bench b;
	uint8_t *ip;

	guest_create(&b.g, NULL);
	bench_open(&b, version, 8, 4, 3);
	ip = guest_page(&b.g, PG_INT);
	guest_sleep(&b.g, 200000000);
	ATF_REQUIRE_EQ(1, bench_send(&b, 11, 0));
	if (version == 13) {
		ATF_REQUIRE_EQ(0, b.conn);
		ip[2048 + b.chan / 8] |= (uint8_t)(1 << b.chan % 8);
		ATF_REQUIRE_EQ(0, guest_signal(&b.g, 2));
	} else {
		ATF_REQUIRE_EQ(0x12, guest_signal(&b.g, 2));
		ATF_REQUIRE_EQ(0, guest_signal(&b.g, b.conn));
	}
	guest_pump(&b.g);
	ATF_REQUIRE_EQ(11, bench_answer(&b));
	/* VP 0, whatever OPEN said. */
	ATF_REQUIRE(guest_event(&b.g, 0, 0));
	ATF_REQUIRE(!guest_event(&b.g, 0, b.chan));
	ATF_REQUIRE((ip[b.chan / 8] & 1 << b.chan % 8) != 0);
	ATF_REQUIRE_EQ(0, ip[2048 + b.chan / 8]);
	guest_destroy(&b.g);
}

ATF_TC_WITHOUT_HEAD(version_0_13);
ATF_TC_BODY(version_0_13, tc)
{

	old_version(13);
}

ATF_TC_WITHOUT_HEAD(version_1_1);
ATF_TC_BODY(version_1_1, tc)
{

	old_version(0x10001);
}

ATF_TC_WITHOUT_HEAD(monitored);
ATF_TC_BODY(monitored, tc)
{
	struct hvh_config cf = { .monitor_pages = true };
	struct bench b;
	uint8_t m[240], *mon;
	unsigned id;

	guest_create(&b.g, &cf);
	guest_synic(&b.g);
	echo_add(&b.e, b.g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&b.g, V5_3, m));
	ATF_REQUIRE_EQ(1, m[189]);
	id = m[188];
	ATF_REQUIRE(id < 128);
	b.chan = get32(m + 184);
	b.gpadl = guest_gpadl(&b.g, b.chan, RING, 8, 1);
	ATF_REQUIRE_EQ(0, guest_open(&b.g, b.chan, b.gpadl, 0, 4));
	guest_ring(&b.r, &b.g, RING, 8, 4);
	guest_sleep(&b.g, 1000000);
	/* The bit in page 2 is the signal; no hypercall. */
	bench_send(&b, 21, 0);
	mon = guest_page(&b.g, PG_MON2);
	mon[8 + id / 32 * 8 + id % 32 / 8] |= (uint8_t)(1 << id % 8);
	guest_sleep(&b.g, 100000);
	ATF_REQUIRE_EQ(21, bench_answer(&b));
	ATF_REQUIRE_EQ(0, get32(mon + 8 + id / 32 * 8));
	guest_close(&b.g, b.chan);
	/* Nothing to look at any more: the pump rests. */
	guest_sleep(&b.g, 1000000);
	ATF_REQUIRE(hvh_pump(b.g.h) > b.g.now + 1000000);
	guest_destroy(&b.g);
}

ATF_TC_WITHOUT_HEAD(not_monitored);
ATF_TC_BODY(not_monitored, tc)
{
	struct guest g;
	struct echo e;
	uint8_t m[240];

	guest_create(&g, NULL);
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, V5_3, m));
	ATF_REQUIRE_EQ(0xFF, m[188]);
	ATF_REQUIRE_EQ(0, m[189]);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(refused_open);
ATF_TC_BODY(refused_open, tc)
{
	struct bench b;
	uint8_t m[240];

	guest_create(&b.g, NULL);
	guest_synic(&b.g);
	echo_add(&b.e, b.g.h, 1);
	b.e.refuse = EBUSY;
	guest_connect(&b.g, V5_3, m);
	b.chan = get32(m + 184);
	b.gpadl = guest_gpadl(&b.g, b.chan, RING, 8, 1);
	ATF_REQUIRE_EQ(0x8000FFFF, guest_open(&b.g, b.chan, b.gpadl, 0, 4));
	ATF_REQUIRE_EQ(0x12, guest_signal(&b.g, get32(m + 192)));
	b.e.refuse = 0;
	ATF_REQUIRE_EQ(0, guest_open(&b.g, b.chan, b.gpadl, 0, 4));
	ATF_REQUIRE_EQ(0, guest_signal(&b.g, get32(m + 192)));
	guest_destroy(&b.g);
}

/* TORN DOWN and UNLOAD RESPONSE wait for the device's I/O. */
ATF_TC_WITHOUT_HEAD(lazy_device);
ATF_TC_BODY(lazy_device, tc)
{
	struct bench b;
	uint8_t m[16] = { 11 }, u[8] = { 16 }, r[240];

	bench_create(&b, NULL);
	b.e.lazy_close = true;
	guest_close(&b.g, b.chan);
	put32(m + 8, b.chan);
	put32(m + 12, b.gpadl);
	guest_post(&b.g, 1, m, sizeof(m));
	guest_expect_none(&b.g);
	hvh_lock(b.g.h);
	hvh_chan_closed(b.e.ch);
	hvh_unlock(b.g.h);
	guest_expect(&b.g, 12, r);

	b.gpadl = guest_gpadl(&b.g, b.chan, RING, 8, 1);
	ATF_REQUIRE_EQ(0, guest_open(&b.g, b.chan, b.gpadl, 1, 4));
	guest_post(&b.g, 1, u, sizeof(u));
	guest_expect_none(&b.g);
	ATF_REQUIRE_EQ(2, b.e.closes);
	hvh_lock(b.g.h);
	hvh_chan_closed(b.e.ch);
	hvh_unlock(b.g.h);
	guest_expect(&b.g, 17, r);
	guest_expect_none(&b.g);
	guest_destroy(&b.g);
}

/* Reopened while the device still closes: the answer comes after. */
ATF_TC_WITHOUT_HEAD(reopen_while_closing);
ATF_TC_BODY(reopen_while_closing, tc)
{
	struct bench b;
	uint8_t r[240];

	bench_create(&b, NULL);
	b.e.lazy_close = true;
	guest_close(&b.g, b.chan);
	guest_open_post(&b.g, b.chan, b.gpadl, 2, 4);
	guest_expect_none(&b.g);
	ATF_REQUIRE_EQ(1, b.e.opens);
	hvh_lock(b.g.h);
	hvh_chan_closed(b.e.ch);
	hvh_unlock(b.g.h);
	guest_expect(&b.g, 6, r);
	ATF_REQUIRE_EQ(0, get32(r + 16));
	ATF_REQUIRE_EQ(2, b.e.opens);
	b.e.lazy_close = false;
	guest_destroy(&b.g);
}

/* hvh_reset(): all back to the start, the device kept and offered again. */
ATF_TC_WITHOUT_HEAD(reset);
ATF_TC_BODY(reset, tc)
{
	struct hvh_stats st;
	struct bench b;

	bench_create(&b, NULL);
	hvh_get_stats(b.g.h, &st);
	ATF_REQUIRE_EQ(0, st.resets_connected);
	hvh_reset(b.g.h);
	guest_pump(&b.g);
	ATF_REQUIRE_EQ(1, b.e.closes);
	hvh_get_stats(b.g.h, &st);
	ATF_REQUIRE_EQ(1, st.resets_connected);
	ATF_REQUIRE_EQ(0, st.connected);
	ATF_REQUIRE_EQ(0, st.channels_open);
	ATF_REQUIRE_EQ(0, st.channels_offered);
	ATF_REQUIRE_EQ(0, st.gpadls);
	ATF_REQUIRE_EQ(0, rdmsr(&b.g, 1, 0x40000083));
	ATF_REQUIRE_EQ(0x10000, rdmsr(&b.g, 1, 0x40000092));
	memset(b.g.mem, 0, GUEST_PAGES * PAGE);
	guest_synic(&b.g);
	ATF_REQUIRE_EQ(1, guest_connect(&b.g, V4_0, NULL));
	guest_destroy(&b.g);
	ATF_REQUIRE_EQ(1, b.e.released);
}

/* A guest that let go before the reset is told from one that did not. */
ATF_TC_WITHOUT_HEAD(reset_unloaded);
ATF_TC_BODY(reset_unloaded, tc)
{
	uint8_t m[8] = { 16 }, r[240];
	struct hvh_stats st;
	struct bench b;

	bench_create(&b, NULL);
	ATF_REQUIRE_EQ(0, guest_post(&b.g, 1, m, sizeof(m)));
	guest_expect(&b.g, 17, r);
	hvh_reset(b.g.h);
	hvh_get_stats(b.g.h, &st);
	ATF_REQUIRE_EQ(0, st.resets_connected);
	/* Nobody was connected at all. */
	hvh_reset(b.g.h);
	hvh_get_stats(b.g.h, &st);
	ATF_REQUIRE_EQ(0, st.resets_connected);
	guest_destroy(&b.g);
}

static void
let_go(void *arg)
{
	struct bench *b = arg;

	b->e.lazy_close = false;
	hvh_chan_closed(b->e.ch);
}

/* Nothing of the old guest's I/O is left when hvh_reset() returns. */
ATF_TC_WITHOUT_HEAD(reset_lazy);
ATF_TC_BODY(reset_lazy, tc)
{
	struct hvh_timer timer = { .fn = let_go };
	struct bench b;

	bench_create(&b, NULL);
	b.e.lazy_close = true;
	timer.arg = &b;
	hvh_lock(b.g.h);
	hvh_timer_set(b.g.h, &timer, b.g.now);
	hvh_unlock(b.g.h);
	hvh_reset(b.g.h);
	ATF_REQUIRE(!b.e.lazy_close);
	memset(b.g.mem, 0, GUEST_PAGES * PAGE);
	guest_synic(&b.g);
	ATF_REQUIRE_EQ(1, guest_connect(&b.g, V4_0, NULL));
	guest_destroy(&b.g);
}

/* Guest messages wait while the guest does not read the host's. */
ATF_TC_WITHOUT_HEAD(backlog);
ATF_TC_BODY(backlog, tc)
{
	struct guest g;
	uint8_t m[40] = { 21 }, r[240];
	unsigned sent = 0, got = 0;

	guest_create(&g, NULL);
	guest_synic(&g);
	guest_connect(&g, V5_3, NULL);
	/* Each is answered by a refusal, which is not read. */
	while (guest_post(&g, 1, m, sizeof(m)) == 0) {
		sent++;
		guest_pump(&g);
		ATF_REQUIRE(sent < 1000);
	}
	ATF_REQUIRE_EQ(0x13, guest_post(&g, 1, m, sizeof(m)));
	while (guest_message(&g, 0, r)) {
		ATF_REQUIRE_EQ(23, r[0]);
		ATF_REQUIRE_EQ(0xC0000236, get32(r + 40));
		got++;
	}
	ATF_REQUIRE_EQ(sent, got);
	ATF_REQUIRE_EQ(0, guest_post(&g, 1, m, sizeof(m)));
	guest_destroy(&g);
}

/*
 * A contact gets through when neither side's queue moves any more, to another
 * VP: the kernel that sends it is not the one that let them fill.
 */
ATF_TC_WITHOUT_HEAD(backlog_contact);
ATF_TC_BODY(backlog_contact, tc)
{
	struct guest g;
	uint8_t m[40] = { 21 }, r[240];
	unsigned sent = 0;

	guest_create(&g, NULL);
	guest_synic(&g);
	guest_connect(&g, V5_3, NULL);
	while (guest_post(&g, 1, m, sizeof(m)) == 0) {
		guest_pump(&g);
		ATF_REQUIRE(++sent < 1000);
	}
	memset(m, 0, sizeof(m));
	m[0] = 14;
	put32(m + 8, V5_3);
	put32(m + 12, 1);
	m[16] = 2;
	ATF_REQUIRE_EQ(0, guest_post(&g, 4, m, sizeof(m)));
	ATF_REQUIRE(guest_message(&g, 1, r));
	ATF_REQUIRE_EQ(15, r[0]);
	ATF_REQUIRE_EQ(1, r[8]);
	guest_destroy(&g);
}

/*
 * Answers to a VP and SINT that the guest names, and never reads: a few are
 * kept, the host's memory is not the guest's to fill.
 */
ATF_TC_WITHOUT_HEAD(backlog_elsewhere);
ATF_TC_BODY(backlog_elsewhere, tc)
{
	struct guest g;
	uint8_t m[40] = { 14 }, *slot;
	unsigned got = 0;

	guest_create(&g, NULL);
	guest_synic(&g);
	put32(m + 8, V5_3);
	put32(m + 12, 1);
	m[16] = 5;			/* its SINT is masked */
	for (unsigned i = 0; i < 5000; i++) {
		ATF_REQUIRE_EQ(0, guest_post(&g, 4, m, sizeof(m)));
		guest_pump(&g);
	}
	wrmsr(&g, 1, 0x40000095, 0x60);
	slot = guest_page(&g, PG_SIMP + 1) + 5 * 256;
	while (get32(slot) != 0) {
		ATF_REQUIRE_EQ(15, slot[16]);
		ATF_REQUIRE_EQ(0, slot[24]);
		put32(slot, 0);
		wrmsr(&g, 1, 0x40000084, 0);
		ATF_REQUIRE(++got < 5000);
	}
	ATF_REQUIRE(got > 0 && got <= 64);
	/* Neither a VP that is not there is worth a line each time. */
	g.loglines = 0;
	put32(m + 12, 1000);
	for (unsigned i = 0; i < 5000; i++) {
		ATF_REQUIRE_EQ(0, guest_post(&g, 4, m, sizeof(m)));
		guest_pump(&g);
	}
	ATF_REQUIRE(g.loglines < 100);
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, echo);
	ATF_TP_ADD_TC(tp, batch);
	ATF_TP_ADD_TC(tp, masked);
	ATF_TP_ADD_TC(tp, early_packet);
	ATF_TP_ADD_TC(tp, look_after_open);
	ATF_TP_ADD_TC(tp, full_ring_signalled);
	ATF_TP_ADD_TC(tp, full_ring_forgotten);
	ATF_TP_ADD_TC(tp, guest_waits_for_room);
	ATF_TP_ADD_TC(tp, scattered);
	ATF_TP_ADD_TC(tp, gpa_direct);
	ATF_TP_ADD_TC(tp, hostile_ring);
	ATF_TP_ADD_TC(tp, bounded_round);
	ATF_TP_ADD_TC(tp, version_0_13);
	ATF_TP_ADD_TC(tp, version_1_1);
	ATF_TP_ADD_TC(tp, monitored);
	ATF_TP_ADD_TC(tp, not_monitored);
	ATF_TP_ADD_TC(tp, refused_open);
	ATF_TP_ADD_TC(tp, lazy_device);
	ATF_TP_ADD_TC(tp, reopen_while_closing);
	ATF_TP_ADD_TC(tp, reset);
	ATF_TP_ADD_TC(tp, reset_unloaded);
	ATF_TP_ADD_TC(tp, reset_lazy);
	ATF_TP_ADD_TC(tp, backlog);
	ATF_TP_ADD_TC(tp, backlog_contact);
	ATF_TP_ADD_TC(tp, backlog_elsewhere);
	return (atf_no_error());
}
