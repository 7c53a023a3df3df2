/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `fs': file systems and files.
 *
 *	fs mount TYPE FROM ON [OPTION[=VALUE]...]
 *	fs umount ON [force]
 *	fs mounts			from, on, type, whether read-only
 *	fs ls DIR | cat FILE | sum FILE | rm FILE | mkdir DIR
 *	fs write FILE TEXT
 *	fs fill DIR FILES SIZE SEED	writes files of up to SIZE bytes
 *	fs check DIR FILES SIZE SEED	reads them and compares
 *	fs sync
 *
 * FROM is `-' for a file system that is on no device.
 */

#include <sys/param.h>
#include <sys/dirent.h>
#include <sys/errno.h>
#include <sys/mount.h>

#include "commands.h"
#include "lib.h"

#define	OPTIONS_MAX	16
#define	CHUNK		(64 << 10)

struct options {
	struct iovec	 iov[2 * OPTIONS_MAX];
	unsigned	 n;
};

static void
option(struct options *o, const char *name, void *value, size_t size)
{

	if (o->n + 2 > nitems(o->iov))
		return;
	o->iov[o->n].iov_base = __DECONST(char *, name);
	o->iov[o->n++].iov_len = strlen(name) + 1;
	o->iov[o->n].iov_base = value;
	o->iov[o->n++].iov_len = size;
}

static int
fs_mount(int argc, char **argv)
{
	struct options o = { .n = 0 };
	char why[256], *value;
	int i, error;

	if (argc < 5)
		return (complain(EINVAL, "fs mount"));
	why[0] = '\0';
	option(&o, "fstype", argv[2], strlen(argv[2]) + 1);
	option(&o, "fspath", argv[4], strlen(argv[4]) + 1);
	option(&o, "errmsg", why, sizeof(why));
	if (strcmp(argv[3], "-") != 0)
		option(&o, "from", argv[3], strlen(argv[3]) + 1);
	for (i = 5; i < argc; i++) {
		value = strchr(argv[i], '=');
		if (value != NULL)
			*value++ = '\0';
		option(&o, argv[i], value, value != NULL ?
		    strlen(value) + 1 : 0);
	}
	error = (int)sys(SYS_nmount, P(o.iov), o.n, 0, 0, 0, 0);
	return (error == 0 ? 0 : complain(error, "mount %s on %s: %s",
	    argv[3], argv[4], why));
}

static int
fs_mounts(void)
{
	static struct statfs list[32];
	long n, i;

	n = sys(SYS_getfsstat, P(list), sizeof(list), MNT_NOWAIT, 0, 0, 0);
	if (n < 0)
		return (complain(n, "getfsstat"));
	for (i = 0; i < n; i++)
		print("%s %s %s %s\n", list[i].f_mntfromname,
		    list[i].f_mntonname, list[i].f_fstypename,
		    list[i].f_flags & MNT_RDONLY ? "ro" : "rw");
	return (0);
}

static int
fs_ls(const char *path)
{
	static char buf[8192];
	const struct dirent *d;
	off_t base;
	long n, at;
	int fd;

	fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return (complain(fd, "%s", path));
	while ((n = sys(SYS_getdirentries, fd, P(buf), sizeof(buf), P(&base),
	    0, 0)) > 0)
		for (at = 0; at < n; at += d->d_reclen) {
			d = (const void *)(buf + at);
			if (d->d_fileno != 0 && strcmp(d->d_name, ".") != 0 &&
			    strcmp(d->d_name, "..") != 0)
				print("%s\n", d->d_name);
		}
	sys_close(fd);
	return (n == 0 ? 0 : complain(n, "%s", path));
}

/* Prints a file, or its sum. */
static int
fs_read(const char *path, bool sum)
{
	struct sha256 s;
	char *buf;
	long n;
	int fd;

	fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return (complain(fd, "%s", path));
	buf = mem_get(CHUNK);
	sha256_init(&s);
	while ((n = sys_read(fd, buf, CHUNK)) > 0) {
		if (sum)
			sha256_update(&s, buf, (size_t)n);
		else
			out(buf, (size_t)n);
	}
	if (sum && n == 0)
		sha256_print(&s);
	mem_put(buf, CHUNK);
	sys_close(fd);
	return (n == 0 ? 0 : complain(n, "%s", path));
}

