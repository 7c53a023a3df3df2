/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the records of a trace mean (protocol: vmbus, 2 and 7.3).  Both sides
 * may have lied: a message is looked into as far as it is long.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/names.h"
#include "control/trace_read.h"
#include "vmbus/vmbus_reg.h"

/* Requests remembered; who finds his place taken, takes it. */
#define	REQUESTS	4096u
#define	HEX_MAX		16u

enum trace_class {
	CLASS_UNKNOWN,
	CLASS_STORAGE,
	CLASS_NETWORK,
	CLASS_SERVICE,		/* an integration service */
	CLASS_MEMORY,
	CLASS_OTHER,
};

struct trace_state {
	uint8_t		 class[VMS_CHANNELS];
	struct trace_request request[REQUESTS];
};

struct trace_state *
trace_state_new(void)
{

	return (calloc(1, sizeof(struct trace_state)));
}

void
trace_state_free(struct trace_state *ts)
{

	free(ts);
}

void
trace_say(struct trace_line *line, const char *fmt, ...)
{
	size_t used = strlen(line->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line->text + used, sizeof(line->text) - used, fmt, ap);
	va_end(ap);
}

static void
say_hex(struct trace_line *line, const uint8_t *p, size_t len)
{

	for (size_t i = 0; i < len && i < HEX_MAX; i++)
		trace_say(line, "%s%02x", i % 4 == 0 ? " " : "", p[i]);
	if (len > HEX_MAX)
		trace_say(line, " ...");
}

static void
say_guid(struct trace_line *line, const uint8_t b[16])
{
	struct hvh_guid guid;
	char text[37];

	memcpy(guid.b, b, sizeof(guid.b));
	hvh_guid_format(&guid, text);
	trace_say(line, " %s", text);
}

static void
say_vp(struct trace_line *line, const char *what, uint32_t vp)
{

	if (vp == VMS_VP_NONE)
		trace_say(line, ", no %s", what);
	else
		trace_say(line, ", %s to VP %u", what, vp);
}

static void
say_status(struct trace_line *line, uint32_t status)
{

	if (status == VMS_STATUS_OK)
		trace_say(line, ", ok");
	else
		trace_say(line, ", refused: status %#x", status);
}

static enum trace_class
class_of(const char *name)
{
	static const char *const services[] = {
		"heartbeat", "shutdown", "time", "KVP", "VSS", "file copy"
	};

	if (name == NULL)
		return (CLASS_UNKNOWN);
	if (strcmp(name, "SCSI") == 0 || strcmp(name, "IDE") == 0)
		return (CLASS_STORAGE);
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (strcmp(name, services[i]) == 0)
			return (CLASS_SERVICE);
	}
	if (strcmp(name, "memory") == 0)
		return (CLASS_MEMORY);
	return (strcmp(name, "network") == 0 ? CLASS_NETWORK : CLASS_OTHER);
}

static void
say_offer(struct trace_state *ts, struct trace_line *line,
    const struct vms_offer *mo)
{
	struct hvh_guid type;
	const char *name;

	memcpy(type.b, mo->mo_type, sizeof(type.b));
	name = name_class(&type);
	line->chan = mo->mo_chan;
	if (mo->mo_chan < VMS_CHANNELS)
		ts->class[mo->mo_chan] = class_of(name);
	trace_say(line, "channel %u: %s", mo->mo_chan,
	    name != NULL ? name : "unknown");
	say_guid(line, mo->mo_type);
	trace_say(line, ", instance");
	say_guid(line, mo->mo_instance);
	if (mo->mo_subidx != 0)
		trace_say(line, ", sub-channel %u", mo->mo_subidx);
	if ((mo->mo_monitored & 1) != 0)
		trace_say(line, ", monitor %u", mo->mo_monitor_id);
	trace_say(line, ", connection %#x", mo->mo_connection);
}

static void
say_contact(struct trace_line *line, const struct vms_contact *mc)
{

	trace_say(line, "version %u.%u", mc->mc_version >> 16,
	    mc->mc_version & 0xFFFF);
	say_vp(line, "messages", mc->mc_vp);
	if (mc->mc_version >= VMS_V5_0)
		trace_say(line, ", SINT %u", VMS_CONTACT_SINT(mc));
	else
		trace_say(line, ", interrupt page %#llx",
		    (unsigned long long)mc->mc_intpage);
	trace_say(line, ", monitor pages %#llx %#llx",
	    (unsigned long long)mc->mc_mon_p2c,
	    (unsigned long long)mc->mc_mon_c2p);
}

