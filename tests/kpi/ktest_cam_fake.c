/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The SIM of memory disks: commands and their answers as SPC-4 and SBC-3 have
 * them.
 */

#include "ktest_cam_fake.h"

static MALLOC_DEFINE(M_FAKESIM, "fakesim", "SIM of memory disks");

static void
fake_set_sense(struct ccb_scsiio *csio, uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct scsi_sense_data_fixed *s = (void *)&csio->sense_data;

	bzero(&csio->sense_data, sizeof(csio->sense_data));
	s->error_code = SSD_CURRENT_ERROR;
	s->flags = key;
	s->extra_len = 10;
	s->add_sense_code = asc;
	s->add_sense_code_qual = ascq;
	csio->sense_resid = csio->sense_len - MIN(csio->sense_len, 18);
	csio->scsi_status = SCSI_STATUS_CHECK_COND;
	csio->ccb_h.status = CAM_SCSI_STATUS_ERROR | CAM_AUTOSNS_VALID;
}

static void
fake_reply(struct ccb_scsiio *csio, const void *data, u_int len)
{

	len = MIN(len, csio->dxfer_len);
	bcopy(data, csio->data_ptr, len);
	csio->resid = csio->dxfer_len - len;
	csio->ccb_h.status = CAM_REQ_CMP;
}

static void
fake_vpd(struct fake_lun *fl, struct ccb_scsiio *csio, uint8_t page)
{
	uint8_t buf[64] = { fl->fl_type, page };

	switch (page) {
	case 0x00:
		buf[3] = fl->fl_thin ? 4 : 2;
		buf[5] = 0x80;
		buf[6] = 0xb0;
		buf[7] = 0xb2;
		fake_reply(csio, buf, 4 + buf[3]);
		break;
	case 0x80:
		buf[3] = 4;
		bcopy("FAKE", buf + 4, 4);
		fake_reply(csio, buf, 8);
		break;
	case 0xb0:
		buf[3] = 0x3c;
		scsi_ulto4b(fl->fl_max_unmap, buf + 20);
		scsi_ulto4b(16, buf + 24);
		fake_reply(csio, buf, 64);
		break;
	case 0xb2:
		buf[3] = 4;
		buf[5] = 0x80;
		buf[6] = 2;
		fake_reply(csio, buf, 8);
		break;
	default:
		fake_set_sense(csio, 5, 0x24, 0);
		break;
	}
}

static void
fake_inquiry(struct fake_lun *fl, struct ccb_scsiio *csio, const uint8_t *cdb)
{
	uint8_t buf[96] = { 0 };

	if ((cdb[1] & 1) != 0 && fl->fl_present) {
		fake_vpd(fl, csio, cdb[2]);
		return;
	}
	buf[0] = fl->fl_present ? fl->fl_type : 0x7f;
	buf[1] = fl->fl_type == T_CDROM ? 0x80 : 0;
	buf[2] = 5;
	buf[3] = 2;
	buf[4] = sizeof(buf) - 5;
	buf[7] = fl->fl_present && !fl->fl_untagged ? 2 : 0;
	bcopy("Fake    Memory Disk     1.0 ", buf + 8, 28);
	fake_reply(csio, buf, sizeof(buf));
}

static void
fake_report_luns(struct fake_sim *fs, struct ccb_scsiio *csio)
{
	uint8_t buf[8 + 8 * FAKE_LUNS] = { 0 };
	u_int i, n = 0;

	for (i = 0; i < FAKE_LUNS; i++) {
		if (fs->fs_lun[i].fl_present)
			buf[8 + 8 * n++ + 1] = i;
	}
	scsi_ulto4b(8 * n, buf);
	fake_reply(csio, buf, 8 + 8 * n);
}

