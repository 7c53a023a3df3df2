/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network provider's own messages, one by one: each version and size,
 * each message in each state, buffers, sub-channels, virtual functions, and
 * what shuts a channel.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_netvsc.h"

static struct nv v;

static const uint32_t versions[] = { 2, 0x30002, 0x40000, 0x50000, 0x60000,
    0x60001 };
#define	NVERSIONS	6

ATF_TC_WITHOUT_HEAD(version);
ATF_TC_BODY(version, tc)
{
	static const uint32_t none[] = { 0, 1, 3, 0x10000, 0x30001, 0x30003,
	    0x40001, 0x50001, 0x60002, 0x70000, 0xffffffff };
	uint8_t r[40];
	unsigned i, m;

	for (m = 0; m < NVERSIONS; m++) {
		nv_start(&v, versions[m], 1);
		for (i = 0; i < 11; i++)
			ATF_CHECK_EQ_MSG(0, nv_init(&v, none[i]), "%x",
			    none[i]);
		for (i = NVERSIONS - 1; i > m; i--)
			ATF_CHECK_EQ(0, nv_init(&v, versions[i]));
		/* The answer is short in all versions. */
		ATF_CHECK_EQ(28, nv_words(&v, r, 1, versions[m], versions[m],
		    0, 0));
		ATF_CHECK_EQ(2, nv_get32(r));
		ATF_CHECK_EQ(m == 0 ? 2 : 0xffffffffu, nv_get32(r + 4));
		ATF_CHECK_EQ(34, nv_get32(r + 8));
		ATF_CHECK_EQ(1, nv_get32(r + 12));
		ATF_CHECK(!nv_shut(&v));
		/* Once only. */
		ATF_CHECK_EQ(NV_NONE, nv_init(&v, versions[m]));
		ATF_CHECK(nv_shut(&v));
		nv_end(&v);
	}
}

ATF_TC_WITHOUT_HEAD(setup);
ATF_TC_BODY(setup, tc)
{
	unsigned i;

	for (i = 0; i < NVERSIONS; i++) {
		nv_start(&v, 0, 1);
		nv_up(&v, versions[i]);
		ATF_CHECK(!nv_shut(&v));
		nv_end(&v);
	}
}

/*
 * Takes the adapter to a state: 0 nothing, 1 version, 2 set up, 3 RNDIS,
 * 4 revoked.
 */
static void
reach(unsigned state, uint32_t version)
{

	nv_start(&v, 0, 4);
	if (state == 1)
		ATF_REQUIRE_EQ(1, nv_init(&v, version));
	if (state == 2)
		nv_setup(&v, version);
	if (state >= 3)
		nv_up(&v, version);
	if (state == 4)
		nv_tell(&v, 103, 0xcafe, 0, 0, 0);
	ATF_REQUIRE(!nv_shut(&v));
}

ATF_TC_WITHOUT_HEAD(states);
ATF_TC_BODY(states, tc)
{
	/* '+' answered, '.' taken without an answer, '-' shuts. */
	static const struct {
		uint32_t	 type;
		uint32_t	 a, b, c, d;
		const char	*fine;
	} ops[] = {
		{ 1, 0x60001, 0x60001, 0, 0, "+----" },
		{ 2, 0, 0, 1, 0, "-----" },
		{ 99, 0, 0, 0, 0, "-----" },
		{ 100, 6, 30, 0, 0, "-e---" },
		{ 101, NV_GPADL_RX, 0xcafe, 0, 0, "-----" },
		{ 102, 1, 0, 0, 0, "-----" },
		{ 103, 0xcafe, 0, 0, 0, "--..-" },
		{ 104, NV_GPADL_TX, 0xface, 0, 0, "-+---" },
		{ 105, 1, 0, 0, 0, "-----" },
		{ 106, 0xface, 0, 0, 0, "--..." },
		{ 108, 1, 0, 0, 0, "-----" },
		{ 110, 0, 0, 0, 0, "-----" },
		{ 125, 1514, 0, 0, 0, "-e---" },
		{ 126, 0, 0, 0, 0, "-----" },
		{ 128, 1, 0, 0, 0, "-----" },
		{ 129, 0, 0, 0, 0, "---e-" },
		{ 131, 0, 0, 0, 0, "---+-" },
		{ 133, 1, 2, 0, 0, "---+-" },
		{ 134, 16, 12, 0, 0, "-----" },
		{ 135, 0, 0, 0, 0, "-----" },
		{ 0xffffffff, 0, 0, 0, 0, "-----" },
	};
	uint32_t n, want;
	unsigned i, s;

	for (s = 0; s < 5; s++) {
		for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
			reach(s, 0x60001);
			n = nv_words(&v, NULL, ops[i].type, ops[i].a,
			    ops[i].b, ops[i].c, ops[i].d);
			want = ops[i].fine[s] == '+' ? s == 0 ? 28 : 40 :
			    ops[i].fine[s] == 'e' ? 0 : NV_NONE;
			ATF_CHECK_EQ_MSG(want, n, "state %u type %u: %u", s,
			    ops[i].type, n);
			ATF_CHECK_EQ_MSG(ops[i].fine[s] == '-', nv_shut(&v),
			    "state %u type %u", s, ops[i].type);
			nv_end(&v);
		}
	}
}

