/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Receiving: what becomes of a transfer, of the memory it lies in, and of the
 * host's nonsense.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/kernel.h>

#include "kpi.h"
#include "ktest.h"
#include "ktest_hn_fake.h"
#include "ktest_threads.h"

static const struct hn_fake_msg plain;
static uint8_t frame[FAKE_PIECE];

static uint32_t
tcp(struct hn_fake *f, u_int piece, uint32_t payload)
{
	uint32_t len;

	len = hn_fake_tcp_fill(frame, payload);
	hn_fake_put(f, piece, &plain, frame, len);
	return (len);
}

/* Whether an mbuf's bytes are those of the frame last made. */
static bool
same(struct mbuf *m, uint32_t len)
{
	uint8_t *copy;
	bool ok;

	if ((uint32_t)m->m_pkthdr.len != len || m_length(m, NULL) != len)
		return (false);
	copy = malloc(len, M_TEMP, M_WAITOK);
	m_copydata(m, 0, (int)len, (caddr_t)copy);
	ok = memcmp(copy, frame, len) == 0;
	free(copy, M_TEMP);
	return (ok);
}

static bool
in_buffer(struct hn_fake *f, const struct mbuf *m)
{
	const uint8_t *p = mtod(m, const uint8_t *);

	return (p >= f->f_sc->sc_rxbuf->rb_mem && p + m->m_len <=
	    f->f_sc->sc_rxbuf->rb_mem + f->f_sc->sc_rxbuf->rb_size);
}

KTEST(hn_rx_small, "a small frame is copied and acknowledged at once")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m;
	uint32_t len;

	f = hn_fake_begin(65536, 0);
	len = tcp(f, 3, 20);
	hn_fake_transfer(f, 77, 3, 1);
	KT_CHECK(!hn_fake_read(f, &p));
	hn_fake_flush(f);
	hn_fake_acked(f, 77, HN_NVS_STATUS_OK);
	m = hn_fake_input(f);
	KT_CHECK(m != NULL && same(m, len));
	KT_CHECK(!in_buffer(f, m) && m->m_next == NULL);
	KT_CHECK(m->m_pkthdr.rcvif == f->f_sc->sc_ifp);
	m_freem(m);
	KT_EQ(f->f_signals, 1);
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_IPACKETS), 1);
	hn_fake_end(f);
}

KTEST(hn_rx_loan, "payload stays where it is, headers do not")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m;
	uint32_t len;

	f = hn_fake_begin(65536, 0);
	len = tcp(f, 0, 1448);
	hn_fake_transfer(f, 78, 0, 1);
	hn_fake_flush(f);
	m = hn_fake_input(f);
	KT_CHECK(m != NULL && same(m, len));
	KT_EQ(m->m_len, 66);
	KT_CHECK(!in_buffer(f, m));
	KT_CHECK(m->m_next != NULL && in_buffer(f, m->m_next));
	KT_EQ(m->m_next->m_len, 1448);
	/* The host cannot change headers that were looked at. */
	memset(f->f_sc->sc_rxbuf->rb_mem + 256, 0xff, 66);
	KT_CHECK(same(m, len));
	/* Not acknowledged while somebody has it; then with the next batch. */
	KT_CHECK(!hn_fake_read(f, &p));
	KT_EQ(hn_rx_loans(f->f_sc), 1);
	m_freem(m);
	KT_EQ(hn_rx_loans(f->f_sc), 0);
	KT_CHECK(!hn_fake_read(f, &p));
	hn_fake_flush(f);
	hn_fake_acked(f, 78, HN_NVS_STATUS_OK);
	hn_fake_end(f);
}

