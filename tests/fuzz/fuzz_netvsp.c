/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Fuzzer of the network provider: the input is a script of what a hostile
 * guest does on a primary and its sub-channels, and what meanwhile comes from
 * the wire.  What must hold: no access outside guest memory, each request
 * answered at most once, no slot lent twice or outside the buffer, nothing
 * left when the partition goes.
 *
 * A script is a row of records, the first byte modulo 16 saying which:
 *	0..2	a packet in a section whose frame is likely to be IP
 *	3	several in one message, or by pages
 *	4	an RNDIS message of the fuzzer's
 *	5..6	a QUERY or SET that is right, of an OID there is
 *	7	an NVSP message that is long enough
 *	8	raw bytes as a packet
 *	9	the next step of the set-up, done properly
 *	10	time passes, sources are polled, the guest's ring has room
 *	11	close and open a channel
 *	12..13	a frame from the wire
 *	14	slots come back, or something like it
 *	15	a fault, a full ring, the link, a virtual function, offloads
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_bus.h"
#include "script.h"
#include "network/net.h"

#define	MEMORY		(1u << 20)
#define	RX		(256u << 10)
#define	RX_PAGES	48u
#define	TX		(512u << 10)
#define	TX_PAGES	16u
#define	SECTION		6144u
#define	CHANNELS	2
#define	SLOTS		256

struct world {
	struct hvh	*h;
	struct hvh_net	*na;
	struct hvh_netbe *be;		/* the far end */
	unsigned	 step;		/* of the set-up */
	uint32_t	 version;
	uint64_t	 xid;
	uint64_t	 asked, answered;
	uint32_t	 slot_size;
	uint8_t		 open[CHANNELS + 1];
	struct {
		struct hvh_chan	*ch;
		uint32_t	 n;
		uint32_t	 ofs[600];
	}		 lent[SLOTS];	/* by transaction id */
	uint8_t		 out[RX_PAGES * 4096 / 64];	/* lent, by offset */
	uint64_t	 last;		/* a packet that is out */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

static void
put32(uint8_t *p, uint32_t v)
{

	memcpy(p, &v, sizeof(v));
}

/* --- The far end --- */

static bool
far_input(void *arg, const uint8_t *data, uint32_t len,
    const struct net_meta *m)
{
	struct world *w = arg;
	volatile uint8_t sum = 0;

	check(len >= 14 && len <= NET_FRAME_MAX, "a frame's length");
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
	if ((m->flags & NET_NEEDS_CSUM) != 0)
		check((uint32_t)m->csum_start + m->csum_offset + 2 <= len,
		    "a checksum outside the frame");
	if (m->gso != NET_GSO_NONE)
		check(m->gso_size > 0 && m->hdr_len < len &&
		    (m->flags & NET_NEEDS_CSUM) != 0, "GSO");
	return (w->h->now % 5 != 0);
}

static void
far_nothing(void *arg)
{
}

static const struct net_user far_user = {
	.input = far_input,
	.input_end = far_nothing,
	.writable = far_nothing,
	.link = far_nothing,
};

/* --- What the guest gets --- */

static void
lend(struct world *w, struct hvh_chan *ch, const struct fake_pkt *p)
{
	uint32_t i, len, n = get32(p->data + 4), ofs;

	check(p->xid < SLOTS && w->lent[p->xid].n == 0, "an id used twice");
	check(n > 0 && n <= 562 && p->len >= 8 + n * 8 + 28, "ranges");
	w->lent[p->xid].n = n;
	w->lent[p->xid].ch = ch;
	w->last = p->xid;
	for (i = 0; i < n; i++) {
		len = get32(p->data + 8 + i * 8);
		ofs = get32(p->data + 12 + i * 8);
		check(len <= RX_PAGES * 4096 && ofs <= RX_PAGES * 4096 - len,
		    "a range outside");
		check(w->out[ofs / 64] == 0, "a slot lent twice");
		w->out[ofs / 64] = 1;
		w->lent[p->xid].ofs[i] = ofs;
	}
}

static void
unlend(struct world *w, uint64_t xid)
{
	uint32_t i;

	for (i = 0; i < w->lent[xid].n; i++)
		w->out[w->lent[xid].ofs[i] / 64] = 0;
	w->lent[xid].n = 0;
}

static void
forget(struct world *w, const struct hvh_chan *ch)
{
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		if (w->lent[i].n > 0 && (ch == NULL || w->lent[i].ch == ch))
			unlend(w, i);
	}
}

