/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets from a guest: by section, by pages, several in one message; what is
 * wrong with a message and what comes of it; tags, checksums and large
 * packets, with what the back end does not do done here.  Frames are compared
 * byte by byte with ones made by other code.
 */

#include <atf-c.h>
#include <stdlib.h>
#include <string.h>

#include "fake_netvsc.h"

static struct nv v;
static uint8_t frame[70000], msg[80000], want[70000];

static void
begin(unsigned can)
{

	nv_start(&v, 0, 4);
	nv_up(&v, 0x60001);
	net_accept(v.be, can);
}

/* Sends what is in msg by one range a page, from NV_SCRATCH on. */
static uint32_t
send_pages(uint32_t len, uint32_t first)
{
	uint8_t m[40] = { 107 };
	struct fake_pkt *p;
	uint32_t at = 0, n;

	nv_put32(m + 8, 0xffffffff);
	memcpy(v.h->mem + NV_SCRATCH + first, msg, len);
	p = fake_put(v.ch, 9, true, ++v.xid, m, sizeof(m));
	for (; at < len; at += n) {
		n = 4096 - (first + at) % 4096;
		if (n > len - at)
			n = len - at;
		fake_range(p, NV_SCRATCH + first + at, n);
	}
	fake_signal(v.ch);
	n = nv_status(v.ch, v.xid);
	nv_pump(&v);
	return (n);
}

static bool
came(unsigned n, const uint8_t *data, uint32_t len)
{

	return (fake_nic_has(&v.nic, n, data, len));
}

ATF_TC_WITHOUT_HEAD(plain);
ATF_TC_BODY(plain, tc)
{
	static const uint32_t lens[] = { 14, 60, 61, 63, 1514, 1518, 1522 };
	struct hvh_net_stats st;
	uint32_t i, len, n = 0;

	for (unsigned scattered = 0; scattered < 2; scattered++) {
		v.scattered = scattered != 0;
		begin(0);
		n = 0;
		for (i = 0; i < 7; i++) {
			fake_frame(frame, lens[i], i);
			len = nv_encap(msg, "", 0, frame, lens[i], 1);
			ATF_CHECK_EQ(1, nv_section(&v, v.ch, 0, 3 + i, msg,
			    len));
			nv_pump(&v);
			ATF_CHECK(came(n++, frame, lens[i]));
			/* Anywhere in a page, the header in one. */
			ATF_CHECK_EQ(1, send_pages(len, 100 * i));
			ATF_CHECK(came(n++, frame, lens[i]));
		}
		hvh_net_get_stats(v.na, &st);
		ATF_CHECK_EQ(n, st.tx_packets);
		ATF_CHECK_EQ(n, st.tx_messages);
		ATF_CHECK_EQ(n, v.h->stats.net_tx_packets);
		ATF_CHECK_EQ(2 * (14 + 60 + 61 + 63 + 1514 + 1518 + 1522),
		    st.tx_bytes);
		nv_end(&v);
	}
}

