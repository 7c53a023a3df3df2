/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Reference time as guests read it, by the TSC page and its sequence or by the
 * counter, while the partition moves from one TSC to another (protocol:
 * hypervisor, 2.4 and 2.5).
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "guest.h"

#define	HZ	2000000000ull
#define	READERS	3
#define	MOVES	2000
#define	READS	1000		/* at least, each way */

static struct guest g;

/* The sequence a reader saw, 0: it took the counter. */
static uint64_t
page_time(uint32_t *seq)
{
	uint8_t *p = guest_page(&g, PG_TSC);
	uint32_t *seqp = (uint32_t *)(void *)p;
	uint64_t scale, offset, tsc;

	for (;;) {
		*seq = __atomic_load_n(seqp, __ATOMIC_ACQUIRE);
		if (*seq == 0)
			return (rdmsr(&g, 0, 0x40000020));
		scale = __atomic_load_n((uint64_t *)(void *)(p + 8),
		    __ATOMIC_RELAXED);
		offset = __atomic_load_n((uint64_t *)(void *)(p + 16),
		    __ATOMIC_RELAXED);
		tsc = guest_tsc(&g);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(seqp, __ATOMIC_RELAXED) == *seq)
			return ((uint64_t)((unsigned __int128)tsc * scale >>
			    64) + offset);
	}
}

static void
create(uint64_t hz)
{
	struct hvh_config cf = { .tsc_hz = hz };

	guest_create_tsc(&g, &cf);
}

/* To a TSC of another rate, which stands elsewhere. */
static void
other_tsc(void *arg)
{
	uint64_t *to = arg;

	ATF_CHECK_EQ(0, get32(guest_page(&g, PG_TSC)));
	atomic_store(&g.tsc_rate, to[0]);
	atomic_store(&g.tsc_base, to[1]);
}

ATF_TC_WITHOUT_HEAD(moved);
ATF_TC_BODY(moved, tc)
{
	static const uint64_t rates[] = { 2, 3, 1, 7 };
	uint64_t at, to[2];
	struct hvh_stats st;
	uint32_t seq, last = 0;

	create(HZ);
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	ATF_REQUIRE_EQ(0, page_time(&seq));
	g.now += 1000000;
	ATF_REQUIRE_EQ(10000, page_time(&seq));
	for (unsigned i = 0; i < 4; i++) {
		/* Time neither jumps nor stands, by page and by counter. */
		at = page_time(&last);
		to[0] = rates[i];
		to[1] = UINT64_MAX - 1000 * i;
		ATF_REQUIRE_EQ(0, hvh_tsc_move(g.h, rates[i] * 1000000000,
		    other_tsc, to));
		ATF_REQUIRE_EQ(at, page_time(&seq));
		ATF_REQUIRE(seq != 0 && seq != last);
		ATF_REQUIRE_EQ(at, rdmsr(&g, 1, 0x40000020));
		ATF_REQUIRE_EQ(rates[i] * 1000000000,
		    rdmsr(&g, 0, 0x40000022));
		g.now += 5000000;
		ATF_REQUIRE(page_time(&seq) - at - 50000 + 1 <= 2);
		ATF_REQUIRE_EQ(page_time(&seq), rdmsr(&g, 1, 0x40000020));
	}
	/* Nowhere to read from: for good, and time goes on. */
	at = page_time(&seq);
	ATF_REQUIRE_EQ(0, hvh_tsc_move(g.h, 0, NULL, NULL));
	ATF_REQUIRE_EQ(at, page_time(&seq));
	ATF_REQUIRE_EQ(0, seq);
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	ATF_REQUIRE_EQ(0, get32(guest_page(&g, PG_TSC)));
	g.now += 1000000;
	ATF_REQUIRE_EQ(at + 10000, page_time(&seq));
	/* And back. */
	ATF_REQUIRE_EQ(0, hvh_tsc_move(g.h, 7000000000, NULL, NULL));
	ATF_REQUIRE_EQ(at + 10000, page_time(&seq));
	ATF_REQUIRE(seq != 0);
	ATF_REQUIRE_EQ(EINVAL, hvh_tsc_move(g.h, 10000000, NULL, NULL));
	hvh_get_stats(g.h, &st);
	ATF_REQUIRE_EQ(6, st.tsc_moves);
	guest_destroy(&g);
}

