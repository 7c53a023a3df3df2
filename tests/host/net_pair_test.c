/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network back ends joined in memory, and what all back ends have in common:
 * order, room, stalls, offloads, link.
 */

#include <atf-c.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_bus.h"
#include "fake_nic.h"

static struct hvh *h;
static struct hvh_netbe *be[2];
static struct fake_nic a, b;
static uint8_t frame[NET_FRAME_MAX + 1];

static void
begin(void)
{

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, hvh_netbe_pair(h, be));
	fake_nic_attach(&a, be[0]);
	fake_nic_attach(&b, be[1]);
}

static void
end(void)
{

	hvh_netbe_close(be[0]);
	hvh_netbe_close(be[1]);
	fake_nic_free(&a);
	fake_nic_free(&b);
	fake_free(h);
}

/* Pumps for as long as the back ends ask for it. */
static void
pump(void)
{
	unsigned kicks;

	do {
		kicks = h->kicks;
		fake_pump(h);
	} while (h->kicks != kicks);
}

ATF_TC_WITHOUT_HEAD(both_ways);
ATF_TC_BODY(both_ways, tc)
{
	static const uint32_t sizes[] = { 14, 60, 1514, 9014, NET_FRAME_MAX };
	struct hvh_netbe_stats st;
	uint32_t bytes = 0;

	begin();
	for (unsigned i = 0; i < 5; i++) {
		fake_frame(frame, sizes[i], i);
		ATF_CHECK_EQ(0, fake_nic_send(&a, frame, sizes[i]));
		ATF_CHECK_EQ(0, fake_nic_send(&b, frame, sizes[i]));
		bytes += sizes[i];
	}
	ATF_CHECK_EQ_MSG(0, b.n, "delivered from within net_send()");
	ATF_CHECK_MSG(h->kicks > 0, "nobody is told that there is work");
	pump();
	ATF_REQUIRE_EQ(5, a.n);
	ATF_REQUIRE_EQ(5, b.n);
	ATF_CHECK(!a.open && !b.open && a.ends == 1 && b.ends == 1);
	for (unsigned i = 0; i < 5; i++) {
		fake_frame(frame, sizes[i], i);
		ATF_CHECK(fake_nic_has(&a, i, frame, sizes[i]));
		ATF_CHECK(fake_nic_has(&b, i, frame, sizes[i]));
	}
	hvh_netbe_get_stats(be[0], &st);
	ATF_CHECK_EQ(5, st.tx_frames);
	ATF_CHECK_EQ(bytes, st.tx_bytes);
	ATF_CHECK_EQ(5, st.rx_frames);
	ATF_CHECK_EQ(bytes, st.rx_bytes);
	ATF_CHECK_EQ(0, st.tx_dropped + st.rx_dropped);
	end();
}

ATF_TC_WITHOUT_HEAD(bounds);
ATF_TC_BODY(bounds, tc)
{
	struct hvh_netbe_stats st;

	begin();
	ATF_CHECK_EQ(EMSGSIZE, fake_nic_send(&a, frame, NET_FRAME_MIN - 1));
	ATF_CHECK_EQ(EMSGSIZE, fake_nic_send(&a, frame, NET_FRAME_MAX + 1));
	pump();
	ATF_CHECK_EQ(0, b.n);
	hvh_netbe_get_stats(be[0], &st);
	ATF_CHECK_EQ(2, st.tx_dropped);
	ATF_CHECK_EQ(0, st.tx_frames);
	end();
}

/* More than one turn's worth: others are served in between. */
ATF_TC_WITHOUT_HEAD(budget);
ATF_TC_BODY(budget, tc)
{

	begin();
	for (unsigned i = 0; i < NET_BUDGET + 10; i++)
		ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, 60));
	fake_pump(h);
	ATF_CHECK_EQ(NET_BUDGET, b.n);
	pump();
	ATF_CHECK_EQ(NET_BUDGET + 10, b.n);
	end();
}

/* A user without room gets the very frame again, and all after it. */
ATF_TC_WITHOUT_HEAD(no_room);
ATF_TC_BODY(no_room, tc)
{

	begin();
	b.room = 3;
	for (unsigned i = 0; i < 10; i++) {
		fake_frame(frame, 100 + i, i);
		ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, 100 + i));
	}
	pump();
	pump();
	ATF_CHECK_EQ(3, b.n);
	ATF_CHECK_EQ_MSG(1, b.refused, "offered again without having asked");
	ATF_CHECK(!b.open);
	b.room = 100;
	b.inside = true;
	net_resume(be[1]);
	b.inside = false;
	pump();
	ATF_REQUIRE_EQ(10, b.n);
	for (unsigned i = 0; i < 10; i++) {
		fake_frame(frame, 100 + i, i);
		ATF_CHECK(fake_nic_has(&b, i, frame, 100 + i));
	}
	end();
}

