/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The commands of the control socket: what a line asks for, checked, and done
 * by the machine or by the partition.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl_var.h"
#include "control/names.h"

/* --- Members of a request. --- */

int
ctl_bad(struct ctl_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->err, sizeof(c->err), fmt, ap);
	va_end(ap);
	return (EINVAL);
}

int
ctl_get_number(struct ctl_call *c, const char *key, uint64_t max,
    uint64_t *value)
{
	json_t *j = json_object_get(c->req, key);
	uint64_t v = 0;
	bool good = false;

	if (j == NULL)
		return (0);
	if (json_is_integer(j)) {
		good = json_integer_value(j) >= 0;
		v = (uint64_t)json_integer_value(j);
	} else if (json_is_string(j)) {
		/* JSON's numbers end at 63 bits and know no "0x". */
		good = name_to_number(json_string_value(j), true, &v);
	}
	if (!good || v > max)
		return (ctl_bad(c, "\"%s\" is not a number from 0 to %llu",
		    key, (unsigned long long)max));
	*value = v;
	return (0);
}

int
ctl_get_bool(struct ctl_call *c, const char *key, bool *value)
{
	json_t *j = json_object_get(c->req, key);

	if (j == NULL)
		return (0);
	if (!json_is_boolean(j))
		return (ctl_bad(c, "\"%s\" is neither true nor false", key));
	*value = json_is_true(j);
	return (0);
}

int
ctl_get_string(struct ctl_call *c, const char *key, const char **value)
{
	json_t *j = json_object_get(c->req, key);

	if (j == NULL)
		return (0);
	if (!json_is_string(j))
		return (ctl_bad(c, "\"%s\" is not a string", key));
	*value = json_string_value(j);
	return (0);
}

/* --- Commands for the machine. --- */

static int
cannot(struct ctl_call *c)
{

	ctl_bad(c, "this machine cannot do that");
	return (ENOTSUP);
}

static int
plain(struct ctl_call *c, int (*op)(void *arg, char *err, size_t errlen))
{

	if (op == NULL)
		return (cannot(c));
	return (op(c->s->arg, c->err, sizeof(c->err)));
}

/*
 * The guest's own service is asked, as Hyper-V does it; a guest without one
 * may still know a power button.
 */
static int
cmd_shutdown(struct ctl_call *c)
{
	bool force = false, button = false, urgent = false;
	int error;

	error = ctl_get_bool(c, "force", &force);
	if (error == 0)
		error = ctl_get_bool(c, "button", &button);
	if (error == 0)
		error = ctl_get_bool(c, "urgent", &urgent);
	if (error != 0)
		return (error);
	if (!force && !button && ctl_ic_ready(c, HVH_IC_SHUTDOWN))
		return (ctl_ic_shutdown(c, HVH_SHUTDOWN_POWEROFF, urgent));
	if (c->s->ops->shutdown == NULL)
		return (cannot(c));
	return (c->s->ops->shutdown(c->s->arg, force, c->err,
	    sizeof(c->err)));
}

static int
by_service(struct ctl_call *c, enum hvh_shutdown_kind kind)
{
	bool urgent = false;
	int error;

	error = ctl_get_bool(c, "urgent", &urgent);
	return (error != 0 ? error : ctl_ic_shutdown(c, kind, urgent));
}

static int
cmd_reboot(struct ctl_call *c)
{

	return (by_service(c, HVH_SHUTDOWN_REBOOT));
}

static int
cmd_hibernate(struct ctl_call *c)
{

	return (by_service(c, HVH_SHUTDOWN_HIBERNATE));
}

static int
cmd_reset(struct ctl_call *c)
{

	return (plain(c, c->s->ops->reset));
}

static int
cmd_pause(struct ctl_call *c)
{

	return (plain(c, c->s->ops->pause));
}

static int
cmd_resume(struct ctl_call *c)
{

	return (plain(c, c->s->ops->resume));
}

static int
cmd_quit(struct ctl_call *c)
{

	return (plain(c, c->s->ops->quit));
}

