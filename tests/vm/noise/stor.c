/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sessions with channels that begin as the protocol has it and end in ruins:
 * those of storage here (protocol: storvsc), those of networks in net.c and
 * of integration services in ic.c.
 * Meanwhile the other processors change the rings under the host's eyes.
 */

#include "noise.h"

#define	PKT_INBAND	6
#define	PKT_DIRECT	9

#define	OP_COMPLETE	1
#define	OP_SRB		3
#define	OP_BEGIN	7
#define	OP_END		8
#define	OP_VERSION	9
#define	OP_PROPERTIES	10
#define	OP_SUBCHANNELS	13

#define	VSTOR_SIZE	64
/* Emulated processors are slow, but the session may well hang. */
#define	SESSION_MS	500

/* Rings of up to RING_MAX pages each lie at the arena's beginning. */
#define	RINGS		(ARENA + 16 * PAGE)
#define	RING_MAX	40
#define	CHANS_MAX	4
/* And behind them what network channels share. */
#define	BUFFERS		(RINGS + (uint64_t)CHANS_MAX * 2 * RING_MAX * PAGE)
#define	BUFFER_PAGES	94

/* --- Requests, well-formed --- */

/* An operation without data; its status, all ones: no answer. */
static uint32_t
simple(struct chan *ch, uint32_t op, uint16_t arg, uint8_t *reply)
{
	static uint64_t id = 0x1000;
	uint8_t p[16 + VSTOR_SIZE] = { 0 };

	pkt_descriptor(p, PKT_INBAND, 16, sizeof(p), ++id);
	put32(p + 16, op);
	put32(p + 20, 1);
	put16(p + 28, arg);
	if (!chan_write(ch, p, sizeof(p)))
		return (~0u);
	chan_signal(ch);
	if (!pkt_answer(ch, id, reply, 16 + VSTOR_SIZE))
		return (~0u);
	return (get32(reply + 24));
}

bool
stor_init(struct cpu *c, struct chan *ch, uint16_t version)
{
	uint8_t reply[16 + VSTOR_SIZE];

	ch->version = version;
	return (simple(ch, OP_BEGIN, 0, reply) == 0 &&
	    simple(ch, OP_VERSION, version, reply) == 0 &&
	    simple(ch, OP_PROPERTIES, 0, reply) == 0 &&
	    simple(ch, OP_END, 0, reply) == 0);
}

static void
srb(uint8_t *v, const uint8_t cdb[16], uint8_t lun, bool read, uint32_t len)
{

	put32(v, OP_SRB);
	put32(v + 4, 1);
	put16(v + 12, 52);
	v[19] = lun;
	v[20] = 16;
	v[21] = 20;
	v[22] = len == 0 ? 2 : read ? 1 : 0;
	put32(v + 24, len);
	memcpy(v + 28, cdb, 16);
}

int
stor_io(struct cpu *c, struct chan *ch, const uint8_t cdb[16], uint8_t lun,
    bool read, void *data, uint32_t len)
{
	uint8_t p[16 + 24 + VSTOR_SIZE] = { 0 };
	static uint64_t id = 0x100000;
	uint64_t gpa = (uint64_t)data;

	/* One page at most. */
	pkt_descriptor(p, PKT_DIRECT, 40, sizeof(p), ++id);
	put32(p + 20, 1);
	put32(p + 24, len);
	put32(p + 28, (uint32_t)(gpa % PAGE));
	put64(p + 32, gpa / PAGE);
	srb(p + 40, cdb, lun, read, len);
	if (!chan_write(ch, p, sizeof(p)))
		return (-1);
	chan_signal(ch);
	if (!pkt_answer(ch, id, p, sizeof(p)))
		return (-1);
	return (p[16 + 14] & 0x3F);
}

/* --- Requests by chance --- */

