/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Media that are not a disk of one size for ever: images that grow and shrink
 * under the guest, and CD-ROMs.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "join.h"

#define	CD_SECTOR	2048
/* FreeBSD's, which are Linux's here. */
#define	FBSD_EINVAL	22
#define	FBSD_EROFS	30

/* A file of size bytes, filled as join_pattern() does. */
static void
image_make(const char *path, size_t size, uint32_t seed)
{
	char *buf;
	int fd;

	buf = malloc(size);
	ATF_REQUIRE(buf != NULL);
	join_pattern(buf, size, 0, seed);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ATF_REQUIRE(fd >= 0);
	ATF_REQUIRE_EQ((ssize_t)size, write(fd, buf, size));
	close(fd);
	free(buf);
}

static void
image_attach(struct join *j, unsigned lun, const char *path, bool cdrom)
{
	struct hvh_blk_params bp = {
		.path = path, .block_size = cdrom ? CD_SECTOR : JOIN_SECTOR,
		.readonly = cdrom,
	};
	struct hvh_lun_params lp = { .cdrom = cdrom };
	char msg[256];

	ATF_REQUIRE_EQ_MSG(0, hvh_blk_open(j->host, &bp, &lp.blk, msg,
	    sizeof(msg)), "%s", msg);
	ATF_REQUIRE_EQ(0, hvh_scsi_attach(j->scsi[0], lun, &lp));
}

struct size_wait {
	const char	*disk;
	uint64_t	 size;
};

/* Whether the disk has the size; its owner goes on using it meanwhile. */
static bool
has_size(void *arg)
{
	const struct size_wait *w = arg;
	struct kpi_disk_info info;
	char *buf;

	buf = kpi_mem_alloc(4096);
	ATF_REQUIRE(buf != NULL);
	ATF_CHECK_EQ(0, join_io(w->disk, KPI_DISK_READ, 0, buf, 4096));
	kpi_mem_free(buf);
	return (kpi_disk_info(w->disk, &info) == 0 && info.size == w->size);
}

static void
resize(const char *path, const char *disk, uint64_t size)
{
	struct size_wait w = { disk, size };

	ATF_REQUIRE_EQ(0, truncate(path, (off_t)size));
	ATF_REQUIRE_MSG(join_wait(has_size, &w, 20000),
	    "%s never learnt its new size", disk);
}

ATF_TC(resized);
ATF_TC_HEAD(resized, tc)
{
	atf_tc_set_md_var(tc, "descr", "an image that grows and shrinks while "
	    "in use: the disk has the new size, the rest of its data stays");
}
ATF_TC_BODY(resized, tc)
{
	struct join_config cf = { .fast_clock = true };
	struct join j;
	char *buf;

	image_make("disk.img", 4 << 20, 7);
	join_start(&j, &cf);
	image_attach(&j, 1, "disk.img", false);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da1", 20000));
	buf = kpi_mem_alloc(4096);
	ATF_REQUIRE(buf != NULL);
	ATF_CHECK(join_io("da1", KPI_DISK_READ, 6 << 20, buf, 4096) != 0);

	resize("disk.img", "da1", 8 << 20);
	join_verify("da1", 6 << 20, 1 << 20, 1);
	join_verify("da1", (8 << 20) - 4096, 4096, 2);
	join_check("da1", 0, 4 << 20, 7);

	resize("disk.img", "da1", 2 << 20);
	ATF_CHECK(join_io("da1", KPI_DISK_READ, 6 << 20, buf, 4096) != 0);
	join_check("da1", 0, 2 << 20, 7);
	join_verify("da1", (2 << 20) - 4096, 4096, 3);
	kpi_mem_free(buf);
	join_finish(&j);
}

ATF_TC(resized_rescan);
ATF_TC_HEAD(resized_rescan, tc)
{
	atf_tc_set_md_var(tc, "descr", "a rescan of an idle disk finds its new "
	    "size");
}
ATF_TC_BODY(resized_rescan, tc)
{
	struct join_config cf = { 0 };
	struct kpi_disk_info info;
	struct join j;
	unsigned i;

	image_make("disk.img", 4 << 20, 8);
	join_start(&j, &cf);
	image_attach(&j, 1, "disk.img", false);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da1", 20000));
	ATF_REQUIRE_EQ(0, truncate("disk.img", 6 << 20));
	ATF_REQUIRE_EQ(0, kpi_cam_rescan("storvsc", 0));
	for (i = 0; i < 10000; i++) {
		ATF_REQUIRE_EQ(0, kpi_disk_info("da1", &info));
		if (info.size == 6 << 20)
			break;
		usleep(1000);
	}
	ATF_CHECK_EQ(6 << 20, info.size);
	join_verify("da1", 5 << 20, 65536, 1);
	join_finish(&j);
}

ATF_TC(cdrom);
ATF_TC_HEAD(cdrom, tc)
{
	atf_tc_set_md_var(tc, "descr", "a CD-ROM beside a disk is cd0: its "
	    "image is read, nothing is written, it leaves and another comes");
}
ATF_TC_BODY(cdrom, tc)
{
	const size_t size = 3 << 20, other = 1 << 20;
	struct join_config cf = { .subchannels = 3 };
	struct kpi_disk_info info;
	struct join j;
	char *buf;

	image_make("one.iso", size, 21);
	image_make("two.iso", other, 22);
	join_start(&j, &cf);
	image_attach(&j, 1, "one.iso", true);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("cd0", 20000));
	ATF_REQUIRE_EQ(0, kpi_disk_info("cd0", &info));
	ATF_CHECK_EQ(size, info.size);
	ATF_CHECK_EQ(CD_SECTOR, info.sectorsize);
	ATF_CHECK(info.readonly);
	ATF_CHECK(!info.candelete);
	ATF_CHECK_STREQ("storvsc", info.sim);
	ATF_CHECK_EQ(1, info.lun);

	join_check("cd0", 0, size, 21);
	join_check("cd0", size - CD_SECTOR, CD_SECTOR, 21);
	buf = kpi_mem_alloc(CD_SECTOR);
	ATF_REQUIRE(buf != NULL);
	ATF_CHECK_EQ(FBSD_EROFS, join_io("cd0", KPI_DISK_WRITE, 0, buf,
	    CD_SECTOR));
	ATF_CHECK_EQ(FBSD_EINVAL, join_io("cd0", KPI_DISK_READ, 512, buf,
	    CD_SECTOR));
	ATF_CHECK(join_io("cd0", KPI_DISK_READ, size, buf, CD_SECTOR) != 0);
	kpi_mem_free(buf);

	ATF_REQUIRE_EQ(0, hvh_scsi_detach(j.scsi[0], 1));
	ATF_REQUIRE_MSG(join_wait(join_disk_gone, "cd0", 20000),
	    "cd0 is still there");
	image_attach(&j, 1, "two.iso", true);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("cd0", 20000));
	ATF_REQUIRE_EQ(0, kpi_disk_info("cd0", &info));
	ATF_CHECK_EQ(other, info.size);
	join_check("cd0", 0, other, 22);
	/* Its neighbour is none the worse. */
	join_verify("da0", 0, 65536, 1);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, resized);
	ATF_TP_ADD_TC(tp, resized_rescan);
	ATF_TP_ADD_TC(tp, cdrom);
	return (atf_no_error());
}
