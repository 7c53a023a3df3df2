/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The life of an NBD request: header, disk I/O, reply.  Nothing that a client
 * sends gets past nbd_req_header() unchecked.
 */

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nbd_var.h"

/* FreeBSD's numbers, where they differ from Linux's or from NBD's. */
#define	BSD_EROFS	30
#define	BSD_EOPNOTSUPP	45

static uint32_t
nbd_error(int error)
{

	switch (error) {
	case 0:
		return (0);
	case NBD_EPERM:
	case NBD_ENOMEM:
	case NBD_EINVAL:
	case NBD_ENOSPC:
		return (error);
	case BSD_EROFS:
		return (NBD_EPERM);
	case BSD_EOPNOTSUPP:
		return (NBD_ENOTSUP);
	default:
		return (NBD_EIO);
	}
}

/* The I/O has ended, well or badly: to the client with it. */
static void
nbd_req_reply(struct nbd_req *r, uint32_t nbderror)
{
	struct nbd_conn *c = r->r_conn;

	if (c->c_fd < 0) {
		nbd_req_free(r);
		return;
	}
	r->r_reply.np_magic = htobe32(NBD_REPLY_MAGIC);
	r->r_reply.np_error = htobe32(nbderror);
	r->r_reply.np_cookie = r->r_cookie;
	r->r_sent = 0;
	if (nbderror != 0 || r->r_io.op != KPI_DISK_READ)
		r->r_io.len = 0;
	STAILQ_INSERT_TAIL(&c->c_replies, r, r_link);
}

/* On a kernel thread. */
static void
nbd_req_done(struct kpi_disk_io *io, int error)
{
	struct nbd_req *r = io->arg, *head;
	struct nbd_server *srv = r->r_conn->c_srv;
	uint64_t one = 1;

	r->r_error = error;
	head = atomic_load_explicit(&srv->s_done, memory_order_relaxed);
	do {
		r->r_donenext = head;
	} while (!atomic_compare_exchange_weak_explicit(&srv->s_done, &head,
	    r, memory_order_release, memory_order_relaxed));
	/*
	 * The first of a batch wakes the server.  From the exchange on r is
	 * the server's; srv stays until this write was read (s_wakesdue).  An
	 * eventfd refuses a write only when it is about to overflow.
	 */
	if (head == NULL && write(srv->s_wake, &one, sizeof(one)) < 0)
		abort();
}

void
nbd_req_start(struct nbd_req *r)
{
	int error;

	error = kpi_disk_start(r->r_conn->c_disk, &r->r_io);
	if (error != 0)
		nbd_req_reply(r, nbd_error(error));
}

static void
nbd_req_finish(struct nbd_req *r)
{

	if (r->r_error == 0 && r->r_fua) {
		/* Data first, then the cache: only then is it durable. */
		r->r_fua = false;
		r->r_io.op = KPI_DISK_FLUSH;
		r->r_io.offset = 0;
		r->r_io.len = 0;
		nbd_req_start(r);
		return;
	}
	nbd_req_reply(r, nbd_error(r->r_error));
}

void
nbd_req_reap(struct nbd_server *srv)
{
	struct nbd_req *r, *next, *fifo;

	r = atomic_exchange_explicit(&srv->s_done, NULL,
	    memory_order_acquire);
	if (r != NULL)
		srv->s_wakesdue++;
	for (fifo = NULL; r != NULL; r = next) {
		next = r->r_donenext;
		r->r_donenext = fifo;
		fifo = r;
	}
	for (r = fifo; r != NULL; r = next) {
		next = r->r_donenext;
		nbd_req_finish(r);
	}
}

void
nbd_req_free(struct nbd_req *r)
{
	struct nbd_server *srv = r->r_conn->c_srv;

	if (r->r_buf != NULL)
		nbd_pool_put(&srv->s_pool, r->r_buf);
	r->r_conn->c_inflight--;
	srv->s_retired++;
	free(r);
}

