/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Chains of mbufs as memory: headers brought together, chains made shorter or
 * writable.
 */

#include <kern/kpi_internal.h>

#include <sys/mbuf.h>

/*
 * Moves data from the front of chain n behind m's until m has len bytes, or
 * some more if they fit, since who asks for a header asks again.  The rest of
 * the chain becomes m's; NULL, with all freed: there was not so much.
 */
static struct mbuf *
m_gather(struct mbuf *m, struct mbuf *n, int len)
{
	int c, want;

	want = MIN(MAX(len, (int)max_protohdr) - m->m_len, M_TRAILINGROOM(m));
	while (n != NULL && want > 0) {
		c = MIN(want, n->m_len);
		memcpy(mtod(m, char *) + m->m_len, mtod(n, char *), c);
		m->m_len += c;
		want -= c;
		n->m_data += c;
		n->m_len -= c;
		if (n->m_len != 0)
			break;
		n = m_free(n);
	}
	m->m_next = n;
	if (m->m_len >= len)
		return (m);
	m_freem(m);
	return (NULL);
}

/* A new mbuf in front of n, without data, with its packet header. */
static struct mbuf *
m_lead(struct mbuf *n, int how)
{
	struct mbuf *m;

	m = m_get(how, n->m_type);
	if (m != NULL && (n->m_flags & M_PKTHDR) != 0)
		m_move_pkthdr(m, n);
	return (m);
}

/*
 * The first len bytes in the first mbuf.  As in the kernel that is never a
 * cluster afterwards, also if they were together before.
 */
struct mbuf *
m_pullup(struct mbuf *n, int len)
{
	struct mbuf *m, *rest;

	if ((n->m_flags & M_EXT) == 0 && n->m_next != NULL &&
	    n->m_data + len < M_START(n) + M_SIZE(n)) {
		if (n->m_len >= len)
			return (n);
		rest = n->m_next;
		n->m_next = NULL;
		return (m_gather(n, rest, len));
	}
	if (len > MHLEN || (m = m_lead(n, M_NOWAIT)) == NULL) {
		m_freem(n);
		return (NULL);
	}
	return (m_gather(m, n, len));
}

/* The same with dstoff bytes of room in front, in a new mbuf in any case. */
struct mbuf *
m_copyup(struct mbuf *n, int len, int dstoff)
{
	struct mbuf *m;

	if (len > MHLEN - dstoff || (m = m_lead(n, M_NOWAIT)) == NULL) {
		m_freem(n);
		return (NULL);
	}
	m->m_data += dstoff;
	return (m_gather(m, n, len));
}

/* An mbuf with len bytes in front; m_pkthdr.len is for the caller. */
struct mbuf *
m_prepend(struct mbuf *m, int len, int how)
{
	struct mbuf *n;

	n = m_lead(m, how);
	if (n == NULL) {
		m_freem(m);
		return (NULL);
	}
	KASSERT(len <= M_SIZE(n), ("m_prepend: %d bytes in one mbuf", len));
	m_align(n, len);
	n->m_len = len;
	n->m_next = m;
	return (n);
}

/* The chain anew in as few clusters as can be; NULL: it is as it was. */
struct mbuf *
m_defrag(struct mbuf *m0, int how)
{
	struct mbuf *n;

	MBUF_CHECKSLEEP(how);
	if ((m0->m_flags & M_PKTHDR) == 0)
		return (m0);
	m_fixhdr(m0);
	n = m_dup(m0, how);
	if (n != NULL)
		m_freem(m0);
	return (n);
}

/* Fills the room behind each mbuf's data from the next; how many are left. */
static int
m_squeeze(struct mbuf *m)
{
	struct mbuf *n;
	int count;

	for (count = 1; (n = m->m_next) != NULL;) {
		if (M_TRAILINGSPACE(m) < n->m_len) {
			m = n;
			count++;
			continue;
		}
		memcpy(mtod(m, char *) + m->m_len, mtod(n, char *), n->m_len);
		m->m_len += n->m_len;
		m->m_next = m_free(n);
	}
	return (count);
}

/*
 * At most maxfrags mbufs: data move forward into room that is there, then
 * neighbours into clusters.  The first one, which has the packet header, stays.
 * NULL: not possible, or no memory; the chain is still whole.
 */
struct mbuf *
m_collapse(struct mbuf *m0, int how, int maxfrags)
{
	struct mbuf *m, *n, **prev;
	int count;

	count = m_squeeze(m0);
	prev = &m0->m_next;
	while (count > maxfrags) {
		m = *prev;
		if (m == NULL || m->m_next == NULL)
			return (NULL);
		if (m->m_len + m->m_next->m_len > MCLBYTES) {
			prev = &m->m_next;
			continue;
		}
		n = m_getcl(how, m->m_type, 0);
		if (n == NULL)
			return (NULL);
		/* It takes in as many as fit whole. */
		while (m != NULL && m->m_len <= M_TRAILINGSPACE(n)) {
			memcpy(mtod(n, char *) + n->m_len, mtod(m, char *),
			    m->m_len);
			n->m_len += m->m_len;
			m = m_free(m);
			count--;
		}
		count++;
		n->m_next = m;
		*prev = n;
		prev = &n->m_next;
	}
	return (m0);
}

/* A writable copy of one mbuf's data that it shares with others; NULL. */
static struct mbuf *
m_unshare_one(struct mbuf *m, int how)
{
	struct mbuf *top = NULL, **tail = &top, *n;
	int left = m->m_len, off = 0;

	do {
		n = left > MLEN ? m_getcl(how, m->m_type, 0) :
		    m_get(how, m->m_type);
		if (n != NULL && top == NULL && (m->m_flags & M_PKTHDR) != 0)
			m_move_pkthdr(n, m);
		if (n == NULL) {
			m_freem(top);
			return (NULL);
		}
		n->m_flags &= ~M_RDONLY;
		n->m_len = MIN(left, M_TRAILINGSPACE(n));
		memcpy(mtod(n, char *), mtod(m, char *) + off, n->m_len);
		off += n->m_len;
		left -= n->m_len;
		*tail = n;
		tail = &n->m_next;
	} while (left > 0);
	return (top);
}

/* Makes all of a chain writable; NULL: no memory, and it is freed. */
struct mbuf *
m_unshare(struct mbuf *m0, int how)
{
	struct mbuf **prev = &m0, *m, *n;

	MBUF_CHECKSLEEP(how);
	while ((m = *prev) != NULL) {
		if (!M_WRITABLE(m)) {
			n = m_unshare_one(m, how);
			if (n == NULL) {
				m_freem(m0);
				return (NULL);
			}
			*prev = n;
			n = m_last(n);
			n->m_next = m_free(m);
			m = n;
		}
		prev = &m->m_next;
	}
	return (m0);
}
