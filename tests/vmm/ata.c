/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The driver for tests: see ata.h. */

#include <atf-c.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ata.h"

struct vmm m;
struct vmm_pci *pci;
struct vmm_ide *ide;

const struct ata ata0 = { 0x1F0, 0x3F6, 0xC000, 14 };
const struct ata ata1 = { 0x170, 0x376, 0xC008, 15 };

/* --- Ports --- */

void
outb(uint16_t port, uint8_t val)
{

	vmm_pio_write(&m, port, 1, val);
}

void
outw(uint16_t port, uint16_t val)
{

	vmm_pio_write(&m, port, 2, val);
}

void
outl(uint16_t port, uint32_t val)
{

	vmm_pio_write(&m, port, 4, val);
}

uint8_t
inb(uint16_t port)
{

	return ((uint8_t)vmm_pio_read(&m, port, 1));
}

uint16_t
inw(uint16_t port)
{

	return ((uint16_t)vmm_pio_read(&m, port, 2));
}

uint32_t
inl(uint16_t port)
{

	return (vmm_pio_read(&m, port, 4));
}

static uint16_t
pci_port(unsigned dev, unsigned fn, unsigned reg)
{

	outl(0xCF8, 0x80000000 | dev << 11 | fn << 8 | (reg & 0xFC));
	return ((uint16_t)(0xCFC + (reg & 3)));
}

uint32_t
pci_read(unsigned dev, unsigned fn, unsigned reg, unsigned size)
{

	return (vmm_pio_read(&m, pci_port(dev, fn, reg), size));
}

void
pci_write(unsigned dev, unsigned fn, unsigned reg, unsigned size, uint32_t val)
{

	vmm_pio_write(&m, pci_port(dev, fn, reg), size, val);
}

/* --- Machine and drives --- */

void
setup(void)
{

	fake_create(&m);
	ATF_REQUIRE_EQ(0, vmm_pci_create(&m, &pci));
	ATF_REQUIRE_EQ(0, vmm_ide_create(&m, pci, &ide));
}

void
teardown(void)
{

	vmm_ide_destroy(ide);
	vmm_pci_destroy(pci);
	fake_destroy(&m);
}

static struct hvh_blk *
back_end(const char *path, uint64_t size, uint32_t block_size, bool readonly)
{
	struct hvh_blk_params bp = { .path = path, .size = size,
	    .block_size = block_size, .readonly = readonly,
	    .create = !readonly };
	struct hvh_blk *blk;
	char err[200];

	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(m.h, &bp, &blk, err, sizeof(err)),
	    "%s", err);
	return (blk);
}

struct hvh_scsi *
disk(unsigned channel, unsigned drive, const char *path, uint64_t size,
    bool readonly)
{
	struct hvh_lun_params lp = { .serial = "SERIAL7" };
	struct hvh_scsi *sc;

	lp.blk = back_end(path, size, SECTOR, readonly);
	ATF_REQUIRE_EQ(0, hvh_ide_add(m.h, channel, drive, &lp, &sc));
	ATF_REQUIRE_EQ(0, vmm_ide_disk(ide, channel, drive, sc));
	return (sc);
}

void
cdrom(unsigned channel, unsigned drive, const char *path, uint32_t sectors)
{
	struct hvh_lun_params lp = { 0 };
	uint32_t sector[512];
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	ATF_REQUIRE(fd >= 0);
	for (uint32_t i = 0; i < sectors; i++) {
		for (unsigned k = 0; k < 512; k++)
			sector[k] = i * 512 + k;
		ATF_REQUIRE_EQ(2048, write(fd, sector, 2048));
	}
	close(fd);
	lp.blk = back_end(path, 0, 2048, true);
	ATF_REQUIRE_EQ(0, vmm_ide_cdrom(ide, channel, drive, &lp));
}

/* --- Commands --- */

uint8_t
ata_wait(const struct ata *a)
{
	uint64_t end = vmm_now() + 20000000000ull;

	while ((inb(a->control) & 0x80) != 0) {
		ATF_REQUIRE_MSG(vmm_now() < end, "busy for 20 s");
		fake_pump(&m);
	}
	return (inb(a->control));
}

uint8_t
ata_intr(const struct ata *a)
{
	uint64_t end = vmm_now() + 20000000000ull;
	uint8_t status;

	while (!m.line[a->irq]) {
		ATF_REQUIRE_MSG(vmm_now() < end, "no interrupt for 20 s, "
		    "status %#x", inb(a->control));
		fake_pump(&m);
	}
	ATF_CHECK_EQ(0, inb(a->control) & 0x80);
	status = inb(a->base + 7);
	ATF_CHECK(!m.line[a->irq]);
	return (status);
}

void
ata_cmd(const struct ata *a, uint8_t dev, uint8_t op, uint64_t lba,
    uint32_t count, bool ext)
{

	outb(a->base + 6, (uint8_t)(ext ? dev : dev | (lba >> 24 & 15)));
	ata_wait(a);
	if (ext) {
		outb(a->base + 2, (uint8_t)(count >> 8));
		outb(a->base + 3, (uint8_t)(lba >> 24));
		outb(a->base + 4, (uint8_t)(lba >> 32));
		outb(a->base + 5, (uint8_t)(lba >> 40));
	}
	outb(a->base + 2, (uint8_t)count);
	outb(a->base + 3, (uint8_t)lba);
	outb(a->base + 4, (uint8_t)(lba >> 8));
	outb(a->base + 5, (uint8_t)(lba >> 16));
	outb(a->base + 7, op);
}

