/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * bus_dma(9): tags and maps behind x86/bus_dma.h, whose inline functions call
 * bus_dma_bounce_impl.  Stricter than a kernel where a driver's mistake would
 * stay unseen on x86: every map is an object with a state, and a sync is
 * checked against it.
 */

#include "busdma_var.h"

#include <sys/kernel.h>

#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

MALLOC_DEFINE(M_BUSDMA, "busdma", "bus_dma tags, maps and memory");

static struct mtx busdma_tags_mtx;
MTX_SYSINIT(busdma_tags, &busdma_tags_mtx, "busdma tags", MTX_DEF);

static LIST_HEAD(, bus_dma_tag) busdma_tags = LIST_HEAD_INITIALIZER();

static const char *
busdma_name(bus_dma_tag_t dmat)
{

	return (dmat->dt_name != NULL ? dmat->dt_name : "busdma");
}

void
_busdma_dflt_lock(void *arg, bus_dma_lock_op_t op)
{

	panic("busdma: a deferred load needs a lock function (%p, %d)", arg,
	    op);
}

void
busdma_lock_mutex(void *arg, bus_dma_lock_op_t op)
{

	switch (op) {
	case BUS_DMA_LOCK:
		mtx_lock((struct mtx *)arg);
		break;
	case BUS_DMA_UNLOCK:
		mtx_unlock((struct mtx *)arg);
		break;
	default:
		panic("busdma_lock_mutex: operation %#x", op);
	}
}

/* --- Tags --- */

int
common_bus_dma_tag_create(struct bus_dma_tag_common *parent,
    bus_size_t alignment, bus_addr_t boundary, bus_addr_t lowaddr,
    bus_addr_t highaddr, bus_size_t maxsize, int nsegments,
    bus_size_t maxsegsz, int flags, bus_dma_lock_t *lockfunc,
    void *lockfuncarg, size_t sz, void **dmat)
{
	struct bus_dma_tag_common *tc;

	KASSERT(sz >= sizeof(*tc), ("busdma: a tag without its common part"));
	if (maxsegsz == 0 || nsegments == 0 || !powerof2(alignment) ||
	    alignment == 0 || !powerof2(boundary))
		return (EINVAL);
	/* No segment of that alignment fits between two boundaries. */
	if (boundary != 0 && boundary < alignment)
		return (EINVAL);
	tc = malloc(sz, M_BUSDMA, M_ZERO | M_NOWAIT);
	if (tc == NULL)
		return (ENOMEM);
	tc->impl = &bus_dma_bounce_impl;
	tc->alignment = alignment;
	tc->boundary = boundary;
	tc->lowaddr = trunc_page(lowaddr) + (PAGE_SIZE - 1);
	tc->highaddr = trunc_page(highaddr) + (PAGE_SIZE - 1);
	tc->maxsize = maxsize;
	tc->nsegments = nsegments;
	tc->maxsegsz = maxsegsz;
	tc->flags = flags;
	tc->lockfunc = lockfunc != NULL ? lockfunc : _busdma_dflt_lock;
	tc->lockfuncarg = lockfuncarg;
	if (parent != NULL) {
		tc->lowaddr = MIN(parent->lowaddr, tc->lowaddr);
		tc->highaddr = MAX(parent->highaddr, tc->highaddr);
		if (tc->boundary == 0)
			tc->boundary = parent->boundary;
		else if (parent->boundary != 0)
			tc->boundary = MIN(parent->boundary, tc->boundary);
		tc->domain = parent->domain;
	}
	if (tc->boundary != 0 && tc->maxsegsz > tc->boundary)
		tc->maxsegsz = tc->boundary;
	*dmat = tc;
	return (0);
}

