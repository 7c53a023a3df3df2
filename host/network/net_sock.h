/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See net_sock.c. */

#ifndef HVH_NETWORK_NET_SOCK_H
#define	HVH_NETWORK_NET_SOCK_H

#include "network/net_fd.h"

struct net_sock;

struct net_sock_kind {
	int	(*alloc)(struct net_sock *s);
	/* Takes what alloc left half done. */
	void	(*free)(struct net_sock *s);
	/* Copies a frame to be sent; false: no room before a flush. */
	bool	(*put)(struct net_sock *s, const struct iovec *iov, int niov,
		    uint32_t len);
	/* Sends what it can; sets nf.out if the socket is full. */
	void	(*flush)(struct net_sock *s);
	/*
	 * At most NET_BUDGET frames, until the user has no room; how many.
	 * Sets more if some are left that the socket does not tell of.
	 */
	unsigned (*receive)(struct net_sock *s);
};

extern const struct net_sock_kind net_packet, net_stream;

struct net_sock {
	struct hvh_netbe *be;
	const struct net_sock_kind *kind;
	void		*state;		/* the kind's */
	struct net_fd	 nf;
	int		 fd;
	bool		 eof;		/* nothing read is the end */
	bool		 lost;		/* the peer is gone */
	bool		 more;
};

void	net_sock_lost(struct net_sock *s, const char *why);

#endif	/* !HVH_NETWORK_NET_SOCK_H */
