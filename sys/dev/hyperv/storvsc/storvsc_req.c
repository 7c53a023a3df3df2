/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Requests: the pool of a channel, transaction ids, page lists and the request
 * block.  Everything that can be said without sending: storvsc_io.c sends.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bio.h>
#include <sys/kernel.h>

#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_sim.h>
#include <cam/scsi/scsi_all.h>
#include <cam/scsi/scsi_message.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/*
 * Finds the request that an id from the wire stands for: it must be of this
 * channel, be with the host, and be in the use the id was given out for.
 * NULL if not.  c_mtx held.
 */
HYPERV_HOT struct storvsc_req *
storvsc_req_lookup(struct storvsc_chan *c, uint64_t xid)
{
	struct storvsc_req *req;
	uint32_t index;

	/* On the wire 1 is the first, so that 0 is never ours. */
	index = (uint32_t)xid - 1 - c->c_base;
	if ((uint32_t)xid == 0 || index >= c->c_nreqs)
		return (NULL);
	req = &c->c_reqs[index];
	if (req->sr_state != STORVSC_RS_SENT || req->sr_gen != xid >> 32)
		return (NULL);
	return (req);
}

/*
 * Turns DMA segments into one run of whole pages.  There is no way to say on
 * the wire that a page in the middle is partly used, so only the first segment
 * may begin, and only the last may end, inside of a page (protocol: storvsc,
 * section 2).  EINVAL if they do not fit together so, EFBIG if there are more
 * than maxpfn pages.
 */
int
storvsc_prplist(const bus_dma_segment_t *segs, int nseg, uint64_t *pfn,
    u_int maxpfn, struct vmbus_gpa_prplist *pl)
{
	bus_addr_t addr, end;
	uint64_t total;
	u_int n;
	int i;

	/* The common case: what lies in one page. */
	if (nseg == 1 && segs[0].ds_len - 1 < STORVSC_PAGE_SIZE -
	    (segs[0].ds_addr & STORVSC_PAGE_MASK)) {
		pfn[0] = segs[0].ds_addr >> STORVSC_PAGE_SHIFT;
		pl->pl_len = (uint32_t)segs[0].ds_len;
		pl->pl_ofs = (uint32_t)(segs[0].ds_addr & STORVSC_PAGE_MASK);
		pl->pl_npfn = 1;
		pl->pl_pfn = pfn;
		return (0);
	}
	total = 0;
	n = 0;
	for (i = 0; i < nseg; i++) {
		addr = segs[i].ds_addr;
		end = addr + segs[i].ds_len;
		if (segs[i].ds_len == 0 ||
		    (i > 0 && (addr & STORVSC_PAGE_MASK) != 0) ||
		    (i < nseg - 1 && (end & STORVSC_PAGE_MASK) != 0))
			return (EINVAL);
		total += segs[i].ds_len;
		for (addr = rounddown2(addr, STORVSC_PAGE_SIZE); addr < end;
		    addr += STORVSC_PAGE_SIZE) {
			if (n == maxpfn)
				return (EFBIG);
			pfn[n++] = addr >> STORVSC_PAGE_SHIFT;
		}
	}
	if (n == 0)
		return (EINVAL);
	pl->pl_len = (uint32_t)total;
	pl->pl_ofs = (uint32_t)(segs[0].ds_addr & STORVSC_PAGE_MASK);
	pl->pl_npfn = n;
	pl->pl_pfn = pfn;
	return (0);
}

/*
 * The page list of a request without busdma, where nothing above this device
 * limits what memory it may use: the host takes any page by its number, in any
 * order; there is nothing to map and no cache to flush.  What is not of the two
 * common kinds, or longer than maxlen bytes, is left to busdma: false.  pfn has
 * room for the pages of so many bytes, wherever they begin.
 */
HYPERV_HOT bool
storvsc_pages(const union ccb *ccb, uint64_t *pfn, uint32_t maxlen,
    struct vmbus_gpa_prplist *pl)
{
	const struct ccb_scsiio *csio = &ccb->csio;
	const struct bio *bp = NULL;
	vm_offset_t va;
	vm_page_t *ma;
	u_int i;

