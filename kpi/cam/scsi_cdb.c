/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Builders of SCSI command blocks, as drivers and consumers call them.
 */

#include "cam_var.h"

/* The CDB of a CCB that cam_fill_csio() has just filled. */
static void *
scsi_cdb(struct ccb_scsiio *csio, size_t len, uint8_t opcode)
{

	bzero(csio->cdb_io.cdb_bytes, sizeof(csio->cdb_io.cdb_bytes));
	csio->cdb_len = len;
	csio->cdb_io.cdb_bytes[0] = opcode;
	return (csio->cdb_io.cdb_bytes);
}

void
scsi_test_unit_ready(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint8_t sense_len, uint32_t timeout)
{

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_NONE, tag_action, NULL, 0,
	    sense_len, sizeof(struct scsi_test_unit_ready), timeout);
	scsi_cdb(csio, sizeof(struct scsi_test_unit_ready), TEST_UNIT_READY);
}

void
scsi_request_sense(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), void *data_ptr,
    uint8_t dxfer_len, uint8_t tag_action, uint8_t sense_len, uint32_t timeout)
{
	struct scsi_request_sense *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_IN, tag_action, data_ptr,
	    dxfer_len, sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), REQUEST_SENSE);
	cmd->length = dxfer_len;
}

void
scsi_inquiry(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint8_t *inq_buf, uint32_t inq_len, int evpd, uint8_t page_code,
    uint8_t sense_len, uint32_t timeout)
{
	struct scsi_inquiry *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_IN, tag_action, inq_buf,
	    inq_len, sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), INQUIRY);
	if (evpd) {
		cmd->byte2 |= SI_EVPD;
		cmd->page_code = page_code;
	}
	scsi_ulto2b(inq_len, cmd->length);
}

void
scsi_mode_sense_len(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    int dbd, uint8_t pc, uint8_t page, uint8_t *param_buf, uint32_t param_len,
    int minimum_cmd_size, uint8_t sense_len, uint32_t timeout)
{
	struct scsi_mode_sense_6 *cmd6;
	struct scsi_mode_sense_10 *cmd10;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_IN, tag_action, param_buf,
	    param_len, sense_len, sizeof(*cmd6), timeout);
	if (param_len < 256 && minimum_cmd_size <= (int)sizeof(*cmd6)) {
		cmd6 = scsi_cdb(csio, sizeof(*cmd6), MODE_SENSE_6);
		cmd6->byte2 = dbd ? SMS_DBD : 0;
		cmd6->page = pc | page;
		cmd6->length = param_len;
	} else {
		cmd10 = scsi_cdb(csio, sizeof(*cmd10), MODE_SENSE_10);
		cmd10->byte2 = dbd ? SMS_DBD : 0;
		cmd10->page = pc | page;
		scsi_ulto2b(param_len, cmd10->length);
	}
}

void
scsi_mode_sense(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    int dbd, uint8_t pc, uint8_t page, uint8_t *param_buf, uint32_t param_len,
    uint8_t sense_len, uint32_t timeout)
{

	scsi_mode_sense_len(csio, retries, cbfcnp, tag_action, dbd, pc, page,
	    param_buf, param_len, 0, sense_len, timeout);
}

void
scsi_prevent(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint8_t action, uint8_t sense_len, uint32_t timeout)
{
	struct scsi_prevent *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_NONE, tag_action, NULL, 0,
	    sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), PREVENT_ALLOW);
	cmd->how = action;
}

void
scsi_read_capacity(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    struct scsi_read_capacity_data *rcap_buf, uint8_t sense_len,
    uint32_t timeout)
{

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_IN, tag_action,
	    (uint8_t *)rcap_buf, sizeof(*rcap_buf), sense_len,
	    sizeof(struct scsi_read_capacity), timeout);
	scsi_cdb(csio, sizeof(struct scsi_read_capacity), READ_CAPACITY);
}

void
scsi_read_capacity_16(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint64_t lba, int reladr, int pmi, uint8_t *rcap_buf, int rcap_buf_len,
    uint8_t sense_len, uint32_t timeout)
{
	struct scsi_read_capacity_16 *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_IN, tag_action, rcap_buf,
	    rcap_buf_len, sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), SERVICE_ACTION_IN);
	cmd->service_action = SRC16_SERVICE_ACTION;
	scsi_u64to8b(lba, cmd->addr);
	scsi_ulto4b(rcap_buf_len, cmd->alloc_len);
	cmd->reladr = (pmi ? SRC16_PMI : 0) | (reladr ? SRC16_RELADR : 0);
}

void
scsi_report_luns(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint8_t select_report, struct scsi_report_luns_data *rpl_buf,
    uint32_t alloc_len, uint8_t sense_len, uint32_t timeout)
{
	struct scsi_report_luns *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_IN, tag_action,
	    (uint8_t *)rpl_buf, alloc_len, sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), REPORT_LUNS);
	cmd->select_report = select_report;
	scsi_ulto4b(alloc_len, cmd->length);
}

