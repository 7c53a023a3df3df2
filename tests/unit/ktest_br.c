/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The ring alone: content and order over many wraps, full and empty, the
 * exact rules of signalling, and hosts that write nonsense (protocol: vmbus,
 * 7).  A ring here has both ends in this test, which plays the host's part by
 * writing the control page.
 */

#include "tests/lib/ktest.h"

#include <sys/malloc.h>

#include <dev/hyperv/vmbus/vmbus_brvar.h>

#define	DSIZE	4096u		/* data bytes of a two-page ring */

/* A ring whose writer and reader both are ours. */
struct loop {
	struct vmbus_brmem	 mem;
	struct vmbus_ring_ctl	*ctl;
	struct vmbus_txbr	 tx;
	struct vmbus_rxbr	 rx;
};

static void
loop_init(struct loop *lp)
{

	KT_EQ(vmbus_brmem_alloc(&lp->mem, 2 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	lp->ctl = lp->mem.bm_txctl;
	vmbus_rxbr_init(&lp->rx, lp->ctl, lp->mem.bm_txdata, DSIZE);
	vmbus_txbr_init(&lp->tx, lp->ctl, lp->mem.bm_txdata, DSIZE);
}

static void
loop_fini(struct loop *lp)
{

	vmbus_brmem_free(&lp->mem, false);
}

/* One in-band packet of len payload bytes (a multiple of 8), all byte fill. */
static int
loop_send(struct loop *lp, uint32_t len, uint8_t fill, uint64_t xid,
    bool *signal)
{
	struct vmbus_pkt_desc *pd;
	uint8_t *p;
	int error;

	error = vmbus_txbr_reserve(&lp->tx, vmbus_br_pktsize(16 + len), &p);
	if (error != 0)
		return (error);
	pd = (struct vmbus_pkt_desc *)p;
	pd->pd_type = VMBUS_PKT_TYPE_INBAND;
	pd->pd_hlen = 2;
	pd->pd_tlen = (16 + len) / 8;
	pd->pd_flags = 0;
	pd->pd_xid = xid;
	memset(p + 16, fill, len);
	*signal = vmbus_txbr_commit(&lp->tx, vmbus_br_pktsize(16 + len));
	return (0);
}

static uint32_t
next_random(uint32_t *seed)
{

	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8);
}

KTEST(br_double_map, "the data of each ring appears twice in a row")
{
	struct vmbus_brmem bm;

	KT_EQ(vmbus_brmem_alloc(&bm, 3 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	bm.bm_txdata[0] = 1;
	bm.bm_txdata[8191] = 2;
	bm.bm_rxdata[4096 + 5] = 3;
	KT_EQ(bm.bm_txdata[8192], 1);
	KT_EQ(bm.bm_txdata[8192 + 8191], 2);
	KT_EQ(bm.bm_rxdata[5], 3);
	/* And it is the memory that the host is given. */
	KT_EQ(bm.bm_pages[4096], 1);
	KT_EQ(bm.bm_pages[3 * 4096 + 4096 + 5], 3);
	bm.bm_txctl->rc_in = 24;
	KT_EQ(*(uint32_t *)bm.bm_pages, 24);
	bm.bm_rxctl->rc_out = 32;
	KT_EQ(*(uint32_t *)(bm.bm_pages + 3 * 4096 + 4), 32);
	vmbus_brmem_free(&bm, false);
}

KTEST(br_wire, "a packet lies in the ring as the protocol says")
{
	static const uint8_t want[40] = {
		6, 0, 2, 0, 4, 0, 0, 0,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
		0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
		0, 0, 0, 0, 40, 0, 0, 0,
	};
	struct loop lp;
	bool signal;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 16, 0x55, 1, &signal), 0);
	KT_EQ(loop_send(&lp, 16, 0xaa, 0x1122334455667788, &signal), 0);
	KT_EQ(lp.ctl->rc_in, 80);
	KT_EQ(memcmp(lp.mem.bm_pages + 4096 + 40, want, sizeof(want)), 0);
	KT_EQ(lp.ctl->rc_feature & 1, 1);
	loop_fini(&lp);
}

KTEST(br_random, "what is sent is received, in order, over many wraps")
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	uint32_t got, len, rseed, seed, sent;
	const uint8_t *data;
	u_int i, n;
	bool signal;
	int error;

	loop_init(&lp);
	seed = rseed = 1;
	sent = got = 0;
	while (got < 20000) {
		n = sent % 7 + 1;
		for (i = 0; i < n; i++) {
			uint32_t keep = seed;

			len = next_random(&seed) % 150 * 8;
			error = loop_send(&lp, len, (uint8_t)sent, sent + 1,
			    &signal);
			if (error == EAGAIN) {
				seed = keep;
				break;
			}
			KT_EQ(error, 0);
			sent++;
		}
		while ((error = vmbus_rxbr_peek(&lp.rx, &rp)) == 0) {
			len = next_random(&rseed) % 150 * 8;
			KT_EQ(rp.rp_len, len);
			KT_EQ(rp.rp_hdrlen, 0);
			KT_EQ(rp.rp_type, 6);
			KT_EQ(rp.rp_xid, got + 1);
			data = rp.rp_data;
			for (i = 0; i < len; i++) {
				if (data[i] != (uint8_t)got) {
					KT_EQ(data[i], (uint8_t)got);
					break;
				}
			}
			got++;
			if (got % 3 == 0)
				break;
		}
		KT_CHECK(error == 0 || error == EAGAIN);
		vmbus_rxbr_release(&lp.rx, false, &signal);
	}
	loop_fini(&lp);
}

