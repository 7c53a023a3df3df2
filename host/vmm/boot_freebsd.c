/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * FreeBSD/amd64 kernels, started in long mode as FreeBSD's own loader would.
 *
 *	0x1000	GDT
 *	0x2000	page tables: every slot of the two upper levels leads to the
 *		first GiB, so that low addresses and KERNBASE + x both work
 *	0x5000	stack: modulep and kernend
 *	2 MiB	kernel (where it is linked to), its symbols; from page to page
 *		modules, memory disk, records, kernel environment; kernend
 *
 * The kernel finds out where it is from the page table entry of KERNBASE +
 * 2 MiB, and uses RAM from kernend + 2 MiB on before it knows of any other.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/boot_freebsd.h"
#include "vmm/boot_freebsd_reg.h"

#define	FB_GDT		0x1000u
#define	FB_PT		0x2000u
#define	FB_PT_PAGES	3u
#define	FB_STACK	(FB_PT + FB_PT_PAGES * VMM_PAGE)
#define	FB_STACK_TOP	(FB_STACK + VMM_PAGE - sizeof(struct fb_entry_stack))
#define	FB_MAPPED	0x40000000ull		/* what the page tables reach */
/* RAM the kernel needs behind kernend before its own page tables are made. */
#define	FB_EARLY	0x1000000ull

#define	PTE_VALID	0x01u
#define	PTE_WRITE	0x02u
#define	PTE_BIG		0x80u
#define	PTES		512u
#define	BIG_PAGE	0x200000u

void
fb_blob_add(struct fb_blob *blob, const void *data, size_t len)
{
	size_t cap = blob->cap;
	void *p;

	while (cap - blob->len < len)
		cap = cap == 0 ? VMM_PAGE : cap * 2;
	if (cap != blob->cap) {
		p = realloc(blob->data, cap);
		if (p == NULL) {
			blob->failed = true;
			return;
		}
		blob->data = p;
		blob->cap = cap;
	}
	memcpy(blob->data + blob->len, data, len);
	blob->len += len;
}

size_t
fb_record(struct fb_load *f, uint32_t type, const void *data, size_t len)
{
	static const uint8_t zeros[FB_MODINFO_ALIGN];
	uint32_t head[2] = { type, len };
	size_t at;

	fb_blob_add(&f->mods, head, sizeof(head));
	at = f->mods.len;
	if (len > 0)
		fb_blob_add(&f->mods, data, len);
	fb_blob_add(&f->mods, zeros,
	    boot_roundup(len, FB_MODINFO_ALIGN) - len);
	return (at);
}

void
fb_record_string(struct fb_load *f, uint32_t type, const char *s)
{

	fb_record(f, type, s, strlen(s) + 1);
}

size_t
fb_record_u64(struct fb_load *f, uint32_t type, uint64_t v)
{

	return (fb_record(f, type, &v, sizeof(v)));
}

/* Is the file FreeBSD's at all?  By the OS ABI, or by a note. */
static bool
is_freebsd(const struct boot_elf *e)
{
	const void *desc;
	size_t len;

	return (e->osabi == ELFOSABI_FREEBSD ||
	    boot_elf_note(e, FB_NOTE_NAME, FB_NOTE_ABI_TAG, &desc, &len) == 0);
}

static int
check_kernel(struct fb_load *f, const struct boot_elf *e,
    struct boot_image *im)
{
	const struct boot_seg *s;
	int error;

	if (e->machine != EM_X86_64)
		return (boot_elf_err(e, EINVAL, "is a FreeBSD file for another "
		    "machine (ELF machine %u, not amd64)", e->machine));
	if (e->type == ET_REL)
		return (boot_elf_err(e, EINVAL, "is a FreeBSD kernel module or "
		    "object file, not a kernel"));
	if (e->type != ET_EXEC || e->entry < FB_KERNBASE)
		return (boot_elf_err(e, EINVAL,
		    "is a FreeBSD program or library, not a kernel"));
	error = boot_elf_segments(e, FB_KERNBASE, f->limit, im);
	if (error != 0)
		return (error);
	for (s = im->seg; s < im->seg + im->nseg; s++)
		if (e->entry >= s->ph.vaddr &&
		    e->entry - s->ph.vaddr < s->ph.filesz)
			return (0);
	return (boot_elf_err(e, EINVAL,
	    "has its entry at %#jx, where none of it is loaded",
	    (uintmax_t)e->entry));
}

static int
check_options(const struct vmm_boot_params *bp, char *err, size_t errlen)
{

	if (bp->initrd != NULL)
		return (boot_err(err, errlen, EINVAL, "--initrd %s: %s is a "
		    "FreeBSD kernel; give it a memory disk by --mdroot",
		    bp->initrd, bp->kernel));
	if (bp->cmdline != NULL && bp->cmdline[0] != '\0')
		return (boot_err(err, errlen, EINVAL, "a FreeBSD kernel (%s) "
		    "has no command line; set variables by --kenv",
		    bp->kernel));
	return (0);
}

