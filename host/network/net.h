/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A network back end: somewhere Ethernet frames go to and come from.  It knows
 * nothing of RNDIS.  Everything is called in hvh_pump() or with the pump lock
 * held.
 *
 * To the back end: net_send() for each frame, net_run() after the last of a
 * batch.  The bytes are no longer needed when net_send() returns, whatever it
 * returns; they may be guest memory, which changes while it is read.
 *
 * From it: user->input() for each frame, user->input_end() after the last of a
 * batch, both only from the back end's own turn in the pump, never from within
 * net_send(), net_run() or net_resume().  A frame lies in one piece, in memory
 * that no guest can change, until input() returns.
 *
 * Frames are as on the wire, from the destination address to the last byte of
 * payload, VLAN tags within, no FCS; at least 14 bytes.  What one side leaves
 * for the other to do stands in struct net_meta; it only comes to those who
 * have said that they take it: net_caps() to the back end, net_accept() from
 * it.
 *
 * Layers (net_pcap.c, net_fault.c) are back ends upon back ends.
 */

#ifndef HVH_NETWORK_NET_H
#define	HVH_NETWORK_NET_H

#include <sys/uio.h>

#include "hvhost.h"
#include "vmbus/channel.h"

/* Largest frame: a GSO frame's 65535 bytes of IP, Ethernet, two VLAN tags. */
#define	NET_FRAME_MAX	(65535 + 14 + 8)
#define	NET_FRAME_MIN	14u

/* Frames a back end delivers in one turn, so that others get theirs. */
#define	NET_BUDGET	256

/* So long a back end may refuse frames for want of room; then it drops. */
#define	NET_STALL_NS	100000000ull

/* What may be left to do, for net_caps() and net_accept(). */
#define	NET_CAN_CSUM	0x1u	/* NET_NEEDS_CSUM */
#define	NET_CAN_TSO4	0x2u	/* NET_GSO_TCP4; implies CSUM */
#define	NET_CAN_TSO6	0x4u	/* NET_GSO_TCP6; implies CSUM */

/* meta.flags */
#define	NET_NEEDS_CSUM	0x1u
#define	NET_CSUM_VALID	0x2u	/* the innermost L4 checksum is right */
#define	NET_GSO_ECN	0x4u	/* CWR goes on the first segment only */

enum net_gso { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6 };

/*
 * NET_NEEDS_CSUM: the one's complement sum of the bytes from csum_start to the
 * end is to be put, inverted, at csum_start + csum_offset, where the sum of
 * the pseudo header (length included) stands already.
 *
 * A GSO frame always has NET_NEEDS_CSUM; IPv4 header checksum and total length
 * (IPv6: payload length) are right for the frame as a whole where they can be,
 * and each segment's are made anew.  Nobody believes the numbers: offsets are
 * checked against the frame by who uses them.
 */
struct net_meta {
	uint8_t		 flags;
	uint8_t		 gso;		/* enum net_gso */
	uint16_t	 hdr_len;	/* GSO: bytes before the payload */
	uint16_t	 gso_size;	/* GSO: payload bytes of a segment */
	uint16_t	 csum_start;	/* from the frame's first byte */
	uint16_t	 csum_offset;	/* from csum_start */
};

/* Who uses a back end: an adapter, or a layer. */
struct net_user {
	/*
	 * A frame.  False: there is no room for it; it is offered again after
	 * net_resume(), and nothing else comes until then.
	 */
	bool	(*input)(void *arg, const uint8_t *data, uint32_t len,
		    const struct net_meta *m);
	void	(*input_end)(void *arg);
	/* There is room again after net_send() said EAGAIN. */
	void	(*writable)(void *arg);
	/* net_link() has changed. */
	void	(*link)(void *arg);
};

struct net_ops {
	/* See net_send(); the length is right and within bounds. */
	int	(*send)(struct hvh_netbe *be, const struct iovec *iov, int niov,
		    uint32_t len, const struct net_meta *m);
	void	(*run)(struct hvh_netbe *be);
	void	(*resume)(struct hvh_netbe *be);
	/* be->accept has changed. */
	void	(*accept)(struct hvh_netbe *be);
	unsigned (*caps)(struct hvh_netbe *be);
	void	(*close)(struct hvh_netbe *be);
};

