/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets to a guest that are large, coalesced or cut, and those that go to
 * other channels than the first, by hash.
 */

#include <atf-c.h>
#include <stdlib.h>
#include <string.h>

#include "fake_netvsc.h"

static struct nv v;
static struct nv_xfer x;
static struct nv_packet p;
static uint8_t frame[70000], copy[70000];

/* Directed, all multicast, broadcast. */
#define	FILTER	0x0du

#define	TCP_GOOD	0x08u
#define	IP_GOOD		0x20u

/* --- Large frames --- */

static void
coalesce(bool v4, bool v6)
{
	uint8_t params[28] = { 0x80, 3, 28 };

	params[22] = v4 ? 2 : 1;
	params[23] = v6 ? 2 : 1;
	ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
	ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
	ATF_CHECK_EQ(v4, copy[20 + 144]);
	ATF_CHECK_EQ(v6, copy[20 + 145]);
}

static uint32_t
large(unsigned ip, uint32_t payload, struct net_meta *m)
{
	uint32_t l4 = ip == 4 ? 34 : 54, n, sum;

	n = nv_frame(frame, ip, 6, payload);
	frame[l4 + 13] = 0x19;
	sum = 6 + n - l4;
	sum += ip == 4 ? fake_sum(0, frame + 26, 8) :
	    fake_sum(0, frame + 22, 32);
	nv_putbe16(frame + l4 + 16, fake_sum(sum, "", 0));
	*m = (struct net_meta){ .flags = NET_NEEDS_CSUM,
	    .gso = ip == 4 ? NET_GSO_TCP4 : NET_GSO_TCP6,
	    .hdr_len = (uint16_t)(l4 + 20), .gso_size = 1400,
	    .csum_start = (uint16_t)l4, .csum_offset = 16 };
	return (n);
}

ATF_TC_WITHOUT_HEAD(coalesced);
ATF_TC_BODY(coalesced, tc)
{
	struct net_meta m;
	uint32_t at, i, id = 0, n;
	unsigned ip;

	v.caps = 0x80;
	nv_begin(&v, 0x60001, FILTER);
	coalesce(true, true);
	for (ip = 4; ip <= 6; ip += 2) {
		n = large(ip, 40001, &m);
		nv_deliver(&v, frame, n, &m);
		ATF_REQUIRE(nv_xfer(v.ch, &x));
		ATF_CHECK_EQ((n + 1513) / 1514, x.n);
		for (i = at = 0; i < x.n; i++) {
			nv_packet(&v, &x, i, &p);
			ATF_CHECK(p.has_id);
			ATF_CHECK_EQ(1 | (i == 0 ? 2 : 0) |
			    (i == x.n - 1 ? 4 : 0), p.id_flags);
			if (i == 0)
				id = p.id;
			ATF_CHECK_EQ(id, p.id);
			ATF_CHECK_EQ(i == 0, p.has_csum);
			if (i == 0)
				ATF_CHECK_EQ(TCP_GOOD | (ip == 4 ? IP_GOOD :
				    0), p.csum);
			ATF_REQUIRE(at + p.len <= n);
			ATF_CHECK(memcmp(frame + at, p.data, p.len) == 0);
			at += p.len;
		}
		ATF_CHECK_EQ(n, at);
		nv_return(v.ch, x.xid);
		nv_none(&v);
	}
	nv_end(&v);
}

/*
 * A guest that looks at checksums itself finds the whole's right; to one that
 * takes our word nobody has added them up.
 */
