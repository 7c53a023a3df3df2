/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets to a guest: what it gets to see of them, of their checksums and
 * tags, in which packets, and what becomes of them when it holds all buffers.
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

ATF_TC_WITHOUT_HEAD(plain);
ATF_TC_BODY(plain, tc)
{
	static const uint32_t lens[] = { 14, 15, 60, 1000, 1513, 1514 };
	struct hvh_net_stats st;
	uint32_t i;

	for (unsigned scattered = 0; scattered < 2; scattered++) {
		v.scattered = scattered != 0;
		nv_begin(&v, 0x50000, 0x20);
		for (i = 0; i < 6; i++) {
			fake_frame(frame, lens[i], i);
			nv_deliver(&v, frame, lens[i], NULL);
			nv_one(&v, v.ch, &p);
			ATF_CHECK_EQ(lens[i], p.len);
			ATF_CHECK(memcmp(frame, p.data, p.len) == 0);
			ATF_CHECK(!p.has_vlan && !p.has_hash && !p.has_id);
		}
		/* Larger than the guest takes. */
		fake_frame(frame, 1515, 1);
		nv_deliver(&v, frame, 1515, NULL);
		nv_none(&v);
		hvh_net_get_stats(v.na, &st);
		ATF_CHECK_EQ(6, st.rx_packets);
		ATF_CHECK_EQ(14 + 15 + 60 + 1000 + 1513 + 1514, st.rx_bytes);
		ATF_CHECK_EQ(1, st.rx_bad);
		ATF_CHECK_EQ(0, st.rx_held);
		nv_end(&v);
	}
	v.mtu = 9014;
	nv_begin(&v, 0x50000, 0x20);
	fake_frame(frame, 9014, 1);
	nv_deliver(&v, frame, 9014, NULL);
	nv_one(&v, v.ch, &p);
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

	nv_begin(&v, 0x50000, 0);
	ATF_REQUIRE_EQ(0, nv_set(&v, 0x1010103, dst[3], 6));
	for (f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
		ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, filters[f].filter));
		ATF_CHECK_EQ(filters[f].filter, nv_query32(&v, 0x1010e));
		for (i = 0; i < 5; i++) {
			fake_frame(frame, 60, i);
			memcpy(frame, dst[i], 6);
			nv_deliver(&v, frame, 60, NULL);
			if (filters[f].fine[i] == '+') {
				nv_one(&v, v.ch, &p);
				ATF_CHECK(memcmp(frame, p.data, 60) == 0);
			} else {
				nv_none(&v);
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
	nv_deliver(&v, frame, 60, NULL);
	nv_none(&v);
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

	nv_begin(&v, 0x50000, FILTER);
	for (i = 0; i < 7; i++) {
		for (k = 0; k < 4; k++) {
			ip = k & 1 ? 4 : 6;
			proto = k & 2 ? 6 : 17;
			l3 = ip == 4 ? IP_GOOD : 0;
			good = proto == 6 ? TCP_GOOD : UDP_GOOD;
			bad = proto == 6 ? TCP_BAD : UDP_BAD;
			n = nv_frame(frame, ip, proto, lens[i]);
			nv_deliver(&v, frame, n, NULL);
			nv_one(&v, v.ch, &p);
			ATF_CHECK_EQ(n, p.len);
			ATF_CHECK(p.has_csum);
			ATF_CHECK_EQ(l3 | good, p.csum);
			/* A bit of the last byte, with padding behind it. */
			frame[n - 1] ^= 0x10;
			memset(frame + n, 0xee, 20);
			nv_deliver(&v, frame, n + 20, NULL);
			nv_one(&v, v.ch, &p);
			ATF_CHECK_EQ(l3 | bad, p.csum);
			frame[n - 1] ^= 0x10;
			nv_deliver(&v, frame, n + 20, NULL);
			nv_one(&v, v.ch, &p);
			ATF_CHECK_EQ(l3 | good, p.csum);
			wrong++;
			if (ip != 4)
				continue;
			frame[22] ^= 1;
			nv_deliver(&v, frame, n, NULL);
			nv_one(&v, v.ch, &p);
			ATF_CHECK_EQ(IP_BAD | good, p.csum);
			wrong++;
			/* A fragment has no checksum of its own. */
			n = nv_frame(frame, 4, proto, lens[i]);
			nv_putbe16(frame + 20, 0x2000);
			nv_putbe16(frame + 24, (uint16_t)(nv_be16(frame + 24)
			    - 0x2000 - (nv_be16(frame + 24) < 0x2000)));
			nv_deliver(&v, frame, n, NULL);
			nv_one(&v, v.ch, &p);
			ATF_CHECK_EQ(IP_GOOD, p.csum);
		}
	}
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(wrong, st.csum_bad);
	/* UDP without one; over IPv6 there is none without. */
	n = nv_frame(frame, 4, 17, 99);
	nv_putbe16(frame + 40, 0);
	nv_deliver(&v, frame, n, NULL);
	nv_one(&v, v.ch, &p);
	ATF_CHECK_EQ(IP_GOOD, p.csum);
	n = nv_frame(frame, 6, 17, 99);
	nv_putbe16(frame + 60, 0);
	nv_deliver(&v, frame, n, NULL);
	nv_one(&v, v.ch, &p);
	ATF_CHECK_EQ(UDP_BAD, p.csum);
	/* What the back end vouches for is not looked at again. */
	nv_deliver(&v, frame, n, &(struct net_meta){ .flags = NET_CSUM_VALID });
	nv_one(&v, v.ch, &p);
	ATF_CHECK_EQ(UDP_GOOD, p.csum);
	/* Not IP: nothing is said. */
	frame[13] = 0x06;
	nv_deliver(&v, frame, n, NULL);
	nv_one(&v, v.ch, &p);
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

	nv_begin(&v, 0x50000, FILTER);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		n = nv_frame(frame, tries[i].ip, 6, 16);
		frame[tries[i].at] = tries[i].value;
		nv_deliver(&v, frame, n, NULL);
		nv_one(&v, v.ch, &p);
		ATF_CHECK_EQ(n, p.len);
		ATF_CHECK_MSG((p.csum & ~(IP_BAD | IP_GOOD)) == 0,
		    "IPv%u, byte %u: %x", tries[i].ip, tries[i].at, p.csum);
	}
	/* Cut off anywhere. */
	for (i = 14; i < 90; i++) {
		nv_frame(frame, 4, 6, 36);
		nv_deliver(&v, frame, i, NULL);
		nv_one(&v, v.ch, &p);
		ATF_CHECK_EQ(i < 90 ? 0 : IP_GOOD | TCP_GOOD, p.csum);
		nv_frame(frame, 6, 17, 28);
		nv_deliver(&v, frame, i, NULL);
		nv_one(&v, v.ch, &p);
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

	nv_begin(&v, 0x50000, FILTER);
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
		nv_deliver(&v, frame, n + (k & 4), &m);
		nv_one(&v, v.ch, &p);
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
	nv_deliver(&v, frame, 60, &m);
	nv_none(&v);
	m.csum_start = 0xffff;
	m.csum_offset = 0xffff;
	nv_deliver(&v, frame, 60, &m);
	nv_none(&v);
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
		nv_begin(&v, 0x50000, FILTER);
		params[offs[i].at] = 2;		/* TX alone */
		ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
		ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
		n = nv_frame(frame, offs[i].ip, offs[i].proto, 50);
		nv_deliver(&v, frame, n, NULL);
		nv_one(&v, v.ch, &p);
		ATF_CHECK_EQ_MSG(offs[i].left, p.csum, "field %u: %x",
		    offs[i].at, p.csum);
		params[offs[i].at] = 4;
		ATF_REQUIRE_EQ(0, nv_set(&v, 0xfc01020c, params, 28));
		ATF_REQUIRE_EQ(176, nv_indication(&v, copy));
		nv_deliver(&v, frame, n, NULL);
		nv_one(&v, v.ch, &p);
		ATF_CHECK(p.csum != offs[i].left);
		params[offs[i].at] = 0;
		nv_end(&v);
	}
}

