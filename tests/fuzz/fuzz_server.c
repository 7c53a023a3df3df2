/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A partition with two devices against scripts of a hostile guest: messages,
 * MSRs, hypercalls, any byte of its memory, at any time; and a host that
 * rescinds, resets and breaks things meanwhile.  Short forms of the useful
 * moves (connect, share a ring, open) let the fuzzer get deep.
 */

#include <stdlib.h>
#include <string.h>

#include "hvhost.h"
#include "vmbus/channel.h"

#define	PAGES	64
#define	PAGE	4096u
#define	ROUNDS	200

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	const uint8_t	*p;
	size_t		 n;
};

struct device {
	struct hvh_chan	*closing[8];	/* to be let go later */
	unsigned	 nclosing;
	bool		 lazy, refuse, deaf;
	unsigned	 released;
};

static uint8_t *mem;
static uint64_t now;
static struct hvh *h;
static struct device dev[2];
static volatile unsigned dev_sum;

/* --- The script. --- */

static uint64_t
take(struct script *s, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && s->n > 0; i++, s->n--)
		v |= (uint64_t)*s->p++ << 8 * i;
	return (v);
}

static void
take_bytes(struct script *s, void *buf, size_t len)
{
	size_t n = len < s->n ? len : s->n;

	memset(buf, 0, len);
	memcpy(buf, s->p, n);
	s->p += n;
	s->n -= n;
}

/* --- The library's user. --- */

static void
op_interrupt(void *arg, uint32_t vp, uint8_t vector, bool autoeoi)
{

	if (vp >= 2 || vector < 16)
		abort();
}

static void
op_kick(void *arg)
{
}

/* All that is told of a flush is there to be read, and exists. */
static void
op_flush(void *arg, uint32_t vp, const struct hvh_flush *f)
{

	if (vp >= 2 || f->vps > 3 || f->nranges > 509 ||
	    (f->nranges > 0) != (f->ranges != NULL))
		abort();
	for (unsigned i = 0; i < f->nranges; i++)
		dev_sum += f->ranges[i] != 0;
}

static uint64_t
op_now(void *arg)
{

	return (now);
}

static void
op_log(void *arg, enum hvh_log_level level, const char *text)
{

	if (strlen(text) > 511)
		abort();
}

/* --- Devices: echo, forgetful about closing. --- */

static int
dev_open(void *arg, struct hvh_chan *ch, const uint8_t *udata)
{
	struct device *d = arg;

	if (d->refuse)
		return (1);
	if (hvh_chan_subidx(ch) == 0 && (udata[0] & 1) != 0)
		hvh_chan_offer_sub(ch, udata[1] % 4);
	return (0);
}

static void
dev_close(void *arg, struct hvh_chan *ch)
{
	struct device *d = arg;

	if (d->lazy && d->nclosing < 8)
		d->closing[d->nclosing++] = ch;
	else
		hvh_chan_closed(ch);
}

static void
dev_let_go(struct device *d)
{

	while (d->nclosing > 0)
		hvh_chan_closed(d->closing[--d->nclosing]);
}

static void
dev_signal(void *arg, struct hvh_chan *ch)
{
	struct device *d = arg;
	struct hvh_pkt pkt;
	struct iovec iov[4];
	int n;

	while (!d->deaf && hvh_chan_room(ch, 64) &&
	    hvh_chan_read(ch, &pkt) == 0) {
		/* All of it is there to be read. */
		dev_sum += memchr(pkt.data, 0xA5, pkt.len) != NULL;
		for (uint32_t i = 0; i < pkt.nranges; i++)
			hvh_range_iov(h, &pkt.ranges[i], 0,
			    pkt.ranges[i].len, iov, 4, &n);
		if (pkt.wants_completion)
			hvh_chan_write(ch, 11, 0, pkt.xid, pkt.data,
			    pkt.len);
	}
}

static void
dev_released(void *arg)
{

	if (((struct device *)arg)->released++ != 0)
		abort();
}

static const struct hvh_chan_ops dev_ops = {
	.open = dev_open,
	.close = dev_close,
	.signal = dev_signal,
	.released = dev_released,
};

/* --- The guest. --- */

static void
post(const void *msg, size_t len)
{
	uint32_t head[4] = { 1, 0, 1, (uint32_t)len };

	memcpy(mem + PAGE, head, sizeof(head));
	memcpy(mem + PAGE + 16, msg, len);
	hvh_hypercall(h, 0, 0x5C, PAGE, 0);
}

static void
contact(uint8_t which)
{
	static const uint32_t versions[] = { 13, 0x10001, 0x20004, 0x30000,
	    0x40000, 0x40001, 0x50000, 0x50001, 0x50002, 0x50003 };
	uint32_t m[10] = { 14, 0, versions[which % 10], 0, 0x4000, 0, 0x5000,
	    0, 0x6000, 0 };
	uint32_t offers[2] = { 3 };

	if (m[2] >= 0x50000)
		m[4] = 2;
	post(m, sizeof(m));
	post(offers, sizeof(offers));
	hvh_pump(h);
}

