/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Files that are damaged, cut off or made to harm: each ends in a sentence
 * that names the file, before any guest runs.
 */

#include <atf-c.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boot_fake.h"

static struct kernel_file kf;
static struct module_file mf;
static struct vmm_boot_params bp;

static void
setup(void)
{

	machine(64 * MIB, 0);
	make_kernel(&kf);
	save("kernel", &kf, KERNEL_LEN);
	make_module(&mf);
	save("mod.ko", &mf, MODULE_LEN);
	bp = (struct vmm_boot_params){ .kernel = "kernel" };
}

/* The kernel as it is now is refused, then made good again. */
static void
bad_kernel(const char *text)
{

	save("kernel", &kf, KERNEL_LEN);
	refused(&bp, "kernel: ");
	refused(&bp, text);
	make_kernel(&kf);
}

static void
bad_module(const char *text)
{

	save("mod.ko", &mf, MODULE_LEN);
	refused(&bp, "mod.ko: ");
	refused(&bp, text);
	make_module(&mf);
}

TEST(kernel_headers, "a kernel's ELF header and what it is")
{

	setup();
	kf.eh.e_machine = 183;
	bad_kernel("for another machine (ELF machine 183");
	kf.eh.e_type = ET_REL;
	bad_kernel("module or object file, not a kernel");
	kf.eh.e_type = ET_DYN;
	bad_kernel("program or library, not a kernel");
	kf.eh.e_entry = 0x400000;
	bad_kernel("program or library, not a kernel");
	kf.eh.e_phentsize = 32;
	bad_kernel("headers of a size unknown");
	kf.eh.e_shentsize = 0;
	bad_kernel("headers of a size unknown");
	kf.eh.e_phoff = UINT64_MAX - 8;
	bad_kernel("its program headers are not in it");
	kf.eh.e_phnum = UINT16_MAX;
	bad_kernel("its program headers are not in it");
	kf.eh.e_shoff = KERNEL_LEN;
	bad_kernel("its section headers are not in it");
	kf.eh.e_entry = KERNBASE + 0x200000 + 1272;
	bad_kernel("where none of it is loaded");
	kf.eh.e_entry = UINT64_MAX;
	bad_kernel("where none of it is loaded");
	kf.eh.e_ident[EI_OSABI] = 0;
	kf.ph[2].p_type = PT_NULL;
	bad_kernel("neither a Linux bzImage, nor a FreeBSD");
	memcpy(kf.eh.e_ident, "\177ELG", 4);
	bad_kernel("neither a Linux bzImage, nor a FreeBSD");
	kf.eh.e_ident[EI_DATA] = 2;
	bad_kernel("neither a Linux bzImage, nor a FreeBSD");
	kf.eh.e_ident[EI_CLASS] = 3;
	bad_kernel("neither a Linux bzImage, nor a FreeBSD");
	bp.kernel = "none";
	refused(&bp, "none: No such file");
	machine_end();
}

TEST(kernel_segments, "a kernel's segments")
{

	setup();
	kf.ph[0].p_filesz = kf.ph[0].p_memsz + 1;
	bad_kernel("more bytes in the file than memory");
	kf.ph[0].p_offset = KERNEL_LEN - 100;
	bad_kernel("a segment is not whole");
	kf.ph[0].p_offset = UINT64_MAX;
	bad_kernel("a segment is not whole");
	kf.ph[0].p_filesz = kf.ph[0].p_memsz = UINT64_MAX;
	bad_kernel("a segment is not whole");
	kf.ph[1].p_vaddr = 0x400000;
	bad_kernel("which is no kernel's address");
	kf.ph[1].p_vaddr = KERNBASE + 0xff000;
	bad_kernel("below 1 MiB");
	kf.ph[1].p_vaddr = KERNBASE + 0x200100;
	bad_kernel("overlap");
	kf.ph[1].p_memsz = UINT64_MAX;
	bad_kernel("does not fit");
	kf.ph[1].p_memsz = 64 * MIB;
	bad_kernel("does not fit");
	kf.ph[1].p_vaddr = UINT64_MAX;
	bad_kernel("does not fit");
	/* The kernel needs some RAM behind itself, 16 MiB. */
	kf.ph[1].p_memsz = 44 * MIB + 1;
	bad_kernel("does not fit");
	kf.ph[1].p_memsz = 44 * MIB;
	bad_kernel("do not fit into the guest's memory");
	kf.ph[0].p_type = kf.ph[1].p_type = PT_NULL;
	bad_kernel("has nothing to load");
	machine_end();
}

