/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * newbus: how a device gets its driver and loses it: the auction among the
 * drivers that probe it, attach, detach, passes of the boot, and what the
 * driver of a bus calls for all of its children.
 */

#include "subr_bus_var.h"

#include <sys/eventhandler.h>
#include <sys/kernel.h>

int bus_current_pass = BUS_PASS_ROOT;

EVENTHANDLER_LIST_DEFINE(device_attach);
EVENTHANDLER_LIST_DEFINE(device_detach);
EVENTHANDLER_LIST_DEFINE(device_nomatch);

int
bus_get_pass(void)
{

	return (bus_current_pass);
}

/* One driver's bid: positive is no. */
static int
device_bid(device_t child, struct bus_driverlink *dl)
{
	bool named;
	int flags, result;

	named = child->dev_class != NULL;
	if (device_set_driver(child, dl->dl_driver) != 0)
		return (ENOMEM);
	if (!named && device_set_devclass(child, dl->dl_driver->name) != 0) {
		device_set_driver(child, NULL);
		return (ENXIO);
	}
	if (resource_int_value(dl->dl_driver->name, child->dev_unit, "flags",
	    &flags) == 0)
		child->dev_devflags = flags;
	result = DEVICE_PROBE(child);
	/* A softc survives only the probe that settles the matter. */
	if (!named && result != 0)
		device_set_devclass(child, NULL);
	if (result != 0)
		child->dev_devflags = 0;
	/* Drivers below this accept only what their bus has named for them. */
	if (result <= BUS_PROBE_NOWILDCARD &&
	    (child->dev_flags & DF_FIXEDCLASS) == 0)
		result = ENXIO;
	return (result);
}

/* The winner may look again, as the owner of the device. */
static int
device_award(device_t child, struct bus_driverlink *dl)
{
	bool named;
	int flags, result;

	named = child->dev_class != NULL;
	if (!named && device_set_devclass(child, dl->dl_driver->name) != 0)
		return (ENXIO);
	if (device_set_driver(child, dl->dl_driver) != 0)
		return (ENXIO);
	if (resource_int_value(dl->dl_driver->name, child->dev_unit, "flags",
	    &flags) == 0)
		child->dev_devflags = flags;
	result = DEVICE_PROBE(child);
	if (result <= 0)
		return (0);
	if (!named)
		device_set_devclass(child, NULL);
	device_set_driver(child, NULL);
	return (result);
}

int
device_probe_child(device_t bus, device_t dev)
{
	struct bus_driverlink *best, *dl;
	devclass_t dc;
	int error, pri, result;

	bus_topo_assert();
	if (bus->dev_class == NULL)
		panic("%s: the bus has no class", __func__);
	if (dev->dev_state == DS_ALIVE)
		return (0);
	best = NULL;
	pri = 0;
	for (dc = bus->dev_class; dc != NULL; dc = dc->dc_parent) {
		TAILQ_FOREACH(dl, &dc->dc_drivers, dl_link) {
			if (dl->dl_pass > bus_current_pass)
				continue;
			if ((dev->dev_flags & DF_FIXEDCLASS) != 0 &&
			    strcmp(dev->dev_class->dc_name,
			    dl->dl_driver->name) != 0)
				continue;
			result = device_bid(dev, dl);
			if (result > 0) {
				device_set_driver(dev, NULL);
				continue;
			}
			/*
			 * The driver stays until the next one bids: who bids
			 * last and wins finds in its softc what it left there.
			 */
			if (best != NULL && result <= pri)
				continue;
			best = dl;
			pri = result;
			if (pri == 0)
				goto won;
		}
	}
won:
	if (best == NULL)
		return (ENXIO);
	if (pri < 0 && (error = device_award(dev, best)) != 0)
		return (error);
	dev->dev_state = DS_ALIVE;
	bus_data_generation_update();
	return (0);
}

/* -1: nothing to do. */
int
device_probe(device_t dev)
{
	int error;

	bus_topo_assert();
	if (dev->dev_state >= DS_ALIVE)
		return (-1);
	if ((dev->dev_flags & DF_ENABLED) == 0) {
		if (bootverbose && device_get_name(dev) != NULL)
			device_printf(dev, "not probed (disabled)\n");
		return (-1);
	}
	error = device_probe_child(dev->dev_parent, dev);
	if (error != 0 && bus_current_pass == BUS_PASS_DEFAULT &&
	    (dev->dev_flags & DF_DONENOMATCH) == 0) {
		BUS_PROBE_NOMATCH(dev->dev_parent, dev);
		EVENTHANDLER_DIRECT_INVOKE(device_nomatch, dev);
		bus_devctl_nomatch(dev);
		dev->dev_flags |= DF_DONENOMATCH;
	}
	return (error);
}

int
device_probe_and_attach(device_t dev)
{
	int error;

	bus_topo_assert();
	error = device_probe(dev);
	if (error == -1)
		return (0);
	if (error != 0)
		return (error);
	return (device_attach(dev));
}

/*
 * Back to a device that nobody drives.  Its variables outlive its softc by a
 * moment, as in a kernel: what a driver hangs below them is its own to take
 * away in time.
 */
