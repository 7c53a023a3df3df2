/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hosted CAM: requests of disks, from their splitting to their end, also when
 * the disk leaves meanwhile or the system is dumping.
 */

#include "ktest_cam_fake.h"

#include <sys/kthread.h>

static void
disk_fill(uint8_t *buf, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		buf[i] = seed >> 16;
	}
}

KTEST(cam_disk_data, "what is written is read back, in every size")
{
	struct fake_sim *fs;
	uint8_t *out, *in;
	size_t len, off;

	fs = fake_new();
	fs->fs_maxio = 20 * 1024;
	fake_lun(fs, 0, 2048);
	fake_scan(fs);
	out = malloc(512 * 1024, M_TEMP, M_WAITOK);
	in = malloc(512 * 1024, M_TEMP, M_WAITOK);
	for (len = 512; len <= 512 * 1024; len = len * 3 / 512 * 512) {
		for (off = 0; off < 4096; off += 1536) {
			disk_fill(out, len, len + off);
			KT_EQ(fake_do("da0", KPI_DISK_WRITE, off, out, len),
			    0);
			bzero(in, len);
			KT_EQ(fake_do("da0", KPI_DISK_READ, off, in, len), 0);
			KT_EQ(memcmp(in, out, len), 0);
			KT_EQ(memcmp(fs->fs_lun[0].fl_data + off, out, len),
			    0);
		}
	}
	KT_EQ(fs->fs_lun[0].fl_longest, 20 * 1024);
	free(out, M_TEMP);
	free(in, M_TEMP);
	fake_detach(fs);
}

KTEST(cam_disk_refused, "requests that no disk takes")
{
	struct fake_sim *fs;
	uint8_t buf[1024];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(fake_do("da1", KPI_DISK_READ, 0, buf, 512), ENXIO);
	KT_EQ(fake_do("da", KPI_DISK_READ, 0, buf, 512), ENXIO);
	KT_EQ(fake_do("da0x", KPI_DISK_READ, 0, buf, 512), ENXIO);
	KT_EQ(fake_do("da99999999999", KPI_DISK_READ, 0, buf, 512), ENXIO);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 0), EINVAL);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 500), EINVAL);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 100, buf, 512), EINVAL);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 64 * 512, buf, 512), EIO);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 63 * 512, buf, 1024), EIO);
	KT_EQ(fake_do("da0", KPI_DISK_READ, -512ULL, buf, 1024), EIO);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 63 * 512, buf, 512), 0);
	KT_EQ(fake_do("da0", KPI_DISK_DELETE, 0, NULL, 512), EOPNOTSUPP);
	fake_detach(fs);
}

KTEST(cam_disk_cdb, "the shortest command that reaches is used")
{
	struct fake_sim *fs;
	struct fake_lun *fl;
	uint8_t *buf;

	fs = fake_new();
	fs->fs_maxio = 1024 * 1024;
	fake_lun(fs, 0, 0x200000000ULL);
	fl = &fs->fs_lun[0];
	fake_scan(fs);
	buf = malloc(256 * 512, M_TEMP, M_WAITOK);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0x1fffffULL * 512, buf, 512), 0);
	KT_EQ(fl->fl_cdb[0], READ_6);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 256 * 512), 0);
	KT_EQ(fl->fl_cdb[0], READ_10);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0x200000ULL * 512, buf, 512), 0);
	KT_EQ(fl->fl_cdb[0], READ_10);
	KT_EQ(fake_do("da0", KPI_DISK_WRITE, 0xffffffffULL * 512, buf, 512),
	    0);
	KT_EQ(fl->fl_cdb[0], WRITE_10);
	KT_EQ(fake_do("da0", KPI_DISK_WRITE, 0x100000000ULL * 512, buf, 512),
	    0);
	KT_EQ(fl->fl_cdb[0], WRITE_16);
	free(buf, M_TEMP);
	fake_detach(fs);
}

