/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * newbus: resources of devices.  A request goes from the device up the tree
 * (bus_generic_*) to the bus that has a manager for the space
 * (bus_generic_rman_*).
 */

#include "subr_bus_var.h"

#include <sys/kernel.h>
#include <sys/rman.h>

#include <vm/vm.h>

#include <machine/resource.h>
#include <machine/stdarg.h>

/* The compatibility macros would hide the functions defined here. */
#undef bus_adjust_resource
#undef bus_activate_resource
#undef bus_deactivate_resource
#undef bus_map_resource
#undef bus_unmap_resource
#undef bus_release_resource

/* --- Asked by a device --- */

struct resource *
bus_alloc_resource(device_t dev, int type, int *rid, rman_res_t start,
    rman_res_t end, rman_res_t count, u_int flags)
{

	if (dev->dev_parent == NULL)
		return (NULL);
	return (BUS_ALLOC_RESOURCE(dev->dev_parent, dev, type, rid, start, end,
	    count, flags));
}

int
bus_adjust_resource(device_t dev, struct resource *r, rman_res_t start,
    rman_res_t end)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_ADJUST_RESOURCE(dev->dev_parent, dev, r, start, end));
}

int
bus_adjust_resource_old(device_t dev, int type __unused, struct resource *r,
    rman_res_t start, rman_res_t end)
{

	return (bus_adjust_resource(dev, r, start, end));
}

int
bus_translate_resource(device_t dev, int type, rman_res_t start,
    rman_res_t *newstart)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_TRANSLATE_RESOURCE(dev->dev_parent, type, start,
	    newstart));
}

int
bus_activate_resource(device_t dev, struct resource *r)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_ACTIVATE_RESOURCE(dev->dev_parent, dev, r));
}

int
bus_activate_resource_old(device_t dev, int type __unused, int rid __unused,
    struct resource *r)
{

	return (bus_activate_resource(dev, r));
}

int
bus_deactivate_resource(device_t dev, struct resource *r)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_DEACTIVATE_RESOURCE(dev->dev_parent, dev, r));
}

int
bus_deactivate_resource_old(device_t dev, int type __unused, int rid __unused,
    struct resource *r)
{

	return (bus_deactivate_resource(dev, r));
}

int
bus_map_resource(device_t dev, struct resource *r,
    struct resource_map_request *args, struct resource_map *map)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_MAP_RESOURCE(dev->dev_parent, dev, r, args, map));
}

int
bus_map_resource_old(device_t dev, int type __unused, struct resource *r,
    struct resource_map_request *args, struct resource_map *map)
{

	return (bus_map_resource(dev, r, args, map));
}

int
bus_unmap_resource(device_t dev, struct resource *r, struct resource_map *map)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_UNMAP_RESOURCE(dev->dev_parent, dev, r, map));
}

int
bus_unmap_resource_old(device_t dev, int type __unused, struct resource *r,
    struct resource_map *map)
{

	return (bus_unmap_resource(dev, r, map));
}

int
bus_release_resource(device_t dev, struct resource *r)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_RELEASE_RESOURCE(dev->dev_parent, dev, r));
}

int
bus_release_resource_old(device_t dev, int type __unused, int rid __unused,
    struct resource *r)
{

	return (bus_release_resource(dev, r));
}

int
bus_free_resource(device_t dev, int type __unused, struct resource *r)
{

	if (r == NULL)
		return (0);
	return (bus_release_resource(dev, r));
}

int
bus_alloc_resources(device_t dev, struct resource_spec *rs,
    struct resource **res)
{
	int i;

	for (i = 0; rs[i].type != -1; i++)
		res[i] = NULL;
	for (i = 0; rs[i].type != -1; i++) {
		res[i] = bus_alloc_resource_any(dev, rs[i].type, &rs[i].rid,
		    rs[i].flags);
		if (res[i] == NULL && (rs[i].flags & RF_OPTIONAL) == 0) {
			bus_release_resources(dev, rs, res);
			return (ENXIO);
		}
	}
	return (0);
}

void
bus_release_resources(device_t dev, const struct resource_spec *rs,
    struct resource **res)
{
	int i;

	for (i = 0; rs[i].type != -1; i++)
		if (res[i] != NULL) {
			bus_release_resource(dev, res[i]);
			res[i] = NULL;
		}
}

int
bus_set_resource(device_t dev, int type, int rid, rman_res_t start,
    rman_res_t count)
{

	return (BUS_SET_RESOURCE(device_get_parent(dev), dev, type, rid, start,
	    count));
}

int
bus_get_resource(device_t dev, int type, int rid, rman_res_t *startp,
    rman_res_t *countp)
{

	return (BUS_GET_RESOURCE(device_get_parent(dev), dev, type, rid,
	    startp, countp));
}

