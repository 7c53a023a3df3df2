/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a da asks its device before it opens: capacity, write protection, and
 * the limits of the block VPD pages.
 */

#include "cam_disk.h"

#define	DA_PROBE_TIMEOUT	60000	/* ms */
#define	DA_PROBE_FLAGS		(SF_RETRY_UA | SF_NO_PRINT)
#define	DA_MAXPHYS		(1024u * 1024u)
#define	DA_DFLTPHYS		(64u * 1024u)

static int
da_capacity_16(struct kcam_disk *kd, struct kcam_geometry *kg, bool *lbpme)
{
	struct scsi_read_capacity_data_long *rcap;
	struct kcam_cmd *cmd;
	int error;

	cmd = kcam_cmd_alloc(kd->kd_periph.path);
	rcap = (void *)kcam_cmd_buf(cmd, sizeof(*rcap));
	scsi_read_capacity_16(kcam_cmd_csio(cmd), 4, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, 0, 0, 0, (uint8_t *)rcap, sizeof(*rcap),
	    SSD_FULL_SIZE, DA_PROBE_TIMEOUT);
	error = kcam_cmd_run(&cmd, DA_PROBE_FLAGS);
	if (error == 0 && kcam_cmd_csio(cmd)->resid > sizeof(*rcap) - 12)
		error = EIO;
	if (error == 0) {
		kg->kg_sectors = scsi_8btou64(rcap->addr) + 1;
		kg->kg_secsize = scsi_4btoul(rcap->length);
		*lbpme = (rcap->lalba_lbp[0] & SRC16_LBPME) != 0;
	}
	kcam_cmd_free(cmd);
	return (error);
}

static int
da_capacity_10(struct kcam_disk *kd, struct kcam_geometry *kg)
{
	struct scsi_read_capacity_data *rcap;
	struct kcam_cmd *cmd;
	int error;

	cmd = kcam_cmd_alloc(kd->kd_periph.path);
	rcap = (void *)kcam_cmd_buf(cmd, sizeof(*rcap));
	scsi_read_capacity(kcam_cmd_csio(cmd), 4, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, rcap, SSD_FULL_SIZE, DA_PROBE_TIMEOUT);
	error = kcam_cmd_run(&cmd, DA_PROBE_FLAGS);
	if (error == 0 && kcam_cmd_csio(cmd)->resid != 0)
		error = EIO;
	if (error == 0) {
		kg->kg_sectors = (uint64_t)scsi_4btoul(rcap->addr) + 1;
		kg->kg_secsize = scsi_4btoul(rcap->length);
	}
	kcam_cmd_free(cmd);
	return (error);
}

/* The long form first where it is sure to exist: it also tells of UNMAP. */
static int
da_capacity(struct kcam_disk *kd, struct kcam_geometry *kg, bool *lbpme)
{
	int error = EOPNOTSUPP;

	if (SID_ANSI_REV(&kd->kd_inq) >= SCSI_REV_SPC3)
		error = da_capacity_16(kd, kg, lbpme);
	if (error != 0 && error != ENXIO)
		error = da_capacity_10(kd, kg);
	if (error == 0 && kg->kg_sectors == 0x100000000 &&
	    SID_ANSI_REV(&kd->kd_inq) < SCSI_REV_SPC3)
		error = da_capacity_16(kd, kg, lbpme);
	if (error == 0 && (kg->kg_secsize < 512 || kg->kg_secsize > 65536 ||
	    !powerof2(kg->kg_secsize))) {
		xpt_print(kd->kd_periph.path, "unsupported sector size %u\n",
		    kg->kg_secsize);
		error = EINVAL;
	}
	return (error);
}

