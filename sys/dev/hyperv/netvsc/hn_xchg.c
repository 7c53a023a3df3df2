/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Control exchanges with the host, one at a time: a message of the network
 * virtual service and its answer, a completion that is known by its
 * transaction id; and an RNDIS message, which has two, the acknowledgement of
 * the packet and an answer in the receive buffer that is known by its request
 * id (protocol: netvsc, sections 3 and 4.3).
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/netvsc/hn_var.h>

/*
 * Request ids leave the lower half to the host, so that what it sends unasked
 * is never taken for an answer.
 */
#define	HN_RID_STEP	0x00010000u

int
hn_xchg_alloc(struct hn_softc *sc)
{
	struct hn_xchg *xc = &sc->sc_xchg;

	xc->xc_req = malloc_aligned(HN_CTL_REQ_MAX, PAGE_SIZE, M_HN,
	    M_WAITOK | M_ZERO);
	xc->xc_reply = malloc(HN_CTL_REPLY_MAX, M_HN, M_WAITOK | M_ZERO);
	return (0);
}

void
hn_xchg_free(struct hn_softc *sc)
{
	struct hn_xchg *xc = &sc->sc_xchg;

	free(xc->xc_req, M_HN);
	xc->xc_req = NULL;
	free(xc->xc_reply, M_HN);
	xc->xc_reply = NULL;
}

void
hn_xchg_reset(struct hn_softc *sc, bool lost)
{
	struct hn_xchg *xc = &sc->sc_xchg;

	mtx_lock(&sc->sc_mtx);
	lost = lost && xc->xc_held != 0;
	if (lost)
		sc->sc_lost_bytes += HN_CTL_REQ_MAX;
	xc->xc_held = 0;
	xc->xc_mute = false;
	mtx_unlock(&sc->sc_mtx);
	if (lost)
		xc->xc_req = malloc_aligned(HN_CTL_REQ_MAX, PAGE_SIZE, M_HN,
		    M_WAITOK | M_ZERO);
}

/*
 * Sleeps on the exchange until it is woken; whether there is time left.
 * Wakers: the channel callback with an answer or with room in the ring, and
 * hn_xchg_wake() on rescind, detach and when the primary's ring is broken.
 */
static bool
hn_xchg_sleep(struct hn_softc *sc, sbintime_t *leftp)
{

	if (*leftp > 0)
		vmbus_sleep(&sc->sc_xchg, &sc->sc_mtx, "hnctl", leftp);
	return (*leftp > 0);
}

void
hn_linger(struct hn_softc *sc, int ms)
{
	sbintime_t left = ms * SBT_1MS;

	mtx_lock(&sc->sc_mtx);
	while (left > 0 && (sc->sc_flags & HN_F_RESCINDED) == 0)
		vmbus_sleep(&sc->sc_flags, &sc->sc_mtx, "hnlngr", &left);
	mtx_unlock(&sc->sc_mtx);
}

/* Sends a packet, RNDIS of len bytes in xc_req with it unless len is 0. */
static int
hn_xchg_put(struct hn_softc *sc, uint16_t flags, const struct hn_nvs_msg *msg,
    size_t len, uint64_t xid)
{
	struct vmbus_channel *ch = sc->sc_rxr[0].rxr_ch;
	struct vmbus_gpa_seg seg;

	if (ch == NULL)
		return (ENXIO);
	if (len == 0)
		return (vmbus_ch_send(ch, VMBUS_PKT_TYPE_INBAND, flags, msg,
		    sizeof(*msg), xid));
	seg.gs_len = len;
	seg.gs_ofs = 0;
	seg.gs_pfn = atop(vtophys(sc->sc_xchg.xc_req));
	return (vmbus_ch_send_sglist(ch, &seg, 1, msg, sizeof(*msg), xid,
	    NULL));
}

/*
 * The same, waiting for room.  A detach still has its last words; a rescind has
 * not.
 */
