/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the files of the NBD server share.  All of it belongs to the server's
 * one thread, but for what is marked: (d) also touched by the kernel threads
 * on which disk I/O ends, by atomic operations; (s) set by nbd_stop().
 */

#ifndef RUN_NBD_VAR_H
#define	RUN_NBD_VAR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "kpi.h"
#include "nbd_reg.h"

#define	NBD_MAXIO	(32U << 20)	/* bytes of one request */
#define	NBD_MAXCONNS	64
#define	NBD_MAXINFLIGHT	128		/* requests of one connection */
#define	NBD_POOL_LIMIT	(64U << 20)	/* bytes of all buffers */
#define	NBD_POOL_SHIFT	12		/* smallest buffer */
#define	NBD_POOL_BINS 14		/* largest: NBD_MAXIO */
#define	NBD_INBUF	8192		/* > the longest option, 4 KiB + 16 */
#define	NBD_OUTBUF	32768		/* the answer to one option */
#define	NBD_DISKNAME	16

struct nbd_buf {
	SLIST_ENTRY(nbd_buf) b_link;
	void		*b_data;	/* guest memory */
	unsigned	 b_bin;
};

/* Buffers of 4 KiB to 32 MiB, by powers of two, kept for the next request. */
struct nbd_pool {
	SLIST_HEAD(, nbd_buf) pl_free[NBD_POOL_BINS];
	size_t		 pl_bytes;	/* allocated, free ones included */
	unsigned	 pl_used;	/* buffers with a request */
};

struct nbd_conn;

/* A request from its header to the last byte of its reply. */
struct nbd_req {
	struct kpi_disk_io r_io;	/* with the disk layer until done */
	struct nbd_conn	*r_conn;
	struct nbd_req	*r_donenext;	/* (d) */
	STAILQ_ENTRY(nbd_req) r_link;	/* on c_replies */
	struct nbd_buf	*r_buf;		/* NULL: no data */
	uint64_t	 r_cookie;
	int		 r_error;	/* (d) kernel errno until replied */
	bool		 r_fua;		/* a flush follows the write */
	struct nbd_reply r_reply;
	size_t		 r_sent;	/* bytes of reply and data */
};

enum nbd_state {
	NBD_ST_FLAGS,		/* greeting sent, client's flags awaited */
	NBD_ST_OPTIONS,
	NBD_ST_SERVING,
};

struct nbd_conn {
	TAILQ_ENTRY(nbd_conn) c_link;
	struct nbd_server *c_srv;
	int		 c_fd;		/* -1: dead, waits for its I/O */
	uint32_t	 c_events;	/* what epoll watches */
	enum nbd_state	 c_state;
	bool		 c_fixed;
	bool		 c_nozeroes;
	bool		 c_rdclosed;	/* takes no more input */
	bool		 c_stalled;	/* input waits for memory or room */
	bool		 c_wrblocked;	/* output waits for the socket */

	char		 c_disk[NBD_DISKNAME];
	struct kpi_disk_info c_info;

	uint8_t		 c_in[NBD_INBUF];
	size_t		 c_inlen;
	uint64_t	 c_skip;	/* data bytes to throw away */
	struct nbd_req	*c_rx;		/* write whose data comes in */
	size_t		 c_rxlen;	/* so far */

	uint8_t		 c_out[NBD_OUTBUF];	/* negotiation */
	size_t		 c_outlen;
	STAILQ_HEAD(, nbd_req) c_replies;
	unsigned	 c_inflight;	/* requests that exist */
};

struct nbd_server {
	char		*s_path;
	int		 s_listen;
	int		 s_epoll;
	int		 s_wake;	/* eventfd */
	bool		 s_listening;	/* s_listen is watched */
	bool		 s_resting;	/* accept() lacked something */
	atomic_bool	 s_stop;	/* (s) */
	_Atomic(struct nbd_req *) s_done; /* (d) a stack */
	/*
	 * Writes to s_wake that were or will be made and are not yet read.
	 * Who pushes onto an empty s_done writes afterwards: the server must
	 * not go before that.
	 */
	int64_t		 s_wakesdue;
	struct nbd_pool	 s_pool;
	uint64_t	 s_retired;	/* requests that are over: a buffer or
					 * a place may have become free */
	TAILQ_HEAD(, nbd_conn) s_conns;
	unsigned	 s_nconns;
	pthread_t	 s_thread;
};

/* nbd_pool.c */
/*
 * NULL: guest memory is short or, unless beyond, the limit is reached.
 */
struct nbd_buf *nbd_pool_get(struct nbd_pool *pl, size_t len, bool beyond);
void	nbd_pool_put(struct nbd_pool *pl, struct nbd_buf *b);
void	nbd_pool_drain(struct nbd_pool *pl);

/* nbd_conn.c: bytes in and out of a connection. */
void	nbd_conn_open(struct nbd_server *srv, int fd);
/* Takes in what is there, answers what can be answered. */
void	nbd_conn_run(struct nbd_conn *c);
void	nbd_conn_send(struct nbd_conn *c);
/* No more input is taken. */
void	nbd_conn_finish(struct nbd_conn *c);
/* Hangs up; the connection stays until its disk I/O has ended. */
void	nbd_conn_kill(struct nbd_conn *c);
/* Tells epoll what c waits for; frees it if it is over. */
void	nbd_conn_settle(struct nbd_conn *c);

/* nbd_option.c: the answers to options.  false: hang up. */
bool	nbd_option(struct nbd_conn *c, uint32_t option, const uint8_t *data,
	    size_t len);
void	nbd_option_error(struct nbd_conn *c, uint32_t option, uint32_t type);
void	nbd_greet(struct nbd_conn *c);

/* nbd_req.c: the life of a request. */
/* Starts what the header says.  EAGAIN: no memory now; EPROTO: hang up. */
int	nbd_req_header(struct nbd_conn *c, const struct nbd_request *q);
void	nbd_req_start(struct nbd_req *r);
void	nbd_req_free(struct nbd_req *r);
/* Turns finished disk I/O into replies. */
void	nbd_req_reap(struct nbd_server *srv);

#endif	/* !RUN_NBD_VAR_H */
