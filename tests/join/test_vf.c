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
#include "net_kernel.h"
#include "vf_kernel.h"

#define	KEY	40		/* bytes of an RSS key */

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

static void
close_all(void)
{

	kpi_net_close(j.kn[0]);
	kpi_net_close(j.kn[1]);
	j.kn[0] = j.kn[1] = NULL;
}

static void
open_all(void)
{
	char name[8];
	unsigned i;

	for (i = 0; i < CABLE_ENDS; i++) {
		snprintf(name, sizeof(name), "hn%u", i);
		ATF_REQUIRE_EQ(0, kpi_net_wait(name, 30000));
		ATF_REQUIRE_EQ(0, kpi_net_open(name, NULL, NULL, &j.kn[i]));
		ATF_REQUIRE_EQ(0, kpi_net_up(j.kn[i], 1));
	}
}

/* Which way a packet goes. */
static bool
goes_by_vf(uint32_t seed)
{
	unsigned before = ktest_vf_sent();
	size_t len;

	len = cable_udp(frame, 0, 300, seed, false);
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, frame, len, 0, 0));
	if (ktest_vf_sent() != before)
		return (true);
	ATF_REQUIRE_EQ(len, cable_recv(&j, 1, got, sizeof(got), NULL));
	ATF_CHECK_EQ(0, memcmp(frame, got, len));
	return (false);
}

static bool
vf_waits(bool want)
{
	unsigned i;

	for (i = 0; i < 100 && goes_by_vf(i) != want; i++)
		usleep(10000);
	return (i < 100);
}

ATF_TC_WITHOUT_HEAD(takes_over);
ATF_TC_BODY(takes_over, tc)
{
	struct call c = { 0 };
	unsigned by_vf;
	size_t len;

	start(NULL);
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 4000));
	vf_attach();
	ATF_REQUIRE_MSG(vf_active(true), "the host was not told");
	/* The guest begins with it once the host has answered. */
	ATF_REQUIRE(vf_waits(true));
	by_vf = ktest_vf_sent();
	ATF_CHECK(ktest_vf_is_up());
	ATF_CHECK_EQ(4000, ktest_vf_mtu());
	/* Out by the function, and in by it as the adapter's. */
	len = cable_udp(frame, 0, 300, 1, false);
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, frame, len, 0, 0));
	ATF_CHECK_EQ(by_vf + 1, ktest_vf_sent());
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
	ATF_CHECK_EQ(by_vf + 1, ktest_vf_sent());
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
	close_all();
	ATF_REQUIRE_EQ(0, kpi_kldunload("hv_netvsc"));
	vf_detach();
	cable_finish(&j);
}

/* The function was there before the adapter. */
ATF_TC_WITHOUT_HEAD(was_there);
ATF_TC_BODY(was_there, tc)
{

	start(NULL);
	vf_attach();
	ATF_REQUIRE(vf_active(true));
	close_all();
	ATF_REQUIRE_EQ(0, kpi_kldunload("hv_netvsc"));
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_netvsc"));
	open_all();
	ATF_REQUIRE_MSG(vf_active(true), "it was not found");
	ATF_CHECK(vf_waits(true));
	vf_detach();
	ATF_REQUIRE(vf_active(false));
	ATF_CHECK(!goes_by_vf(1));
	cable_finish(&j);
}

static atomic_uint answers;

/* An answer without content is one to a message that came unasked. */
static void
see_answer(void *arg, void *data, size_t *len)
{

	if (*len == 0)
		atomic_fetch_add(&answers, 1);
}

/*
 * The host takes the path back while the function stays, and gives it again: as
 * in a live migration.
 */
