/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sending, as a host sees it: what is in the ring, in which order, and what
 * becomes of packets when there is no room or the host answers nonsense.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/kernel.h>

#include "kpi.h"
#include "ktest.h"
#include "ktest_hn_fake.h"
#include "ktest_threads.h"

static uint8_t bytes[2 * HN_FRAME_MAX];
static struct hn_fake_frame ff;

static int
send(struct hn_fake *f, struct mbuf *m)
{

	return (hn_transmit(f->f_sc->sc_ifp, m));
}

/* The only frame of the next packet, which the host then completes. */
static void
receive_one(struct hn_fake *f, struct hn_fake_pkt *p)
{
	uint32_t n;

	KT_CHECK(hn_fake_read(f, p));
	n = hn_fake_bytes(f, p, bytes, sizeof(bytes));
	KT_EQ(hn_fake_frame(bytes, n, &ff), n);
	hn_fake_complete(f, p->p_xid, HN_NVS_STATUS_OK);
	hn_fake_room(f);
	hn_tx_flush(f->f_txr);
}

/* Whether the frame is the one that hn_fake_mbuf() made. */
static bool
intact(uint32_t seq, uint32_t len)
{
	uint32_t i;

	if (ff.ff_len != len || le32dec(ff.ff_data) != seq)
		return (false);
	for (i = 4; i < len; i++) {
		if (i != 12 && i != 13 &&
		    ff.ff_data[i] != (uint8_t)(seq + i * 7))
			return (false);
	}
	return (true);
}

KTEST(hn_tx_small, "a small frame is copied into a section, at once")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;

	f = hn_fake_begin(65536, FAKE_SECTS);
	KT_EQ(send(f, hn_fake_mbuf(5, 61, MCLBYTES)), 0);
	KT_EQ(f->f_signals, 1);
	receive_one(f, &p);
	KT_EQ(p.p_type, VMBUS_PKT_TYPE_INBAND);
	KT_EQ(ff.ff_hdrlen, 44);
	KT_CHECK(intact(5, 61));
	KT_CHECK(!hn_fake_read(f, &p));
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OPACKETS), 1);
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OBYTES), 61);
	hn_fake_end(f);
}

KTEST(hn_tx_pieces, "frames in any number of mbufs arrive whole")
{
	static const uint32_t lens[] = {
		14, 60, 205, 212, 213, 1514, 6000, 6092, 6100, 6101, 9014, 30000
	};
	static const uint32_t each[] = { 14, 100, 211, 212, 213, 1000, 2048 };
	struct hn_fake *f;
	struct hn_fake_pkt p;
	u_int i, j, sects;

	for (sects = 0; sects <= FAKE_SECTS; sects += FAKE_SECTS) {
		f = hn_fake_begin(65536, sects);
		for (i = 0; i < nitems(lens); i++)
			for (j = 0; j < nitems(each); j++) {
				KT_EQ(send(f, hn_fake_mbuf(j, lens[i],
				    each[j])), 0);
				receive_one(f, &p);
				KT_CHECK(intact(j, lens[i]));
				KT_CHECK(sects != 0 ||
				    p.p_type == VMBUS_PKT_TYPE_GPA);
			}
		KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OERRORS), 0);
		hn_fake_end(f);
	}
}

KTEST(hn_tx_limits, "frames that no host takes are dropped and counted")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m;

	f = hn_fake_begin(65536, FAKE_SECTS);
	m = hn_fake_mbuf(1, 60, MCLBYTES);
	m->m_len = m->m_pkthdr.len = 13;
	(void)send(f, m);
	KT_EQ(send(f, hn_fake_mbuf(1, HN_FRAME_MAX + 1, MCLBYTES)), 0);
	/* Segmentation of what is not TCP. */
	m = hn_fake_mbuf(1, 3000, MCLBYTES);
	m->m_pkthdr.csum_flags = CSUM_IP_TSO;
	m->m_pkthdr.tso_segsz = 1448;
	(void)send(f, m);
	/* Or without a size. */
	m = hn_fake_tcp(3000, MCLBYTES);
	m->m_pkthdr.csum_flags = CSUM_IP_TSO;
	(void)send(f, m);
	KT_CHECK(!hn_fake_read(f, &p));
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OERRORS), 4);
	hn_fake_end(f);
}

