/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sense data: taking it apart, making it (for SIMs and tests), and what each
 * condition means for the command: the table that decides whether a command is
 * sent again.
 */

#include "cam_var.h"

#include <machine/stdarg.h>

const char *scsi_sense_key_text[] = {
	"NO SENSE", "RECOVERED ERROR", "NOT READY", "MEDIUM ERROR",
	"HARDWARE ERROR", "ILLEGAL REQUEST", "UNIT ATTENTION", "DATA PROTECT",
	"BLANK CHECK", "Vendor Specific", "COPY ABORTED", "ABORTED COMMAND",
	"EQUAL", "VOLUME OVERFLOW", "MISCOMPARE", "COMPLETED"
};

/* Actions by sense key, for what the table below does not name. */
static const uint32_t scsi_key_action[] = {
	[SSD_KEY_NO_SENSE] = SS_RDEF,
	[SSD_KEY_RECOVERED_ERROR] = SS_NOP | SSQ_PRINT_SENSE,
	[SSD_KEY_NOT_READY] = SS_RDEF,
	[SSD_KEY_MEDIUM_ERROR] = SS_FATAL | EIO,
	[SSD_KEY_HARDWARE_ERROR] = SS_RDEF,
	[SSD_KEY_ILLEGAL_REQUEST] = SS_FATAL | EINVAL,
	[SSD_KEY_UNIT_ATTENTION] = SS_FATAL | ENXIO,
	[SSD_KEY_DATA_PROTECT] = SS_FATAL | EROFS,
	[SSD_KEY_BLANK_CHECK] = SS_FATAL | EIO,
	[SSD_KEY_Vendor_Specific] = SS_FATAL | EIO,
	[SSD_KEY_COPY_ABORTED] = SS_FATAL | EIO,
	[SSD_KEY_ABORTED_COMMAND] = SS_RDEF,
	[SSD_KEY_EQUAL] = SS_NOP | SSQ_PRINT_SENSE,
	[SSD_KEY_VOLUME_OVERFLOW] = SS_FATAL | EIO,
	[SSD_KEY_MISCOMPARE] = SS_FATAL | EIO,
	[SSD_KEY_COMPLETED] = SS_NOP | SSQ_PRINT_SENSE,
};

#define	ASCQ_ANY	0xff

/* Source of codes and names: SPC-4, annex D. */
static const struct asc_table_entry scsi_asc_table[] = {
	{ 0x03, 0x00, SS_FATAL | EIO, "Peripheral device write fault" },
	{ 0x04, 0x01, SS_WAIT | EBUSY, "Logical unit is in process of "
	    "becoming ready" },
	{ 0x04, 0x02, SS_START | SSQ_DECREMENT_COUNT | ENXIO,
	    "Logical unit not ready, initializing command required" },
	{ 0x04, 0x03, SS_FATAL | ENXIO,
	    "Logical unit not ready, manual intervention required" },
	{ 0x04, 0x04, SS_FATAL | ENXIO,
	    "Logical unit not ready, format in progress" },
	{ 0x04, 0x0a, SS_WAIT | ENXIO, "Logical unit not accessible, "
	    "asymmetric access state transition" },
	{ 0x04, ASCQ_ANY, SS_RDEF, "Logical unit not ready" },
	{ 0x10, ASCQ_ANY, SS_FATAL | EIO, "ID CRC or ECC error" },
	{ 0x11, ASCQ_ANY, SS_FATAL | EIO, "Unrecovered read error" },
	{ 0x1a, 0x00, SS_FATAL | EINVAL, "Parameter list length error" },
	{ 0x20, 0x00, SS_FATAL | EINVAL, "Invalid command operation code" },
	{ 0x21, 0x00, SS_FATAL | EINVAL,
	    "Logical block address out of range" },
	{ 0x24, 0x00, SS_FATAL | EINVAL, "Invalid field in CDB" },
	{ 0x25, 0x00, SS_FATAL | SSQ_LOST | ENXIO,
	    "Logical unit not supported" },
	{ 0x26, ASCQ_ANY, SS_FATAL | EINVAL,
	    "Invalid field in parameter list" },
	{ 0x27, ASCQ_ANY, SS_FATAL | EROFS, "Write protected" },
	{ 0x28, 0x00, SS_FATAL | ENXIO,
	    "Not ready to ready change, medium may have changed" },
	{ 0x29, ASCQ_ANY, SS_RDEF,
	    "Power on, reset, or bus device reset occurred" },
	{ 0x2a, 0x09, SS_RDEF | SSQ_UA, "Capacity data has changed" },
	{ 0x2a, ASCQ_ANY, SS_RDEF, "Parameters changed" },
	{ 0x3a, ASCQ_ANY, SS_FATAL | ENXIO, "Medium not present" },
	{ 0x3f, 0x03, SS_RDEF | SSQ_UA, "INQUIRY data has changed" },
	{ 0x3f, 0x0e, SS_RDEF | SSQ_RESCAN,
	    "Reported LUNs data has changed" },
	{ 0x44, 0x00, SS_RDEF, "Internal target failure" },
	{ 0x47, ASCQ_ANY, SS_RDEF, "SCSI parity error" },
	{ 0x55, ASCQ_ANY, SS_RDEF, "System resource failure" },
	{ 0x5d, ASCQ_ANY, SS_NOP | SSQ_PRINT_SENSE,
	    "Failure prediction threshold exceeded" },
};

