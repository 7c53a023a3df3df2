/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * kpi.h: sending, and what ifconfig(8) does and shows.
 */

#include <kern/kpi_internal.h>

#include "kpi_netvar.h"

#include <sys/epoch.h>
#include <sys/socket.h>
#include <sys/sockio.h>

#include <net/ethernet.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/if_vlan_var.h>

_Static_assert(KPI_NETCAP_RXCSUM == IFCAP_RXCSUM &&
    KPI_NETCAP_TXCSUM == IFCAP_TXCSUM &&
    KPI_NETCAP_VLAN_MTU == IFCAP_VLAN_MTU &&
    KPI_NETCAP_VLAN_TAGGING == IFCAP_VLAN_HWTAGGING &&
    KPI_NETCAP_JUMBO == IFCAP_JUMBO_MTU &&
    KPI_NETCAP_POLLING == IFCAP_POLLING &&
    KPI_NETCAP_TSO4 == IFCAP_TSO4 && KPI_NETCAP_TSO6 == IFCAP_TSO6 &&
    KPI_NETCAP_LRO == IFCAP_LRO && KPI_NETCAP_LINKSTATE == IFCAP_LINKSTATE &&
    KPI_NETCAP_RXCSUM6 == IFCAP_RXCSUM_IPV6 &&
    KPI_NETCAP_TXCSUM6 == IFCAP_TXCSUM_IPV6, "capabilities in kpi.h");

/* --- Sending --- */

static int
kpi_net_send_one(struct kpi_net *n, const struct kpi_frame *f)
{
	struct ifnet *ifp = n->kn_ifp;
	struct epoch_tracker et;
	struct mbuf *m;
	int error;

	error = kpi_net_mbuf(ifp, f, &m);
	if (error != 0)
		return (error);
	NET_EPOCH_ENTER(et);
	/* The stack has no route to what is down or gone. */
	if (!kpi_net_attached(n)) {
		m_freem(m);
		error = ENXIO;
	} else if ((if_getflags(ifp) & IFF_UP) == 0) {
		m_freem(m);
		error = ENETDOWN;
	} else
		error = if_transmit(ifp, m);
	NET_EPOCH_EXIT(et);
	return (error);
}

unsigned
kpi_net_send(struct kpi_net *n, const struct kpi_frame *f, unsigned count,
    int *error)
{
	struct thread *td = kpi_thread_enter();
	unsigned i;

	*error = 0;
	for (i = 0; i < count; i++) {
		*error = kpi_net_send_one(n, &f[i]);
		if (*error != 0)
			break;
	}
	kpi_thread_leave(td);
	return (i);
}

/* --- What is set --- */

static int
kpi_net_do(struct kpi_net *n, u_long cmd, struct ifreq *ifr)
{
	struct thread *td = kpi_thread_enter();
	int error;

	strlcpy(ifr->ifr_name, if_name(n->kn_ifp), sizeof(ifr->ifr_name));
	error = kpi_net_attached(n) ?
	    ifhwioctl(cmd, n->kn_ifp, (caddr_t)ifr, td) : ENXIO;
	kpi_thread_leave(td);
	return (error);
}

int
kpi_net_ioctl(struct kpi_net *n, unsigned long cmd, void *data)
{

	return (kpi_net_do(n, cmd, data));
}

/* Flags that a user may set, and those that stand for a mode. */
static int
kpi_net_flags(struct kpi_net *n, int set, int clear)
{
	struct ifreq ifr;
	int error, flags;

	memset(&ifr, 0, sizeof(ifr));
	error = kpi_net_do(n, SIOCGIFFLAGS, &ifr);
	if (error != 0)
		return (error);
	flags = (ifr.ifr_flags & 0xffff) | (ifr.ifr_flagshigh << 16);
	flags = (flags & ~clear) | set;
	ifr.ifr_flags = flags & 0xffff;
	ifr.ifr_flagshigh = flags >> 16;
	return (kpi_net_do(n, SIOCSIFFLAGS, &ifr));
}

int
kpi_net_up(struct kpi_net *n, int up)
{

	return (kpi_net_flags(n, up ? IFF_UP : 0, up ? 0 : IFF_UP));
}

int
kpi_net_promisc(struct kpi_net *n, int on)
{

	return (kpi_net_flags(n, on ? IFF_PPROMISC : 0,
	    on ? 0 : IFF_PPROMISC));
}

int
kpi_net_allmulti(struct kpi_net *n, int on)
{

	return (kpi_net_flags(n, on ? IFF_PALLMULTI : 0,
	    on ? 0 : IFF_PALLMULTI));
}

