/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The storage provider packet by packet: each operation in each state, each
 * version and size, what shuts a channel, and what a controller answers for
 * units that are and are not there.
 */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "fake_vsc.h"

#define	ST_SUCCESS	0u
#define	ST_BAD_STATE	0xc0000184u
#define	ST_BAD_PARAM	0xc000000du
#define	ST_REVISION	0xc0000059u

static struct hvh *h;
static struct hvh_scsi *sc;
static struct hvh_chan *ch;

static void
start(uint16_t max_version, uint16_t subchannels)
{

	h = fake_new(4 << 20);
	sc = vsc_controller(h, max_version, subchannels);
	vsc_disk(h, sc, 0, 1 << 20);
	ch = fake_chan(h, 0);
	ATF_REQUIRE_EQ(0, fake_open(ch));
}

/* Takes the primary to a state: 0 Begin to 4 Ready. */
static void
reach(unsigned state, uint16_t version)
{

	if (state > 0)
		ATF_REQUIRE_EQ(0, vsc_op(ch, 7, 64, "", 0));
	if (state > 1)
		ATF_REQUIRE_EQ(0, vsc_op(ch, 9, 64, &version, 2));
	if (state > 2)
		ATF_REQUIRE_EQ(0, vsc_op(ch, 10, 64, "", 0));
	if (state > 3)
		ATF_REQUIRE_EQ(0, vsc_op(ch, 8, 64, "", 0));
}

ATF_TC_WITHOUT_HEAD(states);
ATF_TC_BODY(states, tc)
{
	static const char fine[5][15] = {
		/*	 01234567890123 */
		"-------+------",	/* Begin */
		"---------+----",	/* QueryVersion */
		"----------+---",	/* QueryProperties */
		"--------+----+",	/* EndInitialization */
		"---++++------+",	/* Ready */
	};
	static const uint8_t known[] = { 3, 4, 5, 6, 7, 8, 9, 10, 13 };
	const uint16_t version = 0x0602;
	uint32_t op, status, want;
	unsigned s;

	for (s = 0; s < 5; s++) {
		for (op = 0; op < 18; op++) {
			start(0, 4);
			reach(s, version);
			status = vsc_op(ch, op, 64, &version, op == 9 ? 2 : 0);
			want = memchr(known, (int)op, sizeof(known)) == NULL ?
			    VSC_NONE : fine[s][op] == '+' ? ST_SUCCESS :
			    ST_BAD_STATE;
			ATF_CHECK_EQ_MSG(want, status, "state %u op %u: %x",
			    s, op, status);
			/* A refusal changes nothing, a shut stays. */
			if (want == ST_BAD_STATE && s < 4) {
				uint32_t next[] = { 7, 9, 10, 8 };

				ATF_CHECK_EQ(0, vsc_op(ch, next[s], 64,
				    &version, s == 1 ? 2 : 0));
			}
			if (want == VSC_NONE) {
				ATF_CHECK_EQ(VSC_NONE,
				    vsc_op(ch, 7, 64, "", 0));
				ATF_CHECK_EQ(1, h->stats.rings_corrupt);
			}
			fake_free(h);
		}
	}
}

