/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Accelerated networking: a virtual function with hn0's address takes over, and
 * can leave at any time.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "join_net.h"
#include "vf_kernel.h"

static const unsigned char mac[6] = { 0, 0x15, 0x5d, 0, 0, 1 };
static const char *const kenv[] = { "hw.hn.vf_xpnt_attwait=0", NULL };
static struct join_net jn[1];
static struct join_frame in, out;

static void
start(void)
{
	struct join_net_config cf = { .vm.kenv = kenv };

	join_net_start(jn, &cf);
}

/* Whether the host has the same view of where packets go, in time. */
static bool
switched(bool to_vf)
{
	struct hvh_net_stats st;
	int i;

	for (i = 0; i < 5000; i++) {
		hvh_net_get_stats(jn[0].host, &st);
		if (st.vf_active == to_vf)
			return (true);
		usleep(1000);
	}
	return (false);
}

/* The host announces a function, and the guest's driver for it finds it. */
static void
come(void)
{

	ATF_REQUIRE_EQ(0, hvh_net_vf(jn[0].host, true, 1));
	ktest_vf_come(mac);
	ATF_REQUIRE(switched(true));
}

/* What leaves is the card; the host's word comes when it comes. */
static void
go(void)
{

	ktest_vf_go();
	ATF_REQUIRE(switched(false));
	ATF_REQUIRE_EQ(0, hvh_net_vf(jn[0].host, false, 1));
}

/* A frame goes out, by the function if vf, else by the wire. */
static void
goes_by(bool vf)
{
	unsigned char buf[2000];
	kpi_size len = 0;
	unsigned n = 0;

	join_frame(&out, 4, JOIN_UDP, 300, 7, true, false);
	ATF_REQUIRE_EQ(0, join_net_send(jn, &out, 0, 0));
	if (!vf) {
		ATF_REQUIRE(join_net_heard(jn, &in, 5000));
		ATF_CHECK_EQ(0, memcmp(in.data, out.data, out.len));
		return;
	}
	n = ktest_vf_sent(buf, sizeof(buf), &len);
	ATF_CHECK_EQ(1, n);
	ATF_CHECK_EQ(out.len, len);
	ATF_CHECK_EQ(0, memcmp(buf, out.data, len));
	ATF_CHECK(!join_net_heard(jn, &in, 0));
}

ATF_TC_WITHOUT_HEAD(takes_over);
ATF_TC_BODY(takes_over, tc)
{
	struct kpi_frame f;
	int i;

	start();
	goes_by(false);
	for (i = 0; i < 3; i++) {
		come();
		/* Sending begins when the driver has the host's word. */
		usleep(100000);
		goes_by(true);
		join_frame(&out, 4, JOIN_UDP, 300, 9, true, true);
		ATF_CHECK(ktest_vf_receive(out.data, out.len));
		ATF_REQUIRE(join_net_got(jn, &in, &f, 5000));
		ATF_CHECK_EQ(0, memcmp(in.data, out.data, out.len));
		/* The wire is heard all along. */
		join_net_say(jn, &out);
		ATF_CHECK(join_net_got(jn, &in, &f, 5000));
		go();
		goes_by(false);
	}
	join_net_finish(jn, 1);
}

/* Another card with another address is none of our business. */
ATF_TC_WITHOUT_HEAD(stranger);
ATF_TC_BODY(stranger, tc)
{
	static const unsigned char other[6] = { 2, 0, 0, 0, 0, 3 };

	start();
	ktest_vf_come(other);
	ATF_CHECK(!switched(true));
	goes_by(false);
	ktest_vf_go();
	goes_by(false);
	join_net_finish(jn, 1);
}

/* hn0 goes first: the function is the kernel's own again. */
ATF_TC_WITHOUT_HEAD(outlives);
ATF_TC_BODY(outlives, tc)
{
	struct kpi_mbufs mb;

	start();
	come();
	kpi_net_close(jn[0].guest);
	hvh_net_remove(jn[0].host);
	ATF_CHECK_EQ(0, vm_unload());
	join_frame(&out, 4, JOIN_UDP, 300, 9, true, true);
	ATF_CHECK(ktest_vf_receive(out.data, out.len));
	ktest_vf_go();
	kpi_mbufs(&mb);
	ATF_CHECK_EQ(0, mb.mbufs + mb.clusters);
	vm_destroy();
	ATF_CHECK_EQ(0, kpi_leaks());
}

static atomic_bool stop;
static atomic_uint sent;

static void *
sender(void *arg)
{
	static struct join_frame frame;

	join_frame(&frame, 4, JOIN_UDP, 300, 7, true, false);
	while (!atomic_load(&stop))
		if (join_net_send(jn, &frame, 0, 0) == 0)
			atomic_fetch_add(&sent, 1);
	return (NULL);
}

static void *
listener(void *arg)
{
	static struct join_frame frame;

	while (!atomic_load(&stop))
		(void)join_net_heard(jn, &frame, 10);
	return (NULL);
}

ATF_TC_WITHOUT_HEAD(under_load);
ATF_TC_BODY(under_load, tc)
{
	unsigned char buf[2000];
	pthread_t thread[2];
	kpi_size len;
	unsigned before;
	int i;

	start();
	ATF_REQUIRE_EQ(0, pthread_create(&thread[0], NULL, sender, NULL));
	ATF_REQUIRE_EQ(0, pthread_create(&thread[1], NULL, listener, NULL));
	for (i = 0; i < 20; i++) {
		before = atomic_load(&sent);
		come();
		usleep(2000 * (i % 4));
		(void)ktest_vf_sent(buf, sizeof(buf), &len);
		if (i % 3 == 0)
			ktest_vf_link(0);
		go();
		while (atomic_load(&sent) < before + 100)
			usleep(1000);
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	join_net_finish(jn, 1);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, takes_over);
	ATF_TP_ADD_TC(tp, stranger);
	ATF_TP_ADD_TC(tp, outlives);
	ATF_TP_ADD_TC(tp, under_load);
	return (atf_no_error());
}
