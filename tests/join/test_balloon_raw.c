/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory with hosts without manners: versions and orders that make no
 * sense, pages that are not theirs, hot-add, and silence.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "raw_ic.h"

#define	CLASS		"525074dc-8985-46e2-8057-a307dc18a502"
#define	DEV		"dev.hvballoon.0."

/* Types of messages; odd ones are the guest's. */
enum {
	VERSION = 1, VERSION_RSP, CAPS, CAPS_RSP, STATUS, UP, UP_RSP, DOWN,
	DOWN_RSP, HOT_ADD, HOT_ADD_RSP, INFO
};

static struct raw_ic *raw;

static void
add_raw(struct join *j)
{

	raw = raw_ic_add(j->host, CLASS);
}

static void
start(struct join *j, bool fast)
{
	struct join_config cf = {
		.no_disks = true, .prepare = add_raw, .fast_clock = fast,
	};

	join_start(j, &cf);
	raw_ic_wait_open(raw);
}

static void
put(struct raw_msg *m, uint16_t type, uint16_t size)
{

	memset(m, 0, sizeof(*m));
	m->len = size;
	raw_put16(m, 0, type);
	raw_put16(m, 2, size);
}

/* Waits for the guest to make room, if need be. */
static void
send(const struct raw_msg *m)
{
	unsigned i;

	for (i = 0; raw_ic_send(raw, 6, m->data, m->len, 0) != 0; i++) {
		ATF_REQUIRE_MSG(i < 10000, "the guest takes no messages");
		usleep(1000);
	}
}

/* The guest's next message that is no report has this type. */
static const struct raw_answer *
hear(uint16_t type)
{
	const struct raw_answer *a;

	do {
		a = raw_ic_answer(raw, 10000);
		ATF_REQUIRE_MSG(a != NULL, "no message %u", type);
		ATF_CHECK_EQ(6, a->type);
		ATF_CHECK(raw_get(a, 2, 2) <= a->len);
	} while (raw_get(a, 0, 2) == STATUS);
	ATF_REQUIRE_EQ_MSG(type, raw_get(a, 0, 2), "message %u, not %u",
	    raw_get(a, 0, 2), type);
	return (a);
}

/* It says nothing but reports. */
static void
silence(void)
{
	const struct raw_answer *a;

	while ((a = raw_ic_answer(raw, 100)) != NULL)
		ATF_CHECK_EQ(STATUS, raw_get(a, 0, 2));
}

static void
answer(uint16_t type, uint64_t flags)
{
	struct raw_msg m;

	put(&m, type, 16);
	raw_put64(&m, 8, flags);
	send(&m);
}

static void
agree(void)
{
	const struct raw_answer *a;

	a = hear(VERSION);
	ATF_CHECK_EQ(0x20000, raw_get(a, 8, 4));
	ATF_CHECK_EQ(0, raw_get(a, 12, 4));
	answer(VERSION_RSP, 1);
	a = hear(CAPS);
	/* Ballooning, no hot-add, and no limit where it would end. */
	ATF_CHECK_EQ(1, raw_get64(a, 8));
	ATF_CHECK_EQ(join_sysctl(DEV "floor"), raw_get64(a, 16));
	ATF_CHECK_EQ(UINT64_MAX, raw_get64(a, 24));
	answer(CAPS_RSP, 1);
}

static void
up(uint32_t pages)
{
	struct raw_msg m;

	put(&m, UP, 16);
	raw_put32(&m, 8, pages);
	send(&m);
}

/* Collects what an order yields; returns the number of pages. */
static uint64_t
take(uint32_t pages, uint64_t *range, unsigned *nranges)
{
	const struct raw_answer *a;
	uint64_t got = 0;
	unsigned i, n;
	bool more;

	*nranges = 0;
	up(pages);
	do {
		a = hear(UP_RSP);
		n = raw_get(a, 12, 4) >> 1;
		more = (raw_get(a, 12, 4) & 1) != 0;
		ATF_REQUIRE_EQ(16 + n * 8, raw_get(a, 2, 2));
		for (i = 0; i < n; i++) {
			range[*nranges] = raw_get64(a, 16 + i * 8);
			got += range[(*nranges)++] >> 40;
		}
	} while (more);
	return (got);
}

