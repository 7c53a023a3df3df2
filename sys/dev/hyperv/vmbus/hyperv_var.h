/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hypervisor as the drivers use it: detection, the hypercall page and
 * the two hypercalls that VMBus needs, and the machine-dependent primitives
 * below them (amd64/hyperv_machdep.c).
 */

#ifndef _DEV_HYPERV_VMBUS_HYPERV_VAR_H_
#define	_DEV_HYPERV_VMBUS_HYPERV_VAR_H_

#include <sys/param.h>

/* What CPUID says of the hypervisor; all zero where there is none. */
struct hyperv_info {
	uint32_t	hi_priv;	/* HYPERV_PRIV_* */
	uint32_t	hi_privhigh;	/* HYPERV_PRIVHIGH_* */
	uint32_t	hi_features;	/* HYPERV_FEATURE_* */
	uint32_t	hi_recommend;	/* HYPERV_RECOMMEND_* */
	uint32_t	hi_major;
	uint32_t	hi_minor;
	uint32_t	hi_build;
	u_int		hi_nesting;	/* hypervisors below this one */
	u_int		hi_isolation;	/* HYPERV_ISOLATION_* */
	bool		hi_paravisor;	/* of ours, in an isolated partition */
};

/*
 * hyperv_cpuid.c.  Looks for Hyper-V; false elsewhere.  Cheap, any context, may
 * be called again.
 */
bool		hyperv_identify(struct hyperv_info *hi);
const char     *hyperv_isolation_name(const struct hyperv_info *hi);

/*
 * hyperv_reftsc.c.  enable: tells the hypervisor where its page is, which is
 * memory of a page, zeroed.  read: reference time from it, any context; false:
 * the hypervisor says that the counter is to be asked.
 */
struct hyperv_reftsc;
void		hyperv_reftsc_enable(struct hyperv_reftsc *rt);
bool		hyperv_reftsc_read(struct hyperv_reftsc *rt, uint64_t *timep);

/*
 * Names this kernel to the hypervisor, enables the hypercall page and, where
 * there is one, the reference TSC page; hyperv_detach() puts back what was
 * found.  Errors: ENOMEM, ENXIO when the hypervisor does not take the page.
 */
int		hyperv_attach(const struct hyperv_info *hi);
void		hyperv_detach(void);

/* hyperv_crash.c: from attach to detach a panic is reported. */
void		hyperv_crash_attach(const struct hyperv_info *hi);
void		hyperv_crash_detach(void);

/* Hypercalls; any context between attach and detach.  HYPERV_STATUS_*. */
uint16_t	hyperv_post_message(vm_paddr_t in);
uint16_t	hyperv_signal_event(uint32_t conn);
/* Any other: control word, inputs or their addresses; the whole result. */
uint64_t	hyperv_hypercall(uint64_t control, uint64_t in, uint64_t out);

/* Machine-dependent. */
void		hyperv_md_cpuid(uint32_t leaf, uint32_t regs[4]);
uint64_t	hyperv_md_rdmsr(uint32_t msr);
void		hyperv_md_wrmsr(uint32_t msr, uint64_t val);
uint64_t	hyperv_md_hypercall(const void *page, uint64_t control,
		    uint64_t in, uint64_t out);
uint64_t	hyperv_md_tsc(void);
uint64_t	hyperv_md_mul64hi(uint64_t a, uint64_t b);

#endif	/* !_DEV_HYPERV_VMBUS_HYPERV_VAR_H_ */
