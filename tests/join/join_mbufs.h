/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The network cases' last question: is an mbuf out?
 */

#ifndef JOIN_MBUFS_H
#define	JOIN_MBUFS_H

/* Fails the case if mbufs are out, once those on their way had time to come. */
void	join_mbufs(void);

#endif /* !JOIN_MBUFS_H */
