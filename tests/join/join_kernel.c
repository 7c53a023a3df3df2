/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The kernel's half of join_kernel.h: makes the CCB and waits for it. */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bio.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/time.h>

#include <vm/vm.h>
#include <vm/pmap.h>
#include <vm/vm_page.h>

#include <machine/bus.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_periph.h>
#include <cam/cam_queue.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_internal.h>
#include <cam/cam_xpt_periph.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>
#include <cam/scsi/scsi_message.h>

#include <waist.h>

#include "join_kernel.h"

#define	TIMEOUT		30000		/* ms */

static struct mtx wait_mtx;
MTX_SYSINIT(join_kernel, &wait_mtx, "join test", MTX_DEF);

/* All that a command needs while it is out. */
struct scsi_data {
	bus_dma_segment_t list[KTEST_PIECES];
	struct vm_page	*ma[KTEST_PIECES];
	struct bio	 bio;
};

static void
scsi_done(struct cam_periph *periph __unused, union ccb *ccb)
{

	mtx_lock(&wait_mtx);
	ccb->ccb_h.ppriv_field1 = 1;
	wakeup(ccb);
	mtx_unlock(&wait_mtx);
}

/* Each piece is pages, but for the ends of the whole. */
static int
scsi_pages(const struct ktest_scsi *s, struct scsi_data *sd)
{
	struct bio *bio = &sd->bio;
	unsigned char *p;
	unsigned i;

	bio->bio_flags = BIO_UNMAPPED;
	bio->bio_ma = sd->ma;
	bio->bio_ma_offset = (uintptr_t)s->piece[0].addr & PAGE_MASK;
	for (i = 0; i < s->npieces; i++) {
		p = (unsigned char *)trunc_page((uintptr_t)s->piece[i].addr);
		for (; p < s->piece[i].addr + s->piece[i].len; p += PAGE_SIZE) {
			if (bio->bio_ma_n == KTEST_PIECES)
				return (E2BIG);
			sd->ma[bio->bio_ma_n++] = PHYS_TO_VM_PAGE(vtophys(p));
		}
	}
	return (0);
}

static int
scsi_fill_data(const struct ktest_scsi *s, struct scsi_data *sd,
    struct ccb_scsiio *csio)
{
	bool phys;
	unsigned i;

	if (s->npieces > KTEST_PIECES)
		return (E2BIG);
	phys = s->data == KTEST_SG_PADDR;
	for (i = 0; i < s->npieces; i++) {
		sd->list[i].ds_addr = phys ? vtophys(s->piece[i].addr) :
		    (uintptr_t)s->piece[i].addr;
		sd->list[i].ds_len = s->piece[i].len;
	}
	sd->bio.bio_cmd = s->write ? BIO_WRITE : BIO_READ;
	sd->bio.bio_bcount = sd->bio.bio_length = s->len;
	csio->sglist_cnt = s->npieces;
	switch (s->data) {
	case KTEST_NONE:
		return (0);
	case KTEST_VADDR:
		csio->data_ptr = s->piece[0].addr;
		csio->ccb_h.flags |= CAM_DATA_VADDR;
		return (0);
	case KTEST_PADDR:
		csio->data_ptr = (uint8_t *)vtophys(s->piece[0].addr);
		csio->ccb_h.flags |= CAM_DATA_PADDR;
		return (0);
	case KTEST_SG:
		csio->data_ptr = (uint8_t *)sd->list;
		csio->ccb_h.flags |= CAM_DATA_SG;
		return (0);
	case KTEST_SG_PADDR:
		csio->data_ptr = (uint8_t *)sd->list;
		csio->ccb_h.flags |= CAM_DATA_SG_PADDR;
		return (0);
	case KTEST_BIO:
		sd->bio.bio_data = (caddr_t)s->piece[0].addr;
		break;
	case KTEST_BIO_VLIST:
		sd->bio.bio_flags = BIO_VLIST;
		sd->bio.bio_data = (caddr_t)sd->list;
		sd->bio.bio_ma_n = s->npieces;
		break;
	case KTEST_BIO_UNMAPPED:
		if (scsi_pages(s, sd) != 0)
			return (E2BIG);
		break;
	}
	csio->data_ptr = (uint8_t *)&sd->bio;
	csio->ccb_h.flags |= CAM_DATA_BIO;
	return (0);
}

