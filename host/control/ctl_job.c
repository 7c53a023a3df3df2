/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's commands that take long and say how far they are:
 * backup and file copy.  Callbacks come from the thread that runs the pump.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/ctl_var.h"

#define	HOLD_MAX	60000u		/* ms; guests thaw by themselves */
#define	MIB		(1u << 20)

struct job {
	struct ctl_later *later;
	enum hvh_ic_kind kind;
	uint64_t	 frozen;	/* when, 0: not */
	uint64_t	 thawed;
	int		 fd;
	uint64_t	 size;
};

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

static struct job *
job_new(struct ctl_call *c, enum hvh_ic_kind kind)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		ctl_bad(c, "no memory");
		return (NULL);
	}
	j->later = ctl_later_new(c);
	if (j->later == NULL) {
		free(j);
		return (NULL);
	}
	j->kind = kind;
	j->fd = -1;
	return (j);
}

static void
job_free(struct job *j)
{

	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

/* The order was taken, or not. */
static int
job_started(struct ctl_call *c, struct hvh_ic *ic, struct job *j, int error)
{

	if (error == 0)
		return (0);
	job_free(j);
	ctl_later_drop(c);
	return (ctl_ic_refused(c, ic, error));
}

static void
job_end(struct job *j, json_t *result, const struct hvh_ic_result *r)
{
	char err[200];

	ctl_ic_say(j->kind, r, err, sizeof(err));
	ctl_later_done(j->later, result, err[0] != '\0' ? err : NULL);
	job_free(j);
}

/* --- Backup. --- */

static void
vss_step(void *arg, const char *step)
{
	struct job *j = arg;

	if (strcmp(step, "freeze") == 0)
		j->frozen = now();
	ctl_later_progress(j->later, json_pack("{s:s}", "step", step));
}

static void
vss_done(void *arg, const struct hvh_ic_result *r)
{
	struct job *j = arg;
	json_t *result = json_object();

	json_object_set_new(result, "flags",
	    json_integer((json_int_t)r->flags));
	if (j->frozen != 0)
		json_object_set_new(result, "frozen",
		    json_integer((json_int_t)(now() - j->frozen)));
	job_end(j, result, r);
}

int
ctl_cmd_vss(struct ctl_call *c)
{
	static const char *const ops[] = {
		[HVH_VSS_CHECK] = "check",
		[HVH_VSS_FREEZE] = "freeze",
		[HVH_VSS_THAW] = "thaw",
	};
	const unsigned nops = sizeof(ops) / sizeof(ops[0]);
	struct hvh_ic *ic = ctl_ic(c, HVH_IC_VSS);
	const char *action = "snapshot";
	uint64_t hold = 0;
	struct job *j;
	unsigned op;
	int error;

	if (ic == NULL)
		return (ENODEV);
	error = ctl_get_string(c, "action", &action);
	if (error == 0)
		error = ctl_get_number(c, "hold", HOLD_MAX, &hold);
	if (error != 0)
		return (error);
	for (op = 0; op < nops && strcmp(ops[op], action) != 0; op++)
		continue;
	if (op == nops && strcmp(action, "snapshot") != 0)
		return (ctl_bad(c, "\"action\" is not check, freeze, thaw or "
		    "snapshot"));
	j = job_new(c, HVH_IC_VSS);
	if (j == NULL)
		return (EAGAIN);
	if (op < nops)
		error = hvh_vss(ic, (enum hvh_vss_op)op, vss_done, j);
	else
		error = hvh_vss_snapshot(ic, hold * 1000000, vss_step,
		    vss_done, j);
	return (job_started(c, ic, j, error));
}

/* --- File copy. --- */

static int
copy_read(void *arg, uint64_t offset, void *buf, size_t len)
{
	struct job *j = arg;
	ssize_t n;

	if (ctl_later_gone(j->later))
		return (ECANCELED);
	while (len > 0) {
		n = pread(j->fd, buf, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (errno);
		/* It has become shorter. */
		if (n == 0)
			return (EIO);
		buf = (char *)buf + n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return (0);
}

static void
copy_progress(void *arg, uint64_t bytes)
{
	struct job *j = arg;

	if (bytes % MIB < 6144 || bytes == j->size)
		ctl_later_progress(j->later, json_pack("{s:I, s:I}", "bytes",
		    (json_int_t)bytes, "size", (json_int_t)j->size));
}

static void
copy_done(void *arg, const struct hvh_ic_result *r)
{
	struct job *j = arg;

	job_end(j, json_pack("{s:I}", "bytes", (json_int_t)r->bytes), r);
}

static int
copy_params(struct ctl_call *c, struct hvh_fcopy_params *fp)
{
	int error;

	error = ctl_get_string(c, "name", &fp->name);
	if (error == 0)
		error = ctl_get_string(c, "path", &fp->path);
	if (error == 0)
		error = ctl_get_bool(c, "overwrite", &fp->overwrite);
	if (error == 0)
		error = ctl_get_bool(c, "create-path", &fp->create_path);
	if (error != 0)
		return (error);
	if (fp->name == NULL || fp->path == NULL)
		return (ctl_bad(c, "\"%s\" is missing", fp->name == NULL ?
		    "name" : "path"));
	return (0);
}

/* The file comes open with the command. */
static int
copy_file(struct ctl_call *c, struct job *j, int fd)
{
	struct stat sb;

	if (fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode)) {
		close(fd);
		return (ctl_bad(c, "the file is not a regular one"));
	}
	j->fd = fd;
	j->size = (uint64_t)sb.st_size;
	return (0);
}

int
ctl_cmd_copy(struct ctl_call *c)
{
	struct hvh_fcopy_params fp = { .read = copy_read,
	    .progress = copy_progress };
	struct hvh_ic *ic = ctl_ic(c, HVH_IC_FCOPY);
	struct job *j;
	int error, fd = *c->fd;

	if (ic == NULL)
		return (ENODEV);
	error = copy_params(c, &fp);
	if (error != 0)
		return (error);
	if (fd < 0)
		return (ctl_bad(c, "the open file must come with the command; "
		    "this process opens none"));
	/* A descriptor is for one attempt. */
	*c->fd = -1;
	j = job_new(c, HVH_IC_FCOPY);
	if (j == NULL) {
		close(fd);
		return (EAGAIN);
	}
	error = copy_file(c, j, fd);
	if (error != 0) {
		job_free(j);
		ctl_later_drop(c);
		return (error);
	}
	fp.arg = j;
	fp.size = j->size;
	return (job_started(c, ic, j, hvh_fcopy(ic, &fp, copy_done, j)));
}
