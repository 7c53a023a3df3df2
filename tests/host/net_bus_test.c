/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network provider on the real bus: rings, GPADLs and the pump, by a
 * hand-made guest.  Life and death in their different orders, faults, and
 * management from other threads.
 */

#include <atf-c.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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

static void
fault(struct bench *b, enum hvh_fault_point point,
    enum hvh_fault_action action, uint32_t key, uint64_t arg,
    uint32_t offset)
{
	struct hvh_fault f = { .point = point, .action = action, .key = key,
	    .times = 1, .arg = arg, .offset = offset, .len = 4 };

	hvh_fault_clear(b->g.h);
	ATF_REQUIRE_EQ(0, hvh_fault_add(b->g.h, &f));
}

/* A frame by pages, whose completion is the test's to look for. */
static void
send_frame(struct bench *b)
{
	uint8_t hdr[24] = { 0 }, msg[40] = { 107 }, *p;

	p = guest_page(&b->g, DATA);
	memset(p, 0, 104);
	put32(p, 1);
	put32(p + 4, 104);
	put32(p + 8, 36);
	put32(p + 12, 60);
	put32(hdr + 4, 1);
	put32(hdr + 8, 104);
	put64(hdr + 16, DATA);
	put32(msg + 8, 0xffffffff);
	ATF_REQUIRE(guest_write(&b->r, 9, 1, ++b->xid, hdr, sizeof(hdr), msg,
	    sizeof(msg)) >= 0);
	guest_signal(&b->g, b->conn);
	guest_pump(&b->g);
}

/* What a host that is out of its mind can do to a guest, by packets. */
ATF_TC_WITHOUT_HEAD(faults);
ATF_TC_BODY(faults, tc)
{
	uint8_t frame[60] = { 0 }, r[240];
	struct bench b;

	bench_create(&b);
	bench_offered(&b);
	bench_up(&b);
	/* A completion that is lost; one that comes twice. */
	fault(&b, HVH_FAULT_PKT_OUT, HVH_FAULT_DROP, 108, 0, 0);
	send_frame(&b);
	none(&b);
	fault(&b, HVH_FAULT_PKT_OUT, HVH_FAULT_DUP, 108, 0, 0);
	send_frame(&b);
	get(&b, 11);
	get(&b, 11);
	ATF_CHECK_EQ(b.xid, get64(b.pkt + 8));
	none(&b);
	/* One that says it failed. */
	fault(&b, HVH_FAULT_PKT_OUT, HVH_FAULT_CORRUPT, 108, 2, 4);
	send_frame(&b);
	ATF_CHECK_EQ(2, get32(get(&b, 11) + 4));
	/* A message of the guest's that is lost. */
	fault(&b, HVH_FAULT_PKT_IN, HVH_FAULT_DROP, 107, 0, 0);
	send_frame(&b);
	none(&b);
	/* A range outside the receive buffer. */
	fault(&b, HVH_FAULT_PKT_OUT, HVH_FAULT_CORRUPT, 0xcafe, 0xfffff000,
	    12);
	fake_nic_send(&b.nic, frame, sizeof(frame));
	guest_pump(&b.g);
	get(&b, 7);
	ATF_CHECK_EQ(0xfffff000u, get32(b.pkt + 28));
	give_back(&b);
	hvh_fault_clear(b.g.h);
	bench_traffic(&b);
	/* The device goes under load. */
	fault(&b, HVH_FAULT_PKT_OUT, HVH_FAULT_RESCIND, 108, 0, 0);
	send_frame(&b);
	guest_expect(&b.g, 2, r);
	bench_destroy(&b);
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

/* --- Several threads --- */

static _Atomic bool stop;

static void *
pump_main(void *arg)
{
	struct bench *b = arg;

	while (!atomic_load(&stop)) {
		hvh_pump(b->g.h);
		atomic_fetch_add(&b->g.now, 1000000);
	}
	return (NULL);
}

/* Whoever manages the adapter, and one that comes and goes beside it. */
static void *
manager_main(void *arg)
{
	struct hvh_net_params np = { .mac = { 2, 0, 0, 0, 0, 6 } };
	struct bench *b = arg;
	struct hvh_net_stats st;
	struct hvh_netbe *be[2];
	struct hvh_net *na;
	unsigned i;

	for (i = 0; !atomic_load(&stop); i++) {
		ATF_REQUIRE_EQ(0, hvh_net_link(b->na, i % 3 != 0));
		ATF_REQUIRE_EQ(0, hvh_net_vf(b->na, i & 1, i));
		hvh_net_get_stats(b->na, &st);
		ATF_REQUIRE_EQ(0, hvh_netbe_pair(b->g.h, be));
		np.be = be[0];
		np.instance.b[0] = (uint8_t)i;
		ATF_REQUIRE_EQ(0, hvh_net_add(b->g.h, &np, &na));
		hvh_net_remove(na);
		hvh_netbe_close(be[1]);
		sched_yield();
	}
	return (NULL);
}

/* What comes from the guest goes back to it. */
static bool
mirror_input(void *arg, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };

	net_send(arg, &iov, 1, len, m);
	return (true);
}

