/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * SCSI Interface Modules: what a driver allocates before it registers a bus.
 */

#include "cam_var.h"

MALLOC_DEFINE(M_CAMSIM, "CAM SIM", "CAM SIM buffers");

/* Stands in for the mutex of a SIM that brought none. */
static struct mtx cam_sim_mtx;
MTX_SYSINIT(cam_sim, &cam_sim_mtx, "CAM SIM free lock", MTX_DEF);

/* In cam_sim.flags. */
#define	CAM_SIM_FREEING		0x01

/* A SIM whose users are gone for good waits no longer than this for them. */
#define	CAM_SIM_FREE_WAIT	60	/* s */

struct cam_devq *
cam_simq_alloc(uint32_t max_sim_transactions)
{

	return (cam_devq_alloc(1, max_sim_transactions));
}

void
cam_simq_free(struct cam_devq *devq)
{

	cam_devq_free(devq);
}

struct cam_sim *
cam_sim_alloc(sim_action_func sim_action, sim_poll_func sim_poll,
    const char *sim_name, void *softc, uint32_t unit, struct mtx *mtx,
    int max_dev_transactions, int max_tagged_dev_transactions,
    struct cam_devq *queue)
{
	struct cam_sim *sim;

	sim = malloc(sizeof(*sim), M_CAMSIM, M_ZERO | M_NOWAIT);
	if (sim == NULL)
		return (NULL);
	sim->sim_action = sim_action;
	sim->sim_poll = sim_poll;
	sim->sim_name = sim_name;
	sim->softc = softc;
	sim->path_id = CAM_PATH_ANY;
	sim->unit_number = unit;
	sim->mtx = mtx;
	sim->max_dev_openings = max_dev_transactions;
	sim->max_tagged_dev_openings = max_tagged_dev_transactions;
	sim->devq = queue;
	sim->refcount = 1;
	return (sim);
}

/* Nobody will let go of the SIM any more: says why. */
static void
cam_sim_stuck(struct cam_sim *sim)
{
	union ccb *ccb = NULL;

	if (kcam_sim_outstanding(sim, &ccb) != 0 && ccb != NULL)
		panic("cam_sim_free: %s%u freed with CCB %p (%s) outstanding",
		    sim->sim_name, sim->unit_number, ccb,
		    xpt_action_name(ccb->ccb_h.func_code));
	panic("cam_sim_free: %s%u still has %d references", sim->sim_name,
	    sim->unit_number, sim->refcount);
}

static void
cam_sim_check_bus(struct cam_sim *sim)
{
	struct cam_eb *bus;

	if (sim->path_id == CAM_PATH_ANY)
		return;
	bus = kcam_bus_find(sim->path_id);
	if (bus != NULL && bus->sim == sim)
		panic("cam_sim_free: %s%u freed while its bus is registered",
		    sim->sim_name, sim->unit_number);
	if (bus != NULL)
		kcam_bus_release(bus);
}

void
cam_sim_free(struct cam_sim *sim, int free_devq)
{
	struct mtx *mtx = sim->mtx;
	int error;

	if (mtx == NULL) {
		mtx = &cam_sim_mtx;
		mtx_lock(mtx);
	} else
		mtx_assert(mtx, MA_OWNED);
	KASSERT(sim->refcount > 0, ("%s: no references", __func__));
	/* The first caller may be asleep below. */
	if ((sim->flags & CAM_SIM_FREEING) != 0)
		panic("cam_sim_free: %s%u freed twice", sim->sim_name,
		    sim->unit_number);
	sim->flags |= CAM_SIM_FREEING;
	cam_sim_check_bus(sim);
	sim->refcount--;
	/* Woken by cam_sim_release(). */
	while (sim->refcount > 0) {
		error = msleep(sim, mtx, PRIBIO, "simfree",
		    CAM_SIM_FREE_WAIT * hz);
		if (error == EWOULDBLOCK)
			cam_sim_stuck(sim);
	}
	if (sim->mtx == NULL)
		mtx_unlock(mtx);
	if (free_devq)
		cam_simq_free(sim->devq);
	free(sim, M_CAMSIM);
}

static struct mtx *
cam_sim_lock(struct cam_sim *sim)
{
	struct mtx *mtx = sim->mtx != NULL ? sim->mtx : &cam_sim_mtx;

	if (kcam_mtx_owned(mtx))
		return (NULL);
	mtx_lock(mtx);
	return (mtx);
}

void
cam_sim_hold(struct cam_sim *sim)
{
	struct mtx *mtx;

	mtx = cam_sim_lock(sim);
	KASSERT(sim->refcount > 0, ("%s: no references", __func__));
	sim->refcount++;
	if (mtx != NULL)
		mtx_unlock(mtx);
}

void
cam_sim_release(struct cam_sim *sim)
{
	struct mtx *mtx;

	mtx = cam_sim_lock(sim);
	KASSERT(sim->refcount > 0, ("%s: no references", __func__));
	/* The waker: after the unlock below the SIM may be gone. */
	if (--sim->refcount == 0)
		wakeup(sim);
	if (mtx != NULL)
		mtx_unlock(mtx);
}

void
cam_sim_set_path(struct cam_sim *sim, uint32_t path_id)
{

	sim->path_id = path_id;
}
