/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The buddy allocator of vm_buddy.h.  Blocks are naturally aligned, so one that
 * is large enough satisfies any alignment and boundary up to its size; only
 * address limits need a search.
 */

#include <vm/vm_buddy.h>

static void
buddy_push(struct kpi_buddy *b, uint32_t pn, u_int order)
{
	struct kpi_buddy_page *p = &b->b_page[pn];

	p->bp_free = 1;
	p->bp_order = order;
	p->bp_prev = BUDDY_NONE;
	p->bp_next = b->b_head[order];
	if (p->bp_next != BUDDY_NONE)
		b->b_page[p->bp_next].bp_prev = pn;
	b->b_head[order] = pn;
}

static void
buddy_unlink(struct kpi_buddy *b, uint32_t pn)
{
	struct kpi_buddy_page *p = &b->b_page[pn];

	p->bp_free = 0;
	if (p->bp_prev != BUDDY_NONE)
		b->b_page[p->bp_prev].bp_next = p->bp_next;
	else
		b->b_head[p->bp_order] = p->bp_next;
	if (p->bp_next != BUDDY_NONE)
		b->b_page[p->bp_next].bp_prev = p->bp_prev;
}

/* Gives back one naturally aligned block, merging it with its buddies. */
static void
buddy_free_block(struct kpi_buddy *b, uint32_t pn, u_int order)
{
	uint32_t other;

	while (order + 1 < BUDDY_ORDERS) {
		other = pn ^ (1U << order);
		if (other >= b->b_npages || !b->b_page[other].bp_free ||
		    b->b_page[other].bp_order != order)
			break;
		buddy_unlink(b, other);
		pn &= ~(1U << order);
		order++;
	}
	buddy_push(b, pn, order);
}

static void
buddy_release(struct kpi_buddy *b, uint32_t first, uint32_t npages)
{
	u_int order;

	while (npages > 0) {
		order = first == 0 ? BUDDY_ORDERS - 1 : ffs(first) - 1;
		if (order >= BUDDY_ORDERS)
			order = BUDDY_ORDERS - 1;
		while ((1U << order) > npages)
			order--;
		buddy_free_block(b, first, order);
		first += 1U << order;
		npages -= 1U << order;
	}
}

void
kpi_buddy_init(struct kpi_buddy *b, uint32_t npages)
{
	u_int i;

	b->b_page = hosted_mmap(npages * sizeof(*b->b_page));
	if (b->b_page == NULL)
		panic("no memory for page tables");
	b->b_npages = npages;
	for (i = 0; i < BUDDY_ORDERS; i++)
		b->b_head[i] = BUDDY_NONE;
	buddy_release(b, 1, npages - 1);
}

/* The first place within a free block that fits, or BUDDY_NONE. */
static uint32_t
buddy_fit(uint32_t pn, u_int order, uint32_t npages, uint32_t low,
    uint32_t high, uint32_t align, uint32_t boundary)
{
	uint32_t end, start;

	start = roundup2(MAX(pn, low), align);
	if (boundary != 0 &&
	    ((start ^ (start + npages - 1)) & ~(boundary - 1)) != 0)
		start = roundup2(roundup2(start, boundary), align);
	end = MIN(pn + (1U << order), high);
	if (start < pn || start >= end || end - start < npages)
		return (BUDDY_NONE);
	return (start);
}

uint32_t
kpi_buddy_alloc(struct kpi_buddy *b, uint32_t npages, uint32_t low,
    uint32_t high, uint32_t align, uint32_t boundary)
{
	uint32_t end, pn, start;
	u_int order;

	if (boundary != 0 && npages > boundary)
		return (BUDDY_NONE);
	for (order = fls(npages) - 1; order < BUDDY_ORDERS; order++) {
		for (pn = b->b_head[order]; pn != BUDDY_NONE;
		    pn = b->b_page[pn].bp_next) {
			start = buddy_fit(pn, order, npages, low, high, align,
			    boundary);
			if (start == BUDDY_NONE)
				continue;
			buddy_unlink(b, pn);
			end = pn + (1U << order);
			buddy_release(b, pn, start - pn);
			buddy_release(b, start + npages, end - start - npages);
			b->b_used += npages;
			return (start);
		}
	}
	return (BUDDY_NONE);
}

void
kpi_buddy_free(struct kpi_buddy *b, uint32_t first, uint32_t npages)
{
	b->b_used -= npages;
	buddy_release(b, first, npages);
}
