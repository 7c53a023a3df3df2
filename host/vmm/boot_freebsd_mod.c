/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * FreeBSD's preloaded modules and memory disk.
 *
 * A module is a relocatable file.  It gets laid out here: sections that take
 * memory, the symbols and their names, the sections' names, then relocations
 * of sections that take memory.  Each one's address goes into its section
 * header, which the kernel gets as a record; it relocates, and finds out what
 * depends on what.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/boot_freebsd.h"
#include "vmm/boot_freebsd_reg.h"

/* No module is near it; debug sections count too. */
#define	MODULE_FILE_MAX	0x10000000u
#define	ALIGN_MAX	BOOT_KERNEL_MIN
#define	MD_SECTOR	512u
#define	MD_FILE_MAX	0x40000000u	/* nothing is loaded beyond 1 GiB */

struct module {
	struct fb_load	*f;
	struct boot_elf	 e;
	Elf64_Shdr	*sh;		/* sh_addr: where it goes, 0: nowhere */
	uint64_t	 start;
	uint64_t	 end;
	uint64_t	 limit;
};

static int
check_module(const struct boot_elf *e)
{

	if (!e->is64 || e->machine != EM_X86_64)
		return (boot_elf_err(e, EINVAL,
		    "is no module for amd64 (ELF machine %u)", e->machine));
	if (e->type == ET_DYN || e->type == ET_EXEC)
		return (boot_elf_err(e, EINVAL, "is a program or shared "
		    "library; amd64 modules are relocatable files"));
	if (e->type != ET_REL)
		return (boot_elf_err(e, EINVAL,
		    "is no relocatable file, as modules are"));
	if (e->shnum == 0)
		return (boot_elf_err(e, EINVAL, "has no sections"));
	return (0);
}

/* Does the section occupy memory of its own, code or data? */
static bool
takes_memory(const Elf64_Shdr *sh)
{

	if ((sh->sh_flags & SHF_ALLOC) == 0 || sh->sh_size == 0)
		return (false);
	return (sh->sh_type == SHT_PROGBITS || sh->sh_type == SHT_NOBITS ||
	    sh->sh_type == SHT_X86_64_UNWIND ||
	    sh->sh_type == SHT_INIT_ARRAY || sh->sh_type == SHT_FINI_ARRAY);
}

/* Gives section i its address. */
static int
put_section(struct module *mod, unsigned i)
{
	Elf64_Shdr *sh = &mod->sh[i];
	uint64_t align = sh->sh_addralign == 0 ? 1 : sh->sh_addralign;
	uint64_t at;

	/* One string table may serve two purposes. */
	if (sh->sh_addr != 0)
		return (0);
	if ((align & (align - 1)) != 0 || align > ALIGN_MAX)
		return (boot_elf_err(&mod->e, EINVAL,
		    "has a section (%u) with an alignment of %ju", i,
		    (uintmax_t)align));
	if (sh->sh_type != SHT_NOBITS &&
	    boot_elf_bytes(&mod->e, sh->sh_offset, sh->sh_size) == NULL)
		return (boot_elf_err(&mod->e, EINVAL,
		    "is truncated: section %u is not whole", i));
	at = boot_roundup(mod->end, align);
	if (at > mod->limit || sh->sh_size > mod->limit - at)
		return (boot_elf_err(&mod->e, EINVAL, "does not fit into the "
		    "guest's memory: section %u has %ju bytes", i,
		    (uintmax_t)sh->sh_size));
	sh->sh_addr = at;
	mod->end = at + sh->sh_size;
	return (0);
}

static int
put_symbols(struct module *mod)
{
	unsigned i, names, nsym = 0, sym = 0;
	int error;

	for (i = 0; i < mod->e.shnum; i++)
		if (mod->sh[i].sh_type == SHT_SYMTAB) {
			sym = i;
			nsym++;
		}
	if (nsym != 1)
		return (boot_elf_err(&mod->e, EINVAL,
		    "has %u symbol tables, not one", nsym));
	if (mod->sh[sym].sh_size == 0 ||
	    mod->sh[sym].sh_size % sizeof(Elf64_Sym) != 0)
		return (boot_elf_err(&mod->e, EINVAL,
		    "has a symbol table of a size that is none"));
	names = mod->sh[sym].sh_link;
	if (names >= mod->e.shnum || mod->sh[names].sh_type != SHT_STRTAB)
		return (boot_elf_err(&mod->e, EINVAL,
		    "has symbols without names (section %u)", names));
	error = put_section(mod, sym);
	if (error == 0)
		error = put_section(mod, names);
	if (error != 0)
		return (error);
	names = mod->e.shstrndx;
	if (names == 0 || names >= mod->e.shnum ||
	    mod->sh[names].sh_type != SHT_STRTAB)
		return (boot_elf_err(&mod->e, EINVAL,
		    "has sections without names (section %u)", names));
	return (put_section(mod, names));
}

