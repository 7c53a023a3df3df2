/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A storage back end: an array of bytes with asynchronous operations on
 * scattered memory.  It knows nothing of SCSI.  Everything is called in
 * hvh_pump() or with the pump lock held.
 *
 * blk_submit() only queues; blk_run() starts what is queued, in one system
 * call where the back end can, and delivers what has ended.  So done() never
 * comes from within blk_submit(), and a request that done() submits is
 * started by the same blk_run().
 */

#ifndef HVH_STORAGE_BLK_H
#define	HVH_STORAGE_BLK_H

#include <sys/queue.h>
#include <sys/uio.h>

#include "hvhost.h"
#include "vmbus/channel.h"

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,		/* what was written before is on the medium */
	BLK_UNMAP,		/* give the space back; it reads as zeros */
	BLK_ZERO		/* write zeros, keep the space */
};

enum blk_state {
	BLK_IDLE,
	BLK_QUEUED,
	BLK_STARTED		/* the kernel may be using the memory */
};

struct blk_req {
	enum blk_op	 op;
	bool		 fua;		/* write: on the medium when done */
	uint64_t	 ofs;		/* bytes, whole blocks */
	uint64_t	 len;
	struct iovec	*iov;		/* len bytes; entries are used up */
	int		 niov;
	/*
	 * error 0: all len bytes done; ENODATA: beyond the end of the medium;
	 * ECANCELED: by blk_cancel(), nothing or a part has been done.
	 */
	void		(*done)(struct blk_req *r, int error);

	/* The back end's own. */
	enum blk_state	 state;
	uint64_t	 left;
	bool		 zeroing;	/* by writes, for want of fallocate */
	bool		 syncing;	/* data done, fdatasync under way */
	TAILQ_ENTRY(blk_req) link;
};

TAILQ_HEAD(blk_reqs, blk_req);

struct blk_ops {
	/* Do what is in blk->queue; see blk_run(). */
	void	(*run)(struct hvh_blk *blk);
	/* Try to stop a started request; done() comes later in any case. */
	void	(*cancel)(struct hvh_blk *blk, struct blk_req *r);
	/* Wait until no request is started (those end normally). */
	void	(*drain)(struct hvh_blk *blk);
	/* Bytes there are now; 0 with an errno on failure. */
	int	(*size)(struct hvh_blk *blk, uint64_t *size);
	void	(*close)(struct hvh_blk *blk);
};

struct hvh_blk {
	struct hvh	*h;
	const struct blk_ops *ops;
	uint64_t	 size;		/* bytes, whole blocks */
	uint32_t	 block_size;
	bool		 readonly;
	bool		 write_through;
	bool		 attached;
	bool		 running;	/* in ops->run: it does not nest */
	int		 flush_error;	/* sticky, see blk_file.c */
	struct blk_reqs	 queue;
	unsigned	 started;
	char		*name;

	/* Memory. */
	uint8_t		*mem;

	/* File. */
	int		 fd;
	bool		 no_punch;	/* the file system refused once */
	bool		 no_zero_range;
	struct blk_uring *uring;
};

void	blk_submit(struct hvh_blk *blk, struct blk_req *r);
void	blk_run(struct hvh_blk *blk);
/* Does nothing to a request that is idle. */
void	blk_cancel(struct hvh_blk *blk, struct blk_req *r);
/* Asks the back end for its size; true: it differs from before. */
bool	blk_resized(struct hvh_blk *blk);
/* The request's share so far; true: nothing left.  Then blk_done(). */
bool	blk_advance(struct blk_req *r, uint64_t n);
void	blk_done(struct hvh_blk *blk, struct blk_req *r, int error);
/* hvh_blk_close() for a caller who holds the pump lock. */
void	blk_close_locked(struct hvh_blk *blk);

/* --- Kinds --- */

int	blk_mem_open(struct hvh_blk *blk, const struct hvh_blk_params *bp,
	    char *err, size_t errlen);
int	blk_file_open(struct hvh_blk *blk, const struct hvh_blk_params *bp,
	    char *err, size_t errlen);
/* Errno: the kernel has no io_uring for us; the file is then done plainly. */
int	blk_uring_open(struct hvh_blk *blk);
void	blk_uring_close(struct hvh_blk *blk);
void	blk_uring_run(struct hvh_blk *blk);
void	blk_uring_cancel(struct hvh_blk *blk, struct blk_req *r);
void	blk_uring_drain(struct hvh_blk *blk);

/* What one more system call would do for a file's request. */
enum blk_step_kind {
	BLK_STEP_READV,
	BLK_STEP_WRITEV,
	BLK_STEP_FALLOCATE,
	BLK_STEP_FDATASYNC
};
struct blk_step {
	enum blk_step_kind kind;
	const struct iovec *iov;
	int		 niov;
	uint64_t	 ofs;
	uint64_t	 len;
	int		 flags;		/* RWF_*, or the mode of fallocate */
};
void	blk_file_step(struct hvh_blk *blk, struct blk_req *r,
	    struct blk_step *st);
/*
 * Takes a step's result, as of a system call (negative: -errno).  True: the
 * request has ended, with *error; false: it wants another step.
 */
bool	blk_file_result(struct hvh_blk *blk, struct blk_req *r, int64_t res,
	    int *error);

#endif	/* !HVH_STORAGE_BLK_H */
