/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * When the guest is told: bursts are learnt, single requests do not wait, and
 * whatever the guest does, it is told in bounded time.  Then the user's hooks
 * for a KVM that delivers part of it itself.
 */

#include <atf-c.h>
#include <string.h>

#include "echo.h"
#include "guest.h"
#include "hypervisor/partition.h"
#include "vmbus/linger.h"

#define	MOST	300000u		/* ns */
#define	GAP	20000u

/* n requests, GAP apart, and what the host would do after each. */
struct sim {
	struct hvh_linger l;
	uint64_t	 now;
	unsigned	 told;		/* signals to the guest */
	uint64_t	 waited;	/* the last request for its signal */
};

static void
sim_settle(struct sim *s, uint64_t until)
{
	uint64_t from = s->now;

	while (s->l.l_run > 0 &&
	    hvh_linger_holds(&s->l, s->now, MOST) && s->now < until)
		s->now += 1000;
	if (s->l.l_run > 0 && !hvh_linger_holds(&s->l, s->now, MOST)) {
		s->waited = s->now - from;
		hvh_linger_told(&s->l, s->now);
		s->told++;
	}
	if (s->now < until)
		s->now = until;
}

static void
sim_burst(struct sim *s, unsigned n)
{

	s->told = 0;
	s->waited = 0;
	for (unsigned i = 0; i < n; i++) {
		hvh_linger_arrived(&s->l, s->now);
		sim_settle(s, s->now + (i + 1 < n ? GAP : 1000000));
	}
	ATF_REQUIRE_EQ(0, s->l.l_run);
}

ATF_TC_WITHOUT_HEAD(singles);
ATF_TC_BODY(singles, tc)
{
	struct sim s = { .now = 1 };
	unsigned waits = 0;

	hvh_linger_init(&s.l);
	for (unsigned i = 0; i < 20000; i++) {
		sim_burst(&s, 1);
		ATF_REQUIRE_EQ(1, s.told);
		ATF_REQUIRE(s.waited <= MOST + 1000);
		waits += s.waited > 0;
	}
	/* Looking for more in vain is a rare exception. */
	ATF_REQUIRE_MSG(waits <= 40, "%u of 20000 waited", waits);
}

ATF_TC_WITHOUT_HEAD(bursts);
ATF_TC_BODY(bursts, tc)
{
	static const unsigned lengths[] = { 2, 5, 32, 200 };

	for (unsigned n = 0; n < 4; n++) {
		struct sim s = { .now = 1 };
		unsigned told = 0;

		hvh_linger_init(&s.l);
		for (unsigned i = 0; i < 400; i++)
			sim_burst(&s, lengths[n]);
		for (unsigned i = 0; i < 1000; i++) {
			sim_burst(&s, lengths[n]);
			told += s.told;
			ATF_REQUIRE(s.waited <= MOST + 1000);
		}
		/* Once learnt, a burst is told of once; a long one, twice. */
		ATF_REQUIRE_MSG(told <= (lengths[n] < 16 ? 1010 : 2010),
		    "bursts of %u: %u signals", lengths[n], told);
	}
}

ATF_TC_WITHOUT_HEAD(changes);
ATF_TC_BODY(changes, tc)
{
	struct sim s = { .now = 1 };
	unsigned told = 0, waits = 0;

	hvh_linger_init(&s.l);
	for (unsigned i = 0; i < 400; i++)
		sim_burst(&s, 32);
	/* One at a time again: a few dozen requests later nothing waits. */
	for (unsigned i = 0; i < 64; i++)
		sim_burst(&s, 1);
	for (unsigned i = 0; i < 1000; i++) {
		sim_burst(&s, 1);
		waits += s.waited > 0;
	}
	ATF_REQUIRE_MSG(waits <= 12, "%u of 1000 waited", waits);
	/* And back; by how many are told at once one sees when it is learnt. */
	for (unsigned i = 0; i < 300; i++)
		sim_burst(&s, 32);
	for (unsigned i = 0; i < 100; i++) {
		sim_burst(&s, 32);
		told += s.told;
	}
	ATF_REQUIRE_MSG(told <= 210, "%u signals for 100 bursts", told);
	/* Lengths that come and go. */
	told = 0;
	for (unsigned i = 0; i < 400; i++) {
		sim_burst(&s, i % 3 == 0 ? 30 : 5 + i % 7);
		told += s.told;
	}
	ATF_REQUIRE_MSG(told <= 440, "%u signals for 400 bursts", told);
}

/* --- In a partition --- */

struct bench {
	struct guest	 g;
	struct echo	 e;
	struct guest_ring r;
	uint32_t	 chan, conn;
};

