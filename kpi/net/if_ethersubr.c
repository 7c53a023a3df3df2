/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Ethernet interfaces: attaching, what a driver hands up, ioctls that every
 * driver has alike, VLAN tags in software.
 */

#include <kern/kpi_internal.h>

#include "kpi_net.h"

#include <sys/devctl.h>
#include <sys/epoch.h>
#include <sys/socket.h>
#include <sys/sockio.h>

#include <net/bpf.h>
#include <net/ethernet.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/if_vlan_var.h>

static const u_char ether_broadcast[ETHER_ADDR_LEN] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff
};

/* --- Input --- */

/* A tag that the hardware left in the frame goes to where it belongs. */
static struct mbuf *
ether_untag(struct mbuf *m)
{
	struct ether_vlan_header *evl;

	if (m->m_len < sizeof(*evl) &&
	    (m = m_pullup(m, sizeof(*evl))) == NULL)
		return (NULL);
	evl = mtod(m, struct ether_vlan_header *);
	m->m_pkthdr.ether_vtag = ntohs(evl->evl_tag);
	m->m_flags |= M_VLANTAG;
	memmove((char *)evl + ETHER_VLAN_ENCAP_LEN, evl, 2 * ETHER_ADDR_LEN);
	m_adj(m, ETHER_VLAN_ENCAP_LEN);
	return (m);
}

static void
ether_input_one(struct ifnet *ifp, struct mbuf *m)
{
	struct ether_header *eh;
	u_short type;

	M_ASSERTPKTHDR(m);
	M_ASSERT_NO_SND_TAG(m);
	KASSERT(m->m_pkthdr.rcvif == ifp,
	    ("%s: a frame with rcvif %p", if_name(ifp), m->m_pkthdr.rcvif));
#ifdef INVARIANTS
	(void)m_sanity(m, 0);
#endif
	if ((if_getflags(ifp) & IFF_UP) == 0) {
		m_freem(m);
		return;
	}
	if (m->m_len < ETHER_HDR_LEN) {
		if_printf(ifp, "discard frame w/o leading ethernet header "
		    "(len %d pkt len %d)\n", m->m_len, m->m_pkthdr.len);
		if_inc_counter(ifp, IFCOUNTER_IERRORS, 1);
		m_freem(m);
		return;
	}
	eh = mtod(m, struct ether_header *);
	type = ntohs(eh->ether_type);
	if (ETHER_IS_MULTICAST(eh->ether_dhost)) {
		m->m_flags |= ETHER_IS_BROADCAST(eh->ether_dhost) ? M_BCAST :
		    M_MCAST;
		if_inc_counter(ifp, IFCOUNTER_IMCASTS, 1);
	} else if (memcmp(IF_LLADDR(ifp), eh->ether_dhost, ETHER_ADDR_LEN) != 0)
		m->m_flags |= M_PROMISC;
	ETHER_BPF_MTAP(ifp, m);
	if ((if_getcapenable(ifp) & IFCAP_HWSTATS) == 0)
		if_inc_counter(ifp, IFCOUNTER_IBYTES, m->m_pkthdr.len);
	if ((m->m_flags & M_VLANTAG) == 0 &&
	    (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ)) {
		m = ether_untag(m);
		if (m == NULL) {
			if_inc_counter(ifp, IFCOUNTER_IERRORS, 1);
			return;
		}
	}
	kpi_net_input(ifp, m);
}

/* Frames are chained by m_nextpkt. */
static void
ether_input(struct ifnet *ifp, struct mbuf *m)
{
	bool enter = (if_getflags(ifp) & IFF_NEEDSEPOCH) != 0;
	struct epoch_tracker et;
	struct mbuf *next;

	/* A kernel complains once, and enters it. */
	KASSERT(enter || in_epoch(net_epoch_preempt),
	    ("%s: if_input() outside of the network epoch", if_name(ifp)));
	if (enter)
		NET_EPOCH_ENTER(et);
	for (; m != NULL; m = next) {
		next = m->m_nextpkt;
		m->m_nextpkt = NULL;
		ether_input_one(ifp, m);
	}
	if (enter)
		NET_EPOCH_EXIT(et);
}

