/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl's command for data exchange with the guest.
 */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "control/hvctl.h"

struct kvp_args {
	const char	*pool, *type;
	const char	*address, *subnet, *gateway, *dns;
	unsigned	 family;	/* 0: not told */
	bool		 set, dhcp;
};

static bool
kvp_option(int c, struct kvp_args *ka)
{

	switch (c) {
	case 'p':
		ka->pool = optarg;
		return (true);
	case 't':
		ka->type = optarg;
		return (true);
	case 'a':
		ka->address = optarg;
		return (true);
	case 's':
		ka->subnet = optarg;
		return (true);
	case 'g':
		ka->gateway = optarg;
		return (true);
	case 'd':
		ka->dns = optarg;
		return (true);
	case 'S':
		ka->set = true;
		return (true);
	case 'D':
		ka->dhcp = true;
		return (true);
	case 'f':
		ka->family = strcmp(optarg, "4") == 0 ? 1 :
		    strcmp(optarg, "6") == 0 ? 2 :
		    strcmp(optarg, "both") == 0 ? 3 : 0;
		if (ka->family == 0)
			hvctl_usage("--family: \"%s\" is not 4, 6 or both",
			    optarg);
		return (ka->family != 0);
	default:
		return (false);
	}
}

static bool
kvp_options(int argc, char **argv, struct kvp_args *ka)
{
	static const struct option options[] = {
		{ "pool", required_argument, NULL, 'p' },
		{ "type", required_argument, NULL, 't' },
		{ "address", required_argument, NULL, 'a' },
		{ "subnet", required_argument, NULL, 's' },
		{ "gateway", required_argument, NULL, 'g' },
		{ "dns", required_argument, NULL, 'd' },
		{ "set", no_argument, NULL, 'S' },
		{ "dhcp", no_argument, NULL, 'D' },
		{ "family", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!kvp_option(c, ka))
			return (false);
	}
	return (true);
}

/* JSON takes no bytes that are not UTF-8; NULL is left out. */
static bool
put_text(json_t *request, const char *key, const char *text)
{
	json_t *j;

	if (text == NULL)
		return (true);
	j = json_string(text);
	if (j == NULL) {
		hvctl_usage("%s: is not UTF-8", key);
		return (false);
	}
	json_object_set_new(request, key, j);
	return (true);
}

static void
show_line(const char *name, const char *value)
{

	if (value[0] == '\0')
		return;
	hvctl_print(name);
	putchar('\t');
	hvctl_print(value);
	putchar('\n');
}