void
ata_in(const struct ata *a, void *buf, uint32_t len)
{
	static unsigned turn;
	uint8_t *p = buf;
	uint32_t i = 0, n, v;

	/* By string instructions as KVM has them, 1 KiB at a time, now of
	 * words, now of double words; or word by word, as their rest. */
	for (; turn % 3 != 0 && i + 4 <= len; i += n) {
		n = len - i < 1024 ? (len - i) & ~3u : 1024;
		if (turn % 3 == 1)
			vmm_pio_exit(&m, a->base, 2, false, p + i, n / 2);
		else
			vmm_pio_exit(&m, a->base, 4, false, p + i, n / 4);
	}
	turn++;
	for (; i < len; i += 2) {
		v = inw(a->base);
		memcpy(p + i, &v, len - i < 2 ? 1 : 2);
	}
}

void
ata_out(const struct ata *a, const void *buf, uint32_t len)
{
	static unsigned turn;
	const uint8_t *p = buf;
	uint8_t piece[1024];
	uint32_t i = 0, n, v;

	for (; turn % 2 != 0 && i < len; i += n) {
		n = len - i < 1024 ? len - i : 1024;
		memcpy(piece, p + i, n);
		vmm_pio_exit(&m, a->base, 2, true, piece, n / 2);
	}
	turn++;
	/* Both widths that drivers use. */
	for (; i < len; i += 4) {
		memcpy(&v, p + i, 4);
		if (i % 8 == 0) {
			outl(a->base, v);
		} else {
			outw(a->base, (uint16_t)v);
			outw(a->base, (uint16_t)(v >> 16));
		}
	}
}

void
ata_identify(const struct ata *a, uint8_t dev, uint8_t op, uint16_t id[256])
{

	ata_cmd(a, dev, op, 0, 0, false);
	ATF_CHECK_EQ(0x48, ata_intr(a) & 0xE9);
	ata_in(a, id, 512);
	ATF_CHECK_EQ(0x40, inb(a->base + 7) & 0xE9);
}

void
ata_reset(const struct ata *a)
{

	outb(a->control, 4);
	ATF_CHECK(!m.line[a->irq]);
	outb(a->control, 0);
}

/* --- Bus master --- */

void
bm_table(uint32_t at, const struct prd *prd, unsigned n)
{
	uint32_t entry[2];

	for (unsigned i = 0; i < n; i++) {
		entry[0] = prd[i].addr;
		entry[1] = (prd[i].len & 0xFFFF) |
		    (i + 1 == n ? 0x80000000 : 0);
		memcpy(m.mem + at + 8 * i, entry, 8);
	}
}

void
bm_setup(const struct ata *a, uint32_t table)
{

	outl(a->bm + 4, table);
	outb(a->bm + 2, inb(a->bm + 2) | 6);
}

void
bm_start(const struct ata *a, bool to_memory)
{

	outb(a->bm, to_memory ? 8 : 0);
	outb(a->bm, to_memory ? 9 : 1);
}

void
bm_stop(const struct ata *a)
{

	outb(a->bm, inb(a->bm) & 0xFE);
}

uint8_t
ata_dma(const struct ata *a, uint8_t dev, uint8_t op, uint64_t lba,
    uint32_t count, bool ext, const struct prd *prd, unsigned n)
{
	bool in = op == 0xC8 || op == 0x25;
	uint8_t status;

	bm_table(0x1000, prd, n);
	bm_setup(a, 0x1000);
	ata_cmd(a, dev, op, lba, count, ext);
	bm_start(a, in);
	status = ata_intr(a);
	ATF_CHECK_EQ(4, inb(a->bm + 2) & 4);
	bm_stop(a);
	ATF_CHECK_EQ(0, inb(a->bm + 2) & 1);
	return (status);
}

/* --- Packets --- */

void
packet(const struct ata *a, const uint8_t cdb[12], bool dma, uint16_t limit)
{

	outb(a->base + 1, dma ? 1 : 0);
	outb(a->base + 4, (uint8_t)limit);
	outb(a->base + 5, (uint8_t)(limit >> 8));
	outb(a->base + 7, 0xA0);
	ATF_REQUIRE_EQ(0x08, ata_wait(a) & 0x89);
	ATF_CHECK_EQ(1, inb(a->base + 2) & 7);
	ata_out(a, cdb, 12);
}

uint32_t
packet_in(const struct ata *a, void *buf, uint32_t size, uint8_t *status)
{
	uint32_t n, total = 0;

	for (;;) {
		*status = ata_intr(a);
		if ((*status & 0x08) == 0)
			break;
		ATF_CHECK_EQ(2, inb(a->base + 2) & 7);
		n = inb(a->base + 4) | (uint32_t)inb(a->base + 5) << 8;
		ATF_REQUIRE(n > 0 && total + n <= size);
		ata_in(a, (uint8_t *)buf + total, n);
		total += n;
	}
	ATF_CHECK_EQ(3, inb(a->base + 2) & 7);
	return (total);
}

void
fill(void *buf, uint32_t len, uint32_t k)
{
	uint8_t *p = buf;

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 31 + k * 7 + i / 509);
}
