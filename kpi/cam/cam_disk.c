/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Disks as units: attaching to a device, losing it, being found by name.  What
 * goes through them is in cam_diskio.c.
 */

#include "cam_disk.h"

#include <kern/kpi_internal.h>

MALLOC_DEFINE(M_CAMDISK, "CAM disk", "CAM disks");

static const struct kcam_disk_type *const kcam_disk_types[] = {
	&kcam_da, &kcam_cd
};

static struct kcam_disk *kcam_units[nitems(kcam_disk_types)][KCAM_DISK_UNITS];
static struct mtx kcam_disks_mtx;
MTX_SYSINIT(kcam_disks, &kcam_disks_mtx, "CAM disks", MTX_DEF);
static TAILQ_HEAD(, kcam_disk) kcam_disks =	/* (l) */
    TAILQ_HEAD_INITIALIZER(kcam_disks);

static int
kcam_type_index(const struct kcam_disk_type *type)
{

	return (type == &kcam_da ? 0 : 1);
}

struct kcam_disk *
kcam_disk_find(const char *name)
{
	const char *p;
	u_int type, unit = 0;

	for (type = 0; type < nitems(kcam_disk_types); type++) {
		if (strncmp(name, kcam_disk_types[type]->dt_name, 2) == 0)
			break;
	}
	if (type == nitems(kcam_disk_types) || name[2] == '\0')
		return (NULL);
	for (p = name + 2; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return (NULL);
		unit = unit * 10 + *p - '0';
		if (unit >= KCAM_DISK_UNITS)
			return (NULL);
	}
	return ((struct kcam_disk *)atomic_load_acq_ptr(
	    (uintptr_t *)&kcam_units[type][unit]));
}

/* A free unit of this kind, in KD_PROBING; NULL if there are too many. */
static struct kcam_disk *
kcam_disk_unit(const struct kcam_disk_type *type)
{
	struct kcam_disk **units = kcam_units[kcam_type_index(type)];
	struct kcam_disk *kd = NULL;
	u_int unit;

	for (unit = 0; unit < KCAM_DISK_UNITS; unit++) {
		kd = units[unit];
		if (kd == NULL) {
			kd = malloc(sizeof(*kd), M_CAMDISK, M_WAITOK | M_ZERO);
			mtx_init(&kd->kd_mtx, "CAM disk", NULL, MTX_DEF);
			kd->kd_type = type;
			kd->kd_periph.periph_name =
			    __DECONST(char *, type->dt_name);
			kd->kd_periph.unit_number = unit;
			kd->kd_periph.softc = kd;
			kd->kd_state = KD_PROBING;
			atomic_store_rel_ptr((uintptr_t *)&units[unit],
			    (uintptr_t)kd);
			return (kd);
		}
		mtx_lock(&kd->kd_mtx);
		if (kd->kd_state == KD_FREE) {
			kd->kd_state = KD_PROBING;
			mtx_unlock(&kd->kd_mtx);
			return (kd);
		}
		mtx_unlock(&kd->kd_mtx);
	}
	return (NULL);
}

/* The unit lets go of its device; on the event thread. */
static void
kcam_disk_release(void *arg)
{
	struct kcam_disk *kd = arg;
	struct cam_periph *periph = &kd->kd_periph;
	struct cam_path *path = periph->path;
	struct kcam_dccb *dc;

	sysctl_ctx_free(&kd->kd_sysctl);
	kcam_denounce(kd);
	mtx_lock(&path->device->device_mtx);
	SLIST_REMOVE(&path->device->periphs, periph, cam_periph, periph_links);
	mtx_unlock(&path->device->device_mtx);
	while ((dc = SLIST_FIRST(&kd->kd_free)) != NULL) {
		SLIST_REMOVE_HEAD(&kd->kd_free, dc_link);
		kcam_dccb_free(dc);
	}
	kcam_dccb_free(kd->kd_reserve);
	kd->kd_reserve = NULL;
	free(kd->kd_unmap, M_CAMDISK);
	kd->kd_unmap = NULL;
	kd->kd_nccbs = 0;
	periph->path = NULL;
	mtx_lock(&kd->kd_mtx);
	kd->kd_state = KD_FREE;
	mtx_unlock(&kd->kd_mtx);
	xpt_free_path(path);
}

void
kcam_disk_unlock(struct kcam_disk *kd)
{
	bool last;

	mtx_assert(&kd->kd_mtx, MA_OWNED);
	last = kd->kd_state == KD_GONE && kd->kd_active == 0 &&
	    (kd->kd_periph.flags & CAM_PERIPH_FREE) == 0;
	if (last)
		atomic_set_int(&kd->kd_periph.flags, CAM_PERIPH_FREE);
	mtx_unlock(&kd->kd_mtx);
	if (last)
		kcam_work_enqueue(&kd->kd_work, kcam_disk_release, kd);
}

