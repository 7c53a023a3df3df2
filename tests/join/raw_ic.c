/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* A host's service without manners; see raw_ic.h. */

#include <atf-c.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "raw_ic.h"

/* Flags of an offer, and the first word of its user data: a message pipe. */
#define	OFFER_INTERFACE	0x0001
#define	OFFER_PIPE	0x0010
#define	PIPE_MESSAGES	4

#define	INBAND		6

static int
raw_open(void *dev, struct hvh_chan *ch, const uint8_t *udata)
{
	struct raw_ic *r = dev;
	unsigned i;

	r->open = true;
	r->opens++;
	for (i = 0; i < r->ngreetings; i++)
		(void)hvh_chan_write(ch, INBAND, 0, i, r->greetings[i].data,
		    r->greetings[i].len);
	return (0);
}

static void
raw_close(void *dev, struct hvh_chan *ch)
{
	struct raw_ic *r = dev;

	r->open = false;
	r->closes++;
	hvh_chan_closed(ch);
}

static void
raw_signal(void *dev, struct hvh_chan *ch)
{
	struct raw_ic *r = dev;
	struct raw_answer *a;
	struct hvh_pkt pkt;

	while (!r->deaf && hvh_chan_read(ch, &pkt) == 0) {
		if (r->got < RAW_ANSWERS && pkt.len <= RAW_LEN) {
			a = &r->answers[r->got];
			a->type = pkt.type;
			a->wants_completion = pkt.wants_completion;
			a->xid = pkt.xid;
			a->len = pkt.len;
			memcpy(a->data, pkt.data, pkt.len);
		}
		r->got++;
	}
}

static void
raw_released(void *dev)
{
}

static const struct hvh_chan_ops raw_ops = {
	.open = raw_open,
	.close = raw_close,
	.signal = raw_signal,
	.released = raw_released,
};

/* One a process: it goes with it. */
struct raw_ic *
raw_ic_add(struct hvh *h, const char *class)
{
	static struct raw_ic raw;
	struct hvh_offer of = {
		.flags = OFFER_INTERFACE | OFFER_PIPE,
		.udata = { PIPE_MESSAGES },
	};

	raw = (struct raw_ic){ .h = h };
	ATF_REQUIRE_EQ(0, hvh_guid_parse(class, &of.type));
	of.instance.b[15] = 1;
	hvh_lock(h);
	ATF_REQUIRE_EQ(0, hvh_chan_offer(h, &of, &raw_ops, &raw, &raw.ch));
	hvh_unlock(h);
	return (&raw);
}

void
raw_ic_wait_open(struct raw_ic *r)
{
	unsigned i;
	bool open = false;

	for (i = 0; i < 10000 && !open; i++) {
		hvh_lock(r->h);
		open = r->open;
		hvh_unlock_quiet(r->h);
		if (!open)
			usleep(1000);
	}
	ATF_REQUIRE_MSG(open, "the guest did not open the service");
}

int
raw_ic_send(struct raw_ic *r, uint16_t type, const void *data, uint32_t len,
    uint64_t xid)
{
	int error;

	hvh_lock(r->h);
	ATF_REQUIRE(r->open);
	error = hvh_chan_write(r->ch, type, 0, xid, data, len);
	hvh_chan_flush(r->ch);
	hvh_unlock(r->h);
	return (error);
}

unsigned
raw_ic_got(struct raw_ic *r)
{
	unsigned got;

	hvh_lock(r->h);
	got = r->got;
	hvh_unlock_quiet(r->h);
	return (got);
}

void
raw_ic_listen(struct raw_ic *r)
{

	hvh_lock(r->h);
	r->deaf = false;
	raw_signal(r, r->ch);
	hvh_unlock(r->h);
}

const struct raw_answer *
raw_ic_answer(struct raw_ic *r, unsigned ms)
{
	unsigned i;

	for (i = 0; raw_ic_got(r) <= r->taken; i++) {
		if (i >= ms * 10)
			return (NULL);
		usleep(100);
	}
	ATF_REQUIRE(r->taken < RAW_ANSWERS);
	return (&r->answers[r->taken++]);
}

