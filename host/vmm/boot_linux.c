/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Linux bzImages, by the 64-bit boot protocol: the kernel starts in long mode
 * with a zero page, its command line and an initial RAM disk.  Long mode from
 * the start also spares guests a trait of nested rigs (protocol: freebsd-boot,
 * 3).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux_reg.h"
#include "vmm/vmm.h"

/* Below 640 KiB; the kernel copies what it wants to keep. */
#define	AT_ZERO_PAGE	0x7000u
#define	AT_GDT		0x8000u
#define	AT_TABLES	0x9000u
#define	AT_CMDLINE	0x20000u

#define	INITRD_MAX	(4ull << 30)
#define	CMDLINE_MAX	0x10000u

struct image {
	const char	*path;
	const uint8_t	*data;
	size_t		 len;
	struct lx_header hdr;
	size_t		 setup;		/* bytes before the kernel proper */
};

static int
parse(struct image *im, char *err, size_t errlen)
{
	uint16_t sects;

	if (im->len < LX_HEADER + sizeof(im->hdr))
		return (ENOEXEC);
	memcpy(&im->hdr, im->data + LX_HEADER, sizeof(im->hdr));
	if (im->hdr.boot_flag != LX_BOOT_FLAG || im->hdr.header != LX_MAGIC)
		return (ENOEXEC);
	if (im->hdr.version < LX_VERSION_64 ||
	    (im->hdr.xloadflags & LX_KERNEL_64) == 0 ||
	    (im->hdr.loadflags & LX_LOADED_HIGH) == 0) {
		snprintf(err, errlen, "%s: a Linux kernel without a 64-bit "
		    "entry (x86-64, Linux 3.8 or newer, is needed)", im->path);
		return (ENOEXEC);
	}
	sects = im->hdr.setup_sects == 0 ? 4 : im->hdr.setup_sects;
	im->setup = (sects + 1u) * LX_SECTOR;
	if (im->setup >= im->len ||
	    im->len - im->setup < (uint64_t)im->hdr.syssize * 16) {
		snprintf(err, errlen, "%s: the Linux kernel is truncated: "
		    "%zu bytes of %ju", im->path, im->len,
		    (uintmax_t)im->setup + (uint64_t)im->hdr.syssize * 16);
		return (ENOEXEC);
	}
	return (0);
}

static void
set_name(struct vmm_boot *b, const struct image *im)
{
	size_t at = im->hdr.kernel_version + 0x200u, n;
	char text[sizeof(b->name)];

	text[0] = '\0';
	if (im->hdr.kernel_version != 0 && at < im->setup && at < im->len) {
		n = im->len - at < sizeof(text) - 1 ? im->len - at :
		    sizeof(text) - 1;
		memcpy(text, im->data + at, n);
		text[n] = '\0';
		text[strcspn(text, " ")] = '\0';
	}
	snprintf(b->name, sizeof(b->name), "Linux %.50s", text);
}

static int
add_kernel(struct vmm_boot *b, const struct image *im, char *err,
    size_t errlen)
{
	size_t len = im->len - im->setup;
	uint64_t at = im->hdr.pref_address;
	uint64_t need = im->hdr.init_size > len ? im->hdr.init_size : len;
	void *copy;

	if (at < VMM_ACPI_TOP || vmm_ptr(b->m, at, need) == NULL) {
		snprintf(err, errlen, "%s: needs %ju MiB of memory from %#jx "
		    "on, the guest has %ju MiB", im->path,
		    (uintmax_t)(need >> 20), (uintmax_t)at,
		    (uintmax_t)(vmm_low_mem(b->m) >> 20));
		return (ENOMEM);
	}
	copy = malloc(len);
	if (copy != NULL)
		memcpy(copy, im->data + im->setup, len);
	b->regs.rip = at + LX_ENTRY_64;
	return (vmm_boot_add(b, at, copy, len));
}

static int
add_initrd(struct vmm_boot *b, const struct image *im, const char *path,
    struct lx_header *hdr, char *err, size_t errlen)
{
	uint64_t at, kernel_end, top;
	void *data;
	size_t len;
	int error;