KTEST(br_full, "a ring is never filled to the last byte")
{
	struct loop lp;
	bool signal;
	u_int n;

	loop_init(&lp);
	/* 16 + 40 + 8 = 64 bytes each; the 64th would make in meet out. */
	for (n = 0; loop_send(&lp, 40, 0, n, &signal) == 0; n++)
		KT_CHECK(n < 64);
	KT_EQ(n, 63);
	KT_EQ(lp.ctl->rc_in, 63 * 64);
	loop_fini(&lp);
}

KTEST(br_largest, "the largest packet leaves one unit free")
{
	struct loop lp;
	uint8_t *p;

	loop_init(&lp);
	KT_EQ(vmbus_txbr_reserve(&lp.tx, DSIZE - 8, &p), 0);
	KT_EQ(vmbus_txbr_reserve(&lp.tx, DSIZE, &p), EINVAL);
	KT_EQ(vmbus_txbr_reserve(&lp.tx, UINT32_MAX & ~7u, &p), EINVAL);
	loop_fini(&lp);
}

KTEST(br_signal_empty, "only a packet that finds the ring empty signals")
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 8, 0, 1, &signal), 0);
	KT_CHECK(signal);
	KT_EQ(loop_send(&lp, 8, 0, 2, &signal), 0);
	KT_CHECK(!signal);
	/* Read, but not given back: the reader is awake and will look. */
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), EAGAIN);
	KT_EQ(loop_send(&lp, 8, 0, 3, &signal), 0);
	KT_CHECK(!signal);
	KT_CHECK(vmbus_rxbr_release(&lp.rx, false, &signal));
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	KT_EQ(rp.rp_xid, 3);
	KT_CHECK(!vmbus_rxbr_release(&lp.rx, false, &signal));
	KT_EQ(loop_send(&lp, 8, 0, 4, &signal), 0);
	KT_CHECK(signal);
	loop_fini(&lp);
}

KTEST(br_signal_masked, "a reader that masks is not signalled")
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;

	loop_init(&lp);
	vmbus_rxbr_mask(&lp.rx);
	KT_EQ(loop_send(&lp, 8, 0, 1, &signal), 0);
	KT_CHECK(!signal);
	/* Unmasking with data there masks again and says so. */
	KT_CHECK(vmbus_rxbr_release(&lp.rx, true, &signal));
	KT_EQ(lp.ctl->rc_mask, 1);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	KT_CHECK(!vmbus_rxbr_release(&lp.rx, true, &signal));
	KT_EQ(lp.ctl->rc_mask, 0);
	KT_EQ(loop_send(&lp, 8, 0, 2, &signal), 0);
	KT_CHECK(signal);
	loop_fini(&lp);
}

