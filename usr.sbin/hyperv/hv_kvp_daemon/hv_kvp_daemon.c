/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hv_kvp_daemon(8): answers the key-value requests of a Hyper-V host.  It
 * sleeps until the kernel has one.
 */

#include <sys/types.h>
#include <sys/capsicum.h>
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "hvd.h"
#include "hv_kvp_daemon.h"

#define	STATE_DIR	"/var/db/hyperv"

/* No more keys come, and what was written is synced. */
#define	SYNC_MS		50

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
confine(struct hvd *hd, int dir, int helper)
{
	cap_rights_t rights;

	cap_rights_init(&rights, CAP_READ, CAP_WRITE, CAP_EVENT);
	if ((cap_rights_limit(hd->hd_fd, &rights) != 0 ||
	    cap_rights_limit(helper, &rights) != 0) && errno != ENOSYS)
		hvd_fail(hd, "capability rights", errno);
	cap_rights_init(&rights, CAP_LOOKUP, CAP_CREATE, CAP_READ, CAP_WRITE,
	    CAP_SEEK, CAP_FSTAT, CAP_FSYNC, CAP_FTRUNCATE, CAP_FCNTL,
	    CAP_FLOCK, CAP_UNLINKAT, CAP_RENAMEAT_SOURCE,
	    CAP_RENAMEAT_TARGET, CAP_LINKAT_SOURCE, CAP_LINKAT_TARGET);
	if (cap_rights_limit(dir, &rights) != 0 && errno != ENOSYS)
		hvd_fail(hd, "capability rights", errno);
	if (cap_enter() != 0) {
		if (errno != ENOSYS)
			hvd_fail(hd, "capability mode", errno);
		hvd_log(LOG_NOTICE, "this kernel has no capability mode");
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

static int
register_daemon(struct hvd *hd)
{
	struct hv_kvp_dev_msg km;

	memset(&km, 0, sizeof(km));
	km.km_type = HV_KVP_DEV_REGISTER;
	km.km_version = HV_KVP_DEV_VERSION;
	if (!hvd_send(hd, &km, sizeof(km))) {
		hvd_log(LOG_ERR, "%s: %s", hd->hd_dev,
		    errno == EPROTONOSUPPORT ?
		    "the kernel's module is of another version" :
		    strerror(errno));
		return (1);
	}
	return (0);
}

/* Until the device is gone or a signal says so: exit status. */
static int
serve(struct hvd *hd, struct kvp_pools *ps, struct kvp_helper *kh)
{
	struct hv_kvp_dev_msg km;
	size_t len;
	int ms;

	for (;;) {
		ms = kvp_pools_unsynced(ps) ? SYNC_MS : -1;
		switch (hvd_receive(hd, ms, &km, sizeof(km), &len)) {
		case HVD_MESSAGE:
			break;
		case HVD_TIMEOUT:
			kvp_pools_sync(ps);
			continue;
		case HVD_QUIT:
			return (0);
		default:
			/* As when the module is unloaded. */
			hvd_log(LOG_NOTICE, "%s is gone", hd->hd_dev);
			return (errno == 0 || errno == ENXIO ? 0 : 1);
		}
		if (len != sizeof(km) || km.km_type != HV_KVP_DEV_REQUEST) {
			hvd_log(LOG_ERR, "no request: %zu bytes", len);
			return (1);
		}
		km.km_status = handle(ps, kh, &km);
		km.km_type = HV_KVP_DEV_ANSWER;
		if (!hvd_send(hd, &km, sizeof(km)))
			hvd_log(LOG_ERR, "answer: %s", strerror(errno));
	}
}

static void
usage(void)
{

	fprintf(stderr, "usage: hv_kvp_daemon [-Rdn] [-D device] [-P pidfile] "
	    "[-p directory] [-s directory]\n");
	exit(1);
}

struct options {
	struct hvd	 op_hvd;
	const char	*op_pools;
	struct kvp_ip_config op_ip;
};

static void
parse_options(int argc, char *argv[], struct options *op)
{
	int c;

	while ((c = getopt(argc, argv, "D:P:Rdnp:s:")) != -1) {
		switch (c) {
		case 'D':
			op->op_hvd.hd_dev = optarg;
			break;
		case 'P':
			op->op_hvd.hd_pidfile = optarg;
			break;
		case 'R':
			op->op_ip.kc_readonly = true;
			break;
		case 'd':
		case 'n':
			op->op_hvd.hd_foreground = true;
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
		.op_hvd = {
			.hd_name = "hv_kvp_daemon",
			.hd_dev = "/dev/" HV_KVP_DEV_NAME,
			.hd_pidfile = "/var/run/hv_kvp_daemon.pid",
		},
		.op_pools = STATE_DIR "/pool",
		.op_ip = {
			.kc_scripts = "/usr/libexec/hyperv",
			.kc_state = STATE_DIR,
		},
	};
	struct kvp_helper helper;
	struct kvp_pools pools;
	int error;

	parse_options(argc, argv, &op);
	(void)umask(022);
	if (strcmp(op.op_ip.kc_state, STATE_DIR) == 0)
		(void)close(open_dir(STATE_DIR));
	kvp_pools_open(&pools, open_dir(op.op_pools));
	hvd_start(&op.op_hvd);
	error = kvp_helper_start(&helper, &op.op_ip);
	if (error != 0)
		hvd_fail(&op.op_hvd, "helper", error);
	confine(&op.op_hvd, pools.ks_dir, helper.kh_fd);
	error = register_daemon(&op.op_hvd);
	if (error == 0)
		error = serve(&op.op_hvd, &pools, &helper);
	kvp_pools_sync(&pools);
	kvp_pools_close(&pools);
	hvd_stop(&op.op_hvd);
	return (error);
}
