/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Network adapters attach: every version of both protocols, hosts that refuse,
 * say nothing or nonsense, and that all of it can be undone.
 */

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"

#define	FRAME	100

/* Two adapters as configured talk to each other. */
static void
check_pair(const struct join_config *cf, uint32_t nvs)
{
	struct hvh_net_stats st;
	struct kpi_net *n[2];
	struct kpi_net_info info;
	struct join j;

	join_start(&j, cf);
	n[0] = join_hn_open("hn0", NULL, NULL);
	n[1] = join_hn_open("hn1", NULL, NULL);
	ATF_CHECK_EQ(nvs, join_sysctl("dev.hn.0.nvs_version"));
	hvh_net_get_stats(j.net[0], &st);
	ATF_CHECK_EQ(nvs, st.version);
	ATF_CHECK_EQ(0, kpi_net_info(n[1], &info));
	ATF_CHECK_EQ(0, memcmp(info.mac, "\0\x15\x5d\0\0\1", 6));
	ATF_CHECK_EQ(1500, info.mtu);
	join_hn_pass(n[0], n[1], FRAME, 1);
	join_hn_pass(n[1], n[0], 1514, 2);
	ATF_CHECK_EQ(0, join_sysctl("dev.hn.0.bad_messages"));
	ATF_CHECK_EQ(0, join_sysctl("dev.hn.0.late_replies"));
	kpi_net_close(n[0]);
	kpi_net_close(n[1]);
	join_finish(&j);
}

static void
check_version(uint32_t vmbus, uint32_t nvs)
{
	struct join_config cf = {
		.vm = { .max_version = vmbus, .cpus = 2 },
		.no_disks = true, .nets = 2, .net = { .max_version = nvs },
	};

	check_pair(&cf, nvs);
}

#define	VERSION_CASE(name, vmbus, nvs)					\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", "bus " #vmbus		\
		    ", network " #nvs ": attach, talk, detach");	\
	}								\
	ATF_TC_BODY(name, tc)						\
	{								\
		check_version(vmbus, nvs);				\
	}

VERSION_CASE(nvs_1, 0, 0x00000002)
VERSION_CASE(nvs_2, 0, 0x00030002)
VERSION_CASE(nvs_4, 0, 0x00040000)
VERSION_CASE(nvs_5, 0, 0x00050000)
VERSION_CASE(nvs_6, 0, 0x00060000)
VERSION_CASE(nvs_61, 0, 0x00060001)
VERSION_CASE(vmbus_0_13, 0x0000000d, 0x00000002)
VERSION_CASE(vmbus_1_1, 0x00010001, 0x00030002)
VERSION_CASE(vmbus_2_4, 0x00020004, 0x00040000)
VERSION_CASE(vmbus_3_0, 0x00030000, 0x00050000)
VERSION_CASE(vmbus_4_0, 0x00040000, 0x00060000)
VERSION_CASE(vmbus_5_2, 0x00050002, 0x00060001)

/* Lines come from any thread of the kernel's. */
static struct {
	pthread_mutex_t	lock;
	char		text[65536];
	size_t		len;
} console = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
collect(void *arg, const char *line)
{

	pthread_mutex_lock(&console.lock);
	console.len += (size_t)snprintf(console.text + console.len,
	    sizeof(console.text) - console.len, "%s\n", line);
	if (console.len >= sizeof(console.text))
		console.len = sizeof(console.text) - 1;
	pthread_mutex_unlock(&console.lock);
}

static bool
said(void *what)
{
	bool there;

	pthread_mutex_lock(&console.lock);
	there = strstr(console.text, what) != NULL;
	pthread_mutex_unlock(&console.lock);
	return (there);
}

