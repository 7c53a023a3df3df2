/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sending: packets are handed in from any processor without a lock, and one
 * thread at a time takes them out, makes them messages (hn_tx_encap.c) and puts
 * these into the channel.  A sender that finds another at work leaves, for that
 * one looks again.  The channel callback takes completions in and never waits
 * for a sender either.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/endian.h>
#include <sys/kernel.h>

#include <machine/atomic.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_TX_BUDGET	64	/* packets, then the host is signalled */
#define	HN_TX_ROUNDS	8	/* of those, then the task goes on */

/* Takes back what the callback has put into txr_done. */
static void
hn_txr_reap(struct hn_tx_ring *txr)
{
	u_int idx, kind, prod;

	prod = atomic_load_acq_int(&txr->txr_doneprod);
	while (txr->txr_donecons != prod) {
		idx = txr->txr_done[txr->txr_donecons++ & txr->txr_donemask];
		kind = idx < txr->txr_nsect ? HN_TXF_SECT : HN_TXF_BARE;
		txr->txr_free[kind][txr->txr_nfree[kind]++] = idx;
	}
}

struct hn_txdesc *
hn_txd_get(struct hn_tx_ring *txr, u_int kind)
{

	mtx_assert(&txr->txr_mtx, MA_OWNED);
	if (txr->txr_nfree[kind] == 0)
		hn_txr_reap(txr);
	if (txr->txr_nfree[kind] == 0 && kind == HN_TXF_BARE)
		kind = HN_TXF_SECT;
	if (__predict_false(txr->txr_nfree[kind] == 0)) {
		txr->txr_no_descs++;
		return (NULL);
	}
	return (&txr->txr_desc[txr->txr_free[kind][--txr->txr_nfree[kind]]]);
}

void
hn_txd_put(struct hn_tx_ring *txr, struct hn_txdesc *txd)
{
	u_int kind;

	mtx_assert(&txr->txr_mtx, MA_OWNED);
	kind = txd->txd_index < txr->txr_nsect ? HN_TXF_SECT : HN_TXF_BARE;
	txr->txr_free[kind][txr->txr_nfree[kind]++] = txd->txd_index;
}

void
hn_txd_unload(struct hn_tx_ring *txr, struct hn_txdesc *txd)
{

	if (txd->txd_m == NULL)
		return;
	bus_dmamap_sync(txr->txr_tag, txd->txd_map, BUS_DMASYNC_POSTWRITE);
	bus_dmamap_unload(txr->txr_tag, txd->txd_map);
	m_freem(txd->txd_m);
	txd->txd_m = NULL;
}

int
hn_txd_send(struct hn_tx_ring *txr, struct hn_txdesc *txd, uint32_t len)
{
	struct hn_nvs_msg msg;
	uint64_t xid;
	int error;

	mtx_assert(&txr->txr_mtx, MA_OWNED);
	memset(&msg, 0, sizeof(msg));
	msg.nm_type = HN_NVS_TYPE_RNDIS;
	msg.nm_rndis.nr_mtype = HN_NVS_RNDIS_DATA;
	msg.nm_rndis.nr_sect = HN_NVS_SECT_NONE;
	xid = hn_id(txd->txd_index, ++txd->txd_gen);
	/* From here on the host may complete it, whether it has it or not. */
	atomic_store_rel_32(&txd->txd_state, HN_TXD_SENT);
	txr->txr_nsent++;
	if (len != 0) {
		msg.nm_rndis.nr_sect = txr->txr_sect_base + txd->txd_index;
		msg.nm_rndis.nr_sectsz = len;
		error = vmbus_ch_send_quiet(txr->txr_ch,
		    VMBUS_PKT_TYPE_INBAND, VMBUS_PKT_FLAG_RC, &msg,
		    sizeof(msg), xid, &txr->txr_signal);
	} else
		error = vmbus_ch_send_sglist(txr->txr_ch, txr->txr_seg,
		    txr->txr_nseg, &msg, sizeof(msg), xid, &txr->txr_signal);
	if (__predict_true(error == 0)) {
		txr->txr_sends++;
		return (0);
	}
	if (atomic_cmpset_acq_32(&txd->txd_state, HN_TXD_SENT,
	    HN_TXD_FREE) == 0) {
		/* The host has completed what it never had: let it be. */
		return (0);
	}
	txr->txr_nsent--;
	if (__predict_false(error != EAGAIN)) {
		txr->txr_send_failed++;
		if (error == ENXIO)
			hn_recover(txr->txr_sc, false);
	}
	return (error);
}

