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
	if (l->l_same < STEADY)
		return;
	if (l->l_wait > 0) {
		l->l_wait--;
		l->l_target = l->l_length;
	}
}

void
hvh_linger_arrived(struct hvh_linger *l, uint64_t now)
{
	uint64_t gap = now - l->l_last;

	if (l->l_run == 0)
		begin(l);
	else if (gap < 8 * l->l_gap)
		l->l_gap = l->l_gap - l->l_gap / 8 + gap / 8;
	l->l_run++;
	l->l_last = now;
}

bool
hvh_linger_holds(const struct hvh_linger *l, uint64_t now, uint64_t most)
{
	uint64_t wait = 2 * l->l_gap;

	if (l->l_run == 0 || l->l_run >= l->l_target)
		return (false);
	return (now - l->l_last < (wait < most ? wait : most));
}

void
hvh_linger_told(struct hvh_linger *l)
{

	if (l->l_run == 0)
		return;
	if (l->l_run != l->l_length) {
		l->l_length = l->l_run;
		l->l_same = 0;
		l->l_wait = l->l_backoff = BACKOFF_MIN;
	} else if (l->l_same < STEADY) {
		l->l_same++;
	} else if (l->l_target != l->l_length) {
		/* Looked for more in vain. */
		l->l_wait = l->l_backoff;
		if (l->l_backoff < BACKOFF_MAX)
			l->l_backoff *= 2;
	}
	l->l_run = 0;
}
