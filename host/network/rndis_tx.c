/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * RNDIS messages from the guest, packets above all.  A message's bytes are a
 * section of the send buffer, then the ranges of the packet, and may be
 * several packets.  All of them are checked before the first is sent, and one
 * that is bad refuses the whole (status 2).  What decides is read once into
 * private memory; the frames' own bytes go from the guest's memory to the
 * back end, whose copy is the only one.  protocol: netvsc, 4.1 and 4.4
 */

#include <errno.h>
#include <string.h>

#include "network/nvsp_var.h"

#define	TCP_FLAGS	13u	/* in the TCP header */
#define	TCP_CWR		0x80u
#define	TX_PPI_MAX	512u
#define	TX_TAGS		8u	/* bytes of VLAN tags within frames */

/* --- The bytes of a message --- */

/* The range ends where the pieces so far end; false: too many. */
static bool
tx_range_ends(struct nvsp_tx *m, uint32_t len)
{

	if (m->nend == NVSP_IOV || m->len + len < len)
		return (false);
	m->len += len;
	m->end[m->nend++] = m->len;
	return (true);
}

static bool
tx_add_section(struct hvh_net *na, struct nvsp_tx *m, uint32_t ofs,
    uint32_t len)
{
	uint32_t at = ofs, left = len, n;

	if (len == 0)
		return (true);
	if (na->tx->flat != NULL) {
		m->iov[m->niov++] = (struct iovec){ na->tx->flat + ofs, len };
		return (tx_range_ends(m, len));
	}
	for (; left > 0; at += n, left -= n) {
		n = 4096 - at % 4096;
		if (n > left)
			n = left;
		m->iov[m->niov++] = (struct iovec){
		    na->tx->pages[at / 4096] + at % 4096, n };
	}
	return (tx_range_ends(m, len));
}

static bool
tx_add_ranges(struct hvh_net *na, struct nvsp_tx *m,
    const struct hvh_pkt *pkt)
{
	uint32_t i;
	int n;

	for (i = 0; i < pkt->nranges; i++) {
		if (hvh_range_iov(na->h, &pkt->ranges[i], 0,
		    pkt->ranges[i].len, m->iov + m->niov, NVSP_IOV - m->niov,
		    &n) != 0)
			return (false);
		m->niov += n;
		if (!tx_range_ends(m, pkt->ranges[i].len))
			return (false);
	}
	return (true);
}

/* Does [ofs, ofs + len) of the message lie in one range? */
static bool
tx_in_one_range(const struct nvsp_tx *m, uint32_t ofs, uint64_t len)
{
	unsigned i;

	for (i = 0; i < m->nend && m->end[i] <= ofs; i++)
		continue;
	return (i < m->nend && len <= m->end[i] - ofs);
}

static bool
tx_copy(const struct nvsp_tx *m, uint32_t ofs, void *buf, uint32_t len)
{

	return (len <= m->len - ofs &&
	    frame_copy(m->iov, m->niov, ofs, buf, len) == len);
}

/* --- Checks --- */

static bool
tx_check_ppi(struct rndis_tx *t, uint32_t type, const uint8_t *data,
    uint32_t len)
{
	uint32_t l4, least, v;

	if (type != RNDIS_PPI_CHECKSUM && type != RNDIS_PPI_LSO &&
	    type != RNDIS_PPI_VLAN)
		return (true);
	if (len < sizeof(v))
		return (false);
	memcpy(&v, data, sizeof(v));
	if (type == RNDIS_PPI_VLAN) {
		t->tagged = true;
		t->tci = RNDIS_VLAN_TO_TCI(v);
		return (true);
	}
	if (type == RNDIS_PPI_CHECKSUM) {
		/* Without a protocol it asks for nothing. */
		if ((v & (RNDIS_TXCSUM_IPV4 | RNDIS_TXCSUM_IPV6)) == 0)
			return (true);
		t->csum = v;
		l4 = RNDIS_TXCSUM_L4(v);
		least = (v & RNDIS_TXCSUM_IPV4) != 0 ? 34 : 54;
		if ((v & (RNDIS_TXCSUM_TCP | RNDIS_TXCSUM_UDP)) == 0)
			return (true);
	} else {
		if (RNDIS_LSO_MSS(v) == 0)
			return (false);
		t->lso = v;
		l4 = RNDIS_LSO_L4(v);
		least = (v & RNDIS_LSO_IPV6) != 0 &&
		    (v & RNDIS_LSO_V2) != 0 ? 54 : 34;
	}
	return (l4 == 0 || (l4 >= least && l4 < t->len));
}

