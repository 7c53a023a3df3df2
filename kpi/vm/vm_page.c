/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Page structures: of each page of guest memory there is one, which knows its
 * address; pages without an object are allocated and freed as in the kernel,
 * in the least that a wired one goes through.  How many there are is counted;
 * there is no page daemon, so none are inactive.  Objects and everything else
 * of the VM system are missing.
 */

#include <vm/vm_buddy.h>
#include <kern/kern_malloc.h>

#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/sysctl.h>
#include <sys/vmmeter.h>
#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>
#include <vm/vm_pagequeue.h>

#include <machine/md_var.h>

struct vmmeter	 vm_cnt;
struct vm_domain vm_dom[MAXMEMDOM];
long		 Maxmem;

/* Reserved as a whole; what is never asked for is never backed. */
static struct vm_page	*pages;
static u_int		 noobj;		/* allocated below, not freed */

static void
vm_page_startup_pages(void *arg __unused)
{
	u_int n = atop(kpi_mem_size);

	pages = hosted_mmap(n * sizeof(*pages));
	if (pages == NULL)
		panic("no address space for page structures");
	Maxmem = n;
	vm_cnt.v_page_count = n;
	vm_cnt.v_free_reserved = 32 + n / 768;
	vm_cnt.v_free_min = vm_cnt.v_free_reserved + n / 200;
	vm_cnt.v_free_target = 4 * vm_cnt.v_free_min;
}
SYSINIT(vm_page, SI_SUB_VM, SI_ORDER_FIRST, vm_page_startup_pages, NULL);

vm_page_t
PHYS_TO_VM_PAGE(vm_paddr_t pa)
{
	vm_page_t m;

	if (pa >= kpi_mem_size)
		return (NULL);
	m = &pages[atop(pa)];
	m->phys_addr = trunc_page(pa);
	return (m);
}

u_int
vm_free_count(void)
{
	return (vm_cnt.v_page_count - kpi_phys_used());
}

vm_page_t
vm_page_alloc_noobj_contig(int req, u_long npages, vm_paddr_t low,
    vm_paddr_t high, u_long alignment, vm_paddr_t boundary,
    vm_memattr_t memattr)
{
	vm_paddr_t pa;
	vm_page_t m;
	u_long i;

	KASSERT((req & VM_ALLOC_WIRED) != 0 && (req & VM_ALLOC_NOWAIT) != 0,
	    ("vm_page_alloc_noobj: pages that are not wired, or waiting for "
	    "them, are not had here"));
	KASSERT(memattr == VM_MEMATTR_DEFAULT,
	    ("vm_page_alloc_noobj: memory attribute %d", memattr));
	if (vm_free_count() < npages + vm_cnt.v_free_reserved)
		return (NULL);
	pa = kpi_phys_alloc(npages, low, high - 1, alignment, boundary);
	if (pa == 0)
		return (NULL);
	hosted_unpoison(kpi_mem_base + pa, ptoa(npages));
	if ((req & VM_ALLOC_ZERO) != 0)
		memset(kpi_mem_base + pa, 0, ptoa(npages));
	for (i = 0; i < npages; i++) {
		m = PHYS_TO_VM_PAGE(pa + ptoa(i));
		m->ref_count = 1;
		m->oflags = VPO_UNMANAGED;
	}
	atomic_add_int(&noobj, npages);
	return (PHYS_TO_VM_PAGE(pa));
}

vm_page_t
vm_page_alloc_noobj(int req)
{
	return (vm_page_alloc_noobj_contig(req, 1, 0, ~(vm_paddr_t)0,
	    PAGE_SIZE, 0, VM_MEMATTR_DEFAULT));
}

bool
vm_page_unwire_noq(vm_page_t m)
{
	u_int old = atomic_fetchadd_int(&m->ref_count, -1);

	if (VPRC_WIRE_COUNT(old) == 0)
		panic("vm_page_unwire_noq: page %#jx is not wired",
		    (uintmax_t)m->phys_addr);
	return (VPRC_WIRE_COUNT(old) == 1);
}

void
vm_page_free(vm_page_t m)
{
	if (VPRC_WIRE_COUNT(m->ref_count) != 0)
		panic("vm_page_free: page %#jx is wired",
		    (uintmax_t)m->phys_addr);
	if ((m->oflags & VPO_UNMANAGED) == 0)
		panic("vm_page_free: page %#jx is not allocated, or freed "
		    "already", (uintmax_t)m->phys_addr);
	m->oflags = 0;
	hosted_poison(kpi_mem_base + m->phys_addr, PAGE_SIZE);
	atomic_subtract_int(&noobj, 1);
	kpi_phys_free(m->phys_addr, 1);
}

static u_int
vm_page_leaks(void)
{
	if (noobj == 0)
		return (0);
	printf("leak: %u pages without an object\n", noobj);
	return (1);
}
KPI_LEAKS(vm_page_leaks);