KTEST(hn_tx_info, "hash, tag and checksums are told to the host")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m;

	f = hn_fake_begin(65536, FAKE_SECTS);
	m = hn_fake_tcp(100, MCLBYTES);
	m->m_pkthdr.csum_flags = CSUM_IP | CSUM_IP_TCP;
	m->m_flags |= M_VLANTAG;
	m->m_pkthdr.ether_vtag = 0x6abc;
	KT_EQ(send(f, m), 0);
	receive_one(f, &p);
	KT_EQ(ff.ff_hdrlen, 44 + 32);
	/* Priority 3, id abc; IPv4, TCP, IP header, TCP at 34. */
	KT_EQ(le32dec(ff.ff_hdr + 48), 6);
	KT_EQ(le32dec(ff.ff_hdr + 56), 0xabc3);
	KT_EQ(le32dec(ff.ff_hdr + 64), 0);
	KT_EQ(le32dec(ff.ff_hdr + 72), 0x220015);
	/* With two rings the host hears of the flow as well. */
	f->f_sc->sc_caps = HN_CAP_HASHVAL;
	f->f_sc->sc_nrings = 2;
	m = hn_fake_mbuf(0, 60, MCLBYTES);
	m->m_pkthdr.flowid = 0x1234;
	M_HASHTYPE_SET(m, M_HASHTYPE_OPAQUE);
	mtx_lock(&f->f_txr->txr_mtx);
	KT_EQ(hn_tx_encap(f->f_txr, m), 0);
	KT_EQ(hn_agg_flush(f->f_txr), 0);
	mtx_unlock(&f->f_txr->txr_mtx);
	receive_one(f, &p);
	KT_EQ(le32dec(ff.ff_hdr + 48), 8);
	KT_EQ(le32dec(ff.ff_hdr + 56), 0x1234);
	hn_fake_end(f);
}

KTEST(hn_tx_lso, "segmentation changes a copy of the headers only")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m, *keep;
	uint8_t before[66], after[66];
	uint32_t big;

	for (big = 0; big < 2; big++) {
		f = hn_fake_begin(65536, FAKE_SECTS);
		m = hn_fake_tcp(big ? 40000 : 3000, 2000);
		be16enc(mtod(m, uint8_t *) + 50, 0x4444);
		m->m_pkthdr.csum_flags = CSUM_IP_TSO;
		m->m_pkthdr.tso_segsz = 1448;
		m_copydata(m, 0, 66, (caddr_t)before);
		keep = m_copym(m, 0, M_COPYALL, M_WAITOK);
		KT_EQ(send(f, m), 0);
		receive_one(f, &p);
		KT_EQ(p.p_type, big ? VMBUS_PKT_TYPE_GPA :
		    VMBUS_PKT_TYPE_INBAND);
		KT_EQ(le32dec(ff.ff_hdr + 48), 2);
		KT_EQ(le32dec(ff.ff_hdr + 56), 0x42200000 | 1448);
		KT_EQ(be16dec(ff.ff_data + 16), 0);
		KT_EQ(be16dec(ff.ff_data + 24), 0);
		/* 0a00 + 1 + 0a00 + 2 + 6 */
		KT_EQ(be16dec(ff.ff_data + 50), 0x1409);
		KT_EQ(ff.ff_len, big ? 40066 : 3066);
		KT_EQ(ff.ff_data[66], 'p');
		KT_EQ(ff.ff_data[ff.ff_len - 1], 'p');
		m_copydata(keep, 0, 66, (caddr_t)after);
		KT_EQ(memcmp(before, after, 66), 0);
		m_freem(keep);
		hn_fake_end(f);
	}
}