/* Ring of 8 pages from 16 or 32 on, then OPEN. */
static void
ring_open(uint32_t chan, uint8_t flags)
{
	uint32_t first = chan % 2 == 0 ? 16 : 32;
	uint8_t m[240] = { 8 };
	uint32_t w[5] = { chan, 0x100 + chan, 72 | 1 << 16, 8 * PAGE, 0 };
	uint32_t o[5] = { chan, 1, 0x100 + chan, flags & 1, 4 };

	memcpy(m + 8, w, sizeof(w));
	for (unsigned i = 0; i < 8; i++)
		m[28 + i * 8] = (uint8_t)(first + i);
	post(m, 92);
	memset(m, 0, sizeof(m));
	m[0] = 5;
	memcpy(m + 8, o, sizeof(o));
	m[28] = flags >> 1;
	m[29] = flags >> 2;
	post(m, 148);
	hvh_pump(h);
}

/* A packet behind what is in a ring, whole; its bytes are the script's. */
static void
packet(struct script *s)
{
	static const uint8_t types[] = { 6, 9, 9, 11, 7, 6 };
	uint32_t ctl = (take(s, 1) & 1 ? 16 : 32) * PAGE;
	uint8_t buf[512] = { 0 }, flags = (uint8_t)take(s, 1);
	uint32_t hdr = 0, len = 8 * (uint32_t)(take(s, 1) % 32), in, n;
	uint16_t desc[4];

	desc[0] = types[flags % 6];
	if (desc[0] == 9) {
		/* A count, a range of at most two pages, their numbers. */
		hdr = 32;
		buf[20] = 1;
		buf[25] = (uint8_t)(take(s, 1) % 16 + 1);
		buf[32] = (uint8_t)take(s, 1);
		buf[40] = (uint8_t)take(s, 1);
	}
	desc[1] = (uint16_t)(2 + hdr / 8);
	desc[2] = (uint16_t)(desc[1] + len / 8);
	desc[3] = flags >> 7;
	memcpy(buf, desc, sizeof(desc));
	buf[8] = flags;
	take_bytes(s, buf + 16 + hdr, len < 32 ? len : 32);
	n = 16 + hdr + len + 8;
	memcpy(&in, mem + ctl, sizeof(in));
	in %= 3 * PAGE;
	for (uint32_t i = 0; i < n; i++)
		mem[ctl + PAGE + (in + i) % (3 * PAGE)] = buf[i];
	in = (in + n) % (3 * PAGE);
	memcpy(mem + ctl, &in, sizeof(in));
	hvh_hypercall(h, 0, 0x1005D, ctl == 16 * PAGE ? 0x2002 : 0x2001, 0);
}

/* The guest has read all that is in its rings. */
static void
drain(void)
{

	memcpy(mem + 20 * PAGE + 4, mem + 20 * PAGE, 4);
	memcpy(mem + 36 * PAGE + 4, mem + 36 * PAGE, 4);
}

static void
synic(void)
{

	for (uint32_t vp = 0; vp < 2; vp++) {
		hvh_wrmsr(h, vp, 0x40000083, (8 + vp) * PAGE | 1);
		hvh_wrmsr(h, vp, 0x40000082, (10 + vp) * PAGE | 1);
		hvh_wrmsr(h, vp, 0x40000092, 0x50);
		hvh_wrmsr(h, vp, 0x40000080, 1);
	}
}

static void
add_fault(struct script *s)
{
	struct hvh_fault f = {
		.point = (enum hvh_fault_point)take(s, 1) % HVH_FAULT_POINTS,
		.action = (enum hvh_fault_action)(take(s, 1) % 9),
		.key = HVH_FAULT_ANY,
		.skip = (uint32_t)take(s, 1) % 4,
		.times = 1 + (uint32_t)take(s, 1) % 4,
		.arg = take(s, 3),
		.offset = (uint32_t)take(s, 1),
		.len = 4,
	};

	hvh_fault_add(h, &f);
}

static void
memory_write(struct script *s)
{
	uint32_t at = (uint32_t)take(s, 3) % (PAGES * PAGE);
	uint8_t len = (uint8_t)take(s, 1);

	for (; len > 0 && s->n > 0; len--)
		mem[at++ % (PAGES * PAGE)] = (uint8_t)take(s, 1);
}

static void
let_go(void *arg)
{

	dev_let_go(&dev[0]);
	dev_let_go(&dev[1]);
}

/* A reset waits for the devices, which let go as soon as it does. */
static void
reset(void)
{
	struct hvh_timer timer = { .fn = let_go };

	hvh_lock(h);
	hvh_timer_set(h, &timer, 1);
	hvh_unlock(h);
	hvh_reset(h);
	hvh_lock(h);
	hvh_timer_clear(h, &timer);
	hvh_unlock(h);
}

