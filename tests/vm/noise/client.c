/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A VMBus client that works, by polling: contact, offers, rings, packets
 * (protocol: vmbus, 2, 6 and 7).
 */

#include "noise.h"

#define	MSG_OFFER	1
#define	MSG_REQUEST	3
#define	MSG_OFFERS_DONE	4
#define	MSG_OPEN	5
#define	MSG_OPENED	6
#define	MSG_CLOSE	7
#define	MSG_GPADL	8
#define	MSG_GPADL_BODY	9
#define	MSG_CREATED	10
#define	MSG_TEARDOWN	11
#define	MSG_TORN_DOWN	12
#define	MSG_CONTACT	14
#define	MSG_VERSION	15
#define	MSG_UNLOAD	16
#define	MSG_UNLOADED	17

#define	CONN_MESSAGES	1
#define	CONN_CONTACT	4	/* from version 5.0 on */
#define	CONN_EVENT	2	/* of all channels, in version 0.13 */
#define	VERSION_0	0x0000000Du
#define	VERSION_5	0x00050000u
#define	INT_PAGE	ARENA
#define	STATUS_TRY	0x13
#define	SINT_VMBUS	2
#define	MSR_EOM		0x40000084u
#define	SLOT		256

#define	PKT_COMPLETION	11

#define	RING_OUT	4	/* the reader's index; the writer's is at 0 */

const uint8_t guid_scsi[16] = { 0xD9, 0x63, 0x61, 0xBA, 0xA1, 0x04, 0x29, 0x4D,
	0xB6, 0x05, 0x72, 0xE2, 0xFF, 0xB1, 0xDC, 0x7F };
const uint8_t guid_ide[16] = { 0x32, 0x26, 0x41, 0x32, 0xCB, 0x86, 0xA2, 0x44,
	0x9B, 0x5C, 0x50, 0xD1, 0x41, 0x73, 0x54, 0xF5 };
const uint8_t guid_net[16] = { 0x63, 0x51, 0x61, 0xF8, 0x3E, 0xDF, 0xC5, 0x46,
	0x91, 0x3F, 0xF2, 0xD2, 0xF9, 0x65, 0xED, 0x0E };

unsigned patience;
static uint32_t conn_messages = CONN_MESSAGES;
static uint32_t connected;		/* version */
static uint32_t next_gpadl = 0xE1E10;

bool
bus_message(struct cpu *c, uint8_t msg[240])
{
	uint8_t *slot = c->simp + SINT_VMBUS * SLOT;

	if (__atomic_load_n((uint32_t *)(void *)slot, __ATOMIC_ACQUIRE) == 0)
		return (false);
	memcpy(msg, slot + 16, 240);
	__atomic_store_n((uint32_t *)(void *)slot, 0, __ATOMIC_SEQ_CST);
	if ((slot[5] & 1) != 0)
		(void)try_wrmsr(MSR_EOM, 0);
	return (true);
}

/* Waits for a message of a type; others are lost. */
static bool
expect(struct cpu *c, uint32_t type, uint8_t msg[240])
{
	uint32_t start = ticks();

	do {
		while (bus_message(c, msg)) {
			if (get32(msg) == type)
				return (true);
		}
		__builtin_ia32_pause();
	} while (ticks() - start < patience * TICKS_PER_MS);
	return (false);
}

/* The queue may be full of the others' messages. */
static bool
post(struct cpu *c, uint32_t conn, const void *msg, uint32_t len)
{
	uint8_t drop[240];
	int status = STATUS_TRY;

	for (unsigned i = 0; i < 1000 && status == STATUS_TRY; i++) {
		status = hv_post(c->page, conn, msg, len);
		if (status == STATUS_TRY) {
			while (bus_message(c, drop))
				continue;
			delay_ms(2);
		}
	}
	return (status == 0);
}

static bool
contact(struct cpu *c, uint32_t version)
{
	uint8_t m[240] = { 0 };
	bool five = version >= VERSION_5;

	while (bus_message(c, m))
		continue;
	memset(m, 0, sizeof(m));
	put32(m, MSG_CONTACT);
	put32(m + 8, version);
	if (five)
		m[16] = SINT_VMBUS;
	else
		put64(m + 16, INT_PAGE);
	put64(m + 24, ARENA + PAGE);
	put64(m + 32, ARENA + 2 * PAGE);
	conn_messages = CONN_MESSAGES;
	if (!post(c, five ? CONN_CONTACT : CONN_MESSAGES, m, 40) ||
	    !expect(c, MSG_VERSION, m) || m[8] == 0)
		return (false);
	if (five)
		conn_messages = get32(m + 12);
	connected = version;
	return (true);
}

