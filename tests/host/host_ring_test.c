/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The host's ring against a model: random packets through flat and scattered
 * rings, the signalling rules, and every lie the other side can tell
 * (protocol: vmbus, 7).
 */

#include <atf-c.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus/ring.h"

#define	PAGES	5
#define	D	((PAGES - 1) * 4096u)

/* Twice the pages, so that a scattered ring can use every other. */
static uint8_t mem[2 * PAGES][4096] __attribute__((aligned(4096)));
static uint8_t *pages[PAGES];
static struct hvh_ring rd, wr;

static void
ring_make(bool scattered, uint32_t start)
{

	memset(mem, 0, sizeof(mem));
	for (unsigned i = 0; i < PAGES; i++)
		pages[i] = mem[scattered ? 2 * (PAGES - 1 - i) : i];
	memcpy(pages[0], &start, 4);
	memcpy(pages[0] + 4, &start, 4);
	ATF_REQUIRE_EQ(0, hvr_init_writer(&wr, pages, PAGES));
	ATF_REQUIRE_EQ(0, hvr_init_reader(&rd, pages, PAGES));
	ATF_REQUIRE_EQ(scattered, wr.r_flat == NULL);
}

static uint32_t
ctl(unsigned at)
{
	uint32_t v;

	memcpy(&v, pages[0] + at, sizeof(v));
	return (v);
}

static void
set_ctl(unsigned at, uint32_t v)
{

	memcpy(pages[0] + at, &v, sizeof(v));
}

static bool
put(uint64_t xid, uint32_t len)
{
	struct vms_pkt d = { 6, 2, (uint16_t)((16 + len + 7) / 8), 1, xid };
	static uint8_t data[D];

	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(xid * 31 + i);
	return (hvr_put(&wr, &d, NULL, 0, data, len));
}

static void
get(uint64_t xid, uint32_t len)
{
	static uint8_t buf[D + 64] __attribute__((aligned(8)));
	struct vms_pkt d;
	uint32_t bytes;

	ATF_REQUIRE_EQ(HVR_PACKET, hvr_peek(&rd, &d, &bytes));
	ATF_REQUIRE_EQ(xid, d.vp_xid);
	ATF_REQUIRE_EQ(16 + ((len + 7) & ~7u), bytes);
	hvr_take(&rd, &d, buf, bytes);
	for (uint32_t i = 0; i < len; i++)
		ATF_REQUIRE_EQ((uint8_t)(xid * 31 + i), buf[16 + i]);
	for (uint32_t i = len; i < bytes - 16; i++)
		ATF_REQUIRE_EQ(0, buf[16 + i]);
}

/* What goes in comes out, in order, and room is what arithmetic says. */
static void
property(bool scattered)
{
	struct {
		uint64_t xid;
		uint32_t len;
	} fifo[1024];
	unsigned head = 0, tail = 0;
	uint32_t used = 0, shown = 0;
	uint64_t xid = 1;

	ring_make(scattered, 4080);
	for (unsigned step = 0; step < 60000; step++) {
		uint32_t len = (uint32_t)random() % (step % 16 == 0 ? D :
		    200), need = 16 + ((len + 7) & ~7u) + 8;

		switch (random() % 4) {
		case 0:
		case 1:
			if (need > D - 8)
				break;
			ATF_REQUIRE_EQ(D - used > need,
			    hvr_room(&wr, need));
			ATF_REQUIRE_EQ(D - used > need, put(xid, len));
			if (D - used > need) {
				fifo[head % 1024].xid = xid++;
				fifo[head++ % 1024].len = len;
				used += need;
			}
			break;
		case 2:
			hvr_show(&wr);
			shown = head;
			break;
		case 3:
			if (tail == shown) {
				struct vms_pkt d;
				uint32_t n;

				ATF_REQUIRE_EQ(HVR_EMPTY,
				    hvr_peek(&rd, &d, &n));
				break;
			}
			get(fifo[tail % 1024].xid, fifo[tail % 1024].len);
			used -= 16 + ((fifo[tail++ % 1024].len + 7) & ~7u) +
			    8;
			hvr_release(&rd);
			break;
		}
		ATF_REQUIRE(ctl(0) < D && ctl(0) % 8 == 0);
		ATF_REQUIRE(ctl(4) < D && ctl(4) % 8 == 0);
	}
	ATF_REQUIRE(xid > 5000);
}

