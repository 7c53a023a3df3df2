/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * When to tell the guest that its requests are done.  A guest that has one
 * request at a time wants to know at once; one that sends thirty in a row
 * would only be interrupted in sending them, and in its turn signal each to a
 * host that has gone to sleep in between.  So the host looks for more as long
 * as more are to be expected, and then tells of all at once; of many, by
 * halves, so that neither side waits while the other works.
 *
 * A burst is what arrives between two signals to the guest.  Its length is
 * learnt from bursts before it; that there could be more than one is tried
 * ever more rarely where it turned out wrong.  Pure: no clock, no channel.
 */

#ifndef HVH_LINGER_H
#define	HVH_LINGER_H

#include <stdbool.h>
#include <stdint.h>

struct hvh_linger {
	uint32_t	 l_length;	/* of the burst before */
	uint32_t	 l_same;	/* so many before it were as long */
	uint32_t	 l_run;		/* requests of this one; 0: none */
	uint32_t	 l_target;	/* tell at so many */
	bool		 l_trial;	/* one to look whether there are more */
	uint32_t	 l_wait;	/* bursts until the next trial */
	uint32_t	 l_backoff;	/* and how many after that */
	uint32_t	 l_score;	/* does it send bursts, on the whole? */
	uint64_t	 l_last;	/* when the last one was read, ns */
	uint64_t	 l_gap;		/* usual time a request takes, ns */
	uint64_t	 l_told;	/* when the guest was told last */
	uint64_t	 l_pause;	/* usual time from there to the next */
};

void	hvh_linger_init(struct hvh_linger *l);
/* A request has been read. */
void	hvh_linger_arrived(struct hvh_linger *l, uint64_t now);
/*
 * Is it worth to look for more before the guest is told?  most: never longer
 * than so many ns after the last; 0: never.
 */
bool	hvh_linger_holds(const struct hvh_linger *l, uint64_t now,
	    uint64_t most);
/*
 * After a burst: does the next one tend to follow so soon that watching for it
 * is cheaper than to be woken by a signal?
 */
bool	hvh_linger_watches(const struct hvh_linger *l, uint64_t now,
	    uint64_t most);
/* The guest is told: the burst is over. */
void	hvh_linger_told(struct hvh_linger *l, uint64_t now);

/* Does the guest send in bursts?  was: what was said last; not soon changed. */
bool	hvh_linger_bursty(const struct hvh_linger *l, bool was);

#endif	/* !HVH_LINGER_H */
