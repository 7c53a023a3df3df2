/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * bus_dma(9): bounce pages.  Memory that a device cannot address, or that is
 * not aligned as it needs, is replaced by pages from a zone for the time of a
 * transfer.  A load that finds too few waits, and a thread completes it.
 */

#include "busdma_var.h"

#include <sys/kernel.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>

struct busdma_zone {
	LIST_ENTRY(busdma_zone) dz_link;
	bus_addr_t	 dz_lowaddr;
	bus_size_t	 dz_alignment;
	u_int		 dz_refs;	/* tags */
	u_int		 dz_total;
	u_int		 dz_free;
	struct busdma_pages dz_pages;
	struct busdma_maps dz_waiting;	/* first come, first served */
};

static volatile uint64_t busdma_bytes_bounced;
volatile uint64_t busdma_maps_loaded;

static struct mtx busdma_mtx;
MTX_SYSINIT(busdma, &busdma_mtx, "busdma bounce", MTX_DEF);

static LIST_HEAD(, busdma_zone) busdma_zones = LIST_HEAD_INITIALIZER();
static struct busdma_maps busdma_ready = STAILQ_HEAD_INITIALIZER(busdma_ready);
static struct taskqueue *busdma_tq;
static struct task busdma_task;

SYSCTL_DECL(_hw);
static SYSCTL_NODE(_hw, OID_AUTO, busdma, CTLFLAG_RD | CTLFLAG_MPSAFE, 0,
    "Busdma parameters");
static u_int busdma_maxpages = 8192;
SYSCTL_UINT(_hw_busdma, OID_AUTO, maxpages, CTLFLAG_RWTUN, &busdma_maxpages, 0,
    "Bounce pages a zone may have");
static u_int busdma_deferred;
SYSCTL_UINT(_hw_busdma, OID_AUTO, deferred, CTLFLAG_RD, &busdma_deferred, 0,
    "Loads that waited for bounce pages");

bool
busdma_page_bounces(bus_dma_tag_t dmat, vm_paddr_t pa)
{

	if (!dmat->dt_bounces)
		return (false);
	return ((pa > dmat->common.lowaddr && pa <= dmat->common.highaddr) ||
	    (pa & (dmat->common.alignment - 1)) != 0);
}

int
busdma_zone_get(bus_dma_tag_t dmat)
{
	struct busdma_zone *new, *z;

	new = malloc(sizeof(*new), M_BUSDMA, M_NOWAIT | M_ZERO);
	if (new == NULL)
		return (ENOMEM);
	mtx_lock(&busdma_mtx);
	LIST_FOREACH(z, &busdma_zones, dz_link)
		if (z->dz_lowaddr == dmat->common.lowaddr &&
		    z->dz_alignment == dmat->common.alignment)
			break;
	if (z == NULL) {
		z = new;
		new = NULL;
		z->dz_lowaddr = dmat->common.lowaddr;
		z->dz_alignment = dmat->common.alignment;
		STAILQ_INIT(&z->dz_pages);
		STAILQ_INIT(&z->dz_waiting);
		LIST_INSERT_HEAD(&busdma_zones, z, dz_link);
	}
	z->dz_refs++;
	dmat->dt_zone = z;
	mtx_unlock(&busdma_mtx);
	free(new, M_BUSDMA);
	return (0);
}

static void
busdma_page_free(struct busdma_page *dp)
{

	free(dp->dp_vaddr, M_BUSDMA);
	free(dp, M_BUSDMA);
}

void
busdma_zone_put(bus_dma_tag_t dmat)
{
	struct busdma_page *dp;
	struct busdma_zone *z;

	z = dmat->dt_zone;
	mtx_lock(&busdma_mtx);
	if (--z->dz_refs > 0) {
		mtx_unlock(&busdma_mtx);
		return;
	}
	KASSERT(z->dz_free == z->dz_total && STAILQ_EMPTY(&z->dz_waiting),
	    ("busdma: bounce pages in use without a tag"));
	LIST_REMOVE(z, dz_link);
	mtx_unlock(&busdma_mtx);
	while ((dp = STAILQ_FIRST(&z->dz_pages)) != NULL) {
		STAILQ_REMOVE_HEAD(&z->dz_pages, dp_link);
		busdma_page_free(dp);
	}
	free(z, M_BUSDMA);
}