static int
bounce_tag_create(bus_dma_tag_t parent, bus_size_t alignment,
    bus_addr_t boundary, bus_addr_t lowaddr, bus_addr_t highaddr,
    bus_size_t maxsize, int nsegments, bus_size_t maxsegsz, int flags,
    bus_dma_lock_t *lockfunc, void *lockfuncarg, bus_dma_tag_t *dmat)
{
	bus_dma_tag_t tag;
	void *p;
	int error;

	*dmat = NULL;
	if (kpi_fail(KPI_FAIL_BUSDMA))
		return (ENOMEM);
	error = common_bus_dma_tag_create(parent != NULL ? &parent->common :
	    NULL, alignment, boundary, lowaddr, highaddr, maxsize, nsegments,
	    maxsegsz, flags, lockfunc, lockfuncarg, sizeof(*tag), &p);
	if (error != 0)
		return (error);
	tag = p;
	tag->dt_parent = parent;
	tag->dt_bounces = tag->common.lowaddr < kpi_mem_size - 1 ||
	    tag->common.alignment > 1;
	if (tag->dt_bounces && (error = busdma_zone_get(tag)) != 0) {
		free(tag, M_BUSDMA);
		return (error);
	}
	if (tag->dt_bounces && (flags & BUS_DMA_ALLOCNOW) != 0 &&
	    (error = busdma_zone_grow(tag, NULL, M_NOWAIT)) != 0) {
		busdma_zone_put(tag);
		free(tag, M_BUSDMA);
		return (error);
	}
	if (parent != NULL)
		atomic_add_int(&parent->dt_children, 1);
	mtx_lock(&busdma_tags_mtx);
	LIST_INSERT_HEAD(&busdma_tags, tag, dt_link);
	mtx_unlock(&busdma_tags_mtx);
	*dmat = tag;
	return (0);
}

static int
bounce_tag_destroy(bus_dma_tag_t dmat)
{

	if (dmat == NULL)
		return (0);
	if (dmat->dt_maps != 0 || dmat->dt_children != 0)
		return (EBUSY);
	mtx_lock(&busdma_tags_mtx);
	LIST_REMOVE(dmat, dt_link);
	mtx_unlock(&busdma_tags_mtx);
	if (dmat->dt_parent != NULL)
		atomic_subtract_int(&dmat->dt_parent->dt_children, 1);
	if (dmat->dt_bounces)
		busdma_zone_put(dmat);
	free(dmat, M_BUSDMA);
	return (0);
}

static int
bounce_tag_set_domain(bus_dma_tag_t dmat __unused)
{

	/* One memory domain: nothing moves. */
	return (0);
}

int
bus_dma_tag_create(bus_dma_tag_t parent, bus_size_t alignment,
    bus_addr_t boundary, bus_addr_t lowaddr, bus_addr_t highaddr,
    bus_dma_filter_t *filter, void *filterarg, bus_size_t maxsize,
    int nsegments, bus_size_t maxsegsz, int flags, bus_dma_lock_t *lockfunc,
    void *lockfuncarg, bus_dma_tag_t *dmat)
{

	/* Filters are gone from FreeBSD 15. */
	if (filter != NULL || filterarg != NULL)
		return (EINVAL);
	return (bounce_tag_create(parent, alignment, boundary, lowaddr,
	    highaddr, maxsize, nsegments, maxsegsz, flags, lockfunc,
	    lockfuncarg, dmat));
}

int
bus_dma_tag_destroy(bus_dma_tag_t dmat)
{

	return (bounce_tag_destroy(dmat));
}

int
bus_dma_tag_set_domain(bus_dma_tag_t dmat, int domain)
{

	if (domain == dmat->common.domain)
		return (0);
	dmat->common.domain = domain;
	return (bounce_tag_set_domain(dmat));
}

static bool
bounce_id_mapped(bus_dma_tag_t dmat, vm_paddr_t buf, bus_size_t buflen)
{

	return (!dmat->dt_bounces || busdma_count_phys(dmat, buf, buflen) ==
	    0);
}

/* --- Maps --- */

static int
busdma_map_new(bus_dma_tag_t dmat, int mflags, bus_dmamap_t *mapp)
{
	bus_dmamap_t map;
	u_int n;

	*mapp = NULL;
	if (kpi_fail(KPI_FAIL_BUSDMA))
		return (ENOMEM);
	/* BUS_SPACE_UNRESTRICTED is no size for an array. */
	n = MIN(dmat->common.nsegments, MIN(dmat->common.maxsize,
	    BUSDMA_MAXSEGS));
	map = malloc(sizeof(*map) + n * sizeof(map->dm_segs[0]), M_BUSDMA,
	    mflags | M_ZERO);
	if (map == NULL)
		return (ENOMEM);
	map->dm_tag = dmat;
	map->dm_maxsegs = n;
	STAILQ_INIT(&map->dm_reserved);
	STAILQ_INIT(&map->dm_bounce);
	atomic_add_int(&dmat->dt_maps, 1);
	*mapp = map;
	return (0);
}

