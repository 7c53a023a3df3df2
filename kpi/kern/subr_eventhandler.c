/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * eventhandler(9): named lists of functions.  A list that is being walked
 * (el_runcount) keeps removed entries, marked dead, until the walk ends.
 *
 * Lock order: evh_mtx (names), then el_lock (entries).
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/eventhandler.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>

static MALLOC_DEFINE(M_EVENTHANDLER, "eventhandler", "Event handler records");

/* el_flags: made by the kernel's own files, which keep a pointer to it. */
#define	EVH_BOOT	0x1

/* What every struct eventhandler_entry_NAME begins with. */
struct evh_entry {
	struct eventhandler_entry	ee;
	void				*func;
};

static struct mtx evh_mtx;
MTX_SYSINIT(evh, &evh_mtx, "eventhandler", MTX_DEF);

static TAILQ_HEAD(, eventhandler_list) evh_lists =
    TAILQ_HEAD_INITIALIZER(evh_lists);

static struct eventhandler_list *
evh_lookup(const char *name)
{
	struct eventhandler_list *list;

	mtx_assert(&evh_mtx, MA_OWNED);
	TAILQ_FOREACH(list, &evh_lists, el_link)
		if (strcmp(list->el_name, name) == 0)
			break;
	return (list);
}

struct eventhandler_list *
eventhandler_create_list(const char *name)
{
	struct eventhandler_list *list, *new;

	new = malloc(sizeof(*new), M_EVENTHANDLER, M_WAITOK | M_ZERO);
	new->el_name = strdup(name, M_EVENTHANDLER);
	new->el_flags = cold ? EVH_BOOT : 0;
	TAILQ_INIT(&new->el_entries);
	mtx_init(&new->el_lock, name, "eventhandler list", MTX_DEF);
	mtx_lock(&evh_mtx);
	list = evh_lookup(name);
	if (list == NULL) {
		list = new;
		TAILQ_INSERT_HEAD(&evh_lists, list, el_link);
		new = NULL;
	}
	mtx_unlock(&evh_mtx);
	if (new != NULL) {
		mtx_destroy(&new->el_lock);
		free(new->el_name, M_EVENTHANDLER);
		free(new, M_EVENTHANDLER);
	}
	return (list);
}

/* Returns the list locked. */
struct eventhandler_list *
eventhandler_find_list(const char *name)
{
	struct eventhandler_list *list;

	mtx_lock(&evh_mtx);
	list = evh_lookup(name);
	/* Lists stay while the kernel runs: the lock may be taken below. */
	mtx_unlock(&evh_mtx);
	if (list != NULL)
		EHL_LOCK(list);
	return (list);
}

eventhandler_tag
eventhandler_register(struct eventhandler_list *list, const char *name,
    void *func, void *arg, int priority)
{
	struct eventhandler_entry *ep;
	struct evh_entry *eg;

	KASSERT(priority != EHE_DEAD_PRIORITY,
	    ("eventhandler %s: the priority means removed", name));
	if (list == NULL)
		list = eventhandler_create_list(name);
	eg = malloc(sizeof(*eg), M_EVENTHANDLER, M_WAITOK | M_ZERO);
	eg->func = func;
	eg->ee.ee_arg = arg;
	eg->ee.ee_priority = priority;
	EHL_LOCK(list);
	TAILQ_FOREACH(ep, &list->el_entries, ee_link)
		if (ep->ee_priority != EHE_DEAD_PRIORITY &&
		    priority < ep->ee_priority)
			break;
	if (ep != NULL)
		TAILQ_INSERT_BEFORE(ep, &eg->ee, ee_link);
	else
		TAILQ_INSERT_TAIL(&list->el_entries, &eg->ee, ee_link);
	EHL_UNLOCK(list);
	return (&eg->ee);
}

void
eventhandler_prune_list(struct eventhandler_list *list)
{
	struct eventhandler_entry *ep, *next;

	EHL_LOCK_ASSERT(list, MA_OWNED);
	TAILQ_FOREACH_SAFE(ep, &list->el_entries, ee_link, next) {
		if (ep->ee_priority == EHE_DEAD_PRIORITY) {
			TAILQ_REMOVE(&list->el_entries, ep, ee_link);
			free(ep, M_EVENTHANDLER);
		}
	}
	wakeup(list);
}

/* Comes in with the list locked and leaves with it unlocked. */
static void
evh_remove(struct eventhandler_list *list, eventhandler_tag tag, bool wait)
{
	struct eventhandler_entry *ep;

	EHL_LOCK_ASSERT(list, MA_OWNED);
	TAILQ_FOREACH(ep, &list->el_entries, ee_link) {
		if (tag == NULL)
			ep->ee_priority = EHE_DEAD_PRIORITY;
		else if (ep == tag)
			break;
	}
	if (tag != NULL) {
		KASSERT(ep != NULL, ("eventhandler %s: %p is not registered",
		    list->el_name, tag));
		ep->ee_priority = EHE_DEAD_PRIORITY;
	}
	if (list->el_runcount == 0)
		eventhandler_prune_list(list);
	else
		while (wait && list->el_runcount > 0)
			mtx_sleep(list, &list->el_lock, 0, "evhrm", 0);
	EHL_UNLOCK(list);
}

void
eventhandler_deregister(struct eventhandler_list *list, eventhandler_tag tag)
{

	evh_remove(list, tag, true);
}

void
eventhandler_deregister_nowait(struct eventhandler_list *list,
    eventhandler_tag tag)
{

	evh_remove(list, tag, false);
}

/* Lists that modules brought and that nobody is on any more. */
void
kpi_eventhandler_prune(void)
{
	struct eventhandler_list *list, *next;

	TAILQ_FOREACH_SAFE(list, &evh_lists, el_link, next) {
		if ((list->el_flags & EVH_BOOT) != 0 ||
		    !TAILQ_EMPTY(&list->el_entries))
			continue;
		TAILQ_REMOVE(&evh_lists, list, el_link);
		mtx_destroy(&list->el_lock);
		free(list->el_name, M_EVENTHANDLER);
		free(list, M_EVENTHANDLER);
	}
}
