/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl's commands for the guest's integration services, but for data
 * exchange.  What a guest says may hold anything, so it is printed with care.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/hvctl.h"

void
hvctl_print(const char *text)
{

	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			printf("\\x%02x", (unsigned char)*text);
		else
			putchar(*text);
	}
}

const char *
hvctl_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return (text != NULL ? text : "");
}

static long long
number(const json_t *o, const char *key)
{

	return ((long long)json_integer_value(json_object_get(o, key)));
}

/* "5s", "-200ms", "1.5s"; a plain number counts seconds. */
static bool
time_ns(const char *what, const char *text, double *ns)
{
	static const struct {
		const char	*unit;
		double		 ns;
	} units[] = {
		{ "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 },
		{ "ns", 1 }, { "m", 60e9 }, { "h", 3600e9 }, { "d", 86400e9 },
	};
	char *end;
	double v = strtod(text, &end);

	for (size_t i = 0; end != text && isfinite(v) &&
	    i < sizeof(units) / sizeof(units[0]); i++) {
		*ns = v * units[i].ns;
		if (strcmp(end, units[i].unit) == 0 && fabs(*ns) < 9e18)
			return (true);
	}
	hvctl_usage("%s: \"%s\" is not a time such as 5s or -200ms", what,
	    text);
	return (false);
}

/* --- Shutdown. --- */

int
hvctl_shutdown(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "button", no_argument, NULL, 'b' },
		{ "urgent", no_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request = hvctl_request("shutdown"), *result;
	int c, status;

	while ((c = getopt_long(argc, argv, "f", options, NULL)) != -1) {
		if (c != 'f' && c != 'b' && c != 'u') {
			json_decref(request);
			return (HVCTL_USAGE);
		}
		json_object_set_new(request, c == 'f' ? "force" : c == 'b' ?
		    "button" : "urgent", json_true());
	}
	if (hvctl_no_more(argc, argv, optind) != HVCTL_OK) {
		json_decref(request);
		return (HVCTL_USAGE);
	}
	status = hvctl_ask_guest(hc, request, -1, NULL, NULL, &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json && strcmp(hvctl_text(result, "by"), "service") == 0)
		puts("the guest shuts down");
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

int
hvctl_reboot(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option options[] = {
		{ "urgent", no_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request, *result;
	bool urgent = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'u')
			return (HVCTL_USAGE);
		urgent = true;
	}
	if (hvctl_no_more(argc, argv, optind) != HVCTL_OK)
		return (HVCTL_USAGE);
	request = hvctl_request(argv[0]);
	json_object_set_new(request, "urgent", json_boolean(urgent));
	status = hvctl_ask_guest(hc, request, -1, NULL, NULL, &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json)
		printf("the guest will %s\n", argv[0]);
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

/* --- What they are. --- */

int
hvctl_services(const struct hvctl *hc, int argc, char **argv)
{
	json_t *result, *o;
	int status;

	if (hvctl_no_more(argc, argv, 1) != HVCTL_OK)
		return (HVCTL_USAGE);
	status = hvctl_ask(hc, hvctl_request("services"), -1, &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json) {
		printf("%-10s %-12s %9s %7s %9s %9s %11s\n", "service",
		    "state", "framework", "version", "requests", "time-outs",
		    "slowest ms");
		for (size_t i = 0; (o = json_array_get(json_object_get(result,
		    "services"), i)) != NULL; i++)
			printf("%-10s %-12s %9s %7s %9lld %9lld %11.3f\n",
			    hvctl_text(o, "name"), hvctl_text(o, "state"),
			    hvctl_text(o, "framework"),
			    hvctl_text(o, "version"), number(o, "requests"),
			    number(o, "timeouts"),
			    (double)number(o, "rtt_max") / 1e6);
	}
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

int
hvctl_heartbeat(const struct hvctl *hc, int argc, char **argv)
{
	static const char *const applications[] = {
		"unknown", "healthy", "critical", "stopped"
	};
	json_t *result;
	long long app;
	int status;

	if (hvctl_no_more(argc, argv, 1) != HVCTL_OK)
		return (HVCTL_USAGE);
	status = hvctl_ask(hc, hvctl_request("heartbeat"), -1, &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json) {
		app = number(result, "application");
		printf("%s (applications %s)\n"
		    "%lld sent, %lld answered, %lld missed; "
		    "last %.3f ms, slowest %.3f ms\n",
		    hvctl_text(result, "state"),
		    applications[app >= 0 && app <= 3 ? app : 0],
		    number(result, "sent"), number(result, "answered"),
		    number(result, "missed"),
		    (double)number(result, "rtt_last") / 1e6,
		    (double)number(result, "rtt_max") / 1e6);
	}
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

/* --- Time. --- */

static int
time_ask(const struct hvctl *hc, json_t *request)
{
	json_t *result;
	int status;

	status = hvctl_ask_guest(hc, request, -1, NULL, NULL, &result);
	if (status != HVCTL_OK)
		return (status);
	if (hc->json)
		;
	else if (json_is_true(json_object_get(result, "told")))
		puts("the guest has been told the time");
	else
		printf("the guest is told %+.9f s; %lld times to set its "
		    "clock, %lld samples\n",
		    (double)number(result, "shift") / 1e9,
		    number(result, "syncs"), number(result, "samples"));
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

int
hvctl_time(const struct hvctl *hc, int argc, char **argv)
{
	json_t *request;
	bool step, sync, sample;
	double ns = 0;

	/* No options: a time may begin with a minus. */
	step = argc > 1 && strcmp(argv[1], "step") == 0;
	sync = argc > 1 && strcmp(argv[1], "sync") == 0;
	sample = step && argc > 3 && strcmp(argv[3], "--sample") == 0;
	if (argc > 1 && !step && !sync)
		return (hvctl_usage("time: step or sync?"));
	if (step && argc < 3)
		return (hvctl_usage("time step: by how much?"));
	if (hvctl_no_more(argc, argv, sample ? 4 : step ? 3 : sync ? 2 : 1) !=
	    HVCTL_OK || (step && !time_ns("time step", argv[2], &ns)))
		return (HVCTL_USAGE);
	request = hvctl_request("time");
	if (step)
		json_object_set_new(request, "step",
		    json_integer((json_int_t)ns));
	json_object_set_new(request, "sync", json_boolean(sync ||
	    (step && !sample)));
	return (time_ask(hc, request));
}

/* --- Backup. --- */

static void
vss_progress(void *arg, const json_t *progress)
{
	const struct hvctl *hc = arg;

	if (!hc->json)
		fprintf(stderr, "%s\n", hvctl_text(progress, "step"));
}

int
hvctl_vss(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option options[] = {
		{ "hold", required_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request, *result;
	double hold = 0;
	int c, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'h' || !time_ns("--hold", optarg, &hold))
			return (HVCTL_USAGE);
	}
	if (optind >= argc)
		return (hvctl_usage("vss: snapshot, check, freeze or thaw?"));
	if (hvctl_no_more(argc, argv, optind + 1) != HVCTL_OK)
		return (HVCTL_USAGE);
	if (hold < 0)
		return (hvctl_usage("--hold: backwards?"));
	request = hvctl_request("vss");
	json_object_set_new(request, "action", json_string(argv[optind]));
	json_object_set_new(request, "hold", json_integer((json_int_t)(hold /
	    1e6)));
	status = hvctl_ask_guest(hc, request, -1, vss_progress,
	    (void *)(uintptr_t)hc, &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json) {
		if (json_object_get(result, "frozen") != NULL)
			printf("%s: done, frozen for %.3f ms\n", argv[optind],
			    (double)number(result, "frozen") / 1e6);
		else
			printf("%s: done\n", argv[optind]);
	}
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

/* --- File copy. --- */

static void
copy_progress(void *arg, const json_t *progress)
{
	const struct hvctl *hc = arg;
	double size = (double)number(progress, "size");

	if (!hc->json && isatty(STDERR_FILENO) && size > 0)
		fprintf(stderr, "\r%3.0f %%", 100 *
		    (double)number(progress, "bytes") / size);
}

/*
 * DEST is a directory and, unless it ends with '/', a name.  The directory
 * keeps its slash: Linux's daemon makes what stands before one.
 */
static json_t *
copy_request(const char *file, const char *dest)
{
	const char *slash = strrchr(dest, '/'), *base = strrchr(file, '/');
	const char *name;
	json_t *request = hvctl_request("copy");

	if (slash == NULL)
		name = dest;
	else if (slash[1] != '\0')
		name = slash + 1;
	else
		name = base != NULL ? base + 1 : file;
	json_object_set_new(request, "name", json_string(name));
	json_object_set_new(request, "path", slash == NULL ? json_string("") :
	    json_stringn(dest, (size_t)(slash + 1 - dest)));
	return (request);
}

int
hvctl_copy(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option options[] = {
		{ "overwrite", no_argument, NULL, 'o' },
		{ "create-path", no_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request, *result;
	bool overwrite = false, create = false;
	int c, fd, status;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'o' && c != 'p')
			return (HVCTL_USAGE);
		overwrite |= c == 'o';
		create |= c == 'p';
	}
	if (argc - optind < 2)
		return (hvctl_usage("copy: which file, and where to?"));
	if (hvctl_no_more(argc, argv, optind + 2) != HVCTL_OK)
		return (HVCTL_USAGE);
	fd = open(argv[optind], O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		hvctl_say("%s: cannot open it: %s", argv[optind],
		    strerror(errno));
		return (HVCTL_REFUSED);
	}
	request = copy_request(argv[optind], argv[optind + 1]);
	json_object_set_new(request, "overwrite", json_boolean(overwrite));
	json_object_set_new(request, "create-path", json_boolean(create));
	status = hvctl_ask_guest(hc, request, fd, copy_progress,
	    (void *)(uintptr_t)hc, &result);
	close(fd);
	if (!hc->json && isatty(STDERR_FILENO))
		fputs("\r     \r", stderr);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json)
		printf("%s: %lld bytes are in the guest\n", argv[optind],
		    number(result, "bytes"));
	hvctl_done(hc, result);
	return (HVCTL_OK);
}
