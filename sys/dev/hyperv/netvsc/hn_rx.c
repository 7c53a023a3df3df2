/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Receiving: a transfer of the host names pieces of the receive buffer, each
 * with a message, each of these with a frame or a part of one.  The headers of
 * a frame are always copied: the host can change its buffer at any time, and
 * the stack looks at headers more than once.  Payload that is long enough stays
 * where it is (hn_loan.c), unless too much of the buffer is out already.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <netinet/in.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_RX_BATCH	512	/* frames a callback, then again */

/* Hosts send at most so many pieces in one transfer (protocol: netvsc, 4.2). */
#define	HN_RX_RANGES_MAX	562

_Static_assert(HN_FRAME_PEEK <= MHLEN, "headers must fit into an mbuf");

/* A transfer while it is being taken apart. */
struct hn_rxfer {
	struct hn_rx_ring *rx_ring;
	struct hn_loan	*rx_loan;	/* NULL: nothing is on loan so far */
	uint64_t	 rx_xid;
	u_int		 rx_cnt;	/* pieces */
	u_int		 rx_pkts;	/* delivered */
	bool		 rx_noloan;	/* no more may be */
	bool		 rx_bad;	/* something made no sense */
	bool		 rx_deaf;	/* nobody is to have frames */
	int		 rx_caps;	/* IFCAP_ in use */

	/* A coalesced frame some of whose parts are there. */
	struct mbuf	*rx_head;	/* NULL: none */
	struct mbuf	*rx_tail;
	struct hn_rxinfo rx_info;	/* of the first part */
	struct hn_frame	 rx_frame;
};

int
hn_rx_send_ack(struct vmbus_channel *ch, uint64_t xid, uint32_t status,
    struct vmbus_signal *sg)
{
	uint32_t ack[HN_NVS_ACK_LEN / sizeof(uint32_t)] = {
		HN_NVS_TYPE_RNDIS_ACK, status
	};

	return (vmbus_ch_send_quiet(ch, VMBUS_PKT_TYPE_COMP, 0, ack,
	    sizeof(ack), xid, sg));
}

bool
hn_rx_ready(struct hn_rx_ring *rxr)
{

	return (rxr->rxr_nacks < HN_RX_ACKS && rxr->rxr_batch < HN_RX_BATCH);
}

/*
 * Sends what is due.  With the ring full the rest stays for the callback that
 * comes when there is room; with the channel broken it is of no use any more.
 */
static void
hn_rx_ack_flush(struct hn_rx_ring *rxr)
{
	u_int i;
	int error;

	error = 0;
	for (i = 0; i < rxr->rxr_nacks; i++) {
		error = hn_rx_send_ack(rxr->rxr_ch, rxr->rxr_ack[i].ak_xid,
		    rxr->rxr_ack[i].ak_status, &rxr->rxr_signal);
		if (error != 0)
			break;
	}
	if (error == EAGAIN)
		memmove(rxr->rxr_ack, rxr->rxr_ack + i,
		    (rxr->rxr_nacks - i) * sizeof(*rxr->rxr_ack));
	else if (error != 0) {
		rxr->rxr_ack_failed += rxr->rxr_nacks - i;
		i = rxr->rxr_nacks;
	}
	rxr->rxr_nacks -= i;
	rxr->rxr_due = 0;
}

/* What lies in the ring meanwhile the host finds by itself, if it is awake. */
static void
hn_rx_ack(struct hn_rxfer *rx)
{
	struct hn_rx_ring *rxr = rx->rx_ring;
	struct hn_ack *ak = &rxr->rxr_ack[rxr->rxr_nacks++];

	ak->ak_xid = rx->rx_xid;
	ak->ak_status = rx->rx_bad ? HN_NVS_STATUS_FAILED : HN_NVS_STATUS_OK;
	rxr->rxr_due += rx->rx_cnt;
	if (rxr->rxr_due >= atomic_load_int(&rxr->rxr_ack_batch) &&
	    rxr->rxr_ch != NULL)
		hn_rx_ack_flush(rxr);
}

