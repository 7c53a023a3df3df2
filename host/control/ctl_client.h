/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The client's side of the control socket.
 */

#ifndef CONTROL_CTL_CLIENT_H
#define	CONTROL_CTL_CLIENT_H

#include <jansson.h>

/* How long an answer may take. */
#define	CTL_WAIT_SECONDS	60
/* How long the guest may be silent. */
#define	CTL_LONG_SECONDS	320

struct ctl_conn;

/* A sentence in err says why nobody is there. */
int	ctl_connect(const char *path, struct ctl_conn **cp, char *err,
	    size_t errlen);
/*
 * Sends a request (taken over), with fd if it is not -1, and waits for the
 * reply, an object.  An errno: the connection is of no more use.
 */
int	ctl_call(struct ctl_conn *c, json_t *request, int fd, json_t **reply,
	    char *err, size_t errlen);
/*
 * The same for what the guest takes its time for, with the object of each
 * progress shown to fn, which may be NULL.
 */
int	ctl_call_long(struct ctl_conn *c, json_t *request, int fd,
	    void (*fn)(void *arg, const json_t *progress), void *arg,
	    json_t **reply, char *err, size_t errlen);
void	ctl_disconnect(struct ctl_conn *c);

#endif	/* !CONTROL_CTL_CLIENT_H */