/* Enough pages for the largest load of one more map, up to the limit. */
int
busdma_zone_grow(bus_dma_tag_t dmat, bus_dmamap_t map, int mflags)
{
	struct busdma_page *dp;
	struct busdma_zone *z;
	u_int n;

	z = dmat->dt_zone;
	for (n = howmany(dmat->common.maxsize, PAGE_SIZE) + 1; n > 0; n--) {
		mtx_lock(&busdma_mtx);
		if (z->dz_total >= busdma_maxpages) {
			mtx_unlock(&busdma_mtx);
			break;
		}
		z->dz_total++;
		mtx_unlock(&busdma_mtx);
		dp = malloc(sizeof(*dp), M_BUSDMA, mflags | M_ZERO);
		if (dp != NULL)
			dp->dp_vaddr = contigmalloc(PAGE_SIZE, M_BUSDMA,
			    mflags, 0, z->dz_lowaddr,
			    MAX(PAGE_SIZE, z->dz_alignment), 0);
		mtx_lock(&busdma_mtx);
		if (dp == NULL || dp->dp_vaddr == NULL) {
			z->dz_total--;
			mtx_unlock(&busdma_mtx);
			free(dp, M_BUSDMA);
			/* What there is may do, if there is any at all. */
			return (z->dz_total > 0 && map != NULL ? 0 : ENOMEM);
		}
		dp->dp_paddr = vtophys(dp->dp_vaddr);
		STAILQ_INSERT_TAIL(&z->dz_pages, dp, dp_link);
		z->dz_free++;
		if (map != NULL)
			map->dm_npages++;
		mtx_unlock(&busdma_mtx);
	}
	return (0);
}

/* Gives back what a map brought along, as far as nobody uses it. */
void
busdma_zone_shrink(bus_dma_tag_t dmat, bus_dmamap_t map)
{
	struct busdma_page *dp;
	struct busdma_zone *z;

	z = dmat->dt_zone;
	while (map->dm_npages > 0) {
		mtx_lock(&busdma_mtx);
		dp = STAILQ_EMPTY(&z->dz_waiting) ? STAILQ_FIRST(&z->dz_pages) :
		    NULL;
		if (dp != NULL) {
			STAILQ_REMOVE_HEAD(&z->dz_pages, dp_link);
			z->dz_free--;
			z->dz_total--;
		}
		mtx_unlock(&busdma_mtx);
		if (dp == NULL)
			break;
		busdma_page_free(dp);
		map->dm_npages--;
	}
}

/* Moves the pages a map needs from the zone to it, or none. */
static bool
busdma_take(struct busdma_zone *z, bus_dmamap_t map)
{
	struct busdma_page *dp;

	mtx_assert(&busdma_mtx, MA_OWNED);
	if (map->dm_nreserved + z->dz_free < map->dm_needed)
		return (false);
	for (; map->dm_nreserved < map->dm_needed; map->dm_nreserved++) {
		dp = STAILQ_FIRST(&z->dz_pages);
		STAILQ_REMOVE_HEAD(&z->dz_pages, dp_link);
		z->dz_free--;
		STAILQ_INSERT_TAIL(&map->dm_reserved, dp, dp_link);
	}
	return (true);
}

int
busdma_reserve(bus_dma_tag_t dmat, bus_dmamap_t map, u_int pages, int flags)
{
	struct busdma_zone *z;
	int error;

	z = dmat->dt_zone;
	error = 0;
	mtx_lock(&busdma_mtx);
	map->dm_needed = pages;
	/* Nobody overtakes those who wait already. */
	if (!STAILQ_EMPTY(&z->dz_waiting) || !busdma_take(z, map)) {
		if ((flags & BUS_DMA_NOWAIT) != 0 || pages > z->dz_total) {
			map->dm_needed = 0;
			error = ENOMEM;
		} else {
			map->dm_state = BUSDMA_WAITING;
			STAILQ_INSERT_TAIL(&z->dz_waiting, map, dm_link);
			busdma_deferred++;
			error = EINPROGRESS;
		}
	}
	mtx_unlock(&busdma_mtx);
	return (error);
}

