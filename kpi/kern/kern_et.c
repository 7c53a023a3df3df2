/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Event timers: their registry and what all have in common.  Who uses one is
 * kern_clocksource.c's matter.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/malloc.h>
#include <sys/sbuf.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/timeet.h>

struct mtx et_eventtimers_mtx;
MTX_SYSINIT(et, &et_eventtimers_mtx, "et_mtx", MTX_DEF);

/* Best first. */
static SLIST_HEAD(, eventtimer) et_list = SLIST_HEAD_INITIALIZER(et_list);

SYSCTL_NODE(_kern, OID_AUTO, eventtimer, CTLFLAG_RW | CTLFLAG_MPSAFE, 0,
    "Event timers");
static SYSCTL_NODE(_kern_eventtimer, OID_AUTO, et,
    CTLFLAG_RW | CTLFLAG_MPSAFE, 0, "");

int
et_register(struct eventtimer *et)
{
	struct eventtimer *next, *prev;

	if (et->et_quality >= 0 || bootverbose) {
		if (et->et_frequency == 0)
			printf("Event timer \"%s\" quality %d\n", et->et_name,
			    et->et_quality);
		else
			printf("Event timer \"%s\" frequency %ju Hz quality "
			    "%d\n", et->et_name, (uintmax_t)et->et_frequency,
			    et->et_quality);
	}
	KASSERT(et->et_start != NULL, ("event timer %s cannot start",
	    et->et_name));
	et->et_sysctl = SYSCTL_ADD_NODE_WITH_LABEL(NULL,
	    SYSCTL_STATIC_CHILDREN(_kern_eventtimer_et), OID_AUTO,
	    et->et_name, CTLFLAG_RW | CTLFLAG_MPSAFE, 0,
	    "event timer description", "eventtimer");
	SYSCTL_ADD_INT(NULL, SYSCTL_CHILDREN(et->et_sysctl), OID_AUTO,
	    "flags", CTLFLAG_RD, &et->et_flags, 0, "Event timer capabilities");
	SYSCTL_ADD_UQUAD(NULL, SYSCTL_CHILDREN(et->et_sysctl), OID_AUTO,
	    "frequency", CTLFLAG_RD, &et->et_frequency,
	    "Event timer base frequency");
	SYSCTL_ADD_INT(NULL, SYSCTL_CHILDREN(et->et_sysctl), OID_AUTO,
	    "quality", CTLFLAG_RD, &et->et_quality, 0,
	    "Goodness of event timer");
	ET_LOCK();
	prev = NULL;
	SLIST_FOREACH(next, &et_list, et_all) {
		KASSERT(next != et, ("event timer %s is registered twice",
		    et->et_name));
		if (next->et_quality < et->et_quality)
			break;
		prev = next;
	}
	if (prev == NULL)
		SLIST_INSERT_HEAD(&et_list, et, et_all);
	else
		SLIST_INSERT_AFTER(prev, et, et_all);
	ET_UNLOCK();
	return (0);
}

int
et_deregister(struct eventtimer *et)
{
	int error;

	if (et->et_deregister_cb != NULL) {
		error = et->et_deregister_cb(et, et->et_arg);
		if (error != 0)
			return (error);
	}
	ET_LOCK();
	SLIST_REMOVE(&et_list, et, eventtimer, et_all);
	ET_UNLOCK();
	sysctl_remove_oid(et->et_sysctl, 1, 1);
	return (0);
}

void
et_change_frequency(struct eventtimer *et, uint64_t newfreq)
{

	et->et_frequency = newfreq;
}

struct eventtimer *
et_find(const char *name, int check, int want)
{
	struct eventtimer *et;

	SLIST_FOREACH(et, &et_list, et_all) {
		if (et->et_active)
			continue;
		if (name != NULL && strcasecmp(et->et_name, name) != 0)
			continue;
		if (name == NULL && et->et_quality < 0)
			continue;
		if ((et->et_flags & check) == want)
			break;
	}
	return (et);
}

int
et_init(struct eventtimer *et, et_event_cb_t *event,
    et_deregister_cb_t *deregister, void *arg)
{

	if (event == NULL)
		return (EINVAL);
	if (et->et_active != 0)
		return (EBUSY);
	et->et_active = 1;
	et->et_event_cb = event;
	et->et_deregister_cb = deregister;
	et->et_arg = arg;
	return (0);
}

/* A period of 0 is one event; what the timer cannot do is an error. */
int
et_start(struct eventtimer *et, sbintime_t first, sbintime_t period)
{

	if (et->et_active == 0)
		return (ENXIO);
	KASSERT(period >= 0, ("et_start: negative period"));
	KASSERT(period == 0 || (et->et_flags & ET_FLAGS_PERIODIC) != 0,
	    ("et_start: period specified for oneshot-only timer"));
	KASSERT(period != 0 || (et->et_flags & ET_FLAGS_ONESHOT) != 0,
	    ("et_start: one event of a periodic-only timer"));
	if (period != 0) {
		period = MAX(MIN(period, et->et_max_period),
		    et->et_min_period);
		if (first == 0)
			first = period;
	} else
		first = MAX(MIN(first, et->et_max_period), et->et_min_period);
	return (et->et_start(et, first, period));
}

int
et_stop(struct eventtimer *et)
{

	if (et->et_active == 0)
		return (ENXIO);
	return (et->et_stop != NULL ? et->et_stop(et) : 0);
}

int
et_ban(struct eventtimer *et)
{

	et->et_flags &= ~(ET_FLAGS_PERIODIC | ET_FLAGS_ONESHOT);
	return (0);
}

int
et_free(struct eventtimer *et)
{

	if (et->et_active == 0)
		return (ENXIO);
	et->et_active = 0;
	et->et_event_cb = NULL;
	et->et_deregister_cb = NULL;
	et->et_arg = NULL;
	return (0);
}

static int
et_sysctl_choice(SYSCTL_HANDLER_ARGS)
{
	struct eventtimer *et;
	char buf[512];
	struct sbuf sb;
	int error;

	/* No allocation under the lock: what is too long is cut. */
	sbuf_new(&sb, buf, sizeof(buf), SBUF_FIXEDLEN);
	ET_LOCK();
	SLIST_FOREACH(et, &et_list, et_all)
		sbuf_printf(&sb, "%s%s(%d)", sbuf_len(&sb) > 0 ? " " : "",
		    et->et_name, et->et_quality);
	ET_UNLOCK();
	sbuf_finish(&sb);
	error = SYSCTL_OUT_STR(req, sbuf_data(&sb));
	sbuf_delete(&sb);
	return (error);
}
SYSCTL_PROC(_kern_eventtimer, OID_AUTO, choice,
    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, 0, 0, et_sysctl_choice, "A",
    "Present event timers");
