/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the host is told of a panic, for its log: five numbers and, where it
 * takes one, a text (protocol: hypervisor, 2.8).  Before the dump, which may
 * take long or fail; the bus lets go of the host's memory after it.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/eventhandler.h>
#include <sys/malloc.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <sys/reboot.h>
#include <sys/sysctl.h>

#include <vm/vm.h>
#include <vm/pmap.h>

#include <dev/hyperv/vmbus/hyperv_reg.h>
#include <dev/hyperv/vmbus/hyperv_var.h>
#include <dev/hyperv/vmbus/vmbus_var.h>

static int hyperv_crash_enable = 1;
SYSCTL_INT(_hw_vmbus, OID_AUTO, crash, CTLFLAG_RDTUN, &hyperv_crash_enable, 0,
    "Report panics to the host");

/* panic(9), vpanic(), kern_reboot(), and two of ours. */
#define	HYPERV_CRASH_FRAMES	5

/* The numbers' meaning is the guest's own; the first says what it was. */
#define	HYPERV_CRASH_PANIC	1

static char *hyperv_crash_text;		/* a page; NULL: none */
static eventhandler_tag hyperv_crash_tag;

struct hyperv_crash_frame {
	struct hyperv_crash_frame	*cf_next;
	uintptr_t			 cf_ret;
};

/*
 * Where panic(9) was called, and its stack there.  The frames are followed as
 * far as they lie on this thread's stack: what else has called us is not known.
 * Not inlined, or there would be one less.
 */
static void __noinline
hyperv_crash_caller(uint64_t *rip, uint64_t *rsp)
{
	struct hyperv_crash_frame *cf = __builtin_frame_address(0);
	struct thread *td = curthread;
	vm_offset_t end = td->td_kstack + td->td_kstack_pages * PAGE_SIZE;
	u_int n;

	*rip = *rsp = 0;
	for (n = 0; n < HYPERV_CRASH_FRAMES; n++) {
		if ((vm_offset_t)cf < td->td_kstack ||
		    (vm_offset_t)(cf + 1) > end)
			return;
		*rip = cf->cf_ret;
		*rsp = (uintptr_t)(cf + 1);
		cf = cf->cf_next;
	}
}

static void
hyperv_crash_report(void *arg __unused, int howto __unused)
{
	uint64_t ctl, rip, rsp;

	if (panicstr == NULL)
		return;
	hyperv_crash_caller(&rip, &rsp);
	hyperv_md_wrmsr(HYPERV_MSR_CRASH_P0, HYPERV_CRASH_PANIC);
	hyperv_md_wrmsr(HYPERV_MSR_CRASH_P1,
	    hyperv_md_rdmsr(HYPERV_MSR_GUEST_OS_ID));
	hyperv_md_wrmsr(HYPERV_MSR_CRASH_P2, rip);
	ctl = hyperv_md_rdmsr(HYPERV_MSR_CRASH_CTL);
	if ((ctl & HYPERV_CRASH_NOTIFY) == 0)
		return;
	if ((ctl & HYPERV_CRASH_MESSAGE) != 0 && hyperv_crash_text != NULL) {
		snprintf(hyperv_crash_text, PAGE_SIZE, "panic: %s\n"
		    "cpuid = %d, thread = %s, FreeBSD %d, stack %#jx\n",
		    panicstr, curcpu, curthread->td_name, osreldate,
		    (uintmax_t)rsp);
		hyperv_md_wrmsr(HYPERV_MSR_CRASH_P3,
		    vtophys(hyperv_crash_text));
		hyperv_md_wrmsr(HYPERV_MSR_CRASH_P4,
		    strlen(hyperv_crash_text));
		hyperv_md_wrmsr(HYPERV_MSR_CRASH_CTL, HYPERV_CRASH_NOTIFY |
		    HYPERV_CRASH_MESSAGE);
	} else {
		hyperv_md_wrmsr(HYPERV_MSR_CRASH_P3, curcpu);
		hyperv_md_wrmsr(HYPERV_MSR_CRASH_P4, rsp);
		hyperv_md_wrmsr(HYPERV_MSR_CRASH_CTL, HYPERV_CRASH_NOTIFY);
	}
}

/* Without a page for it there is no text. */
void
hyperv_crash_attach(const struct hyperv_info *hi)
{

	if ((hi->hi_features & HYPERV_FEATURE_CRASH) == 0 ||
	    hyperv_crash_enable == 0)
		return;
	hyperv_crash_text = vmbus_page_alloc();
	hyperv_crash_tag = EVENTHANDLER_REGISTER(shutdown_pre_sync,
	    hyperv_crash_report, NULL, SHUTDOWN_PRI_FIRST);
}

void
hyperv_crash_detach(void)
{

	if (hyperv_crash_tag != NULL)
		EVENTHANDLER_DEREGISTER(shutdown_pre_sync, hyperv_crash_tag);
	hyperv_crash_tag = NULL;
	vmbus_page_free(hyperv_crash_text);
	hyperv_crash_text = NULL;
}
