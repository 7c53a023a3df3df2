/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The SIM: what CAM asks for and hears.  It has no mutex of CAM's, so actions
 * may run on several processors at once; each takes the locks it needs.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/proc.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_queue.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/* No target has this number: the scan leaves it out. */
#define	STORVSC_INITIATOR_ID	7

static void
storvsc_path_inq(struct storvsc_softc *sc, struct ccb_pathinq *cpi)
{

	cpi->version_num = 1;
	cpi->hba_inquiry = PI_TAG_ABLE;
	cpi->target_sprt = 0;
	cpi->hba_misc = PIM_NOBUSRESET | PIM_NOSCAN;
	if (storvsc_use_pim_unmapped != 0)
		cpi->hba_misc |= PIM_UNMAPPED;
	cpi->hba_eng_cnt = 0;
	cpi->max_target = sc->sc_target;
	cpi->max_lun = sc->sc_class->cl_ide ? 0 : STORVSC_MAX_LUN;
	cpi->initiator_id = STORVSC_INITIATOR_ID;
	strlcpy(cpi->sim_vid, "FreeBSD", SIM_IDLEN);
	strlcpy(cpi->hba_vid, "Microsoft", HBA_IDLEN);
	strlcpy(cpi->dev_name, cam_sim_name(sc->sc_sim), DEV_IDLEN);
	cpi->unit_number = cam_sim_unit(sc->sc_sim);
	cpi->bus_id = cam_sim_bus(sc->sc_sim);
	cpi->base_transfer_speed = 300000;
	cpi->protocol = PROTO_SCSI;
	cpi->protocol_version = SCSI_REV_SPC3;
	cpi->transport = XPORT_SAS;
	cpi->transport_version = 0;
	cpi->maxio = sc->sc_maxio;
	cpi->ccb_h.status = CAM_REQ_CMP;
}

static void
storvsc_get_tran_settings(struct ccb_trans_settings *cts)
{

	cts->protocol = PROTO_SCSI;
	cts->protocol_version = SCSI_REV_SPC3;
	cts->transport = XPORT_SAS;
	cts->transport_version = 0;
	cts->xport_specific.valid = 0;
	cts->proto_specific.scsi.valid = CTS_SCSI_VALID_TQ;
	cts->proto_specific.scsi.flags = CTS_SCSI_FLAGS_TAG_ENB;
	cts->ccb_h.status = CAM_REQ_CMP;
}

/*
 * Behind an IDE channel REPORT LUNS may tell nothing (protocol: storvsc,
 * section 10), which CAM would believe; an error instead would be reported at
 * each boot.  So it is answered here: there is unit 0.
 */
static void
storvsc_report_luns(struct ccb_scsiio *csio)
{
	static const uint8_t list[16] = { [3] = 8 };	/* bytes of the units */
	uint32_t len = MIN(csio->dxfer_len, sizeof(list));

	if ((csio->ccb_h.flags & CAM_DATA_MASK) != CAM_DATA_VADDR) {
		csio->ccb_h.status = CAM_REQ_INVALID;
		return;
	}
	memcpy(csio->data_ptr, list, len);
	csio->resid = csio->dxfer_len - len;
	csio->scsi_status = SCSI_STATUS_OK;
	csio->ccb_h.status = CAM_REQ_CMP;
}

/* Whether there can be such a unit; if not, what to tell. */
static uint32_t
storvsc_check_address(struct storvsc_softc *sc, const struct ccb_hdr *ccbh)
{

	if (ccbh->target_id != sc->sc_target)
		return (CAM_SEL_TIMEOUT);
	if (ccbh->target_lun > (sc->sc_class->cl_ide ? 0 : STORVSC_MAX_LUN))
		return (CAM_LUN_INVALID);
	return (0);
}

static void
storvsc_action_scsi(struct storvsc_softc *sc, union ccb *ccb)
{
	uint32_t status;

	status = storvsc_check_address(sc, &ccb->ccb_h);
	if (status != 0) {
		ccb->ccb_h.status = status;
		xpt_done(ccb);
		return;
	}
	if (sc->sc_class->cl_ide &&
	    (ccb->ccb_h.flags & CAM_CDB_PHYS) == 0 &&
	    scsiio_cdb_ptr(&ccb->csio)[0] == REPORT_LUNS) {
		storvsc_report_luns(&ccb->csio);
		xpt_done(ccb);
		return;
	}
	/* XPT_ABORT may have come between CAM's queue and here. */
	if ((ccb->ccb_h.status & CAM_STATUS_MASK) != CAM_REQ_INPROG) {
		xpt_done(ccb);
		return;
	}
	storvsc_io_start(sc, ccb);
}

/* A unit reset is done by the recovery thread, which completes the CCB. */
static void
storvsc_action_reset_dev(struct storvsc_softc *sc, union ccb *ccb)
{
	uint32_t status;

	status = storvsc_check_address(sc, &ccb->ccb_h);
	if (status == 0) {
		mtx_lock(&sc->sc_mtx);
		if ((sc->sc_flags & (STORVSC_F_GONE | STORVSC_F_DEAD)) != 0)
			status = CAM_DEV_NOT_THERE;
		else
			STAILQ_INSERT_TAIL(&sc->sc_resets, &ccb->ccb_h,
			    sim_links.stqe);
		mtx_unlock(&sc->sc_mtx);
	}
	if (status != 0) {
		ccb->ccb_h.status = status;
		xpt_done(ccb);
		return;
	}
	storvsc_recover_start(sc, STORVSC_F_EXPIRED);
}