static void
collect(struct world *w)
{
	struct fake_pkt *p;
	struct hvh_chan *ch;

	for (ch = w->h->chans; ch != NULL; ch = ch->next) {
		while ((p = fake_get(ch)) != NULL) {
			if (p->type == 11) {
				check(p->xid != 0 && p->xid <= w->xid,
				    "an id never issued");
				check(p->len <= 40, "length");
				w->answered++;
			} else if (p->type == 7) {
				lend(w, ch, p);
			} else {
				check(p->type == 6 && ch->subidx == 0,
				    "unsolicited");
			}
			fake_pkt_free(p);
		}
	}
	check(w->answered <= w->asked, "answered twice");
}

/* --- What it sends --- */

static struct hvh_chan *
pick(struct world *w, uint8_t v)
{
	struct hvh_chan *ch;

	ch = fake_chan(w->h, v % (CHANNELS + 1));
	return (ch != NULL && ch->open ? ch : NULL);
}

static void
sent(struct world *w, struct hvh_chan *ch, bool more)
{

	w->asked++;
	if (!more)
		fake_signal(ch);
}

/* A frame that is likely to have headers; its length. */
static uint32_t
make_frame(struct script *s, uint8_t *f, uint32_t max)
{
	uint8_t how = take8(s), n = take8(s);
	uint32_t l3 = 14 + (how & 1 ? 4 : 0), l4, len;

	len = 60 + n * (how & 0x10 ? 64u : 4u);
	if (len > max)
		len = max;
	memset(f, n, len);
	memcpy(f, "\x02\0\0\0\0\x05\x02\0\0\0\0\x06", 12);
	if ((how & 1) != 0)
		memcpy(f + 12, "\x81\0\0\x07", 4);
	memcpy(f + l3 - 2, how & 2 ? "\x86\xdd" : "\x08\0", 2);
	l4 = l3 + (how & 2 ? 40 : 20);
	f[l3] = how & 2 ? 0x60 : 0x45;
	f[l3 + (how & 2 ? 4 : 2)] = (uint8_t)((len - (how & 2 ? l4 : l3)) >>
	    8);
	f[l3 + (how & 2 ? 5 : 3)] = (uint8_t)(len - (how & 2 ? l4 : l3));
	f[l3 + (how & 2 ? 6 : 9)] = how & 4 ? 17 : 6;
	if (how & 2 ? false : true)
		f[l3 + 6] = f[l3 + 7] = 0;
	f[l4 + 12] = 0x50;
	/* Something of it is otherwise, sometimes. */
	if ((how & 8) != 0)
		f[take8(s) % 80] = take8(s);
	return (len);
}

/* A packet message around it; its length. */
static uint32_t
encapsulate(struct script *s, uint8_t *m, uint32_t max)
{
	uint8_t how = take8(s);
	uint32_t at = 44, len, l4;

	memset(m, 0, 44 + 64);
	l4 = how & 0x40 ? 54 : 34;
	if ((how & 1) != 0) {
		put32(m + at, 16);
		put32(m + at + 8, 12);
		put32(m + at + 12, (uint32_t)take8(s) | l4 << 16);
		at += 16;
	}
	if ((how & 2) != 0) {
		put32(m + at, 16);
		put32(m + at + 4, 2);
		put32(m + at + 8, 12);
		put32(m + at + 12, (how & 0x80 ? 0xc0000000u : 0x40000000u) |
		    l4 << 20 | (uint32_t)take8(s) << (how & 0x20 ? 0 : 4));
		at += 16;
	}
	if ((how & 4) != 0) {
		put32(m + at, 16);
		put32(m + at + 4, 6);
		put32(m + at + 8, 12);
		put32(m + at + 12, take8(s));
		at += 16;
	}
	len = make_frame(s, m + at, max - at);
	put32(m, 1);
	put32(m + 4, at + len);
	put32(m + 8, at - 8);
	put32(m + 12, len);
	if (at > 44) {
		put32(m + 28, 36);
		put32(m + 32, at - 44);
	}
	if ((how & 8) != 0)
		put32(m + take8(s) % 24 * 4, take8(s));
	return (at + len);
}

