/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Virtual functions: an adapter may have a twin, a PCI function with the same
 * address, through which its packets go without the host's software (protocol:
 * netvsc, 9).  The twin works for our interface then: what it receives comes in
 * here as ours, what we send goes out there.  It can be taken away at any time,
 * and the way by the channel is there all along.
 *
 * What ought to be is decided in one place, the task, under sc_lock; events of
 * interfaces only start it, but for a departure, which has to be over when its
 * handler returns.  Senders and receivers take no lock: they are in a network
 * epoch, and who takes the twin from them waits for its end.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/ck.h>
#include <sys/kernel.h>
#include <sys/proc.h>
#include <sys/sbuf.h>
#include <sys/sockio.h>

#include <net/bpf.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/vnet.h>

#include <dev/hyperv/netvsc/hn_var.h>

struct hn_vf {
	CK_LIST_ENTRY(hn_vf) vf_link;	/* hn_vf_mtx; read in an epoch */
	struct hn_softc	*vf_sc;
	if_t		 vf_ifp;	/* (x) the twin, NULL: none; one
					 * reference */
	uintptr_t	 vf_active;	/* (A) the same, while it is in use */
	if_input_fn_t	 vf_input;	/* (x) its own */
	u_int		 vf_up;		/* (A) as its events say */
	bool		 vf_started;	/* (x) it was brought up by us */
	bool		 vf_told;	/* (x) the host has switched to it */
	bool		 vf_promisc;	/* (x) we want it to be so */
	bool		 vf_allmulti;	/* (x) the same */
	struct timeout_task vf_task;
	eventhandler_tag vf_attach_tag;
	eventhandler_tag vf_depart_tag;
	eventhandler_tag vf_event_tag;
	eventhandler_tag vf_link_tag;
};

/* What is switched at our interface is switched at the twin, if it has it. */
#define	HN_VF_CAPS	(IFCAP_RXCSUM | IFCAP_RXCSUM_IPV6 | IFCAP_TXCSUM | \
			IFCAP_TXCSUM_IPV6 | IFCAP_TSO4 | IFCAP_TSO6 |	\
			IFCAP_LRO)

/* What a packet can ask of who sends it. */
#define	HN_VF_CSUM	(CSUM_IP | CSUM_IP_TCP | CSUM_IP_UDP |		\
			CSUM_IP6_TCP | CSUM_IP6_UDP | CSUM_TSO)

CK_LIST_HEAD(hn_vf_list, hn_vf);
static struct hn_vf_list hn_vfs = CK_LIST_HEAD_INITIALIZER(hn_vfs);
static struct mtx hn_vf_mtx;
MTX_SYSINIT(hn_vf, &hn_vf_mtx, "hn vf", MTX_DEF);

/* The adapter that an interface works for; in an epoch. */
static struct hn_vf *
hn_vf_lookup(if_t ifp)
{
	struct hn_vf *vf;

	CK_LIST_FOREACH(vf, &hn_vfs, vf_link) {
		if (atomic_load_ptr((uintptr_t *)&vf->vf_ifp) ==
		    (uintptr_t)ifp)
			return (vf);
	}
	return (NULL);
}

/* Packets of the twin, one or a list; in an epoch, as any input. */
static void
hn_vf_receive(if_t ifp, struct mbuf *m)
{
	struct hn_vf *vf;
	struct mbuf *next;
	if_t hn;

	vf = hn_vf_lookup(ifp);
	for (; m != NULL; m = next) {
		next = m->m_nextpkt;
		m->m_nextpkt = NULL;
		/* Who listens to the twin itself sees them as well. */
		ETHER_BPF_MTAP(ifp, m);
		if (vf == NULL || atomic_load_acq_int(&vf->vf_sc->sc_rxok) ==
		    0) {
			m_freem(m);
			continue;
		}
		hn = vf->vf_sc->sc_ifp;
		m->m_pkthdr.rcvif = hn;
		if_inc_counter(hn, IFCOUNTER_IPACKETS, 1);
		if_input(hn, m);
	}
}

/*
 * Makes a packet one that the twin can send; frees it if that cannot be.  The
 * stack asks for no more than the twin can do, but may not know that yet.
 */
