/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Traces: what is written comes back, in words; disks that fill up, files that
 * are cut off or damaged.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/trace.h"
#include "control/trace_read.h"
#include "echo.h"
#include "guest.h"
#include "hvctl_run.h"

static struct tracer *t;
static uint64_t start;		/* times are from here */

/* Of the tracer's thread. */
static pthread_mutex_t said_mtx = PTHREAD_MUTEX_INITIALIZER;
static unsigned nsaid;
static char last[600];

static void
say(void *arg, const char *text)
{

	pthread_mutex_lock(&said_mtx);
	nsaid++;
	snprintf(last, sizeof(last), "%s", text);
	pthread_mutex_unlock(&said_mtx);
}

static unsigned
said(void)
{
	unsigned n;

	pthread_mutex_lock(&said_mtx);
	n = nsaid;
	pthread_mutex_unlock(&said_mtx);
	return (n);
}

static uint64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

static void
begin(const char *path, uint32_t snap)
{
	char err[300];

	ATF_REQUIRE_EQ_MSG(0, tracer_open(path, snap, say, NULL, &t, err,
	    sizeof(err)), "%s", err);
	start = now();
}

/* At so many milliseconds. */
static void
event(unsigned ms, enum hvh_trace_kind kind, bool out, uint32_t chan,
    const void *data, size_t len)
{
	struct hvh_trace_event ev = { .kind = kind, .out = out, .chan = chan,
	    .vp = HVH_VP_NONE, .time = start + ms * 1000000ull, .data = data,
	    .len = len, .total = len };

	tracer_event(t, &ev);
}

static void
message(unsigned ms, bool out, uint32_t type, uint32_t a, uint32_t b,
    uint32_t c, size_t len)
{
	uint8_t m[240] = { 0 };

	put32(m, type);
	put32(m + 8, a);
	put32(m + 12, b);
	put32(m + 16, c);
	event(ms, HVH_TRACE_MESSAGE, out, 0, m, len);
}

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
	event(ms, HVH_TRACE_MESSAGE, true, 0, m, sizeof(m));
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
	event(ms, HVH_TRACE_PACKET, out, 4, p, 16 + hdr + nwords * 4);
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
	event(ms, HVH_TRACE_PACKET, false, 3, p, 16 + hdr + 64);
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
	event(ms, HVH_TRACE_PACKET, true, 3, p, sizeof(p));
}

#define	READ10	"\x28\0\0\0\x08\0\0\0\x08\0\0\0\0\0\0\0"
#define	UNMAP	"\x42\0\0\0\0\0\0\0\x18\0\0\0\0\0\0\0"

/* Of each kind something. */
static void
sample(const char *path)
{
	uint8_t m[40] = { 0 }, q[80] = { 6, 0, 2, 0, 10 };

	begin(path, 0);
	m[0] = 14;
	put32(m + 8, 0x50003);
	m[16] = 2;
	event(1, HVH_TRACE_MESSAGE, false, 0, m, 40);
	message(2, true, 15, 1, 4, 0, 16);
	offer(3, 3);
	message(4, false, 8, 3, 0xE1E10, 0x10048, 60);
	message(5, true, 10, 3, 0xE1E10, 0, 20);
	message(6, false, 5, 3, 1, 0xE1E10, 148);
	message(7, true, 6, 3, 1, 0xC0000001, 20);
	message(8, false, 99, 1, 2, 3, 20);
	message(9, false, 5, 3, 1, 2, 20);
	event(10, HVH_TRACE_SIGNAL, false, 3, NULL, 0);
	put32(q + 16, 9);
	put32(q + 28, 0x0602);
	put64(q + 8, 1);
	event(11, HVH_TRACE_PACKET, false, 3, q, sizeof(q));
	answer(12, 1, 0, 0, 0);
	srb(13, 0x77, READ10, 4096, true, 300);
	answer(15, 0x77, 0, 0x01, 0);
	srb(16, 0x78, UNMAP, 24, false, 1);
	answer(17, 0x78, 0xC0000185, 0x84, 2);
	event(18, HVH_TRACE_PACKET, false, 9, q, sizeof(q));
	event(19, HVH_TRACE_SIGNAL, true, 3, NULL, 0);
	event(20, HVH_TRACE_CORRUPT, false, 3, "index", 5);
	tracer_close(t);
}

