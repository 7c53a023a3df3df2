/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * SCSI in words: commands, statuses, INQUIRY data, as the console shows them.
 */

#include "cam_var.h"

static const struct {
	uint8_t		 opcode;
	const char	*desc;
} scsi_ops[] = {
	{ TEST_UNIT_READY, "TEST UNIT READY" },
	{ REQUEST_SENSE, "REQUEST SENSE" },
	{ READ_6, "READ(6)" },
	{ WRITE_6, "WRITE(6)" },
	{ INQUIRY, "INQUIRY" },
	{ MODE_SELECT_6, "MODE SELECT(6)" },
	{ MODE_SENSE_6, "MODE SENSE(6)" },
	{ START_STOP_UNIT, "START STOP UNIT" },
	{ PREVENT_ALLOW, "PREVENT ALLOW MEDIUM REMOVAL" },
	{ READ_CAPACITY, "READ CAPACITY(10)" },
	{ READ_10, "READ(10)" },
	{ WRITE_10, "WRITE(10)" },
	{ SYNCHRONIZE_CACHE, "SYNCHRONIZE CACHE(10)" },
	{ WRITE_SAME_10, "WRITE SAME(10)" },
	{ UNMAP, "UNMAP" },
	{ MODE_SENSE_10, "MODE SENSE(10)" },
	{ READ_16, "READ(16)" },
	{ WRITE_16, "WRITE(16)" },
	{ SYNCHRONIZE_CACHE_16, "SYNCHRONIZE CACHE(16)" },
	{ WRITE_SAME_16, "WRITE SAME(16)" },
	{ SERVICE_ACTION_IN, "SERVICE ACTION IN(16)" },
	{ REPORT_LUNS, "REPORT LUNS" },
	{ READ_12, "READ(12)" },
	{ WRITE_12, "WRITE(12)" },
};

const char *
scsi_op_desc(uint16_t opcode, struct scsi_inquiry_data *inq_data)
{
	u_int i;

	for (i = 0; i < nitems(scsi_ops); i++) {
		if (scsi_ops[i].opcode == opcode)
			return (scsi_ops[i].desc);
	}
	return ("unknown command");
}

static u_int
scsi_cdb_len(uint8_t opcode)
{

	switch (opcode >> 5) {
	case 0:
		return (6);
	case 1:
	case 2:
		return (10);
	case 5:
		return (12);
	default:
		return (16);
	}
}

void
scsi_cdb_sbuf(uint8_t *cdb_ptr, struct sbuf *sb)
{
	u_int i, len = scsi_cdb_len(cdb_ptr[0]);

	for (i = 0; i < len; i++)
		sbuf_printf(sb, "%02x ", cdb_ptr[i]);
}

char *
scsi_cdb_string(uint8_t *cdb_ptr, char *cdb_string, size_t len)
{
	struct sbuf sb;

	sbuf_new(&sb, cdb_string, len, SBUF_FIXEDLEN);
	scsi_cdb_sbuf(cdb_ptr, &sb);
	sbuf_finish(&sb);
	return (cdb_string);
}

int
scsi_command_string(struct ccb_scsiio *csio, struct sbuf *sb)
{
	uint8_t *cdb = scsiio_cdb_ptr(csio);

	sbuf_printf(sb, "%s. CDB: ", scsi_op_desc(cdb[0], NULL));
	scsi_cdb_sbuf(cdb, sb);
	return (0);
}

const char *
scsi_status_string(struct ccb_scsiio *csio)
{

	switch (csio->scsi_status) {
	case SCSI_STATUS_OK:
		return ("OK");
	case SCSI_STATUS_CHECK_COND:
		return ("Check Condition");
	case SCSI_STATUS_BUSY:
		return ("Busy");
	case SCSI_STATUS_RESERV_CONFLICT:
		return ("Reservation Conflict");
	case SCSI_STATUS_QUEUE_FULL:
		return ("Queue Full");
	case SCSI_STATUS_ACA_ACTIVE:
		return ("ACA Active");
	case SCSI_STATUS_TASK_ABORTED:
		return ("Task Aborted");
	default:
		return ("Unknown");
	}
}

