/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hypercalls that concern other processors: their control words, inputs and
 * sets of processors (protocol: hypervisor, 5.2 and 5.6).  Constants and
 * layouts only, little-endian.
 */

#ifndef _DEV_HYPERV_VMBUS_HYPERV_SMP_REG_H_
#define	_DEV_HYPERV_VMBUS_HYPERV_SMP_REG_H_

#define	HYPERV_HCALL_FLUSH_SPACE	0x0002
#define	HYPERV_HCALL_FLUSH_LIST		0x0003
#define	HYPERV_HCALL_SEND_IPI		0x000b
#define	HYPERV_HCALL_FLUSH_SPACE_EX	0x0013
#define	HYPERV_HCALL_FLUSH_LIST_EX	0x0014
#define	HYPERV_HCALL_SEND_IPI_EX	0x0015

/* In the control word and, where it stands, in the result as well. */
#define	HYPERV_HCALL_VARHEAD_SHIFT	17	/* in words of 8 bytes */
#define	HYPERV_HCALL_REPS_SHIFT		32
#define	HYPERV_HCALL_REPS_MASK		0xfff

#define	HYPERV_FLUSH_ALL_CPUS		0x0000000000000001ULL
#define	HYPERV_FLUSH_ALL_SPACES		0x0000000000000002ULL
#define	HYPERV_FLUSH_NON_GLOBAL		0x0000000000000004ULL

/* An element of a list: a page, and how many more follow it. */
#define	HYPERV_FLUSH_MORE_MASK		0x0000000000000fffULL
#define	HYPERV_FLUSH_PAGES_MAX		4096

/* VPs that a set of the short form can name, and all that there can be. */
#define	HYPERV_VP_MASK_BITS		64
#define	HYPERV_VP_BANK_BITS		64
#define	HYPERV_VP_BANKS			64

#define	HYPERV_VPSET_SPARSE		0

#define	HYPERV_IPI_VECTOR_MIN		0x10
#define	HYPERV_IPI_VECTOR_MAX		0xff

/* Banks with a bit in vs_valid alone are there, in ascending order. */
struct hyperv_vpset {
	uint64_t	vs_format;
	uint64_t	vs_valid;
	uint64_t	vs_bank[HYPERV_VP_BANKS];
};
_Static_assert(sizeof(struct hyperv_vpset) == 528, "hyperv_vpset");
_Static_assert(__offsetof(struct hyperv_vpset, vs_bank) == 16,
    "hyperv_vpset.vs_bank");

/* Input of HYPERV_HCALL_FLUSH_SPACE, without the list, and _LIST. */
struct hyperv_flush_in {
	uint64_t	fl_space;
	uint64_t	fl_flags;
	uint64_t	fl_vps;
	uint64_t	fl_list[1];
};
_Static_assert(sizeof(struct hyperv_flush_in) == 32, "hyperv_flush_in");

/* The same with a set of any VPs; the list comes behind its last bank. */
struct hyperv_flush_ex_in {
	uint64_t	fx_space;
	uint64_t	fx_flags;
	struct hyperv_vpset fx_vps;
	uint64_t	fx_list[1];
};
_Static_assert(__offsetof(struct hyperv_flush_ex_in, fx_vps) == 16,
    "hyperv_flush_ex_in.fx_vps");
_Static_assert(sizeof(struct hyperv_flush_ex_in) == 552,
    "hyperv_flush_ex_in");

/* Input of HYPERV_HCALL_SEND_IPI_EX; that of the short form is registers. */
struct hyperv_ipi_ex_in {
	uint32_t	ix_vector;
	uint8_t		ix_vtl;
	uint8_t		ix_rsvd[3];
	struct hyperv_vpset ix_vps;
};
_Static_assert(sizeof(struct hyperv_ipi_ex_in) == 536, "hyperv_ipi_ex_in");

#endif	/* !_DEV_HYPERV_VMBUS_HYPERV_SMP_REG_H_ */
