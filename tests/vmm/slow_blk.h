/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A disk that works when the test says so: its back end's operations are
 * replaced by ones that hold requests, fail them, or look at them.
 */

#ifndef SLOW_BLK_H
#define	SLOW_BLK_H

#include "storage/blk.h"

struct slow {
	struct hvh_blk	*blk;
	const struct blk_ops *real;
	struct blk_ops	 ops;
	bool		 hold;
	int		 error;		/* of the next request, 0: none */
	unsigned	 lag;		/* runs from cancel to end */
	bool		 cancelled;
	struct blk_req	*held;
	unsigned	 reads, writes, flushes, fua;
};

/* disk: an IDE disk.  One at a time. */
void	slow_wrap(struct slow *s, struct hvh_scsi *disk);
/* Ends what is held, by really doing it. */
void	slow_release(struct slow *s);

#endif	/* !SLOW_BLK_H */
