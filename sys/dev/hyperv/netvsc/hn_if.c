/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network interface: what the stack asks for, and what it is told the
 * adapter can do.  Where packets go is the data path's part.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/socket.h>
#include <sys/sockio.h>

#include <net/if.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/if_vlan_var.h>

#include <netinet/in.h>
#include <netinet/ip.h>

#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_CSUM_IP4	(CSUM_IP | CSUM_IP_TCP | CSUM_IP_UDP)
#define	HN_CSUM_IP6	(CSUM_IP6_TCP | CSUM_IP6_UDP)

/*
 * What the host may let through.  It is told "all multicast" for any group: no
 * guest gives hosts lists of groups, so none can be relied on to look at one.
 */
static uint32_t
hn_if_filter(struct hn_softc *sc)
{
	uint32_t filter;
	int flags;

	flags = if_getflags(sc->sc_ifp);
	if ((flags & IFF_PROMISC) != 0)
		return (HN_FILTER_PROMISCUOUS);
	filter = HN_FILTER_DIRECTED;
	if ((flags & IFF_BROADCAST) != 0)
		filter |= HN_FILTER_BROADCAST;
	if ((flags & IFF_ALLMULTI) != 0 || if_llmaddr_count(sc->sc_ifp) > 0)
		filter |= HN_FILTER_ALL_MULTICAST;
	return (filter);
}

static void
hn_if_stop(struct hn_softc *sc)
{

	if_setdrvflagbits(sc->sc_ifp, 0, IFF_DRV_RUNNING);
	hn_tx_suspend(sc);
	atomic_store_rel_int(&sc->sc_rxok, 0);
	if (sc->sc_filter != 0 && hn_flagged(sc, HN_F_SYNTH) &&
	    !hn_flagged(sc, HN_F_RESCINDED))
		(void)hn_rndis_set_filter(sc, 0);
}

/* Without a session there is nothing to start, until there is one again. */
static int
hn_if_start(struct hn_softc *sc)
{
	uint32_t filter;
	int error;

	if (!hn_flagged(sc, HN_F_SYNTH))
		return (hn_flagged(sc, HN_F_DEAD) ? ENXIO : 0);
	filter = hn_if_filter(sc);
	if (filter != sc->sc_filter) {
		error = hn_rndis_set_filter(sc, filter);
		if (error != 0)
			return (error);
	}
	if_setdrvflagbits(sc->sc_ifp, IFF_DRV_RUNNING, 0);
	atomic_store_rel_int(&sc->sc_rxok, 1);
	hn_tx_resume(sc);
	return (0);
}

int
hn_if_apply(struct hn_softc *sc)
{

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	if (!hn_flagged(sc, HN_F_ATTACHED))
		return (0);
	hn_vf_update(sc);
	if ((if_getflags(sc->sc_ifp) & IFF_UP) != 0 && !hn_gone(sc))
		return (hn_if_start(sc));
	hn_if_stop(sc);
	return (0);
}

/* Groups and promiscuity change where nobody may sleep. */
void
hn_if_filter_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;

	sx_xlock(&sc->sc_lock);
	if (hn_flagged(sc, HN_F_ATTACHED) &&
	    (if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) != 0 &&
	    hn_if_apply(sc) != 0)
		if_printf(sc->sc_ifp, "the host did not change its filter\n");
	sx_xunlock(&sc->sc_lock);
}

static void
hn_if_init(void *arg)
{
	struct hn_softc *sc = arg;

	sx_xlock(&sc->sc_lock);
	(void)hn_if_apply(sc);
	sx_xunlock(&sc->sc_lock);
}

