/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest that writes nonsense into everything it can reach: MSRs, hypercalls,
 * messages, rings, its own pages while the host uses them.  The whole model is
 * there, storage with a real channel; after each round the next guest finds a
 * host that serves it.  The same rounds every time; fuzz_server and
 * fuzz_storvsp look further.
 */

#include <atf-c.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define	RING		64		/* pages of the storage channel */
#define	RING_PAGES	16
#define	DATA		128
#define	ROUNDS		150
#define	REQUESTS	500		/* well-formed ones, a round */
#define	STEPS		2000

static struct guest g;
static uint64_t state;

static uint32_t
rnd(void)
{

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((uint32_t)(state >> 16));
}

static uint64_t
rnd64(void)
{

	return ((uint64_t)rnd() << 32 | rnd());
}

/* A number as a guest would write it, or one just beside, or anything. */
static uint64_t
value(void)
{

	switch (rnd() % 6) {
	case 0:
		return (rnd() % 4);
	case 1:
		return (GPA(rnd() % GUEST_PAGES) | (rnd() & 1));
	case 2:
		return (GPA(GUEST_PAGES - 1 + rnd() % 3) | rnd() % 4096);
	case 3:
		return (rnd() % 0x40000);
	case 4:
		return (1ull << rnd() % 64);
	default:
		return (rnd64());
	}
}

static void
noise_msr(void)
{
	uint32_t msr = 0x40000000 + rnd() % 0x120;
	uint64_t val;

	if (rnd() % 4 == 0)
		(void)hvh_rdmsr(g.h, rnd() % (GUEST_VPS + 1), msr, &val);
	else
		(void)hvh_wrmsr(g.h, rnd() % (GUEST_VPS + 1), msr, value());
}

/* Channel messages with a number that exists and anything behind it. */
static void
noise_message(void)
{
	uint8_t msg[240] = { 0 };
	uint32_t len = rnd() % 241, i;

	msg[0] = (uint8_t)(rnd() % 28);
	for (i = 8; i + 4 <= sizeof(msg); i += 4)
		put32(msg + i, rnd() % 3 == 0 ? (uint32_t)value() : rnd() % 8);
	if (rnd() % 2 == 0)
		put32(msg + 12, g.next_gpadl - 1);
	(void)guest_post(&g, rnd() % 5, msg, len);
}

static void
noise_hypercall(void)
{
	static const uint16_t codes[] = { 0x5C, 0x5D, 0x08, 0x02, 0x03, 0x0B,
	    0x13, 0x14, 0x15, 0x50, 0x8001 };
	uint64_t control = codes[rnd() % 11];

	/* Banks and elements where calls have them, or any bits. */
	if (rnd() % 2 != 0)
		control |= (uint64_t)(rnd() % 4) << 17 |
		    (uint64_t)(rnd() % 600) << 32;
	else if (rnd() % 2 != 0)
		control |= value() << 16;
	(void)hvh_hypercall(g.h, rnd() % GUEST_VPS, control,
	    rnd() % 4 != 0 ? GPA(PG_POST) + rnd() % 512 * 8 : value(),
	    value());
}

/*
 * A storage request: of the form that is looked at, with any command in it, or
 * (wild) nearly of that form, which may well be the channel's end.
 */
static void
noise_request(struct guest_ring *r, uint32_t conn, bool wild)
{
	uint8_t pkt[64] = { 3, 0, 0, 0, 1 }, hdr[24] = { 0 };
	uint32_t bytes = sizeof(pkt);
	uint16_t type = 9;

	pkt[12] = 52;
	pkt[20] = 16;
	put32(hdr + 4, 1);
	put32(hdr + 8, 4096);
	put64(hdr + 16, rnd() % 8 != 0 ? DATA + rnd() % 64 : rnd64());
	if (rnd() % 2 == 0) {
		/* Up to 8 blocks of the disk, a few of them beyond its end. */
		pkt[22] = (uint8_t)(rnd() % 2);
		pkt[28] = pkt[22] == 1 ? 0x28 : 0x2a;
		pkt[32] = (uint8_t)(rnd() % 9);
		pkt[33] = (uint8_t)rnd();
		pkt[36] = (uint8_t)(1 + rnd() % 8);
		put32(pkt + 24, pkt[36] * 512u);
	} else {
		pkt[19] = (uint8_t)(rnd() % 4);
		pkt[22] = (uint8_t)(rnd() % 4);
		put32(pkt + 24, rnd() % 4097);
		for (unsigned i = 28; i < 44; i++)
			pkt[i] = rnd() % 2 != 0 ? 0 : (uint8_t)rnd();
	}
	if (wild) {
		pkt[rnd() % sizeof(pkt)] = (uint8_t)rnd();
		put32(hdr + rnd() % 6 * 4, (uint32_t)value());
		type = (uint16_t)(rnd() % 3 != 0 ? 9 : rnd() % 13);
		bytes = rnd() % 4 != 0 ? sizeof(pkt) : rnd() % sizeof(pkt);
	}
	(void)guest_write(r, type, !wild || rnd() % 8 != 0, rnd64(), hdr,
	    sizeof(hdr), pkt, bytes);
	(void)guest_signal(&g, wild ? 1 + rnd() % 4 : conn);
}

static void
noise_memory(void)
{
	uint8_t *p;

	/* The rings and the pages of the SynIC more often than the rest. */
	p = guest_page(&g, rnd() % 3 == 0 ? rnd() % GUEST_PAGES :
	    rnd() % 2 != 0 ? RING + rnd() % RING_PAGES : PG_SIMP + rnd() % 12);
	put32(p + rnd() % (rnd() % 2 != 0 ? 16 : 1024) * 4, (uint32_t)value());
}

