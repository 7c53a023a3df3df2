/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Backup and file copy, message by message: the sequences, what guests refuse,
 * answer late or not at all, and that all of it ends.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_ic.h"

#define	V(major, minor)	HVH_IC_VERSION(major, minor)

#define	FREEZE	5
#define	THAW	6
#define	CHECK	2

static struct hvh *h;
static struct hvh_ic *ic;
static struct hvh_chan *ch;
static struct fic_end end;
static char steps[200];

static void
step(void *arg, const char *name)
{

	ATF_REQUIRE(strlen(steps) + strlen(name) + 2 < sizeof(steps));
	strcat(steps, name);
	strcat(steps, " ");
}

static void
start(enum hvh_ic_kind kind, uint32_t version)
{

	h = fic_new(kind, 0, &ic, &ch);
	fic_agree(ch, V(3, 0), version);
	memset(&end, 0, sizeof(end));
	steps[0] = '\0';
}

/* --- Backup.  protocol: utilities, 7 --- */

static void
vss_expect(uint8_t op, struct fic_msg *m)
{

	fic_expect(ch, 5, m);
	ATF_REQUIRE_EQ(op, m->b[28]);
	ATF_CHECK_EQ(op == FREEZE ? 6288 : 40, m->len);
	/* No disk of the guest's is left out. */
	ATF_CHECK_EQ(0, fic_get32(m->b + 36));
}

static void
vss_answer(struct fic_msg *m, uint32_t status)
{

	if (m->b[28] == CHECK)
		fic_put32(m->b + 36, 5);
	fic_answer(ch, m, status);
}

ATF_TC_WITHOUT_HEAD(vss_single);
ATF_TC_BODY(vss_single, tc)
{
	static const uint8_t ops[] = { CHECK, FREEZE, THAW };
	struct fic_msg m;
	unsigned i;

	start(HVH_IC_VSS, V(5, 0));
	for (i = 0; i < 3; i++) {
		ATF_REQUIRE_EQ(0, hvh_vss(ic, (enum hvh_vss_op)i, fic_done,
		    &end));
		ATF_CHECK_EQ(EBUSY, hvh_vss(ic, HVH_VSS_THAW, fic_done,
		    &end));
		ATF_CHECK_EQ(EBUSY, hvh_vss_snapshot(ic, 0, step, fic_done,
		    &end));
		vss_expect(ops[i], &m);
		vss_answer(&m, 0);
		ATF_CHECK_EQ(i + 1, end.n);
		ATF_CHECK_EQ(0, end.error);
		ATF_CHECK_EQ(0, end.status);
		ATF_CHECK_EQ(i == 0 ? 5u : 0, end.flags);
	}
	ATF_CHECK_EQ(EINVAL, hvh_vss(ic, (enum hvh_vss_op)3, fic_done, &end));
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(vss_snapshot);
ATF_TC_BODY(vss_snapshot, tc)
{
	struct fic_msg m;

	start(HVH_IC_VSS, V(5, 0));
	ATF_REQUIRE_EQ(0, hvh_vss_snapshot(ic, 3 * FIC_SECOND, step, fic_done,
	    &end));
	vss_expect(CHECK, &m);
	vss_answer(&m, 0);
	vss_expect(FREEZE, &m);
	vss_answer(&m, 0);
	ATF_CHECK_STREQ("check freeze hold ", steps);
	fic_sleep(h, 3 * FIC_SECOND - 1);
	ATF_REQUIRE_EQ(0, ch->out.n);
	fic_sleep(h, 1);
	vss_expect(THAW, &m);
	ATF_CHECK_EQ(0, end.n);
	vss_answer(&m, 0);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.error);
	ATF_CHECK_EQ(5, end.flags);
	ATF_CHECK_STREQ("(none)", end.step);
	ATF_CHECK_STREQ("check freeze hold thaw ", steps);
	fake_free(h);
}

