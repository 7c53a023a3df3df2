/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl's commands that ask for something and have little to show.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/hvctl.h"
#include "control/names.h"

static void
put_number(json_t *request, const char *key, uint64_t v)
{
	char text[19];

	/* JSON's numbers end at 63 bits. */
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v);
	json_object_set_new(request, key, v <= INT64_MAX ?
	    json_integer((json_int_t)v) : json_string(text));
}

int
hvctl_no_more(int argc, char **argv, int used)
{

	if (argc <= used)
		return (HVCTL_OK);
	return (hvctl_usage("%s: \"%s\" is one argument too many", argv[0],
	    argv[used]));
}

int
hvctl_ask_plain(const struct hvctl *hc, json_t *request)
{
	json_t *result;
	int status;

	status = hvctl_ask(hc, request, -1, &result);
	if (status == HVCTL_OK)
		hvctl_done(hc, result);
	return (status);
}

int
hvctl_plain(const struct hvctl *hc, int argc, char **argv)
{

	if (hvctl_no_more(argc, argv, 1) != HVCTL_OK)
		return (HVCTL_USAGE);
	return (hvctl_ask_plain(hc, hvctl_request(argv[0])));
}

/* --- Disks. --- */

struct disk_args {
	uint64_t	 lun, controller;
	bool		 have_lun;
	bool		 ro, cdrom;
	const char	*serial;
};

static bool
disk_options(int argc, char **argv, struct disk_args *da)
{
	static const struct option options[] = {
		{ "lun", required_argument, NULL, 'l' },
		{ "controller", required_argument, NULL, 'c' },
		{ "ro", no_argument, NULL, 'r' },
		{ "cdrom", no_argument, NULL, 'd' },
		{ "serial", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			if (!hvctl_number("--lun", optarg, 63, &da->lun))
				return (false);
			da->have_lun = true;
			break;
		case 'c':
			if (!hvctl_number("--controller", optarg, 255,
			    &da->controller))
				return (false);
			break;
		case 'r':
			da->ro = true;
			break;
		case 'd':
			da->cdrom = true;
			break;
		case 's':
			for (const char *p = optarg; *p != '\0'; p++) {
				if (*p >= ' ' && *p <= '~')
					continue;
				hvctl_usage("--serial: takes printable ASCII");
				return (false);
			}
			da->serial = optarg;
			break;
		default:
			return (false);
		}
	}
	return (true);
}

static int
disk_add(const struct hvctl *hc, const char *file, const struct disk_args *da)
{
	json_t *request, *result, *name;
	int fd, status;

	fd = open(file, (da->ro || da->cdrom ? O_RDONLY : O_RDWR) | O_CLOEXEC |
	    O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		hvctl_say("%s: cannot open it for %s: %s", file,
		    da->ro || da->cdrom ? "reading" : "reading and writing",
		    strerror(errno));
		return (HVCTL_REFUSED);
	}
	/* JSON takes no bytes that are not UTF-8. */
	name = json_string(file);
	request = hvctl_request("disk-add");
	json_object_set_new(request, "file",
	    name != NULL ? name : json_string("disk"));
	put_number(request, "controller", da->controller);
	if (da->have_lun)
		put_number(request, "lun", da->lun);
	json_object_set_new(request, "ro", json_boolean(da->ro));
	json_object_set_new(request, "cdrom", json_boolean(da->cdrom));
	if (da->serial != NULL)
		json_object_set_new(request, "serial",
		    json_string(da->serial));
	status = hvctl_ask(hc, request, fd, &result);
	close(fd);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json)
		printf("%s is LUN %lld of controller %lld\n", file,
		    (long long)json_integer_value(json_object_get(result,
		    "lun")),
		    (long long)json_integer_value(json_object_get(result,
		    "controller")));
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

int
hvctl_disk(const struct hvctl *hc, int argc, char **argv)
{
	struct disk_args da = { 0 };
	json_t *request;
	bool add;

	if (!disk_options(argc, argv, &da))
		return (HVCTL_USAGE);
	argc -= optind;
	argv += optind;
	add = argc > 0 && strcmp(argv[0], "add") == 0;
	if (argc == 0 || (!add && strcmp(argv[0], "remove") != 0))
		return (hvctl_usage("disk: add or remove?"));
	if (argc < 2)
		return (hvctl_usage(add ? "disk add: which file?" :
		    "disk remove: which LUN?"));
	if (hvctl_no_more(argc, argv, 2) != HVCTL_OK)
		return (HVCTL_USAGE);
	if (add)
		return (disk_add(hc, argv[1], &da));
	if (da.have_lun || da.ro || da.cdrom || da.serial != NULL)
		return (hvctl_usage("disk remove: takes the LUN and "
		    "--controller only"));
	if (!hvctl_number("disk remove", argv[1], 63, &da.lun))
		return (HVCTL_USAGE);
	request = hvctl_request("disk-remove");
	put_number(request, "controller", da.controller);
	put_number(request, "lun", da.lun);
	return (hvctl_ask_plain(hc, request));
}

/* --- Faults. --- */

