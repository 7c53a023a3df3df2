/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sessions with integration services and the keyboard, while somebody gives
 * orders on the host's side: versions agreed on, and then answers that are
 * nearly right, late, given twice, cut short or to nothing, and packets of any
 * kind (protocol: utilities, 2).
 */

#include "noise.h"

#define	PKT_INBAND	6

/* In a packet, behind its descriptor. */
#define	AT_PIPE_LEN	(16 + 4)
#define	AT_TYPE		(16 + 12)
#define	AT_SIZE		(16 + 18)
#define	AT_STATUS	(16 + 20)
#define	AT_FLAGS	(16 + 25)
#define	AT_BODY		(16 + 28)
#define	AT_VERSIONS	(AT_BODY + 8)

#define	RESPONSE	5
#define	NEGOTIATE	0

#define	KEPT		4		/* requests that may be answered late */
#define	REQUEST_MAX	8192

struct request {
	uint8_t		 p[REQUEST_MAX];
	uint32_t	 len;		/* as it came; more than that is cut */
};

static const uint8_t guid_keyboard[16] = { 0x6D, 0xAD, 0x12, 0xF9, 0x17, 0x2B,
	0xEA, 0x48, 0xBD, 0x65, 0xF9, 0x27, 0xA6, 0x1C, 0x76, 0x84 };

static uint16_t
get16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

/* What hurts: the lengths, the type, the flags; or any byte. */
static void
mutate(struct cpu *c, uint8_t *p, uint32_t len)
{
	static const uint16_t places[] = { 2, 4, 6, 8, AT_PIPE_LEN, AT_TYPE,
	    AT_SIZE, AT_STATUS, AT_FLAGS - 1, AT_BODY, AT_BODY + 2, AT_BODY + 4,
	    AT_BODY + 8, AT_BODY + 12 };
	uint32_t at;

	for (unsigned n = 1 + (unsigned)below(c, 3); n > 0; n--) {
		at = chance(c, 3) ? (uint32_t)below(c, len) :
		    places[below(c, sizeof(places) / sizeof(places[0]))];
		if (at + 2 > len)
			continue;
		put16(p + at, (uint16_t)(chance(c, 2) ? edge(c) : rnd(c)));
	}
}

/* One of the versions that are offered, or, now and then, another. */
static void
choose(struct cpu *c, struct request *r)
{
	uint32_t fw = get16(r->p + AT_BODY), msg = get16(r->p + AT_BODY + 2);
	uint32_t most = (REQUEST_MAX - AT_VERSIONS) / 4, v;

	if (fw == 0 || msg == 0 || fw + msg > most)
		return;
	v = get32(r->p + AT_VERSIONS + 4 * (fw + (uint32_t)below(c, msg)));
	put32(r->p + AT_VERSIONS, get32(r->p + AT_VERSIONS +
	    4 * (uint32_t)below(c, fw)));
	put32(r->p + AT_VERSIONS + 4, chance(c, 32) ? (uint32_t)rnd(c) : v);
	put16(r->p + AT_BODY, 1);
	put16(r->p + AT_BODY + 2, 1);
	put16(r->p + AT_SIZE, 16);
}

static void
answer(struct cpu *c, struct chan *ch, struct request *r)
{
	static const uint32_t statuses[] = { 0, 0, 0, 0, 0x80070103,
	    0x80004005, 0x80070050, 0x80070070 };
	uint32_t len = r->len;

	if (len < AT_BODY)
		return;
	r->p[AT_FLAGS] = RESPONSE;
	put32(r->p + AT_STATUS, statuses[below(c, 8)]);
	if (get16(r->p + AT_TYPE) == NEGOTIATE) {
		put32(r->p + AT_STATUS, 0);
		choose(c, r);
	} else if (get16(r->p + AT_TYPE) == 1)
		r->p[AT_BODY]++;		/* heartbeat */
	if (chance(c, 4))
		mutate(c, r->p, len);
	if (chance(c, 16)) {
		/* Its descriptor may say so, or not. */
		len = 16 + (uint32_t)below(c, len - 15);
		if (!chance(c, 3))
			put16(r->p + 4, (uint16_t)((len + 7) / 8));
	}
	for (int n = chance(c, 8) ? 2 : 1; n > 0; n--)
		(void)chan_write(ch, r->p, len);
}

/* Nobody has asked for it. */
static void
unasked(struct cpu *c, struct chan *ch)
{
	uint8_t p[256];
	uint32_t len = 16 + (uint32_t)below(c, sizeof(p) - 16);

	fill(c, p, sizeof(p));
	pkt_descriptor(p, chance(c, 4) ? (uint16_t)below(c, 16) : PKT_INBAND,
	    16, (len + 7) & ~7u, edge(c));
	put16(p + 6, (uint16_t)below(c, 2));
	put32(p + 16, 1);
	put32(p + AT_PIPE_LEN, chance(c, 4) ? (uint32_t)edge(c) : len - 24);
	if (chance(c, 4))
		mutate(c, p, len);
	(void)chan_write(ch, p, len);
}

/* What a keyboard's driver says, nearly. */
static void
keyboard(struct cpu *c, struct chan *ch)
{
	uint8_t p[24] = { 0 };

	pkt_descriptor(p, PKT_INBAND, 16, sizeof(p), rnd(c));
	put16(p + 6, (uint16_t)below(c, 2));
	put32(p + 16, chance(c, 16) ? (uint32_t)edge(c) :
	    chance(c, 3) ? 4 : 1);
	put32(p + 20, chance(c, 8) ? (uint32_t)edge(c) : 0x10000);
	(void)chan_write(ch, p, sizeof(p));
}

static void
garbage(struct cpu *c, struct chan *ch)
{
	uint8_t p[64];

	fill(c, p, sizeof(p));
	(void)chan_write(ch, p, sizeof(p));
}

void
ic_hammer(struct cpu *c, struct chan *ch, unsigned n)
{
	static struct request kept[KEPT];
	bool keys = memcmp(ch->offer.type, guid_keyboard, 16) == 0;
	unsigned next = 0;
	uint32_t len;

	for (unsigned i = 0; i < KEPT; i++)
		kept[i].len = 0;
	for (; n > 0; n--, c->ops++) {
		/* Who reads no requests is to be given up. */
		while (!chance(c, 8) && (len = chan_read(ch, kept[next].p,
		    REQUEST_MAX)) != 0) {
			kept[next].len = len < REQUEST_MAX ? len : REQUEST_MAX;
			if (!keys && !chance(c, 8))
				answer(c, ch, &kept[next]);
			next = (next + 1) % KEPT;
		}
		if (keys && chance(c, 2))
			keyboard(c, ch);
		else if (!keys && chance(c, 8))
			answer(c, ch, &kept[below(c, KEPT)]);
		if (chance(c, 8))
			unasked(c, ch);
		if (chance(c, 100))
			garbage(c, ch);
		if (chance(c, 2))
			chan_signal(ch);
		/* The host's side needs its time to ask. */
		if (chance(c, 4))
			delay_ms(1);
	}
}