/* Which checksums the stack leaves to us, or to a VF that works for us. */
static void
hn_if_hwassist(struct hn_softc *sc)
{
	uint64_t assist;
	int enabled;
	if_t vf;

	enabled = if_getcapenable(sc->sc_ifp);
	assist = 0;
	if ((enabled & IFCAP_TXCSUM) != 0) {
		if ((sc->sc_caps & HN_CAP_IPCS) != 0)
			assist |= CSUM_IP;
		if ((sc->sc_caps & HN_CAP_TCP4CS) != 0)
			assist |= CSUM_IP_TCP;
		if ((sc->sc_caps & HN_CAP_UDP4CS) != 0 && hn_udp4cs != 0)
			assist |= CSUM_IP_UDP;
	}
	if ((enabled & IFCAP_TXCSUM_IPV6) != 0) {
		if ((sc->sc_caps & HN_CAP_TCP6CS) != 0)
			assist |= CSUM_IP6_TCP;
		if ((sc->sc_caps & HN_CAP_UDP6CS) != 0 && hn_udp6cs != 0)
			assist |= CSUM_IP6_UDP;
	}
	if ((enabled & IFCAP_TSO4) != 0)
		assist |= CSUM_IP_TSO;
	if ((enabled & IFCAP_TSO6) != 0)
		assist |= CSUM_IP6_TSO;
	vf = hn_vf_used(sc);
	if (vf != NULL)
		assist &= if_gethwassist(vf);
	if_sethwassist(sc->sc_ifp, assist);
}

static int
hn_if_capabilities(struct hn_softc *sc)
{
	int caps;

	/* Not HWSTATS: bytes that come in are counted by the stack. */
	caps = IFCAP_RXCSUM | IFCAP_RXCSUM_IPV6 | IFCAP_LRO | IFCAP_LINKSTATE;
	if ((sc->sc_caps & HN_CAP_VLAN) != 0)
		caps |= IFCAP_VLAN_HWTAGGING | IFCAP_VLAN_MTU |
		    IFCAP_VLAN_HWCSUM | IFCAP_VLAN_HWTSO;
	if ((sc->sc_caps & HN_CAP_MTU) != 0)
		caps |= IFCAP_JUMBO_MTU;
	if ((sc->sc_caps & (HN_CAP_IPCS | HN_CAP_TCP4CS |
	    HN_CAP_UDP4CS)) != 0)
		caps |= IFCAP_TXCSUM;
	if ((sc->sc_caps & (HN_CAP_TCP6CS | HN_CAP_UDP6CS)) != 0)
		caps |= IFCAP_TXCSUM_IPV6;
	if ((sc->sc_caps & HN_CAP_TSO4) != 0)
		caps |= IFCAP_TSO4;
	if ((sc->sc_caps & HN_CAP_TSO6) != 0)
		caps |= IFCAP_TSO6;
	return (caps);
}

/*
 * The stack's limit is of what follows the link header.  A segment's size is no
 * limit of the host's, but pages are what busdma makes of it.
 */
static void
hn_if_tso_limits(struct hn_softc *sc)
{
	u_int max, segs, segsize;
	if_t vf;

	if (sc->sc_tso_max == 0)
		return;
	max = MAX(hn_tso_maxlen, sc->sc_tso_minsg * sc->sc_mtu);
	max = MIN(MIN(max, IP_MAXPACKET), sc->sc_tso_max);
	max -= ETHER_HDR_LEN + ETHER_VLAN_ENCAP_LEN;
	segs = HN_TX_SEGS_MAX;
	segsize = PAGE_SIZE;
	vf = hn_vf_used(sc);
	if (vf != NULL && (if_gethwassist(vf) & CSUM_TSO) != 0) {
		/* 0: it has no such limit. */
		if (if_gethwtsomax(vf) != 0)
			max = MIN(max, if_gethwtsomax(vf));
		if (if_gethwtsomaxsegcount(vf) != 0)
			segs = MIN(segs, if_gethwtsomaxsegcount(vf));
		if (if_gethwtsomaxsegsize(vf) != 0)
			segsize = MIN(segsize, if_gethwtsomaxsegsize(vf));
	}
	if_sethwtsomax(sc->sc_ifp, max);
	if_sethwtsomaxsegcount(sc->sc_ifp, segs);
	if_sethwtsomaxsegsize(sc->sc_ifp, segsize);
}

void
hn_if_offloads(struct hn_softc *sc)
{

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	hn_if_hwassist(sc);
	hn_if_tso_limits(sc);
}

void
hn_if_update(struct hn_softc *sc)
{
	if_t ifp = sc->sc_ifp;
	int caps;

	caps = hn_if_capabilities(sc);
	if_setcapabilities(ifp, caps);
	if_setcapenable(ifp, if_getcapenable(ifp) & caps);
	hn_if_offloads(sc);
	if (if_getmtu(ifp) > (int)sc->sc_mtu)
		if_setmtu(ifp, sc->sc_mtu);
}

