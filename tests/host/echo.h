/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A device for tests: answers each packet that wants it with a completion of
 * the same payload, and remembers what was done to it.
 */

#ifndef ECHO_H
#define	ECHO_H

#include "vmbus/channel.h"

struct echo {
	struct hvh	*h;
	struct hvh_chan	*ch;
	int		 refuse;	/* open fails with this errno */
	bool		 lazy_close;	/* hvh_chan_closed() by the test */
	bool		 mute;		/* no completions */
	bool		 deaf;		/* does not read */
	bool		 carries;	/* each is a packet: moderate.h */
	unsigned	 opens, closes, signals, released;
	unsigned	 packets, refused, corrupt;
	uint64_t	 last_xid;
	uint32_t	 last_len;
	uint8_t		 last[64];
	uint32_t	 last_ranges;
	uint64_t	 xids[256];	/* of the first packets */
	struct hvh_chan	*waiting;	/* a completion found no room */
	uint64_t	 waiting_xid;
};

extern const struct hvh_chan_ops echo_ops;

/* Offers it: SCSI's type, an instance that ends in n. */
void	echo_add(struct echo *e, struct hvh *h, unsigned n);

#endif	/* !ECHO_H */