/* The write-protect bit; a device that does not tell is writable. */
static void
da_protection(struct kcam_disk *kd, struct kcam_geometry *kg)
{
	struct scsi_mode_header_6 *hdr;
	struct kcam_cmd *cmd;

	cmd = kcam_cmd_alloc(kd->kd_periph.path);
	hdr = (void *)kcam_cmd_buf(cmd, 192);
	scsi_mode_sense(kcam_cmd_csio(cmd), 1, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, false, SMS_PAGE_CTRL_CURRENT,
	    SMS_ALL_PAGES_PAGE, (uint8_t *)hdr, 192, SSD_FULL_SIZE,
	    DA_PROBE_TIMEOUT);
	if (kcam_cmd_run(&cmd, DA_PROBE_FLAGS) == 0 &&
	    kcam_cmd_csio(cmd)->resid <= 192 - sizeof(*hdr))
		kg->kg_readonly = (hdr->dev_spec & 0x80) != 0;
	kcam_cmd_free(cmd);
}

static void
da_block_limits(struct kcam_disk *kd, struct kcam_geometry *kg)
{
	struct scsi_vpd_block_limits bl;
	uint32_t max;
	u_int got;

	bzero(&bl, sizeof(bl));
	if (!scsi_vpd_supported_page(&kd->kd_periph, SVPD_BLOCK_LIMITS) ||
	    kcam_probe_vpd(kd->kd_periph.path, SVPD_BLOCK_LIMITS,
	    (uint8_t *)&bl, sizeof(bl), &got) != 0)
		return;
	max = scsi_4btoul(bl.max_txfer_len);
	if (max != 0)
		kg->kg_maxio = MIN(kg->kg_maxio, MIN((uint64_t)max *
		    kg->kg_secsize, DA_MAXPHYS));
	if (got >= SVPD_BL_PL_TP + 4) {
		kg->kg_unmap_lbas = scsi_4btoul(bl.max_unmap_lba_cnt);
		kg->kg_unmap_ranges = MIN(scsi_4btoul(bl.max_unmap_blk_cnt),
		    KCAM_UNMAP_RANGES);
	}
}

/* UNMAP needs all three: a thin unit, the command, and its limits. */
static void
da_provisioning(struct kcam_disk *kd, struct kcam_geometry *kg, bool lbpme)
{
	struct scsi_vpd_logical_block_prov lbp;
	u_int got;

	bzero(&lbp, sizeof(lbp));
	if (!lbpme || kg->kg_readonly || kg->kg_unmap_lbas == 0 ||
	    kg->kg_unmap_ranges == 0 ||
	    !scsi_vpd_supported_page(&kd->kd_periph, SVPD_LBP) ||
	    kcam_probe_vpd(kd->kd_periph.path, SVPD_LBP, (uint8_t *)&lbp,
	    sizeof(lbp), &got) != 0)
		return;
	kg->kg_unmap = (lbp.flags & SVPD_LBP_UNMAP) != 0;
}

static uint32_t
da_maxio(const struct ccb_pathinq *cpi)
{

	if (cpi->maxio == 0)
		return (DA_DFLTPHYS);
	return (MIN(cpi->maxio, DA_MAXPHYS));
}

static int
da_probe(struct kcam_disk *kd)
{
	struct kcam_geometry kg = { 0 };
	struct ccb_pathinq cpi;
	bool lbpme = false;
	int error;

	error = da_capacity(kd, &kg, &lbpme);
	/* A removable one without medium is a disk of no size. */
	if (error != 0 && !SID_IS_REMOVABLE(&kd->kd_inq)) {
		if (error != ENXIO)
			xpt_print(kd->kd_periph.path,
			    "reading the capacity failed: error %d\n", error);
		return (error);
	}
	if (error != 0) {
		kg.kg_sectors = 0;
		kg.kg_secsize = 512;
	}
	xpt_path_inq(&cpi, kd->kd_periph.path);
	kg.kg_maxio = da_maxio(&cpi);
	kg.kg_min_cdb = (cpi.hba_misc & PIM_NO_6_BYTE) != 0 ? 10 : 6;
	da_block_limits(kd, &kg);
	kg.kg_maxio = MAX(rounddown2(kg.kg_maxio, kg.kg_secsize),
	    kg.kg_secsize);
	da_protection(kd, &kg);
	da_provisioning(kd, &kg, lbpme);
	mtx_lock(&kd->kd_mtx);
	kd->kd_geo = kg;
	mtx_unlock(&kd->kd_mtx);
	return (0);
}

const struct kcam_disk_type kcam_da = {
	.dt_name = "da",
	.dt_probe = da_probe,
};