bool
bus_connect(struct cpu *c, uint32_t version, struct offer *of,
    unsigned *count)
{
	uint8_t m[240] = { 0 };
	uint32_t start;
	struct offer *o;

	*count = 0;
	if (!contact(c, version))
		return (false);
	memset(m, 0, sizeof(m));
	put32(m, MSG_REQUEST);
	if (!post(c, conn_messages, m, 8))
		return (false);
	start = ticks();
	while (ticks() - start < patience * TICKS_PER_MS) {
		if (!bus_message(c, m))
			continue;
		if (get32(m) == MSG_OFFERS_DONE)
			return (true);
		if (get32(m) != MSG_OFFER || *count == OFFERS_MAX)
			continue;
		o = &of[(*count)++];
		memcpy(o->type, m + 8, 16);
		memcpy(o->instance, m + 24, 16);
		memcpy(&o->sub, m + 180, 2);
		o->chan = get32(m + 184);
		o->conn = get32(m + 192);
	}
	return (false);
}

void
bus_unload(struct cpu *c)
{
	uint8_t m[240] = { 0 };

	put32(m, MSG_UNLOAD);
	if (post(c, conn_messages, m, 8))
		(void)expect(c, MSG_UNLOADED, m);
}

/* One range of contiguous pages. */
static bool
establish(struct cpu *c, uint32_t chan, uint32_t id, uint64_t gpa,
    uint32_t pages)
{
	uint8_t m[240] = { 0 };
	uint32_t n = pages < 26 ? pages : 26, done;

	put32(m, MSG_GPADL);
	put32(m + 8, chan);
	put32(m + 12, id);
	put16(m + 16, (uint16_t)(8 + 8 * pages));
	put16(m + 18, 1);
	put32(m + 20, pages * PAGE);
	for (uint32_t i = 0; i < n; i++)
		put64(m + 28 + 8 * i, gpa / PAGE + i);
	if (!post(c, conn_messages, m, 28 + 8 * n))
		return (false);
	for (done = n; done < pages; done += n) {
		memset(m, 0, sizeof(m));
		put32(m, MSG_GPADL_BODY);
		put32(m + 12, id);
		n = pages - done < 28 ? pages - done : 28;
		for (uint32_t i = 0; i < n; i++)
			put64(m + 16 + 8 * i, gpa / PAGE + done + i);
		if (!post(c, conn_messages, m, 16 + 8 * n))
			return (false);
	}
	do {
		if (!expect(c, MSG_CREATED, m))
			return (false);
	} while (get32(m + 12) != id);
	return (get32(m + 16) == 0);
}

bool
bus_share(struct cpu *c, uint32_t chan, void *mem, uint32_t pages,
    uint32_t *gpadl)
{

	*gpadl = next_gpadl++;
	return (establish(c, chan, *gpadl, (uint64_t)mem, pages));
}

bool
chan_open(struct cpu *c, struct chan *ch, const struct offer *of,
    uint8_t *mem, uint32_t pages, uint32_t down)
{
	uint8_t m[240] = { 0 };

	*ch = (struct chan){ .offer = *of, .out = mem, .in = mem + down * PAGE,
	    .out_size = (down - 1) * PAGE, .in_size = (pages - down - 1) * PAGE,
	    .pages = pages, .gpadl = next_gpadl++ };
	memset(mem, 0, (size_t)pages * PAGE);
	put32(ch->out + 64, 1);		/* pending send size: supported */
	if (!establish(c, of->chan, ch->gpadl, (uint64_t)mem, pages))
		return (false);
	put32(m, MSG_OPEN);
	put32(m + 8, of->chan);
	put32(m + 12, of->chan);
	put32(m + 16, ch->gpadl);
	put32(m + 20, 0);
	put32(m + 24, down);
	if (!post(c, conn_messages, m, 148))
		return (false);
	do {
		if (!expect(c, MSG_OPENED, m))
			return (false);
	} while (get32(m + 8) != of->chan);
	return (get32(m + 16) == 0);
}

