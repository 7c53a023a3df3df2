/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control side of the protocol: one helper that exchanges a request for
 * its answer, and the handshake and resets as lists of calls to it (protocol:
 * storvsc, sections 5 and 7).  SCSI requests take another way, storvsc_io.c.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/smp.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/storvsc/storvsc_var.h>

/* Newest first. */
static const uint16_t storvsc_versions[] = {
	STORVSC_VERSION_6_2,
	STORVSC_VERSION_6_0,
	STORVSC_VERSION_5_1,
	STORVSC_VERSION_4_2,
	STORVSC_VERSION_2_0,
};

/*
 * Sleeps on the exchange until it is woken or the time is up, which it returns.
 * Wakers: the channel callback with the answer or with room in the ring, and
 * storvsc_exchange_wake() on rescind and detach.
 */
static bool
storvsc_exchange_sleep(struct storvsc_chan *c, sbintime_t *leftp)
{

	if (*leftp > 0)
		vmbus_sleep(&c->c_sc->sc_xchg, &c->c_mtx, "hvsctl", leftp);
	return (*leftp <= 0);
}

/*
 * Sends *pkt on the primary channel and waits for the answer, which replaces
 * it; want payload bytes behind the header must have come.  Only one at a
 * time; sleeps.
 *
 * 0		done; the host says all is well
 * EIO		the host refused: pkt->sp_status
 * EPROTO	the answer is none, or too short
 * ETIMEDOUT	no answer
 * ENXIO	the device is gone
 */
int
storvsc_exchange(struct storvsc_softc *sc, struct storvsc_pkt *pkt,
    size_t want)
{
	struct storvsc_chan *c = sc->sc_chan[0];
	struct storvsc_xchg *xc = &sc->sc_xchg;
	uint64_t xid;
	size_t len;
	sbintime_t left = STORVSC_TIMEOUT_XCHG * SBT_1S;
	int error;

	pkt->sp_flags = STORVSC_FLAG_COMPLETION;

	mtx_lock(&c->c_mtx);
	xc->xc_gen++;
	xc->xc_state = STORVSC_XC_WAIT;
	xid = storvsc_id(STORVSC_ID_CONTROL, xc->xc_gen);
	for (;;) {
		/* Without a channel after a suspend, until recovery. */
		error = c->c_ch == NULL || storvsc_gone(sc) ? ENXIO :
		    vmbus_ch_send(c->c_ch, VMBUS_PKT_TYPE_INBAND,
		    VMBUS_PKT_FLAG_RC, pkt, sc->sc_pktlen, xid);
		if (error != EAGAIN)
			break;
		if (storvsc_exchange_sleep(c, &left)) {
			error = ETIMEDOUT;
			break;
		}
	}
	while (error == 0 && xc->xc_state == STORVSC_XC_WAIT) {
		if (storvsc_gone(sc))
			error = ENXIO;
		else if (storvsc_exchange_sleep(c, &left) &&
		    xc->xc_state == STORVSC_XC_WAIT)
			error = ETIMEDOUT;
	}
	xc->xc_state = STORVSC_XC_IDLE;
	len = 0;
	if (error == 0) {
		*pkt = xc->xc_pkt;
		len = xc->xc_len;
	}
	mtx_unlock(&c->c_mtx);

	if (error != 0)
		return (error);
	if (len < STORVSC_PKT_HDR_LEN || pkt->sp_op != STORVSC_OP_COMPLETE_IO)
		return (EPROTO);
	if (pkt->sp_status != 0)
		return (EIO);
	return (len < STORVSC_PKT_HDR_LEN + want ? EPROTO : 0);
}

/* A completion with the id of an exchange came.  c_mtx held. */
void
storvsc_exchange_reply(struct storvsc_chan *c, uint64_t xid, const void *data,
    size_t len)
{
	struct storvsc_xchg *xc = &c->c_sc->sc_xchg;

	if (c != c->c_sc->sc_chan[0] || xc->xc_state != STORVSC_XC_WAIT ||
	    xid >> 32 != xc->xc_gen) {
		c->c_late++;
		return;
	}
	memset(&xc->xc_pkt, 0, sizeof(xc->xc_pkt));
	xc->xc_len = MIN(len, sizeof(xc->xc_pkt));
	memcpy(&xc->xc_pkt, data, xc->xc_len);
	xc->xc_state = STORVSC_XC_DONE;
	wakeup(xc);
}

/* Makes a waiting exchange look again at whether the device is there. */
void
storvsc_exchange_wake(struct storvsc_softc *sc)
{
	struct storvsc_chan *c = sc->sc_chan[0];

	mtx_lock(&c->c_mtx);
	wakeup(&sc->sc_xchg);
	mtx_unlock(&c->c_mtx);
}

