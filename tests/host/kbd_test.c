/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The keyboard's provider, packet by packet: versions, keys and their pauses,
 * guests that read nothing, ask twice, talk nonsense or go away; and the keys
 * that names and text stand for.
 */

#include <atf-c.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/keys.h"
#include "fake_bus.h"
#include "hvhost_kbd.h"

#define	MS	1000000ull

static struct hvh *h;
static struct hvh_kbd *kbd;
static struct hvh_chan *ch;
static unsigned ended;
static int ended_with;

static const struct hvh_key a_key[] = { { 0x1e, 0 }, { 0x1e, HVH_KEY_UP } };

static void
done(void *arg, int error)
{

	ended++;
	ended_with = error;
}

static enum hvh_kbd_state
state(void)
{
	struct hvh_kbd_info ki;

	hvh_kbd_get_info(kbd, &ki);
	return (ki.state);
}

/* A message of the guest's. */
static void
says(unsigned n, const uint32_t *words, bool wants)
{

	fake_put(ch, 6, wants, 77, words, n * 4);
	fake_signal(ch);
}

/* The next packet is that, exactly. */
static void
gets(uint16_t type, unsigned n, const uint32_t *words)
{
	struct fake_pkt *p = fake_get(ch);

	ATF_REQUIRE_MSG(p != NULL, "no packet");
	ATF_CHECK_EQ(type, p->type);
	ATF_CHECK(!p->wants_completion);
	ATF_CHECK_EQ(n * 4, p->len);
	ATF_CHECK(n == 0 || memcmp(words, p->data, n * 4) == 0);
	if (type == 11)
		ATF_CHECK_EQ(77, p->xid);
	fake_pkt_free(p);
}

static void
gets_key(uint16_t code, uint32_t flags)
{
	uint32_t words[] = { 3, code, flags };

	gets(6, 3, words);
}

static void
gets_nothing(void)
{
	struct fake_pkt *p = fake_get(ch);

	ATF_CHECK(p == NULL);
	fake_pkt_free(p);
}

static void
ask(uint32_t version, uint32_t want)
{
	uint32_t m[] = { 1, version }, answer[] = { 2, want };

	says(2, m, true);
	gets(11, 0, NULL);
	gets(6, 2, answer);
	gets_nothing();
}

static void
start(void)
{

	h = fake_new(65536);
	ATF_REQUIRE_EQ(0, hvh_kbd_add(h, &kbd));
	ch = fake_chan(h, 0);
	ATF_CHECK_EQ(HVH_KBD_CLOSED, state());
	ATF_CHECK_EQ(ENOTCONN, hvh_kbd_type(kbd, a_key, 2, 0, done, NULL));
	ATF_REQUIRE_EQ(0, fake_open(ch));
	ATF_CHECK_EQ(HVH_KBD_NEGOTIATING, state());
	ATF_CHECK_EQ(ENOTCONN, hvh_kbd_type(kbd, a_key, 2, 0, done, NULL));
}

ATF_TC_WITHOUT_HEAD(versions);
ATF_TC_BODY(versions, tc)
{

	start();
	ask(0x00020000, 0);
	ask(0, 0);
	ATF_CHECK_EQ(HVH_KBD_NEGOTIATING, state());
	ask(0x00010000, 1);
	ATF_CHECK_EQ(HVH_KBD_READY, state());
	/* A driver that begins anew. */
	ask(0x00010000, 1);
	ATF_CHECK_EQ(HVH_KBD_READY, state());
	/* And one that is older now: what was to be typed is not for it. */
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, a_key, 2, MS, done, NULL));
	gets_key(0x1e, 0);
	ask(0x00000009, 0);
	ATF_CHECK_EQ(HVH_KBD_NEGOTIATING, state());
	ATF_CHECK_EQ(1, ended);
	ATF_CHECK_EQ(ECONNRESET, ended_with);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(typing);
ATF_TC_BODY(typing, tc)
{
	static const struct hvh_key keys[] = {
		{ 0x53, HVH_KEY_E0 }, { 0x53, HVH_KEY_E0 | HVH_KEY_UP },
		{ 0x1d, HVH_KEY_E1 }, { 0x263a, HVH_KEY_UNICODE },
	};
	static const struct hvh_key wrong[] = { { 0x1e, 0 }, { 0x80, 0 } };

	start();
	ask(0x00010000, 1);
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, keys, 4, 0, done, NULL));
	gets_key(0x53, 4);
	gets_key(0x53, 6);
	gets_key(0x1d, 8);
	gets_key(0x263a, 1);
	ATF_CHECK_EQ(1, ended);
	ATF_CHECK_EQ(0, ended_with);
	ATF_CHECK_EQ(EINVAL, hvh_kbd_type(kbd, wrong, 2, 0, done, NULL));
	ATF_CHECK_EQ(EINVAL, hvh_kbd_type(kbd, wrong, 0, 0, done, NULL));
	/* With a pause behind each, the order after it too. */
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, a_key, 2, 5 * MS, done, NULL));
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, keys, 1, 0, done, NULL));
	gets_key(0x1e, 0);
	gets_nothing();
	h->now += 5 * MS;
	fake_pump(h);
	gets_key(0x1e, 2);
	gets_nothing();
	ATF_CHECK_EQ(2, ended);
	h->now += 5 * MS;
	fake_pump(h);
	gets_key(0x53, 4);
	ATF_CHECK_EQ(3, ended);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(full);