static void
down(const uint64_t *range, unsigned n, bool more)
{
	struct raw_msg m;
	unsigned i;

	put(&m, DOWN, (uint16_t)(16 + n * 8));
	raw_put32(&m, 8, more);
	raw_put32(&m, 12, n);
	for (i = 0; i < n; i++)
		raw_put64(&m, 16 + i * 8, range[i]);
	send(&m);
}

ATF_TC(unknown);
ATF_TC_HEAD(unknown, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that takes no version is asked "
	    "for each once, the last one marked");
}
ATF_TC_BODY(unknown, tc)
{
	static const uint32_t versions[] = { 0x20000, 0x10000, 3 };
	const struct raw_answer *a;
	struct join j;
	unsigned i;

	start(&j, false);
	for (i = 0; i < 3; i++) {
		a = hear(VERSION);
		ATF_CHECK_EQ(versions[i], raw_get(a, 8, 4));
		ATF_CHECK_EQ(i == 2, raw_get(a, 12, 4));
		answer(VERSION_RSP, 0);
	}
	silence();
	join_is(DEV "state", "refused");
	join_is(DEV "version", "0.0");
	/* It is too late now. */
	answer(VERSION_RSP, 1);
	up(1000);
	silence();
	join_is(DEV "state", "refused");
	ATF_CHECK_EQ(2, join_sysctl(DEV "bad_messages"));
	join_finish(&j);
}

ATF_TC(refused);
ATF_TC_HEAD(refused, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that does not take the "
	    "capabilities hears no more");
}
ATF_TC_BODY(refused, tc)
{
	struct join j;

	start(&j, true);
	(void)hear(VERSION);
	/* An answer to what comes later. */
	answer(CAPS_RSP, 1);
	answer(VERSION_RSP, 1);
	(void)hear(CAPS);
	answer(VERSION_RSP, 1);
	answer(CAPS_RSP, 0xfffffffe);
	silence();
	join_is(DEV "state", "refused");
	ATF_CHECK_EQ(0, join_sysctl(DEV "reports"));
	ATF_CHECK_EQ(2, join_sysctl(DEV "bad_messages"));
	join_finish(&j);
}

static bool
is_refused(void *arg)
{
	char value[64];

	return (kpi_sysctl_get(DEV "state", value, sizeof(value)) == 0 &&
	    strcmp(value, "refused") == 0);
}

ATF_TC(silent);
ATF_TC_HEAD(silent, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that never answers is given up "
	    "after some seconds");
}
ATF_TC_BODY(silent, tc)
{
	const struct join_config cf = { .no_disks = true, .prepare = add_raw,
	    .fast_clock = true, .no_load = true };
	uint64_t began;
	struct join j;

	join_start(&j, &cf);
	began = vm_now();
	ATF_REQUIRE_EQ(0, vm_load());
	(void)hear(VERSION);
	ATF_REQUIRE(join_wait(is_refused, NULL, 20000));
	ATF_CHECK(vm_now() - began >= 4500000000);
	join_finish(&j);
}

ATF_TC(hot_add);
ATF_TC_HEAD(hot_add, tc)
{
	atf_tc_set_md_var(tc, "descr", "memory that is to be added is refused, "
	    "with an answer");
}
ATF_TC_BODY(hot_add, tc)
{
	const struct raw_answer *a;
	struct raw_msg m;
	struct join j;
	unsigned i;

	start(&j, false);
	agree();
	for (i = 0; i < 3; i++) {
		put(&m, HOT_ADD, i == 0 ? 16 : i == 1 ? 24 : 8);
		if (m.len > 8)
			raw_put64(&m, 8, 0x8000ull << 40 | 0x100000);
		send(&m);
		a = hear(HOT_ADD_RSP);
		ATF_CHECK_EQ(16, raw_get(a, 2, 2));
		ATF_CHECK_EQ(0, raw_get(a, 8, 4));
		ATF_CHECK_EQ(0, raw_get(a, 12, 4));
	}
	ATF_CHECK_EQ(3, join_sysctl(DEV "hot_adds"));
	ATF_CHECK_EQ(0, join_sysctl(DEV "bad_messages"));
	join_finish(&j);
}

