/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * ACPI tables as a guest finds them: the scan for RSDP, sums, addresses,
 * CPUs; then through other eyes, iasl's disassembler, and ACPICA's
 * interpreter, which evaluates what guests evaluate.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_pc.h"
#include "vmm/acpi_reg.h"
#include "vmm/pm_reg.h"

static struct vmm pc;

static void
require_sum(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
	ATF_REQUIRE_EQ(0, sum);
}

static uint32_t
get(const void *p, size_t off, unsigned size)
{
	uint32_t val = 0;

	memcpy(&val, (const uint8_t *)p + off, size);
	return (val);
}

/* The table at gpa, whole and with a right sum. */
static const struct acpi_header *
table(uint64_t gpa, const char *signature)
{
	const struct acpi_header *h;

	ATF_REQUIRE(gpa >= VMM_ACPI_BASE && gpa < VMM_ACPI_TOP);
	h = (const struct acpi_header *)(pc.mem + gpa);
	ATF_REQUIRE(h->ah_length <= VMM_ACPI_TOP - gpa);
	ATF_REQUIRE_EQ(0, memcmp(h->ah_signature, signature, 4));
	require_sum(h, h->ah_length);
	return (h);
}

/* As guests look for it: the BIOS area, 16 bytes at a time. */
static const struct acpi_rsdp *
scan(void)
{

	for (uint32_t gpa = 0xE0000; gpa < 0x100000; gpa += 16)
		if (memcmp(pc.mem + gpa, "RSD PTR ", 8) == 0) {
			ATF_REQUIRE_EQ(vmm_acpi_rsdp(&pc), gpa);
			return ((const struct acpi_rsdp *)(pc.mem + gpa));
		}
	atf_tc_fail("no RSDP in the BIOS area");
}

static const struct acpi_header *
find(const char *signature)
{
	const struct acpi_rsdp *r = scan();
	const struct acpi_xsdt *x;
	uint64_t gpa;

	require_sum(r, 20);
	require_sum(r, r->ar_length);
	ATF_REQUIRE_EQ(2, r->ar_revision);
	x = (const struct acpi_xsdt *)table(r->ar_xsdt, "XSDT");
	for (size_t i = 0; i < (x->ax_header.ah_length - sizeof(x->ax_header)) /
	    sizeof(gpa); i++) {
		gpa = x->ax_entry[i];
		if (memcmp(pc.mem + gpa, signature, 4) == 0)
			return (table(gpa, signature));
	}
	atf_tc_fail("no %s", signature);
}

static void
install(unsigned cpus, bool pci)
{

	fake_pc_init(&pc);
	pc.cpus = cpus;
	ATF_REQUIRE_EQ(0, vmm_acpi_install(&pc, pci));
}

ATF_TC_WITHOUT_HEAD(fadt);
ATF_TC_BODY(fadt, tc)
{
	const struct acpi_header *f, *dsdt;
	uint32_t flags;

	install(1, false);
	f = find("FACP");
	dsdt = table(get(f, 140, 4), "DSDT");
	ATF_REQUIRE_EQ(get(f, 40, 4), get(f, 140, 4));
	ATF_REQUIRE_EQ(2, dsdt->ah_revision);
	ATF_REQUIRE_EQ(0, get(f, 36, 4) % 64);
	ATF_REQUIRE_EQ(0, memcmp(pc.mem + get(f, 36, 4), "FACS", 4));
	ATF_REQUIRE_EQ(64, get(pc.mem + get(f, 36, 4), 4, 4));

	ATF_REQUIRE_EQ(VMM_IRQ_SCI, get(f, 46, 2));
	ATF_REQUIRE_EQ(0, get(f, 48, 4));		/* no SMI command */
	ATF_REQUIRE_EQ(PM_EVT, get(f, 56, 4));
	ATF_REQUIRE_EQ(PM_CNT, get(f, 64, 4));
	ATF_REQUIRE_EQ(PM_TMR, get(f, 76, 4));
	ATF_REQUIRE_EQ(PM_EVT, get(f, 152, 4));
	ATF_REQUIRE_EQ(PM_CNT, get(f, 176, 4));
	ATF_REQUIRE_EQ(PM_TMR, get(f, 212, 4));
	ATF_REQUIRE_EQ(0x32, get(f, 108, 1));
	/* No 8042, no VGA, but an RTC; reset register; not "reduced". */
	ATF_REQUIRE_EQ(0x0005, get(f, 109, 2));
	flags = get(f, 112, 4);
	ATF_REQUIRE_EQ(1u << 10 | 1u << 8, flags & (1u << 20 | 1u << 10 |
	    1u << 8 | 1u << 4));
	ATF_REQUIRE_EQ(PM_RESET, get(f, 120, 4));
	ATF_REQUIRE_EQ(PM_RESET_VALUE, get(f, 128, 1));
}

