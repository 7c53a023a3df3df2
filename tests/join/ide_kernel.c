/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The kernel's half of ide_kernel.h. */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/ata.h>
#include <sys/bus.h>
#include <sys/eventhandler.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/module.h>
#include <sys/mutex.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_periph.h>
#include <cam/cam_queue.h>
#include <cam/cam_sim.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_internal.h>
#include <cam/cam_xpt_sim.h>
#include <cam/scsi/scsi_all.h>

#include "bus_if.h"
#include "device_if.h"
#include "ide_kernel.h"

/* The first word of IDENTIFY: a fixed disk; an ATAPI CD-ROM. */
#define	IDENT_DISK	0x0040
#define	IDENT_CDROM	0x85c0

struct ktest_ata {
	struct ktest_ata_config	 ab_cf;
	struct cam_sim		*ab_sim;
	struct cam_path		*ab_path[2];
	struct cam_periph	 ab_periph[2];
	bool			 ab_held[2];
	u_int			 ab_scans[2];
};

static MALLOC_DEFINE(M_FAKEATA, "fakeata", "emulated IDE channels");

static void
ata_path_inq(struct ktest_ata *ab, struct ccb_pathinq *cpi)
{

	cpi->version_num = 1;
	cpi->max_target = 1;
	cpi->initiator_id = 7;
	strlcpy(cpi->dev_name, ab->ab_cf.name, DEV_IDLEN);
	cpi->unit_number = ab->ab_cf.unit;
	cpi->transport = XPORT_ATA;
	cpi->protocol = PROTO_ATA;
	cpi->hba_vendor = ab->ab_cf.pci & 0xffff;
	cpi->hba_device = ab->ab_cf.pci >> 16;
	cpi->ccb_h.status = CAM_REQ_CMP;
}

/* The hosted CAM knows one transport, to which there is nobody here. */
static void
ata_action(struct cam_sim *sim, union ccb *ccb)
{
	struct ktest_ata *ab = cam_sim_softc(sim);

	switch (ccb->ccb_h.func_code) {
	case XPT_PATH_INQ:
		ata_path_inq(ab, &ccb->cpi);
		break;
	case XPT_SCSI_IO:
		if (scsiio_cdb_ptr(&ccb->csio)[0] == INQUIRY &&
		    ccb->ccb_h.target_id < 2)
			atomic_add_int(&ab->ab_scans[ccb->ccb_h.target_id], 1);
		ccb->ccb_h.status = CAM_SEL_TIMEOUT;
		break;
	default:
		ccb->ccb_h.status = CAM_REQ_INVALID;
		break;
	}
	xpt_done(ccb);
}

static void
ata_poll(struct cam_sim *sim __unused)
{
}

struct ata_call {
	const struct ktest_ata_config *cf;
	struct ktest_ata *ab;
	u_int		 drive;
	enum ata_holder	 holder;
};

static void
ata_add_call(void *arg)
{
	struct ata_call *call = arg;
	struct cam_devq *devq;
	struct ktest_ata *ab;
	u_int i;

	ab = malloc(sizeof(*ab), M_FAKEATA, M_WAITOK | M_ZERO);
	ab->ab_cf = *call->cf;
	devq = cam_simq_alloc(1);
	ab->ab_sim = cam_sim_alloc(ata_action, ata_poll, ab->ab_cf.name, ab,
	    ab->ab_cf.unit, NULL, 1, 0, devq);
	if (xpt_bus_register(ab->ab_sim, NULL, 0) != CAM_SUCCESS)
		return;
	for (i = 0; i < 2; i++) {
		if (xpt_create_path(&ab->ab_path[i], NULL,
		    cam_sim_path(ab->ab_sim), i, 0) != CAM_REQ_CMP)
			return;
		ab->ab_periph[i].path = ab->ab_path[i];
	}
	call->ab = ab;
}

struct ktest_ata *
ktest_ata_add(const struct ktest_ata_config *cf)
{
	struct ata_call call = { .cf = cf };

	kpi_call(ata_add_call, &call, -1);
	return (call.ab);
}

/* The device's lock is held. */
static void
ata_hold(struct ktest_ata *ab, u_int drive, bool hold)
{
	struct cam_periph *periph = &ab->ab_periph[drive];
	struct cam_ed *ed = ab->ab_path[drive]->device;

	if (hold == ab->ab_held[drive])
		return;
	ab->ab_held[drive] = hold;
	periph->periph_name = __DECONST(char *,
	    ab->ab_cf.drive[drive] == ATA_CDROM ? "cd" : "ada");
	if (hold)
		SLIST_INSERT_HEAD(&ed->periphs, periph, periph_links);
	else
		SLIST_REMOVE(&ed->periphs, periph, cam_periph, periph_links);
}

