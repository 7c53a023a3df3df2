/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A device node of the hosted kernel for processes of Linux: a SOCK_SEQPACKET
 * unix socket, of which each connection is an open file of the node and each
 * message one read or write.  A daemon of FreeBSD that only opens, polls, reads
 * and writes its node works on such a socket as it does there.
 *
 * A connection opens the node; whether a second one may is the driver's affair.
 * It ends, and the file is closed, when the process ends it, when the node goes
 * away, and when a call of the driver fails: then the reason is told on
 * standard error, since a socket has no errno to give; but not for ESTALE, with
 * which a driver drops an answer that came too late.  The node need not exist
 * yet.
 */

#ifndef RUN_DEVBRIDGE_H
#define	RUN_DEVBRIDGE_H

#include <stddef.h>

#define	DEVBRIDGE_MSG	65536		/* longest message, bytes */

struct devbridge;

/*
 * Listens at the path, in place of an old socket.  NULL: err says why not.  The
 * kernel has booted.
 */
struct devbridge *devbridge_start(const char *node, const char *path,
	    char *err, size_t errlen);
/* Ends all connections, too; returns when their files are closed. */
void	devbridge_stop(struct devbridge *db);
/* How many connections there have been, and are. */
unsigned devbridge_total(const struct devbridge *db);
unsigned devbridge_open(const struct devbridge *db);

#endif	/* !RUN_DEVBRIDGE_H */