static int
fs_write(const char *path, const char *text)
{
	int fd, error;

	fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return (complain(fd, "%s", path));
	error = write_all(fd, text, strlen(text), 0);
	if (error == 0)
		error = -sys_fsync(fd);
	sys_close(fd);
	return (error == 0 ? 0 : complain(error, "%s", path));
}

/* A file of the tree: its size depends on its number, as its bytes do. */
static int
tree_file(const char *path, size_t size, uint64_t seed, bool fill, char *buf)
{
	size_t done, part;
	ssize_t at;
	int fd, error;

	fd = sys_open(path, fill ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY,
	    0644);
	if (fd < 0)
		return (complain(fd, "%s", path));
	for (done = 0, error = 0; done < size && error == 0; done += part) {
		part = MIN(size - done, CHUNK);
		if (fill) {
			pattern_fill(buf, part, seed, done);
			error = write_all(fd, buf, part, (off_t)done);
			continue;
		}
		error = read_all(fd, buf, part, (off_t)done);
		at = error == 0 ? pattern_check(buf, part, seed, done) : -1;
		if (at >= 0) {
			print("%s: other bytes at %zu\n", path,
			    done + (size_t)at);
			sys_close(fd);
			return (EILSEQ);
		}
	}
	sys_close(fd);
	return (error == 0 ? 0 : complain(error, "%s", path));
}

static int
fs_tree(const char *dir, int argc, char **argv, bool fill)
{
	uint64_t files = argument(argc, argv, 3, 16);
	uint64_t most = argument(argc, argv, 4, 256 << 10);
	uint64_t seed = argument(argc, argv, 5, 1);
	uint64_t i, size, total = 0;
	char path[512], *buf;
	int error = 0;

	buf = mem_get(CHUNK);
	for (i = 0; i < files && error == 0; i++) {
		if (i % 16 == 0) {
			format(path, sizeof(path), "%s/d%ju", dir,
			    (uintmax_t)(i / 16));
			if (fill)
				(void)sys(SYS_mkdirat, AT_FDCWD, P(path),
				    0755, 0, 0, 0);
		}
		format(path, sizeof(path), "%s/d%ju/f%ju", dir,
		    (uintmax_t)(i / 16), (uintmax_t)i);
		size = (i * 7919 + seed * 104729) % (most / 8 + 1) * 8;
		total += size;
		error = tree_file(path, size, seed + i, fill, buf);
	}
	mem_put(buf, CHUNK);
	if (error == 0)
		print("%ju files, %ju bytes\n", (uintmax_t)files,
		    (uintmax_t)total);
	return (error);
}

int
cmd_fs(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "", *path;
	long error;

	if (strcmp(verb, "mounts") == 0)
		return (fs_mounts());
	if (strcmp(verb, "sync") == 0)
		return ((int)-sys(SYS_sync, 0, 0, 0, 0, 0, 0));
	if (strcmp(verb, "mount") == 0)
		return (fs_mount(argc, argv));
	if (argc < 3)
		return (complain(EINVAL, "fs"));
	path = argv[2];
	if (strcmp(verb, "ls") == 0)
		return (fs_ls(path));
	if (strcmp(verb, "cat") == 0 || strcmp(verb, "sum") == 0)
		return (fs_read(path, verb[0] == 's'));
	if (strcmp(verb, "write") == 0 && argc == 4)
		return (fs_write(path, argv[3]));
	if (strcmp(verb, "fill") == 0 || strcmp(verb, "check") == 0)
		return (fs_tree(path, argc, argv, verb[0] == 'f'));
	if (strcmp(verb, "umount") == 0)
		error = sys(SYS_unmount, P(path), argc > 3 ? MNT_FORCE : 0, 0,
		    0, 0, 0);
	else if (strcmp(verb, "mkdir") == 0)
		error = sys(SYS_mkdirat, AT_FDCWD, P(path), 0755, 0, 0, 0);
	else if (strcmp(verb, "rm") == 0)
		error = sys(SYS_unlink, P(path), 0, 0, 0, 0, 0);
	else
		error = -EINVAL;
	return (error == 0 ? 0 : complain(error, "fs %s %s", verb, path));
}