KTEST(hn_tx_udp_fixup, "long datagrams are summed up by us")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	struct mbuf *m;
	uint32_t sum;
	u_int i, old;

	old = hn_udpcs_fixup_mtu;
	hn_udpcs_fixup_mtu = 1420;
	f = hn_fake_begin(65536, FAKE_SECTS);
	m = hn_fake_tcp(1421 - 52, MCLBYTES);
	mtod(m, uint8_t *)[23] = 17;
	/* Pseudo header: addresses, protocol, length. */
	be16enc(mtod(m, uint8_t *) + 40, 0x1403 + 17 + 1401);
	be16enc(mtod(m, uint8_t *) + 38, 1401);
	m->m_pkthdr.csum_flags = CSUM_IP_UDP;
	KT_EQ(send(f, m), 0);
	receive_one(f, &p);
	KT_EQ(ff.ff_hdrlen, 44);
	sum = 0x1403 + 17 + 1401;
	for (i = 34; i < ff.ff_len; i++)
		sum += (uint32_t)ff.ff_data[i] << (i % 2 == 0 ? 8 : 0);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	KT_EQ(sum, 0xffff);
	/* A shorter one, or one that must not be fragmented, is the host's. */
	m = hn_fake_tcp(1420 - 52, MCLBYTES);
	mtod(m, uint8_t *)[23] = 17;
	m->m_pkthdr.csum_flags = CSUM_IP_UDP;
	KT_EQ(send(f, m), 0);
	receive_one(f, &p);
	KT_EQ(le32dec(ff.ff_hdr + 56), 0x220009);
	m = hn_fake_tcp(1448, MCLBYTES);
	mtod(m, uint8_t *)[23] = 17;
	mtod(m, uint8_t *)[20] = 0x40;
	m->m_pkthdr.csum_flags = CSUM_IP_UDP;
	KT_EQ(send(f, m), 0);
	receive_one(f, &p);
	KT_EQ(le32dec(ff.ff_hdr + 56), 0x220009);
	hn_udpcs_fixup_mtu = old;
	hn_fake_end(f);
}

/* Walks the messages of a section; how many, and checks their numbers. */
static u_int
walk(struct hn_fake *f, const struct hn_fake_pkt *p, uint32_t *seq)
{
	uint32_t n, ofs;
	u_int cnt;

	n = hn_fake_bytes(f, p, bytes, sizeof(bytes));
	cnt = 0;
	for (ofs = 0; ofs < n; cnt++) {
		KT_EQ(ofs % 8, 0);
		ofs += hn_fake_frame(bytes + ofs, n - ofs, &ff);
		KT_EQ(le32dec(ff.ff_data), (*seq)++);
	}
	KT_EQ(ofs, n);
	return (cnt);
}

KTEST(hn_tx_batch, "small frames join while the host is busy")
{
	struct hn_fake *f;
	struct hn_fake_pkt p, first;
	uint32_t i, seq;
	u_int old;

	old = hn_tx_agg_hold;
	hn_tx_agg_hold = 1;
	f = hn_fake_begin(65536, FAKE_SECTS);
	/* The first at once; eight fill a section; three wait. */
	for (i = 0; i < 12; i++)
		KT_EQ(send(f, hn_fake_mbuf(i, 61, MCLBYTES)), 0);
	seq = 0;
	KT_CHECK(hn_fake_read(f, &first));
	KT_EQ(walk(f, &first, &seq), 1);
	KT_CHECK(hn_fake_read(f, &p));
	KT_EQ(walk(f, &p, &seq), 8);
	KT_CHECK(!hn_fake_read(f, &p));
	/* One signal for a host that has read all; none while it has not. */
	KT_EQ(f->f_signals, 1);
	hn_fake_complete(f, first.p_xid, HN_NVS_STATUS_OK);
	hn_tx_flush(f->f_txr);
	KT_CHECK(!hn_fake_read(f, &first));
	hn_fake_complete(f, hn_id((uint32_t)p.p_xid, p.p_xid >> 32),
	    HN_NVS_STATUS_OK);
	hn_tx_flush(f->f_txr);
	hn_tx_agg_hold = old;
	hn_fake_end(f);
}

