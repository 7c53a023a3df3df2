/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Paths: a name for a bus, a target or a device, which keeps that from going
 * away; and how they are printed.
 */

#include "cam_var.h"

#include <machine/stdarg.h>

MALLOC_DEFINE(M_CAMPATH, "CAM path", "CAM paths");

#define	CAM_PATH_STR	96

cam_status
kcam_path_compile(struct cam_path *path, struct cam_periph *periph,
    path_id_t id, target_id_t target, lun_id_t lun, int how)
{
	struct cam_eb *bus;
	cam_status status;

	bus = kcam_bus_find(id);
	if (bus == NULL)
		return (CAM_PATH_INVALID);
	status = kcam_device_get(bus, target, lun, how, &path->target,
	    &path->device);
	/* The device keeps the bus. */
	path->bus = bus;
	path->periph = periph;
	kcam_bus_release(bus);
	return (status);
}

cam_status
xpt_compile_path(struct cam_path *new_path, struct cam_periph *perph,
    path_id_t path_id, target_id_t target_id, lun_id_t lun_id)
{

	return (kcam_path_compile(new_path, perph, path_id, target_id, lun_id,
	    M_NOWAIT));
}

void
xpt_release_path(struct cam_path *path)
{

	kcam_device_put(path->device);
	bzero(path, sizeof(*path));
}

cam_status
xpt_create_path(struct cam_path **new_path_ptr, struct cam_periph *perph,
    path_id_t path_id, target_id_t target_id, lun_id_t lun_id)
{
	struct cam_path *path;
	cam_status status;

	path = malloc(sizeof(*path), M_CAMPATH, M_NOWAIT);
	if (path == NULL)
		return (CAM_RESRC_UNAVAIL);
	status = xpt_compile_path(path, perph, path_id, target_id, lun_id);
	if (status != CAM_REQ_CMP) {
		free(path, M_CAMPATH);
		path = NULL;
	}
	*new_path_ptr = path;
	return (status);
}

cam_status
xpt_create_path_unlocked(struct cam_path **new_path_ptr,
    struct cam_periph *periph, path_id_t path_id, target_id_t target_id,
    lun_id_t lun_id)
{

	return (xpt_create_path(new_path_ptr, periph, path_id, target_id,
	    lun_id));
}

struct cam_path *
kcam_path_clone(struct cam_path *path, int how)
{
	struct cam_path *copy;

	copy = malloc(sizeof(*copy), M_CAMPATH, how);
	if (copy == NULL)
		return (NULL);
	*copy = *path;
	xpt_acquire_device(copy->device);
	return (copy);
}

int
xpt_clone_path(struct cam_path **new_path, struct cam_path *path)
{

	*new_path = kcam_path_clone(path, M_NOWAIT);
	return (*new_path != NULL ? 0 : ENOMEM);
}

void
xpt_free_path(struct cam_path *path)
{

	xpt_release_path(path);
	free(path, M_CAMPATH);
}

/* One level of xpt_path_comp(): folds two ids into the result so far. */
static int
xpt_comp_id(int rv, uint64_t id1, uint64_t id2, uint64_t any)
{

	if (rv < 0 || id1 == id2)
		return (rv);
	if (id1 == any)
		return (rv == 2 ? -1 : 1);
	if (id2 == any)
		return (rv == 1 ? -1 : 2);
	return (-1);
}

/* 0: the same, 1: path2 lies within path1, 2: the reverse, -1: else. */
int
xpt_path_comp(struct cam_path *path1, struct cam_path *path2)
{
	int rv = 0;

	rv = xpt_comp_id(rv, xpt_path_path_id(path1), xpt_path_path_id(path2),
	    CAM_BUS_WILDCARD);
	rv = xpt_comp_id(rv, xpt_path_target_id(path1),
	    xpt_path_target_id(path2), CAM_TARGET_WILDCARD);
	return (xpt_comp_id(rv, xpt_path_lun_id(path1), xpt_path_lun_id(path2),
	    CAM_LUN_WILDCARD));
}

int
xpt_path_comp_dev(struct cam_path *path, struct cam_ed *dev)
{
	struct cam_path other = {
		.bus = dev->target->bus, .target = dev->target, .device = dev
	};

	return (xpt_path_comp(path, &other));
}

path_id_t
xpt_path_path_id(struct cam_path *path)
{

	return (path->bus->path_id);
}

target_id_t
xpt_path_target_id(struct cam_path *path)
{

	return (path->target->target_id);
}

lun_id_t
xpt_path_lun_id(struct cam_path *path)
{

	return (path->device->lun_id);
}

struct cam_sim *
xpt_path_sim(struct cam_path *path)
{

	return (path->bus->sim);
}

struct cam_periph *
xpt_path_periph(struct cam_path *path)
{

	return (path->periph);
}

device_t
xpt_path_sim_device(const struct cam_path *path)
{

	return (path->bus->parent_dev);
}

struct mtx *
xpt_path_mtx(struct cam_path *path)
{

	return (&path->device->device_mtx);
}

/* The driver of that name, or any if NULL, at what the path names. */
struct cam_periph *
cam_periph_find(struct cam_path *path, char *name)
{
	struct cam_periph *periph;

	xpt_path_assert(path, MA_OWNED);
	SLIST_FOREACH(periph, &path->device->periphs, periph_links) {
		if (name == NULL || strcmp(periph->periph_name, name) == 0)
			break;
	}
	return (periph);
}

void
xpt_path_counts(struct cam_path *path, uint32_t *bus_ref, uint32_t *periph_ref,
    uint32_t *target_ref, uint32_t *device_ref)
{

	if (bus_ref != NULL)
		*bus_ref = path->bus->refcount;
	if (periph_ref != NULL)
		*periph_ref = path->periph != NULL ? path->periph->refcount : 0;
	if (target_ref != NULL)
		*target_ref = path->target->refcount;
	if (device_ref != NULL)
		*device_ref = path->device->refcount;
}

void
xpt_path_sbuf(struct cam_path *path, struct sbuf *sb)
{
	struct cam_sim *sim;

	if (path == NULL) {
		sbuf_cat(sb, "(nopath): ");
		return;
	}
	sim = path->bus->sim;
	if (path->periph != NULL)
		sbuf_printf(sb, "(%s%u:", path->periph->periph_name,
		    path->periph->unit_number);
	else
		sbuf_cat(sb, "(noperiph:");
	sbuf_printf(sb, "%s%u:%u:", sim->sim_name, sim->unit_number,
	    sim->bus_id);
	if (path->target->target_id == CAM_TARGET_WILDCARD)
		sbuf_cat(sb, "X:");
	else
		sbuf_printf(sb, "%u:", path->target->target_id);
	if (path->device->lun_id == CAM_LUN_WILDCARD)
		sbuf_cat(sb, "X): ");
	else
		sbuf_printf(sb, "%jx): ", (uintmax_t)path->device->lun_id);
}

char *
xpt_path_string(struct cam_path *path, char *str, size_t str_len)
{
	struct sbuf sb;

	sbuf_new(&sb, str, str_len, 0);
	xpt_path_sbuf(path, &sb);
	sbuf_finish(&sb);
	return (str);
}

void
xpt_print_path(struct cam_path *path)
{
	char str[CAM_PATH_STR];

	printf("%s", xpt_path_string(path, str, sizeof(str)));
}

void
xpt_print(struct cam_path *path, const char *fmt, ...)
{
	char str[CAM_PATH_STR], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* At once, lest the lines of two threads mix. */
	printf("%s%s", xpt_path_string(path, str, sizeof(str)), text);
}
