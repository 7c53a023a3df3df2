/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Hosted CAM as a SIM sees it: openings, freezes, the life of a CCB; and the
 * reports about SIMs that break its rules.
 */

#include "ktest_cam_fake.h"

#include <cam/cam_queue.h>

static u_int done_calls;
static uint32_t done_status;

static void
queue_done(struct cam_periph *periph, union ccb *ccb)
{

	done_status = ccb->ccb_h.status;
	atomic_add_int(&done_calls, 1);
}

static union ccb *
queue_ccb(struct fake_sim *fs, u_int lun, uint32_t priority, uint64_t lba,
    void *buf)
{
	struct cam_path *path;
	union ccb *ccb;

	KT_EQ(xpt_create_path(&path, NULL, cam_sim_path(fs->fs_sim), 0, lun),
	    CAM_REQ_CMP);
	ccb = xpt_alloc_ccb();
	xpt_setup_ccb(&ccb->ccb_h, path, priority);
	scsi_read_write(&ccb->csio, 0, queue_done, CAM_TAG_ACTION_NONE,
	    SCSI_RW_READ, 0, 10, lba, 1, buf, 512, SSD_FULL_SIZE, 1000);
	return (ccb);
}

static void
queue_free(union ccb *ccb)
{

	xpt_free_path(ccb->ccb_h.path);
	xpt_free_ccb(ccb);
}

KTEST(camq_order, "a CAM queue gives entries by priority, then by age")
{
	cam_pinfo pi[100];
	struct camq q;
	cam_pinfo *last = NULL, *e;
	uint32_t x = 1;
	u_int i, n;

	KT_EQ(camq_init(&q, 10), 0);
	for (i = 0; i < nitems(pi); i++) {
		cam_init_pinfo(&pi[i]);
		x = x * 1103515245 + 12345;
		pi[i].priority = x >> 16 & 7;
		pi[i].generation = ++q.generation;
		if (q.entries == q.array_size)
			KT_EQ(camq_resize(&q, q.array_size * 2), CAM_REQ_CMP);
		camq_insert(&q, &pi[i]);
	}
	/* From the middle, too. */
	for (i = 0; i < nitems(pi); i += 3)
		KT_CHECK(camq_remove(&q, pi[i].index) == &pi[i]);
	camq_change_priority(&q, pi[1].index, 0);
	for (n = 0; q.entries > 0; n++, last = e) {
		e = camq_remove(&q, CAMQ_HEAD);
		KT_EQ(e->index, CAM_UNQUEUED_INDEX);
		KT_CHECK(last == NULL || last->priority < e->priority ||
		    (last->priority == e->priority &&
		    last->generation < e->generation));
	}
	KT_EQ(n, nitems(pi) - (nitems(pi) + 2) / 3);
	camq_fini(&q);
}

static void
queue_many(u_int openings, u_int queue, u_int luns, u_int expect)
{
	struct fake_io fi[96];
	struct fake_sim *fs;
	uint8_t *buf;
	char name[8];
	u_int i, n;

	fs = fake_new();
	fs->fs_openings = openings;
	fs->fs_queue = queue;
	for (i = 0; i < luns; i++)
		fake_lun(fs, i, 128);
	fake_scan(fs);
	fs->fs_out_max = 0;
	fs->fs_hold = true;
	buf = malloc(nitems(fi) * 512, M_TEMP, M_WAITOK);
	for (i = 0; i < nitems(fi); i++) {
		snprintf(name, sizeof(name), "da%u", i % luns);
		KT_EQ(fake_start(&fi[i], name, KPI_DISK_READ, i * 512,
		    buf + i * 512, 512), 0);
	}
	KT_EQ(fake_held(fs), expect);
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(FAKE_GET(fi[i].fi_done), 0);
	for (n = 0; n < nitems(fi); n += fake_release(fs, 3))
		KT_CHECK(FAKE_UNTIL(fake_held(fs) > 0));
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_finish(&fi[i]), 0);
	KT_EQ(fs->fs_out_max, expect);
	fs->fs_hold = false;
	free(buf, M_TEMP);
	fake_detach(fs);
}

KTEST(cam_openings_device, "no more commands at a device than it has openings")
{

	queue_many(5, 64, 1, 5);
}