KTEST(hn_rx_loan_many, "a transfer is out until its last packet is back")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m[3];
	u_int i;

	f = hn_fake_begin(65536, 0);
	tcp(f, 0, 1448);
	tcp(f, 1, 20);
	tcp(f, 2, 1000);
	tcp(f, 3, 1400);
	hn_fake_transfer(f, 79, 0, 4);
	hn_fake_flush(f);
	m[0] = hn_fake_input(f);
	m_freem(hn_fake_input(f));
	m[1] = hn_fake_input(f);
	m[2] = hn_fake_input(f);
	KT_EQ(f->f_rxr->rxr_pieces, 4);
	for (i = 0; i < 3; i++) {
		hn_fake_flush(f);
		KT_CHECK(!hn_fake_read(f, &p));
		/* A copy that refers to the same memory counts. */
		if (i == 2) {
			struct mbuf *n = m_copym(m[i], 0, M_COPYALL,
			    M_WAITOK);
			m_freem(m[i]);
			m[i] = n;
			hn_fake_flush(f);
			KT_CHECK(!hn_fake_read(f, &p));
		}
		m_freem(m[i]);
	}
	hn_fake_flush(f);
	hn_fake_acked(f, 79, HN_NVS_STATUS_OK);
	KT_EQ(f->f_rxr->rxr_pieces, 0);
	hn_fake_end(f);
}

KTEST(hn_rx_loan_limit, "half of the buffer at most is ever out")
{
	struct hn_fake *f;
	struct mbuf *m;
	u_int i, loans, n;

	f = hn_fake_begin(65536, 0);
	for (i = 0; i < 300; i++) {
		tcp(f, i, 1448);
		hn_fake_transfer(f, i, i, 1);
	}
	hn_fake_flush(f);
	loans = n = 0;
	KT_EQ(hn_rx_loans(f->f_sc), FAKE_PIECES / 2);
	KT_EQ(f->f_rxr->rxr_copied, 300 - FAKE_PIECES / 2);
	while ((m = hn_fake_input(f)) != NULL) {
		loans += m->m_next != NULL && in_buffer(f, m->m_next);
		n++;
		m_freem(m);
	}
	KT_EQ(n, 300);
	KT_EQ(loans, FAKE_PIECES / 2);
	hn_fake_end(f);
}

KTEST(hn_rx_loan_quiet, "loans are acknowledged though nothing comes in")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m;
	u_int acked, i;

	f = hn_fake_begin(65536, 0);
	for (i = 0; i < 200; i++) {
		tcp(f, i, 1448);
		hn_fake_transfer(f, i, i, 1);
	}
	hn_fake_flush(f);
	f->f_signals = 0;
	while ((m = hn_fake_input(f)) != NULL)
		m_freem(m);
	for (acked = 0; hn_fake_read(f, &p); acked++)
		KT_EQ(p.p_type, VMBUS_PKT_TYPE_COMP);
	/* Some, so that the host is never left without; in batches. */
	KT_CHECK(acked >= 100 && acked % f->f_rxr->rxr_ack_batch == 0);
	KT_EQ(f->f_signals, 1);
	hn_fake_room(f);
	hn_fake_flush(f);
	for (; hn_fake_read(f, &p); acked++)
		KT_EQ(p.p_type, VMBUS_PKT_TYPE_COMP);
	KT_EQ(acked, 200);
	hn_fake_end(f);
}

KTEST(hn_rx_ack_full, "acknowledgements wait for room in the ring")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m;
	uint64_t seen;
	u_int i, n;

	/* Room for about a hundred. */
	f = hn_fake_begin(PAGE_SIZE, 0);
	for (i = 0; i < 300; i++) {
		tcp(f, i, i % 2 == 0 ? 20 : 1448);
		hn_fake_transfer(f, i, i, 1);
	}
	while ((m = hn_fake_input(f)) != NULL)
		m_freem(m);
	seen = 0;
	for (n = 0; n < 300;) {
		hn_fake_flush(f);
		while (hn_fake_read(f, &p)) {
			KT_EQ(p.p_type, VMBUS_PKT_TYPE_COMP);
			seen += p.p_xid;
			n++;
		}
		hn_fake_room(f);
	}
	KT_EQ(n, 300);
	KT_EQ(seen, 299 * 300 / 2);
	hn_fake_end(f);
}