TEST(kernel_symbols, "a kernel's symbols")
{

	setup();
	kf.sh[2].sh_link = 4;
	bad_kernel("symbols without names");
	kf.sh[2].sh_link = 1;
	bad_kernel("symbols without names");
	kf.sh[2].sh_size = UINT64_MAX;
	bad_kernel("its symbols are not in it");
	kf.sh[3].sh_offset = KERNEL_LEN - 12;
	bad_kernel("its symbols are not in it");
	machine_end();
}

TEST(module_headers, "a module's ELF header and what it is")
{

	setup();
	bp.modules[bp.nmodules++] = "mod.ko";
	mf.eh.e_machine = 183;
	bad_module("is no module for amd64 (ELF machine 183)");
	mf.eh.e_ident[EI_CLASS] = 1;
	mf.eh.e_shentsize = 40;
	bad_module("is no module for amd64");
	mf.eh.e_type = ET_DYN;
	bad_module("shared library");
	mf.eh.e_type = ET_CORE;
	bad_module("no relocatable file");
	mf.eh.e_shnum = 0;
	bad_module("has no sections");
	mf.eh.e_shnum = UINT16_MAX;
	bad_module("its section headers are not in it");
	mf.eh.e_shoff = UINT64_MAX - 64;
	bad_module("its section headers are not in it");
	mf.eh.e_ident[0] = 'E';
	bad_module("is no ELF file, so no kernel module");
	bp.modules[0] = "none.ko";
	refused(&bp, "none.ko: No such file");
	bp.modules[0] = "kernel";
	refused(&bp, "kernel: is a program or shared library");
	bp.modules[0] = "mod.ko";
	bp.modules[bp.nmodules++] = "./mod.ko";
	save("mod.ko", &mf, MODULE_LEN);
	refused(&bp, "--module ./mod.ko: a module of this name is there");
	machine_end();
}

TEST(module_sections, "a module's sections")
{

	setup();
	bp.modules[bp.nmodules++] = "mod.ko";
	mf.sh[S_TEXT].sh_addralign = 3;
	bad_module("(1) with an alignment of 3");
	mf.sh[S_TEXT].sh_addralign = 1ull << 63;
	bad_module("with an alignment of");
	mf.sh[S_TEXT].sh_offset = MODULE_LEN - 29;
	bad_module("is truncated: section 1 is not whole");
	mf.sh[S_TEXT].sh_offset = UINT64_MAX;
	bad_module("is truncated: section 1 is not whole");
	mf.sh[S_TEXT].sh_size = UINT64_MAX;
	bad_module("is truncated: section 1 is not whole");
	mf.sh[S_BSS].sh_size = UINT64_MAX;
	bad_module("does not fit into the guest's memory: section 3");
	mf.sh[S_BSS].sh_size = 60 * MIB;
	bad_module("does not fit into the guest's memory: section 3");
	mf.sh[S_DATA].sh_offset = mf.sh[S_TEXT].sh_offset + 8;
	bad_module("sections that overlap (1 and 2)");
	mf.sh[S_NAMES].sh_offset = mf.sh[S_STR].sh_offset;
	bad_module("sections that overlap");
	mf.sh[S_TEXT].sh_flags = mf.sh[S_DATA].sh_flags = 0;
	mf.sh[S_BSS].sh_flags = 0;
	bad_module("has nothing to load");
	machine_end();
}

TEST(module_tables, "a module's symbols, names and relocations")
{

	setup();
	bp.modules[bp.nmodules++] = "mod.ko";
	mf.sh[S_SYM].sh_type = SHT_DYNSYM;
	bad_module("has 0 symbol tables");
	mf.sh[S_RELC].sh_type = SHT_SYMTAB;
	bad_module("has 2 symbol tables");
	mf.sh[S_SYM].sh_size = 95;
	bad_module("of a size that is none");
	mf.sh[S_SYM].sh_size = 0;
	bad_module("of a size that is none");
	mf.sh[S_SYM].sh_offset = MODULE_LEN;
	bad_module("section 8 is not whole");
	mf.sh[S_SYM].sh_link = SECTIONS;
	bad_module("symbols without names (section 11)");
	mf.sh[S_SYM].sh_link = S_TEXT;
	bad_module("symbols without names (section 1)");
	mf.sh[S_STR].sh_size = MODULE_LEN;
	bad_module("section 9 is not whole");
	mf.eh.e_shstrndx = 0;
	bad_module("sections without names (section 0)");
	mf.eh.e_shstrndx = SECTIONS;
	bad_module("sections without names (section 11)");
	mf.eh.e_shstrndx = S_TEXT;
	bad_module("sections without names (section 1)");
	mf.sh[S_RELA].sh_info = SECTIONS;
	bad_module("relocations (section 4) of a section that is not there");
	mf.sh[S_REL].sh_info = UINT32_MAX;
	bad_module("relocations (section 5) of a section that is not there");
	mf.sh[S_REL].sh_offset = UINT64_MAX - 4;
	bad_module("section 5 is not whole");
	machine_end();
}

