/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Disks and controllers that come and go while they are in use.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "join.h"
#include "join_kernel.h"

#define	OP_COMPLETE_IO	1
#define	OP_EXECUTE_SRB	3
#define	OP_RESET_BUS	6
#define	OP_ENUMERATE	11
#define	SECOND		UINT64_C(1000000000)	/* ns */

ATF_TC(lun_add);
ATF_TC_HEAD(lun_add, tc)
{
	atf_tc_set_md_var(tc, "descr", "a disk added to a running controller "
	    "appears, under load on another");
}
ATF_TC_BODY(lun_add, tc)
{
	struct join_config cf = { .subchannels = 3 };
	struct join_load *l;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	l = join_load_start("da0", j.disk_size, 16);
	join_attach(&j, 0, 5, 4 << 20);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da1", 20000));
	join_verify("da1", 0, 1 << 20, 5);
	ATF_CHECK(join_load_stop(l, &errors) > 0);
	ATF_CHECK_EQ(0, errors);
	join_finish(&j);
}

ATF_TC(lun_remove);
ATF_TC_HEAD(lun_remove, tc)
{
	atf_tc_set_md_var(tc, "descr", "a disk removed under load: its "
	    "requests end, it goes, its neighbour works on, it can come back");
}
ATF_TC_BODY(lun_remove, tc)
{
	struct join_config cf = { .subchannels = 3, .luns = 2 };
	struct join_load *l0, *l1;
	struct join j;
	uint64_t errors;
	unsigned i;

	join_start(&j, &cf);
	l0 = join_load_start("da0", j.disk_size, 16);
	for (i = 0; i < 3; i++) {
		l1 = join_load_start("da1", j.disk_size, 16);
		usleep(100000);
		ATF_REQUIRE_EQ(0, hvh_scsi_detach(j.scsi[0], 1));
		ATF_REQUIRE_MSG(join_wait(join_disk_gone, "da1", 20000),
		    "da1 is still there");
		join_load_stop(l1, &errors);
		ATF_CHECK(errors > 0);
		join_attach(&j, 0, 1, j.disk_size);
		ATF_REQUIRE_EQ(0, kpi_disk_wait("da1", 20000));
		join_verify("da1", 0, 65536, i);
	}
	ATF_CHECK(join_load_stop(l0, &errors) > 0);
	ATF_CHECK_EQ(0, errors);
	join_finish(&j);
}

/* PREVENT ALLOW MEDIUM REMOVAL as cd(4) sends it to LUN 3. */
static void
lock_tray(struct ktest_scsi *s, unsigned char lock)
{

	*s = (struct ktest_scsi){ .lun = 3, .cdb = { 0x1e, 0, 0, 0, lock },
	    .cdb_len = 6, .driver = "cd" };
	ATF_REQUIRE_EQ(0, ktest_scsi(s));
}

static void
check_empty(const struct ktest_scsi *s)
{

	ATF_CHECK_EQ_MSG(KTEST_SENSE, s->end, "status %#x", s->status);
	ATF_CHECK_EQ(2, s->sense_key);
	ATF_CHECK_EQ(0x3a, s->asc);
}

ATF_TC(cdrom_remove);
ATF_TC_HEAD(cdrom_remove, tc)
{
	atf_tc_set_md_var(tc, "descr", "cd(4) finds a drive that was removed "
	    "empty, and at once however late the host answers; the drive goes "
	    "though the host did not say so, and can come back");
}
ATF_TC_BODY(cdrom_remove, tc)
{
	struct hvh_blk_params bp = { .size = 1 << 20, .block_size = 2048 };
	struct hvh_lun_params lp = { .cdrom = true };
	struct join_config cf = { 0 };
	struct ktest_scsi s;
	struct join j;
	char msg[256];
	unsigned i;

	join_start(&j, &cf);
	for (i = 0; i < 2; i++) {
		ATF_REQUIRE_EQ(0, hvh_blk_open(j.host, &bp, &lp.blk, msg,
		    sizeof(msg)));
		ATF_REQUIRE_EQ(0, hvh_scsi_attach(j.scsi[0], 3, &lp));
		ATF_REQUIRE_EQ(0, kpi_disk_wait("cd0", 20000));
		lock_tray(&s, 1);
		ATF_CHECK_EQ_MSG(KTEST_DONE, s.end, "status %#x", s.status);
		lock_tray(&s, 0);
		ATF_CHECK_EQ_MSG(KTEST_DONE, s.end, "status %#x", s.status);

		join_fault(&j, HVH_FAULT_PKT_OUT, HVH_FAULT_DROP, OP_ENUMERATE,
		    0, 0, 0);
		ATF_REQUIRE_EQ(0, hvh_scsi_detach(j.scsi[0], 3));
		lock_tray(&s, 1);
		check_empty(&s);
		join_fault(&j, HVH_FAULT_PKT_OUT, HVH_FAULT_DELAY,
		    OP_COMPLETE_IO, 0, 1, 5 * SECOND);
		lock_tray(&s, 0);
		check_empty(&s);
		ATF_CHECK_MSG(s.took < 5000, "%u ms", s.took);
		ATF_REQUIRE_MSG(join_wait(join_disk_gone, "cd0", 20000),
		    "cd0 is still there");
		hvh_fault_clear(j.host);
	}
	join_finish(&j);
}

