/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network provider on the real bus: rings, GPADLs and the pump, by a
 * hand-made guest.  Life and death in their different orders.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_nic.h"
#include "guest.h"

#define	RING		64		/* pages of the primary's rings */
#define	RING_PAGES	16
#define	RX		128
#define	RX_PAGES	256
#define	TX		400
#define	TX_PAGES	32
#define	DATA		500
#define	V5_3		0x50003u

struct bench {
	struct guest	 g;
	struct hvh_netbe *be[2];
	struct fake_nic	 nic;		/* at the far end */
	struct hvh_net	*na;
	struct guest_ring r;
	uint32_t	 chan, conn, ring, rx, tx;
	uint64_t	 xid;
	uint8_t		 pkt[8192];	/* the last one read */
};

static void
bench_create(struct bench *b)
{
	struct hvh_net_params np = { .mac = { 2, 0, 0, 0, 0, 5 } };

	memset(b, 0, sizeof(*b));
	guest_create(&b->g, NULL);
	guest_synic(&b->g);
	ATF_REQUIRE_EQ(0, hvh_netbe_pair(b->g.h, b->be));
	fake_nic_attach(&b->nic, b->be[1]);
	np.be = b->be[0];
	np.instance.b[3] = 9;
	ATF_REQUIRE_EQ(0, hvh_net_add(b->g.h, &np, &b->na));
}

static void
bench_destroy(struct bench *b)
{

	hvh_netbe_close(b->be[1]);
	fake_nic_free(&b->nic);
	guest_destroy(&b->g);
}

static void
bench_offered(struct bench *b)
{
	/* f8615163-df3e-46c5-913f-f2d2f965ed0e */
	static const uint8_t class[16] = { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf,
	    0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e };
	uint8_t m[240];

	ATF_REQUIRE_EQ(1, guest_connect(&b->g, V5_3, m));
	ATF_CHECK(memcmp(m + 8, class, 16) == 0);
	ATF_CHECK_EQ(9, m[24 + 3]);
	b->chan = get32(m + 184);
	b->conn = get32(m + 192);
}

static void
bench_open(struct bench *b)
{

	memset(guest_page(&b->g, RING), 0, RING_PAGES * PAGE);
	b->ring = guest_gpadl(&b->g, b->chan, RING, RING_PAGES, 1);
	ATF_REQUIRE_EQ(0, guest_open(&b->g, b->chan, b->ring, 1,
	    RING_PAGES / 2));
	guest_ring(&b->r, &b->g, RING, RING_PAGES, RING_PAGES / 2);
}

static void
put(struct bench *b, uint16_t type, uint16_t flags, uint64_t xid,
    const void *msg, uint32_t len)
{

	ATF_REQUIRE(guest_write(&b->r, type, flags, xid, NULL, 0, msg, len)
	    >= 0);
	guest_signal(&b->g, b->conn);
	guest_pump(&b->g);
}

/* The next packet to the guest, of this type; its payload. */
static uint8_t *
get(struct bench *b, unsigned type)
{

	ATF_REQUIRE_MSG(guest_read(&b->r, b->pkt, sizeof(b->pkt)) != 0,
	    "nothing of type %u came", type);
	ATF_REQUIRE_EQ(type, b->pkt[0]);
	return (b->pkt + 8 * (b->pkt[2] | b->pkt[3] << 8));
}

static void
none(struct bench *b)
{

	ATF_REQUIRE_EQ(0, guest_read(&b->r, b->pkt, sizeof(b->pkt)));
}

static void
tell(struct bench *b, uint32_t type, uint32_t a, uint32_t c)
{
	uint8_t msg[40] = { 0 };

	put32(msg, type);
	put32(msg + 4, a);
	put32(msg + 8, c);
	put(b, 6, 0, ++b->xid, msg, sizeof(msg));
}

static uint8_t *
ask(struct bench *b, uint32_t type, uint32_t a, uint32_t c)
{
	uint8_t msg[40] = { 0 }, *p;

	put32(msg, type);
	put32(msg + 4, a);
	put32(msg + 8, c);
	put(b, 6, 1, ++b->xid, msg, sizeof(msg));
	p = get(b, 11);
	ATF_REQUIRE_EQ(b->xid, get64(b->pkt + 8));
	return (p);
}

/* An RNDIS message by pages; its status. */
static uint32_t
rndis(struct bench *b, uint32_t type, const void *data, uint32_t len)
{
	uint8_t hdr[24] = { 0 }, msg[40] = { 107 };
	uint8_t *p;

	memcpy(guest_page(&b->g, DATA), data, len);
	put32(hdr + 4, 1);
	put32(hdr + 8, len);
	put64(hdr + 16, DATA);
	put32(msg + 4, type);
	put32(msg + 8, 0xffffffff);
	ATF_REQUIRE(guest_write(&b->r, 9, 1, ++b->xid, hdr, sizeof(hdr), msg,
	    sizeof(msg)) >= 0);
	guest_signal(&b->g, b->conn);
	guest_pump(&b->g);
	p = get(b, 11);
	ATF_REQUIRE_EQ(b->xid, get64(b->pkt + 8));
	ATF_REQUIRE_EQ(108, get32(p));
	return (get32(p + 4));
}

