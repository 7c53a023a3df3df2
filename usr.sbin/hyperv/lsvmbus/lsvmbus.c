/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * lsvmbus(8): lists what is on the VMBus of a guest of Hyper-V.
 */

#include <sys/types.h>
#include <sys/sysctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxo/xo.h>

#include "lsvmbus.h"

/* Of what is printed for programs; changes when a name in it does. */
#define	LSVMBUS_FORMAT	"1"

static void
usage(void)
{

	xo_error("usage: lsvmbus [--libxo options] [-cv] [device ...]\n");
}

/* Says what may be wrong: nothing here needs privileges. */
static void
no_bus(void)
{
	char guest[32];
	size_t len;

	len = sizeof(guest) - 1;
	if (sysctlbyname("kern.vm_guest", guest, &len, NULL, 0) != 0)
		len = 0;
	guest[len] = '\0';
	/* The kernel's word for Hyper-V. */
	if (guest[0] == '\0' || strcmp(guest, "hv") == 0)
		xo_warnx("there is no VMBus; is hv_vmbus(4) loaded?");
	else
		xo_warnx("there is no VMBus: this is no guest of Hyper-V "
		    "(kern.vm_guest is \"%s\")", guest);
}

int
main(int argc, char *argv[])
{
	struct lsv_show show = { 0 };
	struct lsv_bus bus;
	xo_style_t style;
	bool ok;
	int c, error;

	argc = xo_parse_args(argc, argv);
	if (argc < 0)
		return (EXIT_FAILURE);
	while ((c = getopt(argc, argv, "cv")) != -1) {
		switch (c) {
		case 'c':
			show.cpus = true;
			break;
		case 'v':
			show.verbose++;
			break;
		default:
			usage();
			return (EXIT_FAILURE);
		}
	}
	show.only = argv + optind;
	show.nonly = argc - optind;
	style = xo_get_style(NULL);
	show.text = style == XO_STYLE_TEXT || style == XO_STYLE_HTML;
	if (!show.text) {
		show.cpus = true;
		show.verbose = 2;
	}

	error = lsv_collect(&bus);
	if (error == 0) {
		xo_set_version(LSVMBUS_FORMAT);
		ok = lsv_print(&bus, &show);
	} else {
		ok = false;
		if (error == ENXIO)
			no_bus();
		else
			xo_warnx("the kernel's device tree: %s",
			    strerror(error));
	}
	lsv_free(&bus);
	if (xo_finish() < 0) {
		xo_warn("stdout");
		ok = false;
	}
	return (ok ? EXIT_SUCCESS : EXIT_FAILURE);
}
