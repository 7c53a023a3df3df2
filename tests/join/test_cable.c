/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Packets through the real driver and the real provider, from one adapter to
 * another: that they arrive as they were sent, with what was left to the host
 * done, and that nothing is lost or kept when the ground moves.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join_cable.h"
#include "join_mbufs.h"

/* csum_flags of what came in: FreeBSD's CSUM_IP_VALID, CSUM_DATA_VALID. */
#define	IP_VALID	0x02000000u
#define	DATA_VALID	0x08000000u

static uint8_t sent[65600], got[65600];

static void
echo(struct cable *j, unsigned from, size_t len)
{
	size_t n;

	ATF_REQUIRE_EQ(0, cable_send(j, from, sent, len, 0, 0));
	n = cable_recv(j, 1 - from, got, sizeof(got), NULL);
	ATF_REQUIRE_EQ_MSG(len, n, "%zu bytes sent, %zu came", len, n);
	ATF_REQUIRE_EQ(0, memcmp(sent, got, len));
}

ATF_TC_WITHOUT_HEAD(sizes);
ATF_TC_BODY(sizes, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	size_t payload;
	unsigned from;

	cable_start(&j, &cf);
	for (payload = 18; payload <= 1472; payload += 1 + payload / 16)
		for (from = 0; from < CABLE_ENDS; from++)
			echo(&j, from, cable_udp(sent, from, payload,
			    payload, false));
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(jumbo);
ATF_TC_BODY(jumbo, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	size_t payload;
	unsigned i;

	cable_start(&j, &cf);
	for (i = 0; i < CABLE_ENDS; i++)
		ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[i], 9000));
	for (payload = 18; payload <= 8972; payload += 1 + payload / 8)
		echo(&j, payload & 1, cable_udp(sent, payload & 1, payload,
		    payload, false));
	echo(&j, 0, cable_udp(sent, 0, 8972, 1, false));
	cable_finish(&j);
}

/* Older versions of the protocol, and memory that is not contiguous. */
static void
version(uint32_t nvsp)
{
	struct cable_config cf = { .vm.quiet = true, .vm.scatter = true,
	    .nvsp = nvsp };
	struct cable j;

	cable_start(&j, &cf);
	echo(&j, 0, cable_udp(sent, 0, 1400, 1, false));
	echo(&j, 1, cable_udp(sent, 1, 100, 2, false));
	cable_finish(&j);
}

#define	VERSION(name, number)						\
	ATF_TC_WITHOUT_HEAD(name);					\
	ATF_TC_BODY(name, tc)						\
	{								\
									\
		version(number);					\
	}

VERSION(version_1, 0x00000002)
VERSION(version_2, 0x00030002)
VERSION(version_4, 0x00040000)
VERSION(version_5, 0x00050000)
VERSION(version_6, 0x00060000)

ATF_TC_WITHOUT_HEAD(checksums);
ATF_TC_BODY(checksums, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	struct kpi_frame info;
	size_t len, n, payload;
	bool tcp;

	cable_start(&j, &cf);
	for (payload = 20; payload <= 1400; payload += 139)
		for (tcp = false;; tcp = true) {
			len = tcp ? cable_tcp(sent, 0, payload, 7, true) :
			    cable_udp(sent, 0, payload, 7, true);
			ATF_REQUIRE(!cable_sums_ok(sent, len));
			ATF_REQUIRE_EQ(0, cable_send(&j, 0, sent, len,
			    KPI_NET_CSUM_IP | KPI_NET_CSUM_L4, 0));
			n = cable_recv(&j, 1, got, sizeof(got), &info);
			ATF_REQUIRE_EQ(len, n);
			ATF_CHECK(cable_sums_ok(got, n));
			ATF_CHECK((info.csum_flags & IP_VALID) != 0);
			ATF_CHECK((info.csum_flags & DATA_VALID) != 0);
			ATF_CHECK_EQ(0, memcmp(sent + 54, got + 54,
			    len - 54));
			if (tcp)
				break;
		}
	/* A wrong one is not said to be right. */
	len = cable_udp(sent, 0, 100, 7, false);
	sent[60] ^= 1;
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, sent, len, 0, 0));
	ATF_REQUIRE_EQ(len, cable_recv(&j, 1, got, sizeof(got), &info));
	ATF_CHECK((info.csum_flags & DATA_VALID) == 0);
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(vlan);
ATF_TC_BODY(vlan, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	struct kpi_piece piece = { .addr = sent };
	struct kpi_frame f = { .piece = &piece, .npieces = 1 }, info;
	size_t len;
	int error;

	cable_start(&j, &cf);
	len = cable_udp(sent, 0, 300, 7, false);
	piece.len = f.len = len;
	f.flags = KPI_NET_VLAN;
	f.vlan = 5 << 13 | 0x123;
	ATF_REQUIRE_EQ(1, kpi_net_send(j.kn[0], &f, 1, &error));
	ATF_REQUIRE_EQ(len, cable_recv(&j, 1, got, sizeof(got), &info));
	ATF_CHECK((info.flags & KPI_NET_VLAN) != 0);
	ATF_CHECK_EQ(f.vlan, info.vlan);
	ATF_CHECK_EQ(0, memcmp(sent, got, len));
	cable_finish(&j);
}

