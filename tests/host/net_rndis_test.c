/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * RNDIS control: each request and its answer, what is wrong with a request,
 * news of the link, what waits and how much of it may, and the faults of
 * messages to the guest.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_netvsc.h"

#define	ST_SUCCESS		0u
#define	ST_BAD_VERSION		0xc0010004u
#define	ST_BAD_LENGTH		0xc0010014u
#define	ST_BAD_DATA		0xc0010015u

static struct nv v;
static uint8_t m[8192], r[2048];

static void
begin(uint32_t version)
{

	nv_start(&v, 0, 4);
	nv_up(&v, version);
}

/* A message of words from the type on, its length filled in. */
static void
words(uint32_t type, uint32_t len, uint32_t a, uint32_t b, uint32_t c,
    uint32_t d, uint32_t e)
{

	memset(m, 0, sizeof(m));
	nv_put32(m, type);
	nv_put32(m + 4, len);
	nv_put32(m + 8, a);
	nv_put32(m + 12, b);
	nv_put32(m + 16, c);
	nv_put32(m + 20, d);
	nv_put32(m + 24, e);
}

ATF_TC_WITHOUT_HEAD(initialize);
ATF_TC_BODY(initialize, tc)
{
	unsigned i;

	nv_start(&v, 0, 4);
	nv_setup(&v, 0x50000);
	for (i = 0; i < 2; i++) {
		/* A second one begins anew; so does one behind HALT. */
		words(2, 24, 0x10001 + i, 1, 0, 2048, 0);
		ATF_CHECK_EQ(52, nv_control(&v, m, 24, r));
		ATF_CHECK_EQ(0x80000002u, nv_get32(r));
		ATF_CHECK_EQ(52, nv_get32(r + 4));
		ATF_CHECK_EQ(0x10001 + i, nv_get32(r + 8));
		ATF_CHECK_EQ(ST_SUCCESS, nv_get32(r + 12));
		ATF_CHECK_EQ(1, nv_get32(r + 16));
		ATF_CHECK_EQ(0, nv_get32(r + 20));
		ATF_CHECK_EQ(1, nv_get32(r + 24));
		ATF_CHECK_EQ(0, nv_get32(r + 28));
		ATF_CHECK_EQ(8, nv_get32(r + 32));
		ATF_CHECK_EQ(0xefffffffu, nv_get32(r + 36));
		ATF_CHECK_EQ(3, nv_get32(r + 40));
		ATF_CHECK_EQ(0, nv_get32(r + 44));
		ATF_CHECK_EQ(0, nv_get32(r + 48));
		words(3, 12, 0x20001, 0, 0, 0, 0);
		ATF_CHECK_EQ(1, nv_section(&v, v.ch, 1, 0, m, 12));
		ATF_CHECK_EQ(0, v.ch->out.n);
	}
	/* Another version of RNDIS. */
	words(2, 24, 5, 2, 0, 2048, 0);
	ATF_CHECK_EQ(52, nv_control(&v, m, 24, r));
	ATF_CHECK_EQ(ST_BAD_VERSION, nv_get32(r + 12));
	nv_end(&v);
}

ATF_TC_WITHOUT_HEAD(keepalive_reset);
ATF_TC_BODY(keepalive_reset, tc)
{

	begin(0x60001);
	words(8, 12, 0x12345678, 0, 0, 0, 0);
	ATF_CHECK_EQ(16, nv_control(&v, m, 12, r));
	ATF_CHECK_EQ(0x80000008u, nv_get32(r));
	ATF_CHECK_EQ(0x12345678, nv_get32(r + 8));
	ATF_CHECK_EQ(ST_SUCCESS, nv_get32(r + 12));
	/* RESET forgets the filter, says so, and names no request. */
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x20));
	words(6, 12, 0, 0, 0, 0, 0);
	ATF_CHECK_EQ(16, nv_control(&v, m, 12, r));
	ATF_CHECK_EQ(0x80000006u, nv_get32(r));
	ATF_CHECK_EQ(ST_SUCCESS, nv_get32(r + 8));
	ATF_CHECK_EQ(1, nv_get32(r + 12));
	ATF_CHECK_EQ(0, nv_query32(&v, 0x1010e));
	nv_end(&v);
}

