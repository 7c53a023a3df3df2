/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* The slow disk: see slow_blk.h. */

#include <atf-c.h>
#include <errno.h>
#include <string.h>

#include "slow_blk.h"
#include "storage/storvsp_var.h"

static struct slow *slow;

static void
count(const struct blk_req *r)
{

	slow->reads += r->op == BLK_READ;
	slow->writes += r->op == BLK_WRITE;
	slow->flushes += r->op == BLK_FLUSH;
	slow->fua += r->fua;
}

/* A held request: cancelled, it goes on scribbling for a while. */
static void
run_held(struct hvh_blk *blk)
{
	struct blk_req *r = slow->held;

	if (r == NULL || !slow->cancelled)
		return;
	for (int i = 0; r->op == BLK_READ && i < r->niov; i++)
		memset(r->iov[i].iov_base, 0xEE, r->iov[i].iov_len);
	if (slow->lag > 0) {
		slow->lag--;
		return;
	}
	slow->held = NULL;
	slow->cancelled = false;
	blk->started--;
	blk_done(blk, r, ECANCELED);
}

static void
slow_run(struct hvh_blk *blk)
{
	struct blk_req *r;
	int error;

	run_held(blk);
	while ((r = TAILQ_FIRST(&blk->queue)) != NULL && (slow->hold ||
	    slow->error != 0)) {
		TAILQ_REMOVE(&blk->queue, r, link);
		count(r);
		if (slow->error != 0) {
			error = slow->error;
			slow->error = 0;
			blk_done(blk, r, error);
			continue;
		}
		ATF_REQUIRE(slow->held == NULL);
		r->state = BLK_STARTED;
		blk->started++;
		slow->held = r;
	}
	TAILQ_FOREACH(r, &blk->queue, link)
		count(r);
	slow->real->run(blk);
}

static void
slow_cancel(struct hvh_blk *blk, struct blk_req *r)
{

	ATF_CHECK_EQ(slow->held, r);
	slow->cancelled = true;
}

void
slow_wrap(struct slow *s, struct hvh_scsi *disk)
{

	memset(s, 0, sizeof(*s));
	s->blk = disk->luns[0]->blk;
	s->real = s->blk->ops;
	s->ops = *s->real;
	s->ops.run = slow_run;
	s->ops.cancel = slow_cancel;
	s->blk->ops = &s->ops;
	slow = s;
}

void
slow_release(struct slow *s)
{
	struct blk_req *r = s->held;

	ATF_REQUIRE(r != NULL);
	hvh_lock(s->blk->h);
	s->hold = false;
	s->held = NULL;
	s->blk->started--;
	r->state = BLK_QUEUED;
	TAILQ_INSERT_HEAD(&s->blk->queue, r, link);
	blk_run(s->blk);
	hvh_unlock(s->blk->h);
}
