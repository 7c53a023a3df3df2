/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hypervisor's interface as the processor shows it: CPUID leaves, MSRs,
 * hypercalls and their inputs (protocol: hypervisor, sections 1, 2, 3 and 5).
 * Constants and layouts only, little-endian.
 */

#ifndef _DEV_HYPERV_VMBUS_HYPERV_REG_H_
#define	_DEV_HYPERV_VMBUS_HYPERV_REG_H_

/* CPUID leaves (1.2). */
#define	HYPERV_CPUID_VENDOR		0x40000000
#define	HYPERV_CPUID_INTERFACE		0x40000001
#define	HYPERV_CPUID_VERSION		0x40000002
#define	HYPERV_CPUID_FEATURES		0x40000003
#define	HYPERV_CPUID_RECOMMEND		0x40000004
#define	HYPERV_CPUID_LIMITS		0x40000005
#define	HYPERV_CPUID_HARDWARE		0x40000006
#define	HYPERV_CPUID_ISOLATION		0x4000000c
#define	HYPERV_CPUID_LAST		0x4000ffff

#define	HYPERV_VENDOR_EBX		0x7263694d	/* "Microsoft Hv" */
#define	HYPERV_VENDOR_ECX		0x666f736f
#define	HYPERV_VENDOR_EDX		0x76482074
#define	HYPERV_INTERFACE_HV1		0x31237648	/* "Hv#1" */

/* HYPERV_CPUID_FEATURES, EAX: which MSRs there are (1.3). */
#define	HYPERV_PRIV_TIMEREFCNT		0x00000002
#define	HYPERV_PRIV_SYNIC		0x00000004
#define	HYPERV_PRIV_STIMER		0x00000008
#define	HYPERV_PRIV_HYPERCALL		0x00000020
#define	HYPERV_PRIV_VPINDEX		0x00000040
#define	HYPERV_PRIV_REFTSC		0x00000200
#define	HYPERV_PRIV_FREQUENCY		0x00000800

/* HYPERV_CPUID_FEATURES, EBX: which calls are allowed (1.4). */
#define	HYPERV_PRIVHIGH_ISOLATION	0x00400000

/* HYPERV_CPUID_FEATURES, EDX (1.5). */
#define	HYPERV_FEATURE_FREQUENCY	0x00000100
#define	HYPERV_FEATURE_CRASH		0x00000400
#define	HYPERV_FEATURE_STIMER_DIRECT	0x00080000

/* HYPERV_CPUID_RECOMMEND, EAX (1.6). */
#define	HYPERV_RECOMMEND_REMOTE_FLUSH	0x00000004
#define	HYPERV_RECOMMEND_NOAUTOEOI	0x00000200
#define	HYPERV_RECOMMEND_CLUSTER_IPI	0x00000400
#define	HYPERV_RECOMMEND_EX_MASKS	0x00000800

/* HYPERV_CPUID_HARDWARE, EAX: how many hypervisors are below (1.7). */
#define	HYPERV_HARDWARE_NESTING(eax)	(((eax) >> 10) & 0xf)

/* HYPERV_CPUID_ISOLATION, EAX and EBX (1.2). */
#define	HYPERV_ISOLATION_PARAVISOR	0x00000001
#define	HYPERV_ISOLATION_TYPE(ebx)	((ebx) & 0xf)
#define	HYPERV_ISOLATION_NONE		0
#define	HYPERV_ISOLATION_VBS		1
#define	HYPERV_ISOLATION_SNP		2
#define	HYPERV_ISOLATION_TDX		3
#define	HYPERV_ISOLATION_CCA		4

/* MSRs (2). */
#define	HYPERV_MSR_GUEST_OS_ID		0x40000000
#define	HYPERV_MSR_HYPERCALL		0x40000001
#define	HYPERV_MSR_VP_INDEX		0x40000002
#define	HYPERV_MSR_TIME_REF_COUNT	0x40000020
#define	HYPERV_MSR_REFERENCE_TSC	0x40000021
#define	HYPERV_MSR_TSC_FREQUENCY	0x40000022
#define	HYPERV_MSR_SCONTROL		0x40000080
#define	HYPERV_MSR_SIEFP		0x40000082
#define	HYPERV_MSR_SIMP			0x40000083
#define	HYPERV_MSR_EOM			0x40000084
#define	HYPERV_MSR_SINT0		0x40000090
#define	HYPERV_MSR_STIMER0_CONFIG	0x400000b0
#define	HYPERV_MSR_STIMER0_COUNT	0x400000b1
#define	HYPERV_MSR_CRASH_P0		0x40000100
#define	HYPERV_MSR_CRASH_P1		0x40000101
#define	HYPERV_MSR_CRASH_P2		0x40000102
#define	HYPERV_MSR_CRASH_P3		0x40000103
#define	HYPERV_MSR_CRASH_P4		0x40000104
#define	HYPERV_MSR_CRASH_CTL		0x40000105

