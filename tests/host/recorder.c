/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Writes down what the server does: see recorder.h. */

#include <atf-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "recorder.h"

static void say(struct recorder *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct recorder *r, const char *fmt, ...)
{
	size_t n = strlen(r->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->text + n, sizeof(r->text) - n, fmt, ap);
	va_end(ap);
}

static uint32_t
word(const void *msg, size_t at)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)msg + at, sizeof(v));
	return (v);
}

static void
rec_send(void *arg, uint32_t vp, uint8_t sint, const void *msg, size_t len)
{
	static const uint8_t sizes[] = { 0, 196, 12, 0, 8, 0, 20, 0, 0, 0, 20,
	    0, 12, 0, 0, 16, 0, 8, 0, 0, 12, 0, 0, 44, 16 };
	struct recorder *r = arg;
	uint32_t type = word(msg, 0);

	ATF_REQUIRE_MSG(type < sizeof(sizes) && len == sizes[type],
	    "message %u of %zu bytes", type, len);
	if (vp != 0 || sint != 2)
		say(r, "[%u.%u]", vp, sint);
	switch (type) {
	case 1:
		say(r, "offer %u.%u conn %x; ", word(msg, 184),
		    word(msg, 180) & 0xFFFF, word(msg, 192));
		break;
	case 2:
		say(r, "rescind %u; ", word(msg, 8));
		break;
	case 4:
		say(r, "alloffers; ");
		break;
	case 6:
		say(r, "opened %u %u %x; ", word(msg, 8), word(msg, 12),
		    word(msg, 16));
		break;
	case 10:
		say(r, "created %u %u %x; ", word(msg, 8), word(msg, 12),
		    word(msg, 16));
		break;
	case 12:
		say(r, "torndown %u; ", word(msg, 8));
		break;
	case 15:
		say(r, "version %u %x; ", word(msg, 8), word(msg, 12));
		break;
	case 17:
		say(r, "unloaded; ");
		break;
	case 20:
		say(r, "resclosed %u; ", word(msg, 8));
		break;
	case 23:
		say(r, "tlresult %x; ", word(msg, 40));
		break;
	case 24:
		say(r, "modified %u %x; ", word(msg, 8), word(msg, 12));
		break;
	default:
		atf_tc_fail("message %u to the guest", type);
	}
}

static unsigned
number(struct recorder *r, const struct vms_chan *ch)
{

	return ((unsigned)(ch - r->chan) + 1);
}

static void
rec_flush(void *arg)
{

	say(arg, "flush; ");
}

static void *
rec_page(void *arg, uint64_t pfn)
{
	struct recorder *r = arg;

	return (pfn < REC_PAGES ? r->page[pfn] : NULL);
}

static void
rec_connected(void *arg, const struct vms_conn *conn)
{

	if (conn->n_version == 0)
		say(arg, "gone; ");
	else
		say(arg, "conn %x; ", conn->n_version);
}

static void
rec_open(void *arg, struct vms_chan *ch)
{
	struct recorder *r = arg;

	say(r, "open %u; ", number(r, ch));
	if (!r->lazy)
		vms_open_done(&r->s, ch, !r->refuse);
}

static void
rec_close(void *arg, struct vms_chan *ch)
{
	struct recorder *r = arg;

	say(r, "close %u; ", number(r, ch));
	if (!r->lazy)
		vms_close_done(&r->s, ch);
}

static void
rec_retarget(void *arg, struct vms_chan *ch, uint32_t vp)
{

	say(arg, "move %u %u; ", number(arg, ch), vp);
}

static void
rec_gone(void *arg, struct vms_chan *ch)
{
	struct recorder *r = arg;

	say(r, "free %u; ", number(r, ch));
	r->gone[ch - r->chan] = true;
}

static void
rec_bad(void *arg, uint32_t type, const char *why)
{

	say(arg, "bad %u; ", type);
}

static const struct vms_ops rec_ops = {
	.send = rec_send,
	.flush = rec_flush,
	.page = rec_page,
	.connected = rec_connected,
	.open = rec_open,
	.close = rec_close,
	.retarget = rec_retarget,
	.gone = rec_gone,
	.bad = rec_bad,
};