ATF_TC(controller_remove);
ATF_TC_HEAD(controller_remove, tc)
{
	atf_tc_set_md_var(tc, "descr", "a controller rescinded under load: "
	    "every request ends, the other controller works on");
}
ATF_TC_BODY(controller_remove, tc)
{
	struct join_config cf = { .subchannels = 3, .controllers = 2 };
	struct join_load *l0, *l1;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	l0 = join_load_start("da0", j.disk_size, 32);
	l1 = join_load_start("da1", j.disk_size, 32);
	usleep(200000);
	hvh_scsi_remove(j.scsi[1]);
	ATF_REQUIRE_MSG(join_wait(join_disk_gone, "da1", 20000),
	    "da1 is still there");
	join_load_stop(l1, &errors);
	ATF_CHECK(errors > 0);
	usleep(100000);
	ATF_CHECK(join_load_stop(l0, &errors) > 0);
	ATF_CHECK_EQ(0, errors);
	join_finish(&j);
}

ATF_TC(controller_add);
ATF_TC_HEAD(controller_add, tc)
{
	atf_tc_set_md_var(tc, "descr", "a controller offered to a running "
	    "guest attaches with its disk");
}
ATF_TC_BODY(controller_add, tc)
{
	struct join_config cf = { 0 };
	struct hvh_scsi_params sp = { .max_subchannels = 1 };
	struct join j;

	join_start(&j, &cf);
	ATF_REQUIRE_EQ(0, hvh_guid_parse(
	    "2b1d7a60-5d3c-4f0e-8e0c-000000000001", &sp.instance));
	ATF_REQUIRE_EQ(0, hvh_scsi_add(j.host, &sp, &j.scsi[1]));
	join_attach(&j, 1, 0, 4 << 20);
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da1", 20000));
	join_verify("da1", 0, 1 << 20, 1);
	join_finish(&j);
}

/* Rescind as the host takes the n-th request under load. */
static void
check_rescind_at(uint32_t op, uint32_t skip, bool reset)
{
	struct join_config cf = { .subchannels = 3, .fast_clock = true };
	struct join_load *l;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	l = join_load_start("da0", j.disk_size, 32);
	join_fault(&j, HVH_FAULT_PKT_IN, HVH_FAULT_RESCIND, op, skip, 1, 0);
	if (reset)
		(void)kpi_cam_reset("storvsc", 0, -1, -1);
	ATF_REQUIRE_MSG(join_wait(join_disk_gone, "da0", 20000),
	    "da0 is still there");
	join_load_stop(l, &errors);
	ATF_CHECK(errors > 0);
	hvh_fault_clear(j.host);
	join_finish(&j);
}

ATF_TC(rescind_io);
ATF_TC_HEAD(rescind_io, tc)
{
	atf_tc_set_md_var(tc, "descr", "rescind in the middle of I/O");
}
ATF_TC_BODY(rescind_io, tc)
{

	check_rescind_at(OP_EXECUTE_SRB, 100, false);
}

ATF_TC(rescind_reset);
ATF_TC_HEAD(rescind_reset, tc)
{
	atf_tc_set_md_var(tc, "descr", "rescind in the middle of a bus reset");
}
ATF_TC_BODY(rescind_reset, tc)
{

	check_rescind_at(OP_RESET_BUS, 0, true);
}

ATF_TC(unload_busy);
ATF_TC_HEAD(unload_busy, tc)
{
	atf_tc_set_md_var(tc, "descr", "the driver is unloaded under load: "
	    "every request ends");
}
ATF_TC_BODY(unload_busy, tc)
{
	struct join_config cf = { .subchannels = 3 };
	struct join_load *l;
	struct join j;
	uint64_t errors;

	join_start(&j, &cf);
	l = join_load_start("da0", j.disk_size, 32);
	usleep(200000);
	ATF_CHECK_EQ(0, vm_unload());
	join_load_stop(l, &errors);
	ATF_CHECK(errors > 0);
	ATF_REQUIRE_EQ(0, vm_load());
	ATF_REQUIRE_EQ(0, kpi_disk_wait("da0", 20000));
	join_verify("da0", 0, 65536, 1);
	join_finish(&j);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, lun_add);
	ATF_TP_ADD_TC(tp, lun_remove);
	ATF_TP_ADD_TC(tp, cdrom_remove);
	ATF_TP_ADD_TC(tp, controller_remove);
	ATF_TP_ADD_TC(tp, controller_add);
	ATF_TP_ADD_TC(tp, rescind_io);
	ATF_TP_ADD_TC(tp, rescind_reset);
	ATF_TP_ADD_TC(tp, unload_busy);
	return (atf_no_error());
}
