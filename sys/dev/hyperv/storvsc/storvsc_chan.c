/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The channels of a controller: opening and closing them as one, which
 * processor uses which, and taking packets out of the ring.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/proc.h>
#include <sys/smp.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/storvsc/storvsc_var.h>

/*
 * Sets up as many channels as could ever be of use, without rings, so that
 * their number never changes: the host may take the device away at any moment,
 * and every one must hear of it.
 */
void
storvsc_chan_alloc(struct storvsc_softc *sc)
{
	struct storvsc_chan *c;
	u_int cnt;

	cnt = MIN((u_int)mp_ncpus, STORVSC_MAX_CHANS);
	if (storvsc_chan_cnt > 0)
		cnt = MIN(cnt, storvsc_chan_cnt);
	while (sc->sc_nalloc < cnt) {
		c = malloc_aligned(sizeof(*c), CACHE_LINE_SIZE, M_STORVSC,
		    M_WAITOK | M_ZERO);
		mtx_init(&c->c_mtx, "storvsc channel", NULL, MTX_DEF);
		STAILQ_INIT(&c->c_free);
		STAILQ_INIT(&c->c_wait);
		c->c_sc = sc;
		c->c_gate = CAM_REQUEUE_REQ;
		sc->sc_chan[sc->sc_nalloc++] = c;
	}
}

void
storvsc_chan_free(struct storvsc_softc *sc)
{
	struct storvsc_chan *c;

	while (sc->sc_nalloc > 0) {
		c = sc->sc_chan[--sc->sc_nalloc];
		storvsc_pool_free(c);
		mtx_destroy(&c->c_mtx);
		free(c, M_STORVSC);
	}
}

HYPERV_HOT static void
storvsc_chan_callback(struct vmbus_channel *ch __unused, void *arg)
{

	storvsc_chan_service(arg);
}

static int
storvsc_chan_open(struct storvsc_chan *c, struct vmbus_channel *ch, int cpu)
{
	static const uint8_t udata[STORVSC_OPEN_DATA_LEN];
	struct vmbus_ch_open_params op;
	int error;

	vmbus_ch_set_cpu(ch, cpu);
	memset(&op, 0, sizeof(op));
	op.op_txsize = storvsc_ringbuffer_size;
	op.op_rxsize = storvsc_ringbuffer_size;
	op.op_udata = udata;
	op.op_udlen = sizeof(udata);
	op.op_callback = storvsc_chan_callback;
	op.op_arg = c;
	op.op_batch = true;

	/* The callback may run before the open returns. */
	mtx_lock(&c->c_mtx);
	c->c_ch = ch;
	c->c_id = vmbus_ch_id(ch);
	c->c_dead = false;
	mtx_unlock(&c->c_mtx);
	error = vmbus_ch_open(ch, &op);
	if (error != 0) {
		mtx_lock(&c->c_mtx);
		c->c_ch = NULL;
		mtx_unlock(&c->c_mtx);
	}
	return (error);
}

/*
 * How many sub-channels to ask for.  A controller that connects anew has no
 * more channels than before.
 */
static u_int
storvsc_subchannels_wanted(struct storvsc_softc *sc)
{
	u_int cnt;

	if ((sc->sc_props.pr_flags & STORVSC_PROP_MULTI_CHANNEL) == 0 ||
	    vmbus_get_version(sc->sc_dev) <= VMBUS_VERSION_WIN7)
		return (0);
	/* Requests are there for so many. */
	cnt = sc->sc_npool > 0 ? sc->sc_npool : sc->sc_nalloc;
	return (MIN((u_int)sc->sc_props.pr_max_subch, cnt - 1));
}

/*
 * Opens sub-channels.  Fewer than asked for, or none, still make a controller,
 * so nothing here fails it.
 */
