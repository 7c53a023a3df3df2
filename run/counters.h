/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Counters of the hosted kernel, for what hostedvm says of its devices.
 */

#ifndef RUN_COUNTERS_H
#define	RUN_COUNTERS_H

#include "kpi.h"

struct counters_signals {
	kpi_u64		 sent, saved;
};

/* Numeric sysctl; 0 where there is none. */
kpi_u64	counters_sysctl(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
/* Signals to the host of all channels of a device: "dev.storvsc.0". */
struct counters_signals counters_signals(const char *device);

#endif	/* !RUN_COUNTERS_H */