static void
fake_capacity(struct fake_lun *fl, struct ccb_scsiio *csio, bool longer)
{
	uint8_t buf[32] = { 0 };

	if (longer) {
		scsi_u64to8b(fl->fl_sectors - 1, buf);
		scsi_ulto4b(fl->fl_secsize, buf + 8);
		buf[14] = fl->fl_thin ? 0x80 : 0;
		fake_reply(csio, buf, 32);
	} else {
		scsi_ulto4b(MIN(fl->fl_sectors - 1, 0xffffffff), buf);
		scsi_ulto4b(fl->fl_secsize, buf + 4);
		fake_reply(csio, buf, 8);
	}
}

/* Address and length of any read or write; false if it is none. */
static bool
fake_rw_decode(const uint8_t *cdb, uint64_t *lba, uint32_t *count)
{

	switch (cdb[0]) {
	case READ_6:
	case WRITE_6:
		*lba = scsi_3btoul(cdb + 1) & 0x1fffff;
		*count = cdb[4] == 0 ? 256 : cdb[4];
		return (true);
	case READ_10:
	case WRITE_10:
		*lba = scsi_4btoul(cdb + 2);
		*count = scsi_2btoul(cdb + 7);
		return (true);
	case READ_12:
	case WRITE_12:
		*lba = scsi_4btoul(cdb + 2);
		*count = scsi_4btoul(cdb + 6);
		return (true);
	case READ_16:
	case WRITE_16:
		*lba = scsi_8btou64(cdb + 2);
		*count = scsi_4btoul(cdb + 10);
		return (true);
	default:
		return (false);
	}
}

static bool
fake_is_rw(const uint8_t *cdb)
{
	uint64_t lba;
	uint32_t count;

	return (fake_rw_decode(cdb, &lba, &count));
}

static void
fake_rw(struct fake_lun *fl, struct ccb_scsiio *csio, const uint8_t *cdb)
{
	bool read = (csio->ccb_h.flags & CAM_DIR_MASK) == CAM_DIR_IN;
	uint32_t count, len;
	uint64_t lba;
	uint8_t *p;

	(void)fake_rw_decode(cdb, &lba, &count);
	bcopy(cdb, fl->fl_cdb, sizeof(fl->fl_cdb));
	len = count * fl->fl_secsize;
	fl->fl_longest = MAX(fl->fl_longest, len);
	if (len != csio->dxfer_len || lba > fl->fl_sectors ||
	    count > fl->fl_sectors - lba) {
		fake_set_sense(csio, 5, 0x21, 0);
		return;
	}
	if (!read && fl->fl_readonly) {
		fake_set_sense(csio, 7, 0x27, 0);
		return;
	}
	csio->resid = 0;
	csio->ccb_h.status = CAM_REQ_CMP;
	if (fl->fl_data == NULL) {
		if (read)
			bzero(csio->data_ptr, len);
		return;
	}
	p = fl->fl_data + lba * fl->fl_secsize;
	if (read)
		bcopy(p, csio->data_ptr, len);
	else
		bcopy(csio->data_ptr, p, len);
}

static void
fake_unmap(struct fake_lun *fl, struct ccb_scsiio *csio)
{
	uint8_t *p = csio->data_ptr;
	u_int i, n = scsi_2btoul(p + 2) / 16;
	uint64_t lba, sum = 0;
	uint32_t count;

	if (scsi_2btoul(p) != csio->dxfer_len - 2 ||
	    8 + 16 * n != csio->dxfer_len || n > 16) {
		fake_set_sense(csio, 5, 0x26, 0);
		return;
	}
	fl->fl_ranges = n;
	for (i = 0, p += 8; i < n; i++, p += 16) {
		lba = scsi_8btou64(p);
		count = scsi_4btoul(p + 8);
		sum += count;
		if (lba + count > fl->fl_sectors || sum > fl->fl_max_unmap) {
			fake_set_sense(csio, 5, 0x21, 0);
			return;
		}
		if (fl->fl_data != NULL)
			bzero(fl->fl_data + lba * fl->fl_secsize,
			    count * fl->fl_secsize);
	}
	csio->resid = 0;
	csio->ccb_h.status = CAM_REQ_CMP;
}

