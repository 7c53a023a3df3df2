/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hosted CAM: what becomes of commands that do not succeed.  Delays pass on the
 * virtual clock, which fake_do() advances.
 */

#include "ktest_cam_fake.h"

#include <sys/time.h>

struct error_env {
	struct fake_sim	*fs;
	struct fake_lun	*fl;
	uint8_t		 buf[512];
};

static void
error_start(struct error_env *e)
{

	e->fs = fake_new();
	fake_lun(e->fs, 0, 64);
	e->fl = &e->fs->fs_lun[0];
	fake_scan(e->fs);
}

static int
error_read(struct error_env *e)
{

	e->fl->fl_ops[READ_6] = 0;
	return (fake_do("da0", KPI_DISK_READ, 0, e->buf, 512));
}

/* n failures with this status: what the request ends with, after how many. */
static void
error_status(uint32_t status, u_int n, int expect, u_int sent)
{
	struct error_env e;

	error_start(&e);
	fake_fail(e.fl, n, status);
	KT_EQ(error_read(&e), expect);
	KT_EQ(e.fl->fl_ops[READ_6], sent);
	KT_EQ(fake_counter("da0", "retries"), sent - 1);
	KT_EQ(fake_counter("da0", "errors"), expect != 0);
	fake_detach(e.fs);
}

static void
error_sense(u_int n, uint8_t key, uint8_t asc, uint8_t ascq, int expect,
    u_int sent)
{
	struct error_env e;

	error_start(&e);
	fake_sense(e.fl, n, key, asc, ascq);
	KT_EQ(error_read(&e), expect);
	KT_EQ(e.fl->fl_ops[READ_6], sent);
	fake_detach(e.fs);
}

KTEST(cam_error_timeout, "CAM_CMD_TIMEOUT is sent again and counted")
{
	struct error_env e;

	error_start(&e);
	fake_fail(e.fl, 2, CAM_CMD_TIMEOUT);
	KT_EQ(error_read(&e), 0);
	KT_EQ(e.fl->fl_ops[READ_6], 3);
	KT_EQ(fake_counter("da0", "timeouts"), 2);
	KT_EQ(fake_counter("da0", "reads"), 1);
	fake_detach(e.fs);
}

KTEST(cam_error_timeouts, "four retries, then EIO")
{

	error_status(CAM_CMD_TIMEOUT, 100, EIO, 5);
}

KTEST(cam_error_busy, "CAM_BUSY is sent again")
{

	error_status(CAM_BUSY, 3, 0, 4);
}

KTEST(cam_error_busy_delay, "CAM_BUSY is sent again after a second")
{
	struct error_env e;
	struct fake_io fi;

	error_start(&e);
	fake_fail(e.fl, 1, CAM_BUSY);
	e.fl->fl_ops[READ_6] = 0;
	KT_EQ(fake_start(&fi, "da0", KPI_DISK_READ, 0, e.buf, 512), 0);
	KT_CHECK(FAKE_UNTIL(fake_counter("da0", "retries") == 1));
	hosted_sleep(20 * 1000 * 1000);
	kpi_clock_advance(900 * 1000 * 1000);
	hosted_sleep(20 * 1000 * 1000);
	KT_EQ(e.fl->fl_ops[READ_6], 1);
	kpi_clock_advance(200 * 1000 * 1000);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(fi.fi_done) == 1));
	KT_EQ(e.fl->fl_ops[READ_6], 2);
	fake_detach(e.fs);
}

KTEST(cam_error_resource, "CAM_RESRC_UNAVAIL is sent again")
{

	error_status(CAM_RESRC_UNAVAIL, 4, 0, 5);
}

KTEST(cam_error_requeue, "CAM_REQUEUE_REQ costs no retry")
{

	error_status(CAM_REQUEUE_REQ, 50, 0, 51);
}

KTEST(cam_error_reset, "commands that a bus reset ended cost no retry")
{

	error_status(CAM_SCSI_BUS_RESET, 10, 0, 11);
}

KTEST(cam_error_hba, "CAM_UNREC_HBA_ERROR is sent again, five times in all")
{

	error_status(CAM_UNREC_HBA_ERROR, 100, EIO, 5);
}

KTEST(cam_error_invalid, "CAM_REQ_INVALID fails at once")
{

	error_status(CAM_REQ_INVALID, 1, EINVAL, 1);
}

