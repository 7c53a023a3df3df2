/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A disk that is offered as emulated IDE and on VMBus: exactly one of ada and
 * da is there, whatever is loaded when, set, missing or broken.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "ide_kernel.h"
#include "join_kernel.h"

/* Channel messages and VSTOR operations (protocol: vmbus 2.1, storvsc 3). */
enum { MSG_OFFER = 1, MSG_VERSION = 15, OP_COMPLETE_IO = 1 };

#define	OFFER_INSTANCE	24	/* offset in an offer */

static struct join j;
static struct ktest_ata *ata[2];
static struct hvh_scsi *ide[2][2];

/* A disk at that position, on VMBus. */
static void
add_disk(unsigned channel, unsigned drive)
{
	struct hvh_blk_params bp = { .size = 4 << 20, .block_size = 512 };
	struct hvh_lun_params lp = { 0 };
	char msg[256];

	ATF_REQUIRE_EQ(0, hvh_blk_open(j.host, &bp, &lp.blk, msg,
	    sizeof(msg)));
	ATF_REQUIRE_EQ(0, hvh_ide_add(j.host, channel, drive, &lp,
	    &ide[channel][drive]));
}

/*
 * A machine whose emulated IDE controller has a disk at each position but for
 * the CD-ROM that is the master of the second channel.
 */
static void
machine(const char *const *kenv, bool virtual_clock)
{
	struct join_config cf = { .no_load = true,
	    .vm = { .kenv = kenv, .virtual_clock = virtual_clock } };
	struct ktest_ata_config ac = { .name = "ata", .pci = ATA_PIIX4,
	    .drive = { ATA_DISK, ATA_DISK } };

	join_start(&j, &cf);
	ata[0] = ktest_ata_add(&ac);
	ac.unit = 1;
	ac.drive[0] = ATA_CDROM;
	ata[1] = ktest_ata_add(&ac);
	ATF_REQUIRE(ata[0] != NULL && ata[1] != NULL);
}

/* The usual machine: a disk, the master of the first channel, on VMBus. */
static void
one_disk(const char *const *kenv)
{

	machine(kenv, false);
	add_disk(0, 0);
}

static void
finish(void)
{

	ktest_ata_remove(ata[0]);
	ktest_ata_remove(ata[1]);
	join_finish(&j);
}

static void
count_blkvsc(void *arg, const char *name)
{
	struct kpi_disk_info info;

	if (kpi_disk_info(name, &info) == 0 && strcmp(info.sim, "blkvsc") == 0)
		++*(unsigned *)arg;
}

/* Disks that came by VMBus's IDE channels. */
static unsigned
blkvsc(void)
{
	unsigned n = 0;

	kpi_disk_list(count_blkvsc, &n);
	return (n);
}

static bool
has_blkvsc(void *arg)
{

	return (blkvsc() == *(unsigned *)arg);
}

static void
wait_blkvsc(unsigned n)
{

	ATF_REQUIRE_MSG(join_wait(has_blkvsc, &n, 20000),
	    "%u disks by VMBus's IDE channels, not %u", blkvsc(), n);
}

/* The disk is there by VMBus, and only so. */
static void
only_da(void)
{

	wait_blkvsc(1);
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[0], 0));
	ATF_CHECK_EQ(1, blkvsc());
}

/* It is there by emulated IDE, and only so, however often it is scanned. */
static void
only_ada(void)
{

	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 0));
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 0));
	ATF_CHECK_EQ(0, blkvsc());
}

/* The SCSI disk is always there, so that nothing may be missed below. */
static void
load(void)
{

	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
}

#define	IDE_CASE(name, descr)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc)						\
	{								\
		atf_tc_set_md_var(tc, "descr", descr);			\
	}								\
	ATF_TC_BODY(name, tc)

/* One row of the table in storvsc(4): what is set, who has the disk. */
#define	TUNABLE_CASE(name, who, ...)					\
	IDE_CASE(name, #who ": " #__VA_ARGS__)				\
	{								\
		static const char *const kenv[] = { __VA_ARGS__, NULL };\
									\
		one_disk(kenv);						\
		load();							\
		who();							\
		finish();						\
	}

#define	ENABLED	"hw.ata.disk_enabled="
#define	ENABLE	"hw.ata.disk_enable="

TUNABLE_CASE(tunable_none, only_da, "hw.ata.something=1")
TUNABLE_CASE(tunable_0, only_da, ENABLED "0")
TUNABLE_CASE(tunable_1, only_ada, ENABLED "1")
TUNABLE_CASE(tunable_2, only_ada, ENABLED "2")
TUNABLE_CASE(old_name_0, only_da, ENABLE "0")
TUNABLE_CASE(old_name_1, only_ada, ENABLE "1")
TUNABLE_CASE(both_names_off, only_da, ENABLED "0", ENABLE "1")
TUNABLE_CASE(both_names_on, only_ada, ENABLE "0", ENABLED "1")
TUNABLE_CASE(not_a_number, only_da, ENABLED "please")
TUNABLE_CASE(not_a_number_old, only_ada, ENABLED "please", ENABLE "1")

IDE_CASE(drives, "each drive is decided by itself: what has no device on "
    "VMBus is ada's")
{

	machine(NULL, false);
	add_disk(1, 1);
	load();
	wait_blkvsc(1);
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 0));
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 1));
	ATF_CHECK_EQ(HELD_BY_CD, ktest_ata_probe(ata[1], 0));
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[1], 1));
	finish();
}

