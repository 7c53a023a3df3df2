/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The internet checksum (RFC 1071): sums in network byte order, carries added
 * in.
 */

#include <kern/kpi_internal.h>

#include <sys/endian.h>
#include <sys/mbuf.h>

#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include <machine/in_cksum.h>

static u_short
in_fold(uint64_t sum)
{

	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (sum);
}

u_short
in_addword(u_short a, u_short b)
{

	return (in_fold((uint64_t)a + b));
}

/* Of words as they lie in memory; a pseudo-header's, not complemented. */
u_short
in_pseudo(u_int a, u_int b, u_int c)
{

	return (in_fold((uint64_t)a + b + c));
}

/* Adds len bytes, the first of which is the second of a pair if odd. */
static uint64_t
in_sum(uint64_t sum, const u_char *p, int len, bool odd)
{

	if (odd && len > 0) {
		sum += *p++ << 8;
		len--;
	}
	for (; len > 1; p += 2, len -= 2)
		sum += le16dec(p);
	if (len > 0)
		sum += *p;
	return (sum);
}

/* Of the bytes from skip to len, complemented. */
u_short
in_cksum_skip(struct mbuf *m, int len, int skip)
{
	uint64_t sum = 0;
	bool odd = false;
	int n;

	len -= skip;
	for (; skip >= m->m_len; m = m->m_next)
		skip -= m->m_len;
	for (; len > 0; m = m->m_next, skip = 0) {
		KASSERT(m != NULL, ("in_cksum_skip: %d bytes behind the chain",
		    len));
		n = MIN(m->m_len - skip, len);
		sum = in_sum(sum, mtod(m, const u_char *) + skip, n, odd);
		odd ^= n & 1;
		len -= n;
	}
	return (~in_fold(sum) & 0xffff);
}

/* Of a header without options. */
u_int
in_cksum_hdr(const struct ip *ip)
{

	return (~in_fold(in_sum(0, (const u_char *)ip, sizeof(*ip), false)) &
	    0xffff);
}

/* csum: what is summed up already. */
int
in6_cksum_pseudo(struct ip6_hdr *ip6, uint32_t len, uint8_t nxt,
    uint16_t csum)
{
	uint64_t sum = csum;

	sum = in_sum(sum, (const u_char *)&ip6->ip6_src, 32, false);
	return (in_fold(sum + htonl(len) / 0x10000 + htonl(len) % 0x10000 +
	    htons(nxt)));
}
