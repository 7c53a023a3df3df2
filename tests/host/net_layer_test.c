/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Layers on network back ends: captures, whose file is read back here byte by
 * byte, and bad weather.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_bus.h"
#include "fake_nic.h"

#define	MS	1000000ull

static struct hvh *h;
static struct hvh_netbe *be[2];		/* be[0] has the layer */
static struct fake_nic a, b;
static char err[200];
static uint8_t frame[NET_FRAME_MAX];

static void
begin(void)
{

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, hvh_netbe_pair(h, be));
}

static void
attach(void)
{

	fake_nic_attach(&a, be[0]);
	fake_nic_attach(&b, be[1]);
}

static void
end(void)
{

	hvh_netbe_close(be[0]);
	hvh_netbe_close(be[1]);
	fake_nic_free(&a);
	fake_nic_free(&b);
	fake_free(h);
}

static void
pump(void)
{
	unsigned kicks;

	do {
		kicks = h->kicks;
		fake_pump(h);
	} while (h->kicks != kicks);
}

static void
pass(uint64_t ns)
{

	h->now += ns;
	pump();
}

/* --- Captures --- */

static uint8_t file[1 << 20];
static size_t filelen;

static uint32_t
get(size_t at)
{
	uint32_t v;

	ATF_REQUIRE(at + 4 <= filelen);
	memcpy(&v, file + at, 4);
	return (v);
}

static void
load(const char *path)
{
	FILE *f;

	f = fopen(path, "r");
	ATF_REQUIRE(f != NULL);
	filelen = fread(file, 1, sizeof(file), f);
	fclose(f);
}

/* A packet block at *at: checks it and steps over it. */
static void
expect_packet(size_t *at, const uint8_t *data, uint32_t captured,
    uint32_t original, uint32_t direction, const char *comment)
{
	size_t o = *at, total;

	ATF_REQUIRE_EQ(6, get(o));
	total = get(o + 4);
	ATF_REQUIRE_EQ(0, total % 4);
	ATF_REQUIRE_EQ(total, get(o + total - 4));
	ATF_CHECK_EQ(0, get(o + 8));
	ATF_CHECK_MSG(get(o + 12) > 0x16000000, "no time of this age");
	ATF_CHECK_EQ(captured, get(o + 20));
	ATF_CHECK_EQ(original, get(o + 24));
	ATF_CHECK_EQ(0, memcmp(file + o + 28, data, captured));
	o += 28 + ((captured + 3) & ~3u);
	ATF_CHECK_EQ(2 | 4 << 16, get(o));
	ATF_CHECK_EQ(direction, get(o + 4));
	o += 8;
	if (comment != NULL) {
		ATF_CHECK_EQ(1 | (uint32_t)strlen(comment) << 16, get(o));
		ATF_CHECK_EQ(0, memcmp(file + o + 4, comment,
		    strlen(comment)));
		o += 4 + ((strlen(comment) + 3) & ~3ul);
	}
	ATF_CHECK_EQ(0, get(o));
	ATF_CHECK_EQ(*at + total, o + 8);
	*at += total;
}

static size_t
expect_head(uint32_t snap)
{

	ATF_REQUIRE_EQ(0x0A0D0D0A, get(0));
	ATF_REQUIRE_EQ(28, get(4));
	ATF_CHECK_EQ(0x1A2B3C4D, get(8));
	ATF_CHECK_EQ(1, get(12));
	ATF_CHECK_EQ(28, get(24));
	ATF_CHECK_EQ(1, get(28));
	ATF_CHECK_EQ(32, get(32));
	ATF_CHECK_EQ(1, get(36));
	ATF_CHECK_EQ(snap, get(40));
	ATF_CHECK_EQ(9 | 1 << 16, get(44));
	ATF_CHECK_EQ(9, get(48));
	ATF_CHECK_EQ(0, get(52));
	ATF_CHECK_EQ(32, get(56));
	return (60);
}