IDE_CASE(all_drives, "three disks and a CD-ROM: three da, and the CD-ROM")
{

	machine(NULL, false);
	add_disk(0, 0);
	add_disk(0, 1);
	add_disk(1, 1);
	load();
	wait_blkvsc(3);
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[0], 0));
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[0], 1));
	ATF_CHECK_EQ(HELD_BY_CD, ktest_ata_probe(ata[1], 0));
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[1], 1));
	finish();
}

IDE_CASE(cdrom, "a CD-ROM is ATA's even if a device on VMBus claims to be it")
{

	machine(NULL, false);
	add_disk(1, 0);
	load();
	wait_blkvsc(1);
	ATF_CHECK_EQ(HELD_BY_CD, ktest_ata_probe(ata[1], 0));
	finish();
}

/* A disk on a bus that is not the emulated controller's; vetoed: by others. */
static enum ata_holder
elsewhere(const char *name, unsigned unit, uint32_t pci, bool vetoed)
{
	const struct ktest_ata_config ac = { .name = name, .unit = unit,
	    .pci = pci, .drive = { ATA_DISK, ATA_NONE } };
	struct ktest_ata *ab;
	enum ata_holder who;

	ab = ktest_ata_add(&ac);
	ATF_REQUIRE(ab != NULL);
	if (vetoed)
		ktest_veto_all(true);
	who = ktest_ata_probe(ab, 0);
	if (vetoed)
		ktest_veto_all(false);
	ktest_ata_remove(ab);
	return (who);
}

IDE_CASE(elsewhere, "disks of other controllers are nobody's business here")
{

	one_disk(NULL);
	load();
	wait_blkvsc(1);
	ATF_CHECK_EQ(HELD_BY_ADA, elsewhere("ata", 2, ATA_PIIX4, false));
	ATF_CHECK_EQ(HELD_BY_ADA, elsewhere("ahcich", 0, ATA_PIIX4, false));
	ATF_CHECK_EQ(HELD_BY_ADA, elsewhere("ata", 0, 0x70108086, false));
	ATF_CHECK_EQ(HELD_BY_ADA, elsewhere("ata", 0, 0x71111022, false));
	ATF_CHECK_EQ(HELD_BY_NONE, elsewhere("ata", 2, ATA_PIIX4, true));
	ATF_CHECK_EQ(HELD_BY_NONE, elsewhere("ahcich", 0, ATA_PIIX4, true));
	finish();
}

IDE_CASE(late, "a module that comes after the ATA scan leaves the disk in use "
    "alone, also when it is scanned again")
{

	one_disk(NULL);
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 0));
	load();
	only_ada();
	finish();
}

IDE_CASE(disabled, "a device that hints disable leaves the disk to ada")
{
	static const char *const kenv[] = { "hint.storvsc.0.disabled=1",
	    "hint.storvsc.1.disabled=1", NULL };

	one_disk(kenv);
	ATF_REQUIRE_EQ(0, vm_load());
	only_ada();
	finish();
}

IDE_CASE(no_bus, "a bus that is disabled leaves the disk to ada, also where "
    "another driver vetoes")
{
	static const char *const kenv[] = { "hint.vmbus.0.disabled=1", NULL };

	one_disk(kenv);
	ATF_REQUIRE_EQ(0, vm_load());
	ktest_veto_all(true);
	only_ada();
	ktest_veto_all(false);
	finish();
}

IDE_CASE(nowhere, "a device that does not tell which drive it is, is not "
    "used: its disk is ada's")
{
	const struct hvh_fault f = {
		.point = HVH_FAULT_MSG_OUT, .action = HVH_FAULT_CORRUPT,
		.key = MSG_OFFER, .arg = 7, .offset = OFFER_INSTANCE, .len = 4,
	};

	one_disk(NULL);
	ATF_REQUIRE_EQ(0, hvh_fault_add(j.host, &f));
	load();
	only_ada();
	finish();
}

