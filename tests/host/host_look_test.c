/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a user of the library sees of the traffic: trace events, in order and
 * as they were on the wire, and the counters of channels.
 */

#include <atf-c.h>
#include <string.h>

#include "echo.h"
#include "guest.h"

#define	RING	PG_FREE
#define	EVENTS	256

struct seen {
	struct hvh_trace_event ev;
	uint8_t		 data[HVH_TRACE_MAX];
};

static struct guest g;
static struct echo e;
static struct guest_ring r;
static uint32_t chan, conn, gpadl;
static struct seen seen[EVENTS];
static unsigned nseen;

static void
look(void *arg, const struct hvh_trace_event *ev)
{

	ATF_REQUIRE(nseen < EVENTS);
	ATF_REQUIRE(ev->len <= ev->total);
	seen[nseen].ev = *ev;
	if (ev->len > 0)
		memcpy(seen[nseen].data, ev->data,
		    ev->len < HVH_TRACE_MAX ? ev->len : HVH_TRACE_MAX);
	nseen++;
}

static void
start(void)
{
	uint8_t m[240];

	nseen = 0;
	guest_create_traced(&g, look, NULL);
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	chan = get32(m + 184);
	conn = get32(m + 192);
	gpadl = guest_gpadl(&g, chan, RING, 8, 1);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 1, 4));
	guest_ring(&r, &g, RING, 8, 4);
	guest_sleep(&g, 200000000);
	guest_event(&g, 1, chan);
}

static void
send_one(uint64_t xid, uint32_t key)
{
	uint8_t data[32] = { 0 };

	put32(data, key);
	guest_write(&r, 6, 1, xid, NULL, 0, data, sizeof(data));
	guest_signal(&g, conn);
	guest_pump(&g);
}

static void
info(struct hvh_chan_info *ci)
{

	ATF_REQUIRE_EQ(1, hvh_get_channels(g.h, ci, 1));
}

/* The next event is a message of that type and direction. */
static void
is_message(unsigned *at, bool out, uint32_t type)
{
	struct seen *s = &seen[(*at)++];

	ATF_REQUIRE(*at <= nseen);
	ATF_CHECK_EQ(HVH_TRACE_MESSAGE, s->ev.kind);
	ATF_CHECK_EQ(out, s->ev.out);
	ATF_CHECK_EQ_MSG(type, get32(s->data), "%u: type %u, not %u",
	    *at - 1, get32(s->data), type);
	ATF_CHECK_EQ(s->ev.len, s->ev.total);
}

