/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Data exchange, message by message: layouts, every type, text that is none,
 * lists, addresses; and UTF-16 by itself.  protocol: utilities, 6
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_ic.h"
#include "services/utf16.h"

#define	V(major, minor)	HVH_IC_VERSION(major, minor)

static struct hvh *h;
static struct hvh_ic *ic;
static struct hvh_chan *ch;
static struct fic_end end;

static void
start(void)
{

	h = fic_new(HVH_IC_KVP, 0, &ic, &ch);
	fic_agree(ch, V(3, 0), V(4, 0));
	memset(&end, 0, sizeof(end));
}

static void
kvp_expect(uint8_t op, uint8_t pool, struct fic_msg *m)
{

	fic_expect(ch, 2, m);
	ATF_REQUIRE_EQ(op, m->b[28]);
	ATF_CHECK_EQ(pool, m->b[29]);
	ATF_CHECK_EQ(op >= 4 ? 28 + 7428 : 28 + 2580, m->len);
}

/* ASCII into UTF-16 at a place; its bytes with the terminator. */
static uint32_t
text(uint8_t *p, const char *t)
{
	uint32_t n = 0;

	do {
		fic_put16(p + n, (uint8_t)*t);
		n += 2;
	} while (*t++ != '\0');
	return (n);
}

/* Type, sizes, key and value from a place on. */
static void
value(uint8_t *p, uint32_t type, const char *key, const char *val)
{

	fic_put32(p, type);
	fic_put32(p + 4, text(p + 12, key));
	fic_put32(p + 8, text(p + 524, val));
}

