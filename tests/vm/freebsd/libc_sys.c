/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * System calls by the names that daemons know them by, their pid file and their
 * log, which is the console or the job's output.
 */

#include <sys/param.h>
#include <sys/capsicum.h>
#include <sys/errno.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <err.h>
#include <libutil.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "lib.h"
#include "libc.h"

#define	CALL5(n, a, b, c, d, e)						\
	libc_result(sys(n, (long)(a), (long)(b), (long)(c), (long)(d),	\
	    (long)(e), 0))
#define	CALL4(n, a, b, c, d)	CALL5(n, a, b, c, d, 0)
#define	CALL(n, a, b, c)	CALL5(n, a, b, c, 0, 0)

struct pidfh {
	int		 pf_fd;
	const char	*pf_path;
};

FILE	*__stderrp;

/* --- Files --- */

int
open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, int) : 0;
	va_end(ap);
	return (libc_result(sys_open(path, flags, mode)));
}

int
openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, int) : 0;
	va_end(ap);
	return (CALL4(SYS_openat, dir, P(path), flags, mode));
}

int
close(int fd)
{

	return (libc_result(sys_close(fd)));
}

ssize_t
read(int fd, void *buf, size_t n)
{

	return (libc_result(sys_read(fd, buf, n)));
}

ssize_t
write(int fd, const void *buf, size_t n)
{

	return (libc_result(sys_write(fd, buf, n)));
}

ssize_t
pwrite(int fd, const void *buf, size_t n, off_t at)
{

	return (libc_result(sys_pwrite(fd, buf, n, at)));
}

int
fsync(int fd)
{

	return (libc_result(sys_fsync(fd)));
}

int
ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = (request & IOC_INOUT) != 0 ? va_arg(ap, void *) : NULL;
	va_end(ap);
	return (libc_result(sys_ioctl(fd, request, arg)));
}

int
dup2(int from, int to)
{

	return (CALL(SYS_dup2, from, to, 0));
}

int
access(const char *path, int mode)
{

	return (CALL(SYS_access, P(path), mode, 0));
}

int
unlink(const char *path)
{

	return (CALL(SYS_unlink, P(path), 0, 0));
}

int
unlinkat(int dir, const char *path, int flags)
{

	return (CALL(SYS_unlinkat, dir, P(path), flags));
}

int
mkdir(const char *path, mode_t mode)
{

	return (CALL(SYS_mkdir, P(path), mode, 0));
}

int
mkdirat(int dir, const char *path, mode_t mode)
{

	return (CALL(SYS_mkdirat, dir, P(path), mode));
}

int
symlinkat(const char *text, int dir, const char *path)
{

	return (CALL(SYS_symlinkat, P(text), dir, P(path)));
}

ssize_t
readlinkat(int dir, const char * restrict path, char * restrict buf, size_t n)
{

	return (CALL4(SYS_readlinkat, dir, P(path), P(buf), n));
}

int
linkat(int from, const char *a, int to, const char *b, int flags)
{

	return (CALL5(SYS_linkat, from, P(a), to, P(b), flags));
}

int
renameat(int from, const char *a, int to, const char *b)
{

	return (CALL4(SYS_renameat, from, P(a), to, P(b)));
}

int
fstatat(int dir, const char *path, struct stat *st, int flags)
{

	return (CALL4(SYS_fstatat, dir, P(path), P(st), flags));
}

int
fstatvfs(int fd, struct statvfs *vfs)
{
	struct statfs sf;
	int error;

	error = CALL(SYS_fstatfs, fd, P(&sf), 0);
	if (error != 0)
		return (error);
	memset(vfs, 0, sizeof(*vfs));
	vfs->f_frsize = sf.f_bsize;
	vfs->f_bavail = sf.f_bavail > 0 ? (fsblkcnt_t)sf.f_bavail : 0;
	return (0);
}

int
getfsstat(struct statfs *buf, long size, int mode)
{

	return (CALL(SYS_getfsstat, P(buf), size, mode));
}

void
sync(void)
{

	(void)CALL(SYS_sync, 0, 0, 0);
}

mode_t
umask(mode_t mode)
{

	return ((mode_t)CALL(SYS_umask, mode, 0, 0));
}

