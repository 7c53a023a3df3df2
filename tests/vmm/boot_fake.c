/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A machine that is memory alone, and the files that are loaded into it.
 */

#include <sys/mman.h>

#include <atf-c.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boot_fake.h"

struct vmm {
	uint8_t		*low;
	uint8_t		*high;
	uint64_t	 lowlen;
	uint64_t	 highlen;
};

static struct vmm vmm;
struct vmm_boot *boot;
struct vmm_boot_regs regs;
char boot_error[512];

void *
vmm_ptr(struct vmm *m, uint64_t gpa, uint64_t len)
{

	if (gpa >= VMM_HIGH_BASE) {
		gpa -= VMM_HIGH_BASE;
		return (gpa > m->highlen || len > m->highlen - gpa ? NULL :
		    m->high + gpa);
	}
	return (gpa > m->lowlen || len > m->lowlen - gpa ? NULL : m->low + gpa);
}

uint64_t
vmm_low_mem(const struct vmm *m)
{

	return (m->lowlen);
}

uint64_t
vmm_high_mem(const struct vmm *m)
{

	return (m->highlen);
}

uint64_t
vmm_acpi_rsdp(const struct vmm *m)
{

	return (RSDP);
}

static uint8_t *
memory(uint64_t len)
{
	void *p;

	if (len == 0)
		return (NULL);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ATF_REQUIRE(p != MAP_FAILED);
	return (p);
}

void
machine(uint64_t low, uint64_t high)
{

	vmm = (struct vmm){ memory(low), memory(high), low, high };
}

void
machine_end(void)
{

	if (boot != NULL)
		vmm_boot_free(boot);
	boot = NULL;
	munmap(vmm.low, vmm.lowlen);
	if (vmm.high != NULL)
		munmap(vmm.high, vmm.highlen);
}

/* No two pieces share a byte, whatever was loaded. */
static void
check_pieces(void)
{
	const struct vmm_boot_piece *p, *q;

	for (p = boot->piece; p < boot->piece + boot->npieces; p++)
		for (q = boot->piece; q < p; q++)
			ATF_CHECK_MSG(p->gpa + p->len <= q->gpa ||
			    q->gpa + q->len <= p->gpa, "%#jx+%zx %#jx+%zx",
			    (uintmax_t)p->gpa, p->len, (uintmax_t)q->gpa,
			    q->len);
}

void
start(const struct vmm_boot_params *bp)
{
	int error;

	error = vmm_boot_load(&vmm, bp, &boot, boot_error, sizeof(boot_error));
	ATF_REQUIRE_MSG(error == 0, "%s", boot_error);
	ATF_REQUIRE_EQ(0, vmm_boot_start(boot, &regs));
	check_pieces();
}

void
refused(const struct vmm_boot_params *bp, const char *text)
{
	int error;

	boot_error[0] = '\0';
	error = vmm_boot_load(&vmm, bp, &boot, boot_error, sizeof(boot_error));
	if (error == 0) {
		vmm_boot_free(boot);
		boot = NULL;
	}
	ATF_CHECK_MSG(error != 0, "loads: %s", text);
	ATF_CHECK_MSG(strstr(boot_error, text) != NULL, "\"%s\" lacks \"%s\"",
	    boot_error, text);
}

bool
survives(const struct vmm_boot_params *bp, const char *names)
{
	int error;

	boot_error[0] = '\0';
	error = vmm_boot_load(&vmm, bp, &boot, boot_error, sizeof(boot_error));
	if (error == 0) {
		check_pieces();
		vmm_boot_free(boot);
		boot = NULL;
		return (true);
	}
	ATF_CHECK_MSG(strstr(boot_error, names) != NULL, "\"%s\" lacks \"%s\"",
	    boot_error, names);
	return (false);
}

const void *
at(uint64_t gpa, uint64_t len)
{
	const void *p = vmm_ptr(&vmm, gpa, len);

	ATF_REQUIRE_MSG(p != NULL, "nothing at %#jx", (uintmax_t)gpa);
	return (p);
}

uint64_t
u64_at(uint64_t gpa)
{
	uint64_t v;

	memcpy(&v, at(gpa, sizeof(v)), sizeof(v));
	return (v);
}

uint32_t
u32_at(uint64_t gpa)
{
	uint32_t v;

	memcpy(&v, at(gpa, sizeof(v)), sizeof(v));
	return (v);
}

void
save(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ(len, write(fd, data, len));
	close(fd);
}

static void
fill(uint8_t *p, size_t len, uint8_t first)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = first + i * 7;
}

static void
make_header(Elf64_Ehdr *eh, uint16_t type)
{

	memcpy(eh->e_ident, "\177ELF\2\1\1\11", 8);
	eh->e_type = type;
	eh->e_machine = 62;
	eh->e_version = 1;
	eh->e_ehsize = 64;
	eh->e_phentsize = 56;
	eh->e_shentsize = 64;
}