void
rec_init(struct recorder *r, uint32_t max, uint32_t min)
{

	memset(r, 0, sizeof(*r));
	vms_init(&r->s, &rec_ops, r, 4, max, min, false);
}

void
rec_offer(struct recorder *r, unsigned n, unsigned sub)
{
	struct vms_chan *ch = &r->chan[n];

	memset(ch, 0, sizeof(*ch));
	r->gone[n] = false;
	if (sub > 0)
		ch->c_primary = &r->chan[0];
	ch->c_instance.b[0] = sub > 0 ? 0 : (uint8_t)n;
	ch->c_subidx = (uint16_t)sub;
	vms_offer_add(&r->s, ch);
}

void
rec_fini(struct recorder *r)
{

	vms_reset(&r->s);
	for (unsigned i = 0; i < REC_CHANS; i++) {
		struct vms_chan *ch = &r->chan[i];

		if (r->s.s_chans == NULL)
			break;
		if (!r->gone[i] && ch->c_primary == NULL &&
		    (i == 0 || ch->c_instance.b[0] != 0))
			vms_revoke(&r->s, ch);
	}
	for (unsigned i = 0; i < REC_CHANS; i++) {
		if (!r->gone[i] && r->chan[i].c_dev_open)
			vms_close_done(&r->s, &r->chan[i]);
	}
	vms_reap(&r->s);
	ATF_REQUIRE(r->s.s_chans == NULL);
	ATF_REQUIRE_EQ(0, r->s.s_ngpadls);
	ATF_REQUIRE_EQ(0, r->s.s_gpadl_bytes);
}

void
rec_expect(struct recorder *r, const char *file, int line, const char *text)
{
	size_t n = strlen(r->text);

	if (n >= 2)
		r->text[n - 2] = '\0';
	ATF_REQUIRE_MSG(strcmp(r->text, text) == 0,
	    "%s:%d: said \"%s\", not \"%s\"", file, line, r->text, text);
	r->text[0] = '\0';
}

void
in_words(struct recorder *r, uint32_t type, size_t len, unsigned n, ...)
{
	uint8_t m[240] = { 0 };
	uint32_t v;
	va_list ap;

	memcpy(m, &type, sizeof(type));
	va_start(ap, n);
	for (unsigned i = 0; i < n; i++) {
		v = va_arg(ap, uint32_t);
		memcpy(m + 8 + i * 4, &v, sizeof(v));
	}
	va_end(ap);
	vms_message(&r->s, m, len, false);
}

void
in_contact(struct recorder *r, uint32_t version, uint32_t vp, bool multi)
{
	uint8_t m[40] = { 14 };

	memcpy(m + 8, &version, sizeof(version));
	memcpy(m + 12, &vp, sizeof(vp));
	if (version >= 0x50000)
		m[16] = 2;
	vms_message(&r->s, m, sizeof(m), multi);
}

void
in_open(struct recorder *r, uint32_t chan, uint32_t openid, uint32_t gpadl,
    uint32_t vp, uint32_t down)
{

	in_words(r, 5, 148, 5, chan, openid, gpadl, vp, down);
}

void
in_gpadl(struct recorder *r, uint32_t chan, uint32_t id, uint64_t first,
    unsigned n)
{
	uint8_t m[240] = { 8 };
	uint32_t w[5] = { chan, id, (8 + n * 8) | 1 << 16, n * 4096, 0 };
	uint64_t pfn;

	memcpy(m + 8, w, sizeof(w));
	for (unsigned i = 0; i < n; i++) {
		pfn = first + i;
		memcpy(m + 28 + i * 8, &pfn, sizeof(pfn));
	}
	vms_message(&r->s, m, 28 + n * 8, false);
}

void
rec_connect(struct recorder *r, uint32_t version)
{

	in_contact(r, version, 0, version >= 0x50000);
	in_words(r, 3, 8, 0);
	r->text[0] = '\0';
}