ATF_TC_WITHOUT_HEAD(capture);
ATF_TC_BODY(capture, tc)
{
	struct hvh_netbe_pcap cp = { .path = "c.pcapng" };
	const struct net_meta tso = { .flags = NET_NEEDS_CSUM,
	    .gso = NET_GSO_TCP4, .hdr_len = 54, .gso_size = 1448,
	    .csum_start = 34, .csum_offset = 16 };
	uint8_t in[61];
	size_t at;

	begin();
	ATF_REQUIRE_EQ_MSG(0, hvh_netbe_capture(&be[0], &cp, err,
	    sizeof(err)), "%s", err);
	attach();
	fake_frame(frame, 9001, 1);
	fake_frame(in, 61, 2);
	ATF_CHECK_EQ(0, net_caps(be[0]));
	net_accept(be[1], NET_CAN_TSO4);
	ATF_CHECK_EQ(NET_CAN_CSUM | NET_CAN_TSO4, net_caps(be[0]));
	ATF_CHECK_EQ(0, fake_nic_send(&a, frame, 60));
	ATF_CHECK_EQ(0, fake_nic_send(&b, in, 61));
	pump();
	ATF_CHECK_EQ(0, fake_nic_send_meta(&a, frame, 9001, &tso));
	pump();
	ATF_CHECK(fake_nic_has(&a, 0, in, 61));
	ATF_CHECK(fake_nic_has(&b, 0, frame, 60));
	ATF_CHECK(fake_nic_has(&b, 1, frame, 9001));
	/* It is in the file while all goes on. */
	pass(300 * MS);
	load("c.pcapng");
	at = expect_head(0);
	expect_packet(&at, frame, 60, 60, 2, NULL);
	expect_packet(&at, in, 61, 61, 1, NULL);
	expect_packet(&at, frame, 9001, 9001, 2,
	    "checksum from 34 is due at 50, segments of 1448");
	ATF_CHECK_EQ(filelen, at);
	end();
}

ATF_TC_WITHOUT_HEAD(capture_snap);
ATF_TC_BODY(capture_snap, tc)
{
	struct hvh_netbe_pcap cp = { .path = "c.pcapng", .snap = 62 };
	size_t at;

	begin();
	ATF_REQUIRE_EQ(0, hvh_netbe_capture(&be[0], &cp, err, sizeof(err)));
	attach();
	fake_frame(frame, 1514, 1);
	ATF_CHECK_EQ(0, fake_nic_send(&a, frame, 1514));
	pump();
	ATF_CHECK(fake_nic_has(&b, 0, frame, 1514));
	end();
	/* What waited is written at the end. */
	load("c.pcapng");
	at = expect_head(62);
	expect_packet(&at, frame, 62, 1514, 2, NULL);
	ATF_CHECK_EQ(filelen, at);
}

/* A frame that was not taken has not been sent. */
ATF_TC_WITHOUT_HEAD(capture_refused);
ATF_TC_BODY(capture_refused, tc)
{
	struct hvh_netbe_pcap cp = { .path = "c.pcapng", .snap = 20 };
	unsigned sent, blocks = 0;
	size_t at;
	int error;

	begin();
	ATF_REQUIRE_EQ(0, hvh_netbe_capture(&be[0], &cp, err, sizeof(err)));
	attach();
	b.room = 0;
	for (sent = 0; (error = fake_nic_send(&a, frame, 1514)) == 0; sent++)
		pump();
	ATF_CHECK_EQ(EAGAIN, error);
	b.room = UINT32_MAX;
	net_resume(be[1]);
	pump();
	ATF_CHECK_EQ_MSG(1, a.writables, "the layer keeps it to itself");
	ATF_CHECK_EQ(sent, b.n);
	end();
	load("c.pcapng");
	for (at = expect_head(20); at < filelen; at += get(at + 4))
		blocks++;
	ATF_CHECK_EQ(sent, blocks);
}

ATF_TC_WITHOUT_HEAD(capture_full_disk);
ATF_TC_BODY(capture_full_disk, tc)
{
	struct hvh_netbe_pcap cp = { .have_fd = true };

	begin();
	cp.fd = open("/dev/full", O_WRONLY);
	ATF_REQUIRE(cp.fd >= 0);
	ATF_REQUIRE_EQ(0, hvh_netbe_capture(&be[0], &cp, err, sizeof(err)));
	attach();
	for (unsigned i = 0; i < 500; i++) {
		ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, 1514));
		pump();
	}
	ATF_CHECK_EQ(500, b.n);
	ATF_CHECK_STREQ("pair 0: the capture ends: No space left on device",
	    h->log);
	end();
}

ATF_TC_WITHOUT_HEAD(capture_no_file);
ATF_TC_BODY(capture_no_file, tc)
{
	struct hvh_netbe_pcap cp = { .path = "none/c.pcapng" };
	struct hvh_netbe *was;

	begin();
	was = be[0];
	ATF_CHECK_EQ(ENOENT, hvh_netbe_capture(&be[0], &cp, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("none/c.pcapng: No such file or directory", err);
	ATF_CHECK_EQ(was, be[0]);
	attach();
	end();
}

/* --- Bad weather --- */

#define	N	10000u

/* N frames from a to b and all that comes of them. */
static void
storm(const struct hvh_netbe_faults *fp)
{

	begin();
	ATF_REQUIRE_EQ(0, hvh_netbe_disturb(&be[0], fp));
	attach();
	for (unsigned i = 0; i < N; i++) {
		fake_frame(frame, 100, i);
		ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, 100));
		if (i % 20 == 0)
			pass(MS / 100);
	}
	pass(1000 * MS);
	pass(1000 * MS);
}