static bool
fake_inject(struct fake_lun *fl, struct ccb_scsiio *csio, const uint8_t *cdb)
{

	if (fl->fl_fail == 0 || (!fl->fl_fail_all && !fake_is_rw(cdb)))
		return (false);
	fl->fl_fail--;
	csio->resid = csio->dxfer_len;
	if (fl->fl_status == CAM_SCSI_STATUS_ERROR &&
	    fl->fl_scsi == SCSI_STATUS_CHECK_COND)
		fake_set_sense(csio, fl->fl_key, fl->fl_asc, fl->fl_ascq);
	else {
		csio->scsi_status = fl->fl_scsi;
		csio->ccb_h.status = fl->fl_status;
	}
	if (fl->fl_freeze) {
		xpt_freeze_devq(csio->ccb_h.path, 1);
		csio->ccb_h.status |= CAM_DEV_QFRZN;
	}
	return (true);
}

static void
fake_command(struct fake_sim *fs, struct fake_lun *fl, struct ccb_scsiio *csio)
{
	const uint8_t *cdb = scsiio_cdb_ptr(csio);
	uint8_t buf[4] = { 3 };

	csio->scsi_status = SCSI_STATUS_OK;
	csio->resid = csio->dxfer_len;
	if (fake_inject(fl, csio, cdb))
		return;
	if (fake_is_rw(cdb)) {
		fake_rw(fl, csio, cdb);
		return;
	}
	switch (cdb[0]) {
	case TEST_UNIT_READY:
	case SYNCHRONIZE_CACHE:
		csio->ccb_h.status = CAM_REQ_CMP;
		break;
	case INQUIRY:
		fake_inquiry(fl, csio, cdb);
		break;
	case READ_CAPACITY:
		fake_capacity(fl, csio, false);
		break;
	case SERVICE_ACTION_IN:
		fake_capacity(fl, csio, true);
		break;
	case MODE_SENSE_6:
		buf[2] = fl->fl_readonly ? 0x80 : 0;
		fake_reply(csio, buf, sizeof(buf));
		break;
	case UNMAP:
		fake_unmap(fl, csio);
		break;
	default:
		fake_set_sense(csio, 5, 0x20, 0);
		break;
	}
}

/* fs_mtx held. */
static void
fake_complete(struct fake_sim *fs, struct ccb_scsiio *csio)
{
	struct fake_lun *fl = &fs->fs_lun[csio->ccb_h.target_lun];

	fs->fs_out--;
	fl->fl_out--;
	if (!fl->fl_present)
		csio->ccb_h.status = CAM_DEV_NOT_THERE;
	else
		fake_command(fs, fl, csio);
	xpt_done((union ccb *)csio);
}

/* A unit that is not there, as this SIM shows it. */
static void
fake_nobody(struct fake_sim *fs, struct fake_lun *fl, struct ccb_scsiio *csio)
{
	const uint8_t *cdb = scsiio_cdb_ptr(csio);

	csio->resid = csio->dxfer_len;
	csio->ccb_h.status = fs->fs_absent == FAKE_SELTO ? CAM_SEL_TIMEOUT :
	    CAM_DEV_NOT_THERE;
	if (fs->fs_absent == FAKE_QUALIFIER && cdb[0] == INQUIRY)
		fake_inquiry(fl, csio, cdb);
	xpt_done((union ccb *)csio);
}