/* One pass over MADT: CPUs in order, the rest as the machine is wired. */
static void
check_madt(unsigned cpus)
{
	const struct acpi_header *h = find("APIC");
	const uint8_t *p = (const uint8_t *)h;
	unsigned lapics = 0, ioapics = 0, overrides = 0, nmis = 0;

	ATF_REQUIRE_EQ(0xFEE00000, get(p, 36, 4));
	ATF_REQUIRE_EQ(1, get(p, 40, 4));
	for (uint32_t off = 44; off < h->ah_length; off += p[off + 1]) {
		ATF_REQUIRE(p[off + 1] >= 2);
		switch (p[off]) {
		case 0:
			ATF_REQUIRE_EQ(lapics, p[off + 2]);
			ATF_REQUIRE_EQ(lapics, p[off + 3]);
			ATF_REQUIRE_EQ(1, get(p, off + 4, 4));
			lapics++;
			break;
		case 1:
			ATF_REQUIRE_EQ(0xFEC00000, get(p, off + 4, 4));
			ATF_REQUIRE_EQ(0, get(p, off + 8, 4));
			ioapics++;
			break;
		case 2:
			if (p[off + 3] == 0) {
				ATF_REQUIRE_EQ(2, get(p, off + 4, 4));
				ATF_REQUIRE_EQ(0, get(p, off + 8, 2));
			} else {
				ATF_REQUIRE_EQ(VMM_IRQ_SCI, p[off + 3]);
				ATF_REQUIRE_EQ(VMM_IRQ_SCI,
				    get(p, off + 4, 4));
				/* Active high, level. */
				ATF_REQUIRE_EQ(0x0D, get(p, off + 8, 2));
			}
			overrides++;
			break;
		case 4:
			ATF_REQUIRE_EQ(0xFF, p[off + 2]);
			ATF_REQUIRE_EQ(1, p[off + 5]);
			nmis++;
			break;
		default:
			atf_tc_fail("MADT entry %u", p[off]);
		}
	}
	ATF_REQUIRE_EQ(cpus, lapics);
	ATF_REQUIRE_EQ(1, ioapics);
	ATF_REQUIRE_EQ(2, overrides);
	ATF_REQUIRE_EQ(1, nmis);
}

ATF_TC_WITHOUT_HEAD(madt);
ATF_TC_BODY(madt, tc)
{
	static const unsigned counts[] = { 1, 3, 64 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		install(counts[i], i % 2 != 0);
		check_madt(counts[i]);
	}
	pc.cpus = 65;
	ATF_REQUIRE_EQ(EINVAL, vmm_acpi_install(&pc, false));
	pc.cpus = 0;
	ATF_REQUIRE_EQ(EINVAL, vmm_acpi_install(&pc, false));
}

/* A start over finds tables as new, whatever the guest left there. */
ATF_TC_WITHOUT_HEAD(again);
ATF_TC_BODY(again, tc)
{
	static uint8_t first[0x20000];

	install(2, true);
	memcpy(first, pc.mem + VMM_ACPI_BASE, sizeof(first));
	memset(pc.mem + VMM_ACPI_BASE, 0xA5, sizeof(first));
	ATF_REQUIRE_EQ(0, vmm_acpi_install(&pc, true));
	ATF_REQUIRE_EQ(0, memcmp(first, pc.mem + VMM_ACPI_BASE,
	    sizeof(first)));
}

/* MMIO above 4 GiB stays clear of RAM. */
ATF_TC_WITHOUT_HEAD(high_window);
ATF_TC_BODY(high_window, tc)
{
	const struct acpi_machine *am =
	    (const struct acpi_machine *)(pc.mem + ACPI_MACHINE);

	install(1, false);
	ATF_REQUIRE_EQ(0xFE0000000, am->am_high_first);
	pc.high_mem = 0xFE0000000 - VMM_HIGH_BASE + 4096;
	ATF_REQUIRE_EQ(0, vmm_acpi_install(&pc, false));
	ATF_REQUIRE_EQ(0x1000000000, am->am_high_first);
	ATF_REQUIRE_EQ(am->am_high_size, am->am_high_last -
	    am->am_high_first + 1);
}

/* --- Through other eyes --- */

static void
dump(const char *name, const struct acpi_header *h)
{
	FILE *f;

	f = fopen(name, "w");
	ATF_REQUIRE(f != NULL);
	ATF_REQUIRE_EQ(1, fwrite(h, h->ah_length, 1, f));
	fclose(f);
}

