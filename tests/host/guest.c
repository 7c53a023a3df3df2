/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The hand-made guest: see guest.h. */

#include <atf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static const uint8_t code[] = { 0x0F, 0x01, 0xD9, 0xC3 };

static void
op_interrupt(void *arg, uint32_t vp, uint8_t vector, bool autoeoi)
{
	struct guest *g = arg;

	atomic_fetch_add(&g->irqs[vp][vector], 1);
	if (autoeoi)
		atomic_fetch_add(&g->autoeoi, 1);
}

static void
op_kick(void *arg)
{

	atomic_fetch_add(&((struct guest *)arg)->kicks, 1);
}

static uint64_t
op_now(void *arg)
{

	return (atomic_load(&((struct guest *)arg)->now));
}

static uint64_t
op_tsc(void *arg)
{

	return (guest_tsc(arg));
}

static void
op_flush(void *arg, uint32_t vp, const struct hvh_flush *f)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct guest *g = arg;

	/* Several VPs may ask at once. */
	pthread_mutex_lock(&lock);
	g->flushes++;
	g->flush_vp = vp;
	g->flush = *f;
	ATF_REQUIRE(f->nranges <= 512);
	if (f->nranges > 0)
		memcpy(g->ranges, f->ranges, f->nranges * sizeof(uint64_t));
	g->flush.ranges = NULL;
	pthread_mutex_unlock(&lock);
}

static void
op_eoi(void *arg, uint32_t vp)
{

	((struct guest *)arg)->eois[vp]++;
}

static void
op_event(void *arg, enum hvh_event event, const uint64_t params[5],
    const char *text)
{
	struct guest *g = arg;

	if (event == HVH_EVENT_RESET) {
		g->resets++;
	} else {
		g->crashes++;
		memcpy(g->crash, params, sizeof(g->crash));
		snprintf(g->crash_text, sizeof(g->crash_text), "%s",
		    text != NULL ? text : "");
	}
}

static void
op_log(void *arg, enum hvh_log_level level, const char *text)
{
	struct guest *g = arg;

	g->loglines++;
	snprintf(g->log, sizeof(g->log), "%s", text);
	if (g->verbose)
		printf("host: %s\n", text);
}

static void
op_trace(void *arg, const struct hvh_trace_event *ev)
{
	struct guest *g = arg;

	g->trace(g->trace_arg, ev);
}

static void
create(struct guest *g, const struct hvh_config *cf)
{
	struct hvh_ops ops = {
		.interrupt = op_interrupt,
		.kick = op_kick,
		.now = op_now,
		.event = op_event,
		.log = op_log,
		.trace = g->trace != NULL ? op_trace : NULL,
		.tsc = g->tsc_rate != 0 ? op_tsc : NULL,
		.flush = op_flush,
		.eoi = op_eoi,
	};
	struct hvh_config c = { 0 };
	int error;

	if (cf != NULL)
		c = *cf;
	g->mem = aligned_alloc(PAGE, GUEST_PAGES * PAGE);
	ATF_REQUIRE(g->mem != NULL);
	memset(g->mem, 0, GUEST_PAGES * PAGE);
	atomic_store(&g->now, 1000000);
	g->next_gpadl = 0xE1E10;
	c.vps = GUEST_VPS;
	c.nmem = 1;
	c.mem[0] = (struct hvh_mem_region){ .gpa = 0,
	    .size = GUEST_PAGES * PAGE, .host = g->mem };
	c.hypercall_code = code;
	c.hypercall_code_len = sizeof(code);
	error = hvh_create(&c, &ops, g, &g->h);
	ATF_REQUIRE_EQ_MSG(0, error, "hvh_create: %d", error);
}

void
guest_create(struct guest *g, const struct hvh_config *cf)
{

	memset(g, 0, sizeof(*g));
	create(g, cf);
}

void
guest_create_tsc(struct guest *g, const struct hvh_config *cf)
{

	memset(g, 0, sizeof(*g));
	g->tsc_rate = 2;
	create(g, cf);
}

