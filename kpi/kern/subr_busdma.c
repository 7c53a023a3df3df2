/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * bus_dma(9): loading of whatever describes memory: buffers, lists, CCBs, bios,
 * uios, mbufs; and tag templates.
 */

#include "busdma_var.h"

#include <sys/bio.h>
#include <sys/kernel.h>
#include <sys/mbuf.h>
#include <sys/uio.h>

#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

#include <machine/bus.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>

struct memdesc
memdesc_bio(struct bio *bio)
{

	if ((bio->bio_flags & BIO_VLIST) != 0)
		return (memdesc_vlist((struct bus_dma_segment *)(void *)
		    bio->bio_data, bio->bio_ma_n));
	if ((bio->bio_flags & BIO_UNMAPPED) != 0)
		return (memdesc_vmpages(bio->bio_ma, bio->bio_bcount,
		    bio->bio_ma_offset));
	return (memdesc_vaddr(bio->bio_data, bio->bio_bcount));
}

/* The data of those CCBs that have any, in the form their flags say. */
struct memdesc
memdesc_ccb(union ccb *ccb)
{
	uint16_t nseg;
	uint32_t len;
	void *data;

	switch (ccb->ccb_h.func_code) {
	case XPT_SCSI_IO:
		data = ccb->csio.data_ptr;
		len = ccb->csio.dxfer_len;
		nseg = ccb->csio.sglist_cnt;
		break;
	case XPT_CONT_TARGET_IO:
		data = ccb->ctio.data_ptr;
		len = ccb->ctio.dxfer_len;
		nseg = ccb->ctio.sglist_cnt;
		break;
	case XPT_ATA_IO:
		data = ccb->ataio.data_ptr;
		len = ccb->ataio.dxfer_len;
		nseg = 0;
		break;
	case XPT_NVME_IO:
	case XPT_NVME_ADMIN:
		data = ccb->nvmeio.data_ptr;
		len = ccb->nvmeio.dxfer_len;
		nseg = ccb->nvmeio.sglist_cnt;
		break;
	default:
		panic("memdesc_ccb: function %#x has no data",
		    ccb->ccb_h.func_code);
	}
	switch (ccb->ccb_h.flags & CAM_DATA_MASK) {
	case CAM_DATA_VADDR:
		return (memdesc_vaddr(data, len));
	case CAM_DATA_PADDR:
		return (memdesc_paddr((vm_paddr_t)(uintptr_t)data, len));
	case CAM_DATA_SG:
		return (memdesc_vlist(data, nseg));
	case CAM_DATA_SG_PADDR:
		return (memdesc_plist(data, nseg));
	case CAM_DATA_BIO:
		return (memdesc_bio(data));
	default:
		panic("memdesc_ccb: flags %#x", ccb->ccb_h.flags);
	}
}

/* Calls fn for each piece of the memory, virtual or physical. */
struct busdma_piece {
	void		*bp_virt;	/* NULL: physical */
	vm_paddr_t	 bp_phys;
	bus_size_t	 bp_len;
};

typedef int busdma_piece_fn(void *arg, const struct busdma_piece *bp);

static int
busdma_pieces_uio(struct uio *uio, busdma_piece_fn *fn, void *arg)
{
	struct busdma_piece bp;
	bus_size_t left;
	int error, i;

	error = 0;
	left = uio->uio_resid;
	bp.bp_phys = 0;
	for (i = 0; i < uio->uio_iovcnt && left > 0 && error == 0; i++) {
		bp.bp_virt = uio->uio_iov[i].iov_base;
		bp.bp_len = MIN(left, uio->uio_iov[i].iov_len);
		left -= bp.bp_len;
		if (bp.bp_len > 0)
			error = fn(arg, &bp);
	}
	return (error);
}

static int
busdma_pieces_mbuf(const struct mbuf *m, busdma_piece_fn *fn, void *arg)
{
	struct busdma_piece bp;
	int error;

	error = 0;
	bp.bp_phys = 0;
	for (; m != NULL && error == 0; m = m->m_next) {
		KASSERT((m->m_flags & M_EXTPG) == 0,
		    ("busdma: mbuf %p is unmapped", m));
		bp.bp_virt = m->m_data;
		bp.bp_len = m->m_len;
		if (bp.bp_len > 0)
			error = fn(arg, &bp);
	}
	return (error);
}

