/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * bus_dma(9) from inside: tags, maps and bounce pages, for busdma_machdep.c,
 * busdma_bounce.c and subr_busdma.c.
 *
 * Locks: a map belongs to its driver, who does not use it on two CPUs at once;
 * bounce zones and what waits for them are under busdma_mtx, which is taken
 * last and held over no callback.
 */

#ifndef _BUSDMA_VAR_H_
#define	_BUSDMA_VAR_H_

#include "kpi_bus.h"

#include <sys/bus.h>
#include <sys/malloc.h>
#include <sys/memdesc.h>
#include <sys/queue.h>

#include <machine/bus_dma.h>

#define	BUSDMA_MAXSEGS	16384

struct busdma_zone;

struct bus_dma_tag {
	struct bus_dma_tag_common common;	/* first: sys/bus_dma.h */
	struct bus_dma_tag *dt_parent;
	LIST_ENTRY(bus_dma_tag) dt_link;	/* all tags */
	u_int		 dt_children;	/* (atomic) tags */
	u_int		 dt_maps;	/* (atomic) */
	bool		 dt_bounces;	/* some memory may need a bounce page */
	struct busdma_zone *dt_zone;
	const char	*dt_name;
};

/* One page of a transfer that goes through a bounce page. */
struct busdma_page {
	STAILQ_ENTRY(busdma_page) dp_link;
	char		*dp_vaddr;
	vm_paddr_t	 dp_paddr;
	/* While in use: what it stands for. */
	vm_paddr_t	 dp_data;
	vm_size_t	 dp_off;	/* in the bounce page */
	vm_size_t	 dp_len;
};
STAILQ_HEAD(busdma_pages, busdma_page);

enum busdma_state {
	BUSDMA_IDLE,
	BUSDMA_WAITING,			/* for bounce pages */
	BUSDMA_LOADED
};

struct bus_dmamap {
	bus_dma_tag_t	 dm_tag;
	enum busdma_state dm_state;
	void		*dm_mem;	/* of bus_dmamem_alloc() */
	u_int		 dm_pre;	/* BUS_DMASYNC_PRE* without its POST */
	struct busdma_pages dm_reserved; /* not in use yet */
	struct busdma_pages dm_bounce;	/* in use */
	u_int		 dm_nreserved;
	u_int		 dm_npages;	/* of dm_zone on behalf of this map */
	/* A load that waits. */
	u_int		 dm_needed;
	struct memdesc	 dm_desc;
	bus_dmamap_callback_t *dm_callback;
	void		*dm_callback_arg;
	STAILQ_ENTRY(bus_dmamap) dm_link;
	u_int		 dm_maxsegs;
	bus_dma_segment_t dm_segs[];	/* dm_maxsegs */
};
STAILQ_HEAD(busdma_maps, bus_dmamap);

MALLOC_DECLARE(M_BUSDMA);

extern volatile uint64_t busdma_maps_loaded;

/* busdma_bounce.c */
bool	busdma_page_bounces(bus_dma_tag_t dmat, vm_paddr_t pa);
int	busdma_zone_get(bus_dma_tag_t dmat);
void	busdma_zone_put(bus_dma_tag_t dmat);
int	busdma_zone_grow(bus_dma_tag_t dmat, bus_dmamap_t map, int mflags);
void	busdma_zone_shrink(bus_dma_tag_t dmat, bus_dmamap_t map);
/* 0; ENOMEM with BUS_DMA_NOWAIT; EINPROGRESS: the map waits. */
int	busdma_reserve(bus_dma_tag_t dmat, bus_dmamap_t map, u_int pages,
	    int flags);
vm_paddr_t busdma_bounce(bus_dma_tag_t dmat, bus_dmamap_t map, vm_paddr_t pa,
	    vm_size_t len);
void	busdma_bounce_copy(bus_dmamap_t map, bool in);
void	busdma_release(bus_dma_tag_t dmat, bus_dmamap_t map);

/* busdma_machdep.c: bounce pages that a piece of memory needs at most. */
u_int	busdma_count_phys(bus_dma_tag_t dmat, vm_paddr_t pa, vm_size_t len);
u_int	busdma_count_virt(bus_dma_tag_t dmat, const void *buf, vm_size_t len);

#endif	/* !_BUSDMA_VAR_H_ */