KTEST(cam_openings_sim, "no more commands at a SIM than its queue has")
{

	queue_many(32, 9, 4, 9);
}

KTEST(cam_openings_untagged, "an untagged device gets one command at a time")
{
	struct fake_io fi[4];
	struct fake_sim *fs;
	uint8_t buf[4][512];
	u_int i;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fs->fs_lun[0].fl_untagged = true;
	fake_scan(fs);
	fs->fs_hold = true;
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_start(&fi[i], "da0", KPI_DISK_READ, 512 * i, buf[i],
		    512), 0);
	KT_EQ(fake_held(fs), 1);
	fs->fs_hold = false;
	(void)fake_release(fs, 1);
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_finish(&fi[i]), 0);
	KT_EQ(fs->fs_lun[0].fl_tagged, 0);
	fake_detach(fs);
}

KTEST(cam_tagged, "a device that queues gets tagged commands")
{
	struct fake_sim *fs;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(fake_do("da0", KPI_DISK_READ, 0, buf, 512), 0);
	KT_EQ(fs->fs_lun[0].fl_tagged, 1);
	fake_detach(fs);
}

KTEST(cam_freeze_simq, "a frozen SIM gets nothing, then everything")
{
	struct fake_io fi[3];
	struct fake_sim *fs;
	uint8_t buf[3][512];
	u_int i;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	KT_EQ(xpt_freeze_simq(fs->fs_sim, 2), 2);
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_start(&fi[i], "da0", KPI_DISK_READ, 0, buf[i], 512),
		    0);
	KT_EQ(fs->fs_lun[0].fl_ops[READ_6], 0);
	xpt_release_simq(fs->fs_sim, 1);
	KT_EQ(fs->fs_lun[0].fl_ops[READ_6], 0);
	xpt_release_simq(fs->fs_sim, 1);
	for (i = 0; i < nitems(fi); i++)
		KT_EQ(fake_finish(&fi[i]), 0);
	fake_detach(fs);
}

KTEST(cam_freeze_devq, "a frozen device waits, another does not")
{
	struct cam_path *path;
	struct fake_io fi;
	struct fake_sim *fs;
	uint8_t buf[512], other[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_lun(fs, 1, 64);
	fake_scan(fs);
	KT_EQ(xpt_create_path(&path, NULL, cam_sim_path(fs->fs_sim), 0, 0),
	    CAM_REQ_CMP);
	KT_EQ(xpt_freeze_devq(path, 1), 1);
	KT_EQ(fake_start(&fi, "da0", KPI_DISK_READ, 0, buf, 512), 0);
	KT_EQ(fake_do("da1", KPI_DISK_READ, 0, other, 512), 0);
	KT_EQ(FAKE_GET(fi.fi_done), 0);
	xpt_release_devq(path, 1, TRUE);
	KT_EQ(fake_finish(&fi), 0);
	xpt_free_path(path);
	fake_detach(fs);
}

KTEST(cam_release_status, "CAM_RELEASE_SIMQ releases the SIM's queue")
{
	struct fake_sim *fs;
	struct fake_io held, fi;
	uint8_t buf[512], other[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_hold = true;
	KT_EQ(fake_start(&held, "da0", KPI_DISK_READ, 0, buf, 512), 0);
	fs->fs_hold = false;
	xpt_freeze_simq(fs->fs_sim, 1);
	KT_EQ(fake_start(&fi, "da0", KPI_DISK_READ, 0, other, 512), 0);
	KT_EQ(FAKE_GET(fi.fi_done), 0);
	fake_fail(&fs->fs_lun[0], 1, CAM_REQUEUE_REQ | CAM_RELEASE_SIMQ);
	(void)fake_release(fs, 1);
	KT_EQ(fake_finish(&held), 0);
	KT_EQ(fake_finish(&fi), 0);
	fake_detach(fs);
}

KTEST(cam_qfreeze_flag, "CAM_DEV_QFREEZE freezes behind the command")
{
	union ccb *first, *second;
	struct fake_sim *fs;
	uint8_t buf[2][512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	first = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, buf[0]);
	second = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 1, buf[1]);
	first->ccb_h.flags |= CAM_DEV_QFREEZE;
	fs->fs_hold = true;
	xpt_action(first);
	xpt_action(second);
	KT_EQ(fake_held(fs), 1);
	KT_CHECK((first->ccb_h.status & CAM_DEV_QFRZN) != 0);
	xpt_release_devq(first->ccb_h.path, 1, TRUE);
	KT_EQ(fake_held(fs), 2);
	(void)fake_release(fs, 2);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(done_calls) == 2));
	hosted_sleep(1000000);
	queue_free(first);
	queue_free(second);
	fake_detach(fs);
}