static const struct asc_table_entry *
scsi_asc_entry(int asc, int ascq)
{
	const struct asc_table_entry *e;

	for (e = scsi_asc_table; e < &scsi_asc_table[nitems(scsi_asc_table)];
	    e++) {
		if (e->asc == asc && (e->ascq == ascq || e->ascq == ASCQ_ANY))
			return (e);
	}
	return (NULL);
}

scsi_sense_data_type
scsi_sense_type(struct scsi_sense_data *sense_data)
{

	switch (sense_data->error_code & SSD_ERRCODE) {
	case SSD_DESC_CURRENT_ERROR:
	case SSD_DESC_DEFERRED_ERROR:
		return (SSD_TYPE_DESC);
	case SSD_CURRENT_ERROR:
	case SSD_DEFERRED_ERROR:
		return (SSD_TYPE_FIXED);
	default:
		return (SSD_TYPE_NONE);
	}
}

void
scsi_extract_sense_len(struct scsi_sense_data *sense_data, u_int sense_len,
    int *error_code, int *sense_key, int *asc, int *ascq, int show_errors)
{
	struct scsi_sense_data_fixed *fixed = (void *)sense_data;
	struct scsi_sense_data_desc *desc = (void *)sense_data;
	int none = show_errors ? -1 : 0;

	*error_code = *sense_key = *asc = *ascq = none;
	if (sense_len == 0)
		return;
	*error_code = sense_data->error_code & SSD_ERRCODE;
	switch (scsi_sense_type(sense_data)) {
	case SSD_TYPE_DESC:
		if (SSD_DESC_IS_PRESENT(desc, sense_len, sense_key))
			*sense_key = desc->sense_key & SSD_KEY;
		if (SSD_DESC_IS_PRESENT(desc, sense_len, add_sense_code))
			*asc = desc->add_sense_code;
		if (SSD_DESC_IS_PRESENT(desc, sense_len, add_sense_code_qual))
			*ascq = desc->add_sense_code_qual;
		break;
	case SSD_TYPE_FIXED:
		if (SSD_FIXED_IS_PRESENT(fixed, sense_len, flags))
			*sense_key = fixed->flags & SSD_KEY;
		if (SSD_FIXED_IS_PRESENT(fixed, sense_len, add_sense_code) &&
		    SSD_FIXED_IS_FILLED(fixed, add_sense_code))
			*asc = fixed->add_sense_code;
		if (SSD_FIXED_IS_PRESENT(fixed, sense_len,
		    add_sense_code_qual) &&
		    SSD_FIXED_IS_FILLED(fixed, add_sense_code_qual))
			*ascq = fixed->add_sense_code_qual;
		break;
	default:
		break;
	}
}

