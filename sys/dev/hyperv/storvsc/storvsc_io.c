/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The way of a SCSI request: CCB to request, data to page list, page list to
 * the ring, and the answer back to CAM.
 *
 * A request that cannot go to the host at once (busdma defers, the ring is
 * full) freezes the SIM queue until it is done, so that none overtakes it; CAM
 * thaws it by the CAM_RELEASE_SIMQ that the CCB then carries.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/proc.h>
#include <sys/time.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/storvsc/storvsc_var.h>

/*
 * Writes a CCB's final status.  What went wrong freezes the device's queue, so
 * that recovery comes before further requests.
 */
static void
storvsc_ccb_status(union ccb *ccb, uint32_t status)
{

	status |= ccb->ccb_h.status & (CAM_RELEASE_SIMQ | CAM_DEV_QFRZN);
	if ((status & CAM_STATUS_MASK) != CAM_REQ_CMP &&
	    (status & CAM_DEV_QFRZN) == 0) {
		xpt_freeze_devq(ccb->ccb_h.path, 1);
		status |= CAM_DEV_QFRZN;
	}
	ccb->ccb_h.status = status;
}

/*
 * What a scan sends, or da(4) while it gets to know a disk: with the lock held
 * throughout.  A scan must not wait for each unit that is not there.
 */
static bool
storvsc_ccb_inquires(union ccb *ccb)
{

	if ((ccb->ccb_h.flags & CAM_CDB_PHYS) != 0)
		return (false);
	switch (scsiio_cdb_ptr(&ccb->csio)[0]) {
	case TEST_UNIT_READY:
	case INQUIRY:
	case MODE_SENSE_6:
	case MODE_SENSE_10:
	case READ_CAPACITY:
	case REPORT_LUNS:
	case SERVICE_ACTION_IN:
		return (true);
	default:
		return (false);
	}
}

/* Whether CAM takes such a status for the end of the device, or soon will. */
static bool
storvsc_status_lost(uint32_t status)
{

	switch (status & CAM_STATUS_MASK) {
	case CAM_DEV_NOT_THERE:
	case CAM_SEL_TIMEOUT:
	case CAM_NO_HBA:
		return (true);
	default:
		return (false);
	}
}

/* ... while the sender may still be at it. */
static bool
storvsc_ccb_lost(union ccb *ccb, uint32_t status)
{

	return (storvsc_status_lost(status) &&
	    (ccb->ccb_h.flags & CAM_UNLOCKED) != 0 &&
	    !storvsc_ccb_inquires(ccb) && !SCHEDULER_STOPPED());
}

static void
storvsc_lost_arm(struct storvsc_softc *sc)
{

	mtx_assert(&sc->sc_mtx, MA_OWNED);
	callout_reset(&sc->sc_lost_tick, hz, storvsc_lost_done, sc);
}

/* Ends the CCBs that have waited for a whole period. */
void
storvsc_lost_done(void *arg)
{
	struct storvsc_softc *sc = arg;
	struct storvsc_ccbs lost = STAILQ_HEAD_INITIALIZER(lost);
	struct ccb_hdr *ccbh;

	mtx_lock(&sc->sc_mtx);
	STAILQ_CONCAT(&lost, &sc->sc_lost[0]);
	STAILQ_CONCAT(&sc->sc_lost[0], &sc->sc_lost[1]);
	if (!STAILQ_EMPTY(&sc->sc_lost[0]))
		storvsc_lost_arm(sc);
	mtx_unlock(&sc->sc_mtx);
	while ((ccbh = STAILQ_FIRST(&lost)) != NULL) {
		STAILQ_REMOVE_HEAD(&lost, sim_links.stqe);
		storvsc_ccb_status((union ccb *)ccbh, ccbh->status);
		xpt_done((union ccb *)ccbh);
	}
}

/*
 * Ends a CCB a little later.
 *
 * da(4) sends with its lock given up, takes it again afterwards and looks at
 * its periph, which nothing but the request it has just sent keeps in place:
 * where a file system is mounted, the end of its last request and the news that
 * the device is gone end all that refers to the periph.  A thread that was
 * preempted meanwhile finds freed memory.  So such news, which make CAM let go
 * of the device, come a second late: every sender is back by then, and those
 * that send in this second are told as late.  The same holds for a scan and
 * for a controller that was taken away.  The device's queue is not frozen until
 * then: what is left in it goes out now, and not a piece each second.
 */