/* What had no room last time goes first.  0, or EAGAIN again. */
static int
hn_txr_retry(struct hn_tx_ring *txr)
{
	struct hn_txdesc *txd = txr->txr_wait;
	int error;

	if (txd == NULL)
		return (0);
	error = hn_txd_send(txr, txd, 0);
	if (error == EAGAIN)
		return (error);
	txr->txr_wait = NULL;
	if (__predict_false(error != 0)) {
		if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS, 1);
		hn_txd_unload(txr, txd);
		hn_txd_put(txr, txd);
	}
	return (0);
}

/*
 * Sends what has been handed in, a limited number of packets.  Returns whether
 * there is more that could be sent at once.
 */
static bool
hn_txr_round(struct hn_tx_ring *txr)
{
	struct mbuf *m;
	u_int n;

	if (txr->txr_suspended || txr->txr_ch == NULL)
		return (false);
	if (hn_txr_retry(txr) != 0)
		return (false);
	for (n = 0; n < HN_TX_BUDGET; n++) {
		m = buf_ring_peek_clear_sc(txr->txr_br);
		if (m == NULL)
			break;
		if (hn_tx_encap(txr, m) != 0) {
			/* Room, or a completion, brings us here again. */
			buf_ring_putback_sc(txr->txr_br, m);
			break;
		}
		buf_ring_advance_sc(txr->txr_br);
		if (txr->txr_wait != NULL)
			return (false);
	}
	if (n == HN_TX_BUDGET)
		return (true);
	hn_agg_end(txr);
	return (false);
}

/* Drops the lock and then signals: the callback on this CPU may want it. */
static void
hn_txr_unlock(struct hn_tx_ring *txr)
{
	struct vmbus_signal sg;

	if (!txr->txr_signal.sg_due) {
		mtx_unlock(&txr->txr_mtx);
		return;
	}
	sg = txr->txr_signal;
	txr->txr_signal.sg_due = false;
	mtx_unlock(&txr->txr_mtx);
	vmbus_ch_signal(&sg);
}

/*
 * Of those who come here at once one sends and the others leave.  That one
 * looks at txr_kicked after it has dropped the lock, they have set it before
 * they tried the lock: nobody's packet stays behind.  Nor does what the
 * callback brings: it comes here as well.
 */
void
hn_tx_kick(struct hn_tx_ring *txr)
{
	u_int rounds;

	/* Whoever was at it may never come back. */
	if (__predict_false(SCHEDULER_STOPPED()))
		return;
	atomic_store_int(&txr->txr_kicked, 1);
	atomic_thread_fence_seq_cst();
	for (rounds = 0; rounds < HN_TX_ROUNDS; rounds++) {
		if (mtx_trylock(&txr->txr_mtx) == 0)
			return;
		atomic_store_int(&txr->txr_kicked, 0);
		atomic_thread_fence_seq_cst();
		if (hn_txr_round(txr))
			atomic_store_int(&txr->txr_kicked, 1);
		hn_txr_unlock(txr);
		atomic_thread_fence_seq_cst();
		if (atomic_load_int(&txr->txr_kicked) == 0)
			return;
	}
	/* Others hand in as fast as we send: this thread has its own work. */
	taskqueue_enqueue(taskqueue_thread, &txr->txr_task);
}

/*
 * With the scheduler stopped: this packet and no other.  EAGAIN: not yet; else
 * it is taken.
 */
int
hn_tx_now(struct hn_tx_ring *txr, struct mbuf *m)
{
	int error;

	mtx_lock(&txr->txr_mtx);
	if (txr->txr_suspended || txr->txr_ch == NULL)
		error = ENXIO;
	else
		error = hn_txr_retry(txr);
	if (error == 0)
		error = hn_agg_flush(txr);
	if (error == 0)
		error = hn_tx_encap(txr, m);
	/* Should the ring have filled up just now, the next takes it along. */
	if (error == 0)
		(void)hn_agg_flush(txr);
	hn_txr_unlock(txr);
	return (error);
}

void
hn_tx_task(void *arg, int pending __unused)
{

	hn_tx_kick(arg);
}

/*
 * The ring for a packet: always the same one for a flow.  What the stack has
 * given no flow is told apart by its addresses and ports.
 */