ATF_TC_WITHOUT_HEAD(messages);
ATF_TC_BODY(messages, tc)
{
	unsigned at = 0;

	start();
	is_message(&at, false, 14);
	is_message(&at, true, 15);
	is_message(&at, false, 3);
	is_message(&at, true, 1);
	ATF_CHECK_EQ(chan, get32(seen[at - 1].data + 184));
	is_message(&at, true, 4);
	is_message(&at, false, 8);
	is_message(&at, true, 10);
	is_message(&at, false, 5);
	is_message(&at, true, 6);
	ATF_CHECK(seen[0].ev.time >= 1000000);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(message_vp);
ATF_TC_BODY(message_vp, tc)
{
	uint8_t *in;

	nseen = 0;
	guest_create_traced(&g, look, NULL);
	guest_synic(&g);
	/* UNLOAD from VP 3, through its hypercall. */
	in = guest_page(&g, PG_POST);
	put32(in, 1);
	put32(in + 8, 1);
	put32(in + 12, 8);
	put32(in + 16, 16);
	ATF_REQUIRE_EQ(0, hvh_hypercall(g.h, 3, 0x5C, GPA(PG_POST), 0));
	guest_pump(&g);
	ATF_REQUIRE(nseen >= 1);
	ATF_CHECK_EQ(3, seen[0].ev.vp);
	ATF_CHECK_EQ(8, seen[0].ev.len);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(packets);
ATF_TC_BODY(packets, tc)
{
	struct hvh_chan_info before, ci;
	uint8_t buf[256];

	start();
	info(&before);
	nseen = 0;
	send_one(0x1234, 0x77);
	/* Signal, packet, completion, signal. */
	ATF_REQUIRE_EQ(4, nseen);
	ATF_CHECK_EQ(HVH_TRACE_SIGNAL, seen[0].ev.kind);
	ATF_CHECK(!seen[0].ev.out);
	ATF_CHECK_EQ(HVH_TRACE_PACKET, seen[1].ev.kind);
	ATF_CHECK(!seen[1].ev.out);
	ATF_CHECK_EQ(chan, seen[1].ev.chan);
	ATF_CHECK_EQ(48, seen[1].ev.total);
	ATF_CHECK_EQ(0x1234, get64(seen[1].data + 8));
	ATF_CHECK_EQ(0x77, get32(seen[1].data + 16));
	ATF_CHECK_EQ(HVH_TRACE_PACKET, seen[2].ev.kind);
	ATF_CHECK(seen[2].ev.out);
	ATF_CHECK_EQ(11, seen[2].data[0]);
	ATF_CHECK_EQ(0x1234, get64(seen[2].data + 8));
	ATF_CHECK_EQ(0x77, get32(seen[2].data + 16));
	ATF_CHECK_EQ(HVH_TRACE_SIGNAL, seen[3].ev.kind);
	ATF_CHECK(seen[3].ev.out);
	ATF_CHECK_EQ(1, seen[3].ev.vp);
	ATF_CHECK_EQ(48, guest_read(&r, buf, sizeof(buf)));
	info(&ci);
	ATF_CHECK_EQ(chan, ci.id);
	ATF_CHECK_EQ(0, ci.subidx);
	ATF_CHECK_EQ(HVH_CHAN_OPEN, ci.state);
	ATF_CHECK_EQ(1, ci.vp);
	ATF_CHECK_EQ(0xd9, ci.type.b[0]);
	ATF_CHECK_EQ(1, ci.instance.b[15]);
	ATF_CHECK_EQ(before.packets_in + 1, ci.packets_in);
	ATF_CHECK_EQ(before.packets_out + 1, ci.packets_out);
	ATF_CHECK_EQ(before.bytes_in + 48, ci.bytes_in);
	ATF_CHECK_EQ(before.bytes_out + 48, ci.bytes_out);
	ATF_CHECK_EQ(before.signals_in + 1, ci.signals_in);
	ATF_CHECK_EQ(before.signals_out + 1, ci.signals_out);
	/* Two at once: the second completion needs no signal of its own. */
	guest_write(&r, 6, 1, 1, NULL, 0, buf, 8);
	send_one(2, 0);
	info(&ci);
	ATF_CHECK_EQ(before.packets_out + 3, ci.packets_out);
	ATF_CHECK_EQ(before.signals_out + 2, ci.signals_out);
	/* And a third while they are unread. */
	send_one(3, 0);
	info(&ci);
	ATF_CHECK_EQ(before.signals_out + 2, ci.signals_out);
	ATF_CHECK_EQ(before.events_saved + 1, ci.events_saved);
	guest_destroy(&g);
}

/* The wire, not what faults make of it. */
ATF_TC_WITHOUT_HEAD(faults);
ATF_TC_BODY(faults, tc)
{
	struct hvh_fault f = { .point = HVH_FAULT_PKT_IN,
	    .action = HVH_FAULT_DROP, .key = HVH_FAULT_ANY, .times = 1 };

	start();
	ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &f));
	nseen = 0;
	send_one(1, 5);
	ATF_REQUIRE_EQ(2, nseen);
	ATF_CHECK_EQ(HVH_TRACE_PACKET, seen[1].ev.kind);
	f.point = HVH_FAULT_PKT_OUT;
	hvh_fault_clear(g.h);
	ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &f));
	nseen = 0;
	send_one(2, 5);
	ATF_REQUIRE_EQ(2, nseen);
	ATF_CHECK(!seen[1].ev.out);
	f.action = HVH_FAULT_DUP;
	hvh_fault_clear(g.h);
	ATF_REQUIRE_EQ(0, hvh_fault_add(g.h, &f));
	nseen = 0;
	send_one(3, 5);
	ATF_REQUIRE_EQ(5, nseen);
	ATF_CHECK(seen[2].ev.out && seen[3].ev.out);
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(corrupt);
ATF_TC_BODY(corrupt, tc)
{
	struct hvh_chan_info ci;

	start();
	nseen = 0;
	put32(r.tx, 4);
	guest_signal(&g, conn);
	guest_pump(&g);
	ATF_REQUIRE_EQ(2, nseen);
	ATF_CHECK_EQ(HVH_TRACE_CORRUPT, seen[1].ev.kind);
	ATF_CHECK(!seen[1].ev.out);
	ATF_CHECK_EQ(chan, seen[1].ev.chan);
	ATF_CHECK_EQ(5, seen[1].ev.len);
	ATF_CHECK_EQ(0, memcmp("index", seen[1].data, 5));
	info(&ci);
	ATF_CHECK_EQ(HVH_CHAN_CORRUPT, ci.state);
	guest_destroy(&g);
}