/* Section headers lead to the symbols; a kernel without symbols boots too. */
static int
find_symbols(const struct boot_elf *e, Elf64_Shdr *symtab, Elf64_Shdr *strtab)
{
	unsigned i;

	for (i = 0; i < e->shnum; i++) {
		memcpy(symtab, e->data + e->shoff + i * sizeof(*symtab),
		    sizeof(*symtab));
		if (symtab->sh_type == SHT_SYMTAB)
			break;
	}
	if (i == e->shnum || symtab->sh_size == 0)
		return (ENOENT);
	if (symtab->sh_link >= e->shnum)
		return (boot_elf_err(e, EINVAL,
		    "has symbols without names (section %u)", symtab->sh_link));
	memcpy(strtab, e->data + e->shoff + symtab->sh_link * sizeof(*strtab),
	    sizeof(*strtab));
	if (strtab->sh_type != SHT_STRTAB)
		return (boot_elf_err(e, EINVAL,
		    "has symbols without names (section %u)", symtab->sh_link));
	if (boot_elf_bytes(e, symtab->sh_offset, symtab->sh_size) == NULL ||
	    boot_elf_bytes(e, strtab->sh_offset, strtab->sh_size) == NULL)
		return (boot_elf_err(e, EINVAL,
		    "is truncated: its symbols are not in it"));
	return (0);
}

/* A table with its size in front, padded to 8 bytes. */
static void
put_table(struct fb_blob *blob, const struct boot_elf *e, const Elf64_Shdr *sh)
{
	static const uint8_t zeros[8];
	uint64_t size = sh->sh_size;

	fb_blob_add(blob, &size, sizeof(size));
	fb_blob_add(blob, e->data + sh->sh_offset, size);
	fb_blob_add(blob, zeros, boot_roundup(size, 8) - size);
}

/* Puts a blob at f->next; the blob is used up. */
static int
place_blob(struct fb_load *f, struct fb_blob *blob, const char *what)
{
	size_t len = blob->len;
	void *data = blob->data;
	int error;

	if (blob->failed)
		return (boot_err(f->err, f->errlen, ENOMEM,
		    "no memory for the %s of %s", what, f->bp->kernel));
	if (f->next > f->limit || len > f->limit - f->next)
		return (boot_err(f->err, f->errlen, EINVAL, "%s: its %s do not "
		    "fit into the guest's memory", f->bp->kernel, what));
	*blob = (struct fb_blob){ 0 };
	error = vmm_boot_add(f->b, f->next, data, len);
	if (error != 0)
		return (boot_err(f->err, f->errlen, error, "%s: its %s do not "
		    "fit into the guest's memory", f->bp->kernel, what));
	f->next += len;
	return (0);
}

static int
load_symbols(struct fb_load *f, const struct boot_elf *e, uint64_t *ssym,
    uint64_t *esym)
{
	struct fb_blob blob = { 0 };
	Elf64_Shdr symtab, strtab;
	int error;

	*ssym = *esym = 0;
	error = find_symbols(e, &symtab, &strtab);
	if (error != 0)
		return (error == ENOENT ? 0 : error);
	put_table(&blob, e, &symtab);
	put_table(&blob, e, &strtab);
	*ssym = f->next;
	error = place_blob(f, &blob, "symbols");
	*esym = f->next;
	free(blob.data);
	return (error);
}

static void
record_smap(struct fb_load *f)
{
	struct vmm_e820 map[VMM_E820_MAX];
	struct fb_smap smap[VMM_E820_MAX];
	unsigned i, n;

	n = vmm_boot_e820(f->b->m, map);
	for (i = 0; i < n; i++)
		smap[i] = (struct fb_smap){ map[i].base, map[i].len,
		    map[i].type };
	fb_record(f, FB_MODINFO_MD | FB_MD_SMAP, smap, n * sizeof(smap[0]));
}

/* The records whose values are known only when all else has its place. */
struct late {
	size_t	envp;
	size_t	kernend;
	size_t	modulep;
};

static int
load_kernel(struct fb_load *f, const struct boot_elf *e,
    const struct boot_image *im, struct late *late)
{
	uint64_t ssym, esym;
	int error;

	error = boot_elf_place(e, im, f->b);
	if (error != 0)
		return (error);
	f->next = boot_roundup(im->end, 8);
	error = load_symbols(f, e, &ssym, &esym);
	if (error != 0)
		return (error);
	fb_record_string(f, FB_MODINFO_NAME, "/boot/kernel/kernel");
	fb_record_string(f, FB_MODINFO_TYPE, FB_TYPE_KERNEL);
	fb_record_u64(f, FB_MODINFO_ADDR, im->start);
	fb_record_u64(f, FB_MODINFO_SIZE, f->next - im->start);
	fb_record(f, FB_MODINFO_MD | FB_MD_ELFHDR, e->data,
	    sizeof(Elf64_Ehdr));
	if (esym != ssym) {
		fb_record_u64(f, FB_MODINFO_MD | FB_MD_SSYM, ssym);
		fb_record_u64(f, FB_MODINFO_MD | FB_MD_ESYM, esym);
	}
	fb_record(f, FB_MODINFO_MD | FB_MD_HOWTO, &f->howto, sizeof(f->howto));
	late->envp = fb_record_u64(f, FB_MODINFO_MD | FB_MD_ENVP, 0);
	late->kernend = fb_record_u64(f, FB_MODINFO_MD | FB_MD_KERNEND, 0);
	late->modulep = fb_record_u64(f, FB_MODINFO_MD | FB_MD_MODULEP, 0);
	record_smap(f);
	return (0);
}

