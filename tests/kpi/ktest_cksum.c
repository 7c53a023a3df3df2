/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The internet checksum, with numbers from RFC 1071 and by hand.
 */

#include <ktest.h>

#include <sys/lock.h>
#include <sys/mbuf.h>

#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include <machine/in_cksum.h>

static const u_char rfc1071[] = {
	0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7
};

/* Its bytes in mbufs of these lengths, behind skip bytes of something else. */
static struct mbuf *
chain(const int *len, int n, int skip)
{
	struct mbuf *top = NULL, **tail = &top, *m;
	int i, off = 0;

	for (i = 0; i < n; i++) {
		m = m_get(M_WAITOK, MT_DATA);
		m->m_len = len[i] + (i == 0 ? skip : 0);
		memset(mtod(m, void *), 0xaa, m->m_len);
		memcpy(mtod(m, char *) + (i == 0 ? skip : 0), rfc1071 + off,
		    len[i]);
		off += len[i];
		*tail = m;
		tail = &m->m_next;
	}
	return (top);
}

KTEST(cksum_chain, "a chain sums up the same however it is cut")
{
	static const int len[][4] = {
		{ 8, 0, 0, 0 }, { 1, 7, 0, 0 }, { 3, 3, 2, 0 }, { 1, 1, 1, 5 },
		{ 0, 5, 0, 3 }
	};
	struct mbuf *m;
	u_int i;
	int skip;

	for (i = 0; i < nitems(len); i++) {
		for (skip = 0; skip < 40; skip += 13) {
			m = chain(len[i], 4, skip);
			KT_EQ(ntohs(in_cksum_skip(m, skip + 8, skip)), 0x220d);
			m_freem(m);
		}
	}
	/* Without the last byte: a 0 stands for it. */
	m = chain(len[2], 4, 0);
	KT_EQ(ntohs(in_cksum_skip(m, 7, 0)), 0x2304);
	m_freem(m);
}

KTEST(cksum_parts, "header and pseudo-headers")
{
	static const u_char header[20] = {
		0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61,
		0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7
	};
	struct ip6_hdr ip6;
	struct ip ip;

	memcpy(&ip, header, sizeof(ip));
	KT_EQ(in_cksum_hdr(&ip), 0);
	ip.ip_sum = 0;
	KT_EQ(ntohs(in_cksum_hdr(&ip)), 0xb861);
	KT_EQ(ntohs(in_pseudo(ip.ip_src.s_addr, ip.ip_dst.s_addr,
	    htons(0x5f + IPPROTO_UDP))), 0x8289);
	KT_EQ(in_addword(0xffff, 0x0002), 2);
	memset(&ip6, 0, sizeof(ip6));
	ip6.ip6_src.s6_addr[0] = 0xfd;
	ip6.ip6_src.s6_addr[15] = 1;
	ip6.ip6_dst.s6_addr[0] = 0xfd;
	ip6.ip6_dst.s6_addr[15] = 2;
	/* Twice fd00, with its carry; 1 and 2; the length; TCP. */
	KT_EQ(ntohs(in6_cksum_pseudo(&ip6, 0x10000, IPPROTO_TCP, 0)),
	    0xfa01 + 3 + 1 + 6);
}