int
scsi_sense_sbuf(struct ccb_scsiio *csio, struct sbuf *sb,
    scsi_sense_string_flags flags)
{
	const char *key_desc, *asc_desc;
	int code, key, asc, ascq;

	if (!scsi_extract_sense_ccb((union ccb *)csio, &code, &key, &asc,
	    &ascq))
		return (-1);
	if ((flags & SSS_FLAG_PRINT_COMMAND) != 0) {
		xpt_path_sbuf(csio->ccb_h.path, sb);
		scsi_command_string(csio, sb);
		sbuf_cat(sb, "\n");
	}
	scsi_sense_desc(key, asc, ascq, NULL, &key_desc, &asc_desc);
	xpt_path_sbuf(csio->ccb_h.path, sb);
	sbuf_printf(sb, "SCSI sense: %s asc:%x,%x (%s)\n", key_desc, asc, ascq,
	    asc_desc);
	return (0);
}

char *
scsi_sense_string(struct ccb_scsiio *csio, char *str, int str_len)
{
	struct sbuf sb;

	sbuf_new(&sb, str, str_len, 0);
	scsi_sense_sbuf(csio, &sb, SSS_FLAG_PRINT_COMMAND);
	sbuf_finish(&sb);
	return (str);
}

void
scsi_sense_print(struct ccb_scsiio *csio)
{
	char str[512];

	printf("%s", scsi_sense_string(csio, str, sizeof(str)));
}

static const char *
scsi_type_string(uint8_t type)
{

	switch (type) {
	case T_DIRECT:
		return ("Direct Access");
	case T_SEQUENTIAL:
		return ("Sequential Access");
	case T_PROCESSOR:
		return ("Processor");
	case T_WORM:
		return ("WORM");
	case T_CDROM:
		return ("CD-ROM");
	case T_STORARRAY:
		return ("Storage Array");
	case T_ENCLOSURE:
		return ("Enclosure Services");
	case T_RBC:
		return ("Simplified Direct Access");
	default:
		return ("Uninstalled");
	}
}

static void
scsi_rev_sbuf(struct sbuf *sb, struct scsi_inquiry_data *inq_data)
{

	switch (SID_ANSI_REV(inq_data)) {
	case SCSI_REV_0:
	case SCSI_REV_CCS:
		sbuf_printf(sb, "SCSI-%d", SID_ANSI_REV(inq_data));
		break;
	case SCSI_REV_2:
		sbuf_cat(sb, "SCSI-2");
		break;
	case SCSI_REV_SPC:
		sbuf_cat(sb, "SPC");
		break;
	default:
		sbuf_printf(sb, "SPC-%d", SID_ANSI_REV(inq_data) - 2);
		break;
	}
}

void
scsi_print_inquiry_short_sbuf(struct sbuf *sb,
    struct scsi_inquiry_data *inq_data)
{

	sbuf_cat(sb, "<");
	cam_strvis_sbuf(sb, (uint8_t *)inq_data->vendor,
	    sizeof(inq_data->vendor), 0);
	sbuf_cat(sb, " ");
	cam_strvis_sbuf(sb, (uint8_t *)inq_data->product,
	    sizeof(inq_data->product), 0);
	sbuf_cat(sb, " ");
	cam_strvis_sbuf(sb, (uint8_t *)inq_data->revision,
	    sizeof(inq_data->revision), 0);
	sbuf_cat(sb, ">");
}

void
scsi_print_inquiry_sbuf(struct sbuf *sb, struct scsi_inquiry_data *inq_data)
{

	scsi_print_inquiry_short_sbuf(sb, inq_data);
	sbuf_printf(sb, " %s %s ", SID_IS_REMOVABLE(inq_data) ? "Removable" :
	    "Fixed", scsi_type_string(SID_TYPE(inq_data)));
	scsi_rev_sbuf(sb, inq_data);
	sbuf_cat(sb, " SCSI device\n");
}

static void
scsi_print_inquiry_with(struct scsi_inquiry_data *inq_data,
    void (*fn)(struct sbuf *, struct scsi_inquiry_data *))
{
	char str[160];
	struct sbuf sb;

	sbuf_new(&sb, str, sizeof(str), SBUF_FIXEDLEN);
	fn(&sb, inq_data);
	sbuf_finish(&sb);
	printf("%s", sbuf_data(&sb));
}

void
scsi_print_inquiry(struct scsi_inquiry_data *inq_data)
{

	scsi_print_inquiry_with(inq_data, scsi_print_inquiry_sbuf);
}

void
scsi_print_inquiry_short(struct scsi_inquiry_data *inq_data)
{

	scsi_print_inquiry_with(inq_data, scsi_print_inquiry_short_sbuf);
}
