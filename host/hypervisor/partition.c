/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A partition's life: create, reset, destroy, and its statistics.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hypervisor/partition.h"

static int
config_check(const struct hvh_config *cf, const struct hvh_ops *ops)
{

	if (cf->vps < 1 || cf->vps > HVH_VPS_MAX || cf->nmem < 1 ||
	    cf->nmem > sizeof(cf->mem) / sizeof(cf->mem[0]) ||
	    cf->hypercall_code_len > HV_PAGE_SIZE ||
	    !hvh_clock_good(cf->tsc_hz) ||
	    cf->shown.isolation >= HVH_ISOLATIONS ||
	    ops->interrupt == NULL || ops->kick == NULL || ops->now == NULL)
		return (EINVAL);
	for (unsigned i = 0; i < cf->nmem; i++) {
		const struct hvh_mem_region *r = &cf->mem[i];

		if (r->host == NULL || r->size == 0 ||
		    r->gpa % HV_PAGE_SIZE != 0 || r->size % HV_PAGE_SIZE != 0 ||
		    (uintptr_t)r->host % HV_PAGE_SIZE != 0 ||
		    r->gpa + r->size < r->gpa)
			return (EINVAL);
		for (unsigned j = 0; j < i; j++) {
			if (r->gpa < cf->mem[j].gpa + cf->mem[j].size &&
			    cf->mem[j].gpa < r->gpa + r->size)
				return (EINVAL);
		}
	}
	return (0);
}

int
hvh_create(const struct hvh_config *cf, const struct hvh_ops *ops, void *arg,
    struct hvh **hp)
{
	struct hvh *h;
	int error;

	error = config_check(cf, ops);
	if (error != 0)
		return (error);
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return (ENOMEM);
	h->h_cf = *cf;
	h->h_ops = *ops;
	h->h_arg = arg;
	h->h_epoll = -1;
	pthread_mutex_init(&h->h_part_mtx, NULL);
	pthread_mutex_init(&h->h_pump_mtx, NULL);
	hvh_clock_init(h);
	atomic_store(&h->h_deadline, HVH_NEVER);
	/* Past the code int3: a guest that jumps there learns of it. */
	h->h_code = malloc(HV_PAGE_SIZE);
	if (h->h_code == NULL) {
		error = ENOMEM;
		goto fail;
	}
	memset(h->h_code, 0xCC, HV_PAGE_SIZE);
	if (cf->hypercall_code_len > 0)
		memcpy(h->h_code, cf->hypercall_code, cf->hypercall_code_len);
	h->h_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (h->h_epoll < 0) {
		error = errno;
		goto fail;
	}
	error = hvh_synic_init(h);
	if (error == 0)
		error = hvh_faults_create(h);
	if (error == 0)
		error = hvh_bus_create(h);
	if (error != 0)
		goto fail;
	*hp = h;
	return (0);
fail:
	hvh_destroy(h);
	return (error);
}

/* Takes a partition in any state of completion. */
void
hvh_destroy(struct hvh *h)
{

	if (h->h_bus != NULL)
		hvh_bus_destroy(h);
	if (h->h_faults != NULL)
		hvh_faults_destroy(h);
	hvh_synic_fini(h);
	hvh_overlay_free(&h->h_code_page);
	hvh_clock_fini(h);
	if (h->h_epoll >= 0)
		close(h->h_epoll);
	free(h->h_code);
	pthread_mutex_destroy(&h->h_pump_mtx);
	pthread_mutex_destroy(&h->h_part_mtx);
	free(h);
}

void
hvh_reset(struct hvh *h)
{

	hvh_lock(h);
	hvh_bus_reset(h);
	hvh_synic_reset(h);
	hvh_msr_reset(h);
	hvh_unlock(h);
}

struct hvh_stats *
hvh_stats(struct hvh *h)
{

	return (&h->h_stats);
}
