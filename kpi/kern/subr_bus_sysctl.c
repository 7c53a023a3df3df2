/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * newbus: dev.NAME.UNIT.*, and the device tree as devinfo(8) prints it.
 */

#include "subr_bus_var.h"

#include <sys/kernel.h>

enum {
	BUS_SYSCTL_DESC,
	BUS_SYSCTL_DRIVER,
	BUS_SYSCTL_LOCATION,
	BUS_SYSCTL_PNPINFO,
	BUS_SYSCTL_PARENT
};

static const struct {
	int		what;
	const char	*name;
	const char	*descr;
} bus_sysctls[] = {
	{ BUS_SYSCTL_DESC, "%desc", "device description" },
	{ BUS_SYSCTL_DRIVER, "%driver", "device driver name" },
	{ BUS_SYSCTL_LOCATION, "%location",
	    "device location relative to parent" },
	{ BUS_SYSCTL_PNPINFO, "%pnpinfo", "device identification" },
	{ BUS_SYSCTL_PARENT, "%parent", "parent device" },
};

static int
bus_sysctl_handler(SYSCTL_HANDLER_ARGS)
{
	struct sbuf sb;
	device_t dev;
	int error;

	dev = arg1;
	sbuf_new_for_sysctl(&sb, NULL, 1024, req);
	sbuf_clear_flags(&sb, SBUF_INCLUDENUL);
	bus_topo_lock();
	switch (arg2) {
	case BUS_SYSCTL_DESC:
		if (dev->dev_desc != NULL)
			sbuf_cat(&sb, dev->dev_desc);
		break;
	case BUS_SYSCTL_DRIVER:
		if (dev->dev_driver != NULL)
			sbuf_cat(&sb, dev->dev_driver->name);
		break;
	case BUS_SYSCTL_LOCATION:
		(void)bus_child_location(dev, &sb);
		break;
	case BUS_SYSCTL_PNPINFO:
		(void)bus_child_pnpinfo(dev, &sb);
		break;
	case BUS_SYSCTL_PARENT:
		if (dev->dev_parent != NULL)
			sbuf_cat(&sb, device_get_nameunit(dev->dev_parent));
		break;
	}
	bus_topo_unlock();
	error = sbuf_finish(&sb);
	sbuf_delete(&sb);
	return (error);
}

static void
bus_sysctl_class_init(devclass_t dc)
{

	if (dc->dc_sysctl_tree != NULL)
		return;
	dc->dc_sysctl_tree = SYSCTL_ADD_NODE(&dc->dc_sysctl_ctx,
	    SYSCTL_STATIC_CHILDREN(_dev), OID_AUTO, dc->dc_name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
}

void
bus_sysctl_init(device_t dev)
{
	u_int i;

	if (dev->dev_sysctl_tree != NULL)
		return;
	bus_sysctl_class_init(dev->dev_class);
	sysctl_ctx_init(&dev->dev_sysctl_ctx);
	dev->dev_sysctl_tree = SYSCTL_ADD_NODE_WITH_LABEL(&dev->dev_sysctl_ctx,
	    SYSCTL_CHILDREN(dev->dev_class->dc_sysctl_tree), OID_AUTO,
	    dev->dev_nameunit + strlen(dev->dev_class->dc_name),
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "", "device_index");
	for (i = 0; i < nitems(bus_sysctls); i++)
		SYSCTL_ADD_PROC(&dev->dev_sysctl_ctx,
		    SYSCTL_CHILDREN(dev->dev_sysctl_tree), OID_AUTO,
		    bus_sysctls[i].name,
		    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, dev,
		    bus_sysctls[i].what, bus_sysctl_handler, "A",
		    bus_sysctls[i].descr);
}

void
bus_sysctl_fini(device_t dev)
{

	if (dev->dev_sysctl_tree == NULL)
		return;
	/* A driver's own oids below the tree must have gone before. */
	if (sysctl_ctx_free(&dev->dev_sysctl_ctx) != 0)
		panic("%s: sysctl nodes are left below the device's tree",
		    dev->dev_nameunit);
	dev->dev_sysctl_tree = NULL;
}

static void
bus_devinfo(device_t dev, int depth,
    void (*fn)(void *arg, const char *line), void *arg)
{
	struct sbuf *sb;
	device_t child;
	ssize_t len;

	sb = sbuf_new_auto();
	sbuf_printf(sb, "%*s%s", 2 * depth, "", dev->dev_nameunit != NULL ?
	    dev->dev_nameunit : "unknown");
	len = sbuf_len(sb);
	sbuf_cat(sb, " pnpinfo ");
	(void)bus_child_pnpinfo(dev, sb);
	if (sbuf_len(sb) == len + (ssize_t)strlen(" pnpinfo "))
		sbuf_setpos(sb, len);
	len = sbuf_len(sb);
	sbuf_cat(sb, " at ");
	(void)bus_child_location(dev, sb);
	if (sbuf_len(sb) == len + (ssize_t)strlen(" at "))
		sbuf_setpos(sb, len);
	sbuf_finish(sb);
	fn(arg, sbuf_data(sb));
	sbuf_delete(sb);
	TAILQ_FOREACH(child, &dev->dev_children, dev_link)
		bus_devinfo(child, depth + 1, fn, arg);
}

/* devinfo(8) begins below the root. */
void
kpi_devinfo(void (*fn)(void *arg, const char *line), void *arg)
{
	struct thread *td;
	device_t child;

	td = kpi_thread_enter();
	bus_topo_lock();
	TAILQ_FOREACH(child, &root_bus->dev_children, dev_link)
		bus_devinfo(child, 0, fn, arg);
	bus_topo_unlock();
	kpi_thread_leave(td);
}