ATF_TC(broken);
ATF_TC_HEAD(broken, tc)
{
	atf_tc_set_md_var(tc, "descr", "messages that are short, long or "
	    "unknown are counted and do no harm");
}
ATF_TC_BODY(broken, tc)
{
	static uint64_t range[1000];
	struct raw_msg m;
	struct join j;
	unsigned bad = 0, i, n;

	start(&j, false);
	/* Before anything was agreed on. */
	up(1);
	down(NULL, 0, false);
	bad += 2;
	agree();
	/* Shorter than they must be; the size says so, or the packet is. */
	for (i = VERSION_RSP; i <= DOWN; i += 2) {
		put(&m, (uint16_t)i, 15);
		m.len = 16;
		send(&m);
		put(&m, (uint16_t)i, 16);
		m.len = 8;
		send(&m);
		bad += 2;
	}
	for (i = 0; i < 8; i += 4) {
		put(&m, UP, 16);
		m.len = i;
		send(&m);
		bad++;
	}
	put(&m, UP, 16);
	raw_put16(&m, 2, 0xffff);
	send(&m);
	put(&m, 0, 8);
	send(&m);
	put(&m, 13, 8);
	send(&m);
	put(&m, VERSION, 16);
	send(&m);
	/* More than anybody's buffer has room for. */
	put(&m, DOWN, 4104);
	send(&m);
	/* More ranges than there are bytes. */
	put(&m, DOWN, 24);
	raw_put32(&m, 12, 2);
	send(&m);
	raw_put32(&m, 12, UINT32_MAX);
	send(&m);
	ATF_REQUIRE_EQ(0, raw_ic_send(raw, 11, m.data, m.len, 0));
	bad += 8;
	silence();
	ATF_CHECK_EQ(bad, join_sysctl(DEV "bad_messages"));
	/* What there is no use for. */
	put(&m, INFO, 16);
	send(&m);
	ATF_CHECK_EQ(100, take(100, range, &n));
	down(range, n, false);
	(void)hear(DOWN_RSP);
	ATF_CHECK_EQ(0, join_sysctl(DEV "ballooned"));
	ATF_CHECK_EQ(0, take(0, range, &n));
	ATF_CHECK_EQ(bad, join_sysctl(DEV "bad_messages"));
	join_finish(&j);
}

ATF_TC(foreign);
ATF_TC_HEAD(foreign, tc)
{
	atf_tc_set_md_var(tc, "descr", "pages that the host does not have are "
	    "not given back by it");
}
ATF_TC_BODY(foreign, tc)
{
	static uint64_t range[4096];
	uint64_t bad[8], first, count;
	struct join j;
	unsigned n;

	start(&j, false);
	agree();
	ATF_REQUIRE_EQ(1024, take(1024, range, &n));
	first = range[0] & 0xffffffffff;
	count = range[0] >> 40;
	ATF_REQUIRE(count >= 2);
	/* The guest's own, beyond memory, everything. */
	bad[0] = 1ull << 40 | 1;
	bad[1] = 16ull << 40 | (512ull << 20) / 4096;
	bad[2] = UINT64_MAX;
	bad[3] = 0xffffffull << 40;
	bad[4] = 1ull << 40 | 0xffffffffff;
	down(bad, 5, true);
	/* None at all is no lie. */
	bad[0] = first;
	down(bad, 1, false);
	(void)hear(DOWN_RSP);
	ATF_CHECK_EQ(5, join_sysctl(DEV "bad_ranges"));
	ATF_CHECK_EQ(1024, join_sysctl(DEV "ballooned"));
	/* One of them twice; then a range that is no longer whole. */
	bad[0] = 1ull << 40 | first;
	bad[1] = 1ull << 40 | first;
	bad[2] = count << 40 | first;
	down(bad, 3, false);
	(void)hear(DOWN_RSP);
	ATF_CHECK_EQ(7, join_sysctl(DEV "bad_ranges"));
	ATF_CHECK_EQ(1023, join_sysctl(DEV "ballooned"));
	range[0] = (count - 1) << 40 | (first + 1);
	down(range, n, false);
	(void)hear(DOWN_RSP);
	ATF_CHECK_EQ(7, join_sysctl(DEV "bad_ranges"));
	ATF_CHECK_EQ(0, join_sysctl(DEV "ballooned"));
	join_finish(&j);
}