static void
storvsc_ccb_later(struct storvsc_softc *sc, union ccb *ccb, uint32_t status)
{
	bool armed;

	ccb->ccb_h.status = status |
	    (ccb->ccb_h.status & (CAM_RELEASE_SIMQ | CAM_DEV_QFRZN));
	mtx_lock(&sc->sc_mtx);
	armed = !STAILQ_EMPTY(&sc->sc_lost[0]) ||
	    !STAILQ_EMPTY(&sc->sc_lost[1]);
	STAILQ_INSERT_TAIL(&sc->sc_lost[1], &ccb->ccb_h, sim_links.stqe);
	if (!armed)
		storvsc_lost_arm(sc);
	mtx_unlock(&sc->sc_mtx);
}

static void
storvsc_io_hold(struct storvsc_chan *c, union ccb *ccb)
{

	/* While dumping there is no other to be overtaken. */
	if ((ccb->ccb_h.status & CAM_RELEASE_SIMQ) != 0 ||
	    SCHEDULER_STOPPED())
		return;
	xpt_freeze_simq(c->c_sc->sc_sim, 1);
	ccb->ccb_h.status |= CAM_RELEASE_SIMQ;
}

static void
storvsc_io_unload(struct storvsc_req *req)
{

	if ((req->sr_flags & STORVSC_RF_LOADED) == 0)
		return;
	bus_dmamap_unload(req->sr_dma->d_tag, req->sr_map);
	req->sr_flags &= ~STORVSC_RF_LOADED;
}

/* Puts requests that are through back; c_mtx held. */
static void
storvsc_req_free(struct storvsc_chan *c, struct storvsc_req *req)
{

	mtx_assert(&c->c_mtx, MA_OWNED);
	req->sr_state = STORVSC_RS_FREE;
	req->sr_ccb = NULL;
	c->c_out--;
	if ((req->sr_flags & STORVSC_RF_RESERVE) == 0)
		STAILQ_INSERT_HEAD(&c->c_free, req, sr_link);
	if (c->c_draining && c->c_out == 0)
		wakeup(&c->c_out);
}

/* Ends a request that the host does not have; c_mtx held. */
static void
storvsc_io_fail(struct storvsc_chan *c, struct storvsc_req *req,
    uint32_t status)
{
	union ccb *ccb = req->sr_ccb;

	storvsc_io_unload(req);
	(void)storvsc_sg_end(req, 0);
	storvsc_req_free(c, req);
	if (storvsc_ccb_lost(ccb, status)) {
		storvsc_ccb_later(c->c_sc, ccb, status);
		return;
	}
	storvsc_ccb_status(ccb, status);
	xpt_done(ccb);
}

/* What a request ends with that must end, and was not answered. */
uint32_t
storvsc_expired_status(const struct storvsc_req *req)
{

	if ((req->sr_flags & STORVSC_RF_ABORTED) != 0)
		return (CAM_REQ_ABORTED);
	if ((req->sr_flags & STORVSC_RF_TERMINATED) != 0)
		return (CAM_REQ_TERMIO);
	return (CAM_CMD_TIMEOUT);
}

/* What a request that shall not go on ends with, 0 if it shall. */
static uint32_t
storvsc_io_stopped(const struct storvsc_chan *c,
    const struct storvsc_req *req)
{

	if ((req->sr_flags & STORVSC_RF_EXPIRED) != 0)
		return (storvsc_expired_status(req));
	if (req->sr_status != 0)
		return (req->sr_status);
	return (c->c_ch == NULL && c->c_gate == 0 ? CAM_REQUEUE_REQ :
	    c->c_gate);
}

/*
 * Puts a request into the ring, pl telling where its data are.  The id is of
 * this sending: an answer to an earlier one does not match.
 */
