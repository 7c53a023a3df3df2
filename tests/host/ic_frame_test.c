/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What all integration services have in common: versions, one request after
 * the other, time limits, and guests that answer wrongly, late, twice or
 * never.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_ic.h"

#define	V(major, minor)	HVH_IC_VERSION(major, minor)

static struct hvh *h;
static struct hvh_ic *ic;
static struct hvh_chan *ch;
static struct fic_end end;

static struct hvh_ic_info
info(void)
{
	struct hvh_ic_info ii;

	hvh_ic_get_info(ic, &ii);
	return (ii);
}

/* Shutdown is the one that says nothing by itself. */
static void
start(void)
{

	h = fic_new(HVH_IC_SHUTDOWN, 0, &ic, &ch);
	fic_agree(ch, V(3, 0), V(3, 2));
	ATF_REQUIRE_EQ(HVH_IC_READY, info().state);
	memset(&end, 0, sizeof(end));
}

static int
raw(uint64_t limit)
{

	return (hvh_ic_raw(ic, 3, "0123456789", 10, limit, fic_done, &end));
}

/* protocol: utilities, 2.3 */
ATF_TC_WITHOUT_HEAD(negotiation);
ATF_TC_BODY(negotiation, tc)
{
	static const uint8_t want[] = {
		1, 0, 0, 0,	52, 0, 0, 0,	/* pipe */
		0, 0, 0, 0,	0, 0,	0, 0, 0, 0,	32, 0,
		0, 0, 0, 0,	1,	3,	0, 0,
		2, 0, 4, 0,	0, 0, 0, 0,
		1, 0, 0, 0,	3, 0, 0, 0,	/* frameworks */
		1, 0, 0, 0,	3, 0, 0, 0,	3, 0, 1, 0,	3, 0, 2, 0,
	};
	struct fic_msg m;

	h = fic_new(HVH_IC_SHUTDOWN, 0, &ic, &ch);
	ATF_CHECK_EQ(HVH_IC_NEGOTIATING, info().state);
	ATF_CHECK_EQ(ENOTCONN, raw(1));
	ATF_REQUIRE_EQ(1, ch->out.n);
	fic_expect(ch, FIC_NEGOTIATE, &m);
	ATF_REQUIRE_EQ(sizeof(want), m.len);
	ATF_CHECK(memcmp(want, m.b, sizeof(want)) == 0);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(versions);
ATF_TC_BODY(versions, tc)
{
	static const uint32_t all[] = { V(1, 0), V(3, 0), V(3, 1), V(3, 2) };
	struct fic_msg m;
	unsigned i;

	for (i = 0; i < 4; i++) {
		h = fic_new(HVH_IC_SHUTDOWN, 0, &ic, &ch);
		fic_agree(ch, V(1, 0), all[i]);
		ATF_CHECK_EQ(HVH_IC_READY, info().state);
		ATF_CHECK_EQ(V(1, 0), info().framework);
		ATF_CHECK_EQ(all[i], info().version);
		/* Later messages carry them. */
		ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
		fic_expect(ch, 3, &m);
		ATF_CHECK_EQ(1, fic_get16(m.b + 8));
		ATF_CHECK_EQ(0, fic_get16(m.b + 10));
		ATF_CHECK_EQ(all[i] >> 16, fic_get16(m.b + 14));
		ATF_CHECK_EQ(all[i] & 0xffff, fic_get16(m.b + 16));
		fake_free(h);

		/* A host of that time offers no newer ones. */
		h = fic_new(HVH_IC_SHUTDOWN, all[i], &ic, &ch);
		fic_expect(ch, FIC_NEGOTIATE, &m);
		ATF_CHECK_EQ(2, fic_get16(m.b + 28));
		ATF_CHECK_EQ(i + 1, fic_get16(m.b + 30));
		fake_free(h);
	}
}

/* Each is an answer; none is an agreement. */
ATF_TC_WITHOUT_HEAD(no_version);
ATF_TC_BODY(no_version, tc)
{
	static const struct {
		uint16_t	 size, frameworks, versions;
		uint32_t	 status, framework, version;
	} bad[] = {
		{ 16, 0, 0, 0, V(3, 0), V(3, 2) },	/* Linux: none */
		{ 16, 1, 0, 0, V(3, 0), V(3, 2) },
		{ 16, 0, 1, 0, V(3, 0), V(3, 2) },
		{ 16, 2, 4, 0x80004005, V(1, 0), V(3, 0) },
		{ 16, 1, 1, 0x80004005, V(3, 0), V(3, 2) },
		{ 16, 1, 1, 0, V(2, 0), V(3, 2) },
		{ 16, 1, 1, 0, V(3, 0), V(3, 3) },
		{ 16, 1, 1, 0, V(3, 0), V(4, 0) },
		{ 16, 1, 1, 0, 0, 0 },
		{ 15, 1, 1, 0, V(3, 0), V(3, 2) },
		{ 0, 1, 1, 0, V(3, 0), V(3, 2) },
	};
	struct fic_msg m;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		h = fic_new(HVH_IC_SHUTDOWN, 0, &ic, &ch);
		fic_expect(ch, FIC_NEGOTIATE, &m);
		fic_put16(m.b + 18, bad[i].size);
		fic_put16(m.b + 28, bad[i].frameworks);
		fic_put16(m.b + 30, bad[i].versions);
		fic_put16(m.b + 36, (uint16_t)(bad[i].framework >> 16));
		fic_put16(m.b + 38, (uint16_t)bad[i].framework);
		fic_put16(m.b + 40, (uint16_t)(bad[i].version >> 16));
		fic_put16(m.b + 42, (uint16_t)bad[i].version);
		fic_answer(ch, &m, bad[i].status);
		ATF_CHECK_EQ_MSG(HVH_IC_REFUSED, info().state, "%u", i);
		ATF_CHECK_EQ(ENOTCONN, raw(1));
		/* Opened anew, it may be another driver. */
		fake_close(ch);
		ATF_CHECK_EQ(HVH_IC_CLOSED, info().state);
		ATF_REQUIRE_EQ(0, fake_open(ch));
		fake_signal(ch);
		fic_agree(ch, V(3, 0), V(3, 2));
		ATF_CHECK_EQ(HVH_IC_READY, info().state);
		fake_free(h);
	}
}