int
kpi_net_mtu(struct kpi_net *n, unsigned mtu)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_mtu = mtu;
	return (kpi_net_do(n, SIOCSIFMTU, &ifr));
}

int
kpi_net_caps(struct kpi_net *n, unsigned capenable)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_reqcap = capenable;
	return (kpi_net_do(n, SIOCSIFCAP, &ifr));
}

int
kpi_net_mac(struct kpi_net *n, const unsigned char mac[6])
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_addr.sa_len = ETHER_ADDR_LEN;
	memcpy(ifr.ifr_addr.sa_data, mac, ETHER_ADDR_LEN);
	return (kpi_net_do(n, SIOCSIFLLADDR, &ifr));
}

int
kpi_net_multicast(struct kpi_net *n, const unsigned char mac[6], int join)
{
	struct thread *td = kpi_thread_enter();
	struct sockaddr_dl sdl;
	int error = ENXIO;

	memset(&sdl, 0, sizeof(sdl));
	sdl.sdl_len = sizeof(sdl);
	sdl.sdl_family = AF_LINK;
	sdl.sdl_index = n->kn_ifp->if_index;
	sdl.sdl_type = IFT_ETHER;
	sdl.sdl_alen = ETHER_ADDR_LEN;
	memcpy(LLADDR(&sdl), mac, ETHER_ADDR_LEN);
	if (kpi_net_attached(n))
		error = join ?
		    if_addmulti(n->kn_ifp, (struct sockaddr *)&sdl, NULL) :
		    if_delmulti(n->kn_ifp, (struct sockaddr *)&sdl);
	kpi_thread_leave(td);
	return (error);
}

int
kpi_net_vlan(struct kpi_net *n, unsigned id, int add)
{
	struct thread *td = kpi_thread_enter();
	int error = 0;

	if (!kpi_net_attached(n))
		error = ENXIO;
	else if (id == 0 || id >= 0xfff)
		error = EINVAL;
	else if (add)
		EVENTHANDLER_INVOKE(vlan_config, n->kn_ifp, id);
	else
		EVENTHANDLER_INVOKE(vlan_unconfig, n->kn_ifp, id);
	kpi_thread_leave(td);
	return (error);
}

/* --- What is shown --- */

static void
kpi_net_counters(struct ifnet *ifp, struct kpi_net_info *info)
{

	info->ipackets = if_getcounter(ifp, IFCOUNTER_IPACKETS);
	info->ierrors = if_getcounter(ifp, IFCOUNTER_IERRORS);
	info->ibytes = if_getcounter(ifp, IFCOUNTER_IBYTES);
	info->imcasts = if_getcounter(ifp, IFCOUNTER_IMCASTS);
	info->iqdrops = if_getcounter(ifp, IFCOUNTER_IQDROPS);
	info->opackets = if_getcounter(ifp, IFCOUNTER_OPACKETS);
	info->oerrors = if_getcounter(ifp, IFCOUNTER_OERRORS);
	info->obytes = if_getcounter(ifp, IFCOUNTER_OBYTES);
	info->omcasts = if_getcounter(ifp, IFCOUNTER_OMCASTS);
	info->oqdrops = if_getcounter(ifp, IFCOUNTER_OQDROPS);
}

int
kpi_net_info(struct kpi_net *n, struct kpi_net_info *info)
{
	struct thread *td = kpi_thread_enter();
	struct ifnet *ifp = n->kn_ifp;
	struct epoch_tracker et;
	int error = ENXIO;

	memset(info, 0, sizeof(*info));
	NET_EPOCH_ENTER(et);
	if (kpi_net_attached(n)) {
		error = 0;
		memcpy(info->mac, if_getlladdr(ifp), sizeof(info->mac));
		info->mtu = if_getmtu(ifp);
		info->flags = if_getflags(ifp);
		info->drv_flags = if_getdrvflags(ifp);
		info->caps = if_getcapabilities(ifp);
		info->capenable = if_getcapenable(ifp);
		info->hwassist = (u_int)if_gethwassist(ifp);
		info->link = if_getlinkstate(ifp);
		info->baudrate = if_getbaudrate(ifp);
		info->tsomax = if_gethwtsomax(ifp);
		info->tsomaxsegcount = if_gethwtsomaxsegcount(ifp);
		info->tsomaxsegsize = if_gethwtsomaxsegsize(ifp);
		kpi_net_counters(ifp, info);
		info->unclaimed = atomic_load_64(&n->kn_unclaimed);
	}
	NET_EPOCH_EXIT(et);
	kpi_thread_leave(td);
	return (error);
}
