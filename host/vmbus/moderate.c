/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Much or little.
 */

#include "vmbus/moderate.h"

bool
hvh_moderate_much(struct hvh_moderate *m, uint64_t now, uint64_t period)
{
	uint64_t took = now - m->m_since;

	if (took < period)
		return (m->m_much);
	/* The period may have ended long ago. */
	m->m_much = m->m_count / HVH_MODERATE_LEAST >= took / period;
	m->m_wait = period;
	if (m->m_much && m->m_count > HVH_MODERATE_BATCH * (took / period))
		m->m_wait = took / m->m_count * HVH_MODERATE_BATCH;
	if (m->m_wait > period)
		m->m_wait = period;
	m->m_since = now;
	m->m_count = 0;
	return (m->m_much);
}
