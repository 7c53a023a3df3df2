/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Kernels with a PVH entry: an uncompressed Linux, and whatever else carries
 * Xen's note.  They start in 32-bit protected mode without paging; all they
 * are told stands in the start info.
 *
 * Low memory: the GDT, a stack (the protocol promises none, but costs
 * nothing), then start info, module list, memory map and command line, one
 * page each.  The initial RAM disk goes to the top of memory below 3 GiB.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/boot_elf.h"
#include "vmm/boot_pvh_reg.h"

#define	PVH_GDT		0x1000u
#define	PVH_STACK_TOP	0x3000u
#define	PVH_START_INFO	0x3000u
#define	PVH_MODLIST	0x4000u
#define	PVH_MEMMAP	0x5000u
#define	PVH_CMDLINE	0x6000u
#define	PVH_CMDLINE_MAX	VMM_PAGE

static int
check_options(const struct vmm_boot_params *bp, char *err, size_t errlen)
{

	if (bp->nmodules != 0)
		return (boot_err(err, errlen, EINVAL, "--module %s: only "
		    "FreeBSD kernels take modules, and %s is none",
		    bp->modules[0], bp->kernel));
	if (bp->mdroot != NULL)
		return (boot_err(err, errlen, EINVAL, "--mdroot %s: only "
		    "FreeBSD kernels take a memory disk, and %s is none",
		    bp->mdroot, bp->kernel));
	if (bp->nkenv != 0)
		return (boot_err(err, errlen, EINVAL, "--kenv %s: only "
		    "FreeBSD kernels have a kernel environment, and %s is none",
		    bp->kenv[0], bp->kernel));
	if (bp->cmdline != NULL && strlen(bp->cmdline) >= PVH_CMDLINE_MAX)
		return (boot_err(err, errlen, EINVAL, "the command line has "
		    "%zu characters, the most is %u", strlen(bp->cmdline),
		    PVH_CMDLINE_MAX - 1));
	return (0);
}

/* The address the note names has to be the kernel's own. */
static int
check_entry(const struct boot_elf *e, const struct boot_image *im,
    const void *desc, size_t desclen, uint64_t *entry)
{
	const struct boot_seg *s;

	if (desclen != 4 && desclen != 8)
		return (boot_elf_err(e, EINVAL,
		    "has a PVH note of %zu bytes, not 4 or 8", desclen));
	*entry = 0;
	memcpy(entry, desc, desclen);
	for (s = im->seg; s < im->seg + im->nseg; s++)
		if (*entry >= s->gpa && *entry - s->gpa < s->ph.filesz)
			return (0);
	return (boot_elf_err(e, EINVAL,
	    "has its PVH entry at %#jx, where none of it is loaded",
	    (uintmax_t)*entry));
}

static int
add_initrd(struct vmm_boot *b, const char *path, uint64_t kernel_end,
    struct pvh_start_info *si, char *err, size_t errlen)
{
	struct pvh_module mod = { 0 };
	uint64_t top = vmm_low_mem(b->m);
	void *data;
	size_t len;
	int error;

	error = vmm_boot_read(path, top, &data, &len, err, errlen);
	if (error != 0)
		return (error);
	mod.paddr = (top - len) / VMM_PAGE * VMM_PAGE;
	mod.size = len;
	if (mod.paddr < kernel_end) {
		free(data);
		return (boot_err(err, errlen, EINVAL, "--initrd %s: %zu bytes "
		    "do not fit into the guest's memory next to the kernel",
		    path, len));
	}
	error = vmm_boot_add(b, mod.paddr, data, len);
	if (error != 0)
		return (boot_err(err, errlen, error, "%s: does not fit into "
		    "the guest's memory", path));
	si->nr_modules = 1;
	si->modlist_paddr = PVH_MODLIST;
	return (boot_add_copy(b, PVH_MODLIST, &mod, sizeof(mod), err, errlen));
}

static int
add_memmap(struct vmm_boot *b, struct pvh_start_info *si, char *err,
    size_t errlen)
{
	struct vmm_e820 e820[VMM_E820_MAX];
	struct pvh_memmap map[VMM_E820_MAX];
	unsigned i, n;

	n = vmm_boot_e820(b->m, e820);
	for (i = 0; i < n; i++)
		map[i] = (struct pvh_memmap){ .addr = e820[i].base,
		    .size = e820[i].len, .type = e820[i].type };
	si->memmap_paddr = PVH_MEMMAP;
	si->memmap_entries = n;
	return (boot_add_copy(b, PVH_MEMMAP, map, n * sizeof(map[0]), err,
	    errlen));
}

static int
add_start_info(struct vmm_boot *b, const struct vmm_boot_params *bp,
    uint64_t kernel_end, char *err, size_t errlen)
{
	struct pvh_start_info si = { .magic = PVH_MAGIC,
	    .version = PVH_VERSION, .cmdline_paddr = PVH_CMDLINE,
	    .rsdp_paddr = vmm_acpi_rsdp(b->m) };
	const char *cmdline = bp->cmdline != NULL ? bp->cmdline : "";
	int error;

	error = add_memmap(b, &si, err, errlen);
	if (error == 0)
		error = boot_add_copy(b, PVH_CMDLINE, cmdline,
		    strlen(cmdline) + 1, err, errlen);
	if (error == 0 && bp->initrd != NULL)
		error = add_initrd(b, bp->initrd, kernel_end, &si, err, errlen);
	if (error == 0)
		error = boot_add_copy(b, PVH_START_INFO, &si, sizeof(si), err,
		    errlen);
	return (error);
}

int
vmm_boot_pvh(struct vmm_boot *b, const struct vmm_boot_params *bp,
    const void *kernel, size_t len, char *err, size_t errlen)
{
	struct boot_image im;
	struct boot_elf e;
	const void *desc;
	size_t desclen;
	uint64_t entry;
	int error;

	error = boot_elf_open(&e, bp->kernel, kernel, len, err, errlen);
	if (error != 0)
		return (error);
	error = boot_elf_note(&e, PVH_NOTE_NAME, PVH_NOTE_PHYS32_ENTRY, &desc,
	    &desclen);
	if (error != 0)
		return (error == ENOENT ? ENOEXEC : error);
	error = check_options(bp, err, errlen);
	if (error == 0)
		error = boot_elf_segments(&e, 0, vmm_low_mem(b->m), &im);
	if (error == 0)
		error = check_entry(&e, &im, desc, desclen, &entry);
	if (error == 0)
		error = boot_elf_place(&e, &im, b);
	if (error == 0)
		error = add_start_info(b, bp, im.end, err, errlen);
	if (error != 0)
		return (error);
	if (vmm_boot_gdt(b, PVH_GDT) != 0)
		return (boot_err(err, errlen, ENOMEM, "no memory for a GDT"));
	snprintf(b->name, sizeof(b->name), "PVH");
	b->regs = (struct vmm_boot_regs){ .rip = entry, .rsp = PVH_STACK_TOP,
	    .rbx = PVH_START_INFO, .gdt = PVH_GDT };
	return (0);
}
