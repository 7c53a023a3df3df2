/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl's command for dynamic memory.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/hvctl.h"

#define	MIB	(1024.0 * 1024.0)

static double
mib(const json_t *o, const char *key)
{

	return ((double)json_integer_value(json_object_get(o, key)) / MIB);
}

static long long
number(const json_t *o, const char *key)
{

	return ((long long)json_integer_value(json_object_get(o, key)));
}

/* "512M", "1.5G"; a plain number counts bytes. */
static bool
size_bytes(const char *text, json_int_t *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	double v = strtod(text, &end);

	if (end != text && *end != '\0' &&
	    (unit = strchr(units, *end)) != NULL) {
		for (; unit >= units; unit--)
			v *= 1024;
		end++;
	}
	if (end == text || *end != '\0' || !(v >= 4096 && v < 9e18)) {
		hvctl_usage("memory set: \"%s\" is not a size such as 512M or "
		    "1.5G", text);
		return (false);
	}
	*bytes = (json_int_t)v;
	return (true);
}

static int
memory_show(const struct hvctl *hc)
{
	json_t *r;
	int status;

	status = hvctl_ask(hc, hvctl_request("memory"), -1, &r);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json) {
		printf("%s: %.1f MiB assigned of %.1f, %.1f given up%s\n",
		    hvctl_text(r, "state"), mib(r, "assigned"),
		    mib(r, "total"), mib(r, "ballooned"),
		    json_is_true(json_object_get(r, "busy")) ?
		    ", an order is under way" : "");
		printf("%lld orders, %lld not followed in full, %lld "
		    "time-outs\n", number(r, "orders"), number(r, "refused"),
		    number(r, "timeouts"));
		if (json_object_get(r, "reported") == NULL)
			puts("the guest has not said how much it needs");
		else
			printf("%.1f s ago the guest needed %.1f MiB (%.0f %% "
			    "of what it has), %.1f were available\n",
			    (double)number(r, "reported") / 1e9,
			    mib(r, "demand"), 100 * mib(r, "demand") /
			    mib(r, "assigned"), mib(r, "available"));
	}
	hvctl_done(hc, r);
	return (HVCTL_OK);
}

static void
memory_progress(void *arg, const json_t *progress)
{
	const struct hvctl *hc = arg;

	if (!hc->json && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%8.1f MiB", mib(progress, "assigned"));
}

/* A guest that stops before the target has refused the rest. */
static int
memory_set(const struct hvctl *hc, json_int_t bytes)
{
	json_t *request = hvctl_request("memory"), *r;
	bool all;
	int status;

	json_object_set_new(request, "set", json_integer(bytes));
	status = hvctl_ask_guest(hc, request, -1, memory_progress,
	    (void *)(uintptr_t)hc, &r);
	if (!hc->json && isatty(STDERR_FILENO))
		fputs("\r            \r", stderr);
	if (status != HVCTL_OK)
		return (status);
	/* Memory goes by whole pages. */
	all = number(r, "assigned") <= number(r, "target");
	if (!all)
		hvctl_say("the guest stops at %.1f MiB, it gives up no more",
		    mib(r, "assigned"));
	else if (!hc->json)
		printf("the guest has %.1f MiB\n", mib(r, "assigned"));
	hvctl_done(hc, r);
	return (all ? HVCTL_OK : HVCTL_REFUSED);
}

int
hvctl_memory(const struct hvctl *hc, int argc, char **argv)
{
	json_int_t bytes;

	if (argc < 2)
		return (memory_show(hc));
	if (strcmp(argv[1], "set") != 0)
		return (hvctl_usage("memory: set?"));
	if (argc < 3)
		return (hvctl_usage("memory set: how much?"));
	if (hvctl_no_more(argc, argv, 3) != HVCTL_OK ||
	    !size_bytes(argv[2], &bytes))
		return (HVCTL_USAGE);
	return (memory_set(hc, bytes));
}