KTEST(hn_rx_ready, "no more is taken in than can be acknowledged")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	u_int acked, i;

	/* The host takes no acknowledgements: a hundred lie in the ring. */
	f = hn_fake_begin(PAGE_SIZE, 0);
	tcp(f, 0, 20);
	for (i = 0; hn_rx_ready(f->f_rxr); i++) {
		hn_fake_transfer(f, i, 0, 1);
		if (i % 100 == 0)
			hn_fake_flush(f);
	}
	KT_CHECK(i > HN_RX_ACKS && i < HN_RX_ACKS + 200);
	hn_fake_flush(f);
	KT_CHECK(!hn_rx_ready(f->f_rxr));
	for (acked = 0; acked < i; hn_fake_flush(f)) {
		for (; hn_fake_read(f, &p); acked++)
			KT_EQ(p.p_xid, acked);
		hn_fake_room(f);
	}
	KT_CHECK(hn_rx_ready(f->f_rxr));
	hn_fake_end(f);
}

KTEST(hn_rx_batch, "a callback's work is bounded by frames")
{
	struct hn_fake *f;
	u_int i;

	f = hn_fake_begin(65536, 0);
	for (i = 0; i < 100; i++)
		tcp(f, i, 20);
	for (i = 0; hn_rx_ready(f->f_rxr); i++)
		hn_fake_transfer(f, i, 0, 100);
	KT_CHECK(i > 1 && i < 10);
	hn_fake_flush(f);
	KT_CHECK(hn_rx_ready(f->f_rxr));
	hn_fake_end(f);
}

KTEST(hn_rx_ack_early, "the host has its memory back within a callback")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	u_int i, n;

	f = hn_fake_begin(65536, 0);
	for (i = 0; i < 100; i++)
		tcp(f, i, 20);
	for (i = 0; i < 4; i++)
		hn_fake_transfer(f, i, 0, 100);
	for (n = 0; hn_fake_read(f, &p); n++)
		KT_EQ(p.p_xid, n);
	KT_CHECK(n >= 3);
	hn_fake_flush(f);
	hn_fake_end(f);
}

KTEST(hn_rx_ranges, "ranges that are not in the buffer")
{
	static const struct vmbus_rxbuf_range bad[] = {
		{ FAKE_PIECE, FAKE_PIECE * FAKE_PIECES },
		{ FAKE_PIECE, FAKE_PIECE * FAKE_PIECES - FAKE_PIECE + 4 },
		{ 0xffffffff, 4 },
		{ 0xfffffffc, 0xfffffffc },
		{ FAKE_PIECE, 0xfffffffc },
		{ FAKE_PIECE * FAKE_PIECES + 1, 0 },
		{ 7, 0 },
		{ 0, 0 },
		{ FAKE_PIECE, 2 },
	};
	struct vmbus_rxbuf_range two[2];
	struct hn_fake *f;
	struct mbuf *m;
	u_int i;

	f = hn_fake_begin(65536, 0);
	for (i = 0; i < nitems(bad); i++) {
		hn_fake_ranges(f, i, &bad[i], 1, 1);
		hn_fake_flush(f);
		KT_CHECK(hn_fake_input(f) == NULL);
		hn_fake_acked(f, i, HN_NVS_STATUS_FAILED);
	}
	KT_EQ(f->f_rxr->rxr_bad, nitems(bad));
	/* A good one beside a bad one is delivered. */
	tcp(f, 0, 20);
	two[0] = bad[0];
	two[1].rr_ofs = 0;
	two[1].rr_len = FAKE_PIECE;
	hn_fake_ranges(f, 99, two, 2, 2);
	hn_fake_flush(f);
	m = hn_fake_input(f);
	KT_CHECK(m != NULL);
	m_freem(m);
	hn_fake_acked(f, 99, HN_NVS_STATUS_FAILED);
	hn_fake_end(f);
}

KTEST(hn_rx_headers, "transfers whose header is wrong are acknowledged, too")
{
	static const struct vmbus_rxbuf_range one = { FAKE_PIECE, 0 };
	struct hn_fake *f;
	u_int i;
	static const u_int claimed[] = { 0, 2, 563, 0xffffffff, 0x20000001 };

	f = hn_fake_begin(65536, 0);
	tcp(f, 0, 20);
	for (i = 0; i < nitems(claimed); i++) {
		hn_fake_ranges(f, i, &one, 1, claimed[i]);
		hn_fake_flush(f);
		KT_CHECK(hn_fake_input(f) == NULL);
		hn_fake_acked(f, i, HN_NVS_STATUS_FAILED);
	}
	hn_fake_end(f);
}