/* --key: a number, all, or what a channel message is called. */
static bool
fault_key(const char *text, uint64_t *value)
{
	uint32_t type;

	if (name_equal(text, "any")) {
		*value = HVH_FAULT_ANY;
		return (true);
	}
	if (name_to_message(text, &type)) {
		*value = type;
		return (true);
	}
	return (hvctl_number("--key", text, UINT32_MAX, value));
}

/* --arg: a number, an errno's name, or a time. */
static bool
fault_arg(const char *text, uint64_t *value)
{
	static const struct {
		const char	*unit;
		uint64_t	 ns;
	} units[] = {
		{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 },
		{ "s", 1000000000 },
	};
	size_t digits = strspn(text, "0123456789");
	char number[24];

	if (name_to_number(text, true, value))
		return (true);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (digits == 0 || digits >= sizeof(number) ||
		    strcmp(text + digits, units[i].unit) != 0)
			continue;
		snprintf(number, sizeof(number), "%.*s", (int)digits, text);
		if (name_to_number(number, false, value) &&
		    !__builtin_mul_overflow(*value, units[i].ns, value))
			return (true);
	}
	hvctl_usage("--arg: \"%s\" is no number, errno or time", text);
	return (false);
}

static bool
fault_options(int argc, char **argv, json_t *request)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "skip", required_argument, NULL, 's' },
		{ "times", required_argument, NULL, 't' },
		{ "arg", required_argument, NULL, 'a' },
		{ "offset", required_argument, NULL, 'o' },
		{ "len", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	char dashed[16];
	uint64_t v;
	int at, c;
	bool good;

	while ((c = getopt_long(argc, argv, "", options, &at)) != -1) {
		if (c == '?')
			return (false);
		snprintf(dashed, sizeof(dashed), "--%s", options[at].name);
		if (c == 'k')
			good = fault_key(optarg, &v);
		else if (c == 'a')
			good = fault_arg(optarg, &v);
		else
			good = hvctl_number(dashed, optarg,
			    c == 'l' ? 8 : UINT32_MAX, &v);
		if (!good)
			return (false);
		put_number(request, options[at].name, v);
	}
	return (true);
}

static int
fault_add(const struct hvctl *hc, int argc, char **argv, json_t *request)
{
	enum hvh_fault_action action;
	enum hvh_fault_point point;

	if (argc < 3)
		return (hvctl_usage("fault add: wants a point and an action"));
	if (hvctl_no_more(argc, argv, 3) != HVCTL_OK)
		return (HVCTL_USAGE);
	if (!name_to_fault_point(argv[1], &point))
		return (hvctl_usage("fault add: there is no point \"%s\"; "
		    "there are msg_out, msg_in, post, signal_out, pkt_out, "
		    "pkt_in, blk, rndis_out and hypercall", argv[1]));
	if (!name_to_fault_action(argv[2], &action))
		return (hvctl_usage("fault add: there is no action \"%s\"; "
		    "there are drop, delay, dup, hold, corrupt, truncate, "
		    "status and rescind", argv[2]));
	json_object_set_new(request, "cmd", json_string("fault"));
	json_object_set_new(request, "point",
	    json_string(name_fault_point(point)));
	json_object_set_new(request, "action",
	    json_string(name_fault_action(action)));
	return (hvctl_ask_plain(hc, json_incref(request)));
}

static int
fault_count(const struct hvctl *hc, int argc, char **argv)
{
	json_t *count, *request, *result;
	const char *name;
	int status;

	if (hvctl_no_more(argc, argv, 2) != HVCTL_OK)
		return (HVCTL_USAGE);
	request = hvctl_request("fault-count");
	if (argc == 2)
		json_object_set_new(request, "point", json_string(argv[1]));
	status = hvctl_ask(hc, request, -1, &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json) {
		json_object_foreach(result, name, count) {
			printf("%-12s %10lld\n", name,
			    (long long)json_integer_value(count));
		}
	}
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

int
hvctl_fault(const struct hvctl *hc, int argc, char **argv)
{
	json_t *request;
	int status;

	request = json_object();
	if (!fault_options(argc, argv, request)) {
		json_decref(request);
		return (HVCTL_USAGE);
	}
	argc -= optind;
	argv += optind;
	if (argc > 0 && strcmp(argv[0], "add") == 0)
		status = fault_add(hc, argc, argv, request);
	else if (json_object_size(request) > 0)
		status = hvctl_usage("fault: options are for add");
	else if (argc == 1 && strcmp(argv[0], "clear") == 0)
		status = hvctl_ask_plain(hc, hvctl_request("fault-clear"));
	else if (argc > 0 && strcmp(argv[0], "count") == 0)
		status = fault_count(hc, argc, argv);
	else
		status = hvctl_usage("fault: add, clear or count?");
	json_decref(request);
	return (status);
}

/* --- Others. --- */

int
hvctl_rescind(const struct hvctl *hc, int argc, char **argv)
{
	json_t *request;
	uint64_t chan;

	if (argc < 2)
		return (hvctl_usage("rescind: which channel?"));
	if (hvctl_no_more(argc, argv, 2) != HVCTL_OK ||
	    !hvctl_number("rescind", argv[1], UINT32_MAX, &chan))
		return (HVCTL_USAGE);
	request = hvctl_request("rescind");
	put_number(request, "channel", chan);
	return (hvctl_ask_plain(hc, request));
}
