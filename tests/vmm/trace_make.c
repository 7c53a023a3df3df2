/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See trace_make.h. */

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <atf-c.h>

#include "control/trace_read.h"
#include "guest.h"
#include "hvctl_run.h"
#include "trace_make.h"

struct tracer *tracer;
uint64_t trace_start;

/* Of the tracer's thread. */
static pthread_mutex_t said_mtx = PTHREAD_MUTEX_INITIALIZER;
static unsigned nsaid;
static char last[600];

static void
say(void *arg, const char *text)
{

	pthread_mutex_lock(&said_mtx);
	nsaid++;
	snprintf(last, sizeof(last), "%s", text);
	pthread_mutex_unlock(&said_mtx);
}

unsigned
trace_said(void)
{
	unsigned n;

	pthread_mutex_lock(&said_mtx);
	n = nsaid;
	pthread_mutex_unlock(&said_mtx);
	return (n);
}

/* A tracer complains once, so that it stays as it is. */
const char *
trace_last(void)
{

	return (last);
}

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

void
trace_begin(const char *path, uint32_t snap)
{
	char err[300];

	ATF_REQUIRE_EQ_MSG(0, tracer_open(path, snap, say, NULL, &tracer, err,
	    sizeof(err)), "%s", err);
	trace_start = now();
}

void
trace_event(unsigned ms, enum hvh_trace_kind kind, bool out, uint32_t chan,
    const void *data, size_t len)
{
	struct hvh_trace_event ev = { .kind = kind, .out = out, .chan = chan,
	    .vp = HVH_VP_NONE, .time = trace_start + ms * 1000000ull,
	    .data = data, .len = len, .total = len };

	tracer_event(tracer, &ev);
}

void
trace_message(unsigned ms, bool out, uint32_t type, uint32_t a, uint32_t b,
    uint32_t c, size_t len)
{
	uint8_t m[240] = { 0 };

	put32(m, type);
	put32(m + 8, a);
	put32(m + 12, b);
	put32(m + 16, c);
	trace_event(ms, HVH_TRACE_MESSAGE, out, 0, m, len);
}

void
trace_run(int status, const char *args)
{

	ATF_CHECK_EQ_MSG(status, hvctl_run(NULL, args), "%s: %s", args,
	    slurp("err"));
}

unsigned
trace_lines(const char *name)
{
	unsigned n = 0;

	for (const char *p = slurp(name); *p != '\0'; p++)
		n += *p == '\n';
	return (n);
}

int
trace_read_back(const char *path, enum trace_got *end, uint64_t *skipped)
{
	struct trace_reader *tr;
	struct trace_state *ts;
	struct trace_record r;
	struct trace_line line;
	const uint8_t *data;
	uint64_t skip;
	char err[300];
	int n = 0;

	*skipped = 0;
	if (trace_reader_open(path, &tr, err, sizeof(err)) != 0)
		return (-1);
	ts = trace_state_new();
	while ((*end = trace_next(tr, &r, &data, &skip)) == TRACE_GOT) {
		*skipped += skip;
		trace_decode(ts, &r, data, &line);
		ATF_REQUIRE(line.kind != NULL && line.name[0] != '\0');
		n++;
	}
	*skipped += skip;
	trace_state_free(ts);
	trace_reader_close(tr);
	return (n);
}
