/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Ports of the power management block and what else the ACPI tables name: for
 * pm.c, acpi.c and, through the C preprocessor, the tables' sources.  Numbers
 * without suffixes, for iasl.
 */

#ifndef PM_REG_H
#define	PM_REG_H

#define	PM_BASE		0x600
#define	PM_PORTS	0x10
#define	PM_EVT		0x600	/* PM1a status, enable: 2 bytes each */
#define	PM_CNT		0x604	/* PM1a control: 2 bytes */
#define	PM_TMR		0x608	/* timer: 4 bytes */

#define	PM_SLP_S5	5	/* SLP_TYP of S5 */

#define	PM_RESET	0xCF9
#define	PM_RESET_VALUE	6

#define	PM_PORT92	0x92	/* A20 and fast reset */
#define	PM_POST		0x80

/* What acpi.c tells the DSDT: struct acpi_machine lies here. */
#define	ACPI_MACHINE	0xE0040

/* MMIO below 4 GiB: all of it, PCI's; the upper part, VMBus's. */
#define	MMIO_LAST	0xFEBFFFFF
#define	MMIO_PCI_BASE	0xC0000000
#define	MMIO_PCI_SIZE	0x3EC00000
#define	MMIO_VMBUS_BASE	0xF8000000
#define	MMIO_VMBUS_SIZE	0x06C00000

#endif	/* !PM_REG_H */
