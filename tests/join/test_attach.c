/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Attaching: every version of both protocols, every shape of machine, and
 * that it can be undone as often as one likes.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"

/* A machine of the given version moves data; what it says it speaks is so. */
static void
check_version(uint32_t vmbus, uint16_t vstor, const char *text)
{
	struct join_config cf = {
		.vm = { .max_version = vmbus }, .vstor_version = vstor,
		.subchannels = 3,
	};
	struct hvh_stats st;
	struct join j;
	char version[32];

	join_start(&j, &cf);
	ATF_CHECK_EQ(0, kpi_sysctl_get("dev.vmbus.0.version", version,
	    sizeof(version)));
	ATF_CHECK_STREQ(text, version);
	hvh_get_stats(j.host, &st);
	if (vmbus != 0)
		ATF_CHECK_EQ(vmbus, st.connected);
	join_verify("da0", 0, 1 << 20, 1);
	join_verify("da0", j.disk_size - 4096, 4096, 2);
	ATF_CHECK_EQ(0, join_io("da0", KPI_DISK_FLUSH, 0, NULL, 0));
	hvh_get_stats(j.host, &st);
	ATF_CHECK_EQ(0, st.messages_bad);
	ATF_CHECK_EQ(0, st.rings_corrupt);
	join_finish(&j);
}

#define	VERSION_CASE(name, vmbus, vstor, text)				\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", "bus " text		\
		    ", storage " #vstor ": attach, move data, detach");	\
	}								\
	ATF_TC_BODY(name, tc)						\
	{								\
		check_version(vmbus, vstor, text);			\
	}

VERSION_CASE(vmbus_0_13, 0x0000000d, 0x0200, "0.13")
VERSION_CASE(vmbus_1_1, 0x00010001, 0x0402, "1.1")
VERSION_CASE(vmbus_2_4, 0x00020004, 0x0501, "2.4")
VERSION_CASE(vmbus_3_0, 0x00030000, 0x0600, "3.0")
VERSION_CASE(vmbus_4_0, 0x00040000, 0x0602, "4.0")
VERSION_CASE(vmbus_4_1, 0x00040001, 0x0602, "4.1")
VERSION_CASE(vmbus_5_0, 0x00050000, 0x0602, "5.0")
VERSION_CASE(vmbus_5_1, 0x00050001, 0x0602, "5.1")
VERSION_CASE(vmbus_5_2, 0x00050002, 0x0602, "5.2")
VERSION_CASE(vmbus_5_3, 0x00050003, 0x0602, "5.3")
VERSION_CASE(vstor_2_0, 0, 0x0200, "5.3")
VERSION_CASE(vstor_4_2, 0, 0x0402, "5.3")
VERSION_CASE(vstor_5_1, 0, 0x0501, "5.3")
VERSION_CASE(vstor_6_0, 0, 0x0600, "5.3")

ATF_TC(dmesg);
ATF_TC_HEAD(dmesg, tc)
{
	atf_tc_set_md_var(tc, "descr", "the kernel's messages name bus, "
	    "controller and disk as FreeBSD's users know them");
}

static struct {
	char		text[65536];
	size_t		len;
} console;

static void
collect(void *arg, const char *line)
{

	console.len += (size_t)snprintf(console.text + console.len,
	    sizeof(console.text) - console.len, "%s\n", line);
	if (console.len >= sizeof(console.text))
		console.len = sizeof(console.text) - 1;
}

ATF_TC_BODY(dmesg, tc)
{
	static const char *const want[] = {
		"vmbus0: <", "vmbus0: version 5.3",
		"storvsc0: <", " on vmbus0",
		"da0 at storvsc0 bus 0 scbus0 target 0 lun 0",
		"da0: <Msft Virtual Disk 1.0> Fixed Direct Access SPC-3",
		"da0: Command Queueing enabled",
		"da0: 8MB (16384 512 byte sectors)",
	};
	struct join_config cf = { .vm = { .console = collect } };
	struct join j;
	size_t i;

	join_start(&j, &cf);
	join_finish(&j);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ATF_CHECK_MSG(strstr(console.text, want[i]) != NULL,
		    "no \"%s\" in:\n%s", want[i], console.text);
}

ATF_TC(eoi_explicit);
ATF_TC_HEAD(eoi_explicit, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that recommends against "
	    "AutoEOI is obeyed, and data moves");
}
ATF_TC_BODY(eoi_explicit, tc)
{
	struct join_config cf = { .vm = { .no_autoeoi = true } };
	struct join j;

	join_start(&j, &cf);
	join_verify("da0", 0, 4 << 20, 3);
	join_finish(&j);
}