/* Sends numbered frames until there is no room; how many. */
static unsigned
fill(unsigned from)
{
	unsigned i;
	int error;

	for (i = from;; i++) {
		fake_frame(frame, 1514, i);
		error = fake_nic_send(&a, frame, 1514);
		if (error != 0)
			break;
	}
	ATF_REQUIRE_EQ(EAGAIN, error);
	return (i - from);
}

/*
 * Two who send by one back end: the one that was told to wait is not forgotten
 * when the other finds room first.
 */
ATF_TC_WITHOUT_HEAD(overtaken);
ATF_TC_BODY(overtaken, tc)
{
	unsigned sent;

	begin();
	b.room = 0;
	pump();
	sent = fill(0);
	b.room = 10;
	net_resume(be[1]);
	pump();
	a.writables = 0;
	fake_frame(frame, 1514, sent);
	ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, 1514));
	b.room = UINT32_MAX;
	net_resume(be[1]);
	pump();
	ATF_CHECK_EQ(sent + 1, b.n);
	ATF_CHECK_EQ(1, a.writables);
	end();
}

ATF_TC_WITHOUT_HEAD(backpressure);
ATF_TC_BODY(backpressure, tc)
{
	unsigned sent = 0, wave;

	begin();
	for (wave = 0; wave < 5; wave++) {
		b.room = 0;
		pump();
		sent += fill(sent);
		a.writables = 0;
		b.room = UINT32_MAX;
		net_resume(be[1]);
		pump();
		ATF_CHECK_EQ(1, a.writables);
		ATF_REQUIRE_EQ(sent, b.n);
	}
	for (unsigned i = 0; i < sent; i++) {
		fake_frame(frame, 1514, i);
		ATF_REQUIRE(fake_nic_has(&b, i, frame, 1514));
	}
	ATF_CHECK_EQ(0, be[0]->stats.tx_dropped);
	end();
}

/* A peer that never reads holds nobody up for longer than is bearable. */
ATF_TC_WITHOUT_HEAD(stall);
ATF_TC_BODY(stall, tc)
{
	unsigned sent;

	begin();
	b.room = 0;
	sent = fill(0);
	h->now += NET_STALL_NS - 1;
	pump();
	ATF_CHECK_EQ(0, a.writables);
	ATF_CHECK_EQ(EAGAIN, fake_nic_send(&a, frame, 1514));
	h->now += 1;
	pump();
	ATF_CHECK_EQ(1, a.writables);
	ATF_CHECK_EQ(ENOBUFS, fake_nic_send(&a, frame, 1514));
	ATF_CHECK_EQ(ENOBUFS, fake_nic_send(&a, frame, 1514));
	ATF_CHECK_EQ(2, be[0]->stats.tx_dropped);
	b.room = UINT32_MAX;
	net_resume(be[1]);
	pump();
	ATF_CHECK_EQ(sent, b.n);
	ATF_CHECK_EQ(0, fake_nic_send(&a, frame, 1514));
	/* And the next one who does not read is waited for again. */
	b.room = 0;
	pump();
	fill(0);
	end();
}

