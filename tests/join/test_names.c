/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The names that users and their scripts know: sysctls, tunables, the device
 * tree as devinfo(8) and devmatch(8) see it.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join.h"

#define	SCSI_CLASS	"ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
#define	INSTANCE	"2b1d7a60-5d3c-4f0e-8e0a-000000000000"

static void
get(char *value, size_t len, const char *name)
{
	int error;

	error = kpi_sysctl_get(name, value, len);
	ATF_CHECK_EQ_MSG(0, error, "%s: error %d", name, error);
}

static void
is(const char *name, const char *want)
{
	char value[256];

	get(value, sizeof(value), name);
	ATF_CHECK_STREQ_MSG(want, value, "%s is \"%s\"", name, value);
}

static void __attribute__((format(printf, 1, 2)))
exists(const char *fmt, ...)
{
	char name[128], value[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	get(value, sizeof(value), name);
}

static struct {
	char	text[16384];
	size_t	len;
} tree;

static void
tree_line(void *arg, const char *line)
{

	tree.len += (size_t)snprintf(tree.text + tree.len,
	    sizeof(tree.text) - tree.len, "%s\n", line);
	if (tree.len >= sizeof(tree.text))
		tree.len = sizeof(tree.text) - 1;
}

ATF_TC(devices);
ATF_TC_HEAD(devices, tc)
{
	atf_tc_set_md_var(tc, "descr", "the device tree names bus and "
	    "controller, class and instance");
}
ATF_TC_BODY(devices, tc)
{
	struct join_config cf = { 0 };
	struct join j;
	char value[256];

	join_start(&j, &cf);
	is("dev.vmbus.0.%driver", "vmbus");
	is("dev.vmbus.0.%desc", "Hyper-V VMBus");
	is("dev.vmbus.0.%parent", "acpi0");
	is("dev.storvsc.0.%driver", "storvsc");
	is("dev.storvsc.0.%desc", "Hyper-V SCSI");
	is("dev.storvsc.0.%parent", "vmbus0");
	is("dev.storvsc.0.%pnpinfo", "classid=" SCSI_CLASS " deviceid="
	    INSTANCE);
	get(value, sizeof(value), "dev.storvsc.0.%location");
	ATF_CHECK_MSG(strncmp(value, "channel=", 8) == 0, "%s", value);
	kpi_devinfo(tree_line, NULL);
	ATF_CHECK_MSG(strstr(tree.text, "classid=" SCSI_CLASS) != NULL,
	    "%s", tree.text);
	join_finish(&j);
}

ATF_TC(sysctls);
ATF_TC_HEAD(sysctls, tc)
{
	atf_tc_set_md_var(tc, "descr", "the sysctls of bus, controller and "
	    "channels are where they have always been");
}
ATF_TC_BODY(sysctls, tc)
{
	static const char *const channel[] = { "cpu", "mnf", "br.rx.state",
	    "br.rx.state_bin", "br.tx.state", "br.tx.state_bin" };
	static const char *const tunable[] = { "use_win8ext_flags",
	    "use_pim_unmapped", "ringbuffer_size", "max_io", "chan_cnt" };
	struct join_config cf = { .subchannels = 3 };
	struct join j;
	char value[256];
	unsigned id, i;

	join_start(&j, &cf);
	is("dev.vmbus.0.version", "5.3");
	get(value, sizeof(value), "dev.storvsc.0.%location");
	id = (unsigned)strtoul(value + strlen("channel="), NULL, 10);
	ATF_CHECK(id > 0);
	for (i = 0; i < sizeof(channel) / sizeof(channel[0]); i++) {
		exists("dev.storvsc.0.channel.%u.%s", id, channel[i]);
		exists("dev.storvsc.0.channel.%u.sub.1.%s", id, channel[i]);
		exists("dev.storvsc.0.channel.%u.sub.3.%s", id, channel[i]);
	}
	exists("dev.storvsc.0.channel.%u.sub.1.chanid", id);
	join_verify("da0", 0, 65536, 1);
	exists("dev.storvsc.0.channel.%u.send_req", id);
	ATF_CHECK(join_sysctl("dev.storvsc.0.data_vaddr_cnt") > 0);
	exists("dev.storvsc.0.data_bio_cnt");
	exists("dev.storvsc.0.data_sg_cnt");
	for (i = 0; i < sizeof(tunable) / sizeof(tunable[0]); i++)
		exists("hw.storvsc.%s", tunable[i]);
	join_finish(&j);
}

ATF_TC(tunables);
ATF_TC_HEAD(tunables, tc)
{
	atf_tc_set_md_var(tc, "descr", "loader tunables limit channels and the "
	    "size of a request");
}
ATF_TC_BODY(tunables, tc)
{
	static const char *const kenv[] = { "hw.storvsc.chan_cnt=2",
	    "hw.storvsc.max_io=16", NULL };
	struct join_config cf = { .vm = { .kenv = kenv }, .subchannels = 3 };
	struct hvh_stats before, after;
	struct join j;
	char *buf;

	join_start(&j, &cf);
	hvh_get_stats(j.host, &before);
	ATF_CHECK_EQ(2, before.channels_open);
	is("hw.storvsc.chan_cnt", "2");
	is("hw.storvsc.max_io", "16");
	/* What does not fit one of 16 at a time waits, and arrives. */
	join_verify("da0", 0, 4 << 20, 1);
	buf = kpi_mem_alloc(64 << 10);
	ATF_REQUIRE(buf != NULL);
	hvh_get_stats(j.host, &before);
	ATF_CHECK_EQ(0, join_io("da0", KPI_DISK_READ, 0, buf, 64 << 10));
	hvh_get_stats(j.host, &after);
	ATF_CHECK_EQ(1, after.io_requests - before.io_requests);
	kpi_mem_free(buf);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, devices);
	ATF_TP_ADD_TC(tp, sysctls);
	ATF_TP_ADD_TC(tp, tunables);
	return (atf_no_error());
}
