/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hostedvm's integration services, and the control socket by which hvctl(8)
 * drives them, as it drives hvhost(8).
 */

#ifndef RUN_HOSTEDCTL_H
#define	RUN_HOSTEDCTL_H

#include "control/control.h"
#include "hostednet.h"

struct hostedctl {
	const char	*path;		/* of the socket; NULL: none */
	struct hostednets *nets;
	unsigned	 cpus;
	uint64_t	 memory;	/* bytes */
	struct hvh_ic	*service[HVH_IC_KINDS];
	struct hvh_balloon *balloon;
	/* Its own. */
	struct ctl_server *server;
	pthread_t	 control, guest;
	int		 stop_fd;
};

/* Offers all services; the machine is not booted yet. */
void	hostedctl_add(struct hostedctl *hc);
/*
 * Listens at the path, if there is one, and for the guest to be told to end,
 * which ends this process by SIGTERM, as a client does that says "quit".
 */
void	hostedctl_start(struct hostedctl *hc);
void	hostedctl_stop(struct hostedctl *hc);

#endif	/* !RUN_HOSTEDCTL_H */
