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
#define	SPLIT_MIN	16u
#define	BACKOFF_MIN	8u
#define	BACKOFF_MAX	1024u
#define	PAUSE_FIRST	1000000000ull
/* The guest's ways: what a burst adds, what a single request takes. */
#define	SCORE_BURST	16u
#define	SCORE_SINGLE	1u
#define	SCORE_MAX	256u

void
hvh_linger_init(struct hvh_linger *l)
{

	*l = (struct hvh_linger){ .l_length = 1, .l_same = STEADY,
	    .l_wait = BACKOFF_MIN, .l_backoff = BACKOFF_MIN,
	    .l_pause = PAUSE_FIRST };
}

/*
 * A new burst.  Where all are of the same length its end is known; else, and
 * once in a while, it ends where no more come.  A long one is told of in
 * halves: the guest works on the one while we do the other.
 */
static void
begin(struct hvh_linger *l, uint64_t now)
{

	if (l->l_told != 0)
		l->l_pause += (now - l->l_told) / 8 - l->l_pause / 8;
	l->l_target = RUN_MAX;
	l->l_trial = false;
	if (l->l_same < STEADY)
		return;
	if (l->l_wait > 0) {
		l->l_wait--;
		l->l_target = l->l_length < SPLIT_MIN ? l->l_length :
		    l->l_length / 2;
	} else {
		l->l_trial = true;
	}
}

void
hvh_linger_arrived(struct hvh_linger *l, uint64_t now)
{

	if (l->l_run == 0)
		begin(l, now);
	l->l_run++;
	l->l_last = now;
}

bool
hvh_linger_holds(const struct hvh_linger *l, uint64_t now, uint64_t most)
{
	uint64_t wait = 2 * l->l_gap;

	if (l->l_run == 0 || l->l_run >= l->l_target)
		return (false);
	/* The time between two says little before there were two. */
	if (l->l_trial || wait > most / 4)
		wait = most / 4;
	return (now - l->l_last < wait);
}

bool
hvh_linger_watches(const struct hvh_linger *l, uint64_t now, uint64_t most)
{
	uint64_t wait = 2 * l->l_pause;

	if (wait > most)
		return (false);
	return (now - (l->l_run > 0 ? l->l_last : l->l_told) < wait);
}

/* What the burst just over says of its length and of the time they take. */
static void
learn(struct hvh_linger *l, uint64_t now)
{

	/*
	 * From the telling before to this one, for each request: when they were
	 * read says when we looked, not when they came.
	 */
	l->l_gap += (now - l->l_told) / l->l_run / 4 - l->l_gap / 4;
	if (l->l_target != RUN_MAX && l->l_length >= SPLIT_MIN &&
	    l->l_run >= l->l_target)
		return;		/* a half */
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
}

static void
score(struct hvh_linger *l)
{

	if (l->l_run > 1)
		l->l_score = l->l_score < SCORE_MAX - SCORE_BURST ?
		    l->l_score + SCORE_BURST : SCORE_MAX;
	else
		l->l_score -= l->l_score < SCORE_SINGLE ? l->l_score :
		    SCORE_SINGLE;
}

void
hvh_linger_told(struct hvh_linger *l, uint64_t now)
{

	if (l->l_run == 0)
		return;
	learn(l, now);
	score(l);
	l->l_run = 0;
	l->l_told = now;
}

bool
hvh_linger_bursty(const struct hvh_linger *l, bool was)
{

	return (was ? l->l_score > 0 : l->l_score == SCORE_MAX);
}