/* Is it frame i of a storm? */
static bool
is(const struct fake_frame *f, unsigned i)
{

	fake_frame(frame, 100, i);
	return (f->len == 100 && memcmp(f->data, frame, 100) == 0);
}

ATF_TC_WITHOUT_HEAD(loss);
ATF_TC_BODY(loss, tc)
{
	struct hvh_netbe_faults fp = { .seed = 1, .loss = 100000 };
	unsigned first, seen;

	storm(&fp);
	first = b.n;
	ATF_CHECK_MSG(first > N * 88 / 100 && first < N * 92 / 100,
	    "%u of %u", first, N);
	ATF_CHECK_EQ(N - first, be[0]->stats.tx_dropped);
	/* In order, and whole. */
	seen = 0;
	for (unsigned i = 0; i < N && seen < b.n; i++) {
		if (is(&b.frames[seen], i))
			seen++;
	}
	ATF_CHECK_EQ(first, seen);
	end();
	/* The same weather, and another. */
	storm(&fp);
	ATF_CHECK_EQ(first, b.n);
	end();
	fp.seed = 2;
	storm(&fp);
	ATF_CHECK(b.n != first);
	end();
}

ATF_TC_WITHOUT_HEAD(duplicate);
ATF_TC_BODY(duplicate, tc)
{
	const struct hvh_netbe_faults fp = { .seed = 1, .duplicate = 50000 };
	unsigned at = 0, twice = 0;

	storm(&fp);
	for (unsigned i = 0; i < N; i++) {
		ATF_REQUIRE(at < b.n && is(&b.frames[at], i));
		at++;
		if (at < b.n && is(&b.frames[at], i)) {
			at++;
			twice++;
		}
	}
	ATF_CHECK_EQ(b.n, at);
	ATF_CHECK(twice > N * 4 / 100 && twice < N * 6 / 100);
	end();
}

ATF_TC_WITHOUT_HEAD(corrupt);
ATF_TC_BODY(corrupt, tc)
{
	const struct hvh_netbe_faults fp = { .seed = 1, .corrupt = 50000 };
	unsigned bad = 0, bits;

	storm(&fp);
	ATF_REQUIRE_EQ(N, b.n);
	for (unsigned i = 0; i < N; i++) {
		fake_frame(frame, 100, i);
		bits = 0;
		for (unsigned k = 0; k < 100; k++)
			bits += (unsigned)__builtin_popcount(frame[k] ^
			    b.frames[i].data[k]);
		ATF_REQUIRE(bits <= 1);
		bad += bits;
	}
	ATF_CHECK(bad > N * 4 / 100 && bad < N * 6 / 100);
	end();
}

ATF_TC_WITHOUT_HEAD(reorder);
ATF_TC_BODY(reorder, tc)
{
	const struct hvh_netbe_faults fp = { .seed = 1, .reorder = 50000 };
	unsigned passed = 0, want = 0;
	bool *seen;

	storm(&fp);
	ATF_REQUIRE_EQ(N, b.n);
	seen = calloc(N, sizeof(*seen));
	ATF_REQUIRE(seen != NULL);
	/* Those that are not where they should be come later. */
	for (unsigned k = 0; k < N; k++) {
		while (want < N && seen[want])
			want++;
		for (unsigned i = want; i < N; i++) {
			if (seen[i] || !is(&b.frames[k], i))
				continue;
			seen[i] = true;
			passed += i != want;
			break;
		}
	}
	for (unsigned i = 0; i < N; i++)
		ATF_REQUIRE_MSG(seen[i], "frame %u never came", i);
	ATF_CHECK_MSG(passed > N / 20, "only %u frames overtook", passed);
	free(seen);
	end();
}