KTEST(cam_disk_flush, "a flush is one SYNCHRONIZE CACHE")
{
	struct fake_sim *fs;
	struct fake_lun *fl;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fl = &fs->fs_lun[0];
	fake_scan(fs);
	KT_EQ(fake_do("da0", KPI_DISK_FLUSH, 0, NULL, 0), 0);
	KT_EQ(fl->fl_ops[SYNCHRONIZE_CACHE], 1);
	/* A device that lacks it has nothing to flush, nor is asked again. */
	fl->fl_fail_all = true;
	fake_sense(fl, 1, SSD_KEY_ILLEGAL_REQUEST, 0x20, 0);
	KT_EQ(fake_do("da0", KPI_DISK_FLUSH, 0, NULL, 0), 0);
	KT_EQ(fl->fl_ops[SYNCHRONIZE_CACHE], 2);
	KT_EQ(fake_do("da0", KPI_DISK_FLUSH, 0, NULL, 0), 0);
	KT_EQ(fl->fl_ops[SYNCHRONIZE_CACHE], 2);
	fake_detach(fs);
}

KTEST(cam_disk_delete, "DELETE becomes UNMAP within the limits of page B0")
{
	struct kpi_disk_info info;
	struct fake_io fi[24];
	struct fake_sim *fs;
	struct fake_lun *fl;
	u_int i;

	fs = fake_new();
	fake_lun(fs, 0, 1024);
	fl = &fs->fs_lun[0];
	fl->fl_thin = true;
	memset(fl->fl_data, 0xff, 1024 * 512);
	fake_scan(fs);
	KT_EQ(kpi_disk_info("da0", &info), 0);
	KT_EQ(info.candelete, 1);
	/* 200 sectors, 64 a command. */
	KT_EQ(fake_do("da0", KPI_DISK_DELETE, 8 * 512, NULL, 200 * 512), 0);
	KT_EQ(fl->fl_ops[UNMAP], 4);
	for (i = 0; i < 1024; i++)
		KT_EQ(fl->fl_data[i * 512], i >= 8 && i < 208 ? 0 : 0xff);
	/* Many at once: the first alone, the rest sixteen to a command. */
	KT_EQ(xpt_freeze_simq(fs->fs_sim, 1), 1);
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_start(&fi[i], "da0", KPI_DISK_DELETE,
		    (300 + 2 * i) * 512, NULL, 512), 0);
	xpt_release_simq(fs->fs_sim, 1);
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_finish(&fi[i]), 0);
	KT_EQ(fl->fl_ops[UNMAP], 4 + 3);
	KT_EQ(fl->fl_ranges, 7);
	for (i = 0; i < nitems(fi); i++) {
		KT_EQ(fl->fl_data[(300 + 2 * i) * 512], 0);
		KT_EQ(fl->fl_data[(301 + 2 * i) * 512], 0xff);
	}
	fake_detach(fs);
}

KTEST(cam_disk_part_fails, "one part that fails ends the request, once")
{
	struct fake_sim *fs;
	struct fake_io fi;
	uint8_t *buf;

	fs = fake_new();
	fs->fs_maxio = 4096;
	fake_lun(fs, 0, 2048);
	fake_scan(fs);
	buf = malloc(512 * 1024, M_TEMP, M_WAITOK);
	fake_sense(&fs->fs_lun[0], 1, SSD_KEY_MEDIUM_ERROR, 0x11, 0);
	KT_EQ(fake_start(&fi, "da0", KPI_DISK_READ, 0, buf, 512 * 1024), 0);
	KT_EQ(fake_finish(&fi), EIO);
	hosted_sleep(10 * 1000 * 1000);
	KT_EQ(FAKE_GET(fi.fi_done), 1);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512 * 1024), 0);
	free(buf, M_TEMP);
	fake_detach(fs);
}

KTEST(cam_disk_counters, "the counters of kern.cam.da.N tell what was done")
{
	struct fake_sim *fs;
	uint8_t buf[4096];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(fake_do("da0", KPI_DISK_WRITE, 0, buf, 4096), 0);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 1024), 0);
	KT_EQ(fake_do("da0", KPI_DISK_FLUSH, 0, NULL, 0), 0);
	KT_EQ(fake_counter("da0", "reads"), 2);
	KT_EQ(fake_counter("da0", "bytes_read"), 1536);
	KT_EQ(fake_counter("da0", "writes"), 1);
	KT_EQ(fake_counter("da0", "bytes_written"), 4096);
	KT_EQ(fake_counter("da0", "flushes"), 1);
	KT_EQ(fake_counter("da0", "errors"), 0);
	KT_EQ(fake_counter("da0", "queue_depth_max"), 1);
	fake_detach(fs);
}

