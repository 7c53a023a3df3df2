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
 *	power panic [CPU]	panics, on that processor, and reboots
 *	power obey		from now on does what the kernel asks init(8)
 *				for, as that would, and says so first
 *
 * The kernel's messages come back to the console first.
 */

#include <sys/param.h>
#include <sys/cpuset.h>
#include <sys/errno.h>
#include <sys/reboot.h>
#include <sys/signal.h>
#include <sys/ttycom.h>

#include "commands.h"
#include "lib.h"

static int
power_panic(int argc, char **argv)
{
	int zero = 0, one = 1, error;
	cpuset_t set;

	if (argc > 2) {
		CPU_ZERO(&set);
		CPU_SET((int)argument(argc, argv, 2, 0), &set);
		error = (int)sys(SYS_cpuset_setaffinity, CPU_LEVEL_WHICH,
		    CPU_WHICH_TID, -1, sizeof(set), P(&set), 0);
		if (error != 0)
			return (complain(error, "processor %s", argv[2]));
	}
	/* A debugger would wait for somebody, and so does the kernel. */
	(void)sysctl_set("debug.debugger_on_panic", &zero, sizeof(zero));
	(void)sysctl_set("kern.panic_reboot_wait_time", &zero, sizeof(zero));
	error = sysctl_set("debug.kdb.panic", &one, sizeof(one));
	return (complain(error, "debug.kdb.panic"));
}

/* shutdown_nice(9): SIGUSR2 to power off, SIGINT to reboot. */
static void
power_asked(int sig)
{
	int zero = 0;

	print("\n@init asked for %s at %ju\n", sig == SIGUSR2 ? "power-off" :
	    "reboot", (uintmax_t)uptime_ns());
	out_flush();
	/* The kernel's own words would stand amid it. */
	(void)sys_ioctl(1, TIOCDRAIN, NULL);
	(void)sysctl_set("kern.shutdown.poweroff_delay", &zero, sizeof(zero));
	(void)sysctl_set("kern.consmute", &zero, sizeof(zero));
	(void)sys(SYS_reboot, sig == SIGUSR2 ? RB_POWEROFF : RB_AUTOBOOT, 0, 0,
	    0, 0, 0);
}

static int
power_obey(void)
{
	struct sigaction sa;
	int error;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = power_asked;
	error = (int)sys(SYS_sigaction, SIGUSR2, P(&sa), 0, 0, 0, 0);
	if (error == 0)
		error = (int)sys(SYS_sigaction, SIGINT, P(&sa), 0, 0, 0, 0);
	return (error != 0 ? complain(error, "sigaction") : 0);
}

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
	int zero = 0;
	size_t i;

	if (argc < 2)
		return (complain(EINVAL, "power"));
	if (strcmp(argv[1], "obey") == 0)
		return (power_obey());
	out_flush();
	(void)sysctl_set("kern.consmute", &zero, sizeof(zero));
	/* Five seconds in which disks would write their caches. */
	(void)sysctl_set("kern.shutdown.poweroff_delay", &zero, sizeof(zero));
	if (strcmp(argv[1], "panic") == 0)
		return (power_panic(argc, argv));
	for (i = 0; i < nitems(ends); i++)
		if (strcmp(argv[1], ends[i].name) == 0)
			return (complain(sys(SYS_reboot, ends[i].howto |
			    (argc > 2 ? RB_NOSYNC : 0), 0, 0, 0, 0, 0),
			    "reboot"));
	return (complain(EINVAL, "power %s", argv[1]));
}
