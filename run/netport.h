/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * An interface of the hosted kernel with Linux's network stack above it in
 * place of FreeBSD's: a tap device whose frames the guest's driver sends, and
 * which gets what the driver received.  What Linux leaves for a card to do
 * (checksums, TSO) becomes what FreeBSD's stack would ask of the driver, and is
 * announced to Linux as the interface has it enabled.  Knows kpi.h only,
 * nothing of Hyper-V.
 *
 * In place of a tap device, for tests: a socket that keeps messages apart,
 * where each message is a frame behind its struct virtio_net_hdr (10 bytes).
 */

#ifndef RUN_NETPORT_H
#define	RUN_NETPORT_H

#include <stddef.h>
#include <stdint.h>

#define	NETPORT_QUEUES	8		/* at most */

struct netport;

struct netport_params {
	const char	*ifname;	/* the guest's: "hn0" */
	const char	*tap;		/* name of the device, to be made; NULL:
					 * fd is a socket, taken over */
	int		 fd;		/* becomes non-blocking */
	unsigned	 queues;	/* of the tap device, 0: 1 */
	unsigned	 capsoff;	/* KPI_NETCAP_* it is not to use */
};

struct netport_stats {
	uint64_t	tx_frames, tx_bytes;	/* given to the driver */
	uint64_t	tx_drops;		/* refused for too long */
	uint64_t	tx_errors;		/* never sendable */
	uint64_t	rx_frames, rx_bytes;	/* from the driver */
	uint64_t	rx_drops;		/* Linux did not take them */
	/* By the driver's and the interface's own count. */
	uint64_t	driver_tx_lost, driver_rx_lost;
};

/*
 * Takes the interface up, with the tap device's MAC address and MTU set as the
 * guest's; call it after kpi_boot().  NULL with a sentence in err.
 */
struct netport *netport_start(const struct netport_params *pp, char *err,
    size_t errlen);
/* No frame is under way afterwards; the tap device is gone. */
void	netport_stop(struct netport *np);
void	netport_get_stats(struct netport *np, struct netport_stats *st);

#endif	/* !RUN_NETPORT_H */