static void
give_back(struct bench *b)
{
	uint8_t msg[40] = { 108, 0, 0, 0, 1 };

	put(b, 11, 0, get64(b->pkt + 8), msg, sizeof(msg));
}

static void
bench_up(struct bench *b)
{
	uint8_t init[24] = { 2, 0, 0, 0, 24, 0, 0, 0, 7, 0, 0, 0, 1 };
	uint8_t set[32] = { 5, 0, 0, 0, 32, 0, 0, 0, 8 }, *p;

	bench_open(b);
	p = ask(b, 1, 0x60001, 0x60001);
	ATF_REQUIRE_EQ(1, get32(p + 12));
	tell(b, 125, 1514, 0);
	tell(b, 100, 6, 30);
	b->rx = guest_gpadl(&b->g, b->chan, RX, RX_PAGES, 1);
	b->tx = guest_gpadl(&b->g, b->chan, TX, TX_PAGES, 1);
	p = ask(b, 101, b->rx, 0xcafe);
	ATF_REQUIRE_EQ(1, get32(p + 4));
	p = ask(b, 104, b->tx, 0xface);
	ATF_REQUIRE_EQ(1, get32(p + 4));
	ATF_REQUIRE_EQ(1, rndis(b, 1, init, sizeof(init)));
	get(b, 7);
	ATF_REQUIRE_EQ(0x80000002u, get32(guest_page(&b->g, RX) +
	    get32(b->pkt + 28)));
	give_back(b);
	put32(set + 12, 0x1010e);
	put32(set + 16, 4);
	put32(set + 20, 20);
	put32(set + 28, 0x20);
	ATF_REQUIRE_EQ(1, rndis(b, 1, set, sizeof(set)));
	get(b, 7);
	give_back(b);
	none(b);
}

/* A frame each way. */
static void
bench_traffic(struct bench *b)
{
	uint8_t msg[44 + 200] = { 1 }, frame[200];
	unsigned n = b->nic.n;
	const uint8_t *slot;

	fake_frame(frame, sizeof(frame), 3);
	put32(msg + 4, sizeof(msg));
	put32(msg + 8, 36);
	put32(msg + 12, sizeof(frame));
	memcpy(msg + 44, frame, sizeof(frame));
	ATF_CHECK_EQ(1, rndis(b, 0, msg, sizeof(msg)));
	/* The pair has kicked: there is another round to do. */
	guest_pump(&b->g);
	ATF_CHECK_EQ(n + 1, b->nic.n);
	ATF_CHECK(fake_nic_has(&b->nic, n, frame, sizeof(frame)));
	ATF_REQUIRE_EQ(0, fake_nic_send(&b->nic, frame, sizeof(frame)));
	guest_pump(&b->g);
	get(b, 7);
	ATF_REQUIRE_EQ(1, get32(b->pkt + 20));
	slot = guest_page(&b->g, RX) + get32(b->pkt + 28);
	ATF_CHECK_EQ(sizeof(frame), get32(slot + 12));
	ATF_CHECK(memcmp(slot + 8 + get32(slot + 8), frame,
	    sizeof(frame)) == 0);
	give_back(b);
	none(b);
}

ATF_TC_WITHOUT_HEAD(traffic);
ATF_TC_BODY(traffic, tc)
{
	struct hvh_stats st;
	struct bench b;
	unsigned i;

	bench_create(&b);
	bench_offered(&b);
	bench_up(&b);
	for (i = 0; i < 300; i++)
		bench_traffic(&b);
	/* A burst is one packet, and one event. */
	guest_event(&b.g, 1, b.chan);
	hvh_get_stats(b.g.h, &st);
	i = (unsigned)st.events_out;
	for (unsigned k = 0; k < 100; k++) {
		fake_frame(b.pkt, 100, k);
		ATF_REQUIRE_EQ(0, fake_nic_send(&b.nic, b.pkt, 100));
	}
	guest_pump(&b.g);
	get(&b, 7);
	ATF_CHECK_EQ(100, get32(b.pkt + 20));
	none(&b);
	hvh_get_stats(b.g.h, &st);
	ATF_CHECK_EQ(i + 1, st.events_out);
	bench_destroy(&b);
}

/* As guests end that know how: HALT, revoke, tear down, close. */
ATF_TC_WITHOUT_HEAD(orderly);
ATF_TC_BODY(orderly, tc)
{
	uint8_t halt[12] = { 3, 0, 0, 0, 12 };
	struct hvh_stats st;
	struct bench b;
	unsigned i;

	bench_create(&b);
	bench_offered(&b);
	for (i = 0; i < 4; i++) {
		bench_up(&b);
		bench_traffic(&b);
		if (i < 3)
			ATF_CHECK_EQ(1, rndis(&b, 1, halt, sizeof(halt)));
		tell(&b, 103, 0xcafe, 0);
		tell(&b, 106, 0xface, 0);
		/* Before or behind the closing. */
		if (i & 1)
			guest_close(&b.g, b.chan);
		guest_teardown(&b.g, b.chan, b.rx);
		guest_teardown(&b.g, b.chan, b.tx);
		if (!(i & 1))
			guest_close(&b.g, b.chan);
		guest_teardown(&b.g, b.chan, b.ring);
		hvh_get_stats(b.g.h, &st);
		ATF_CHECK_EQ(0, st.gpadls);
	}
	bench_destroy(&b);
}

