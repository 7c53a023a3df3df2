/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * CD-ROM drives that the host took away.
 *
 * When cd(4) cannot read the size of a medium, whoever opens the drive is let
 * go first, and only then a last command unlocks the tray, one that nothing
 * keeps cd(4)'s periph in place for.  If what it could not read ended with the
 * news that the drive is gone, the periph ends with its last user, and the
 * command comes back to freed memory: in CAM, which is to freeze the queue of
 * the device, if not in cd(4).
 *
 * So to cd(4) a drive that is gone is one without a medium.  The news come by
 * the scan that such a discovery, like the host's own word, brings about; and
 * what cd(4) sends meanwhile ends at once, so that no command is out when the
 * scan has it let go of the drive.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>

#include <machine/atomic.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_periph.h>
#include <cam/cam_sim.h>
#include <cam/scsi/scsi_all.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

#define	STORVSC_ASC_NO_MEDIUM	0x3a	/* SPC-3, annex D */

static bool
storvsc_cd_sent(const union ccb *ccb)
{
	const struct cam_periph *periph = xpt_path_periph(ccb->ccb_h.path);

	return (periph != NULL && strcmp(periph->periph_name, "cd") == 0);
}

/* Fills in what an empty drive answers; the CAM status of that. */
static uint32_t
storvsc_cd_empty(struct ccb_scsiio *csio)
{

	csio->scsi_status = SCSI_STATUS_CHECK_COND;
	csio->resid = csio->dxfer_len;
	csio->sense_resid = 0;
	scsi_set_sense_data(&csio->sense_data, SSD_TYPE_FIXED, 1,
	    SSD_KEY_NOT_READY, STORVSC_ASC_NO_MEDIUM, 0, SSD_ELEM_NONE);
	return (CAM_SCSI_STATUS_ERROR | CAM_AUTOSNS_VALID);
}

/*
 * A request of cd(4) before it is sent: if the drive is known to be gone, the
 * status to end it with, else 0.
 */
uint32_t
storvsc_cd_start(struct storvsc_softc *sc, union ccb *ccb)
{

	if ((atomic_load_64(&sc->sc_cd_gone) &
	    (1ul << ccb->ccb_h.target_lun)) == 0 || !storvsc_cd_sent(ccb))
		return (0);
	return (storvsc_cd_empty(&ccb->csio));
}

/*
 * The host has no such unit, as status says: what to tell the sender.  c_mtx
 * may be held.
 */
uint32_t
storvsc_cd_lost(struct storvsc_softc *sc, union ccb *ccb, uint32_t status)
{
	uint64_t bit = 1ul << ccb->ccb_h.target_lun;

	if (!storvsc_cd_sent(ccb))
		return (status);
	if ((atomic_load_64(&sc->sc_cd_gone) & bit) == 0) {
		atomic_set_64(&sc->sc_cd_gone, bit);
		storvsc_rescan(sc);
	}
	return (storvsc_cd_empty(&ccb->csio));
}

/*
 * A command that reads has succeeded.  Where a unit tells what it is, whatever
 * was there before it is history.
 */
void
storvsc_cd_found(struct storvsc_softc *sc, union ccb *ccb)
{
	struct ccb_scsiio *csio = &ccb->csio;
	const uint8_t *cdb = scsiio_cdb_ptr(csio);

	if (cdb[0] == INQUIRY && (cdb[1] & SI_EVPD) == 0 &&
	    csio->resid < csio->dxfer_len &&
	    csio->data_ptr[0] >> 5 == SID_QUAL_LU_CONNECTED)
		atomic_clear_64(&sc->sc_cd_gone,
		    1ul << ccb->ccb_h.target_lun);
}