/*
 * MSRs that name a page share this form: enable, bits that are kept as they
 * were read, page number.
 */
#define	HYPERV_MSR_PAGE_ENABLE		0x0000000000000001ULL
#define	HYPERV_MSR_PAGE_KEEP		0x0000000000000ffeULL
#define	HYPERV_MSR_PAGE_MASK		0xfffffffffffff000ULL

#define	HYPERV_SCONTROL_ENABLE		0x0000000000000001ULL

/* SINT registers (3.1). */
#define	HYPERV_SINT_VECTOR_MASK		0x00000000000000ffULL
#define	HYPERV_SINT_MASKED		0x0000000000010000ULL
#define	HYPERV_SINT_AUTOEOI		0x0000000000020000ULL
#define	HYPERV_SINT_POLLING		0x0000000000040000ULL

/* Configuration of a synthetic timer (4.1). */
#define	HYPERV_STIMER_PERIODIC		0x0000000000000002ULL
#define	HYPERV_STIMER_AUTOENABLE	0x0000000000000008ULL
#define	HYPERV_STIMER_VECTOR_SHIFT	4
#define	HYPERV_STIMER_DIRECT		0x0000000000001000ULL
#define	HYPERV_STIMER_SINT_SHIFT	16

/* Crash control (2.8). */
#define	HYPERV_CRASH_NOTIFY		0x8000000000000000ULL
#define	HYPERV_CRASH_MESSAGE		0x4000000000000000ULL

/* Guest OS id, open-source form (2.1). */
#define	HYPERV_GUEST_OS_OPENSOURCE	0x8000000000000000ULL
#define	HYPERV_GUEST_OS_FREEBSD		0x0200000000000000ULL
#define	HYPERV_GUEST_OS_VERSION_SHIFT	16

/* Hypercall control word (5.2) and calls (5.6). */
#define	HYPERV_HCALL_FAST		0x0000000000010000ULL
#define	HYPERV_HCALL_POST_MESSAGE	0x005c
#define	HYPERV_HCALL_SIGNAL_EVENT	0x005d

/* Hypercall result (5.3, 5.5). */
#define	HYPERV_STATUS_MASK		0xffff
#define	HYPERV_STATUS_SUCCESS		0x0000
#define	HYPERV_STATUS_NO_MEMORY		0x000b
#define	HYPERV_STATUS_NO_CONNECTION	0x0012
#define	HYPERV_STATUS_NO_BUFFERS	0x0013

#define	HYPERV_MSG_PAYLOAD_MAX		240

/* Input of HYPERV_HCALL_POST_MESSAGE; must not cross a page. */
struct hyperv_post_msg_in {
	uint32_t	pm_conn;
	uint32_t	pm_rsvd;
	uint32_t	pm_type;
	uint32_t	pm_len;		/* of the payload */
	uint8_t		pm_payload[HYPERV_MSG_PAYLOAD_MAX];
};
_Static_assert(sizeof(struct hyperv_post_msg_in) == 256, "hyperv_post_msg_in");
_Static_assert(__offsetof(struct hyperv_post_msg_in, pm_payload) == 16,
    "hyperv_post_msg_in.pm_payload");

/* Reference TSC page (2.5). */
struct hyperv_reftsc {
	volatile uint32_t	rt_seq;		/* 0: use the MSR */
	uint32_t		rt_rsvd;
	volatile uint64_t	rt_scale;	/* 64.64 fixed point */
	volatile int64_t	rt_ofs;		/* 100 ns */
	uint8_t			rt_rsvd2[4072];
};
_Static_assert(sizeof(struct hyperv_reftsc) == 4096, "hyperv_reftsc");
_Static_assert(__offsetof(struct hyperv_reftsc, rt_ofs) == 16,
    "hyperv_reftsc.rt_ofs");

#endif	/* !_DEV_HYPERV_VMBUS_HYPERV_REG_H_ */
