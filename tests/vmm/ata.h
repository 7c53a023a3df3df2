/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * An ATA driver for tests: one channel of the emulated IDE controller as a
 * guest drives it, numbers literal, so that a wrong constant shows.
 */

#ifndef ATA_H
#define	ATA_H

#include "fake_machine.h"

#define	SECTOR	512u

extern struct vmm m;
extern struct vmm_pci *pci;
extern struct vmm_ide *ide;

struct ata {
	uint16_t	 base, control, bm;
	unsigned	 irq;
};

extern const struct ata ata0, ata1;

void	outb(uint16_t port, uint8_t val);
void	outw(uint16_t port, uint16_t val);
void	outl(uint16_t port, uint32_t val);
uint8_t	inb(uint16_t port);
uint16_t inw(uint16_t port);
uint32_t inl(uint16_t port);

uint32_t pci_read(unsigned dev, unsigned fn, unsigned reg, unsigned size);
void	pci_write(unsigned dev, unsigned fn, unsigned reg, unsigned size,
	    uint32_t val);

/* Machine, PCI functions, controller without drives. */
void	setup(void);
void	teardown(void);
/* A disk on a new or given file (NULL: memory) of size bytes. */
struct hvh_scsi *disk(unsigned channel, unsigned drive, const char *path,
	    uint64_t size, bool readonly);
/* A CD-ROM of so many sectors, each filled with its number. */
void	cdrom(unsigned channel, unsigned drive, const char *path,
	    uint32_t sectors);

/* Pumps until the drive is not busy; its status, by the control block. */
uint8_t	ata_wait(const struct ata *a);
/* Waits for the interrupt and takes it: the status. */
uint8_t	ata_intr(const struct ata *a);
/* Registers and command; dev: 0xE0 for the first drive with LBA. */
void	ata_cmd(const struct ata *a, uint8_t dev, uint8_t op, uint64_t lba,
	    uint32_t count, bool ext);
void	ata_in(const struct ata *a, void *buf, uint32_t len);
void	ata_out(const struct ata *a, const void *buf, uint32_t len);
/* IDENTIFY (0xEC, 0xA1) into words. */
void	ata_identify(const struct ata *a, uint8_t dev, uint8_t op,
	    uint16_t id[256]);
/* Software reset of the channel. */
void	ata_reset(const struct ata *a);

/* An entry of a table in guest memory; the last one ends it. */
struct prd {
	uint32_t	 addr;
	uint32_t	 len;
};
void	bm_table(uint32_t at, const struct prd *prd, unsigned n);
/* Points the bus master at a table, status clear. */
void	bm_setup(const struct ata *a, uint32_t table);
void	bm_start(const struct ata *a, bool to_memory);
void	bm_stop(const struct ata *a);
/* A whole DMA command on a table at 0x1000; the drive's status. */
uint8_t	ata_dma(const struct ata *a, uint8_t dev, uint8_t op, uint64_t lba,
	    uint32_t count, bool ext, const struct prd *prd, unsigned n);

/* The packet command: registers and 12 bytes. */
void	packet(const struct ata *a, const uint8_t cdb[12], bool dma,
	    uint16_t limit);
/* Takes all its data by PIO; bytes, and the last status in *status. */
uint32_t packet_in(const struct ata *a, void *buf, uint32_t size,
	    uint8_t *status);

/* Bytes that differ from place to place and from k to k. */
void	fill(void *buf, uint32_t len, uint32_t k);

#endif	/* !ATA_H */