static void
scsi_result(struct ktest_scsi *s, struct ccb_scsiio *csio)
{
	int error, key, asc, ascq;

	s->status = csio->ccb_h.status;
	s->resid = csio->resid;
	switch (s->status & CAM_STATUS_MASK) {
	case CAM_REQ_CMP:
		s->end = KTEST_DONE;
		break;
	case CAM_SCSI_STATUS_ERROR:
		s->end = KTEST_SENSE;
		if (scsi_extract_sense_ccb((union ccb *)csio, &error, &key,
		    &asc, &ascq)) {
			s->sense_key = key;
			s->asc = asc;
			s->ascq = ascq;
		}
		break;
	case CAM_REQ_INVALID:
		s->end = KTEST_INVALID;
		break;
	case CAM_REQ_TOO_BIG:
		s->end = KTEST_TOO_BIG;
		break;
	default:
		s->end = KTEST_OTHER;
	}
	if ((s->status & CAM_DEV_QFRZN) != 0)
		cam_release_devq(csio->ccb_h.path, 0, 0, 0, 0);
}

struct scsi_call {
	struct ktest_scsi *s;
	int		 error;
};

static void
scsi_call(void *arg)
{
	struct scsi_call *call = arg;
	struct ktest_scsi *s = call->s;
	struct cam_periph sender = { .periph_name =
	    __DECONST(char *, s->driver) };
	struct cam_path *path;
	struct scsi_data *sd;
	sbintime_t start;
	union ccb *ccb;

	call->error = ENXIO;
	if (xpt_create_path(&path, s->driver == NULL ? NULL : &sender, 0, 0,
	    s->lun) != CAM_REQ_CMP)
		return;
	sd = malloc(sizeof(*sd), M_TEMP, M_WAITOK | M_ZERO);
	ccb = xpt_alloc_ccb();
	xpt_setup_ccb(&ccb->ccb_h, path, CAM_PRIORITY_NORMAL);
	cam_fill_csio(&ccb->csio, 0, scsi_done,
	    (s->driver == NULL ? CAM_UNLOCKED : 0) |
	    (s->data == KTEST_NONE ? CAM_DIR_NONE :
	    s->write ? CAM_DIR_OUT : CAM_DIR_IN), MSG_SIMPLE_Q_TAG, NULL,
	    s->len, SSD_FULL_SIZE, s->cdb_len, TIMEOUT);
	memcpy(ccb->csio.cdb_io.cdb_bytes, s->cdb, sizeof(s->cdb));
	ccb->ccb_h.ppriv_field1 = 0;
	call->error = scsi_fill_data(s, sd, &ccb->csio);
	if (call->error == 0) {
		start = getsbinuptime();
		xpt_action(ccb);
		mtx_lock(&wait_mtx);
		while (ccb->ccb_h.ppriv_field1 == 0)
			msleep(ccb, &wait_mtx, PRIBIO, "joinscsi", 0);
		mtx_unlock(&wait_mtx);
		s->took = sbttoms(getsbinuptime() - start);
		scsi_result(s, &ccb->csio);
	}
	xpt_free_path(path);
	xpt_free_ccb(ccb);
	free(sd, M_TEMP);
}

int
ktest_scsi(struct ktest_scsi *s)
{
	struct scsi_call call = { .s = s };

	kpi_call(scsi_call, &call, -1);
	return (call.error);
}

void *
ktest_phys(kpi_u64 pa)
{

	return ((void *)PHYS_TO_DMAP(pa));
}

static void
delete_call(void *arg)
{
	device_t dev;
	int *errorp = arg;

	bus_topo_lock();
	dev = devclass_get_device(devclass_find("storvsc"), 0);
	*errorp = dev == NULL ? ENXIO :
	    device_delete_child(device_get_parent(dev), dev);
	bus_topo_unlock();
}

int
ktest_delete_controller(void)
{
	int error;

	kpi_call(delete_call, &error, -1);
	return (error);
}

static void
freeze_call(void *arg __unused)
{
	struct cam_path *path;

	if (xpt_create_path(&path, NULL, 0, 0, 0) != CAM_REQ_CMP)
		panic("%s: no path", __func__);
	xpt_freeze_simq(path->bus->sim, 1);
	xpt_free_path(path);
}

void
ktest_freeze_controller(void)
{

	kpi_call(freeze_call, NULL, -1);
}

static volatile u_int heard;

static void
hear(void *arg, uint32_t code __unused, struct cam_path *path __unused,
    void *data __unused)
{

	hosted_sleep((uintptr_t)arg * 1000000);
	atomic_add_int(&heard, 1);
}

static void
hear_call(void *arg)
{

	if (xpt_register_async(AC_FOUND_DEVICE, hear, arg, NULL) !=
	    CAM_REQ_CMP)
		panic("%s: no listener", __func__);
}

void
ktest_hear(unsigned ms)
{

	kpi_call(hear_call, (void *)(uintptr_t)ms, -1);
}

unsigned
ktest_heard(void)
{

	return (atomic_load_acq_int(&heard));
}