/* The device is gone: what waits fails now, what is out when it returns. */
static void
kcam_disk_lost(struct kcam_disk *kd)
{
	struct kcam_ioq failed = { NULL, NULL };

	mtx_lock(&kcam_disks_mtx);
	if (kcam_periph_gone(&kd->kd_periph)) {
		mtx_unlock(&kcam_disks_mtx);
		return;
	}
	atomic_set_int(&kd->kd_periph.flags, CAM_PERIPH_INVALID);
	if ((kd->kd_periph.flags & CAM_PERIPH_ANNOUNCED) != 0)
		TAILQ_REMOVE(&kcam_disks, kd, kd_link);
	mtx_unlock(&kcam_disks_mtx);
	mtx_lock(&kd->kd_mtx);
	kcam_disk_drain(kd, &failed);
	/* A unit that is being probed is freed by who probes it. */
	if (kd->kd_state == KD_READY)
		kd->kd_state = KD_GONE;
	kcam_disk_unlock(kd);
	kcam_disk_fail(&failed, ENXIO);
}

/* The unit is complete: requests may come, unless the device has left. */
static void
kcam_disk_open(struct kcam_disk *kd)
{

	mtx_lock(&kcam_disks_mtx);
	mtx_lock(&kd->kd_mtx);
	if (kcam_periph_gone(&kd->kd_periph))
		kd->kd_state = KD_GONE;
	else {
		kd->kd_state = KD_READY;
		atomic_set_int(&kd->kd_periph.flags, CAM_PERIPH_ANNOUNCED);
		TAILQ_INSERT_TAIL(&kcam_disks, kd, kd_link);
	}
	kcam_disk_unlock(kd);
	wakeup(&kcam_disks);
	mtx_unlock(&kcam_disks_mtx);
}

static void
kcam_disk_attach(const struct kcam_disk_type *type, struct cam_path *path)
{
	struct cam_ed *ed = path->device;
	struct kcam_disk *kd;
	struct kcam_dccb *dc;
	int error;

	kd = kcam_disk_unit(type);
	if (kd == NULL) {
		xpt_print(path, "no %s unit left\n", type->dt_name);
		return;
	}
	kd->kd_periph.path = kcam_path_clone(path, M_WAITOK);
	kd->kd_periph.path->periph = &kd->kd_periph;
	kd->kd_periph.flags = 0;
	kd->kd_periph.sim = ed->sim;
	sysctl_ctx_init(&kd->kd_sysctl);
	bzero(&kd->kd_geo, sizeof(kd->kd_geo));
	bzero(&kd->kd_stats, sizeof(kd->kd_stats));
	kd->kd_inq = ed->inq_data;
	kd->kd_no_sync = false;
	kd->kd_maxccbs = imax(1, ed->ccbq.total_openings);
	SLIST_INIT(&kd->kd_free);
	kd->kd_reserve = kcam_dccb_alloc(M_WAITOK);
	dc = kcam_dccb_alloc(M_WAITOK);
	SLIST_INSERT_HEAD(&kd->kd_free, dc, dc_link);
	kd->kd_nccbs = 1;
	kd->kd_unmap = malloc(KCAM_UNMAP_SIZE, M_CAMDISK, M_WAITOK);
	mtx_lock(&ed->device_mtx);
	SLIST_INSERT_HEAD(&ed->periphs, &kd->kd_periph, periph_links);
	mtx_unlock(&ed->device_mtx);
	error = type->dt_probe(kd);
	/* Lost between the scan's last look and the listing above. */
	if (error != 0 || !kcam_configured(ed))
		kcam_disk_lost(kd);
	else {
		kcam_announce(kd);
		kcam_disk_sysctl(kd);
	}
	kcam_disk_open(kd);
}

/* Reads the capacity of a disk that is in use. */
static void
kcam_disk_again(struct kcam_disk *kd)
{
	uint64_t before, after;

	/* Counts as a command, so that the unit keeps its device. */
	mtx_lock(&kd->kd_mtx);
	if (kd->kd_state != KD_READY) {
		mtx_unlock(&kd->kd_mtx);
		return;
	}
	kd->kd_active++;
	before = kd->kd_geo.kg_sectors;
	mtx_unlock(&kd->kd_mtx);
	(void)kd->kd_type->dt_probe(kd);
	mtx_lock(&kd->kd_mtx);
	after = kd->kd_geo.kg_sectors;
	kd->kd_active--;
	kcam_disk_unlock(kd);
	if (after != before)
		printf("%s%u: capacity changed from %ju to %ju sectors\n",
		    kd->kd_type->dt_name, kd->kd_periph.unit_number,
		    (uintmax_t)before, (uintmax_t)after);
}