static struct mbuf *
hn_vf_fit(if_t vf_ifp, struct mbuf *m)
{

	if (__predict_false((m->m_pkthdr.csum_flags & HN_VF_CSUM &
	    ~if_gethwassist(vf_ifp)) != 0)) {
		m_freem(m);
		return (NULL);
	}
	if (__predict_false((m->m_flags & M_VLANTAG) != 0 &&
	    (if_getcapenable(vf_ifp) & IFCAP_VLAN_HWTAGGING) == 0)) {
		m = ether_vlanencap_proto(m, m->m_pkthdr.ether_vtag,
		    ETHERTYPE_VLAN);
		if (m != NULL)
			m->m_flags &= ~M_VLANTAG;
	}
	return (m);
}

/*
 * Hands a packet to the twin, which frees it.  Who listens is shown it before,
 * or, if that is to be accurate, only when the twin has taken it: for that the
 * packet is kept meanwhile, which makes it a shared one for the twin's driver.
 */
static int
hn_vf_send(struct hn_softc *sc, if_t vf_ifp, struct mbuf *m)
{
	if_t ifp = sc->sc_ifp;
	struct mbuf *shown;
	int error, len;
	bool mcast;

	shown = NULL;
	if (atomic_load_int(&sc->sc_vf_accbpf) == 0)
		ETHER_BPF_MTAP(ifp, m);
	else if (bpf_peers_present_if(ifp)) {
		shown = m_copypacket(m, M_NOWAIT);
		if (shown == NULL) {
			m_freem(m);
			if_inc_counter(ifp, IFCOUNTER_OQDROPS, 1);
			return (ENOBUFS);
		}
	}
	len = m->m_pkthdr.len;
	mcast = (m->m_flags & M_MCAST) != 0;
	m = hn_vf_fit(vf_ifp, m);
	error = m != NULL ? if_transmit(vf_ifp, m) : ENOBUFS;
	if (error == 0) {
		if (shown != NULL)
			ETHER_BPF_MTAP(ifp, shown);
		if_inc_counter(ifp, IFCOUNTER_OPACKETS, 1);
		if_inc_counter(ifp, IFCOUNTER_OBYTES, len);
		if (mcast)
			if_inc_counter(ifp, IFCOUNTER_OMCASTS, 1);
	} else
		if_inc_counter(ifp, IFCOUNTER_OQDROPS, 1);
	m_freem(shown);
	return (error);
}

bool
hn_vf_transmit(struct hn_softc *sc, struct mbuf *m, int *error)
{
	struct hn_vf *vf = sc->sc_vf;
	struct epoch_tracker et;
	if_t ifp;

	if (vf == NULL || atomic_load_ptr(&vf->vf_active) == 0)
		return (false);
	NET_EPOCH_ENTER(et);
	ifp = (if_t)atomic_load_ptr(&vf->vf_active);
	if (ifp != NULL)
		*error = hn_vf_send(sc, ifp, m);
	NET_EPOCH_EXIT(et);
	return (ifp != NULL);
}

/*
 * Packets go by the channel again.  The host is told last: what the twin had
 * taken by then still goes out.
 */
static void
hn_vf_stop(struct hn_vf *vf)
{
	struct hn_softc *sc = vf->vf_sc;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	atomic_store_ptr(&vf->vf_active, 0);
	if (!vf->vf_told)
		return;
	vf->vf_told = false;
	NET_EPOCH_WAIT();
	if (hn_flagged(sc, HN_F_SYNTH) && !hn_flagged(sc, HN_F_RESCINDED))
		(void)hn_nvs_set_datapath(sc, HN_NVS_DATAPATH_SYNTH);
	hn_if_offloads(sc);
	if_printf(sc->sc_ifp, "packets go without %s\n",
	    if_name(vf->vf_ifp));
}

/*
 * A request of ours to the twin's driver.  Who listens to routing messages is
 * told of it, in the twin's network stack: a thread of ours is in none.
 */
static int
hn_vf_ioctl(struct hn_vf *vf, u_long cmd, void *req)
{
	int error;

	/* All requests begin with this. */
	strlcpy(req, if_name(vf->vf_ifp), IFNAMSIZ);
	CURVNET_SET(if_getvnet(vf->vf_ifp));
	error = ifhwioctl(cmd, vf->vf_ifp, req, curthread);
	CURVNET_RESTORE();
	return (error);
}

