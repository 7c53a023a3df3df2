/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets to a guest: what it gets to see of them and of their checksums,
 * tags and hashes, in which packets and on which channel, and what becomes of
 * them when it holds all buffers.
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

static void
begin(uint32_t version, uint32_t filter)
{

	nv_start(&v, 0, 8);
	nv_up(&v, version);
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, filter));
}

static void
deliver(const void *data, uint32_t len, const struct net_meta *m)
{
	static const struct net_meta none;

	ATF_REQUIRE_EQ(0, fake_nic_send_meta(&v.nic, data, len,
	    m != NULL ? m : &none));
	nv_pump(&v);
}

/* The one frame that has come, on this channel. */
static void
one(struct hvh_chan *ch)
{

	ATF_REQUIRE(nv_xfer(ch, &x));
	ATF_REQUIRE_EQ(1, x.n);
	nv_packet(&v, &x, 0, &p);
	nv_return(ch, x.xid);
	ATF_REQUIRE(!nv_shut(&v));
}

static void
none(void)
{

	ATF_REQUIRE(!nv_xfer(v.ch, &x));
}

ATF_TC_WITHOUT_HEAD(plain);
ATF_TC_BODY(plain, tc)
{
	static const uint32_t lens[] = { 14, 15, 60, 1000, 1513, 1514 };
	struct hvh_net_stats st;
	uint32_t i;

	for (unsigned scattered = 0; scattered < 2; scattered++) {
		v.scattered = scattered != 0;
		begin(0x50000, 0x20);
		for (i = 0; i < 6; i++) {
			fake_frame(frame, lens[i], i);
			deliver(frame, lens[i], NULL);
			one(v.ch);
			ATF_CHECK_EQ(lens[i], p.len);
			ATF_CHECK(memcmp(frame, p.data, p.len) == 0);
			ATF_CHECK(!p.has_vlan && !p.has_hash && !p.has_id);
		}
		/* Larger than the guest takes. */
		fake_frame(frame, 1515, 1);
		deliver(frame, 1515, NULL);
		none();
		hvh_net_get_stats(v.na, &st);
		ATF_CHECK_EQ(6, st.rx_packets);
		ATF_CHECK_EQ(14 + 15 + 60 + 1000 + 1513 + 1514, st.rx_bytes);
		ATF_CHECK_EQ(1, st.rx_bad);
		ATF_CHECK_EQ(0, st.rx_held);
		nv_end(&v);
	}
	v.mtu = 9014;
	begin(0x50000, 0x20);
	fake_frame(frame, 9014, 1);
	deliver(frame, 9014, NULL);
	one(v.ch);
	ATF_CHECK_EQ(9014, p.len);
	ATF_CHECK(memcmp(frame, p.data, p.len) == 0);
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(filter);
ATF_TC_BODY(filter, tc)
{
	static const char *const dst[] = {
		"\x00\x15\x5d\x01\x02\x03",	/* its own */
		"\x00\x15\x5d\x01\x02\x04",
		"\xff\xff\xff\xff\xff\xff",
		"\x01\x00\x5e\x00\x00\x01",	/* on its list */
		"\x01\x00\x5e\x00\x00\x02",
	};
	static const struct {
		uint32_t	 filter;
		const char	*fine;
	} filters[] = {
		{ 0x00, "-----" }, { 0x01, "+----" }, { 0x02, "---+-" },
		{ 0x04, "---++" }, { 0x08, "--+--" }, { 0x20, "+++++" },
		{ 0x0d, "+-+++" }, { 0x0b, "+-++-" }, { 0xf7c0, "-----" },
	};
	struct hvh_net_stats st;
	unsigned f, i, lost = 0;

	begin(0x50000, 0);
	ATF_REQUIRE_EQ(0, nv_set(&v, 0x1010103, dst[3], 6));
	for (f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
		ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, filters[f].filter));
		ATF_CHECK_EQ(filters[f].filter, nv_query32(&v, 0x1010e));
		for (i = 0; i < 5; i++) {
			fake_frame(frame, 60, i);
			memcpy(frame, dst[i], 6);
			deliver(frame, 60, NULL);
			if (filters[f].fine[i] == '+') {
				one(v.ch);
				ATF_CHECK(memcmp(frame, p.data, 60) == 0);
			} else {
				none();
				lost++;
			}
		}
	}
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(lost, st.rx_filtered);
	/* A link that is down brings nothing. */
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x20));
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, false));
	nv_pump(&v);
	ATF_REQUIRE_EQ(20, nv_indication(&v, copy));
	deliver(frame, 60, NULL);
	none();
	nv_end(&v);
}