static void
storvsc_subchannels_open(struct storvsc_softc *sc)
{
	struct vmbus_channel *sub[STORVSC_MAX_CHANS];
	u_int wanted, i;
	int error, got;

	wanted = storvsc_subchannels_wanted(sc);
	if (wanted == 0)
		return;
	error = storvsc_create_subchannels(sc, wanted);
	if (error != 0) {
		device_printf(sc->sc_dev, "no sub-channels: error %d\n",
		    error);
		return;
	}
	got = vmbus_subch_get(sc->sc_chan[0]->c_ch, sub, (int)wanted,
	    STORVSC_TIMEOUT_SUBCH * SBT_1S);
	for (i = 0; i < (u_int)got; i++) {
		error = storvsc_chan_open(sc->sc_chan[i + 1], sub[i],
		    (int)(i + 1) % mp_ncpus);
		if (error != 0) {
			device_printf(sc->sc_dev, "cannot open sub-channel "
			    "%u: error %d\n", vmbus_ch_subidx(sub[i]), error);
			/* All from here on stay closed. */
			vmbus_subch_put(&sub[i], got - (int)i);
			break;
		}
		atomic_store_int(&sc->sc_nchan, i + 2);
	}
	if (i < wanted)
		device_printf(sc->sc_dev, "%u of %u sub-channels in use\n", i,
		    wanted);
}

/*
 * Opens the primary channel, shakes hands, opens sub-channels.  On failure all
 * is closed again.
 */
int
storvsc_connect(struct storvsc_softc *sc)
{
	int error;

	error = storvsc_chan_open(sc->sc_chan[0],
	    vmbus_get_channel(sc->sc_dev), 0);
	if (error != 0) {
		device_printf(sc->sc_dev, "cannot open the channel: error "
		    "%d\n", error);
		return (error);
	}
	atomic_store_int(&sc->sc_nchan, 1);
	error = storvsc_handshake(sc);
	if (error != 0) {
		(void)storvsc_disconnect(sc);
		return (error);
	}
	storvsc_subchannels_open(sc);
	return (0);
}

/*
 * Closes all channels; no callback runs from then on.  0 if the host has given
 * back the rings, and has therefore let go of every request: the point from
 * which memory of unanswered requests is the guest's again.  ETIMEDOUT if it
 * has not; called again, it may have.
 */
int
storvsc_disconnect(struct storvsc_softc *sc)
{
	struct storvsc_chan *c;
	u_int i;
	int error;

	error = vmbus_ch_close(vmbus_get_channel(sc->sc_dev));
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		c->c_ch = NULL;
		mtx_unlock(&c->c_mtx);
	}
	atomic_store_int(&sc->sc_nchan, 1);
	return (error);
}

/*
 * From now on new I/O ends with this CAM status; 0 lets it through.  That a
 * device is not there is final.
 */
void
storvsc_gate(struct storvsc_softc *sc, uint32_t status)
{
	struct storvsc_chan *c;
	u_int i;

	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		if (c->c_gate != CAM_DEV_NOT_THERE)
			c->c_gate = status;
		wakeup(&c->c_expired);
		wakeup(&c->c_out);
		mtx_unlock(&c->c_mtx);
	}
}

/*
 * Waits until no request is under way, at most seconds for all channels
 * together, and no longer once any of the flags in unless is set.  Wakers:
 * what completes requests, and storvsc_gate().  Returns whether none is left.
 */
bool
storvsc_drain(struct storvsc_softc *sc, int seconds, uint32_t unless)
{
	struct storvsc_chan *c;
	sbintime_t left;
	bool empty;
	u_int i;

	left = seconds * SBT_1S;
	empty = true;
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		c->c_draining = true;
		while (c->c_out > 0 && !storvsc_flagged(sc, unless) &&
		    left > 0)
			vmbus_sleep(&c->c_out, &c->c_mtx, "hvsdrn", &left);
		c->c_draining = false;
		if (c->c_out > 0)
			empty = false;
		mtx_unlock(&c->c_mtx);
	}
	return (empty);
}

/*
 * The channel for this processor; its interrupts come to the same one.  While
 * dumping it is the primary, which is always there to be polled.
 */
HYPERV_HOT struct storvsc_chan *
storvsc_chan_select(struct storvsc_softc *sc)
{
	u_int n;

	n = atomic_load_int(&sc->sc_nchan);
	if (n <= 1 || SCHEDULER_STOPPED())
		return (sc->sc_chan[0]);
	return (sc->sc_chan[(u_int)curcpu % n]);
}

/*
 * Counts what the host should not have sent, and says so once.  Not while
 * dumping: a processor stopped between sending a request and noting that it
 * did makes the host's answer look unasked.
 */
