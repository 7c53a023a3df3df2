/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Memory of the data path: descriptors and their DMA maps, the room for headers
 * of what is not copied, loans.  All of it lives as long as the adapter; what
 * differs from session to session is set by hn_ring_config().
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_TX_DESC_MIN	32
#define	HN_TX_DESC_MAX	4096
#define	HN_SWQ_MIN	64
#define	HN_SWQ_MAX	65536
#define	HN_LOANS_MAX	1024		/* a ring */

_Static_assert(PAGE_SIZE % HN_TX_HDR_ROOM == 0, "headers must not be split");
_Static_assert(HN_PACKET_HDR_MAX + HN_FRAME_PEEK <= HN_TX_HDR_ROOM,
    "room for all headers of a frame");

static u_int
hn_ring_pow2(u_int n, u_int least, u_int most)
{

	n = MAX(MIN(n, most), least);
	return (powerof2(n) ? n : 1u << fls((int)n));
}

/*
 * A frame's pieces are cut at page boundaries: each is one range of its own on
 * the wire (protocol: netvsc, 4.1).
 */
static int
hn_txr_alloc_descs(struct hn_tx_ring *txr, u_int cnt)
{
	struct hn_txdesc *txd;
	u_int i;
	int error;

	error = bus_dma_tag_create(bus_get_dma_tag(txr->txr_sc->sc_dev), 1,
	    PAGE_SIZE, BUS_SPACE_MAXADDR, BUS_SPACE_MAXADDR, NULL, NULL,
	    HN_FRAME_MAX, HN_TX_SEGS_MAX, PAGE_SIZE, 0, NULL, NULL,
	    &txr->txr_tag);
	if (error != 0)
		return (error);
	txr->txr_hdrs = malloc(roundup2((size_t)cnt * HN_TX_HDR_ROOM,
	    PAGE_SIZE), M_HN, M_WAITOK | M_ZERO);
	txr->txr_free[HN_TXF_BARE] = mallocarray(cnt, sizeof(uint32_t), M_HN,
	    M_WAITOK);
	txr->txr_free[HN_TXF_SECT] = mallocarray(cnt, sizeof(uint32_t), M_HN,
	    M_WAITOK);
	txr->txr_donemask = hn_ring_pow2(cnt, 1, HN_TX_DESC_MAX) - 1;
	txr->txr_done = mallocarray(txr->txr_donemask + 1, sizeof(uint32_t),
	    M_HN, M_WAITOK | M_ZERO);
	txr->txr_desc = mallocarray(cnt, sizeof(*txr->txr_desc), M_HN,
	    M_WAITOK | M_ZERO);
	for (i = 0; i < cnt; i++) {
		txd = &txr->txr_desc[i];
		txd->txd_index = i;
		txd->txd_hdr = txr->txr_hdrs + (size_t)i * HN_TX_HDR_ROOM;
		txd->txd_hdr_paddr = pmap_kextract((vm_offset_t)txd->txd_hdr);
		error = bus_dmamap_create(txr->txr_tag, 0, &txd->txd_map);
		if (error != 0)
			return (error);
		/* Counts what hn_txr_free() finds. */
		txr->txr_ndesc++;
	}
	return (0);
}

static int
hn_txr_alloc(struct hn_softc *sc, u_int idx)
{
	struct hn_tx_ring *txr = &sc->sc_txr[idx];

	txr->txr_sc = sc;
	txr->txr_idx = idx;
	txr->txr_suspended = true;
	mtx_init(&txr->txr_mtx, "hn tx", NULL, MTX_DEF);
	TASK_INIT(&txr->txr_task, 0, hn_tx_task, txr);
	txr->txr_br = buf_ring_alloc((int)hn_ring_pow2(hn_tx_swq_depth,
	    HN_SWQ_MIN, HN_SWQ_MAX), M_HN, M_WAITOK, &txr->txr_mtx);
	return (hn_txr_alloc_descs(txr, MAX(MIN(hn_tx_ring_desc,
	    HN_TX_DESC_MAX), HN_TX_DESC_MIN)));
}

