/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Checksums and segmentation; see offload.h.  The formats are those of
 * RFC 791, 8200, 9293, 768 and 1071.  What a frame says of itself is checked
 * against its length before it is used.
 */

#include <string.h>

#include "network/offload.h"

#define	TCP_HEADER	20u
#define	UDP_HEADER	8u
#define	IPV4_HEADER	20u
#define	IPV6_HEADER	40u

#define	TCP_FIN		0x01u
#define	TCP_PSH		0x08u
#define	TCP_CWR		0x80u

/* IPv6 extension headers that a packet's L4 header may stand behind. */
#define	EXT_HOP		0u
#define	EXT_ROUTING	43u
#define	EXT_FRAGMENT	44u
#define	EXT_OPTIONS	60u
#define	EXT_MAX		8u

static uint32_t
frame_be32(const uint8_t *p)
{

	return ((uint32_t)frame_be16(p) << 16 | frame_be16(p + 2));
}

static void
frame_put32(uint8_t *p, uint32_t v)
{

	frame_put16(p, (uint16_t)(v >> 16));
	frame_put16(p + 2, (uint16_t)v);
}

/* --- Where the headers are --- */

static void
frame_parse_l4(const uint8_t *head, uint32_t have, uint32_t at,
    uint8_t proto, struct frame_headers *fh)
{
	uint32_t hlen;

	if (proto == IP_TCP) {
		if (have < at + TCP_HEADER || fh->end < at + TCP_HEADER)
			return;
		hlen = (head[at + 12] >> 4) * 4u;
		if (hlen < TCP_HEADER)
			return;
	} else if (proto == IP_UDP) {
		hlen = UDP_HEADER;
	} else {
		return;
	}
	if (have < at + hlen || fh->end < at + hlen)
		return;
	fh->proto = proto;
	fh->l4 = (uint16_t)at;
	fh->payload = (uint16_t)(at + hlen);
}

static void
frame_parse_ip4(const uint8_t *head, uint32_t have, uint32_t len, bool large,
    struct frame_headers *fh)
{
	const uint8_t *ip = head + fh->l3;
	uint32_t hlen, total;

	if (have < fh->l3 + IPV4_HEADER || ip[0] >> 4 != 4)
		return;
	hlen = (ip[0] & 0xfu) * 4u;
	if (hlen < IPV4_HEADER || have < fh->l3 + hlen)
		return;
	total = large ? len - fh->l3 : frame_be16(ip + 2);
	if (total < hlen || total > len - fh->l3)
		return;
	fh->ip = 4;
	fh->end = fh->l3 + total;
	/* More fragments, or an offset. */
	if ((frame_be16(ip + 6) & 0x3fff) == 0)
		frame_parse_l4(head, have, fh->l3 + hlen, ip[9], fh);
}

static void
frame_parse_ip6(const uint8_t *head, uint32_t have, uint32_t len, bool large,
    struct frame_headers *fh)
{
	const uint8_t *ip = head + fh->l3;
	uint32_t at, n, total;
	uint8_t next;

	if (have < fh->l3 + IPV6_HEADER || ip[0] >> 4 != 6)
		return;
	total = large ? len - fh->l3 : IPV6_HEADER + frame_be16(ip + 4);
	if (total > len - fh->l3)
		return;
	fh->ip = 6;
	fh->end = fh->l3 + total;
	at = fh->l3 + IPV6_HEADER;
	next = ip[6];
	for (n = 0; n < EXT_MAX && (next == EXT_HOP || next == EXT_ROUTING ||
	    next == EXT_OPTIONS); n++) {
		if (have < at + 8 || fh->end < at + 8)
			return;
		next = head[at];
		at += (head[at + 1] + 1u) * 8u;
	}
	/* A fragment header is none of those: no L4 offload. */
	frame_parse_l4(head, have, at, next, fh);
}

void
frame_parse(const uint8_t *head, uint32_t have, uint32_t len, bool large,
    struct frame_headers *fh)
{
	uint32_t at = 12, tags;
	uint16_t type;

	memset(fh, 0, sizeof(*fh));
	for (tags = 0; tags < 2 && have >= at + 2 + FRAME_TAG; tags++) {
		type = frame_be16(head + at);
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ)
			break;
		at += FRAME_TAG;
	}
	if (have < at + 2)
		return;
	type = frame_be16(head + at);
	fh->l3 = (uint16_t)(at + 2);
	if (type == ETHERTYPE_IPV4)
		frame_parse_ip4(head, have, len, large, fh);
	else if (type == ETHERTYPE_IPV6)
		frame_parse_ip6(head, have, len, large, fh);
}

/* --- Checksums --- */

static uint64_t
sum_swap(uint64_t sum)
{
	uint32_t folded;

	folded = frame_fold(sum);
	return ((folded >> 8 | folded << 8) & 0xffff);
}

/*
 * Words are added as this machine reads them, which gives the sum with its
 * bytes exchanged (RFC 1071, 2B): put right once, at the end.
 */
uint64_t
frame_sum(uint64_t sum, const void *data, size_t len, bool odd)
{
	const uint8_t *p = data;
	uint64_t s = 0;
	uint32_t w[4];
	uint16_t last;

	for (; len >= sizeof(w); len -= sizeof(w), p += sizeof(w)) {
		memcpy(w, p, sizeof(w));
		s += (uint64_t)w[0] + w[1] + w[2] + w[3];
	}
	for (; len >= sizeof(w[0]); len -= sizeof(w[0]), p += sizeof(w[0])) {
		memcpy(w, p, sizeof(w[0]));
		s += w[0];
	}
	for (; len > 0; len -= len > 1 ? 2 : 1, p += 2) {
		last = 0;
		memcpy(&last, p, len > 1 ? 2 : 1);
		s += last;
	}
	return (sum + (odd ? frame_fold(s) : sum_swap(s)));
}

