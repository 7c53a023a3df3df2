/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What drives say of themselves: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE,
 * 256 words each (ATA/ATAPI-6, 8.15 and 8.16).
 */

#include <string.h>

#include "vmm/ide_var.h"

#define	LBA28_MAX	0x0FFFFFFFull
#define	LBA48_MAX	0x1000000000000ull
#define	CYLINDERS_MAX	16383u

uint64_t
ide_sectors(const struct ide_drive *d)
{
	uint64_t n = d->lun->blk->size / IDE_SECTOR;

	return (n < LBA48_MAX ? n : LBA48_MAX);
}

uint32_t
ide_cylinders(const struct ide_drive *d)
{
	uint64_t n = ide_sectors(d) / d->heads / d->track;

	return (n < CYLINDERS_MAX ? (uint32_t)n : CYLINDERS_MAX);
}

static void
ide_word(uint8_t *buf, unsigned word, uint32_t v)
{

	buf[2 * word] = (uint8_t)v;
	buf[2 * word + 1] = (uint8_t)(v >> 8);
}

static void
ide_words(uint8_t *buf, unsigned word, unsigned n, uint64_t v)
{

	for (; n > 0; n--, word++, v >>= 16)
		ide_word(buf, word, v & 0xFFFF);
}

/* Text has its bytes swapped in each word, and blanks behind it. */
static void
ide_text(uint8_t *buf, unsigned word, unsigned len, const char *text)
{

	for (unsigned i = 0; i < len; i++)
		buf[2 * word + (i ^ 1)] = (uint8_t)(*text != '\0' ? *text++ :
		    ' ');
}

/* What both kinds of drives have alike. */
static void
ide_identify_common(struct ide_drive *d, uint8_t *buf, const char *model)
{
	unsigned mode = 1u << (d->mode & 0x07);

	memset(buf, 0, IDE_SECTOR);
	ide_text(buf, 10, 20, d->lun->serial);
	ide_text(buf, 23, 8, "1.1.0");
	ide_text(buf, 27, 40, model);
	/* Multiword DMA 0 to 2, UDMA 0 to 2 (PIIX4's best), one selected. */
	ide_word(buf, 63, 0x07 | ((d->mode & MODE_MWDMA) != 0 ?
	    mode << 8 : 0));
	ide_word(buf, 88, 0x07 | ((d->mode & MODE_UDMA) != 0 ?
	    mode << 8 : 0));
	ide_word(buf, 64, 0x03);		/* PIO modes 3 and 4 */
	for (unsigned i = 65; i <= 68; i++)
		ide_word(buf, i, 120);		/* ns a word */
	ide_word(buf, 80, 0x01F0);		/* ATA/ATAPI-4 to ATA8-ACS */
}

void
ide_identify_disk(struct ide_drive *d, uint8_t *buf)
{
	uint64_t all = ide_sectors(d);
	uint32_t cylinders = ide_cylinders(d);
	uint8_t sum = 0;

	ide_identify_common(d, buf, "Virtual HD");
	ide_word(buf, 0, 0x0040);		/* fixed */
	ide_word(buf, 1, cylinders);
	ide_word(buf, 3, d->heads);
	ide_word(buf, 6, d->track);
	ide_word(buf, 47, 0x8000 | IDE_MULTI);
	ide_word(buf, 49, 0x2B00);		/* standard standby timer,
						 * IORDY, LBA, DMA */
	ide_word(buf, 50, 0x4000);
	ide_word(buf, 53, 0x0007);		/* 54-58, 64-70, 88 count */
	ide_word(buf, 54, cylinders);
	ide_word(buf, 55, d->heads);
	ide_word(buf, 56, d->track);
	ide_words(buf, 57, 2, (uint64_t)cylinders * d->heads * d->track);
	ide_word(buf, 59, d->multi != 0 ? 0x0100 | d->multi : 0);
	ide_words(buf, 60, 2, all < LBA28_MAX ? all : LBA28_MAX);
	/* NOP, look-ahead, write cache, power management; FLUSH CACHE (EXT),
	 * 48-bit addresses; FUA. */
	ide_word(buf, 82, 0x4068);
	ide_word(buf, 83, 0x7400);
	ide_word(buf, 84, 0x4040);
	ide_word(buf, 85, d->cache ? 0x4068 : 0x4048);
	ide_word(buf, 86, 0x3400);
	ide_word(buf, 87, 0x4040);
	ide_words(buf, 100, 4, all);
	ide_word(buf, 106, 0x6003);		/* 4 KiB physical sectors, as
						 * the host's page cache */
	/* A signature, and what makes the sum of all bytes zero. */
	buf[510] = 0xA5;
	for (unsigned i = 0; i < IDE_SECTOR - 1; i++)
		sum = (uint8_t)(sum + buf[i]);
	buf[511] = (uint8_t)-sum;
}

void
ide_identify_cdrom(struct ide_drive *d, uint8_t *buf)
{

	ide_identify_common(d, buf, "Virtual CD");
	/* Packets of 12 bytes, asked for within 50 us; a removable medium. */
	ide_word(buf, 0, 0x85C0);
	ide_word(buf, 49, 0x0B00);		/* IORDY, LBA, DMA */
	ide_word(buf, 50, 0x4000);
	ide_word(buf, 53, 0x0006);		/* 64-70, 88 count */
	/* NOP, DEVICE RESET, PACKET, power management. */
	ide_word(buf, 82, 0x4218);
	ide_word(buf, 83, 0x4000);
	ide_word(buf, 84, 0x4000);
	ide_word(buf, 85, 0x4218);
	ide_word(buf, 87, 0x4000);
}
