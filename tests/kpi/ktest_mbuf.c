/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * mbufs: what a driver gets, what sharing means, what chains become, and the
 * reports of misuse.
 */

#include <ktest.h>

#include <sys/bus.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mbuf.h>

#include <machine/bus.h>

#include <vm/uma.h>
#include <vm/vm.h>
#include <vm/pmap.h>

#include <kpi.h>

static uint8_t
byte_at(int off)
{

	return (off * 7 + (off >> 8) * 13);
}

static void
fill(char *p, int off, int len)
{
	int i;

	for (i = 0; i < len; i++)
		p[i] = byte_at(off + i);
}

/* A packet of these lengths, one mbuf each, with bytes by their offset. */
static struct mbuf *
packet(const int *len, int n)
{
	struct mbuf *top = NULL, **tail = &top, *m;
	int i = 0, off = 0;

	do {
		m = m_get3(len[i], M_WAITOK, MT_DATA, i == 0 ? M_PKTHDR : 0);
		fill(mtod(m, char *), off, len[i]);
		m->m_len = len[i];
		off += len[i];
		*tail = m;
		tail = &m->m_next;
	} while (++i < n);
	top->m_pkthdr.len = off;
	return (top);
}

/* The chain has len bytes, those from off on. */
static void
check_bytes(struct mbuf *m, int off, int len)
{
	char c;
	int i, bad = 0;

	KT_EQ(m_length(m, NULL), len);
	if ((m->m_flags & M_PKTHDR) != 0)
		KT_EQ(m->m_pkthdr.len, len);
	(void)m_sanity(m, 0);
	for (i = 0; i < len; i++) {
		m_copydata(m, i, 1, &c);
		bad += (uint8_t)c != byte_at(off + i);
	}
	KT_EQ(bad, 0);
}

static u_int
count(const struct mbuf *m)
{
	u_int n = 0;

	for (; m != NULL; m = m->m_next)
		n++;
	return (n);
}

static kpi_u64
out(void)
{
	struct kpi_mbufs mb;

	kpi_mbufs(&mb);
	return (mb.mbufs + mb.clusters + mb.jumbop + mb.jumbo9 + mb.jumbo16 +
	    mb.ext + mb.tags);
}

KTEST(mbuf_sizes, "each kind of mbuf has the room it promises, and is counted")
{
	static const int sizes[] = {
		MCLBYTES, MJUMPAGESIZE, MJUM9BYTES, MJUM16BYTES
	};
	struct kpi_mbufs mb;
	struct mbuf *m[6];
	u_int i;

	m[0] = m_get(M_NOWAIT, MT_DATA);
	m[1] = m_gethdr(M_NOWAIT, MT_DATA);
	KT_EQ(M_TRAILINGSPACE(m[0]), MLEN);
	KT_EQ(M_TRAILINGSPACE(m[1]), MHLEN);
	KT_EQ(m[1]->m_pkthdr.len, 0);
	for (i = 0; i < nitems(sizes); i++) {
		m[i + 2] = m_getjcl(M_NOWAIT, MT_DATA, M_PKTHDR, sizes[i]);
		KT_CHECK(m[i + 2] != NULL && M_WRITABLE(m[i + 2]));
		KT_EQ(M_TRAILINGSPACE(m[i + 2]), sizes[i]);
		fill(mtod(m[i + 2], char *), 0, sizes[i]);
	}
	kpi_mbufs(&mb);
	KT_EQ(mb.mbufs, 6);
	KT_CHECK(mb.clusters == 1 && mb.jumbop == 1 && mb.jumbo9 == 1 &&
	    mb.jumbo16 == 1);
	for (i = 0; i < nitems(m); i++)
		m_freem(m[i]);
	KT_EQ(out(), 0);
}

