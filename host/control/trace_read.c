/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Reads a trace.  The file may be cut off anywhere, still be growing, or have
 * been damaged: what makes no sense is skipped up to the next record that
 * does.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/trace_read.h"

#define	WINDOW	(4u * (TRACE_DATA_MAX + 64))

struct trace_reader {
	int		 fd;
	struct trace_head head;
	uint64_t	 pos;		/* of the next record */
	uint64_t	 base;		/* where in the file buf begins */
	size_t		 have;		/* bytes in buf */
	uint8_t		 buf[WINDOW];
};

static ssize_t
read_at(int fd, void *buf, size_t len, uint64_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, (uint8_t *)buf + done, len - done,
		    (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (-1);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return ((ssize_t)done);
}

/* How many of len bytes at a place there are; *p: the first.  -1: errno. */
static ssize_t
window(struct trace_reader *tr, uint64_t at, size_t len, const uint8_t **p)
{
	ssize_t n;
	size_t left;

	if (at < tr->base || at + len > tr->base + tr->have) {
		n = read_at(tr->fd, tr->buf, sizeof(tr->buf), at);
		if (n < 0)
			return (-1);
		tr->base = at;
		tr->have = (size_t)n;
	}
	*p = tr->buf + (at - tr->base);
	left = tr->have - (size_t)(at - tr->base);
	return ((ssize_t)(left < len ? left : len));
}

static bool
plausible(const struct trace_record *r)
{

	return (r->tr_mark == TRACE_MARK && r->tr_kind != 0 &&
	    r->tr_len <= TRACE_DATA_MAX && r->tr_len <= r->tr_total);
}

enum trace_got
trace_next(struct trace_reader *tr, struct trace_record *r,
    const uint8_t **data, uint64_t *skipped)
{
	const uint8_t *p;
	size_t size;
	ssize_t n;

	for (*skipped = 0;; *skipped += 8, tr->pos += 8) {
		n = window(tr, tr->pos, sizeof(*r), &p);
		if (n <= 0)
			return (n < 0 ? TRACE_FAILED : TRACE_END);
		if ((size_t)n < sizeof(*r))
			return (TRACE_SHORT);
		memcpy(r, p, sizeof(*r));
		if (!plausible(r))
			continue;
		size = sizeof(*r) + TRACE_PAD(r->tr_len);
		n = window(tr, tr->pos, size, &p);
		if (n < 0)
			return (TRACE_FAILED);
		if ((size_t)n < size)
			return (TRACE_SHORT);
		*data = p + sizeof(*r);
		tr->pos += size;
		return (TRACE_GOT);
	}
}

static int
check_head(const struct trace_head *th, size_t have, const char *path,
    char *err, size_t errlen)
{

	if (have < sizeof(*th) ||
	    memcmp(th->th_magic, TRACE_MAGIC, sizeof(th->th_magic)) != 0) {
		snprintf(err, errlen, "%s: is not a trace of hvhost", path);
		return (EINVAL);
	}
	if (th->th_version != TRACE_VERSION || th->th_len < sizeof(*th) ||
	    th->th_len % 8 != 0) {
		snprintf(err, errlen, "%s: is a trace of version %u, which "
		    "this program does not know", path, th->th_version);
		return (EINVAL);
	}
	return (0);
}

int
trace_reader_open(const char *path, struct trace_reader **trp, char *err,
    size_t errlen)
{
	struct trace_reader *tr;
	struct stat sb;
	ssize_t n = -1;
	int error;

	tr = calloc(1, sizeof(*tr));
	if (tr == NULL) {
		snprintf(err, errlen, "no memory to read a trace");
		return (ENOMEM);
	}
	tr->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (tr->fd >= 0 && fstat(tr->fd, &sb) == 0 && !S_ISREG(sb.st_mode))
		errno = S_ISDIR(sb.st_mode) ? EISDIR : ESPIPE;
	else if (tr->fd >= 0)
		n = read_at(tr->fd, &tr->head, sizeof(tr->head), 0);
	if (n < 0) {
		error = errno;
		snprintf(err, errlen, "%s: cannot read it: %s", path,
		    strerror(error));
	} else {
		error = check_head(&tr->head, (size_t)n, path, err, errlen);
	}
	if (error != 0) {
		if (tr->fd >= 0)
			close(tr->fd);
		free(tr);
		return (error);
	}
	tr->pos = tr->head.th_len;
	*trp = tr;
	return (0);
}

void
trace_reader_close(struct trace_reader *tr)
{

	close(tr->fd);
	free(tr);
}

const struct trace_head *
trace_reader_head(const struct trace_reader *tr)
{

	return (&tr->head);
}
