/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest's side of an integration service; see fake_ic.h.
 */

#include <atf-c.h>
#include <stdio.h>
#include <string.h>

#include "fake_ic.h"

uint16_t
fic_get16(const uint8_t *p)
{

	return ((uint16_t)(p[0] | p[1] << 8));
}

uint32_t
fic_get32(const uint8_t *p)
{

	return (fic_get16(p) | (uint32_t)fic_get16(p + 2) << 16);
}

uint64_t
fic_get64(const uint8_t *p)
{

	return (fic_get32(p) | (uint64_t)fic_get32(p + 4) << 32);
}

void
fic_put16(uint8_t *p, uint16_t v)
{

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void
fic_put32(uint8_t *p, uint32_t v)
{

	fic_put16(p, (uint16_t)v);
	fic_put16(p + 2, (uint16_t)(v >> 16));
}

void
fic_put64(uint8_t *p, uint64_t v)
{

	fic_put32(p, (uint32_t)v);
	fic_put32(p + 4, (uint32_t)(v >> 32));
}

static void
copy_text(char *to, size_t size, const char *from)
{

	snprintf(to, size, "%s", from != NULL ? from : "(none)");
}

void
fic_done(void *arg, const struct hvh_ic_result *r)
{
	struct fic_end *e = arg;
	unsigned n = e->n;

	memset(e, 0, sizeof(*e));
	e->n = n + 1;
	e->error = r->error;
	e->status = r->status;
	e->flags = r->flags;
	e->len = r->len;
	e->bytes = r->bytes;
	copy_text(e->step, sizeof(e->step), r->step);
	if (r->item != NULL) {
		e->have_item = true;
		e->type = r->item->type;
		e->number = r->item->number;
		copy_text(e->key, sizeof(e->key), r->item->key);
		copy_text(e->text, sizeof(e->text), r->item->text);
	}
	if (r->ip != NULL) {
		e->have_ip = true;
		e->family = r->ip->family;
		e->dhcp = r->ip->dhcp;
		copy_text(e->ip[0], sizeof(e->ip[0]), r->ip->adapter);
		copy_text(e->ip[1], sizeof(e->ip[1]), r->ip->addresses);
		copy_text(e->ip[2], sizeof(e->ip[2]), r->ip->subnets);
		copy_text(e->ip[3], sizeof(e->ip[3]), r->ip->gateways);
		copy_text(e->ip[4], sizeof(e->ip[4]), r->ip->dns);
	}
}

struct hvh *
fic_new(enum hvh_ic_kind kind, uint32_t max_version, struct hvh_ic **ic,
    struct hvh_chan **ch)
{
	struct hvh_ic_params ip = { .kind = kind, .max_version = max_version };
	struct hvh *h;

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, hvh_ic_add(h, &ip, ic));
	*ch = fake_chan(h, 0);
	/* A message-mode pipe.  protocol: utilities, 2.1 */
	ATF_CHECK_EQ(0x11, (*ch)->offer.flags);
	ATF_CHECK_EQ(4, fic_get32((*ch)->offer.udata));
	ATF_REQUIRE_EQ(0, fake_open(*ch));
	fake_signal(*ch);
	return (h);
}

bool
fic_next(struct hvh_chan *ch, struct fic_msg *m)
{
	struct fake_pkt *p = fake_get(ch);

	memset(m, 0, sizeof(*m));
	if (p == NULL)
		return (false);
	ATF_REQUIRE_EQ(6, p->type);
	ATF_CHECK(!p->wants_completion);
	ATF_REQUIRE(p->len >= 28);
	m->xid = p->xid;
	m->len = p->len;
	memcpy(m->b, p->data, p->len);
	fake_pkt_free(p);
	ATF_CHECK_EQ(1, fic_get32(m->b));
	ATF_CHECK_EQ(m->len - 8, fic_get32(m->b + 4));
	ATF_CHECK_EQ(m->len - 28, fic_get16(m->b + 18));
	ATF_CHECK_EQ(0, fic_get32(m->b + 20));
	/* Transaction and request. */
	ATF_CHECK_EQ(3, m->b[25]);
	return (true);
}

void
fic_expect(struct hvh_chan *ch, uint16_t type, struct fic_msg *m)
{

	ATF_REQUIRE(fic_next(ch, m));
	ATF_REQUIRE_EQ(type, fic_get16(m->b + 12));
}

void
fic_send(struct hvh_chan *ch, const struct fic_msg *m)
{

	fake_put(ch, 6, false, m->xid, m->b, m->len);
	fake_signal(ch);
}

void
fic_answer(struct hvh_chan *ch, struct fic_msg *m, uint32_t status)
{

	m->b[25] = 5;
	fic_put32(m->b + 20, status);
	fic_send(ch, m);
}

void
fic_agree(struct hvh_chan *ch, uint32_t framework, uint32_t version)
{
	struct fic_msg m;

	fic_expect(ch, FIC_NEGOTIATE, &m);
	fic_put16(m.b + 28, 1);
	fic_put16(m.b + 30, 1);
	fic_put16(m.b + 36, (uint16_t)(framework >> 16));
	fic_put16(m.b + 38, (uint16_t)framework);
	fic_put16(m.b + 40, (uint16_t)(version >> 16));
	fic_put16(m.b + 42, (uint16_t)version);
	fic_put16(m.b + 18, 16);
	if (m.len < 44)
		m.len = 44;
	fic_answer(ch, &m, 0);
}

void
fic_sleep(struct hvh *h, uint64_t ns)
{
	uint64_t end = h->now + ns;

	while (h->timers != NULL && h->timers->at <= end) {
		if (h->timers->at > h->now)
			h->now = h->timers->at;
		fake_pump(h);
	}
	h->now = end;
	fake_pump(h);
}