/* The payload of what comes in, put together by TCP's sequence numbers. */
static size_t
collect(struct cable *j, uint8_t *to, uint32_t seq, size_t want,
    size_t mss)
{
	size_t done, n, payload;
	uint32_t at;

	for (done = 0; done < want; done += payload) {
		n = cable_recv(j, 1, got, sizeof(got), NULL);
		if (n == 0)
			break;
		ATF_REQUIRE(n > 54);
		payload = n - 54;
		ATF_CHECK(mss == 0 || payload <= mss);
		ATF_CHECK(mss == 0 || cable_sums_ok(got, n));
		at = ((uint32_t)got[38] << 24 | (uint32_t)got[39] << 16 |
		    (uint32_t)got[40] << 8 | got[41]) - seq;
		ATF_REQUIRE_MSG(at + payload <= want, "%u + %zu", at, payload);
		memcpy(to + at, got + 54, payload);
	}
	return (done);
}

ATF_TC_WITHOUT_HEAD(tso);
ATF_TC_BODY(tso, tc)
{
	static const size_t sizes[] = { 3000, 5800, 6100, 20000, 62700 };
	static uint8_t data[62700];
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	struct kpi_net_info ni;
	size_t len;
	unsigned i, lro;

	cable_start(&j, &cf);
	ATF_REQUIRE_EQ(0, kpi_net_info(j.kn[1], &ni));
	for (lro = 0; lro < 2; lro++) {
		ATF_REQUIRE_EQ(0, kpi_net_caps(j.kn[1], lro ?
		    ni.capenable : ni.capenable & ~KPI_NETCAP_LRO));
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			len = cable_tcp(sent, 0, sizes[i], 1000 + i, true);
			ATF_REQUIRE_EQ(0, cable_send(&j, 0, sent, len,
			    KPI_NET_TSO | KPI_NET_CSUM_IP | KPI_NET_CSUM_L4,
			    1448));
			memset(data, 0, sizeof(data));
			ATF_REQUIRE_EQ(sizes[i], collect(&j, data, 1000 + i,
			    sizes[i], lro ? 0 : 1448));
			ATF_CHECK_EQ(0, memcmp(sent + 54, data, sizes[i]));
		}
	}
	cable_finish(&j);
}

/* Counts what comes in; the first word of UDP's payload is its number. */
static struct {
	atomic_uint	count, disorder, bad;
	uint32_t	next;
} sink;

static int
sink_input(void *arg, const struct kpi_frame *f)
{
	const uint8_t *p = f->piece[0].addr;
	uint32_t seq;

	/* Headers may be in a piece of their own. */
	if (f->piece[0].len >= 46)
		memcpy(&seq, p + 42, sizeof(seq));
	else if (f->piece[0].len == 42 && f->npieces > 1)
		memcpy(&seq, f->piece[1].addr, sizeof(seq));
	else {
		atomic_fetch_add(&sink.bad, 1);
		return (0);
	}
	if (seq < sink.next)
		atomic_fetch_add(&sink.disorder, 1);
	sink.next = seq + 1;
	atomic_fetch_add(&sink.count, 1);
	return (0);
}

