/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Where UFS is suspended: a file of the tests; see compat_fs.c. */

#ifndef COMPAT_PATHS_H
#define	COMPAT_PATHS_H

#include_next <paths.h>

const char *compat_ufssuspend(void);

#define	_PATH_UFSSUSPEND	compat_ufssuspend()

#endif	/* !COMPAT_PATHS_H */
