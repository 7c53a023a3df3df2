/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Frames in a datagram or seqpacket socket, a packet each, many a system call.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "network/net_sock.h"

#define	PACKET_BATCH	64u
#define	PACKET_TX_BYTES	(1u << 18)

struct net_packet {
	/* To be sent: packets [sent, put), their bytes one after the other. */
	unsigned	 sent, put;
	uint32_t	 tx_used;
	struct iovec	 tx_iov[PACKET_BATCH];
	struct mmsghdr	 tx_msg[PACKET_BATCH];
	uint8_t		*tx;
	/* Received: packets [taken, got) wait for the user. */
	unsigned	 taken, got;
	struct iovec	 rx_iov[PACKET_BATCH];
	struct mmsghdr	 rx_msg[PACKET_BATCH];
	uint8_t		*rx;		/* NET_FRAME_MAX each */
};

static void
packet_free(struct net_sock *s)
{
	struct net_packet *p = s->state;

	if (p == NULL)
		return;
	free(p->tx);
	free(p->rx);
	free(p);
}

static int
packet_alloc(struct net_sock *s)
{
	struct net_packet *p;

	p = s->state = calloc(1, sizeof(*p));
	if (p == NULL)
		return (ENOMEM);
	p->tx = malloc(PACKET_TX_BYTES);
	p->rx = malloc((size_t)PACKET_BATCH * NET_FRAME_MAX);
	if (p->tx == NULL || p->rx == NULL)
		return (ENOMEM);
	for (unsigned i = 0; i < PACKET_BATCH; i++) {
		p->tx_msg[i].msg_hdr.msg_iov = &p->tx_iov[i];
		p->tx_msg[i].msg_hdr.msg_iovlen = 1;
		p->rx_msg[i].msg_hdr.msg_iov = &p->rx_iov[i];
		p->rx_msg[i].msg_hdr.msg_iovlen = 1;
		p->rx_iov[i] = (struct iovec){
			p->rx + (size_t)i * NET_FRAME_MAX, NET_FRAME_MAX };
	}
	return (0);
}

/* --- To the peer --- */

static bool
packet_put(struct net_sock *s, const struct iovec *iov, int niov, uint32_t len)
{
	struct net_packet *p = s->state;

	if (p->put == PACKET_BATCH || len > PACKET_TX_BYTES - p->tx_used)
		return (false);
	p->tx_iov[p->put] = (struct iovec){ p->tx + p->tx_used,
	    net_gather(p->tx + p->tx_used, len, iov, niov) };
	p->tx_used += len;
	p->put++;
	return (true);
}

/* A packet could not be sent; true: it is lost, and the next may go. */
static bool
packet_failed(struct net_sock *s, int error)
{

	switch (error) {
	case EINTR:
		return (true);
	case EAGAIN:
		net_fd_out(&s->nf, true);
		return (false);
	case EPIPE:
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOTCONN:
		net_sock_lost(s, "the other side is gone");
		return (false);
	}
	((struct net_packet *)s->state)->sent++;
	s->be->stats.tx_dropped++;
	return (true);
}

static void
packet_flush(struct net_sock *s)
{
	struct net_packet *p = s->state;
	int n;

	while (p->sent < p->put) {
		n = sendmmsg(s->fd, &p->tx_msg[p->sent], p->put - p->sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			p->sent += (unsigned)n;
		else if (!packet_failed(s, errno))
			return;
	}
	p->sent = p->put = 0;
	p->tx_used = 0;
}

/* --- From the peer --- */

/* False: there is none, or no peer. */
static bool
packet_fetch(struct net_sock *s)
{
	struct net_packet *p = s->state;
	int n;

	n = recvmmsg(s->fd, p->rx_msg, PACKET_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		net_sock_lost(s, strerror(errno));
	if (n <= 0)
		return (false);
	p->taken = 0;
	p->got = (unsigned)n;
	return (true);
}

static unsigned
packet_receive(struct net_sock *s)
{
	static const struct net_meta none;
	struct net_packet *p = s->state;
	struct mmsghdr *m;
	unsigned n;

	for (n = 0; n < NET_BUDGET; n++) {
		if (p->taken == p->got && !packet_fetch(s))
			break;
		m = &p->rx_msg[p->taken];
		if (m->msg_len == 0 && s->eof) {
			net_sock_lost(s, "the other side has closed");
			break;
		}
		if ((m->msg_hdr.msg_flags & MSG_TRUNC) != 0)
			s->be->stats.rx_dropped++;
		else if (!net_input(s->be, m->msg_hdr.msg_iov->iov_base,
		    m->msg_len, &none))
			break;
		p->taken++;
	}
	s->more = p->taken < p->got;
	return (n);
}

const struct net_sock_kind net_packet = {
	.alloc = packet_alloc,
	.free = packet_free,
	.put = packet_put,
	.flush = packet_flush,
	.receive = packet_receive,
};
