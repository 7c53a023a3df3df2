/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the files that join the VMBus server to a partition share: bus.c
 * (messages, signals, rounds of the pump), channel.c (devices), chan_io.c
 * (packets), monitor.c, fault.c.
 *
 * Lock key: (p) the pump lock, (q) b_in_mtx, (a) atomic, (c) constant.
 * Order: pump lock > b_in_mtx.
 */

#ifndef HVH_BUS_H
#define	HVH_BUS_H

#include "hypervisor/partition.h"
#include "vmbus/channel.h"
#include "vmbus/linger.h"
#include "vmbus/moderate.h"
#include "vmbus/ring.h"
#include "vmbus/server.h"

/* Guest messages that may wait; the hypercall says "try again" beyond. */
#define	BUS_IN_MAX	64
/* Messages to the guest beyond which its own are not looked at. */
#define	BUS_OUT_MAX	64
/* Packets of one channel in one round of the pump. */
#define	BUS_PACKETS_A_ROUND	256
#define	BUS_WORDS	(VMS_CHANNELS / 64)

/* A channel message on its way, either direction. */
struct hvh_bus_msg {
	struct hvh_bus_msg *m_next;
	struct hvh_bus	*m_bus;
	struct hvh_timer m_timer;	/* delayed by a fault */
	bool		 m_out;
	bool		 m_multi;	/* in: through connection 4 */
	uint8_t		 m_sint;	/* out */
	uint32_t	 m_vp;		/* that sent it, or gets it */
	uint32_t	 m_type;	/* of the hypercall; in */
	uint32_t	 m_len;
	uint64_t	 m_delay;	/* in: a fault of the hypercall, ns */
	bool		 m_hold;	/* in: the same */
	uint8_t		 m_data[VMS_MSG_MAX] __attribute__((aligned(8)));
};

struct hvh_bus {
	struct hvh	*b_h;				/* (c) */
	struct vms_server b_server;			/* (p) */

	pthread_mutex_t	 b_in_mtx;
	struct hvh_bus_msg b_in[BUS_IN_MAX];		/* (q) a ring */
	unsigned	 b_in_head, b_in_len;		/* (q) */

	struct hvh_bus_msg *b_out;	/* (p) said by the server, not sent */
	struct hvh_bus_msg **b_out_tail;
	struct hvh_bus_msg *b_delayed;	/* (p) by a fault's timer */
	struct hvh_bus_msg *b_held[2];	/* (p) in, out: until the next */
	unsigned	 b_grumbled;	/* (p) log lines about this guest */

	_Atomic uint64_t b_listen[BUS_WORDS];	/* (a) open channels */
	_Atomic uint64_t b_signalled[BUS_WORDS]; /* (a) by the guest */
	_Atomic bool	 b_event_listen;	/* (a) connection 2 exists */
	_Atomic bool	 b_event;		/* (a) and was signalled */
	uint64_t	 b_again[BUS_WORDS];	/* (p) of our own accord */

	uint64_t	 b_round;		/* (p) */
	struct hvh_chan	*b_touched;	/* (p) to be flushed */
	struct hvh_chan	*b_closed;	/* (p) devices have answered */
	struct hvh_husk	*b_husks;	/* (p) */
	uint64_t	 b_rescind[BUS_WORDS];	/* (p) by a fault, due */
	struct hvh_timer b_monitor;	/* (p) */
	bool		 b_monitor_on;	/* (p) */
	unsigned	 b_open;	/* (p) channels */
};

/* A packet kept by a fault. */
struct hvh_kept {
	struct hvh_kept	*k_next;
	struct hvh_chan	*k_chan;
	struct hvh_timer k_timer;
	bool		 k_out;
	uint32_t	 k_len;		/* in: whole packet; out: data */
	struct vms_pkt	 k_desc;	/* out */
	uint64_t	 k_data[];
};

/* A channel; all (p). */
struct hvh_chan {
	struct vms_chan	 ch_vms;	/* first: the server's */
	struct hvh	*ch_h;
	struct hvh_bus	*ch_bus;
	const struct hvh_chan_ops *ch_ops;
	void		*ch_dev;
	void		*ch_data;
	struct hvh_chan	*ch_primary;	/* itself, if it is one */
	unsigned	 ch_refs;	/* of a primary: it and its subs */

	bool		 ch_open;	/* between ops->open and ops->close */
	bool		 ch_io;		/* and the rings are good */
	uint32_t	 ch_listen_id;	/* the id it was opened under */
	bool		 ch_closing;	/* on b_closed */
	struct hvh_chan	*ch_closed_next;
	bool		 ch_touched;	/* on b_touched */
	struct hvh_chan	*ch_touched_next;
	struct hvh_ring	 ch_in, ch_out;
	uint64_t	 ch_round;	/* ch_budget is of this round */
	unsigned	 ch_budget;
	uint8_t		*ch_buf;	/* the packet read last */
	uint32_t	 ch_bufsize;
	struct hvh_range *ch_ranges;	/* and its ranges */
	uint32_t	 ch_nranges;	/* allocated */
	uint32_t	 ch_waiting;	/* bytes of room waited for */
	bool		 ch_signal;	/* a signal to the guest is due */
	struct hvh_linger ch_linger;	/* when it is told */
	bool		 ch_bursty;	/* the user has been told to listen */
	struct hvh_moderate ch_moderate;
	struct hvh_timer ch_tick;	/* the end of its period, if there is
					 * much to do */
	bool		 ch_ticked;
	struct hvh_timer ch_look;	/* after the opening */
	struct hvh_timer ch_retry;	/* while waiting for room */
	struct hvh_timer ch_late;	/* a signal that a fault delays */

