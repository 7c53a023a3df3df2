/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory with guests by hand: messages as literal numbers from the
 * protocol, those of guests that lie included.  protocol: utilities, 9
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "hvballoon.h"
#include "fake_ic.h"

#define	PAGE		4096u
#define	PAGES		2048u		/* the guest has */
#define	RANGE(page, n)	((uint64_t)(n) << 40 | (page))

static struct hvh *h;
static struct hvh_balloon *b;
static struct hvh_chan *ch;

/* What the owner of the memory was told: pages that are out. */
static bool out[PAGES];
static unsigned nout;

static void
taken(void *arg, uint64_t gpa, uint64_t len)
{

	ATF_REQUIRE(gpa % PAGE == 0 && len % PAGE == 0);
	ATF_REQUIRE(gpa / PAGE + len / PAGE <= PAGES);
	for (uint64_t p = gpa / PAGE; p < (gpa + len) / PAGE; p++) {
		ATF_REQUIRE_MSG(!out[p], "page %ju twice", (uintmax_t)p);
		out[p] = true;
		nout++;
	}
}

static void
given(void *arg, uint64_t gpa, uint64_t len)
{

	for (uint64_t p = gpa / PAGE; p < (gpa + len) / PAGE; p++) {
		ATF_REQUIRE_MSG(out[p], "page %ju was not out", (uintmax_t)p);
		out[p] = false;
		nout--;
	}
}

static struct hvh_balloon_info
info(void)
{
	struct hvh_balloon_info bi;

	hvh_balloon_get_info(b, &bi);
	return (bi);
}

static struct {
	unsigned	 n;
	int		 error;
	uint64_t	 bytes;
	unsigned	 steps;
} end;

static void
step(void *arg, uint64_t bytes)
{

	end.steps++;
}

static void
done(void *arg, int error, uint64_t bytes)
{

	end.n++;
	end.error = error;
	end.bytes = bytes;
}

static int
set(unsigned pages)
{

	memset(&end, 0, sizeof(end));
	return (hvh_balloon_set(b, (uint64_t)pages * PAGE, step, done, NULL));
}

/* It has ended so, with so many pages. */
static void
ended(int error, unsigned pages)
{

	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ_MSG(error, end.error, "error %d", end.error);
	ATF_CHECK_EQ_MSG((uint64_t)pages * PAGE, end.bytes, "%ju pages",
	    (uintmax_t)end.bytes / PAGE);
	ATF_CHECK_EQ(PAGES - pages, nout);
}

/* --- The guest. --- */

static uint8_t msg[FAKE_PKT_MAX];

static void
head(uint16_t type, uint16_t size)
{

	memset(msg, 0, sizeof(msg));
	fic_put16(msg, type);
	fic_put16(msg + 2, size);
	fic_put32(msg + 4, 77);
}

static void
put(uint32_t len)
{

	(void)fake_put(ch, 6, false, 0, msg, len);
	fake_signal(ch);
}

static void
send(void)
{

	put(fic_get16(msg + 2));
}

static void
say_version(uint32_t version, bool last)
{

	head(1, 16);
	fic_put32(msg + 8, version);
	fic_put32(msg + 12, last);
	send();
}

static void
say_capabilities(uint64_t flags)
{

	head(3, 32);
	fic_put64(msg + 8, flags);
	fic_put64(msg + 16, 100);
	fic_put64(msg + 24, UINT64_MAX);
	send();
}

/* The next message to the guest is of this type. */
static uint8_t *
hear(uint16_t type)
{
	static uint8_t got[FAKE_PKT_MAX];
	struct fake_pkt *p = fake_get(ch);

	ATF_REQUIRE_MSG(p != NULL, "no message %u", type);
	ATF_CHECK_EQ(6, p->type);
	ATF_REQUIRE(p->len <= 4096);
	memcpy(got, p->data, p->len);
	ATF_CHECK_EQ(p->len, fic_get16(got + 2));
	fake_pkt_free(p);
	ATF_REQUIRE_EQ(type, fic_get16(got));
	return (got);
}

static void
hear_nothing(void)
{

	ATF_CHECK_EQ(0, ch->out.n);
}

static void
open_channel(void)
{

	const struct hvh_balloon_params bp = { .taken = taken,
	    .given = given };

	h = fake_new((uint64_t)PAGES * PAGE);
	ATF_REQUIRE_EQ(0, hvh_balloon_add(h, &bp, &b));
	ch = fake_chan(h, 0);
	ATF_CHECK_EQ(HVH_IC_CLOSED, info().state);
	ATF_REQUIRE_EQ(0, fake_open(ch));
}

