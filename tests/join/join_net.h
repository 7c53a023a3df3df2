/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * For tests that join the network driver with the network provider: adapters,
 * each with a wire whose other end is the test's.
 */

#ifndef TESTS_JOIN_JOIN_NET_H
#define	TESTS_JOIN_JOIN_NET_H

#include <atf-c.h>

#include "run/vm.h"

#define	JOIN_NETS	4
#define	JOIN_FRAME	65600

struct join_net {
	struct hvh_net		*host;
	struct kpi_net		*guest;
	int			 wire;	/* a frame a message */
};

struct join_net_config {
	struct vm_config	 vm;
	unsigned		 nets;		/* 0: 1 */
	struct hvh_net_params	 params;	/* but instance, mac, be */
	const struct kpi_net_ops *ops;		/* of all, may be NULL */
	void			*arg;
};

/* Boots, loads the drivers, opens each hnN and takes it up. */
void	join_net_start(struct join_net *jn, const struct join_net_config *cf);
/* Takes all away, and fails the case if anything is left behind. */
void	join_net_finish(struct join_net *jn, unsigned nets);

/* --- Frames --- */

struct join_frame {
	unsigned char	 data[JOIN_FRAME];
	size_t		 len;
};

enum join_l4 { JOIN_UDP, JOIN_TCP };

/*
 * A frame with len bytes of data that depend on seed, whose highest byte is the
 * flow; the checksum field has the pseudo-header's sum, or, if whole, the
 * checksum.  ip: 4 or 6.  To the guest if in.
 */
void	join_frame(struct join_frame *jf, int ip, enum join_l4 l4, size_t len,
	    uint32_t seed, bool whole, bool in);
/* Whether IP's and the layer 4 checksum are right. */
bool	join_frame_right(const struct join_frame *jf);

/* [k] Sends it from the guest; returns its errno (FreeBSD's). */
int	join_net_send(struct join_net *jn, const struct join_frame *jf,
	    kpi_u32 flags, unsigned mss);
/* What arrived at the wire within ms milliseconds; false: nothing. */
bool	join_net_heard(struct join_net *jn, struct join_frame *jf,
	    unsigned ms);
/* Puts it on the wire towards the guest. */
void	join_net_say(struct join_net *jn, const struct join_frame *jf);
/* What the guest's stack gets, and what is said of it; false: nothing. */
bool	join_net_got(struct join_net *jn, struct join_frame *jf,
	    struct kpi_frame *f, unsigned ms);

#endif	/* !TESTS_JOIN_JOIN_NET_H */
