/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * ACPI tables as guests read them (ACPI 6.3, chapter 5), as far as acpi.c
 * itself makes them or fills something in; and what it tells the DSDT.
 */

#ifndef ACPI_REG_H
#define	ACPI_REG_H

#include <stddef.h>
#include <stdint.h>

#define	ACPI_PACKED	__attribute__((packed))

struct acpi_rsdp {
	char		ar_signature[8];	/* "RSD PTR " */
	uint8_t		ar_checksum;		/* of the first 20 bytes */
	char		ar_oem[6];
	uint8_t		ar_revision;
	uint32_t	ar_rsdt;
	uint32_t	ar_length;
	uint64_t	ar_xsdt;
	uint8_t		ar_checksum_all;
	uint8_t		ar_rsvd[3];
} ACPI_PACKED;
_Static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP");
_Static_assert(offsetof(struct acpi_rsdp, ar_xsdt) == 24, "RSDP");

struct acpi_header {
	char		ah_signature[4];
	uint32_t	ah_length;
	uint8_t		ah_revision;
	uint8_t		ah_checksum;
	char		ah_oem[6];
	char		ah_oem_table[8];
	uint32_t	ah_oem_revision;
	char		ah_creator[4];
	uint32_t	ah_creator_revision;
} ACPI_PACKED;
_Static_assert(sizeof(struct acpi_header) == 36, "header");
_Static_assert(offsetof(struct acpi_header, ah_checksum) == 9, "header");

struct acpi_xsdt {
	struct acpi_header ax_header;
	uint64_t	ax_entry[2];
} ACPI_PACKED;
_Static_assert(sizeof(struct acpi_xsdt) == 52, "XSDT");

/* FADT up to the last address that is filled in. */
struct acpi_fadt {
	struct acpi_header af_header;
	uint32_t	af_facs;
	uint32_t	af_dsdt;
	uint8_t		af_rsvd[88];
	uint64_t	af_xfacs;
	uint64_t	af_xdsdt;
} ACPI_PACKED;
_Static_assert(sizeof(struct acpi_fadt) == 148, "FADT");
_Static_assert(offsetof(struct acpi_fadt, af_xfacs) == 132, "FADT");

/* MADT's entry of a local APIC. */
struct acpi_lapic {
	uint8_t		al_type;
	uint8_t		al_length;
	uint8_t		al_uid;
	uint8_t		al_apic_id;
	uint32_t	al_flags;
} ACPI_PACKED;
_Static_assert(sizeof(struct acpi_lapic) == 8, "local APIC");

#define	ACPI_LAPIC		0
#define	ACPI_LAPIC_ENABLED	1u

/* At ACPI_MACHINE; acpi/dsdt.asl names its members. */
struct acpi_machine {
	uint32_t	am_magic;
	uint32_t	am_cpus;
	uint64_t	am_high_first;	/* MMIO above 4 GiB */
	uint64_t	am_high_last;
	uint64_t	am_high_size;
} ACPI_PACKED;
_Static_assert(sizeof(struct acpi_machine) == 32, "machine");

#define	ACPI_MACHINE_MAGIC	0x4D485648u	/* "HVHM" */

#endif	/* !ACPI_REG_H */
