/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See ktest_hn_fake.h. */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/kernel.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <machine/vmparam.h>

#include <net/if_types.h>

#include "ktest.h"
#include "ktest_hn_fake.h"

/* Tests run one at a time, and the input function has no argument. */
static struct hn_fake *fake;

static void
fake_if_input(struct ifnet *ifp, struct mbuf *m)
{

	KT_CHECK(ifp == fake->f_sc->sc_ifp);
	*fake->f_inp = m;
	fake->f_inp = &m->m_nextpkt;
	fake->f_nin++;
}

/* In the place of hn_recover_task(): there is no host for a new session. */
static void
fake_recover(void *arg, int pending __unused)
{
	struct hn_fake *f = arg;

	atomic_add_int(&f->f_recovers, 1);
}

static void
fake_channel(struct hn_fake *f, uint32_t ringsize)
{
	struct vmbus_channel *ch;

	/* Twice the size: a packet at the end of the ring is in one piece. */
	f->f_ringsize = ringsize;
	f->f_ctl = malloc(PAGE_SIZE, M_TEMP, M_WAITOK | M_ZERO);
	f->f_ring = malloc(2 * (size_t)ringsize, M_TEMP, M_WAITOK | M_ZERO);
	ch = malloc_aligned(sizeof(*ch), __alignof(*ch), M_TEMP,
	    M_WAITOK | M_ZERO);
	mtx_init(&ch->ch_txmtx, "fake tx", NULL, MTX_DEF);
	vmbus_txbr_init(&ch->ch_tx, f->f_ctl, f->f_ring, ringsize);
	ch->ch_open = true;
	ch->ch_txok = true;
	ch->ch_mnf = &f->f_signals;
	ch->ch_mnf_bit = 1;
	f->f_ch = ch;
}

static void
fake_buffers(struct hn_softc *sc, uint32_t sects)
{
	struct hn_rxbuf *rb;

	if (sects != 0) {
		sc->sc_txbuf.tb_size = sects * FAKE_SECTSZ;
		sc->sc_txbuf.tb_mem = malloc(sc->sc_txbuf.tb_size, M_TEMP,
		    M_WAITOK | M_ZERO);
		sc->sc_txbuf.tb_sectsz = FAKE_SECTSZ;
		sc->sc_txbuf.tb_nsect = sects;
	}
	rb = malloc(sizeof(*rb), M_HN, M_WAITOK | M_ZERO);
	rb->rb_refs = 1;
	rb->rb_sc = sc;
	rb->rb_size = FAKE_PIECE * FAKE_PIECES;
	rb->rb_mem = malloc(rb->rb_size, M_HN, M_WAITOK | M_ZERO);
	sc->sc_rxbuf = rb;
	sc->sc_rxpiece = FAKE_PIECE;
	sc->sc_nrxpieces = FAKE_PIECES;
	sc->sc_nrxbufs = 1;
}

struct hn_fake *
hn_fake_begin(uint32_t ringsize, uint32_t sects)
{
	struct hn_fake *f;
	struct hn_softc *sc;

	f = malloc(sizeof(*f), M_TEMP, M_WAITOK | M_ZERO);
	f->f_inp = &f->f_in;
	fake = f;
	sc = malloc(sizeof(*sc), M_TEMP, M_WAITOK | M_ZERO);
	f->f_sc = sc;
	sx_init(&sc->sc_lock, "fake");
	mtx_init(&sc->sc_mtx, "hn", NULL, MTX_DEF);
	sc->sc_tq = taskqueue_thread;
	TASK_INIT(&sc->sc_recover_task, 0, fake_recover, f);
	sc->sc_dev = devclass_get_device(devclass_find("nexus"), 0);
	sc->sc_flags = HN_F_BAD_SAID;
	sc->sc_nalloc = sc->sc_nrings = 1;
	sc->sc_agg_size = 0xefffffff;
	sc->sc_agg_pkts = 8;
	sc->sc_agg_align = 8;
	sc->sc_user_agg_size = sc->sc_user_agg_pkts = -1;
	KT_EQ(hn_ring_alloc(sc), 0);
	f->f_txr = &sc->sc_txr[0];
	f->f_rxr = &sc->sc_rxr[0];
	f->f_rxr->rxr_hash = NDIS_HASH_TYPE_MASK;
	fake_buffers(sc, sects);
	sc->sc_ifp = if_alloc(IFT_ETHER);
	if_setsoftc(sc->sc_ifp, sc);
	if_initname(sc->sc_ifp, "fake", 0);
	if_setinputfn(sc->sc_ifp, fake_if_input);
	if_setdrvflagbits(sc->sc_ifp, IFF_DRV_RUNNING, 0);
	if_setcapenable(sc->sc_ifp, IFCAP_RXCSUM | IFCAP_RXCSUM_IPV6);
	fake_channel(f, ringsize);
	hn_ring_config(sc);
	f->f_rxr->rxr_ch = f->f_ch;
	f->f_txr->txr_ch = f->f_ch;
	sc->sc_rxok = 1;
	hn_tx_resume(sc);
	return (f);
}

