/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * What the files of the control socket share: control.c has the clients,
 * ctl_later.c answers that come later, ctl_cmd.c the commands, ctl_fault.c
 * those about faults, ctl_ic.c, ctl_kvp.c, ctl_job.c and ctl_memory.c those for
 * integration services, ctl_kbd.c those for the keyboard, ctl_stats.c what can
 * be counted.
 */

#ifndef CONTROL_CTL_VAR_H
#define	CONTROL_CTL_VAR_H

#include "control/control.h"

struct ctl_client;
struct ctl_later;
struct ctl_laters;

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
	struct ctl_laters *laters;	/* NULL: there can be none */
};

/* A command being done. */
struct ctl_call {
	struct ctl_server *s;
	json_t		*req;
	json_t		*result;	/* an object, empty at first */
	int		*fd;		/* passed with it, -1: none */
	struct ctl_client *from;
	struct ctl_later *later;	/* the answer, if it is not now */
	char		 err[512];
};

/*
 * Does a line; returns the reply's object, NULL: no memory, or, if *later is
 * set, it comes later.
 */
json_t *ctl_do_line(struct ctl_server *s, struct ctl_client *from,
	    const char *line, size_t len, int *fd, bool *later);
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

/*
 * ctl_later.c: answers to what takes its time.  A command makes one, and if
 * what it ordered was taken returns 0; then ctl_later_done() is called, once,
 * from any thread, even when server and client are gone.  NULL, said why: too
 * many.
 */
struct ctl_later *ctl_later_new(struct ctl_call *c);
/* The order was not taken after all; the command answers by itself. */
void	ctl_later_drop(struct ctl_call *c);
/* Any thread.  Takes over the object; an older one not sent is lost. */
void	ctl_later_progress(struct ctl_later *l, json_t *progress);
/* Any thread: nobody waits any more. */
bool	ctl_later_gone(struct ctl_later *l);
/* Takes over result; err: what went wrong, or NULL. */
void	ctl_later_done(struct ctl_later *l, json_t *result, const char *err);

/* For control.c. */
int	ctl_laters_create(struct ctl_server *s);
void	ctl_laters_destroy(struct ctl_server *s);
/* Readable when there is something to take. */
int	ctl_laters_fd(const struct ctl_server *s);
void	ctl_laters_clear(struct ctl_server *s);
/* The next thing to send, to whom; false: there is none. */
bool	ctl_laters_take(struct ctl_server *s, struct ctl_client **to,
	    json_t **reply, bool *last);
/* The client has gone. */
void	ctl_laters_forget(struct ctl_server *s, const struct ctl_client *c);

/* ctl_ic.c */
/* A service, or NULL with a sentence. */
struct hvh_ic *ctl_ic(struct ctl_call *c, enum hvh_ic_kind kind);
const char *ctl_ic_state(enum hvh_ic_state state);
const char *ctl_ic_error(int error);
/* What became of an order: a sentence in err, or "". */
void	ctl_ic_say(enum hvh_ic_kind kind, const struct hvh_ic_result *r,
	    char *err, size_t errlen);
/* Why an order was not taken; returns error. */
int	ctl_ic_refused(struct ctl_call *c, struct hvh_ic *ic, int error);
int	ctl_cmd_services(struct ctl_call *c);
int	ctl_cmd_heartbeat(struct ctl_call *c);
int	ctl_cmd_time(struct ctl_call *c);
int	ctl_ic_shutdown(struct ctl_call *c, enum hvh_shutdown_kind kind,
	    bool urgent);
bool	ctl_ic_ready(struct ctl_call *c, enum hvh_ic_kind kind);

/* ctl_job.c */
int	ctl_cmd_vss(struct ctl_call *c);
int	ctl_cmd_copy(struct ctl_call *c);

/* ctl_memory.c */
int	ctl_cmd_memory(struct ctl_call *c);

/* ctl_kbd.c */
int	ctl_cmd_type(struct ctl_call *c);
int	ctl_cmd_key(struct ctl_call *c);
/* What the keyboard is, as a member of "services", or NULL: there is none. */
json_t *ctl_kbd_info(struct ctl_server *s);

/* ctl_kvp.c */
int	ctl_cmd_kvp(struct ctl_call *c);
int	ctl_cmd_kvp_ip(struct ctl_call *c);

/* ctl_fault.c, ctl_stats.c */
int	ctl_cmd_fault(struct ctl_call *c);
int	ctl_cmd_fault_clear(struct ctl_call *c);
int	ctl_cmd_fault_count(struct ctl_call *c);
int	ctl_cmd_status(struct ctl_call *c);
int	ctl_cmd_stats(struct ctl_call *c);

#endif	/* !CONTROL_CTL_VAR_H */
