/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Loans: packets go into the stack where they lie in the receive buffer, and
 * the host gets the memory back when the last of a transfer has been freed, by
 * whatever thread.  That thread does not send: it leaves the loan to the
 * channel callback, and only if nothing comes in while many have come back it
 * acknowledges them all, which is one signal.  No more than half of the buffer
 * is ever out (rxr_piece_max), so the host is never left with nothing to write
 * to while acknowledgements wait.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <machine/atomic.h>

#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

static void
hn_loan_push(volatile uintptr_t *list, struct hn_loan *ln)
{
	uintptr_t old;

	do {
		old = atomic_load_ptr(list);
		ln->ln_next = (struct hn_loan *)old;
	} while (atomic_cmpset_rel_ptr(list, old, (uintptr_t)ln) == 0);
}

/* Whole lists only: so no loan can be taken and come back in between. */
static struct hn_loan *
hn_loan_take(volatile uintptr_t *list)
{
	struct hn_loan *ln;

	if (atomic_load_ptr(list) == 0)
		return (NULL);
	ln = (struct hn_loan *)atomic_swap_ptr(list, 0);
	atomic_thread_fence_acq();
	return (ln);
}

struct hn_loan *
hn_loan_get(struct hn_rx_ring *rxr, uint64_t xid, u_int pieces)
{
	struct hn_rxbuf *rb = rxr->rxr_sc->sc_rxbuf;
	struct hn_loan *ln;

	if (atomic_load_int(&rxr->rxr_pieces) + pieces > rxr->rxr_piece_max)
		return (NULL);
	if (rxr->rxr_free == NULL)
		rxr->rxr_free = hn_loan_take(&rxr->rxr_acked);
	ln = rxr->rxr_free;
	if (ln == NULL)
		return (NULL);
	rxr->rxr_free = ln->ln_next;
	ln->ln_rxbuf = rb;
	ln->ln_xid = xid;
	ln->ln_refs = 1;
	ln->ln_session = rxr->rxr_session;
	ln->ln_pieces = pieces;
	hn_rxbuf_ref(rb);
	atomic_add_int(&rxr->rxr_pieces, pieces);
	atomic_add_int(&rxr->rxr_out, 1);
	return (ln);
}

static void
hn_loan_acked(struct hn_loan *ln)
{
	struct hn_rx_ring *rxr = ln->ln_rxr;

	atomic_subtract_int(&rxr->rxr_pieces, ln->ln_pieces);
	hn_loan_push(&rxr->rxr_acked, ln);
}

/*
 * The adapter may be gone as soon as rxr_out says that nobody has a loan: that
 * is the last thing done to it.  Who waits for that holds sc_mtx when it looks.
 */
static void
hn_loan_out(struct hn_rx_ring *rxr)
{
	struct hn_softc *sc = rxr->rxr_sc;

	if (__predict_true(atomic_load_int(&rxr->rxr_draining) == 0)) {
		atomic_subtract_rel_int(&rxr->rxr_out, 1);
		return;
	}
	mtx_lock(&sc->sc_mtx);
	atomic_subtract_rel_int(&rxr->rxr_out, 1);
	wakeup(&sc->sc_flags);
	mtx_unlock(&sc->sc_mtx);
}

/* The last reference is gone: any thread, with any locks. */
static void
hn_loan_return(struct hn_loan *ln)
{
	struct hn_rx_ring *rxr = ln->ln_rxr;
	struct hn_tx_ring *txr = rxr->rxr_txr;
	struct hn_rxbuf *rb = ln->ln_rxbuf;
	struct vmbus_signal sg;

	sg.sg_due = false;
	hn_loan_push(&rxr->rxr_returned, ln);
	if (atomic_fetchadd_int(&rxr->rxr_nreturned, 1) + 1 >=
	    atomic_load_int(&rxr->rxr_ack_batch) &&
	    mtx_trylock(&txr->txr_mtx) != 0) {
		/* With txr_mtx the channel stays open, if it is. */
		hn_loan_ack(rxr, txr->txr_ch, &sg);
		mtx_unlock(&txr->txr_mtx);
	}
	if (sg.sg_due)
		vmbus_ch_signal(&sg);
	hn_rxbuf_rele(rb);
	hn_loan_out(rxr);
}

