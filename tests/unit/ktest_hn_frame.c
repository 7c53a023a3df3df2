/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Headers of frames: where they are, whole or cut off, and what is changed in
 * them for segmentation.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>

#include <netinet/in.h>

#include <dev/hyperv/netvsc/hn_packet.h>

#include "ktest.h"

static uint8_t frame[256];
static struct hn_frame fr;

/* Ethernet header, with a tag if vlan; returns where the next header is. */
static uint32_t
ether(uint16_t type, bool vlan)
{

	memset(frame, 0, sizeof(frame));
	memset(frame, 0xff, 6);
	if (!vlan) {
		be16enc(frame + 12, type);
		return (14);
	}
	be16enc(frame + 12, 0x8100);
	be16enc(frame + 16, type);
	return (18);
}

static uint32_t
ip4(uint32_t ofs, u_int words, uint8_t proto)
{

	frame[ofs] = (uint8_t)(0x40 | words);
	be16enc(frame + ofs + 2, 1000);
	frame[ofs + 9] = proto;
	be16enc(frame + ofs + 10, 0xbeef);
	be32enc(frame + ofs + 12, 0x0a000001);
	be32enc(frame + ofs + 16, 0xc0a8fffe);
	return (ofs + words * 4);
}

static uint32_t
ip6(uint32_t ofs, uint8_t next)
{

	frame[ofs] = 0x60;
	be16enc(frame + ofs + 4, 1000);
	frame[ofs + 6] = next;
	return (ofs + 40);
}

static uint32_t
tcp(uint32_t ofs, u_int words)
{

	frame[ofs + 12] = (uint8_t)(words << 4);
	return (ofs + words * 4);
}

static void
parse(uint32_t len)
{

	memset(&fr, 0xee, sizeof(fr));
	hn_frame_parse(frame, len, &fr);
}

KTEST(hn_frame_tcp4, "TCP over IPv4, with and without options and tag")
{
	uint32_t l4, end;
	u_int vlan, ipw, tcpw;

	for (vlan = 0; vlan < 2; vlan++)
		for (ipw = 5; ipw <= 15; ipw += 5)
			for (tcpw = 5; tcpw <= 15; tcpw += 5) {
				l4 = ip4(ether(0x800, vlan != 0), ipw, 6);
				end = tcp(l4, tcpw);
				parse(end);
				KT_CHECK(fr.fr_ip4 && !fr.fr_ip6);
				KT_EQ(fr.fr_l3ofs, 14 + 4 * vlan);
				KT_EQ(fr.fr_l4ofs, l4);
				KT_EQ(fr.fr_l4proto, 6);
				KT_EQ(fr.fr_hdrlen, end);
				/* One byte less is no TCP header. */
				parse(end - 1);
				KT_EQ(fr.fr_l4proto, 0);
				KT_EQ(fr.fr_l4ofs, 0);
				KT_EQ(fr.fr_hdrlen, l4);
			}
}

KTEST(hn_frame_udp, "UDP over both")
{
	uint32_t l4;

	l4 = ip4(ether(0x800, false), 5, 17);
	parse(l4 + 8);
	KT_EQ(fr.fr_l4proto, 17);
	KT_EQ(fr.fr_hdrlen, l4 + 8);
	parse(l4 + 7);
	KT_EQ(fr.fr_l4proto, 0);
	l4 = ip6(ether(0x86dd, false), 17);
	parse(l4 + 8);
	KT_CHECK(fr.fr_ip6 && !fr.fr_ip4);
	KT_EQ(fr.fr_l4proto, 17);
	KT_EQ(fr.fr_l4ofs, 54);
}

KTEST(hn_frame_fragment, "a fragment has no transport header")
{
	uint32_t l4;

	l4 = ip4(ether(0x800, false), 5, 17);
	frame[20] = 0x20;		/* the first, more follow */
	parse(l4 + 8);
	KT_EQ(fr.fr_l4proto, 0);
	frame[20] = 0x00;
	frame[21] = 0x01;		/* the last */
	parse(l4 + 8);
	KT_EQ(fr.fr_l4proto, 0);
	frame[20] = 0x40;		/* not to be fragmented: whole */
	frame[21] = 0x00;
	parse(l4 + 8);
	KT_EQ(fr.fr_l4proto, 17);
	l4 = ip6(ether(0x86dd, false), 44);
	frame[l4] = 17;
	parse(l4 + 16);
	KT_EQ(fr.fr_l4proto, 0);
}