/* --- Coming and going --- */

void
ether_ifattach(struct ifnet *ifp, const u_int8_t *lla)
{
	struct sockaddr_dl *sdl;

	ifp->if_addrlen = ETHER_ADDR_LEN;
	ifp->if_hdrlen = (ifp->if_capabilities & IFCAP_VLAN_MTU) != 0 ?
	    ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN : ETHER_HDR_LEN;
	ifp->if_mtu = ETHERMTU;
	ifp->if_input = ether_input;
	ifp->if_broadcastaddr = ether_broadcast;
	if (ifp->if_baudrate == 0)
		ifp->if_baudrate = IF_Mbps(10);
	if_attach(ifp);
	sdl = (void *)ifp->if_addr->ifa_addr;
	sdl->sdl_type = IFT_ETHER;
	sdl->sdl_alen = ETHER_ADDR_LEN;
	memcpy(LLADDR(sdl), lla, ETHER_ADDR_LEN);
	memcpy(ifp->if_hw_addr, lla, ETHER_ADDR_LEN);
	bpfattach(ifp, DLT_EN10MB, ETHER_HDR_LEN);
	if_printf(ifp, "Ethernet address: %02x:%02x:%02x:%02x:%02x:%02x\n",
	    lla[0], lla[1], lla[2], lla[3], lla[4], lla[5]);
	EVENTHANDLER_INVOKE(ether_ifattach_event, ifp);
	devctl_notify("ETHERNET", ifp->if_xname, "IFATTACH", NULL);
}

void
ether_ifdetach(struct ifnet *ifp)
{

	bpfdetach(ifp);
	if_detach(ifp);
}

int
ether_ioctl(struct ifnet *ifp, u_long cmd, caddr_t data)
{
	struct ifreq *ifr = (struct ifreq *)data;

	switch (cmd) {
	case SIOCSIFADDR:
		(void)if_setflagbits(ifp, IFF_UP, 0);
		ifp->if_init(ifp->if_softc);
		return (0);
	case SIOCGIFADDR:
		memcpy(ifr->ifr_addr.sa_data, IF_LLADDR(ifp), ETHER_ADDR_LEN);
		return (0);
	case SIOCSIFMTU:
		if (ifr->ifr_mtu > ETHERMTU)
			return (EINVAL);
		return (if_setmtu(ifp, ifr->ifr_mtu));
	case SIOCSLANPCP:
		if (ifr->ifr_lan_pcp > 7 && ifr->ifr_lan_pcp != IFNET_PCP_NONE)
			return (EINVAL);
		ifp->if_pcp = ifr->ifr_lan_pcp;
		EVENTHANDLER_INVOKE(ifnet_event, ifp, IFNET_EVENT_PCP);
		return (0);
	case SIOCGLANPCP:
		ifr->ifr_lan_pcp = ifp->if_pcp;
		return (0);
	default:
		return (EINVAL);
	}
}

/* --- VLAN tags --- */

/* The tag goes into the frame; NULL: no memory, and it is freed. */
struct mbuf *
ether_vlanencap_proto(struct mbuf *m, uint16_t tag, uint16_t proto)
{
	struct ether_vlan_header *evl;

	M_PREPEND(m, ETHER_VLAN_ENCAP_LEN, M_NOWAIT);
	if (m == NULL)
		return (NULL);
	if (m->m_len < sizeof(*evl) &&
	    (m = m_pullup(m, sizeof(*evl))) == NULL)
		return (NULL);
	evl = mtod(m, struct ether_vlan_header *);
	memmove(evl, (char *)evl + ETHER_VLAN_ENCAP_LEN, 2 * ETHER_ADDR_LEN);
	evl->evl_encap_proto = htons(proto);
	evl->evl_tag = htons(tag);
	return (m);
}
