/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Traces: what is written comes back, in words; files that are cut off or
 * damaged.
 */

#include <atf-c.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "echo.h"
#include "guest.h"
#include "hvctl_run.h"
#include "trace_make.h"

static void
offer_class(unsigned ms, uint32_t chan, const char *class)
{
	uint8_t m[196] = { 0 };
	struct hvh_guid guid;

	m[0] = 1;
	hvh_guid_parse(class, &guid);
	memcpy(m + 8, guid.b, 16);
	m[24 + 15] = 9;
	put32(m + 184, chan);
	put32(m + 192, 0x2000 + chan);
	trace_event(ms, HVH_TRACE_MESSAGE, true, 0, m, sizeof(m));
}

static void
offer(unsigned ms, uint32_t chan)
{

	offer_class(ms, chan, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
}

/* A packet of a network channel; ranges: of so many transfer pages. */
static void
nvsp(unsigned ms, bool out, uint8_t type, uint64_t xid, unsigned ranges,
    const uint32_t *words, unsigned nwords)
{
	uint8_t p[256] = { type };
	unsigned hdr = ranges == 0 ? 0 : 8 + ranges * 8;

	p[2] = (uint8_t)((16 + hdr) / 8);
	put64(p + 8, xid);
	if (ranges > 0)
		put32(p + 20, ranges);
	for (unsigned i = 0; i < nwords; i++)
		put32(p + 16 + hdr + i * 4, words[i]);
	trace_event(ms, HVH_TRACE_PACKET, out, 4, p, 16 + hdr + nwords * 4);
}

#define	NVSP(ms, out, type, xid, ranges, ...)				\
	nvsp(ms, out, type, xid, ranges, (const uint32_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

/* An SRB with a command of 16 bytes, behind as many pages as it wants. */
static void
srb(unsigned ms, uint64_t xid, const char *cdb, uint32_t bytes, bool in,
    unsigned npfn)
{
	static uint8_t p[8192];
	unsigned hdr = npfn == 0 ? 0 : 16 + npfn * 8;

	memset(p, 0, sizeof(p));
	p[0] = npfn == 0 ? 6 : 9;
	p[2] = (uint8_t)((16 + hdr) / 8);
	p[3] = (uint8_t)((16 + hdr) / 8 >> 8);
	p[6] = 1;
	put64(p + 8, xid);
	if (hdr > 0) {
		put32(p + 20, 1);
		put32(p + 24, bytes);
	}
	put32(p + 16 + hdr, 3);
	p[16 + hdr + 12 + 7] = 2;	/* LUN */
	p[16 + hdr + 12 + 10] = in;
	put32(p + 16 + hdr + 24, bytes);
	memcpy(p + 16 + hdr + 28, cdb, 16);
	trace_event(ms, HVH_TRACE_PACKET, false, 3, p, 16 + hdr + 64);
}

static void
answer(unsigned ms, uint64_t xid, uint32_t status, uint8_t srb_status,
    uint8_t scsi)
{
	uint8_t p[80] = { 11, 0, 2, 0, 10 };

	put64(p + 8, xid);
	put32(p + 16, 1);
	put32(p + 24, status);
	p[16 + 14] = srb_status;
	p[16 + 15] = scsi;
	put32(p + 16 + 24, 4096);
	p[16 + 28 + 2] = 5;
	p[16 + 28 + 12] = 0x24;
	trace_event(ms, HVH_TRACE_PACKET, true, 3, p, sizeof(p));
}

#define	READ10	"\x28\0\0\0\x08\0\0\0\x08\0\0\0\0\0\0\0"
#define	UNMAP	"\x42\0\0\0\0\0\0\0\x18\0\0\0\0\0\0\0"

/* Of each kind something. */
static void
sample(const char *path)
{
	uint8_t m[40] = { 0 }, q[80] = { 6, 0, 2, 0, 10 };

	trace_begin(path, 0);
	m[0] = 14;
	put32(m + 8, 0x50003);
	m[16] = 2;
	trace_event(1, HVH_TRACE_MESSAGE, false, 0, m, 40);
	trace_message(2, true, 15, 1, 4, 0, 16);
	offer(3, 3);
	trace_message(4, false, 8, 3, 0xE1E10, 0x10048, 60);
	trace_message(5, true, 10, 3, 0xE1E10, 0, 20);
	trace_message(6, false, 5, 3, 1, 0xE1E10, 148);
	trace_message(7, true, 6, 3, 1, 0xC0000001, 20);
	trace_message(8, false, 99, 1, 2, 3, 20);
	trace_message(9, false, 5, 3, 1, 2, 20);
	trace_event(10, HVH_TRACE_SIGNAL, false, 3, NULL, 0);
	put32(q + 16, 9);
	put32(q + 28, 0x0602);
	put64(q + 8, 1);
	trace_event(11, HVH_TRACE_PACKET, false, 3, q, sizeof(q));
	answer(12, 1, 0, 0, 0);
	srb(13, 0x77, READ10, 4096, true, 300);
	answer(15, 0x77, 0, 0x01, 0);
	srb(16, 0x78, UNMAP, 24, false, 1);
	answer(17, 0x78, 0xC0000185, 0x84, 2);
	trace_event(18, HVH_TRACE_PACKET, false, 9, q, sizeof(q));
	trace_event(19, HVH_TRACE_SIGNAL, true, 3, NULL, 0);
	trace_event(20, HVH_TRACE_CORRUPT, false, 3, "index", 5);
	tracer_close(tracer);
}

ATF_TC_WITHOUT_HEAD(words);
ATF_TC_BODY(words, tc)
{
	static const char *const want[] = {
		"in      -   -  CONTACT version 5.3, messages to VP 0, SINT 2",
		"out     -   -  VERSION_RESPONSE supported, connection 0x4\n",
		"out     3   -  OFFER channel 3: SCSI "
		"ba6163d9-04a1-4d29-b605-72e2ffb1dc7f, instance "
		"00000000-0000-0000-0000-000000000009, connection 0x2003\n",
		"GPADL_HEADER channel 3, GPADL 0xe1e10, 1 ranges in 72 bytes",
		"GPADL_CREATED channel 3, GPADL 0xe1e10, ok\n",
		"OPEN channel 3, open id 1, GPADL 0xe1e10, 0 pages to the "
		"host, interrupts to VP 0\n",
		"OPEN_RESULT channel 3, open id 1, refused: status "
		"0xc0000001\n",
		"message 0x63  63000000 00000000 01000000 02000000 ...\n",
		"OPEN too short (20 bytes, not 148):",
		"in      3   -  signal\n",
		"QUERY_PROTOCOL_VERSION id 0x1, version 6.2\n",
		"COMPLETE_IO id 0x1, QUERY_PROTOCOL_VERSION, ok, 1000.0 us\n",
		"EXECUTE_SRB id 0x77, LUN 2, READ(10) LBA 2048 blocks 8, 4096 "
		"bytes in\n",
		"COMPLETE_IO id 0x77, LUN 2, READ(10), success (SRB 0x01, "
		"SCSI 0x00), 4096 bytes, ok, 2000.0 us\n",
		"EXECUTE_SRB id 0x78, LUN 2, UNMAP, 24 bytes out\n",
		"COMPLETE_IO id 0x78, LUN 2, UNMAP, error (SRB 0x84, SCSI "
		"0x02), sense 5/24/00, 4096 bytes, status 0xc0000185, 1000.0 "
		"us\n",
		"in      9   -  INBAND id 0x1, 80 bytes: 09000000 00000000",
		"out     3   -  signal\n",
		"corrupt the ring is given up: bad index\n",
	};
	struct stat sb;

	umask(0);
	sample("t");
	ATF_REQUIRE_EQ(0, stat("t", &sb));
	ATF_CHECK_EQ(0600, sb.st_mode & 0777);
	trace_run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(19, trace_lines("out"));
	ATF_CHECK_STREQ("", slurp("err"));
	trace_run(0, "--json trace t");
	ATF_CHECK_EQ(19, trace_lines("out"));
	has("out", "\"name\":\"EXECUTE_SRB\"");
	has("out", "\"command\":\"READ(10)\"");
	ATF_CHECK_EQ(0, trace_said());
}

/* What goes through a network channel; both sides number their packets. */
ATF_TC_WITHOUT_HEAD(network);
ATF_TC_BODY(network, tc)
{
	static const char *const want[] = {
		"OFFER channel 4: network",
		"INIT id 0x1, version 6.1\n",
		"INIT_COMPLETE id 0x1, ok, 1000.0 us\n",
		"NDIS_CONFIG id 0, MTU 1514, capabilities 0x88\n",
		"RECEIVE_BUFFER id 0x2, GPADL 0xe1e10, id 0xcafe\n",
		"RECEIVE_BUFFER_COMPLETE id 0x2, ok, 100 slots of 1800 bytes",
		"SEND_BUFFER_COMPLETE id 0x3, refused: status 2, sections of",
		"RNDIS_PACKET id 0x7, control, section 5, 24 bytes\n",
		"out     4   -  RNDIS_PACKET id 0x7, 2 messages in slots\n",
		"in      4   -  RNDIS_PACKET_COMPLETE id 0x7, ok, 5000.0 us\n",
		"RNDIS_PACKET_COMPLETE id 0x7, refused: status 2, 8000.0 us\n",
		"SUB_CHANNEL id 0x8, 3 wanted\n",
		"SUB_CHANNEL id 0x8, ok, 3 granted, 1000.0 us\n",
		"NVSP 77 id 0x9\n",
		"SWITCH_DATA_PATH id 0xa, to the VF\n",
		"COMPLETION id 0xa, 1000.0 us\n",
	};

	trace_begin("t", 128);
	offer_class(1, 4, "f8615163-df3e-46c5-913f-f2d2f965ed0e");
	NVSP(2, false, 6, 1, 0, 1, 0x60001, 0x60001);
	NVSP(3, true, 11, 1, 0, 2, 0xFFFFFFFF, 34, 1);
	NVSP(4, false, 6, 0, 0, 125, 1514, 0, 0x88, 0);
	NVSP(5, false, 6, 2, 0, 101, 0xE1E10, 0xCAFE);
	NVSP(6, true, 11, 2, 0, 102, 1, 1, 0, 1800, 100, 180000);
	NVSP(7, true, 11, 3, 0, 105, 2, 6144);
	NVSP(8, false, 6, 7, 0, 107, 1, 5, 24);
	NVSP(9, true, 7, 7, 2, 107, 0, 0xFFFFFFFF, 0);
	NVSP(14, false, 11, 7, 0, 108, 1);
	NVSP(16, true, 11, 7, 0, 108, 2);
	NVSP(17, false, 6, 8, 0, 133, 1, 3);
	NVSP(18, true, 11, 8, 0, 133, 1, 3);
	NVSP(19, false, 6, 9, 0, 77, 1);
	NVSP(20, false, 6, 10, 0, 129, 1);
	nvsp(21, true, 11, 10, 0, NULL, 0);
	tracer_close(tracer);
	trace_run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(16, trace_lines("out"));
}

/* An integration service's message, with up to five words of body. */
static void
service(unsigned ms, bool out, uint8_t type, uint64_t xid, uint32_t status,
    const uint32_t body[5])
{
	uint8_t p[16 + 28 + 20] = { 6, 0, 2 };

	put64(p + 8, xid);
	put32(p + 16, 1);
	p[16 + 12] = type;
	put32(p + 16 + 20, status);
	for (unsigned i = 0; i < 5; i++)
		put32(p + 16 + 28 + 4 * i, body[i]);
	trace_event(ms, HVH_TRACE_PACKET, out, 4, p, sizeof(p));
}

#define	SERVICE(ms, out, type, xid, status, ...)			\
	service(ms, out, type, xid, status,				\
	    (const uint32_t[5]){ __VA_ARGS__ })

ATF_TC_WITHOUT_HEAD(services);
ATF_TC_BODY(services, tc)
{
	static const char *const want[] = {
		"OFFER channel 4: KVP",
		"NEGOTIATE id 0x1, 2 frameworks, 3 versions\n",
		"NEGOTIATE id 0x1, 1 frameworks, 1 versions, ok, 1000.0 us\n",
		"HEARTBEAT id 0x2, 77\n",
		"KVP id 0x3, ENUMERATE, pool 2\n",
		"KVP id 0x3, ENUMERATE, pool 2, refused: status 0x80070103",
		"SHUTDOWN id 0x4, flags 0x3\n",
		"VSS id 0x5, FREEZE\n",
		"VSS id 0x5, unknown\n",
		"FCOPY id 0x6, START\n",
		"IC 99 id 0x7\n",
	};

	trace_begin("t", 128);
	offer_class(1, 4, "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6");
	SERVICE(2, true, 0, 1, 0, 0x00030002);
	SERVICE(3, false, 0, 1, 0, 0x00010001);
	SERVICE(4, true, 1, 2, 0, 77);
	SERVICE(5, true, 2, 3, 0, 0x0203);
	SERVICE(6, false, 2, 3, 0x80070103, 0x0203);
	SERVICE(7, true, 3, 4, 0, 0, 0, 3);
	SERVICE(8, true, 5, 5, 0, 5);
	SERVICE(9, true, 5, 5, 0, 200);
	SERVICE(10, true, 7, 6, 0, 0);
	SERVICE(11, true, 99, 7, 0, 0);
	tracer_close(tracer);
	trace_run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(11, trace_lines("out"));
}

/* Dynamic memory's, which have another header. */
static void
memory(unsigned ms, bool out, uint8_t type, uint32_t first, uint32_t second)
{
	uint8_t p[16 + 48] = { 6, 0, 2 };

	p[16] = type;
	p[18] = 48;
	put32(p + 24, first);
	put32(p + 28, second);
	put32(p + 32, 9);
	trace_event(ms, HVH_TRACE_PACKET, out, 4, p, sizeof(p));
}

ATF_TC_WITHOUT_HEAD(balloon);
ATF_TC_BODY(balloon, tc)
{
	static const char *const want[] = {
		"OFFER channel 4: memory",
		"VERSION id 0, version 0.3, the last\n",
		"VERSION_RESPONSE id 0, accepted\n",
		"CAPABILITIES id 0, flags 0x3\n",
		"CAPABILITIES_RESPONSE id 0, refused\n",
		"STATUS id 0, 7 pages available, 9 committed\n",
		"BALLOON id 0, 512 pages\n",
		"BALLOON_RESPONSE id 0, 5 ranges, more\n",
		"UNBALLOON id 0, 6 ranges\n",
		"UNBALLOON_RESPONSE id 0\n",
		"HOT_ADD id 0\n",
		"MEMORY 77 id 0\n",
	};

	trace_begin("t", 128);
	offer_class(1, 4, "525074dc-8985-46e2-8057-a307dc18a502");
	memory(2, false, 1, 3, 1);
	memory(3, true, 2, 1, 0);
	memory(4, false, 3, 3, 0);
	memory(5, true, 4, 0, 0);
	memory(6, false, 5, 7, 0);
	memory(7, true, 6, 512, 0);
	memory(8, false, 7, 0, 11);
	memory(9, true, 8, 0, 6);
	memory(10, false, 9, 0, 0);
	memory(11, true, 10, 0, 0);
	memory(12, true, 77, 0, 0);
	tracer_close(tracer);
	trace_run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(12, trace_lines("out"));
}

ATF_TC_WITHOUT_HEAD(filters);
ATF_TC_BODY(filters, tc)
{
	static const struct {
		const char	*args;
		unsigned	 lines;
	} table[] = {
		{ "--channel 3", 14 }, { "--channel 9", 1 },
		{ "--channel 0", 4 }, { "--dir in", 11 }, { "--dir out", 8 },
		{ "--type open", 2 }, { "--type OPEN-RESULT", 1 },
		{ "--type 5", 2 }, { "--type 0x63", 1 }, { "--type 3", 2 },
		{ "--type message", 9 }, { "--type packet", 7 },
		{ "--type signal", 2 }, { "--type corrupt", 1 },
		{ "--type complete_io", 3 }, { "--type READ(10)", 2 },
		{ "--type unmap --dir out", 1 }, { "--type NOTHING", 0 },
		{ "--type message --channel 3 --dir out", 3 },
	};
	struct trace_head th;
	char args[100];
	double began;
	int fd;

	sample("t");
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(args, sizeof(args), "trace t %s", table[i].args);
		trace_run(0, args);
		ATF_CHECK_EQ_MSG(table[i].lines, trace_lines("out"), "%s: %s",
		    args, slurp("out"));
	}
	/* The file's clock began a little before ours. */
	fd = open("t", O_RDONLY);
	ATF_REQUIRE_EQ((ssize_t)sizeof(th), read(fd, &th, sizeof(th)));
	close(fd);
	ATF_REQUIRE(th.th_start <= trace_start);
	began = (double)(trace_start - th.th_start) / 1e9;
	snprintf(args, sizeof(args), "trace t --to %f", began + 0.0045);
	trace_run(0, args);
	ATF_CHECK_EQ(4, trace_lines("out"));
	snprintf(args, sizeof(args), "trace t --from %f", began + 0.0185);
	trace_run(0, args);
	ATF_CHECK_EQ(2, trace_lines("out"));
	snprintf(args, sizeof(args), "trace t --from %f --to %f",
	    began + 0.0095, began + 0.0115);
	trace_run(0, args);
	ATF_CHECK_EQ(2, trace_lines("out"));
}

ATF_TC_WITHOUT_HEAD(summary);
ATF_TC_BODY(summary, tc)
{

	sample("t");
	trace_run(0, "trace t --summary");
	has("out", "19 records in 0.019000 seconds, 0 lost\n");
	has("out", "      3 out COMPLETE_IO              READ(10)              "
	    "              1           80     2000.0     2000.0\n");
	has("out", "      - in  CONTACT ");
	trace_run(0, "--json trace t --summary --channel 3");
	has("out", "\"records\": 14");
	has("out", "\"latency_mean\": 0.002");
}

/* Everything a guest and an echoing device say to each other. */
static void
look(void *arg, const struct hvh_trace_event *ev)
{

	tracer_event(tracer, ev);
}

ATF_TC_WITHOUT_HEAD(session);
ATF_TC_BODY(session, tc)
{
	static struct guest g;
	uint8_t data[600] = { 0 }, buf[1024], m[240];
	struct guest_ring r;
	struct echo e;
	uint32_t chan, gpadl;

	trace_begin("t", 16);
	guest_create_traced(&g, look, NULL);
	guest_synic(&g);
	echo_add(&e, g.h, 1);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	chan = get32(m + 184);
	gpadl = guest_gpadl(&g, chan, PG_FREE, 8, 1);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 1, 4));
	guest_ring(&r, &g, PG_FREE, 8, 4);
	guest_write(&r, 6, 1, 42, NULL, 0, data, sizeof(data));
	guest_sleep(&g, 200000000);
	ATF_REQUIRE(guest_read(&r, buf, sizeof(buf)) > 0);
	guest_close(&g, chan);
	guest_teardown(&g, chan, gpadl);
	guest_destroy(&g);
	tracer_close(tracer);
	trace_run(0, "trace t");
	ATF_CHECK_STREQ("", slurp("err"));
	/* A snap of 16 spares messages, and says how long packets were. */
	has("out", "OFFER channel 1: SCSI ba6163d9-04a1-4d29-b605-");
	has("out", "in      1   1  operation 0 id 0x2a\n");
	has("out", "GPADL_TORN_DOWN GPADL 0xe1e1");
	ATF_CHECK(trace_lines("out") > 12);
}