void
kcam_disk_found(struct cam_path *path)
{
	struct cam_ed *ed = path->device;
	const struct kcam_disk_type *type;
	struct cam_periph *periph;

	switch (SID_TYPE(&ed->inq_data)) {
	case T_DIRECT:
	case T_RBC:
	case T_OPTICAL:
		type = &kcam_da;
		break;
	case T_CDROM:
	case T_WORM:
		type = &kcam_cd;
		break;
	default:
		return;
	}
	mtx_lock(&ed->device_mtx);
	SLIST_FOREACH(periph, &ed->periphs, periph_links) {
		if (!kcam_periph_gone(periph))
			break;
	}
	mtx_unlock(&ed->device_mtx);
	/* Only this thread probes, so the periph will not become another. */
	if (periph != NULL)
		kcam_disk_again(periph->softc);
	else
		kcam_disk_attach(type, path);
}

void
kcam_disk_async(struct cam_periph *periph, uint32_t code, void *arg)
{
	struct kcam_disk *kd = periph->softc;
	int error_code, key, asc, ascq;

	switch (code) {
	case AC_LOST_DEVICE:
		kcam_disk_lost(kd);
		break;
	case AC_UNIT_ATTENTION:
		if (arg == NULL || !scsi_extract_sense_ccb(arg, &error_code,
		    &key, &asc, &ascq))
			break;
		if (asc == 0x2a && ascq == 0x09)
			kcam_reprobe(periph->path);
		break;
	case AC_GETDEV_CHANGED:
		kcam_reprobe(periph->path);
		break;
	default:
		break;
	}
}

void
kcam_disk_fini(void)
{
	struct kcam_disk *kd;
	u_int type, unit;

	for (type = 0; type < nitems(kcam_disk_types); type++) {
		for (unit = 0; unit < KCAM_DISK_UNITS; unit++) {
			kd = kcam_units[type][unit];
			if (kd == NULL)
				continue;
			if (kd->kd_state != KD_FREE) {
				printf("%s%u: still attached\n",
				    kd->kd_type->dt_name, unit);
				continue;
			}
			kcam_units[type][unit] = NULL;
			mtx_destroy(&kd->kd_mtx);
			free(kd, M_CAMDISK);
		}
	}
}

static int
kcam_disk_info(const char *name, struct kpi_disk_info *info)
{
	struct kcam_disk *kd = kcam_disk_find(name);
	struct cam_path *path;

	if (kd == NULL)
		return (ENXIO);
	mtx_lock(&kd->kd_mtx);
	if (kd->kd_state != KD_READY) {
		mtx_unlock(&kd->kd_mtx);
		return (ENXIO);
	}
	path = kd->kd_periph.path;
	bzero(info, sizeof(*info));
	info->size = kd->kd_geo.kg_sectors * kd->kd_geo.kg_secsize;
	info->sectorsize = kd->kd_geo.kg_secsize;
	info->maxio = kd->kd_geo.kg_maxio;
	info->readonly = kd->kd_geo.kg_readonly;
	info->candelete = kd->kd_geo.kg_unmap;
	strlcpy(info->sim, path->bus->sim->sim_name, sizeof(info->sim));
	info->simunit = path->bus->sim->unit_number;
	info->target = xpt_path_target_id(path);
	info->lun = xpt_path_lun_id(path);
	mtx_unlock(&kd->kd_mtx);
	return (0);
}

int
kpi_disk_info(const char *name, struct kpi_disk_info *info)
{
	struct thread *td = kpi_thread_enter();
	int error;

	error = kcam_disk_info(name, info);
	kpi_thread_leave(td);
	return (error);
}

int
kpi_disk_wait(const char *name, unsigned ms)
{
	hosted_u64 end = hosted_clock() + (hosted_u64)ms * 1000000;
	struct kpi_disk_info info;

	/* Real time, which no sleep of the kernel's virtual clock knows. */
	while (kpi_disk_info(name, &info) != 0) {
		if (hosted_clock() >= end)
			return (ETIMEDOUT);
		hosted_sleep(1000000);
	}
	return (0);
}

static void
kcam_disk_list(void (*fn)(void *arg, const char *name), void *arg)
{
	char (*names)[16];
	struct kcam_disk *kd;
	u_int i, n = 0;

	names = malloc(sizeof(*names) * 2 * KCAM_DISK_UNITS, M_CAMDISK,
	    M_WAITOK);
	mtx_lock(&kcam_disks_mtx);
	TAILQ_FOREACH(kd, &kcam_disks, kd_link) {
		snprintf(names[n++], sizeof(*names), "%s%u",
		    kd->kd_type->dt_name, kd->kd_periph.unit_number);
	}
	mtx_unlock(&kcam_disks_mtx);
	for (i = 0; i < n; i++)
		fn(arg, names[i]);
	free(names, M_CAMDISK);
}

void
kpi_disk_list(void (*fn)(void *arg, const char *name), void *arg)
{
	struct thread *td = kpi_thread_enter();

	kcam_disk_list(fn, arg);
	kpi_thread_leave(td);
}