/* --- Leaving under load --- */

#define	LOAD_DEPTH	16

struct disk_load {
	struct fake_io	 ios[LOAD_DEPTH];
	const char	*disk;
	uint8_t		*buf;
	volatile u_int	 started, ended, failed;
	volatile u_int	 stop;
};

static void	disk_load_next(struct disk_load *dl, struct fake_io *fi);

static void
disk_load_done(struct kpi_disk_io *io, int error)
{
	struct disk_load *dl = io->arg;

	if (error != 0)
		atomic_add_int(&dl->failed, 1);
	atomic_add_int(&dl->ended, 1);
	if (error == 0 && FAKE_GET(dl->stop) == 0)
		disk_load_next(dl, __containerof(io, struct fake_io, fi_io));
}

static void
disk_load_next(struct disk_load *dl, struct fake_io *fi)
{
	u_int i = fi - dl->ios;

	fi->fi_io.op = i % 2 == 0 ? KPI_DISK_READ : KPI_DISK_WRITE;
	fi->fi_io.offset = i * 8192;
	fi->fi_io.len = 8192;
	fi->fi_io.buf = dl->buf + i * 8192;
	fi->fi_io.done = disk_load_done;
	fi->fi_io.arg = dl;
	atomic_add_int(&dl->started, 1);
	if (kpi_disk_start(dl->disk, &fi->fi_io) != 0)
		atomic_subtract_int(&dl->started, 1);
}

static struct disk_load *
disk_load_start(const char *disk)
{
	struct disk_load *dl;
	u_int i;

	dl = malloc(sizeof(*dl), M_TEMP, M_WAITOK | M_ZERO);
	dl->disk = disk;
	dl->buf = malloc(LOAD_DEPTH * 8192, M_TEMP, M_WAITOK | M_ZERO);
	for (i = 0; i < LOAD_DEPTH; i++)
		disk_load_next(dl, &dl->ios[i]);
	return (dl);
}

static void
disk_load_end(struct disk_load *dl)
{

	atomic_store_rel_int(&dl->stop, 1);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(dl->started) == FAKE_GET(dl->ended)));
	free(dl->buf, M_TEMP);
	free(dl, M_TEMP);
}

KTEST(cam_load_remove, "a disk that leaves under load fails all of it, once")
{
	struct disk_load *a, *b;
	struct fake_sim *fs;
	u_int before;

	fs = fake_new();
	fs->fs_maxio = 4096;
	fake_lun(fs, 0, 1024);
	fake_lun(fs, 1, 1024);
	fake_scan(fs);
	a = disk_load_start("da0");
	b = disk_load_start("da1");
	KT_CHECK(FAKE_UNTIL(FAKE_GET(a->ended) > 100 &&
	    FAKE_GET(b->ended) > 100));
	fake_lock(fs);
	fs->fs_lun[1].fl_present = false;
	fake_unlock(fs);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(b->started) == FAKE_GET(b->ended)));
	KT_CHECK(FAKE_GET(b->failed) >= 1);
	KT_CHECK(FAKE_UNTIL(fake_disks() == 1));
	before = FAKE_GET(a->ended);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(a->ended) > before + 100));
	KT_EQ(FAKE_GET(a->failed), 0);
	disk_load_end(a);
	disk_load_end(b);
	fake_detach(fs);
}

KTEST(cam_load_hot_add, "disks come and go while others work")
{
	struct disk_load *dl;
	struct fake_sim *fs;
	u_int i;

	fs = fake_new();
	fake_lun(fs, 0, 1024);
	fake_lun(fs, 3, 64);
	fake_scan(fs);
	dl = disk_load_start("da0");
	for (i = 0; i < 10; i++) {
		fake_lock(fs);
		fs->fs_lun[3].fl_present = i % 2 != 0;
		fake_unlock(fs);
		fake_rescan(fs);
		KT_EQ(fake_disks(), i % 2 != 0 ? 2 : 1);
	}
	KT_EQ(FAKE_GET(dl->failed), 0);
	disk_load_end(dl);
	fake_detach(fs);
}

