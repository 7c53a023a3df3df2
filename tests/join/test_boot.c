/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Drivers that the loader brought with the kernel: they attach while it boots,
 * on the thread that boots, before the clocks run.  A host that does not answer
 * then keeps the machine from its disks, not from booting.
 */

#include <stdio.h>

#include "join.h"
#include "join_kernel.h"

/* Channel messages and storage operations, as on the wire. */
#define	MSG_ALL_OFFERS		4
#define	MSG_OPEN_RESULT		6
#define	MSG_GPADL_CREATED	10
#define	MSG_VERSION		15
#define	OP_BEGIN		7
#define	OP_END			8
#define	OP_VERSION		9
#define	OP_PROPERTIES		10
#define	OP_SUBCHANNELS		13

/* More than the drivers wait for any one answer, with repetitions. */
#define	BOOT_NS_MAX		(300 * 1000000000ULL)

ATF_TC(disks);
ATF_TC_HEAD(disks, tc)
{
	atf_tc_set_md_var(tc, "descr", "disks that are there at boot work, and "
	    "the drivers can be unloaded and loaded again");
}
ATF_TC_BODY(disks, tc)
{
	struct join_config cf = {
		.vm = { .preload = true }, .controllers = 2, .luns = 2,
		.subchannels = 3,
	};
	struct join j;

	join_start(&j, &cf);
	join_verify("da0", 0, 1 << 20, 1);
	join_verify("da3", j.disk_size - 65536, 65536, 2);
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da3", 30000));
	join_verify("da0", 0, 1 << 20, 3);
	join_finish(&j);
}

ATF_TC(virtual);
ATF_TC_HEAD(virtual, tc)
{
	atf_tc_set_md_var(tc, "descr", "the same on the virtual clock: no "
	    "time-out strikes because the machine boots fast");
}
ATF_TC_BODY(virtual, tc)
{
	struct join_config cf = {
		.vm = { .preload = true }, .fast_clock = true, .luns = 4,
		.subchannels = 3,
	};
	struct join j;

	join_start(&j, &cf);
	ATF_CHECK_EQ(4, join_sysctl("dev.storvsc.0.channels"));
	join_verify("da0", 0, 1 << 20, 1);
	join_finish(&j);
}

/* --- What the boot waits for --- */

#define	HEAR_MS		100

static bool
heard_one(void *arg)
{

	(void)arg;
	return (ktest_heard() > 0);
}

static bool
not_held(void *arg)
{

	(void)arg;
	return (kpi_cam_boot_holds() == 0);
}

/* A machine whose CAM is slow to tell of disks, and has told of one. */
static void
start_slowly(struct join *j, unsigned luns)
{
	struct join_config cf = { .luns = luns, .no_load = true };

	join_start(j, &cf);
	ktest_hear(HEAR_MS);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE(join_wait(heard_one, NULL, 30000));
}

ATF_TC(held);
ATF_TC_HEAD(held, tc)
{
	atf_tc_set_md_var(tc, "descr", "the boot waits until all have been "
	    "told of all disks, so that none is numbered out of turn");
}
ATF_TC_BODY(held, tc)
{
	struct join j;

	start_slowly(&j, 4);
	ATF_REQUIRE(join_wait(not_held, NULL, 30000));
	ATF_CHECK_EQ(4, ktest_heard());
	join_finish(&j);
}

ATF_TC(held_rescan);
ATF_TC_HEAD(held_rescan, tc)
{
	atf_tc_set_md_var(tc, "descr", "a disk that comes during that wait is "
	    "waited for as well");
}
ATF_TC_BODY(held_rescan, tc)
{
	struct join j;

	start_slowly(&j, 3);
	join_attach(&j, 0, 3, j.disk_size);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da3", 30000));
	ATF_REQUIRE(join_wait(not_held, NULL, 30000));
	ATF_CHECK_EQ(4, ktest_heard());
	join_verify("da3", 0, 65536, 1);
	join_finish(&j);
}

