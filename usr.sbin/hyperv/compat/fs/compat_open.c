/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See fcntl.h. */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <linux/openat2.h>

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>

#undef	open
#undef	openat

static int
connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) != 0) {
		(void)close(fd);
		fd = -1;
	}
	return (fd);
}

int
compat_open(const char *path, int flags, ...)
{
	struct stat st;
	va_list ap;
	mode_t mode;

	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		return (connect_to(path));
	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return (open(path, flags, mode));
}

int
compat_openat(int fd, const char *path, int flags, ...)
{
	struct open_how how = { 0 };
	va_list ap;

	va_start(ap, flags);
	if ((flags & O_CREAT) != 0)
		how.mode = va_arg(ap, mode_t);
	va_end(ap);
	if ((flags & O_RESOLVE_BENEATH) == 0)
		return (openat(fd, path, flags, (mode_t)how.mode));
	how.flags = (unsigned)(flags & ~O_RESOLVE_BENEATH);
	how.resolve = RESOLVE_BENEATH;
	return ((int)syscall(SYS_openat2, fd, path, &how, sizeof(how)));
}