KTEST(cam_load_detach, "the SIM leaves while requests run: each ends once")
{
	struct disk_load *a, *b;
	struct fake_sim *fs;

	fs = fake_new();
	fake_lun(fs, 0, 1024);
	fake_lun(fs, 1, 1024);
	fake_scan(fs);
	a = disk_load_start("da0");
	b = disk_load_start("da1");
	KT_CHECK(FAKE_UNTIL(FAKE_GET(a->ended) > 50 &&
	    FAKE_GET(b->ended) > 50));
	fake_detach(fs);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(a->started) == FAKE_GET(a->ended)));
	KT_CHECK(FAKE_UNTIL(FAKE_GET(b->started) == FAKE_GET(b->ended)));
	KT_EQ(fake_disks(), 0);
	disk_load_end(a);
	disk_load_end(b);
}

KTEST(cam_detach_held, "the SIM leaves with commands at it and behind it")
{
	struct fake_io fi[8];
	struct fake_sim *fs;
	uint8_t *buf;
	u_int i;

	fs = fake_new();
	fs->fs_openings = 3;
	fs->fs_maxio = 4096;
	fake_lun(fs, 0, 1024);
	fake_scan(fs);
	fs->fs_hold = true;
	buf = malloc(8 * 16384, M_TEMP, M_WAITOK);
	for (i = 0; i < 8; i++)
		KT_EQ(fake_start(&fi[i], "da0", KPI_DISK_READ, 0,
		    buf + i * 16384, 16384), 0);
	KT_EQ(fake_held(fs), 3);
	fake_detach(fs);
	for (i = 0; i < 8; i++)
		KT_EQ(fake_finish(&fi[i]), ENXIO);
	free(buf, M_TEMP);
}

KTEST(cam_detach_scanning, "the SIM leaves in the middle of its scan")
{
	struct fake_sim *fs;
	u_int i, n;

	for (n = 0; n < 20; n++) {
		fs = fake_new();
		for (i = 0; i < 16; i++)
			fake_lun(fs, i, 64);
		fake_attach(fs);
		hosted_sleep(n * 100 * 1000);
		fake_detach(fs);
		KT_EQ(fake_disks(), 0);
	}
}

KTEST(cam_attach_rounds, "nothing is left behind by a hundred rounds")
{
	struct fake_sim *fs;
	kpi_u64 disk = 0;
	u_int n;

	for (n = 0; n < 100; n++) {
		if (n == 1)
			disk = kpi_malloc_type_bytes("CAM disk");
		fs = fake_new();
		fake_lun(fs, 0, 64);
		fake_lun(fs, 1, 64);
		fake_scan(fs);
		KT_EQ(fake_disks(), 2);
		fake_detach(fs);
	}
	/* The event thread may be at its last event. */
	KT_CHECK(FAKE_UNTIL(kpi_malloc_type_bytes("CAM XPT") == 0));
	KT_EQ(kpi_malloc_type_bytes("CAM path"), 0);
	KT_EQ(kpi_malloc_type_bytes("CAM disk"), disk);
	KT_EQ(kpi_malloc_type_bytes("CAM SIM"), 0);
	KT_EQ(kpi_malloc_type_bytes("CAM CCB"), 0);
	KT_EQ(kpi_malloc_type_bytes("CAM queue"), 0);
}

/* One round with the n-th allocation failing; was there an n-th? */
static bool
disk_starved_round(u_int n)
{
	struct fake_sim *fs;
	uint8_t buf[512];
	bool hit;

	fs = fake_new();
	fs->fs_openings = 4;
	fake_lun(fs, 0, 64);
	fake_lun(fs, 7, 64);
	kpi_fail_nth(KPI_FAIL_MALLOC, n);
	if (fake_try_attach(fs)) {
		(void)kpi_cam_rescan("fake", 0);
		/* Whatever failed, the next scan finds everything. */
		fake_rescan(fs);
		KT_EQ(fake_disks(), 2);
		KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	}
	hit = kpi_fail_hit(KPI_FAIL_MALLOC);
	kpi_fail_nth(KPI_FAIL_MALLOC, 0);
	fake_detach(fs);
	return (hit);
}

