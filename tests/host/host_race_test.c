/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Several threads at once: a pump, and guests on their own VPs that empty
 * slots, take flags, move pages and signal.  Nothing may be lost: each test
 * counts, and ends only when everything has come (or its time is up).
 */

#include <atf-c.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "echo.h"
#include "guest.h"
#include "hypervisor/partition.h"

#define	MESSAGES	3000
#define	PACKETS		5000

static struct guest g;
static _Atomic bool stop;
static _Atomic unsigned received;

static void
nap(void)
{
	const struct timespec ts = { .tv_nsec = 50000 };

	nanosleep(&ts, NULL);
}

static void *
pump_main(void *arg)
{
	unsigned seen = 0, kicks;

	while (!atomic_load(&stop)) {
		kicks = atomic_load(&g.kicks);
		if (kicks == seen) {
			nap();
			continue;
		}
		/* Only a kick brings us here: a lost one ends the test. */
		seen = kicks;
		while (hvh_pump(g.h) <= atomic_load(&g.now))
			;
	}
	return (NULL);
}

/* A guest's CPU: on an interrupt, slot and flags by the rules of 3.4. */
static void *
slot_main(void *arg)
{
	uint8_t *s = guest_page(&g, PG_SIMP + 1) + 2 * 256;
	unsigned seen = 0, irqs;
	uint32_t want = 1;

	while (want <= MESSAGES && !atomic_load(&stop)) {
		irqs = atomic_load(&g.irqs[1][0x51]);
		if (irqs == seen) {
			sched_yield();
			continue;
		}
		seen = irqs;
		while (__atomic_load_n((uint32_t *)(void *)s,
		    __ATOMIC_ACQUIRE) != 0) {
			ATF_REQUIRE_EQ(want, get32(s + 16));
			want++;
			atomic_fetch_add(&received, 1);
			__atomic_store_n((uint32_t *)(void *)s, 0,
			    __ATOMIC_RELEASE);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			if ((__atomic_load_n(s + 5, __ATOMIC_RELAXED) & 1) !=
			    0)
				wrmsr(&g, 1, 0x40000084, 0);
		}
	}
	return (NULL);
}

/* Each message comes, once and in order, with interrupts alone to go by. */
ATF_TC_WITHOUT_HEAD(messages);
ATF_TC_BODY(messages, tc)
{
	struct hvh_delivery *d;
	pthread_t t;

	guest_create(&g, NULL);
	guest_synic(&g);
	d = &g.h->h_delivery;
	ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, slot_main, NULL));
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		ATF_REQUIRE_EQ(0, d->post(d->arg, 1, 2, 1, 0, &i, sizeof(i)));
		while (d->backlog(d->arg, 1, 2) > 32)
			sched_yield();
	}
	for (unsigned i = 0; i < 200000 &&
	    atomic_load(&received) < MESSAGES; i++)
		nap();
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	ATF_REQUIRE_EQ(MESSAGES, atomic_load(&received));
	guest_destroy(&g);
}

#define	ROUNDS	2000

/* A VP that reaches all others, itself too, in each way there is. */
static void *
reaching_main(void *arg)
{
	uint32_t vp = (uint32_t)(uintptr_t)arg;
	uint64_t in = GPA(PG_FREE + vp);

	put64(guest_page(&g, PG_FREE + vp) + 8, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, vp, 0x1000B, 0x80,
		    (1 << GUEST_VPS) - 1));
		ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, vp, 0x02, in, 0));
		wrmsr(&g, vp, 0x40000071, 2 << 18 | 0x81);
		wrmsr(&g, vp, 0x40000072, i & 0xF0);
		wrmsr(&g, vp, 0x40000070, 0);
		wrmsr(&g, vp, 0x40000073, (in + GPA(GUEST_VPS)) | (i & 1));
		if (vp == 0)
			wrmsr(&g, vp, 0x40000105, 1ull << 63);
	}
	return (NULL);
}

/* Each IPI is an interrupt on each VP, each flush one that is counted. */
ATF_TC_WITHOUT_HEAD(reaching);
ATF_TC_BODY(reaching, tc)
{
	pthread_t t[GUEST_VPS];
	struct hvh_crash hc = { 0 };
	struct hvh_vp_stats vs;
	struct hvh_stats st;

	guest_create(&g, NULL);
	for (uint32_t i = 0; i < GUEST_VPS; i++)
		ATF_REQUIRE_EQ(0, pthread_create(&t[i], NULL, reaching_main,
		    (void *)(uintptr_t)i));
	while (hc.count < ROUNDS) {
		hvh_get_stats(g.h, &st);
		hvh_get_crash(g.h, &hc);
	}
	for (uint32_t i = 0; i < GUEST_VPS; i++)
		pthread_join(t[i], NULL);
	for (uint32_t i = 0; i < GUEST_VPS; i++) {
		hvh_get_vp_stats(g.h, i, &vs);
		ATF_CHECK_EQ(GUEST_VPS * ROUNDS, g.irqs[i][0x80]);
		ATF_CHECK_EQ(GUEST_VPS * ROUNDS, g.irqs[i][0x81]);
		ATF_CHECK_EQ(GUEST_VPS * ROUNDS, vs.flushes);
		ATF_CHECK_EQ(GUEST_VPS * ROUNDS, vs.ipis);
		ATF_CHECK_EQ(2 * GUEST_VPS * ROUNDS, vs.interrupts);
		ATF_CHECK_EQ(2 * ROUNDS, vs.hypercalls);
		ATF_CHECK_EQ(ROUNDS, g.eois[i]);
	}
	hvh_get_stats(g.h, &st);
	ATF_CHECK_EQ(GUEST_VPS * ROUNDS, st.ipis);
	ATF_CHECK_EQ(GUEST_VPS * GUEST_VPS * ROUNDS, st.ipi_vps);
	ATF_CHECK_EQ(GUEST_VPS * ROUNDS, g.flushes);
	ATF_CHECK_EQ(ROUNDS, st.crashes);
	guest_destroy(&g);
}

