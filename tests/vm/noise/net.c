/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sessions with network channels: the set-up as the protocol has it, then
 * RNDIS messages that are nearly right, in a send buffer which the other
 * processors change under the host's eyes, or anywhere in memory; receive
 * buffers given back as they came, twice, or not at all (protocol: netvsc).
 */

#include "noise.h"

#define	PKT_INBAND	6
#define	PKT_XFER	7
#define	PKT_DIRECT	9
#define	PKT_COMPLETION	11

#define	NVSP_INIT	1
#define	NVSP_VERSION	100
#define	NVSP_RX_BUFFER	101
#define	NVSP_TX_BUFFER	104
#define	NVSP_RNDIS	107
#define	NVSP_DONE	108
#define	NVSP_CONFIG	125
#define	NVSP_CHANNELS	133
#define	NVSP_SIZE	40

#define	RNDIS_PACKET	1
#define	RNDIS_INIT	2
#define	RNDIS_SET	5
#define	OID_FILTER	0x0001010E
#define	OID_OFFLOAD	0xFC01020C
#define	OID_RSS		0x00010204

#define	SECTION		6144
#define	NO_SECTION	0xFFFFFFFFu
#define	TX_PAGES	30	/* twenty sections */

/* --- NVSP --- */

static uint64_t last_id = 0x2000;

/* A message of words; wants: a completion, waited for, in reply. */
static bool
message(struct chan *ch, const uint32_t *words, unsigned n, uint8_t *reply)
{
	uint8_t p[16 + NVSP_SIZE] = { 0 };

	pkt_descriptor(p, PKT_INBAND, 16, sizeof(p), ++last_id);
	put16(p + 6, reply != NULL);
	for (unsigned i = 0; i < n; i++)
		put32(p + 16 + 4 * i, words[i]);
	if (!chan_write(ch, p, sizeof(p)))
		return (false);
	chan_signal(ch);
	return (reply == NULL || pkt_answer(ch, last_id, reply,
	    16 + NVSP_SIZE));
}

#define	MESSAGE(ch, reply, ...)						\
	message(ch, (const uint32_t[]){ __VA_ARGS__ },			\
	    sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4, reply)

static bool
control(struct chan *ch, uint8_t *at, const void *msg, uint32_t len)
{
	uint8_t reply[16 + NVSP_SIZE];

	memcpy(at, msg, len);
	return (MESSAGE(ch, reply, NVSP_RNDIS, 1, 0, len));
}

static bool
set_filter(struct chan *ch, uint8_t *at, uint32_t filter)
{
	uint8_t m[32] = { 0 };

	put32(m, RNDIS_SET);
	put32(m + 4, sizeof(m));
	put32(m + 8, 7);
	put32(m + 12, OID_FILTER);
	put32(m + 16, 4);
	put32(m + 20, 20);
	put32(m + 28, filter);
	return (control(ch, at, m, sizeof(m)));
}

bool
net_init(struct cpu *c, struct chan *ch, uint8_t *mem, uint32_t pages)
{
	static const uint32_t versions[] = { 2, 0x30002, 0x40000, 0x50000,
	    0x60000, 0x60001, 0x60001, 0x60001 };
	uint32_t v = versions[below(c, 8)], rx = pages - TX_PAGES;
	uint8_t m[24] = { 0 }, reply[16 + NVSP_SIZE];
	uint32_t gpadl;

	ch->tx = mem;
	if (!MESSAGE(ch, reply, NVSP_INIT, v, v) || get32(reply + 28) != 1 ||
	    (v > 2 && !MESSAGE(ch, NULL, NVSP_CONFIG,
	    1514 + (uint32_t)below(c, 2) * 7500, 0, 0x88, 0)) ||
	    !MESSAGE(ch, NULL, NVSP_VERSION, 6, v < 0x50000 ? 1 : 30))
		return (false);
	if (!bus_share(c, ch->offer.chan, mem + TX_PAGES * PAGE, rx, &gpadl) ||
	    !MESSAGE(ch, reply, NVSP_RX_BUFFER, gpadl, 0xCAFE) ||
	    get32(reply + 20) != 1)
		return (false);
	if (!bus_share(c, ch->offer.chan, mem, TX_PAGES, &gpadl) ||
	    !MESSAGE(ch, reply, NVSP_TX_BUFFER, gpadl, 1) ||
	    get32(reply + 20) != 1)
		return (false);
	put32(m, RNDIS_INIT);
	put32(m + 4, sizeof(m));
	put32(m + 8, 6);
	put32(m + 12, 1);
	put32(m + 20, 0x4000);
	if (!control(ch, mem, m, sizeof(m)) || !set_filter(ch, mem, 0x2D))
		return (false);
	if (v >= 0x50000 && chance(c, 2))
		(void)MESSAGE(ch, reply, NVSP_CHANNELS, 1,
		    (uint32_t)(chance(c, 4) ? edge(c) : below(c, 4)));
	return (true);
}

