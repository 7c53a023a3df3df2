/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Sockets and Internet addresses for commands, without libc.
 */

#ifndef _TESTS_VM_FREEBSD_INET_H_
#define	_TESTS_VM_FREEBSD_INET_H_

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "lib.h"

union endpoint {
	struct sockaddr		 sa;
	struct sockaddr_in	 in;
	struct sockaddr_in6	 in6;
};

/* "10.0.0.1" or "fd00::1", and a port; false: it is no address. */
bool	 inet_parse(const char *, uint64_t, union endpoint *);
/* INET_TEXT bytes at the most, as a text that inet_parse() takes. */
#define	INET_TEXT	48
const char *inet_text(const union endpoint *, char *);

/* The Internet checksum of some bytes, as it stands in a header. */
uint16_t inet_sum(const void *, size_t);

/*
 * A socket of an address's family: a file, or -errno.  Each send and receive
 * on it ends after that many milliseconds.
 */
int	 sock_open(const union endpoint *, int, int, uint64_t);
/* Likewise, connected; tried again until the other side listens. */
int	 sock_connect(const union endpoint *, int, uint64_t);
/* Likewise, of the one who connects to this address. */
int	 sock_accept(const union endpoint *, uint64_t);

static inline int
sys_setsockopt(int fd, int level, int name, const void *value, size_t size)
{

	return ((int)sys(SYS_setsockopt, fd, level, name, P(value),
	    (long)size, 0));
}

static inline int
sys_bind(int fd, const union endpoint *ep)
{

	return ((int)sys(SYS_bind, fd, P(ep), ep->sa.sa_len, 0, 0, 0));
}

static inline int
sys_connect(int fd, const union endpoint *ep)
{

	return ((int)sys(SYS_connect, fd, P(ep), ep->sa.sa_len, 0, 0, 0));
}

/* To an address, or, if that is NULL, to whom the socket is connected. */
static inline long
sys_sendto(int fd, const void *data, size_t size, const union endpoint *to)
{

	return (sys(SYS_sendto, fd, P(data), (long)size, 0, P(to),
	    to == NULL ? 0 : to->sa.sa_len));
}

static inline long
sys_recv(int fd, void *data, size_t size)
{

	return (sys(SYS_recvfrom, fd, P(data), (long)size, 0, 0, 0));
}

#endif /* !_TESTS_VM_FREEBSD_INET_H_ */
