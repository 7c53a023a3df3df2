/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Tags of packets.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/malloc.h>
#include <sys/mbuf.h>

static MALLOC_DEFINE(M_PACKET_TAGS, MBUF_TAG_MEM_NAME, "packet tags");

static volatile uint64_t m_tags;	/* in use */

uint64_t
kpi_mbuf_tags(void)
{

	return (atomic_load_64(&m_tags));
}

void
m_tag_free_default(struct m_tag *t)
{

	free(t, M_PACKET_TAGS);
	atomic_subtract_64(&m_tags, 1);
}

/* len bytes follow struct m_tag. */
struct m_tag *
m_tag_alloc(uint32_t cookie, uint16_t type, int len, int wait)
{
	struct m_tag *t;

	MBUF_CHECKSLEEP(wait);
	if (len < 0)
		return (NULL);
	t = malloc(sizeof(*t) + len, M_PACKET_TAGS, wait);
	if (t == NULL)
		return (NULL);
	m_tag_setup(t, cookie, type, len);
	t->m_tag_free = m_tag_free_default;
	atomic_add_64(&m_tags, 1);
	return (t);
}

void
m_tag_delete(struct mbuf *m, struct m_tag *t)
{

	m_tag_unlink(m, t);
	m_tag_free(t);
}

/* t and all behind it; NULL: all there are. */
void
m_tag_delete_chain(struct mbuf *m, struct m_tag *t)
{
	struct m_tag *next;

	for (t = t != NULL ? t : m_tag_first(m); t != NULL; t = next) {
		next = m_tag_next(m, t);
		m_tag_delete(m, t);
	}
}

void
m_tag_delete_nonpersistent(struct mbuf *m)
{
	struct m_tag *t, *next;

	for (t = m_tag_first(m); t != NULL; t = next) {
		next = m_tag_next(m, t);
		if ((t->m_tag_id & MTAG_PERSISTENT) == 0)
			m_tag_delete(m, t);
	}
}

/* The next one behind t, or the first. */
struct m_tag *
m_tag_locate(struct mbuf *m, uint32_t cookie, uint16_t type, struct m_tag *t)
{

	for (t = t != NULL ? m_tag_next(m, t) : m_tag_first(m); t != NULL;
	    t = m_tag_next(m, t))
		if (t->m_tag_cookie == cookie && t->m_tag_id == type)
			break;
	return (t);
}

struct m_tag *
m_tag_copy(struct m_tag *t, int how)
{
	struct m_tag *copy;

	copy = m_tag_alloc(t->m_tag_cookie, t->m_tag_id, t->m_tag_len, how);
	if (copy != NULL)
		memcpy(copy + 1, t + 1, t->m_tag_len);
	return (copy);
}

/* In the same order, in place of those that "to" has; 0: no memory. */
int
m_tag_copy_chain(struct mbuf *to, const struct mbuf *from, int how)
{
	struct m_tag *copy, *last = NULL, *t;

	MBUF_CHECKSLEEP(how);
	m_tag_delete_chain(to, NULL);
	SLIST_FOREACH(t, &from->m_pkthdr.tags, m_tag_link) {
		copy = m_tag_copy(t, how);
		if (copy == NULL) {
			m_tag_delete_chain(to, NULL);
			return (0);
		}
		if (last == NULL)
			m_tag_prepend(to, copy);
		else
			SLIST_INSERT_AFTER(last, copy, m_tag_link);
		last = copy;
	}
	return (1);
}
