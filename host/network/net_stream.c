/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Frames in a stream socket, each behind its length, as other VMMs and
 * user-mode networks have it.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "network/net_sock.h"

#define	STREAM_HEAD	4u
#define	STREAM_BYTES	(1u << 18)

struct net_stream {
	uint32_t	 tx_out, tx_in;	/* bytes [out, in) are to be sent */
	uint32_t	 rx_out, rx_in;	/* and have been received */
	uint8_t		 tx[STREAM_BYTES];
	uint8_t		 rx[STREAM_BYTES];
};

static void
stream_free(struct net_sock *s)
{

	free(s->state);
}

static int
stream_alloc(struct net_sock *s)
{

	s->state = calloc(1, sizeof(struct net_stream));
	return (s->state != NULL ? 0 : ENOMEM);
}

/* --- To the peer --- */

static bool
stream_put(struct net_sock *s, const struct iovec *iov, int niov, uint32_t len)
{
	struct net_stream *st = s->state;
	uint32_t head = htonl(len);

	if (STREAM_HEAD + len > STREAM_BYTES - st->tx_in)
		return (false);
	memcpy(st->tx + st->tx_in, &head, STREAM_HEAD);
	(void)net_gather(st->tx + st->tx_in + STREAM_HEAD, len, iov, niov);
	st->tx_in += STREAM_HEAD + len;
	return (true);
}

static void
stream_flush(struct net_sock *s)
{
	struct net_stream *st = s->state;
	ssize_t n;

	while (st->tx_out < st->tx_in) {
		n = send(s->fd, st->tx + st->tx_out, st->tx_in - st->tx_out,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			net_fd_out(&s->nf, true);
			break;
		}
		if (n < 0) {
			net_sock_lost(s, strerror(errno));
			break;
		}
		st->tx_out += (uint32_t)n;
	}
	memmove(st->tx, st->tx + st->tx_out, st->tx_in - st->tx_out);
	st->tx_in -= st->tx_out;
	st->tx_out = 0;
}

/* --- From the peer --- */

/* The next whole frame's length; 0: there is none, or no stream any more. */
static uint32_t
stream_next(struct net_sock *s)
{
	struct net_stream *st = s->state;
	uint32_t have = st->rx_in - st->rx_out, len;

	if (have < STREAM_HEAD)
		return (0);
	memcpy(&len, st->rx + st->rx_out, STREAM_HEAD);
	len = ntohl(len);
	if (len == 0 || len > NET_FRAME_MAX) {
		/* Where the next begins is not to be known. */
		net_sock_lost(s, "sends what is not a stream of frames");
		return (0);
	}
	return (have - STREAM_HEAD >= len ? len : 0);
}

/* False: there is nothing, or no peer. */
static bool
stream_fetch(struct net_sock *s)
{
	struct net_stream *st = s->state;
	ssize_t n;

	memmove(st->rx, st->rx + st->rx_out, st->rx_in - st->rx_out);
	st->rx_in -= st->rx_out;
	st->rx_out = 0;
	n = recv(s->fd, st->rx + st->rx_in, STREAM_BYTES - st->rx_in,
	    MSG_DONTWAIT);
	if (n == 0)
		net_sock_lost(s, "the other side has closed");
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		net_sock_lost(s, strerror(errno));
	if (n <= 0)
		return (false);
	st->rx_in += (uint32_t)n;
	return (true);
}

/* The same, read if need be. */
static uint32_t
stream_wait(struct net_sock *s)
{
	uint32_t len;

	do {
		len = stream_next(s);
	} while (len == 0 && !s->lost && stream_fetch(s));
	return (len);
}

static unsigned
stream_receive(struct net_sock *s)
{
	static const struct net_meta none;
	struct net_stream *st = s->state;
	uint32_t len = 0;
	unsigned n;

	for (n = 0; n < NET_BUDGET; n++) {
		len = stream_wait(s);
		if (len == 0 || !net_input(s->be, st->rx + st->rx_out +
		    STREAM_HEAD, len, &none))
			break;
		st->rx_out += STREAM_HEAD + len;
	}
	s->more = len != 0;
	return (n);
}

const struct net_sock_kind net_stream = {
	.alloc = stream_alloc,
	.free = stream_free,
	.put = stream_put,
	.flush = stream_flush,
	.receive = stream_receive,
};
