/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A host's messages to the file copy, in memory of exactly their size, through
 * the driver's and the daemon's code, onto a real directory.  Whatever they
 * say, nothing outside of it changes, and no name is one that it must not be.
 *
 * An input is messages, each behind two bytes: its length.
 */

#include <sys/stat.h>

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dev/hyperv/utilities/hv_fcopy_dev.h>

#include "fcopy.h"
#include "fuzz_kernel.h"

#define	MESSAGES	32
#define	SIZE_MAX_FILE	65536u

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The directory is "in" of this one, and there shall be nothing else. */
static char top[] = "/tmp/fuzz_fcopy.XXXXXX";
static int topfd = -1;

static int
remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{

	(void)st;
	(void)what;
	return (ftw->level > 0 ? remove(path) : 0);
}

static void
wipe(void)
{
	char path[sizeof(top) + 4];

	snprintf(path, sizeof(path), "%s/in", top);
	(void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
clean(void)
{

	wipe();
	(void)unlinkat(topfd, "in", AT_REMOVEDIR);
	(void)rmdir(top);
}

static void
prepare(void)
{

	if (topfd >= 0)
		return;
	if (mkdtemp(top) == NULL ||
	    (topfd = open(top, O_RDONLY | O_DIRECTORY)) < 0 ||
	    mkdirat(topfd, "in", 0700) != 0)
		err(1, "%s", top);
	(void)atexit(clean);
}

static void
wrong(const char *what)
{

	fprintf(stderr, "%s\n", what);
	abort();
}

static int
no_dots(const struct dirent *de)
{

	return (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0);
}

static void
outside(void)
{
	struct dirent **name;
	int i, n;

	n = scandir(top, &name, no_dots, alphasort);
	for (i = 0; i < n; i++)
		free(name[i]);
	if (n > 0)
		free(name);
	if (n != 1)
		wrong("something outside of the directory");
}

static void
check_path(const struct fcopy_path *fp)
{
	unsigned i;
	size_t len;

	if (fp->count == 0 || fp->count > FCOPY_COMPONENTS)
		wrong("a path of no or too many names");
	for (i = 0; i < fp->count; i++) {
		len = strlen(fp->name[i]);
		if (len == 0 || len > FCOPY_COMPONENT_MAX ||
		    strchr(fp->name[i], '/') != NULL ||
		    strcmp(fp->name[i], ".") == 0 ||
		    strcmp(fp->name[i], "..") == 0 ||
		    strcmp(fp->name[i], FCOPY_PART) == 0 ||
		    strcmp(fp->name[i], FCOPY_PENDING) == 0)
			wrong("a name that must not be");
	}
}

static void
do_start(struct fcopy *fc, const struct hv_fcopy_dev_msg *m)
{
	struct fcopy_path fp;

	if (fcopy_path_make(&fp, m->fm_names.fn_path, m->fm_names.fn_name,
	    HV_FCOPY_DEV_NAME_MAX) != FCOPY_RIGHT)
		return;
	check_path(&fp);
	(void)fcopy_start(fc, &fp, m->fm_hdr.fm_size % SIZE_MAX_FILE,
	    (m->fm_hdr.fm_flags & HV_FCOPY_DEV_OVERWRITE) != 0,
	    (m->fm_hdr.fm_flags & HV_FCOPY_DEV_CREATE_PATH) != 0);
}

static void
do_request(struct fcopy *fc, const struct hv_fcopy_dev_msg *m)
{

	switch (m->fm_hdr.fm_op) {
	case HV_FCOPY_DEV_START:
		do_start(fc, m);
		break;
	case HV_FCOPY_DEV_WRITE:
		(void)fcopy_write(fc, m->fm_hdr.fm_offset, m->fm_data,
		    m->fm_hdr.fm_len);
		break;
	case HV_FCOPY_DEV_COMPLETE:
		(void)fcopy_complete(fc);
		break;
	default:
		fcopy_cancel(fc);
		break;
	}
	if (fcopy_active(fc) && fc->have > fc->size)
		wrong("more than the file has");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hv_fcopy_dev_msg m;
	struct fcopy fc;
	const char *error;
	uint8_t *body;
	uint16_t len;
	unsigned n, rlen;

	prepare();
	fcopy_init(&fc, openat(topfd, "in", O_RDONLY | O_DIRECTORY));
	for (n = 0; n < MESSAGES && size >= sizeof(len); n++) {
		memcpy(&len, data, sizeof(len));
		data += sizeof(len);
		size -= sizeof(len);
		len = len > size ? (uint16_t)size : len;
		body = malloc(len);
		memcpy(body, data, len);
		error = ktest_fuzz_fcopy(body, len, (unsigned char *)&m, &rlen);
		free(body);
		if (error != NULL)
			wrong(error);
		if (rlen != 0)
			do_request(&fc, &m);
		data += len;
		size -= len;
	}
	fcopy_cancel(&fc);
	outside();
	if (faccessat(topfd, "in/" FCOPY_PENDING, F_OK,
	    AT_SYMLINK_NOFOLLOW) == 0)
		wrong("a note is left");
	close(fc.root);
	wipe();
	return (0);
}