/* Messages that a version does not know. */
ATF_TC_WITHOUT_HEAD(by_version);
ATF_TC_BODY(by_version, tc)
{
	unsigned i;

	for (i = 0; i < NVERSIONS; i++) {
		nv_start(&v, 0, 4);
		nv_init(&v, versions[i]);
		nv_tell(&v, 125, 1514, 0, 0, 0);
		ATF_CHECK_EQ(versions[i] < 0x30002, nv_shut(&v));
		nv_end(&v);
		reach(3, versions[i]);
		nv_tell(&v, 129, 0, 0, 0, 0);
		ATF_CHECK_EQ(versions[i] < 0x40000, nv_shut(&v));
		nv_end(&v);
		reach(3, versions[i]);
		ATF_CHECK_EQ(versions[i] < 0x50000 ? NV_NONE :
		    versions[i] < 0x60001 ? 28 : 40,
		    nv_words(&v, NULL, 133, 1, 2, 0, 0));
		ATF_CHECK_EQ(versions[i] < 0x50000, nv_shut(&v));
		nv_end(&v);
	}
}

/* One byte less than the message needs. */
ATF_TC_WITHOUT_HEAD(too_short);
ATF_TC_BODY(too_short, tc)
{
	static const struct {
		uint32_t type, len;
		unsigned state;
	} ops[] = {
		{ 1, 12, 0 }, { 100, 12, 1 }, { 101, 12, 1 }, { 103, 6, 3 },
		{ 104, 12, 1 }, { 106, 6, 3 }, { 107, 16, 3 }, { 125, 20, 1 },
		{ 129, 8, 3 }, { 131, 12, 3 }, { 133, 12, 3 },
	};
	uint8_t msg[40] = { 0 };
	unsigned i;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		reach(ops[i].state, 0x60001);
		nv_put32(msg, ops[i].type);
		ATF_CHECK_EQ(NV_NONE, nv_msg(&v, msg, ops[i].len - 1, NULL));
		ATF_CHECK_MSG(nv_shut(&v), "type %u", ops[i].type);
		nv_end(&v);
	}
	for (i = 0; i < 4; i++) {
		reach(0, 0);
		ATF_CHECK_EQ(NV_NONE, nv_msg(&v, msg, i, NULL));
		ATF_CHECK(nv_shut(&v));
		nv_end(&v);
	}
}

