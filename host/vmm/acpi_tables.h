/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The tables as acpi/mktables.py makes them of acpi/'s .asl files. */

#ifndef VMM_ACPI_TABLES_H
#define	VMM_ACPI_TABLES_H

#include <stddef.h>

struct acpi_table {
	const unsigned char *data;
	size_t		 len;
};

extern const struct acpi_table acpi_facs;
extern const struct acpi_table acpi_facp;
extern const struct acpi_table acpi_apic;
extern const struct acpi_table acpi_dsdt;
extern const struct acpi_table acpi_dsdt_pci;

#endif	/* !VMM_ACPI_TABLES_H */