KTEST(hn_frame_ip6_ext, "extension headers are looked through")
{
	uint32_t l4;
	u_int i;

	l4 = ip6(ether(0x86dd, true), 0);
	frame[l4] = 43;
	frame[l4 + 1] = 1;		/* 16 bytes */
	frame[l4 + 16] = 60;
	frame[l4 + 24] = 6;
	tcp(l4 + 32, 8);
	parse(l4 + 64);
	KT_EQ(fr.fr_l4proto, 6);
	KT_EQ(fr.fr_l4ofs, l4 + 32);
	KT_EQ(fr.fr_hdrlen, l4 + 64);
	/* Cut off within one of them. */
	parse(l4 + 31);
	KT_EQ(fr.fr_l4proto, 0);
	/* One that claims to be longer than what there is. */
	frame[l4 + 1] = 255;
	parse(l4 + 64);
	KT_EQ(fr.fr_l4proto, 0);
	/* A long chain ends somewhere. */
	l4 = ip6(ether(0x86dd, false), 0);
	for (i = l4; i + 8 <= sizeof(frame); i += 8)
		frame[i] = 0;
	parse(sizeof(frame));
	KT_EQ(fr.fr_l4proto, 0);
}

KTEST(hn_frame_nonsense, "what is no IP, or a bad one")
{
	uint32_t l4, len;

	for (len = 0; len < 14; len++) {
		parse(len);
		KT_EQ(fr.fr_hdrlen, 0);
	}
	ether(0x806, false);
	parse(60);
	KT_CHECK(!fr.fr_ip4 && !fr.fr_ip6);
	KT_EQ(fr.fr_hdrlen, 14);
	l4 = ip4(ether(0x800, false), 4, 6);
	parse(l4 + 60);
	KT_CHECK(!fr.fr_ip4);
	l4 = ip4(ether(0x800, false), 15, 6);
	parse(14 + 59);
	KT_CHECK(!fr.fr_ip4);
	l4 = ip6(ether(0x800, false), 6);
	parse(l4 + 20);
	KT_CHECK(!fr.fr_ip4 && !fr.fr_ip6);
	l4 = ip4(ether(0x86dd, false), 5, 6);
	parse(l4 + 40);
	KT_CHECK(!fr.fr_ip4 && !fr.fr_ip6);
	/* TCP with a header shorter than any. */
	l4 = ip4(ether(0x800, false), 5, 6);
	tcp(l4, 4);
	parse(l4 + 20);
	KT_EQ(fr.fr_l4proto, 0);
	/* A tag, and nothing behind it. */
	ether(0x800, true);
	parse(16);
	KT_EQ(fr.fr_hdrlen, 14);
}

KTEST(hn_frame_lso4, "headers for segmentation, IPv4")
{
	uint8_t before[256];
	uint32_t l4;

	l4 = ip4(ether(0x800, false), 5, 6);
	tcp(l4, 8);
	be16enc(frame + l4 + 16, 0x1111);
	memcpy(before, frame, sizeof(before));
	parse(l4 + 32);
	hn_frame_lso(frame, &fr);
	KT_EQ(be16dec(frame + 16), 0);
	KT_EQ(be16dec(frame + 24), 0);
	/* 0a00 + 0001 + c0a8 + fffe + 6, carry added: not complemented. */
	KT_EQ(be16dec(frame + l4 + 16), 0xcaae);
	/* And nothing else. */
	be16enc(before + 16, 0);
	be16enc(before + 24, 0);
	be16enc(before + l4 + 16, 0xcaae);
	KT_EQ(memcmp(before, frame, sizeof(before)), 0);
}

KTEST(hn_frame_lso6, "headers for segmentation, IPv6")
{
	uint32_t l4;
	u_int i;

	l4 = ip6(ether(0x86dd, true), 6);
	tcp(l4, 5);
	for (i = 0; i < 32; i += 2)
		be16enc(frame + 18 + 8 + i, 0xffff);
	parse(l4 + 20);
	hn_frame_lso(frame, &fr);
	KT_EQ(be16dec(frame + 18 + 4), 0);
	/* Sixteen times ffff and 6. */
	KT_EQ(be16dec(frame + l4 + 16), 6);
}