ATF_TC_WITHOUT_HEAD(vlan);
ATF_TC_BODY(vlan, tc)
{
	uint32_t n;

	nv_begin(&v, 0x50000, FILTER);
	n = nv_frame(copy, 4, 6, 1460);
	memcpy(frame, copy, 12);
	memcpy(frame + 12, "\x81\x00\xb1\x23", 4);
	memcpy(frame + 16, copy + 12, n - 12);
	nv_deliver(&v, frame, n + 4, NULL);
	nv_one(&v, v.ch, &p);
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
	nv_deliver(&v, frame, n + 8, NULL);
	nv_one(&v, v.ch, &p);
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

	nv_begin(&v, 0x50000, 0x20);
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
	nv_none(&v);
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(1, st.rx_messages);
	/* A ring without room: a packet's worth, and the rest waits. */
	v.ch->room = 0;
	for (i = 0; i < 500; i++) {
		fake_frame(frame, 60, i);
		ATF_REQUIRE_EQ(0, fake_nic_send(&v.nic, frame, 60));
	}
	nv_pump(&v);
	nv_none(&v);
	v.ch->room = 100;
	fake_signal(v.ch);
	nv_pump(&v);
	for (n = 0; nv_xfer(v.ch, &x);) {
		ATF_CHECK_EQ(n == 0 ? 375 : 125, x.n);
		for (i = 0; i < x.n; i++, n++) {
			fake_frame(frame, 60, n);
			nv_packet(&v, &x, i, &p);
			ATF_CHECK(memcmp(frame, p.data, 60) == 0);
		}
		nv_return(v.ch, x.xid);
	}
	ATF_CHECK_EQ(500, n);
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(0, st.rx_no_buffer);
	nv_end(&v);
}