static void
bench_create(struct bench *b, void (*listen)(void *arg, uint32_t connection,
    bool on))
{
	struct hvh_config cf = { .linger_ns = MOST };
	uint8_t m[240];

	guest_create(&b->g, &cf);
	b->g.h->h_ops.listen = listen;
	guest_synic(&b->g);
	echo_add(&b->e, b->g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&b->g, 0x50003, m));
	b->chan = get32(m + 184);
	b->conn = get32(m + 192);
	ATF_REQUIRE_EQ(0, guest_open(&b->g, b->chan, guest_gpadl(&b->g,
	    b->chan, PG_FREE, 8, 1), 1, 4));
	guest_ring(&b->r, &b->g, PG_FREE, 8, 4);
	guest_sleep(&b->g, 200000000);
	guest_event(&b->g, 1, b->chan);
}

static void
bench_read(struct bench *b, unsigned n)
{
	uint8_t buf[256];

	for (unsigned i = 0; i < n; i++)
		ATF_REQUIRE(guest_read(&b->r, buf, sizeof(buf)) != 0);
	ATF_REQUIRE_EQ(0, guest_read(&b->r, buf, sizeof(buf)));
}

/* Eight requests one after the other, the host's rounds in between. */
static void
bench_burst(struct bench *b)
{
	uint8_t data[16] = { 0 };

	for (unsigned i = 0; i < 8; i++) {
		if (guest_write(&b->r, 6, 1, i + 1, NULL, 0, data,
		    sizeof(data)) == 1)
			guest_signal(&b->g, b->conn);
		hvh_pump(b->g.h);
		atomic_fetch_add(&b->g.now, GAP);
		hvh_pump(b->g.h);
	}
	for (unsigned i = 0; i < 2 * MOST / 10000; i++) {
		atomic_fetch_add(&b->g.now, 10000);
		hvh_pump(b->g.h);
	}
	guest_event(&b->g, 1, b->chan);
	bench_read(b, 8);
}

ATF_TC_WITHOUT_HEAD(channel);
ATF_TC_BODY(channel, tc)
{
	struct hvh_stats before, after;
	struct bench b;

	bench_create(&b, NULL);
	for (unsigned i = 0; i < 100; i++)
		bench_burst(&b);
	hvh_get_stats(b.g.h, &before);
	for (unsigned i = 0; i < 50; i++)
		bench_burst(&b);
	hvh_get_stats(b.g.h, &after);
	ATF_REQUIRE_EQ(400, after.packets_in - before.packets_in);
	/* One interrupt and one hypercall a burst, or hardly more. */
	ATF_REQUIRE(after.events_out - before.events_out <= 55);
	ATF_REQUIRE(after.signals_in - before.signals_in <= 60);
	/* A guest that closes in the middle leaves nothing behind. */
	guest_write(&b.r, 6, 1, 99, NULL, 0, "x", 1);
	guest_signal(&b.g, b.conn);
	hvh_pump(b.g.h);
	guest_close(&b.g, b.chan);
	ATF_REQUIRE_EQ(1, b.e.closes);
	guest_destroy(&b.g);
}

static struct bench *switching;
static bool by_kvm;
static unsigned lost;

/*
 * A KVM that takes the channel's signals; as it stops, one that it had taken
 * has not been heard of and never will be.
 */
static void
listen_and_lose(void *arg, uint32_t connection, bool on)
{
	struct bench *b = switching;

	by_kvm = on;
	if (!on && b->e.closes == 0 && guest_write(&b->r, 6, 1, 77, NULL, 0,
	    "x", 1) == 1)
		lost++;
}

ATF_TC_WITHOUT_HEAD(way_of_signals);
ATF_TC_BODY(way_of_signals, tc)
{
	struct bench b;
	uint8_t buf[256];

	switching = &b;
	lost = 0;
	bench_create(&b, listen_and_lose);
	for (unsigned i = 0; i < 100; i++)
		bench_burst(&b);
	ATF_REQUIRE(by_kvm);
	/* One at a time, until KVM is no longer wanted. */
	for (unsigned i = 0; i < 2000 && by_kvm; i++) {
		ATF_REQUIRE_EQ(1, guest_write(&b.r, 6, 1, i + 1, NULL, 0, "x",
		    1));
		guest_signal(&b.g, b.conn);
		for (unsigned n = 0; n < 2 * MOST / 10000; n++) {
			hvh_pump(b.g.h);
			atomic_fetch_add(&b.g.now, 10000);
		}
		ATF_REQUIRE(guest_read(&b.r, buf, sizeof(buf)) != 0);
	}
	ATF_REQUIRE(!by_kvm);
	ATF_REQUIRE_EQ(1, lost);
	/* What came in that moment is answered, with no more signals. */
	ATF_REQUIRE(guest_read(&b.r, buf, sizeof(buf)) != 0);
	ATF_REQUIRE_EQ(0, guest_read(&b.r, buf, sizeof(buf)));
	guest_close(&b.g, b.chan);
	guest_destroy(&b.g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, singles);
	ATF_TP_ADD_TC(tp, bursts);
	ATF_TP_ADD_TC(tp, changes);
	ATF_TP_ADD_TC(tp, channel);
	ATF_TP_ADD_TC(tp, way_of_signals);
	return (atf_no_error());
}