static void
send_section(struct world *w, struct hvh_chan *ch, uint32_t section,
    uint32_t len, bool more)
{
	uint8_t msg[40] = { 107 };

	put32(msg + 8, section);
	put32(msg + 12, len);
	fake_put(ch, 6, true, ++w->xid, msg, sizeof(msg));
	sent(w, ch, more);
}

static void
packet(struct world *w, struct script *s, struct hvh_chan *ch)
{
	uint8_t sec = take8(s);
	uint32_t len;

	len = encapsulate(s, w->h->mem + TX + sec % 10 * SECTION, SECTION);
	send_section(w, ch, sec % 10, len, (sec & 0x80) != 0);
}

static void
packets(struct world *w, struct script *s, struct hvh_chan *ch)
{
	uint8_t how = take8(s), msg[40] = { 107 }, *m = w->h->mem;
	uint32_t at = 0, n, page = 4096u * (how >> 6);
	struct fake_pkt *p;

	for (n = 0; n < 1 + (how & 3u) * 3; n++)
		at += encapsulate(s, m + page + at, 20000);
	put32(msg + 8, 0xffffffff);
	p = fake_put(ch, 9, true, ++w->xid, msg, sizeof(msg));
	if ((how & 4) != 0) {
		fake_range(p, page, at);
	} else {
		for (n = 0; n < at && p->nranges < 30; n += 4096)
			fake_range(p, page + n, at - n < 4096 ? at - n :
			    4096);
	}
	sent(w, ch, false);
}

static void
control(struct world *w, struct script *s, struct hvh_chan *ch, bool right)
{
	static const uint32_t oids[] = { 0x10101, 0x10106, 0x1010d, 0x1010e,
	    0x10114, 0x10203, 0x10204, 0x10207, 0x20101, 0x20216, 0x1021b,
	    0x1010101, 0x1010103, 0x101010a, 0xfc01020b, 0xfc01020c,
	    0xfc01020d };
	uint8_t *m = w->h->mem + TX, how = take8(s), n = take8(s);
	uint32_t len = 28u + n, type;

	memset(m, 0, 700);
	if (right) {
		take(s, m + 28, n);
		if ((how & 0x80) != 0)
			len += 512;	/* a table of zeros */
		put32(m, how & 0x40 ? 5 : 4);
		put32(m + 4, len);
		put32(m + 12, oids[how % 17]);
		put32(m + 16, len - 28);
		put32(m + 20, 20);
		if (oids[how % 17] == 0x1010e && n >= 4)
			put32(m + 28, 0x20);
	} else {
		take(s, m, n);
		type = how % 12;
		put32(m, type | (how & 0x80 ? 0x80000000u : 0));
		if ((how & 0x40) != 0)
			put32(m + 4, n);
		len = n;
	}
	send_section(w, ch, 0, len, false);
}

static void
message(struct world *w, struct script *s, struct hvh_chan *ch)
{
	static const uint8_t types[] = { 1, 100, 101, 103, 104, 106, 107, 125,
	    129, 131, 133, 108 };
	uint8_t how = take8(s), msg[40];

	take(s, msg + 4, 12);
	memset(msg + 16, 0, 24);
	put32(msg, types[how % 12]);
	if (types[how % 12] == 103 || types[how % 12] == 106) {
		put32(msg + 4, 0xcafe);
		/* The guest lets go of what it has. */
		forget(w, NULL);
	}
	fake_put(ch, 6, !(how & 0x80), ++w->xid, msg, sizeof(msg));
	sent(w, ch, false);
}

static void
raw(struct world *w, struct script *s, struct hvh_chan *ch)
{
	uint8_t how = take8(s), n = take8(s) % 96, pkt[96];
	struct fake_pkt *p;

	take(s, pkt, n);
	p = fake_put(ch, how & 1 ? 9 : 6, !(how & 4), ++w->xid, pkt, n);
	if ((how & 8) != 0)
		fake_range(p, (uint64_t)take8(s) << 14, 1 + take8(s) * 64u);
	if ((how & 16) != 0)
		fake_range(p, 0, 512);
	sent(w, ch, (how & 0x80) != 0);
}

