/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Moderation, for devices that say how much they carry: a channel with little
 * to do tells and is told of each thing at once; one that carries much does
 * both once in a period, so that signals go with time and not with packets.
 * What is much is seen from the period before: packets that follow one of the
 * same direction count, so that question and answer, however quick, never
 * wait.  Pure: no clock, no channel.
 */

#ifndef HVH_MODERATE_H
#define	HVH_MODERATE_H

#include <stdbool.h>
#include <stdint.h>

/* So many packets in a row, a period, are much. */
#define	HVH_MODERATE_LEAST	20u
/* And with so many there is no need to wait until it is over. */
#define	HVH_MODERATE_BATCH	64u

struct hvh_moderate {
	uint64_t	 m_since;	/* when the period began, ns */
	uint32_t	 m_count;	/* packets in it, see above */
	bool		 m_out;		/* the direction of the last one */
	bool		 m_much;	/* there were in the one before */
	uint64_t	 m_wait;	/* until a batch has come, ns */
};

/* A packet, to the guest or from it. */
static inline void
hvh_moderate_carried(struct hvh_moderate *m, bool out)
{

	m->m_count += m->m_out == out;
	m->m_out = out;
}

/* Is there much to do?  period: its length in ns. */
bool	hvh_moderate_much(struct hvh_moderate *m, uint64_t now,
	    uint64_t period);

#endif	/* !HVH_MODERATE_H */
