/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Chains of mbufs as data: length, trimming, copies, packet headers.  What
 * changes how a chain is put together is in uipc_mbuf_shape.c.
 */

#include <kern/kpi_internal.h>

#include <sys/mbuf.h>

u_int	max_linkhdr = 16;
u_int	max_protohdr = 60;		/* IPv6 and TCP */
u_int	max_hdr = 16 + 60;

void
max_linkhdr_grow(u_int new)
{

	max_linkhdr = MAX(max_linkhdr, new);
	max_hdr = max_linkhdr + max_protohdr;
}

void
max_protohdr_grow(u_int new)
{

	max_protohdr = MAX(max_protohdr, new);
	max_hdr = max_linkhdr + max_protohdr;
}

/* --- Packet headers --- */

int
m_pkthdr_init(struct mbuf *m, int how)
{

	m->m_data = m->m_pktdat;
	memset(&m->m_pkthdr, 0, sizeof(m->m_pkthdr));
	return (0);
}

/* What both ways to give "to" the header of "from" have in common. */
static void
m_take_pkthdr(struct mbuf *to, const struct mbuf *from)
{

	M_ASSERTPKTHDR(from);
	KASSERT((from->m_pkthdr.csum_flags & CSUM_SND_TAG) == 0,
	    ("mbuf %p has a send tag", from));
	KASSERT((to->m_flags & M_PKTHDR) == 0 ||
	    SLIST_EMPTY(&to->m_pkthdr.tags),
	    ("mbuf %p loses its tags to another header", to));
	to->m_flags = (from->m_flags & M_COPYFLAGS) | (to->m_flags & M_EXT);
	if ((to->m_flags & M_EXT) == 0)
		to->m_data = to->m_pktdat;
	to->m_pkthdr = from->m_pkthdr;
}

void
m_move_pkthdr(struct mbuf *to, struct mbuf *from)
{

	m_take_pkthdr(to, from);
	SLIST_INIT(&from->m_pkthdr.tags);
	from->m_flags &= ~M_PKTHDR;
}

int
m_dup_pkthdr(struct mbuf *to, const struct mbuf *from, int how)
{

	MBUF_CHECKSLEEP(how);
	m_take_pkthdr(to, from);
	SLIST_INIT(&to->m_pkthdr.tags);
	return (m_tag_copy_chain(to, from, how));
}

void
m_demote_pkthdr(struct mbuf *m)
{

	M_ASSERTPKTHDR(m);
	M_ASSERT_NO_SND_TAG(m);
	m_tag_delete_chain(m, NULL);
	m->m_flags &= ~M_PKTHDR;
	memset(&m->m_pkthdr, 0, sizeof(m->m_pkthdr));
}

/* all: the first one too. */
void
m_demote(struct mbuf *m0, int all, int flags)
{
	struct mbuf *m;

	for (m = all ? m0 : m0->m_next; m != NULL; m = m->m_next) {
		KASSERT(m->m_nextpkt == NULL,
		    ("m_demote: mbuf %p begins another packet", m));
		if ((m->m_flags & M_PKTHDR) != 0)
			m_demote_pkthdr(m);
		m->m_flags &= flags | M_DEMOTEFLAGS;
	}
}

/* --- Looking --- */

u_int
m_length(struct mbuf *m, struct mbuf **last)
{
	u_int len = 0;

	if (last != NULL)
		*last = m;
	for (; m != NULL; m = m->m_next) {
		len += m->m_len;
		if (last != NULL)
			*last = m;
	}
	return (len);
}

u_int
m_fixhdr(struct mbuf *m)
{

	M_ASSERTPKTHDR(m);
	m->m_pkthdr.len = m_length(m, NULL);
	return (m->m_pkthdr.len);
}

/* The mbuf with the byte at loc, or at whose end loc is; NULL. */
struct mbuf *
m_getptr(struct mbuf *m, int loc, int *off)
{

	if (loc < 0)
		return (NULL);
	for (; loc >= m->m_len; m = m->m_next) {
		if (m->m_next == NULL) {
			*off = m->m_len;
			return (loc == m->m_len ? m : NULL);
		}
		loc -= m->m_len;
	}
	*off = loc;
	return (m);
}

/* The mbuf with the byte at *off, which becomes relative to it. */
static struct mbuf *
m_at(const struct mbuf *m, int *off, const char *who)
{

	KASSERT(*off >= 0, ("%s: negative offset %d", who, *off));
	while (*off > 0) {
		KASSERT(m != NULL, ("%s: the offset is behind the chain", who));
		if (*off < m->m_len)
			break;
		*off -= m->m_len;
		m = m->m_next;
	}
	return (__DECONST(struct mbuf *, m));
}

