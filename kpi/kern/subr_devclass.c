/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Device classes: the names of drivers, the units in use of each, and, since a
 * bus is a device too, the drivers for what is found on buses of that name.
 */

#include "subr_bus_var.h"

#include <sys/kernel.h>
#include <sys/module.h>

struct bus_devclass_list bus_devclasses =
    TAILQ_HEAD_INITIALIZER(bus_devclasses);

devclass_t
devclass_find(const char *classname)
{
	devclass_t dc;

	if (classname == NULL)
		return (NULL);
	TAILQ_FOREACH(dc, &bus_devclasses, dc_link)
		if (strcmp(dc->dc_name, classname) == 0)
			break;
	return (dc);
}

/* The class of that name, made if there is none yet. */
devclass_t
bus_devclass_get(const char *name)
{
	devclass_t dc;

	if ((dc = devclass_find(name)) != NULL)
		return (dc);
	dc = malloc(sizeof(*dc), M_BUS, M_WAITOK | M_ZERO);
	dc->dc_name = strdup(name, M_BUS);
	TAILQ_INIT(&dc->dc_drivers);
	sysctl_ctx_init(&dc->dc_sysctl_ctx);
	TAILQ_INSERT_TAIL(&bus_devclasses, dc, dc_link);
	return (dc);
}

devclass_t
devclass_create(const char *classname)
{

	return (bus_devclass_get(classname));
}

const char *
devclass_get_name(devclass_t dc)
{

	return (dc != NULL ? dc->dc_name : NULL);
}

device_t
devclass_get_device(devclass_t dc, int unit)
{

	if (dc == NULL || unit < 0 || unit >= dc->dc_maxunit)
		return (NULL);
	return (dc->dc_devices[unit]);
}

void *
devclass_get_softc(devclass_t dc, int unit)
{
	device_t dev;

	dev = devclass_get_device(dc, unit);
	return (dev != NULL ? device_get_softc(dev) : NULL);
}

int
devclass_get_count(devclass_t dc)
{
	int i, n;

	for (n = 0, i = 0; i < dc->dc_maxunit; i++)
		if (dc->dc_devices[i] != NULL)
			n++;
	return (n);
}

int
devclass_get_maxunit(devclass_t dc)
{

	return (dc != NULL ? dc->dc_maxunit : -1);
}

int
devclass_get_devices(devclass_t dc, device_t **listp, int *countp)
{
	device_t *list;
	int i, n;

	n = devclass_get_count(dc);
	list = malloc(MAX(n, 1) * sizeof(*list), M_TEMP, M_WAITOK | M_ZERO);
	for (n = 0, i = 0; i < dc->dc_maxunit; i++)
		if (dc->dc_devices[i] != NULL)
			list[n++] = dc->dc_devices[i];
	*listp = list;
	*countp = n;
	return (0);
}

int
devclass_get_drivers(devclass_t dc, driver_t ***listp, int *countp)
{
	struct bus_driverlink *dl;
	driver_t **list;
	int n;

	n = 0;
	TAILQ_FOREACH(dl, &dc->dc_drivers, dl_link)
		n++;
	*countp = n;
	*listp = NULL;
	if (n == 0)
		return (0);
	list = malloc(n * sizeof(*list), M_TEMP, M_WAITOK);
	n = 0;
	TAILQ_FOREACH(dl, &dc->dc_drivers, dl_link)
		list[n++] = dl->dl_driver;
	*listp = list;
	return (0);
}

int
devclass_find_free_unit(devclass_t dc, int unit)
{

	while (devclass_get_device(dc, unit) != NULL)
		unit++;
	return (unit);
}

void
devclass_set_parent(devclass_t dc, devclass_t pdc)
{

	dc->dc_parent = pdc;
}

devclass_t
devclass_get_parent(devclass_t dc)
{

	return (dc->dc_parent);
}

struct sysctl_ctx_list *
devclass_get_sysctl_ctx(devclass_t dc)
{

	return (&dc->dc_sysctl_ctx);
}

struct sysctl_oid *
devclass_get_sysctl_tree(devclass_t dc)
{

	return (dc->dc_sysctl_tree);
}

/* Is this unit promised, by a hint, to a device at another place? */
static bool
devclass_unit_is_hinted(const char *name, int unit)
{
	const char *at;

	return (resource_string_value(name, unit, "at", &at) == 0);
}

