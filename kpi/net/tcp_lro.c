/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * tcp_lro: segments of a TCP connection that follow each other become one
 * packet before the stack sees them.  A driver that gives in what it received
 * gets it delivered by if_input, in order a connection, at the latest when it
 * flushes.
 *
 * Merged are segments with data, without options but timestamps, without flags
 * but ACK and PSH, whose checksum is known to be right.  All else goes on
 * alone, after what its connection still has here.  A merged packet's TCP
 * checksum field is 0: csum_flags vouch for it.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/endian.h>
#include <sys/malloc.h>

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/tcp_lro.h>

#include <machine/in_cksum.h>

#define	LRO_CSUM	(CSUM_DATA_VALID | CSUM_PSEUDO_HDR)
#define	LRO_OPTLEN	12		/* of two paddings and timestamps */

static MALLOC_DEFINE(M_LRO, "LRO", "LRO control structures");

long	tcplro_stacks_wanting_mbufq;
int	(*tcp_lro_flush_tcphpts)(struct lro_ctrl *, struct lro_entry *);

/* A segment as parsed. */
struct lro_segment {
	union lro_address ls_addr;
	struct tcphdr	*ls_th;
	u_int		 ls_hdrlen;	/* Ethernet, IP and TCP */
	u_int		 ls_len;	/* of data */
	bool		 ls_ts;
	bool		 ls_alone;	/* not to be merged */
};

/* --- Control structure --- */

int
tcp_lro_init_args(struct lro_ctrl *lc, struct ifnet *ifp, unsigned entries,
    unsigned mbufs)
{
	struct lro_entry *le;
	size_t queue = mbufs * sizeof(struct lro_mbuf_sort);
	unsigned i;

	memset(lc, 0, sizeof(*lc));
	lc->ifp = ifp;
	lc->lro_cnt = entries;
	lc->lro_mbuf_max = mbufs;
	lc->lro_ackcnt_lim = TCP_LRO_ACKCNT_MAX;
	lc->lro_length_lim = TCP_LRO_LENGTH_MAX;
	LIST_INIT(&lc->lro_active);
	LIST_INIT(&lc->lro_free);
	/* One piece: the queue, then the entries. */
	lc->lro_mbuf_data = malloc(queue + entries * sizeof(*le), M_LRO,
	    M_NOWAIT | M_ZERO);
	if (lc->lro_mbuf_data == NULL) {
		memset(lc, 0, sizeof(*lc));
		return (ENOMEM);
	}
	le = (void *)((char *)lc->lro_mbuf_data + queue);
	for (i = 0; i < entries; i++)
		LIST_INSERT_HEAD(&lc->lro_free, &le[i], next);
	return (0);
}

int
tcp_lro_init(struct lro_ctrl *lc)
{

	return (tcp_lro_init_args(lc, NULL, TCP_LRO_ENTRIES, 0));
}

/* What is still here is dropped. */
void
tcp_lro_free(struct lro_ctrl *lc)
{
	struct lro_entry *le;
	unsigned i;

	LIST_FOREACH(le, &lc->lro_active, next)
		m_freem(le->m_head);
	for (i = 0; i < lc->lro_mbuf_count; i++)
		m_freem(lc->lro_mbuf_data[i].mb);
	free(lc->lro_mbuf_data, M_LRO);
	LIST_INIT(&lc->lro_active);
	LIST_INIT(&lc->lro_free);
	lc->lro_mbuf_data = NULL;
	lc->lro_mbuf_count = lc->lro_mbuf_max = lc->lro_cnt = 0;
}

/* --- Parsing --- */

