/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * ELF files for the boot loaders.  Headers are copied out before use: nothing
 * in a file need be aligned.
 */

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/boot_elf.h"

void
boot_say(char *err, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
}

void
boot_elf_say(const struct boot_elf *e, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	boot_say(e->err, e->errlen, "%s: %s", e->path, what);
}

const char *
boot_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return (slash != NULL ? slash + 1 : path);
}

const void *
boot_elf_bytes(const struct boot_elf *e, uint64_t ofs, uint64_t len)
{

	if (ofs > e->len || len > e->len - ofs)
		return (NULL);
	return (e->data + ofs);
}

static int
open64(struct boot_elf *e)
{
	const void *p = boot_elf_bytes(e, 0, sizeof(Elf64_Ehdr));
	Elf64_Ehdr h;

	if (p == NULL)
		return (boot_elf_err(e, EINVAL,
		    "is truncated: its ELF header is not whole"));
	memcpy(&h, p, sizeof(h));
	e->type = h.e_type;
	e->machine = h.e_machine;
	e->entry = h.e_entry;
	e->phoff = h.e_phoff;
	e->shoff = h.e_shoff;
	e->phnum = h.e_phnum;
	e->shnum = h.e_shnum;
	e->shstrndx = h.e_shstrndx;
	if ((e->phnum != 0 && h.e_phentsize != sizeof(Elf64_Phdr)) ||
	    (e->shnum != 0 && h.e_shentsize != sizeof(Elf64_Shdr)))
		return (boot_elf_err(e, EINVAL,
		    "has ELF headers of a size unknown"));
	return (0);
}

static int
open32(struct boot_elf *e)
{
	const void *p = boot_elf_bytes(e, 0, sizeof(Elf32_Ehdr));
	Elf32_Ehdr h;

	if (p == NULL)
		return (boot_elf_err(e, EINVAL,
		    "is truncated: its ELF header is not whole"));
	memcpy(&h, p, sizeof(h));
	e->type = h.e_type;
	e->machine = h.e_machine;
	e->entry = h.e_entry;
	e->phoff = h.e_phoff;
	e->shoff = h.e_shoff;
	e->phnum = h.e_phnum;
	e->shnum = h.e_shnum;
	e->shstrndx = h.e_shstrndx;
	if ((e->phnum != 0 && h.e_phentsize != sizeof(Elf32_Phdr)) ||
	    (e->shnum != 0 && h.e_shentsize != sizeof(Elf32_Shdr)))
		return (boot_elf_err(e, EINVAL,
		    "has ELF headers of a size unknown"));
	return (0);
}

int
boot_elf_open(struct boot_elf *e, const char *path, const void *data,
    size_t len, char *err, size_t errlen)
{
	size_t phsize, shsize;
	int error;

	memset(e, 0, sizeof(*e));
	e->path = path;
	e->data = data;
	e->len = len;
	e->err = err;
	e->errlen = errlen;
	if (len < EI_NIDENT || memcmp(data, ELFMAG, SELFMAG) != 0 ||
	    e->data[EI_DATA] != ELFDATA2LSB ||
	    e->data[EI_VERSION] != EV_CURRENT)
		return (ENOEXEC);
	if (e->data[EI_CLASS] != ELFCLASS64 && e->data[EI_CLASS] != ELFCLASS32)
		return (ENOEXEC);
	e->is64 = e->data[EI_CLASS] == ELFCLASS64;
	e->osabi = e->data[EI_OSABI];
	error = e->is64 ? open64(e) : open32(e);
	if (error != 0)
		return (error);
	phsize = e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	if (e->phnum != 0 &&
	    boot_elf_bytes(e, e->phoff, e->phnum * phsize) == NULL)
		return (boot_elf_err(e, EINVAL,
		    "is truncated: its program headers are not in it"));
	shsize = e->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	if (e->shnum != 0 &&
	    boot_elf_bytes(e, e->shoff, e->shnum * shsize) == NULL)
		return (boot_elf_err(e, EINVAL,
		    "is truncated: its section headers are not in it"));
	return (0);
}

void
boot_elf_phdr(const struct boot_elf *e, unsigned i, struct boot_phdr *ph)
{
	Elf64_Phdr p64;
	Elf32_Phdr p32;

	if (e->is64) {
		memcpy(&p64, e->data + e->phoff + i * sizeof(p64), sizeof(p64));
		*ph = (struct boot_phdr){ p64.p_type, p64.p_offset,
		    p64.p_vaddr, p64.p_paddr, p64.p_filesz, p64.p_memsz,
		    p64.p_align };
	} else {
		memcpy(&p32, e->data + e->phoff + i * sizeof(p32), sizeof(p32));
		*ph = (struct boot_phdr){ p32.p_type, p32.p_offset,
		    p32.p_vaddr, p32.p_paddr, p32.p_filesz, p32.p_memsz,
		    p32.p_align };
	}
}

