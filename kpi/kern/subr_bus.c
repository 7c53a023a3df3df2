/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * newbus: the device tree, and what can be asked and said of one device.
 * Probing and attaching is in subr_bus_attach.c, what bus drivers inherit in
 * subr_bus_generic.c, classes and drivers in subr_devclass.c.
 */

#include "subr_bus_var.h"

#include <sys/kernel.h>
#include <sys/syslog.h>

#include <machine/stdarg.h>

MALLOC_DEFINE(M_BUS, "bus", "Bus data structures");

static struct bus_device_list bus_devices = TAILQ_HEAD_INITIALIZER(bus_devices);
static u_int bus_generation = 1;

/* Of a device that no driver has. */
static device_method_t bus_null_methods[] = {
	DEVMETHOD_END
};
DEFINE_CLASS(null, bus_null_methods, 0);

void
bus_topo_lock(void)
{

	mtx_lock(bus_topo_mtx());
}

void
bus_topo_unlock(void)
{

	mtx_unlock(bus_topo_mtx());
}

struct mtx *
bus_topo_mtx(void)
{

	return (&Giant);
}

void
bus_topo_assert(void)
{

	mtx_assert(bus_topo_mtx(), MA_OWNED);
}

int
bus_data_generation_check(int generation)
{

	return ((u_int)generation != bus_generation);
}

void
bus_data_generation_update(void)
{

	atomic_add_int(&bus_generation, 1);
}

static device_t
device_make(device_t parent, const char *name, int unit)
{
	device_t dev;
	devclass_t dc;

	bus_topo_assert();
	dc = name != NULL ? bus_devclass_get(name) : NULL;
	dev = malloc(sizeof(*dev), M_BUS, M_WAITOK | M_ZERO);
	dev->dev_parent = parent;
	TAILQ_INIT(&dev->dev_children);
	LIST_INIT(&dev->dev_props);
	kobj_init((kobj_t)dev, &null_class);
	dev->dev_unit = unit;
	dev->dev_flags = DF_ENABLED;
	if (unit == DEVICE_UNIT_ANY)
		dev->dev_flags |= DF_WILDCARD;
	dev->dev_state = DS_NOTPRESENT;
	if (dc != NULL) {
		dev->dev_flags |= DF_FIXEDCLASS;
		if (bus_devclass_add_device(dc, dev) != 0) {
			kobj_delete((kobj_t)dev, M_BUS);
			return (NULL);
		}
	}
	if (parent != NULL && device_has_quiet_children(parent))
		dev->dev_flags |= DF_QUIET | DF_QUIET_CHILDREN;
	TAILQ_INSERT_TAIL(&bus_devices, dev, dev_all);
	bus_data_generation_update();
	return (dev);
}

device_t
device_add_child(device_t dev, const char *name, int unit)
{

	return (device_add_child_ordered(dev, 0, name, unit));
}

/* Siblings stand in order of order, then of being added. */
device_t
device_add_child_ordered(device_t dev, u_int order, const char *name, int unit)
{
	device_t child, place;

	KASSERT(name != NULL || unit == DEVICE_UNIT_ANY,
	    ("a device with a unit but without a name"));
	child = device_make(dev, name, unit);
	if (child == NULL || dev == NULL)
		return (child);
	child->dev_order = order;
	TAILQ_FOREACH(place, &dev->dev_children, dev_link)
		if (place->dev_order > order)
			break;
	if (place != NULL)
		TAILQ_INSERT_BEFORE(place, child, dev_link);
	else
		TAILQ_INSERT_TAIL(&dev->dev_children, child, dev_link);
	bus_data_generation_update();
	return (child);
}

/* The last step of a device, detached and without children. */
static void
device_unmake(device_t dev)
{

	device_set_desc(dev, NULL);
	while (!LIST_EMPTY(&dev->dev_props))
		device_clear_prop(dev, LIST_FIRST(&dev->dev_props)->bp_name);
	if (dev->dev_parent != NULL)
		TAILQ_REMOVE(&dev->dev_parent->dev_children, dev, dev_link);
	TAILQ_REMOVE(&bus_devices, dev, dev_all);
	kobj_delete((kobj_t)dev, M_BUS);
	bus_data_generation_update();
}