	error = vmm_boot_read(path, INITRD_MAX, &data, &len, err, errlen);
	if (error != 0)
		return (error);
	/* As high as may be, out of the unpacking kernel's way. */
	top = vmm_low_mem(b->m);
	if (top > im->hdr.initrd_addr_max)
		top = (uint64_t)im->hdr.initrd_addr_max + 1;
	kernel_end = im->hdr.pref_address + im->hdr.init_size;
	if (len >= top || (at = (top - len) & ~(uint64_t)(VMM_PAGE - 1)) <
	    kernel_end) {
		free(data);
		snprintf(err, errlen, "%s: %zu MiB do not fit into the "
		    "guest's memory beside the kernel", path, len >> 20);
		return (ENOMEM);
	}
	hdr->ramdisk_image = (uint32_t)at;
	hdr->ramdisk_size = (uint32_t)len;
	return (vmm_boot_add(b, at, data, len));
}

static int
add_cmdline(struct vmm_boot *b, const struct image *im, const char *cmdline,
    char *err, size_t errlen)
{
	size_t len = strlen(cmdline);

	if (len > im->hdr.cmdline_size || len >= CMDLINE_MAX) {
		snprintf(err, errlen, "%s: takes a command line of %u bytes, "
		    "not %zu", im->path, im->hdr.cmdline_size, len);
		return (EINVAL);
	}
	return (vmm_boot_add(b, AT_CMDLINE, strdup(cmdline), len + 1));
}

static int
add_zero_page(struct vmm_boot *b, const struct lx_header *hdr)
{
	struct vmm_e820 map[VMM_E820_MAX];
	struct lx_zero_page *z;

	z = calloc(1, sizeof(*z));
	if (z == NULL)
		return (ENOMEM);
	z->hdr = *hdr;
	z->acpi_rsdp = vmm_acpi_rsdp(b->m);
	z->e820_entries = (uint8_t)vmm_boot_e820(b->m, map);
	for (unsigned i = 0; i < z->e820_entries; i++)
		z->e820[i] = (struct lx_e820){ map[i].base, map[i].len,
		    map[i].type };
	return (vmm_boot_add(b, AT_ZERO_PAGE, z, sizeof(*z)));
}

int
vmm_boot_linux(struct vmm_boot *b, const struct vmm_boot_params *bp,
    const void *kernel, size_t len, char *err, size_t errlen)
{
	struct image im = { .path = bp->kernel, .data = kernel, .len = len };
	struct lx_header hdr;
	int error;

	error = parse(&im, err, errlen);
	if (error != 0)
		return (error);
	if (bp->nmodules > 0 || bp->mdroot != NULL || bp->nkenv > 0) {
		snprintf(err, errlen, "%s is a Linux kernel: --module, "
		    "--mdroot and --kenv are for FreeBSD's", bp->kernel);
		return (EINVAL);
	}
	set_name(b, &im);
	hdr = im.hdr;
	hdr.type_of_loader = LX_LOADER_OTHER;
	hdr.cmd_line_ptr = AT_CMDLINE;
	hdr.ramdisk_image = hdr.ramdisk_size = 0;
	error = add_kernel(b, &im, err, errlen);
	if (error == 0 && bp->initrd != NULL)
		error = add_initrd(b, &im, bp->initrd, &hdr, err, errlen);
	if (error == 0)
		error = add_cmdline(b, &im, bp->cmdline != NULL ? bp->cmdline :
		    "", err, errlen);
	if (error == 0)
		error = add_zero_page(b, &hdr);
	if (error == 0)
		error = vmm_boot_gdt(b, AT_GDT);
	if (error == 0)
		error = vmm_boot_identity(b, AT_TABLES);
	b->regs.cr3 = AT_TABLES;
	b->regs.rsi = AT_ZERO_PAGE;
	b->regs.rsp = AT_ZERO_PAGE;
	return (error);
}