/* What is no request gets no answer but its completion. */
ATF_TC_WITHOUT_HEAD(bad_messages);
ATF_TC_BODY(bad_messages, tc)
{
	static const struct {
		uint32_t	 type, len, sent;
	} bad[] = {
		{ 0, 24, 24 }, { 7, 24, 24 }, { 9, 28, 28 }, { 10, 24, 24 },
		{ 0x80000002, 24, 24 }, { 0xffffffff, 24, 24 },
		{ 2, 23, 24 }, { 2, 25, 24 }, { 2, 24, 23 }, { 2, 0, 24 },
		{ 2, 0xffffffff, 24 }, { 3, 11, 24 }, { 4, 27, 28 },
		{ 4, 28, 27 }, { 4, 29, 28 }, { 5, 27, 28 }, { 5, 28, 27 },
		{ 6, 8, 12 }, { 8, 8, 12 }, { 8, 12, 8 }, { 8, 4097, 4097 },
	};
	unsigned i;

	begin(0x60001);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		words(bad[i].type, bad[i].len, 7, 1, 0, 20, 0);
		ATF_CHECK_EQ_MSG(2, nv_section(&v, v.ch, 1, 0, m,
		    bad[i].sent), "type %x length %u", bad[i].type,
		    bad[i].len);
		ATF_CHECK_EQ(0, v.ch->out.n);
	}
	ATF_CHECK(!nv_shut(&v));
	nv_end(&v);
}

/* Where the data of a request is. */
ATF_TC_WITHOUT_HEAD(information);
ATF_TC_BODY(information, tc)
{
	static const struct {
		uint32_t	 len, ofs, status;
	} tries[] = {
		{ 4, 20, ST_SUCCESS }, { 4, 24, ST_SUCCESS },
		{ 4, 28, ST_BAD_DATA }, { 4, 25, ST_BAD_DATA },
		{ 4, 0, ST_BAD_DATA }, { 0, 0, ST_BAD_DATA },
		{ 4, 19, ST_BAD_DATA }, { 9, 20, ST_BAD_DATA },
		{ 0xffffffff, 20, ST_BAD_DATA },
		{ 4, 0xfffffffc, ST_BAD_DATA }, { 4, 0xffffffff, ST_BAD_DATA },
		{ 3, 20, ST_BAD_LENGTH }, { 8, 20, ST_SUCCESS },
	};
	unsigned i;

	begin(0x60001);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		words(5, 36, 9, 0x1010e, tries[i].len, tries[i].ofs, 0);
		nv_put32(m + 28, 0x20);
		nv_put32(m + 32, 0x20);
		ATF_CHECK_EQ(16, nv_control(&v, m, 36, r));
		ATF_CHECK_EQ(9, nv_get32(r + 8));
		ATF_CHECK_EQ_MSG(tries[i].status, nv_get32(r + 12),
		    "length %x offset %x: %x", tries[i].len, tries[i].ofs,
		    nv_get32(r + 12));
		ATF_CHECK_EQ(tries[i].status == ST_SUCCESS ? 0x20 : 0,
		    nv_query32(&v, 0x1010e));
		ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0));
	}
	words(4, 28, 9, 0x1010e, 0, 0, 0);
	ATF_CHECK_EQ(24, nv_control(&v, m, 28, r));
	ATF_CHECK_EQ(ST_BAD_DATA, nv_get32(r + 12));
	nv_end(&v);
}

/* --- The link --- */