/* What the page said before it was put away is not what it may say again. */
ATF_TC_WITHOUT_HEAD(put_away);
ATF_TC_BODY(put_away, tc)
{
	uint64_t to[2] = { 4, 0 }, at;
	uint32_t seq;

	create(HZ);
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	g.now += 1000000;
	at = page_time(&seq);
	wrmsr(&g, 0, 0x40000021, 0);
	ATF_REQUIRE_EQ(0, get32(guest_page(&g, PG_TSC)));
	ATF_REQUIRE_EQ(0, hvh_tsc_move(g.h, 4000000000, other_tsc, to));
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	ATF_REQUIRE_EQ(at, page_time(&seq));
	ATF_REQUIRE_EQ(2, seq);
	/* Another place: the same, with a sequence of its own. */
	wrmsr(&g, 0, 0x40000021, GPA(PG_FREE) | 1);
	ATF_REQUIRE_EQ(3, get32(guest_page(&g, PG_FREE)));
	ATF_REQUIRE_EQ(0, get32(guest_page(&g, PG_TSC)));
	hvh_reset(g.h);
	ATF_REQUIRE_EQ(0, get32(guest_page(&g, PG_FREE)));
	ATF_REQUIRE_EQ(0, rdmsr(&g, 0, 0x40000021));
	guest_destroy(&g);
}

/* A timer keeps its time: it is due when the reference time says so. */
ATF_TC_WITHOUT_HEAD(timer);
ATF_TC_BODY(timer, tc)
{
	uint64_t to[2] = { 4, 12345 };

	create(HZ);
	wrmsr(&g, 1, 0x400000B0, 8 | 1 << 12 | 0x71 << 4);
	wrmsr(&g, 1, 0x400000B1, rdmsr(&g, 1, 0x40000020) + 10000);
	guest_sleep(&g, 500000);
	atomic_store(&g.kicks, 0);
	ATF_REQUIRE_EQ(0, hvh_tsc_move(g.h, 4000000000, other_tsc, to));
	ATF_REQUIRE(g.kicks > 0);
	guest_sleep(&g, 499000);
	ATF_REQUIRE_EQ(0, g.irqs[1][0x71]);
	guest_sleep(&g, 2000);
	ATF_REQUIRE_EQ(1, g.irqs[1][0x71]);
	guest_destroy(&g);
}

static atomic_bool stop;
static _Atomic uint64_t by_page, by_counter;

/* Never backwards, on any VP, whichever way it is read. */
static void *
reader(void *arg)
{
	uint64_t last = 0, now;
	uint32_t seq;

	while (!atomic_load(&stop)) {
		now = page_time(&seq);
		if (now < last)
			return ((void *)(uintptr_t)(last - now));
		last = now;
		atomic_fetch_add(seq != 0 ? &by_page : &by_counter, 1);
	}
	return (NULL);
}

static void *
ticker(void *arg)
{

	while (!atomic_load(&stop))
		atomic_fetch_add(&g.now, 300);
	return (NULL);
}

ATF_TC_WITHOUT_HEAD(readers);
ATF_TC_BODY(readers, tc)
{
	pthread_t thread[READERS + 1];
	uint64_t to[2], before, after;
	void *back;

	create(HZ);
	wrmsr(&g, 0, 0x40000021, GPA(PG_TSC) | 1);
	for (unsigned i = 0; i < READERS; i++)
		ATF_REQUIRE_EQ(0, pthread_create(&thread[i], NULL, reader,
		    NULL));
	ATF_REQUIRE_EQ(0, pthread_create(&thread[READERS], NULL, ticker,
	    NULL));
	for (unsigned i = 0; i < MOVES || atomic_load(&by_page) < READS ||
	    atomic_load(&by_counter) < READS; i++) {
		to[0] = 1 + i % 5;
		to[1] = i * 0x123456789ull;
		before = rdmsr(&g, 3, 0x40000020);
		ATF_REQUIRE_EQ(0, hvh_tsc_move(g.h, i % 7 == 6 ? 0 :
		    to[0] * 1000000000, other_tsc, to));
		after = rdmsr(&g, 3, 0x40000020);
		ATF_CHECK(before <= after);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i <= READERS; i++) {
		pthread_join(thread[i], &back);
		ATF_CHECK_MSG(back == NULL, "reader %u: back by %ju", i,
		    (uintmax_t)(uintptr_t)back);
	}
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, moved);
	ATF_TP_ADD_TC(tp, put_away);
	ATF_TP_ADD_TC(tp, timer);
	ATF_TP_ADD_TC(tp, readers);
	return (atf_no_error());
}
