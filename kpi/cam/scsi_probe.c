/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the scan asks one logical unit: is it there, what is it, what is it
 * called.  The answers stand in its struct cam_ed.
 */

#include "cam_var.h"

#define	KCAM_PROBE_TIMEOUT	60000		/* ms */
#define	KCAM_PROBE_RETRIES	4
#define	KCAM_PROBE_FLAGS	(SF_RETRY_UA | SF_NO_PRINT)

#define	KCAM_VPD_MAX		255

static int
kcam_probe_tur(struct cam_path *path)
{
	struct kcam_cmd *cmd;
	int error;

	cmd = kcam_cmd_alloc(path);
	scsi_test_unit_ready(kcam_cmd_csio(cmd), KCAM_PROBE_RETRIES,
	    kcam_cmd_done, MSG_SIMPLE_Q_TAG, SSD_FULL_SIZE,
	    KCAM_PROBE_TIMEOUT);
	/* A unit without medium, or busy, is a unit. */
	error = kcam_cmd_run(&cmd, KCAM_PROBE_FLAGS | SF_NO_RECOVERY);
	kcam_cmd_free(cmd);
	return (error);
}

static int
kcam_probe_inquiry(struct cam_path *path, struct scsi_inquiry_data *inq,
    u_int len)
{
	struct kcam_cmd *cmd;
	uint8_t *buf;
	int error;

	cmd = kcam_cmd_alloc(path);
	buf = kcam_cmd_buf(cmd, len);
	scsi_inquiry(kcam_cmd_csio(cmd), KCAM_PROBE_RETRIES, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, buf, len, false, 0, SSD_MIN_SIZE,
	    KCAM_PROBE_TIMEOUT);
	error = kcam_cmd_run(&cmd, KCAM_PROBE_FLAGS);
	if (error == 0) {
		bzero(inq, sizeof(*inq));
		bcopy(buf, inq, MIN(len, sizeof(*inq)));
	}
	kcam_cmd_free(cmd);
	return (error);
}

/* *got is how much of the page is valid: header and what it says follows. */
int
kcam_probe_vpd(struct cam_path *path, uint8_t page, uint8_t *out, u_int len,
    u_int *got)
{
	struct kcam_cmd *cmd;
	u_int have;
	uint8_t *buf;
	int error;

	cmd = kcam_cmd_alloc(path);
	buf = kcam_cmd_buf(cmd, len);
	scsi_inquiry(kcam_cmd_csio(cmd), KCAM_PROBE_RETRIES, kcam_cmd_done,
	    MSG_SIMPLE_Q_TAG, buf, len, true, page, SSD_MIN_SIZE,
	    KCAM_PROBE_TIMEOUT);
	error = kcam_cmd_run(&cmd, KCAM_PROBE_FLAGS);
	if (error == 0) {
		have = len - MIN(len, kcam_cmd_csio(cmd)->resid);
		if (have < 4 || buf[1] != page)
			error = EIO;
		else {
			*got = MIN(have, scsi_2btoul(&buf[2]) + 4);
			bcopy(buf, out, *got);
		}
	}
	kcam_cmd_free(cmd);
	return (error);
}

int
scsi_vpd_supported_page(struct cam_periph *periph, uint8_t page_id)
{
	struct cam_ed *ed = periph->path->device;
	struct scsi_vpd_supported_pages *list = (void *)ed->supported_vpds;
	u_int i;

	if (list == NULL || ed->supported_vpds_len < 4)
		return (0);
	for (i = 0; i < ed->supported_vpds_len - 4u; i++) {
		if (list->page_list[i] == page_id)
			return (1);
	}
	return (0);
}

/* A page as the device table keeps it; NULL if the device has none. */
static uint8_t *
kcam_probe_keep(struct cam_path *path, uint8_t page, u_int skip, u_int *len)
{
	uint8_t buf[KCAM_VPD_MAX], *copy;
	u_int got = 0;

	*len = 0;
	if (kcam_probe_vpd(path, page, buf, sizeof(buf), &got) != 0 ||
	    got <= skip)
		return (NULL);
	*len = got - skip;
	copy = malloc(*len + 1, M_CAMXPT, M_WAITOK | M_ZERO);
	bcopy(buf + skip, copy, *len);
	return (copy);
}

