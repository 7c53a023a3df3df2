/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * freebsd_flat: a FreeBSD kernel with all it takes along, as one file that
 * QEMU's -kernel boots (Multiboot, ELF).  QEMU itself can start a FreeBSD
 * kernel only without modules and memory disk.
 *
 * hvhost's loader lays everything out for a machine of --memory MiB; the
 * image has the pieces behind code (start.S) that puts them into place.  It is
 * loaded above that memory, of which the kernel knows nothing: QEMU needs -m of
 * twice as much.  ACPI's tables are QEMU's, found by the kernel's own search.
 */

#include <elf.h>
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flat_reg.h"
#include "vmm/vmm.h"

#define	MIB		(1ull << 20)
#define	MEMORY_DEFAULT	256
#define	MEMORY_MIN	64
/* The kernel's first page tables reach 1 GiB, and the image is copied from
 * there. */
#define	MEMORY_MAX	512

struct vmm {
	uint64_t	low;
};

extern const uint8_t flat_start[], flat_start_entry[], flat_start_end[];

/* How far a place in start.S is from its beginning. */
static size_t
offset(const uint8_t *place)
{

	return ((uintptr_t)place - (uintptr_t)flat_start);
}

/* The loader only asks whether it is memory: nothing is written there. */
void *
vmm_ptr(struct vmm *m, uint64_t gpa, uint64_t len)
{

	return (gpa > m->low || len > m->low - gpa ? NULL : m);
}

uint64_t
vmm_low_mem(const struct vmm *m)
{

	return (m->low);
}

uint64_t
vmm_high_mem(const struct vmm *m)
{

	return (0);
}

/* The kernel takes 0 as: look for it. */
uint64_t
vmm_acpi_rsdp(const struct vmm *m)
{

	return (0);
}

static int
by_address(const void *a, const void *b)
{
	const struct vmm_boot_piece *p = a, *q = b;

	return (p->gpa < q->gpa ? -1 : p->gpa > q->gpa);
}

/* The list of copies has a gap before each piece at the most, and an end. */
static size_t
head_size(const struct vmm_boot *b)
{

	return (sizeof(struct flat_params) +
	    (2 * b->npieces + 1) * sizeof(struct flat_copy));
}

/*
 * Fills in the list of copies; returns how many bytes the list and all pieces
 * take.  Gaps above 1 MiB are cleared, bss among them: after a reset, memory
 * is what it was.
 */
static size_t
plan(struct vmm_boot *b, struct flat_params *fp)
{
	const struct vmm_boot_piece *p;
	uint64_t cleared = MIB;
	size_t from = head_size(b), n = 0;

	qsort(b->piece, b->npieces, sizeof(b->piece[0]), by_address);
	for (p = b->piece; p < b->piece + b->npieces; p++) {
		if (p->gpa < FLAT_STACK_TOP &&
		    p->gpa + p->len > FLAT_STACK_BASE)
			errx(1, "something at %#jx is in the way of the "
			    "image's own stack", (uintmax_t)p->gpa);
		if (p->gpa > cleared)
			fp->copy[n++] = (struct flat_copy){ .to = cleared,
			    .len = p->gpa - cleared };
		if (p->gpa + p->len > cleared)
			cleared = p->gpa + p->len;
		fp->copy[n++] = (struct flat_copy){ .to = p->gpa,
		    .from = from, .len = p->len };
		from += p->len;
	}
	return (from);
}

static void
put(FILE *f, const void *data, size_t len)
{

	if (fwrite(data, 1, len, f) != len)
		err(1, "write");
}

/* One segment of a 32-bit ELF file, at the first address behind memory. */
static void
put_head(FILE *f, uint64_t at, size_t size)
{
	struct {
		Elf32_Ehdr	e;
		Elf32_Phdr	p;
	} head = {
		.e = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
			    ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_386,
			.e_version = EV_CURRENT,
			.e_entry = at + offset(flat_start_entry),
			.e_phoff = sizeof(Elf32_Ehdr),
			.e_ehsize = sizeof(Elf32_Ehdr),
			.e_phentsize = sizeof(Elf32_Phdr),
			.e_phnum = 1,
		},
		.p = {
			.p_type = PT_LOAD,
			.p_offset = sizeof(head),
			.p_vaddr = at,
			.p_paddr = at,
			.p_filesz = size,
			.p_memsz = size,
			.p_flags = PF_R | PF_W | PF_X,
		},
	};

	put(f, &head, sizeof(head));
}

static void
write_image(const char *path, struct vmm *m, struct vmm_boot *b)
{
	const struct vmm_boot_piece *p;
	struct flat_params *fp;
	size_t code = offset(flat_start_end), size;
	FILE *f;

	fp = calloc(1, head_size(b));
	if (fp == NULL)
		err(1, NULL);
	fp->rip = b->regs.rip;
	fp->rsp = b->regs.rsp;
	fp->cr3 = b->regs.cr3;
	fp->gdt = b->regs.gdt;
	size = plan(b, fp);
	f = fopen(path, "w");
	if (f == NULL)
		err(1, "%s", path);
	put_head(f, m->low, code + size);
	put(f, flat_start, code);
	put(f, fp, head_size(b));
	for (p = b->piece; p < b->piece + b->npieces; p++)
		put(f, p->data, p->len);
	if (fclose(f) != 0)
		err(1, "%s", path);
	free(fp);
}

static void __attribute__((noreturn))
usage(void)
{

	fputs("usage: freebsd_flat --kernel FILE [--module FILE]... "
	    "[--mdroot FILE]\n"
	    "           [--kenv NAME=VALUE]... [--memory MIB] --output FILE\n",
	    stderr);
	exit(2);
}

static const char **
one_more(const char *name, const char **list, unsigned *n, unsigned max)
{

	if (*n == max)
		errx(2, "more than %u of --%s", max, name);
	return (&list[(*n)++]);
}

static uint64_t
memory(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || v < MEMORY_MIN || v > MEMORY_MAX)
		errx(2, "--memory: \"%s\" is not a number from %d to %d", text,
		    MEMORY_MIN, MEMORY_MAX);
	return (v * MIB);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kenv", required_argument, NULL, 'e' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "mdroot", required_argument, NULL, 'r' },
		{ "memory", required_argument, NULL, 'M' },
		{ "module", required_argument, NULL, 'm' },
		{ "output", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 }
	};
	struct vmm m = { MEMORY_DEFAULT * MIB };
	struct vmm_boot_params bp = { 0 };
	struct vmm_boot *b;
	const char *output = NULL;
	char why[512] = "";
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'k')
			bp.kernel = optarg;
		else if (c == 'm')
			*one_more("module", bp.modules, &bp.nmodules,
			    VMM_MODULES_MAX) = optarg;
		else if (c == 'r')
			bp.mdroot = optarg;
		else if (c == 'e')
			*one_more("kenv", bp.kenv, &bp.nkenv, VMM_KENV_MAX) =
			    optarg;
		else if (c == 'M')
			m.low = memory(optarg);
		else if (c == 'o')
			output = optarg;
		else
			usage();
	}
	if (bp.kernel == NULL || output == NULL || optind != argc)
		usage();
	if (vmm_boot_load(&m, &bp, &b, why, sizeof(why)) != 0)
		errx(1, "%s", why);
	if (b->regs.cr3 == 0)
		errx(1, "%s: is no FreeBSD kernel", bp.kernel);
	write_image(output, &m, b);
	vmm_boot_free(b);
	return (0);
}