/* Torn down without being revoked: answered when the channel closes. */
ATF_TC_WITHOUT_HEAD(teardown_held);
ATF_TC_BODY(teardown_held, tc)
{
	uint8_t m[16] = { 11 }, r[240];
	struct bench b;

	bench_create(&b);
	bench_offered(&b);
	bench_up(&b);
	put32(m + 8, b.chan);
	put32(m + 12, b.rx);
	ATF_REQUIRE_EQ(0, guest_post(&b.g, 1, m, sizeof(m)));
	guest_expect_none(&b.g);
	bench_traffic(&b);
	guest_close(&b.g, b.chan);
	guest_expect(&b.g, 12, r);
	ATF_CHECK_EQ(b.rx, get32(r + 8));
	guest_teardown(&b.g, b.chan, b.tx);
	guest_teardown(&b.g, b.chan, b.ring);
	bench_destroy(&b);
}

/* The device goes with packets at the guest and a message under way. */
ATF_TC_WITHOUT_HEAD(rescind);
ATF_TC_BODY(rescind, tc)
{
	uint8_t m[16] = { 13 }, r[240], frame[1500], msg[1544] = { 1 };
	struct hvh_net_stats nst;
	struct hvh_stats st;
	struct bench b;
	unsigned how, i;

	for (how = 0; how < 2; how++) {
		bench_create(&b);
		bench_offered(&b);
		bench_up(&b);
		b.nic.room = 0;
		fake_frame(frame, sizeof(frame), 1);
		put32(msg + 4, sizeof(msg));
		put32(msg + 8, 36);
		put32(msg + 12, sizeof(frame));
		memcpy(guest_page(&b.g, DATA), msg, sizeof(msg));
		for (i = 0; i < 100; i++) {
			uint8_t hdr[24] = { 0 }, nm[40] = { 107 };

			put32(hdr + 4, 1);
			put32(hdr + 8, sizeof(msg));
			put64(hdr + 16, DATA);
			put32(nm + 8, 0xffffffff);
			guest_write(&b.r, 9, 1, i, hdr, sizeof(hdr), nm,
			    sizeof(nm));
			fake_nic_send(&b.nic, frame, 60);
		}
		guest_signal(&b.g, b.conn);
		guest_pump(&b.g);
		if (how == 0)
			hvh_net_remove(b.na);
		else
			ATF_REQUIRE_EQ(0, hvh_rescind(b.g.h, b.chan));
		guest_expect(&b.g, 2, r);
		put32(m + 8, b.chan);
		ATF_REQUIRE_EQ(0, guest_post(&b.g, 1, m, 12));
		guest_pump(&b.g);
		hvh_get_stats(b.g.h, &st);
		ATF_CHECK_EQ(0, st.gpadls);
		ATF_CHECK_EQ(0, st.channels_open);
		ATF_CHECK_EQ(0, st.channels_offered);
		/* Its back end is closed with it: the far end sees that. */
		ATF_CHECK(!net_link(b.be[1]));
		if (how == 1) {
			ATF_CHECK_EQ(ENODEV, hvh_net_link(b.na, true));
			hvh_net_get_stats(b.na, &nst);
			hvh_net_remove(b.na);
		}
		bench_destroy(&b);
	}
}

/* A reset of the VM, and its end, at any point of the set-up. */
ATF_TC_WITHOUT_HEAD(reset);
ATF_TC_BODY(reset, tc)
{
	struct hvh_stats st;
	struct bench b;
	unsigned step;

	for (step = 0; step < 4; step++) {
		bench_create(&b);
		bench_offered(&b);
		if (step == 1)
			bench_open(&b);
		if (step >= 2)
			bench_up(&b);
		if (step == 3) {
			tell(&b, 103, 0xcafe, 0);
			guest_pump(&b.g);
		}
		hvh_reset(b.g.h);
		hvh_get_stats(b.g.h, &st);
		ATF_CHECK_EQ(0, st.gpadls);
		memset(b.g.mem, 0, GUEST_PAGES * PAGE);
		fake_nic_send(&b.nic, b.g.mem, 60);
		guest_pump(&b.g);
		guest_synic(&b.g);
		bench_offered(&b);
		bench_up(&b);
		bench_traffic(&b);
		bench_destroy(&b);
	}
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, traffic);
	ATF_TP_ADD_TC(tp, orderly);
	ATF_TP_ADD_TC(tp, teardown_held);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, reset);
	return (atf_no_error());
}