void
hn_fake_end(struct hn_fake *f)
{
	struct hn_softc *sc = f->f_sc;
	struct mbuf *m;

	while ((m = hn_fake_input(f)) != NULL)
		m_freem(m);
	hn_tx_suspend(sc);
	f->f_txr->txr_ch = NULL;
	f->f_rxr->rxr_ch = NULL;
	hn_tx_reclaim(sc, false);
	hn_rx_reclaim(sc);
	KT_CHECK(hn_rx_drain(sc, 0));
	KT_EQ(hn_tx_outstanding(f->f_txr), 0);
	taskqueue_drain(sc->sc_tq, &sc->sc_recover_task);
	hn_ring_free(sc);
	if (sc->sc_rxbuf != NULL)
		hn_rxbuf_rele(sc->sc_rxbuf);
	KT_EQ(sc->sc_nrxbufs, 0);
	if_free(sc->sc_ifp);
	free(sc->sc_txbuf.tb_mem, M_TEMP);
	mtx_destroy(&sc->sc_mtx);
	sx_destroy(&sc->sc_lock);
	free(sc, M_TEMP);
	mtx_destroy(&f->f_ch->ch_txmtx);
	free(f->f_ch, M_TEMP);
	free(f->f_ring, M_TEMP);
	free(f->f_ctl, M_TEMP);
	free(f, M_TEMP);
}

bool
hn_fake_read(struct hn_fake *f, struct hn_fake_pkt *p)
{
	const struct vmbus_pkt_desc *pd;
	const struct vmbus_pkt_gpa *pg;
	uint32_t hlen, in, tlen;

	in = atomic_load_acq_32(&f->f_ctl->rc_in);
	if (f->f_pos == in)
		return (false);
	pd = (const struct vmbus_pkt_desc *)(f->f_ring + f->f_pos);
	hlen = pd->pd_hlen * 8;
	tlen = pd->pd_tlen * 8;
	memset(p, 0, sizeof(*p));
	p->p_type = pd->pd_type;
	p->p_flags = pd->pd_flags;
	p->p_xid = pd->pd_xid;
	memcpy(p->p_nvs, (const uint8_t *)pd + hlen,
	    MIN(sizeof(p->p_nvs), tlen - hlen));
	if (pd->pd_type == VMBUS_PKT_TYPE_GPA) {
		pg = (const struct vmbus_pkt_gpa *)(pd + 1);
		p->p_cnt = pg->pg_cnt;
		p->p_ranges = (const uint8_t *)(pg + 1);
	}
	f->f_pos += tlen + sizeof(struct vmbus_pkt_trailer);
	if (f->f_pos >= f->f_ringsize)
		f->f_pos -= f->f_ringsize;
	return (true);
}

void
hn_fake_room(struct hn_fake *f)
{

	atomic_store_rel_32(&f->f_ctl->rc_out, f->f_pos);
	/* As the bus does before it calls. */
	mtx_lock(&f->f_ch->ch_txmtx);
	(void)vmbus_txbr_wakeup(&f->f_ch->ch_tx);
	mtx_unlock(&f->f_ch->ch_txmtx);
}

void
hn_fake_complete(struct hn_fake *f, uint64_t xid, uint32_t status)
{
	uint32_t ack[2] = { HN_NVS_TYPE_RNDIS_ACK, status };

	hn_tx_complete(f->f_txr, xid, ack, sizeof(ack));
}