/* A daemon may start minutes later; the question waits for it. */
ATF_TC_WITHOUT_HEAD(late_negotiation);
ATF_TC_BODY(late_negotiation, tc)
{
	struct fic_msg m, first;
	unsigned n = 1;

	h = fic_new(HVH_IC_SHUTDOWN, 0, &ic, &ch);
	fic_expect(ch, FIC_NEGOTIATE, &first);
	fic_sleep(h, 3600 * FIC_SECOND);
	while (fic_next(ch, &m)) {
		ATF_CHECK_EQ(first.xid, m.xid);
		ATF_CHECK_EQ(first.b[24], m.b[24]);
		n++;
	}
	/* Said again, but not for ever: it all stays in the ring. */
	ATF_CHECK_EQ(3, n);
	ATF_CHECK_EQ(HVH_IC_NEGOTIATING, info().state);
	fic_put16(first.b + 28, 1);
	fic_put16(first.b + 30, 1);
	fic_put16(first.b + 36, 3);
	fic_put16(first.b + 40, 3);
	first.b[42] = 0;
	fic_put16(first.b + 18, 16);
	fic_answer(ch, &first, 0);
	ATF_CHECK_EQ(HVH_IC_READY, info().state);
	ATF_CHECK_EQ(V(3, 0), info().version);
	/* That it waited for a daemon says nothing of how fast it is. */
	ATF_CHECK_EQ(0, info().rtt_max);
	/* Its answers to the others say nothing new. */
	fic_answer(ch, &first, 0x80004005);
	ATF_CHECK_EQ(HVH_IC_READY, info().state);
	ATF_CHECK_EQ(1, info().stale);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(one_at_a_time);
ATF_TC_BODY(one_at_a_time, tc)
{
	struct fic_msg m;
	unsigned i;

	start();
	for (i = 0; i < 3; i++)
		ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	for (i = 0; i < 3; i++) {
		fic_expect(ch, 3, &m);
		ATF_CHECK_EQ(38, m.len);
		ATF_CHECK(memcmp(m.b + 28, "0123456789", 10) == 0);
		ATF_REQUIRE_EQ(0, ch->out.n);
		h->now += 1000;
		ATF_CHECK_EQ(i, end.n);
		fic_answer(ch, &m, 0x80070032);
		ATF_CHECK_EQ(i + 1, end.n);
		ATF_CHECK_EQ(0, end.error);
		ATF_CHECK_EQ(0x80070032, end.status);
		ATF_CHECK_EQ(10, end.len);
		ATF_CHECK_EQ(1000, info().rtt_last);
	}
	ATF_CHECK(!fic_next(ch, &m));
	ATF_CHECK_EQ(4, info().requests);
	ATF_CHECK_EQ(4, info().answers);
	fake_free(h);
}

/* Bounded: what waits, and for how long; a full ring counts as waiting. */
ATF_TC_WITHOUT_HEAD(limits);
ATF_TC_BODY(limits, tc)
{
	struct fic_msg m;
	unsigned n = 0;

	start();
	ch->room = 0;
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	fic_sleep(h, FIC_SECOND);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	ch->room = 100000;
	fake_signal(ch);
	fic_expect(ch, 3, &m);
	/* Its second began when its turn came. */
	fic_sleep(h, FIC_SECOND - 1);
	ATF_CHECK_EQ(1, end.n);
	fic_sleep(h, 1);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	ATF_CHECK_EQ(2, info().timeouts);
	/* The answer that comes now is nobody's. */
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_EQ(1, info().stale);

	while (raw(FIC_SECOND) == 0)
		n++;
	ATF_CHECK_EQ(EAGAIN, raw(FIC_SECOND));
	ATF_CHECK_EQ(4096, n);
	ATF_CHECK_EQ(2, end.n);
	fake_close(ch);
	ATF_CHECK_EQ(2 + n, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);
	ATF_CHECK_EQ(ENOTCONN, raw(FIC_SECOND));
	fake_free(h);
}

/* What is not the answer leaves the request where it was. */
ATF_TC_WITHOUT_HEAD(not_the_answer);
ATF_TC_BODY(not_the_answer, tc)
{
	struct fic_msg m, x;
	uint64_t bad, stale;
	unsigned i;

	start();
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	fic_expect(ch, 3, &m);
	m.b[25] = 5;
	for (i = 0; ; i++) {
		bad = info().bad;
		stale = info().stale;
		x = m;
		switch (i) {
		case 0:	x.b[25] = 1; break;
		case 1:	x.b[25] = 4; break;
		case 2:	x.b[25] = 3; break;
		case 3:	x.b[0] = 2; break;
		case 4:	fic_put32(x.b + 4, 31); break;
		case 5:	fic_put32(x.b + 4, 19); break;
		case 6:	fic_put32(x.b + 4, UINT32_MAX); break;
		case 7:	fic_put16(x.b + 18, 11); break;
		case 8:	fic_put16(x.b + 18, UINT16_MAX); break;
		case 9:	x.len = 27; break;
		case 10: x.len = 0; break;
		/* From here on well formed. */
		case 11: x.xid++; break;
		case 12: x.xid = 0; break;
		case 13: x.b[24]++; break;
		case 14: fic_put16(x.b + 12, 4); break;
		case 15: fic_put16(x.b + 12, 0); break;
		default: goto out;
		}
		fic_send(ch, &x);
		ATF_CHECK_EQ_MSG(0, end.n, "%u", i);
		ATF_CHECK_EQ_MSG(i < 11 ? bad + 1 : bad, info().bad, "%u", i);
		ATF_CHECK_EQ(i < 11 ? stale : stale + 1, info().stale);
	}
out:
	/* No other packets, none that wants an answer. */
	bad = info().bad;
	fake_put(ch, 11, false, m.xid, m.b, m.len);
	fake_put(ch, 9, false, m.xid, m.b, m.len);
	fake_put(ch, 6, true, m.xid, m.b, m.len);
	fake_signal(ch);
	ATF_CHECK_EQ(bad + 3, info().bad);
	ATF_CHECK_EQ(0, end.n);
	/* And then the answer, twice. */
	fic_send(ch, &m);
	fic_send(ch, &m);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.error);
	fake_free(h);
}

