/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Channels coming and going: offers are checked and entered on the message
 * thread, which never waits for newbus; devices are attached and detached on
 * the device thread, one after the other, so that a rescind at any moment
 * finds its device either not yet begun or finished with attaching.
 *
 * A channel's life: entered here, worked on by vmbus_dev_run() as often as it
 * is enqueued, freed there when it is rescinded and nobody uses it, or in
 * vmbus_offer_free_all() when the connection is gone.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <machine/atomic.h>

#include <dev/hyperv/vmbus/vmbus_chanvar.h>
#include <dev/hyperv/vmbus/vmbus_msgs.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

/* A device busy at detach, attaching for example, is asked again after. */
#define	VMBUS_DEV_RETRY		(MAX(hz / 10, 1))

static struct vmbus_channel *
vmbus_offer_find(struct vmbus_softc *sc, const struct vmbus_msg_offer *of)
{
	struct vmbus_channel *ch;

	VMBUS_ASSERT(sc);
	TAILQ_FOREACH(ch, &sc->sc_primaries, ch_link) {
		if ((ch->ch_flags & VMBUS_CHF_RESCINDED) == 0 &&
		    hyperv_guid_equal(&ch->ch_type, &of->of_type) &&
		    hyperv_guid_equal(&ch->ch_instance, &of->of_instance))
			return (ch);
	}
	return (NULL);
}

static struct vmbus_channel *
vmbus_offer_find_sub(struct vmbus_channel *pri, uint16_t subidx)
{
	struct vmbus_channel *ch;

	TAILQ_FOREACH(ch, &pri->ch_subs, ch_link) {
		if (ch->ch_subidx == subidx && (ch->ch_flags &
		    (VMBUS_CHF_STALE | VMBUS_CHF_RESCINDED)) == 0)
			return (ch);
	}
	return (NULL);
}

/* How to signal the host on this channel (protocol: vmbus, 5.3). */
static void
vmbus_offer_signalling(struct vmbus_softc *sc, struct vmbus_channel *ch,
    const struct vmbus_msg_offer *of)
{
	bool dedicated;

	ch->ch_conn = VMBUS_CONN_EVENT;
	dedicated = false;
	if (atomic_load_32(&sc->sc_version) >= VMBUS_VERSION_WIN7) {
		ch->ch_conn = of->of_conn;
		dedicated = (of->of_dedicated & VMBUS_OFFER_DEDICATED) != 0;
	}
	ch->ch_txflag = NULL;
	if (!dedicated) {
		ch->ch_txflag = &sc->sc_intrpage->ip_tx[ch->ch_id /
		    VMBUS_EVENT_WORD_BITS];
		ch->ch_txflag_bit = 1ULL << (ch->ch_id %
		    VMBUS_EVENT_WORD_BITS);
	}
	ch->ch_mnf = NULL;
	if ((of->of_monitored & VMBUS_OFFER_MONITORED) == 0)
		return;
	if (of->of_monitor >= VMBUS_MONITOR_MAX) {
		/* The hypercall serves as well. */
		device_printf(sc->sc_dev, "channel %u: monitor id %u\n",
		    ch->ch_id, of->of_monitor);
		return;
	}
	ch->ch_mnf = &sc->sc_mnf_tx->mf_trig[of->of_monitor /
	    VMBUS_MONITOR_GROUP].mt_pending;
	ch->ch_mnf_bit = 1U << (of->of_monitor % VMBUS_MONITOR_GROUP);
}