static void
say_tl(struct trace_line *line, const uint8_t *endpoint, const uint8_t *service)
{

	trace_say(line, "endpoint");
	say_guid(line, endpoint);
	trace_say(line, ", service");
	say_guid(line, service);
}

/* Messages about a channel, which begin alike. */
static void
say_channel_message(struct trace_line *line, const void *m)
{
	const struct vms_open *open = m;
	const struct vms_open_result *result = m;
	const struct vms_gpadl_header *gh = m;
	const struct vms_gpadl_created *gc = m;
	const struct vms_gpadl_teardown *gt = m;
	const struct vms_modify *mod = m;
	const struct vms_modify_response *mr = m;
	const struct vms_open_reserved *res = m;
	const struct vms_close_reserved *cres = m;

	line->chan = ((const struct vms_chan_msg *)m)->mc_chan;
	trace_say(line, "channel %u", line->chan);
	switch (line->number) {
	case VMS_OPEN:
		trace_say(line, ", open id %u, GPADL %#x, %u pages to the host",
		    open->mo_openid, open->mo_gpadl, open->mo_downstream);
		say_vp(line, "interrupts", open->mo_vp);
		break;
	case VMS_OPEN_RESULT:
		trace_say(line, ", open id %u", result->mr_openid);
		say_status(line, result->mr_status);
		break;
	case VMS_GPADL_HEADER:
		trace_say(line, ", GPADL %#x, %u ranges in %u bytes",
		    gh->mg_gpadl, gh->mg_ranges, gh->mg_len);
		break;
	case VMS_GPADL_CREATED:
		trace_say(line, ", GPADL %#x", gc->mg_gpadl);
		say_status(line, gc->mg_status);
		break;
	case VMS_GPADL_TEARDOWN:
		trace_say(line, ", GPADL %#x", gt->mg_gpadl);
		break;
	case VMS_MODIFY_CHANNEL:
		say_vp(line, "interrupts", mod->mm_vp);
		break;
	case VMS_MODIFY_RESPONSE:
		say_status(line, mr->mm_status);
		break;
	case VMS_OPEN_RESERVED:
		trace_say(line, ", GPADL %#x, %u pages to the host, VP %u "
		    "SINT %u", res->mo_gpadl, res->mo_downstream, res->mo_vp,
		    res->mo_sint);
		break;
	case VMS_CLOSE_RESERVED:
		trace_say(line, ", VP %u SINT %u", cres->mc_vp, cres->mc_sint);
		break;
	default:
		break;
	}
}

/* What a message of that type takes at least; 0: not known. */
static size_t
message_size(uint32_t type)
{
	static const uint8_t sizes[] = {
		[VMS_OFFER] = sizeof(struct vms_offer),
		[VMS_RESCIND] = sizeof(struct vms_chan_msg),
		[VMS_REQUEST_OFFERS] = sizeof(struct vms_header),
		[VMS_OFFERS_DONE] = sizeof(struct vms_header),
		[VMS_OPEN] = sizeof(struct vms_open),
		[VMS_OPEN_RESULT] = sizeof(struct vms_open_result),
		[VMS_CLOSE] = sizeof(struct vms_chan_msg),
		[VMS_GPADL_HEADER] = sizeof(struct vms_gpadl_header),
		[VMS_GPADL_BODY] = sizeof(struct vms_gpadl_body),
		[VMS_GPADL_CREATED] = sizeof(struct vms_gpadl_created),
		[VMS_GPADL_TEARDOWN] = sizeof(struct vms_gpadl_teardown),
		[VMS_GPADL_TORN_DOWN] = sizeof(struct vms_gpadl_torn_down),
		[VMS_RELID_RELEASED] = sizeof(struct vms_chan_msg),
		[VMS_CONTACT] = sizeof(struct vms_contact),
		[VMS_VERSION_RESPONSE] = sizeof(struct vms_version_response),
		[VMS_UNLOAD] = sizeof(struct vms_header),
		[VMS_UNLOAD_RESPONSE] = sizeof(struct vms_header),
		[VMS_OPEN_RESERVED] = sizeof(struct vms_open_reserved),
		[VMS_CLOSE_RESERVED] = sizeof(struct vms_close_reserved),
		[VMS_CLOSE_RESERVED_RESP] = sizeof(struct vms_chan_msg),
		[VMS_TL_CONNECT] = sizeof(struct vms_tl_connect),
		[VMS_MODIFY_CHANNEL] = sizeof(struct vms_modify),
		[VMS_TL_RESULT] = sizeof(struct vms_tl_result),
		[VMS_MODIFY_RESPONSE] = sizeof(struct vms_modify_response),
	};

	return (type < sizeof(sizes) ? sizes[type] : 0);
}