static void
random_cdb(struct cpu *c, uint8_t cdb[16])
{
	static const uint8_t ops[] = { 0x00, 0x03, 0x04, 0x08, 0x0A, 0x12, 0x15,
	    0x1A, 0x1B, 0x1D, 0x1E, 0x25, 0x28, 0x28, 0x28, 0x2A, 0x2A, 0x2A,
	    0x2E, 0x2F, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4A, 0x51, 0x55, 0x5A,
	    0x5E, 0x5F, 0x83, 0x84, 0x88, 0x8A, 0x8E, 0x91, 0x93, 0x9E, 0xA0,
	    0xA3, 0xA8, 0xAA, 0xAD, 0xBE };

	fill(c, cdb, 16);
	cdb[0] = chance(c, 16) ? (uint8_t)rnd(c) : ops[below(c, sizeof(ops))];
	if (chance(c, 3))
		return;
	/* Small addresses and lengths, big-endian, wherever they stand. */
	cdb[1] = (uint8_t)(chance(c, 4) ? rnd(c) : cdb[0] == 0x9E ? 0x10 : 0);
	memset(cdb + 2, 0, 14);
	cdb[4] = cdb[5] = cdb[9] = (uint8_t)below(c, 64);
	cdb[8] = cdb[13] = (uint8_t)below(c, 32);
	if (cdb[0] == 0x12 && chance(c, 2))
		cdb[2] = (uint8_t)(0x80 + below(c, 0x50)), cdb[1] = 1;
	if (chance(c, 2))
		cdb[7] = (uint8_t)below(c, 3);
}

/* Bytes that a parameter list of this command might have. */
static void
parameters(struct cpu *c, uint8_t op, uint8_t *p)
{

	fill(c, p, 256);
	if (op != 0x42 || chance(c, 4))
		return;
	memset(p, 0, 24);		/* UNMAP, one descriptor */
	p[1] = 22;
	p[3] = 16;
	p[14] = (uint8_t)below(c, 256);
	p[18] = (uint8_t)below(c, 32);
}

/* A GPA-direct range, mostly right; the bytes it takes. */
static uint32_t
ranges(struct cpu *c, uint8_t *p, uint32_t len)
{
	uint32_t n = (uint32_t)(chance(c, 8) ? below(c, 40) : 0), pages;
	uint64_t at = arena(c, 1 << 21);
	uint32_t off = chance(c, 2) ? 0 : (uint32_t)(at % 512 * 8);

	pages = (off + len + PAGE - 1) / PAGE;
	if (n != 0 || pages > 32)
		pages = n;
	put32(p, chance(c, 8) ? (uint32_t)edge(c) : 0);
	put32(p + 4, (uint32_t)(chance(c, 12) ? edge(c) : 1));
	put32(p + 8, (uint32_t)(chance(c, 12) ? edge(c) : len));
	put32(p + 12, chance(c, 12) ? (uint32_t)edge(c) : off);
	for (uint32_t i = 0; i < pages; i++)
		put64(p + 16 + 8 * i, chance(c, 12) ? any_page(c) / PAGE :
		    at / PAGE + (chance(c, 4) ? below(c, 64) : i));
	return (16 + 8 * pages);
}

/* A packet as it should be but for what chance spoils; its length. */
static uint32_t
random_packet(struct cpu *c, uint8_t *p, uint64_t id)
{
	uint8_t cdb[16];
	uint32_t len, head = 16, size = VSTOR_SIZE;
	uint64_t at = arena(c, PAGE), data;

	random_cdb(c, cdb);
	len = (uint32_t)(chance(c, 16) ? edge(c) :
	    chance(c, 3) ? below(c, 512) : 512 * below(c, 200));
	memset(p, 0, 1024);
	if (!chance(c, 6))
		head += ranges(c, p + 16, len);
	if (head > 16 && cdb[0] == 0x42) {
		data = get64(p + 32) * PAGE;
		if (data < ARENA || data >= LAST)
			data = at / PAGE * PAGE;
		parameters(c, cdb[0], (uint8_t *)data);
	}
	srb(p + head, cdb, (uint8_t)(chance(c, 8) ? edge(c) : below(c, 4)),
	    chance(c, 2), len);
	if (chance(c, 6))
		put32(p + head, (uint32_t)(chance(c, 4) ? edge(c) :
		    below(c, 16)));
	if (chance(c, 12))
		fill(c, p + head + below(c, 56), 8);
	if (chance(c, 16))
		size = (uint32_t)below(c, 12) * 8;
	pkt_descriptor(p, head > 16 ? PKT_DIRECT : PKT_INBAND, (uint16_t)head,
	    head + size, chance(c, 8) ? 0 : id);
	if (chance(c, 48))
		put16(p + 2 * below(c, 4), (uint16_t)edge(c));
	return (head + size);
}