/* The next message of the set-up, and the sub-channels at its end. */
static void
set_up(struct world *w)
{
	static const struct {
		uint8_t	 type;
		bool	 answered;
	} steps[] = { { 1, true }, { 125, false }, { 100, false },
	    { 101, true }, { 104, true }, { 107, true }, { 133, true } };
	struct hvh_chan *ch = pick(w, 0);
	uint8_t msg[40] = { 0 };
	uint16_t i;

	if (ch == NULL || w->step >= sizeof(steps) / sizeof(steps[0]))
		return;
	put32(msg, steps[w->step].type);
	switch (steps[w->step].type) {
	case 1:
		put32(msg + 4, w->version);
		put32(msg + 8, w->version);
		break;
	case 125:
		put32(msg + 4, 1514);
		put32(msg + 12, 0x84);
		break;
	case 100:
		put32(msg + 4, 6);
		put32(msg + 8, 30);
		break;
	case 101:
	case 104:
		put32(msg + 4, steps[w->step].type);
		put32(msg + 8, 0xcafe);
		break;
	case 107:
		memset(w->h->mem + TX, 0, 24);
		put32(w->h->mem + TX, 2);
		put32(w->h->mem + TX + 4, 24);
		put32(w->h->mem + TX + 12, 1);
		put32(msg + 12, 24);
		break;
	case 133:
		put32(msg + 4, 1);
		put32(msg + 8, CHANNELS);
		break;
	}
	fake_put(ch, 6, steps[w->step].answered, ++w->xid, msg, sizeof(msg));
	w->step++;
	sent(w, ch, false);
	for (i = 1; i <= CHANNELS; i++) {
		ch = fake_chan(w->h, i);
		if (ch != NULL && !w->open[i])
			w->open[i] = fake_open(ch) == 0;
	}
	/* Before slots are given back. */
	collect(w);
}

static void
reopen(struct world *w, uint8_t v)
{
	struct hvh_chan *ch = pick(w, v);
	struct fake_pkt *p;

	if (ch == NULL)
		return;
	collect(w);
	fake_close(ch);
	check(!ch->open, "a channel that does not close");
	forget(w, ch->subidx == 0 ? NULL : ch);
	while ((p = ch->in.head) != NULL) {
		ch->in.head = p->next;
		ch->in.n--;
		fake_pkt_free(p);
	}
	if (ch->subidx == 0) {
		check(fake_open(ch) == 0, "open");
		w->step = 0;
	} else {
		w->open[ch->subidx] = fake_open(ch) == 0;
	}
}

/* --- From the wire --- */

static void
wire(struct world *w, struct script *s)
{
	static uint8_t f[20000];
	struct net_meta m = { 0 };
	uint8_t how = take8(s);
	struct iovec iov;
	uint32_t len;

	len = make_frame(s, f, sizeof(f));
	if ((how & 1) != 0) {
		m.flags = NET_NEEDS_CSUM;
		m.csum_start = how & 8 ? 54 : 34;
		m.csum_offset = how & 0x10 ? 6 : 16;
	}
	if ((how & 2) != 0) {
		m.flags |= NET_NEEDS_CSUM;
		m.gso = how & 8 ? NET_GSO_TCP6 : NET_GSO_TCP4;
		m.gso_size = (uint16_t)(take8(s) << (how >> 5));
		m.hdr_len = (uint16_t)(m.csum_start + 20);
	}
	if ((how & 4) != 0)
		memset(f, 0xff, 6);
	iov = (struct iovec){ f, len };
	net_send(w->be, &iov, 1, len, &m);
	net_run(w->be);
}