/* Enters a checked offer; EEXIST, ENOENT: refused. */
static int
vmbus_offer_enter(struct vmbus_softc *sc, struct vmbus_channel *ch,
    const struct vmbus_msg_offer *of)
{
	struct vmbus_channel *next, *pri;

	VMBUS_ASSERT(sc);
	pri = vmbus_offer_find(sc, of);
	if (ch->ch_subidx == 0) {
		if (pri != NULL)
			return (EEXIST);
		TAILQ_INSERT_TAIL(&sc->sc_primaries, ch, ch_link);
	} else {
		if (pri == NULL)
			return (ENOENT);
		if (vmbus_offer_find_sub(pri, ch->ch_subidx) != NULL)
			return (EEXIST);
		TAILQ_FOREACH(next, &pri->ch_subs, ch_link) {
			if (next->ch_subidx > ch->ch_subidx)
				break;
		}
		if (next != NULL)
			TAILQ_INSERT_BEFORE(next, ch, ch_link);
		else
			TAILQ_INSERT_TAIL(&pri->ch_subs, ch, ch_link);
		ch->ch_primary = pri;
		wakeup(&pri->ch_subs);
	}
	sc->sc_chans[ch->ch_id] = ch;
	return (0);
}

/*
 * After resume the host offers the old devices again, under ids that may be
 * new; the channel that waits for it takes them over.
 */
static bool
vmbus_offer_takeover(struct vmbus_softc *sc, const struct vmbus_msg_offer *of)
{
	struct vmbus_channel *ch;

	VMBUS_ASSERT(sc);
	if (!sc->sc_resuming || of->of_subidx != 0)
		return (false);
	ch = vmbus_offer_find(sc, of);
	if (ch == NULL || (ch->ch_flags & VMBUS_CHF_SUSPENDED) == 0)
		return (false);
	atomic_clear_int(&ch->ch_flags, VMBUS_CHF_SUSPENDED);
	ch->ch_id = of->of_chan;
	vmbus_offer_signalling(sc, ch, of);
	sc->sc_chans[ch->ch_id] = ch;
	return (true);
}

static void
vmbus_offer_refuse(struct vmbus_softc *sc, const struct vmbus_msg_offer *of,
    const char *why, bool release)
{

	if (sc->sc_stats.st_offers_refused++ == 0)
		device_printf(sc->sc_dev, "offer of channel %u index %u "
		    "refused: %s; further ones are counted only\n",
		    of->of_chan, of->of_subidx, why);
	/* So that the host can use the id again (10). */
	if (release)
		vmbus_msg_send_chan(sc, VMBUS_MSG_RELID_RELEASED, of->of_chan);
}

void
vmbus_offer_recv(struct vmbus_softc *sc, const struct vmbus_msg_offer *of)
{
	struct vmbus_channel *ch;
	uint32_t maxid;
	int error;

	sc->sc_stats.st_offers++;
	maxid = atomic_load_32(&sc->sc_version) >= VMBUS_VERSION_WIN8 ?
	    VMBUS_CHANID_MAX : VMBUS_CHANID_MAX_OLD;
	if (of->of_chan == 0 || of->of_chan > maxid) {
		vmbus_offer_refuse(sc, of, "id out of range", true);
		return;
	}
	VMBUS_LOCK(sc);
	if (sc->sc_chans[of->of_chan] != NULL) {
		VMBUS_UNLOCK(sc);
		/* Releasing the id would take the present owner's. */
		vmbus_offer_refuse(sc, of, "id in use", false);
		return;
	}
	if (vmbus_offer_takeover(sc, of)) {
		VMBUS_UNLOCK(sc);
		return;
	}
	VMBUS_UNLOCK(sc);

	ch = vmbus_chan_alloc(sc);
	ch->ch_id = of->of_chan;
	ch->ch_subidx = of->of_subidx;
	ch->ch_type = of->of_type;
	ch->ch_instance = of->of_instance;
	memcpy(ch->ch_udata, of->of_udata, sizeof(ch->ch_udata));
	vmbus_offer_signalling(sc, ch, of);

	VMBUS_LOCK(sc);
	error = vmbus_offer_enter(sc, ch, of);
	if (error == 0 && ch->ch_subidx == 0)
		vmbus_dev_enqueue(sc, ch);
	VMBUS_UNLOCK(sc);
	if (error != 0) {
		vmbus_offer_refuse(sc, of, error == ENOENT ?
		    "no such primary channel" : "device offered already",
		    true);
		vmbus_chan_free(ch);
	}
}

