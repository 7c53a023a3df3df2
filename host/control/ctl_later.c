/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Answers that come later: what a guest is asked for takes its time, and what
 * becomes of it is told by the thread that runs the pump, possibly when nobody
 * waits for it any more.  So the box that both sides look into is its own
 * thing, which lives until the last of them has let go of it.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/ctl_var.h"

#define	LATERS_MAX	64

struct ctl_later {
	struct ctl_later *next;		/* laters->first */
	struct ctl_laters *laters;
	struct ctl_client *to;		/* NULL: has gone */
	json_t		*id;		/* the main thread's */
	json_t		*progress;	/* to be sent, or NULL */
	bool		 done;
	bool		 failed;
	json_t		*result;
	char		 err[512];
};

struct ctl_laters {
	pthread_mutex_t	 mtx;		/* all of this, and of them */
	int		 fd;		/* eventfd, -1: the server has gone */
	unsigned	 n;
	struct ctl_later *first;
};

/* The mutex is held, and dropped; without server and laters all goes. */
static void
unlock(struct ctl_laters *ls)
{
	bool over = ls->fd < 0 && ls->n == 0;

	pthread_mutex_unlock(&ls->mtx);
	if (!over)
		return;
	pthread_mutex_destroy(&ls->mtx);
	free(ls);
}

/* The mutex is held. */
static void
later_free(struct ctl_later *l)
{
	struct ctl_later **p;

	for (p = &l->laters->first; *p != l; p = &(*p)->next)
		continue;
	*p = l->next;
	l->laters->n--;
	json_decref(l->id);
	json_decref(l->progress);
	json_decref(l->result);
	free(l);
}

static void
tell(struct ctl_laters *ls)
{
	const uint64_t one = 1;

	if (ls->fd >= 0)
		(void)!write(ls->fd, &one, sizeof(one));
}

int
ctl_laters_create(struct ctl_server *s)
{
	struct ctl_laters *ls = calloc(1, sizeof(*ls));
	int error;

	if (ls == NULL)
		return (ENOMEM);
	ls->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ls->fd < 0) {
		error = errno;
		free(ls);
		return (error);
	}
	pthread_mutex_init(&ls->mtx, NULL);
	s->laters = ls;
	return (0);
}

void
ctl_laters_destroy(struct ctl_server *s)
{
	struct ctl_laters *ls = s->laters;

	if (ls == NULL)
		return;
	s->laters = NULL;
	pthread_mutex_lock(&ls->mtx);
	close(ls->fd);
	ls->fd = -1;
	unlock(ls);
}

int
ctl_laters_fd(const struct ctl_server *s)
{

	return (s->laters->fd);
}

void
ctl_laters_clear(struct ctl_server *s)
{
	uint64_t n;

	(void)!read(s->laters->fd, &n, sizeof(n));
}

bool
ctl_laters_take(struct ctl_server *s, struct ctl_client **to, json_t **reply,
    bool *last)
{
	struct ctl_laters *ls = s->laters;
	struct ctl_later *l;

	pthread_mutex_lock(&ls->mtx);
	for (l = ls->first; l != NULL; l = l->next) {
		if (l->done || l->progress != NULL)
			break;
	}
	if (l == NULL) {
		pthread_mutex_unlock(&ls->mtx);
		return (false);
	}
	*to = l->to;
	*last = l->progress == NULL;
	if (!*last)
		*reply = json_pack("{s:O, s:o}", "id", l->id, "progress",
		    l->progress);
	else if (l->failed)
		*reply = ctl_refusal(l->id, l->err);
	else
		*reply = json_pack("{s:O, s:b, s:O}", "id", l->id, "ok", 1,
		    "result", l->result);
	l->progress = NULL;
	if (*last)
		later_free(l);
	pthread_mutex_unlock(&ls->mtx);
	return (true);
}

void
ctl_laters_forget(struct ctl_server *s, const struct ctl_client *c)
{
	struct ctl_laters *ls = s->laters;
	struct ctl_later *l, *next;

	if (ls == NULL)
		return;
	pthread_mutex_lock(&ls->mtx);
	for (l = ls->first; l != NULL; l = next) {
		next = l->next;
		if (l->to != c)
			continue;
		l->to = NULL;
		json_decref(l->progress);
		l->progress = NULL;
		if (l->done)
			later_free(l);
	}
	pthread_mutex_unlock(&ls->mtx);
}

struct ctl_later *
ctl_later_new(struct ctl_call *c)
{
	struct ctl_laters *ls = c->s->laters;
	struct ctl_later *l;
	json_t *id = json_object_get(c->req, "id");

	if (ls == NULL) {
		ctl_bad(c, "nobody can wait for that here");
		return (NULL);
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		ctl_bad(c, "no memory");
		return (NULL);
	}
	pthread_mutex_lock(&ls->mtx);
	if (ls->n >= LATERS_MAX) {
		pthread_mutex_unlock(&ls->mtx);
		free(l);
		ctl_bad(c, "too much waits for the guest already");
		return (NULL);
	}
	l->laters = ls;
	l->to = c->from;
	l->id = id != NULL ? json_deep_copy(id) : json_null();
	l->next = ls->first;
	ls->first = l;
	ls->n++;
	pthread_mutex_unlock(&ls->mtx);
	c->later = l;
	return (l);
}

void
ctl_later_drop(struct ctl_call *c)
{
	struct ctl_laters *ls = c->s->laters;

	pthread_mutex_lock(&ls->mtx);
	later_free(c->later);
	pthread_mutex_unlock(&ls->mtx);
	c->later = NULL;
}

void
ctl_later_progress(struct ctl_later *l, json_t *progress)
{
	struct ctl_laters *ls = l->laters;

	pthread_mutex_lock(&ls->mtx);
	if (l->to == NULL) {
		json_decref(progress);
	} else {
		json_decref(l->progress);
		l->progress = progress;
		tell(ls);
	}
	pthread_mutex_unlock(&ls->mtx);
}

bool
ctl_later_gone(struct ctl_later *l)
{
	struct ctl_laters *ls = l->laters;
	bool gone;

	pthread_mutex_lock(&ls->mtx);
	gone = l->to == NULL;
	pthread_mutex_unlock(&ls->mtx);
	return (gone);
}

void
ctl_later_done(struct ctl_later *l, json_t *result, const char *err)
{
	struct ctl_laters *ls = l->laters;

	pthread_mutex_lock(&ls->mtx);
	l->result = result != NULL ? result : json_object();
	l->done = true;
	l->failed = err != NULL;
	if (err != NULL)
		snprintf(l->err, sizeof(l->err), "%s", err);
	if (l->to == NULL)
		later_free(l);
	else
		tell(ls);
	unlock(ls);
}