static bool
tx_check_ppis(struct rndis_tx *t, const uint8_t *p, uint32_t len)
{
	struct rndis_ppi ppi;

	while (len > 0) {
		if (len < sizeof(ppi))
			return (false);
		memcpy(&ppi, p, sizeof(ppi));
		/* A size of 0 would never end. */
		if (ppi.size < sizeof(ppi) || ppi.size > len ||
		    ppi.size % 4 != 0 || ppi.offset < sizeof(ppi) ||
		    ppi.offset > ppi.size)
			return (false);
		if (!tx_check_ppi(t, ppi.type, p + ppi.offset,
		    ppi.size - ppi.offset))
			return (false);
		p += ppi.size;
		len -= ppi.size;
	}
	return (true);
}

/* An area of a packet message: behind the header and within the message. */
static bool
tx_check_area(const struct rndis_packet *p, uint32_t ofs, uint32_t len)
{

	return (ofs >= RNDIS_PACKET_BODY &&
	    (uint64_t)RNDIS_BASE + ofs + len <= p->hdr.len);
}

static bool
tx_check_packet(const struct hvh_net *na, const struct nvsp_tx *m,
    uint32_t ofs, const struct rndis_packet *p, struct rndis_tx *t)
{
	uint8_t ppis[TX_PPI_MAX];
	uint64_t data, info;

	data = (uint64_t)p->data_offset + p->data_len;
	info = (uint64_t)p->ppi_offset + p->ppi_len;
	if (p->oob_offset != 0 || p->oob_len != 0 || p->oob_elements != 0 ||
	    p->vc_handle != 0 || p->data_len < NET_FRAME_MIN ||
	    !tx_check_area(p, p->data_offset, p->data_len) ||
	    p->ppi_len > sizeof(ppis))
		return (false);
	memset(t, 0, sizeof(*t));
	t->ofs = ofs + RNDIS_BASE + p->data_offset;
	t->len = p->data_len;
	if (p->ppi_len > 0) {
		if (!tx_check_area(p, p->ppi_offset, p->ppi_len) ||
		    (p->ppi_offset < data && p->data_offset < info))
			return (false);
		/* Header and information are read from one range. */
		if (!tx_in_one_range(m, ofs, RNDIS_BASE + info) ||
		    !tx_copy(m, ofs + RNDIS_BASE + p->ppi_offset, ppis,
		    p->ppi_len) || !tx_check_ppis(t, ppis, p->ppi_len))
			return (false);
	}
	return (t->len <= (t->lso != 0 ? NET_FRAME_MAX - FRAME_TAG :
	    na->mtu + TX_TAGS));
}

/* All packets of a message; false: it is refused. */
static bool
tx_check(const struct hvh_net *na, struct nvsp_tx *m)
{
	struct rndis_packet p;
	uint32_t ofs;

	m->n = 0;
	for (ofs = 0; ofs < m->len; ofs += p.hdr.len) {
		if (m->n == RNDIS_MAX_PACKETS ||
		    !tx_in_one_range(m, ofs, sizeof(p)) ||
		    !tx_copy(m, ofs, &p, sizeof(p)) ||
		    p.hdr.type != RNDIS_PACKET || p.hdr.len < sizeof(p) ||
		    p.hdr.len > m->len - ofs ||
		    !tx_check_packet(na, m, ofs, &p, &m->pkt[m->n]))
			return (false);
		m->n++;
	}
	return (true);
}

/* --- Sending --- */

/* A frame on its way: private headers, the rest in the guest's memory. */
struct tx_frame {
	uint8_t		 head[FRAME_HEAD + FRAME_TAG];
	uint32_t	 have;		/* of them */
	uint32_t	 len;
	struct frame_headers fh;
	struct iovec	 iov[NVSP_IOV + 1];
	int		 niov;
};

static bool
tx_build(const struct nvsp_tx *m, const struct rndis_tx *t,
    struct tx_frame *f)
{
	uint32_t have;
	int n;

	have = t->len < FRAME_HEAD ? t->len : FRAME_HEAD;
	if (!tx_copy(m, t->ofs, f->head, have))
		return (false);
	f->have = have;
	f->len = t->len;
	if (t->tagged) {
		memmove(f->head + 16, f->head + 12, have - 12);
		frame_put16(f->head + 12, ETHERTYPE_VLAN);
		frame_put16(f->head + 14, t->tci);
		f->have += FRAME_TAG;
		f->len += FRAME_TAG;
	}
	f->iov[0] = (struct iovec){ f->head, f->have };
	n = frame_slice(m->iov, m->niov, t->ofs + have, t->len - have,
	    f->iov + 1, NVSP_IOV);
	f->niov = n + 1;
	return (n >= 0);
}

/*
 * The L4 checksum: the back end's if it can and if its rule, up to the end of
 * the frame, is IP's.  *meta says so.
 */
