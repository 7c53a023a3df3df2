/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvctl: what the files of the control program share.
 */

#ifndef CONTROL_HVCTL_H
#define	CONTROL_HVCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* How the program ends. */
#define	HVCTL_OK	0
#define	HVCTL_REFUSED	1
#define	HVCTL_USAGE	2
#define	HVCTL_NOBODY	3

struct hvctl {
	const char	*socket;	/* NULL: not told */
	bool		 json;
};

/* "hvctl: " and a sentence on standard error. */
void	hvctl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, and where help is; returns HVCTL_USAGE. */
int	hvctl_usage(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/*
 * One request (taken over) on a connection of its own.  HVCTL_OK: *result is
 * the caller's; anything else was said.
 */
int	hvctl_ask(const struct hvctl *hc, json_t *request, int fd,
	    json_t **result);
/* The same for what the guest takes its time for; fn as ctl_call_long()'s. */
int	hvctl_ask_guest(const struct hvctl *hc, json_t *request, int fd,
	    void (*fn)(void *arg, const json_t *progress), void *arg,
	    json_t **result);
/* {"cmd": cmd} */
json_t *hvctl_request(const char *cmd);
/* An answer that needs no words: printed with --json only, and let go of. */
void	hvctl_done(const struct hvctl *hc, json_t *result);

/* The same for such; HVCTL_OK or what the program ends with. */
int	hvctl_ask_plain(const struct hvctl *hc, json_t *request);
/* HVCTL_USAGE, said, unless argc is used up. */
int	hvctl_no_more(int argc, char **argv, int used);

/* Text of a guest's: control characters made harmless. */
void	hvctl_print(const char *text);
/* A text of an answer; "" if there is none. */
const char *hvctl_text(const json_t *o, const char *key);

/* A number an option or argument gives; false: said that it is none. */
bool	hvctl_number(const char *what, const char *text, uint64_t max,
	    uint64_t *value);
/* Seconds, with a fraction. */
bool	hvctl_seconds(const char *what, const char *text, double *value);

/* The commands: argv[0] is the command's name. */
int	hvctl_status(const struct hvctl *hc, int argc, char **argv);
int	hvctl_stats(const struct hvctl *hc, int argc, char **argv);
int	hvctl_shutdown(const struct hvctl *hc, int argc, char **argv);
int	hvctl_plain(const struct hvctl *hc, int argc, char **argv);
int	hvctl_disk(const struct hvctl *hc, int argc, char **argv);
int	hvctl_rescind(const struct hvctl *hc, int argc, char **argv);
int	hvctl_fault(const struct hvctl *hc, int argc, char **argv);
int	hvctl_net(const struct hvctl *hc, int argc, char **argv);
int	hvctl_link(const struct hvctl *hc, int argc, char **argv);
int	hvctl_reboot(const struct hvctl *hc, int argc, char **argv);
int	hvctl_services(const struct hvctl *hc, int argc, char **argv);
int	hvctl_heartbeat(const struct hvctl *hc, int argc, char **argv);
int	hvctl_time(const struct hvctl *hc, int argc, char **argv);
int	hvctl_kvp(const struct hvctl *hc, int argc, char **argv);
int	hvctl_vss(const struct hvctl *hc, int argc, char **argv);
int	hvctl_copy(const struct hvctl *hc, int argc, char **argv);
int	hvctl_memory(const struct hvctl *hc, int argc, char **argv);
int	hvctl_type(const struct hvctl *hc, int argc, char **argv);
int	hvctl_key(const struct hvctl *hc, int argc, char **argv);
int	hvctl_trace(const struct hvctl *hc, int argc, char **argv);

#endif	/* !CONTROL_HVCTL_H */
