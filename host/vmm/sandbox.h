/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the process gives up before the guest's first instruction.
 */

#ifndef VMM_SANDBOX_H
#define	VMM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/*
 * For all threads, also those to come: no new privileges, and a filter that
 * lets through the system calls a running machine makes, and no others.
 * Opening a file fails, as the C library tries it and lives without; any other
 * call ends the process with a line that names it.  nat: connections are made
 * for the guest, so sockets may be.
 */
int	sandbox_enter(bool nat, char *err, size_t errlen);

#endif	/* !VMM_SANDBOX_H */