ATF_TC_WITHOUT_HEAD(property_flat);
ATF_TC_BODY(property_flat, tc)
{

	property(false);
}

ATF_TC_WITHOUT_HEAD(property_scattered);
ATF_TC_BODY(property_scattered, tc)
{

	property(true);
}

/* Bytes on the wire: descriptor, padding, trailer with the start index. */
ATF_TC_WITHOUT_HEAD(wire);
ATF_TC_BODY(wire, tc)
{
	static const uint8_t want[40] = { 11, 0, 2, 0, 4, 0, 0, 0,
	    0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01,
	    'p', 'a', 'y', 'l', 'o', 'a', 'd', '!', 's', 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0, 0xF8, 0x3F, 0, 0 };
	struct vms_pkt d = { 11, 2, 4, 0, 0x0123456789ABCDEF };
	uint8_t got[40];

	ring_make(false, D - 8);
	ATF_REQUIRE(hvr_put(&wr, &d, NULL, 0, "payload!s", 9));
	/* Nothing shows before it is shown. */
	ATF_REQUIRE_EQ(D - 8, ctl(0));
	ATF_REQUIRE(hvr_show(&wr));
	ATF_REQUIRE_EQ(32, ctl(0));
	memcpy(got, pages[PAGES - 1] + 4096 - 8, 8);
	memcpy(got + 8, pages[1], 32);
	ATF_REQUIRE_EQ(0, memcmp(got, want, sizeof(want)));
	/* The host's feature bit, whatever was there. */
	ATF_REQUIRE_EQ(1, ctl(64));
}

/* 7.7: signal if the ring was empty and the reader listens. */
ATF_TC_WITHOUT_HEAD(signals_data);
ATF_TC_BODY(signals_data, tc)
{

	ring_make(false, 0);
	ATF_REQUIRE(!hvr_show(&wr));
	put(1, 8);
	put(2, 8);
	ATF_REQUIRE(hvr_show(&wr));
	put(3, 8);
	ATF_REQUIRE(!hvr_show(&wr));
	get(1, 8);
	get(2, 8);
	hvr_release(&rd);
	put(4, 8);
	ATF_REQUIRE(!hvr_show(&wr));
	get(3, 8);
	get(4, 8);
	hvr_mask(&rd);
	ATF_REQUIRE_EQ(1, ctl(8));
	hvr_release(&rd);
	put(5, 8);
	ATF_REQUIRE(!hvr_show(&wr));
	/* Unmasking tells of what came meanwhile, and stays masked. */
	ATF_REQUIRE(!hvr_unmask(&rd));
	ATF_REQUIRE_EQ(1, ctl(8));
	get(5, 8);
	hvr_release(&rd);
	ATF_REQUIRE(hvr_unmask(&rd));
	ATF_REQUIRE_EQ(0, ctl(8));
	put(6, 8);
	ATF_REQUIRE(hvr_show(&wr));
}

/* 7.8: signal when a batch crosses what the writer waits for. */
ATF_TC_WITHOUT_HEAD(signals_room);
ATF_TC_BODY(signals_room, tc)
{
	unsigned n = 0, got = 0;

	ring_make(false, 0);
	while (put(++n, 1000))
		;
	hvr_show(&wr);
	/* 15 of 1024 bytes fit, 1024 bytes are free: not more than enough. */
	ATF_REQUIRE_EQ(16, n);
	ATF_REQUIRE(!hvr_wait_room(&wr, 3000));
	ATF_REQUIRE_EQ(3000, ctl(12));
	set_ctl(8, 1);		/* the mask does not matter */
	get(++got, 1000);
	ATF_REQUIRE(!hvr_release(&rd));
	get(++got, 1000);
	ATF_REQUIRE(hvr_release(&rd));
	get(++got, 1000);
	ATF_REQUIRE(!hvr_release(&rd));
	ATF_REQUIRE(hvr_wait_room(&wr, 3000));
	ATF_REQUIRE_EQ(0, ctl(12));
	/* In one batch over the threshold, too; nothing read, nothing said. */
	set_ctl(12, 8000);
	ATF_REQUIRE(!hvr_release(&rd));
	for (unsigned i = 0; i < 6; i++)
		get(++got, 1000);
	ATF_REQUIRE(hvr_release(&rd));
	/* "Completely empty" as some peers say it. */
	set_ctl(12, D - 1);
	for (unsigned i = 0; i < 5; i++)
		get(++got, 1000);
	ATF_REQUIRE(!hvr_release(&rd));
	get(++got, 1000);
	ATF_REQUIRE(hvr_release(&rd));
	ATF_REQUIRE_EQ(15, got);
}