/* 0, or the error with which the request is refused. */
static uint32_t
nbd_check(const struct nbd_conn *c, unsigned type, unsigned flags,
    uint64_t offset, uint32_t len)
{
	const struct kpi_disk_info *info = &c->c_info;

	if ((flags & ~NBD_CMD_FLAG_FUA) != 0)
		return (NBD_EINVAL);
	switch (type) {
	case NBD_CMD_READ:
		break;
	case NBD_CMD_WRITE:
		if (info->readonly)
			return (NBD_EPERM);
		break;
	case NBD_CMD_TRIM:
		if (info->readonly)
			return (NBD_EPERM);
		if (!info->candelete)
			return (NBD_EINVAL);
		break;
	case NBD_CMD_FLUSH:
		return (offset != 0 || len != 0 ? NBD_EINVAL : 0);
	default:
		return (NBD_EINVAL);
	}
	if (len == 0 || len % info->sectorsize != 0 ||
	    offset % info->sectorsize != 0)
		return (NBD_EINVAL);
	if (offset > info->size || len > info->size - offset)
		return (type == NBD_CMD_WRITE ? NBD_ENOSPC : NBD_EINVAL);
	if (len > NBD_MAXIO && type != NBD_CMD_TRIM)
		return (NBD_EOVERFLOW);
	return (0);
}

static struct nbd_req *
nbd_req_alloc(struct nbd_conn *c, const struct nbd_request *q,
    struct nbd_buf *buf)
{
	static const enum kpi_disk_op ops[] = {
		[NBD_CMD_READ] = KPI_DISK_READ,
		[NBD_CMD_WRITE] = KPI_DISK_WRITE,
		[NBD_CMD_FLUSH] = KPI_DISK_FLUSH,
		[NBD_CMD_TRIM] = KPI_DISK_DELETE,
	};
	unsigned type = be16toh(q->nq_type);
	struct nbd_req *r;

	if ((r = calloc(1, sizeof(*r))) == NULL) {
		if (buf != NULL)
			nbd_pool_put(&c->c_srv->s_pool, buf);
		return (NULL);
	}
	r->r_conn = c;
	r->r_cookie = q->nq_cookie;
	if (type < sizeof(ops) / sizeof(ops[0]))
		r->r_io.op = ops[type];
	r->r_io.offset = be64toh(q->nq_offset);
	r->r_io.len = be32toh(q->nq_len);
	if (buf != NULL) {
		r->r_buf = buf;
		r->r_io.buf = buf->b_data;
	}
	r->r_io.done = nbd_req_done;
	r->r_io.arg = r;
	c->c_inflight++;
	return (r);
}

/*
 * The header is used up unless EAGAIN is returned.  A refused write's data is
 * still to come and is thrown away.
 */
int
nbd_req_header(struct nbd_conn *c, const struct nbd_request *q)
{
	struct nbd_pool *pl = &c->c_srv->s_pool;
	unsigned type = be16toh(q->nq_type), flags = be16toh(q->nq_flags);
	uint32_t len = be32toh(q->nq_len), refusal;
	struct nbd_buf *buf = NULL;
	struct nbd_req *r;

	if (be32toh(q->nq_magic) != NBD_REQUEST_MAGIC)
		return (EPROTO);
	if (type == NBD_CMD_DISC) {
		c->c_rdclosed = true;
		return (0);
	}
	/* To swallow so much for a refusal would only waste time. */
	if (type == NBD_CMD_WRITE && len > NBD_MAXIO)
		return (EPROTO);
	if (c->c_inflight >= NBD_MAXINFLIGHT)
		return (EAGAIN);

	refusal = nbd_check(c, type, flags, be64toh(q->nq_offset), len);
	if (refusal == 0 && (type == NBD_CMD_READ || type == NBD_CMD_WRITE)) {
		/* So that no connection can starve another for good. */
		buf = nbd_pool_get(pl, len, c->c_inflight == 0);
		if (buf == NULL && pl->pl_used > 0)
			return (EAGAIN);
		if (buf == NULL)
			refusal = NBD_ENOMEM;
	}
	if ((r = nbd_req_alloc(c, q, buf)) == NULL)
		return (EPROTO);
	if (refusal != 0) {
		if (type == NBD_CMD_WRITE)
			c->c_skip = len;
		nbd_req_reply(r, refusal);
		return (0);
	}
	r->r_fua = (flags & NBD_CMD_FLAG_FUA) != 0 &&
	    (type == NBD_CMD_WRITE || type == NBD_CMD_TRIM);
	if (type == NBD_CMD_WRITE) {
		c->c_rx = r;
		c->c_rxlen = 0;
	} else {
		nbd_req_start(r);
	}
	return (0);
}