uint64_t
guest_tsc(struct guest *g)
{

	return (atomic_load(&g->tsc_base) +
	    atomic_load(&g->tsc_rate) * atomic_load(&g->now));
}

void
guest_create_traced(struct guest *g,
    void (*trace)(void *arg, const struct hvh_trace_event *ev), void *arg)
{

	memset(g, 0, sizeof(*g));
	g->trace = trace;
	g->trace_arg = arg;
	create(g, NULL);
}

void
guest_destroy(struct guest *g)
{

	hvh_destroy(g->h);
	free(g->mem);
}

uint8_t *
guest_page(struct guest *g, unsigned page)
{

	return (g->mem + GPA(page));
}

void
wrmsr(struct guest *g, uint32_t vp, uint32_t msr, uint64_t val)
{

	ATF_REQUIRE_EQ(0, hvh_wrmsr(g->h, vp, msr, val));
}

uint64_t
rdmsr(struct guest *g, uint32_t vp, uint32_t msr)
{
	uint64_t val;

	ATF_REQUIRE_EQ(0, hvh_rdmsr(g->h, vp, msr, &val));
	return (val);
}

void
guest_synic(struct guest *g)
{

	for (uint32_t vp = 0; vp < GUEST_VPS; vp++) {
		wrmsr(g, vp, 0x40000083, GPA(PG_SIMP + vp) | 1);
		wrmsr(g, vp, 0x40000082, GPA(PG_SIEFP + vp) | 1);
		wrmsr(g, vp, 0x40000092, 0x50 + vp);
		wrmsr(g, vp, 0x40000080, 1);
	}
}

void
guest_pump(struct guest *g)
{

	for (int i = 0; i < 10000; i++) {
		if (hvh_pump(g->h) > atomic_load(&g->now))
			return;
	}
	atf_tc_fail("the pump never rests");
}

void
guest_sleep(struct guest *g, uint64_t ns)
{
	uint64_t end = atomic_load(&g->now) + ns, at;

	for (;;) {
		at = hvh_pump(g->h);
		if (at > end)
			break;
		if (at > atomic_load(&g->now))
			atomic_store(&g->now, at);
	}
	atomic_store(&g->now, end);
	guest_pump(g);
}

void
guest_crash(struct guest *g, uint64_t what, const char *text)
{

	strcpy((char *)guest_page(g, PG_FREE), text);
	wrmsr(g, 0, 0x40000100, what);
	wrmsr(g, 0, 0x40000103, GPA(PG_FREE));
	wrmsr(g, 0, 0x40000104, strlen(text));
	wrmsr(g, 0, 0x40000105, 3ull << 62);
}

uint64_t
guest_post(struct guest *g, uint32_t conn, const void *msg, size_t len)
{
	uint8_t *p = guest_page(g, PG_POST);

	memset(p, 0, 256);
	put32(p, conn);
	put32(p + 8, 1);
	put32(p + 12, (uint32_t)len);
	memcpy(p + 16, msg, len);
	return (hvh_hypercall(g->h, 0, 0x5C, GPA(PG_POST), 0));
}

uint64_t
guest_signal(struct guest *g, uint32_t conn)
{

	return (hvh_hypercall(g->h, 0, 0x1005D, conn, 0));
}

bool
guest_message(struct guest *g, uint32_t vp, uint8_t *msg)
{
	uint8_t *slot = guest_page(g, PG_SIMP + vp) + 2 * 256;

	guest_pump(g);
	if (get32(slot) == 0)
		return (false);
	ATF_REQUIRE_EQ(1, get32(slot));
	ATF_REQUIRE(slot[4] <= 240);
	memset(msg, 0, 240);
	memcpy(msg, slot + 16, slot[4]);
	__atomic_store_n((uint32_t *)(void *)slot, 0, __ATOMIC_SEQ_CST);
	if ((slot[5] & 1) != 0)
		wrmsr(g, vp, 0x40000084, 0);
	return (true);
}

void
guest_expect(struct guest *g, uint32_t type, uint8_t *msg)
{

	ATF_REQUIRE_MSG(guest_message(g, 0, msg), "no message %u came", type);
	ATF_REQUIRE_EQ_MSG(type, get32(msg), "message %u instead of %u",
	    get32(msg), type);
}