ATF_TC_WITHOUT_HEAD(versions);
ATF_TC_BODY(versions, tc)
{
	static const uint16_t all[] = { 0x0200, 0x0402, 0x0501, 0x0600,
	    0x0602 };
	static const uint16_t none[] = { 0, 0x0100, 0x0400, 0x0500, 0x0601,
	    0x0603, 0x0700, 0xffff };
	struct vsc_reply rp;
	uint8_t pkt[64] = { 0, 0, 0, 0, 1 };
	unsigned i, m;

	for (m = 0; m < 5; m++) {
		start(all[m], 2);
		ATF_REQUIRE_EQ(0, vsc_op(ch, 7, 48, "", 0));
		for (i = 0; i < 8; i++)
			ATF_CHECK_EQ(ST_REVISION, vsc_op(ch, 9, 48, &none[i],
			    2));
		for (i = 4; i > m; i--)
			ATF_CHECK_EQ(ST_REVISION, vsc_op(ch, 9, 64, &all[i],
			    2));
		/* The reply repeats what was asked for. */
		pkt[0] = 9;
		memcpy(pkt + 12, &all[m], 2);
		fake_put(ch, 6, true, 77, pkt, 64);
		fake_signal(ch);
		ATF_REQUIRE(vsc_reply(ch, &rp));
		ATF_CHECK_EQ(ST_SUCCESS, rp.status);
		ATF_CHECK(memcmp(rp.payload, &all[m], 2) == 0);
		/* Properties tell of sub-channels from 5.1 on. */
		pkt[0] = 10;
		fake_put(ch, 6, true, 78, pkt, 64);
		fake_signal(ch);
		ATF_REQUIRE(vsc_reply(ch, &rp));
		ATF_CHECK_EQ(ST_SUCCESS, rp.status);
		ATF_CHECK_EQ(1 << 20, vsc_get32(rp.payload + 12));
		ATF_CHECK_EQ(m >= 2 ? 1u : 0, vsc_get32(rp.payload + 8));
		ATF_CHECK_EQ(m >= 2 ? 2u : 0, vsc_get32(rp.payload + 4));
		ATF_CHECK_EQ(0, vsc_op(ch, 8, 48, "", 0));
		fake_free(h);
	}
}