/* Requests with an answer must have room for it. */
ATF_TC_WITHOUT_HEAD(unasked);
ATF_TC_BODY(unasked, tc)
{
	static const uint32_t types[] = { 1, 101, 104, 107, 131, 133 };
	static const unsigned states[] = { 0, 1, 1, 3, 3, 3 };
	unsigned i;

	for (i = 0; i < 6; i++) {
		reach(states[i], 0x60001);
		if (types[i] == 101)
			nv_tell(&v, 125, 1514, 0, 0, 0);
		nv_tell(&v, types[i], 1, 2, 3, 4);
		ATF_CHECK_MSG(nv_shut(&v), "type %u", types[i]);
		nv_end(&v);
	}
	/* Packets of types that a guest does not send. */
	for (i = 0; i < 16; i++) {
		if (i == 6 || i == 9)
			continue;
		reach(0, 0);
		fake_put(v.ch, (uint16_t)i, true, 1, "\1\0\0\0\0\0\0\0\0\0\0",
		    12);
		fake_signal(v.ch);
		ATF_CHECK_EQ(0, v.ch->out.n);
		ATF_CHECK_MSG(nv_shut(&v), "packet type %u", i);
		nv_end(&v);
	}
}

/* The buffers are made by the MTU, and must be there. */
ATF_TC_WITHOUT_HEAD(receive_buffer);
ATF_TC_BODY(receive_buffer, tc)
{
	static const struct {
		uint32_t said, mtu;
	} mtus[] = {
		{ 0, 1514 }, { 1000, 1514 }, { 1514, 1514 }, { 1515, 1515 },
		{ 9014, 9014 }, { 9015, 9014 }, { 65535, 9014 },
		{ 0xffffffff, 9014 },
	};
	struct hvh_net_stats st;
	uint8_t r[40];
	uint32_t n, size;
	unsigned i;

	for (i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		reach(1, 0x50000);
		nv_tell(&v, 125, mtus[i].said, 0, 0, 0);
		ATF_CHECK_EQ(28, nv_words(&v, r, 101, NV_GPADL_RX, 0xcafe, 0,
		    0));
		ATF_CHECK_EQ(1, nv_get32(r + 4));
		ATF_CHECK_EQ(1, nv_get32(r + 8));
		ATF_CHECK_EQ(0, nv_get32(r + 12));
		size = nv_get32(r + 16);
		n = nv_get32(r + 20);
		ATF_CHECK(size >= 256 + mtus[i].mtu + 36 &&
		    size < 256 + mtus[i].mtu + 36 + 64);
		ATF_CHECK_EQ(NV_RX_PAGES * 4096 / size, n);
		ATF_CHECK_EQ(size * n, nv_get32(r + 24));
		hvh_net_get_stats(v.na, &st);
		ATF_CHECK_EQ(mtus[i].mtu - 14, st.mtu);
		ATF_CHECK_EQ(1, v.rx->holds);
		/* Neither again, nor the configuration behind it. */
		if (i % 2 == 0)
			nv_words(&v, r, 101, NV_GPADL_RX, 0xcafe, 0, 0);
		else
			nv_tell(&v, 125, 1514, 0, 0, 0);
		ATF_CHECK(nv_shut(&v));
		nv_end(&v);
	}
	/* No such memory; a page, which holds no slot of 9 KB. */
	reach(1, 0x50000);
	nv_tell(&v, 125, 1514, 0, 0, 0);
	ATF_CHECK_EQ(NV_NONE, nv_words(&v, r, 101, 77, 0xcafe, 0, 0));
	ATF_CHECK(nv_shut(&v));
	nv_end(&v);
	reach(1, 0x50000);
	fake_share(v.h, 78, NV_SCRATCH, 1, false);
	nv_tell(&v, 125, 9014, 0, 0, 0);
	ATF_CHECK_EQ(NV_NONE, nv_words(&v, r, 101, 78, 0xcafe, 0, 0));
	ATF_CHECK(nv_shut(&v));
	nv_end(&v);
	/* The configuration has to be first, where there is one. */
	reach(1, 0x30002);
	ATF_CHECK_EQ(NV_NONE, nv_words(&v, r, 101, NV_GPADL_RX, 0, 0, 0));
	ATF_CHECK(nv_shut(&v));
	nv_end(&v);
	reach(1, 2);
	ATF_CHECK_EQ(28, nv_words(&v, r, 101, NV_GPADL_RX, 0, 0, 0));
	nv_end(&v);
	/* A send buffer that is none. */
	reach(1, 2);
	ATF_CHECK_EQ(NV_NONE, nv_words(&v, r, 104, 77, 0, 0, 0));
	ATF_CHECK(nv_shut(&v));
	nv_end(&v);
}

