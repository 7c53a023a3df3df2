/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the parts of the hosted network know of each other beyond the FreeBSD
 * KPI.  For kpi/net only.
 *
 * An interface is struct ifnet of the genuine net/if_private.h, and behind it
 * what the hosted network adds.  Above it there is no protocol but one handle
 * (struct kpi_net, kpi.h), which is stack and bpf(4) listener in one.
 *
 * Locks, outermost first:
 *	ifnet_detach_sxlock: one interface is detached at a time
 *	ifnet_sxlock: table and list of interfaces, for writing
 *	if_addr_lock: an interface's multicast addresses
 *	kn_mtx: frames that wait for kpi_net_recv()
 * The list is read and a handle is used within the network epoch.
 */

#ifndef _KPI_NET_H_
#define	_KPI_NET_H_

#include <sys/param.h>
#include <sys/eventhandler.h>
#include <sys/mbuf.h>
#include <sys/socket.h>
#include <sys/systm.h>

#include <net/if.h>
#include <net/if_var.h>
#include <net/if_private.h>

struct kpi_net;

struct kpi_if {
	struct ifnet	 ki_if;		/* first */
	bool		 ki_attached;	/* (atomic) on the list */
	struct kpi_net	*ki_net;	/* (atomic, epoch) NULL: nobody */
};

#define	KPI_IF(ifp)	((struct kpi_if *)(void *)(ifp))

/* if.c: bookkeeping that ether_ifattach() and if_detach() share. */
struct ifnet *kpi_if_find(const char *name);	/* in the epoch; NULL */
void	kpi_if_list(void (*fn)(void *arg, struct ifnet *ifp), void *arg);
void	kpi_if_changed(struct ifnet *ifp);	/* if_lastchange */
/* if_multi.c */
void	kpi_if_purge_multi(struct ifnet *ifp);

/* kpi_net.c: within the network epoch; the interface may have no handle. */
void	kpi_net_input(struct ifnet *ifp, struct mbuf *m);	/* consumes m */
bool	kpi_net_listens(struct ifnet *ifp);
void	kpi_net_capture(struct ifnet *ifp, struct mbuf *m);
void	kpi_net_link(struct ifnet *ifp, int state);

/* uipc_mbuf2.c */
uint64_t kpi_mbuf_tags(void);		/* tags in use */

#endif	/* !_KPI_NET_H_ */