void
make_kernel(struct kernel_file *k)
{

	memset(k, 0, sizeof(*k));
	make_header(&k->eh, ET_EXEC);
	k->eh.e_entry = KERNBASE + 0x200010;
	k->eh.e_phoff = offsetof(struct kernel_file, ph);
	k->eh.e_phnum = 4;
	k->eh.e_shoff = offsetof(struct kernel_file, sh);
	k->eh.e_shnum = 4;
	k->ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X,
	    .p_offset = offsetof(struct kernel_file, text),
	    .p_vaddr = KERNBASE + 0x200000, .p_paddr = 0x200000,
	    .p_filesz = sizeof(k->text), .p_memsz = sizeof(k->text) };
	k->ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W,
	    .p_offset = offsetof(struct kernel_file, data),
	    .p_vaddr = KERNBASE + 0x400000, .p_paddr = 0x400000,
	    .p_filesz = sizeof(k->data), .p_memsz = 0x3003 };
	k->ph[2] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_align = 4,
	    .p_offset = offsetof(struct kernel_file, note), .p_filesz = 36 };
	k->ph[3] = (Elf64_Phdr){ .p_type = PT_GNU_STACK };
	/* An empty note of nobody in front of Xen's. */
	k->note[1] = (Elf64_Nhdr){ 4, 8, 18 };
	memcpy(k->xen, "Xen", 4);
	k->pvh[0] = 0x200020;
	k->sh[1] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS,
	    .sh_flags = SHF_ALLOC, .sh_addr = KERNBASE + 0x200000,
	    .sh_offset = offsetof(struct kernel_file, text),
	    .sh_size = sizeof(k->text) };
	k->sh[2] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_link = 3,
	    .sh_offset = offsetof(struct kernel_file, sym),
	    .sh_size = sizeof(k->sym), .sh_entsize = 24 };
	k->sh[3] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
	    .sh_offset = offsetof(struct kernel_file, str),
	    .sh_size = sizeof(k->str) };
	fill(k->text, sizeof(k->text), 1);
	fill(k->data, sizeof(k->data), 2);
	fill((uint8_t *)k->sym, sizeof(k->sym), 3);
	memcpy(k->str, "\0btext\0etext", sizeof(k->str));
}

static void
section(struct module_file *m, unsigned i, uint32_t type, uint64_t flags,
    const void *where, uint64_t size, uint64_t align)
{

	m->sh[i].sh_type = type;
	m->sh[i].sh_flags = flags;
	m->sh[i].sh_offset = (const uint8_t *)where - (const uint8_t *)m;
	m->sh[i].sh_size = size;
	m->sh[i].sh_addralign = align;
}

void
make_module(struct module_file *m)
{

	memset(m, 0, sizeof(*m));
	make_header(&m->eh, ET_REL);
	m->eh.e_phentsize = 0;
	m->eh.e_shoff = offsetof(struct module_file, sh);
	m->eh.e_shnum = SECTIONS;
	m->eh.e_shstrndx = S_NAMES;
	section(m, S_TEXT, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, m->text,
	    30, 16);
	section(m, S_DATA, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, m->data, 10, 8);
	section(m, S_BSS, SHT_NOBITS, SHF_ALLOC | SHF_WRITE, m->data, 5000, 64);
	section(m, S_RELA, SHT_RELA, SHF_INFO_LINK, m->rela, 48, 8);
	m->sh[S_RELA].sh_info = S_TEXT;
	section(m, S_REL, SHT_REL, 0, m->rel, 16, 8);
	m->sh[S_REL].sh_info = S_DATA;
	section(m, S_COMMENT, SHT_PROGBITS, 0, m->comment, 8, 1);
	section(m, S_RELC, SHT_RELA, 0, m->relc, 24, 8);
	m->sh[S_RELC].sh_info = S_COMMENT;
	section(m, S_SYM, SHT_SYMTAB, 0, m->sym, 96, 8);
	m->sh[S_SYM].sh_link = S_STR;
	section(m, S_STR, SHT_STRTAB, 0, m->str, 11, 1);
	section(m, S_NAMES, SHT_STRTAB, 0, m->names, 20, 0);
	fill(m->text, sizeof(m->text), 4);
	fill(m->data, sizeof(m->data), 5);
	fill((uint8_t *)m->rela, sizeof(m->rela), 6);
	fill((uint8_t *)m->rel, sizeof(m->rel), 7);
	fill((uint8_t *)m->sym, sizeof(m->sym), 8);
	memcpy(m->str, "\0init\0exit", 11);
	memcpy(m->names, "\0.text\0.data\0.bss", 18);
}
