/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The keyboard from end to end: what the host types is what readers read, in
 * each of their modes; hosts without manners; a keyboard that goes while
 * somebody waits for a key; and a kernel that polls, for all else has stopped.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hvhost_kbd.h"
#include "join.h"
#include "kbd_kernel.h"
#include "raw_ic.h"

#define	CLASS		"f912ad6d-2b17-48ea-bd65-f927a61c7684"
#define	NODE		"hvkbd0"
#define	MODULE		"hv_keyboard"
#define	WAIT_MS		10000

/* FreeBSD's. */
#define	O_READ		0x0001
#define	O_NOBLOCK	0x0004
#define	B_EWOULDBLOCK	35
#define	B_ENXIO		6
#define	B_EBUSY		16
#define	KDGKBMODE	0x40044b06ul
#define	KDSKBMODE	0x20044b07ul
#define	KDSETLED	0x20044b42ul
#define	KDGETLED	0x40044b41ul
#define	M_RAW		0
#define	M_XLATE		1
#define	M_CODE		2

#define	UP		HVH_KEY_UP
#define	E0		HVH_KEY_E0
#define	E1		HVH_KEY_E1
#define	CHAR		HVH_KEY_UNICODE
#define	NKEYS(k)	(unsigned)(sizeof(k) / sizeof((k)[0]))

static struct join j;
static struct hvh_kbd *kbd;
static struct raw_ic *raw;
static struct kpi_devfile *node;
static atomic_uint typed;
static atomic_int typed_error;

static void
add(struct join *jp)
{

	ATF_REQUIRE_EQ(0, hvh_kbd_add(jp->host, &kbd));
}

static void
add_raw(struct join *jp)
{

	raw = raw_ic_add(jp->host, CLASS);
}

static bool
node_there(void *arg)
{
	struct kpi_devfile *df;
	int error;

	error = kpi_dev_open(NODE, O_READ | O_NOBLOCK, &df);
	if (error == 0)
		kpi_dev_close(df);
	return (error == 0);
}

static void
start(void (*prepare)(struct join *))
{
	struct join_config cf = { .no_disks = true, .prepare = prepare };

	join_start(&j, &cf);
}

/* A machine with a keyboard, and its node open. */
static void
start_open(void)
{

	start(add);
	ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
	ATF_REQUIRE_EQ(0, kpi_dev_open(NODE, O_READ | O_NOBLOCK, &node));
}

static void
done(void *arg, int error)
{

	typed_error = error;
	typed++;
}

static bool
is_typed(void *arg)
{

	return (typed == *(unsigned *)arg);
}

/* Waits for the guest to have been told of all of them. */
static void
type(const struct hvh_key *keys, unsigned n)
{
	unsigned want = typed + 1;

	ATF_REQUIRE_EQ(0, hvh_kbd_type(kbd, keys, n, 0, done, NULL));
	ATF_REQUIRE(join_wait(is_typed, &want, WAIT_MS));
	ATF_CHECK_EQ(0, typed_error);
}

/* The node gives exactly these bytes. */
static void
reads(const char *want, size_t len)
{
	size_t at = 0;
	kpi_size n;
	char buf[256];
	unsigned i;
	int error;

	ATF_REQUIRE(len < sizeof(buf));
	for (i = 0; at < len && i < WAIT_MS; i++) {
		error = kpi_dev_read(node, buf + at, sizeof(buf) - at, &n);
		ATF_REQUIRE_MSG(error == 0 || error == B_EWOULDBLOCK,
		    "read: error %d", error);
		at += n;
		if (n == 0)
			usleep(1000);
	}
	ATF_REQUIRE_EQ_MSG(len, at, "%zu bytes instead of %zu", at, len);
	for (at = 0; at < len; at++)
		ATF_CHECK_EQ_MSG((unsigned char)want[at],
		    (unsigned char)buf[at], "byte %zu is %#x", at,
		    (unsigned char)buf[at]);
}

static void
set_mode(int mode)
{
	int now = -1;

	ATF_REQUIRE_EQ(0, kpi_dev_ioctl(node, KDSKBMODE,
	    (void *)(intptr_t)mode));
	ATF_REQUIRE_EQ(0, kpi_dev_ioctl(node, KDGKBMODE, &now));
	ATF_REQUIRE_EQ(mode, now);
}

