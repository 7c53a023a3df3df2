/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Who gets a disk that the host offers twice: on the emulated IDE controller,
 * where ata(4) finds it, and on VMBus.  Never both, since each would cache
 * what the other writes; never none.
 *
 * Whoever asks first has it.  At boot that is this driver, since buses are
 * attached before CAM scans; a loader tunable leaves the disks to ata(4)
 * instead.  A disk that is claimed here is kept from CAM's ATA probe by
 * the kernel's event ada_probe_veto, and only such a disk: what has no device
 * of ours, for whatever reason, is ATA's.
 *
 * FreeBSD's own driver for these controllers vetoes every disk of theirs as
 * soon as it is in the kernel, attached or not.  Where VMBus is ours it drives
 * nothing, so our handler runs after it and has the last word.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/ata.h>
#include <sys/endian.h>
#include <sys/eventhandler.h>
#include <sys/kernel.h>
#include <sys/time.h>

#include <cam/cam.h>
#include <cam/cam_ccb.h>
#include <cam/cam_periph.h>
#include <cam/cam_xpt.h>
#include <cam/cam_xpt_periph.h>

#include <dev/hyperv/storvsc/storvsc_var.h>

/* The controller that Hyper-V emulates: Intel's PIIX4. */
#define	STORVSC_IDE_VENDOR	0x8086
#define	STORVSC_IDE_DEVICE	0x7111
#define	STORVSC_IDE_CHANNELS	2
#define	STORVSC_IDE_DRIVES	2

/* CAM numbers its buses from 0; this is as far as they are looked for. */
#define	STORVSC_IDE_BUSES	256

/* From CAM's question until the disk has appeared, at most. */
#define	STORVSC_IDE_PROBE_TIME	(60 * SBT_1S)

struct storvsc_ide_drive {
	bool		id_claimed;	/* ours, or about to be */
	bool		id_refused;	/* CAM asked, and was told so */
	bool		id_again;	/* CAM should ask once more */
	bool		id_granted;	/* CAM asked, and may have it */
	sbintime_t	id_when;	/* ... since */
	path_id_t	id_path;	/* CAM's bus, once it has asked */
};

/* By the ATA channel, then master and slave; under storvsc_ide_mtx. */
static struct storvsc_ide_drive
    storvsc_ide_drives[STORVSC_IDE_CHANNELS][STORVSC_IDE_DRIVES];
static struct mtx storvsc_ide_mtx;
MTX_SYSINIT(storvsc_ide, &storvsc_ide_mtx, "storvsc IDE", MTX_DEF);

static eventhandler_tag storvsc_ide_tag;
static struct timeout_task storvsc_ide_task;
static bool storvsc_ide_to_ata;

/*
 * The instance says which drive it is: the first field is the channel, the
 * second the drive on it (protocol: storvsc, section 1).
 */
static bool
storvsc_ide_place(device_t dev, u_int *channel, u_int *drive)
{
	const struct hyperv_guid *inst;

	inst = vmbus_get_instance(dev);
	*channel = le32dec(&inst->hv_guid[0]);
	*drive = le16dec(&inst->hv_guid[4]);
	return (*channel < STORVSC_IDE_CHANNELS &&
	    *drive < STORVSC_IDE_DRIVES);
}

/*
 * Whether the path's bus is a channel of the emulated controller, and which:
 * ata(4) numbers the channels of a controller at the old addresses 0 and 1.
 */
static bool
storvsc_ide_channel(struct cam_path *path, u_int *channel)
{
	struct ccb_pathinq cpi;

	xpt_path_inq(&cpi, path);
	*channel = cpi.unit_number;
	return (cpi.ccb_h.status == CAM_REQ_CMP &&
	    cpi.hba_vendor == STORVSC_IDE_VENDOR &&
	    cpi.hba_device == STORVSC_IDE_DEVICE &&
	    strncmp(cpi.dev_name, "ata", DEV_IDLEN) == 0 &&
	    *channel < STORVSC_IDE_CHANNELS);
}

/*
 * Whether ada(4) has the drive with that number on that bus.  When in doubt it
 * has: a disk that we leave alone is never lost.
 */
static bool
storvsc_ide_on_bus(path_id_t id, u_int drive)
{
	struct cam_path *path;
	bool found;

	if (xpt_create_path(&path, NULL, id, drive, 0) != CAM_REQ_CMP)
		return (true);
	xpt_path_lock(path);
	found = cam_periph_find(path, __DECONST(char *, "ada")) != NULL;
	xpt_path_unlock(path);
	xpt_free_path(path);
	return (found);
}

