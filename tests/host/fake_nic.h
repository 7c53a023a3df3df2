/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A user of a network back end that keeps what it gets, has as much room as a
 * test says, and counts what it is told.
 */

#ifndef TESTS_HOST_FAKE_NIC_H
#define	TESTS_HOST_FAKE_NIC_H

#include "network/net.h"

#define	FAKE_NIC_FRAMES	20000u

struct fake_frame {
	uint8_t		*data;
	uint32_t	 len;
	struct net_meta	 meta;
};

struct fake_nic {
	struct hvh_netbe *be;
	struct fake_frame *frames;	/* those it has taken */
	unsigned	 n;
	unsigned	 room;		/* so many more it takes */
	unsigned	 refused, ends, writables, links;
	bool		 inside;	/* a test is in net_send() or so */
	bool		 open;		/* a batch without its end */
};

void	fake_nic_attach(struct fake_nic *nic, struct hvh_netbe *be);
/* Forgets its frames; the back end is the test's. */
void	fake_nic_free(struct fake_nic *nic);
/* net_send() of one piece, without meta, and net_run(). */
int	fake_nic_send(struct fake_nic *nic, const void *data, uint32_t len);
int	fake_nic_send_meta(struct fake_nic *nic, const void *data,
	    uint32_t len, const struct net_meta *m);
/* len bytes that depend on which and are no frame of another's. */
void	fake_frame(uint8_t *buf, uint32_t len, unsigned which);
/* Is frame n this one? */
bool	fake_nic_has(const struct fake_nic *nic, unsigned n, const void *data,
	    uint32_t len);
/* The Internet checksum over it, folded; 0xFFFF: right. */
uint16_t fake_sum(uint32_t sum, const void *data, uint32_t len);

#endif	/* !TESTS_HOST_FAKE_NIC_H */