static void
finish(void)
{

	if (node != NULL)
		ATF_CHECK_EQ(0, kpi_dev_close(node));
	join_finish(&j);
}

static const struct hvh_key pause_key[] = {
	{ 0x1d, E1 }, { 0x45, 0 }, { 0x1d, E1 | UP }, { 0x45, UP },
};

ATF_TC(text);
ATF_TC_HEAD(text, tc)
{
	atf_tc_set_md_var(tc, "descr", "letters with shift, control and the "
	    "capitals lock, the pad; others are no text");
}
ATF_TC_BODY(text, tc)
{
	static const struct hvh_key keys[] = {
		{ 0x1e, 0 }, { 0x1e, UP },			/* a */
		{ 0x2a, 0 }, { 0x30, 0 }, { 0x30, UP },		/* B */
		{ 0x02, 0 }, { 0x02, UP }, { 0x2a, UP },	/* ! */
		{ 0x1d, E0 }, { 0x2e, 0 }, { 0x2e, UP },	/* ^C */
		{ 0x1d, E0 | UP },
		{ 0x3a, 0 }, { 0x3a, UP },			/* caps */
		{ 0x1e, 0 }, { 0x1e, 0 }, { 0x1e, UP },		/* AA */
		{ 0x03, 0 }, { 0x03, UP },			/* 2 */
		{ 0x3a, 0 }, { 0x3a, UP },
		{ 0x47, 0 }, { 0x47, UP },			/* home */
		{ 0x45, 0 }, { 0x45, UP },			/* num */
		{ 0x47, 0 }, { 0x47, UP },			/* 7 */
		{ 0x45, 0 }, { 0x45, UP },
		{ 0x35, E0 }, { 0x35, E0 | UP },		/* / */
		{ 0x48, E0 }, { 0x48, E0 | UP },		/* up */
		{ 0x3b, 0 }, { 0x3b, UP },			/* F1 */
		{ 0x1c, E0 }, { 0x1c, E0 | UP },		/* enter */
	};
	static const char text[] = "aB!\003AA27/\r";

	start_open();
	type(keys, NKEYS(keys));
	reads(text, sizeof(text) - 1);
	ATF_CHECK_EQ(NKEYS(keys), join_sysctl("dev.hvkbd.0.events"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hvkbd.0.bad_messages"));
	finish();
}

ATF_TC(modes);
ATF_TC_HEAD(modes, tc)
{
	atf_tc_set_md_var(tc, "descr", "bytes with E0 and E1 as a PS/2 "
	    "keyboard's, and the kernel's key codes");
}
ATF_TC_BODY(modes, tc)
{
	static const struct hvh_key keys[] = {
		{ 0x53, E0 }, { 0x53, E0 | UP }, { 0x1e, 0 }, { 0x1e, UP },
		/* A shift that is none, and a key that nobody knows. */
		{ 0x2a, E0 }, { 0x2a, E0 | UP }, { 0x7f, 0 }, { 0x7f, UP },
	};
	static const char bytes[] = "\xe0\x53\xe0\xd3\x1e\x9e"
	    "\xe0\x2a\xe0\xaa\x7f\xff";
	static const char codes[] = "\x67\xe7\x1e\x9e\x7f\xff";

	start_open();
	set_mode(M_RAW);
	type(keys, NKEYS(keys));
	reads(bytes, sizeof(bytes) - 1);
	type(pause_key, NKEYS(pause_key));
	reads("\xe1\x1d\x45\xe1\x9d\xc5", 6);
	set_mode(M_CODE);
	type(keys, NKEYS(keys));
	reads(codes, sizeof(codes) - 1);
	type(pause_key, NKEYS(pause_key));
	reads("\x68\xe8", 2);
	ATF_CHECK(kpi_dev_ioctl(node, KDSKBMODE, (void *)7) != 0);
	set_mode(M_XLATE);
	type(keys, 4);
	reads("a", 1);
	finish();
}

ATF_TC(characters);
ATF_TC_HEAD(characters, tc)
{
	atf_tc_set_md_var(tc, "descr", "text that a host sends as such, as "
	    "\"Type clipboard text\" does");
}
ATF_TC_BODY(characters, tc)
{
	static const struct hvh_key keys[] = {
		{ 'o', CHAR }, { 'o', CHAR | UP }, { 'K', CHAR },
		{ '?', CHAR }, { 0x20ac, CHAR }, { 0, CHAR },
		{ '\n', CHAR }, { '\t', CHAR }, { '~', CHAR },
	};

	start_open();
	type(keys, NKEYS(keys));
	reads("oK?\r\t~", 6);
	/* What this keyboard does not have. */
	ATF_CHECK_EQ(2, join_sysctl("dev.hvkbd.0.dropped"));
	set_mode(M_RAW);
	type(keys + 2, 1);
	reads("\x2a\x25\xa5\xaa", 4);
	finish();
}

static bool
lights_are(void *arg)
{
	struct hvh_kbd_info ki;

	hvh_kbd_get_info(kbd, &ki);
	return (ki.lights == *(unsigned *)arg);
}

static void
lights(unsigned want)
{

	ATF_CHECK_MSG(join_wait(lights_are, &want, WAIT_MS),
	    "the host does not see lights %u", want);
}

ATF_TC(leds);
ATF_TC_HEAD(leds, tc)
{
	atf_tc_set_md_var(tc, "descr", "the host sees the lights: of lock "
	    "keys, of programs, and again after a suspend");
}
ATF_TC_BODY(leds, tc)
{
	static const struct hvh_key caps[] = { { 0x3a, 0 }, { 0x3a, UP } };
	int leds = 0;

	start_open();
	lights(0);
	type(caps, 2);
	lights(4);
	type(caps, 2);
	lights(0);
	ATF_REQUIRE_EQ(0, kpi_dev_ioctl(node, KDSETLED, (void *)2));
	lights(2);
	ATF_REQUIRE_EQ(0, kpi_dev_ioctl(node, KDSETLED, (void *)4));
	lights(1);
	ATF_CHECK(kpi_dev_ioctl(node, KDSETLED, (void *)0x100) != 0);
	ATF_REQUIRE_EQ(0, kpi_dev_ioctl(node, KDGETLED, &leds));
	ATF_CHECK_EQ(4, leds);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	lights(1);
	ATF_REQUIRE_EQ(0, kpi_resume());
	lights(1);
	/* The lock keys' own state begins where they left it. */
	type(caps, 2);
	lights(4);
	finish();
}

/* --- Hosts without manners --- */

static void
say(unsigned n, const uint32_t *words, uint16_t type)
{

	ATF_REQUIRE_EQ(0, raw_ic_send(raw, type, words, n * 4, 0));
}

static void
key(uint16_t code, uint32_t flags)
{
	uint32_t m[3] = { 3, code, flags };

	say(3, m, 6);
}

/* The driver's question, which must be that. */
static void
asked(void)
{
	const struct raw_answer *a;

	a = raw_ic_answer(raw, WAIT_MS);
	ATF_REQUIRE_MSG(a != NULL, "the guest asks for no version");
	ATF_CHECK_EQ(6, a->type);
	ATF_CHECK_EQ(8, a->len);
	ATF_CHECK_EQ(1, raw_get(a, 0, 4));
	ATF_CHECK_EQ(0x10000, raw_get(a, 4, 4));
}

/* Answers while the module is being loaded, for that waits. */
static void *
host_thread(void *arg)
{
	const uint32_t *accepted = arg;
	uint32_t m[2] = { 2, *accepted }, stump = 3;

	raw_ic_wait_open(raw);
	/* Before the answer. */
	key(0x1e, 0);
	say(1, &stump, 6);
	asked();
	say(2, m, 6);
	return (NULL);
}

static void
start_raw(uint32_t accepted)
{
	struct join_config cf = { .no_disks = true, .prepare = add_raw };
	pthread_t t;

	cf.no_load = true;
	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, host_thread, &accepted));
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, pthread_join(t, NULL));
}