static int
hn_xchg_put_wait(struct hn_softc *sc, uint16_t flags,
    const struct hn_nvs_msg *msg, size_t len, uint64_t xid, sbintime_t *leftp)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	int error;

	mtx_assert(&sc->sc_mtx, MA_OWNED);
	atomic_store_int(&xc->xc_room, 1);
	for (;;) {
		error = (sc->sc_flags & HN_F_RESCINDED) != 0 ? ENXIO :
		    hn_xchg_put(sc, flags, msg, len, xid);
		if (error != EAGAIN)
			break;
		if (!hn_xchg_sleep(sc, leftp)) {
			error = ETIMEDOUT;
			break;
		}
	}
	atomic_store_int(&xc->xc_room, 0);
	return (error);
}

/* Waits for *done. */
static int
hn_xchg_wait(struct hn_softc *sc, const bool *done, sbintime_t *leftp)
{

	mtx_assert(&sc->sc_mtx, MA_OWNED);
	while (!*done) {
		if ((sc->sc_flags & (HN_F_RESCINDED | HN_F_DEAF)) != 0)
			return (ENXIO);
		if (!hn_xchg_sleep(sc, leftp) && !*done) {
			sc->sc_xchg.xc_mute = true;
			return (ETIMEDOUT);
		}
	}
	return (0);
}

/* Sends and waits for the completion, which xc_nvs holds then. */
static int
hn_xchg_nvs_locked(struct hn_softc *sc, const struct hn_nvs_msg *msg,
    size_t len, sbintime_t *leftp)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	int error;

	if (++xc->xc_gen == 0)
		xc->xc_gen = 1;
	xc->xc_waiting = true;
	xc->xc_done = false;
	if (len != 0)
		xc->xc_held = xc->xc_gen;
	error = hn_xchg_put_wait(sc, VMBUS_PKT_FLAG_RC, msg, len,
	    hn_id(HN_ID_CONTROL, xc->xc_gen), leftp);
	if (error != 0)
		xc->xc_held = 0;
	else
		error = hn_xchg_wait(sc, &xc->xc_done, leftp);
	xc->xc_waiting = false;
	return (error);
}

int
hn_xchg_nvs(struct hn_softc *sc, struct hn_nvs_msg *msg, uint32_t type,
    size_t want)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	sbintime_t left = HN_TIMEOUT_XCHG * SBT_1S;
	size_t len;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	mtx_lock(&sc->sc_mtx);
	error = hn_xchg_nvs_locked(sc, msg, 0, &left);
	*msg = xc->xc_nvs;
	len = xc->xc_nvslen;
	mtx_unlock(&sc->sc_mtx);
	if (error != 0)
		return (error);
	if (len < HN_NVS_MSG_HDR_LEN + want || msg->nm_type != type)
		return (EPROTO);
	return (0);
}

int
hn_xchg_send(struct hn_softc *sc, const struct hn_nvs_msg *msg)
{
	sbintime_t left = HN_TIMEOUT_XCHG * SBT_1S;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	mtx_lock(&sc->sc_mtx);
	error = hn_xchg_put_wait(sc, 0, msg, 0, hn_id(HN_ID_NONE, 0), &left);
	mtx_unlock(&sc->sc_mtx);
	return (error);
}

/*
 * The request's page is the host's until it has acknowledged the packet, which
 * may come long after nobody waits for it any more.
 */
static int
hn_xchg_req_wait(struct hn_softc *sc, sbintime_t *leftp)
{

	while (sc->sc_xchg.xc_held != 0) {
		if ((sc->sc_flags & (HN_F_RESCINDED | HN_F_DEAF)) != 0)
			return (ENXIO);
		if (!hn_xchg_sleep(sc, leftp) && sc->sc_xchg.xc_held != 0)
			return (ETIMEDOUT);
	}
	return (0);
}

int
hn_xchg_rndis_begin(struct hn_softc *sc, uint32_t *rid)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	sbintime_t left = HN_TIMEOUT_XCHG * SBT_1S;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	mtx_lock(&sc->sc_mtx);
	error = hn_xchg_req_wait(sc, &left);
	xc->xc_rid += HN_RID_STEP;
	if (xc->xc_rid < HN_RID_STEP)
		xc->xc_rid = HN_RID_STEP;
	*rid = xc->xc_rid;
	mtx_unlock(&sc->sc_mtx);
	return (error);
}

