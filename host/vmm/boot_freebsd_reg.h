/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What FreeBSD's loader hands to an amd64 kernel.
 *
 * A list of records, each {uint32_t type, uint32_t size, data} and padded to
 * 8 bytes, ended by one with type and size 0.  The records of one file follow
 * each other, and its name is the first of them; the kernel comes first.
 */

#ifndef VMM_BOOT_FREEBSD_REG_H
#define	VMM_BOOT_FREEBSD_REG_H

#include <stddef.h>
#include <stdint.h>

/* The note that a FreeBSD file has where its OS ABI does not say so. */
#define	FB_NOTE_NAME		"FreeBSD"
#define	FB_NOTE_ABI_TAG		1

#define	FB_KERNBASE		0xffffffff80000000ull

/* Record types. */
#define	FB_MODINFO_END		0x0000
#define	FB_MODINFO_NAME		0x0001	/* string */
#define	FB_MODINFO_TYPE		0x0002	/* string */
#define	FB_MODINFO_ADDR		0x0003	/* uint64_t, physical */
#define	FB_MODINFO_SIZE		0x0004	/* uint64_t */
#define	FB_MODINFO_MD		0x8000	/* with one of these: */
#define	FB_MD_ELFHDR		0x0002	/* the ELF header, as in the file */
#define	FB_MD_SSYM		0x0003	/* uint64_t, physical */
#define	FB_MD_ESYM		0x0004	/* uint64_t, physical */
#define	FB_MD_ENVP		0x0006	/* uint64_t, physical */
#define	FB_MD_HOWTO		0x0007	/* int: FB_RB_* */
#define	FB_MD_KERNEND		0x0008	/* uint64_t, physical */
#define	FB_MD_SHDR		0x0009	/* section headers, sh_addr set */
#define	FB_MD_SMAP		0x1001	/* struct fb_smap[] */
#define	FB_MD_MODULEP		0x1006	/* uint64_t, physical */

#define	FB_MODINFO_ALIGN	8

#define	FB_TYPE_KERNEL		"elf kernel"
#define	FB_TYPE_MODULE		"elf obj module"
#define	FB_TYPE_MD		"md_image"

/* Flags of the boot. */
#define	FB_RB_ASKNAME		0x00000001u
#define	FB_RB_SINGLE		0x00000002u
#define	FB_RB_DFLTROOT		0x00000020u
#define	FB_RB_KDB		0x00000040u
#define	FB_RB_VERBOSE		0x00000800u
#define	FB_RB_SERIAL		0x00001000u
#define	FB_RB_CDROM		0x00002000u
#define	FB_RB_GDB		0x00008000u
#define	FB_RB_MUTE		0x00010000u
#define	FB_RB_PAUSE		0x00100000u
#define	FB_RB_MUTEMSGS		0x00800000u
#define	FB_RB_MULTIPLE		0x20000000u

/* The memory map, as the BIOS call gives it. */
struct fb_smap {
	uint64_t	base;
	uint64_t	length;
	uint32_t	type;
} __attribute__((packed));
_Static_assert(sizeof(struct fb_smap) == 20, "fb_smap");
_Static_assert(offsetof(struct fb_smap, type) == 16, "fb_smap.type");

/* What the stack pointer points to at the entry. */
struct fb_entry_stack {
	uint32_t	ret;		/* nobody returns */
	uint32_t	modulep;	/* physical */
	uint32_t	kernend;	/* physical; RAM is free from here on */
	uint32_t	pad;
};
_Static_assert(sizeof(struct fb_entry_stack) == 16, "fb_entry_stack");
_Static_assert(offsetof(struct fb_entry_stack, modulep) == 4,
    "fb_entry_stack.modulep");

/* A variable of the kernel environment: the longest name and value. */
#define	FB_KENV_NAME_MAX	128
#define	FB_KENV_VALUE_MAX	128

#endif	/* !VMM_BOOT_FREEBSD_REG_H */
