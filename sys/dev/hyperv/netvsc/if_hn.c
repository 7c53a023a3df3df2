/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network adapters of Hyper-V as newbus devices: tunables, probe, attach,
 * detach, suspend.  Attaching is a list of steps; whatever fails, detach undoes
 * what was done, so it takes a softc in any half-built state.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/module.h>
#include <sys/smp.h>

#include <netinet/in.h>
#include <netinet/ip.h>

#include <dev/hyperv/netvsc/hn_var.h>

MALLOC_DEFINE(M_HN, "hn", "Hyper-V network adapters");

SYSCTL_NODE(_hw, OID_AUTO, hn, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "Hyper-V network");

#define	HN_TUNABLE_UINT(name, value, flags, descr)			\
	SYSCTL_UINT(_hw_hn, OID_AUTO, name, flags, &value, 0, descr)
#define	HN_TUNABLE_INT(name, value, descr)				\
	SYSCTL_INT(_hw_hn, OID_AUTO, name, CTLFLAG_RDTUN, &value, 0, descr)

u_int hn_chan_cnt = 0;
HN_TUNABLE_UINT(chan_cnt, hn_chan_cnt, CTLFLAG_RDTUN,
    "Channels of an adapter, 0: one for each processor");
u_int hn_rxbuf_size = HN_RXBUF_SIZE;
HN_TUNABLE_UINT(rxbuf_size, hn_rxbuf_size, CTLFLAG_RDTUN,
    "Bytes of the receive buffer");
u_int hn_txbuf_size = HN_TXBUF_SIZE;
HN_TUNABLE_UINT(txbuf_size, hn_txbuf_size, CTLFLAG_RDTUN,
    "Bytes of the send buffer, 0: none");
u_int hn_tx_ring_desc = 512;
HN_TUNABLE_UINT(tx_desc_cnt, hn_tx_ring_desc, CTLFLAG_RDTUN,
    "Sends of a channel that can be under way");
u_int hn_tx_swq_depth = 4096;
HN_TUNABLE_UINT(tx_swq_depth, hn_tx_swq_depth, CTLFLAG_RDTUN,
    "Packets of a channel that can wait to be sent");
u_int hn_tx_copy_size = 0;
HN_TUNABLE_UINT(tx_chimney_size, hn_tx_copy_size, CTLFLAG_RDTUN,
    "Packets up to this size are copied to be sent, 0: that fit into a "
    "section");
u_int hn_tx_agg_hold = 4;
HN_TUNABLE_UINT(tx_agg_hold, hn_tx_agg_hold, CTLFLAG_RWTUN,
    "Sends under way from which on small packets wait for company, 0: never");
int hn_tx_agg_size = -1;
HN_TUNABLE_INT(tx_agg_size, hn_tx_agg_size,
    "Bytes of a batch of packets, -1: as the host says, 0: no batches");
int hn_tx_agg_pkts = -1;
HN_TUNABLE_INT(tx_agg_pkts, hn_tx_agg_pkts,
    "Packets of a batch, -1: as the host says, 0: no batches");
u_int hn_rx_copybreak = 1024;
HN_TUNABLE_UINT(rx_copybreak, hn_rx_copybreak, CTLFLAG_RWTUN,
    "Received payload from this size on is not copied");
u_int hn_tso_maxlen = IP_MAXPACKET;
HN_TUNABLE_UINT(tso_maxlen, hn_tso_maxlen, CTLFLAG_RDTUN,
    "Bytes that are handed over to be segmented");
u_int hn_lro_entries = 128;
HN_TUNABLE_UINT(lro_entry_count, hn_lro_entries, CTLFLAG_RDTUN,
    "LRO entries of a channel");
u_int hn_lro_mbufq = 0;
HN_TUNABLE_UINT(lro_mbufq_depth, hn_lro_mbufq, CTLFLAG_RDTUN,
    "Packets that LRO sorts, 0: it does not");
int hn_trust_hosttcp = 1;
HN_TUNABLE_INT(trust_hosttcp, hn_trust_hosttcp,
    "TCP checksums are good if the host says nothing of them");
int hn_trust_hostudp = 1;
HN_TUNABLE_INT(trust_hostudp, hn_trust_hostudp,
    "UDP checksums are good if the host says nothing of them");
