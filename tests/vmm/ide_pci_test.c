/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * PCI configuration as a guest finds it, and what it does to the IDE
 * controller's ports.
 */

#include <atf-c.h>

#include "ata.h"

ATF_TC_WITHOUT_HEAD(devices);
ATF_TC_BODY(devices, tc)
{
	unsigned found = 0;

	setup();
	for (unsigned dev = 0; dev < 32; dev++) {
		for (unsigned fn = 0; fn < 8; fn++)
			found += pci_read(dev, fn, 0, 4) != 0xFFFFFFFF;
	}
	ATF_CHECK_EQ(3, found);
	ATF_CHECK_EQ(0x71928086, pci_read(0, 0, 0, 4));
	ATF_CHECK_EQ(0x71108086, pci_read(7, 0, 0, 4));
	ATF_CHECK_EQ(0x71118086, pci_read(7, 1, 0, 4));
	ATF_CHECK_EQ(0xFFFFFFFF, pci_read(7, 3, 0, 4));
	ATF_CHECK_EQ(0x0600, pci_read(0, 0, 10, 2));
	ATF_CHECK_EQ(0x0601, pci_read(7, 0, 10, 2));
	/* Functions behind the first are only looked for with this bit. */
	ATF_CHECK_EQ(0x80, pci_read(7, 0, 14, 1));
	ATF_CHECK_EQ(0x010180, pci_read(7, 1, 8, 4) >> 8);
	/* As firmware leaves it: I/O and bus master on, both channels. */
	ATF_CHECK_EQ(0x0005, pci_read(7, 1, 4, 2) & 7);
	ATF_CHECK_EQ(0xC001, pci_read(7, 1, 0x20, 4));
	ATF_CHECK_EQ(0x80, pci_read(7, 1, 0x41, 1) & 0x80);
	ATF_CHECK_EQ(0x80, pci_read(7, 1, 0x43, 1) & 0x80);
	teardown();
}

ATF_TC_WITHOUT_HEAD(mechanism);
ATF_TC_BODY(mechanism, tc)
{

	setup();
	/* Not enabled, another bus, and an address in parts. */
	outl(0xCF8, 0x00000000);
	ATF_CHECK_EQ(0xFFFFFFFF, inl(0xCFC));
	outl(0xCF8, 0x80010000);
	ATF_CHECK_EQ(0xFFFFFFFF, inl(0xCFC));
	outl(0xCF8, 0xFFFFFFFF);
	ATF_CHECK_EQ(0x80FFFFFC, inl(0xCF8));
	outl(0xCF8, 0x80003900);
	outb(0xCF8, 0x12);
	outw(0xCFA, 0x1234);
	ATF_CHECK_EQ(0x80003900, inl(0xCF8));
	ATF_CHECK_EQ(0x8086, inw(0xCFC));
	ATF_CHECK_EQ(0x7111, inw(0xCFE));
	ATF_CHECK_EQ(0x71, inb(0xCFF));
	/* What is not to be written is not. */
	outl(0xCFC, 0);
	ATF_CHECK_EQ(0x71118086, inl(0xCFC));
	pci_write(7, 1, 0x3C, 1, 0x5A);
	ATF_CHECK_EQ(0x5A, pci_read(7, 1, 0x3C, 1));
	vmm_pci_reset(pci);
	ATF_CHECK_EQ(0, pci_read(7, 1, 0x3C, 1));
	teardown();
}

ATF_TC_WITHOUT_HEAD(bus_master_ports);
ATF_TC_BODY(bus_master_ports, tc)
{

	setup();
	pci_write(7, 1, 0x20, 4, 0xFFFFFFFF);
	ATF_CHECK_EQ(0xFFF1, pci_read(7, 1, 0x20, 4));
	pci_write(7, 1, 0x20, 4, 0xC123);
	ATF_CHECK_EQ(0xC121, pci_read(7, 1, 0x20, 4));
	outl(0xC124, 0x12345678);
	ATF_CHECK_EQ(0x12345678, inl(0xC124));
	ATF_CHECK_EQ(0x34, inb(0xC126));
	ATF_CHECK_EQ(0xFFFFFFFF, inl(0xC004));
	ATF_CHECK_EQ(0xFF, inb(0xC130));
	/* Half inside. */
	ATF_CHECK_EQ(0xFFFFFFFF, inl(0xC12E));
	outb(0xC122, 0x60);
	ATF_CHECK_EQ(0x60, inb(0xC122));
	ATF_CHECK_EQ(0x00, inb(0xC12A));
	pci_write(7, 1, 4, 2, 4);
	ATF_CHECK_EQ(0xFF, inb(0xC122));
	pci_write(7, 1, 4, 2, 5);
	ATF_CHECK_EQ(0x60, inb(0xC122));
	/* Out of the range that can be decoded, and at no address at all. */
	pci_write(7, 1, 0x20, 4, 0x8000);
	ATF_CHECK_EQ(0xFF, inb(0x8002));
	pci_write(7, 1, 0x20, 4, 0);
	ATF_CHECK_EQ(0xFF, inb(2));
	teardown();
}

ATF_TC_WITHOUT_HEAD(decode);
ATF_TC_BODY(decode, tc)
{

	setup();
	disk(0, 0, NULL, 1 << 20, false);
	disk(1, 0, NULL, 1 << 20, false);
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	ATF_CHECK_EQ(0x50, inb(0x177));
	pci_write(7, 1, 0x41, 1, 0x23);
	ATF_CHECK_EQ(0xFF, inb(0x1F7));
	ATF_CHECK_EQ(0xFF, inb(0x3F6));
	ATF_CHECK_EQ(0x50, inb(0x177));
	pci_write(7, 1, 4, 2, 4);
	ATF_CHECK_EQ(0xFF, inb(0x177));
	pci_write(7, 1, 4, 2, 5);
	pci_write(7, 1, 0x41, 1, 0xA3);
	ATF_CHECK_EQ(0x50, inb(0x1F7));
	ATF_CHECK_EQ(0x50, inb(0x177));
	teardown();
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, devices);
	ATF_TP_ADD_TC(tp, mechanism);
	ATF_TP_ADD_TC(tp, bus_master_ports);
	ATF_TP_ADD_TC(tp, decode);
	return (atf_no_error());
}
