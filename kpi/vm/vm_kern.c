/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Guest-physical pages and kernel address space: contiguous pages, alias
 * mappings (pmap_qenter(), scattered memory) and vtophys().  Memory is seen at
 * its place in the one big mapping (the direct map), or through an alias in the
 * arena; everything else of the process has no physical address.
 */

#include <vm/vm_buddy.h>
#include <kern/kern_malloc.h>

#include <sys/vmmeter.h>
#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>
#include <vm/vm_extern.h>
#include <vm/vm_kern.h>
#include <vm/vm_page.h>

#define	ARENA_PAGES	KPI_ARENA_PAGES
#define	ARENA_MAPPINGS	KPI_ARENA_MAPPINGS

char		*kpi_mem_base;
vm_size_t	 kpi_mem_size;
struct kva_layout_s kva_layout;
vm_paddr_t	 dmaplimit;
struct pmap	 kernel_pmap_store;

static struct kpi_lock	phys_lock, arena_lock;
static struct kpi_buddy	phys, arena;
static char		*arena_base;
static vm_paddr_t	*arena_pa;	/* 0: not mapped */
static u_int		 arena_mapped;
static uint64_t		 scatter_seed = 88172645463325252;

void
kpi_phys_init(void)
{
	kpi_buddy_init(&phys, atop(kpi_mem_size));
	kpi_buddy_init(&arena, ARENA_PAGES);
	arena_base = hosted_va_reserve(ptoa((vm_size_t)ARENA_PAGES));
	arena_pa = hosted_mmap(ARENA_PAGES * sizeof(*arena_pa));
	if (arena_base == NULL || arena_pa == NULL)
		panic("no address space");
	dmaplimit = kpi_mem_size;
	kva_layout.dmap_low = (vm_offset_t)kpi_mem_base;
	kva_layout.dmap_high = kva_layout.dmap_low + kpi_mem_size;
	kva_layout.km_low = (vm_offset_t)arena_base;
	kva_layout.km_high = kva_layout.km_low + ptoa((vm_size_t)ARENA_PAGES);
	/* Page 0 holds nothing: an address forgotten in a packet shows. */
	hosted_poison(kpi_mem_base, PAGE_SIZE);
}

vm_paddr_t
kpi_phys_alloc(vm_size_t npages, vm_paddr_t low, vm_paddr_t high,
    u_long align, vm_paddr_t boundary)
{
	uint32_t pn;

	if (high >= kpi_mem_size)
		high = kpi_mem_size - 1;
	if (npages == 0 || npages > atop(kpi_mem_size) || low > high)
		return (0);
	kpi_lock(&phys_lock);
	pn = kpi_buddy_alloc(&phys, npages, atop(round_page(low)),
	    atop(high + 1), MAX(atop(align), 1), atop(boundary));
	kpi_unlock(&phys_lock);
	return (pn == BUDDY_NONE ? 0 : ptoa((vm_paddr_t)pn));
}

void
kpi_phys_free(vm_paddr_t pa, vm_size_t npages)
{
	kpi_lock(&phys_lock);
	kpi_buddy_free(&phys, atop(pa), npages);
	kpi_unlock(&phys_lock);
}

u_long
kpi_phys_used(void)
{
	u_long used;

	kpi_lock(&phys_lock);
	used = phys.b_used;
	kpi_unlock(&phys_lock);
	return (used);
}

static bool
in_arena(vm_offset_t va)
{
	return (va >= kva_layout.km_low && va < kva_layout.km_high);
}

bool
kpi_is_guest(vm_offset_t va)
{
	return ((va >= kva_layout.dmap_low && va < kva_layout.dmap_high) ||
	    in_arena(va));
}

vm_size_t
kpi_page_index(vm_offset_t va)
{
	if (in_arena(va))
		return (atop(kpi_mem_size) + atop(va - kva_layout.km_low));
	return (atop(va - kva_layout.dmap_low));
}

/* --- Address space --- */

