/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* FreeBSD's list of mounted file systems; see compat_fs.c. */

#ifndef COMPAT_SYS_MOUNT_H
#define	COMPAT_SYS_MOUNT_H

#include <sys/types.h>

#include <stdint.h>
#include <unistd.h>

#define	MNAMELEN	1024
#define	MFSNAMELEN	16

#define	MNT_RDONLY	0x0000000000000001ULL
#define	MNT_LOCAL	0x0000000000001000ULL
#define	MNT_NOWAIT	2

struct compat_fsid {
	int32_t		 val[2];
};

struct compat_statfs {
	uint64_t	 f_flags;
	struct compat_fsid f_fsid;
	char		 f_fstypename[MFSNAMELEN];
	char		 f_mntonname[MNAMELEN];
};

#define	statfs		compat_statfs
#define	fsid_t		struct compat_fsid

int	getfsstat(struct compat_statfs *buf, long bufsize, int mode);

/* All mounted file systems are those of the tests. */
void	compat_sync(void);

#define	sync		compat_sync

#endif	/* !COMPAT_SYS_MOUNT_H */