static uint32_t
bring_up(struct guest_ring *r)
{
	uint8_t m[240];
	uint32_t chan, gpadl;

	guest_synic(&g);
	ATF_REQUIRE_EQ(1, guest_connect(&g, 0x50003, m));
	chan = get32(m + 184);
	gpadl = guest_gpadl(&g, chan, RING, RING_PAGES, 1);
	ATF_REQUIRE_EQ(0, guest_open(&g, chan, gpadl, 0, RING_PAGES / 2));
	guest_ring(r, &g, RING, RING_PAGES, RING_PAGES / 2);
	return (get32(m + 192));
}

/* The first words of a storage driver, answered. */
static void
served(void)
{
	struct guest_ring r;
	uint8_t pkt[64] = { 7, 0, 0, 0, 1 }, reply[128];
	uint32_t conn;

	hvh_reset(g.h);
	memset(g.mem, 0, GUEST_PAGES * PAGE);
	conn = bring_up(&r);
	ATF_REQUIRE_EQ(1, guest_write(&r, 6, 1, 4711, NULL, 0, pkt,
	    sizeof(pkt)));
	ATF_REQUIRE_EQ(0, guest_signal(&g, conn));
	guest_pump(&g);
	ATF_REQUIRE(guest_read(&r, reply, sizeof(reply)) >= 16 + 12);
	ATF_REQUIRE_EQ(11, reply[0]);
	ATF_REQUIRE_EQ(4711, get64(reply + 8));
	ATF_REQUIRE_EQ(1, get32(reply + 16));
	ATF_REQUIRE_EQ(0, get32(reply + 24));
}

static void
add_disk(struct hvh_scsi *s, unsigned lun, const char *path, bool cdrom)
{
	struct hvh_blk_params bp = { .path = path, .create = true,
	    .size = 1 << 20, .block_size = cdrom ? 2048 : 512 };
	struct hvh_lun_params lp = { .cdrom = cdrom };
	char err[128];

	ATF_REQUIRE_EQ(0, hvh_blk_open(g.h, &bp, &lp.blk, err, sizeof(err)));
	ATF_REQUIRE_EQ(0, hvh_scsi_attach(s, lun, &lp));
}

/* The driver's part of the protocol, so that requests are looked at. */
static void
storage_up(struct guest_ring *r, uint32_t conn)
{
	static const uint8_t ops[] = { 7, 9, 10, 8 };
	uint8_t pkt[64], reply[128];

	for (unsigned i = 0; i < 4; i++) {
		memset(pkt, 0, sizeof(pkt));
		pkt[0] = ops[i];
		pkt[4] = 1;
		pkt[12] = 0x02;
		pkt[13] = 0x06;
		(void)guest_write(r, 6, 1, i + 1, NULL, 0, pkt, sizeof(pkt));
		(void)guest_signal(&g, conn);
		guest_pump(&g);
		ATF_REQUIRE(guest_read(r, reply, sizeof(reply)) > 0);
	}
}

static void
noise_step(struct guest_ring *r, uint32_t conn)
{

	switch (rnd() % 10) {
	case 0:
		noise_msr();
		break;
	case 1:
		noise_hypercall();
		break;
	case 2:
		noise_message();
		break;
	case 3:
	case 4:
		noise_memory();
		break;
	case 5:
		g.now += rnd() % 2000000;
		break;
	case 6:
	case 7:
		(void)hvh_pump(g.h);
		break;
	default:
		noise_request(r, conn, true);
	}
}

static void
noise_round(uint64_t seed)
{
	struct hvh_scsi_params sp = { .max_subchannels = seed % 4,
	    .monitored = seed & 1 };
	struct hvh_config cf = { .monitor_pages = seed & 1,
	    .no_autoeoi = seed & 2, .tsc_hz = seed & 4 ? 1000000000 : 0 };
	struct guest_ring r;
	struct hvh_scsi *s;
	struct hvh_stats st;
	uint8_t reply[128];
	uint32_t conn;
	unsigned i;

	state = seed * 0x9e3779b97f4a7c15;
	guest_create(&g, &cf);
	ATF_REQUIRE_EQ(0, hvh_guid_parse(
	    "2b1d7a60-5d3c-4f0e-8e0a-000000000001", &sp.instance));
	ATF_REQUIRE_EQ(0, hvh_scsi_add(g.h, &sp, &s));
	add_disk(s, 0, seed % 2 == 0 ? NULL : "image", false);
	add_disk(s, 2, NULL, true);
	conn = bring_up(&r);
	storage_up(&r, conn);
	for (i = 0; i < REQUESTS; i++) {
		noise_request(&r, conn, false);
		if (rnd() % 3 == 0)
			(void)hvh_pump(g.h);
		while (guest_read(&r, reply, sizeof(reply)) > 0)
			;
	}
	/* I/O of the image is counted when it ends, in its own time. */
	for (i = 0; i < 2000; i++) {
		(void)hvh_pump(g.h);
		while (guest_read(&r, reply, sizeof(reply)) > 0)
			;
		hvh_get_stats(g.h, &st);
		if (st.io_read_bytes > 0 && st.io_write_bytes > 0)
			break;
		usleep(1000);
	}
	ATF_CHECK_EQ(0, st.rings_corrupt);
	ATF_CHECK(st.io_read_bytes > 0);
	ATF_CHECK(st.io_write_bytes > 0);
	for (i = 0; i < STEPS; i++)
		noise_step(&r, conn);
	served();
	guest_destroy(&g);
}

ATF_TC_WITHOUT_HEAD(noise);
ATF_TC_BODY(noise, tc)
{

	for (uint64_t seed = 1; seed <= ROUNDS; seed++)
		noise_round(seed);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, noise);
	return (atf_no_error());
}