KTEST(cam_starved, "each allocation fails once: nothing is lost or left")
{
	u_int n;

	for (n = 1; n < 200 && disk_starved_round(n); n++) {
		KT_CHECK(FAKE_UNTIL(kpi_malloc_type_bytes("CAM XPT") == 0));
		KT_CHECK(FAKE_UNTIL(kpi_malloc_type_bytes("CAM path") == 0));
		KT_EQ(kpi_malloc_type_bytes("CAM SIM"), 0);
		KT_EQ(kpi_malloc_type_bytes("CAM queue"), 0);
		KT_EQ(kpi_malloc_type_bytes("CAM CCB"), 0);
	}
	KT_CHECK(n > 5);
	KT_CHECK(n < 200);
}

/* --- Dumps --- */

KTEST(cam_dump, "a dump is written by polling and flushed")
{
	struct fake_sim *fs;
	struct fake_lun *fl;
	uint8_t *buf;
	u_int n;

	fs = fake_new();
	fs->fs_maxio = 8192;
	fake_lun(fs, 0, 2048);
	fl = &fs->fs_lun[0];
	fake_scan(fs);
	buf = malloc(256 * 1024, M_TEMP, M_WAITOK);
	for (n = 0; n < 3; n++) {
		disk_fill(buf, 256 * 1024, n);
		fs->fs_hold = true;
		fs->fs_polls = 0;
		KT_EQ(kpi_disk_dump("da0", 512 * 100, buf, 256 * 1024), 0);
		KT_CHECK(fs->fs_polls >= 32);
		fs->fs_hold = false;
		KT_EQ(memcmp(fl->fl_data + 512 * 100, buf, 256 * 1024), 0);
		KT_EQ(fl->fl_ops[SYNCHRONIZE_CACHE], n + 1);
	}
	KT_EQ(kpi_disk_dump("da0", 100, buf, 512), EINVAL);
	KT_EQ(kpi_disk_dump("da0", 2047 * 512, buf, 1024), ENOSPC);
	KT_EQ(kpi_disk_dump("da7", 0, buf, 512), ENXIO);
	/* Life goes on. */
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 4096), 0);
	free(buf, M_TEMP);
	fake_detach(fs);
}

KTEST(cam_dump_busy, "a dump to a disk with requests under way")
{
	struct fake_io fi[4];
	struct fake_sim *fs;
	uint8_t *buf;
	u_int i;

	fs = fake_new();
	fs->fs_openings = 4;
	fake_lun(fs, 0, 1024);
	fake_scan(fs);
	buf = malloc(8192, M_TEMP, M_WAITOK | M_ZERO);
	fs->fs_hold = true;
	for (i = 0; i < 4; i++)
		KT_EQ(fake_start(&fi[i], "da0", KPI_DISK_READ, 0, buf + 4096,
		    512), 0);
	KT_EQ(fake_held(fs), 4);
	disk_fill(buf, 4096, 1);
	KT_EQ(kpi_disk_dump("da0", 0, buf, 4096), 0);
	KT_EQ(memcmp(fs->fs_lun[0].fl_data, buf, 4096), 0);
	fs->fs_hold = false;
	(void)fake_release(fs, 4);
	for (i = 0; i < 4; i++)
		KT_EQ(fake_finish(&fi[i]), 0);
	free(buf, M_TEMP);
	fake_detach(fs);
}

KTEST(cam_dump_retry, "a dump survives errors that pass")
{
	struct fake_sim *fs;
	uint8_t buf[512] = { 1, 2, 3 };

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fake_sense(&fs->fs_lun[0], 2, SSD_KEY_UNIT_ATTENTION, 0x29, 0);
	fs->fs_lun[0].fl_freeze = true;
	KT_EQ(kpi_disk_dump("da0", 0, buf, 512), 0);
	KT_EQ(memcmp(fs->fs_lun[0].fl_data, buf, 512), 0);
	fake_sense(&fs->fs_lun[0], 100, SSD_KEY_MEDIUM_ERROR, 3, 0);
	KT_EQ(kpi_disk_dump("da0", 0, buf, 512), EIO);
	fs->fs_lun[0].fl_fail = 0;
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	fake_detach(fs);
}
