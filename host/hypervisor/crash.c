/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Crash reports: five numbers, and perhaps a page of text (protocol:
 * hypervisor, 2.8).  A guest may report as often as it likes; the last one is
 * kept, resets included.
 */

#include <string.h>

#include "hypervisor/partition.h"

/* What the guest says, as far as there is memory at all. */
static bool
crash_text(struct hvh *h, const uint64_t params[5],
    char text[HVH_CRASH_TEXT + 1])
{
	size_t len = params[4] < HVH_CRASH_TEXT ? params[4] : HVH_CRASH_TEXT;

	if (hvh_gpa_read(h, (hvh_gpa_t){ params[3] }, text, len) != 0)
		return (false);
	text[len] = '\0';
	return (true);
}

static void
crash_report(struct hvh *h, uint64_t ctl, const uint64_t params[5])
{
	char text[HVH_CRASH_TEXT + 1] = "";
	struct hvh_crash *hc = &h->h_crashed;
	bool said;

	said = (ctl & HV_CRASH_MESSAGE) != 0 &&
	    !hvh_hides(h, HVH_FEAT_MESSAGE) && crash_text(h, params, text);
	pthread_mutex_lock(&h->h_part_mtx);
	hc->count++;
	memcpy(hc->param, params, sizeof(hc->param));
	hc->no_dump = (ctl & HV_CRASH_NO_DUMP) != 0;
	memcpy(hc->text, text, sizeof(hc->text));
	pthread_mutex_unlock(&h->h_part_mtx);
	/* Out of the lock: the user may look at the partition. */
	if (h->h_ops.event != NULL)
		h->h_ops.event(h->h_arg, HVH_EVENT_CRASH, params,
		    said ? text : NULL);
}

void
hvh_get_crash(struct hvh *h, struct hvh_crash *hc)
{

	pthread_mutex_lock(&h->h_part_mtx);
	*hc = h->h_crashed;
	pthread_mutex_unlock(&h->h_part_mtx);
}

int
hvh_crash_msr_read(struct hvh *h, uint32_t msr, uint64_t *val)
{

	pthread_mutex_lock(&h->h_part_mtx);
	if (msr == HV_MSR_CRASH_CTL)
		*val = HV_CRASH_NOTIFY |
		    (hvh_hides(h, HVH_FEAT_MESSAGE) ? 0 : HV_CRASH_MESSAGE);
	else
		*val = h->h_crash[msr - HV_MSR_CRASH_P0];
	pthread_mutex_unlock(&h->h_part_mtx);
	return (0);
}

int
hvh_crash_msr_write(struct hvh *h, uint32_t msr, uint64_t val)
{
	uint64_t params[5];

	pthread_mutex_lock(&h->h_part_mtx);
	if (msr != HV_MSR_CRASH_CTL)
		h->h_crash[msr - HV_MSR_CRASH_P0] = val;
	memcpy(params, h->h_crash, sizeof(params));
	pthread_mutex_unlock(&h->h_part_mtx);
	if (msr == HV_MSR_CRASH_CTL && (val & HV_CRASH_NOTIFY) != 0)
		crash_report(h, val, params);
	return (0);
}