static void
device_abandon(device_t dev)
{

	if ((dev->dev_flags & DF_FIXEDCLASS) == 0)
		bus_devclass_delete_device(dev->dev_class, dev);
	device_verbose(dev);
	dev->dev_state = DS_NOTPRESENT;
	device_set_driver(dev, NULL);
	bus_sysctl_fini(dev);
}

int
device_attach(device_t dev)
{
	int error;

	bus_topo_assert();
	if (resource_disabled(dev->dev_driver->name, dev->dev_unit)) {
		/* Name and unit stay taken; who enables it probes it anew. */
		device_disable(dev);
		device_set_driver(dev, NULL);
		dev->dev_state = DS_NOTPRESENT;
		if (bootverbose)
			device_printf(dev, "disabled via hints entry\n");
		return (ENXIO);
	}
	bus_sysctl_init(dev);
	if ((dev->dev_flags & DF_QUIET) == 0)
		BUS_PRINT_CHILD(dev->dev_parent, dev);
	dev->dev_state = DS_ATTACHING;
	error = DEVICE_ATTACH(dev);
	if (error != 0) {
		printf("device_attach: %s attach returned %d\n",
		    dev->dev_nameunit, error);
		BUS_CHILD_DETACHED(dev->dev_parent, dev);
		KASSERT(dev->dev_busy == 0,
		    ("%s failed to attach but is busy", dev->dev_nameunit));
		device_abandon(dev);
		return (error);
	}
	dev->dev_state = DS_ATTACHED;
	dev->dev_flags |= DF_ATTACHED_ONCE;
	dev->dev_flags &= ~DF_DONENOMATCH;
	EVENTHANDLER_DIRECT_INVOKE(device_attach, dev);
	bus_devctl_added(dev);
	return (0);
}

int
device_detach(device_t dev)
{
	int error;

	bus_topo_assert();
	if (dev->dev_busy > 0)
		return (EBUSY);
	if (dev->dev_state == DS_ATTACHING) {
		device_printf(dev, "device in attaching state!\n");
		return (EBUSY);
	}
	if (dev->dev_state != DS_ATTACHED)
		return (0);
	EVENTHANDLER_DIRECT_INVOKE(device_detach, dev, EVHDEV_DETACH_BEGIN);
	error = DEVICE_DETACH(dev);
	if (error != 0) {
		EVENTHANDLER_DIRECT_INVOKE(device_detach, dev,
		    EVHDEV_DETACH_FAILED);
		return (error);
	}
	EVENTHANDLER_DIRECT_INVOKE(device_detach, dev,
	    EVHDEV_DETACH_COMPLETE);
	bus_devctl_removed(dev);
	if (!device_is_quiet(dev))
		device_printf(dev, "detached\n");
	if (dev->dev_parent != NULL)
		BUS_CHILD_DETACHED(dev->dev_parent, dev);
	device_abandon(dev);
	return (0);
}

int
device_quiesce(device_t dev)
{

	bus_topo_assert();
	if (dev->dev_busy > 0)
		return (EBUSY);
	if (dev->dev_state != DS_ATTACHED)
		return (0);
	return (DEVICE_QUIESCE(dev));
}

int
device_shutdown(device_t dev)
{

	bus_topo_assert();
	if (dev->dev_state < DS_ATTACHED)
		return (0);
	return (DEVICE_SHUTDOWN(dev));
}

/* --- For drivers of buses, about all of their children --- */

void
bus_identify_children(device_t dev)
{
	struct bus_driverlink *dl;
	devclass_t dc;

	bus_topo_assert();
	dc = dev->dev_class;
	TAILQ_FOREACH(dl, &dc->dc_drivers, dl_link)
		if (dl->dl_pass <= bus_current_pass)
			DEVICE_IDENTIFY(dl->dl_driver, dev);
}

void
bus_attach_children(device_t dev)
{
	device_t child;

	bus_topo_assert();
	TAILQ_FOREACH(child, &dev->dev_children, dev_link)
		(void)device_probe_and_attach(child);
}

/* In reverse order of attachment. */
int
bus_detach_children(device_t dev)
{
	device_t child;
	int error;

	bus_topo_assert();
	TAILQ_FOREACH_REVERSE(child, &dev->dev_children, bus_device_list,
	    dev_link)
		if ((error = device_detach(child)) != 0)
			return (error);
	return (0);
}

static void
bus_attach_later(void *arg)
{

	bus_topo_lock();
	bus_attach_children(arg);
	bus_topo_unlock();
}

void
bus_delayed_attach_children(device_t bus)
{

	config_intrhook_oneshot(bus_attach_later, bus);
}

/* --- Passes --- */

static void
bus_set_pass(int pass)
{
	struct bus_driverlink *dl;
	devclass_t dc;
	int next;

	bus_topo_assert();
	while (bus_current_pass < pass) {
		next = pass;
		TAILQ_FOREACH(dc, &bus_devclasses, dc_link)
			TAILQ_FOREACH(dl, &dc->dc_drivers, dl_link)
				if (dl->dl_pass > bus_current_pass &&
				    dl->dl_pass < next)
					next = dl->dl_pass;
		bus_current_pass = next;
		BUS_NEW_PASS(root_bus);
	}
}

void
root_bus_configure(void)
{

	bus_topo_lock();
	bus_set_pass(BUS_PASS_DEFAULT);
	bus_topo_unlock();
}