static int
get_unit(struct ctl_call *c, uint64_t *controller, uint64_t *lun)
{
	const char *bus = "scsi";
	int error;

	error = ctl_get_string(c, "bus", &bus);
	if (error == 0)
		error = ctl_get_number(c, "controller", 255, controller);
	if (error == 0)
		error = ctl_get_number(c, "lun", 63, lun);
	if (error != 0)
		return (error);
	if (strcmp(bus, "ide") == 0)
		return (ctl_bad(c,
		    "IDE disks come and go only while the machine is off"));
	if (strcmp(bus, "scsi") != 0)
		return (ctl_bad(c, "\"bus\" is neither scsi nor ide"));
	return (0);
}

static int
disk_params(struct ctl_call *c, struct ctl_disk *d)
{
	uint64_t controller = 0, lun = UINT64_MAX;
	int error;

	error = get_unit(c, &controller, &lun);
	if (error == 0)
		error = ctl_get_string(c, "file", &d->file);
	if (error == 0)
		error = ctl_get_string(c, "serial", &d->serial);
	if (error == 0)
		error = ctl_get_bool(c, "ro", &d->readonly);
	if (error == 0)
		error = ctl_get_bool(c, "cdrom", &d->cdrom);
	if (error != 0)
		return (error);
	if (d->file == NULL || d->file[0] == '\0')
		return (ctl_bad(c, "\"file\" is missing"));
	if (d->serial != NULL && strlen(d->serial) > CTL_SERIAL_MAX)
		return (ctl_bad(c, "a serial number has at most %u characters",
		    CTL_SERIAL_MAX));
	d->controller = (unsigned)controller;
	d->lun = lun == UINT64_MAX ? -1 : (int)lun;
	return (0);
}

static int
cmd_disk_add(struct ctl_call *c)
{
	struct ctl_disk d = { .have_fd = *c->fd >= 0, .fd = *c->fd };
	int error;

	/* A descriptor is for one attempt. */
	*c->fd = -1;
	error = disk_params(c, &d);
	if (error == 0 && c->s->ops->disk_add == NULL)
		error = cannot(c);
	if (error == 0)
		error = c->s->ops->disk_add(c->s->arg, &d, c->err,
		    sizeof(c->err));
	if (error != 0) {
		if (d.have_fd)
			close(d.fd);
		return (error);
	}
	json_object_set_new(c->result, "controller",
	    json_integer(d.controller));
	json_object_set_new(c->result, "lun", json_integer(d.lun));
	return (0);
}

static int
cmd_disk_remove(struct ctl_call *c)
{
	uint64_t controller = 0, lun = UINT64_MAX;
	int error;

	error = get_unit(c, &controller, &lun);
	if (error != 0)
		return (error);
	if (lun == UINT64_MAX)
		return (ctl_bad(c, "\"lun\" is missing"));
	if (c->s->ops->disk_remove == NULL)
		return (cannot(c));
	return (c->s->ops->disk_remove(c->s->arg, (unsigned)controller,
	    (unsigned)lun, c->err, sizeof(c->err)));
}

/* --- Network adapters. --- */

static int
get_mac(struct ctl_call *c, struct ctl_net *n)
{
	const char *text = NULL;
	unsigned b[6];
	char end;
	int error;

	error = ctl_get_string(c, "mac", &text);
	if (error != 0 || text == NULL)
		return (error);
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2],
	    &b[3], &b[4], &b[5], &end) != 6 || (b[0] & 1) != 0)
		return (ctl_bad(c, "\"mac\" is not an adapter's address"));
	for (unsigned i = 0; i < 6; i++)
		n->mac[i] = (uint8_t)b[i];
	n->have_mac = true;
	return (0);
}