/* RNDIS needs all of the set-up but the send buffer. */
ATF_TC_WITHOUT_HEAD(readiness);
ATF_TC_BODY(readiness, tc)
{
	uint8_t *page, r[40];
	struct fake_pkt *p;
	unsigned without;

	for (without = 0; without < 5; without++) {
		nv_start(&v, 0, 1);
		nv_init(&v, 0x50000);
		if (without != 0)
			nv_tell(&v, 125, 1514, 0, 0, 0);
		if (without != 1)
			nv_tell(&v, 100, 6, 30, 0, 0);
		if (without != 2 && without != 0)
			nv_words(&v, r, 101, NV_GPADL_RX, 0xcafe, 0, 0);
		if (without != 3)
			nv_words(&v, r, 104, NV_GPADL_TX, 0xface, 0, 0);
		page = v.h->mem + NV_SCRATCH;
		memset(page, 0, 64);
		page[0] = 2;
		page[4] = 24;
		page[12] = 1;
		memset(r, 0, sizeof(r));
		nv_put32(r, 107);
		nv_put32(r + 4, 1);
		nv_put32(r + 8, 0xffffffff);
		p = fake_put(v.ch, 9, true, ++v.xid, r, 40);
		fake_range(p, NV_SCRATCH, 24);
		fake_signal(v.ch);
		ATF_CHECK_EQ(without >= 3 ? 1 : NV_NONE, nv_status(v.ch,
		    v.xid));
		ATF_CHECK_EQ(without < 3, nv_shut(&v));
		/* Too late for it. */
		if (without >= 3) {
			fake_pkt_free(fake_get(v.ch));
			nv_words(&v, r, 104, NV_GPADL_TX, 0xface, 0, 0);
			ATF_CHECK(nv_shut(&v));
		}
		nv_end(&v);
	}
}

ATF_TC_WITHOUT_HEAD(revoke);
ATF_TC_BODY(revoke, tc)
{
	struct nv_xfer x;
	uint8_t frame[60];
	unsigned order;

	for (order = 0; order < 2; order++) {
		reach(3, 0x60001);
		ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x2d));
		/* With slots at the guest, and nothing said about them. */
		fake_frame(frame, sizeof(frame), 1);
		memset(frame, 0xff, 6);
		fake_nic_send(&v.nic, frame, sizeof(frame));
		nv_pump(&v);
		ATF_REQUIRE(nv_xfer(v.ch, &x));
		ATF_CHECK_EQ(1, v.rx->holds);
		ATF_CHECK_EQ(1, v.tx->holds);
		nv_tell(&v, order == 0 ? 103 : 106, order == 0 ? 0xcafe :
		    0xface, 0, 0, 0);
		ATF_CHECK_EQ(order, v.rx->holds);
		ATF_CHECK_EQ(1 - order, v.tx->holds);
		nv_tell(&v, order == 0 ? 106 : 103, order == 0 ? 0xface :
		    0xcafe, 0, 0, 0);
		ATF_CHECK_EQ(0, v.rx->holds);
		ATF_CHECK_EQ(0, v.tx->holds);
		ATF_CHECK(!nv_shut(&v));
		/* Nothing is written there any more. */
		memset(v.h->mem + NV_RX, 0x5a, 4096);
		fake_nic_send(&v.nic, frame, sizeof(frame));
		nv_pump(&v);
		ATF_CHECK_EQ(0, v.ch->out.n);
		ATF_CHECK_EQ(0x5a, v.h->mem[NV_RX]);
		/* A completion that was on its way does no harm. */
		nv_return(v.ch, x.xid);
		ATF_CHECK(!nv_shut(&v));
		/* All begins anew with the channel. */
		fake_close(v.ch);
		ATF_CHECK_EQ(1, v.ch->closed);
		ATF_REQUIRE_EQ(0, fake_open(v.ch));
		nv_up(&v, 0x50000);
		nv_end(&v);
	}
	/* Ids that are not the buffers'. */
	reach(3, 0x60001);
	nv_tell(&v, 103, 0xface, 0, 0, 0);
	ATF_CHECK(nv_shut(&v));
	nv_end(&v);
}

