/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Of hvhost.h, which includes this: what a partition offers beside I/O, and
 * what can be withheld of it.
 */

#ifndef HVHOST_ENL_H
#define	HVHOST_ENL_H

#include <stdbool.h>
#include <stdint.h>

struct hvh;

/*
 * What can be withheld from guests, which then have to do without: not in
 * CPUID, and refused if they try.
 */
enum hvh_feature {
	HVH_FEAT_COUNTER,	/* reference counter */
	HVH_FEAT_TSC,		/* reference TSC page */
	HVH_FEAT_FREQUENCY,	/* frequencies of TSC and APIC timer */
	HVH_FEAT_INVARIANT,	/* "this TSC is invariant"; the library itself
				 * has none */
	HVH_FEAT_STIMER,	/* synthetic timers */
	HVH_FEAT_DIRECT,	/* their direct mode */
	HVH_FEAT_APIC,		/* EOI, ICR, TPR by MSR, VP assist page */
	HVH_FEAT_TLBFLUSH,
	HVH_FEAT_IPI,
	HVH_FEAT_EX,		/* both with more than 64 processors */
	HVH_FEAT_SPIN,		/* long spin wait */
	HVH_FEAT_CRASH,		/* crash report */
	HVH_FEAT_MESSAGE,	/* with a text */
	HVH_FEATS
};

#define	HVH_FEAT_BIT(f)		(1u << (f))

/* "counter", "tsc", ...: for command lines. */
const char *hvh_feature_name(enum hvh_feature f);

/* What CPUID says about who may look into the guest's memory. */
enum hvh_isolation {
	HVH_ISOLATION_NONE,
	HVH_ISOLATION_VBS,
	HVH_ISOLATION_SNP,
	HVH_ISOLATION_TDX,
	HVH_ISOLATION_CCA,
	HVH_ISOLATIONS
};

/* "none", "vbs", ... */
const char *hvh_isolation_name(enum hvh_isolation i);

/* What of it all a guest is told. */
struct hvh_shown {
	uint32_t	 hidden;	/* HVH_FEAT_BIT()s that are not */
	/*
	 * Says only, isolates nothing: to see what guests do.  shared_bits: of
	 * the boundary to shared memory, 0: there is none.
	 */
	enum hvh_isolation isolation;
	bool		 paravisor;
	uint8_t		 shared_bits;
	uint8_t		 nesting;	/* hypervisors below this one */
};

/*
 * For a user whose leaves come from elsewhere (a KVM): takes out of one what
 * is not to be shown, and adds what is said of isolation and nesting.  Leaves
 * up to hvh_cpuid_max() are asked for, absent ones as zeros.
 */
void	hvh_cpuid_show(const struct hvh_shown *hs, uint32_t leaf,
	    uint32_t regs[4]);
uint32_t hvh_cpuid_max(const struct hvh_shown *hs);

/* --- TLB flushes, for hvh_ops.flush --- */

/* What the guest tells processors to forget: a flush hypercall. */
struct hvh_flush {
	uint64_t	 vps;		/* the VPs, a bit each; the one that
					 * asks is mostly among them */
	uint64_t	 space;		/* CR3, unless all_spaces */
	bool		 all_spaces;
	bool		 non_global;	/* global mappings may stay */
	/*
	 * As the guest sent them: page number of an address, and in the low 12
	 * bits how many pages more.  NULL: everything.
	 */
	const uint64_t	*ranges;
	unsigned	 nranges;
};

/* --- Management side --- */

/*
 * As when the partition goes on on another machine, or after a stop: reference
 * time goes on from where it is, by a TSC of tsc_hz, 0: by none, which the TSC
 * page then says for good.  moved, may be NULL, is called while the page is
 * invalid and the counter waits; from its return on ops->tsc tells the new
 * TSC.  VPs may run.  moved must not call the library.  EINVAL: tsc_hz.
 */
int	hvh_tsc_move(struct hvh *h, uint64_t tsc_hz, void (*moved)(void *arg),
	    void *arg);

/* What one VP asked for, and what was done to it. */
struct hvh_vp_stats {
	uint64_t	hypercalls;	/* its own */
	uint64_t	msr_reads, msr_writes;
	uint64_t	interrupts;	/* vectors asserted, IPIs too */
	uint64_t	flushes, ipis;	/* of all VPs, that reached it */
};

/* No such VP: zeros. */
void	hvh_get_vp_stats(struct hvh *h, uint32_t vp, struct hvh_vp_stats *vs);

#define	HVH_CRASH_TEXT		4096

/* The guest's last crash report; guests reset, the report stays. */
struct hvh_crash {
	uint64_t	 count;		/* reports so far, 0: none */
	uint64_t	 param[5];
	bool		 no_dump;	/* it will not write one */
	/* Its words, as it sent them but for NULs, which end them. */
	char		 text[HVH_CRASH_TEXT + 1];
};

void	hvh_get_crash(struct hvh *h, struct hvh_crash *hc);

#endif	/* !HVHOST_ENL_H */