void
scsi_extract_sense(struct scsi_sense_data *sense, int *error_code,
    int *sense_key, int *asc, int *ascq)
{

	scsi_extract_sense_len(sense, sizeof(*sense), error_code, sense_key,
	    asc, ascq, 0);
}

/* 1 if the CCB has sense data at all. */
int
scsi_extract_sense_ccb(union ccb *ccb, int *error_code, int *sense_key,
    int *asc, int *ascq)
{
	struct scsi_sense_data *sense;

	if (ccb->ccb_h.func_code != XPT_SCSI_IO ||
	    cam_ccb_status(ccb) != CAM_SCSI_STATUS_ERROR ||
	    ccb->csio.scsi_status != SCSI_STATUS_CHECK_COND ||
	    (ccb->ccb_h.status & CAM_AUTOSNS_VALID) == 0 ||
	    (ccb->ccb_h.flags & CAM_SENSE_PHYS) != 0 ||
	    ccb->csio.sense_resid > ccb->csio.sense_len)
		return (0);
	if ((ccb->ccb_h.flags & CAM_SENSE_PTR) != 0)
		bcopy((void *)&ccb->csio.sense_data, &sense, sizeof(sense));
	else
		sense = &ccb->csio.sense_data;
	scsi_extract_sense_len(sense, ccb->csio.sense_len -
	    ccb->csio.sense_resid, error_code, sense_key, asc, ascq, 1);
	return (*error_code != -1);
}

int
scsi_get_sense_key(struct scsi_sense_data *sense, u_int sense_len,
    int show_errors)
{
	int code, key, asc, ascq;

	scsi_extract_sense_len(sense, sense_len, &code, &key, &asc, &ascq,
	    show_errors);
	return (key);
}

int
scsi_get_asc(struct scsi_sense_data *sense, u_int sense_len, int show_errors)
{
	int code, key, asc, ascq;

	scsi_extract_sense_len(sense, sense_len, &code, &key, &asc, &ascq,
	    show_errors);
	return (asc);
}

int
scsi_get_ascq(struct scsi_sense_data *sense, u_int sense_len, int show_errors)
{
	int code, key, asc, ascq;

	scsi_extract_sense_len(sense, sense_len, &code, &key, &asc, &ascq,
	    show_errors);
	return (ascq);
}

/* Fixed format takes no element but the four bytes of information. */
static void
scsi_set_fixed(struct scsi_sense_data *sense_data, int current_error, int key,
    int asc, int ascq, va_list ap)
{
	struct scsi_sense_data_fixed *fixed = (void *)sense_data;
	const uint8_t *data;
	int elem, len;

	fixed->error_code = current_error ? SSD_CURRENT_ERROR :
	    SSD_DEFERRED_ERROR;
	fixed->flags = key;
	fixed->extra_len = SSD_MIN_SIZE -
	    (offsetof(struct scsi_sense_data_fixed, extra_len) + 1);
	fixed->add_sense_code = asc;
	fixed->add_sense_code_qual = ascq;
	while ((elem = va_arg(ap, int)) != SSD_ELEM_NONE) {
		len = va_arg(ap, int);
		data = va_arg(ap, const uint8_t *);
		if (elem == SSD_ELEM_INFO && len == sizeof(fixed->info)) {
			bcopy(data, fixed->info, sizeof(fixed->info));
			fixed->error_code |= SSD_ERRCODE_VALID;
		}
	}
}