static void
start(void)
{

	open_channel();
	say_version(0x20000, false);
	ATF_CHECK_EQ(1, hear(2)[8]);
	say_capabilities(1);
	ATF_CHECK_EQ(1, hear(4)[8]);
	ATF_REQUIRE_EQ(HVH_IC_READY, info().state);
}

/* A message of pages given up. */
static void
give(bool more, unsigned n, const uint64_t *range)
{

	head(7, (uint16_t)(16 + n * 8));
	fic_put32(msg + 12, n << 1 | more);
	for (unsigned i = 0; i < n; i++)
		fic_put64(msg + 16 + i * 8, range[i]);
	send();
}

static void
give1(bool more, uint64_t range)
{

	give(more, 1, &range);
}

static void
finish(void)
{

	fake_free(h);
	ATF_CHECK_EQ(0, nout);
}

ATF_TC_WITHOUT_HEAD(versions);
ATF_TC_BODY(versions, tc)
{
	static const uint32_t known[] = { 0x20000, 0x10000, 3 };

	for (unsigned i = 0; i < 3; i++) {
		open_channel();
		say_version(0x30000, false);
		ATF_CHECK_EQ(0, hear(2)[8]);
		ATF_CHECK_EQ(HVH_IC_NEGOTIATING, info().state);
		ATF_CHECK_EQ(ENOTCONN, set(100));
		say_version(known[i], i == 2);
		ATF_CHECK_EQ(1, hear(2)[8]);
		say_capabilities(3);
		ATF_CHECK_EQ(1, hear(4)[8]);
		ATF_CHECK_EQ(known[i], info().version);
		ATF_CHECK(info().can_add);
		ATF_CHECK_EQ(100, info().min_pages);
		/* Nothing of it counts twice. */
		say_version(0x10000, false);
		say_capabilities(1);
		hear_nothing();
		ATF_CHECK_EQ(2, info().bad);
		finish();
	}
	/* The last try, in vain; and capabilities without a version. */
	open_channel();
	say_capabilities(1);
	hear_nothing();
	say_version(0, true);
	ATF_CHECK_EQ(0, hear(2)[8]);
	ATF_CHECK_EQ(HVH_IC_REFUSED, info().state);
	say_version(0x20000, false);
	hear_nothing();
	ATF_CHECK_EQ(ENOTCONN, set(100));
	finish();
}

ATF_TC_WITHOUT_HEAD(no_balloon);
ATF_TC_BODY(no_balloon, tc)
{

	open_channel();
	say_version(0x20000, false);
	say_capabilities(0);
	ATF_CHECK_EQ(ENOTSUP, set(100));
	finish();
}

ATF_TC_WITHOUT_HEAD(take_and_give);
ATF_TC_BODY(take_and_give, tc)
{
	const uint64_t two[] = { RANGE(1024, 512), RANGE(7, 1) };
	uint8_t *m;

	start();
	ATF_CHECK_EQ(EINVAL, set(0));
	ATF_CHECK_EQ(EINVAL, set(PAGES + 1));
	ATF_REQUIRE_EQ(0, set(PAGES - 613));
	ATF_CHECK_EQ(EBUSY, hvh_balloon_set(b, PAGE, NULL, NULL, NULL));
	m = hear(6);
	ATF_CHECK_EQ(16, fic_get16(m + 2));
	ATF_CHECK_EQ(613, fic_get32(m + 8));
	give1(true, RANGE(100, 100));
	ATF_CHECK_EQ(0, end.n);
	ATF_CHECK_EQ(1, end.steps);
	ATF_CHECK(info().busy);
	give(false, 2, two);
	ended(0, PAGES - 613);
	ATF_CHECK(out[7] && out[100] && out[199] && !out[200] && out[1535]);
	/* Back, but for 13. */
	ATF_REQUIRE_EQ(0, set(PAGES - 13));
	m = hear(8);
	ATF_CHECK_EQ(0, fic_get32(m + 8));
	ATF_REQUIRE_EQ(3, fic_get32(m + 12));
	ATF_CHECK_EQ(16 + 3 * 8, fic_get16(m + 2));
	ATF_CHECK_EQ(RANGE(7, 1), fic_get64(m + 16));
	ATF_CHECK_EQ(RANGE(100, 100), fic_get64(m + 24));
	ATF_CHECK_EQ(RANGE(1024, 499), fic_get64(m + 32));
	ATF_CHECK_EQ(0, end.n);
	head(9, 8);
	send();
	ended(0, PAGES - 13);
	/* It refuses. */
	ATF_REQUIRE_EQ(0, set(1));
	(void)hear(6);
	give(false, 0, NULL);
	ended(0, PAGES - 13);
	ATF_CHECK_EQ(1, info().refused);
	/* Nothing to do is done at once, but not within the call. */
	ATF_REQUIRE_EQ(0, set(PAGES - 13));
	ATF_CHECK_EQ(0, end.n);
	fake_pump(h);
	ended(0, PAGES - 13);
	hear_nothing();
	ATF_CHECK_EQ(0, info().bad);
	finish();
}