/* Who else wants it to be in these modes is counted, too. */
static void
hn_vf_modes(struct hn_vf *vf, bool promisc, bool allmulti)
{

	CURVNET_SET(if_getvnet(vf->vf_ifp));
	if (promisc != vf->vf_promisc && ifpromisc(vf->vf_ifp, promisc) == 0)
		vf->vf_promisc = promisc;
	if (allmulti != vf->vf_allmulti &&
	    if_allmulti(vf->vf_ifp, allmulti) == 0)
		vf->vf_allmulti = allmulti;
	CURVNET_RESTORE();
}

/*
 * Settings of our interface that the twin has to share.  Without the MTU it is
 * of no use; for the rest hn_vf_fit() and the stack make up.
 */
static int
hn_vf_share(struct hn_vf *vf)
{
	if_t ifp = vf->vf_sc->sc_ifp, vf_ifp = vf->vf_ifp;
	struct ifreq ifr;
	int caps, error, flags;

	if (if_getmtu(vf_ifp) != if_getmtu(ifp)) {
		memset(&ifr, 0, sizeof(ifr));
		ifr.ifr_mtu = if_getmtu(ifp);
		error = hn_vf_ioctl(vf, SIOCSIFMTU, &ifr);
		if (error != 0)
			return (error);
	}
	caps = (if_getcapenable(vf_ifp) & ~HN_VF_CAPS) |
	    (if_getcapenable(ifp) & HN_VF_CAPS & if_getcapabilities(vf_ifp));
	if (caps != if_getcapenable(vf_ifp)) {
		memset(&ifr, 0, sizeof(ifr));
		ifr.ifr_reqcap = caps;
		(void)hn_vf_ioctl(vf, SIOCSIFCAP, &ifr);
	}
	flags = if_getflags(ifp);
	hn_vf_modes(vf, (flags & IFF_PROMISC) != 0,
	    (flags & IFF_ALLMULTI) != 0 || if_llmaddr_count(ifp) > 0);
	return (0);
}

/* Takes the twin up: once, for afterwards that is the administrator's. */
static int
hn_vf_prepare(struct hn_vf *vf)
{
	struct ifreq ifr;
	int error, flags;

	if (vf->vf_started)
		return (0);
	memset(&ifr, 0, sizeof(ifr));
	flags = if_getflags(vf->vf_ifp) | IFF_UP;
	ifr.ifr_flags = (short)(flags & 0xffff);
	ifr.ifr_flagshigh = (short)(flags >> 16);
	error = hn_vf_ioctl(vf, SIOCSIFFLAGS, &ifr);
	vf->vf_started = error == 0;
	return (error);
}

static void
hn_vf_key(struct hn_vf *vf)
{
	struct ifrsskey rk;

	memset(&rk, 0, sizeof(rk));
	if (hn_vf_ioctl(vf, SIOCGIFRSSKEY, &rk) == 0)
		hn_rss_adopt(vf->vf_sc, &rk);
}

static void
hn_vf_start(struct hn_vf *vf)
{
	struct hn_softc *sc = vf->vf_sc;
	int error;

	error = hn_vf_share(vf);
	if (error == 0)
		error = hn_vf_prepare(vf);
	if (error == 0)
		hn_vf_key(vf);
	/* The host is told before anything is sent that way. */
	if (error == 0)
		error = hn_nvs_set_datapath(sc, HN_NVS_DATAPATH_VF);
	if (error != 0) {
		if_printf(sc->sc_ifp, "cannot use %s: error %d\n",
		    if_name(vf->vf_ifp), error);
		return;
	}
	vf->vf_told = true;
	hn_if_offloads(sc);
	atomic_store_rel_ptr(&vf->vf_active, (uintptr_t)vf->vf_ifp);
	if_printf(sc->sc_ifp, "packets go through %s\n", if_name(vf->vf_ifp));
}

if_t
hn_vf_used(struct hn_softc *sc)
{

	sx_assert(&sc->sc_lock, SA_LOCKED);
	return (sc->sc_vf != NULL && sc->sc_vf->vf_told ?
	    sc->sc_vf->vf_ifp : NULL);
}

