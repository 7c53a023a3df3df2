/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * One trace: made of events that a test thinks up, and read back.
 */

#ifndef TESTS_VMM_TRACE_MAKE_H
#define	TESTS_VMM_TRACE_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/trace.h"
#include "control/trace_read.h"

extern struct tracer *tracer;
extern uint64_t trace_start;	/* times are from here */

/* snap: see tracer_open(). */
void	trace_begin(const char *path, uint32_t snap);
/* At so many milliseconds. */
void	trace_event(unsigned ms, enum hvh_trace_kind kind, bool out,
	    uint32_t chan, const void *data, size_t len);
/* A channel message of len bytes, with three words behind its type. */
void	trace_message(unsigned ms, bool out, uint32_t type, uint32_t a,
	    uint32_t b, uint32_t c, size_t len);
/* How often tracers have complained, and of what the last time. */
unsigned trace_said(void);
const char *trace_last(void);
/* Records that can be read, and how it ended; -1: not at all. */
int	trace_read_back(const char *path, enum trace_got *end,
	    uint64_t *skipped);

/* hvctl ends with that status. */
void	trace_run(int status, const char *args);
unsigned trace_lines(const char *name);

#endif	/* !TESTS_VMM_TRACE_MAKE_H */