ATF_TC(channels);
ATF_TC_HEAD(channels, tc)
{
	atf_tc_set_md_var(tc, "descr", "one channel a processor, as far as "
	    "the host grants");
}
ATF_TC_BODY(channels, tc)
{
	struct join_config cf = { .vm = { .cpus = 4 }, .subchannels = 3 };
	struct hvh_stats st;
	struct join j;

	join_start(&j, &cf);
	hvh_get_stats(j.host, &st);
	ATF_CHECK_EQ(4, st.channels_open);
	join_verify("da0", 0, 1 << 20, 4);
	join_finish(&j);
}

ATF_TC(channels_none);
ATF_TC_HEAD(channels_none, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host without sub-channels, a guest "
	    "with one processor");
}
ATF_TC_BODY(channels_none, tc)
{
	struct join_config cf = { .vm = { .cpus = 1 }, .subchannels = 15 };
	struct hvh_stats st;
	struct join j;

	join_start(&j, &cf);
	hvh_get_stats(j.host, &st);
	ATF_CHECK_EQ(1, st.channels_open);
	join_verify("da0", 0, 1 << 20, 5);
	join_finish(&j);
}

ATF_TC(luns_64);
ATF_TC_HEAD(luns_64, tc)
{
	atf_tc_set_md_var(tc, "descr", "64 LUNs on one controller are da0 to "
	    "da63 in order, and each is itself");
}
ATF_TC_BODY(luns_64, tc)
{
	struct join_config cf = { .luns = 64, .disk_size = 1 << 20 };
	struct kpi_disk_info info;
	struct join j;
	char name[16];
	unsigned i;

	join_start(&j, &cf);
	for (i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "da%u", i);
		ATF_REQUIRE_EQ(0, kpi_disk_info(name, &info));
		ATF_CHECK_EQ(i, info.lun);
		ATF_CHECK_EQ(0, info.target);
		ATF_CHECK_STREQ("storvsc", info.sim);
		join_verify(name, 65536, 4096, i);
	}
	for (i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "da%u", i);
		join_check(name, 65536, 4096, i);
	}
	join_finish(&j);
}

ATF_TC(lun_0_empty);
ATF_TC_HEAD(lun_0_empty, tc)
{
	atf_tc_set_md_var(tc, "descr", "disks are found behind an empty LUN 0");
}
ATF_TC_BODY(lun_0_empty, tc)
{
	struct join_config cf = { .no_load = true };
	struct kpi_disk_info info;
	struct join j;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, hvh_scsi_detach(j.scsi[0], 0));
	join_attach(&j, 0, 8, 2 << 20);
	join_attach(&j, 0, 63, 3 << 20);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da1", 20000));
	ATF_REQUIRE_EQ(0, kpi_disk_info("da0", &info));
	ATF_CHECK_EQ(8, info.lun);
	ATF_CHECK_EQ(2 << 20, info.size);
	ATF_REQUIRE_EQ(0, kpi_disk_info("da1", &info));
	ATF_CHECK_EQ(63, info.lun);
	ATF_CHECK_EQ(3 << 20, info.size);
	join_finish(&j);
}

ATF_TC(controllers);
ATF_TC_HEAD(controllers, tc)
{
	atf_tc_set_md_var(tc, "descr", "four controllers, each with disks of "
	    "its own");
}
ATF_TC_BODY(controllers, tc)
{
	struct join_config cf = { .controllers = 4, .luns = 2 };
	struct join j;
	char name[16];
	unsigned i;

	join_start(&j, &cf);
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "da%u", i);
		join_verify(name, 0, 65536, 100 + i);
	}
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "da%u", i);
		join_check(name, 0, 65536, 100 + i);
	}
	join_finish(&j);
}

ATF_TC(ide);
ATF_TC_HEAD(ide, tc)
{
	atf_tc_set_md_var(tc, "descr", "IDE-accelerated disks of both "
	    "channels and drives attach as da by way of blkvsc");
}
ATF_TC_BODY(ide, tc)
{
	struct join_config cf = { .no_load = true };
	struct hvh_blk_params bp = { .size = 4 << 20, .block_size = 512 };
	struct kpi_disk_info info;
	struct hvh_lun_params lp;
	struct hvh_scsi *s;
	struct join j;
	char name[16], msg[256];
	unsigned i, blkvsc;

	join_start(&j, &cf);
	for (i = 0; i < 4; i++) {
		memset(&lp, 0, sizeof(lp));
		ATF_REQUIRE_EQ(0, hvh_blk_open(j.host, &bp, &lp.blk, msg,
		    sizeof(msg)));
		ATF_REQUIRE_EQ(0, hvh_ide_add(j.host, i / 2, i % 2, &lp, &s));
	}
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da4", 20000));
	for (i = blkvsc = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "da%u", i);
		ATF_REQUIRE_EQ(0, kpi_disk_info(name, &info));
		if (strcmp(info.sim, "blkvsc") == 0)
			blkvsc++;
		join_verify(name, 0, 65536, i);
	}
	ATF_CHECK_EQ(4, blkvsc);
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "da%u", i);
		join_check(name, 0, 65536, i);
	}
	join_finish(&j);
}