rman_res_t
bus_get_resource_start(device_t dev, int type, int rid)
{
	rman_res_t start;

	return (bus_get_resource(dev, type, rid, &start, NULL) == 0 ? start :
	    0);
}

rman_res_t
bus_get_resource_count(device_t dev, int type, int rid)
{
	rman_res_t count;

	return (bus_get_resource(dev, type, rid, NULL, &count) == 0 ? count :
	    0);
}

void
bus_delete_resource(device_t dev, int type, int rid)
{

	BUS_DELETE_RESOURCE(device_get_parent(dev), dev, type, rid);
}

/* --- Interrupts --- */

int
bus_setup_intr(device_t dev, struct resource *r, int flags,
    driver_filter_t filter, driver_intr_t handler, void *arg, void **cookiep)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_SETUP_INTR(dev->dev_parent, dev, r, flags, filter, handler,
	    arg, cookiep));
}

int
bus_teardown_intr(device_t dev, struct resource *r, void *cookie)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_TEARDOWN_INTR(dev->dev_parent, dev, r, cookie));
}

int
bus_suspend_intr(device_t dev, struct resource *r)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_SUSPEND_INTR(dev->dev_parent, dev, r));
}

int
bus_resume_intr(device_t dev, struct resource *r)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_RESUME_INTR(dev->dev_parent, dev, r));
}

int
bus_bind_intr(device_t dev, struct resource *r, int cpu)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_BIND_INTR(dev->dev_parent, dev, r, cpu));
}

int
bus_describe_intr(device_t dev, struct resource *irq, void *cookie,
    const char *fmt, ...)
{
	char descr[MAXCOMLEN + 1];
	va_list ap;

	if (dev->dev_parent == NULL)
		return (EINVAL);
	va_start(ap, fmt);
	vsnprintf(descr, sizeof(descr), fmt, ap);
	va_end(ap);
	return (BUS_DESCRIBE_INTR(dev->dev_parent, dev, irq, cookie, descr));
}

/* --- A bus that leaves the question to the one above --- */

struct resource *
bus_generic_alloc_resource(device_t bus, device_t child, int type, int *rid,
    rman_res_t start, rman_res_t end, rman_res_t count, u_int flags)
{

	if (bus->dev_parent == NULL)
		return (NULL);
	return (BUS_ALLOC_RESOURCE(bus->dev_parent, child, type, rid, start,
	    end, count, flags));
}

/* The rest is the same but for its arguments and what the root says. */
#define	BUS_UP(name, METHOD, decl, args)				\
int									\
bus_generic_##name decl							\
{									\
									\
	if (dev->dev_parent == NULL)					\
		return (EINVAL);					\
	return (METHOD args);						\
}

BUS_UP(translate_resource, BUS_TRANSLATE_RESOURCE, (device_t dev, int type,
    rman_res_t start, rman_res_t *newstart),
    (dev->dev_parent, type, start, newstart))
BUS_UP(release_resource, BUS_RELEASE_RESOURCE, (device_t dev, device_t child,
    struct resource *r), (dev->dev_parent, child, r))
BUS_UP(activate_resource, BUS_ACTIVATE_RESOURCE, (device_t dev,
    device_t child, struct resource *r), (dev->dev_parent, child, r))
BUS_UP(deactivate_resource, BUS_DEACTIVATE_RESOURCE, (device_t dev,
    device_t child, struct resource *r), (dev->dev_parent, child, r))
BUS_UP(adjust_resource, BUS_ADJUST_RESOURCE, (device_t dev, device_t child,
    struct resource *r, rman_res_t start, rman_res_t end),
    (dev->dev_parent, child, r, start, end))
BUS_UP(map_resource, BUS_MAP_RESOURCE, (device_t dev, device_t child,
    struct resource *r, struct resource_map_request *args,
    struct resource_map *map), (dev->dev_parent, child, r, args, map))
BUS_UP(unmap_resource, BUS_UNMAP_RESOURCE, (device_t dev, device_t child,
    struct resource *r, struct resource_map *map),
    (dev->dev_parent, child, r, map))
BUS_UP(setup_intr, BUS_SETUP_INTR, (device_t dev, device_t child,
    struct resource *irq, int flags, driver_filter_t *filter,
    driver_intr_t *intr, void *arg, void **cookiep),
    (dev->dev_parent, child, irq, flags, filter, intr, arg, cookiep))
BUS_UP(teardown_intr, BUS_TEARDOWN_INTR, (device_t dev, device_t child,
    struct resource *irq, void *cookie),
    (dev->dev_parent, child, irq, cookie))
