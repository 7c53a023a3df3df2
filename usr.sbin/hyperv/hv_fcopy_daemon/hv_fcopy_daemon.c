/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hv_fcopy_daemon(8): files that the host's administrator copies into this
 * system, into one directory.  It runs in capability mode: what it can reach is
 * that directory, its node and its log.
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

#include <dev/hyperv/utilities/hv_fcopy_dev.h>

#include "fcopy.h"
#include "hvd.h"

#define	DEVICE		"/dev/" HV_FCOPY_DEV_NAME
#define	PIDFILE		"/var/run/hv_fcopy_daemon.pid"
#define	DIRECTORY	"/var/spool/hv_fcopy"

/* A host that says nothing for so long has forgotten its file. */
#define	IDLE_MS		120000

static uint32_t
status_of(int error)
{

	switch (error) {
	case 0:
		return (HV_FCOPY_DEV_OK);
	case EEXIST:
		return (HV_FCOPY_DEV_EXISTS);
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return (HV_FCOPY_DEV_FULL);
	case EINVAL:
		return (HV_FCOPY_DEV_INVALID);
	default:
		return (HV_FCOPY_DEV_FAILED);
	}
}

static void
log_error(const struct fcopy *fc, const char *what, int error)
{

	if (error != 0)
		hvd_log(LOG_ERR, "%s: %s: %s", fc->name, what,
		    strerror(error));
}

static uint32_t
do_start(struct fcopy *fc, const struct hv_fcopy_dev_msg *m)
{
	struct fcopy_path fp;
	enum fcopy_wrong wrong;
	int error;

	wrong = fcopy_path_make(&fp, m->fm_names.fn_path, m->fm_names.fn_name,
	    HV_FCOPY_DEV_NAME_MAX);
	if (wrong != FCOPY_RIGHT) {
		hvd_log(LOG_ERR, "the host names a file that is refused: %s",
		    fcopy_wrong_text(wrong));
		return (wrong == FCOPY_DOTS ? HV_FCOPY_DEV_DENIED :
		    HV_FCOPY_DEV_INVALID);
	}
	error = fcopy_start(fc, &fp, m->fm_hdr.fm_size,
	    (m->fm_hdr.fm_flags & HV_FCOPY_DEV_OVERWRITE) != 0,
	    (m->fm_hdr.fm_flags & HV_FCOPY_DEV_CREATE_PATH) != 0);
	if (error != 0)
		hvd_log(LOG_ERR, "%s: not begun: %s", fp.name[fp.count - 1],
		    strerror(error));
	return (status_of(error));
}

/* len: as much as was read behind the header. */
static uint32_t
do_request(struct fcopy *fc, const struct hv_fcopy_dev_msg *m, size_t len)
{
	int error;

	switch (m->fm_hdr.fm_op) {
	case HV_FCOPY_DEV_START:
		if (len < sizeof(m->fm_names))
			return (HV_FCOPY_DEV_INVALID);
		return (do_start(fc, m));
	case HV_FCOPY_DEV_WRITE:
		error = m->fm_hdr.fm_len > len ? EINVAL : fcopy_write(fc,
		    m->fm_hdr.fm_offset, m->fm_data, m->fm_hdr.fm_len);
		log_error(fc, "not written", error);
		return (status_of(error));
	case HV_FCOPY_DEV_COMPLETE:
		error = fcopy_complete(fc);
		log_error(fc, "not completed", error);
		if (error == 0)
			hvd_log(LOG_INFO, "%s: copied, %ju bytes", fc->name,
			    (uintmax_t)fc->size);
		return (status_of(error));
	case HV_FCOPY_DEV_CANCEL:
		fcopy_cancel(fc);
		return (HV_FCOPY_DEV_OK);
	default:
		return (HV_FCOPY_DEV_INVALID);
	}
}