static __always_inline void
storvsc_io_send(struct storvsc_chan *c, struct storvsc_req *req,
    const struct vmbus_gpa_prplist *pl)
{
	struct storvsc_softc *sc = c->c_sc;
	uint64_t xid;
	int error;

	xid = storvsc_id(req->sr_index + 1, ++req->sr_gen);
	if (pl != NULL)
		error = vmbus_ch_send_prplist(c->c_ch, pl, &req->sr_pkt,
		    sc->sc_pktlen, xid, c->c_hold ? &c->c_signal : NULL);
	else
		error = vmbus_ch_send(c->c_ch, VMBUS_PKT_TYPE_INBAND,
		    VMBUS_PKT_FLAG_RC, &req->sr_pkt, sc->sc_pktlen, xid);
	switch (error) {
	case 0:
		req->sr_state = STORVSC_RS_SENT;
		c->c_sends++;
		return;
	case EAGAIN:
		storvsc_io_unload(req);
		storvsc_io_hold(c, req->sr_ccb);
		c->c_retries++;
		if ((req->sr_flags & STORVSC_RF_AGAIN) != 0)
			STAILQ_INSERT_HEAD(&c->c_wait, req, sr_link);
		else
			STAILQ_INSERT_TAIL(&c->c_wait, req, sr_link);
		req->sr_flags |= STORVSC_RF_AGAIN;
		req->sr_state = STORVSC_RS_WAIT;
		return;
	case EINVAL:
		storvsc_io_fail(c, req, CAM_REQ_TOO_BIG);
		return;
	default:
		/* Rescinded, or the host spoilt the ring: begin anew. */
		storvsc_io_fail(c, req, CAM_REQUEUE_REQ);
		storvsc_recover_start(sc, STORVSC_F_BROKEN);
		return;
	}
}

/* What CAM is told when data cannot be made a page list of. */
static uint32_t
storvsc_load_status(int error)
{

	switch (error) {
	case EFBIG:
		return (CAM_REQ_TOO_BIG);
	case EINVAL:
		return (CAM_REQ_INVALID);
	default:
		return (CAM_RESRC_UNAVAIL);
	}
}

/* busdma has the data in place, perhaps long after it was asked to. */
static void
storvsc_io_loaded(void *arg, bus_dma_segment_t *segs, int nseg, int error)
{
	struct storvsc_req *req = arg;
	struct storvsc_chan *c = req->sr_chan;
	struct vmbus_gpa_prplist pl;
	uint32_t status;

	mtx_assert(&c->c_mtx, MA_OWNED);
	if (error != 0) {
		storvsc_io_fail(c, req, storvsc_load_status(error));
		return;
	}
	req->sr_flags |= STORVSC_RF_LOADED;
	status = storvsc_io_stopped(c, req);
	if (status != 0) {
		storvsc_io_fail(c, req, status);
		return;
	}
	error = storvsc_prplist(segs, nseg, req->sr_dma->d_pfn,
	    c->c_sc->sc_maxio / STORVSC_PAGE_SIZE + 1, &pl);
	if (error != 0) {
		storvsc_io_fail(c, req, storvsc_load_status(error));
		return;
	}
	bus_dmamap_sync(req->sr_dma->d_tag, req->sr_map,
	    req->sr_pkt.sp_srb.sb_data_in == STORVSC_DATA_IN ?
	    BUS_DMASYNC_PREREAD : BUS_DMASYNC_PREWRITE);
	storvsc_io_send(c, req, &pl);
}

/* Has busdma see to the data of a request; c_mtx held. */
static void
storvsc_io_dma(struct storvsc_chan *c, struct storvsc_req *req)
{
	int error, flags;

	flags = SCHEDULER_STOPPED() ? BUS_DMA_NOWAIT : BUS_DMA_WAITOK;
	req->sr_state = STORVSC_RS_LOADING;
	/* The callback sees errors too; only a deferral is news here. */
	if ((req->sr_ccb->ccb_h.flags & CAM_DATA_MASK) == CAM_DATA_SG &&
	    storvsc_sg_needed(req->sr_ccb)) {
		error = storvsc_sg_begin(c, req);
		if (error != 0) {
			storvsc_io_fail(c, req, storvsc_load_status(error));
			return;
		}
		error = bus_dmamap_load(req->sr_dma->d_tag, req->sr_map,
		    req->sr_buf, req->sr_ccb->csio.dxfer_len,
		    storvsc_io_loaded, req, flags);
	} else {
		error = bus_dmamap_load_ccb(req->sr_dma->d_tag, req->sr_map,
		    req->sr_ccb, storvsc_io_loaded, req, flags);
	}
	if (error == EINPROGRESS)
		storvsc_io_hold(c, req->sr_ccb);
}

/*
 * Starts a request, for the first time or again; c_mtx held.  It is sent, or
 * waits for the ring or for busdma, or has ended.
 */