/* Addresses, and where TCP begins; 0: not TCP, or not to be touched. */
static u_int
lro_parse_ip4(struct mbuf *m, struct lro_segment *ls, u_int *end)
{
	struct ip *ip = mtodo(m, ETHER_HDR_LEN);

	if (m->m_len < ETHER_HDR_LEN + sizeof(*ip) + sizeof(struct tcphdr) ||
	    ip->ip_p != IPPROTO_TCP || ip->ip_v != IPVERSION ||
	    ip->ip_hl * 4 != sizeof(*ip) ||
	    (ntohs(ip->ip_off) & (IP_MF | IP_OFFMASK)) != 0)
		return (0);
	ls->ls_addr.lro_type = LRO_TYPE_IPV4_TCP;
	ls->ls_addr.s_addr.v4 = ip->ip_src;
	ls->ls_addr.d_addr.v4 = ip->ip_dst;
	*end = ETHER_HDR_LEN + ntohs(ip->ip_len);
	return (ETHER_HDR_LEN + sizeof(*ip));
}

static u_int
lro_parse_ip6(struct mbuf *m, struct lro_segment *ls, u_int *end)
{
	struct ip6_hdr *ip6 = mtodo(m, ETHER_HDR_LEN);

	if (m->m_len < ETHER_HDR_LEN + sizeof(*ip6) + sizeof(struct tcphdr) ||
	    ip6->ip6_nxt != IPPROTO_TCP)
		return (0);
	ls->ls_addr.lro_type = LRO_TYPE_IPV6_TCP;
	ls->ls_addr.s_addr.v6 = ip6->ip6_src;
	ls->ls_addr.d_addr.v6 = ip6->ip6_dst;
	*end = ETHER_HDR_LEN + sizeof(*ip6) + ntohs(ip6->ip6_plen);
	return (ETHER_HDR_LEN + sizeof(*ip6));
}

/* False: not a segment that has a connection. */
static bool
lro_parse(struct mbuf *m, struct lro_segment *ls)
{
	struct ether_header *eh = mtod(m, struct ether_header *);
	u_int end = 0, optlen, l4 = 0;
	uint8_t flags;

	memset(ls, 0, sizeof(*ls));
	if (m->m_len < ETHER_HDR_LEN)
		return (false);
	if (eh->ether_type == htons(ETHERTYPE_IP))
		l4 = lro_parse_ip4(m, ls, &end);
	else if (eh->ether_type == htons(ETHERTYPE_IPV6))
		l4 = lro_parse_ip6(m, ls, &end);
	if (l4 == 0 || end > m->m_pkthdr.len)
		return (false);
	ls->ls_th = mtodo(m, l4);
	ls->ls_hdrlen = l4 + ls->ls_th->th_off * 4;
	if (ls->ls_th->th_off * 4 < sizeof(struct tcphdr) ||
	    ls->ls_hdrlen > m->m_len || ls->ls_hdrlen > end)
		return (false);
	ls->ls_len = end - ls->ls_hdrlen;
	ls->ls_addr.s_port = ls->ls_th->th_sport;
	ls->ls_addr.d_port = ls->ls_th->th_dport;
	if ((m->m_flags & M_VLANTAG) != 0)
		ls->ls_addr.vlan_id = m->m_pkthdr.ether_vtag;
	optlen = ls->ls_hdrlen - l4 - sizeof(struct tcphdr);
	ls->ls_ts = optlen == LRO_OPTLEN &&
	    be32dec(ls->ls_th + 1) == (TCPOPT_NOP << 24 | TCPOPT_NOP << 16 |
	    TCPOPT_TIMESTAMP << 8 | TCPOLEN_TIMESTAMP);
	flags = tcp_get_flags(ls->ls_th) & 0xff;
	ls->ls_alone = ls->ls_len == 0 || (flags & ~TH_PUSH) != TH_ACK ||
	    (optlen != 0 && !ls->ls_ts);
	/* What the link padded is not data. */
	if (!ls->ls_alone && end < m->m_pkthdr.len)
		m_adj(m, (int)end - m->m_pkthdr.len);
	return (true);
}

/* --- Merging --- */

static void
lro_take_last(struct lro_entry *le, const struct lro_segment *ls)
{
	const uint8_t *opt = (const uint8_t *)(ls->ls_th + 1);

	le->next_seq = ntohl(ls->ls_th->th_seq) + ls->ls_len;
	le->ack_seq = ls->ls_th->th_ack;
	le->window = ls->ls_th->th_win;
	le->flags |= tcp_get_flags(ls->ls_th) & TH_PUSH;
	if (ls->ls_ts)
		memcpy(&le->tsval, opt + 4, sizeof(le->tsval));
	if (ls->ls_ts)
		memcpy(&le->tsecr, opt + 8, sizeof(le->tsecr));
}