static void
hn_loan_put(struct hn_loan *ln)
{

	atomic_thread_fence_rel();
	if (atomic_fetchadd_int(&ln->ln_refs, -1) != 1)
		return;
	atomic_thread_fence_acq();
	hn_loan_return(ln);
}

static void
hn_loan_free(struct mbuf *m)
{

	hn_loan_put(m->m_ext.ext_arg1);
}

struct mbuf *
hn_loan_mbuf(struct hn_loan *ln, uint8_t *p, uint32_t len)
{
	struct mbuf *m;

	m = m_get(M_NOWAIT, MT_DATA);
	if (__predict_false(m == NULL))
		return (NULL);
	atomic_add_int(&ln->ln_refs, 1);
	m_extadd(m, (char *)p, len, hn_loan_free, ln, NULL, 0, EXT_NET_DRV);
	m->m_len = (int)len;
	return (m);
}

bool
hn_loan_end(struct hn_loan *ln)
{
	struct hn_rx_ring *rxr = ln->ln_rxr;
	struct hn_rxbuf *rb = ln->ln_rxbuf;

	if (atomic_load_acq_int(&ln->ln_refs) != 1) {
		hn_loan_put(ln);
		return (false);
	}
	/* Nothing of it went out, or all of it is back. */
	atomic_subtract_int(&rxr->rxr_pieces, ln->ln_pieces);
	ln->ln_next = rxr->rxr_free;
	rxr->rxr_free = ln;
	hn_rxbuf_rele(rb);
	hn_loan_out(rxr);
	return (true);
}

/*
 * A loan of an earlier session needs no word to the host, nor does any when the
 * channel is closed or broken.  Those that find no room in the ring go back to
 * the list: the callback comes when there is.
 */
void
hn_loan_ack(struct hn_rx_ring *rxr, struct vmbus_channel *ch,
    struct vmbus_signal *sg)
{
	struct hn_loan *ln, *next;
	u_int n;

	n = 0;
	for (ln = hn_loan_take(&rxr->rxr_returned); ln != NULL; ln = next) {
		next = ln->ln_next;
		if (ch != NULL && ln->ln_session ==
		    atomic_load_int(&rxr->rxr_session) &&
		    hn_rx_send_ack(ch, ln->ln_xid, HN_NVS_STATUS_OK, sg) ==
		    EAGAIN) {
			for (; ln != NULL; ln = next) {
				next = ln->ln_next;
				hn_loan_push(&rxr->rxr_returned, ln);
			}
			break;
		}
		hn_loan_acked(ln);
		n++;
	}
	if (n != 0)
		atomic_subtract_int(&rxr->rxr_nreturned, n);
}

u_int
hn_rx_loans(struct hn_softc *sc)
{
	u_int i, n;

	n = 0;
	for (i = 0; sc->sc_rxr != NULL && i < sc->sc_nalloc; i++)
		n += atomic_load_acq_int(&sc->sc_rxr[i].rxr_out);
	return (n);
}

/*
 * Woken by hn_loan_out().  A thread that gave a loan back just when this one
 * came may not have seen it: hence a look now and then.
 */
bool
hn_rx_drain(struct hn_softc *sc, int seconds)
{
	struct hn_rx_ring *rxr;
	sbintime_t left, slice;
	u_int i;

	left = seconds * SBT_1S;
	for (i = 0; i < sc->sc_nalloc; i++) {
		rxr = &sc->sc_rxr[i];
		mtx_lock(&sc->sc_mtx);
		atomic_store_int(&rxr->rxr_draining, 1);
		while (atomic_load_acq_int(&rxr->rxr_out) != 0 && left > 0) {
			slice = MIN(left, SBT_1S / 20);
			left -= slice;
			vmbus_sleep(&sc->sc_flags, &sc->sc_mtx, "hnloan",
			    &slice);
			left += MAX(slice, 0);
		}
		atomic_store_int(&rxr->rxr_draining, 0);
		mtx_unlock(&sc->sc_mtx);
	}
	return (hn_rx_loans(sc) == 0);
}

void
hn_rx_reclaim(struct hn_softc *sc)
{
	struct hn_rx_ring *rxr;
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		rxr = &sc->sc_rxr[i];
		mtx_lock(&rxr->rxr_txr->txr_mtx);
		rxr->rxr_nacks = 0;
		atomic_add_int(&rxr->rxr_session, 1);
		hn_loan_ack(rxr, NULL, NULL);
		mtx_unlock(&rxr->rxr_txr->txr_mtx);
	}
}