/* A header in a section, the frame in pages. */
ATF_TC_WITHOUT_HEAD(mixed);
ATF_TC_BODY(mixed, tc)
{
	uint8_t m[40] = { 107 };
	struct fake_pkt *p;
	uint32_t cut, len;

	begin(0);
	fake_frame(frame, 1200, 7);
	len = nv_encap(msg, "", 0, frame, 1200, 1);
	for (cut = 44; cut < 200; cut += 13) {
		memcpy(v.h->mem + NV_TX + 2 * NV_SECTION, msg, cut);
		memcpy(v.h->mem + NV_SCRATCH + 9, msg + cut, len - cut);
		nv_put32(m + 8, 2);
		nv_put32(m + 12, cut);
		p = fake_put(v.ch, 9, true, ++v.xid, m, sizeof(m));
		fake_range(p, NV_SCRATCH + 9, 300);
		fake_range(p, NV_SCRATCH + 309, len - cut - 300);
		fake_signal(v.ch);
		ATF_CHECK_EQ(1, nv_status(v.ch, v.xid));
		nv_pump(&v);
		ATF_CHECK(came(v.nic.n - 1, frame, 1200));
	}
	ATF_CHECK_EQ(12, v.nic.n);
	/* 43 bytes of the header are in one range, one in another. */
	memcpy(v.h->mem + NV_SCRATCH + 9, msg + 43, len - 43);
	nv_put32(m + 12, 43);
	p = fake_put(v.ch, 9, true, ++v.xid, m, sizeof(m));
	fake_range(p, NV_SCRATCH + 9, len - 43);
	fake_signal(v.ch);
	ATF_CHECK_EQ(2, nv_status(v.ch, v.xid));
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(several);
ATF_TC_BODY(several, tc)
{
	uint32_t i, len, n;

	begin(0);
	for (n = 1; n <= 9; n++) {
		for (i = len = 0; i < n; i++) {
			fake_frame(frame, 60 + i, 100 * n + i);
			len += nv_encap(msg + len, "", 0, frame, 60 + i, 8);
		}
		i = v.nic.n;
		/* Eight is what was said at INITIALIZE. */
		ATF_CHECK_EQ(n <= 8 ? 1 : 2, nv_section(&v, v.ch, 0, n, msg,
		    len));
		nv_pump(&v);
		ATF_REQUIRE_EQ(i + (n <= 8 ? n : 0), v.nic.n);
		for (; i < v.nic.n; i++) {
			uint32_t k = i - (v.nic.n - n);

			fake_frame(frame, 60 + k, 100 * n + k);
			ATF_CHECK(came(i, frame, 60 + k));
		}
	}
	/* Bytes behind the last: none is sent. */
	fake_frame(frame, 60, 0);
	len = nv_encap(msg, "", 0, frame, 60, 8);
	n = v.nic.n;
	for (i = 1; i < 44; i++)
		ATF_CHECK_EQ(2, nv_section(&v, v.ch, 0, 0, msg, len + i));
	/* The second is bad: the first is not sent either. */
	memcpy(msg + len, msg, len);
	nv_put32(msg + len, 5);
	ATF_CHECK_EQ(2, nv_section(&v, v.ch, 0, 0, msg, 2 * len));
	nv_pump(&v);
	ATF_CHECK_EQ(n, v.nic.n);
	nv_end(&v);
}

/* Each field of the packet message, and of what goes with it. */
ATF_TC_WITHOUT_HEAD(bad_fields);
ATF_TC_BODY(bad_fields, tc)
{
	/* 60 bytes of frame behind one PPI: 44 + 16 + 60 = 120. */
	static const struct {
		uint32_t	 at, value, status;
	} fields[] = {
		{ 0, 1, 1 },		/* as it is */
		{ 0, 7, 2 }, { 0, 0, 2 }, { 0, 0x80000001, 2 },
		{ 4, 0, 2 }, { 4, 8, 2 }, { 4, 43, 2 }, { 4, 119, 2 },
		{ 4, 121, 2 }, { 4, 0xffffffff, 2 }, { 4, 0xfffffff8, 2 },
		{ 8, 0, 2 }, { 8, 35, 2 }, { 8, 36, 2 }, { 8, 51, 2 },
		{ 8, 53, 2 }, { 8, 0xffffffff, 2 }, { 8, 0xffffffc0, 2 },
		{ 12, 0, 2 }, { 12, 13, 2 }, { 12, 14, 1 }, { 12, 61, 2 },
		{ 12, 0xffffffff, 2 }, { 12, 0xffffffcc, 2 },
		{ 16, 36, 2 }, { 20, 4, 2 }, { 24, 1, 2 },
		{ 28, 0, 2 }, { 28, 35, 2 }, { 28, 37, 2 }, { 28, 97, 2 },
		{ 28, 100, 2 }, { 28, 0xffffffff, 2 },
		{ 32, 0, 1 },		/* no information at all */
		{ 32, 8, 2 }, { 32, 12, 2 }, { 32, 17, 2 }, { 32, 28, 2 },
		{ 32, 0xffffffff, 2 }, { 36, 1, 2 }, { 40, 5, 1 },
		{ 44, 0, 2 },		/* would never end */
		{ 44, 8, 2 }, { 44, 11, 2 }, { 44, 13, 2 }, { 44, 17, 2 },
		{ 44, 20, 2 }, { 44, 0xfffffff0, 2 }, { 44, 0xffffffff, 2 },
		{ 44, 12, 2 },		/* the rest is no entry */
		{ 48, 77, 1 },		/* an unknown one is skipped */
		{ 48, 0x80000006, 1 }, { 48, 0, 1 }, { 48, 2, 2 },
		{ 52, 0, 2 }, { 52, 8, 2 }, { 52, 16, 2 }, { 52, 17, 2 },
		{ 52, 13, 2 }, { 52, 0xffffffff, 2 },
	};
	uint8_t ppi[16];
	uint32_t i, len, n;

	begin(0);
	nv_ppi(ppi, 6, 0);
	fake_frame(frame, 60, 1);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		len = nv_encap(msg, ppi, 16, frame, 60, 1);
		ATF_REQUIRE_EQ(120, len);
		nv_put32(msg + fields[i].at, fields[i].value);
		/* LSO without a segment size. */
		n = v.nic.n;
		ATF_CHECK_EQ_MSG(fields[i].status, nv_section(&v, v.ch, 0, 0,
		    msg, len), "byte %u: %x", fields[i].at, fields[i].value);
		nv_pump(&v);
		ATF_CHECK_EQ_MSG(n + (fields[i].status == 1 ? 1 : 0),
		    v.nic.n, "byte %u: %x", fields[i].at, fields[i].value);
	}
	/* Larger than the MTU and two tags allow. */
	fake_frame(frame, 1600, 2);
	for (i = 1520; i < 1526; i++) {
		len = nv_encap(msg, "", 0, frame, i, 1);
		ATF_CHECK_EQ(i <= 1522 ? 1 : 2, nv_section(&v, v.ch, 0, 0,
		    msg, len));
	}
	/* Too short for a header. */
	for (i = 0; i < 44; i++)
		ATF_CHECK_EQ(2, nv_section(&v, v.ch, 0, 0, msg, i));
	ATF_CHECK(!nv_shut(&v));
	nv_end(&v);
}