static const struct kpi_net_ops sink_ops = { .input = sink_input };

static void
numbered(uint32_t seq, size_t payload)
{

	(void)cable_udp(sent, 0, payload, 0, true);
	memcpy(sent + 42, &seq, sizeof(seq));
}

static void
sink_wait(unsigned count)
{
	unsigned i;

	for (i = 0; i < 5000 && atomic_load(&sink.count) < count; i++)
		usleep(1000);
}

ATF_TC_WITHOUT_HEAD(flood);
ATF_TC_BODY(flood, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true,
	    .ops = { NULL, &sink_ops } };
	struct hvh_net_stats st;
	uint32_t i, lost;

	cable_start(&j, &cf);
	for (i = lost = 0; i < 20000; i++) {
		numbered(i, i % 10 == 0 ? 1400 : 22);
		if (cable_send(&j, 0, sent, i % 10 == 0 ? 1442 : 64, 0,
		    0) != 0)
			lost++;
	}
	sink_wait(20000 - lost);
	hvh_net_get_stats(j.net[1], &st);
	/* What the guest was too slow for is the host's to say. */
	ATF_CHECK_EQ(20000, atomic_load(&sink.count) + lost +
	    st.rx_no_buffer);
	ATF_CHECK_EQ(0, atomic_load(&sink.disorder));
	ATF_CHECK_EQ(0, atomic_load(&sink.bad));
	cable_finish(&j);
}

#define	FLOWS		4
#define	FLOW_FRAMES	3000

/* Order within each flow; a flow stays on one channel. */
static struct {
	atomic_uint	count, disorder;
	uint32_t	next[FLOWS];
} flows;

static int
flows_input(void *arg, const struct kpi_frame *f)
{
	const uint8_t *p = f->piece[0].addr;
	uint32_t seq;
	unsigned flow;

	flow = p[35] - 1;
	if (f->piece[0].len >= 46)
		memcpy(&seq, p + 42, sizeof(seq));
	else
		memcpy(&seq, f->piece[1].addr, sizeof(seq));
	if (flow >= FLOWS || seq < flows.next[flow])
		atomic_fetch_add(&flows.disorder, 1);
	else
		flows.next[flow] = seq + 1;
	atomic_fetch_add(&flows.count, 1);
	return (0);
}

static const struct kpi_net_ops flows_ops = { .input = flows_input };

struct flow {
	struct cable	*j;
	unsigned	 number, lost;
};

static void *
flow_thread(void *arg)
{
	struct flow *fl = arg;
	uint8_t frame[1500];
	size_t len;
	uint32_t i;

	for (i = 0; i < FLOW_FRAMES; i++) {
		len = cable_udp(frame, 0, i % 5 == 0 ? 1400 : 50, i, true);
		frame[34] = 0;
		frame[35] = (uint8_t)(fl->number + 1);
		memcpy(frame + 42, &i, sizeof(i));
		if (cable_send(fl->j, 0, frame, len, 0, 0) != 0)
			fl->lost++;
	}
	return (NULL);
}

ATF_TC_WITHOUT_HEAD(flows_apart);
ATF_TC_BODY(flows_apart, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true,
	    .ops = { NULL, &flows_ops } };
	struct hvh_net_stats st;
	pthread_t thread[FLOWS];
	struct flow fl[FLOWS];
	unsigned i, want;

	cable_start(&j, &cf);
	for (i = 0; i < FLOWS; i++) {
		fl[i] = (struct flow){ .j = &j, .number = i };
		ATF_REQUIRE_EQ(0, pthread_create(&thread[i], NULL,
		    flow_thread, &fl[i]));
	}
	want = FLOWS * FLOW_FRAMES;
	for (i = 0; i < FLOWS; i++) {
		pthread_join(thread[i], NULL);
		want -= fl[i].lost;
	}
	for (i = 0; i < 5000 && atomic_load(&flows.count) < want; i++)
		usleep(1000);
	hvh_net_get_stats(j.net[1], &st);
	ATF_CHECK_EQ(want, atomic_load(&flows.count) + st.rx_no_buffer);
	ATF_CHECK_EQ(0, atomic_load(&flows.disorder));
	ATF_CHECK(st.channels > 1);
	cable_finish(&j);
}

