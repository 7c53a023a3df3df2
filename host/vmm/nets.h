/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine's network adapters.  The main thread's.
 */

#ifndef VMM_NETS_H
#define	VMM_NETS_H

#include <jansson.h>

#include "vmm/options.h"

struct nets {
	struct vmm	*ns_vmm;
	struct hvh_net	*ns_net[OPT_NETS_MAX];	/* NULL: there is none */
	uint8_t		 ns_mac[OPT_NETS_MAX][6];
};

int	nets_create(struct nets *ns, struct vmm *m, const struct options *op,
	    char *err, size_t errlen);
/*
 * Adds an adapter as the first that is free.  fd: its tap or socket, which
 * n->name only names, taken over in any case; -1: none.
 */
int	nets_add(struct nets *ns, const struct opt_net *n, int fd,
	    unsigned *which, char *err, size_t errlen);
int	nets_remove(struct nets *ns, unsigned which, char *err,
	    size_t errlen);
int	nets_link(struct nets *ns, unsigned which, bool up, char *err,
	    size_t errlen);
/* What guests know it by.  ENODEV. */
int	nets_identity(struct nets *ns, unsigned which, uint8_t mac[6],
	    struct hvh_guid *instance);
/* An object for each adapter, by its number. */
void	nets_stats(struct nets *ns, json_t *o);

#endif	/* !VMM_NETS_H */