/* Each state a channel goes through, and more channels than asked for. */
ATF_TC_WITHOUT_HEAD(states);
ATF_TC_BODY(states, tc)
{
	struct hvh_chan_info ci[4];
	struct echo other;
	uint8_t m[240];

	guest_create(&g, NULL);
	guest_synic(&g);
	ATF_REQUIRE_EQ(0, hvh_get_channels(g.h, ci, 4));
	echo_add(&e, g.h, 1);
	info(ci);
	ATF_CHECK_EQ(HVH_CHAN_HIDDEN, ci[0].state);
	ATF_CHECK_EQ(HVH_VP_NONE, ci[0].vp);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	chan = get32(m + 184);
	info(ci);
	ATF_CHECK_EQ(HVH_CHAN_OFFERED, ci[0].state);
	ATF_CHECK_EQ(chan, ci[0].id);
	gpadl = guest_gpadl(&g, chan, RING, 8, 1);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 2, 4));
	info(ci);
	ATF_CHECK_EQ(HVH_CHAN_OPEN, ci[0].state);
	ATF_CHECK_EQ(2, ci[0].vp);
	e.lazy_close = true;
	guest_close(&g, chan);
	info(ci);
	ATF_CHECK_EQ(HVH_CHAN_CLOSING, ci[0].state);
	hvh_lock(g.h);
	hvh_chan_closed(e.ch);
	hvh_unlock(g.h);
	guest_pump(&g);
	info(ci);
	ATF_CHECK_EQ(HVH_CHAN_OFFERED, ci[0].state);
	ATF_CHECK_EQ(HVH_VP_NONE, ci[0].vp);
	echo_add(&other, g.h, 2);
	memset(ci, 0xAA, sizeof(ci));
	ATF_REQUIRE_EQ(2, hvh_get_channels(g.h, ci, 1));
	ATF_CHECK_EQ(1, ci[0].instance.b[15]);
	ATF_CHECK_EQ(0xAAAAAAAA, ci[1].id);
	ATF_REQUIRE_EQ(2, hvh_get_channels(g.h, NULL, 0));
	ATF_REQUIRE_EQ(0, hvh_rescind(g.h, chan));
	ATF_REQUIRE_EQ(2, hvh_get_channels(g.h, ci, 4));
	ATF_CHECK_EQ(HVH_CHAN_RESCINDED, ci[0].state);
	ATF_CHECK_EQ(2, ci[1].instance.b[15]);
	guest_destroy(&g);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, message_vp);
	ATF_TP_ADD_TC(tp, packets);
	ATF_TP_ADD_TC(tp, faults);
	ATF_TP_ADD_TC(tp, corrupt);
	ATF_TP_ADD_TC(tp, states);
	return (atf_no_error());
}