static int
busdma_pieces(const struct memdesc *mem, busdma_piece_fn *fn, void *arg)
{
	struct busdma_piece bp;
	bus_size_t left;
	int error, i, offs;

	error = 0;
	memset(&bp, 0, sizeof(bp));
	switch (mem->md_type) {
	case MEMDESC_VADDR:
		bp.bp_virt = mem->u.md_vaddr;
		bp.bp_len = mem->md_len;
		return (fn(arg, &bp));
	case MEMDESC_PADDR:
		bp.bp_phys = mem->u.md_paddr;
		bp.bp_len = mem->md_len;
		return (fn(arg, &bp));
	case MEMDESC_VLIST:
	case MEMDESC_PLIST:
		for (i = 0; i < mem->md_nseg && error == 0; i++) {
			if (mem->md_type == MEMDESC_VLIST)
				bp.bp_virt = (void *)(uintptr_t)
				    mem->u.md_list[i].ds_addr;
			else
				bp.bp_phys = mem->u.md_list[i].ds_addr;
			bp.bp_len = mem->u.md_list[i].ds_len;
			error = fn(arg, &bp);
		}
		return (error);
	case MEMDESC_UIO:
		return (busdma_pieces_uio(mem->u.md_uio, fn, arg));
	case MEMDESC_MBUF:
		return (busdma_pieces_mbuf(mem->u.md_mbuf, fn, arg));
	case MEMDESC_VMPAGES:
		offs = mem->md_offset;
		left = mem->md_len;
		for (i = 0; left > 0 && error == 0; i++, offs = 0) {
			bp.bp_phys = VM_PAGE_TO_PHYS(mem->u.md_ma[i]) + offs;
			bp.bp_len = MIN(left, (bus_size_t)PAGE_SIZE - offs);
			left -= bp.bp_len;
			error = fn(arg, &bp);
		}
		return (error);
	default:
		panic("busdma: memory of type %u", mem->md_type);
	}
}

struct busdma_load {
	bus_dma_tag_t	bl_tag;
	bus_dmamap_t	bl_map;
	bus_dma_segment_t *bl_segs;	/* NULL: the map's own */
	int		bl_flags;
	int		bl_nsegs;	/* index of the last segment */
	u_int		bl_pages;
	bus_size_t	bl_len;
};

static int
busdma_measure(void *arg, const struct busdma_piece *bp)
{
	struct busdma_load *bl;

	bl = arg;
	bl->bl_len += bp->bp_len;
	if (bl->bl_tag->dt_bounces)
		bl->bl_pages += bp->bp_virt != NULL ?
		    busdma_count_virt(bl->bl_tag, bp->bp_virt, bp->bp_len) :
		    busdma_count_phys(bl->bl_tag, bp->bp_phys, bp->bp_len);
	return (0);
}

static int
busdma_load_piece(void *arg, const struct busdma_piece *bp)
{
	struct busdma_load *bl;

	bl = arg;
	if (bp->bp_virt != NULL)
		return (_bus_dmamap_load_buffer(bl->bl_tag, bl->bl_map,
		    bp->bp_virt, bp->bp_len, kernel_pmap, bl->bl_flags,
		    bl->bl_segs, &bl->bl_nsegs));
	return (_bus_dmamap_load_phys(bl->bl_tag, bl->bl_map, bp->bp_phys,
	    bp->bp_len, bl->bl_flags, bl->bl_segs, &bl->bl_nsegs));
}

/* 0, an error, or EINPROGRESS: the map waits for bounce pages. */
static int
busdma_load(struct busdma_load *bl, struct memdesc *mem,
    bus_dmamap_callback_t *callback, void *callback_arg)
{
	bus_dma_tag_t dmat;
	bus_dmamap_t map;
	int error;

	dmat = bl->bl_tag;
	map = bl->bl_map;
	KASSERT(map != NULL && map->dm_tag == dmat,
	    ("busdma: load of a map that is not the tag's"));
	KASSERT(map->dm_state != BUSDMA_LOADED,
	    ("busdma: a map is loaded twice"));
	bl->bl_nsegs = -1;
	if (map->dm_state != BUSDMA_WAITING && kpi_fail(KPI_FAIL_BUSDMA))
		return (ENOMEM);
	(void)busdma_pieces(mem, busdma_measure, bl);
	if (bl->bl_len > dmat->common.maxsize)
		return (EFBIG);
	KASSERT(map->dm_mem == NULL || bl->bl_pages == 0,
	    ("busdma: memory of bus_dmamem_alloc() bounces"));
	if (bl->bl_pages > 0 && map->dm_state != BUSDMA_WAITING) {
		_bus_dmamap_waitok(dmat, map, mem, callback, callback_arg);
		error = busdma_reserve(dmat, map, bl->bl_pages, bl->bl_flags);
		if (error != 0)
			return (error);
	}
	return (busdma_pieces(mem, busdma_load_piece, bl));
}