static int
place_records(struct fb_load *f, const struct late *late,
    struct fb_entry_stack *stack)
{
	uint64_t modulep = boot_roundup(f->next, VMM_PAGE), envp, kernend;
	int error;

	fb_record(f, FB_MODINFO_END, NULL, 0);
	envp = boot_roundup(modulep + f->mods.len, VMM_PAGE);
	kernend = boot_roundup(envp + f->env.len, VMM_PAGE);
	if (kernend > f->limit)
		return (boot_err(f->err, f->errlen, EINVAL, "%s: does not fit "
		    "into the guest's memory with all it takes along",
		    f->bp->kernel));
	if (!f->mods.failed) {
		memcpy(f->mods.data + late->envp, &envp, sizeof(envp));
		memcpy(f->mods.data + late->kernend, &kernend, sizeof(kernend));
		memcpy(f->mods.data + late->modulep, &modulep, sizeof(modulep));
	}
	f->next = modulep;
	error = place_blob(f, &f->mods, "records");
	if (error != 0)
		return (error);
	f->next = envp;
	error = place_blob(f, &f->env, "variables");
	*stack = (struct fb_entry_stack){ .modulep = modulep,
	    .kernend = kernend };
	return (error);
}

static int
place_tables(struct fb_load *f, const struct fb_entry_stack *stack)
{
	uint64_t pt[FB_PT_PAGES][PTES];
	unsigned i;
	int error;

	for (i = 0; i < PTES; i++) {
		pt[0][i] = (FB_PT + VMM_PAGE) | PTE_VALID | PTE_WRITE;
		pt[1][i] = (FB_PT + 2 * VMM_PAGE) | PTE_VALID | PTE_WRITE;
		pt[2][i] = (uint64_t)i * BIG_PAGE | PTE_VALID | PTE_WRITE |
		    PTE_BIG;
	}
	error = boot_add_copy(f->b, FB_PT, pt, sizeof(pt), f->err, f->errlen);
	if (error == 0)
		error = boot_add_copy(f->b, FB_STACK_TOP, stack,
		    sizeof(*stack), f->err, f->errlen);
	if (error == 0 && vmm_boot_gdt(f->b, FB_GDT) != 0)
		error = boot_err(f->err, f->errlen, ENOMEM,
		    "no memory for a GDT");
	return (error);
}

/* How far what is loaded may reach; 0: not even a kernel has room. */
static uint64_t
load_limit(const struct vmm *m)
{
	uint64_t top = vmm_low_mem(m);

	if (top > FB_MAPPED)
		top = FB_MAPPED;
	return (top > FB_EARLY ? top - FB_EARLY : 0);
}

static int
load_all(struct fb_load *f, const struct boot_elf *e)
{
	struct fb_entry_stack stack;
	struct boot_image im;
	struct late late;
	int error;

	error = check_kernel(f, e, &im);
	if (error == 0)
		error = check_options(f->bp, f->err, f->errlen);
	if (error == 0)
		error = fb_make_env(f);
	if (error == 0)
		error = load_kernel(f, e, &im, &late);
	if (error == 0)
		error = fb_load_modules(f);
	if (error == 0)
		error = fb_load_mdroot(f);
	if (error == 0)
		error = place_records(f, &late, &stack);
	if (error == 0)
		error = place_tables(f, &stack);
	return (error);
}

int
vmm_boot_freebsd(struct vmm_boot *b, const struct vmm_boot_params *bp,
    const void *kernel, size_t len, char *err, size_t errlen)
{
	struct fb_load f = { .b = b, .bp = bp, .limit = load_limit(b->m),
	    .err = err, .errlen = errlen };
	struct boot_elf e;
	int error;

	error = boot_elf_open(&e, bp->kernel, kernel, len, err, errlen);
	if (error == ENOEXEC)
		return (ENOEXEC);
	/* What is damaged and not surely ours is for others to complain of. */
	if (!e.is64 || (error != 0 ? e.osabi != ELFOSABI_FREEBSD :
	    !is_freebsd(&e))) {
		err[0] = '\0';
		return (ENOEXEC);
	}
	if (error != 0)
		return (error);
	error = load_all(&f, &e);
	free(f.mods.data);
	free(f.env.data);
	if (error != 0)
		return (error);
	snprintf(b->name, sizeof(b->name), "FreeBSD kernel");
	b->regs = (struct vmm_boot_regs){ .rip = e.entry,
	    .rsp = FB_STACK_TOP, .cr3 = FB_PT, .gdt = FB_GDT };
	return (0);
}
