/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * From a frame to a message.  What is small is copied into a section of the
 * send buffer; of what is not, the headers are copied behind the message's own
 * and the rest is named to the host page by page.  So whatever must be changed
 * in headers is changed in a copy, and mbufs may be shared.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/kernel.h>

#include <net/bpf.h>
#include <netinet/in.h>
#include <machine/in_cksum.h>

#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_TX_CSUM4	(CSUM_IP | CSUM_IP_TCP | CSUM_IP_UDP)
#define	HN_TX_CSUM6	(CSUM_IP6_TCP | CSUM_IP6_UDP)

/* A frame on its way into a message. */
struct hn_txframe {
	struct hn_txinfo tf_info;
	uint32_t	 tf_len;	/* of the frame */
	uint32_t	 tf_hdrlen;	/* valid bytes of tf_hdr: they stand
					 * for the frame's first */
	uint8_t		 tf_hdr[HN_FRAME_PEEK];
};

/* Headers of a frame as they lie in memory, or copied together. */
static const uint8_t *
hn_txframe_peek(struct hn_txframe *tf, const struct mbuf *m, uint32_t *lenp)
{

	*lenp = MIN(tf->tf_len, HN_FRAME_PEEK);
	if (__predict_true((uint32_t)m->m_len >= *lenp))
		return (mtod(m, const uint8_t *));
	m_copydata(m, 0, (int)*lenp, (caddr_t)tf->tf_hdr);
	return (tf->tf_hdr);
}

/* Makes the headers found at p ours to change. */
static void
hn_txframe_own(struct hn_txframe *tf, const uint8_t *p,
    const struct hn_frame *fr)
{

	if (p != tf->tf_hdr)
		memcpy(tf->tf_hdr, p, fr->fr_hdrlen);
	tf->tf_hdrlen = fr->fr_hdrlen;
}

/* The host is to cut the frame up (protocol: netvsc, 4.4). */
static int
hn_txframe_lso(struct hn_txframe *tf, const struct mbuf *m, const uint8_t *p,
    const struct hn_frame *fr)
{
	uint32_t mss = m->m_pkthdr.tso_segsz;

	if (fr->fr_l4proto != IPPROTO_TCP || mss == 0 ||
	    fr->fr_l4ofs > NDIS_LSO_L4OFS_MAX)
		return (EINVAL);
	hn_txframe_own(tf, p, fr);
	hn_frame_lso(tf->tf_hdr, fr);
	tf->tf_info.ti_have |= HN_TXI_LSO;
	tf->tf_info.ti_offload = (mss & NDIS_LSO_MSS_MASK) | NDIS_LSO_V2 |
	    (uint32_t)fr->fr_l4ofs << NDIS_LSO_L4OFS_SHIFT |
	    (fr->fr_ip6 ? NDIS_LSO_IP6 : 0);
	return (0);
}

/*
 * Some hosts sum up a long datagram wrongly if it may be fragmented (protocol:
 * netvsc, 8).  Whether this is one.
 */
static bool
hn_txframe_udp_fixup(const uint8_t *p, const struct hn_frame *fr)
{

	return (hn_udpcs_fixup_mtu != 0 && fr->fr_ip4 &&
	    fr->fr_l4proto == IPPROTO_UDP &&
	    be16dec(p + fr->fr_l3ofs + 2) > hn_udpcs_fixup_mtu &&
	    (be16dec(p + fr->fr_l3ofs + 6) & 0x4000) == 0);
}

/* Sums a datagram up; its field holds the pseudo header's sum already. */
static void
hn_txframe_udp_sum(struct hn_txframe *tf, struct mbuf *m, const uint8_t *p,
    const struct hn_frame *fr)
{
	uint32_t end;
	uint16_t sum;

	end = fr->fr_l3ofs + be16dec(p + fr->fr_l3ofs + 2);
	if (end > tf->tf_len || end <= fr->fr_l4ofs)
		return;
	sum = in_cksum_skip(m, (int)end, fr->fr_l4ofs);
	hn_txframe_own(tf, p, fr);
	if (sum == 0)
		sum = 0xffff;
	memcpy(tf->tf_hdr + fr->fr_l4ofs + 6, &sum, sizeof(sum));
	atomic_add_64(&hn_udpcs_fixups, 1);
}

/* The host is to fill checksums in. */
static int
hn_txframe_csum(struct hn_txframe *tf, struct mbuf *m, const uint8_t *p,
    const struct hn_frame *fr)
{
	uint32_t flags = m->m_pkthdr.csum_flags, info;

	if (fr->fr_ip4 && (flags & CSUM_IP_UDP) != 0 &&
	    hn_txframe_udp_fixup(p, fr)) {
		hn_txframe_udp_sum(tf, m, p, fr);
		flags &= ~CSUM_IP_UDP;
	}
	info = 0;
	if ((flags & (CSUM_IP_TCP | CSUM_IP6_TCP)) != 0)
		info |= NDIS_TXCSUM_TCP;
	else if ((flags & (CSUM_IP_UDP | CSUM_IP6_UDP)) != 0)
		info |= NDIS_TXCSUM_UDP;
	if (info != 0) {
		if (fr->fr_l4ofs == 0)
			return (EINVAL);
		info |= (uint32_t)fr->fr_l4ofs << NDIS_TXCSUM_L4OFS_SHIFT;
	}
	if ((flags & CSUM_IP) != 0)
		info |= NDIS_TXCSUM_IPHDR;
	if (info == 0)
		return (0);
	tf->tf_info.ti_have |= HN_TXI_CSUM;
	tf->tf_info.ti_offload = info |
	    (fr->fr_ip6 ? NDIS_TXCSUM_IP6 : NDIS_TXCSUM_IP4);
	return (0);
}