static void
say_message(struct trace_state *ts, struct trace_line *line, const void *m,
    size_t len)
{
	const struct vms_version_response *vr = m;
	const struct vms_gpadl_body *gb = m;
	const struct vms_gpadl_torn_down *td = m;
	const struct vms_tl_connect *tc = m;
	const struct vms_tl_result *tr = m;

	switch (line->number) {
	case VMS_OFFER:
		say_offer(ts, line, m);
		break;
	case VMS_CONTACT:
		say_contact(line, m);
		break;
	case VMS_VERSION_RESPONSE:
		trace_say(line, "%s, connection %#x",
		    vr->mv_supported != 0 ? "supported" : "not supported",
		    vr->mv_connection);
		break;
	case VMS_GPADL_BODY:
		trace_say(line, "GPADL %#x, %zu bytes", gb->mg_gpadl,
		    len - sizeof(*gb));
		break;
	case VMS_GPADL_TORN_DOWN:
		trace_say(line, "GPADL %#x", td->mg_gpadl);
		break;
	case VMS_TL_CONNECT:
		say_tl(line, tc->mt_endpoint, tc->mt_service);
		break;
	case VMS_TL_RESULT:
		say_tl(line, tr->mt_endpoint, tr->mt_service);
		say_status(line, tr->mt_status);
		break;
	case VMS_REQUEST_OFFERS:
	case VMS_OFFERS_DONE:
	case VMS_UNLOAD:
	case VMS_UNLOAD_RESPONSE:
		break;
	default:
		say_channel_message(line, m);
		break;
	}
}

static void
decode_message(struct trace_state *ts, const struct trace_record *r,
    const uint8_t *data, struct trace_line *line)
{
	uint8_t m[256] __attribute__((aligned(8))) = { 0 };
	size_t len = r->tr_len < sizeof(m) ? r->tr_len : sizeof(m), need;
	const char *name;

	line->kind = "message";
	memcpy(m, data, len);
	if (len < sizeof(line->number)) {
		snprintf(line->name, sizeof(line->name), "message");
		trace_say(line, "too short:");
		say_hex(line, m, len);
		return;
	}
	memcpy(&line->number, m, sizeof(line->number));
	name = name_message(line->number);
	need = message_size(line->number);
	if (name == NULL || need == 0) {
		snprintf(line->name, sizeof(line->name), "message %#x",
		    line->number);
		say_hex(line, m, len);
		return;
	}
	snprintf(line->name, sizeof(line->name), "%s", name);
	if (len < need) {
		trace_say(line, "too short (%zu bytes, not %zu):", len, need);
		say_hex(line, m, len);
		return;
	}
	say_message(ts, line, m, len);
}

/* host: it is the host's, who numbers his as he likes. */
static struct trace_request *
request(struct trace_state *ts, uint32_t chan, uint64_t xid, bool host)
{
	uint64_t h = (xid ^ (uint64_t)chan << 32 ^ (uint64_t)host << 63) *
	    0x9E3779B97F4A7C15ull;

	return (&ts->request[h >> 52]);
}
_Static_assert(REQUESTS == 1u << 12, "twelve bits of hash");

static const char *
packet_name(uint16_t type)
{

	switch (type) {
	case VMS_PKT_INBAND:
		return ("INBAND");
	case VMS_PKT_XFERPAGES:
		return ("XFERPAGES");
	case VMS_PKT_GPADIRECT:
		return ("GPADIRECT");
	case VMS_PKT_COMPLETION:
		return ("COMPLETION");
	default:
		return (NULL);
	}
}

/* The request a completion answers, or the place to remember a request. */
static struct trace_request *
packet_request(struct trace_state *ts, const struct trace_record *r,
    const struct vms_pkt *desc, bool answer, struct trace_line *line)
{
	bool host = ((r->tr_flags & TRACE_OUT) != 0) != answer;
	struct trace_request *req;

	req = request(ts, r->tr_chan, desc->vp_xid, host);
	if (!answer) {
		*req = (struct trace_request){ .xid = desc->vp_xid,
		    .time = r->tr_time, .chan = r->tr_chan, .host = host };
		return (req);
	}
	if (req->chan != r->tr_chan || req->xid != desc->vp_xid ||
	    req->host != host)
		return (NULL);
	if (r->tr_time > req->time)
		line->latency = r->tr_time - req->time;
	req->chan = 0;
	return (req);
}