HYPERV_HOT static void
storvsc_action(struct cam_sim *sim, union ccb *ccb)
{
	struct storvsc_softc *sc = cam_sim_softc(sim);
	uint8_t how;

	switch (ccb->ccb_h.func_code) {
	case XPT_SCSI_IO:
		storvsc_action_scsi(sc, ccb);
		return;
	case XPT_RESET_DEV:
		storvsc_action_reset_dev(sc, ccb);
		return;
	case XPT_RESET_BUS:
		/* Under way when this returns; AC_BUS_RESET tells the end. */
		storvsc_recover_start(sc, STORVSC_F_BUS_RESET);
		ccb->ccb_h.status = CAM_REQ_CMP;
		break;
	case XPT_ABORT:
	case XPT_TERM_IO:
		how = ccb->ccb_h.func_code == XPT_ABORT ?
		    STORVSC_RF_ABORTED : STORVSC_RF_TERMINATED;
		if (storvsc_abort(sc, ccb->cab.abort_ccb, how) == 0)
			ccb->ccb_h.status = CAM_REQ_CMP;
		else
			ccb->ccb_h.status = how == STORVSC_RF_ABORTED ?
			    CAM_UA_ABORT : CAM_UA_TERMIO;
		break;
	case XPT_PATH_INQ:
		storvsc_path_inq(sc, &ccb->cpi);
		break;
	case XPT_GET_TRAN_SETTINGS:
		storvsc_get_tran_settings(&ccb->cts);
		break;
	case XPT_SET_TRAN_SETTINGS:
		ccb->ccb_h.status = CAM_FUNC_NOTAVAIL;
		break;
	case XPT_CALC_GEOMETRY:
		cam_calc_geometry(&ccb->ccg, 1);
		break;
	default:
		ccb->ccb_h.status = CAM_REQ_INVALID;
		break;
	}
	xpt_done(ccb);
}

/*
 * CAM holds the SIM's queue frozen while a processor sends from it.  One that
 * was stopped there, in storvsc_action() for instance, never thaws it, and a
 * dump's requests would wait until they are given up.  Nothing that froze it
 * matters any more; what requests would thaw when they end, they need not.
 */
static void
storvsc_thaw(struct storvsc_softc *sc)
{
	struct camq *queue = &sc->sc_sim->devq->send_queue;
	struct storvsc_chan *c;
	struct storvsc_req *req;
	uint32_t i, j, n;

	n = queue->qfrozen_cnt;
	if (n == 0)
		return;
	for (i = 0; i < sc->sc_nalloc; i++) {
		c = sc->sc_chan[i];
		for (j = 0; j < c->c_nreqs; j++) {
			req = &c->c_reqs[j];
			if (req->sr_state != STORVSC_RS_FREE &&
			    (req->sr_flags & STORVSC_RF_RESERVE) == 0)
				req->sr_ccb->ccb_h.status &= ~CAM_RELEASE_SIMQ;
		}
	}
	while (n-- > 0)
		xpt_release_simq(sc->sc_sim, TRUE);
}

/*
 * Completions without interrupts, for dumps.  Where the scheduler still runs
 * (a dump of a live system) so do interrupts and the channels' callbacks, which
 * nothing but they may stand in for.
 */
static void
storvsc_poll(struct cam_sim *sim)
{
	struct storvsc_softc *sc = cam_sim_softc(sim);
	struct storvsc_chan *c;
	u_int i, n;

	if (!SCHEDULER_STOPPED())
		return;
	storvsc_recover_release(sc);
	storvsc_thaw(sc);
	n = atomic_load_int(&sc->sc_nchan);
	for (i = 0; i < n; i++) {
		c = sc->sc_chan[i];
		if (c->c_ch != NULL)
			vmbus_ch_poll(c->c_ch);
	}
}

int
storvsc_cam_attach(struct storvsc_softc *sc)
{
	struct cam_devq *devq;

	devq = cam_simq_alloc(sc->sc_maxreqs);
	if (devq == NULL)
		return (ENOMEM);
	sc->sc_sim = cam_sim_alloc(storvsc_action, storvsc_poll,
	    sc->sc_class->cl_sim, sc, device_get_unit(sc->sc_dev), NULL, 1,
	    sc->sc_maxreqs, devq);
	if (sc->sc_sim == NULL) {
		cam_simq_free(devq);
		return (ENOMEM);
	}
	/* After a rescind, channels stay shut whatever is asked for here. */
	storvsc_gate(sc, 0);
	if (xpt_bus_register(sc->sc_sim, sc->sc_dev, 0) != CAM_SUCCESS) {
		cam_sim_free(sc->sc_sim, TRUE);
		sc->sc_sim = NULL;
		return (ENXIO);
	}
	if (xpt_create_path(&sc->sc_path, NULL, cam_sim_path(sc->sc_sim),
	    CAM_TARGET_WILDCARD, CAM_LUN_WILDCARD) != CAM_REQ_CMP) {
		sc->sc_path = NULL;
		return (ENOMEM);
	}
	storvsc_scan_attach(sc);
	return (0);
}

/*
 * Takes the bus from CAM, which tells the peripherals that their devices are
 * lost, and waits until the last of them let go.  Until then CCBs still come;
 * the gate answers them.
 */
void
storvsc_cam_detach(struct storvsc_softc *sc)
{

	if (sc->sc_sim == NULL)
		return;
	(void)xpt_bus_deregister(cam_sim_path(sc->sc_sim));
	storvsc_scan_detach(sc);
	if (sc->sc_path != NULL) {
		xpt_free_path(sc->sc_path);
		sc->sc_path = NULL;
	}
	cam_sim_free(sc->sc_sim, TRUE);
	sc->sc_sim = NULL;
}
