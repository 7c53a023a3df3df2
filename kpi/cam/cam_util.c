/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Helpers of <cam/cam.h> that know no state: strings, matching, geometry; and
 * the switches of <cam/cam_debug.h>.
 */

#include "cam_var.h"

#include <machine/stdarg.h>

#include <cam/cam_debug.h>

struct cam_path *cam_dpath;
uint32_t cam_dflags;
uint32_t cam_debug_delay;

void
cam_strvis_sbuf(struct sbuf *sb, const uint8_t *src, int srclen, uint32_t flags)
{

	/* Vendors pad with blanks and zeroes on either side. */
	while (srclen > 0 && src[0] == ' ')
		src++, srclen--;
	while (srclen > 0 &&
	    (src[srclen - 1] == ' ' || src[srclen - 1] == '\0'))
		srclen--;
	for (; srclen > 0; src++, srclen--) {
		if (*src >= 0x20 && *src < 0x7f)
			sbuf_putc(sb, *src);
		else if ((flags & CAM_STRVIS_FLAG_NONASCII_MASK) ==
		    CAM_STRVIS_FLAG_NONASCII_SPC)
			sbuf_putc(sb, ' ');
		else if ((flags & CAM_STRVIS_FLAG_NONASCII_MASK) ==
		    CAM_STRVIS_FLAG_NONASCII_ESC)
			sbuf_printf(sb, "\\%o", *src);
	}
}

void
cam_strvis_flag(uint8_t *dst, const uint8_t *src, int srclen, int dstlen,
    uint32_t flags)
{
	struct sbuf sb;

	sbuf_new(&sb, (char *)dst, dstlen, SBUF_FIXEDLEN);
	cam_strvis_sbuf(&sb, src, srclen, flags);
	sbuf_finish(&sb);
}

void
cam_strvis(uint8_t *dst, const uint8_t *src, int srclen, int dstlen)
{

	cam_strvis_flag(dst, src, srclen, dstlen, CAM_STRVIS_FLAG_NONASCII_ESC);
}

/* 0 if str is pattern, in which ? stands for a byte and a last * for all. */
int
cam_strmatch(const uint8_t *str, const uint8_t *pattern, int str_len)
{

	for (; *pattern != '\0' && str_len > 0; pattern++, str++, str_len--) {
		if (*pattern == '*')
			return (0);
		if (*pattern != '?' && *pattern != *str)
			return (1);
	}
	while (str_len > 0 && *str == ' ')
		str++, str_len--;
	return (str_len > 0 && *str != '\0');
}

caddr_t
cam_quirkmatch(caddr_t target, caddr_t quirk_table, int num_entries,
    int entry_size, cam_quirkmatch_t *comp_func)
{

	for (; num_entries > 0; num_entries--, quirk_table += entry_size) {
		if ((*comp_func)(target, quirk_table) == 0)
			return (quirk_table);
	}
	return (NULL);
}

/* Cylinders of 64 heads by 32 sectors, or of 255 by 63 for large disks. */
void
cam_calc_geometry(struct ccb_calc_geometry *ccg, int extended)
{
	uint32_t cylinder;
	uint64_t size_mb;

	if (ccg->block_size == 0) {
		ccg->ccb_h.status = CAM_REQ_CMP_ERR;
		return;
	}
	size_mb = ccg->volume_size / MAX(1u, (1024 * 1024) / ccg->block_size);
	if (size_mb > 1024 && extended) {
		ccg->heads = 255;
		ccg->secs_per_track = 63;
	} else {
		ccg->heads = 64;
		ccg->secs_per_track = 32;
	}
	cylinder = ccg->heads * ccg->secs_per_track;
	ccg->cylinders = ccg->volume_size / cylinder;
	ccg->ccb_h.status = CAM_REQ_CMP;
}

int
scsi_inquiry_match(caddr_t inqbuffer, caddr_t table_entry)
{
	struct scsi_inquiry_pattern *pat = (void *)table_entry;
	struct scsi_inquiry_data *inq = (void *)inqbuffer;

	if ((SID_TYPE(inq) == pat->type || pat->type == T_ANY) &&
	    (SID_IS_REMOVABLE(inq) ? pat->media_type & SIP_MEDIA_REMOVABLE :
	    pat->media_type & SIP_MEDIA_FIXED) != 0 &&
	    cam_strmatch((uint8_t *)inq->vendor, (const uint8_t *)pat->vendor,
	    sizeof(inq->vendor)) == 0 &&
	    cam_strmatch((uint8_t *)inq->product,
	    (const uint8_t *)pat->product, sizeof(inq->product)) == 0 &&
	    cam_strmatch((uint8_t *)inq->revision,
	    (const uint8_t *)pat->revision, sizeof(inq->revision)) == 0)
		return (0);
	return (-1);
}

void
xpt_cam_path_debug(struct cam_path *path, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	xpt_print(path, "%s", text);
}

void
xpt_cam_dev_debug(struct cam_ed *dev, const char *fmt, ...)
{
	struct cam_path path = {
		.bus = dev->target->bus, .target = dev->target, .device = dev
	};
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	xpt_print(&path, "%s", text);
}

void
xpt_cam_debug(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("cam_debug: %s", text);
}