static int
put_relocations(struct module *mod)
{
	const Elf64_Shdr *target;
	unsigned i;
	int error;

	for (i = 0; i < mod->e.shnum; i++) {
		if (mod->sh[i].sh_type != SHT_REL &&
		    mod->sh[i].sh_type != SHT_RELA)
			continue;
		/* The kernel follows every one's sh_info. */
		if (mod->sh[i].sh_info >= mod->e.shnum)
			return (boot_elf_err(&mod->e, EINVAL,
			    "has relocations (section %u) of a section that "
			    "is not there", i));
		target = &mod->sh[mod->sh[i].sh_info];
		if (mod->sh[i].sh_size == 0 || !takes_memory(target))
			continue;
		error = put_section(mod, i);
		if (error != 0)
			return (error);
	}
	return (0);
}

static int
by_offset(const void *a, const void *b)
{
	const Elf64_Shdr *const *x = a, *const *y = b;

	if ((*x)->sh_offset != (*y)->sh_offset)
		return ((*x)->sh_offset < (*y)->sh_offset ? -1 : 1);
	return (0);
}

/* Sections that share bytes of the file are no linker's work. */
static int
check_overlap(const struct module *mod)
{
	const Elf64_Shdr **sorted;
	unsigned i, n = 0;
	int error = 0;

	sorted = calloc(mod->e.shnum, sizeof(*sorted));
	if (sorted == NULL)
		return (boot_elf_err(&mod->e, ENOMEM, "no memory for it"));
	for (i = 0; i < mod->e.shnum; i++)
		if (mod->sh[i].sh_addr != 0 && mod->sh[i].sh_size != 0 &&
		    mod->sh[i].sh_type != SHT_NOBITS)
			sorted[n++] = &mod->sh[i];
	qsort(sorted, n, sizeof(*sorted), by_offset);
	for (i = 1; i < n && error == 0; i++)
		if (sorted[i]->sh_offset - sorted[i - 1]->sh_offset <
		    sorted[i - 1]->sh_size)
			error = boot_elf_err(&mod->e, EINVAL,
			    "has sections that overlap (%td and %td)",
			    sorted[i - 1] - mod->sh, sorted[i] - mod->sh);
	free(sorted);
	return (error);
}

static int
lay_out(struct module *mod)
{
	unsigned i, nprog = 0;
	int error;

	for (i = 0; i < mod->e.shnum; i++)
		mod->sh[i].sh_addr = 0;
	for (i = 0; i < mod->e.shnum; i++) {
		if (!takes_memory(&mod->sh[i]))
			continue;
		error = put_section(mod, i);
		if (error != 0)
			return (error);
		nprog++;
	}
	if (nprog == 0)
		return (boot_elf_err(&mod->e, EINVAL, "has nothing to load"));
	error = put_symbols(mod);
	if (error == 0)
		error = put_relocations(mod);
	if (error == 0)
		error = check_overlap(mod);
	return (error);
}

static int
place(struct module *mod)
{
	const Elf64_Shdr *sh;
	uint8_t *image;
	int error;

	image = calloc(1, mod->end - mod->start);
	if (image == NULL)
		return (boot_elf_err(&mod->e, ENOMEM, "no memory for it"));
	for (sh = mod->sh; sh < mod->sh + mod->e.shnum; sh++)
		if (sh->sh_addr != 0 && sh->sh_type != SHT_NOBITS)
			memcpy(image + (sh->sh_addr - mod->start),
			    mod->e.data + sh->sh_offset, sh->sh_size);
	error = vmm_boot_add(mod->f->b, mod->start, image,
	    mod->end - mod->start);
	if (error != 0)
		return (boot_elf_err(&mod->e, error,
		    "does not fit into the guest's memory"));
	return (0);
}

