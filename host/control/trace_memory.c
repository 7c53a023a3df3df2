/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Messages of dynamic memory in words (protocol: utilities, 9).
 */

#include <stdio.h>
#include <string.h>

#include "control/trace_read.h"
#include "services/balloon_reg.h"

static const char *const types[] = {
	[BALLOON_VERSION] = "VERSION",
	[BALLOON_VERSION_ANSWER] = "VERSION_RESPONSE",
	[BALLOON_CAPABILITIES] = "CAPABILITIES",
	[BALLOON_CAPABILITIES_ANSWER] = "CAPABILITIES_RESPONSE",
	[BALLOON_STATUS] = "STATUS",
	[BALLOON_TAKE] = "BALLOON",
	[BALLOON_TAKEN] = "BALLOON_RESPONSE",
	[BALLOON_GIVE] = "UNBALLOON",
	[BALLOON_GIVEN] = "UNBALLOON_RESPONSE",
	[BALLOON_ADD] = "HOT_ADD",
	[BALLOON_ADDED] = "HOT_ADD_RESPONSE",
};
#define	TYPES	(sizeof(types) / sizeof(types[0]))

static void
say_body(struct trace_line *line, const uint8_t *payload, size_t len)
{
	union {
		struct balloon_header	h;
		struct balloon_version	version;
		struct balloon_answer	answer;
		struct balloon_capabilities caps;
		struct balloon_status	status;
		struct balloon_take	take;
		struct balloon_taken	taken;
		struct balloon_give	give;
	} m;

	/* What the trace does not hold of it is zero. */
	memset(&m, 0, sizeof(m));
	memcpy(&m, payload, len < sizeof(m) ? len : sizeof(m));
	switch (m.h.bh_type) {
	case BALLOON_VERSION:
		trace_say(line, ", version %u.%u%s", m.version.bv_version >> 16,
		    m.version.bv_version & 0xffff,
		    (m.version.bv_flags & 1) != 0 ? ", the last" : "");
		break;
	case BALLOON_VERSION_ANSWER:
	case BALLOON_CAPABILITIES_ANSWER:
		trace_say(line, (m.answer.ba_flags & BALLOON_ACCEPTED) != 0 ?
		    ", accepted" : ", refused");
		break;
	case BALLOON_CAPABILITIES:
		trace_say(line, ", flags %#llx",
		    (unsigned long long)m.caps.bc_flags);
		break;
	case BALLOON_STATUS:
		trace_say(line, ", %llu pages available, %llu committed",
		    (unsigned long long)m.status.bs_available,
		    (unsigned long long)m.status.bs_committed);
		break;
	case BALLOON_TAKE:
		trace_say(line, ", %u pages", m.take.bt_pages);
		break;
	case BALLOON_TAKEN:
		trace_say(line, ", %u ranges%s", m.taken.bn_ranges >> 1,
		    (m.taken.bn_ranges & BALLOON_MORE) != 0 ? ", more" : "");
		break;
	case BALLOON_GIVE:
		trace_say(line, ", %u ranges%s", m.give.bg_ranges,
		    (m.give.bg_flags & BALLOON_MORE) != 0 ? ", more" : "");
		break;
	}
}

void
trace_memory(struct trace_line *line, const uint8_t *payload, size_t len)
{
	struct balloon_header bh;

	if (len < sizeof(bh))
		return;
	memcpy(&bh, payload, sizeof(bh));
	line->number = bh.bh_type;
	if (bh.bh_type < TYPES && types[bh.bh_type] != NULL)
		snprintf(line->name, sizeof(line->name), "%s",
		    types[bh.bh_type]);
	else
		snprintf(line->name, sizeof(line->name), "MEMORY %u",
		    bh.bh_type);
	say_body(line, payload, len);
}