KTEST(hn_rx_malformed, "a malformed message is dropped, others are not")
{
	struct hn_fake *f;
	struct mbuf *m;

	f = hn_fake_begin(65536, 0);
	tcp(f, 0, 1448);
	tcp(f, 1, 1448);
	tcp(f, 2, 1448);
	le32enc(f->f_sc->sc_rxbuf->rb_mem + FAKE_PIECE + 12, FAKE_PIECE);
	hn_fake_transfer(f, 5, 0, 3);
	hn_fake_flush(f);
	KT_EQ(f->f_nin, 2);
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_IERRORS), 1);
	while ((m = hn_fake_input(f)) != NULL)
		m_freem(m);
	hn_fake_end(f);
}

KTEST(hn_rx_deaf, "frames are dropped and acknowledged while down")
{
	struct hn_fake *f;

	f = hn_fake_begin(65536, 0);
	f->f_sc->sc_rxok = 0;
	tcp(f, 0, 1448);
	hn_fake_transfer(f, 5, 0, 1);
	hn_fake_flush(f);
	KT_CHECK(hn_fake_input(f) == NULL);
	hn_fake_acked(f, 5, HN_NVS_STATUS_OK);
	hn_fake_end(f);
}

static struct mbuf *
one(struct hn_fake *f, const struct hn_fake_msg *info, uint32_t len)
{
	struct mbuf *m;

	hn_fake_put(f, 0, info, frame, len);
	hn_fake_transfer(f, 1, 0, 1);
	hn_fake_flush(f);
	m = hn_fake_input(f);
	KT_CHECK(m != NULL);
	hn_fake_acked(f, 1, HN_NVS_STATUS_OK);
	return (m);
}

KTEST(hn_rx_info, "tag, hash and checksums reach the stack")
{
	static const struct hn_fake_msg all = {
		.m_csum = NDIS_RXCSUM_TCP_OK | NDIS_RXCSUM_IP_OK,
		.m_vlan = NDIS_VLAN_INFO(0x123, 5, 0),
		.m_hash = 0xabcdef, .m_hashinfo = NDIS_HASH_TOEPLITZ |
		    NDIS_HASH_TCP4
	};
	struct hn_fake *f;
	struct mbuf *m;
	uint32_t len;

	f = hn_fake_begin(65536, 0);
	len = hn_fake_tcp_fill(frame, 20);
	m = one(f, &all, len);
	KT_CHECK((m->m_flags & M_VLANTAG) != 0);
	KT_EQ(m->m_pkthdr.ether_vtag, 0xa123);
	KT_EQ(m->m_pkthdr.flowid, 0xabcdef);
	KT_EQ(M_HASHTYPE_GET(m), M_HASHTYPE_RSS_TCP_IPV4);
	KT_EQ(m->m_pkthdr.csum_flags, CSUM_IP_CHECKED | CSUM_IP_VALID |
	    CSUM_DATA_VALID | CSUM_PSEUDO_HDR);
	KT_EQ(m->m_pkthdr.csum_data, 0xffff);
	m_freem(m);
	/* Windows says TCP of UDP, and hashes it as TCP. */
	frame[23] = 17;
	m = one(f, &all, len);
	KT_CHECK((m->m_pkthdr.csum_flags & CSUM_DATA_VALID) != 0);
	KT_EQ(M_HASHTYPE_GET(m), M_HASHTYPE_RSS_UDP_IPV4);
	m_freem(m);
	/* A fragment has no checksum that could be right. */
	frame[20] = 0x20;
	m = one(f, &all, len);
	KT_EQ(m->m_pkthdr.csum_flags, CSUM_IP_CHECKED | CSUM_IP_VALID);
	m_freem(m);
	/* Whoever switched it off is told nothing. */
	frame[20] = 0;
	if_setcapenable(f->f_sc->sc_ifp, 0);
	m = one(f, &all, len);
	KT_EQ(m->m_pkthdr.csum_flags, 0);
	m_freem(m);
	hn_fake_end(f);
}

