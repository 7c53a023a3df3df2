/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A buddy allocator of page numbers, used for guest-physical pages and for the
 * address space of alias mappings.  It never looks at the pages themselves and
 * has no lock: the caller's.
 */

#ifndef _KPI_VM_BUDDY_H_
#define	_KPI_VM_BUDDY_H_

#include <kern/kpi_internal.h>

#define	BUDDY_ORDERS	21
#define	BUDDY_NONE	((uint32_t)-1)

struct kpi_buddy_page {
	uint32_t	bp_next, bp_prev;
	uint8_t		bp_free;	/* heads a free block */
	uint8_t		bp_order;	/* of that block */
};

struct kpi_buddy {
	struct kpi_buddy_page *b_page;
	uint32_t	 b_npages;
	uint32_t	 b_used;
	uint32_t	 b_head[BUDDY_ORDERS];
};

/* Pages for allocation, [1, npages): page 0 is never given out. */
void		kpi_buddy_init(struct kpi_buddy *b, uint32_t npages);
/*
 * npages pages within [low, high), the first a multiple of align, not crossing
 * a multiple of boundary (0: none); both powers of two, in pages.
 * BUDDY_NONE: none left.
 */
uint32_t	kpi_buddy_alloc(struct kpi_buddy *b, uint32_t npages,
		    uint32_t low, uint32_t high, uint32_t align,
		    uint32_t boundary);
void		kpi_buddy_free(struct kpi_buddy *b, uint32_t first,
		    uint32_t npages);

#endif	/* !_KPI_VM_BUDDY_H_ */
