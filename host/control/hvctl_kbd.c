/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl's commands for the guest's keyboard.
 */

#include <getopt.h>
#include <string.h>

#include "control/hvctl.h"

static int
ask(const struct hvctl *hc, json_t *request)
{
	json_t *result;
	int status;

	status = hvctl_ask_guest(hc, request, -1, NULL, NULL, &result);
	if (status == HVCTL_OK)
		hvctl_done(hc, result);
	return (status);
}

/* Options of both; false: said what is wrong. */
static bool
options(int argc, char **argv, const struct option *opts, json_t *request)
{
	double seconds;
	int c;

	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		if (c == 'e')
			json_object_set_new(request, "enter", json_true());
		else if (c != 'p')
			return (false);
		else if (!hvctl_seconds("--pause", optarg, &seconds))
			return (false);
		else if (seconds < 0 || seconds > 1) {
			hvctl_usage("--pause: from 0 to 1 second");
			return (false);
		} else
			json_object_set_new(request, "pause",
			    json_integer((json_int_t)(seconds * 1e3)));
	}
	return (true);
}

int
hvctl_type(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option opts[] = {
		{ "enter", no_argument, NULL, 'e' },
		{ "pause", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request = hvctl_request("type");
	int status = HVCTL_USAGE;

	if (!options(argc, argv, opts, request))
		;
	else if (argc - optind < 1)
		status = hvctl_usage("type: what?");
	else if (hvctl_no_more(argc, argv, optind + 1) == HVCTL_OK) {
		json_object_set_new(request, "text",
		    json_string(argv[optind]));
		return (ask(hc, request));
	}
	json_decref(request);
	return (status);
}

int
hvctl_key(const struct hvctl *hc, int argc, char **argv)
{
	static const struct option opts[] = {
		{ "pause", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request = hvctl_request("key"), *keys = json_array();

	if (!options(argc, argv, opts, request)) {
		json_decref(request);
		json_decref(keys);
		return (HVCTL_USAGE);
	}
	for (int i = optind; i < argc; i++)
		json_array_append_new(keys, json_string(argv[i]));
	json_object_set_new(request, "keys", keys);
	if (json_array_size(keys) > 0)
		return (ask(hc, request));
	json_decref(request);
	return (hvctl_usage("key: which?"));
}
