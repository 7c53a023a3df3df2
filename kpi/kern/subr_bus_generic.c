/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * newbus: what the driver of a bus has without writing it (bus_generic_*),
 * resources excepted: those are in subr_bus_resource.c.
 */

#include "subr_bus_var.h"

#include <sys/cpuset.h>
#include <sys/kernel.h>
#include <sys/smp.h>

int
bus_generic_attach(device_t dev)
{

	bus_attach_children(dev);
	return (0);
}

int
bus_generic_probe(device_t dev)
{

	bus_identify_children(dev);
	return (0);
}

int
bus_generic_detach(device_t dev)
{
	int error;

	error = bus_detach_children(dev);
	if (error == 0)
		error = device_delete_children(dev);
	return (error);
}

int
bus_generic_shutdown(device_t dev)
{
	device_t child;

	TAILQ_FOREACH_REVERSE(child, &dev->dev_children, bus_device_list,
	    dev_link)
		(void)device_shutdown(child);
	return (0);
}

int
bus_generic_suspend_child(device_t dev __unused, device_t child)
{
	int error;

	error = DEVICE_SUSPEND(child);
	if (error != 0) {
		printf("DEVICE_SUSPEND(%s) failed: %d\n",
		    device_get_nameunit(child), error);
		return (error);
	}
	child->dev_flags |= DF_SUSPENDED;
	return (0);
}

int
bus_generic_resume_child(device_t dev __unused, device_t child)
{

	(void)DEVICE_RESUME(child);
	child->dev_flags &= ~DF_SUSPENDED;
	return (0);
}

/* The last child first; all are awake again if one refuses. */
int
bus_generic_suspend(device_t dev)
{
	device_t child;
	int error;

	TAILQ_FOREACH_REVERSE(child, &dev->dev_children, bus_device_list,
	    dev_link) {
		error = BUS_SUSPEND_CHILD(dev, child);
		if (error == 0)
			continue;
		while ((child = TAILQ_NEXT(child, dev_link)) != NULL)
			BUS_RESUME_CHILD(dev, child);
		return (error);
	}
	return (0);
}

int
bus_generic_resume(device_t dev)
{
	device_t child;

	TAILQ_FOREACH(child, &dev->dev_children, dev_link)
		BUS_RESUME_CHILD(dev, child);
	return (0);
}

void
bus_generic_driver_added(device_t dev, driver_t *driver)
{
	device_t child;

	DEVICE_IDENTIFY(driver, dev);
	TAILQ_FOREACH(child, &dev->dev_children, dev_link)
		if (child->dev_state == DS_NOTPRESENT)
			(void)device_probe_and_attach(child);
}

/* A pass of the boot: drivers of this pass join, then it goes on downwards. */
void
bus_generic_new_pass(device_t dev)
{
	struct bus_driverlink *dl;
	devclass_t dc;
	device_t child;

	for (dc = dev->dev_class; dc != NULL; dc = dc->dc_parent)
		TAILQ_FOREACH(dl, &dc->dc_drivers, dl_link)
			if (dl->dl_pass == bus_current_pass)
				DEVICE_IDENTIFY(dl->dl_driver, dev);
	TAILQ_FOREACH(child, &dev->dev_children, dev_link) {
		if (child->dev_state >= DS_ATTACHED)
			BUS_NEW_PASS(child);
		else if (child->dev_state == DS_NOTPRESENT)
			(void)device_probe_and_attach(child);
	}
}

device_t
bus_generic_add_child(device_t dev, u_int order, const char *name, int unit)
{

	return (device_add_child_ordered(dev, order, name, unit));
}

int
bus_null_rescan(device_t dev __unused)
{

	return (ENODEV);
}

/* --- What is printed when a child attaches: "foo0: <Foo> ... on bar0" --- */

int
bus_print_child_header(device_t dev __unused, device_t child)
{
	int n;

	if (device_get_desc(child) == NULL)
		return (printf("%s", device_get_nameunit(child)));
	n = device_print_prettyname(child);
	return (n + printf("<%s>", device_get_desc(child)));
}

int
bus_print_child_domain(device_t dev, device_t child)
{
	int domain;

	if (BUS_GET_DOMAIN(dev, child, &domain) != 0)
		return (0);
	return (printf(" numa-domain %d", domain));
}

int
bus_print_child_footer(device_t dev, device_t child __unused)
{

	return (printf(" on %s\n", device_get_nameunit(dev)));
}

int
bus_generic_print_child(device_t dev, device_t child)
{
	int n;

	n = bus_print_child_header(dev, child);
	n += bus_print_child_domain(dev, child);
	return (n + bus_print_child_footer(dev, child));
}

/* --- Questions about a child --- */

int
bus_generic_read_ivar(device_t dev __unused, device_t child __unused,
    int which __unused, uintptr_t *result __unused)
{

	return (ENOENT);
}

int
bus_generic_write_ivar(device_t dev __unused, device_t child __unused,
    int which __unused, uintptr_t value __unused)
{

	return (ENOENT);
}

int
bus_generic_child_present(device_t dev, device_t child __unused)
{

	if (dev->dev_parent == NULL)
		return (1);
	return (BUS_CHILD_PRESENT(dev->dev_parent, dev));
}

int
bus_generic_child_location(device_t dev __unused, device_t child __unused,
    struct sbuf *sb __unused)
{

