/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What all integration services have in common: the channel, the negotiation
 * of versions, and one request at a time, each with its time limit.
 *
 * A guest's answer counts if it carries the numbers of the request that is
 * under way, both of the packet and of the message; everything else is stale
 * or malformed, counted and dropped: nothing a guest sends unasked costs more
 * than reading it.  A negotiation may stay unanswered for as long as the guest
 * likes, for some wait until their daemon runs.  protocol: utilities, 2
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services/ic_var.h"

#define	PKT_INBAND	6

/* A negotiation that was not answered is said again so often, so much later. */
#define	ASKS_MAX	3
#define	ASK_AGAIN	(30 * IC_SECOND)

/* Newest last, as the protocol's hosts have them. */
static const uint32_t ic_frameworks[] = {
	HVH_IC_VERSION(1, 0), HVH_IC_VERSION(3, 0)
};
#define	NFRAMEWORKS	(sizeof(ic_frameworks) / sizeof(ic_frameworks[0]))

void
ic_grumble(struct hvh_ic *ic, const char *what)
{

	if (ic->grumbled)
		return;
	ic->grumbled = true;
	hvh_log(ic->h, HVH_LOG_WARN, "%s: the guest sent %s",
	    ic->service->name, what);
}

static struct ic_version
ic_wire_version(uint32_t version)
{
	struct ic_version v = { (uint16_t)(version >> 16),
	    (uint16_t)version };

	return (v);
}

static uint32_t
ic_host_version(struct ic_version v)
{

	return (HVH_IC_VERSION(v.iv_major, v.iv_minor));
}

static void
ic_header(struct hvh_ic *ic, struct ic_header *ih, uint16_t type,
    uint32_t len)
{

	ih->ih_pipe_type = IC_PIPE_DATA;
	ih->ih_pipe_len = (uint32_t)(sizeof(*ih) - IC_PIPE_HEADER) + len;
	ih->ih_type = type;
	ih->ih_size = (uint16_t)len;
	ih->ih_id = (uint8_t)++ic->xid;
	ih->ih_flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST;
}

/* --- Versions --- */

/* false: no room. */
static bool
ic_ask(struct hvh_ic *ic)
{
	struct {
		struct ic_header	h;
		struct ic_negotiate	n;
		struct ic_version	v[16];
	} IC_PACKED m;
	uint32_t len;
	unsigned i, n = 0;

	memset(&m, 0, sizeof(m));
	for (i = 0; i < NFRAMEWORKS; i++) {
		if (ic_frameworks[i] > ic->max_framework)
			continue;
		m.v[n++] = ic_wire_version(ic_frameworks[i]);
		m.n.in_frameworks++;
	}
	for (i = ic->service->nversions; i > 0; i--) {
		if (ic->service->versions[i - 1] > ic->max_version)
			continue;
		m.v[n++] = ic_wire_version(ic->service->versions[i - 1]);
		m.n.in_versions++;
	}
	len = (uint32_t)(sizeof(m.n) + n * sizeof(m.v[0]));
	if (!hvh_chan_room(ic->chan, (uint32_t)sizeof(m.h) + len))
		return (false);
	ic_header(ic, &m.h, IC_NEGOTIATE, len);
	/* Whichever of several is answered first: it is the same question. */
	if (ic->asks == 0)
		ic->ask_xid = ic->xid;
	m.h.ih_id = (uint8_t)ic->ask_xid;
	if (hvh_chan_write(ic->chan, PKT_INBAND, 0, ic->ask_xid, &m,
	    (uint32_t)sizeof(m.h) + len) != 0)
		return (false);
	ic->info.requests++;
	ic->ask = false;
	ic->asked = true;
	if (++ic->asks < ASKS_MAX)
		hvh_timer_set(ic->h, &ic->ask_timer, hvh_now(ic->h) +
		    ASK_AGAIN);
	return (true);
}

static void
ic_ask_again(void *arg)
{
	struct hvh_ic *ic = arg;

	ic->ask = true;
	ic_run(ic);
}

/* Begins a negotiation as soon as nothing is under way. */
static void
ic_ask_start(struct hvh_ic *ic)
{

	hvh_timer_clear(ic->h, &ic->ask_timer);
	ic->ask = true;
	ic->asked = false;
	ic->asks = 0;
	ic_run(ic);
}

static bool
ic_offered(const struct hvh_ic *ic, uint32_t framework, uint32_t version)
{
	bool f = false, v = false;

	for (unsigned i = 0; i < NFRAMEWORKS; i++)
		f |= ic_frameworks[i] == framework;
	for (unsigned i = 0; i < ic->service->nversions; i++)
		v |= ic->service->versions[i] == version;
	return (f && v && framework <= ic->max_framework &&
	    version <= ic->max_version);
}