/* Before INITIALIZE, and behind HALT. */
ATF_TC_WITHOUT_HEAD(not_operational);
ATF_TC_BODY(not_operational, tc)
{
	uint8_t halt[12] = { 3 };
	uint32_t len;

	nv_start(&v, 0, 1);
	nv_setup(&v, 0x50000);
	fake_frame(frame, 60, 1);
	len = nv_encap(msg, "", 0, frame, 60, 1);
	ATF_CHECK_EQ(2, nv_section(&v, v.ch, 0, 0, msg, len));
	nv_end(&v);
	begin(0);
	halt[4] = 12;
	ATF_CHECK_EQ(1, nv_section(&v, v.ch, 1, 1, halt, 12));
	ATF_CHECK_EQ(2, nv_section(&v, v.ch, 0, 0, msg, len));
	nv_pump(&v);
	ATF_CHECK_EQ(0, v.nic.n);
	ATF_CHECK_EQ(0, v.ch->out.n);
	nv_end(&v);
}

/* Sections outside the buffer end the channel, pages outside memory do not. */
ATF_TC_WITHOUT_HEAD(outside);
ATF_TC_BODY(outside, tc)
{
	static const struct {
		uint32_t section, len;
		bool	 fine;
	} tries[] = {
		/* 1 MiB is 170 sections and 4096 bytes. */
		{ 169, 120, true }, { 170, 120, true }, { 170, 4096, true },
		{ 170, 4097, false }, { 171, 0, false }, { 0, 6145, false },
		{ 0xfffffffe, 1, false }, { 699051, 0, false },
		{ 0, 0xffffffff, false },
	};
	uint8_t m[40] = { 107 };
	struct fake_pkt *p;
	unsigned i;

	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		begin(0);
		nv_put32(m + 8, tries[i].section);
		nv_put32(m + 12, tries[i].len);
		fake_put(v.ch, 6, true, ++v.xid, m, sizeof(m));
		fake_signal(v.ch);
		/* Zeros there are no RNDIS message. */
		ATF_CHECK_EQ(tries[i].fine ? 2 : NV_NONE, nv_status(v.ch,
		    v.xid));
		ATF_CHECK_EQ_MSG(!tries[i].fine, nv_shut(&v), "section %u",
		    tries[i].section);
		nv_end(&v);
	}
	begin(0);
	nv_put32(m + 8, 0xffffffff);
	p = fake_put(v.ch, 9, true, ++v.xid, m, sizeof(m));
	fake_range(p, NV_MEMORY - 100, 200);
	fake_signal(v.ch);
	ATF_CHECK_EQ(2, nv_status(v.ch, v.xid));
	/* Neither section nor pages. */
	fake_put(v.ch, 6, true, ++v.xid, m, sizeof(m));
	fake_signal(v.ch);
	ATF_CHECK_EQ(2, nv_status(v.ch, v.xid));
	ATF_CHECK(!nv_shut(&v));
	nv_end(&v);
}

