/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The length of bursts, learnt.
 */

#include "vmbus/linger.h"

#define	RUN_MAX		256u
#define	STEADY		4u
#define	BACKOFF_MIN	8u
#define	BACKOFF_MAX	1024u
#define	GAP_FIRST	100000ull
/* A change of the guest's ways is believed after so many bursts. */
#define	TO_BURSTY	16u
#define	TO_SINGLE	256u

void
hvh_linger_init(struct hvh_linger *l)
{

	*l = (struct hvh_linger){ .l_length = 1, .l_same = STEADY,
	    .l_wait = BACKOFF_MIN, .l_backoff = BACKOFF_MIN,
	    .l_gap = GAP_FIRST };
}

/*
 * A new burst.  Where all are of the same length its end is known; else, and
 * once in a while, it ends where no more come.
 */
static void
begin(struct hvh_linger *l)
{

	l->l_target = RUN_MAX;
	l->l_trial = false;
	if (l->l_same < STEADY)
		return;
	if (l->l_wait > 0) {
		l->l_wait--;
		l->l_target = l->l_length;
	} else {
		l->l_trial = true;
	}
}

void
hvh_linger_arrived(struct hvh_linger *l, uint64_t now, uint64_t round)
{

	if (l->l_run == 0) {
		begin(l);
		l->l_first = now;
		l->l_round = round;
		l->l_later = 0;
	}
	l->l_run++;
	l->l_later += round != l->l_round;
	l->l_last = now;
}

bool
hvh_linger_holds(const struct hvh_linger *l, uint64_t now, uint64_t most)
{
	/* The time between two says little before there were two. */
	uint64_t wait = l->l_trial ? most : 3 * l->l_gap;

	if (l->l_run == 0 || l->l_run >= l->l_target)
		return (false);
	return (now - l->l_last < (wait < most ? wait : most));
}

void
hvh_linger_told(struct hvh_linger *l)
{

	if (l->l_run == 0)
		return;
	/* Those of the first round may have come long before. */
	if (l->l_later > 0)
		l->l_gap += (l->l_last - l->l_first) / l->l_later / 4 -
		    l->l_gap / 4;
	if (l->l_run != l->l_length) {
		l->l_length = l->l_run;
		l->l_same = 0;
		l->l_wait = l->l_backoff = BACKOFF_MIN;
	} else if (l->l_same < STEADY) {
		l->l_same++;
	} else if (l->l_trial) {
		/* Looked for more in vain. */
		l->l_wait = l->l_backoff;
		if (l->l_backoff < BACKOFF_MAX)
			l->l_backoff *= 2;
	}
	l->l_run = 0;
}

bool
hvh_linger_bursty(struct hvh_linger *l, bool was)
{

	if ((l->l_length > 1) == was)
		l->l_kind = 0;
	else if (++l->l_kind >= (was ? TO_SINGLE : TO_BURSTY))
		return (!was);
	return (was);
}
