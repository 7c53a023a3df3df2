/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The file that is being copied.  Nobody sees it before it is complete: it is
 * written under another name in its own folder, and then linked or renamed.  No
 * step follows a symbolic link or leaves the directory: each folder is opened
 * from the one before by its plain name (in capability mode the kernel would
 * not let it be otherwise either).
 *
 * What a daemon that was killed has left is found by the next one: before a
 * part is made, a symbolic link in the directory says where; it is only ever
 * read.
 */

#include <sys/types.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fcopy.h"

#define	FOLDER_FLAGS	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | \
	O_RESOLVE_BENEATH)

/* --- Folders --- */

/* The folder of the file; -1, errno. */
static int
folder_open(int root, const struct fcopy_path *fp, bool create)
{
	int dir, next;
	unsigned i;

	dir = openat(root, ".", FOLDER_FLAGS);
	for (i = 0; dir >= 0 && i + 1 < fp->count; i++) {
		if (create && mkdirat(dir, fp->name[i], 0755) != 0 &&
		    errno != EEXIST)
			next = -1;
		else
			next = openat(dir, fp->name[i], FOLDER_FLAGS);
		(void)close(dir);
		dir = next;
	}
	return (dir);
}

/* --- What was left behind --- */

/* Where the part will be, as the link has it: "a/b/.hv_fcopy.part". */
static int
pending_note(struct fcopy *fc, const struct fcopy_path *fp)
{
	char text[FCOPY_PATH_MAX + sizeof(FCOPY_PART)];
	size_t len = 0;
	unsigned i;

	for (i = 0; i + 1 < fp->count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s/",
		    fp->name[i]);
	(void)snprintf(text + len, sizeof(text) - len, "%s", FCOPY_PART);
	(void)unlinkat(fc->root, FCOPY_PENDING, 0);
	return (symlinkat(text, fc->root, FCOPY_PENDING));
}

static void
pending_forget(struct fcopy *fc)
{

	(void)unlinkat(fc->root, FCOPY_PENDING, 0);
}

/*
 * Anybody who can write to the directory may have made the link: it is taken
 * apart like a name of the host's, and names no file but a part.
 */
static void
pending_remove(struct fcopy *fc)
{
	struct fcopy_path fp = { .count = 0 };
	char *p, *slash;
	ssize_t n;
	int dir;

	n = readlinkat(fc->root, FCOPY_PENDING, fp.text, sizeof(fp.text) - 1);
	if (n < 0)
		return;
	fp.text[n] = '\0';
	for (p = fp.text; fp.count < FCOPY_COMPONENTS; p = slash + 1) {
		slash = strchr(p, '/');
		if (slash != NULL)
			*slash = '\0';
		if (*p == '\0' || strcmp(p, ".") == 0 || strcmp(p, "..") == 0)
			break;
		fp.name[fp.count++] = p;
		if (slash != NULL)
			continue;
		dir = folder_open(fc->root, &fp, false);
		if (dir >= 0) {
			(void)unlinkat(dir, FCOPY_PART, 0);
			(void)close(dir);
		}
		break;
	}
	pending_forget(fc);
}

/* --- The file --- */

static void
file_close(struct fcopy *fc)
{

	if (fc->fd >= 0)
		(void)close(fc->fd);
	if (fc->dir >= 0)
		(void)close(fc->dir);
	fc->fd = fc->dir = -1;
}

void
fcopy_init(struct fcopy *fc, int root)
{

	memset(fc, 0, sizeof(*fc));
	fc->root = root;
	fc->fd = fc->dir = -1;
	pending_remove(fc);
}

bool
fcopy_active(const struct fcopy *fc)
{

	return (fc->dir >= 0);
}

void
fcopy_cancel(struct fcopy *fc)
{

	if (!fcopy_active(fc))
		return;
	if (fc->fd >= 0)
		(void)unlinkat(fc->dir, FCOPY_PART, 0);
	file_close(fc);
	pending_forget(fc);
}

/* Whether it could be put there at the end, so that nothing is sent in vain. */
static int
target_check(struct fcopy *fc)
{
	struct statvfs vfs;
	struct stat st;

	if (fstatat(fc->dir, fc->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!fc->overwrite)
			return (EEXIST);
		if (!S_ISREG(st.st_mode))
			return (EACCES);
	} else if (errno != ENOENT)
		return (errno);
	if (fstatvfs(fc->dir, &vfs) == 0 && vfs.f_frsize != 0 &&
	    fc->size / vfs.f_frsize >= vfs.f_bavail)
		return (ENOSPC);
	return (0);
}

static int
part_create(struct fcopy *fc)
{

	/* Not through an older one's name, whoever left it there. */
	if (unlinkat(fc->dir, FCOPY_PART, 0) != 0 && errno != ENOENT)
		return (errno);
	fc->fd = openat(fc->dir, FCOPY_PART, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC | O_RESOLVE_BENEATH, 0644);
	return (fc->fd < 0 ? errno : 0);
}

int
fcopy_start(struct fcopy *fc, const struct fcopy_path *fp, uint64_t size,
    bool overwrite, bool create_path)
{
	int error;

	fcopy_cancel(fc);
	if (size > INT64_MAX)
		return (EFBIG);
	fc->dir = folder_open(fc->root, fp, create_path);
	if (fc->dir < 0)
		return (errno);
	fc->size = size;
	fc->have = 0;
	fc->overwrite = overwrite;
	(void)snprintf(fc->name, sizeof(fc->name), "%s",
	    fp->name[fp->count - 1]);
	error = target_check(fc);
	if (error == 0 && pending_note(fc, fp) != 0)
		error = errno;
	if (error == 0)
		error = part_create(fc);
	if (error != 0)
		fcopy_cancel(fc);
	return (error);
}

static int
part_write(int fd, const char *data, size_t len, uint64_t offset)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n, offset += (size_t)n) {
		n = pwrite(fd, data, len, (off_t)offset);
		if (n == 0)
			return (EIO);
		if (n < 0) {
			if (errno != EINTR)
				return (errno);
			n = 0;
		}
	}
	return (0);
}

/* A piece may come again, but none may be left out. */
int
fcopy_write(struct fcopy *fc, uint64_t offset, const void *data, size_t len)
{
	int error;

	if (!fcopy_active(fc))
		return (EINVAL);
	if (offset > fc->have || len > fc->size - offset)
		error = EINVAL;
	else
		error = part_write(fc->fd, data, len, offset);
	if (error != 0)
		fcopy_cancel(fc);
	else if (offset + len > fc->have)
		fc->have = offset + len;
	return (error);
}

/*
 * In place of what is there, or only where nothing is; and what has a name then
 * has its contents, also after a crash.
 */
int
fcopy_complete(struct fcopy *fc)
{
	int error = 0;

	if (!fcopy_active(fc))
		return (EINVAL);
	if (fc->have != fc->size)
		error = EINVAL;
	else if (fsync(fc->fd) != 0)
		error = errno;
	else if (fc->overwrite) {
		if (renameat(fc->dir, FCOPY_PART, fc->dir, fc->name) != 0)
			error = errno;
	} else if (linkat(fc->dir, FCOPY_PART, fc->dir, fc->name, 0) != 0)
		error = errno;
	if (error == 0 && fsync(fc->dir) != 0)
		error = errno;
	fcopy_cancel(fc);
	return (error);
}
