/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Booting, what all kinds of kernels share: reading files, pieces of memory
 * to be written at each start, page tables, GDT, the memory map.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/vmm.h"

#define	KERNEL_MAX	(256ull << 20)

#define	PT_PRESENT_RW	0x3ull
#define	PT_LARGE	0x80ull

/*
 * A stopped disk or network holds no one up for ever: only regular files.
 * The size is known before, so that a file that grows is read up to it.
 */
int
vmm_boot_read(const char *path, uint64_t max, void **datap, size_t *lenp,
    char *err, size_t errlen)
{
	struct stat sb;
	uint8_t *data = NULL;
	size_t at = 0, len;
	ssize_t n;
	int error = 0, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &sb) != 0) {
		error = errno;
		snprintf(err, errlen, "%s: %s", path, strerror(error));
		goto out;
	}
	if (!S_ISREG(sb.st_mode) || sb.st_size == 0 ||
	    (uint64_t)sb.st_size > max) {
		error = EINVAL;
		snprintf(err, errlen, "%s: %s", path, !S_ISREG(sb.st_mode) ?
		    "not a regular file" : sb.st_size == 0 ? "is empty" :
		    "is too large");
		goto out;
	}
	len = (size_t)sb.st_size;
	data = malloc(len);
	if (data == NULL) {
		error = ENOMEM;
		snprintf(err, errlen, "%s: no memory for %zu bytes", path, len);
		goto out;
	}
	while (at < len) {
		n = read(fd, data + at, len - at);
		if (n <= 0) {
			error = n < 0 ? errno : EINVAL;
			snprintf(err, errlen, "%s: %s", path, n < 0 ?
			    strerror(error) : "got shorter while it was read");
			goto out;
		}
		at += (size_t)n;
	}
	*datap = data;
	*lenp = len;
	data = NULL;
out:
	free(data);
	if (fd >= 0)
		close(fd);
	return (error);
}

int
vmm_boot_add(struct vmm_boot *b, uint64_t gpa, void *data, size_t len)
{

	if (data == NULL)
		return (ENOMEM);
	if (b->npieces == VMM_PIECES_MAX || vmm_ptr(b->m, gpa, len) == NULL) {
		free(data);
		return (b->npieces == VMM_PIECES_MAX ? ENOSPC : EFAULT);
	}
	b->piece[b->npieces++] = (struct vmm_boot_piece){ gpa, data, len };
	return (0);
}

int
vmm_boot_identity(struct vmm_boot *b, uint64_t gpa)
{
	uint64_t *pt = calloc(VMM_BOOT_PT_SIZE, 1);
	uint64_t *pdp, *pd;

	if (pt == NULL)
		return (ENOMEM);
	pdp = pt + 512;
	pd = pdp + 512;
	pt[0] = (gpa + VMM_PAGE) | PT_PRESENT_RW;
	for (unsigned i = 0; i < 4; i++)
		pdp[i] = (gpa + (2 + i) * VMM_PAGE) | PT_PRESENT_RW;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = i << 21 | PT_LARGE | PT_PRESENT_RW;
	return (vmm_boot_add(b, gpa, pt, VMM_BOOT_PT_SIZE));
}

int
vmm_boot_gdt(struct vmm_boot *b, uint64_t gpa)
{
	static const uint64_t gdt[] = {
		0, 0,
		0x00AF9B000000FFFF,	/* 0x10: 64-bit code */
		0x00CF93000000FFFF,	/* 0x18: data */
		0x00CF9B000000FFFF,	/* 0x20: 32-bit code, flat */
	};
	void *data = malloc(sizeof(gdt));

	if (data == NULL)
		return (ENOMEM);
	memcpy(data, gdt, sizeof(gdt));
	b->regs.gdt = gpa;
	return (vmm_boot_add(b, gpa, data, sizeof(gdt)));
}

unsigned
vmm_boot_e820(const struct vmm *m, struct vmm_e820 map[VMM_E820_MAX])
{
	unsigned n = 0;

	map[n++] = (struct vmm_e820){ 0, VMM_EBDA, 1 };
	map[n++] = (struct vmm_e820){ VMM_EBDA, 0xA0000 - VMM_EBDA, 2 };
	map[n++] = (struct vmm_e820){ VMM_ACPI_BASE,
	    VMM_ACPI_TOP - VMM_ACPI_BASE, 2 };
	map[n++] = (struct vmm_e820){ VMM_ACPI_TOP,
	    vmm_low_mem(m) - VMM_ACPI_TOP, 1 };
	if (vmm_high_mem(m) > 0)
		map[n++] = (struct vmm_e820){ VMM_HIGH_BASE, vmm_high_mem(m),
		    1 };
	return (n);
}

/* FreeBSD's kernels carry a note for PVH too, so FreeBSD is asked first. */
static int
load(struct vmm_boot *b, const struct vmm_boot_params *bp, const void *kernel,
    size_t len, char *err, size_t errlen)
{
	static int (*const kinds[])(struct vmm_boot *,
	    const struct vmm_boot_params *, const void *, size_t, char *,
	    size_t) = { vmm_boot_linux, vmm_boot_freebsd, vmm_boot_pvh };
	int error;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		err[0] = '\0';
		error = kinds[i](b, bp, kernel, len, err, errlen);
		if (error != ENOEXEC || err[0] != '\0')
			return (error);
	}
	snprintf(err, errlen, "%s: neither a Linux bzImage, nor a FreeBSD "
	    "kernel for amd64, nor an ELF kernel with a PVH entry",
	    bp->kernel);
	return (ENOEXEC);
}

int
vmm_boot_load(struct vmm *m, const struct vmm_boot_params *bp,
    struct vmm_boot **bootp, char *err, size_t errlen)
{
	struct vmm_boot *b;
	void *kernel = NULL;
	size_t len = 0;
	int error;

	error = vmm_boot_read(bp->kernel, KERNEL_MAX, &kernel, &len, err,
	    errlen);
	if (error != 0)
		return (error);
	b = calloc(1, sizeof(*b));
	if (b == NULL) {
		free(kernel);
		snprintf(err, errlen, "no memory");
		return (ENOMEM);
	}
	b->m = m;
	error = load(b, bp, kernel, len, err, errlen);
	free(kernel);
	if (error != 0) {
		if (err[0] == '\0')
			snprintf(err, errlen, "%s: %s", bp->kernel,
			    strerror(error));
		vmm_boot_free(b);
		return (error);
	}
	*bootp = b;
	return (0);
}

int
vmm_boot_start(struct vmm_boot *b, struct vmm_boot_regs *regs)
{

	for (unsigned i = 0; i < b->npieces; i++) {
		const struct vmm_boot_piece *p = &b->piece[i];
		void *to = vmm_ptr(b->m, p->gpa, p->len);

		if (to == NULL)
			return (EFAULT);
		memcpy(to, p->data, p->len);
	}
	*regs = b->regs;
	return (0);
}

const char *
vmm_boot_name(const struct vmm_boot *b)
{

	return (b->name);
}

void
vmm_boot_free(struct vmm_boot *b)
{

	for (unsigned i = 0; i < b->npieces; i++)
		free(b->piece[i].data);
	free(b);
}