int
hn_xchg_rndis(struct hn_softc *sc, size_t len, uint32_t type, size_t *rlen)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	struct hn_nvs_msg msg;
	sbintime_t left = HN_TIMEOUT_XCHG * SBT_1S;
	int error;

	sx_assert(&sc->sc_lock, SA_XLOCKED);
	memset(&msg, 0, sizeof(msg));
	msg.nm_type = HN_NVS_TYPE_RNDIS;
	msg.nm_rndis.nr_mtype = HN_NVS_RNDIS_CTRL;
	msg.nm_rndis.nr_sect = HN_NVS_SECT_NONE;

	mtx_lock(&sc->sc_mtx);
	xc->xc_rtype = type;
	xc->xc_rwaiting = type != 0;
	xc->xc_rdone = false;
	error = hn_xchg_nvs_locked(sc, &msg, len, &left);
	if (error == 0 && (xc->xc_nvslen < HN_NVS_ACK_LEN ||
	    xc->xc_nvs.nm_type != HN_NVS_TYPE_RNDIS_ACK))
		error = EPROTO;
	if (error == 0 && xc->xc_nvs.nm_status != HN_NVS_STATUS_OK)
		error = EIO;
	if (error == 0 && type != 0)
		error = hn_xchg_wait(sc, &xc->xc_rdone, &left);
	/* From here on nothing changes xc_reply. */
	xc->xc_rwaiting = false;
	if (rlen != NULL)
		*rlen = xc->xc_rlen;
	mtx_unlock(&sc->sc_mtx);
	return (error);
}

/* A completion with the id of an exchange came. */
void
hn_xchg_nvs_reply(struct hn_softc *sc, uint64_t xid, const void *data,
    size_t len)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	uint32_t gen = xid >> 32;
	bool ours;

	mtx_lock(&sc->sc_mtx);
	xc->xc_mute = false;
	ours = xc->xc_held != 0 && xc->xc_held == gen;
	if (ours)
		xc->xc_held = 0;
	if (xc->xc_waiting && !xc->xc_done && xc->xc_gen == gen) {
		memset(&xc->xc_nvs, 0, sizeof(xc->xc_nvs));
		xc->xc_nvslen = MIN(len, sizeof(xc->xc_nvs));
		memcpy(&xc->xc_nvs, data, xc->xc_nvslen);
		xc->xc_done = true;
	} else
		sc->sc_late++;
	if (xc->xc_done || ours)
		wakeup(xc);
	mtx_unlock(&sc->sc_mtx);
}

/* An RNDIS message that answers something came. */
void
hn_xchg_rndis_reply(struct hn_softc *sc, const void *data, size_t len)
{
	struct hn_xchg *xc = &sc->sc_xchg;
	struct hn_rndis_ctl ctl;

	mtx_lock(&sc->sc_mtx);
	memset(&ctl, 0, sizeof(ctl));
	if (xc->xc_rwaiting && !xc->xc_rdone && len >= sizeof(ctl)) {
		xc->xc_rlen = MIN(len, HN_CTL_REPLY_MAX);
		memcpy(xc->xc_reply, data, xc->xc_rlen);
		memcpy(&ctl, xc->xc_reply, sizeof(ctl));
	}
	if (ctl.rc_rid != 0 && ctl.rc_rid == xc->xc_rid &&
	    ctl.rc_hdr.rh_type == xc->xc_rtype) {
		xc->xc_rdone = true;
		wakeup(xc);
	} else
		sc->sc_late++;
	mtx_unlock(&sc->sc_mtx);
}

void
hn_xchg_wake(struct hn_softc *sc)
{

	mtx_lock(&sc->sc_mtx);
	wakeup(&sc->sc_xchg);
	wakeup(&sc->sc_flags);
	mtx_unlock(&sc->sc_mtx);
}
