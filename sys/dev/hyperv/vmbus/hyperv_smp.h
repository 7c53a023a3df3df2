/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What processors ask of each other, by one hypercall instead of an exit for
 * each of them: TLB shoot-downs and interrupts.
 *
 *	hyperv_smp.c		who may use it when; processors' numbers; counts
 *	hyperv_vpset.c		sets of processors as the hypervisor wants them
 *	hyperv_tlb.c		a shoot-down
 *	hyperv_ipi.c		an interrupt
 *	amd64/hyperv_hook.c	where the kernel lets itself be hooked
 *	amd64/hyperv_quiesce.c	when nobody is in our text any more
 *
 * Whatever the hypervisor does not do, or says that it did not, is done as the
 * kernel does it without us.  Nobody takes a lock here.
 */

#ifndef _DEV_HYPERV_VMBUS_HYPERV_SMP_H_
#define	_DEV_HYPERV_VMBUS_HYPERV_SMP_H_

#include <sys/param.h>
#include <sys/_cpuset.h>
#include <sys/sysctl.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/vmbus/hyperv_smp_reg.h>
#include <dev/hyperv/vmbus/hyperv_var.h>

/* What a kernel and a hypervisor agree on; HYPERV_SMP_EX belongs to both. */
#define	HYPERV_SMP_TLB		0x01
#define	HYPERV_SMP_IPI		0x02
#define	HYPERV_SMP_EX		0x04

enum hyperv_smp_count {
	HYPERV_COUNT_FLUSHES,
	HYPERV_COUNT_FLUSH_FALLBACKS,
	HYPERV_COUNT_IPIS,
	HYPERV_COUNT_IPI_FALLBACKS,
	HYPERV_COUNTS
};

/* One processor's; written by itself alone, with preemption off. */
struct hyperv_smp_pcpu {
	void		*sp_in;		/* a page: input of its hypercalls */
	uint32_t	 sp_vp;		/* the hypervisor's number of it */
	volatile u_int	 sp_busy;	/* calls under way; interrupts nest */
	volatile uint64_t sp_count[HYPERV_COUNTS];
} __aligned(CACHE_LINE_SIZE);

/*
 * alloc: memory and numbers; never fails, but nothing may come of it.  start
 * and stop: the kernel calls us, or no longer does.  stop: EBUSY when a thread
 * may still be on its way out of our text; start goes on then.  pause and
 * resume: the same but for the hooks, while there is no hypercall page.  free
 * after stop.
 */
void		hyperv_smp_alloc(const struct hyperv_info *hi);
void		hyperv_smp_start(void);
int		hyperv_smp_stop(void);
void		hyperv_smp_pause(void);
void		hyperv_smp_resume(void);
void		hyperv_smp_free(void);
void		hyperv_smp_sysctl(struct sysctl_ctx_list *ctx,
		    struct sysctl_oid_list *list);

/*
 * Around each call, in a critical section.  enter: this processor's part, NULL
 * when the call may not be made; then nothing is to be left.
 */
struct hyperv_smp_pcpu *hyperv_smp_enter(u_int what);
void		hyperv_smp_leave(struct hyperv_smp_pcpu *sp);
bool		hyperv_smp_has_ex(void);
uint32_t	hyperv_smp_vp(int cpu);

/*
 * hyperv_vpset.c.  mask: false when a processor's number is too large for it.
 * fill: how many banks there are, 0: a number is too large altogether.
 */
bool		hyperv_vpset_mask(const cpuset_t *cpus, uint64_t *mask);
u_int		hyperv_vpset_fill(const cpuset_t *cpus,
		    struct hyperv_vpset *vs);

/*
 * Makes these processors forget translations, of all address spaces, before it
 * returns: npages from va on, or all for 0; a kernel's translations among
 * these if global is set.  Neither set may be empty.  false: not done.
 */
struct hyperv_flush {
	const cpuset_t	*hf_cpus;
	bool		 hf_all;	/* these are all but this one */
	bool		 hf_global;
	uint64_t	 hf_va;
	u_long		 hf_npages;
};
bool		hyperv_tlb_flush(const struct hyperv_flush *hf);

/* Interrupts these processors.  false: not all of them, or none. */
bool		hyperv_ipi_send(const cpuset_t *cpus, u_int vector);

/* amd64/hyperv_hook.c: what the kernel has hooks for, HYPERV_SMP_*. */
u_int		hyperv_md_hooks(void);
void		hyperv_md_hook(u_int what);
void		hyperv_md_unhook(void);

/*
 * amd64/hyperv_quiesce.c.  Waits until each thread that was preempted before
 * has run again, and left what it was in; false: not within the limit.
 */
bool		hyperv_md_quiesce(void);

#endif	/* !_DEV_HYPERV_VMBUS_HYPERV_SMP_H_ */
