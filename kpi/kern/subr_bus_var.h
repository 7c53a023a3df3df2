/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * newbus from inside: devices, device classes and drivers, for subr_bus*.c and
 * subr_devclass.c.  All of it is under the topology lock, Giant, but for what
 * says otherwise.
 */

#ifndef _SUBR_BUS_VAR_H_
#define	_SUBR_BUS_VAR_H_

#include "kpi_bus.h"

#include <sys/bus.h>
#include <sys/kobj.h>
#include <sys/malloc.h>
#include <sys/queue.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>

MALLOC_DECLARE(M_BUS);

TAILQ_HEAD(bus_device_list, _device);
TAILQ_HEAD(bus_driver_list, bus_driverlink);
TAILQ_HEAD(bus_devclass_list, devclass);

/* A driver that may attach to devices on buses of a class. */
struct bus_driverlink {
	kobj_class_t	dl_driver;
	int		dl_pass;
	TAILQ_ENTRY(bus_driverlink) dl_link;
};

struct devclass {
	TAILQ_ENTRY(devclass) dc_link;
	devclass_t	 dc_parent;	/* whose drivers serve here too */
	struct bus_driver_list dc_drivers;
	char		*dc_name;
	device_t	*dc_devices;	/* by unit; holes are NULL */
	int		 dc_maxunit;
	struct sysctl_ctx_list dc_sysctl_ctx;
	struct sysctl_oid *dc_sysctl_tree;
};

struct bus_prop {
	LIST_ENTRY(bus_prop) bp_link;
	char		*bp_name;
	void		*bp_val;
	void		*bp_ctx;
	device_prop_dtr_t bp_dtr;
};

struct _device {
	KOBJ_FIELDS;			/* first: a device is a kobj */
	TAILQ_ENTRY(_device) dev_link;	/* siblings */
	TAILQ_ENTRY(_device) dev_all;	/* all devices */
	device_t	 dev_parent;
	struct bus_device_list dev_children;
	driver_t	*dev_driver;
	devclass_t	 dev_class;
	int		 dev_unit;
	char		*dev_nameunit;
	const char	*dev_desc;
	u_int		 dev_busy;	/* (atomic) */
	device_state_t	 dev_state;
	uint32_t	 dev_devflags;	/* device_set_flags() */
	u_int		 dev_flags;	/* DF_* */
	u_int		 dev_order;
	void		*dev_ivars;
	void		*dev_softc;
	struct sysctl_ctx_list dev_sysctl_ctx;
	struct sysctl_oid *dev_sysctl_tree;
	LIST_HEAD(, bus_prop) dev_props;
};

extern int bus_current_pass;
extern struct bus_devclass_list bus_devclasses;

/* subr_devclass.c */
void	bus_devclass_prune(void);
devclass_t bus_devclass_get(const char *name);
int	bus_devclass_add_device(devclass_t dc, device_t dev);
void	bus_devclass_delete_device(devclass_t dc, device_t dev);

/* subr_bus_sysctl.c */
void	bus_sysctl_init(device_t dev);
void	bus_sysctl_fini(device_t dev);

/* kern_devctl.c: what devd(8) would read. */
void	bus_devctl_added(device_t dev);
void	bus_devctl_removed(device_t dev);
void	bus_devctl_nomatch(device_t dev);
void	bus_devctl_flush(void);

#endif	/* !_SUBR_BUS_VAR_H_ */
