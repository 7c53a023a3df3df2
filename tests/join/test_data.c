/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The storage driver fed as the rest of FreeBSD would: data in each form that
 * CAM knows, and commands that only an administrator sends.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "join_kernel.h"

#define	PAGE		4096
#define	MAXIO		(1 << 20)

/* The memory of all tests: whole pages, taken by number. */
static unsigned char *mem;

static void
rw(struct ktest_scsi *s, unsigned lun, bool write, uint32_t lba,
    uint32_t len, uint32_t block)
{
	uint32_t count = len / block;

	memset(s->cdb, 0, sizeof(s->cdb));
	s->lun = lun;
	s->cdb[0] = write ? 0x2a : 0x28;
	s->cdb[2] = (unsigned char)(lba >> 24);
	s->cdb[3] = (unsigned char)(lba >> 16);
	s->cdb[4] = (unsigned char)(lba >> 8);
	s->cdb[5] = (unsigned char)lba;
	s->cdb[7] = (unsigned char)(count >> 8);
	s->cdb[8] = (unsigned char)count;
	s->cdb_len = 10;
	s->write = write;
	s->len = len;
}

static void
scsi(struct ktest_scsi *s)
{

	ATF_REQUIRE_EQ(0, ktest_scsi(s));
}

/* What the pieces hold, one after the other. */
static void
gather(unsigned char *to, const struct ktest_piece *p, unsigned n)
{

	for (; n > 0; to += p->len, p++, n--)
		memcpy(to, p->addr, p->len);
}

static void
scatter(const struct ktest_piece *p, unsigned n, const unsigned char *from)
{

	for (; n > 0; from += p->len, p++, n--)
		memcpy(p->addr, from, p->len);
}

/*
 * Writes from the pieces and reads by the disk, then reads into the pieces.
 */
static void
check_form(enum ktest_data data, const struct ktest_piece *piece,
    unsigned npieces)
{
	static uint32_t seed = 1;
	struct ktest_scsi s = { .data = data, .piece = piece,
	    .npieces = npieces };
	unsigned char *want, *got;
	uint32_t len = 0, lba;
	unsigned i;

	for (i = 0; i < npieces; i++)
		len += (uint32_t)piece[i].len;
	lba = seed * 16;
	want = malloc(len);
	got = malloc(len);
	ATF_REQUIRE(want != NULL && got != NULL);

	join_pattern(want, len, (uint64_t)lba * JOIN_SECTOR, ++seed);
	scatter(piece, npieces, want);
	rw(&s, 0, true, lba, len, JOIN_SECTOR);
	scsi(&s);
	ATF_REQUIRE_EQ_MSG(KTEST_DONE, s.end, "form %d: status %#x", data,
	    s.status);
	ATF_CHECK_EQ(0, s.resid);
	join_check("da0", (uint64_t)lba * JOIN_SECTOR, len, seed);

	memset(mem, 0x5a, 2 * MAXIO);
	rw(&s, 0, false, lba, len, JOIN_SECTOR);
	scsi(&s);
	ATF_REQUIRE_EQ_MSG(KTEST_DONE, s.end, "form %d: status %#x", data,
	    s.status);
	ATF_CHECK_EQ(0, s.resid);
	gather(got, piece, npieces);
	ATF_CHECK_EQ_MSG(0, memcmp(got, want, len),
	    "form %d: wrong data read", data);
	free(got);
	free(want);
}

/* Nothing but the pieces was written to by the last read. */
static void
check_around(const struct ktest_piece *piece, unsigned npieces)
{
	unsigned char *map;
	unsigned i;
	size_t n;

	map = calloc(1, 2 * MAXIO);
	ATF_REQUIRE(map != NULL);
	for (i = 0; i < npieces; i++)
		memset(map + (piece[i].addr - mem), 1, piece[i].len);
	for (n = 0; n < 2 * MAXIO; n++)
		ATF_REQUIRE_MSG(map[n] != 0 || mem[n] == 0x5a,
		    "byte %zu was written to", n);
	free(map);
}

static void
check(enum ktest_data data, const struct ktest_piece *piece, unsigned npieces)
{

	check_form(data, piece, npieces);
	check_around(piece, npieces);
}

