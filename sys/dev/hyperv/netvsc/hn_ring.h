/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The rings of the data path: what is on its way to the host, what came from
 * it, and what of that is with the stack.  Included by hn_var.h, where the lock
 * key is.
 */

#ifndef _HN_RING_H_
#define	_HN_RING_H_

#include <sys/param.h>
#include <sys/bus.h>
#include <sys/buf_ring.h>
#include <sys/lock.h>
#include <sys/mbuf.h>
#include <sys/mutex.h>
#include <sys/taskqueue.h>

#include <machine/bus.h>

#include <net/if.h>
#include <net/if_var.h>

#include <netinet/in.h>
#include <netinet/tcp_lro.h>

#include <dev/hyperv/include/vmbus.h>

struct hn_softc;
struct hn_rxbuf;
struct hn_rx_ring;

/*
 * A packet, or several in one section, that the host has or will have.  Who
 * fills it in holds txr_mtx; from the moment it is sent (its state says so) it
 * is the channel callback's, which gives it back by txr_done.
 */
struct hn_txdesc {
	struct mbuf	*txd_m;		/* data, NULL if in a section */
	bus_dmamap_t	 txd_map;	/* (a) holds txd_m, if there is one */
	uint32_t	 txd_index;	/* (a) in txr_desc */
	uint32_t	 txd_gen;	/* which use of it */
	uint32_t	 txd_state;	/* (A) HN_TXD_ */
#define	HN_TXD_FREE	0		/* or being filled in */
#define	HN_TXD_SENT	1		/* the host has it, or soon will */
#define	HN_TXD_LOST	2		/* the host never gave it back */
	uint32_t	 txd_pkts;	/* for counters */
	uint8_t		*txd_sect;	/* (n) section of its own, or NULL */
	uint8_t		*txd_hdr;	/* (a) HN_TX_HDR_ROOM, in one page */
	bus_addr_t	 txd_hdr_paddr;	/* (a) */
};

/* RNDIS header and the frame's headers of what is not copied as a whole. */
#define	HN_TX_HDR_ROOM		256
/*
 * Segments of a packet; with its header they are as many pieces as any host
 * takes.
 */
#define	HN_TX_SEGS_MAX		31

struct hn_tx_ring {
	struct mtx	 txr_mtx;
	struct hn_softc	*txr_sc;	/* (a) */
	u_int		 txr_idx;	/* (a) and that of its RX ring */
	struct vmbus_channel *txr_ch;	/* (t) NULL: closed */
	bool		 txr_suspended;	/* (t) nothing may be sent */
	u_int		 txr_kicked;	/* (A) look again, who has txr_mtx */
	u_int		 txr_draining;	/* (A) someone waits for completions */
	struct buf_ring	*txr_br;	/* (a) packets handed in */
	struct task	 txr_task;	/* goes on where a sender gave up */
	struct vmbus_signal txr_signal;	/* (t) due when txr_mtx is dropped */

	/* Descriptors: those with a section and those without, as stacks. */
	struct hn_txdesc *txr_desc;	/* (a) all of them */
	u_int		 txr_ndesc;	/* (a) */
	uint32_t	*txr_free[2];	/* (t) indices; HN_TXF_ */
	u_int		 txr_nfree[2];	/* (t) */
#define	HN_TXF_BARE	0
#define	HN_TXF_SECT	1
	uint32_t	*txr_done;	/* completed: from the callback to the
					 * sender; txr_donemask + 1 entries */
	u_int		 txr_donemask;	/* (a) */
	u_int		 txr_donecons;	/* (t) */
	u_int		 txr_nsent;	/* (t) as txr_doneprod counts */
	uint8_t		*txr_hdrs;	/* (a) all of txd_hdr */
	bus_dma_tag_t	 txr_tag;	/* (a) frames */

	/* What is under way to the ring: at most one of the two. */
	struct hn_txdesc *txr_agg;	/* (t) section being filled */
	uint32_t	 txr_agg_len;	/* (t) bytes in it */
	struct hn_txdesc *txr_wait;	/* (t) no room for it so far */
	u_int		 txr_nseg;	/* (t) its memory */
	struct vmbus_gpa_seg txr_seg[HN_TX_SEGS_MAX + 1];	/* (t) */