void
guest_expect_none(struct guest *g)
{
	uint8_t msg[240];

	ATF_REQUIRE_MSG(!guest_message(g, 0, msg), "message %u unasked",
	    get32(msg));
}

bool
guest_contact(struct guest *g, uint32_t version)
{
	uint8_t m[40] = { 14 }, r[240];

	put32(m + 8, version);
	if (version >= 0x50000)
		m[16] = 2;
	else
		put64(m + 16, GPA(PG_INT));
	put64(m + 24, GPA(PG_MON1));
	put64(m + 32, GPA(PG_MON2));
	ATF_REQUIRE_EQ(0, guest_post(g, version >= 0x50000 ? 4 : 1, m,
	    sizeof(m)));
	guest_expect(g, 15, r);
	return (r[8] == 1);
}

unsigned
guest_connect(struct guest *g, uint32_t version, uint8_t *msg)
{
	uint8_t m[8] = { 3 }, r[240];
	unsigned n = 0;

	ATF_REQUIRE(guest_contact(g, version));
	ATF_REQUIRE_EQ(0, guest_post(g, 1, m, sizeof(m)));
	while (guest_message(g, 0, r) && r[0] == 1) {
		n++;
		if (msg != NULL)
			memcpy(msg, r, sizeof(r));
	}
	ATF_REQUIRE_EQ(4, r[0]);
	return (n);
}

uint32_t
get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

uint64_t
get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

void
put32(void *p, uint32_t v)
{

	memcpy(p, &v, sizeof(v));
}

void
put64(void *p, uint64_t v)
{

	memcpy(p, &v, sizeof(v));
}

uint32_t
guest_gpadl(struct guest *g, uint32_t chan, unsigned first, unsigned npages,
    unsigned stride)
{
	uint8_t m[240] = { 8 }, r[240];
	uint32_t id = g->next_gpadl++;
	unsigned at = 20, max = 26, done = 0;

	put32(m + 8, chan);
	put32(m + 12, id);
	put32(m + 16, (8 + npages * 8) | 1 << 16);
	put32(m + 20, npages * PAGE);
	at = 28;
	while (done < npages) {
		unsigned n = npages - done < max ? npages - done : max;

		for (unsigned i = 0; i < n; i++, done++)
			put64(m + at + i * 8, first + done * stride);
		ATF_REQUIRE_EQ(0, guest_post(g, 1, m, at + n * 8));
		guest_pump(g);
		memset(m, 0, sizeof(m));
		m[0] = 9;
		put32(m + 12, id);
		at = 16;
		max = 28;
	}
	guest_expect(g, 10, r);
	ATF_REQUIRE_EQ(chan, get32(r + 8));
	ATF_REQUIRE_EQ(id, get32(r + 12));
	ATF_REQUIRE_EQ(0, get32(r + 16));
	return (id);
}

void
guest_open_post(struct guest *g, uint32_t chan, uint32_t gpadl, uint32_t vp,
    uint32_t down)
{
	uint8_t m[148] = { 5 };

	put32(m + 8, chan);
	put32(m + 12, 0x1234 + chan);
	put32(m + 16, gpadl);
	put32(m + 20, vp);
	put32(m + 24, down);
	m[28] = 0xAB;
	ATF_REQUIRE_EQ(0, guest_post(g, 1, m, sizeof(m)));
}

uint32_t
guest_open(struct guest *g, uint32_t chan, uint32_t gpadl, uint32_t vp,
    uint32_t down)
{
	uint8_t r[240];

	guest_open_post(g, chan, gpadl, vp, down);
	guest_expect(g, 6, r);
	ATF_REQUIRE_EQ(chan, get32(r + 8));
	ATF_REQUIRE_EQ(0x1234 + chan, get32(r + 12));
	return (get32(r + 16));
}

void
guest_close(struct guest *g, uint32_t chan)
{
	uint8_t m[12] = { 7 };

	put32(m + 8, chan);
	ATF_REQUIRE_EQ(0, guest_post(g, 1, m, sizeof(m)));
	guest_pump(g);
}