/* What a guest might do to its ring's control page and data. */
static void
spoil_ring(struct cpu *c, volatile uint8_t *ring, uint32_t pages)
{
	volatile uint32_t *w = (volatile uint32_t *)ring;
	uint32_t v;

	v = (uint32_t)(chance(c, 2) ? edge(c) : below(c, pages * PAGE) & ~7u);
	switch (below(c, 6)) {
	case 0:
		w[chance(c, 2)] = v;
		break;
	case 1:
		w[2 + below(c, 2)] = v;
		break;
	case 2:
		w[16] = v;
		break;
	default:
		for (unsigned n = (unsigned)below(c, 32); n > 0; n--)
			w[PAGE / 4 + below(c, (pages - 1) * (PAGE / 4))] =
			    (uint32_t)rnd(c);
		break;
	}
}

/* Another processor's part: data that changes while the host reads it. */
void
noise_spoil(struct cpu *c)
{
	uint64_t at = shared.ring;
	uint32_t pages = shared.ring_pages;
	volatile uint64_t *w;

	if (at == 0 || pages < 2 || pages > 2 * RING_MAX)
		return;
	w = (volatile uint64_t *)(at + PAGE);
	for (unsigned n = 200; n > 0; n--) {
		uint64_t i = below(c, (pages - 1) * (PAGE / 8)), v = w[i];

		/*
		 * Mostly what was there comes back, for the host to miss.
		 * No page number becomes one of this image.
		 */
		w[i] = chance(c, 2) ? edge(c) :
		    v ^ (1ull << (chance(c, 2) ? below(c, 9) :
		    16 + below(c, 48)));
		if (!chance(c, 4))
			w[i] = v;
	}
	if (chance(c, 64))
		spoil_ring(c, (volatile uint8_t *)at, pages);
}

/* --- Sessions --- */

static void
hammer(struct cpu *c, struct chan *ch, unsigned n)
{
	uint8_t p[1024], reply[1024];
	uint32_t len;

	for (uint64_t id = 1; n > 0; n--, id++, c->ops++) {
		len = random_packet(c, p, id);
		if (!chan_write(ch, p, len < 1000 ? len : 1000)) {
			if (chance(c, 2))
				put32(ch->out + 12, (uint32_t)edge(c));
			chan_signal(ch);
			window(c);
		}
		if (chance(c, 3))
			chan_signal(ch);
		if (chance(c, 200))
			spoil_ring(c, chance(c, 2) ? ch->out : ch->in, 2);
		if (chance(c, 50))
			put32(ch->in + 8, (uint32_t)below(c, 2));
		while (!chance(c, 4) &&
		    chan_read(ch, reply, sizeof(reply)) != 0)
			continue;
	}
}

/* Sub-channels and what comes of them. */
static void
subchannels(struct cpu *c, struct chan *ch)
{
	uint8_t reply[16 + VSTOR_SIZE];

	(void)simple(ch, OP_SUBCHANNELS, (uint16_t)(chance(c, 4) ? edge(c) :
	    1 + below(c, 4)), reply);
}

static bool
is_stor(const struct offer *o)
{

	return (memcmp(o->type, guid_scsi, 16) == 0 ||
	    memcmp(o->type, guid_ide, 16) == 0);
}

