/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The machine as a whole: shutdown, panic, sleep, and how the host is told of
 * data without a hypercall.
 */

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join.h"

/* Channel messages (protocol: vmbus, 2.1). */
#define	MSG_CONTACT	14
#define	MSG_VERSION	15
#define	MSG_UNLOAD	16

static struct hvh_stats
host_stats(struct join *j)
{
	struct hvh_stats st;

	vm_pump();
	hvh_get_stats(j->host, &st);
	return (st);
}

/* Halts the kernel; the host must have seen the end of the connection. */
static void
check_halt(uint32_t version, bool panicked)
{
	struct join_config cf = { .subchannels = 3, .fast_clock = true,
	    .vm.max_version = version };
	struct hvh_stats before, st;
	struct join j;

	join_start(&j, &cf);
	join_verify("da0", 0, 1 << 20, 1);
	before = host_stats(&j);
	ATF_REQUIRE(before.connected != 0);
	kpi_halt(panicked);
	st = host_stats(&j);
	ATF_CHECK_EQ_MSG(0, st.connected, "no UNLOAD reached the host");
	ATF_CHECK_EQ(0, st.gpadls);
	ATF_CHECK_EQ(0, st.channels_open);
	if (!panicked)
		ATF_CHECK_MSG(st.io_flushes > before.io_flushes,
		    "no cache was flushed");
	/* In this process the kernel lives on and can be loaded anew. */
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	join_check("da0", 0, 1 << 20, 1);
	join_finish(&j);
}

ATF_TC(shutdown);
ATF_TC_HEAD(shutdown, tc)
{
	atf_tc_set_md_var(tc, "descr", "an orderly shutdown flushes the disks "
	    "and lets go of the bus");
}
ATF_TC_BODY(shutdown, tc)
{

	check_halt(0, false);
}

ATF_TC(shutdown_old);
ATF_TC_HEAD(shutdown_old, tc)
{
	atf_tc_set_md_var(tc, "descr", "shutdown where the answer to UNLOAD "
	    "cannot be relied on: bus version 0.13");
}
ATF_TC_BODY(shutdown_old, tc)
{

	check_halt(0x0000000d, false);
}

ATF_TC(panic_2_4);
ATF_TC_HEAD(panic_2_4, tc)
{
	atf_tc_set_md_var(tc, "descr", "a panic below bus version 3.0 sends "
	    "UNLOAD and does not wait for its answer");
}
ATF_TC_BODY(panic_2_4, tc)
{

	check_halt(0x00020004, true);
}

ATF_TC(panic_io);
ATF_TC_HEAD(panic_io, tc)
{
	atf_tc_set_md_var(tc, "descr", "a panic with requests outstanding: "
	    "UNLOAD is sent by polling, the host lets go, and the next kernel "
	    "finds what was acknowledged");
}
ATF_TC_BODY(panic_io, tc)
{
	struct join_config cf = { .subchannels = 3, .disk_size = 64 << 20,
	    .fast_clock = true };
	struct join_load *l;
	struct hvh_stats st;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	join_verify("da0", 48 << 20, 1 << 20, 9);
	l = join_load_start("da0", 32 << 20, 32);
	usleep(100000);
	kpi_halt(1);
	st = host_stats(&j);
	ATF_CHECK_EQ_MSG(0, st.connected, "no UNLOAD reached the host");
	ATF_CHECK_EQ(0, st.gpadls);
	ATF_CHECK_EQ(0, st.channels_open);
	/* The kernel that comes next. */
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_CHECK(join_load_stop(l, &errors) > 0);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	join_check("da0", 48 << 20, 1 << 20, 9);
	join_finish(&j);
}

ATF_TC(panic_silence);
ATF_TC_HEAD(panic_silence, tc)
{
	atf_tc_set_md_var(tc, "descr", "a panic on a host that does not "
	    "answer UNLOAD ends all the same");
}
ATF_TC_BODY(panic_silence, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;

	join_start(&j, &cf);
	join_fault(&j, HVH_FAULT_MSG_IN, HVH_FAULT_DROP, MSG_UNLOAD, 0, 1, 0);
	kpi_halt(1);
	ATF_CHECK(host_stats(&j).connected != 0);
	hvh_fault_clear(j.host);
	ATF_CHECK_EQ(0, vm_unload());
	ATF_CHECK_EQ(0, host_stats(&j).connected);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	join_finish(&j);
}

