/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `power': how a machine ends.
 *
 *	power off | reboot | halt [nosync]
 *	power dump		a kernel dump, then reboot
 *	power panic		the kernel panics and reboots
 *
 * The kernel's messages come back to the console first.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/reboot.h>

#include "commands.h"
#include "lib.h"

int
cmd_power(int argc, char **argv)
{
	static const struct {
		const char	*name;
		int		 howto;
	} ends[] = {
		{ "off", RB_POWEROFF }, { "reboot", RB_AUTOBOOT },
		{ "halt", RB_HALT }, { "dump", RB_DUMP },
	};
	int zero = 0, one = 1, error;
	size_t i;

	if (argc < 2)
		return (complain(EINVAL, "power"));
	out_flush();
	(void)sysctl_set("kern.consmute", &zero, sizeof(zero));
	if (strcmp(argv[1], "panic") == 0) {
		/* A debugger would wait for somebody. */
		(void)sysctl_set("debug.debugger_on_panic", &zero,
		    sizeof(zero));
		error = sysctl_set("debug.kdb.panic", &one, sizeof(one));
		return (complain(error, "debug.kdb.panic"));
	}
	for (i = 0; i < nitems(ends); i++)
		if (strcmp(argv[1], ends[i].name) == 0)
			return (complain(sys(SYS_reboot, ends[i].howto |
			    (argc > 2 ? RB_NOSYNC : 0), 0, 0, 0, 0, 0),
			    "reboot"));
	return (complain(EINVAL, "power %s", argv[1]));
}
