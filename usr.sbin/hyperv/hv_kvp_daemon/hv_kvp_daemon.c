/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hv_kvp_daemon(8): answers the key-value requests of a Hyper-V host.  It
 * sleeps until the kernel has one; there is no timer.
 */

#include <sys/types.h>
#include <sys/capsicum.h>
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libutil.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "hv_kvp_daemon.h"

#define	STATE_DIR	"/var/db/hyperv"

static volatile sig_atomic_t stop, forget;
static bool foreground;

void
kvp_log(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (foreground) {
		fputs("hv_kvp_daemon: ", stderr);
		vfprintf(stderr, fmt, ap);
		fputc('\n', stderr);
		va_end(ap);
		va_start(ap, fmt);
	}
	vsyslog(priority, fmt, ap);
	va_end(ap);
}

static void
on_signal(int sig)
{

	if (sig == SIGHUP)
		forget = 1;
	else
		stop = 1;
}

/* They come only while the daemon sleeps. */
static void
catch_signals(void)
{
	struct sigaction sa;
	sigset_t set;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	(void)sigfillset(&sa.sa_mask);
	(void)sigaction(SIGHUP, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int
open_dir(const char *path)
{
	int fd;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		err(1, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return (fd);
}

/*
 * From here on there are three descriptors and what can be done with them.  A
 * kernel without capabilities is said, but does.
 */
static void
confine(int dev, int dir, int helper)
{
	cap_rights_t rights;

	/* What vsyslog(3) would open later. */
	tzset();
	cap_rights_init(&rights, CAP_READ, CAP_WRITE, CAP_EVENT);
	if ((cap_rights_limit(dev, &rights) != 0 ||
	    cap_rights_limit(helper, &rights) != 0) && errno != ENOSYS)
		err(1, "capability rights");
	cap_rights_init(&rights, CAP_LOOKUP, CAP_CREATE, CAP_READ, CAP_WRITE,
	    CAP_SEEK, CAP_FSTAT, CAP_FSYNC, CAP_FTRUNCATE, CAP_FCNTL,
	    CAP_FLOCK, CAP_UNLINKAT, CAP_RENAMEAT_SOURCE,
	    CAP_RENAMEAT_TARGET, CAP_LINKAT_SOURCE, CAP_LINKAT_TARGET);
	if (cap_rights_limit(dir, &rights) != 0 && errno != ENOSYS)
		err(1, "capability rights");
	if (cap_enter() != 0) {
		if (errno != ENOSYS)
			err(1, "capability mode");
		kvp_log(LOG_NOTICE, "this kernel has no capability mode");
	}
}

static uint32_t
handle(struct kvp_pools *ps, struct kvp_helper *kh, struct hv_kvp_dev_msg *km)
{

	switch (km->km_op) {
	case HV_KVP_DEV_GET_IP:
	case HV_KVP_DEV_SET_IP:
		return (kvp_helper_do(kh, km));
	default:
		if (km->km_pool == HV_KVP_DEV_POOL_AUTO)
			return (kvp_helper_do(kh, km));
		return (kvp_pool_do(ps, km));
	}
}

/* Until the device is gone (1) or a signal says so (0). */
static int
serve(int dev, struct kvp_pools *ps, struct kvp_helper *kh)
{
	struct pollfd pfd = { .fd = dev, .events = POLLIN };
	struct hv_kvp_dev_msg km;
	sigset_t none;
	int n;

	(void)sigemptyset(&none);
	while (!stop) {
		if (forget) {
			forget = 0;
			kvp_pools_forget(ps);
		}
		n = ppoll(&pfd, 1, NULL, &none);
		if (n < 0 && errno != EINTR) {
			kvp_log(LOG_ERR, "poll: %s", strerror(errno));
			return (1);
		}
		if (n <= 0)
			continue;
		n = kvp_dev_read(dev, &km);
		if (n > 0)
			n = kvp_dev_answer(dev, &km, handle(ps, kh, &km));
		else if (n == 0 && (pfd.revents & POLLIN) == 0)
			n = -1;
		if (n < 0)
			return (1);
	}
	return (0);
}

static void
usage(void)
{

	fprintf(stderr, "usage: hv_kvp_daemon [-dnR] [-D device] [-P pidfile] "
	    "[-p directory] [-s directory]\n");
	exit(1);
}

struct options {
	const char	*op_device;
	const char	*op_pidfile;
	const char	*op_pools;
	bool		 op_stay;
	struct kvp_ip_config op_ip;
};

static void
parse_options(int argc, char *argv[], struct options *op)
{
	int c;

	while ((c = getopt(argc, argv, "D:P:Rdnp:s:")) != -1) {
		switch (c) {
		case 'D':
			op->op_device = optarg;
			break;
		case 'P':
			op->op_pidfile = optarg;
			break;
		case 'R':
			op->op_ip.kc_readonly = true;
			break;
		case 'd':
			foreground = true;
			/* FALLTHROUGH */
		case 'n':
			op->op_stay = true;
			break;
		case 'p':
			op->op_pools = op->op_ip.kc_state = optarg;
			break;
		case 's':
			op->op_ip.kc_scripts = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

int
main(int argc, char *argv[])
{
	struct options op = {
		.op_device = "/dev/" HV_KVP_DEV_NAME,
		.op_pidfile = "/var/run/hv_kvp_daemon.pid",
		.op_pools = STATE_DIR "/pool",
		.op_ip = {
			.kc_scripts = "/usr/libexec/hyperv",
			.kc_state = STATE_DIR,
		},
	};
	struct kvp_helper helper;
	struct kvp_pools pools;
	struct pidfh *pfh;
	pid_t other;
	int dev, dir, error;

	parse_options(argc, argv, &op);
	pfh = pidfile_open(op.op_pidfile, 0600, &other);
	if (pfh == NULL && errno == EEXIST)
		errx(1, "already running, pid %jd", (intmax_t)other);
	if (pfh == NULL)
		warn("%s", op.op_pidfile);
	(void)umask(022);
	if (strcmp(op.op_pools, STATE_DIR "/pool") == 0)
		(void)close(open_dir(STATE_DIR));
	dir = open_dir(op.op_pools);
	openlog("hv_kvp_daemon", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	dev = kvp_dev_open(op.op_device);
	if (dev < 0)
		err(1, "%s", op.op_device);
	if (!op.op_stay && daemon(0, 0) != 0)
		err(1, "daemon");
	if (pfh != NULL)
		(void)pidfile_write(pfh);
	catch_signals();
	kvp_pools_open(&pools, dir);

	error = kvp_helper_start(&helper, &op.op_ip);
	if (error != 0) {
		kvp_log(LOG_ERR, "helper: %s", strerror(error));
		return (1);
	}
	confine(dev, dir, helper.kh_fd);
	kvp_log(LOG_INFO, "started");
	error = serve(dev, &pools, &helper);
	kvp_log(LOG_INFO, error != 0 ? "the device is gone" : "stopped");
	kvp_pools_close(&pools);
	if (pfh != NULL)
		(void)pidfile_remove(pfh);
	return (0);
}