ATF_TC_WITHOUT_HEAD(bad_start);
ATF_TC_BODY(bad_start, tc)
{
	static const uint32_t bad[] = { D, D + 8, 4, 0xFFFFFFF8, 0xFFFFFFFF };

	for (unsigned i = 0; i < 5; i++) {
		ring_make(false, 0);
		set_ctl(4, bad[i]);
		ATF_REQUIRE(hvr_init_reader(&rd, pages, PAGES) != 0);
		ATF_REQUIRE(hvr_init_writer(&wr, pages, PAGES) != 0);
		set_ctl(4, 0);
		set_ctl(0, bad[i]);
		ATF_REQUIRE(hvr_init_writer(&wr, pages, PAGES) != 0);
	}
	ATF_REQUIRE(hvr_init_reader(&rd, pages, 1) != 0);
	ATF_REQUIRE(hvr_init_reader(&rd, pages, 0) != 0);
}

static void
require_corrupt(enum hvr_corrupt why)
{
	struct vms_pkt d;
	uint32_t n;

	ATF_REQUIRE_EQ(HVR_CORRUPT, hvr_peek(&rd, &d, &n));
	ATF_REQUIRE_EQ(why, rd.r_corrupt);
	/* For good, whatever the guest mends. */
	set_ctl(0, 0);
	ATF_REQUIRE_EQ(HVR_CORRUPT, hvr_peek(&rd, &d, &n));
}

ATF_TC_WITHOUT_HEAD(hostile_index);
ATF_TC_BODY(hostile_index, tc)
{
	static const uint32_t bad[] = { D, D + 8, 1, 4, 0x7FFFFFF8,
	    0x80000000, 0xFFFFFFF8, 0xFFFFFFFF };

	for (unsigned i = 0; i < sizeof(bad) / 4; i++) {
		ring_make(false, 0);
		set_ctl(0, bad[i]);
		require_corrupt(HVR_BAD_INDEX);
		/* The reader's, at the writer. */
		ring_make(false, 0);
		while (put(1, 4000))
			;
		set_ctl(4, bad[i]);
		ATF_REQUIRE(!hvr_room(&wr, 4024));
		ATF_REQUIRE_EQ(HVR_BAD_INDEX, wr.r_corrupt);
	}
	/* A reader that steps back, or beyond what it was shown. */
	ring_make(false, 4096);
	while (put(1, 4000))
		;
	set_ctl(4, 4088);
	ATF_REQUIRE(!hvr_room(&wr, 4024));
	ATF_REQUIRE_EQ(HVR_BAD_INDEX, wr.r_corrupt);
	ring_make(false, 4096);
	while (put(1, 4000))
		;
	set_ctl(4, 4104);
	ATF_REQUIRE(!hvr_room(&wr, 4024));
	ATF_REQUIRE_EQ(HVR_BAD_INDEX, wr.r_corrupt);
}