KTEST(hn_rx_trust, "without a word of the host trust decides")
{
	struct hn_fake *f;
	struct mbuf *m;
	uint32_t len;

	f = hn_fake_begin(65536, 0);
	len = hn_fake_tcp_fill(frame, 20);
	m = one(f, &plain, len);
	KT_EQ(m->m_pkthdr.csum_flags, 0);
	KT_EQ(M_HASHTYPE_GET(m), M_HASHTYPE_OPAQUE);
	m_freem(m);
	f->f_sc->sc_trust = HN_TRUST_TCP;
	m = one(f, &plain, len);
	KT_EQ(m->m_pkthdr.csum_flags, CSUM_DATA_VALID | CSUM_PSEUDO_HDR);
	m_freem(m);
	frame[23] = 17;
	m = one(f, &plain, len);
	KT_EQ(m->m_pkthdr.csum_flags, 0);
	m_freem(m);
	f->f_sc->sc_trust = HN_TRUST_UDP | HN_TRUST_IP;
	m = one(f, &plain, len);
	KT_EQ(m->m_pkthdr.csum_flags, CSUM_IP_CHECKED | CSUM_IP_VALID |
	    CSUM_DATA_VALID | CSUM_PSEUDO_HDR);
	m_freem(m);
	hn_fake_end(f);
}

#define	RSC(flags, id)	(1u | (uint32_t)(flags) << 8 | (uint32_t)(id) << 16)

/* Puts part n of a TCP segment of 4,066 bytes, cut at 1,400. */
static void
part(struct hn_fake *f, u_int piece, u_int n, uint32_t rsc)
{
	static uint8_t big[4066];
	struct hn_fake_msg info = {
		.m_csum = n == 0 ? NDIS_RXCSUM_TCP_OK : 0, .m_rsc = rsc
	};
	uint32_t len;

	hn_fake_tcp_fill(big, 4000);
	len = MIN(1400, sizeof(big) - n * 1400);
	hn_fake_put(f, piece, &info, big + n * 1400, len);
}

KTEST(hn_rx_rsc, "parts of a coalesced frame become one packet")
{
	struct hn_fake *f;
	struct mbuf *m;

	f = hn_fake_begin(65536, 0);
	part(f, 0, 0, RSC(NDIS_RSC_FIRST, 9));
	part(f, 1, 1, RSC(0, 9));
	part(f, 2, 2, RSC(NDIS_RSC_LAST, 9));
	hn_fake_transfer(f, 1, 0, 3);
	hn_fake_flush(f);
	m = hn_fake_input(f);
	KT_CHECK(m != NULL && f->f_nin == 0);
	KT_EQ(m->m_pkthdr.len, 4066);
	KT_EQ(m_length(m, NULL), 4066);
	KT_CHECK((m->m_pkthdr.csum_flags & CSUM_DATA_VALID) != 0);
	KT_CHECK(in_buffer(f, m->m_next));
	m_freem(m);
	KT_EQ(f->f_rxr->rxr_rsc_pkts, 1);
	hn_fake_flush(f);
	hn_fake_acked(f, 1, HN_NVS_STATUS_OK);
	/* One that is its own first and last. */
	part(f, 0, 0, RSC(NDIS_RSC_FIRST | NDIS_RSC_LAST, 10));
	hn_fake_transfer(f, 2, 0, 1);
	m = hn_fake_input(f);
	KT_CHECK(m != NULL && m->m_pkthdr.len == 1400);
	m_freem(m);
	hn_fake_end(f);
}

