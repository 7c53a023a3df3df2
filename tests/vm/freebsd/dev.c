/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * `dev': the tree of devices, as hw.bus.* tells it, and what /dev/devctl2 can
 * do to one.
 *
 *	dev tree [NAME]		all devices, or one and what is below it
 *	dev children NAME	only what is directly below it
 *	dev VERB NAME [force | DRIVER]
 *
 * A line a device, with tabs between: name, driver, unit, parent, state,
 * description, pnpinfo, location.  A device without a driver is named by its
 * handle.
 */

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/errno.h>
#include <sys/ioccom.h>
#include <sys/sysctl.h>

#include "commands.h"
#include "lib.h"

#define	DEVICES_MAX	1024
#define	LIST_SIZE	(DEVICES_MAX * sizeof(struct u_device))

struct device_text {
	const char	*name, *desc, *driver, *pnpinfo, *location;
};

/* The strings stand one after another in dv_fields. */
static void
device_text(const struct u_device *d, struct device_text *t)
{
	const char **field[] = { &t->name, &t->desc, &t->driver, &t->pnpinfo,
	    &t->location };
	const char *p = d->dv_fields, *end = p + sizeof(d->dv_fields);
	size_t i;

	for (i = 0; i < nitems(field); i++) {
		*field[i] = p < end ? p : "";
		while (p < end && *p != '\0')
			p++;
		p++;
	}
}

static const struct u_device *
by_handle(const struct u_device *list, int n, uintptr_t handle)
{
	int i;

	for (i = 0; i < n; i++)
		if (list[i].dv_handle == handle)
			return (&list[i]);
	return (NULL);
}

static const struct u_device *
by_name(const struct u_device *list, int n, const char *name)
{
	struct device_text t;
	int i;

	for (i = 0; i < n; i++) {
		device_text(&list[i], &t);
		if (strcmp(t.name, name) == 0)
			return (&list[i]);
	}
	return (NULL);
}

/* Reads all devices: how many, or -errno. */
static int
read_devices(struct u_device *list)
{
	struct u_businfo info;
	int mib[CTL_MAXNAME], query[2] = { CTL_SYSCTL, CTL_SYSCTL_NAME2OID };
	size_t len, size;
	int error, n, again;

	len = sizeof(mib);
	error = sys_sysctl(query, 2, mib, &len, "hw.bus.devices", 14);
	if (error != 0)
		return (error);
	len /= sizeof(int);
	/* The generation changes with the tree: then from the start. */
	for (again = 0; again < 100; again++) {
		size = sizeof(info);
		error = sysctl_get("hw.bus.info", &info, &size);
		if (error != 0)
			return (-error);
		for (n = 0; n < DEVICES_MAX; n++) {
			mib[len] = info.ub_generation;
			mib[len + 1] = n;
			size = sizeof(*list);
			error = sys_sysctl(mib, len + 2, &list[n], &size,
			    NULL, 0);
			if (error == -ENOENT)
				return (n);
			if (error != 0)
				break;
		}
		if (error == 0)
			return (-E2BIG);
		if (error != -EINVAL)
			return (error);
		sleep_ms(20);
	}
	return (-EAGAIN);
}

static void
print_name(const struct u_device *d)
{
	struct device_text t;

	if (d == NULL) {
		print("-");
		return;
	}
	device_text(d, &t);
	if (t.name[0] != '\0')
		print("%s", t.name);
	else
		print("%p", (void *)d->dv_handle);
}

static void
print_device(const struct u_device *list, int n, const struct u_device *d)
{
	struct device_text t;
	const char *unit, *state;

	device_text(d, &t);
	unit = t.name;
	if (strncmp(unit, t.driver, strlen(t.driver)) == 0)
		unit += strlen(t.driver);
	state = d->dv_state == DS_ATTACHED ? "attached" :
	    d->dv_state == DS_ATTACHING ? "attaching" :
	    d->dv_state == DS_ALIVE ? "alive" : "notpresent";
	print_name(d);
	print("\t%s\t%s\t", t.driver, unit);
	print_name(by_handle(list, n, d->dv_parent));
	print("\t%s%s%s\t%s\t%s\t%s\n", state,
	    d->dv_flags & DF_SUSPENDED ? ",suspended" : "",
	    d->dv_flags & DF_ENABLED ? "" : ",disabled", t.desc, t.pnpinfo,
	    t.location);
}

static void
print_tree(const struct u_device *list, int n, uintptr_t parent, int depth)
{
	int i;

	for (i = 0; i < n; i++)
		if (list[i].dv_parent == parent) {
			print_device(list, n, &list[i]);
			if (depth > 1)
				print_tree(list, n, list[i].dv_handle,
				    depth - 1);
		}
}

static int
dev_show(const char *name, bool children)
{
	const struct u_device *top;
	struct u_device *list = mem_get(LIST_SIZE);
	int n, error = 0;

	n = read_devices(list);
	if (n < 0)
		error = complain(n, "hw.bus.devices");
	else if (name == NULL)
		print_tree(list, n, 0, 32);
	else {
		top = by_name(list, n, name);
		if (top != NULL) {
			if (!children)
				print_device(list, n, top);
			print_tree(list, n, top->dv_handle, children ? 1 : 32);
		} else
			error = complain(ENXIO, "%s", name);
	}
	mem_put(list, LIST_SIZE);
	return (error);
}

static const struct {
	const char	*name;
	unsigned long	 request;
} verbs[] = {
	{ "attach", DEV_ATTACH }, { "clear", DEV_CLEAR_DRIVER },
	{ "delete", DEV_DELETE }, { "detach", DEV_DETACH },
	{ "disable", DEV_DISABLE }, { "enable", DEV_ENABLE },
	{ "freeze", DEV_FREEZE }, { "rescan", DEV_RESCAN },
	{ "reset", DEV_RESET }, { "resume", DEV_RESUME },
	{ "set", DEV_SET_DRIVER }, { "suspend", DEV_SUSPEND },
	{ "thaw", DEV_THAW },
};

/* All of devctl2's flags are the value 1: the forceful way. */
static int
dev_control(unsigned long request, int argc, char **argv)
{
	struct devreq req;
	int fd, error;

	memset(&req, 0, sizeof(req));
	if (!copy_string(req.dr_name, argv[2], sizeof(req.dr_name)))
		return (complain(E2BIG, "%s", argv[2]));
	if (argc > 3 && strcmp(argv[3], "force") == 0)
		req.dr_flags = DEVF_FORCE_DETACH;
	else if (argc > 3)
		req.dr_data = argv[3];
	fd = sys_open("/dev/devctl2", O_RDONLY, 0);
	if (fd < 0)
		return (complain(fd, "/dev/devctl2"));
	error = sys_ioctl(fd, request, &req);
	sys_close(fd);
	return (error == 0 ? 0 : complain(error, "%s %s", argv[1], argv[2]));
}

int
cmd_dev(int argc, char **argv)
{
	size_t i;

	if (argc >= 2 && strcmp(argv[1], "tree") == 0)
		return (dev_show(argc > 2 ? argv[2] : NULL, false));
	if (argc == 3 && strcmp(argv[1], "children") == 0)
		return (dev_show(argv[2], true));
	for (i = 0; argc >= 3 && i < nitems(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return (dev_control(verbs[i].request, argc, argv));
	return (complain(EINVAL, "dev"));
}