static void
start(struct join *j, bool scattered)
{
	struct join_config cf = { .vm = { .scatter = scattered },
	    .subchannels = 3, .disk_size = 16 << 20 };

	join_start(j, &cf);
	mem = kpi_mem_alloc(2 * MAXIO);
	ATF_REQUIRE(mem != NULL);
}

static void
finish(struct join *j)
{

	kpi_mem_free(mem);
	join_finish(j);
}

/* Pages of the memory in an order of its own, whole. */
static void
pages(struct ktest_piece *piece, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		piece[i].addr = mem + (i * 37 % 509) * PAGE;
		piece[i].len = PAGE;
	}
}

static void
check_all_forms(void)
{
	static const uint32_t sizes[] = { 512, 4096, 7168, 65536, MAXIO };
	struct ktest_piece piece[256];
	kpi_u64 copies;
	unsigned i;

	/* One stretch, at the start of a page and within one. */
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		piece[0] = (struct ktest_piece){ mem + 3 * PAGE, sizes[i] };
		check(KTEST_VADDR, piece, 1);
		check(KTEST_BIO, piece, 1);
		check(KTEST_BIO_UNMAPPED, piece, 1);
		check(KTEST_SG, piece, 1);
		check(KTEST_BIO_VLIST, piece, 1);
		piece[0].addr += 512;
		check(KTEST_VADDR, piece, 1);
		check(KTEST_BIO, piece, 1);
		check(KTEST_BIO_UNMAPPED, piece, 1);
		check(KTEST_SG, piece, 1);
	}
	/* Pages from anywhere. */
	for (i = 1; i <= 256; i *= 4) {
		pages(piece, i);
		check(KTEST_SG, piece, i);
		check(KTEST_SG_PADDR, piece, i);
		check(KTEST_BIO_UNMAPPED, piece, i);
		check(KTEST_BIO_VLIST, piece, i);
	}
	/* The same, but beginning and ending within a page. */
	pages(piece, 9);
	piece[0].addr += 1024;
	piece[0].len -= 1024;
	piece[8].len = 1536;
	check(KTEST_SG, piece, 9);
	check(KTEST_SG_PADDR, piece, 9);
	check(KTEST_BIO_UNMAPPED, piece, 9);
	check(KTEST_BIO_VLIST, piece, 9);
	copies = join_sysctl("dev.storvsc.0.data_copied_cnt");
	ATF_CHECK_EQ_MSG(0, copies, "%ju copies", (uintmax_t)copies);
}

ATF_TC(forms);
ATF_TC_HEAD(forms, tc)
{
	atf_tc_set_md_var(tc, "descr", "data as addresses, lists, bios and "
	    "unmapped pages arrive whole, in place and without a copy");
}
ATF_TC_BODY(forms, tc)
{
	struct join j;

	start(&j, false);
	check_all_forms();
	ATF_CHECK(join_sysctl("dev.storvsc.0.data_bio_cnt") >= 20);
	ATF_CHECK(join_sysctl("dev.storvsc.0.data_sg_cnt") >= 20);
	ATF_CHECK(join_sysctl("dev.storvsc.0.data_vaddr_cnt") >= 20);
	finish(&j);
}

ATF_TC(forms_scattered);
ATF_TC_HEAD(forms_scattered, tc)
{
	atf_tc_set_md_var(tc, "descr", "the same where no two pages are "
	    "neighbours");
}
ATF_TC_BODY(forms_scattered, tc)
{
	struct join j;

	start(&j, true);
	check_all_forms();
	finish(&j);
}

ATF_TC(holes);
ATF_TC_HEAD(holes, tc)
{
	atf_tc_set_md_var(tc, "descr", "lists with pieces that no page list "
	    "can express are copied, and counted");
}
ATF_TC_BODY(holes, tc)
{
	struct ktest_piece piece[64];
	struct join j;
	unsigned i;

	start(&j, false);
	for (i = 0; i < 64; i++) {
		piece[i].addr = mem + (63 - i) * 5 * 512;
		piece[i].len = 512;
	}
	check(KTEST_SG, piece, 64);
	check(KTEST_SG, piece, 2);
	/* Odd lengths; the whole is sectors. */
	piece[0].len = 100;
	piece[1].len = 412 + 512;
	check(KTEST_SG, piece, 2);
	ATF_CHECK_EQ(6, join_sysctl("dev.storvsc.0.data_copied_cnt"));
	finish(&j);
}