struct hvh_netbe {
	struct hvh	*h;
	const struct net_ops *ops;
	void		*priv;		/* the kind's own */
	char		*name;
	const struct net_user *user;	/* NULL: frames are thrown away */
	void		*user_arg;
	unsigned	 accept;	/* NET_CAN_* of what it may deliver */
	bool		 link;
	bool		 stalled;	/* the user owes net_resume() */
	bool		 told;		/* the user waits for writable() */
	bool		 dropping;	/* has been full for too long */
	struct hvh_timer stall;		/* full since NET_STALL_NS before */
	struct hvh_netbe *lower;	/* of a layer */
	struct hvh_netbe_stats stats;
};

/* --- For users --- */

/* One user at a time; frames come from now on.  NULL: no user any more. */
void	net_attach(struct hvh_netbe *be, const struct net_user *user,
	    void *arg);
/*
 * 0: taken; the bytes of iov are len in sum.  EAGAIN: no room, nothing was
 * taken, user->writable() comes (within NET_STALL_NS, if need be by dropping).
 * Anything else: the frame is lost, as on a wire: ENETDOWN, no link; EMSGSIZE,
 * shorter than NET_FRAME_MIN or longer than this back end can take;
 * EOPNOTSUPP, m asks for what net_caps() does not have.
 */
int	net_send(struct hvh_netbe *be, const struct iovec *iov, int niov,
	    uint32_t len, const struct net_meta *m);
/* Starts what net_send() has gathered. */
void	net_run(struct hvh_netbe *be);
/* input() has room again. */
void	net_resume(struct hvh_netbe *be);
/*
 * What the back end may leave to its user: NET_CAN_*, none at first.  Frames
 * on the way may still be as was accepted before.
 */
void	net_accept(struct hvh_netbe *be, unsigned can);
/* What may be left to the back end now; asked before each batch. */
unsigned net_caps(struct hvh_netbe *be);
bool	net_link(const struct hvh_netbe *be);
/* hvh_netbe_close() for a caller who holds the pump lock. */
void	net_close_locked(struct hvh_netbe *be);

/* --- For kinds of back ends (net.c) --- */

/* ENOMEM.  What ops->close undoes is not begun. */
int	net_new(struct hvh *h, const struct net_ops *ops, void *priv,
	    const char *name, struct hvh_netbe **bep);
/*
 * A layer upon lower, whose user it becomes, with priv as its argument; named
 * and linked as lower is.  ENOMEM.
 */
int	net_new_layer(struct hvh_netbe *lower, const struct net_ops *ops,
	    const struct net_user *user, void *priv, struct hvh_netbe **bep);
/* One that has not been used: without ops->close. */
void	net_free(struct hvh_netbe *be);
/* True: the frame is done with; false: keep it, net_resume() comes. */
bool	net_input(struct hvh_netbe *be, const uint8_t *data, uint32_t len,
	    const struct net_meta *m);
void	net_input_end(struct hvh_netbe *be);
void	net_writable(struct hvh_netbe *be);
void	net_set_link(struct hvh_netbe *be, bool up);
/* Copies at most size bytes of a frame; how many. */
uint32_t net_gather(void *buf, uint32_t size, const struct iovec *iov,
	    int niov);

/*
 * Frames in a ring of memory, each in one piece, with its meta.
 */
struct net_queue {
	uint8_t		*mem;
	uint32_t	 size;
	uint32_t	 in, out;	/* bytes from mem */
	uint32_t	 wrap;		/* nothing is behind it; if out > in */
	unsigned	 n;		/* frames */
};

struct net_queued {
	uint32_t	 len;
	struct net_meta	 meta;
	uint8_t		 data[];
};

int	net_queue_init(struct net_queue *q, uint32_t size);
void	net_queue_fini(struct net_queue *q);
/* False: there is no room. */
bool	net_queue_put(struct net_queue *q, const struct iovec *iov, int niov,
	    uint32_t len, const struct net_meta *m);
/* The oldest frame, or NULL. */
const struct net_queued *net_queue_head(const struct net_queue *q);
void	net_queue_pop(struct net_queue *q);
/*
 * A turn: at most NET_BUDGET frames to the user.  True: there are more, and
 * the user takes them.
 */
bool	net_queue_deliver(struct net_queue *q, struct hvh_netbe *be);

/* --- Kinds --- */

int	net_tap_open(struct hvh *h, const struct hvh_netbe_params *np,
	    struct hvh_netbe **bep, char *err, size_t errlen);
int	net_user_open(struct hvh *h, const struct hvh_netbe_params *np,
	    struct hvh_netbe **bep, char *err, size_t errlen);
int	net_sock_open(struct hvh *h, const struct hvh_netbe_params *np,
	    struct hvh_netbe **bep, char *err, size_t errlen);

#endif	/* !HVH_NETWORK_NET_H */
