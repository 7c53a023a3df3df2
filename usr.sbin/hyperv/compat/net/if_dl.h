/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/* Link-level addresses of interfaces: what Linux calls them. */

#ifndef _COMPAT_NET_IF_DL_H_
#define	_COMPAT_NET_IF_DL_H_

#include <netpacket/packet.h>

#define	AF_LINK		AF_PACKET
#define	sockaddr_dl	sockaddr_ll
#define	sdl_alen	sll_halen
#define	LLADDR(sdl)	((sdl)->sll_addr)

#endif	/* !_COMPAT_NET_IF_DL_H_ */
