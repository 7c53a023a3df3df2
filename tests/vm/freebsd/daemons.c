/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `vss', `fcopy': hv_vss_daemon(8) and hv_fcopy_daemon(8) themselves, on the
 * kernel they were written for, in the foreground: to be run as jobs.
 *
 *	vss [-D DEVICE] [-p PIDFILE]
 *	fcopy [-D DEVICE] [-p PIDFILE] [-r DIRECTORY]
 */

#include "commands.h"
#include "libc.h"

int	hv_vss_main(int, char **);
int	hv_fcopy_main(int, char **);

int
cmd_vss(int argc, char **argv)
{

	return (libc_run(hv_vss_main, argc, argv));
}

int
cmd_fcopy(int argc, char **argv)
{

	return (libc_run(hv_fcopy_main, argc, argv));
}
