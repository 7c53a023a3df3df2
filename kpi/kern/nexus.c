/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The top of the device tree: root0, nexus0 (the machine: its address spaces
 * and interrupt lines) and acpi0, whose drivers attach what firmware lists.
 * The hosted machine has no device registers and no interrupt lines of its
 * own: windows can be reserved, but memory is not mapped on activation.
 */

#include "subr_bus_var.h"

#include <sys/cpuset.h>
#include <sys/kernel.h>
#include <sys/rman.h>
#include <sys/smp.h>

#include <machine/resource.h>

#define	NEXUS_IRQS	256
#define	NEXUS_PORTS	0x10000
#define	NEXUS_PHYSBITS	46

device_t root_bus;
devclass_t root_devclass;

static struct rman nexus_irq, nexus_port, nexus_mem;

/* --- root0 --- */

static int
root_print_child(device_t dev __unused, device_t child __unused)
{

	return (0);
}

static int
root_setup_intr(device_t dev __unused, device_t child __unused,
    struct resource *irq __unused, int flags __unused,
    driver_filter_t *filter __unused, driver_intr_t *intr __unused,
    void *arg __unused, void **cookiep __unused)
{

	/* Nothing above takes interrupts: no line, no handler. */
	return (ENXIO);
}

static int
root_child_present(device_t dev __unused, device_t child __unused)
{

	return (-1);
}

static int
root_get_cpus(device_t dev __unused, device_t child __unused,
    enum cpu_sets op, size_t setsize, cpuset_t *cpuset)
{

	if (setsize != sizeof(cpuset_t))
		return (EINVAL);
	switch (op) {
	case INTR_CPUS:
	case LOCAL_CPUS:
		*cpuset = all_cpus;
		return (0);
	default:
		return (EINVAL);
	}
}

static device_method_t root_methods[] = {
	DEVMETHOD(device_shutdown,	bus_generic_shutdown),
	DEVMETHOD(device_suspend,	bus_generic_suspend),
	DEVMETHOD(device_resume,	bus_generic_resume),
	DEVMETHOD(bus_print_child,	root_print_child),
	DEVMETHOD(bus_setup_intr,	root_setup_intr),
	DEVMETHOD(bus_child_present,	root_child_present),
	DEVMETHOD(bus_get_cpus,		root_get_cpus),
	DEVMETHOD_END
};
static driver_t root_driver = { "root", root_methods, 0 };

/* --- nexus0 --- */

static void
nexus_space(struct rman *rm, const char *descr, rman_res_t end)
{

	rm->rm_type = RMAN_ARRAY;
	rm->rm_descr = descr;
	rm->rm_start = 0;
	rm->rm_end = end;
	if (rman_init(rm) != 0 || rman_manage_region(rm, 0, end) != 0)
		panic("nexus: %s", descr);
}

static int
nexus_probe(device_t dev)
{

	device_quiet(dev);
	return (BUS_PROBE_GENERIC);
}

static int
nexus_attach(device_t dev)
{

	nexus_space(&nexus_irq, "Interrupt request lines", NEXUS_IRQS - 1);
	nexus_space(&nexus_port, "I/O ports", NEXUS_PORTS - 1);
	nexus_space(&nexus_mem, "I/O memory addresses",
	    (1ULL << NEXUS_PHYSBITS) - 1);
	bus_identify_children(dev);
	bus_attach_children(dev);
	return (0);
}

static int
nexus_detach(device_t dev)
{
	int error;

	error = bus_generic_detach(dev);
	if (error != 0)
		return (error);
	if ((error = rman_fini(&nexus_irq)) != 0 ||
	    (error = rman_fini(&nexus_port)) != 0 ||
	    (error = rman_fini(&nexus_mem)) != 0)
		device_printf(dev, "resources are still reserved\n");
	return (error);
}

static struct rman *
nexus_get_rman(device_t dev __unused, int type, u_int flags __unused)
{

	switch (type) {
	case SYS_RES_IRQ:
		return (&nexus_irq);
	case SYS_RES_IOPORT:
		return (&nexus_port);
	case SYS_RES_MEMORY:
		return (&nexus_mem);
	default:
		return (NULL);
	}
}

static int
nexus_map_resource(device_t dev __unused, device_t child __unused,
    struct resource *r __unused, struct resource_map_request *argsp __unused,
    struct resource_map *map __unused)
{

	return (EOPNOTSUPP);
}

static int
nexus_activate_resource(device_t dev __unused, device_t child __unused,
    struct resource *r)
{

	return (rman_activate_resource(r));
}

static int
nexus_deactivate_resource(device_t dev __unused, device_t child __unused,
    struct resource *r)
{

	return (rman_deactivate_resource(r));
}