static void
mirror_end(void *arg)
{

	net_run(arg);
}

static void
mirror_nothing(void *arg)
{
}

static const struct net_user mirror = {
	.input = mirror_input,
	.input_end = mirror_end,
	.writable = mirror_nothing,
	.link = mirror_nothing,
};

/* Takes all there is: completions are counted, slots go back. */
static unsigned
take_all(struct bench *b, unsigned *completed)
{
	uint8_t msg[40] = { 108, 0, 0, 0, 1 };
	unsigned n = 0;

	while (guest_read(&b->r, b->pkt, sizeof(b->pkt)) != 0) {
		n++;
		if (b->pkt[0] == 11)
			(*completed)++;
		if (b->pkt[0] != 7)
			continue;
		while (guest_write(&b->r, 11, 0, get64(b->pkt + 8), NULL, 0,
		    msg, sizeof(msg)) < 0)
			sched_yield();
	}
	return (n);
}

/* Each message is completed, whatever is done to the adapter meanwhile. */
ATF_TC_WITHOUT_HEAD(threads);
ATF_TC_BODY(threads, tc)
{
	static struct bench b;
	uint8_t hdr[24] = { 0 }, msg[40] = { 107 }, *p;
	unsigned completed = 0, idle = 0, sent = 0;
	pthread_t manager, pump;

	bench_create(&b);
	bench_offered(&b);
	bench_up(&b);
	net_attach(b.be[1], &mirror, b.be[1]);
	p = guest_page(&b.g, DATA);
	put32(p, 1);
	put32(p + 4, 104);
	put32(p + 8, 36);
	put32(p + 12, 60);
	put32(hdr + 4, 1);
	put32(hdr + 8, 104);
	put64(hdr + 16, DATA);
	put32(msg + 8, 0xffffffff);
	ATF_REQUIRE_EQ(0, pthread_create(&pump, NULL, pump_main, &b));
	ATF_REQUIRE_EQ(0, pthread_create(&manager, NULL, manager_main, &b));
	while (completed < 5000 && idle < 1000000) {
		while (sent < 5000 && sent - completed < 100 &&
		    guest_write(&b.r, 9, 1, sent, hdr, sizeof(hdr), msg,
		    sizeof(msg)) >= 0)
			sent++;
		guest_signal(&b.g, b.conn);
		idle = take_all(&b, &completed) > 0 ? 0 : idle + 1;
		sched_yield();
	}
	atomic_store(&stop, true);
	pthread_join(pump, NULL);
	pthread_join(manager, NULL);
	ATF_CHECK_EQ(5000, completed);
	/* And it is as good as before. */
	net_attach(b.be[1], NULL, NULL);
	ATF_REQUIRE_EQ(0, hvh_net_link(b.na, true));
	guest_sleep(&b.g, 10000000000);
	take_all(&b, &completed);
	guest_pump(&b.g);
	fake_nic_free(&b.nic);
	fake_nic_attach(&b.nic, b.be[1]);
	bench_traffic(&b);
	bench_destroy(&b);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, traffic);
	ATF_TP_ADD_TC(tp, orderly);
	ATF_TP_ADD_TC(tp, teardown_held);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, faults);
	ATF_TP_ADD_TC(tp, reset);
	ATF_TP_ADD_TC(tp, threads);
	return (atf_no_error());
}