int hn_trust_hostip = 1;
HN_TUNABLE_INT(trust_hostip, hn_trust_hostip,
    "IP checksums are good if the host says nothing of them");
int hn_udp4cs = 1;
HN_TUNABLE_INT(enable_udp4cs, hn_udp4cs,
    "Leave UDP checksums over IPv4 to the host");
int hn_udp6cs = 1;
HN_TUNABLE_INT(enable_udp6cs, hn_udp6cs,
    "Leave UDP checksums over IPv6 to the host");
u_int hn_udpcs_fixup_mtu = 1420;
HN_TUNABLE_UINT(udpcs_fixup_mtu, hn_udpcs_fixup_mtu, CTLFLAG_RWTUN,
    "UDP checksums of longer IPv4 packets are not left to the host unless "
    "they may not be fragmented, 0: all are");
u_int hn_vf_transparent = 1;
HN_TUNABLE_UINT(vf_transparent, hn_vf_transparent, CTLFLAG_RDTUN,
    "Send and receive by virtual functions");
int hn_vf_accbpf = 0;
HN_TUNABLE_INT(vf_xpnt_accbpf, hn_vf_accbpf,
    "bpf(4) sees what a virtual function has taken, and nothing else");
u_int hn_vf_attwait = 2;
HN_TUNABLE_UINT(vf_xpnt_attwait, hn_vf_attwait, CTLFLAG_RWTUN,
    "Seconds that a virtual function gets to attach");

uint64_t hn_udpcs_fixups;
SYSCTL_U64(_hw_hn, OID_AUTO, udpcs_fixup, CTLFLAG_RD, &hn_udpcs_fixups, 0,
    "UDP checksums that were not left to the host");

/* Bounds of the tunables. */
#define	HN_BUF_MIN	(1024 * 1024)
#define	HN_BUF_MAX	(31 * 1024 * 1024)	/* memory shared in one go */

/* The network, as on the wire and as devmatch(8) finds it. */
static const struct hyperv_guid hn_guid = HYPERV_GUID(0xf8615163, 0xdf3e,
    0x46c5, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e);

static const struct hn_pnp {
	const char	*classid;
} hn_pnp[] = {
	{ "f8615163-df3e-46c5-913f-f2d2f965ed0e" },
};

static int
hn_probe(device_t dev)
{

	if (!vmbus_owns(dev) || !hyperv_guid_equal(vmbus_get_type(dev),
	    &hn_guid))
		return (ENXIO);
	device_set_desc(dev, "Hyper-V Network Interface");
	return (BUS_PROBE_DEFAULT);
}

/*
 * The host takes the device away.  From the bus's message thread: all that
 * waits is woken; the bus detaches us next.
 */
static void
hn_rescinded(void *arg)
{
	struct hn_softc *sc = arg;

	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= HN_F_RESCINDED;
	mtx_unlock(&sc->sc_mtx);
	hn_xchg_wake(sc);
}

static int
hn_step_thread(struct hn_softc *sc)
{

	sc->sc_tq = taskqueue_create("hn", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->sc_tq);
	if (sc->sc_tq == NULL)
		return (ENOMEM);
	TASK_INIT(&sc->sc_filter_task, 0, hn_if_filter_task, sc);
	TASK_INIT(&sc->sc_recover_task, 0, hn_recover_task, sc);
	TASK_INIT(&sc->sc_keepalive_task, 0, hn_rndis_keepalive_task, sc);
	hn_link_init(sc);
	return (taskqueue_start_threads(&sc->sc_tq, 1, PI_NET, "%s",
	    device_get_nameunit(sc->sc_dev)));
}

/*
 * One ring for each processor, as far as there could be channels; the host's
 * offer decides later how many of them are used.
 */
static int
hn_step_rings(struct hn_softc *sc)
{
	int error;

	sc->sc_nalloc = MIN((u_int)mp_ncpus, HN_MAX_CHANS);
	if (hn_chan_cnt > 0)
		sc->sc_nalloc = MIN(sc->sc_nalloc, hn_chan_cnt);
	sc->sc_nrings = 1;
	error = hn_ring_alloc(sc);
	sc->sc_rings = error == 0;
	return (error);
}