bool
hn_vf_name(struct hn_softc *sc, char *buf, size_t len)
{
	struct hn_vf *vf = sc->sc_vf;
	bool active;

	sx_assert(&sc->sc_lock, SA_LOCKED);
	buf[0] = '\0';
	if (vf == NULL || vf->vf_ifp == NULL)
		return (false);
	active = atomic_load_ptr(&vf->vf_active) != 0;
	strlcpy(buf, if_name(vf->vf_ifp), len);
	return (active);
}

/* Whether the twin can work for us now, or could if it were made ready. */
static bool
hn_vf_usable(struct hn_vf *vf)
{
	struct hn_softc *sc = vf->vf_sc;

	return (vf->vf_ifp != NULL && hn_flagged(sc, HN_F_SYNTH) &&
	    !hn_flagged(sc, HN_F_GONE | HN_F_SUSPENDED | HN_F_NO_VF) &&
	    (if_getdrvflags(sc->sc_ifp) & IFF_DRV_RUNNING) != 0 &&
	    (!vf->vf_started || (atomic_load_int(&vf->vf_up) != 0 &&
	    if_getlinkstate(vf->vf_ifp) != LINK_STATE_DOWN)));
}

static void
hn_vf_task(void *arg, int pending __unused)
{
	struct hn_vf *vf = arg;
	bool there;

	sx_xlock(&vf->vf_sc->sc_lock);
	there = vf->vf_ifp != NULL;
	if (!hn_vf_usable(vf))
		hn_vf_stop(vf);
	else if (atomic_load_ptr(&vf->vf_active) == 0)
		hn_vf_start(vf);
	else {
		(void)hn_vf_share(vf);
		hn_if_offloads(vf->vf_sc);
	}
	sx_xunlock(&vf->vf_sc->sc_lock);
	/* vlan(4) has what we can do from us, and locks of its own. */
	if (there)
		if_vlancap(vf->vf_sc->sc_ifp);
}

void
hn_vf_update(struct hn_softc *sc)
{

	if (sc->sc_vf != NULL)
		taskqueue_enqueue_timeout(sc->sc_tq, &sc->sc_vf->vf_task, 0);
}

void
hn_vf_suspend(struct hn_softc *sc)
{

	if (sc->sc_vf != NULL)
		hn_vf_stop(sc->sc_vf);
}

/*
 * Whether an interface is our twin: an Ethernet with our address that is not
 * one of these adapters itself, and takes packets without a queue of its own
 * before it.
 */
static bool
hn_vf_matches(struct hn_softc *sc, if_t ifp)
{

	return (ifp != sc->sc_ifp && if_gettype(ifp) == IFT_ETHER &&
	    if_getdname(ifp) != NULL &&
	    strcmp(if_getdname(ifp), device_get_name(sc->sc_dev)) != 0 &&
	    memcmp(if_getlladdr(ifp), sc->sc_mac, ETHER_ADDR_LEN) == 0 &&
	    if_getstartfn(ifp) == NULL);
}

/*
 * Makes an interface our twin.  Its driver may still be attaching: it gets a
 * while to come to an end.
 */
static void
hn_vf_adopt(struct hn_vf *vf, if_t ifp)
{
	struct hn_softc *sc = vf->vf_sc;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	if (vf->vf_ifp != NULL || hn_gone(sc))
		return;
	if_ref(ifp);
	vf->vf_started = false;
	atomic_store_int(&vf->vf_up, (if_getflags(ifp) & IFF_UP) != 0);
	vf->vf_input = if_getinputfn(ifp);
	atomic_store_rel_ptr((uintptr_t *)&vf->vf_ifp, (uintptr_t)ifp);
	if_setinputfn(ifp, hn_vf_receive);
	taskqueue_enqueue_timeout(sc->sc_tq, &vf->vf_task,
	    (int)hn_vf_attwait * hz);
}

static void
hn_vf_arrived(void *arg, if_t ifp)
{
	struct hn_vf *vf = arg;
	struct hn_softc *sc = vf->vf_sc;

	if (hn_vf_transparent == 0 || !hn_vf_matches(sc, ifp))
		return;
	sx_xlock(&sc->sc_lock);
	hn_vf_adopt(vf, ifp);
	sx_xunlock(&sc->sc_lock);
}