static void
ata_remove_call(void *arg)
{
	struct ktest_ata *ab = arg;
	u_int i;

	for (i = 0; i < 2; i++) {
		xpt_path_lock(ab->ab_path[i]);
		ata_hold(ab, i, false);
		xpt_path_unlock(ab->ab_path[i]);
		xpt_free_path(ab->ab_path[i]);
	}
	(void)xpt_bus_deregister(cam_sim_path(ab->ab_sim));
	cam_sim_free(ab->ab_sim, TRUE);
	free(ab, M_FAKEATA);
}

void
ktest_ata_remove(struct ktest_ata *ab)
{

	kpi_call(ata_remove_call, ab, -1);
}

static void
ata_probe_call(void *arg)
{
	struct ata_call *call = arg;
	struct ktest_ata *ab = call->ab;
	struct cam_path *path = ab->ab_path[call->drive];
	bool cdrom = ab->ab_cf.drive[call->drive] == ATA_CDROM;
	struct ata_params *ident;
	int veto = 0;

	ident = malloc(sizeof(*ident), M_FAKEATA, M_WAITOK | M_ZERO);
	ident->config = cdrom ? IDENT_CDROM : IDENT_DISK;
	xpt_path_lock(path);
	EVENTHANDLER_INVOKE(ada_probe_veto, path, ident, &veto);
	ata_hold(ab, call->drive, veto == 0);
	xpt_path_unlock(path);
	free(ident, M_FAKEATA);
	call->holder = veto != 0 ? HELD_BY_NONE : cdrom ? HELD_BY_CD :
	    HELD_BY_ADA;
}

enum ata_holder
ktest_ata_probe(struct ktest_ata *ab, unsigned drive)
{
	struct ata_call call = { .ab = ab, .drive = drive };

	if (ab->ab_cf.drive[drive] != ATA_NONE)
		kpi_call(ata_probe_call, &call, -1);
	return (call.holder);
}

unsigned
ktest_ata_scans(struct ktest_ata *ab, unsigned drive)
{

	return (atomic_load_int(&ab->ab_scans[drive]));
}

static eventhandler_tag veto_tag;

static void
veto_disks(void *arg __unused, struct cam_path *path __unused,
    struct ata_params *ident, int *veto)
{

	if (ident->config == IDENT_DISK)
		(*veto)++;
}

static void
veto_call(void *arg)
{
	int *on = arg;

	if (*on)
		veto_tag = EVENTHANDLER_REGISTER(ada_probe_veto, veto_disks,
		    NULL, EVENTHANDLER_PRI_ANY);
	else
		EVENTHANDLER_DEREGISTER(ada_probe_veto, veto_tag);
}

void
ktest_veto_all(int on)
{

	kpi_call(veto_call, &on, -1);
}

/* --- The bus --- */

struct vmbus_call {
	int	(*fn)(device_t);
	int	error;
};

static void
vmbus_call(void *arg)
{
	struct vmbus_call *call = arg;

	bus_topo_lock();
	call->error = call->fn(devclass_get_device(devclass_find("vmbus"),
	    0));
	bus_topo_unlock();
}

int
ktest_vmbus_detach(void)
{
	struct vmbus_call call = { .fn = device_detach };

	kpi_call(vmbus_call, &call, -1);
	return (call.error);
}

int
ktest_vmbus_attach(void)
{
	struct vmbus_call call = { .fn = device_probe_and_attach };

	kpi_call(vmbus_call, &call, -1);
	return (call.error);
}

/* --- Another driver of it --- */

static bool other_wanted;
static device_t other_dev;

static int
other_probe(device_t dev)
{

	if (!other_wanted)
		return (ENXIO);
	device_set_desc(dev, "another driver's VMBus");
	return (BUS_PROBE_SPECIFIC);
}

static int
other_attach(device_t dev __unused)
{

	return (0);
}

static device_method_t other_methods[] = {
	DEVMETHOD(device_probe,		other_probe),
	DEVMETHOD(device_attach,	other_attach),
	DEVMETHOD(device_detach,	other_attach),
	DEVMETHOD_END
};

static driver_t other_driver = { "vmbus", other_methods, 1 };

DRIVER_MODULE(ktest_vmbus, acpi, other_driver, NULL, NULL);

static device_t
other_parent(void)
{

	return (devclass_get_device(devclass_find("acpi"), 0));
}

static void
other_attach_call(void *arg)
{
	int *error = arg;

	bus_topo_lock();
	other_wanted = true;
	other_dev = BUS_ADD_CHILD(other_parent(), 0, "vmbus", 0);
	*error = other_dev == NULL ? ENXIO : device_probe_and_attach(other_dev);
	bus_topo_unlock();
}

static void
other_detach_call(void *arg)
{
	int *error = arg;

	bus_topo_lock();
	other_wanted = false;
	*error = device_detach(other_dev);
	bus_topo_unlock();
}

int
ktest_other_attach(void)
{
	int error;

	kpi_call(other_attach_call, &error, -1);
	return (error);
}

int
ktest_other_detach(void)
{
	int error;

	kpi_call(other_detach_call, &error, -1);
	return (error);
}