static int
storvsc_simple(struct storvsc_softc *sc, uint32_t op, const char *what)
{
	struct storvsc_pkt pkt;
	int error;

	memset(&pkt, 0, sizeof(pkt));
	pkt.sp_op = op;
	error = storvsc_exchange(sc, &pkt, 0);
	if (error != 0)
		device_printf(sc->sc_dev, "%s failed: error %d, host status "
		    "%#x\n", what, error, error == EIO ? pkt.sp_status : 0);
	return (error);
}

/*
 * Asks for one version after the other.  A refusal is an answer like another:
 * only what is no answer ends the search.
 */
static int
storvsc_negotiate(struct storvsc_softc *sc)
{
	struct storvsc_pkt pkt;
	u_int i;
	int error;

	for (i = 0; i < nitems(storvsc_versions); i++) {
		memset(&pkt, 0, sizeof(pkt));
		pkt.sp_op = STORVSC_OP_QUERY_VERSION;
		pkt.sp_version.sv_version = storvsc_versions[i];
		error = storvsc_exchange(sc, &pkt, 0);
		if (error == EIO)
			continue;
		if (error != 0) {
			device_printf(sc->sc_dev, "no answer to version "
			    "query: error %d\n", error);
			return (error);
		}
		sc->sc_version = storvsc_versions[i];
		if (sc->sc_version >= STORVSC_VERSION_5_1)
			sc->sc_pktlen = STORVSC_PKT_LEN;
		storvsc_srb_template(&sc->sc_tmpl, sc->sc_version,
		    device_get_unit(sc->sc_dev));
		return (0);
	}
	device_printf(sc->sc_dev, "the host accepts no protocol version\n");
	return (EOPNOTSUPP);
}

static int
storvsc_query_props(struct storvsc_softc *sc)
{
	struct storvsc_pkt pkt;
	int error;

	memset(&pkt, 0, sizeof(pkt));
	pkt.sp_op = STORVSC_OP_QUERY_PROPERTIES;
	error = storvsc_exchange(sc, &pkt, sizeof(pkt.sp_props));
	if (error != 0) {
		device_printf(sc->sc_dev, "cannot get properties: error %d\n",
		    error);
		return (error);
	}
	sc->sc_props = pkt.sp_props;
	if (sc->sc_version < STORVSC_VERSION_5_1) {
		/* Older hosts leave anything in these. */
		sc->sc_props.pr_flags = 0;
		sc->sc_props.pr_max_subch = 0;
	}
	if (sc->sc_props.pr_max_xfer < STORVSC_PAGE_SIZE) {
		device_printf(sc->sc_dev, "host limits transfers to %u "
		    "bytes\n", sc->sc_props.pr_max_xfer);
		return (EPROTO);
	}
	return (0);
}

/*
 * Brings the open primary channel to where it takes SCSI requests.  Until a
 * version is agreed on, packets have the old size, which every host takes and
 * mirrors.
 */
int
storvsc_handshake(struct storvsc_softc *sc)
{
	int error;

	sc->sc_pktlen = STORVSC_PKT_LEN_OLD;
	sc->sc_version = 0;
	error = storvsc_simple(sc, STORVSC_OP_BEGIN_INIT, "initialization");
	if (error == 0)
		error = storvsc_negotiate(sc);
	if (error == 0)
		error = storvsc_query_props(sc);
	if (error == 0)
		error = storvsc_simple(sc, STORVSC_OP_END_INIT,
		    "end of initialization");
	return (error);
}

/* Asks the host to offer cnt sub-channels. */
int
storvsc_create_subchannels(struct storvsc_softc *sc, u_int cnt)
{
	struct storvsc_pkt pkt;

	memset(&pkt, 0, sizeof(pkt));
	pkt.sp_op = STORVSC_OP_CREATE_SUB_CHANNELS;
	pkt.sp_nsubch = (uint16_t)cnt;
	return (storvsc_exchange(sc, &pkt, 0));
}

/*
 * Resets; the answer says that the host has taken note, not that requests
 * under way have ended.
 */
int
storvsc_reset_lun(struct storvsc_softc *sc, uint32_t lun)
{
	struct storvsc_pkt pkt;

	memset(&pkt, 0, sizeof(pkt));
	pkt.sp_op = STORVSC_OP_RESET_LUN;
	pkt.sp_srb.sb_length = sc->sc_pktlen - STORVSC_PKT_HDR_LEN;
	pkt.sp_srb.sb_target = (uint8_t)sc->sc_target;
	pkt.sp_srb.sb_lun = (uint8_t)lun;
	return (storvsc_exchange(sc, &pkt, 0));
}

int
storvsc_reset_bus(struct storvsc_softc *sc)
{
	struct storvsc_pkt pkt;

	memset(&pkt, 0, sizeof(pkt));
	pkt.sp_op = STORVSC_OP_RESET_BUS;
	pkt.sp_srb.sb_length = sc->sc_pktlen - STORVSC_PKT_HDR_LEN;
	return (storvsc_exchange(sc, &pkt, 0));
}
