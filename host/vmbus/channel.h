/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The host's side of a channel, as a device model (VSP) sees it.  All
 * functions and all callbacks run in hvh_pump() or with the partition's pump
 * lock held: a device needs no lock of its own.
 */

#ifndef HVH_CHANNEL_H
#define	HVH_CHANNEL_H

#include <sys/uio.h>

#include "hvhost.h"

struct hvh_chan;

struct hvh_chan_ops {
	/*
	 * The guest opened the channel; its rings are ready.  0: accepted; an
	 * errno: refused.  udata: the 120 bytes of the guest's message.
	 */
	int	(*open)(void *dev, struct hvh_chan *ch, const uint8_t *udata);
	/*
	 * The guest closed the channel, or the connection went away.  The
	 * device calls hvh_chan_closed() once it has let go of the rings and
	 * of guest memory, at once or later (I/O under way).
	 */
	void	(*close)(void *dev, struct hvh_chan *ch);
	/* The guest signalled: packets, or room in its incoming ring. */
	void	(*signal)(void *dev, struct hvh_chan *ch);
	/*
	 * The guest has released a rescinded device (or the connection is
	 * gone): the last call for a channel of it, once for the device.
	 */
	void	(*released)(void *dev);
};

struct hvh_offer {
	struct hvh_guid	 type;
	struct hvh_guid	 instance;
	uint16_t	 flags;		/* protocol: vmbus, 2.3 */
	uint8_t		 udata[120];
	bool		 monitored;	/* wants monitored notification */
	uint16_t	 order;		/* among devices of the same type */
};

/*
 * Makes a device known.  It is offered when the guest asks for offers, or at
 * once if it has.  ENOSPC: no channel id left.
 */
int	hvh_chan_offer(struct hvh *h, const struct hvh_offer *of,
	    const struct hvh_chan_ops *ops, void *dev, struct hvh_chan **ch);
/*
 * Offers count sub-channels of an open primary, indices from 1 on.  They go
 * when the primary closes and must be offered again then.  EBUSY: there are
 * some already; ENOTSUP: bus version below 2.4; ENOSPC.
 */
int	hvh_chan_offer_sub(struct hvh_chan *primary, unsigned count);
/* Takes the device away: all its channels are closed and rescinded. */
void	hvh_chan_revoke(struct hvh_chan *primary);
bool	hvh_chan_revoked(const struct hvh_chan *ch);

/*
 * What the owner of a device still holds when the guest has let go of it: it
 * goes when the owner says so, or with the partition.
 */
struct hvh_husk {
	struct hvh_husk	*next;
	void		(*free)(struct hvh_husk *k);
};

void	hvh_husk_add(struct hvh *h, struct hvh_husk *k);
void	hvh_husk_take(struct hvh *h, struct hvh_husk *k);

/* The device has let go of a channel after ops->close. */
void	hvh_chan_closed(struct hvh_chan *ch);

uint32_t hvh_chan_id(const struct hvh_chan *ch);
uint16_t hvh_chan_subidx(const struct hvh_chan *ch);
bool	hvh_chan_is_open(const struct hvh_chan *ch);
struct hvh *hvh_chan_partition(struct hvh_chan *ch);
void	hvh_chan_set_data(struct hvh_chan *ch, void *data);
void   *hvh_chan_data(struct hvh_chan *ch);

/*
 * Memory that the guest has shared through this channel: a GPADL of one range
 * of whole pages.  It is the device's until it lets go, which it does before
 * hvh_chan_closed() at the latest; a teardown of the guest's is answered
 * then.  NULL: there is none of this number, or it is another sort.
 */
struct hvh_shared {
	uint8_t *const	*pages;		/* host pointers, of 4096 bytes each */
	uint8_t		*flat;		/* the whole, if contiguous here */
	uint32_t	 npages;
};
const struct hvh_shared *hvh_chan_share(struct hvh_chan *ch, uint32_t gpadl);
void	hvh_chan_unshare(struct hvh_chan *ch, const struct hvh_shared *s);

/* A range of guest memory named in a packet; page numbers are not checked. */
struct hvh_range {
	uint32_t	 len;		/* bytes, not 0 */
	uint32_t	 ofs;		/* < 4096 */
	uint32_t	 npfn;		/* ceil((ofs + len) / 4096) */
	const uint64_t	*pfn;
};

/*
 * A packet from the guest: private copies, valid until the next read from
 * the same channel.
 */
struct hvh_pkt {
	uint16_t	 type;		/* 6 in-band, 9 GPA, 11 completion */
	bool		 wants_completion;
	uint64_t	 xid;
	const uint8_t	*data;		/* payload */
	uint32_t	 len;
	const struct hvh_range *ranges;
	uint32_t	 nranges;
};