/* The unit a device asks for, or the first free one without a hint. */
static int
devclass_alloc_unit(devclass_t dc, device_t dev, int *unitp)
{
	int unit;

	unit = *unitp;
	if (unit == DEVICE_UNIT_ANY && device_get_parent(dev) != NULL)
		BUS_HINT_DEVICE_UNIT(device_get_parent(dev), dev, dc->dc_name,
		    &unit);
	if (unit != DEVICE_UNIT_ANY) {
		if (devclass_get_device(dc, unit) != NULL) {
			printf("%s%d already exists; skipping it\n",
			    dc->dc_name, unit);
			return (EEXIST);
		}
	} else {
		for (unit = 0; devclass_get_device(dc, unit) != NULL ||
		    devclass_unit_is_hinted(dc->dc_name, unit); unit++)
			continue;
	}
	*unitp = unit;
	return (0);
}

int
bus_devclass_add_device(devclass_t dc, device_t dev)
{
	device_t *list;
	char name[64];
	int error, n;

	error = devclass_alloc_unit(dc, dev, &dev->dev_unit);
	if (error != 0)
		return (error);
	if (dev->dev_unit >= dc->dc_maxunit) {
		n = roundup2(dev->dev_unit + 1, 4);
		list = malloc(n * sizeof(*list), M_BUS, M_WAITOK | M_ZERO);
		if (dc->dc_maxunit > 0)
			memcpy(list, dc->dc_devices,
			    dc->dc_maxunit * sizeof(*list));
		free(dc->dc_devices, M_BUS);
		dc->dc_devices = list;
		dc->dc_maxunit = n;
	}
	snprintf(name, sizeof(name), "%s%d", dc->dc_name, dev->dev_unit);
	dev->dev_nameunit = strdup(name, M_BUS);
	dc->dc_devices[dev->dev_unit] = dev;
	dev->dev_class = dc;
	return (0);
}

void
bus_devclass_delete_device(devclass_t dc, device_t dev)
{

	if (dc == NULL)
		return;
	KASSERT(dev->dev_class == dc && dc->dc_devices[dev->dev_unit] == dev,
	    ("%s is not of class %s", dev->dev_nameunit, dc->dc_name));
	dc->dc_devices[dev->dev_unit] = NULL;
	if ((dev->dev_flags & DF_WILDCARD) != 0)
		dev->dev_unit = DEVICE_UNIT_ANY;
	dev->dev_class = NULL;
	free(dev->dev_nameunit, M_BUS);
	dev->dev_nameunit = NULL;
}

/* Tells the buses of a class, and of those that inherit from it. */
static void
devclass_driver_added(devclass_t dc, driver_t *driver)
{
	devclass_t child;
	device_t dev;
	int i;

	for (i = 0; i < dc->dc_maxunit; i++) {
		dev = dc->dc_devices[i];
		if (dev != NULL && device_is_attached(dev))
			BUS_DRIVER_ADDED(dev, driver);
	}
	TAILQ_FOREACH(child, &bus_devclasses, dc_link)
		if (child->dc_parent == dc)
			devclass_driver_added(child, driver);
}

int
devclass_add_driver(devclass_t dc, driver_t *driver, int pass,
    devclass_t *dcp)
{
	struct bus_driverlink *dl;
	devclass_t own, base;

	bus_topo_assert();
	/* Passes of the boot are over once the default one is reached. */
	if (pass <= BUS_PASS_ROOT)
		return (EINVAL);
	dl = malloc(sizeof(*dl), M_BUS, M_WAITOK | M_ZERO);
	kobj_class_compile((kobj_class_t)driver);
	/* A driver that inherits from another serves its children as well. */
	own = bus_devclass_get(driver->name);
	if (driver->baseclasses != NULL && own->dc_parent == NULL) {
		base = bus_devclass_get(driver->baseclasses[0]->name);
		if (base != own)
			devclass_set_parent(own, base);
	}
	if (dcp != NULL)
		*dcp = own;
	dl->dl_driver = driver;
	dl->dl_pass = pass;
	driver->refs++;
	TAILQ_INSERT_TAIL(&dc->dc_drivers, dl, dl_link);
	bus_data_generation_update();
	if (pass <= bus_current_pass)
		devclass_driver_added(dc, driver);
	return (0);
}