/* Cut off at each length, from the end. */
static void
cut(const char *path, size_t len)
{

	while (len-- > 0) {
		ATF_REQUIRE_EQ(0, truncate(path, len));
		ATF_CHECK_MSG(!survives(&bp, path), "%s: %zu bytes are enough",
		    path, len);
	}
}

TEST(truncated, "files cut off at every length")
{

	setup();
	bp.modules[bp.nmodules++] = "mod.ko";
	ATF_REQUIRE_MSG(survives(&bp, ""), "%s", boot_error);
	cut("mod.ko", MODULE_LEN);
	bp.nmodules = 0;
	cut("kernel", KERNEL_LEN);
	machine_end();
}

/* Each byte of the file in turn is something else. */
static void
flip(const char *path, uint8_t *file, size_t len, size_t upto)
{
	static const uint8_t to[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t was;
	size_t i, j;

	for (i = 0; i < upto; i++) {
		was = file[i];
		for (j = 0; j < sizeof(to); j++) {
			file[i] = to[j];
			save(path, file, len);
			survives(&bp, "");
		}
		file[i] = was;
	}
	save(path, file, len);
}

TEST(flipped, "every byte of the headers another one")
{

	setup();
	bp.modules[bp.nmodules++] = "mod.ko";
	flip("mod.ko", (uint8_t *)&mf, MODULE_LEN,
	    offsetof(struct module_file, text));
	bp.nmodules = 0;
	flip("kernel", (uint8_t *)&kf, KERNEL_LEN,
	    offsetof(struct kernel_file, text));
	machine_end();
}

TEST(small_memory, "machines with too little memory")
{
	static uint8_t disk[8 * MIB];

	setup();
	machine_end();
	machine(8 * MIB, 0);
	refused(&bp, "does not fit");
	machine_end();
	machine(24 * MIB, 0);
	start(&bp);
	machine_end();
	machine(24 * MIB, 0);
	save("disk", disk, sizeof(disk));
	bp.mdroot = "disk";
	refused(&bp, "--mdroot disk: 8388608 bytes do not fit");
	bp.mdroot = NULL;
	bp.modules[bp.nmodules++] = "mod.ko";
	mf.sh[S_BSS].sh_size = 4 * MIB - 0x4000;
	bad_module("does not fit");
	/* The module fits, the records behind it do not. */
	mf.sh[S_BSS].sh_size = 4 * MIB - 0x6000;
	save("mod.ko", &mf, MODULE_LEN);
	refused(&bp, "kernel: does not fit into the guest's memory with all");
	machine_end();
}

TEST(many_segments, "more segments than anyone needs")
{
	static struct {
		Elf64_Ehdr	eh;
		Elf64_Phdr	ph[100];
	} f;
	unsigned i;

	setup();
	f.eh = kf.eh;
	f.eh.e_phoff = sizeof(f.eh);
	f.eh.e_phnum = 100;
	f.eh.e_shnum = 0;
	for (i = 0; i < 100; i++)
		f.ph[i] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_memsz = 16,
		    .p_vaddr = KERNBASE + 2 * MIB + 4096 * i, .p_filesz = 16 };
	f.eh.e_entry = KERNBASE + 2 * MIB;
	save("kernel", &f, sizeof(f));
	refused(&bp, "kernel: has more than 64 segments");
	f.eh.e_phnum = 64;
	save("kernel", &f, sizeof(f));
	start(&bp);
	machine_end();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, kernel_headers);
	ATF_TP_ADD_TC(tp, kernel_segments);
	ATF_TP_ADD_TC(tp, kernel_symbols);
	ATF_TP_ADD_TC(tp, module_headers);
	ATF_TP_ADD_TC(tp, module_sections);
	ATF_TP_ADD_TC(tp, module_tables);
	ATF_TP_ADD_TC(tp, truncated);
	ATF_TP_ADD_TC(tp, flipped);
	ATF_TP_ADD_TC(tp, small_memory);
	ATF_TP_ADD_TC(tp, many_segments);
	return (atf_no_error());
}
