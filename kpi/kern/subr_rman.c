/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * rman(9): managers of numbered spaces (memory, ports, interrupt lines).  A
 * manager's list holds its regions in ascending order, each either free or
 * reserved; regions that are shared stand in the list once for each sharer,
 * with the same bounds.  All under the manager's mutex.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/rman.h>

#include "kpi_bus.h"

static MALLOC_DEFINE(M_RMAN, "rman", "Resource manager");

struct resource_i {
	struct resource		r_r;		/* what drivers have */
	TAILQ_ENTRY(resource_i)	r_link;
	rman_res_t		r_start;
	rman_res_t		r_end;		/* inclusive */
	u_int			r_flags;	/* RF_* */
	void			*r_virtual;
	void			*r_irq_cookie;
	device_t		r_dev;
	struct rman		*r_rm;
	int			r_rid;
	int			r_type;
};

struct rman_head rman_head = TAILQ_HEAD_INITIALIZER(rman_head);

static struct mtx rman_mtx;
MTX_SYSINIT(rman, &rman_mtx, "rman head", MTX_DEF);

static struct resource_i *
rman_new(struct rman *rm, rman_res_t start, rman_res_t end)
{
	struct resource_i *r;

	r = malloc(sizeof(*r), M_RMAN, M_NOWAIT | M_ZERO);
	if (r == NULL)
		return (NULL);
	r->r_r.__r_i = r;
	r->r_start = start;
	r->r_end = end;
	r->r_rm = rm;
	return (r);
}

int
rman_init(struct rman *rm)
{

	if (rm->rm_type != RMAN_ARRAY)
		return (EINVAL);
	if (rm->rm_start == 0 && rm->rm_end == 0)
		rm->rm_end = RM_MAX_END;
	TAILQ_INIT(&rm->rm_list);
	rm->rm_mtx = malloc(sizeof(*rm->rm_mtx), M_RMAN, M_NOWAIT | M_ZERO);
	if (rm->rm_mtx == NULL)
		return (ENOMEM);
	mtx_init(rm->rm_mtx, "rman", NULL, MTX_DEF);
	mtx_lock(&rman_mtx);
	TAILQ_INSERT_TAIL(&rman_head, rm, rm_link);
	mtx_unlock(&rman_mtx);
	return (0);
}

int
rman_init_from_resource(struct rman *rm, struct resource *r)
{
	int error;

	error = rman_init(rm);
	if (error == 0)
		error = rman_manage_region(rm, rman_get_start(r),
		    rman_get_end(r));
	return (error);
}

int
rman_fini(struct rman *rm)
{
	struct resource_i *r;

	mtx_lock(rm->rm_mtx);
	TAILQ_FOREACH(r, &rm->rm_list, r_link)
		if ((r->r_flags & RF_ALLOCATED) != 0) {
			mtx_unlock(rm->rm_mtx);
			return (EBUSY);
		}
	while ((r = TAILQ_FIRST(&rm->rm_list)) != NULL) {
		TAILQ_REMOVE(&rm->rm_list, r, r_link);
		free(r, M_RMAN);
	}
	mtx_unlock(rm->rm_mtx);
	mtx_lock(&rman_mtx);
	TAILQ_REMOVE(&rman_head, rm, rm_link);
	mtx_unlock(&rman_mtx);
	mtx_destroy(rm->rm_mtx);
	free(rm->rm_mtx, M_RMAN);
	return (0);
}

/* Joins a free region with a free neighbour it touches. */
static struct resource_i *
rman_merge(struct rman *rm, struct resource_i *r)
{
	struct resource_i *s;

	s = TAILQ_PREV(r, resource_head, r_link);
	if (s != NULL && s->r_flags == 0 && s->r_end + 1 == r->r_start) {
		r->r_start = s->r_start;
		TAILQ_REMOVE(&rm->rm_list, s, r_link);
		free(s, M_RMAN);
	}
	s = TAILQ_NEXT(r, r_link);
	if (s != NULL && s->r_flags == 0 && r->r_end + 1 == s->r_start) {
		r->r_end = s->r_end;
		TAILQ_REMOVE(&rm->rm_list, s, r_link);
		free(s, M_RMAN);
	}
	return (r);
}

