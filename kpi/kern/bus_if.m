#-
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
#
# What a child device, through newbus, asks of the driver of its bus.  The
# defaults named bus_generic_* pass the question on to the bus above.

#include <sys/types.h>
#include <sys/systm.h>
#include <sys/bus.h>

INTERFACE bus;

HEADER {
	struct rman;
	struct resource_list;
	struct sbuf;
};

CODE {
	static void
	bus_if_child_note(device_t dev __unused, device_t child __unused)
	{
	}

	static struct resource_list *
	bus_if_get_resource_list(device_t dev __unused, device_t child __unused)
	{

		return (NULL);
	}

	static struct rman *
	bus_if_get_rman(device_t dev __unused, int type __unused,
	    u_int flags __unused)
	{

		return (NULL);
	}

	static int
	bus_if_remap_intr(device_t dev, device_t child __unused, u_int irq)
	{

		if (device_get_parent(dev) == NULL)
			return (ENXIO);
		return (BUS_REMAP_INTR(device_get_parent(dev), dev, irq));
	}

	static device_t
	bus_if_add_child(device_t dev, u_int order __unused,
	    const char *name __unused, int unit __unused)
	{

		panic("%s: the bus cannot add children", device_get_name(dev));
	}

	static int
	bus_if_reset_note(device_t dev __unused, device_t child __unused)
	{

		return (0);
	}

	static int
	bus_if_reset_child(device_t dev __unused, device_t child __unused,
	    int flags __unused)
	{

		return (EOPNOTSUPP);
	}

	static void
	bus_if_hint_device_unit(device_t dev __unused, device_t child __unused,
	    const char *name __unused, int *unitp __unused)
	{
	}
};

METHOD int print_child {
	device_t dev;
	device_t child;
} DEFAULT bus_generic_print_child;

METHOD void probe_nomatch {
	device_t dev;
	device_t child;
} DEFAULT bus_if_child_note;

METHOD int read_ivar {
	device_t dev;
	device_t child;
	int index;
	uintptr_t *result;
} DEFAULT bus_generic_read_ivar;

METHOD int write_ivar {
	device_t dev;
	device_t child;
	int index;
	uintptr_t value;
} DEFAULT bus_generic_write_ivar;

METHOD void child_deleted {
	device_t dev;
	device_t child;
} DEFAULT bus_if_child_note;

METHOD void child_detached {
	device_t dev;
	device_t child;
} DEFAULT bus_if_child_note;

METHOD void driver_added {
	device_t dev;
	driver_t *driver;
} DEFAULT bus_generic_driver_added;

METHOD device_t add_child {
	device_t dev;
	u_int order;
	const char *name;
	int unit;
} DEFAULT bus_if_add_child;

METHOD int rescan {
	device_t dev;
} DEFAULT bus_null_rescan;

METHOD struct resource *alloc_resource {
	device_t dev;
	device_t child;
	int type;
	int *rid;
	rman_res_t start;
	rman_res_t end;
	rman_res_t count;
	u_int flags;
} DEFAULT bus_generic_alloc_resource;

METHOD int activate_resource {
	device_t dev;
	device_t child;
	struct resource *r;
} DEFAULT bus_generic_activate_resource;

METHOD int deactivate_resource {
	device_t dev;
	device_t child;
	struct resource *r;
} DEFAULT bus_generic_deactivate_resource;

METHOD int map_resource {
	device_t dev;
	device_t child;
	struct resource *r;
	struct resource_map_request *args;
	struct resource_map *map;
} DEFAULT bus_generic_map_resource;

METHOD int unmap_resource {
	device_t dev;
	device_t child;
	struct resource *r;
	struct resource_map *map;
} DEFAULT bus_generic_unmap_resource;

METHOD int adjust_resource {
	device_t dev;
	device_t child;
	struct resource *r;
	rman_res_t start;
	rman_res_t end;
} DEFAULT bus_generic_adjust_resource;

METHOD int translate_resource {
	device_t dev;
	int type;
	rman_res_t start;
	rman_res_t *newstart;
} DEFAULT bus_generic_translate_resource;

METHOD int release_resource {
	device_t dev;
	device_t child;
	struct resource *r;
} DEFAULT bus_generic_release_resource;

