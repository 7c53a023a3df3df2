/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A connection of the NBD server: bytes in, cut into options and requests, and
 * replies out.  A write's data goes from the socket into guest memory and a
 * read's from there to the socket; only what arrived together with a header is
 * copied once.  Never blocks.
 */

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nbd_var.h"

/* Headers taken in at once; also how much of a write may be copied. */
#define	NBD_READAHEAD	(32 * sizeof(struct nbd_request))
#define	NBD_SENDBATCH	32	/* replies in one sendmsg() */
#define	NBD_RUNMAX	64	/* recvmsg() calls until others have a turn */
#define	NBD_OPTMAX	(32U << 20) /* data of an option that is skipped */

void
nbd_conn_open(struct nbd_server *srv, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct nbd_conn *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		(void)close(fd);
		return;
	}
	c->c_srv = srv;
	c->c_fd = fd;
	c->c_events = EPOLLIN;
	STAILQ_INIT(&c->c_replies);
	ev.data.ptr = c;
	if (epoll_ctl(srv->s_epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		(void)close(fd);
		free(c);
		return;
	}
	TAILQ_INSERT_TAIL(&srv->s_conns, c, c_link);
	srv->s_nconns++;
	nbd_greet(c);
	nbd_conn_run(c);
}

void
nbd_conn_finish(struct nbd_conn *c)
{

	c->c_rdclosed = true;
	c->c_stalled = false;
	if (c->c_rx != NULL) {
		nbd_req_free(c->c_rx);
		c->c_rx = NULL;
	}
}

void
nbd_conn_kill(struct nbd_conn *c)
{
	struct nbd_req *r;

	if (c->c_fd < 0)
		return;
	nbd_conn_finish(c);
	/* A copy of the descriptor, as of a fork, would keep it in the set. */
	(void)epoll_ctl(c->c_srv->s_epoll, EPOLL_CTL_DEL, c->c_fd, NULL);
	(void)close(c->c_fd);
	c->c_fd = -1;
	c->c_outlen = 0;
	while ((r = STAILQ_FIRST(&c->c_replies)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->c_replies, r_link);
		nbd_req_free(r);
	}
}

void
nbd_conn_settle(struct nbd_conn *c)
{
	struct nbd_server *srv = c->c_srv;
	struct epoll_event ev = { .data.ptr = c };

	if (c->c_rdclosed && c->c_inflight == 0 && c->c_outlen == 0)
		nbd_conn_kill(c);
	if (c->c_fd < 0) {
		if (c->c_inflight == 0) {
			TAILQ_REMOVE(&srv->s_conns, c, c_link);
			srv->s_nconns--;
			free(c);
		}
		return;
	}
	if (!c->c_rdclosed && !c->c_stalled && c->c_outlen == 0)
		ev.events |= EPOLLIN;
	if (c->c_wrblocked)
		ev.events |= EPOLLOUT;
	if (ev.events != c->c_events) {
		c->c_events = ev.events;
		if (epoll_ctl(srv->s_epoll, EPOLL_CTL_MOD, c->c_fd, &ev) != 0)
			nbd_conn_kill(c);
	}
}

/*
 * The parsers take one unit from p[0..len) and return the bytes used; 0: more
 * input, or something else, must come first.
 */

static size_t
nbd_parse_flags(struct nbd_conn *c, const uint8_t *p, size_t len)
{
	uint32_t flags;

	if (len < sizeof(flags))
		return (0);
	memcpy(&flags, p, sizeof(flags));
	flags = be32toh(flags);
	if ((flags & ~(NBD_GREET_FIXED | NBD_GREET_NO_ZEROES)) != 0) {
		nbd_conn_kill(c);
		return (0);
	}
	c->c_fixed = (flags & NBD_GREET_FIXED) != 0;
	c->c_nozeroes = (flags & NBD_GREET_NO_ZEROES) != 0;
	c->c_state = NBD_ST_OPTIONS;
	return (sizeof(flags));
}

