/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* PVH: which kernels count as such, and what they find when they start. */

#include <atf-c.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boot_fake.h"

static struct kernel_file kf;
static struct vmm_boot_params bp;

/* make_kernel()'s, but nobody's OS ABI. */
static void
setup(void)
{

	machine(64 * MIB, 32 * MIB);
	make_kernel(&kf);
	kf.eh.e_ident[EI_OSABI] = 0;
	save("kernel", &kf, KERNEL_LEN);
	bp = (struct vmm_boot_params){ .kernel = "kernel" };
}

static void
stop(void)
{

	vmm_boot_free(boot);
	boot = NULL;
}

static void
bad_kernel(const char *text)
{

	save("kernel", &kf, KERNEL_LEN);
	refused(&bp, "kernel: ");
	refused(&bp, text);
	make_kernel(&kf);
	kf.eh.e_ident[EI_OSABI] = 0;
}

TEST(start_info, "entry, segments and start info without options")
{
	struct vmm_e820 map[VMM_E820_MAX];
	uint64_t si, p;
	unsigned i, n;

	setup();
	start(&bp);
	ATF_CHECK_STREQ("PVH", vmm_boot_name(boot));
	ATF_CHECK_EQ(0x200020, regs.rip);
	ATF_CHECK_EQ(0, regs.cr3);
	ATF_CHECK_EQ(0x00CF9B000000FFFFull, u64_at(regs.gdt + 0x20));
	ATF_CHECK(memcmp(at(0x200000, 1272), kf.text, 1272) == 0);
	ATF_CHECK(memcmp(at(0x400000, 256), kf.data, 256) == 0);
	si = regs.rbx;
	ATF_CHECK_EQ(0x336ec578, u32_at(si));
	ATF_CHECK_EQ(1, u32_at(si + 4));
	ATF_CHECK_EQ(0, u32_at(si + 8));
	ATF_CHECK_EQ(0, u32_at(si + 12));
	ATF_CHECK_EQ(0, u64_at(si + 16));
	ATF_CHECK_EQ(0, *(const char *)at(u64_at(si + 24), 1));
	ATF_CHECK_EQ(RSDP, u64_at(si + 32));
	n = vmm_boot_e820(boot->m, map);
	ATF_CHECK_EQ(n, u32_at(si + 48));
	ATF_CHECK_EQ(0, u32_at(si + 52));
	p = u64_at(si + 40);
	for (i = 0; i < n; i++) {
		ATF_CHECK_EQ(map[i].base, u64_at(p + 24 * i));
		ATF_CHECK_EQ(map[i].len, u64_at(p + 24 * i + 8));
		ATF_CHECK_EQ(map[i].type, u32_at(p + 24 * i + 16));
		ATF_CHECK_EQ(0, u32_at(p + 24 * i + 20));
	}
	machine_end();
}

TEST(initrd, "command line, and initial RAM disk at the top of memory")
{
	static uint8_t disk[5000];
	uint64_t mod;

	setup();
	memset(disk, 0xa5, sizeof(disk));
	save("initrd", disk, sizeof(disk));
	bp.initrd = "initrd";
	bp.cmdline = "console=ttyS0 quiet";
	start(&bp);
	ATF_CHECK_STREQ("console=ttyS0 quiet",
	    (const char *)at(u64_at(regs.rbx + 24), 20));
	ATF_CHECK_EQ(1, u32_at(regs.rbx + 12));
	mod = u64_at(regs.rbx + 16);
	ATF_CHECK_EQ(64 * MIB - 8192, u64_at(mod));
	ATF_CHECK_EQ(sizeof(disk), u64_at(mod + 8));
	ATF_CHECK(memcmp(at(u64_at(mod), 5000), disk, 5000) == 0);
	ATF_CHECK_EQ(0, u64_at(mod + 16));
	ATF_CHECK_EQ(0, u64_at(mod + 24));
	stop();
	/* Not into the kernel's bss, be it for a page that is not whole. */
	kf.ph[1].p_memsz = 60 * MIB - 5000;
	save("kernel", &kf, KERNEL_LEN);
	refused(&bp, "--initrd initrd: 5000 bytes do not fit");
	kf.ph[1].p_memsz = 60 * MIB - 8192;
	save("kernel", &kf, KERNEL_LEN);
	start(&bp);
	stop();
	bp.initrd = "none";
	refused(&bp, "none: No such file");
	machine_end();
}