int
bus_dmamap_load_mem(bus_dma_tag_t dmat, bus_dmamap_t map, struct memdesc *mem,
    bus_dmamap_callback_t *callback, void *callback_arg, int flags)
{
	struct busdma_load bl = { .bl_tag = dmat, .bl_map = map,
	    .bl_flags = flags };
	bus_dma_segment_t *segs;
	int error;

	error = busdma_load(&bl, mem, callback, callback_arg);
	if (error == EINPROGRESS)
		return (error);
	segs = _bus_dmamap_complete(dmat, map, NULL, bl.bl_nsegs + 1, error);
	callback(callback_arg, segs, error != 0 ? 0 : bl.bl_nsegs + 1, error);
	/* Other errors are the callback's alone. */
	return (error == ENOMEM ? ENOMEM : 0);
}

int
bus_dmamap_load(bus_dma_tag_t dmat, bus_dmamap_t map, void *buf,
    bus_size_t buflen, bus_dmamap_callback_t *callback, void *callback_arg,
    int flags)
{
	struct memdesc mem;

	mem = memdesc_vaddr(buf, buflen);
	return (bus_dmamap_load_mem(dmat, map, &mem, callback, callback_arg,
	    flags));
}

int
bus_dmamap_load_ccb(bus_dma_tag_t dmat, bus_dmamap_t map, union ccb *ccb,
    bus_dmamap_callback_t *callback, void *callback_arg, int flags)
{
	struct memdesc mem;

	if ((ccb->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_NONE) {
		callback(callback_arg, NULL, 0, 0);
		return (0);
	}
	mem = memdesc_ccb(ccb);
	return (bus_dmamap_load_mem(dmat, map, &mem, callback, callback_arg,
	    flags));
}

int
bus_dmamap_load_bio(bus_dma_tag_t dmat, bus_dmamap_t map, struct bio *bio,
    bus_dmamap_callback_t *callback, void *callback_arg, int flags)
{
	struct memdesc mem;

	mem = memdesc_bio(bio);
	return (bus_dmamap_load_mem(dmat, map, &mem, callback, callback_arg,
	    flags));
}

/* A uio is not deferred: its memory may be gone by then. */
int
bus_dmamap_load_uio(bus_dma_tag_t dmat, bus_dmamap_t map, struct uio *uio,
    bus_dmamap_callback2_t *callback, void *callback_arg, int flags)
{
	struct busdma_load bl = { .bl_tag = dmat, .bl_map = map,
	    .bl_flags = flags | BUS_DMA_NOWAIT };
	bus_dma_segment_t *segs;
	struct memdesc mem;
	int error;

	mem = memdesc_uio(uio);
	error = busdma_load(&bl, &mem, NULL, NULL);
	segs = _bus_dmamap_complete(dmat, map, NULL, bl.bl_nsegs + 1, error);
	if (error != 0)
		callback(callback_arg, segs, 0, 0, error);
	else
		callback(callback_arg, segs, bl.bl_nsegs + 1, uio->uio_resid,
		    0);
	return (error);
}

/*
 * A packet, into the caller's segments, of which there are as many as the tag
 * allows.  EFBIG: too few; the map then is as it was.
 */
int
bus_dmamap_load_mbuf_sg(bus_dma_tag_t dmat, bus_dmamap_t map, struct mbuf *m,
    bus_dma_segment_t *segs, int *nsegs, int flags)
{
	struct busdma_load bl = { .bl_tag = dmat, .bl_map = map,
	    .bl_segs = segs, .bl_flags = flags | BUS_DMA_NOWAIT };
	struct memdesc mem;
	int error;

	M_ASSERTPKTHDR(m);
	mem = memdesc_mbuf(m);
	error = busdma_load(&bl, &mem, NULL, NULL);
	*nsegs = bl.bl_nsegs + 1;
	(void)_bus_dmamap_complete(dmat, map, segs, *nsegs, error);
	return (error);
}

int
bus_dmamap_load_mbuf(bus_dma_tag_t dmat, bus_dmamap_t map, struct mbuf *m,
    bus_dmamap_callback2_t *callback, void *callback_arg, int flags)
{
	struct busdma_load bl = { .bl_tag = dmat, .bl_map = map,
	    .bl_flags = flags | BUS_DMA_NOWAIT };
	bus_dma_segment_t *segs;
	struct memdesc mem;
	int error;

	M_ASSERTPKTHDR(m);
	mem = memdesc_mbuf(m);
	error = busdma_load(&bl, &mem, NULL, NULL);
	segs = _bus_dmamap_complete(dmat, map, NULL, bl.bl_nsegs + 1, error);
	if (error != 0)
		callback(callback_arg, segs, 0, 0, error);
	else
		callback(callback_arg, segs, bl.bl_nsegs + 1, m->m_pkthdr.len,
		    0);
	return (error);
}

/* --- Templates --- */

void
bus_dma_template_init(bus_dma_template_t *t, bus_dma_tag_t parent)
{

	memset(t, 0, sizeof(*t));
	t->parent = parent;
	t->alignment = 1;
	t->lowaddr = t->highaddr = BUS_SPACE_MAXADDR;
	t->maxsize = t->maxsegsize = BUS_SPACE_MAXSIZE;
	t->nsegments = BUS_SPACE_UNRESTRICTED;
}

int
bus_dma_template_tag(bus_dma_template_t *t, bus_dma_tag_t *dmat)
{
	int error;

	error = bus_dma_tag_create(t->parent, t->alignment, t->boundary,
	    t->lowaddr, t->highaddr, NULL, NULL, t->maxsize, t->nsegments,
	    t->maxsegsize, t->flags, t->lockfunc, t->lockfuncarg, dmat);
	if (error == 0)
		(*dmat)->dt_name = t->name;
	return (error);
}

void
bus_dma_template_clone(bus_dma_template_t *t, bus_dma_tag_t dmat)
{
	struct bus_dma_tag_common *tc;

	tc = &dmat->common;
	memset(t, 0, sizeof(*t));
	t->parent = dmat->dt_parent;
	t->alignment = tc->alignment;
	t->boundary = tc->boundary;
	t->lowaddr = tc->lowaddr;
	t->highaddr = tc->highaddr;
	t->maxsize = tc->maxsize;
	t->nsegments = tc->nsegments;
	t->maxsegsize = tc->maxsegsz;
	t->flags = tc->flags;
	t->lockfunc = tc->lockfunc;
	t->lockfuncarg = tc->lockfuncarg;
	t->name = dmat->dt_name;
}

void
bus_dma_template_fill(bus_dma_template_t *t, bus_dma_param_t *kv, u_int count)
{

	for (; count > 0; kv++, count--) {
		switch (kv->key) {
		case BD_PARAM_PARENT:
			t->parent = kv->ptr;
			break;
		case BD_PARAM_ALIGNMENT:
			t->alignment = kv->num;
			break;
		case BD_PARAM_BOUNDARY:
			t->boundary = kv->num;
			break;
		case BD_PARAM_LOWADDR:
			t->lowaddr = kv->pa;
			break;
		case BD_PARAM_HIGHADDR:
			t->highaddr = kv->pa;
			break;
		case BD_PARAM_MAXSIZE:
			t->maxsize = kv->num;
			break;
		case BD_PARAM_NSEGMENTS:
			t->nsegments = kv->num;
			break;
		case BD_PARAM_MAXSEGSIZE:
			t->maxsegsize = kv->num;
			break;
		case BD_PARAM_FLAGS:
			t->flags = kv->num;
			break;
		case BD_PARAM_LOCKFUNC:
			t->lockfunc = kv->ptr;
			break;
		case BD_PARAM_LOCKFUNCARG:
			t->lockfuncarg = kv->ptr;
			break;
		case BD_PARAM_NAME:
			t->name = kv->ptr;
			break;
		case BD_PARAM_INVALID:
		default:
			panic("bus_dma_template_fill: key %d", kv->key);
		}
	}
}