/* --- Checksums --- */

#define	TCP_BAD		0x01u
#define	UDP_BAD		0x02u
#define	IP_BAD		0x04u
#define	TCP_GOOD	0x08u
#define	UDP_GOOD	0x10u
#define	IP_GOOD		0x20u

ATF_TC_WITHOUT_HEAD(checksum);
ATF_TC_BODY(checksum, tc)
{
	static const uint32_t lens[] = { 0, 1, 2, 5, 6, 700, 1001 };
	struct hvh_net_stats st;
	uint32_t good, bad, i, l3, n, wrong = 0;
	unsigned ip, k, proto;

	begin(0x50000, FILTER);
	for (i = 0; i < 7; i++) {
		for (k = 0; k < 4; k++) {
			ip = k & 1 ? 4 : 6;
			proto = k & 2 ? 6 : 17;
			l3 = ip == 4 ? IP_GOOD : 0;
			good = proto == 6 ? TCP_GOOD : UDP_GOOD;
			bad = proto == 6 ? TCP_BAD : UDP_BAD;
			n = nv_frame(frame, ip, proto, lens[i]);
			deliver(frame, n, NULL);
			one(v.ch);
			ATF_CHECK_EQ(n, p.len);
			ATF_CHECK(p.has_csum);
			ATF_CHECK_EQ(l3 | good, p.csum);
			/* A bit of the last byte, with padding behind it. */
			frame[n - 1] ^= 0x10;
			memset(frame + n, 0xee, 20);
			deliver(frame, n + 20, NULL);
			one(v.ch);
			ATF_CHECK_EQ(l3 | bad, p.csum);
			frame[n - 1] ^= 0x10;
			deliver(frame, n + 20, NULL);
			one(v.ch);
			ATF_CHECK_EQ(l3 | good, p.csum);
			wrong++;
			if (ip != 4)
				continue;
			frame[22] ^= 1;
			deliver(frame, n, NULL);
			one(v.ch);
			ATF_CHECK_EQ(IP_BAD | good, p.csum);
			wrong++;
			/* A fragment has no checksum of its own. */
			n = nv_frame(frame, 4, proto, lens[i]);
			nv_putbe16(frame + 20, 0x2000);
			nv_putbe16(frame + 24, (uint16_t)(nv_be16(frame + 24)
			    - 0x2000 - (nv_be16(frame + 24) < 0x2000)));
			deliver(frame, n, NULL);
			one(v.ch);
			ATF_CHECK_EQ(IP_GOOD, p.csum);
		}
	}
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(wrong, st.csum_bad);
	/* UDP without one; over IPv6 there is none without. */
	n = nv_frame(frame, 4, 17, 99);
	nv_putbe16(frame + 40, 0);
	deliver(frame, n, NULL);
	one(v.ch);
	ATF_CHECK_EQ(IP_GOOD, p.csum);
	n = nv_frame(frame, 6, 17, 99);
	nv_putbe16(frame + 60, 0);
	deliver(frame, n, NULL);
	one(v.ch);
	ATF_CHECK_EQ(UDP_BAD, p.csum);
	/* What the back end vouches for is not looked at again. */
	deliver(frame, n, &(struct net_meta){ .flags = NET_CSUM_VALID });
	one(v.ch);
	ATF_CHECK_EQ(UDP_GOOD, p.csum);
	/* Not IP: nothing is said. */
	frame[13] = 0x06;
	deliver(frame, n, NULL);
	one(v.ch);
	ATF_CHECK(!p.has_csum);
	nv_end(&v);
}