ATF_TC(held_rescind);
ATF_TC_HEAD(held_rescind, tc)
{
	atf_tc_set_md_var(tc, "descr", "a controller that leaves during that "
	    "wait does not hold the boot any longer");
}
ATF_TC_BODY(held_rescind, tc)
{
	struct join j;

	start_slowly(&j, 4);
	hvh_scsi_remove(j.scsi[0]);
	ATF_REQUIRE(join_wait(join_disk_gone, "da0", 30000));
	ATF_REQUIRE(join_wait(not_held, NULL, 30000));
	join_finish(&j);
}

ATF_TC(held_unload);
ATF_TC_HEAD(held_unload, tc)
{
	atf_tc_set_md_var(tc, "descr", "the same of a driver that is unloaded");
}
ATF_TC_BODY(held_unload, tc)
{
	struct join j;

	start_slowly(&j, 4);
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_CHECK_EQ(0, kpi_cam_boot_holds());
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da3", 30000));
	join_verify("da3", 0, 65536, 1);
	join_finish(&j);
}

/* --- A host that does not answer --- */

static struct {
	enum hvh_fault_point	 point;
	uint32_t		 key;
} silent;

static void
be_silent(struct join *j)
{

	join_fault(j, silent.point, HVH_FAULT_DROP, silent.key, 0, 0, 0);
}

/* The machine boots in bounded time and, once the host speaks, works. */
static void
check_silence(enum hvh_fault_point point, uint32_t key)
{
	static const char *const kenv[] = { "hw.vmbus.timeout_ms=500", NULL };
	struct join_config cf = {
		.vm = { .preload = true, .kenv = kenv }, .subchannels = 1,
		.fast_clock = true, .no_load = true, .prepare = be_silent,
	};
	struct join j;

	silent.point = point;
	silent.key = key;
	join_start(&j, &cf);
	ATF_CHECK(vm_now() < BOOT_NS_MAX);
	printf("booted after %ju ms\n", (uintmax_t)(vm_now() / 1000000));
	hvh_fault_clear(j.host);
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 30000));
	join_verify("da0", 0, 65536, 1);
	join_finish(&j);
}

#define	SILENCE_CASE(name, point, key, text)				\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", "a host that at boot "	\
		    "gives no answer to " text);			\
	}								\
	ATF_TC_BODY(name, tc)						\
	{								\
		check_silence(point, key);				\
	}

SILENCE_CASE(no_version, HVH_FAULT_MSG_OUT, MSG_VERSION, "the first message")
SILENCE_CASE(no_offers, HVH_FAULT_MSG_OUT, MSG_ALL_OFFERS, "what it offers")
SILENCE_CASE(no_gpadl, HVH_FAULT_MSG_OUT, MSG_GPADL_CREATED,
    "the sharing of memory")
SILENCE_CASE(no_open, HVH_FAULT_MSG_OUT, MSG_OPEN_RESULT,
    "the opening of a channel")
SILENCE_CASE(no_begin, HVH_FAULT_PKT_IN, OP_BEGIN, "the storage handshake")
SILENCE_CASE(no_vstor, HVH_FAULT_PKT_IN, OP_VERSION, "the storage version")
SILENCE_CASE(no_properties, HVH_FAULT_PKT_IN, OP_PROPERTIES,
    "storage properties")
SILENCE_CASE(no_subchannels, HVH_FAULT_PKT_IN, OP_SUBCHANNELS,
    "sub-channels")
SILENCE_CASE(no_end, HVH_FAULT_PKT_IN, OP_END, "the handshake's end")

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, disks);
	ATF_TP_ADD_TC(tp, virtual);
	ATF_TP_ADD_TC(tp, held);
	ATF_TP_ADD_TC(tp, held_rescan);
	ATF_TP_ADD_TC(tp, held_rescind);
	ATF_TP_ADD_TC(tp, held_unload);
	ATF_TP_ADD_TC(tp, no_version);
	ATF_TP_ADD_TC(tp, no_offers);
	ATF_TP_ADD_TC(tp, no_gpadl);
	ATF_TP_ADD_TC(tp, no_open);
	ATF_TP_ADD_TC(tp, no_begin);
	ATF_TP_ADD_TC(tp, no_vstor);
	ATF_TP_ADD_TC(tp, no_properties);
	ATF_TP_ADD_TC(tp, no_subchannels);
	ATF_TP_ADD_TC(tp, no_end);
	return (atf_no_error());
}