static __inline void
storvsc_io_load(struct storvsc_chan *c, struct storvsc_req *req)
{
	struct vmbus_gpa_prplist pl;
	uint32_t status;

	mtx_assert(&c->c_mtx, MA_OWNED);
	status = storvsc_io_stopped(c, req);
	if (__predict_false(status != 0))
		storvsc_io_fail(c, req, status);
	else if (req->sr_pkt.sp_srb.sb_data_in == STORVSC_DATA_NONE)
		storvsc_io_send(c, req, NULL);
	else if (__predict_true(c->c_sc->sc_direct &&
	    storvsc_pages(req->sr_ccb, req->sr_dma->d_pfn,
	    c->c_sc->sc_maxio, &pl)))
		storvsc_io_send(c, req, &pl);
	else
		storvsc_io_dma(c, req);
}

/* There may be room in the ring again; c_mtx held. */
void
storvsc_io_resume(struct storvsc_chan *c)
{
	struct storvsc_req *req;

	mtx_assert(&c->c_mtx, MA_OWNED);
	while ((req = STAILQ_FIRST(&c->c_wait)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->c_wait, sr_link);
		storvsc_io_load(c, req);
		if (req->sr_state == STORVSC_RS_WAIT)
			break;
	}
}

/*
 * A request of this channel, NULL if all are out.  Dumps have their own, which
 * no stopped processor can have left half-way; the last few are used in turn
 * whether the host answered them or not, as only one dump write is under way
 * at a time.
 */
static __always_inline struct storvsc_req *
storvsc_req_get(struct storvsc_chan *c)
{
	struct storvsc_req *req;

	mtx_assert(&c->c_mtx, MA_OWNED);
	if (SCHEDULER_STOPPED()) {
		req = &c->c_reqs[c->c_nreqs - STORVSC_RESERVE +
		    c->c_reserve++ % STORVSC_RESERVE];
		if (req->sr_state == STORVSC_RS_WAIT)
			STAILQ_REMOVE(&c->c_wait, req, storvsc_req, sr_link);
		if (req->sr_state != STORVSC_RS_FREE) {
			if ((req->sr_flags & STORVSC_RF_LOADED) != 0)
				bus_dmamap_unload(req->sr_dma->d_tag,
				    req->sr_map);
			c->c_out--;
		}
	} else {
		req = STAILQ_FIRST(&c->c_free);
		if (req == NULL)
			return (NULL);
		STAILQ_REMOVE_HEAD(&c->c_free, sr_link);
	}
	req->sr_flags &= STORVSC_RF_RESERVE;
	req->sr_status = 0;
	if (++c->c_out > c->c_maxout)
		c->c_maxout = c->c_out;
	return (req);
}

static void
storvsc_io_count(struct storvsc_chan *c, const union ccb *ccb)
{

	switch (ccb->ccb_h.flags & CAM_DATA_MASK) {
	case CAM_DATA_BIO:
		c->c_bio++;
		break;
	case CAM_DATA_VADDR:
		c->c_vaddr++;
		break;
	case CAM_DATA_SG:
		c->c_sg++;
		break;
	default:
		break;
	}
}

/*
 * Takes a request from the channel of this processor, or from any other that
 * has one left; its c_mtx is held on return.
 */
static struct storvsc_req *
storvsc_io_get(struct storvsc_softc *sc)
{
	struct storvsc_chan *c;
	struct storvsc_req *req;
	u_int i, n;

	c = storvsc_chan_select(sc);
	mtx_lock(&c->c_mtx);
	req = storvsc_req_get(c);
	if (__predict_true(req != NULL))
		return (req);
	mtx_unlock(&c->c_mtx);
	n = atomic_load_int(&sc->sc_nchan);
	for (i = 0; i < n; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		req = storvsc_req_get(c);
		if (req != NULL)
			return (req);
		mtx_unlock(&c->c_mtx);
	}
	return (NULL);
}