static int
load_module(struct fb_load *f, const char *path, const void *data, size_t len)
{
	struct module mod = { .f = f };
	size_t shsize;
	int error;

	error = boot_elf_open(&mod.e, path, data, len, f->err, f->errlen);
	if (error == ENOEXEC)
		return (boot_err(f->err, f->errlen, ENOEXEC,
		    "%s: is no ELF file, so no kernel module", path));
	if (error == 0)
		error = check_module(&mod.e);
	if (error != 0)
		return (error);
	shsize = mod.e.shnum * sizeof(*mod.sh);
	mod.sh = malloc(shsize);
	if (mod.sh == NULL)
		return (boot_elf_err(&mod.e, ENOMEM, "no memory for it"));
	memcpy(mod.sh, mod.e.data + mod.e.shoff, shsize);
	mod.start = mod.end = boot_roundup(f->next, VMM_PAGE);
	mod.limit = f->limit;
	error = lay_out(&mod);
	if (error == 0)
		error = place(&mod);
	if (error == 0) {
		fb_record_string(f, FB_MODINFO_NAME, boot_basename(path));
		fb_record_string(f, FB_MODINFO_TYPE, FB_TYPE_MODULE);
		fb_record_u64(f, FB_MODINFO_ADDR, mod.start);
		fb_record_u64(f, FB_MODINFO_SIZE, mod.end - mod.start);
		fb_record(f, FB_MODINFO_MD | FB_MD_ELFHDR, mod.e.data,
		    sizeof(Elf64_Ehdr));
		fb_record(f, FB_MODINFO_MD | FB_MD_SHDR, mod.sh, shsize);
		f->next = mod.end;
	}
	free(mod.sh);
	return (error);
}

int
fb_load_modules(struct fb_load *f)
{
	const struct vmm_boot_params *bp = f->bp;
	unsigned i, j;
	size_t len;
	void *data;
	int error;

	for (i = 0; i < bp->nmodules; i++) {
		/* The kernel looks preloaded files up by name. */
		for (j = 0; j < i; j++)
			if (strcmp(boot_basename(bp->modules[i]),
			    boot_basename(bp->modules[j])) == 0)
				return (boot_err(f->err, f->errlen, EINVAL,
				    "--module %s: a module of this name is "
				    "there already", bp->modules[i]));
		error = vmm_boot_read(bp->modules[i], MODULE_FILE_MAX, &data,
		    &len, f->err, f->errlen);
		if (error != 0)
			return (error);
		error = load_module(f, bp->modules[i], data, len);
		free(data);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
fb_load_mdroot(struct fb_load *f)
{
	const char *path = f->bp->mdroot;
	size_t len;
	void *data;
	int error;

	if (path == NULL)
		return (0);
	error = vmm_boot_read(path, MD_FILE_MAX, &data, &len, f->err,
	    f->errlen);
	if (error != 0)
		return (error);
	if (len % MD_SECTOR != 0) {
		free(data);
		return (boot_err(f->err, f->errlen, EINVAL, "--mdroot %s: "
		    "%zu bytes are no whole number of %u-byte sectors", path,
		    len, MD_SECTOR));
	}
	f->next = boot_roundup(f->next, VMM_PAGE);
	if (f->next > f->limit || len > f->limit - f->next) {
		free(data);
		return (boot_err(f->err, f->errlen, EINVAL, "--mdroot %s: "
		    "%zu bytes do not fit into the guest's memory, of which "
		    "the loader uses %ju MiB", path, len,
		    (uintmax_t)(f->limit >> 20)));
	}
	error = vmm_boot_add(f->b, f->next, data, len);
	if (error != 0)
		return (boot_err(f->err, f->errlen, error, "--mdroot %s: does "
		    "not fit into the guest's memory", path));
	fb_record_string(f, FB_MODINFO_NAME, boot_basename(path));
	fb_record_string(f, FB_MODINFO_TYPE, FB_TYPE_MD);
	fb_record_u64(f, FB_MODINFO_ADDR, f->next);
	fb_record_u64(f, FB_MODINFO_SIZE, len);
	f->next += len;
	return (0);
}
