/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A session with the host's end of the adapter as a whole, from opening the
 * channel to where packets can go, and back (protocol: netvsc, sections 3.2 and
 * 8).  An MTU is told to the host at the start of a session, so that changing
 * it takes a new one; the interface stays meanwhile.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/smp.h>

#include <netinet/in.h>
#include <netinet/ip.h>

#include <dev/hyperv/netvsc/hn_var.h>

#define	HN_RECOVER_TRIES	3	/* a second apart */

static int
hn_synth_open(struct hn_softc *sc, u_int mtu __unused)
{

	return (hn_chan_open(sc, 0, vmbus_get_channel(sc->sc_dev), 0));
}

/* What follows from the version alone. */
static int
hn_synth_caps(struct hn_softc *sc, u_int mtu __unused)
{

	sc->sc_caps = 0;
	if (sc->sc_nvs_version >= HN_NVS_VERSION_2)
		sc->sc_caps |= HN_CAP_MTU | HN_CAP_VLAN;
	if (sc->sc_nvs_version >= HN_NVS_VERSION_5)
		sc->sc_caps |= HN_CAP_HASHVAL;
	if (vmbus_get_version(sc->sc_dev) >= VMBUS_VERSION_WIN10)
		sc->sc_caps |= HN_CAP_UDPHASH;
	return (0);
}

static int
hn_synth_rndis(struct hn_softc *sc, u_int mtu __unused)
{

	return (hn_rndis_attach(sc));
}

/* The host may have less than it was told. */
static int
hn_synth_frame_size(struct hn_softc *sc, u_int mtu)
{
	uint32_t size;
	int error;

	error = hn_rndis_get_u32(sc, HN_OID_GEN_MAXIMUM_FRAME_SIZE, &size);
	if (error == 0 && size >= IP_MSS && size < mtu)
		sc->sc_mtu = size;
	return (hn_refused(error) ? 0 : error);
}

static int
hn_synth_mac(struct hn_softc *sc, u_int mtu __unused)
{

	return (hn_rndis_get_mac(sc, sc->sc_mac));
}

/* It may be open from before. */
static int
hn_synth_filter(struct hn_softc *sc, u_int mtu __unused)
{

	return (hn_rndis_set_filter(sc, 0));
}

/*
 * Opens the channels numbered 1 and up, as the host numbers them in its table
 * and we do in ours, without a gap.  How many.
 */
static u_int
hn_synth_open_subs(struct hn_softc *sc, struct vmbus_channel **sub, u_int cnt)
{
	u_int i, idx;
	int error;

	for (idx = 1; idx <= cnt; idx++) {
		for (i = 0; i < cnt; i++) {
			if (sub[i] != NULL && vmbus_ch_subidx(sub[i]) == idx)
				break;
		}
		if (i == cnt)
			break;
		error = hn_chan_open(sc, idx, sub[i], (int)idx % mp_ncpus);
		if (error != 0) {
			device_printf(sc->sc_dev, "cannot open sub-channel "
			    "%u: error %d\n", idx, error);
			break;
		}
		sub[i] = NULL;
	}
	for (i = 0; i < cnt; i++) {
		if (sub[i] != NULL)
			vmbus_subch_put(&sub[i], 1);
	}
	return (idx - 1);
}

/*
 * As many channels as rings, host and RSS allow.  Fewer, or none but the
 * primary, still make an adapter.  The rings are ready before anything can come
 * on a sub-channel.
 */
static int
hn_synth_channels(struct hn_softc *sc, u_int mtu __unused)
{
	struct vmbus_channel *sub[HN_MAX_CHANS];
	u_int granted, want;
	int error, got;

	want = vmbus_get_version(sc->sc_dev) > VMBUS_VERSION_WIN7 &&
	    sc->sc_nvs_version >= HN_NVS_VERSION_5 ? sc->sc_nalloc : 1;
	error = hn_rss_query(sc, want, &want);
	if (error != 0)
		return (error);
	granted = hn_nvs_subchannels(sc, want - 1);
	atomic_store_int(&sc->sc_nrings, 1 + granted);
	hn_ring_config(sc);
	if (granted == 0)
		return (0);
	got = vmbus_subch_get(vmbus_get_channel(sc->sc_dev), sub,
	    (int)granted, HN_TIMEOUT_SUBCH * SBT_1S);
	got = (int)hn_synth_open_subs(sc, sub, (u_int)got);
	atomic_store_int(&sc->sc_nrings, 1 + (u_int)got);
	if ((u_int)got < want - 1)
		device_printf(sc->sc_dev, "%d of %u sub-channels in use\n",
		    got, want - 1);
	return (0);
}

/* Without it packets come on the primary only. */
static int
hn_synth_rss(struct hn_softc *sc, u_int mtu __unused)
{
	int error;

	error = hn_rss_config(sc, false);
	return (hn_refused(error) ? 0 : error);
}

static const struct {
	const char	*what;
	int		(*fn)(struct hn_softc *, u_int);
} hn_synth_steps[] = {
	{ "open the channel", hn_synth_open },
	{ "agree on a protocol", hn_nvs_attach },
	{ "tell its abilities", hn_synth_caps },
	{ "start RNDIS", hn_synth_rndis },
	{ "ask for the frame size", hn_synth_frame_size },
	{ "ask for the address", hn_synth_mac },
	{ "set offloads", hn_offload_config },
	{ "have channels", hn_synth_channels },
	{ "set RSS", hn_synth_rss },
	{ "close the filter", hn_synth_filter },
};