/* XPT_SCSI_IO for a unit of ours. */
HYPERV_HOT void
storvsc_io_start(struct storvsc_softc *sc, union ccb *ccb)
{
	struct storvsc_chan *c;
	struct storvsc_req *req;
	uint32_t status;

	if (__predict_false(sc->sc_cd_gone != 0)) {
		status = storvsc_cd_start(sc, ccb);
		if (status != 0) {
			storvsc_ccb_status(ccb, status);
			xpt_done(ccb);
			return;
		}
	}
	req = storvsc_io_get(sc);
	if (req == NULL) {
		/* CAM knows how many there are; channels may have got fewer. */
		storvsc_ccb_status(ccb, CAM_RESRC_UNAVAIL);
		xpt_done(ccb);
		return;
	}
	c = req->sr_chan;
	req->sr_ccb = ccb;
	ccb->ccb_h.spriv_ptr0 = req;
	ccb->ccb_h.status |= CAM_SIM_QUEUED;
	req->sr_limit = storvsc_timeout_ms(ccb->ccb_h.timeout);
	req->sr_start = ticks;

	if (__predict_false(c->c_gate != 0)) {
		/* What is filled in is being negotiated anew. */
		storvsc_io_fail(c, req, c->c_gate);
	} else if (storvsc_srb_fill(&req->sr_pkt, &sc->sc_tmpl, ccb) != 0) {
		storvsc_io_fail(c, req, CAM_REQ_INVALID);
	} else {
		if (req->sr_pkt.sp_srb.sb_data_in != STORVSC_DATA_NONE)
			storvsc_io_count(c, ccb);
		if (STAILQ_EMPTY(&c->c_wait)) {
			c->c_hold = true;
			storvsc_io_load(c, req);
		} else {
			storvsc_io_hold(c, ccb);
			STAILQ_INSERT_TAIL(&c->c_wait, req, sr_link);
			req->sr_state = STORVSC_RS_WAIT;
			req->sr_flags |= STORVSC_RF_AGAIN;
		}
	}
	storvsc_chan_flush(c);
	storvsc_tick_arm(sc);
}

/* Sense data into the CCB. */
static void
storvsc_ccb_sense(struct ccb_scsiio *csio, const struct storvsc_pkt *pkt,
    struct storvsc_result *rs)
{
	size_t len;

	if ((rs->rs_status & CAM_AUTOSNS_VALID) == 0)
		return;
	if ((csio->ccb_h.flags & (CAM_DIS_AUTOSENSE | CAM_SENSE_PTR |
	    CAM_SENSE_PHYS)) != 0) {
		rs->rs_status &= ~CAM_AUTOSNS_VALID;
		return;
	}
	len = MIN(rs->rs_sense_len, csio->sense_len);
	len = MIN(len, sizeof(csio->sense_data));
	memset(&csio->sense_data, 0, sizeof(csio->sense_data));
	memcpy(&csio->sense_data, pkt->sp_srb.sb_sense, len);
	csio->sense_resid = csio->sense_len - (uint8_t)len;
}

/*
 * Fills the CCB from the answer and unloads its data.  Returns the CAM status
 * and whether the answer was not what it should be, or data were copied.
 */