/* Lengths in headers that are not the frame's. */
ATF_TC_WITHOUT_HEAD(malformed);
ATF_TC_BODY(malformed, tc)
{
	static const struct {
		unsigned	 ip;
		uint32_t	 at;
		uint8_t		 value;
		bool		 l4;	/* still has one */
	} tries[] = {
		{ 4, 14, 0x44, false }, { 4, 14, 0x4f, false },
		{ 4, 14, 0x55, false }, { 4, 16, 0xff, false },
		{ 4, 17, 19, false }, { 4, 17, 27, false },
		{ 4, 23, 99, false }, { 6, 14, 0x40, false },
		{ 6, 18, 0xff, false }, { 6, 20, 44, false },
		{ 6, 20, 0, false }, { 6, 20, 59, false },
		{ 4, 46, 0x40, false }, { 4, 46, 0xf0, false },
	};
	uint32_t i, n;

	begin(0x50000, FILTER);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		n = nv_frame(frame, tries[i].ip, 6, 16);
		frame[tries[i].at] = tries[i].value;
		deliver(frame, n, NULL);
		one(v.ch);
		ATF_CHECK_EQ(n, p.len);
		ATF_CHECK_MSG((p.csum & ~(IP_BAD | IP_GOOD)) == 0,
		    "IPv%u, byte %u: %x", tries[i].ip, tries[i].at, p.csum);
	}
	/* Cut off anywhere. */
	for (i = 14; i < 90; i++) {
		nv_frame(frame, 4, 6, 36);
		deliver(frame, i, NULL);
		one(v.ch);
		ATF_CHECK_EQ(i < 90 ? 0 : IP_GOOD | TCP_GOOD, p.csum);
		nv_frame(frame, 6, 17, 28);
		deliver(frame, i, NULL);
		one(v.ch);
		ATF_CHECK_EQ(0, p.csum);
	}
	nv_end(&v);
}

/* Checksums that the back end has left to be made. */
ATF_TC_WITHOUT_HEAD(needs_checksum);
ATF_TC_BODY(needs_checksum, tc)
{
	struct net_meta m = { .flags = NET_NEEDS_CSUM };
	uint32_t at, l4, n, sum;
	struct hvh_net_stats st;
	unsigned k;

	begin(0x50000, FILTER);
	for (k = 0; k < 8; k++) {
		n = nv_frame(copy, k & 1 ? 4 : 6, k & 2 ? 6 : 17, 999);
		l4 = k & 1 ? 34 : 54;
		at = l4 + (k & 2 ? 16 : 6);
		memcpy(frame, copy, n);
		m.csum_start = (uint16_t)l4;
		m.csum_offset = (uint16_t)(at - l4);
		sum = (k & 2 ? 6u : 17u) + n - l4;
		sum += k & 1 ? fake_sum(0, frame + 26, 8) :
		    fake_sum(0, frame + 22, 32);
		nv_putbe16(frame + at, fake_sum(sum, "", 0));
		if (k & 4) {
			memmove(frame + 16, frame + 12, n - 12);
			memcpy(frame + 12, "\x81\x00\x20\x05", 4);
			m.csum_start = (uint16_t)(m.csum_start + 4);
		}
		deliver(frame, n + (k & 4), &m);
		one(v.ch);
		ATF_CHECK_EQ(n, p.len);
		ATF_CHECK_MSG(memcmp(copy, p.data, n) == 0, "case %u", k);
		ATF_CHECK_EQ((k & 1 ? IP_GOOD : 0) | (k & 2 ? TCP_GOOD :
		    UDP_GOOD), p.csum);
		ATF_CHECK_EQ((k & 4) != 0, p.has_vlan);
		if (k & 4)
			ATF_CHECK_EQ(1 | 5 << 4, p.vlan);
	}
	/* Beyond the frame. */
	m.csum_start = 50;
	m.csum_offset = 9;
	deliver(frame, 60, &m);
	none();
	m.csum_start = 0xffff;
	m.csum_offset = 0xffff;
	deliver(frame, 60, &m);
	none();
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(2, st.rx_bad);
	nv_end(&v);
}

