/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `lsvmbus': the program lsvmbus(8) itself, on the kernel it was written for,
 * with what it wants of libc in libc.c and of libxo in tests/lsvmbus/fake_xo.c.
 *
 *	lsvmbus [--libxo=json] [-cv] [DEVICE...]
 */

#include <sys/param.h>
#include <sys/errno.h>

#include "commands.h"
#include "lib.h"
#include "libc.h"
#include "tests/lsvmbus/fake.h"

void
fake_die(const char *why, const char *what)
{

	print("lsvmbus: %s: %s\n", why, what);
	out_flush();
	sys_exit(ENXIO);
}

/* --- The command --- */

static int
lsvmbus(int argc, char **argv)
{
	int status;

	status = lsvmbus_main(argc, argv);
	print("%s%s", fake_output(), fake_messages());
	return (status);
}

int
cmd_lsvmbus(int argc, char **argv)
{

	return (libc_run(lsvmbus, argc, argv) == 0 ? 0 : ENXIO);
}
