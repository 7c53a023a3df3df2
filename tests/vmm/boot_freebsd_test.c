/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a FreeBSD kernel finds when it starts: itself, the page tables, the
 * records, its environment, modules and a memory disk.
 */

#include <atf-c.h>
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
	save("a.ko", &mf, MODULE_LEN);
	bp = (struct vmm_boot_params){ .kernel = "kernel" };
}

static uint64_t
modulep(void)
{

	return (u32_at(regs.rsp + 4));
}

/*
 * The data of the record of this type, of the nth file (0: the kernel); its
 * size goes to *size.  0: there is none.
 */
static uint64_t
record(unsigned nth, uint32_t type, uint32_t *size)
{
	uint64_t p = modulep();
	unsigned files = 0;
	uint32_t t, len;

	ATF_REQUIRE_EQ(1, u32_at(p));
	for (;;) {
		t = u32_at(p);
		len = u32_at(p + 4);
		if (t == 0 && len == 0)
			return (0);
		if (t == 1)
			files++;
		if (files == nth + 1 && t == type) {
			*size = len;
			return (p + 8);
		}
		p += 8 + (len + 7) / 8 * 8;
	}
}

static uint64_t
record_u64(unsigned nth, uint32_t type)
{
	uint32_t size;
	uint64_t p = record(nth, type, &size);

	ATF_REQUIRE_MSG(p != 0, "no record %#x", type);
	ATF_REQUIRE_EQ(8, size);
	return (u64_at(p));
}

static bool
record_is(unsigned nth, uint32_t type, const char *text)
{
	uint32_t size;
	uint64_t p = record(nth, type, &size);

	return (p != 0 && size == strlen(text) + 1 &&
	    memcmp(at(p, size), text, size) == 0);
}

static uint32_t
howto(void)
{
	uint32_t size;
	uint64_t p = record(0, 0x8007, &size);

	ATF_REQUIRE(p != 0 && size == 4);
	return (u32_at(p));
}

/* How many times this stands in the environment. */
static unsigned
env_has(const char *var)
{
	const char *p = at(record_u64(0, 0x8006), 4096);
	unsigned n = 0;

	for (; *p != '\0'; p += strlen(p) + 1)
		n += strcmp(p, var) == 0;
	return (n);
}

TEST(kernel, "segments, stack and records of a kernel alone")
{
	uint64_t kernend, ssym;
	uint32_t size;

	setup();
	start(&bp);
	ATF_CHECK_EQ(KERNBASE + 0x200010, regs.rip);
	ATF_CHECK(memcmp(at(0x200000, 1272), kf.text, 1272) == 0);
	ATF_CHECK(memcmp(at(0x400000, 256), kf.data, 256) == 0);
	ATF_CHECK_EQ(0, u64_at(0x400100));
	ATF_CHECK_STREQ("FreeBSD kernel", vmm_boot_name(boot));

	ATF_CHECK(record_is(0, 1, "/boot/kernel/kernel"));
	ATF_CHECK(record_is(0, 2, "elf kernel"));
	ATF_CHECK_EQ(0x200000, record_u64(0, 3));
	ATF_CHECK_EQ(0, record(1, 1, &size));
	ATF_CHECK(record(0, 0x8002, &size) != 0);
	ATF_CHECK_EQ(64, size);
	ATF_CHECK_EQ(modulep(), record_u64(0, 0x9006));

	/* After bss, which ends at 0x403003: 72 bytes, then 13. */
	ssym = record_u64(0, 0x8003);
	ATF_CHECK_EQ(0x403008, ssym);
	ATF_CHECK_EQ(72, u64_at(ssym));
	ATF_CHECK(memcmp(at(ssym + 8, 72), kf.sym, 72) == 0);
	ATF_CHECK_EQ(13, u64_at(ssym + 80));
	ATF_CHECK(memcmp(at(ssym + 88, 13), kf.str, 13) == 0);
	ATF_CHECK_EQ(ssym + 88 + 16, record_u64(0, 0x8004));
	ATF_CHECK_EQ(ssym + 88 + 16 - 0x200000, record_u64(0, 4));

	kernend = u32_at(regs.rsp + 8);
	ATF_CHECK_EQ(kernend, record_u64(0, 0x8008));
	ATF_CHECK_EQ(0, kernend % 4096);
	ATF_CHECK_EQ(0, modulep() % 4096);
	for (unsigned i = 0; i < boot->npieces; i++)
		ATF_CHECK(boot->piece[i].gpa + boot->piece[i].len <= kernend);
	machine_end();
}

