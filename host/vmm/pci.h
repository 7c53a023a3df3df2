/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the configuration of the IDE function (0:7.1) lets through to ide.c.
 * From any thread, without a lock.
 */

#ifndef VMM_PCI_H
#define	VMM_PCI_H

#include "vmm/vmm.h"

/* The bus-master registers: 16 ports, at the firmware's choice to begin with,
 * movable within this range. */
#define	VMM_PCI_BM_BASE		0xC000u
#define	VMM_PCI_BM_RANGE	0x1000u
#define	VMM_PCI_BM_PORTS	16u

/* The channel's ports (0x1F0 or 0x170 and so on) are decoded. */
bool	vmm_pci_ide_decodes(const struct vmm_pci *p, unsigned channel);
/* The function may read and write memory. */
bool	vmm_pci_ide_masters(const struct vmm_pci *p);
/* First of the bus-master ports; 0: they are not decoded. */
uint16_t vmm_pci_ide_ports(const struct vmm_pci *p);

#endif	/* !VMM_PCI_H */
