/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hosted CAM: what the scan finds, and what it makes of it.
 */

#include "ktest_cam_fake.h"

static void
scan_layout(const u_int *luns, u_int n, bool report, enum fake_absent absent)
{
	struct kpi_disk_info info;
	struct fake_sim *fs;
	char name[16];
	u_int i;

	fs = fake_new();
	fs->fs_report_luns = report;
	fs->fs_absent = absent;
	for (i = 0; i < n; i++)
		fake_lun(fs, luns[i], 64 + luns[i]);
	fake_scan(fs);
	KT_EQ(fake_disks(), n);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "da%u", i);
		KT_EQ(kpi_disk_info(name, &info), 0);
		KT_EQ(info.lun, luns[i]);
		KT_EQ(info.target, 0);
		KT_EQ(info.size, (64 + luns[i]) * 512);
		KT_EQ(info.sectorsize, 512);
		KT_CHECK(strcmp(info.sim, "fake") == 0);
	}
	snprintf(name, sizeof(name), "da%u", n);
	KT_EQ(kpi_disk_info(name, &info), ENXIO);
	fake_detach(fs);
	KT_EQ(fake_disks(), 0);
}

static const u_int one[] = { 0 }, gaps[] = { 0, 1, 5, 63 };
static const u_int no_zero[] = { 3, 40 };

KTEST(cam_scan_one, "one unit at LUN 0")
{

	scan_layout(one, nitems(one), true, FAKE_QUALIFIER);
}

KTEST(cam_scan_gaps, "units with gaps between them, up to the last LUN")
{

	scan_layout(gaps, nitems(gaps), true, FAKE_QUALIFIER);
}

KTEST(cam_scan_no_zero, "LUN 0 is empty, REPORT LUNS tells of others")
{

	scan_layout(no_zero, nitems(no_zero), true, FAKE_QUALIFIER);
}

KTEST(cam_scan_no_zero_gone, "LUN 0 answers to nothing but REPORT LUNS")
{

	scan_layout(no_zero, nitems(no_zero), true, FAKE_NOT_THERE);
}

KTEST(cam_scan_sequential, "no REPORT LUNS: every LUN is asked")
{

	scan_layout(gaps, nitems(gaps), false, FAKE_QUALIFIER);
}

KTEST(cam_scan_sequential_no_zero, "no REPORT LUNS and no LUN 0")
{

	scan_layout(no_zero, nitems(no_zero), false, FAKE_SELTO);
}

KTEST(cam_scan_none, "a bus without units")
{

	scan_layout(NULL, 0, true, FAKE_SELTO);
}

KTEST(cam_scan_all, "all 64 units")
{
	u_int luns[FAKE_LUNS], i;

	for (i = 0; i < FAKE_LUNS; i++)
		luns[i] = i;
	scan_layout(luns, FAKE_LUNS, true, FAKE_QUALIFIER);
}

KTEST(cam_scan_unlocked, "a SIM without a mutex of CAM's")
{
	struct fake_sim *fs;

	fs = fake_new();
	fs->fs_unlocked = true;
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(fake_disks(), 1);
	fake_detach(fs);
}

KTEST(cam_scan_targets, "each target but the initiator's is asked")
{
	struct fake_sim *fs;

	fs = fake_new();
	fs->fs_max_target = 9;
	fs->fs_absent = FAKE_SELTO;
	fake_scan(fs);
	KT_EQ(fs->fs_targets, 0x3ff & ~(1 << 7));
	fake_detach(fs);
}

