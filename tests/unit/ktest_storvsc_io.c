/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Transaction ids as the host may return them, and page lists made of data in
 * memory or of DMA segments (protocol: storvsc, sections 2 and 6.3); how much
 * is taken from a ring at a time.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bio.h>
#include <sys/malloc.h>

#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>

#include <dev/hyperv/storvsc/storvsc_var.h>
#include <dev/hyperv/vmbus/vmbus_chanvar.h>

#include "ktest.h"

KTEST(storvsc_ids, "only ids that are out are found")
{
	static const uint8_t not_sent[] = {
		STORVSC_RS_FREE, STORVSC_RS_LOADING, STORVSC_RS_WAIT
	};
	struct storvsc_chan *c;
	struct storvsc_req *req;
	u_int i;

	c = malloc_aligned(sizeof(*c), CACHE_LINE_SIZE, M_TEMP,
	    M_WAITOK | M_ZERO);
	req = malloc(4 * sizeof(*req), M_TEMP, M_WAITOK | M_ZERO);
	c->c_reqs = req;
	c->c_nreqs = 4;
	c->c_base = 8;
	for (i = 0; i < 4; i++) {
		req[i].sr_state = STORVSC_RS_SENT;
		req[i].sr_gen = 100 + i;
	}

	/* 1 is the first request of the controller's first channel. */
	KT_CHECK(storvsc_req_lookup(c, (100ULL << 32) | 9) == &req[0]);
	KT_CHECK(storvsc_req_lookup(c, (103ULL << 32) | 12) == &req[3]);
	/* Out of range, on either side and far away. */
	KT_CHECK(storvsc_req_lookup(c, (100ULL << 32) | 8) == NULL);
	KT_CHECK(storvsc_req_lookup(c, (100ULL << 32) | 13) == NULL);
	KT_CHECK(storvsc_req_lookup(c, 0) == NULL);
	KT_CHECK(storvsc_req_lookup(c, 100ULL << 32) == NULL);
	KT_CHECK(storvsc_req_lookup(c, ~0ULL) == NULL);
	KT_CHECK(storvsc_req_lookup(c, (100ULL << 32) | 0xfffffffe) == NULL);
	/* An earlier or a later use. */
	KT_CHECK(storvsc_req_lookup(c, (99ULL << 32) | 9) == NULL);
	KT_CHECK(storvsc_req_lookup(c, (101ULL << 32) | 9) == NULL);
	/* One that the host does not have, or has answered. */
	for (i = 0; i < nitems(not_sent); i++) {
		req[0].sr_state = not_sent[i];
		KT_CHECK(storvsc_req_lookup(c, (100ULL << 32) | 9) == NULL);
	}
	free(req, M_TEMP);
	free(c, M_TEMP);
}

KTEST(storvsc_ids_base0, "id 0 and the control id are never a request")
{
	struct storvsc_chan *c;
	struct storvsc_req req;

	c = malloc_aligned(sizeof(*c), CACHE_LINE_SIZE, M_TEMP,
	    M_WAITOK | M_ZERO);
	memset(&req, 0, sizeof(req));
	req.sr_state = STORVSC_RS_SENT;
	c->c_reqs = &req;
	c->c_nreqs = 1;
	KT_CHECK(storvsc_req_lookup(c, 0) == NULL);
	KT_CHECK(storvsc_req_lookup(c, 1) == &req);
	KT_CHECK(storvsc_req_lookup(c, 2) == NULL);
	KT_CHECK(storvsc_req_lookup(c, 0xffffffff) == NULL);
	KT_EQ(storvsc_id(0xffffffff, 7), 0x7ffffffffLL);
	free(c, M_TEMP);
}

static struct vmbus_gpa_prplist pl;
static uint64_t pfn[5];

static int
list(const bus_dma_segment_t *segs, int nseg)
{

	memset(&pl, 0, sizeof(pl));
	memset(pfn, 0, sizeof(pfn));
	return (storvsc_prplist(segs, nseg, pfn, nitems(pfn), &pl));
}