TEST(elf32, "a 32-bit kernel")
{
	struct {
		Elf32_Ehdr	eh;
		Elf32_Phdr	ph[2];
		uint32_t	note[5];
		uint8_t		text[64];
	} f;

	setup();
	memset(&f, 0x90, sizeof(f));
	memset(&f.eh, 0, sizeof(f.eh));
	memcpy(f.eh.e_ident, "\177ELF\1\1\1", 8);
	f.eh.e_type = ET_EXEC;
	f.eh.e_machine = 3;
	f.eh.e_phoff = sizeof(f.eh);
	f.eh.e_phnum = 2;
	f.eh.e_phentsize = 32;
	f.ph[0] = (Elf32_Phdr){ .p_type = PT_LOAD, .p_paddr = 0x100000,
	    .p_vaddr = 0xc0100000, .p_filesz = 64, .p_memsz = 100,
	    .p_offset = (uint8_t *)f.text - (uint8_t *)&f };
	f.ph[1] = (Elf32_Phdr){ .p_type = PT_NOTE, .p_filesz = 20,
	    .p_offset = (uint8_t *)f.note - (uint8_t *)&f };
	memcpy(f.note, "\4\0\0\0\4\0\0\0\22\0\0\0Xen", 16);
	f.note[4] = 0x10003f;
	save("kernel", &f, sizeof(f));
	start(&bp);
	ATF_CHECK_EQ(0x10003f, regs.rip);
	ATF_CHECK(memcmp(at(0x100000, 64), f.text, 64) == 0);
	stop();
	f.note[4] = 0x100040;
	save("kernel", &f, sizeof(f));
	refused(&bp, "kernel: has its PVH entry at 0x100040, where none");
	f.eh.e_phentsize = 56;
	save("kernel", &f, sizeof(f));
	refused(&bp, "kernel: has ELF headers of a size unknown");
	f.eh.e_phentsize = 32;
	f.note[2] = 17;
	save("kernel", &f, sizeof(f));
	refused(&bp, "neither a Linux bzImage, nor");
	machine_end();
}