static bool
sysctl_is(void *arg)
{

	return (join_sysctl("dev.hvkbd.0.bad_messages") ==
	    *(unsigned *)arg);
}

static void
bad(unsigned want)
{

	ATF_CHECK_MSG(join_wait(sysctl_is, &want, WAIT_MS),
	    "%llu bad messages instead of %u",
	    (unsigned long long)join_sysctl("dev.hvkbd.0.bad_messages"),
	    want);
}

ATF_TC(hostile);
ATF_TC_HEAD(hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "packets that make no sense are "
	    "counted, said once, and change nothing");
}
ATF_TC_BODY(hostile, tc)
{
	static const uint32_t words[8] = { 3, 0x1e, 0 };
	uint32_t m[2] = { 2, 0 };

	start_raw(1);
	ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
	ATF_REQUIRE_EQ(0, kpi_dev_open(NODE, O_READ | O_NOBLOCK, &node));
	set_mode(M_RAW);
	/* The key, and the stump of one, before the answer. */
	bad(2);
	say(2, m, 6);		/* an answer to nothing: refused */
	say(0, words, 6);	/* nothing */
	say(1, words, 6);	/* a type without a key */
	say(2, words, 6);	/* a key without flags */
	say(6, words, 6);	/* longer than any */
	bad(7);
	m[0] = 99;
	say(2, m, 6);		/* types of nobody's, and the guest's own */
	m[0] = 1;
	say(2, m, 6);
	m[0] = 4;
	say(2, m, 6);
	key(0, 0);		/* codes of no key */
	key(0x80, 0);
	key(0xffff, 2);
	key(0x60, 0);		/* whose release would be a prefix */
	key(0x61, 4);
	bad(15);
	say(3, words, 11);	/* a completion is nothing */
	/* Flags that nobody knows, both prefixes, up without down. */
	key(0x30, 0xfffffff0);
	key(0x30, 0xfffffff2);
	key(0x48, 0xc);
	key(0x48, 0xe);
	key(0x1f, 2);
	reads("\x30\xb0\xe0\x48\xe0\xc8", 6);
	bad(15);
	finish();
}