BUS_UP(suspend_intr, BUS_SUSPEND_INTR, (device_t dev, device_t child,
    struct resource *irq), (dev->dev_parent, child, irq))
BUS_UP(resume_intr, BUS_RESUME_INTR, (device_t dev, device_t child,
    struct resource *irq), (dev->dev_parent, child, irq))
BUS_UP(bind_intr, BUS_BIND_INTR, (device_t dev, device_t child,
    struct resource *irq, int cpu), (dev->dev_parent, child, irq, cpu))
BUS_UP(config_intr, BUS_CONFIG_INTR, (device_t dev, int irq,
    enum intr_trigger trig, enum intr_polarity pol),
    (dev->dev_parent, irq, trig, pol))
BUS_UP(describe_intr, BUS_DESCRIBE_INTR, (device_t dev, device_t child,
    struct resource *irq, void *cookie, const char *descr),
    (dev->dev_parent, child, irq, cookie, descr))

/* --- A bus with managers of its own (BUS_GET_RMAN) --- */

struct resource *
bus_generic_rman_alloc_resource(device_t dev, device_t child, int type,
    int *rid, rman_res_t start, rman_res_t end, rman_res_t count, u_int flags)
{
	struct resource *r;
	struct rman *rm;

	rm = BUS_GET_RMAN(dev, type, flags);
	if (rm == NULL)
		return (NULL);
	r = rman_reserve_resource(rm, start, end, count, flags & ~RF_ACTIVE,
	    child);
	if (r == NULL)
		return (NULL);
	rman_set_rid(r, *rid);
	rman_set_type(r, type);
	if ((flags & RF_ACTIVE) != 0 && bus_activate_resource(child, r) != 0) {
		rman_release_resource(r);
		return (NULL);
	}
	return (r);
}

int
bus_generic_rman_adjust_resource(device_t dev, device_t child __unused,
    struct resource *r, rman_res_t start, rman_res_t end)
{
	struct rman *rm;

	rm = BUS_GET_RMAN(dev, rman_get_type(r), rman_get_flags(r));
	if (rm == NULL)
		return (ENXIO);
	if (!rman_is_region_manager(r, rm))
		return (EINVAL);
	return (rman_adjust_resource(r, start, end));
}

int
bus_generic_rman_release_resource(device_t dev __unused, device_t child,
    struct resource *r)
{
	int error;

	if ((rman_get_flags(r) & RF_ACTIVE) != 0) {
		error = bus_deactivate_resource(child, r);
		if (error != 0)
			return (error);
	}
	return (rman_release_resource(r));
}

/* Memory and ports are mapped as they become active. */
int
bus_generic_rman_activate_resource(device_t dev, device_t child,
    struct resource *r)
{
	struct resource_map map;
	int error;

	error = rman_activate_resource(r);
	if (error != 0)
		return (error);
	if ((rman_get_flags(r) & RF_UNMAPPED) != 0 ||
	    (rman_get_type(r) != SYS_RES_MEMORY &&
	    rman_get_type(r) != SYS_RES_IOPORT))
		return (0);
	error = BUS_MAP_RESOURCE(dev, child, r, NULL, &map);
	if (error != 0) {
		rman_deactivate_resource(r);
		return (error);
	}
	rman_set_mapping(r, &map);
	return (0);
}

int
bus_generic_rman_deactivate_resource(device_t dev, device_t child,
    struct resource *r)
{
	struct resource_map map;
	int error;

	error = rman_deactivate_resource(r);
	if (error != 0)
		return (error);
	if ((rman_get_flags(r) & RF_UNMAPPED) != 0 ||
	    (rman_get_type(r) != SYS_RES_MEMORY &&
	    rman_get_type(r) != SYS_RES_IOPORT))
		return (0);
	rman_get_mapping(r, &map);
	return (BUS_UNMAP_RESOURCE(dev, child, r, &map));
}

void
resource_init_map_request_impl(struct resource_map_request *args, size_t sz)
{

	memset(args, 0, sz);
	args->size = sz;
	args->memattr = VM_MEMATTR_DEVICE;
}

int
resource_validate_map_request(struct resource *r,
    struct resource_map_request *in, struct resource_map_request *out,
    rman_res_t *startp, rman_res_t *lengthp)
{

	/* A caller of another size knows less of the request than we. */
	if (in != NULL)
		memcpy(out, in, MIN(in->size, out->size));
	*startp = rman_get_start(r) + out->offset;
	*lengthp = out->length != 0 ? out->length :
	    rman_get_size(r) - out->offset;
	if (out->offset >= rman_get_size(r) ||
	    *lengthp > rman_get_size(r) - out->offset)
		return (EINVAL);
	return (0);
}