/*
 * The host wrote fill bytes and waits for more than pending; we give back
 * take bytes: is it told?
 */
static bool
room_signal(uint32_t fill, uint32_t take, uint32_t pending, uint32_t feature)
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, take - 24, 0, 1, &signal), 0);
	if (fill > take)
		KT_EQ(loop_send(&lp, fill - take - 24, 0, 2, &signal), 0);
	lp.ctl->rc_pending = pending;
	lp.ctl->rc_feature = feature;
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	vmbus_rxbr_release(&lp.rx, false, &signal);
	loop_fini(&lp);
	return (signal);
}

KTEST(br_room_threshold, "a waiting writer is told when its need is crossed")
{

	/* 4096 - 4000 = 96 free before, 1096 after. */
	KT_CHECK(room_signal(4000, 1000, 96, 1));
	KT_CHECK(room_signal(4000, 1000, 104, 1));
	KT_CHECK(room_signal(4000, 1000, 1088, 1));
	/* Free must be more than it waits for. */
	KT_CHECK(!room_signal(4000, 1000, 1096, 1));
	KT_CHECK(!room_signal(4000, 1000, 4088, 1));
	/* It had that much before: somebody told it already. */
	KT_CHECK(!room_signal(4000, 1000, 88, 1));
	/* Nobody waits; or the writer does not use the field. */
	KT_CHECK(!room_signal(4000, 1000, 0, 1));
	KT_CHECK(!room_signal(4000, 1000, 1088, 0));
	KT_CHECK(room_signal(1000, 1000, 4088, 1));
}

KTEST(br_room_masked, "the mask does not keep a writer from its room")
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 4000, 0, 1, &signal), 0);
	lp.ctl->rc_pending = 2048;
	vmbus_rxbr_mask(&lp.rx);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	vmbus_rxbr_release(&lp.rx, false, &signal);
	KT_CHECK(signal);
	loop_fini(&lp);
}

KTEST(br_wait_for_room, "a sender without room says how much it needs")
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 3000, 0, 1, &signal), 0);
	KT_EQ(loop_send(&lp, 1000, 0, 2, &signal), 0);
	KT_EQ(lp.ctl->rc_pending, 0);
	KT_EQ(loop_send(&lp, 400, 0, 3, &signal), EAGAIN);
	KT_EQ(lp.ctl->rc_pending, 424);
	/* A larger one counts, a smaller one does not lower it. */
	KT_EQ(loop_send(&lp, 3600, 0, 3, &signal), EAGAIN);
	KT_EQ(loop_send(&lp, 800, 0, 3, &signal), EAGAIN);
	KT_EQ(lp.ctl->rc_pending, 3624);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	vmbus_rxbr_release(&lp.rx, false, &signal);
	KT_CHECK(!signal);
	/* 48 + 3024 bytes of room: enough for one, not for the other. */
	KT_CHECK(vmbus_txbr_wakeup(&lp.tx));
	KT_EQ(loop_send(&lp, 800, 0, 3, &signal), 0);
	KT_EQ(lp.ctl->rc_pending, 3624);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	vmbus_rxbr_release(&lp.rx, false, &signal);
	KT_CHECK(signal);
	KT_CHECK(!vmbus_txbr_wakeup(&lp.tx));
	KT_EQ(lp.ctl->rc_pending, 0);
	KT_EQ(loop_send(&lp, 3600, 0, 4, &signal), 0);
	loop_fini(&lp);
}

static int
hostile_in(uint32_t in)
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	int error;

	loop_init(&lp);
	lp.ctl->rc_in = in;
	error = vmbus_rxbr_peek(&lp.rx, &rp);
	/* Once bad, bad until closed, whatever the host writes. */
	if (error == EBADMSG) {
		lp.ctl->rc_in = 0;
		KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), EBADMSG);
	}
	loop_fini(&lp);
	return (error);
}

KTEST(br_hostile_in, "an impossible write index disables the ring")
{

	KT_EQ(hostile_in(0), EAGAIN);
	KT_EQ(hostile_in(4096), EBADMSG);
	KT_EQ(hostile_in(UINT32_MAX), EBADMSG);
	KT_EQ(hostile_in(0x80000000), EBADMSG);
	KT_EQ(hostile_in(12), EBADMSG);
	KT_EQ(hostile_in(1), EBADMSG);
	/* Too little for a descriptor and a trailer. */
	KT_EQ(hostile_in(8), EBADMSG);
	KT_EQ(hostile_in(16), EBADMSG);
}