/* Memory is mapped already, all of it; there are no devices'. */
void *
pmap_mapbios(vm_paddr_t pa, vm_size_t size)
{
	KASSERT(pa + size >= pa && pa + size <= kpi_mem_size,
	    ("pmap_mapbios(%#lx): not guest memory", pa));
	return (kpi_mem_base + pa);
}

void
pmap_unmapdev(void *va, vm_size_t size)
{
	KASSERT(kpi_is_guest((vm_offset_t)va) && !in_arena((vm_offset_t)va),
	    ("pmap_unmapdev: %p is not from pmap_mapbios()", va));
}

vm_offset_t
kva_alloc(vm_size_t size)
{
	return (kva_alloc_aligned(size, PAGE_SIZE));
}

vm_offset_t
kva_alloc_aligned(vm_size_t size, vm_size_t align)
{
	uint32_t pn;

	kpi_lock(&arena_lock);
	pn = kpi_buddy_alloc(&arena, atop(round_page(size)), 0, ARENA_PAGES,
	    atop(align), 0);
	kpi_unlock(&arena_lock);
	return (pn == BUDDY_NONE ? 0 :
	    (vm_offset_t)arena_base + ptoa((vm_offset_t)pn));
}

void
kva_free(vm_offset_t va, vm_size_t size)
{
	uint32_t i, pn;

	KASSERT(in_arena(va) && (va & PAGE_MASK) == 0,
	    ("kva_free: %#lx is not from kva_alloc()", va));
	pn = atop(va - (vm_offset_t)arena_base);
	kpi_lock(&arena_lock);
	for (i = 0; i < atop(round_page(size)); i++)
		if (arena_pa[pn + i] != 0)
			panic("kva_free: %#lx is still mapped",
			    va + ptoa((vm_offset_t)i));
	kpi_buddy_free(&arena, pn, atop(round_page(size)));
	kpi_unlock(&arena_lock);
}

static void
arena_map(vm_offset_t va, vm_paddr_t pa)
{
	if (hosted_mem_alias((void *)va, pa, PAGE_SIZE) != 0)
		panic("out of mappings for alias pages");
	hosted_unpoison((void *)va, PAGE_SIZE);
	arena_pa[atop(va - (vm_offset_t)arena_base)] = pa;
	atomic_add_int(&arena_mapped, 1);
}

static void
arena_unmap(vm_offset_t va, vm_size_t npages)
{
	uint32_t i, pn;

	pn = atop(va - (vm_offset_t)arena_base);
	for (i = 0; i < npages; i++) {
		KASSERT(arena_pa[pn + i] != 0,
		    ("unmapping %#lx, which is not mapped",
		    va + ptoa((vm_offset_t)i)));
		arena_pa[pn + i] = 0;
	}
	atomic_subtract_int(&arena_mapped, npages);
	hosted_mem_unalias((void *)va, ptoa(npages));
}

void
pmap_qenter(vm_offset_t va, struct vm_page **m, int count)
{
	int i;

	KASSERT(in_arena(va), ("pmap_qenter: %#lx not from kva_alloc()", va));
	for (i = 0; i < count; i++)
		arena_map(va + ptoa((vm_offset_t)i), m[i]->phys_addr);
}

void
pmap_qremove(vm_offset_t va, int count)
{
	KASSERT(in_arena(va), ("pmap_qremove: %#lx not from kva_alloc()", va));
	arena_unmap(va, count);
}

void
pmap_kenter(vm_offset_t va, vm_paddr_t pa)
{
	KASSERT(in_arena(va), ("pmap_kenter: %#lx not from kva_alloc()", va));
	arena_map(va, pa);
}

void
pmap_kremove(vm_offset_t va)
{
	pmap_qremove(va, 1);
}

/* --- Virtual to physical --- */