TEST(again, "a second start finds what the first one found")
{
	uint64_t rip;

	setup();
	start(&bp);
	rip = regs.rip;
	ATF_REQUIRE_EQ(0, unlink("kernel"));
	memset((void *)(uintptr_t)at(0x200000, 1272), 0, 1272);
	ATF_REQUIRE_EQ(0, vmm_boot_start(boot, &regs));
	ATF_CHECK_EQ(rip, regs.rip);
	ATF_CHECK(memcmp(at(0x200000, 1272), kf.text, 1272) == 0);
	machine_end();
}

/* What long mode makes of an address; UINT64_MAX: not mapped. */
static uint64_t
walk(uint64_t va)
{
	uint64_t e = regs.cr3;
	int shift;

	for (shift = 39; shift >= 21; shift -= 9) {
		e = u64_at((e & 0xffffffffff000ull) +
		    (va >> shift & 511) * 8);
		if ((e & 3) != 3)
			return (UINT64_MAX);
		if ((e & 0x80) != 0)
			return ((e & 0xfffffffe00000ull) |
			    (va & ((1ull << shift) - 1)));
	}
	return (UINT64_MAX);
}

TEST(page_tables, "low memory and KERNBASE are mapped, by 2 MiB pages")
{

	setup();
	start(&bp);
	ATF_CHECK_EQ(0x200010, walk(regs.rip));
	ATF_CHECK_EQ(0x200000, walk(KERNBASE + 0x200000));
	ATF_CHECK_EQ(0x3fffffff, walk(KERNBASE + 0x3fffffff));
	ATF_CHECK_EQ(regs.rsp, walk(regs.rsp));
	ATF_CHECK_EQ(0x12345678, walk(0x12345678));
	ATF_CHECK_EQ(0x00AF9B000000FFFFull, u64_at(regs.gdt + 0x10));
	machine_end();
}

TEST(memory_map, "the memory map, 20 bytes an entry")
{
	struct vmm_e820 map[VMM_E820_MAX];
	unsigned i, n;
	uint32_t size;
	uint64_t p;

	setup();
	machine_end();
	machine(64 * MIB, 16 * MIB);
	start(&bp);
	n = vmm_boot_e820(boot->m, map);
	p = record(0, 0x9001, &size);
	ATF_CHECK_EQ(20 * n, size);
	for (i = 0; i < n; i++) {
		ATF_CHECK_EQ(map[i].base, u64_at(p + 20 * i));
		ATF_CHECK_EQ(map[i].len, u64_at(p + 20 * i + 8));
		ATF_CHECK_EQ(map[i].type, u32_at(p + 20 * i + 16));
	}
	machine_end();
}

TEST(without_symbols, "a stripped kernel boots without symbols")
{
	uint32_t size;

	setup();
	kf.eh.e_shnum = 0;
	save("kernel", &kf, KERNEL_LEN);
	start(&bp);
	ATF_CHECK_EQ(0, record(0, 0x8003, &size));
	ATF_CHECK_EQ(0, record(0, 0x8004, &size));
	ATF_CHECK_EQ(0x403008 - 0x200000, record_u64(0, 4));
	machine_end();
}

TEST(by_note, "FreeBSD's note does what the OS ABI does")
{
	static const char note[] = "\10\0\0\0\4\0\0\0\1\0\0\0FreeBSD\0\1\2\3";

	setup();
	kf.eh.e_ident[EI_OSABI] = 0;
	memcpy(kf.note, note, sizeof(note) - 1);
	kf.ph[2].p_filesz = 24;
	save("kernel", &kf, KERNEL_LEN);
	start(&bp);
	ATF_CHECK_STREQ("FreeBSD kernel", vmm_boot_name(boot));
	machine_end();
}

