/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Moving data: sizes, alignments, scattered memory, ends of the disk, errors
 * of the back end, hosts that answer late, never, twice or nonsense, and crash
 * dumps.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join.h"

/* SCSI and VSTOR numbers (protocol: storvsc, 3 and 8). */
#define	OP_EXECUTE_SRB	3
#define	OP_COMPLETE_IO	1

/* FreeBSD's errno where it differs from this system's. */
#define	FBSD_EIO	5
#define	FBSD_EROFS	30

ATF_TC(sizes);
ATF_TC_HEAD(sizes, tc)
{
	atf_tc_set_md_var(tc, "descr", "requests of every size from a sector "
	    "to 8 MiB, in physically scattered memory, without a copy");
}
ATF_TC_BODY(sizes, tc)
{
	static const size_t size[] = { 512, 1024, 4096, 4608, 8192, 61440,
	    65536, 131072, 135168, 262144, 1 << 20, (1 << 20) + 512, 3 << 20,
	    8 << 20 };
	struct join_config cf = { .vm = { .scatter = true },
	    .subchannels = 3, .disk_size = 16 << 20 };
	struct kpi_stats st;
	struct join j;
	unsigned i;

	join_start(&j, &cf);
	for (i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		join_verify("da0", 0, size[i], i);
		join_verify("da0", j.disk_size - size[i], size[i], 50 + i);
	}
	kpi_get_stats(&st);
	ATF_CHECK_EQ_MSG(0, st.bytes_bounced, "%ju bytes were copied",
	    (uintmax_t)st.bytes_bounced);
	join_finish(&j);
}

ATF_TC(unaligned);
ATF_TC_HEAD(unaligned, tc)
{
	atf_tc_set_md_var(tc, "descr", "buffers that begin and end within a "
	    "page arrive whole, and their neighbours stay as they were");
}
ATF_TC_BODY(unaligned, tc)
{
	static const size_t ofs[] = { 0, 8, 64, 512, 520, 4088 };
	static const size_t len[] = { 512, 3584, 4096, 12288, 66048 };
	struct join_config cf = { .vm = { .scatter = true } };
	unsigned char *buf, want[66048];
	struct join j;
	size_t i, k, n;

	join_start(&j, &cf);
	buf = kpi_mem_alloc(128 << 10);
	ATF_REQUIRE(buf != NULL);
	for (i = 0; i < sizeof(ofs) / sizeof(ofs[0]); i++)
		for (k = 0; k < sizeof(len) / sizeof(len[0]); k++) {
			join_pattern(buf + ofs[i], len[k], 0, i * 10 + k);
			ATF_REQUIRE_EQ(0, join_io("da0", KPI_DISK_WRITE, 4096,
			    buf + ofs[i], len[k]));
			memcpy(want, buf + ofs[i], len[k]);
			memset(buf, 0xa5, 128 << 10);
			ATF_REQUIRE_EQ(0, join_io("da0", KPI_DISK_READ, 4096,
			    buf + ofs[i], len[k]));
			ATF_CHECK(memcmp(want, buf + ofs[i], len[k]) == 0);
			for (n = 0; n < 128 << 10; n++)
				if ((n < ofs[i] || n >= ofs[i] + len[k]) &&
				    buf[n] != 0xa5)
					atf_tc_fail("offset %zu length %zu: "
					    "byte %zu was touched", ofs[i],
					    len[k], n);
		}
	kpi_mem_free(buf);
	join_finish(&j);
}

ATF_TC(depth);
ATF_TC_HEAD(depth, tc)
{
	atf_tc_set_md_var(tc, "descr", "200 requests at once from four "
	    "processors on four channels, each verified");
}
ATF_TC_BODY(depth, tc)
{
	struct join_config cf = { .subchannels = 3, .disk_size = 64 << 20 };
	struct hvh_stats st;
	struct join_load *l;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	l = join_load_start("da0", j.disk_size, 200);
	usleep(1000000);
	ATF_CHECK(join_load_stop(l, &errors) > 200);
	ATF_CHECK_EQ(0, errors);
	hvh_get_stats(j.host, &st);
	ATF_CHECK_EQ(0, st.rings_corrupt);
	join_finish(&j);
}