void
storvsc_chan_bad(struct storvsc_chan *c, const char *what, uint64_t value)
{
	struct storvsc_softc *sc = c->c_sc;
	bool said;

	mtx_assert(&c->c_mtx, MA_OWNED);
	c->c_bad++;
	if (SCHEDULER_STOPPED())
		return;
	mtx_lock(&sc->sc_mtx);
	said = (sc->sc_flags & STORVSC_F_BAD_SAID) != 0;
	sc->sc_flags |= STORVSC_F_BAD_SAID;
	mtx_unlock(&sc->sc_mtx);
	if (!said)
		device_printf(sc->sc_dev, "channel %u: %s (%#jx) from the "
		    "host, further ones are only counted\n", c->c_id, what,
		    (uintmax_t)value);
}

/* A packet that answers nothing. */
static void
storvsc_chan_unasked(struct storvsc_chan *c, const struct vmbus_rxpkt *rp)
{
	uint32_t op;

	if (rp->rp_len < STORVSC_PKT_HDR_LEN) {
		storvsc_chan_bad(c, "short message", rp->rp_len);
		return;
	}
	memcpy(&op, rp->rp_data, sizeof(op));
	if (rp->rp_xid == 0 && (op == STORVSC_OP_ENUMERATE_BUS ||
	    op == STORVSC_OP_REMOVE_DEVICE))
		storvsc_rescan(c->c_sc);
	else
		storvsc_chan_bad(c, "unknown message", op);
}

static void
storvsc_chan_packet(struct storvsc_chan *c, const struct vmbus_rxpkt *rp,
    struct storvsc_done *done)
{
	struct storvsc_req *req;

	if (rp->rp_type == VMBUS_PKT_TYPE_INBAND) {
		storvsc_chan_unasked(c, rp);
		return;
	}
	if (rp->rp_type != VMBUS_PKT_TYPE_COMP) {
		storvsc_chan_bad(c, "packet type", rp->rp_type);
		return;
	}
	if ((uint32_t)rp->rp_xid == STORVSC_ID_CONTROL) {
		storvsc_exchange_reply(c, rp->rp_xid, rp->rp_data,
		    rp->rp_len);
		return;
	}
	req = storvsc_req_lookup(c, rp->rp_xid);
	if (req == NULL) {
		storvsc_chan_bad(c, "unknown request id", rp->rp_xid);
		return;
	}
	storvsc_io_reply(c, req, rp->rp_data, rp->rp_len, done);
}

/*
 * Takes what is in the ring, a batch at a time.  c_mtx is given up for
 * completions: they go into CAM, which may send the next request from there.
 * A host that is as quick as that fills the ring for ever: if there is still
 * more after some rounds the bus calls again, once other channels had their
 * turn on this processor.
 */
HYPERV_HOT void
storvsc_chan_service(struct storvsc_chan *c)
{
	struct storvsc_done done = { .d_n = 0 };
	struct vmbus_rxpkt rp;
	u_int n, round = 0;
	int error;
	bool broken;

	do {
		broken = false;
		error = ENXIO;
		mtx_lock(&c->c_mtx);
		for (n = 0; c->c_ch != NULL && n < STORVSC_BATCH; n++) {
			error = vmbus_ch_peek(c->c_ch, &rp);
			if (error != 0)
				break;
			storvsc_chan_packet(c, &rp, &done);
		}
		/* The last batch's room goes back when this returns. */
		if (error == 0)
			vmbus_ch_release(c->c_ch);
		if (error == EBADMSG && !c->c_dead) {
			c->c_dead = true;
			broken = true;
		}
		if (!STAILQ_EMPTY(&c->c_wait)) {
			c->c_hold = true;
			storvsc_io_resume(c);
		}
		/* Someone may wait for room to send a control packet. */
		if (c == c->c_sc->sc_chan[0] &&
		    c->c_sc->sc_xchg.xc_state == STORVSC_XC_WAIT)
			wakeup(&c->c_sc->sc_xchg);
		storvsc_chan_flush(c);
		storvsc_io_deliver(c->c_sc, &done);
		if (broken)
			storvsc_recover_start(c->c_sc, STORVSC_F_BROKEN);
	} while (error == 0 && ++round < STORVSC_ROUNDS);
}