/* What the guest has switched off is not told. */
ATF_TC_WITHOUT_HEAD(switched_off);
ATF_TC_BODY(switched_off, tc)
{
	static const struct {
		unsigned	 at, ip, proto;
		uint32_t	 left;
	} offs[] = {
		{ 4, 4, 6, TCP_GOOD }, { 5, 4, 6, IP_GOOD },
		{ 6, 4, 17, IP_GOOD }, { 7, 6, 6, 0 }, { 8, 6, 17, 0 },
	};
	uint8_t params[28] = { 0x80, 3, 28 };
	unsigned i;
	uint32_t n;

	for (i = 0; i < 5; i++) {
		begin(0x50000, FILTER);
		params[offs[i].at] = 2;		/* TX alone */
		ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
		ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
		n = nv_frame(frame, offs[i].ip, offs[i].proto, 50);
		deliver(frame, n, NULL);
		one(v.ch);
		ATF_CHECK_EQ_MSG(offs[i].left, p.csum, "field %u: %x",
		    offs[i].at, p.csum);
		params[offs[i].at] = 4;
		ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
		ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
		deliver(frame, n, NULL);
		one(v.ch);
		ATF_CHECK(p.csum != offs[i].left);
		params[offs[i].at] = 0;
		nv_end(&v);
	}
}

ATF_TC_WITHOUT_HEAD(vlan);
ATF_TC_BODY(vlan, tc)
{
	uint32_t n;

	begin(0x50000, FILTER);
	n = nv_frame(copy, 4, 6, 1460);
	memcpy(frame, copy, 12);
	memcpy(frame + 12, "\x81\x00\xb1\x23", 4);
	memcpy(frame + 16, copy + 12, n - 12);
	deliver(frame, n + 4, NULL);
	one(v.ch);
	ATF_CHECK_EQ(1514, p.len);
	ATF_CHECK(memcmp(copy, p.data, n) == 0);
	ATF_CHECK(p.has_vlan);
	ATF_CHECK_EQ(5 | 8 | 0x123 << 4, p.vlan);
	ATF_CHECK_EQ(IP_GOOD | TCP_GOOD, p.csum);
	/* An inner tag stays where it is. */
	n = nv_frame(copy, 6, 17, 100);
	memcpy(frame, copy, 12);
	memcpy(frame + 12, "\x81\x00\x00\x01\x81\x00\x00\x02", 8);
	memcpy(frame + 20, copy + 12, n - 12);
	deliver(frame, n + 8, NULL);
	one(v.ch);
	ATF_CHECK_EQ(n + 4, p.len);
	ATF_CHECK_EQ(1 << 4, p.vlan);
	ATF_CHECK(memcmp(p.data + 12, "\x81\x00\x00\x02", 4) == 0);
	ATF_CHECK_EQ(UDP_GOOD, p.csum);
	nv_end(&v);
}

/* --- Batches and buffers --- */

ATF_TC_WITHOUT_HEAD(batch);
ATF_TC_BODY(batch, tc)
{
	struct hvh_net_stats st;
	unsigned i, k, n;

	begin(0x50000, 0x20);
	for (i = 0; i < 200; i++) {
		fake_frame(frame, 60, i);
		ATF_REQUIRE_EQ(0, fake_nic_send(&v.nic, frame, 60));
	}
	nv_pump(&v);
	/* What came in one turn is one packet. */
	ATF_REQUIRE(nv_xfer(v.ch, &x));
	ATF_CHECK_EQ(200, x.n);
	for (i = 0; i < 200; i++) {
		fake_frame(frame, 60, i);
		nv_packet(&v, &x, i, &p);
		ATF_CHECK(memcmp(frame, p.data, 60) == 0);
		for (k = 0; k < i; k++)
			ATF_CHECK(x.range[k].ofs != x.range[i].ofs);
	}
	nv_return(v.ch, x.xid);
	none();
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(1, st.rx_messages);
	/* A ring without room: they wait, up to one packet's worth. */
	v.ch->room = 0;
	for (i = 0; i < 500; i++) {
		fake_frame(frame, 60, i);
		ATF_REQUIRE_EQ(0, fake_nic_send(&v.nic, frame, 60));
	}
	nv_pump(&v);
	none();
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(125, st.rx_no_buffer);
	v.ch->room = 100;
	fake_signal(v.ch);
	ATF_REQUIRE(nv_xfer(v.ch, &x));
	ATF_CHECK_EQ(375, x.n);
	for (i = n = 0; i < x.n; i++) {
		fake_frame(frame, 60, i);
		nv_packet(&v, &x, i, &p);
		n += memcmp(frame, p.data, 60) == 0;
	}
	ATF_CHECK_EQ(375, n);
	nv_return(v.ch, x.xid);
	nv_end(&v);
}