/* --- Messages by chance --- */

/* Ethernet, IP of either kind, TCP or UDP; lengths that may be true. */
static void
random_frame(struct cpu *c, uint8_t *f, uint32_t len)
{
	bool six = chance(c, 3), tcp = !chance(c, 3);
	uint8_t *ip = f + 14, *l4 = ip + (six ? 40 : 20);

	fill(c, f, len < 128 ? len : 128);
	f[0] = chance(c, 2) ? 0xFF : 2;
	if (chance(c, 8))
		return;
	f[12] = six ? 0x86 : 0x08;
	f[13] = six ? 0xDD : 0x00;
	ip[0] = six ? 0x60 : (uint8_t)(chance(c, 8) ? rnd(c) : 0x45);
	ip[six ? 4 : 2] = (uint8_t)((len - 14) >> 8);
	ip[six ? 5 : 3] = (uint8_t)(len - 14);
	ip[six ? 6 : 9] = (uint8_t)(tcp ? 6 : 17);
	if (!six && !chance(c, 8))
		ip[6] = ip[7] = 0;
	if (tcp)
		l4[12] = (uint8_t)(chance(c, 8) ? rnd(c) : 0x50);
}

/* Per-packet information; its bytes. */
static uint32_t
random_infos(struct cpu *c, uint8_t *p)
{
	static const uint32_t types[] = { 0, 0, 2, 2, 6, 8, 9, 0x80000001 };
	uint32_t n = (uint32_t)below(c, 4), used = 0, type;

	for (; n > 0; n--, used += 16) {
		type = types[below(c, 8)];
		put32(p + used, chance(c, 64) ? (uint32_t)edge(c) : 16);
		put32(p + used + 4, chance(c, 64) ? (uint32_t)edge(c) : type);
		put32(p + used + 8, chance(c, 64) ? (uint32_t)edge(c) : 12);
		put32(p + used + 12, chance(c, 8) ? (uint32_t)edge(c) :
		    type == 2 ? (uint32_t)below(c, 3000) | 34u << 20 |
		    1u << 30 | (uint32_t)below(c, 2) << 31 :
		    type == 0 ? 1u + (uint32_t)below(c, 32) | 34u << 16 :
		    (uint32_t)rnd(c));
	}
	return (used);
}

/* A data message in at most max bytes; its length. */
static uint32_t
random_data(struct cpu *c, uint8_t *p, uint32_t max)
{
	uint32_t infos = random_infos(c, p + 44), len, at = 44 + infos;

	len = 14 + (uint32_t)below(c, chance(c, 4) ? max - at - 60 : 1600);
	if (len > max - at)
		len = max - at;
	memset(p, 0, 44);
	put32(p, RNDIS_PACKET);
	put32(p + 4, at + len);
	put32(p + 8, at - 8);
	put32(p + 12, len);
	put32(p + 28, infos != 0 ? 36 : 0);
	put32(p + 32, infos);
	random_frame(c, p + at, len);
	if (chance(c, 8))
		put32(p + 4 * below(c, 11), (uint32_t)edge(c));
	return (at + len);
}