ATF_TC(contact_unanswered);
ATF_TC_HEAD(contact_unanswered, tc)
{
	atf_tc_set_md_var(tc, "descr", "a contact whose answer is lost does "
	    "not leave the host connected to memory that is freed");
}
ATF_TC_BODY(contact_unanswered, tc)
{
	struct join_config cf = { .no_load = true, .fast_clock = true };
	const struct hvh_fault denied = { .point = HVH_FAULT_MSG_OUT,
	    .action = HVH_FAULT_CORRUPT, .key = MSG_VERSION, .offset = 8,
	    .len = 1, .arg = 0 };
	struct join j;

	join_start(&j, &cf);
	join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, MSG_VERSION, 0, 1,
	    0);
	(void)vm_load();
	ATF_CHECK_EQ(0, host_stats(&j).connected);
	ATF_REQUIRE_EQ(0, vm_unload());
	/* The same if it was the contact that was lost. */
	hvh_fault_clear(j.host);
	join_fault(&j, HVH_FAULT_MSG_IN, HVH_FAULT_DROP, MSG_CONTACT, 0, 1,
	    0);
	(void)vm_load();
	ATF_CHECK_EQ(0, host_stats(&j).connected);
	ATF_REQUIRE_EQ(0, vm_unload());
	hvh_fault_clear(j.host);
	/* And if every version is taken and said not to be. */
	ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &denied));
	(void)vm_load();
	ATF_CHECK_EQ(0, host_stats(&j).connected);
	ATF_REQUIRE_EQ(0, vm_unload());
	hvh_fault_clear(j.host);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	join_finish(&j);
}

/* --- Sleep --- */

static kpi_u64
usage(void)
{
	struct kpi_stats st;

	join_usage(&st);
	return (st.malloc_bytes);
}

static bool
usage_at_most(void *arg)
{

	return (usage() <= *(kpi_u64 *)arg);
}

/* Suspend under load and resume, often; the disk is the same one. */
static void
check_sleep(uint32_t version, unsigned rounds)
{
	struct join_config cf = { .subchannels = 3, .disk_size = 32 << 20,
	    .vm.max_version = version };
	struct join_load *l;
	kpi_u64 before = 0;
	struct join j;
	uint64_t errors;
	unsigned i;

	join_start(&j, &cf);
	join_verify("da0", 24 << 20, 1 << 20, 3);
	for (i = 0; i < rounds; i++) {
		l = join_load_start("da0", 16 << 20, 16);
		usleep(10000);
		ATF_REQUIRE_EQ(0, kpi_suspend());
		ATF_CHECK_EQ_MSG(0, host_stats(&j).connected,
		    "asleep, but connected");
		ATF_CHECK_EQ(0, host_stats(&j).gpadls);
		ATF_REQUIRE_EQ(0, kpi_resume());
		join_check("da0", 24 << 20, 1 << 20, 3);
		ATF_CHECK(join_load_stop(l, &errors) > 0);
		ATF_CHECK_EQ_MSG(0, errors, "round %u: %ju requests failed",
		    i, (uintmax_t)errors);
		/* The first rounds may still fill caches. */
		if (i == 1)
			before = usage();
	}
	ATF_CHECK_MSG(join_wait(usage_at_most, &before, 2000),
	    "%ju bytes after the second sleep, %ju after the last",
	    (uintmax_t)before, (uintmax_t)usage());
	ATF_CHECK(join_disk_gone("da1"));
	join_finish(&j);
}

ATF_TC(sleep);
ATF_TC_HEAD(sleep, tc)
{
	atf_tc_set_md_var(tc, "descr", "suspend and resume under load, 20 "
	    "times: nothing is lost and nothing piles up");
}
ATF_TC_BODY(sleep, tc)
{

	check_sleep(0, 20);
}

ATF_TC(sleep_old);
ATF_TC_HEAD(sleep_old, tc)
{
	atf_tc_set_md_var(tc, "descr", "the same with bus version 0.13");
}
ATF_TC_BODY(sleep_old, tc)
{

	check_sleep(0x0000000d, 20);
}