/* The address the device gets instead of pa. */
vm_paddr_t
busdma_bounce(bus_dma_tag_t dmat, bus_dmamap_t map, vm_paddr_t pa,
    vm_size_t len)
{
	struct busdma_page *dp;

	dp = STAILQ_FIRST(&map->dm_reserved);
	KASSERT(dp != NULL && map->dm_nreserved > 0,
	    ("busdma: more bounce pages than were counted"));
	STAILQ_REMOVE_HEAD(&map->dm_reserved, dp_link);
	map->dm_nreserved--;
	dp->dp_data = pa;
	dp->dp_len = len;
	dp->dp_off = (dmat->common.flags & BUS_DMA_KEEP_PG_OFFSET) != 0 ?
	    pa & PAGE_MASK : 0;
	STAILQ_INSERT_TAIL(&map->dm_bounce, dp, dp_link);
	return (dp->dp_paddr + dp->dp_off);
}

void
busdma_bounce_copy(bus_dmamap_t map, bool in)
{
	struct busdma_page *dp;
	char *data, *page;

	STAILQ_FOREACH(dp, &map->dm_bounce, dp_link) {
		KASSERT(dp->dp_data + dp->dp_len <= kpi_mem_size,
		    ("busdma: %#jx is not memory", (uintmax_t)dp->dp_data));
		data = kpi_mem_base + dp->dp_data;
		page = kpi_mem_base + dp->dp_paddr + dp->dp_off;
		if (in)
			memcpy(data, page, dp->dp_len);
		else
			memcpy(page, data, dp->dp_len);
		atomic_add_64(&busdma_bytes_bounced, dp->dp_len);
	}
}

/* All pages back to the zone; the first who wait may go on. */
void
busdma_release(bus_dma_tag_t dmat, bus_dmamap_t map)
{
	struct busdma_page *dp;
	struct busdma_zone *z;
	bus_dmamap_t next;
	bool ready;

	if (!dmat->dt_bounces)
		return;
	z = dmat->dt_zone;
	ready = false;
	mtx_lock(&busdma_mtx);
	map->dm_needed = map->dm_nreserved = 0;
	STAILQ_CONCAT(&map->dm_bounce, &map->dm_reserved);
	STAILQ_FOREACH(dp, &map->dm_bounce, dp_link)
		z->dz_free++;
	STAILQ_CONCAT(&z->dz_pages, &map->dm_bounce);
	while ((next = STAILQ_FIRST(&z->dz_waiting)) != NULL &&
	    busdma_take(z, next)) {
		STAILQ_REMOVE_HEAD(&z->dz_waiting, dm_link);
		STAILQ_INSERT_TAIL(&busdma_ready, next, dm_link);
		ready = true;
	}
	mtx_unlock(&busdma_mtx);
	if (ready)
		taskqueue_enqueue(busdma_tq, &busdma_task);
}

/* Completes loads for which there are pages now, under their drivers' locks. */
static void
busdma_deferred_loads(void *arg __unused, int pending __unused)
{
	struct bus_dma_tag_common *tc;
	bus_dmamap_t map;

	mtx_lock(&busdma_mtx);
	while ((map = STAILQ_FIRST(&busdma_ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&busdma_ready, dm_link);
		mtx_unlock(&busdma_mtx);
		tc = &map->dm_tag->common;
		tc->lockfunc(tc->lockfuncarg, BUS_DMA_LOCK);
		bus_dmamap_load_mem(map->dm_tag, map, &map->dm_desc,
		    map->dm_callback, map->dm_callback_arg, BUS_DMA_WAITOK);
		tc->lockfunc(tc->lockfuncarg, BUS_DMA_UNLOCK);
		mtx_lock(&busdma_mtx);
	}
	mtx_unlock(&busdma_mtx);
}

static void
busdma_start(void *arg __unused)
{

	TASK_INIT(&busdma_task, 0, busdma_deferred_loads, NULL);
	busdma_tq = taskqueue_create("busdma", M_WAITOK,
	    taskqueue_thread_enqueue, &busdma_tq);
	taskqueue_start_threads(&busdma_tq, 1, PI_SOFT, "busdma");
}
SYSINIT(busdma, SI_SUB_DRIVERS, SI_ORDER_FIRST, busdma_start, NULL);

static void
busdma_stop(void *arg __unused)
{

	taskqueue_free(busdma_tq);
}
SYSUNINIT(busdma, SI_SUB_DRIVERS, SI_ORDER_FIRST, busdma_stop, NULL);

void
kpi_busdma_stats(uint64_t *bounced, uint64_t *loaded)
{

	*bounced = busdma_bytes_bounced;
	*loaded = busdma_maps_loaded;
}