static void
lro_begin(struct lro_ctrl *lc, struct lro_entry *le, struct mbuf *m,
    const struct lro_segment *ls)
{

	LIST_REMOVE(le, next);
	memset(le, 0, sizeof(*le));
	le->outer.data = ls->ls_addr;
	le->outer.tcp = ls->ls_th;
	le->outer.total_hdr_len = ls->ls_hdrlen;
	le->timestamp = ls->ls_ts;
	le->m_head = m;
	le->m_tail = m_last(m);
	m->m_pkthdr.lro_nsegs = 1;
	lro_take_last(le, ls);
	getbinuptime(&le->alloc_time);
	LIST_INSERT_HEAD(&lc->lro_active, le, next);
	lc->lro_queued++;
}

static void
lro_append(struct lro_ctrl *lc, struct lro_entry *le, struct mbuf *m,
    const struct lro_segment *ls)
{

	lro_take_last(le, ls);
	m_adj(m, ls->ls_hdrlen);
	le->m_head->m_pkthdr.len += m->m_pkthdr.len;
	le->m_head->m_pkthdr.lro_nsegs++;
	m_demote_pkthdr(m);
	le->m_tail->m_next = m;
	le->m_tail = m_last(m);
	lc->lro_queued++;
}

/* Whether the segment continues what the entry has. */
static bool
lro_follows(const struct lro_ctrl *lc, const struct lro_entry *le,
    const struct lro_segment *ls)
{
	uint32_t tsval;

	if (ls->ls_alone || le->timestamp != ls->ls_ts ||
	    ntohl(ls->ls_th->th_seq) != le->next_seq ||
	    (int32_t)(ntohl(ls->ls_th->th_ack) - ntohl(le->ack_seq)) < 0 ||
	    le->m_head->m_pkthdr.len + ls->ls_len > lc->lro_length_lim)
		return (false);
	if (!ls->ls_ts)
		return (true);
	memcpy(&tsval, (const uint8_t *)(ls->ls_th + 1) + 4, sizeof(tsval));
	return ((int32_t)(ntohl(tsval) - ntohl(le->tsval)) >= 0);
}

/* Headers as the last segment had them, and of all the data. */
static void
lro_rewrite(struct lro_entry *le)
{
	struct mbuf *m = le->m_head;
	struct tcphdr *th = le->outer.tcp;
	u_int l3len = m->m_pkthdr.len - ETHER_HDR_LEN;
	struct ip6_hdr *ip6;
	struct ip *ip;

	if (le->outer.data.lro_type == LRO_TYPE_IPV4_TCP) {
		ip = mtodo(m, ETHER_HDR_LEN);
		ip->ip_len = htons(l3len);
		ip->ip_sum = 0;
		ip->ip_sum = in_cksum_hdr(ip);
	} else {
		ip6 = mtodo(m, ETHER_HDR_LEN);
		ip6->ip6_plen = htons(l3len - sizeof(*ip6));
	}
	th->th_ack = le->ack_seq;
	th->th_win = le->window;
	tcp_set_flags(th, tcp_get_flags(th) | le->flags);
	th->th_sum = 0;
	if (le->timestamp) {
		memcpy((uint8_t *)(th + 1) + 4, &le->tsval, sizeof(le->tsval));
		memcpy((uint8_t *)(th + 1) + 8, &le->tsecr, sizeof(le->tsecr));
	}
}

static void
lro_flush(struct lro_ctrl *lc, struct lro_entry *le)
{
	struct mbuf *m = le->m_head;

	if (m->m_pkthdr.lro_nsegs > 1)
		lro_rewrite(le);
	LIST_REMOVE(le, next);
	le->m_head = NULL;
	LIST_INSERT_HEAD(&lc->lro_free, le, next);
	lc->lro_flushed++;
	if_input(lc->ifp, m);
}

