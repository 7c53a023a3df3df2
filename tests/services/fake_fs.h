/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A file system that fails: the calls by which a program changes files are
 * counted, and the n-th goes wrong.  Link with -Wl,--wrap= of each.
 */

#ifndef TESTS_SERVICES_FAKE_FS_H
#define	TESTS_SERVICES_FAKE_FS_H

#include <stdbool.h>

enum fake_fs_fault {
	FAKE_FS_NONE,
	FAKE_FS_ERROR,		/* fails with error */
	FAKE_FS_SHORT,		/* half is written, then as ERROR */
	FAKE_FS_KILL,		/* the process ends */
	FAKE_FS_POWER,		/* the same, and what was not synced is torn */
};

#define	FAKE_FS_ENDED	42	/* the exit status of such a process */

/* From now on; n counts from 1.  always: all after it as well. */
void	fake_fs_arm(enum fake_fs_fault fault, unsigned n, int error,
	    bool always);
/* How many calls have struck. */
unsigned fake_fs_struck(void);
/* Calls of fsync(2) that went well. */
unsigned fake_fs_syncs(void);

#endif	/* !TESTS_SERVICES_FAKE_FS_H */