int
device_delete_child(device_t dev, device_t child)
{
	device_t grandchild;
	int error;

	bus_topo_assert();
	KASSERT(child->dev_parent == dev, ("%s is not a child of %s",
	    device_get_nameunit(child), device_get_nameunit(dev)));
	if ((error = device_detach(child)) != 0)
		return (error);
	while ((grandchild = TAILQ_FIRST(&child->dev_children)) != NULL)
		if ((error = device_delete_child(child, grandchild)) != 0)
			return (error);
	/* The bus is told of a device that has no name any more. */
	if (child->dev_class != NULL)
		bus_devclass_delete_device(child->dev_class, child);
	BUS_CHILD_DELETED(dev, child);
	device_unmake(child);
	return (0);
}

int
device_delete_children(device_t dev)
{
	device_t child;
	int error, first;

	first = 0;
	while ((child = TAILQ_FIRST(&dev->dev_children)) != NULL) {
		error = device_delete_child(dev, child);
		if (error != 0) {
			printf("Failed deleting %s\n",
			    device_get_nameunit(child));
			first = error;
			break;
		}
	}
	return (first);
}

device_t
device_find_child(device_t dev, const char *classname, int unit)
{
	devclass_t dc;
	device_t child;
	int i;

	if ((dc = devclass_find(classname)) == NULL)
		return (NULL);
	if (unit != DEVICE_UNIT_ANY) {
		child = devclass_get_device(dc, unit);
		return (child != NULL && child->dev_parent == dev ? child :
		    NULL);
	}
	for (i = 0; i < dc->dc_maxunit; i++)
		if ((child = dc->dc_devices[i]) != NULL &&
		    child->dev_parent == dev)
			return (child);
	return (NULL);
}

device_t
device_lookup_by_name(const char *name)
{
	device_t dev;

	TAILQ_FOREACH(dev, &bus_devices, dev_all)
		if (dev->dev_nameunit != NULL &&
		    strcmp(dev->dev_nameunit, name) == 0)
			break;
	return (dev);
}

int
device_get_children(device_t dev, device_t **listp, int *countp)
{
	device_t child, *list;
	int n;

	n = 0;
	TAILQ_FOREACH(child, &dev->dev_children, dev_link)
		n++;
	*listp = NULL;
	*countp = n;
	if (n == 0)
		return (0);
	list = malloc(n * sizeof(*list), M_TEMP, M_NOWAIT);
	if (list == NULL)
		return (ENOMEM);
	n = 0;
	TAILQ_FOREACH(child, &dev->dev_children, dev_link)
		list[n++] = child;
	*listp = list;
	return (0);
}

device_t
device_get_parent(device_t dev)
{

	return (dev->dev_parent);
}

driver_t *
device_get_driver(device_t dev)
{

	return (dev->dev_driver);
}

devclass_t
device_get_devclass(device_t dev)
{

	return (dev->dev_class);
}

const char *
device_get_name(device_t dev)
{

	return (dev != NULL ? devclass_get_name(dev->dev_class) : NULL);
}

const char *
device_get_nameunit(device_t dev)
{

	return (dev->dev_nameunit);
}

int
device_get_unit(device_t dev)
{

	return (dev->dev_unit);
}

const char *
device_get_desc(device_t dev)
{

	return (dev->dev_desc);
}

uint32_t
device_get_flags(device_t dev)
{

	return (dev->dev_devflags);
}

void
device_set_flags(device_t dev, uint32_t flags)
{

	dev->dev_devflags = flags;
}

struct sysctl_ctx_list *
device_get_sysctl_ctx(device_t dev)
{

	return (&dev->dev_sysctl_ctx);
}

struct sysctl_oid *
device_get_sysctl_tree(device_t dev)
{

	return (dev->dev_sysctl_tree);
}

int
device_print_prettyname(device_t dev)
{

	if (dev->dev_nameunit == NULL)
		return (printf("unknown: "));
	return (printf("%s: ", dev->dev_nameunit));
}

/* The whole in one call, so that lines of several CPUs do not mix. */
static int
device_vprintf(device_t dev, const char *fmt, va_list ap)
{
	char buf[256];
	struct sbuf sb;
	int n;

	sbuf_new(&sb, buf, sizeof(buf), SBUF_AUTOEXTEND | SBUF_NOWAIT);
	sbuf_printf(&sb, "%s: ", dev->dev_nameunit != NULL ?
	    dev->dev_nameunit : "unknown");
	sbuf_vprintf(&sb, fmt, ap);
	sbuf_finish(&sb);
	n = printf("%s", sbuf_data(&sb));
	sbuf_delete(&sb);
	return (n);
}

int
device_printf(device_t dev, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = device_vprintf(dev, fmt, ap);
	va_end(ap);
	return (n);
}

/* The hosted console shows every priority. */
int
device_log(device_t dev, int pri __unused, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = device_vprintf(dev, fmt, ap);
	va_end(ap);
	return (n);
}