ATF_TC_WITHOUT_HEAD(set);
ATF_TC_BODY(set, tc)
{
	static const uint8_t smile[] = { 0x3d, 0xd8, 0x00, 0xde, 0, 0 };
	struct hvh_kvp_item it = { .type = HVH_KVP_STRING, .key = "Key",
	    .text = "a value" };
	uint8_t want[64] = { 0 };
	struct fic_msg m;

	start();
	ATF_REQUIRE_EQ(0, hvh_kvp_set(ic, HVH_KVP_GUEST, &it, fic_done,
	    &end));
	kvp_expect(1, 1, &m);
	ATF_CHECK_EQ(1, fic_get32(m.b + 32));
	ATF_CHECK_EQ(8, fic_get32(m.b + 36));
	ATF_CHECK_EQ(16, fic_get32(m.b + 40));
	ATF_CHECK(memcmp(m.b + 44, want, text(want, "Key")) == 0);
	ATF_CHECK(memcmp(m.b + 556, want, text(want, "a value")) == 0);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.error);
	ATF_CHECK_EQ(0, end.status);

	it.type = HVH_KVP_EXPAND;
	it.text = "\xf0\x9f\x98\x80";
	ATF_REQUIRE_EQ(0, hvh_kvp_set(ic, HVH_KVP_EXTERNAL, &it, fic_done,
	    &end));
	kvp_expect(1, 0, &m);
	ATF_CHECK_EQ(2, fic_get32(m.b + 32));
	ATF_CHECK_EQ(6, fic_get32(m.b + 40));
	ATF_CHECK(memcmp(m.b + 556, smile, 6) == 0);
	fic_answer(ch, &m, 0x80070103);
	ATF_CHECK_EQ(HVH_IC_NO_MORE, end.status);

	it.type = HVH_KVP_U32;
	it.number = 0xfedcba98;
	ATF_REQUIRE_EQ(0, hvh_kvp_set(ic, HVH_KVP_EXTERNAL, &it, fic_done,
	    &end));
	kvp_expect(1, 0, &m);
	ATF_CHECK_EQ(4, fic_get32(m.b + 32));
	ATF_CHECK_EQ(4, fic_get32(m.b + 40));
	ATF_CHECK_EQ(0xfedcba98, fic_get64(m.b + 556));
	fic_answer(ch, &m, 0);

	/* What these guests know as 64 bits. */
	it.type = HVH_KVP_U64;
	it.number = 0x123456789abcdef0;
	ATF_REQUIRE_EQ(0, hvh_kvp_set(ic, HVH_KVP_EXTERNAL, &it, fic_done,
	    &end));
	kvp_expect(1, 0, &m);
	ATF_CHECK_EQ(8, fic_get32(m.b + 32));
	ATF_CHECK_EQ(8, fic_get32(m.b + 40));
	ATF_CHECK_EQ(0x123456789abcdef0, fic_get64(m.b + 556));
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(4, end.n);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(set_wrong);
ATF_TC_BODY(set_wrong, tc)
{
	struct hvh_kvp_item it = { .type = HVH_KVP_STRING, .text = "v" };
	char key[300], val[1100];
	struct fic_msg m;

#define	SET()	hvh_kvp_set(ic, HVH_KVP_EXTERNAL, &it, fic_done, &end)
	start();
	ATF_CHECK_EQ(EINVAL, SET());
	it.key = "";
	ATF_CHECK_EQ(EINVAL, SET());
	it.key = "\xc0\x80";
	ATF_CHECK_EQ(EINVAL, SET());
	memset(key, 'k', sizeof(key));
	key[256] = '\0';
	it.key = key;
	ATF_CHECK_EQ(EINVAL, SET());
	key[HVH_KVP_KEY_MAX] = '\0';
	memset(val, 'v', sizeof(val));
	val[1024] = '\0';
	it.text = val;
	ATF_CHECK_EQ(EINVAL, SET());
	it.text = NULL;
	ATF_CHECK_EQ(EINVAL, SET());
	it.type = HVH_KVP_U32;
	it.number = 1ull << 32;
	ATF_CHECK_EQ(EINVAL, SET());
	it.type = (enum hvh_kvp_type)3;
	ATF_CHECK_EQ(EINVAL, SET());
	ATF_CHECK_EQ(EINVAL, hvh_kvp_get(ic, HVH_KVP_POOLS, "k", fic_done,
	    &end));
	ATF_CHECK_EQ(EINVAL, hvh_kvp_list(ic, HVH_KVP_POOLS, NULL, fic_done,
	    &end));
	ATF_CHECK_EQ(0, ch->out.n);
	/* The longest that fit. */
	it.type = HVH_KVP_STRING;
	it.text = val;
	val[HVH_KVP_VALUE_MAX] = '\0';
	ATF_REQUIRE_EQ(0, SET());
	kvp_expect(1, 0, &m);
	ATF_CHECK_EQ(512, fic_get32(m.b + 36));
	ATF_CHECK_EQ(2048, fic_get32(m.b + 40));
	ATF_CHECK_EQ(0, end.n);
	fake_free(h);
#undef SET
}

