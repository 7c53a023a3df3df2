/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * File copy into the guest: start, blocks one after the other, complete.  What
 * ends it early, whoever it was, is told to the guest as a cancel before the
 * result is.  protocol: utilities, 8
 */

#include <errno.h>
#include <string.h>

#include "services/fcopy_reg.h"
#include "services/ic_var.h"
#include "services/utf16.h"

/* Guests give their daemon 30 seconds before they refuse. */
#define	FCOPY_LIMIT	(60 * IC_SECOND)

struct fcopy {
	bool		 busy;
	bool		 cancelled;	/* by who ordered it */
	struct hvh_fcopy_params fp;	/* names are in the message */
	uint64_t	 offset;	/* of the block under way */
	uint32_t	 block;
	uint64_t	 session;
	hvh_ic_done	*done;
	void		*arg;
	struct hvh_ic_result result;
};

static const uint32_t fcopy_versions[] = { HVH_IC_VERSION(1, 1) };

static void
fcopy_end(struct hvh_ic *ic)
{
	struct fcopy *f = ic->own;

	f->busy = false;
	if (f->done != NULL)
		f->done(f->arg, &f->result);
}

static struct ic_order *
fcopy_order(struct hvh_ic *ic, uint32_t op, uint32_t len,
    void (*answered)(struct ic_order *o, const struct ic_answer *a))
{
	struct fcopy *f = ic->own;
	struct fcopy_header m = { .fh_op = op };
	struct ic_order *o;

	o = ic_order_new(ic, len, FCOPY_LIMIT, answered);
	if (o != NULL) {
		memcpy(m.fh_session, &f->session, sizeof(f->session));
		memcpy(o->body, &m, sizeof(m));
	}
	return (o);
}

static void
fcopy_cancelled(struct ic_order *o, const struct ic_answer *a)
{

	fcopy_end(o->ic);
}

/* It is over; the guest shall forget what it has, if it can be told. */
static void
fcopy_fail(struct hvh_ic *ic, const char *step, int error, uint32_t status)
{
	struct fcopy *f = ic->own;

	f->result.step = step;
	f->result.error = error;
	f->result.status = status;
	if (ic_submit(fcopy_order(ic, FCOPY_CANCEL,
	    sizeof(struct fcopy_header), fcopy_cancelled)) != 0)
		fcopy_end(ic);
}

/* true: the job goes on behind this step. */
static bool
fcopy_good(struct hvh_ic *ic, const char *step, const struct ic_answer *a)
{
	struct fcopy *f = ic->own;

	if (f->cancelled)
		fcopy_fail(ic, step, ECANCELED, 0);
	else if (a->error != 0 || a->status != 0)
		fcopy_fail(ic, step, a->error, a->status);
	else
		return (true);
	return (false);
}

static void
fcopy_completed(struct ic_order *o, const struct ic_answer *a)
{

	if (a->error != 0 || a->status != 0)
		fcopy_fail(o->ic, "complete", a->error, a->status);
	else
		fcopy_end(o->ic);
}

static void	fcopy_written(struct ic_order *o, const struct ic_answer *a);

/* The next block, or that there are no more. */
static void
fcopy_next(struct hvh_ic *ic)
{
	struct fcopy *f = ic->own;
	struct ic_order *o;
	uint64_t left = f->fp.size - f->offset;
	int error;

	if (left == 0) {
		error = ic_submit(fcopy_order(ic, FCOPY_COMPLETE,
		    sizeof(struct fcopy_header), fcopy_completed));
		if (error != 0)
			fcopy_fail(ic, "complete", error, 0);
		return;
	}
	f->block = left < FCOPY_BLOCK ? (uint32_t)left : FCOPY_BLOCK;
	o = fcopy_order(ic, FCOPY_WRITE, sizeof(struct fcopy_write),
	    fcopy_written);
	if (o != NULL) {
		memcpy(o->body + offsetof(struct fcopy_write, fw_offset),
		    &f->offset, sizeof(f->offset));
		memcpy(o->body + offsetof(struct fcopy_write, fw_size),
		    &f->block, sizeof(f->block));
		error = f->fp.read(f->fp.arg, f->offset, o->body +
		    offsetof(struct fcopy_write, fw_data), f->block);
		if (error != 0) {
			ic_order_free(o);
			fcopy_fail(ic, "read", error, 0);
			return;
		}
	}
	error = ic_submit(o);
	if (error != 0)
		fcopy_fail(ic, "write", error, 0);
}