static struct {
	pthread_t	thread;
	atomic_bool	stop;
	struct cable	*j;
	atomic_uint	sent;
} load;

static void *
load_thread(void *arg)
{
	static uint8_t frame[65600];
	struct kpi_piece piece = { .addr = frame };
	struct kpi_frame f = { .piece = &piece, .npieces = 1 };
	unsigned i;
	int error;

	for (i = 0; !atomic_load(&load.stop); i++) {
		if (i % 3 != 0) {
			f.len = cable_udp(frame, 0, 200, i, false);
			f.flags = 0;
		} else {
			f.len = cable_tcp(frame, 0, 20000, i, true);
			f.flags = KPI_NET_TSO | KPI_NET_CSUM_IP |
			    KPI_NET_CSUM_L4;
			f.mss = 1448;
		}
		piece.len = f.len;
		atomic_fetch_add(&load.sent, kpi_net_send(load.j->kn[0], &f, 1,
		    &error));
		if (error != 0)
			usleep(1000);
	}
	return (NULL);
}

static void
load_start(struct cable *j)
{

	load.j = j;
	ATF_REQUIRE_EQ(0, pthread_create(&load.thread, NULL, load_thread,
	    NULL));
	while (atomic_load(&load.sent) < 100)
		usleep(1000);
}

static void
load_stop(void)
{

	atomic_store(&load.stop, true);
	pthread_join(load.thread, NULL);
}

static int
drop_input(void *arg, const struct kpi_frame *f)
{

	atomic_fetch_add(&sink.count, 1);
	return (0);
}

static const struct kpi_net_ops drop_ops = { .input = drop_input };

ATF_TC_WITHOUT_HEAD(mtu_load);
ATF_TC_BODY(mtu_load, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true,
	    .ops = { NULL, &drop_ops } };
	unsigned before, i;

	cable_start(&j, &cf);
	load_start(&j);
	for (i = 0; i < 6; i++)
		ATF_REQUIRE_EQ(0, kpi_net_mtu(j.kn[i & 1],
		    i % 4 < 2 ? 4000 : 1500));
	before = atomic_load(&sink.count);
	sink_wait(before + 100);
	ATF_CHECK(atomic_load(&sink.count) >= before + 100);
	load_stop();
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(unload_load);
ATF_TC_BODY(unload_load, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true,
	    .ops = { NULL, &drop_ops } };

	cable_start(&j, &cf);
	load_start(&j);
	ATF_CHECK_EQ(0, vm_unload());
	load_stop();
	ATF_CHECK_EQ(0, vm_load());
	cable_finish(&j);
}

ATF_TC_WITHOUT_HEAD(rescind_load);
ATF_TC_BODY(rescind_load, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true,
	    .ops = { NULL, &drop_ops } };

	cable_start(&j, &cf);
	load_start(&j);
	hvh_net_remove(j.net[0]);
	hvh_net_remove(j.net[1]);
	usleep(100000);
	load_stop();
	cable_finish(&j);
}

/* The stack keeps what came in while the module goes: it may not. */
ATF_TC_WITHOUT_HEAD(kept);
ATF_TC_BODY(kept, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	struct kpi_frame f;
	struct kpi_stats ks;
	size_t len;

	cable_start(&j, &cf);
	len = cable_tcp(sent, 0, 1400, 1, false);
	ATF_REQUIRE_EQ(0, cable_send(&j, 0, sent, len, 0, 0));
	ATF_REQUIRE_EQ(0, kpi_net_recv(j.kn[1], &f, 2000));
	kpi_get_stats(&ks);
	ATF_CHECK(f.npieces == 2);
	ATF_CHECK(kpi_kldunload("hv_netvsc") != 0);
	/* What is kept can be read still. */
	ATF_CHECK_EQ(0, memcmp(f.piece[1].addr, sent + 54, 1400));
	kpi_net_release(&f);
	cable_finish(&j);
}