KTEST(scatter_mbuf_contig, "a cluster is contiguous memory, of any size")
{
	static const int sizes[] = {
		MCLBYTES, MJUMPAGESIZE, MJUM9BYTES, MJUM16BYTES
	};
	struct mbuf *m;
	u_int i, j;
	int off;

	for (i = 0; i < nitems(sizes); i++) {
		for (j = 0; j < 8; j++) {
			m = m_getjcl(M_WAITOK, MT_DATA, 0, sizes[i]);
			for (off = 0; off < sizes[i]; off += 512)
				KT_EQ(vtophys(m->m_data + off),
				    vtophys(m->m_data) + off);
			m_freem(m);
		}
	}
}

KTEST(mbuf_shared, "a copy shares clusters, which last until both are freed")
{
	static const int len[] = { 100, 2000, 4000 };
	struct mbuf *m, *n;

	m = packet(len, nitems(len));
	n = m_copym(m, 50, 3000, M_NOWAIT);
	KT_CHECK((n->m_flags & M_PKTHDR) == 0);
	check_bytes(n, 50, 3000);
	KT_CHECK(!M_WRITABLE(m->m_next) && !M_WRITABLE(n->m_next));
	KT_CHECK(M_WRITABLE(m) && M_WRITABLE(n));
	m_freem(m);
	check_bytes(n, 50, 3000);
	KT_CHECK(M_WRITABLE(n->m_next));
	m_freem(n);
	KT_EQ(out(), 0);

	m = packet(len, nitems(len));
	n = m_copypacket(m, M_NOWAIT);
	check_bytes(n, 0, 6100);
	m_freem(n);
	check_bytes(m, 0, 6100);
	KT_CHECK(M_WRITABLE(m->m_next));
	m_freem(m);
	KT_EQ(out(), 0);
}

static u_int ext_freed;
static char ext_data[8192];

static void
ext_free(struct mbuf *m)
{

	KT_CHECK(m->m_ext.ext_arg1 == &ext_freed &&
	    m->m_ext.ext_arg2 == ext_data);
	ext_freed++;
}

static struct mbuf *
ext_mbuf(void)
{
	struct mbuf *m;

	m = m_gethdr(M_WAITOK, MT_DATA);
	fill(ext_data, 0, sizeof(ext_data));
	m_extadd(m, ext_data, sizeof(ext_data), ext_free, &ext_freed, ext_data,
	    0, EXT_NET_DRV);
	m->m_len = m->m_pkthdr.len = sizeof(ext_data);
	return (m);
}

KTEST(mbuf_ext, "memory lent to the stack comes back once, with the last user")
{
	struct mbuf *a, *b, *c;
	u_int i;

	for (i = 0; i < 3; i++) {
		ext_freed = 0;
		a = ext_mbuf();
		b = m_copypacket(a, M_NOWAIT);
		c = m_copym(b, 10, 100, M_NOWAIT);
		KT_CHECK(out() > 3);
		m_freem(i == 0 ? a : i == 1 ? b : c);
		m_freem(i == 0 ? b : i == 1 ? c : a);
		KT_EQ(ext_freed, 0);
		if (i == 0)
			check_bytes(c, 10, 100);
		m_freem(i == 0 ? c : i == 1 ? a : b);
		KT_EQ(ext_freed, 1);
		KT_EQ(out(), 0);
	}
}

static volatile u_int extref_count;

static void
extref_free(struct mbuf *m)
{

	ext_freed++;
}

KTEST(mbuf_extref, "a driver may count references itself")
{
	struct mbuf *a, *b;

	ext_freed = 0;
	extref_count = 0;
	a = m_get(M_WAITOK, MT_DATA);
	b = m_get(M_WAITOK, MT_DATA);
	m_extaddref(a, ext_data, 4096, __DEVOLATILE(u_int *, &extref_count),
	    extref_free, NULL, NULL);
	m_extaddref(b, ext_data + 4096, 4096,
	    __DEVOLATILE(u_int *, &extref_count), extref_free, NULL, NULL);
	m_freem(a);
	KT_EQ(ext_freed, 0);
	m_freem(b);
	KT_EQ(ext_freed, 1);
	KT_EQ(out(), 0);
}