	/* Limits of what goes into one section (n). */
	struct hn_agg_limits {
		uint32_t al_size;	/* bytes */
		uint32_t al_pkts;	/* messages, 1: no aggregation */
		uint32_t al_align;	/* of each, bytes, power of two */
	}		 txr_lim;
	uint32_t	 txr_copy_max;	/* larger messages are not copied */
	uint32_t	 txr_sect_base;	/* first section of this ring */
	uint32_t	 txr_nsect;	/* how many are its own */
	uint32_t	 txr_sectsz;	/* bytes of one */

	/* Statistics (t) */
	uint64_t	 txr_pkts;
	uint64_t	 txr_sends;	/* packets of the bus */
	uint64_t	 txr_no_descs;
	uint64_t	 txr_send_failed;
	uint64_t	 txr_dma_failed;
	uint64_t	 txr_collapsed;
	uint64_t	 txr_copied;	/* into sections */
	uint64_t	 txr_copy_tried;
	uint64_t	 txr_flush_failed;

	/* The channel callback's side and its statistics (r). */
	u_int		 txr_doneprod __aligned(CACHE_LINE_SIZE); /* (A) */
	uintptr_t	 txr_td;	/* (A) its thread while it runs, or 0 */
	u_int		 txr_held;	/* packets handed in by it meanwhile */
	uint64_t	 txr_bad;	/* completions that made no sense */
	uint64_t	 txr_rejected;	/* completions that say failure */
} __aligned(CACHE_LINE_SIZE);

/*
 * A transfer of the host some of whose packets went into the stack where they
 * lie.  Acknowledged when the last of them has been freed.
 */
struct hn_loan {
	struct hn_loan	*ln_next;	/* in one of three lists */
	struct hn_rx_ring *ln_rxr;	/* (a) */
	struct hn_rxbuf	*ln_rxbuf;	/* one reference */
	uint64_t	 ln_xid;
	u_int		 ln_refs;	/* (A) packets, and the callback */
	u_int		 ln_session;	/* as in rxr_session */
	u_int		 ln_pieces;	/* of the buffer that it occupies */
};

#define	HN_RX_ACKS	2048		/* acknowledgements held back: as many
					 * as a host has pieces for a ring */
#define	HN_RX_ACK_BATCH	64		/* those that wait for no callback */

struct hn_rx_ring {
	struct hn_softc	*rxr_sc;	/* (a) */
	struct hn_tx_ring *rxr_txr;	/* (a) of the same channel */
	u_int		 rxr_idx;	/* (a) */
	struct vmbus_channel *rxr_ch;	/* (r) NULL: closed */
	uint32_t	 rxr_id;	/* (n) of the channel */
	bool		 rxr_dead;	/* (r) ring broken, said so */
	struct lro_ctrl	 rxr_lro;	/* (r) */
	bool		 rxr_lro_init;	/* (a) */
	u_int		 rxr_hash;	/* (A) NDIS_HASH_ that are trusted */

	/* Acknowledgements that are due (r). */
	u_int		 rxr_batch;	/* frames since the callback began */
	u_int		 rxr_due;	/* pieces that those are of */
	u_int		 rxr_nacks;
	struct hn_ack {
		uint64_t ak_xid;
		uint32_t ak_status;	/* HN_NVS_STATUS_ */
	}		*rxr_ack;	/* (a) HN_RX_ACKS of them */
	struct vmbus_signal rxr_signal;

	/* Loans: from free to a packet, back to returned, acked, and free. */
	struct hn_loan	*rxr_loans;	/* (a) all of them */
	u_int		 rxr_nloans;	/* (a) */
	struct hn_loan	*rxr_free;	/* (r) */
	u_int		 rxr_piece_max;	/* (n) pieces that may be out */
	u_int		 rxr_ack_batch;	/* (A) pieces not waited with */
	u_int		 rxr_session;	/* (A) */
	u_int		 rxr_draining;	/* (A) someone waits for loans */
	uintptr_t	 rxr_returned __aligned(CACHE_LINE_SIZE); /* (A) */
	uintptr_t	 rxr_acked;	/* (A) */
	u_int		 rxr_nreturned;	/* (A) */
	u_int		 rxr_pieces;	/* (A) that are out, or not acked */
	u_int		 rxr_out;	/* (A) loans out */