/* Slots come back by an id that is outstanding, once. */
ATF_TC_WITHOUT_HEAD(returns);
ATF_TC_BODY(returns, tc)
{
	static const uint64_t wrong[] = { 1, 0x100000000, 0xffffffff,
	    UINT64_MAX };
	struct hvh_net_stats st;
	struct nv_xfer x;
	uint8_t frame[60], msg[40] = { 107 };
	unsigned i;

	for (i = 0; i < 8; i++) {
		reach(3, 0x60001);
		ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x2d));
		fake_frame(frame, sizeof(frame), 1);
		memset(frame, 0xff, 6);
		fake_nic_send(&v.nic, frame, sizeof(frame));
		fake_nic_send(&v.nic, frame, sizeof(frame));
		nv_pump(&v);
		ATF_REQUIRE(nv_xfer(v.ch, &x));
		ATF_REQUIRE_EQ(2, x.n);
		hvh_net_get_stats(v.na, &st);
		ATF_CHECK_EQ(2, st.rx_held);
		switch (i) {
		case 0:
		case 1:
		case 2:
		case 3:
			nv_return(v.ch, x.xid + wrong[i]);
			break;
		case 4:		/* twice */
			nv_return(v.ch, x.xid);
			hvh_net_get_stats(v.na, &st);
			ATF_CHECK_EQ(0, st.rx_held);
			ATF_CHECK(!nv_shut(&v));
			nv_return(v.ch, x.xid);
			break;
		case 5:		/* of another type */
			fake_put(v.ch, 11, false, x.xid, msg, 40);
			fake_signal(v.ch);
			break;
		case 6:		/* of none */
			fake_put(v.ch, 11, false, x.xid, msg, 3);
			fake_signal(v.ch);
			break;
		case 7:		/* of a slot in the packet's middle */
			nv_return(v.ch, x.range[1].ofs / v.slot_size);
			break;
		}
		ATF_CHECK_MSG(nv_shut(&v), "case %u", i);
		nv_end(&v);
	}
}

ATF_TC_WITHOUT_HEAD(subchannels);
ATF_TC_BODY(subchannels, tc)
{
	struct hvh_chan *sub[4];
	struct fake_pkt *p;
	uint8_t r[40];
	unsigned i;

	reach(3, 0x60001);
	/* Not an allocation; as many as there are queues, the primary one. */
	ATF_CHECK_EQ(40, nv_words(&v, r, 133, 0, 2, 0, 0));
	ATF_CHECK_EQ(133, nv_get32(r));
	ATF_CHECK_EQ(2, nv_get32(r + 4));
	ATF_CHECK_EQ(0, nv_get32(r + 8));
	ATF_CHECK_EQ(40, nv_words(&v, r, 133, 1, 4, 0, 0));
	ATF_CHECK_EQ(2, nv_get32(r + 4));
	ATF_CHECK_EQ(40, nv_words(&v, r, 133, 1, 0xffffffff, 0, 0));
	ATF_CHECK_EQ(2, nv_get32(r + 4));
	ATF_CHECK_EQ(40, nv_words(&v, r, 133, 1, 0, 0, 0));
	ATF_CHECK_EQ(1, nv_get32(r + 4));
	ATF_CHECK_EQ(0, v.h->subs_offered);
	ATF_CHECK_EQ(40, nv_words(&v, r, 133, 1, 3, 0, 0));
	ATF_CHECK_EQ(1, nv_get32(r + 4));
	ATF_CHECK_EQ(3, nv_get32(r + 8));
	ATF_CHECK_EQ(3, v.h->subs_offered);
	for (i = 1; i < 4; i++) {
		sub[i] = fake_chan(v.h, (uint16_t)i);
		ATF_CHECK_EQ(0, v.ch->out.n);
		ATF_REQUIRE_EQ(0, fake_open(sub[i]));
	}
	/* When the last is open, the table comes. */
	p = fake_get(v.ch);
	ATF_REQUIRE(p != NULL);
	ATF_CHECK_EQ(6, p->type);
	ATF_CHECK_EQ(76, p->len);
	ATF_CHECK_EQ(134, nv_get32(p->data));
	ATF_CHECK_EQ(16, nv_get32(p->data + 4));
	ATF_CHECK_EQ(12, nv_get32(p->data + 8));
	for (i = 0; i < 16; i++)
		ATF_CHECK_EQ(i % 4, nv_get32(p->data + 12 + 4 * i));
	fake_pkt_free(p);
	/* Set-up messages are the primary's. */
	memset(r, 0, sizeof(r));
	nv_put32(r, 133);
	fake_put(sub[2], 6, true, 1, r, 40);
	fake_signal(sub[2]);
	ATF_CHECK_EQ(0, sub[2]->out.n);
	ATF_CHECK(nv_shut(&v));
	/* The primary's end leaves them without use, in any order. */
	fake_close(v.ch);
	fake_close(sub[3]);
	ATF_CHECK_EQ(ENXIO, fake_open(sub[3]));
	fake_close(sub[1]);
	fake_close(sub[2]);
	nv_end(&v);

	/* The bus has none to give. */
	reach(3, 0x60001);
	v.h->sub_error = ENOTSUP;
	ATF_CHECK_EQ(40, nv_words(&v, r, 133, 1, 3, 0, 0));
	ATF_CHECK_EQ(2, nv_get32(r + 4));
	ATF_CHECK_EQ(0, nv_get32(r + 8));
	nv_end(&v);
}