ATF_TC_WITHOUT_HEAD(delay);
ATF_TC_BODY(delay, tc)
{
	const struct hvh_netbe_faults fp = { .delay_ns = 20 * MS };

	begin();
	ATF_REQUIRE_EQ(0, hvh_netbe_disturb(&be[0], &fp));
	attach();
	/* What only delays takes offloads, both ways. */
	net_accept(be[1], NET_CAN_CSUM);
	net_accept(be[0], NET_CAN_TSO6);
	ATF_CHECK_EQ(NET_CAN_CSUM, net_caps(be[0]));
	ATF_CHECK_EQ(NET_CAN_CSUM | NET_CAN_TSO6, net_caps(be[1]));
	for (unsigned i = 0; i < 3; i++) {
		fake_frame(frame, 100, i);
		ATF_REQUIRE_EQ(0, fake_nic_send(&a, frame, 100));
		ATF_REQUIRE_EQ(0, fake_nic_send(&b, frame, 100));
	}
	pump();
	pass(20 * MS - 1);
	ATF_CHECK_EQ(0, a.n + b.n);
	pass(1);
	ATF_REQUIRE_EQ(3, a.n);
	ATF_REQUIRE_EQ(3, b.n);
	for (unsigned i = 0; i < 3; i++)
		ATF_CHECK(is(&a.frames[i], i) && is(&b.frames[i], i));
	ATF_CHECK(!a.open && !b.open);
	end();
}

ATF_TC_WITHOUT_HEAD(no_offloads);
ATF_TC_BODY(no_offloads, tc)
{
	const struct hvh_netbe_faults fp = { .loss = 1 };

	begin();
	ATF_REQUIRE_EQ(0, hvh_netbe_disturb(&be[0], &fp));
	attach();
	net_accept(be[1], NET_CAN_TSO4);
	net_accept(be[0], NET_CAN_TSO4);
	ATF_CHECK_EQ(0, net_caps(be[0]));
	ATF_CHECK_EQ(0, net_caps(be[1]));
	end();
}

/* Slow receivers on both sides of the layer: all comes, in order. */
ATF_TC_WITHOUT_HEAD(no_room);
ATF_TC_BODY(no_room, tc)
{
	const struct hvh_netbe_faults fp = { .delay_ns = MS };
	unsigned sent = 0, rounds;

	begin();
	ATF_REQUIRE_EQ(0, hvh_netbe_disturb(&be[0], &fp));
	attach();
	for (rounds = 0; rounds < 200; rounds++) {
		a.room = b.room = 40;
		net_resume(be[0]);
		net_resume(be[1]);
		for (unsigned i = 0; i < 100 && sent < 8000; i++) {
			fake_frame(frame, 100, sent);
			if (fake_nic_send(&a, frame, 100) != 0)
				break;
			ATF_REQUIRE_EQ(0, fake_nic_send(&b, frame, 100));
			sent++;
		}
		pass(MS);
	}
	a.room = b.room = UINT32_MAX;
	net_resume(be[0]);
	net_resume(be[1]);
	for (rounds = 0; rounds < 100; rounds++)
		pass(MS);
	ATF_CHECK_EQ(0, be[0]->stats.tx_dropped + be[0]->stats.rx_dropped);
	ATF_REQUIRE_EQ(sent, b.n);
	ATF_REQUIRE_EQ(sent, a.n);
	for (unsigned i = 0; i < sent; i++)
		ATF_REQUIRE(is(&a.frames[i], i) && is(&b.frames[i], i));
	end();
}

/* Closed with frames under way; and the cable behind it is pulled. */
ATF_TC_WITHOUT_HEAD(close_amid);
ATF_TC_BODY(close_amid, tc)
{
	const struct hvh_netbe_faults fp = { .delay_ns = MS };

	begin();
	ATF_REQUIRE_EQ(0, hvh_netbe_disturb(&be[0], &fp));
	attach();
	ATF_CHECK_EQ(0, fake_nic_send(&a, frame, 100));
	ATF_CHECK_EQ(0, fake_nic_send(&b, frame, 100));
	pump();
	hvh_netbe_close(be[1]);
	ATF_CHECK_EQ(1, a.links);
	ATF_CHECK(!net_link(be[0]));
	hvh_netbe_close(be[0]);
	fake_nic_free(&a);
	fake_nic_free(&b);
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, capture);
	ATF_TP_ADD_TC(tp, capture_snap);
	ATF_TP_ADD_TC(tp, capture_refused);
	ATF_TP_ADD_TC(tp, capture_full_disk);
	ATF_TP_ADD_TC(tp, capture_no_file);
	ATF_TP_ADD_TC(tp, loss);
	ATF_TP_ADD_TC(tp, duplicate);
	ATF_TP_ADD_TC(tp, corrupt);
	ATF_TP_ADD_TC(tp, reorder);
	ATF_TP_ADD_TC(tp, delay);
	ATF_TP_ADD_TC(tp, no_offloads);
	ATF_TP_ADD_TC(tp, no_room);
	ATF_TP_ADD_TC(tp, close_amid);
	return (atf_no_error());
}