static void
copy(const char *from, const char *to, size_t len, size_t flip)
{
	char *text = slurp(from);
	int fd;

	if (flip < len)
		text[flip] = (char)~text[flip];
	fd = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ((ssize_t)len, write(fd, text, len));
	close(fd);
}

ATF_TC_WITHOUT_HEAD(truncated);
ATF_TC_BODY(truncated, tc)
{
	enum trace_got end;
	uint64_t skipped;
	struct stat sb;
	int n, most = -1;

	sample("t");
	ATF_REQUIRE_EQ(0, stat("t", &sb));
	for (size_t len = 0; len <= (size_t)sb.st_size; len++) {
		copy("t", "cut", len, len);
		n = trace_read_back("cut", &end, &skipped);
		ATF_REQUIRE_EQ(len < 40, n < 0);
		if (n < 0)
			continue;
		ATF_REQUIRE(n == most || n == most + 1 || most < 0);
		/* Whole records only, and only then the end. */
		ATF_REQUIRE_EQ(n != most, end == TRACE_END);
		ATF_REQUIRE_EQ(0, skipped);
		most = n;
	}
	ATF_CHECK_EQ(19, most);
	copy("t", "cut", (size_t)sb.st_size - 3, (size_t)sb.st_size);
	trace_run(0, "trace cut");
	ATF_CHECK_EQ(18, trace_lines("out"));
	has("err", "cut: ends inside of a record");
	copy("t", "cut", 20, 20);
	trace_run(1, "trace cut");
	has("err", "cut: is not a trace of hvhost");
}