void
hn_rx_flush(struct hn_rx_ring *rxr)
{
	struct vmbus_signal sg;

	/* LRO first: what it gives back can be acknowledged with the rest. */
	tcp_lro_flush_all(&rxr->rxr_lro);
	rxr->rxr_batch = 0;
	if (rxr->rxr_ch == NULL)
		return;
	if (rxr->rxr_nacks != 0)
		hn_rx_ack_flush(rxr);
	hn_loan_ack(rxr, rxr->rxr_ch, &rxr->rxr_signal);
	if (rxr->rxr_signal.sg_due) {
		sg = rxr->rxr_signal;
		rxr->rxr_signal.sg_due = false;
		vmbus_ch_signal(&sg);
	}
}

/* What the host, or the administrator in its place, says of checksums. */
static void
hn_rx_csum(struct hn_rxfer *rx, struct mbuf *m, const struct hn_rxinfo *ri,
    const struct hn_frame *fr)
{
	struct hn_rx_ring *rxr = rx->rx_ring;
	u_int trust;
	bool ip, l4;

	if (fr->fr_ip4 ? (rx->rx_caps & IFCAP_RXCSUM) == 0 :
	    !fr->fr_ip6 || (rx->rx_caps & IFCAP_RXCSUM_IPV6) == 0)
		return;
	if ((ri->ri_have & HN_RXI_CSUM) != 0) {
		/* Old hosts say TCP when they mean UDP (4.4). */
		ip = (ri->ri_csum & NDIS_RXCSUM_IP_OK) != 0;
		l4 = (ri->ri_csum & (NDIS_RXCSUM_TCP_OK |
		    NDIS_RXCSUM_UDP_OK)) != 0;
	} else {
		trust = atomic_load_int(&rxr->rxr_sc->sc_trust);
		ip = (trust & HN_TRUST_IP) != 0;
		l4 = (trust & (fr->fr_l4proto == IPPROTO_TCP ? HN_TRUST_TCP :
		    HN_TRUST_UDP)) != 0;
		if (l4 && fr->fr_l4proto != 0)
			rxr->rxr_csum_trusted++;
	}
	if (ip && fr->fr_ip4) {
		m->m_pkthdr.csum_flags |= CSUM_IP_CHECKED | CSUM_IP_VALID;
		rxr->rxr_csum_ip++;
	}
	/* Not of fragments, whatever is said of them. */
	if (l4 && fr->fr_l4proto != 0) {
		m->m_pkthdr.csum_flags |= CSUM_DATA_VALID | CSUM_PSEUDO_HDR;
		m->m_pkthdr.csum_data = 0xffff;
		if (fr->fr_l4proto == IPPROTO_TCP)
			rxr->rxr_csum_tcp++;
		else
			rxr->rxr_csum_udp++;
	}
}

/* mbuf(9)'s word for a kind of hash; 0: none. */
static uint8_t
hn_rx_hashtype(uint32_t type, const struct hn_frame *fr)
{

	switch (type) {
	case NDIS_HASH_IP4:
		return (M_HASHTYPE_RSS_IPV4);
	case NDIS_HASH_TCP4:
		/* From version 10 on hosts hash UDP as well, and say TCP. */
		return (fr->fr_l4proto == IPPROTO_UDP ?
		    M_HASHTYPE_RSS_UDP_IPV4 : M_HASHTYPE_RSS_TCP_IPV4);
	case NDIS_HASH_IP6:
		return (M_HASHTYPE_RSS_IPV6);
	case NDIS_HASH_IP6_EX:
		return (M_HASHTYPE_RSS_IPV6_EX);
	case NDIS_HASH_TCP6:
		return (M_HASHTYPE_RSS_TCP_IPV6);
	case NDIS_HASH_TCP6_EX:
		return (M_HASHTYPE_RSS_TCP_IPV6_EX);
	case NDIS_HASH_UDP4:
		return (M_HASHTYPE_RSS_UDP_IPV4);
	default:
		return (0);
	}
}

static void
hn_rx_hash(struct hn_rxfer *rx, struct mbuf *m, const struct hn_rxinfo *ri,
    const struct hn_frame *fr)
{
	struct hn_rx_ring *rxr = rx->rx_ring;
	uint8_t type;

	type = 0;
	if ((ri->ri_have & HN_RXI_HASH) != 0 &&
	    (ri->ri_hashinfo & NDIS_HASH_FUNCTION_MASK) == NDIS_HASH_TOEPLITZ)
		type = hn_rx_hashtype(ri->ri_hashinfo & NDIS_HASH_TYPE_MASK &
		    atomic_load_int(&rxr->rxr_hash), fr);
	if (type != 0) {
		rxr->rxr_rss_pkts++;
		m->m_pkthdr.flowid = ri->ri_hash;
		M_HASHTYPE_SET(m, type);
	} else {
		m->m_pkthdr.flowid = rxr->rxr_idx;
		M_HASHTYPE_SET(m, M_HASHTYPE_OPAQUE);
	}
}