METHOD int setup_intr {
	device_t dev;
	device_t child;
	struct resource *irq;
	int flags;
	driver_filter_t *filter;
	driver_intr_t *intr;
	void *arg;
	void **cookiep;
} DEFAULT bus_generic_setup_intr;

METHOD int teardown_intr {
	device_t dev;
	device_t child;
	struct resource *irq;
	void *cookie;
} DEFAULT bus_generic_teardown_intr;

METHOD int suspend_intr {
	device_t dev;
	device_t child;
	struct resource *irq;
} DEFAULT bus_generic_suspend_intr;

METHOD int resume_intr {
	device_t dev;
	device_t child;
	struct resource *irq;
} DEFAULT bus_generic_resume_intr;

METHOD int bind_intr {
	device_t dev;
	device_t child;
	struct resource *irq;
	int cpu;
} DEFAULT bus_generic_bind_intr;

METHOD int config_intr {
	device_t dev;
	int irq;
	enum intr_trigger trig;
	enum intr_polarity pol;
} DEFAULT bus_generic_config_intr;

METHOD int describe_intr {
	device_t dev;
	device_t child;
	struct resource *irq;
	void *cookie;
	const char *descr;
} DEFAULT bus_generic_describe_intr;

METHOD int remap_intr {
	device_t dev;
	device_t child;
	u_int irq;
} DEFAULT bus_if_remap_intr;

METHOD int set_resource {
	device_t dev;
	device_t child;
	int type;
	int rid;
	rman_res_t start;
	rman_res_t count;
};

METHOD int get_resource {
	device_t dev;
	device_t child;
	int type;
	int rid;
	rman_res_t *startp;
	rman_res_t *countp;
};

METHOD void delete_resource {
	device_t dev;
	device_t child;
	int type;
	int rid;
};

METHOD struct resource_list *get_resource_list {
	device_t dev;
	device_t child;
} DEFAULT bus_if_get_resource_list;

METHOD struct rman *get_rman {
	device_t dev;
	int type;
	u_int flags;
} DEFAULT bus_if_get_rman;

METHOD int child_present {
	device_t dev;
	device_t child;
} DEFAULT bus_generic_child_present;

METHOD int child_pnpinfo {
	device_t dev;
	device_t child;
	struct sbuf *sb;
} DEFAULT bus_generic_child_pnpinfo;

METHOD int child_location {
	device_t dev;
	device_t child;
	struct sbuf *sb;
} DEFAULT bus_generic_child_location;

METHOD int get_device_path {
	device_t bus;
	device_t child;
	const char *locator;
	struct sbuf *sb;
} DEFAULT bus_generic_get_device_path;

METHOD void hinted_child {
	device_t dev;
	const char *name;
	int unit;
};

METHOD void hint_device_unit {
	device_t dev;
	device_t child;
	const char *name;
	int *unitp;
} DEFAULT bus_if_hint_device_unit;

METHOD bus_dma_tag_t get_dma_tag {
	device_t dev;
	device_t child;
} DEFAULT bus_generic_get_dma_tag;

METHOD bus_space_tag_t get_bus_tag {
	device_t dev;
	device_t child;
} DEFAULT bus_generic_get_bus_tag;

METHOD void new_pass {
	device_t dev;
} DEFAULT bus_generic_new_pass;

METHOD int suspend_child {
	device_t dev;
	device_t child;
} DEFAULT bus_generic_suspend_child;

METHOD int resume_child {
	device_t dev;
	device_t child;
} DEFAULT bus_generic_resume_child;

METHOD int get_domain {
	device_t dev;
	device_t child;
	int *domain;
} DEFAULT bus_generic_get_domain;

METHOD int get_cpus {
	device_t dev;
	device_t child;
	enum cpu_sets op;
	size_t setsize;
	struct _cpuset *cpuset;
} DEFAULT bus_generic_get_cpus;

METHOD int reset_prepare {
	device_t dev;
	device_t child;
} DEFAULT bus_if_reset_note;

METHOD int reset_post {
	device_t dev;
	device_t child;
} DEFAULT bus_if_reset_note;

METHOD int reset_child {
	device_t dev;
	device_t child;
	int flags;
} DEFAULT bus_if_reset_child;

METHOD ssize_t get_property {
	device_t dev;
	device_t child;
	const char *propname;
	void *propvalue;
	size_t size;
	device_property_type_t type;
} DEFAULT bus_generic_get_property;
