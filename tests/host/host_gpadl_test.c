/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * GPADLs: each rule of protocol: vmbus, 6.2, and the bounds on what a guest
 * can make the host remember.
 */

#include <atf-c.h>
#include <string.h>

#include "recorder.h"

static struct recorder r;

static void
start(void)
{

	rec_init(&r, 0, 0);
	rec_offer(&r, 0, 0);
	rec_offer(&r, 1, 0);
	rec_connect(&r, 0x50003);
}

/* A header as it is, with n bytes of data behind it. */
static void
header(uint32_t chan, uint32_t id, unsigned bytes, unsigned ranges,
    const void *data, size_t n)
{
	uint8_t m[240] = { 8 };
	uint32_t w[3] = { chan, id, bytes | ranges << 16 };

	memcpy(m + 8, w, sizeof(w));
	memcpy(m + 20, data, n);
	vms_message(&r.s, m, 20 + n, false);
}

static void
body(uint32_t id, const void *data, size_t n)
{
	uint8_t m[240] = { 9 };

	memcpy(m + 12, &id, sizeof(id));
	memcpy(m + 16, data, n);
	vms_message(&r.s, m, 16 + n, false);
}

/* A range head as a u64. */
#define	head(len, ofs)	((uint64_t)(len) | (uint64_t)(ofs) << 32)

ATF_TC_WITHOUT_HEAD(pieces);
ATF_TC_BODY(pieces, tc)
{
	uint64_t w[80] = { 0 };

	start();
	w[0] = head(60 * 4096, 0);
	for (unsigned i = 0; i < 60; i++)
		w[1 + i] = i;
	header(1, 5, 61 * 8, 1, w, 27 * 8);
	EXPECT(&r, "");
	body(5, w + 27, 28 * 8);
	EXPECT(&r, "");
	/* The last one full-size: what is beyond the length is ignored. */
	body(5, w + 55, 6 * 8 + 100);
	EXPECT(&r, "created 1 5 0");
	ATF_REQUIRE_EQ(60, r.s.s_gpadls->g_npages);
	ATF_REQUIRE_EQ(r.page[59], r.s.s_gpadls->g_pages[59]);
	/* A body more has no GPADL. */
	body(5, w, 8);
	EXPECT(&r, "bad 9");
	in_words(&r, 11, 16, 2, 1, 5);
	EXPECT(&r, "torndown 5");
	rec_fini(&r);
}