ATF_TC_BODY(full, tc)
{
	static struct hvh_key many[HVH_KBD_WAITING];
	struct hvh_kbd_info ki;
	unsigned i;

	start();
	ask(0x00010000, 1);
	for (i = 0; i < HVH_KBD_WAITING; i++)
		many[i].code = 1;
	/* The guest reads nothing: it waits, then it is over, once. */
	ch->room = 0;
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, many, HVH_KBD_WAITING - 2, 0,
	    done, NULL));
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, a_key, 2, 0, done, NULL));
	ATF_CHECK_EQ(EAGAIN, hvh_kbd_type(kbd, a_key, 1, 0, done, NULL));
	hvh_kbd_get_info(kbd, &ki);
	ATF_CHECK_EQ(HVH_KBD_WAITING, ki.waiting);
	h->now += 9999 * MS;
	fake_pump(h);
	ATF_CHECK_EQ(0, ended);
	h->now += 2 * MS;
	fake_pump(h);
	ATF_CHECK_EQ(2, ended);
	ATF_CHECK_EQ(ETIMEDOUT, ended_with);
	hvh_kbd_get_info(kbd, &ki);
	ATF_CHECK_EQ(0, ki.waiting);
	/* And it can go on when there is room. */
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, a_key, 2, 0, done, NULL));
	ch->room = 100;
	fake_signal(ch);
	ATF_CHECK_EQ(3, ended);
	ATF_CHECK_EQ(0, ended_with);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(nonsense);
ATF_TC_BODY(nonsense, tc)
{
	static const uint32_t leds[] = { 4, 0xffff };
	static const uint32_t other[] = { 3, 1, 2 };
	struct hvh_kbd_info ki;
	unsigned i;

	start();
	says(2, leds, false);		/* before a version */
	says(0, leds, false);
	says(1, leds, false);
	says(3, other, false);		/* a message of the host's */
	fake_put(ch, 9, false, 0, leds, 8);
	fake_put(ch, 11, false, 0, leds, 8);
	fake_signal(ch);
	gets_nothing();
	hvh_kbd_get_info(kbd, &ki);
	ATF_CHECK_EQ(6, ki.bad);
	ATF_CHECK_EQ(0, ki.lights);
	ask(0x00010000, 1);
	says(2, leds, true);
	gets(11, 0, NULL);
	hvh_kbd_get_info(kbd, &ki);
	ATF_CHECK_EQ(7, ki.lights);
	ATF_CHECK_EQ(6, ki.bad);
	/* Who floods and reads nothing is left alone until it does. */
	ch->room = 0;
	for (i = 0; i < 1000; i++)
		fake_put(ch, 6, true, 77, leds, 8);
	fake_signal(ch);
	ATF_CHECK(ch->in.n >= 998);
	ch->room = 2000;
	fake_signal(ch);
	ATF_CHECK_EQ(0, ch->in.n);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(going);
ATF_TC_BODY(going, tc)
{

	start();
	ask(0x00010000, 1);
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, a_key, 2, MS, done, NULL));
	gets_key(0x1e, 0);
	fake_close(ch);
	ATF_CHECK_EQ(1, ended);
	ATF_CHECK_EQ(ECONNRESET, ended_with);
	ATF_CHECK_EQ(HVH_KBD_CLOSED, state());
	ATF_REQUIRE_EQ(0, fake_open(ch));
	ask(0x00010000, 1);
	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, a_key, 2, MS, done, NULL));
	hvh_kbd_remove(kbd);
	fake_free(h);
	ATF_CHECK_EQ(2, ended);
}

/* --- Names and text --- */

static void
is(const struct keys *ks, const char *want)
{
	char text[256] = "", one[16];
	unsigned i;

	for (i = 0; i < ks->n; i++) {
		snprintf(one, sizeof(one), "%s%s%02x ",
		    ks->k[i].flags & HVH_KEY_UP ? "-" : "+",
		    ks->k[i].flags & HVH_KEY_E0 ? "e0:" :
		    ks->k[i].flags & HVH_KEY_E1 ? "e1:" : "", ks->k[i].code);
		strcat(text, one);
	}
	ATF_CHECK_STREQ(want, text);
}

ATF_TC_WITHOUT_HEAD(names);
ATF_TC_BODY(names, tc)
{
	static const char *const wrong[] = { "", "-", "ctrl-", "-a", "ctr-a",
	    "A", "f13", "a-b-c-d-e-f-g-h-i", "\xc3\xa4" };
	struct keys ks = { 0 };
	unsigned i;

	ATF_REQUIRE(keys_chord(&ks, "ctrl-alt-del"));
	is(&ks, "+1d +38 +e0:53 -e0:53 -38 -1d ");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ATF_CHECK_MSG(!keys_chord(&ks, wrong[i]), "\"%s\"", wrong[i]);
	ks.n = 0;
	ATF_REQUIRE(keys_chord(&ks, "pause"));
	is(&ks, "+e1:1d +45 -e1:1d -45 ");
	ks.n = 0;
	ATF_REQUIRE(keys_chord(&ks, "minus"));
	ATF_REQUIRE(keys_chord(&ks, "/"));
	is(&ks, "+0c -0c +35 -35 ");
	free(ks.k);
}

ATF_TC_WITHOUT_HEAD(text);
ATF_TC_BODY(text, tc)
{
	struct keys ks = { 0 };
	size_t where = 0;

	ATF_REQUIRE(keys_text(&ks, "a~\n", &where));
	is(&ks, "+1e -1e +2a +29 -29 -2a +1c -1c ");
	/* All or nothing. */
	ATF_CHECK(!keys_text(&ks, "xy\xc3\xa4", &where));
	ATF_CHECK_EQ(2, where);
	ATF_CHECK_EQ(8, ks.n);
	free(ks.k);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, typing);
	ATF_TP_ADD_TC(tp, full);
	ATF_TP_ADD_TC(tp, nonsense);
	ATF_TP_ADD_TC(tp, going);
	ATF_TP_ADD_TC(tp, names);
	ATF_TP_ADD_TC(tp, text);
	return (atf_no_error());
}