ATF_TC(channels);
ATF_TC_HEAD(channels, tc)
{
	atf_tc_set_md_var(tc, "descr", "one channel a processor, as far as "
	    "the host grants");
}
ATF_TC_BODY(channels, tc)
{
	struct join_config cf = {
		.vm = { .cpus = 4 }, .no_disks = true, .nets = 2,
		.net = { .max_channels = 8 },
	};
	struct hvh_net_stats st;
	struct kpi_net *n[2];
	struct join j;
	unsigned i;

	join_start(&j, &cf);
	ATF_CHECK_EQ(4, join_sysctl("dev.hn.0.rx_ring_inuse"));
	ATF_CHECK_EQ(4, join_sysctl("dev.hn.1.tx_ring_inuse"));
	hvh_net_get_stats(j.net[0], &st);
	ATF_CHECK_EQ(4, st.channels);
	n[0] = join_hn_open("hn0", NULL, NULL);
	n[1] = join_hn_open("hn1", NULL, NULL);
	for (i = 0; i < 16; i++)
		join_hn_pass(n[0], n[1], FRAME + i, i);
	kpi_net_close(n[0]);
	kpi_net_close(n[1]);
	join_finish(&j);
}

ATF_TC(channels_few);
ATF_TC_HEAD(channels_few, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host with two channels for four "
	    "processors");
}
ATF_TC_BODY(channels_few, tc)
{
	struct join_config cf = {
		.vm = { .cpus = 4 }, .no_disks = true, .nets = 1,
		.net = { .max_channels = 2 },
	};
	struct join j;

	join_start(&j, &cf);
	ATF_CHECK_EQ(2, join_sysctl("dev.hn.0.rx_ring_inuse"));
	ATF_CHECK_EQ(4, join_sysctl("dev.hn.0.rx_ring_cnt"));
	join_finish(&j);
}

/*
 * A fault from the start: the device says so, attaches or not, and everything
 * can be undone.
 */
static void
prepare_fault(struct join *j, const struct hvh_fault *f)
{

	ATF_REQUIRE_EQ(0, hvh_fault_add(j->host, f));
}

static struct hvh_fault attach_fault;

static void
prepare(struct join *j)
{

	prepare_fault(j, &attach_fault);
}

static void
check_attach(const struct hvh_fault *f, const char *text, bool attached)
{
	struct join_config cf = {
		.vm = { .cpus = 2, .console = collect }, .no_disks = true,
		.nets = 1, .no_wait = !attached, .fast_clock = true,
		.prepare = prepare,
	};
	struct join j;

	attach_fault = *f;
	join_start(&j, &cf);
	ATF_CHECK_MSG(text == NULL || join_wait(said, (void *)(uintptr_t)text,
	    60000), "no \"%s\" in:\n%s", text, console.text);
	ATF_CHECK(hvh_fault_count(j.host, f->point) > 0);
	join_finish(&j);
}

#define	FAULT_CASE(name, descr, text, attached, ...)			\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", descr);			\
	}								\
	ATF_TC_BODY(name, tc)						\
	{								\
		const struct hvh_fault f = { __VA_ARGS__ };		\
									\
		check_attach(&f, text, attached);			\
	}

