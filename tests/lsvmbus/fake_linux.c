/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The fakes' ground on Linux.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake.h"

int *
__error(void)
{

	return (&errno);
}

void
fake_die(const char *why, const char *what)
{

	fprintf(stderr, "lsvmbus: %s: %s\n", why, what);
	abort();
}