static uint32_t
storvsc_ccb_result(struct storvsc_softc *sc, struct storvsc_req *req,
    bool *bad, bool *copied)
{
	struct ccb_scsiio *csio = &req->sr_ccb->csio;
	struct storvsc_result rs;
	uint32_t code;

	if (req->sr_status != 0) {
		(void)storvsc_sg_end(req, 0);
		csio->resid = csio->dxfer_len;
		return (req->sr_status);
	}
	storvsc_result(&req->sr_pkt, req->sr_rxlen,
	    (csio->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_NONE ? 0 :
	    csio->dxfer_len, &rs);
	*bad = rs.rs_bad;
	csio->resid = rs.rs_resid;
	csio->scsi_status = rs.rs_scsi_status;
	storvsc_ccb_sense(csio, &req->sr_pkt, &rs);

	if (__predict_false(req->sr_buf != NULL) &&
	    storvsc_sg_end(req, csio->dxfer_len - rs.rs_resid))
		*copied = true;
	code = rs.rs_status & CAM_STATUS_MASK;
	if (code == CAM_REQ_CMP) {
		if ((csio->ccb_h.flags & (CAM_DIR_MASK | CAM_DATA_MASK)) ==
		    (CAM_DIR_IN | CAM_DATA_VADDR)) {
			storvsc_inquiry_repair(sc->sc_version,
			    scsiio_cdb_ptr(csio), csio->data_ptr,
			    csio->dxfer_len - rs.rs_resid);
			if (__predict_false(sc->sc_cd_gone != 0))
				storvsc_cd_found(sc, req->sr_ccb);
		}
	} else if (code == CAM_CMD_TIMEOUT || code == CAM_SCSI_BUS_RESET) {
		/* The host's words for what we asked it to give up. */
		if ((req->sr_flags & STORVSC_RF_EXPIRED) != 0)
			return (storvsc_expired_status(req));
	} else if (storvsc_status_lost(code)) {
		return (storvsc_cd_lost(sc, req->sr_ccb, rs.rs_status));
	}
	return (rs.rs_status);
}

/* Lets the processor see the data of a request the host has answered. */
static void
storvsc_io_sync(struct storvsc_req *req)
{

	if ((req->sr_flags & STORVSC_RF_LOADED) == 0 || req->sr_status != 0)
		return;
	bus_dmamap_sync(req->sr_dma->d_tag, req->sr_map,
	    (req->sr_ccb->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_IN ?
	    BUS_DMASYNC_POSTREAD : BUS_DMASYNC_POSTWRITE);
}

/*
 * Ends a request that is no longer the host's and puts it back: the CCB waits
 * in *done for storvsc_io_deliver(), so that as many requests are there as CAM
 * may send when it hears of them.  c_mtx held.
 */
HYPERV_HOT void
storvsc_io_end(struct storvsc_chan *c, struct storvsc_req *req,
    struct storvsc_done *done)
{
	bool bad = false, copied = false;

	storvsc_io_sync(req);
	storvsc_io_unload(req);
	done->d_ccb[done->d_n] = req->sr_ccb;
	done->d_status[done->d_n++] = storvsc_ccb_result(c->c_sc, req, &bad,
	    &copied);
	if (__predict_false(bad))
		storvsc_chan_bad(c, "contradictory completion", 1);
	c->c_copies += copied;
	storvsc_req_free(c, req);
}

/*
 * The host answered a request: the one copy of its packet; c_mtx held.  From
 * here on nothing the host does can reach the request.
 */
HYPERV_HOT void
storvsc_io_reply(struct storvsc_chan *c, struct storvsc_req *req,
    const void *data, size_t len, struct storvsc_done *done)
{

	mtx_assert(&c->c_mtx, MA_OWNED);
	if (__predict_true(len >= sizeof(req->sr_pkt))) {
		req->sr_rxlen = sizeof(req->sr_pkt);
		memcpy(&req->sr_pkt, data, sizeof(req->sr_pkt));
	} else {
		req->sr_rxlen = (uint8_t)len;
		memcpy(&req->sr_pkt, data, len);
	}
	if ((req->sr_flags & STORVSC_RF_EXPIRED) != 0 && --c->c_expired == 0)
		wakeup(&c->c_expired);
	storvsc_io_end(c, req, done);
}

/* Tells CAM of what has ended; c_mtx not held. */
HYPERV_HOT void
storvsc_io_deliver(struct storvsc_softc *sc, struct storvsc_done *done)
{
	union ccb *ccb;
	u_int i;

	for (i = 0; i < done->d_n; i++) {
		ccb = done->d_ccb[i];
		if (__predict_false(storvsc_ccb_lost(ccb,
		    done->d_status[i]))) {
			storvsc_ccb_later(sc, ccb, done->d_status[i]);
			continue;
		}
		storvsc_ccb_status(ccb, done->d_status[i]);
		/* No lock is held: no need of another thread. */
		if (SCHEDULER_STOPPED())
			xpt_done(ccb);
		else
			xpt_done_direct(ccb);
	}
	done->d_n = 0;
}

/*
 * Ends requests after the channels were closed: those out of time as such, the
 * others with status.  Those that were sent only if so told, as their memory
 * may still be written to if the host did not confirm; those that busdma has,
 * when its callback comes.
 */
void
storvsc_io_fail_all(struct storvsc_softc *sc, uint32_t status, bool sent)
{
	struct storvsc_done done = { .d_n = 0 };
	struct storvsc_chan *c;
	struct storvsc_req *req;
	uint32_t i, j;

	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		mtx_lock(&c->c_mtx);
		MPASS(c->c_ch == NULL);
		STAILQ_INIT(&c->c_wait);
		for (j = 0; j < c->c_nreqs; j++) {
			req = &c->c_reqs[j];
			if (req->sr_state == STORVSC_RS_FREE ||
			    (req->sr_state == STORVSC_RS_SENT && !sent))
				continue;
			req->sr_status =
			    (req->sr_flags & STORVSC_RF_EXPIRED) != 0 ?
			    storvsc_expired_status(req) : status;
			if (req->sr_state == STORVSC_RS_LOADING)
				continue;
			storvsc_io_end(c, req, &done);
			if (done.d_n == STORVSC_BATCH) {
				mtx_unlock(&c->c_mtx);
				storvsc_io_deliver(sc, &done);
				mtx_lock(&c->c_mtx);
			}
		}
		if (sent)
			c->c_expired = 0;
		mtx_unlock(&c->c_mtx);
		storvsc_io_deliver(sc, &done);
	}
}