vm_paddr_t
pmap_kextract(vm_offset_t va)
{
	vm_paddr_t pa;

	if (va >= kva_layout.dmap_low && va < kva_layout.dmap_high)
		return (va - kva_layout.dmap_low);
	pa = in_arena(va) ?
	    arena_pa[atop(va - (vm_offset_t)arena_base)] : 0;
	if (pa == 0)
		panic("vtophys(%#lx): not guest memory (a stack, static data "
		    "or a stray pointer)", va);
	return (pa | (va & PAGE_MASK));
}

vm_paddr_t
pmap_extract(pmap_t pmap, vm_offset_t va)
{
	KASSERT(pmap == kernel_pmap, ("pmap_extract: not kernel_pmap"));
	if (!(va >= kva_layout.dmap_low && va < kva_layout.dmap_high) &&
	    !(in_arena(va) &&
	    arena_pa[atop(va - (vm_offset_t)arena_base)] != 0))
		return (0);
	return (pmap_kextract(va));
}

vm_offset_t
kpi_direct(vm_offset_t va)
{
	vm_paddr_t pa;

	if (!in_arena(va))
		return (va);
	pa = arena_pa[atop(va - kva_layout.km_low)];
	return (pa == 0 ? va : kva_layout.dmap_low + pa + (va & PAGE_MASK));
}

/* --- Whole pages --- */

static uint32_t
scatter_random(uint32_t n)
{
	scatter_seed ^= scatter_seed << 13;
	scatter_seed ^= scatter_seed >> 7;
	scatter_seed ^= scatter_seed << 17;
	return (scatter_seed % n);
}

static void
scatter_release(vm_offset_t va, vm_size_t npages)
{
	vm_size_t i;

	if (npages == 0)
		return;
	for (i = 0; i < npages; i++)
		kpi_phys_free(pmap_kextract(va + ptoa(i)), 1);
	arena_unmap(va, npages);
}

/*
 * Pages in an order that no driver expects.  Each is an allocation of its own,
 * at a random place, so that neighbours are not neighbours.
 */
static bool
scatter_fill(vm_offset_t va, vm_size_t npages)
{
	vm_paddr_t low, pa;
	vm_size_t i;

	for (i = 0; i < npages; i++) {
		low = ptoa((vm_paddr_t)scatter_random(atop(kpi_mem_size)));
		pa = kpi_phys_alloc(1, low, kpi_mem_size - 1, PAGE_SIZE, 0);
		if (pa == 0)
			pa = kpi_phys_alloc(1, 0, kpi_mem_size - 1, PAGE_SIZE,
			    0);
		if (pa == 0) {
			scatter_release(va, i);
			return (false);
		}
		/* Where the host sees it; its last owner may have freed it. */
		hosted_unpoison(kpi_mem_base + pa, PAGE_SIZE);
		arena_map(va + ptoa(i), pa);
	}
	return (true);
}

static void *
scatter_alloc(vm_size_t npages)
{
	vm_offset_t va;

	if (npages == 1 || arena_mapped + npages >= ARENA_MAPPINGS ||
	    (va = kva_alloc(ptoa(npages))) == 0)
		return (NULL);
	if (scatter_fill(va, npages))
		return ((void *)va);
	kva_free(va, ptoa(npages));
	return (NULL);
}

void *
kpi_pages_alloc(vm_size_t npages)
{
	vm_paddr_t pa;
	void *p;

	if (kpi_conf.scatter && (p = scatter_alloc(npages)) != NULL)
		return (p);
	pa = kpi_phys_alloc(npages, 0, kpi_mem_size - 1, PAGE_SIZE, 0);
	if (pa != 0)
		return (kpi_mem_base + pa);
	/* Single pages of slabs stand everywhere in the end. */
	return (kpi_conf.scatter ? NULL : scatter_alloc(npages));
}

void
kpi_pages_free(void *p, vm_size_t npages)
{
	vm_offset_t va = (vm_offset_t)p;

	if (in_arena(va)) {
		scatter_release(va, npages);
		kva_free(va, ptoa(npages));
	} else
		kpi_phys_free(va - kva_layout.dmap_low, npages);
}