/*
 * 0: a packet; EAGAIN: none, the guest will signal; EBADMSG: the ring is
 * corrupt, the channel is shut to the device and stays so until closed.
 */
int	hvh_chan_read(struct hvh_chan *ch, struct hvh_pkt *pkt);
/*
 * Puts a packet (6 in-band, 7 transfer pages, 11 completion) into the ring.
 * Type 7: data begins with the set id and the ranges (protocol: vmbus, 7.5).
 * EAGAIN: no room, ops->signal comes when there is; EBADMSG: as above.
 * The guest sees a signal, if one is due, at hvh_chan_flush() or at the end
 * of the pump's round.
 */
int	hvh_chan_write(struct hvh_chan *ch, uint16_t type, uint16_t flags,
	    uint64_t xid, const void *data, uint32_t len);
/* Room for a packet of len payload bytes? */
bool	hvh_chan_room(struct hvh_chan *ch, uint32_t len);
/* What the device calls a packet goes to the guest, or came: see moderate.h. */
void	hvh_chan_carried(struct hvh_chan *ch, bool out);
void	hvh_chan_flush(struct hvh_chan *ch);

/* --- Guest memory (hypervisor/gpa.c): the one checked translation. --- */

/* An address the guest supplied; not an integer, so that nobody adds to a
 * host pointer by mistake. */
typedef struct {
	uint64_t	gpa;
} hvh_gpa_t;

/* What there is of it. */
const struct hvh_mem_region *hvh_gpa_regions(struct hvh *h, unsigned *n);
/* Host pointer for len bytes at gpa within one region, or NULL. */
void   *hvh_gpa_ptr(struct hvh *h, hvh_gpa_t gpa, uint64_t len);
/* Whole or nothing; EFAULT. */
int	hvh_gpa_read(struct hvh *h, hvh_gpa_t gpa, void *buf, size_t len);
int	hvh_gpa_write(struct hvh *h, hvh_gpa_t gpa, const void *buf,
	    size_t len);
/*
 * Turns len bytes of a range, from skip on, into at most max pieces of host
 * memory, neighbouring pages joined.  EFAULT: a page is not guest memory, or
 * the range is shorter; ENOSPC: more than max pieces.
 */
int	hvh_range_iov(struct hvh *h, const struct hvh_range *r, uint64_t skip,
	    uint64_t len, struct iovec *iov, int max, int *niov);

/* --- Timers and deferred work of the pump --- */

struct hvh_timer {
	uint64_t	 at;		/* ops->now; 0: not set */
	void		(*fn)(void *arg);
	void		*arg;
	struct hvh_timer *next;		/* the pump's */
};
void	hvh_timer_set(struct hvh *h, struct hvh_timer *t, uint64_t at);
void	hvh_timer_clear(struct hvh *h, struct hvh_timer *t);

/*
 * Something of the device's own to look at in each round of the pump, and
 * the fd that tells of it (added to hvh_pump_fd()'s set; -1: none).
 */
struct hvh_source {
	void		(*poll)(void *arg);
	void		*arg;
	int		 fd;
	struct hvh_source *next;
};
int	hvh_source_add(struct hvh *h, struct hvh_source *s);
void	hvh_source_remove(struct hvh *h, struct hvh_source *s);

/*
 * The pump lock, for a device's management functions (hvh_scsi_attach() and
 * its like), which come from any thread.  Not recursive; never taken in a
 * callback.  Unlocking kicks the pump, which then sees to what was left to do;
 * hvh_kick() asks for a round of it, from anywhere.  The quiet way is for those
 * who have left the pump nothing to do: no back end run, no packet written.
 */
void	hvh_lock(struct hvh *h);
void	hvh_unlock(struct hvh *h);
void	hvh_unlock_quiet(struct hvh *h);
void	hvh_kick(struct hvh *h);

uint64_t hvh_now(struct hvh *h);
/* The wall clock, Unix nanoseconds; the guest's reference time, 100 ns. */
uint64_t hvh_wall_time(struct hvh *h);
uint64_t hvh_guest_time(struct hvh *h);
void	hvh_log(struct hvh *h, enum hvh_log_level level, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/*
 * Faults: asks whether one strikes here; fills *f with it and counts it.
 * The caller does what the action says.
 */
bool	hvh_fault_strikes(struct hvh *h, enum hvh_fault_point point,
	    uint32_t key, struct hvh_fault *f);
/* Does CORRUPT, TRUNCATE and CALL on a private copy. */
void	hvh_fault_apply(const struct hvh_fault *f, void *data, size_t *len);

/* Statistics that devices keep; pump context. */
struct hvh_stats *hvh_stats(struct hvh *h);

#endif	/* !HVH_CHANNEL_H */
