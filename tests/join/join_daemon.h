/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Daemons of the guest as processes beside the hosted kernel, and the host's
 * orders to the services behind them.
 */

#ifndef TESTS_JOIN_JOIN_DAEMON_H
#define	TESTS_JOIN_JOIN_DAEMON_H

#include <sys/types.h>

#include <pthread.h>
#include <stdatomic.h>

#include "join.h"
#include "run/devbridge.h"

#define	JOIN_WAIT_MS	20000

/* --- Daemons --- */

struct join_daemon {
	pid_t		 pid;
	char		 log[64];	/* file with what it says */
};

/* A node of the kernel as the socket of the same name in this folder. */
struct devbridge *join_bridge(const char *node);
/*
 * Starts "path -d -D socket -p socket.pid", then args (NULL ends them; NULL is
 * none), and waits until the sysctl ready says that it has registered.
 */
void	join_daemon_start(struct join_daemon *d, const char *path,
	    const char *sock, const char *const *args, const char *ready);
/* Sends it a signal and, if it is to end, waits for that; its exit status. */
int	join_daemon_end(struct join_daemon *d, int sig);
/* What it has said, up to 4 KiB; a buffer that stays. */
const char *join_daemon_log(struct join_daemon *d);

/* --- Orders of the host --- */

struct join_order {
	pthread_mutex_t	 lock;
	pthread_cond_t	 cv;
	unsigned	 ended;		/* times: 1 at the end */
	struct hvh_ic_result r;		/* without the texts of it */
	uint8_t		 body[64];	/* as much of it */
	char		 step[16];
};

void	join_order_init(struct join_order *o);
/* For the library: hvh_ic_done, arg is the order. */
void	join_order_done(void *arg, const struct hvh_ic_result *r);
bool	join_order_ended(struct join_order *o);
/* Waits for the end; it must come, once. */
void	join_order_wait(struct join_order *o);

/* Waits until guest and host agree on versions. */
void	join_ic_ready(struct hvh_ic *ic);
/* A message of the service, waited for: status, or the error as negative. */
int64_t	join_ic_raw(struct hvh_ic *ic, uint16_t type, const void *body,
	    size_t len, struct join_order *o);

/* Waits until the sysctl has the value. */
bool	join_sysctl_becomes(const char *name, kpi_u64 value);

#endif	/* !TESTS_JOIN_JOIN_DAEMON_H */