ATF_TC_WITHOUT_HEAD(link_news);
ATF_TC_BODY(link_news, tc)
{
	struct hvh_net_stats st;
	unsigned i;

	begin(0x60001);
	ATF_CHECK_EQ(0, nv_query32(&v, 0x10114));
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, false));
	nv_pump(&v);
	ATF_CHECK_EQ(20, nv_indication(&v, r));
	ATF_CHECK_EQ(7, nv_get32(r));
	ATF_CHECK_EQ(20, nv_get32(r + 4));
	ATF_CHECK_EQ(0x4001000c, nv_get32(r + 8));
	ATF_CHECK_EQ(0, nv_get32(r + 12));
	ATF_CHECK_EQ(0, nv_get32(r + 16));
	ATF_CHECK_EQ(1, nv_query32(&v, 0x10114));
	hvh_net_get_stats(v.na, &st);
	ATF_CHECK(!st.link_up);
	/* A storm: what it comes to is told once, when time has passed. */
	for (i = 0; i < 101; i++)
		ATF_REQUIRE_EQ(0, hvh_net_link(v.na, i % 2 == 0));
	nv_pump(&v);
	ATF_CHECK_EQ(NV_NONE, nv_indication(&v, r));
	v.h->now += 4999999999;
	nv_pump(&v);
	ATF_CHECK_EQ(NV_NONE, nv_indication(&v, r));
	v.h->now += 1;
	nv_pump(&v);
	ATF_CHECK_EQ(20, nv_indication(&v, r));
	ATF_CHECK_EQ(0x4001000b, nv_get32(r + 8));
	/* There and back is no news. */
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, false));
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, true));
	v.h->now += 10000000000;
	nv_pump(&v);
	ATF_CHECK_EQ(NV_NONE, nv_indication(&v, r));
	/* A guest that asks in between knows what it was answered. */
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, false));
	nv_pump(&v);
	ATF_CHECK_EQ(20, nv_indication(&v, r));
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, true));
	ATF_CHECK_EQ(0, nv_query32(&v, 0x10114));
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, false));
	v.h->now += 10000000000;
	nv_pump(&v);
	ATF_CHECK_EQ(20, nv_indication(&v, r));
	ATF_CHECK_EQ(0x4001000c, nv_get32(r + 8));
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, true));
	v.h->now += 10000000000;
	nv_pump(&v);
	ATF_CHECK_EQ(20, nv_indication(&v, r));
	v.h->now += 10000000000;
	/* The far end of the wire goes away. */
	hvh_lock(v.h);
	net_set_link(v.near, false);
	hvh_unlock(v.h);
	nv_pump(&v);
	ATF_CHECK_EQ(20, nv_indication(&v, r));
	ATF_CHECK_EQ(0x4001000c, nv_get32(r + 8));
	ATF_CHECK_EQ(1, nv_query32(&v, 0x10114));
	nv_end(&v);
	/* Nobody is told who has not asked yet. */
	nv_start(&v, 0, 1);
	nv_setup(&v, 0x50000);
	ATF_REQUIRE_EQ(0, hvh_net_link(v.na, false));
	nv_pump(&v);
	ATF_CHECK_EQ(0, v.ch->out.n);
	nv_end(&v);
}

/* --- What waits --- */

ATF_TC_WITHOUT_HEAD(waiting);
ATF_TC_BODY(waiting, tc)
{
	struct nv_xfer x[16];
	struct fake_pkt *p;
	unsigned i, n;

	v.caps = 4;
	begin(0x60001);
	/* The guest keeps the slots: sixteen, and the rest waits. */
	words(8, 12, 0, 0, 0, 0, 0);
	for (i = 0; i < 20; i++) {
		nv_put32(m + 8, i);
		nv_section_put(&v, v.ch, 1, i, m, 12);
	}
	fake_signal(v.ch);
	for (i = 0; i < 20; i++)
		ATF_CHECK_EQ(1, nv_status(v.ch, v.xid - 19 + i));
	for (i = 0; i < 16; i++) {
		ATF_REQUIRE(nv_xfer(v.ch, &x[i]));
		ATF_CHECK_EQ(i, nv_get32(nv_slot(&v, &x[i], 0) + 8));
	}
	ATF_CHECK_EQ(0, v.ch->out.n);
	/* What needs no slot does not wait for one. */
	ATF_REQUIRE_EQ(0, hvh_net_vf(v.na, true, 3));
	nv_pump(&v);
	p = fake_get(v.ch);
	ATF_REQUIRE(p != NULL);
	ATF_CHECK_EQ(128, nv_get32(p->data));
	fake_pkt_free(p);
	nv_return(v.ch, x[7].xid);
	ATF_CHECK_EQ(16, nv_indication(&v, r));
	ATF_CHECK_EQ(16, nv_get32(r + 8));
	ATF_REQUIRE(nv_xfer(v.ch, &x[7]));
	ATF_CHECK_EQ(0, v.ch->out.n);
	/* What may wait is bounded: 100 KiB. */
	for (n = 0; n < 10000; n++) {
		if (nv_section(&v, v.ch, 1, 0, m, 12) != 1)
			break;
	}
	ATF_CHECK_MSG(n > 1000 && n <= 100 * 1024 / 16 + 1, "%u", n);
	ATF_CHECK(!nv_shut(&v));
	nv_end(&v);
}

/* --- Faults --- */

static void
fault(enum hvh_fault_action action, uint32_t key, uint64_t arg,
    uint32_t offset, uint32_t len)
{

	v.h->faults[0] = (struct hvh_fault){ .point = HVH_FAULT_RNDIS_OUT,
	    .action = action, .key = key, .times = 1, .arg = arg,
	    .offset = offset, .len = len };
	v.h->nfaults = 1;
}