/* Whether LRO has taken the packet. */
static bool
hn_rx_lro(struct hn_rxfer *rx, struct mbuf *m, const struct hn_frame *fr)
{
	struct hn_rx_ring *rxr = rx->rx_ring;

	if ((rx->rx_caps & IFCAP_LRO) == 0 || fr->fr_l4proto != IPPROTO_TCP ||
	    (m->m_pkthdr.csum_flags & CSUM_DATA_VALID) == 0)
		return (false);
	rxr->rxr_lro_tried++;
	if (rxr->rxr_lro.lro_mbuf_max != 0) {
		tcp_lro_queue_mbuf(&rxr->rxr_lro, m);
		return (true);
	}
	return (rxr->rxr_lro.lro_cnt != 0 &&
	    tcp_lro_rx(&rxr->rxr_lro, m, 0) == 0);
}

/* A whole frame goes into the stack. */
static void
hn_rx_deliver(struct hn_rxfer *rx, struct mbuf *m, const struct hn_rxinfo *ri,
    const struct hn_frame *fr)
{
	if_t ifp = rx->rx_ring->rxr_sc->sc_ifp;

	m->m_pkthdr.rcvif = ifp;
	if ((ri->ri_have & HN_RXI_VLAN) != 0) {
		m->m_pkthdr.ether_vtag = ri->ri_vtag;
		m->m_flags |= M_VLANTAG;
	}
	hn_rx_csum(rx, m, ri, fr);
	hn_rx_hash(rx, m, ri, fr);
	rx->rx_pkts++;
	if (!hn_rx_lro(rx, m, fr))
		if_input(ifp, m);
}

/* Bytes of the receive buffer as an mbuf of that memory; NULL: copy them. */
static struct mbuf *
hn_rx_lend(struct hn_rxfer *rx, uint8_t *p, uint32_t len)
{

	if (rx->rx_noloan || len < hn_rx_copybreak)
		return (NULL);
	if (rx->rx_loan == NULL) {
		rx->rx_loan = hn_loan_get(rx->rx_ring, rx->rx_xid,
		    rx->rx_cnt);
		if (rx->rx_loan == NULL) {
			rx->rx_noloan = true;
			return (NULL);
		}
	}
	return (hn_loan_mbuf(rx->rx_loan, p, len));
}

/* A copy, in as many mbufs as it takes. */
static struct mbuf *
hn_rx_copy(const uint8_t *p, uint32_t len, int flags)
{
	struct mbuf *m, *n;
	uint32_t part;

	if (len <= MHLEN)
		m = flags != 0 ? m_gethdr(M_NOWAIT, MT_DATA) :
		    m_get(M_NOWAIT, MT_DATA);
	else if (len <= MCLBYTES)
		m = m_getcl(M_NOWAIT, MT_DATA, flags);
	else
		m = m_getm2(NULL, (int)len, M_NOWAIT, MT_DATA, flags);
	for (n = m; n != NULL && len > 0; n = n->m_next) {
		part = MIN(len, (uint32_t)M_TRAILINGSPACE(n));
		memcpy(mtod(n, uint8_t *), p, part);
		n->m_len = (int)part;
		p += part;
		len -= part;
	}
	return (m);
}

/*
 * The first, or only, part of a frame.  *fr is what the copy of its headers
 * says, and is never looked for in the buffer again.
 */
static struct mbuf *
hn_rx_first(struct hn_rxfer *rx, uint8_t *p, uint32_t len,
    struct hn_frame *fr)
{
	struct mbuf *m, *n;
	uint32_t hdrlen;