KTEST(br_hostile_backwards, "a write index that moves back is refused")
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 40, 0, 1, &signal), 0);
	KT_EQ(loop_send(&lp, 40, 0, 2, &signal), 0);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	lp.ctl->rc_in = 64;
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), EBADMSG);
	loop_fini(&lp);
}

static int
hostile_desc(uint16_t type, uint16_t hlen, uint16_t tlen)
{
	struct vmbus_pkt_desc *pd;
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;
	int error;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 48, 0, 1, &signal), 0);	/* 8 units, 72 bytes */
	pd = (struct vmbus_pkt_desc *)lp.mem.bm_txdata;
	pd->pd_type = type;
	pd->pd_hlen = hlen;
	pd->pd_tlen = tlen;
	error = vmbus_rxbr_peek(&lp.rx, &rp);
	if (error == 0) {
		KT_EQ(rp.rp_hdrlen, hlen * 8 - 16);
		KT_EQ(rp.rp_len, (tlen - hlen) * 8);
	}
	loop_fini(&lp);
	return (error);
}

KTEST(br_hostile_desc, "lengths and types are checked before use")
{

	KT_EQ(hostile_desc(6, 2, 8), 0);
	KT_EQ(hostile_desc(6, 8, 8), 0);
	KT_EQ(hostile_desc(11, 2, 8), 0);
	KT_EQ(hostile_desc(7, 4, 8), 0);
	KT_EQ(hostile_desc(7, 3, 8), 0);
	KT_EQ(hostile_desc(7, 2, 8), EBADMSG);
	KT_EQ(hostile_desc(6, 0, 8), EBADMSG);
	KT_EQ(hostile_desc(6, 1, 8), EBADMSG);
	KT_EQ(hostile_desc(6, 3, 2), EBADMSG);
	KT_EQ(hostile_desc(6, 2, 9), EBADMSG);
	KT_EQ(hostile_desc(6, 2, 0xffff), EBADMSG);
	KT_EQ(hostile_desc(6, 0xffff, 0xffff), EBADMSG);
	KT_EQ(hostile_desc(0, 2, 8), EBADMSG);
	KT_EQ(hostile_desc(9, 4, 8), EBADMSG);
	KT_EQ(hostile_desc(0xffff, 2, 8), EBADMSG);
}

static int
hostile_out(uint32_t out)
{
	struct loop lp;
	bool signal;
	int error;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 3000, 0, 1, &signal), 0);
	KT_EQ(loop_send(&lp, 1000, 0, 2, &signal), 0);	/* in is 4048 */
	lp.ctl->rc_out = out;
	error = loop_send(&lp, 400, 0, 3, &signal);
	loop_fini(&lp);
	return (error);
}

KTEST(br_hostile_out, "an impossible read index disables sending")
{

	KT_EQ(hostile_out(0), EAGAIN);
	KT_EQ(hostile_out(3024), 0);
	KT_EQ(hostile_out(4048), 0);
	KT_EQ(hostile_out(4056), EBADMSG);	/* beyond what was sent */
	KT_EQ(hostile_out(4096), EBADMSG);
	KT_EQ(hostile_out(3025), EBADMSG);
	KT_EQ(hostile_out(UINT32_MAX), EBADMSG);
}

KTEST(br_hostile_release, "a bad index is noticed when room is given back")
{
	struct vmbus_rxpkt rp;
	struct loop lp;
	bool signal;

	loop_init(&lp);
	KT_EQ(loop_send(&lp, 40, 0, 1, &signal), 0);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), 0);
	lp.ctl->rc_in = 0x7ffffff8;
	KT_CHECK(!vmbus_rxbr_release(&lp.rx, true, &signal));
	KT_CHECK(!signal);
	KT_EQ(vmbus_rxbr_peek(&lp.rx, &rp), EBADMSG);
	loop_fini(&lp);
}