ATF_TC_WITHOUT_HEAD(get);
ATF_TC_BODY(get, tc)
{
	static const struct {
		uint32_t	 type, size;
		uint64_t	 bytes;
		bool		 good;
		const char	*text;
	} answers[] = {
		{ 4, 4, 0xffffffff00000007, true, "7" },
		{ 8, 8, UINT64_MAX, true, "18446744073709551615" },
		{ 11, 8, 5, true, "5" },
		{ 4, 8, 5, false, "" },
		{ 8, 4, 5, false, "" },
		{ 3, 8, 5, false, "" },
		{ 1, 3, 5, false, "" },
		{ 1, 2049, 5, false, "" },
		{ 1, UINT32_MAX, 5, false, "" },
		{ 1, 0, 5, true, "" },
		{ 1, 4, 0x0000d83d00680068, true, "hh" },
		{ 1, 8, 0xd83d0068de00d83d, true,
		    "\xf0\x9f\x98\x80h\xef\xbf\xbd" },
		{ 2, 4, 0xdc00de00, true, "\xef\xbf\xbd\xef\xbf\xbd" },
	};
	struct fic_msg m;
	unsigned i;

	start();
	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		ATF_REQUIRE_EQ(0, hvh_kvp_get(ic, HVH_KVP_AUTO, "Key",
		    fic_done, &end));
		kvp_expect(0, 2, &m);
		ATF_CHECK_EQ(8, fic_get32(m.b + 36));
		fic_put32(m.b + 32, answers[i].type);
		fic_put32(m.b + 40, answers[i].size);
		fic_put64(m.b + 556, answers[i].bytes);
		fic_answer(ch, &m, 0);
		ATF_REQUIRE_EQ(i + 1, end.n);
		ATF_CHECK_EQ_MSG(answers[i].good ? 0 : EPROTO, end.error,
		    "%u: %d", i, end.error);
		ATF_CHECK_EQ(answers[i].good, end.have_item);
		if (!answers[i].good)
			continue;
		ATF_CHECK_STREQ("Key", end.key);
		ATF_CHECK_STREQ(answers[i].text, end.text);
	}
	/* A key that is none; too short; an error has no item. */
	ATF_REQUIRE_EQ(0, hvh_kvp_get(ic, HVH_KVP_AUTO, "Key", fic_done,
	    &end));
	kvp_expect(0, 2, &m);
	value(m.b + 32, 1, "Key", "v");
	fic_put32(m.b + 36, 513);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(EPROTO, end.error);
	ATF_REQUIRE_EQ(0, hvh_kvp_get(ic, HVH_KVP_AUTO, "Key", fic_done,
	    &end));
	kvp_expect(0, 2, &m);
	value(m.b + 32, 1, "Key", "v");
	fic_put16(m.b + 18, 2579);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(EPROTO, end.error);
	ATF_REQUIRE_EQ(0, hvh_kvp_get(ic, HVH_KVP_AUTO, "Key", fic_done,
	    &end));
	kvp_expect(0, 2, &m);
	fic_answer(ch, &m, 0x80004005);
	ATF_CHECK_EQ(0, end.error);
	ATF_CHECK_EQ(HVH_IC_FAIL, end.status);
	ATF_CHECK(!end.have_item);
	/* And nobody at all. */
	ATF_REQUIRE_EQ(0, hvh_kvp_get(ic, HVH_KVP_AUTO, "Key", fic_done,
	    &end));
	fic_sleep(h, 60 * FIC_SECOND);
	ATF_CHECK_EQ(ETIMEDOUT, end.error);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(delete);
ATF_TC_BODY(delete, tc)
{
	struct fic_msg m;
	uint8_t want[16] = { 0 };

	start();
	ATF_REQUIRE_EQ(0, hvh_kvp_delete(ic, HVH_KVP_EXTERNAL, "gone",
	    fic_done, &end));
	kvp_expect(2, 0, &m);
	ATF_CHECK_EQ(10, fic_get32(m.b + 32));
	ATF_CHECK(memcmp(m.b + 36, want, text(want, "gone")) == 0);
	fic_answer(ch, &m, 0x80070103);
	ATF_CHECK_EQ(HVH_IC_NO_MORE, end.status);
	fake_free(h);
}

/* --- Lists. --- */

static unsigned listed;
static char last_key[64];

static void
item(void *arg, const struct hvh_kvp_item *it)
{

	listed++;
	strncpy(last_key, it->key, sizeof(last_key) - 1);
}

static void
enumerated(uint32_t index, const char *key, uint32_t status)
{
	struct fic_msg m;

	kvp_expect(3, 1, &m);
	ATF_REQUIRE_EQ(index, fic_get32(m.b + 32));
	value(m.b + 36, 1, key, "value");
	fic_answer(ch, &m, status);
}