static u_int
hn_tx_flow(const struct mbuf *m)
{
	struct hn_frame fr;
	const uint8_t *p;
	u_int hash, i;

	if (M_HASHTYPE_GET(m) != M_HASHTYPE_NONE)
		return (m->m_pkthdr.flowid);
	p = mtod(m, const uint8_t *);
	hn_frame_parse(p, (uint32_t)m->m_len, &fr);
	hash = 0;
	if (fr.fr_ip4 || fr.fr_ip6) {
		/* Addresses are the last that the IP header begins with. */
		i = fr.fr_l3ofs + (fr.fr_ip4 ? 12 : 8);
		for (; i < fr.fr_l3ofs + (fr.fr_ip4 ? 20u : 40u); i += 4)
			hash = hash * 31 + be32dec(p + i);
		if (fr.fr_l4ofs != 0)
			hash = hash * 31 + be32dec(p + fr.fr_l4ofs);
	}
	return (hash ^ hash >> 16);
}

static struct hn_tx_ring *
hn_tx_select(struct hn_softc *sc, const struct mbuf *m)
{
	u_int flow, idx, n;

	n = atomic_load_int(&sc->sc_nrings);
	if (n <= 1)
		return (&sc->sc_txr[0]);
	flow = hn_tx_flow(m);
	idx = flow % n;
	if (atomic_load_int(&sc->sc_txtbl_valid) != 0) {
		/* The host's wish, which need not make sense. */
		idx = atomic_load_32(&sc->sc_txtbl[flow %
		    HN_NVS_TXTBL_CNT]);
		if (__predict_false(idx >= n))
			idx = flow % n;
	}
	return (&sc->sc_txr[idx]);
}

/*
 * What the stack sends while the ring's own callback gives it packets, answers
 * above all, goes out together when that ends, or when it has become much: a
 * signal costs more than a packet.
 */
static bool
hn_tx_held(struct hn_tx_ring *txr)
{

	return (atomic_load_ptr(&txr->txr_td) == (uintptr_t)curthread &&
	    ++txr->txr_held % HN_TX_BUDGET != 0);
}

int
hn_transmit(if_t ifp, struct mbuf *m)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct hn_tx_ring *txr;
	int error;

	if (__predict_false((if_getdrvflags(ifp) & IFF_DRV_RUNNING) == 0)) {
		m_freem(m);
		return (ENETDOWN);
	}
	if (hn_vf_transmit(sc, m, &error))
		return (error);
	txr = hn_tx_select(sc, m);
	error = buf_ring_enqueue(txr->txr_br, m);
	if (__predict_false(error != 0)) {
		m_freem(m);
		if_inc_counter(ifp, IFCOUNTER_OQDROPS, 1);
	}
	if (!hn_tx_held(txr))
		hn_tx_kick(txr);
	return (error);
}

void
hn_qflush(if_t ifp)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct hn_tx_ring *txr;
	struct mbuf *m;
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		txr = &sc->sc_txr[i];
		mtx_lock(&txr->txr_mtx);
		while ((m = buf_ring_dequeue_sc(txr->txr_br)) != NULL)
			m_freem(m);
		mtx_unlock(&txr->txr_mtx);
	}
	if_qflush(ifp);
}

void
hn_tx_suspend(struct hn_softc *sc)
{
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		mtx_lock(&sc->sc_txr[i].txr_mtx);
		sc->sc_txr[i].txr_suspended = true;
		hn_txr_unlock(&sc->sc_txr[i]);
	}
}

void
hn_tx_resume(struct hn_softc *sc)
{
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		mtx_lock(&sc->sc_txr[i].txr_mtx);
		sc->sc_txr[i].txr_suspended = false;
		mtx_unlock(&sc->sc_txr[i].txr_mtx);
		hn_tx_kick(&sc->sc_txr[i]);
	}
}

/*
 * Whose completion it is.  The id is the host's word: it must be of a send that
 * the host has, and of this very use of its descriptor.  NULL if not; else the
 * descriptor is the caller's.
 */
static struct hn_txdesc *
hn_txd_lookup(struct hn_tx_ring *txr, uint64_t xid)
{
	struct hn_txdesc *txd;

	if ((uint32_t)xid >= txr->txr_ndesc)
		return (NULL);
	txd = &txr->txr_desc[(uint32_t)xid];
	if (atomic_load_acq_32(&txd->txd_state) != HN_TXD_SENT ||
	    txd->txd_gen != xid >> 32 ||
	    atomic_cmpset_acq_32(&txd->txd_state, HN_TXD_SENT,
	    HN_TXD_FREE) == 0)
		return (NULL);
	return (txd);
}

/* Puts a descriptor where the sender finds it. */
static void
hn_txd_done(struct hn_tx_ring *txr, struct hn_txdesc *txd)
{
	u_int prod;

	hn_txd_unload(txr, txd);
	prod = txr->txr_doneprod;
	txr->txr_done[prod & txr->txr_donemask] = txd->txd_index;
	atomic_store_rel_int(&txr->txr_doneprod, prod + 1);
}