ATF_TC_WITHOUT_HEAD(host_switches);
ATF_TC_BODY(host_switches, tc)
{
	struct hvh_fault f = {
		.point = HVH_FAULT_PKT_IN, .action = HVH_FAULT_CALL,
		.key = HVH_FAULT_ANY, .hook = see_answer
	};
	unsigned i, n;

	start(NULL);
	ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
	vf_attach();
	for (i = 1; i <= 3; i++) {
		ATF_REQUIRE(vf_active(true));
		ATF_CHECK(vf_waits(true));
		atomic_store(&answers, 0);
		ATF_REQUIRE_EQ(0, hvh_net_vf(j.net[0], false, 7));
		ATF_REQUIRE(vf_active(false));
		ATF_CHECK_MSG(vf_waits(false), "packets still go by the VF");
		/* The switch, and that there is none any more. */
		for (n = 0; n < 200 && atomic_load(&answers) < 2; n++)
			usleep(10000);
		ATF_CHECK_EQ(2, atomic_load(&answers));
		/* Nor does the administrator bring it back. */
		vf_up(0);
		vf_up(1);
		ATF_REQUIRE_EQ(0, kpi_net_up(j.kn[0], 0));
		ATF_REQUIRE_EQ(0, kpi_net_up(j.kn[0], 1));
		usleep(50000);
		ATF_CHECK(!goes_by_vf(2));
		ATF_REQUIRE_EQ(0, hvh_net_vf(j.net[0], true, 7 + i));
	}
	ATF_REQUIRE(vf_active(true));
	vf_detach();
	cable_finish(&j);
}

static atomic_uint seen_hn, seen_vf;

static void
seen(void *arg, const struct kpi_frame *f)
{

	atomic_fetch_add(arg == NULL ? &seen_vf : &seen_hn, 1);
}

static const struct kpi_net_ops seen_ops = { .capture = seen };

static void
check_seen(unsigned hn, unsigned vf)
{

	ATF_CHECK_EQ(hn, atomic_load(&seen_hn));
	ATF_CHECK_EQ(vf, atomic_load(&seen_vf));
	atomic_store(&seen_hn, 0);
	atomic_store(&seen_vf, 0);
}

/* What a listener to either interface is shown. */
ATF_TC_WITHOUT_HEAD(listeners);
ATF_TC_BODY(listeners, tc)
{
	struct call c = { 0 };
	struct kpi_net *vf;
	unsigned i;

	start(NULL);
	kpi_net_close(j.kn[0]);
	ATF_REQUIRE_EQ(0, kpi_net_open("hn0", &seen_ops, &j, &j.kn[0]));
	vf_attach();
	ATF_REQUIRE(vf_active(true));
	ATF_CHECK(vf_waits(true));
	ATF_REQUIRE_EQ(0, kpi_net_open("vfnic0", &seen_ops, NULL, &vf));
	for (i = 0; i < 2; i++) {
		atomic_store(&seen_hn, 0);
		atomic_store(&seen_vf, 0);
		ATF_CHECK(goes_by_vf(1));
		check_seen(1, 0);
		c.len = cable_udp(frame, 1, 300, 2, false);
		kpi_call(call_receive, &c, 0);
		check_seen(1, 1);
		/* It takes none: shown all the same, unless accurately. */
		ktest_vf_refuse(1);
		ATF_CHECK(cable_send(&j, 0, frame, c.len, 0, 0) != 0);
		check_seen(i == 0 ? 1 : 0, 0);
		ktest_vf_refuse(0);
		ATF_REQUIRE_EQ(0, kpi_sysctl_set("dev.hn.0.vf_xpnt_accbpf",
		    "1"));
	}
	kpi_net_close(vf);
	vf_detach();
	cable_finish(&j);
}

static void
says(const char *name, const char *want)
{
	char value[64];

	ATF_REQUIRE_EQ(0, kpi_sysctl_get(name, value, sizeof(value)));
	ATF_CHECK_STREQ_MSG(want, value, "%s is \"%s\"", name, value);
}