ATF_TC_WITHOUT_HEAD(list);
ATF_TC_BODY(list, tc)
{
	struct fic_msg m;
	unsigned i;

	start();
	listed = 0;
#define	LIST()	hvh_kvp_list(ic, HVH_KVP_GUEST, item, fic_done, &end)
	ATF_REQUIRE_EQ(0, LIST());
	enumerated(0, "a", 0);
	/* Others get their turn in between. */
	ATF_REQUIRE_EQ(0, hvh_kvp_enumerate(ic, HVH_KVP_GUEST, 77, fic_done,
	    &end));
	enumerated(1, "b", 0);
	enumerated(2, "c", HVH_IC_NO_MORE);
	ATF_CHECK_EQ(2, listed);
	ATF_CHECK_STREQ("b", last_key);
	ATF_CHECK_EQ(1, end.n);
	ATF_CHECK_EQ(0, end.status);
	enumerated(77, "x", 0);
	ATF_CHECK_EQ(2, end.n);
	ATF_CHECK_STREQ("x", end.key);
	ATF_CHECK_STREQ("value", end.text);

	/* An empty one, one that fails, one without end. */
	ATF_REQUIRE_EQ(0, LIST());
	enumerated(0, "", HVH_IC_NO_MORE);
	ATF_CHECK_EQ(0, end.error);
	ATF_CHECK_EQ(0, end.status);
	ATF_REQUIRE_EQ(0, LIST());
	enumerated(0, "", HVH_IC_FAIL);
	ATF_CHECK_EQ(HVH_IC_FAIL, end.status);
	listed = 0;
	ATF_REQUIRE_EQ(0, LIST());
	for (i = 0; i < 4096; i++)
		enumerated(i, "again", 0);
	ATF_CHECK_EQ(5, end.n);
	ATF_CHECK_EQ(EPROTO, end.error);
	ATF_CHECK_EQ(4096, listed);
	ATF_CHECK(!fic_next(ch, &m));
	/* One that takes its time over each. */
	ATF_REQUIRE_EQ(0, LIST());
	for (i = 0; end.n == 5; i++) {
		fic_sleep(h, 50 * FIC_SECOND);
		enumerated(i, "slow", 0);
	}
	ATF_CHECK_EQ(EPROTO, end.error);
	ATF_CHECK_EQ(7, i);
	/* And the guest's end. */
	ATF_REQUIRE_EQ(0, LIST());
	ATF_REQUIRE_EQ(0, LIST());
	enumerated(0, "a", 0);
	fake_close(ch);
	ATF_CHECK_EQ(8, end.n);
	ATF_CHECK_EQ(ECONNRESET, end.error);
	fake_free(h);
#undef LIST
}

/* --- Addresses. --- */

ATF_TC_WITHOUT_HEAD(ip);
ATF_TC_BODY(ip, tc)
{
	static const char guid[] = "{3d2b7f40-91c6-4a0e-8b57-6e1f94c2d200}";
	struct hvh_kvp_ip set = { .adapter = guid, .family = 3, .dhcp = true,
	    .addresses = "10.0.0.5;fe80::1", .subnets = "255.0.0.0;64",
	    .gateways = "10.0.0.1", .dns = "10.0.0.2" };
	uint8_t want[200] = { 0 };
	struct fic_msg m;

	start();
	ATF_REQUIRE_EQ(0, hvh_kvp_get_ip(ic, "00:15:5D:48:56:00", fic_done,
	    &end));
	kvp_expect(4, 0, &m);
	/* Right behind the two bytes: the string form. */
	ATF_CHECK(memcmp(m.b + 30, want, text(want, "00:15:5D:48:56:00")) ==
	    0);
	m.b[30 + 256] = 1;
	m.b[30 + 257] = 1;
	text(m.b + 30 + 258, "10.0.2.15;10.0.2.16");
	text(m.b + 30 + 2306, "255.255.255.0;255.255.255.0");
	text(m.b + 30 + 4354, "10.0.2.2");
	text(m.b + 30 + 5378, "10.0.2.3");
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(0, end.error);
	ATF_REQUIRE(end.have_ip);
	ATF_CHECK_EQ(1, end.family);
	ATF_CHECK(end.dhcp);
	ATF_CHECK_STREQ("00:15:5D:48:56:00", end.ip[0]);
	ATF_CHECK_STREQ("10.0.2.15;10.0.2.16", end.ip[1]);
	ATF_CHECK_STREQ("255.255.255.0;255.255.255.0", end.ip[2]);
	ATF_CHECK_STREQ("10.0.2.2", end.ip[3]);
	ATF_CHECK_STREQ("10.0.2.3", end.ip[4]);

	/* A list without end is one that ends with its field. */
	ATF_REQUIRE_EQ(0, hvh_kvp_get_ip(ic, "x", fic_done, &end));
	kvp_expect(4, 0, &m);
	memset(m.b + 30, 'x', 7426);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(0, end.error);
	/* 1,024 of U+7878, in three bytes each. */
	ATF_CHECK_EQ(3072, strlen(end.ip[1]));
	ATF_REQUIRE_EQ(0, hvh_kvp_get_ip(ic, "x", fic_done, &end));
	kvp_expect(4, 0, &m);
	fic_put16(m.b + 18, 7427);
	fic_answer(ch, &m, 0);
	ATF_CHECK_EQ(EPROTO, end.error);

	ATF_REQUIRE_EQ(0, hvh_kvp_set_ip(ic, &set, fic_done, &end));
	kvp_expect(5, 0, &m);
	ATF_CHECK(memcmp(m.b + 30, want, text(want, guid)) == 0);
	ATF_CHECK_EQ(3, m.b[30 + 256]);
	ATF_CHECK_EQ(1, m.b[30 + 257]);
	ATF_CHECK(memcmp(m.b + 30 + 258, want, text(want,
	    "10.0.0.5;fe80::1")) == 0);
	ATF_CHECK(memcmp(m.b + 30 + 5378, want, text(want, "10.0.0.2")) == 0);
	fic_answer(ch, &m, 0x80041002);
	ATF_CHECK_EQ(HVH_IC_NOT_FOUND, end.status);
	set.adapter = "";
	ATF_CHECK_EQ(EINVAL, hvh_kvp_set_ip(ic, &set, fic_done, &end));
	fake_free(h);
}