int
m_apply(struct mbuf *m, int off, int len,
    int (*fn)(void *, void *, u_int), void *arg)
{
	int error = 0, n;

	KASSERT(len >= 0, ("m_apply: negative length %d", len));
	m = m_at(m, &off, "m_apply");
	for (; len > 0 && error == 0; m = m->m_next, off = 0) {
		KASSERT(m != NULL, ("m_apply: %d bytes behind the chain", len));
		n = MIN(m->m_len - off, len);
		error = fn(arg, mtod(m, char *) + off, n);
		len -= n;
	}
	return (error);
}

static int
m_copydata_piece(void *arg, void *data, u_int len)
{
	caddr_t *to = arg;

	memcpy(*to, data, len);
	*to += len;
	return (0);
}

void
m_copydata(const struct mbuf *m, int off, int len, caddr_t to)
{

	KASSERT(len >= 0, ("m_copydata: negative length %d", len));
	(void)m_apply(__DECONST(struct mbuf *, m), off, len, m_copydata_piece,
	    &to);
}

/* Panics, or returns 1; with sanitize the kernel would repair. */
int
m_sanity(struct mbuf *m0, int sanitize)
{
	struct mbuf *m;
	int len = 0;

	for (m = m0; m != NULL; m = m->m_next) {
		if (m->m_data < M_START(m) || m->m_len < 0 ||
		    m->m_data + m->m_len > M_START(m) + M_SIZE(m))
			panic("mbuf %p: data outside of its buffer", m);
		if (m != m0 && m->m_nextpkt != NULL)
			panic("mbuf %p: another packet behind an inner mbuf",
			    m);
		if (m != m0 && (m->m_flags & M_PKTHDR) != 0)
			panic("mbuf %p: a packet header amid a chain", m);
		len += m->m_len;
	}
	if ((m0->m_flags & M_PKTHDR) != 0 && len != m0->m_pkthdr.len)
		panic("mbuf %p: %d bytes in a packet of %d", m0, len,
		    m0->m_pkthdr.len);
	return (1);
}

/* --- Trimming and adding --- */

static int
m_adj_head(struct mbuf *m, int len)
{
	int n, cut = 0;

	for (; m != NULL && cut < len; m = m->m_next) {
		n = MIN(m->m_len, len - cut);
		m->m_len -= n;
		/* One that is emptied stays where it was, as in the kernel. */
		if (m->m_len != 0)
			m->m_data += n;
		cut += n;
	}
	return (cut);
}

static int
m_adj_tail(struct mbuf *m, int len)
{
	int all = m_length(m, NULL), keep = MAX(all - len, 0), left = keep;

	while (m->m_next != NULL && m->m_len < left) {
		left -= m->m_len;
		m = m->m_next;
	}
	m->m_len = MIN(m->m_len, left);
	m_freem(m->m_next);
	m->m_next = NULL;
	return (all - keep);
}

/* Negative: from the end. */
void
m_adj(struct mbuf *m, int len)
{
	int cut;

	if (m == NULL)
		return;
	cut = len >= 0 ? m_adj_head(m, len) : m_adj_tail(m, -len);
	if ((m->m_flags & M_PKTHDR) != 0)
		m->m_pkthdr.len -= cut;
}

/* 1: all of it was added; else as much as could be. */
int
m_append(struct mbuf *m0, int len, c_caddr_t cp)
{
	struct mbuf *m = m_last(m0);
	int left = len, n;

	for (;;) {
		n = MIN(left, M_TRAILINGSPACE(m));
		memcpy(mtod(m, char *) + m->m_len, cp, n);
		m->m_len += n;
		cp += n;
		left -= n;
		if (left == 0 ||
		    (m->m_next = m_get(M_NOWAIT, m->m_type)) == NULL)
			break;
		m = m->m_next;
	}
	if ((m0->m_flags & M_PKTHDR) != 0)
		m0->m_pkthdr.len += len - left;
	return (left == 0);
}

/* As many zeros behind m as its buffer holds, at most len; how many. */
static int
m_extend(struct mbuf *m, int len)
{
	int n = MIN(len, M_TRAILINGSPACE(m));

	memset(mtod(m, char *) + m->m_len, 0, n);
	m->m_len += n;
	return (n);
}

