/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * State of the backup service.  hv_vss.c knows the host's messages,
 * hv_vss_round.c the two programs that freeze and thaw.
 */

#ifndef _HV_VSS_VAR_H_
#define	_HV_VSS_VAR_H_

#include <sys/param.h>
#include <sys/callout.h>

#include <dev/hyperv/utilities/hv_ic_var.h>
#include <dev/hyperv/utilities/hv_node.h>
#include <dev/hyperv/utilities/hv_vss_dev.h>

/*
 * Locks: vs_mtx before the frame's; it is also the mutex of the nodes and of
 * the callouts.  All below is under it but for what is set while attaching.
 */

#define	HV_VSS_KEEP	4		/* requests waiting or under way */
#define	HV_VSS_TIMEOUT_MAX 3600		/* seconds */

enum hv_vss_who {
	HV_VSS_APP,
	HV_VSS_FS,
	HV_VSS_WHOS
};

/* A program with its node. */
struct hv_vss_party {
	struct hv_node	*vp_node;
	bool		 vp_ready;	/* it has registered */
	bool		 vp_asked;	/* ... and owes an answer */
	bool		 vp_late;	/* ... that nobody waits for */
	bool		 vp_frozen;
	uint32_t	 vp_op;		/* that it was asked to do */
	uint32_t	 vp_id;		/* of the last request */
};

/*
 * A round asks one program after the other to do one thing: because the host
 * wants it, or, without a message of the host's, to undo what it cannot have.
 */
struct hv_vss_softc {
	struct hv_ic_softc vs_ic;
	struct mtx	 vs_mtx;
	bool		 vs_init;
	bool		 vs_dying;
	struct hv_vss_party vs_party[HV_VSS_WHOS];
	struct hv_ic_msgs vs_queue;	/* of the host, to be done */
	u_int		 vs_queued;	/* with the one under way */
	bool		 vs_busy;	/* a round is under way */
	struct hv_ic_msg *vs_im;	/* answered at its end, or NULL */
	uint32_t	 vs_op;		/* HV_VSS_DEV_ of the round */
	u_int		 vs_step;	/* how many were asked or passed over */
	bool		 vs_failed;	/* something in it */
	struct callout	 vs_timer;	/* the answer of the one asked */
	struct callout	 vs_hold;	/* the host's THAW */
	bool		 vs_frozen;	/* the host has been told so */
	bool		 vs_broken;	/* ... but it is over already */
	bool		 vs_undo;	/* somebody froze whom nobody thaws */
	int		 vs_log;	/* 1: failures, 2: all */
	u_int		 vs_check_timeout;	/* seconds */
	u_int		 vs_freeze_timeout;
	u_int		 vs_thaw_timeout;
	u_int		 vs_hold_timeout;
	uint64_t	 vs_freezes;
	uint64_t	 vs_thaws;
	uint64_t	 vs_auto_thaws;
	uint64_t	 vs_timeouts;
	uint64_t	 vs_failures;
};

extern const struct hv_node_class hv_vss_nodes[HV_VSS_WHOS];

/* With vs_mtx. */
void	hv_vss_next(struct hv_vss_softc *sc);
void	hv_vss_undo(struct hv_vss_softc *sc, const char *why);
void	hv_vss_fail(struct hv_vss_softc *sc);

/* Callouts with vs_mtx. */
void	hv_vss_late(void *arg);
void	hv_vss_hold_over(void *arg);

/* hv_vss.c, with vs_mtx: what the host's message asks of the programs. */
uint32_t hv_vss_dev_op(struct hv_ic_msg *im);
void	hv_vss_say(struct hv_vss_softc *sc, int level, const char *fmt, ...)
	    __printflike(3, 4);

#endif	/* !_HV_VSS_VAR_H_ */
