/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The file back end's asynchronous way: one io_uring a file.  What each step
 * is and what its result means stands in blk_file.c.
 *
 * Steps are gathered and entered with one system call a blk_run().  What the
 * page cache answers at once has then ended already, and the kernel is told to
 * signal nobody for it; for the rest it signals an eventfd, which wakes the
 * pump.
 *
 * Not io_uring_register_eventfd_async(): that signals only what a worker thread
 * of the kernel's has ended.  Most of what the disk answers is ended by the
 * thread that entered it, on its way to user space, and that one may be a
 * vCPU's, which has no reason to look.
 */

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/blk.h"

#define	BLK_URING_ENTRIES	256

struct blk_uring {
	struct io_uring	 ring;
	struct hvh_source source;
	unsigned	 prepared;	/* in the ring, not yet entered */
};

/* user_data of a cancellation; its own result is of no interest. */
#define	BLK_URING_CANCEL	NULL

static void
blk_uring_enter(struct hvh_blk *blk)
{
	struct blk_uring *u = blk->uring;
	int n;

	while (u->prepared > 0) {
		n = io_uring_submit(&u->ring);
		if (n > 0)
			u->prepared -= (unsigned)n < u->prepared ?
			    (unsigned)n : u->prepared;
		else if (n != -EINTR)
			break;	/* -EBUSY, -EAGAIN: after reaping */
	}
}

/* False: the ring is full even after entering it. */
static bool
blk_uring_prepare(struct hvh_blk *blk, struct blk_req *r)
{
	struct blk_uring *u = blk->uring;
	struct io_uring_sqe *sqe;
	struct blk_step st;

	sqe = io_uring_get_sqe(&u->ring);
	if (sqe == NULL) {
		blk_uring_enter(blk);
		sqe = io_uring_get_sqe(&u->ring);
		if (sqe == NULL)
			return (false);
	}
	blk_file_step(blk, r, &st);
	switch (st.kind) {
	case BLK_STEP_READV:
		io_uring_prep_readv(sqe, blk->fd, st.iov, (unsigned)st.niov,
		    st.ofs);
		break;
	case BLK_STEP_WRITEV:
		io_uring_prep_writev2(sqe, blk->fd, st.iov, (unsigned)st.niov,
		    st.ofs, st.flags);
		break;
	case BLK_STEP_FALLOCATE:
		io_uring_prep_fallocate(sqe, blk->fd, st.flags, (off_t)st.ofs,
		    (off_t)st.len);
		break;
	case BLK_STEP_FDATASYNC:
		io_uring_prep_fsync(sqe, blk->fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, r);
	u->prepared++;
	return (true);
}

/* True: something has ended. */
static bool
blk_uring_reap(struct hvh_blk *blk)
{
	struct blk_uring *u = blk->uring;
	struct io_uring_cqe *cqe;
	struct blk_req *r;
	bool any = false;
	int error, res;

	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		r = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		if (r == BLK_URING_CANCEL)
			continue;
		any = true;
		blk->started--;
		if (blk_file_result(blk, r, res, &error)) {
			blk_done(blk, r, error);
		} else {
			/* In front: it has been waited for the longest. */
			r->state = BLK_QUEUED;
			TAILQ_INSERT_HEAD(&blk->queue, r, link);
		}
	}
	return (any);
}

/* On: is there something that ended too early to be signalled? */
static bool
blk_uring_signals(struct blk_uring *u, bool on)
{

	(void)io_uring_cq_eventfd_toggle(&u->ring, on);
	/* The kernel shows the end, then looks whether to signal it. */
	atomic_thread_fence(memory_order_seq_cst);
	return (on && io_uring_cq_ready(&u->ring) > 0);
}

static void
blk_uring_round(struct hvh_blk *blk)
{
	struct blk_req *r;
	bool any;

	do {
		while ((r = TAILQ_FIRST(&blk->queue)) != NULL) {
			TAILQ_REMOVE(&blk->queue, r, link);
			if (!blk_uring_prepare(blk, r)) {
				TAILQ_INSERT_HEAD(&blk->queue, r, link);
				break;
			}
			r->state = BLK_STARTED;
			blk->started++;
		}
		blk_uring_enter(blk);
		any = blk_uring_reap(blk);
	} while (any);
}

