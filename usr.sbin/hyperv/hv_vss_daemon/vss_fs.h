/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Inside hv_vss_daemon(8): the file systems. */

#ifndef VSS_FS_H
#define	VSS_FS_H

#include <stdbool.h>

/*
 * Whether all that is mounted and of the machine's own disks can be frozen;
 * logs what cannot.
 */
bool	vss_fs_check(void);
/*
 * Freezes all of it; false: it could not, and nothing is frozen.  Until the
 * thaw the process must not touch a file.
 */
bool	vss_fs_freeze(void);
void	vss_fs_thaw(void);
bool	vss_fs_frozen(void);

#endif	/* !VSS_FS_H */