IDE_CASE(veto_lifted, "a veto of a driver without a bus does not count where "
    "this driver leaves the disk to ada")
{
	static const char *const kenv[] = { ENABLED "1", NULL };

	one_disk(kenv);
	ktest_veto_all(true);
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[0], 0));
	load();
	only_ada();
	/* Neither does it where nothing is offered. */
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 1));
	ATF_CHECK_EQ(HELD_BY_CD, ktest_ata_probe(ata[1], 0));
	ktest_veto_all(false);
	finish();
}

IDE_CASE(veto_agreed, "with such a driver, too, the disk is da by default")
{

	one_disk(NULL);
	ktest_veto_all(true);
	load();
	only_da();
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 1));
	ktest_veto_all(false);
	finish();
}

IDE_CASE(veto_kept, "where another driver has the bus, its veto counts")
{
	static const char *const kenv[] = { ENABLED "1", NULL };

	one_disk(kenv);
	ATF_REQUIRE_EQ(0, ktest_other_attach());
	ktest_veto_all(true);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[0], 0));
	ktest_veto_all(false);
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 0));
	ATF_CHECK_EQ(0, vm_unload());
	ATF_CHECK_EQ(0, ktest_other_detach());
	ktest_ata_remove(ata[0]);
	ktest_ata_remove(ata[1]);
	vm_destroy();
	ATF_CHECK_EQ(0, kpi_leaks());
}

IDE_CASE(detach, "when the device has gone the disk can be ada; when it comes "
    "back it stays that")
{

	one_disk(NULL);
	load();
	only_da();
	hvh_scsi_remove(ide[0][0]);
	wait_blkvsc(0);
	/* The last of it goes with its softc, a moment after the disk. */
	while (ktest_ata_probe(ata[0], 0) != HELD_BY_ADA)
		usleep(1000);
	add_disk(0, 0);
	usleep(200000);
	only_ada();
	finish();
}

IDE_CASE(unload, "so can it when the module has gone; one that comes back "
    "later has it again if nobody took it")
{

	one_disk(NULL);
	load();
	only_da();
	ATF_REQUIRE_EQ(0, vm_unload());
	load();
	only_da();
	ATF_REQUIRE_EQ(0, vm_unload());
	ATF_CHECK_EQ(HELD_BY_ADA, ktest_ata_probe(ata[0], 0));
	load();
	only_ada();
	finish();
}

/* Something of the kernel's that takes long. */
struct slow {
	int		(*fn)(void);
	pthread_t	thread;
	int		error;
	unsigned	scans;		/* of the disk, before it ended */
};

static void *
slow_thread(void *arg)
{
	struct slow *s = arg;

	s->error = s->fn();
	return (NULL);
}

static bool
is_struck(void *arg)
{

	return (hvh_fault_count(j.host, HVH_FAULT_MSG_OUT) +
	    hvh_fault_count(j.host, HVH_FAULT_PKT_OUT) > *(uint64_t *)arg);
}

/* CAM asks in the middle of it: once the host's fault has held it up. */
static void
ask_during(struct slow *s, int (*fn)(void))
{
	uint64_t struck = hvh_fault_count(j.host, HVH_FAULT_MSG_OUT) +
	    hvh_fault_count(j.host, HVH_FAULT_PKT_OUT);

	s->fn = fn;
	ATF_REQUIRE_EQ(0, pthread_create(&s->thread, NULL, slow_thread, s));
	ATF_REQUIRE(join_wait(is_struck, &struck, 20000));
	s->scans = ktest_ata_scans(ata[0], 0);
	ATF_CHECK_EQ(HELD_BY_NONE, ktest_ata_probe(ata[0], 0));
}

static bool
scanned_again(void *arg)
{
	struct slow *s = arg;

	vm_advance(100000000);
	return (ktest_ata_scans(ata[0], 0) > s->scans);
}

/* The drivers are there; the bus will come up as it does at boot. */
static void
before_boot(void)
{

	machine(NULL, true);
	load();
	add_disk(0, 0);
	wait_blkvsc(1);
	ATF_REQUIRE_EQ(0, ktest_vmbus_detach());
	wait_blkvsc(0);
}

IDE_CASE(starting, "while the bus is coming up the disk is nobody's, then da")
{
	struct slow s;

	before_boot();
	join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DELAY, MSG_VERSION, 0, 1,
	    2000000000);
	ask_during(&s, ktest_vmbus_attach);
	for (unsigned i = 0; i < 40; i++)
		vm_advance(100000000);
	ATF_REQUIRE_EQ(0, pthread_join(s.thread, NULL));
	ATF_CHECK_EQ(0, s.error);
	only_da();
	ATF_CHECK_EQ(s.scans, ktest_ata_scans(ata[0], 0));
	finish();
}

IDE_CASE(starting_without, "while the bus is coming up no disk is ada; what "
    "turns out not to be there CAM is told to look for again")
{
	struct slow s;

	before_boot();
	hvh_scsi_remove(ide[0][0]);
	join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DELAY, MSG_VERSION, 0, 1,
	    2000000000);
	ask_during(&s, ktest_vmbus_attach);
	ATF_CHECK(join_wait(scanned_again, &s, 20000));
	ATF_REQUIRE_EQ(0, pthread_join(s.thread, NULL));
	ATF_CHECK_EQ(0, s.error);
	only_ada();
	finish();
}