KTEST(hn_tx_batch_goes, "what waits goes off when the host is done")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	uint32_t seq;
	u_int old;

	old = hn_tx_agg_hold;
	hn_tx_agg_hold = 1;
	f = hn_fake_begin(65536, FAKE_SECTS);
	KT_EQ(send(f, hn_fake_mbuf(0, 61, MCLBYTES)), 0);
	KT_EQ(send(f, hn_fake_mbuf(1, 61, MCLBYTES)), 0);
	KT_EQ(send(f, hn_fake_mbuf(2, 61, MCLBYTES)), 0);
	seq = 0;
	KT_CHECK(hn_fake_read(f, &p));
	KT_EQ(walk(f, &p, &seq), 1);
	hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_OK);
	hn_tx_flush(f->f_txr);
	KT_CHECK(hn_fake_read(f, &p));
	KT_EQ(walk(f, &p, &seq), 2);
	/* A large one does not overtake what waits. */
	KT_EQ(send(f, hn_fake_mbuf(3, 61, MCLBYTES)), 0);
	KT_EQ(send(f, hn_fake_mbuf(4, 20000, MCLBYTES)), 0);
	KT_CHECK(hn_fake_read(f, &p));
	KT_EQ(walk(f, &p, &seq), 1);
	KT_CHECK(hn_fake_read(f, &p));
	KT_EQ(walk(f, &p, &seq), 1);
	hn_tx_agg_hold = old;
	hn_fake_end(f);
}

KTEST(hn_tx_full, "a full ring loses and reorders nothing")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	uint32_t i, seq;

	/* A ring for some thirty packets, and four hundred to send. */
	f = hn_fake_begin(PAGE_SIZE, FAKE_SECTS);
	for (i = 0; i < 400; i++)
		KT_EQ(send(f, hn_fake_mbuf(i, i % 3 == 0 ? 9000 : 61,
		    MCLBYTES)), 0);
	for (seq = 0; seq < 400;) {
		KT_CHECK(hn_fake_read(f, &p));
		(void)walk(f, &p, &seq);
		hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_OK);
		hn_fake_room(f);
		if (seq % 5 == 0)
			hn_tx_flush(f->f_txr);
		else if (atomic_load_32(&f->f_ctl->rc_in) == f->f_pos)
			hn_tx_flush(f->f_txr);
	}
	KT_CHECK(!hn_fake_read(f, &p));
	KT_CHECK(f->f_ch->ch_stats.cs_tx_full > 0);
	hn_fake_end(f);
}

KTEST(hn_tx_no_descs, "with all descriptors out packets wait, then drop")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	uint32_t i, sent, lost, seq;

	f = hn_fake_begin(1024 * 1024, 2);
	sent = lost = 0;
	for (i = 0; lost == 0; i++) {
		if (send(f, hn_fake_mbuf(sent, 61, MCLBYTES)) == 0)
			sent++;
		else
			lost++;
	}
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OQDROPS), 1);
	KT_CHECK(f->f_txr->txr_no_descs > 0);
	for (seq = 0; seq < sent;) {
		KT_CHECK(hn_fake_read(f, &p));
		(void)walk(f, &p, &seq);
		hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_OK);
		hn_fake_room(f);
		hn_tx_flush(f->f_txr);
	}
	hn_fake_end(f);
}

KTEST(hn_tx_bad_completions, "completions of what the host does not have")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	uint32_t short_ack = HN_NVS_TYPE_RNDIS_ACK;

	f = hn_fake_begin(65536, FAKE_SECTS);
	/* Before anything was sent. */
	hn_fake_complete(f, 0, HN_NVS_STATUS_OK);
	hn_fake_complete(f, hn_id(0, 1), HN_NVS_STATUS_OK);
	KT_EQ(f->f_txr->txr_bad, 2);
	KT_EQ(send(f, hn_fake_mbuf(0, 20000, MCLBYTES)), 0);
	KT_CHECK(hn_fake_read(f, &p));
	/* Another use, another descriptor, none. */
	hn_fake_complete(f, p.p_xid + (1ULL << 32), HN_NVS_STATUS_OK);
	hn_fake_complete(f, p.p_xid - (1ULL << 32), HN_NVS_STATUS_OK);
	hn_fake_complete(f, p.p_xid ^ 1, HN_NVS_STATUS_OK);
	hn_fake_complete(f, hn_id(f->f_txr->txr_ndesc, 1), HN_NVS_STATUS_OK);
	hn_fake_complete(f, ~0ULL, HN_NVS_STATUS_OK);
	KT_EQ(f->f_txr->txr_bad, 7);
	KT_EQ(hn_tx_outstanding(f->f_txr), 1);
	/* Its own, and once more. */
	hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_FAILED);
	KT_EQ(hn_tx_outstanding(f->f_txr), 0);
	KT_EQ(f->f_txr->txr_rejected, 1);
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OERRORS), 1);
	hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_OK);
	KT_EQ(f->f_txr->txr_bad, 8);
	/* One too short to say how it went. */
	KT_EQ(send(f, hn_fake_mbuf(0, 60, MCLBYTES)), 0);
	KT_CHECK(hn_fake_read(f, &p));
	hn_tx_complete(f->f_txr, p.p_xid, &short_ack, sizeof(short_ack));
	KT_EQ(f->f_txr->txr_rejected, 2);
	KT_EQ(hn_tx_outstanding(f->f_txr), 0);
	hn_fake_end(f);
}

