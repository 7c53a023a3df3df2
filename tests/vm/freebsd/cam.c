/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `cam': the SCSI subsystem's view, by /dev/xpt0.
 *
 *	cam list			buses, devices, drivers of devices
 *	cam rescan [BUS [TARGET LUN]]	all buses if none is given
 *	cam reset BUS
 *
 * Lines of the list: `bus N DRIVER UNIT', `device BUS TARGET LUN TYPE
 * VENDOR|PRODUCT|REVISION', and after it its `periph NAME BUS TARGET LUN'.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/ioctl.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/scsi/scsi_all.h>
#include <cam/scsi/scsi_pass.h>

#include "commands.h"
#include "lib.h"

#define	MATCHES		64
#define	BUSES_MAX	64

/* A text of fixed length, without the blanks at its end. */
static void
print_field(const char *field, size_t size)
{

	while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\0'))
		size--;
	out(field, size);
}

static void
print_match(const struct dev_match_result *m)
{
	const struct bus_match_result *b = &m->result.bus_result;
	const struct device_match_result *d = &m->result.device_result;
	const struct periph_match_result *p = &m->result.periph_result;

	switch (m->type) {
	case DEV_MATCH_BUS:
		print("bus %u %s %u\n", b->path_id, b->dev_name,
		    b->unit_number);
		break;
	case DEV_MATCH_DEVICE:
		if (d->flags & DEV_RESULT_UNCONFIGURED)
			break;
		print("device %u %u %ju %u ", d->path_id, d->target_id,
		    (uintmax_t)d->target_lun, SID_TYPE(&d->inq_data));
		print_field(d->inq_data.vendor, sizeof(d->inq_data.vendor));
		print("|");
		print_field(d->inq_data.product, sizeof(d->inq_data.product));
		print("|");
		print_field(d->inq_data.revision,
		    sizeof(d->inq_data.revision));
		print("\n");
		break;
	case DEV_MATCH_PERIPH:
		print("periph %s%u %u %u %ju\n", p->periph_name,
		    p->unit_number, p->path_id, p->target_id,
		    (uintmax_t)p->target_lun);
		break;
	}
}

static void
note_bus(const struct dev_match_result *m, uint32_t *buses, unsigned *n)
{
	uint32_t id = m->result.bus_result.path_id;

	if (m->type == DEV_MATCH_BUS && id != CAM_XPT_PATH_ID &&
	    *n < BUSES_MAX)
		buses[(*n)++] = id;
}

/* Prints all matches; or notes the buses among them. */
static int
each_match(int fd, uint32_t *buses, unsigned *n)
{
	static struct dev_match_result matches[MATCHES];
	static union ccb ccb;
	uint32_t i;
	int error;

	memset(&ccb, 0, sizeof(ccb));
	ccb.ccb_h.path_id = CAM_XPT_PATH_ID;
	ccb.ccb_h.target_id = CAM_TARGET_WILDCARD;
	ccb.ccb_h.target_lun = CAM_LUN_WILDCARD;
	ccb.ccb_h.func_code = XPT_DEV_MATCH;
	ccb.cdm.match_buf_len = sizeof(matches);
	ccb.cdm.matches = matches;
	do {
		error = -sys_ioctl(fd, CAMIOCOMMAND, &ccb);
		if (error != 0)
			return (error);
		if (ccb.cdm.status != CAM_DEV_MATCH_LAST &&
		    ccb.cdm.status != CAM_DEV_MATCH_MORE)
			return (EAGAIN);
		for (i = 0; i < ccb.cdm.num_matches; i++) {
			if (buses != NULL)
				note_bus(&matches[i], buses, n);
			else
				print_match(&matches[i]);
		}
	} while (ccb.cdm.status == CAM_DEV_MATCH_MORE);
	return (0);
}

static int
act(int fd, xpt_opcode what, uint32_t bus, uint32_t target, uint64_t lun)
{
	static union ccb ccb;
	int error;

	memset(&ccb, 0, sizeof(ccb));
	ccb.ccb_h.path_id = bus;
	ccb.ccb_h.target_id = target;
	ccb.ccb_h.target_lun = lun;
	ccb.ccb_h.func_code = what;
	ccb.ccb_h.pinfo.priority = 5;
	ccb.crcn.flags = CAM_FLAG_NONE;
	error = -sys_ioctl(fd, CAMIOCOMMAND, &ccb);
	if (error == 0 &&
	    (ccb.ccb_h.status & CAM_STATUS_MASK) != CAM_REQ_CMP) {
		print("CAM status 0x%x\n", ccb.ccb_h.status);
		error = EIO;
	}
	return (error);
}

/* A rescan changes the list, so that the buses are noted first. */
static int
rescan_all(int fd)
{
	uint32_t buses[BUSES_MAX];
	unsigned i, n = 0;
	int error;

	error = each_match(fd, buses, &n);
	for (i = 0; i < n && error == 0; i++)
		error = act(fd, XPT_SCAN_BUS, buses[i], CAM_TARGET_WILDCARD,
		    CAM_LUN_WILDCARD);
	return (error);
}

int
cmd_cam(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint32_t bus = (uint32_t)argument(argc, argv, 2, 0);
	int fd, error;

	fd = sys_open("/dev/xpt0", O_RDWR, 0);
	if (fd < 0)
		return (complain(fd, "/dev/xpt0"));
	if (strcmp(verb, "list") == 0)
		error = each_match(fd, NULL, NULL);
	else if (strcmp(verb, "rescan") == 0 && argc == 2)
		error = rescan_all(fd);
	else if (strcmp(verb, "rescan") == 0 && argc == 5)
		error = act(fd, XPT_SCAN_LUN, bus,
		    (uint32_t)argument(argc, argv, 3, 0),
		    argument(argc, argv, 4, 0));
	else if (argc == 3 && (strcmp(verb, "rescan") == 0 ||
	    strcmp(verb, "reset") == 0))
		error = act(fd, verb[2] == 's' && verb[3] == 'c' ?
		    XPT_SCAN_BUS : XPT_RESET_BUS, bus, CAM_TARGET_WILDCARD,
		    CAM_LUN_WILDCARD);
	else
		error = EINVAL;
	sys_close(fd);
	return (error == 0 ? 0 : complain(error, "cam %s", verb));
}