IDE_CASE(not_connected, "a bus that does not come up: CAM is told to look "
    "again, and the disk is ada")
{
	struct slow s;

	before_boot();
	join_fault(&j, HVH_FAULT_MSG_OUT, HVH_FAULT_DROP, MSG_VERSION, 0, 0,
	    0);
	ask_during(&s, ktest_vmbus_attach);
	ATF_CHECK(join_wait(scanned_again, &s, 20000));
	ATF_REQUIRE_EQ(0, pthread_join(s.thread, NULL));
	ATF_CHECK(s.error != 0);
	only_ada();
	hvh_fault_clear(j.host);
	finish();
}

static int
load_storvsc(void)
{

	return (kpi_kldload("hv_storvsc"));
}

IDE_CASE(not_attached, "a device that does not attach: CAM is told to look "
    "again, and the disk is ada")
{
	struct slow s;

	machine(NULL, true);
	hvh_scsi_remove(j.scsi[0]);
	add_disk(0, 0);
	ATF_REQUIRE_EQ(0, kpi_kldload("hv_vmbus"));
	join_fault(&j, HVH_FAULT_PKT_OUT, HVH_FAULT_DROP, OP_COMPLETE_IO, 0, 0,
	    0);
	ask_during(&s, load_storvsc);
	ATF_CHECK(join_wait(scanned_again, &s, 20000));
	ATF_REQUIRE_EQ(0, pthread_join(s.thread, NULL));
	only_ada();
	hvh_fault_clear(j.host);
	finish();
}

/* REPORT LUNS, of which the host may know nothing behind an IDE channel. */
static void
report_luns(unsigned room, unsigned want)
{
	static const unsigned char units[16] = { [3] = 8 };
	struct ktest_piece piece = { kpi_mem_alloc(4096), room };
	struct ktest_scsi s = { .cdb = { 0xa0, [9] = room }, .cdb_len = 12,
	    .data = KTEST_VADDR, .len = room, .piece = &piece, .npieces = 1 };

	memset(piece.addr, 0xff, 4096);
	ATF_REQUIRE_EQ(0, ktest_scsi(&s));
	ATF_CHECK_EQ_MSG(KTEST_DONE, s.end, "status %#x", s.status);
	ATF_CHECK_EQ(room - want, s.resid);
	ATF_CHECK(memcmp(piece.addr, units, want) == 0);
	ATF_CHECK_EQ(0xff, piece.addr[want]);
	kpi_mem_free(piece.addr);
}

IDE_CASE(report_luns, "a disk by an IDE channel has one unit, and says so")
{
	struct join_config cf = { .no_load = true };

	join_start(&j, &cf);
	hvh_scsi_remove(j.scsi[0]);
	add_disk(0, 0);
	load();
	report_luns(16, 16);
	report_luns(200, 16);
	report_luns(8, 8);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, report_luns);
	ATF_TP_ADD_TC(tp, tunable_none);
	ATF_TP_ADD_TC(tp, tunable_0);
	ATF_TP_ADD_TC(tp, tunable_1);
	ATF_TP_ADD_TC(tp, tunable_2);
	ATF_TP_ADD_TC(tp, old_name_0);
	ATF_TP_ADD_TC(tp, old_name_1);
	ATF_TP_ADD_TC(tp, both_names_off);
	ATF_TP_ADD_TC(tp, both_names_on);
	ATF_TP_ADD_TC(tp, not_a_number);
	ATF_TP_ADD_TC(tp, not_a_number_old);
	ATF_TP_ADD_TC(tp, drives);
	ATF_TP_ADD_TC(tp, all_drives);
	ATF_TP_ADD_TC(tp, cdrom);
	ATF_TP_ADD_TC(tp, elsewhere);
	ATF_TP_ADD_TC(tp, late);
	ATF_TP_ADD_TC(tp, disabled);
	ATF_TP_ADD_TC(tp, no_bus);
	ATF_TP_ADD_TC(tp, nowhere);
	ATF_TP_ADD_TC(tp, veto_lifted);
	ATF_TP_ADD_TC(tp, veto_agreed);
	ATF_TP_ADD_TC(tp, veto_kept);
	ATF_TP_ADD_TC(tp, detach);
	ATF_TP_ADD_TC(tp, unload);
	ATF_TP_ADD_TC(tp, starting);
	ATF_TP_ADD_TC(tp, starting_without);
	ATF_TP_ADD_TC(tp, not_connected);
	ATF_TP_ADD_TC(tp, not_attached);
	return (atf_no_error());
}