/*
 * Segmentation goes with its checksum.  Receive checksums are of both families
 * or of none: that is for the stack, the host computes them anyway.
 */
static void
hn_if_set_capenable(struct hn_softc *sc, int wanted)
{
	int caps, enable;

	caps = if_getcapabilities(sc->sc_ifp);
	enable = wanted & caps;
	if ((enable & IFCAP_TXCSUM) == 0)
		enable &= ~IFCAP_TSO4;
	if ((enable & IFCAP_TXCSUM_IPV6) == 0)
		enable &= ~IFCAP_TSO6;
	if ((enable & IFCAP_VLAN_HWTAGGING) == 0)
		enable &= ~IFCAP_VLAN_HWTSO;
	if_setcapenable(sc->sc_ifp, enable);
	hn_if_hwassist(sc);
}

/*
 * If there is no session with the new MTU there had better be one with the old.
 */
static int
hn_if_set_mtu(struct hn_softc *sc, int mtu)
{
	u_int old;
	int error;

	if (mtu < IF_MINMTU || mtu > HN_MTU_MAX)
		return (EINVAL);
	if (mtu == if_getmtu(sc->sc_ifp) && hn_flagged(sc, HN_F_SYNTH))
		return (0);
	if (hn_gone(sc) || !hn_flagged(sc, HN_F_SYNTH | HN_F_DEAD))
		return (ENXIO);
	if ((sc->sc_caps & HN_CAP_MTU) == 0)
		return (EOPNOTSUPP);
	old = sc->sc_mtu;
	error = hn_synth_reattach(sc, mtu);
	if (error != 0) {
		(void)hn_synth_reattach(sc, old);
		return (error);
	}
	if_setmtu(sc->sc_ifp, MIN((u_int)mtu, sc->sc_mtu));
	return (0);
}

/*
 * May be called where nobody may sleep, as long as the interface does not have
 * to start or stop.
 */
static int
hn_if_set_flags(struct hn_softc *sc)
{
	bool running, up;
	int error;

	running = (if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) != 0;
	up = (if_getflags(sc->sc_ifp) & IFF_UP) != 0;
	if (up && running) {
		taskqueue_enqueue(sc->sc_tq, &sc->sc_filter_task);
		return (0);
	}
	if (up == running)
		return (0);
	sx_xlock(&sc->sc_lock);
	error = hn_if_apply(sc);
	sx_xunlock(&sc->sc_lock);
	return (error);
}

static int
hn_if_ioctl(if_t ifp, u_long cmd, caddr_t data)
{
	struct hn_softc *sc = if_getsoftc(ifp);
	struct ifreq *ifr = (struct ifreq *)data;
	int error;

	error = 0;
	switch (cmd) {
	case SIOCSIFMTU:
		sx_xlock(&sc->sc_lock);
		error = hn_if_set_mtu(sc, ifr->ifr_mtu);
		sx_xunlock(&sc->sc_lock);
		break;
	case SIOCSIFFLAGS:
		error = hn_if_set_flags(sc);
		break;
	case SIOCADDMULTI:
	case SIOCDELMULTI:
		if ((if_getdrvflags(ifp) & IFF_DRV_RUNNING) != 0)
			taskqueue_enqueue(sc->sc_tq, &sc->sc_filter_task);
		break;
	case SIOCSIFCAP:
		sx_xlock(&sc->sc_lock);
		hn_if_set_capenable(sc, ifr->ifr_reqcap);
		sx_xunlock(&sc->sc_lock);
		hn_vf_update(sc);
		if_vlancap(ifp);
		break;
	case SIOCGIFRSSKEY:
		sx_slock(&sc->sc_lock);
		hn_rss_get_key(sc, (struct ifrsskey *)data);
		sx_sunlock(&sc->sc_lock);
		break;
	case SIOCGIFRSSHASH:
		sx_slock(&sc->sc_lock);
		hn_rss_get_hash(sc, (struct ifrsshash *)data);
		sx_sunlock(&sc->sc_lock);
		break;
	case SIOCSIFMEDIA:
	case SIOCGIFMEDIA:
	case SIOCGIFXMEDIA:
		error = ifmedia_ioctl(ifp, ifr, &sc->sc_media, cmd);
		break;
	default:
		error = ether_ioctl(ifp, cmd, data);
		break;
	}
	return (error);
}

