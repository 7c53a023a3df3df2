/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What freebsd_flat (flat.c) puts behind the code in start.S, for it.
 */

#ifndef FLAT_REG_H
#define	FLAT_REG_H

/* Of struct flat_params. */
#define	FLAT_RIP	0
#define	FLAT_RSP	8
#define	FLAT_CR3	12
#define	FLAT_GDT	16
#define	FLAT_COPIES	24

/* Of struct flat_copy. */
#define	FLAT_TO		0
#define	FLAT_FROM	4
#define	FLAT_LEN	8
#define	FLAT_COPY_SIZE	12

/* Of the GDT that vmm_boot_gdt() makes. */
#define	FLAT_CODE64	0x10
#define	FLAT_DATA	0x18
#define	FLAT_GDT_LIMIT	0x27

/* Start.S's own stack, above what the loader places below 640 KiB. */
#define	FLAT_STACK_BASE	0x7000
#define	FLAT_STACK_TOP	0x8000

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

/* Copies are in the order in which they are made; one of no bytes ends them. */
struct flat_copy {
	uint32_t	to;
	uint32_t	from;		/* from the parameters on; 0: zeros */
	uint32_t	len;
};
_Static_assert(sizeof(struct flat_copy) == FLAT_COPY_SIZE, "flat_copy");
_Static_assert(offsetof(struct flat_copy, to) == FLAT_TO, "flat_copy.to");
_Static_assert(offsetof(struct flat_copy, from) == FLAT_FROM,
    "flat_copy.from");
_Static_assert(offsetof(struct flat_copy, len) == FLAT_LEN, "flat_copy.len");

struct flat_params {
	uint64_t	rip;
	uint32_t	rsp;
	uint32_t	cr3;
	uint32_t	gdt;
	uint32_t	pad;
	struct flat_copy copy[];
};
_Static_assert(sizeof(struct flat_params) == FLAT_COPIES, "flat_params");
_Static_assert(offsetof(struct flat_params, rip) == FLAT_RIP,
    "flat_params.rip");
_Static_assert(offsetof(struct flat_params, rsp) == FLAT_RSP,
    "flat_params.rsp");
_Static_assert(offsetof(struct flat_params, cr3) == FLAT_CR3,
    "flat_params.cr3");
_Static_assert(offsetof(struct flat_params, gdt) == FLAT_GDT,
    "flat_params.gdt");
_Static_assert(offsetof(struct flat_params, copy) == FLAT_COPIES,
    "flat_params.copy");
_Static_assert(sizeof(struct flat_params) == 24, "flat_params");
#endif

#endif	/* !FLAT_REG_H */