static struct lro_entry *
lro_find(struct lro_ctrl *lc, const struct lro_segment *ls)
{
	struct lro_entry *le;

	LIST_FOREACH(le, &lc->lro_active, next)
		if (lro_address_compare(&le->outer.data, &ls->ls_addr))
			break;
	return (le);
}

/* 0: taken; else it stays the caller's, to be delivered by it. */
int
tcp_lro_rx(struct lro_ctrl *lc, struct mbuf *m, uint32_t csum)
{
	struct lro_segment ls;
	struct lro_entry *le;

	KASSERT(lc->ifp == m->m_pkthdr.rcvif,
	    ("tcp_lro_rx: a packet of another interface"));
	if ((m->m_pkthdr.csum_flags & LRO_CSUM) != LRO_CSUM ||
	    m->m_pkthdr.csum_data != 0xffff) {
		lc->lro_bad_csum++;
		return (TCP_LRO_CANNOT);
	}
	if (!lro_parse(m, &ls))
		return (TCP_LRO_NOT_SUPPORTED);
	le = lro_find(lc, &ls);
	if (le != NULL && lro_follows(lc, le, &ls)) {
		lro_append(lc, le, m, &ls);
		return (0);
	}
	if (le != NULL)
		lro_flush(lc, le);
	if (ls.ls_alone)
		return (TCP_LRO_CANNOT);
	le = LIST_FIRST(&lc->lro_free);
	if (le == NULL)
		return (TCP_LRO_NO_ENTRIES);
	lro_begin(lc, le, m, &ls);
	return (0);
}

void
tcp_lro_flush_inactive(struct lro_ctrl *lc, const struct timeval *timeout)
{
	struct lro_entry *le, *tmp;
	struct bintime now, age;

	getbinuptime(&now);
	timeval2bintime(timeout, &age);
	LIST_FOREACH_SAFE(le, &lc->lro_active, next, tmp) {
		bintime_add(&le->alloc_time, &age);
		if (bintime_cmp(&le->alloc_time, &now, <=))
			lro_flush(lc, le);
		else
			bintime_sub(&le->alloc_time, &age);
	}
}

/* --- The queue: connections are brought together first --- */

void
tcp_lro_queue_mbuf(struct lro_ctrl *lc, struct mbuf *m)
{
	struct lro_mbuf_sort *q;

	if (lc->lro_mbuf_max == 0 || !M_HASHTYPE_ISHASH(m)) {
		if (lc->lro_mbuf_max == 0 || tcp_lro_rx(lc, m, 0) != 0)
			if_input(lc->ifp, m);
		return;
	}
	q = &lc->lro_mbuf_data[lc->lro_mbuf_count];
	/* In order of arrival within a connection. */
	q->seq = (uint64_t)M_HASHTYPE_GET(m) << 56 |
	    (uint64_t)m->m_pkthdr.flowid << 24 | lc->lro_mbuf_count;
	q->mb = m;
	if (++lc->lro_mbuf_count == lc->lro_mbuf_max)
		tcp_lro_flush_all(lc);
}

static void
lro_sort(struct lro_mbuf_sort *q, u_int n)
{
	struct lro_mbuf_sort e;
	u_int i, j;

	for (i = 1; i < n; i++) {
		e = q[i];
		for (j = i; j > 0 && q[j - 1].seq > e.seq; j--)
			q[j] = q[j - 1];
		q[j] = e;
	}
}

void
tcp_lro_flush_all(struct lro_ctrl *lc)
{
	struct lro_entry *le;
	struct mbuf *m;
	u_int i, n = lc->lro_mbuf_count;

	lro_sort(lc->lro_mbuf_data, n);
	lc->lro_mbuf_count = 0;
	for (i = 0; i < n; i++) {
		m = lc->lro_mbuf_data[i].mb;
		if (tcp_lro_rx(lc, m, 0) != 0)
			if_input(lc->ifp, m);
	}
	while ((le = LIST_FIRST(&lc->lro_active)) != NULL)
		lro_flush(lc, le);
}