/* A guest that keeps all: frames are lost, and come again when it returns. */
ATF_TC_WITHOUT_HEAD(no_buffer);
ATF_TC_BODY(no_buffer, tc)
{
	static uint64_t xids[2000];
	struct hvh_net_stats st;
	unsigned i, n;

	begin(0x50000, 0x20);
	for (n = 0; n < 2000; n++) {
		fake_frame(frame, 60, n);
		deliver(frame, 60, NULL);
		if (!nv_xfer(v.ch, &x))
			break;
		xids[n] = x.xid;
	}
	/* All slots but those for control messages. */
	ATF_CHECK_EQ(v.slots - 16, n);
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(1, st.rx_no_buffer);
	ATF_CHECK_EQ(n, st.rx_held);
	/* Control messages still go. */
	ATF_CHECK_EQ(0x20, nv_query32(&v, 0x1010e));
	for (i = 0; i < n; i += 2)
		nv_return(v.ch, xids[i]);
	deliver(frame, 60, NULL);
	one(v.ch);
	/* The channel closes with the rest of them outstanding. */
	fake_close(v.ch);
	ATF_REQUIRE_EQ(0, fake_open(v.ch));
	nv_up(&v, 0x50000);
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x20));
	for (i = 0; i < 2000; i++) {
		deliver(frame, 60, NULL);
		if (!nv_xfer(v.ch, &x))
			break;
	}
	ATF_CHECK_EQ(n, i);
	nv_end(&v);
}

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
	begin(0x60001, FILTER);
	coalesce(true, true);
	for (ip = 4; ip <= 6; ip += 2) {
		n = large(ip, 40001, &m);
		deliver(frame, n, &m);
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
		none();
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
	begin(0x60001, FILTER);
	for (i = 0; i < 4; i++) {
		ip = i & 1 ? 4 : 6;
		tag = i & 2 ? 4 : 0;
		hlen = ip == 4 ? 54 : 74;
		/* Frames on their way when it is switched off. */
		coalesce(true, true);
		n = large(ip, 5000, &m);
		if (tag != 0) {
			memmove(frame + 16, frame + 12, n - 12);
			memcpy(frame + 12, "\x81\x00\x00\x07", 4);
			m.csum_start += 4;
			m.hdr_len += 4;
		}
		ATF_REQUIRE_EQ(0, fake_nic_send_meta(&v.nic, frame, n + tag,
		    &m));
		coalesce(false, false);
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
	coalesce(true, true);
	n = large(4, 5000, &m);
	m.gso_size = 0;
	deliver(frame, n, &m);
	none();
	m.gso_size = 1400;
	m.gso = NET_GSO_TCP6;
	deliver(frame, n, &m);
	none();
	m.gso = NET_GSO_TCP4;
	frame[23] = 17;
	deliver(frame, n, &m);
	none();
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
		begin(i == 0 ? 0x60000 : 0x60001, FILTER);
		ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
		ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
		ATF_CHECK_EQ(0, copy[20 + 144]);
		ATF_CHECK_EQ(0, copy[20 + 145]);
		nv_end(&v);
	}
}