static void
device_take_desc(device_t dev, const char *desc, bool allocated)
{

	if ((dev->dev_flags & DF_DESCMALLOCED) != 0)
		free(__DECONST(char *, dev->dev_desc), M_BUS);
	dev->dev_flags &= ~DF_DESCMALLOCED;
	dev->dev_desc = desc;
	if (allocated)
		dev->dev_flags |= DF_DESCMALLOCED;
	bus_data_generation_update();
}

/* Not copied: it must be there for as long as the driver has the device. */
void
device_set_desc(device_t dev, const char *desc)
{

	device_take_desc(dev, desc, false);
}

void
device_set_desc_copy(device_t dev, const char *desc)
{

	device_take_desc(dev, strdup(desc, M_BUS), true);
}

void
device_set_descf(device_t dev, const char *fmt, ...)
{
	struct sbuf sb;
	va_list ap;

	sbuf_new(&sb, NULL, 0, SBUF_AUTOEXTEND);
	va_start(ap, fmt);
	sbuf_vprintf(&sb, fmt, ap);
	va_end(ap);
	sbuf_finish(&sb);
	device_set_desc_copy(dev, sbuf_data(&sb));
	sbuf_delete(&sb);
}

void *
device_get_softc(device_t dev)
{

	return (dev->dev_softc);
}

/* From now on the driver's, to be freed with device_free_softc(). */
void
device_claim_softc(device_t dev)
{

	if (dev->dev_softc != NULL)
		dev->dev_flags |= DF_EXTERNALSOFTC;
	else
		dev->dev_flags &= ~DF_EXTERNALSOFTC;
}

void
device_free_softc(void *softc)
{

	free(softc, M_BUS);
}

void
device_set_softc(device_t dev, void *softc)
{

	if (dev->dev_softc != NULL && (dev->dev_flags & DF_EXTERNALSOFTC) == 0)
		free(dev->dev_softc, M_BUS);
	dev->dev_softc = softc;
	device_claim_softc(dev);
}

void *
device_get_ivars(device_t dev)
{

	return (dev->dev_ivars);
}

void
device_set_ivars(device_t dev, void *ivars)
{

	dev->dev_ivars = ivars;
}

device_state_t
device_get_state(device_t dev)
{

	return (dev->dev_state);
}

void
device_enable(device_t dev)
{

	dev->dev_flags |= DF_ENABLED;
}

void
device_disable(device_t dev)
{

	dev->dev_flags &= ~DF_ENABLED;
}

int
device_is_enabled(device_t dev)
{

	return ((dev->dev_flags & DF_ENABLED) != 0);
}

int
device_is_alive(device_t dev)
{

	return (dev->dev_state >= DS_ALIVE);
}

int
device_is_attached(device_t dev)
{

	return (dev->dev_state >= DS_ATTACHED);
}

int
device_is_suspended(device_t dev)
{

	return ((dev->dev_flags & DF_SUSPENDED) != 0);
}

int
device_is_quiet(device_t dev)
{

	return ((dev->dev_flags & DF_QUIET) != 0);
}

int
device_has_quiet_children(device_t dev)
{

	return ((dev->dev_flags & DF_QUIET_CHILDREN) != 0);
}

void
device_quiet(device_t dev)
{

	dev->dev_flags |= DF_QUIET;
}

void
device_quiet_children(device_t dev)
{

	dev->dev_flags |= DF_QUIET_CHILDREN;
}

void
device_verbose(device_t dev)
{

	dev->dev_flags &= ~DF_QUIET;
}

/* A busy device is not detached, nor is a bus with one below it. */
void
device_busy(device_t dev)
{

	if (atomic_fetchadd_int(&dev->dev_busy, 1) == 0 &&
	    dev->dev_parent != NULL)
		device_busy(dev->dev_parent);
}

void
device_unbusy(device_t dev)
{
	u_int old;

	old = atomic_fetchadd_int(&dev->dev_busy, -1);
	KASSERT(old > 0, ("%s is not busy", device_get_nameunit(dev)));
	if (old == 1 && dev->dev_parent != NULL)
		device_unbusy(dev->dev_parent);
}

int
device_set_devclass(device_t dev, const char *classname)
{
	int error;

	bus_topo_assert();
	if (classname == NULL) {
		if (dev->dev_class != NULL)
			bus_devclass_delete_device(dev->dev_class, dev);
		return (0);
	}
	if (dev->dev_class != NULL) {
		printf("device_set_devclass: device class already set\n");
		return (EINVAL);
	}
	error = bus_devclass_add_device(bus_devclass_get(classname), dev);
	bus_data_generation_update();
	return (error);
}