int
rman_manage_region(struct rman *rm, rman_res_t start, rman_res_t end)
{
	struct resource_i *r, *s;

	if (start < rm->rm_start || end > rm->rm_end || start > end)
		return (EINVAL);
	if ((r = rman_new(rm, start, end)) == NULL)
		return (ENOMEM);
	mtx_lock(rm->rm_mtx);
	TAILQ_FOREACH(s, &rm->rm_list, r_link)
		if (s->r_end >= start)
			break;
	if (s != NULL && s->r_start <= end) {
		mtx_unlock(rm->rm_mtx);
		free(r, M_RMAN);
		return (EBUSY);
	}
	if (s != NULL)
		TAILQ_INSERT_BEFORE(s, r, r_link);
	else
		TAILQ_INSERT_TAIL(&rm->rm_list, r, r_link);
	rman_merge(rm, r);
	mtx_unlock(rm->rm_mtx);
	return (0);
}

int
rman_first_free_region(struct rman *rm, rman_res_t *start, rman_res_t *end)
{
	struct resource_i *r;

	mtx_lock(rm->rm_mtx);
	TAILQ_FOREACH(r, &rm->rm_list, r_link)
		if ((r->r_flags & RF_ALLOCATED) == 0)
			break;
	if (r != NULL) {
		*start = r->r_start;
		*end = r->r_end;
	}
	mtx_unlock(rm->rm_mtx);
	return (r != NULL ? 0 : ENOENT);
}

int
rman_last_free_region(struct rman *rm, rman_res_t *start, rman_res_t *end)
{
	struct resource_i *r;

	mtx_lock(rm->rm_mtx);
	TAILQ_FOREACH_REVERSE(r, &rm->rm_list, resource_head, r_link)
		if ((r->r_flags & RF_ALLOCATED) == 0)
			break;
	if (r != NULL) {
		*start = r->r_start;
		*end = r->r_end;
	}
	mtx_unlock(rm->rm_mtx);
	return (r != NULL ? 0 : ENOENT);
}

uint32_t
rman_make_alignment_flags(uint32_t size)
{

	return (RF_ALIGNMENT_LOG2(size <= 1 ? 0 : order_base_2(size)));
}

/* Cuts [start, end] out of a free region and marks it reserved. */
static struct resource_i *
rman_carve(struct rman *rm, struct resource_i *s, rman_res_t start,
    rman_res_t end, u_int flags, device_t dev)
{
	struct resource_i *before, *after;

	before = after = NULL;
	if (s->r_start < start && (before = rman_new(rm, s->r_start,
	    start - 1)) == NULL)
		return (NULL);
	if (s->r_end > end && (after = rman_new(rm, end + 1,
	    s->r_end)) == NULL) {
		free(before, M_RMAN);
		return (NULL);
	}
	if (before != NULL)
		TAILQ_INSERT_BEFORE(s, before, r_link);
	if (after != NULL)
		TAILQ_INSERT_AFTER(&rm->rm_list, s, after, r_link);
	s->r_start = start;
	s->r_end = end;
	s->r_flags = RF_ALLOCATED | (flags & ~RF_ACTIVE);
	s->r_dev = dev;
	return (s);
}

static struct resource_i *
rman_reserve(struct rman *rm, rman_res_t start, rman_res_t end,
    rman_res_t count, u_int flags, device_t dev)
{
	struct resource_i *r, *s;
	rman_res_t amask, at;

	amask = (1ULL << RF_ALIGNMENT(flags)) - 1;
	TAILQ_FOREACH(s, &rm->rm_list, r_link) {
		if ((s->r_flags & RF_ALLOCATED) != 0 || s->r_end < start)
			continue;
		at = MAX(s->r_start, start);
		if (at + amask < at)
			break;
		at = (at + amask) & ~amask;
		if (at + count - 1 < at || at + count - 1 > end)
			break;
		if (at <= s->r_end && s->r_end - at >= count - 1)
			return (rman_carve(rm, s, at, at + count - 1, flags,
			    dev));
	}
	if ((flags & RF_SHAREABLE) == 0)
		return (NULL);
	TAILQ_FOREACH(s, &rm->rm_list, r_link) {
		if ((s->r_flags & (RF_ALLOCATED | RF_SHAREABLE)) !=
		    (RF_ALLOCATED | RF_SHAREABLE) || s->r_start < start ||
		    s->r_end > end || s->r_end - s->r_start + 1 != count ||
		    (s->r_start & amask) != 0)
			continue;
		if ((r = rman_new(rm, s->r_start, s->r_end)) == NULL)
			return (NULL);
		r->r_flags = RF_ALLOCATED | (flags & ~RF_ACTIVE);
		r->r_dev = dev;
		TAILQ_INSERT_AFTER(&rm->rm_list, s, r, r_link);
		return (r);
	}
	return (NULL);
}