KTEST(cam_priority, "of what waits, the urgent goes first")
{
	union ccb *ccb[3];
	struct fake_sim *fs;
	uint8_t buf[3][512];
	u_int i;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	for (i = 0; i < 3; i++)
		ccb[i] = queue_ccb(fs, 0, i == 2 ? CAM_PRIORITY_DEV :
		    CAM_PRIORITY_NORMAL, i, buf[i]);
	fs->fs_hold = true;
	xpt_freeze_devq(ccb[0]->ccb_h.path, 1);
	for (i = 0; i < 3; i++)
		xpt_action(ccb[i]);
	xpt_release_devq(ccb[0]->ccb_h.path, 1, TRUE);
	KT_EQ(fake_held(fs), 3);
	KT_CHECK(STAILQ_FIRST(&fs->fs_held) == &ccb[2]->ccb_h);
	KT_CHECK(STAILQ_NEXT(&ccb[2]->ccb_h, sim_links.stqe) ==
	    &ccb[0]->ccb_h);
	(void)fake_release(fs, 3);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(done_calls) == 3));
	hosted_sleep(1000000);
	for (i = 0; i < 3; i++)
		queue_free(ccb[i]);
	fake_detach(fs);
}

static cam_status
queue_abort(union ccb *victim)
{
	union ccb *ccb = xpt_alloc_ccb();
	cam_status status;

	xpt_setup_ccb(&ccb->ccb_h, victim->ccb_h.path, CAM_PRIORITY_NORMAL);
	ccb->ccb_h.func_code = XPT_ABORT;
	ccb->cab.abort_ccb = victim;
	xpt_action(ccb);
	status = cam_ccb_status(ccb);
	xpt_free_ccb(ccb);
	return (status);
}

KTEST(cam_abort, "an abort finds the CCB in its queue and at the SIM")
{
	struct fake_sim *fs;
	union ccb *ccb;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_hold = true;
	ccb = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, buf);
	xpt_freeze_devq(ccb->ccb_h.path, 1);
	xpt_action(ccb);
	KT_EQ(fake_held(fs), 0);
	KT_EQ(queue_abort(ccb), CAM_REQ_CMP);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(done_calls) == 1));
	KT_EQ(done_status & CAM_STATUS_MASK, CAM_REQ_ABORTED);
	KT_EQ(fs->fs_aborts, 0);
	/* One freeze was the test's, one came with the abort. */
	hosted_sleep(1000000);
	xpt_release_devq(ccb->ccb_h.path, 2, TRUE);

	xpt_setup_ccb(&ccb->ccb_h, ccb->ccb_h.path, CAM_PRIORITY_NORMAL);
	xpt_action(ccb);
	KT_EQ(fake_held(fs), 1);
	KT_EQ(queue_abort(ccb), CAM_REQ_CMP);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(done_calls) == 2));
	KT_EQ(fs->fs_aborts, 1);
	hosted_sleep(1000000);
	KT_EQ(queue_abort(ccb), CAM_UA_ABORT);
	queue_free(ccb);
	fake_detach(fs);
}

/* --- What a SIM must not do --- */

/* The done thread, which ends a CCB under this lock, must not be faster. */
KTEST_PANICS(cam_done_twice, "a CCB that is completed twice",
    "(XPT_SCSI_IO) completed")
{
	struct fake_sim *fs;
	struct ccb_hdr *h;
	struct fake_io fi;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_hold = true;
	KT_EQ(fake_start(&fi, "da0", KPI_DISK_READ, 0, buf, 512), 0);
	h = STAILQ_FIRST(&fs->fs_held);
	h->status = CAM_REQ_CMP;
	mtx_lock(&fs->fs_sim->devq->send_mtx);
	xpt_done((union ccb *)h);
	xpt_done((union ccb *)h);
}