/* What happens on the host's side meanwhile. */
static void
host_step(struct script *s, unsigned what)
{
	uint8_t v = (uint8_t)take(s, 1);

	switch (what) {
	case 0:
		hvh_rescind(h, 1 + v % 8u);
		break;
	case 1:
		add_fault(s);
		break;
	case 2:
		dev[0].lazy = v & 1;
		dev[1].refuse = v & 2;
		dev[0].deaf = v & 4;
		if (v & 8)
			hvh_fault_clear(h);
		break;
	case 3:
		if (v % 16 == 0) {
			reset();
			break;
		}
		hvh_lock(h);
		let_go(NULL);
		hvh_unlock(h);
		break;
	}
}

static void
step(struct script *s)
{
	static const uint16_t codes[] = { 0x5C, 0x5D, 8, 2, 3, 0xB, 0x13,
	    0x14, 0x15 };
	uint8_t op = (uint8_t)take(s, 1), buf[240];
	uint32_t at, val;
	uint64_t v;

	switch (op % 24) {
	case 0:
		at = (uint32_t)take(s, 1) % 241;
		take_bytes(s, buf, at);
		post(buf, at);
		break;
	case 1:
		hvh_wrmsr(h, op >> 7, 0x40000000 + (uint32_t)take(s, 2) % 512,
		    take(s, 8));
		break;
	case 2:
		hvh_rdmsr(h, op >> 7, 0x40000000 + (uint32_t)take(s, 2) % 512,
		    &v);
		break;
	case 3:
		v = codes[take(s, 1) % 9] | take(s, 1) << 16 |
		    take(s, 2) << 40;
		hvh_hypercall(h, 0, v, take(s, 4), take(s, 2));
		break;
	case 4:
		memory_write(s);
		break;
	case 5:
		hvh_pump(h);
		break;
	case 6:
		now += take(s, 3) * 16;
		hvh_pump(h);
		break;
	case 7:
		contact((uint8_t)take(s, 1));
		break;
	case 8:
		ring_open(1 + (uint32_t)take(s, 1) % 8, (uint8_t)take(s, 1));
		break;
	case 9:
		hvh_hypercall(h, 0, 0x1005D, 0x2000 + take(s, 1) % 10, 0);
		break;
	case 10:
		synic();
		break;
	case 11:
		/* Empties a slot by the rules. */
		memset(mem + (8 + (op >> 7)) * PAGE + 512, 0, 4);
		hvh_wrmsr(h, op >> 7, 0x40000084, 0);
		break;
	case 12:
		/* A ring's control word. */
		at = (take(s, 1) & 1 ? 16 : 32) * PAGE + (op >> 7) * 4 * PAGE;
		val = (uint32_t)take(s, 4);
		memcpy(mem + at + take(s, 1) % 4 * 4, &val, sizeof(val));
		break;
	case 13:
		drain();
		break;
	case 14:
	case 15:
	case 16:
	case 17:
		host_step(s, op % 24 - 14);
		break;
	default:
		packet(s);
		break;
	}
}

static void
start(void)
{
	static const uint8_t code[] = { 0xC3 };
	static const struct hvh_ops ops = {
		.interrupt = op_interrupt,
		.kick = op_kick,
		.now = op_now,
		.log = op_log,
		.flush = op_flush,
	};
	struct hvh_config cf = {
		.vps = 2,
		.nmem = 1,
		.monitor_pages = true,
		.hypercall_code = code,
		.hypercall_code_len = sizeof(code),
	};

	if (mem == NULL)
		mem = aligned_alloc(PAGE, PAGES * PAGE);
	memset(mem, 0, PAGES * PAGE);
	memset(dev, 0, sizeof(dev));
	now = 1;
	cf.mem[0] = (struct hvh_mem_region){ 0, PAGES * PAGE, mem };
	if (hvh_create(&cf, &ops, NULL, &h) != 0)
		abort();
	hvh_lock(h);
	for (unsigned i = 0; i < 2; i++) {
		struct hvh_offer of = { .monitored = i == 1 };
		struct hvh_chan *ch;

		of.instance.b[0] = (uint8_t)i;
		if (hvh_chan_offer(h, &of, &dev_ops, &dev[i], &ch) != 0)
			abort();
	}
	hvh_unlock(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size };
	struct hvh_stats st;

	start();
	if (take(&s, 1) % 4 != 0) {
		/* Most scripts start from where there is something to break. */
		synic();
		contact((uint8_t)take(&s, 1));
		ring_open(1, 0);
		ring_open(2, 1);
	}
	for (unsigned i = 0; i < ROUNDS && s.n > 0; i++)
		step(&s);
	hvh_pump(h);
	hvh_get_stats(h, &st);
	if (st.channels_open > st.channels_offered + 16 ||
	    (st.connected == 0 && st.gpadls > 64))
		abort();
	/* Devices end their I/O, as they do, and all of it goes away. */
	hvh_lock(h);
	dev[0].lazy = false;
	let_go(NULL);
	hvh_unlock(h);
	hvh_destroy(h);
	if (dev[0].released != 1 || dev[1].released != 1)
		abort();
	return (0);
}