ATF_TC_WITHOUT_HEAD(hostile_length);
ATF_TC_BODY(hostile_length, tc)
{
	static const struct {
		uint16_t type, offset, len, flags;
		uint32_t in;
		enum hvr_corrupt why;
	} bad[] = {
		{ 6, 2, 2, 0, 16, HVR_BAD_LENGTH },	/* no trailer */
		{ 6, 2, 2, 0, 8, HVR_BAD_LENGTH },	/* no descriptor */
		{ 6, 2, 3, 0, 24, HVR_BAD_LENGTH },
		{ 6, 0, 3, 0, 32, HVR_BAD_LENGTH },
		{ 6, 1, 3, 0, 32, HVR_BAD_LENGTH },
		{ 6, 4, 3, 0, 32, HVR_BAD_LENGTH },
		{ 6, 2, 1, 0, 32, HVR_BAD_LENGTH },
		{ 6, 2, 0, 0, 32, HVR_BAD_LENGTH },
		{ 6, 2, 4, 0, 32, HVR_BAD_LENGTH },
		{ 6, 2, 0xFFFF, 0, D - 8, HVR_BAD_LENGTH },
		{ 6, 0xFFFF, 0xFFFF, 0, D - 8, HVR_BAD_LENGTH },
		{ 0, 2, 3, 0, 32, HVR_BAD_TYPE },
		{ 1, 2, 3, 0, 32, HVR_BAD_TYPE },
		{ 7, 2, 3, 0, 32, HVR_BAD_TYPE },	/* never the guest's */
		{ 8, 2, 3, 0, 32, HVR_BAD_TYPE },
		{ 10, 2, 3, 0, 32, HVR_BAD_TYPE },
		{ 12, 2, 3, 0, 32, HVR_BAD_TYPE },
		{ 0xFFFF, 2, 3, 0, 32, HVR_BAD_TYPE },
		{ 6, 2, 3, 2, 32, HVR_BAD_TYPE },
		{ 6, 2, 3, 0x8001, 32, HVR_BAD_TYPE },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ring_make(i % 2 == 1, 0);
		memcpy(pages[1], &bad[i].type, 2);
		memcpy(pages[1] + 2, &bad[i].offset, 2);
		memcpy(pages[1] + 4, &bad[i].len, 2);
		memcpy(pages[1] + 6, &bad[i].flags, 2);
		set_ctl(0, bad[i].in);
		require_corrupt(bad[i].why);
	}
}

/* A packet that changes after the look is taken as it was looked at. */
ATF_TC_WITHOUT_HEAD(changed_meanwhile);
ATF_TC_BODY(changed_meanwhile, tc)
{
	uint8_t buf[64] __attribute__((aligned(8)));
	struct vms_pkt d;
	uint32_t bytes;

	ring_make(false, 0);
	put(1, 8);
	hvr_show(&wr);
	ATF_REQUIRE_EQ(HVR_PACKET, hvr_peek(&rd, &d, &bytes));
	memset(pages[1], 0xFF, 16);
	hvr_take(&rd, &d, buf, bytes);
	ATF_REQUIRE_EQ(6, buf[0]);
	ATF_REQUIRE_EQ(3, buf[4]);
	ATF_REQUIRE_EQ(1, buf[8]);
}

/* Pending sizes beyond the ring and a lying index do not matter. */
ATF_TC_WITHOUT_HEAD(hostile_pending);
ATF_TC_BODY(hostile_pending, tc)
{
	static const uint32_t bad[] = { D + 8, 0x7FFFFFFF, 0xFFFFFFFF,
	    0xFFFFFFF0 };

	for (unsigned i = 0; i < 4; i++) {
		ring_make(false, 0);
		put(1, 8);
		hvr_show(&wr);
		set_ctl(12, bad[i]);
		get(1, 8);
		ATF_REQUIRE(!hvr_release(&rd));
	}
	ring_make(false, 0);
	put(1, 8);
	hvr_show(&wr);
	set_ctl(12, 64);
	get(1, 8);
	set_ctl(0, D);
	ATF_REQUIRE(!hvr_release(&rd));
	require_corrupt(HVR_BAD_INDEX);
}

/* What never fits is refused, not waited for. */
ATF_TC_WITHOUT_HEAD(too_big);
ATF_TC_BODY(too_big, tc)
{

	ring_make(false, 0);
	ATF_REQUIRE(hvr_room(&wr, D - 8));
	ATF_REQUIRE(!hvr_room(&wr, D));
	ATF_REQUIRE(put(1, D - 8 - 24));
	ATF_REQUIRE(hvr_show(&wr));
	ATF_REQUIRE_EQ(D - 8, ctl(0));
	get(1, D - 8 - 24);
	hvr_release(&rd);
	ATF_REQUIRE(!put(1, D - 24));
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, property_flat);
	ATF_TP_ADD_TC(tp, property_scattered);
	ATF_TP_ADD_TC(tp, wire);
	ATF_TP_ADD_TC(tp, signals_data);
	ATF_TP_ADD_TC(tp, signals_room);
	ATF_TP_ADD_TC(tp, bad_start);
	ATF_TP_ADD_TC(tp, hostile_index);
	ATF_TP_ADD_TC(tp, hostile_length);
	ATF_TP_ADD_TC(tp, changed_meanwhile);
	ATF_TP_ADD_TC(tp, hostile_pending);
	ATF_TP_ADD_TC(tp, too_big);
	return (atf_no_error());
}