	if (len <= MHLEN || len < hn_rx_copybreak) {
		rx->rx_ring->rxr_small++;
		m = hn_rx_copy(p, len, M_PKTHDR);
		if (m != NULL)
			hn_frame_parse(mtod(m, uint8_t *),
			    (uint32_t)m->m_len, fr);
		goto out;
	}
	m = m_gethdr(M_NOWAIT, MT_DATA);
	if (m == NULL)
		return (NULL);
	memcpy(mtod(m, uint8_t *), p, HN_FRAME_PEEK);
	hn_frame_parse(mtod(m, uint8_t *), HN_FRAME_PEEK, fr);
	hdrlen = fr->fr_l4ofs != 0 ? fr->fr_hdrlen : HN_FRAME_PEEK;
	n = hn_rx_lend(rx, p + hdrlen, len - hdrlen);
	if (n != NULL) {
		rx->rx_ring->rxr_loaned++;
		m->m_len = (int)hdrlen;
		m->m_next = n;
	} else {
		/* The headers again, but from the copy that was looked at. */
		rx->rx_ring->rxr_copied++;
		n = hn_rx_copy(p, len, M_PKTHDR);
		if (n != NULL)
			memcpy(mtod(n, uint8_t *), mtod(m, uint8_t *),
			    HN_FRAME_PEEK);
		m_freem(m);
		m = n;
	}
out:
	if (m != NULL)
		m->m_pkthdr.len = (int)len;
	return (m);
}

static void
hn_rx_rsc_lost(struct hn_rxfer *rx)
{

	rx->rx_ring->rxr_rsc_drop++;
	if_inc_counter(rx->rx_ring->rxr_sc->sc_ifp, IFCOUNTER_IQDROPS, 1);
}

static void
hn_rx_rsc_drop(struct hn_rxfer *rx)
{

	if (rx->rx_head == NULL)
		return;
	m_freem(rx->rx_head);
	rx->rx_head = NULL;
	hn_rx_rsc_lost(rx);
}

/* Puts a part behind the others of its frame. */
static int
hn_rx_rsc_add(struct hn_rxfer *rx, uint8_t *p, uint32_t len)
{
	struct mbuf *m;

	if ((uint32_t)rx->rx_head->m_pkthdr.len + len > HN_FRAME_MAX)
		return (EINVAL);
	m = hn_rx_lend(rx, p, len);
	if (m == NULL)
		m = hn_rx_copy(p, len, 0);
	if (m == NULL)
		return (ENOBUFS);
	rx->rx_tail->m_next = m;
	rx->rx_tail = m_last(m);
	rx->rx_head->m_pkthdr.len += (int)len;
	return (0);
}

/*
 * A part of a coalesced frame.  All parts are in one transfer and follow each
 * other; VLAN, checksum and hash are the first one's (protocol: netvsc, 4.4).
 */
static void
hn_rx_rsc(struct hn_rxfer *rx, uint8_t *p, uint32_t len,
    const struct hn_rxinfo *ri)
{

	if ((ri->ri_rscflags & NDIS_RSC_FIRST) != 0) {
		hn_rx_rsc_drop(rx);
		if (len >= HN_FRAME_MIN)
			rx->rx_head = hn_rx_first(rx, p, len, &rx->rx_frame);
		if (rx->rx_head == NULL) {
			hn_rx_rsc_lost(rx);
			return;
		}
		rx->rx_tail = m_last(rx->rx_head);
		rx->rx_info = *ri;
	} else if (rx->rx_head == NULL) {
		/* Its first was dropped, or never there. */
		return;
	} else if (ri->ri_rscid != rx->rx_info.ri_rscid ||
	    hn_rx_rsc_add(rx, p, len) != 0) {
		hn_rx_rsc_drop(rx);
		return;
	}
	if ((ri->ri_rscflags & NDIS_RSC_LAST) != 0) {
		rx->rx_ring->rxr_rsc_pkts++;
		hn_rx_deliver(rx, rx->rx_head, &rx->rx_info, &rx->rx_frame);
		rx->rx_head = NULL;
	}
}

static void
hn_rx_data(struct hn_rxfer *rx, uint8_t *p, uint32_t len)
{
	struct hn_rxinfo ri;
	struct hn_frame fr;
	struct mbuf *m;

	if (hn_packet_parse(p, len, &ri) != 0) {
		rx->rx_bad = true;
		rx->rx_ring->rxr_bad++;
		if_inc_counter(rx->rx_ring->rxr_sc->sc_ifp, IFCOUNTER_IERRORS,
		    1);
		hn_bad(rx->rx_ring->rxr_sc, "malformed packet", len);
		return;
	}
	p += ri.ri_ofs;
	if ((ri.ri_have & HN_RXI_PIECE) != 0) {
		hn_rx_rsc(rx, p, ri.ri_len, &ri);
		return;
	}
	m = hn_rx_first(rx, p, ri.ri_len, &fr);
	if (__predict_false(m == NULL)) {
		if_inc_counter(rx->rx_ring->rxr_sc->sc_ifp, IFCOUNTER_IQDROPS,
		    1);
		return;
	}
	hn_rx_deliver(rx, m, &ri, &fr);
}