/* As after a restore, at any time. */
ATF_TC_WITHOUT_HEAD(renegotiate);
ATF_TC_BODY(renegotiate, tc)
{
	struct fic_msg m;

	start();
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	fic_expect(ch, 3, &m);
	hvh_ic_renegotiate(ic);
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	/* Behind what is under way, before what waits. */
	ATF_REQUIRE_EQ(0, ch->out.n);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(1, end.n);
	fic_agree(ch, V(1, 0), V(1, 0));
	ATF_CHECK_EQ(V(1, 0), info().version);
	fic_expect(ch, 3, &m);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(2, end.n);

	/* A guest that does not answer it does not keep orders waiting. */
	hvh_ic_renegotiate(ic);
	fic_expect(ch, FIC_NEGOTIATE, &m);
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	fic_sleep(h, FIC_SECOND);
	ATF_CHECK_EQ(3, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	/* One that refuses it ends them. */
	ATF_REQUIRE_EQ(0, raw(60 * FIC_SECOND));
	fic_put16(m.b + 28, 0);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(HVH_IC_REFUSED, info().state);
	ATF_CHECK_EQ(4, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);
	fake_free(h);
}

/* However it ends, each order does, once. */
ATF_TC_WITHOUT_HEAD(ends);
ATF_TC_BODY(ends, tc)
{
	struct fic_msg m;

	/* The partition. */
	start();
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	fake_free(h);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);

	/* Its owner takes it away. */
	start();
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	fic_expect(ch, 3, &m);
	hvh_ic_remove(ic);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);
	fake_free(h);
	ATF_CHECK_EQ(1, end.n);

	/* A ring that is corrupt: nothing but the time limit. */
	start();
	ATF_REQUIRE_EQ(0, raw(FIC_SECOND));
	ch->read_error = EBADMSG;
	fake_signal(ch);
	fic_sleep(h, FIC_SECOND);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(parameters);