/* Who says no is not asked further, and is not left frozen. */
ATF_TC_WITHOUT_HEAD(vss_refused);
ATF_TC_BODY(vss_refused, tc)
{
	struct fic_msg m;

	start(HVH_IC_VSS, V(5, 0));
	ATF_REQUIRE_EQ(0, hvh_vss_snapshot(ic, 0, step, fic_done, &end));
	vss_expect(CHECK, &m);
	vss_answer(&m, 0x80004005);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(HVH_IC_FAIL, end.status);
	ATF_CHECK_STREQ("check", end.step);
	ATF_REQUIRE_EQ(0, ch->out.n);

	/* An answer without flags. */
	ATF_REQUIRE_EQ(0, hvh_vss_snapshot(ic, 0, step, fic_done, &end));
	vss_expect(CHECK, &m);
	fic_put16(m.b + 18, 11);
	vss_answer(&m, 0);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_EQ(EPROTO, end.error);

	ATF_REQUIRE_EQ(0, hvh_vss_snapshot(ic, 0, step, fic_done, &end));
	vss_expect(CHECK, &m);
	vss_answer(&m, 0);
	vss_expect(FREEZE, &m);
	vss_answer(&m, 0x80004005);
	ATF_CHECK_EQ(3, end.n);
	ATF_CHECK_STREQ("freeze", end.step);

	/* The thaw is worth three attempts. */
	ATF_REQUIRE_EQ(0, hvh_vss(ic, HVH_VSS_THAW, fic_done, &end));
	vss_expect(THAW, &m);
	vss_answer(&m, 0x80004005);
	vss_expect(THAW, &m);
	vss_answer(&m, 0x80004005);
	ATF_CHECK_EQ(3, end.n);
	vss_expect(THAW, &m);
	vss_answer(&m, 0x80004005);
	ATF_CHECK_EQ(4, end.n);
	ATF_CHECK_EQ(HVH_IC_FAIL, end.status);
	ATF_CHECK_STREQ("thaw", end.step);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(vss_silent);
ATF_TC_BODY(vss_silent, tc)
{
	struct fic_msg m, freeze;

	/* A freeze that is late is followed by a thaw. */
	start(HVH_IC_VSS, V(5, 0));
	ATF_REQUIRE_EQ(0, hvh_vss(ic, HVH_VSS_FREEZE, fic_done, &end));
	vss_expect(FREEZE, &freeze);
	fic_sleep(h, 60 * FIC_SECOND);
	vss_expect(THAW, &m);
	/* It drops the first, busy with the freeze, and answers that. */
	vss_answer(&freeze, 0);
	ATF_CHECK_EQ(0, end.n);
	fic_sleep(h, 20 * FIC_SECOND);
	vss_expect(THAW, &m);
	vss_answer(&m, 0);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	ATF_CHECK_STREQ("freeze", end.step);

	/* One that never answers: it ends. */
	ATF_REQUIRE_EQ(0, hvh_vss_snapshot(ic, 0, step, fic_done, &end));
	fic_sleep(h, 60 * FIC_SECOND);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_STREQ("check", end.step);
	ATF_REQUIRE_EQ(0, hvh_vss(ic, HVH_VSS_FREEZE, fic_done, &end));
	fic_sleep(h, 121 * FIC_SECOND);
	ATF_CHECK_EQ(3, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	ATF_CHECK_STREQ("freeze", end.step);
	fake_free(h);

	/* The guest goes away while it is frozen. */
	start(HVH_IC_VSS, V(5, 0));
	ATF_REQUIRE_EQ(0, hvh_vss_snapshot(ic, FIC_SECOND, step, fic_done,
	    &end));
	vss_expect(CHECK, &m);
	vss_answer(&m, 0);
	vss_expect(FREEZE, &m);
	vss_answer(&m, 0);
	fake_close(ch);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);
	ATF_CHECK_STREQ("hold", end.step);
	fic_sleep(h, 2 * FIC_SECOND);
	ATF_CHECK_EQ(1, end.n);
	ATF_REQUIRE_EQ(0, fake_open(ch));
	fake_signal(ch);
	fic_agree(ch, V(3, 0), V(5, 0));
	ATF_REQUIRE_EQ(0, hvh_vss(ic, HVH_VSS_CHECK, fic_done, &end));
	fake_free(h);
	ATF_CHECK_EQ(2, end.n);
}

/* --- File copy.  protocol: utilities, 8 --- */

#define	SIZE	(2 * 6144 + 100)

static uint8_t file[SIZE];
static int read_error;
static uint64_t progressed;

static int
read_file(void *arg, uint64_t offset, void *buf, size_t len)
{

	ATF_REQUIRE(offset + len <= SIZE);
	memcpy(buf, file + offset, len);
	return (offset > 0 ? read_error : 0);
}

static void
progress(void *arg, uint64_t bytes)
{

	progressed = bytes;
}

static const struct hvh_fcopy_params fp = { .name = "n\xc3\xa4me",
	.path = "/tmp/x", .overwrite = true, .size = SIZE, .read = read_file,
	.progress = progress };

static void
fcopy_start(struct fic_msg *m)
{

	for (unsigned i = 0; i < SIZE; i++)
		file[i] = (uint8_t)(i * 7 + i / 256);
	read_error = 0;
	progressed = 0;
	start(HVH_IC_FCOPY, V(1, 1));
	ATF_REQUIRE_EQ(0, hvh_fcopy(ic, &fp, fic_done, &end));
	ATF_CHECK_EQ(EBUSY, hvh_fcopy(ic, &fp, fic_done, &end));
	fic_expect(ch, 7, m);
	ATF_REQUIRE_EQ(28 + 1088, m->len);
	ATF_REQUIRE_EQ(0, fic_get32(m->b + 28));
}

static void
fcopy_op(uint32_t op, struct fic_msg *m)
{

	fic_expect(ch, 7, m);
	ATF_REQUIRE_EQ(op, fic_get32(m->b + 28));
	ATF_REQUIRE_EQ(op == 1 ? 28 + 6196 : 28 + 36, m->len);
}

ATF_TC_WITHOUT_HEAD(fcopy);
ATF_TC_BODY(fcopy, tc)
{
	static const uint8_t name[] = { 'n', 0, 0xe4, 0, 'm', 0, 'e', 0, 0, 0 };
	static const uint8_t path[] = { '/', 0, 't', 0, 'm', 0, 'p', 0, '/', 0,
	    'x', 0, 0, 0 };
	static uint8_t got[SIZE];
	struct fic_msg m;
	uint64_t at = 0;
	uint32_t n;

	fcopy_start(&m);
	ATF_CHECK(memcmp(m.b + 28 + 36, name, sizeof(name)) == 0);
	ATF_CHECK(memcmp(m.b + 28 + 556, path, sizeof(path)) == 0);
	ATF_CHECK_EQ(1, fic_get32(m.b + 28 + 1076));
	ATF_CHECK_EQ(SIZE, fic_get64(m.b + 28 + 1080));
	fic_answer(ch, &m, 0);
	while (at < SIZE) {
		fcopy_op(1, &m);
		ATF_REQUIRE_EQ(at, fic_get64(m.b + 28 + 40));
		n = fic_get32(m.b + 28 + 48);
		ATF_REQUIRE_EQ(SIZE - at < 6144 ? SIZE - at : 6144, n);
		memcpy(got + at, m.b + 28 + 52, n);
		at += n;
		fic_answer(ch, &m, 0);
		ATF_CHECK_EQ(at, progressed);
	}
	ATF_CHECK(memcmp(file, got, SIZE) == 0);
	fcopy_op(2, &m);
	ATF_CHECK_EQ(0, end.n);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.error);
	ATF_CHECK_EQ(SIZE, end.bytes);
	/* The next is another session. */
	ATF_REQUIRE_EQ(0, hvh_fcopy(ic, &fp, fic_done, &end));
	fake_free(h);
	ATF_CHECK_EQ(2, end.n);
}

