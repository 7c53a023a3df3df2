/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Linux's x86 boot protocol, as far as a 64-bit start needs it.  Source: the
 * kernel's documentation, "The Linux/x86 Boot Protocol" and "zero page".
 */

#ifndef VMM_LINUX_REG_H
#define	VMM_LINUX_REG_H

#include <stddef.h>
#include <stdint.h>

#define	LX_BOOT_FLAG		0xAA55
#define	LX_MAGIC		0x53726448u	/* "HdrS" */
#define	LX_VERSION_64		0x020C		/* xloadflags are there */
#define	LX_LOADED_HIGH		0x01		/* loadflags */
#define	LX_KERNEL_64		0x0001		/* xloadflags */
#define	LX_LOADER_OTHER		0xFF
#define	LX_SECTOR		512u
#define	LX_ENTRY_64		0x200u		/* from the load address */
#define	LX_HEADER		0x1F1u		/* in file and zero page */

/* The set-up header, at 0x1F1 of the file and of the zero page. */
struct lx_header {
	uint8_t		setup_sects;
	uint16_t	root_flags;
	uint32_t	syssize;	/* of what follows the set-up, 16 B */
	uint16_t	ram_size;
	uint16_t	vid_mode;
	uint16_t	root_dev;
	uint16_t	boot_flag;
	uint16_t	jump;
	uint32_t	header;
	uint16_t	version;
	uint32_t	realmode_swtch;
	uint16_t	start_sys_seg;
	uint16_t	kernel_version;	/* text, from 0x200 */
	uint8_t		type_of_loader;
	uint8_t		loadflags;
	uint16_t	setup_move_size;
	uint32_t	code32_start;
	uint32_t	ramdisk_image;
	uint32_t	ramdisk_size;
	uint32_t	bootsect_kludge;
	uint16_t	heap_end_ptr;
	uint8_t		ext_loader_ver;
	uint8_t		ext_loader_type;
	uint32_t	cmd_line_ptr;
	uint32_t	initrd_addr_max;
	uint32_t	kernel_alignment;
	uint8_t		relocatable_kernel;
	uint8_t		min_alignment;
	uint16_t	xloadflags;
	uint32_t	cmdline_size;
	uint32_t	hardware_subarch;
	uint64_t	hardware_subarch_data;
	uint32_t	payload_offset;
	uint32_t	payload_length;
	uint64_t	setup_data;
	uint64_t	pref_address;
	uint32_t	init_size;
	uint32_t	handover_offset;
} __attribute__((packed));
_Static_assert(sizeof(struct lx_header) == 0x268 - LX_HEADER, "set-up header");
_Static_assert(offsetof(struct lx_header, header) == 0x202 - LX_HEADER,
    "magic");
_Static_assert(offsetof(struct lx_header, pref_address) == 0x258 - LX_HEADER,
    "preferred address");

struct lx_e820 {
	uint64_t	base;
	uint64_t	len;
	uint32_t	type;
} __attribute__((packed));
_Static_assert(sizeof(struct lx_e820) == 20, "e820 entry");

#define	LX_E820_MAX	128

struct lx_zero_page {
	uint8_t		rsvd0[0x70];
	uint64_t	acpi_rsdp;
	uint8_t		rsvd1[0x1E8 - 0x78];
	uint8_t		e820_entries;
	uint8_t		rsvd2[LX_HEADER - 0x1E9];
	struct lx_header hdr;
	uint8_t		rsvd3[0x2D0 - 0x268];
	struct lx_e820	e820[LX_E820_MAX];
	uint8_t		rsvd4[0x1000 - 0xCD0];
} __attribute__((packed));
_Static_assert(sizeof(struct lx_zero_page) == 4096, "zero page");
_Static_assert(offsetof(struct lx_zero_page, hdr) == LX_HEADER, "header");
_Static_assert(offsetof(struct lx_zero_page, e820) == 0x2D0, "e820 map");

#endif	/* !VMM_LINUX_REG_H */
