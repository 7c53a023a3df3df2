/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Heartbeat, shutdown and time synchronization, message by message.
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

static void
start(enum hvh_ic_kind kind, uint32_t version)
{

	h = fic_new(kind, 0, &ic, &ch);
	fic_agree(ch, V(3, 0), version);
	memset(&end, 0, sizeof(end));
}

/* --- Heartbeat. --- */

static struct hvh_heartbeat_info
beat(void)
{
	struct hvh_heartbeat_info hi;

	hvh_heartbeat_get_info(ic, &hi);
	return (hi);
}

static void
answer_beat(struct fic_msg *m, uint64_t sequence, uint32_t application)
{

	fic_put64(m->b + 28, sequence);
	fic_put32(m->b + 36, application);
	fic_answer(ch, m, 0);
}

/* protocol: utilities, 5 */
ATF_TC_WITHOUT_HEAD(heartbeat);
ATF_TC_BODY(heartbeat, tc)
{
	struct fic_msg m;
	uint64_t seq, i;

	start(HVH_IC_HEARTBEAT, V(3, 0));
	ATF_CHECK_EQ(HVH_HEARTBEAT_NO_CONTACT, beat().state);
	fake_pump(h);
	for (i = 0; i < 5; i++) {
		fic_expect(ch, 1, &m);
		ATF_CHECK_EQ(68, m.len);
		seq = fic_get64(m.b + 28);
		h->now += 3000000;
		answer_beat(&m, seq + 1, i == 3 ? 2 : 1);
		ATF_CHECK_EQ(HVH_HEARTBEAT_OK, beat().state);
		ATF_CHECK_EQ(i == 3 ? 2 : 1, beat().application);
		/* The next in two seconds, with the number it has by now. */
		fic_sleep(h, 2 * FIC_SECOND - 3000000 - 1);
		ATF_REQUIRE_EQ(0, ch->out.n);
		fic_sleep(h, 1);
		ATF_REQUIRE_EQ(1, ch->out.n);
		ATF_CHECK_EQ(seq + 1, fic_get64(ch->out.head->data + 28));
	}
	ATF_CHECK_EQ(5, beat().answered);
	ATF_CHECK_EQ(6, beat().sent);
	ATF_CHECK_EQ(0, beat().missed);
	fake_free(h);
}

/* One is under way; after ten seconds it is taken for lost. */
ATF_TC_WITHOUT_HEAD(heartbeat_lost);
ATF_TC_BODY(heartbeat_lost, tc)
{
	struct fic_msg m, late;
	unsigned n = 0;

	start(HVH_IC_HEARTBEAT, V(3, 0));
	fake_pump(h);
	fic_expect(ch, 1, &m);
	answer_beat(&m, fic_get64(m.b + 28) + 1, 0);
	fic_sleep(h, 2 * FIC_SECOND);
	fic_expect(ch, 1, &late);
	fic_sleep(h, 4 * FIC_SECOND);
	ATF_CHECK_EQ(HVH_HEARTBEAT_OK, beat().state);
	fic_sleep(h, 1);
	ATF_CHECK_EQ(HVH_HEARTBEAT_LOST, beat().state);
	ATF_CHECK_EQ(0, ch->out.n);
	/* It answers after all. */
	answer_beat(&late, fic_get64(late.b + 28) + 1, 0);
	ATF_CHECK_EQ(HVH_HEARTBEAT_OK, beat().state);

	/* Not a number after the other, and not well: no sign of life. */
	fic_sleep(h, 2 * FIC_SECOND);
	fic_expect(ch, 1, &m);
	answer_beat(&m, fic_get64(m.b + 28), 0);
	fic_sleep(h, 2 * FIC_SECOND);
	fic_expect(ch, 1, &m);
	fic_put64(m.b + 28, fic_get64(m.b + 28) + 1);
	fic_answer(ch, &m, 0x80004005);
	fic_sleep(h, 2 * FIC_SECOND);
	fic_expect(ch, 1, &m);
	fic_put16(m.b + 18, 4);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(3, beat().wrong);
	fic_sleep(h, FIC_SECOND);
	ATF_CHECK_EQ(HVH_HEARTBEAT_LOST, beat().state);

	/* A silent guest's ring does not fill. */
	fic_sleep(h, 1000 * FIC_SECOND);
	while (fic_next(ch, &m))
		n++;
	ATF_CHECK(n >= 80 && n <= 100);

	/* The driver goes: there is nobody to have contact with. */
	fake_close(ch);
	ATF_CHECK_EQ(HVH_HEARTBEAT_NO_CONTACT, beat().state);
	fake_free(h);
}

/* --- Shutdown. --- */

