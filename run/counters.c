/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See counters.h. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"

kpi_u64
counters_sysctl(const char *fmt, ...)
{
	char name[128], value[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (kpi_sysctl_get(name, value, sizeof(value)) != 0)
		return (0);
	return (strtoull(value, NULL, 10));
}

static void
counters_channel(void *arg, const char *name, const char *value)
{
	struct counters_signals *cs = arg;
	const char *leaf;

	leaf = strrchr(name, '.');
	if (leaf == NULL)
		return;
	if (strcmp(leaf, ".tx_signals") == 0)
		cs->sent += strtoull(value, NULL, 10);
	else if (strcmp(leaf, ".tx_signals_saved") == 0)
		cs->saved += strtoull(value, NULL, 10);
}

struct counters_signals
counters_signals(const char *device)
{
	struct counters_signals cs = { 0, 0 };
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "%s.channel", device);
	kpi_sysctl_walk(prefix, counters_channel, &cs);
	return (cs);
}
