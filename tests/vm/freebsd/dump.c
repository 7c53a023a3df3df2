/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `dump on DEVICE [gzip | zstd]': kernel dumps go there from now on; `dump
 * off': nowhere.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/disk.h>
#include <sys/kerneldump.h>

#include "commands.h"
#include "lib.h"

int
cmd_dump(int argc, char **argv)
{
	struct diocskerneldump_arg arg;
	const char *path = "/dev/null";
	int fd, error;

	memset(&arg, 0, sizeof(arg));
	arg.kda_index = KDA_REMOVE_ALL;
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "on") == 0) {
		arg.kda_index = 0;
		arg.kda_compression = argc == 3 ? KERNELDUMP_COMP_NONE :
		    strcmp(argv[3], "gzip") == 0 ? KERNELDUMP_COMP_GZIP :
		    KERNELDUMP_COMP_ZSTD;
		path = argv[2];
	} else if (argc != 2 || strcmp(argv[1], "off") != 0)
		return (complain(EINVAL, "dump"));
	fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return (complain(fd, "%s", path));
	error = sys_ioctl(fd, DIOCSKERNELDUMP, &arg);
	sys_close(fd);
	return (error == 0 ? 0 : complain(error, "dump to %s", path));
}
