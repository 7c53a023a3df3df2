/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The data path of hn(4) without a host: a softc with one ring of each kind, a
 * channel whose ring the test reads as the host would, a receive buffer it
 * writes, and an interface whose input it keeps.
 */

#ifndef TESTS_KTEST_HN_FAKE_H
#define	TESTS_KTEST_HN_FAKE_H

#include <sys/param.h>
#include <sys/systm.h>

#include <dev/hyperv/include/vmbus_pkt_reg.h>
#include <dev/hyperv/netvsc/hn_packet.h>
#include <dev/hyperv/netvsc/hn_var.h>
#include <dev/hyperv/vmbus/vmbus_chanvar.h>

#define	FAKE_SECTSZ	6144
#define	FAKE_SECTS	64
#define	FAKE_PIECE	1792
#define	FAKE_PIECES	512

/* A packet that the driver has sent. */
struct hn_fake_pkt {
	uint16_t	 p_type;
	uint16_t	 p_flags;
	uint64_t	 p_xid;
	uint32_t	 p_nvs[4];	/* type, channel type, section, bytes */
	uint32_t	 p_cnt;		/* GPA ranges */
	const uint8_t	*p_ranges;
};

/* A frame in a message that the driver has sent. */
struct hn_fake_frame {
	uint8_t		 ff_hdr[HN_PACKET_HDR_MAX];
	uint32_t	 ff_hdrlen;
	uint32_t	 ff_len;
	uint8_t		 ff_data[HN_FRAME_MAX];
};

struct hn_fake {
	struct hn_softc	*f_sc;
	struct hn_tx_ring *f_txr;
	struct hn_rx_ring *f_rxr;
	struct vmbus_channel *f_ch;
	struct vmbus_ring_ctl *f_ctl;
	uint8_t		*f_ring;
	uint32_t	 f_ringsize;
	uint32_t	 f_pos;		/* next packet to be read */
	volatile uint32_t f_signals;
	u_int		 f_recovers;	/* new sessions asked for */
	struct mbuf	*f_in;		/* what came in, m_nextpkt */
	struct mbuf	**f_inp;
	u_int		 f_nin;
};

/* ringsize: bytes of the ring to the host; sects: 0 for no send buffer. */
struct hn_fake *hn_fake_begin(uint32_t ringsize, uint32_t sects);
void	hn_fake_end(struct hn_fake *f);

/* The next packet, if there is one; its room is given back by _room(). */
bool	hn_fake_read(struct hn_fake *f, struct hn_fake_pkt *p);
void	hn_fake_room(struct hn_fake *f);
void	hn_fake_complete(struct hn_fake *f, uint64_t xid, uint32_t status);
/* All bytes that a packet names, one after the other.  How many. */
uint32_t hn_fake_bytes(struct hn_fake *f, const struct hn_fake_pkt *p,
	    uint8_t *buf, uint32_t size);
/* The frame of the message at msg; the message's length. */
uint32_t hn_fake_frame(const uint8_t *msg, uint32_t len,
	    struct hn_fake_frame *ff);

/* A packet of len bytes that begin with seq, in mbufs of at most each. */
struct mbuf *hn_fake_mbuf(uint32_t seq, uint32_t len, uint32_t each);
/* A TCP segment with payload bytes of 'p'. */
struct mbuf *hn_fake_tcp(uint32_t payload, uint32_t each);
uint32_t hn_fake_tcp_fill(uint8_t *frame, uint32_t payload);

/* A message with a frame in a piece of the receive buffer. */
struct hn_fake_msg {
	uint32_t	 m_csum;	/* 0: not said */
	uint32_t	 m_vlan;	/* 0: none */
	uint32_t	 m_hash;
	uint32_t	 m_hashinfo;	/* 0: none */
	uint32_t	 m_rsc;		/* 0: not a part of anything */
};
void	hn_fake_put(struct hn_fake *f, u_int piece,
	    const struct hn_fake_msg *info, const uint8_t *frame,
	    uint32_t len);
/* A transfer of cnt pieces from this one on; without the flush after it. */
void	hn_fake_transfer(struct hn_fake *f, uint64_t xid, u_int piece,
	    u_int cnt);
void	hn_fake_ranges(struct hn_fake *f, uint64_t xid,
	    const struct vmbus_rxbuf_range *rr, u_int cnt, u_int claimed);
void	hn_fake_flush(struct hn_fake *f);
/* The next packet that went into the stack, NULL if none. */
struct mbuf *hn_fake_input(struct hn_fake *f);
/* Expects an acknowledgement next, and gives its room back. */
void	hn_fake_acked(struct hn_fake *f, uint64_t xid, uint32_t status);

#endif	/* !TESTS_KTEST_HN_FAKE_H */
