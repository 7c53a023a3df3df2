/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Messages of the integration services in words (protocol: utilities, 2).
 */

#include <stdio.h>
#include <string.h>

#include "control/trace_read.h"
#include "services/fcopy_reg.h"
#include "services/ic_reg.h"
#include "services/kvp_reg.h"
#include "services/vss_reg.h"

static const char *const types[] = {
	[IC_NEGOTIATE] = "NEGOTIATE",
	[IC_HEARTBEAT] = "HEARTBEAT",
	[IC_KVP] = "KVP",
	[IC_SHUTDOWN] = "SHUTDOWN",
	[IC_TIMESYNC] = "TIMESYNC",
	[IC_VSS] = "VSS",
	[IC_FCOPY] = "FCOPY",
};
#define	TYPES	(sizeof(types) / sizeof(types[0]))

/* By their numbers, of which there are none beyond. */
static const char *const kvp_ops[] = {
	"GET", "SET", "DELETE", "ENUMERATE", "GET_IP", "SET_IP"
};
static const char *const vss_ops[] = {
	"CREATE", "DELETE", "CHECK", "MAPPED", "COMPLETE", "FREEZE", "THAW"
};
static const char *const fcopy_ops[] = {
	"START", "WRITE", "COMPLETE", "CANCEL"
};

#define	SAY_OP(line, ops, n)						\
	trace_say(line, ", %s",						\
	    (n) < sizeof(ops) / sizeof(ops[0]) ? (ops)[n] : "unknown")

/* What is in a body; of a short one the rest counts as zeros. */
static void
say_body(struct trace_line *line, uint16_t type, const uint8_t *body,
    size_t len)
{
	union {
		struct ic_negotiate	 negotiate;
		struct ic_heartbeat	 heartbeat;
		struct kvp_header	 kvp;
		struct vss_header	 vss;
		struct fcopy_header	 fcopy;
		struct fcopy_write	 write;
		uint32_t		 shutdown[3];
	} m;

	memset(&m, 0, sizeof(m));
	memcpy(&m, body, len < sizeof(m) ? len : sizeof(m));
	switch (type) {
	case IC_NEGOTIATE:
		trace_say(line, ", %u frameworks, %u versions",
		    m.negotiate.in_frameworks, m.negotiate.in_versions);
		break;
	case IC_HEARTBEAT:
		trace_say(line, ", %llu",
		    (unsigned long long)m.heartbeat.hb_sequence);
		break;
	case IC_KVP:
		SAY_OP(line, kvp_ops, m.kvp.kh_op);
		trace_say(line, ", pool %u", m.kvp.kh_pool);
		break;
	case IC_SHUTDOWN:
		trace_say(line, ", flags %#x", m.shutdown[2]);
		break;
	case IC_VSS:
		SAY_OP(line, vss_ops, m.vss.vh_op);
		break;
	case IC_FCOPY:
		SAY_OP(line, fcopy_ops, m.fcopy.fh_op);
		if (m.fcopy.fh_op == FCOPY_WRITE)
			trace_say(line, ", %u bytes at %llu", m.write.fw_size,
			    (unsigned long long)m.write.fw_offset);
		break;
	}
}

void
trace_ic(struct trace_line *line, const uint8_t *payload, size_t len,
    bool answer)
{
	struct ic_header ih;

	if (len < sizeof(ih))
		return;
	memcpy(&ih, payload, sizeof(ih));
	line->number = ih.ih_type;
	if (ih.ih_type < TYPES && types[ih.ih_type] != NULL)
		snprintf(line->name, sizeof(line->name), "%s",
		    types[ih.ih_type]);
	else
		snprintf(line->name, sizeof(line->name), "IC %u", ih.ih_type);
	say_body(line, ih.ih_type, payload + sizeof(ih), len - sizeof(ih));
	if (answer && ih.ih_status == 0)
		trace_say(line, ", ok");
	else if (answer)
		trace_say(line, ", refused: status %#x", ih.ih_status);
}