static void
ic_agreed(struct hvh_ic *ic, const struct ic_answer *a)
{
	struct ic_negotiated n;

	hvh_timer_clear(ic->h, &ic->ask_timer);
	ic->ask = false;
	ic->asked = false;
	memset(&n, 0, sizeof(n));
	if (a->len >= sizeof(n))
		memcpy(&n, a->body, sizeof(n));
	ic->framework = ic_host_version(n.id_framework);
	ic->version = ic_host_version(n.id_version);
	if (a->status != 0 || n.id_counts.in_frameworks != 1 ||
	    n.id_counts.in_versions != 1 ||
	    !ic_offered(ic, ic->framework, ic->version)) {
		hvh_log(ic->h, HVH_LOG_WARN, "%s: the guest takes no version",
		    ic->service->name);
		ic->framework = ic->version = 0;
		ic->state = HVH_IC_REFUSED;
		ic_fail_all(ic, ECONNRESET);
		return;
	}
	hvh_log(ic->h, HVH_LOG_DEBUG, "%s: version %u.%u, framework %u.%u",
	    ic->service->name, ic->version >> 16, ic->version & 0xffff,
	    ic->framework >> 16, ic->framework & 0xffff);
	ic->state = HVH_IC_READY;
	if (ic->service->up != NULL)
		ic->service->up(ic);
}

/* --- Requests --- */

struct ic_order *
ic_order_new(struct hvh_ic *ic, uint32_t len, uint64_t limit,
    void (*answered)(struct ic_order *o, const struct ic_answer *a))
{
	struct ic_order *o;

	o = calloc(1, sizeof(*o) + sizeof(struct ic_header) + len);
	if (o == NULL)
		return (NULL);
	o->ic = ic;
	o->limit = limit;
	o->answered = answered;
	o->len = len;
	o->body = o->msg + sizeof(struct ic_header);
	ic_order_type(o, ic->service->type);
	return (o);
}

void
ic_order_free(struct ic_order *o)
{

	free(o);
}

void
ic_order_type(struct ic_order *o, uint16_t type)
{

	memcpy(o->msg + offsetof(struct ic_header, ih_type), &type,
	    sizeof(type));
}

int
ic_submit(struct ic_order *o)
{
	struct hvh_ic *ic;
	int error = 0;

	if (o == NULL)
		return (ENOMEM);
	ic = o->ic;
	if (ic->state == HVH_IC_GONE)
		error = ENODEV;
	else if (ic->state != HVH_IC_READY)
		error = ENOTCONN;
	else if (ic->norders >= IC_ORDERS_MAX)
		error = EAGAIN;
	if (error != 0) {
		free(o);
		return (error);
	}
	ic->norders++;
	if (ic->answering) {
		STAILQ_INSERT_TAIL(&ic->next, o, link);
		return (0);
	}
	STAILQ_INSERT_TAIL(&ic->orders, o, link);
	ic_run(ic);
	return (0);
}

/* The first order has ended. */
static void
ic_end(struct hvh_ic *ic, const struct ic_answer *a)
{
	struct ic_order *o = STAILQ_FIRST(&ic->orders);

	STAILQ_REMOVE_HEAD(&ic->orders, link);
	ic->norders--;
	hvh_timer_clear(ic->h, &ic->timer);
	ic->turn = false;
	ic->sent = false;
	ic->answering = true;
	o->answered(o, a);
	ic->answering = false;
	free(o);
	STAILQ_CONCAT(&ic->next, &ic->orders);
	STAILQ_CONCAT(&ic->orders, &ic->next);
}

/* The state is such that no new ones are taken. */
void
ic_fail_all(struct hvh_ic *ic, int error)
{
	struct ic_answer a = { .error = error };

	while (!STAILQ_EMPTY(&ic->orders))
		ic_end(ic, &a);
	hvh_timer_clear(ic->h, &ic->timer);
	hvh_timer_clear(ic->h, &ic->ask_timer);
	ic->ask = false;
	ic->asked = false;
	if (ic->service->down != NULL)
		ic->service->down(ic);
}

/* false: no room. */
static bool
ic_send(struct hvh_ic *ic, struct ic_order *o)
{
	uint32_t len = (uint32_t)sizeof(struct ic_header) + o->len;
	struct ic_header ih;

	if (!hvh_chan_room(ic->chan, len))
		return (false);
	memset(&ih, 0, sizeof(ih));
	memcpy(&ih.ih_type, o->msg + offsetof(struct ic_header, ih_type),
	    sizeof(ih.ih_type));
	ic_header(ic, &ih, ih.ih_type, o->len);
	ih.ih_framework = ic_wire_version(ic->framework);
	ih.ih_version = ic_wire_version(ic->version);
	memcpy(o->msg, &ih, sizeof(ih));
	if (o->fill != NULL)
		o->fill(o);
	if (hvh_chan_write(ic->chan, PKT_INBAND, 0, ic->xid, o->msg,
	    len) != 0)
		return (false);
	ic->info.requests++;
	ic->sent = true;
	ic->sent_at = hvh_now(ic->h);
	return (true);
}

