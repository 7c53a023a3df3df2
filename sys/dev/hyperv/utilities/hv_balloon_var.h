/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Dynamic memory: what its files share.
 *
 * hv_balloon.c		the device: channel, negotiation, reports
 * hv_balloon_order.c	the host's orders, and pages that go and come
 * hv_balloon_vm.c	the kernel's memory: how much there is, pages of it
 * hv_balloon_map.c	which pages are the host's
 */

#ifndef _HV_BALLOON_VAR_H_
#define	_HV_BALLOON_VAR_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/callout.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mutex.h>
#include <sys/queue.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <dev/hyperv/include/hyperv.h>
#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/utilities/hv_balloon_map.h>
#include <dev/hyperv/utilities/hv_balloon_reg.h>

/* Pages given up before the host is told of them: 64 MiB. */
#define	HV_BALLOON_CHUNK	16384

enum hv_balloon_state {
	HV_BALLOON_CLOSED,
	HV_BALLOON_VERSION,	/* asked for one */
	HV_BALLOON_CAPS,	/* said what can be done */
	HV_BALLOON_READY,
	HV_BALLOON_REFUSED	/* or never answered: until it is reopened */
};

/* Pages that the host has given back; the message behind it. */
struct hv_balloon_back {
	STAILQ_ENTRY(hv_balloon_back) bb_link;	/* (m) */
	u_int		 bb_conn;
	u_int		 bb_n;
	bool		 bb_more;
	uint64_t	 bb_range[];
};

/*
 * Locks.  The order is
 *
 *	hb_mtx  ->  vmbus's, the kernel's for memory
 *
 * and pages are allocated and freed with none held.
 *
 * Lock key of the members below:
 *	(m)	hb_mtx
 *	(a)	set while attaching; then constant
 *	(c)	the channel's callback alone
 *	(t)	the task alone
 *	(i)	integer, written by sysctl(8) at any time
 */
struct hv_balloon_softc {
	device_t		 hb_dev;	/* (a) */
	struct vmbus_channel	*hb_ch;		/* (a) */
	struct mtx		 hb_mtx;
	bool			 hb_init;	/* (a) hb_mtx is there */
	bool			 hb_sysctl_init;/* (a) */
	bool			 hb_detaching;	/* (m) by some thread */
	bool			 hb_bad_said;	/* (m) */
	bool			 hb_range_said;	/* (m) */
	enum hv_balloon_state	 hb_state;	/* (m) */
	u_int			 hb_conn;	/* (m) counts openings */
	u_int			 hb_try;	/* (m) which version */
	u_int			 hb_waited;	/* (m) s for an answer */
	uint32_t		 hb_xid;	/* (m) of the last message */
	struct callout		 hb_timer;	/* (m) */

	struct taskqueue	*hb_tq;		/* (a) its thread may sleep */
	struct task		 hb_task;	/* (m) */
	bool			 hb_ordered;	/* (m) an order is under way */
	uint32_t		 hb_order;	/* (m) of so many pages */
	STAILQ_HEAD(, hv_balloon_back) hb_backs; /* (m) */
	u_int			 hb_nbacks;	/* (m) */
	u_int			 hb_thanks;	/* (m) answers due for them */
	struct hv_balloon_map	 hb_map;	/* (m) */
	uint64_t		 hb_ballooned;	/* (m) pages in hb_map */

	u_int			 hb_floor;	/* (i) pages to be available */
	uint64_t		 hb_ups;	/* (m) orders done */
	uint64_t		 hb_downs;	/* (m) */
	uint64_t		 hb_refused;	/* (m) orders cut short */
	uint64_t		 hb_refused_pages; /* (m) */
	uint64_t		 hb_hot_adds;	/* (m) refused, all */
	uint64_t		 hb_reports;	/* (m) */
	uint64_t		 hb_bad;	/* (m) messages without sense */
	uint64_t		 hb_bad_ranges;	/* (m) not ours */
	struct sysctl_ctx_list	 hb_sysctl;	/* (a) */
	uint8_t			 hb_rx[HV_BALLOON_MSG_MAX] __aligned(8);
						/* (c) */
	uint8_t			 hb_tx[HV_BALLOON_MSG_MAX] __aligned(8);
						/* (t) */
};

/* --- hv_balloon.c --- */

/*
 * Fills in the header and sends, with hb_mtx held.  As vmbus_ch_send(); ENXIO
 * also, the connection is not that of conn.
 */
int	hv_balloon_send(struct hv_balloon_softc *sc, u_int conn,
	    struct hv_balloon_hdr *bh, uint16_t type, size_t len);
/* Counts what the host should not have sent, and says so once. */
void	hv_balloon_bad(struct hv_balloon_softc *sc, const char *what,
	    uint64_t value);

/* --- hv_balloon_order.c --- */

/* Messages of the host, from the callback; of a length that was checked. */
void	hv_balloon_order_up(struct hv_balloon_softc *sc,
	    const struct hv_balloon_up *bu);
void	hv_balloon_order_down(struct hv_balloon_softc *sc,
	    const struct hv_balloon_down *bd, size_t len);
/* There is room to send again. */
void	hv_balloon_room(struct hv_balloon_softc *sc);
void	hv_balloon_task(void *arg, int pending);
/*
 * The channel is closed and the task does not run: what had been ordered is
 * forgotten, and all pages are the kernel's again, for the host has backed
 * them by then; unless keep says that it is not known to have.
 */
void	hv_balloon_settle(struct hv_balloon_softc *sc, bool keep);

/* --- hv_balloon_vm.c --- */

struct hv_balloon_pressure {
	uint64_t	bp_free;
	uint64_t	bp_available;	/* free, or as good as free */
	uint64_t	bp_committed;	/* all others */
};

void	hv_balloon_pressure(struct hv_balloon_pressure *bp);
/* What a machine of this size needs to be available, pages. */
u_int	hv_balloon_floor(void);
/* No frame has as high a number. */
uint64_t hv_balloon_frames(void);
/*
 * How many of want pages can be given up now; *wait: more in a moment, when
 * the page daemon will have found them.
 */
u_int	hv_balloon_can_give(u_int floor, u_int want, bool *wait);
/*
 * A run of at most n pages; returns how many, 0: none.  *large, true at first:
 * there may be a large page left, which takes long to find out.
 */
u_int	hv_balloon_pages_alloc(u_int n, bool *large, uint64_t *frame);
void	hv_balloon_pages_free(uint64_t frame, u_int n);

#endif	/* !_HV_BALLOON_VAR_H_ */
