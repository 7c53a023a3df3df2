/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A guest's side of a storage channel; see fake_vsc.h.
 * protocol: storvsc, 3
 */

#include <atf-c.h>
#include <string.h>

#include "fake_vsc.h"

void
vsc_put32(uint8_t *p, uint32_t v)
{

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

uint32_t
vsc_get32(const uint8_t *p)
{

	return (p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24);
}

bool
vsc_reply(struct hvh_chan *ch, struct vsc_reply *rp)
{
	struct fake_pkt *p;

	memset(rp, 0, sizeof(*rp));
	p = fake_get(ch);
	if (p == NULL)
		return (false);
	ATF_REQUIRE_EQ(11, p->type);
	ATF_REQUIRE(p->len >= 12 && p->len <= 64);
	rp->xid = p->xid;
	rp->len = p->len;
	rp->operation = vsc_get32(p->data);
	rp->flags = vsc_get32(p->data + 4);
	rp->status = vsc_get32(p->data + 8);
	memcpy(rp->payload, p->data + 12, p->len - 12);
	rp->srb_status = rp->payload[2];
	rp->scsi_status = rp->payload[3];
	rp->xfer = vsc_get32(rp->payload + 12);
	memcpy(rp->sense, rp->payload + 16, 20);
	ATF_CHECK_EQ(1, rp->operation);
	ATF_CHECK_EQ(0, rp->flags);
	fake_pkt_free(p);
	return (true);
}

uint32_t
vsc_op(struct hvh_chan *ch, uint32_t op, uint32_t len, const void *payload,
    uint32_t plen)
{
	uint8_t pkt[FAKE_PKT_MAX] = { 0 };
	struct vsc_reply rp;

	vsc_put32(pkt, op);
	vsc_put32(pkt + 4, 1);
	memcpy(pkt + 12, payload, plen);
	fake_put(ch, 6, true, 0x1234567800000000 + op, pkt, len);
	fake_signal(ch);
	if (!vsc_reply(ch, &rp))
		return (VSC_NONE);
	ATF_CHECK_EQ(0x1234567800000000 + op, rp.xid);
	ATF_CHECK_EQ(len < 64 ? len : 64, rp.len);
	return (rp.status);
}

void
vsc_up(struct hvh_chan *ch, uint16_t version)
{
	uint32_t len;

	len = version < 0x0501 ? 48 : 64;
	ATF_REQUIRE_EQ(0, vsc_op(ch, 7, len, "", 0));
	ATF_REQUIRE_EQ(0, vsc_op(ch, 9, len, &version, 2));
	ATF_REQUIRE_EQ(0, vsc_op(ch, 10, len, "", 0));
	ATF_REQUIRE_EQ(0, vsc_op(ch, 8, len, "", 0));
}

struct fake_pkt *
vsc_queue(struct hvh_chan *ch, uint64_t xid, uint8_t lun, const uint8_t *cdb,
    uint8_t cdblen, bool in, uint64_t gpa, uint32_t len)
{
	uint8_t pkt[64] = { 0 };
	struct fake_pkt *p;

	vsc_put32(pkt, 3);
	vsc_put32(pkt + 4, 1);
	pkt[12] = 52;
	pkt[19] = lun;
	pkt[20] = cdblen;
	pkt[21] = 20;
	pkt[22] = len == 0 ? 2 : in ? 1 : 0;
	vsc_put32(pkt + 24, len);
	memcpy(pkt + 28, cdb, cdblen);
	pkt[56] = 60;
	p = fake_put(ch, len == 0 ? 6 : 9, true, xid, pkt, 64);
	if (len != 0)
		fake_range(p, gpa, len);
	return (p);
}

void
vsc_srb(struct hvh_chan *ch, uint8_t lun, const uint8_t *cdb, uint8_t cdblen,
    bool in, uint64_t gpa, uint32_t len, struct vsc_reply *rp)
{
	static uint64_t xid = 1000;

	vsc_queue(ch, ++xid, lun, cdb, cdblen, in, gpa, len);
	fake_signal(ch);
	ATF_REQUIRE(fake_pump_until(ch->h, &ch->out.n, 1));
	ATF_REQUIRE(vsc_reply(ch, rp));
	ATF_REQUIRE_EQ(xid, rp->xid);
	ATF_CHECK_EQ(64, rp->len);
	ATF_CHECK_EQ(52, rp->payload[0]);
	ATF_CHECK_EQ(16, rp->payload[8]);
	ATF_CHECK_EQ(20, rp->payload[9]);
	/* 0x80 only with CHECK CONDITION, or a guest takes it amiss. */
	if ((rp->srb_status & 0x80) != 0)
		ATF_CHECK_EQ(2, rp->scsi_status);
	ATF_CHECK((rp->srb_status & 0x3f) != 0);
	ATF_CHECK((rp->srb_status & 0x3f) != 3);
}

struct hvh_scsi *
vsc_controller(struct hvh *h, uint16_t max_version, uint16_t subchannels)
{
	struct hvh_scsi_params sp = { .max_version = max_version,
	    .max_subchannels = subchannels };
	struct hvh_scsi *sc;

	sp.instance.b[0] = 0x11;
	ATF_REQUIRE_EQ(0, hvh_scsi_add(h, &sp, &sc));
	return (sc);
}

void
vsc_disk(struct hvh *h, struct hvh_scsi *sc, unsigned lun, uint64_t size)
{
	struct hvh_blk_params bp = { .size = size, .block_size = 512 };
	struct hvh_lun_params lp = { 0 };
	char err[200];

	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(h, &bp, &lp.blk, err,
	    sizeof(err)), "%s", err);
	ATF_REQUIRE_EQ(0, hvh_scsi_attach(sc, lun, &lp));
}