void
chan_close(struct cpu *c, struct chan *ch)
{
	uint8_t m[240] = { 0 };

	put32(m, MSG_CLOSE);
	put32(m + 8, ch->offer.chan);
	(void)post(c, conn_messages, m, 12);
	put32(m, MSG_TEARDOWN);
	put32(m + 12, ch->gpadl);
	if (post(c, conn_messages, m, 16))
		(void)expect(c, MSG_TORN_DOWN, m);
}

void
chan_signal(struct chan *ch)
{
	uint32_t *bits = (uint32_t *)(uintptr_t)(INT_PAGE + PAGE / 2);

	if (connected != VERSION_0) {
		hv_signal(ch->offer.conn);
		return;
	}
	__atomic_fetch_or(&bits[ch->offer.chan / 32 % 512],
	    1u << ch->offer.chan % 32, __ATOMIC_SEQ_CST);
	hv_signal(CONN_EVENT);
}

static void
ring_copy_in(struct chan *ch, uint32_t at, const void *from, uint32_t len)
{
	uint32_t first = ch->out_size - at < len ? ch->out_size - at : len;

	memcpy(ch->out + PAGE + at, from, first);
	memcpy(ch->out + PAGE, (const uint8_t *)from + first, len - first);
}

static void
ring_copy_out(struct chan *ch, uint32_t at, void *to, uint32_t len)
{
	uint32_t first = ch->in_size - at < len ? ch->in_size - at : len;

	memcpy(to, ch->in + PAGE + at, first);
	memcpy((uint8_t *)to + first, ch->in + PAGE, len - first);
}

bool
chan_write(struct chan *ch, const void *pkt, uint32_t len)
{
	uint32_t ri = get32(ch->out + RING_OUT), wi = ch->wi, used;
	uint64_t trailer = (uint64_t)wi << 32;

	used = (wi + ch->out_size - ri % ch->out_size) % ch->out_size;
	len = (len + 7) & ~7u;
	if (ch->out_size - used <= len + 8)
		return (false);
	ring_copy_in(ch, wi, pkt, len);
	ring_copy_in(ch, (wi + len) % ch->out_size, &trailer, 8);
	ch->wi = (wi + len + 8) % ch->out_size;
	__atomic_store_n((uint32_t *)(void *)ch->out, ch->wi,
	    __ATOMIC_SEQ_CST);
	return (true);
}

uint32_t
chan_read(struct chan *ch, void *buf, uint32_t max)
{
	uint8_t head[16];
	uint32_t wi, len;
	uint16_t words;

	wi = __atomic_load_n((uint32_t *)(void *)ch->in, __ATOMIC_ACQUIRE);
	if (wi == ch->ri || wi >= ch->in_size)
		return (0);
	ring_copy_out(ch, ch->ri, head, 16);
	memcpy(&words, head + 4, 2);
	len = words * 8u;
	if (len < 16 || len + 8 > ch->in_size)
		return (0);
	ring_copy_out(ch, ch->ri, buf, len < max ? len : max);
	ch->ri = (ch->ri + len + 8) % ch->in_size;
	__atomic_store_n((uint32_t *)(void *)(ch->in + RING_OUT), ch->ri,
	    __ATOMIC_SEQ_CST);
	return (len);
}

void
pkt_descriptor(uint8_t *p, uint16_t type, uint16_t head, uint32_t len,
    uint64_t id)
{

	put16(p, type);
	put16(p + 2, head / 8);
	put16(p + 4, (uint16_t)(len / 8));
	put16(p + 6, 1);
	put64(p + 8, id);
}

bool
pkt_answer(struct chan *ch, uint64_t id, uint8_t *pkt, uint32_t max)
{
	uint32_t start = ticks();

	do {
		while (chan_read(ch, pkt, max) != 0) {
			if ((pkt[0] | pkt[1] << 8) == PKT_COMPLETION &&
			    get64(pkt + 8) == id)
				return (true);
		}
		__builtin_ia32_pause();
	} while (ticks() - start < patience * TICKS_PER_MS);
	return (false);
}