ATF_TC_BODY(parameters, tc)
{
	struct hvh_ic_params ip = { .kind = HVH_IC_KINDS };
	static const uint8_t body[14000];

	start();
	ATF_CHECK_EQ(EINVAL, hvh_ic_add(h, &ip, &ic));
	ip.kind = HVH_IC_HEARTBEAT;
	ip.max_version = V(0, 9);
	ATF_CHECK_EQ(EINVAL, hvh_ic_add(h, &ip, &ic));
	ip.max_version = 0;
	ip.max_framework = V(0, 9);
	ATF_CHECK_EQ(EINVAL, hvh_ic_add(h, &ip, &ic));
	ATF_CHECK_EQ(EINVAL, hvh_ic_raw(ic, 3, body, sizeof(body), 1, NULL,
	    NULL));
	ATF_CHECK_EQ(EINVAL, hvh_ic_raw(ic, 0, body, 8, 1, NULL, NULL));
	/* Another service's orders. */
	ATF_CHECK_EQ(EINVAL, hvh_time_sync(ic, NULL, NULL));
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, negotiation);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, no_version);
	ATF_TP_ADD_TC(tp, late_negotiation);
	ATF_TP_ADD_TC(tp, one_at_a_time);
	ATF_TP_ADD_TC(tp, limits);
	ATF_TP_ADD_TC(tp, not_the_answer);
	ATF_TP_ADD_TC(tp, renegotiate);
	ATF_TP_ADD_TC(tp, ends);
	ATF_TP_ADD_TC(tp, parameters);
	return (atf_no_error());
}
