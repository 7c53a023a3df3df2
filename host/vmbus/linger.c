/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The length of bursts, learnt.
 */

#include "vmbus/linger.h"

#define	EXPECT_MAX	256u
#define	BACKOFF_MIN	8u
#define	BACKOFF_MAX	1024u
#define	GAP_FIRST	100000ull

void
hvh_linger_init(struct hvh_linger *l)
{

	*l = (struct hvh_linger){ .l_expect = 1, .l_wait = BACKOFF_MIN,
	    .l_backoff = BACKOFF_MIN, .l_gap = GAP_FIRST };
}

/* A new burst: as many as usual, or, once in a while, more. */
static void
begin(struct hvh_linger *l)
{

	l->l_target = l->l_expect;
	if (l->l_wait > 0)
		l->l_wait--;
	else if (l->l_expect < EXPECT_MAX)
		l->l_target = l->l_expect * 2;
}

void
hvh_linger_arrived(struct hvh_linger *l, uint64_t now)
{
	uint64_t gap = now - l->l_last;

	if (l->l_run == 0)
		begin(l);
	else if (gap < 8 * l->l_gap)
		l->l_gap += gap / 8 - l->l_gap / 8;
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
	bool trial = l->l_target > l->l_expect;

	if (l->l_run == 0)
		return;
	if (l->l_run > l->l_expect) {
		/* Longer than thought: see at once whether there is more. */
		l->l_expect = l->l_run < EXPECT_MAX ? l->l_run : EXPECT_MAX;
		if (l->l_run >= l->l_target) {
			l->l_wait = 0;
			l->l_backoff = BACKOFF_MIN;
		}
	} else if (l->l_run < l->l_expect && !trial) {
		/* A short one among long ones changes little. */
		l->l_expect -= (l->l_expect - l->l_run + 7) / 8;
	}
	if (trial && l->l_run < l->l_target) {
		l->l_wait = l->l_backoff;
		if (l->l_backoff < BACKOFF_MAX)
			l->l_backoff *= 2;
	}
	l->l_run = 0;
}