/*
 * Where to begin: with an integration service as long as none was open, then
 * anywhere or with one.
 */
static unsigned
first_of(struct cpu *c, const struct offer *of, unsigned count)
{
	unsigned first = (unsigned)below(c, count), i;
	bool service = !shared.served || chance(c, 2);

	for (i = 0; i < count && service; i++) {
		if (!is_stor(&of[(first + i) % count]) &&
		    memcmp(of[(first + i) % count].type, guid_net, 16) != 0)
			return (first + i);
	}
	return (first);
}

static unsigned
open_some(struct cpu *c, const struct offer *of, unsigned count,
    struct chan *ch)
{
	static const uint16_t versions[] = { 0x602, 0x600, 0x501, 0x402,
	    0x200 };
	unsigned first = count > 0 ? first_of(c, of, count) : 0, n = 0;
	const struct offer *o;
	uint32_t down, pages;
	bool net, stor;

	for (unsigned i = 0; i < count && n < CHANS_MAX; i++) {
		o = &of[(first + i) % count];
		net = memcmp(o->type, guid_net, 16) == 0;
		stor = is_stor(o);
		down = 2 + (uint32_t)below(c, RING_MAX - 2);
		pages = down + 2 + (uint32_t)below(c, RING_MAX - 2);
		if (!chan_open(c, &ch[n], o, (uint8_t *)(uintptr_t)(RINGS +
		    (uint64_t)n * 2 * RING_MAX * PAGE), pages, down))
			break;
		/* What is left are integration services. */
		ch[n].ic = !net && !stor;
		if (ch[n].ic)
			shared.served = true;
		if (!ch[n].ic && o->sub == 0 && (net ? !net_init(c, &ch[n],
		    (uint8_t *)BUFFERS + n * BUFFER_PAGES * PAGE,
		    BUFFER_PAGES) : !stor_init(c, &ch[n],
		    versions[below(c, 5)])))
			break;
		n++;
	}
	return (n);
}

void
deep_session(struct cpu *c)
{
	static const uint32_t versions[] = { 0x0000000D, 0x00010001, 0x00020004,
	    0x00030000, 0x00040000, 0x00040001, 0x00050000, 0x00050001,
	    0x00050002, 0x00050003 };
	static struct offer offers[OFFERS_MAX];
	static struct chan chans[CHANS_MAX];
	unsigned count, n;

	shared.deep = true;
	patience = SESSION_MS;
	hv_setup();
	synic_own(c);
	if (!bus_connect(c, versions[below(c, 10)], offers, &count)) {
		shared.deep = false;
		return;
	}
	n = open_some(c, offers, count, chans);
	if (shared.verbose)
		print("\nnoise: session: %u offers, %u open\n",
		    (uint64_t)count, (uint64_t)n);
	if (n > 0 && !chans[0].ic && chance(c, 2))
		subchannels(c, &chans[0]);
	for (unsigned round = 0; n > 0 && round < 8; round++) {
		/* Each has its turn before one has another. */
		struct chan *ch = &chans[round < n ? round : below(c, n)];

		/* A while of requests before the rings are touched. */
		if (round >= 2 && chance(c, 2)) {
			shared.ring_pages = ch->pages;
			shared.ring = (uint64_t)ch->out;
		} else if (ch->tx != NULL) {
			shared.ring_pages = BUFFER_PAGES;
			shared.ring = (uint64_t)ch->tx - PAGE;
		}
		if (ch->ic)
			ic_hammer(c, ch, 200);
		else if (ch->tx != NULL)
			net_hammer(c, ch, 200);
		else
			hammer(c, ch, 60);
		shared.ring = 0;
		if ((int32_t)(ticks() - shared.end) >= 0)
			break;
	}
	/* Requests are under way at the end, or never end. */
	for (unsigned i = 0; i < n; i++) {
		if (chance(c, 2))
			chan_close(c, &chans[i]);
	}
	if (chance(c, 3))
		bus_unload(c);
	shared.deep = false;
}