	return (0);
}

int
bus_generic_child_pnpinfo(device_t dev __unused, device_t child __unused,
    struct sbuf *sb __unused)
{

	return (0);
}

int
bus_generic_get_domain(device_t dev, device_t child __unused, int *domain)
{

	if (dev->dev_parent == NULL)
		return (ENOENT);
	return (BUS_GET_DOMAIN(dev->dev_parent, dev, domain));
}

int
bus_generic_get_cpus(device_t dev, device_t child __unused, enum cpu_sets op,
    size_t setsize, cpuset_t *cpuset)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_GET_CPUS(dev->dev_parent, dev, op, setsize, cpuset));
}

bus_dma_tag_t
bus_generic_get_dma_tag(device_t dev, device_t child __unused)
{

	if (dev->dev_parent == NULL)
		return (NULL);
	return (BUS_GET_DMA_TAG(dev->dev_parent, dev));
}

bus_space_tag_t
bus_generic_get_bus_tag(device_t dev, device_t child __unused)
{

	if (dev->dev_parent == NULL)
		return ((bus_space_tag_t)0);
	return (BUS_GET_BUS_TAG(dev->dev_parent, dev));
}

ssize_t
bus_generic_get_property(device_t dev, device_t child, const char *propname,
    void *propvalue, size_t size, device_property_type_t type)
{

	if (dev->dev_parent == NULL)
		return (-1);
	return (BUS_GET_PROPERTY(dev->dev_parent, child, propname, propvalue,
	    size, type));
}

/* "acpi0/vmbus0", by the names of FreeBSD; other locators are not known. */
int
bus_generic_get_device_path(device_t bus, device_t child, const char *locator,
    struct sbuf *sb)
{
	int error;

	if (strcmp(locator, BUS_LOCATOR_FREEBSD) != 0)
		return (EOPNOTSUPP);
	if (device_get_parent(bus) != NULL) {
		error = BUS_GET_DEVICE_PATH(device_get_parent(bus), bus,
		    locator, sb);
		if (error != 0)
			return (error);
	}
	return (sbuf_printf(sb, "/%s", device_get_nameunit(child)) != 0 ?
	    ENOMEM : 0);
}

/* Detaches, or suspends, all children before a bus is reset. */
int
bus_helper_reset_prepare(device_t dev, int flags)
{
	device_t child;
	int error;

	if (dev->dev_state != DS_ATTACHED)
		return (EBUSY);
	error = 0;
	TAILQ_FOREACH_REVERSE(child, &dev->dev_children, bus_device_list,
	    dev_link) {
		error = (flags & DEVF_RESET_DETACH) != 0 ?
		    device_detach(child) : BUS_SUSPEND_CHILD(dev, child);
		if (error == 0)
			error = BUS_RESET_PREPARE(dev, child);
		if (error != 0) {
			(void)bus_helper_reset_post(dev, flags);
			break;
		}
	}
	return (error);
}

int
bus_helper_reset_post(device_t dev, int flags)
{
	device_t child;
	int error, error1;

	error = 0;
	TAILQ_FOREACH(child, &dev->dev_children, dev_link) {
		BUS_RESET_POST(dev, child);
		error1 = (flags & DEVF_RESET_DETACH) != 0 ?
		    device_probe_and_attach(child) :
		    BUS_RESUME_CHILD(dev, child);
		if (error == 0)
			error = error1;
	}
	return (error);
}

/* --- The same questions, asked by the child --- */

int
bus_child_present(device_t child)
{

	if (child->dev_parent == NULL)
		return (0);
	return (BUS_CHILD_PRESENT(child->dev_parent, child));
}

int
bus_child_pnpinfo(device_t child, struct sbuf *sb)
{

	if (child->dev_parent == NULL)
		return (0);
	return (BUS_CHILD_PNPINFO(child->dev_parent, child, sb));
}

int
bus_child_location(device_t child, struct sbuf *sb)
{

	if (child->dev_parent == NULL)
		return (0);
	return (BUS_CHILD_LOCATION(child->dev_parent, child, sb));
}

int
bus_get_cpus(device_t dev, enum cpu_sets op, size_t setsize, cpuset_t *cpuset)
{

	if (dev->dev_parent == NULL)
		return (EINVAL);
	return (BUS_GET_CPUS(dev->dev_parent, dev, op, setsize, cpuset));
}

bus_dma_tag_t
bus_get_dma_tag(device_t dev)
{

	if (dev->dev_parent == NULL)
		return (NULL);
	return (BUS_GET_DMA_TAG(dev->dev_parent, dev));
}

bus_space_tag_t
bus_get_bus_tag(device_t dev)
{

	if (dev->dev_parent == NULL)
		return ((bus_space_tag_t)0);
	return (BUS_GET_BUS_TAG(dev->dev_parent, dev));
}

int
bus_get_domain(device_t dev, int *domain)
{

	return (BUS_GET_DOMAIN(device_get_parent(dev), dev, domain));
}

/* --- Hints: devices that the kernel environment places on a bus --- */

void
bus_enumerate_hinted_children(device_t bus)
{
	const char *dname, *busname;
	int i, dunit;

	busname = device_get_nameunit(bus);
	i = 0;
	while (resource_find_match(&i, &dname, &dunit, "at", busname) == 0)
		BUS_HINTED_CHILD(bus, dname, dunit);
}