/* --- Queues --- */

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

	begin(0x60001, FILTER);
	ATF_REQUIRE_EQ(40, nv_words(&v, r, 133, 1, 3, 0, 0));
	ch[0] = v.ch;
	for (i = 1; i < 4; i++) {
		ch[i] = fake_chan(v.h, (uint16_t)i);
		ATF_REQUIRE_EQ(0, fake_open(ch[i]));
	}
	fake_pkt_free(fake_get(v.ch));		/* the table */
	for (i = 0; i < 5; i++) {
		n = nv_frame(frame, 4, 6, 10);
		memcpy(frame + 26, vectors[i].src, 4);
		memcpy(frame + 30, vectors[i].dst, 4);
		nv_putbe16(frame + 34, vectors[i].sport);
		nv_putbe16(frame + 36, vectors[i].dport);
		/* Until it is set all is the primary's. */
		deliver(frame, n, NULL);
		if (i == 0) {
			one(v.ch);
			ATF_CHECK(!p.has_hash);
		} else {
			one(ch[vectors[i].ports % 4]);
		}
		set_rss(0x100 | 0x200, 4);
		deliver(frame, n, NULL);
		q = vectors[i].ports % 128 % 4;
		one(ch[q]);
		ATF_CHECK(p.has_hash);
		ATF_CHECK_EQ_MSG(vectors[i].ports, p.hash, "%x", p.hash);
		ATF_CHECK_EQ(0x201, p.hash_info);
		/* Addresses alone, for UDP here. */
		frame[23] = 17;
		deliver(frame, n, NULL);
		one(ch[vectors[i].addresses % 4]);
		ATF_CHECK_EQ(vectors[i].addresses, p.hash);
		ATF_CHECK_EQ(0x101, p.hash_info);
		/* Not IP: no hash, the first of the table. */
		frame[12] = 0x77;
		deliver(frame, n, NULL);
		one(v.ch);
		ATF_CHECK(!p.has_hash);
	}
	/* Types that the guest does not want: none. */
	set_rss(0x200, 4);
	n = nv_frame(frame, 6, 6, 10);
	deliver(frame, n, NULL);
	one(v.ch);
	ATF_CHECK(!p.has_hash);
	/* A channel that is closed: its packets come by the primary. */
	set_rss(0x100 | 0x200, 4);
	for (i = 1; i < 4; i++)
		fake_close(ch[i]);
	for (i = 0; i < 20; i++) {
		n = nv_frame(frame, 4, 6, 10);
		frame[37] = (uint8_t)i;
		deliver(frame, n, NULL);
		one(v.ch);
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

	begin(0x60001, FILTER);
	ATF_REQUIRE_EQ(40, nv_words(&v, r, 133, 1, 1, 0, 0));
	sub = fake_chan(v.h, 1);
	ATF_REQUIRE_EQ(0, fake_open(sub));
	fake_pkt_free(fake_get(v.ch));
	set_rss(0x200, 2);
	nv_frame(frame, 4, 6, 10);
	/* Ports until one is the other channel's. */
	for (i = 0; n == 0 && i < 100; i++) {
		frame[37] = (uint8_t)i;
		deliver(frame, 64, NULL);
		n = sub->out.n;
		if (n == 0)
			one(v.ch);
	}
	ATF_REQUIRE_EQ(1, n);
	for (i = 0; i < 2000 && sub->out.n > 0; i++) {
		ATF_REQUIRE(nv_xfer(sub, &x));
		deliver(frame, 64, NULL);
	}
	ATF_CHECK_EQ((v.slots - 16) / 2, i);
	/* The primary has its half. */
	nv_frame(frame, 6, 17, 10);
	deliver(frame, 72, NULL);
	one(v.ch);
	/* One channel cannot return what another has. */
	nv_return(v.ch, x.xid);
	ATF_CHECK(nv_shut(&v));
	nv_end(&v);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, plain);
	ATF_TP_ADD_TC(tp, filter);
	ATF_TP_ADD_TC(tp, checksum);
	ATF_TP_ADD_TC(tp, malformed);
	ATF_TP_ADD_TC(tp, needs_checksum);
	ATF_TP_ADD_TC(tp, switched_off);
	ATF_TP_ADD_TC(tp, vlan);
	ATF_TP_ADD_TC(tp, batch);
	ATF_TP_ADD_TC(tp, no_buffer);
	ATF_TP_ADD_TC(tp, coalesced);
	ATF_TP_ADD_TC(tp, cut);
	ATF_TP_ADD_TC(tp, not_coalesced);
	ATF_TP_ADD_TC(tp, rss);
	ATF_TP_ADD_TC(tp, rss_buffers);
	return (atf_no_error());
}