/* protocol: storvsc, 5: the completion is as long as the request, up to 64. */
ATF_TC_WITHOUT_HEAD(sizes);
ATF_TC_BODY(sizes, tc)
{
	uint16_t version = 0x0100;
	uint32_t len;

	start(0, 0);
	ATF_REQUIRE_EQ(0, vsc_op(ch, 7, 48, "", 0));
	for (len = 16; len <= 128; len += 8)
		ATF_CHECK_EQ(ST_REVISION, vsc_op(ch, 9, len, &version, 2));
	fake_free(h);
	/* Too short for what they are. */
	for (len = 0; len < 16; len++) {
		start(0, 0);
		reach(1, 0);
		ATF_CHECK_EQ(VSC_NONE, vsc_op(ch, 9, len, &version, 2));
		fake_free(h);
	}
	for (len = 12; len < 14; len++) {
		start(0, 4);
		reach(4, 0x0602);
		ATF_CHECK_EQ(VSC_NONE, vsc_op(ch, 13, len, "", 0));
		fake_free(h);
	}
	start(0, 0);
	reach(4, 0x0602);
	ATF_CHECK_EQ(0, vsc_op(ch, 3, 48, "", 0));
	ATF_CHECK_EQ(0, vsc_op(ch, 3, 56, "", 0));
	ATF_CHECK_EQ(0, vsc_op(ch, 3, 72, "", 0));
	ATF_CHECK_EQ(VSC_NONE, vsc_op(ch, 3, 40, "", 0));
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(shut);
ATF_TC_BODY(shut, tc)
{
	static const uint8_t tur[6];
	uint8_t pkt[64] = { 7, 0, 0, 0, 1 };
	struct fake_pkt *p;
	unsigned i;

	for (i = 0; i < 6; i++) {
		start(0, 0);
		reach(4, 0x0602);
		switch (i) {
		case 0:		/* not a data packet */
			fake_put(ch, 11, true, 1, pkt, 64);
			break;
		case 1:		/* no completion asked for */
			fake_put(ch, 6, false, 1, pkt, 64);
			break;
		case 2:		/* two ranges */
			p = vsc_queue(ch, 1, 0, tur, 6, true, 0, 4096);
			fake_range(p, 8192, 4096);
			break;
		case 3:		/* a range shorter than the data */
			p = vsc_queue(ch, 1, 0, tur, 6, true, 0, 4096);
			p->ranges[0].len = 4095;
			break;
		case 4:		/* none at all */
			p = vsc_queue(ch, 1, 0, tur, 6, true, 0, 4096);
			p->nranges = 0;
			break;
		case 5:		/* the ring itself */
			ch->read_error = EBADMSG;
			break;
		}
		vsc_queue(ch, 2, 0, tur, 6, true, 0, 0);
		fake_signal(ch);
		ch->read_error = 0;
		fake_signal(ch);
		fake_pump(h);
		ATF_CHECK_EQ_MSG(0, ch->out.n, "case %u", i);
		/* Closing and opening begins anew. */
		fake_close(ch);
		ATF_REQUIRE_EQ(1, ch->closed);
		while ((p = ch->in.head) != NULL) {
			ch->in.head = p->next;
			fake_pkt_free(p);
		}
		ATF_REQUIRE_EQ(0, fake_open(ch));
		ATF_CHECK_EQ(ST_BAD_STATE, vsc_op(ch, 8, 64, "", 0));
		vsc_up(ch, 0x0501);
		fake_free(h);
	}
}

ATF_TC_WITHOUT_HEAD(subchannels);
ATF_TC_BODY(subchannels, tc)
{
	static const uint8_t tur[6];
	uint16_t n;
	struct hvh_chan *sub;
	struct vsc_reply rp;

	start(0, 3);
	reach(3, 0x0602);
	n = 4;
	ATF_CHECK_EQ(ST_BAD_PARAM, vsc_op(ch, 13, 64, &n, 2));
	n = 3;
	ATF_CHECK_EQ(ST_SUCCESS, vsc_op(ch, 13, 64, &n, 2));
	ATF_CHECK_EQ(3, h->subs_offered);
	ATF_CHECK_EQ(ST_BAD_STATE, vsc_op(ch, 13, 64, &n, 2));
	/* A sub-channel waits for its primary to be ready. */
	sub = fake_chan(h, 2);
	ATF_REQUIRE_EQ(0, fake_open(sub));
	vsc_queue(sub, 5, 0, tur, 6, true, 0, 0);
	fake_signal(sub);
	ATF_CHECK_EQ(0, sub->out.n);
	ATF_CHECK_EQ(0, vsc_op(ch, 8, 64, "", 0));
	ATF_REQUIRE(vsc_reply(sub, &rp));
	ATF_CHECK_EQ(5, rp.xid);
	ATF_CHECK_EQ(1, rp.srb_status);
	ATF_CHECK_EQ(ST_BAD_STATE, vsc_op(sub, 13, 64, &n, 2));
	ATF_CHECK_EQ(ST_BAD_STATE, vsc_op(sub, 7, 64, "", 0));
	fake_free(h);

	/* After END; none; more than the bus gives; before 5.1. */
	start(0, 3);
	vsc_up(ch, 0x0600);
	n = 0;
	ATF_CHECK_EQ(ST_SUCCESS, vsc_op(ch, 13, 64, &n, 2));
	ATF_CHECK_EQ(0, h->subs_offered);
	n = 2;
	h->sub_error = ENOSPC;
	ATF_CHECK_EQ(ST_BAD_PARAM, vsc_op(ch, 13, 64, &n, 2));
	h->sub_error = 0;
	ATF_CHECK_EQ(ST_SUCCESS, vsc_op(ch, 13, 64, &n, 2));
	ATF_CHECK_EQ(2, h->subs_offered);
	fake_free(h);
	start(0, 3);
	vsc_up(ch, 0x0402);
	ATF_CHECK_EQ(ST_BAD_STATE, vsc_op(ch, 13, 48, &n, 2));
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(report_luns);
ATF_TC_BODY(report_luns, tc)
{
	uint8_t cdb[12] = { 0xa0, 0, 0, 0, 0, 0, 0, 0, 2, 0 };
	struct fake_pkt *p;
	struct vsc_reply rp;

	start(0, 0);
	vsc_disk(h, sc, 63, 65536);
	vsc_disk(h, sc, 7, 65536);
	reach(4, 0x0602);
	memset(h->mem, 0xee, 4096);
	/* To a unit that is not there, too. */
	vsc_srb(ch, 5, cdb, 12, true, 0, 512, &rp);
	ATF_CHECK_EQ(1, rp.srb_status);
	ATF_CHECK_EQ(32, rp.xfer);
	ATF_CHECK(memcmp(h->mem, "\0\0\0\x18\0\0\0\0" "\0\0\0\0\0\0\0\0"
	    "\0\7\0\0\0\0\0\0" "\0\x3f\0\0\0\0\0\0\xee", 33) == 0);
	/* Cut by the buffer, by the allocation; too short for anything. */
	vsc_srb(ch, 0, cdb, 12, true, 0, 20, &rp);
	ATF_CHECK_EQ(20, rp.xfer);
	cdb[8] = 0;
	cdb[9] = 16;
	vsc_srb(ch, 0, cdb, 12, true, 0, 512, &rp);
	ATF_CHECK_EQ(16, rp.xfer);
	vsc_srb(ch, 0, cdb, 12, true, 0, 7, &rp);
	ATF_CHECK_EQ(1, rp.srb_status);
	ATF_CHECK_EQ(0, rp.xfer);
	/* Well-known units alone: none.  A report nobody knows. */
	cdb[2] = 1;
	vsc_srb(ch, 0, cdb, 12, true, 0, 512, &rp);
	ATF_CHECK_EQ(8, rp.xfer);
	cdb[2] = 3;
	vsc_srb(ch, 0, cdb, 12, true, 0, 512, &rp);
	ATF_CHECK_EQ(0x86, rp.srb_status);
	ATF_CHECK_EQ(0x24, rp.sense[12]);
	/* Another target has none. */
	cdb[2] = 0;
	p = vsc_queue(ch, 9, 0, cdb, 12, true, 0, 512);
	p->data[18] = 1;
	fake_signal(ch);
	ATF_REQUIRE(vsc_reply(ch, &rp));
	ATF_CHECK_EQ(8, rp.xfer);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(absent);
ATF_TC_BODY(absent, tc)
{
	uint8_t inq[6] = { 0x12, 0, 0, 0, 36, 0 }, tur[6] = { 0 };
	uint8_t rd[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	struct fake_pkt *p;
	struct vsc_reply rp;
	unsigned i;

	start(0, 0);
	reach(4, 0x0602);
	vsc_srb(ch, 3, inq, 6, true, 0, 36, &rp);
	ATF_CHECK_EQ(1, rp.srb_status);
	ATF_CHECK_EQ(36, rp.xfer);
	ATF_CHECK_EQ(0x7f, h->mem[0]);
	ATF_CHECK_EQ(5, h->mem[2]);
	ATF_CHECK_EQ(2, h->mem[3]);
	ATF_CHECK_EQ(0, h->mem[8]);
	inq[1] = 1;
	vsc_srb(ch, 3, inq, 6, true, 0, 36, &rp);
	ATF_CHECK_EQ(0x86, rp.srb_status);
	ATF_CHECK_EQ(2, rp.scsi_status);
	ATF_CHECK_EQ(0x24, rp.sense[12]);
	inq[1] = 0;
	vsc_srb(ch, 3, inq, 6, true, 0, 35, &rp);
	ATF_CHECK_EQ(0x86, rp.srb_status);
	for (i = 0; i < 256; i++) {
		tur[0] = (uint8_t)i;
		if (i == 0x12 || i == 0xa0)
			continue;
		vsc_srb(ch, i == 0 ? 200 : 63, tur, 6, true, 0, 0, &rp);
		ATF_CHECK_EQ(0x20, rp.srb_status);
		ATF_CHECK_EQ(0, rp.scsi_status);
		ATF_CHECK_EQ(0xc00000c0, rp.status);
	}
	/* Another target, another path: not our disk. */
	for (i = 17; i <= 18; i++) {
		p = vsc_queue(ch, 9, 0, rd, 10, true, 0, 512);
		p->data[i] = 1;
		fake_signal(ch);
		ATF_REQUIRE(vsc_reply(ch, &rp));
		ATF_CHECK_EQ(0x20, rp.srb_status);
	}
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(ide);
ATF_TC_BODY(ide, tc)
{
	static const uint8_t guid[16] = { 1, 0, 0, 0, 1, 0, 0x99, 0x88 };
	struct hvh_blk_params bp = { .size = 65536, .block_size = 512 };
	uint8_t rd[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	uint8_t rl[12] = { 0xa0, 0, 0, 0, 0, 0, 0, 0, 2, 0 };
	struct hvh_lun_params lp = { 0 };
	struct fake_pkt *p;
	struct vsc_reply rp;
	char err[200];

	h = fake_new(1 << 20);
	ATF_REQUIRE_EQ(0, hvh_blk_open(h, &bp, &lp.blk, err, sizeof(err)));
	ATF_CHECK_EQ(EINVAL, hvh_ide_add(h, 2, 0, &lp, &sc));
	ATF_CHECK_EQ(EINVAL, hvh_ide_add(h, 0, 2, &lp, &sc));
	ATF_REQUIRE_EQ(0, hvh_ide_add(h, 1, 1, &lp, &sc));
	ATF_CHECK_EQ(EINVAL, hvh_scsi_attach(sc, 1, &lp));
	ATF_CHECK_EQ(ENOENT, hvh_scsi_detach(sc, 0));
	ch = fake_chan(h, 0);
	ATF_CHECK(memcmp(ch->offer.instance.b, guid, 16) == 0);
	ATF_CHECK_EQ(0x32, ch->offer.type.b[3]);
	ATF_CHECK(memcmp(ch->offer.udata, "\0\0\1\1\0\0\0\0\2\0\0\0", 12) ==
	    0);
	ATF_REQUIRE_EQ(0, fake_open(ch));
	reach(4, 0x0602);
	/* Target 1 whatever the path; target 0 is another drive. */
	p = vsc_queue(ch, 1, 0, rd, 10, true, 0, 512);
	p->data[18] = 1;
	p = vsc_queue(ch, 2, 0, rd, 10, true, 0, 512);
	p = vsc_queue(ch, 3, 0, rl, 12, true, 4096, 512);
	p->data[18] = 1;
	p = vsc_queue(ch, 4, 0, rl, 12, true, 4096, 512);
	p->data[17] = 1;
	p->data[18] = 1;
	fake_signal(ch);
	ATF_REQUIRE(vsc_reply(ch, &rp));
	/* The unit that is not there is answered before the disk. */
	ATF_CHECK_EQ(2, rp.xid);
	ATF_CHECK_EQ(0x20, rp.srb_status);
	/* REPORT LUNS goes by the path as it was sent. */
	ATF_REQUIRE(vsc_reply(ch, &rp));
	ATF_CHECK_EQ(3, rp.xid);
	ATF_CHECK_EQ(8, rp.xfer);
	ATF_REQUIRE(vsc_reply(ch, &rp));
	ATF_CHECK_EQ(16, rp.xfer);
	ATF_REQUIRE(vsc_reply(ch, &rp));
	ATF_CHECK_EQ(1, rp.xid);
	ATF_CHECK_EQ(512, rp.xfer);
	fake_free(h);
}

ATF_TC_WITHOUT_HEAD(parameters);
ATF_TC_BODY(parameters, tc)
{
	struct hvh_scsi_params sp = { .max_subchannels = 16 };
	struct hvh_blk_params bp = { .size = 65536, .block_size = 512 };
	struct hvh_lun_params lp = { 0 };
	char err[200];

	h = fake_new(1 << 20);
	ATF_CHECK_EQ(EINVAL, hvh_scsi_add(h, &sp, &sc));
	sp.max_subchannels = 0;
	sp.max_transfer = 1000;
	ATF_CHECK_EQ(EINVAL, hvh_scsi_add(h, &sp, &sc));
	sp.max_transfer = (8 << 20) + 4096;
	ATF_CHECK_EQ(EINVAL, hvh_scsi_add(h, &sp, &sc));
	sp.max_transfer = 4096;
	ATF_REQUIRE_EQ(0, hvh_scsi_add(h, &sp, &sc));
	ATF_CHECK_EQ(EINVAL, hvh_scsi_attach(sc, 0, &lp));
	ATF_REQUIRE_EQ(0, hvh_blk_open(h, &bp, &lp.blk, err, sizeof(err)));
	ATF_CHECK_EQ(EINVAL, hvh_scsi_attach(sc, 64, &lp));
	ATF_CHECK_EQ(0, hvh_scsi_attach(sc, 63, &lp));
	/* One back end is one unit's. */
	ATF_CHECK_EQ(EINVAL, hvh_scsi_attach(sc, 0, &lp));
	ATF_CHECK_EQ(EEXIST, hvh_scsi_attach(sc, 63, &lp));
	fake_free(h);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, states);
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, sizes);
	ATF_TP_ADD_TC(tp, shut);
	ATF_TP_ADD_TC(tp, subchannels);
	ATF_TP_ADD_TC(tp, report_luns);
	ATF_TP_ADD_TC(tp, absent);
	ATF_TP_ADD_TC(tp, ide);
	ATF_TP_ADD_TC(tp, parameters);
	return (atf_no_error());
}