/* An answer that finds no room comes later, and nothing is read before. */
ATF_TC_WITHOUT_HEAD(full_ring);
ATF_TC_BODY(full_ring, tc)
{
	uint8_t msg[40] = { 0 };
	struct fake_pkt *p;
	unsigned i;

	reach(3, 0x60001);
	v.ch->room = 0;
	nv_put32(msg, 131);
	for (i = 0; i < 3; i++)
		fake_put(v.ch, 6, true, 500 + i, msg, 40);
	fake_signal(v.ch);
	ATF_CHECK_EQ(0, v.ch->out.n);
	ATF_CHECK_EQ(2, v.ch->in.n);
	v.ch->room = 1;
	fake_signal(v.ch);
	ATF_CHECK_EQ(1, v.ch->out.n);
	ATF_CHECK_EQ(1, v.ch->in.n);
	v.ch->room = 10;
	fake_signal(v.ch);
	for (i = 0; i < 3; i++) {
		p = fake_get(v.ch);
		ATF_REQUIRE(p != NULL);
		ATF_CHECK_EQ(500 + i, p->xid);
		ATF_CHECK_EQ(132, nv_get32(p->data));
		ATF_CHECK_EQ(0xc00000bbu, nv_get32(p->data + 4));
		ATF_CHECK_EQ(0, nv_get32(p->data + 8));
		fake_pkt_free(p);
	}
	nv_end(&v);
}

static void
expect_vf(uint32_t allocated, uint32_t serial)
{
	struct fake_pkt *p;

	p = fake_get(v.ch);
	ATF_REQUIRE(p != NULL);
	ATF_CHECK_EQ(6, p->type);
	ATF_CHECK(p->wants_completion);
	ATF_CHECK_EQ(0x8000000000000000u, p->xid);
	ATF_CHECK_EQ(128, nv_get32(p->data));
	ATF_CHECK_EQ(allocated, nv_get32(p->data + 4));
	ATF_CHECK_EQ(serial, nv_get32(p->data + 8));
	fake_pkt_free(p);
}

