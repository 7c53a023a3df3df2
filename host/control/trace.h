/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The writer of traces: takes events in the pump, which it holds up for a
 * copy and no longer, and has a thread of its own put them into a file.
 */

#ifndef CONTROL_TRACE_H
#define	CONTROL_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "hvhost.h"

#define	TRACE_SNAP	128u	/* what is kept of a payload by default */

struct tracer;

/*
 * Makes or overwrites the file, for its owner only.  Times of events are those
 * of CLOCK_MONOTONIC.  snap: bytes kept of a packet's payload, 0 for
 * TRACE_SNAP.  say: called at most once, from the tracer's thread, when the
 * file cannot be written any more; the trace then ends.
 */
int	tracer_open(const char *path, uint32_t snap,
	    void (*say)(void *arg, const char *text), void *arg,
	    struct tracer **tp, char *err, size_t errlen);
/* What hvh_ops.trace calls.  Events that find no room are counted. */
void	tracer_event(struct tracer *t, const struct hvh_trace_event *ev);
/* All that was taken is in the file afterwards. */
void	tracer_close(struct tracer *t);

#endif	/* !CONTROL_TRACE_H */
