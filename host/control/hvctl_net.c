/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl net and link: adapters come and go, and their cables.  The tap or the
 * socket is opened here, by the user who asks for it, and handed over.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/hvctl.h"

#define	ADAPTERS_MAX	255u

static int
open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd;

	if (strlen(name) >= sizeof(ifr.ifr_name)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	strcpy(ifr.ifr_name, name);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) != 0) {
		close(fd);
		fd = -1;
	}
	return (fd);
}

/* Of the type that what listens there has. */
static int
open_socket(const char *path)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int error, fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	strcpy(sun.sun_path, path);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&sun,
		    sizeof(sun)) == 0)
			return (fd);
		error = errno;
		close(fd);
		errno = error;
		if (error != EPROTOTYPE)
			break;
	}
	return (-1);
}

static int
net_add(const struct hvctl *hc, const char *where, json_t *request)
{
	bool tap = strncmp(where, "tap=", 4) == 0;
	const char *name;
	json_t *result;
	int fd, status;

	if (!tap && strncmp(where, "socket=", 7) != 0)
		return (hvctl_usage("net add: \"%s\" is not tap=NAME or "
		    "socket=PATH", where));
	name = strchr(where, '=') + 1;
	fd = tap ? open_tap(name) : open_socket(name);
	if (fd < 0) {
		hvctl_say("%s: %s", where, strerror(errno));
		return (HVCTL_REFUSED);
	}
	json_object_set_new(request, "cmd", json_string("net-add"));
	json_object_set_new(request, "kind",
	    json_string(tap ? "tap" : "socket"));
	json_object_set_new(request, "name", json_string(name));
	status = hvctl_ask(hc, json_incref(request), fd, &result);
	close(fd);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json)
		printf("%s is adapter %lld\n", where,
		    (long long)json_integer_value(json_object_get(result,
		    "adapter")));
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

static int
net_remove(const struct hvctl *hc, const char *which)
{
	json_t *request;
	uint64_t n;

	if (!hvctl_number("net remove", which, ADAPTERS_MAX, &n))
		return (HVCTL_USAGE);
	request = hvctl_request("net-remove");
	json_object_set_new(request, "adapter", json_integer((json_int_t)n));
	return (hvctl_ask_plain(hc, request));
}

static bool
net_options(int argc, char **argv, json_t *request)
{
	static const struct option options[] = {
		{ "mac", required_argument, NULL, 'm' },
		{ "channels", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t v;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			json_object_set_new(request, "mac",
			    json_string(optarg));
			break;
		case 'c':
			if (!hvctl_number("--channels", optarg, 64, &v))
				return (false);
			json_object_set_new(request, "channels",
			    json_integer((json_int_t)v));
			break;
		default:
			return (false);
		}
	}
	return (true);
}

int
hvctl_net(const struct hvctl *hc, int argc, char **argv)
{
	json_t *request;
	int status;
	bool add;

	request = json_object();
	if (!net_options(argc, argv, request)) {
		json_decref(request);
		return (HVCTL_USAGE);
	}
	argc -= optind;
	argv += optind;
	add = argc > 0 && strcmp(argv[0], "add") == 0;
	if (argc == 0 || (!add && strcmp(argv[0], "remove") != 0))
		status = hvctl_usage("net: add or remove?");
	else if (argc < 2)
		status = hvctl_usage(add ? "net add: which tap or socket?" :
		    "net remove: which adapter?");
	else if (hvctl_no_more(argc, argv, 2) != HVCTL_OK)
		status = HVCTL_USAGE;
	else if (add)
		status = net_add(hc, argv[1], request);
	else if (json_object_size(request) > 0)
		status = hvctl_usage("net remove: takes no options");
	else
		status = net_remove(hc, argv[1]);
	json_decref(request);
	return (status);
}

int
hvctl_link(const struct hvctl *hc, int argc, char **argv)
{
	json_t *request;
	uint64_t n = 0;

	if (argc < 2 || (strcmp(argv[1], "up") != 0 &&
	    strcmp(argv[1], "down") != 0))
		return (hvctl_usage("link: up or down?"));
	if (hvctl_no_more(argc, argv, 3) != HVCTL_OK ||
	    (argc == 3 && !hvctl_number("link", argv[2], ADAPTERS_MAX, &n)))
		return (HVCTL_USAGE);
	request = hvctl_request("link");
	json_object_set_new(request, "state", json_string(argv[1]));
	if (argc == 3)
		json_object_set_new(request, "adapter",
		    json_integer((json_int_t)n));
	return (hvctl_ask_plain(hc, request));
}
