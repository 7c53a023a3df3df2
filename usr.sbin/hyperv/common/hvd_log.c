/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The log of a daemon.  Whoever writes to syslog while file systems stand still
 * may wait for syslogd, and syslogd for the file systems: messages are kept
 * until they move again.  Nothing here allocates memory then.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "hvd.h"

#define	KEPT		32
#define	KEPT_LEN	240

static struct {
	bool		 foreground, hold;
	const char	*name;
	unsigned	 count, lost;
	struct {
		int	 priority;
		char	 text[KEPT_LEN];
	}		 kept[KEPT];
} state;

void
hvd_log_open(const char *name, bool foreground)
{

	state.name = name;
	state.foreground = foreground;
	if (foreground)
		return;
	/* A sandbox could not connect later, nor find the time zone. */
	tzset();
	openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

static void
say(int priority, const char *text)
{

	if (state.foreground)
		(void)fprintf(stderr, "%s: %s\n", state.name, text);
	else
		syslog(priority, "%s", text);
}

void
hvd_log(int priority, const char *fmt, ...)
{
	char text[KEPT_LEN];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!state.hold)
		say(priority, text);
	else if (state.count < KEPT) {
		state.kept[state.count].priority = priority;
		strcpy(state.kept[state.count++].text, text);
	} else
		state.lost++;
}

void
hvd_log_hold(void)
{

	state.hold = true;
}

void
hvd_log_release(void)
{
	unsigned i;

	state.hold = false;
	for (i = 0; i < state.count; i++)
		say(state.kept[i].priority, state.kept[i].text);
	if (state.lost > 0)
		hvd_log(LOG_WARNING, "%u more messages were lost", state.lost);
	state.count = state.lost = 0;
}