static void
run(int status, const char *args)
{

	ATF_CHECK_EQ_MSG(status, hvctl_run(NULL, args), "%s: %s", args,
	    slurp("err"));
}

static unsigned
lines(const char *name)
{
	unsigned n = 0;

	for (const char *p = slurp(name); *p != '\0'; p++)
		n += *p == '\n';
	return (n);
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
	run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(19, lines("out"));
	ATF_CHECK_STREQ("", slurp("err"));
	run(0, "--json trace t");
	ATF_CHECK_EQ(19, lines("out"));
	has("out", "\"name\":\"EXECUTE_SRB\"");
	has("out", "\"command\":\"READ(10)\"");
	ATF_CHECK_EQ(0, said());
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

	begin("t", 128);
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
	tracer_close(t);
	run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(16, lines("out"));
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
	event(ms, HVH_TRACE_PACKET, out, 4, p, sizeof(p));
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

	begin("t", 128);
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
	tracer_close(t);
	run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(11, lines("out"));
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
	event(ms, HVH_TRACE_PACKET, out, 4, p, sizeof(p));
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

	begin("t", 128);
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
	tracer_close(t);
	run(0, "trace t");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		has("out", want[i]);
	ATF_CHECK_EQ(12, lines("out"));
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
		run(0, args);
		ATF_CHECK_EQ_MSG(table[i].lines, lines("out"), "%s: %s", args,
		    slurp("out"));
	}
	/* The file's clock began a little before ours. */
	fd = open("t", O_RDONLY);
	ATF_REQUIRE_EQ((ssize_t)sizeof(th), read(fd, &th, sizeof(th)));
	close(fd);
	ATF_REQUIRE(th.th_start <= start);
	began = (double)(start - th.th_start) / 1e9;
	snprintf(args, sizeof(args), "trace t --to %f", began + 0.0045);
	run(0, args);
	ATF_CHECK_EQ(4, lines("out"));
	snprintf(args, sizeof(args), "trace t --from %f", began + 0.0185);
	run(0, args);
	ATF_CHECK_EQ(2, lines("out"));
	snprintf(args, sizeof(args), "trace t --from %f --to %f",
	    began + 0.0095, began + 0.0115);
	run(0, args);
	ATF_CHECK_EQ(2, lines("out"));
}

ATF_TC_WITHOUT_HEAD(summary);
ATF_TC_BODY(summary, tc)
{

	sample("t");
	run(0, "trace t --summary");
	has("out", "19 records in 0.019000 seconds, 0 lost\n");
	has("out", "      3 out COMPLETE_IO              READ(10)              "
	    "              1           80     2000.0     2000.0\n");
	has("out", "      - in  CONTACT ");
	run(0, "--json trace t --summary --channel 3");
	has("out", "\"records\": 14");
	has("out", "\"latency_mean\": 0.002");
}

/* Everything a guest and an echoing device say to each other. */
static void
look(void *arg, const struct hvh_trace_event *ev)
{

	tracer_event(t, ev);
}