/* --- Offloads --- */

ATF_TC_WITHOUT_HEAD(vlan);
ATF_TC_BODY(vlan, tc)
{
	uint8_t ppi[16];
	uint32_t len;

	begin(0);
	/* Priority 5, DEI, id 0x123: in a frame 0xb123. */
	nv_ppi(ppi, 6, 5 | 8 | 0x123 << 4);
	for (uint32_t n = 14; n < 600; n += 61) {
		fake_frame(frame, n, n);
		len = nv_encap(msg, ppi, 16, frame, n, 1);
		ATF_CHECK_EQ(1, nv_section(&v, v.ch, 0, 0, msg, len));
		nv_pump(&v);
		memcpy(want, frame, 12);
		memcpy(want + 12, "\x81\x00\xb1\x23", 4);
		memcpy(want + 16, frame + 12, n - 12);
		ATF_CHECK(came(v.nic.n - 1, want, n + 4));
	}
	nv_end(&v);
}

/*
 * Checksums of all sorts, with the field holding nonsense before, by a back
 * end that makes them and one that does not.
 */
static void
check_csum(unsigned ip, unsigned proto, uint32_t payload, bool offset,
    bool tag)
{
	uint32_t at, bits, l4 = ip == 4 ? 34 : 54, len, n, ppilen = 0;
	const struct fake_frame *f;
	uint8_t ppi[32];

	n = nv_frame(want, ip, proto, payload);
	memcpy(frame, want, n);
	at = l4 + (proto == 6 ? 16 : 6);
	memcpy(frame + at, "\x12\x34", 2);
	bits = (ip == 4 ? 0x11 : 2) | (proto == 6 ? 4 : 8);
	if (offset)
		bits |= l4 << 16;
	if (ip == 4)
		memcpy(frame + 24, "\x56\x78", 2);
	ppilen += nv_ppi(ppi, 0, bits);
	if (tag)
		ppilen += nv_ppi(ppi + 16, 6, 7 << 4);
	len = nv_encap(msg, ppi, ppilen, frame, n, 1);
	ATF_CHECK_EQ(1, send_pages(len, 5));
	f = &v.nic.frames[v.nic.n - 1];
	if (tag) {
		ATF_REQUIRE_EQ(n + 4, f->len);
		ATF_CHECK(memcmp(f->data + 12, "\x81\x00\x00\x07", 4) == 0);
		memmove(f->data + 4, f->data, 12);
		memmove(f->data, f->data + 4, n);
	}
	if ((f->meta.flags & NET_NEEDS_CSUM) != 0) {
		uint8_t *p = f->data + f->meta.csum_start - (tag ? 4 : 0);

		ATF_CHECK_EQ(l4 + (tag ? 4 : 0), f->meta.csum_start);
		ATF_CHECK_EQ(at - l4, f->meta.csum_offset);
		nv_putbe16(p + f->meta.csum_offset, (uint16_t)~fake_sum(0, p,
		    n - l4));
	}
	ATF_CHECK_MSG(memcmp(f->data, want, n) == 0,
	    "IPv%u, %u, %u bytes", ip, proto, payload);
}

ATF_TC_WITHOUT_HEAD(checksum);
ATF_TC_BODY(checksum, tc)
{
	static const uint32_t payloads[] = { 0, 1, 2, 3, 200, 201, 202, 203,
	    250, 1001, 1400, 1440 };
	unsigned can, i, k;

	for (can = 0; can < 2; can++) {
		begin(can);
		for (i = 0; i < 12; i++) {
			for (k = 0; k < 16; k++)
				check_csum(k & 1 ? 4 : 6, k & 2 ? 6 : 17,
				    payloads[i], (k & 4) != 0, (k & 8) != 0);
		}
		nv_end(&v);
	}
}

