/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* See net_fd.c. */

#ifndef HVH_NETWORK_NET_FD_H
#define	HVH_NETWORK_NET_FD_H

#include "network/net.h"

struct net_fd {
	struct hvh	*h;
	int		 fd;		/* the owner's, non-blocking */
	bool		 in, out;	/* what to wait for */
	uint32_t	 events;	/* what the kernel has been told */
	struct hvh_source source;
};

/* Waits for input at first.  The pump lock is held. */
int	net_fd_init(struct net_fd *nf, struct hvh *h, int fd,
	    void (*poll)(void *arg), void *arg);
void	net_fd_fini(struct net_fd *nf);
void	net_fd_in(struct net_fd *nf, bool on);
void	net_fd_out(struct net_fd *nf, bool on);
/* Is it worth a try? */
bool	net_fd_can_write(const struct net_fd *nf);

#endif	/* !HVH_NETWORK_NET_FD_H */
