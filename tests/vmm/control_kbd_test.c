/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl type and key, with a guest by hand at the other end.
 */

#include <atf-c.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "hvctl_run.h"

#define	V5_3	0x50003
#define	RING	PG_FREE
#define	PAGES	8

static struct guest g;
static struct ctl_server *s;
static struct hvh_kbd *kbd;
static uint32_t chan, conn;
static struct guest_ring ring;
static char err[512];
static bool loaded;
static char keys[4096];		/* as text, of what the guest has got */

static struct hvh_kbd *
op_keyboard(void *arg)
{

	return (kbd);
}

static const struct ctl_ops ops = {
	.keyboard = op_keyboard,
};
static const struct ctl_ops ops_none = { 0 };

static void
start(const struct ctl_ops *with)
{
	uint8_t m[240];

	setenv("HVHOST_CONTROL", SOCKET, 1);
	loaded = false;
	keys[0] = '\0';
	guest_create(&g, NULL);
	guest_synic(&g);
	ATF_REQUIRE_EQ(0, hvh_kbd_add(g.h, &kbd));
	ATF_REQUIRE_EQ_MSG(0, ctl_open(SOCKET, g.h, with, NULL, &s, err,
	    sizeof(err)), "%s", err);
	ATF_REQUIRE_EQ(1, guest_connect(&g, V5_3, m));
	chan = get32(m + 184);
	conn = get32(m + 192);
}

static void
stop(void)
{

	ctl_close(s, true);
	guest_destroy(&g);
}

static void
live(void)
{
	uint8_t p[64];
	char one[16];

	guest_pump(&g);
	while (loaded && guest_read(&ring, p, sizeof(p)) != 0) {
		if (get32(p + 16) != 3)
			continue;
		snprintf(one, sizeof(one), "%02x:%x ", get32(p + 20),
		    get32(p + 24));
		ATF_REQUIRE(strlen(keys) + strlen(one) < sizeof(keys));
		strcat(keys, one);
	}
	ctl_poll(s);
}

static void
load(void)
{
	static const uint8_t ask[8] = { 1, 0, 0, 0, 0, 0, 1, 0 };

	memset(guest_page(&g, RING), 0, PAGES * PAGE);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, guest_gpadl(&g, chan, RING,
	    PAGES, 1), 1, PAGES / 2));
	guest_ring(&ring, &g, RING, PAGES, PAGES / 2);
	loaded = true;
	ATF_REQUIRE(guest_write(&ring, 6, 0, 1, NULL, 0, ask,
	    sizeof(ask)) >= 0);
	guest_signal(&g, conn);
	live();
}

/* Runs hvctl while the guest lives; its exit status. */
static int
run(const char *args)
{
	pid_t pid = hvctl_start(args);
	int st;

	keys[0] = '\0';
	for (unsigned i = 0; i < 20000; i++) {
		if (waitpid(pid, &st, WNOHANG) == pid) {
			ATF_REQUIRE(WIFEXITED(st));
			live();
			return (WEXITSTATUS(st));
		}
		live();
		g.now += 1000000;
		usleep(500);
	}
	atf_tc_fail("hvctl %s does not end", args);
}

static void
refused(const char *args, const char *why)
{

	ATF_CHECK_EQ_MSG(1, run(args), "%s: %s", args, slurp("err"));
	has("err", why);
	ATF_CHECK_STREQ("", keys);
}

static void
types(const char *args, const char *want)
{

	ATF_CHECK_EQ_MSG(0, run(args), "%s: %s", args, slurp("err"));
	ATF_CHECK_STREQ_MSG(want, keys, "%s: %s", args, keys);
}

ATF_TC_WITHOUT_HEAD(not_there);
ATF_TC_BODY(not_there, tc)
{

	start(&ops_none);
	refused("type x", "does not offer");
	stop();
	start(&ops);
	refused("type x", "no driver");
	ATF_CHECK_EQ(0, run("services"));
	has("out", "keyboard   closed");
	load();
	ATF_CHECK_EQ(0, run("services"));
	has("out", "keyboard   ready");
	hvh_kbd_remove(kbd);
	guest_pump(&g);
	stop();
}

ATF_TC_WITHOUT_HEAD(typing);
ATF_TC_BODY(typing, tc)
{

	start(&ops);
	load();
	types("type aB --enter", "1e:0 1e:2 2a:0 30:0 30:2 2a:2 1c:0 1c:2 ");
	types("key ctrl-alt-del f1 --pause 0", "1d:0 38:0 53:4 53:6 38:2 1d:2 "
	    "3b:0 3b:2 ");
	types("key pause", "1d:8 45:0 1d:a 45:2 ");
	stop();
}

ATF_TC_WITHOUT_HEAD(wrong);
ATF_TC_BODY(wrong, tc)
{

	start(&ops);
	load();
	refused("type gr\xc3\xbc\xc3\x9f" "e", "no key for the character at "
	    "byte 2");
	refused("key a ctrl-nothing", "no key \"ctrl-nothing\"");
	ATF_CHECK_EQ(2, run("type"));
	ATF_CHECK_EQ(2, run("type a b"));
	ATF_CHECK_EQ(2, run("key"));
	ATF_CHECK_EQ(2, run("key --pause 2 a"));
	stop();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, not_there);
	ATF_TP_ADD_TC(tp, typing);
	ATF_TP_ADD_TC(tp, wrong);
	return (atf_no_error());
}