static void
dump_all(void)
{
	const struct acpi_header *f = find("FACP");

	dump("facp.aml", f);
	dump("apic.aml", find("APIC"));
	dump("dsdt.aml", table(get(f, 140, 4), "DSDT"));
	dump("facs.aml", (const struct acpi_header *)(pc.mem + get(f, 36, 4)));
}

/* What a command says, both ways; it has to succeed. */
static const char *
run(const char *command)
{
	static char text[1 << 20];
	size_t n;
	FILE *f;
	char *line;

	ATF_REQUIRE(asprintf(&line, "{ %s\n} 2>&1", command) > 0);
	f = popen(line, "r");
	free(line);
	ATF_REQUIRE(f != NULL);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	ATF_REQUIRE_MSG(pclose(f) == 0, "%s: %s", command, text);
	return (text);
}

static void
require_in(const char *what, const char *text)
{

	ATF_REQUIRE_MSG(strstr(text, what) != NULL, "no \"%s\" in: %s", what,
	    text);
}

/* Taken apart and compiled again, a table is the same but for its head. */
static void
round_trip(const char *name)
{
	static uint8_t a[0x10000], b[0x10000];
	char *command;
	size_t na, nb;
	FILE *f;

	ATF_REQUIRE(asprintf(&command, "iasl -p back -d %s.aml && "
	    "iasl -p back -oa -vw 3150 back.dsl", name) > 0);
	run(command);
	free(command);
	ATF_REQUIRE(asprintf(&command, "%s.aml", name) > 0);
	f = fopen(command, "r");
	free(command);
	ATF_REQUIRE(f != NULL);
	na = fread(a, 1, sizeof(a), f);
	fclose(f);
	f = fopen("back.aml", "r");
	ATF_REQUIRE(f != NULL);
	nb = fread(b, 1, sizeof(b), f);
	fclose(f);
	ATF_REQUIRE_EQ(na, nb);
	ATF_REQUIRE_EQ(0, memcmp(a + 36, b + 36, na - 36));
}

ATF_TC(disassembles);
ATF_TC_HEAD(disassembles, tc)
{

	atf_tc_set_md_var(tc, "require.progs", "iasl");
}
ATF_TC_BODY(disassembles, tc)
{

	for (int pci = 0; pci < 2; pci++) {
		install(3, pci);
		dump_all();
		round_trip("facp");
		round_trip("apic");
		round_trip("facs");
		round_trip("dsdt");
	}
}

/*
 * acpiexec has memory of its own, all zeros.  So an SSDT brings what acpi.c
 * left there for the DSDT, as bytes: both must mean the same by them.
 */
static void
make_ssdt(void)
{
	FILE *f;

	f = fopen("ssdt.asl", "w");
	ATF_REQUIRE(f != NULL);
	fprintf(f, "DefinitionBlock (\"\", \"SSDT\", 2, \"TEST\", \"TEST\", 1)"
	    "\n{\n    OperationRegion (RAWM, SystemMemory, 0x%X, %zu)\n"
	    "    Field (RAWM, ByteAcc, NoLock, Preserve) { RAWB, %zu }\n"
	    "    Method (FILL) {\n\tStore (Buffer () {", ACPI_MACHINE,
	    sizeof(struct acpi_machine), sizeof(struct acpi_machine) * 8);
	for (size_t i = 0; i < sizeof(struct acpi_machine); i++)
		fprintf(f, "%s%u", i == 0 ? "" : ",",
		    pc.mem[ACPI_MACHINE + i]);
	fprintf(f, "}, RAWB)\n    }\n}\n");
	fclose(f);
	run("iasl ssdt.asl");
}

/* What the interpreter says, with all tables loaded. */
static const char *
interpret(const char *commands)
{
	const char *text;
	char *line;

	dump_all();
	make_ssdt();
	ATF_REQUIRE(asprintf(&line, "acpiexec -b 'evaluate \\FILL;%s' "
	    "dsdt.aml facp.aml apic.aml ssdt.aml </dev/null", commands) > 0);
	text = run(line);
	free(line);
	require_in("2 ACPI AML tables successfully acquired", text);
	ATF_REQUIRE(strstr(text, "Evaluation of \\FILL failed") == NULL);
	return (text);
}

static void
require_integer(const char *object, uint64_t val)
{
	const char *text;
	char *line, *want;

	ATF_REQUIRE(asprintf(&line, "evaluate %s", object) > 0);
	ATF_REQUIRE(asprintf(&want, "[Integer] = %016jX", (uintmax_t)val) > 0);
	text = strstr(interpret(line), "Evaluating \\_SB");
	ATF_REQUIRE(text != NULL);
	require_in(want, text);
	free(line);
	free(want);
}

