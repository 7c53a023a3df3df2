/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * open(2) and openat(2) for programs of FreeBSD on Linux: a device node may be
 * a unix socket there, and O_RESOLVE_BENEATH is a call of its own.
 */

#ifndef COMPAT_FCNTL_H
#define	COMPAT_FCNTL_H

#include_next <fcntl.h>

#define	O_RESOLVE_BENEATH	0x40000000

int	compat_open(const char *path, int flags, ...);
int	compat_openat(int fd, const char *path, int flags, ...);

#define	open	compat_open
#define	openat	compat_openat

#endif	/* !COMPAT_FCNTL_H */
