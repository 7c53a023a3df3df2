/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * libhvhost's dynamic memory: a guest gives up some of its memory and gets it
 * back.  Management side; the rules of hvhost.h hold here, too.
 */

#ifndef HVBALLOON_H
#define	HVBALLOON_H

#include "hvhost.h"

struct hvh_balloon_params {
	uint32_t	 max_version;	/* HVH_IC_VERSION(), 0: the newest */
	/*
	 * Callbacks, may be NULL.  The guest has given up this piece of its
	 * memory, which lies in one region, and will not touch it: what backs
	 * it can go.  It is the guest's again, with any content.
	 */
	void		(*taken)(void *arg, uint64_t gpa, uint64_t len);
	void		(*given)(void *arg, uint64_t gpa, uint64_t len);
	void		*arg;
};

/* As hvh_scsi_add() and hvh_scsi_remove(). */
int	hvh_balloon_add(struct hvh *h, const struct hvh_balloon_params *bp,
	    struct hvh_balloon **b);
void	hvh_balloon_remove(struct hvh_balloon *b);

struct hvh_balloon_info {
	enum hvh_ic_state state;
	uint32_t	 version;	/* agreed, HVH_IC_VERSION() */
	uint64_t	 total;		/* bytes of the guest's memory */
	uint64_t	 assigned;	/* of them not given up */
	bool		 busy;		/* an order is under way */
	bool		 can_add;	/* the guest could take more */
	uint64_t	 min_pages;	/* it wants to have, as it says */
	/* Of the guest's last report, so many ns ago; 0: there was none. */
	uint64_t	 reported;
	uint64_t	 available;	/* pages */
	uint64_t	 committed;	/* given up ones too */
	uint64_t	 demand;	/* without them */
	uint64_t	 reports;
	uint64_t	 takes, gives;	/* orders */
	uint64_t	 refused;	/* of them not followed in full */
	uint64_t	 timeouts;
	uint64_t	 stale;		/* answers to no order */
	uint64_t	 bad;		/* malformed */
	uint64_t	 bad_ranges;	/* not the guest's to give up */
};

void	hvh_balloon_get_info(struct hvh_balloon *b,
	    struct hvh_balloon_info *bi);

/*
 * error: as hvh_ic_result's.  0: the guest has followed the order, as far as
 * it would; bytes: what it has now.
 */
typedef void hvh_balloon_done(void *arg, int error, uint64_t bytes);

/*
 * The guest shall have so many bytes of its memory.  progress, may be NULL: it
 * has so many by now.  Errors and callbacks as orders to other services have
 * them; ENOTSUP: it cannot give up any.
 */
int	hvh_balloon_set(struct hvh_balloon *b, uint64_t bytes,
	    void (*progress)(void *arg, uint64_t bytes),
	    hvh_balloon_done *done, void *arg);

#endif	/* HVBALLOON_H */
