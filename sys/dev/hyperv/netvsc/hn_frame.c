/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Headers of Ethernet frames: where they are, for checksums, segmentation and
 * for splitting a received frame into headers and payload.  No state, no
 * locks; nothing behind the bytes given is looked at.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>

#include <net/ethernet.h>
#include <netinet/in.h>

#include <dev/hyperv/netvsc/hn_packet.h>

#define	HN_IP4_LEN	20
#define	HN_IP4_FRAG	0x3fff		/* more to come, or not the first */
#define	HN_IP6_LEN	40
#define	HN_IP6_EXT_MAX	8		/* extension headers looked through */
#define	HN_TCP_LEN	20
#define	HN_UDP_LEN	8

/* The transport's header, if it is there completely. */
static void
hn_frame_l4(const uint8_t *p, uint32_t len, uint32_t ofs, uint8_t proto,
    struct hn_frame *fr)
{
	uint32_t hlen;

	fr->fr_hdrlen = (uint16_t)ofs;
	switch (proto) {
	case IPPROTO_TCP:
		if (len - ofs < HN_TCP_LEN)
			return;
		hlen = (p[ofs + 12] >> 4) * 4;
		if (hlen < HN_TCP_LEN || hlen > len - ofs)
			return;
		break;
	case IPPROTO_UDP:
		if (len - ofs < HN_UDP_LEN)
			return;
		hlen = HN_UDP_LEN;
		break;
	default:
		return;
	}
	fr->fr_l4proto = proto;
	fr->fr_l4ofs = (uint16_t)ofs;
	fr->fr_hdrlen = (uint16_t)(ofs + hlen);
}

static void
hn_frame_ip4(const uint8_t *p, uint32_t len, uint32_t ofs,
    struct hn_frame *fr)
{
	uint32_t hlen;

	if (len - ofs < HN_IP4_LEN || p[ofs] >> 4 != 4)
		return;
	hlen = (p[ofs] & 0xf) * 4;
	if (hlen < HN_IP4_LEN || hlen > len - ofs)
		return;
	fr->fr_ip4 = true;
	if ((be16dec(p + ofs + 6) & HN_IP4_FRAG) != 0)
		fr->fr_hdrlen = (uint16_t)(ofs + hlen);
	else
		hn_frame_l4(p, len, ofs + hlen, p[ofs + 9], fr);
}

static void
hn_frame_ip6(const uint8_t *p, uint32_t len, uint32_t ofs,
    struct hn_frame *fr)
{
	uint32_t n;
	uint8_t next;

	if (len - ofs < HN_IP6_LEN || p[ofs] >> 4 != 6)
		return;
	fr->fr_ip6 = true;
	next = p[ofs + 6];
	ofs += HN_IP6_LEN;
	for (n = 0; n < HN_IP6_EXT_MAX; n++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_DSTOPTS)
			break;
		if (len - ofs < 8 || len - ofs < (p[ofs + 1] + 1u) * 8)
			break;
		next = p[ofs];
		ofs += (p[ofs + 1] + 1u) * 8;
	}
	hn_frame_l4(p, len, ofs, next, fr);
}

void
hn_frame_parse(const uint8_t *p, uint32_t len, struct hn_frame *fr)
{
	uint32_t ofs;
	uint16_t type;

	memset(fr, 0, sizeof(*fr));
	if (len < ETHER_HDR_LEN)
		return;
	ofs = ETHER_HDR_LEN;
	type = be16dec(p + ETHER_HDR_LEN - ETHER_TYPE_LEN);
	if (type == ETHERTYPE_VLAN && len >= ofs + ETHER_VLAN_ENCAP_LEN) {
		ofs += ETHER_VLAN_ENCAP_LEN;
		type = be16dec(p + ofs - ETHER_TYPE_LEN);
	}
	fr->fr_l3ofs = (uint16_t)ofs;
	fr->fr_hdrlen = (uint16_t)ofs;
	if (type == ETHERTYPE_IP)
		hn_frame_ip4(p, len, ofs, fr);
	else if (type == ETHERTYPE_IPV6)
		hn_frame_ip6(p, len, ofs, fr);
}

/* Sum of 16-bit words as they stand; n bytes, even. */
static uint32_t
hn_frame_sum(const uint8_t *p, uint32_t n)
{
	uint32_t i, sum;

	sum = 0;
	for (i = 0; i < n; i += 2)
		sum += be16dec(p + i);
	return (sum);
}

void
hn_frame_lso(uint8_t *hdr, const struct hn_frame *fr)
{
	uint8_t *ip = hdr + fr->fr_l3ofs;
	uint32_t sum;

	if (fr->fr_ip4) {
		be16enc(ip + 2, 0);
		be16enc(ip + 10, 0);
		sum = hn_frame_sum(ip + 12, 8);
	} else {
		be16enc(ip + 4, 0);
		sum = hn_frame_sum(ip + 8, 32);
	}
	sum += IPPROTO_TCP;
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	be16enc(hdr + fr->fr_l4ofs + 16, (uint16_t)sum);
}
