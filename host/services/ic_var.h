/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * An integration service: its state, and what it needs of the common part.
 * No locks: all of it runs in hvh_pump() or with the pump lock held.
 *
 * ic.c		channel, negotiation, one request after the other
 * ic_mgmt.c	services come and go, what can be seen, plain orders
 * heartbeat.c shutdown.c timesync.c kvp.c vss.c fcopy.c
 *		a service each: its descriptor, its orders
 */

#ifndef HVH_SERVICES_IC_VAR_H
#define	HVH_SERVICES_IC_VAR_H

#include <sys/queue.h>

#include "services/ic_reg.h"
#include "vmbus/channel.h"

#define	IC_SECOND	1000000000ull
#define	IC_ORDERS_MAX	4096		/* that wait */
/* The largest body there is room for. */
#define	IC_BODY_MAX	(IC_MESSAGE_MAX + IC_PIPE_HEADER -		\
			    sizeof(struct ic_header))

/* What a request got.  status and body count with error 0 only. */
struct ic_answer {
	int		 error;		/* as struct hvh_ic_result */
	uint32_t	 status;
	const uint8_t	*body;
	uint32_t	 len;
};

/* A request, from its making to its answer. */
struct ic_order {
	STAILQ_ENTRY(ic_order) link;
	struct hvh_ic	*ic;
	uint64_t	 limit;		/* ns, from its turn on */
	/*
	 * Called once; the order is gone behind it.  What it orders next
	 * comes before what waits.
	 */
	void		(*answered)(struct ic_order *o,
			    const struct ic_answer *a);
	/* May be NULL: what is known only when there is room to send it. */
	void		(*fill)(struct ic_order *o);
	hvh_ic_done	*done;		/* may be NULL */
	void		*arg;
	uint32_t	 len;		/* of the body */
	uint8_t		*body;		/* in msg */
	uint8_t		 msg[];
};

STAILQ_HEAD(ic_orders, ic_order);

/* A service's descriptor. */
struct ic_service {
	const char	*name;
	const char	*class;
	const char	*instance;
	uint16_t	 type;
	const uint32_t	*versions;	/* newest first */
	unsigned	 nversions;
	size_t		 own_size;	/* of hvh_ic.own */
	/* May be NULL: made; versions agreed; no more (orders have ended). */
	void		(*init)(struct hvh_ic *ic);
	void		(*up)(struct hvh_ic *ic);
	void		(*down)(struct hvh_ic *ic);
};

struct hvh_ic {
	struct hvh	*h;
	struct hvh_chan	*chan;		/* the offer, NULL: gone */
	const struct ic_service *service;
	enum hvh_ic_kind kind;
	void		*own;		/* the service's */
	uint32_t	 max_framework;
	uint32_t	 max_version;

	enum hvh_ic_state state;
	uint32_t	 framework;
	uint32_t	 version;
	bool		 ask;		/* for versions, when it can be */
	bool		 asked;
	uint64_t	 ask_xid;
	unsigned	 asks;		/* times it has been sent */
	struct hvh_timer ask_timer;

	uint64_t	 xid;		/* of the last request */
	struct ic_orders orders;	/* the first has its turn */
	unsigned	 norders;
	struct ic_orders next;		/* made while one is answered */
	bool		 answering;
	bool		 turn;		/* the first one's limit runs */
	bool		 sent;		/* and it is in the ring */
	uint64_t	 sent_at;
	struct hvh_timer timer;

	struct hvh_ic_info info;	/* the counters */
	bool		 grumbled;	/* since it was opened */
	bool		 removed;	/* the owner has given it up */
	struct hvh_husk	 husk;
	LIST_ENTRY(hvh_ic) link;
};

extern const struct hvh_chan_ops ic_chan_ops;
extern const struct ic_service ic_heartbeat;
extern const struct ic_service ic_shutdown;
extern const struct ic_service ic_timesync;
extern const struct ic_service ic_kvp;
extern const struct ic_service ic_vss;
extern const struct ic_service ic_fcopy;

/* --- ic.c --- */

/* A body of len zeros.  NULL: no memory. */
struct ic_order *ic_order_new(struct hvh_ic *ic, uint32_t len, uint64_t limit,
	    void (*answered)(struct ic_order *o, const struct ic_answer *a));
/* Of one that is not submitted. */
void	ic_order_free(struct ic_order *o);
/* It gets another type than the service's. */
void	ic_order_type(struct ic_order *o, uint16_t type);
/* Takes over o in any case.  ENODEV, ENOTCONN, EAGAIN; ENOMEM: o is NULL. */
int	ic_submit(struct ic_order *o);
/* Sends what can be sent. */
void	ic_run(struct hvh_ic *ic);
void	ic_fail_all(struct hvh_ic *ic, int error);
void	ic_grumble(struct hvh_ic *ic, const char *what);

/* --- ic_mgmt.c --- */

void	ic_released(void *dev);
/* Of plain orders: the answer as it is becomes the result. */
void	ic_plain(struct ic_order *o, const struct ic_answer *a);
void	ic_result(const struct ic_answer *a, struct hvh_ic_result *r);
/* It is an error after all, and nothing else. */
void	ic_result_error(struct hvh_ic_result *r, int error);
/*
 * For management functions: locks; is this a service of that kind that is
 * there?  0, or unlocked again with an errno to return.
 */
int	ic_enter(struct hvh_ic *ic, enum hvh_ic_kind kind);
/* Unlocks; returns error. */
int	ic_leave(struct hvh_ic *ic, int error);

#endif	/* !HVH_SERVICES_IC_VAR_H */