TEST(defaults, "variables a loader would set")
{
	static const char *const vars[] = { "acpi.rsdp=0xe1230",
	    "kernelname=/boot/kernel/kernel", "console=comconsole",
	    "hint.uart.0.at=isa", "hint.uart.0.port=0x3F8",
	    "hint.uart.0.irq=4", "hint.uart.0.flags=0x10",
	    "hint.atrtc.0.at=isa", "hint.atrtc.0.port=0x70",
	    "hint.atrtc.0.irq=8", "hint.attimer.0.at=isa",
	    "hint.attimer.0.port=0x40", "hint.attimer.0.irq=0" };
	unsigned i;

	setup();
	start(&bp);
	for (i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
		ATF_CHECK_MSG(env_has(vars[i]) == 1, "%s", vars[i]);
	ATF_CHECK_EQ(0x1000, howto());
	machine_end();
}

TEST(variables, "the user's override ours; of two the last counts")
{

	setup();
	bp.kenv[bp.nkenv++] = "a=1";
	bp.kenv[bp.nkenv++] = "hint.uart.0.port=0x2F8";
	bp.kenv[bp.nkenv++] = "a=2";
	bp.kenv[bp.nkenv++] = "ab=3=4";
	bp.kenv[bp.nkenv++] = "empty=";
	bp.kenv[bp.nkenv++] = "acpi.rsdp=0x1";
	start(&bp);
	ATF_CHECK_EQ(0, env_has("a=1"));
	ATF_CHECK_EQ(1, env_has("a=2"));
	ATF_CHECK_EQ(1, env_has("ab=3=4"));
	ATF_CHECK_EQ(1, env_has("empty="));
	ATF_CHECK_EQ(0, env_has("hint.uart.0.port=0x3F8"));
	ATF_CHECK_EQ(1, env_has("hint.uart.0.port=0x2F8"));
	ATF_CHECK_EQ(1, env_has("hint.uart.0.irq=4"));
	ATF_CHECK_EQ(1, env_has("acpi.rsdp=0x1"));
	ATF_CHECK_EQ(0, env_has("acpi.rsdp=0xe1230"));
	machine_end();
}

static void
check_howto(const char *a, const char *b, uint32_t flags)
{

	bp.nkenv = 0;
	bp.kenv[bp.nkenv++] = a;
	if (b != NULL)
		bp.kenv[bp.nkenv++] = b;
	start(&bp);
	ATF_CHECK_MSG(howto() == flags, "%s: %#x", a, howto());
	vmm_boot_free(boot);
	boot = NULL;
}

TEST(boot_flags, "variables that become flags of the boot")
{

	setup();
	check_howto("boot_verbose=YES", NULL, 0x1800);
	check_howto("boot_single=1", "boot_ddb=", 0x1042);
	check_howto("boot_verbose=no", NULL, 0x1000);
	check_howto("boot_verbose=NO", "boot_mute=yes", 0x11000);
	check_howto("boot_askname=y", "boot_gdb=y", 0x9001);
	check_howto("boot_multicons=y", "boot_pause=y", 0x20101000);
	check_howto("boot_cdrom=y", "boot_dfltroot=y", 0x3020);
	check_howto("boot_mutemsgs=y", "not_boot_single=y", 0x801000);
	check_howto("console=vidconsole", NULL, 0);
	check_howto("console=vidconsole", "boot_serial=YES", 0x20000000);
	check_howto("console=comconsole,vidconsole", NULL, 0x20001000);
	check_howto("console=vidconsole comconsole", NULL, 0x20000000);
	check_howto("console=nullconsole", NULL, 0x10000);
	check_howto("console=", NULL, 0);
	machine_end();
}

TEST(bad_variables, "variables the kernel would not take")
{
	char longname[140], longvalue[140];

	setup();
	bp.nkenv = 1;
	bp.kenv[0] = "novalue";
	refused(&bp, "--kenv novalue: is not NAME=VALUE");
	bp.kenv[0] = "=x";
	refused(&bp, "--kenv =x: is not NAME=VALUE");
	bp.kenv[0] = "";
	refused(&bp, "is not NAME=VALUE");
	bp.kenv[0] = "a b=x";
	refused(&bp, "--kenv a b=x: there is a blank in the name");
	memset(longname, 'n', sizeof(longname));
	snprintf(longname + 129, sizeof(longname) - 129, "=1");
	bp.kenv[0] = longname;
	refused(&bp, "name is longer than 128");
	bp.kenv[0] = longname + 1;
	start(&bp);
	ATF_CHECK_EQ(1, env_has(longname + 1));
	vmm_boot_free(boot);
	boot = NULL;
	memset(longvalue, 'v', sizeof(longvalue));
	memcpy(longvalue, "v=", 2);
	longvalue[131] = '\0';
	bp.kenv[0] = longvalue;
	refused(&bp, "--kenv v: the value is longer than 128");
	longvalue[130] = '\0';
	start(&bp);
	ATF_CHECK_EQ(1, env_has(longvalue));
	machine_end();
}

/* The module of make_module() as the nth file, laid out by hand. */
static void
check_module(unsigned nth, const char *name)
{
	static const uint64_t ofs[SECTIONS] = { [S_TEXT] = 0, [S_DATA] = 0x20,
	    [S_BSS] = 0x40, [S_SYM] = 0x13c8, [S_STR] = 0x1428,
	    [S_NAMES] = 0x1433, [S_RELA] = 0x1448, [S_REL] = 0x1478 };
	uint64_t addr = record_u64(nth, 3), sh;
	uint32_t size;
	unsigned i;

	ATF_CHECK(record_is(nth, 1, name));
	ATF_CHECK(record_is(nth, 2, "elf obj module"));
	ATF_CHECK_EQ(0, addr % 4096);
	ATF_CHECK_EQ(0x1488, record_u64(nth, 4));
	ATF_CHECK(memcmp(at(record(nth, 0x8002, &size), 64), &mf.eh, 64) == 0);
	ATF_CHECK_EQ(64, size);
	sh = record(nth, 0x8009, &size);
	ATF_CHECK_EQ(64 * SECTIONS, size);
	for (i = 0; i < SECTIONS; i++) {
		bool loaded = i != S_NULL && i != S_COMMENT && i != S_RELC;

		/* type, flags as in the file, sh_addr ours */
		ATF_CHECK_EQ(mf.sh[i].sh_type, u32_at(sh + 64 * i + 4));
		ATF_CHECK_EQ(mf.sh[i].sh_size, u64_at(sh + 64 * i + 32));
		ATF_CHECK_EQ(loaded ? addr + ofs[i] : 0,
		    u64_at(sh + 64 * i + 16));
		if (loaded && i != S_BSS)
			ATF_CHECK(memcmp(at(addr + ofs[i], mf.sh[i].sh_size),
			    (uint8_t *)&mf + mf.sh[i].sh_offset,
			    mf.sh[i].sh_size) == 0);
	}
	for (i = 0; i < 5000; i += 8)
		ATF_CHECK_EQ(0, u64_at(addr + 0x40 + i));
}

TEST(modules, "sections of modules, each with its address")
{
	uint32_t size;

	setup();
	save("b.ko", &mf, MODULE_LEN);
	bp.modules[bp.nmodules++] = "./a.ko";
	bp.modules[bp.nmodules++] = "b.ko";
	start(&bp);
	check_module(1, "a.ko");
	check_module(2, "b.ko");
	ATF_CHECK_EQ(0, record(3, 1, &size));
	ATF_CHECK(record_u64(2, 3) >= record_u64(1, 3) + record_u64(1, 4));
	machine_end();
}

TEST(one_string_table, "names of symbols and sections in one table")
{
	uint64_t sh;
	uint32_t size;

	setup();
	mf.eh.e_shstrndx = S_STR;
	mf.sh[S_NAMES].sh_type = SHT_PROGBITS;
	save("a.ko", &mf, MODULE_LEN);
	bp.modules[bp.nmodules++] = "a.ko";
	start(&bp);
	sh = record(1, 0x8009, &size);
	ATF_CHECK_EQ(record_u64(1, 3) + 0x1428, u64_at(sh + 64 * S_STR + 16));
	ATF_CHECK_EQ(0, u64_at(sh + 64 * S_NAMES + 16));
	ATF_CHECK_EQ(record_u64(1, 3) + 0x1438, u64_at(sh + 64 * S_RELA + 16));
	machine_end();
}

TEST(special_sections, "unwind tables and constructors are loaded")
{
	static const uint32_t types[] = { 14, 15, 0x70000001 };
	unsigned i;
	uint64_t sh;
	uint32_t size;

	setup();
	bp.modules[bp.nmodules++] = "a.ko";
	for (i = 0; i < 3; i++) {
		mf.sh[S_DATA].sh_type = types[i];
		save("a.ko", &mf, MODULE_LEN);
		start(&bp);
		sh = record(1, 0x8009, &size);
		ATF_CHECK_EQ(record_u64(1, 3) + 0x20,
		    u64_at(sh + 64 * S_DATA + 16));
		vmm_boot_free(boot);
		boot = NULL;
	}
	machine_end();
}

TEST(memory_disk, "a memory disk comes after the modules")
{
	static uint8_t disk[3 * 512];
	uint64_t addr;

	setup();
	memset(disk, 0x5a, sizeof(disk));
	save("root.img", disk, sizeof(disk));
	bp.modules[bp.nmodules++] = "a.ko";
	bp.mdroot = "./root.img";
	start(&bp);
	check_module(1, "a.ko");
	ATF_CHECK(record_is(2, 1, "root.img"));
	ATF_CHECK(record_is(2, 2, "md_image"));
	addr = record_u64(2, 3);
	ATF_CHECK_EQ(0, addr % 4096);
	ATF_CHECK_EQ(sizeof(disk), record_u64(2, 4));
	ATF_CHECK(memcmp(at(addr, sizeof(disk)), disk, sizeof(disk)) == 0);
	ATF_CHECK(modulep() >= addr + sizeof(disk));
	vmm_boot_free(boot);
	boot = NULL;
	save("root.img", disk, 1000);
	refused(&bp, "--mdroot ./root.img: 1000 bytes are no whole number");
	save("root.img", disk, 0);
	refused(&bp, "./root.img: is empty");
	bp.mdroot = "none.img";
	refused(&bp, "none.img: No such file");
	machine_end();
}

TEST(options, "options of other kernels are refused by name")
{

	setup();
	bp.initrd = "initrd.gz";
	refused(&bp, "--initrd initrd.gz: kernel is a FreeBSD kernel");
	bp.initrd = NULL;
	bp.cmdline = "quiet";
	refused(&bp, "--kenv");
	bp.cmdline = "";
	start(&bp);
	machine_end();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, kernel);
	ATF_TP_ADD_TC(tp, again);
	ATF_TP_ADD_TC(tp, page_tables);
	ATF_TP_ADD_TC(tp, memory_map);
	ATF_TP_ADD_TC(tp, without_symbols);
	ATF_TP_ADD_TC(tp, by_note);
	ATF_TP_ADD_TC(tp, defaults);
	ATF_TP_ADD_TC(tp, variables);
	ATF_TP_ADD_TC(tp, boot_flags);
	ATF_TP_ADD_TC(tp, bad_variables);
	ATF_TP_ADD_TC(tp, modules);
	ATF_TP_ADD_TC(tp, one_string_table);
	ATF_TP_ADD_TC(tp, special_sections);
	ATF_TP_ADD_TC(tp, memory_disk);
	ATF_TP_ADD_TC(tp, options);
	return (atf_no_error());
}
