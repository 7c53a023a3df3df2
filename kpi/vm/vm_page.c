/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Page structures: of each page of guest memory there is one, which knows its
 * address.  Queues, objects and everything else of the VM system are missing.
 */

#include <vm/vm_buddy.h>
#include <kern/kern_malloc.h>

#include <sys/sysctl.h>
#include <sys/vmmeter.h>
#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

/* Reserved as a whole; what is never asked for is never backed. */
static struct vm_page	*pages;

static void
vm_page_startup_pages(void *arg __unused)
{

	pages = hosted_mmap(atop(kpi_mem_size) * sizeof(*pages));
	if (pages == NULL)
		panic("no address space for page structures");
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
