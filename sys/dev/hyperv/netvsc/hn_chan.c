/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The channels of an adapter: opening and closing them as one, and taking
 * packets out of the ring for whoever they are for.  What the packets say is
 * not looked at here.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_RING_SIZE	(128 * PAGE_SIZE)	/* a direction */

/*
 * Says once what the host should not have sent.  Any context; a lock of a ring
 * may be held.
 */
void
hn_bad(struct hn_softc *sc, const char *what, uint64_t value)
{
	bool said;

	if (SCHEDULER_STOPPED())
		return;
	mtx_lock(&sc->sc_mtx);
	said = (sc->sc_flags & HN_F_BAD_SAID) != 0;
	sc->sc_flags |= HN_F_BAD_SAID;
	mtx_unlock(&sc->sc_mtx);
	if (!said)
		device_printf(sc->sc_dev, "%s (%#jx) from the host, further "
		    "ones are only counted\n", what, (uintmax_t)value);
}

static void
hn_chan_completion(struct hn_rx_ring *rxr, const struct vmbus_rxpkt *rp)
{

	switch ((uint32_t)rp->rp_xid) {
	case HN_ID_NONE:
		break;
	case HN_ID_CONTROL:
		if (rxr->rxr_idx == 0) {
			hn_xchg_nvs_reply(rxr->rxr_sc, rp->rp_xid,
			    rp->rp_data, rp->rp_len);
			break;
		}
		/* FALLTHROUGH */
	default:
		hn_tx_complete(rxr->rxr_txr, rp->rp_xid, rp->rp_data,
		    rp->rp_len);
		break;
	}
}

/* Some are to be answered, by nothing; a host that has no room does without. */
static void
hn_chan_notice(struct hn_rx_ring *rxr, const struct vmbus_rxpkt *rp)
{

	hn_nvs_notice(rxr->rxr_sc, rp->rp_data, rp->rp_len);
	if ((rp->rp_flags & VMBUS_PKT_FLAG_RC) != 0 &&
	    vmbus_ch_send_quiet(rxr->rxr_ch, VMBUS_PKT_TYPE_COMP, 0, "", 0,
	    rp->rp_xid, &rxr->rxr_signal) != 0)
		rxr->rxr_ack_failed++;
}

static void
hn_chan_packet(struct hn_rx_ring *rxr, const struct vmbus_rxpkt *rp)
{

	switch (rp->rp_type) {
	case VMBUS_PKT_TYPE_RXBUF:
		hn_rx_packet(rxr, rp);
		break;
	case VMBUS_PKT_TYPE_COMP:
		hn_chan_completion(rxr, rp);
		break;
	case VMBUS_PKT_TYPE_INBAND:
		if (rxr->rxr_idx == 0) {
			hn_chan_notice(rxr, rp);
			break;
		}
		/* FALLTHROUGH */
	default:
		rxr->rxr_bad++;
		hn_bad(rxr->rxr_sc, "packet type", rp->rp_type);
		break;
	}
}

/*
 * A batch of packets; if there are more the bus calls again, once others had
 * their turn on this processor.
 */
static void
hn_chan_callback(struct vmbus_channel *ch, void *arg)
{
	struct hn_rx_ring *rxr = arg;
	struct hn_softc *sc = rxr->rxr_sc;
	struct epoch_tracker et;
	struct vmbus_rxpkt rp;
	u_int n;
	int error;

	error = 0;
	hn_tx_hold(rxr->rxr_txr);
	NET_EPOCH_ENTER(et);
	for (n = 0; n < HN_BATCH && hn_rx_ready(rxr); n++) {
		error = vmbus_ch_peek(ch, &rp);
		if (error != 0)
			break;
		hn_chan_packet(rxr, &rp);
	}
	/* The last batch's room goes back when this returns. */
	if (error == 0)
		vmbus_ch_release(ch);
	hn_rx_flush(rxr);
	NET_EPOCH_EXIT(et);
	hn_tx_flush(rxr->rxr_txr);
	if (rxr->rxr_idx == 0 && atomic_load_int(&sc->sc_xchg.xc_room) != 0)
		hn_xchg_wake(sc);
	if (error == EBADMSG && !rxr->rxr_dead) {
		rxr->rxr_dead = true;
		hn_recover(sc, rxr->rxr_idx == 0);
	}
}

int
hn_chan_open(struct hn_softc *sc, u_int idx, struct vmbus_channel *ch, int cpu)
{
	struct hn_rx_ring *rxr = &sc->sc_rxr[idx];
	struct hn_tx_ring *txr = &sc->sc_txr[idx];
	struct vmbus_ch_open_params op;
	int error;

	vmbus_ch_set_cpu(ch, cpu);
	memset(&op, 0, sizeof(op));
	op.op_txsize = HN_RING_SIZE;
	op.op_rxsize = HN_RING_SIZE;
	op.op_callback = hn_chan_callback;
	op.op_arg = rxr;
	op.op_batch = true;

	/* The callback may run before the open returns. */
	rxr->rxr_ch = ch;
	rxr->rxr_id = vmbus_ch_id(ch);
	rxr->rxr_dead = false;
	if (idx == 0) {
		mtx_lock(&sc->sc_mtx);
		sc->sc_flags &= ~HN_F_DEAF;
		mtx_unlock(&sc->sc_mtx);
	}
	mtx_lock(&txr->txr_mtx);
	txr->txr_ch = ch;
	mtx_unlock(&txr->txr_mtx);
	error = vmbus_ch_open(ch, &op);
	if (error == 0 && sc->sc_pollhz != 0)
		(void)vmbus_ch_set_poll(ch, sc->sc_pollhz);
	if (error != 0) {
		mtx_lock(&txr->txr_mtx);
		txr->txr_ch = NULL;
		mtx_unlock(&txr->txr_mtx);
		rxr->rxr_ch = NULL;
	}
	return (error);
}

int
hn_chan_poll(struct hn_softc *sc)
{
	u_int i;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	error = 0;
	for (i = 0; error == 0 && i < sc->sc_nalloc; i++) {
		if (sc->sc_rxr[i].rxr_ch != NULL)
			error = vmbus_ch_set_poll(sc->sc_rxr[i].rxr_ch,
			    sc->sc_pollhz);
	}
	return (error);
}

/*
 * Sub-channels may be gone as soon as their primary is closed, so nobody must
 * be about to send on one by then.
 */
int
hn_chan_close(struct hn_softc *sc)
{
	struct hn_tx_ring *txr;
	u_int i;
	int error;

	for (i = 0; i < sc->sc_nalloc; i++) {
		txr = &sc->sc_txr[i];
		mtx_lock(&txr->txr_mtx);
		txr->txr_ch = NULL;
		mtx_unlock(&txr->txr_mtx);
	}
	error = vmbus_ch_close(vmbus_get_channel(sc->sc_dev));
	for (i = 0; i < sc->sc_nalloc; i++)
		sc->sc_rxr[i].rxr_ch = NULL;
	atomic_store_int(&sc->sc_nrings, 1);
	return (error);
}