void
vmbus_offer_done(struct vmbus_softc *sc)
{

	VMBUS_LOCK(sc);
	sc->sc_offers_done = true;
	wakeup(&sc->sc_offers_done);
	VMBUS_UNLOCK(sc);
}

/*
 * The flags stand before anybody is woken, so that none of them waits again;
 * VMBUS_CHF_NOTIFYING keeps the channel until we are done with it.
 */
static void
vmbus_offer_revoke(struct vmbus_softc *sc, struct vmbus_channel *ch)
{
	void (*fn)(void *);
	void *arg;

	vmbus_chan_stop(ch);
	VMBUS_LOCK(sc);
	vmbus_req_rescind(sc, ch);
	wakeup(&ch->ch_subs);
	if (ch->ch_primary != NULL)
		wakeup(&ch->ch_primary->ch_subs);
	fn = ch->ch_rescind;
	arg = ch->ch_rescind_arg;
	VMBUS_UNLOCK(sc);
	if (fn != NULL)
		fn(arg);
	VMBUS_LOCK(sc);
	atomic_clear_int(&ch->ch_flags, VMBUS_CHF_NOTIFYING);
	wakeup(&ch->ch_rescind);
	vmbus_dev_enqueue(sc, ch);
	VMBUS_UNLOCK(sc);
}

void
vmbus_offer_rescind(struct vmbus_softc *sc, uint32_t chan)
{
	struct vmbus_channel *ch;

	sc->sc_stats.st_rescinds++;
	VMBUS_LOCK(sc);
	ch = chan <= VMBUS_CHANID_MAX ? sc->sc_chans[chan] : NULL;
	if (ch == NULL || (ch->ch_flags & VMBUS_CHF_RESCINDED) != 0) {
		VMBUS_UNLOCK(sc);
		if (sc->sc_stats.st_rescinds_bad++ == 0)
			device_printf(sc->sc_dev, "rescind of channel %u, "
			    "which is %s; further ones are counted only\n",
			    chan, ch == NULL ? "unknown" : "gone already");
		return;
	}
	atomic_set_int(&ch->ch_flags, VMBUS_CHF_RESCINDED |
	    VMBUS_CHF_NOTIFYING);
	VMBUS_UNLOCK(sc);
	vmbus_offer_revoke(sc, ch);
}

void
vmbus_dev_enqueue(struct vmbus_softc *sc, struct vmbus_channel *ch)
{

	VMBUS_ASSERT(sc);
	if ((ch->ch_flags & VMBUS_CHF_QUEUED) == 0) {
		atomic_set_int(&ch->ch_flags, VMBUS_CHF_QUEUED);
		TAILQ_INSERT_TAIL(&sc->sc_devq, ch, ch_devlink);
	}
	if (!sc->sc_devheld)
		taskqueue_enqueue_timeout(sc->sc_devtq, &sc->sc_devtask, 0);
}

/*
 * While work is held, attach or detach has the bus to itself; what came in
 * meanwhile is done afterwards.
 */
void
vmbus_dev_hold(struct vmbus_softc *sc, bool hold)
{
	bool run;

	VMBUS_LOCK(sc);
	sc->sc_devheld = hold;
	run = !hold && !TAILQ_EMPTY(&sc->sc_devq);
	VMBUS_UNLOCK(sc);
	if (hold)
		taskqueue_drain_timeout(sc->sc_devtq, &sc->sc_devtask);
	else if (run)
		taskqueue_enqueue_timeout(sc->sc_devtq, &sc->sc_devtask, 0);
}

static void
vmbus_dev_attach(struct vmbus_softc *sc, struct vmbus_channel *ch)
{
	device_t child;

	VMBUS_LOCK(sc);
	atomic_set_int(&ch->ch_flags, VMBUS_CHF_ATTACHED);
	VMBUS_UNLOCK(sc);
	child = device_add_child(sc->sc_dev, NULL, -1);
	if (child == NULL) {
		device_printf(sc->sc_dev, "channel %u: no device\n",
		    ch->ch_id);
		return;
	}
	VMBUS_LOCK(sc);
	ch->ch_dev = child;
	VMBUS_UNLOCK(sc);
	/* Without a driver it stays as it is until one is loaded. */
	device_probe_and_attach(child);
}

