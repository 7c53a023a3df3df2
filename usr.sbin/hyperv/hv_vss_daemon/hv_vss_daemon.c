/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hv_vss_daemon(8): freezes and thaws the file systems when the host takes a
 * snapshot.
 *
 * It cannot be put into a sandbox: in capability mode getfsstat(2) is not to be
 * had, and UFSSUSPEND wants the right to write to the disks.  It has one
 * thread, as UFSSUSPEND demands, opens no file but the nodes, and takes nothing
 * from the host but three numbers.
 */

#include <sys/types.h>
#include <sys/mman.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <dev/hyperv/utilities/hv_vss_dev.h>

#include "hvd.h"
#include "vss_fs.h"

#define	DEVICE		"/dev/" HV_VSS_DEV_FS_NAME
#define	PIDFILE		"/var/run/hv_vss_daemon.pid"

/* The kernel asks for the thaw in time; this is for one that does not. */
#define	HOLD_MARGIN	5000

static bool
do_request(struct hv_vss_dev_msg *vm, int *timeout)
{

	switch (vm->vm_op) {
	case HV_VSS_DEV_CHECK:
		return (vss_fs_check());
	case HV_VSS_DEV_FREEZE:
		if (!vss_fs_freeze())
			return (false);
		*timeout = vm->vm_hold < 3600 * 1000 ?
		    (int)vm->vm_hold + HOLD_MARGIN : 3600 * 1000;
		return (true);
	case HV_VSS_DEV_THAW:
		vss_fs_thaw();
		*timeout = -1;
		return (true);
	default:
		return (false);
	}
}

/* Until the node is gone or somebody wants an end. */
static enum hvd_event
serve(struct hvd *hd)
{
	struct hv_vss_dev_msg vm;
	enum hvd_event event;
	int timeout = -1;
	size_t len;

	for (;;) {
		event = hvd_receive(hd, timeout, &vm, sizeof(vm), &len);
		if (event == HVD_TIMEOUT && timeout >= 0) {
			vss_fs_thaw();
			timeout = -1;
			hvd_log(LOG_WARNING, "thawed, since the kernel did "
			    "not ask for it");
		}
		if (event == HVD_TIMEOUT)
			continue;
		if (event != HVD_MESSAGE)
			return (event);
		if (len != sizeof(vm) || vm.vm_type != HV_VSS_DEV_REQUEST)
			continue;
		vm.vm_type = HV_VSS_DEV_ANSWER;
		vm.vm_status = do_request(&vm, &timeout) ? HV_VSS_DEV_OK :
		    HV_VSS_DEV_FAILED;
		if (!hvd_send(hd, &vm, sizeof(vm)))
			return (HVD_GONE);
	}
}

static void __attribute__((__noreturn__))
usage(void)
{

	(void)fprintf(stderr, "usage: hv_vss_daemon [-d] [-D device] "
	    "[-p pidfile]\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	struct hvd hd = {
		.hd_name = "hv_vss_daemon",
		.hd_dev = DEVICE,
		.hd_pidfile = PIDFILE,
	};
	struct hv_vss_dev_msg vm = {
		.vm_type = HV_VSS_DEV_REGISTER,
		.vm_version = HV_VSS_DEV_VERSION,
	};
	enum hvd_event event;
	int c, error;

	while ((c = getopt(argc, argv, "dD:p:")) != -1) {
		switch (c) {
		case 'd':
			hd.hd_foreground = true;
			break;
		case 'D':
			hd.hd_dev = optarg;
			break;
		case 'p':
			hd.hd_pidfile = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	hvd_start(&hd);
	hvd_pidfile_release();
	/* A page that has to be read while nothing can be written may wait. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		hvd_log(LOG_WARNING, "memory cannot be locked: %s",
		    strerror(errno));
	if (!hvd_send(&hd, &vm, sizeof(vm)))
		hvd_fail(&hd, "cannot register", errno);
	event = serve(&hd);
	error = errno;
	vss_fs_thaw();
	if (event == HVD_GONE)
		hvd_log(LOG_NOTICE, "%s is gone%s%s", hd.hd_dev,
		    error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
	hvd_stop(&hd);
	return (0);
}