static int
net_params(struct ctl_call *c, struct ctl_net *n)
{
	const char *kind = NULL;
	uint64_t channels = 0;
	int error;

	error = ctl_get_string(c, "kind", &kind);
	if (error == 0)
		error = ctl_get_string(c, "name", &n->name);
	if (error == 0)
		error = ctl_get_number(c, "channels", 64, &channels);
	if (error == 0)
		error = get_mac(c, n);
	if (error != 0)
		return (error);
	if (kind == NULL || (strcmp(kind, "tap") != 0 &&
	    strcmp(kind, "socket") != 0))
		return (ctl_bad(c, "\"kind\" is neither tap nor socket"));
	if (n->name == NULL || n->name[0] == '\0')
		return (ctl_bad(c, "\"name\" is missing"));
	n->socket = strcmp(kind, "socket") == 0;
	n->channels = (unsigned)channels;
	return (0);
}

static int
cmd_net_add(struct ctl_call *c)
{
	struct ctl_net n = { .have_fd = *c->fd >= 0, .fd = *c->fd };
	int error;

	/* A descriptor is for one attempt. */
	*c->fd = -1;
	error = net_params(c, &n);
	if (error == 0 && c->s->ops->net_add == NULL)
		error = cannot(c);
	if (error == 0)
		error = c->s->ops->net_add(c->s->arg, &n, c->err,
		    sizeof(c->err));
	if (error != 0) {
		if (n.have_fd)
			close(n.fd);
		return (error);
	}
	json_object_set_new(c->result, "adapter", json_integer(n.adapter));
	return (0);
}

static int
cmd_net_remove(struct ctl_call *c)
{
	uint64_t adapter = UINT64_MAX;
	int error;

	error = ctl_get_number(c, "adapter", 255, &adapter);
	if (error != 0)
		return (error);
	if (adapter == UINT64_MAX)
		return (ctl_bad(c, "\"adapter\" is missing"));
	if (c->s->ops->net_remove == NULL)
		return (cannot(c));
	return (c->s->ops->net_remove(c->s->arg, (unsigned)adapter, c->err,
	    sizeof(c->err)));
}

static int
cmd_link(struct ctl_call *c)
{
	const char *state = "";
	uint64_t adapter = 0;
	int error;

	error = ctl_get_number(c, "adapter", 255, &adapter);
	if (error == 0)
		error = ctl_get_string(c, "state", &state);
	if (error != 0)
		return (error);
	if (strcmp(state, "up") != 0 && strcmp(state, "down") != 0)
		return (ctl_bad(c, "\"state\" is neither up nor down"));
	if (c->s->ops->link == NULL) {
		ctl_bad(c, "this machine has no network adapter");
		return (ENODEV);
	}
	return (c->s->ops->link(c->s->arg, (unsigned)adapter,
	    strcmp(state, "up") == 0, c->err, sizeof(c->err)));
}

/* --- Commands for the partition. --- */

static int
cmd_rescind(struct ctl_call *c)
{
	uint64_t chan = UINT64_MAX;
	int error;

	error = ctl_get_number(c, "channel", UINT32_MAX, &chan);
	if (error != 0)
		return (error);
	if (chan == UINT64_MAX)
		return (ctl_bad(c, "\"channel\" is missing"));
	error = hvh_rescind(c->s->h, (uint32_t)chan);
	if (error == ENOENT)
		ctl_bad(c, "channel %llu is not the first channel of a device",
		    (unsigned long long)chan);
	return (error);
}

/* --- A line. --- */