uint64_t
frame_sum_iov(uint64_t sum, const struct iovec *iov, int niov, size_t ofs,
    size_t len)
{
	size_t n;
	bool odd = false;

	for (; niov > 0 && len > 0; iov++, niov--) {
		if (ofs >= iov->iov_len) {
			ofs -= iov->iov_len;
			continue;
		}
		n = iov->iov_len - ofs < len ? iov->iov_len - ofs : len;
		sum = frame_sum(sum, (const uint8_t *)iov->iov_base + ofs, n,
		    odd);
		odd ^= (n & 1) != 0;
		ofs = 0;
		len -= n;
	}
	return (sum);
}

uint16_t
frame_fold(uint64_t sum)
{

	while (sum > 0xffff)
		sum = (sum >> 16) + (sum & 0xffff);
	return ((uint16_t)sum);
}

uint64_t
frame_pseudo(const uint8_t *head, const struct frame_headers *fh, uint32_t len)
{
	const uint8_t *ip = head + fh->l3;
	uint64_t sum;

	/* The two addresses are next to each other in both. */
	sum = fh->ip == 4 ? frame_sum(0, ip + 12, 8, false) :
	    frame_sum(0, ip + 8, 32, false);
	return (sum + fh->proto + (len >> 16) + (len & 0xffff));
}

static uint32_t
ip4_length(const uint8_t *head, const struct frame_headers *fh)
{

	return ((head[fh->l3] & 0xfu) * 4u);
}

bool
frame_ip_good(const uint8_t *head, const struct frame_headers *fh)
{

	return (frame_fold(frame_sum(0, head + fh->l3, ip4_length(head, fh),
	    false)) == 0xffff);
}

void
frame_ip_fill(uint8_t *head, const struct frame_headers *fh)
{
	uint8_t *ip = head + fh->l3;

	frame_put16(ip + 10, 0);
	frame_put16(ip + 10, (uint16_t)~frame_fold(frame_sum(0, ip,
	    ip4_length(head, fh), false)));
}

uint32_t
frame_csum_at(const struct frame_headers *fh)
{

	return (fh->l4 + (fh->proto == IP_TCP ? 16u : 6u));
}

void
frame_l4_fill(uint8_t *head, uint32_t have, const struct frame_headers *fh,
    const struct iovec *iov, int niov)
{
	uint32_t at = frame_csum_at(fh), own;
	uint64_t sum;
	uint16_t csum;

	own = have < fh->end ? have : fh->end;
	frame_put16(head + at, 0);
	sum = frame_pseudo(head, fh, fh->end - fh->l4);
	sum = frame_sum(sum, head + fh->l4, own - fh->l4, false);
	if (fh->end > own) {
		uint64_t rest;

		rest = frame_sum_iov(0, iov, niov, own, fh->end - own);
		sum += ((own - fh->l4) & 1) != 0 ? sum_swap(rest) : rest;
	}
	csum = (uint16_t)~frame_fold(sum);
	/* UDP's 0 means that there is none (RFC 768). */
	frame_put16(head + at, csum == 0 && fh->proto == IP_UDP ? 0xffff :
	    csum);
}

/* --- Segmentation --- */

void
frame_segment(uint8_t *head, const struct frame_headers *fh, uint32_t i,
    uint32_t ofs, uint32_t len, bool last)
{
	uint8_t *ip = head + fh->l3, *tcp = head + fh->l4;
	uint32_t l4 = fh->payload - fh->l4 + len;

	if (fh->ip == 4) {
		frame_put16(ip + 2, (uint16_t)(fh->payload - fh->l3 + len));
		frame_put16(ip + 4, (uint16_t)(frame_be16(ip + 4) + i));
		frame_ip_fill(head, fh);
	} else {
		frame_put16(ip + 4, (uint16_t)(fh->payload - fh->l3 -
		    IPV6_HEADER + len));
	}
	frame_put32(tcp + 4, frame_be32(tcp + 4) + ofs);
	if (i > 0)
		tcp[13] = (uint8_t)(tcp[13] & ~TCP_CWR);
	if (!last)
		tcp[13] = (uint8_t)(tcp[13] & ~(TCP_FIN | TCP_PSH));
	frame_put16(tcp + 16, frame_fold(frame_pseudo(head, fh, l4)));
}

/* --- Scattered memory --- */

int
frame_slice(const struct iovec *iov, int niov, size_t ofs, size_t len,
    struct iovec *out, int max)
{
	size_t n;
	int i = 0;

	for (; niov > 0 && len > 0; iov++, niov--) {
		if (ofs >= iov->iov_len) {
			ofs -= iov->iov_len;
			continue;
		}
		if (i == max)
			return (-1);
		n = iov->iov_len - ofs < len ? iov->iov_len - ofs : len;
		out[i].iov_base = (uint8_t *)iov->iov_base + ofs;
		out[i++].iov_len = n;
		ofs = 0;
		len -= n;
	}
	return (i);
}

size_t
frame_copy(const struct iovec *iov, int niov, size_t ofs, void *buf,
    size_t len)
{
	uint8_t *to = buf;
	size_t done = 0, n;

	for (; niov > 0 && done < len; iov++, niov--) {
		if (ofs >= iov->iov_len) {
			ofs -= iov->iov_len;
			continue;
		}
		n = iov->iov_len - ofs < len - done ? iov->iov_len - ofs :
		    len - done;
		memcpy(to + done, (const uint8_t *)iov->iov_base + ofs, n);
		ofs = 0;
		done += n;
	}
	return (done);
}
