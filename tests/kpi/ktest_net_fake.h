/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A small network card, written as a driver for a real one is: what it is given
 * to send can be looked at, and what is put into it is received.  And frames to
 * send.
 */

#ifndef KTEST_NET_FAKE_H
#define	KTEST_NET_FAKE_H

#include <sys/param.h>
#include <sys/eventhandler.h>
#include <sys/lock.h>
#include <sys/mbuf.h>
#include <sys/mutex.h>
#include <sys/socket.h>
#include <sys/systm.h>

#include <net/if.h>
#include <net/if_var.h>
#include <net/if_media.h>

#include <kpi.h>

#define	FNIC_RING	64		/* frames, less one */

struct fnic {
	if_t		 fn_ifp;
	struct ifmedia	 fn_media;
	struct buf_ring	*fn_ring;
	struct mtx	 fn_mtx;	/* the ring's consumer, and below */
	struct mbufq	 fn_sent;	/* left the card, for the test to see */
	volatile u_int	 fn_stopped;	/* nothing leaves */
	u_int		 fn_flags;	/* ioctls */
	u_int		 fn_multis;
	u_int		 fn_groups;	/* at the last of them */
	int		 fn_refuse;	/* errno of the next ioctl */
	u_int		 fn_debug_events;
};

/* Attached, down, with all the capabilities a card may have. */
struct fnic *fnic_create(const char *name);
void	fnic_destroy(struct fnic *fn);
/* The oldest frame that left; NULL. */
struct mbuf *fnic_sent(struct fnic *fn);
/* Everything in the ring leaves. */
void	fnic_start(struct fnic *fn);
/* A frame of these bytes comes in, with these mbuf flags. */
struct mbuf *fnic_frame(struct fnic *fn, const void *data, int len);
void	fnic_receive(struct fnic *fn, struct mbuf *m);

/* A frame: headers and len bytes of data. */
struct tframe {
	bool		 tf_ip6, tf_udp, tf_ts;
	int		 tf_len;	/* of data */
	uint32_t	 tf_seq, tf_ack;
	uint8_t		 tf_flags;	/* of TCP; 0: ACK */
	uint16_t	 tf_port;
	uint32_t	 tf_tsval;
};

/*
 * Makes it at buf, with the pseudo-header's sum where the checksum goes;
 * returns its length.  Data are bytes of their sequence number.
 */
int	tframe_make(const struct tframe *tf, u_char *buf);
/* Whether the TCP or UDP checksum in these len bytes is right. */
bool	tframe_csum_right(struct mbuf *m);

#endif	/* !KTEST_NET_FAKE_H */