ATF_TC(flood);
ATF_TC_HEAD(flood, tc)
{
	atf_tc_set_md_var(tc, "descr", "orders within orders, and more "
	    "messages than the guest queues");
}
ATF_TC_BODY(flood, tc)
{
	static uint64_t range[4096];
	const struct raw_answer *a;
	struct join j;
	uint64_t one;
	unsigned answers = 0, i, n, quiet;

	start(&j, false);
	agree();
	ATF_REQUIRE_EQ(2048, take(2048, range, &n));
	/* Page by page, as fast as the ring takes them. */
	for (i = 0; i < 2048; ) {
		one = 1ull << 40 | ((range[0] & 0xffffffffff) + i);
		if (i >= range[0] >> 40)
			break;
		down(&one, 1, true);
		i++;
		if (i % 64 == 0)
			usleep(1000);
	}
	down(range + 1, n - 1, false);
	(void)hear(DOWN_RSP);
	for (i = 0; join_sysctl(DEV "ballooned") != 0 && i < 5000; i++)
		usleep(1000);
	ATF_CHECK_EQ(0, join_sysctl(DEV "ballooned"));
	ATF_CHECK_EQ(0, join_sysctl(DEV "bad_ranges"));
	for (i = 0; i < 20; i++)
		up(10000);
	/* Each is answered, or counted as bad; after that nothing comes. */
	for (i = quiet = 0; quiet < 2 && i < 200; i++) {
		a = raw_ic_answer(raw, 200);
		if (a != NULL && raw_get(a, 0, 2) == UP_RSP)
			answers += (raw_get(a, 12, 4) & 1) == 0;
		quiet += answers + join_sysctl(DEV "bad_messages") >= 20;
	}
	ATF_CHECK(answers > 0);
	ATF_CHECK_EQ(20, answers + join_sysctl(DEV "bad_messages"));
	ATF_CHECK_EQ(answers * 10000 - join_sysctl(DEV "refused_pages"),
	    join_sysctl(DEV "ballooned"));
	/* The pages are out as the module goes. */
	join_finish(&j);
}

/* --- A host whose words are dice. --- */

#define	FRAMES	(512u << 8)		/* of the machine's memory */

static bool held[FRAMES];
static uint64_t nheld;
static uint32_t dice;

static uint32_t
roll(uint32_t n)
{

	dice = dice * 1664525 + 1013904223;
	return ((dice >> 8) % n);
}

/* The guest has given these up: none of them was ours. */
static void
hold(uint64_t range)
{
	uint64_t n, page = range & 0xffffffffff;

	for (n = range >> 40; n > 0; n--, page++, nheld++) {
		ATF_REQUIRE_MSG(page > 0 && page < FRAMES && !held[page],
		    "page %#jx is given up twice, or is none",
		    (uintmax_t)page);
		held[page] = true;
	}
}

/* A range is the guest's again up to the first page that was not ours. */
static void
let_go(uint64_t range)
{
	uint64_t n, page = range & 0xffffffffff;

	for (n = range >> 40; n > 0 && page < FRAMES && held[page];
	    n--, page++, nheld--)
		held[page] = false;
}