/* However it ends early, the guest is told, and then who ordered it. */
ATF_TC_WITHOUT_HEAD(fcopy_ends);
ATF_TC_BODY(fcopy_ends, tc)
{
	struct fic_msg m;

	/* The guest refuses to begin: there is nothing to cancel. */
	fcopy_start(&m);
	fic_answer(ch, &m, 0x80070050);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(HVH_IC_EXISTS, end.status);
	ATF_CHECK_STREQ("start", end.step);
	ATF_CHECK_EQ(0, ch->out.n);
	fake_free(h);

	/* Its disk is full. */
	fcopy_start(&m);
	fic_answer(ch, &m, 0);
	fcopy_op(1, &m);
	fic_answer(ch, &m, 0);
	fcopy_op(1, &m);
	fic_answer(ch, &m, 0x80070070);
	fcopy_op(3, &m);
	ATF_CHECK_EQ(0, end.n);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(HVH_IC_DISK_FULL, end.status);
	ATF_CHECK_STREQ("write", end.step);
	ATF_CHECK_EQ(6144, end.bytes);
	fake_free(h);

	/* Ours is broken. */
	fcopy_start(&m);
	read_error = EIO;
	fic_answer(ch, &m, 0);
	fcopy_op(1, &m);
	fic_answer(ch, &m, 0);
	fcopy_op(3, &m);
	fic_answer(ch, &m, 0x80004005);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(EIO, end.error);
	ATF_CHECK_STREQ("read", end.step);
	fake_free(h);

	/* Taken back. */
	fcopy_start(&m);
	hvh_fcopy_cancel(ic);
	fic_answer(ch, &m, 0);
	fcopy_op(3, &m);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(ECANCELED, end.error);
	fake_free(h);

	/* The guest is silent, then gone. */
	fcopy_start(&m);
	fic_answer(ch, &m, 0);
	fic_sleep(h, 121 * FIC_SECOND);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	ATF_CHECK_STREQ("write", end.step);
	ATF_REQUIRE_EQ(0, hvh_fcopy(ic, &fp, fic_done, &end));
	fake_close(ch);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(fcopy_parameters);
ATF_TC_BODY(fcopy_parameters, tc)
{
	struct hvh_fcopy_params p = fp;
	struct fic_msg m;
	char longest[300];

	start(HVH_IC_FCOPY, V(1, 1));
	memset(longest, 'x', sizeof(longest));
	longest[260] = '\0';
	p.name = longest;
	ATF_CHECK_EQ(EINVAL, hvh_fcopy(ic, &p, fic_done, &end));
	p.name = "";
	ATF_CHECK_EQ(EINVAL, hvh_fcopy(ic, &p, fic_done, &end));
	p.name = "\xff";
	ATF_CHECK_EQ(EINVAL, hvh_fcopy(ic, &p, fic_done, &end));
	p.name = "n";
	p.path = longest;
	ATF_CHECK_EQ(EINVAL, hvh_fcopy(ic, &p, fic_done, &end));
	longest[259] = '\0';
	/* An empty file is one, too. */
	p.size = 0;
	p.create_path = true;
	p.overwrite = false;
	ATF_REQUIRE_EQ(0, hvh_fcopy(ic, &p, fic_done, &end));
	fic_expect(ch, 7, &m);
	ATF_CHECK_EQ(2, fic_get32(m.b + 28 + 1076));
	fic_answer(ch, &m, 0);
	fcopy_op(2, &m);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.error);
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, vss_single);
	ATF_TP_ADD_TC(tp, vss_snapshot);
	ATF_TP_ADD_TC(tp, vss_refused);
	ATF_TP_ADD_TC(tp, vss_silent);
	ATF_TP_ADD_TC(tp, fcopy);
	ATF_TP_ADD_TC(tp, fcopy_ends);
	ATF_TP_ADD_TC(tp, fcopy_parameters);
	return (atf_no_error());
}