/*
 * What the host never gave back is left to it: the frame, its map, and with
 * them all header room.  hn_tx_reclaim() has counted that.
 */
static void
hn_txr_free(struct hn_tx_ring *txr)
{
	struct hn_txdesc *txd;
	struct mbuf *m;
	bool lost;

	if (txr->txr_sc == NULL)
		return;
	taskqueue_drain(taskqueue_thread, &txr->txr_task);
	lost = false;
	while (txr->txr_ndesc > 0) {
		txd = &txr->txr_desc[--txr->txr_ndesc];
		if (txd->txd_state == HN_TXD_LOST)
			lost = true;
		else
			(void)bus_dmamap_destroy(txr->txr_tag, txd->txd_map);
	}
	if (txr->txr_br != NULL) {
		mtx_lock(&txr->txr_mtx);
		while ((m = buf_ring_dequeue_sc(txr->txr_br)) != NULL)
			m_freem(m);
		mtx_unlock(&txr->txr_mtx);
		buf_ring_free(txr->txr_br, M_HN);
	}
	free(txr->txr_desc, M_HN);
	free(txr->txr_done, M_HN);
	free(txr->txr_free[HN_TXF_SECT], M_HN);
	free(txr->txr_free[HN_TXF_BARE], M_HN);
	if (!lost) {
		free(txr->txr_hdrs, M_HN);
		if (txr->txr_tag != NULL)
			(void)bus_dma_tag_destroy(txr->txr_tag);
	}
	mtx_destroy(&txr->txr_mtx);
}

static int
hn_rxr_alloc(struct hn_softc *sc, u_int idx)
{
	struct hn_rx_ring *rxr = &sc->sc_rxr[idx];
	u_int i;
	int error;

	rxr->rxr_sc = sc;
	rxr->rxr_txr = &sc->sc_txr[idx];
	rxr->rxr_idx = idx;
	rxr->rxr_ack = mallocarray(HN_RX_ACKS, sizeof(*rxr->rxr_ack), M_HN,
	    M_WAITOK | M_ZERO);
	rxr->rxr_loans = mallocarray(HN_LOANS_MAX, sizeof(*rxr->rxr_loans),
	    M_HN, M_WAITOK | M_ZERO);
	for (i = 0; i < HN_LOANS_MAX; i++) {
		rxr->rxr_loans[i].ln_rxr = rxr;
		rxr->rxr_loans[i].ln_next = rxr->rxr_free;
		rxr->rxr_free = &rxr->rxr_loans[i];
	}
	rxr->rxr_nloans = HN_LOANS_MAX;
	error = tcp_lro_init_args(&rxr->rxr_lro, NULL, hn_lro_entries,
	    hn_lro_mbufq);
	rxr->rxr_lro_init = error == 0;
	return (error);
}

static void
hn_rxr_free(struct hn_rx_ring *rxr)
{

	if (rxr->rxr_sc == NULL)
		return;
	KASSERT(rxr->rxr_out == 0, ("%s: %u loans", __func__, rxr->rxr_out));
	if (rxr->rxr_lro_init)
		tcp_lro_free(&rxr->rxr_lro);
	free(rxr->rxr_loans, M_HN);
	free(rxr->rxr_ack, M_HN);
}

int
hn_ring_alloc(struct hn_softc *sc)
{
	u_int i;
	int error;

	sc->sc_txr = malloc_aligned(sc->sc_nalloc * sizeof(*sc->sc_txr),
	    CACHE_LINE_SIZE, M_HN, M_WAITOK | M_ZERO);
	sc->sc_rxr = malloc_aligned(sc->sc_nalloc * sizeof(*sc->sc_rxr),
	    CACHE_LINE_SIZE, M_HN, M_WAITOK | M_ZERO);
	for (i = 0; i < sc->sc_nalloc; i++) {
		error = hn_txr_alloc(sc, i);
		if (error == 0)
			error = hn_rxr_alloc(sc, i);
		if (error != 0)
			return (error);
	}
	return (0);
}

