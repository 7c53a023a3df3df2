/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * File systems.  UFS is suspended through /dev/ufssuspend: one descriptor for
 * each, and whatever becomes of this process, closing it resumes the file
 * system (ufs/ffs/ffs_suspend.c).  ZFS cannot be suspended from user space.  It
 * need not be for a snapshot of all its disks at one moment to be one that it
 * can be imported from; what was written before is on the disks once it is
 * synced.
 */

#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <ufs/ffs/fs.h>

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "hvd.h"
#include "vss_fs.h"

enum kind {
	KIND_SKIP,		/* nothing of it is on a disk of ours */
	KIND_SUSPEND,
	KIND_SYNC,
	KIND_CANNOT
};

/* Suspended, in the order in which that was done. */
static struct {
	int		*fd;
	int		 count;
} held;

/* Where the installer mounts the partition that the firmware boots from. */
#define	EFI	"/boot/efi"

/*
 * Layers (nullfs, unionfs) are frozen with what is below them, which is mounted
 * on its own.  Nothing writes to the EFI partition but who installs a loader.
 */
static enum kind
classify(const struct statfs *sf)
{
	static const char *const without[] = {
		"autofs", "devfs", "fdescfs", "linprocfs", "linsysfs",
		"mqueuefs", "nullfs", "procfs", "tmpfs", "unionfs", NULL
	};
	unsigned i;

	if ((sf->f_flags & MNT_RDONLY) != 0 || (sf->f_flags & MNT_LOCAL) == 0)
		return (KIND_SKIP);
	for (i = 0; without[i] != NULL; i++)
		if (strcmp(sf->f_fstypename, without[i]) == 0)
			return (KIND_SKIP);
	if (strcmp(sf->f_fstypename, "ufs") == 0)
		return (KIND_SUSPEND);
	if (strcmp(sf->f_fstypename, "zfs") == 0 ||
	    (strcmp(sf->f_fstypename, "msdosfs") == 0 &&
	    strcmp(sf->f_mntonname, EFI) == 0))
		return (KIND_SYNC);
	return (KIND_CANNOT);
}

/* All that is mounted, in the order of mounting; NULL, or to be freed. */
static struct statfs *
mounted(int *count)
{
	struct statfs *sf;
	int n, room;

	n = getfsstat(NULL, 0, MNT_NOWAIT);
	if (n < 0)
		return (NULL);
	/* Something may be mounted meanwhile. */
	room = n + 8;
	sf = calloc((size_t)room, sizeof(*sf));
	if (sf == NULL)
		return (NULL);
	n = getfsstat(sf, room * (long)sizeof(*sf), MNT_NOWAIT);
	if (n < 0) {
		free(sf);
		return (NULL);
	}
	*count = n;
	return (sf);
}

static bool
check(const struct statfs *sf, int count)
{
	bool ok, ufs;
	int i;

	ok = true;
	ufs = false;
	for (i = 0; i < count; i++) {
		if (classify(&sf[i]) == KIND_SUSPEND)
			ufs = true;
		if (classify(&sf[i]) != KIND_CANNOT)
			continue;
		hvd_log(LOG_ERR, "%s: %s cannot be frozen, so there is no "
		    "backup", sf[i].f_mntonname, sf[i].f_fstypename);
		ok = false;
	}
	if (ufs && access(_PATH_UFSSUSPEND, R_OK | W_OK) != 0) {
		hvd_log(LOG_ERR, "%s: %s", _PATH_UFSSUSPEND, strerror(errno));
		ok = false;
	}
	return (ok);
}

bool
vss_fs_check(void)
{
	struct statfs *sf;
	bool ok;
	int count;

	sf = mounted(&count);
	if (sf == NULL) {
		hvd_log(LOG_ERR, "mounted file systems: %s", strerror(errno));
		return (false);
	}
	ok = check(sf, count);
	free(sf);
	return (ok);
}

static bool
suspend(const struct statfs *sf)
{
	fsid_t id = sf->f_fsid;
	int error, fd;

	fd = open(_PATH_UFSSUSPEND, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, UFSSUSPEND, &id) == 0) {
		held.fd[held.count++] = fd;
		return (true);
	}
	error = errno;
	if (fd >= 0)
		(void)close(fd);
	/* Unmounted in the meantime. */
	if (fd >= 0 && error == ENOENT)
		return (true);
	hvd_log(LOG_ERR, "%s: cannot be suspended: %s%s", sf->f_mntonname,
	    strerror(error), error == EDEADLK ? " (does standard error go to "
	    "a file on it?)" : "");
	return (false);
}

/*
 * The last mounted first: what one file system stores in a file of another,
 * through md(4), gets there before that stands still.  All is synced before, so
 * that little is left to be written when each is suspended.
 */
static bool
freeze(const struct statfs *sf, int count)
{
	int i;

	held.fd = calloc((size_t)count + 1, sizeof(*held.fd));
	if (held.fd == NULL) {
		hvd_log(LOG_ERR, "no memory");
		return (false);
	}
	held.count = 0;
	sync();
	hvd_log_hold();
	for (i = count - 1; i >= 0; i--) {
		if (classify(&sf[i]) == KIND_SUSPEND && !suspend(&sf[i])) {
			vss_fs_thaw();
			return (false);
		}
	}
	return (true);
}

bool
vss_fs_freeze(void)
{
	struct statfs *sf;
	bool ok;
	int count;

	if (vss_fs_frozen())
		return (false);
	sf = mounted(&count);
	if (sf == NULL) {
		hvd_log(LOG_ERR, "mounted file systems: %s", strerror(errno));
		return (false);
	}
	ok = check(sf, count) && freeze(sf, count);
	free(sf);
	return (ok);
}

/* In reverse, so that what is below moves first. */
void
vss_fs_thaw(void)
{
	int fd;

	if (!vss_fs_frozen())
		return;
	while (held.count > 0) {
		fd = held.fd[--held.count];
		if (ioctl(fd, UFSRESUME) != 0)
			hvd_log(LOG_WARNING, "resuming: %s", strerror(errno));
		(void)close(fd);
	}
	free(held.fd);
	held.fd = NULL;
	hvd_log_release();
}

bool
vss_fs_frozen(void)
{

	return (held.fd != NULL);
}
