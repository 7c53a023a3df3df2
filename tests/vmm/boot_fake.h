/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * For tests of the boot loaders: a machine that is memory alone, and ELF files
 * to be loaded, which a test bends before it saves them.  Record types and
 * offsets stand in the tests as literal numbers.
 */

#ifndef TESTS_VMM_BOOT_FAKE_H
#define	TESTS_VMM_BOOT_FAKE_H

#include <elf.h>

#include "vmm/vmm.h"

#define	MIB	0x100000ull
#define	KERNBASE	0xffffffff80000000ull
#define	RSDP	0xe1230u

extern struct vmm_boot *boot;
extern struct vmm_boot_regs regs;
extern char boot_error[512];

/* A machine with this much memory below 3 GiB and above 4 GiB. */
void	machine(uint64_t low, uint64_t high);
/* Loads and starts; the test fails if that does. */
void	start(const struct vmm_boot_params *bp);
/* The load has to fail, with this in what it says. */
void	refused(const struct vmm_boot_params *bp, const char *text);
/* Either it loads, or it fails with a sentence that names path or option. */
bool	survives(const struct vmm_boot_params *bp, const char *names);
void	machine_end(void);
/* Guest memory, which has to be there. */
const void *at(uint64_t gpa, uint64_t len);
uint64_t u64_at(uint64_t gpa);
uint32_t u32_at(uint64_t gpa);
void	save(const char *path, const void *data, size_t len);

/*
 * A FreeBSD kernel: text at 2 MiB with the entry 16 bytes into it, data at
 * 4 MiB with bss, 3 symbols, a Xen note.
 */
struct kernel_file {
	Elf64_Ehdr	 eh;
	Elf64_Phdr	 ph[4];		/* text, data, note, stack */
	Elf64_Shdr	 sh[4];		/* null, text, symbols, strings */
	uint8_t		 text[1272];
	uint8_t		 data[256];
	Elf64_Nhdr	 note[2];
	char		 xen[4];
	uint32_t	 pvh[2];
	uint32_t	 pad;
	Elf64_Sym	 sym[3];
	char		 str[13];
};
#define	KERNEL_LEN	(offsetof(struct kernel_file, str) + 13)

void	make_kernel(struct kernel_file *k);

/* A module, with a section of each kind. */
enum {
	S_NULL, S_TEXT, S_DATA, S_BSS, S_RELA, S_REL, S_COMMENT, S_RELC,
	S_SYM, S_STR, S_NAMES, SECTIONS
};

struct module_file {
	Elf64_Ehdr	 eh;
	Elf64_Shdr	 sh[SECTIONS];
	uint8_t		 text[32];
	uint8_t		 data[16];
	Elf64_Rela	 rela[2];
	Elf64_Rel	 rel[1];
	Elf64_Rela	 relc[1];
	char		 comment[8];
	Elf64_Sym	 sym[4];
	char		 str[12];
	char		 names[20];
};
#define	MODULE_LEN	(offsetof(struct module_file, names) + 20)

void	make_module(struct module_file *m);

#define	TEST(name, text)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", text);			\
	}								\
	ATF_TC_BODY(name, tc)

#endif	/* !TESTS_VMM_BOOT_FAKE_H */
