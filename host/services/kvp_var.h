/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the files of data exchange share: kvp.c has the pools, kvp_ip.c the
 * adapters' addresses.
 */

#ifndef HVH_SERVICES_KVP_VAR_H
#define	HVH_SERVICES_KVP_VAR_H

#include "services/ic_var.h"
#include "services/kvp_reg.h"

/* Guests give their daemon 5 to 30 seconds before they refuse. */
#define	KVP_LIMIT	(60 * IC_SECOND)

#endif	/* !HVH_SERVICES_KVP_VAR_H */
