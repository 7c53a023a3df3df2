/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A cd, as far as reading its data goes: it is there with or without a medium,
 * and its size is looked up again when the medium changes.
 */

#include "cam_disk.h"

#define	CD_PROBE_TIMEOUT	60000		/* ms */
#define	CD_SECSIZE		2048
#define	CD_MAXIO		(64u * 1024u)

static int
cd_capacity(struct kcam_disk *kd, struct kcam_geometry *kg)
{
	struct scsi_read_capacity_data *rcap;
	struct kcam_cmd *cmd;
	int error;

	cmd = kcam_cmd_alloc(kd->kd_periph.path);
	rcap = (void *)kcam_cmd_buf(cmd, sizeof(*rcap));
	scsi_read_capacity(kcam_cmd_csio(cmd), 4, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, rcap, SSD_FULL_SIZE, CD_PROBE_TIMEOUT);
	error = kcam_cmd_run(&cmd, SF_RETRY_UA | SF_NO_PRINT);
	if (error == 0 && kcam_cmd_csio(cmd)->resid == 0) {
		kg->kg_sectors = (uint64_t)scsi_4btoul(rcap->addr) + 1;
		kg->kg_secsize = scsi_4btoul(rcap->length);
		/* Drives are known to count the sync bytes of a raw sector. */
		if (kg->kg_secsize == 0 || !powerof2(kg->kg_secsize))
			kg->kg_secsize = CD_SECSIZE;
	}
	kcam_cmd_free(cmd);
	return (error);
}

static int
cd_probe(struct kcam_disk *kd)
{
	struct kcam_geometry kg = {
		.kg_secsize = CD_SECSIZE, .kg_readonly = true, .kg_min_cdb = 10
	};
	struct ccb_pathinq cpi;

	/* The unit's own word counts, not that a medium can be read. */
	if (cd_capacity(kd, &kg) == ENXIO &&
	    kcam_periph_gone(&kd->kd_periph))
		return (ENXIO);
	xpt_path_inq(&cpi, kd->kd_periph.path);
	kg.kg_maxio = cpi.maxio == 0 ? CD_MAXIO : MIN(cpi.maxio, CD_MAXIO);
	kg.kg_maxio = MAX(rounddown2(kg.kg_maxio, kg.kg_secsize),
	    kg.kg_secsize);
	mtx_lock(&kd->kd_mtx);
	kd->kd_geo = kg;
	mtx_unlock(&kd->kd_mtx);
	return (0);
}

const struct kcam_disk_type kcam_cd = {
	.dt_name = "cd",
	.dt_readonly = true,
	.dt_probe = cd_probe,
};