static void
busdma_map_check(bus_dma_tag_t dmat, bus_dmamap_t map, const char *what)
{

	KASSERT(map->dm_tag == dmat, ("%s: %s: the map is of another tag",
	    busdma_name(dmat), what));
}

static void
busdma_map_free(bus_dma_tag_t dmat, bus_dmamap_t map)
{

	busdma_map_check(dmat, map, "map destroyed");
	KASSERT(map->dm_state == BUSDMA_IDLE,
	    ("%s: a map is destroyed while loaded", busdma_name(dmat)));
	if (dmat->dt_bounces)
		busdma_zone_shrink(dmat, map);
	atomic_subtract_int(&dmat->dt_maps, 1);
	free(map, M_BUSDMA);
}

static int
bounce_map_create(bus_dma_tag_t dmat, int flags, bus_dmamap_t *mapp)
{
	int error, mflags;

	mflags = (flags & BUS_DMA_NOWAIT) != 0 ? M_NOWAIT : M_WAITOK;
	error = busdma_map_new(dmat, mflags, mapp);
	if (error != 0 || !dmat->dt_bounces)
		return (error);
	error = busdma_zone_grow(dmat, *mapp, mflags);
	if (error != 0) {
		busdma_map_free(dmat, *mapp);
		*mapp = NULL;
	}
	return (error);
}

static int
bounce_map_destroy(bus_dma_tag_t dmat, bus_dmamap_t map)
{

	if (map == NULL)
		return (0);
	KASSERT(map->dm_mem == NULL,
	    ("%s: a map of bus_dmamem_alloc() is destroyed by hand",
	    busdma_name(dmat)));
	busdma_map_free(dmat, map);
	return (0);
}

static int
bounce_mem_alloc(bus_dma_tag_t dmat, void **vaddr, int flags,
    bus_dmamap_t *mapp)
{
	struct bus_dma_tag_common *tc;
	bus_size_t align;
	int error, mflags;

	tc = &dmat->common;
	mflags = (flags & BUS_DMA_NOWAIT) != 0 ? M_NOWAIT : M_WAITOK;
	if ((flags & BUS_DMA_ZERO) != 0)
		mflags |= M_ZERO;
	*vaddr = NULL;
	error = busdma_map_new(dmat, mflags & ~M_ZERO, mapp);
	if (error != 0)
		return (error);
	/* In one piece, so that whatever the tag asks of segments holds. */
	align = tc->alignment;
	if (tc->maxsize <= PAGE_SIZE)
		align = MAX(align, 1UL << flsl(tc->maxsize - 1));
	*vaddr = contigmalloc(tc->maxsize, M_BUSDMA, mflags, 0, tc->lowaddr,
	    align, tc->boundary);
	if (*vaddr == NULL) {
		busdma_map_free(dmat, *mapp);
		*mapp = NULL;
		return (ENOMEM);
	}
	(*mapp)->dm_mem = *vaddr;
	return (0);
}

static void
bounce_mem_free(bus_dma_tag_t dmat, void *vaddr, bus_dmamap_t map)
{

	KASSERT(map != NULL && map->dm_mem == vaddr,
	    ("%s: bus_dmamem_free() of memory that is not the map's",
	    busdma_name(dmat)));
	busdma_map_free(dmat, map);
	free(vaddr, M_BUSDMA);
}

/* --- Loading --- */

u_int
busdma_count_phys(bus_dma_tag_t dmat, vm_paddr_t pa, vm_size_t len)
{
	vm_size_t n;
	u_int count;

	for (count = 0; len > 0; pa += n, len -= n) {
		n = MIN(len, PAGE_SIZE - (pa & PAGE_MASK));
		if (busdma_page_bounces(dmat, pa))
			count++;
	}
	return (count);
}

u_int
busdma_count_virt(bus_dma_tag_t dmat, const void *buf, vm_size_t len)
{
	vm_offset_t va;
	vm_size_t n;
	u_int count;

	va = (vm_offset_t)buf;
	for (count = 0; len > 0; va += n, len -= n) {
		n = MIN(len, PAGE_SIZE - (va & PAGE_MASK));
		if (busdma_page_bounces(dmat, pmap_kextract(va)))
			count++;
	}
	return (count);
}