ATF_TC(small_ring);
ATF_TC_HEAD(small_ring, tc)
{
	atf_tc_set_md_var(tc, "descr", "rings far too small for the load: "
	    "requests wait for room and none is lost");
}
ATF_TC_BODY(small_ring, tc)
{
	static const char *const kenv[] = {
	    "hw.storvsc.ringbuffer_size=8192", NULL };
	struct join_config cf = { .vm = { .kenv = kenv },
	    .disk_size = 64 << 20 };
	struct join_load *l;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	l = join_load_start("da0", j.disk_size, 200);
	usleep(1000000);
	ATF_CHECK(join_load_stop(l, &errors) > 200);
	ATF_CHECK_EQ(0, errors);
	join_finish(&j);
}

ATF_TC(beyond_end);
ATF_TC_HEAD(beyond_end, tc)
{
	atf_tc_set_md_var(tc, "descr", "a request beyond the end fails and "
	    "the disk works on");
}
ATF_TC_BODY(beyond_end, tc)
{
	struct join_config cf = { 0 };
	struct join j;
	void *buf;

	join_start(&j, &cf);
	buf = kpi_mem_alloc(8192);
	ATF_CHECK(join_io("da0", KPI_DISK_READ, j.disk_size, buf, 4096) != 0);
	ATF_CHECK(join_io("da0", KPI_DISK_WRITE, j.disk_size - 4096, buf,
	    8192) != 0);
	kpi_mem_free(buf);
	join_verify("da0", j.disk_size - 4096, 4096, 9);
	join_finish(&j);
}

ATF_TC(delete);
ATF_TC_HEAD(delete, tc)
{
	atf_tc_set_md_var(tc, "descr", "UNMAP reaches the host and only the "
	    "range named reads back as zeros");
}
ATF_TC_BODY(delete, tc)
{
	struct join_config cf = { 0 };
	struct kpi_disk_info info;
	struct hvh_stats st;
	unsigned char *buf;
	struct join j;
	size_t i;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, kpi_disk_info("da0", &info));
	ATF_REQUIRE(info.candelete);
	join_verify("da0", 0, 4 << 20, 7);
	ATF_REQUIRE_EQ(0, join_io("da0", KPI_DISK_DELETE, 1 << 20, NULL,
	    1 << 20));
	hvh_get_stats(j.host, &st);
	ATF_CHECK(st.io_unmaps > 0);
	buf = kpi_mem_alloc(1 << 20);
	ATF_REQUIRE_EQ(0, join_io("da0", KPI_DISK_READ, 1 << 20, buf,
	    1 << 20));
	for (i = 0; i < 1 << 20; i++)
		if (buf[i] != 0)
			atf_tc_fail("byte %zu of the range is %#x", i, buf[i]);
	kpi_mem_free(buf);
	join_check("da0", 0, 1 << 20, 7);
	join_check("da0", 2 << 20, 2 << 20, 7);
	join_finish(&j);
}

ATF_TC(medium_error);
ATF_TC_HEAD(medium_error, tc)
{
	atf_tc_set_md_var(tc, "descr", "an error that lasts is EIO to the "
	    "reader; one that passes is retried");
}
ATF_TC_BODY(medium_error, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;
	void *buf;
	int error;

	join_start(&j, &cf);
	join_verify("da0", 0, 65536, 1);
	buf = kpi_mem_alloc(4096);
	/* READ fails for good. */
	join_fault(&j, HVH_FAULT_BLK, HVH_FAULT_STATUS, HVH_FAULT_ANY, 0, 0,
	    EIO);
	error = join_io("da0", KPI_DISK_READ, 0, buf, 4096);
	ATF_CHECK_EQ_MSG(FBSD_EIO, error, "error %d", error);
	hvh_fault_clear(j.host);
	kpi_mem_free(buf);
	join_check("da0", 0, 65536, 1);
	join_finish(&j);
}

