/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Resource managers, and resources of devices.
 */

#include <ktest.h>

#include <sys/bus.h>
#include <sys/rman.h>

#include <machine/resource.h>

static struct rman rm;

static void
space(rman_res_t end)
{
	rm.rm_type = RMAN_ARRAY;
	rm.rm_descr = "test space";
	rm.rm_start = 0;
	rm.rm_end = 0xffff;
	KT_EQ(rman_init(&rm), 0);
	KT_EQ(rman_manage_region(&rm, 0, end), 0);
}

static struct resource *
take(rman_res_t start, rman_res_t end, rman_res_t count, u_int flags)
{
	return (rman_reserve_resource(&rm, start, end, count, flags, NULL));
}

static void
free_is(rman_res_t start, rman_res_t end)
{
	rman_res_t s, e;

	KT_EQ(rman_first_free_region(&rm, &s, &e), 0);
	KT_EQ(s, start);
	KT_EQ(e, end);
}

KTEST(rman_reserve, "first fit, alignment, exact places, and giving back")
{
	struct resource *a, *b, *c;

	space(0xfff);
	a = take(0, ~0UL, 10, 0);
	KT_CHECK(rman_get_start(a) == 0 && rman_get_end(a) == 9);
	b = take(0, ~0UL, 16, RF_ALIGNMENT_LOG2(8));
	KT_EQ(rman_get_start(b), 0x100);
	c = take(0x800, 0x80f, 16, 0);
	KT_EQ(rman_get_start(c), 0x800);
	KT_EQ(rman_get_size(c), 16);
	KT_CHECK(take(0x800, 0x80f, 1, 0) == NULL);
	KT_CHECK(take(0x7ff, 0x80f, 17, 0) == NULL);
	KT_CHECK(take(0, ~0UL, 0x1000, 0) == NULL);
	KT_CHECK(take(0x1000, ~0UL, 1, 0) == NULL);
	KT_EQ(rman_fini(&rm), EBUSY);
	KT_EQ(rman_release_resource(a), 0);
	KT_EQ(rman_release_resource(c), 0);
	free_is(0, 0xff);
	KT_EQ(rman_release_resource(b), 0);
	free_is(0, 0xfff);
	KT_EQ(rman_fini(&rm), 0);
}

KTEST(rman_regions, "regions join where they touch and may not overlap")
{
	space(0xff);
	KT_EQ(rman_manage_region(&rm, 0x80, 0x180), EBUSY);
	KT_EQ(rman_manage_region(&rm, 0x200, 0x2ff), 0);
	free_is(0, 0xff);
	KT_EQ(rman_manage_region(&rm, 0x100, 0x1ff), 0);
	free_is(0, 0x2ff);
	KT_EQ(rman_manage_region(&rm, 0xff00, 0x10000), EINVAL);
	KT_EQ(rman_fini(&rm), 0);
}

KTEST(rman_shared, "sharers hold one region until the last lets go")
{
	struct resource *a, *b;

	space(0xff);
	a = take(5, 5, 1, RF_SHAREABLE);
	b = take(5, 5, 1, RF_SHAREABLE);
	KT_CHECK(a != NULL && b != NULL && a != b);
	KT_CHECK(take(5, 5, 1, 0) == NULL);
	KT_EQ(rman_release_resource(a), 0);
	KT_CHECK(take(5, 5, 1, 0) == NULL);
	KT_EQ(rman_release_resource(b), 0);
	free_is(0, 0xff);
	KT_EQ(rman_fini(&rm), 0);
}

KTEST(rman_adjust, "a resource grows into free space and shrinks")
{
	struct resource *a, *b;

	space(0xff);
	a = take(0x20, 0x2f, 16, 0);
	b = take(0x40, 0x4f, 16, 0);
	KT_EQ(rman_adjust_resource(a, 0x10, 0x3f), 0);
	free_is(0, 0xf);
	KT_EQ(rman_adjust_resource(a, 0x10, 0x40), EBUSY);
	KT_EQ(rman_adjust_resource(a, 0x60, 0x70), EINVAL);
	KT_EQ(rman_adjust_resource(a, 0x18, 0x1f), 0);
	KT_EQ(rman_get_size(a), 8);
	free_is(0, 0x17);
	KT_EQ(rman_release_resource(b), 0);
	KT_EQ(rman_release_resource(a), 0);
	free_is(0, 0xff);
	KT_EQ(rman_fini(&rm), 0);
}

KTEST(rman_bus, "a device's request is answered by the nexus")
{
	struct resource *irq, *mem;
	struct resource_map map;
	device_t dev;
	int rid = 3;

	bus_topo_lock();
	dev = devclass_get_device(devclass_find("acpi"), 0);
	irq = bus_alloc_resource(dev, SYS_RES_IRQ, &rid, 5, 5, 1, RF_ACTIVE);
	KT_CHECK(irq != NULL);
	KT_EQ(rman_get_start(irq), 5);
	KT_EQ(rman_get_rid(irq), 3);
	KT_EQ(rman_get_type(irq), SYS_RES_IRQ);
	KT_CHECK(rman_get_device(irq) == dev);
	KT_CHECK((rman_get_flags(irq) & RF_ACTIVE) != 0);
	KT_CHECK(bus_alloc_resource(dev, SYS_RES_IRQ, &rid, 5, 5, 1, 0) ==
	    NULL);
	mem = bus_alloc_resource_anywhere(dev, SYS_RES_MEMORY, &rid, 1 << 20,
	    0);
	KT_CHECK(mem != NULL);
	/* There are no registers behind it. */
	KT_EQ(bus_map_resource(dev, mem, NULL, &map), EOPNOTSUPP);
	KT_EQ(bus_adjust_resource(dev, mem, rman_get_start(mem),
	    rman_get_end(mem) - 10), 0);
	KT_EQ(bus_release_resource(dev, mem), 0);
	KT_EQ(bus_release_resource(dev, irq), 0);
	bus_topo_unlock();
}
