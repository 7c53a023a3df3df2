/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `clock': the time of day, in nanoseconds since 1970.
 *
 *	clock			shows it
 *	clock set NS		sets it
 *	clock ntp on | off	tells the kernel that somebody disciplines it,
 *				as ntpd(8) does, or that nobody does
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/timex.h>

#include "commands.h"
#include "lib.h"

static int
clock_ntp(bool on)
{
	struct timex tx;
	long n;

	memset(&tx, 0, sizeof(tx));
	tx.modes = MOD_STATUS | MOD_MAXERROR;
	tx.status = on ? STA_PLL : STA_UNSYNC;
	tx.maxerror = 1000;
	n = sys(SYS_ntp_adjtime, P(&tx), 0, 0, 0, 0, 0);
	/* Otherwise it is the clock's state. */
	return (n < 0 ? complain(n, "ntp_adjtime") : 0);
}

int
cmd_clock(int argc, char **argv)
{
	struct timespec ts;
	uint64_t ns;
	long error;

	if (argc == 1) {
		(void)sys(SYS_clock_gettime, CLOCK_REALTIME, P(&ts), 0, 0, 0,
		    0);
		print("%ju\n", (uintmax_t)ts.tv_sec * 1000000000 +
		    (uintmax_t)ts.tv_nsec);
		return (0);
	}
	if (argc != 3)
		return (complain(EINVAL, "clock"));
	if (strcmp(argv[1], "ntp") == 0)
		return (clock_ntp(strcmp(argv[2], "on") == 0));
	if (strcmp(argv[1], "set") != 0 || !number(argv[2], &ns))
		return (complain(EINVAL, "clock %s", argv[1]));
	ts.tv_sec = (time_t)(ns / 1000000000);
	ts.tv_nsec = (long)(ns % 1000000000);
	error = sys(SYS_clock_settime, CLOCK_REALTIME, P(&ts), 0, 0, 0, 0);
	return (error != 0 ? complain(error, "clock_settime") : 0);
}
