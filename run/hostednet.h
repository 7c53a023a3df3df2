/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hostedvm's network adapters: where their frames go on the host's side, and
 * whose stack is above the guest's driver.
 */

#ifndef RUN_HOSTEDNET_H
#define	RUN_HOSTEDNET_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "hvhost.h"
#include "netport.h"

#define	HOSTEDNETS	8

struct hostednet {
	enum hvh_netbe_kind kind;
	const char	*name;		/* of the tap device, or the socket */
	const char	*guest;		/* tap device above hnN; NULL: none */
	const char	*pcap;		/* file to capture to; NULL */
	unsigned	 channels;	/* 0: the host's own number */
	struct hvh_net	*host;
	struct netport	*port;
};

struct hostednets {
	struct hostednet net[HOSTEDNETS];
	unsigned	 count;
};

/*
 * tap=NAME, socket=PATH or user, then guest=NAME, channels=N, pcap=FILE; arg is
 * taken apart.  NULL, or what is wrong with it.
 */
const char *hostednet_option(struct hostednets *hn, char *arg);
/* Adds the adapters to the machine, which is not booted yet; or exits. */
void	hostednet_add(struct hostednets *hn);
/* Takes the guest's interfaces up; or exits. */
void	hostednet_start(struct hostednets *hn);
/* One line an interface to standard output, and the same in all. */
void	hostednet_print(struct hostednets *hn, json_t *all);
void	hostednet_stop(struct hostednets *hn);
/* What the guest knows adapter n by; false: there is none. */
bool	hostednet_adapter(const struct hostednets *hn, unsigned n,
	    uint8_t mac[6], struct hvh_guid *instance);

#endif	/* !RUN_HOSTEDNET_H */
