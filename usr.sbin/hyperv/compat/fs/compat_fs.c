/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Mounted file systems that can be suspended, for tests.  $HV_COMPAT_FS names a
 * folder with two files: "mounts", a line for each file system, and "suspend",
 * which stands for /dev/ufssuspend.
 *
 * A line: number, type, "ro" or "rw", "local" or "remote", mount point,
 * milliseconds that suspending takes, the errno it fails with or 0.
 *
 * A file system with the number N is suspended while byte N of "suspend" is
 * locked by an open file description: as with UFS, that ends with the process,
 * and others can see it.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fcntl.h>
#include <paths.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <ufs/ffs/fs.h>

struct line {
	int		 number, ms, error;
	char		 type[MFSNAMELEN], access[8], where[8], name[128];
};

static FILE *
mounts(void)
{
	const char *folder = getenv("HV_COMPAT_FS");
	char path[512];

	snprintf(path, sizeof(path), "%s/mounts", folder != NULL ? folder :
	    ".");
	return (fopen(path, "re"));
}

static int
next(FILE *f, struct line *l)
{

	return (fscanf(f, "%d %15s %7s %7s %127s %d %d", &l->number, l->type,
	    l->access, l->where, l->name, &l->ms, &l->error) == 7);
}

int
getfsstat(struct compat_statfs *buf, long bufsize, int mode)
{
	struct compat_statfs *sf;
	struct line l;
	int n = 0;
	FILE *f;

	(void)mode;
	f = mounts();
	if (f == NULL)
		return (-1);
	while (next(f, &l)) {
		if (buf != NULL) {
			if ((n + 1) * (long)sizeof(*buf) > bufsize)
				break;
			sf = &buf[n];
			memset(sf, 0, sizeof(*sf));
			sf->f_fsid.val[0] = l.number;
			strcpy(sf->f_fstypename, l.type);
			strcpy(sf->f_mntonname, l.name);
			if (strcmp(l.access, "ro") == 0)
				sf->f_flags |= MNT_RDONLY;
			if (strcmp(l.where, "local") == 0)
				sf->f_flags |= MNT_LOCAL;
		}
		n++;
	}
	fclose(f);
	return (n);
}

const char *
compat_ufssuspend(void)
{
	static char path[512];
	const char *folder = getenv("HV_COMPAT_FS");

	snprintf(path, sizeof(path), "%s/suspend", folder != NULL ? folder :
	    ".");
	return (path);
}

static int
suspend(int fd, int number)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
	    .l_start = number, .l_len = 1 };
	struct timespec ts;
	struct line l;
	FILE *f;

	f = mounts();
	if (f == NULL)
		return (-1);
	do {
		if (!next(f, &l)) {
			fclose(f);
			errno = ENOENT;
			return (-1);
		}
	} while (l.number != number);
	fclose(f);
	ts.tv_sec = l.ms / 1000;
	ts.tv_nsec = l.ms % 1000 * 1000000L;
	(void)nanosleep(&ts, NULL);
	if (l.error != 0) {
		errno = l.error;
		return (-1);
	}
	return (fcntl(fd, F_OFD_SETLK, &lock));
}

int
compat_ioctl(int fd, unsigned long request, ...)
{
	struct flock unlock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	const struct compat_fsid *id;
	va_list ap;

	switch (request) {
	case UFSSUSPEND:
		va_start(ap, request);
		id = va_arg(ap, const struct compat_fsid *);
		va_end(ap);
		return (suspend(fd, id->val[0]));
	case UFSRESUME:
		return (fcntl(fd, F_OFD_SETLK, &unlock));
	default:
		errno = ENOTTY;
		return (-1);
	}
}