void
ic_run(struct hvh_ic *ic)
{
	struct ic_order *o;

	if (ic->chan == NULL || !hvh_chan_is_open(ic->chan) || ic->sent)
		return;
	/* Its time runs while versions are asked for, too. */
	o = STAILQ_FIRST(&ic->orders);
	if (o != NULL && !ic->turn) {
		ic->turn = true;
		hvh_timer_set(ic->h, &ic->timer, hvh_now(ic->h) + o->limit);
	}
	if (ic->ask && !ic_ask(ic))
		return;
	if (o != NULL && !ic->asked && ic->state == HVH_IC_READY)
		ic_send(ic, o);
}

static void
ic_late(void *arg)
{
	struct ic_answer a = { .error = ETIMEDOUT };
	struct hvh_ic *ic = arg;

	ic->info.timeouts++;
	ic_end(ic, &a);
	ic_run(ic);
}

/* --- Packets --- */

/* What an answer must be like; NULL, or what it is not. */
static const char *
ic_check(const struct hvh_pkt *pkt, struct ic_header *ih, struct ic_answer *a)
{
	const uint8_t both = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	uint32_t room;

	if (pkt->type != PKT_INBAND || pkt->wants_completion)
		return ("a packet that is no message");
	if (pkt->len < sizeof(*ih))
		return ("a message without a header");
	memcpy(ih, pkt->data, sizeof(*ih));
	if (ih->ih_pipe_type != IC_PIPE_DATA)
		return ("a packet that is no pipe's data");
	room = pkt->len - (uint32_t)IC_PIPE_HEADER;
	if (ih->ih_pipe_len < sizeof(*ih) - IC_PIPE_HEADER ||
	    ih->ih_pipe_len > room)
		return ("a message longer than its packet");
	/* The pipe's length may still be the request's. */
	if (ih->ih_size > room - (sizeof(*ih) - IC_PIPE_HEADER))
		return ("a body longer than its packet");
	if ((ih->ih_flags & both) != both)
		return ("a message that is no response");
	a->error = 0;
	a->status = ih->ih_status;
	a->body = pkt->data + sizeof(*ih);
	a->len = ih->ih_size;
	return (NULL);
}

static void
ic_count_answer(struct hvh_ic *ic)
{
	uint64_t rtt = hvh_now(ic->h) - ic->sent_at;

	ic->info.answers++;
	ic->info.rtt_last = rtt;
	if (rtt > ic->info.rtt_max)
		ic->info.rtt_max = rtt;
}

static void
ic_packet(struct hvh_ic *ic, const struct hvh_pkt *pkt)
{
	struct ic_order *o = STAILQ_FIRST(&ic->orders);
	struct ic_header ih;
	struct ic_answer a;
	const char *why;
	uint16_t type;

	why = ic_check(pkt, &ih, &a);
	if (why != NULL) {
		ic->info.bad++;
		ic_grumble(ic, why);
		return;
	}
	if (ih.ih_type == IC_NEGOTIATE && ic->asked &&
	    pkt->xid == ic->ask_xid && ih.ih_id == (uint8_t)ic->ask_xid) {
		ic->info.answers++;
		ic_agreed(ic, &a);
		return;
	}
	if (ic->sent)
		memcpy(&type, o->msg + offsetof(struct ic_header, ih_type),
		    sizeof(type));
	if (!ic->sent || pkt->xid != ic->xid ||
	    ih.ih_id != (uint8_t)ic->xid || ih.ih_type != type) {
		ic->info.stale++;
		return;
	}
	ic_count_answer(ic);
	ic_end(ic, &a);
}

static void
ic_chan_signal(void *dev, struct hvh_chan *ch)
{
	struct hvh_ic *ic = dev;
	struct hvh_pkt pkt;

	while (hvh_chan_read(ch, &pkt) == 0) {
		ic_packet(ic, &pkt);
		ic_run(ic);
	}
	ic_run(ic);
}

/* --- The channel --- */

static int
ic_chan_open(void *dev, struct hvh_chan *ch, const uint8_t *udata)
{
	struct hvh_ic *ic = dev;

	ic->timer.fn = ic_late;
	ic->timer.arg = ic;
	ic->ask_timer.fn = ic_ask_again;
	ic->ask_timer.arg = ic;
	ic->grumbled = false;
	ic->state = HVH_IC_NEGOTIATING;
	ic->ask = true;
	ic->asked = false;
	ic->asks = 0;
	return (0);
}

static void
ic_chan_close(void *dev, struct hvh_chan *ch)
{
	struct hvh_ic *ic = dev;

	ic->state = HVH_IC_CLOSED;
	ic->framework = ic->version = 0;
	ic_fail_all(ic, ECONNRESET);
	hvh_chan_closed(ch);
}

void
hvh_ic_renegotiate(struct hvh_ic *ic)
{

	hvh_lock(ic->h);
	if (ic->state == HVH_IC_READY || ic->state == HVH_IC_REFUSED ||
	    ic->state == HVH_IC_NEGOTIATING)
		ic_ask_start(ic);
	hvh_unlock(ic->h);
}

const struct hvh_chan_ops ic_chan_ops = {
	.open = ic_chan_open,
	.close = ic_chan_close,
	.signal = ic_chan_signal,
	.released = ic_released,
};