ATF_TC_WITHOUT_HEAD(session);
ATF_TC_BODY(session, tc)
{
	static struct guest g;
	uint8_t data[600] = { 0 }, buf[1024], m[240];
	struct guest_ring r;
	struct echo e;
	uint32_t chan, gpadl;

	begin("t", 16);
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
	tracer_close(t);
	run(0, "trace t");
	ATF_CHECK_STREQ("", slurp("err"));
	/* A snap of 16 spares messages, and says how long packets were. */
	has("out", "OFFER channel 1: SCSI ba6163d9-04a1-4d29-b605-");
	has("out", "in      1   1  operation 0 id 0x2a\n");
	has("out", "GPADL_TORN_DOWN GPADL 0xe1e1");
	ATF_CHECK(lines("out") > 12);
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

/* Records that can be read, and how it ended; -1: not at all. */
static int
read_back(const char *path, enum trace_got *end, uint64_t *skipped)
{
	struct trace_reader *tr;
	struct trace_state *ts;
	struct trace_record r;
	struct trace_line line;
	const uint8_t *data;
	uint64_t skip;
	char err[300];
	int n = 0;

	*skipped = 0;
	if (trace_reader_open(path, &tr, err, sizeof(err)) != 0)
		return (-1);
	ts = trace_state_new();
	while ((*end = trace_next(tr, &r, &data, &skip)) == TRACE_GOT) {
		*skipped += skip;
		trace_decode(ts, &r, data, &line);
		ATF_REQUIRE(line.kind != NULL && line.name[0] != '\0');
		n++;
	}
	*skipped += skip;
	trace_state_free(ts);
	trace_reader_close(tr);
	return (n);
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
		n = read_back("cut", &end, &skipped);
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
	run(0, "trace cut");
	ATF_CHECK_EQ(18, lines("out"));
	has("err", "cut: ends inside of a record");
	copy("t", "cut", 20, 20);
	run(1, "trace cut");
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
		n = read_back("bad", &end, &skipped);
		ATF_REQUIRE(n <= 19);
		/* The mark of the third record: that one, and no other. */
		if (at == 40 + 32 + 40 + 32 + 16) {
			ATF_CHECK_EQ(18, n);
			ATF_CHECK_EQ(32 + 200, skipped);
			run(0, "trace bad");
			has("err", "bad: 232 bytes make no sense and were "
			    "skipped");
		}
	}
	/* Zeros at the end, as a crash of the machine may leave them. */
	copy("t", "bad", size, size);
	ATF_REQUIRE_EQ(0, truncate("bad", (off_t)size + 4096));
	run(0, "trace bad");
	ATF_CHECK_EQ(19, lines("out"));
	ATF_REQUIRE_EQ(0, mkdir("dir", 0700));
	run(1, "trace dir");
	has("err", "dir: cannot read it: Is a directory");
}

ATF_TC_WITHOUT_HEAD(full_disk);
ATF_TC_BODY(full_disk, tc)
{
	struct rlimit rl = { 100000, RLIM_INFINITY };
	enum trace_got end;
	uint64_t skipped;
	int n;

	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	begin("t", 0);
	for (unsigned i = 0; i < 20000; i++)
		message(i, true, 4, 0, 0, 0, 240);
	for (unsigned i = 0; i < 3000 && said() == 0; i++)
		usleep(10000);
	ATF_CHECK_EQ(1, said());
	ATF_CHECK_STREQ("t: the trace ends here: File too large", last);
	/* The machine goes on, and hears no more of it. */
	for (unsigned i = 0; i < 20000; i++)
		message(i, true, 4, 0, 0, 0, 240);
	tracer_close(t);
	ATF_CHECK_EQ(1, said());
	n = read_back("t", &end, &skipped);
	ATF_CHECK_EQ((100000 - 40) / 272, n);
	ATF_CHECK_EQ(TRACE_SHORT, end);
	/* Not even its head fits. */
	rl.rlim_cur = 10;
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	begin("u", 0);
	tracer_close(t);
	ATF_CHECK_EQ(2, said());
}

