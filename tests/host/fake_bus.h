/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A recording stand-in for the bus below a device model: guest memory, a
 * clock that tests set, timers, sources, faults, and channels whose packets
 * are put in and taken out by hand.  It answers the functions of
 * host/vmbus/channel.h and nothing else; no rings, no messages.
 */

#ifndef TESTS_HOST_FAKE_BUS_H
#define	TESTS_HOST_FAKE_BUS_H

#include "vmbus/channel.h"

#define	FAKE_PKT_MAX	8192
#define	FAKE_PFNS	4096
#define	FAKE_RANGES	40

struct fake_pkt {
	uint16_t	 type;
	bool		 wants_completion;
	uint64_t	 xid;
	uint32_t	 len;
	uint8_t		 data[FAKE_PKT_MAX];
	unsigned	 nranges;
	struct hvh_range ranges[FAKE_RANGES];
	uint64_t	*pfns;		/* of all ranges, or NULL */
	uint32_t	 npfns;
	struct fake_pkt	*next;
};

struct fake_queue {
	struct fake_pkt	*head;
	struct fake_pkt	**tail;
	unsigned	 n;
};

/* Memory behind a GPADL. */
struct fake_share {
	struct hvh_shared s;
	uint32_t	 gpadl;
	uint8_t		**pages;
	unsigned	 holds;		/* a device has it */
	struct fake_share *next;
};

struct hvh_chan {
	struct hvh	*h;
	const struct hvh_chan_ops *ops;
	void		*dev;
	void		*data;
	struct hvh_offer offer;
	uint16_t	 subidx;
	bool		 open;
	bool		 revoked;
	unsigned	 closed;	/* calls of hvh_chan_closed() */
	unsigned	 room;		/* packets the guest's ring takes */
	int		 read_error;	/* of hvh_chan_read(), if not 0 */
	struct fake_queue in;
	struct fake_queue out;
	struct fake_pkt	*current;
	struct hvh_chan	*next;
};

struct hvh {
	uint8_t		*mem;
	uint64_t	 size;
	struct hvh_mem_region region;	/* the same */
	uint64_t	 now;
	uint64_t	 wall;		/* at now 0; moves with it */
	unsigned	 stalls;	/* of hvh_guest_time(), 8 ms each */
	struct hvh_stats stats;
	struct hvh_timer *timers;
	struct hvh_source *sources;
	struct hvh_chan	*chans;
	struct hvh_husk	*husks;
	struct fake_share *shares;
	struct hvh_fault faults[8];
	unsigned	 nfaults;
	unsigned	 subs_offered;
	int		 sub_error;
	unsigned	 released;
	unsigned	 kicks;
	bool		 locked;
	char		 log[256];	/* the last line */
};

struct hvh *fake_new(uint64_t memory);
void	fake_free(struct hvh *h);
/* Timers that are due and all sources, once. */
void	fake_pump(struct hvh *h);
/* Pumps, and waits for sources, until what *n counts has reached want. */
bool	fake_pump_until(struct hvh *h, const unsigned *n, unsigned want);

struct hvh_chan *fake_chan(struct hvh *h, uint16_t subidx);
int	fake_open(struct hvh_chan *ch);
void	fake_close(struct hvh_chan *ch);
/* Queues a packet from the guest; fake_signal() shows it to the device. */
struct fake_pkt *fake_put(struct hvh_chan *ch, uint16_t type, bool wants,
	    uint64_t xid, const void *data, uint32_t len);
void	fake_range(struct fake_pkt *p, uint64_t gpa, uint32_t len);
void	fake_signal(struct hvh_chan *ch);
/*
 * Guest memory at gpa as a GPADL; scattered: its pages in reverse order.  The
 * answer shows whether a device holds it.
 */
struct fake_share *fake_share(struct hvh *h, uint32_t gpadl, uint64_t gpa,
	    uint32_t npages, bool scattered);
/* The oldest packet to the guest, or NULL; the caller frees it. */
struct fake_pkt *fake_get(struct hvh_chan *ch);
void	fake_pkt_free(struct fake_pkt *p);

#endif	/* !TESTS_HOST_FAKE_BUS_H */