static void
fcopy_written(struct ic_order *o, const struct ic_answer *a)
{
	struct fcopy *f = o->ic->own;

	if (!fcopy_good(o->ic, "write", a))
		return;
	f->offset += f->block;
	f->result.bytes = f->offset;
	if (f->fp.progress != NULL)
		f->fp.progress(f->fp.arg, f->offset);
	fcopy_next(o->ic);
}

static void
fcopy_started(struct ic_order *o, const struct ic_answer *a)
{
	struct fcopy *f = o->ic->own;

	/* One that was refused is not there to be cancelled. */
	if (!f->cancelled && a->error == 0 && a->status != 0) {
		f->result.step = "start";
		f->result.status = a->status;
		fcopy_end(o->ic);
	} else if (fcopy_good(o->ic, "start", a)) {
		fcopy_next(o->ic);
	}
}

static int
fcopy_begin(struct hvh_ic *ic, const struct hvh_fcopy_params *fp,
    const struct fcopy_start *names, hvh_ic_done *done, void *arg)
{
	struct fcopy *f = ic->own;
	struct fcopy_start m = *names;
	struct ic_order *o;
	uint64_t session;
	int error;

	if (f->busy)
		return (EBUSY);
	session = ++f->session;
	memset(f, 0, sizeof(*f));
	f->session = session;
	f->fp = *fp;
	f->done = done;
	f->arg = arg;
	o = fcopy_order(ic, FCOPY_START, sizeof(m), fcopy_started);
	if (o != NULL) {
		memcpy(&m.fs_header, o->body, sizeof(m.fs_header));
		m.fs_flags = (fp->overwrite ? FCOPY_OVERWRITE : 0) |
		    (fp->create_path ? FCOPY_CREATE_PATH : 0);
		m.fs_size = fp->size;
		memcpy(o->body, &m, sizeof(m));
	}
	error = ic_submit(o);
	f->busy = error == 0;
	return (error);
}

int
hvh_fcopy(struct hvh_ic *ic, const struct hvh_fcopy_params *fp,
    hvh_ic_done *done, void *arg)
{
	struct fcopy_start m = { 0 };
	int error;

	if (fp->name == NULL || fp->name[0] == '\0' || fp->path == NULL ||
	    utf16_put(m.fs_name, FCOPY_NAME_UNITS, fp->name, NULL) != 0 ||
	    utf16_put(m.fs_path, FCOPY_NAME_UNITS, fp->path, NULL) != 0)
		return (EINVAL);
	error = ic_enter(ic, HVH_IC_FCOPY);
	if (error != 0)
		return (error);
	return (ic_leave(ic, fcopy_begin(ic, fp, &m, done, arg)));
}

void
hvh_fcopy_cancel(struct hvh_ic *ic)
{

	if (ic_enter(ic, HVH_IC_FCOPY) != 0)
		return;
	((struct fcopy *)ic->own)->cancelled = true;
	ic_leave(ic, 0);
}

const struct ic_service ic_fcopy = {
	.name = "fcopy",
	.class = "34d14be3-dee4-41c8-9ae7-6b174977c192",
	.instance = "eb765408-105f-49b6-b4aa-c123b64d17d4",
	.type = IC_FCOPY,
	.versions = fcopy_versions,
	.nversions = 1,
	.own_size = sizeof(struct fcopy),
};