static void
kcam_probe_pages(struct cam_path *path)
{
	struct cam_ed *ed = path->device;
	struct cam_periph periph = { .path = path };
	u_int len;

	/* Before SPC there were no such pages to ask for. */
	if (SID_ANSI_REV(&ed->inq_data) < SCSI_REV_SPC)
		return;
	ed->supported_vpds = kcam_probe_keep(path, SVPD_SUPPORTED_PAGE_LIST, 0,
	    &len);
	ed->supported_vpds_len = len;
	if (scsi_vpd_supported_page(&periph, SVPD_UNIT_SERIAL_NUMBER)) {
		ed->serial_num = kcam_probe_keep(path,
		    SVPD_UNIT_SERIAL_NUMBER, 4, &len);
		ed->serial_num_len = len;
	}
	if (scsi_vpd_supported_page(&periph, SVPD_DEVICE_ID)) {
		ed->device_id = kcam_probe_keep(path, SVPD_DEVICE_ID, 0, &len);
		ed->device_id_len = len;
	}
}

static void
kcam_probe_forget(struct cam_ed *ed)
{

	free(ed->supported_vpds, M_CAMXPT);
	free(ed->serial_num, M_CAMXPT);
	free(ed->device_id, M_CAMXPT);
	ed->supported_vpds = ed->serial_num = ed->device_id = NULL;
	ed->supported_vpds_len = ed->serial_num_len = 0;
	ed->device_id_len = 0;
}

/* Takes over what a new device has said of itself. */
static void
kcam_probe_adopt(struct cam_path *path, const struct ccb_pathinq *cpi,
    const struct scsi_inquiry_data *inq)
{
	struct cam_ed *ed = path->device;

	kcam_probe_forget(ed);
	ed->inq_data = *inq;
	ed->protocol = PROTO_SCSI;
	ed->protocol_version = SID_ANSI_REV(inq);
	ed->transport = cpi->transport;
	ed->transport_version = cpi->transport_version;
	atomic_set_int(&ed->flags, CAM_DEV_INQUIRY_DATA_VALID);
	if (INQ_DATA_TQ_ENABLED(inq) && (cpi->hba_inquiry & PI_TAG_ABLE) != 0)
		xpt_start_tags(path);
	else
		xpt_stop_tags(path);
	kcam_probe_pages(path);
	kcam_device_configured(ed, true);
}

enum kcam_probe
kcam_probe_lun(struct cam_path *path, const struct ccb_pathinq *cpi)
{
	struct cam_ed *ed = path->device;
	struct scsi_inquiry_data inq;
	u_int len;
	int error;

	error = kcam_probe_tur(path);
	if (error == ENXIO && !kcam_configured(ed) &&
	    kcam_bus_gone(path->bus))
		return (KCAM_ABSENT);
	error = kcam_probe_inquiry(path, &inq, SHORT_INQUIRY_LENGTH);
	if (error != 0)
		return (error == ENXIO ? KCAM_ABSENT : KCAM_UNCLEAR);
	if (SID_QUAL(&inq) != SID_QUAL_LU_CONNECTED ||
	    SID_TYPE(&inq) == T_NODEVICE)
		return (KCAM_ABSENT);
	len = roundup2(SID_ADDITIONAL_LENGTH(&inq), 2);
	if (len > SHORT_INQUIRY_LENGTH)
		(void)kcam_probe_inquiry(path, &inq, MIN(len,
		    sizeof(inq) - 1));
	if (kcam_configured(ed)) {
		if (memcmp(&ed->inq_data, &inq, SHORT_INQUIRY_LENGTH) == 0)
			return (KCAM_FOUND);
		/* Another device has come in its place. */
		kcam_async_post(AC_LOST_DEVICE, path, NULL, M_WAITOK);
		kcam_async_drain();
	}
	kcam_probe_adopt(path, cpi, &inq);
	return (KCAM_FOUND);
}
