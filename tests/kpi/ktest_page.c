/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hosted kernel's pages without an object: counted, at the addresses asked
 * for, and loud when they are freed wrongly.
 */

#include <ktest.h>

#include <sys/vmmeter.h>
#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

#define	REQ	(VM_ALLOC_NORMAL | VM_ALLOC_WIRED | VM_ALLOC_NOWAIT)

static void
page_free(vm_page_t m)
{
	KT_CHECK(vm_page_unwire_noq(m));
	vm_page_free(m);
}

KTEST(page_noobj, "a page is one less that is free, and is memory")
{
	u_int before = vm_free_count();
	vm_page_t m;
	char *p;

	KT_CHECK(before < vm_cnt.v_page_count);
	m = vm_page_alloc_noobj(REQ | VM_ALLOC_ZERO);
	KT_CHECK(m != NULL);
	KT_EQ(vm_free_count(), before - 1);
	KT_CHECK(PHYS_TO_VM_PAGE(VM_PAGE_TO_PHYS(m)) == m);
	p = (char *)PHYS_TO_DMAP(VM_PAGE_TO_PHYS(m));
	KT_EQ(p[0], 0);
	KT_EQ(p[PAGE_SIZE - 1], 0);
	memset(p, 1, PAGE_SIZE);
	page_free(m);
	KT_EQ(vm_free_count(), before);
}

KTEST(page_contig, "a run is aligned, its pages are freed in any order")
{
	u_int before = vm_free_count(), i;
	vm_page_t m;

	m = vm_page_alloc_noobj_contig(REQ, 512, 0, ~(vm_paddr_t)0,
	    ptoa(512), 0, VM_MEMATTR_DEFAULT);
	KT_CHECK(m != NULL);
	KT_EQ(VM_PAGE_TO_PHYS(m) % ptoa(512), 0);
	KT_EQ(VM_PAGE_TO_PHYS(&m[511]), VM_PAGE_TO_PHYS(m) + ptoa(511));
	KT_EQ(vm_free_count(), before - 512);
	for (i = 0; i < 512; i += 2)
		page_free(&m[i]);
	for (i = 511; i < 512; i -= 2)
		page_free(&m[i]);
	KT_EQ(vm_free_count(), before);
}

KTEST(page_limit, "the reserve stays, and no address beyond what is asked for")
{
	vm_page_t m;

	KT_CHECK(vm_page_alloc_noobj_contig(REQ, vm_free_count() -
	    vm_cnt.v_free_reserved + 1, 0, ~(vm_paddr_t)0, PAGE_SIZE, 0,
	    VM_MEMATTR_DEFAULT) == NULL);
	m = vm_page_alloc_noobj_contig(REQ, 1, 0, 16 << 20, PAGE_SIZE, 0,
	    VM_MEMATTR_DEFAULT);
	KT_CHECK(m != NULL);
	KT_CHECK(VM_PAGE_TO_PHYS(m) < 16 << 20);
	page_free(m);
}

KTEST_PANICS(page_free_report, "a page that is freed twice",
    "not allocated, or freed already")
{
	vm_page_t m = vm_page_alloc_noobj(REQ);

	page_free(m);
	vm_page_free(m);
}

KTEST_PANICS(page_unwire_report, "a page that is unwired twice",
    "is not wired")
{
	vm_page_t m = vm_page_alloc_noobj(REQ);

	page_free(m);
	(void)vm_page_unwire_noq(m);
}

KTEST_PANICS(page_wired_report, "a page that is freed and still wired",
    "is wired")
{
	vm_page_free(vm_page_alloc_noobj(REQ));
}
