/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Names of UFS's ioctl(2)s; see compat_fs.c. */

#ifndef COMPAT_UFS_FFS_FS_H
#define	COMPAT_UFS_FFS_FS_H

#define	UFSSUSPEND	0x80085501UL
#define	UFSRESUME	0x20005502UL

#endif	/* !COMPAT_UFS_FFS_FS_H */