	if (csio->dxfer_len > maxlen)
		return (false);
	switch (csio->ccb_h.flags & CAM_DATA_MASK) {
	case CAM_DATA_VADDR:
		va = (vm_offset_t)csio->data_ptr;
		break;
	case CAM_DATA_BIO:
		bp = (const struct bio *)csio->data_ptr;
		if ((bp->bio_flags & (BIO_UNMAPPED | BIO_VLIST)) !=
		    BIO_UNMAPPED || bp->bio_bcount != csio->dxfer_len)
			return (false);
		va = (vm_offset_t)bp->bio_ma_offset;
		break;
	default:
		return (false);
	}
	pl->pl_len = csio->dxfer_len;
	pl->pl_ofs = (uint32_t)(va & STORVSC_PAGE_MASK);
	pl->pl_npfn = (u_int)howmany((uint64_t)pl->pl_ofs + pl->pl_len,
	    STORVSC_PAGE_SIZE);
	pl->pl_pfn = pfn;
	if (bp != NULL) {
		ma = bp->bio_ma + (va >> STORVSC_PAGE_SHIFT);
		for (i = 0; i < pl->pl_npfn; i++)
			pfn[i] = VM_PAGE_TO_PHYS(ma[i]) >> STORVSC_PAGE_SHIFT;
	} else {
		for (i = 0; i < pl->pl_npfn; i++)
			pfn[i] = pmap_kextract(va + i * STORVSC_PAGE_SIZE) >>
			    STORVSC_PAGE_SHIFT;
	}
	return (true);
}

/* What requests of a controller have in common, in *tmpl. */
void
storvsc_srb_template(struct storvsc_pkt *tmpl, uint32_t version, uint32_t unit)
{
	struct storvsc_srb *srb = &tmpl->sp_srb;
	bool ext = version >= STORVSC_VERSION_5_1;

	memset(tmpl, 0, sizeof(*tmpl));
	tmpl->sp_op = STORVSC_OP_EXECUTE_SRB;
	tmpl->sp_flags = STORVSC_FLAG_COMPLETION;
	srb->sb_length = ext ? STORVSC_SRB_LEN : STORVSC_SRB_LEN_OLD;
	srb->sb_port = (uint8_t)unit;
	srb->sb_sense_len = ext ? STORVSC_SENSE_LEN : STORVSC_SENSE_LEN_OLD;
	/* 0 where the wire has no flags: elsewhere none is without any. */
	if (ext && storvsc_use_win8ext_flags != 0)
		srb->sb_flags = STORVSC_SRBF_DISABLE_SYNCH;
}

/* What versions before 5.1 do not have on the wire. */
static __inline void
storvsc_srb_fill_ext(struct storvsc_srb *srb, const union ccb *ccb,
    uint32_t flags)
{
	uint32_t ms;

	flags |= srb->sb_flags;
	if ((ccb->ccb_h.flags & CAM_TAG_ACTION_VALID) != 0 &&
	    ccb->csio.tag_action != CAM_TAG_ACTION_NONE) {
		/* SCSI's tag messages and the host's actions are the same. */
		srb->sb_queue_tag = STORVSC_QUEUE_TAG_ANY;
		srb->sb_queue_action = ccb->csio.tag_action;
		flags |= STORVSC_SRBF_QUEUE_ACTION |
		    STORVSC_SRBF_NO_QUEUE_FREEZE;
	}
	srb->sb_flags = flags;
	ms = storvsc_timeout_ms(ccb->ccb_h.timeout);
	srb->sb_timeout = ms == 0 ? STORVSC_TIMEOUT_IO : howmany(ms, 1000);
}

/*
 * Writes the packet for a SCSI request, from storvsc_srb_template().  EINVAL
 * for what the protocol cannot carry.
 */
HYPERV_HOT int
storvsc_srb_fill(struct storvsc_pkt *pkt, const struct storvsc_pkt *tmpl,
    const union ccb *ccb)
{
	const struct ccb_scsiio *csio = &ccb->csio;
	struct storvsc_srb *srb = &pkt->sp_srb;
	const uint8_t *cdb;
	uint32_t dir, flags;

	dir = csio->ccb_h.flags & CAM_DIR_MASK;
	if (csio->cdb_len == 0 || csio->cdb_len > STORVSC_CDB_LEN ||
	    dir == CAM_DIR_BOTH || (csio->ccb_h.flags & CAM_CDB_PHYS) != 0)
		return (EINVAL);
	cdb = (csio->ccb_h.flags & CAM_CDB_POINTER) != 0 ?
	    csio->cdb_io.cdb_ptr : csio->cdb_io.cdb_bytes;

	memcpy(pkt, tmpl, sizeof(*pkt));
	srb->sb_target = (uint8_t)csio->ccb_h.target_id;
	srb->sb_lun = (uint8_t)csio->ccb_h.target_lun;
	srb->sb_cdb_len = csio->cdb_len;
	/* Lengths the compiler knows need no call. */
	switch (csio->cdb_len) {
	case 10:
		memcpy(srb->sb_cdb, cdb, 10);
		break;
	case 16:
		memcpy(srb->sb_cdb, cdb, 16);
		break;
	default:
		memcpy(srb->sb_cdb, cdb, csio->cdb_len);
		break;
	}

	if (dir == CAM_DIR_NONE || csio->dxfer_len == 0) {
		srb->sb_data_in = STORVSC_DATA_NONE;
		flags = 0;
	} else {
		srb->sb_xfer_len = csio->dxfer_len;
		if (dir == CAM_DIR_IN) {
			srb->sb_data_in = STORVSC_DATA_IN;
			flags = STORVSC_SRBF_DATA_IN;
		} else {
			srb->sb_data_in = STORVSC_DATA_OUT;
			flags = STORVSC_SRBF_DATA_OUT;
		}
	}
	if (srb->sb_flags != 0)
		storvsc_srb_fill_ext(srb, ccb, flags);
	return (0);
}