static int
kvp_ip(const struct hvctl *hc, int argc, char **argv,
    const struct kvp_args *ka)
{
	json_t *request, *result;
	uint64_t adapter = 0;
	int status;

	if (hvctl_no_more(argc, argv, 2) != HVCTL_OK)
		return (HVCTL_USAGE);
	if (argc > 1 && !hvctl_number("kvp ip", argv[1], 255, &adapter))
		return (HVCTL_USAGE);
	request = hvctl_request("kvp-ip");
	json_object_set_new(request, "adapter",
	    json_integer((json_int_t)adapter));
	json_object_set_new(request, "set", json_boolean(ka->set));
	json_object_set_new(request, "dhcp", json_boolean(ka->dhcp));
	if (ka->family != 0)
		json_object_set_new(request, "family",
		    json_integer(ka->family));
	if (!put_text(request, "addresses", ka->address) ||
	    !put_text(request, "subnets", ka->subnet) ||
	    !put_text(request, "gateways", ka->gateway) ||
	    !put_text(request, "dns", ka->dns)) {
		json_decref(request);
		return (HVCTL_USAGE);
	}
	status = hvctl_ask_guest(hc, request, -1, NULL, NULL, &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json && !ka->set) {
		show_line("dhcp", json_is_true(json_object_get(result,
		    "dhcp")) ? "yes" : "no");
		show_line("addresses", hvctl_text(result, "addresses"));
		show_line("subnets", hvctl_text(result, "subnets"));
		show_line("gateways", hvctl_text(result, "gateways"));
		show_line("dns", hvctl_text(result, "dns"));
	}
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

static json_t *
item_request(const char *action, const struct kvp_args *ka, const char *key,
    const char *value)
{
	json_t *request = hvctl_request("kvp");

	if (put_text(request, "action", action) &&
	    put_text(request, "pool", ka->pool) &&
	    put_text(request, "type", ka->type) &&
	    put_text(request, "key", key) &&
	    put_text(request, "value", value))
		return (request);
	json_decref(request);
	return (NULL);
}

/*
 * The daemons that come with Linux and FreeBSD answer a get with an empty
 * value, whatever the key's is; what the pool's list says is right.
 */
static int
kvp_look(const struct hvctl *hc, const struct kvp_args *ka, const char *key,
    json_t **item)
{
	struct kvp_args pool = { .pool = ka->pool != NULL ? ka->pool :
	    "external" };
	json_t *result, *o;
	int status;

	status = hvctl_ask_guest(hc, item_request("list", &pool, NULL, NULL),
	    -1, NULL, NULL, &result);
	if (status != HVCTL_OK) {
		json_decref(*item);
		return (status);
	}
	for (size_t i = 0; (o = json_array_get(json_object_get(result,
	    "items"), i)) != NULL; i++) {
		if (strcmp(hvctl_text(o, "key"), key) == 0) {
			json_incref(o);
			json_decref(*item);
			*item = o;
			break;
		}
	}
	json_decref(result);
	return (HVCTL_OK);
}

static void
show_items(const json_t *result)
{
	json_t *o;

	for (size_t i = 0; (o = json_array_get(json_object_get(result,
	    "items"), i)) != NULL; i++) {
		hvctl_print(hvctl_text(o, "key"));
		putchar('\t');
		hvctl_print(hvctl_text(o, "value"));
		putchar('\n');
	}
	if (json_object_get(result, "value") != NULL) {
		hvctl_print(hvctl_text(result, "value"));
		putchar('\n');
	}
}

static int
kvp_item(const struct hvctl *hc, int argc, char **argv,
    const struct kvp_args *ka)
{
	bool list = strcmp(argv[0], "list") == 0;
	bool set = strcmp(argv[0], "set") == 0;
	json_t *request, *result;
	int status;

	if (argc < (list ? 1 : set ? 3 : 2))
		return (hvctl_usage("kvp %s: which key%s?", argv[0], set ?
		    ", and which value" : ""));
	if (hvctl_no_more(argc, argv, list ? 1 : set ? 3 : 2) != HVCTL_OK)
		return (HVCTL_USAGE);
	request = item_request(argv[0], ka, list ? NULL : argv[1], set ?
	    argv[2] : NULL);
	if (request == NULL)
		return (HVCTL_USAGE);
	status = hvctl_ask_guest(hc, request, -1, NULL, NULL, &result);
	if (status == HVCTL_OK && strcmp(argv[0], "get") == 0 &&
	    hvctl_text(result, "value")[0] == '\0')
		status = kvp_look(hc, ka, argv[1], &result);
	if (status != HVCTL_OK)
		return (status);
	if (!hc->json)
		show_items(result);
	hvctl_done(hc, result);
	return (HVCTL_OK);
}

int
hvctl_kvp(const struct hvctl *hc, int argc, char **argv)
{
	static const char *const verbs[] = {
		"list", "get", "set", "delete"
	};
	struct kvp_args ka = { 0 };

	if (!kvp_options(argc, argv, &ka))
		return (HVCTL_USAGE);
	argc -= optind;
	argv += optind;
	if (argc > 0 && strcmp(argv[0], "ip") == 0)
		return (kvp_ip(hc, argc, argv, &ka));
	for (size_t i = 0; argc > 0 && i < sizeof(verbs) / sizeof(verbs[0]);
	    i++) {
		if (strcmp(argv[0], verbs[i]) == 0)
			return (kvp_item(hc, argc, argv, &ka));
	}
	return (hvctl_usage("kvp: list, get, set, delete or ip?"));
}
