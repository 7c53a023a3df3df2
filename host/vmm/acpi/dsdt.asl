/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * DSDT; with PCI defined, that of a machine with a PCI bus.  What differs
 * from machine to machine it reads where acpi.c left it: struct acpi_machine.
 */

#include "vmm/pm_reg.h"

/* The id is MADT's, too.  Who is not there has no state. */
#define	PROC(name, uid)							\
	Device (name) {							\
		Name (_HID, "ACPI0007")					\
		Name (_UID, uid)					\
		Method (_STA) { Return (CSTA (uid)) }			\
	}

DefinitionBlock ("", "DSDT", 2, "HVHOST", "HVHOST", 1)
{
    OperationRegion (MACH, SystemMemory, ACPI_MACHINE, 0x20)
    Field (MACH, DWordAcc, NoLock, Preserve) {
	MMAG, 32,
	NCPU, 32,
	HMIN, 64,
	HMAX, 64,
	HLEN, 64
    }

    Name (\_S5, Package () { PM_SLP_S5, PM_SLP_S5, 0, 0 })

    Scope (\_SB) {
	Method (CSTA, 1) {
		If (LLess (Arg0, NCPU)) {
			Return (0x0F)
		}
		Return (Zero)
	}
	PROC(CP00, 0)	PROC(CP01, 1)
	PROC(CP02, 2)	PROC(CP03, 3)
	PROC(CP04, 4)	PROC(CP05, 5)
	PROC(CP06, 6)	PROC(CP07, 7)
	PROC(CP08, 8)	PROC(CP09, 9)
	PROC(CP0A, 10)	PROC(CP0B, 11)
	PROC(CP0C, 12)	PROC(CP0D, 13)
	PROC(CP0E, 14)	PROC(CP0F, 15)
	PROC(CP10, 16)	PROC(CP11, 17)
	PROC(CP12, 18)	PROC(CP13, 19)
	PROC(CP14, 20)	PROC(CP15, 21)
	PROC(CP16, 22)	PROC(CP17, 23)
	PROC(CP18, 24)	PROC(CP19, 25)
	PROC(CP1A, 26)	PROC(CP1B, 27)
	PROC(CP1C, 28)	PROC(CP1D, 29)
	PROC(CP1E, 30)	PROC(CP1F, 31)
	PROC(CP20, 32)	PROC(CP21, 33)
	PROC(CP22, 34)	PROC(CP23, 35)
	PROC(CP24, 36)	PROC(CP25, 37)
	PROC(CP26, 38)	PROC(CP27, 39)
	PROC(CP28, 40)	PROC(CP29, 41)
	PROC(CP2A, 42)	PROC(CP2B, 43)
	PROC(CP2C, 44)	PROC(CP2D, 45)
	PROC(CP2E, 46)	PROC(CP2F, 47)
	PROC(CP30, 48)	PROC(CP31, 49)
	PROC(CP32, 50)	PROC(CP33, 51)
	PROC(CP34, 52)	PROC(CP35, 53)
	PROC(CP36, 54)	PROC(CP37, 55)
	PROC(CP38, 56)	PROC(CP39, 57)
	PROC(CP3A, 58)	PROC(CP3B, 59)
	PROC(CP3C, 60)	PROC(CP3D, 61)
	PROC(CP3E, 62)	PROC(CP3F, 63)

	Device (COM1) {
		Name (_HID, EisaId ("PNP0501"))
		Name (_UID, 1)
		Name (_CRS, ResourceTemplate () {
			IO (Decode16, 0x03F8, 0x03F8, 1, 8)
			IRQNoFlags () {4}
		})
	}

	/* No interrupt: rtc.c raises none, so that nobody waits for one. */
	Device (RTC0) {
		Name (_HID, EisaId ("PNP0B00"))
		Name (_CRS, ResourceTemplate () {
			IO (Decode16, 0x0070, 0x0070, 1, 2)
		})
	}

	/* The PIT: FreeBSD's i8254 time counter looks for it here. */
	Device (TIMR) {
		Name (_HID, EisaId ("PNP0100"))
		Name (_CRS, ResourceTemplate () {
			IO (Decode16, 0x0040, 0x0040, 1, 4)
			IRQNoFlags () {0}
		})
	}

	/* Ports that no other device may be given. */
	Device (SYSR) {
		Name (_HID, EisaId ("PNP0C02"))
		Name (_CRS, ResourceTemplate () {
			IO (Decode16, PM_POST, PM_POST, 1, 1)
			IO (Decode16, PM_PORT92, PM_PORT92, 1, 1)
			IO (Decode16, PM_BASE, PM_BASE, 1, PM_PORTS)
		})
	}

#ifdef PCI
	Device (PCI0) {
		Name (_HID, EisaId ("PNP0A03"))
		Name (_UID, Zero)
		Name (_BBN, Zero)
		Name (_CRS, ResourceTemplate () {
			WordBusNumber (ResourceProducer, MinFixed, MaxFixed,
			    PosDecode, 0, 0x00, 0xFF, 0, 0x100)
			IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
			WordIO (ResourceProducer, MinFixed, MaxFixed,
			    PosDecode, EntireRange, 0, 0x0000, 0x0CF7, 0,
			    0x0CF8)
			WordIO (ResourceProducer, MinFixed, MaxFixed,
			    PosDecode, EntireRange, 0, 0x0D00, 0xFFFF, 0,
			    0xF300)
			DWordMemory (ResourceProducer, PosDecode, MinFixed,
			    MaxFixed, NonCacheable, ReadWrite, 0,
			    MMIO_PCI_BASE, MMIO_LAST, 0, MMIO_PCI_SIZE)
		})
		/* The IDE function interrupts by ISA's 14 and 15; a pin that
		 * a guest asks after all the same leads nowhere. */
		Name (_PRT, Package () {
			Package () { 0x0007FFFF, 0, Zero, 16 }
		})
#else
	Device (VMOD) {
		Name (_HID, "ACPI0004")
		Name (_UID, Zero)
		Name (RBUF, ResourceTemplate () {
			DWordMemory (ResourceProducer, PosDecode, MinFixed,
			    MaxFixed, NonCacheable, ReadWrite, 0,
			    MMIO_VMBUS_BASE, MMIO_LAST, 0, MMIO_VMBUS_SIZE)
			QWordMemory (ResourceProducer, PosDecode, MinFixed,
			    MaxFixed, NonCacheable, ReadWrite, 0, 0, 0, 0, 1,
			    , , HIGH)
		})
		Method (_CRS, 0, Serialized) {
			CreateQWordField (RBUF, ^HIGH._MIN, RMIN)
			CreateQWordField (RBUF, ^HIGH._MAX, RMAX)
			CreateQWordField (RBUF, ^HIGH._LEN, RLEN)
			Store (HMIN, RMIN)
			Store (HMAX, RMAX)
			Store (HLEN, RLEN)
			Return (RBUF)
		}
#endif

		/* Linux knows both ids, FreeBSD the one in capitals.  iasl
		 * takes a _HID as short as this from methods alone. */
		Device (VMBS) {
			Method (_HID) { Return ("VMBus") }
			Name (_CID, "VMBUS")
			Name (_UID, Zero)
			Name (_DDN, "VMBUS")
			Name (_CCA, One)
			Name (_STA, 0x0F)
			/* The windows are the parent's; but Linux wants to
			 * have asked. */
			Name (_CRS, ResourceTemplate () {})
		}
	}
    }
}
