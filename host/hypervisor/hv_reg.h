/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a guest sees of the hypervisor: CPUID leaves, MSRs, SynIC pages,
 * hypercall inputs (protocol: hypervisor).  Little-endian.  No state here.
 */

#ifndef HV_REG_H
#define	HV_REG_H

#include <stddef.h>
#include <stdint.h>

#define	HV_PAGE_SIZE		4096u
#define	HV_PAGE_SHIFT		12

/* CPUID (protocol: hypervisor, 1.2). */
#define	HV_CPUID_VENDOR		0x40000000u
#define	HV_CPUID_INTERFACE	0x40000001u
#define	HV_CPUID_VERSION	0x40000002u
#define	HV_CPUID_FEATURES	0x40000003u
#define	HV_CPUID_RECOMMEND	0x40000004u
#define	HV_CPUID_LIMITS		0x40000005u
#define	HV_CPUID_HARDWARE	0x40000006u
#define	HV_CPUID_ISOLATION	0x4000000Cu
#define	HV_CPUID_RANGE_END	0x400000FFu

#define	HV_FEAT_EAX_RUNTIME	(1u << 0)
#define	HV_FEAT_EAX_REFCOUNT	(1u << 1)
#define	HV_FEAT_EAX_SYNIC	(1u << 2)
#define	HV_FEAT_EAX_STIMER	(1u << 3)
#define	HV_FEAT_EAX_APIC	(1u << 4)
#define	HV_FEAT_EAX_HYPERCALL	(1u << 5)
#define	HV_FEAT_EAX_VPINDEX	(1u << 6)
#define	HV_FEAT_EAX_RESET	(1u << 7)
#define	HV_FEAT_EAX_REFTSC	(1u << 9)
#define	HV_FEAT_EAX_FREQUENCY	(1u << 11)
#define	HV_FEAT_EAX_INVARIANT	(1u << 15)
#define	HV_FEAT_EBX_POST	(1u << 4)
#define	HV_FEAT_EBX_SIGNAL	(1u << 5)
#define	HV_FEAT_EBX_ISOLATION	(1u << 22)
#define	HV_FEAT_EDX_XMM_INPUT	(1u << 4)
#define	HV_FEAT_EDX_FREQUENCY	(1u << 8)
#define	HV_FEAT_EDX_CRASH	(1u << 10)
#define	HV_FEAT_EDX_POLLING	(1u << 17)
#define	HV_FEAT_EDX_STIMER_DIRECT (1u << 19)
#define	HV_REC_REMOTE_FLUSH	(1u << 2)
#define	HV_REC_APIC_MSRS	(1u << 3)
#define	HV_REC_RELAXED_TIMING	(1u << 5)
#define	HV_REC_NO_AUTOEOI	(1u << 9)
#define	HV_REC_CLUSTER_IPI	(1u << 10)
#define	HV_REC_EX_MASKS		(1u << 11)
#define	HV_REC_SPIN_NEVER	UINT32_MAX	/* EBX */
#define	HV_HARDWARE_NESTING(n)	(((uint32_t)(n) & 15) << 10)
#define	HV_ISOLATION_PARAVISOR	(1u << 0)	/* EAX */
#define	HV_ISOLATION_TYPE(t)	((uint32_t)(t) & 15)	/* EBX */
#define	HV_ISOLATION_SHARED	(1u << 5)
#define	HV_ISOLATION_BITS(n)	(((uint32_t)(n) & 63) << 6)

/* MSRs (protocol: hypervisor, 2). */
#define	HV_MSR_FIRST		0x40000000u
#define	HV_MSR_OS_ID		0x40000000u
#define	HV_MSR_HYPERCALL	0x40000001u
#define	HV_MSR_VP_INDEX		0x40000002u
#define	HV_MSR_RESET		0x40000003u
#define	HV_MSR_REF_COUNT	0x40000020u
#define	HV_MSR_REF_TSC		0x40000021u
#define	HV_MSR_TSC_FREQ		0x40000022u
#define	HV_MSR_APIC_FREQ	0x40000023u
#define	HV_MSR_EOI		0x40000070u
#define	HV_MSR_ICR		0x40000071u
#define	HV_MSR_TPR		0x40000072u
#define	HV_MSR_VP_ASSIST	0x40000073u
#define	HV_MSR_SCONTROL		0x40000080u
#define	HV_MSR_SVERSION		0x40000081u
#define	HV_MSR_SIEFP		0x40000082u
#define	HV_MSR_SIMP		0x40000083u
#define	HV_MSR_EOM		0x40000084u
#define	HV_MSR_SIRBP		0x40000085u
#define	HV_MSR_SINT0		0x40000090u
#define	HV_MSR_SINT15		0x4000009Fu
#define	HV_MSR_STIMER0_CONFIG	0x400000B0u
#define	HV_MSR_STIMER3_COUNT	0x400000B7u
#define	HV_MSR_CRASH_P0		0x40000100u
#define	HV_MSR_CRASH_P4		0x40000104u
#define	HV_MSR_CRASH_CTL	0x40000105u
#define	HV_MSR_LAST		0x400010FFu

