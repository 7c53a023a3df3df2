/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Commands that a thread sends and waits for: what the scan and the disks ask a
 * device about itself.  A command that a SIM never ends is left to the SIM and
 * freed when, if ever, it comes back.
 */

#include "cam_var.h"

struct kcam_cmd {
	union ccb	 cm_ccb;
	struct cam_path	 cm_path;	/* its own reference */
	uint8_t		*cm_buf;
	uint32_t	 cm_sense_flags;
	int		 cm_error;	/* (x) */
	bool		 cm_done;	/* (x) */
	bool		 cm_left;	/* (x) nobody waits any more */
};

/* A SIM is given this much longer than the time-outs it was told. */
#define	KCAM_CMD_GRACE	30		/* s */

struct kcam_cmd *
kcam_cmd_alloc(struct cam_path *path)
{
	struct kcam_cmd *cmd;

	cmd = malloc(sizeof(*cmd), M_CAMCCB, M_WAITOK | M_ZERO);
	cmd->cm_path = *path;
	xpt_acquire_device(path->device);
	xpt_setup_ccb(&cmd->cm_ccb.ccb_h, &cmd->cm_path, CAM_PRIORITY_XPT);
	return (cmd);
}

struct ccb_scsiio *
kcam_cmd_csio(struct kcam_cmd *cmd)
{

	return (&cmd->cm_ccb.csio);
}

uint8_t *
kcam_cmd_buf(struct kcam_cmd *cmd, u_int len)
{

	KASSERT(cmd->cm_buf == NULL, ("%s: second buffer", __func__));
	cmd->cm_buf = malloc(len, M_CAMCCB, M_WAITOK | M_ZERO);
	return (cmd->cm_buf);
}

void
kcam_cmd_free(struct kcam_cmd *cmd)
{

	if (cmd == NULL)
		return;
	kcam_device_put(cmd->cm_path.device);
	free(cmd->cm_buf, M_CAMCCB);
	free(cmd, M_CAMCCB);
}

void
kcam_cmd_done(struct cam_periph *periph, union ccb *ccb)
{
	struct kcam_cmd *cmd = (struct kcam_cmd *)(void *)ccb;
	bool left;
	int error;

	error = kcam_error(ccb, cmd->cm_sense_flags);
	if (error == ERESTART)
		return;
	mtx_lock(&kcam.xpt_mtx);
	cmd->cm_error = error;
	cmd->cm_done = true;
	left = cmd->cm_left;
	wakeup(cmd);
	mtx_unlock(&kcam.xpt_mtx);
	if (left)
		kcam_cmd_free(cmd);
}

/* Runs a command made with kcam_cmd_done(); ETIMEDOUT takes it away. */
int
kcam_cmd_run(struct kcam_cmd **cmdp, uint32_t sense_flags)
{
	struct kcam_cmd *cmd = *cmdp;
	struct ccb_hdr *ccb_h = &cmd->cm_ccb.ccb_h;
	u_int seconds;
	int error = 0;

	seconds = (ccb_h->timeout / 1000 + 1) * (ccb_h->retry_count + 1) +
	    KCAM_CMD_GRACE;
	ccb_h->flags |= CAM_UNLOCKED;
	cmd->cm_sense_flags = sense_flags;
	cmd->cm_done = false;
	xpt_action(&cmd->cm_ccb);
	mtx_lock(&kcam.xpt_mtx);
	while (!cmd->cm_done && error == 0) {
		/* Woken by kcam_cmd_done(). */
		error = msleep(cmd, &kcam.xpt_mtx, PRIBIO, "camcmd",
		    seconds * hz);
	}
	cmd->cm_left = !cmd->cm_done;
	mtx_unlock(&kcam.xpt_mtx);
	if (cmd->cm_left) {
		xpt_print(&cmd->cm_path, "%s never came back\n",
		    scsi_op_desc(cmd->cm_ccb.csio.cdb_io.cdb_bytes[0], NULL));
		*cmdp = NULL;
		return (ETIMEDOUT);
	}
	return (cmd->cm_error);
}