/* EBUSY: the driver does not let go yet. */
static int
vmbus_dev_detach(struct vmbus_softc *sc, struct vmbus_channel *ch)
{
	int error;

	if (ch->ch_dev != NULL) {
		error = device_delete_child(sc->sc_dev, ch->ch_dev);
		if (error != 0)
			return (error);
	}
	(void)vmbus_ch_close(ch);
	return (0);
}

/* Takes a rescinded channel off every list and tells the host. */
static void
vmbus_dev_release_one(struct vmbus_softc *sc, struct vmbus_channel *ch)
{
	uint32_t id = ch->ch_id;

	VMBUS_LOCK(sc);
	if ((ch->ch_flags & VMBUS_CHF_QUEUED) != 0)
		TAILQ_REMOVE(&sc->sc_devq, ch, ch_devlink);
	if (ch->ch_subidx == 0)
		TAILQ_REMOVE(&sc->sc_primaries, ch, ch_link);
	else if (ch->ch_primary != NULL)
		TAILQ_REMOVE(&ch->ch_primary->ch_subs, ch, ch_link);
	sc->sc_chans[id] = NULL;
	VMBUS_UNLOCK(sc);
	vmbus_gpadl_disown(ch);
	/* A channel that did not come back after resume has no id. */
	if (id != 0)
		vmbus_msg_send_chan(sc, VMBUS_MSG_RELID_RELEASED, id);
	vmbus_chan_free(ch);
}

/* With those of its sub-channels that the host wants back, first. */
static void
vmbus_dev_release(struct vmbus_softc *sc, struct vmbus_channel *ch)
{
	struct vmbus_channel *sub;

	for (;;) {
		VMBUS_LOCK(sc);
		TAILQ_FOREACH(sub, &ch->ch_subs, ch_link) {
			if ((sub->ch_flags & (VMBUS_CHF_RESCINDED |
			    VMBUS_CHF_HELD | VMBUS_CHF_OPEN |
			    VMBUS_CHF_NOTIFYING)) == VMBUS_CHF_RESCINDED)
				break;
		}
		if (sub != NULL)
			atomic_set_int(&sub->ch_flags, VMBUS_CHF_STALE);
		VMBUS_UNLOCK(sc);
		if (sub == NULL)
			break;
		vmbus_dev_release_one(sc, sub);
	}
	vmbus_chan_orphan_subs(ch);
	vmbus_dev_release_one(sc, ch);
}

/* One piece of work for one channel; EBUSY: again later. */
static int
vmbus_dev_work(struct vmbus_softc *sc, struct vmbus_channel *ch)
{
	u_int flags;
	int error;

	VMBUS_LOCK(sc);
	flags = ch->ch_flags;
	/* About to be freed below: its primary's close is to leave it alone. */
	if (ch->ch_subidx != 0 && (flags & (VMBUS_CHF_RESCINDED |
	    VMBUS_CHF_HELD | VMBUS_CHF_OPEN | VMBUS_CHF_NOTIFYING)) ==
	    VMBUS_CHF_RESCINDED)
		atomic_set_int(&ch->ch_flags, VMBUS_CHF_STALE);
	VMBUS_UNLOCK(sc);

	if ((flags & VMBUS_CHF_NOTIFYING) != 0)
		return (0);	/* The message thread enqueues it again. */
	if ((flags & VMBUS_CHF_RESCINDED) == 0) {
		if (ch->ch_subidx == 0 && (flags & VMBUS_CHF_ATTACHED) == 0)
			vmbus_dev_attach(sc, ch);
		return (0);
	}
	if (ch->ch_subidx == 0) {
		error = vmbus_dev_detach(sc, ch);
		if (error != 0)
			return (error);
	} else if ((flags & (VMBUS_CHF_HELD | VMBUS_CHF_OPEN)) != 0) {
		/* In use; its last user enqueues it again. */
		return (0);
	}
	vmbus_dev_release(sc, ch);
	return (0);
}