KTEST_PANICS(mbuf_double_report, "an mbuf freed twice", "double free")
{
	struct mbuf *m = m_gethdr(M_WAITOK, MT_DATA);

	/* Not through m_free(), which looks into it. */
	uma_zfree(zone_mbuf, m);
	uma_zfree(zone_mbuf, m);
}

KTEST_PANICS(mbuf_extref_report, "lent memory that is freed too often",
    "freed more often than it was referenced")
{
	struct mbuf *a = m_get(M_WAITOK, MT_DATA);

	m_extaddref(a, ext_data, 4096, __DEVOLATILE(u_int *, &extref_count),
	    extref_free, NULL, NULL);
	atomic_subtract_int(&extref_count, 1);
	m_freem(a);
}

KTEST_PANICS(mbuf_wait_report, "an mbuf waited for in a critical section",
    "critical section")
{

	critical_enter();
	m_freem(m_gethdr(M_WAITOK, MT_DATA));
}

KTEST(mbuf_pullup, "a header comes together; too short a packet is freed")
{
	static const int len[] = { 14, 20, 20, 3000 };
	struct mbuf *m;

	m = m_pullup(packet(len, nitems(len)), 54);
	KT_CHECK(m != NULL && m->m_len >= 54 && (m->m_flags & M_EXT) == 0);
	check_bytes(m, 0, 3054);
	KT_CHECK(m_pullup(m, MHLEN + 1) == NULL);
	KT_EQ(out(), 0);

	/* What lies in a cluster is copied out of it. */
	m = m_pullup(packet(&len[3], 1), 40);
	KT_CHECK(m != NULL && (m->m_flags & M_EXT) == 0);
	check_bytes(m, 0, 3000);
	m_freem(m);
	KT_CHECK(m_pullup(packet(len, 2), 35) == NULL);
	KT_EQ(out(), 0);
}

KTEST(mbuf_adj, "bytes come off either end, over several mbufs")
{
	static const int len[] = { 100, 100, 100, 2000 };
	struct mbuf *m = packet(len, nitems(len));

	m_adj(m, 150);
	check_bytes(m, 150, 2150);
	m_adj(m, -100);
	check_bytes(m, 150, 2050);
	m_adj(m, -2000);
	check_bytes(m, 150, 50);
	m_adj(m, 1000);
	KT_EQ(m->m_pkthdr.len, 0);
	m_freem(m);
}

KTEST(mbuf_prepend, "room in front is used, else made")
{
	struct mbuf *m = m_gethdr(M_WAITOK, MT_DATA);

	M_ALIGN(m, 40);
	m->m_len = m->m_pkthdr.len = 40;
	fill(mtod(m, char *), 60, 40);
	M_PREPEND(m, 20, M_NOWAIT);
	KT_CHECK(m != NULL && m->m_next == NULL);
	fill(mtod(m, char *), 40, 20);
	m->m_flags |= M_RDONLY;
	M_PREPEND(m, 40, M_NOWAIT);
	KT_CHECK(m != NULL && m->m_next != NULL &&
	    (m->m_flags & M_PKTHDR) != 0 &&
	    (m->m_next->m_flags & M_PKTHDR) == 0);
	fill(mtod(m, char *), 0, 40);
	check_bytes(m, 0, 100);
	m_freem(m);
}

KTEST(mbuf_write, "bytes are written over and behind a chain")
{
	static const int len[] = { 100, 50 };
	struct mbuf *m = packet(len, nitems(len));
	char buf[3000];

	fill(buf, 0, sizeof(buf));
	m_copyback(m, 90, 40, buf + 90);
	check_bytes(m, 0, 150);
	m_copyback(m, 140, 1000, buf + 140);
	check_bytes(m, 0, 1140);
	KT_EQ(m_append(m, 1000, buf + 1140), 1);
	check_bytes(m, 0, 2140);
	m_freem(m);

	/* With a hole of zeros. */
	m = m_gethdr(M_WAITOK, MT_DATA);
	m_copyback(m, 300, 10, buf);
	KT_EQ(m->m_pkthdr.len, 310);
	m_copydata(m, 0, 300, buf + 1000);
	KT_CHECK(buf[1000] == 0 && buf[1299] == 0);
	m_freem(m);
}