/* --- UTF-16. --- */

ATF_TC_WITHOUT_HEAD(utf16);
ATF_TC_BODY(utf16, tc)
{
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98", "\xff",
		"a\xc3(",
	};
	uint8_t field[8];
	char back[UTF16_TEXT(4)];
	uint32_t bytes, c;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ATF_CHECK_EQ_MSG(EINVAL, utf16_put(field, 4, bad[i], &bytes),
		    "%u", i);
	ATF_CHECK_EQ(0, utf16_put(field, 4, "abc", &bytes));
	ATF_CHECK_EQ(8, bytes);
	ATF_CHECK_EQ(ENAMETOOLONG, utf16_put(field, 4, "abcd", &bytes));
	ATF_CHECK_EQ(ENAMETOOLONG, utf16_put(field, 2, "\xf0\x9f\x98\x80",
	    &bytes));
	/* Every character comes back as it was. */
	for (c = 1; c <= 0x10ffff; c++) {
		char text8[5] = { 0 };

		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		if (c < 0x80) {
			text8[0] = (char)c;
		} else if (c < 0x800) {
			text8[0] = (char)(0xc0 | c >> 6);
			text8[1] = (char)(0x80 | (c & 63));
		} else if (c < 0x10000) {
			text8[0] = (char)(0xe0 | c >> 12);
			text8[1] = (char)(0x80 | (c >> 6 & 63));
			text8[2] = (char)(0x80 | (c & 63));
		} else {
			text8[0] = (char)(0xf0 | c >> 18);
			text8[1] = (char)(0x80 | (c >> 12 & 63));
			text8[2] = (char)(0x80 | (c >> 6 & 63));
			text8[3] = (char)(0x80 | (c & 63));
		}
		ATF_REQUIRE_EQ(0, utf16_put(field, 4, text8, &bytes));
		ATF_REQUIRE_EQ(c > 0xffff ? 6 : 4, bytes);
		utf16_get(field, 4, back);
		ATF_REQUIRE_STREQ(text8, back);
	}
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, set);
	ATF_TP_ADD_TC(tp, set_wrong);
	ATF_TP_ADD_TC(tp, get);
	ATF_TP_ADD_TC(tp, delete);
	ATF_TP_ADD_TC(tp, list);
	ATF_TP_ADD_TC(tp, ip);
	ATF_TP_ADD_TC(tp, utf16);
	return (atf_no_error());
}