static void
fake_scsi(struct fake_sim *fs, struct ccb_scsiio *csio)
{
	const uint8_t *cdb = scsiio_cdb_ptr(csio);
	struct fake_lun *fl;

	fs->fs_targets |= 1ULL << csio->ccb_h.target_id;
	if (csio->ccb_h.target_id != 0 ||
	    csio->ccb_h.target_lun >= FAKE_LUNS) {
		csio->ccb_h.status = CAM_SEL_TIMEOUT;
		xpt_done((union ccb *)csio);
		return;
	}
	fl = &fs->fs_lun[csio->ccb_h.target_lun];
	fl->fl_ops[cdb[0]]++;
	if (cdb[0] == REPORT_LUNS && fs->fs_report_luns) {
		fake_report_luns(fs, csio);
		xpt_done((union ccb *)csio);
		return;
	}
	if (!fl->fl_present) {
		fake_nobody(fs, fl, csio);
		return;
	}
	if (fake_is_rw(cdb) &&
	    (csio->ccb_h.flags & CAM_TAG_ACTION_VALID) != 0)
		fl->fl_tagged++;
	fs->fs_out++;
	fs->fs_out_max = MAX(fs->fs_out_max, fs->fs_out);
	fl->fl_out++;
	if (fs->fs_hold && fake_is_rw(cdb)) {
		STAILQ_INSERT_TAIL(&fs->fs_held, &csio->ccb_h, sim_links.stqe);
		fs->fs_nheld++;
	} else
		fake_complete(fs, csio);
}

static void
fake_path_inq(struct fake_sim *fs, struct ccb_pathinq *cpi)
{

	cpi->version_num = 1;
	cpi->hba_inquiry = PI_TAG_ABLE;
	cpi->hba_misc = PIM_NOBUSRESET;
	if (fs->fs_noscan)
		cpi->hba_misc |= PIM_NOSCAN;
	cpi->max_target = fs->fs_max_target;
	cpi->max_lun = FAKE_LUNS - 1;
	cpi->initiator_id = fs->fs_initiator;
	cpi->base_transfer_speed = 300000;
	cpi->transport = fs->fs_transport;
	cpi->protocol = PROTO_SCSI;
	cpi->maxio = fs->fs_maxio;
	cpi->ccb_h.status = CAM_REQ_CMP;
}

static void
fake_abort(struct fake_sim *fs, union ccb *ccb)
{
	struct ccb_hdr *victim = &ccb->cab.abort_ccb->ccb_h, *h;

	fs->fs_aborts++;
	ccb->ccb_h.status = CAM_UA_ABORT;
	STAILQ_FOREACH(h, &fs->fs_held, sim_links.stqe) {
		if (h == victim)
			break;
	}
	if (h == NULL)
		return;
	STAILQ_REMOVE(&fs->fs_held, h, ccb_hdr, sim_links.stqe);
	fs->fs_nheld--;
	fs->fs_out--;
	fs->fs_lun[h->target_lun].fl_out--;
	h->status = CAM_REQ_ABORTED;
	xpt_done((union ccb *)h);
	ccb->ccb_h.status = CAM_REQ_CMP;
}

static void
fake_action(struct cam_sim *sim, union ccb *ccb)
{
	struct fake_sim *fs = cam_sim_softc(sim);

	if (fs->fs_unlocked)
		mtx_lock(&fs->fs_mtx);
	else
		mtx_assert(&fs->fs_mtx, MA_OWNED);
	switch (ccb->ccb_h.func_code) {
	case XPT_SCSI_IO:
		fake_scsi(fs, &ccb->csio);
		break;
	case XPT_PATH_INQ:
		fake_path_inq(fs, &ccb->cpi);
		xpt_done(ccb);
		break;
	case XPT_RESET_DEV:
		fs->fs_resets++;
		ccb->ccb_h.status = CAM_REQ_CMP;
		xpt_done(ccb);
		break;
	case XPT_RESET_BUS:
		fs->fs_bus_resets++;
		ccb->ccb_h.status = CAM_REQ_CMP;
		xpt_done(ccb);
		break;
	case XPT_ABORT:
		fake_abort(fs, ccb);
		break;
	default:
		ccb->ccb_h.status = CAM_REQ_INVALID;
		xpt_done(ccb);
		break;
	}
	if (fs->fs_unlocked)
		mtx_unlock(&fs->fs_mtx);
}