KTEST(mbuf_defrag, "a packet in pieces becomes clusters, or stays as it is")
{
	static const int len[] = { 10, 200, 1, 2000, 30, 1500, 7, 7, 7 };
	struct mbuf *m = packet(len, nitems(len)), *n;

	kpi_fail_nth(KPI_FAIL_MBUF, 3);
	KT_CHECK(m_defrag(m, M_NOWAIT) == NULL);
	KT_CHECK(kpi_fail_hit(KPI_FAIL_MBUF));
	check_bytes(m, 0, 3762);
	n = m_defrag(m, M_NOWAIT);
	KT_CHECK(n != NULL);
	KT_EQ(count(n), 2);
	check_bytes(n, 0, 3762);
	m_freem(n);
	KT_EQ(out(), 0);
}

KTEST(mbuf_collapse, "a packet comes in at most so many pieces, if it can")
{
	static const int len[] = { 54, 200, 1, 600, 30, 1500, 7, 7, 7, 1900 };
	struct mbuf *m, *n;

	m = packet(len, nitems(len));
	n = m_collapse(m, M_NOWAIT, 4);
	KT_CHECK(n == m);
	KT_CHECK(count(n) <= 4);
	check_bytes(n, 0, 4306);
	KT_CHECK(m_collapse(n, M_NOWAIT, 2) == NULL);
	check_bytes(n, 0, 4306);
	m_freem(n);
	KT_EQ(out(), 0);
}

KTEST(mbuf_dup, "a copy that is one's own to write to")
{
	static const int len[] = { 54, 3000 };
	struct mbuf *m = packet(len, nitems(len)), *n, *o;

	m->m_pkthdr.flowid = 77;
	n = m_dup(m, M_NOWAIT);
	KT_EQ(n->m_pkthdr.flowid, 77);
	KT_CHECK(M_WRITABLE(n) && M_WRITABLE(n->m_next));
	check_bytes(n, 0, 3054);
	m_freem(n);

	n = m_copypacket(m, M_NOWAIT);
	o = m_unshare(n, M_NOWAIT);
	KT_CHECK(M_WRITABLE(o) && M_WRITABLE(o->m_next));
	check_bytes(o, 0, 3054);
	mtod(o->m_next, char *)[0]++;
	check_bytes(m, 0, 3054);
	m_freem(o);
	m_freem(m);
	KT_EQ(out(), 0);
}

KTEST(mbuf_tags, "tags go with the packet, are copied and freed with it")
{
	struct mbuf *m = m_gethdr(M_WAITOK, MT_DATA), *n;
	struct m_tag *t;
	int i;

	for (i = 0; i < 3; i++) {
		t = m_tag_alloc(99, i, sizeof(int), M_NOWAIT);
		*(int *)(void *)(t + 1) = i;
		m_tag_prepend(m, t);
	}
	n = m_copypacket(m, M_NOWAIT);
	m_freem(m);
	t = m_tag_locate(n, 99, 1, NULL);
	KT_CHECK(t != NULL && *(int *)(void *)(t + 1) == 1);
	m_tag_delete(n, t);
	KT_CHECK(m_tag_locate(n, 99, 1, NULL) == NULL);
	KT_CHECK(m_tag_locate(n, 99, 0, NULL) != NULL);
	m_freem(n);
	KT_EQ(out(), 0);
}