#define	REPLY_CASE(name, descr, text, attached, nvs, act, ...)		\
	FAULT_CASE(name, descr, text, attached,				\
	    .point = HVH_FAULT_PKT_OUT, .key = nvs, .action = act,	\
	    ## __VA_ARGS__)

FAULT_CASE(refused, "a host that accepts no version",
    "hn0: the host accepts no protocol version", false,
    .point = HVH_FAULT_PKT_IN, .key = 1, .action = HVH_FAULT_CORRUPT,
    .offset = 4, .len = 4, .arg = 0x00070000)
FAULT_CASE(refused_some, "a host that refuses the first three versions",
    "hn0: network protocol 4.0", true, .point = HVH_FAULT_PKT_IN, .key = 1,
    .action = HVH_FAULT_CORRUPT, .offset = 4, .len = 4, .arg = 0x00070000,
    .times = 3)
REPLY_CASE(mute_init, "a host that never answers",
    "hn0: cannot agree on a protocol: error 60", false, 2, HVH_FAULT_DROP)
REPLY_CASE(mute_rxbuf, "no answer to the receive buffer",
    "hn0: cannot agree on a protocol: error 60", false, 102,
    HVH_FAULT_DROP)
REPLY_CASE(mute_txbuf, "no answer to the send buffer",
    "hn0: cannot agree on a protocol: error 60", false, 105,
    HVH_FAULT_DROP)
REPLY_CASE(mute_ack, "control messages are not acknowledged",
    "hn0: cannot start RNDIS: error 60", false, 108, HVH_FAULT_DROP)
REPLY_CASE(mute_subch, "no answer to the wish for sub-channels",
    "hn0: no sub-channels: error 60", true, 133, HVH_FAULT_DROP)
REPLY_CASE(late_init, "an answer that comes when nobody waits any more",
    "hn0: cannot agree on a protocol: error 60", false, 2,
    HVH_FAULT_DELAY, .arg = 8000000000)
REPLY_CASE(twice_init, "the answer to the version comes twice", NULL, true,
    2, HVH_FAULT_DUP)
REPLY_CASE(twice_ack, "control messages are acknowledged twice", NULL, true,
    108, HVH_FAULT_DUP)
REPLY_CASE(short_init, "an answer of four bytes",
    "hn0: cannot agree on a protocol: error 92", false, 2,
    HVH_FAULT_TRUNCATE, .arg = 4)
REPLY_CASE(rxbuf_sections, "a receive buffer in two sections",
    "hn0: receive buffer in 2 sections", false, 102, HVH_FAULT_CORRUPT,
    .offset = 8, .len = 4, .arg = 2)
REPLY_CASE(rxbuf_count, "more pieces than the receive buffer has",
    "hn0: receive buffer in 1 sections", false, 102, HVH_FAULT_CORRUPT,
    .offset = 20, .len = 4, .arg = 0x00ffffff)
REPLY_CASE(rxbuf_size, "pieces too small for any packet",
    "hn0: receive buffer in 1 sections", false, 102, HVH_FAULT_CORRUPT,
    .offset = 16, .len = 4, .arg = 32)
REPLY_CASE(txbuf_zero, "sections of no bytes: no send buffer",
    "hn0: no send buffer", true, 105, HVH_FAULT_CORRUPT, .offset = 8,
    .len = 4, .arg = 0)
REPLY_CASE(txbuf_odd, "sections of an odd size: no send buffer",
    "hn0: no send buffer", true, 105, HVH_FAULT_CORRUPT, .offset = 8,
    .len = 4, .arg = 6145)
REPLY_CASE(subch_refused, "sub-channels refused: one channel",
    "hn0: no sub-channels: error 5", true, 133, HVH_FAULT_CORRUPT,
    .offset = 4, .len = 4, .arg = 2)
REPLY_CASE(subch_many, "more sub-channels granted than asked for", NULL,
    true, 133, HVH_FAULT_CORRUPT, .offset = 8, .len = 4, .arg = 1000)

#define	RNDIS_CASE(name, descr, text, attached, type, act, ...)		\
	FAULT_CASE(name, descr, text, attached,				\
	    .point = HVH_FAULT_RNDIS_OUT, .key = type, .action = act,	\
	    ## __VA_ARGS__)

RNDIS_CASE(rndis_mute, "no answer to RNDIS's initialization",
    "hn0: cannot start RNDIS: error 60", false, 0x80000002, HVH_FAULT_DROP)
RNDIS_CASE(rndis_refused, "RNDIS's initialization fails",
    "hn0: RNDIS refused: status 0xc0000001", false, 0x80000002,
    HVH_FAULT_CORRUPT, .offset = 12, .len = 4, .arg = 0xc0000001)
RNDIS_CASE(rndis_id, "an answer to a request that never was",
    "hn0: cannot start RNDIS: error 60", false, 0x80000002,
    HVH_FAULT_CORRUPT, .offset = 8, .len = 4, .arg = 0x12340000)
RNDIS_CASE(rndis_length, "an answer that says it is longer than it is",
    "hn0: cannot start RNDIS: error 92", false, 0x80000002,
    HVH_FAULT_CORRUPT, .offset = 4, .len = 4, .arg = 4096)
RNDIS_CASE(rndis_short, "an answer that is too short",
    "hn0: cannot start RNDIS: error", false, 0x80000002,
    HVH_FAULT_TRUNCATE, .arg = 16)
RNDIS_CASE(rndis_twice, "all answers come twice", NULL, true, HVH_FAULT_ANY,
    HVH_FAULT_DUP)
RNDIS_CASE(rndis_align, "an alignment beyond all reason", NULL, true,
    0x80000002, HVH_FAULT_CORRUPT, .offset = 40, .len = 4, .arg = 31)
RNDIS_CASE(query_mute, "no answer to queries",
    "hn0: cannot ask for the frame size: error 60", false, 0x80000004,
    HVH_FAULT_DROP)
RNDIS_CASE(query_offset, "data of an answer outside of it",
    "hn0: cannot ask for the address: error 92", false, 0x80000004,
    HVH_FAULT_CORRUPT, .offset = 20, .len = 4, .arg = 0xfffffff8)
RNDIS_CASE(query_refused, "all queries are refused",
    "hn0: cannot ask for the address: error 5", false, 0x80000004,
    HVH_FAULT_CORRUPT, .offset = 12, .len = 4, .arg = 0xc00000bb)
RNDIS_CASE(set_refused, "all settings are refused",
    "hn0: cannot close the filter: error 5", false, 0x80000005,
    HVH_FAULT_CORRUPT, .offset = 12, .len = 4, .arg = 0xc00000bb)

ATF_TC(again);
ATF_TC_HEAD(again, tc)
{
	atf_tc_set_md_var(tc, "descr", "20 times loaded and unloaded");
}
ATF_TC_BODY(again, tc)
{
	struct join_config cf = {
		.vm = { .cpus = 2 }, .no_disks = true, .nets = 1,
	};
	struct kpi_stats before;
	struct join j;
	unsigned i;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, vm_unload());
	join_usage(&before);
	for (i = 0; i < 20; i++) {
		ATF_REQUIRE_EQ(0, vm_load());
		ATF_REQUIRE_EQ(0, kpi_net_wait("hn0", 30000));
		ATF_REQUIRE_EQ(0, vm_unload());
	}
	ATF_CHECK(join_wait(join_no_more_threads, &before, 10000));
	ATF_REQUIRE_EQ(0, vm_load());
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, nvs_1);
	ATF_TP_ADD_TC(tp, nvs_2);
	ATF_TP_ADD_TC(tp, nvs_4);
	ATF_TP_ADD_TC(tp, nvs_5);
	ATF_TP_ADD_TC(tp, nvs_6);
	ATF_TP_ADD_TC(tp, nvs_61);
	ATF_TP_ADD_TC(tp, vmbus_0_13);
	ATF_TP_ADD_TC(tp, vmbus_1_1);
	ATF_TP_ADD_TC(tp, vmbus_2_4);
	ATF_TP_ADD_TC(tp, vmbus_3_0);
	ATF_TP_ADD_TC(tp, vmbus_4_0);
	ATF_TP_ADD_TC(tp, vmbus_5_2);
	ATF_TP_ADD_TC(tp, channels);
	ATF_TP_ADD_TC(tp, channels_few);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, refused_some);
	ATF_TP_ADD_TC(tp, mute_init);
	ATF_TP_ADD_TC(tp, mute_rxbuf);
	ATF_TP_ADD_TC(tp, mute_txbuf);
	ATF_TP_ADD_TC(tp, mute_ack);
	ATF_TP_ADD_TC(tp, mute_subch);
	ATF_TP_ADD_TC(tp, late_init);
	ATF_TP_ADD_TC(tp, twice_init);
	ATF_TP_ADD_TC(tp, twice_ack);
	ATF_TP_ADD_TC(tp, short_init);
	ATF_TP_ADD_TC(tp, rxbuf_sections);
	ATF_TP_ADD_TC(tp, rxbuf_count);
	ATF_TP_ADD_TC(tp, rxbuf_size);
	ATF_TP_ADD_TC(tp, txbuf_zero);
	ATF_TP_ADD_TC(tp, txbuf_odd);
	ATF_TP_ADD_TC(tp, subch_refused);
	ATF_TP_ADD_TC(tp, subch_many);
	ATF_TP_ADD_TC(tp, rndis_mute);
	ATF_TP_ADD_TC(tp, rndis_refused);
	ATF_TP_ADD_TC(tp, rndis_id);
	ATF_TP_ADD_TC(tp, rndis_length);
	ATF_TP_ADD_TC(tp, rndis_short);
	ATF_TP_ADD_TC(tp, rndis_twice);
	ATF_TP_ADD_TC(tp, rndis_align);
	ATF_TP_ADD_TC(tp, query_mute);
	ATF_TP_ADD_TC(tp, query_offset);
	ATF_TP_ADD_TC(tp, query_refused);
	ATF_TP_ADD_TC(tp, set_refused);
	ATF_TP_ADD_TC(tp, again);
	return (atf_no_error());
}