static int
hn_vf_look(if_t ifp, void *arg)
{
	struct hn_vf *vf = arg;

	if (!hn_vf_matches(vf->vf_sc, ifp))
		return (0);
	hn_vf_adopt(vf, ifp);
	return (1);
}

/*
 * A twin whose driver was there first has had its events already.  An interface
 * leaves the list before its departure is told, and that waits for sc_lock:
 * what is found here is either to stay or will be forgotten in a moment.
 */
static void
hn_vf_scan(struct hn_vf *vf)
{
	struct hn_softc *sc = vf->vf_sc;
	struct epoch_tracker et;

	if (hn_vf_transparent == 0)
		return;
	sx_xlock(&sc->sc_lock);
	NET_EPOCH_ENTER(et);
	(void)if_foreach(hn_vf_look, vf);
	NET_EPOCH_EXIT(et);
	sx_xunlock(&sc->sc_lock);
}

/* gone: the twin's driver is about to leave, and no setting matters. */
static void
hn_vf_forget(struct hn_vf *vf, bool gone)
{
	if_t ifp = vf->vf_ifp;

	if (ifp == NULL)
		return;
	hn_vf_stop(vf);
	if (!gone)
		hn_vf_modes(vf, false, false);
	vf->vf_promisc = vf->vf_allmulti = false;
	if_setinputfn(ifp, vf->vf_input);
	atomic_store_ptr((uintptr_t *)&vf->vf_ifp, 0);
	NET_EPOCH_WAIT();
	if_rele(ifp);
}

static void
hn_vf_departed(void *arg, if_t ifp)
{
	struct hn_vf *vf = arg;
	bool ours;

	sx_xlock(&vf->vf_sc->sc_lock);
	ours = vf->vf_ifp == ifp;
	if (ours)
		hn_vf_forget(vf, true);
	sx_xunlock(&vf->vf_sc->sc_lock);
	if (ours)
		if_vlancap(vf->vf_sc->sc_ifp);
}

/*
 * Comes while hn_vf_prepare() holds sc_lock as well, hence the task; and before
 * the flag of an interface that goes down is cleared, hence vf_up.
 */
static void
hn_vf_event(void *arg, if_t ifp, int event)
{
	struct hn_vf *vf = arg;

	if ((event != IFNET_EVENT_UP && event != IFNET_EVENT_DOWN) ||
	    atomic_load_ptr((uintptr_t *)&vf->vf_ifp) != (uintptr_t)ifp)
		return;
	atomic_store_int(&vf->vf_up, event == IFNET_EVENT_UP);
	if (event == IFNET_EVENT_DOWN)
		atomic_store_ptr(&vf->vf_active, 0);
	hn_vf_update(vf->vf_sc);
}

static void
hn_vf_link(void *arg, if_t ifp, int state __unused)
{
	struct hn_vf *vf = arg;

	if (atomic_load_ptr((uintptr_t *)&vf->vf_ifp) == (uintptr_t)ifp)
		hn_vf_update(vf->vf_sc);
}

/* The host may speak of a twin as soon as there is a session. */
int
hn_vf_alloc(struct hn_softc *sc)
{
	struct hn_vf *vf;

	vf = malloc(sizeof(*vf), M_HN, M_WAITOK | M_ZERO);
	vf->vf_sc = sc;
	TIMEOUT_TASK_INIT(sc->sc_tq, &vf->vf_task, 0, hn_vf_task, vf);
	sc->sc_vf = vf;
	return (0);
}

int
hn_vf_attach(struct hn_softc *sc)
{
	struct hn_vf *vf = sc->sc_vf;

	mtx_lock(&hn_vf_mtx);
	CK_LIST_INSERT_HEAD(&hn_vfs, vf, vf_link);
	mtx_unlock(&hn_vf_mtx);
	vf->vf_attach_tag = EVENTHANDLER_REGISTER(ether_ifattach_event,
	    hn_vf_arrived, vf, EVENTHANDLER_PRI_ANY);
	vf->vf_depart_tag = EVENTHANDLER_REGISTER(ifnet_departure_event,
	    hn_vf_departed, vf, EVENTHANDLER_PRI_ANY);
	vf->vf_event_tag = EVENTHANDLER_REGISTER(ifnet_event, hn_vf_event, vf,
	    EVENTHANDLER_PRI_ANY);
	vf->vf_link_tag = EVENTHANDLER_REGISTER(ifnet_link_event, hn_vf_link,
	    vf, EVENTHANDLER_PRI_ANY);
	hn_vf_scan(vf);
	return (0);
}