KTEST(cam_scan_cd, "a CD-ROM is a read-only cd of 2048-byte sectors")
{
	struct kpi_disk_info info;
	struct fake_sim *fs;
	uint8_t buf[2048];

	fs = fake_new();
	fake_lun(fs, 2, 256);
	fs->fs_lun[2].fl_type = T_CDROM;
	fs->fs_lun[2].fl_sectors = 64;
	fs->fs_lun[2].fl_secsize = 2048;
	memset(fs->fs_lun[2].fl_data + 2048, 0x5a, 2048);
	fake_scan(fs);
	KT_EQ(kpi_disk_info("cd0", &info), 0);
	KT_EQ(info.sectorsize, 2048);
	KT_EQ(info.size, 64 * 2048);
	KT_EQ(info.readonly, 1);
	KT_EQ(kpi_disk_info("da0", &info), ENXIO);
	KT_EQ(fake_do("cd0", KPI_DISK_READ, 2048, buf, sizeof(buf)), 0);
	KT_EQ(buf[0], 0x5a);
	KT_EQ(fake_do("cd0", KPI_DISK_WRITE, 0, buf, sizeof(buf)), EROFS);
	fake_detach(fs);
}

KTEST(cam_scan_hot_add, "a unit that came is found by the next scan")
{
	struct fake_sim *fs;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(fake_disks(), 1);
	fake_lun(fs, 9, 64);
	fake_rescan(fs);
	KT_EQ(fake_disks(), 2);
	/* Nothing changed: nothing happens. */
	fake_rescan(fs);
	KT_EQ(fake_disks(), 2);
	fake_detach(fs);
}

static void
scan_hot_remove(enum fake_absent absent)
{
	struct kpi_disk_info info;
	struct fake_sim *fs;
	uint8_t buf[512];

	fs = fake_new();
	fs->fs_absent = absent;
	fake_lun(fs, 0, 64);
	fake_lun(fs, 4, 64);
	fake_scan(fs);
	KT_EQ(fake_disks(), 2);
	fs->fs_lun[4].fl_present = false;
	fake_rescan(fs);
	KT_EQ(fake_disks(), 1);
	KT_EQ(kpi_disk_info("da1", &info), ENXIO);
	KT_EQ(fake_do("da1", KPI_DISK_READ, 0, buf, 512), ENXIO);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	/* The number is free for the next one. */
	fs->fs_lun[4].fl_present = true;
	fake_rescan(fs);
	KT_EQ(kpi_disk_info("da1", &info), 0);
	KT_EQ(info.lun, 4);
	fake_detach(fs);
}

KTEST(cam_scan_remove_qualifier, "a unit left: INQUIRY says so")
{

	scan_hot_remove(FAKE_QUALIFIER);
}

KTEST(cam_scan_remove_not_there, "a unit left: CAM_DEV_NOT_THERE")
{

	scan_hot_remove(FAKE_NOT_THERE);
}

KTEST(cam_scan_remove_selto, "a unit left: CAM_SEL_TIMEOUT")
{

	scan_hot_remove(FAKE_SELTO);
}

KTEST(cam_scan_replaced, "another device in the place of one is a new disk")
{
	struct kpi_disk_info info;
	struct fake_sim *fs;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_lun[0].fl_type = T_CDROM;
	fake_rescan(fs);
	KT_EQ(kpi_disk_info("da0", &info), ENXIO);
	KT_EQ(kpi_disk_info("cd0", &info), 0);
	fake_detach(fs);
}

KTEST(cam_scan_capacity, "a scan sees that a disk has grown")
{
	struct kpi_disk_info info;
	struct fake_sim *fs;

	fs = fake_new();
	fake_lun(fs, 0, 1024);
	fs->fs_lun[0].fl_sectors = 512;
	fake_scan(fs);
	KT_EQ(kpi_disk_info("da0", &info), 0);
	KT_EQ(info.size, 512 * 512);
	fs->fs_lun[0].fl_sectors = 1024;
	fake_rescan(fs);
	KT_EQ(kpi_disk_info("da0", &info), 0);
	KT_EQ(info.size, 1024 * 512);
	fake_detach(fs);
}

KTEST(cam_scan_attention, "UNIT ATTENTION 2A/09 makes the disk look again")
{
	struct kpi_disk_info info;
	struct fake_sim *fs;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 1024);
	fs->fs_lun[0].fl_sectors = 512;
	fake_scan(fs);
	fs->fs_lun[0].fl_sectors = 1024;
	fake_sense(&fs->fs_lun[0], 1, 6, 0x2a, 9);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	KT_CHECK(FAKE_UNTIL(kpi_disk_info("da0", &info) == 0 &&
	    info.size == 1024 * 512));
	fake_detach(fs);
}