/* What the message says beside the frame.  EINVAL: it cannot be said. */
static int
hn_txframe_init(struct hn_txframe *tf, struct hn_tx_ring *txr, struct mbuf *m)
{
	struct hn_softc *sc = txr->txr_sc;
	struct hn_frame fr;
	const uint8_t *p;
	uint32_t len;
	uint16_t tag;

	tf->tf_info.ti_have = 0;
	tf->tf_len = (uint32_t)m->m_pkthdr.len;
	tf->tf_hdrlen = 0;
	if (__predict_false(tf->tf_len < HN_FRAME_MIN ||
	    tf->tf_len > HN_FRAME_MAX))
		return (EINVAL);
	/* With one channel there is nothing to spread by it. */
	if ((sc->sc_caps & HN_CAP_HASHVAL) != 0 && sc->sc_nrings > 1) {
		tf->tf_info.ti_have |= HN_TXI_HASH;
		tf->tf_info.ti_hash =
		    M_HASHTYPE_GET(m) != M_HASHTYPE_NONE ?
		    m->m_pkthdr.flowid : txr->txr_idx;
	}
	if ((m->m_flags & M_VLANTAG) != 0) {
		tag = m->m_pkthdr.ether_vtag;
		tf->tf_info.ti_have |= HN_TXI_VLAN;
		tf->tf_info.ti_vlan = NDIS_VLAN_INFO(EVL_VLANOFTAG(tag),
		    EVL_PRIOFTAG(tag), EVL_CFIOFTAG(tag));
	}
	if ((m->m_pkthdr.csum_flags & (HN_TX_CSUM4 | HN_TX_CSUM6 |
	    CSUM_TSO)) == 0)
		return (0);
	p = hn_txframe_peek(tf, m, &len);
	hn_frame_parse(p, len, &fr);
	if ((m->m_pkthdr.csum_flags & CSUM_TSO) != 0)
		return (hn_txframe_lso(tf, m, p, &fr));
	return (hn_txframe_csum(tf, m, p, &fr));
}

/* Counts a packet that goes out, and shows it to who listens. */
static __inline void
hn_tx_count(struct hn_tx_ring *txr, struct mbuf *m)
{
	if_t ifp = txr->txr_sc->sc_ifp;

	ETHER_BPF_MTAP(ifp, m);
	txr->txr_pkts++;
	if_inc_counter(ifp, IFCOUNTER_OPACKETS, 1);
	if_inc_counter(ifp, IFCOUNTER_OBYTES, m->m_pkthdr.len);
	if (__predict_false((m->m_flags & M_MCAST) != 0))
		if_inc_counter(ifp, IFCOUNTER_OMCASTS, 1);
}

/* The frame's bytes, tf_hdr's in the place of its first. */
static __inline void
hn_txframe_copy(const struct hn_txframe *tf, const struct mbuf *m, uint8_t *to)
{
	uint32_t n = tf->tf_hdrlen;

	if (n != 0)
		memcpy(to, tf->tf_hdr, n);
	if (__predict_true((uint32_t)m->m_len == tf->tf_len))
		memcpy(to + n, mtod(m, const uint8_t *) + n, tf->tf_len - n);
	else
		m_copydata(m, (int)n, (int)(tf->tf_len - n),
		    (caddr_t)to + n);
}

/* A message that joins others in a section. */
static int
hn_tx_copy(struct hn_tx_ring *txr, const struct hn_txframe *tf, struct mbuf *m,
    uint32_t msglen)
{
	uint8_t *p;
	uint32_t len, n;

	len = roundup2(msglen, txr->txr_lim.al_align);
	p = hn_agg_room(txr, len);
	if (p == NULL)
		return (EAGAIN);
	n = hn_packet_build(p, &tf->tf_info, tf->tf_len, len - msglen);
	hn_txframe_copy(tf, m, p + n);
	if (len != msglen)
		memset(p + msglen, 0, len - msglen);
	hn_agg_add(txr, len);
	txr->txr_copied++;
	hn_tx_count(txr, m);
	m_freem(m);
	return (0);
}

/*
 * Takes the headers off the frame and puts them behind the message's, where
 * they are in the same page.  Returns how many bytes then lie at txd_hdr.
 */