/* A cable that loses, doubles, reorders and spoils frames. */
ATF_TC_WITHOUT_HEAD(weather);
ATF_TC_BODY(weather, tc)
{
	static const struct hvh_netbe_faults faults = {
		.seed = 7, .loss = 50000, .duplicate = 50000,
		.reorder = 50000, .corrupt = 50000, .jitter_ns = 100000
	};
	struct cable j;
	struct cable_config cf = { .vm.quiet = true, .faults = &faults };
	size_t len, n, right;
	unsigned i;

	cable_start(&j, &cf);
	right = 0;
	for (i = 0; i < 300; i++) {
		len = cable_udp(sent, 0, 1000, 5, false);
		ATF_REQUIRE_EQ(0, cable_send(&j, 0, sent, len, 0, 0));
	}
	for (i = 0; i < 250; i++) {
		n = cable_recv(&j, 1, got, sizeof(got), NULL);
		if (n == 0)
			break;
		right += n == len && memcmp(sent, got, len) == 0;
	}
	ATF_CHECK_MSG(right > 200 && right < 300, "%zu of 300", right);
	cable_finish(&j);
}

/*
 * One packet at a time: a hypercall and an interrupt for who sends, the latter
 * for the completion, and as many for who receives.
 */
ATF_TC_WITHOUT_HEAD(pingpong);
ATF_TC_BODY(pingpong, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	struct hvh_stats before, after;
	unsigned i;

	cable_start(&j, &cf);
	echo(&j, 0, cable_udp(sent, 0, 100, 0, false));
	usleep(100000);
	hvh_get_stats(j.host, &before);
	for (i = 0; i < 200; i++)
		echo(&j, i & 1, cable_udp(sent, i & 1, 100, i, false));
	usleep(100000);
	hvh_get_stats(j.host, &after);
	ATF_CHECK_MSG(after.hypercalls - before.hypercalls <= 2 * 200,
	    "%ju hypercalls", (uintmax_t)(after.hypercalls -
	    before.hypercalls));
	ATF_CHECK_MSG(after.interrupts - before.interrupts <= 2 * 200,
	    "%ju interrupts", (uintmax_t)(after.interrupts -
	    before.interrupts));
	cable_finish(&j);
}

/* What a kernel sends that has stopped. */
ATF_TC_WITHOUT_HEAD(debugnet);
ATF_TC_BODY(debugnet, tc)
{
	struct cable j;
	struct cable_config cf = { .vm.quiet = true };
	struct hvh_net_stats before, after;
	kpi_size n;
	size_t len;
	unsigned i;

	cable_start(&j, &cf);
	hvh_net_get_stats(j.net[0], &before);
	for (i = 0; i < 200; i++) {
		len = cable_udp(sent, 0, i % 2 == 0 ? 100 : 1472, i, false);
		n = 0;
		ATF_REQUIRE_EQ(0, kpi_net_debug("hn0", sent, len, got, &n,
		    0));
	}
	n = sizeof(got);
	ATF_REQUIRE_EQ(0, kpi_net_debug("hn0", sent, len, got, &n, 100));
	vm_pump();
	hvh_net_get_stats(j.net[0], &after);
	ATF_CHECK_EQ(201, after.tx_packets - before.tx_packets);
	ATF_CHECK_EQ(0, after.tx_bad);
	kpi_net_close(j.kn[0]);
	kpi_net_close(j.kn[1]);
	join_mbufs();
	vm_destroy();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, sizes);
	ATF_TP_ADD_TC(tp, jumbo);
	ATF_TP_ADD_TC(tp, version_1);
	ATF_TP_ADD_TC(tp, version_2);
	ATF_TP_ADD_TC(tp, version_4);
	ATF_TP_ADD_TC(tp, version_5);
	ATF_TP_ADD_TC(tp, version_6);
	ATF_TP_ADD_TC(tp, checksums);
	ATF_TP_ADD_TC(tp, vlan);
	ATF_TP_ADD_TC(tp, tso);
	ATF_TP_ADD_TC(tp, flood);
	ATF_TP_ADD_TC(tp, flows_apart);
	ATF_TP_ADD_TC(tp, mtu_load);
	ATF_TP_ADD_TC(tp, unload_load);
	ATF_TP_ADD_TC(tp, rescind_load);
	ATF_TP_ADD_TC(tp, kept);
	ATF_TP_ADD_TC(tp, weather);
	ATF_TP_ADD_TC(tp, pingpong);
	ATF_TP_ADD_TC(tp, debugnet);
	return (atf_no_error());
}
