/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `dmesg [TEXT]': the lines of the kernel's message buffer, or those that have
 * a text in them; ENOENT if none has.  Without the priorities that some begin
 * with (`<6>').
 */

#include <sys/param.h>
#include <sys/errno.h>

#include "commands.h"
#include "lib.h"

#define	MESSAGES_MAX	(512 << 10)

static const char *
after_priority(const char *line)
{
	const char *p = line;

	if (*p++ != '<')
		return (line);
	while (*p >= '0' && *p <= '9')
		p++;
	return (*p == '>' ? p + 1 : line);
}

int
cmd_dmesg(int argc, char **argv)
{
	char *text, *line, *end;
	size_t size = MESSAGES_MAX - 1;
	int error;

	text = mem_get(MESSAGES_MAX);
	error = sysctl_get("kern.msgbuf", text, &size);
	if (error != 0) {
		mem_put(text, MESSAGES_MAX);
		return (complain(error, "kern.msgbuf"));
	}
	text[size] = '\0';
	error = argc > 1 ? ENOENT : 0;
	for (line = text; *line != '\0'; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		else
			end = line + strlen(line);
		if (argc > 1 && strstr(line, argv[1]) == NULL)
			continue;
		print("%s\n", after_priority(line));
		error = 0;
	}
	mem_put(text, MESSAGES_MAX);
	return (error);
}