static bool
storvsc_ide_is_ada(u_int channel, u_int drive)
{
	struct cam_path *path;
	cam_status status;
	path_id_t id;
	u_int ch;
	bool found = false;

	for (id = 0; !found && id < STORVSC_IDE_BUSES; id++) {
		status = xpt_create_path(&path, NULL, id, CAM_TARGET_WILDCARD,
		    CAM_LUN_WILDCARD);
		if (status != CAM_REQ_CMP) {
			found = status != CAM_PATH_INVALID;
			continue;
		}
		if (storvsc_ide_channel(path, &ch) && ch == channel)
			found = storvsc_ide_on_bus(id, drive);
		xpt_free_path(path);
	}
	return (found);
}

/* CAM was let have the drive not long ago, and may be probing it still. */
static bool
storvsc_ide_granted(const struct storvsc_ide_drive *d)
{

	mtx_assert(&storvsc_ide_mtx, MA_OWNED);
	return (d->id_granted &&
	    getsbinuptime() - d->id_when < STORVSC_IDE_PROBE_TIME);
}

/* Nothing for us: CAM has the disk, is just probing it, or so we were told. */
static const char *
storvsc_ide_not_ours(device_t dev, u_int *channel, u_int *drive)
{
	struct storvsc_ide_drive *d;
	bool granted;

	if (storvsc_ide_to_ata)
		return ("a loader tunable says so");
	if (!storvsc_ide_place(dev, channel, drive))
		return ("the host does not tell which drive it is");
	if (storvsc_ide_is_ada(*channel, *drive))
		return ("it is in use by ada");
	d = &storvsc_ide_drives[*channel][*drive];
	mtx_lock(&storvsc_ide_mtx);
	granted = storvsc_ide_granted(d);
	mtx_unlock(&storvsc_ide_mtx);
	return (granted ? "it is being probed" : NULL);
}

int
storvsc_ide_probe(device_t dev)
{
	const char *why;
	u_int channel, drive;

	why = storvsc_ide_not_ours(dev, &channel, &drive);
	if (why != NULL && bootverbose)
		device_printf(dev, "IDE disk left to ata(4): %s\n", why);
	return (why != NULL ? ENXIO : 0);
}

/*
 * CAM may have asked since it was looked for; if so, that was not long ago.
 * The disk is not claimed before it is looked for: a disk in use that CAM just
 * probes once more would be lost to its user.
 */
int
storvsc_ide_claim(struct storvsc_softc *sc)
{
	struct storvsc_ide_drive *d;
	u_int channel, drive;
	int error = 0;

	if (storvsc_ide_not_ours(sc->sc_dev, &channel, &drive) != NULL)
		return (EBUSY);
	d = &storvsc_ide_drives[channel][drive];
	mtx_lock(&storvsc_ide_mtx);
	if (d->id_claimed || storvsc_ide_granted(d))
		error = EBUSY;
	else
		d->id_claimed = true;
	mtx_unlock(&storvsc_ide_mtx);
	if (error != 0)
		return (error);
	sc->sc_drive = d;
	sc->sc_target = drive;
	return (0);
}

/* A disk that CAM did not get since we were about to, but then failed. */
void
storvsc_ide_release(struct storvsc_softc *sc)
{
	struct storvsc_ide_drive *d = sc->sc_drive;
	bool again;

	if (d == NULL)
		return;
	sc->sc_drive = NULL;
	again = storvsc_flagged(sc, STORVSC_F_ATTACHING);
	mtx_lock(&storvsc_ide_mtx);
	again = again && d->id_refused;
	d->id_again = d->id_again || again;
	d->id_claimed = d->id_refused = false;
	mtx_unlock(&storvsc_ide_mtx);
	if (again)
		taskqueue_enqueue_timeout(taskqueue_thread, &storvsc_ide_task,
		    1);
}

static void
storvsc_ide_rescan(path_id_t id, u_int drive)
{
	union ccb *ccb;

	ccb = xpt_alloc_ccb();
	if (xpt_create_path(&ccb->ccb_h.path, NULL, id, drive, 0) !=
	    CAM_REQ_CMP) {
		xpt_free_ccb(ccb);
		return;
	}
	xpt_rescan(ccb);
}

/*
 * Disks that CAM was refused for the time being.  Those that nobody has claimed
 * once the bus has come up, or has failed to, are looked at once more.
 */