void
scsi_synchronize_cache(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint32_t begin_lba, uint16_t lb_count, uint8_t sense_len, uint32_t timeout)
{
	struct scsi_sync_cache *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_NONE, tag_action, NULL, 0,
	    sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), SYNCHRONIZE_CACHE);
	scsi_ulto4b(begin_lba, cmd->begin_lba);
	scsi_ulto2b(lb_count, cmd->lb_count);
}

void
scsi_start_stop(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    int start, int load_eject, int immediate, uint8_t sense_len,
    uint32_t timeout)
{
	struct scsi_start_stop_unit *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_NONE, tag_action, NULL, 0,
	    sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), START_STOP_UNIT);
	if (start)
		cmd->how |= SSS_START;
	if (load_eject)
		cmd->how |= SSS_LOEJ;
	if (immediate)
		cmd->byte2 |= SSS_IMMED;
}

void
scsi_unmap(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint8_t byte2, uint8_t *data_ptr, uint16_t dxfer_len, uint8_t sense_len,
    uint32_t timeout)
{
	struct scsi_unmap *cmd;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_OUT, tag_action, data_ptr,
	    dxfer_len, sense_len, sizeof(*cmd), timeout);
	cmd = scsi_cdb(csio, sizeof(*cmd), UNMAP);
	cmd->byte2 = byte2;
	scsi_ulto2b(dxfer_len, cmd->length);
}

/* The shortest command that reaches and holds lba and count. */
static void
scsi_rw_cdb(struct ccb_scsiio *csio, bool read, uint8_t byte2, int min_size,
    uint64_t lba, uint32_t count)
{
	struct scsi_rw_6 *cmd6;
	struct scsi_rw_10 *cmd10;
	struct scsi_rw_12 *cmd12;
	struct scsi_rw_16 *cmd16;

	if (min_size <= 6 && lba <= 0x1fffff && count >= 1 && count <= 0xff &&
	    byte2 == 0) {
		cmd6 = scsi_cdb(csio, sizeof(*cmd6), read ? READ_6 : WRITE_6);
		scsi_ulto3b((uint32_t)lba, cmd6->addr);
		cmd6->length = count;
	} else if (min_size <= 10 && count <= 0xffff && lba <= 0xffffffff) {
		cmd10 = scsi_cdb(csio, sizeof(*cmd10),
		    read ? READ_10 : WRITE_10);
		cmd10->byte2 = byte2;
		scsi_ulto4b((uint32_t)lba, cmd10->addr);
		scsi_ulto2b(count, cmd10->length);
	} else if (min_size <= 12 && lba <= 0xffffffff) {
		cmd12 = scsi_cdb(csio, sizeof(*cmd12),
		    read ? READ_12 : WRITE_12);
		cmd12->byte2 = byte2;
		scsi_ulto4b((uint32_t)lba, cmd12->addr);
		scsi_ulto4b(count, cmd12->length);
	} else {
		cmd16 = scsi_cdb(csio, sizeof(*cmd16),
		    read ? READ_16 : WRITE_16);
		cmd16->byte2 = byte2;
		scsi_u64to8b(lba, cmd16->addr);
		scsi_ulto4b(count, cmd16->length);
	}
}

void
scsi_read_write(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    int readop, uint8_t byte2, int minimum_cmd_size, uint64_t lba,
    uint32_t block_count, uint8_t *data_ptr, uint32_t dxfer_len,
    uint8_t sense_len, uint32_t timeout)
{
	bool read = (readop & SCSI_RW_DIRMASK) == SCSI_RW_READ;

	cam_fill_csio(csio, retries, cbfcnp,
	    (read ? CAM_DIR_IN : CAM_DIR_OUT) |
	    ((readop & SCSI_RW_BIO) != 0 ? CAM_DATA_BIO : 0), tag_action,
	    data_ptr, dxfer_len, sense_len, 0, timeout);
	scsi_rw_cdb(csio, read, byte2, minimum_cmd_size, lba, block_count);
}

void
scsi_write_same(struct ccb_scsiio *csio, uint32_t retries,
    void (*cbfcnp)(struct cam_periph *, union ccb *), uint8_t tag_action,
    uint8_t byte2, int minimum_cmd_size, uint64_t lba, uint32_t block_count,
    uint8_t *data_ptr, uint32_t dxfer_len, uint8_t sense_len, uint32_t timeout)
{
	struct scsi_write_same_10 *cmd10;
	struct scsi_write_same_16 *cmd16;

	cam_fill_csio(csio, retries, cbfcnp, CAM_DIR_OUT, tag_action, data_ptr,
	    dxfer_len, sense_len, 0, timeout);
	if (minimum_cmd_size <= 10 && block_count <= 0xffff &&
	    lba <= 0xffffffff) {
		cmd10 = scsi_cdb(csio, sizeof(*cmd10), WRITE_SAME_10);
		cmd10->byte2 = byte2;
		scsi_ulto4b((uint32_t)lba, cmd10->addr);
		scsi_ulto2b(block_count, cmd10->length);
	} else {
		cmd16 = scsi_cdb(csio, sizeof(*cmd16), WRITE_SAME_16);
		cmd16->byte2 = byte2;
		scsi_u64to8b(lba, cmd16->addr);
		scsi_ulto4b(block_count, cmd16->length);
	}
}
