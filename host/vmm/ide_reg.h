/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Registers of an ATA channel (ATA/ATAPI-6, chapter 7) and of PIIX4's bus
 * master (its data sheet, section 4.2).
 */

#ifndef VMM_IDE_REG_H
#define	VMM_IDE_REG_H

/* Command block, from 0x1F0 or 0x170 on. */
#define	IDE_DATA	0
#define	IDE_FEATURE	1	/* reads: the error register */
#define	IDE_COUNT	2
#define	IDE_LBA0	3
#define	IDE_LBA1	4
#define	IDE_LBA2	5
#define	IDE_DEVICE	6
#define	IDE_COMMAND	7	/* reads: the status register */
#define	IDE_REGS	8

#define	IDE_DEVICE_RESET 0x08	/* the one command that a busy drive takes */

#define	DEVICE_LBA	0x40	/* not cylinder, head and sector */
#define	DEVICE_SECOND	0x10
#define	DEVICE_OBSOLETE	0xA0	/* read as ones */

#define	STATUS_BSY	0x80
#define	STATUS_DRDY	0x40
#define	STATUS_DF	0x20
#define	STATUS_DSC	0x10	/* seek complete */
#define	STATUS_DRQ	0x08
#define	STATUS_ERR	0x01	/* of a PACKET: CHK */

#define	ERROR_UNC	0x40
#define	ERROR_IDNF	0x10
#define	ERROR_ABRT	0x04
#define	ERROR_PASSED	0x01	/* after a reset or a diagnostic */

/* Device control, 0x3F6 or 0x376; reads: the status, without effect. */
#define	CONTROL_HOB	0x80	/* the registers' previous content is read */
#define	CONTROL_SRST	0x04
#define	CONTROL_NIEN	0x02

/* The count register while a PACKET is under way. */
#define	REASON_COMMAND	0x01	/* CoD: command or status, not data */
#define	REASON_TO_HOST	0x02	/* IO */

/* PACKET's features. */
#define	PACKET_DMA	0x01
#define	PACKET_OVL	0x02

/* SET FEATURES: subcommands, and transfer modes in the count register. */
#define	FEATURE_CACHE_ON	0x02
#define	FEATURE_MODE		0x03
#define	FEATURE_AHEAD_OFF	0x55
#define	FEATURE_KEEP		0x66
#define	FEATURE_CACHE_OFF	0x82
#define	FEATURE_AHEAD_ON	0xAA
#define	FEATURE_REVERT		0xCC
#define	MODE_PIO		0x08
#define	MODE_MWDMA		0x20
#define	MODE_UDMA		0x40

/* Bus master, 8 ports a channel. */
#define	BM_COMMAND	0
#define	BM_STATUS	2
#define	BM_TABLE	4
#define	BM_REGS		8

#define	BM_START	0x01
#define	BM_TO_MEMORY	0x08

#define	BM_ACTIVE	0x01
#define	BM_ERROR	0x02	/* written as 1: cleared */
#define	BM_INTERRUPT	0x04	/* written as 1: cleared */
#define	BM_CAPABLE	0x60	/* for the drivers' own use */

/* An entry of its table: address, then length and end of table. */
#define	PRD_SIZE	8
#define	PRD_END		0x80000000u

#endif	/* !VMM_IDE_REG_H */