ATF_TC_WITHOUT_HEAD(names);
ATF_TC_BODY(names, tc)
{

	start(NULL);
	says("hw.hn.vflist", "");
	says("hw.hn.vfmap", "");
	says("hw.hn.vf_xpnt_accbpf", "0");
	says("dev.hn.0.vf", "");
	says("dev.hn.0.rxvf", "");
	vf_attach();
	ATF_REQUIRE(vf_active(true));
	ATF_CHECK(vf_waits(true));
	says("hw.hn.vflist", "vfnic0");
	says("hw.hn.vfmap", "vfnic0:hn0");
	says("dev.hn.0.vf", "vfnic0");
	says("dev.hn.0.rxvf", "vfnic0");
	says("dev.hn.0.vf_xpnt_enabled", "1");
	says("dev.hn.1.vf", "");
	vf_up(0);
	ATF_REQUIRE(vf_active(false));
	says("dev.hn.0.vf", "vfnic0");
	says("dev.hn.0.rxvf", "");
	says("dev.hn.0.vf_xpnt_enabled", "0");
	vf_detach();
	says("hw.hn.vflist", "");
	says("dev.hn.0.vf", "");
	cable_finish(&j);
}

static bool
within(unsigned (*what)(void), unsigned mask, unsigned want)
{
	unsigned i;

	for (i = 0; i < 1000 && (what() & mask) != want; i++)
		usleep(10000);
	return (i < 1000);
}

/* IFF_ flags of FreeBSD's. */
#define	PROMISC		0x100
#define	ALLMULTI	0x200

/* What is set at hn0 counts for the function as well. */
ATF_TC_WITHOUT_HEAD(settings);
ATF_TC_BODY(settings, tc)
{
	static const unsigned char group[6] = { 1, 0, 0x5e, 0, 0, 5 };
	const unsigned some = KPI_NETCAP_RXCSUM | KPI_NETCAP_TXCSUM |
	    KPI_NETCAP_LRO | KPI_NETCAP_TSO4;
	struct kpi_net_info in;

	ktest_vf_hardware(some);
	start(NULL);
	ATF_REQUIRE_EQ(0, kpi_net_promisc(j.kn[0], 1));
	vf_attach();
	ATF_REQUIRE(vf_active(true));
	ATF_CHECK(within(ktest_vf_flags, PROMISC, PROMISC));
	ATF_REQUIRE_EQ(0, kpi_net_promisc(j.kn[0], 0));
	ATF_CHECK(within(ktest_vf_flags, PROMISC | ALLMULTI, 0));
	ATF_REQUIRE_EQ(0, kpi_net_multicast(j.kn[0], group, 1));
	ATF_CHECK(within(ktest_vf_flags, ALLMULTI, ALLMULTI));
	ATF_REQUIRE_EQ(0, kpi_net_multicast(j.kn[0], group, 0));
	ATF_CHECK(within(ktest_vf_flags, ALLMULTI, 0));
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 3000));
	ATF_CHECK(within(ktest_vf_mtu, 0xffff, 3000));
	ATF_REQUIRE(vf_active(true));
	ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[0], 1500));
	ATF_CHECK(within(ktest_vf_mtu, 0xffff, 1500));
	ATF_CHECK_EQ(some, ktest_vf_caps());
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[0], &in));
	ATF_REQUIRE_EQ(0, kpi_net_caps(j.kn[0], in.capenable &
	    ~KPI_NETCAP_LRO));
	ATF_CHECK(within(ktest_vf_caps, some, some & ~KPI_NETCAP_LRO));
	/* The function stays without the adapter, as it was before. */
	ATF_REQUIRE_EQ(0, kpi_net_promisc(j.kn[0], 1));
	ATF_CHECK(within(ktest_vf_flags, PROMISC, PROMISC));
	close_all();
	ATF_REQUIRE_EQ(0, kpi_kldunload("hv_netvsc"));
	ATF_CHECK(within(ktest_vf_flags, PROMISC, 0));
	vf_detach();
	cable_finish(&j);
}