KTEST(cam_scan_luns_changed, "UNIT ATTENTION 3F/0E makes the target scanned")
{
	struct fake_sim *fs;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fake_lun(fs, 1, 64);
	fake_sense(&fs->fs_lun[0], 1, 6, 0x3f, 0x0e);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	KT_CHECK(FAKE_UNTIL(fake_disks() == 2));
	fake_detach(fs);
}

KTEST(cam_scan_protected, "a write-protected disk refuses writes by itself")
{
	struct kpi_disk_info info;
	struct fake_sim *fs;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fs->fs_lun[0].fl_readonly = true;
	fake_scan(fs);
	KT_EQ(kpi_disk_info("da0", &info), 0);
	KT_EQ(info.readonly, 1);
	KT_EQ(fake_do("da0", KPI_DISK_WRITE, 0, buf, 512), EROFS);
	KT_EQ(fs->fs_lun[0].fl_ops[WRITE_6], 0);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	fake_detach(fs);
}

KTEST(cam_reset, "bus and unit resets reach the SIM")
{
	struct fake_sim *fs;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(kpi_cam_reset("fake", 0, -1, -1), 0);
	KT_EQ(fs->fs_bus_resets, 1);
	KT_EQ(kpi_cam_reset("fake", 0, 0, 0), 0);
	KT_EQ(fs->fs_resets, 1);
	KT_EQ(kpi_cam_reset("fake", 1, 0, 0), ENXIO);
	KT_EQ(kpi_cam_rescan("none", 0), ENXIO);
	fake_detach(fs);
}

/* Listeners of events. */

static u_int heard_found, heard_lost, heard_reset;

static void
scan_listener(void *arg, uint32_t code, struct cam_path *path, void *data)
{

	switch (code) {
	case AC_FOUND_DEVICE:
		atomic_add_int(&heard_found, 1);
		break;
	case AC_LOST_DEVICE:
		atomic_add_int(&heard_lost, 1);
		break;
	case AC_BUS_RESET:
		atomic_add_int(&heard_reset, 1);
		break;
	default:
		break;
	}
}

KTEST(cam_async_events, "listeners hear of what they asked for, until told off")
{
	struct fake_sim *fs;
	char a;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	KT_EQ(xpt_register_async(AC_FOUND_DEVICE | AC_LOST_DEVICE,
	    scan_listener, &a, NULL), CAM_REQ_CMP);
	fake_scan(fs);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(heard_found) == 1));
	fake_lun(fs, 1, 64);
	fake_rescan(fs);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(heard_found) == 2));
	KT_EQ(xpt_register_async(AC_BUS_RESET, scan_listener, &a, fs->fs_path),
	    CAM_REQ_CMP);
	xpt_async(AC_BUS_RESET, fs->fs_path, NULL);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(heard_reset) == 1));
	KT_EQ(xpt_register_async(0, scan_listener, &a, fs->fs_path),
	    CAM_REQ_CMP);
	KT_EQ(xpt_register_async(0, scan_listener, &a, NULL), CAM_REQ_CMP);
	xpt_async(AC_BUS_RESET, fs->fs_path, NULL);
	fs->fs_lun[1].fl_present = false;
	fake_rescan(fs);
	KT_EQ(fake_disks(), 1);
	KT_EQ(FAKE_GET(heard_reset), 1);
	KT_EQ(FAKE_GET(heard_lost), 0);
	fake_detach(fs);
}

KTEST(cam_transport, "a bus of a transport that nobody knows")
{
	struct fake_sim *fs;

	fs = fake_new();
	fs->fs_transport = XPORT_UNSPECIFIED;
	KT_CHECK(!fake_try_attach(fs));
	fake_detach(fs);
}

static struct fake_sim *async_fs;
static volatile u_int async_frozen;