static void
interpreter(atf_tc_t *tc)
{

	atf_tc_set_md_var(tc, "require.progs", "acpiexec iasl");
}

ATF_TC(cpus_present);
ATF_TC_HEAD(cpus_present, tc)
{

	interpreter(tc);
}
ATF_TC_BODY(cpus_present, tc)
{

	install(3, false);
	require_integer("\\_SB.CP00._STA", 0x0F);
	require_integer("\\_SB.CP02._STA", 0x0F);
	require_integer("\\_SB.CP03._STA", 0);
	require_integer("\\_SB.CP3F._STA", 0);
	require_integer("\\_SB.CP3F._UID", 63);
	install(64, true);
	require_integer("\\_SB.CP3F._STA", 0x0F);
}

static void
check_vmbus(const char *parent)
{
	const char *text;
	char *line;

	ATF_REQUIRE(asprintf(&line, "evaluate %s.VMBS._HID;"
	    "evaluate %s.VMBS._CID;evaluate %s.VMBS._CRS", parent, parent,
	    parent) > 0);
	text = interpret(line);
	free(line);
	/* ACPICA makes capitals of a _HID. */
	text = strstr(text, "VMBS._HID");
	ATF_REQUIRE(text != NULL);
	require_in("= \"VMBUS\"", text);
	text = strstr(text, "VMBS._CID");
	ATF_REQUIRE(text != NULL);
	require_in("= \"VMBUS\"", text);
	text = strstr(text, "VMBS._CRS");
	ATF_REQUIRE(text != NULL);
	require_in("[Buffer] Length 02", text);
	ATF_REQUIRE(asprintf(&line, "%s.VMBS._STA", parent) > 0);
	require_integer(line, 0x0F);
	free(line);
	ATF_REQUIRE(asprintf(&line, "%s.VMBS._CCA", parent) > 0);
	require_integer(line, 1);
	free(line);
}

ATF_TC(without_pci);
ATF_TC_HEAD(without_pci, tc)
{

	interpreter(tc);
}
ATF_TC_BODY(without_pci, tc)
{
	const char *text;

	install(2, false);
	check_vmbus("\\_SB.VMOD");
	text = interpret("resources \\_SB.VMOD");
	require_in("Address Minimum : F8000000", text);
	require_in("Address Maximum : FEBFFFFF", text);
	require_in("Address Minimum : 0000000FE0000000", text);
	require_in("Address Maximum : 0000000FFFFFFFFF", text);
	require_in("Address Length : 0000000020000000", text);
	text = interpret("evaluate \\_S5;namespace");
	require_in("[Integer] = 0000000000000005", text);
	ATF_REQUIRE(strstr(text, "PCI0") == NULL);
}

ATF_TC(with_pci);
ATF_TC_HEAD(with_pci, tc)
{

	interpreter(tc);
}
ATF_TC_BODY(with_pci, tc)
{
	const char *text;

	install(2, true);
	check_vmbus("\\_SB.PCI0");
	text = interpret("resources \\_SB.PCI0");
	require_in("Address Minimum : C0000000", text);
	require_in("Address Maximum : FEBFFFFF", text);
	require_in("Address Minimum : 0CF8", text);
	require_in("Bus Number Range", text);
	text = interpret("namespace");
	ATF_REQUIRE(strstr(text, "VMOD") == NULL);
}

/* Ports and interrupts of what is not found by asking. */
ATF_TC(fixed_devices);
ATF_TC_HEAD(fixed_devices, tc)
{

	interpreter(tc);
}
ATF_TC_BODY(fixed_devices, tc)
{
	const char *text;

	install(1, true);
	text = interpret("resources \\_SB.COM1");
	require_in("Address Minimum : 03F8", text);
	require_in("Interrupt List : 4", text);
	text = interpret("resources \\_SB.RTC0");
	require_in("Address Minimum : 0070", text);
	ATF_REQUIRE(strstr(text, "Interrupt List") == NULL);
	text = interpret("resources \\_SB.TIMR");
	require_in("Address Minimum : 0040", text);
	text = interpret("resources \\_SB.SYSR");
	require_in("Address Minimum : 0600", text);
	require_in("Address Minimum : 0092", text);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, fadt);
	ATF_TP_ADD_TC(tp, madt);
	ATF_TP_ADD_TC(tp, again);
	ATF_TP_ADD_TC(tp, high_window);
	ATF_TP_ADD_TC(tp, disassembles);
	ATF_TP_ADD_TC(tp, cpus_present);
	ATF_TP_ADD_TC(tp, without_pci);
	ATF_TP_ADD_TC(tp, with_pci);
	ATF_TP_ADD_TC(tp, fixed_devices);
	return (atf_no_error());
}