static uint32_t
hn_tx_split(const struct hn_txframe *tf, struct mbuf *m,
    struct hn_txdesc *txd)
{
	uint32_t n, take;
	uint8_t *p;

	n = hn_packet_build(txd->txd_hdr, &tf->tf_info, tf->tf_len, 0);
	p = txd->txd_hdr + n;
	take = tf->tf_hdrlen;
	if (take != 0)
		memcpy(p, tf->tf_hdr, take);
	/* All of it, or a first mbuf that is little else than headers. */
	if (tf->tf_len <= HN_TX_HDR_ROOM - n)
		n += tf->tf_len;
	else if ((uint32_t)m->m_len <= HN_TX_HDR_ROOM - n)
		n += MAX((uint32_t)m->m_len, take);
	else
		n += take;
	if (txd->txd_hdr + n > p + take)
		m_copydata(m, (int)take, (int)(txd->txd_hdr + n - p - take),
		    (caddr_t)p + take);
	m_adj(m, (int)(txd->txd_hdr + n - p));
	return (n);
}

/* Maps what is left of the frame; *mp may become another.  ENOBUFS, EFBIG. */
static int
hn_tx_load(struct hn_tx_ring *txr, struct hn_txdesc *txd, struct mbuf **mp,
    bus_dma_segment_t *segs, int *nsegs)
{
	struct mbuf *m;
	int error;

	error = bus_dmamap_load_mbuf_sg(txr->txr_tag, txd->txd_map, *mp, segs,
	    nsegs, BUS_DMA_NOWAIT);
	if (error == EFBIG) {
		m = m_defrag(*mp, M_NOWAIT);
		if (m == NULL)
			return (ENOBUFS);
		*mp = m;
		txr->txr_collapsed++;
		error = bus_dmamap_load_mbuf_sg(txr->txr_tag, txd->txd_map, m,
		    segs, nsegs, BUS_DMA_NOWAIT);
	}
	if (__predict_false(error != 0))
		return (error);
	bus_dmamap_sync(txr->txr_tag, txd->txd_map, BUS_DMASYNC_PREWRITE);
	txd->txd_m = *mp;
	return (0);
}

/* A message whose memory is named to the host. */
static int
hn_tx_direct(struct hn_tx_ring *txr, const struct hn_txframe *tf,
    struct mbuf *m)
{
	bus_dma_segment_t segs[HN_TX_SEGS_MAX];
	struct hn_txdesc *txd;
	uint32_t n;
	int error, i, nsegs;

	/* Not before those that came before. */
	if (hn_agg_flush(txr) != 0)
		return (EAGAIN);
	txd = hn_txd_get(txr, HN_TXF_BARE);
	if (txd == NULL)
		return (EAGAIN);
	txd->txd_pkts = 1;
	hn_tx_count(txr, m);
	n = hn_tx_split(tf, m, txd);
	nsegs = 0;
	if (m->m_pkthdr.len == 0)
		m_freem(m);
	else {
		error = hn_tx_load(txr, txd, &m, segs, &nsegs);
		if (__predict_false(error != 0)) {
			txr->txr_dma_failed++;
			if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS,
			    1);
			hn_txd_put(txr, txd);
			m_freem(m);
			return (0);
		}
	}
	txr->txr_seg[0].gs_len = n;
	txr->txr_seg[0].gs_ofs = (uint32_t)(txd->txd_hdr_paddr & PAGE_MASK);
	txr->txr_seg[0].gs_pfn = atop(txd->txd_hdr_paddr);
	for (i = 0; i < nsegs; i++) {
		txr->txr_seg[i + 1].gs_len = (uint32_t)segs[i].ds_len;
		txr->txr_seg[i + 1].gs_ofs =
		    (uint32_t)(segs[i].ds_addr & PAGE_MASK);
		txr->txr_seg[i + 1].gs_pfn = atop(segs[i].ds_addr);
	}
	txr->txr_nseg = (u_int)nsegs + 1;
	error = hn_txd_send(txr, txd, 0);
	if (error == EAGAIN) {
		/* Its turn comes first: hn_txr_retry(). */
		txr->txr_wait = txd;
	} else if (__predict_false(error != 0)) {
		if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS, 1);
		hn_txd_unload(txr, txd);
		hn_txd_put(txr, txd);
	}
	return (0);
}

int
hn_tx_encap(struct hn_tx_ring *txr, struct mbuf *m)
{
	struct hn_txframe tf;
	uint32_t msglen;

	mtx_assert(&txr->txr_mtx, MA_OWNED);
	M_ASSERTPKTHDR(m);
	if (__predict_false(hn_txframe_init(&tf, txr, m) != 0)) {
		if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS, 1);
		m_freem(m);
		return (0);
	}
	msglen = hn_packet_hdrlen(&tf.tf_info) + tf.tf_len;
	if (roundup2(msglen, txr->txr_lim.al_align) <= txr->txr_copy_max) {
		txr->txr_copy_tried++;
		return (hn_tx_copy(txr, &tf, m, msglen));
	}
	return (hn_tx_direct(txr, &tf, m));
}
