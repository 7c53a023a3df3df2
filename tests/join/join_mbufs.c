/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Whether mbufs are left, of a hosted kernel whose interfaces are at rest.
 */

#include <atf-c.h>
#include <stdint.h>
#include <unistd.h>

#include "kpi/kpi.h"
#include "join_mbufs.h"

void
join_mbufs(void)
{
	struct kpi_mbufs mb;
	kpi_u64 n;
	unsigned ms;

	/* One may be just on its way through the stack. */
	for (ms = 0;; ms++) {
		kpi_mbufs(&mb);
		n = mb.mbufs + mb.clusters + mb.jumbop + mb.jumbo9 +
		    mb.jumbo16 + mb.ext + mb.tags;
		if (n == 0 || ms == 2000)
			break;
		usleep(1000);
	}
	ATF_CHECK_EQ_MSG(0, n, "mbufs %ju clusters %ju ext %ju",
	    (uintmax_t)mb.mbufs, (uintmax_t)mb.clusters, (uintmax_t)mb.ext);
}