/* A LAPIC timer whose bus cycle is 1 ns, KVM's default. */
#define	HV_APIC_HZ		1000000000ull

#define	HV_PAGE_MSR_ENABLE	1ull
#define	HV_PAGE_MSR_RESERVED	0xFFEull
#define	HV_PAGE_MSR_GPA(v)	((v) & ~0xFFFull)
#define	HV_CRASH_NOTIFY		(1ull << 63)
#define	HV_CRASH_MESSAGE	(1ull << 62)
#define	HV_CRASH_NO_DUMP	(1ull << 61)

/* ICR, in the form of the xAPIC's two halves (protocol: hypervisor, 2.7). */
#define	HV_ICR_VECTOR(v)	((uint8_t)(v))
#define	HV_ICR_MODE(v)		((unsigned)((v) >> 8) & 7)
#define	HV_ICR_MODE_FIXED	0u
#define	HV_ICR_MODE_LOWEST	1u
#define	HV_ICR_LOGICAL		(1ull << 11)
#define	HV_ICR_SHORTHAND(v)	((unsigned)((v) >> 18) & 3)
#define	HV_ICR_NO_SHORTHAND	0u
#define	HV_ICR_SELF		1u
#define	HV_ICR_ALL		2u
#define	HV_ICR_OTHERS		3u
#define	HV_ICR_DEST(v)		((uint8_t)((v) >> 56))

/* SynIC (protocol: hypervisor, 3). */
#define	HV_SINTS		16
#define	HV_SCONTROL_ENABLE	1ull
#define	HV_SINT_VECTOR(v)	((uint8_t)(v))
#define	HV_SINT_MASKED		(1ull << 16)
#define	HV_SINT_AUTOEOI		(1ull << 17)
#define	HV_SINT_POLLING		(1ull << 18)
#define	HV_SINT_RESET		HV_SINT_MASKED
#define	HV_VECTOR_MIN		16
#define	HV_EVENT_FLAGS		2048

#define	HV_MSG_PAYLOAD		240
#define	HV_MSG_FLAG_PENDING	1
#define	HV_MSGTYPE_NONE		0u
#define	HV_MSGTYPE_CHANNEL	1u
#define	HV_MSGTYPE_HYPERVISOR	0x80000000u
#define	HV_MSGTYPE_TIMER	0x80000010u

/* A slot of the message page: written by the host but for type <- 0. */
struct hv_message {
	uint32_t	hm_type;	/* last by the host; 0 by the guest */
	uint8_t		hm_size;
	uint8_t		hm_flags;
	uint16_t	hm_rsvd;
	uint64_t	hm_sender;
	uint8_t		hm_payload[HV_MSG_PAYLOAD];
};
_Static_assert(sizeof(struct hv_message) == 256, "message slot");
_Static_assert(offsetof(struct hv_message, hm_payload) == 16, "payload");

/* Set by the host with atomic or, taken by the guest with exchange. */
struct hv_event_flags {
	uint32_t	he_word[HV_EVENT_FLAGS / 32];
};
_Static_assert(sizeof(struct hv_event_flags) == 256, "event flags");

/* Synthetic timers (protocol: hypervisor, 4). */
#define	HV_STIMERS		4
#define	HV_STIMER_ENABLE	(1ull << 0)
#define	HV_STIMER_PERIODIC	(1ull << 1)
#define	HV_STIMER_LAZY		(1ull << 2)
#define	HV_STIMER_AUTOENABLE	(1ull << 3)
#define	HV_STIMER_VECTOR(v)	((uint8_t)((v) >> 4))
#define	HV_STIMER_DIRECT	(1ull << 12)
#define	HV_STIMER_SINT(v)	((unsigned)((v) >> 16) & 15)
#define	HV_STIMER_RESERVED	(~0xFFFFFull | 0xE000ull)

struct hv_timer_payload {
	uint32_t	ht_index;
	uint32_t	ht_rsvd;
	uint64_t	ht_expiration;
	uint64_t	ht_delivery;
};
_Static_assert(sizeof(struct hv_timer_payload) == 24, "timer payload");

/* Reference TSC page: written by the host (protocol: hypervisor, 2.5). */
struct hv_tsc_page {
	uint32_t	ts_sequence;
	uint32_t	ts_rsvd;
	uint64_t	ts_scale;
	int64_t		ts_offset;
};
_Static_assert(sizeof(struct hv_tsc_page) == 24, "TSC page");