ATF_TC(refused);
ATF_TC_HEAD(refused, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that does not take the version "
	    "has no keyboard with us, and nothing stays");
}
ATF_TC_BODY(refused, tc)
{

	start_raw(0xfffffffe);
	ATF_CHECK(!node_there(NULL));
	ATF_CHECK(!raw->open);
	finish();
}

ATF_TC(silent);
ATF_TC_HEAD(silent, tc)
{
	atf_tc_set_md_var(tc, "descr", "nor has one that does not answer, "
	    "which is not waited for for long");
}
ATF_TC_BODY(silent, tc)
{
	struct join_config cf = { .no_disks = true, .prepare = add_raw,
	    .fast_clock = true };

	join_start(&j, &cf);
	ATF_CHECK_EQ(1, raw->opens);
	ATF_CHECK_EQ(1, raw->closes);
	ATF_CHECK(!node_there(NULL));
	finish();
}

static void *
revoke_thread(void *arg)
{

	raw_ic_wait_open(raw);
	asked();
	hvh_lock(raw->h);
	hvh_chan_revoke(raw->ch);
	hvh_unlock(raw->h);
	return (NULL);
}

ATF_TC(revoked);
ATF_TC_HEAD(revoked, tc)
{
	atf_tc_set_md_var(tc, "descr", "one that is taken away before it has "
	    "answered is not waited for");
}
ATF_TC_BODY(revoked, tc)
{
	struct join_config cf = { .no_disks = true, .prepare = add_raw,
	    .no_load = true };
	time_t began;
	pthread_t t;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, revoke_thread, NULL));
	began = time(NULL);
	ATF_REQUIRE_EQ(0, vm_load());
	/* The time of the others is five seconds. */
	ATF_CHECK(time(NULL) - began < 5);
	ATF_REQUIRE_EQ(0, pthread_join(t, NULL));
	ATF_CHECK(!node_there(NULL));
	finish();
}

/* --- Coming and going --- */

struct reader {
	struct kpi_devfile *df;
	int error;
};

static void *
reader_thread(void *arg)
{
	struct reader *rd = arg;
	kpi_size n;
	char c;

	do
		rd->error = kpi_dev_read(rd->df, &c, 1, &n);
	while (rd->error == 0);
	kpi_dev_close(rd->df);
	return (NULL);
}

static bool
node_busy(void *arg)
{
	struct kpi_devfile *df;
	int error;

	error = kpi_dev_open(NODE, O_READ | O_NOBLOCK, &df);
	if (error == 0)
		kpi_dev_close(df);
	return (error == B_EBUSY);
}