KTEST(hn_tx_suspended, "packets wait while sending is suspended")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;

	f = hn_fake_begin(65536, FAKE_SECTS);
	hn_tx_suspend(f->f_sc);
	KT_EQ(send(f, hn_fake_mbuf(7, 60, MCLBYTES)), 0);
	KT_CHECK(!hn_fake_read(f, &p));
	hn_tx_resume(f->f_sc);
	receive_one(f, &p);
	KT_CHECK(intact(7, 60));
	/* Flushed, they do not. */
	hn_tx_suspend(f->f_sc);
	KT_EQ(send(f, hn_fake_mbuf(8, 60, MCLBYTES)), 0);
	hn_qflush(f->f_sc->sc_ifp);
	hn_tx_resume(f->f_sc);
	KT_CHECK(!hn_fake_read(f, &p));
	/* An interface that is down takes none. */
	if_setdrvflagbits(f->f_sc->sc_ifp, 0, IFF_DRV_RUNNING);
	KT_EQ(send(f, hn_fake_mbuf(9, 60, MCLBYTES)), ENETDOWN);
	hn_fake_end(f);
}

KTEST(hn_tx_broken, "a channel that takes nothing more costs its packets, and "
    "is left")
{
	struct hn_fake *f;

	f = hn_fake_begin(65536, FAKE_SECTS);
	f->f_ch->ch_txok = false;
	KT_EQ(send(f, hn_fake_mbuf(0, 60, MCLBYTES)), 0);
	KT_EQ(send(f, hn_fake_mbuf(1, 20000, MCLBYTES)), 0);
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OERRORS), 2);
	KT_EQ(hn_tx_outstanding(f->f_txr), 0);
	taskqueue_drain(f->f_sc->sc_tq, &f->f_sc->sc_recover_task);
	KT_CHECK(f->f_recovers >= 1);
	KT_CHECK((f->f_sc->sc_flags & (HN_F_BROKEN | HN_F_DEAF)) ==
	    HN_F_BROKEN);
	hn_fake_end(f);
}

KTEST(hn_tx_held, "what is sent from the callback goes together, with one "
    "signal, or when it is much")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	uint32_t before;
	u_int i;

	f = hn_fake_begin(65536, 0);
	hn_tx_hold(f->f_txr);
	before = f->f_signals;
	for (i = 0; i < 8; i++)
		KT_EQ(send(f, hn_fake_mbuf(i, 3000, MCLBYTES)), 0);
	KT_CHECK(!hn_fake_read(f, &p));
	KT_EQ(f->f_signals, before);
	hn_tx_flush(f->f_txr);
	for (i = 0; i < 8; i++) {
		KT_CHECK(hn_fake_read(f, &p));
		hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_OK);
	}
	KT_CHECK(!hn_fake_read(f, &p));

	/* Afterwards, and from elsewhere, at once. */
	KT_EQ(send(f, hn_fake_mbuf(8, 3000, MCLBYTES)), 0);
	KT_CHECK(hn_fake_read(f, &p));
	hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_OK);

	hn_tx_hold(f->f_txr);
	for (i = 0; i < 64; i++)
		KT_EQ(send(f, hn_fake_mbuf(i, 60, MCLBYTES)), 0);
	KT_CHECK(hn_fake_read(f, &p));
	hn_tx_flush(f->f_txr);
	hn_tx_suspend(f->f_sc);
	hn_tx_reclaim(f->f_sc, false);
	hn_fake_end(f);
}

