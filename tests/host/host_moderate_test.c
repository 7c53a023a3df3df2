/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Moderation of signals: a stream takes one a period and not one a packet, what
 * comes one by one is told at once, and nothing waits for longer than a period.
 */

#include <atf-c.h>
#include <string.h>

#include "echo.h"
#include "guest.h"
#include "hypervisor/partition.h"
#include "vmbus/moderate.h"

#define	PERIOD	500000u		/* ns */

/* --- What is much --- */

/* n packets in a period, in runs of one direction; what is said after it. */
static bool
period(struct hvh_moderate *m, uint64_t *now, unsigned n, unsigned run)
{

	for (unsigned i = 0; i < n; i++)
		hvh_moderate_carried(m, i / run % 2 == 0);
	*now += PERIOD;
	return (hvh_moderate_much(m, *now, PERIOD));
}

ATF_TC_WITHOUT_HEAD(much);
ATF_TC_BODY(much, tc)
{
	struct hvh_moderate m = { 0 };
	uint64_t now = 1000000000;

	ATF_CHECK(!hvh_moderate_much(&m, now, PERIOD));
	for (unsigned i = 0; i < 100; i++) {
		ATF_CHECK(!period(&m, &now, 10, 10));
		/* Question and answer, as fast as may be. */
		ATF_CHECK(!period(&m, &now, 1000, 1));
	}
	for (unsigned i = 0; i < 100; i++) {
		ATF_CHECK(period(&m, &now, 40, 40));
		/* Until the next period ends. */
		ATF_CHECK(hvh_moderate_much(&m, now + PERIOD - 1, PERIOD));
		/* Both ways at once. */
		ATF_CHECK(period(&m, &now, 100, 5));
	}
	/* The more come, the sooner there are enough for a signal. */
	ATF_CHECK(period(&m, &now, 41, 41) && m.m_wait == PERIOD);
	ATF_CHECK(period(&m, &now, 641, 641));
	ATF_CHECK(m.m_wait > PERIOD / 11 && m.m_wait < PERIOD / 9);
	/* As many, but in a long time. */
	now += 3 * PERIOD;
	ATF_CHECK(!period(&m, &now, 40, 40));
	ATF_CHECK(period(&m, &now, 40, 40));
	ATF_CHECK(!period(&m, &now, 0, 1));
}

/* --- A channel --- */

struct bench {
	struct guest	 g;
	struct echo	 e;
	struct guest_ring r;
	uint32_t	 chan, conn;
	uint64_t	 sent[8192];	/* when; by transaction id */
	unsigned	 nsent, got;
	uint64_t	 longest;	/* until the answer was told of */
};

static void
bench_create(struct bench *b)
{
	struct hvh_config cf = { .moderate_ns = PERIOD };
	uint8_t m[240];

	memset(b, 0, sizeof(*b));
	guest_create(&b->g, &cf);
	guest_synic(&b->g);
	echo_add(&b->e, b->g.h, 1);
	b->e.carries = true;
	ATF_REQUIRE_EQ(1, guest_connect(&b->g, 0x50003, m));
	b->chan = get32(m + 184);
	b->conn = get32(m + 192);
	ATF_REQUIRE_EQ(0, guest_open(&b->g, b->chan, guest_gpadl(&b->g,
	    b->chan, PG_FREE, 8, 1), 1, 4));
	guest_ring(&b->r, &b->g, PG_FREE, 8, 4);
	guest_sleep(&b->g, 200000000);
	guest_event(&b->g, 1, b->chan);
}

/* A guest that is told reads all there is. */
static void
bench_told(struct bench *b)
{
	uint64_t now = atomic_load(&b->g.now), xid;
	uint8_t buf[256];

	if (!guest_event(&b->g, 1, b->chan))
		return;
	while (guest_read(&b->r, buf, sizeof(buf)) != 0) {
		xid = get64(buf + 8);
		ATF_REQUIRE_EQ(b->got, xid);
		b->got++;
		if (now - b->sent[xid] > b->longest)
			b->longest = now - b->sent[xid];
	}
}

/* ns pass; the pump is called when it asked for it, and by signals. */
static void
bench_sleep(struct bench *b, uint64_t ns)
{
	uint64_t end = atomic_load(&b->g.now) + ns, at;

	for (;;) {
		at = hvh_pump(b->g.h);
		bench_told(b);
		if (at > end)
			break;
		if (at > atomic_load(&b->g.now))
			atomic_store(&b->g.now, at);
	}
	atomic_store(&b->g.now, end);
}

/* n requests, gap ns apart. */
static void
bench_stream(struct bench *b, unsigned n, uint64_t gap)
{
	static const uint8_t data[64];
	int due;

	for (unsigned i = 0; i < n; i++) {
		b->sent[b->nsent] = atomic_load(&b->g.now);
		due = guest_write(&b->r, 6, 1, b->nsent++, NULL, 0, data,
		    sizeof(data));
		ATF_REQUIRE(due >= 0);
		if (due == 1)
			guest_signal(&b->g, b->conn);
		bench_sleep(b, gap);
	}
}