static void
storvsc_ide_settle(void *arg __unused, int pending __unused)
{
	struct storvsc_ide_drive *d;
	path_id_t id;
	u_int i;
	bool again;

	if (vmbus_bus_state() == VMBUS_BUS_STARTING) {
		taskqueue_enqueue_timeout(taskqueue_thread, &storvsc_ide_task,
		    MAX(hz / 10, 1));
		return;
	}
	for (i = 0; i < STORVSC_IDE_CHANNELS * STORVSC_IDE_DRIVES; i++) {
		d = &storvsc_ide_drives[i / STORVSC_IDE_DRIVES]
		    [i % STORVSC_IDE_DRIVES];
		mtx_lock(&storvsc_ide_mtx);
		again = d->id_again && !d->id_claimed;
		d->id_again = false;
		id = d->id_path;
		mtx_unlock(&storvsc_ide_mtx);
		if (again)
			storvsc_ide_rescan(id, i % STORVSC_IDE_DRIVES);
	}
}

/* CAM asks for one drive; true: it must not have it. */
static bool
storvsc_ide_decide(struct storvsc_ide_drive *d, path_id_t id,
    enum vmbus_bus_state state)
{
	bool refuse, wait;

	wait = state == VMBUS_BUS_STARTING && !storvsc_ide_to_ata;
	mtx_lock(&storvsc_ide_mtx);
	refuse = d->id_claimed || wait;
	d->id_path = id;
	d->id_granted = !refuse;
	d->id_when = getsbinuptime();
	d->id_refused = d->id_claimed;
	d->id_again = wait;
	mtx_unlock(&storvsc_ide_mtx);
	if (wait)
		taskqueue_enqueue_timeout(taskqueue_thread, &storvsc_ide_task,
		    MAX(hz / 10, 1));
	return (refuse);
}

/*
 * From CAM's probe, which holds the device's lock: must not sleep.  What an
 * ATAPI drive says of itself is asked about as well; it is none of ours.
 */
static void
storvsc_ide_veto(void *arg __unused, struct cam_path *path,
    struct ata_params *ident, int *veto)
{
	enum vmbus_bus_state state;
	u_int channel, drive;
	bool refuse;

	drive = xpt_path_target_id(path);
	if (((ident->config & ATA_PROTO_ATAPI) != 0 &&
	    ident->config != ATA_PROTO_CFA) || drive >= STORVSC_IDE_DRIVES ||
	    !storvsc_ide_channel(path, &channel))
		return;
	state = vmbus_bus_state();
	if (state == VMBUS_BUS_OTHER)
		return;
	refuse = storvsc_ide_decide(&storvsc_ide_drives[channel][drive],
	    xpt_path_path_id(path), state);
	if (bootverbose)
		xpt_print(path, refuse ? "disk left to blkvsc\n" :
		    "disk left to ada\n");
	*veto = refuse ? 1 : 0;
}

/*
 * The value counts, not that there is one: 0 is what guests of Hyper-V do by
 * default.  FreeBSD's old drivers knew the tunable by its second name.
 */
static void
storvsc_ide_tunable(void)
{
	int value = 0;

	if (TUNABLE_INT_FETCH("hw.ata.disk_enabled", &value) == 0)
		(void)TUNABLE_INT_FETCH("hw.ata.disk_enable", &value);
	storvsc_ide_to_ata = value != 0;
}

/* Elsewhere there are such controllers as well, and nothing to decide. */
void
storvsc_ide_load(void)
{

	storvsc_ide_tunable();
	TIMEOUT_TASK_INIT(taskqueue_thread, &storvsc_ide_task, 0,
	    storvsc_ide_settle, NULL);
	if (vm_guest == VM_GUEST_HV)
		storvsc_ide_tag = EVENTHANDLER_REGISTER(ada_probe_veto,
		    storvsc_ide_veto, NULL, EVENTHANDLER_PRI_LAST);
}

/* No device is left.  The task may have put itself on the queue again. */
void
storvsc_ide_unload(void)
{

	if (storvsc_ide_tag != NULL)
		EVENTHANDLER_DEREGISTER(ada_probe_veto, storvsc_ide_tag);
	storvsc_ide_tag = NULL;
	while (taskqueue_cancel_timeout(taskqueue_thread, &storvsc_ide_task,
	    NULL) != 0)
		taskqueue_drain_timeout(taskqueue_thread, &storvsc_ide_task);
}
