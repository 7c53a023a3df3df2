/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Runs hvctl as a user would, while the test serves its socket.
 */

#ifndef HVCTL_RUN_H
#define	HVCTL_RUN_H

#include <sys/types.h>

#include "control/control.h"

#define	SOCKET	"ctl"

/* Starts it with the words of args; what it prints goes to out and err. */
pid_t	hvctl_start(const char *args);
/* Serves s, if there is one, until it ends; its exit status. */
int	hvctl_wait(struct ctl_server *s, pid_t pid);
/* Both. */
int	hvctl_run(struct ctl_server *s, const char *args);
/* Serves s for so long. */
void	serve(struct ctl_server *s, unsigned ms);
/* A whole file, at most 64 KiB of it, with NUL; valid until the next call. */
char   *slurp(const char *name);
/* The test fails unless the file has this in it. */
void	has(const char *name, const char *text);

#endif	/* !HVCTL_RUN_H */