void
hn_tx_complete(struct hn_tx_ring *txr, uint64_t xid, const void *data,
    size_t len)
{
	struct hn_txdesc *txd;
	uint32_t ack[2];

	txd = hn_txd_lookup(txr, xid);
	if (__predict_false(txd == NULL)) {
		txr->txr_bad++;
		hn_bad(txr->txr_sc, "completion of no send", xid);
		return;
	}
	ack[0] = ack[1] = 0;
	if (len >= sizeof(ack))
		memcpy(ack, data, sizeof(ack));
	if (__predict_false(ack[0] != HN_NVS_TYPE_RNDIS_ACK ||
	    ack[1] != HN_NVS_STATUS_OK)) {
		txr->txr_rejected++;
		if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS,
		    txd->txd_pkts);
	}
	hn_txd_done(txr, txd);
}

void
hn_tx_hold(struct hn_tx_ring *txr)
{

	txr->txr_held = 0;
	atomic_store_ptr(&txr->txr_td, (uintptr_t)curthread);
}

void
hn_tx_flush(struct hn_tx_ring *txr)
{

	atomic_store_ptr(&txr->txr_td, 0);
	atomic_thread_fence_seq_cst();
	if (__predict_false(atomic_load_int(&txr->txr_draining) != 0)) {
		mtx_lock(&txr->txr_sc->sc_mtx);
		wakeup(&txr->txr_sc->sc_flags);
		mtx_unlock(&txr->txr_sc->sc_mtx);
	}
	hn_tx_kick(txr);
}

/*
 * Woken by hn_tx_flush() when completions came, and when the device is gone.
 * Nobody sends, so txr_nsent stays as it is.
 */
bool
hn_tx_drain(struct hn_softc *sc, int seconds)
{
	struct hn_tx_ring *txr;
	sbintime_t left;
	bool empty;
	u_int i;

	left = seconds * SBT_1S;
	empty = true;
	for (i = 0; i < sc->sc_nalloc; i++) {
		txr = &sc->sc_txr[i];
		mtx_lock(&sc->sc_mtx);
		atomic_store_int(&txr->txr_draining, 1);
		atomic_thread_fence_seq_cst();
		while (hn_tx_outstanding(txr) != 0 && left > 0 &&
		    (sc->sc_flags & HN_F_RESCINDED) == 0)
			vmbus_sleep(&sc->sc_flags, &sc->sc_mtx, "hntxdrn",
			    &left);
		atomic_store_int(&txr->txr_draining, 0);
		mtx_unlock(&sc->sc_mtx);
		if (hn_tx_outstanding(txr) != 0)
			empty = false;
	}
	return (empty);
}

/* What was being put together for a session that is no more is lost. */
static void
hn_txr_abandon(struct hn_tx_ring *txr)
{
	struct hn_txdesc *txd;

	if ((txd = txr->txr_agg) != NULL) {
		if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS,
		    txd->txd_pkts);
		txr->txr_agg = NULL;
		hn_txd_put(txr, txd);
	}
	if ((txd = txr->txr_wait) != NULL) {
		if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS, 1);
		txr->txr_wait = NULL;
		hn_txd_unload(txr, txd);
		hn_txd_put(txr, txd);
	}
}

void
hn_tx_reclaim(struct hn_softc *sc, bool lost)
{
	struct hn_tx_ring *txr;
	struct hn_txdesc *txd;
	uint64_t bytes;
	u_int i, j;

	bytes = 0;
	for (i = 0; i < sc->sc_nalloc; i++) {
		txr = &sc->sc_txr[i];
		mtx_lock(&txr->txr_mtx);
		MPASS(txr->txr_suspended);
		hn_txr_abandon(txr);
		for (j = 0; j < txr->txr_ndesc; j++) {
			txd = &txr->txr_desc[j];
			if (txd->txd_state != HN_TXD_SENT)
				continue;
			if (lost && txd->txd_m != NULL) {
				/* Counts as come back, but stays away. */
				bytes += m_length(txd->txd_m, NULL);
				txd->txd_state = HN_TXD_LOST;
				txr->txr_nsent--;
				continue;
			}
			txd->txd_state = HN_TXD_FREE;
			hn_txd_done(txr, txd);
		}
		hn_txr_reap(txr);
		mtx_unlock(&txr->txr_mtx);
	}
	mtx_lock(&sc->sc_mtx);
	sc->sc_lost_bytes += bytes;
	mtx_unlock(&sc->sc_mtx);
}