static const struct {
	const char	*name;
	int		(*fn)(struct ctl_call *c);
	const char	*members;	/* a blank before and after each */
} commands[] = {
	{ "status", ctl_cmd_status, "" },
	{ "stats", ctl_cmd_stats, "" },
	{ "shutdown", cmd_shutdown, " force button urgent " },
	{ "reboot", cmd_reboot, " urgent " },
	{ "hibernate", cmd_hibernate, " urgent " },
	{ "reset", cmd_reset, "" },
	{ "pause", cmd_pause, "" },
	{ "resume", cmd_resume, "" },
	{ "quit", cmd_quit, "" },
	{ "disk-add", cmd_disk_add,
	    " bus controller lun file ro cdrom serial " },
	{ "disk-remove", cmd_disk_remove, " bus controller lun " },
	{ "rescind", cmd_rescind, " channel " },
	{ "fault", ctl_cmd_fault,
	    " point action key skip times arg offset len " },
	{ "fault-clear", ctl_cmd_fault_clear, "" },
	{ "fault-count", ctl_cmd_fault_count, " point " },
	{ "net-add", cmd_net_add, " kind name mac channels " },
	{ "net-remove", cmd_net_remove, " adapter " },
	{ "link", cmd_link, " adapter state " },
	{ "services", ctl_cmd_services, "" },
	{ "heartbeat", ctl_cmd_heartbeat, "" },
	{ "time", ctl_cmd_time, " step sync " },
	{ "kvp", ctl_cmd_kvp, " action pool key value type " },
	{ "kvp-ip", ctl_cmd_kvp_ip, " adapter set family dhcp addresses "
	    "subnets gateways dns " },
	{ "vss", ctl_cmd_vss, " action hold " },
	{ "type", ctl_cmd_type, " text enter pause " },
	{ "key", ctl_cmd_key, " keys pause " },
	{ "copy", ctl_cmd_copy, " name path overwrite create-path " },
	{ "memory", ctl_cmd_memory, " set " },
};

/* A member that nobody looks at may be a misspelt one that matters. */
static int
check_members(struct ctl_call *c, const char *members)
{
	char word[32];
	const char *key;
	json_t *value;

	json_object_foreach(c->req, key, value) {
		if (strcmp(key, "id") == 0 || strcmp(key, "cmd") == 0)
			continue;
		if (strlen(key) > sizeof(word) - 3 || strchr(key, ' ') != NULL)
			return (ctl_bad(c, "there is an unknown member"));
		snprintf(word, sizeof(word), " %s ", key);
		if (strstr(members, word) == NULL)
			return (ctl_bad(c, "\"%s\" is unknown here", key));
	}
	return (0);
}

static int
do_command(struct ctl_call *c)
{
	const char *name = NULL;
	int error;

	error = ctl_get_string(c, "cmd", &name);
	if (error != 0)
		return (error);
	if (name == NULL)
		return (ctl_bad(c, "\"cmd\" is missing"));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		error = check_members(c, commands[i].members);
		return (error != 0 ? error : commands[i].fn(c));
	}
	return (ctl_bad(c, "there is no such command"));
}

json_t *
ctl_refusal(json_t *id, const char *why)
{

	return (json_pack("{s:O?, s:b, s:s}", "id",
	    id != NULL ? id : json_null(), "ok", 0, "error", why));
}

json_t *
ctl_do_line(struct ctl_server *s, struct ctl_client *from, const char *line,
    size_t len, int *fd, bool *later)
{
	struct ctl_call c = { .s = s, .from = from, .fd = fd };
	json_error_t je;
	json_t *id, *reply;
	int error;

	c.req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!json_is_object(c.req)) {
		json_decref(c.req);
		return (ctl_refusal(NULL, "the line is not a JSON object"));
	}
	id = json_object_get(c.req, "id");
	c.result = json_object();
	error = c.result == NULL ? ENOMEM : do_command(&c);
	*later = error == 0 && c.later != NULL;
	if (*later) {
		reply = NULL;
	} else if (error == 0) {
		reply = json_pack("{s:O, s:b, s:O}", "id",
		    id != NULL ? id : json_null(), "ok", 1, "result",
		    c.result);
	} else {
		if (c.err[0] == '\0')
			snprintf(c.err, sizeof(c.err), "%s", strerror(error));
		/* It may quote a file's name, which may be any bytes. */
		for (char *p = c.err; *p != '\0'; p++) {
			if ((unsigned char)*p < ' ' ||
			    (unsigned char)*p > '~')
				*p = '?';
		}
		reply = ctl_refusal(id, c.err);
	}
	json_decref(c.result);
	json_decref(c.req);
	return (reply);
}