KTEST(cam_error_aborted, "CAM_REQ_ABORTED fails at once")
{

	error_status(CAM_REQ_ABORTED, 1, EINTR, 1);
}

KTEST(cam_error_gone, "CAM_DEV_NOT_THERE is the end of the disk")
{
	struct error_env e;

	error_start(&e);
	fake_fail(e.fl, 1, CAM_DEV_NOT_THERE);
	KT_EQ(error_read(&e), ENXIO);
	KT_CHECK(FAKE_UNTIL(fake_disks() == 0));
	KT_EQ(error_read(&e), ENXIO);
	fake_detach(e.fs);
}

KTEST(cam_error_medium, "MEDIUM ERROR: EIO, no retry")
{

	error_sense(1, SSD_KEY_MEDIUM_ERROR, 0x11, 0, EIO, 1);
}

KTEST(cam_error_illegal, "ILLEGAL REQUEST: EINVAL, no retry")
{

	error_sense(1, SSD_KEY_ILLEGAL_REQUEST, 0x24, 0, EINVAL, 1);
}

KTEST(cam_error_protect, "DATA PROTECT: EROFS")
{

	error_sense(1, SSD_KEY_DATA_PROTECT, 0x27, 0, EROFS, 1);
}

KTEST(cam_error_attention, "UNIT ATTENTION is sent again")
{

	error_sense(2, SSD_KEY_UNIT_ATTENTION, 0x29, 0, 0, 3);
}

KTEST(cam_error_hardware, "HARDWARE ERROR: four retries, then EIO")
{

	error_sense(100, SSD_KEY_HARDWARE_ERROR, 0x44, 0, EIO, 5);
}

KTEST(cam_error_becoming_ready, "becoming ready: waited for, without a price")
{

	error_sense(20, SSD_KEY_NOT_READY, 4, 1, 0, 21);
}

KTEST(cam_error_no_medium, "no medium: ENXIO, no retry")
{

	error_sense(1, SSD_KEY_NOT_READY, 0x3a, 0, ENXIO, 1);
}

KTEST(cam_error_recovered, "RECOVERED ERROR is success")
{

	error_sense(1, SSD_KEY_RECOVERED_ERROR, 0x17, 0, 0, 1);
}

static void
error_scsi(uint8_t scsi, u_int n, int expect, u_int sent)
{
	struct error_env e;

	error_start(&e);
	fake_fail(e.fl, n, CAM_SCSI_STATUS_ERROR);
	e.fl->fl_scsi = scsi;
	KT_EQ(error_read(&e), expect);
	KT_EQ(e.fl->fl_ops[READ_6], sent);
	fake_detach(e.fs);
}

KTEST(cam_error_scsi_busy, "status BUSY is sent again")
{

	error_scsi(SCSI_STATUS_BUSY, 2, 0, 3);
}

KTEST(cam_error_conflict, "status RESERVATION CONFLICT: EBUSY")
{

	error_scsi(SCSI_STATUS_RESERV_CONFLICT, 1, EBUSY, 1);
}

KTEST(cam_error_queue_full, "TASK SET FULL lowers the number of commands")
{
	struct fake_io fi[16];
	struct error_env e;
	uint8_t *buf;
	u_int i;

	error_start(&e);
	buf = malloc(nitems(fi) * 512, M_TEMP, M_WAITOK);
	e.fs->fs_hold = true;
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_start(&fi[i], "da0", KPI_DISK_READ, i * 512,
		    buf + i * 512, 512), 0);
	KT_EQ(fake_held(e.fs), 16);
	fake_fail(e.fl, 1, CAM_SCSI_STATUS_ERROR);
	e.fl->fl_scsi = SCSI_STATUS_QUEUE_FULL;
	e.fl->fl_freeze = true;
	(void)fake_release(e.fs, 1);
	KT_CHECK(FAKE_UNTIL(fake_counter("da0", "retries") == 1));
	e.fl->fl_freeze = false;
	hosted_sleep(10 * 1000 * 1000);
	(void)fake_release(e.fs, 15);
	while (fake_held(e.fs) > 0 || FAKE_GET(fi[0].fi_done) == 0) {
		if (!FAKE_UNTIL(fake_held(e.fs) > 0 ||
		    FAKE_GET(fi[0].fi_done) != 0))
			break;
		(void)fake_release(e.fs, 16);
	}
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_finish(&fi[i]), 0);
	/* What comes now goes in smaller numbers. */
	e.fs->fs_hold = true;
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_start(&fi[i], "da0", KPI_DISK_READ, i * 512,
		    buf + i * 512, 512), 0);
	KT_EQ(fake_held(e.fs), 15);
	e.fs->fs_hold = false;
	(void)fake_release(e.fs, 16);
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_finish(&fi[i]), 0);
	free(buf, M_TEMP);
	fake_detach(e.fs);
}