static void
tx_l4_checksum(struct hvh_net *na, struct tx_frame *f, struct net_meta *meta)
{
	const struct frame_headers *fh = &f->fh;
	uint32_t at = frame_csum_at(fh);

	if ((net_caps(na->be) & NET_CAN_CSUM) == 0 || fh->end != f->len) {
		frame_l4_fill(f->head, f->have, fh, f->iov, f->niov);
		return;
	}
	frame_put16(f->head + at, frame_fold(frame_pseudo(f->head, fh,
	    fh->end - fh->l4)));
	meta->flags |= NET_NEEDS_CSUM;
	meta->csum_start = fh->l4;
	meta->csum_offset = (uint16_t)(at - fh->l4);
}

/* Is the frame what its checksum information says?  v4 wins, and TCP. */
static bool
tx_agrees(const struct rndis_tx *t, const struct frame_headers *fh,
    uint8_t ip, uint8_t proto, uint32_t l4)
{

	if (fh->ip != ip || (proto != 0 && fh->proto != proto))
		return (false);
	return (proto == 0 || l4 == 0 ||
	    l4 + (t->tagged ? FRAME_TAG : 0) == fh->l4);
}

/* A frame that is sent in one; 0, EAGAIN, or it is lost. */
static int
tx_plain(struct hvh_net *na, const struct rndis_tx *t, struct tx_frame *f)
{
	struct net_meta meta = { 0 };
	uint8_t ip, proto;

	if (t->csum != 0) {
		ip = (t->csum & RNDIS_TXCSUM_IPV4) != 0 ? 4 : 6;
		proto = (t->csum & RNDIS_TXCSUM_TCP) != 0 ? IP_TCP :
		    (t->csum & RNDIS_TXCSUM_UDP) != 0 ? IP_UDP : 0;
		frame_parse(f->head, f->have, f->len, false, &f->fh);
		if (!tx_agrees(t, &f->fh, ip, proto,
		    RNDIS_TXCSUM_L4(t->csum)))
			return (EINVAL);
		if ((t->csum & RNDIS_TXCSUM_IP_HEADER) != 0 && ip == 4)
			frame_ip_fill(f->head, &f->fh);
		if (proto != 0)
			tx_l4_checksum(na, f, &meta);
	}
	return (net_send(na->be, f->iov, f->niov, f->len, &meta));
}

/* One segment, by software. */
static int
tx_segment(struct hvh_net *na, const struct tx_frame *f, uint32_t mss,
    uint32_t i)
{
	uint32_t ofs = i * mss, payload = f->len - f->fh.payload;
	uint32_t n = payload - ofs < mss ? payload - ofs : mss;
	struct net_meta meta = { 0 };
	struct tx_frame s;
	int niov;

	s.fh = f->fh;
	s.have = f->fh.payload;
	s.len = s.fh.end = s.have + n;
	memcpy(s.head, f->head, s.have);
	frame_segment(s.head, &s.fh, i, ofs, n, ofs + n == payload);
	s.iov[0] = (struct iovec){ s.head, s.have };
	niov = frame_slice(f->iov, f->niov, f->fh.payload + ofs, n,
	    s.iov + 1, NVSP_IOV);
	if (niov < 0)
		return (EMSGSIZE);
	s.niov = niov + 1;
	tx_l4_checksum(na, &s, &meta);
	return (net_send(na->be, s.iov, s.niov, s.len, &meta));
}

/* The whole, for a back end that cuts it itself. */
static int
tx_gso(struct hvh_net *na, struct tx_frame *f, uint32_t mss)
{
	struct net_meta meta = {
		.flags = NET_NEEDS_CSUM,
		.gso = f->fh.ip == 4 ? NET_GSO_TCP4 : NET_GSO_TCP6,
		.hdr_len = f->fh.payload,
		.gso_size = (uint16_t)mss,
		.csum_start = f->fh.l4,
		.csum_offset = (uint16_t)(frame_csum_at(&f->fh) - f->fh.l4),
	};

	frame_segment(f->head, &f->fh, 0, 0, f->len - f->fh.payload, true);
	if ((f->head[f->fh.l4 + TCP_FLAGS] & TCP_CWR) != 0)
		meta.flags |= NET_GSO_ECN;
	return (net_send(na->be, f->iov, f->niov, f->len, &meta));
}

/*
 * A large packet.  Its segments are counted in c->tx, where a back end that is
 * full or the end of this turn interrupts.
 */