KTEST(storvsc_pages_one, "a piece of one page")
{
	static const bus_dma_segment_t whole = { 0x5000, 0x1000 };
	static const bus_dma_segment_t part = { 0x5200, 0x200 };
	static const bus_dma_segment_t last = { 0x5fff, 1 };

	KT_EQ(list(&whole, 1), 0);
	KT_EQ(pl.pl_len, 0x1000);
	KT_EQ(pl.pl_ofs, 0);
	KT_EQ(pl.pl_npfn, 1);
	KT_EQ(pfn[0], 5);
	KT_CHECK(pl.pl_pfn == pfn);
	KT_EQ(list(&part, 1), 0);
	KT_EQ(pl.pl_len, 0x200);
	KT_EQ(pl.pl_ofs, 0x200);
	KT_EQ(pl.pl_npfn, 1);
	KT_EQ(list(&last, 1), 0);
	KT_EQ(pl.pl_ofs, 0xfff);
	KT_EQ(pl.pl_npfn, 1);
}

KTEST(storvsc_pages_run, "first and last page may be partial")
{
	static const bus_dma_segment_t segs[] = {
		{ 0x5800, 0x800 }, { 0x200000000, 0x1000 }, { 0x9000, 0x10 }
	};

	KT_EQ(list(segs, 3), 0);
	KT_EQ(pl.pl_len, 0x1810);
	KT_EQ(pl.pl_ofs, 0x800);
	KT_EQ(pl.pl_npfn, 3);
	KT_EQ(pfn[0], 5);
	KT_EQ(pfn[1], 0x200000);
	KT_EQ(pfn[2], 9);
}

KTEST(storvsc_pages_long, "a segment of several pages")
{
	static const bus_dma_segment_t segs[] = {
		{ 0x5e00, 0x1200 }, { 0xa000, 0x1200 }
	};

	KT_EQ(list(segs, 2), 0);
	KT_EQ(pl.pl_len, 0x2400);
	KT_EQ(pl.pl_ofs, 0xe00);
	KT_EQ(pl.pl_npfn, 4);
	KT_EQ(pfn[0], 5);
	KT_EQ(pfn[1], 6);
	KT_EQ(pfn[2], 10);
	KT_EQ(pfn[3], 11);
}

KTEST(storvsc_pages_holes, "what one range cannot say is refused")
{
	static const bus_dma_segment_t starts_inside[] = {
		{ 0x5000, 0x1000 }, { 0x6200, 0xe00 }
	};
	static const bus_dma_segment_t ends_inside[] = {
		{ 0x5000, 0x200 }, { 0x6000, 0x1000 }
	};
	static const bus_dma_segment_t middle[] = {
		{ 0x5000, 0x1000 }, { 0x6000, 0x200 }, { 0x7000, 0x1000 }
	};
	static const bus_dma_segment_t nothing[] = {
		{ 0x5000, 0x1000 }, { 0x6000, 0 }
	};

	KT_EQ(list(starts_inside, 2), EINVAL);
	KT_EQ(list(ends_inside, 2), EINVAL);
	KT_EQ(list(middle, 3), EINVAL);
	KT_EQ(list(nothing, 2), EINVAL);
	KT_EQ(list(nothing, 0), EINVAL);
}

KTEST(storvsc_pages_limit, "no more pages than the list holds")
{
	static const bus_dma_segment_t five = { 0x5800, 0x4800 };
	static const bus_dma_segment_t six = { 0x5800, 0x4801 };

	KT_EQ(list(&five, 1), 0);
	KT_EQ(pl.pl_npfn, 5);
	KT_EQ(list(&six, 1), EFBIG);
}

/* Pages out of order, as no allocation would give them. */
static struct vm_page page[4] = {
	{ .phys_addr = 0x7000 }, { .phys_addr = 0x3000 },
	{ .phys_addr = 0x1234567000 }, { .phys_addr = 0x5000 }
};
static vm_page_t ma[4] = { &page[0], &page[1], &page[2], &page[3] };

static union ccb *
pages_ccb(uint32_t kind, void *data, uint32_t len)
{
	union ccb *ccb;

	ccb = malloc(sizeof(*ccb), M_TEMP, M_WAITOK | M_ZERO);
	ccb->ccb_h.flags = CAM_DIR_IN | kind;
	ccb->csio.data_ptr = data;
	ccb->csio.dxfer_len = len;
	return (ccb);
}