/* A function that can do less than the host: the stack does the rest. */
ATF_TC_WITHOUT_HEAD(plain_function);
ATF_TC_BODY(plain_function, tc)
{
	struct kpi_piece piece = { .addr = frame };
	struct kpi_frame f = { .piece = &piece, .npieces = 1,
	    .flags = KPI_NET_VLAN, .vlan = 0x6123 };
	struct kpi_net_info before, in;
	size_t len;
	int error;

	ktest_vf_hardware(0);
	start(NULL);
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[0], &before));
	ATF_REQUIRE(before.hwassist != 0);
	vf_attach();
	ATF_REQUIRE(vf_active(true));
	ATF_CHECK(vf_waits(true));
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[0], &in));
	ATF_CHECK_EQ(0, in.hwassist);
	len = cable_udp(frame, 0, 300, 1, true);
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, frame, len, KPI_NET_CSUM_IP |
	    KPI_NET_CSUM_L4, 0));
	ATF_REQUIRE_EQ(len, ktest_vf_last(got, sizeof(got)));
	ATF_CHECK(cable_sums_ok(got, len));
	/* A tag that hn0 would put in goes into the frame. */
	piece.len = f.len = len = cable_udp(frame, 0, 300, 1, false);
	ATF_REQUIRE_EQ(1, kpi_net_send(j.kn[0], &f, 1, &error));
	ATF_REQUIRE_EQ(len + 4, ktest_vf_last(got, sizeof(got)));
	ATF_CHECK_EQ(0, memcmp(got, frame, 12));
	ATF_CHECK_EQ(0, memcmp(got + 12, "\x81\0\x61\x23", 4));
	ATF_CHECK_EQ(0, memcmp(got + 16, frame + 12, len - 12));
	vf_detach();
	ATF_REQUIRE(vf_active(false));
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[0], &in));
	ATF_CHECK_EQ(before.hwassist, in.hwassist);
	ATF_CHECK_EQ(before.tsomax, in.tsomax);
	cable_finish(&j);
}

/* The keys of hn0 and of the next function: what both hash by then. */
static void
check_key(const uint8_t *vf, unsigned len, const uint8_t want[KEY])
{
	struct ktest_rss kr;

	ktest_vf_key(vf, len);
	vf_attach();
	ATF_REQUIRE(vf_active(true));
	ATF_REQUIRE_EQ(0, ktest_rss("hn0", &kr));
	ATF_REQUIRE_EQ(KEY, kr.keylen);
	ATF_CHECK_EQ(0, memcmp(want, kr.key, KEY));
	vf_detach();
	ATF_REQUIRE(vf_active(false));
	/* It is hashed by afterwards, too. */
	ATF_REQUIRE_EQ(0, ktest_rss("hn0", &kr));
	ATF_CHECK_EQ(0, memcmp(want, kr.key, KEY));
}

/* A function's key is the adapter's, unless that has one from somebody. */
ATF_TC_WITHOUT_HEAD(rss_key);
ATF_TC_BODY(rss_key, tc)
{
	struct hvh_fault f = {
		.point = HVH_FAULT_RNDIS_OUT, .action = HVH_FAULT_STATUS,
		.key = 0x80000005, .skip = 1, .times = 1, .arg = 0xc0010015
	};
	uint8_t vf[2][KEY + 8], set[KEY];
	struct ktest_rss kr;
	unsigned i;

	for (i = 0; i < sizeof(vf[0]); i++) {
		vf[0][i] = (uint8_t)(i * 37 + 11);
		vf[1][i] = (uint8_t)(i * 29 + 5);
	}
	memcpy(set, vf[1] + 8, KEY);
	start(NULL);
	ATF_REQUIRE_EQ(0, ktest_rss("hn0", &kr));
	check_key(vf[0], 0, kr.key);
	check_key(vf[0], KEY + 8, kr.key);
	check_key(vf[0], KEY, vf[0]);
	/* The host will not have another: all goes on by what it had. */
	ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
	check_key(vf[1], KEY, vf[0]);
	hvh_fault_clear(j.host);
	ATF_REQUIRE_EQ(0, ktest_sysctl("dev.hn.0.rss_key", NULL, NULL, set,
	    KEY));
	check_key(vf[1], KEY, set);
	cable_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, takes_over);
	ATF_TP_ADD_TC(tp, under_load);
	ATF_TP_ADD_TC(tp, stays);
	ATF_TP_ADD_TC(tp, was_there);
	ATF_TP_ADD_TC(tp, host_switches);
	ATF_TP_ADD_TC(tp, listeners);
	ATF_TP_ADD_TC(tp, names);
	ATF_TP_ADD_TC(tp, settings);
	ATF_TP_ADD_TC(tp, plain_function);
	ATF_TP_ADD_TC(tp, rss_key);
	return (atf_no_error());
}
