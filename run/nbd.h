/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hosted kernel's disks as exports of a Network Block Device server on a
 * unix socket: what lets fio, mkfs or qemu-img drive da0 from outside.  Export
 * names are disk names; the empty name is the first disk.  Knows kpi.h only,
 * nothing of Hyper-V.
 *
 * One thread serves all connections.  Data is received into, and sent from,
 * guest memory itself, so that the drivers see the client's bytes uncopied.
 */

#ifndef RUN_NBD_H
#define	RUN_NBD_H

#include <stddef.h>

struct nbd_server;

/*
 * Listens on socket_path and serves the disks that exist when a client asks.
 * A socket that a dead server left there is replaced; one that is alive, or a
 * file of another kind, is not.  Returns NULL with a sentence in err.  Call it
 * after kpi_boot().
 */
struct nbd_server *nbd_start(const char *socket_path, char *err,
    size_t errlen);

/*
 * Takes no more requests, waits for those under way to end, delivers their
 * replies (to a client that does not read them for at most five seconds),
 * closes all connections and removes the socket.  No disk I/O of the server
 * is left afterwards.  Call it before kpi_shutdown().
 */
void	nbd_stop(struct nbd_server *srv);

#endif	/* !RUN_NBD_H */