KTEST(mbuf_fail, "each allocation may fail, and nothing is lost")
{
	static const int len[] = { 54, 3000, 100 };
	struct mbuf *m = packet(len, nitems(len)), *n;
	kpi_u64 before = out();
	u_int i, hit = 0;

	for (i = 1; i < 30; i++) {
		kpi_fail_nth(KPI_FAIL_MBUF, i);
		n = m_dup(m, M_NOWAIT);
		m_freem(n);
		n = m_copypacket(m, M_NOWAIT);
		m_freem(n);
		n = m_getjcl(M_NOWAIT, MT_DATA, M_PKTHDR, MJUM9BYTES);
		m_freem(n);
		hit += kpi_fail_hit(KPI_FAIL_MBUF);
		KT_EQ(out(), before);
	}
	kpi_fail_nth(KPI_FAIL_MBUF, 0);
	KT_CHECK(hit >= 8 && hit < 29);
	m_freem(m);
}

KTEST(mbuf_limit, "no more clusters than allowed, and one when one is freed")
{
	struct mbuf *m[5];
	u_int i;

	uma_zone_set_max(zone_clust, 4);
	for (i = 0; i < 4; i++)
		m[i] = m_getcl(M_NOWAIT, MT_DATA, 0);
	KT_CHECK(m[3] != NULL);
	KT_CHECK(m_getcl(M_NOWAIT, MT_DATA, 0) == NULL);
	m_freem(m[0]);
	m[0] = m_getcl(M_NOWAIT, MT_DATA, 0);
	KT_CHECK(m[0] != NULL);
	for (i = 0; i < 4; i++)
		m_freem(m[i]);
	KT_EQ(out(), 0);
}

KTEST(scatter_mbuf_dma, "a packet as segments; too many pieces are refused")
{
	static const int len[] = { 54, 3000, 9000, 1000, 12 };
	struct mbuf *m = packet(len, nitems(len)), *n;
	bus_dma_segment_t segs[8];
	bus_dma_tag_t t, t3;
	bus_dmamap_t map, map3;
	int i, nsegs, sum = 0;

	KT_EQ(bus_dma_tag_create(NULL, 1, 0, BUS_SPACE_MAXADDR,
	    BUS_SPACE_MAXADDR, NULL, NULL, 65536, 8, PAGE_SIZE * 4, 0, NULL,
	    NULL, &t), 0);
	KT_EQ(bus_dma_tag_create(NULL, 1, 0, BUS_SPACE_MAXADDR,
	    BUS_SPACE_MAXADDR, NULL, NULL, 65536, 4, PAGE_SIZE * 4, 0, NULL,
	    NULL, &t3), 0);
	KT_EQ(bus_dmamap_create(t, 0, &map), 0);
	KT_EQ(bus_dmamap_create(t3, 0, &map3), 0);
	KT_EQ(bus_dmamap_load_mbuf_sg(t, map, m, segs, &nsegs,
	    BUS_DMA_NOWAIT), 0);
	KT_EQ(nsegs, 5);
	n = m;
	for (i = 0; i < nsegs; i++, n = n->m_next) {
		KT_EQ(segs[i].ds_addr, vtophys(n->m_data));
		sum += segs[i].ds_len;
	}
	KT_EQ(sum, m->m_pkthdr.len);
	bus_dmamap_sync(t, map, BUS_DMASYNC_PREWRITE);
	bus_dmamap_sync(t, map, BUS_DMASYNC_POSTWRITE);
	bus_dmamap_unload(t, map);

	KT_EQ(bus_dmamap_load_mbuf_sg(t3, map3, m, segs, &nsegs,
	    BUS_DMA_NOWAIT), EFBIG);
	n = m_collapse(m, M_NOWAIT, 4);
	KT_CHECK(n != NULL);
	KT_EQ(bus_dmamap_load_mbuf_sg(t3, map3, n, segs, &nsegs,
	    BUS_DMA_NOWAIT), 0);
	bus_dmamap_unload(t3, map3);
	KT_EQ(bus_dmamap_destroy(t, map), 0);
	KT_EQ(bus_dmamap_destroy(t3, map3), 0);
	KT_EQ(bus_dma_tag_destroy(t), 0);
	KT_EQ(bus_dma_tag_destroy(t3), 0);
	m_freem(n);
}
