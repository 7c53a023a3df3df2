/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Reference time, its counter and its TSC page (protocol: hypervisor, 2.4 to
 * 2.6).  Both tell the same: the counter is computed as a guest computes it
 * from the page, rounding included.  While the page changes its sequence is 0,
 * which sends readers to the counter, and that waits for ck_mtx.
 */

#include <errno.h>
#include <time.h>

#include "hypervisor/partition.h"

/* TSC scales are 64.64 fixed point: slower than 10 MHz does not fit. */
#define	TSC_HZ_MIN	10000001ull

bool
hvh_clock_good(uint64_t tsc_hz)
{

	return (tsc_hz == 0 || tsc_hz >= TSC_HZ_MIN);
}

static uint64_t
clock_tsc(struct hvh *h)
{

	if (h->h_ops.tsc != NULL)
		return (h->h_ops.tsc(h->h_arg));
	/* Not before the lock is held: time shall not go back. */
	__builtin_ia32_lfence();
	return (__builtin_ia32_rdtsc());
}

/* By the TSC, but for the offset. */
static uint64_t
clock_scaled(struct hvh *h)
{

	return ((uint64_t)((unsigned __int128)clock_tsc(h) *
	    h->h_clock.ck_scale >> 64));
}

static uint64_t
clock_read(struct hvh *h)
{
	struct hvh_clock *ck = &h->h_clock;

	return (ck->ck_scale != 0 ? clock_scaled(h) + ck->ck_offset :
	    hvh_now(h) / 100 + ck->ck_offset);
}

/* The clock goes on at ref by a TSC of hz, or by ops->now. */
static void
clock_set(struct hvh *h, uint64_t hz, uint64_t ref)
{
	struct hvh_clock *ck = &h->h_clock;

	ck->ck_scale = hz == 0 ? 0 :
	    (uint64_t)(((unsigned __int128)10000000 << 64) / hz);
	if (hz != 0)
		ck->ck_hz = hz;
	ck->ck_offset = ref - (hz != 0 ? clock_scaled(h) : hvh_now(h) / 100);
}

/* Others may be reading: nothing but whole words, the sequence around them. */
static void
page_invalidate(struct hvh_clock *ck)
{
	struct hv_tsc_page *ts = (struct hv_tsc_page *)ck->ck_page.ov_page;

	if (ts != NULL)
		__atomic_store_n(&ts->ts_sequence, 0, __ATOMIC_SEQ_CST);
}

static void
page_publish(struct hvh_clock *ck)
{
	struct hv_tsc_page *ts = (struct hv_tsc_page *)ck->ck_page.ov_page;

	/* Without a TSC the sequence stays 0. */
	if (ts == NULL || ck->ck_scale == 0)
		return;
	__atomic_store_n(&ts->ts_scale, ck->ck_scale, __ATOMIC_RELAXED);
	__atomic_store_n(&ts->ts_offset, (int64_t)ck->ck_offset,
	    __ATOMIC_RELAXED);
	/* Neither of the two that old and new texts call invalid. */
	if (++ck->ck_sequence == UINT32_MAX)
		ck->ck_sequence = 1;
	__atomic_store_n(&ts->ts_sequence, ck->ck_sequence, __ATOMIC_RELEASE);
	ck->ck_moves++;
}

void
hvh_clock_init(struct hvh *h)
{

	pthread_mutex_init(&h->h_clock.ck_mtx, NULL);
	clock_set(h, h->h_cf.tsc_hz, 0);
}

void
hvh_clock_reset(struct hvh *h)
{
	struct hvh_clock *ck = &h->h_clock;

	pthread_mutex_lock(&ck->ck_mtx);
	page_invalidate(ck);
	hvh_overlay_take(&ck->ck_page);
	ck->ck_msr = 0;
	pthread_mutex_unlock(&ck->ck_mtx);
}

void
hvh_clock_fini(struct hvh *h)
{

	hvh_overlay_free(&h->h_clock.ck_page);
	pthread_mutex_destroy(&h->h_clock.ck_mtx);
}

uint64_t
hvh_clock_moves(struct hvh *h)
{
	uint64_t n;

	pthread_mutex_lock(&h->h_clock.ck_mtx);
	n = h->h_clock.ck_moves;
	pthread_mutex_unlock(&h->h_clock.ck_mtx);
	return (n);
}

uint64_t
hvh_ref_time(struct hvh *h)
{
	uint64_t ref;

	pthread_mutex_lock(&h->h_clock.ck_mtx);
	ref = clock_read(h);
	pthread_mutex_unlock(&h->h_clock.ck_mtx);
	return (ref);
}

uint64_t
hvh_guest_time(struct hvh *h)
{

	return (h->h_ops.reftime != NULL ? h->h_ops.reftime(h->h_arg) :
	    hvh_ref_time(h));
}

uint64_t
hvh_wall_time(struct hvh *h)
{
	struct timespec ts;

	if (h->h_ops.wall != NULL)
		return (h->h_ops.wall(h->h_arg));
	clock_gettime(CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

int
hvh_tsc_move(struct hvh *h, uint64_t tsc_hz, void (*moved)(void *arg),
    void *arg)
{
	struct hvh_clock *ck = &h->h_clock;
	uint64_t ref;

	if (!hvh_clock_good(tsc_hz))
		return (EINVAL);
	pthread_mutex_lock(&ck->ck_mtx);
	page_invalidate(ck);
	/* Behind all that was read from the page while it was valid. */
	ref = clock_read(h);
	if (moved != NULL)
		moved(arg);
	clock_set(h, tsc_hz, ref);
	page_publish(ck);
	pthread_mutex_unlock(&ck->ck_mtx);
	/* When the next timer is due is to be computed anew. */
	hvh_kick(h);
	return (0);
}

int
hvh_clock_msr_read(struct hvh *h, uint32_t msr, uint64_t *val)
{
	struct hvh_clock *ck = &h->h_clock;
	int error = 0;

	pthread_mutex_lock(&ck->ck_mtx);
	switch (msr) {
	case HV_MSR_REF_COUNT:
		*val = clock_read(h);
		break;
	case HV_MSR_REF_TSC:
		*val = ck->ck_msr;
		break;
	default:
		/* Frequencies, of a partition that has a TSC. */
		if (h->h_cf.tsc_hz == 0)
			error = EPERM;
		else
			*val = msr == HV_MSR_TSC_FREQ ? ck->ck_hz : HV_APIC_HZ;
	}
	pthread_mutex_unlock(&ck->ck_mtx);
	if (msr == HV_MSR_REF_COUNT)
		atomic_fetch_add_explicit(&h->h_counters.time_reads, 1,
		    memory_order_relaxed);
	return (error);
}

int
hvh_clock_msr_write(struct hvh *h, uint32_t msr, uint64_t val)
{
	struct hvh_clock *ck = &h->h_clock;
	int error = 0;

	if (msr != HV_MSR_REF_TSC || (val & HV_PAGE_MSR_RESERVED) != 0)
		return (EPERM);
	pthread_mutex_lock(&ck->ck_mtx);
	/* What it says now is not what it may say when it comes back. */
	page_invalidate(ck);
	if ((val & HV_PAGE_MSR_ENABLE) == 0)
		hvh_overlay_take(&ck->ck_page);
	else if (hvh_overlay_put(h, &ck->ck_page, HV_PAGE_MSR_GPA(val)) != 0)
		error = EPERM;
	if (error == 0)
		ck->ck_msr = val;
	page_publish(ck);
	pthread_mutex_unlock(&ck->ck_mtx);
	return (error);
}