/* Until the node is gone or somebody wants an end. */
static enum hvd_event
serve(struct hvd *hd, struct fcopy *fc)
{
	static struct hv_fcopy_dev_msg m;
	enum hvd_event event;
	size_t len;

	for (;;) {
		event = hvd_receive(hd, fcopy_active(fc) ? IDLE_MS : -1, &m,
		    sizeof(m), &len);
		if (event == HVD_TIMEOUT) {
			if (fcopy_active(fc))
				hvd_log(LOG_WARNING, "%s: given up, the host "
				    "does not go on", fc->name);
			fcopy_cancel(fc);
			continue;
		}
		if (event != HVD_MESSAGE)
			return (event);
		if (len < sizeof(m.fm_hdr) ||
		    m.fm_hdr.fm_type != HV_FCOPY_DEV_REQUEST)
			continue;
		m.fm_hdr.fm_status = do_request(fc, &m,
		    len - sizeof(m.fm_hdr));
		m.fm_hdr.fm_type = HV_FCOPY_DEV_ANSWER;
		if (!hvd_send(hd, &m, sizeof(m.fm_hdr)))
			return (HVD_GONE);
	}
}

static int
directory_open(const char *path)
{
	int fd;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && mkdir(path, 0700) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return (fd);
}

/* Rights limit what is opened below the directory as well. */
static void
sandbox(struct hvd *hd, int root)
{
	cap_rights_t rights;

	cap_rights_init(&rights, CAP_CREATE, CAP_FSTAT, CAP_FSTATFS, CAP_FSYNC,
	    CAP_FTRUNCATE, CAP_LINKAT_SOURCE, CAP_LINKAT_TARGET, CAP_LOOKUP,
	    CAP_MKDIRAT, CAP_PWRITE, CAP_READ, CAP_RENAMEAT_SOURCE,
	    CAP_RENAMEAT_TARGET, CAP_SYMLINKAT, CAP_UNLINKAT);
	if (cap_rights_limit(root, &rights) != 0 && errno != ENOSYS)
		hvd_fail(hd, "capability rights", errno);
	cap_rights_init(&rights, CAP_EVENT, CAP_READ, CAP_WRITE);
	if (cap_rights_limit(hd->hd_fd, &rights) != 0 && errno != ENOSYS)
		hvd_fail(hd, "capability rights", errno);
	if (cap_enter() != 0) {
		if (errno != ENOSYS)
			hvd_fail(hd, "capability mode", errno);
		hvd_log(LOG_NOTICE, "this kernel has no capability mode");
	}
}

static void __attribute__((__noreturn__))
usage(void)
{

	(void)fprintf(stderr, "usage: hv_fcopy_daemon [-d] [-D device] "
	    "[-p pidfile] [-r directory]\n");
	exit(1);
}

int
main(int argc, char *argv[])
{
	struct hvd hd = {
		.hd_name = "hv_fcopy_daemon",
		.hd_dev = DEVICE,
		.hd_pidfile = PIDFILE,
	};
	struct hv_fcopy_dev_hdr hello = {
		.fm_type = HV_FCOPY_DEV_REGISTER,
		.fm_version = HV_FCOPY_DEV_VERSION,
	};
	const char *directory = DIRECTORY;
	enum hvd_event event;
	struct fcopy fc;
	int c, error, root;

	while ((c = getopt(argc, argv, "dD:p:r:")) != -1) {
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
		case 'r':
			directory = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	root = directory_open(directory);
	hvd_start(&hd);
	(void)umask(022);
	sandbox(&hd, root);
	/* Whoever has the node is the only one here. */
	fcopy_init(&fc, root);
	if (!hvd_send(&hd, &hello, sizeof(hello)))
		hvd_fail(&hd, "cannot register", errno);
	event = serve(&hd, &fc);
	error = errno;
	fcopy_cancel(&fc);
	if (event == HVD_GONE)
		hvd_log(LOG_NOTICE, "%s is gone%s%s", hd.hd_dev,
		    error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
	hvd_stop(&hd);
	return (0);
}