/* What a guest without a slot to spare gets when it gives one back. */
ATF_TC_WITHOUT_HEAD(waiting);
ATF_TC_BODY(waiting, tc)
{
	struct hvh_net_stats st;
	uint64_t first = 0;
	unsigned i, n;

	nv_begin(&v, 0x50000, 0x20);
	for (n = 0; n < 2000; n++) {
		fake_frame(frame, 60, n);
		nv_deliver(&v, frame, 60, NULL);
		if (!nv_xfer(v.ch, &x))
			break;
		if (n == 0)
			first = x.xid;
	}
	/* All slots but those for control messages. */
	ATF_REQUIRE_EQ(v.slots - 16, n);
	for (i = 1; i < 10; i++) {
		fake_frame(frame, 60, n + i);
		nv_deliver(&v, frame, 60, NULL);
	}
	nv_none(&v);
	v.h->now += 9999999;
	nv_pump(&v);
	nv_none(&v);
	for (i = 0; i < 10; i++) {
		nv_return(v.ch, first);
		nv_pump(&v);
		ATF_REQUIRE(nv_xfer(v.ch, &x));
		fake_frame(frame, 60, n + i);
		nv_packet(&v, &x, 0, &p);
		ATF_CHECK(memcmp(frame, p.data, 60) == 0);
		first = x.xid;
	}
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(0, st.rx_no_buffer);
	/* The channel closes while some wait: nothing is stuck. */
	nv_deliver(&v, frame, 60, NULL);
	fake_close(v.ch);
	nv_pump(&v);
	ATF_REQUIRE_EQ(0, fake_open(v.ch));
	nv_up(&v, 0x50000);
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x20));
	nv_deliver(&v, frame, 60, NULL);
	nv_one(&v, v.ch, &p);
	nv_end(&v);
}

/* A guest that keeps all: frames are lost, and come again when it returns. */
ATF_TC_WITHOUT_HEAD(no_buffer);
ATF_TC_BODY(no_buffer, tc)
{
	static uint64_t xids[2000];
	struct hvh_net_stats st;
	unsigned i, n;

	nv_begin(&v, 0x50000, 0x20);
	for (n = 0; n < 2000; n++) {
		fake_frame(frame, 60, n);
		nv_deliver(&v, frame, 60, NULL);
		if (!nv_xfer(v.ch, &x))
			break;
		xids[n] = x.xid;
	}
	ATF_CHECK_EQ(v.slots - 16, n);
	/* They wait for 10 ms, and then not at all. */
	v.h->now += 10000000;
	nv_pump(&v);
	nv_deliver(&v, frame, 60, NULL);
	nv_deliver(&v, frame, 60, NULL);
	nv_none(&v);
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(3, st.rx_no_buffer);
	ATF_CHECK_EQ(n, st.rx_held);
	ATF_CHECK_EQ(3, v.h->stats.net_rx_lost);
	ATF_CHECK_EQ(n, v.h->stats.net_rx_packets);
	/* Control messages still go. */
	ATF_CHECK_EQ(0x20, nv_query32(&v, 0x1010e));
	for (i = 0; i < n; i += 2)
		nv_return(v.ch, xids[i]);
	nv_deliver(&v, frame, 60, NULL);
	nv_one(&v, v.ch, &p);
	/* The channel closes with the rest of them outstanding. */
	fake_close(v.ch);
	ATF_REQUIRE_EQ(0, fake_open(v.ch));
	nv_up(&v, 0x50000);
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x20));
	for (i = 0; i < 2000; i++) {
		nv_deliver(&v, frame, 60, NULL);
		if (!nv_xfer(v.ch, &x))
			break;
	}
	ATF_CHECK_EQ(n, i);
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
	ATF_TP_ADD_TC(tp, waiting);
	ATF_TP_ADD_TC(tp, no_buffer);
	return (atf_no_error());
}