/* --- Messages --- */

void
raw_put16(struct raw_msg *m, uint32_t at, uint16_t v)
{

	memcpy(m->data + at, &v, sizeof(v));
}

void
raw_put32(struct raw_msg *m, uint32_t at, uint32_t v)
{

	memcpy(m->data + at, &v, sizeof(v));
}

void
raw_put64(struct raw_msg *m, uint32_t at, uint64_t v)
{

	memcpy(m->data + at, &v, sizeof(v));
}

uint32_t
raw_get(const struct raw_answer *a, uint32_t at, unsigned bytes)
{
	uint32_t v = 0;

	ATF_REQUIRE(at + bytes <= a->len && bytes <= sizeof(v));
	memcpy(&v, a->data + at, bytes);
	return (v);
}

uint64_t
raw_get64(const struct raw_answer *a, uint32_t at)
{

	return (raw_get(a, at, 4) | (uint64_t)raw_get(a, at + 4, 4) << 32);
}

void
raw_msg(struct raw_msg *m, uint16_t type, uint32_t len)
{

	memset(m, 0, sizeof(*m));
	m->len = 28 + len;
	raw_put32(m, 0, 1);
	raw_put32(m, 4, 20 + len);
	raw_put16(m, 8, 3);
	raw_put16(m, 12, type);
	raw_put16(m, 18, (uint16_t)len);
	m->data[24] = 7;
	m->data[25] = 3;
}

void
raw_negotiation(struct raw_msg *m, uint32_t version)
{

	raw_msg(m, 0, 8 + 3 * 4);
	raw_put16(m, 28, 2);
	raw_put16(m, 30, 1);
	raw_put16(m, 36, 3);
	raw_put16(m, 40, 1);
	raw_put16(m, 44, (uint16_t)(version >> 16));
	raw_put16(m, 46, (uint16_t)version);
}

const struct raw_answer *
raw_ic_ask(struct raw_ic *r, const struct raw_msg *m, uint32_t status)
{
	static uint64_t xid = 0x123456789abc0000;
	const struct raw_answer *a;

	xid++;
	ATF_REQUIRE_EQ(0, raw_ic_send(r, INBAND, m->data, m->len, xid));
	a = raw_ic_answer(r, 10000);
	ATF_REQUIRE_MSG(a != NULL, "no answer");
	ATF_CHECK_EQ(INBAND, a->type);
	ATF_CHECK(!a->wants_completion);
	ATF_CHECK_EQ(xid, a->xid);
	ATF_CHECK_EQ(1, raw_get(a, 0, 4));
	ATF_CHECK(raw_get(a, 4, 4) + 8 <= a->len);
	ATF_CHECK(raw_get(a, 18, 2) + 28u <= a->len);
	ATF_CHECK_EQ(raw_get(a, 12, 2), m->data[12] | m->data[13] << 8);
	ATF_CHECK_EQ(m->data[24], a->data[24]);
	ATF_CHECK_EQ(5, a->data[25]);
	ATF_CHECK_EQ_MSG(status, raw_get(a, 20, 4), "status %#x",
	    raw_get(a, 20, 4));
	ATF_CHECK_EQ(r->taken, raw_ic_got(r));
	return (a);
}

void
raw_ic_agree(struct raw_ic *r, uint32_t version)
{
	const struct raw_answer *a;
	struct raw_msg m;

	raw_negotiation(&m, version);
	a = raw_ic_ask(r, &m, 0);
	ATF_REQUIRE_EQ(1, raw_get(a, 28, 2));
	ATF_REQUIRE_EQ(1, raw_get(a, 30, 2));
	ATF_REQUIRE_EQ(3, raw_get(a, 36, 2));
	ATF_REQUIRE_EQ(0, raw_get(a, 38, 2));
	ATF_REQUIRE_EQ(version >> 16, raw_get(a, 40, 2));
	ATF_REQUIRE_EQ(version & 0xffff, raw_get(a, 42, 2));
	ATF_CHECK_EQ(16, raw_get(a, 18, 2));
}
