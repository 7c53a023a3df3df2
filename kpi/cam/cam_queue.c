/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The queues of <cam/cam_queue.h>: a heap of entries ordered by priority and
 * then by arrival, the CCB queue of a device and the send queue of a SIM.
 * The caller locks.
 */

#include "cam_var.h"

MALLOC_DEFINE(M_CAMQ, "CAM queue", "CAM queue buffers");

static bool
camq_before(const cam_pinfo *a, const cam_pinfo *b)
{

	if (a->priority != b->priority)
		return (a->priority < b->priority);
	return (GENERATIONCMP(a->generation, <, b->generation));
}

static void
camq_place(struct camq *queue, int i, cam_pinfo *entry)
{

	queue->queue_array[i] = entry;
	entry->index = i;
}

static void
camq_up(struct camq *queue, int i)
{
	cam_pinfo *entry = queue->queue_array[i];

	while (i > CAMQ_HEAD &&
	    camq_before(entry, queue->queue_array[i / 2])) {
		camq_place(queue, i, queue->queue_array[i / 2]);
		i /= 2;
	}
	camq_place(queue, i, entry);
}

static void
camq_down(struct camq *queue, int i)
{
	cam_pinfo *entry = queue->queue_array[i];
	int child;

	while ((child = 2 * i) <= queue->entries) {
		if (child < queue->entries &&
		    camq_before(queue->queue_array[child + 1],
		    queue->queue_array[child]))
			child++;
		if (!camq_before(queue->queue_array[child], entry))
			break;
		camq_place(queue, i, queue->queue_array[child]);
		i = child;
	}
	camq_place(queue, i, entry);
}

int
camq_init(struct camq *camq, int size)
{

	bzero(camq, sizeof(*camq));
	if (size == 0)
		return (0);
	/* Entries count from 1, which makes a parent's index i / 2. */
	camq->queue_array = malloc((size + 1) * sizeof(cam_pinfo *), M_CAMQ,
	    M_NOWAIT | M_ZERO);
	if (camq->queue_array == NULL)
		return (1);
	camq->array_size = size;
	return (0);
}

void
camq_fini(struct camq *queue)
{

	KASSERT(queue->entries == 0, ("%s: %d entries left", __func__,
	    queue->entries));
	free(queue->queue_array, M_CAMQ);
	queue->queue_array = NULL;
	queue->array_size = 0;
}

uint32_t
camq_resize(struct camq *queue, int new_size)
{
	cam_pinfo **array;

	KASSERT(new_size >= queue->entries, ("%s: %d entries into %d places",
	    __func__, queue->entries, new_size));
	array = malloc((new_size + 1) * sizeof(cam_pinfo *), M_CAMQ,
	    M_NOWAIT | M_ZERO);
	if (array == NULL)
		return (CAM_RESRC_UNAVAIL);
	if (queue->queue_array != NULL) {
		bcopy(queue->queue_array, array,
		    (queue->entries + 1) * sizeof(cam_pinfo *));
		free(queue->queue_array, M_CAMQ);
	}
	queue->queue_array = array;
	queue->array_size = new_size;
	return (CAM_REQ_CMP);
}

void
camq_insert(struct camq *queue, cam_pinfo *new_entry)
{

	KASSERT(queue->entries < queue->array_size, ("%s: %d places taken",
	    __func__, queue->array_size));
	KASSERT(new_entry->index < 0, ("%s: entry %p is queued at %d",
	    __func__, new_entry, new_entry->index));
	queue->entries++;
	camq_place(queue, queue->entries, new_entry);
	camq_up(queue, queue->entries);
}

cam_pinfo *
camq_remove(struct camq *queue, int index)
{
	cam_pinfo *entry, *last;

	if (index < CAMQ_HEAD || index > queue->entries)
		panic("%s: index %d of %d", __func__, index, queue->entries);
	entry = queue->queue_array[index];
	last = queue->queue_array[queue->entries];
	queue->queue_array[queue->entries--] = NULL;
	if (entry != last) {
		camq_place(queue, index, last);
		camq_up(queue, index);
		camq_down(queue, last->index);
	}
	entry->index = CAM_UNQUEUED_INDEX;
	return (entry);
}

void
camq_change_priority(struct camq *queue, int index, uint32_t new_priority)
{
	cam_pinfo *entry = queue->queue_array[index];

	entry->priority = new_priority;
	camq_up(queue, index);
	camq_down(queue, entry->index);
}

int
cam_ccbq_init(struct cam_ccbq *ccbq, int openings)
{

	bzero(ccbq, sizeof(*ccbq));
	/* Room for a queue as long again as what the device may run. */
	if (camq_init(&ccbq->queue, imax(64, 1 << fls(openings * 2))) != 0)
		return (1);
	ccbq->total_openings = openings;
	ccbq->dev_openings = openings;
	TAILQ_INIT(&ccbq->queue_extra_head);
	return (0);
}

void
cam_ccbq_fini(struct cam_ccbq *ccbq)
{

	camq_fini(&ccbq->queue);
}

struct cam_ccbq *
cam_ccbq_alloc(int openings)
{
	struct cam_ccbq *ccbq;

	ccbq = malloc(sizeof(*ccbq), M_CAMQ, M_NOWAIT);
	if (ccbq != NULL && cam_ccbq_init(ccbq, openings) != 0) {
		free(ccbq, M_CAMQ);
		ccbq = NULL;
	}
	return (ccbq);
}

void
cam_ccbq_free(struct cam_ccbq *ccbq)
{

	if (ccbq != NULL) {
		cam_ccbq_fini(ccbq);
		free(ccbq, M_CAMQ);
	}
}

uint32_t
cam_ccbq_resize(struct cam_ccbq *ccbq, int new_size)
{
	int delta = new_size - ccbq->total_openings;

	/* May go below zero openings until enough commands have ended. */
	ccbq->total_openings += delta;
	ccbq->dev_openings += delta;
	return (CAM_REQ_CMP);
}

int
cam_devq_init(struct cam_devq *devq, int devices, int openings)
{

	bzero(devq, sizeof(*devq));
	if (camq_init(&devq->send_queue, devices) != 0)
		return (1);
	mtx_init(&devq->send_mtx, "CAM queue lock", NULL, MTX_DEF);
	devq->send_openings = openings;
	return (0);
}

struct cam_devq *
cam_devq_alloc(int devices, int openings)
{
	struct kcam_devq *kq;

	kq = malloc(sizeof(*kq), M_CAMQ, M_NOWAIT);
	if (kq == NULL)
		return (NULL);
	if (cam_devq_init(&kq->kq_devq, devices, openings) != 0) {
		free(kq, M_CAMQ);
		return (NULL);
	}
	TAILQ_INIT(&kq->kq_run);
	return (&kq->kq_devq);
}

void
cam_devq_free(struct cam_devq *devq)
{
	struct kcam_devq *kq = KCAM_DEVQ(devq);

	if (devq->send_active != 0)
		panic("%s: devq %p freed with %d CCBs outstanding", __func__,
		    devq, devq->send_active);
	KASSERT(TAILQ_EMPTY(&kq->kq_run), ("%s: devices left", __func__));
	camq_fini(&devq->send_queue);
	mtx_destroy(&devq->send_mtx);
	free(kq, M_CAMQ);
}

uint32_t
cam_devq_resize(struct cam_devq *camq, int devices)
{

	return (camq_resize(&camq->send_queue, devices));
}
