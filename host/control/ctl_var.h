/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the files of the control socket share: control.c has the clients,
 * ctl_cmd.c the commands, ctl_fault.c those about faults, ctl_stats.c what
 * can be counted.
 */

#ifndef CONTROL_CTL_VAR_H
#define	CONTROL_CTL_VAR_H

#include "control/control.h"

struct ctl_server {
	int		 epoll;
	int		 listener;
	char		*path;
	uint64_t	 dev, ino;	/* of the socket, to know it again */
	struct hvh	*h;
	const struct ctl_ops *ops;
	void		*arg;
	struct ctl_client *clients;
	unsigned	 nclients;
};

/* A command being done. */
struct ctl_call {
	struct ctl_server *s;
	json_t		*req;
	json_t		*result;	/* an object, empty at first */
	int		*fd;		/* passed with it, -1: none */
	char		 err[512];
};

/* Does a line; returns the reply's object, NULL: no memory. */
json_t *ctl_do_line(struct ctl_server *s, const char *line, size_t len,
	    int *fd);
/* A refusal, without a request. */
json_t *ctl_refusal(json_t *id, const char *why);

/* EINVAL with a sentence, for a command to return. */
int	ctl_bad(struct ctl_call *c, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Members of the request; absent: *value stays.  EINVAL: said why. */
int	ctl_get_number(struct ctl_call *c, const char *key, uint64_t max,
	    uint64_t *value);
int	ctl_get_bool(struct ctl_call *c, const char *key, bool *value);
int	ctl_get_string(struct ctl_call *c, const char *key,
	    const char **value);

/* ctl_fault.c, ctl_stats.c */
int	ctl_cmd_fault(struct ctl_call *c);
int	ctl_cmd_fault_clear(struct ctl_call *c);
int	ctl_cmd_fault_count(struct ctl_call *c);
int	ctl_cmd_status(struct ctl_call *c);
int	ctl_cmd_stats(struct ctl_call *c);

#endif	/* !CONTROL_CTL_VAR_H */