static void
give_back(struct world *w, struct script *s)
{
	uint8_t how = take8(s), msg[40] = { 108, 0, 0, 0, 1 };
	uint64_t xid = how & 1 ? w->last : take8(s);
	struct hvh_chan *ch;

	ch = xid < SLOTS && w->lent[xid].n > 0 ? w->lent[xid].ch :
	    pick(w, how >> 2);
	if (ch == NULL || !ch->open)
		return;
	if (xid < SLOTS)
		unlend(w, xid);
	if ((how & 2) != 0)
		msg[0] = take8(s);
	fake_put(ch, 11, false, xid, msg, how & 0x80 ? 3 : sizeof(msg));
	fake_signal(ch);
}

static void
meddle(struct world *w, struct script *s)
{
	static const enum hvh_fault_action actions[] = { HVH_FAULT_DROP,
	    HVH_FAULT_DELAY, HVH_FAULT_DUP, HVH_FAULT_STATUS,
	    HVH_FAULT_CORRUPT, HVH_FAULT_TRUNCATE };
	uint8_t v = take8(s), arg = take8(s);
	struct hvh_chan *ch;

	switch (v % 5) {
	case 0:
		w->h->nfaults = 1;
		w->h->faults[0] = (struct hvh_fault){
		    .point = HVH_FAULT_RNDIS_OUT, .action = actions[arg % 6],
		    .key = HVH_FAULT_ANY, .times = 1 + v % 4, .arg = arg,
		    .offset = arg % 64, .len = 1 };
		break;
	case 1:
		ch = pick(w, v >> 4);
		if (ch != NULL)
			ch->room = v >> 6;
		break;
	case 2:
		hvh_net_link(w->na, arg & 1);
		break;
	case 3:
		hvh_net_vf(w->na, arg & 1, arg);
		break;
	case 4:
		net_accept(w->be, arg & 7);
		break;
	}
}

static void
record(struct world *w, struct script *s)
{
	uint8_t v = take8(s);
	struct hvh_chan *ch = pick(w, v >> 4);

	switch (v % 16) {
	case 9:
		set_up(w);
		break;
	case 10:
		w->h->now += (uint64_t)take8(s) << (v >> 2 & 0x3c);
		if (ch != NULL) {
			ch->room = 1000;
			fake_signal(ch);
		}
		fake_pump(w->h);
		break;
	case 11:
		reopen(w, v >> 4);
		break;
	case 12:
	case 13:
		wire(w, s);
		break;
	case 14:
		give_back(w, s);
		break;
	case 15:
		meddle(w, s);
		break;
	default:
		if (ch == NULL)
			break;
		if (v % 16 < 3)
			packet(w, s, ch);
		else if (v % 16 == 3)
			packets(w, s, ch);
		else if (v % 16 < 7)
			control(w, s, ch, v % 16 != 4);
		else if (v % 16 == 7)
			message(w, s, ch);
		else
			raw(w, s, ch);
		break;
	}
	collect(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t versions[] = { 2, 0x30002, 0x40000, 0x50000,
	    0x60000, 0x60001, 0x60001, 0x60001 };
	struct script s = { data, size };
	struct hvh_net_params np = { .mac = { 2, 0, 0, 0, 0, 5 },
	    .max_channels = CHANNELS + 1 };
	struct hvh_netbe *be[2];
	static struct world w;
	unsigned i, how;

	memset(&w, 0, sizeof(w));
	w.h = fake_new(MEMORY);
	how = take8(&s);
	w.version = versions[how & 7];
	check(hvh_netbe_pair(w.h, be) == 0, "pair");
	np.be = be[0];
	w.be = be[1];
	net_attach(w.be, &far_user, &w);
	check(hvh_net_add(w.h, &np, &w.na) == 0, "add");
	fake_share(w.h, 101, RX, RX_PAGES, (how & 8) != 0);
	fake_share(w.h, 104, TX, TX_PAGES, (how & 16) != 0);
	check(fake_open(fake_chan(w.h, 0)) == 0, "open");
	w.open[0] = 1;
	/* Most scripts start with an adapter that is ready. */
	for (i = 0; i < 7 && (how & 0x80) == 0; i++)
		set_up(&w);
	while (s.left > 0)
		record(&w, &s);
	if ((how & 0x20) != 0) {
		hvh_net_remove(w.na);
		check(w.h->released == 1, "not released");
	}
	hvh_netbe_close(w.be);
	fake_free(w.h);
	return (0);
}