static size_t
nbd_parse_option(struct nbd_conn *c, const uint8_t *p, size_t len)
{
	struct nbd_option no;
	uint32_t option, optlen;

	/* One answer at a time: c_out holds no more. */
	if (len < sizeof(no) || c->c_outlen != 0)
		return (0);
	memcpy(&no, p, sizeof(no));
	option = be32toh(no.no_option);
	optlen = be32toh(no.no_len);
	if (be64toh(no.no_magic) != NBD_OPT_MAGIC || optlen > NBD_OPTMAX) {
		nbd_conn_kill(c);
		return (0);
	}
	if (optlen > NBD_INBUF - sizeof(no)) {
		if (!c->c_fixed || option == NBD_OPT_EXPORT_NAME) {
			nbd_conn_kill(c);
			return (0);
		}
		nbd_option_error(c, option, NBD_REP_ERR_TOO_BIG);
		c->c_skip = optlen;
		return (sizeof(no));
	}
	if (len < sizeof(no) + optlen)
		return (0);
	if (!nbd_option(c, option, p + sizeof(no), optlen)) {
		nbd_conn_kill(c);
		return (0);
	}
	return (sizeof(no) + optlen);
}

static size_t
nbd_parse_request(struct nbd_conn *c, const uint8_t *p, size_t len)
{
	struct nbd_request nq;

	if (len < sizeof(nq))
		return (0);
	memcpy(&nq, p, sizeof(nq));
	switch (nbd_req_header(c, &nq)) {
	case 0:
		return (sizeof(nq));
	case EAGAIN:
		c->c_stalled = true;
		return (0);
	default:
		nbd_conn_kill(c);
		return (0);
	}
}

/* n more bytes of the write that comes in are in its buffer. */
static void
nbd_conn_received(struct nbd_conn *c, size_t n)
{
	struct nbd_req *r = c->c_rx;

	c->c_rxlen += n;
	if (c->c_rxlen == r->r_io.len) {
		c->c_rx = NULL;
		nbd_req_start(r);
	}
}

static size_t
nbd_parse_one(struct nbd_conn *c, const uint8_t *p, size_t len)
{
	size_t n;

	if (c->c_skip > 0) {
		n = len < c->c_skip ? len : c->c_skip;
		c->c_skip -= n;
		return (n);
	}
	if (c->c_rx != NULL) {
		n = c->c_rx->r_io.len - c->c_rxlen;
		if (n > len)
			n = len;
		if (n > 0) {
			memcpy((uint8_t *)c->c_rx->r_io.buf + c->c_rxlen, p,
			    n);
			nbd_conn_received(c, n);
		}
		return (n);
	}
	switch (c->c_state) {
	case NBD_ST_FLAGS:
		return (nbd_parse_flags(c, p, len));
	case NBD_ST_OPTIONS:
		return (nbd_parse_option(c, p, len));
	default:
		return (nbd_parse_request(c, p, len));
	}
}

static void
nbd_conn_parse(struct nbd_conn *c)
{
	size_t used, n;

	for (used = 0; !c->c_rdclosed; used += n) {
		n = nbd_parse_one(c, c->c_in + used, c->c_inlen - used);
		if (n == 0)
			break;
	}
	memmove(c->c_in, c->c_in + used, c->c_inlen - used);
	c->c_inlen -= used;
}