static uint64_t
any_range(void)
{
	uint64_t n = roll(4) == 0 ? roll(0x1000000) : roll(700);
	uint64_t page = roll(5) == 0 ? (uint64_t)roll(1 << 24) << 16 :
	    roll(FRAMES + 1000);

	/* Mostly one that is ours. */
	while (roll(8) != 0 && page < FRAMES && !held[page])
		page++;
	return (n << 40 | page);
}

static void
any_message(void)
{
	static const uint16_t lens[] = { 0, 4, 8, 12, 16, 24, 48, 1000 };
	struct raw_msg m;
	uint32_t i, len = lens[roll(8)];

	put(&m, (uint16_t)roll(16), (uint16_t)(len - roll(9)));
	m.len = len;
	for (i = 4; i < len; i++)
		m.data[i] = (uint8_t)roll(256);
	/* An order for pages, or pages, would be taken for one. */
	if (m.data[0] == UP || m.data[0] == DOWN)
		m.data[0] = INFO;
	send(&m);
}

ATF_TC(dice);
ATF_TC_HEAD(dice, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that sends anything: a page is "
	    "given up once, and comes back only from who had it");
}
ATF_TC_BODY(dice, tc)
{
	static uint64_t range[8192];
	uint64_t bad[64];
	struct join j;
	unsigned i, k, n;

	dice = 4711;
	start(&j, false);
	agree();
	for (i = 0; i < 400; i++) {
		(void)take(roll(3) == 0 ? roll(40000) : roll(600), range, &n);
		for (k = 0; k < n; k++)
			hold(range[k]);
		for (k = roll(4); k > 0; k--)
			any_message();
		n = 1 + roll(60);
		for (k = 0; k < n; k++) {
			bad[k] = any_range();
			let_go(bad[k]);
		}
		down(bad, n, false);
		/* Refusals of what was added may come before. */
		while (raw_get(raw_ic_answer(raw, 10000), 0, 2) != DOWN_RSP)
			;
		hvh_lock(j.host);
		raw->got = raw->taken = 0;
		hvh_unlock(j.host);
	}
	ATF_CHECK_EQ(nheld, join_sysctl(DEV "ballooned"));
	ATF_CHECK(join_sysctl(DEV "bad_ranges") > 100);
	ATF_CHECK(join_sysctl(DEV "bad_messages") > 100);
	printf("%ju pages are out\n", (uintmax_t)nheld);
	join_finish(&j);
}

/* --- Silence. --- */

static bool
took_back(void *arg)
{

	return (join_sysctl(DEV "refused") == 1);
}

ATF_TC(deaf);
ATF_TC_HEAD(deaf, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that reads nothing while it has "
	    "ordered pages does not get those it never heard of");
}
ATF_TC_BODY(deaf, tc)
{
	struct raw_msg m;
	struct join j;
	unsigned i, sent = 0;

	start(&j, true);
	agree();
	hvh_lock(j.host);
	raw->deaf = true;
	hvh_unlock(j.host);
	/* Refusals fill the ring. */
	put(&m, HOT_ADD, 16);
	for (i = 0; sent < 1500 && i < 20000; i++) {
		if (raw_ic_send(raw, 6, m.data, m.len, 0) == 0)
			sent++;
		else
			usleep(1000);
	}
	while (join_sysctl(DEV "hot_adds") < sent)
		usleep(1000);
	up(4096);
	ATF_REQUIRE(join_wait(took_back, NULL, 30000));
	ATF_CHECK_EQ(0, join_sysctl(DEV "ballooned"));
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, unknown);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, silent);
	ATF_TP_ADD_TC(tp, hot_add);
	ATF_TP_ADD_TC(tp, broken);
	ATF_TP_ADD_TC(tp, foreign);
	ATF_TP_ADD_TC(tp, flood);
	ATF_TP_ADD_TC(tp, dice);
	ATF_TP_ADD_TC(tp, deaf);
	return (atf_no_error());
}