static struct bus_driverlink *
devclass_find_link(devclass_t busclass, driver_t *driver)
{
	struct bus_driverlink *dl;

	TAILQ_FOREACH(dl, &busclass->dc_drivers, dl_link)
		if (dl->dl_driver == driver)
			break;
	return (dl);
}

/* Is this device run by the driver, on a bus of the class? */
static bool
devclass_runs(device_t dev, devclass_t busclass, driver_t *driver)
{

	return (dev != NULL && dev->dev_driver == driver &&
	    dev->dev_parent != NULL && dev->dev_parent->dev_class == busclass);
}

int
devclass_delete_driver(devclass_t busclass, driver_t *driver)
{
	struct bus_driverlink *dl;
	devclass_t dc;
	device_t dev;
	int error, i;

	bus_topo_assert();
	dc = devclass_find(driver->name);
	if (dc == NULL)
		return (0);
	if ((dl = devclass_find_link(busclass, driver)) == NULL)
		return (ENOENT);
	for (i = 0; i < dc->dc_maxunit; i++) {
		dev = dc->dc_devices[i];
		if (!devclass_runs(dev, busclass, driver))
			continue;
		if ((error = device_detach(dev)) != 0)
			return (error);
		BUS_PROBE_NOMATCH(dev->dev_parent, dev);
		bus_devctl_nomatch(dev);
		dev->dev_flags |= DF_DONENOMATCH;
	}
	TAILQ_REMOVE(&busclass->dc_drivers, dl, dl_link);
	free(dl, M_BUS);
	if (--driver->refs == 0)
		kobj_class_free((kobj_class_t)driver);
	bus_data_generation_update();
	return (0);
}

static int
devclass_quiesce_driver(devclass_t busclass, driver_t *driver)
{
	devclass_t dc;
	device_t dev;
	int error, i;

	dc = devclass_find(driver->name);
	if (dc == NULL)
		return (0);
	if (devclass_find_link(busclass, driver) == NULL)
		return (ENOENT);
	for (i = 0; i < dc->dc_maxunit; i++) {
		dev = dc->dc_devices[i];
		if (devclass_runs(dev, busclass, driver) &&
		    (error = device_quiesce(dev)) != 0)
			return (error);
	}
	return (0);
}

/* What DRIVER_MODULE() makes of a module. */
int
driver_module_handler(module_t mod, int what, void *arg)
{
	struct driver_module_data *dmd;
	devclass_t bus;
	int error;

	dmd = arg;
	bus_topo_assert();
	bus = bus_devclass_get(dmd->dmd_busname);
	error = 0;
	switch (what) {
	case MOD_LOAD:
		/* Nobody looks at what the chained handler says. */
		if (dmd->dmd_chainevh != NULL)
			(void)dmd->dmd_chainevh(mod, what, dmd->dmd_chainarg);
		error = devclass_add_driver(bus, dmd->dmd_driver,
		    dmd->dmd_pass, dmd->dmd_devclass);
		break;
	case MOD_UNLOAD:
		error = devclass_delete_driver(bus, dmd->dmd_driver);
		if (error == 0 && dmd->dmd_chainevh != NULL)
			error = dmd->dmd_chainevh(mod, what, dmd->dmd_chainarg);
		break;
	case MOD_QUIESCE:
		error = devclass_quiesce_driver(bus, dmd->dmd_driver);
		if (error == 0 && dmd->dmd_chainevh != NULL)
			error = dmd->dmd_chainevh(mod, what, dmd->dmd_chainarg);
		break;
	default:
		/* Not chained: a driver's last word is device_shutdown. */
		error = EOPNOTSUPP;
		break;
	}
	return (error);
}

/* Classes without a device, a driver or an heir. */
void
bus_devclass_prune(void)
{
	devclass_t dc, heir, next;

	TAILQ_FOREACH_SAFE(dc, &bus_devclasses, dc_link, next) {
		TAILQ_FOREACH(heir, &bus_devclasses, dc_link)
			if (heir->dc_parent == dc)
				break;
		if (heir != NULL || !TAILQ_EMPTY(&dc->dc_drivers) ||
		    devclass_get_count(dc) > 0 ||
		    sysctl_ctx_free(&dc->dc_sysctl_ctx) != 0)
			continue;
		TAILQ_REMOVE(&bus_devclasses, dc, dc_link);
		free(dc->dc_devices, M_BUS);
		free(dc->dc_name, M_BUS);
		free(dc, M_BUS);
	}
}