KTEST(hn_tx_reclaim, "a closed channel gives back what was under way")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;
	uint32_t i;

	f = hn_fake_begin(PAGE_SIZE, FAKE_SECTS);
	for (i = 0; i < 60; i++)
		KT_EQ(send(f, hn_fake_mbuf(i, i % 2 == 0 ? 9000 : 61,
		    MCLBYTES)), 0);
	hn_tx_suspend(f->f_sc);
	KT_CHECK(!hn_tx_drain(f->f_sc, 0));
	hn_tx_reclaim(f->f_sc, false);
	KT_CHECK(hn_tx_drain(f->f_sc, 0));
	/* Late words of the host find nothing. */
	KT_CHECK(hn_fake_read(f, &p));
	hn_fake_complete(f, p.p_xid, HN_NVS_STATUS_OK);
	KT_EQ(f->f_txr->txr_bad, 1);
	/* A new session deals all descriptors out again. */
	hn_ring_config(f->f_sc);
	KT_EQ(f->f_txr->txr_nfree[HN_TXF_BARE] +
	    f->f_txr->txr_nfree[HN_TXF_SECT], f->f_txr->txr_ndesc);
	hn_fake_end(f);
}

KTEST(hn_tx_dma, "frames that cannot be mapped")
{
	struct hn_fake *f;
	struct hn_fake_pkt p;

	f = hn_fake_begin(65536, FAKE_SECTS);
	kpi_fail_nth(KPI_FAIL_BUSDMA, 1);
	KT_EQ(send(f, hn_fake_mbuf(0, 9000, MCLBYTES)), 0);
	KT_CHECK(kpi_fail_hit(KPI_FAIL_BUSDMA));
	kpi_fail_nth(KPI_FAIL_BUSDMA, 0);
	KT_CHECK(!hn_fake_read(f, &p));
	KT_EQ(f->f_txr->txr_dma_failed, 1);
	KT_EQ(if_getcounter(f->f_sc->sc_ifp, IFCOUNTER_OERRORS), 1);
	/* Too many pieces: put together, or dropped if even that fails. */
	KT_EQ(send(f, hn_fake_mbuf(1, 9000, 100)), 0);
	receive_one(f, &p);
	KT_CHECK(intact(1, 9000));
	KT_EQ(f->f_txr->txr_collapsed, 1);
	hn_tx_suspend(f->f_sc);
	KT_EQ(send(f, hn_fake_mbuf(2, 9000, 100)), 0);
	kpi_fail_nth(KPI_FAIL_MBUF, 1);
	hn_tx_resume(f->f_sc);
	KT_CHECK(kpi_fail_hit(KPI_FAIL_MBUF));
	kpi_fail_nth(KPI_FAIL_MBUF, 0);
	KT_CHECK(!hn_fake_read(f, &p));
	KT_EQ(f->f_txr->txr_dma_failed, 2);
	KT_EQ(hn_tx_outstanding(f->f_txr), 0);
	hn_fake_end(f);
}

#define	RACE_THREADS	3
#define	RACE_PACKETS	400

static struct hn_fake *race;
static u_int race_sent;