/* Hypercalls (protocol: hypervisor, 5). */
#define	HV_CALL_CODE(c)		((uint16_t)(c))
#define	HV_CALL_FAST		(1ull << 16)
#define	HV_CALL_VARHEAD		(0x3FFull << 17)
#define	HV_CALL_VARWORDS(c)	((unsigned)((c) >> 17) & 0x3FF)
#define	HV_CALL_RESERVED	((0xFull << 27) | (1ull << 31) | \
				    (0xFull << 44) | (0xFull << 60))
#define	HV_CALL_REPS		((0xFFFull << 32) | (0xFFFull << 48))
#define	HV_CALL_REP_COUNT(c)	((unsigned)((c) >> 32) & 0xFFF)
#define	HV_CALL_REP_START(c)	((unsigned)((c) >> 48) & 0xFFF)
#define	HV_CALL_FAST_BYTES	16	/* without XMM registers */

#define	HV_RESULT_REPS(n)	((uint64_t)(n) << 32)

#define	HV_CALL_FLUSH_SPACE	0x0002
#define	HV_CALL_FLUSH_LIST	0x0003
#define	HV_CALL_LONG_SPIN	0x0008
#define	HV_CALL_IPI		0x000B
#define	HV_CALL_FLUSH_SPACE_EX	0x0013
#define	HV_CALL_FLUSH_LIST_EX	0x0014
#define	HV_CALL_IPI_EX		0x0015
#define	HV_CALL_POST_MESSAGE	0x005C
#define	HV_CALL_SIGNAL_EVENT	0x005D

#define	HV_STATUS_SUCCESS		0x00
#define	HV_STATUS_INVALID_CODE		0x02
#define	HV_STATUS_INVALID_INPUT		0x03
#define	HV_STATUS_INVALID_ALIGNMENT	0x04
#define	HV_STATUS_INVALID_PARAMETER	0x05
#define	HV_STATUS_ACCESS_DENIED		0x06
#define	HV_STATUS_INVALID_CONNECTION	0x12
#define	HV_STATUS_NO_BUFFERS		0x13

#define	HV_CONNECTION_MASK	0x00FFFFFFu

struct hv_post_input {
	uint32_t	hp_connection;
	uint32_t	hp_rsvd;
	uint32_t	hp_type;
	uint32_t	hp_size;
	uint8_t		hp_payload[HV_MSG_PAYLOAD];
};
_Static_assert(sizeof(struct hv_post_input) == 256, "post message");

struct hv_signal_input {
	uint32_t	hs_connection;
	uint16_t	hs_flag;
	uint16_t	hs_rsvd;
};
_Static_assert(sizeof(struct hv_signal_input) == 8, "signal event");

struct hv_spin_input {
	uint32_t	hn_spins;
	uint32_t	hn_rsvd;
};
_Static_assert(sizeof(struct hv_spin_input) == 8, "long spin");

/* A set of VPs; banks of 64 follow, those of hv_banks' bits, in order. */
struct hv_vpset {
	uint64_t	hv_format;
	uint64_t	hv_banks;
};
_Static_assert(sizeof(struct hv_vpset) == 16, "VP set");

#define	HV_VPSET_SPARSE		0
#define	HV_VPSET_ALL		1

#define	HV_FLUSH_ALL_VPS	(1ull << 0)
#define	HV_FLUSH_ALL_SPACES	(1ull << 1)
#define	HV_FLUSH_NON_GLOBAL	(1ull << 2)

struct hv_flush_input {
	uint64_t	hf_space;
	uint64_t	hf_flags;
	uint64_t	hf_vps;
};
_Static_assert(sizeof(struct hv_flush_input) == 24, "flush");

struct hv_flush_ex_input {
	uint64_t	hf_space;
	uint64_t	hf_flags;
	struct hv_vpset	hf_set;
};
_Static_assert(sizeof(struct hv_flush_ex_input) == 32, "flush Ex");

struct hv_ipi_input {
	uint32_t	hi_vector;
	uint8_t		hi_vtl;
	uint8_t		hi_flags;
	uint16_t	hi_rsvd;
	uint64_t	hi_vps;
};
_Static_assert(sizeof(struct hv_ipi_input) == 16, "IPI");

struct hv_ipi_ex_input {
	uint32_t	hi_vector;
	uint8_t		hi_vtl;
	uint8_t		hi_flags;
	uint16_t	hi_rsvd;
	struct hv_vpset	hi_set;
};
_Static_assert(sizeof(struct hv_ipi_ex_input) == 24, "IPI Ex");

#endif	/* !HV_REG_H */