/* The host swallows requests: those must end, and the disk must live on. */
static void
check_lost(struct join *j, enum hvh_fault_point point, uint32_t key,
    uint32_t times)
{

	join_verify("da0", 0, 65536, 1);
	join_fault(j, point, HVH_FAULT_DROP, key, 0, times, 0);
	join_verify("da0", 65536, 65536, 2);
	hvh_fault_clear(j->host);
	join_check("da0", 0, 65536, 1);
	ATF_CHECK(join_sysctl("dev.storvsc.0.timeouts") > 0);
}

ATF_TC(request_lost);
ATF_TC_HEAD(request_lost, tc)
{
	atf_tc_set_md_var(tc, "descr", "a request the host never answers is "
	    "timed out and made again");
}
ATF_TC_BODY(request_lost, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;

	join_start(&j, &cf);
	check_lost(&j, HVH_FAULT_PKT_IN, OP_EXECUTE_SRB, 1);
	join_finish(&j);
}

ATF_TC(completion_lost);
ATF_TC_HEAD(completion_lost, tc)
{
	atf_tc_set_md_var(tc, "descr", "a completion that gets lost is timed "
	    "out and the request made again");
}
ATF_TC_BODY(completion_lost, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;

	join_start(&j, &cf);
	check_lost(&j, HVH_FAULT_PKT_OUT, OP_COMPLETE_IO, 1);
	join_finish(&j);
}

ATF_TC(completion_late);
ATF_TC_HEAD(completion_late, tc)
{
	atf_tc_set_md_var(tc, "descr", "a completion later than the time-out "
	    "is recognised and harms nothing");
}
ATF_TC_BODY(completion_late, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;

	join_start(&j, &cf);
	join_verify("da0", 0, 65536, 1);
	join_fault(&j, HVH_FAULT_PKT_OUT, HVH_FAULT_DELAY, OP_COMPLETE_IO, 0,
	    1, 62ULL * 1000000000);
	join_verify("da0", 65536, 65536, 2);
	hvh_fault_clear(j.host);
	join_verify("da0", 131072, 65536, 3);
	join_check("da0", 65536, 65536, 2);
	join_finish(&j);
}

ATF_TC(completion_twice);
ATF_TC_HEAD(completion_twice, tc)
{
	atf_tc_set_md_var(tc, "descr", "completions sent twice are counted "
	    "and dropped");
}
ATF_TC_BODY(completion_twice, tc)
{
	struct join_config cf = { .subchannels = 3 };
	struct join j;

	join_start(&j, &cf);
	join_fault(&j, HVH_FAULT_PKT_OUT, HVH_FAULT_DUP, OP_COMPLETE_IO, 0,
	    20, 0);
	join_verify("da0", 0, 4 << 20, 1);
	ATF_CHECK(hvh_fault_count(j.host, HVH_FAULT_PKT_OUT) > 0);
	hvh_fault_clear(j.host);
	join_verify("da0", 0, 1 << 20, 2);
	ATF_CHECK(join_sysctl("dev.storvsc.0.bad_packets") > 0);
	join_finish(&j);
}

ATF_TC(completion_reordered);
ATF_TC_HEAD(completion_reordered, tc)
{
	atf_tc_set_md_var(tc, "descr", "completions in any order find their "
	    "requests");
}
ATF_TC_BODY(completion_reordered, tc)
{
	struct join_config cf = { .disk_size = 64 << 20 };
	struct join_load *l;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	join_fault(&j, HVH_FAULT_PKT_OUT, HVH_FAULT_HOLD, OP_COMPLETE_IO, 50,
	    50, 0);
	l = join_load_start("da0", j.disk_size, 64);
	usleep(500000);
	ATF_CHECK(join_load_stop(l, &errors) > 100);
	ATF_CHECK_EQ(0, errors);
	ATF_CHECK(hvh_fault_count(j.host, HVH_FAULT_PKT_OUT) > 0);
	join_finish(&j);
}

/*
 * Every field of a completion, out of range: the driver neither crashes nor
 * believes it, the request is made again, data stays right.  Offsets as in
 * protocol: storvsc, 3 (packet offsets).
 */