int
hn_synth_attach(struct hn_softc *sc, u_int mtu)
{
	u_int i;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	for (i = 0; i < nitems(hn_synth_steps); i++) {
		error = hn_synth_steps[i].fn(sc, mtu);
		if (error == 0)
			continue;
		device_printf(sc->sc_dev, "cannot %s: error %d\n",
		    hn_synth_steps[i].what, error);
		(void)hn_synth_detach(sc);
		return (error);
	}
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags |= HN_F_SYNTH;
	sc->sc_flags &= ~(HN_F_BROKEN | HN_F_DEAD);
	mtx_unlock(&sc->sc_mtx);
	return (0);
}

/*
 * Whether the host is worth talking to: each word may take its time, and by a
 * broken ring none comes back.
 */
static bool
hn_synth_listens(struct hn_softc *sc)
{
	bool listens;

	mtx_lock(&sc->sc_mtx);
	listens = (sc->sc_flags & (HN_F_RESCINDED | HN_F_DEAF)) == 0 &&
	    !sc->sc_xchg.xc_mute;
	mtx_unlock(&sc->sc_mtx);
	return (listens);
}

/*
 * In this order: nothing new is sent, what is under way gets its chance; the
 * host stops receiving for us, halts, lets go of the buffers; the channels
 * close, from when on all memory is ours.  Hosts before Windows 10 want the
 * buffers' memory back before the channel closes, later ones after that.
 */
int
hn_synth_detach(struct hn_softc *sc)
{
	bool early;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	mtx_lock(&sc->sc_mtx);
	sc->sc_flags &= ~HN_F_SYNTH;
	mtx_unlock(&sc->sc_mtx);
	hn_vf_suspend(sc);
	hn_tx_suspend(sc);
	atomic_store_rel_int(&sc->sc_rxok, 0);
	if (hn_synth_listens(sc) && !hn_flagged(sc, HN_F_BROKEN))
		(void)hn_tx_drain(sc, HN_TIMEOUT_DRAIN);
	if (sc->sc_filter != 0 && hn_synth_listens(sc))
		(void)hn_rndis_set_filter(sc, 0);
	sc->sc_filter = 0;
	if (hn_synth_listens(sc))
		hn_rndis_halt(sc);
	hn_nvs_revoke(sc);
	early = vmbus_get_version(sc->sc_dev) < VMBUS_VERSION_WIN10;
	if (early)
		hn_nvs_unshare(sc);
	error = hn_chan_close(sc);
	if (!early)
		hn_nvs_unshare(sc);
	hn_tx_reclaim(sc, error != 0);
	hn_rx_reclaim(sc);
	hn_xchg_reset(sc, error != 0);
	return (error);
}

int
hn_synth_reattach(struct hn_softc *sc, u_int mtu)
{
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	(void)hn_synth_detach(sc);
	mtx_lock(&sc->sc_mtx);
	sc->sc_reattaches++;
	mtx_unlock(&sc->sc_mtx);
	error = hn_synth_attach(sc, mtu);
	if (error == 0) {
		hn_if_update(sc);
		error = hn_if_apply(sc);
	}
	if (error == 0)
		error = hn_link_update(sc);
	if (error != 0) {
		mtx_lock(&sc->sc_mtx);
		sc->sc_flags |= HN_F_DEAD;
		mtx_unlock(&sc->sc_mtx);
		hn_link_down(sc);
	}
	return (error);
}

void
hn_recover(struct hn_softc *sc, bool deaf)
{
	uint32_t add, flags;

	/* For a dump the ring is as it is. */
	if (SCHEDULER_STOPPED())
		return;
	add = HN_F_BROKEN | (deaf ? HN_F_DEAF : 0);
	mtx_lock(&sc->sc_mtx);
	flags = sc->sc_flags;
	sc->sc_flags |= add;
	mtx_unlock(&sc->sc_mtx);
	if ((flags & add) != add)
		hn_xchg_wake(sc);
	taskqueue_enqueue(sc->sc_tq, &sc->sc_recover_task);
}

/*
 * Not while suspended: resuming makes a new session anyway.  Nor of a device
 * that is gone, which a sender may notice before anybody else.
 */
void
hn_recover_task(void *arg, int pending __unused)
{
	struct hn_softc *sc = arg;
	u_int i;
	int error;

	for (i = 0; i < HN_RECOVER_TRIES; i++) {
		if (i > 0)
			hn_linger(sc, 1000);
		sx_xlock(&sc->sc_lock);
		error = 0;
		if (hn_flagged(sc, HN_F_BROKEN) &&
		    !hn_flagged(sc, HN_F_GONE | HN_F_SUSPENDED) &&
		    !vmbus_ch_is_rescinded(vmbus_get_channel(sc->sc_dev)))
			error = hn_synth_reattach(sc, sc->sc_mtu);
		sx_xunlock(&sc->sc_lock);
		if (error == 0)
			return;
	}
	device_printf(sc->sc_dev, "out of order: error %d\n", error);
}
