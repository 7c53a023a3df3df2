/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The pump: where everything happens that a guest causes but does not wait
 * for.  Timers of devices, synthetic timers, sources (I/O completions), the
 * bus.  Each round does a bounded amount of work.
 */

#include <errno.h>
#include <sys/epoll.h>

#include "hypervisor/partition.h"

/* More timers than this in a round come in the next. */
#define	TIMERS_A_ROUND	256

uint64_t
hvh_now(struct hvh *h)
{

	return (h->h_ops.now(h->h_arg));
}

void
hvh_kick(struct hvh *h)
{

	/* One kick until the pump has started upon it. */
	if (!atomic_exchange(&h->h_kicked, true))
		h->h_ops.kick(h->h_arg);
}

void
hvh_lock(struct hvh *h)
{

	pthread_mutex_lock(&h->h_pump_mtx);
}

void
hvh_unlock(struct hvh *h)
{

	pthread_mutex_unlock(&h->h_pump_mtx);
	hvh_kick(h);
}

void
hvh_unlock_quiet(struct hvh *h)
{

	pthread_mutex_unlock(&h->h_pump_mtx);
}

void
hvh_timer_set(struct hvh *h, struct hvh_timer *t, uint64_t at)
{
	struct hvh_timer **p;

	hvh_timer_clear(h, t);
	t->at = at == 0 ? 1 : at;
	for (p = &h->h_timers; *p != NULL && (*p)->at <= t->at; p = &(*p)->next)
		;
	t->next = *p;
	*p = t;
	if (t->at < atomic_load(&h->h_deadline))
		hvh_kick(h);
}

void
hvh_timer_clear(struct hvh *h, struct hvh_timer *t)
{
	struct hvh_timer **p;

	if (t->at == 0)
		return;
	for (p = &h->h_timers; *p != NULL; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->at = 0;
	t->next = NULL;
}

/* Runs what is due; returns when the next is. */
uint64_t
hvh_timers_run(struct hvh *h)
{
	struct hvh_timer *t;
	uint64_t now = hvh_now(h);

	for (unsigned n = 0; n < TIMERS_A_ROUND; n++) {
		t = h->h_timers;
		if (t == NULL || t->at > now)
			break;
		h->h_timers = t->next;
		t->at = 0;
		t->next = NULL;
		t->fn(t->arg);
	}
	return (h->h_timers == NULL ? HVH_NEVER : h->h_timers->at);
}

int
hvh_source_add(struct hvh *h, struct hvh_source *s)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (s->fd >= 0 &&
	    epoll_ctl(h->h_epoll, EPOLL_CTL_ADD, s->fd, &ev) != 0)
		return (errno);
	s->next = h->h_sources;
	h->h_sources = s;
	return (0);
}

void
hvh_source_remove(struct hvh *h, struct hvh_source *s)
{
	struct hvh_source **p;

	for (p = &h->h_sources; *p != NULL; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			if (h->h_source_next == s)
				h->h_source_next = s->next;
			if (s->fd >= 0)
				epoll_ctl(h->h_epoll, EPOLL_CTL_DEL, s->fd,
				    NULL);
			break;
		}
	}
	s->next = NULL;
}

void
hvh_sources_poll(struct hvh *h)
{
	struct hvh_source *s;

	/* A source may remove itself, or another, while it is looked at. */
	for (s = h->h_sources; s != NULL; s = h->h_source_next) {
		h->h_source_next = s->next;
		s->poll(s->arg);
	}
}

int
hvh_pump_fd(struct hvh *h)
{

	return (h->h_epoll);
}

/* A round; the pump lock is held. */
static uint64_t
pump(struct hvh *h)
{
	uint64_t at, now, ref, stimer;
	bool more;

	/*
	 * Whoever wants to be served sooner than known must kick from here
	 * on; the flag goes down before anything is looked at.
	 */
	atomic_store(&h->h_deadline, HVH_NEVER);
	atomic_store(&h->h_kicked, false);
	hvh_timers_run(h);
	hvh_sources_poll(h);
	more = hvh_bus_pump(h);
	stimer = hvh_stimers_run(h);
	at = h->h_timers == NULL ? HVH_NEVER : h->h_timers->at;
	now = hvh_now(h);
	if (stimer != HVH_NEVER) {
		ref = hvh_ref_time(h);
		if (stimer <= ref)
			at = now;
		else if (stimer - ref < (HVH_NEVER - now) / 100 &&
		    now + (stimer - ref) * 100 < at)
			at = now + (stimer - ref) * 100;
	}
	if (more)
		at = now;
	atomic_store(&h->h_deadline, at);
	return (at);
}

uint64_t
hvh_pump(struct hvh *h)
{
	uint64_t at;

	pthread_mutex_lock(&h->h_pump_mtx);
	at = pump(h);
	pthread_mutex_unlock(&h->h_pump_mtx);
	return (at);
}

bool
hvh_pump_try(struct hvh *h, uint64_t *at)
{

	if (pthread_mutex_trylock(&h->h_pump_mtx) != 0)
		return (false);
	*at = pump(h);
	pthread_mutex_unlock(&h->h_pump_mtx);
	return (true);
}