void
guest_teardown(struct guest *g, uint32_t chan, uint32_t gpadl)
{
	uint8_t m[16] = { 11 }, r[240];

	put32(m + 8, chan);
	put32(m + 12, gpadl);
	ATF_REQUIRE_EQ(0, guest_post(g, 1, m, sizeof(m)));
	guest_expect(g, 12, r);
	ATF_REQUIRE_EQ(gpadl, get32(r + 8));
}

void
guest_ring(struct guest_ring *r, struct guest *g, unsigned first,
    unsigned npages, unsigned down)
{

	memset(r, 0, sizeof(*r));
	r->g = g;
	r->tx = guest_page(g, first);
	r->rx = guest_page(g, first + down);
	r->txsize = (down - 1) * PAGE;
	r->rxsize = (npages - down - 1) * PAGE;
	r->txin = get32(r->tx);
	r->rxout = get32(r->rx + 4);
}

static uint32_t
ring_put(struct guest_ring *r, uint32_t at, const void *data, uint32_t len)
{
	const uint8_t *p = data;

	for (; len > 0; len--) {
		r->tx[PAGE + at] = *p++;
		at = (at + 1) % r->txsize;
	}
	return (at);
}

int
guest_write(struct guest_ring *r, uint16_t type, uint16_t flags, uint64_t xid,
    const void *hdr, uint32_t hdrlen, const void *data, uint32_t len)
{
	uint32_t total = 16 + hdrlen + ((len + 7) & ~7u), old = r->txin, at;
	uint16_t desc[4] = { type, (uint16_t)((16 + hdrlen) / 8),
	    (uint16_t)(total / 8), flags };
	uint32_t out, used, trailer[2] = { 0, r->txin };
	static const uint8_t zero[8];

	out = __atomic_load_n((uint32_t *)(void *)(r->tx + 4),
	    __ATOMIC_ACQUIRE);
	used = (old + r->txsize - out) % r->txsize;
	if (r->txsize - used <= total + 8)
		return (-1);
	at = ring_put(r, old, desc, sizeof(desc));
	at = ring_put(r, at, &xid, sizeof(xid));
	at = ring_put(r, at, hdr, hdrlen);
	at = ring_put(r, at, data, len);
	at = ring_put(r, at, zero, -len & 7);
	r->txin = ring_put(r, at, trailer, sizeof(trailer));
	__atomic_store_n((uint32_t *)(void *)r->tx, r->txin,
	    __ATOMIC_SEQ_CST);
	if (__atomic_load_n((uint32_t *)(void *)(r->tx + 8),
	    __ATOMIC_SEQ_CST) != 0)
		return (0);
	return (__atomic_load_n((uint32_t *)(void *)(r->tx + 4),
	    __ATOMIC_SEQ_CST) == old);
}

uint32_t
guest_read(struct guest_ring *r, void *buf, uint32_t size)
{
	uint8_t *p = buf;
	uint16_t desc[4];
	uint32_t in, len;

	in = __atomic_load_n((uint32_t *)(void *)r->rx, __ATOMIC_ACQUIRE);
	if (in == r->rxout)
		return (0);
	memcpy(desc, r->rx + PAGE + r->rxout, sizeof(desc));
	len = desc[2] * 8u;
	ATF_REQUIRE(len >= 16 && len <= size);
	for (uint32_t i = 0; i < len; i++)
		p[i] = r->rx[PAGE + (r->rxout + i) % r->rxsize];
	r->rxout = (r->rxout + len + 8) % r->rxsize;
	__atomic_store_n((uint32_t *)(void *)(r->rx + 4), r->rxout,
	    __ATOMIC_SEQ_CST);
	return (len);
}

bool
guest_event(struct guest *g, uint32_t vp, uint32_t flag)
{
	uint32_t *w = (uint32_t *)(void *)(guest_page(g, PG_SIEFP + vp) +
	    2 * 256) + flag / 32;
	uint32_t bit = 1u << flag % 32;

	return ((__atomic_fetch_and(w, ~bit, __ATOMIC_SEQ_CST) & bit) != 0);
}
