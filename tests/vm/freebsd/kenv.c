/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `kenv': the kernel environment, which a loader (or hvhost --kenv) filled.
 *
 *	kenv			all of it
 *	kenv NAME		one value
 *	kenv NAME VALUE		sets it
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/kenv.h>

#include "commands.h"
#include "lib.h"

int
cmd_kenv(int argc, char **argv)
{
	static char text[64 << 10];
	char *p;
	long n;

	if (argc == 3)
		n = sys(SYS_kenv, KENV_SET, P(argv[1]), P(argv[2]),
		    (long)strlen(argv[2]) + 1, 0, 0);
	else if (argc == 2)
		n = sys(SYS_kenv, KENV_GET, P(argv[1]), P(text), sizeof(text),
		    0, 0);
	else
		n = sys(SYS_kenv, KENV_DUMP, 0, P(text), sizeof(text), 0, 0);
	if (n < 0)
		return (complain(n, "kenv"));
	if (argc == 3)
		return (0);
	for (p = text; *p != '\0'; p += strlen(p) + 1) {
		print("%s\n", p);
		if (argc == 2)
			break;
	}
	return (0);
}
