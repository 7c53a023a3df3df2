/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * debugnet: what netdump(4) has of a network driver when the kernel has
 * panicked, which is to send a frame and to look for others, without interrupts
 * and other threads.  mbufs come from the ordinary zones, of which a kernel
 * would set some aside.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <net/debugnet.h>
#include <net/ethernet.h>
#include <net/if_types.h>

#define	DN_POLL_US	100

/* What came in; there is one thread. */
static struct mbuf *dn_received;

static void
dn_input(struct ifnet *ifp, struct mbuf *m)
{

	if (dn_received == NULL && m->m_nextpkt == NULL)
		dn_received = m;
	else
		m_freemp(m);
}

/* The driver says how many buffers it would want; nonsense is a panic. */
static void
dn_init(struct ifnet *ifp)
{
	int clsize = 0, ncl = 0, nrxr = 0;

	ifp->if_debugnet_methods->dn_init(ifp, &nrxr, &ncl, &clsize);
	KASSERT(nrxr > 0 && ncl > 0, ("%s: debugnet with %d rings of %d",
	    if_name(ifp), nrxr, ncl));
	(void)m_gettype(clsize);
}

/* After a change of the MTU, or of rings. */
void
debugnet_any_ifnet_update(struct ifnet *ifp)
{

	if (DEBUGNET_SUPPORTED_NIC(ifp))
		dn_init(ifp);
}

/* Sends m and polls until something came in, at most so many times. */
static int
dn_exchange(struct ifnet *ifp, struct mbuf *m, u_int polls)
{
	const struct debugnet_methods *dn = ifp->if_debugnet_methods;
	if_input_fn_t input = ifp->if_input;
	u_int i;
	int error;

	dn->dn_event(ifp, DEBUGNET_START);
	ifp->if_input = dn_input;
	/* A frame that is refused is the driver's as well. */
	error = dn->dn_transmit(ifp, m);
	for (i = 0; error == 0 && dn_received == NULL && i < polls; i++) {
		(void)dn->dn_poll(ifp, 1000);
		DELAY(DN_POLL_US);
	}
	ifp->if_input = input;
	dn->dn_event(ifp, DEBUGNET_END);
	return (error);
}

static int
dn_run(struct ifnet *ifp, const void *frame, kpi_size len, void *reply,
    kpi_size *replylen, unsigned ms)
{
	struct mbuf *m;
	int error;

	if (!DEBUGNET_SUPPORTED_NIC(ifp))
		return (ENODEV);
	if (len < ETHER_HDR_LEN || len > MCLBYTES)
		return (EINVAL);
	dn_init(ifp);
	kpi_dump_enter();
	m = m_getcl(M_NOWAIT, MT_DATA, M_PKTHDR);
	if (m != NULL) {
		memcpy(mtod(m, void *), frame, len);
		m->m_len = m->m_pkthdr.len = len;
		error = dn_exchange(ifp, m, ms * 1000 / DN_POLL_US);
	} else
		error = ENOBUFS;
	m = dn_received;
	dn_received = NULL;
	if (m != NULL) {
		*replylen = MIN(*replylen, m->m_pkthdr.len);
		m_copydata(m, 0, *replylen, reply);
		m_freem(m);
	} else
		*replylen = 0;
	kpi_dump_leave();
	return (error);
}

int
kpi_net_debug(const char *name, const void *frame, kpi_size len, void *reply,
    kpi_size *replylen, unsigned ms)
{
	struct thread *td = kpi_thread_enter();
	struct ifnet *ifp = ifunit_ref(name);
	int error = ENXIO;

	if (ifp != NULL) {
		error = dn_run(ifp, frame, len, reply, replylen, ms);
		if_rele(ifp);
	}
	kpi_thread_leave(td);
	return (error);
}
