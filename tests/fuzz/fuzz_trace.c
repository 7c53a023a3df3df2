/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A trace that somebody else wrote: read to its end, every record put into
 * words.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/trace_read.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put(int fd, const void *data, size_t size)
{

	if (write(fd, data, size) != (ssize_t)size)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct trace_head th = { .th_magic = TRACE_MAGIC,
	    .th_version = TRACE_VERSION, .th_len = sizeof(th) };
	struct trace_reader *tr;
	struct trace_state *ts;
	struct trace_record r;
	struct trace_line line;
	const uint8_t *rec;
	uint64_t skipped;
	char err[200], path[32];
	int fd;

	if (size == 0)
		return (0);
	fd = memfd_create("trace", 0);
	if (fd < 0)
		abort();
	/* Most begin as they should. */
	if (data[0] != 0)
		put(fd, &th, sizeof(th));
	put(fd, data + 1, size - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (trace_reader_open(path, &tr, err, sizeof(err)) == 0) {
		ts = trace_state_new();
		while (trace_next(tr, &r, &rec, &skipped) == TRACE_GOT) {
			trace_decode(ts, &r, rec, &line);
			if (line.kind == NULL || line.name[0] == '\0' ||
			    memchr(line.text, '\0', sizeof(line.text)) == NULL)
				abort();
		}
		trace_state_free(ts);
		trace_reader_close(tr);
	}
	close(fd);
	return (0);
}