/* 1,000 rounds take too long there; each other case loads and unloads once. */
#if __has_feature(thread_sanitizer)
#define	SLOW	1
#else
#define	SLOW	0
#endif

/* Threads of the last round may still be on their way out. */
static bool
as_after_first(void *arg)
{
	const struct kpi_stats *first = arg;
	struct kpi_stats now;

	join_usage(&now);
	return (now.malloc_bytes == first->malloc_bytes &&
	    now.threads == first->threads);
}

ATF_TC(reload_1000);
ATF_TC_HEAD(reload_1000, tc)
{
	atf_tc_set_md_var(tc, "descr", "1,000 rounds of loading and unloading "
	    "the drivers leave nothing behind");
	atf_tc_set_md_var(tc, "timeout", "240");
}
ATF_TC_BODY(reload_1000, tc)
{
	struct join_config cf = { .vm = { .quiet = true }, .subchannels = 1,
	    .no_load = true };
	struct kpi_stats first;
	struct hvh_stats st;
	struct join j;
	unsigned i;

	join_start(&j, &cf);
	for (i = 0; i < 1000; i++) {
		ATF_REQUIRE_EQ(0, vm_load());
		if (i % 100 == 0) {
			ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
			join_verify("da0", 0, 65536, i);
		}
		ATF_REQUIRE_EQ(0, vm_unload());
		hvh_get_stats(j.host, &st);
		ATF_REQUIRE_EQ(0, st.gpadls);
		ATF_REQUIRE_EQ(0, st.channels_open);
		if (i == 0) {
			usleep(100000);
			join_usage(&first);
		}
	}
	ATF_CHECK_MSG(join_wait(as_after_first, &first, 2000),
	    "more memory or threads than after the first round");
	ATF_REQUIRE_EQ(0, vm_load());
	join_finish(&j);
}

ATF_TC(memory);
ATF_TC_HEAD(memory, tc)
{
	atf_tc_set_md_var(tc, "descr", "a controller takes under 1 MiB beside "
	    "its rings with 32 requests outstanding");
}
ATF_TC_BODY(memory, tc)
{
	struct join_config cf = { .subchannels = 3 };
	struct join_load *l;
	struct join j;
	uint64_t errors;
	kpi_u64 bytes;

	join_start(&j, &cf);
	l = join_load_start("da0", j.disk_size, 32);
	usleep(300000);
	bytes = kpi_malloc_type_bytes("storvsc");
	ATF_CHECK(join_load_stop(l, &errors) > 0);
	ATF_CHECK_EQ(0, errors);
	printf("driver memory of one controller: %ju bytes\n",
	    (uintmax_t)bytes);
	ATF_CHECK(bytes > 0);
	ATF_CHECK(bytes < 1 << 20);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, vmbus_0_13);
	ATF_TP_ADD_TC(tp, vmbus_1_1);
	ATF_TP_ADD_TC(tp, vmbus_2_4);
	ATF_TP_ADD_TC(tp, vmbus_3_0);
	ATF_TP_ADD_TC(tp, vmbus_4_0);
	ATF_TP_ADD_TC(tp, vmbus_4_1);
	ATF_TP_ADD_TC(tp, vmbus_5_0);
	ATF_TP_ADD_TC(tp, vmbus_5_1);
	ATF_TP_ADD_TC(tp, vmbus_5_2);
	ATF_TP_ADD_TC(tp, vmbus_5_3);
	ATF_TP_ADD_TC(tp, vstor_2_0);
	ATF_TP_ADD_TC(tp, vstor_4_2);
	ATF_TP_ADD_TC(tp, vstor_5_1);
	ATF_TP_ADD_TC(tp, vstor_6_0);
	ATF_TP_ADD_TC(tp, dmesg);
	ATF_TP_ADD_TC(tp, eoi_explicit);
	ATF_TP_ADD_TC(tp, channels);
	ATF_TP_ADD_TC(tp, channels_none);
	ATF_TP_ADD_TC(tp, luns_64);
	ATF_TP_ADD_TC(tp, lun_0_empty);
	ATF_TP_ADD_TC(tp, controllers);
	ATF_TP_ADD_TC(tp, ide);
	if (!SLOW)
		ATF_TP_ADD_TC(tp, reload_1000);
	ATF_TP_ADD_TC(tp, memory);
	return (atf_no_error());
}