uint32_t
hn_fake_bytes(struct hn_fake *f, const struct hn_fake_pkt *p, uint8_t *buf,
    uint32_t size)
{
	const struct vmbus_gpa_range *gr;
	const uint8_t *r;
	uint64_t pfn;
	uint32_t i, n;

	KT_EQ(p->p_nvs[0], HN_NVS_TYPE_RNDIS);
	KT_EQ(p->p_flags, VMBUS_PKT_FLAG_RC);
	if (p->p_type == VMBUS_PKT_TYPE_INBAND) {
		KT_CHECK(p->p_nvs[2] < f->f_sc->sc_txbuf.tb_nsect);
		KT_CHECK(p->p_nvs[3] <= FAKE_SECTSZ && p->p_nvs[3] <= size);
		memcpy(buf, f->f_sc->sc_txbuf.tb_mem + p->p_nvs[2] *
		    FAKE_SECTSZ, p->p_nvs[3]);
		return (p->p_nvs[3]);
	}
	KT_EQ(p->p_type, VMBUS_PKT_TYPE_GPA);
	KT_EQ(p->p_nvs[2], HN_NVS_SECT_NONE);
	KT_CHECK(p->p_cnt >= 1 && p->p_cnt <= 32);
	n = 0;
	r = p->p_ranges;
	for (i = 0; i < p->p_cnt; i++) {
		gr = (const struct vmbus_gpa_range *)r;
		memcpy(&pfn, gr + 1, sizeof(pfn));
		KT_CHECK(gr->gr_ofs + gr->gr_len <= PAGE_SIZE);
		KT_CHECK(n + gr->gr_len <= size);
		memcpy(buf + n, (const uint8_t *)PHYS_TO_DMAP(ptoa(pfn)) +
		    gr->gr_ofs, gr->gr_len);
		n += gr->gr_len;
		r += sizeof(*gr) + sizeof(pfn);
	}
	return (n);
}

uint32_t
hn_fake_frame(const uint8_t *msg, uint32_t len, struct hn_fake_frame *ff)
{
	uint32_t msglen, ofs;

	KT_EQ(le32dec(msg), 1);
	msglen = le32dec(msg + 4);
	KT_CHECK(msglen <= len);
	ofs = le32dec(msg + 8) + 8;
	ff->ff_len = le32dec(msg + 12);
	KT_CHECK(ofs <= sizeof(ff->ff_hdr) && ofs + ff->ff_len <= msglen);
	ff->ff_hdrlen = ofs;
	memcpy(ff->ff_hdr, msg, ofs);
	memcpy(ff->ff_data, msg + ofs, ff->ff_len);
	return (msglen);
}

/* A chain of the bytes given, each mbuf with at most so many. */
static struct mbuf *
fake_chain(const uint8_t *data, uint32_t len, uint32_t each)
{
	struct mbuf *m, *n;
	uint32_t part, done;

	m = n = m_getcl(M_WAITOK, MT_DATA, M_PKTHDR);
	for (done = 0;; done += part) {
		part = MIN(MIN(each, len - done), MCLBYTES);
		memcpy(mtod(n, uint8_t *), data + done, part);
		n->m_len = (int)part;
		if (done + part == len)
			break;
		n->m_next = m_getcl(M_WAITOK, MT_DATA, 0);
		n = n->m_next;
	}
	m->m_pkthdr.len = (int)len;
	return (m);
}

struct mbuf *
hn_fake_mbuf(uint32_t seq, uint32_t len, uint32_t each)
{
	struct mbuf *m;
	uint8_t *data;
	uint32_t i;

	data = malloc(len, M_TEMP, M_WAITOK);
	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(seq + i * 7);
	/* Where an Ethernet type would be there is none. */
	memset(data + 12, 0, 2);
	le32enc(data, seq);
	m = fake_chain(data, len, each);
	free(data, M_TEMP);
	return (m);
}

uint32_t
hn_fake_tcp_fill(uint8_t *frame, uint32_t payload)
{

	memset(frame, 0, 66);
	memset(frame, 2, 12);
	be16enc(frame + 12, 0x0800);
	frame[14] = 0x45;
	be16enc(frame + 16, (uint16_t)(52 + payload));
	frame[23] = 6;
	be32enc(frame + 26, 0x0a000001);
	be32enc(frame + 30, 0x0a000002);
	frame[46] = 0x80;
	memset(frame + 66, 'p', payload);
	return (66 + payload);
}

struct mbuf *
hn_fake_tcp(uint32_t payload, uint32_t each)
{
	struct mbuf *m;
	uint8_t *data;
	uint32_t len;

	data = malloc(payload + 66, M_TEMP, M_WAITOK);
	len = hn_fake_tcp_fill(data, payload);
	m = fake_chain(data, len, each);
	free(data, M_TEMP);
	return (m);
}