/* A UDP sum of zero is sent as ones. */
ATF_TC_WITHOUT_HEAD(udp_zero);
ATF_TC_BODY(udp_zero, tc)
{
	uint8_t ppi[16];
	uint32_t n;

	begin(0);
	n = nv_frame(frame, 4, 17, 2);
	/* Payload chosen so that the sum comes to zero. */
	frame[42] = 0;
	frame[43] = 0;
	nv_putbe16(frame + 40, 0);
	nv_putbe16(frame + 42, (uint16_t)~fake_sum(17 + 10 +
	    fake_sum(0, frame + 26, 8), frame + 34, 10));
	nv_ppi(ppi, 0, 1 | 8 | 34 << 16);
	ATF_CHECK_EQ(1, nv_section(&v, v.ch, 0, 0, msg,
	    nv_encap(msg, ppi, 16, frame, n, 1)));
	nv_pump(&v);
	ATF_REQUIRE_EQ(1, v.nic.n);
	ATF_CHECK_EQ(0xffff, nv_be16(v.nic.frames[0].data + 40));
	nv_end(&v);
}

/* What is not what it says is lost; what cannot be said is refused. */
ATF_TC_WITHOUT_HEAD(checksum_lies);
ATF_TC_BODY(checksum_lies, tc)
{
	static const struct {
		uint32_t	 bits;
		uint32_t	 status;
		bool		 sent;
	} tries[] = {
		/* The frame is IPv4, TCP, its TCP header at 34. */
		{ 0x05 | 34 << 16, 1, true },
		{ 0x05, 1, true },
		{ 0x07 | 34 << 16, 1, true },	/* IPv4 wins */
		{ 0x0d | 34 << 16, 1, true },	/* TCP wins */
		{ 0x04 | 34 << 16, 1, true },	/* asks for nothing */
		{ 0x10, 1, true },
		{ 0x11 | 900 << 16, 1, true },	/* no L4: unused */
		{ 0x06 | 54 << 16, 1, false },
		{ 0x09 | 34 << 16, 1, false },
		{ 0x05 | 38 << 16, 1, false },
		{ 0x05 | 33 << 16, 2, false },
		{ 0x06 | 53 << 16, 2, false },
		{ 0x05 | 154 << 16, 2, false },
		{ 0x05 | 1023u << 16, 2, false },
	};
	uint8_t ppi[16];
	struct hvh_net_stats st;
	uint32_t i, n, lost = 0;

	begin(0);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		n = nv_frame(frame, 4, 6, 100);
		nv_ppi(ppi, 0, tries[i].bits);
		n = nv_encap(msg, ppi, 16, frame, n, 1);
		v.nic.n = 0;
		ATF_CHECK_EQ_MSG(tries[i].status, nv_section(&v, v.ch, 0, 0,
		    msg, n), "%x", tries[i].bits);
		nv_pump(&v);
		ATF_CHECK_EQ_MSG(tries[i].sent, v.nic.n, "%x",
		    tries[i].bits);
		if (v.nic.n > 0) {
			ATF_CHECK(nv_l4_right(v.nic.frames[0].data));
			free(v.nic.frames[0].data);
			v.nic.n = 0;
		}
		if (tries[i].status == 1 && !tries[i].sent)
			lost++;
	}
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(lost, st.tx_drops);
	nv_end(&v);
}

/* --- Large packets --- */

/*
 * A large packet as a guest leaves it: no lengths, no IP checksum, the pseudo
 * header without its length.
 */
static uint32_t
large(unsigned ip, uint32_t payload)
{
	uint32_t l4 = ip == 4 ? 34 : 54, n, sum;

	n = nv_frame(frame, ip, 6, payload);
	/* Flags that are of the first or the last alone. */
	frame[l4 + 13] = 0x80 | 0x10 | 0x08 | 0x01;
	if (ip == 4) {
		memset(frame + 16, 0, 2);
		memset(frame + 24, 0, 2);
		sum = fake_sum(6, frame + 26, 8);
	} else {
		memset(frame + 18, 0, 2);
		sum = fake_sum(6, frame + 22, 32);
	}
	nv_putbe16(frame + l4 + 16, (uint16_t)sum);
	return (n);
}