void
hn_ring_free(struct hn_softc *sc)
{
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		if (sc->sc_rxr != NULL)
			hn_rxr_free(&sc->sc_rxr[i]);
		if (sc->sc_txr != NULL)
			hn_txr_free(&sc->sc_txr[i]);
	}
	free(sc->sc_rxr, M_HN);
	free(sc->sc_txr, M_HN);
	sc->sc_rxr = NULL;
	sc->sc_txr = NULL;
}

/*
 * Gives the ring its sections, one for each descriptor as far as they go:
 * nothing is shared with other rings.  No descriptor is with the host.
 */
static void
hn_txr_config(struct hn_softc *sc, struct hn_tx_ring *txr)
{
	struct hn_txbuf *tb = &sc->sc_txbuf;
	struct hn_txdesc *txd;
	u_int i, kind;

	mtx_lock(&txr->txr_mtx);
	MPASS(txr->txr_suspended);
	txr->txr_nsect = 0;
	if (txr->txr_idx < sc->sc_nrings) {
		txr->txr_nsect = MIN(tb->tb_nsect / sc->sc_nrings,
		    txr->txr_ndesc);
		txr->txr_sect_base = txr->txr_idx *
		    (tb->tb_nsect / sc->sc_nrings);
		txr->txr_sectsz = tb->tb_sectsz;
	}
	txr->txr_nfree[HN_TXF_BARE] = txr->txr_nfree[HN_TXF_SECT] = 0;
	for (i = txr->txr_ndesc; i-- > 0;) {
		txd = &txr->txr_desc[i];
		if (txd->txd_state == HN_TXD_LOST)
			continue;
		txd->txd_sect = NULL;
		kind = HN_TXF_BARE;
		if (i < txr->txr_nsect) {
			txd->txd_sect = tb->tb_mem + (size_t)tb->tb_sectsz *
			    (txr->txr_sect_base + i);
			kind = HN_TXF_SECT;
		}
		txr->txr_free[kind][txr->txr_nfree[kind]++] = i;
	}
	mtx_unlock(&txr->txr_mtx);
}

/*
 * Half of the ring's share of the receive buffer may be with the stack: the
 * host always has the other half to go on with.
 */
static void
hn_rxr_config(struct hn_softc *sc, struct hn_rx_ring *rxr)
{

	rxr->rxr_piece_max = 0;
	if (rxr->rxr_idx < sc->sc_nrings)
		rxr->rxr_piece_max = sc->sc_nrxpieces / sc->sc_nrings / 2;
	/* Control messages come in already. */
	atomic_store_int(&rxr->rxr_ack_batch,
	    MAX(MIN(rxr->rxr_piece_max / 8, HN_RX_ACK_BATCH), 1));
}

void
hn_ring_limits(struct hn_softc *sc)
{
	struct hn_tx_ring *txr;
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		txr = &sc->sc_txr[i];
		mtx_lock(&txr->txr_mtx);
		hn_agg_limits(&txr->txr_lim, txr->txr_sectsz,
		    sc->sc_agg_size, sc->sc_agg_pkts, sc->sc_agg_align,
		    (int)atomic_load_int((u_int *)&sc->sc_user_agg_size),
		    (int)atomic_load_int((u_int *)&sc->sc_user_agg_pkts));
		txr->txr_copy_max = txr->txr_nsect == 0 ? 0 : txr->txr_sectsz;
		if (sc->sc_copy_size != 0)
			txr->txr_copy_max = MIN(txr->txr_copy_max,
			    sc->sc_copy_size);
		mtx_unlock(&txr->txr_mtx);
	}
}

void
hn_ring_config(struct hn_softc *sc)
{
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		hn_txr_config(sc, &sc->sc_txr[i]);
		hn_rxr_config(sc, &sc->sc_rxr[i]);
	}
	hn_ring_limits(sc);
}