/* One line without a bus, as the kernel prints its firmware devices. */
static int
nexus_print_child(device_t bus, device_t child)
{

	return (bus_print_child_header(bus, child) + printf("\n"));
}

static device_method_t nexus_methods[] = {
	DEVMETHOD(device_probe,		nexus_probe),
	DEVMETHOD(device_attach,	nexus_attach),
	DEVMETHOD(device_detach,	nexus_detach),
	DEVMETHOD(device_shutdown,	bus_generic_shutdown),
	DEVMETHOD(device_suspend,	bus_generic_suspend),
	DEVMETHOD(device_resume,	bus_generic_resume),
	DEVMETHOD(bus_print_child,	nexus_print_child),
	DEVMETHOD(bus_add_child,	bus_generic_add_child),
	DEVMETHOD(bus_get_rman,		nexus_get_rman),
	DEVMETHOD(bus_alloc_resource,	bus_generic_rman_alloc_resource),
	DEVMETHOD(bus_adjust_resource,	bus_generic_rman_adjust_resource),
	DEVMETHOD(bus_release_resource,	bus_generic_rman_release_resource),
	DEVMETHOD(bus_activate_resource, nexus_activate_resource),
	DEVMETHOD(bus_deactivate_resource, nexus_deactivate_resource),
	DEVMETHOD(bus_map_resource,	nexus_map_resource),
	DEVMETHOD_END
};
static driver_t nexus_driver = { "nexus", nexus_methods, 0 };

/* --- acpi0 --- */

static void
acpi_identify(driver_t *driver __unused, device_t parent)
{

	if (device_find_child(parent, "acpi", DEVICE_UNIT_ANY) == NULL)
		BUS_ADD_CHILD(parent, 10, "acpi", 0);
}

static int
acpi_probe(device_t dev)
{

	device_set_desc(dev, "HOSTED KPI");
	return (BUS_PROBE_DEFAULT);
}

static int
acpi_attach(device_t dev)
{

	bus_identify_children(dev);
	bus_attach_children(dev);
	return (0);
}

static device_method_t acpi_methods[] = {
	DEVMETHOD(device_identify,	acpi_identify),
	DEVMETHOD(device_probe,		acpi_probe),
	DEVMETHOD(device_attach,	acpi_attach),
	DEVMETHOD(device_detach,	bus_generic_detach),
	DEVMETHOD(device_shutdown,	bus_generic_shutdown),
	DEVMETHOD(device_suspend,	bus_generic_suspend),
	DEVMETHOD(device_resume,	bus_generic_resume),
	DEVMETHOD(bus_add_child,	bus_generic_add_child),
	DEVMETHOD_END
};
static driver_t acpi_driver = { "acpi", acpi_methods, 0 };

/* --- Boot and end --- */

static void
nexus_root(void *arg __unused)
{
	devclass_t nexus;

	bus_topo_lock();
	root_bus = device_add_child(NULL, "root", 0);
	root_devclass = devclass_find("root");
	device_quiet(root_bus);
	if (device_set_driver(root_bus, &root_driver) != 0)
		panic("root0 has no driver");
	root_bus->dev_state = DS_ATTACHED;
	nexus = bus_devclass_get("nexus");
	if (device_add_child(root_bus, "nexus", 0) == NULL ||
	    devclass_add_driver(root_devclass, &nexus_driver, BUS_PASS_BUS,
	    NULL) != 0 ||
	    devclass_add_driver(nexus, &acpi_driver, BUS_PASS_BUS, NULL) != 0)
		panic("the top of the device tree");
	bus_topo_unlock();
}
SYSINIT(nexus_root, SI_SUB_DRIVERS, SI_ORDER_FIRST, nexus_root, NULL);

static void
nexus_configure(void *arg __unused)
{

	root_bus_configure();
}
SYSINIT(nexus_configure, SI_SUB_CONFIGURE, SI_ORDER_THIRD, nexus_configure,
    NULL);

/* Children that drivers have left to be found when they come again. */
static void
acpi_prune(void)
{
	device_t acpi, *children;
	int i, n;

	acpi = devclass_get_device(devclass_find("acpi"), 0);
	if (acpi == NULL || device_get_children(acpi, &children, &n) != 0)
		return;
	for (i = 0; i < n; i++) {
		if (!device_is_attached(children[i]))
			device_delete_child(acpi, children[i]);
	}
	free(children, M_TEMP);
}

/*
 * After the last module has gone: what newbus keeps for the next one, as a
 * running kernel does, would look like a leak.
 */
static void
nexus_prune(void *arg __unused)
{

	bus_topo_lock();
	acpi_prune();
	bus_devclass_prune();
	bus_topo_unlock();
	bus_devctl_flush();
	kpi_eventhandler_prune();
}
SYSUNINIT(nexus_prune, SI_SUB_DRIVERS, SI_ORDER_ANY, nexus_prune, NULL);