static void
check_segments(unsigned ip, uint32_t payload, uint32_t mss)
{
	uint32_t hlen = ip == 4 ? 54 : 74, i, n, ofs, segs, flags;
	const uint8_t *p;

	segs = payload == 0 ? 1 : (payload + mss - 1) / mss;
	ATF_REQUIRE_EQ_MSG(segs, v.nic.n, "%u of %u: %u", payload, mss,
	    v.nic.n);
	for (i = ofs = 0; i < segs; i++, ofs += n) {
		n = payload - ofs < mss ? payload - ofs : mss;
		p = v.nic.frames[i].data;
		ATF_REQUIRE_EQ(hlen + n, v.nic.frames[i].len);
		ATF_CHECK_EQ(0, v.nic.frames[i].meta.flags);
		ATF_CHECK(memcmp(p, frame, 14) == 0);
		if (ip == 4) {
			ATF_CHECK_EQ(40 + n, nv_be16(p + 16));
			ATF_CHECK_EQ(0x4321 + i, nv_be16(p + 18));
			ATF_CHECK(nv_ip_right(p));
		} else {
			ATF_CHECK_EQ(20 + n, nv_be16(p + 18));
		}
		ATF_CHECK_EQ((uint32_t)(0xfffffff0u + ofs),
		    (uint32_t)nv_be16(p + hlen - 16) << 16 |
		    nv_be16(p + hlen - 14));
		flags = 0x10;
		if (i == 0)
			flags |= 0x80;
		if (i == segs - 1)
			flags |= 0x09;
		ATF_CHECK_EQ(flags, p[hlen - 7]);
		ATF_CHECK(nv_l4_right(p));
		ATF_CHECK(memcmp(p + hlen, frame + hlen + ofs, n) == 0);
		free(v.nic.frames[i].data);
	}
	v.nic.n = 0;
}

ATF_TC_WITHOUT_HEAD(tso_software);
ATF_TC_BODY(tso_software, tc)
{
	static const uint32_t payloads[] = { 0, 1, 1459, 1460, 1461, 2920,
	    2921, 30001, 62000, 65455 };
	uint8_t ppi[16];
	uint32_t bits, len, n;
	unsigned i, k;

	begin(0);
	for (i = 0; i < 10; i++) {
		for (k = 0; k < 3; k++) {
			/* Version 2 of both, and version 1. */
			unsigned ip = k == 1 ? 6 : 4;

			n = large(ip, payloads[i]);
			bits = 1400 | (ip == 4 ? 34u : 54u) << 20;
			if (k == 1)
				bits |= 0xc0000000u;
			else if (k == 0)
				bits |= 0x40000000u;
			nv_ppi(ppi, 2, bits);
			len = nv_encap(msg, ppi, 16, frame, n, 1);
			ATF_CHECK_EQ(1, send_pages(len, 300));
			check_segments(ip, payloads[i], 1400);
		}
	}
	/* One byte a segment: more of them than is done. */
	n = large(4, 2049);
	nv_ppi(ppi, 2, 1 | 34 << 20 | 0x40000000);
	ATF_CHECK_EQ(1, send_pages(nv_encap(msg, ppi, 16, frame, n, 1), 0));
	ATF_CHECK_EQ(0, v.nic.n);
	/* As many as are, and not all in one turn. */
	n = large(4, 2048);
	ATF_CHECK_EQ(NV_NONE, send_pages(nv_encap(msg, ppi, 16, frame, n, 1),
	    0));
	nv_pump(&v);
	ATF_CHECK_EQ(1, nv_status(v.ch, v.xid));
	check_segments(4, 2048, 1);
	nv_end(&v);
}

