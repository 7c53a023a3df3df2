/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * bpf(4) as drivers see it: frames are shown to it, and it says whether anybody
 * looks.  Who looks is the interface's handle (kpi.h: capture()).
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/epoch.h>

#include <net/bpf.h>
#include <net/ethernet.h>

void
bpfattach(struct ifnet *ifp, u_int dlt, u_int hdrlen)
{

	EVENTHANDLER_INVOKE(bpf_track, ifp, (int)dlt, 1);
}

void
bpfdetach(struct ifnet *ifp)
{

	EVENTHANDLER_INVOKE(bpf_track, ifp, DLT_EN10MB, 0);
}

bool
bpf_peers_present_if(struct ifnet *ifp)
{

	return (kpi_net_listens(ifp));
}

void
bpf_mtap_if(struct ifnet *ifp, struct mbuf *m)
{
	struct epoch_tracker et;

	M_ASSERTMAPPED(m);
	if (!kpi_net_listens(ifp))
		return;
	NET_EPOCH_ENTER(et);
	kpi_net_capture(ifp, m);
	NET_EPOCH_EXIT(et);
}

/* A tag beside the frame is the handle's to show as well. */
void
ether_bpf_mtap_if(struct ifnet *ifp, struct mbuf *m)
{

	bpf_mtap_if(ifp, m);
}