/* One piece of the receive buffer, where the host says it is. */
static void
hn_rx_range(struct hn_rxfer *rx, uint32_t ofs, uint32_t len)
{
	struct hn_softc *sc = rx->rx_ring->rxr_sc;
	struct hn_rxbuf *rb = sc->sc_rxbuf;
	uint8_t *p;

	if (len < sizeof(struct hn_rndis_hdr) || len > rb->rb_size ||
	    ofs > rb->rb_size - len || (ofs & 3) != 0) {
		rx->rx_bad = true;
		rx->rx_ring->rxr_bad++;
		hn_bad(sc, "range outside the receive buffer", ofs);
		return;
	}
	p = rb->rb_mem + ofs;
	if (atomic_load_32((uint32_t *)p) == HN_RNDIS_PACKET) {
		if (!rx->rx_deaf)
			hn_rx_data(rx, p, len);
	} else if (rx->rx_ring->rxr_idx == 0)
		hn_rndis_input(sc, p, len);
	else {
		rx->rx_bad = true;
		rx->rx_ring->rxr_bad++;
		hn_bad(sc, "control message on a sub-channel", ofs);
	}
}

/* The header of a transfer; *cnt is how many ranges follow it. */
static int
hn_rx_check(struct hn_rx_ring *rxr, const struct vmbus_rxpkt *rp, u_int *cnt)
{
	const volatile struct vmbus_pkt_rxbuf *pr = rp->rp_hdr;
	uint32_t type;

	*cnt = pr->pr_cnt;
	if (rp->rp_len < HN_NVS_MSG_HDR_LEN + sizeof(struct hn_nvs_rndis))
		return (EINVAL);
	memcpy(&type, rp->rp_data, sizeof(type));
	if (type != HN_NVS_TYPE_RNDIS || pr->pr_id != HN_NVS_RXBUF_ID ||
	    *cnt == 0 || *cnt > HN_RX_RANGES_MAX ||
	    *cnt > (rp->rp_hdrlen - sizeof(*pr)) /
	    sizeof(struct vmbus_rxbuf_range) ||
	    rxr->rxr_sc->sc_rxbuf == NULL)
		return (EINVAL);
	return (0);
}

/*
 * Every transfer is acknowledged, also one that is all wrong: the host would
 * otherwise miss its buffers until the session ends.
 */
void
hn_rx_packet(struct hn_rx_ring *rxr, const struct vmbus_rxpkt *rp)
{
	struct hn_softc *sc = rxr->rxr_sc;
	const volatile struct vmbus_rxbuf_range *rr;
	struct hn_rxfer rx;
	u_int i;

	memset(&rx, 0, __offsetof(struct hn_rxfer, rx_info));
	rx.rx_ring = rxr;
	rx.rx_xid = rp->rp_xid;
	if (hn_rx_check(rxr, rp, &rx.rx_cnt) != 0) {
		rxr->rxr_bad++;
		hn_bad(sc, "malformed transfer", rp->rp_xid);
		rx.rx_bad = true;
		rx.rx_cnt = 1;
		hn_rx_ack(&rx);
		return;
	}
	rx.rx_deaf = atomic_load_acq_int(&sc->sc_rxok) == 0;
	if (!rx.rx_deaf) {
		rx.rx_caps = if_getcapenable(sc->sc_ifp);
		/* The interface is younger than the ring. */
		rxr->rxr_lro.ifp = sc->sc_ifp;
	}
	rr = (const volatile void *)((const uint8_t *)rp->rp_hdr +
	    sizeof(struct vmbus_pkt_rxbuf));
	for (i = 0; i < rx.rx_cnt; i++)
		hn_rx_range(&rx, rr[i].rr_ofs, rr[i].rr_len);
	hn_rx_rsc_drop(&rx);
	rxr->rxr_batch += rx.rx_cnt;
	if (rx.rx_pkts != 0) {
		rxr->rxr_pkts += rx.rx_pkts;
		if_inc_counter(sc->sc_ifp, IFCOUNTER_IPACKETS, rx.rx_pkts);
	}
	if (rx.rx_loan == NULL || hn_loan_end(rx.rx_loan))
		hn_rx_ack(&rx);
}
