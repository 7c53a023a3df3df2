/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What a host that lies puts into the channels and the receive buffer of a
 * network adapter; the script (fuzz_vm.h) decides the rest.
 */

#ifndef FUZZ_NET_LIES_H
#define	FUZZ_NET_LIES_H

#include "network/net.h"
#include "network/nvsp_var.h"

/* A frame of some protocol and size, at most max bytes; its length. */
uint32_t net_lies_frame(uint8_t *f, uint32_t max);
/*
 * One thing that a host might say.  Takes the pump lock; nothing if the
 * adapter has no channel now.
 */
void	net_lies_tell(struct hvh_net *na);

#endif	/* !FUZZ_NET_LIES_H */