static int
hn_step_connect(struct hn_softc *sc)
{
	int error;

	vmbus_ch_set_rescind(vmbus_get_channel(sc->sc_dev), hn_rescinded, sc);
	sx_xlock(&sc->sc_lock);
	error = hn_synth_attach(sc, ETHERMTU);
	sx_xunlock(&sc->sc_lock);
	return (error);
}

static int
hn_step_sysctl(struct hn_softc *sc)
{

	hn_sysctl_attach(sc);
	return (0);
}

static int
hn_step_announce(struct hn_softc *sc)
{

	device_printf(sc->sc_dev, "network protocol %u.%u, %u channel%s, "
	    "%u x %u bytes to send, %u x %u to receive\n",
	    sc->sc_nvs_version >> 16, sc->sc_nvs_version & 0xffff,
	    sc->sc_nrings, sc->sc_nrings == 1 ? "" : "s",
	    sc->sc_txbuf.tb_nsect, sc->sc_txbuf.tb_sectsz, sc->sc_nrxpieces,
	    sc->sc_rxpiece);
	return (0);
}

static int
hn_step_link(struct hn_softc *sc)
{
	int error;

	sx_xlock(&sc->sc_lock);
	error = hn_link_update(sc);
	sx_xunlock(&sc->sc_lock);
	return (hn_refused(error) ? 0 : error);
}

static const struct {
	const char	*what;
	int		(*fn)(struct hn_softc *);
} hn_steps[] = {
	{ "prepare to talk", hn_xchg_alloc },
	{ "start a thread", hn_step_thread },
	{ "allocate an interface", hn_if_alloc },
	{ "allocate rings", hn_step_rings },
	{ "prepare for a VF", hn_vf_alloc },
	{ "connect", hn_step_connect },
	{ "add sysctls", hn_step_sysctl },
	{ "announce itself", hn_step_announce },
	{ "look for a VF", hn_vf_attach },
	{ "add the interface", hn_if_attach },
	{ "ask for the link", hn_step_link },
};

static int	hn_detach(device_t dev);

static int
hn_attach(device_t dev)
{
	struct hn_softc *sc = device_get_softc(dev);
	u_int i;
	int error;

	sc->sc_dev = dev;
	sx_init(&sc->sc_lock, device_get_nameunit(dev));
	mtx_init(&sc->sc_mtx, "hn", NULL, MTX_DEF);
	sc->sc_user_agg_size = hn_tx_agg_size;
	sc->sc_user_agg_pkts = hn_tx_agg_pkts;
	sc->sc_copy_size = hn_tx_copy_size;
	sc->sc_vf_accbpf = hn_vf_accbpf != 0;
	sc->sc_trust = (hn_trust_hostip != 0 ? HN_TRUST_IP : 0) |
	    (hn_trust_hosttcp != 0 ? HN_TRUST_TCP : 0) |
	    (hn_trust_hostudp != 0 ? HN_TRUST_UDP : 0);
	for (i = 0; i < nitems(hn_steps); i++) {
		error = hn_steps[i].fn(sc);
		if (error != 0) {
			device_printf(dev, "cannot %s: error %d\n",
			    hn_steps[i].what, error);
			(void)hn_detach(dev);
			return (error);
		}
	}
	return (0);
}

/*
 * Packets that lie in the receive buffer are still with the stack, and will
 * come back through functions of this module.  Said once; the bus asks again
 * later.
 */
static int
hn_detach_busy(struct hn_softc *sc)
{

	if (!hn_flagged(sc, HN_F_KEPT_SAID))
		device_printf(sc->sc_dev, "%u transfers are still in use\n",
		    hn_rx_loans(sc));
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= HN_F_KEPT_SAID;
	sc->sc_flags &= ~HN_F_IN_DETACH;
	mtx_unlock(&sc->sc_mtx);
	return (EBUSY);
}

static void
hn_drain_tasks(struct hn_softc *sc)
{

	if (sc->sc_tq == NULL)
		return;
	taskqueue_drain(sc->sc_tq, &sc->sc_recover_task);
	taskqueue_drain(sc->sc_tq, &sc->sc_filter_task);
	taskqueue_drain(sc->sc_tq, &sc->sc_keepalive_task);
	hn_link_drain(sc);
}