KTEST(storvsc_direct_bio, "pages of a bio that is not mapped, as they are")
{
	struct vmbus_gpa_prplist pl;
	struct bio bio = { .bio_flags = BIO_UNMAPPED, .bio_ma = ma,
	    .bio_ma_n = 4, .bio_bcount = 0x2800 };
	uint64_t pfn[5];
	union ccb *ccb;

	/* The offset may lie beyond the first page. */
	bio.bio_ma_offset = PAGE_SIZE + 0x800;
	ccb = pages_ccb(CAM_DATA_BIO, &bio, 0x2800);
	KT_CHECK(storvsc_pages(ccb, pfn, 0x4000, &pl));
	KT_EQ(pl.pl_len, 0x2800);
	KT_EQ(pl.pl_ofs, 0x800);
	KT_EQ(pl.pl_npfn, 3);
	KT_CHECK(pl.pl_pfn == pfn);
	KT_EQ(pfn[0], 0x3);
	KT_EQ(pfn[1], 0x1234567);
	KT_EQ(pfn[2], 0x5);

	/* Longer than the host takes, or than the bio, or of another kind. */
	KT_CHECK(!storvsc_pages(ccb, pfn, 0x27ff, &pl));
	ccb->csio.dxfer_len = 0x2801;
	KT_CHECK(!storvsc_pages(ccb, pfn, 0x4000, &pl));
	ccb->csio.dxfer_len = 0x2800;
	bio.bio_flags = BIO_VLIST;
	KT_CHECK(!storvsc_pages(ccb, pfn, 0x4000, &pl));
	bio.bio_flags = 0;
	KT_CHECK(!storvsc_pages(ccb, pfn, 0x4000, &pl));
	free(ccb, M_TEMP);
}

KTEST(storvsc_direct_vaddr, "kernel memory, wherever it begins and ends")
{
	struct vmbus_gpa_prplist pl;
	uint64_t pfn[5];
	uint8_t *mem;
	union ccb *ccb;
	u_int i;

	mem = malloc(4 * PAGE_SIZE, M_TEMP, M_WAITOK);
	KT_EQ((uintptr_t)mem & PAGE_MASK, 0);
	ccb = pages_ccb(CAM_DATA_VADDR, mem + 0xfff, PAGE_SIZE + 2);
	KT_CHECK(storvsc_pages(ccb, pfn, 0x4000, &pl));
	KT_EQ(pl.pl_len, PAGE_SIZE + 2);
	KT_EQ(pl.pl_ofs, 0xfff);
	KT_EQ(pl.pl_npfn, 3);
	for (i = 0; i < 3; i++)
		KT_EQ(pfn[i], vtophys(mem + i * PAGE_SIZE) >> PAGE_SHIFT);

	ccb->csio.data_ptr = mem + 0x10;
	ccb->csio.dxfer_len = 0x20;
	KT_CHECK(storvsc_pages(ccb, pfn, 0x4000, &pl));
	KT_EQ(pl.pl_npfn, 1);
	KT_EQ(pfn[0], vtophys(mem) >> PAGE_SHIFT);

	ccb->ccb_h.flags = CAM_DIR_IN | CAM_DATA_SG;
	KT_CHECK(!storvsc_pages(ccb, pfn, 0x4000, &pl));
	ccb->ccb_h.flags = CAM_DIR_IN | CAM_DATA_PADDR;
	KT_CHECK(!storvsc_pages(ccb, pfn, 0x4000, &pl));
	free(ccb, M_TEMP);
	free(mem, M_TEMP);
}

KTEST(storvsc_sg_holes, "lists that must be copied")
{
	static const bus_dma_segment_t fits[] = {
		{ 0x5800, 0x800 }, { 0x9000, 0x2000 }, { 0x7000, 0x10 }
	};
	static const bus_dma_segment_t ends[] = {
		{ 0x5000, 0x200 }, { 0x9000, 0x1000 }
	};
	static const bus_dma_segment_t starts[] = {
		{ 0x5000, 0x1000 }, { 0x9200, 0x200 }
	};

	KT_CHECK(!storvsc_sg_has_holes(fits, 3));
	KT_CHECK(!storvsc_sg_has_holes(ends, 1));
	KT_CHECK(storvsc_sg_has_holes(ends, 2));
	KT_CHECK(storvsc_sg_has_holes(starts, 2));
	KT_CHECK(!storvsc_sg_has_holes(fits, 0));
}

