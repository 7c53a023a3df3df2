/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The device node through which a service talks to its program: open by one
 * process at a time, each read and write one whole message, poll(2) and
 * kqueue(2) for reading.  What the messages say is the service's.
 */

#ifndef _HV_NODE_H_
#define	_HV_NODE_H_

#include <sys/param.h>
#include <sys/lock.h>
#include <sys/mutex.h>

struct hv_node;

struct hv_node_class {
	const char	*nc_name;	/* in /dev */
	size_t		 nc_readmax;	/* longest message, in bytes */
	size_t		 nc_writemax;
	/*
	 * Called with the node's mutex held; must not sleep.  nc_write returns
	 * the writer's errno.  nc_closed: the process has closed the node, or
	 * ended, or the node is being destroyed.
	 */
	int		 (*nc_write)(void *arg, struct hv_node *hn,
			    const void *msg, size_t len);
	void		 (*nc_closed)(void *arg, struct hv_node *hn);
};

/*
 * mtx is the service's own and protects the node; held for what is marked [m].
 * The others sleep.  EEXIST: there is such a node already.
 */
int	hv_node_create(const struct hv_node_class *nc, struct mtx *mtx,
	    void *arg, struct hv_node **hnp);
/* Whoever has it open is told.  NULL is none. */
void	hv_node_destroy(struct hv_node *hn);

/* [m] A message to be read, in place of one that was not. */
void	hv_node_put(struct hv_node *hn, const void *msg, size_t len);
/* [m] Takes it back; false: it was read. */
bool	hv_node_clear(struct hv_node *hn);
/* [m] In nc_closed: the message put last has not been read, and is lost. */
bool	hv_node_unread(const struct hv_node *hn);

#endif	/* !_HV_NODE_H_ */