/* protocol: utilities, 3 */
ATF_TC_WITHOUT_HEAD(shutdown_kinds);
ATF_TC_BODY(shutdown_kinds, tc)
{
	static const uint32_t versions[] = { V(1, 0), V(3, 0), V(3, 1),
	    V(3, 2) };
	static const unsigned can[] = { 1, 1, 2, 3 };
	struct fic_msg m;
	unsigned i, k, f;
	int error;

	for (i = 0; i < 4; i++) {
		start(HVH_IC_SHUTDOWN, versions[i]);
		for (k = 0; k < 3; k++) {
			for (f = 0; f < 2; f++) {
				error = hvh_shutdown(ic,
				    (enum hvh_shutdown_kind)k, f, fic_done,
				    &end);
				ATF_CHECK_EQ(k < can[i] ? 0 : ENOTSUP, error);
				if (error != 0)
					continue;
				fic_expect(ch, 3, &m);
				/* Whole, or Linux takes it for none. */
				ATF_CHECK_EQ(2088, m.len);
				ATF_CHECK_EQ(0x80000000, fic_get32(m.b + 28));
				ATF_CHECK_EQ(0, fic_get32(m.b + 32));
				ATF_CHECK_EQ((k == 0 ? 0 : k == 1 ? 2u : 4u) |
				    f, fic_get32(m.b + 36));
				fic_answer(ch, &m, 0);
			}
		}
		ATF_CHECK_EQ(2 * can[i], end.n);
		fake_free(h);
	}
}

ATF_TC_WITHOUT_HEAD(shutdown_once);
ATF_TC_BODY(shutdown_once, tc)
{
	struct fic_msg m;

	start(HVH_IC_SHUTDOWN, V(3, 2));
	ATF_REQUIRE_EQ(0, hvh_shutdown(ic, HVH_SHUTDOWN_POWEROFF, false,
	    fic_done, &end));
	ATF_CHECK_EQ(EBUSY, hvh_shutdown(ic, HVH_SHUTDOWN_REBOOT, false,
	    fic_done, &end));
	fic_expect(ch, 3, &m);
	ATF_CHECK_EQ(EBUSY, hvh_shutdown(ic, HVH_SHUTDOWN_POWEROFF, true,
	    fic_done, &end));
	fic_answer(ch, &m, 0x80004005);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, end.status);
	/* Then another may be tried, and one that nobody answers. */
	ATF_REQUIRE_EQ(0, hvh_shutdown(ic, HVH_SHUTDOWN_POWEROFF, true,
	    fic_done, &end));
	fic_expect(ch, 3, &m);
	fic_sleep(h, 30 * FIC_SECOND);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	ATF_REQUIRE_EQ(0, hvh_shutdown(ic, HVH_SHUTDOWN_POWEROFF, true,
	    fic_done, &end));
	/* It goes down instead. */
	fake_close(ch);
	ATF_CHECK_EQ(3, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);
	ATF_CHECK_EQ(ENOTCONN, hvh_shutdown(ic, HVH_SHUTDOWN_POWEROFF, true,
	    fic_done, &end));
	fake_free(h);
}

/* --- Time. --- */

/* 2026-01-01, Unix seconds; and what that is in 100 ns since 1601. */
#define	WALL		1767225600ull
#define	PARENT		((WALL + 11644473600ull) * 10000000)

static struct hvh_time_info
time_info(void)
{
	struct hvh_time_info ti;

	hvh_time_get_info(ic, &ti);
	return (ti);
}

/* The next must tell of now, shifted by ns, and of the reference counter. */
static void
expect_time(uint8_t flags, int64_t shift, bool old)
{
	struct fic_msg m;

	fic_expect(ch, 4, &m);
	ATF_CHECK_EQ(old ? 56 : 52, m.len);
	ATF_CHECK_EQ(PARENT + (h->now + (uint64_t)shift) / 100,
	    fic_get64(m.b + 28));
	if (old) {
		ATF_CHECK_EQ(0, fic_get64(m.b + 36));
		ATF_CHECK_EQ(0, fic_get64(m.b + 44));
		ATF_CHECK_EQ(flags, m.b[52]);
	} else {
		ATF_CHECK_EQ(h->now / 100, fic_get64(m.b + 36));
		ATF_CHECK_EQ(flags, m.b[44]);
		ATF_CHECK_EQ(0, m.b[45]);
		ATF_CHECK_EQ(0, m.b[46]);
	}
	fic_answer(ch, &m, 0);
}

