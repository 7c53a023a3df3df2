/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Rings: the two halves of a channel's shared memory, seen from the guest.
 * Pure: no locks, no sleeping, no device; the caller serialises senders among
 * each other and has one receiver.  What the host writes is read once,
 * checked, and never trusted again (protocol: vmbus, 7).
 *
 * The data part of a ring is mapped twice, back to back, so that a packet is
 * contiguous wherever it starts: br_data[0 .. 2 * br_size) are valid.
 */

#ifndef _DEV_HYPERV_VMBUS_VMBUS_BRVAR_H_
#define	_DEV_HYPERV_VMBUS_VMBUS_BRVAR_H_

#include <machine/atomic.h>

#include <dev/hyperv/include/vmbus.h>
#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/vmbus/vmbus_reg.h>

/* Both rings of a channel in memory: guest to host first. */
struct vmbus_brmem {
	size_t		 bm_txsize;	/* ring bytes, control page included */
	size_t		 bm_rxsize;
	uint8_t		*bm_pages;	/* tx pages, then rx pages; shared */
	vm_offset_t	 bm_kva;	/* ring views, data mapped twice */
	vm_size_t	 bm_kvasize;
	struct vmbus_ring_ctl *bm_txctl;	/* in bm_kva */
	uint8_t		*bm_txdata;
	struct vmbus_ring_ctl *bm_rxctl;
	uint8_t		*bm_rxdata;
};

/* Sizes are page multiples of at least two pages.  ENOMEM.  Zeroed. */
int		vmbus_brmem_alloc(struct vmbus_brmem *bm, size_t txsize,
		    size_t rxsize);
/* Takes the views away; keep: the host may still write the pages. */
void		vmbus_brmem_free(struct vmbus_brmem *bm, bool keep);

/* A ring's largest packet with trailer: full is one unit less than size. */
#define	VMBUS_BR_MAXPKT(dsize)	((dsize) - VMBUS_PKT_UNIT)

struct vmbus_txbr {
	struct vmbus_ring_ctl *tb_ctl;
	uint8_t		*tb_data;
	uint32_t	 tb_size;	/* data bytes */
	uint32_t	 tb_in;		/* ours; the shared one is not read */
	uint32_t	 tb_out;	/* the host's, as last checked */
	/* Ours; 0: nobody waits for room.  Looked at without the lock. */
	uint32_t	 tb_pending;
	bool		 tb_bad;	/* the host wrote nonsense */
};

struct vmbus_rxbr {
	struct vmbus_ring_ctl *rb_ctl;
	const uint8_t	*rb_data;
	uint32_t	 rb_size;
	uint32_t	 rb_in;		/* the host's, as last checked */
	uint32_t	 rb_out;	/* ours, as published */
	uint32_t	 rb_pos;	/* next packet to look at */
	bool		 rb_bad;
};

void		vmbus_txbr_init(struct vmbus_txbr *tb,
		    struct vmbus_ring_ctl *ctl, uint8_t *data, uint32_t size);
void		vmbus_rxbr_init(struct vmbus_rxbr *rb,
		    struct vmbus_ring_ctl *ctl, const uint8_t *data,
		    uint32_t size);

/* Packet bytes in the ring, trailer included, from bytes before padding. */
static __inline uint32_t
vmbus_br_pktsize(uint32_t len)
{

	return (roundup2(len, VMBUS_PKT_UNIT) +
	    sizeof(struct vmbus_pkt_trailer));
}

/* Bytes between two indices of a ring. */
static __inline uint32_t
vmbus_br_used(uint32_t in, uint32_t out, uint32_t size)
{

	return (in >= out ? in - out : in + size - out);
}

static __inline uint32_t
vmbus_br_advance(uint32_t idx, uint32_t len, uint32_t size)
{

	idx += len;
	return (idx >= size ? idx - size : idx);
}

static __inline uint32_t
vmbus_txbr_free(const struct vmbus_txbr *tb)
{

	return (tb->tb_size -
	    vmbus_br_used(tb->tb_in, tb->tb_out, tb->tb_size));
}

/* The same where what the host had read when last looked at is not enough. */
int		vmbus_txbr_reserve_more(struct vmbus_txbr *tb, uint32_t size,
		    uint8_t **pp);

/*
 * Makes room for a packet of size bytes (vmbus_br_pktsize()) at *pp.
 *
 * 0		*pp takes size bytes; nothing is visible before commit.
 * EAGAIN	no room; the host has been asked to signal once there is.
 * EINVAL	larger than the ring will ever take.
 * EBADMSG	the host's index is impossible.
 */
static __inline int
vmbus_txbr_reserve(struct vmbus_txbr *tb, uint32_t size, uint8_t **pp)
{

	/* in == out means empty, so a packet must not fill the ring. */
	if (__predict_false(tb->tb_bad || vmbus_txbr_free(tb) <= size))
		return (vmbus_txbr_reserve_more(tb, size, pp));
	*pp = tb->tb_data + tb->tb_in;
	return (0);
}

/*
 * Writes the trailer and shows the packet to the host.  Returns whether the
 * host must be signalled.
 */
static __inline bool
vmbus_txbr_commit(struct vmbus_txbr *tb, uint32_t size)
{
	struct vmbus_pkt_trailer *pt;
	uint32_t old;

	old = tb->tb_in;
	pt = (struct vmbus_pkt_trailer *)(tb->tb_data + old + size -
	    sizeof(*pt));
	pt->pt_zero = 0;
	pt->pt_start = old;

	tb->tb_in = vmbus_br_advance(old, size, tb->tb_size);
	atomic_store_rel_32(&tb->tb_ctl->rc_in, tb->tb_in);
	atomic_thread_fence_seq_cst();
	/* 7.7: only a reader that has seen the ring empty can be asleep. */
	return (tb->tb_ctl->rc_mask == 0 && tb->tb_ctl->rc_out == old);
}

/*
 * Forgets the request for a signal if there is that much room by now.
 * Returns whether a sender may be waiting still.
 */
bool		vmbus_txbr_wakeup(struct vmbus_txbr *tb);

/* 0, EAGAIN or EBADMSG; rp_hdr and rp_data point into the ring. */
int		vmbus_rxbr_peek(struct vmbus_rxbr *rb, struct vmbus_rxpkt *rp);
/* Bytes looked at but not yet given back. */
static __inline uint32_t
vmbus_rxbr_held(const struct vmbus_rxbr *rb)
{

	return (rb->rb_pos >= rb->rb_out ? rb->rb_pos - rb->rb_out :
	    rb->rb_pos + rb->rb_size - rb->rb_out);
}
/*
 * Gives back what was looked at; with unmask, lets the host signal again.
 * *signal: the host waits for that room.  Returns whether there is more to
 * read; if so and unmask, the host is masked again.
 */
bool		vmbus_rxbr_release(struct vmbus_rxbr *rb, bool unmask,
		    bool *signal);

/* At the event: no signals while we read anyway. */
static __inline void
vmbus_rxbr_mask(struct vmbus_rxbr *rb)
{

	rb->rb_ctl->rc_mask = 1;
}

/* The host's rings say whether it waits for, and tells of, room. */
static __inline bool
vmbus_rxbr_host_flow(const struct vmbus_rxbr *rb)
{

	return ((rb->rb_ctl->rc_feature & VMBUS_RING_FEAT_PENDING) != 0);
}

#endif	/* !_DEV_HYPERV_VMBUS_VMBUS_BRVAR_H_ */
