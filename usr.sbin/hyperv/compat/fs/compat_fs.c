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
 * 1 if suspending takes until there is a file "go", the errno it fails with or
 * 0.  sync(2) makes a file "synced".
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
#include <unistd.h>

#include <fcntl.h>
#include <paths.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <ufs/ffs/fs.h>

struct line {
	int		 number, waits, error;
	char		 type[MFSNAMELEN], access[8], where[8], name[128];
};

static const char *
place(const char *file)
{
	static char path[512];
	const char *folder = getenv("HV_COMPAT_FS");

	snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : ".",
	    file);
	return (path);
}

static FILE *
mounts(void)
{

	return (fopen(place("mounts"), "re"));
}

void
compat_sync(void)
{
	int fd;

	fd = open(place("synced"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
}

static int
next(FILE *f, struct line *l)
{

	return (fscanf(f, "%d %15s %7s %7s %127s %d %d", &l->number, l->type,
	    l->access, l->where, l->name, &l->waits, &l->error) == 7);
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

	return (place("suspend"));
}

static int
suspend(int fd, int number)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
	    .l_start = number, .l_len = 1 };
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
	while (l.waits != 0 && access(place("go"), F_OK) != 0)
		(void)usleep(1000);
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
