/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * GPADLs: lists of guest pages, told in pieces (protocol: vmbus, 6).  The
 * memory they may take here is bounded for the whole connection.
 */

#include <stdlib.h>
#include <string.h>

#include "vmbus/server.h"

#define	GPADLS_MAX	8192
#define	GPADL_BYTES_MAX	(16u << 20)	/* of range buffers: 8 GiB shared */
#define	GPADL_PAGE	4096u

static struct vms_gpadl *
gpadl_find(struct vms_server *s, struct vms_chan *ch, uint32_t id)
{
	struct vms_gpadl *g;

	for (g = s->s_gpadls; g != NULL; g = g->g_next) {
		if (g->g_id == id && g->g_chan == ch)
			return (g);
	}
	return (NULL);
}

static struct vms_gpadl *
gpadl_partial(struct vms_server *s, uint32_t id)
{
	struct vms_gpadl *g;

	for (g = s->s_gpadls; g != NULL; g = g->g_next) {
		if (g->g_id == id && g->g_state == VMS_GP_PARTIAL)
			return (g);
	}
	return (NULL);
}

static void
gpadl_free(struct vms_server *s, struct vms_gpadl *g)
{

	s->s_gpadl_bytes -= g->g_len;
	s->s_ngpadls--;
	free(g->g_buf);
	free(g->g_pages);
	free(g);
}

static bool
gpadl_used(const struct vms_gpadl *g)
{

	return (g->g_holds > 0 || g->g_chan->c_ring == g);
}

/* Off the list; one that is in use lives on until the device is done. */
static void
gpadl_forget(struct vms_server *s, struct vms_gpadl *g)
{
	struct vms_gpadl **p;

	for (p = &s->s_gpadls; *p != g; p = &(*p)->g_next)
		;
	*p = g->g_next;
	g->g_next = NULL;
	if (gpadl_used(g))
		g->g_dropped = true;
	else
		gpadl_free(s, g);
}

static void
created(struct vms_server *s, uint32_t chan, uint32_t id, uint32_t status)
{
	struct vms_gpadl_created mg = {
		.mg_hdr = { .mh_type = VMS_GPADL_CREATED },
		.mg_chan = chan,
		.mg_gpadl = id,
		.mg_status = status,
	};

	vms_send(s, &mg, sizeof(mg));
}

static void
torn_down(struct vms_server *s, uint32_t id)
{
	struct vms_gpadl_torn_down mg = {
		.mg_hdr = { .mh_type = VMS_GPADL_TORN_DOWN },
		.mg_gpadl = id,
	};

	vms_send(s, &mg, sizeof(mg));
}

/* Looks every page up once; false: a range or page is bad. */
static bool
gpadl_map(struct vms_server *s, struct vms_gpadl *g)
{
	const uint64_t *w = g->g_buf, *end = g->g_buf + g->g_len / 8;
	struct vms_range r;
	uint64_t n;

	g->g_pages = malloc(g->g_len);
	if (g->g_pages == NULL)
		return (false);
	for (uint32_t i = 0; i < g->g_nranges; i++) {
		if (w == end)
			return (false);
		memcpy(&r, w++, sizeof(r));
		n = ((uint64_t)r.vr_ofs + r.vr_len + GPADL_PAGE - 1) /
		    GPADL_PAGE;
		if (r.vr_len == 0 || r.vr_ofs >= GPADL_PAGE ||
		    n > (uint64_t)(end - w))
			return (false);
		for (; n > 0; n--) {
			uint8_t *page = s->s_ops->page(s->s_arg, *w++);

			if (page == NULL)
				return (false);
			g->g_pages[g->g_npages++] = page;
		}
		g->g_ring = g->g_nranges == 1 && r.vr_ofs == 0 &&
		    r.vr_len % GPADL_PAGE == 0;
	}
	return (true);
}

/* Takes the next bytes of the range buffer; answers when all are there. */
static void
gpadl_feed(struct vms_server *s, struct vms_gpadl *g, const void *data,
    size_t len)
{
	uint32_t chan = g->g_chan->c_id, id = g->g_id;

	/* Some firmware sends full-size messages: the rest is ignored. */
	if (len > g->g_len - g->g_have)
		len = g->g_len - g->g_have;
	memcpy((uint8_t *)g->g_buf + g->g_have, data, len);
	g->g_have += len;
	if (g->g_have < g->g_len)
		return;
	/* On a rescinded channel the guest only wants to be done (6.2). */
	if (g->g_chan->c_state != VMS_CH_REVOKED && !gpadl_map(s, g)) {
		vms_bad(s, VMS_GPADL_HEADER, "GPADL with a bad range");
		gpadl_forget(s, g);
		created(s, chan, id, VMS_STATUS_FAILED);
		return;
	}
	g->g_state = VMS_GP_ACCEPTED;
	free(g->g_buf);
	g->g_buf = NULL;
	created(s, chan, id, VMS_STATUS_OK);
}