/* One PT_NOTE segment; ENOENT if the note is not in it. */
static int
find_note(const struct boot_elf *e, const struct boot_phdr *ph,
    const char *name, uint32_t type, const void **desc, size_t *desclen)
{
	const uint8_t *p = boot_elf_bytes(e, ph->offset, ph->filesz);
	uint64_t align = ph->align == 8 ? 8 : 4;
	uint64_t left = ph->filesz, ofs, used;
	size_t namesz = strlen(name) + 1;
	Elf64_Nhdr n;			/* the same in both classes */

	if (p == NULL)
		return (boot_elf_err(e, EINVAL,
		    "is truncated: its notes are not in it"));
	while (left >= sizeof(n)) {
		memcpy(&n, p, sizeof(n));
		ofs = boot_roundup(sizeof(n) + (uint64_t)n.n_namesz, align);
		if (ofs + n.n_descsz > left)
			return (boot_elf_err(e, EINVAL,
			    "has an ELF note that is longer than its segment"));
		if (n.n_type == type && n.n_namesz == namesz &&
		    memcmp(p + sizeof(n), name, namesz) == 0) {
			*desc = p + ofs;
			*desclen = n.n_descsz;
			return (0);
		}
		used = boot_roundup(ofs + n.n_descsz, align);
		if (used >= left)
			break;
		p += used;
		left -= used;
	}
	return (ENOENT);
}

int
boot_elf_note(const struct boot_elf *e, const char *name, uint32_t type,
    const void **desc, size_t *desclen)
{
	struct boot_phdr ph;
	unsigned i;
	int error;

	for (i = 0; i < e->phnum; i++) {
		boot_elf_phdr(e, i, &ph);
		if (ph.type != PT_NOTE)
			continue;
		error = find_note(e, &ph, name, type, desc, desclen);
		if (error != ENOENT)
			return (error);
	}
	return (ENOENT);
}

static int
check_segment(const struct boot_elf *e, const struct boot_image *im,
    const struct boot_seg *s, uint64_t limit)
{
	const struct boot_phdr *ph = &s->ph;
	const struct boot_seg *o;

	if (ph->filesz > ph->memsz)
		return (boot_elf_err(e, EINVAL,
		    "has a segment with more bytes in the file than memory"));
	if (boot_elf_bytes(e, ph->offset, ph->filesz) == NULL)
		return (boot_elf_err(e, EINVAL,
		    "is truncated: a segment is not whole"));
	if (s->gpa < BOOT_KERNEL_MIN)
		return (boot_elf_err(e, EINVAL,
		    "has a segment at %#jx, below 1 MiB", (uintmax_t)s->gpa));
	if (s->gpa > limit || ph->memsz > limit - s->gpa)
		return (boot_elf_err(e, EINVAL,
		    "does not fit: a segment at %#jx has %ju bytes, and memory "
		    "for it ends at %#jx", (uintmax_t)s->gpa,
		    (uintmax_t)ph->memsz, (uintmax_t)limit));
	for (o = im->seg; o < im->seg + im->nseg; o++)
		if (s->gpa < o->gpa + o->ph.memsz &&
		    o->gpa < s->gpa + ph->memsz)
			return (boot_elf_err(e, EINVAL,
			    "has segments that overlap at %#jx",
			    (uintmax_t)s->gpa));
	return (0);
}

int
boot_elf_segments(const struct boot_elf *e, uint64_t virt_base, uint64_t limit,
    struct boot_image *im)
{
	struct boot_seg s;
	unsigned i;
	int error;

	im->nseg = 0;
	im->start = UINT64_MAX;
	im->end = 0;
	for (i = 0; i < e->phnum; i++) {
		boot_elf_phdr(e, i, &s.ph);
		if (s.ph.type != PT_LOAD || s.ph.memsz == 0)
			continue;
		if (s.ph.vaddr < virt_base)
			return (boot_elf_err(e, EINVAL,
			    "has a segment at %#jx, which is no kernel's "
			    "address", (uintmax_t)s.ph.vaddr));
		s.gpa = virt_base != 0 ? s.ph.vaddr - virt_base : s.ph.paddr;
		error = check_segment(e, im, &s, limit);
		if (error != 0)
			return (error);
		if (im->nseg == BOOT_LOADS_MAX)
			return (boot_elf_err(e, EINVAL,
			    "has more than %u segments", BOOT_LOADS_MAX));
		im->seg[im->nseg++] = s;
		if (s.gpa < im->start)
			im->start = s.gpa;
		if (s.gpa + s.ph.memsz > im->end)
			im->end = s.gpa + s.ph.memsz;
	}
	if (im->nseg == 0)
		return (boot_elf_err(e, EINVAL, "has nothing to load"));
	return (0);
}

int
boot_elf_place(const struct boot_elf *e, const struct boot_image *im,
    struct vmm_boot *b)
{
	const struct boot_seg *s;
	int error;

	/* Guest memory is zero: bss needs no bytes. */
	for (s = im->seg; s < im->seg + im->nseg; s++) {
		if (s->ph.filesz == 0)
			continue;
		error = boot_add_copy(b, s->gpa, e->data + s->ph.offset,
		    s->ph.filesz, e->err, e->errlen);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
boot_add_copy(struct vmm_boot *b, uint64_t gpa, const void *data, size_t len,
    char *err, size_t errlen)
{
	void *copy = malloc(len);
	int error;

	if (copy == NULL)
		return (boot_err(err, errlen, ENOMEM,
		    "no memory for %zu bytes of the boot image", len));
	memcpy(copy, data, len);
	error = vmm_boot_add(b, gpa, copy, len);
	if (error != 0)
		return (boot_err(err, errlen, error,
		    "%zu bytes at %#jx do not fit into the guest's memory",
		    len, (uintmax_t)gpa));
	return (0);
}
