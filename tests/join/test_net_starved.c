/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Memory is refused while packets are under way, each time that there is asked
 * for any: a packet arrives as it was sent or is counted as lost, and the next
 * ones pass.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_cable.h"

#define	FRAMES		8
#define	PIECES		40		/* more than a send can have */
#define	POINTS		1000		/* of failure, never so many */

static struct cable j;

static struct sent {
	uint8_t		 data[32768];
	size_t		 len;
	unsigned	 mss, pieces;
} sent[FRAMES];
static uint8_t got[65600];

static void
add_udp(unsigned i, size_t payload, unsigned pieces)
{

	sent[i].len = cable_udp(sent[i].data, 0, payload, i + 1, false);
	sent[i].pieces = pieces;
}

static void
add_tcp(unsigned i, size_t payload)
{

	sent[i].len = cable_tcp(sent[i].data, 0, payload, i + 1, true);
	sent[i].mss = 8000;
	sent[i].pieces = 1;
}

/* Every way of sending and of receiving. */
static void
fill(void)
{

	add_udp(0, 60, 1);		/* an mbuf */
	add_udp(1, 800, 1);		/* a cluster */
	add_udp(2, 1400, 1);		/* headers, and a loan */
	add_udp(3, 8900, 1);
	add_udp(4, 8000, PIECES);	/* put together first */
	add_tcp(5, 30000);		/* comes in several parts */
	add_udp(6, 8000, PIECES);
	add_udp(7, 100, 1);
}

static void
send_one(const struct sent *s)
{
	struct kpi_piece piece[PIECES];
	struct kpi_frame f = { .piece = piece, .npieces = s->pieces,
	    .len = s->len, .mss = s->mss };
	size_t done = 0;
	unsigned i;
	int error;

	for (i = 0; i < s->pieces; i++) {
		piece[i].addr = (void *)(uintptr_t)(s->data + done);
		piece[i].len = i + 1 < s->pieces ? s->len / s->pieces :
		    s->len - done;
		done += piece[i].len;
	}
	if (s->pieces > 1)
		f.flags |= KPI_NET_AS_IS;
	if (s->mss != 0)
		f.flags |= KPI_NET_TSO | KPI_NET_CSUM_IP | KPI_NET_CSUM_L4;
	(void)kpi_net_send(j.kn[0], &f, 1, &error);
	ATF_REQUIRE_EQ(0, error);
}

static kpi_u64
drops(void)
{
	struct kpi_net_info out, in;

	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[0], &out));
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[1], &in));
	return (out.oerrors + out.oqdrops + in.iqdrops + in.ierrors);
}

/* Whether it is frame i, of which the host may have changed the lengths. */
static bool
is_frame(const struct sent *s, const uint8_t *p, size_t len)
{
	size_t skip = s->mss != 0 ? 54 : 0;

	return (len == s->len && memcmp(p + skip, s->data + skip,
	    len - skip) == 0);
}

/*
 * Takes in what comes until all has come or is counted as lost, which it was
 * not before; how many came.
 */
static unsigned
settle(kpi_u64 before)
{
	struct kpi_frame f;
	unsigned arrived = 0, i, next = 0, quiet = 0;
	size_t len;

	while (arrived + (drops() - before) < FRAMES && quiet < 1000) {
		if (kpi_net_recv(j.kn[1], &f, 2) != 0) {
			quiet++;
			continue;
		}
		for (len = i = 0; i < f.npieces; i++) {
			memcpy(got + len, f.piece[i].addr, f.piece[i].len);
			len += f.piece[i].len;
		}
		kpi_net_release(&f);
		while (next < FRAMES && !is_frame(&sent[next], got, len))
			next++;
		ATF_REQUIRE_MSG(next < FRAMES, "%zu bytes that nobody sent, "
		    "or in disorder", len);
		next++;
		arrived++;
	}
	return (arrived);
}

static void
burst(void)
{
	unsigned i;

	for (i = 0; i < FRAMES; i++)
		send_one(&sent[i]);
}

/* The n-th request for memory is refused, for every n there is. */
static void
check(enum kpi_fail kind, unsigned least)
{
	kpi_u64 before;
	unsigned arrived, n;
	bool hit = true;

	for (n = 1; hit && n < POINTS; n++) {
		before = drops();
		kpi_fail_nth(kind, n);
		burst();
		arrived = settle(before);
		hit = kpi_fail_hit(kind);
		kpi_fail_nth(kind, 0);
		ATF_CHECK_EQ_MSG(FRAMES - arrived, drops() - before,
		    "number %u: %u of %u arrived, %ju are counted as lost",
		    n, arrived, FRAMES, (uintmax_t)(drops() - before));
		ATF_CHECK_MSG(arrived + 1 >= FRAMES,
		    "number %u: only %u arrived", n, arrived);
		before = drops();
		burst();
		ATF_CHECK_EQ(FRAMES, settle(before));
	}
	printf("%u points of failure\n", n - 2);
	ATF_CHECK(n < POINTS);
	ATF_CHECK_MSG(n - 2 >= least, "only %u points of failure", n - 2);
}

static void
start(void)
{
	struct cable_config cf = { .vm = { .quiet = true, .cpus = 1 },
	    .channels = 1 };
	struct kpi_net_info in;

	cable_start(&j, &cf);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 9000));
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[1], 9000));
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[1], &in));
	ATF_REQUIRE_EQ(0, kpi_net_caps(j.kn[1], in.capenable &
	    ~KPI_NETCAP_LRO));
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.1.rsc_switch", "1"));
	fill();
	burst();
	ATF_REQUIRE_EQ(FRAMES, settle(drops()));
}

ATF_TC_WITHOUT_HEAD(mbufs);
ATF_TC_BODY(mbufs, tc)
{

	start();
	check(KPI_FAIL_MBUF, 15);
	cable_finish(&j);
}

/* Received payload is not left where it is. */
ATF_TC_WITHOUT_HEAD(mbufs_copied);
ATF_TC_BODY(mbufs_copied, tc)
{

	start();
	ATF_REQUIRE_EQ(0, kpi_sysctl_set("hw.hn.rx_copybreak", "100000"));
	check(KPI_FAIL_MBUF, 15);
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(busdma);
ATF_TC_BODY(busdma, tc)
{

	start();
	check(KPI_FAIL_BUSDMA, 4);
	cable_finish(&j);
}

/* A new session: a change that fails can be tried again. */
ATF_TC_WITHOUT_HEAD(session);
ATF_TC_BODY(session, tc)
{
	static const enum kpi_fail kinds[] = {
		KPI_FAIL_MALLOC, KPI_FAIL_BUSDMA, KPI_FAIL_MBUF
	};
	unsigned i, mtu = 9000, n;
	bool hit;
	int error;

	start();
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (n = 1, hit = true; hit && n < POINTS; n++) {
			mtu = mtu == 9000 ? 8990 : 9000;
			kpi_fail_nth(kinds[i], n);
			error = kpi_net_mtu(j.kn[0], mtu);
			hit = kpi_fail_hit(kinds[i]);
			kpi_fail_nth(kinds[i], 0);
			if (error != 0)
				ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], mtu));
			burst();
			ATF_REQUIRE_EQ(FRAMES, settle(drops()));
		}
		printf("kind %d: %u points of failure\n", kinds[i], n - 2);
		ATF_CHECK(n < POINTS);
	}
	cable_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, mbufs);
	ATF_TP_ADD_TC(tp, mbufs_copied);
	ATF_TP_ADD_TC(tp, busdma);
	ATF_TP_ADD_TC(tp, session);
	return (atf_no_error());
}
