/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Memory of a channel's two rings: pages that are shared with the host, and
 * a view of them in which the data part of each ring appears twice, so that
 * no packet ever wraps.  The view costs address space and page-table entries,
 * no memory.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/malloc.h>

#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/vm_extern.h>
#include <vm/vm_page.h>
#include <vm/pmap.h>

#include <dev/hyperv/vmbus/vmbus_brvar.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

/* Control page once, data pages twice; returns the address behind. */
static vm_offset_t
vmbus_brmem_map(vm_offset_t kva, uint8_t *pages, u_int npages, vm_page_t *ma)
{
	u_int i;

	for (i = 0; i < npages; i++)
		ma[i] = PHYS_TO_VM_PAGE(vtophys(pages + (size_t)i * PAGE_SIZE));
	pmap_qenter(kva, ma, npages);
	pmap_qenter(kva + ptoa(npages), ma + 1, npages - 1);
	return (kva + ptoa(2 * npages - 1));
}

int
vmbus_brmem_alloc(struct vmbus_brmem *bm, size_t txsize, size_t rxsize)
{
	vm_offset_t rxkva;
	vm_page_t *ma;
	u_int rxpages, txpages;

	memset(bm, 0, sizeof(*bm));
	txpages = atop(txsize);
	rxpages = atop(rxsize);
	bm->bm_txsize = txsize;
	bm->bm_rxsize = rxsize;
	bm->bm_kvasize = ptoa(2 * (txpages + rxpages) - 2);
	ma = malloc(sizeof(*ma) * MAX(txpages, rxpages), M_VMBUS, M_NOWAIT);
	bm->bm_pages = malloc(txsize + rxsize, M_VMBUS, M_NOWAIT | M_ZERO);
	bm->bm_kva = kva_alloc(bm->bm_kvasize);
	if (ma == NULL || bm->bm_pages == NULL || bm->bm_kva == 0) {
		if (bm->bm_kva != 0)
			kva_free(bm->bm_kva, bm->bm_kvasize);
		free(bm->bm_pages, M_VMBUS);
		free(ma, M_VMBUS);
		memset(bm, 0, sizeof(*bm));
		return (ENOMEM);
	}
	KASSERT(((vm_offset_t)bm->bm_pages & PAGE_MASK) == 0,
	    ("%s: ring pages at %p", __func__, bm->bm_pages));

	rxkva = vmbus_brmem_map(bm->bm_kva, bm->bm_pages, txpages, ma);
	vmbus_brmem_map(rxkva, bm->bm_pages + txsize, rxpages, ma);
	free(ma, M_VMBUS);

	bm->bm_txctl = (struct vmbus_ring_ctl *)bm->bm_kva;
	bm->bm_txdata = (uint8_t *)bm->bm_kva + PAGE_SIZE;
	bm->bm_rxctl = (struct vmbus_ring_ctl *)rxkva;
	bm->bm_rxdata = (uint8_t *)rxkva + PAGE_SIZE;
	return (0);
}

void
vmbus_brmem_free(struct vmbus_brmem *bm, bool keep)
{

	if (bm->bm_pages == NULL)
		return;
	pmap_qremove(bm->bm_kva, atop(bm->bm_kvasize));
	kva_free(bm->bm_kva, bm->bm_kvasize);
	if (!keep)
		free(bm->bm_pages, M_VMBUS);
	memset(bm, 0, sizeof(*bm));
}