/* A header alone, then only bodies. */
ATF_TC_WITHOUT_HEAD(bare_header);
ATF_TC_BODY(bare_header, tc)
{
	uint64_t w[2] = { head(4096, 0), 3 };

	start();
	header(1, 5, 16, 1, w, 0);
	EXPECT(&r, "");
	body(5, w, 8);
	body(5, w + 1, 8);
	EXPECT(&r, "created 1 5 0");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(many_ranges);
ATF_TC_BODY(many_ranges, tc)
{
	uint64_t w[7] = { head(100, 4000), 1, 2, head(4096, 0), 3,
	    head(1, 4095), 4 };

	start();
	header(1, 5, sizeof(w), 3, w, sizeof(w));
	EXPECT(&r, "created 1 5 0");
	ATF_REQUIRE_EQ(4, r.s.s_gpadls->g_npages);
	/* Memory it is, a ring it is not. */
	in_open(&r, 1, 1, 5, 0, 2);
	EXPECT(&r, "opened 1 1 8000ffff");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(bad_ranges);
ATF_TC_BODY(bad_ranges, tc)
{
	static const struct {
		uint64_t w[4];
		unsigned bytes, ranges;
	} bad[] = {
		{ { head(0, 0), 1 }, 16, 1 },		/* empty */
		{ { head(4096, 4096), 1, 2 }, 24, 1 },	/* offset */
		{ { head(4096, 1), 1 }, 16, 1 },	/* a page short */
		{ { head(0xFFFFFFFF, 4095), 1 }, 16, 1 },
		{ { head(4096, 0), 64 }, 16, 1 },	/* not memory */
		{ { head(4096, 0), UINT64_MAX }, 16, 1 },
		{ { head(4096, 0), 1 }, 16, 0 },	/* no range */
		{ { head(4096, 0), 1 }, 16, 2 },	/* one short */
		{ { head(4096, 0), 1 }, 16, 65535 },
		{ { head(4096, 0), 1 }, 8, 1 },		/* only a head */
		{ { head(4096, 0), 1 }, 7, 1 },
		{ { head(4096, 0), 1 }, 0, 1 },
	};

	start();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		header(1, 5, bad[i].bytes, bad[i].ranges, bad[i].w,
		    sizeof(bad[i].w));
		EXPECT(&r, "bad 8; created 1 5 8000ffff");
		ATF_REQUIRE_EQ(0, r.s.s_ngpadls);
	}
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(ids);
ATF_TC_BODY(ids, tc)
{
	uint64_t w[3] = { head(8192, 0), 1, 2 };

	start();
	/* Zero, an unknown channel, the same twice. */
	in_gpadl(&r, 1, 0, 1, 2);
	EXPECT(&r, "bad 8; created 1 0 8000ffff");
	in_gpadl(&r, 9, 5, 1, 2);
	EXPECT(&r, "bad 8; created 9 5 8000ffff");
	in_gpadl(&r, 1, 5, 1, 2);
	in_gpadl(&r, 1, 5, 1, 2);
	EXPECT(&r, "created 1 5 0; bad 8; created 1 5 8000ffff");
	/* One that is half told anywhere. */
	header(1, 6, 24, 1, w, 16);
	in_gpadl(&r, 2, 6, 1, 2);
	EXPECT(&r, "bad 8; created 2 6 8000ffff");
	body(6, w + 2, 8);
	EXPECT(&r, "created 1 6 0");
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(bodies);
ATF_TC_BODY(bodies, tc)
{
	uint64_t w[3] = { head(8192, 0), 1, 2 };

	start();
	body(7, w, 24);
	EXPECT(&r, "bad 9");
	header(1, 7, 24, 1, w, 8);
	body(7, w, 0);
	EXPECT(&r, "bad 9; created 1 7 8000ffff");
	/* Once failed, what follows is nobody's; said once only. */
	body(7, w + 1, 16);
	EXPECT(&r, "bad 9");
	ATF_REQUIRE_EQ(0, r.s.s_ngpadls);
	rec_fini(&r);
}

ATF_TC_WITHOUT_HEAD(teardown);
ATF_TC_BODY(teardown, tc)
{
	uint64_t w[3] = { head(8192, 0), 1, 2 };

	start();
	in_gpadl(&r, 1, 5, 1, 2);
	EXPECT(&r, "created 1 5 0");
	in_words(&r, 11, 16, 2, 2, 5);
	EXPECT(&r, "bad 11");
	in_words(&r, 11, 16, 2, 1, 6);
	EXPECT(&r, "bad 11");
	header(1, 6, 24, 1, w, 8);
	in_words(&r, 11, 16, 2, 1, 6);
	EXPECT(&r, "bad 11");
	in_words(&r, 11, 16, 2, 1, 5);
	in_words(&r, 11, 16, 2, 1, 5);
	EXPECT(&r, "torndown 5; bad 11");
	rec_fini(&r);
}

/* Half told when the device goes: the last body is still answered. */
ATF_TC_WITHOUT_HEAD(rescind);
ATF_TC_BODY(rescind, tc)
{
	uint64_t w[3] = { head(8192, 0), 1, 1 << 20 };

	start();
	header(1, 6, 24, 1, w, 8);
	vms_revoke(&r.s, &r.chan[0]);
	EXPECT(&r, "rescind 1");
	body(6, w + 1, 16);
	EXPECT(&r, "created 1 6 0");
	in_words(&r, 11, 16, 2, 1, 6);
	EXPECT(&r, "torndown 6");
	header(1, 7, 24, 1, w, 8);
	in_words(&r, 13, 12, 1, 1);
	body(7, w + 1, 16);
	EXPECT(&r, "bad 9");
	rec_fini(&r);
}

/* However much is announced, the host remembers only so much. */
ATF_TC_WITHOUT_HEAD(bounds);
ATF_TC_BODY(bounds, tc)
{
	uint64_t w[2] = { head(65535, 0), 1 };
	unsigned refused = 0;

	start();
	for (uint32_t id = 1; id < 1000; id++) {
		header(1, id, 65528, 1, w, sizeof(w));
		refused += strstr(r.text, "created") != NULL;
		r.text[0] = '\0';
	}
	ATF_REQUIRE(refused > 0);
	ATF_REQUIRE(r.s.s_gpadl_bytes <= 16 << 20);
	vms_reset(&r.s);
	rec_connect(&r, 0x50003);
	refused = 0;
	for (uint32_t id = 1; id < 20000; id++) {
		in_gpadl(&r, 1, id, 1, 1);
		refused += strstr(r.text, "8000ffff") != NULL;
		r.text[0] = '\0';
	}
	ATF_REQUIRE(refused > 0);
	ATF_REQUIRE(r.s.s_ngpadls >= 2048);
	rec_fini(&r);
}

/* What a device holds is torn down when it lets go of it. */
ATF_TC_WITHOUT_HEAD(held);
ATF_TC_BODY(held, tc)
{
	uint64_t w[7] = { head(100, 4000), 1, 2, head(4096, 0), 3,
	    head(1, 4095), 4 };
	struct vms_chan *ch;
	struct vms_gpadl *g;

	start();
	ch = &r.chan[0];
	in_gpadl(&r, 1, 5, 1, 4);
	EXPECT(&r, "created 1 5 0");
	ATF_CHECK(vms_gpadl_hold(&r.s, ch, 6) == NULL);
	ATF_CHECK(vms_gpadl_hold(&r.s, &r.chan[1], 5) == NULL);
	g = vms_gpadl_hold(&r.s, ch, 5);
	ATF_REQUIRE(g != NULL);
	ATF_CHECK_EQ(4, g->g_npages);
	/* Not a range of whole pages: no device wants it. */
	header(1, 7, sizeof(w), 3, w, sizeof(w));
	EXPECT(&r, "created 1 7 0");
	ATF_CHECK(vms_gpadl_hold(&r.s, ch, 7) == NULL);
	/* Twice held, once torn down, told once, at the end. */
	ATF_CHECK(vms_gpadl_hold(&r.s, ch, 5) == g);
	in_words(&r, 11, 16, 2, 1, 5);
	EXPECT(&r, "");
	in_words(&r, 11, 16, 2, 1, 5);
	EXPECT(&r, "bad 11");
	ATF_CHECK(vms_gpadl_hold(&r.s, ch, 5) == NULL);
	vms_gpadl_unhold(&r.s, g);
	EXPECT(&r, "");
	vms_gpadl_unhold(&r.s, g);
	EXPECT(&r, "torndown 5");
	/* Not torn down: it stays. */
	in_gpadl(&r, 1, 5, 1, 4);
	EXPECT(&r, "created 1 5 0");
	vms_gpadl_unhold(&r.s, vms_gpadl_hold(&r.s, ch, 5));
	EXPECT(&r, "");
	in_words(&r, 11, 16, 2, 1, 5);
	EXPECT(&r, "torndown 5");
	rec_fini(&r);
}

/* A ring in memory that a device holds besides. */
ATF_TC_WITHOUT_HEAD(held_ring);
ATF_TC_BODY(held_ring, tc)
{
	struct vms_gpadl *g;

	start();
	in_gpadl(&r, 1, 5, 1, 4);
	in_open(&r, 1, 1, 5, 0, 2);
	r.text[0] = '\0';
	g = vms_gpadl_hold(&r.s, &r.chan[0], 5);
	ATF_REQUIRE(g != NULL);
	in_words(&r, 11, 16, 2, 1, 5);
	EXPECT(&r, "");
	vms_gpadl_unhold(&r.s, g);
	EXPECT(&r, "");
	/* The guest has gone with it held: it lives until let go. */
	g = vms_gpadl_hold(&r.s, &r.chan[1], 5);
	ATF_CHECK(g == NULL);
	rec_fini(&r);

	start();
	in_gpadl(&r, 1, 5, 1, 4);
	g = vms_gpadl_hold(&r.s, &r.chan[0], 5);
	ATF_REQUIRE(g != NULL);
	vms_reset(&r.s);
	ATF_CHECK_EQ(1, r.s.s_ngpadls);
	ATF_CHECK_EQ(4, g->g_npages);
	vms_gpadl_unhold(&r.s, g);
	ATF_CHECK_EQ(0, r.s.s_ngpadls);
	ATF_CHECK_EQ(0, r.s.s_gpadl_bytes);
	rec_fini(&r);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, pieces);
	ATF_TP_ADD_TC(tp, bare_header);
	ATF_TP_ADD_TC(tp, many_ranges);
	ATF_TP_ADD_TC(tp, bad_ranges);
	ATF_TP_ADD_TC(tp, ids);
	ATF_TP_ADD_TC(tp, bodies);
	ATF_TP_ADD_TC(tp, teardown);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, bounds);
	ATF_TP_ADD_TC(tp, held);
	ATF_TP_ADD_TC(tp, held_ring);
	return (atf_no_error());
}
