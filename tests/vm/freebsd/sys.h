/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * System calls of FreeBSD without libc.  All return -errno where libc's would
 * return -1 and set errno.
 */

#ifndef _TESTS_VM_FREEBSD_SYS_H_
#define	_TESTS_VM_FREEBSD_SYS_H_

#include <sys/param.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <fcntl.h>
#include <time.h>

/* Six arguments at the most; each a long or a pointer made one by P(). */
long	 sys(long, long, long, long, long, long, long);

#define	P(p)		((long)(uintptr_t)(p))

/*
 * What the kernel left on the stack: the number of arguments, the arguments,
 * NULL, the environment, NULL, and the auxiliary vector.
 */
extern const uintptr_t *start_args;

static inline int
sys_open(const char *path, int flags, int mode)
{

	return ((int)sys(SYS_openat, AT_FDCWD, P(path), flags, mode, 0, 0));
}

static inline int
sys_close(int fd)
{

	return ((int)sys(SYS_close, fd, 0, 0, 0, 0, 0));
}

static inline long
sys_read(int fd, void *buf, size_t size)
{

	return (sys(SYS_read, fd, P(buf), (long)size, 0, 0, 0));
}

static inline long
sys_write(int fd, const void *buf, size_t size)
{

	return (sys(SYS_write, fd, P(buf), (long)size, 0, 0, 0));
}

static inline long
sys_pread(int fd, void *buf, size_t size, off_t at)
{

	return (sys(SYS_pread, fd, P(buf), (long)size, at, 0, 0));
}

static inline long
sys_pwrite(int fd, const void *buf, size_t size, off_t at)
{

	return (sys(SYS_pwrite, fd, P(buf), (long)size, at, 0, 0));
}

static inline int
sys_ioctl(int fd, unsigned long request, void *arg)
{

	return ((int)sys(SYS_ioctl, fd, (long)request, P(arg), 0, 0, 0));
}

static inline int
sys_fstat(int fd, struct stat *st)
{

	return ((int)sys(SYS_fstat, fd, P(st), 0, 0, 0, 0));
}

static inline int
sys_fsync(int fd)
{

	return ((int)sys(SYS_fsync, fd, 0, 0, 0, 0, 0));
}

static inline int
sys_fork(void)
{

	return ((int)sys(SYS_fork, 0, 0, 0, 0, 0, 0));
}

static inline int
sys_kill(int pid, int signal)
{

	return ((int)sys(SYS_kill, pid, signal, 0, 0, 0, 0));
}

static inline int
sys_wait4(int pid, int *status, int options)
{

	return ((int)sys(SYS_wait4, pid, P(status), options, 0, 0, 0));
}

__attribute__((noreturn)) static inline void
sys_exit(int status)
{

	for (;;)
		(void)sys(SYS_exit, status, 0, 0, 0, 0, 0);
}

/* Memory: NULL if there is none. */
static inline void *
sys_mmap(size_t size, int flags)
{
	long at;

	at = sys(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
	    MAP_ANON | flags, -1, 0);
	return (at < 0 ? NULL : (void *)(uintptr_t)at);
}

static inline void
sys_munmap(void *p, size_t size)
{

	(void)sys(SYS_munmap, P(p), (long)size, 0, 0, 0, 0);
}

static inline int
sys_sysctl(const int *mib, size_t len, void *old, size_t *oldlen,
    const void *new, size_t newlen)
{

	return ((int)sys(SYS___sysctl, P(mib), (long)len, P(old), P(oldlen),
	    P(new), (long)newlen));
}

#endif /* !_TESTS_VM_FREEBSD_SYS_H_ */