void
scsi_set_sense_data_va(struct scsi_sense_data *sense_data, u_int *sense_len,
    scsi_sense_data_type sense_format, int current_error, int sense_key,
    int asc, int ascq, va_list ap)
{
	struct scsi_sense_data_desc *desc = (void *)sense_data;
	struct scsi_sense_data made;
	u_int len;

	bzero(&made, sizeof(made));
	if (sense_format == SSD_TYPE_DESC) {
		desc = (void *)&made;
		desc->error_code = current_error ? SSD_DESC_CURRENT_ERROR :
		    SSD_DESC_DEFERRED_ERROR;
		desc->sense_key = sense_key;
		desc->add_sense_code = asc;
		desc->add_sense_code_qual = ascq;
		len = sizeof(*desc);
	} else {
		scsi_set_fixed(&made, current_error, sense_key, asc, ascq, ap);
		len = SSD_MIN_SIZE;
	}
	bzero(sense_data, *sense_len);
	*sense_len = MIN(*sense_len, len);
	bcopy(&made, sense_data, *sense_len);
}

void
scsi_set_sense_data_len(struct scsi_sense_data *sense_data, u_int *sense_len,
    scsi_sense_data_type sense_format, int current_error, int sense_key,
    int asc, int ascq, ...)
{
	va_list ap;

	va_start(ap, ascq);
	scsi_set_sense_data_va(sense_data, sense_len, sense_format,
	    current_error, sense_key, asc, ascq, ap);
	va_end(ap);
}

void
scsi_set_sense_data(struct scsi_sense_data *sense_data,
    scsi_sense_data_type sense_format, int current_error, int sense_key,
    int asc, int ascq, ...)
{
	u_int len = SSD_FULL_SIZE;
	va_list ap;

	va_start(ap, ascq);
	scsi_set_sense_data_va(sense_data, &len, sense_format, current_error,
	    sense_key, asc, ascq, ap);
	va_end(ap);
}

void
scsi_sense_desc(int sense_key, int asc, int ascq,
    struct scsi_inquiry_data *inq_data, const char **sense_key_desc,
    const char **asc_desc)
{
	const struct asc_table_entry *e;

	*sense_key_desc = sense_key >= 0 &&
	    sense_key < (int)nitems(scsi_sense_key_text) ?
	    scsi_sense_key_text[sense_key] : "Invalid Sense Key";
	e = scsi_asc_entry(asc, ascq);
	if (e != NULL)
		*asc_desc = e->desc;
	else if (asc >= 0x80 || ascq >= 0x80)
		*asc_desc = "Vendor Specific ASC/ASCQ";
	else
		*asc_desc = asc == 0 ? "No additional sense information" :
		    "Reserved ASC/ASCQ pair";
}

scsi_sense_action
scsi_error_action(struct ccb_scsiio *csio, struct scsi_inquiry_data *inq_data,
    uint32_t sense_flags)
{
	const struct asc_table_entry *e;
	int code, key, asc, ascq;
	uint32_t action;

	if (!scsi_extract_sense_ccb((union ccb *)csio, &code, &key, &asc,
	    &ascq))
		return (SS_RDEF);
	/* Deferred errors are of a command that was told to be good. */
	if (code == SSD_DEFERRED_ERROR || code == SSD_DESC_DEFERRED_ERROR)
		return (SS_RDEF);
	e = scsi_asc_entry(asc, ascq);
	action = e != NULL ? e->action :
	    key < 0 ? SS_RDEF : scsi_key_action[key];
	if (key == SSD_KEY_RECOVERED_ERROR)
		action = SS_NOP | SSQ_PRINT_SENSE;
	else if (key == SSD_KEY_UNIT_ATTENTION &&
	    (sense_flags & SF_RETRY_UA) != 0)
		action = (action & SSQ_MASK) | SS_RETRY | EIO;
	if ((action & SS_MASK) >= SS_START &&
	    (sense_flags & SF_NO_RECOVERY) != 0)
		action = (action & ~SS_MASK) | SS_FAIL;
	else if ((action & SS_MASK) == SS_RETRY &&
	    (sense_flags & SF_NO_RETRY) != 0)
		action = (action & ~SS_MASK) | SS_FAIL;
	if ((sense_flags & SF_PRINT_ALWAYS) != 0)
		action |= SSQ_PRINT_SENSE;
	else if ((sense_flags & SF_NO_PRINT) != 0)
		action &= ~SSQ_PRINT_SENSE;
	return (action);
}
