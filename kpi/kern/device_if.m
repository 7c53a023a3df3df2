#-
# SPDX-License-Identifier: BSD-2-Clause
#
# Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
#
# What newbus asks of a driver (device(9), DEVICE_PROBE(9) and so on).

#include <sys/bus.h>

INTERFACE device;

CODE {
	static void
	device_if_identify(driver_t *driver __unused, device_t parent __unused)
	{
	}

	static int
	device_if_ok(device_t dev __unused)
	{

		return (0);
	}

	static void *
	device_if_register(device_t dev __unused)
	{

		return (NULL);
	}
};

METHOD int probe {
	device_t dev;
};

/* A driver adds devices that its bus cannot find by itself. */
STATICMETHOD void identify {
	driver_t *driver;
	device_t parent;
} DEFAULT device_if_identify;

METHOD int attach {
	device_t dev;
};

METHOD int detach {
	device_t dev;
};

METHOD int shutdown {
	device_t dev;
} DEFAULT device_if_ok;

METHOD int suspend {
	device_t dev;
} DEFAULT device_if_ok;

METHOD int resume {
	device_t dev;
} DEFAULT device_if_ok;

METHOD int quiesce {
	device_t dev;
} DEFAULT device_if_ok;

METHOD void *register {
	device_t dev;
} DEFAULT device_if_register;