/* --- The process --- */

int
mlockall(int flags)
{

	return (CALL(SYS_mlockall, flags, 0, 0));
}

int
cap_enter(void)
{

	return (CALL(SYS_cap_enter, 0, 0, 0));
}

int
cap_rights_limit(int fd, const cap_rights_t *rights)
{

	return (CALL(SYS_cap_rights_limit, fd, P(rights), 0));
}

/* Each right has its word's index in it, as one bit of five. */
cap_rights_t *
__cap_rights_init(int version, cap_rights_t *rights, ...)
{
	uint64_t right;
	va_list ap;
	int i;

	for (i = 0; i < CAP_RIGHTS_VERSION + 2; i++)
		rights->cr_rights[i] = CAPRIGHT(i, 0ULL);
	rights->cr_rights[0] |= (uint64_t)version << 62;
	va_start(ap, rights);
	while ((right = va_arg(ap, uint64_t)) != 0) {
		i = (int)(right >> 57 & 0x1f);
		rights->cr_rights[i == 1 ? 0 : 1] |= right;
	}
	va_end(ap);
	return (rights);
}

int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec * restrict ts,
    const sigset_t * restrict set)
{

	return (CALL4(SYS_ppoll, P(fds), n, P(ts), P(set)));
}

int
sigaction(int sig, const struct sigaction * restrict sa,
    struct sigaction * restrict old)
{

	return (CALL(SYS_sigaction, sig, P(sa), P(old)));
}

int
sigprocmask(int how, const sigset_t * restrict set, sigset_t * restrict old)
{

	return (CALL(SYS_sigprocmask, how, P(set), P(old)));
}

int
sigemptyset(sigset_t *set)
{

	memset(set, 0, sizeof(*set));
	return (0);
}

int
sigaddset(sigset_t *set, int sig)
{

	set->__bits[_SIG_WORD(sig)] |= _SIG_BIT(sig);
	return (0);
}

int
sigdelset(sigset_t *set, int sig)
{

	set->__bits[_SIG_WORD(sig)] &= ~_SIG_BIT(sig);
	return (0);
}

/* A job is in the background already. */
int
daemon(int nochdir, int noclose)
{

	return (0);
}

void
exit(int status)
{

	out_flush();
	sys_exit(status);
}

/* --- The pid file: open for writing, and locked, as libutil has it --- */

struct pidfh *
pidfile_open(const char *path, mode_t mode, pid_t *other)
{
	static struct pidfh pf;

	pf.pf_path = path;
	pf.pf_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_EXLOCK |
	    O_NONBLOCK, mode);
	return (pf.pf_fd >= 0 ? &pf : NULL);
}

int
pidfile_write(struct pidfh *pf)
{
	char text[16];
	int n;

	n = format(text, sizeof(text), "%d", (int)sys(SYS_getpid, 0, 0, 0, 0,
	    0, 0));
	return (pwrite(pf->pf_fd, text, (size_t)n, 0) == n ? 0 : -1);
}

int
pidfile_close(struct pidfh *pf)
{

	return (close(pf->pf_fd));
}

int
pidfile_remove(struct pidfh *pf)
{

	(void)unlink(pf->pf_path);
	return (close(pf->pf_fd));
}

/* --- What is said --- */

static void
say(const char *f, va_list ap)
{
	char text[256];

	(void)vformat(text, sizeof(text), f, ap);
	print("%s\n", text);
	out_flush();
}

void
openlog(const char *name, int options, int facility)
{
}

void
syslog(int priority, const char *f, ...)
{
	va_list ap;

	va_start(ap, f);
	say(f, ap);
	va_end(ap);
}

int
fprintf(FILE * restrict to, const char * restrict f, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, f);
	n = vformat(text, sizeof(text), f, ap);
	va_end(ap);
	print("%s", text);
	out_flush();
	return (n);
}

void
errx(int status, const char *f, ...)
{
	va_list ap;

	va_start(ap, f);
	say(f, ap);
	va_end(ap);
	exit(status);
}

void
err(int status, const char *f, ...)
{
	va_list ap;

	print("%s: ", error_name(errno));
	va_start(ap, f);
	say(f, ap);
	va_end(ap);
	exit(status);
}