struct resource *
rman_reserve_resource(struct rman *rm, rman_res_t start, rman_res_t end,
    rman_res_t count, u_int flags, device_t dev)
{
	struct resource_i *r;

	KASSERT((flags & RF_FIRSTSHARE) == 0, ("rman: a flag of its own"));
	if (count == 0)
		return (NULL);
	mtx_lock(rm->rm_mtx);
	r = rman_reserve(rm, start, end, count, flags, dev);
	if (r != NULL && (flags & RF_ACTIVE) != 0)
		r->r_flags |= RF_ACTIVE;
	mtx_unlock(rm->rm_mtx);
	return (r != NULL ? &r->r_r : NULL);
}

/* Grows into or gives back to free neighbours, as far as there are any. */
int
rman_adjust_resource(struct resource *rr, rman_res_t start, rman_res_t end)
{
	struct resource_i *r, *s, *before, *after;
	struct rman *rm;
	int error;

	r = rr->__r_i;
	rm = r->r_rm;
	/* It may move an end, not go elsewhere. */
	if (end < start || end < r->r_start || start > r->r_end)
		return (EINVAL);
	before = rman_new(rm, 0, 0);
	after = rman_new(rm, 0, 0);
	error = before == NULL || after == NULL ? ENOMEM : 0;
	mtx_lock(rm->rm_mtx);
	if (error == 0 && (r->r_flags & RF_SHAREABLE) != 0)
		error = EINVAL;
	s = TAILQ_PREV(r, resource_head, r_link);
	if (error == 0 && start < r->r_start && (s == NULL || s->r_flags != 0 ||
	    s->r_end + 1 != r->r_start || s->r_start > start))
		error = EBUSY;
	s = TAILQ_NEXT(r, r_link);
	if (error == 0 && end > r->r_end && (s == NULL || s->r_flags != 0 ||
	    r->r_end + 1 != s->r_start || s->r_end < end))
		error = EBUSY;
	if (error != 0) {
		mtx_unlock(rm->rm_mtx);
		free(before, M_RMAN);
		free(after, M_RMAN);
		return (error);
	}
	if (start > r->r_start) {
		before->r_start = r->r_start;
		before->r_end = start - 1;
		TAILQ_INSERT_BEFORE(r, before, r_link);
		rman_merge(rm, before);
		before = NULL;
	} else if (start < r->r_start) {
		s = TAILQ_PREV(r, resource_head, r_link);
		s->r_end = start - 1;
		if (s->r_start == start) {
			TAILQ_REMOVE(&rm->rm_list, s, r_link);
			free(s, M_RMAN);
		}
	}
	r->r_start = start;
	if (end < r->r_end) {
		after->r_start = end + 1;
		after->r_end = r->r_end;
		TAILQ_INSERT_AFTER(&rm->rm_list, r, after, r_link);
		rman_merge(rm, after);
		after = NULL;
	} else if (end > r->r_end) {
		s = TAILQ_NEXT(r, r_link);
		if (s->r_end == end) {
			TAILQ_REMOVE(&rm->rm_list, s, r_link);
			free(s, M_RMAN);
		} else
			s->r_start = end + 1;
	}
	r->r_end = end;
	mtx_unlock(rm->rm_mtx);
	free(before, M_RMAN);
	free(after, M_RMAN);
	return (0);
}

int
rman_activate_resource(struct resource *rr)
{
	struct resource_i *r;

	r = rr->__r_i;
	mtx_lock(r->r_rm->rm_mtx);
	r->r_flags |= RF_ACTIVE;
	mtx_unlock(r->r_rm->rm_mtx);
	return (0);
}

int
rman_deactivate_resource(struct resource *rr)
{
	struct resource_i *r;

	r = rr->__r_i;
	mtx_lock(r->r_rm->rm_mtx);
	r->r_flags &= ~RF_ACTIVE;
	mtx_unlock(r->r_rm->rm_mtx);
	return (0);
}