/* One is the host, the others send, each a flow of its own. */
static void
race_thread(void *arg)
{
	static uint32_t next[RACE_THREADS + 1];
	struct hn_fake_pkt p;
	struct mbuf *m;
	uint32_t i, n, ofs, flow, got;
	u_int me;

	me = atomic_fetchadd_int(&race_sent, 1);
	if (me != 0) {
		for (i = 0; i < RACE_PACKETS;) {
			m = hn_fake_mbuf(me << 16 | i, i % 7 == 0 ? 9000 : 61,
			    MCLBYTES);
			if (send(race, m) == 0)
				i++;
		}
		return;
	}
	for (got = 0; got < RACE_THREADS * RACE_PACKETS;) {
		if (!hn_fake_read(race, &p)) {
			hn_tx_flush(race->f_txr);
			cpu_spinwait();
			continue;
		}
		n = hn_fake_bytes(race, &p, bytes, sizeof(bytes));
		for (ofs = 0; ofs < n; got++) {
			ofs += hn_fake_frame(bytes + ofs, n - ofs, &ff);
			flow = le32dec(ff.ff_data) >> 16;
			KT_CHECK(flow >= 1 && flow <= RACE_THREADS);
			KT_EQ(le32dec(ff.ff_data) & 0xffff, next[flow]++);
		}
		hn_fake_complete(race, p.p_xid, HN_NVS_STATUS_OK);
		hn_fake_room(race);
	}
}

KTEST(real_hn_tx_race, "threads that send at once, and a host that answers")
{

	race = hn_fake_begin(4 * PAGE_SIZE, FAKE_SECTS);
	ktest_threads(RACE_THREADS + 1, race_thread, NULL);
	KT_EQ(hn_tx_outstanding(race->f_txr), 0);
	KT_EQ(race->f_txr->txr_pkts, RACE_THREADS * RACE_PACKETS);
	hn_fake_end(race);
}

KTEST(hn_agg_limits, "what host, section and administrator allow")
{
	struct hn_agg_limits al;

	hn_agg_limits(&al, 6144, 0xefffffff, 8, 8, -1, -1);
	KT_EQ(al.al_size, 6144);
	KT_EQ(al.al_pkts, 8);
	KT_EQ(al.al_align, 8);
	hn_agg_limits(&al, 6144, 4000, 8, 0, -1, -1);
	KT_EQ(al.al_size, 4000);
	KT_EQ(al.al_align, 4);
	hn_agg_limits(&al, 6144, 4000, 8, 4, 3000, 4);
	KT_EQ(al.al_size, 3000);
	KT_EQ(al.al_pkts, 4);
	/* More than the host wants is the host's. */
	hn_agg_limits(&al, 6144, 4000, 8, 4, 5000, 40);
	KT_EQ(al.al_size, 4000);
	KT_EQ(al.al_pkts, 8);
	/* Off, by either side, or for want of room or of a section. */
	hn_agg_limits(&al, 6144, 4000, 8, 8, 0, -1);
	KT_EQ(al.al_pkts, 1);
	hn_agg_limits(&al, 6144, 4000, 8, 8, -1, 0);
	KT_EQ(al.al_pkts, 1);
	hn_agg_limits(&al, 6144, 4000, 0, 8, -1, -1);
	KT_EQ(al.al_pkts, 1);
	hn_agg_limits(&al, 6144, 100, 8, 8, -1, -1);
	KT_EQ(al.al_pkts, 1);
	hn_agg_limits(&al, 0, 4000, 8, 8, -1, -1);
	KT_EQ(al.al_pkts, 1);
	/* Alignments that cannot be. */
	hn_agg_limits(&al, 6144, 4000, 8, 12, -1, -1);
	KT_EQ(al.al_pkts, 1);
	KT_EQ(al.al_align, 4);
	hn_agg_limits(&al, 6144, 4000, 8, 0x80000000, -1, -1);
	KT_EQ(al.al_pkts, 1);
	KT_EQ(al.al_align, 4);
}

KTEST(hn_agg_fits, "when a message joins others")
{
	struct hn_agg_limits al = { .al_size = 1000, .al_pkts = 3 };

	KT_CHECK(hn_agg_fits(&al, 0, 0, 5000));
	KT_CHECK(hn_agg_fits(&al, 600, 1, 400));
	KT_CHECK(!hn_agg_fits(&al, 600, 1, 401));
	KT_CHECK(hn_agg_fits(&al, 100, 2, 100));
	KT_CHECK(!hn_agg_fits(&al, 100, 3, 100));
	KT_CHECK(!hn_agg_fits(&al, 1000, 1, 1));
	KT_CHECK(!hn_agg_fits(&al, 5000, 1, 100));
	KT_CHECK(!hn_agg_fits(&al, 600, 1, 0xffffffff));
}