ATF_TC(unload);
ATF_TC_HEAD(unload, tc)
{
	atf_tc_set_md_var(tc, "descr", "a keyboard that is unloaded while "
	    "somebody waits for a key, and loaded again");
}
ATF_TC_BODY(unload, tc)
{
	static const struct hvh_key keys[] = { { 0x2a, 0 }, { 0x1e, 0 } };
	struct reader rd;
	pthread_t t;

	start(add);
	for (int round = 0; round < 5; round++) {
		ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
		ATF_REQUIRE_EQ(0, kpi_dev_open(NODE, O_READ, &rd.df));
		ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, reader_thread,
		    &rd));
		type(keys, 2);
		ATF_REQUIRE_EQ(0, kpi_kldunload(MODULE));
		ATF_REQUIRE_EQ(0, pthread_join(t, NULL));
		ATF_CHECK_EQ(B_ENXIO, rd.error);
		ATF_CHECK_EQ(ENOTCONN, hvh_kbd_type(kbd, keys, 2, 0, NULL,
		    NULL));
		ATF_REQUIRE_EQ(0, kpi_kldload(MODULE));
	}
	finish();
}

static bool
got_is(void *arg)
{
	unsigned char buf[64];

	return (ktest_kbd_got(buf, sizeof(buf)) == *(unsigned *)arg);
}

/* A reader in the kernel has these bytes, and no others. */
static void
got(const char *want, unsigned len)
{
	unsigned char buf[64];

	ATF_REQUIRE(len < sizeof(buf));
	ATF_CHECK_MSG(join_wait(got_is, &len, WAIT_MS), "%u bytes",
	    ktest_kbd_got(buf, sizeof(buf)));
	ktest_kbd_got(buf, sizeof(buf));
	ATF_CHECK(memcmp(want, buf, len) == 0);
}

ATF_TC(rescind);
ATF_TC_HEAD(rescind, tc)
{
	atf_tc_set_md_var(tc, "descr", "keys that are held when the host takes "
	    "the keyboard away come up for who reads");
}
ATF_TC_BODY(rescind, tc)
{
	static const struct hvh_key keys[] = { { 0x1d, E0 }, { 0x38, 0 } };

	start(add);
	ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
	ATF_REQUIRE_EQ(0, ktest_kbd_take());
	type(keys, 2);
	got("\xe0\x1d\x38", 3);
	/* Whoever does not let go keeps it. */
	ktest_kbd_stubborn(1);
	ATF_CHECK_EQ(B_EBUSY, kpi_kldunload(MODULE));
	got("\xe0\x1d\x38\xb8\xe0\x9d", 6);
	ktest_kbd_stubborn(0);
	hvh_kbd_remove(kbd);
	for (unsigned i = 0; i < WAIT_MS && node_busy(NULL); i++)
		usleep(1000);
	ATF_CHECK(!node_there(NULL));
	finish();
}

ATF_TC(held);
ATF_TC_HEAD(held, tc)
{
	atf_tc_set_md_var(tc, "descr", "a suspend lets held keys up, and keys "
	    "come again after it");
}
ATF_TC_BODY(held, tc)
{
	static const struct hvh_key keys[] = { { 0x2a, 0 }, { 0x1e, 0 } };

	start(add);
	ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
	ATF_REQUIRE_EQ(0, ktest_kbd_take());
	type(keys, 2);
	got("\x2a\x1e", 2);
	ATF_REQUIRE_EQ(0, kpi_suspend());
	got("\x2a\x1e\x9e\xaa", 4);
	ATF_REQUIRE_EQ(0, kpi_resume());
	type(keys, 1);
	got("\x2a\x1e\x9e\xaa\x2a", 5);
	ktest_kbd_release();
	finish();
}

/* --- Polling --- */

static bool
have_come(void *arg)
{

	return (join_sysctl("dev.hvkbd.0.events") >= *(kpi_u64 *)arg);
}

ATF_TC(polled);
ATF_TC_HEAD(polled, tc)
{
	atf_tc_set_md_var(tc, "descr", "who polls gets what is typed; and who "
	    "does not, what was typed meanwhile");
}
ATF_TC_BODY(polled, tc)
{
	static const struct hvh_key keys[] = { { 0x1e, 0 }, { 0x1e, UP } };
	unsigned char buf[64];
	kpi_u64 want = 2;

	start(add);
	ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
	ATF_REQUIRE_EQ(0, ktest_kbd_take());
	ktest_kbd_poll(1);
	ktest_kbd_poll(1);
	type(keys, 2);
	ATF_REQUIRE(join_wait(have_come, &want, WAIT_MS));
	usleep(20000);
	ATF_CHECK_EQ(0, ktest_kbd_got(buf, sizeof(buf)));
	ATF_CHECK_EQ(2, ktest_kbd_look(buf, sizeof(buf)));
	got("\x1e\x9e", 2);
	ktest_kbd_poll(0);
	type(keys, 2);
	want = 4;
	ATF_REQUIRE(join_wait(have_come, &want, WAIT_MS));
	usleep(20000);
	got("\x1e\x9e", 2);
	ktest_kbd_poll(0);
	got("\x1e\x9e\x1e\x9e", 4);
	ktest_kbd_release();
	finish();
}