ATF_TC(sleep_ids);
ATF_TC_HEAD(sleep_ids, tc)
{
	atf_tc_set_md_var(tc, "descr", "after sleep the host gives other "
	    "channel ids, has one controller less and one more");
}
ATF_TC_BODY(sleep_ids, tc)
{
	struct join_config cf = { .controllers = 3 };
	struct hvh_scsi_params sp = { .max_subchannels = 1 };
	char before[16], after[16];
	struct join j;

	join_start(&j, &cf);
	join_verify("da1", 0, 65536, 1);
	join_verify("da2", 0, 65536, 2);
	ATF_REQUIRE_EQ(0, kpi_sysctl_get("dev.storvsc.2.%location", before,
	    sizeof(before)));
	ATF_REQUIRE_EQ(0, kpi_suspend());
	/* Ids are given in the order of the identities. */
	hvh_scsi_remove(j.scsi[0]);
	vm_pump();
	ATF_REQUIRE_EQ(0, hvh_guid_parse(
	    "2b1d7a60-5d3c-4f0e-8e0f-0000000000ff", &sp.instance));
	ATF_REQUIRE_EQ(0, hvh_scsi_add(j.host, &sp, &j.scsi[0]));
	join_attach(&j, 0, 0, 4 << 20);
	ATF_REQUIRE_EQ(0, kpi_resume());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da2", 20000));
	ATF_REQUIRE_EQ(0, kpi_sysctl_get("dev.storvsc.2.%location", after,
	    sizeof(after)));
	ATF_CHECK_MSG(strcmp(before, after) != 0,
	    "still %s: the case shows nothing", after);
	join_check("da1", 0, 65536, 1);
	join_check("da2", 0, 65536, 2);
	ATF_REQUIRE(join_wait(join_disk_exists, "da0", 20000) ||
	    join_wait(join_disk_exists, "da3", 20000));
	join_finish(&j);
}

/* --- Monitored notification --- */

ATF_TC(monitored);
ATF_TC_HEAD(monitored, tc)
{
	atf_tc_set_md_var(tc, "descr", "a channel with a monitor id: data "
	    "moves, in time, without a hypercall");
}
ATF_TC_BODY(monitored, tc)
{
	struct join_config cf = { .subchannels = 3, .disk_size = 32 << 20,
	    .monitored = true, .vm.monitor_pages = true };
	struct timespec begin, end;
	struct hvh_stats before, st;
	struct join_load *l;
	struct join j;
	uint64_t errors;
	unsigned i;
	double ms;

	join_start(&j, &cf);
	before = host_stats(&j);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < 100; i++)
		join_verify("da0", i * 4096, 4096, i);
	clock_gettime(CLOCK_MONOTONIC, &end);
	l = join_load_start("da0", 16 << 20, 16);
	usleep(100000);
	ATF_CHECK(join_load_stop(l, &errors) > 0);
	ATF_CHECK_EQ(0, errors);
	st = host_stats(&j);
	ATF_CHECK_MSG(st.packets_in >= before.packets_in + 200,
	    "only %ju packets", (uintmax_t)(st.packets_in -
	    before.packets_in));
	ATF_CHECK_EQ_MSG(before.signals_in, st.signals_in,
	    "%ju signals by hypercall", (uintmax_t)(st.signals_in -
	    before.signals_in));
	/* 0.1 ms is what the page promises; the machine may be busy. */
	ms = (end.tv_sec - begin.tv_sec) * 1e3 +
	    (end.tv_nsec - begin.tv_nsec) / 1e6;
	printf("200 requests, one by one: %.1f ms\n", ms);
	ATF_CHECK_MSG(ms < 4000, "200 requests took %.0f ms", ms);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, shutdown);
	ATF_TP_ADD_TC(tp, shutdown_old);
	ATF_TP_ADD_TC(tp, panic_2_4);
	ATF_TP_ADD_TC(tp, panic_io);
	ATF_TP_ADD_TC(tp, panic_silence);
	ATF_TP_ADD_TC(tp, contact_unanswered);
	ATF_TP_ADD_TC(tp, sleep);
	ATF_TP_ADD_TC(tp, sleep_old);
	ATF_TP_ADD_TC(tp, sleep_ids);
	ATF_TP_ADD_TC(tp, monitored);
	return (atf_no_error());
}