void
blk_uring_run(struct hvh_blk *blk)
{

	do {
		(void)blk_uring_signals(blk->uring, false);
		blk_uring_round(blk);
	} while (blk_uring_signals(blk->uring, true));

	/*
	 * Left over only if the kernel would not take them: they go when
	 * something that is under way ends.
	 */
	if (blk->uring->prepared > 0 || !TAILQ_EMPTY(&blk->queue))
		hvh_kick(blk->h);
}

void
blk_uring_cancel(struct hvh_blk *blk, struct blk_req *r)
{
	struct io_uring_sqe *sqe;

	/* Without room it runs its course: that is allowed. */
	sqe = io_uring_get_sqe(&blk->uring->ring);
	if (sqe == NULL)
		return;
	io_uring_prep_cancel(sqe, r, 0);
	io_uring_sqe_set_data(sqe, BLK_URING_CANCEL);
	blk->uring->prepared++;
	blk_uring_enter(blk);
}

void
blk_uring_drain(struct hvh_blk *blk)
{
	struct blk_uring *u = blk->uring;
	struct io_uring_cqe *cqe;
	struct blk_req *r;

	while (blk->started > 0) {
		/* What the kernel did not take is not to be waited for. */
		blk_uring_enter(blk);
		if (io_uring_peek_cqe(&u->ring, &cqe) != 0 &&
		    (u->prepared > 0 ||
		    io_uring_wait_cqe(&u->ring, &cqe) != 0))
			continue;
		r = io_uring_cqe_get_data(cqe);
		io_uring_cqe_seen(&u->ring, cqe);
		if (r != BLK_URING_CANCEL)
			blk->started--;
	}
}

static void
blk_uring_poll(void *arg)
{
	struct hvh_blk *blk = arg;
	eventfd_t n;

	/*
	 * Before looking: an end in between then signals once more.  Always,
	 * as what it tells of may have been reaped by another blk_run().
	 */
	(void)eventfd_read(blk->uring->source.fd, &n);
	if (blk->started > 0 || !TAILQ_EMPTY(&blk->queue))
		blk_run(blk);
}

/*
 * From here on the ring does what this file asks for and nothing else: its
 * work is done where a process's system-call filter does not look.
 */
static int
blk_uring_restrict(struct io_uring *ring)
{
	static const uint8_t ops[] = {
		IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FALLOCATE,
		IORING_OP_FSYNC, IORING_OP_ASYNC_CANCEL,
	};
	struct io_uring_restriction r[sizeof(ops)] = { 0 };

	for (unsigned i = 0; i < sizeof(ops); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = ops[i];
	}
	/* Debian's liburing has functions for these, but does not export
	 * them. */
	if (syscall(SYS_io_uring_register, ring->ring_fd,
	    IORING_REGISTER_RESTRICTIONS, r, sizeof(ops)) != 0 ||
	    syscall(SYS_io_uring_register, ring->ring_fd,
	    IORING_REGISTER_ENABLE_RINGS, NULL, 0) != 0)
		return (errno);
	return (0);
}

int
blk_uring_open(struct hvh_blk *blk)
{
	struct blk_uring *u;
	int error;

	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return (ENOMEM);
	error = -io_uring_queue_init(BLK_URING_ENTRIES, &u->ring,
	    IORING_SETUP_R_DISABLED);
	if (error != 0) {
		free(u);
		return (error);
	}
	u->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->source.fd < 0) {
		error = errno;
		goto noevent;
	}
	error = -io_uring_register_eventfd(&u->ring, u->source.fd);
	if (error == 0)
		error = blk_uring_restrict(&u->ring);
	if (error != 0)
		goto fail;
	u->source.poll = blk_uring_poll;
	u->source.arg = blk;
	blk->uring = u;
	hvh_lock(blk->h);
	error = hvh_source_add(blk->h, &u->source);
	hvh_unlock(blk->h);
	if (error == 0)
		return (0);
	blk->uring = NULL;
fail:
	close(u->source.fd);
noevent:
	io_uring_queue_exit(&u->ring);
	free(u);
	return (error);
}

void
blk_uring_close(struct hvh_blk *blk)
{
	struct blk_uring *u = blk->uring;

	hvh_source_remove(blk->h, &u->source);
	io_uring_queue_exit(&u->ring);
	close(u->source.fd);
	free(u);
	blk->uring = NULL;
}