ATF_TC_WITHOUT_HEAD(coalesced_checksum);
ATF_TC_BODY(coalesced_checksum, tc)
{
	uint8_t params[28] = { 0x80, 3, 28 };
	struct net_meta m;
	uint32_t at, i, n;
	unsigned ip;

	v.caps = 0x80;
	nv_begin(&v, 0x60001, FILTER);
	coalesce(true, true);
	params[5] = params[7] = 2;		/* TX alone */
	ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
	ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
	for (ip = 4; ip <= 6; ip += 2) {
		n = large(ip, 30001, &m);
		nv_deliver(&v, frame, n, &m);
		ATF_REQUIRE(nv_xfer(v.ch, &x));
		for (i = at = 0; i < x.n; i++) {
			nv_packet(&v, &x, i, &p);
			ATF_CHECK_EQ(0, p.csum & ~IP_GOOD);
			memcpy(copy + at, p.data, p.len);
			at += p.len;
		}
		ATF_REQUIRE_EQ(n, at);
		ATF_CHECK(nv_l4_right(copy));
		nv_return(v.ch, x.xid);
	}
	nv_end(&v);
}

/* The same for a guest that does not coalesce: cut, checksums made. */
ATF_TC_WITHOUT_HEAD(cut);
ATF_TC_BODY(cut, tc)
{
	struct net_meta m;
	uint32_t at, hlen, i, n, len;
	unsigned ip, tag;

	v.caps = 0x80;
	nv_begin(&v, 0x60001, FILTER);
	for (i = 0; i < 4; i++) {
		ip = i & 1 ? 4 : 6;
		tag = i & 2 ? 4 : 0;
		hlen = ip == 4 ? 54 : 74;
		n = large(ip, 5000, &m);
		if (tag != 0) {
			memmove(frame + 16, frame + 12, n - 12);
			memcpy(frame + 12, "\x81\x00\x00\x07", 4);
			m.csum_start += 4;
			m.hdr_len += 4;
		}
		/* The back end was told that such frames may come. */
		ATF_REQUIRE_EQ(0, fake_nic_send_meta(&v.nic, frame, n + tag,
		    &m));
		nv_pump(&v);
		if (tag != 0)
			memmove(frame + 12, frame + 16, n - 12);
		ATF_REQUIRE(nv_xfer(v.ch, &x));
		ATF_REQUIRE_EQ(4, x.n);
		for (at = 0; at < 5000; at += len) {
			len = 5000 - at < 1400 ? 5000 - at : 1400;
			nv_packet(&v, &x, at / 1400, &p);
			ATF_REQUIRE_EQ(hlen + len, p.len);
			ATF_CHECK(!p.has_id);
			ATF_CHECK_EQ(tag != 0, p.has_vlan);
			ATF_CHECK_EQ(TCP_GOOD | (ip == 4 ? IP_GOOD : 0),
			    p.csum);
			ATF_CHECK(memcmp(p.data, frame, 14) == 0);
			ATF_CHECK(memcmp(p.data + hlen, frame + hlen + at,
			    len) == 0);
			ATF_CHECK(nv_l4_right(p.data));
			if (ip == 4)
				ATF_CHECK(nv_ip_right(p.data));
			ATF_CHECK_EQ(at + len == 5000 ? 0x19 : 0x10,
			    p.data[hlen - 7]);
		}
		nv_return(v.ch, x.xid);
	}
	/* Nonsense about a frame: it is not TCP, or has no size. */
	n = large(4, 5000, &m);
	m.gso_size = 0;
	nv_deliver(&v, frame, n, &m);
	nv_none(&v);
	m.gso_size = 1400;
	m.gso = NET_GSO_TCP6;
	nv_deliver(&v, frame, n, &m);
	nv_none(&v);
	m.gso = NET_GSO_TCP4;
	frame[23] = 17;
	nv_deliver(&v, frame, n, &m);
	nv_none(&v);
	nv_end(&v);
}

/* Below 6.1, or without the capability, there is no coalescing. */
ATF_TC_WITHOUT_HEAD(not_coalesced);
ATF_TC_BODY(not_coalesced, tc)
{
	uint8_t params[28] = { 0x80, 3, 28 };
	unsigned i;

	params[22] = params[23] = 2;
	for (i = 0; i < 2; i++) {
		v.caps = i == 0 ? 0x80 : 0;
		nv_begin(&v, i == 0 ? 0x60000 : 0x60001, FILTER);
		ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
		ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
		ATF_CHECK_EQ(0, copy[20 + 144]);
		ATF_CHECK_EQ(0, copy[20 + 145]);
		nv_end(&v);
	}
}