void
vmbus_dev_run(struct vmbus_softc *sc)
{
	struct vmbus_channel *ch;
	int error;

	for (;;) {
		VMBUS_LOCK(sc);
		ch = TAILQ_FIRST(&sc->sc_devq);
		if (ch != NULL) {
			TAILQ_REMOVE(&sc->sc_devq, ch, ch_devlink);
			atomic_clear_int(&ch->ch_flags, VMBUS_CHF_QUEUED);
		}
		VMBUS_UNLOCK(sc);
		if (ch == NULL)
			return;
		error = vmbus_dev_work(sc, ch);
		if (error == 0)
			continue;

		VMBUS_LOCK(sc);
		if ((ch->ch_flags & VMBUS_CHF_QUEUED) == 0) {
			atomic_set_int(&ch->ch_flags, VMBUS_CHF_QUEUED);
			TAILQ_INSERT_TAIL(&sc->sc_devq, ch, ch_devlink);
		}
		VMBUS_UNLOCK(sc);
		taskqueue_enqueue_timeout(sc->sc_devtq, &sc->sc_devtask,
		    VMBUS_DEV_RETRY);
		return;
	}
}

void
vmbus_dev_task(void *arg, int pending __unused)
{
	struct vmbus_softc *sc = arg;

	bus_topo_lock();
	if (!sc->sc_devheld)
		vmbus_dev_run(sc);
	bus_topo_unlock();
}

void
vmbus_offer_free_all(struct vmbus_softc *sc)
{
	struct vmbus_channel *ch;
	u_int id;

	TAILQ_INIT(&sc->sc_devq);
	for (id = 0; id <= VMBUS_CHANID_MAX; id++) {
		ch = sc->sc_chans[id];
		sc->sc_chans[id] = NULL;
		if (ch != NULL && ch->ch_subidx != 0)
			vmbus_chan_free(ch);
	}
	while ((ch = TAILQ_FIRST(&sc->sc_primaries)) != NULL) {
		TAILQ_REMOVE(&sc->sc_primaries, ch, ch_link);
		vmbus_chan_free(ch);
	}
}

/*
 * Every channel is closed; sub-channels end with the connection, primaries
 * wait to be offered again.
 */
void
vmbus_offer_suspend(struct vmbus_softc *sc)
{
	struct vmbus_channel *ch, *next;
	u_int id;

	for (id = 0; id <= VMBUS_CHANID_MAX; id++) {
		ch = sc->sc_chans[id];
		sc->sc_chans[id] = NULL;
		if (ch == NULL || ch->ch_subidx == 0)
			continue;
		if ((ch->ch_flags & VMBUS_CHF_QUEUED) != 0)
			TAILQ_REMOVE(&sc->sc_devq, ch, ch_devlink);
		vmbus_chan_free(ch);
	}
	TAILQ_FOREACH_SAFE(ch, &sc->sc_primaries, ch_link, next) {
		TAILQ_INIT(&ch->ch_subs);
		ch->ch_id = 0;
		atomic_set_int(&ch->ch_flags, VMBUS_CHF_SUSPENDED);
	}
}

void
vmbus_offer_resumed(struct vmbus_softc *sc)
{
	struct vmbus_channel *ch;

	for (;;) {
		VMBUS_LOCK(sc);
		TAILQ_FOREACH(ch, &sc->sc_primaries, ch_link) {
			if ((ch->ch_flags & VMBUS_CHF_SUSPENDED) != 0)
				break;
		}
		if (ch != NULL) {
			atomic_clear_int(&ch->ch_flags, VMBUS_CHF_SUSPENDED);
			atomic_set_int(&ch->ch_flags, VMBUS_CHF_RESCINDED |
			    VMBUS_CHF_NOTIFYING);
		}
		VMBUS_UNLOCK(sc);
		if (ch == NULL)
			return;
		vmbus_offer_revoke(sc, ch);
	}
}
