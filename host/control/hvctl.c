/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl: asks a running hvhost over its control socket, and reads its traces.
 */

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl_client.h"
#include "control/hvctl.h"
#include "control/names.h"

static const struct {
	const char	*name;
	int		(*fn)(const struct hvctl *hc, int argc, char **argv);
	const char	*args;
	const char	*what;
	const char	*example;
} commands[] = {
	{ "status", hvctl_status, "", "what the machine is and does",
	    "hvctl status" },
	{ "stats", hvctl_stats, "[--watch [SECONDS]]",
	    "exits, hypercalls, I/O and the traffic of each channel",
	    "hvctl stats --watch 2" },
	{ "shutdown", hvctl_shutdown, "[--urgent | --button | --force]",
	    "asks the guest to power off by its shutdown service or, without "
	    "one,\n            by the power button; --urgent: nobody there "
	    "may object;\n            --force: ends the machine at once",
	    "hvctl shutdown" },
	{ "reboot", hvctl_reboot, "[--urgent]",
	    "asks the guest to start over", "hvctl reboot" },
	{ "hibernate", hvctl_reboot, "[--urgent]",
	    "asks the guest to hibernate", "hvctl hibernate" },
	{ "reset", hvctl_plain, "", "starts the machine over", "hvctl reset" },
	{ "pause", hvctl_plain, "", "stops all processors", "hvctl pause" },
	{ "resume", hvctl_plain, "", "lets them run again", "hvctl resume" },
	{ "quit", hvctl_plain, "", "ends the machine and hvhost",
	    "hvctl quit" },
	{ "disk", hvctl_disk, "add FILE [--lun N] [--controller N] [--ro]\n"
	    "            [--cdrom] [--serial S] | remove LUN "
	    "[--controller N]",
	    "plugs a disk in, or pulls it out",
	    "hvctl disk add data.img --lun 4" },
	{ "rescind", hvctl_rescind, "CHANNEL",
	    "takes the device with that channel away from the guest",
	    "hvctl rescind 3" },
	{ "fault", hvctl_fault, "add POINT ACTION [--key N] [--skip N]\n"
	    "            [--times N] [--arg N] [--offset N] [--len N] |\n"
	    "            clear | count [POINT]",
	    "makes something go wrong on purpose",
	    "hvctl fault add blk status --key 0x28 --arg EIO --times 1" },
	{ "net", hvctl_net, "add tap=NAME | add socket=PATH [--mac MAC]\n"
	    "            [--channels N] | remove ADAPTER",
	    "plugs a network adapter in, or pulls it out",
	    "hvctl net add tap=tap1" },
	{ "link", hvctl_link, "up | down [ADAPTER]",
	    "plugs the network cable in, or pulls it out", "hvctl link down" },
	{ "services", hvctl_services, "",
	    "the integration services and their versions", "hvctl services" },
	{ "heartbeat", hvctl_heartbeat, "", "does the guest answer?",
	    "hvctl heartbeat" },
	{ "time", hvctl_time, "[step TIME [--sample] | sync]",
	    "moves the clock that the guest is told, or has it set its own",
	    "hvctl time step 5s" },
	{ "kvp", hvctl_kvp, "list | get KEY | set KEY VALUE | delete KEY\n"
	    "            [--pool POOL] [--type TYPE] |\n"
	    "            ip [ADAPTER] [--set] [--address A] [--subnet S]\n"
	    "            [--gateway G] [--dns D] [--dhcp] [--family 4|6|both]",
	    "exchanges data with the guest; addresses of its adapters",
	    "hvctl kvp list --pool guest" },
	{ "vss", hvctl_vss, "snapshot [--hold TIME] | check | freeze | thaw",
	    "freezes the guest's file systems for a backup",
	    "hvctl vss snapshot --hold 500ms" },
	{ "copy", hvctl_copy, "FILE DEST [--overwrite] [--create-path]",
	    "copies a file into the guest; DEST/ is a directory there",
	    "hvctl copy data.bin /var/tmp/" },
	{ "memory", hvctl_memory, "[set SIZE]",
	    "what the guest has and needs; gives it so much of its memory",
	    "hvctl memory set 512M" },
	{ "type", hvctl_type, "TEXT [--enter] [--pause SECONDS]",
	    "types on the guest's keyboard, a US one; --enter: and Enter "
	    "behind it",
	    "hvctl type ufs:/dev/da0p2 --enter" },
	{ "key", hvctl_key, "KEYS... [--pause SECONDS]",
	    "presses keys, together those with '-' between them",
	    "hvctl key ctrl-alt-del" },
	{ "trace", hvctl_trace, "FILE [--channel N] [--type NAME|N]\n"
	    "            [--dir in|out] [--from S] [--to S] [--follow]\n"
	    "            [--summary]",
	    "what a trace of hvhost holds",
	    "hvctl trace vm.trace --type OPEN" },
};
#define	COMMANDS	(sizeof(commands) / sizeof(commands[0]))