/* A control message, or what looks like one. */
static uint32_t
random_control(struct cpu *c, uint8_t *p)
{
	static const uint32_t types[] = { 2, 3, 4, 4, 4, 5, 5, 5, 6, 7, 8, 9 };
	static const uint32_t oids[] = { OID_FILTER, OID_OFFLOAD, OID_RSS,
	    0x00010101, 0x01010101, 0x01010103, 0x0001021B, 0x00010203,
	    0xFC01020D, 0x0101010A };
	uint32_t len = 28 + (uint32_t)below(c, 160);

	fill(c, p, len);
	put32(p, types[below(c, 12)]);
	put32(p + 4, chance(c, 8) ? (uint32_t)edge(c) : len);
	put32(p + 12, chance(c, 8) ? (uint32_t)rnd(c) : oids[below(c, 10)]);
	put32(p + 16, chance(c, 8) ? (uint32_t)edge(c) : len - 28);
	put32(p + 20, chance(c, 8) ? (uint32_t)edge(c) : 20);
	if (!chance(c, 3)) {
		/* An NDIS object's header. */
		p[28] = (uint8_t)(0x80 + below(c, 0x30));
		p[29] = (uint8_t)below(c, 4);
		put16(p + 30, (uint16_t)(len - 28));
	}
	return (len);
}

/* One send, by a section of the send buffer or by pages; false: no room. */
static bool
send_one(struct cpu *c, struct chan *ch, uint64_t id)
{
	uint8_t p[16 + 24 + NVSP_SIZE] = { 0 };
	uint32_t section = (uint32_t)below(c, TX_PAGES * PAGE / SECTION);
	uint8_t *at = ch->tx + section * SECTION;
	bool direct = chance(c, 3), data = !chance(c, 12);
	uint32_t head = 16, len;

	if (direct)
		at = (uint8_t *)(uintptr_t)(arena(c, PAGE) / PAGE * PAGE);
	len = data ? random_data(c, at, direct ? PAGE : SECTION) :
	    random_control(c, at);
	if (direct) {
		head = 40;
		put32(p + 20, 1);
		put32(p + 24, chance(c, 300) ? (uint32_t)edge(c) : len);
		put32(p + 28, (uint32_t)((uint64_t)at % PAGE));
		put64(p + 32, chance(c, 32) ? any_page(c) / PAGE :
		    (uint64_t)at / PAGE);
	}
	pkt_descriptor(p, direct ? PKT_DIRECT : PKT_INBAND, (uint16_t)head,
	    head + NVSP_SIZE, id);
	if (chance(c, 32))
		put16(p + 6, 0);
	put32(p + head, chance(c, 500) ? (uint32_t)below(c, 140) : NVSP_RNDIS);
	put32(p + head + 4, data ? 0 : 1);
	put32(p + head + 8, chance(c, 500) ? (uint32_t)edge(c) :
	    direct ? NO_SECTION : section);
	put32(p + head + 12, chance(c, 32) ? (uint32_t)edge(c) :
	    direct ? 0 : len);
	return (chan_write(ch, p, head + NVSP_SIZE));
}

/* Receive buffers go back; now and then twice, wrong, or never. */
static void
receive(struct cpu *c, struct chan *ch)
{
	uint8_t p[16 + NVSP_SIZE], got[1024];

	while (chan_read(ch, got, sizeof(got)) != 0) {
		if ((got[0] | got[1] << 8) != PKT_XFER || chance(c, 200))
			continue;
		for (int n = chance(c, 400) ? 2 : 1; n > 0; n--) {
			memset(p, 0, sizeof(p));
			pkt_descriptor(p, PKT_COMPLETION, 16, sizeof(p),
			    chance(c, 400) ? edge(c) : get64(got + 8));
			put16(p + 6, 0);
			put32(p + 16, NVSP_DONE);
			put32(p + 20, 1);
			(void)chan_write(ch, p, sizeof(p));
		}
	}
}

void
net_hammer(struct cpu *c, struct chan *ch, unsigned n)
{

	for (uint64_t id = 1; n > 0; n--, id++, c->ops++) {
		if (!send_one(c, ch, chance(c, 16) ? edge(c) : id)) {
			chan_signal(ch);
			window(c);
		}
		if (chance(c, 3))
			chan_signal(ch);
		if (!chance(c, 4))
			receive(c, ch);
	}
}