static uint8_t *
fake_ppi(uint8_t *p, uint32_t type, uint32_t data)
{

	le32enc(p, 16);
	le32enc(p + 4, type);
	le32enc(p + 8, 12);
	le32enc(p + 12, data);
	return (p + 16);
}

void
hn_fake_put(struct hn_fake *f, u_int piece, const struct hn_fake_msg *info,
    const uint8_t *frame, uint32_t len)
{
	uint8_t *msg, *p;

	msg = f->f_sc->sc_rxbuf->rb_mem + piece * FAKE_PIECE;
	KT_CHECK(256 + len <= FAKE_PIECE);
	memset(msg, 0, 256);
	p = msg + 44;
	if (info->m_csum != 0)
		p = fake_ppi(p, 0, info->m_csum);
	if (info->m_vlan != 0)
		p = fake_ppi(p, 6, info->m_vlan);
	if (info->m_hashinfo != 0) {
		p = fake_ppi(p, 8, info->m_hash);
		p = fake_ppi(p, 9, info->m_hashinfo);
	}
	if (info->m_rsc != 0)
		p = fake_ppi(p, 0x80000001, info->m_rsc);
	le32enc(msg, 1);
	le32enc(msg + 4, FAKE_PIECE);
	le32enc(msg + 8, 248);
	le32enc(msg + 12, len);
	le32enc(msg + 28, 36);
	le32enc(msg + 32, (uint32_t)(p - msg - 44));
	memcpy(msg + 256, frame, len);
}

void
hn_fake_ranges(struct hn_fake *f, uint64_t xid,
    const struct vmbus_rxbuf_range *rr, u_int cnt, u_int claimed)
{
	struct epoch_tracker et;
	struct vmbus_pkt_rxbuf *pr;
	struct vmbus_rxpkt rp;
	uint32_t nvs[10] = { HN_NVS_TYPE_RNDIS, 0, HN_NVS_SECT_NONE, 0 };
	size_t len;

	len = sizeof(*pr) + cnt * sizeof(*rr);
	pr = malloc(len, M_TEMP, M_WAITOK | M_ZERO);
	pr->pr_id = HN_NVS_RXBUF_ID;
	pr->pr_cnt = claimed;
	memcpy(pr + 1, rr, cnt * sizeof(*rr));
	memset(&rp, 0, sizeof(rp));
	rp.rp_type = VMBUS_PKT_TYPE_RXBUF;
	rp.rp_hdrlen = (uint32_t)len;
	rp.rp_len = sizeof(nvs);
	rp.rp_xid = xid;
	rp.rp_hdr = pr;
	rp.rp_data = nvs;
	NET_EPOCH_ENTER(et);
	hn_rx_packet(f->f_rxr, &rp);
	NET_EPOCH_EXIT(et);
	free(pr, M_TEMP);
}

void
hn_fake_transfer(struct hn_fake *f, uint64_t xid, u_int piece, u_int cnt)
{
	struct vmbus_rxbuf_range *rr;
	u_int i;

	rr = mallocarray(cnt, sizeof(*rr), M_TEMP, M_WAITOK);
	for (i = 0; i < cnt; i++) {
		rr[i].rr_ofs = (piece + i) * FAKE_PIECE;
		rr[i].rr_len = FAKE_PIECE;
	}
	hn_fake_ranges(f, xid, rr, cnt, cnt);
	free(rr, M_TEMP);
}

void
hn_fake_flush(struct hn_fake *f)
{
	struct epoch_tracker et;

	NET_EPOCH_ENTER(et);
	hn_rx_flush(f->f_rxr);
	NET_EPOCH_EXIT(et);
	hn_tx_flush(f->f_txr);
}

struct mbuf *
hn_fake_input(struct hn_fake *f)
{
	struct mbuf *m = f->f_in;

	if (m == NULL)
		return (NULL);
	f->f_in = m->m_nextpkt;
	m->m_nextpkt = NULL;
	if (f->f_in == NULL)
		f->f_inp = &f->f_in;
	f->f_nin--;
	return (m);
}

void
hn_fake_acked(struct hn_fake *f, uint64_t xid, uint32_t status)
{
	struct hn_fake_pkt p;

	KT_CHECK(hn_fake_read(f, &p));
	KT_EQ(p.p_type, VMBUS_PKT_TYPE_COMP);
	KT_EQ(p.p_xid, xid);
	KT_EQ(p.p_nvs[0], HN_NVS_TYPE_RNDIS_ACK);
	KT_EQ(p.p_nvs[1], status);
	hn_fake_room(f);
}