static int
tx_large(struct nvsp_chan *c, const struct rndis_tx *t, struct tx_frame *f)
{
	struct hvh_net *na = c->na;
	uint32_t mss = RNDIS_LSO_MSS(t->lso), payload, segments;
	unsigned can;
	uint8_t ip;
	int error;

	ip = (t->lso & RNDIS_LSO_V2) != 0 && (t->lso & RNDIS_LSO_IPV6) != 0 ?
	    6 : 4;
	frame_parse(f->head, f->have, f->len, true, &f->fh);
	if (!tx_agrees(t, &f->fh, ip, IP_TCP, RNDIS_LSO_L4(t->lso)))
		return (EINVAL);
	payload = f->len - f->fh.payload;
	segments = payload == 0 ? 1 : (payload + mss - 1) / mss;
	if (segments > NVSP_SEGMENTS ||
	    mss > na->mtu + TX_TAGS - f->fh.payload ||
	    f->len - f->fh.l3 > UINT16_MAX)
		return (EMSGSIZE);
	if (c->tx.segment == 0 && !c->tx.blocked) {
		na->stats.tx_large++;
		na->stats.tx_segments += segments;
	}
	can = ip == 4 ? NET_CAN_TSO4 : NET_CAN_TSO6;
	if (segments > 1 && c->tx.segment == 0 &&
	    (net_caps(na->be) & can) != 0)
		return (tx_gso(na, f, mss));
	while (c->tx.segment < segments) {
		if (c->budget == 0)
			return (EINPROGRESS);
		error = tx_segment(na, f, mss, c->tx.segment);
		if (error == EAGAIN)
			return (error);
		c->tx.segment++;
		c->budget--;
	}
	return (0);
}

static int
tx_packet(struct nvsp_chan *c, const struct rndis_tx *t)
{
	struct hvh_net *na = c->na;
	struct net_meta meta = { 0 };
	struct tx_frame f;
	int n;

	if (t->csum == 0 && t->lso == 0 && !t->tagged) {
		n = frame_slice(c->tx.iov, c->tx.niov, t->ofs, t->len, f.iov,
		    NVSP_IOV);
		return (n < 0 ? EMSGSIZE : net_send(na->be, f.iov, n, t->len,
		    &meta));
	}
	if (!tx_build(&c->tx, t, &f))
		return (EMSGSIZE);
	return (t->lso != 0 ? tx_large(c, t, &f) : tx_plain(na, t, &f));
}

bool
rndis_tx_run(struct nvsp_chan *c)
{
	struct hvh_net *na = c->na;
	struct nvsp_tx *m = &c->tx;
	const struct rndis_tx *t;
	int error;

	for (; m->at < m->n; m->at++, m->segment = 0) {
		if (c->budget == 0)
			return (false);
		t = &m->pkt[m->at];
		error = nvsp_link(na) ? tx_packet(c, t) : ENETDOWN;
		m->blocked = error == EAGAIN;
		if (error == EAGAIN || error == EINPROGRESS)
			return (false);
		if (c->budget > 0)
			c->budget--;
		if (error == 0) {
			hvh_chan_carried(c->ch, false);
			na->stats.tx_packets++;
			na->stats.tx_bytes += t->len;
			hvh_stats(na->h)->net_tx_packets++;
			hvh_stats(na->h)->net_tx_bytes += t->len;
		} else {
			na->stats.tx_drops++;
		}
	}
	m->busy = false;
	nvsp_complete_rndis(c, m->xid, NVSP_STATUS_SUCCESS);
	return (true);
}

/* --- Receipt --- */

void
rndis_receive(struct nvsp_chan *c, const struct nvsp_msg *msg,
    const struct hvh_pkt *pkt)
{
	struct hvh_net *na = c->na;
	struct nvsp_tx *m = &c->tx;
	struct rndis_header hdr;
	uint64_t ofs;
	bool ok = true;

	m->xid = pkt->xid;
	m->len = 0;
	m->niov = 0;
	m->nend = 0;
	if (msg->rndis.section != NVSP_NO_SECTION) {
		ofs = (uint64_t)msg->rndis.section * NVSP_SECTION;
		if (ofs > na->tx_size ||
		    msg->rndis.section_len > na->tx_size - ofs ||
		    msg->rndis.section_len > NVSP_SECTION) {
			nvsp_shut(c, "a section outside the send buffer");
			return;
		}
		ok = tx_add_section(na, m, (uint32_t)ofs,
		    msg->rndis.section_len);
	}
	if (!ok || !tx_add_ranges(na, m, pkt) ||
	    m->len < sizeof(hdr) || !tx_copy(m, 0, &hdr, sizeof(hdr))) {
		nvsp_complete_rndis(c, m->xid, NVSP_STATUS_FAILURE);
		return;
	}
	if (hdr.type != RNDIS_PACKET) {
		nvsp_complete_rndis(c, m->xid, c->idx != 0 ?
		    NVSP_STATUS_FAILURE : rndis_control(na, m));
		return;
	}
	if (!na->operational || !tx_check(na, m)) {
		nvsp_complete_rndis(c, m->xid, NVSP_STATUS_FAILURE);
		return;
	}
	m->busy = true;
	m->at = 0;
	m->segment = 0;
	na->stats.tx_messages++;
	rndis_tx_run(c);
}