/*
 * Adds [pa, pa + len) to the segments: to the last one where it continues it,
 * and in pieces where a boundary or the segment size cuts it.
 */
static int
busdma_add(bus_dma_tag_t dmat, bus_dmamap_t map, vm_paddr_t pa,
    vm_size_t len, bus_dma_segment_t *segs, int *segp)
{
	struct bus_dma_tag_common *tc;
	bus_dma_segment_t *last;
	bus_addr_t bmask;
	vm_size_t n;

	tc = &dmat->common;
	bmask = ~(tc->boundary - 1);
	for (; len > 0; pa += n, len -= n) {
		n = MIN(len, tc->maxsegsz);
		if (tc->boundary != 0)
			n = MIN(n, ((pa + tc->boundary) & bmask) - pa);
		last = *segp >= 0 ? &segs[*segp] : NULL;
		if (last != NULL && last->ds_addr + last->ds_len == pa &&
		    last->ds_len < tc->maxsegsz && (tc->boundary == 0 ||
		    (last->ds_addr & bmask) == (pa & bmask))) {
			n = MIN(n, tc->maxsegsz - last->ds_len);
			last->ds_len += n;
			continue;
		}
		if (*segp + 1 >= (int)map->dm_maxsegs)
			return (EFBIG);
		(*segp)++;
		segs[*segp].ds_addr = pa;
		segs[*segp].ds_len = n;
	}
	return (0);
}

static int
busdma_add_page(bus_dma_tag_t dmat, bus_dmamap_t map, vm_paddr_t pa,
    vm_size_t len, bus_dma_segment_t *segs, int *segp)
{

	if (busdma_page_bounces(dmat, pa))
		pa = busdma_bounce(dmat, map, pa, len);
	return (busdma_add(dmat, map, pa, len, segs, segp));
}

static int
bounce_load_phys(bus_dma_tag_t dmat, bus_dmamap_t map, vm_paddr_t pa,
    bus_size_t len, int flags __unused, bus_dma_segment_t *segs, int *segp)
{
	vm_size_t n;
	int error;

	if (segs == NULL)
		segs = map->dm_segs;
	for (; len > 0; pa += n, len -= n) {
		n = MIN(len, PAGE_SIZE - (pa & PAGE_MASK));
		error = busdma_add_page(dmat, map, pa, n, segs, segp);
		if (error != 0)
			return (error);
	}
	return (0);
}

static int
bounce_load_buffer(bus_dma_tag_t dmat, bus_dmamap_t map, void *buf,
    bus_size_t len, struct pmap *pmap, int flags __unused,
    bus_dma_segment_t *segs, int *segp)
{
	vm_offset_t va;
	vm_size_t n;
	int error;

	KASSERT(pmap == kernel_pmap, ("%s: memory of a process",
	    busdma_name(dmat)));
	if (segs == NULL)
		segs = map->dm_segs;
	va = (vm_offset_t)buf;
	for (; len > 0; va += n, len -= n) {
		n = MIN(len, PAGE_SIZE - (va & PAGE_MASK));
		error = busdma_add_page(dmat, map, pmap_kextract(va), n, segs,
		    segp);
		if (error != 0)
			return (error);
	}
	return (0);
}

static int
bounce_load_ma(bus_dma_tag_t dmat, bus_dmamap_t map, struct vm_page **ma,
    bus_size_t len, int offs, int flags __unused, bus_dma_segment_t *segs,
    int *segp)
{
	vm_size_t n;
	int error;

	if (segs == NULL)
		segs = map->dm_segs;
	for (; len > 0; ma++, offs = 0, len -= n) {
		n = MIN(len, PAGE_SIZE - offs);
		error = busdma_add_page(dmat, map, VM_PAGE_TO_PHYS(*ma) + offs,
		    n, segs, segp);
		if (error != 0)
			return (error);
	}
	return (0);
}

static void
bounce_map_waitok(bus_dma_tag_t dmat __unused, bus_dmamap_t map,
    struct memdesc *mem, bus_dmamap_callback_t *callback, void *callback_arg)
{