ATF_TC_WITHOUT_HEAD(offloads);
ATF_TC_BODY(offloads, tc)
{
	const struct net_meta csum = { .flags = NET_NEEDS_CSUM,
	    .csum_start = 34, .csum_offset = 16 };
	const struct net_meta tso = { .flags = NET_NEEDS_CSUM,
	    .gso = NET_GSO_TCP4, .hdr_len = 54, .gso_size = 1448,
	    .csum_start = 34, .csum_offset = 16 };

	begin();
	fake_frame(frame, 3000, 1);
	ATF_CHECK_EQ(0, net_caps(be[0]));
	ATF_CHECK_EQ(EOPNOTSUPP, fake_nic_send_meta(&a, frame, 3000, &csum));
	net_accept(be[1], NET_CAN_CSUM);
	ATF_CHECK_EQ(NET_CAN_CSUM, net_caps(be[0]));
	ATF_CHECK_EQ(0, net_caps(be[1]));
	ATF_CHECK_EQ(0, fake_nic_send_meta(&a, frame, 3000, &csum));
	ATF_CHECK_EQ(EOPNOTSUPP, fake_nic_send_meta(&a, frame, 3000, &tso));
	net_accept(be[1], NET_CAN_TSO4);
	ATF_CHECK_EQ_MSG(NET_CAN_CSUM | NET_CAN_TSO4, net_caps(be[0]),
	    "a GSO frame has a checksum to be made");
	ATF_CHECK_EQ(0, fake_nic_send_meta(&a, frame, 3000, &tso));
	pump();
	ATF_REQUIRE_EQ(2, b.n);
	ATF_CHECK_EQ(0, memcmp(&b.frames[0].meta, &csum, sizeof(csum)));
	ATF_CHECK_EQ(0, memcmp(&b.frames[1].meta, &tso, sizeof(tso)));
	ATF_CHECK(fake_nic_has(&b, 1, frame, 3000));
	/* The next user has not said anything yet. */
	net_attach(be[1], NULL, NULL);
	ATF_CHECK_EQ(0, net_caps(be[0]));
	end();
}

ATF_TC_WITHOUT_HEAD(one_closes);
ATF_TC_BODY(one_closes, tc)
{

	begin();
	ATF_CHECK_EQ(0, fake_nic_send(&b, frame, 60));
	hvh_netbe_close(be[1]);
	ATF_CHECK_EQ(1, a.links);
	ATF_CHECK(!net_link(be[0]));
	ATF_CHECK_EQ(ENETDOWN, fake_nic_send(&a, frame, 60));
	pump();
	ATF_CHECK_EQ_MSG(1, a.n, "what was sent before");
	hvh_netbe_close(be[0]);
	fake_nic_free(&a);
	fake_nic_free(&b);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(no_user);
ATF_TC_BODY(no_user, tc)
{

	begin();
	b.room = 0;
	ATF_CHECK_EQ(0, fake_nic_send(&a, frame, 60));
	pump();
	/* One that leaves without a word does not stop the rest. */
	net_attach(be[1], NULL, NULL);
	pump();
	ATF_CHECK_EQ(0, fake_nic_send(&a, frame, 60));
	pump();
	ATF_CHECK_EQ(0, b.n);
	ATF_CHECK_EQ(2, be[1]->stats.rx_dropped);
	end();
}

/* The ring of frames: whatever their sizes, what goes in comes out. */
ATF_TC_WITHOUT_HEAD(queue_wraps);
ATF_TC_BODY(queue_wraps, tc)
{
	static const struct net_meta none;
	const struct net_queued *r;
	struct net_queue q;
	struct iovec iov;
	unsigned in = 0, out = 0, full = 0, take;
	uint32_t len[4096];

	srandom(7);
	ATF_REQUIRE_EQ(0, net_queue_init(&q, 20000));
	while (in < 4096) {
		len[in] = 14 + (uint32_t)random() % (in % 100 == 0 ? 15000 :
		    2000);
		fake_frame(frame, len[in], in);
		iov = (struct iovec){ frame, len[in] };
		take = (unsigned)random() % 3;
		if (net_queue_put(&q, &iov, 1, len[in], &none)) {
			in++;
		} else {
			full++;
			take = 1 + q.n / 2;
		}
		for (; take > 0 && out < in; take--, out++) {
			r = net_queue_head(&q);
			ATF_REQUIRE(r != NULL);
			fake_frame(frame, len[out], out);
			ATF_REQUIRE_EQ(len[out], r->len);
			ATF_REQUIRE_EQ(0, memcmp(frame, r->data, r->len));
			net_queue_pop(&q);
		}
		ATF_REQUIRE_EQ(in - out, q.n);
	}
	ATF_CHECK_MSG(full > 10, "it was full %u times only", full);
	net_queue_fini(&q);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, both_ways);
	ATF_TP_ADD_TC(tp, bounds);
	ATF_TP_ADD_TC(tp, budget);
	ATF_TP_ADD_TC(tp, no_room);
	ATF_TP_ADD_TC(tp, overtaken);
	ATF_TP_ADD_TC(tp, backpressure);
	ATF_TP_ADD_TC(tp, stall);
	ATF_TP_ADD_TC(tp, offloads);
	ATF_TP_ADD_TC(tp, one_closes);
	ATF_TP_ADD_TC(tp, no_user);
	ATF_TP_ADD_TC(tp, queue_wraps);
	return (atf_no_error());
}