/* fs_mtx held. */
static u_int
fake_let_go(struct fake_sim *fs, u_int n)
{
	struct ccb_hdr *h;
	u_int i;

	for (i = 0; i < n && (h = STAILQ_FIRST(&fs->fs_held)) != NULL; i++) {
		STAILQ_REMOVE_HEAD(&fs->fs_held, sim_links.stqe);
		fs->fs_nheld--;
		fake_complete(fs, (struct ccb_scsiio *)h);
	}
	return (i);
}

static void
fake_poll(struct cam_sim *sim)
{
	struct fake_sim *fs = cam_sim_softc(sim);

	fs->fs_polls++;
	(void)fake_let_go(fs, 1);
}

void
fake_lock(struct fake_sim *fs)
{

	mtx_lock(&fs->fs_mtx);
}

void
fake_unlock(struct fake_sim *fs)
{

	mtx_unlock(&fs->fs_mtx);
}

u_int
fake_release(struct fake_sim *fs, u_int n)
{

	fake_lock(fs);
	n = fake_let_go(fs, n);
	fake_unlock(fs);
	return (n);
}

u_int
fake_held(struct fake_sim *fs)
{
	u_int n;

	fake_lock(fs);
	n = fs->fs_nheld;
	fake_unlock(fs);
	return (n);
}

u_int
fake_ops(struct fake_sim *fs, u_int lun, uint8_t code)
{
	u_int n;

	fake_lock(fs);
	n = fs->fs_lun[lun].fl_ops[code];
	fake_unlock(fs);
	return (n);
}

struct fake_sim *
fake_new(void)
{
	struct fake_sim *fs;

	fs = malloc(sizeof(*fs), M_FAKESIM, M_WAITOK | M_ZERO);
	mtx_init(&fs->fs_mtx, "fakesim", NULL, MTX_DEF);
	STAILQ_INIT(&fs->fs_held);
	fs->fs_report_luns = true;
	fs->fs_transport = XPORT_SAS;
	fs->fs_max_target = 0;
	fs->fs_initiator = 7;
	fs->fs_maxio = 128 * 1024;
	fs->fs_openings = 32;
	fs->fs_queue = 64;
	return (fs);
}

void
fake_lun(struct fake_sim *fs, u_int lun, uint64_t sectors)
{
	struct fake_lun *fl = &fs->fs_lun[lun];

	fl->fl_type = T_DIRECT;
	fl->fl_sectors = sectors;
	fl->fl_secsize = 512;
	fl->fl_max_unmap = 64;
	if (sectors <= 65536)
		fl->fl_data = malloc(sectors * 512, M_FAKESIM,
		    M_WAITOK | M_ZERO);
	fl->fl_present = true;
}

bool
fake_try_attach(struct fake_sim *fs)
{
	struct cam_devq *devq;

	devq = cam_simq_alloc(fs->fs_queue);
	if (devq == NULL)
		return (false);
	fs->fs_sim = cam_sim_alloc(fake_action, fake_poll, "fake", fs, 0,
	    fs->fs_unlocked ? NULL : &fs->fs_mtx, 1, fs->fs_openings, devq);
	if (fs->fs_sim == NULL) {
		cam_simq_free(devq);
		return (false);
	}
	if (xpt_bus_register(fs->fs_sim, NULL, 0) != CAM_SUCCESS)
		return (false);
	return (xpt_create_path(&fs->fs_path, NULL, cam_sim_path(fs->fs_sim),
	    CAM_TARGET_WILDCARD, CAM_LUN_WILDCARD) == CAM_REQ_CMP);
}

void
fake_attach(struct fake_sim *fs)
{

	KT_CHECK(fake_try_attach(fs));
}