void
vms_in_gpadl_header(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	struct vms_gpadl_header mg;
	struct vms_gpadl *g = NULL;
	struct vms_chan *ch;
	uint32_t bytes;

	memcpy(&mg, msg, sizeof(mg));
	ch = vms_chan_find(s, mg.mg_chan);
	bytes = mg.mg_len & ~7u;
	/* A range takes a head and a page at least. */
	if (ch != NULL && !ch->c_reserved && mg.mg_gpadl != 0 &&
	    mg.mg_ranges != 0 && mg.mg_ranges <= bytes / 16 &&
	    gpadl_find(s, ch, mg.mg_gpadl) == NULL &&
	    gpadl_partial(s, mg.mg_gpadl) == NULL &&
	    s->s_ngpadls < GPADLS_MAX &&
	    s->s_gpadl_bytes + bytes <= GPADL_BYTES_MAX)
		g = calloc(1, sizeof(*g));
	if (g != NULL) {
		g->g_buf = malloc(bytes);
		if (g->g_buf == NULL) {
			free(g);
			g = NULL;
		}
	}
	if (g == NULL) {
		vms_bad(s, VMS_GPADL_HEADER, "GPADL header refused");
		created(s, mg.mg_chan, mg.mg_gpadl, VMS_STATUS_FAILED);
		return;
	}
	g->g_chan = ch;
	g->g_id = mg.mg_gpadl;
	g->g_len = bytes;
	g->g_nranges = mg.mg_ranges;
	g->g_next = s->s_gpadls;
	s->s_gpadls = g;
	s->s_ngpadls++;
	s->s_gpadl_bytes += bytes;
	gpadl_feed(s, g, (const uint8_t *)msg + sizeof(mg),
	    (len - sizeof(mg)) & ~(size_t)7);
}

void
vms_in_gpadl_body(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	struct vms_gpadl_body mg;
	struct vms_gpadl *g;
	uint32_t chan;

	memcpy(&mg, msg, sizeof(mg));
	g = gpadl_partial(s, mg.mg_gpadl);
	if (g == NULL) {
		vms_bad(s, VMS_GPADL_BODY, "body of no GPADL");
		return;
	}
	len = (len - sizeof(mg)) & ~(size_t)7;
	if (len == 0) {
		vms_bad(s, VMS_GPADL_BODY, "empty GPADL body");
		chan = g->g_chan->c_id;
		gpadl_forget(s, g);
		created(s, chan, mg.mg_gpadl, VMS_STATUS_FAILED);
		return;
	}
	gpadl_feed(s, g, (const uint8_t *)msg + sizeof(mg), len);
}

void
vms_in_gpadl_teardown(struct vms_server *s, const void *msg, size_t len,
    bool multi)
{
	const struct vms_gpadl_teardown *mg = msg;
	struct vms_gpadl *g = NULL;
	struct vms_chan *ch;

	ch = vms_chan_find(s, mg->mg_chan);
	if (ch != NULL && !ch->c_reserved)
		g = gpadl_find(s, ch, mg->mg_gpadl);
	if (g == NULL || g->g_state != VMS_GP_ACCEPTED) {
		vms_bad(s, VMS_GPADL_TEARDOWN, "teardown of no GPADL");
		return;
	}
	if (gpadl_used(g)) {
		/* Answered when the device lets go of it. */
		g->g_state = VMS_GP_TEARING;
		return;
	}
	gpadl_forget(s, g);
	torn_down(s, mg->mg_gpadl);
}

struct vms_gpadl *
vms_gpadl_ring(struct vms_server *s, struct vms_chan *ch, uint32_t id)
{
	struct vms_gpadl *g;

	g = gpadl_find(s, ch, id);
	return (g != NULL && g->g_state == VMS_GP_ACCEPTED && g->g_ring ?
	    g : NULL);
}

/* A use has ended: what was put off until then. */
static void
gpadl_settle(struct vms_server *s, struct vms_gpadl *g)
{
	uint32_t id;

	if (gpadl_used(g))
		return;
	if (g->g_dropped) {
		gpadl_free(s, g);
	} else if (g->g_state == VMS_GP_TEARING) {
		id = g->g_id;
		gpadl_forget(s, g);
		torn_down(s, id);
	}
}

void
vms_gpadl_unuse(struct vms_server *s, struct vms_chan *ch)
{
	struct vms_gpadl *g = ch->c_ring;

	if (g == NULL)
		return;
	ch->c_ring = NULL;
	gpadl_settle(s, g);
}

struct vms_gpadl *
vms_gpadl_hold(struct vms_server *s, struct vms_chan *ch, uint32_t id)
{
	struct vms_gpadl *g;

	g = vms_gpadl_ring(s, ch, id);
	if (g != NULL)
		g->g_holds++;
	return (g);
}

void
vms_gpadl_unhold(struct vms_server *s, struct vms_gpadl *g)
{

	g->g_holds--;
	gpadl_settle(s, g);
}

void
vms_gpadl_drop(struct vms_server *s, struct vms_chan *ch)
{
	struct vms_gpadl *g, *next;

	for (g = s->s_gpadls; g != NULL; g = next) {
		next = g->g_next;
		if (g->g_chan == ch)
			gpadl_forget(s, g);
	}
}
