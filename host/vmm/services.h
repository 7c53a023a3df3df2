/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine's integration services.  The main thread's.
 */

#ifndef VMM_SERVICES_H
#define	VMM_SERVICES_H

#include "hvhost_kbd.h"
#include "vmm/options.h"

struct services {
	struct hvh_ic	*sv_ic[HVH_IC_KINDS];	/* NULL: not offered */
	struct hvh_balloon *sv_balloon;		/* NULL: not offered */
	struct hvh_kbd	*sv_kbd;		/* the same */
};

int	services_create(struct services *sv, struct vmm *m,
	    const struct options *op, char *err, size_t errlen);
/* The machine's processors run again: the guest's clock stood still. */
void	services_resumed(struct services *sv);

#endif	/* !VMM_SERVICES_H */
