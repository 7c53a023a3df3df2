/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Aggregation: several messages in one section of the send buffer, which the
 * host walks by their lengths (protocol: netvsc, 4.1).  Fewer packets on the
 * bus, fewer completions, and nothing of it costs a packet that is alone any
 * time: the section goes off as soon as the sender has nothing more, unless
 * the host is busy with earlier ones anyway.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

/* Old hosts that say less want at least this. */
#define	HN_AGG_ALIGN_MIN	4

/*
 * Puts together what the host says, what the section holds and what the
 * administrator wants: less than 0 means the host's limit, 0 no batches.
 */
void
hn_agg_limits(struct hn_agg_limits *al, uint32_t sectsz, uint32_t host_size,
    uint32_t host_pkts, uint32_t host_align, int user_size, int user_pkts)
{

	al->al_size = MIN(sectsz, host_size);
	if (user_size >= 0)
		al->al_size = MIN(al->al_size, (uint32_t)user_size);
	al->al_pkts = host_pkts;
	if (user_pkts >= 0)
		al->al_pkts = MIN(al->al_pkts, (uint32_t)user_pkts);
	al->al_pkts = MAX(al->al_pkts, 1);
	al->al_align = MAX(host_align, HN_AGG_ALIGN_MIN);
	/* Two messages must have room, or there is nothing to aggregate. */
	if (!powerof2(al->al_align) || al->al_align > sectsz / 2 ||
	    al->al_size < 2 * (uint32_t)roundup2(sizeof(struct
	    hn_rndis_packet) + HN_FRAME_MIN, al->al_align)) {
		al->al_align = HN_AGG_ALIGN_MIN;
		al->al_pkts = 1;
	}
}

/*
 * Whether a message of len bytes can join pkts others that take used bytes.
 * The first always can: what is no larger than a section is sent so.
 */
bool
hn_agg_fits(const struct hn_agg_limits *al, uint32_t used, uint32_t pkts,
    uint32_t len)
{

	if (pkts == 0)
		return (true);
	return (pkts < al->al_pkts && used < al->al_size &&
	    len <= al->al_size - used);
}

/* Ends a section that the host will not get: its packets are lost. */
static void
hn_agg_drop(struct hn_tx_ring *txr)
{
	struct hn_txdesc *txd = txr->txr_agg;

	if_inc_counter(txr->txr_sc->sc_ifp, IFCOUNTER_OERRORS, txd->txd_pkts);
	txr->txr_flush_failed++;
	txr->txr_agg = NULL;
	hn_txd_put(txr, txd);
}

int
hn_agg_flush(struct hn_tx_ring *txr)
{
	int error;

	if (txr->txr_agg == NULL)
		return (0);
	error = hn_txd_send(txr, txr->txr_agg, txr->txr_agg_len);
	if (error == EAGAIN)
		return (error);
	if (__predict_false(error != 0)) {
		hn_agg_drop(txr);
		return (0);
	}
	txr->txr_agg = NULL;
	return (0);
}

/*
 * The section goes off now, if not so many are under way that the host will not
 * come to it soon: then what is sent meanwhile joins it.  A completion of those
 * brings the sender back here.
 */
void
hn_agg_end(struct hn_tx_ring *txr)
{

	if (txr->txr_agg == NULL)
		return;
	if (hn_tx_agg_hold != 0 && txr->txr_lim.al_pkts > 1 &&
	    hn_tx_outstanding(txr) >= hn_tx_agg_hold)
		return;
	(void)hn_agg_flush(txr);
}

uint8_t *
hn_agg_room(struct hn_tx_ring *txr, uint32_t len)
{
	struct hn_txdesc *txd = txr->txr_agg;

	mtx_assert(&txr->txr_mtx, MA_OWNED);
	if (txd != NULL) {
		if (hn_agg_fits(&txr->txr_lim, txr->txr_agg_len,
		    txd->txd_pkts, len))
			return (txd->txd_sect + txr->txr_agg_len);
		if (hn_agg_flush(txr) != 0)
			return (NULL);
	}
	txd = hn_txd_get(txr, HN_TXF_SECT);
	if (txd == NULL)
		return (NULL);
	txd->txd_pkts = 0;
	txr->txr_agg = txd;
	txr->txr_agg_len = 0;
	return (txd->txd_sect);
}

void
hn_agg_add(struct hn_tx_ring *txr, uint32_t len)
{

	txr->txr_agg->txd_pkts++;
	txr->txr_agg_len += len;
}
