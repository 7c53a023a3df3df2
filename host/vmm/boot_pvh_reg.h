/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The PVH way to start a kernel, as defined by Xen: an ELF note names the
 * 32-bit entry, ebx points to a start-info structure.
 */

#ifndef VMM_BOOT_PVH_REG_H
#define	VMM_BOOT_PVH_REG_H

#include <stddef.h>
#include <stdint.h>

#define	PVH_NOTE_NAME		"Xen"
#define	PVH_NOTE_PHYS32_ENTRY	18

#define	PVH_MAGIC		0x336ec578u
#define	PVH_VERSION		1

struct pvh_start_info {
	uint32_t	magic;
	uint32_t	version;
	uint32_t	flags;
	uint32_t	nr_modules;
	uint64_t	modlist_paddr;
	uint64_t	cmdline_paddr;
	uint64_t	rsdp_paddr;
	uint64_t	memmap_paddr;		/* version 1 and later */
	uint32_t	memmap_entries;
	uint32_t	reserved;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "pvh_start_info");
_Static_assert(offsetof(struct pvh_start_info, memmap_paddr) == 40,
    "pvh_start_info.memmap_paddr");

struct pvh_module {
	uint64_t	paddr;
	uint64_t	size;
	uint64_t	cmdline_paddr;
	uint64_t	reserved;
};
_Static_assert(sizeof(struct pvh_module) == 32, "pvh_module");

/* The types are those of e820. */
struct pvh_memmap {
	uint64_t	addr;
	uint64_t	size;
	uint32_t	type;
	uint32_t	reserved;
};
_Static_assert(sizeof(struct pvh_memmap) == 24, "pvh_memmap");
_Static_assert(offsetof(struct pvh_memmap, type) == 16, "pvh_memmap.type");

#endif	/* !VMM_BOOT_PVH_REG_H */