ATF_TC_WITHOUT_HEAD(many);
ATF_TC_BODY(many, tc)
{
	uint8_t *m;
	unsigned messages = 0, n, pages = 0;

	/* Every other page: more ranges than a message holds. */
	start();
	ATF_REQUIRE_EQ(0, set(PAGES / 2));
	(void)hear(6);
	for (unsigned p = 0; p < PAGES; p += 2)
		give1(p < PAGES - 2, RANGE(p, 1));
	ended(0, PAGES / 2);
	/* And a ring that is full for a while. */
	ch->room = 1;
	ATF_REQUIRE_EQ(0, set(PAGES));
	do {
		m = hear(8);
		messages++;
		n = fic_get32(m + 12);
		for (unsigned i = 0; i < n; i++)
			pages += fic_get64(m + 16 + i * 8) >> 40;
		hear_nothing();
		ch->room = 1;
		n = fic_get32(m + 8);
		fake_signal(ch);
	} while (n == 1);
	ATF_CHECK_EQ(PAGES / 2, pages);
	ATF_CHECK(messages >= 3);
	head(9, 8);
	send();
	ended(0, PAGES);
	finish();
}

ATF_TC_WITHOUT_HEAD(lies);
ATF_TC_BODY(lies, tc)
{
	static const uint64_t bad[] = {
		RANGE(PAGES, 1),		/* beyond memory */
		RANGE(PAGES - 1, 2),		/* its last page is there */
		UINT64_MAX,
		RANGE(0xffffffffff, 1),
		RANGE(10, 10),
		RANGE(5, 10),			/* overlaps: 5 of them count */
		RANGE(12, 1),			/* again */
		RANGE(0, 0),			/* nothing */
	};

	start();
	ATF_REQUIRE_EQ(0, set(PAGES - 100));
	(void)hear(6);
	give(true, 8, bad);
	ATF_CHECK_EQ(6, info().bad_ranges);
	ATF_CHECK_EQ(16, nout);
	ATF_CHECK(out[PAGES - 1] && out[5] && out[19] && !out[20] && !out[4]);
	/* More ranges than bytes. */
	head(7, 24);
	fic_put32(msg + 12, 2 << 1);
	fic_put64(msg + 16, RANGE(300, 1));
	send();
	fic_put32(msg + 12, UINT32_MAX);
	send();
	ATF_CHECK_EQ(16, nout);
	ATF_CHECK_EQ(0, end.n);
	/* More than was ordered is its own loss. */
	give1(false, RANGE(400, 400));
	ended(0, PAGES - 416);
	/* And unasked. */
	give1(false, RANGE(900, 1));
	ATF_CHECK_EQ(417, nout);
	head(9, 8);
	send();
	ATF_CHECK_EQ(2, info().stale);
	ATF_REQUIRE_EQ(0, set(PAGES));
	(void)hear(8);
	/* An answer to another order. */
	give(false, 0, NULL);
	ATF_CHECK_EQ(0, end.n);
	head(9, 8);
	send();
	ended(0, PAGES);
	finish();
}