/* Writes into the chain, which grows, with zeros before off, if it must. */
void
m_copyback(struct mbuf *m0, int off, int len, c_caddr_t cp)
{
	struct mbuf *m;
	int end = off + len, have, n;

	if (m0 == NULL)
		return;
	KASSERT(off >= 0 && len >= 0, ("m_copyback: %d bytes at %d", len, off));
	have = m_length(m0, &m);
	while (have < end) {
		n = m_extend(m, end - have);
		have += n;
		if (have == end ||
		    (m->m_next = m_get(M_NOWAIT, m->m_type)) == NULL)
			break;
		m = m->m_next;
	}
	if ((m0->m_flags & M_PKTHDR) != 0)
		m0->m_pkthdr.len = MAX(m0->m_pkthdr.len, MIN(have, end));
	len = MIN(len, have - off);
	if (len <= 0)
		return;
	m = m_at(m0, &off, "m_copyback");
	for (; len > 0; m = m->m_next, off = 0) {
		n = MIN(m->m_len - off, len);
		memcpy(mtod(m, char *) + off, cp, n);
		cp += n;
		len -= n;
	}
}

void
m_cat(struct mbuf *m, struct mbuf *n)
{

	m = m_last(m);
	while (n != NULL && M_TRAILINGSPACE(m) >= n->m_len) {
		memcpy(mtod(m, char *) + m->m_len, mtod(n, char *), n->m_len);
		m->m_len += n->m_len;
		n = m_free(n);
	}
	m->m_next = n;
}

void
m_catpkt(struct mbuf *m, struct mbuf *n)
{

	M_ASSERTPKTHDR(m);
	M_ASSERTPKTHDR(n);
	m->m_pkthdr.len += n->m_pkthdr.len;
	m_demote(n, 1, 0);
	m_cat(m, n);
}

/* --- Copies --- */

/*
 * A copy of len bytes of m from off on: external storage is shared, what lies
 * in an mbuf itself is copied.  hdr: of the packet header as well.
 */
static struct mbuf *
m_copy_one(struct mbuf *m, int off, int len, bool hdr, int how)
{
	struct mbuf *n;

	n = m_get(how, m->m_type);
	if (n == NULL)
		return (NULL);
	if (hdr && !m_dup_pkthdr(n, m, how)) {
		m_free(n);
		return (NULL);
	}
	n->m_len = len;
	if ((m->m_flags & M_EXT) != 0) {
		mb_dupcl(n, m);
		n->m_data = m->m_data + off;
		return (n);
	}
	/* Where it was, if it is a whole packet's start: room for headers. */
	if (hdr)
		n->m_data += m->m_data - m->m_pktdat;
	memcpy(mtod(n, char *), mtod(m, char *) + off, len);
	return (n);
}

struct mbuf *
m_copym(struct mbuf *m, int off, int len, int how)
{
	struct mbuf *top = NULL, **tail = &top;
	bool hdr = off == 0 && (m->m_flags & M_PKTHDR) != 0;
	int n, skip = off;

	KASSERT(len >= 0, ("m_copym: negative length %d", len));
	MBUF_CHECKSLEEP(how);
	m = m_at(m, &skip, "m_copym");
	for (; len > 0 && m != NULL; m = m->m_next, skip = 0) {
		n = MIN(m->m_len - skip, len);
		*tail = m_copy_one(m, skip, n, hdr, how);
		if (*tail == NULL) {
			m_freem(top);
			return (NULL);
		}
		if (hdr && len != M_COPYALL)
			top->m_pkthdr.len = len;
		hdr = false;
		tail = &(*tail)->m_next;
		if (len != M_COPYALL)
			len -= n;
	}
	KASSERT(len == 0 || len == M_COPYALL,
	    ("m_copym: %d bytes behind the chain", len));
	return (top);
}

struct mbuf *
m_copypacket(struct mbuf *m, int how)
{

	M_ASSERTPKTHDR(m);
	return (m_copym(m, 0, M_COPYALL, how));
}

/* A copy that shares nothing and can be written to. */
struct mbuf *
m_dup(const struct mbuf *m, int how)
{
	struct mbuf *top, *n;
	int left, off = 0, len;

	if (m == NULL)
		return (NULL);
	M_ASSERTPKTHDR(m);
	MBUF_CHECKSLEEP(how);
	left = m->m_pkthdr.len;
	top = left > MHLEN ? m_getcl(how, m->m_type, M_PKTHDR) :
	    m_gethdr(how, m->m_type);
	if (top == NULL || !m_dup_pkthdr(top, m, how)) {
		m_freem(top);
		return (NULL);
	}
	top->m_flags &= ~M_RDONLY;
	for (n = top;; n = n->m_next) {
		len = MIN(left, M_TRAILINGSPACE(n));
		m_copydata(m, off, len, mtod(n, caddr_t));
		n->m_len = len;
		off += len;
		left -= len;
		if (left == 0)
			return (top);
		n->m_next = left > MLEN ? m_getcl(how, m->m_type, 0) :
		    m_get(how, m->m_type);
		if (n->m_next == NULL) {
			m_freem(top);
			return (NULL);
		}
	}
}
