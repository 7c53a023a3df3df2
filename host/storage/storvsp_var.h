/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The synthetic SCSI controller: its state and that of its channels.  No
 * locks: all of it runs in hvh_pump() or with the pump lock held.
 *
 * storvsp.c	channels, packets, the way to completion
 * storvsp_srb.c	EXECUTE_SRB, absent units, REPORT LUNS, resets
 * storvsp_mgmt.c	controllers and units come and go
 */

#ifndef HVH_STORAGE_STORVSP_VAR_H
#define	HVH_STORAGE_STORVSP_VAR_H

#include "storage/scsi.h"
#include "storage/storvsp_reg.h"

#define	STORVSP_LUNS		64
#define	STORVSP_DEPTH		256	/* requests in flight a channel */
#define	STORVSP_BUDGET		1024	/* packets before others get a turn */
#define	STORVSP_MAX_TRANSFER	(8u << 20)
#define	STORVSP_MAX_SUBCHANNELS	15

/* protocol: storvsc, 5 */
enum storvsp_state {
	STORVSP_BEGIN,
	STORVSP_QUERY_VERSION,
	STORVSP_QUERY_PROPERTIES,
	STORVSP_END,
	STORVSP_READY
};

enum storvsp_kind {
	STORVSP_FREE,
	STORVSP_SRB,		/* with the target */
	STORVSP_RESET,		/* waits for those it aborts */
	STORVSP_DONE		/* waits for room in the ring */
};

struct storvsp_req {
	struct scsi_cmd	 cmd;
	struct storvsp_chan *chan;
	enum storvsp_kind kind;
	uint64_t	 xid;
	uint64_t	 seq;		/* order of arrival at the controller */
	uint32_t	 reply_len;
	struct scsi_lun	*lun;		/* of an SRB */
	bool		 reset_all;	/* of a reset: not one unit alone */
	struct vstor_packet pkt;	/* request, then reply */
	TAILQ_ENTRY(storvsp_req) link;	/* free, active or done */
	TAILQ_ENTRY(storvsp_req) reset_link;
};

TAILQ_HEAD(storvsp_reqs, storvsp_req);

struct storvsp_chan {
	struct hvh_scsi	*sc;
	struct hvh_chan	*ch;
	bool		 primary;
	bool		 shut;		/* the guest broke the protocol */
	bool		 closing;
	bool		 starved;	/* stopped reading with data left */
	unsigned	 hold;		/* somebody up the stack uses it */
	bool		 draining;
	struct storvsp_req *reqs;
	struct iovec	*iovs;
	struct storvsp_reqs free;
	struct storvsp_reqs active;
	struct storvsp_reqs done;
	struct hvh_timer timer;		/* the rest of a long queue; the end */
	LIST_ENTRY(storvsp_chan) link;
};

struct hvh_scsi {
	struct hvh	*h;
	struct hvh_chan	*primary;	/* the offer */
	struct hvh_guid	 instance;
	bool		 ide;
	uint8_t		 path;
	uint8_t		 target;
	uint16_t	 max_version;
	uint16_t	 max_subchannels;
	bool		 monitored;
	uint32_t	 max_transfer;
	int		 iovmax;

	enum storvsp_state state;
	uint16_t	 version;
	bool		 subs_made;	/* before END_INITIALIZATION */
	bool		 rescan;	/* ENUMERATE_BUS is to be sent */
	uint64_t	 seq;
	struct storvsp_reqs resets;	/* by reset_link */
	LIST_HEAD(, storvsp_chan) chans;

	struct scsi_lun	*luns[STORVSP_LUNS];
	uint64_t	 dirty;		/* units with queued back-end work */
	LIST_HEAD(, scsi_lun) dying;
	struct hvh_timer reaper;

	bool		 removed;	/* the owner has given it up */
	bool		 gone;		/* only the owner's handle is left */
	struct hvh_husk	 husk;
};

extern const struct hvh_chan_ops storvsp_chan_ops;

/* --- storvsp.c --- */

void	storvsp_reply(struct storvsp_req *rq, uint32_t status);
/* An active request is not answered at all. */
void	storvsp_forget(struct storvsp_req *rq);
void	storvsp_shut(struct storvsp_chan *c, const char *why);
void	storvsp_drain(struct storvsp_chan *c);
void	storvsp_rescan(struct hvh_scsi *sc);
/*
 * A hold keeps a closing channel in memory.  Its end is left to a timer, so
 * that nothing up the stack, a back end among them, loses the ground.
 */
void	storvsp_hold(struct storvsp_chan *c);
void	storvsp_unhold(struct storvsp_chan *c);
void	storvsp_run_dirty(struct hvh_scsi *sc);
void	storvsp_chan_free(struct storvsp_chan *c);

/* --- storvsp_srb.c --- */

void	storvsp_execute(struct storvsp_req *rq, const struct hvh_pkt *pkt);
void	storvsp_reset(struct storvsp_req *rq);
void	storvsp_resets_drop(struct storvsp_chan *c);
/*
 * Aborts the active requests of c that arrived before seq, of one unit or of
 * all (NULL).
 */
void	storvsp_abort(struct storvsp_chan *c, const struct scsi_lun *lun,
	    uint64_t seq, uint8_t srb_status);

/* --- storvsp_mgmt.c --- */

/* A unit that was taken away has no command left. */
void	storvsp_lun_idle(struct hvh_scsi *sc);
void	storvsp_released(void *dev);

#endif	/* !HVH_STORAGE_STORVSP_VAR_H */