	uint64_t	 ch_packets_in, ch_packets_out;	/* statistics */
	uint64_t	 ch_bytes_in, ch_bytes_out;
	uint64_t	 ch_signals_in, ch_signals_out, ch_saved;

	struct hvh_kept	*ch_inject;	/* to be read next */
	struct hvh_kept	*ch_delayed;
	struct hvh_kept	*ch_held[2];	/* in, out */
};

static inline struct hvh_chan *
hvh_chan_of(struct vms_chan *c)
{

	return ((struct hvh_chan *)c);
}

static inline void
hvh_bus_again(struct hvh_bus *b, uint32_t id)
{

	b->b_again[id / 64] |= 1ull << id % 64;
}

/* bus.c */
/* Tells the user whose signals we want from now on. */
void	hvh_bus_listen(struct hvh_bus *b, uint32_t connection, bool on);
void	hvh_bus_drain(struct hvh_bus *b);
/* Raises the channel's event at the guest. */
void	hvh_bus_event(struct hvh_chan *ch);
/* To the guest, past the faults; to the server, past the faults. */
void	hvh_bus_deliver(struct hvh_bus *b, const struct hvh_bus_msg *m);
void	hvh_bus_accept(struct hvh_bus *b, const struct hvh_bus_msg *m);

/* look.c: shows the user an event, if he looks (h_ops.trace). */
void	hvh_trace(struct hvh *h, enum hvh_trace_kind kind, bool out,
	    uint32_t chan, uint32_t vp, const void *data, size_t len);
/* A packet of ours, whose length is in its descriptor. */
void	hvh_trace_put(struct hvh_chan *ch, const struct vms_pkt *desc,
	    const void *data, uint32_t len);

/* channel.c: the server's view of devices. */
void	hvh_chan_vms_open(void *arg, struct vms_chan *c);
void	hvh_chan_vms_close(void *arg, struct vms_chan *c);
void	hvh_chan_vms_gone(void *arg, struct vms_chan *c);
/* Tells the server of devices that are done. */
void	hvh_chan_answers(struct hvh_bus *b);

/* chan_io.c */
int	hvh_chan_io_start(struct hvh_chan *ch);
void	hvh_chan_io_stop(struct hvh_chan *ch);
void	hvh_chan_dispatch(struct hvh_chan *ch, bool guest);
void	hvh_chan_flush_all(struct hvh_bus *b);
void	hvh_chan_bursty(struct hvh_chan *ch, bool on);
int	hvh_chan_put(struct hvh_chan *ch, const struct vms_pkt *desc,
	    const void *data, uint32_t len);

/* monitor.c */
void	hvh_monitor_start(struct hvh_bus *b);
void	hvh_monitor_stop(struct hvh_bus *b);

/* fault.c, for messages: false: the message was taken. */
bool	hvh_fault_active(struct hvh *h);
bool	hvh_fault_message(struct hvh_bus *b, struct hvh_bus_msg *m,
	    bool *twice);
void	hvh_fault_keep_message(struct hvh_bus *b, const struct hvh_bus_msg *m,
	    bool hold, uint64_t delay);
/* The message held back before this one goes now. */
void	hvh_fault_passed(struct hvh_bus *b, bool out);
/* Those to the guest, and with in those from it. */
void	hvh_fault_forget_messages(struct hvh_bus *b, bool in);

/*
 * fault.c, for packets.  In: the packet is in ch_buf, bytes long; returns
 * false: as if it had not come.  Out: true: goes on, with data perhaps
 * replaced by the copy in *copy, which the caller frees.
 */
bool	hvh_fault_packet_in(struct hvh_chan *ch, uint32_t *bytes);
bool	hvh_fault_packet_out(struct hvh_chan *ch, const struct vms_pkt *desc,
	    const void **data, uint32_t *len, void **copy, bool *twice);
void	hvh_fault_passed_packet(struct hvh_chan *ch, bool out);
/* The next packet to be read that a fault kept, into ch_buf; its bytes. */
uint32_t hvh_fault_injected(struct hvh_chan *ch);
void	hvh_fault_forget_packets(struct hvh_chan *ch);

/* Makes ch_buf hold bytes; ENOMEM. */
int	hvh_chan_reserve(struct hvh_chan *ch, uint32_t bytes);

#endif	/* !HVH_BUS_H */