/*
 * The tag cuts at page boundaries, so that what lies inside a transfer comes
 * out in whole pages; where a parent tag makes busdma bounce, offsets into
 * pages are kept for the same end.  Loads on one tag must not overlap (busdma
 * hands out the tag's own segment array), hence tags for each channel, and
 * c_mtx as their lock.
 */
static int
storvsc_dma_alloc(struct storvsc_chan *c, struct storvsc_dma *d)
{
	struct storvsc_softc *sc = c->c_sc;
	uint32_t maxseg;
	int error;

	maxseg = sc->sc_maxio / STORVSC_PAGE_SIZE + 1;
	error = bus_dma_tag_create(bus_get_dma_tag(sc->sc_dev), 1,
	    STORVSC_PAGE_SIZE, BUS_SPACE_MAXADDR, BUS_SPACE_MAXADDR, NULL,
	    NULL, sc->sc_maxio, maxseg, STORVSC_PAGE_SIZE,
	    BUS_DMA_KEEP_PG_OFFSET, busdma_lock_mutex, &c->c_mtx, &d->d_tag);
	if (error != 0)
		return (error);
	d->d_pfn = mallocarray(maxseg, sizeof(*d->d_pfn), M_STORVSC,
	    M_WAITOK | M_ZERO);
	return (0);
}

static void
storvsc_dma_free(struct storvsc_dma *d)
{

	free(d->d_pfn, M_STORVSC);
	d->d_pfn = NULL;
	if (d->d_tag != NULL)
		(void)bus_dma_tag_destroy(d->d_tag);
	d->d_tag = NULL;
}

/*
 * Makes the requests of a channel: nreqs for everyone, and reserve ones for
 * dumps.  base is the number of the first in the controller.
 */
int
storvsc_pool_alloc(struct storvsc_chan *c, uint32_t nreqs, uint32_t reserve,
    uint32_t base)
{
	struct storvsc_req *req;
	uint32_t i;
	int error;

	error = storvsc_dma_alloc(c, &c->c_dma);
	if (error == 0 && reserve > 0)
		error = storvsc_dma_alloc(c, &c->c_dump);
	if (error != 0)
		return (error);
	c->c_reqs = mallocarray(nreqs + reserve, sizeof(*c->c_reqs), M_STORVSC,
	    M_WAITOK | M_ZERO);
	c->c_base = base;
	for (i = 0; i < nreqs + reserve; i++) {
		req = &c->c_reqs[i];
		req->sr_chan = c;
		req->sr_index = base + i;
		req->sr_dma = i < nreqs ? &c->c_dma : &c->c_dump;
		error = bus_dmamap_create(req->sr_dma->d_tag, 0,
		    &req->sr_map);
		if (error != 0)
			return (error);
		/* Counts what storvsc_pool_free() finds. */
		c->c_nreqs++;
		if (i < nreqs)
			STAILQ_INSERT_TAIL(&c->c_free, req, sr_link);
		else
			req->sr_flags = STORVSC_RF_RESERVE;
	}
	return (0);
}

/* Undoes any part of storvsc_pool_alloc(); no request is in use. */
void
storvsc_pool_free(struct storvsc_chan *c)
{
	struct storvsc_req *req;

	STAILQ_INIT(&c->c_free);
	while (c->c_nreqs > 0) {
		req = &c->c_reqs[--c->c_nreqs];
		(void)bus_dmamap_destroy(req->sr_dma->d_tag, req->sr_map);
	}
	free(c->c_reqs, M_STORVSC);
	c->c_reqs = NULL;
	storvsc_dma_free(&c->c_dump);
	storvsc_dma_free(&c->c_dma);
}