/* Senders may still look; there is nothing to be found any more. */
void
hn_vf_detach(struct hn_softc *sc)
{
	struct hn_vf *vf = sc->sc_vf;

	if (vf == NULL || vf->vf_attach_tag == NULL)
		return;
	/* Each waits for a handler that runs. */
	EVENTHANDLER_DEREGISTER(ether_ifattach_event, vf->vf_attach_tag);
	EVENTHANDLER_DEREGISTER(ifnet_departure_event, vf->vf_depart_tag);
	EVENTHANDLER_DEREGISTER(ifnet_event, vf->vf_event_tag);
	EVENTHANDLER_DEREGISTER(ifnet_link_event, vf->vf_link_tag);
	vf->vf_attach_tag = NULL;
	sx_xlock(&sc->sc_lock);
	hn_vf_forget(vf, false);
	sx_xunlock(&sc->sc_lock);
	mtx_lock(&hn_vf_mtx);
	CK_LIST_REMOVE(vf, vf_link);
	mtx_unlock(&hn_vf_mtx);
}

/* The interface is gone. */
void
hn_vf_free(struct hn_softc *sc)
{

	if (sc->sc_vf == NULL)
		return;
	while (taskqueue_cancel_timeout(sc->sc_tq, &sc->sc_vf->vf_task,
	    NULL) != 0)
		taskqueue_drain_timeout(sc->sc_tq, &sc->sc_vf->vf_task);
	NET_EPOCH_WAIT();
	free(sc->sc_vf, M_HN);
	sc->sc_vf = NULL;
}

/*
 * A twin is found by its address, and leaves as any interface does; but as long
 * as the host says that packets are to go by the channel, they do.  A host that
 * says nothing of twins has nothing against them.
 */
void
hn_vf_allow(struct hn_softc *sc, bool allowed)
{

	mtx_lock(&sc->sc_mtx);
	if (allowed)
		sc->sc_flags &= ~HN_F_NO_VF;
	else
		sc->sc_flags |= HN_F_NO_VF;
	mtx_unlock(&sc->sc_mtx);
	/* The next packet already; the task does the rest. */
	if (!allowed && sc->sc_vf != NULL)
		atomic_store_ptr(&sc->sc_vf->vf_active, 0);
	hn_vf_update(sc);
}

/*
 * hw.hn.vflist and hw.hn.vfmap: all twins there are, and whose.  Names of
 * interfaces may be changed, and so are looked at within the epoch.
 */
static int
hn_vf_sysctl(SYSCTL_HANDLER_ARGS)
{
	struct epoch_tracker et;
	struct hn_vf *vf;
	struct sbuf sb;
	if_t ifp;
	const char *sep;
	int error;

	error = sysctl_wire_old_buffer(req, 0);
	if (error != 0)
		return (error);
	sbuf_new_for_sysctl(&sb, NULL, 128, req);
	sep = "";
	NET_EPOCH_ENTER(et);
	CK_LIST_FOREACH(vf, &hn_vfs, vf_link) {
		ifp = (if_t)atomic_load_ptr((uintptr_t *)&vf->vf_ifp);
		if (ifp == NULL)
			continue;
		sbuf_printf(&sb, "%s%s", sep, if_name(ifp));
		if (arg2 != 0)
			sbuf_printf(&sb, ":%s", if_name(vf->vf_sc->sc_ifp));
		sep = " ";
	}
	NET_EPOCH_EXIT(et);
	error = sbuf_finish(&sb);
	sbuf_delete(&sb);
	return (error);
}
SYSCTL_PROC(_hw_hn, OID_AUTO, vflist, CTLTYPE_STRING | CTLFLAG_RD |
    CTLFLAG_MPSAFE, NULL, 0, hn_vf_sysctl, "A",
    "Interfaces that are virtual functions of adapters");
SYSCTL_PROC(_hw_hn, OID_AUTO, vfmap, CTLTYPE_STRING | CTLFLAG_RD |
    CTLFLAG_MPSAFE, NULL, 1, hn_vf_sysctl, "A",
    "Virtual functions and the interfaces they work for");