/* --- Queues --- */

/* protocol: netvsc, 3.1; what the guest sends goes the same way. */
static void
told_table(unsigned queues)
{
	struct fake_pkt *fp = fake_get(v.ch);
	unsigned i;

	ATF_REQUIRE(fp != NULL);
	ATF_CHECK_EQ(6, fp->type);
	ATF_CHECK(!fp->wants_completion);
	ATF_REQUIRE_EQ(12 + 16 * 4, fp->len);
	ATF_CHECK_EQ(134, nv_get32(fp->data));
	ATF_CHECK_EQ(16, nv_get32(fp->data + 4));
	ATF_CHECK_EQ(12, nv_get32(fp->data + 8));
	for (i = 0; i < 16; i++)
		ATF_CHECK_EQ(i % queues, nv_get32(fp->data + 12 + 4 * i));
	fake_pkt_free(fp);
}

static void
set_rss(uint32_t types, unsigned queues)
{
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
		0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
		0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
		0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa
	};
	uint8_t obj[40 + 40 + 512] = { 0x89, 2 };
	unsigned i;

	nv_put16(obj + 2, sizeof(obj));
	nv_put32(obj + 8, 1 | types);
	nv_put16(obj + 12, 512);
	nv_put32(obj + 16, 80);
	nv_put16(obj + 20, 40);
	nv_put32(obj + 24, 40);
	memcpy(obj + 40, key, 40);
	for (i = 0; i < 128; i++)
		nv_put32(obj + 80 + 4 * i, i % queues);
	ATF_REQUIRE_EQ(0, nv_set(&v, 0x10204, obj, sizeof(obj)));
	told_table(queues);
}

/* protocol: netvsc, 6.3; vectors as published with the definition. */
ATF_TC_WITHOUT_HEAD(rss);
ATF_TC_BODY(rss, tc)
{
	static const struct {
		const char	*src, *dst;
		uint16_t	 sport, dport;
		uint32_t	 addresses, ports;
	} vectors[] = {
		{ "\x42\x09\x95\xbb", "\xa1\x8e\x64\x50", 2794, 1766,
		    0x323e8fc2, 0x51ccc178 },
		{ "\xc7\x5c\x6f\x02", "\x41\x45\x8c\x53", 14230, 4739,
		    0xd718262a, 0xc626b0ea },
		{ "\x18\x13\xc6\x5f", "\x0c\x16\xcf\xb8", 12898, 38024,
		    0xd2d0a5de, 0x5c2b394a },
		{ "\x26\x1b\xcd\x1e", "\xd1\x8e\xa3\x06", 48228, 2217,
		    0x82989176, 0xafc7327f },
		{ "\x99\x27\xa3\xbf", "\xca\xbc\x7f\x02", 44251, 1303,
		    0x5d1809c5, 0x10e828a2 },
	};
	struct hvh_chan *ch[4];
	uint8_t r[40];
	unsigned i, q;
	uint32_t n;

	nv_begin(&v, 0x60001, FILTER);
	ATF_REQUIRE_EQ(40, nv_words(&v, r, 133, 1, 3, 0, 0));
	ch[0] = v.ch;
	for (i = 1; i < 4; i++) {
		ch[i] = fake_chan(v.h, (uint16_t)i);
		ATF_REQUIRE_EQ(0, fake_open(ch[i]));
	}
	told_table(4);
	for (i = 0; i < 5; i++) {
		n = nv_frame(frame, 4, 6, 10);
		memcpy(frame + 26, vectors[i].src, 4);
		memcpy(frame + 30, vectors[i].dst, 4);
		nv_putbe16(frame + 34, vectors[i].sport);
		nv_putbe16(frame + 36, vectors[i].dport);
		/* Until it is set all is the primary's. */
		nv_deliver(&v, frame, n, NULL);
		if (i == 0) {
			nv_one(&v, v.ch, &p);
			ATF_CHECK(!p.has_hash);
		} else {
			nv_one(&v, ch[vectors[i].ports % 4], &p);
		}
		set_rss(0x100 | 0x200, 4);
		nv_deliver(&v, frame, n, NULL);
		q = vectors[i].ports % 128 % 4;
		nv_one(&v, ch[q], &p);
		ATF_CHECK(p.has_hash);
		ATF_CHECK_EQ_MSG(vectors[i].ports, p.hash, "%x", p.hash);
		ATF_CHECK_EQ(0x201, p.hash_info);
		/* Addresses alone, for UDP here. */
		frame[23] = 17;
		nv_deliver(&v, frame, n, NULL);
		nv_one(&v, ch[vectors[i].addresses % 4], &p);
		ATF_CHECK_EQ(vectors[i].addresses, p.hash);
		ATF_CHECK_EQ(0x101, p.hash_info);
		/* Not IP: no hash, the first of the table. */
		frame[12] = 0x77;
		nv_deliver(&v, frame, n, NULL);
		nv_one(&v, v.ch, &p);
		ATF_CHECK(!p.has_hash);
	}
	/* Types that the guest does not want: none. */
	set_rss(0x200, 4);
	n = nv_frame(frame, 6, 6, 10);
	nv_deliver(&v, frame, n, NULL);
	nv_one(&v, v.ch, &p);
	ATF_CHECK(!p.has_hash);
	/* A channel that is closed: its packets come by the primary. */
	set_rss(0x100 | 0x200, 3);
	for (i = 1; i < 4; i++)
		fake_close(ch[i]);
	for (i = 0; i < 20; i++) {
		n = nv_frame(frame, 4, 6, 10);
		frame[37] = (uint8_t)i;
		nv_deliver(&v, frame, n, NULL);
		nv_one(&v, v.ch, &p);
	}
	nv_end(&v);
}

