/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `kvp': hv_kvp_daemon(8) itself, its loop, its pools and its capability mode,
 * on the kernel they were written for, with what they want of libc below and
 * in lsvmbus.c.  There is no helper: facts and addresses are not known.
 *
 *	kvp serve		until it is killed, or the device goes
 *	kvp take MS		takes a request, and ends without an answer
 *	kvp files		the pools' files: name and size
 */

#include <sys/param.h>
#include <sys/capsicum.h>
#include <sys/errno.h>
#include <sys/poll.h>
#include <sys/stat.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "lib.h"
#include "usr.sbin/hyperv/common/hvd.h"
#include "usr.sbin/hyperv/hv_kvp_daemon/hv_kvp_daemon.h"

int	 kvp_daemon_main(int, char **);
int	*__error(void);
char	*strcpy(char * restrict, const char * restrict);
void	 tzset(void);

/* --- Of libc: system calls --- */

static long
result(long n)
{

	if (n >= 0)
		return (n);
	*__error() = (int)-n;
	return (-1);
}

int
open(const char *path, int flags, ...)
{

	return ((int)result(sys_open(path, flags, 0)));
}

int
openat(int dir, const char *name, int flags, ...)
{

	return ((int)result(sys(SYS_openat, dir, P(name), flags, 0644, 0,
	    0)));
}

int
close(int fd)
{

	return ((int)result(sys_close(fd)));
}

ssize_t
pread(int fd, void *buf, size_t len, off_t ofs)
{

	return (result(sys_pread(fd, buf, len, ofs)));
}

ssize_t
pwrite(int fd, const void *buf, size_t len, off_t ofs)
{

	return (result(sys_pwrite(fd, buf, len, ofs)));
}

int
fsync(int fd)
{

	return ((int)result(sys_fsync(fd)));
}

int
fstat(int fd, struct stat *st)
{

	return ((int)result(sys_fstat(fd, st)));
}

int
ftruncate(int fd, off_t len)
{

	return ((int)result(sys(SYS_ftruncate, fd, len, 0, 0, 0, 0)));
}

int
fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = P(va_arg(ap, void *));
	va_end(ap);
	return ((int)result(sys(SYS_fcntl, fd, cmd, arg, 0, 0, 0)));
}

int
mkdir(const char *path, mode_t mode)
{

	return ((int)result(sys(SYS_mkdir, P(path), mode, 0, 0, 0, 0)));
}

int
unlinkat(int dir, const char *name, int flag)
{

	return ((int)result(sys(SYS_unlinkat, dir, P(name), flag, 0, 0, 0)));
}

int
renameat(int dir, const char *from, int todir, const char *to)
{

	return ((int)result(sys(SYS_renameat, dir, P(from), todir, P(to), 0,
	    0)));
}

int
linkat(int dir, const char *from, int todir, const char *to, int flag)
{

	return ((int)result(sys(SYS_linkat, dir, P(from), todir, P(to), flag,
	    0)));
}

mode_t
umask(mode_t mask)
{

	return ((mode_t)sys(SYS_umask, mask, 0, 0, 0, 0, 0));
}

int
nanosleep(const struct timespec *ts, struct timespec *left)
{

	return ((int)result(sys(SYS_nanosleep, P(ts), P(left), 0, 0, 0, 0)));
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{

	return ((int)result(sys(SYS_clock_gettime, clock, P(ts), 0, 0, 0,
	    0)));
}

int
cap_enter(void)
{

	return ((int)result(sys(SYS_cap_enter, 0, 0, 0, 0, 0, 0)));
}

int
cap_rights_limit(int fd, const cap_rights_t *rights)
{

	return ((int)result(sys(SYS_cap_rights_limit, fd, P(rights), 0, 0, 0,
	    0)));
}

/* Each right says which of the words it belongs to. */
cap_rights_t *
__cap_rights_init(int version, cap_rights_t *rights, ...)
{
	uint64_t right;
	va_list ap;

	rights->cr_rights[0] = (uint64_t)version << 62 | CAPRIGHT(0, 0);
	rights->cr_rights[1] = CAPRIGHT(1, 0);
	va_start(ap, rights);
	while ((right = va_arg(ap, uint64_t)) != 0)
		rights->cr_rights[(right >> 57 & 31) == 1 ? 0 : 1] |= right;
	va_end(ap);
	return (rights);
}

/* --- Of libc: the rest --- */

/* Nothing is given back before the process ends. */
void *
realloc(void *old, size_t size)
{
	size_t *p;

	p = mem_get(size + 16);
	p[0] = size;
	if (old != NULL)
		memcpy(p + 2, old, MIN(((size_t *)old)[-2], size));
	return (p + 2);
}

char *
strcpy(char * restrict to, const char * restrict from)
{

	memcpy(to, from, strlen(from) + 1);
	return (to);
}

void
tzset(void)
{
}

char *optarg;
FILE *__stderrp;

int
fprintf(FILE * restrict f, const char * restrict fmt, ...)
{

	return (0);
}

void
exit(int status)
{

	out_flush();
	sys_exit(status);
}

void
err(int status, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	print("%s: %s\n", text, error_name(*__error()));
	exit(status);
}

/* --- What daemons have in common --- */

void
hvd_log(int priority, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	print("%s\n", text);
}

void
hvd_start(struct hvd *hd)
{

	hd->hd_fd = open(hd->hd_dev, O_RDWR);
	if (hd->hd_fd < 0)
		err(1, "%s", hd->hd_dev);
}

void
hvd_stop(struct hvd *hd)
{

	(void)close(hd->hd_fd);
}

enum hvd_event
hvd_receive(struct hvd *hd, int ms, void *buf, size_t size, size_t *len)
{
	struct pollfd pfd = { .fd = hd->hd_fd, .events = POLLIN };
	long n;

	if (result(sys(SYS_poll, P(&pfd), 1, ms, 0, 0, 0)) <= 0)
		return (HVD_TIMEOUT);
	n = result(sys_read(hd->hd_fd, buf, size));
	if (n <= 0)
		return (HVD_GONE);
	*len = (size_t)n;
	return (HVD_MESSAGE);
}

bool
hvd_send(struct hvd *hd, const void *buf, size_t len)
{

	return (result(sys_write(hd->hd_fd, buf, len)) == (long)len);
}

int
kvp_helper_start(struct kvp_helper *kh, const struct kvp_ip_config *kc)
{

	kh->kh_fd = open("/dev/null", O_RDWR);
	return (kh->kh_fd < 0 ? *__error() : 0);
}

uint32_t
kvp_helper_do(struct kvp_helper *kh, struct hv_kvp_dev_msg *km)
{

	return (HV_KVP_DEV_FAILED);
}

/* --- The command --- */

static int
kvp_serve(void)
{
	static char name[] = "hv_kvp_daemon";
	char *argv[] = { name, NULL };

	(void)mkdir("/var", 0755);
	(void)mkdir("/var/db", 0755);
	optind = 1;
	return (kvp_daemon_main(1, argv) == 0 ? 0 : EIO);
}

static int
kvp_take(uint64_t ms)
{
	struct hvd hd = { .hd_dev = "/dev/" HV_KVP_DEV_NAME };
	static struct hv_kvp_dev_msg km;
	size_t len;

	hvd_start(&hd);
	km.km_type = HV_KVP_DEV_REGISTER;
	km.km_version = HV_KVP_DEV_VERSION;
	if (!hvd_send(&hd, &km, sizeof(km)) ||
	    hvd_receive(&hd, -1, &km, sizeof(km), &len) != HVD_MESSAGE)
		return (complain(*__error(), "%s", hd.hd_dev));
	print("took operation %u of \"%s\"\n", km.km_op,
	    km.km_op < HV_KVP_DEV_GET_IP ? km.km_kv.kv_key :
	    km.km_ip.ip_adapter);
	out_flush();
	sleep_ms(ms);
	return (0);
}

static int
kvp_files(void)
{
	struct stat st;
	char name[64];
	int fd, i;

	for (i = 0; i < HV_KVP_DEV_POOLS; i++) {
		(void)format(name, sizeof(name),
		    "/var/db/hyperv/pool/.kvp_pool_%d", i);
		fd = sys_open(name, O_RDONLY, 0);
		if (fd < 0)
			continue;
		if (sys_fstat(fd, &st) == 0)
			print("%d %ju\n", i, (uintmax_t)st.st_size);
		(void)sys_close(fd);
	}
	return (0);
}

int
cmd_kvp(int argc, char **argv)
{

	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		return (kvp_serve());
	if (argc == 2 && strcmp(argv[1], "files") == 0)
		return (kvp_files());
	if (argc == 3 && strcmp(argv[1], "take") == 0)
		return (kvp_take(argument(argc, argv, 2, 0)));
	return (complain(EINVAL, "kvp"));
}