ATF_TC(refused);
ATF_TC_HEAD(refused, tc)
{
	atf_tc_set_md_var(tc, "descr", "data that cannot be sent end their "
	    "request alone, with CAM's word for it");
}
ATF_TC_BODY(refused, tc)
{
	struct ktest_piece piece[4];
	struct ktest_scsi s = { .piece = piece };
	struct join j;

	start(&j, false);
	/* More than the controller takes. */
	piece[0] = (struct ktest_piece){ mem, MAXIO + 4096 };
	s.npieces = 1;
	s.data = KTEST_VADDR;
	rw(&s, 0, true, 0, MAXIO + 4096, JOIN_SECTOR);
	scsi(&s);
	ATF_CHECK_EQ_MSG(KTEST_TOO_BIG, s.end, "status %#x", s.status);
	s.data = KTEST_BIO_UNMAPPED;
	scsi(&s);
	ATF_CHECK_EQ_MSG(KTEST_TOO_BIG, s.end, "status %#x", s.status);

	/* A list with less in it than the command moves. */
	piece[0] = (struct ktest_piece){ mem, 512 };
	piece[1] = (struct ktest_piece){ mem + 8192, 512 };
	s.npieces = 2;
	s.data = KTEST_SG;
	rw(&s, 0, true, 0, 4096, JOIN_SECTOR);
	scsi(&s);
	ATF_CHECK_EQ_MSG(KTEST_INVALID, s.end, "status %#x", s.status);

	/* Holes between physical addresses: no page list, nothing to copy. */
	s.data = KTEST_SG_PADDR;
	rw(&s, 0, true, 0, 1024, JOIN_SECTOR);
	scsi(&s);
	ATF_CHECK_EQ_MSG(KTEST_INVALID, s.end, "status %#x", s.status);

	join_verify("da0", 0, 65536, 9);
	finish(&j);
}

/* --- An administrator's commands --- */

static void
command(struct ktest_scsi *s, unsigned lun, unsigned len,
    unsigned char c0, unsigned char c4)
{

	memset(s, 0, sizeof(*s));
	s->lun = lun;
	s->cdb[0] = c0;
	s->cdb[4] = c4;
	s->cdb_len = len;
	scsi(s);
}

ATF_TC(eject);
ATF_TC_HEAD(eject, tc)
{
	atf_tc_set_md_var(tc, "descr", "a CD-ROM is ejected and loaded; a "
	    "locked one stays in");
}
ATF_TC_BODY(eject, tc)
{
	struct hvh_blk_params bp = { .size = 1 << 20, .block_size = 2048 };
	struct hvh_lun_params lp = { .cdrom = true };
	struct ktest_piece piece;
	struct ktest_scsi s;
	struct join j;
	char msg[256];

	start(&j, false);
	ATF_REQUIRE_EQ(0, hvh_blk_open(j.host, &bp, &lp.blk, msg,
	    sizeof(msg)));
	ATF_REQUIRE_EQ(0, hvh_scsi_attach(j.scsi[0], 3, &lp));
	ATF_REQUIRE_EQ(0, kpi_disk_wait("cd0", 20000));
	ATF_REQUIRE_EQ(0, join_io("cd0", KPI_DISK_READ, 0, mem, 4096));

	command(&s, 3, 6, 0x1e, 1);		/* PREVENT */
	ATF_CHECK_EQ(KTEST_DONE, s.end);
	command(&s, 3, 6, 0x1b, 2);		/* START STOP: eject */
	ATF_CHECK_EQ(KTEST_SENSE, s.end);
	ATF_CHECK_EQ(5, s.sense_key);
	ATF_CHECK_EQ(0x53, s.asc);
	ATF_REQUIRE_EQ(0, join_io("cd0", KPI_DISK_READ, 0, mem, 4096));

	command(&s, 3, 6, 0x1e, 0);		/* ALLOW */
	ATF_CHECK_EQ(KTEST_DONE, s.end);
	command(&s, 3, 6, 0x1b, 2);
	ATF_CHECK_EQ(KTEST_DONE, s.end);
	command(&s, 3, 6, 0x00, 0);		/* TEST UNIT READY */
	ATF_CHECK_EQ(KTEST_SENSE, s.end);
	ATF_CHECK_EQ(2, s.sense_key);
	ATF_CHECK_EQ(0x3a, s.asc);
	ATF_CHECK(join_io("cd0", KPI_DISK_READ, 0, mem, 4096) != 0);

	command(&s, 3, 6, 0x1b, 3);		/* load */
	ATF_CHECK_EQ(KTEST_DONE, s.end);
	/* The next command hears of the new medium, cd0 looks at it. */
	piece = (struct ktest_piece){ mem, 4096 };
	s = (struct ktest_scsi){ .data = KTEST_VADDR, .piece = &piece,
	    .npieces = 1 };
	rw(&s, 3, false, 0, 4096, 2048);
	scsi(&s);
	ATF_CHECK_EQ(KTEST_SENSE, s.end);
	ATF_CHECK_EQ(6, s.sense_key);
	ATF_CHECK_EQ(0x28, s.asc);
	ATF_CHECK_EQ(0, join_io("cd0", KPI_DISK_READ, 0, mem, 4096));
	finish(&j);
}

