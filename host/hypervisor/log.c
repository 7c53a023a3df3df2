/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Log lines for the library's user.  Bytes a guest supplied are made
 * printable first; who is flooded drops lines himself.
 */

#include <stdarg.h>
#include <stdio.h>

#include "hypervisor/partition.h"

void
hvh_log(struct hvh *h, enum hvh_log_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (h->h_ops.log == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7F)
			*p = '.';
	}
	h->h_ops.log(h->h_arg, level, text);
}