KTEST(hn_rx_rsc_bad, "parts that do not belong together")
{
	struct hn_fake *f;
	struct mbuf *m;

	f = hn_fake_begin(65536, 0);
	/* No first. */
	part(f, 0, 1, RSC(0, 9));
	part(f, 1, 2, RSC(NDIS_RSC_LAST, 9));
	hn_fake_transfer(f, 1, 0, 2);
	KT_EQ(f->f_nin, 0);
	/* No last in this transfer: it does not go on in the next. */
	part(f, 0, 0, RSC(NDIS_RSC_FIRST, 9));
	part(f, 1, 1, RSC(0, 9));
	hn_fake_transfer(f, 2, 0, 2);
	part(f, 2, 2, RSC(NDIS_RSC_LAST, 9));
	hn_fake_transfer(f, 3, 2, 1);
	KT_EQ(f->f_nin, 0);
	KT_EQ(f->f_rxr->rxr_rsc_drop, 1);
	/* Another's part in between. */
	part(f, 0, 0, RSC(NDIS_RSC_FIRST, 9));
	part(f, 1, 1, RSC(0, 8));
	part(f, 2, 2, RSC(NDIS_RSC_LAST, 9));
	hn_fake_transfer(f, 4, 0, 3);
	KT_EQ(f->f_nin, 0);
	/* A second first: the one before is lost, this one is not. */
	part(f, 0, 0, RSC(NDIS_RSC_FIRST, 9));
	part(f, 1, 0, RSC(NDIS_RSC_FIRST, 10));
	part(f, 2, 1, RSC(NDIS_RSC_LAST, 10));
	hn_fake_transfer(f, 5, 0, 3);
	KT_EQ(f->f_nin, 1);
	m = hn_fake_input(f);
	KT_EQ(m->m_pkthdr.len, 2800);
	m_freem(m);
	/* All of it is acknowledged. */
	hn_fake_flush(f);
	KT_EQ(hn_rx_loans(f->f_sc), 0);
	hn_fake_acked(f, 1, HN_NVS_STATUS_OK);
	hn_fake_end(f);
}

KTEST(hn_rx_rsc_long, "a frame of parts is no longer than any")
{
	struct hn_fake *f;
	u_int i;

	f = hn_fake_begin(65536, 0);
	for (i = 0; i < 60; i++)
		part(f, i, i != 0, RSC(i == 0 ? NDIS_RSC_FIRST :
		    i == 59 ? NDIS_RSC_LAST : 0, 9));
	hn_fake_transfer(f, 1, 0, 60);
	KT_EQ(f->f_nin, 0);
	KT_EQ(f->f_rxr->rxr_rsc_drop, 1);
	hn_fake_end(f);
}

KTEST(hn_rx_reclaim, "loans outlive the session, and are then nobody's")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct hn_softc *sc;
	struct mbuf *m;
	uint32_t len;

	f = hn_fake_begin(65536, 0);
	sc = f->f_sc;
	len = tcp(f, 0, 1448);
	hn_fake_transfer(f, 1, 0, 1);
	m = hn_fake_input(f);
	/* The session ends: the buffer is given up, but for the loan. */
	f->f_rxr->rxr_ch = NULL;
	f->f_txr->txr_ch = NULL;
	hn_rx_reclaim(sc);
	hn_rxbuf_rele(sc->sc_rxbuf);
	sc->sc_rxbuf = NULL;
	KT_EQ(sc->sc_nrxbufs, 1);
	KT_CHECK(!hn_rx_drain(sc, 0));
	KT_CHECK(same(m, len));
	/* A new one begins; the loan comes back into it. */
	f->f_rxr->rxr_ch = f->f_ch;
	f->f_txr->txr_ch = f->f_ch;
	m_freem(m);
	KT_EQ(sc->sc_nrxbufs, 0);
	KT_CHECK(hn_rx_drain(sc, 0));
	hn_fake_flush(f);
	KT_CHECK(!hn_fake_read(f, &p));
	KT_EQ(f->f_rxr->rxr_pieces, 0);
	hn_fake_end(f);
}

static struct mbuf *late;

static void
free_late(void *arg __unused, int pending __unused)
{

	m_freem(late);
}

KTEST(real_hn_rx_drain, "who waits for loans is woken by the last")
{
	struct hn_fake *f;
	struct timeout_task task;

	f = hn_fake_begin(65536, 0);
	tcp(f, 0, 1448);
	hn_fake_transfer(f, 1, 0, 1);
	late = hn_fake_input(f);
	TIMEOUT_TASK_INIT(taskqueue_thread, &task, 0, free_late, NULL);
	taskqueue_enqueue_timeout(taskqueue_thread, &task, hz / 10);
	KT_CHECK(hn_rx_drain(f->f_sc, 10));
	taskqueue_drain_timeout(taskqueue_thread, &task);
	hn_fake_end(f);
}