/* protocol: utilities, 4: SYNC once, then samples; two layouts */
ATF_TC_WITHOUT_HEAD(timesync);
ATF_TC_BODY(timesync, tc)
{
	static const uint32_t versions[] = { V(4, 0), V(3, 0), V(1, 0) };
	unsigned i, n;

	for (i = 0; i < 3; i++) {
		h = fic_new(HVH_IC_TIMESYNC, 0, &ic, &ch);
		h->wall = WALL * FIC_SECOND;
		fic_agree(ch, V(3, 0), versions[i]);
		expect_time(1, 0, i > 0);
		for (n = 0; n < 4; n++) {
			fic_sleep(h, 5 * FIC_SECOND - 1);
			ATF_REQUIRE_EQ(0, ch->out.n);
			fic_sleep(h, 1);
			expect_time(2, 0, i > 0);
		}
		ATF_CHECK_EQ(1, time_info().syncs);
		ATF_CHECK_EQ(4, time_info().samples);
		/* As after a restore. */
		hvh_ic_renegotiate(ic);
		fic_agree(ch, V(3, 0), versions[i]);
		expect_time(1, 0, i > 0);
		/* A reset of the guest, too. */
		fake_close(ch);
		ATF_REQUIRE_EQ(0, fake_open(ch));
		fake_signal(ch);
		fic_agree(ch, V(3, 0), versions[i]);
		expect_time(1, 0, i > 0);
		fake_free(h);
	}
}

ATF_TC_WITHOUT_HEAD(time_step);
ATF_TC_BODY(time_step, tc)
{

	h = fic_new(HVH_IC_TIMESYNC, 0, &ic, &ch);
	h->wall = WALL * FIC_SECOND;
	/* Before the guest is there: it is told when it is. */
	hvh_time_step(ic, 1000, true);
	fic_agree(ch, V(3, 0), V(4, 0));
	expect_time(1, 1000, false);
	hvh_time_step(ic, 5 * (int64_t)FIC_SECOND, true);
	expect_time(1, 5000001000, false);
	/* By a sample only. */
	hvh_time_step(ic, -9 * (int64_t)FIC_SECOND, false);
	ATF_REQUIRE_EQ(0, ch->out.n);
	fic_sleep(h, 5 * FIC_SECOND);
	expect_time(2, -3999999000, false);
	ATF_CHECK_EQ(-3999999000, time_info().shift);
	ATF_REQUIRE_EQ(0, hvh_time_sync(ic, fic_done, &end));
	expect_time(1, -3999999000, false);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.error);
	fake_free(h);
}

/*
 * The clocks are read when the message is written, not when it is due: a full
 * ring, or a guest that is slow to answer, would make old news of it.
 */
ATF_TC_WITHOUT_HEAD(time_late);
ATF_TC_BODY(time_late, tc)
{
	struct fic_msg m;

	h = fic_new(HVH_IC_TIMESYNC, 0, &ic, &ch);
	h->wall = WALL * FIC_SECOND;
	ch->room = 1;
	fic_agree(ch, V(3, 0), V(4, 0));
	ch->room = 0;
	fic_expect(ch, 4, &m);
	fic_sleep(h, 7 * FIC_SECOND);
	/* The sample of the fifth second waits for this answer. */
	fic_answer(ch, &m, 0);
	ATF_REQUIRE_EQ(0, ch->out.n);
	fic_sleep(h, FIC_SECOND);
	ch->room = 10;
	fake_signal(ch);
	expect_time(2, 0, false);

	/* One that never answers gets no more than one at a time. */
	fic_sleep(h, 5 * FIC_SECOND);
	fic_expect(ch, 4, &m);
	fic_sleep(h, 26 * FIC_SECOND);
	ATF_CHECK_EQ(0, ch->out.n);
	fic_sleep(h, 10 * FIC_SECOND);
	ATF_CHECK_EQ(1, ch->out.n);
	fake_free(h);
}

/* A thread that is stopped between the two clocks tells of one moment. */
ATF_TC_WITHOUT_HEAD(time_stalled);
ATF_TC_BODY(time_stalled, tc)
{
	struct fic_msg m;

	for (unsigned stalls = 0; stalls < 5; stalls++) {
		h = fic_new(HVH_IC_TIMESYNC, 0, &ic, &ch);
		h->wall = WALL * FIC_SECOND;
		h->stalls = stalls;
		fic_agree(ch, V(3, 0), V(4, 0));
		fic_expect(ch, 4, &m);
		ATF_CHECK_EQ(PARENT + fic_get64(m.b + 36),
		    fic_get64(m.b + 28));
		fake_free(h);
	}
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, heartbeat);
	ATF_TP_ADD_TC(tp, heartbeat_lost);
	ATF_TP_ADD_TC(tp, shutdown_kinds);
	ATF_TP_ADD_TC(tp, shutdown_once);
	ATF_TP_ADD_TC(tp, timesync);
	ATF_TP_ADD_TC(tp, time_step);
	ATF_TP_ADD_TC(tp, time_late);
	ATF_TP_ADD_TC(tp, time_stalled);
	return (atf_no_error());
}