ATF_TC_WITHOUT_HEAD(virtual_function);
ATF_TC_BODY(virtual_function, tc)
{
	struct hvh_net_stats st;
	struct fake_pkt *p;

	/* A guest that knows none is told nothing. */
	reach(3, 0x60001);
	ATF_CHECK_EQ(0, hvh_net_vf(v.na, true, 7));
	nv_pump(&v);
	ATF_CHECK_EQ(0, v.ch->out.n);
	nv_end(&v);

	v.caps = 4;
	nv_start(&v, 0, 1);
	ATF_CHECK_EQ(0, hvh_net_vf(v.na, true, 7));
	nv_up(&v, 0x60001);
	nv_pump(&v);
	expect_vf(1, 7);
	/* A completion of it is no slot's. */
	nv_return(v.ch, 0x8000000000000000u);
	ATF_CHECK(!nv_shut(&v));
	ATF_CHECK_EQ(0, nv_words(&v, NULL, 129, 1, 0, 0, 0));
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK(st.vf_active);
	ATF_CHECK_EQ(0, nv_words(&v, NULL, 129, 0, 0, 0, 0));
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK(!st.vf_active);
	ATF_CHECK_EQ(0, nv_words(&v, NULL, 129, 1, 0, 0, 0));
	/* It goes while in use: the path first. */
	ATF_CHECK_EQ(0, hvh_net_vf(v.na, false, 0));
	nv_pump(&v);
	p = fake_get(v.ch);
	ATF_REQUIRE(p != NULL);
	ATF_CHECK_EQ(8, p->len);
	ATF_CHECK_EQ(0x8000000000000001u, p->xid);
	ATF_CHECK_EQ(129, nv_get32(p->data));
	ATF_CHECK_EQ(0, nv_get32(p->data + 4));
	fake_pkt_free(p);
	expect_vf(0, 7);
	/* To what is not there nothing switches. */
	ATF_CHECK_EQ(0, nv_words(&v, NULL, 129, 1, 0, 0, 0));
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK(!st.vf_active);
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(management);
ATF_TC_BODY(management, tc)
{
	struct hvh_net_params np = { .mac = { 2, 0, 0, 0, 0, 1 } };
	struct hvh_net_params bad;
	struct hvh_net_stats st;
	struct hvh_netbe *be[2];
	struct hvh_net *na;
	struct hvh *h;

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, hvh_netbe_pair(h, be));
	ATF_CHECK_EQ(EINVAL, hvh_net_add(h, &np, &na));
	np.be = be[0];
	bad = np;
	bad.mac[0] = 1;
	ATF_CHECK_EQ(EINVAL, hvh_net_add(h, &bad, &na));
	memset(bad.mac, 0, 6);
	ATF_CHECK_EQ(EINVAL, hvh_net_add(h, &bad, &na));
	bad = np;
	bad.max_channels = 65;
	ATF_CHECK_EQ(EINVAL, hvh_net_add(h, &bad, &na));
	bad = np;
	bad.max_mtu = 1499;
	ATF_CHECK_EQ(EINVAL, hvh_net_add(h, &bad, &na));
	bad.max_mtu = 9203;
	ATF_CHECK_EQ(EINVAL, hvh_net_add(h, &bad, &na));
	ATF_REQUIRE_EQ(0, hvh_net_add(h, &np, &na));
	ATF_CHECK_EQ(EBUSY, hvh_net_add(h, &np, &na));
	ATF_CHECK_EQ(0, hvh_net_link(na, false));
	hvh_net_get_stats(na, &st);
	ATF_CHECK(!st.link_up);
	/* Rescinded by another: the handle is good until it is removed. */
	hvh_lock(h);
	hvh_chan_revoke(fake_chan(h, 0));
	hvh_unlock(h);
	ATF_CHECK_EQ(ENODEV, hvh_net_link(na, true));
	ATF_CHECK_EQ(ENODEV, hvh_net_vf(na, true, 1));
	hvh_net_get_stats(na, &st);
	hvh_net_remove(na);
	hvh_netbe_close(be[1]);
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, version);
	ATF_TP_ADD_TC(tp, setup);
	ATF_TP_ADD_TC(tp, states);
	ATF_TP_ADD_TC(tp, by_version);
	ATF_TP_ADD_TC(tp, too_short);
	ATF_TP_ADD_TC(tp, unasked);
	ATF_TP_ADD_TC(tp, receive_buffer);
	ATF_TP_ADD_TC(tp, readiness);
	ATF_TP_ADD_TC(tp, revoke);
	ATF_TP_ADD_TC(tp, returns);
	ATF_TP_ADD_TC(tp, subchannels);
	ATF_TP_ADD_TC(tp, full_ring);
	ATF_TP_ADD_TC(tp, virtual_function);
	ATF_TP_ADD_TC(tp, management);
	return (atf_no_error());
}
