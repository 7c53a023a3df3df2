/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Noise for VMBus: channel messages, valid by half, in any order and number
 * (protocol: vmbus, 2).  Channel and GPADL ids come from a few, so that
 * messages meet each other's channels and GPADLs.
 */

#include "noise.h"

#define	MSG_MAX		240
#define	CHANS		24		/* ids that are likely */
#define	GPADLS		12

static const uint32_t versions[] = {
	0x0000000D, 0x00010001, 0x00020004, 0x00030000, 0x00040000,
	0x00040001, 0x00050000, 0x00050001, 0x00050002, 0x00050003,
	0x00060000,
};

static uint32_t
chan_id(struct cpu *c)
{

	return ((uint32_t)(chance(c, 12) ? edge(c) : below(c, CHANS)));
}

/*
 * While cpu 0 has a session of its own, the others' ids are not its: the noise
 * would only end it.
 */
static uint32_t
gpadl_id(struct cpu *c)
{

	if (!shared.deep && chance(c, 8))
		return (0xE1E10 + (uint32_t)below(c, 8));
	return ((uint32_t)(chance(c, 12) ? edge(c) & 0xFFFF :
	    1 + below(c, GPADLS)));
}

static uint32_t
vp(struct cpu *c)
{

	return ((uint32_t)(chance(c, 6) ? edge(c) :
	    below(c, shared.cpus + 1)));
}

static uint32_t
contact(struct cpu *c, uint8_t *m)
{

	put32(m + 8, chance(c, 8) ? (uint32_t)edge(c) :
	    versions[below(c, sizeof(versions) / sizeof(versions[0]))]);
	put32(m + 12, vp(c));
	if (chance(c, 2))
		put64(m + 16, any_gpa(c));
	else
		m[16] = (uint8_t)(chance(c, 4) ? below(c, 17) : 2);
	put64(m + 24, chance(c, 4) ? 0 : any_gpa(c));
	put64(m + 32, chance(c, 4) ? 0 : any_gpa(c));
	return (40 + (chance(c, 4) ? 16 : 0));
}

static uint32_t
open_channel(struct cpu *c, uint8_t *m)
{

	put32(m + 8, chan_id(c));
	put32(m + 12, (uint32_t)edge(c));
	put32(m + 16, gpadl_id(c));
	put32(m + 20, chance(c, 8) ? 0xFFFFFFFF : vp(c));
	put32(m + 24, (uint32_t)(chance(c, 4) ? edge(c) : below(c, 28)));
	fill(c, m + 28, 128);
	return (chance(c, 4) ? 156 : 148);
}

/* Pages of all kinds; the announced length may be another. */
static uint32_t
gpadl_header(struct cpu *c, uint8_t *m)
{
	uint32_t n = (uint32_t)below(c, 27), bytes = 8 + 8 * n;

	put32(m + 8, chan_id(c));
	put32(m + 12, gpadl_id(c));
	put16(m + 16, (uint16_t)(chance(c, 4) ? edge(c) :
	    bytes + 8 * below(c, 3) * 28));
	put16(m + 18, (uint16_t)(chance(c, 8) ? edge(c) : 1));
	put32(m + 20, (uint32_t)(chance(c, 6) ? edge(c) : n * PAGE));
	put32(m + 24, (uint32_t)(chance(c, 8) ? edge(c) : 0));
	for (uint32_t i = 0; i < n; i++)
		put64(m + 28 + 8 * i, (chance(c, 8) ? any_page(c) :
		    arena(c, PAGE)) / PAGE);
	return (20 + bytes);
}

static uint32_t
gpadl_body(struct cpu *c, uint8_t *m)
{
	uint32_t n = (uint32_t)below(c, 29);

	put32(m + 8, (uint32_t)below(c, 3));
	put32(m + 12, gpadl_id(c));
	for (uint32_t i = 0; i < n; i++)
		put64(m + 16 + 8 * i, (chance(c, 8) ? any_page(c) :
		    arena(c, PAGE)) / PAGE);
	return (16 + 8 * n);
}

static uint32_t
other(struct cpu *c, uint8_t *m, uint32_t type)
{
	static const uint8_t sizes[32] = { 8, 196, 12, 8, 8, 148, 20, 12, 20,
	    16, 20, 16, 12, 12, 40, 16, 8, 8, 28, 20, 12, 56, 16, 44, 16, 24,
	    9, 8, 8, 8, 8, 8 };

	fill(c, m + 8, 56);
	put32(m + 8, chan_id(c));
	put32(m + 12, type == 11 ? gpadl_id(c) : vp(c));
	if (type == 18)
		put32(m + 20, gpadl_id(c));
	return (sizes[type % 32]);
}

/* Fills in a message; its length. */
static uint32_t
message(struct cpu *c, uint8_t *m)
{
	static const uint8_t types[] = { 14, 14, 14, 3, 3, 5, 5, 5, 7, 7, 8, 8,
	    8, 8, 9, 9, 11, 11, 13, 16, 18, 19, 21, 22, 22, 25, 27, 29 };
	uint32_t len, type = types[below(c, sizeof(types))];

	if (chance(c, 12))
		type = (uint32_t)(chance(c, 4) ? edge(c) : below(c, 32));
	/* What would end cpu 0's session has its time at other times. */
	if (shared.deep && (type == 14 || type == 16 || type == 27))
		type = 8;
	memset(m, 0, MSG_MAX);
	put32(m, type);
	switch (type) {
	case 5:
		len = open_channel(c, m);
		break;
	case 8:
		len = gpadl_header(c, m);
		break;
	case 9:
		len = gpadl_body(c, m);
		break;
	case 14:
		len = contact(c, m);
		break;
	default:
		len = other(c, m, type);
		break;
	}
	if (chance(c, 16))
		fill(c, m + 4 + below(c, len), 4);
	return (len);
}

void
noise_message(struct cpu *c)
{
	static const uint32_t conns[] = { 1, 1, 1, 4, 4, 0x800074 };
	uint8_t m[MSG_MAX + 8], got[MSG_MAX];
	uint32_t len = message(c, m), conn;
	/* Enough to fill the host's queue. */
	unsigned times = chance(c, 24) ? 150 : 1;

	if (chance(c, 12))
		len = (uint32_t)below(c, 260);
	conn = chance(c, 16) ? (uint32_t)edge(c) : conns[below(c, 6)];
	if (shared.deep)
		times = 1;
	while (times-- > 0)
		(void)hv_post(c->page, conn, m, len);
	/* At times somebody reads what the host says. */
	if (chance(c, 8)) {
		for (unsigned i = 0; i < 20 && bus_message(c, got); i++)
			continue;
	}
}