	/* Statistics (r) */
	uint64_t	 rxr_pkts;
	uint64_t	 rxr_csum_ip;
	uint64_t	 rxr_csum_tcp;
	uint64_t	 rxr_csum_udp;
	uint64_t	 rxr_csum_trusted;
	uint64_t	 rxr_lro_tried;
	uint64_t	 rxr_small;	/* copied: small */
	uint64_t	 rxr_copied;	/* copied: buffer was running dry */
	uint64_t	 rxr_loaned;	/* not copied */
	uint64_t	 rxr_rss_pkts;
	uint64_t	 rxr_rsc_pkts;
	uint64_t	 rxr_rsc_drop;
	uint64_t	 rxr_ack_failed;
	uint64_t	 rxr_bad;	/* what a host should not send */
} __aligned(CACHE_LINE_SIZE);

/*
 * hn_tx.c.
 */

/* Looks whether something can be sent, unless someone is doing that now. */
void	hn_tx_kick(struct hn_tx_ring *txr);
void	hn_tx_task(void *arg, int pending);
/* For a kernel that has stopped: a packet at once, or EAGAIN. */
int	hn_tx_now(struct hn_tx_ring *txr, struct mbuf *m);

/*
 * Descriptors, with txr_mtx.  hn_txd_get() gives one with a section
 * (HN_TXF_SECT), or better without (HN_TXF_BARE), NULL if all are out.
 * hn_txd_send() sends len bytes of the section,
 * or with len 0 txr_seg; on failure, EAGAIN or ENXIO, the descriptor is the
 * caller's still.  hn_txd_unload() frees the frame and leaves the rest.
 */
struct hn_txdesc *hn_txd_get(struct hn_tx_ring *txr, u_int kind);
void	hn_txd_put(struct hn_tx_ring *txr, struct hn_txdesc *txd);
int	hn_txd_send(struct hn_tx_ring *txr, struct hn_txdesc *txd,
	    uint32_t len);
void	hn_txd_unload(struct hn_tx_ring *txr, struct hn_txdesc *txd);

/*
 * hn_tx_encap.c: makes a frame a message and sends it or puts it where the
 * next one joins it; with txr_mtx.  0: the mbuf is taken, if only to be
 * dropped; EAGAIN: it is not, there is no room now.
 */
int	hn_tx_encap(struct hn_tx_ring *txr, struct mbuf *m);

/*
 * hn_tx_agg.c: messages in a section, with txr_mtx.  hn_agg_room() says where a
 * message of len bytes goes, NULL if nowhere now; hn_agg_add() takes it in;
 * hn_agg_flush() sends the section: 0, or EAGAIN and it waits.
 */
uint8_t	*hn_agg_room(struct hn_tx_ring *txr, uint32_t len);
void	hn_agg_add(struct hn_tx_ring *txr, uint32_t len);
int	hn_agg_flush(struct hn_tx_ring *txr);
/* The sender has nothing more now. */
void	hn_agg_end(struct hn_tx_ring *txr);

/* Pure. */
void	hn_agg_limits(struct hn_agg_limits *al, uint32_t sectsz,
	    uint32_t host_size, uint32_t host_pkts, uint32_t host_align,
	    int user_size, int user_pkts);
bool	hn_agg_fits(const struct hn_agg_limits *al, uint32_t used,
	    uint32_t pkts, uint32_t len);

/* Sends that the host has not completed; with txr_mtx. */
static __inline u_int
hn_tx_outstanding(struct hn_tx_ring *txr)
{

	return (txr->txr_nsent - atomic_load_acq_int(&txr->txr_doneprod));
}

/* hn_rx.c: one acknowledgement; EAGAIN, ENXIO. */
int	hn_rx_send_ack(struct vmbus_channel *ch, uint64_t xid,
	    uint32_t status, struct vmbus_signal *sg);

/*
 * hn_loan.c: the receive buffer's memory in the stack.  hn_loan_get() begins
 * one for a transfer of so many pieces, NULL if that must not be;
 * hn_loan_mbuf() makes len bytes at p an mbuf, NULL without memory; when
 * hn_loan_end() returns true no mbuf was made, and the transfer is to be
 * acknowledged at once.  From the callback.
 */
struct hn_loan *hn_loan_get(struct hn_rx_ring *rxr, uint64_t xid,
	    u_int pieces);
struct mbuf *hn_loan_mbuf(struct hn_loan *ln, uint8_t *p, uint32_t len);
bool	hn_loan_end(struct hn_loan *ln);
/* Acknowledges those that have come back; with txr_mtx, or the callback. */
void	hn_loan_ack(struct hn_rx_ring *rxr, struct vmbus_channel *ch,
	    struct vmbus_signal *sg);

#endif	/* !_HN_RING_H_ */
