/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A port's parts: see netport.h.
 *
 * Threads: one a queue reads and sends; input() and link() come on the guest's
 * threads.  Counters are added to by all.
 */

#ifndef RUN_NETPORT_VAR_H
#define	RUN_NETPORT_VAR_H

#include <linux/virtio_net.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "kpi.h"
#include "netport.h"

/* IP's 65535 bytes, Ethernet, two VLAN tags. */
#define	NETPORT_FRAME	(65535 + 14 + 8)
/* Bytes of headers that are looked at, and rewritten, in one piece. */
#define	NETPORT_HEAD	160
/* Without the count of buffers, which a tap device leaves out. */
#define	NETPORT_VNET	sizeof(struct virtio_net_hdr)
#define	NETPORT_LARGEST	(NETPORT_VNET + NETPORT_FRAME)
/* Frames that are handed in together, of which a few may be large. */
#define	NETPORT_BATCH	64
#define	NETPORT_BUFFER	(4 * NETPORT_LARGEST)

struct netport_queue {
	struct netport	*q_port;
	int		 q_fd;
	bool		 q_started;
	pthread_t	 q_thread;
	unsigned char	 q_buf[NETPORT_BUFFER];
};

struct netport {
	struct kpi_net	*np_net;
	bool		 np_tap;
	char		 np_name[16];	/* of the tap device */
	int		 np_stop;	/* eventfd, readable: end */
	atomic_bool	 np_stopping;
	unsigned	 np_capsoff;
	unsigned	 np_nqueues;
	struct netport_queue *np_queue;
	struct netport_stats np_stats;	/* atomic */
};

/* --- netport_frame.c --- */

/* A frame's headers, as offsets from its start. */
struct netport_headers {
	unsigned	nh_l3, nh_l4, nh_data;	/* nh_l4 0: not TCP or UDP */
	bool		nh_ip4, nh_tcp;
};

/* False: too short to have what it says it has. */
bool	netport_parse(const unsigned char *head, size_t len,
    struct netport_headers *nh);
/*
 * What Linux sent, as FreeBSD's stack would ask for it; piece: two of them, for
 * f.  False: not a frame that could be asked for.
 */
bool	netport_to_guest(const struct virtio_net_hdr *vh, unsigned char *frame,
    size_t len, struct kpi_piece piece[2], struct kpi_frame *f);
/*
 * What the driver delivered, for Linux: head gets the frame's first bytes as
 * they shall be, *used of them the frame's own, which the caller leaves out.
 * Returns how many there are.
 */
size_t	netport_to_linux(const struct kpi_frame *f, struct virtio_net_hdr *vh,
    unsigned char head[NETPORT_HEAD], size_t *used);

/* --- netport_tap.c --- */

/* Opens all queues; false with a sentence in err. */
bool	netport_tap_open(struct netport *np, const char *name, char *err,
    size_t errlen);
/* As the guest's interface is. */
bool	netport_tap_setup(struct netport *np, const struct kpi_net_info *info,
    char *err, size_t errlen);
void	netport_tap_carrier(struct netport *np, bool up);

#endif	/* !RUN_NETPORT_VAR_H */