ATF_TC_WITHOUT_HEAD(stream);
ATF_TC_BODY(stream, tc)
{
	static struct bench b;
	struct hvh_stats st[2];

	bench_create(&b);
	bench_stream(&b, 200, 16000);
	b.longest = 0;
	hvh_get_stats(b.g.h, &st[0]);
	bench_stream(&b, 3125, 16000);		/* a hundred periods */
	hvh_get_stats(b.g.h, &st[1]);
	ATF_CHECK_MSG(st[1].events_out - st[0].events_out <= 101, "%ju events",
	    (uintmax_t)(st[1].events_out - st[0].events_out));
	ATF_CHECK_EQ(0, st[1].signals_in - st[0].signals_in);
	ATF_CHECK_MSG(b.longest <= PERIOD, "%ju ns", (uintmax_t)b.longest);
	/* It ends: nothing stays behind, and the guest is listened to again. */
	bench_sleep(&b, 2 * PERIOD);
	ATF_CHECK_EQ(b.nsent, b.got);
	b.longest = 0;
	for (unsigned i = 0; i < 100; i++) {
		bench_stream(&b, 1, 0);
		ATF_REQUIRE_EQ(b.nsent, b.got);
		bench_sleep(&b, 100000);
	}
	ATF_CHECK_EQ(0, b.longest);
	guest_destroy(&b.g);
}

/* n that the device sends by itself, gap ns apart. */
static void
bench_arrive(struct bench *b, unsigned n, uint64_t gap)
{
	static const uint8_t data[64];

	for (unsigned i = 0; i < n; i++) {
		b->sent[b->nsent] = atomic_load(&b->g.now);
		hvh_lock(b->g.h);
		hvh_chan_carried(b->e.ch, true);
		ATF_REQUIRE_EQ(0, hvh_chan_write(b->e.ch, 6, 0, b->nsent++,
		    data, sizeof(data)));
		hvh_unlock(b->g.h);
		bench_sleep(b, gap);
	}
}

ATF_TC_WITHOUT_HEAD(arriving);
ATF_TC_BODY(arriving, tc)
{
	static struct bench b;
	struct hvh_stats st[2];
	unsigned held = 0;

	bench_create(&b);
	bench_arrive(&b, 100, 20000);
	b.longest = 0;
	hvh_get_stats(b.g.h, &st[0]);
	bench_arrive(&b, 2500, 20000);		/* a hundred periods */
	hvh_get_stats(b.g.h, &st[1]);
	ATF_CHECK_MSG(st[1].events_out - st[0].events_out <= 101, "%ju events",
	    (uintmax_t)(st[1].events_out - st[0].events_out));
	ATF_CHECK_MSG(b.longest <= PERIOD, "%ju ns", (uintmax_t)b.longest);
	/*
	 * Many more: at a quarter of the ring, 35 of its 12288 bytes, they do
	 * not wait for the period's end.
	 */
	for (unsigned i = 0; i < 400; i++) {
		bench_arrive(&b, 1, 1000);
		if (b.nsent - b.got > held)
			held = b.nsent - b.got;
	}
	ATF_CHECK_MSG(held > 20 && held <= 36, "%u were held back", held);
	bench_sleep(&b, 2 * PERIOD);
	ATF_CHECK_EQ(b.nsent, b.got);
	guest_destroy(&b.g);
}

ATF_TC_WITHOUT_HEAD(closed);
ATF_TC_BODY(closed, tc)
{
	static struct bench b;

	bench_create(&b);
	bench_stream(&b, 200, 16000);
	bench_stream(&b, 3, 0);
	ATF_CHECK(b.got < b.nsent);
	guest_close(&b.g, b.chan);
	ATF_CHECK_EQ(1, b.e.closes);
	guest_sleep(&b.g, 10 * PERIOD);
	/* Opened again it begins as any. */
	memset(guest_page(&b.g, PG_FREE), 0, 8 * PAGE);
	ATF_REQUIRE_EQ(0, guest_open(&b.g, b.chan, guest_gpadl(&b.g, b.chan,
	    PG_FREE, 8, 1), 1, 4));
	guest_ring(&b.r, &b.g, PG_FREE, 8, 4);
	guest_sleep(&b.g, 200000000);
	guest_event(&b.g, 1, b.chan);
	b.nsent = b.got = 0;
	bench_stream(&b, 1, 0);
	ATF_CHECK_EQ(1, b.got);
	guest_destroy(&b.g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, much);
	ATF_TP_ADD_TC(tp, stream);
	ATF_TP_ADD_TC(tp, arriving);
	ATF_TP_ADD_TC(tp, closed);
	return (atf_no_error());
}