static void
query(void)
{

	words(4, 28, 0x77, 0x1010e, 0, 20, 0);
	ATF_CHECK_EQ(1, nv_section(&v, v.ch, 1, 0, m, 28));
}

ATF_TC_WITHOUT_HEAD(faults);
ATF_TC_BODY(faults, tc)
{
	struct nv_xfer x;
	uint8_t frame[60];
	const uint8_t *p;

	begin(0x60001);
	/* Never. */
	fault(HVH_FAULT_DROP, 0x80000004, 0, 0, 0);
	query();
	nv_pump(&v);
	ATF_CHECK_EQ(NV_NONE, nv_indication(&v, r));
	/* Late. */
	fault(HVH_FAULT_DELAY, 0x80000004, 1000, 0, 0);
	query();
	nv_pump(&v);
	ATF_CHECK_EQ(NV_NONE, nv_indication(&v, r));
	/* Others pass by. */
	words(8, 12, 1, 0, 0, 0, 0);
	ATF_CHECK_EQ(16, nv_control(&v, m, 12, r));
	v.h->now += 1000;
	nv_pump(&v);
	ATF_CHECK_EQ(28, nv_indication(&v, r));
	ATF_CHECK_EQ(0x77, nv_get32(r + 8));
	/* Twice. */
	fault(HVH_FAULT_DUP, 0x80000004, 0, 0, 0);
	query();
	ATF_CHECK_EQ(28, nv_indication(&v, r));
	ATF_CHECK_EQ(28, nv_indication(&v, r));
	ATF_CHECK_EQ(NV_NONE, nv_indication(&v, r));
	/* With another's id; another status; a part of it. */
	fault(HVH_FAULT_CORRUPT, 0x80000004, 0x99, 8, 4);
	query();
	ATF_CHECK_EQ(28, nv_indication(&v, r));
	ATF_CHECK_EQ(0x99, nv_get32(r + 8));
	fault(HVH_FAULT_STATUS, 0x80000004, 0xc0000001, 0, 0);
	query();
	ATF_CHECK_EQ(28, nv_indication(&v, r));
	ATF_CHECK_EQ(0xc0000001u, nv_get32(r + 12));
	fault(HVH_FAULT_TRUNCATE, 0x80000004, 10, 0, 0);
	query();
	ATF_CHECK_EQ(10, nv_indication(&v, r));
	/* A packet's information that never ends. */
	ATF_REQUIRE_EQ(0, nv_set32(&v, 0x1010e, 0x20));
	fault(HVH_FAULT_CORRUPT, 1, 0, 44, 4);
	nv_frame(frame, 4, 17, 10);
	fake_nic_send(&v.nic, frame, 52);
	nv_pump(&v);
	ATF_REQUIRE(nv_xfer(v.ch, &x));
	p = nv_slot(&v, &x, 0);
	ATF_CHECK_EQ(0, nv_get32(p + 44));
	ATF_CHECK_EQ(16, nv_get32(p + 32));
	nv_return(v.ch, x.xid);
	/* One that is lost gives its slot back. */
	fault(HVH_FAULT_DROP, 1, 0, 0, 0);
	fake_nic_send(&v.nic, frame, 52);
	nv_pump(&v);
	ATF_CHECK_EQ(0, v.ch->out.n);
	ATF_CHECK(!nv_shut(&v));
	nv_end(&v);
}

/* It closes with answers on their way. */
ATF_TC_WITHOUT_HEAD(late_close);
ATF_TC_BODY(late_close, tc)
{

	begin(0x60001);
	fault(HVH_FAULT_DELAY, 0x80000004, 1000, 0, 0);
	query();
	fake_close(v.ch);
	v.h->now += 1000;
	nv_pump(&v);
	ATF_REQUIRE_EQ(0, fake_open(v.ch));
	nv_up(&v, 0x50000);
	ATF_CHECK_EQ(0, v.ch->out.n);
	nv_end(&v);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, initialize);
	ATF_TP_ADD_TC(tp, keepalive_reset);
	ATF_TP_ADD_TC(tp, bad_messages);
	ATF_TP_ADD_TC(tp, information);
	ATF_TP_ADD_TC(tp, link_news);
	ATF_TP_ADD_TC(tp, waiting);
	ATF_TP_ADD_TC(tp, faults);
	ATF_TP_ADD_TC(tp, late_close);
	return (atf_no_error());
}
