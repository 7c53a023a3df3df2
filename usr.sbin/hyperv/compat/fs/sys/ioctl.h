/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The ioctl(2)s of UFS, on a stand-in; see compat_fs.c. */

#ifndef COMPAT_SYS_IOCTL_H
#define	COMPAT_SYS_IOCTL_H

#include_next <sys/ioctl.h>

int	compat_ioctl(int fd, unsigned long request, ...);

#define	ioctl	compat_ioctl

#endif	/* !COMPAT_SYS_IOCTL_H */
