/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Where the guest's serial port goes.  Output comes from vCPU threads and is
 * gathered to lines; the main thread polls for what is left and for input.
 */

#ifndef VMM_CONSOLE_H
#define	VMM_CONSOLE_H

#include <poll.h>

#include "vmm/options.h"

struct console;

int	console_open(enum opt_console kind, const char *file,
	    struct console **cp, char *err, size_t errlen);
/* Of struct vmm_config; arg is the console. */
void	console_put(void *arg, const void *buf, size_t len);
/* Input goes to this port from now on. */
void	console_attach(struct console *c, struct vmm_uart *u);
/* What the main thread polls: fills at most 2 entries. */
unsigned console_poll_fds(struct console *c, struct pollfd *fds);
/*
 * Milliseconds until console_run() wants to be called, -1: no need.  Neither
 * waits for a reader that makes a vCPU wait.
 */
int	console_timeout(struct console *c);
/* Takes what poll() said; writes what has waited. */
void	console_run(struct console *c, const struct pollfd *fds);
/* On: output that the reader does not take is dropped, so that vCPUs end. */
void	console_hurry(struct console *c, bool on);
/* Writes out, and gives a terminal back as it was. */
void	console_close(struct console *c);

#endif	/* !VMM_CONSOLE_H */