ATF_TC(unknown_command);
ATF_TC_HEAD(unknown_command, tc)
{
	atf_tc_set_md_var(tc, "descr", "commands the host does not serve come "
	    "back with sense data, and the disk works on");
}
ATF_TC_BODY(unknown_command, tc)
{
	static const unsigned char ops[] = { 0x5e, 0x5f, 0x48, 0xa3, 0xff };
	struct ktest_piece piece;
	struct ktest_scsi s;
	struct join j;
	unsigned i;

	start(&j, false);
	for (i = 0; i < sizeof(ops); i++) {
		piece = (struct ktest_piece){ mem, 24 };
		memset(&s, 0, sizeof(s));
		s.cdb[0] = ops[i];
		s.cdb[1] = ops[i] == 0xa3 ? 0x1f : 0;
		s.cdb[8] = 24;
		s.cdb_len = 12;
		s.data = KTEST_VADDR;
		s.len = 24;
		s.piece = &piece;
		s.npieces = 1;
		s.write = ops[i] == 0x5f;
		scsi(&s);
		ATF_CHECK_EQ_MSG(KTEST_SENSE, s.end, "%#x: status %#x",
		    ops[i], s.status);
		ATF_CHECK_EQ(5, s.sense_key);
		ATF_CHECK_EQ_MSG(0x20, s.asc, "%#x: asc %#x", ops[i], s.asc);
	}
	join_verify("da0", 0, 65536, 1);
	finish(&j);
}

/* Channel messages (protocol: vmbus, 2.1). */
enum { MSG_OPEN_RESULT = 6, MSG_GPADL_HEADER = 8 };

/* The fifth page of rings of four pages each: control of the host's ring. */
#define	GPADL_RX_CONTROL	(28 + 4 * 8)

static uint64_t rx_control;

static void
keep_rings(void *arg, void *data, size_t *len)
{

	(void)arg;
	if (*len >= GPADL_RX_CONTROL + sizeof(rx_control))
		memcpy(&rx_control, (uint8_t *)data + GPADL_RX_CONTROL,
		    sizeof(rx_control));
}

static void
spoil_ring(void *arg, void *data, size_t *len)
{
	volatile uint32_t *in = ktest_phys(rx_control << 12);

	(void)arg;
	(void)data;
	(void)len;
	*in = 4;
}

/*
 * da(4) sends with its lock given up and needs a moment to come back, in which
 * the end of its last request must not reach it.
 */
ATF_TC(gone_unit);
ATF_TC_HEAD(gone_unit, tc)
{

	atf_tc_set_md_var(tc, "descr", "a request to a unit that is gone "
	    "ends, but not while its sender is still sending");
}
ATF_TC_BODY(gone_unit, tc)
{
	struct ktest_piece piece = { .len = 4096 };
	struct ktest_scsi s = { .data = KTEST_VADDR, .piece = &piece,
	    .npieces = 1 };
	struct join j;

	start(&j, false);
	piece.addr = mem;
	rw(&s, 0, false, 0, 4096, JOIN_SECTOR);
	scsi(&s);
	ATF_CHECK_EQ_MSG(KTEST_DONE, s.end, "status %#x", s.status);
	ATF_REQUIRE_EQ(0, hvh_scsi_detach(j.scsi[0], 0));
	scsi(&s);
	ATF_CHECK_EQ_MSG(KTEST_OTHER, s.end, "status %#x", s.status);
	ATF_CHECK_MSG(s.took >= 1000, "after %u ms", s.took);
	join_attach(&j, 0, 0, j.disk_size);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	finish(&j);
}