KTEST(hn_rx_nomem, "each mbuf that is not to be had costs a packet at most")
{
	struct hn_fake *f;
	struct mbuf *m;
	u_int n, got;
	bool hit;

	for (n = 1, hit = true; hit; n++) {
		f = hn_fake_begin(65536, 0);
		tcp(f, 0, 20);
		tcp(f, 1, 1448);
		tcp(f, 2, 200);
		part(f, 3, 0, RSC(NDIS_RSC_FIRST, 9));
		part(f, 4, 1, RSC(0, 9));
		part(f, 5, 2, RSC(NDIS_RSC_LAST, 9));
		kpi_fail_nth(KPI_FAIL_MBUF, n);
		hn_fake_transfer(f, 1, 0, 6);
		hit = kpi_fail_hit(KPI_FAIL_MBUF);
		kpi_fail_nth(KPI_FAIL_MBUF, 0);
		for (got = 0; (m = hn_fake_input(f)) != NULL; got++) {
			KT_EQ(m_length(m, NULL), m->m_pkthdr.len);
			m_freem(m);
		}
		KT_CHECK(hit ? got >= 3 : got == 4);
		hn_fake_flush(f);
		hn_fake_acked(f, 1, HN_NVS_STATUS_OK);
		hn_fake_end(f);
	}
	KT_CHECK(n > 6);
}

#define	RACE_THREADS	3
#define	RACE_TRANSFERS	2000

static struct hn_fake *race;
static u_int race_me, race_done;
static uintptr_t race_mbufs[64];

/* Receives, and reads the acknowledgements: each transfer's must come once. */
static void
race_receive(void)
{
	static uint8_t seen[RACE_TRANSFERS];
	struct hn_fake_pkt p;
	struct mbuf *m;
	u_int acked, i, n;

	for (acked = i = 0; acked < RACE_TRANSFERS;) {
		if (i < RACE_TRANSFERS && i - acked < FAKE_PIECES / 2 &&
		    hn_rx_ready(race->f_rxr)) {
			hn_fake_transfer(race, i, i % FAKE_PIECES, 1);
			i++;
		}
		while ((m = hn_fake_input(race)) != NULL) {
			for (n = i; atomic_cmpset_rel_ptr(&race_mbufs[n %
			    nitems(race_mbufs)], 0, (uintptr_t)m) == 0; n++)
				hn_fake_flush(race);
		}
		hn_fake_flush(race);
		while (hn_fake_read(race, &p)) {
			KT_EQ(p.p_type, VMBUS_PKT_TYPE_COMP);
			KT_CHECK(p.p_xid < i && seen[p.p_xid]++ == 0);
			acked++;
		}
		hn_fake_room(race);
	}
	atomic_store_rel_int(&race_done, 1);
}

static void
race_thread(void *arg __unused)
{
	uintptr_t m;
	u_int i;

	if (atomic_fetchadd_int(&race_me, 1) == 0) {
		race_receive();
		return;
	}
	while (atomic_load_acq_int(&race_done) == 0) {
		for (i = 0; i < nitems(race_mbufs); i++) {
			m = atomic_swap_ptr(&race_mbufs[i], 0);
			atomic_thread_fence_acq();
			m_freem((struct mbuf *)m);
		}
	}
}

KTEST(real_hn_rx_race, "loans come back on other threads meanwhile")
{
	u_int i;

	race = hn_fake_begin(PAGE_SIZE, 0);
	for (i = 0; i < FAKE_PIECES; i++)
		tcp(race, i, 1448);
	ktest_threads(RACE_THREADS + 1, race_thread, NULL);
	KT_EQ(race->f_rxr->rxr_loaned + race->f_rxr->rxr_copied,
	    RACE_TRANSFERS);
	KT_EQ(race->f_rxr->rxr_pieces, 0);
	KT_EQ(race->f_rxr->rxr_nreturned, 0);
	hn_fake_end(race);
}