void
hvctl_say(const char *fmt, ...)
{
	va_list ap;

	fputs("hvctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int
hvctl_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("hvctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nhvctl --help lists commands and their arguments.\n", stderr);
	return (HVCTL_USAGE);
}

bool
hvctl_number(const char *what, const char *text, uint64_t max,
    uint64_t *value)
{

	if (name_to_number(text, false, value) && *value <= max)
		return (true);
	hvctl_usage("%s: \"%s\" is not a number from 0 to %llu", what, text,
	    (unsigned long long)max);
	return (false);
}

bool
hvctl_seconds(const char *what, const char *text, double *value)
{
	char *end;

	*value = strtod(text, &end);
	if (end != text && *end == '\0' && isfinite(*value))
		return (true);
	hvctl_usage("%s: \"%s\" is not a number of seconds", what, text);
	return (false);
}

json_t *
hvctl_request(const char *cmd)
{

	return (json_pack("{s:s}", "cmd", cmd));
}

static int
ask(const struct hvctl *hc, json_t *request, int fd, bool guest,
    void (*fn)(void *arg, const json_t *progress), void *arg, json_t **result)
{
	struct ctl_conn *c;
	const char *why;
	char err[512];
	json_t *reply;
	int error;

	if (hc->socket == NULL) {
		json_decref(request);
		return (hvctl_usage("which hvhost?  Name its control socket "
		    "with -s or in HVHOST_CONTROL"));
	}
	if (ctl_connect(hc->socket, &c, err, sizeof(err)) != 0) {
		json_decref(request);
		hvctl_say("%s", err);
		return (HVCTL_NOBODY);
	}
	if (guest)
		error = ctl_call_long(c, request, fd, fn, arg, &reply, err,
		    sizeof(err));
	else
		error = ctl_call(c, request, fd, &reply, err, sizeof(err));
	ctl_disconnect(c);
	if (error != 0) {
		hvctl_say("%s", err);
		return (HVCTL_NOBODY);
	}
	if (!json_is_true(json_object_get(reply, "ok"))) {
		why = json_string_value(json_object_get(reply, "error"));
		hvctl_say("%s", why != NULL ? why : "refused");
		json_decref(reply);
		return (HVCTL_REFUSED);
	}
	*result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	if (*result == NULL)
		*result = json_object();
	return (HVCTL_OK);
}

int
hvctl_ask(const struct hvctl *hc, json_t *request, int fd, json_t **result)
{

	return (ask(hc, request, fd, false, NULL, NULL, result));
}

int
hvctl_ask_guest(const struct hvctl *hc, json_t *request, int fd,
    void (*fn)(void *arg, const json_t *progress), void *arg, json_t **result)
{

	return (ask(hc, request, fd, true, fn, arg, result));
}

void
hvctl_done(const struct hvctl *hc, json_t *result)
{

	if (hc->json) {
		json_dumpf(result, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(result);
}

static void
help(void)
{

	puts("usage: hvctl [-s SOCKET] [--json] COMMAND [ARGUMENTS]\n\n"
	    "  -s, --socket SOCKET  hvhost's control socket; else "
	    "$HVHOST_CONTROL\n"
	    "  -j, --json           answers as JSON\n"
	    "  -h, --help           this\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-9s %s\n            %s\n            "
		    "for example: %s\n", commands[i].name, commands[i].args,
		    commands[i].what, commands[i].example);
	puts("\nEnds with 0: done, 1: refused, 2: the command line is wrong, "
	    "3: nobody listens.");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct hvctl hc = { .socket = getenv("HVHOST_CONTROL") };
	int c, status;

	while ((c = getopt_long(argc, argv, "+s:jh", options, NULL)) != -1) {
		switch (c) {
		case 's':
			hc.socket = optarg;
			break;
		case 'j':
			hc.json = true;
			break;
		case 'h':
			help();
			return (HVCTL_OK);
		default:
			return (HVCTL_USAGE);
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		return (hvctl_usage("which command?"));
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[0]) != 0)
			continue;
		/* The command has options of its own. */
		optind = 0;
		status = commands[i].fn(&hc, argc, argv);
		if (fflush(stdout) != 0 && status == HVCTL_OK) {
			hvctl_say("cannot write: %s", strerror(errno));
			status = HVCTL_REFUSED;
		}
		return (status);
	}
	return (hvctl_usage("there is no command \"%s\"", argv[0]));
}
