/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Fuzzer of dynamic memory: the input is a script of what a hostile guest
 * says, and of what is ordered meanwhile.  What must hold: a page goes out and
 * comes back in turns, and is guest memory; the guest is given what it had
 * given up and nothing else; each order that was taken ends, once; all pages
 * are the guest's again in the end.
 *
 * A row of records, the first byte modulo 8 saying which:
 *	0, 1	pages given up, in ranges that may overlap
 *	2	the versions and capabilities of a guest with manners
 *	3	a raw packet
 *	4	an order
 *	5	time passes
 *	6	close and open
 *	7	the guest's ring is full or has room again; it answers a give
 */

#include <string.h>

#include "fake_bus.h"
#include "hvballoon.h"
#include "script.h"

#define	PAGE	4096u
#define	PAGES	512u

static struct hvh *h;
static struct hvh_balloon *b;
static struct hvh_chan *ch;
static bool is_open;
static bool out[PAGES];		/* as the owner was told */
static bool guest[PAGES];	/* as the guest was, so that it may use them */
static uint64_t nout;
static unsigned ordered, ended;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
taken(void *arg, uint64_t gpa, uint64_t len)
{
	uint64_t page = gpa / PAGE, n = len / PAGE;

	check(gpa % PAGE == 0 && len % PAGE == 0 && n > 0, "no pages");
	check(page < PAGES && n <= PAGES - page, "no guest memory");
	for (; n > 0; n--, page++, nout++) {
		check(!out[page], "a page is taken twice");
		out[page] = true;
		guest[page] = false;
	}
}

static void
given(void *arg, uint64_t gpa, uint64_t len)
{
	uint64_t page = gpa / PAGE, n = len / PAGE;

	check(page < PAGES && n > 0 && n <= PAGES - page, "no guest memory");
	for (; n > 0; n--, page++, nout--) {
		check(out[page], "a page is given twice");
		out[page] = false;
	}
}

static void
done(void *arg, int error, uint64_t bytes)
{

	check(++ended <= ordered + 1, "ended twice");
	check(bytes == (PAGES - nout) * PAGE, "another number of pages");
}

/* --- The guest. --- */

static void
send(const void *data, uint32_t len)
{

	if (!is_open)
		return;
	fake_put(ch, 6, false, 0, data, len);
	fake_signal(ch);
}

static void
put32(uint8_t *p, uint32_t v)
{

	memcpy(p, &v, sizeof(v));
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

static void
put_range(uint8_t *p, uint64_t page, uint64_t n)
{
	uint64_t v = n << 40 | page;

	memcpy(p, &v, sizeof(v));
}

static void
header(uint8_t *m, uint16_t type, uint16_t size)
{

	put32(m, (uint32_t)size << 16 | type);
	put32(m + 4, 1);
}

static void
manners(uint8_t v)
{
	static const uint32_t versions[] = { 0x20000, 0x10000, 3, 0x50000 };
	uint8_t m[32] = { 0 };

	header(m, 1, 16);
	put32(m + 8, versions[v & 3]);
	put32(m + 12, v >> 2 & 1);
	send(m, 16);
	memset(m, 0, sizeof(m));
	header(m, 3, 32);
	m[8] = (v & 8) == 0;
	send(m, 32);
}

static void
pages(struct script *s, bool more)
{
	uint8_t m[16 + 8 * 8] = { 0 }, n = take8(s) % 9;

	header(m, 7, (uint16_t)(16 + n * 8));
	for (unsigned i = 0; i < n; i++) {
		uint8_t page = take8(s), count = take8(s);

		/* Some of them are beyond memory or far too long. */
		put_range(m + 16 + i * 8, page * 3u, count > 250 ?
		    0xffffffu - count : count);
	}
	put32(m + 12, (uint32_t)n << 1 | more);
	send(m, 16u + n * 8);
}

static void
raw(struct script *s)
{
	uint8_t buf[64];
	uint8_t n = take8(s);

	take(s, buf, sizeof(buf));
	send(buf, n % (sizeof(buf) + 1));
}

/* What the guest gets is what it had given up, in messages it can read. */
static void
collect(void)
{
	struct fake_pkt *p;

	while ((p = fake_get(ch)) != NULL) {
		check(p->type == 6 && p->len >= 8 && p->len <= 4096 &&
		    p->len == (uint32_t)(p->data[2] | p->data[3] << 8),
		    "no message");
		for (uint32_t i = 0; p->data[0] == 8 &&
		    i < get32(p->data + 12); i++) {
			uint64_t r;

			check(16 + (i + 1) * 8 <= p->len, "short");
			memcpy(&r, p->data + 16 + i * 8, sizeof(r));
			for (uint64_t n = r >> 40, page = r & 0xffffffffff;
			    n > 0; n--, page++) {
				check(page < PAGES && !guest[page],
				    "a page that the guest has");
				guest[page] = true;
			}
		}
		fake_pkt_free(p);
	}
}

static void
reopen(void)
{

	if (is_open) {
		fake_close(ch);
		check(nout == 0, "pages are out without a channel");
		memset(guest, true, sizeof(guest));
		collect();
		memset(guest, true, sizeof(guest));
	} else {
		check(fake_open(ch) == 0, "open");
	}
	is_open = !is_open;
	ch->open = is_open;
}

static void
record(struct script *s)
{
	uint8_t v = take8(s), m[8];

	switch (v % 8) {
	case 0:
	case 1:
		pages(s, v % 8 == 1);
		break;
	case 2:
		manners(v >> 3);
		break;
	case 3:
		raw(s);
		break;
	case 4:
		if (hvh_balloon_set(b, (uint64_t)take8(s) * 2 * PAGE, NULL,
		    done, NULL) == 0)
			ordered++;
		break;
	case 5:
		h->now += (uint64_t)take8(s) << (v >> 3);
		fake_pump(h);
		break;
	case 6:
		reopen();
		break;
	default:
		ch->room = (v & 8) != 0 ? v >> 5 : 1000;
		if (is_open)
			fake_signal(ch);
		header(m, 9, 8);
		if ((v & 16) != 0)
			send(m, 8);
		break;
	}
	if (is_open)
		collect();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct hvh_balloon_params bp = { .taken = taken,
	    .given = given };
	struct script s = { data, size };

	memset(out, 0, sizeof(out));
	memset(guest, true, sizeof(guest));
	nout = 0;
	ordered = ended = 0;
	is_open = false;
	h = fake_new(PAGES * PAGE);
	check(hvh_balloon_add(h, &bp, &b) == 0, "add");
	ch = fake_chan(h, 0);
	reopen();
	while (s.left > 0)
		record(&s);
	if (size % 2 == 0)
		hvh_balloon_remove(b);
	fake_free(h);
	check(nout == 0, "pages that never came back");
	check(ordered == ended, "an order that never ended");
	return (0);
}