KTEST(cam_error_frozen, "errors that freeze the device leave it thawed")
{
	static const uint32_t status[] = {
		CAM_CMD_TIMEOUT, CAM_BUSY, CAM_REQUEUE_REQ, CAM_REQ_INVALID,
		CAM_UNREC_HBA_ERROR, CAM_SCSI_BUS_RESET
	};
	struct cam_path *path;
	struct error_env e;
	u_int i;

	error_start(&e);
	KT_EQ(xpt_create_path(&path, NULL, cam_sim_path(e.fs->fs_sim), 0, 0),
	    CAM_REQ_CMP);
	for (i = 0; i < nitems(status); i++) {
		e.fl->fl_freeze = true;
		fake_fail(e.fl, 1, status[i]);
		KT_EQ(error_read(&e), status[i] == CAM_REQ_INVALID ? EINVAL :
		    0);
		KT_EQ(error_read(&e), 0);
		/* What was frozen before is the test's own. */
		KT_EQ(xpt_freeze_devq(path, 1), 1);
		xpt_release_devq(path, 1, TRUE);
	}
	xpt_free_path(path);
	fake_detach(e.fs);
}

KTEST(cam_error_short, "a command that moved too little has failed")
{
	struct error_env e;
	struct fake_io fi;
	struct ccb_hdr *h;

	error_start(&e);
	e.fs->fs_hold = true;
	KT_EQ(fake_start(&fi, "da0", KPI_DISK_READ, 0, e.buf, 512), 0);
	fake_lock(e.fs);
	h = STAILQ_FIRST(&e.fs->fs_held);
	STAILQ_REMOVE_HEAD(&e.fs->fs_held, sim_links.stqe);
	e.fs->fs_nheld--;
	h->status = CAM_REQ_CMP;
	((struct ccb_scsiio *)h)->resid = 100;
	xpt_done((union ccb *)h);
	fake_unlock(e.fs);
	KT_EQ(fake_finish(&fi), EIO);
	fake_detach(e.fs);
}

KTEST(cam_error_scan, "a unit that is busy during the scan is found")
{
	struct fake_sim *fs;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fs->fs_lun[0].fl_fail_all = true;
	fake_sense(&fs->fs_lun[0], 3, SSD_KEY_UNIT_ATTENTION, 0x29, 0);
	fake_scan(fs);
	KT_EQ(fake_disks(), 1);
	fake_detach(fs);
}

KTEST(cam_sense_formats, "sense data of both formats, whole and cut short")
{
	struct scsi_sense_data s;
	int code, key, asc, ascq;
	u_int len = sizeof(s);

	scsi_set_sense_data_len(&s, &len, SSD_TYPE_FIXED, 1,
	    SSD_KEY_NOT_READY, 0x3a, 2, SSD_ELEM_NONE);
	KT_EQ(len, 18);
	scsi_extract_sense_len(&s, len, &code, &key, &asc, &ascq, 1);
	KT_EQ(code, 0x70);
	KT_EQ(key, SSD_KEY_NOT_READY);
	KT_EQ(asc, 0x3a);
	KT_EQ(ascq, 2);
	scsi_extract_sense_len(&s, 8, &code, &key, &asc, &ascq, 1);
	KT_EQ(key, SSD_KEY_NOT_READY);
	KT_EQ(asc, -1);
	len = sizeof(s);
	scsi_set_sense_data_len(&s, &len, SSD_TYPE_DESC, 1,
	    SSD_KEY_MEDIUM_ERROR, 0x11, 4, SSD_ELEM_NONE);
	KT_EQ(len, 8);
	KT_EQ(scsi_get_sense_key(&s, len, 1), SSD_KEY_MEDIUM_ERROR);
	KT_EQ(scsi_get_asc(&s, len, 1), 0x11);
	KT_EQ(scsi_get_ascq(&s, len, 1), 4);
	KT_EQ(scsi_get_asc(&s, 0, 1), -1);
}