KTEST(storvsc_sg_copies, "copies between a list and a buffer")
{
	uint8_t a[4] = { 1, 2, 3, 4 }, b[3] = { 5, 6, 7 }, buf[8];
	bus_dma_segment_t sg[2] = {
		{ (uintptr_t)a, 4 }, { (uintptr_t)b, 3 }
	};
	static const uint8_t all[8] = { 1, 2, 3, 4, 5, 6, 7, 0xee };

	memset(buf, 0xee, sizeof(buf));
	KT_EQ(storvsc_sg_copy(sg, 2, buf, 8, false), 7);
	KT_EQ(memcmp(buf, all, 8), 0);

	/* Back, but for the last two bytes: those stay as they are. */
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	KT_EQ(storvsc_sg_copy(sg, 2, buf, 5, true), 5);
	KT_EQ(memcmp(a, all, 4), 0);
	KT_EQ(b[0], 5);
	KT_EQ(b[1], 0);
	KT_EQ(b[2], 0);
}

/* A channel whose receive ring the test fills. */
struct ring_fake {
	struct storvsc_softc	*r_sc;
	struct storvsc_chan	*r_c;
	struct vmbus_channel	*r_ch;
	struct vmbus_ring_ctl	*r_ctl;
	uint8_t			*r_ring;
};

#define	RING_SIZE	(64 * 1024)

static void
ring_begin(struct ring_fake *r)
{

	r->r_sc = malloc(sizeof(*r->r_sc), M_TEMP, M_WAITOK | M_ZERO);
	r->r_c = malloc_aligned(sizeof(*r->r_c), CACHE_LINE_SIZE, M_TEMP,
	    M_WAITOK | M_ZERO);
	r->r_ch = malloc_aligned(sizeof(*r->r_ch), __alignof(*r->r_ch),
	    M_TEMP, M_WAITOK | M_ZERO);
	r->r_ctl = malloc(PAGE_SIZE, M_TEMP, M_WAITOK | M_ZERO);
	/* Mapped twice: a packet at the end is in one piece. */
	r->r_ring = malloc(2 * RING_SIZE, M_TEMP, M_WAITOK | M_ZERO);
	vmbus_rxbr_init(&r->r_ch->ch_rx, r->r_ctl, r->r_ring, RING_SIZE);
	r->r_ch->ch_open = true;
	mtx_init(&r->r_sc->sc_mtx, "fake sc", NULL, MTX_DEF);
	mtx_init(&r->r_c->c_mtx, "fake chan", NULL, MTX_DEF);
	/* What the host should not send has been reported. */
	r->r_sc->sc_flags = STORVSC_F_BAD_SAID;
	r->r_sc->sc_chan[0] = r->r_c;
	r->r_c->c_sc = r->r_sc;
	r->r_c->c_ch = r->r_ch;
	STAILQ_INIT(&r->r_c->c_wait);
}

static void
ring_end(struct ring_fake *r)
{

	mtx_destroy(&r->r_c->c_mtx);
	mtx_destroy(&r->r_sc->sc_mtx);
	free(r->r_ring, M_TEMP);
	free(r->r_ctl, M_TEMP);
	free(r->r_ch, M_TEMP);
	free(r->r_c, M_TEMP);
	free(r->r_sc, M_TEMP);
}

/* So many completions of no request. */
static void
ring_fill(struct ring_fake *r, u_int n)
{
	const uint32_t len = sizeof(struct vmbus_pkt_desc) + 8;
	struct vmbus_pkt_desc pd = { .pd_type = VMBUS_PKT_TYPE_COMP,
	    .pd_hlen = sizeof(pd) / 8, .pd_tlen = len / 8, .pd_xid = 99 };
	uint32_t at = 0;

	for (; n > 0; n--, at += len + sizeof(struct vmbus_pkt_trailer))
		memcpy(r->r_ring + at, &pd, sizeof(pd));
	KT_CHECK(at < RING_SIZE);
	atomic_store_rel_32(&r->r_ctl->rc_in, at);
}

KTEST(storvsc_turns, "a full ring is not emptied at one go: other channels "
    "have their turn")
{
	struct ring_fake r;

	ring_begin(&r);
	ring_fill(&r, 1000);
	storvsc_chan_service(r.r_c);
	KT_EQ(r.r_c->c_bad, STORVSC_BATCH * STORVSC_ROUNDS);
	KT_CHECK(STORVSC_BATCH * STORVSC_ROUNDS <= 256);
	/* And all of it in the end, a part each time that the bus calls. */
	for (u_int calls = 1; r.r_c->c_bad < 1000; calls++) {
		KT_CHECK(calls < 1000);
		storvsc_chan_service(r.r_c);
	}
	KT_EQ(r.r_c->c_bad, 1000);
	vmbus_ch_release(r.r_ch);
	KT_EQ(r.r_ctl->rc_out, r.r_ctl->rc_in);
	ring_end(&r);
}
