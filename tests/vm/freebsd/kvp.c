/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `kvp': hv_kvp_daemon(8) itself, its loop, its pools and its capability mode,
 * on the kernel they were written for, with what they want of libc in libc.c
 * and below.  There is no helper: facts and addresses are not known.
 *
 *	kvp serve		until it is killed, or the device goes
 *	kvp take MS		takes a request, and ends without an answer
 *	kvp files		the pools' files: name and size
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/stat.h>

#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "lib.h"
#include "libc.h"
#include "usr.sbin/hyperv/common/hvd.h"
#include "usr.sbin/hyperv/hv_kvp_daemon/hv_kvp_daemon.h"

int	 hv_kvp_main(int, char **);
int	*__error(void);
void	 tzset(void);

/* --- Of libc --- */

ssize_t
pread(int fd, void *buf, size_t len, off_t ofs)
{

	return (libc_result(sys_pread(fd, buf, len, ofs)));
}

int
fstat(int fd, struct stat *st)
{

	return (libc_result(sys_fstat(fd, st)));
}

int
ftruncate(int fd, off_t len)
{

	return (libc_result(sys(SYS_ftruncate, fd, len, 0, 0, 0, 0)));
}

int
fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = P(va_arg(ap, void *));
	va_end(ap);
	return (libc_result(sys(SYS_fcntl, fd, cmd, arg, 0, 0, 0)));
}

int
nanosleep(const struct timespec *ts, struct timespec *left)
{

	return (libc_result(sys(SYS_nanosleep, P(ts), P(left), 0, 0, 0, 0)));
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{

	return (libc_result(sys(SYS_clock_gettime, clock, P(ts), 0, 0, 0,
	    0)));
}

void *
realloc(void *old, size_t size)
{

	return (reallocarray(old, 1, size));
}

void
tzset(void)
{
}

/* --- The helper --- */

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
	static char foreground[] = "-d";
	char *argv[] = { name, foreground, NULL };

	(void)mkdir("/var", 0755);
	(void)mkdir("/var/db", 0755);
	(void)mkdir("/var/run", 0755);
	return (libc_run(hv_kvp_main, 2, argv) == 0 ? 0 : EIO);
}

static int
kvp_take(uint64_t ms)
{
	struct hvd hd = {
		.hd_name = "kvp", .hd_dev = "/dev/" HV_KVP_DEV_NAME,
		.hd_foreground = true,
	};
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