/* There is nothing to choose from. */
static int
hn_if_media_change(if_t ifp __unused)
{

	return (EOPNOTSUPP);
}

static const struct {
	uint64_t	bps;
	int		media;
} hn_media[] = {
	{ IF_Gbps(100), IFM_100G_CR4 },
	{ IF_Gbps(50), IFM_50G_CR2 },
	{ IF_Gbps(40), IFM_40G_CR4 },
	{ IF_Gbps(25), IFM_25G_CR },
	{ IF_Gbps(10), IFM_10G_T },
	{ IF_Gbps(1), IFM_1000_T },
	{ IF_Mbps(100), IFM_100_TX },
};

static void
hn_if_media_status(if_t ifp, struct ifmediareq *ifmr)
{
	uint64_t bps;
	u_int i;

	ifmr->ifm_status = IFM_AVALID;
	ifmr->ifm_active = IFM_ETHER;
	if (if_getlinkstate(ifp) != LINK_STATE_UP) {
		ifmr->ifm_active |= IFM_NONE;
		return;
	}
	ifmr->ifm_status |= IFM_ACTIVE;
	bps = if_getbaudrate(ifp);
	for (i = 0; i < nitems(hn_media) - 1; i++) {
		if (bps >= hn_media[i].bps)
			break;
	}
	ifmr->ifm_active |= hn_media[i].media | IFM_FDX;
}

/* The rings want to know whose they are, so this comes before them. */
int
hn_if_alloc(struct hn_softc *sc)
{
	if_t ifp;

	ifp = if_alloc(IFT_ETHER);
	if (ifp == NULL)
		return (ENOMEM);
	sc->sc_ifp = ifp;
	if_setsoftc(ifp, sc);
	if_initname(ifp, device_get_name(sc->sc_dev),
	    device_get_unit(sc->sc_dev));
	if_setdev(ifp, sc->sc_dev);
	if_setflags(ifp, IFF_BROADCAST | IFF_SIMPLEX | IFF_MULTICAST);
	if_setinitfn(ifp, hn_if_init);
	if_setioctlfn(ifp, hn_if_ioctl);
	if_settransmitfn(ifp, hn_transmit);
	if_setqflushfn(ifp, hn_qflush);
	return (0);
}

int
hn_if_attach(struct hn_softc *sc)
{
	if_t ifp = sc->sc_ifp;

	ifmedia_init(&sc->sc_media, 0, hn_if_media_change,
	    hn_if_media_status);
	ifmedia_add(&sc->sc_media, IFM_ETHER | IFM_AUTO, 0, NULL);
	ifmedia_set(&sc->sc_media, IFM_ETHER | IFM_AUTO);

	if_setbaudrate(ifp, sc->sc_baudrate);
	if_setcapabilities(ifp, hn_if_capabilities(sc));
	if_setcapenable(ifp, if_getcapabilities(ifp));
	sx_xlock(&sc->sc_lock);
	hn_if_update(sc);
	sx_xunlock(&sc->sc_lock);
	ether_ifattach(ifp, sc->sc_mac);
	/* It has set the MTU of Ethernet. */
	if (sc->sc_mtu < ETHERMTU)
		if_setmtu(ifp, sc->sc_mtu);
	if_setifheaderlen(ifp, sizeof(struct ether_vlan_header));
	hn_debugnet_attach(sc);
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= HN_F_ATTACHED;
	mtx_unlock(&sc->sc_mtx);
	return (0);
}

/* When it returns the stack does not call any more. */
void
hn_if_detach(struct hn_softc *sc)
{
	bool attached;

	mtx_lock(&sc->sc_mtx);
	attached = (sc->sc_flags & HN_F_ATTACHED) != 0;
	sc->sc_flags &= ~HN_F_ATTACHED;
	mtx_unlock(&sc->sc_mtx);
	if (!attached)
		return;
	sx_xlock(&sc->sc_lock);
	hn_if_stop(sc);
	sx_xunlock(&sc->sc_lock);
	ether_ifdetach(sc->sc_ifp);
	ifmedia_removeall(&sc->sc_media);
}

void
hn_if_free(struct hn_softc *sc)
{

	if (sc->sc_ifp != NULL)
		if_free(sc->sc_ifp);
	sc->sc_ifp = NULL;
}
