/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's commands for data exchange.  Callbacks come from the
 * thread that runs the pump; they only put an answer together.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl_var.h"
#include "control/names.h"

static const char *const pools[HVH_KVP_POOLS] = {
	[HVH_KVP_EXTERNAL] = "external",
	[HVH_KVP_GUEST] = "guest",
	[HVH_KVP_AUTO] = "auto",
	[HVH_KVP_AUTO_EXTERNAL] = "auto-external",
};

static const struct {
	const char	*name;
	enum hvh_kvp_type type;
} types[] = {
	{ "string", HVH_KVP_STRING },
	{ "expand", HVH_KVP_EXPAND },
	{ "u32", HVH_KVP_U32 },
	{ "u64", HVH_KVP_U64 },
};
#define	TYPES	(sizeof(types) / sizeof(types[0]))

struct kvp_call {
	struct ctl_later *later;
	json_t		*items;		/* of a list */
};

static int
get_pool(struct ctl_call *c, enum hvh_kvp_pool *pool)
{
	const char *name = pools[*pool];
	int error;

	error = ctl_get_string(c, "pool", &name);
	if (error != 0)
		return (error);
	for (unsigned i = 0; i < HVH_KVP_POOLS; i++) {
		if (name_equal(pools[i], name)) {
			*pool = (enum hvh_kvp_pool)i;
			return (0);
		}
	}
	return (ctl_bad(c, "\"pool\" is not external, guest, auto or "
	    "auto-external"));
}

static int
get_item(struct ctl_call *c, struct hvh_kvp_item *item)
{
	const char *type = "string";
	int error;

	error = ctl_get_string(c, "type", &type);
	if (error == 0)
		error = ctl_get_string(c, "value", &item->text);
	if (error != 0)
		return (error);
	if (item->text == NULL)
		return (ctl_bad(c, "\"value\" is missing"));
	for (unsigned i = 0; i < TYPES; i++) {
		if (strcmp(types[i].name, type) == 0)
			item->type = types[i].type;
	}
	if (item->type == 0)
		return (ctl_bad(c, "\"type\" is not string, expand, u32 or "
		    "u64"));
	if ((item->type == HVH_KVP_U32 || item->type == HVH_KVP_U64) &&
	    !name_to_number(item->text, false, &item->number))
		return (ctl_bad(c, "\"value\" is not a number"));
	return (0);
}

static json_t *
show_item(const struct hvh_kvp_item *item)
{
	const char *type = "";

	for (unsigned i = 0; i < TYPES; i++) {
		if (types[i].type == item->type)
			type = types[i].name;
	}
	return (json_pack("{s:s, s:s, s:s}", "key", item->key, "value",
	    item->text, "type", type));
}

/* --- Answers. --- */

/* What is handed over is the other thread's alone from then on. */
static void
kvp_end(struct kvp_call *k, json_t *result, const struct hvh_ic_result *r)
{
	char err[200];

	ctl_ic_say(HVH_IC_KVP, r, err, sizeof(err));
	json_decref(k->items);
	ctl_later_done(k->later, result, err[0] != '\0' ? err : NULL);
	free(k);
}

static void
kvp_done(void *arg, const struct hvh_ic_result *r)
{

	kvp_end(arg, r->item != NULL ? show_item(r->item) : NULL, r);
}

static void
kvp_item(void *arg, const struct hvh_kvp_item *item)
{
	struct kvp_call *k = arg;

	json_array_append_new(k->items, show_item(item));
}

static void
kvp_listed(void *arg, const struct hvh_ic_result *r)
{
	struct kvp_call *k = arg;

	kvp_end(k, json_pack("{s:O}", "items", k->items), r);
}

static void
kvp_ip_done(void *arg, const struct hvh_ic_result *r)
{
	const struct hvh_kvp_ip *ip = r->ip;
	json_t *result = NULL;

	if (ip != NULL)
		result = json_pack("{s:i, s:b, s:s, s:s, s:s, s:s}", "family",
		    ip->family, "dhcp", (int)ip->dhcp, "addresses",
		    ip->addresses, "subnets", ip->subnets, "gateways",
		    ip->gateways, "dns", ip->dns);
	kvp_end(arg, result, r);
}

/* --- Commands. --- */

static struct kvp_call *
kvp_new(struct ctl_call *c)
{
	struct kvp_call *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->items = json_array();
	if (k == NULL || k->items == NULL) {
		free(k);
		ctl_bad(c, "no memory");
		return (NULL);
	}
	k->later = ctl_later_new(c);
	if (k->later == NULL) {
		json_decref(k->items);
		free(k);
		return (NULL);
	}
	return (k);
}

static int
kvp_started(struct ctl_call *c, struct hvh_ic *ic, struct kvp_call *k,
    int error)
{

	if (error == 0)
		return (0);
	json_decref(k->items);
	free(k);
	ctl_later_drop(c);
	return (ctl_ic_refused(c, ic, error));
}