ATF_TC_WITHOUT_HEAD(damaged);
ATF_TC_BODY(damaged, tc)
{
	enum trace_got end;
	uint64_t skipped;
	struct stat sb;
	size_t size;
	int n;

	sample("t");
	ATF_REQUIRE_EQ(0, stat("t", &sb));
	size = (size_t)sb.st_size;
	for (size_t at = 0; at < size; at++) {
		copy("t", "bad", size, at);
		n = trace_read_back("bad", &end, &skipped);
		ATF_REQUIRE(n <= 19);
		/* The mark of the third record: that one, and no other. */
		if (at == 40 + 32 + 40 + 32 + 16) {
			ATF_CHECK_EQ(18, n);
			ATF_CHECK_EQ(32 + 200, skipped);
			trace_run(0, "trace bad");
			has("err", "bad: 232 bytes make no sense and were "
			    "skipped");
		}
	}
	/* Zeros at the end, as a crash of the machine may leave them. */
	copy("t", "bad", size, size);
	ATF_REQUIRE_EQ(0, truncate("bad", (off_t)size + 4096));
	trace_run(0, "trace bad");
	ATF_CHECK_EQ(19, trace_lines("out"));
	ATF_REQUIRE_EQ(0, mkdir("dir", 0700));
	trace_run(1, "trace dir");
	has("err", "dir: cannot read it: Is a directory");
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, words);
	ATF_TP_ADD_TC(tp, network);
	ATF_TP_ADD_TC(tp, services);
	ATF_TP_ADD_TC(tp, balloon);
	ATF_TP_ADD_TC(tp, filters);
	ATF_TP_ADD_TC(tp, summary);
	ATF_TP_ADD_TC(tp, session);
	ATF_TP_ADD_TC(tp, truncated);
	ATF_TP_ADD_TC(tp, damaged);
	return (atf_no_error());
}