int
device_set_devclass_fixed(device_t dev, const char *classname)
{
	int error;

	if (classname == NULL)
		return (EINVAL);
	error = device_set_devclass(dev, classname);
	if (error == 0)
		dev->dev_flags |= DF_FIXEDCLASS;
	return (error);
}

bool
device_is_devclass_fixed(device_t dev)
{

	return ((dev->dev_flags & DF_FIXEDCLASS) != 0);
}

int
device_set_driver(device_t dev, driver_t *driver)
{

	bus_topo_assert();
	if (dev->dev_state >= DS_ATTACHED)
		return (EBUSY);
	if (dev->dev_driver == driver)
		return (0);
	if (dev->dev_softc != NULL &&
	    (dev->dev_flags & DF_EXTERNALSOFTC) == 0) {
		free(dev->dev_softc, M_BUS);
		dev->dev_softc = NULL;
	}
	device_set_desc(dev, NULL);
	kobj_delete((kobj_t)dev, NULL);
	dev->dev_driver = driver;
	kobj_init((kobj_t)dev, driver != NULL ? (kobj_class_t)driver :
	    &null_class);
	if (driver != NULL && (dev->dev_flags & DF_EXTERNALSOFTC) == 0 &&
	    driver->size > 0)
		dev->dev_softc = malloc(driver->size, M_BUS,
		    M_WAITOK | M_ZERO);
	bus_data_generation_update();
	return (0);
}

/* Only for a device which has not got its unit yet in another way. */
int
device_set_unit(device_t dev, int unit)
{
	devclass_t dc;
	int error;

	if (unit == dev->dev_unit)
		return (0);
	dc = device_get_devclass(dev);
	if (dc == NULL || unit < 0)
		return (EINVAL);
	if (devclass_get_device(dc, unit) != NULL)
		return (EBUSY);
	bus_devclass_delete_device(dc, dev);
	dev->dev_unit = unit;
	error = bus_devclass_add_device(dc, dev);
	bus_data_generation_update();
	return (error);
}

static struct bus_prop *
device_find_prop(device_t dev, const char *name)
{
	struct bus_prop *bp;

	LIST_FOREACH(bp, &dev->dev_props, bp_link)
		if (strcmp(bp->bp_name, name) == 0)
			break;
	return (bp);
}

/* EEXIST says that an older value was replaced, and so destroyed. */
int
device_set_prop(device_t dev, const char *name, void *val,
    device_prop_dtr_t dtr, void *dtr_ctx)
{
	struct bus_prop *bp;
	int old;

	bus_topo_assert();
	old = device_clear_prop(dev, name);
	bp = malloc(sizeof(*bp), M_BUS, M_WAITOK | M_ZERO);
	bp->bp_name = strdup(name, M_BUS);
	bp->bp_val = val;
	bp->bp_dtr = dtr;
	bp->bp_ctx = dtr_ctx;
	LIST_INSERT_HEAD(&dev->dev_props, bp, bp_link);
	return (old == 0 ? EEXIST : 0);
}

int
device_get_prop(device_t dev, const char *name, void **valp)
{
	struct bus_prop *bp;

	bus_topo_assert();
	if ((bp = device_find_prop(dev, name)) == NULL)
		return (ENOENT);
	*valp = bp->bp_val;
	return (0);
}

int
device_clear_prop(device_t dev, const char *name)
{
	struct bus_prop *bp;

	bus_topo_assert();
	if ((bp = device_find_prop(dev, name)) == NULL)
		return (ENOENT);
	LIST_REMOVE(bp, bp_link);
	if (bp->bp_dtr != NULL)
		bp->bp_dtr(dev, bp->bp_name, bp->bp_val, bp->bp_ctx);
	free(bp->bp_name, M_BUS);
	free(bp, M_BUS);
	return (0);
}

void
device_clear_prop_alldev(const char *name)
{
	device_t dev;

	TAILQ_FOREACH(dev, &bus_devices, dev_all)
		(void)device_clear_prop(dev, name);
}

ssize_t
device_get_property(device_t dev, const char *prop, void *val, size_t sz,
    device_property_type_t type)
{

	if (dev->dev_parent == NULL)
		return (-1);
	return (BUS_GET_PROPERTY(dev->dev_parent, dev, prop, val, sz, type));
}

bool
device_has_property(device_t dev, const char *prop)
{

	return (device_get_property(dev, prop, NULL, 0, DEVICE_PROP_ANY) >= 0);
}