static void
scan_frozen(void *arg, uint32_t code, struct cam_path *path, void *data)
{
	struct fake_io *fi = arg;

	/* The disk's requests wait until this returns. */
	KT_EQ(fake_start(fi, "da0", KPI_DISK_FLUSH, 0, NULL, 0), 0);
	hosted_sleep(20 * 1000 * 1000);
	KT_EQ(fake_ops(async_fs, 0, SYNCHRONIZE_CACHE), 0);
	atomic_store_rel_int(&async_frozen, 1);
}

KTEST(cam_async_frozen, "the SIM gets nothing while an event is under way")
{
	static struct fake_io fi;
	struct fake_sim *fs;

	async_fs = fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(xpt_register_async(AC_BUS_RESET, scan_frozen, &fi, fs->fs_path),
	    CAM_REQ_CMP);
	xpt_async(AC_BUS_RESET, fs->fs_path, NULL);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(async_frozen) == 1));
	KT_EQ(fake_finish(&fi), 0);
	KT_EQ(fake_ops(fs, 0, SYNCHRONIZE_CACHE), 1);
	KT_EQ(xpt_register_async(0, scan_frozen, &fi, fs->fs_path),
	    CAM_REQ_CMP);
	fake_detach(fs);
}

static volatile u_int told_scanned, told_event, told_early;

static void
scan_slow(void *arg, uint32_t code, struct cam_path *path, void *data)
{

	hosted_sleep(20 * 1000 * 1000);
	atomic_add_int(&heard_found, 1);
}

/* On the event thread; the waiter frees the CCB once it has the path's lock. */
static void
scan_told(struct cam_periph *periph, union ccb *ccb)
{

	mtx_assert(xpt_path_mtx(ccb->ccb_h.path), MA_OWNED);
	KT_EQ(FAKE_GET(heard_found), 3);
	KT_CHECK(kpi_cam_boot_holds() >= 1);
	xpt_release_boot();
	atomic_store_rel_int(&told_event, 1);
}

static void
scan_scanned(struct cam_periph *periph, union ccb *ccb)
{

	KT_EQ(kpi_cam_boot_holds(), 1);
	told_early = FAKE_GET(heard_found);
	xpt_hold_boot();
	xpt_setup_ccb(&ccb->ccb_h, ccb->ccb_h.path, CAM_PRIORITY_XPT);
	ccb->ccb_h.func_code = XPT_ASYNC;
	ccb->ccb_h.cbfcnp = scan_told;
	xpt_action(ccb);
	atomic_store_rel_int(&told_scanned, 1);
}

KTEST(cam_async_ccb, "a SIM that scans by itself: nothing is found before, the "
    "boot is held, and a CCB sent to the event thread comes after the finds")
{
	struct fake_sim *fs;
	union ccb *ccb;
	char a;

	fs = fake_new();
	fs->fs_noscan = true;
	fake_lun(fs, 0, 64);
	fake_lun(fs, 1, 64);
	fake_lun(fs, 7, 64);
	KT_EQ(xpt_register_async(AC_FOUND_DEVICE, scan_slow, &a, NULL),
	    CAM_REQ_CMP);
	fake_attach(fs);
	hosted_sleep(20 * 1000 * 1000);
	KT_EQ(fake_disks(), 0);
	KT_EQ(kpi_cam_boot_holds(), 0);
	ccb = xpt_alloc_ccb();
	ccb->ccb_h.path = fs->fs_path;
	ccb->ccb_h.cbfcnp = scan_scanned;
	xpt_rescan(ccb);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(told_event) == 1));
	KT_CHECK(FAKE_UNTIL(FAKE_GET(told_scanned) == 1));
	KT_CHECK(told_early < 3);
	KT_CHECK(FAKE_UNTIL(kpi_cam_boot_holds() == 0));
	xpt_path_lock(fs->fs_path);
	xpt_path_unlock(fs->fs_path);
	xpt_free_ccb(ccb);
	KT_EQ(fake_disks(), 3);
	KT_EQ(xpt_register_async(0, scan_slow, &a, NULL), CAM_REQ_CMP);
	fake_detach(fs);
}