/* One channel's slots are not another's. */
ATF_TC_WITHOUT_HEAD(rss_buffers);
ATF_TC_BODY(rss_buffers, tc)
{
	struct hvh_chan *sub;
	uint8_t r[40];
	unsigned i, n = 0;

	nv_begin(&v, 0x60001, FILTER);
	ATF_REQUIRE_EQ(40, nv_words(&v, r, 133, 1, 1, 0, 0));
	sub = fake_chan(v.h, 1);
	ATF_REQUIRE_EQ(0, fake_open(sub));
	told_table(2);
	set_rss(0x200, 2);
	nv_frame(frame, 4, 6, 10);
	/* Ports until one is the other channel's. */
	for (i = 0; n == 0 && i < 100; i++) {
		frame[37] = (uint8_t)i;
		nv_deliver(&v, frame, 64, NULL);
		n = sub->out.n;
		if (n == 0)
			nv_one(&v, v.ch, &p);
	}
	ATF_REQUIRE_EQ(1, n);
	for (i = 0; i < 2000 && sub->out.n > 0; i++) {
		ATF_REQUIRE(nv_xfer(sub, &x));
		nv_deliver(&v, frame, 64, NULL);
	}
	ATF_CHECK_EQ((v.slots - 16) / 2, i);
	/* The primary has its half, though it waits for the other first. */
	nv_frame(frame, 6, 17, 10);
	nv_deliver(&v, frame, 72, NULL);
	nv_none(&v);
	v.h->now += 10000000;
	nv_pump(&v);
	nv_one(&v, v.ch, &p);
	nv_deliver(&v, frame, 72, NULL);
	nv_one(&v, v.ch, &p);
	/* One channel cannot return what another has. */
	nv_return(v.ch, x.xid);
	ATF_CHECK(nv_shut(&v));
	nv_end(&v);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, coalesced);
	ATF_TP_ADD_TC(tp, coalesced_checksum);
	ATF_TP_ADD_TC(tp, cut);
	ATF_TP_ADD_TC(tp, not_coalesced);
	ATF_TP_ADD_TC(tp, rss);
	ATF_TP_ADD_TC(tp, rss_buffers);
	return (atf_no_error());
}