static void
fake_free_sim(struct fake_sim *fs)
{
	u_int i;

	if (fs->fs_path != NULL)
		xpt_free_path(fs->fs_path);
	/* ENXIO: it was not registered. */
	(void)xpt_bus_deregister(cam_sim_path(fs->fs_sim));
	fake_lock(fs);
	for (i = 0; i < FAKE_LUNS; i++)
		fs->fs_lun[i].fl_present = false;
	(void)fake_let_go(fs, UINT_MAX);
	if (fs->fs_unlocked)
		fake_unlock(fs);
	cam_sim_free(fs->fs_sim, TRUE);
	if (!fs->fs_unlocked)
		fake_unlock(fs);
}

void
fake_detach(struct fake_sim *fs)
{
	u_int i;

	if (fs->fs_sim != NULL)
		fake_free_sim(fs);
	for (i = 0; i < FAKE_LUNS; i++)
		free(fs->fs_lun[i].fl_data, M_FAKESIM);
	mtx_destroy(&fs->fs_mtx);
	free(fs, M_FAKESIM);
}

void
fake_rescan(struct fake_sim *fs)
{

	KT_EQ(kpi_cam_rescan("fake", 0), 0);
}

void
fake_scan(struct fake_sim *fs)
{

	/* The scan of the registration, then one that can be waited for. */
	fake_attach(fs);
	fake_rescan(fs);
}

void
fake_fail(struct fake_lun *fl, u_int n, uint32_t status)
{

	fl->fl_status = status;
	fl->fl_scsi = 0;
	fl->fl_fail = n;
}

void
fake_sense(struct fake_lun *fl, u_int n, uint8_t key, uint8_t asc, uint8_t ascq)
{

	fl->fl_status = CAM_SCSI_STATUS_ERROR;
	fl->fl_scsi = SCSI_STATUS_CHECK_COND;
	fl->fl_key = key;
	fl->fl_asc = asc;
	fl->fl_ascq = ascq;
	fl->fl_fail = n;
}

static void
fake_io_done(struct kpi_disk_io *io, int error)
{
	struct fake_io *fi = io->arg;

	fi->fi_error = error;
	atomic_add_rel_int(&fi->fi_done, 1);
}

int
fake_start(struct fake_io *fi, const char *disk, enum kpi_disk_op op,
    uint64_t offset, void *buf, size_t len)
{

	bzero(fi, sizeof(*fi));
	fi->fi_io.op = op;
	fi->fi_io.offset = offset;
	fi->fi_io.buf = buf;
	fi->fi_io.len = len;
	fi->fi_io.done = fake_io_done;
	fi->fi_io.arg = fi;
	return (kpi_disk_start(disk, &fi->fi_io));
}

int
fake_finish(struct fake_io *fi)
{
	u_int n;

	for (n = 0; n < 20000 && atomic_load_acq_int(&fi->fi_done) == 0; n++) {
		hosted_sleep(200 * 1000);
		/* Real work gets its chance before time-outs do. */
		if (n >= 20)
			kpi_clock_advance(50 * 1000 * 1000);
	}
	KT_EQ(FAKE_GET(fi->fi_done), 1);
	return (fi->fi_error);
}

int
fake_do(const char *disk, enum kpi_disk_op op, uint64_t offset, void *buf,
    size_t len)
{
	struct fake_io fi;
	int error;

	error = fake_start(&fi, disk, op, offset, buf, len);
	return (error != 0 ? error : fake_finish(&fi));
}

static void
fake_count_disk(void *arg, const char *name)
{

	(*(u_int *)arg)++;
}

u_int
fake_disks(void)
{
	u_int n = 0;

	kpi_disk_list(fake_count_disk, &n);
	return (n);
}

uint64_t
fake_counter(const char *disk, const char *name)
{
	char oid[64], text[32];

	snprintf(oid, sizeof(oid), "kern.cam.%.2s.%s.%s", disk, disk + 2, name);
	KT_EQ(kpi_sysctl_get(oid, text, sizeof(text)), 0);
	return (strtoq(text, NULL, 10));
}