KTEST_PANICS(cam_done_later, "a CCB that is completed again when it is over",
    "the SIM does not have it")
{
	struct fake_sim *fs;
	union ccb *ccb;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	ccb = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, buf);
	xpt_action(ccb);
	KT_CHECK(FAKE_UNTIL(FAKE_GET(done_calls) == 1));
	hosted_sleep(10 * 1000 * 1000);
	xpt_done(ccb);
}

KTEST_PANICS(cam_done_never_sent, "a CCB that was never sent",
    "the SIM does not have it")
{
	struct fake_sim *fs;
	union ccb *ccb;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	ccb = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, buf);
	ccb->ccb_h.status = CAM_REQ_CMP;
	xpt_done_direct(ccb);
}

KTEST_PANICS(cam_done_inprog, "a CCB completed without a status",
    "completed with CAM_REQ_INPROG")
{
	struct fake_sim *fs;
	struct fake_io fi;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_hold = true;
	KT_EQ(fake_start(&fi, "da0", KPI_DISK_READ, 0, buf, 512), 0);
	xpt_done((union ccb *)STAILQ_FIRST(&fs->fs_held));
}

KTEST_PANICS(cam_send_twice, "a CCB that is sent while it is out",
    "already queued")
{
	struct fake_sim *fs;
	union ccb *ccb;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_hold = true;
	ccb = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, buf);
	xpt_action(ccb);
	xpt_action(ccb);
}

KTEST_PANICS(cam_free_ccb_out, "a CCB that is freed while it is out",
    "is not done")
{
	struct fake_sim *fs;
	union ccb *ccb;
	uint8_t buf[512];

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_hold = true;
	ccb = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, buf);
	xpt_action(ccb);
	xpt_free_ccb(ccb);
}

KTEST_PANICS(cam_thaw_simq, "a SIM released more often than frozen",
    "is not frozen")
{
	struct fake_sim *fs;

	fs = fake_new();
	fake_scan(fs);
	xpt_freeze_simq(fs->fs_sim, 1);
	xpt_release_simq(fs->fs_sim, 0);
	xpt_release_simq(fs->fs_sim, 0);
}

KTEST_PANICS(cam_thaw_devq, "a device released more often than frozen",
    "releases of a device frozen")
{
	struct fake_sim *fs;
	union ccb *ccb;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	ccb = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, NULL);
	xpt_freeze_devq(ccb->ccb_h.path, 1);
	xpt_release_devq(ccb->ccb_h.path, 2, FALSE);
}

KTEST_PANICS(cam_free_registered, "a SIM that is freed with its bus",
    "freed while its bus is registered")
{
	struct fake_sim *fs;

	fs = fake_new();
	fake_scan(fs);
	fake_lock(fs);
	cam_sim_free(fs->fs_sim, TRUE);
}

KTEST_PANICS(cam_free_ccb_none, "no CCB is freed", "xpt_free_ccb: no CCB")
{
	xpt_free_ccb(NULL);
}

static void
queue_clock(void *arg)
{
	u_int i;

	for (i = 0; i < 100; i++) {
		hosted_sleep(5 * 1000 * 1000);
		kpi_clock_advance(1000000000);
	}
}

KTEST_PANICS(cam_free_out, "a SIM that is freed with a CCB it has",
    "outstanding")
{
	struct fake_sim *fs;
	union ccb *ccb;
	uint8_t buf[512];
	hosted_u64 id;

	fs = fake_new();
	fake_lun(fs, 0, 64);
	fake_scan(fs);
	fs->fs_hold = true;
	ccb = queue_ccb(fs, 0, CAM_PRIORITY_NORMAL, 0, buf);
	xpt_action(ccb);
	KT_EQ(xpt_bus_deregister(cam_sim_path(fs->fs_sim)), CAM_SUCCESS);
	KT_EQ(hosted_thread_create(&id, queue_clock, NULL, "clock"), 0);
	fake_lock(fs);
	cam_sim_free(fs->fs_sim, TRUE);
}
