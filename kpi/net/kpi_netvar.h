/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The handle on an interface (kpi.h), for kpi_net*.c.
 */

#ifndef _KPI_NETVAR_H_
#define	_KPI_NETVAR_H_

#include "kpi_net.h"

#include <sys/lock.h>
#include <sys/mutex.h>

struct kpi_net {
	struct ifnet	*kn_ifp;	/* referenced */
	const struct kpi_net_ops *kn_ops; /* NULL: none */
	void		*kn_arg;
	struct mtx	 kn_mtx;
	struct mbufq	 kn_queue;	/* (kn_mtx) came in */
	volatile u_int	 kn_arrived;	/* futex: counts what came in */
	volatile uint64_t kn_unclaimed;
};

/* kpi_net.c */
/* Whether the interface is still there; it stays within the epoch. */
bool	kpi_net_attached(const struct kpi_net *n);

/* kpi_netmbuf.c: the frame as the stack would hand it over; errno. */
int	kpi_net_mbuf(struct ifnet *ifp, const struct kpi_frame *f,
	    struct mbuf **mp);

#endif	/* !_KPI_NETVAR_H_ */