/* false: nothing was there, or the connection is at its end. */
static bool
nbd_conn_recv(struct nbd_conn *c)
{
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	size_t room, data;
	ssize_t n;

	data = c->c_rx != NULL ? c->c_rx->r_io.len - c->c_rxlen : 0;
	if (data > 0) {
		iov[0].iov_base = (uint8_t *)c->c_rx->r_io.buf + c->c_rxlen;
		iov[0].iov_len = data;
		msg.msg_iovlen = 1;
	}
	room = c->c_state == NBD_ST_SERVING && c->c_skip == 0 ?
	    NBD_READAHEAD : NBD_INBUF;
	iov[msg.msg_iovlen].iov_base = c->c_in + c->c_inlen;
	iov[msg.msg_iovlen].iov_len = room > c->c_inlen ?
	    room - c->c_inlen : 0;
	msg.msg_iovlen++;
	n = recvmsg(c->c_fd, &msg, 0);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			nbd_conn_kill(c);
		return (false);
	}
	if (n == 0) {
		/* What was asked before the end is still answered. */
		nbd_conn_finish(c);
		return (false);
	}
	if ((size_t)n > data) {
		c->c_inlen += n - data;
		n = data;
	}
	if (n > 0)
		nbd_conn_received(c, n);
	return (true);
}

void
nbd_conn_run(struct nbd_conn *c)
{
	uint64_t before;
	unsigned i;

	for (i = 0; i < NBD_RUNMAX && c->c_fd >= 0; i++) {
		nbd_conn_parse(c);
		before = c->c_srv->s_retired;
		nbd_conn_send(c);
		if (c->c_stalled && c->c_srv->s_retired != before) {
			c->c_stalled = false;
			continue;
		}
		if (c->c_rdclosed || c->c_stalled || c->c_outlen != 0 ||
		    !nbd_conn_recv(c))
			break;
	}
}

/* Appends what is left of a reply. */
static int
nbd_reply_iov(struct nbd_req *r, struct iovec *iov)
{
	size_t off = r->r_sent;
	int n = 0;

	if (off < sizeof(r->r_reply)) {
		iov[n].iov_base = (uint8_t *)&r->r_reply + off;
		iov[n++].iov_len = sizeof(r->r_reply) - off;
		off = 0;
	} else {
		off -= sizeof(r->r_reply);
	}
	if (r->r_io.len > off) {
		iov[n].iov_base = (uint8_t *)r->r_io.buf + off;
		iov[n++].iov_len = r->r_io.len - off;
	}
	return (n);
}

/* n bytes have left, first of c_out, then of the replies in order. */
static void
nbd_conn_sent(struct nbd_conn *c, size_t n)
{
	struct nbd_req *r;
	size_t k;

	k = n < c->c_outlen ? n : c->c_outlen;
	memmove(c->c_out, c->c_out + k, c->c_outlen - k);
	c->c_outlen -= k;
	for (n -= k; n > 0; n -= k) {
		r = STAILQ_FIRST(&c->c_replies);
		k = sizeof(r->r_reply) + r->r_io.len - r->r_sent;
		if (k > n) {
			r->r_sent += n;
			break;
		}
		STAILQ_REMOVE_HEAD(&c->c_replies, r_link);
		nbd_req_free(r);
	}
}

void
nbd_conn_send(struct nbd_conn *c)
{
	struct iovec iov[1 + 2 * NBD_SENDBATCH];
	struct msghdr msg = { .msg_iov = iov };
	struct nbd_req *r;
	ssize_t n;

	while (c->c_fd >= 0 && !c->c_wrblocked) {
		msg.msg_iovlen = 0;
		if (c->c_outlen > 0) {
			iov[0].iov_base = c->c_out;
			iov[0].iov_len = c->c_outlen;
			msg.msg_iovlen = 1;
		}
		STAILQ_FOREACH(r, &c->c_replies, r_link) {
			if (msg.msg_iovlen >= 2 * NBD_SENDBATCH)
				break;
			msg.msg_iovlen += nbd_reply_iov(r,
			    &iov[msg.msg_iovlen]);
		}
		if (msg.msg_iovlen == 0)
			break;
		n = sendmsg(c->c_fd, &msg, MSG_NOSIGNAL);
		if (n >= 0)
			nbd_conn_sent(c, n);
		else if (errno == EAGAIN)
			c->c_wrblocked = true;
		else if (errno != EINTR)
			nbd_conn_kill(c);
	}
}
