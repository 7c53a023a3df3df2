/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hypervisor below the bus: telling it who we are, the hypercall page,
 * reference time, and GUIDs in print.  Holds no lock: attach and detach are
 * called by the one bus device, everything else only reads.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kernel.h>
#include <sys/malloc.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_var.h>

static MALLOC_DEFINE(M_HYPERV, "hyperv", "Hyper-V hypercall and time pages");

static struct {
	struct hyperv_info	 info;
	void			*page;		/* executable, overlaid */
	struct hyperv_reftsc	*reftsc;	/* NULL: use the MSR */
	bool			 reftsc_ours;	/* not found enabled */
	uint64_t		 found_osid;	/* before we came */
	uint64_t		 found_hcall;
	uint64_t		 found_reftsc;
} hyperv;

static int
hyperv_hcall_enable(void)
{
	uint64_t osid, val;

	hyperv.page = malloc_exec(PAGE_SIZE, M_HYPERV, M_NOWAIT | M_ZERO);
	if (hyperv.page == NULL)
		return (ENOMEM);

	/*
	 * The id comes before the page (protocol: hypervisor, 2.1).  Hosts
	 * decide by this version whether our flow control can be relied on
	 * (protocol: vmbus, 7.8), so it is the running kernel's.
	 */
	hyperv.found_osid = hyperv_md_rdmsr(HYPERV_MSR_GUEST_OS_ID);
	hyperv.found_hcall = hyperv_md_rdmsr(HYPERV_MSR_HYPERCALL);
	osid = HYPERV_GUEST_OS_OPENSOURCE | HYPERV_GUEST_OS_FREEBSD |
	    ((uint64_t)osreldate << HYPERV_GUEST_OS_VERSION_SHIFT);
	hyperv_md_wrmsr(HYPERV_MSR_GUEST_OS_ID, osid);

	val = (hyperv.found_hcall & HYPERV_MSR_PAGE_KEEP) |
	    vtophys(hyperv.page) | HYPERV_MSR_PAGE_ENABLE;
	hyperv_md_wrmsr(HYPERV_MSR_HYPERCALL, val);
	if (hyperv_md_rdmsr(HYPERV_MSR_HYPERCALL) != val) {
		hyperv_detach();
		return (ENXIO);
	}
	return (0);
}

/*
 * Time works without the page, at the price of an exit a reading.  There is one
 * page: where the kernel's time lives on it already it stays, and is read.
 */
static void
hyperv_reftsc_attach(void)
{
	struct hyperv_reftsc *rt;

	if ((hyperv.info.hi_priv & HYPERV_PRIV_REFTSC) == 0)
		return;
	hyperv.found_reftsc = hyperv_md_rdmsr(HYPERV_MSR_REFERENCE_TSC);
	if ((hyperv.found_reftsc & HYPERV_MSR_PAGE_ENABLE) != 0) {
		hyperv.reftsc = pmap_mapbios(hyperv.found_reftsc &
		    HYPERV_MSR_PAGE_MASK, sizeof(*hyperv.reftsc));
		return;
	}
	rt = malloc(sizeof(*rt), M_HYPERV, M_NOWAIT | M_ZERO);
	if (rt == NULL)
		return;
	hyperv_reftsc_enable(rt);
	hyperv.reftsc = rt;
	hyperv.reftsc_ours = true;
}

static void
hyperv_reftsc_detach(void)
{
	struct hyperv_reftsc *rt = hyperv.reftsc;

	if (rt == NULL)
		return;
	hyperv.reftsc = NULL;
	if (!hyperv.reftsc_ours) {
		pmap_unmapbios(rt, sizeof(*rt));
		return;
	}
	hyperv.reftsc_ours = false;
	hyperv_md_wrmsr(HYPERV_MSR_REFERENCE_TSC, hyperv.found_reftsc);
	free(rt, M_HYPERV);
}

int
hyperv_attach(const struct hyperv_info *hi)
{
	int error;

	hyperv.info = *hi;
	error = hyperv_hcall_enable();
	if (error != 0)
		return (error);
	hyperv_reftsc_attach();
	return (0);
}

void
hyperv_detach(void)
{

	hyperv_reftsc_detach();
	if (hyperv.page != NULL) {
		/*
		 * A kernel with an interface of its own has its page there;
		 * otherwise both were zero and are so again.
		 */
		hyperv_md_wrmsr(HYPERV_MSR_HYPERCALL, hyperv.found_hcall);
		hyperv_md_wrmsr(HYPERV_MSR_GUEST_OS_ID, hyperv.found_osid);
		free(hyperv.page, M_HYPERV);
		hyperv.page = NULL;
	}
	memset(&hyperv.info, 0, sizeof(hyperv.info));
}

uint16_t
hyperv_post_message(vm_paddr_t in)
{

	return (hyperv_md_hypercall(hyperv.page, HYPERV_HCALL_POST_MESSAGE, in,
	    0) & HYPERV_STATUS_MASK);
}

/* The fast form: connection id and flag number 0 travel in a register. */
HYPERV_HOT uint16_t
hyperv_signal_event(uint32_t conn)
{

	return (hyperv_md_hypercall(hyperv.page,
	    HYPERV_HCALL_SIGNAL_EVENT | HYPERV_HCALL_FAST, conn, 0) &
	    HYPERV_STATUS_MASK);
}

HYPERV_HOT uint64_t
hyperv_hypercall(uint64_t control, uint64_t in, uint64_t out)
{

	return (hyperv_md_hypercall(hyperv.page, control, in, out));
}

uint64_t
hyperv_reftime(void)
{
	struct hyperv_reftsc *rt = hyperv.reftsc;
	uint64_t now;

	if (rt != NULL && hyperv_reftsc_read(rt, &now))
		return (now);
	if ((hyperv.info.hi_priv & HYPERV_PRIV_TIMEREFCNT) != 0)
		return (hyperv_md_rdmsr(HYPERV_MSR_TIME_REF_COUNT));
	return (0);
}

int
hyperv_guid_snprintf(char *buf, size_t sz, const struct hyperv_guid *guid)
{
	const uint8_t *d = guid->hv_guid;

	return (snprintf(buf, sz, "%02x%02x%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x-%02x%02x%02x%02x%02x%02x",
	    d[3], d[2], d[1], d[0], d[5], d[4], d[7], d[6],
	    d[8], d[9], d[10], d[11], d[12], d[13], d[14], d[15]));
}