int
rman_release_resource(struct resource *rr)
{
	struct resource_i *r, *s;
	struct rman *rm;

	r = rr->__r_i;
	rm = r->r_rm;
	mtx_lock(rm->rm_mtx);
	KASSERT((r->r_flags & RF_ALLOCATED) != 0,
	    ("%s: a resource is released twice", rm->rm_descr));
	/* The other sharers, if there are any, are next to it. */
	s = TAILQ_PREV(r, resource_head, r_link);
	if (s == NULL || s->r_start != r->r_start)
		s = TAILQ_NEXT(r, r_link);
	if (s != NULL && s->r_start == r->r_start) {
		TAILQ_REMOVE(&rm->rm_list, r, r_link);
		mtx_unlock(rm->rm_mtx);
		free(r, M_RMAN);
		return (0);
	}
	/* Whoever still uses the old handle must not find the new owner's. */
	s = rman_new(rm, r->r_start, r->r_end);
	if (s != NULL) {
		TAILQ_INSERT_BEFORE(r, s, r_link);
		TAILQ_REMOVE(&rm->rm_list, r, r_link);
		free(r, M_RMAN);
	} else {
		s = r;
		s->r_flags = 0;
		s->r_dev = NULL;
	}
	rman_merge(rm, s);
	mtx_unlock(rm->rm_mtx);
	return (0);
}

int
rman_is_region_manager(const struct resource *r, const struct rman *rm)
{

	return (r->__r_i->r_rm == rm);
}

/* --- What a resource carries --- */

rman_res_t
rman_get_start(const struct resource *r)
{

	return (r->__r_i->r_start);
}

rman_res_t
rman_get_end(const struct resource *r)
{

	return (r->__r_i->r_end);
}

rman_res_t
rman_get_size(const struct resource *r)
{

	return (r->__r_i->r_end - r->__r_i->r_start + 1);
}

u_int
rman_get_flags(const struct resource *r)
{

	return (r->__r_i->r_flags);
}

void
rman_set_virtual(struct resource *r, void *v)
{

	r->__r_i->r_virtual = v;
}

void *
rman_get_virtual(const struct resource *r)
{

	return (r->__r_i->r_virtual);
}

void
rman_set_irq_cookie(struct resource *r, void *c)
{

	r->__r_i->r_irq_cookie = c;
}

void *
rman_get_irq_cookie(const struct resource *r)
{

	return (r->__r_i->r_irq_cookie);
}

void
rman_set_bustag(struct resource *r, bus_space_tag_t t)
{

	r->r_bustag = t;
}

bus_space_tag_t
rman_get_bustag(const struct resource *r)
{

	return (r->r_bustag);
}

void
rman_set_bushandle(struct resource *r, bus_space_handle_t h)
{

	r->r_bushandle = h;
}

bus_space_handle_t
rman_get_bushandle(const struct resource *r)
{

	return (r->r_bushandle);
}

void
rman_set_mapping(struct resource *r, struct resource_map *map)
{

	KASSERT(rman_get_size(r) == map->r_size,
	    ("rman_set_mapping: size mismatch"));
	rman_set_bustag(r, map->r_bustag);
	rman_set_bushandle(r, map->r_bushandle);
	rman_set_virtual(r, map->r_vaddr);
}

void
rman_get_mapping(const struct resource *r, struct resource_map *map)
{

	map->r_bustag = rman_get_bustag(r);
	map->r_bushandle = rman_get_bushandle(r);
	map->r_size = rman_get_size(r);
	map->r_vaddr = rman_get_virtual(r);
}

void
rman_set_rid(struct resource *r, int rid)
{

	r->__r_i->r_rid = rid;
}

int
rman_get_rid(const struct resource *r)
{

	return (r->__r_i->r_rid);
}

void
rman_set_type(struct resource *r, int type)
{

	r->__r_i->r_type = type;
}

int
rman_get_type(const struct resource *r)
{

	return (r->__r_i->r_type);
}

void
rman_set_device(struct resource *r, device_t dev)
{

	r->__r_i->r_dev = dev;
}

device_t
rman_get_device(const struct resource *r)
{

	return (r->__r_i->r_dev);
}
