/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A virtual function with the adapter's address comes, works for it, and goes,
 * also under load.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join_cable.h"
#include "vf_kernel.h"

static struct cable j;
static uint8_t frame[2000], got[2000];

/* For kpi_call(). */
struct call {
	int	 arg, error;
	size_t	 len;
};

static void
call_attach(void *arg)
{
	struct call *c = arg;
	struct kpi_net_info ni;

	c->error = kpi_net_info(j.kn[0], &ni);
	if (c->error == 0)
		c->error = ktest_vf_attach(ni.mac);
}

static void
call_detach(void *arg)
{

	ktest_vf_detach();
}

static void
call_up(void *arg)
{
	struct call *c = arg;

	c->error = ktest_vf_up(c->arg);
}

static void
call_receive(void *arg)
{
	struct call *c = arg;

	ktest_vf_receive(frame, c->len);
}

static void
vf_attach(void)
{
	struct call c = { .error = -1 };

	kpi_call(call_attach, &c, 0);
	ATF_REQUIRE_EQ(0, c.error);
}

static void
vf_detach(void)
{

	kpi_call(call_detach, NULL, 0);
}

static void
vf_up(int up)
{
	struct call c = { .arg = up, .error = -1 };

	kpi_call(call_up, &c, 0);
	ATF_REQUIRE_EQ(0, c.error);
}

/* Whether the host takes the function to be in use, within ten seconds. */
static bool
vf_active(bool want)
{
	struct hvh_net_stats st;
	unsigned i;

	for (i = 0; i < 1000; i++) {
		hvh_net_get_stats(j.net[0], &st);
		if (st.vf_active == want)
			return (true);
		usleep(10000);
	}
	return (false);
}

static void
start(const struct kpi_net_ops *ops)
{
	static const char *const kenv[] = { "hw.hn.vf_xpnt_attwait=0", NULL };
	struct cable_config cf = { .vm.quiet = true, .vm.kenv = kenv,
	    .ops = { NULL, ops } };

	cable_start(&j, &cf);
	ATF_REQUIRE_EQ(0, hvh_net_vf(j.net[0], true, 7));
}

ATF_TC_WITHOUT_HEAD(takes_over);
ATF_TC_BODY(takes_over, tc)
{
	struct call c = { 0 };
	size_t len;

	start(NULL);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 4000));
	vf_attach();
	ATF_REQUIRE_MSG(vf_active(true), "the host was not told");
	ATF_CHECK(ktest_vf_is_up());
	ATF_CHECK_EQ(4000, ktest_vf_mtu());
	/* Out by the function, and in by it as the adapter's. */
	len = cable_udp(frame, 0, 300, 1, false);
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, frame, len, 0, 0));
	ATF_CHECK_EQ(1, ktest_vf_sent());
	c.len = cable_udp(frame, 1, 300, 2, false);
	kpi_call(call_receive, &c, 0);
	ATF_REQUIRE_EQ(c.len, cable_recv(&j, 0, got, sizeof(got), NULL));
	ATF_CHECK_EQ(0, memcmp(frame, got, c.len));
	/* The administrator takes it down, and up again. */
	vf_up(0);
	ATF_REQUIRE(vf_active(false));
	len = cable_udp(frame, 0, 300, 3, false);
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, frame, len, 0, 0));
	ATF_REQUIRE_EQ(len, cable_recv(&j, 1, got, sizeof(got), NULL));
	vf_up(1);
	ATF_REQUIRE(vf_active(true));
	/* It goes: packets take the other way. */
	vf_detach();
	ATF_REQUIRE(vf_active(false));
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, frame, len, 0, 0));
	ATF_REQUIRE_EQ(len, cable_recv(&j, 1, got, sizeof(got), NULL));
	ATF_CHECK_EQ(1, ktest_vf_sent());
	cable_finish(&j);
}

static atomic_bool stop;
static atomic_uint count;

static int
count_input(void *arg, const struct kpi_frame *f)
{

	atomic_fetch_add(&count, 1);
	return (0);
}

static const struct kpi_net_ops count_ops = { .input = count_input };

static void *
load_thread(void *arg)
{
	static uint8_t mine[2000];
	size_t len;

	len = cable_udp(mine, 0, 200, 1, false);
	while (!atomic_load(&stop))
		if (cable_send(&j, 0, mine, len, 0, 0) != 0)
			usleep(1000);
	return (NULL);
}

ATF_TC_WITHOUT_HEAD(under_load);
ATF_TC_BODY(under_load, tc)
{
	pthread_t thread;
	unsigned before, i;

	start(&count_ops);
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, load_thread, NULL));
	for (i = 0; i < 5; i++) {
		before = ktest_vf_sent();
		vf_attach();
		ATF_REQUIRE(vf_active(true));
		while (ktest_vf_sent() < before + 100)
			usleep(1000);
		/* A new session in between, while it is there. */
		if (i == 2)
			ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 3000));
		vf_detach();
		before = atomic_load(&count);
		while (atomic_load(&count) < before + 100)
			usleep(1000);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	cable_finish(&j);
}

/* The adapter goes first, the function stays behind without it. */
ATF_TC_WITHOUT_HEAD(stays);
ATF_TC_BODY(stays, tc)
{

	start(NULL);
	vf_attach();
	ATF_REQUIRE(vf_active(true));
	kpi_net_close(j.kn[0]);
	kpi_net_close(j.kn[1]);
	j.kn[0] = j.kn[1] = NULL;
	ATF_REQUIRE_EQ(0, kpi_kldunload("hv_netvsc"));
	vf_detach();
	cable_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, takes_over);
	ATF_TP_ADD_TC(tp, under_load);
	ATF_TP_ADD_TC(tp, stays);
	return (atf_no_error());
}