ATF_TC(spoilt_at_attach);
ATF_TC_HEAD(spoilt_at_attach, tc)
{
	atf_tc_set_md_var(tc, "descr", "the ring is corrupt before the "
	    "controller is through with attaching: that ends cleanly");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(spoilt_at_attach, tc)
{
	static const char *const kenv[] = {
	    "hw.storvsc.ringbuffer_size=16384", NULL };
	struct join_config cf = { .no_load = true, .fast_clock = true,
	    .vm = { .kenv = kenv } };
	struct hvh_fault keep = { .point = HVH_FAULT_MSG_IN,
	    .action = HVH_FAULT_CALL, .key = MSG_GPADL_HEADER,
	    .hook = keep_rings };
	struct hvh_fault spoil = { .point = HVH_FAULT_MSG_OUT,
	    .action = HVH_FAULT_CALL, .key = MSG_OPEN_RESULT,
	    .hook = spoil_ring };
	struct join j;
	unsigned i;

	join_start(&j, &cf);
	for (i = 0; i < 10; i++) {
		ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &keep));
		ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &spoil));
		ATF_REQUIRE_EQ(0, vm_load());
		/* Unless the host's first answer came before the look. */
		(void)kpi_disk_wait("da0", 300);
		ATF_CHECK(rx_control != 0);
		hvh_fault_clear(j.host);
		ATF_REQUIRE_EQ(0, vm_unload());
	}
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	join_verify("da0", 0, 65536, 1);
	join_finish(&j);
}

/* RELID RELEASED is the last that the guest has to say of the channel. */
static bool
released(void *arg)
{
	kpi_u64 *before = arg;

	return (join_sysctl("dev.vmbus.0.messages_out") > *before);
}

ATF_TC(deleted_controller);
ATF_TC_HEAD(deleted_controller, tc)
{
	atf_tc_set_md_var(tc, "descr", "the administrator deletes a "
	    "controller, and then the host takes it away");
}
ATF_TC_BODY(deleted_controller, tc)
{
	struct join_config cf = { 0 };
	struct join j;
	char disk[] = "da0";
	kpi_u64 sent;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, ktest_delete_controller());
	ATF_REQUIRE(join_wait(join_disk_gone, disk, 10000));
	ATF_REQUIRE_EQ(ENXIO, ktest_delete_controller());
	sent = join_sysctl("dev.vmbus.0.messages_out");
	hvh_scsi_remove(j.scsi[0]);
	ATF_REQUIRE(join_wait(released, &sent, 10000));
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_REQUIRE_EQ(0, vm_load());
	join_finish(&j);
}

ATF_TC(dump_frozen);
ATF_TC_HEAD(dump_frozen, tc)
{
	atf_tc_set_md_var(tc, "descr", "a crash dump, where a processor was "
	    "stopped while it sent a request and so holds CAM's queue");
}
ATF_TC_BODY(dump_frozen, tc)
{
	struct join_config cf = { .disk_size = 64 << 20 };
	struct join j;
	void *buf;

	join_start(&j, &cf);
	buf = kpi_mem_alloc(1 << 20);
	join_pattern(buf, 1 << 20, 32 << 20, 78);
	/* Comes back once CAM has told everybody of da0, and thawed it. */
	join_verify("da0", 0, 65536, 1);
	ktest_freeze_controller();
	ATF_REQUIRE_EQ(0, kpi_disk_dump("da0", 32 << 20, buf, 1 << 20));
	kpi_mem_free(buf);
	join_check("da0", 32 << 20, 1 << 20, 78);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, forms);
	ATF_TP_ADD_TC(tp, forms_scattered);
	ATF_TP_ADD_TC(tp, holes);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, eject);
	ATF_TP_ADD_TC(tp, unknown_command);
	ATF_TP_ADD_TC(tp, gone_unit);
	ATF_TP_ADD_TC(tp, spoilt_at_attach);
	ATF_TP_ADD_TC(tp, deleted_controller);
	ATF_TP_ADD_TC(tp, dump_frozen);

	return (atf_no_error());
}
