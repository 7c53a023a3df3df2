/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * netdump(4) and the debugger's network: packets of a kernel that has stopped.
 * No interrupts, no threads; locks have no effect.  A processor may have been
 * stopped while it was sending, so its ring is left alone if there is another.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <net/debugnet.h>

#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_DEBUGNET_TRIES	10000	/* 10 us apart, for room to send */

/* How much memory is set aside for what comes in; it is copied. */
static void
hn_debugnet_init(if_t ifp __unused, int *nrxr, int *ncl, int *clsize)
{

	*nrxr = 1;
	*ncl = DEBUGNET_MAX_IN_FLIGHT;
	*clsize = MCLBYTES;
}

static void
hn_debugnet_event(if_t ifp __unused, enum debugnet_ev event __unused)
{
}

/* What came in and what was sent; the callbacks do not begin to send. */
static int
hn_debugnet_poll(if_t ifp, int count __unused)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	u_int i;

	if ((if_getdrvflags(ifp) & IFF_DRV_RUNNING) == 0)
		return (EBUSY);
	for (i = 0; i < sc->sc_nrings; i++) {
		if (sc->sc_rxr[i].rxr_ch != NULL)
			vmbus_ch_poll(sc->sc_rxr[i].rxr_ch);
	}
	return (0);
}

/* A ring that nobody was at. */
static struct hn_tx_ring *
hn_debugnet_ring(struct hn_softc *sc)
{
	u_int i;

	for (i = 0; i < sc->sc_nrings; i++) {
		if (sc->sc_txr[i].txr_mtx.mtx_lock == MTX_UNOWNED)
			return (&sc->sc_txr[i]);
	}
	return (&sc->sc_txr[0]);
}

/* The mbuf is ours whatever happens. */
static int
hn_debugnet_transmit(if_t ifp, struct mbuf *m)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct hn_tx_ring *txr;
	u_int i;
	int error;

	txr = hn_debugnet_ring(sc);
	error = (if_getdrvflags(ifp) & IFF_DRV_RUNNING) == 0 ? EBUSY : EAGAIN;
	for (i = 0; error == EAGAIN && i < HN_DEBUGNET_TRIES; i++) {
		error = hn_tx_now(txr, m);
		if (error == EAGAIN) {
			(void)hn_debugnet_poll(ifp, 1);
			DELAY(10);
		}
	}
	if (error != 0)
		m_freem(m);
	return (error);
}

static struct debugnet_methods hn_debugnet_methods = {
	.dn_init = hn_debugnet_init,
	.dn_event = hn_debugnet_event,
	.dn_transmit = hn_debugnet_transmit,
	.dn_poll = hn_debugnet_poll,
};

/* Kernels without debugnet(4) have the function, and never look. */
void
hn_debugnet_attach(struct hn_softc *sc)
{

	if_setdebugnet_methods(sc->sc_ifp, &hn_debugnet_methods);
}