ATF_TC(flood);
ATF_TC_HEAD(flood, tc)
{
	atf_tc_set_md_var(tc, "descr", "of more keys than there is room for "
	    "some are lost, but none stays down");
}
ATF_TC_BODY(flood, tc)
{
	struct hvh_key keys[3 * 127 * 2];
	unsigned char buf[8192];
	unsigned at = 0, down = 0, i, n, prefix;
	static bool held[3][128];

	start(add);
	ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
	ATF_REQUIRE_EQ(0, ktest_kbd_take());
	ktest_kbd_poll(1);
	for (i = 0; i < 2 * 3 * 127; i++) {
		keys[i].code = (uint16_t)(i / 2 % 127 + 1);
		/* Which are no keys. */
		if (keys[i].code == 0x60 || keys[i].code == 0x61)
			keys[i].code = 0x5f;
		keys[i].flags = (uint16_t)(i % 2 == 1 ? 0 : i < 254 ? 0 :
		    i < 508 ? E0 : E1);
		if (i % 2 == 1)
			keys[i].flags = keys[i - 1].flags;
	}
	/* All keys down, over and over; then up. */
	for (i = 0; i < 6; i++)
		type(keys, NKEYS(keys));
	for (i = 0; i < NKEYS(keys); i++)
		keys[i].flags |= UP;
	type(keys, NKEYS(keys));
	for (i = 0; i < WAIT_MS && join_sysctl("dev.hvkbd.0.events") <
	    7 * NKEYS(keys); i++)
		usleep(1000);
	ATF_CHECK(join_sysctl("dev.hvkbd.0.dropped") > 0);
	n = ktest_kbd_look(buf, sizeof(buf));
	ATF_CHECK(n > 1000);
	while (at < n) {
		prefix = buf[at] == 0xe0 ? 1 : buf[at] == 0xe1 ? 2 : 0;
		at += prefix > 0;
		held[prefix][buf[at] & 0x7f] = (buf[at] & 0x80) == 0;
		at++;
	}
	ATF_CHECK_EQ(at, n);
	for (i = 0; i < 3 * 128; i++)
		down += held[i / 128][i % 128];
	ATF_CHECK_EQ_MSG(0, down, "%u keys stay down", down);
	ktest_kbd_poll(0);
	ktest_kbd_release();
	finish();
}

static void *
late_typist(void *arg)
{
	static const struct hvh_key keys[] = { { 0x15, 0 }, { 0x15, UP } };

	usleep(300000);
	(void)hvh_kbd_type(kbd, keys, 2, 1000000, done, NULL);
	return (NULL);
}

ATF_TC(panicked);
ATF_TC_HEAD(panicked, tc)
{
	atf_tc_set_md_var(tc, "descr", "a kernel after a panic reads keys, "
	    "though no thread but one and no interrupt runs");
}
ATF_TC_BODY(panicked, tc)
{
	pthread_t t;

	start(add);
	ATF_REQUIRE(join_wait(node_there, NULL, WAIT_MS));
	ATF_REQUIRE_EQ(0, ktest_kbd_take());
	ktest_kbd_at_panic(2);
	ATF_REQUIRE_EQ(0, pthread_create(&t, NULL, late_typist, NULL));
	kpi_halt(1);
	ATF_REQUIRE_EQ(0, pthread_join(t, NULL));
	got("\x15\x95", 2);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, text);
	ATF_TP_ADD_TC(tp, modes);
	ATF_TP_ADD_TC(tp, characters);
	ATF_TP_ADD_TC(tp, leds);
	ATF_TP_ADD_TC(tp, hostile);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, silent);
	ATF_TP_ADD_TC(tp, revoked);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, rescind);
	ATF_TP_ADD_TC(tp, held);
	ATF_TP_ADD_TC(tp, polled);
	ATF_TP_ADD_TC(tp, flood);
	ATF_TP_ADD_TC(tp, panicked);
	return (atf_no_error());
}