static int
kvp_order(struct ctl_call *c, struct hvh_ic *ic, const char *action,
    enum hvh_kvp_pool pool, const struct hvh_kvp_item *item)
{
	struct kvp_call *k = kvp_new(c);
	int error;

	if (k == NULL)
		return (EAGAIN);
	if (strcmp(action, "list") == 0)
		error = hvh_kvp_list(ic, pool, kvp_item, kvp_listed, k);
	else if (strcmp(action, "get") == 0)
		error = hvh_kvp_get(ic, pool, item->key, kvp_done, k);
	else if (strcmp(action, "delete") == 0)
		error = hvh_kvp_delete(ic, pool, item->key, kvp_done, k);
	else
		error = hvh_kvp_set(ic, pool, item, kvp_done, k);
	return (kvp_started(c, ic, k, error));
}

int
ctl_cmd_kvp(struct ctl_call *c)
{
	struct hvh_ic *ic = ctl_ic(c, HVH_IC_KVP);
	struct hvh_kvp_item item = { 0 };
	enum hvh_kvp_pool pool;
	const char *action = "";
	bool list, set;
	int error;

	if (ic == NULL)
		return (ENODEV);
	error = ctl_get_string(c, "action", &action);
	if (error != 0)
		return (error);
	list = strcmp(action, "list") == 0;
	set = strcmp(action, "set") == 0;
	if (!list && !set && strcmp(action, "get") != 0 &&
	    strcmp(action, "delete") != 0)
		return (ctl_bad(c, "\"action\" is not list, get, set or "
		    "delete"));
	/* What one wants to see is there, what one sets here. */
	pool = list ? HVH_KVP_AUTO : HVH_KVP_EXTERNAL;
	error = get_pool(c, &pool);
	if (error == 0)
		error = ctl_get_string(c, "key", &item.key);
	if (error == 0 && set)
		error = get_item(c, &item);
	if (error != 0)
		return (error);
	if (!list && item.key == NULL)
		return (ctl_bad(c, "\"key\" is missing"));
	return (kvp_order(c, ic, action, pool, &item));
}

static int
ip_params(struct ctl_call *c, struct hvh_kvp_ip *ip)
{
	uint64_t family = 1;
	bool dhcp = false;
	int error;

	error = ctl_get_number(c, "family", 3, &family);
	if (error == 0)
		error = ctl_get_bool(c, "dhcp", &dhcp);
	if (error == 0)
		error = ctl_get_string(c, "addresses", &ip->addresses);
	if (error == 0)
		error = ctl_get_string(c, "subnets", &ip->subnets);
	if (error == 0)
		error = ctl_get_string(c, "gateways", &ip->gateways);
	if (error == 0)
		error = ctl_get_string(c, "dns", &ip->dns);
	ip->family = (uint8_t)family;
	ip->dhcp = dhcp;
	return (error);
}

/* The adapter as guests name it: by address to get, by instance to set. */
static int
ip_adapter(struct ctl_call *c, bool set, char *text, size_t len)
{
	struct hvh_guid instance;
	uint64_t adapter = 0;
	uint8_t m[6];
	char guid[37];
	int error;

	error = ctl_get_number(c, "adapter", 255, &adapter);
	if (error != 0)
		return (error);
	if (c->s->ops->adapter == NULL || c->s->ops->adapter(c->s->arg,
	    (unsigned)adapter, m, &instance) != 0) {
		ctl_bad(c, "this machine has no network adapter %llu",
		    (unsigned long long)adapter);
		return (ENODEV);
	}
	hvh_guid_format(&instance, guid);
	if (set)
		snprintf(text, len, "{%s}", guid);
	else
		snprintf(text, len, "%02X:%02X:%02X:%02X:%02X:%02X", m[0],
		    m[1], m[2], m[3], m[4], m[5]);
	return (0);
}

int
ctl_cmd_kvp_ip(struct ctl_call *c)
{
	struct hvh_ic *ic = ctl_ic(c, HVH_IC_KVP);
	struct hvh_kvp_ip ip = { 0 };
	struct kvp_call *k;
	char adapter[40];
	bool set = false;
	int error;

	if (ic == NULL)
		return (ENODEV);
	error = ctl_get_bool(c, "set", &set);
	if (error == 0)
		error = ip_params(c, &ip);
	if (error == 0)
		error = ip_adapter(c, set, adapter, sizeof(adapter));
	if (error != 0)
		return (error);
	k = kvp_new(c);
	if (k == NULL)
		return (EAGAIN);
	ip.adapter = adapter;
	if (set)
		error = hvh_kvp_set_ip(ic, &ip, kvp_ip_done, k);
	else
		error = hvh_kvp_get_ip(ic, adapter, kvp_ip_done, k);
	return (kvp_started(c, ic, k, error));
}