ATF_TC_WITHOUT_HEAD(broken);
ATF_TC_BODY(broken, tc)
{
	static const uint16_t longest[] = { 7, 15, 31, 47, 15, 7 };
	static const uint16_t types[] = { 0, 1, 3, 5, 7, 9 };
	unsigned bad = 0;

	start();
	for (uint32_t len = 0; len < 8; len++, bad++) {
		head(5, 48);
		put(len);
	}
	for (unsigned i = 0; i < 6; i++) {
		head(types[i], longest[i]);
		put(64);
		head(types[i], 128);
		put(64);
		bad += 2;
	}
	for (uint16_t type = 10; type < 20; type++, bad++) {
		head(type, 64);
		send();
	}
	head(5, 48);
	(void)fake_put(ch, 11, false, 0, msg, 48);
	(void)fake_put(ch, 6, true, 0, msg, 48);
	fake_signal(ch);
	bad += 2;
	ATF_CHECK_EQ_MSG(bad, info().bad, "%ju, not %u",
	    (uintmax_t)info().bad, bad);
	ATF_CHECK_EQ(0, info().reports);
	hear_nothing();
	finish();
}

ATF_TC_WITHOUT_HEAD(status);
ATF_TC_BODY(status, tc)
{

	start();
	ATF_CHECK_EQ(0, info().reported);
	(void)set(PAGES - 10);
	give1(false, RANGE(1, 10));
	head(5, 48);
	fic_put64(msg + 8, 500);
	fic_put64(msg + 16, 1000);
	send();
	ATF_CHECK(info().reported > 0);
	h->now += 3 * FIC_SECOND;
	ATF_CHECK_EQ(1, info().reports);
	ATF_CHECK_EQ(3 * FIC_SECOND, info().reported);
	ATF_CHECK_EQ(500, info().available);
	ATF_CHECK_EQ(1000, info().committed);
	ATF_CHECK_EQ(990, info().demand);
	/* Numbers that nobody can have. */
	fic_put64(msg + 8, UINT64_MAX);
	fic_put64(msg + 16, UINT64_MAX);
	send();
	ATF_CHECK(info().available * PAGE / PAGE == info().available);
	ATF_CHECK(info().demand * PAGE / PAGE == info().demand);
	finish();
}

ATF_TC_WITHOUT_HEAD(silence);
ATF_TC_BODY(silence, tc)
{

	start();
	ATF_REQUIRE_EQ(0, set(PAGES - 10));
	(void)hear(6);
	fic_sleep(h, 25 * FIC_SECOND);
	give1(true, RANGE(1, 1));
	/* It is alive; one that gives nothing is not. */
	fic_sleep(h, 25 * FIC_SECOND);
	ATF_CHECK_EQ(0, end.n);
	give(true, 0, NULL);
	fic_sleep(h, 6 * FIC_SECOND);
	ended(ETIMEDOUT, PAGES - 1);
	ATF_CHECK_EQ(1, info().timeouts);
	/* Late, but out all the same. */
	give1(false, RANGE(2, 9));
	ATF_CHECK_EQ(10, nout);
	ATF_REQUIRE_EQ(0, set(PAGES));
	(void)hear(8);
	fic_sleep(h, 31 * FIC_SECOND);
	ended(ETIMEDOUT, PAGES);
	/* A ring that never has room. */
	ch->room = 0;
	ATF_REQUIRE_EQ(0, set(PAGES - 1));
	hear_nothing();
	fic_sleep(h, 31 * FIC_SECOND);
	ended(ETIMEDOUT, PAGES);
	finish();
}

ATF_TC_WITHOUT_HEAD(closing);
ATF_TC_BODY(closing, tc)
{

	start();
	ATF_REQUIRE_EQ(0, set(PAGES - 10));
	give1(true, RANGE(1, 5));
	fake_close(ch);
	ended(ECONNRESET, PAGES);
	ATF_CHECK_EQ(HVH_IC_CLOSED, info().state);
	ATF_CHECK_EQ(ENOTCONN, set(1));
	ch->open = false;
	while (ch->out.n > 0)
		fake_pkt_free(fake_get(ch));
	ATF_REQUIRE_EQ(0, fake_open(ch));
	say_version(3, true);
	say_capabilities(1);
	ATF_CHECK_EQ(HVH_IC_READY, info().state);
	ATF_REQUIRE_EQ(0, set(PAGES - 10));
	give1(false, RANGE(1, 10));
	hvh_balloon_remove(b);
	finish();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, no_balloon);
	ATF_TP_ADD_TC(tp, take_and_give);
	ATF_TP_ADD_TC(tp, many);
	ATF_TP_ADD_TC(tp, lies);
	ATF_TP_ADD_TC(tp, broken);
	ATF_TP_ADD_TC(tp, status);
	ATF_TP_ADD_TC(tp, silence);
	ATF_TP_ADD_TC(tp, closing);
	return (atf_no_error());
}