	map->dm_desc = *mem;
	map->dm_callback = callback;
	map->dm_callback_arg = callback_arg;
}

static bus_dma_segment_t *
bounce_map_complete(bus_dma_tag_t dmat, bus_dmamap_t map,
    bus_dma_segment_t *segs, int nsegs __unused, int error)
{

	if (segs == NULL)
		segs = map->dm_segs;
	if (error != 0) {
		busdma_release(dmat, map);
		map->dm_state = BUSDMA_IDLE;
		return (segs);
	}
	map->dm_state = BUSDMA_LOADED;
	map->dm_pre = 0;
	atomic_add_64(&busdma_maps_loaded, 1);
	return (segs);
}

static void
bounce_map_unload(bus_dma_tag_t dmat, bus_dmamap_t map)
{

	busdma_map_check(dmat, map, "unload");
	/* A map that was never loaded may be unloaded, as on x86. */
	KASSERT(map->dm_state != BUSDMA_WAITING,
	    ("%s: unload of a map whose load is deferred", busdma_name(dmat)));
	busdma_release(dmat, map);
	map->dm_state = BUSDMA_IDLE;
	map->dm_pre = 0;
}

#define	BUSDMA_PRE	(BUS_DMASYNC_PREREAD | BUS_DMASYNC_PREWRITE)
#define	BUSDMA_POST	(BUS_DMASYNC_POSTREAD | BUS_DMASYNC_POSTWRITE)

/*
 * PRE before the device may look, POST after it has: each POST follows the PRE
 * of its direction, and the two are never one call.
 */
static void
bounce_map_sync(bus_dma_tag_t dmat, bus_dmamap_t map, bus_dmasync_op_t op)
{
	u_int pre;

	busdma_map_check(dmat, map, "sync");
	KASSERT(map->dm_state == BUSDMA_LOADED,
	    ("%s: sync %#x of a map that is not loaded", busdma_name(dmat),
	    op));
	KASSERT(op != 0 && (op & ~(BUSDMA_PRE | BUSDMA_POST)) == 0 &&
	    ((op & BUSDMA_PRE) == 0 || (op & BUSDMA_POST) == 0),
	    ("%s: sync %#x is neither before nor after", busdma_name(dmat),
	    op));
	pre = ((op & BUS_DMASYNC_POSTREAD) != 0 ? BUS_DMASYNC_PREREAD : 0) |
	    ((op & BUS_DMASYNC_POSTWRITE) != 0 ? BUS_DMASYNC_PREWRITE : 0);
	KASSERT((map->dm_pre & pre) == pre,
	    ("%s: sync %#x without the one before the transfer",
	    busdma_name(dmat), op));
	map->dm_pre = (map->dm_pre & ~pre) | (op & BUSDMA_PRE);
	if ((op & BUS_DMASYNC_PREWRITE) != 0)
		busdma_bounce_copy(map, false);
	if ((op & BUS_DMASYNC_POSTREAD) != 0)
		busdma_bounce_copy(map, true);
}

struct bus_dma_impl bus_dma_bounce_impl = {
	.tag_create = bounce_tag_create,
	.tag_destroy = bounce_tag_destroy,
	.tag_set_domain = bounce_tag_set_domain,
	.id_mapped = bounce_id_mapped,
	.map_create = bounce_map_create,
	.map_destroy = bounce_map_destroy,
	.mem_alloc = bounce_mem_alloc,
	.mem_free = bounce_mem_free,
	.load_ma = bounce_load_ma,
	.load_phys = bounce_load_phys,
	.load_buffer = bounce_load_buffer,
	.map_waitok = bounce_map_waitok,
	.map_complete = bounce_map_complete,
	.map_unload = bounce_map_unload,
	.map_sync = bounce_map_sync,
};

static u_int
busdma_leaks(void)
{
	bus_dma_tag_t dmat;
	u_int n;

	n = 0;
	LIST_FOREACH(dmat, &busdma_tags, dt_link) {
		printf("leak: bus_dma tag %s: maxsize %ju, %u maps, %u tags "
		    "below it\n", busdma_name(dmat),
		    (uintmax_t)dmat->common.maxsize, dmat->dt_maps,
		    dmat->dt_children);
		n++;
	}
	return (n);
}
KPI_LEAKS(busdma_leaks);
