/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The console of the waist, the kernel's death and random bytes.
 */

#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "waist.h"

#define	MAXFRAMES	64

static void (*panic_hook)(const char *msg);

/* Not stdio: a line must be out when the process dies on the next one. */
static void
write_line(int fd, const char *line)
{
	struct iovec iov[2];
	ssize_t n;

	iov[0].iov_base = (char *)(unsigned long)line;
	iov[0].iov_len = strlen(line);
	iov[1].iov_base = "\n";
	iov[1].iov_len = 1;
	do {
		n = writev(fd, iov, 2);
	} while (n == -1 && errno == EINTR);
}

void
hosted_console(const char *line)
{
	write_line(STDOUT_FILENO, line);
}

void
hosted_backtrace(void)
{
	void *frames[MAXFRAMES];

	backtrace_symbols_fd(frames, backtrace(frames, MAXFRAMES),
	    STDERR_FILENO);
}

void
hosted_panic_hook(void (*fn)(const char *msg))
{
	panic_hook = fn;
}

void
hosted_panic_tell(const char *msg)
{

	if (panic_hook != NULL)
		panic_hook(msg);
}

void
hosted_panic(const char *msg)
{

	hosted_panic_tell(msg);
	write_line(STDERR_FILENO, msg);
	hosted_backtrace();
	abort();
}

void
hosted_random(void *buf, hosted_size len)
{
	unsigned char *p = buf;
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			abort();
		}
		p += n;
		len -= n;
	}
}
