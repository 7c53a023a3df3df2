/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Lines of a client of the control socket, at a partition without a guest.
 * Each must be answered with an object that says whether it was done.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/ctl_var.h"

#define	MEM	(64u << 10)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
op_now(void *arg)
{

	return (1);
}

static void
op_kick(void *arg)
{
}

static void
op_interrupt(void *arg, uint32_t vp, uint8_t vector, bool autoeoi)
{
}

static int
op_plain(void *arg, char *err, size_t errlen)
{

	return (0);
}

static int
op_shutdown(void *arg, bool force, char *err, size_t errlen)
{

	return (0);
}

static int
op_disk_add(void *arg, struct ctl_disk *d, char *err, size_t errlen)
{

	if (d->file == NULL || d->lun < -1 || d->lun > 63 ||
	    d->controller > 255)
		abort();
	snprintf(err, errlen, "%s: no", d->file);
	return (d->lun < 0 ? 0 : 1);
}

static int
op_disk_remove(void *arg, unsigned controller, unsigned lun, char *err,
    size_t errlen)
{

	if (lun > 63 || controller > 255)
		abort();
	return (0);
}

static struct hvh *
partition(void)
{
	const struct hvh_ops ops = { .now = op_now, .kick = op_kick,
	    .interrupt = op_interrupt };
	struct hvh_config cf = { .vps = 1, .nmem = 1 };
	struct hvh *h;

	cf.mem[0].size = MEM;
	cf.mem[0].host = aligned_alloc(4096, MEM);
	if (cf.mem[0].host == NULL || hvh_create(&cf, &ops, NULL, &h) != 0)
		abort();
	return (h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ctl_ops ops = { .shutdown = op_shutdown,
	    .reset = op_plain, .disk_add = op_disk_add,
	    .disk_remove = op_disk_remove };
	static struct ctl_server s = { .ops = &ops };
	const uint8_t *end, *p;
	json_t *reply;
	char *text;
	bool later;
	int fd = -1;

	if (s.h == NULL)
		s.h = partition();
	for (p = data; size > 0; size -= (size_t)(end - p), p = end) {
		end = memchr(p, '\n', size);
		end = end != NULL ? end + 1 : p + size;
		reply = ctl_do_line(&s, NULL, (const char *)p,
		    (size_t)(end - p), &fd, &later);
		if (!json_is_boolean(json_object_get(reply, "ok")))
			abort();
		text = json_dumps(reply, JSON_COMPACT);
		if (text != NULL && strchr(text, '\n') != NULL)
			abort();
		free(text);
		json_decref(reply);
	}
	hvh_fault_clear(s.h);
	return (0);
}