/* A back end that cuts itself gets the whole. */
ATF_TC_WITHOUT_HEAD(tso_passed);
ATF_TC_BODY(tso_passed, tc)
{
	uint8_t ppi[32], *p;
	const struct fake_frame *f;
	uint32_t l4, n;
	unsigned ip;

	begin(NET_CAN_TSO4 | NET_CAN_TSO6);
	for (ip = 4; ip <= 6; ip += 2) {
		l4 = ip == 4 ? 34 : 54;
		n = large(ip, 20000);
		nv_ppi(ppi, 2, 1428 | l4 << 20 | (ip == 4 ? 0x40000000u :
		    0xc0000000u));
		nv_ppi(ppi + 16, 6, 9 << 4);
		v.nic.n = 0;
		ATF_CHECK_EQ(1, send_pages(nv_encap(msg, ppi, 32, frame, n,
		    1), 77));
		ATF_REQUIRE_EQ_MSG(1, v.nic.n, "IPv%u: %u", ip, v.nic.n);
		f = &v.nic.frames[0];
		ATF_REQUIRE_EQ(n + 4, f->len);
		ATF_CHECK_EQ(NET_NEEDS_CSUM | NET_GSO_ECN, f->meta.flags);
		ATF_CHECK_EQ(ip == 4 ? NET_GSO_TCP4 : NET_GSO_TCP6,
		    f->meta.gso);
		ATF_CHECK_EQ(1428, f->meta.gso_size);
		ATF_CHECK_EQ(l4 + 24, f->meta.hdr_len);
		ATF_CHECK_EQ(l4 + 4, f->meta.csum_start);
		ATF_CHECK_EQ(16, f->meta.csum_offset);
		ATF_CHECK(memcmp(f->data + 12, "\x81\x00\x00\x09", 4) == 0);
		p = f->data + 4;
		memmove(p, f->data, 12);
		ATF_CHECK_EQ(ip == 4 ? n - 14 : n - 54, nv_be16(p + (ip == 4 ?
		    16 : 18)));
		if (ip == 4)
			ATF_CHECK(nv_ip_right(p));
		/* The sum of the pseudo header is there, to be gone on. */
		nv_putbe16(p + l4 + 16, (uint16_t)~fake_sum(0, p + l4,
		    n - l4));
		ATF_CHECK(nv_l4_right(p));
		free(f->data);
		v.nic.n = 0;
	}
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(tso_bad);
ATF_TC_BODY(tso_bad, tc)
{
	static const struct {
		uint32_t	 bits;
		uint32_t	 status;
	} tries[] = {
		{ 0x40000000u | 34 << 20, 2 },		/* no size */
		{ 0x40000000u | 1400 | 33 << 20, 2 },
		{ 0x40000000u | 1400 | 35 << 20, 1 },
		{ 0xc0000000u | 1400 | 54 << 20, 1 },
		{ 0x40000000u | 0xfffff | 34 << 20, 1 },
		{ 0x40000000u | 1469 | 34 << 20, 1 },	/* beyond the MTU */
	};
	uint8_t ppi[16];
	uint32_t i, n;

	begin(0);
	n = large(4, 5000);
	for (i = 0; i < 6; i++) {
		nv_ppi(ppi, 2, tries[i].bits);
		ATF_CHECK_EQ_MSG(tries[i].status, send_pages(nv_encap(msg,
		    ppi, 16, frame, n, 1), 0), "%x", tries[i].bits);
		ATF_CHECK_EQ_MSG(0, v.nic.n, "%x", tries[i].bits);
	}
	/* Not TCP; a header that ends beyond the frame. */
	n = nv_frame(frame, 4, 17, 3000);
	nv_ppi(ppi, 2, 0x40000000u | 1400 | 34 << 20);
	ATF_CHECK_EQ(1, send_pages(nv_encap(msg, ppi, 16, frame, n, 1), 0));
	n = large(4, 10);
	frame[34 + 12] = 0xf0;
	ATF_CHECK_EQ(1, send_pages(nv_encap(msg, ppi, 16, frame, n, 1), 0));
	frame[34 + 12] = 0x40;
	ATF_CHECK_EQ(1, send_pages(nv_encap(msg, ppi, 16, frame, n, 1), 0));
	ATF_CHECK_EQ(0, v.nic.n);
	nv_end(&v);
}

/* --- Back-pressure --- */

/* Nothing is lost for want of room, and what is tried often counts once. */
static void
blocked_by(unsigned caps)
{
	struct hvh_net_stats st;
	uint8_t ppi[16];
	uint32_t got, i, len, n;

	begin(caps);
	v.nic.room = 0;
	n = large(4, 20 * 1400);
	nv_ppi(ppi, 2, 0x40000000u | 1400 | 34 << 20);
	len = nv_encap(msg, ppi, 16, frame, n, 1);
	memcpy(v.h->mem + NV_SCRATCH, msg, len);
	for (i = 0; i < 400; i++) {
		uint8_t m[40] = { 107 };

		nv_put32(m + 8, 0xffffffff);
		fake_range(fake_put(v.ch, 9, true, ++v.xid, m, sizeof(m)),
		    NV_SCRATCH, len);
	}
	fake_signal(v.ch);
	nv_pump(&v);
	ATF_CHECK_MSG(v.ch->in.n > 0 && v.ch->in.n < 400,
	    "%u messages are left", v.ch->in.n);
	got = v.ch->out.n;
	nv_pump(&v);
	ATF_CHECK_EQ(got, v.ch->out.n);
	for (i = 0; i < 400; i++) {
		v.nic.room = caps != 0 ? 1 : 20;
		net_resume(v.be);
		nv_pump(&v);
		if (caps == 0)
			check_segments(4, 20 * 1400, 1400);
		ATF_REQUIRE_EQ(caps != 0 ? i + 1 : 0, v.nic.n);
		ATF_CHECK_EQ(1, nv_status(v.ch, v.xid - 399 + i));
	}
	ATF_CHECK_EQ(0, v.ch->out.n);
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(400, st.tx_large);
	ATF_CHECK_EQ(400 * 20, st.tx_segments);
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(blocked);
ATF_TC_BODY(blocked, tc)
{

	blocked_by(0);
	blocked_by(NET_CAN_TSO4);
}

/* It closes while a message is under way. */
ATF_TC_WITHOUT_HEAD(blocked_close);
ATF_TC_BODY(blocked_close, tc)
{
	uint32_t i, len;

	begin(0);
	v.nic.room = 0;
	fake_frame(frame, 1500, 1);
	len = nv_encap(msg, "", 0, frame, 1500, 1);
	for (i = 0; i < 5000 && v.ch->in.n == 0; i++) {
		nv_section_put(&v, v.ch, 0, i % 100, msg, len);
		fake_signal(v.ch);
	}
	ATF_REQUIRE(v.ch->in.n > 0);
	fake_close(v.ch);
	ATF_CHECK_EQ(1, v.ch->closed);
	v.nic.room = 100000;
	net_resume(v.be);
	nv_pump(&v);
	ATF_REQUIRE_EQ(0, fake_open(v.ch));
	nv_end(&v);
}

/* Without a link all is taken and lost. */
ATF_TC_WITHOUT_HEAD(no_link);
ATF_TC_BODY(no_link, tc)
{
	struct hvh_net_stats st;
	uint32_t len;

	begin(0);
	fake_frame(frame, 60, 1);
	len = nv_encap(msg, "", 0, frame, 60, 1);
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, false));
	nv_pump(&v);
	ATF_REQUIRE_EQ(20, nv_indication(&v, msg + len));
	ATF_CHECK_EQ(1, nv_section(&v, v.ch, 0, 0, msg, len));
	nv_pump(&v);
	ATF_CHECK_EQ(0, v.nic.n);
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK_EQ(1, st.tx_drops);
	ATF_CHECK_EQ(0, st.tx_packets);
	nv_end(&v);
}