TEST(kinds, "a kernel that is another's is left to it, without a word")
{
	char err[100] = "";

	setup();
	start(&bp);
	ATF_CHECK_EQ(ENOEXEC, vmm_boot_freebsd(boot, &bp, &kf, KERNEL_LEN,
	    err, sizeof(err)));
	ATF_CHECK_STREQ("", err);
	kf.ph[2].p_filesz = 12;
	ATF_CHECK_EQ(ENOEXEC, vmm_boot_pvh(boot, &bp, &kf, KERNEL_LEN, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("", err);
	ATF_CHECK_EQ(ENOEXEC, vmm_boot_pvh(boot, &bp, "MZ and no more", 14,
	    err, sizeof(err)));
	ATF_CHECK_EQ(ENOEXEC, vmm_boot_freebsd(boot, &bp, "MZ and no more", 14,
	    err, sizeof(err)));
	/* Damaged, and not FreeBSD's as far as one can see. */
	kf.ph[2].p_filesz = 35;
	ATF_CHECK_EQ(ENOEXEC, vmm_boot_freebsd(boot, &bp, &kf, KERNEL_LEN,
	    err, sizeof(err)));
	ATF_CHECK_STREQ("", err);
	ATF_CHECK_EQ(EINVAL, vmm_boot_pvh(boot, &bp, &kf, KERNEL_LEN, err,
	    sizeof(err)));
	ATF_CHECK_STREQ("kernel: has an ELF note that is longer than its "
	    "segment", err);
	stop();
	/* FreeBSD's own carries the note as well. */
	make_kernel(&kf);
	save("kernel", &kf, KERNEL_LEN);
	start(&bp);
	ATF_CHECK_STREQ("FreeBSD kernel", vmm_boot_name(boot));
	machine_end();
}

TEST(notes, "notes that lie")
{

	setup();
	kf.note[0].n_namesz = UINT32_MAX;
	bad_kernel("note that is longer than its segment");
	kf.note[0].n_descsz = UINT32_MAX;
	bad_kernel("note that is longer than its segment");
	kf.note[1].n_descsz = 2;
	bad_kernel("has a PVH note of 2 bytes");
	kf.pvh[1] = 1;
	bad_kernel("has its PVH entry at 0x100200020, where none");
	kf.pvh[0] = 0x400100;
	bad_kernel("where none of it is loaded");
	kf.pvh[0] = 0;
	bad_kernel("where none of it is loaded");
	kf.ph[2].p_offset = KERNEL_LEN;
	bad_kernel("its notes are not in it");
	kf.ph[2].p_filesz = UINT64_MAX;
	bad_kernel("its notes are not in it");
	machine_end();
}

TEST(segments, "segments outside of memory or over each other")
{

	setup();
	kf.ph[1].p_paddr = 0xfffff;
	bad_kernel("below 1 MiB");
	kf.ph[1].p_paddr = 0;
	bad_kernel("below 1 MiB");
	kf.ph[1].p_paddr = 64 * MIB - 0x3002;
	bad_kernel("does not fit");
	kf.ph[1].p_paddr = VMM_HIGH_BASE;
	bad_kernel("does not fit");
	kf.ph[1].p_memsz = UINT64_MAX - 0x3fffff;
	bad_kernel("does not fit");
	kf.ph[1].p_paddr = 0x2004f7;
	bad_kernel("overlap");
	kf.ph[1].p_filesz = kf.ph[1].p_memsz + 1;
	bad_kernel("more bytes in the file");
	machine_end();
}

TEST(truncated, "a kernel cut off at every length")
{
	size_t len = KERNEL_LEN;

	setup();
	/* Symbols are not loaded, so they need not be there. */
	kf.eh.e_shnum = 0;
	save("kernel", &kf, KERNEL_LEN);
	while (len-- > offsetof(struct kernel_file, pad)) {
		ATF_REQUIRE_EQ(0, truncate("kernel", len));
		ATF_CHECK_MSG(survives(&bp, ""), "%s", boot_error);
	}
	do {
		ATF_REQUIRE_EQ(0, truncate("kernel", len));
		ATF_CHECK_MSG(!survives(&bp, "kernel: "), "%zu", len);
	} while (len-- > 0);
	machine_end();
}

TEST(flipped, "every byte of headers and notes another one")
{
	static const uint8_t to[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t *file = (uint8_t *)&kf, was;
	size_t i, j;

	setup();
	for (i = 0; i < offsetof(struct kernel_file, sym); i++) {
		if (i == offsetof(struct kernel_file, text))
			i = offsetof(struct kernel_file, note);
		was = file[i];
		for (j = 0; j < sizeof(to); j++) {
			file[i] = to[j];
			save("kernel", &kf, KERNEL_LEN);
			survives(&bp, "");
		}
		file[i] = was;
	}
	machine_end();
}

TEST(options, "FreeBSD's options, and a long command line, are refused")
{
	static char line[4097];

	setup();
	bp.modules[bp.nmodules++] = "x.ko";
	refused(&bp, "--module x.ko: only FreeBSD kernels take modules");
	bp.nmodules = 0;
	bp.mdroot = "root.img";
	refused(&bp, "--mdroot root.img: only FreeBSD kernels");
	bp.mdroot = NULL;
	bp.kenv[bp.nkenv++] = "a=b";
	refused(&bp, "--kenv a=b: only FreeBSD kernels");
	bp.nkenv = 0;
	memset(line, 'x', 4096);
	bp.cmdline = line;
	refused(&bp, "the command line has 4096 characters, the most is 4095");
	bp.cmdline = line + 1;
	start(&bp);
	ATF_CHECK_STREQ(line + 1,
	    (const char *)at(u64_at(regs.rbx + 24), 4096));
	machine_end();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, start_info);
	ATF_TP_ADD_TC(tp, initrd);
	ATF_TP_ADD_TC(tp, elf32);
	ATF_TP_ADD_TC(tp, kinds);
	ATF_TP_ADD_TC(tp, notes);
	ATF_TP_ADD_TC(tp, segments);
	ATF_TP_ADD_TC(tp, truncated);
	ATF_TP_ADD_TC(tp, flipped);
	ATF_TP_ADD_TC(tp, options);
	return (atf_no_error());
}