static void *
moving_main(void *arg)
{

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		wrmsr(&g, 1, 0x40000082, GPA(PG_FREE + i % 3) | 1);
		if (i % 7 == 0)
			wrmsr(&g, 1, 0x40000082, 0);
		wrmsr(&g, 1, 0x40000083, GPA(PG_FREE + 4 + i % 3) | 1);
		if (i % 5 == 0)
			wrmsr(&g, 1, 0x40000092, 0x10000);
		wrmsr(&g, 1, 0x40000092, 0x51);
		wrmsr(&g, 1, 0x400000B1, 1);
		wrmsr(&g, 1, 0x40000084, 0);
		/* The test is about pages that move, not about speed. */
		if (i % 64 == 0)
			sched_yield();
	}
	return (NULL);
}

/* Pages that move under messages, flags and timers stay whole. */
ATF_TC_WITHOUT_HEAD(moving_pages);
ATF_TC_BODY(moving_pages, tc)
{
	struct hvh_delivery *d;
	pthread_t mover, pump;

	guest_create(&g, NULL);
	guest_synic(&g);
	wrmsr(&g, 1, 0x40000094, 0x60);
	wrmsr(&g, 1, 0x400000B0, 8 | 4 << 16);
	d = &g.h->h_delivery;
	ATF_REQUIRE_EQ(0, pthread_create(&mover, NULL, moving_main, NULL));
	ATF_REQUIRE_EQ(0, pthread_create(&pump, NULL, pump_main, NULL));
	for (uint32_t i = 0; i < 5000; i++) {
		d->event(d->arg, 1, 2, i % 2048);
		if (d->backlog(d->arg, 1, 2) < 32)
			ATF_REQUIRE_EQ(0, d->post(d->arg, 1, 2, 1, 0, &i,
			    sizeof(i)));
		atomic_fetch_add(&g.now, 1000);
	}
	atomic_store(&stop, true);
	pthread_join(mover, NULL);
	pthread_join(pump, NULL);
	/* Off: whatever lay below, none of it is left of the overlays. */
	wrmsr(&g, 1, 0x40000082, 0);
	wrmsr(&g, 1, 0x40000083, 0);
	for (unsigned i = 0; i < 7 * PAGE; i++)
		ATF_REQUIRE_EQ(0, guest_page(&g, PG_FREE)[i]);
	guest_destroy(&g);
}

/*
 * Packets both ways: the guest signals only when the rules demand it and
 * sleeps until its event flag is set.
 */
ATF_TC_WITHOUT_HEAD(packets);
ATF_TC_BODY(packets, tc)
{
	struct guest_ring r;
	struct echo e;
	uint8_t m[240], data[32] = { 0 }, buf[256];
	uint64_t sent = 0, got = 0;
	uint32_t chan, conn;
	unsigned idle = 0;
	pthread_t pump;

	guest_create(&g, NULL);
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	chan = get32(m + 184);
	conn = get32(m + 192);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, guest_gpadl(&g, chan, PG_FREE,
	    8, 1), 1, 4));
	guest_ring(&r, &g, PG_FREE, 8, 4);
	ATF_REQUIRE_EQ(0, pthread_create(&pump, NULL, pump_main, NULL));
	while (got < PACKETS && idle < 100000) {
		bool moved = false;

		/* A queue depth that grows and shrinks. */
		while (sent < PACKETS && sent - got < 1 + sent % 40) {
			int due = guest_write(&r, 6, 1, sent + 1, NULL, 0,
			    data, sizeof(data));

			ATF_REQUIRE(due >= 0);
			sent++;
			if (due == 1)
				ATF_REQUIRE_EQ(0, guest_signal(&g, conn));
			moved = true;
		}
		if (guest_event(&g, 1, chan)) {
			while (guest_read(&r, buf, sizeof(buf)) != 0) {
				ATF_REQUIRE_EQ(++got, get64(buf + 8));
				moved = true;
			}
		}
		if (moved) {
			idle = 0;
		} else {
			idle++;
			sched_yield();
			if (idle > 100)
				nap();
		}
	}
	atomic_store(&stop, true);
	pthread_join(pump, NULL);
	ATF_REQUIRE_EQ(PACKETS, got);
	ATF_REQUIRE_EQ(PACKETS, e.packets);
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, reaching);
	ATF_TP_ADD_TC(tp, moving_pages);
	ATF_TP_ADD_TC(tp, packets);
	return (atf_no_error());
}