/* A sub-channel carries packets and nothing else. */
ATF_TC_WITHOUT_HEAD(subchannel);
ATF_TC_BODY(subchannel, tc)
{
	uint8_t keepalive[12] = { 8 }, r[40];
	struct hvh_chan *sub;
	uint32_t len;

	begin(0);
	ATF_REQUIRE_EQ(40, nv_words(&v, r, 133, 1, 1, 0, 0));
	sub = fake_chan(v.h, 1);
	ATF_REQUIRE_EQ(0, fake_open(sub));
	fake_frame(frame, 99, 1);
	len = nv_encap(msg, "", 0, frame, 99, 1);
	ATF_CHECK_EQ(1, nv_section(&v, sub, 0, 5, msg, len));
	nv_pump(&v);
	ATF_CHECK(came(0, frame, 99));
	keepalive[4] = 12;
	ATF_CHECK_EQ(2, nv_section(&v, sub, 1, 5, keepalive, 12));
	ATF_CHECK(!nv_shut(&v));
	nv_end(&v);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, plain);
	ATF_TP_ADD_TC(tp, mixed);
	ATF_TP_ADD_TC(tp, several);
	ATF_TP_ADD_TC(tp, bad_fields);
	ATF_TP_ADD_TC(tp, not_operational);
	ATF_TP_ADD_TC(tp, outside);
	ATF_TP_ADD_TC(tp, vlan);
	ATF_TP_ADD_TC(tp, checksum);
	ATF_TP_ADD_TC(tp, udp_zero);
	ATF_TP_ADD_TC(tp, checksum_lies);
	ATF_TP_ADD_TC(tp, tso_software);
	ATF_TP_ADD_TC(tp, tso_passed);
	ATF_TP_ADD_TC(tp, tso_bad);
	ATF_TP_ADD_TC(tp, blocked);
	ATF_TP_ADD_TC(tp, blocked_close);
	ATF_TP_ADD_TC(tp, no_link);
	ATF_TP_ADD_TC(tp, subchannel);
	return (atf_no_error());
}
