/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See fake_fs.h. */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fake_fs.h"

ssize_t	__real_pwrite64(int fd, const void *buf, size_t len, off_t ofs);
int	__real_fsync(int fd);
int	__real_ftruncate64(int fd, off_t len);
int	__real_renameat(int fd, const char *from, int tofd, const char *to);
int	__real_unlinkat(int fd, const char *name, int flag);
int	__real_linkat(int fd, const char *from, int tofd, const char *to,
	    int flag);
ssize_t	__wrap_pwrite64(int fd, const void *buf, size_t len, off_t ofs);
int	__wrap_fsync(int fd);
int	__wrap_ftruncate64(int fd, off_t len);
int	__wrap_renameat(int fd, const char *from, int tofd, const char *to);
int	__wrap_unlinkat(int fd, const char *name, int flag);
int	__wrap_linkat(int fd, const char *from, int tofd, const char *to,
	    int flag);

#define	WRITES	256

/* Writes that no fsync(2) has followed, by a descriptor of our own. */
static struct {
	int	 fd;
	ino_t	 ino;
	off_t	 ofs;
	size_t	 len;
} unsynced[WRITES];
static unsigned nunsynced;

static struct {
	enum fake_fs_fault fault;
	unsigned n, struck;
	int	 error;
	bool	 always;
} armed;
static unsigned syncs;

void
fake_fs_arm(enum fake_fs_fault fault, unsigned n, int error, bool always)
{

	armed.fault = fault;
	armed.n = n;
	armed.error = error;
	armed.always = always;
	armed.struck = 0;
}

unsigned
fake_fs_struck(void)
{

	return (armed.struck);
}

unsigned
fake_fs_syncs(void)
{

	return (syncs);
}

/*
 * Of each such write the first half is there, the rest is zeros; what the last
 * one added to its file ends there.
 */
static void
tear(void)
{
	static const char zeros[65536];
	size_t half, n;
	unsigned i;

	for (i = 0; i < nunsynced; i++) {
		half = unsynced[i].len / 2;
		n = half < sizeof(zeros) ? half : sizeof(zeros);
		if (i + 1 == nunsynced)
			(void)!__real_ftruncate64(unsynced[i].fd,
			    unsynced[i].ofs + (off_t)half);
		else
			(void)!__real_pwrite64(unsynced[i].fd, zeros, n,
			    unsynced[i].ofs + (off_t)half);
	}
}

/* Whether this call goes wrong; errno is set then. */
static bool
strikes(void)
{

	if (armed.fault == FAKE_FS_NONE || armed.n == 0)
		return (false);
	if (armed.n > 1) {
		armed.n--;
		return (false);
	}
	armed.struck++;
	if (!armed.always)
		armed.n = 0;
	if (armed.fault == FAKE_FS_POWER)
		tear();
	if (armed.fault == FAKE_FS_POWER || armed.fault == FAKE_FS_KILL)
		_exit(FAKE_FS_ENDED);
	errno = armed.error;
	return (true);
}

ssize_t
__wrap_pwrite64(int fd, const void *buf, size_t len, off_t ofs)
{
	struct stat st;
	bool bad;

	bad = strikes();
	if (bad && armed.fault != FAKE_FS_SHORT)
		return (-1);
	if (bad)
		len /= 2;
	if (fstat(fd, &st) == 0 && nunsynced < WRITES) {
		unsynced[nunsynced].fd = dup(fd);
		unsynced[nunsynced].ino = st.st_ino;
		unsynced[nunsynced].ofs = ofs;
		unsynced[nunsynced++].len = len;
	}
	/* What follows a short write finds no room at all. */
	if (bad) {
		armed.fault = FAKE_FS_ERROR;
		armed.n = 1;
	}
	return (__real_pwrite64(fd, buf, len, ofs));
}

int
__wrap_fsync(int fd)
{
	struct stat st;
	unsigned i, n;

	if (strikes())
		return (-1);
	syncs++;
	if (fstat(fd, &st) == 0) {
		for (i = n = 0; i < nunsynced; i++) {
			if (unsynced[i].ino == st.st_ino)
				(void)close(unsynced[i].fd);
			else
				unsynced[n++] = unsynced[i];
		}
		nunsynced = n;
	}
	return (__real_fsync(fd));
}

int
__wrap_ftruncate64(int fd, off_t len)
{

	return (strikes() ? -1 : __real_ftruncate64(fd, len));
}

int
__wrap_renameat(int fd, const char *from, int tofd, const char *to)
{

	return (strikes() ? -1 : __real_renameat(fd, from, tofd, to));
}

int
__wrap_unlinkat(int fd, const char *name, int flag)
{

	return (strikes() ? -1 : __real_unlinkat(fd, name, flag));
}

int
__wrap_linkat(int fd, const char *from, int tofd, const char *to, int flag)
{

	return (strikes() ? -1 : __real_linkat(fd, from, tofd, to, flag));
}
