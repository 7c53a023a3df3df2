/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Two network adapters of one machine, joined by a cable: what the kernel sends
 * by hn0 goes through driver, provider, cable, provider and driver, and comes
 * in by hn1.
 */

#ifndef TESTS_JOIN_JOIN_CABLE_H
#define	TESTS_JOIN_JOIN_CABLE_H

#include <atf-c.h>

#include "run/vm.h"

#define	CABLE_ENDS	2

struct cable_config {
	struct vm_config	 vm;
	uint16_t		 channels;	/* 0: 8 */
	uint32_t		 nvsp;		/* version, 0: newest */
	const struct hvh_netbe_faults *faults;	/* of the cable, or NULL */
	/* See kpi.h; NULL: cable_recv() takes frames. */
	const struct kpi_net_ops *ops[CABLE_ENDS];
};

struct cable {
	struct hvh		*host;
	struct hvh_net		*net[CABLE_ENDS];
	struct hvh_netbe	*be[CABLE_ENDS];	/* theirs */
	struct kpi_net		*kn[CABLE_ENDS];
};

/* Makes the machine, loads the drivers, takes both interfaces up. */
void	cable_start(struct cable *j, const struct cable_config *cf);
/* Takes all down again; fails the case if anything is left, mbufs too. */
void	cable_finish(struct cable *j);

/*
 * Frames: UDP and TCP over IPv4 from one interface to the other, with right
 * checksums, or with those that the kernel leaves to a card, and payload made
 * from seed.  All return the frame's length.
 */
size_t	cable_udp(uint8_t *frame, unsigned from, size_t payload,
	    uint32_t seed, bool offload);
size_t	cable_tcp(uint8_t *frame, unsigned from, size_t payload,
	    uint32_t seq, bool offload);
void	cable_pattern(uint8_t *p, size_t len, uint32_t seed);
/* Whether IP header and UDP or TCP are summed up right. */
bool	cable_sums_ok(const uint8_t *frame, size_t len);

/* Sends one frame; flags are KPI_NET_*. */
int	cable_send(struct cable *j, unsigned from, const uint8_t *frame,
	    size_t len, uint32_t flags, unsigned mss);
/* The next frame that comes in, within two seconds; 0: none. */
size_t	cable_recv(struct cable *j, unsigned at, uint8_t *frame,
	    size_t size, struct kpi_frame *info);

#endif	/* !TESTS_JOIN_JOIN_CABLE_H */