static void
hn_free(struct hn_softc *sc)
{

	hn_sysctl_detach(sc);
	hn_ring_free(sc);
	hn_if_free(sc);
	hn_vf_free(sc);
	hn_nvs_free(sc);
	hn_xchg_free(sc);
	if (sc->sc_tq != NULL)
		taskqueue_free(sc->sc_tq);
	mtx_destroy(&sc->sc_mtx);
	sx_destroy(&sc->sc_lock);
}

/*
 * In this order: the stack lets go of the interface, which a VF may have worked
 * for until then; the session ends, so that nothing comes any more that could
 * start a task; the tasks end; packets come back from the stack; memory goes.
 *
 * The topology lock is dropped whenever this sleeps, so a rescind and the
 * unloading of the module can both come here for one device.  The second is
 * told to try again; while it is asked it holds that lock, so the first is
 * asleep and the softc still there.
 */
static int
hn_detach(device_t dev)
{
	struct hn_softc *sc = device_get_softc(dev);
	bool second;

	mtx_lock(&sc->sc_mtx);
	second = (sc->sc_flags & HN_F_IN_DETACH) != 0;
	sc->sc_flags |= HN_F_DETACHING | HN_F_IN_DETACH;
	mtx_unlock(&sc->sc_mtx);
	if (second)
		return (EBUSY);
	hn_if_detach(sc);
	hn_vf_detach(sc);
	if (sc->sc_rings) {
		sx_xlock(&sc->sc_lock);
		(void)hn_synth_detach(sc);
		sx_xunlock(&sc->sc_lock);
	}
	vmbus_ch_set_rescind(vmbus_get_channel(dev), NULL, NULL);
	hn_drain_tasks(sc);
	if (sc->sc_rings && !hn_rx_drain(sc,
	    hn_flagged(sc, HN_F_KEPT_SAID) ? 0 : HN_TIMEOUT_LOANS))
		return (hn_detach_busy(sc));
	hn_free(sc);
	return (0);
}

/* Suspend ends the session; packets to send wait for the next one. */
static int
hn_suspend(device_t dev)
{
	struct hn_softc *sc = device_get_softc(dev);

	sx_xlock(&sc->sc_lock);
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= HN_F_SUSPENDED;
	mtx_unlock(&sc->sc_mtx);
	(void)hn_synth_detach(sc);
	hn_link_down(sc);
	sx_xunlock(&sc->sc_lock);
	return (0);
}

/* A session that cannot be had at once is tried for by the task. */
static int
hn_resume(device_t dev)
{
	struct hn_softc *sc = device_get_softc(dev);
	int error;

	sx_xlock(&sc->sc_lock);
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags &= ~HN_F_SUSPENDED;
	mtx_unlock(&sc->sc_mtx);
	error = hn_synth_reattach(sc, sc->sc_mtu);
	sx_xunlock(&sc->sc_lock);
	if (error != 0)
		hn_recover(sc, false);
	return (0);
}

static device_method_t hn_methods[] = {
	DEVMETHOD(device_probe,		hn_probe),
	DEVMETHOD(device_attach,	hn_attach),
	DEVMETHOD(device_detach,	hn_detach),
	DEVMETHOD(device_suspend,	hn_suspend),
	DEVMETHOD(device_resume,	hn_resume),
	DEVMETHOD_END
};

static driver_t hn_driver = {
	"hn",
	hn_methods,
	sizeof(struct hn_softc)
};

/* Puts tunables that cannot work into their bounds. */
static int
hn_modevent(module_t mod __unused, int what, void *arg __unused)
{

	if (what != MOD_LOAD)
		return (0);
	hn_rxbuf_size = round_page(MIN(MAX(hn_rxbuf_size, HN_BUF_MIN),
	    HN_BUF_MAX));
	if (hn_txbuf_size != 0)
		hn_txbuf_size = round_page(MIN(MAX(hn_txbuf_size, HN_BUF_MIN),
		    HN_BUF_MAX));
	hn_tso_maxlen = MIN(hn_tso_maxlen, IP_MAXPACKET);
	return (0);
}

DRIVER_MODULE(hv_netvsc, vmbus, hn_driver, hn_modevent, NULL);
MODULE_VERSION(hv_netvsc, 1);
MODULE_DEPEND(hv_netvsc, hv_vmbus, 1, 1, 1);
MODULE_PNP_INFO("Z:classid", vmbus, hv_netvsc, hn_pnp, nitems(hn_pnp));