ATF_TC(completion_fields);
ATF_TC_HEAD(completion_fields, tc)
{
	atf_tc_set_md_var(tc, "descr", "each field of a completion out of "
	    "range, one after the other");
	atf_tc_set_md_var(tc, "timeout", "240");
}
ATF_TC_BODY(completion_fields, tc)
{
	static const struct {
		uint32_t	offset, len;
		uint64_t	value;
	} field[] = {
		{ 0, 4, 0 }, { 0, 4, 3 }, { 0, 4, 0xffffffff },
		{ 4, 4, 0xffffffff }, { 8, 4, 0xc0000001 },
		{ 12, 2, 0 }, { 12, 2, 0xffff },
		{ 14, 1, 0 }, { 14, 1, 0x3f }, { 14, 1, 0xff }, { 14, 1, 0x81 },
		{ 15, 1, 0xff }, { 15, 1, 0x02 },
		{ 18, 1, 0xff }, { 19, 1, 0xff },
		{ 21, 1, 0xff }, { 21, 1, 0 }, { 22, 1, 0xff },
		{ 24, 4, 0xffffffff }, { 24, 4, 0x7fffffff }, { 24, 4, 0 },
	};
	struct join_config cf = { .fast_clock = true };
	struct hvh_fault f = { .point = HVH_FAULT_PKT_OUT,
	    .action = HVH_FAULT_CORRUPT, .key = OP_COMPLETE_IO, .times = 1 };
	struct join j;
	unsigned char *buf;
	unsigned i;

	join_start(&j, &cf);
	join_verify("da0", 0, 65536, 1);
	buf = kpi_mem_alloc(4096);
	for (i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		f.offset = field[i].offset;
		f.len = field[i].len;
		f.arg = field[i].value;
		ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
		/* May fail or be retried; must end. */
		(void)join_io("da0", KPI_DISK_READ, 0, buf, 4096);
		hvh_fault_clear(j.host);
		join_check("da0", 0, 65536, 1);
	}
	kpi_mem_free(buf);
	join_finish(&j);
}

ATF_TC(completion_short);
ATF_TC_HEAD(completion_short, tc)
{
	atf_tc_set_md_var(tc, "descr", "completions cut to every length");
	atf_tc_set_md_var(tc, "timeout", "240");
}
ATF_TC_BODY(completion_short, tc)
{
	struct join_config cf = { .fast_clock = true };
	unsigned char *buf;
	struct join j;
	unsigned len;

	join_start(&j, &cf);
	join_verify("da0", 0, 65536, 1);
	buf = kpi_mem_alloc(4096);
	for (len = 0; len < 64; len += 8) {
		join_fault(&j, HVH_FAULT_PKT_OUT, HVH_FAULT_TRUNCATE,
		    OP_COMPLETE_IO, 0, 1, len);
		(void)join_io("da0", KPI_DISK_READ, 0, buf, 4096);
		hvh_fault_clear(j.host);
		join_check("da0", 0, 65536, 1);
	}
	kpi_mem_free(buf);
	join_finish(&j);
}

ATF_TC(reset);
ATF_TC_HEAD(reset, tc)
{
	atf_tc_set_md_var(tc, "descr", "LUN and bus resets under load: "
	    "requests are made again, nothing is lost");
}
ATF_TC_BODY(reset, tc)
{
	struct join_config cf = { .subchannels = 3, .disk_size = 64 << 20 };
	struct join_load *l;
	struct join j;
	uint64_t errors;
	unsigned i;

	join_start(&j, &cf);
	l = join_load_start("da0", j.disk_size, 32);
	for (i = 0; i < 10; i++) {
		usleep(50000);
		ATF_CHECK_EQ(0, kpi_cam_reset("storvsc", 0, 0, 0));
		usleep(50000);
		ATF_CHECK_EQ(0, kpi_cam_reset("storvsc", 0, -1, -1));
	}
	ATF_CHECK(join_load_stop(l, &errors) > 100);
	ATF_CHECK_EQ(0, errors);
	ATF_CHECK(join_sysctl("dev.storvsc.0.lun_resets") > 0);
	ATF_CHECK(join_sysctl("dev.storvsc.0.bus_resets") > 0);
	join_finish(&j);
}

