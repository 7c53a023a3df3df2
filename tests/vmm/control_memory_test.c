/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's command for dynamic memory, with hvctl at one end and a
 * guest that gives up what a test says at the other.
 */

#include <atf-c.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/control.h"
#include "guest.h"
#include "hvballoon.h"
#include "hvctl_run.h"

#define	RING		64		/* page of the channel's rings */
#define	PAGES		8
#define	V5_3		0x00050003
#define	MIB		(1ull << 20)

static struct guest g;
static struct ctl_server *s;
static struct hvh_balloon *balloon;
static uint32_t chan, conn;
static struct guest_ring ring;
static bool loaded, silent;
static unsigned orders;		/* to give some, that have come */
static uint32_t gives;		/* pages that the guest has left to give */
static char err[512];

static struct hvh_balloon *
op_balloon(void *arg)
{

	return (balloon);
}

static const struct ctl_ops ops = { .balloon = op_balloon };

static void
say(uint16_t type, uint16_t size, uint64_t first, uint64_t second)
{
	uint8_t m[64] = { 0 };

	put32(m, (uint32_t)size << 16 | type);
	put64(m + 8, first);
	put64(m + 16, second);
	ATF_REQUIRE(guest_write(&ring, 6, 0, 0, NULL, 0, m, size) >= 0);
	guest_signal(&g, conn);
	guest_pump(&g);
}

static void
start(void)
{
	const struct hvh_balloon_params bp = { 0 };
	uint8_t m[240];

	silent = loaded = false;
	setenv("HVHOST_CONTROL", SOCKET, 1);
	guest_create(&g, NULL);
	guest_synic(&g);
	ATF_REQUIRE_EQ(0, hvh_balloon_add(g.h, &bp, &balloon));
	ATF_REQUIRE_EQ_MSG(0, ctl_open(SOCKET, g.h, &ops, NULL, &s, err,
	    sizeof(err)), "%s", err);
	ATF_REQUIRE_EQ(1, guest_connect(&g, V5_3, m));
	chan = get32(m + 184);
	conn = get32(m + 192);
}

static void
load(void)
{

	memset(guest_page(&g, RING), 0, PAGES * PAGE);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, guest_gpadl(&g, chan, RING,
	    PAGES, 1), 1, PAGES / 2));
	guest_ring(&ring, &g, RING, PAGES, PAGES / 2);
	loaded = true;
	say(1, 16, 0x20000, 0);
	say(3, 32, 1, 100);
}

static void
answer(const uint8_t *order)
{
	uint32_t n;

	if (order[16] == 6) {
		n = get32(order + 24);
		n = n < gives ? n : gives;
		gives -= n;
		/* From page 512 on. */
		say(7, 24, n > 0 ? 2ull << 32 : 0, (uint64_t)n << 40 | 512);
	} else if (order[16] == 8) {
		say(9, 8, 0, 0);
	}
}

/* Lets the guest do what it does for a moment. */
static void
live(void)
{
	static uint8_t last[8192];

	guest_pump(&g);
	if (loaded && guest_read(&ring, last, sizeof(last)) != 0) {
		orders += last[16] == 6;
		if (!silent)
			answer(last);
	}
	ctl_poll(s);
}

static void
stop(void)
{

	ctl_close(s, true);
	guest_destroy(&g);
}

/* Runs hvctl while the guest lives. */
static void
expect(int want, const char *args, const char *text)
{
	pid_t pid = hvctl_start(args);
	int st;

	for (unsigned i = 0; waitpid(pid, &st, WNOHANG) != pid; i++) {
		ATF_REQUIRE_MSG(i < 20000, "hvctl %s does not end", args);
		live();
		usleep(500);
	}
	ATF_REQUIRE(WIFEXITED(st));
	ATF_CHECK_EQ_MSG(want, WEXITSTATUS(st), "%s: %s%s", args, slurp("out"),
	    slurp("err"));
	has(want == 0 ? "out" : "err", text);
}

ATF_TC_WITHOUT_HEAD(not_there);
ATF_TC_BODY(not_there, tc)
{
	struct hvh_balloon *b;

	start();
	expect(0, "memory", "closed: 4.0 MiB assigned of 4.0");
	expect(0, "memory", "has not said");
	expect(1, "memory set 2M", "no driver");
	b = balloon;
	balloon = NULL;
	expect(1, "memory", "does not offer");
	balloon = b;
	load();
	expect(0, "services", "memory     ready");
	hvh_balloon_remove(balloon);
	balloon = NULL;
	stop();
}

ATF_TC_WITHOUT_HEAD(words);
ATF_TC_BODY(words, tc)
{

	start();
	load();
	expect(2, "memory give 3M", "set?");
	expect(2, "memory set", "how much?");
	expect(2, "memory set 1Q", "is not a size");
	expect(2, "memory set -1M", "is not a size");
	expect(2, "memory set M", "is not a size");
	expect(2, "memory set nan", "is not a size");
	expect(2, "memory set 100", "is not a size");
	expect(2, "memory set 1M 2M", "2M");
	expect(1, "memory set 5M", "more than the machine has");
	stop();
}

ATF_TC_WITHOUT_HEAD(set);
ATF_TC_BODY(set, tc)
{

	start();
	load();
	gives = 300;
	expect(0, "memory set 3M", "the guest has 3.0 MiB");
	expect(0, "memory", "3.0 MiB assigned of 4.0, 1.0 given up");
	/* 44 pages are left, and it names those that are out already. */
	expect(1, "memory set 2M", "stops at 3.0 MiB, it gives up no more");
	expect(0, "memory", "2 orders, 1 not followed in full");
	expect(0, "--json memory", "\"bad_ranges\": 1");
	expect(0, "memory set 4096K", "the guest has 4.0 MiB");
	expect(0, "memory set 4M", "the guest has 4.0 MiB");
	/* 700 pages are needed, 250 available. */
	say(5, 48, 250, 700);
	expect(0, "memory", "needed 2.7 MiB (68 % of what it has), 1.0 were");
	stop();
}

ATF_TC_WITHOUT_HEAD(silence);
ATF_TC_BODY(silence, tc)
{
	pid_t pid;
	int st;

	start();
	load();
	silent = true;
	pid = hvctl_start("memory set 3M");
	for (unsigned i = 0; waitpid(pid, &st, WNOHANG) != pid; i++) {
		ATF_REQUIRE(i < 20000);
		live();
		usleep(500);
		/* A second each time. */
		guest_sleep(&g, 1000000000);
	}
	ATF_CHECK_EQ(1, WEXITSTATUS(st));
	has("err", "did not answer in time");
	/* And one that goes away. */
	orders = 0;
	pid = hvctl_start("memory set 3M");
	for (unsigned i = 0; orders == 0; i++) {
		ATF_REQUIRE(i < 20000);
		live();
		usleep(500);
	}
	expect(1, "memory set 2M", "busy with another order");
	guest_close(&g, chan);
	for (unsigned i = 0; waitpid(pid, &st, WNOHANG) != pid; i++) {
		ATF_REQUIRE(i < 20000);
		ctl_poll(s);
		usleep(500);
	}
	ATF_CHECK_EQ(1, WEXITSTATUS(st));
	stop();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, not_there);
	ATF_TP_ADD_TC(tp, words);
	ATF_TP_ADD_TC(tp, set);
	ATF_TP_ADD_TC(tp, silence);
	return (atf_no_error());
}