/* The payload, as the channel's class has it. */
static void
say_payload(struct trace_state *ts, const struct trace_record *r,
    const struct vms_pkt *desc, const uint8_t *data, size_t hdr,
    struct trace_line *line)
{
	size_t len = hdr < r->tr_len ? r->tr_len - hdr : 0, xfer = 0;
	bool answer = desc->vp_type == VMS_PKT_COMPLETION;
	enum trace_class class = CLASS_UNKNOWN;
	struct trace_request *req;

	if (r->tr_chan < VMS_CHANNELS)
		class = ts->class[r->tr_chan];
	/* Services' guests answer by packets of their own. */
	if (class == CLASS_SERVICE)
		answer = (r->tr_flags & TRACE_OUT) == 0;
	req = packet_request(ts, r, desc, answer, line);
	switch (class) {
	case CLASS_STORAGE:
		trace_vstor(line, data + hdr, len,
		    (r->tr_flags & TRACE_OUT) != 0, req);
		break;
	case CLASS_NETWORK:
		if (desc->vp_type == VMS_PKT_XFERPAGES && hdr <= r->tr_len)
			xfer = hdr - sizeof(*desc);
		trace_nvsp(line, data + sizeof(*desc), xfer, data + hdr, len,
		    answer);
		break;
	case CLASS_SERVICE:
		trace_ic(line, data + hdr, len, answer);
		break;
	case CLASS_MEMORY:
		trace_memory(line, data + hdr, len);
		break;
	default:
		trace_say(line, ", %u bytes:", r->tr_total);
		say_hex(line, data + hdr, len);
		break;
	}
}

static void
decode_packet(struct trace_state *ts, const struct trace_record *r,
    const uint8_t *data, struct trace_line *line)
{
	struct vms_pkt desc;
	const char *name;
	size_t hdr;

	line->kind = "packet";
	line->chan = r->tr_chan;
	if (r->tr_len < sizeof(desc)) {
		snprintf(line->name, sizeof(line->name), "packet");
		trace_say(line, "too short");
		return;
	}
	memcpy(&desc, data, sizeof(desc));
	name = packet_name(desc.vp_type);
	line->number = desc.vp_type;
	if (name != NULL)
		snprintf(line->name, sizeof(line->name), "%s", name);
	else
		snprintf(line->name, sizeof(line->name), "packet %#x",
		    desc.vp_type);
	trace_say(line, "id %#llx", (unsigned long long)desc.vp_xid);
	hdr = desc.vp_offset * 8u;
	hdr = hdr < sizeof(desc) ? 0 : hdr - sizeof(desc);
	hdr = sizeof(desc) + (hdr < TRACE_HDR ? hdr : TRACE_HDR);
	say_payload(ts, r, &desc, data, hdr, line);
	if (line->latency != 0)
		trace_say(line, ", %.1f us", (double)line->latency / 1000);
}

void
trace_decode(struct trace_state *ts, const struct trace_record *r,
    const uint8_t *data, struct trace_line *line)
{
	char why[32];

	memset(line, 0, sizeof(*line));
	line->chan = r->tr_chan;
	switch (r->tr_kind) {
	case HVH_TRACE_MESSAGE:
		decode_message(ts, r, data, line);
		return;
	case HVH_TRACE_PACKET:
		decode_packet(ts, r, data, line);
		return;
	case HVH_TRACE_SIGNAL:
		line->kind = "signal";
		break;
	case HVH_TRACE_CORRUPT:
		line->kind = "corrupt";
		snprintf(why, sizeof(why), "%.*s",
		    (int)(r->tr_len < sizeof(why) ? r->tr_len : sizeof(why)),
		    (const char *)data);
		for (char *p = why; *p != '\0'; p++) {
			if (*p < ' ' || *p > '~')
				*p = '.';
		}
		trace_say(line, "the ring is given up: bad %s", why);
		break;
	default:
		line->kind = "unknown";
		trace_say(line, "a record of kind %u", r->tr_kind);
		break;
	}
	snprintf(line->name, sizeof(line->name), "%s", line->kind);
}