ATF_TC(host_stops);
ATF_TC_HEAD(host_stops, tc)
{
	atf_tc_set_md_var(tc, "descr", "a host that answers nothing more, not "
	    "even resets: every request ends with an error");
	atf_tc_set_md_var(tc, "timeout", "240");
}
ATF_TC_BODY(host_stops, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;
	void *buf;

	join_start(&j, &cf);
	buf = kpi_mem_alloc(4096);
	join_fault(&j, HVH_FAULT_PKT_IN, HVH_FAULT_DROP, HVH_FAULT_ANY, 0, 0,
	    0);
	ATF_CHECK(join_io("da0", KPI_DISK_READ, 0, buf, 4096) != 0);
	kpi_mem_free(buf);
	hvh_fault_clear(j.host);
	join_finish(&j);
}

ATF_TC(dump);
ATF_TC_HEAD(dump, tc)
{
	atf_tc_set_md_var(tc, "descr", "a crash dump by polling, with other "
	    "processors stopped and requests outstanding, is on the disk");
}
ATF_TC_BODY(dump, tc)
{
	struct join_config cf = { .subchannels = 3, .disk_size = 64 << 20 };
	struct join_load *l;
	struct join j;
	uint64_t errors;
	void *buf;

	join_start(&j, &cf);
	buf = kpi_mem_alloc(4 << 20);
	join_pattern(buf, 4 << 20, 32 << 20, 77);
	l = join_load_start("da0", 16 << 20, 32);
	usleep(200000);
	ATF_REQUIRE_EQ(0, kpi_disk_dump("da0", 32 << 20, buf, 4 << 20));
	ATF_CHECK(join_load_stop(l, &errors) > 0);
	kpi_mem_free(buf);
	join_check("da0", 32 << 20, 4 << 20, 77);
	join_finish(&j);
}

ATF_TC(readonly);
ATF_TC_HEAD(readonly, tc)
{
	atf_tc_set_md_var(tc, "descr", "a read-only disk says so and refuses "
	    "writes");
}
ATF_TC_BODY(readonly, tc)
{
	struct join_config cf = { .no_load = true };
	struct hvh_blk_params bp = { .size = 4 << 20, .block_size = 512,
	    .readonly = true };
	struct hvh_lun_params lp = { 0 };
	struct join j;
	char msg[256];
	void *buf;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, hvh_blk_open(j.host, &bp, &lp.blk, msg,
	    sizeof(msg)));
	ATF_REQUIRE_EQ(0, hvh_scsi_attach(j.scsi[0], 1, &lp));
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da1", 20000));
	buf = kpi_mem_alloc(4096);
	ATF_CHECK_EQ(0, join_io("da1", KPI_DISK_READ, 0, buf, 4096));
	ATF_CHECK_EQ(FBSD_EROFS, join_io("da1", KPI_DISK_WRITE, 0, buf,
	    4096));
	kpi_mem_free(buf);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, sizes);
	ATF_TP_ADD_TC(tp, unaligned);
	ATF_TP_ADD_TC(tp, depth);
	ATF_TP_ADD_TC(tp, small_ring);
	ATF_TP_ADD_TC(tp, beyond_end);
	ATF_TP_ADD_TC(tp, delete);
	ATF_TP_ADD_TC(tp, medium_error);
	ATF_TP_ADD_TC(tp, request_lost);
	ATF_TP_ADD_TC(tp, completion_lost);
	ATF_TP_ADD_TC(tp, completion_late);
	ATF_TP_ADD_TC(tp, completion_twice);
	ATF_TP_ADD_TC(tp, completion_reordered);
	ATF_TP_ADD_TC(tp, completion_fields);
	ATF_TP_ADD_TC(tp, completion_short);
	ATF_TP_ADD_TC(tp, reset);
	ATF_TP_ADD_TC(tp, host_stops);
	ATF_TP_ADD_TC(tp, dump);
	ATF_TP_ADD_TC(tp, readonly);
	return (atf_no_error());
}
