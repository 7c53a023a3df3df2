/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The lines of dmesg about a disk that comes or goes.
 */

#include "cam_disk.h"

static uint32_t
kcam_speed(struct cam_path *path)
{
	struct ccb_trans_settings cts;
	struct ccb_pathinq cpi;

	bzero(&cts, sizeof(cts));
	xpt_setup_ccb(&cts.ccb_h, path, CAM_PRIORITY_NORMAL);
	cts.ccb_h.func_code = XPT_GET_TRAN_SETTINGS;
	cts.type = CTS_TYPE_CURRENT_SETTINGS;
	xpt_action((union ccb *)&cts);
	if ((cts.ccb_h.status & CAM_STATUS_MASK) == CAM_REQ_CMP &&
	    cts.transport == XPORT_SAS &&
	    (cts.xport_specific.sas.valid & CTS_SAS_VALID_SPEED) != 0)
		return (cts.xport_specific.sas.bitrate);
	xpt_path_inq(&cpi, path);
	return (cpi.base_transfer_speed);
}

static void
kcam_identity(struct kcam_disk *kd, struct sbuf *sb)
{
	struct cam_path *path = kd->kd_periph.path;
	struct cam_sim *sim = path->bus->sim;

	sbuf_printf(sb, "%s%u at %s%u bus %u scbus%u target %u lun %jx\n",
	    kd->kd_type->dt_name, kd->kd_periph.unit_number, sim->sim_name,
	    sim->unit_number, sim->bus_id, path->bus->path_id,
	    xpt_path_target_id(path), (uintmax_t)xpt_path_lun_id(path));
}

void
kcam_announce(struct kcam_disk *kd)
{
	const char *name = kd->kd_type->dt_name;
	struct cam_ed *ed = kd->kd_periph.path->device;
	struct kcam_geometry *kg = &kd->kd_geo;
	u_int unit = kd->kd_periph.unit_number;
	struct sbuf sb;
	uint32_t speed;

	sbuf_new(&sb, NULL, 512, SBUF_AUTOEXTEND);
	kcam_identity(kd, &sb);
	sbuf_printf(&sb, "%s%u: ", name, unit);
	scsi_print_inquiry_sbuf(&sb, &kd->kd_inq);
	if (ed->serial_num_len > 0) {
		sbuf_printf(&sb, "%s%u: Serial Number ", name, unit);
		cam_strvis_sbuf(&sb, ed->serial_num, ed->serial_num_len, 0);
		sbuf_cat(&sb, "\n");
	}
	speed = kcam_speed(kd->kd_periph.path);
	sbuf_printf(&sb, "%s%u: %u.%03uMB/s transfers\n", name, unit,
	    speed / 1000, speed % 1000);
	if ((ed->inq_flags & SID_CmdQue) != 0)
		sbuf_printf(&sb, "%s%u: Command Queueing enabled\n", name,
		    unit);
	if (kg->kg_sectors != 0)
		sbuf_printf(&sb, "%s%u: %juMB (%ju %u byte sectors)\n", name,
		    unit, (uintmax_t)(kg->kg_sectors * kg->kg_secsize /
		    (1024 * 1024)), (uintmax_t)kg->kg_sectors, kg->kg_secsize);
	else
		sbuf_printf(&sb, "%s%u: Attempt to query device size failed: "
		    "NOT READY, Medium not present\n", name, unit);
	if (kg->kg_readonly && !kd->kd_type->dt_readonly)
		sbuf_printf(&sb, "%s%u: Write Protected\n", name, unit);
	sbuf_finish(&sb);
	/* At once, lest two disks' lines mix. */
	printf("%s", sbuf_data(&sb));
	sbuf_delete(&sb);
}

void
kcam_denounce(struct kcam_disk *kd)
{
	struct sbuf sb;

	if ((kd->kd_periph.flags & CAM_PERIPH_ANNOUNCED) == 0)
		return;
	sbuf_new(&sb, NULL, 256, SBUF_AUTOEXTEND);
	kcam_identity(kd, &sb);
	sbuf_printf(&sb, "%s%u: ", kd->kd_type->dt_name,
	    kd->kd_periph.unit_number);
	scsi_print_inquiry_short_sbuf(&sb, &kd->kd_inq);
	sbuf_cat(&sb, " detached\n");
	sbuf_finish(&sb);
	printf("%s", sbuf_data(&sb));
	sbuf_delete(&sb);
}
