/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory and the kernel's: how much there is, how much of it has to
 * stay, and pages that are taken out of it.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/lock.h>
#include <sys/mutex.h>
#include <sys/vmmeter.h>

#include <vm/vm.h>
#include <vm/vm_param.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>
#include <vm/vm_pagequeue.h>

#include <machine/md_var.h>

#include <dev/hyperv/utilities/hv_balloon_var.h>

/* The large page of the processor, which host and guest map as one. */
#define	LARGE_PAGES	512

#define	MIB_PAGES	(1024 * 1024 / PAGE_SIZE)
#define	GIB_PAGES	(1024 * MIB_PAGES)

/* Clean pages, most of them, that nobody has used for a while. */
static uint64_t
inactive_count(void)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < vm_ndomains; i++)
		n += VM_DOMAIN(i)->vmd_pagequeues[PQ_INACTIVE].pq_cnt;
	return (n);
}

/*
 * Inactive pages count as available: the page daemon takes them without a
 * write for the most part, so that a file cache is no reason to give a guest
 * more memory.  Dirty ones (the laundry) and active ones do not: to take them
 * costs I/O now or soon.  v_page_count stays what it was at boot, and pages
 * given up are wired ones to the kernel, so committed has them in it, as the
 * host expects.
 */
void
hv_balloon_pressure(struct hv_balloon_pressure *bp)
{
	uint64_t total = vm_cnt.v_page_count;

	bp->bp_free = MIN(vm_free_count(), total);
	bp->bp_available = MIN(bp->bp_free + inactive_count(), total);
	bp->bp_committed = total - bp->bp_available;
}

/*
 * What the page daemon tries to keep free, and a reserve besides: programs and
 * file systems need some memory to turn over, much in a small machine compared
 * to its size and little more in a large one.
 */
u_int
hv_balloon_floor(void)
{
	u_int total = vm_cnt.v_page_count, first = MIN(total, GIB_PAGES);

	return (vm_cnt.v_free_target + 16 * MIB_PAGES + first / 16 +
	    (total - first) / 64);
}

uint64_t
hv_balloon_frames(void)
{

	return (Maxmem);
}

/*
 * Free pages are taken to well below where the page daemon begins its work
 * (nine tenths of its target), but not to where others have to wait for it.
 */
u_int
hv_balloon_can_give(u_int floor, u_int want, bool *wait)
{
	struct hv_balloon_pressure bp;
	uint64_t lowest = (vm_cnt.v_free_min + vm_cnt.v_free_target) / 2;
	u_int n;

	*wait = false;
	hv_balloon_pressure(&bp);
	if (bp.bp_available <= floor)
		return (0);
	n = MIN(want, bp.bp_available - floor);
	if (bp.bp_free <= lowest) {
		*wait = true;
		return (0);
	}
	return (MIN(n, bp.bp_free - lowest));
}

/*
 * Wired, so that nothing looks for them in a queue.  Kept out of crash dumps:
 * the host has taken them away, and to read one may stop the machine.
 */
#define	PAGE_REQ							\
	(VM_ALLOC_NORMAL | VM_ALLOC_WIRED | VM_ALLOC_NODUMP | VM_ALLOC_NOWAIT)

u_int
hv_balloon_pages_alloc(u_int n, bool *large, uint64_t *frame)
{
	vm_page_t m = NULL;
	u_int got = 1;

	if (*large && n >= LARGE_PAGES) {
		m = vm_page_alloc_noobj_contig(PAGE_REQ | VM_ALLOC_NORECLAIM,
		    LARGE_PAGES, 0, ~(vm_paddr_t)0, ptoa(LARGE_PAGES), 0,
		    VM_MEMATTR_DEFAULT);
		if (m != NULL)
			got = LARGE_PAGES;
		else
			*large = false;
	}
	if (m == NULL)
		m = vm_page_alloc_noobj(PAGE_REQ);
	if (m == NULL)
		return (0);
	*frame = atop(VM_PAGE_TO_PHYS(m));
	return (got);
}

void
hv_balloon_pages_free(uint64_t frame, u_int n)
{
	vm_page_t m;
	u_int i;

	for (i = 0; i < n; i++) {
		m = PHYS_TO_VM_PAGE(ptoa((vm_paddr_t)(frame + i)));
		if (vm_page_unwire_noq(m))
			vm_page_free(m);
	}
}