ATF_TC_WITHOUT_HEAD(cannot_open);
ATF_TC_BODY(cannot_open, tc)
{
	char err[300];

	ATF_CHECK_EQ(ENOENT, tracer_open("no/t", 0, say, NULL, &t, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("no/t: cannot write a trace: No such file or "
	    "directory", err);
	ATF_CHECK_EQ(EINVAL, tracer_open("t", 1 << 20, say, NULL, &t, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("t: a trace keeps at most 65536 bytes of a packet",
	    err);
}

/* A disk that does not keep up costs records, and their number is known. */
static atomic_ullong drained;

static void *
drain(void *arg)
{
	char buf[65536];
	ssize_t n;
	int fd;

	fd = open("copy", O_CREAT | O_WRONLY | O_TRUNC, 0600);
	while ((n = read(*(int *)arg, buf, sizeof(buf))) > 0) {
		(void)!write(fd, buf, (size_t)n);
		atomic_fetch_add(&drained, (unsigned long long)n);
	}
	close(fd);
	return (NULL);
}

/* later: there is one more record, once there is room. */
static void
check_slow(bool later)
{
	enum trace_got end;
	pthread_t thread;
	uint64_t skipped;
	char want[64];
	int fd, n;

	ATF_REQUIRE_EQ(0, mkfifo("fifo", 0600));
	fd = open("fifo", O_RDONLY | O_NONBLOCK);
	ATF_REQUIRE(fd >= 0);
	begin("fifo", 0);
	for (unsigned i = 0; i < 100000; i++)
		message(i, true, 4, 0, 0, 0, 240);
	fcntl(fd, F_SETFL, 0);
	atomic_store(&drained, 0);
	ATF_REQUIRE_EQ(0, pthread_create(&thread, NULL, drain, &fd));
	if (later) {
		/* More than a buffer holds: the other one is being filled. */
		for (unsigned i = 0; atomic_load(&drained) <= 4 << 20; i++) {
			ATF_REQUIRE(i < 3000);
			usleep(10000);
		}
		message(1, true, 4, 0, 0, 0, 240);
	}
	tracer_close(t);
	pthread_join(thread, NULL);
	close(fd);
	n = read_back("copy", &end, &skipped);
	ATF_CHECK_EQ(TRACE_END, end);
	ATF_CHECK(n > 10000 && n < 100000);
	/* Each is there, or is counted; at the end with a record of its own. */
	run(0, "trace copy --summary");
	snprintf(want, sizeof(want), "%d records in ", later ? n : n - 1);
	has("out", want);
	snprintf(want, sizeof(want), ", %d lost\n", 100001 - n);
	has("out", want);
	ATF_CHECK_EQ(0, said());
	ATF_REQUIRE_EQ(0, unlink("fifo"));
}

ATF_TC_WITHOUT_HEAD(slow_disk);
ATF_TC_BODY(slow_disk, tc)
{

	check_slow(true);
	check_slow(false);
	run(0, "trace copy");
	has("err", "records before the end were lost");
}

/* What is written can be read within about a second. */
ATF_TC_WITHOUT_HEAD(follow);
ATF_TC_BODY(follow, tc)
{
	int status;
	pid_t pid;

	begin("t", 0);
	message(1, true, 4, 0, 0, 0, 8);
	for (unsigned i = 0; i < 40 && hvctl_run(NULL, "trace t") != 0; i++)
		usleep(50000);
	pid = hvctl_start("trace t --follow");
	for (unsigned i = 0; i < 80 && lines("out") < 1; i++)
		usleep(50000);
	ATF_CHECK_EQ(1, lines("out"));
	message(2, false, 16, 0, 0, 0, 8);
	for (unsigned i = 0; i < 80 && lines("out") < 2; i++)
		usleep(50000);
	has("out", "UNLOAD");
	kill(pid, SIGTERM);
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	tracer_close(t);
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
	ATF_TP_ADD_TC(tp, full_disk);
	ATF_TP_ADD_TC(tp, cannot_open);
	ATF_TP_ADD_TC(tp, slow_disk);
	ATF_TP_ADD_TC(tp, follow);
	return (atf_no_error());
}
